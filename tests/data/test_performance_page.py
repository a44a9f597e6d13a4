"""docs/performance.md: a table for each benchmark, and commands that exist."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BENCHMARKS = ROOT / "benchmarks"
PAGE = (ROOT / "docs" / "performance.md").read_text()


@pytest.fixture(scope="module")
def report():
    """Import the module that writes the page; it and what it imports are no package."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        spec = importlib.util.spec_from_file_location("report", BENCHMARKS / "report.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules["report"] = module
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(BENCHMARKS))
        for name in ("report", "common"):
            sys.modules.pop(name, None)


def test_every_benchmark_has_a_section_and_every_section_rows(report):
    """No script is left out, and no section of the page is empty or there twice."""
    scripts = {path.name for path in BENCHMARKS.glob("bench_*.py")}
    assert {section.script for section in report.SECTIONS} == scripts
    for section in report.SECTIONS:
        before, after = report.marks(section.name)
        assert PAGE.count(before) == PAGE.count(after) == 1, section.name
        said = PAGE.split(before)[1].split(after)[0]
        assert said.count("\n|") >= 3 or "Not measured" in said, section.name


def test_every_command_on_the_page_can_be_given(report):
    """Scripts are there, make has the targets, and sections are called so."""
    scripts = re.findall(r"python (benchmarks/\w+\.py)", PAGE)
    assert scripts
    for script in scripts:
        assert (ROOT / script).is_file(), script
    targets = re.findall(r"^([\w.-]+(?:/[\w.-]+)?):", (ROOT / "Makefile").read_text(), re.M)
    asked = re.findall(r"`make ([\w-]+)", PAGE)
    assert "bench" in asked
    assert set(asked) <= set(targets)
    names = {section.name for section in report.SECTIONS}
    for only in re.findall(r'ONLY="([^"]+)"', PAGE.replace("\n", " ")):
        assert set(only.split()) <= names


def test_a_section_is_replaced_and_nothing_else(report):
    """What is written by hand stays, and so do the other sections; a page without it is refused."""
    page = "a\n<!-- bench one -->\nold\n<!-- /bench one -->\nb\n<!-- bench two -->\nx\n"
    found = report.with_section(page, "one", "new | text")
    assert found == page.replace("old", "new | text")
    with pytest.raises(ValueError, match="must have"):
        report.with_section(page, "two", "new")


def test_a_row_says_what_was_asked_and_how_to_get_it(report):
    """Each row ends with the command of its section; a bar in a text does not end a cell."""
    section = report.SECTIONS[-1]
    rows = [{"what": "a|b", "measured": "1 s", "asked": "2 s"}]
    *_, line = report.section_text(section, rows, said="then").splitlines()
    assert line == f"| a/b | 1 s | 2 s | `{section.command}` |"
    assert section.script in line
    assert all(argument in line for argument in section.arguments)
