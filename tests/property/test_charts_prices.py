"""The table and figure of prices: every offer is in it or counted, and the axis holds them all."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontier.charts.prices_chart import prices_chart_figure, prices_chart_table
from frontier.tables import load_tables

TABLES = load_tables()
MOST_ROWS = int(TABLES.setting("chart_most_rows"))
MOST_POINTS = int(TABLES.setting("chart_most_points"))
KINDS = ("serverless", "dedicated", "reserved", "spot")


def frame(rows):
    return pd.DataFrame(rows, columns=["gpu", "provider", "kind", "usd_per_gpu_h"])


SHIPPED = frame([(o.gpu, o.provider, o.kind, o.usd_per_gpu_h) for o in TABLES.offers.values()])

offers = st.lists(
    st.tuples(
        st.sampled_from([f"GPU {number}" for number in range(9)]),
        st.sampled_from([f"Seller {number}" for number in range(9)]),
        st.sampled_from(KINDS),
        st.floats(0.0001, 1000).map(lambda usd: round(usd, 4)),
    ),
    min_size=1,
    max_size=60,
).map(frame)


@settings(max_examples=60)
@given(offers, st.sampled_from(["gpu", "provider"]), st.integers(1, 12), st.integers(1, 70))
def test_every_offer_is_drawn_or_counted(found, by, most_rows, most_points):
    """Offers drawn and left out add up; nothing is drawn that is not among the offers."""
    table = prices_chart_table(found, by=by, most_rows=most_rows, most_points=most_points)
    assert table["offers"].sum() + table.attrs["left_out"] == len(found)
    given_rows = set(found.itertuples(index=False, name=None))
    assert set(table[list(found.columns)].itertuples(index=False, name=None)) <= given_rows
    assert table["row"].nunique() == min(most_rows, found[by].nunique())
    # Two of each row and kind are always drawn.
    groups = table.groupby(["row", "kind"]).ngroups
    assert len(table) <= max(most_points, 2 * groups)


@settings(max_examples=60)
@given(offers, st.sampled_from(["gpu", "provider"]), st.integers(1, 70))
def test_the_lowest_price_of_a_row_is_always_drawn_and_rows_follow_it(found, by, most_points):
    """However few points there may be: first of its row stands the lowest, and rows ascend."""
    table = prices_chart_table(found, by=by, most_rows=9, most_points=most_points)
    first = table.drop_duplicates("row").set_index("row")["usd_per_gpu_h"]
    lowest = found.groupby(by)["usd_per_gpu_h"].min()
    assert first.to_dict() == lowest.to_dict()
    assert first.is_monotonic_increasing


@settings(max_examples=60)
@given(offers)
def test_the_axis_runs_from_a_round_price_to_a_round_price_around_all(found):
    """Ticks are 1, 2 and 5 of a decade; no price lies beyond the outermost; some are labelled."""
    table = prices_chart_table(found, by="gpu", most_rows=9, most_points=100)
    axis = prices_chart_figure(table).layout.xaxis
    ticks = np.array(axis.tickvals)
    assert axis.type == "log"
    assert len(ticks) == len(axis.ticktext) >= 2
    leading = ticks / 10.0 ** np.floor(np.log10(ticks * (1 + 1e-12)))
    assert all(min(abs(digit - round_) for round_ in (1, 2, 5)) < 1e-9 for digit in leading)
    assert ticks[0] <= found["usd_per_gpu_h"].min()
    assert ticks[-1] >= found["usd_per_gpu_h"].max()
    assert axis.range[0] < math.log10(ticks[0])
    assert axis.range[1] > math.log10(ticks[-1])
    assert 1 <= sum(bool(words) for words in axis.ticktext) <= 9


@pytest.mark.parametrize("by", ["gpu", "provider"])
def test_all_that_ships_is_drawn_with_few_points(by):
    """Nothing is left out of the shipped offers, and each mark stands once in its kind's trace."""
    table = prices_chart_table(SHIPPED, by=by, most_rows=MOST_ROWS, most_points=MOST_POINTS)
    assert table.attrs["left_out"] == 0
    assert len(table) < MOST_POINTS <= 5000
    drawn = prices_chart_figure(table)
    assert sum(len(trace.x) for trace in drawn.data) == len(table)
    lowest = table.drop_duplicates("row")
    other = "provider" if by == "gpu" else "gpu"
    for words, (_, row) in zip(drawn.layout.yaxis.ticktext, lowest.iterrows(), strict=True):
        assert row[other] in words


def test_beneath_a_provider_stands_the_kind_where_all_are_of_one_gpu():
    """The name of the only GPU beside every price would say nothing."""
    found = SHIPPED[SHIPPED["gpu"] == "L40S"]
    table = prices_chart_table(found, by="provider", most_rows=MOST_ROWS, most_points=MOST_POINTS)
    ticks = prices_chart_figure(table).layout.yaxis.ticktext
    assert not any("L40S" in words for words in ticks)
    assert any("by the hour" in words for words in ticks)
    assert any("serverless" in words for words in ticks)


def test_a_table_of_twenty_thousand_prices_is_thinned_and_said():
    """A large price table of one's own: at most so many marks, the ends of each row among them."""
    rng = np.random.default_rng(1)
    many = frame(
        [
            (f"GPU {n % 20}", f"Seller {n % 300}", KINDS[n % 4], usd)
            for n, usd in enumerate(np.round(rng.lognormal(0, 1, 20_000), 4).tolist())
        ]
    )
    table = prices_chart_table(many, by="gpu", most_rows=MOST_ROWS, most_points=MOST_POINTS)
    assert len(table) <= MOST_POINTS
    assert table.attrs["left_out"] > 0
    ends = many.groupby(["gpu", "kind"])["usd_per_gpu_h"].agg(["min", "max"])
    drawn = table.groupby(["gpu", "kind"])["usd_per_gpu_h"].agg(["min", "max"])
    pd.testing.assert_frame_equal(ends, drawn)
    by_seller = prices_chart_table(
        many, by="provider", most_rows=MOST_ROWS, most_points=MOST_POINTS
    )
    assert by_seller["row"].nunique() == MOST_ROWS
