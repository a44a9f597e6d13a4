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
    made, _ = app.session_state["growth_made"][2]
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
        ("--hours=night=2", "--hours: expected office, rest, others, from"),
        ("--hours=office=2", "does not say when it began"),
        ("--months=99", "Expected months from 1 to 36, found 99"),
    ],
)
def test_a_mistake_is_one_line(trace_file, capsys, told, words):
    """What cannot be read is refused with what was expected and what was found."""
    assert grow(trace_file, told) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1


_ROWS = "timestamp,prompt_tokens,output_tokens\n"


def _log(size, tokens, *, days=2.0, seed=1):
    times = np.sort(np.random.default_rng(seed).uniform(0, days * 86_400, size))
    times[[0, -1]] = 0.0, days * 86_400
    return (_ROWS + "".join(f"{at:.3f},{tokens},50\n" for at in times)).encode()


def _upload(files, page="frontier.pages.traffic", **query):
    app = _run_page(page, "upload", **query)
    own = ("prod.csv", _log(200, 900), "text/csv")
    app = app.file_uploader(key="trace_file").set_value(own).run()
    return app.file_uploader(key="more_traces").set_value(files).run()


def test_several_uploads_are_one_traffic_and_shown_by_trace():
    """A second file is added up and named; the tab has a row a trace whose cents are the bill."""
    app = _upload(
        [("staging.csv", _log(40, 300, seed=2), "text/csv")],
        "frontier.pages.home",
        view="plans",
        detail="Traffic that was read",
    )
    assert not app.exception
    assert not app.error
    choices = app.session_state["choices"]
    assert choices.together.names == ("prod", "staging")
    assert choices.trace.arrival_s.size == 240
    table = next(item.value for item in app.table if "Of the bill" in item.value.columns)
    assert table.index.tolist() == ["prod", "staging"]
    assert table["Requests"].tolist() == ["200", "40"]
    said = " ".join(item.value for item in (*app.markdown, *app.caption))
    assert "sharing is" in said
    before = choices.together.digest
    app.text_input(key=next(box.key for box in app.text_input if box.value == "staging")).set_value(
        "test system"
    ).run()
    again = app.session_state["choices"].together
    assert again.names == ("prod", "test system")
    assert again.trace == choices.trace
    assert again.digest != before


def test_traces_of_different_lengths_are_asked_about():
    """Half a day beside two days: nothing is taken for granted until somebody chooses."""
    half = [("batch.csv", _log(30, 300, days=0.5, seed=3), "text/csv")]
    app = _upload(half)
    assert not app.exception
    assert "cover different times" in app.error[0].value
    app = _upload(half, spans="silent")
    assert not app.error
    assert app.session_state["choices"].trace.horizon_s == 2 * 86_400
    app = _upload([("copy.csv", _log(200, 900), "text/csv")])
    assert "is there twice" in app.error[0].value


def test_the_command_adds_up_named_traces(trace_file, tmp_path, capsys):
    """`--trace` given twice: one answer, a row a trace, and a file with both."""
    other, out = tmp_path / "other.csv", tmp_path / "by.csv"
    other.write_bytes(_log(50, 300))
    told = ["sweep", f"--trace=prod={trace_file}", f"--trace=batch={other}", *_SCENARIO]
    assert main([*told, f"--by-trace={out}"]) == 0
    printed = capsys.readouterr().out
    assert "By trace" in printed
    table = pd.read_csv(out)
    assert table["trace"].tolist() == ["prod", "batch"]
    # The first begins a little later than the other: what lies outside is counted and said.
    lost = 250 - table["requests"].sum()
    assert f"{lost} dropped: batch: outside the time that all cover" in printed
    short = tmp_path / "short.csv"
    short.write_bytes(_log(50, 300, days=0.5))
    assert main(["sweep", f"--trace=prod={trace_file}", f"--trace=x={short}", *_SCENARIO]) == 2
    assert "Answer with --spans (common: " in capsys.readouterr().err
