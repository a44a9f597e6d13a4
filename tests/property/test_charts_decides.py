"""The charts of what decides: bars no longer than what there is to settle, shares that add up."""

from __future__ import annotations

import numpy as np
import pytest

from frontier.charts.decides_chart import (
    decides_figure,
    decides_table,
    turning_figure,
    turning_table,
)
from frontier.ranges.inputs import START
from frontier.verdict import of_hundred
from tests.property.test_decides import hanging

LIMIT_S = 60.0


@pytest.fixture(scope="module")
def found():
    return hanging(LIMIT_S).found


def test_each_input_has_a_row_with_its_range_and_what_it_settles(found):
    """Every input is there, those that settle most first; none settles more than is open."""
    table = decides_table(found)
    assert set(table["key"]) == {one.key for one in found.inputs}
    assert (table["low"] <= table["high"]).all()
    assert table["put_right_share"].is_monotonic_decreasing
    wrong = 1.0 - found.within.share(found.within.choices[0])
    assert table["put_right_share"].max() <= wrong
    by_key = {one.key: one.right_share for one in found.within.influences}
    for row in table.itertuples():
        assert row.put_right_share == by_key.get(row.key, 0.0)


def test_the_bars_are_the_shares_of_the_table_in_hundreds(found):
    """Length and label of every bar, and the line that no bar passes."""
    table = decides_table(found)
    wrong = 1.0 - found.within.share(found.within.choices[0])
    figure = decides_figure(table, wrong_share=wrong)
    (bars,) = figure.data
    assert np.asarray(bars.x) == pytest.approx(100 * table["put_right_share"])
    assert list(bars.text) == [of_hundred(share) for share in table["put_right_share"]]
    (line,) = figure.layout.shapes
    assert line.x0 == pytest.approx(100 * wrong)
    assert max(bars.x) <= line.x0 <= figure.layout.xaxis.range[1]


def test_in_each_part_of_an_input_the_shares_of_all_choices_add_up(found):
    """Every draw is in one part, and one choice is right in it."""
    table = turning_table(found, START, hanging(LIMIT_S).named)
    parts = table.groupby("part")
    assert parts["share"].sum().to_numpy() == pytest.approx(1.0)
    assert parts["draws"].first().sum() == found.draws
    ends = parts[["low", "high"]].first()
    assert (ends["low"].to_numpy()[1:] > ends["high"].to_numpy()[:-1]).all()
    for index, choice in enumerate(found.within.choices):
        own = table[table["choice"] == choice]
        expected = np.count_nonzero(found.within.chosen == index)
        assert (own["share"] * own["draws"]).sum() == pytest.approx(expected)


def test_the_columns_are_stacked_and_told_apart_by_more_than_colour(found):
    """One trace a choice, each with its own colour and pattern; a tick a part."""
    table = turning_table(found, START, hanging(LIMIT_S).named)
    figure = turning_figure(table, found.input(START))
    assert figure.layout.barmode == "stack"
    assert [trace.name for trace in figure.data] == list(dict.fromkeys(table["label"]))
    looks = {(trace.marker.color, trace.marker.pattern.shape) for trace in figure.data}
    assert len(looks) == len(figure.data)
    assert len(figure.layout.xaxis.ticktext) == table["part"].nunique()


def test_the_axis_names_the_unit_that_its_ticks_leave_out(found):
    """Seconds carry theirs; what is a number alone on its tick is said to be of something."""
    for one in found.inputs:
        table = turning_table(found, one.key, hanging(LIMIT_S).named)
        title = turning_figure(table, one).layout.xaxis.title.text
        unit = {"s": "", "$/GPU-h": ": a GPU-hour", "requests/day": ": requests a day"}.get(
            one.unit, f": {one.unit}"
        )
        assert title == f"{one.label}{unit}, from"
