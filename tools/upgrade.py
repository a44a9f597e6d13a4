"""Raise the pinned packages, or write their list anew; say what changed.

``make upgrade`` asks the package index for the newest versions that fit the groups of
pyproject.toml, writes requirements*.txt with the hashes of every file of every version pinned (one
list serves Python 3.11 to 3.13 and all platforms), notes the changes in CHANGELOG.md, and runs
``make check``. With --keep the versions stay and only what is missing is added. Left out: whether a
version is known to be weak (``make audit``).
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;]+)", re.MULTILINE)
_OLDEST_PYTHON = "3.11"
GROUPS = {
    "app": (
        "requirements.txt",
        "What the app needs, indirect packages included; one list for Python 3.11 to 3.13.\n"
        "# The host reads this file and no other.",
    ),
    "cluster": (
        "requirements-cluster.txt",
        "For sweeps on a Dask cluster (--scheduler); beside requirements.txt, on this machine\n"
        "# and on each worker. Nothing else imports any of it.",
    ),
    "dev": (
        "requirements-dev.txt",
        "Development tools and the cluster's packages; 'make check' and 'make test' install them\n"
        "# beside requirements.txt.",
    ),
    "supply": (
        "requirements-supply.txt",
        "What 'make audit' and 'make upgrade' run, in an environment of their own.",
    ),
    "focus": (
        "requirements-focus.txt",
        "The validator of FOCUS files that a test runs, in an environment of its own: see\n"
        "# 'make focus'.",
    ),
}
"""The groups of pyproject.toml, each with its list and what is said at the top of it."""


def main() -> int:
    """Write the lists, and one line of what changed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", action="store_true", help="keep the versions that are pinned")
    told = parser.parse_args()
    changes: list[str] = []
    for group, (name, head) in GROUPS.items():
        path = ROOT / name
        before = pins(path.read_text(encoding="utf-8")) if path.exists() else {}
        text = compiled(group, path, keep=told.keep)
        path.write_text(f"# {head}\n# Written by 'make upgrade'.\n{text}", encoding="utf-8")
        changes += [one for one in changed(before, pins(text)) if one not in changes]
    print("\n".join(changes) or "No package changed.")
    if changes and not told.keep:
        note(changes)
    return 0


def pins(text: str) -> dict[str, str]:
    """Return the version of each package of a list."""
    return {name.lower().replace("_", "-"): version for name, version in _PIN.findall(text)}


def changed(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """Return what is another version, new or gone, a line each."""
    lines = []
    for name in sorted(before.keys() | now.keys()):
        old, new = before.get(name, "none"), now.get(name, "none")
        if old != new:
            lines.append(f"{name} {old} → {new}")
    return lines


def compiled(group: str, path: Path, *, keep: bool) -> str:
    """Return the list of a group with hashes, from the package index."""
    command = [
        *(sys.executable, "-m", "uv", "pip", "compile", "--group", f"pyproject.toml:{group}"),
        *("--universal", "--python-version", _OLDEST_PYTHON, "--generate-hashes"),
        *("--no-header", "--no-annotate", "--quiet"),
    ]
    held = [ROOT / "requirements.txt"] if group in ("cluster", "dev") else []
    if keep:
        held = [ROOT / name for name, _ in GROUPS.values() if (ROOT / name).exists()]
    for other in held:
        command += ["--constraint", str(other)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise SystemExit(f"{path.name}: {ran.stderr.strip()}")
    return ran.stdout


def note(changes: list[str]) -> None:
    """Put what changed at the end of what is unreleased in CHANGELOG.md."""
    path = ROOT / "CHANGELOG.md"
    text = path.read_text(encoding="utf-8")
    unreleased = re.search(r"^## Unreleased.*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    line = f"- Packages renewed: {', '.join(changes)}.\n"
    if unreleased is None:
        raise SystemExit("CHANGELOG.md has no part 'Unreleased'")
    end = unreleased.start() + len(unreleased[0].rstrip()) + 1
    path.write_text(text[:end] + line + text[end:], encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
