"""Growth on the What-if page and on the command line: the same months, one line for a mistake."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from frontier.cli import main
from tests.app.test_pages import _run_page

_SCENARIO = [
    "--model=Llama-3.1-8B-Instruct",
    "--serverless=modal-l40s",
    "--dedicated=crusoe-l40s",
]


@pytest.fixture
def trace_file(tmp_path):
    """Write two days of sparse requests in the product's own columns."""
    times = np.sort(np.random.default_rng(3).uniform(0, 2 * 86_400, 200))
    path = tmp_path / "trace.csv"
    pd.DataFrame({"timestamp": times, "prompt_tokens": 800, "output_tokens": 200}).to_csv(
        path, index=False
    )
    return path


def grow(trace_file, *told):
    return main(["growth", f"--trace={trace_file}", *_SCENARIO, *told])


def test_the_page_says_when_it_turns_and_what_the_months_cost():
    """A link with a plan of growth opens it: headline, budget, chart; its choices stay in it."""
    app = _run_page(
        "frontier.pages.what_if",
        "internal-rag",
        question="growth",
        growth="20",
        growth_months="3",
        launches="1",
        launch1_month="2",
        launch1_factor="3",
        price_steps="1",
        step1_month="3",
        step1_factor="0.5",
    )
    assert not app.exception
    assert not app.warning
    assert "p99 ≤ 2 s" in app.subheader[0].value
    assert any("Budget of 3 months" in item.value for item in app.markdown)
    assert {"growth", "launch1_factor", "step1_month"} <= set(app.query_params)
    made = app.session_state["growth_made"][2]
    assert [month.factor for month in made.months] == [1.0, 3.6, 4.32]
    steady = [month.points["always-on"].usd for month in made.months]
    assert steady[2] == pytest.approx(steady[0] / 2)


def test_the_command_prints_the_months_and_writes_them(trace_file, tmp_path, capsys):
    """A table a line, the sentences above it, and a CSV with a row for each month and line."""
    out = tmp_path / "growth.csv"
    told = ("--per-month=50", "--months=3", "--first=2027-01", "--season=3=2", f"--out={out}")
    assert grow(trace_file, *told) == 0
    printed = capsys.readouterr().out
    assert "Budget of 3 months" in printed
    table = pd.read_csv(out)
    assert set(table["month"]) == {1, 2, 3}
    assert table[table["month"] == 3]["traffic_factor"].unique().tolist() == [4.5]
    assert set(table["first_day"]) == {"2027-01-01", "2027-02-01", "2027-03-01"}


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ("--first=soon", "--first: expected YYYY-MM, found 'soon'"),
        ("--launch=factor=2", "--launch: the month is missing"),
        ("--launch=month=2,size=3", "--launch: expected month, factor, added, fade"),
        ("--price-step=month=2", "--price-step: the factor is missing"),
        ("--price-step=month=2,factor=two", "--price-step: expected a number, found 'two'"),
        ("--season=13=2", "--season: expected 1, 2"),
        ("--months=99", "Expected months from 1 to 36, found 99"),
    ],
)
def test_a_mistake_is_one_line(trace_file, capsys, told, words):
    """What cannot be read is refused with what was expected and what was found."""
    assert grow(trace_file, told) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
