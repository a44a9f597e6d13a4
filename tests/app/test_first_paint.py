"""What a first visitor waits for: nothing that the first text does not need."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_COMPILER = ("numba", "llvmlite", "scipy")
_TABLES_AND_CHARTS = ("pandas", "pyarrow", "frontier.charts", "plotly.graph_objs._figure")


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("frontier.pages.shell", _COMPILER + _TABLES_AND_CHARTS),
        ("frontier.pages.home", _COMPILER),
    ],
)
def test_what_is_heavy_is_loaded_where_it_is_needed(module, heavy):
    """The bar stands without tables and charts, and no text waits for the compiler."""
    code = f"import sys, {module}; print(*[name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


_VISIT = """
import sys
from streamlit.testing.v1 import AppTest
app = AppTest.from_file("app.py", default_timeout=90).run()
assert not app.exception and not app.error
print("numba" in sys.modules or "llvmlite" in sys.modules)
print(*(element.value for element in (*app.subheader, *app.caption, *app.markdown)), sep="|")
"""


# From 3.12 on `sum` of floats is as good as exact; before, each addition is rounded.
_OTHER_SUM = """
import builtins, functools, math, operator, sys
def added(numbers, /, start=0):
    numbers = list(numbers)
    if sys.version_info < (3, 12) and any(isinstance(number, float) for number in numbers):
        return math.fsum([start, *numbers])
    return functools.reduce(operator.add, numbers, start)
builtins.sum = added
"""


@pytest.mark.parametrize("before", ["", _OTHER_SUM], ids=["this Python", "another Python's sum"])
def test_a_first_visit_simulates_nothing(before):
    """The whole first page stands, ranges and break-even too, and no compiler was loaded.

    What is shipped is found under a digest of all numbers of a plan, on each version of Python.
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", before + _VISIT],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "FRONTIER_MEMORY_MB": "1000000"},
    )
    is_loaded, said = done.stdout.split("\n", 1)
    assert is_loaded == "False"
    for words in ("by the luck of traffic and starts", "Ranges are for the luck", "wins above"):
        assert words in said, words
