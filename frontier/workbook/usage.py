"""What plans use, apart from what it costs: the quantities and the prices that a workbook holds.

Quantities are those of the bill's basis, summed over its meters; the workbook multiplies them by
the prices. A few plans are simulated, kept as they are, at other levels of the same traffic, for
what no arithmetic gives.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from frontier.billing import METERED, BillBasis, PoolBasis
from frontier.crew import Progress
from frontier.finance import MONTHS_PER_YEAR
from frontier.plans.families import DEDICATED, FAMILIES
from frontier.prices import origin_in_words
from frontier.study import Study
from frontier.sweep import Outcome, basis_of_outcome, simulate_plans
from frontier.tables import Tables
from frontier.trace import scale_rate
from frontier.units import SECONDS_PER_HOUR
from frontier.verdict import PlanFacts

_NO_WILDCARDS = str.maketrans("*?~", "   ")


@dataclass(frozen=True, slots=True)
class OfferPrice:
    """The prices of one offer, as every plan on it is billed.

    Attributes
    ----------
    key : str
        Names it in the workbook.
    origin : str
        Whose price it is, and of when.
    usd_per_gpu_h, usd_per_vcpu_h, usd_per_gib_h : float
        [$/h]
    multiplier : float
        Region and availability. [1]
    fee_usd_per_month, credit_usd_per_month : float
        Of the provider's plan. [$/month]
    request_fee_usd, storage_usd_per_gb_month : float
        [$], [$/GB/month]
    vcpus, ram_gib : tuple of float
        The least and the most that its plans are billed with a replica. [vCPU], [GiB]
    """

    key: str
    origin: str
    usd_per_gpu_h: float
    usd_per_vcpu_h: float
    usd_per_gib_h: float
    multiplier: float
    fee_usd_per_month: float
    credit_usd_per_month: float
    request_fee_usd: float
    storage_usd_per_gb_month: float
    vcpus: tuple[float, float]
    ram_gib: tuple[float, float]


@dataclass(frozen=True, slots=True)
class PoolUsage:
    """What the replicas of a plan that share an offer use over the span.

    Attributes
    ----------
    is_base : bool
        Whether these are the pinned replicas of a hybrid plan.
    offer : str
        Key of its `OfferPrice`.
    gpu_h : tuple of float
        GPU-hours by `billing.METERED`. [h]
    extra_start_gpu_h, unused_committed_gpu_h : float
        Of starts, beyond the meters; committed and not used. [h]
    kept_ram_gib_h : float
        Host memory that a mitigation keeps, times how long. [GiB h]
    vcpus, ram_gib, replicas_per_gpu : float
        Billed with each replica, and replicas to a GPU. [vCPU], [GiB], [1]
    covered_share : float
        Of the used hours that a commitment covers. [1]
    pays_fee : bool
        Whether the fee and the credit of the provider's plan count here.
    """

    is_base: bool
    offer: str
    gpu_h: tuple[float, ...]
    extra_start_gpu_h: float
    unused_committed_gpu_h: float
    kept_ram_gib_h: float
    vcpus: float
    ram_gib: float
    replicas_per_gpu: float
    covered_share: float
    pays_fee: bool


@dataclass(frozen=True, slots=True)
class PlanUsage:
    """One plan in the workbook: what it did, and what it used.

    Attributes
    ----------
    name : str
        Unlike that of any other plan of the workbook.
    plan_id, family : str
    p50_ttft_s, p99_ttft_s : float
        [s]
    waiting_share : float
        Of the requests, that wait on a start. [1]
    requests, tokens : int
        Served, and their tokens.
    storage_gb : float
        Stored throughout. [GB]
    pools : tuple of PoolUsage
        Empty where the plan is a price of tokens.
    is_buyable : bool
    traffic : float
        Times that of the file. [1]
    usd_per_month : float
        Of a plan without pools. [$/month]
    """

    name: str
    plan_id: str
    family: str
    p50_ttft_s: float
    p99_ttft_s: float
    waiting_share: float
    requests: int
    tokens: int
    storage_gb: float
    pools: tuple[PoolUsage, ...]
    is_buyable: bool = True
    traffic: float = 1.0
    usd_per_month: float = 0.0


def offer_key(pool: PoolBasis) -> tuple[str, float]:
    """Return what pools at one price have in common."""
    return pool.offer_id, pool.multiplier


def prices_of(bases: Iterable[BillBasis], tables: Tables) -> dict[tuple[str, float], OfferPrice]:
    """Return the prices of all offers that these bills are made at, by `offer_key`."""
    found: dict[tuple[str, float], OfferPrice] = {}
    for basis in bases:
        for pool in basis.pools:
            before = found.get(offer_key(pool))
            vcpus, ram = [pool.vcpus], [pool.ram_gib]
            fees = [pool.fee_usd_per_month, pool.credit_usd_per_month]
            own = [0.0, 0.0]
            if not pool.is_base or len(basis.pools) == 1:
                own = [basis.request_fee_usd, basis.storage_usd_per_gb_month]
            if before is not None:
                vcpus += before.vcpus
                ram += before.ram_gib
                fees = [
                    max(fees[0], before.fee_usd_per_month),
                    max(fees[1], before.credit_usd_per_month),
                ]
                own = [
                    max(own[0], before.request_fee_usd),
                    max(own[1], before.storage_usd_per_gb_month),
                ]
            offer = tables.offers.get(pool.offer_id)
            twice = any(key[0] == pool.offer_id and key != offer_key(pool) for key in found)
            found[offer_key(pool)] = OfferPrice(
                key=f"{pool.offer_id} × {pool.multiplier:g}" if twice else pool.offer_id,
                origin=(
                    f"of {pool.priced_on}" if offer is None else origin_in_words(offer, tables)
                ),
                usd_per_gpu_h=pool.usd_per_gpu_h,
                usd_per_vcpu_h=pool.usd_per_vcpu_h,
                usd_per_gib_h=pool.usd_per_gib_h,
                multiplier=pool.multiplier,
                fee_usd_per_month=fees[0],
                credit_usd_per_month=fees[1],
                request_fee_usd=own[0],
                storage_usd_per_gb_month=own[1],
                vcpus=(min(vcpus), max(vcpus)),
                ram_gib=(min(ram), max(ram)),
            )
    return found


def pools_of(
    basis: BillBasis, prices: Mapping[tuple[str, float], OfferPrice]
) -> tuple[PoolUsage, ...]:
    """Return the quantities of a bill, pool by pool, without its prices."""
    charged: set[str] = set()
    pools = []
    for pool in basis.pools:
        gpu_s = pool.meters.gpu_s.sum(axis=1) if pool.meters.gpu_s.size else [0.0] * len(METERED)
        pools.append(
            PoolUsage(
                is_base=pool.is_base and len(basis.pools) > 1,
                offer=prices[offer_key(pool)].key,
                gpu_h=tuple(float(seconds) / SECONDS_PER_HOUR for seconds in gpu_s),
                extra_start_gpu_h=pool.extra_start_gpu_s / SECONDS_PER_HOUR,
                unused_committed_gpu_h=pool.unused_committed_gpu_s / SECONDS_PER_HOUR,
                kept_ram_gib_h=pool.kept_ram_gib_s / SECONDS_PER_HOUR,
                vcpus=pool.vcpus,
                ram_gib=pool.ram_gib,
                replicas_per_gpu=pool.replicas_per_gpu,
                covered_share=pool.covered_share,
                pays_fee=pool.rules_id not in charged,
            )
        )
        charged.add(pool.rules_id)
    return tuple(pools)


def named_plans(labels: Sequence[tuple[str, str]]) -> list[str]:
    """Return a name for each plan, from its label and id, unlike any other of them.

    A spreadsheet looks names up, and takes some signs for wildcards.
    """
    seen: set[str] = set()
    names = []
    for label, plan_id in labels:
        name = " ".join(label.translate(_NO_WILDCARDS).split()) or plan_id
        if name.casefold() in seen:
            name = f"{name} [{plan_id}]".translate(_NO_WILDCARDS)
        seen.add(name.casefold())
        names.append(name)
    return names


def _usage(
    outcome: Outcome,
    basis: BillBasis,
    prices: Mapping[tuple[str, float], OfferPrice],
    name: str,
    traffic: float = 1.0,
) -> PlanUsage:
    plan, latency = outcome.plan, outcome.latency
    return PlanUsage(
        name=name,
        plan_id=plan.plan_id,
        family=plan.family.label,
        p50_ttft_s=latency.p50_ttft_s,
        p99_ttft_s=latency.p99_ttft_s,
        waiting_share=latency.waited_on_start_share,
        requests=outcome.requests,
        tokens=outcome.tokens,
        storage_gb=basis.storage_gb,
        pools=pools_of(basis, prices),
        is_buyable=plan.family.is_buyable,
        traffic=traffic,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Quantities:
    """What a workbook is made of, beside the report.

    Attributes
    ----------
    prices : tuple of OfferPrice
    plans : tuple of PlanUsage
        All of the study, in the order of its table.
    chosen, shipped, always_on : PlanUsage or None
        The plan of the report, scale-to-zero as the provider ships it, and machines by the hour.
    levels : tuple of PlanUsage
        Those three at other traffic, kept as they are, from the lowest level to the highest; empty
        where that would take long.
    is_committable : bool
        Whether the machines by the hour can be bought under a commitment of the buyer.
    commitment_discount, term_months, upfront_share : float
        Of the buyer's commitment; no discount where there is none. [1], [months], [1]
    price_band, growth_per_month : float
        By how much prices may be off, and how the traffic grows, until a person says. [1]
    most_meters : int
        Meters of the chosen plan above which their sums alone are written.
    """

    prices: tuple[OfferPrice, ...]
    plans: tuple[PlanUsage, ...]
    chosen: PlanUsage
    shipped: PlanUsage | None
    always_on: PlanUsage | None
    levels: tuple[PlanUsage, ...] = ()
    is_committable: bool = False
    commitment_discount: float = 0.0
    term_months: int = MONTHS_PER_YEAR
    upfront_share: float = 0.0
    price_band: float = 0.0
    growth_per_month: float = 0.0
    most_meters: int = 1_000_000

    @property
    def looked_at(self) -> tuple[PlanUsage, ...]:
        """The plans that stand side by side, each once."""
        asked = (self.chosen, self.shipped, self.always_on)
        return tuple({plan.plan_id: plan for plan in asked if plan is not None}.values())


def quantities_of(study: Study, plan_id: str, progress: Progress | None = None) -> Quantities:
    """Return what each plan of a study uses, and what three of them would at other traffic.

    Parameters
    ----------
    plan_id : str
        The plan of the report.
    progress : callable, optional
        Called with (done, all) levels of traffic; what it raises stops all.
    """
    asked = (plan_id, _plan_id(study.verdict.shipped), _by_the_hour(study))
    runs = _at_other_traffic(study, [one for one in dict.fromkeys(asked) if one], progress)
    bases = {one: study.basis(outcome) for one, outcome in study.outcomes.items()}
    others = [basis_of_outcome(outcome, study.tables, study.deal) for _, outcome in runs]
    prices = prices_of([*bases.values(), *others], study.tables)
    rows = study.table.to_dict(orient="records")
    names = dict(
        zip(
            [str(row["plan_id"]) for row in rows],
            named_plans([(str(row["label"]), str(row["plan_id"])) for row in rows]),
            strict=True,
        )
    )
    plans = {
        one: _usage(study.outcomes[one], bases[one], prices, name)
        if one in study.outcomes
        else _token_price(study, row, name)
        for (one, name), row in zip(names.items(), rows, strict=True)
    }
    levels = [
        _usage(outcome, basis, prices, names[outcome.plan.plan_id], level)
        for (level, outcome), basis in zip(runs, others, strict=True)
    ]
    chosen, shipped, always_on = (None if one is None else plans[one] for one in asked)
    assert chosen is not None
    bound = study.deal.commitment
    return Quantities(
        tuple(prices.values()),
        tuple(plans.values()),
        chosen,
        shipped,
        always_on,
        tuple(levels),
        is_committable=always_on is not None and _is_committable(study, always_on.plan_id),
        commitment_discount=0.0 if bound is None else bound.discount,
        term_months=(bound and bound.term_months) or MONTHS_PER_YEAR,
        upfront_share=(bound and bound.upfront_share) or 0.0,
        price_band=study.tables.setting("price_band"),
        growth_per_month=study.tables.setting("growth_per_month"),
        most_meters=int(study.tables.setting("workbook_most_meters")),
    )


def _is_committable(study: Study, plan_id: str) -> bool:
    plan = study.outcomes[plan_id].plan
    offer = study.tables.offers[plan.offer_id]
    return plan.family is DEDICATED and offer.kind == "dedicated" and plan.base_offer_id is None


def _plan_id(facts: PlanFacts | None) -> str | None:
    return None if facts is None else facts.plan_id


def _by_the_hour(study: Study) -> str | None:
    """Return the machines of the verdict that are always on, without a commitment of the buyer."""
    rival = study.verdict.rival
    if rival is None:
        return None
    plan = study.outcomes[rival.plan_id].plan
    same = (
        one
        for one, outcome in study.outcomes.items()
        if not outcome.plan.is_committed
        and outcome.plan.family is DEDICATED
        and outcome.plan.policy == plan.policy
    )
    return next(same, rival.plan_id)


def _token_price(study: Study, row: Mapping[str, Any], name: str) -> PlanUsage:
    trace = study.trace
    return PlanUsage(
        name=name,
        plan_id=str(row["plan_id"]),
        family=FAMILIES[str(row["family"])].label,
        p50_ttft_s=math.nan,
        p99_ttft_s=float(row["p99_ttft_s"]),
        waiting_share=0.0,
        requests=trace.arrival_s.size,
        tokens=int(
            trace.prompt_tokens.sum(dtype=np.int64) + trace.output_tokens.sum(dtype=np.int64)
        ),
        storage_gb=0.0,
        pools=(),
        is_buyable=FAMILIES[str(row["family"])].is_buyable,
        usd_per_month=float(row["usd_per_month"]),
    )


def levels_of(requests: int, tables: Tables) -> tuple[float, ...]:
    """Return the levels of traffic that a workbook looks at, 1 among them, lowest first [1].

    Where they are too many requests together the highest are left out; empty where that does not
    help.
    """
    low, high = tables.setting("workbook_traffic_low"), tables.setting("workbook_traffic_high")
    steps = int(tables.setting("workbook_traffic_steps"))
    most = tables.setting("workbook_most_requests") / max(requests, 1)
    first, last = round(math.log2(low) * steps), round(math.log2(high) * steps)
    levels = [2.0 ** (step / steps) for step in range(first, last + 1)]
    while levels and levels[-1] > 1 and math.fsum(levels) > most:
        levels.pop()
    return tuple(levels) if len(levels) > 1 and math.fsum(levels) <= most else ()


def _at_other_traffic(
    study: Study, plan_ids: Sequence[str], progress: Progress | None
) -> list[tuple[float, Outcome]]:
    """Return what these plans, kept as they are, do at each level of the traffic."""
    outcomes = [study.outcomes[plan_id] for plan_id in plan_ids]
    levels = levels_of(study.trace.arrival_s.size, study.tables)
    found: list[tuple[float, Outcome]] = []
    for done, level in enumerate(levels):
        if progress is not None:
            progress(done, len(levels))
        ran: Sequence[Outcome] = outcomes
        if level != 1.0:
            trace = scale_rate(study.trace, level, 0, study.tables)
            ran = simulate_plans([one.plan for one in outcomes], trace, study.tables)
        found += [(level, outcome) for outcome in ran]
    return found
