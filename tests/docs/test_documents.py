"""The documents are true: examples run, links lead somewhere, and nothing goes unmentioned."""

from __future__ import annotations

import ast
import doctest
import functools
import importlib.util
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "data").glob("*.md")]
)
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in DOCUMENTS}
EVERYTHING = "\n".join(TEXTS.values())
_RUN = re.compile(r"<!-- run -->\n```sh\n(.*?)```", re.DOTALL)
_SHELL = re.compile(r"```(?:sh|bash|console)?\n(.*?)```", re.DOTALL)
_FILE = re.compile(r"<!-- file: ([\w.-]+) -->\n```\w*\n(.*?)```", re.DOTALL)


@functools.cache
def made():
    """Return the tool that writes the made parts of the documents."""
    spec = importlib.util.spec_from_file_location("documents", ROOT / "tools/documents.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def of_the_documents(pattern):
    """Return what a pattern finds, each with the name of its document."""
    found = [(name, words) for name, text in TEXTS.items() for words in pattern.findall(text)]
    assert found
    return found


MADE = [(name, part) for name, text in TEXTS.items() for part in made().parts_of(text)]


@pytest.mark.parametrize(("name", "part"), MADE, ids=[part for _, part in MADE])
def test_a_made_part_is_what_the_code_gives(name, part):
    """Every command and option, column, parameter and error in the documents is that of today."""
    assert made().parts_of(TEXTS[name])[part] == made().PARTS[part](), "run make documents"


def test_every_part_that_can_be_made_stands_in_a_document():
    """A part that no document shows would leave something unmentioned."""
    assert {part for _, part in MADE} == set(made().PARTS)


def test_the_examples_of_the_documents_run(tmp_path):
    """Each block marked as runnable runs, one after the other, in a folder with the files shown."""
    for _, (file, content) in of_the_documents(_FILE):
        (tmp_path / file).write_text(content, encoding="utf-8")
    script = "set -euo pipefail\npython() { " + shlex.quote(sys.executable) + ' "$@"; }\n'
    blocks = of_the_documents(_RUN)
    script += "\n".join(block for _, block in blocks)
    ran = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert (tmp_path / "frontier.csv").read_text("utf-8").count("\n") > 1


@pytest.mark.parametrize("name", [name for name, text in TEXTS.items() if ">>> " in text])
def test_the_computations_of_a_document_come_out_as_shown(name):
    """Every line of Python in a document gives what stands below it."""
    blocks = re.findall(r"```python\n(.*?)```", TEXTS[name], re.DOTALL)
    source = "\n".join(blocks)
    case = doctest.DocTestParser().get_doctest(source, {}, name, name, 0)
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    result = runner.run(case, out=said.append)
    assert result.attempted
    assert result.failed == 0, "".join(said)


def test_no_line_of_python_in_a_document_goes_unchecked():
    """A block of Python is a session with its results, so that it can be held to them."""
    for name, block in of_the_documents(re.compile(r"```python\n(.*?)```", re.DOTALL)):
        assert block.startswith(">>> "), f"{name}: {block[:60]}"


def test_the_commands_in_the_documents_exist_with_their_options():
    """A command that is shown, run by a test or not, is one that there is."""
    parsers = {name: made().options(parser) for name, parser in made().commands().items()}
    shown = 0
    for name, block in of_the_documents(_SHELL):
        for line in block.replace("\\\n", " ").splitlines():
            found = re.search(r"python -m frontier ([^#|]*)", line)
            if found is None:
                continue
            words = found[1].split()
            command = next(c for c in (" ".join(words[:2]), words[0]) if c in parsers)
            flags = [word.partition("=")[0] for word in words if word.startswith("--")]
            assert not set(flags) - set(parsers[command]), f"{name}: {line}"
            shown += 1
    assert shown > 10


def test_every_link_leads_somewhere():
    """A relative link names a file that is there, and a heading of it where it names one."""
    for name, target in of_the_documents(re.compile(r"\]\(([^)\s]+)\)")):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, heading = target.partition("#")
        path = (ROOT / name).parent / file if file else ROOT / name
        assert path.exists(), f"{name}: {target}"
        if heading:
            assert heading in _headings(path.read_text("utf-8")), f"{name}: {target}"


def _headings(text):
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_path_that_a_document_names_is_there():
    """What is said to be in a file or held by a test can be looked up there."""
    pattern = re.compile(r"`((?:frontier|data|tests|docs|tools|benchmarks|deploy)/[\w./-]*)`")
    missing = [
        (name, path) for name, path in of_the_documents(pattern) if not (ROOT / path).exists()
    ]
    assert not missing


def test_every_document_is_named_in_readme():
    """Who begins with README finds all of docs/."""
    links = re.findall(r"\]\(([^)\s]+)\)", TEXTS["README.md"])
    missing = [name for name in TEXTS if name.startswith("docs/") and name not in links]
    assert not missing


def asked_of_the_environment():
    """Return the names that the program looks up in its environment."""
    trees = {
        path: ast.parse(path.read_text("utf-8"))
        for path in [ROOT / "app.py", *(ROOT / "frontier").rglob("*.py")]
    }
    constants = {
        target.id: node.value.value
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    names = []
    for path, tree in trees.items():
        for node in ast.walk(tree):
            words = None
            if isinstance(node, ast.Call) and re.fullmatch(
                r"os\.(getenv|environ\.\w+)", ast.unparse(node.func)
            ):
                words = node.args[0] if node.args else None
            elif isinstance(node, ast.Subscript) and ast.unparse(node.value) == "os.environ":
                words = node.slice
            if words is None:
                continue
            name = (
                words.value
                if isinstance(words, ast.Constant)
                else constants.get(ast.unparse(words).rpartition(".")[2])
            )
            assert isinstance(name, str), f"{path.name} asks the environment for {words}"
            names.append(name)
    return sorted(set(names))


@pytest.mark.parametrize("name", asked_of_the_environment())
def test_a_setting_of_the_environment_is_documented(name):
    """What the program asks its environment for is described where a host is set up."""
    assert f"`{name}`" in TEXTS["docs/deployment.md"]


def test_every_setting_of_the_server_is_documented():
    """Each line of .streamlit/config.toml but the colours is named with its value and reason."""
    settings = tomllib.loads((ROOT / ".streamlit/config.toml").read_text("utf-8"))
    set_to = {
        f"{part}.{key}": str(value).lower() if isinstance(value, bool) else str(value)
        for part in settings
        if part != "theme"
        for key, value in settings[part].items()
    }
    rows = dict(
        re.findall(r"^\| `([a-z]+\.\w+)` \| (\S+) \|", TEXTS["docs/deployment.md"], re.MULTILINE)
    )
    assert rows == set_to


def test_every_target_of_make_is_documented():
    """What `make` can do is said somewhere."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    joined = makefile.replace("\\\n", " ")
    targets = " ".join(re.findall(r"^\.PHONY:(.*)$", joined, re.MULTILINE)).split()
    assert targets
    missing = [name for name in targets if f"make {name}" not in EVERYTHING]
    assert not missing


def test_every_command_is_named_beside_its_options():
    """Each command stands in an example, not only in a table of options."""
    prose = re.sub(r"<!-- made.*?<!-- end -->", "", TEXTS["docs/commands.md"], flags=re.DOTALL)
    for name in made().commands():
        assert f"python -m frontier {name.split()[0]}" in prose, name


def test_the_method_page_says_how_often_ranges_held_as_their_document_shows():
    """Least, most and mean of the table in docs/ranges.md stand in the page's one sentence."""
    rows = [line for line in TEXTS["docs/ranges.md"].splitlines() if line.startswith("| ")]
    cells = [cell for row in rows for cell in row.split("|")[2:]]
    held = [int(found[1]) for cell in cells if (found := re.match(r" (\d+)(?: [¹²³⁴])? $", cell))]
    page = " ".join((ROOT / "frontier/pages/method.py").read_text("utf-8").split())
    low, high, mean = re.search(r"it did in (\d+) to (\d+) of 100, (\d+) on average", page).groups()
    assert len(held) > 40
    assert (int(low), int(high), int(mean)) == (min(held), max(held), round(sum(held) / len(held)))
