"""The bills of scale-to-zero and always-on against the request rate, and where they cross.

`frontier.rivals` serves the traffic at each rate; here it is billed. Nothing is drawn.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frontier.answers import ANSWERS
from frontier.economics import Crossing, crossings
from frontier.rivals import (
    ALWAYS_ON,
    AS_SHIPPED,
    CHEAPEST,
    Change,
    Rivals,
    nine_digits,
    usd_per_month,
)
from frontier.sweep import (
    LIST_DEAL,
    Deal,
    Outcome,
)
from frontier.tables import Tables
from frontier.trace import Trace


@dataclass(frozen=True, slots=True)
class RatePoint:
    """What one of the lines costs at one rate; money and waits are means over the seeds.

    Attributes
    ----------
    line : str
        `AS_SHIPPED` or `CHEAPEST` (scale-to-zero at the provider's own idle timeout, and at the
        one that costs least, whatever it does to the waits), or `ALWAYS_ON`.
    factor : float
        Times the traffic [1].
    usd_per_month, usd_low, usd_high : float
        Mean, least and most over the seeds [$].
    holds_limit : bool
        Whether ``p99_ttft_s`` is within the limit.
    idle_timeout_s : float
        Of an idle replica; infinite for always-on, which never releases one [s].
    replicas : int
        Most replicas.
    """

    line: str
    factor: float
    usd_per_month: float
    usd_low: float
    usd_high: float
    p99_ttft_s: float
    holds_limit: bool
    idle_timeout_s: float
    replicas: int


@dataclass(frozen=True, slots=True)
class BreakEven:
    """Costs against the request rate, and where scale-to-zero and always-on cost the same.

    Attributes
    ----------
    points : tuple of RatePoint
        In order of the factor.
    crossings : tuple of Crossing
        Of scale-to-zero, as chosen, less always-on; empty: there is no break-even in the range.
    low, high : float
        The range of factors that was looked at [1].
    is_capped : bool
        Whether it ends early, for the number of requests there would be.
    capped_from : float or None
        From this factor on scale-to-zero, as chosen, may have fewer replicas than the traffic
        needs: its line ends before, and so does the comparison.
    """

    points: tuple[RatePoint, ...]
    crossings: tuple[Crossing, ...]
    low: float
    high: float
    is_capped: bool
    capped_from: float | None = None


def break_even_of(record: Mapping[str, Any]) -> BreakEven:
    """Return what `dataclasses.asdict` took apart."""
    points = tuple(RatePoint(**point) for point in record["points"])
    found = tuple(Crossing(**crossing) for crossing in record["crossings"])
    return BreakEven(**{**record, "points": points, "crossings": found})


def rate_range(trace: Trace, tables: Tables) -> tuple[float, float, bool]:
    """Return the least and the largest factor to look at, and whether either was cut short.

    Enough requests must be left of a thinned trace to mean something, and a multiplied one must
    not take too long; the traffic as it is always belongs to the range.
    """
    span, requests = tables.setting("break_even_span"), trace.arrival_s.size
    drawn = requests if trace.session_id is None else np.unique(trace.session_id).size
    low = min(1.0, max(1 / span, tables.setting("break_even_least_requests") / drawn))
    high = max(1.0, min(span, tables.setting("break_even_most_requests") / requests))
    # A range needs two ends.
    high = max(high, low * 2)
    return low, high, low > 1 / span or high < span


def break_even(
    rivals: Rivals,
    *,
    line: str,
    limit_s: float,
    tables: Tables,
    deal: Deal = LIST_DEAL,
    lines: tuple[str, ...] = (AS_SHIPPED, CHEAPEST),
    now: Mapping[str, Outcome] = MappingProxyType({}),
    progress: Callable[[int, int], None] | None = None,
) -> BreakEven:
    """Return the costs at scaled rates, and where the two rivals cost the same.

    Rates are evenly spaced on a log scale. At each, always-on has as many replicas as hold the
    limit. A crossing is closed in on by further simulations, and its range is one standard error
    over the seeds of the scaled traffic.

    Parameters
    ----------
    line : str
        Which scale-to-zero meets always-on: `AS_SHIPPED` or `CHEAPEST`.
    limit_s : float
        On p99 TTFT [s].
    lines : tuple of str
        Which lines of scale-to-zero are computed at each rate; ``line`` is one of them.
    now : mapping of str to Outcome
        What a line is at the traffic as it is, where that is known: the plans of a verdict.
    progress : callable, optional
        Called with (done, all) rates, at least ten times a second; what it raises stops all.
    """
    low, high, is_short = rate_range(rivals.trace, tables)
    samples = int(tables.setting("break_even_samples"))
    grid = [math.exp(at) for at in np.linspace(math.log(low), math.log(high), samples)]
    factors = sorted({nine_digits(factor) for factor in (*grid, 1.0)})
    done = 0

    def tick() -> None:
        if progress is not None:
            progress(done, len(factors))

    costs: dict[int, tuple[Outcome, float]] = {}

    def cost(outcome: Outcome) -> float:
        # By the object itself, which is held here, so that no other can take its number.
        if id(outcome) not in costs:
            ANSWERS.step()
            costs[id(outcome)] = outcome, usd_per_month(outcome, tables, deal)
        return costs[id(outcome)][1]

    def zero(factor: float, which: str) -> tuple[float, tuple[Outcome, ...]]:
        if factor == 1.0 and which in now:
            return now[which].plan.policy.idle_timeout_s, (now[which],)
        change = Change(traffic=factor, as_shipped=which == AS_SHIPPED)
        kept_s = rivals.idle_timeout_s
        if which == CHEAPEST:
            tried = [cost(outcome) for outcome in rivals.each_idle_timeout(change, tick)]
            kept_s = rivals.idle_timeouts_s[int(np.argmin(tried))]
        change = dataclasses.replace(change, idle_timeout_s=kept_s)
        return kept_s, rivals.scale_to_zero(change, tick)

    def is_capped(factor: float, which: str) -> bool:
        return rivals.is_capped(Change(traffic=factor, as_shipped=which == AS_SHIPPED))

    def always_on(factor: float) -> tuple[Outcome, ...]:
        if factor == 1.0 and ALWAYS_ON in now:
            return (now[ALWAYS_ON],)
        return rivals.always_on(Change(traffic=factor), limit_s, tick).outcomes

    def point(
        which: str, factor: float, outcomes: tuple[Outcome, ...], idle_timeout_s: float
    ) -> RatePoint:
        usd = [cost(outcome) for outcome in outcomes]
        p99_s = float(np.mean([outcome.latency.p99_ttft_s for outcome in outcomes]))
        return RatePoint(
            line=which,
            factor=factor,
            usd_per_month=float(np.mean(usd)),
            usd_low=min(usd),
            usd_high=max(usd),
            p99_ttft_s=p99_s,
            holds_limit=p99_s <= limit_s,
            idle_timeout_s=idle_timeout_s,
            replicas=outcomes[0].plan.policy.max_replicas,
        )

    def rival_point(factor: float) -> RatePoint:
        return point(ALWAYS_ON, factor, always_on(factor), math.inf)

    points = []
    capped: dict[str, list[float]] = {which: [] for which in lines}
    for index, factor in enumerate(factors):
        done = index
        tick()
        for which in lines:
            if is_capped(factor, which):
                capped[which].append(factor)
                if factor != 1.0:
                    continue  # a line that has hit its cap ends there
            kept_s, outcomes = zero(factor, which)
            points.append(point(which, factor, outcomes, kept_s))
        points.append(rival_point(factor))
    done = len(factors)
    capped_from = min(capped[line], default=None)
    top = high
    if capped_from is not None:
        top = max((factor for factor in factors if factor < capped_from), default=low)

    def difference(factor: float) -> NDArray[np.float64]:
        factor = nine_digits(factor)
        usd = [cost(outcome) for outcome in zero(factor, line)[1]]
        rival_usd = [cost(outcome) for outcome in always_on(factor)]
        # One draw may stand against several: at the traffic as it is nothing is drawn.
        return np.subtract(*np.broadcast_arrays(np.array(usd), np.array(rival_usd)))

    found: tuple[Crossing, ...] = ()
    if top > low:
        tolerance = tables.setting("break_even_tolerance")
        found = crossings(difference, low, top, samples=samples, tolerance=tolerance)
    for crossing in found:
        sides = [rival_point(nine_digits(factor)) for factor in (crossing.low, crossing.high)]
        if sides[0].replicas != sides[1].replicas:
            # The lines cross where always-on takes one more replica: that step has to be here.
            points += sides
    points.sort(key=lambda point: point.factor)
    return BreakEven(tuple(points), found, low, top, is_short, capped_from)
