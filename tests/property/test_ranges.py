"""Laws of ranges: what their bounds are taken from, and when a plan is called not sure."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontier.errors import InputError
from frontier.ranges import (
    HOLDS,
    LUCK,
    MISSES,
    NOT_SURE,
    PlanRange,
    Range,
    Ranges,
    beyond,
    range_of,
)


def test_a_range_runs_upwards():
    """Bounds the wrong way round, or not a number, are refused."""
    for low, high in ((2.0, 1.0), (math.nan, 1.0)):
        with pytest.raises(InputError):
            Range(low, high)


def test_a_plan_is_not_sure_exactly_where_its_range_crosses_the_limit():
    """What equals the limit holds it, as everywhere."""
    assert Range(0.5, 2.0).state(2.0) == HOLDS
    assert Range(0.5, 2.1).state(2.0) == NOT_SURE
    assert Range(2.0, 2.1).state(2.0) == NOT_SURE
    assert Range(2.01, math.inf).state(2.0) == MISSES
    assert Range(0.5, 2.1).crosses(2.0)
    assert not Range(0.5, 2.0).crosses(2.0)


@given(
    st.lists(st.floats(0.0, 1e6) | st.just(math.inf), min_size=1, max_size=60),
    st.floats(0.001, 0.499),
)
def test_a_range_lies_within_its_values_and_is_wider_with_smaller_tails(values, tail):
    """No bound is outside what happened, none is not a number, whatever was refused."""
    found, wider = range_of(values, tail), range_of(values, tail / 2)
    assert min(values) <= wider.low <= found.low <= found.high <= wider.high <= max(values)


def test_a_range_of_numbers_in_a_row():
    """Of 1 to 99, 5 % at either end are 5 and 95: the rule (n + 1) p."""
    assert range_of(np.arange(1.0, 100.0), 0.05) == Range(5.0, 95.0)


def test_a_difference_pairs_the_replications():
    """Two plans that move together differ by less than either moves."""
    first = np.linspace(100.0, 200.0, 41)

    def plan(plan_id, usd):
        return PlanRange(plan_id, usd, usd / 100, range_of(usd, 0.05), range_of(usd / 100, 0.05))

    found = Ranges(
        LUCK, 0.9, 0.05, {p.plan_id: p for p in (plan("a", first), plan("b", first + 7))}
    )
    difference = found.difference("a", "b")
    assert difference is not None
    assert difference.usd_per_month == Range(-7.0, -7.0)
    assert difference.cheaper_share == 1.0
    assert found.difference("a", "unknown") is None
    assert found.plans["a"].holds_share(1.5) == pytest.approx(21 / 41)


@pytest.mark.parametrize("requests", [1, 99, 100, 101, 3555, 10_000])
def test_as_many_lie_beyond_as_come_after_the_observed_percentile(requests):
    """Of distinct values, those greater than the percentile that is shown."""
    values = np.arange(requests, dtype=float)
    p99 = np.percentile(values, 99, method="inverted_cdf")
    assert beyond(requests) == int((values > p99).sum())
