"""Laws of traffic that is drawn anew: what a block keeps, where it may go, how much it varies."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from frontier.errors import InfeasibleError
from frontier.ranges.resample import block_length, cut, drawn
from frontier.tables import load_tables
from frontier.trace import TraceReport, make_trace

TABLES = load_tables()
DAY_S = 86400.0
MONDAY = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


def trace_of(arrival_s, horizon_s, **more):
    size = len(arrival_s)
    # Each request has a prompt of its own, by which it is known again.
    return make_trace(
        "made",
        arrival_s,
        np.arange(size) + 1,
        np.full(size, 10),
        horizon_s=horizon_s,
        report=TraceReport("made", "s", size, size),
        **more,
    )


def random_trace(seed, days, requests, **more):
    random = np.random.default_rng(seed)
    horizon_s = days * DAY_S
    return trace_of(np.sort(random.uniform(0, horizon_s, requests)), horizon_s, **more)


def origins(trace, other):
    return other.prompt_tokens - 1


@pytest.mark.parametrize("days", [0.3, 1.0, 2.0, 3.7, 7.0, 16.2])
def test_a_drawn_trace_has_the_span_of_the_given_one_and_its_requests_in_order(days):
    """Other traffic of the same kind and length: nothing before 0, nothing beyond the end."""
    trace = random_trace(1, days, 800)
    blocks = cut(trace, TABLES, remembered_s=60.0)
    assert blocks.length_s.sum() == pytest.approx(trace.horizon_s)
    other = drawn(trace, blocks, np.random.default_rng(2))
    assert other.horizon_s == trace.horizon_s
    assert np.all(np.diff(other.arrival_s) >= 0)
    assert 0 <= other.arrival_s[0] <= other.arrival_s[-1] <= trace.horizon_s
    assert 0.6 < other.arrival_s.size / trace.arrival_s.size < 1.6


@pytest.mark.parametrize("days", [0.5, 7.0, 9.4])
def test_what_happened_inside_a_block_stays_as_it_was(days):
    """Gaps within a block are those of the traffic: neighbours there are neighbours here."""
    trace = random_trace(3, days, 3000)
    blocks = cut(trace, TABLES, remembered_s=30.0)
    other = drawn(trace, blocks, np.random.default_rng(4))
    was = origins(trace, other)
    place = np.searchsorted(blocks.begin_s, other.arrival_s, side="right") - 1
    together = (np.diff(was) == 1) & (np.diff(place) == 0)
    assert together.mean() > 0.8
    gap_s, was_s = np.diff(other.arrival_s)[together], np.diff(trace.arrival_s[was])[together]
    np.testing.assert_allclose(gap_s, was_s, atol=1e-6)


def test_a_request_keeps_its_time_of_day_and_its_kind_of_day():
    """Nights stay nights and weekends weekends, where both were seen twice."""
    trace = random_trace(5, 14, 4000, t0_utc=MONDAY)
    blocks = cut(trace, TABLES, remembered_s=60.0)
    other = drawn(trace, blocks, np.random.default_rng(6))
    before_s = trace.arrival_s[origins(trace, other)]
    off_s = (other.arrival_s - before_s) / DAY_S
    np.testing.assert_allclose(off_s, np.round(off_s), atol=1e-9)
    at_weekend = [(values // DAY_S % 7) >= 5 for values in (other.arrival_s, before_s)]
    np.testing.assert_array_equal(*at_weekend)
    assert np.unique(off_s).size > 3


def test_of_less_than_two_days_a_block_comes_from_nearby():
    """A slow rise stays a slow rise."""
    trace = random_trace(7, 1.0, 4000)
    blocks = cut(trace, TABLES, remembered_s=30.0)
    other = drawn(trace, blocks, np.random.default_rng(8))
    moved_s = np.abs(other.arrival_s - trace.arrival_s[origins(trace, other)])
    assert 0 < moved_s.max() <= blocks.near_s + 1e-6


def test_no_seam_makes_a_gap_or_an_overlap_that_the_traffic_could_not_have_had():
    """Across seams, random traffic waits as long for its next request as anywhere else."""
    trace = random_trace(9, 10, 12_000)
    blocks = cut(trace, TABLES, remembered_s=60.0)
    random = np.random.default_rng(10)
    across = []
    for _ in range(60):
        arrival_s = drawn(trace, blocks, random).arrival_s
        after = np.searchsorted(arrival_s, blocks.begin_s[1:])
        across.append(arrival_s[np.minimum(after, arrival_s.size - 1)] - arrival_s[after - 1])
    # The gap that covers a given instant is twice as long as a gap between requests.
    mean_s = trace.horizon_s / trace.arrival_s.size
    assert np.mean(across) == pytest.approx(2 * mean_s, rel=0.1)


@pytest.mark.parametrize(("days", "dated"), [(4, False), (7, True), (14, True)])
def test_drawn_days_vary_as_much_as_days_do(days, dated):
    """The variance of a total is that of days: n / (n - 1) of drawing with equal weights."""
    random = np.random.default_rng(11)
    # So unlike each other that whole days are drawn.
    sizes = random.integers(20, 400, days)
    arrival_s = np.concatenate(
        [np.sort(random.uniform(0, DAY_S, size)) + day * DAY_S for day, size in enumerate(sizes)]
    )
    trace = trace_of(arrival_s, days * DAY_S, t0_utc=MONDAY if dated else None)
    tables = with_settings(ranges_least_freedom=1)
    blocks = cut(trace, tables, remembered_s=6 * 3600.0)
    assert blocks.length_s.tolist() == [DAY_S] * days
    classes = [sizes[:5], sizes[5:7]] if days == 7 else [sizes]
    if days == 14:
        at_weekend = np.arange(14) % 7 >= 5
        classes = [sizes[~at_weekend], sizes[at_weekend]]
    expected = sum(part.size * part.var(ddof=1) for part in classes)
    totals = [drawn(trace, blocks, random).arrival_s.size for _ in range(4000)]
    assert np.var(totals) == pytest.approx(expected, rel=0.12)
    assert np.mean(totals) == pytest.approx(sizes.sum(), rel=0.02)


def test_the_busiest_days_decide_how_many_degrees_of_freedom_there_are():
    """At most days less kinds of day; of five days that differ and two that do not, four."""
    sizes = [100, 300, 150, 250, 200, 50, 50]
    arrival_s = np.concatenate(
        [np.linspace(0, 0.99 * DAY_S, size) + day * DAY_S for day, size in enumerate(sizes)]
    )
    trace = trace_of(arrival_s, 7 * DAY_S, t0_utc=MONDAY)
    blocks = cut(trace, TABLES, remembered_s=6 * 3600.0)
    assert blocks.freedom == pytest.approx(4.0)
    even = random_trace(1, 7, 3000, t0_utc=MONDAY)
    found = cut(even, TABLES, remembered_s=600.0)
    assert 1 < found.freedom <= found.begin_s.size - len(set(found.group.tolist()))


def test_prompts_that_began_alike_still_do():
    """A request finds the latest earlier copy of the one that its prompt begins as, or none."""
    random = np.random.default_rng(12)
    arrival_s = np.sort(random.uniform(0, 6 * DAY_S, 600))
    parent = np.arange(600) - 1
    trace = trace_of(
        arrival_s, 6 * DAY_S, prefix_parent=parent, shared_tokens=np.full(600, 1, dtype=np.int32)
    )
    other = drawn(trace, cut(trace, TABLES, remembered_s=60.0), random)
    was = origins(trace, other)
    known = other.prefix_parent >= 0
    assert known.mean() > 0.8
    np.testing.assert_array_equal(was[other.prefix_parent[known]], was[known] - 1)
    assert np.all(other.prefix_parent < np.arange(was.size))


def with_settings(**values):
    import dataclasses

    settings = dict(TABLES.settings)
    for name, value in values.items():
        settings[name] = dataclasses.replace(settings[name], value=float(value))
    return dataclasses.replace(TABLES, settings=settings)


@pytest.mark.parametrize(
    ("trace", "remembered_s", "why"),
    [
        (random_trace(1, 7, 29), 0.0, "29 requests are too few"),
        (random_trace(1, 0.05, 400), 300.0, "1.2 h of traffic are too short"),
        (random_trace(1, 2.5, 400), 4 * 3600.0, "2.5 days of traffic are too short"),
        (random_trace(1, 30, 4000), 7 * 3600.0, "remembered for longer than a day"),
    ],
)
def test_too_little_traffic_says_so(trace, remembered_s, why):
    """A range that cannot be known is refused in a sentence, and never shown as none."""
    with pytest.raises(InfeasibleError, match=why):
        cut(trace, TABLES, remembered_s=remembered_s)


def test_a_block_is_as_long_as_what_hangs_together():
    """Nothing in common: one value; the longer the memory, the longer the block."""
    random = np.random.default_rng(13)
    noise = random.standard_normal((3, 500))
    lengths = []
    for memory, own in zip((0.0, 0.5, 0.95), noise, strict=True):
        series = own.copy()
        for at in range(1, series.size):
            series[at] += memory * series[at - 1]
        lengths.append(block_length(series - series.mean()))
    assert lengths[0] < 4 < lengths[1] < 15 < lengths[2]
    assert block_length(np.zeros(100)) == 1.0
