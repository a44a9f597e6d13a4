"""A trace at another rate, or laid over the hours of a week: thinning and superposition.

Time is never compressed: a gap of a minute within a burst stays a minute. Fewer requests are a
random part of the trace, more are whole copies of it and part of one more, each moved in time.
Where requests have a session, sessions are kept or left out as a whole. Every step is written into
the report.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from frontier.errors import InputError
from frontier.spell import count, seconds, significant
from frontier.tables import Tables, load_tables, look_up
from frontier.trace.generate import DAYS, HOURS, NOMINAL_MONDAY, week_levels
from frontier.trace.model import Trace, make_trace
from frontier.trace.prefixes import moved
from frontier.units import SECONDS_PER_DAY, SECONDS_PER_HOUR


def thin(trace: Trace, factor: float, seed: int) -> Trace:
    """Return the trace with each request, or each session, kept with probability ``factor``.

    A thinned Poisson process is one of ``factor`` times the rate. Clock and horizon stay, so the
    first request may come later than time 0.

    Raises
    ------
    InputError
        If the factor is not above 0 and at most 1, or nothing is left.
    """
    if not 0.0 < factor <= 1.0:
        raise InputError(f"Thinning keeps a share above 0 and at most 1, found {factor:g}.")
    kept = _luck(trace.session_id, trace.arrival_s.size, _random(seed)) < factor
    if not kept.any():
        raise InputError(
            f"Of {count(trace.arrival_s.size, 'request')} none is left at {factor:g} of the rate: "
            "expected at least one. Choose a factor nearer to 1, or bring a longer trace."
        )
    sentence = f"Thinned to {significant(factor)} of the rate at random, with seed {seed}."
    return _rebuilt(
        trace,
        trace.arrival_s[kept],
        np.flatnonzero(kept),
        None if trace.session_id is None else trace.session_id[kept],
        trace.horizon_s,
        sentence,
    )


def thin_in_a_row(trace: Trace, factor: float, seed: int, times: int) -> Trace:
    """Return the trace so many times in a row, thinned: for factors that leave little of it once.

    Parameters
    ----------
    factor : float
        Probability with which each request, or each session, of each time is kept [1].
    times : int
        How often the trace stands behind itself; with 1 this is `thin`.

    Raises
    ------
    InputError
        If the factor is not above 0 and at most 1, or nothing is left.
    """
    if times == 1 or not 0.0 < factor <= 1.0:
        return thin(trace, factor, seed)
    sizes = np.ones(trace.arrival_s.size, dtype=np.int64)
    members = np.arange(trace.arrival_s.size)
    if trace.session_id is not None:
        members = np.argsort(trace.session_id, kind="stable")
        sizes = np.unique(trace.session_id, return_counts=True)[1]
    begins = np.cumsum(sizes) - sizes
    # Only the few that are kept are drawn: the row may be millions of times as long.
    random = _random(seed)
    kept = random.binomial(sizes.size * times, factor)
    chosen = np.sort(random.choice(sizes.size * times, kept, replace=False))
    if not chosen.size:
        return thin(trace, factor, seed)
    time, unit = np.divmod(chosen, sizes.size)
    origin = np.concatenate([members[begins[one] : begins[one] + sizes[one]] for one in unit])
    time = np.repeat(time, sizes[unit])
    arrival_s = trace.arrival_s[origin] + time * trace.horizon_s
    order = np.argsort(arrival_s, kind="stable")
    sessions = None
    if trace.session_id is not None:
        sessions = trace.session_id[origin] + time * (int(trace.session_id.max()) + 1)
    return _rebuilt(
        trace,
        arrival_s[order],
        origin[order],
        _numbered([sessions], order),
        times * trace.horizon_s,
        f"{times:,} times in a row, thinned to {significant(factor)} of the rate at random, with "
        f"seed {seed}.",
    )


def superpose(trace: Trace, copies: int, seed: int, tables: Tables | None = None) -> Trace:
    """Return the trace and copies of it, moved in time and wrapped around the horizon.

    In a trace of a day or longer a copy is moved by at most half the setting superpose_shift_s
    either way, so that its nights stay nights; in a shorter one by anything up to the horizon.

    Parameters
    ----------
    trace : Trace
        What to repeat.
    copies : int
        Traces in the result, the original included.
    seed : int
        Seed of the moves.

    Raises
    ------
    InputError
        If there is no copy to make, or the result would be too large.
    """
    if copies < 1 or copies != int(copies):
        raise InputError(f"A superposition has a whole number of copies from 1, found {copies}.")
    return _laid_over(trace, int(copies), seed, tables or load_tables())


def scale_rate(trace: Trace, factor: float, seed: int, tables: Tables | None = None) -> Trace:
    """Return the trace at ``factor`` times its rate: thinned below 1, superposed above.

    A factor that is no whole number takes the whole copies it has room for and a random part of
    one more, so that what is whole stays as bursty as it was. With one seed a larger factor only
    adds requests.

    Raises
    ------
    InputError
        If the factor is not above 0, nothing is left or the result would be too large.
    """
    if not 0.0 < factor < math.inf:
        raise InputError(f"A rate is scaled by a factor above 0, found {factor:g}.")
    if factor == 1.0:
        return trace
    if factor < 1.0:
        return thin(trace, factor, seed)
    part = factor - (math.ceil(factor) - 1)
    return _laid_over(trace, math.ceil(factor), seed, tables or load_tables(), part)


def scale_by_hour(
    trace: Trace,
    factors: Sequence[float],
    seed: int,
    tables: Tables | None = None,
) -> Trace:
    """Return the trace with the rate of each hour of the week times a factor of its own.

    As `scale_rate`, hour by hour: with one factor for all hours it is the same. An hour of a
    moved copy is that to which it was moved.

    Parameters
    ----------
    factors : sequence of float, shape (168,)
        From Monday, 0 h UTC; at least 0, and above 0 somewhere.

    Raises
    ------
    InputError
        If the trace does not know its hours, a factor cannot be, nothing is left or the result
        would be too large.
    """
    tables = tables or load_tables()
    hourly = np.asarray(factors, dtype=np.float64)
    week = DAYS * HOURS
    if hourly.shape != (week,) or not np.all((hourly >= 0.0) & np.isfinite(hourly)):
        raise InputError(f"Expected {week} factors of at least 0, one for each hour of a week.")
    if trace.t0_utc is None:
        raise InputError("The trace does not say when it began, so its hours of day are unknown.")
    if np.ptp(hourly) == 0.0:
        return scale_rate(trace, float(hourly[0]), seed, tables)
    since_s = (trace.t0_utc - NOMINAL_MONDAY).total_seconds()

    def level(arrival_s: NDArray[np.float64]) -> NDArray[np.float64]:
        return hourly[((arrival_s + since_s) // SECONDS_PER_HOUR).astype(np.int64) % week]

    copies = max(1, math.ceil(hourly.max()))
    return _laid_over(trace, copies, seed, tables, level=level)


def _laid_over(
    trace: Trace,
    copies: int,
    seed: int,
    tables: Tables,
    part: float = 1.0,
    *,
    level: Callable[[NDArray[np.float64]], NDArray[np.float64]] | None = None,
) -> Trace:
    """Return the trace and copies of it, of the last one only a random part.

    Parameters
    ----------
    level : callable, optional
        How many copies are wanted at each time, in place of one number: copy ``i`` is kept with
        probability ``level - i`` there.
    """
    whole = copies - 1 if part < 1.0 else copies
    _check_size(trace.arrival_s.size * (whole + (part if part < 1.0 else 0.0)), tables)
    horizon_s = trace.horizon_s
    within_s = horizon_s
    if horizon_s >= SECONDS_PER_DAY:
        within_s = min(tables.setting("superpose_shift_s"), horizon_s)
    random = _random(seed)
    shifts_s = (random.random(copies) - 0.5) * within_s
    shifts_s[0] = 0.0
    arrivals, origins, sessions = [], [], []
    for copy, shift_s in enumerate(shifts_s):
        moved_s, wrapped = _rotated(trace, shift_s)
        renamed = _renamed(trace.session_id, 2 * copy + wrapped)
        kept = np.arange(moved_s.size)
        if level is not None or (copy == copies - 1 and part < 1.0):
            share = part if level is None else level(moved_s) - copy
            # A stream of luck of its own, so that another number of copies leaves it alone.
            luck = _luck(trace.session_id, moved_s.size, _random_of(seed, copy))
            kept = np.flatnonzero(luck < share)
        arrivals.append(moved_s[kept])
        origins.append(kept)
        sessions.append(None if renamed is None else renamed[kept])
    arrival_s, origin = np.concatenate(arrivals), np.concatenate(origins)
    if not arrival_s.size:
        raise InputError(
            f"Of {count(trace.arrival_s.size, 'request')} none is left once the hours are scaled: "
            "expected at least one. Choose a larger factor for the hours that have requests."
        )
    order = np.argsort(arrival_s, kind="stable")
    moves = f"moved by up to {seconds(within_s / 2)} either way, with seed {seed}."
    if level is not None:
        sentence = (
            f"The rate of each hour of the week scaled by a factor of its own: requests left out "
            f"at random, or added from {count(copies - 1, 'copy', 'copies')} {moves}"
            if copies > 1
            else "The rate of each hour of the week scaled by a factor of its own: requests left "
            f"out at random, with seed {seed}."
        )
    elif part < 1.0:
        sentence = (
            f"{count(copies, 'copy', 'copies')} of the trace laid over one another, of the last "
            f"one only {significant(part)} at random, each {moves}"
        )
    else:
        sentence = (
            f"{count(copies, 'copy', 'copies')} of the trace laid over one another, each {moves}"
        )
    return _rebuilt(
        trace,
        arrival_s[order],
        origin[order],
        _numbered(sessions, order),
        horizon_s,
        sentence,
    )


def lay_over_shape(
    trace: Trace,
    shape: str,
    days: float,
    seed: int,
    *,
    relative_to: str = "mean",
    tables: Tables | None = None,
) -> Trace:
    """Return a trace of days whose rate follows a published week, out of one of some minutes.

    The short trace is set end to end, each time rotated by a random part of its length so that
    nothing recurs with its period, in as many layers as the busiest hour needs, and each layer is
    thinned hour by hour. Nothing of this was observed: the report says so.

    Parameters
    ----------
    trace : Trace
        Shorter than a day.
    shape : str
        A key of data/trace_shapes.csv.
    days : float
        Length of the result, from Monday 00:00 [day].
    seed : int
        Seed of rotations and thinning.
    relative_to : {"mean", "recorded"}
        What the rate of the short trace is taken for: the mean of the result, or that of the
        hour of week at which it was recorded, which ``t0_utc`` must tell.

    Raises
    ------
    InputError
        If the trace is a day or longer, its hour is asked for and not known, or the result would
        be too large.
    """
    tables = tables or load_tables()
    row = look_up(tables.trace_shapes, shape, "traffic shape")
    if trace.horizon_s >= SECONDS_PER_DAY or not trace.horizon_s > 0.0:
        raise InputError(
            f"A shape of day and week is laid over a trace shorter than a day; this one lasts "
            f"{seconds(trace.horizon_s)} and has hours of its own."
        )
    if not 0.0 < days < math.inf:
        raise InputError(f"A trace lasts more than 0 days, found {days:g}.")
    horizon_s = days * SECONDS_PER_DAY
    _check_size(trace.arrival_s.size * horizon_s / trace.horizon_s, tables)
    week = week_levels(row)
    if relative_to == "recorded":
        if trace.t0_utc is None:
            raise InputError("The trace does not say at which hour of the week it was recorded.")
        since = trace.t0_utc - NOMINAL_MONDAY
        middle_s = since.total_seconds() + trace.horizon_s / 2
        week = week / week[int(middle_s // SECONDS_PER_HOUR) % week.size]
        taken_for = "rate of its hour of week"
    elif relative_to == "mean":
        hours = np.arange(math.ceil(horizon_s / SECONDS_PER_HOUR))
        lengths_s = np.minimum(horizon_s - hours * SECONDS_PER_HOUR, SECONDS_PER_HOUR)
        week = week / np.average(week[hours % week.size], weights=lengths_s)
        taken_for = "mean rate of the whole"
    else:
        raise InputError(f"relative_to is 'mean' or 'recorded', found '{relative_to}'.")
    layers = math.ceil(week.max())
    tiles = math.ceil(horizon_s / trace.horizon_s)

    random = _random(seed)
    arrivals, origins, sessions = [], [], []
    for tile in range(tiles * layers):
        moved_s, wrapped = _rotated(trace, random.random() * trace.horizon_s)
        moved_s = moved_s + (tile // layers) * trace.horizon_s
        level = week[(moved_s // SECONDS_PER_HOUR).astype(np.int64) % week.size]
        luck = _luck(trace.session_id, moved_s.size, random)
        kept = np.flatnonzero((luck * layers < level) & (moved_s < horizon_s))
        arrivals.append(moved_s[kept])
        origins.append(kept)
        renamed = _renamed(trace.session_id, 2 * tile + wrapped)
        sessions.append(None if renamed is None else renamed[kept])
    arrival_s, origin = np.concatenate(arrivals), np.concatenate(origins)
    if not arrival_s.size:
        raise InputError("No request is left of the trace once it is laid over the shape.")
    order = np.argsort(arrival_s, kind="stable")
    sentence = (
        f"Not observed: {seconds(trace.horizon_s)} of traffic laid over {days:g} days after the "
        f"shape of {row.label}, its rate taken for the {taken_for}, with seed {seed}."
    )
    shaped = _rebuilt(
        trace,
        arrival_s[order],
        origin[order],
        _numbered(sessions, order),
        horizon_s,
        sentence,
    )
    return dataclasses.replace(shaped, t0_utc=NOMINAL_MONDAY)


def _random(seed: int) -> np.random.Generator:
    if seed < 0:
        raise InputError(f"A seed is a whole number of at least 0, found {seed}.")
    return np.random.default_rng(seed)


def _random_of(seed: int, copy: int) -> np.random.Generator:
    """Return the luck of one copy, the same however many there are."""
    return np.random.default_rng((seed, copy))


def _check_size(requests: float, tables: Tables) -> None:
    most = tables.setting("generate_max_requests")
    if requests > most:
        raise InputError(
            f"That would be {requests:,.0f} requests; the most is {most:,.0f}. Take a smaller "
            "factor or fewer days."
        )


def _luck(
    session_id: NDArray[np.int32] | None, size: int, random: np.random.Generator
) -> NDArray[np.float64]:
    """Return a uniform number for each request, the same for all requests of a session."""
    if session_id is None:
        return random.random(size)
    return random.random(int(session_id.max()) + 1)[session_id]


def _rotated(trace: Trace, shift_s: float) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the arrivals moved and wrapped into [0, horizon], and which of them wrapped."""
    moved_s = trace.arrival_s + shift_s
    wrapped = (moved_s < 0.0) | (moved_s > trace.horizon_s)
    moved_s[wrapped] -= math.copysign(trace.horizon_s, shift_s)
    return np.clip(moved_s, 0.0, trace.horizon_s, out=moved_s), wrapped


def _renamed(
    session_id: NDArray[np.int32] | None, block: NDArray[np.int64]
) -> NDArray[np.int64] | None:
    """Return session numbers that no other block has: what wrapped is another session."""
    if session_id is None:
        return None
    return session_id + block * (int(session_id.max()) + 1)


def _numbered(
    sessions: list[NDArray[np.int64] | None], order: NDArray[np.int64]
) -> NDArray[np.int32] | None:
    """Return the session numbers of all parts in that order, counted anew from 0."""
    known = [part for part in sessions if part is not None]
    if not known:
        return None
    _, number = np.unique(np.concatenate(known), return_inverse=True)
    return number.astype(np.int32)[order]


def _rebuilt(
    trace: Trace,
    arrival_s: NDArray[np.float64],
    origin: NDArray[np.int64],
    session_id: NDArray[np.int32] | None,
    horizon_s: float,
    sentence: str,
) -> Trace:
    """Return a trace whose requests are those of ``origin`` in the given one, newly placed."""
    parent = shared = None
    if trace.prefix_parent is not None and trace.shared_tokens is not None:
        parent, shared = moved(trace.prefix_parent, trace.shared_tokens, origin)
    return make_trace(
        trace.name,
        arrival_s,
        trace.prompt_tokens[origin],
        trace.output_tokens[origin],
        horizon_s=horizon_s,
        t0_utc=trace.t0_utc,
        resolution_s=trace.resolution_s,
        session_id=session_id,
        prefix_parent=parent,
        shared_tokens=shared,
        report=dataclasses.replace(trace.report, assumed=(*trace.report.assumed, sentence)),
    )
