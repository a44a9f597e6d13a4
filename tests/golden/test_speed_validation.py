"""Published speeds against the model, as it is; most rows here were used for no coefficient."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest

from frontier.serving.validate import of_stage, validate_speed
from frontier.tables import load_tables
from frontier.validation import Comparison, overall, report, summarise

TABLES = load_tables()
ROWS = validate_speed(TABLES)
sys.path.append(str(Path(__file__).resolve().parents[2] / "tools"))
import refit_speed  # noqa: E402


def test_each_figure_of_each_row_is_compared_once():
    """Nothing published is left out of the comparison, and nothing is in it twice."""
    figures = ("ttft_s", "tpot_s", "output_tokens_per_s", "elapsed_s")
    published = sum(
        getattr(point, name) is not None
        for point in TABLES.serving_points.values()
        for name in figures
    )
    stages = TABLES.serving_stages.values()
    published += sum(2 + (stage.ttft_mean_s is not None) for stage in stages)
    assert len(ROWS) == published
    assert len({(row.label, row.source_id) for row in ROWS}) == len(ROWS)
    for row in ROWS:
        assert row.kind == "speed"
        assert row.predicted > 0
        assert row.measured > 0


def test_a_source_is_either_fitted_to_or_kept_back():
    """Rows of one page share its machine and its habits: they are on one side together."""
    used = {row.source_id for row in ROWS if row.used_in_fit}
    kept_back = {row.source_id for row in ROWS if not row.used_in_fit}
    assert not used & kept_back
    assert len(kept_back) >= 8


def test_speeds_kept_back_are_predicted_within_the_errors_stated():
    """At most 15 % in the median and a bias within 8 %, on sources that no coefficient knows.

    Single rows are worse and stay in the table: first tokens after short prompts, and a node of
    eight GPUs at 400 requests.
    """
    (kept_back,) = (s for s in overall(ROWS) if not s.used_in_fit)
    assert kept_back.cases >= 40
    assert kept_back.median_error <= 0.15
    assert abs(kept_back.bias) <= 0.08
    allowed = {"decode": 0.12, "whole batch": 0.12, "throughput": 0.18, "first token": 0.35}
    for summary in summarise(ROWS):
        if not summary.used_in_fit and summary.group in allowed:
            assert summary.median_error <= allowed[summary.group], summary


def test_speeds_used_in_the_fit_are_met():
    """Decode within 10 % in the median, first tokens within 15 %, and no group leans."""
    for summary in summarise(ROWS):
        if summary.used_in_fit and "under a rate" not in summary.group:
            first = summary.group.startswith("first token")
            assert summary.median_error <= (0.15 if first else 0.10), summary
            assert abs(summary.bias) <= 0.08, summary


def test_measured_loads_are_met_by_the_simulation():
    """Sixteen loads of vLLM on an H100: TPOT within 15 %, first tokens within 25 %, none leaning.

    Only the mean at 20 requests a second of the 70B model is missed: of a queue that the engine
    had (a p99 of 1 s beside a median of 0.07 s) and a steady rate has not.
    """
    groups = {s.group: s for s in summarise(ROWS) if "under a rate" in s.group and s.used_in_fit}
    tpot = groups.pop("decode under a rate")
    assert tpot.cases == 16
    assert tpot.median_error <= 0.15
    assert tpot.largest_error <= 0.16
    assert set(groups) == {"first token under a rate", "mean first token under a rate"}
    for summary in groups.values():
        assert summary.median_error <= 0.15, summary
        assert abs(summary.bias) <= 0.08, summary
    missed = [
        row.label
        for row in ROWS
        if row.group in groups and row.used_in_fit and abs(row.signed_error) > 0.25
    ]
    assert len(missed) == 1
    assert "Llama-2-70B" in missed[0]
    assert missed[0].endswith("20 requests/s of 575/246: mean TTFT")


def test_a_load_whose_prompts_were_all_new_would_be_missed():
    """The cache is in the comparison: without it a prompt of 592 tokens takes many times as long.

    At 20 requests a second Llama-2-7B was measured at 52 ms; it cannot read that many tokens.
    """
    stage = TABLES.serving_stages["Llama-2-7B/1/general/20"]
    (measured,) = (row for row in of_stage(stage, TABLES) if row.label.endswith("mean TTFT"))
    whole = dataclasses.replace(stage, new_prompt_tokens=stage.prompt_tokens)
    (missed,) = (row for row in of_stage(whole, TABLES) if row.label.endswith("mean TTFT"))
    assert abs(measured.signed_error) < 0.25
    assert missed.predicted > 2 * measured.predicted


def test_the_shipped_coefficients_are_what_the_script_fits():
    """Whoever adds a row and refits starts from the numbers in the table, not from others."""
    found = refit_speed.refit(TABLES)
    for name, value in found.items():
        row = TABLES.coefficients[name]
        # Two digits are shipped: a last one may fall either way on another machine.
        assert value == pytest.approx(row.value, rel=0.05), name
        assert row.low <= value <= row.high, name
        assert row.basis == "derived", name


def test_kept_back_groups_come_first_and_errors_are_signed():
    """A summary is by hand; too slow is above 0, too fast below, and half of each cancels."""

    def row(predicted, measured, used, group="decode"):
        return Comparison("speed", group, "case", predicted, measured, "s", used, "inferencex")

    rows = [row(1.0, 1.0, True), row(1.2, 1.0, False), row(0.9, 1.0, False), row(0.5, 1.0, False)]
    first, second = summarise(rows)
    assert (first.used_in_fit, second.used_in_fit) == (False, True)
    assert first.cases == 3
    assert first.median_error == pytest.approx(0.2)
    assert first.bias == pytest.approx(-0.1)
    assert first.largest_error == pytest.approx(0.5)
    lines = report(rows).splitlines()
    assert lines[0].endswith("kept back")
    assert lines[3].endswith("used in a fit")
    assert "bias -10.0%" in lines[4]


def test_the_report_names_every_case():
    """One line a case, then one a group and one for all of each kind."""
    text = report(ROWS)
    for row in ROWS:
        assert row.label in text
    assert "speed, all (kept back): median absolute error" in text
