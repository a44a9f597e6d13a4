"""The verdict of a scenario, taken from outcomes and their bills; nothing is simulated here."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from frontier import units
from frontier.billing import (
    GPU_LINES,
    METERED,
    BillBasis,
    bill,
    commitment_facts,
    pool_lines,
)
from frontier.economics import as_fast_as_any, break_even_value_usd, cheapest_under
from frontier.errors import FrontierError
from frontier.latency import THOUSAND
from frontier.plans.families import DEDICATED, FAMILIES, RESERVED
from frontier.plans.plan import Plan
from frontier.plans.scenario import Deployment
from frontier.ranges import HOLDS, NOT_SURE, Ranges, few_beyond
from frontier.serving import precisions_of, serving_speed
from frontier.sweep import Deal, Outcome, TokenApi, tolerance_of
from frontier.tables import OWN_SOURCE, Model, Tables
from frontier.trace import Trace
from frontier.verdict import words
from frontier.verdict.facts import (
    BreakEvenRate,
    Commitment,
    Machines,
    Obstacle,
    PlanFacts,
    Saving,
    Tipping,
    TooLong,
    Utilisation,
    Verdict,
    WaitingCost,
)

if TYPE_CHECKING:
    import pandas as pd

_TAIL = 99
# Sums of the same dollars in another order differ in their last bits.
_NOTHING_USD = 1e-9
_BUSY_RULE = "forty-fifty"
_KEPT = (DEDICATED.key, RESERVED.key)


def find_verdict(
    outcomes: Mapping[str, Outcome],
    table: pd.DataFrame,
    *,
    deployment: Deployment,
    trace: Trace,
    tables: Tables,
    deal: Deal,
    limit_s: float,
    bases: Mapping[str, BillBasis],
    api: TokenApi | None = None,
) -> Verdict:
    """Return what wins under the limit, and all that the answer rests on but the break-even.

    Parameters
    ----------
    outcomes : mapping of str to Outcome
        By plan; those under the buyer's commitment among them.
    table : DataFrame
        `sweep.frontier_table` of them.
    limit_s : float
        On p99 TTFT. [s]
    bases : mapping of str to BillBasis
        What each bill is computed from.
    """
    own = table[[FAMILIES[key].is_buyable for key in table["family"]]]

    def facts(row: pd.Series | None) -> PlanFacts | None:
        if row is None:
            return None
        plan_id = str(row["plan_id"])
        return plan_facts(
            outcomes[plan_id],
            bases[plan_id],
            limit_s=limit_s,
            needed=needed_by(outcomes[plan_id].plan, deployment),
            tables=tables,
        )

    served = own[np.isfinite(own["p99_ttft_s"])]
    within = _cheapest(own, limit_s)
    shipped = facts(_cheapest(own[own["is_provider_default"]]))
    kept = own[own["family"].isin(_KEPT)]
    rival = _cheapest(kept, limit_s)
    found = Verdict(
        limit_s=limit_s,
        requests_per_day=trace.arrival_s.size / trace.horizon_s * units.SECONDS_PER_DAY,
        span_s=trace.horizon_s,
        cheapest_within=facts(within),
        cheapest=facts(
            _cheapest(
                served[
                    ~_capped(served, outcomes, deployment)
                    # What is served after the bill ends costs less than it would.
                    & (served["p99_ttft_s"] <= trace.horizon_s)
                ]
            )
        ),
        fastest=facts(_cheapest_of_fastest(served, tables)),
        shipped=shipped,
        rival=facts(rival if rival is not None else _cheapest_of_fastest(kept, tables)),
        obstacle=_obstacle(deployment, trace, own, limit_s, tables) if within is None else None,
        few_beyond=few_beyond(trace.arrival_s.size, tables.setting("ranges_few_beyond")).get(_TAIL),
        too_long=too_long(trace, deployment.model),
        hours_per_month=tables.setting("hours_per_month"),
        counted_s=trace.report.bucket_s,
        api=api,
        api_usd_per_month=math.nan
        if api is None
        else api.usd_per_month(trace, tables.setting("hours_per_month")),
    )
    found = dataclasses.replace(
        found,
        saving=_saving(found.shipped, found.rival, bases),
        waiting=_waiting(found, tables.setting("hours_per_month")),
        utilisation=utilisation_of(found.shipped, found.rival, tables),
        commitment=_commitment((found.cheapest_within, found.rival), tables, deal),
        tippings=_tippings(found, own, outcomes, bases, tables, deal),
    )
    return spoken(found)


def too_long(trace: Trace, model: Model) -> TooLong | None:
    """Return the requests whose prompt and answer exceed the context of a model; None if none."""
    most, requests, longest = model.max_context_tokens, 0, 0
    for _, prompts, outputs in trace.pieces():
        tokens = prompts.astype(np.int64) + outputs
        requests += int(np.count_nonzero(tokens > most))
        longest = max(longest, int(tokens.max(initial=0)))
    if not requests:
        return None
    return TooLong(requests, trace.arrival_s.size, longest, most, model.model)


def with_break_even(verdict: Verdict, found: BreakEvenRate) -> Verdict:
    """Return the verdict with the break-even rate, and the sentences that it allows."""
    return spoken(dataclasses.replace(verdict, break_even=found))


def with_hangs(verdict: Verdict, sentences: tuple[str, ...]) -> Verdict:
    """Return the verdict with what it hangs on, `hangs.hangs_in_words`, among its reasons."""
    return spoken(dataclasses.replace(verdict, hangs=sentences))


def with_luck(verdict: Verdict, luck: Ranges, facts: Mapping[str, PlanFacts]) -> Verdict:
    """Return the verdict with the ranges of luck, and the sentences that they allow.

    Parameters
    ----------
    facts : mapping of str to PlanFacts
        Of every plan that has a range.
    """
    within, limit_s = verdict.cheapest_within, verdict.limit_s
    by_cost = sorted(facts.values(), key=lambda plan: plan.usd_per_month)
    states = {plan.plan_id: luck.plans[plan.plan_id].state(limit_s) for plan in by_cost}
    most_usd = math.inf if within is None else within.usd_per_month
    found = dataclasses.replace(
        verdict,
        luck=luck,
        sure=next((plan for plan in by_cost if states[plan.plan_id] == HOLDS), None),
        maybe=next(
            (
                plan
                for plan in by_cost
                if states[plan.plan_id] == NOT_SURE
                and plan.p99_ttft_s > limit_s
                and plan.usd_per_month < most_usd - _NOTHING_USD
            ),
            None,
        ),
    )
    return spoken(found)


def spoken(verdict: Verdict) -> Verdict:
    """Return the verdict with its facts in words."""
    return dataclasses.replace(
        verdict,
        answer=words.answer(verdict),
        beside=words.beside(verdict),
        below=words.below(verdict),
        reasons=words.reasons(verdict),
    )


def plan_facts(
    outcome: Outcome, basis: BillBasis, *, limit_s: float, needed: int, tables: Tables
) -> PlanFacts:
    """Return what a verdict says of one plan.

    Parameters
    ----------
    basis : BillBasis
        Of the bill of that outcome.
    limit_s : float
        On p99 TTFT. [s]
    needed : int
        Replicas that the busiest minute keeps busy.
    """
    plan, latency, cost = outcome.plan, outcome.latency, bill(basis)
    offers = [tables.offers[pool.offer_id] for pool in basis.pools]
    offer = offers[-1]
    policy = plan.policy
    hours = outcome.horizon_s / units.SECONDS_PER_HOUR
    return PlanFacts(
        plan_id=plan.plan_id,
        label=plan.label,
        detail=plan.detail,
        family=plan.family.key,
        vendor=offer.provider,
        product=offer.product,
        gpu=offer.gpu,
        kind=offer.kind,
        overflow_vendor=offers[0].provider if len(offers) > 1 else "",
        offer_id=offer.offer_id,
        gpus_per_replica=plan.speed.gpus_per_replica,
        kept=policy.pinned_replicas or policy.min_replicas,
        most=policy.max_replicas,
        machines=machines_of(outcome, basis, tables),
        usd_per_month=cost.usd_per_month(basis.hours_per_month),
        usd_per_h=cost.usd_span / hours,
        usd_by_line=tuple(cost.lines_per_month(basis.hours_per_month).items()),
        p99_ttft_s=latency.p99_ttft_s,
        waiting_of_thousand=round(latency.waited_on_start_share * THOUSAND),
        typical_wait_s=latency.waited_ttft_s,
        over_of_thousand=int(np.count_nonzero(outcome.ttft_of_thousand_s > limit_s)),
        refused_of_thousand=int(np.count_nonzero(np.isinf(outcome.ttft_of_thousand_s))),
        billed_replicas=cost.billed_s / outcome.horizon_s,
        busy_replicas=outcome.seconds.busy_s / outcome.horizon_s,
        priced_on=tuple(
            dict.fromkeys(
                (
                    f"{part.provider} (yours)" if part.source_id == OWN_SOURCE else part.provider,
                    pool.priced_on,
                )
                for part, pool in zip(offers, basis.pools, strict=True)
            )
        ),
        needed=needed,
        up_share=_up_share(outcome),
        is_provider_default=plan.is_provider_default,
        is_committed=plan.is_committed,
    )


def _up_share(outcome: Outcome) -> float:
    """Return the share of the time that each machine is up, on average over many [1]."""
    away_s = float(outcome.stage_s.sum(axis=1).mean())
    gone = outcome.plan.interruptions_per_h / units.SECONDS_PER_HOUR * away_s
    return 1 / (1 + gone)


def machines_of(outcome: Outcome, basis: BillBasis, tables: Tables) -> Machines | None:
    """Return the machines that are always on in a plan; None where there is none.

    Parameters
    ----------
    basis : BillBasis
        Of the bill of that outcome.
    """
    plan, pool = outcome.plan, basis.pools[-1]
    offer = tables.offers[pool.offer_id]
    replicas = plan.policy.pinned_replicas or plan.policy.min_replicas
    is_always_on = plan.policy.pinned_replicas or replicas == plan.policy.max_replicas
    if offer.kind == "serverless" or not is_always_on:
        return None
    return Machines(
        offer_id=offer.offer_id,
        provider=offer.provider,
        product=offer.product,
        gpu=offer.gpu,
        count=int(np.unique(pool.meters.machine).size),
        gpus_each=pool.meters.gpus,
        gpus_used=replicas * plan.speed.gpus_per_replica,
    )


def _cheapest(rows: pd.DataFrame, limit_s: float = math.inf) -> pd.Series | None:
    at = cheapest_under(rows["usd_per_month"], rows["p99_ttft_s"], limit_s)
    return None if at is None else rows.iloc[at]


def _cheapest_of_fastest(rows: pd.DataFrame, tables: Tables) -> pd.Series | None:
    """Return the cheapest of the plans that are as fast as any, within the tolerance."""
    return (
        _cheapest(rows[as_fast_as_any(rows["p99_ttft_s"], tolerance_of(tables))])
        if len(rows)
        else None
    )


def needed_by(plan: Plan, deployment: Deployment) -> int:
    """Return the replicas that the busiest minute keeps busy where a plan runs."""
    is_on_machines = plan.offer_id == deployment.machines.supply.offer_id
    return (deployment.machines if is_on_machines else deployment).busiest_replicas


def _capped(
    rows: pd.DataFrame, outcomes: Mapping[str, Outcome], deployment: Deployment
) -> pd.Series:
    """Return which plans may have fewer replicas than the busiest minute keeps busy."""
    needed = [needed_by(outcomes[plan_id].plan, deployment) for plan_id in rows["plan_id"]]
    grows = rows["min_replicas"] < rows["max_replicas"]
    return grows & (rows["max_replicas"] < np.array(needed, dtype=np.int64))


def _saving(
    zero: PlanFacts | None, rival: PlanFacts | None, bases: Mapping[str, BillBasis]
) -> Saving | None:
    if zero is None or rival is None:
        return None
    return saving_of(zero, bases[zero.plan_id], rival, bases[rival.plan_id])


def saving_of(
    first: PlanFacts, first_basis: BillBasis, second: PlanFacts, second_basis: BillBasis
) -> Saving:
    """Return what the difference of two plans' bills is made of, first less second.

    Parameters
    ----------
    first_basis, second_basis : BillBasis
        Of the bills of those plans.
    """
    a, b = _parts(first), _parts(second)
    a_gpu_h, b_gpu_h = used_gpu_h(first_basis), used_gpu_h(second_basis)
    a_usd, b_usd = (usd / h if h else 0.0 for usd, h in ((a[0], a_gpu_h), (b[0], b_gpu_h)))
    return Saving(
        usd=first.usd_per_month - second.usd_per_month,
        hours_usd=(a_gpu_h - b_gpu_h) * b_usd,
        price_usd=(a_usd - b_usd) * a_gpu_h,
        unused_gpus_usd=a[1] - b[1],
        cpu_ram_usd=a[2] - b[2],
        others_usd=a[3] - b[3],
    )


def _parts(plan: PlanFacts) -> tuple[float, float, float, float]:
    """Return dollars a month: GPUs in use, unused ones, cores and memory, all else."""
    usd = dict(plan.usd_by_line)
    unused = usd["unused GPUs"] + usd["unused commitment"] + usd["empty nodes"]
    gpus = math.fsum(usd[name] for name in GPU_LINES) - unused
    cpu_ram = usd["CPU and RAM"]
    return gpus, unused, cpu_ram, math.fsum(usd.values()) - gpus - unused - cpu_ram


def used_gpu_h(basis: BillBasis) -> float:
    """Return the GPU-hours a month that are billed and not unused [h]."""
    used = [name not in ("unused", "empty") for name in METERED]
    gpu_s = math.fsum(
        float(pool.meters.gpu_s[used].sum()) + pool.extra_start_gpu_s for pool in basis.pools
    )
    return gpu_s / units.SECONDS_PER_HOUR / basis.months


def _waiting(found: Verdict, hours_per_month: float) -> WaitingCost | None:
    zero, within = found.shipped, found.cheapest_within
    if zero is None or within is None or zero.plan_id == within.plan_id:
        return None
    days = hours_per_month * units.SECONDS_PER_HOUR / units.SECONDS_PER_DAY
    requests = found.requests_per_day * days
    over = [plan.over_of_thousand / THOUSAND * requests for plan in (zero, within)]
    extra_usd = within.usd_per_month - zero.usd_per_month
    return WaitingCost(
        usd_per_month=extra_usd,
        spared_per_month=over[0] - over[1],
        usd_each=break_even_value_usd(extra_usd, *over),
    )


def utilisation_of(
    zero: PlanFacts | None, rival: PlanFacts | None, tables: Tables
) -> Utilisation | None:
    """Return how much of the rival's time scale-to-zero is billed, and it is busy, and may be.

    None where there is no rival, or nothing is billed.
    """
    if zero is None or rival is None or not zero.billed_replicas or not zero.usd_per_month:
        return None
    billed = zero.billed_replicas / rival.kept
    # Of the rival's own run: scale-to-zero may still be starting when a short trace ends.
    busy = rival.busy_replicas / rival.kept
    thumb = tables.folklore[_BUSY_RULE]
    break_even = billed * rival.usd_per_month / zero.usd_per_month
    return Utilisation(
        replicas=rival.kept,
        billed=billed,
        busy=busy,
        break_even_billed=break_even,
        break_even_busy=break_even * busy / billed,
        rule_of_thumb=(thumb.utilisation_low, thumb.utilisation_high),
    )


def commitment_of(plan: PlanFacts, tables: Tables, deal: Deal) -> Commitment | None:
    """Return what the commitment of a plan binds to; None for a plan without one."""
    machines = plan.machines
    if not plan.is_committed or deal.commitment is None or machines is None:
        return None
    facts = commitment_facts(
        tables.offers[machines.offer_id],
        deal.commitment,
        machines=machines.count,
        gpus_per_machine=machines.gpus_each,
        used_share=1.0,
        hours_per_month=tables.setting("hours_per_month"),
    )
    return Commitment(
        plan_id=plan.plan_id,
        machines=machines.count,
        committed_usd=facts.committed_usd,
        term_months=deal.commitment.term_months,
        upfront_usd=facts.upfront_usd,
        payback_months=facts.payback_months,
        break_even_utilisation=facts.break_even_utilisation,
    )


def _commitment(plans: Iterable[PlanFacts | None], tables: Tables, deal: Deal) -> Commitment | None:
    found = (commitment_of(plan, tables, deal) for plan in plans if plan is not None)
    return next((one for one in found if one is not None), None)


def _tippings(
    found: Verdict,
    own: pd.DataFrame,
    outcomes: Mapping[str, Outcome],
    bases: Mapping[str, BillBasis],
    tables: Tables,
    deal: Deal,
) -> tuple[Tipping, ...]:
    """Return the limit, and the GPU price of the winner, at which another plan takes its place."""
    winner = found.cheapest_within
    if winner is None:
        return ()

    def tipping(what: str, value: float, now: float, plan_id: str) -> Tipping:
        plan = plan_facts(
            outcomes[plan_id], bases[plan_id], limit_s=found.limit_s, needed=0, tables=tables
        )
        return Tipping(what, value, now, plan)

    tippings = []
    cheaper = own[
        (own["usd_per_month"] < winner.usd_per_month - _NOTHING_USD)
        & np.isfinite(own["p99_ttft_s"])
    ].sort_values(["p99_ttft_s", "usd_per_month"], kind="stable")
    if len(cheaper):
        first = cheaper.iloc[0]
        tippings.append(
            tipping("limit", float(first["p99_ttft_s"]), found.limit_s, first["plan_id"])
        )
    shapes = {shape.offer_id for shape in deal.shapes(tables.offers[winner.offer_id], tables)}
    fixed, moving = _with_gpu_price(bases[winner.plan_id], shapes)
    best: tuple[float, str] | None = None
    for plan_id in own.loc[own["p99_ttft_s"] <= found.limit_s, "plan_id"]:
        other_fixed, other_moving = _with_gpu_price(bases[plan_id], shapes)
        if moving > other_moving:
            factor = (other_fixed - fixed) / (moving - other_moving)
            if factor > 1 and (best is None or factor < best[0]):
                best = factor, plan_id
    if best is not None:
        now = tables.offers[winner.offer_id].usd_per_gpu_h
        tippings.append(tipping("price", best[0] * now, now, best[1]))
    return tuple(tippings)


def _with_gpu_price(basis: BillBasis, offer_ids: Collection[str]) -> tuple[float, float]:
    """Return what of a bill stays, and what moves, with the GPU price of some offers [$/month].

    Not a number where a credit covers all that is used: it would grow with the price.
    """
    total = bill(basis).usd_span
    moving = 0.0
    for pool in basis.pools:
        if pool.offer_id in offer_ids:
            lines = pool_lines(pool, basis.months)
            if 0 < -lines["credits"] < pool.credit_usd_per_month * basis.months:
                return math.nan, math.nan
            moving += math.fsum(lines[name] for name in GPU_LINES)
    return (total - moving) / basis.months, moving / basis.months


def _obstacle(
    deployment: Deployment, trace: Trace, own: pd.DataFrame, limit_s: float, tables: Tables
) -> Obstacle:
    scenario = deployment.scenario
    speeds = (deployment.speed, deployment.dedicated_speed)

    def prompt_s(gpu: str, precision: str) -> float:
        try:
            speed = serving_speed(
                deployment.model,
                precision,
                gpu,
                context_tokens=deployment.speed.context_tokens,
                tables=tables,
                kv_precision=scenario.kv_precision,
            )
        except FrontierError:
            return math.inf
        return float(speed.prefill_s(longest))

    # A longer prompt never takes less.
    longest = _tail_of(trace.prompt_tokens)
    alone_s = min(float(speed.prefill_s(longest)) for speed in speeds)
    gpus: dict[str, float] = {}
    precisions: dict[str, float] = {}
    if alone_s > limit_s:
        sold = dict.fromkeys(offer.gpu for offer in tables.offers.values())
        gpus = {gpu: prompt_s(gpu, scenario.precision) for gpu in sold}
        others = (p for p in precisions_of(deployment.model) if p != scenario.precision)
        precisions = {
            precision: min(prompt_s(speed.gpu, precision) for speed in speeds)
            for precision in others
        }
    return Obstacle(
        prompt_s=alone_s,
        gpus=tuple(g for g in sorted(gpus, key=lambda g: -gpus[g]) if gpus[g] <= limit_s),
        precisions=tuple(p for p, seconds in precisions.items() if seconds <= limit_s),
        reachable_s=float(own["p99_ttft_s"].min()),
    )


def _tail_of(values: np.ndarray) -> float:
    return float(np.percentile(values, _TAIL, method="inverted_cdf"))
