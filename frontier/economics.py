"""What the bills mean: which plans are efficient, where always-on wins, what the bounds are.

Also what moves the answer (sensitivity) and what waiting may be worth (a layer apart from any
bill). Reads costs and waits; simulates nothing and knows no provider. The bounds come as
synthetic sessions, so that `billing.bill` prices them by the same rules as any plan.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from frontier.errors import InputError
from frontier.simulate import session_type
from frontier.tables import Abandonment


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Differences too small to choose by: of cost [1], and of p99 as a share [1] and in seconds.

    Of the two for the p99 the larger one counts. The default is none: every difference counts.
    """

    cost_share: float = 0.0
    p99_share: float = 0.0
    p99_s: float = 0.0

    def of_wait(self, wait_s: ArrayLike) -> NDArray[np.float64]:
        """Return how much longer another wait may be and still be as good [s]."""
        return np.maximum(self.p99_share * np.asarray(wait_s, dtype=np.float64), self.p99_s)


EXACT = Tolerance()
# Sums of the same dollars in another order differ in their last bits.
_CENTS_OF_NOTHING = 9


def as_fast_as_any(p99_s: ArrayLike, tolerance: Tolerance = EXACT) -> NDArray[np.bool_]:
    """Return which plans wait no longer than the fastest of them, within a tolerance."""
    wait = np.asarray(p99_s, dtype=np.float64)
    least = np.min(wait, initial=np.inf, where=~np.isnan(wait))
    return wait <= (least + tolerance.of_wait(least) if np.isfinite(least) else least)


def efficient(cost: ArrayLike, p99_s: ArrayLike, tolerance: Tolerance = EXACT) -> NDArray[np.bool_]:
    """Return which plans no other plan beats on both cost and wait.

    A plan is beaten by one that is at least as good on both and better on one; plans that tie
    exactly are kept together. A plan without a number (NaN) is never efficient, and one that
    refuses its 99th percentile (infinite) only if nothing cheaper or equal waits less.

    With a tolerance a plan has to differ from the next cheaper efficient one: one that is no
    faster beyond it gives way to the cheaper, and the cheaper to one that is faster beyond it at
    a cost within it. The cheapest plan of all always stays.

    Parameters
    ----------
    cost : array_like, shape (n,)
        Dollars, over any span that is the same for all. [$]
    p99_s : array_like, shape (n,)
        99th percentile of the TTFT. [s]
    tolerance : Tolerance

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    cost = np.asarray(cost, dtype=np.float64)
    wait = np.asarray(p99_s, dtype=np.float64)
    mask = np.zeros(cost.size, dtype=np.bool_)
    known = np.flatnonzero(~(np.isnan(cost) | np.isnan(wait)))
    # In order of cost, a plan survives if it waits less than every cheaper one; of equal cost,
    # only those with the least wait, which comes first.
    kept: list[int] = []
    for at in known[np.lexsort((wait[known], cost[known]))].tolist():
        if kept and not _is_faster(wait[at], wait[kept[-1]], tolerance):
            continue
        if len(kept) > 1 and cost[at] <= cost[kept[-1]] * (1 + tolerance.cost_share):
            kept.pop()
        kept.append(at)
    for at in kept:
        mask |= (cost == cost[at]) & (wait == wait[at])
    return mask


def undominated(kinds: Sequence[Hashable], needs: ArrayLike) -> NDArray[np.bool_]:
    """Return which plans can be cheapest under some limit at some price, shape (n,).

    Left out is a plan beside which another of its kind needs no more of anything, and of plans
    that need the same all but the first: it is never worth more.

    Parameters
    ----------
    kinds : sequence, length n
        Plans of one kind have a price in common for each of their needs.
    needs : array_like, shape (n, m)
        What each takes of what has a price, and its p99 TTFT.
    """
    amounts = np.asarray(needs, dtype=np.float64)
    kept = np.zeros(len(kinds), dtype=np.bool_)
    for kind in dict.fromkeys(kinds):
        at = np.array([index for index, other in enumerate(kinds) if other == kind])
        own = amounts[at]
        no_more = (own[:, None, :] <= own[None, :, :]).all(axis=2)
        less = no_more & (own[:, None, :] < own[None, :, :]).any(axis=2)
        # Of plans that are alike in all, the first one stands for the others.
        again = no_more & no_more.T & (np.arange(at.size)[:, None] < np.arange(at.size)[None, :])
        kept[at] = ~(less | again).any(axis=0)
    return kept


def _is_faster(wait_s: float, than_s: float, tolerance: Tolerance) -> bool:
    """Whether a wait is shorter than another by more than the tolerance."""
    if math.isinf(than_s):
        return bool(wait_s < than_s)
    return bool(than_s - wait_s > tolerance.of_wait(than_s))


def cheapest_under(cost: ArrayLike, p99_s: ArrayLike, limit_s: float) -> int | None:
    """Return the position of the cheapest plan that holds the limit; None if none does.

    Of equally cheap plans (to a billionth of a dollar), the one that waits least; then the first.
    """
    cost = np.round(np.asarray(cost, dtype=np.float64), _CENTS_OF_NOTHING)
    wait = np.asarray(p99_s, dtype=np.float64)
    holding = np.flatnonzero((wait <= limit_s) & ~np.isnan(cost))
    if not holding.size:
        return None
    return int(holding[np.lexsort((wait[holding], cost[holding]))[0]])


def needed_sessions(
    arrival_s: ArrayLike, finish_s: ArrayLike, *, concurrency: float, horizon_s: float
) -> NDArray[np.void]:
    """Return when replicas are needed if no request may ever wait: one session a stretch.

    With k(t) = ceil(in_system(t) / concurrency) replicas needed, the j-th replica is needed
    while k(t) >= j. What lies between two stretches is for `kept_sessions` to decide.

    Parameters
    ----------
    arrival_s, finish_s : array_like, shape (n,)
        From a run in which no request waited. [s]
    concurrency : float
        Requests that one replica holds.
    horizon_s : float
        End of the time that counts. [s]

    Returns
    -------
    structured ndarray
        As ``RunResult.sessions``, by replica and then by time; no start is in it.
    """
    arrival_s = np.asarray(arrival_s, dtype=np.float64)
    finish_s = np.asarray(finish_s, dtype=np.float64)
    if not np.all(np.isfinite(finish_s)):
        raise InputError("the clairvoyant bound needs a run in which no request was rejected")
    times = np.concatenate([finish_s, arrival_s])
    # Finishes before arrivals at one instant: a replica handed over needs no second one.
    order = np.argsort(times, kind="stable")
    times = times[order]
    needed = np.where(order < finish_s.size, -1.0, 1.0)
    del order
    # Whole numbers, which a float holds exactly.
    np.cumsum(needed, out=needed)
    needed /= concurrency
    np.ceil(needed, out=needed)
    rows = []
    for level in range(1, int(needed.max(initial=0)) + 1):
        edges = np.diff((needed >= level).astype(np.int8), prepend=0)
        begins, ends = times[edges == 1], times[edges == -1]
        part = np.zeros(begins.size, dtype=session_type(0))
        part["replica"] = level - 1
        part["started_s"] = part["ready_s"] = begins
        part["ended_s"] = ends
        part["busy_s"] = _within(begins, ends, horizon_s)
        part["cold_start_index"] = -1
        rows.append(part)
    return _joined(rows)


def kept_sessions(
    needed: NDArray[np.void],
    *,
    start_s: float,
    billed_start_s: float,
    idle_rate_factor: float,
    horizon_s: float,
) -> NDArray[np.void]:
    """Return the sessions of a plan that knows the trace and never makes a request wait.

    In each gap between the stretches in which it is needed, a replica is either kept, at the
    price of an idle second, or dropped and started again in time, at the price of a billed
    start: whichever is cheaper. Nothing that serves these requests at once, on replicas that
    hold that many, costs less under the same rules (increments and minimums aside).

    Parameters
    ----------
    needed : structured ndarray
        From `needed_sessions`.
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
    # A gap is kept if its idle seconds cost no more than a start.
    longest_kept_s = billed_start_s / idle_rate_factor if idle_rate_factor > 0 else math.inf
    rows = []
    replicas = np.unique(needed["replica"])
    for replica in replicas:
        own = needed if replicas.size == 1 else needed[needed["replica"] == replica]
        gaps = own["ready_s"][1:] - own["ended_s"][:-1]
        splits = np.flatnonzero(gaps > longest_kept_s)
        first = np.concatenate([[0], splits + 1])
        last = np.concatenate([splits, [own.size - 1]])
        busy = np.concatenate([[0.0], np.cumsum(own["busy_s"])])
        part = np.zeros(first.size, dtype=session_type(0))
        part["replica"] = replica
        part["ready_s"] = own["ready_s"][first]
        part["started_s"] = np.maximum(part["ready_s"] - start_s, 0.0)
        part["ended_s"] = own["ended_s"][last]
        part["starting_s"] = _within(part["started_s"], part["ready_s"], horizon_s)
        part["busy_s"] = busy[last + 1] - busy[first]
        part["idle_s"] = _within(part["ready_s"], part["ended_s"], horizon_s) - part["busy_s"]
        in_time = part["ready_s"] >= start_s
        part["cold_start_index"] = np.where(in_time, 0, -1)
        part["started_s"] = np.where(in_time, part["started_s"], part["ready_s"])
        part["starting_s"] = np.where(in_time, part["starting_s"], 0.0)
        is_in_time = part["started_s"] < horizon_s
        rows.append(part if is_in_time.all() else part[is_in_time])
    return _joined(rows)


def _joined(rows: list[NDArray[np.void]]) -> NDArray[np.void]:
    """Return sessions of several replicas as one array; those of one are not copied."""
    if not rows:
        return np.zeros(0, dtype=session_type(0))
    return rows[0] if len(rows) == 1 else np.concatenate(rows)


@dataclass(frozen=True, slots=True)
class Crossing:
    """Where two costs are equal.

    Attributes
    ----------
    at, low, high : float
        The factor, and the range in which it lies: one standard error of the replicates, or the
        width to which it was closed in on, whichever is wider.
    dearer_above : bool
        Whether the first of the two is the dearer one above it.
    """

    at: float
    low: float
    high: float
    dearer_above: bool


def crossings(
    difference: Callable[[float], ArrayLike],
    low: float,
    high: float,
    *,
    samples: int,
    tolerance: float,
) -> tuple[Crossing, ...]:
    """Return where a difference of two costs changes its sign, computed and not read off a grid.

    Parameters
    ----------
    difference : callable
        First cost less second at a factor (of the traffic, say); an array of replicates where
        it is random, the same number at each factor.
    low, high : float
        Range of the factor, above 0; looked at on a log scale.
    samples : int
        Points at which it is computed first. Two crossings between two of them go unseen.
    tolerance : float
        Relative width to which each is closed in on. [1]

    Returns
    -------
    tuple of Crossing, in order of the factor; empty: the sign never changes in that range

    Raises
    ------
    InputError
        If the range is empty or reaches 0.
    """
    from scipy.optimize import brentq

    if not 0 < low < high < math.inf:
        raise InputError(f"the range must be above 0 and not empty, got {low!r} to {high!r}")

    def mean_at(log_factor: float) -> float:
        return float(np.mean(np.asarray(difference(math.exp(log_factor)), dtype=np.float64)))

    logs = np.linspace(math.log(low), math.log(high), samples)
    values = np.array([mean_at(log) for log in logs])
    found = []
    for left in np.flatnonzero(np.sign(values[:-1]) * np.sign(values[1:]) < 0):
        a, b = float(logs[left]), float(logs[left + 1])
        root = float(brentq(mean_at, a, b, xtol=tolerance))
        replicates = np.atleast_1d(np.asarray(difference(math.exp(root)), dtype=np.float64))
        slope = (values[left + 1] - values[left]) / (b - a)
        error = (
            np.std(replicates, ddof=1) / math.sqrt(replicates.size) if replicates.size > 1 else 0
        )
        width = max(tolerance, float(error) / abs(slope))
        found.append(
            Crossing(
                at=math.exp(root),
                low=math.exp(root - width),
                high=math.exp(root + width),
                dearer_above=bool(slope > 0),
            )
        )
    for at in np.flatnonzero(values == 0).tolist():
        rises = values[min(at + 1, samples - 1)] > values[max(at - 1, 0)]
        factor = math.exp(logs[at])
        found.append(Crossing(factor, factor, factor, bool(rises)))
    return tuple(sorted(found, key=lambda crossing: crossing.at))


@dataclass(frozen=True, slots=True)
class Swing:
    """One input of a sensitivity: its value, and how far it may lie to either side."""

    key: str
    label: str
    unit: str
    low: float
    base: float
    high: float


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a tornado: the result with that input low, and high, all others at base."""

    swing: Swing
    at_low: float
    at_high: float

    @property
    def spread(self) -> float:
        """How far the result moves."""
        return abs(self.at_high - self.at_low)


def tornado(
    evaluate: Callable[[Mapping[str, float]], float], swings: Iterable[Swing]
) -> tuple[float, tuple[Bar, ...]]:
    """Return the result at base, and how it moves with each input alone, largest first.

    Parameters
    ----------
    evaluate : callable
        The result, given those inputs that are not at their base, by key. What it must do again
        for which input (bill, draw starts, simulate) is its own business.
    swings : iterable of Swing
    """
    base = evaluate({})
    bars = [
        Bar(swing, evaluate({swing.key: swing.low}), evaluate({swing.key: swing.high}))
        for swing in swings
    ]
    return base, tuple(sorted(bars, key=lambda bar: -bar.spread))


def flip_value(
    margin: Callable[[float], float], swing: Swing, *, samples: int, tolerance: float
) -> float | None:
    """Return the value of an input, nearest to its base, at which the verdict flips.

    ``margin`` is positive while the verdict stands. None: it stands, or falls, over the whole
    range of the swing.
    """
    found = crossings(margin, swing.low, swing.high, samples=samples, tolerance=tolerance)
    if not found:
        return None
    return min((crossing.at for crossing in found), key=lambda at: abs(math.log(at / swing.base)))


def abandon_share(
    curve: Abandonment, wait_s: ArrayLike, *, baseline_share: float | None = None
) -> NDArray[np.float64]:
    """Return the share of people who leave after each wait [1].

    ``most (1 - exp(-((t - grace) / scale) ** exponent))`` for a saturating curve, a straight
    line from the grace on, or the excess over the share that leaves anyway. A wait beyond what
    the source looked at counts as the longest it did look at; an infinite one (refused) is lost.

    Parameters
    ----------
    curve : Abandonment
        A preset, or one with the user's own numbers.
    wait_s : array_like
        Waits for the first token. [s]
    baseline_share : float, optional
        Share that leaves whatever the wait; needed where the curve is given in factors on it.

    Raises
    ------
    InputError
        If the curve needs a baseline and there is none, or lacks a number of its shape.
    """
    wait = np.asarray(wait_s, dtype=np.float64)
    seen = np.minimum(wait, math.inf if curve.supported_s is None else curve.supported_s)
    if curve.shape == "none":
        share = np.zeros_like(wait)
    elif curve.shape == "factors":
        if baseline_share is None or not 0 <= baseline_share <= 1:
            raise InputError(
                f"{curve.label} needs the share that leaves anyway, from 0 to 1, "
                f"got {baseline_share!r}"
            )
        points = np.array([[float(part) for part in point.split(":")] for point in curve.factors])
        share = baseline_share * (np.interp(seen, points[:, 0], points[:, 1]) - 1.0)
    else:
        late = np.maximum(seen - (curve.grace_s or 0.0), 0.0)
        if curve.shape == "linear":
            share = late * _number(curve, "share_per_s")
        else:
            scaled = (late / _number(curve, "scale_s")) ** _number(curve, "exponent")
            share = curve.most * -np.expm1(-scaled)
    return np.where(np.isinf(wait), 1.0, np.clip(share, 0.0, curve.most))


@dataclass(frozen=True, slots=True)
class LatencyPrice:
    """What waiting is worth by one curve: a layer of its own, never part of a bill.

    Attributes
    ----------
    lost : float
        Expected number of requests after which somebody leaves.
    usd : float
        That many times the value of one. [$]
    beyond_share : float
        Share of the requests that waited longer than the curve's source looked at. [1]
    on_llm_users : bool
        Whether the curve was measured on users of a language model.
    """

    lost: float
    usd: float
    beyond_share: float
    on_llm_users: bool


def price_of_latency(
    ttft_s: ArrayLike,
    curve: Abandonment,
    usd_per_lost: float,
    *,
    baseline_share: float | None = None,
) -> LatencyPrice:
    """Return what the waits of a run are worth by a curve and the user's value of one request."""
    wait = np.asarray(ttft_s, dtype=np.float64)
    lost = float(abandon_share(curve, wait, baseline_share=baseline_share).sum())
    limit_s = math.inf if curve.supported_s is None else curve.supported_s
    beyond = float(np.mean(np.isfinite(wait) & (wait > limit_s))) if wait.size else 0.0
    return LatencyPrice(lost, lost * usd_per_lost, beyond, curve.on_llm_users)


def break_even_value_usd(extra_usd: float, lost_before: float, lost_after: float) -> float:
    """Return what one saved request must be worth for the faster plan to pay for itself [$].

    The extra spend over the requests it saves. "Lost" may be counted by a curve, or without
    any: as the requests that waited longer than the limit. 0 where the faster plan costs no
    more; infinite where it saves none.
    """
    saved = lost_before - lost_after
    if extra_usd <= 0:
        return 0.0
    return extra_usd / saved if saved > 0 else math.inf


def _number(curve: Abandonment, name: str) -> float:
    value = getattr(curve, name)
    if value is None:
        raise InputError(f"{curve.label} is {curve.shape} and needs {name}")
    return float(value)


def _within(
    begin_s: NDArray[np.float64], end_s: NDArray[np.float64], horizon_s: float
) -> NDArray[np.float64]:
    """Return the seconds of each stretch that lie within [0, horizon]."""
    return np.maximum(np.minimum(end_s, horizon_s) - np.minimum(begin_s, horizon_s), 0.0)
