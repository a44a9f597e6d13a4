"""What the comparison of scale-to-zero and always-on hangs on: the traffic, and each input alone.

A `Rivals` serves the trace, at another rate or with an input changed, on both; it simulates each
case once and knows no price. The functions bill what it simulated: costs against the request
rate and where they cross, the gap between the two with one input at a time off its base, and the
split of one replica's metered seconds. Nothing here is drawn.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import weakref
from bisect import bisect_left
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frontier import units
from frontier.analytic import replica_cycle
from frontier.billing import HostChoice, HostNeed, host_billed, is_metered
from frontier.crew import HERE, THREADS
from frontier.economics import Bar, Crossing, Swing, crossings, flip_value
from frontier.economics import tornado as tornado_of
from frontier.errors import InputError
from frontier.memory import Store, stopwatch
from frontier.plans.grid import (
    dedicated_plan,
    dedicated_plans,
    default_idle_timeout_s,
    idle_timeouts_s,
    mitigated_plan,
    most_as_shipped,
)
from frontier.plans.plan import Plan, committed
from frontier.plans.scenario import Deployment, Scenario, deploy
from frontier.serve import simulate_plan
from frontier.start.stages import ColdStart
from frontier.sweep import (
    LIST_DEAL,
    Deal,
    Outcome,
    bill_outcome,
    host_need,
    simulate_plans,
    start_draws,
    start_normals,
    tolerance_of,
)
from frontier.tables import Tables, load_tables
from frontier.trace import Trace, make_trace, scale_rate

AS_SHIPPED, CHEAPEST, ALWAYS_ON = "shipped", "cheapest", "always-on"
_NUMBERS = itertools.count()
Tick = Callable[[], None]


def _no_tick() -> None:
    """Do nothing: nobody wants to hear of progress."""


@dataclass(frozen=True, slots=True)
class Change:
    """Inputs off their base; a factor of 1, or None, leaves one alone.

    Attributes
    ----------
    traffic, tokens, start : float
        Factors on the request rate, on the tokens of each request, on the seconds of a start [1].
    idle_timeout_s : float or None
        In place of the provider's own [s].
    target_concurrency : float or None
        In place of the scenario's, for the replicas that scale to zero.
    as_shipped : bool
        Scale-to-zero has no more replicas than the provider's default.
    """

    traffic: float = 1.0
    tokens: float = 1.0
    start: float = 1.0
    idle_timeout_s: float | None = None
    target_concurrency: float | None = None
    as_shipped: bool = False


UNCHANGED = Change()


@dataclass(frozen=True, slots=True, eq=False)
class _Sessions:
    """Makes the sessions of a plan again, on traffic that was changed."""

    plan: Plan
    trace: Trace
    change: Change
    seed: int
    tables: Tables

    def __call__(self) -> NDArray[np.void]:
        trace = _changed(self.trace, self.change, self.seed, self.tables)
        draws = start_draws([self.plan.start], self.tables)[self.plan.start]
        return simulate_plan(self.plan, trace, draws).sessions


def _changed(trace: Trace, change: Change, seed: int, tables: Tables) -> Trace:
    trace = scaled_tokens(trace, change.tokens)
    if change.traffic == 1.0:
        return trace
    return scale_rate(trace, change.traffic, seed, tables)


@dataclass(frozen=True, slots=True, eq=False)
class AlwaysOn:
    """The fewest dedicated replicas that hold the limit.

    Attributes
    ----------
    outcomes : tuple of Outcome
        One for each seed of the traffic.
    replicas : int
        How many; where no number holds the limit, the fewest that are as fast as the most.
    holds_limit : bool
        Whether they hold it, with every seed.
    """

    outcomes: tuple[Outcome, ...]
    replicas: int
    holds_limit: bool


class Rivals:
    """Scale-to-zero and always-on on one trace, simulated when first asked for and then kept.

    What was simulated shares so many bytes with what all other rivals of the process did, and is
    simulated again where it was forgotten.

    Parameters
    ----------
    scenario : Scenario
    trace : Trace
    tables : Tables
        Of the prices in it nothing is used: outcomes can be billed at any.
    mitigations : tuple of str
        Keys of the mitigations that shorten a start; one of the sets of the deployment.
    """

    def __init__(
        self, scenario: Scenario, trace: Trace, tables: Tables, mitigations: tuple[str, ...] = ()
    ) -> None:
        self._tables, self.mitigations = tables, mitigations
        # No other mitigation matters here, and trying their combinations takes time.
        self._scenario = dataclasses.replace(scenario, mitigations=mitigations)
        if trace.session_id is not None:
            sessions = np.unique(trace.session_id).size
            if sessions < tables.setting("break_even_least_requests"):
                # So few cannot be thinned as a whole: one draw would decide of everything.
                trace = dataclasses.replace(trace, session_id=None)
        self.trace = trace
        self.deployment = deploy(self._scenario, trace, tables)
        self._worlds: dict[int, tuple[tuple[float, float], Trace, Deployment]] = {}
        # What it simulated shares one store with what all others of this process did.
        self._key, self._keys = next(_NUMBERS), set[Hashable]()
        weakref.finalize(self, _forget, self._keys).atexit = False
        self._most: dict[tuple[float, float, int], int] = {}
        self._capped: dict[Change, bool] = {}
        self._stage_s: dict[ColdStart, NDArray[np.float64]] = {}
        self.idle_timeout_s = default_idle_timeout_s(self.deployment.serverless.behaviour, tables)
        self.idle_timeouts_s = idle_timeouts_s(self.deployment.serverless.behaviour, tables)

    def seeds(self, change: Change) -> range:
        """Return the seeds of the traffic: one where nothing of it is drawn, else several."""
        drawn = change.traffic != 1.0
        return range(int(self._tables.setting("break_even_seeds")) if drawn else 1)

    def base_plan(self) -> Plan:
        """Return the scale-to-zero plan with nothing changed."""
        return self._plan(self.deployment, UNCHANGED)

    def scale_to_zero(self, change: Change, tick: Tick = _no_tick) -> tuple[Outcome, ...]:
        """Return what scale-to-zero does, one outcome for each seed of the traffic."""
        return tuple(self._scaled([change], seed, tick)[0] for seed in self.seeds(change))

    def each_idle_timeout(self, change: Change, tick: Tick = _no_tick) -> tuple[Outcome, ...]:
        """Return what scale-to-zero does at each of `idle_timeouts_s`, with the first seed."""
        tried = [dataclasses.replace(change, idle_timeout_s=s) for s in self.idle_timeouts_s]
        return self._scaled(tried, 0, tick)

    def always_on(self, change: Change, limit_s: float, tick: Tick = _no_tick) -> AlwaysOn:
        """Return the fewest dedicated replicas that hold the limit on p99 TTFT [s]."""
        seeds, replicas, holds = self.seeds(change), 1, True
        for seed in seeds:
            most = self._most_dedicated(change, seed)

            def p99_s(count: int, seed: int = seed) -> float:
                return self._dedicated(change, seed, count, tick).latency.p99_ttft_s

            found = _fewest(p99_s, limit_s, replicas, most)
            holds = found is not None
            if found is None:
                break
            replicas = found
        if not holds:
            # None holds the limit: then the fewest that are as fast as the most there may be.
            for seed in seeds:
                most = self._most_dedicated(change, seed)

                def p99_s(count: int, seed: int = seed) -> float:
                    return self._dedicated(change, seed, count, tick).latency.p99_ttft_s

                best_s = p99_s(most)
                slack_s = float(tolerance_of(self._tables).of_wait(best_s))
                as_fast_s = best_s + slack_s if math.isfinite(best_s) else best_s
                replicas = max(replicas, _fewest(p99_s, as_fast_s, 1, most) or most)
        found_all = tuple(self._dedicated(change, seed, replicas, tick) for seed in seeds)
        return AlwaysOn(found_all, replicas, holds)

    def is_capped(self, change: Change) -> bool:
        """Whether scale-to-zero may have fewer replicas than the busiest minute keeps busy."""
        if change not in self._capped:
            self._capped[change] = any(self._is_capped(change, seed) for seed in self.seeds(change))
        return self._capped[change]

    def _is_capped(self, change: Change, seed: int) -> bool:
        _, _, deployment = self._world(change, seed)
        return self._plan(deployment, change).policy.max_replicas < deployment.busiest_replicas

    def _most_dedicated(self, change: Change, seed: int) -> int:
        """Return how many always-on replicas may be tried."""
        key = (change.traffic, change.tokens, seed)
        if key not in self._most:
            _, trace, deployment = self._world(change, seed)
            self._most[key] = sum(
                1 for _ in dedicated_plans(deployment.machines, trace, self._tables)
            )
        return self._most[key]

    def _scaled(self, changes: list[Change], seed: int, tick: Tick) -> tuple[Outcome, ...]:
        keys = [(self._key, "zero", change, seed) for change in changes]
        found: list[Outcome | None] = [_kept().get(key) for key in keys]
        missing = [index for index, outcome in enumerate(found) if outcome is None]
        if missing:
            _, trace, deployment = self._world(changes[0], seed)
            plans = [self._plan(deployment, changes[index]) for index in missing]
            simulated = self._simulate(
                plans, [keys[index] for index in missing], trace, changes[0], seed, tick
            )
            for index, outcome in zip(missing, simulated, strict=True):
                found[index] = outcome
        return tuple(outcome for outcome in found if outcome is not None)

    def _dedicated(self, change: Change, seed: int, count: int, tick: Tick) -> Outcome:
        key = (self._key, "dedicated", change.traffic, change.tokens, seed, count)
        found: Outcome | None = _kept().get(key)
        if found is None:
            _, trace, deployment = self._world(change, seed)
            plan = dedicated_plan(deployment.machines, trace, count, self._tables)
            (found,) = self._simulate([plan], [key], trace, change, seed, tick)
        return found

    def _simulate(
        self,
        plans: list[Plan],
        keys: list[tuple[object, ...]],
        trace: Trace,
        change: Change,
        seed: int,
        tick: Tick,
    ) -> tuple[Outcome, ...]:
        taken_s = stopwatch()
        # Most of so many short runs would be waiting for threads to begin and to end.
        is_short = trace.arrival_s.size <= self._tables.setting("break_even_short_run")
        if is_short:
            tick()
        outcomes = simulate_plans(
            plans,
            trace,
            self._tables,
            progress=lambda *_: tick(),
            crew=HERE if is_short else THREADS,
        )
        if (change.traffic, change.tokens) != (1.0, 1.0):
            for outcome in outcomes:
                # The traffic is drawn again too: each rate and seed has its own.
                outcome.held.can_make(
                    _Sessions(outcome.plan, self.trace, change, seed, self._tables)
                )
        # Drawn anew in each call, and always the same: one copy is enough.
        outcomes = tuple(
            dataclasses.replace(
                outcome, stage_s=self._stage_s.setdefault(outcome.plan.start, outcome.stage_s)
            )
            for outcome in outcomes
        )
        each_s = taken_s() / len(outcomes)
        for key, outcome in zip(keys, outcomes, strict=True):
            self._keys.add(key)
            _kept().put(key, outcome, each_s)
        return outcomes

    def rest(self) -> None:
        """Let go of the traffic at the rate that was served last; it is drawn again when asked."""
        self._worlds.clear()

    def _world(self, change: Change, seed: int) -> tuple[tuple[float, float], Trace, Deployment]:
        """Return the traffic with that seed, and the deployment that it needs."""
        key = (change.traffic, change.tokens)
        if key == (1.0, 1.0):
            return key, self.trace, self.deployment
        world = self._worlds.get(seed)
        if world is None or world[0] != key:
            trace = _changed(self.trace, change, seed, self._tables)
            world = (key, trace, deploy(self._scenario, trace, self._tables))
            self._worlds[seed] = world
        return world

    def _plan(self, deployment: Deployment, change: Change) -> Plan:
        for chosen in deployment.mitigation_sets:
            if tuple(item.key for item in chosen) == self.mitigations:
                break
        else:
            raise InputError(f"These mitigations do not go together: {self.mitigations}.")
        plan = mitigated_plan(deployment, chosen, self._tables)
        policy = dataclasses.replace(
            plan.policy,
            idle_timeout_s=plan.policy.idle_timeout_s
            if change.idle_timeout_s is None
            else change.idle_timeout_s,
            target_concurrency=change.target_concurrency or plan.policy.target_concurrency,
            max_replicas=most_as_shipped(deployment)
            if change.as_shipped
            else plan.policy.max_replicas,
        )
        return dataclasses.replace(
            plan, start=scaled_start(plan.start, change.start), policy=policy
        )


def _fewest(p99_s: Callable[[int], float], limit_s: float, least: int, most: int) -> int | None:
    """Return the fewest replicas from ``least`` on that hold a limit; None where none does."""
    if least <= most and p99_s(least) <= limit_s:
        return least
    tried = range(least + 1, most + 1)
    at = bisect_left(tried, True, key=lambda count: p99_s(count) <= limit_s)
    return tried[at] if at < len(tried) else None


def scaled_tokens(trace: Trace, factor: float) -> Trace:
    """Return the trace with the tokens of each request times a factor, an answer at least one."""
    if factor == 1.0:
        return trace
    shared = trace.shared_tokens
    return make_trace(
        trace.name,
        trace.arrival_s,
        np.round(trace.prompt_tokens * factor),
        np.maximum(np.round(trace.output_tokens * factor), 1),
        horizon_s=trace.horizon_s,
        t0_utc=trace.t0_utc,
        resolution_s=trace.resolution_s,
        session_id=trace.session_id,
        prefix_parent=trace.prefix_parent,
        shared_tokens=None if shared is None else np.round(shared * factor),
        report=trace.report,
    )


def scaled_start(start: ColdStart, factor: float) -> ColdStart:
    """Return the start with every second of it times a factor, its spread as it was."""
    if factor == 1.0:
        return start
    return dataclasses.replace(
        start,
        on_node=None if start.on_node is None else scaled_start(start.on_node, factor),
        stages=tuple(
            dataclasses.replace(
                stage,
                median_s=None if stage.median_s is None else stage.median_s * factor,
                runs_s=tuple(run_s * factor for run_s in stage.runs_s),
            )
            for stage in start.stages
        ),
        total_runs_s=tuple(run_s * factor for run_s in start.total_runs_s),
    )


def usd_per_month(outcome: Outcome, tables: Tables, deal: Deal = LIST_DEAL) -> float:
    """Return what an outcome costs a month; machines under the commitment if there is one [$]."""
    if deal.commitment is not None:
        plan = committed(outcome.plan)
        outcome = outcome if plan is None else dataclasses.replace(outcome, plan=plan)
    return bill_outcome(outcome, tables, deal).usd_per_month(tables.setting("hours_per_month"))


@functools.cache
def _kept() -> Store:
    """Return what holds the runs at other rates, of all `Rivals` of this process."""
    return Store(load_tables().setting("store_rates_mb"), spares_used=False)


def _forget(keys: set[Hashable]) -> None:
    for key in keys:
        _kept().forget(key)


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
    factors = sorted({_nine_digits(factor) for factor in (*grid, 1.0)})
    done = 0

    def tick() -> None:
        if progress is not None:
            progress(done, len(factors))

    costs: dict[int, tuple[Outcome, float]] = {}

    def cost(outcome: Outcome) -> float:
        # By the object itself, which is held here, so that no other can take its number.
        if id(outcome) not in costs:
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
        factor = _nine_digits(factor)
        usd = [cost(outcome) for outcome in zero(factor, line)[1]]
        rival_usd = [cost(outcome) for outcome in always_on(factor)]
        # One draw may stand against several: at the traffic as it is nothing is drawn.
        return np.subtract(*np.broadcast_arrays(np.array(usd), np.array(rival_usd)))

    found: tuple[Crossing, ...] = ()
    if top > low:
        tolerance = tables.setting("break_even_tolerance")
        found = crossings(difference, low, top, samples=samples, tolerance=tolerance)
    for crossing in found:
        sides = [rival_point(_nine_digits(factor)) for factor in (crossing.low, crossing.high)]
        if sides[0].replicas != sides[1].replicas:
            # The lines cross where always-on takes one more replica: that step has to be here.
            points += sides
    points.sort(key=lambda point: point.factor)
    return BreakEven(tuple(points), found, low, top, is_short, capped_from)


@dataclass(frozen=True, slots=True)
class Flip:
    """The value of one input at which the other rival becomes the cheaper one."""

    swing: Swing
    value: float


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """How the gap between the rivals moves with each input alone.

    Attributes
    ----------
    gap_usd : float
        Scale-to-zero less always-on, a month; above 0, always-on is the cheaper one [$].
    bars : tuple of Bar
        Largest first.
    flips : tuple of Flip
        Those inputs for which the verdict flips within their range.
    """

    gap_usd: float
    bars: tuple[Bar, ...]
    flips: tuple[Flip, ...]


_HOST = {"vcpus": ("Cores", "vCPU"), "ram_gib": ("Host memory", "GiB")}


def swings(
    rivals: Rivals, idle_timeout_s: float, tables: Tables, deal: Deal = LIST_DEAL
) -> tuple[Swing, ...]:
    """Return the inputs of a sensitivity, with how far each may lie from its base.

    Prices by the price band; cores and host memory, where either offer meters them, by a factor;
    the start from its 10th to its 90th percentile; the idle timeout over the provider's range;
    traffic (up alone where there are few requests), tokens and target concurrency by the settings.
    An input without a range is left out.
    """
    setting, deployment = tables.setting, rivals.deployment
    serverless, dedicated = deployment.serverless.offer_id, deployment.dedicated.offer_id
    plan, trace = rivals.base_plan(), rivals.trace
    starts_s = plan.start.draw(start_normals(tables)).total_s
    tail = setting("start_swing_percentile")
    short_s, long_s = np.percentile(starts_s, [tail, 100 - tail], method="inverted_cdf")
    timeouts_s = [timeout_s for timeout_s in rivals.idle_timeouts_s if timeout_s > 0]
    tokens = float(np.mean(trace.prompt_tokens) + np.mean(trace.output_tokens))
    rate = trace.arrival_s.size / trace.horizon_s * units.SECONDS_PER_DAY
    target = float(plan.policy.target_concurrency or deployment.speed.max_sequences)

    def around(key: str, label: str, unit: str, base: float, share: float) -> Swing:
        return Swing(key, label, unit, base * (1 - share), base, base * (1 + share))

    def times(key: str, label: str, unit: str, base: float, factor: float) -> Swing:
        return Swing(key, label, unit, base / factor, base, base * factor)

    band, factor = setting("price_band"), setting("traffic_swing")
    offers = tables.offers
    found = (
        around(
            "serverless_price",
            "Serverless GPU price" if deployment.nodes is None else "Node price",
            "$/GPU-h",
            offers[serverless].usd_per_gpu_h,
            band,
        ),
        around(
            "dedicated_price",
            "Dedicated GPU price",
            "$/GPU-h",
            offers[dedicated].usd_per_gpu_h,
            band,
        ),
        Swing("start", "Start time", "s", float(short_s), plan.start.typical_s, float(long_s)),
        Swing(
            "idle_timeout_s",
            "Idle timeout",
            "s",
            min(timeouts_s, default=0.0),
            idle_timeout_s,
            max(timeouts_s, default=0.0),
        ),
        _clipped(
            times("traffic", "Traffic", "requests/day", rate, factor),
            rate * min(1.0, setting("swing_least_requests") / _kept_together(trace)),
            math.inf,
        ),
        around("tokens", "Tokens", "tokens/request", tokens, setting("token_swing")),
        _clipped(
            times(
                "target_concurrency",
                "Target concurrency",
                "requests",
                target,
                setting("concurrency_swing"),
            ),
            1.0,
            float(deployment.speed.max_sequences),
        ),
        *_host_swings(rivals, tables, deal),
    )
    return tuple(swing for swing in found if 0 < swing.low < swing.high and swing.base > 0)


def _kept_together(trace: Trace) -> int:
    """Return how many parts of a trace are left out each alone: conversations, else requests."""
    return trace.arrival_s.size if trace.session_id is None else np.unique(trace.session_id).size


def _metered_side(rivals: Rivals, tables: Tables) -> tuple[str, HostNeed | None]:
    """Return the terms of a deal whose cores and memory are moved, and what the replica needs.

    Those of the serverless offer if it meters them, else of the dedicated one; without a need
    neither does.
    """
    deployment, plan = rivals.deployment, rivals.base_plan()
    own = HostNeed(plan.speed.gpus_per_replica, plan.weights_gib, plan.weights_stay)
    for side, supply, need in (
        ("serverless", deployment.serverless, own),
        ("machines", deployment.dedicated, host_need(deployment.machines, tables)),
    ):
        offer = tables.offers[supply.offer_id]
        if is_metered(offer, tables.rules_of(offer)):
            return side, need
    return "serverless", None


def _other_host(host: HostChoice, amounts: Mapping[str, Any]) -> HostChoice:
    """Return a choice with other amounts; a request for more would hide that less is used."""
    asked: dict[str, Any] = {f"asked_{key}": None for key in amounts}
    return dataclasses.replace(host, **amounts, **asked)


def _host_swings(rivals: Rivals, tables: Tables, deal: Deal) -> tuple[Swing, ...]:
    """Return the cores and the memory of a replica as inputs: as billed, halved and doubled.

    Never below the provider's least, nor above its most.
    """
    side, need = _metered_side(rivals, tables)
    if need is None:
        return ()
    deployment, factor = rivals.deployment, tables.setting("host_swing")
    supply = deployment.serverless if side == "serverless" else deployment.dedicated
    offer = tables.offers[supply.offer_id]
    choice = getattr(deal, side).host

    def billed(key: str, host: HostChoice) -> float:
        share = host_billed(offer, tables.rules_of(offer), host, need, tables)
        return float(getattr(share, key))

    found = []
    for key, (label, unit) in _HOST.items():
        base = billed(key, choice)
        low, high = (
            billed(key, _other_host(choice, {key: amount}))
            for amount in (base / factor, base * factor)
        )
        found.append(Swing(key, label, unit, low, base, high))
    return tuple(found)


def sensitivity(
    rivals: Rivals,
    idle_timeout_s: float,
    *,
    as_shipped: bool = False,
    limit_s: float,
    tables: Tables,
    deal: Deal = LIST_DEAL,
    progress: Callable[[int, int], None] | None = None,
) -> Sensitivity:
    """Return how the gap between scale-to-zero and always-on moves, and what would flip it.

    Scale-to-zero keeps its idle timeout; always-on has the fewest replicas that hold the limit,
    counted anew where the traffic or its tokens change. A price is that of the GPU alone: cores
    and memory stay as they are, and only the bills are made again.
    """
    inputs = swings(rivals, idle_timeout_s, tables, deal)
    base = {swing.key: swing.base for swing in inputs}
    serverless, dedicated = (
        deal.shapes(tables.offers[supply.offer_id], tables)
        for supply in (rivals.deployment.serverless, rivals.deployment.dedicated)
    )
    done = 0

    def tick() -> None:
        if progress is not None:
            progress(done, len(inputs))

    def gap_usd(changed: Mapping[str, float]) -> float:
        factor = {key: _nine_digits(value / base[key]) for key, value in changed.items()}
        change = Change(
            traffic=factor.get("traffic", 1.0),
            tokens=factor.get("tokens", 1.0),
            start=factor.get("start", 1.0),
            idle_timeout_s=changed.get("idle_timeout_s", idle_timeout_s),
            target_concurrency=changed.get("target_concurrency"),
            as_shipped=as_shipped,
        )
        at = tables
        for side, key in ((serverless, "serverless_price"), (dedicated, "dedicated_price")):
            if key in factor:
                at = with_gpu_price(at, (shape.offer_id for shape in side), factor[key])
        terms = deal
        if host := {key: changed[key] for key in _HOST if key in changed}:
            name, _ = _metered_side(rivals, tables)
            own = getattr(deal, name)
            own = dataclasses.replace(own, host=_other_host(own.host, host))
            terms = dataclasses.replace(deal, **{name: own})
        zero = rivals.scale_to_zero(change, tick)
        rival = rivals.always_on(change, limit_s, tick).outcomes
        return float(
            np.mean([usd_per_month(outcome, at, terms) for outcome in zero])
            - np.mean([usd_per_month(outcome, at, terms) for outcome in rival])
        )

    gap, bars = tornado_of(gap_usd, inputs)
    sign = math.copysign(1.0, gap)
    flips = []
    for index, swing in enumerate(inputs):
        done = index
        tick()

        def margin_usd(at: float, key: str = swing.key) -> float:
            return sign * gap_usd({key: at})

        value = flip_value(
            margin_usd,
            swing,
            samples=int(tables.setting("flip_samples")),
            tolerance=tables.setting("break_even_tolerance"),
        )
        if value is not None:
            flips.append(Flip(swing, value))
    return Sensitivity(gap, bars, tuple(flips))


def with_gpu_price(tables: Tables, offer_ids: Iterable[str], factor: float) -> Tables:
    """Return the tables with the GPU price of some offers times a factor, and nothing else."""
    offers = dict(tables.offers)
    for offer_id in offer_ids:
        offer = offers[offer_id]
        offers[offer_id] = dataclasses.replace(offer, usd_per_gpu_h=offer.usd_per_gpu_h * factor)
    return dataclasses.replace(tables, offers=MappingProxyType(offers))


@dataclass(frozen=True, slots=True)
class MeteredHour:
    """An hour of one replica that scales to zero, in the long run [s]."""

    starting_s: float
    working_s: float
    idle_s: float

    @property
    def metered_s(self) -> float:
        """Seconds for which it is held."""
        return self.starting_s + self.working_s + self.idle_s

    @property
    def wasted_share(self) -> float:
        """Share of them in which it does no work [1]."""
        return 1 - self.working_s / self.metered_s


def metered_hour(
    rate_rps: float, *, cold_start_s: float, work_s: float, idle_timeout_s: float
) -> MeteredHour:
    r"""Return how the metered seconds of one replica split, every second of a start metered.

    Parameters
    ----------
    rate_rps : float
        Rate of Poisson arrivals, above 0 [1/s].
    cold_start_s, work_s, idle_timeout_s : float
        Of a start; of each request, above 0, however many there are at once; kept with nothing
        to do [s].

    Notes
    -----
    In the cycle of `analytic.replica_cycle` the share of time spent starting is
    :math:`\lambda C / N`, those who wait less those who trigger. Outside starts the replica works
    in all moments that lie within the work time :math:`s` after an arrival, the last start's end
    counting as one: a share :math:`1 - e^{-\lambda s}`, the timeout being no shorter than 0. What
    is held beyond that is idle. With one request at long intervals, work over metered seconds is
    :math:`s / (C + s + \tau)`.
    """
    if not 0.0 < work_s < math.inf:
        raise InputError(f"work_s must be finite and above 0, got {work_s!r}")
    cycle = replica_cycle(
        [rate_rps], cold_start_s=cold_start_s, residence_s=work_s, idle_timeout_s=idle_timeout_s
    )
    starting = float(cycle.waited_fraction[0] - cycle.trigger_fraction[0])
    working = (1 - starting) * -math.expm1(-rate_rps * work_s)
    idle = max(0.0, float(cycle.held_fraction[0]) - starting - working)
    hour_s = units.SECONDS_PER_HOUR
    return MeteredHour(starting * hour_s, working * hour_s, idle * hour_s)


def _clipped(swing: Swing, low: float, high: float) -> Swing:
    return dataclasses.replace(swing, low=max(swing.low, low), high=min(swing.high, high))


def _nine_digits(value: float) -> float:
    """Return a factor without its last bits: 1 that came out of a logarithm is 1 again."""
    return float(f"{value:.9g}")
