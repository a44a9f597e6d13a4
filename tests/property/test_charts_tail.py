"""The numbers behind the charts of the Tail page."""

from __future__ import annotations

import dataclasses
import datetime as dt
import math

import numpy as np
import pandas as pd
import pytest

from frontier.charts.in_flight_chart import in_flight_figure, in_flight_table
from frontier.charts.replicas_chart import MOST_BINS, replicas_figure, replicas_table
from frontier.charts.tail_chart import (
    MOST_POINTS,
    slowest_percent,
    tail_figure,
    tail_table,
)
from frontier.policy import ParkedTier, ScalingPolicy
from frontier.simulate import simulate_replicas
from frontier.waits import CAUSES

RNG_SEED = 7


def run(*, parked=(), queue_timeout_s=math.inf, max_replicas=4, horizon_s=20_000.0):
    """Return arrivals and a run with scale-to-zero, some of it beyond the horizon."""
    rng = np.random.default_rng(RNG_SEED)
    arrival_s = np.sort(rng.uniform(0, 20_000, 600))
    policy = ScalingPolicy(
        max_replicas=max_replicas,
        idle_timeout_s=40.0,
        target_concurrency=2,
        parked=parked,
        queue_timeout_s=queue_timeout_s,
    )
    return arrival_s, simulate_replicas(
        arrival_s,
        rng.exponential(1.0, 600),
        rng.integers(1, 200, 600),
        [0.05, 0.06, 0.07],
        policy=policy,
        cold_start_s=[30.0, 60.0, 95.0],
        horizon_s=horizon_s,
    )


# The distribution ------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 99, 100, 101, 3556, 20_000])
def test_the_named_points_are_the_percentiles_of_the_run(n):
    """p50, p95 and p99 on the chart are the observed percentiles; shares count ranks."""
    rng = np.random.default_rng(n)
    ttft_s = rng.lognormal(0, 1, n)
    table = tail_table(ttft_s, np.ones(n, np.int8))
    result = dataclasses.replace(run()[1], ttft_s=ttft_s)
    for name, q in (("p50", 50), ("p95", 95), ("p99", 99)):
        named = table[table["percentile"] == name]
        if len(named):  # of few requests one may carry several names; the last is written
            assert named["ttft_s"].iloc[0] == result.ttft_percentile(q)
    assert len(table) <= MOST_POINTS
    for row in table.itertuples():
        assert row.share_as_slow == pytest.approx((ttft_s >= row.ttft_s).mean())
    assert table["ttft_s"].is_monotonic_decreasing
    assert table["ttft_s"].iloc[0] == ttft_s.max()
    assert table["ttft_s"].iloc[-1] == ttft_s.min()


def test_refused_requests_count_but_are_not_drawn():
    """A tenth refused: no point above the 10 % line, and none at infinity."""
    ttft_s = np.concatenate((np.linspace(1, 9, 90), np.full(10, np.inf)))
    cause = np.where(np.isinf(ttft_s), CAUSES.index("refused"), CAUSES.index("queued"))
    table = tail_table(ttft_s, cause)
    assert np.isfinite(table["ttft_s"]).all()
    assert table["share_as_slow"].min() == pytest.approx(0.11)
    assert "refused" not in set(table["cause"])
    assert set(table["percentile"]) == {"", "p50"}
    assert tail_table(np.full(5, np.inf), np.zeros(5, np.int8)).empty


@pytest.mark.parametrize(("n", "count"), [(1, 1), (100, 1), (101, 2), (3556, 36)])
def test_the_slowest_percent_is_one_in_a_hundred(n, count):
    """At least one request, and the slowest of all first; nobody left out is slower."""
    ttft_s = np.random.default_rng(n).exponential(1, n)
    slowest = slowest_percent(ttft_s)
    assert slowest.size == count
    assert ttft_s[slowest[0]] == ttft_s.max()
    left = np.delete(ttft_s, slowest)
    assert not left.size or left.max() <= ttft_s[slowest].min()


def test_shares_of_many_requests_are_ticked_in_percent_all_alike():
    """A million requests go down to a ten-thousandth of a percent, and no tick is 1e-06."""
    table = pd.DataFrame(
        {
            "ttft_s": [0.1, 1.0],
            "share_as_slow": [1.0, 1e-6],
            "cause": ["own_prompt", "own_prompt"],
            "percentile": ["", ""],
        }
    )
    ticks = tail_figure(table, slo_p99_ttft_s=2.0).layout.yaxis.ticktext
    assert list(ticks) == ["100 %", "10 %", "1 %", "0.1 %", "0.01 %", "0.001 %", "0.0001 %"]


def test_the_figure_draws_every_point_once():
    """Each row of the table is a marker, under its cause's name."""
    rng = np.random.default_rng(3)
    ttft_s, cause = rng.lognormal(0, 2, 500), rng.integers(1, 5, 500).astype(np.int8)
    table = tail_table(ttft_s, cause)
    figure = tail_figure(table, slo_p99_ttft_s=2.0)
    markers = [trace for trace in figure.data if trace.mode == "markers"]
    assert len(markers) == 4
    assert sum(len(trace.x) for trace in markers) == len(table)


# Replicas through time -------------------------------------------------------------------------


@pytest.mark.parametrize("parked", [(), (ParkedTier(500.0, 3.0),)], ids=["off", "parked"])
@pytest.mark.parametrize("horizon_s", [9_000.0, 20_000.0, 40_000.0])
def test_bins_hold_the_seconds_of_the_sessions(parked, horizon_s):
    """Replica-seconds over all bins: starting, up and parked are those of the sessions."""
    arrival_s, result = run(parked=parked, horizon_s=horizon_s)
    table = replicas_table(result, arrival_s)
    width_s = table["to_s"] - table["from_s"]
    rows = result.sessions
    for name, wanted_s in (
        ("starting", rows["starting_s"].sum()),
        ("up", rows["busy_s"].sum() + rows["idle_s"].sum()),
        ("parked", rows["parked_s"].sum()),
    ):
        assert (table[name] * width_s).sum() == pytest.approx(wanted_s, abs=1e-6), name
    assert len(table) == MOST_BINS
    assert table["to_s"].iloc[-1] == horizon_s


def test_requests_in_the_system_follow_littles_law():
    """Request-seconds over all bins: sojourns of the served, the timeout of the refused."""
    arrival_s, result = run(max_replicas=1, queue_timeout_s=20.0, horizon_s=40_000.0)
    assert result.rejected.any()
    table = replicas_table(result, arrival_s, queue_timeout_s=20.0)
    spent_s = np.where(result.rejected, 20.0, result.finish_s - arrival_s)
    width_s = table["to_s"] - table["from_s"]
    assert (table["in_system"] * width_s).sum() == pytest.approx(spent_s.sum())


def test_a_window_shows_what_the_whole_shows_there():
    """Averages over a window are those of counting replicas at many instants of it."""
    arrival_s, result = run()
    table = replicas_table(result, arrival_s, from_s=4_000.0, to_s=7_600.0)
    rows = result.sessions
    for part, from_s, to_s in (
        ("starting", rows["started_s"], rows["ready_s"]),
        ("up", rows["ready_s"], rows["ended_s"]),
    ):
        at_s = np.linspace(table["from_s"], table["to_s"], 201)
        counted = [
            np.mean([np.count_nonzero((from_s <= at) & (at < to_s)) for at in column])
            for column in at_s.T[::40]
        ]
        np.testing.assert_allclose(table[part][::40], counted, atol=0.02, err_msg=part)


def test_nothing_ever_up_is_a_flat_line():
    """A run without sessions within the window has zero replicas, and a figure."""
    arrival_s, result = run()
    table = replicas_table(result, arrival_s, from_s=0.0, to_s=arrival_s[0] / 2)
    assert not table[["starting", "up", "parked", "in_system"]].to_numpy().any()
    assert replicas_figure(table).data


@pytest.mark.parametrize(
    ("to_s", "t0_utc", "labels"),
    [
        (604_800.0, None, ["day 1", "day 2", "day 3", "day 4", "day 5", "day 6", "day 7", "day 8"]),
        (3_600.0, None, ["00:00", "00:10", "00:20", "00:30", "00:40", "00:50", "01:00"]),
        (
            3 * 86_400.0,
            dt.datetime(2026, 9, 12, 18, tzinfo=dt.UTC),
            ["13 Sep", "12:00", "14 Sep", "12:00", "15 Sep", "12:00"],
        ),
    ],
)
def test_ticks_are_round_times_of_the_clock(to_s, t0_utc, labels):
    """Days without a date are numbered; with one, ticks fall on midnights and round hours."""
    arrival_s, result = run(horizon_s=700_000.0)
    figure = replicas_figure(replicas_table(result, arrival_s, to_s=to_s), t0_utc=t0_utc)
    assert list(figure.layout.xaxis.ticktext) == labels


# In flight against capacity --------------------------------------------------------------------


@pytest.mark.parametrize(("from_s", "to_s"), [(0.0, None), (3_000.0, 6_600.0)])
@pytest.mark.parametrize("queue_timeout_s", [math.inf, 35.0])
def test_the_most_in_flight_is_that_of_every_moment(from_s, to_s, queue_timeout_s):
    """In each bin no moment has more requests in flight, and one has as many; averages are less."""
    arrival_s, result = run(queue_timeout_s=queue_timeout_s)
    table = in_flight_table(
        result, arrival_s, capacity=3, queue_timeout_s=queue_timeout_s, from_s=from_s, to_s=to_s
    )
    left_s = np.where(result.rejected, arrival_s + queue_timeout_s, result.finish_s)
    for row in table.iloc[::37].itertuples():
        # It can only grow at an arrival: the beginning of the bin and its arrivals say it all.
        moments = [row.from_s, *arrival_s[(arrival_s >= row.from_s) & (arrival_s < row.to_s)]]
        most = max(int(((arrival_s <= at) & (left_s > at)).sum()) for at in moments)
        assert row.most == most
        assert row.average <= row.most + 1e-9
    width_s = float(table["to_s"].iloc[0] - table["from_s"].iloc[0])
    assert (table["average"] * width_s).sum() == pytest.approx(
        np.clip(
            np.minimum(left_s, table["to_s"].iloc[-1]) - np.maximum(arrival_s, from_s), 0, None
        ).sum()
    )


@pytest.mark.parametrize("capacity", [1, 4, 10_000])
def test_the_capacity_is_a_line_or_told_with_how_far_off_it_is(capacity):
    """Within the chart it is drawn at its height; far beyond, an arrow and its number stand."""
    arrival_s, result = run()
    table = in_flight_table(result, arrival_s, capacity=capacity)
    figure = in_flight_figure(table)
    (words,) = [note.text for note in figure.layout.annotations]
    assert f"capacity: {capacity:,} request" in words
    heights = [line.y0 for line in figure.layout.shapes]
    far = capacity > 1_000
    assert heights == ([] if far else [capacity])
    assert ("↑" in words) is far
    assert figure.layout.yaxis.range[1] > table["most"].max()
    assert len(figure.layout.yaxis.tickvals) <= 6
