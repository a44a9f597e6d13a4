"""The tool that makes mutants: what it changes, which tests it runs, and what it leaves behind."""

from __future__ import annotations

import ast
import functools
import importlib
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def mutate():
    """Load the script as it is started: with its own folder on the path."""
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        tool = importlib.import_module("mutate")
        with pytest.MonkeyPatch.context() as once:
            # The mutants of a text are always the same, and several tests ask for all of them.
            once.setattr(tool, "mutants_of", functools.cache(tool.mutants_of))
            yield tool
    finally:
        sys.path.remove(str(ROOT / "tools"))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("y = a < b", {"a <= b"}),
        ("y = a is not b", {"a is b"}),
        ("y = a + b", {"a - b"}),
        ("y = a * b", {"a / b"}),
        ("y = 0", {"1"}),
        ("y = 1", {"0"}),
        ("y = 7", {"8"}),
        ("y = True", {"False"}),
        ("y = a and b", {"a or b"}),
        ("y = not a", {"a"}),
        ("y = min(a, b)", {"max(a, b)"}),
        ("y = -a", {"a"}),
        ("y = f'{a} less than {b}'", {"f'{a} more than {b}'"}),
        ("y = 'it costs less'", {"'it saves less'", "'it costs more'"}),
        ("y = 'less'", set()),
        ("def f(a: int = 3) -> 'at least 4': ...", {"4"}),
        ("def f(): 'It costs less.'", set()),
        ("from a import b", set()),
        ("if a: pass", {"not a"}),
        ("def f(): return a == b", {"a != b", "not a == b"}),
        ("def f(): return a - b", {"a + b", "-(a - b)"}),
        ("def f(): return 'x ' + b", set()),
    ],
)
def test_what_is_changed(mutate, line, expected):
    """Each kind of change, and what is left alone: annotations, docstrings, names, imports."""
    found = mutate.mutants_of("x.py", line)
    assert {mutant.after for mutant in found} == expected
    assert all(mutant.fits(line) for mutant in found)


def test_every_mutant_of_the_product_is_another_program(mutate):
    """Whatever stands around it, a change stays in its place: 40 from each module."""
    for paths in mutate.files_of(ROOT, list(mutate.MODULES)).values():
        for path in paths:
            source = (ROOT / path).read_text("utf-8")
            before = ast.parse(source).body
            mutants = mutate.mutants_of(path, source)
            for mutant in mutants[:: max(1, len(mutants) // 40)]:
                try:
                    after = ast.parse(mutant.applied_to(source)).body
                    assert len(after) == len(before), str(mutant)
                    (was, now), *_ = (
                        (was, now)
                        for was, now in zip(before, after, strict=True)
                        if was.lineno <= mutant.line <= was.end_lineno
                    )
                    assert ast.dump(now) != ast.dump(was), str(mutant)
                except SyntaxError:
                    assert not mutant.fits(source)


def test_a_sample_is_the_same_for_the_same_seed_and_even_over_modules(mutate):
    """So that a score can be compared with the last one."""
    modules = mutate.files_of(ROOT, list(mutate.MODULES))
    assert len(modules) >= 6
    one, two = (mutate.sample(ROOT, modules, 40, seed=3) for _ in range(2))
    assert one == two
    assert one != mutate.sample(ROOT, modules, 40, seed=4)
    shares = [sum(mutant.path in paths for mutant in one) for paths in modules.values()]
    assert max(shares) - min(shares) <= 2


def test_tests_are_found_by_what_they_import(mutate):
    """The nearest come first; pages are reached through the scripts that their tests hold."""
    far = mutate.tests_of(ROOT, "frontier/kernel.py")
    assert far["tests/property/test_simulation.py"] < far["tests/app/test_pages.py"]
    assert "tests/golden/test_startlog.py" not in far
    assert "tests/app/test_takeaway.py" in mutate.tests_of(ROOT, "frontier/billing.py")
    assert not any(test.startswith("tests/browser") for test in far)


@pytest.fixture
def project(tmp_path):
    """Make a product of one module of which a test holds one function and not the other."""
    root = tmp_path / "project"
    for folder in ("frontier", "tests", "docs"):
        (root / folder).mkdir(parents=True)
    (root / "frontier" / "__init__.py").write_text("")
    (root / "frontier" / "sums.py").write_text(
        "def held(a, b):\n    return a + b\n\n\n"
        "def loose(a, b):\n    return a - b\n\n\n"
        "def endless(a):\n    while a > 0:\n        a = a - 1\n    return a\n"
    )
    (root / "tests" / "test_sums.py").write_text(
        "from frontier import sums\n\n\n"
        "def test_sums():\n    assert sums.held(2, 1) == 3\n    assert sums.endless(2) == 0\n"
    )
    (root / "docs" / "mutation.md").write_text(
        "# Mutants\n\n<!-- last result -->\nold\n<!-- end of last result -->\nthe end\n"
    )
    return root


def test_what_is_noticed_and_what_survives(mutate, project, capsys, monkeypatch):
    """A change that a test holds is noticed, another is not, one that never ends is stopped.

    The tree is as it was before, but for the document that is asked for.
    """
    monkeypatch.setattr(mutate, "LEAST_PATIENCE_S", 5.0)
    monkeypatch.setattr(mutate, "PATIENCE", 1.0)
    before = (project / "frontier" / "sums.py").read_text()
    mutate.main(["sums", "--sample", "99", "--root", str(project), "--write"])
    said = capsys.readouterr().out
    assert "frontier/sums.py:2  operator: a + b → a - b\n    noticed  by tests/test_sums.py" in said
    assert "frontier/sums.py:6  operator: a - b → a + b\n    SURVIVED" in said
    assert "a - 1 → a + 1\n    noticed  by the tests did not come to their end" in said
    assert (project / "frontier" / "sums.py").read_text() == before
    written = (project / "docs" / "mutation.md").read_text()
    assert "- `frontier/sums.py:6  operator: a - b → a + b`" in written
    assert "| sums |" in written
    assert "old" not in written
    assert written.endswith("the end\n")


def test_tests_that_fail_without_a_mutant_are_said(mutate, project):
    """Nothing could be learnt from them."""
    (project / "tests" / "test_sums.py").write_text(
        "from frontier import sums\n\n\ndef test_sums():\n    assert not sums.held\n"
    )
    with pytest.raises(SystemExit, match="fail without any mutant"):
        mutate.main(["sums", "--root", str(project)])
    with pytest.raises(SystemExit):
        mutate.main(["nothing", "--root", str(project)])
