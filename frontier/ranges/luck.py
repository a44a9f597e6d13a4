"""Ranges by the luck of traffic and starts: the same plans on other traffic of the same kind.

A replication draws the traffic anew (`frontier.ranges.resample`) and new starts from the start
model, its common factors among them, simulates every plan on both and bills it. Plans that a
simulation cannot tell apart are simulated once. A range runs between two ranks of what came out.

The figure beside it has luck of its own, that of the one seed it was computed with, so the ranks
lie about the rank that it has among the replications: where it is their median, these are the 5th
and 95th percentile for a range of 90 %. Percentiles and no multiple of a spread, for a p99 may
have two values and none in between (that of a prompt, and that of a start). A range of fewer
blocks is wider, by Student's law.

Left out: what the inputs leave open, which is another range.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from frontier import spell
from frontier.billing import Contract, bill, bill_basis
from frontier.crew import in_threads
from frontier.errors import InfeasibleError
from frontier.latency import summarise
from frontier.plans.families import FAMILIES
from frontier.plans.plan import Plan
from frontier.ranges.facts import LUCK, PlanRange, Range, Ranges, range_about
from frontier.ranges.resample import Blocks, cut, drawn
from frontier.serve import simulate_plan
from frontier.shipped import Shipped, answer_digest
from frontier.simulate import Cancelled
from frontier.start.stages import LUCK_COLUMNS, ColdStart, StartDraws
from frontier.sweep import (
    LIST_DEAL,
    Deal,
    Outcome,
    usage_of,
    usage_of_run,
)
from frontier.tables import Tables
from frontier.trace import Trace


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    """A simulation, and the plans that it stands for with the contracts of their bills."""

    plan: Plan
    contracts: tuple[tuple[str, Contract], ...]


@dataclass(frozen=True, slots=True)
class _Drawn:
    """What a plan came to in one replication."""

    usd_per_month: float
    p50_ttft_s: float
    p99_ttft_s: float
    waited_share: float


def luck_ranges(
    outcomes: Mapping[str, Outcome],
    plan_ids: Iterable[str],
    trace: Trace,
    tables: Tables,
    *,
    deal: Deal = LIST_DEAL,
    contracts: Mapping[str, Contract] | None = None,
    progress: Callable[[int, int], None] | None = None,
    workers: int | None = None,
    beforehand: Shipped | None = None,
) -> Ranges:
    """Return how far plans may lie from their figures by the luck of traffic and starts.

    Parameters
    ----------
    outcomes : mapping of str to Outcome
        By plan.
    plan_ids : iterable of str
        The plans to look at, those that matter most first. Where a trace is too short for how
        long some of them keep an idle replica, these have no range.
    contracts : mapping of str to Contract, optional
        Under which each plan is billed, where that is known; else the deal says it.
    progress, workers
        As for `crew.in_threads`; replications are counted.
    beforehand : Shipped, optional
        Where replications may have been made beforehand.
    """
    level = tables.setting("ranges_level")
    wanted = [
        plan_id
        for plan_id in dict.fromkeys(plan_ids)
        if FAMILIES[outcomes[plan_id].plan.family.key].is_buyable
    ]
    nothing = Ranges(LUCK, level, (1 - level) / 2)
    if not wanted:
        return nothing
    try:
        blocks, kept = _blocks(outcomes, wanted, trace, tables)
        kept = kept[: _affordable_plans(trace.arrival_s.size, tables)]
    except InfeasibleError as error:
        return dataclasses.replace(nothing, refused=str(error))
    if contracts is None:
        contracts = {one: _cheapest_contract(outcomes[one], tables, deal) for one in kept}
    runs = _runs(outcomes, kept, contracts)

    def replications() -> list[dict[str, _Drawn]]:
        return _replications(runs, outcomes, blocks, trace, tables, progress, workers)

    if beforehand is not None and beforehand.has(trace):
        made = _made_beforehand(beforehand, runs, blocks, trace, tables, replications)
    else:
        made = replications()
    least = int(tables.setting("ranges_least_replications"))
    if len(made) < least:
        return dataclasses.replace(
            nothing,
            refused=(
                f"In {spell.seconds(tables.setting('ranges_most_s'))} the traffic was drawn anew "
                f"{spell.count(len(made), 'time')} only; a range takes {least}."
            ),
        )
    multiple = _multiple(level, blocks.freedom)
    found = {}
    for plan_id in kept:
        outcome = outcomes[plan_id]
        cost = bill(bill_basis(usage_of(outcome), contracts[plan_id], tables))
        usd = cost.usd_per_month(tables.setting("hours_per_month"))
        found[plan_id] = _plan_range(outcome, usd, [one[plan_id] for one in made], multiple)
    return Ranges(
        kind=LUCK,
        level=level,
        tail=NormalDist().cdf(-multiple),
        plans=found,
        replications=len(made),
        how=f"{blocks.how}, {spell.count(len(made), 'time')}, each with new starts.",
    )


@dataclass(frozen=True, slots=True, eq=False)
class OtherLuck:
    """Other traffic of the same kind with other starts, several times over.

    Attributes
    ----------
    traffic : tuple of Trace
    normals : tuple of ndarray
        Of the starts of each, as `ColdStart.draw` takes them.
    how : str
        What was drawn anew, in words.
    """

    traffic: tuple[Trace, ...]
    normals: tuple[NDArray[np.float64], ...]
    how: str


def other_luck(
    outcomes: Mapping[str, Outcome],
    plan_ids: Iterable[str],
    trace: Trace,
    tables: Tables,
    times: int,
) -> OtherLuck:
    """Return the traffic and the starts of the first replications of `luck_ranges`.

    Raises
    ------
    InfeasibleError
        If too little was seen to say how it could have been otherwise.
    """
    blocks, _ = _blocks(outcomes, list(plan_ids), trace, tables)
    seed, draws = int(tables.setting("ranges_seed")), int(tables.setting("start_draws"))
    traffic, normals = [], []
    for number in range(times):
        random = np.random.default_rng((seed, number))
        traffic.append(drawn(trace, blocks, random))
        normals.append(random.standard_normal((draws, LUCK_COLUMNS)))
    return OtherLuck(tuple(traffic), tuple(normals), blocks.how)


def _multiple(level: float, freedom: float) -> float:
    """Return how many standard deviations a range reaches either way: Student's law."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + level) / 2))


def _plan_range(
    outcome: Outcome, usd_per_month: float, made: Sequence[_Drawn], multiple: float
) -> PlanRange:
    """Return the ranges of a plan about its figures."""
    latency = outcome.latency
    usd, p50_s, p99_s, waited = (
        np.array([getattr(one, name) for one in made]) for name in _Drawn.__slots__
    )
    for values in (usd, p99_s):
        values.setflags(write=False)
    return PlanRange(
        plan_id=outcome.plan.plan_id,
        usd_each=usd,
        p99_each_s=p99_s,
        usd_per_month=range_about(usd, usd_per_month, multiple),
        p99_ttft_s=_open_above(
            range_about(p99_s, latency.p99_ttft_s, multiple), outcome.requests, multiple
        ),
        p50_ttft_s=range_about(p50_s, latency.p50_ttft_s, multiple),
        waited_on_start_share=range_about(waited, latency.waited_on_start_share, multiple),
    )


def _open_above(found: Range, requests: int, multiple: float) -> Range:
    """Return the range of a p99, without an upper end where no request seen may be beyond it.

    Of n requests none is among the slowest 1 % in 0.99ⁿ of all cases: what was never seen cannot
    be drawn anew.
    """
    unseen = 0.99**requests
    return Range(found.low, math.inf) if unseen > NormalDist().cdf(-multiple) else found


def _affordable_plans(requests: int, tables: Tables) -> int:
    """Return for how many plans there is time for the fewest replications; two at least."""
    least = tables.setting("ranges_least_replications")
    return max(int(tables.setting("ranges_most_requests") / (requests * least)), 2)


def _affordable(runs: int, requests: int, tables: Tables) -> int:
    """Return how many replications there are time for."""
    most = tables.setting("ranges_most_requests") / (runs * requests)
    least = int(tables.setting("ranges_least_replications"))
    wanted = int(tables.setting("ranges_replications"))
    return min(max(int(most), least), wanted)


def _blocks(
    outcomes: Mapping[str, Outcome], plan_ids: Sequence[str], trace: Trace, tables: Tables
) -> tuple[Blocks, list[str]]:
    """Return the blocks of a trace, and the plans that forget soon enough for them."""
    memories_s = {plan_id: _remembered_s(outcomes[plan_id]) for plan_id in plan_ids}
    refused: InfeasibleError | None = None
    for most_s in sorted(set(memories_s.values()), reverse=True):
        try:
            blocks = cut(trace, tables, remembered_s=most_s)
        except InfeasibleError as error:
            refused = error
        else:
            return blocks, [plan_id for plan_id in plan_ids if memories_s[plan_id] <= most_s]
    assert refused is not None  # there is at least one plan
    raise refused


def _remembered_s(outcome: Outcome) -> float:
    """Return how long what happens can matter [s].

    Until nearly every request is through and, where replicas come and go, until one has left and
    started anew.
    """
    plan, latency = outcome.plan, outcome.latency
    through_s = latency.p99_latency_s or latency.p99_ttft_s
    policy = plan.policy
    if policy.min_replicas == policy.max_replicas and policy.nodes is None:
        return through_s if math.isfinite(through_s) else 0.0
    stays_s = [policy.idle_timeout_s, *(tier.stay_s for tier in policy.parked)]
    if policy.scaler is not None:
        stays_s += [policy.scaler.window_s, policy.scaler.down_window_s, policy.scaler.zero_delay_s]
    return max((s for s in stays_s if math.isfinite(s)), default=0.0) + plan.start.typical_s


def _runs(
    outcomes: Mapping[str, Outcome], plan_ids: Iterable[str], contracts: Mapping[str, Contract]
) -> list[_Run]:
    """Return the simulations that it takes, each with the plans that it stands for."""
    alike: dict[Hashable, tuple[Plan, list[tuple[str, Contract]]]] = {}
    for plan_id in plan_ids:
        outcome = outcomes[plan_id]
        plan, policy = outcome.plan, outcome.plan.policy
        starts = policy.min_replicas < policy.max_replicas or policy.nodes is not None
        key = (
            policy,
            plan.start if starts or plan.interruptions_per_h else None,
            plan.speed,
            plan.retry_s,
            plan.interruptions_per_h,
            plan.interruption_seed,
        )
        alike.setdefault(key, (plan, []))[1].append((plan_id, contracts[plan_id]))
    return [_Run(plan, tuple(billed)) for plan, billed in alike.values()]


def _cheapest_contract(outcome: Outcome, tables: Tables, deal: Deal) -> Contract:
    """Return the contract, of those for each shape of machine, under which a plan is billed."""
    contracts = list(deal.contracts(outcome.plan, tables))
    if len(contracts) == 1:
        return contracts[0]
    usage = usage_of(outcome)
    usd = {}
    for at, contract in enumerate(contracts):
        try:
            usd[at] = bill(bill_basis(usage, contract, tables)).usd_span
        except InfeasibleError:
            continue
    return contracts[min(usd, key=usd.__getitem__)]


def _made_beforehand(
    beforehand: Shipped,
    runs: Sequence[_Run],
    blocks: Blocks,
    trace: Trace,
    tables: Tables,
    replications: Callable[[], list[dict[str, _Drawn]]],
) -> list[dict[str, _Drawn]]:
    """Return the replications that were shipped, or else make them."""
    count = _affordable(len(runs), trace.arrival_s.size, tables)
    contracts = [[contract for _, contract in run.contracts] for run in runs]
    plans = [run.plan for run in runs]
    key = answer_digest("luck", plans, trace, tables, contracts, blocks, count)
    names = [plan_id for run in runs for plan_id, _ in run.contracts]
    found = beforehand.answer(
        key, lambda: [[astuple(one[name]) for name in names] for one in replications()]
    )
    return [
        {name: _Drawn(*numbers) for name, numbers in zip(names, one, strict=True)} for one in found
    ]


def _replications(
    runs: Sequence[_Run],
    outcomes: Mapping[str, Outcome],
    blocks: Blocks,
    trace: Trace,
    tables: Tables,
    progress: Callable[[int, int], None] | None,
    workers: int | None,
) -> list[dict[str, _Drawn]]:
    """Return what each plan came to in each replication that was made in time."""
    until = time.monotonic() + tables.setting("ranges_most_s")
    starts = dict.fromkeys(run.plan.start for run in runs)
    # As many as the figures themselves are made with, so that they have as much luck.
    draws_each = int(tables.setting("start_draws"))
    seed, hours = int(tables.setting("ranges_seed")), tables.setting("hours_per_month")

    def replicate(number: int, stop: NDArray[np.uint8]) -> dict[str, _Drawn] | None:
        random = np.random.default_rng((seed, number))
        traffic = drawn(trace, blocks, random)
        normals = random.standard_normal((draws_each, LUCK_COLUMNS))
        draws: dict[ColdStart, StartDraws] = {start: start.draw(normals) for start in starts}
        found: dict[str, _Drawn] = {}
        for run in runs:
            if stop[0]:
                raise Cancelled("the ranges were stopped before their end")
            if time.monotonic() > until:
                return None
            plan = dataclasses.replace(
                run.plan, interruption_seed=run.plan.interruption_seed + 1 + number
            )
            start = draws[plan.start]
            result = simulate_plan(plan, traffic, start, cancel=stop)
            latency = summarise(result)
            for plan_id, contract in run.contracts:
                usage = usage_of_run(
                    outcomes[plan_id].plan,
                    result.sessions,
                    start.stage_s,
                    horizon_s=traffic.horizon_s,
                    requests=int(traffic.arrival_s.size),
                )
                cost = bill(bill_basis(usage, contract, tables))
                found[plan_id] = _Drawn(
                    cost.usd_per_month(hours),
                    latency.p50_ttft_s,
                    latency.p99_ttft_s,
                    latency.waited_on_start_share,
                )
        return found

    numbers = range(_affordable(len(runs), trace.arrival_s.size, tables))
    made = in_threads(replicate, numbers, progress=progress, workers=workers)
    return [one for one in made if one is not None]
