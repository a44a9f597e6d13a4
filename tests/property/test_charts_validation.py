"""The chart of predicted against measured, and its table."""

from __future__ import annotations

import numpy as np
import pytest

from frontier.charts.validation_chart import KIND_MARKS, validation_figure, validation_table
from frontier.validation import Comparison

COLUMNS = [
    *("kind", "group", "label", "predicted", "measured", "unit"),
    *("signed_error", "used_in_fit", "source_id"),
]


def rows():
    rng = np.random.default_rng(4)
    for index in range(40):
        measured = float(10 ** rng.uniform(-3, 3))
        yield Comparison(
            kind="start" if index % 2 else "speed",
            group=f"group {index % 3}",
            label=f"case {index}",
            predicted=measured * float(rng.uniform(0.3, 3)),
            measured=measured,
            unit="s",
            used_in_fit=index % 5 < 2,
            source_id="inferencex",
        )


def test_the_table_has_every_case_once_and_those_kept_back_first():
    """One row a case, errors recomputed from the row, no used one before a kept-back one."""
    table = validation_table(rows())
    assert list(table.columns) == COLUMNS
    assert sorted(table["label"]) == sorted(row.label for row in rows())
    np.testing.assert_allclose(table["signed_error"], table["predicted"] / table["measured"] - 1)
    assert table["used_in_fit"].is_monotonic_increasing


def test_every_case_is_one_point_and_the_band_is_a_factor_of_two():
    """The points of all marks together are the table; both axes are logarithmic and alike."""
    table = validation_table(rows())
    figure = validation_figure(table)
    points = [trace for trace in figure.data if trace.mode == "markers"]
    drawn = sorted((x, y) for trace in points for x, y in zip(trace.x, trace.y, strict=True))
    assert drawn == sorted(zip(table["measured"], table["predicted"], strict=True))
    assert {trace.marker.symbol.removesuffix("-open") for trace in points} == {
        mark.symbol for mark in KIND_MARKS.values()
    }
    band = figure.data[0]
    ratio = np.array(band.y) / np.array(band.x)
    np.testing.assert_allclose(ratio, [2, 2, 0.5, 0.5])
    assert figure.layout.xaxis.type == figure.layout.yaxis.type == "log"
    assert figure.layout.xaxis.range == figure.layout.yaxis.range
    low, high = 10 ** np.array(figure.layout.xaxis.range)
    assert low < table[["predicted", "measured"]].min().min()
    assert high > table[["predicted", "measured"]].max().max()


@pytest.mark.parametrize("used", [True, False])
def test_what_was_used_in_a_fit_is_hollow(used):
    """Filled points are kept back, hollow ones were used; the legend says so."""
    table = validation_table(row for row in rows() if row.used_in_fit is used)
    for trace in validation_figure(table).data:
        if trace.mode == "markers":
            assert trace.marker.symbol.endswith("-open") is used
            assert ("used in a fit" in trace.name) is used
