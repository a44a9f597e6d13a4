"""What is installed and how the server is set: pins with hashes, and Streamlit's own options."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Other simulators, in an environment that only `make bench` makes; SECURITY.md says so.
PEERS = "requirements-peers.txt"
LISTS = sorted(path.name for path in ROOT.glob("requirements*.txt") if path.name != PEERS)


def tool(name):
    """Return a module of tools/."""
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        spec = importlib.util.spec_from_file_location(name, ROOT / f"tools/{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(ROOT / "tools"))
    return module


@pytest.mark.parametrize("name", LISTS)
def test_every_package_of_a_list_is_pinned_with_hashes(name):
    """One version each, with at least one hash; and no other place to fetch it from."""
    text = (ROOT / name).read_text("utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert lines
    for line in lines:
        assert re.match(r"[a-z0-9.-]+==\S+( ; .*?)?(\s+--hash=sha256:[0-9a-f]{64})+\s*$", line), (
            line
        )


def test_lists_agree_on_the_version_of_a_package():
    """What two lists pin they pin alike: they are installed beside one another."""
    upgrade = tool("upgrade")
    seen: dict[str, str] = {}
    for name in ("requirements.txt", "requirements-cluster.txt", "requirements-dev.txt"):
        for package, version in upgrade.pins((ROOT / name).read_text("utf-8")).items():
            assert seen.setdefault(package, version) == version, package


def test_every_list_is_one_that_the_renewal_writes():
    """A list that `make upgrade` does not know would grow old."""
    upgrade = tool("upgrade")
    assert sorted(name for name, _ in upgrade.GROUPS.values()) == LISTS
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["dependency-groups"]
    assert set(groups) == set(upgrade.GROUPS)


def test_what_is_needed_by_name_is_pinned():
    """Each package that pyproject.toml asks for stands in its list."""
    upgrade = tool("upgrade")
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["dependency-groups"]
    for group, (name, _) in upgrade.GROUPS.items():
        pinned = upgrade.pins((ROOT / name).read_text("utf-8"))
        for asked in groups[group]:
            if isinstance(asked, str):
                assert re.match(r"[\w.-]+", asked)[0] in pinned, f"{name} lacks {asked}"


def test_what_runs_here_is_what_is_pinned():
    """The versions that the tests ran with are those that the host installs."""
    pinned = tool("upgrade").pins((ROOT / "requirements.txt").read_text("utf-8"))
    for package, version in pinned.items():
        try:
            assert importlib.metadata.version(package) == version, package
        except importlib.metadata.PackageNotFoundError:
            assert package in ("watchdog", "tzdata"), package


def test_pip_takes_the_list_with_its_hashes():
    """Pip reads every line of it in the mode in which nothing goes without a hash."""
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--dry-run", "--require-hashes"),
            *("--no-index", "--quiet", "-r", "requirements.txt"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr


def test_a_renewal_says_what_changed(tmp_path, monkeypatch):
    """Another version, a new package and one that is gone: a line each, all in the changelog."""
    upgrade = tool("upgrade")
    before = upgrade.pins("a==1.0 \\\n    --hash=sha256:0\nold_one==2 ; python_version < '3.12'\n")
    lines = upgrade.changed(before, upgrade.pins("a==1.1\nnew==3\n"))
    assert lines == ["a 1.0 → 1.1", "new none → 3", "old-one 2 → none"]
    monkeypatch.setattr(upgrade, "ROOT", tmp_path)
    (tmp_path / "CHANGELOG.md").write_text("# C\n\n## Unreleased\n\n- x\n\n## 0.1\n\n- y\n")
    upgrade.note(lines)
    text = (tmp_path / "CHANGELOG.md").read_text("utf-8")
    assert text.split("## 0.1")[0].endswith(
        "- x\n- Packages renewed: a 1.0 → 1.1, new none → 3, old-one 2 → none.\n\n"
    )


@pytest.mark.parametrize(
    ("version", "is_named"),
    [("0.9", False), ("1.0", True), ("1.4.9", True), ("1.5", False), ("2.0", True), ("2.2", False)],
)
def test_an_advisory_names_the_versions_of_its_ranges(version, is_named):
    """From an introduction to before its fix, and up to the last that is affected."""
    advisory = {
        "affected": [
            {
                "package": {"name": "Some_Package"},
                "ranges": [
                    {"type": "ECOSYSTEM", "events": [{"introduced": "1.0"}, {"fixed": "1.5"}]},
                    {
                        "type": "ECOSYSTEM",
                        "events": [{"introduced": "2.0"}, {"last_affected": "2.1"}],
                    },
                ],
            }
        ]
    }
    assert tool("audit").names(advisory, "some-package", version) is is_named
    assert not tool("audit").names(advisory, "another", version)


def test_an_audit_of_a_copy_says_what_it_found(tmp_path, capsys):
    """A pinned version that an advisory lists is printed, and the command fails."""
    audit = tool("audit")
    version = audit.pinned()["streamlit"]
    folder = tmp_path / "vulns/streamlit"
    folder.mkdir(parents=True)
    (folder / "PYSEC-1.yaml").write_text(
        "id: PYSEC-1\nmodified: '2026-01-02T00:00:00Z'\naffected:\n"
        f"- package: {{name: streamlit}}\n  versions: ['{version}']\n"
    )
    assert audit.main([str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert f"streamlit {version}: PYSEC-1" in said
    assert "the newest of 2026-01-02" in said
    (folder / "PYSEC-1.yaml").unlink()
    assert audit.main([str(tmp_path)]) == 2


def test_the_server_is_set_to_protect_people():
    """What Streamlit takes from .streamlit/config.toml, its own defaults where that is silent."""
    expected = {
        "server.enableXsrfProtection": True,
        "server.enableCORS": True,
        "server.maxUploadSize": 50,
        # Of each connection so much may be waiting to be read, and a stranger opens many.
        "server.maxMessageSize": 10,
        "server.maxWidgetStateSize": 10,
        "server.enableAgentApi": False,
        "client.showErrorDetails": "none",
        "client.showErrorLinks": False,
        "client.toolbarMode": "viewer",
        "client.disableDataExport": True,
        "browser.gatherUsageStats": False,
        "browser.serverAddress": "localhost",
        "server.enableStaticServing": False,
        "server.scriptHealthCheckEnabled": False,
        # Two threads in one session's state, and a look through all that is held after each run.
        "runner.fastReruns": False,
        "runner.postScriptGC": False,
    }
    code = (
        "import json, sys; from streamlit import config; "
        "print(json.dumps({name: config.get_option(name) for name in sys.argv[1:]}))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, *expected],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(ran.stdout) == expected
