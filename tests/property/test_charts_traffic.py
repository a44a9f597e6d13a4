"""The numbers behind the charts of the Traffic page."""

from __future__ import annotations

import datetime as dt
import math

import numpy as np
import pytest

from frontier.charts.gaps_chart import MOST_TIMEOUTS, gaps_figure, gaps_table
from frontier.charts.hour_of_week_chart import hour_of_week_figure, hour_of_week_table
from frontier.charts.rate_chart import MOST_BINS, rate_figure, rate_table
from frontier.charts.tokens_chart import tokens_figure, tokens_table
from frontier.errors import InputError
from frontier.policy import ScalingPolicy
from frontier.simulate import simulate_replicas
from frontier.trace import make_trace
from frontier.trace.model import TraceReport

DAY_S = 86_400.0
MOST_POINTS = 2_000


def trace_of(arrival_s, *, horizon_s=None, t0_utc=None, seed=2):
    """Return a trace with these arrivals and random tokens."""
    rng = np.random.default_rng(seed)
    size = len(arrival_s)
    return make_trace(
        "test",
        np.asarray(arrival_s, dtype=float),
        rng.integers(0, 5_000, size),
        rng.integers(1, 500, size),
        horizon_s=horizon_s,
        t0_utc=t0_utc,
        report=TraceReport("test", rows_read=size, kept=size),
    )


def arrivals(size, horizon_s, seed=1):
    """Return Poisson-like arrivals within a window."""
    return np.sort(np.random.default_rng(seed).uniform(0, horizon_s, size))


def points_of(figure):
    """Return the points that a figure draws."""
    return sum(
        np.asarray(drawn.z).size if drawn.type == "heatmap" else len(drawn.x)
        for drawn in figure.data
    )


@pytest.mark.parametrize("size", [1, 2, 300, 200_000])
@pytest.mark.parametrize("horizon_s", [10.0, 3_600.0, 40 * DAY_S, 900 * DAY_S])
def test_figures_stay_small_whatever_the_trace(size, horizon_s):
    """No figure draws more than 2,000 points, and bins hold every request once."""
    trace = trace_of(arrivals(size, horizon_s), horizon_s=horizon_s, t0_utc=dt.datetime.now(dt.UTC))
    rate = rate_table(trace)
    assert rate["requests"].sum() == size
    assert len(rate) <= MOST_BINS
    hours = hour_of_week_table(trace)
    assert hours["requests"].sum() == size
    assert hours["observed_s"].sum() == pytest.approx(horizon_s)
    for figure in (
        rate_figure(rate, t0_utc=trace.t0_utc),
        hour_of_week_figure(hours),
        tokens_figure(tokens_table(trace)),
        gaps_figure(gaps_table(trace.arrival_s, 1.0, horizon_s, named_s={"default": 60.0})),
    ):
        assert 0 < points_of(figure) < MOST_POINTS


def test_hours_that_were_not_observed_have_no_rate():
    """A Tuesday from 10:00 to 13:00: three hours of 168 have a rate, that of their requests."""
    t0 = dt.datetime(2026, 9, 15, 10, tzinfo=dt.UTC)
    trace = trace_of([0.0, 10.0, 4_000.0], horizon_s=3 * 3_600.0, t0_utc=t0)
    known = hour_of_week_table(trace).dropna()
    assert set(known["day"]) == {"Tue"}
    assert list(known["hour"]) == [10, 11, 12]
    assert list(known["requests_per_h"]) == [2.0, 1.0, 0.0]


def test_token_quantiles_are_observed_values_in_order():
    """Both columns never fall, run from the least to the most, and hold tokens of the trace."""
    trace = trace_of(arrivals(777, DAY_S))
    table = tokens_table(trace)
    for name in ("prompt_tokens", "output_tokens"):
        values = getattr(trace, name)
        assert table[name].is_monotonic_increasing
        assert table[name].iloc[0] == values.min()
        assert table[name].iloc[-1] == values.max()
        assert set(table[name]) <= set(values.tolist())


@pytest.mark.parametrize("timeout_s", [0.0, 7.0, 60.0, 500.0, 5_000.0])
def test_a_timeout_fares_as_in_the_simulation_with_instant_starts(timeout_s):
    """One replica with room for all and no start: cold requests and held time are simulated.

    The simulated replica serves without prompt time, each decode step as long whatever it holds.
    """
    rng = np.random.default_rng(4)
    horizon_s = DAY_S
    arrival_s = arrivals(700, horizon_s - 1_000.0, seed=8)
    steps = rng.integers(1, 40, arrival_s.size)
    run = simulate_replicas(
        arrival_s,
        np.zeros(arrival_s.size),
        steps,
        np.full(1_000, 0.5),
        policy=ScalingPolicy(max_replicas=1, idle_timeout_s=timeout_s),
        cold_start_s=[0.0],
        horizon_s=horizon_s,
    )
    table = gaps_table(arrival_s, (steps - 1) * 0.5, horizon_s, named_s={"asked": timeout_s})
    row = table[table["name"] == "asked"].iloc[0]
    held_s = sum(run.sessions[part].sum() for part in ("starting_s", "busy_s", "idle_s"))
    assert row["cold"] == len(run.sessions)
    assert row["held_share"] * horizon_s == pytest.approx(held_s)


def test_longer_timeouts_hold_more_and_chill_fewer():
    """Along the table time held never falls and cold requests never rise; shares are shares."""
    table = gaps_table(arrivals(2_000, 7 * DAY_S), 2.5, 7 * DAY_S)
    assert len(table) == MOST_TIMEOUTS
    assert table["held_share"].is_monotonic_increasing
    assert table["cold"].is_monotonic_decreasing
    assert table["cold"].min() >= 1
    assert table["held_share"].between(0, 1).all()
    assert table["cold_share"].between(0, 1).all()


def test_timeouts_of_the_same_length_share_a_row():
    """Provider and plan with one timeout are one line with both names."""
    table = gaps_table(np.array([0.0, 5.0]), 0.0, 100.0, named_s={"default": 60.0, "plan": 60.0})
    assert list(table.loc[table["name"] != "", "name"]) == ["default, plan"]
    assert len(gaps_figure(table).layout.shapes) == 1


@pytest.mark.parametrize(("bucket_s", "marked"), [(None, False), (0.5, False), (300.0, True)])
def test_what_the_buckets_hide_is_marked(bucket_s, marked):
    """A tinted region and words up to the width of the bucket, and only there."""
    figure = gaps_figure(gaps_table(np.array([0.0, 5.0]), 0.0, 100.0), bucket_s=bucket_s)
    assert bool(figure.layout.shapes) is marked
    if marked:
        assert figure.layout.shapes[0].x1 == bucket_s
        assert any("cannot be judged" in note.text for note in figure.layout.annotations)


def test_a_window_of_no_length_has_no_shares():
    """Shares of no time are refused, not divided by zero."""
    with pytest.raises(InputError, match="horizon above 0"):
        gaps_table(np.array([0.0]), 0.0, 0.0)
    assert math.isfinite(gaps_table(np.array([0.0]), 0.0, 1.0)["held_share"].max())


@pytest.mark.parametrize("size", [2, 3, 5, 300])
@pytest.mark.parametrize("seed", range(4))
def test_the_name_of_a_line_of_tokens_stands_beside_it(size, seed):
    """Of few requests the line is a stair: where it is named, none runs level to that side."""
    table = tokens_table(trace_of(arrivals(size, DAY_S), seed=seed))
    for label in tokens_figure(table).layout.annotations:
        name = "prompt_tokens" if "Prompt" in label.text else "output_tokens"
        near = (table["share_at_most"] - label.y).abs() <= 0.03
        far = np.log10(table.loc[near, name].clip(lower=1))
        to_the_right = label.xanchor == "left"
        assert (far.max() - label.x if to_the_right else label.x - far.min()) < 0.15


def test_requests_are_counted_in_whole_ones():
    """No tick of the rate lies between two counts, and there is one above 0."""
    figure = rate_figure(rate_table(trace_of([0.0, 23_400.0], horizon_s=23_400.0)))
    ticks = figure.layout.yaxis.tickvals
    assert all(float(tick).is_integer() for tick in ticks)
    assert max(ticks) >= 1
