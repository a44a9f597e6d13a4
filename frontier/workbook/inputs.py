"""The sheet of inputs: every price, quantity and choice that a person may change, in yellow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from frontier.report import Report
from frontier.units import SECONDS_PER_HOUR
from frontier.workbook.cells import Expr
from frontier.workbook.sheet import Sheet
from frontier.workbook.usage import OfferPrice, Quantities

_OFFER_HEADS = (
    "Offer",
    "Whose price, of when",
    "GPU [$ a GPU-hour]",
    "Your discount on it",
    "Core [$ a vCPU-hour]",
    "Memory [$ a GiB-hour]",
    "Cores of a replica: yours (empty: as needed)",
    "Memory of a replica [GiB]: yours (empty: as needed)",
    "Region and availability [×]",
    "Fee of the provider's plan [$ a month]",
    "Credit in it [$ a month]",
    "Fee of a request [$]",
    "Storage [$ a GB a month]",
    "Cores as needed",
    "Memory as needed [GiB]",
)


@dataclass(frozen=True, slots=True)
class OfferCells:
    """Where the prices of an offer stand."""

    gpu: Expr
    discount: Expr
    vcpu: Expr
    gib: Expr
    own_vcpus: Expr
    own_ram_gib: Expr
    multiplier: Expr
    fee: Expr
    credit: Expr
    request_fee: Expr
    storage: Expr


@dataclass(frozen=True, slots=True)
class Inputs:
    """Where the inputs stand, by what they are."""

    span_s: Expr
    hours_per_month: Expr
    hours_per_year: Expr
    limit_s: Expr
    egress: Expr
    support: Expr
    staff: Expr
    tax_rate: Expr
    currency_rate: Expr
    price_band: Expr
    commitment_discount: Expr
    term_months: Expr
    upfront_share: Expr
    growth: Expr
    span_months: Expr
    year_scale: Expr
    offers: dict[str, OfferCells]


def write_inputs(
    sheet: Sheet, report: Report, found: Quantities, assumed: dict[str, float]
) -> Inputs:
    """Write the inputs and return where they stand."""
    basis, currency = report.basis, report.currency
    sheet.widths(44, 40, *[13] * (len(_OFFER_HEADS) - 2))
    sheet.text(0, 0, "Inputs: change what is yellow, and every sheet follows", "title")
    cells: dict[str, Expr] = {}
    row = 1

    def add(name: str, words: str, value: float, unit: str, style: str) -> None:
        nonlocal row
        row += 1
        sheet.text(row, 0, words)
        sheet.text(row, 1, unit, "note")
        sheet.put(row, 2, value, style)
        cells[name] = sheet.name_cell(name, row, 2, value)

    def begin(words: str) -> None:
        nonlocal row
        row += 1
        sheet.section(row, words, 3)

    begin("Time and limit")
    add("span_s", "Span of the traffic that was simulated", basis.horizon_s, "s", "whole")
    add("hours_per_month", "Hours counted to a month", basis.hours_per_month, "h", "input")
    add("hours_per_year", "Hours counted to a year", assumed["hours_per_year"], "h", "input")
    add("limit_s", "Limit on p99 time to first token", report.slo_p99_ttft_s, "s", "input")
    begin("Beside the bill (nothing until it is filled in)")
    for name, words in (
        ("egress", "Egress and other network traffic"),
        ("support", "Support contracts"),
        ("staff", "Staff (not taxed)"),
    ):
        add(name, words, assumed[name], "$ a month, for any plan", "input_money")
    add("tax_rate", "Tax on all but staff", assumed["tax_rate"], "share", "input_percent")
    code = "USD" if currency is None else currency.code
    note = "1 for dollars" if currency is None else f"your rate of {currency.rate_on}"
    rate = 1.0 if currency is None else currency.per_usd
    add("currency_rate", f"{code} for a dollar", rate, note, "input")
    begin("Commitment of the always-on machines")
    add(
        "commitment_discount",
        "Discount on the GPU price",
        assumed["commitment_discount"],
        "share; nothing until it is filled in",
        "input_percent",
    )
    add("term_months", "Term", assumed["term_months"], "months", "input_whole")
    add("upfront_share", "Paid at its start", assumed["upfront_share"], "share", "input_percent")
    begin("What if")
    add("price_band", "Prices lower and higher by", assumed["price_band"], "share", "input_percent")
    add(
        "growth",
        "Growth of the traffic",
        assumed["growth"],
        "share, from each month to the next",
        "input_percent",
    )
    begin("Follows from these")
    row += 1
    span_months = cells["span_s"] / (cells["hours_per_month"] * SECONDS_PER_HOUR)
    sheet.text(row, 0, "Span in months")
    sheet.put(row, 2, span_months, "fine")
    cells["span_months"] = sheet.name_cell("span_months", row, 2, span_months.value)
    row += 1
    scale = cells["hours_per_year"] / 12 / cells["hours_per_month"]
    sheet.text(row, 0, "A twelfth of a year over a month")
    sheet.put(row, 2, scale, "fine")
    cells["year_scale"] = sheet.name_cell("year_scale", row, 2, scale.value)
    row += 2
    sheet.section(row, "Offers and their prices", len(_OFFER_HEADS))
    row += 1
    sheet.heads(row, _OFFER_HEADS, numbers_from=2)
    offers = {}
    for price in found.prices:
        row += 1
        offers[price.key] = _write_offer(sheet, row, price)
    row += 2
    sheet.text(
        row,
        0,
        "Cores and memory are billed as much as the provider gives and takes at least, by what the "
        "model needs: a figure of yours replaces that for every plan of the offer. Which machine a "
        "plan is billed on was chosen at the prices of this file and does not follow a price.",
        "line",
    )
    sheet.prints(row, len(_OFFER_HEADS) - 1, 0)
    sheet.sheet.freeze_panes(1, 0)
    return Inputs(**cells, offers=offers)


def _write_offer(sheet: Sheet, row: int, price: OfferPrice) -> OfferCells:
    sheet.text(row, 0, price.key)
    sheet.text(row, 1, price.origin, "note")
    values: tuple[tuple[float | str, str], ...] = (
        (price.usd_per_gpu_h, "input_money"),
        (0.0, "input_percent"),
        (price.usd_per_vcpu_h, "input_money"),
        (price.usd_per_gib_h, "input_money"),
        ("", "input"),
        ("", "input"),
        (price.multiplier, "input"),
        (price.fee_usd_per_month, "input_money"),
        (price.credit_usd_per_month, "input_money"),
        (price.request_fee_usd, "input_money"),
        (price.storage_usd_per_gb_month, "input_money"),
    )
    cells: list[Expr] = []
    for column, (value, style) in enumerate(values, start=2):
        if value == "":
            sheet.blank(row, column, style)
            cells.append(sheet.at(row, column, ""))
        else:
            cells.append(sheet.put(row, column, value, style))
    for column, (least, most) in enumerate((price.vcpus, price.ram_gib), start=13):
        words = f"{least:,.4g}" if least == most else f"{least:,.4g} to {most:,.4g}"
        sheet.text(row, column, words, "right")
    return OfferCells(*cells)


def own_or(own: Expr, needed: Expr) -> Expr:
    """Return the figure that a person gave, else what is needed."""
    value: Any = needed.value if own.value == "" else own.value
    return Expr(f'IF({own.text}="",{needed.text},{own.text})', value)

