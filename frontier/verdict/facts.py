"""What a verdict holds: frozen facts with their units, and no sentence of its own.

`find` takes them from outcomes and bills, `words` makes sentences of them.
"""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass

from frontier import hourly, spell
from frontier.plans.families import DEDICATED, FAMILIES, HYBRID, RESERVED, SCHEDULED
from frontier.ranges import Ranges
from frontier.sweep import TokenApi


@dataclass(frozen=True, slots=True)
class Machines:
    """The machines that are always on in a plan, as they are billed.

    Attributes
    ----------
    offer_id : str
        Of the shape that was chosen: it may be another one than the plan's.
    provider, product, gpu : str
        Of that offer.
    count, gpus_each : int
        Machines, and GPUs of each.
    gpus_used : int
        GPUs of all of them that a replica runs on.
    """

    offer_id: str
    provider: str
    product: str
    gpu: str
    count: int
    gpus_each: int
    gpus_used: int

    @property
    def gpus_unused(self) -> int:
        """GPUs that are paid for and used by nobody."""
        return self.count * self.gpus_each - self.gpus_used

    def __str__(self) -> str:
        """Return the machines in words: "1 × p5.48xlarge, 6 of 8 GPUs unused"."""
        words = f"{self.count} × {self.product}"
        if self.gpus_unused:
            words += f", {self.gpus_unused} of {self.count * self.gpus_each} GPUs unused"
        return words


@dataclass(frozen=True, slots=True)
class PlanFacts:
    """What the verdict says of one plan: hardware, policy, money, waits.

    Attributes
    ----------
    plan_id, label, detail, family : str
        As in the frontier table.
    vendor, product, gpu, kind : str
        Of the offer that bills it, in the shape that costs least: kind is serverless, dedicated,
        reserved or spot. A hybrid's are those of its base, and ``overflow_vendor`` is set.
    offer_id : str
        That offer.
    gpus_per_replica : int
    kept, most : int
        Replicas that are always kept, and the most there may be.
    machines : Machines or None
        Those that are always on.
    usd_per_month : float
        [$/month]
    usd_per_h : float
        [$/h]
    usd_by_line : tuple of (str, float)
        Dollars a month by `billing.LINES`; they add up. [$/month]
    p99_ttft_s : float
        Infinite where more than one request in a hundred is refused. [s]
    waiting_of_thousand : int
        Requests of 1,000 that wait on a start.
    typical_wait_s : float
        Median TTFT of those. [s]
    over_of_thousand : int
        Requests of 1,000 whose TTFT breaks the limit, rounded up; refused ones among them.
    refused_of_thousand : int
        Requests of 1,000 that are refused, rounded up.
    billed_replicas, busy_replicas : float
        Replicas billed, and busy, on average. [1]
    priced_on : tuple of (str, date)
        Vendor and date of each price in it.
    needed : int
        Replicas that the busiest minute keeps busy.
    up_share : float
        Share of the time that each of its machines is up: below 1 on spot. [1]
    is_provider_default, is_committed : bool
    """

    plan_id: str
    label: str
    detail: str
    family: str
    vendor: str
    product: str
    gpu: str
    kind: str
    overflow_vendor: str
    offer_id: str
    gpus_per_replica: int
    kept: int
    most: int
    machines: Machines | None
    usd_per_month: float
    usd_per_h: float
    usd_by_line: tuple[tuple[str, float], ...]
    p99_ttft_s: float
    waiting_of_thousand: int
    typical_wait_s: float
    over_of_thousand: int
    refused_of_thousand: int
    billed_replicas: float
    busy_replicas: float
    priced_on: tuple[tuple[str, dt.date], ...]
    needed: int
    up_share: float
    is_provider_default: bool
    is_committed: bool

    @property
    def is_always_on(self) -> bool:
        """Whether its replicas run whatever happens: no start, no interruption."""
        return self.kept == self.most and self.kind != "spot"

    @property
    def is_capped(self) -> bool:
        """Whether it may have fewer replicas than the busiest minute keeps busy."""
        return self.kept < self.most < self.needed

    @property
    def hardware(self) -> str:
        """Its GPUs in words: "1 × L40S", "up to 4 × H100-SXM-80GB"."""
        count = self.gpus_per_replica * (self.kept if self.kept == self.most else self.most)
        return f"{'' if self.kept == self.most else 'up to '}{count} × {self.gpu}"

    @property
    def policy(self) -> str:
        """Its policy in words: "always-on", "scale-to-zero, keep-alive 1 min"."""
        family = FAMILIES[self.family]
        if self.kept == self.most and family in (DEDICATED, RESERVED):
            words = "always-on"
            if self.kind == "spot":
                words = f"on spot, each machine up {spell.percent(self.up_share)} of the time"
            return f"{words}, under your commitment" if self.is_committed else words
        if family is HYBRID:
            return f"{self.kept} always-on, overflow to {self.overflow_vendor}, {self.detail}"
        if family is SCHEDULED:
            return self.detail
        head = family.head_of(self.kept)
        return f"{spell.lower_first(head)}, {self.detail}"


@dataclass(frozen=True, slots=True)
class Saving:
    """What the difference of two bills is made of; the parts add up to it. [$/month].

    Attributes
    ----------
    usd : float
        First bill less second: below 0 the first saves.
    hours_usd : float
        More (or fewer) billed GPU-hours, at the second one's price.
    price_usd : float
        A dearer (or cheaper) GPU-hour, for the hours of the first.
    unused_gpus_usd, cpu_ram_usd, others_usd : float
        Unused GPUs and unused commitment; cores and memory; storage, fees and credits.
    """

    usd: float
    hours_usd: float
    price_usd: float
    unused_gpus_usd: float
    cpu_ram_usd: float
    others_usd: float

    @property
    def parts(self) -> dict[str, float]:
        """The parts by name, the largest first. [$/month]."""
        named = {
            "GPU-hours": self.hours_usd,
            "price of a GPU-hour": self.price_usd,
            "unused GPUs": self.unused_gpus_usd,
            "cores and memory": self.cpu_ram_usd,
            "storage, fees and credits": self.others_usd,
        }
        return dict(sorted(named.items(), key=lambda item: -abs(item[1])))


@dataclass(frozen=True, slots=True)
class WaitingCost:
    """What the plan within the limit costs more than scale-to-zero, for each request it spares.

    ``usd_per_month`` more [$/month], ``spared_per_month`` fewer requests over the limit [1/month],
    ``usd_each`` [$]; infinite where it spares none.
    """

    usd_per_month: float
    spared_per_month: float
    usd_each: float


@dataclass(frozen=True, slots=True)
class Utilisation:
    """How much of its time the always-on rival is busy and scale-to-zero billed, and may be.

    Attributes
    ----------
    replicas : int
        Of the rival: all shares are of the time of all of them. A share may exceed 1, where
        scale-to-zero spreads over more replicas than the rival has.
    billed : float
        Of scale-to-zero on this traffic. [1]
    busy : float
        Of the rival itself on this traffic: in which its replicas have a request. [1]
    break_even_billed : float
        Above it the rival is the cheaper plan, at the prices of these two bills. [1]
    break_even_busy : float
        The same as a busy share, if busy and billed time keep the ratio of this traffic. [1]
    rule_of_thumb : tuple of float
        The busy share from which folklore goes always-on, lowest and highest. [1]
    """

    replicas: int
    billed: float
    busy: float
    break_even_billed: float
    break_even_busy: float
    rule_of_thumb: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Commitment:
    """What the commitment of a plan binds to. NaN where term or upfront share is not stated."""

    plan_id: str
    machines: int
    committed_usd: float
    term_months: int | None
    upfront_usd: float
    payback_months: float
    break_even_utilisation: float


@dataclass(frozen=True, slots=True)
class Tipping:
    """The value of one thing at which another plan becomes the cheapest within the limit.

    Attributes
    ----------
    what : {"limit", "price"}
        The limit on p99 TTFT [s], or the GPU price alone of the winner's offer [$/GPU-h].
    value, now : float
        There, and as it is.
    plan : PlanFacts
        Which plan wins from there on.
    """

    what: str
    value: float
    now: float
    plan: PlanFacts


@dataclass(frozen=True, slots=True)
class RateCrossing:
    """A request rate at which the two rivals cost the same, and its uncertainty [1/day]."""

    at_per_day: float
    low_per_day: float
    high_per_day: float
    rival_wins_above: bool


@dataclass(frozen=True, slots=True)
class BreakEvenRate:
    """Where scale-to-zero and its always-on rival cost the same over the request rate.

    Attributes
    ----------
    requests_per_day : float
        Of this traffic.
    low_per_day, high_per_day : float
        The rates that were looked at; the upper one ends where scale-to-zero hits its cap.
    crossings : tuple of RateCrossing
        Empty: one of the two is cheaper over all of it.
    rival_wins_now : bool
        Whether the rival is the cheaper one at this traffic.
    capped_from_per_day : float or None
        From here on scale-to-zero may not have the replicas that the traffic needs.
    """

    requests_per_day: float
    low_per_day: float
    high_per_day: float
    crossings: tuple[RateCrossing, ...]
    rival_wins_now: bool
    capped_from_per_day: float | None


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why no plan holds the limit, and what would.

    Attributes
    ----------
    prompt_s : float
        99th percentile of what a prompt takes alone on the faster of the two offers' replicas.
        [s]
    gpus : tuple of str
        GPUs with an offer on which that holds the limit, slowest first.
    precisions : tuple of str
        Precisions that would, on the same GPU.
    reachable_s : float
        The least p99 of any plan: a limit that could be held; infinite where all refuse. [s]
    """

    prompt_s: float
    gpus: tuple[str, ...]
    precisions: tuple[str, ...]
    reachable_s: float


@dataclass(frozen=True, slots=True)
class TooLong:
    """Requests that a server of the model refuses or cuts short: they exceed its context.

    Attributes
    ----------
    requests, of : int
        So many, of all that were simulated.
    longest_tokens : int
        Prompt and answer of the longest. [tokens]
    context_tokens : int
        What the model holds. [tokens]
    model : str
    """

    requests: int
    of: int
    longest_tokens: int
    context_tokens: int
    model: str

    @property
    def decide(self) -> bool:
        """Whether they are more than one in a hundred: the p99 may be theirs."""
        return self.requests > self.of / 100


@dataclass(frozen=True, slots=True)
class Verdict:
    """What wins under the limit, at what price, against what, and what would change it.

    Attributes
    ----------
    limit_s : float
        On p99 TTFT. [s]
    requests_per_day, span_s : float
        Of the traffic, and how long it was seen. [1/day], [s]
    cheapest_within : PlanFacts or None
        The cheapest plan within the limit; None where no plan holds it.
    cheapest : PlanFacts or None
        The cheapest of all that keep up with the traffic; None where every plan refuses too much.
    fastest : PlanFacts or None
        The cheapest of those that are as fast as any, within the tolerance.
    shipped : PlanFacts or None
        Scale-to-zero as the provider ships it.
    rival : PlanFacts or None
        The cheapest plan of machines that are kept, within the limit; else of those as fast as
        any of them.
    saving : Saving or None
        Of scale-to-zero as shipped against the rival.
    waiting : WaitingCost or None
        Of the cheapest within the limit against scale-to-zero as shipped.
    utilisation : Utilisation or None
    commitment : Commitment or None
        Of the winner, else of the rival.
    tippings : tuple of Tipping
    obstacle : Obstacle or None
        Where no plan holds the limit.
    break_even : BreakEvenRate or None
        None until it is computed, which takes more simulations.
    hangs : tuple of str
        How often the answer stands over all that is not known for sure, and what settles it, a
        sentence each; empty until it is computed.
    luck : Ranges or None
        How far plans may lie from their figures by the luck of traffic and starts.
    sure, maybe : PlanFacts or None
        The cheapest plan that surely holds the limit; the cheapest of those that miss it, cost
        less than the winner and may hold it. From those with a range.
    few_beyond : int or None
        Requests beyond the p99 where they are few enough to say so.
    too_long : TooLong or None
        Requests that exceed the context of the model, where there are any.
    hours_per_month : float
        [h]
    counted_s : float or None
        What requests were counted over, if they were. [s]
    api, api_usd_per_month : TokenApi or None, float
        The reader's per-token API, and what a month of this traffic costs there [$]. It is no
        plan, so it never wins.
    answer, beside, below : str
        The answer in one sentence, what stands beside it, and the line under both.
    reasons : tuple of str
        What the facts above come to, a sentence each.
    """

    limit_s: float
    requests_per_day: float
    span_s: float
    cheapest_within: PlanFacts | None
    cheapest: PlanFacts | None
    fastest: PlanFacts | None
    shipped: PlanFacts | None
    rival: PlanFacts | None
    saving: Saving | None = None
    waiting: WaitingCost | None = None
    utilisation: Utilisation | None = None
    commitment: Commitment | None = None
    tippings: tuple[Tipping, ...] = ()
    obstacle: Obstacle | None = None
    break_even: BreakEvenRate | None = None
    hangs: tuple[str, ...] = ()
    luck: Ranges | None = None
    sure: PlanFacts | None = None
    maybe: PlanFacts | None = None
    few_beyond: int | None = None
    too_long: TooLong | None = None
    hours_per_month: float = math.nan
    counted_s: float | None = None
    api: TokenApi | None = None
    api_usd_per_month: float = math.nan
    answer: str = ""
    beside: str = ""
    below: str = ""
    reasons: tuple[str, ...] = ()

    @property
    def is_short(self) -> bool:
        """Whether less than a day was seen, so that a month would say more than is known."""
        return hourly.is_short(self.span_s)

    @property
    def headline(self) -> str:
        """The answer and what stands beside it, as one line."""
        return f"{self.answer} {self.beside}".strip()

    def marked(self) -> dict[str, str]:
        """Return the plans to name on the chart, with the words to use."""
        kept = "spot" if self.rival is not None and self.rival.kind == "spot" else "always-on"
        words = (
            (self.shipped, "provider's default"),
            (self.rival, kept),
            (self.cheapest_within, "cheapest under the limit"),
        )
        return {plan.plan_id: text for plan, text in words if plan is not None}
