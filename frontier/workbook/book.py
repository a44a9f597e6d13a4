"""The workbook that computes: prices and quantities as cells, and every dollar a formula over them.

An analyst changes a yellow cell and every figure follows: the headline, the list of plans, the
plans side by side, the bill, the cash flow of a commitment, growth. The value computed here is
stored beside each formula, for viewers that do not compute. Text that came from a user is always
text, never a formula. Nothing but what `usage` says is simulated here, and bills are the study's.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from frontier import spell
from frontier.billing import LINES, METERED, BillBasis
from frontier.report import Report
from frontier.scope import INCLUDED
from frontier.workbook.cells import Expr, number, ratio
from frontier.workbook.inputs import Inputs, write_inputs
from frontier.workbook.outlook import (
    Levels,
    write_commitment,
    write_growth,
    write_sensitivity,
)
from frontier.workbook.plans import write_options, write_plans
from frontier.workbook.quantities import Metered, PoolCells, write_quantities
from frontier.workbook.sheet import STYLES, Sheet
from frontier.workbook.usage import PlanUsage, Quantities

if TYPE_CHECKING:
    import pandas as pd

_BOOK_OPTIONS = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
_SHEETS = (
    "Options",
    "Bill",
    "Inputs",
    "Plans",
    "Lines",
    "Commitment",
    "Growth",
    "Sensitivity",
    "Usage",
    "Traffic",
    "Meters",
    "Assumptions",
    "Sources",
)
_METER_FIRST, _METER_HEAD = 3, 2


def workbook(report: Report, quantities: Quantities) -> bytes:
    """Return an .xlsx workbook of a report: Options, Bill, Inputs, Plans, what may come, sources.

    Parameters
    ----------
    quantities : Quantities
        What each plan uses, and the prices.
    """
    import xlsxwriter

    buffer = io.BytesIO()
    book = xlsxwriter.Workbook(buffer, _BOOK_OPTIONS)
    book.set_properties({"title": report.title, "comments": report.link})
    book.set_calc_mode("auto")
    styles = {name: book.add_format(form) for name, form in STYLES.items()}
    sheets = {name: Sheet(book, name, styles) for name in _SHEETS}
    inputs = write_inputs(sheets["Inputs"], report, quantities)
    metered = _write_meters(sheets["Meters"], report.basis, quantities.most_meters)
    pools = write_quantities(
        sheets["Usage"],
        quantities.plans,
        inputs,
        title="What each plan uses, and what that costs",
        metered=(report.plan_id, metered),
    )
    plans = write_plans(sheets["Plans"], sheets["Lines"], quantities.plans, pools, inputs)
    own = dict(zip([plan.plan_id for plan in quantities.plans], pools, strict=True))
    levels = _write_levels(sheets["Traffic"], quantities, inputs)
    committed = None
    always_on = quantities.always_on
    if always_on is not None and quantities.is_committable:
        committed = write_commitment(
            sheets["Commitment"], plans, always_on, own[always_on.plan_id], inputs
        )
    else:
        words = "No plan here has machines by the hour that can be committed."
        sheets["Commitment"].text(0, 0, words, "line")
        sheets["Commitment"].prints(0, 6, 0)
    sheets["Options"].text(0, 0, _title(report), "title")
    roles = write_options(
        sheets["Options"],
        plans,
        quantities,
        inputs,
        committed,
        _notes(report),
        report.company.currency.code,
    )
    write_growth(sheets["Growth"], quantities, levels, inputs)
    write_sensitivity(sheets["Sensitivity"], plans, roles, committed, levels, inputs, report)
    _write_bill(sheets["Bill"], report, quantities.chosen, own[report.plan_id], inputs)
    _write_lists(sheets["Assumptions"], report)
    _write_sources(sheets["Sources"], report)
    sheets["Options"].sheet.activate()
    book.close()
    return buffer.getvalue()


def table_workbook(name: str, table: pd.DataFrame) -> bytes:
    """Return an .xlsx workbook of one table, numbers as numbers and text as text."""
    import xlsxwriter

    buffer = io.BytesIO()
    book = xlsxwriter.Workbook(buffer, _BOOK_OPTIONS)
    sheet, head = book.add_worksheet(name), book.add_format({"bold": True})
    for column, words in enumerate(table.columns):
        sheet.write_string(0, column, str(words), head)
        for row, value in enumerate(table[words].tolist(), start=1):
            _write_cell(sheet, row, column, value)
    sheet.set_column(0, max(len(table.columns) - 1, 0), 18)
    sheet.freeze_panes(1, 1)
    book.close()
    return buffer.getvalue()


def _title(report: Report) -> str:
    name = report.company.name
    return f"{name}: {spell.lower_first(report.title)}" if name else report.title


def _notes(report: Report) -> tuple[str, ...]:
    notes = [
        f"When this file was made: {report.headline}",
        f"Made on {report.made_on.isoformat()} by Frontier {report.version}. {report.link}",
        "Yellow cells, here and on Inputs, are yours to change; every other figure follows.",
    ]
    if report.bill.is_extrapolated:
        notes.append("The run covers less than a day: a month is extrapolated.")
    return tuple(notes)


def _write_levels(sheet: Sheet, quantities: Quantities, inputs: Inputs) -> Levels:
    """Write what three plans use at other traffic; return where its dollars stand, by plan."""
    if not quantities.levels:
        sheet.text(0, 0, "Not simulated at other traffic: it would take long.", "line")
        sheet.prints(0, 6, 0)
        return {}
    pools = write_quantities(
        sheet,
        quantities.levels,
        inputs,
        title="What three plans use at other traffic, simulated, each kept as it is",
    )
    found: Levels = {}
    for plan, cells in zip(quantities.levels, pools, strict=True):
        found.setdefault(plan.plan_id, []).append((plan, cells))
    return found


def _write_meters(sheet: Sheet, basis: BillBasis, most: int) -> Metered:
    """Write one row a meter, and return the sums in GPU-hours by pool and kind."""
    meters = basis.meters
    pools = [pool.is_base and len(basis.pools) > 1 for pool in basis.pools]
    heads = (
        "Base of a hybrid (1)",
        "Machine",
        "GPUs",
        "From [s]",
        "To [s]",
        *(f"{name.capitalize()} [GPU s]" for name in METERED),
        "All [GPU s]",
    )
    sheet.widths(*[14] * len(heads))
    sheet.text(0, 0, "The meters of this plan over the span that was simulated", "title")
    sheet.heads(_METER_HEAD, heads, numbers_from=0)
    sheet.sheet.freeze_panes(_METER_FIRST, 0)
    if meters.size > most:
        words = f"{meters.size:,} meters are too many for a sheet: Usage has their sums."
        sheet.text(1, 0, words, "line")
        sheet.prints(_METER_FIRST, len(heads) - 1, _METER_HEAD)
        return {}
    for row, meter in enumerate(meters.tolist(), start=_METER_FIRST):
        is_base, *numbers = meter
        sheet.put(row, 0, float(is_base and len(pools) > 1), "whole")
        for column, counted in enumerate(numbers, start=1):
            sheet.put(row, column, float(counted), "whole" if column < 3 else "number")
        kinds = numbers[4:]
        start, end = (f"{at}{row + 1}" for at in "FL")
        sheet.put(row, 12, Expr(f"SUM({start}:{end})", math.fsum(kinds)), "number")
    last = max(_METER_FIRST + meters.size - 1, _METER_FIRST)
    sheet.prints(last, len(heads) - 1, _METER_HEAD)
    which = sheet.cells(_METER_FIRST, last, 0)
    found: Metered = {}
    for pool, is_base in zip(basis.pools, pools, strict=True):
        for place in range(len(METERED)):
            cells = sheet.cells(_METER_FIRST, last, 5 + place)
            seconds = math.fsum(pool.meters.gpu_s[place].tolist())
            text = f"SUMIFS({cells},{which},{int(is_base)})"
            found[is_base, place] = Expr(text, seconds) / number(3600)
    return found


def _write_bill(
    sheet: Sheet, report: Report, plan: PlanUsage, pools: Sequence[PoolCells], inputs: Inputs
) -> None:
    """Write the bill of the chosen plan line by line: the span, a month, a year."""
    sheet.widths(36, *[18] * 6)
    sheet.text(0, 0, "The bill of this plan", "title")
    sheet.text(1, 0, report.plan_label, "line")
    span = spell.seconds(report.basis.horizon_s)
    hours = f"{report.basis.hours_per_month:g}"
    sheet.heads(
        3,
        (
            "Line",
            f"Plan [$ in the {span} simulated]",
            f"Base of a hybrid [$ in the {span}]",
            f"Both [$ in the {span}]",
            f"Both [$ a month, {hours} h when made]",
            "Share",
        ),
    )
    by_base = {pool.is_base: cells for pool, cells in zip(plan.pools, pools, strict=True)}
    first, row = 4, 3
    last = first + len(LINES)
    total_at = f"$E${last + 1}"
    month_total = math.fsum(cells.month.number for cells in pools)
    sums = [0.0, 0.0, 0.0, 0.0]
    for name in LINES:
        row += 1
        sheet.text(row, 0, name[:1].upper() + name[1:])
        parts = []
        for column, is_base in ((1, False), (2, True)):
            if is_base not in by_base:
                sheet.put(row, column, 0.0, "money")
                parts.append(number(0.0))
                continue
            parts.append(
                sheet.put(row, column, by_base[is_base].lines[name] * inputs.span_months, "money")
            )
        both = sheet.put(row, 3, parts[0] + parts[1], "money")
        month = sheet.put(row, 4, both / inputs.span_months, "money")
        share = month.number / month_total if month_total else 0.0
        sheet.put(row, 5, Expr(f"IF({total_at}=0,0,{month.text}/{total_at})", share), "percent")
        for place, cell in enumerate((*parts, both, month)):
            sums[place] += cell.number
    row += 1
    sheet.text(row, 0, "Total", "bold")
    totals = []
    for column, usd in enumerate(sums, start=1):
        cells = sheet.cells(first, row - 1, column)
        totals.append(sheet.put(row, column, Expr(f"SUM({cells})", usd), "total"))
    row += 1
    rows: list[tuple[str, Expr, str]] = [
        ("A month", totals[3], "money"),
        ("A year", _total(cells.year for cells in pools), "money"),
        ("1,000 requests", ratio(totals[2] * 1000, number(float(plan.requests))), "small_money"),
        ("1 M tokens", ratio(totals[2] * 1_000_000, number(float(plan.tokens))), "small_money"),
        ("Tokens for a dollar", ratio(number(float(plan.tokens)), totals[2]), "whole"),
    ]
    currency = report.company.currency
    if currency.is_foreign:
        words = f"A month in {currency.code}"
        rows.append((words, totals[3] * inputs.currency_rate, "number"))
    for words, value, style in rows:
        row += 1
        sheet.text(row, 0, words)
        sheet.put(row, 1, value, style)
    row += 2
    sheet.text(row, 0, "Seconds are those of one simulated run: see Assumptions.", "line")
    sheet.sheet.freeze_panes(4, 1)
    sheet.prints(row, 5, 3)


def _total(parts: Iterable[Expr]) -> Expr:
    first, *rest = parts
    for part in rest:
        first = first + part
    return first


def _write_cell(sheet: Any, row: int, column: int, value: Any) -> None:
    """Write a number as a number and everything else as text, never as a formula."""
    if isinstance(value, bool):
        sheet.write_boolean(row, column, value)
    elif isinstance(value, int | float):
        if math.isfinite(value):
            sheet.write_number(row, column, value)
        else:
            sheet.write_string(row, column, spell.significant(value))
    elif value is not None:
        sheet.write_string(row, column, str(value))


def _write_lists(sheet: Sheet, report: Report) -> None:
    sheet.widths(34, 110)
    sheet.text(0, 0, "What these figures rest on", "title")
    row = 2
    sections: Iterable[tuple[str, Sequence[tuple[str, str]]]] = (
        ("Scenario", report.scenario),
        ("Why", [("", reason) for reason in report.reasons]),
        (
            "Waiting",
            [
                *((label, spell.seconds(value)) for label, value in report.latency),
                *([("", report.uncertain)] if report.uncertain else []),
            ],
        ),
        ("Ranges", [(what, words) for what, _, words in report.ranges]),
        ("Included", [("", item) for item in INCLUDED]),
        ("Not included", [("", item) for item in report.not_included]),
        ("Assumptions", [("", item) for item in report.assumptions]),
    )
    for heading, items in sections:
        if not items:
            continue
        sheet.section(row, heading, 2)
        row += 1
        for label, value in items:
            sheet.text(row, 0, label)
            sheet.text(row, 1, value)
            row += 1
        row += 1
    sheet.prints(row - 1, 1, 0)


def _write_sources(sheet: Sheet, report: Report) -> None:
    heads = ("Used for", "Title", "Link", "Kind", "Published", "Read on")
    sheet.widths(48, 40, 60, 15, 13, 13)
    sheet.text(0, 0, "Where the numbers come from", "title")
    sheet.heads(2, heads, numbers_from=len(heads))
    row = 2
    for used_for, source in report.sources:
        row += 1
        cells = (
            used_for,
            source.title,
            source.url,
            source.kind,
            source.published_on or "not stated",
            source.read_on.isoformat(),
        )
        for column, text in enumerate(cells):
            sheet.text(row, column, text)
    sheet.sheet.freeze_panes(3, 0)
    sheet.prints(row, len(heads) - 1, 2)
