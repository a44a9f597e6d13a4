"""The shipped numbers of the start model are what its fits give from the rows in data/."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from frontier.tables import load_tables

TABLES = load_tables()
_PATH = Path(__file__).resolve().parents[2] / "tools" / "refit.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("refit", _PATH)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_every_fitted_number_is_what_the_rows_give(script):
    """Shipped values are the refitted ones, rounded; each row says that it is no assumption."""
    fits = list(script.refit(TABLES))
    assert len(fits) > 30
    for fit in fits:
        assert fit.shipped == pytest.approx(fit.refitted, rel=0.01), (fit.row, fit.column)
        assert getattr(TABLES, fit.table)[fit.row].basis != "assumed"


def test_every_coefficient_of_the_profiler_is_refitted(script):
    """What is said to be derived from the profiler's runs is repeated, none left to trust."""
    refitted = {fit.row for fit in script.refit(TABLES) if fit.table == "coefficients"}
    # Means and differences of single figures, as their descriptions say.
    by_hand = {"engine_init_workers_s", "other_s", "spread_compile"}
    derived = {row.id for row in TABLES.coefficients.values() if row.source_id == "upb-profiler"}
    assert derived - by_hand == refitted


def test_the_script_prints_each_number_and_says_whether_it_agrees(script, capsys):
    """One line a number; 0 for agreement."""
    assert script.main() == 0
    printed = capsys.readouterr().out.splitlines()
    assert all("shipped" in line and "refitted" in line for line in printed)
