"""Scale-to-zero and always-on on one trace, at any rate and with any input changed.

A `Rivals` simulates each case when it is first asked for, and knows no price. Where the bills of
the two cross is found by `frontier.break_even`, what moves the gap between them by
`frontier.sensitivity`.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import weakref
from bisect import bisect_left
from collections.abc import Callable, Hashable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from frontier.answers import ANSWERS
from frontier.crew import HERE, THREADS
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
    simulate_plans,
    start_draws,
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
            ANSWERS.step()
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


def nine_digits(value: float) -> float:
    """Return a factor without its last bits: 1 that came out of a logarithm is 1 again."""
    return float(f"{value:.9g}")


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
