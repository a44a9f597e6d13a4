"""What a first visitor waits for: nothing that the first text does not need."""

from __future__ import annotations

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
