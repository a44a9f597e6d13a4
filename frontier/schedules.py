"""Schedules of the minimum: replicas wanted in windows of the week, or ahead of predicted traffic.

Pre-warming here is causal: a schedule at any time depends only on arrivals before it. Numbers of
the predictors stand in data/mitigations.csv under ``prewarm``. Left out: what a schedule costs,
which the simulation counts.
"""

from __future__ import annotations

import dataclasses
import heapq
import math
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from frontier.errors import InputError
from frontier.policy import ScalingPolicy
from frontier.tables import Tables, look_up

PREWARM_KINDS = ("hour-of-week", "histogram", "last-value")
Schedule = tuple[tuple[float, int], ...]
# A table of so many rows, of what a histogram had seen by then, is a megabyte.
_TURNS_AT_ONCE = 512


def weekly_schedule(
    windows: Iterable[tuple[float, float]],
    horizon_s: float,
    *,
    replicas: int = 1,
    lead_s: float = 0.0,
    week_offset_s: float = 0.0,
    tables: Tables,
) -> Schedule:
    """Return the changes of the minimum for windows that repeat every week.

    Parameters
    ----------
    windows : iterable of (from_s, to_s)
        Seconds since the start of the week [s].
    horizon_s : float
        Length of the schedule [s].
    lead_s : float
        How long before a window its replicas are started: the cold start [s].
    week_offset_s : float
        Where in the week time 0 lies [s].

    Raises
    ------
    InputError
        If a window does not lie within the week.
    """
    week_s = look_up(tables.mitigations, "prewarm.period_s", "number").value
    spans = []
    for from_s, to_s in windows:
        if not 0 <= from_s < to_s <= week_s:
            raise InputError(f"a window must lie within 0 to {week_s:g} s, got {from_s} to {to_s}")
        first = math.floor((week_offset_s - to_s) / week_s)
        last = math.ceil((week_offset_s + horizon_s) / week_s)
        for week in range(first, last + 1):
            begin = week * week_s - week_offset_s
            spans.append((begin + from_s - lead_s, begin + to_s, int(replicas)))
    return _levels(spans, horizon_s)


def prewarm_schedule(
    kind: str,
    arrival_s: npt.ArrayLike,
    horizon_s: float,
    *,
    lead_s: float = 0.0,
    replicas: int = 1,
    replica_rps: float = math.inf,
    tables: Tables,
    **numbers: float,
) -> Schedule:
    """Return the changes of the minimum that a predictor would make, seeing only the past.

    Parameters
    ----------
    kind : {"hour-of-week", "histogram", "last-value"}
        ``hour-of-week``: a slot is warm if enough of the same slots of past periods had traffic.
        ``last-value``: a slot is warm if the last whole slot had traffic. ``histogram``: the
        hybrid-histogram policy of Serverless in the Wild (USENIX ATC 2020): after each request
        the replica is off until just before the head of the histogram of past idle times, and on
        from there to just after its tail; while the histogram is not representative it stays on
        for its whole range. Idle times are taken between arrivals; the policy's time-series
        model for out-of-range idle times is left out, they fall back to the range.
    arrival_s : array_like, shape (n,)
        Arrival times, sorted [s].
    horizon_s : float
        Length of the schedule [s].
    lead_s : float
        How long before it is wanted a replica is started: the cold start [s].
    replicas : int
        Replicas kept while warm, at least.
    replica_rps : float
        Requests a second of one replica, by which the slot kinds size the minimum [1/s].
    **numbers
        Any parameter of ``prewarm`` in data/mitigations.csv (``slot_s``, ``tail``, …).

    Raises
    ------
    InputError
        If the kind or a number is unknown, or the lead is longer than a period allows.
    """
    values = {
        row.parameter: row.value
        for row in tables.mitigations.values()
        if row.mitigation == "prewarm"
    }
    if set(numbers) - set(values):
        raise InputError(
            f"prewarm has no number {', '.join(sorted(set(numbers) - set(values)))}; it has "
            f"{', '.join(values)}"
        )
    values |= numbers
    arrivals = np.asarray(arrival_s, dtype=np.float64)
    if arrivals.size and np.any(np.diff(arrivals) < 0):
        raise InputError("arrival_s must be sorted")
    if kind == "histogram":
        spans = _histogram_spans(arrivals, values, lead_s, int(replicas))
    elif kind in PREWARM_KINDS:
        spans = _slot_spans(kind, arrivals, horizon_s, values, lead_s, int(replicas), replica_rps)
    else:
        raise InputError(f"kind must be one of {', '.join(PREWARM_KINDS)}, got '{kind}'")
    return _levels(spans, horizon_s)


def _slot_spans(
    kind: str,
    arrivals: npt.NDArray[np.float64],
    horizon_s: float,
    values: Mapping[str, float],
    lead_s: float,
    replicas: int,
    replica_rps: float,
) -> list[tuple[float, float, int]]:
    slot_s = values["slot_s"]
    slots = math.ceil(horizon_s / slot_s)
    inside = arrivals[(arrivals >= 0) & (arrivals < slots * slot_s)]
    counts = np.bincount((inside // slot_s).astype(np.intp), minlength=slots)
    period = max(1, round(values["period_s"] / slot_s))
    # The newest slot that is over when a replica for slot j has to be started is j - 1 - behind.
    behind = math.ceil(lead_s / slot_s)
    if kind == "hour-of-week" and behind >= period:
        raise InputError(f"lead_s = {lead_s:g} s leaves no whole slot of the past to learn from")
    spans = []
    for slot in range(slots):
        if kind == "hour-of-week":
            past = counts[slot - period :: -period] if slot >= period else counts[:0]
        else:
            last = slot - 1 - behind
            past = counts[last : last + 1] if last >= 0 else counts[:0]
        if past.size and np.mean(past > 0) >= values["least_share"] and past.any():
            needed = math.ceil(float(past.mean()) / slot_s / replica_rps)
            spans.append((slot * slot_s - lead_s, (slot + 1) * slot_s, max(replicas, needed)))
    return spans


def _histogram_spans(
    arrivals: npt.NDArray[np.float64], values: Mapping[str, float], lead_s: float, replicas: int
) -> list[tuple[float, float, int]]:
    gaps_s = np.diff(arrivals, append=math.inf)
    # Idle times below a bin change the counts; the window is set anew at the longer ones.
    turns = np.flatnonzero(gaps_s >= values["bin_s"])
    windows_s = _idle_windows(gaps_s, turns, values)
    # Before the first of them nothing is known.
    windows_s = np.vstack([(0.0, values["range_s"]), windows_s])
    ahead_s, until_s = windows_s[np.searchsorted(turns, np.arange(arrivals.size), "right")].T
    begins = arrivals + np.maximum(0.0, ahead_s - lead_s)
    # The next arrival ends the span: it is known only once it has come.
    ends = arrivals + np.minimum(until_s, gaps_s)
    is_on = begins < ends
    return [
        (begin, end, replicas)
        for begin, end in zip(begins[is_on].tolist(), ends[is_on].tolist(), strict=True)
    ]


def _idle_windows(
    gaps_s: npt.NDArray[np.float64], turns: npt.NDArray[np.intp], values: Mapping[str, float]
) -> npt.NDArray[np.float64]:
    """Return (off until, on until) after requests, from the idle times before each [s]."""
    bin_s, range_s = values["bin_s"], values["range_s"]
    bins = round(range_s / bin_s)
    is_within = gaps_s < range_s
    bin_of = np.minimum(np.where(is_within, gaps_s, 0.0) // bin_s, bins - 1).astype(np.intp)
    outside = np.cumsum(~is_within)
    found = np.empty((turns.size, 2))
    found[:] = 0.0, range_s
    counts, seen = np.zeros(bins), 0
    for first in range(0, turns.size, _TURNS_AT_ONCE):
        some = turns[first : first + _TURNS_AT_ONCE]
        # Row by row, what has been seen before each.
        table = np.zeros((some.size, bins))
        fresh = np.arange(seen, some[-1])
        fresh = fresh[is_within[seen : some[-1]]]
        np.add.at(table, (np.searchsorted(some, fresh, "right"), bin_of[fresh]), 1)
        table[0] += counts
        table = np.cumsum(table, axis=0)
        counts, seen = table[-1].copy(), int(some[-1])
        inside = table.sum(axis=1)
        beyond = np.where(some > 0, outside[some - 1], 0)
        is_known = (
            (inside > 0)
            & (inside + beyond >= values["least_gaps"])
            & (beyond <= values["most_out_of_bounds"] * (inside + beyond))
            & (table.std(axis=1) >= values["least_cv"] * table.mean(axis=1))
        )
        share = np.cumsum(table[is_known], axis=1) / inside[is_known, np.newaxis]
        head = (share < values["head"]).sum(axis=1)
        tail = (share < values["tail"]).sum(axis=1) + 1
        margin = values["margin"]
        found[first : first + _TURNS_AT_ONCE][is_known] = np.column_stack(
            (head * bin_s * (1 - margin), tail * bin_s * (1 + margin))
        )
    return found


def _levels(spans: Iterable[tuple[float, float, int]], horizon_s: float) -> Schedule:
    """Return the changes of the highest level among the spans (from, to, level) in force."""
    waiting = sorted(
        (max(0.0, begin), end, level) for begin, end, level in spans if end > max(0.0, begin)
    )
    times = sorted({t for begin, end, _ in waiting for t in (begin, end) if t < horizon_s})
    active: list[tuple[int, float]] = []
    changes: list[tuple[float, int]] = []
    next_span = current = 0
    for time in times:
        while next_span < len(waiting) and waiting[next_span][0] <= time:
            _, end, level = waiting[next_span]
            heapq.heappush(active, (-level, end))
            next_span += 1
        while active and active[0][1] <= time:
            heapq.heappop(active)
        level = -active[0][0] if active else 0
        if level != current:
            changes.append((time, level))
            current = level
    return tuple(changes)


def with_schedule(policy: ScalingPolicy, schedule: Schedule) -> ScalingPolicy:
    """Return the policy with the higher of its own minimum and the schedule's at any time."""
    if not schedule:
        return policy
    own = ((0.0, policy.min_replicas), *policy.schedule)
    spans = []
    for changes in (own, schedule):
        ends = [time for time, _ in changes[1:]] + [math.inf]
        spans += [(at, end, level) for (at, level), end in zip(changes, ends, strict=True)]
    merged = _levels(spans, math.inf)
    highest = max((level for _, level in merged), default=0)
    return dataclasses.replace(
        policy,
        max_replicas=max(policy.max_replicas, highest),
        schedule=tuple(change for change in merged if change != (0.0, policy.min_replicas)),
    )
