"""Which uncertain input could turn the verdict: all of them drawn together, and chosen anew.

Every draw is a world in which the start, the serving speed, the prices, the cores and memory of an
engine and the traffic are what they might be, all at once. In each, the plans that can win are
simulated and billed, and the cheapest within the limit is chosen, as the verdict chooses. All
plans of a draw share its world. What an input decides is what knowing it would put right
(`knowing`); no input is moved alone, and none is left at its base.

A choice is a kind of plan: its family and how many replicas it keeps. An idle timeout that moves
within a kind turns no verdict.

Left out: plans outside the grid, more always-on replicas than it has, and what two inputs have in
common (a platform that starts slowly may serve slowly too).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frontier.crew import Progress, in_threads
from frontier.economics import cheapest_under, efficient
from frontier.plans.plan import Plan
from frontier.ranges.facts import INPUTS, PlanRange, Ranges, range_of
from frontier.ranges.inputs import (
    DECODE_SPEED,
    DEDICATED_PRICE,
    PROMPT_SPEED,
    RAM,
    SERVERLESS_PRICE,
    START,
    TRAFFIC,
    VCPUS,
    InputRange,
    log_error_of_one_log,
    with_engine_host,
)
from frontier.ranges.knowing import (
    Stretch,
    bins_of,
    gain_of_knowing,
    settled_by_reading,
    stretches,
)
from frontier.sensitivity import scaled_start, with_gpu_price
from frontier.start.stages import ColdStart, StartDraws
from frontier.sweep import (
    LIST_DEAL,
    Deal,
    Outcome,
    bill_outcome,
    outcome_of,
    start_normals,
)
from frontier.tables import Tables
from frontier.trace import Trace
from frontier.trace.reshape import scale_rate

NOTHING_HOLDS = "none"
"""The choice of a draw in which no plan holds the limit."""

_SAME_USD = 1e-6


@dataclass(frozen=True, slots=True)
class Influence:
    """What knowing one input would do for a choice.

    Attributes
    ----------
    key : str
        Of the input.
    right_share : float
        Share of the draws that it would put right, of those that one choice for all gets wrong.
        [1], as a share of all draws
    usd_per_month : float
        What it would save on average; NaN where a wrong choice breaks the limit, which has no
        price here. [$/month]
    stretches : tuple of Stretch
        Over which of its values which choice is right.
    """

    key: str
    right_share: float
    usd_per_month: float
    stretches: tuple[Stretch, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """What was right in every draw.

    Attributes
    ----------
    choices : tuple of str
        Kinds of plans, the most frequent first.
    plan_ids : tuple of str
        The plan that stands for each kind: the one that was right most often; empty for
        ``NOTHING_HOLDS``.
    chosen : ndarray of int, shape (n,)
        Which of the choices was right in each draw.
    today : str
        The choice at the values as they stand.
    influences : tuple of Influence
        One for each open input, the one that puts most right first.
    kinds : tuple of str
        All the kinds that there were to choose from.
    overspent_usd : float
        What today's choice costs more than the right one, on average over the draws in which it
        holds the limit. [$/month]
    breaks_share : float
        Share of the draws in which no plan of today's kind holds the limit. [1]
    """

    choices: tuple[str, ...]
    plan_ids: tuple[str, ...]
    chosen: NDArray[np.int64]
    today: str
    influences: tuple[Influence, ...]
    kinds: tuple[str, ...]
    overspent_usd: float
    breaks_share: float

    def share(self, choice: str) -> float:
        """Return the share of the draws in which a choice is right [1]."""
        if choice not in self.choices:
            return 0.0
        return float(np.mean(self.chosen == self.choices.index(choice)))

    @property
    def stands_share(self) -> float:
        """Share of the draws in which today's choice is right [1]."""
        return self.share(self.today)


@dataclass(frozen=True, slots=True)
class OneLog:
    """What one start-up log would settle of the choice within the limit.

    Attributes
    ----------
    sure_share : float
        Share of what the log may say after which the choice is settled. [1]
    stretches : tuple of Stretch
        By the seconds that it says.
    """

    sure_share: float
    stretches: tuple[Stretch, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Decides:
    """What the verdict hangs on, of all that is not known for sure.

    Attributes
    ----------
    inputs : tuple of InputRange
        All of them, those that leave nothing open too.
    values : mapping of str to ndarray, shape (n,)
        What each open input was in each draw, in its unit.
    plan_ids : tuple of str
        Plans that were looked at.
    usd_each, p99_each_s : ndarray, shape (n, plans)
        What they came to; NaN where a plan could not win a draw and was not run.
        [$/month], [s]
    within : Decision
        The cheapest kind of plan within the limit.
    on_cost : Decision or None
        The cheaper one of scale-to-zero as shipped and its always-on rival, whatever they do to
        the limit; None where there are not both.
    one_log : OneLog or None
        None where the start is open no more, or turns nothing.
    ranges : Ranges
        Of the plans that were run in every draw.
    sure_share : float
        From which share of the draws on a choice counts as sure. [1]
    """

    inputs: tuple[InputRange, ...]
    values: Mapping[str, NDArray[np.float64]]
    plan_ids: tuple[str, ...]
    usd_each: NDArray[np.float64]
    p99_each_s: NDArray[np.float64]
    within: Decision
    on_cost: Decision | None
    one_log: OneLog | None
    ranges: Ranges
    sure_share: float

    @property
    def draws(self) -> int:
        """How many worlds were drawn."""
        return int(self.usd_each.shape[0])

    def input(self, key: str) -> InputRange:
        """Return the input of that key."""
        return next(one for one in self.inputs if one.key == key)

    def rows(self) -> tuple[dict[str, Any], ...]:
        """Return one row an input, as tables and exports have it.

        What is not open puts nothing right; dollars only where there are two to choose from on
        cost. ``low`` to ``high`` holds `ranges_level` of the cases.
        """
        within = {one.key: one for one in self.within.influences}
        cost = {} if self.on_cost is None else {one.key: one for one in self.on_cost.influences}
        return tuple(
            {
                "key": one.key,
                "input": one.label,
                "unit": one.unit,
                "base": one.base,
                "low": one.low,
                "median": one.median,
                "high": one.high,
                "basis": one.basis,
                "cases": one.cases,
                "source_ids": ";".join(one.source_ids),
                "why": one.why,
                "draws": self.draws,
                "put_right_share": within[one.key].right_share if one.key in within else 0.0,
                "worth_usd_per_month": cost[one.key].usd_per_month if one.key in cost else math.nan,
            }
            for one in self.inputs
        )


def kind_of(plan: Plan) -> str:
    """Return the kind of a plan: its family, and the replicas that it keeps."""
    return f"{plan.family.key} {kept_by(plan)}"


def kept_by(plan: Plan) -> int:
    """Return how many replicas a plan keeps: always, or at most by its schedule."""
    policy = plan.policy
    scheduled = max((least for _, least in policy.schedule), default=0)
    return policy.pinned_replicas or max(policy.min_replicas, scheduled)


def decide(
    outcomes: Mapping[str, Outcome],
    trace: Trace,
    tables: Tables,
    inputs: Sequence[InputRange],
    start: ColdStart,
    *,
    limit_s: float,
    shown: Sequence[str],
    shipped_id: str | None = None,
    rival_id: str | None = None,
    deal: Deal = LIST_DEAL,
    progress: Progress | None = None,
) -> Decides:
    """Draw the inputs together and find what is right in each draw, and what settles it.

    Parameters
    ----------
    outcomes : mapping of str to Outcome
        By plan, at the inputs as they stand; what nobody can buy is left aside.
    inputs : sequence of InputRange
        `inputs.input_ranges` of the same scenario.
    start : ColdStart
        A start there before any mitigation: by its spread one log of it is off.
    limit_s : float
        On p99 TTFT. [s]
    shown : sequence of str
        Plans that get a range, and so are run in every draw.
    shipped_id, rival_id : str or None
        Scale-to-zero as shipped, and its rival.
    progress : callable, optional
        As for `sweep.simulate_plans`; what it raises stops all.
    """
    buyable = {key: one for key, one in outcomes.items() if one.plan.family.is_buyable}
    shown = tuple(dict.fromkeys(key for key in shown if key in buyable))
    world = _World(trace, tables, deal, inputs, tuple(buyable.values()))
    draws = _draw_count(trace, tables)
    is_open = [one for one in inputs if one.is_open]
    looked_at = buyable
    if trace.arrival_s.size * len(buyable) > tables.setting("decides_screened_requests"):
        # Too long to run every plan: those that stand out as things are.
        usd_now, waits_s = _today(buyable, world)
        stands_out = efficient(usd_now, waits_s)
        looked_at = {
            key: one
            for (key, one), stands in zip(buyable.items(), stands_out, strict=True)
            if stands or key in shown
        }
    candidates = _candidates(looked_at, world, limit_s, shown, draws, progress)
    factors = _drawn(is_open, draws, tables)
    plans = {key: buyable[key].plan for key in candidates}
    usd, p99_s = _run(
        candidates,
        plans,
        shown,
        world,
        factors,
        draws=draws,
        limit_s=limit_s,
        progress=progress,
        done_before=2 * len(looked_at),
    )
    keys = tuple(candidates)
    kinds = [kind_of(plan) for plan in plans.values()]
    values = {one.key: one.base * factors[one.key] for one in is_open}
    usd_now, waits_s = _today(buyable, world)
    at = cheapest_under(usd_now, waits_s, limit_s)
    within = _decision(
        _within(keys, kinds, usd, p99_s, limit_s),
        NOTHING_HOLDS if at is None else kind_of(tuple(buyable.values())[at].plan),
        values,
        has_price=False,
        tables=tables,
    )
    on_cost = None
    if shipped_id in shown and rival_id in shown and shipped_id != rival_id:
        pair = [keys.index(key) for key in (shipped_id, rival_id)]
        both = usd[:, pair]
        on_cost = _decision(
            _Right(
                tuple(kinds[index] for index in pair),
                tuple(keys[index] for index in pair),
                both.argmin(axis=1),
                both,
            ),
            kinds[min(pair, key=lambda index: world.usd(buyable[keys[index]], {}))],
            values,
            has_price=True,
            tables=tables,
        )
    return Decides(
        inputs=tuple(inputs),
        values=values,
        plan_ids=keys,
        usd_each=usd,
        p99_each_s=p99_s,
        within=within,
        on_cost=on_cost,
        one_log=_one_log(within, values, start, tables),
        ranges=_ranges(keys, shown, usd, p99_s, tables),
        sure_share=tables.setting("decides_sure_share"),
    )


class _World:
    """What all draws have in common: the traffic, the tables, the terms, the luck of starts."""

    def __init__(
        self,
        trace: Trace,
        tables: Tables,
        deal: Deal,
        inputs: Sequence[InputRange],
        outcomes: tuple[Outcome, ...],
    ) -> None:
        self.trace, self.tables, self.deal = trace, tables, deal
        self.base = {one.key: one for one in inputs}
        normals = start_normals(tables)
        self._normals = normals
        self._draws: dict[ColdStart, StartDraws] = {}
        for outcome in outcomes:
            start = outcome.plan.start
            if start not in self._draws:
                self._draws[start] = start.draw(normals)
        self._offers = self._priced(outcomes)

    def _priced(self, outcomes: Sequence[Outcome]) -> dict[str, tuple[str, ...]]:
        """Return the offers whose price each input is; one that would be both is serverless."""
        serverless: set[str] = set()
        machines: set[str] = set()
        for outcome in outcomes:
            plan = outcome.plan
            offer = self.tables.offers[plan.offer_id]
            scales = offer.kind == "serverless" or plan.policy.nodes is not None
            (serverless if scales else machines).add(plan.offer_id)
            if plan.base_offer_id is not None:
                machines.add(plan.base_offer_id)
        shapes = {
            shape.offer_id
            for offer_id in machines
            for shape in self.deal.shapes(self.tables.offers[offer_id], self.tables)
        }
        return {
            SERVERLESS_PRICE: tuple(sorted(serverless)),
            DEDICATED_PRICE: tuple(sorted(shapes - serverless)),
        }

    def run(self, plan: Plan, factors: Mapping[str, float], stop: NDArray[np.uint8]) -> Outcome:
        """Return what a plan does where the inputs are off by these factors."""
        at = factors.get(START, 1.0)
        start = plan.start
        draws = self._draws[start]
        if at != 1.0:
            start = scaled_start(plan.start, at)
            risks = start.risk.needs_luck or (
                start.on_node is not None and start.on_node.risk.needs_luck
            )
            # A wait for a scarce GPU does not grow with the start, so such starts are drawn anew.
            draws = (
                start.draw(self._normals)
                if risks
                else StartDraws(draws.total_s * at, draws.stage_s * at)
            )
        speed = plan.speed.scaled(factors.get(PROMPT_SPEED, 1.0), factors.get(DECODE_SPEED, 1.0))
        plan = dataclasses.replace(plan, start=start, speed=speed)
        return outcome_of(plan, self.traffic(factors), draws, stop)

    def traffic(self, factors: Mapping[str, float]) -> Trace:
        """Return the requests of a draw."""
        rate = factors.get(TRAFFIC, 1.0)
        if rate == 1.0:
            return self.trace
        return scale_rate(self.trace, rate, int(self.tables.setting("traffic_seed")), self.tables)

    def usd(self, outcome: Outcome, factors: Mapping[str, float]) -> float:
        """Return what an outcome costs a month in a draw [$/month]."""
        tables = self.tables
        for key, offer_ids in self._offers.items():
            if factors.get(key, 1.0) != 1.0:
                tables = with_gpu_price(tables, offer_ids, factors[key])
        host = {key: factors[key] for key in (VCPUS, RAM) if key in factors}
        if host:
            tables = with_engine_host(tables, host)
        return _usd(outcome, tables, self.deal)

    def least_usd(
        self, kindest: Outcome, factors: Mapping[str, NDArray[np.float64]], draws: int
    ) -> NDArray[np.float64]:
        """Return what a plan costs at least in each draw, from its run in the kindest world.

        At the prices of the draw, to which a bill is proportional but for its fees and credits,
        and the least cores and memory.
        """
        host = {key: float(self.base[key].factor_at(0.0)) for key in (VCPUS, RAM) if key in factors}
        now = self.usd(kindest, host)
        least = np.full(draws, now)
        for key in self._offers:
            if key in factors:
                least += (self.usd(kindest, host | {key: 2.0}) - now) * (factors[key] - 1.0)
        return least


def _today(
    outcomes: Mapping[str, Outcome], world: _World
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what the plans cost and how long requests wait as things stand."""
    return (
        np.array([world.usd(one, {}) for one in outcomes.values()]),
        np.array([one.latency.p99_ttft_s for one in outcomes.values()]),
    )


def _usd(outcome: Outcome, tables: Tables, deal: Deal) -> float:
    return bill_outcome(outcome, tables, deal).usd_per_month(tables.setting("hours_per_month"))


def _draw_count(trace: Trace, tables: Tables) -> int:
    """Return how many worlds are drawn: fewer where a run takes long."""
    setting = tables.setting
    many = setting("decides_simulated_requests") / trace.arrival_s.size
    return int(max(setting("decides_least_draws"), min(setting("decides_draws"), many)))


def _drawn(
    inputs: Sequence[InputRange], draws: int, tables: Tables
) -> dict[str, NDArray[np.float64]]:
    """Return joint draws of the factors of the inputs: a Latin hypercube, each independent."""
    generator = np.random.default_rng(int(tables.setting("decides_seed")))
    found = {}
    for one in inputs:
        share = (generator.permutation(draws) + generator.random(draws)) / draws
        found[one.key] = one.factor_at(share)
    return found


def _candidates(
    buyable: Mapping[str, Outcome],
    world: _World,
    limit_s: float,
    shown: Sequence[str],
    draws: int,
    progress: Progress | None,
) -> dict[str, Outcome]:
    """Return the plans that can win a draw, each as it runs in the kindest world.

    Every plan is run where all inputs are as kind to it as they may be; those that hold the limit
    there, also where they are as unkind. What is dearer in its kindest world than a plan that
    holds the limit in the unkindest cannot win. Of a kind of plan those stay that no other of it
    beats on both cost and p99, at the base, in the kind or in the unkind world.
    """
    kind, unkind = (
        {
            key: float(one.factor_at(share))
            for key, one in world.base.items()
            if one.is_open and key != TRAFFIC
        }
        for share in (0.0, 1.0)
    )
    plans = [one.plan for one in buyable.values()]
    slack = 1.0 + world.tables.setting("decides_slack")

    def ran(which: Sequence[int], factors: Mapping[str, float], done: int) -> list[Outcome]:
        def tick(now: int, _: int) -> None:
            if progress is not None:
                progress(done + now, 2 * len(plans) + draws)

        def work(index: int, stop: NDArray[np.uint8]) -> Outcome:
            return world.run(plans[index], factors, stop)

        return in_threads(work, which, progress=tick)

    kindest = ran(range(len(plans)), kind, 0)
    may_hold = [
        index for index, one in enumerate(kindest) if one.latency.p99_ttft_s <= limit_s * slack
    ]
    unkindest = dict(zip(may_hold, ran(may_hold, unkind, len(plans)), strict=True))
    unkind_usd = {index: world.usd(one, unkind) for index, one in unkindest.items()}
    most_usd = min(
        (
            unkind_usd[index]
            for index, one in unkindest.items()
            if one.latency.p99_ttft_s <= limit_s
        ),
        default=math.inf,
    )
    by_kind: dict[str, list[int]] = {}
    for index in may_hold:
        if world.usd(kindest[index], kind) <= most_usd:
            by_kind.setdefault(kind_of(plans[index]), []).append(index)
    base = list(buyable.values())
    kept: set[int] = set()
    for own in by_kind.values():
        for usd, outcomes in (
            ([world.usd(base[index], {}) for index in own], [base[index] for index in own]),
            ([world.usd(kindest[index], kind) for index in own], [kindest[i] for i in own]),
            ([unkind_usd[index] for index in own], [unkindest[index] for index in own]),
        ):
            waits_s = [one.latency.p99_ttft_s for one in outcomes]
            kept |= {own[at] for at in np.flatnonzero(efficient(usd, waits_s))}
    return {
        plan.plan_id: kindest[index]
        for index, plan in enumerate(plans)
        if index in kept or plan.plan_id in shown
    }


def _run(
    candidates: Mapping[str, Outcome],
    plans: Mapping[str, Plan],
    shown: Sequence[str],
    world: _World,
    factors: Mapping[str, NDArray[np.float64]],
    *,
    draws: int,
    limit_s: float,
    progress: Progress | None,
    done_before: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what the plans cost and how long requests wait in each draw, (draws, plans).

    Plans that are shown are always run. Another one is not where it cannot win: it costs no less
    than in its kindest world at the prices of the draw, and where it missed the limit by more than
    the slack in a draw that was kinder in all of start and speed, it misses it here.
    """
    keys = tuple(candidates)
    slack = 1.0 + world.tables.setting("decides_slack")
    times = [key for key in (START, PROMPT_SPEED, DECODE_SPEED) if key in factors]
    at_each = np.array([factors[key] for key in times]).reshape(len(times), draws).T
    missed: dict[str, list[NDArray[np.float64]]] = {key: [] for key in keys}
    first = [keys.index(key) for key in shown]
    others = np.array([index for index in range(len(keys)) if index not in first], dtype=np.int64)
    least = np.array([world.least_usd(candidates[key], factors, draws) for key in keys]).T
    # The kindest first: what misses the limit there need not be run again.
    order = np.argsort(np.log(at_each).sum(axis=1), kind="stable").tolist()

    def cannot_hold(key: str, here: NDArray[np.float64]) -> bool:
        return any((there <= here).all() for there in missed[key])

    def work(draw: int, stop: NDArray[np.uint8]) -> tuple[list[float], list[float]]:
        at = {key: float(values[draw]) for key, values in factors.items()}
        usd, p99_s = [math.nan] * len(keys), [math.nan] * len(keys)
        best = math.inf
        for index in (*first, *others[np.argsort(least[draw, others], kind="stable")].tolist()):
            key = keys[index]
            # A plan that uses nothing beyond another one costs the same but for the last digits.
            may_win = least[draw, index] < best - _SAME_USD and not cannot_hold(key, at_each[draw])
            if not may_win and index not in first:
                continue
            outcome = world.run(plans[key], at, stop)
            usd[index] = world.usd(outcome, at)
            p99_s[index] = outcome.latency.p99_ttft_s
            if p99_s[index] <= limit_s:
                best = min(best, usd[index])
            elif p99_s[index] > limit_s * slack:
                missed[key].append(at_each[draw])
        return usd, p99_s

    found = np.empty((draws, 2, len(keys)))
    tick = (
        None
        if progress is None
        else lambda done, of: progress(done_before + done, done_before + of)
    )
    found[order] = in_threads(work, order, progress=tick)
    return found[:, 0], found[:, 1]


@dataclass(frozen=True, slots=True, eq=False)
class _Right:
    """What was right in each draw: kinds, the plan that stands for each, costs where they hold."""

    kinds: tuple[str, ...]
    plan_ids: tuple[str, ...]
    chosen: NDArray[np.int64]
    usd: NDArray[np.float64]
    """Of each kind in each draw, infinite where no plan of it holds the limit, (n, kinds)."""


def _within(
    keys: Sequence[str],
    kinds: Sequence[str],
    usd: NDArray[np.float64],
    p99_s: NDArray[np.float64],
    limit_s: float,
) -> _Right:
    """Return the cheapest plan within the limit, draw by draw, as kinds."""
    names = (*dict.fromkeys(kinds), NOTHING_HOLDS)
    of = np.array([names.index(kind) for kind in kinds])
    chosen = np.empty(len(usd), dtype=np.int64)
    wins = np.zeros(len(keys), dtype=np.int64)
    for draw, (cost, wait_s) in enumerate(zip(usd, p99_s, strict=True)):
        best = cheapest_under(cost, wait_s, limit_s)
        chosen[draw] = len(names) - 1 if best is None else of[best]
        if best is not None:
            wins[best] += 1
    held = np.where(p99_s <= limit_s, usd, np.inf)
    by_kind = np.full((len(usd), len(names)), np.inf)
    plan_ids = []
    for index in range(len(names) - 1):
        own = np.flatnonzero(of == index)
        by_kind[:, index] = held[:, own].min(axis=1)
        plan_ids.append(keys[own[np.argmax(wins[own])]])
    return _Right(names, (*plan_ids, ""), chosen, by_kind)


def _decision(
    right: _Right,
    today: str,
    values: Mapping[str, NDArray[np.float64]],
    *,
    has_price: bool,
    tables: Tables,
) -> Decision:
    """Return what was right, the most frequent first, and what knowing each input would do."""
    bins, sure = int(tables.setting("decides_bins")), tables.setting("decides_sure_share")
    counts = np.bincount(right.chosen, minlength=len(right.kinds))
    order = [int(at) for at in np.argsort(-counts, kind="stable") if counts[at]]
    place = np.full(len(right.kinds), -1)
    place[order] = np.arange(len(order))
    chosen = place[right.chosen]
    hits = np.eye(len(order))[chosen]
    influences = []
    for key, each in values.items():
        groups = bins_of(each, bins)
        influences.append(
            Influence(
                key,
                gain_of_knowing(groups, hits),
                gain_of_knowing(groups, -right.usd[:, order]) if has_price else math.nan,
                stretches(each, chosen, len(order), bins=bins, sure_share=sure),
            )
        )
    influences.sort(key=lambda one: -one.right_share)
    own = (
        right.usd[:, right.kinds.index(today)]
        if today in right.kinds
        else np.full(len(chosen), np.inf)
    )
    holds = np.isfinite(own)
    least = right.usd.min(axis=1)
    return Decision(
        choices=tuple(right.kinds[at] for at in order),
        plan_ids=tuple(right.plan_ids[at] for at in order),
        chosen=chosen,
        today=today,
        influences=tuple(influences),
        kinds=right.kinds,
        overspent_usd=float(np.mean(own[holds] - least[holds])) if holds.any() else math.nan,
        breaks_share=0.0 if today == NOTHING_HOLDS else float(np.mean(~holds)),
    )


def _one_log(
    within: Decision, values: Mapping[str, NDArray[np.float64]], start: ColdStart, tables: Tables
) -> OneLog | None:
    if START not in values or len(within.choices) < 2:
        return None
    found, sure = settled_by_reading(
        values[START],
        within.chosen,
        len(within.choices),
        log_error=log_error_of_one_log(start, tables),
        sure_share=tables.setting("decides_sure_share"),
    )
    return OneLog(sure, found)


def _ranges(
    keys: Sequence[str],
    shown: Sequence[str],
    usd: NDArray[np.float64],
    p99_s: NDArray[np.float64],
    tables: Tables,
) -> Ranges:
    level = tables.setting("ranges_level")
    tail = (1.0 - level) / 2
    plans = {
        key: PlanRange(
            key,
            usd[:, index],
            p99_s[:, index],
            range_of(usd[:, index], tail),
            range_of(p99_s[:, index], tail),
        )
        for index, key in enumerate(keys)
        if key in shown
    }
    return Ranges(
        INPUTS,
        level,
        tail,
        plans,
        len(usd),
        "Start, serving speed, prices, cores and memory were drawn together over their ranges.",
    )
