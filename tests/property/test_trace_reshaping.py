"""Laws of thinning, superposition and laying a short trace over the hours of a week."""

from __future__ import annotations

import math

import numpy as np
import pytest

from frontier.errors import InputError
from frontier.tables import load_tables
from frontier.trace import (
    TraceReport,
    generate_trace,
    hour_of_week,
    lay_over_shape,
    make_trace,
    scale_rate,
    superpose,
    thin,
    thin_in_a_row,
    trace_statistics,
)
from frontier.trace.generate import week_levels

RAG = generate_trace("internal-rag", seed=1)
CHAT = generate_trace("steady-chat", seed=1, days=0.5, shape="flat", requests_per_day=6000)
HOUR = generate_trace("steady-chat", seed=1, days=1 / 24, shape="flat", requests_per_day=24_000)


def requests_of(trace):
    return set(zip(trace.arrival_s, trace.prompt_tokens, trace.output_tokens, strict=True))


def turns_of(trace):
    return np.unique(trace.session_id, return_counts=True)[1]


@pytest.mark.parametrize("trace", [RAG, CHAT], ids=["sessions", "requests"])
@pytest.mark.parametrize("factor", [0.05, 0.5, 0.9])
def test_thinning_keeps_requests_as_they_are(trace, factor):
    """What is left is part of the trace, at the same times, about ``factor`` of it."""
    thinned = thin(trace, factor, seed=3)
    assert requests_of(thinned) < requests_of(trace)
    assert thinned.horizon_s == trace.horizon_s
    turns = turns_of(trace) if trace.session_id is not None else np.ones(trace.arrival_s.size)
    error = math.sqrt(factor * (1 - factor) * (turns**2).sum())
    assert thinned.arrival_s.size == pytest.approx(factor * trace.arrival_s.size, abs=4 * error)


def test_thinning_keeps_sessions_whole():
    """Every session that is left has all of its requests."""
    thinned = thin(RAG, 0.3, seed=3)
    before = dict(zip(*np.unique(RAG.session_id, return_counts=True), strict=True))
    for session, turns in zip(*np.unique(thinned.session_id, return_counts=True), strict=True):
        assert before[session] == turns


def test_thinning_everything_away_is_refused():
    """A trace without requests is none."""
    with pytest.raises(InputError, match="none is left"):
        thin(make_trace("one", [0], [1], [1], report=TraceReport("test")), 1e-9, seed=1)


@pytest.mark.parametrize("trace", [RAG, CHAT], ids=["sessions", "requests"])
def test_thinned_in_a_row_the_rate_and_every_request_stay(trace):
    """What is left is the trace's own, at its own times of some turn, at ``factor`` of its rate."""
    times = 400
    row = thin_in_a_row(trace, 0.01, 3, times)
    assert row.horizon_s == times * trace.horizon_s
    size = times * trace.arrival_s.size
    turns = turns_of(trace) if trace.session_id is not None else np.ones(trace.arrival_s.size)
    error = math.sqrt(0.01 * times * (turns**2).sum())
    assert row.arrival_s.size == pytest.approx(0.01 * size, abs=4 * error)
    assert (np.diff(row.arrival_s) >= 0).all()
    # Of evenly many in each half of the row.
    first = np.count_nonzero(row.arrival_s < row.horizon_s / 2)
    assert first == pytest.approx(row.arrival_s.size / 2, abs=4 * error)
    at = np.round(np.mod(row.arrival_s, trace.horizon_s), 3)
    own = set(zip(np.round(trace.arrival_s, 3), trace.prompt_tokens, strict=True))
    close = sum((when, tokens) in own for when, tokens in zip(at, row.prompt_tokens, strict=True))
    # A time a turn later is rounded otherwise now and then.
    assert close > 0.9 * row.arrival_s.size
    if trace.session_id is not None:
        assert set(turns_of(row)) <= set(turns)


def test_once_in_a_row_is_thinned_as_it_was():
    """And the luck is that of the seed alone."""
    assert thin_in_a_row(RAG, 0.3, 3, 1) == thin(RAG, 0.3, 3)
    assert thin_in_a_row(CHAT, 1e-5, 3, 900) == thin_in_a_row(CHAT, 1e-5, 3, 900)


@pytest.mark.parametrize("trace", [RAG, CHAT], ids=["week", "half a day"])
@pytest.mark.parametrize("copies", [1, 2, 5])
def test_superposition_is_copies_and_nothing_else(trace, copies):
    """Each request comes ``copies`` times, one of them where it was, within the same horizon."""
    laid = superpose(trace, copies, seed=2)
    assert laid.arrival_s.size == copies * trace.arrival_s.size
    assert laid.horizon_s == trace.horizon_s
    assert requests_of(trace) <= requests_of(laid)
    for name in ("prompt_tokens", "output_tokens"):
        expected = np.sort(np.repeat(getattr(trace, name), copies))
        assert (np.sort(getattr(laid, name)) == expected).all()
    if copies == 1:
        assert (laid.arrival_s == trace.arrival_s).all()


def test_superposition_never_compresses_time():
    """Each session of a copy has the gaps it had; only what wraps around the end is cut off."""
    laid = superpose(RAG, 3, seed=2)

    def gaps(trace):
        order = np.argsort(trace.session_id, kind="stable")
        same = np.diff(trace.session_id[order]) == 0
        return np.sort(np.diff(trace.arrival_s[order])[same])

    once, thrice = gaps(RAG), gaps(laid)
    lost = 3 * once.size - thrice.size
    assert 0 <= lost < 10
    # Rounding of the moved clock is below a microsecond.
    missing = np.isin(np.round(thrice, 3), np.round(once, 3), invert=True)
    assert missing.mean() < 0.01
    assert (turns_of(laid).size - 3 * turns_of(RAG).size) <= lost


def test_superposed_week_keeps_its_nights():
    """Copies of a week move by half an hour at most, so a quiet hour stays beside quiet hours."""
    quiet = hour_of_week(RAG)[0][:5, 3:6].sum() / RAG.arrival_s.size
    laid = superpose(RAG, 8, seed=4)
    assert hour_of_week(laid)[0][:5, 3:6].sum() / laid.arrival_s.size == pytest.approx(
        quiet, abs=0.01
    )


def test_superposition_tends_to_poisson():
    """Many moved copies of a bursty trace are less bursty: CV falls at least half-way to 1."""
    bursty = generate_trace("long-tail", seed=1, days=0.9, requests_per_day=2000, session_cv=2)
    before, after = trace_statistics(bursty), trace_statistics(superpose(bursty, 40, seed=1))
    assert before.iat_cv > 1.8
    assert after.iat_cv - 1 < (before.iat_cv - 1) / 2
    assert after.longest_gap_s < before.longest_gap_s / 20


@pytest.mark.parametrize("factor", [0.25, 1.0, 1.5, 4.0])
@pytest.mark.parametrize("trace", [RAG, CHAT], ids=["sessions", "requests"])
def test_scaling_multiplies_the_rate(trace, factor):
    """The requests are ``factor`` times as many, within four standard errors of the thinning."""
    scaled = scale_rate(trace, factor, seed=5)
    keep = factor / math.ceil(factor)
    turns = turns_of(trace) if trace.session_id is not None else np.ones(trace.arrival_s.size)
    error = math.sqrt(keep * (1 - keep) * math.ceil(factor) * (turns**2).sum())
    assert scaled.arrival_s.size == pytest.approx(
        factor * trace.arrival_s.size, abs=4 * error + 0.5
    )
    assert scaled.horizon_s == trace.horizon_s
    if factor == 1.0:
        assert scaled is trace


@pytest.mark.parametrize("relative_to", ["mean", "recorded"])
@pytest.mark.parametrize("shape", ["code", "campus"])
def test_laid_over_a_week_each_hour_has_its_level(shape, relative_to):
    """Hourly counts are the shape times the rate, within the scatter of their number.

    The hour was recorded on the nominal Monday from 00:00, so its rate is that of this hour.
    """
    laid = lay_over_shape(HOUR, shape, 14, seed=2, relative_to=relative_to)
    counts, observed_s = hour_of_week(laid)
    assert observed_s == pytest.approx(np.full((7, 24), 7200.0))
    levels = week_levels(load_tables().trace_shapes[shape]).reshape(7, 24)
    if relative_to == "recorded":
        levels = levels / levels[0, 0]
    expected = 2 * HOUR.arrival_s.size * levels
    assert (np.abs(counts - expected) < 5 * np.sqrt(expected) * 1.3 + 1).all()
    assert laid.horizon_s == 14 * 86_400
    assert laid.arrival_s[-1] < laid.horizon_s


def test_laying_over_never_compresses_time():
    """Two requests 5 s apart in an hour are 5 s apart in every hour of 20 days.

    Only where a rotation parts the two, one at the end and one at the start of the hour, they
    are not.
    """
    pair = make_trace("pair", [0, 5], [1, 2], [1, 2], horizon_s=3600, report=TraceReport("test"))
    laid = lay_over_shape(pair, "flat", 20, seed=1)
    gaps = np.diff(laid.arrival_s)
    assert laid.arrival_s.size == 2 * 24 * 20
    assert np.isclose(gaps, 5.0, atol=1e-6).sum() > 0.9 * 24 * 20


def test_laying_over_keeps_lengths_and_whole_sessions_apart():
    """Lengths are those of the trace, and no session of one repetition is joined to another's."""
    hour = generate_trace("internal-rag", seed=1, days=1 / 24, requests_per_day=9000)
    laid = lay_over_shape(hour, "flat", 2, seed=1)
    assert set(laid.prompt_tokens) <= set(hour.prompt_tokens)
    order = np.argsort(laid.session_id, kind="stable")
    same = np.diff(laid.session_id[order]) == 0
    assert np.diff(laid.arrival_s[order])[same].max() < hour.horizon_s
    assert turns_of(laid).max() <= turns_of(hour).max()


@pytest.mark.parametrize("change", ["thin", "superpose", "lay_over"])
def test_every_step_is_deterministic_and_written_down(change):
    """The same seed gives the same trace, another seed another; the report says what was done."""

    def apply(seed):
        if change == "thin":
            return thin(HOUR, 0.5, seed)
        if change == "superpose":
            return superpose(HOUR, 2, seed)
        return lay_over_shape(HOUR, "code", 7, seed)

    assert apply(1) == apply(1)
    assert apply(1) != apply(2)
    report = apply(9).report
    assert report.assumed[:-1] == HOUR.report.assumed
    assert "seed 9" in report.assumed[-1]
    if change == "lay_over":
        assert report.assumed[-1].startswith("Not observed: 1 h of traffic laid over 7 days")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: thin(RAG, 0, 1), "above 0"),
        (lambda: thin(RAG, 1.5, 1), "at most 1"),
        (lambda: thin(RAG, math.nan, 1), "found nan"),
        (lambda: thin(RAG, 0.5, -1), "at least 0"),
        (lambda: superpose(RAG, 0, 1), "from 1"),
        (lambda: superpose(RAG, 100_000, 1), "the most is"),
        (lambda: scale_rate(RAG, -2, 1), "above 0"),
        (lambda: scale_rate(RAG, math.inf, 1), "above 0"),
        (lambda: lay_over_shape(RAG, "code", 7, 1), "hours of its own"),
        (lambda: lay_over_shape(HOUR, "cod", 7, 1), "Did you mean code"),
        (lambda: lay_over_shape(HOUR, "code", 0, 1), "more than 0 days"),
        (lambda: lay_over_shape(HOUR, "code", 1e6, 1), "the most is"),
        (lambda: lay_over_shape(HOUR, "code", 7, 1, relative_to="peak"), "found 'peak'"),
    ],
)
def test_what_cannot_be_reshaped_is_refused(call, words):
    """The message names what was found and what is possible."""
    with pytest.raises(InputError, match=words):
        call()


def test_the_hour_of_recording_must_be_known_to_be_used():
    """A trace without a clock cannot say which hour of the week its rate is that of."""
    trace = make_trace("t", [0, 5], [1, 2], [1, 2], horizon_s=60, report=TraceReport("test"))
    with pytest.raises(InputError, match="at which hour"):
        lay_over_shape(trace, "code", 7, 1, relative_to="recorded")
