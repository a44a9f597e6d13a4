"""The lines of a bill as charges of FOCUS 1.2, for one month, in the currency of the record.

A month is that of the bill: `hours_per_month` hours of the run repeated, whatever the days of the
calendar month that the rows name. Each row is an estimate, and says so in its tags. What is
committed is bought in rows of their own, the share paid upfront among them, as in the first month
of the term; its use is billed nothing and costs what was bought. Left out: what is paid beside the
bill, as egress, support and staff.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from frontier.billing import LINES, METERED, BillBasis, PoolBasis, pool_lines
from frontier.company import NOBODY, Company
from frontier.export import neutral
from frontier.study import Study
from frontier.tables import Offer, Tables
from frontier.units import SECONDS_PER_HOUR

if TYPE_CHECKING:
    import pandas as pd

_ACCOUNT = "frontier-estimate"
_RESOURCE = "Model deployment"
_SERVERLESS, _MACHINE, _STORAGE = "Serverless Compute", "Virtual Machines", "Other (Storage)"
_GPU_HOURS = "GPU-Hours"
_DECIMALS = 12


@dataclass(frozen=True, slots=True)
class _Context:
    """What the rows of one bill have in common."""

    study: Study
    plan_id: str
    label: str
    company: Company
    period: dict[str, str]
    made_on: dt.date

    def tags(self, line: str) -> str:
        """Return the tags of a row."""
        found = {
            "frontier:line": line,
            "frontier:plan": self.plan_id,
            "frontier:basis": "simulated, not metered",
            "frontier:hours-of-month": self.study.hours_per_month,
            "frontier:made-on": self.made_on.isoformat(),
        }
        if self.company.currency.is_foreign:
            found["frontier:rate"] = self.company.currency.in_words
        return json.dumps(found, ensure_ascii=False)


def focus_table(
    study: Study,
    plan_id: str,
    *,
    made_on: dt.date,
    month: dt.date | None = None,
    company: Company = NOBODY,
) -> pd.DataFrame:
    """Return the bill of a plan as FOCUS 1.2, a row a charge.

    Parameters
    ----------
    month : date, optional
        Any day of the month that the rows are for; the one after ``made_on`` unless given.
    company : Company, optional
        Its name, currency and tax.
    """
    import pandas as pd

    outcome, tables = study.outcomes[plan_id], study.tables
    basis = study.basis(outcome)
    first = _first_of(month) if month is not None else _next(_first_of(made_on))
    start, end = (f"{day.isoformat()}T00:00:00Z" for day in (first, _next(first)))
    period = {
        "BillingPeriodStart": start,
        "BillingPeriodEnd": end,
        "ChargePeriodStart": start,
        "ChargePeriodEnd": end,
    }
    context = _Context(study, plan_id, outcome.plan.label, company, period, made_on)
    rows: list[dict[str, Any]] = []
    for pool in basis.pools:
        is_main = len(basis.pools) == 1 or not pool.is_base
        of_pool = list(_charges(context, basis, pool, is_main=is_main))
        if company.tax_rate:
            of_pool.append(_tax(context, tables.offers[pool.offer_id], of_pool))
        rows += of_pool
    names = [name for name in tables.focus_columns if name not in _LEFT_OUT]
    found = pd.DataFrame(
        [{name: row.get(name) for name in names} for row in rows], columns=names, dtype=object
    )
    rate = company.currency.per_usd
    for name in _MONEY:
        found[name] = [
            None if value is None else round(value * rate, _DECIMALS) + 0.0 for value in found[name]
        ]
    return found


_MONEY = (
    "BilledCost",
    "EffectiveCost",
    "ContractedCost",
    "ListCost",
    "ListUnitPrice",
    "ContractedUnitPrice",
)
# Of a provider that bills in the currency of its prices, reserves no capacity, and has accounts of
# one kind.
_LEFT_OUT = (
    "BillingAccountType",
    "SubAccountType",
    "CapacityReservationId",
    "CapacityReservationStatus",
    "PricingCurrency",
    "PricingCurrencyContractedUnitPrice",
    "PricingCurrencyEffectiveCost",
    "PricingCurrencyListUnitPrice",
)


def focus_csv(table: pd.DataFrame) -> bytes:
    """Return such a table as CSV: plain UTF-8, empty cells for what is not known."""

    def cell(value: Any) -> Any:
        return neutral(value) if isinstance(value, str) else value

    return table.map(cell).to_csv(index=False, lineterminator="\r\n").encode()


def _first_of(day: dt.date) -> dt.date:
    return day.replace(day=1)


def _next(first: dt.date) -> dt.date:
    return _first_of(first + dt.timedelta(days=31))


def _base(context: _Context, offer: Offer, line: str) -> dict[str, Any]:
    region = offer.region if offer.region.strip() else None
    return {
        **context.period,
        "BillingAccountId": _ACCOUNT,
        "BillingAccountName": context.company.name or None,
        "BillingCurrency": context.company.currency.code,
        "InvoiceIssuerName": offer.provider,
        "ProviderName": offer.provider,
        "PublisherName": offer.provider,
        "RegionId": region,
        "RegionName": region,
        "ServiceCategory": "Compute",
        "ServiceName": offer.product,
        "ServiceSubcategory": _SERVERLESS if offer.kind == "serverless" else _MACHINE,
        "Tags": context.tags(line),
    }


def _priced(
    context: _Context,
    offer: Offer,
    line: str,
    words: str,
    *,
    quantity: float,
    unit: str,
    price: float,
    meter: str,
    details: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return a row of what is metered, at the list price."""
    sku = f"{offer.offer_id}/{meter.lower().replace(' ', '-')}"
    cost = quantity * price
    return {
        **_base(context, offer, line),
        "BilledCost": cost,
        "ContractedCost": cost,
        "EffectiveCost": cost,
        "ListCost": cost,
        "ChargeCategory": "Usage",
        "ChargeDescription": words,
        "ChargeFrequency": "Usage-Based",
        "ConsumedQuantity": quantity,
        "ConsumedUnit": unit,
        "ContractedUnitPrice": price,
        "ListUnitPrice": price,
        "PricingCategory": "Dynamic" if offer.kind == "spot" else "Standard",
        "PricingQuantity": quantity,
        "PricingUnit": unit,
        "ResourceId": f"{offer.provider}/{context.plan_id}",
        "ResourceName": context.label,
        "ResourceType": _RESOURCE,
        "SkuId": sku,
        "SkuMeter": meter,
        "SkuPriceId": f"{sku}/{offer.priced_on.isoformat()}",
        "SkuPriceDetails": json.dumps(details) if details else None,
    }


def _charges(
    context: _Context, basis: BillBasis, pool: PoolBasis, *, is_main: bool
) -> Iterator[dict[str, Any]]:
    """Yield the charges of one pool of a bill for a month [$]."""
    tables: Tables = context.study.tables
    offer, months = tables.offers[pool.offer_id], basis.months
    gpu_h = {
        name: float(seconds) / SECONDS_PER_HOUR / months
        for name, seconds in zip(METERED, pool.meters.gpu_s.sum(axis=1), strict=True)
    }
    gpu_h["starting"] += pool.extra_start_gpu_s / SECONDS_PER_HOUR / months
    price = pool.usd_per_gpu_h * pool.multiplier
    details = {"GpuCount": 1, "x_Gpu": offer.gpu}
    committed: list[dict[str, Any]] = []
    for line, name in zip(LINES, METERED, strict=False):
        for share, is_covered in ((pool.covered_share, True), (1 - pool.covered_share, False)):
            quantity = gpu_h[name] * share
            if quantity <= 0:
                continue
            row = _priced(
                context,
                offer,
                line,
                f"{offer.product}, {offer.gpu}: {_WORDS[line]}",
                quantity=quantity,
                unit=_GPU_HOURS,
                price=price,
                meter="GPU time",
                details=details,
            )
            if is_covered and pool.discount:
                row = _committed(context, pool, row, "Used")
                committed.append(row)
            yield row
    if pool.unused_committed_gpu_s:
        row = _priced(
            context,
            offer,
            "unused commitment",
            f"{offer.product}, {offer.gpu}: {_WORDS['unused commitment']}",
            quantity=pool.unused_committed_gpu_s / SECONDS_PER_HOUR / months,
            unit=_GPU_HOURS,
            price=price,
            meter="GPU time",
            details=details,
        )
        row = _committed(context, pool, row, "Unused") | {
            "ConsumedQuantity": None,
            "ConsumedUnit": None,
        }
        committed.append(row)
        yield row
    if committed:
        yield from _purchases(context, offer, pool, committed)
    yield from _host(context, offer, pool, sum(gpu_h.values()), months)
    yield from _others(context, basis, pool, offer, is_main=is_main)


_WORDS = {
    "busy": "GPU at work",
    "idle": "GPU idle",
    "starting": "GPU of starts",
    "parked": "GPU of parked replicas",
    "rounding": "GPU rounded up to whole increments",
    "unused GPUs": "GPUs of a machine that stay unused",
    "empty nodes": "nodes with nothing on them",
    "unused commitment": "committed and not used",
}


def _committed(
    context: _Context, pool: PoolBasis, row: dict[str, Any], status: str
) -> dict[str, Any]:
    commitment = context.study.deal.commitment
    assert commitment is not None
    return row | {
        "BilledCost": 0.0,
        "EffectiveCost": row["ListCost"] * (1 - pool.discount),
        "PricingCategory": "Committed",
        "CommitmentDiscountCategory": "Usage",
        "CommitmentDiscountId": f"{commitment.commitment_id}/{pool.offer_id}",
        "CommitmentDiscountName": commitment.label,
        "CommitmentDiscountQuantity": row["PricingQuantity"],
        "CommitmentDiscountStatus": status,
        "CommitmentDiscountType": "Reserved machines",
        "CommitmentDiscountUnit": row["PricingUnit"],
    }


def _purchases(
    context: _Context, offer: Offer, pool: PoolBasis, used: list[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Yield what is paid for a commitment: what is due each month, and what upfront."""
    commitment = context.study.deal.commitment
    assert commitment is not None
    hours = sum(row["PricingQuantity"] for row in used)
    month_usd = sum(row["EffectiveCost"] for row in used)
    share, term = commitment.upfront_share or 0.0, commitment.term_months or 0
    if not term:
        share = 0.0
    parts = (
        ("Recurring", hours * (1 - share), month_usd * (1 - share), "due each month"),
        ("One-Time", hours * share * term, month_usd * share * term, "paid upfront"),
    )
    for frequency, quantity, usd, words in parts:
        if quantity <= 0:
            continue
        row = _priced(
            context,
            offer,
            "commitment",
            f"{commitment.label}, {offer.product}: {words}",
            quantity=quantity,
            unit=_GPU_HOURS,
            price=usd / quantity,
            meter="GPU commitment",
        )
        yield row | {
            "EffectiveCost": 0.0,
            "ChargeCategory": "Purchase",
            "ChargeFrequency": frequency,
            "ConsumedQuantity": None,
            "ConsumedUnit": None,
            "CommitmentDiscountCategory": "Usage",
            "CommitmentDiscountId": f"{commitment.commitment_id}/{pool.offer_id}",
            "CommitmentDiscountName": commitment.label,
            "CommitmentDiscountQuantity": quantity,
            "CommitmentDiscountType": "Reserved machines",
            "CommitmentDiscountUnit": _GPU_HOURS,
            "ResourceId": None,
            "ResourceName": None,
            "ResourceType": None,
        }


def _host(
    context: _Context, offer: Offer, pool: PoolBasis, gpu_h: float, months: float
) -> Iterator[dict[str, Any]]:
    replica_h = gpu_h * pool.replicas_per_gpu
    kept = pool.kept_ram_gib_s / SECONDS_PER_HOUR / months
    for words, meter, quantity, unit, usd in (
        ("cores", "vCPU time", replica_h * pool.vcpus, "vCPU-Hours", pool.usd_per_vcpu_h),
        (
            "memory",
            "Memory time",
            replica_h * pool.ram_gib + kept,
            "GiB-Hours",
            pool.usd_per_gib_h,
        ),
    ):
        if quantity > 0 and usd > 0:
            yield _priced(
                context,
                offer,
                "CPU and RAM",
                f"{offer.product}: {words} of the replicas",
                quantity=quantity,
                unit=unit,
                price=usd * pool.multiplier,
                meter=meter,
            )


def _others(
    context: _Context, basis: BillBasis, pool: PoolBasis, offer: Offer, *, is_main: bool
) -> Iterator[dict[str, Any]]:
    """Yield storage, fees and credit."""
    if is_main and basis.storage_gb and basis.storage_usd_per_gb_month:
        yield _priced(
            context,
            offer,
            "storage",
            f"{offer.provider}: stored throughout",
            quantity=basis.storage_gb,
            unit="GB-Months",
            price=basis.storage_usd_per_gb_month,
            meter="Storage",
        ) | {
            "ServiceCategory": "Storage",
            "ServiceName": f"{offer.provider} storage",
            "ServiceSubcategory": _STORAGE,
        }
    if is_main and basis.request_fee_usd and basis.requests:
        yield _priced(
            context,
            offer,
            "fees",
            f"{offer.product}: fee of each request",
            quantity=basis.requests / basis.months,
            unit="Requests",
            price=basis.request_fee_usd,
            meter="Requests",
        )
    if pool.fee_usd_per_month:
        yield _priced(
            context,
            offer,
            "fees",
            f"{offer.provider}: fee of its plan",
            quantity=1.0,
            unit="Months",
            price=pool.fee_usd_per_month,
            meter="Plan",
        ) | {
            "ChargeCategory": "Purchase",
            "ChargeFrequency": "Recurring",
            "ConsumedQuantity": None,
            "ConsumedUnit": None,
            "ResourceId": None,
            "ResourceName": None,
            "ResourceType": None,
        }
    credit = _credit_usd(basis, pool)
    if credit:
        yield {
            **_base(context, offer, "credits"),
            "BilledCost": -credit,
            "ContractedCost": -credit,
            "EffectiveCost": -credit,
            "ListCost": -credit,
            "ChargeCategory": "Credit",
            "ChargeDescription": f"{offer.provider}: credit that comes with its plan",
            "ChargeFrequency": "Recurring",
        }


def _credit_usd(basis: BillBasis, pool: PoolBasis) -> float:
    return -pool_lines(pool, basis.months)["credits"] / basis.months


def _tax(context: _Context, offer: Offer, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the tax on the charges of one provider."""
    rate = context.company.tax_rate
    return {
        **_base(context, offer, "tax"),
        **{
            name: rate * sum(row[name] for row in rows)
            for name in ("BilledCost", "ContractedCost", "EffectiveCost", "ListCost")
        },
        "ChargeCategory": "Tax",
        "ChargeDescription": f"Tax of {100 * rate:g} % on the charges of {offer.provider}",
        "ChargeFrequency": "Recurring",
    }
