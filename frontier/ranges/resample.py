"""Other traffic of the same kind: a trace cut into blocks of time and put together anew.

A block keeps what happened inside it, to the second: bursts, sessions, long and short prompts. It
is cut by the clock and not by requests, so that the silence before its first and after its last
request goes with it: no seam makes a gap, or an overlap, that the traffic could not have had.

- *Days* (a trace of two days or more): a block takes the place of another of the same time of day,
  on a weekday or at a weekend alike where both are known and seen at least twice. So day and night
  stay where they are (the seasonal block bootstrap of Dudek, Leśkow, Paparoditis & Politis 2014).
  Blocks are whole days where one hour has to do with others far from it, shorter ones else.
- *Near* (a shorter trace): a block comes from nearby in time, so that a slow rise or fall stays
  (the local block bootstrap of Paparoditis & Politis 2002).

How long a block must be is found from the counts of requests, by the rule of Politis & White
(2004, corrected 2009), and it is never short against what a replica remembers: how long it is
kept idle and takes to start.

Days drawn with replacement vary less than days do, by 1 - 1/n for n of them, half for two. So each
day of a group is drawn with a weight of its own, from a Dirichlet law with n - 2 for every day:
that has exactly the variance of days (n / (n - 1) times that of a draw with equal weights).

Left out: growth over the trace, which counts as luck; and what weeks have in common.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from frontier.errors import InfeasibleError
from frontier.spell import seconds
from frontier.tables import Tables
from frontier.trace import Trace
from frontier.trace.prefixes import moved
from frontier.units import SECONDS_PER_DAY, SECONDS_PER_HOUR

_WEEKDAYS, _DAYS = 5, 7
_SAME_S = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """How a trace is cut, and from where each piece may come.

    Attributes
    ----------
    begin_s, length_s : ndarray, shape (k,)
        The places of the blocks; they fill the trace [s].
    group : ndarray of int, shape (k,)
        Places with the same candidates.
    first_s : ndarray, shape (groups, most)
        Where the candidates of each group begin, NaN where it has fewer [s].
    weight : ndarray, shape (groups, most)
        Parameters of the Dirichlet law of their weights; 0 where there is none, or one has all.
    near_s : float
        How far from its own place a block may come; 0 where places have candidates [s].
    freedom : float
        Degrees of freedom of the spread of what the blocks add up to.
    how : str
        What is drawn anew, in words.
    """

    begin_s: NDArray[np.float64]
    length_s: NDArray[np.float64]
    group: NDArray[np.int64]
    first_s: NDArray[np.float64]
    weight: NDArray[np.float64]
    near_s: float
    freedom: float
    how: str


def cut(trace: Trace, tables: Tables, *, remembered_s: float) -> Blocks:
    """Return the blocks of a trace.

    Parameters
    ----------
    remembered_s : float
        How long what happens can still matter to a replica: kept idle, then started anew [s].

    Raises
    ------
    InfeasibleError
        If too little was seen to say how it could have been otherwise; the message says what.
    """
    least = int(tables.setting("ranges_least_requests"))
    if trace.arrival_s.size < least:
        raise InfeasibleError(
            f"{trace.arrival_s.size:,} requests are too few to say how far the figures may be "
            f"off: it takes at least {least:,}."
        )
    least_s = tables.setting("ranges_block_memories") * remembered_s
    if trace.horizon_s >= 2 * SECONDS_PER_DAY - _SAME_S:
        return _days(trace, tables, least_s)
    return _near(trace, tables, least_s)


def drawn(trace: Trace, blocks: Blocks, random: np.random.Generator) -> Trace:
    """Return other traffic of the same kind and length; its digest is empty.

    Raises
    ------
    InfeasibleError
        If no request fell into any of the blocks that were drawn.
    """
    from_s = _origins(blocks, trace.horizon_s, random)
    arrival_s = trace.arrival_s
    first = np.searchsorted(arrival_s, from_s)
    # What is observed ends with its last request: that belongs to the block that ends there.
    until_s = np.where(
        from_s + blocks.length_s > trace.horizon_s - _SAME_S, np.inf, from_s + blocks.length_s
    )
    number = np.searchsorted(arrival_s, until_s) - first
    total = int(number.sum())
    if not total:
        raise InfeasibleError("The traffic is too sparse to be drawn anew: no request was left.")
    before = np.cumsum(number) - number
    origin = np.arange(total) + np.repeat(first - before, number)
    moved_s = arrival_s[origin] + np.repeat(blocks.begin_s - from_s, number)
    # The last bits of a sum may put a request before the one it follows, or beyond the end.
    np.maximum.accumulate(moved_s, out=moved_s)
    np.clip(moved_s, 0.0, trace.horizon_s, out=moved_s)
    parent = shared = None
    if trace.prefix_parent is not None and trace.shared_tokens is not None:
        parent, shared = moved(trace.prefix_parent, trace.shared_tokens, origin)
    return dataclasses.replace(
        trace,
        arrival_s=moved_s,
        prompt_tokens=trace.prompt_tokens[origin],
        output_tokens=trace.output_tokens[origin],
        span_s=float(moved_s[-1] - moved_s[0]),
        session_id=None,
        prefix_parent=parent,
        shared_tokens=shared,
        digest="",
    )


def block_length(residuals: NDArray[np.float64]) -> float:
    """Return how many values a block should have, by the rule of Politis & White.

    Parameters
    ----------
    residuals : ndarray, shape (n,)
        A series without its mean, equally spaced.

    Returns
    -------
    float
        At least 1, at most a third of the series.

    Notes
    -----
    ``b = (2 G² n / D)^(1/3)`` with ``G = Σ λ(k/M) |k| R(k)``, ``D = 4/3 (Σ λ(k/M) R(k))²``, R the
    autocovariance, λ the flat-top window, and M twice the lag after which max(5, √log₁₀ n) lags
    in a row have no correlation beyond ``2 √(log₁₀ n / n)``. For blocks of one length (Patton,
    Politis & White 2009).
    """
    size = residuals.size
    most = max(1.0, size / 3)
    if size < _FEW or not np.any(residuals):
        return 1.0
    lags = min(math.ceil(math.sqrt(size)) + _IN_A_ROW, size - 1)
    r = np.array([residuals[k:] @ residuals[: size - k] for k in range(lags + 1)]) / size
    row = max(_IN_A_ROW, math.ceil(math.sqrt(math.log10(size))))
    is_small = np.abs(r[1:] / r[0]) < 2 * math.sqrt(math.log10(size) / size)
    runs = np.lib.stride_tricks.sliding_window_view(is_small, min(row, is_small.size)).all(axis=1)
    last = int(np.argmax(runs)) if runs.any() else int(np.flatnonzero(~is_small)[-1]) + 1
    width = min(2 * max(last, 1), lags)
    k = np.arange(1, width + 1)
    window = np.clip(2 * (1 - k / width), 0.0, 1.0)
    spectrum = r[0] + 2 * float(window @ r[1 : width + 1])
    slope = 2 * float((window * k) @ r[1 : width + 1])
    if spectrum <= 0:
        return 1.0
    return float(np.clip((1.5 * slope**2 / spectrum**2 * size) ** (1 / 3), 1.0, most))


_FEW, _IN_A_ROW = 12, 5


def _days(trace: Trace, tables: Tables, least_s: float) -> Blocks:
    """Return blocks that take each other's place at the same time of day."""
    weekend = _weekend(trace)
    hours = _hours_alike(trace, weekend)
    # The rule takes a variance that is low in the mean for one that varies less: a range must not.
    longer = tables.setting("ranges_block_factor")
    needed_h = max(least_s / SECONDS_PER_HOUR, longer * block_length(hours))
    parts = next((n for n in (24, 12, 8, 6, 4) if 24 / n >= needed_h), 1)
    if parts == 1 and least_s > SECONDS_PER_DAY:
        raise InfeasibleError("What happens is remembered for longer than a day.")
    length_s = SECONDS_PER_DAY / parts
    begin_s = np.arange(0.0, trace.horizon_s - _SAME_S, length_s)
    end_s = np.minimum(begin_s + length_s, trace.horizon_s)
    of_day = np.arange(begin_s.size) % parts
    groups: dict[tuple[int, bool, float], list[float]] = {}
    keys = []
    for at, (begin, end) in enumerate(zip(begin_s.tolist(), end_s.tolist(), strict=True)):
        slot, size = int(of_day[at]), end - begin
        is_weekend = weekend is not None and bool(weekend[int((begin + end) / 2 // _HOUR_S)])
        key = slot, is_weekend, round(size, 3)
        keys.append(key)
        if key not in groups:
            starts = np.arange(slot * length_s, trace.horizon_s - size + _SAME_S, SECONDS_PER_DAY)
            if weekend is not None:
                middle = ((starts + size / 2) // _HOUR_S).astype(np.int64)
                starts = starts[weekend[np.minimum(middle, weekend.size - 1)] == is_weekend]
            groups[key] = starts.tolist()
    numbers = {key: number for number, key in enumerate(groups)}
    most = max(len(starts) for starts in groups.values())
    first_s = np.full((len(groups), most), np.nan)
    weight = np.zeros((len(groups), most))
    for number, candidates in enumerate(groups.values()):
        first_s[number, : len(candidates)] = candidates
        weight[number, : len(candidates)] = max(len(candidates) - 2, 0)
    freedom = begin_s.size - len(groups)
    if freedom < tables.setting("ranges_least_freedom"):
        raise InfeasibleError(
            f"{seconds(trace.horizon_s)} of traffic are too short to say how far the figures may "
            "be off: each of its days is unlike the next, or an idle replica is kept for too long."
        )
    piece = "Days" if parts == 1 else f"Stretches of {seconds(length_s)}"
    where = "" if parts == 1 else ", each from the same time of another day"
    apart = "" if weekend is None else ", weekdays and weekends apart"
    return Blocks(
        begin_s=begin_s,
        length_s=end_s - begin_s,
        group=np.array([numbers[key] for key in keys], dtype=np.int64),
        first_s=first_s,
        weight=weight,
        near_s=0.0,
        freedom=_freedom(trace, begin_s, [numbers[key] for key in keys]),
        how=f"{piece} of this traffic drawn anew{where}{apart}",
    )


_HOUR_S = SECONDS_PER_HOUR


def _weekend(trace: Trace) -> NDArray[np.bool_] | None:
    """Return whether each hour is at a weekend; None where not known or not seen twice."""
    if trace.t0_utc is None:
        return None
    t0 = trace.t0_utc
    since_monday_s = t0.weekday() * SECONDS_PER_DAY + (
        t0.hour * SECONDS_PER_HOUR + t0.minute * 60.0 + t0.second
    )
    hours = np.arange(math.ceil(trace.horizon_s / _HOUR_S))
    day = (since_monday_s + (hours + 0.5) * _HOUR_S) // SECONDS_PER_DAY % _DAYS
    weekend = day >= _WEEKDAYS
    # Each hour of the day must have been seen twice at a weekend, and twice on a weekday.
    seen = np.bincount(hours % 24 + 24 * weekend, minlength=48)
    return weekend if hours.size >= 24 and seen.min() >= 2 else None


def _hours_alike(trace: Trace, weekend: NDArray[np.bool_] | None) -> NDArray[np.float64]:
    """Return requests an hour less what the same hour of the day has on average."""
    hours = int(trace.horizon_s // _HOUR_S)
    counts = np.bincount(
        np.minimum((trace.arrival_s // _HOUR_S).astype(np.int64), hours - 1), minlength=hours
    ).astype(np.float64)
    kind = np.arange(hours) % 24
    if weekend is not None:
        kind = kind + 24 * weekend[:hours]
    mean = np.bincount(kind, counts) / np.maximum(np.bincount(kind), 1)
    return counts - mean[kind]


def _freedom(trace: Trace, begin_s: NDArray[np.float64], group: list[int]) -> float:
    """Return the degrees of freedom of the requests of all blocks, by Welch & Satterthwaite.

    Fewer than blocks less groups, where the busy hours have most of the spread.
    """
    counts = np.bincount(
        np.searchsorted(begin_s, trace.arrival_s, side="right") - 1, minlength=begin_s.size
    )
    spread = own = 0.0
    for number in set(group):
        values = counts[np.array(group) == number]
        if values.size > 1:
            part = values.size * float(values.var(ddof=1))
            spread, own = spread + part, own + part**2 / (values.size - 1)
    return spread**2 / own if own > 0 else float(begin_s.size - len(set(group)))


def _near(trace: Trace, tables: Tables, least_s: float) -> Blocks:
    """Return blocks that come from nearby in time."""
    horizon_s, least = trace.horizon_s, tables.setting("ranges_least_blocks")
    bins = int(min(_BINS, trace.arrival_s.size))
    edges_s = np.linspace(0.0, horizon_s, bins + 1)
    counts = np.histogram(trace.arrival_s, edges_s)[0].astype(np.float64)
    # A straight line is no dependence: blocks come from nearby because of it.
    time = np.linspace(-1.0, 1.0, bins)
    residuals = counts - counts.mean() - time * (time @ counts) / (time @ time)
    longer = tables.setting("ranges_block_factor")
    length_s = max(longer * block_length(residuals) * horizon_s / bins, least_s)
    if length_s * least > horizon_s:
        raise InfeasibleError(
            f"{seconds(horizon_s)} of traffic are too short to say how far the figures may be "
            f"off: stretches of {seconds(length_s)} have to do with each other, and it takes "
            f"{least:g} of them."
        )
    # In steps, so that a start that takes a second longer does not cut everything anew.
    steps = math.floor(2 * math.log2(horizon_s / length_s / least))
    number = math.floor(least * 2 ** (steps / 2))
    length_s = horizon_s / number
    near_s = min(tables.setting("ranges_near_blocks") * length_s, horizon_s)
    return Blocks(
        begin_s=np.arange(number, dtype=np.float64) * length_s,
        length_s=np.full(number, length_s),
        group=np.zeros(number, dtype=np.int64),
        first_s=np.zeros((1, 1)),
        weight=np.zeros((1, 1)),
        near_s=near_s,
        freedom=number - horizon_s / (2 * near_s + length_s),
        how=f"Stretches of {seconds(length_s)} of this traffic drawn anew from nearby in time",
    )


_BINS = 400


def _origins(blocks: Blocks, horizon_s: float, random: np.random.Generator) -> NDArray[np.float64]:
    """Return where the block that fills each place begins [s]."""
    luck = random.random(blocks.begin_s.size)
    if blocks.near_s:
        low = np.maximum(blocks.begin_s - blocks.near_s, 0.0)
        high = np.minimum(blocks.begin_s + blocks.near_s, horizon_s - blocks.length_s)
        return low + luck * np.maximum(high - low, 0.0)
    share = random.standard_gamma(blocks.weight)
    # Of two days (or one) one has all: where the law of n - 2 tends to.
    alone = np.flatnonzero(share.sum(axis=1) == 0.0)
    known = np.isfinite(blocks.first_s).sum(axis=1)
    share[alone, random.integers(known[alone])] = 1.0
    until = np.cumsum(share, axis=1)
    until /= until[:, -1:]
    pick = (until[blocks.group] <= luck[:, None]).sum(axis=1)
    found: NDArray[np.float64] = blocks.first_s[blocks.group, pick]
    return found
