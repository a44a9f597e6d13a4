"""The tables behind the charts of the Cold start page: what is drawn is what was computed."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from frontier.charts.mitigations_chart import mitigations_chart_figure, mitigations_chart_table
from frontier.charts.start_waterfall import (
    WARM,
    WHOLE,
    start_waterfall_figure,
    start_waterfall_table,
)
from frontier.start.labels import STAGE_LABELS
from frontier.start.predict import start_inputs_for
from frontier.start.stages import STAGES
from frontier.sweep import start_normals
from frontier.tables import load_tables

TABLES = load_tables()
NORMALS = start_normals(TABLES)


def start_of(platform: str, **changes):
    return start_inputs_for(
        platform, "Llama-3.1-8B-Instruct", "L40S", "bf16", tables=TABLES, **changes
    ).predict(TABLES)


STARTS = {
    "overlapped": start_of("modal"),
    "one after the other": start_of("runpod"),
    "pull beside fetch": start_of("sagemaker"),
    "fetch beside the engine": start_of("modal", fetch_workers=4, fetch_overlaps_init=True),
    "measured as a whole": start_of("modal").with_measured("total", (40.0, 60.0, 200.0)),
    "not all measured": start_of("modal", allocate_s=None),
}


def _bars(figure):
    """Return the bars that stand for stages, without those that only fill the legend."""
    return [bar for bar in figure.data if bar.type == "bar" and bar.base is not None]


def table_of(start, warm_s=0.3):
    return start_waterfall_table(start, NORMALS, warm_s=warm_s).set_index("stage")


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_bars_fill_the_start_without_a_gap(start):
    """The last stage ends when the start does, and at any moment some stage is running."""
    stages = table_of(start).loc[list(STAGES)].dropna(subset="seconds")
    assert stages["end_s"].max() == pytest.approx(start.typical_s)
    done = 0.0
    for begin, end in sorted(zip(stages["begin_s"], stages["end_s"], strict=True)):
        assert begin <= done + 1e-9
        done = max(done, end)
    np.testing.assert_allclose(stages["end_s"] - stages["begin_s"], stages["seconds"])


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_shares_add_up_and_the_warm_path_stands_on_the_same_scale(start):
    """Shares of the wall clock make one; the warm row begins at 0 and is in the same seconds."""
    table = table_of(start, warm_s=0.25)
    assert table.loc[list(STAGES), "share"].sum() == pytest.approx(1.0)
    assert table.loc[WARM, "end_s"] == 0.25
    assert table.loc[WARM, "share"] == pytest.approx(0.25 / start.typical_s)
    assert table.loc[WHOLE, "seconds"] == pytest.approx(start.typical_s)


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_the_range_is_that_of_the_starts_that_are_simulated(start):
    """One start in twenty is quicker than the low end, one in twenty slower than the high end."""
    total_s = start.draw(NORMALS).total_s
    whole = table_of(start).loc[WHOLE]
    assert np.mean(total_s < whole["low_s"]) <= 0.05
    assert np.mean(total_s > whole["high_s"]) <= 0.05
    assert whole["low_s"] <= whole["seconds"] <= whole["high_s"]


def test_stages_of_a_group_begin_together_and_others_follow():
    """A memory map reads and copies at once; a download is over before the copy begins."""
    mapped, downloaded = table_of(STARTS["overlapped"]), table_of(STARTS["one after the other"])
    assert mapped.loc["fetch", "begin_s"] == mapped.loc["load", "begin_s"]
    assert downloaded.loc["load", "begin_s"] == pytest.approx(downloaded.loc["fetch", "end_s"])


def test_an_unmeasured_stage_is_named_and_has_no_bar():
    """It reads "not measured", never 0 s, in the table and beside the axis."""
    table = start_waterfall_table(STARTS["not all measured"], NORMALS, warm_s=0.3)
    row = table.set_index("stage").loc["allocate"]
    assert row["basis"] == "not measured"
    assert math.isnan(row["seconds"])
    figure = start_waterfall_figure(table)
    assert "<b>GPU allocation</b><br>not measured" in figure.layout.yaxis.ticktext
    drawn = [label for bar in _bars(figure) for label in bar.y]
    assert STAGE_LABELS["allocate"] not in drawn


def test_each_bar_says_its_seconds_and_basis_beside_colour():
    """Every drawn stage has its seconds and basis in words and the pattern of its basis."""
    start = STARTS["overlapped"].with_measured("compile", 20.0)
    table = start_waterfall_table(start, NORMALS, warm_s=0.3)
    figure = start_waterfall_figure(table)
    words = dict(zip(figure.layout.yaxis.tickvals, figure.layout.yaxis.ticktext, strict=True))
    for row in table[table["basis"] != ""].itertuples():
        assert row.basis in words[row.label]
    pattern_of = {label: bar.marker.pattern.shape for bar in _bars(figure) for label in bar.y}
    shapes = {
        row.basis: {pattern_of[row.label]}
        for row in table[table["basis"] != ""].itertuples()
        if row.seconds > 0
    }
    assert len(shapes) == 3
    assert len(set().union(*shapes.values())) == 3


def test_a_stage_that_does_not_happen_takes_no_row_of_the_figure():
    """An image on the node needs no pull: it is in the table with 0 s and not on the chart."""
    table = start_waterfall_table(STARTS["one after the other"], NORMALS, warm_s=0.3)
    assert table.set_index("stage").loc["pull", "seconds"] == 0
    assert STAGE_LABELS["pull"] not in start_waterfall_figure(table).layout.yaxis.tickvals


def _tried():
    return pd.DataFrame(
        {
            "label": ["Nothing done", "Slow", "Refuses", "Quick", "Warm"],
            "start_s": [80.0, 90.0, 80.0, 40.0, 80.0],
            "saved_s": [0.0, -10.0, 0.0, 40.0, 0.0],
            "p99_ttft_s": [110.0, 120.0, math.inf, 60.0, 0.5],
            "usd_per_month": [650.0, 700.0, 100.0, 600.0, 2000.0],
        }
    )


def test_mitigations_are_in_the_order_of_their_p99_and_the_infinite_is_left_to_the_table():
    """The quickest stands first; one that refuses its p99 has no place on the axis."""
    table = mitigations_chart_table(_tried())
    assert list(table["label"]) == ["Warm", "Quick", "Nothing done", "Slow"]
    assert list(table["kind"]) == ["replicas", "start", "nothing", "start"]
    assert list(table["efficient"]) == [True, True, False, False]


@pytest.mark.parametrize("base_s", [110.0, math.inf])
def test_each_mitigation_is_one_point_at_its_cost_and_p99(base_s):
    """What the figure shows is the table, whether or not doing nothing has a finite p99."""
    tried = _tried()
    tried.loc[0, "p99_ttft_s"] = base_s
    table = mitigations_chart_table(tried)
    figure = mitigations_chart_figure(table, slo_p99_ttft_s=2.0)
    points = {
        point
        for dot in figure.data
        if dot.mode == "markers"
        for point in zip(dot.x, dot.y, strict=True)
    }
    assert points == set(zip(table["usd_per_month"], table["p99_ttft_s"], strict=True))
    named = {note.text for note in figure.layout.annotations} - {"limit 2 s"}
    expected = {"<b>Warm</b>", "<b>Quick</b>"}
    assert named == (expected | {"<b>Nothing done</b>"} if math.isfinite(base_s) else expected)


def test_names_on_the_chart_of_mitigations_do_not_overlap():
    """Thirty points of nearly one p99: the names of the efficient ones are moved apart."""
    many = pd.DataFrame(
        {
            "label": [f"Way {n}" for n in range(8)],
            "start_s": 50.0,
            "saved_s": 1.0,
            "p99_ttft_s": [60.0 - n / 10 for n in range(8)],
            "usd_per_month": [500.0 + n for n in range(8)],
        }
    )
    figure = mitigations_chart_figure(mitigations_chart_table(many), slo_p99_ttft_s=2.0)
    low, high = figure.layout.yaxis.range
    heights = sorted(
        (note.ay - low) / (high - low) for note in figure.layout.annotations if note.showarrow
    )
    assert len(heights) == 8
    # Of an axis of some 350 px, 9 % are two lines of 12 px and more.
    assert min(b - a for a, b in itertools.pairwise(heights)) > 0.085
    assert 0 < heights[0] < heights[-1] < 1


def test_a_measured_whole_start_keeps_the_proportions_of_its_stages():
    """The stages share out the measured total as the model has them."""
    model, whole = STARTS["overlapped"], STARTS["measured as a whole"]
    ratio = whole.typical_s / model.typical_s
    np.testing.assert_allclose(
        table_of(whole).loc[list(STAGES), "end_s"],
        table_of(model).loc[list(STAGES), "end_s"] * ratio,
    )
