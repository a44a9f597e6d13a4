"""Replica sessions to dollars, by one provider's rules, line by line.

A session is a stretch of one replica from start to off. A *meter* is what the provider counts:
serverless, each session; by the hour, each machine while any of its replicas lives (replica r
lives on machine ``r // replicas_per_machine``). A meter runs for whole increments and at least
for the minimum, and it counts every GPU of its machine, used or not. Each dollar lands on exactly
one of `LINES`, so a bill always adds up, and `bill_basis` gives the meters themselves, from
which the bill can be computed again by hand.

What is billed of a start is decided stage by stage. Seconds are billed in the order of the
stages, so a start cut off by the horizon is billed for the stages it got through.

Left out, on purpose: tax, egress, load balancers, support, staff. Spot interruptions are an
expected number of repeated starts, not a schedule: they change the cost here and not the
percentiles. Prices are today's; nothing is discounted over time.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from frontier.errors import InfeasibleError, InputError
from frontier.mitigations.base import Standing
from frontier.policy import ScalingPolicy
from frontier.start.stages import STAGES
from frontier.tables import Commitment, Offer, ProviderRules, Tables
from frontier.units import SECONDS_PER_DAY, SECONDS_PER_HOUR, TOKENS_PER_MTOK

LINES = (
    "busy",
    "idle",
    "starting",
    "parked",
    "rounding",
    "unused GPUs",
    "unused commitment",
    "CPU and RAM",
    "storage",
    "fees",
    "credits",
)
"""What a bill is made of, in this order. Only "credits" may be negative."""

GPU_LINES = LINES[:7]
"""The lines that are GPU time, and so move with the GPU price."""

METER = np.dtype(
    [
        ("base", np.bool_),
        ("machine", np.int64),
        ("gpus", np.int64),
        ("started_s", np.float64),
        ("ended_s", np.float64),
        ("busy_gpu_s", np.float64),
        ("idle_gpu_s", np.float64),
        ("starting_gpu_s", np.float64),
        ("parked_gpu_s", np.float64),
        ("rounding_gpu_s", np.float64),
        ("unused_gpu_s", np.float64),
    ]
)
"""One meter of `bill_basis`: which machine, when, and its GPU-seconds by line."""

_GPU_SECONDS = ("busy", "idle", "starting", "parked", "rounding", "unused")
# A meter reading within a nanosecond of a whole number of increments is that number: without
# this, 0.1 s steps would round up on the last bit of a float.
_SLACK_S = 1e-9


@dataclass(frozen=True, slots=True)
class Terms:
    """What the buyer chose or negotiated beyond the list price. The defaults are the list price.

    Parameters
    ----------
    multiplier : float
        Region and availability, on GPU, CPU and RAM. [1]
    commitment : Commitment or None
        A discount for machines that are paid for whether used or not; not for serverless.
    committed_machines : int or None
        How many machines are committed; None means as many as are ever up at once.
    platform_fee, free_credit : bool
        Whether this workload bears the plan's fee and uses up its credit: yes if it is alone in
        the account.
    interruptions_per_h : float
        Expected interruptions of a machine in an hour (spot), each of which repeats a start.

    Raises
    ------
    InputError
        If a value is out of range.
    """

    multiplier: float = 1.0
    commitment: Commitment | None = None
    committed_machines: int | None = None
    platform_fee: bool = True
    free_credit: bool = True
    interruptions_per_h: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.multiplier < math.inf:
            raise InputError(f"multiplier must be above 0, got {self.multiplier!r}")
        if not 0 <= self.interruptions_per_h < math.inf:
            raise InputError(
                f"interruptions_per_h must be at least 0, got {self.interruptions_per_h!r}"
            )
        if self.committed_machines is not None and self.committed_machines < 0:
            raise InputError(
                f"committed_machines must be at least 0, got {self.committed_machines!r}"
            )


LIST_PRICE = Terms()
_NO_STANDING = Standing()
_NO_METERS = np.zeros(0, dtype=METER)


@dataclass(frozen=True, slots=True)
class Bill:
    """Dollars by line over the span of a run.

    Attributes
    ----------
    usd : tuple of float
        Dollars over the span, one entry for each of `LINES`. [$]
    horizon_s : float
        The span. [s]
    billed_s : float
        Seconds on all meters, rounding included, whatever each counts by. [s]
    meters : int
        How many meters ran.
    """

    usd: tuple[float, ...]
    horizon_s: float
    billed_s: float
    meters: int

    @property
    def lines(self) -> dict[str, float]:
        """Dollars over the span by the name of the line [$]."""
        return dict(zip(LINES, self.usd, strict=True))

    @property
    def usd_span(self) -> float:
        """Dollars over the span [$]."""
        return math.fsum(self.usd)

    @property
    def is_extrapolated(self) -> bool:
        """Whether the span is shorter than a day, so that a month says more than was seen."""
        return self.horizon_s < SECONDS_PER_DAY

    def usd_per_month(self, hours_per_month: float) -> float:
        """Return dollars a month of that many hours, the span repeated [$/month]."""
        return self.usd_span / months(self.horizon_s, hours_per_month)

    def lines_per_month(self, hours_per_month: float) -> dict[str, float]:
        """Return dollars a month by the name of the line [$/month]."""
        span = months(self.horizon_s, hours_per_month)
        return {name: usd / span for name, usd in self.lines.items()}

    def usd_per_1k_requests(self, requests: int) -> float:
        """Return dollars for a thousand requests; NaN without requests [$]."""
        return self.usd_span / requests * 1e3 if requests else math.nan

    def usd_per_mtok(self, tokens: int) -> float:
        """Return dollars for a million tokens; NaN without tokens [$]."""
        return self.usd_span / tokens * TOKENS_PER_MTOK if tokens else math.nan

    def tokens_per_usd(self, tokens: int) -> float:
        """Return tokens for a dollar; NaN where nothing was paid."""
        return tokens / self.usd_span if self.usd_span > 0 else math.nan


@dataclass(frozen=True, slots=True)
class PoolBasis:
    """Prices and quantities of the replicas that share an offer.

    Attributes
    ----------
    is_base : bool
        Whether these are the pinned replicas of a hybrid plan.
    priced_on : date
        Date of the price.
    usd_per_gpu_h, cpu_ram_usd_per_gpu_h, usd_per_gib_h : float
        List price of a GPU, of the CPU and RAM that go with it, and of memory. [$/h]
    multiplier : float
        Region and availability. [1]
    discount, covered_share : float
        Discount of the commitment, and the share of the used hours that it covers. [1]
    unused_committed_gpu_s, extra_start_gpu_s : float
        GPU-seconds committed and not used; of starts, beyond the replicas' own. [s]
    kept_ram_gib_s : float
        Host memory that a mitigation keeps, times how long. [GiB s]
    fee_usd_per_month, credit_usd_per_month : float
        Of the provider's plan. [$/month]
    """

    is_base: bool
    offer_id: str
    rules_id: str
    priced_on: dt.date
    usd_per_gpu_h: float
    cpu_ram_usd_per_gpu_h: float
    multiplier: float
    discount: float
    covered_share: float
    unused_committed_gpu_s: float
    extra_start_gpu_s: float
    kept_ram_gib_s: float
    usd_per_gib_h: float
    fee_usd_per_month: float
    credit_usd_per_month: float


@dataclass(frozen=True, slots=True, eq=False)
class BillBasis:
    """All that a bill is computed from: prices, quantities, and the meters themselves.

    Attributes
    ----------
    horizon_s : float
        The span. [s]
    hours_per_month : float
        Hours counted to a month. [h]
    requests, request_fee_usd : int, float
        Requests served, and the fee of one. [$]
    storage_gb, storage_usd_per_gb_month : float
        What is stored throughout, and its price. [GB], [$/GB/month]
    pools : tuple of PoolBasis
        One, or two where pinned replicas have an offer of their own.
    meters : ndarray of dtype `METER`, read-only
    """

    horizon_s: float
    hours_per_month: float
    requests: int
    request_fee_usd: float
    storage_gb: float
    storage_usd_per_gb_month: float
    pools: tuple[PoolBasis, ...]
    meters: NDArray[np.void]

    @property
    def months(self) -> float:
        """The span in months."""
        return months(self.horizon_s, self.hours_per_month)


def months(span_s: float, hours_per_month: float) -> float:
    """Return a span in months of that many hours."""
    return span_s / (hours_per_month * SECONDS_PER_HOUR)


def bill(
    sessions: NDArray[np.void],
    stage_s: ArrayLike,
    *,
    offer: Offer,
    rules: ProviderRules,
    gpus_per_replica: int,
    horizon_s: float,
    policy: ScalingPolicy,
    tables: Tables,
    terms: Terms = LIST_PRICE,
    requests: int = 0,
    standing: Standing = _NO_STANDING,
    base_offer: Offer | None = None,
    base_rules: ProviderRules | None = None,
    base_terms: Terms = LIST_PRICE,
) -> Bill:
    """Return the bill of a run.

    Parameters
    ----------
    sessions : structured ndarray
        ``RunResult.sessions``. [s]
    stage_s : array_like, shape (m, 10)
        Seconds of each stage of each start; a session took row ``cold_start_index`` modulo m. [s]
    offer, rules, terms : Offer, ProviderRules, Terms
        Price, rules and what the buyer chose beyond them.
    gpus_per_replica : int
        GPUs that one replica needs.
    horizon_s : float
        End of the time that counts. [s]
    policy : ScalingPolicy
        The policy of the run: what parked replicas still cost, which ones are pinned, and the
        idle timeout where only half of the excess leaves at a time.
    tables : Tables
        For the settings: hours of a month, cores and memory where they are metered apart.
    requests : int
        Requests served, for a fee a request.
    standing : Standing
        What the mitigations of the plan keep or burn. Storage is paid throughout; host memory
        only where the provider meters memory.
    base_offer, base_rules, base_terms : Offer, ProviderRules, Terms
        Price, rules and terms of the pinned replicas; None means those of the others.

    Returns
    -------
    Bill

    Raises
    ------
    InputError
        If the horizon is not above 0, or base_offer comes without base_rules.
    InfeasibleError
        If a replica needs more GPUs than a machine of the offer has.
    """
    pools = _pools(
        sessions,
        stage_s,
        offer=offer,
        rules=rules,
        terms=terms,
        gpus_per_replica=gpus_per_replica,
        horizon_s=horizon_s,
        policy=policy,
        gpu_s_per_start=standing.gpu_s_per_start,
        base_offer=base_offer,
        base_rules=base_rules,
        base_terms=base_terms,
    )
    charges = _charges(pools, rules, horizon_s, requests, standing, tables)
    usd = dict.fromkeys(LINES, 0.0)
    for pool, basis in zip(pools, charges.pools, strict=True):
        for name, amount in pool_lines(basis, pool.gpu_s.sum(axis=1), charges.months).items():
            usd[name] += amount
    usd["fees"] += charges.request_fee_usd * requests
    usd["storage"] += charges.storage_gb * charges.storage_usd_per_gb_month * charges.months
    return Bill(
        usd=tuple(usd.values()),
        horizon_s=horizon_s,
        billed_s=math.fsum(float(pool.gpu_s.sum()) / pool.gpus for pool in pools),
        meters=sum(pool.machine.size for pool in pools),
    )


def bill_basis(
    sessions: NDArray[np.void],
    stage_s: ArrayLike,
    *,
    tables: Tables,
    rules: ProviderRules,
    horizon_s: float,
    requests: int = 0,
    standing: Standing = _NO_STANDING,
    **conditions: Any,
) -> BillBasis:
    """Return what a bill is computed from, meter by meter, so that it can be computed by hand.

    The parameters are those of `bill`, to the letter; ``conditions`` are the ones not named here.
    """
    pools = _pools(
        sessions,
        stage_s,
        rules=rules,
        horizon_s=horizon_s,
        gpu_s_per_start=standing.gpu_s_per_start,
        **conditions,
    )
    meters = np.zeros(sum(pool.machine.size for pool in pools), dtype=METER)
    first = 0
    for pool in pools:
        part = meters[first : first + pool.machine.size]
        first += pool.machine.size
        part["base"] = pool.is_base
        part["machine"] = pool.machine
        part["gpus"] = pool.gpus
        part["started_s"] = pool.started_s
        part["ended_s"] = pool.ended_s
        for name, seconds in zip(_GPU_SECONDS, pool.gpu_s, strict=True):
            part[f"{name}_gpu_s"] = seconds
    meters.setflags(write=False)
    charges = _charges(pools, rules, horizon_s, requests, standing, tables)
    return dataclasses.replace(charges, meters=meters)


def pool_lines(
    basis: PoolBasis, gpu_s: NDArray[np.float64], span_months: float
) -> dict[str, float]:
    """Return the dollars of one pool by line [$].

    Parameters
    ----------
    basis : PoolBasis
    gpu_s : ndarray, shape (6,)
        GPU-seconds on its meters: busy, idle, starting, parked, rounding, unused. [s]
    span_months : float
        The span in months, for fees and credits.
    """
    list_usd_per_gpu_s = basis.usd_per_gpu_h * basis.multiplier / SECONDS_PER_HOUR
    usd_per_gpu_s = list_usd_per_gpu_s * (1 - basis.discount * basis.covered_share)
    usd = dict(zip(GPU_LINES, (gpu_s * usd_per_gpu_s).tolist(), strict=False))
    usd["starting"] += basis.extra_start_gpu_s * usd_per_gpu_s
    usd["unused commitment"] = (
        basis.unused_committed_gpu_s * list_usd_per_gpu_s * (1 - basis.discount)
    )
    billed_gpu_s = float(gpu_s.sum()) + basis.extra_start_gpu_s
    usd["CPU and RAM"] = (
        (billed_gpu_s * basis.cpu_ram_usd_per_gpu_h + basis.kept_ram_gib_s * basis.usd_per_gib_h)
        * basis.multiplier
        / SECONDS_PER_HOUR
    )
    used = math.fsum(usd.values())
    usd["fees"] = basis.fee_usd_per_month * span_months
    usd["credits"] = -min(basis.credit_usd_per_month * span_months, used)
    return usd


def machine_shape(offer: Offer, gpus_per_replica: int) -> tuple[int, int]:
    """Return (GPUs of the machine, replicas that share it) for a replica of that many GPUs.

    Any count from ``gpus_min`` to ``gpus_max`` is sold. A serverless machine serves one replica;
    one paid by the hour holds as many as fit.

    Raises
    ------
    InfeasibleError
        If no machine of the offer has that many GPUs.
    """
    if gpus_per_replica < 1:
        raise InputError(f"gpus_per_replica must be at least 1, got {gpus_per_replica!r}")
    if gpus_per_replica > offer.gpus_max:
        raise InfeasibleError(
            f"A replica needs {gpus_per_replica} GPUs, and a machine of {offer.offer_id} has "
            f"at most {offer.gpus_max}"
        )
    gpus = max(offer.gpus_min, gpus_per_replica)
    return gpus, 1 if offer.kind == "serverless" else gpus // gpus_per_replica


def replica_usd_per_h(
    offer: Offer,
    *,
    gpus_per_replica: int,
    tables: Tables,
    terms: Terms = LIST_PRICE,
    replicas: int = 1,
) -> float:
    """Return the price of one held replica for an hour, all meters included [$/h].

    GPUs of the machine that stay unused count, so it falls as ``replicas`` fill a machine. A
    commitment's discount counts, fees and credits do not.
    """
    gpus, per_machine = machine_shape(offer, gpus_per_replica)
    machines = math.ceil(replicas / per_machine)
    gpu_usd_per_h = offer.usd_per_gpu_h * terms.multiplier
    if terms.commitment is not None and offer.kind != "serverless":
        gpu_usd_per_h *= 1 - terms.commitment.discount
    cpu_ram_usd_per_h = _cpu_ram_usd_per_gpu_h(offer, tables) * terms.multiplier
    return machines * gpus * (gpu_usd_per_h + cpu_ram_usd_per_h) / replicas


def billed_start_s(stage_s: ArrayLike, rules: ProviderRules) -> NDArray[np.float64]:
    """Return the billed seconds of whole starts [s].

    Parameters
    ----------
    stage_s : array_like, shape (m, 10)
        Seconds of each stage. [s]

    Returns
    -------
    ndarray, shape (m,)
    """
    return np.atleast_2d(np.asarray(stage_s, dtype=np.float64)) @ _stage_flags(rules)


@dataclass(frozen=True, slots=True)
class CommitmentFacts:
    """What a commitment binds to, beside what it costs in the bill.

    Attributes
    ----------
    committed_usd, upfront_usd : float
        Dollars of the whole term, and of its start. NaN where the term or share is not stated.
    effective_usd_per_used_h : float
        Committed dollars over the machine-hours really used; infinite if none was. [$/h]
    break_even_utilisation : float
        Share of the committed hours that must be used for it to beat the hourly price. [1]
    payback_months : float
        Months of saving until the upfront part is earned back; infinite if it never is.
    """

    committed_usd: float
    upfront_usd: float
    effective_usd_per_used_h: float
    break_even_utilisation: float
    payback_months: float


def commitment_facts(
    offer: Offer,
    commitment: Commitment,
    *,
    machines: int,
    gpus_per_machine: int,
    used_share: float,
    hours_per_month: float,
) -> CommitmentFacts:
    """Return what ``machines`` committed machines bind to when that share of hours is used.

    Without the commitment, the used hours would be bought at the hourly price; the saving of a
    month is that less the committed price, and break-even is where it is zero.
    """
    list_usd_per_h = offer.usd_per_gpu_h * gpus_per_machine * machines
    committed_usd_per_h = list_usd_per_h * (1 - commitment.discount)
    term_months = math.nan if commitment.term_months is None else commitment.term_months
    share = math.nan if commitment.upfront_share is None else commitment.upfront_share
    committed_usd = committed_usd_per_h * hours_per_month * term_months
    saved_usd_per_month = (list_usd_per_h * used_share - committed_usd_per_h) * hours_per_month
    # What was paid upfront is not paid again by the month.
    upfront_usd = committed_usd * share
    monthly_relief = upfront_usd / term_months if term_months else 0.0
    relief = saved_usd_per_month + monthly_relief
    payback = 0.0 if upfront_usd == 0 else upfront_usd / relief if relief > 0 else math.inf
    return CommitmentFacts(
        committed_usd=committed_usd,
        upfront_usd=upfront_usd,
        effective_usd_per_used_h=(
            committed_usd_per_h / machines / used_share if used_share > 0 else math.inf
        ),
        break_even_utilisation=1 - commitment.discount,
        payback_months=payback,
    )


@dataclass(frozen=True, slots=True)
class TokenPrice:
    """Price of a per-token API, the reference point beside the plans [$ a million tokens].

    ``usd_per_mtok_cached`` is the price of an input token found in the provider's cache.
    """

    usd_per_mtok_input: float
    usd_per_mtok_output: float
    usd_per_mtok_cached: float | None = None

    def usd(
        self, prompt_tokens: ArrayLike, output_tokens: ArrayLike, cached_share: float = 0.0
    ) -> float:
        """Return the dollars of these requests, that share of input tokens being cached [$].

        Raises
        ------
        InputError
            If a price is negative, or a share of cached tokens comes without their price.
        """
        prices = (self.usd_per_mtok_input, self.usd_per_mtok_output, self.usd_per_mtok_cached or 0)
        if min(prices) < 0 or not all(map(math.isfinite, prices)):
            raise InputError(f"a price of a token must be a number of at least 0, got {prices}")
        if not 0 <= cached_share <= 1:
            raise InputError(f"cached_share must be from 0 to 1, got {cached_share!r}")
        if cached_share > 0 and self.usd_per_mtok_cached is None:
            raise InputError("a share of cached tokens needs the price of a cached token")
        prompts = float(np.sum(prompt_tokens, dtype=np.float64))
        outputs = float(np.sum(output_tokens, dtype=np.float64))
        per_prompt = (
            self.usd_per_mtok_input * (1 - cached_share)
            + (self.usd_per_mtok_cached or 0.0) * cached_share
        )
        return (prompts * per_prompt + outputs * self.usd_per_mtok_output) / TOKENS_PER_MTOK


@dataclass(frozen=True, slots=True)
class _Pool:
    """The meters of the replicas that share an offer. ``gpu_s`` is (6, meters)."""

    is_base: bool
    offer: Offer
    rules: ProviderRules
    terms: Terms
    gpus: int
    machine: NDArray[np.int64]
    started_s: NDArray[np.float64]
    ended_s: NDArray[np.float64]
    gpu_s: NDArray[np.float64]
    extra_start_gpu_s: float
    held_s: float


def _pools(
    sessions: NDArray[np.void],
    stage_s: ArrayLike,
    *,
    offer: Offer,
    rules: ProviderRules,
    gpus_per_replica: int,
    horizon_s: float,
    policy: ScalingPolicy,
    terms: Terms = LIST_PRICE,
    gpu_s_per_start: float = 0.0,
    base_offer: Offer | None = None,
    base_rules: ProviderRules | None = None,
    base_terms: Terms = LIST_PRICE,
) -> list[_Pool]:
    """Return the meters of each pool of replicas: those of the offer, and the pinned ones."""
    if not 0 < horizon_s < math.inf:
        raise InputError(f"horizon_s must be a finite time above 0, got {horizon_s!r}")
    stage_s = np.atleast_2d(np.asarray(stage_s, dtype=np.float64))
    if stage_s.shape[1] != len(STAGES) or not stage_s.size:
        raise InputError(f"stage_s must have {len(STAGES)} columns, got {stage_s.shape}")

    def pool(
        part: NDArray[np.void], is_base: bool, offer: Offer, rules: ProviderRules, terms: Terms
    ) -> _Pool:
        return _meter(
            part,
            stage_s,
            is_base=is_base,
            offer=offer,
            rules=rules,
            terms=terms,
            gpus_per_replica=gpus_per_replica,
            horizon_s=horizon_s,
            policy=policy,
            gpu_s_per_start=gpu_s_per_start,
        )

    if base_offer is None or not policy.pinned_replicas:
        return [pool(sessions, False, offer, rules, terms)]
    if base_rules is None:
        raise InputError("a base_offer needs its base_rules")
    pinned = sessions["replica"] < policy.pinned_replicas
    return [
        pool(sessions[~pinned], False, offer, rules, terms),
        pool(sessions[pinned], True, base_offer, base_rules, base_terms),
    ]


def _meter(
    sessions: NDArray[np.void],
    stage_s: NDArray[np.float64],
    *,
    is_base: bool,
    offer: Offer,
    rules: ProviderRules,
    terms: Terms,
    gpus_per_replica: int,
    horizon_s: float,
    policy: ScalingPolicy,
    gpu_s_per_start: float,
) -> _Pool:
    """Return the meters of one pool: seconds of its sessions by line, rounded and on machines."""
    gpus, per_machine = machine_shape(offer, gpus_per_replica)
    started = sessions["started_s"]
    ended = np.minimum(sessions["ended_s"], horizon_s)
    starting = sessions["starting_s"]
    billed_start = _billed_of_starts(sessions["cold_start_index"], starting, stage_s, rules)
    busy = sessions["busy_s"]
    idle = sessions["idle_s"]
    parked = sessions["parked_s"] @ np.array([tier.held_fraction for tier in policy.parked])
    held_s = float(starting.sum() + busy.sum() + idle.sum() + sessions["parked_s"].sum())
    if rules.scale_down_rule == "half_per_window" and 0 < policy.idle_timeout_s < math.inf:
        extra = _half_per_window_s(sessions, policy.idle_timeout_s, horizon_s)
        idle = idle + extra
        ended = ended + extra
    if not rules.bills_idle:
        idle = np.zeros_like(idle)
    starts = int(np.count_nonzero(sessions["cold_start_index"] >= 0))
    extra_start_gpu_s = starts * gpu_s_per_start

    if offer.kind == "serverless":
        machine = sessions["replica"].astype(np.int64)
        clock = billed_start + busy + idle
        idle = idle * rules.idle_rate_factor
        paid = billed_start + busy + idle + parked
        unused = (gpus - gpus_per_replica) * paid
    else:
        # The machine is paid for from its first billed second until its last replica is off.
        begun = started + (starting - billed_start)
        alive = begun < ended
        host = sessions["replica"] // per_machine
        machine, began, ended, member = _merge(host, begun, ended, alive)
        started = began
        clock = ended - began

        def per_meter(seconds: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.bincount(member, seconds[alive], machine.size) if member.size else clock

        billed_start, busy, idle, parked = map(per_meter, (billed_start, busy, idle, parked))
        used = gpus_per_replica * (billed_start + busy + idle + parked)
        unused = np.maximum(gpus * clock - used, 0.0)

    increments = np.ceil(clock / rules.increment_s - _SLACK_S)
    rounding = np.maximum(increments * rules.increment_s, rules.minimum_s) - clock
    # What runs from end to end of the observed time runs on when the month repeats it: its meter
    # is not read in between, so nothing is rounded.
    endless = (started <= 0) & (ended >= horizon_s)
    rounding = np.where((clock > 0) & ~endless, np.maximum(rounding, 0.0), 0.0)
    gpu_s = np.stack(
        [
            gpus_per_replica * busy,
            gpus_per_replica * idle,
            gpus_per_replica * billed_start,
            gpus_per_replica * parked,
            gpus * rounding,
            unused,
        ]
    )
    if terms.interruptions_per_h and sessions.size:
        # Expected number of interruptions times the machine-seconds of a mean billed start.
        repeated = terms.interruptions_per_h / SECONDS_PER_HOUR * float(clock.sum())
        extra_start_gpu_s += repeated * float(billed_start_s(stage_s, rules).mean()) * gpus
    return _Pool(
        is_base=is_base,
        offer=offer,
        rules=rules,
        terms=terms,
        gpus=gpus,
        machine=machine,
        started_s=started,
        ended_s=ended,
        gpu_s=gpu_s,
        extra_start_gpu_s=extra_start_gpu_s,
        held_s=held_s,
    )


def _charges(
    pools: list[_Pool],
    rules: ProviderRules,
    horizon_s: float,
    requests: int,
    standing: Standing,
    tables: Tables,
) -> BillBasis:
    """Return the prices and quantities that turn the meters of these pools into dollars."""
    storage_usd = rules.storage_usd_per_gb_month
    if storage_usd is None:
        storage_usd = tables.setting("storage_usd_per_gb_month")
    charged_plans: set[str] = set()
    bases = []
    for pool in pools:
        offer, terms = pool.offer, pool.terms
        # A plan is charged, and its credit used up, once.
        fresh = pool.rules.rules_id not in charged_plans
        charged_plans.add(pool.rules.rules_id)
        discount, covered_share, unused_gpu_s = 0.0, 0.0, 0.0
        if terms.commitment is not None and offer.kind != "serverless":
            covered_s, used_s, committed_s = _coverage(pool, horizon_s)
            discount = terms.commitment.discount
            covered_share = covered_s / used_s if used_s else 1.0
            unused_gpu_s = (committed_s - covered_s) * pool.gpus
        bases.append(
            PoolBasis(
                is_base=pool.is_base,
                offer_id=offer.offer_id,
                rules_id=pool.rules.rules_id,
                priced_on=offer.priced_on,
                usd_per_gpu_h=offer.usd_per_gpu_h,
                cpu_ram_usd_per_gpu_h=_cpu_ram_usd_per_gpu_h(offer, tables),
                multiplier=terms.multiplier,
                discount=discount,
                covered_share=covered_share,
                unused_committed_gpu_s=unused_gpu_s,
                extra_start_gpu_s=pool.extra_start_gpu_s,
                kept_ram_gib_s=standing.host_ram_gib * pool.held_s,
                usd_per_gib_h=(offer.usd_per_gib_s or 0.0) * SECONDS_PER_HOUR,
                fee_usd_per_month=(
                    pool.rules.platform_fee_usd_month if fresh and terms.platform_fee else 0.0
                ),
                credit_usd_per_month=(
                    pool.rules.free_credit_usd_month if fresh and terms.free_credit else 0.0
                ),
            )
        )
    return BillBasis(
        horizon_s=horizon_s,
        hours_per_month=tables.setting("hours_per_month"),
        requests=requests,
        request_fee_usd=rules.request_fee_usd,
        storage_gb=standing.storage_gb,
        storage_usd_per_gb_month=storage_usd,
        pools=tuple(bases),
        meters=_NO_METERS,
    )


def _coverage(pool: _Pool, horizon_s: float) -> tuple[float, float, float]:
    """Return machine-seconds covered by the commitment, used, and committed."""
    times = np.concatenate([pool.started_s, pool.ended_s])
    steps = np.concatenate([np.ones(pool.started_s.size), -np.ones(pool.ended_s.size)])
    # Ends before starts at one instant, so that a machine handed over counts once.
    order = np.lexsort((steps, times))
    up = np.cumsum(steps[order])[:-1]
    lasting = np.diff(times[order])
    if pool.terms.committed_machines is not None:
        committed = pool.terms.committed_machines
    else:
        committed = int(up.max()) if up.size else 0
    covered = float(np.minimum(up, committed) @ lasting) if up.size else 0.0
    used = float(up @ lasting) if up.size else 0.0
    return covered, used, committed * horizon_s


def _cpu_ram_usd_per_gpu_h(offer: Offer, tables: Tables) -> float:
    """Return the price of the CPU and RAM that go with a GPU, where they are metered [$/h]."""
    usd_per_s = 0.0
    for usd, quantity, setting in (
        (offer.usd_per_vcpu_s, offer.vcpus_per_gpu, "vcpus_per_gpu"),
        (offer.usd_per_gib_s, offer.ram_gib_per_gpu, "ram_gib_per_gpu"),
    ):
        if usd:
            usd_per_s += usd * (tables.setting(setting) if quantity is None else quantity)
    return usd_per_s * SECONDS_PER_HOUR


def _stage_flags(rules: ProviderRules) -> NDArray[np.float64]:
    return np.array([getattr(rules, f"bills_{stage}") for stage in STAGES], dtype=np.float64)


def _billed_of_starts(
    index: NDArray[np.integer],
    starting_s: NDArray[np.float64],
    stage_s: NDArray[np.float64],
    rules: ProviderRules,
) -> NDArray[np.float64]:
    """Return the billed part of each session's starting seconds [s].

    What exceeds the start itself is resumes, and a resume is billed like the load that it is.
    """
    flags = _stage_flags(rules)
    if flags.all():
        return starting_s
    row = index % len(stage_s)
    total = np.where(index >= 0, stage_s.sum(axis=1)[row], 0.0)
    billed = np.where(index >= 0, (stage_s @ flags)[row], 0.0)
    cut = starting_s < total - _SLACK_S
    if cut.any():
        stages = stage_s[row[cut]]
        before = np.cumsum(stages, axis=1) - stages
        billed[cut] = np.clip(starting_s[cut, None] - before, 0.0, stages) @ flags
    resumes = np.where(cut, 0.0, np.maximum(starting_s - total, 0.0))
    return np.minimum(billed + resumes * float(rules.bills_load), starting_s)


def _half_per_window_s(
    sessions: NDArray[np.void], window_s: float, horizon_s: float
) -> NDArray[np.float64]:
    """Return the extra idle seconds where only half of the excess leaves each window [s].

    Releases less than a window apart are one burst. Of a burst of m, ``ceil(m / 2)`` leave with
    the first, half of the rest a window later, and so on: the one that q others follow leaves
    ``floor(log2(m / (q + 1)))`` windows after the first. None stays longer than until its replica
    starts again or the horizon ends.
    """
    extra = np.zeros(sessions.size)
    released = np.flatnonzero(sessions["ended_s"] < horizon_s)
    if released.size < 2:
        return extra
    released = released[np.argsort(sessions["ended_s"][released], kind="stable")]
    off = sessions["ended_s"][released]
    fresh = np.concatenate([[True], np.diff(off) >= window_s])
    first = np.flatnonzero(fresh)
    burst = np.cumsum(fresh) - 1
    size = np.diff(np.append(first, released.size))[burst]
    followers = size - 1 - (np.arange(released.size) - first[burst])
    windows = np.floor(np.log2(size / (followers + 1)))
    leaves = off[first][burst] + windows * window_s

    again = np.full(sessions.size, horizon_s)
    order = np.lexsort((sessions["started_s"], sessions["replica"]))
    same = np.flatnonzero(np.diff(sessions["replica"][order]) == 0)
    again[order[same]] = sessions["started_s"][order[same + 1]]
    until = np.minimum(leaves, np.minimum(again[released], horizon_s))
    extra[released] = np.maximum(until - off, 0.0)
    return extra


def _merge(
    machine: NDArray[np.integer],
    started: NDArray[np.float64],
    ended: NDArray[np.float64],
    alive: NDArray[np.bool_],
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], NDArray[np.intp]]:
    """Return the stretches in which a machine is up, and the stretch of each live session."""
    machine, started, ended = machine[alive].astype(np.int64), started[alive], ended[alive]
    if not machine.size:
        return machine, started, ended, np.empty(0, dtype=np.intp)
    order = np.lexsort((started, machine))
    host, begin, end = machine[order], started[order], ended[order]
    # Shifted by machine, one running maximum finds the latest end within each machine.
    shift = host * (float(end.max()) - float(begin.min()) + 1.0)
    latest = np.maximum.accumulate(end + shift)
    fresh = np.concatenate([[True], begin[1:] + shift[1:] > latest[:-1] + 1e-6])
    first = np.flatnonzero(fresh)
    member = np.empty(order.size, dtype=np.intp)
    member[order] = np.cumsum(fresh) - 1
    return host[first], begin[first], np.maximum.reduceat(end, first), member
