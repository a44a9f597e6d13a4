"""The tables behind the charts of the Break-even page: what is drawn is what was computed."""

from __future__ import annotations

import numpy as np
import pytest

from frontier.break_even import RatePoint
from frontier.charts import tornado_chart
from frontier.charts.break_even_chart import break_even_figure, break_even_table
from frontier.charts.tornado_chart import tornado_figure, tornado_table
from frontier.charts.utilisation_chart import utilisation_figure, utilisation_table
from frontier.economics import Bar, Crossing, Swing
from frontier.rivals import ALWAYS_ON, AS_SHIPPED, CHEAPEST
from frontier.tables import load_tables

TABLES = load_tables()
FOLKLORE = tuple(TABLES.folklore.values())
FACTORS = (0.1, 1.0, 10.0)
POINTS = tuple(
    RatePoint(line, factor, usd, usd * 0.9, usd * 1.1, 60.0, factor > 5, timeout_s, replicas)
    for factor in FACTORS
    for line, usd, timeout_s, replicas in (
        (AS_SHIPPED, 400 * factor, 60.0, 20),
        (CHEAPEST, 300 * factor, 5.0, 20),
        (ALWAYS_ON, 1000.0, float("inf"), 2),
    )
)
CROSSING = Crossing(2.5, 2.4, 2.6, True)


def figure_of(crossings, requests_per_day=500.0, points=POINTS):
    table = break_even_table(points, requests_per_day=requests_per_day)
    return break_even_figure(table, crossings, requests_per_day=requests_per_day, line=AS_SHIPPED)


def words_of(figure) -> str:
    return " ".join(annotation.text for annotation in figure.layout.annotations)


def test_rates_are_the_factors_times_the_traffic():
    """A row for each point; requests a day scale with the factor, dollars are left as they are."""
    table = break_even_table(POINTS, requests_per_day=500.0)
    assert len(table) == len(POINTS)
    np.testing.assert_allclose(table["requests_per_day"], table["traffic_factor"] * 500)
    assert table["usd_per_month"].tolist() == [point.usd_per_month for point in POINTS]
    rival = table[table["line"] == ALWAYS_ON]
    assert set(rival["replicas"]) == {2}
    assert rival["idle_timeout_s"].isna().all()


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_the_words_of_crossings_side_by_side_do_not_meet(count):
    """Each stands in a row of its own above the lines, however near the rates are."""
    crossings = [
        Crossing(0.2 + at / 100, 0.199 + at / 100, 0.201 + at / 100, True) for at in range(count)
    ]
    figure = figure_of(crossings)
    heights = [note.y for note in figure.layout.annotations if "break-even" in note.text]
    top = figure.layout.yaxis.range[1]
    assert len(heights) == count
    # Two lines of 12 px in a plot of about 300.
    assert np.diff(sorted(heights)).min(initial=top) >= 0.1 * top
    assert min(heights) - 0.1 * top >= max(point.usd_per_month for point in POINTS) * 0.99


def test_a_point_over_the_limit_is_hollow_and_its_line_not_solid():
    """Of each line the solid trace has a value exactly where the limit is held."""
    figure = figure_of([CROSSING])
    solid = [t for t in figure.data if t.mode == "lines" and t.line.dash is None]
    marks = [t for t in figure.data if t.mode == "markers" and t.name]
    assert len(solid) == len(marks) == 3
    for line, points in zip(solid, marks, strict=True):
        assert [not np.isnan(y) for y in line.y] == [factor > 5 for factor in FACTORS]
        assert ["open" not in symbol for symbol in points.marker.symbol] == [
            factor > 5 for factor in FACTORS
        ]
    assert len({t.marker.color for t in marks}) == 3
    assert len({t.marker.symbol[-1] for t in marks}) == 3


def test_a_break_even_is_marked_with_its_range_and_its_absence_is_said():
    """The crossing stands at its rate within a band from low to high; without one, words."""
    figure = figure_of([CROSSING])
    (mark,) = [t for t in figure.data if t.mode == "markers" and not t.name]
    assert mark.x[0] == pytest.approx(1250)
    # Between the two points beside it, on the axis as it is drawn.
    assert mark.y[0] == pytest.approx(400 + 3600 * np.log(2.5) / np.log(10))
    bands = [(s.x0, s.x1) for s in figure.layout.shapes if s.type == "rect"]
    assert bands == [(pytest.approx(1200), pytest.approx(1300))]
    assert "1,250" in words_of(figure)
    assert "no break-even" not in words_of(figure)
    without = figure_of([])
    assert "no break-even" in words_of(without)
    assert "500 a day" in words_of(without)
    assert not [s for s in without.layout.shapes if s.type == "rect"]


@pytest.mark.parametrize("requests_per_day", [0.02, 3.0, 2e6])
def test_any_traffic_has_ticks_on_its_axis(requests_per_day):
    """From one request in weeks to millions a day: some tick, and not more than six."""
    axis = figure_of([CROSSING], requests_per_day).layout.xaxis
    assert 1 <= len(axis.tickvals) <= 6
    low, high = axis.range
    assert all(low <= np.log10(tick) <= high for tick in axis.tickvals)


def test_the_own_number_stands_beside_the_rules_of_thumb_with_their_sources():
    """Every rule of thumb of the table is there with both its ends and a source that resolves."""
    table = utilisation_table(0.528, 0.37, 0.03, FOLKLORE)
    told = table[table["mark"] == "told"]
    assert told["label"].tolist() == [row.label for row in FOLKLORE]
    assert told["low"].tolist() == [row.utilisation_low for row in FOLKLORE]
    assert told["high"].tolist() == [row.utilisation_high for row in FOLKLORE]
    assert set(told["source_id"]) <= set(TABLES.sources)
    computed = table[table["mark"] != "told"]
    assert computed["low"].tolist() == [0.528, 0.37, 0.03]
    words = words_of(utilisation_figure(table))
    assert "52.8 %" in words
    assert all(row.label in words for row in FOLKLORE)


def test_a_ceiling_beyond_all_time_stays_on_the_scale_with_its_number():
    """1,690 % is drawn at the end of the scale, with an arrow; nothing is tinted as always-on's."""
    figure = utilisation_figure(utilisation_table(16.9, 0.4, 0.01, FOLKLORE))
    assert max(x for trace in figure.data for x in trace.x) == 1.0
    assert "1,690 % →" in words_of(figure)
    assert not figure.layout.shapes


BARS = (
    Bar(Swing("idle_timeout_s", "Idle timeout", "s", 2, 60, 1200), -550.0, 580.0),
    Bar(Swing("price", "Price", "$/GPU-h", 1, 2, 3), -80.0, -620.0),
)


def test_the_bars_of_a_tornado_reach_from_the_base_to_both_ends():
    """Base plus length is the result at that end, for every input, to whichever side it lies."""
    table = tornado_table(BARS, -350.0)
    assert table["spread_usd"].tolist() == [1130.0, 540.0]
    figure = tornado_figure(table, [("2 s", "20 min"), ("$1", "$3")])
    low, high = figure.data
    np.testing.assert_allclose(np.array(low.x) + low.base, table["usd_at_low"])
    np.testing.assert_allclose(np.array(high.x) + high.base, table["usd_at_high"])
    # The zero at which the verdict flips is always in view, and both ends are told apart
    # without their colours.
    assert figure.layout.xaxis.range[0] < -620
    assert figure.layout.xaxis.range[1] > 580
    assert low.marker.pattern.shape != high.marker.pattern.shape


def test_a_tornado_in_which_nothing_moves_can_be_drawn():
    """A gap of zero and bars without length still have an axis with two ends."""
    bar = Bar(Swing("x", "X", "s", 1, 2, 3), 0.0, 0.0)
    left, right = tornado_figure(tornado_table([bar], 0.0), [("1 s", "3 s")]).layout.xaxis.range
    assert left < right


def test_no_line_of_a_tornado_crosses_a_label():
    """Every line ends with the bar of its row, so the words above that are free at any width."""
    figure = tornado_figure(tornado_table(BARS, -350.0), [("2 s", "20 min"), ("$1", "$3")])
    half = figure.data[0].width / 2
    lines = [(shape.x0, shape.x1, shape.y0, shape.y1) for shape in figure.layout.shapes]
    assert lines == [(x, x, y - half, y + half) for x in (-350.0, 0.0) for y in (0, 1)]
    # A row is at most so high, for the axis and its title take a part of the figure.
    row_px = tornado_chart._ROW_PX
    assert all(
        label.yshift - label.font.size / 2 >= half * row_px for label in figure.layout.annotations
    )
