"""The worlds in which a verdict is found anew, and what the plans come to in them.

A world is a factor on every open input, and which of several other traffics of the same kind it
has. `Worlds` runs and bills a plan in one of them; `drawn_worlds` draws them; `candidates` finds
the plans that can win any, and `run_all` runs those, leaving aside what cannot win. All plans of a
world share its traffic and the luck of its starts.

What is left aside rests on this: in a kinder world a plan waits and costs no more. Tests hold it
against runs of every plan. Which plans can win is found with the traffic as it was: one that holds
the limit by another one's luck alone may be missed where others of its kind are as near to it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from frontier.crew import Progress, in_threads
from frontier.economics import efficient
from frontier.errors import InfeasibleError
from frontier.plans.plan import Plan
from frontier.ranges.inputs import (
    DECODE_SPEED,
    DEDICATED_PRICE,
    LUCK_OF_TRAFFIC,
    PROMPT_SPEED,
    RAM,
    SERVERLESS_PRICE,
    START,
    TRAFFIC,
    VCPUS,
    with_engine_host,
)
from frontier.ranges.luck import OtherLuck, other_luck
from frontier.ranges.quantiles import InputRange
from frontier.rivals import scaled_start
from frontier.sensitivity import with_gpu_price
from frontier.start.stages import ColdStart, StartDraws
from frontier.sweep import Deal, Outcome, bill_outcome, outcome_of, start_normals
from frontier.tables import Tables
from frontier.trace import Trace, make_trace
from frontier.trace.reshape import scale_rate

_SAME_USD = 1e-6
Factors = Mapping[str, NDArray[np.float64]]


def kind_of(plan: Plan) -> str:
    """Return the kind of a plan: its family, and the replicas that it keeps."""
    return f"{plan.family.key} {kept_by(plan)}"


def kept_by(plan: Plan) -> int:
    """Return how many replicas a plan keeps: always, or at most by its schedule."""
    policy = plan.policy
    scheduled = max((least for _, least in policy.schedule), default=0)
    return policy.pinned_replicas or max(policy.min_replicas, scheduled)


class Worlds:
    """What all draws have in common: the traffic, the tables, the terms, the luck of starts."""

    def __init__(
        self,
        trace: Trace,
        tables: Tables,
        deal: Deal,
        inputs: Sequence[InputRange],
        outcomes: tuple[Outcome, ...],
        luck: OtherLuck | None,
    ) -> None:
        self.tables, self.deal = tables, deal
        self.base = {one.key: one for one in inputs}
        # The traffic as it was seen comes last: it is where nothing says which.
        self._traffic = (*(() if luck is None else luck.traffic), trace)
        self._normals = (*(() if luck is None else luck.normals), start_normals(tables))
        self._draws: dict[tuple[ColdStart, int], StartDraws] = {}
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

    @property
    def requests(self) -> NDArray[np.int64]:
        """How many requests each of the other traffics has."""
        return np.array([traffic.arrival_s.size for traffic in self._traffic[:-1]])

    def run(self, plan: Plan, factors: Mapping[str, float], stop: NDArray[np.uint8]) -> Outcome:
        """Return what a plan does where the inputs are off by these factors."""
        traffic = self._traffic[int(factors.get(LUCK_OF_TRAFFIC, -1))]
        if (rate := factors.get(TRAFFIC, 1.0)) != 1.0:
            seed = int(self.tables.setting("traffic_seed"))
            traffic = scale_rate(traffic, rate, seed, self.tables)
        return self._run(plan, traffic, factors, stop)

    def _run(
        self, plan: Plan, traffic: Trace, factors: Mapping[str, float], stop: NDArray[np.uint8]
    ) -> Outcome:
        at = factors.get(START, 1.0)
        which = int(factors.get(LUCK_OF_TRAFFIC, -1))
        draws = self._draws.get((plan.start, which))
        if draws is None:
            draws = self._draws[plan.start, which] = plan.start.draw(self._normals[which])
        start = scaled_start(plan.start, at)
        if at != 1.0:
            # A wait for a scarce GPU does not grow with the start: such starts are drawn anew.
            draws = (
                start.draw(self._normals[which])
                if any(one.risk.needs_luck for one in (start, start.on_node) if one is not None)
                else StartDraws(draws.total_s * at, draws.stage_s * at)
            )
        speed = plan.speed.scaled(factors.get(PROMPT_SPEED, 1.0), factors.get(DECODE_SPEED, 1.0))
        plan = dataclasses.replace(
            plan, start=start, speed=speed, interruption_seed=plan.interruption_seed + 1 + which
        )
        return outcome_of(plan, traffic, draws, stop)

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

    def as_it_stands(
        self, outcomes: Mapping[str, Outcome]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return what plans cost and how long requests wait with every input at its base."""
        return (
            np.array([self.usd(one, {}) for one in outcomes.values()]),
            np.array([one.latency.p99_ttft_s for one in outcomes.values()]),
        )

    def kindest(self) -> dict[str, float]:
        """Return all inputs as kind as they may be, at the traffic as it is."""
        return self._end(0.0)

    def unkindest(self) -> dict[str, float]:
        """Return all inputs as unkind as they may be, at the traffic as it is."""
        return self._end(1.0)

    def _end(self, share: float) -> dict[str, float]:
        return {
            key: float(one.factor_at(share))
            for key, one in self.base.items()
            if one.is_open and key != TRAFFIC
        }

    def least_usd(self, kindest: Outcome, kept: Outcome, factors: Factors) -> NDArray[np.float64]:
        """Return what a plan costs at least in each draw.

        At the prices of the draw, to which a bill is proportional but for its fees and credits,
        and the least cores and memory: no less than what it keeps whatever comes, and no less
        than in the kindest world, where other traffic has fewer requests by their share.

        Parameters
        ----------
        kindest, kept : Outcome
            In the kindest world, and there with a single request.
        """
        if TRAFFIC in factors:
            return self._at_prices(kept, factors)
        least = self._at_prices(kindest, factors)
        if LUCK_OF_TRAFFIC in factors:
            share = self.requests / self._traffic[-1].arrival_s.size
            fewer = np.minimum(1.0, share[factors[LUCK_OF_TRAFFIC].astype(np.int64)])
            slack = 1.0 - self.tables.setting("decides_slack")
            least = np.maximum(self._at_prices(kept, factors), least * fewer * slack)
        return least

    def _at_prices(self, outcome: Outcome, factors: Factors) -> NDArray[np.float64]:
        host = {key: float(self.base[key].factor_at(0.0)) for key in (VCPUS, RAM) if key in factors}
        now = self.usd(outcome, host)
        usd = np.array(now)
        for key in self._offers:
            if key in factors:
                usd = usd + (self.usd(outcome, host | {key: 2.0}) - now) * (factors[key] - 1.0)
        return usd

    def with_one_request(self, plan: Plan, stop: NDArray[np.uint8]) -> Outcome:
        """Return what a plan keeps whatever comes: its run on the first request alone."""
        trace = self._traffic[-1]
        one_request = make_trace(
            trace.name,
            trace.arrival_s[:1],
            trace.prompt_tokens[:1],
            trace.output_tokens[:1],
            horizon_s=trace.horizon_s,
            t0_utc=trace.t0_utc,
            resolution_s=trace.resolution_s,
            report=trace.report,
        )
        return self._run(plan, one_request, self.kindest(), stop)


def _usd(outcome: Outcome, tables: Tables, deal: Deal) -> float:
    return bill_outcome(outcome, tables, deal).usd_per_month(tables.setting("hours_per_month"))


def draw_count(trace: Trace, tables: Tables) -> int:
    """Return how many worlds are drawn: fewer where a run takes long."""
    setting = tables.setting
    many = setting("decides_simulated_requests") / trace.arrival_s.size
    return int(max(setting("decides_least_draws"), min(setting("decides_draws"), many)))


def luck_of_worlds(
    outcomes: Mapping[str, Outcome], plan_ids: Sequence[str], trace: Trace, tables: Tables
) -> tuple[OtherLuck | None, str]:
    """Return other traffic that is of the same kind for these plans, or why there is none."""
    most = tables.setting("decides_luck_requests") / trace.arrival_s.size
    times = int(max(2, min(tables.setting("decides_luck"), most)))
    try:
        return other_luck(outcomes, plan_ids, trace, tables, times), ""
    except InfeasibleError as error:
        return None, f"The luck of the traffic is not among them. {error}"


def drawn_worlds(
    inputs: Sequence[InputRange], luck: OtherLuck | None, draws: int, tables: Tables
) -> dict[str, NDArray[np.float64]]:
    """Return joint draws of the factors of the inputs: a Latin hypercube, each independent.

    Under `LUCK_OF_TRAFFIC`, which of the other traffics each has, all of them equally often.
    """
    generator = np.random.default_rng(int(tables.setting("decides_seed")))
    found = {}
    for one in inputs:
        share = (generator.permutation(draws) + generator.random(draws)) / draws
        found[one.key] = one.factor_at(share)
    if luck is not None:
        which = generator.permutation(np.arange(draws) % len(luck.traffic))
        found[LUCK_OF_TRAFFIC] = which.astype(np.float64)
    return found


def candidates(
    buyable: Mapping[str, Outcome],
    world: Worlds,
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
    kind, unkind = world.kindest(), world.unkindest()
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


def run_all(
    found_kind: Mapping[str, Outcome],
    plans: Mapping[str, Plan],
    shown: Sequence[str],
    world: Worlds,
    factors: Factors,
    *,
    draws: int,
    limit_s: float,
    progress: Progress | None,
    done_before: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what the plans cost and how long requests wait in each draw, (draws, plans).

    Plans that are shown are always run. Another one is not where it cannot win: where it costs at
    least as much (`Worlds.least_usd`) as one that holds the limit, and where it missed the limit in
    a draw of the same traffic that was kinder in all of start and speed, by more than the slack.

    Parameters
    ----------
    found_kind : mapping of str to Outcome
        What `candidates` returned.
    """
    keys = tuple(found_kind)
    slack = 1.0 + world.tables.setting("decides_slack")
    first = [keys.index(key) for key in shown]
    others = np.array([index for index in range(len(keys)) if index not in first], dtype=np.int64)
    kept = in_threads(
        lambda index, stop: world.with_one_request(plans[keys[index]], stop), others.tolist()
    )
    least = np.zeros((draws, len(keys)))
    for index, one in zip(others, kept, strict=True):
        least[:, index] = world.least_usd(found_kind[keys[index]], one, factors)
    times = [key for key in (START, PROMPT_SPEED, DECODE_SPEED) if key in factors]
    at_each = np.array([factors[key] for key in times]).reshape(len(times), draws).T
    which = factors.get(LUCK_OF_TRAFFIC, np.full(draws, -1.0)).astype(np.int64)
    # Another rate of the traffic may be kinder or not: then nothing is known of another draw.
    is_known = TRAFFIC not in factors
    missed_by = np.ones((draws, len(keys)))
    # The kindest first: what misses the limit there need not be run again.
    order = np.argsort(np.log(at_each).sum(axis=1), kind="stable").tolist()

    def cannot_hold(index: int, draw: int) -> bool:
        # Of the same traffic alone: with another one no request in a hundred may wait on a start.
        missed = np.flatnonzero((missed_by[:, index] > slack) & (which == which[draw]))
        return bool((at_each[missed] <= at_each[draw]).all(axis=1).any())

    def work(draw: int, stop: NDArray[np.uint8]) -> tuple[list[float], list[float]]:
        at = {key: float(values[draw]) for key, values in factors.items()}
        usd, p99_s = [math.nan] * len(keys), [math.nan] * len(keys)
        best = math.inf
        for index in (*first, *others[np.argsort(least[draw, others], kind="stable")].tolist()):
            # A plan that uses nothing beyond another one costs the same but for the last digits.
            may_win = least[draw, index] < best - _SAME_USD and not cannot_hold(index, draw)
            if not may_win and index not in first:
                continue
            outcome = world.run(plans[keys[index]], at, stop)
            usd[index] = world.usd(outcome, at)
            p99_s[index] = outcome.latency.p99_ttft_s
            if p99_s[index] <= limit_s:
                best = min(best, usd[index])
            elif is_known:
                missed_by[draw, index] = p99_s[index] / limit_s
        return usd, p99_s

    found = np.empty((draws, 2, len(keys)))
    tick = (
        None
        if progress is None
        else lambda done, of: progress(done_before + done, done_before + of)
    )
    found[order] = in_threads(work, order, progress=tick)
    return found[:, 0], found[:, 1]
