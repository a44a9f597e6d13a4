"""What the bills mean: which plans are efficient, where always-on wins, what the bounds are.

Reads costs and waits; simulates nothing and knows no provider. The bounds come as synthetic
sessions, so that `billing.bill` prices them by the same rules as any plan.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from frontier.errors import InputError


def efficient(cost: ArrayLike, p99_s: ArrayLike) -> NDArray[np.bool_]:
    """Return which plans no other plan beats on both cost and wait.

    A plan is beaten by one that is at least as good on both and better on one; plans that tie
    exactly are kept together. A plan without a number (NaN) is never efficient, and one that
    refuses its 99th percentile (infinite) only if nothing cheaper or equal waits less.

    Parameters
    ----------
    cost : array_like, shape (n,)
        Dollars, over any span that is the same for all. [$]
    p99_s : array_like, shape (n,)
        99th percentile of the TTFT. [s]

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    cost = np.asarray(cost, dtype=np.float64)
    wait = np.asarray(p99_s, dtype=np.float64)
    mask = np.zeros(cost.size, dtype=np.bool_)
    known = np.flatnonzero(~(np.isnan(cost) | np.isnan(wait)))
    order = known[np.lexsort((wait[known], cost[known]))]
    if not order.size:
        return mask
    # In order of cost, a plan survives if it waits less than every cheaper one; of equal cost,
    # only those with the least wait, which comes first.
    before = np.concatenate([[np.inf], np.minimum.accumulate(wait[order])[:-1]])
    better = wait[order] < before
    better[0] = True
    tied = np.concatenate(
        [[False], (np.diff(cost[order]) == 0) & (wait[order][1:] == wait[order][:-1])]
    )
    # A tie shares the fate of the first of its kind.
    leader = np.maximum.accumulate(np.where(tied, 0, np.arange(order.size)))
    mask[order] = better[leader]
    return mask


def cheapest_under(cost: ArrayLike, p99_s: ArrayLike, limit_s: float) -> int | None:
    """Return the position of the cheapest plan that holds the limit; None if none does.

    Of equally cheap plans, the one that waits least; then the first.
    """
    cost = np.asarray(cost, dtype=np.float64)
    wait = np.asarray(p99_s, dtype=np.float64)
    holding = np.flatnonzero((wait <= limit_s) & ~np.isnan(cost))
    if not holding.size:
        return None
    return int(holding[np.lexsort((wait[holding], cost[holding]))[0]])


def break_even_utilisation(dedicated_usd_per_h: float, serverless_usd_per_h: float) -> float:
    """Return the share of the time that a replica may be billed before always-on is cheaper [1].

    Both prices are those of one replica with all its meters (`billing.replica_usd_per_h`). A
    value of 1 or more means that there is no break-even: an hour of always-on costs no less than
    an hour of serverless, so always-on never wins on cost.

    Raises
    ------
    InputError
        If a price is not a number above 0.
    """
    for name, usd in (
        ("dedicated_usd_per_h", dedicated_usd_per_h),
        ("serverless_usd_per_h", serverless_usd_per_h),
    ):
        if not 0 < usd < math.inf:
            raise InputError(f"{name} must be above 0, got {usd!r}")
    return dedicated_usd_per_h / serverless_usd_per_h


def clairvoyant_sessions(
    arrival_s: ArrayLike,
    finish_s: ArrayLike,
    *,
    concurrency: float,
    start_s: float,
    billed_start_s: float,
    idle_rate_factor: float,
    horizon_s: float,
) -> NDArray[np.void]:
    """Return the sessions of a plan that knows the trace and never makes a request wait.

    With k(t) = ceil(in_system(t) / concurrency) replicas needed, the j-th replica is needed
    while k(t) >= j. In each gap between it is either kept, at the price of an idle second, or
    dropped and started again in time, at the price of a billed start: whichever is cheaper.
    Nothing that serves these requests at once, on replicas that hold that many, costs less
    under the same rules (increments and minimums aside).

    Parameters
    ----------
    arrival_s, finish_s : array_like, shape (n,)
        From a run in which no request waited. [s]
    concurrency : float
        Requests that one replica holds.
    start_s, billed_start_s : float
        A start, and the seconds of it that are billed. [s]
    idle_rate_factor : float
        Price of an idle second over that of a busy one; 0 where idle is not billed. [1]
    horizon_s : float
        End of the time that counts. [s]

    Returns
    -------
    structured ndarray
        As ``RunResult.sessions``, every ``cold_start_index`` being 0, or -1 for a replica needed
        sooner than it could have been started.
    """
    arrival_s = np.asarray(arrival_s, dtype=np.float64)
    finish_s = np.asarray(finish_s, dtype=np.float64)
    if not np.all(np.isfinite(finish_s)):
        raise InputError("the clairvoyant bound needs a run in which no request was rejected")
    times = np.concatenate([arrival_s, finish_s])
    steps = np.repeat([1, -1], arrival_s.size)
    # Finishes before arrivals at one instant: a replica handed over needs no second one.
    order = np.lexsort((steps, times))
    times = times[order]
    needed = np.ceil(np.cumsum(steps[order]) / concurrency).astype(np.int64)
    # A gap is kept if its idle seconds cost no more than a start.
    longest_kept_s = billed_start_s / idle_rate_factor if idle_rate_factor > 0 else math.inf
    rows = []
    for level in range(1, int(needed.max(initial=0)) + 1):
        up = (needed >= level).astype(np.int8)
        edges = np.diff(up, prepend=0)
        begins, ends = times[edges == 1], times[edges == -1]
        gaps = begins[1:] - ends[:-1]
        splits = np.flatnonzero(gaps > longest_kept_s)
        first = np.concatenate([[0], splits + 1])
        last = np.concatenate([splits, [begins.size - 1]])
        busy = np.concatenate([[0.0], np.cumsum(_within(begins, ends, horizon_s))])
        part = np.zeros(first.size, dtype=_SESSION)
        part["replica"] = level - 1
        part["ready_s"] = begins[first]
        part["started_s"] = np.maximum(part["ready_s"] - start_s, 0.0)
        part["ended_s"] = ends[last]
        part["starting_s"] = _within(part["started_s"], part["ready_s"], horizon_s)
        part["busy_s"] = busy[last + 1] - busy[first]
        part["idle_s"] = _within(part["ready_s"], part["ended_s"], horizon_s) - part["busy_s"]
        in_time = part["ready_s"] >= start_s
        part["cold_start_index"] = np.where(in_time, 0, -1)
        part["started_s"] = np.where(in_time, part["started_s"], part["ready_s"])
        part["starting_s"] = np.where(in_time, part["starting_s"], 0.0)
        rows.append(part[part["started_s"] < horizon_s])
    return np.concatenate(rows) if rows else np.zeros(0, dtype=_SESSION)


def always_cold_sessions(
    arrival_s: ArrayLike, service_s: ArrayLike, *, start_s: float, horizon_s: float
) -> NDArray[np.void]:
    """Return the sessions of the limit in which every request starts a replica of its own."""
    arrival_s = np.asarray(arrival_s, dtype=np.float64)
    service_s = np.asarray(service_s, dtype=np.float64)
    rows = np.zeros(arrival_s.size, dtype=_SESSION)
    rows["replica"] = np.arange(arrival_s.size)
    rows["started_s"] = arrival_s
    rows["ready_s"] = arrival_s + start_s
    rows["ended_s"] = rows["ready_s"] + service_s
    rows["starting_s"] = _within(rows["started_s"], rows["ready_s"], horizon_s)
    rows["busy_s"] = _within(rows["ready_s"], rows["ended_s"], horizon_s)
    return rows


def never_cold_sessions(busy_s: ArrayLike, horizon_s: float) -> NDArray[np.void]:
    """Return the sessions of the limit in which each replica is held from first to last.

    ``busy_s`` has the busy seconds of each replica. [s]
    """
    busy_s = np.atleast_1d(np.asarray(busy_s, dtype=np.float64))
    rows = np.zeros(busy_s.size, dtype=_SESSION)
    rows["replica"] = np.arange(busy_s.size)
    rows["ended_s"] = horizon_s
    rows["busy_s"] = np.minimum(busy_s, horizon_s)
    rows["idle_s"] = horizon_s - rows["busy_s"]
    rows["cold_start_index"] = -1
    return rows


_SESSION = np.dtype(
    [
        ("replica", np.int32),
        ("started_s", np.float64),
        ("ready_s", np.float64),
        ("ended_s", np.float64),
        ("starting_s", np.float64),
        ("busy_s", np.float64),
        ("idle_s", np.float64),
        ("parked_s", np.float64, (0,)),
        ("cold_start_index", np.int64),
    ]
)


def _within(
    begin_s: NDArray[np.float64], end_s: NDArray[np.float64], horizon_s: float
) -> NDArray[np.float64]:
    """Return the seconds of each stretch that lie within [0, horizon]."""
    return np.maximum(np.minimum(end_s, horizon_s) - np.minimum(begin_s, horizon_s), 0.0)
