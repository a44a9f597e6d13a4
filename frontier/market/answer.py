"""What the market comes to: facts, and the sentences that say them and nothing more.

Offers that bind for a term (reserved) and machines that can be taken away (spot) are ranked like
all others, and are never the answer: it is the cheapest offer on demand, and what would be cheaper
otherwise is said beside it.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from frontier import hourly, spell
from frontier.market.rows import Choice, Market, Row
from frontier.ranges import Range
from frontier.sweep import TokenApi
from frontier.tables import OWN_SOURCE

ON_DEMAND = ("serverless", "dedicated")
"""Kinds of offers that bind nobody and are not taken away."""


@dataclass(frozen=True, slots=True)
class Pick:
    """One offer with one of its plans.

    Attributes
    ----------
    policy : str
        The plan in words.
    kept, most : int
        Replicas that are always kept, and the most there may be.
    usd_per_month : float
        [$/month]
    p99_ttft_s : float
        [s]
    waited_share : float
        Requests that waited on a start. [1]
    community : bool
        Whether the machines belong to third parties.
    priced_on : date
        Of the price.
    is_own : bool
        Whether the price is the reader's own.
    """

    offer_id: str
    provider: str
    product: str
    kind: str
    gpu: str
    gpus_per_replica: int
    plan_id: str
    policy: str
    family: str
    kept: int
    most: int
    usd_per_month: float
    p99_ttft_s: float
    waited_share: float
    community: bool
    priced_on: dt.date
    staleness: str
    is_own: bool = False

    @property
    def where(self) -> str:
        """Offer and GPUs of a replica in words: "Crusoe L40S, 1 × L40S"."""
        words = f"{self.provider} {self.product}, {self.gpus_per_replica} × {self.gpu}"
        if self.community:
            words += ", on community hosts"
        return f"{words}, your price" if self.is_own else words


@dataclass(frozen=True, slots=True)
class ColdFacts:
    """How often scale-to-zero goes cold, at one offer and idle timeout.

    Attributes
    ----------
    pick : Pick
        A plan of the family scale-to-zero.
    idle_timeout_s, longest_gap_s : float
        Its idle timeout; the longest time without an arrival. [s]
    starts : int
        Cold starts over the trace.
    """

    pick: Pick
    idle_timeout_s: float
    longest_gap_s: float
    starts: int

    @property
    def never_cold(self) -> bool:
        """Whether a replica is up from the first request to the last: no gap outlasts it."""
        return self.longest_gap_s <= self.idle_timeout_s


@dataclass(frozen=True, slots=True)
class MarketAnswer:
    """What wins on the market under the limit, and what else somebody may want to know.

    Attributes
    ----------
    limit_s, span_s : float
        On p99 TTFT; how long the traffic was seen. [s]
    counted_s : float or None
        What requests were counted over, if they were. [s]
    offers, able, holding : int
        Offers that were looked at, that can run the model, and that hold the limit.
    on_demand : int
        Of the last, those that are neither reserved nor spot.
    best : Pick or None
        The cheapest of those.
    elsewhere : Pick or None
        The cheapest of those of any other provider.
    bound, spot : Pick or None
        The cheapest reserved and the cheapest spot offer that hold the limit, if they cost less.
    cheapest, fastest : Pick or None
        Of the plans on demand that keep up, whatever they wait; and whatever they cost.
    scale_to_zero : ColdFacts or None
        The cheapest scale-to-zero within the limit, else of those that keep up with the traffic.
    usd_range, p99_range : Range or None
        Of the best plan, by the luck of traffic and starts; None until `sure.with_range`.
        [$/month], [s]
    uncertain : str
        How few requests lie beyond a p99; empty where they are many or that was not asked.
    """

    limit_s: float
    span_s: float
    offers: int
    able: int
    holding: int
    on_demand: int
    best: Pick | None
    elsewhere: Pick | None
    bound: Pick | None
    spot: Pick | None
    cheapest: Pick | None
    fastest: Pick | None
    scale_to_zero: ColdFacts | None
    counted_s: float | None = None
    usd_range: Range | None = None
    p99_range: Range | None = None
    uncertain: str = ""

    @property
    def is_short(self) -> bool:
        """Whether less than a day was seen, so that a month would say more than is known."""
        return hourly.is_short(self.span_s)


def pick_of(row: Row, choice: Choice) -> Pick:
    """Return the facts of a plan of an offer."""
    offer, plan = row.offer, choice.plan
    return Pick(
        offer_id=offer.offer_id,
        provider=offer.provider,
        product=offer.product,
        kind=offer.kind,
        gpu=offer.gpu,
        gpus_per_replica=choice.gpus,
        plan_id=plan.plan_id,
        policy=choice.policy,
        family=plan.family.key,
        kept=plan.policy.min_replicas,
        most=plan.policy.max_replicas,
        usd_per_month=choice.usd_per_month,
        p99_ttft_s=choice.p99_s,
        waited_share=choice.latency.waited_on_start_share,
        community=row.community,
        priced_on=offer.priced_on,
        staleness=row.staleness,
        is_own=offer.source_id == OWN_SOURCE,
    )


def answer_of(market: Market) -> MarketAnswer:
    """Return what a market comes to."""
    holding = market.holding
    firm = [row for row in holding if row.offer.kind in ON_DEMAND]
    best = _first(firm)
    others = [] if best is None else [row for row in firm if row.offer.provider != best.provider]

    def cheaper(kind: str) -> Pick | None:
        found = _first(row for row in holding if row.offer.kind == kind)
        if found is None or (best is not None and found.usd_per_month >= best.usd_per_month):
            return None
        return found

    able = [row for row in market.able if row.offer.kind in ON_DEMAND]
    cheapest = [(row, row.cheapest) for row in able if row.cheapest is not None]
    fastest = [(row, row.fastest) for row in able if row.fastest is not None]
    return MarketAnswer(
        limit_s=market.limit_s,
        span_s=market.trace.horizon_s,
        offers=len(market.rows),
        able=len(market.able),
        holding=len(holding),
        on_demand=len(firm),
        best=best,
        elsewhere=_first(others),
        bound=cheaper("reserved"),
        spot=cheaper("spot"),
        cheapest=pick_of(*min(cheapest, key=lambda pair: pair[1].usd_per_month))
        if cheapest
        else None,
        fastest=pick_of(*min(fastest, key=lambda pair: (pair[1].p99_s, pair[1].usd_per_month)))
        if fastest
        else None,
        scale_to_zero=_cold(market, able),
        counted_s=market.trace.report.bucket_s,
    )


def _first(rows: Iterable[Row]) -> Pick | None:
    return next((pick_of(row, row.best) for row in rows if row.best is not None), None)


def _cold(market: Market, rows: Iterable[Row]) -> ColdFacts | None:
    found = [
        (row.zero.p99_s > market.limit_s, row.zero.usd_per_month, row, row.zero)
        for row in rows
        # What is served after the bill ends costs less than it would: nothing is the cheapest.
        if row.zero is not None and row.zero.p99_s <= market.trace.horizon_s
    ]
    if not found:
        return None
    _, _, row, choice = min(found, key=lambda item: item[:2])
    arrivals = market.trace.arrival_s
    return ColdFacts(
        pick=pick_of(row, choice),
        idle_timeout_s=choice.plan.policy.idle_timeout_s,
        longest_gap_s=float(np.diff(arrivals).max(initial=0.0)),
        starts=choice.tried.starts,
    )


def cost_of(answer: MarketAnswer, pick: Pick, hours_per_month: float) -> str:
    """Return what a plan costs in words: a month, or an hour where less than a day was seen."""
    if answer.is_short:
        return f"{spell.dollars(pick.usd_per_month / hours_per_month)} an hour"
    return f"{spell.dollars(pick.usd_per_month)} a month"


def in_hours(answer: MarketAnswer, hours_per_month: float) -> str:
    """Return how an hour here and a month in charts agree, and what waits do not know."""
    best = answer.best
    picks = (best, answer.cheapest)
    month = hourly.against_month(
        answer.span_s,
        hours_per_month,
        None if best is None else best.usd_per_month,
        of="" if best is None else best.where,
        waits_s=(pick.p99_ttft_s for pick in picks if pick is not None),
    )
    return f"{month} {hourly.how_spread(answer.counted_s)}".strip()


def beside_api(
    answer: MarketAnswer, api: TokenApi, usd_per_month: float, hours_per_month: float
) -> str:
    """Return what a per-token API costs beside the answer.

    Parameters
    ----------
    usd_per_month : float
        Of this traffic there. [$/month]
    """
    part = 1 / hours_per_month if answer.is_short else 1.0
    best = answer.best
    return api.in_words(
        usd_per_month * part,
        "an hour" if answer.is_short else "a month",
        None if best is None else best.usd_per_month * part,
        answer.limit_s,
    )


def _cost_of_best(answer: MarketAnswer, best: Pick, hours_per_month: float) -> str:
    """Return what the best plan costs in words: its range where that is known."""
    usd = answer.usd_range
    if usd is None:
        return cost_of(answer, best, hours_per_month)
    part = 1 / hours_per_month if answer.is_short else 1.0
    per = "an hour" if answer.is_short else "a month"
    return f"{spell.dollars_between(usd.low * part, usd.high * part)} {per}"


def headline(answer: MarketAnswer, hours_per_month: float, noun: str = "offer") -> str:
    """Return the answer as one sentence; ``noun`` is what the offers looked at are called."""
    limit = spell.seconds(answer.limit_s)
    if not answer.able:
        return f"None of {spell.count(answer.offers, noun)} can run this model."
    if answer.best is None:
        words = f"None of {spell.count(answer.offers, noun)} holds p99 ≤ {limit}"
        if answer.holding:
            words += " on demand"
        if answer.fastest is None or not math.isfinite(answer.fastest.p99_ttft_s):
            return f"{words}."
        at = spell.seconds(answer.fastest.p99_ttft_s)
        return f"{words}: the fastest, {answer.fastest.where}, reaches {at}."
    apart = " (spot and reserved apart)" if answer.holding > answer.on_demand else ""
    who = (
        f"The only {noun}{apart} that holds"
        if answer.on_demand == 1
        else f"Cheapest of {spell.count(answer.on_demand, noun)}{apart} that hold"
    )
    what = f"{answer.best.where}, {answer.best.policy}"
    cost = _cost_of_best(answer, answer.best, hours_per_month)
    p99_s = answer.p99_range
    if p99_s is not None and p99_s.crosses(answer.limit_s):
        return (
            f"Not sure: {spell.lower_first(who)} p99 ≤ {limit} here, {what}, {cost}, would not "
            f"always hold it ({spell.seconds_between(p99_s.low, p99_s.high)})."
        )
    return f"{who} p99 ≤ {limit}: {what}, {cost}."


def sentences(answer: MarketAnswer, hours_per_month: float) -> tuple[str, ...]:
    """Return what else there is to say, a sentence each; every one can be read off the table."""

    def at(pick: Pick) -> str:
        return (
            f"{pick.where}, {pick.policy}, {cost_of(answer, pick, hours_per_month)} at a p99 of "
            f"{spell.seconds(pick.p99_ttft_s)}"
        )

    said = []
    if answer.best is not None:
        p99_s = answer.p99_range
        wait = (
            spell.seconds(answer.best.p99_ttft_s)
            if p99_s is None
            else spell.seconds_between(p99_s.low, p99_s.high)
        )
        said.append(
            f"{answer.best.where}: p99 {wait}; "
            f"{spell.percent(answer.best.waited_share)} of requests wait on a start."
            + ("" if answer.best.is_own else f" Its price is of {answer.best.priced_on}.")
        )
    if answer.elsewhere is not None:
        said.append(f"Cheapest of the other providers: {at(answer.elsewhere)}.")
    if answer.bound is not None:
        said.append(f"Bound for a term it would be less: {at(answer.bound)}.")
    if answer.spot is not None:
        said.append(
            f"On spot machines it would be less: {at(answer.spot)}. They can be taken away, which "
            "is in the cost and in the waits."
        )
    if answer.scale_to_zero is not None:
        said.append(_cold_in_words(answer, answer.scale_to_zero, hours_per_month))
    misses = answer.able - answer.holding
    said.append(
        f"Looked at {spell.count(answer.offers, 'offer')}: {answer.holding:,} hold the limit, "
        f"{misses:,} can run the model and miss it, {answer.offers - answer.able:,} cannot run it."
    )
    if answer.usd_range is not None:
        said.append("Ranges are for the luck of traffic and starts; figures without one have none.")
    if answer.uncertain:
        said.append(answer.uncertain)
    return tuple(said)


def _cold_in_words(answer: MarketAnswer, cold: ColdFacts, hours_per_month: float) -> str:
    keep, gap = spell.seconds(cold.idle_timeout_s), spell.seconds(cold.longest_gap_s)
    where = f"{cold.pick.provider} {cold.pick.product}, {cold.pick.gpu}"
    cost = cost_of(answer, cold.pick, hours_per_month)
    holds = cold.pick.p99_ttft_s <= answer.limit_s
    words = (
        f"Cheapest scale-to-zero that {'holds it' if holds else 'keeps up'}: {where}, {cost} at a "
        f"p99 of {spell.seconds(cold.pick.p99_ttft_s)}."
    )
    if cold.never_cold:
        return f"{words} It never goes cold at {keep} after its first request: longest gap {gap}."
    return (
        f"{words} At {keep} it starts cold {spell.count(cold.starts, 'time')} in "
        f"{spell.seconds(answer.span_s)}: longest gap {gap}."
    )
