"""Billed seconds to dollars, line by line.

`bill_basis` gathers what a bill is computed from, the meters themselves among it, and `bill` is
the price of such a basis. Each dollar lands on exactly one of `LINES`, so a bill always adds up,
and can be computed again by hand.

Left out, on purpose: tax, egress, load balancers, support, staff. Prices are today's; nothing is
discounted over time.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from frontier.billing.host import HostNeed, HostShare, host_billed
from frontier.billing.meters import METERED, Meters, Usage, coverage, machine_shape, read_meters
from frontier.billing.terms import LIST_PRICE, Contract, Terms
from frontier.tables import Offer, Tables
from frontier.units import SECONDS_PER_DAY, SECONDS_PER_HOUR, TOKENS_PER_MTOK

LINES = (
    "busy",
    "idle",
    "starting",
    "parked",
    "rounding",
    "unused GPUs",
    "empty nodes",
    "unused commitment",
    "CPU and RAM",
    "storage",
    "fees",
    "credits",
)
"""What a bill is made of, in this order. Only "credits" may be negative."""

GPU_LINES = LINES[:8]
"""The lines that are GPU time, and so move with the GPU price."""

_NOTHING = 1e-12

METER = np.dtype(
    [
        ("base", np.bool_),
        ("machine", np.int64),
        ("gpus", np.int64),
        ("started_s", np.float64),
        ("ended_s", np.float64),
        *((f"{name}_gpu_s", np.float64) for name in METERED),
    ]
)
"""One meter of `BillBasis.meters`: which machine, when, and its GPU-seconds by line."""


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
        total = math.fsum(self.usd)
        # A credit that covers all that was used leaves nothing, not the last bits of a float.
        return 0.0 if abs(total) <= _NOTHING * math.fsum(map(abs, self.usd)) else total

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


@dataclass(frozen=True, slots=True, eq=False)
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
        Host memory that a mitigation keeps beside that of a replica, times how long. [GiB s]
    vcpus, ram_gib : float
        Cores and host memory billed with each replica; 0 where none are metered. [vCPU], [GiB]
    usd_per_vcpu_h : float
        List price of a core. [$/h]
    replicas_per_gpu : float
        Replicas that a machine holds over its GPUs: so many cores and memories go with a GPU. [1]
    fee_usd_per_month, credit_usd_per_month : float
        Of the provider's plan. [$/month]
    meters : Meters
        What was metered.
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
    vcpus: float
    ram_gib: float
    usd_per_vcpu_h: float
    replicas_per_gpu: float
    meters: Meters


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
    """

    horizon_s: float
    hours_per_month: float
    requests: int
    request_fee_usd: float
    storage_gb: float
    storage_usd_per_gb_month: float
    pools: tuple[PoolBasis, ...]

    @property
    def months(self) -> float:
        """The span in months."""
        return months(self.horizon_s, self.hours_per_month)

    @property
    def meters(self) -> NDArray[np.void]:
        """Every meter as a row of dtype `METER`, read-only."""
        table = np.zeros(sum(pool.meters.machine.size for pool in self.pools), dtype=METER)
        first = 0
        for pool in self.pools:
            meters = pool.meters
            part = table[first : first + meters.machine.size]
            first += meters.machine.size
            part["base"] = pool.is_base
            part["machine"] = meters.machine
            part["gpus"] = meters.gpus
            part["started_s"] = meters.started_s
            part["ended_s"] = meters.ended_s
            for name, seconds in zip(METERED, meters.gpu_s, strict=True):
                part[f"{name}_gpu_s"] = seconds
        table.setflags(write=False)
        return table


def months(span_s: float, hours_per_month: float) -> float:
    """Return a span in months of that many hours."""
    return span_s / (hours_per_month * SECONDS_PER_HOUR)


def bill(basis: BillBasis) -> Bill:
    """Return the price of a basis."""
    usd = dict.fromkeys(LINES, 0.0)
    for pool in basis.pools:
        for name, amount in pool_lines(pool, basis.months).items():
            usd[name] += amount
    usd["fees"] += basis.request_fee_usd * basis.requests
    usd["storage"] += basis.storage_gb * basis.storage_usd_per_gb_month * basis.months
    meters = [pool.meters for pool in basis.pools]
    return Bill(
        usd=tuple(usd.values()),
        horizon_s=basis.horizon_s,
        billed_s=math.fsum(float(part.gpu_s.sum()) / part.gpus for part in meters),
        meters=sum(part.machine.size for part in meters),
    )


def usd_of_runs(
    basis: BillBasis,
    *,
    gpu_s: NDArray[np.float64],
    kept_ram_gib_s: NDArray[np.float64],
    storage_gb: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return what many runs cost over the span under the contract of one of them [$].

    The total of `bill`, from what they hold alone, for runs whose replicas take as much of a host.

    Parameters
    ----------
    basis : BillBasis
        Of any of them: one pool, no commitment.
    gpu_s, kept_ram_gib_s, storage_gb : ndarray, shape (n,)
        GPU-seconds of all lines; host memory kept; what is stored. [s], [GiB s], [GB]
    """
    (pool,) = basis.pools
    usd_per_gpu_h = pool.usd_per_gpu_h + pool.cpu_ram_usd_per_gpu_h
    used = (
        (gpu_s * usd_per_gpu_h + kept_ram_gib_s * pool.usd_per_gib_h)
        * pool.multiplier
        / SECONDS_PER_HOUR
    )
    months = basis.months
    fees = pool.fee_usd_per_month * months + basis.request_fee_usd * basis.requests
    storage = storage_gb * basis.storage_usd_per_gb_month * months
    return used - np.minimum(pool.credit_usd_per_month * months, used) + fees + storage


def bill_basis(
    usage: Usage, contract: Contract, tables: Tables, meters: Sequence[Meters] | None = None
) -> BillBasis:
    """Return what the bill of a run is computed from.

    Parameters
    ----------
    usage : Usage
    contract : Contract
        Its base, if it has one, is that of the pinned replicas. Storage and the fee of a request
        are those of the contract itself.
    tables : Tables
        For the settings: hours of a month; cores, memory and storage where the price list is
        silent on them.
    meters : sequence of Meters, optional
        What was read before under a contract with the same `metering_key`, and is not read again;
        that of pinned replicas last.

    Raises
    ------
    InfeasibleError
        If a replica needs more GPUs than a machine of an offer has.
    """
    rules, standing = contract.rules, usage.standing
    storage_usd = rules.storage_usd_per_gb_month
    if storage_usd is None:
        storage_usd = tables.setting("storage_usd_per_gb_month")
    charged_plans: set[str] = set()
    pools = []
    parts = read_meters(usage, contract) if meters is None else _parts(contract, meters)
    for part, read in parts:
        # A plan is charged, and its credit used up, once.
        is_charged = part.rules.rules_id not in charged_plans
        charged_plans.add(part.rules.rules_id)
        pools.append(
            _pool_basis(
                part,
                read,
                is_base=part is contract.base,
                is_charged=is_charged,
                usage=usage,
                tables=tables,
            )
        )
    return BillBasis(
        horizon_s=usage.horizon_s,
        hours_per_month=tables.setting("hours_per_month"),
        requests=usage.requests,
        request_fee_usd=rules.request_fee_usd,
        storage_gb=standing.storage_gb,
        storage_usd_per_gb_month=storage_usd,
        pools=tuple(pools),
    )


def _parts(contract: Contract, meters: Sequence[Meters]) -> tuple[tuple[Contract, Meters], ...]:
    contracts = (contract,) if contract.base is None else (contract, contract.base)
    return tuple(zip(contracts, meters, strict=False))


def _pool_basis(
    contract: Contract,
    meters: Meters,
    *,
    is_base: bool,
    is_charged: bool,
    usage: Usage,
    tables: Tables,
) -> PoolBasis:
    offer, rules, terms = contract.offer, contract.rules, contract.terms
    need = usage.host or HostNeed(usage.gpus_per_replica)
    host = host_billed(offer, rules, terms.host, need, tables)
    discount, covered_share, unused_gpu_s = 0.0, 0.0, 0.0
    if contract.commitment is not None:
        covered_s, used_s, committed_s = coverage(meters, terms.committed_machines, usage.horizon_s)
        discount = contract.commitment.discount
        covered_share = covered_s / used_s if used_s else 1.0
        unused_gpu_s = (committed_s - covered_s) * meters.gpus
    return PoolBasis(
        is_base=is_base,
        offer_id=offer.offer_id,
        rules_id=rules.rules_id,
        priced_on=offer.priced_on,
        usd_per_gpu_h=offer.usd_per_gpu_h,
        cpu_ram_usd_per_gpu_h=_cpu_ram_usd_per_gpu_h(offer, host, usage.gpus_per_replica),
        multiplier=terms.multiplier,
        discount=discount,
        covered_share=covered_share,
        unused_committed_gpu_s=unused_gpu_s,
        extra_start_gpu_s=meters.extra_start_gpu_s,
        kept_ram_gib_s=usage.standing.host_ram_gib * meters.held_s,
        usd_per_gib_h=(offer.usd_per_gib_s or 0.0) * SECONDS_PER_HOUR,
        fee_usd_per_month=(
            rules.platform_fee_usd_month if is_charged and terms.platform_fee else 0.0
        ),
        credit_usd_per_month=(
            rules.free_credit_usd_month if is_charged and terms.free_credit else 0.0
        ),
        vcpus=host.vcpus,
        ram_gib=host.ram_gib,
        usd_per_vcpu_h=(offer.usd_per_vcpu_s or 0.0) * SECONDS_PER_HOUR,
        replicas_per_gpu=_replicas_per_gpu(offer, usage.gpus_per_replica),
        meters=meters,
    )


def pool_lines(pool: PoolBasis, span_months: float) -> dict[str, float]:
    """Return the dollars of one pool by line over a span of so many months [$]."""
    gpu_s = pool.meters.gpu_s.sum(axis=1)
    list_usd_per_gpu_s = pool.usd_per_gpu_h * pool.multiplier / SECONDS_PER_HOUR
    usd_per_gpu_s = list_usd_per_gpu_s * (1 - pool.discount * pool.covered_share)
    usd = dict(zip(GPU_LINES, (gpu_s * usd_per_gpu_s).tolist(), strict=False))
    usd["starting"] += pool.extra_start_gpu_s * usd_per_gpu_s
    usd["unused commitment"] = (
        pool.unused_committed_gpu_s * list_usd_per_gpu_s * (1 - pool.discount)
    )
    billed_gpu_s = float(gpu_s.sum()) + pool.extra_start_gpu_s
    usd["CPU and RAM"] = (
        (billed_gpu_s * pool.cpu_ram_usd_per_gpu_h + pool.kept_ram_gib_s * pool.usd_per_gib_h)
        * pool.multiplier
        / SECONDS_PER_HOUR
    )
    used = math.fsum(usd.values())
    usd["fees"] = pool.fee_usd_per_month * span_months
    usd["credits"] = -min(pool.credit_usd_per_month * span_months, used)
    return usd


def replica_usd_per_h(
    offer: Offer,
    *,
    gpus_per_replica: int,
    tables: Tables,
    terms: Terms = LIST_PRICE,
    replicas: int = 1,
    need: HostNeed | None = None,
) -> float:
    """Return the price of one held replica for an hour, all meters included [$/h].

    GPUs of the machine that stay unused count, so it falls as ``replicas`` fill a machine. A
    commitment's discount counts, fees and credits do not. Without a ``need``, cores and memory
    are those of an engine on that many GPUs.
    """
    gpus, per_machine = machine_shape(offer, gpus_per_replica)
    machines = math.ceil(replicas / per_machine)
    gpu_usd_per_h = offer.usd_per_gpu_h * terms.multiplier
    if terms.commitment is not None and offer.kind != "serverless":
        gpu_usd_per_h *= 1 - terms.commitment.discount
    need = need or HostNeed(gpus_per_replica)
    host = host_billed(offer, tables.rules_of(offer), terms.host, need, tables)
    cpu_ram_usd_per_h = _cpu_ram_usd_per_gpu_h(offer, host, gpus_per_replica) * terms.multiplier
    return machines * gpus * (gpu_usd_per_h + cpu_ram_usd_per_h) / replicas


def _cpu_ram_usd_per_gpu_h(offer: Offer, host: HostShare, gpus_per_replica: int) -> float:
    """Return the price of the cores and memory that go with a GPU, where they are metered [$/h].

    A machine that several replicas share has the cores and memory of each of them.
    """
    return host.usd_per_h(offer) * _replicas_per_gpu(offer, gpus_per_replica)


def _replicas_per_gpu(offer: Offer, gpus_per_replica: int) -> float:
    """Return how many replicas a machine of an offer holds over its GPUs [1]."""
    gpus, per_machine = machine_shape(offer, gpus_per_replica)
    return per_machine / gpus
