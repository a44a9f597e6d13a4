"""The sheet of inputs: every price, quantity and choice that a person may change, in yellow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from frontier.report import Report
from frontier.units import SECONDS_PER_HOUR
from frontier.workbook.cells import Expr
from frontier.workbook.sheet import Sheet
from frontier.workbook.usage import OfferPrice, Quantities

_OFFER_ROWS = (
    ("GPU", "$ a GPU-hour", "input_money"),
    ("Your discount on the GPU", "share", "input_percent"),
    ("Core", "$ a vCPU-hour", "input_money"),
    ("Memory", "$ a GiB-hour", "input_money"),
    ("Cores billed with a replica, if not as below", "vCPU; empty: as below", "input"),
    ("Memory billed with a replica, if not as below", "GiB; empty: as below", "input"),
    ("Region and availability", "×", "input"),
    ("Fee of the provider's plan", "$ a month", "input_money"),
    ("Credit in it", "$ a month", "input_money"),
    ("Fee of a request", "$", "input_money"),
    ("Storage", "$ a GB a month", "input_money"),
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


def write_inputs(sheet: Sheet, report: Report, found: Quantities) -> Inputs:
    """Write the inputs and return where they stand."""
    basis, company = report.basis, report.company
    columns = 2 + max(len(found.prices), 1)
    sheet.widths(48, 40, *[26] * (columns - 2))
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
        sheet.section(row, words, columns)

    begin("Time and limit")
    add("span_s", "Span of the traffic that was simulated", basis.horizon_s, "s", "whole")
    add("hours_per_month", "Hours counted to a month", basis.hours_per_month, "h", "input")
    add("hours_per_year", "Hours counted to a year", report.hours_per_year, "h", "input")
    add("limit_s", "Limit on p99 time to first token", report.slo_p99_ttft_s, "s", "input")
    begin("Beside the bill (nothing until it is filled in)")
    for name, words, usd in (
        ("egress", "Egress and other network traffic", company.egress_usd_per_month),
        ("support", "Support contracts", company.support_usd_per_month),
        ("staff", "Staff (not taxed)", company.staff_usd_per_month),
    ):
        add(name, words, usd, "$ a month, for any plan", "input_money")
    add("tax_rate", "Tax on all but staff", company.tax_rate, "share", "input_percent")
    currency = company.currency
    note = f"your rate of {currency.rate_on}" if currency.is_foreign else "1 for dollars"
    add("currency_rate", f"{currency.code} for a dollar", currency.per_usd, note, "input")
    begin("Commitment of the always-on machines")
    add(
        "commitment_discount",
        "Discount on the GPU price",
        found.commitment_discount,
        "share; nothing until it is filled in",
        "input_percent",
    )
    add("term_months", "Term", found.term_months, "months", "input_whole")
    add("upfront_share", "Paid at its start", found.upfront_share, "share", "input_percent")
    begin("What if")
    add("price_band", "Prices lower and higher by", found.price_band, "share", "input_percent")
    add(
        "growth",
        "Growth of the traffic",
        found.growth_per_month,
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
    begin("Offers and their prices")
    row += 1
    sheet.text(row, 0, "Offer", "bold")
    sheet.text(row + 1, 0, "Whose price, of when")
    for place, (words, unit, _) in enumerate(_OFFER_ROWS, start=2):
        sheet.text(row + place, 0, words)
        sheet.text(row + place, 1, unit, "note")
    last = row + 2 + len(_OFFER_ROWS)
    sheet.text(last, 0, "Cores billed with a replica, as its plan needs")
    sheet.text(last, 1, "vCPU", "note")
    sheet.text(last + 1, 0, "Memory billed with a replica, as its plan needs")
    sheet.text(last + 1, 1, "GiB", "note")
    offers = {
        price.key: _write_offer(sheet, row, column, price)
        for column, price in enumerate(found.prices, start=2)
    }
    row = last + 3
    for words in (
        "Cores and memory are as much as the provider gives and takes at least, by what the model "
        "needs. A figure of yours replaces that for every plan of the offer.",
        "Which machine a plan is billed on was chosen at the prices of this file, and does not "
        "follow a changed price.",
    ):
        sheet.wide_text(row, columns - 1, words, "note")
        row += 1
    sheet.prints(row - 1, columns - 1, 0, pages=1)
    sheet.sheet.freeze_panes(1, 0)
    return Inputs(**cells, offers=offers)


def _write_offer(sheet: Sheet, row: int, column: int, price: OfferPrice) -> OfferCells:
    sheet.text(row, column, price.key, "number_head")
    sheet.text(row + 1, column, price.origin, "right")
    values: tuple[float | None, ...] = (
        price.usd_per_gpu_h,
        0.0,
        price.usd_per_vcpu_h,
        price.usd_per_gib_h,
        None,
        None,
        price.multiplier,
        price.fee_usd_per_month,
        price.credit_usd_per_month,
        price.request_fee_usd,
        price.storage_usd_per_gb_month,
    )
    cells: list[Expr] = []
    for place, (value, (_, _, style)) in enumerate(zip(values, _OFFER_ROWS, strict=True), start=2):
        if value is None:
            sheet.blank(row + place, column, style)
            cells.append(sheet.at(row + place, column, ""))
        else:
            cells.append(sheet.put(row + place, column, value, style))
    last = row + 2 + len(_OFFER_ROWS)
    for place, (least, most) in enumerate((price.vcpus, price.ram_gib)):
        words = f"{least:,.4g}" if least == most else f"{least:,.4g} to {most:,.4g}"
        sheet.text(last + place, column, words, "right")
    return OfferCells(*cells)


def own_or(own: Expr, needed: Expr) -> Expr:
    """Return the figure that a person gave, else what is needed."""
    value: Any = needed.value if own.value == "" else own.value
    return Expr(f'IF({own.text}="",{needed.text},{own.text})', value)
