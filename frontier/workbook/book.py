"""The workbook that computes: prices and meters as cells, and every total a formula over them.

Finance can change a price and see the bill move, or check it. Text that came from a user is
always text, never a formula. Nothing is simulated here, and bills are the study's.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from frontier import spell, units
from frontier.billing import LINES, METER, BillBasis, pool_lines
from frontier.finance import MONTHS_PER_YEAR
from frontier.report import Report
from frontier.scope import INCLUDED, NOT_BILLED, NOT_SIMULATED

if TYPE_CHECKING:
    import pandas as pd

_GPU_COLUMNS = tuple(name for name in METER.names or () if name.endswith("_gpu_s"))
_BOOK_OPTIONS = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}


def workbook(report: Report) -> bytes:
    """Return an .xlsx workbook: Bill, Inputs, Meters, Plans, Assumptions, Sources.

    Every figure of the Bill sheet is a formula over named cells of Inputs and rows of Meters. The
    value computed here is stored beside it, for viewers that do not compute.
    """
    import xlsxwriter

    buffer = io.BytesIO()
    book = xlsxwriter.Workbook(buffer, _BOOK_OPTIONS)
    book.set_properties({"title": report.title, "comments": report.link})
    book.set_calc_mode("auto")
    styles = {
        "text": book.add_format({"text_wrap": True, "valign": "top"}),
        "head": book.add_format({"bold": True, "bottom": 1}),
        "title": book.add_format({"bold": True, "font_size": 14}),
        "input": book.add_format({"bg_color": "#FFF9E5", "num_format": "#,##0.########"}),
        "number": book.add_format({"num_format": "#,##0.######"}),
        "money": book.add_format({"num_format": '"$"#,##0.00'}),
        "small_money": book.add_format({"num_format": '"$"#,##0.000000'}),
        "total": book.add_format({"num_format": '"$"#,##0.00', "bold": True, "top": 1}),
        "percent": book.add_format({"num_format": "0.0 %"}),
    }
    sheets = {
        name: book.add_worksheet(name)
        for name in ("Bill", "Inputs", "Meters", "Plans", "Assumptions", "Sources")
    }
    for sheet in sheets.values():
        sheet.set_landscape()
        sheet.fit_to_pages(1, 0)
        sheet.hide_gridlines(2)
    _write_inputs(book, sheets["Inputs"], styles, report)
    last = _write_meters(sheets["Meters"], styles, report.basis)
    _write_bill(sheets["Bill"], styles, report, last)
    _write_plans(sheets["Plans"], styles, report.plans)
    _write_lists(sheets["Assumptions"], styles, report)
    _write_sources(sheets["Sources"], styles, report)
    book.close()
    return buffer.getvalue()


def table_workbook(name: str, table: pd.DataFrame) -> bytes:
    """Return an .xlsx workbook of one table, numbers as numbers and text as text."""
    import xlsxwriter

    buffer = io.BytesIO()
    book = xlsxwriter.Workbook(buffer, _BOOK_OPTIONS)
    _write_plans(book.add_worksheet(name), {"head": book.add_format({"bold": True})}, table)
    book.close()
    return buffer.getvalue()


def _pool_names(basis: BillBasis) -> list[str]:
    return ["base" if pool.is_base else "plan" for pool in basis.pools]


def _write_inputs(book: Any, sheet: Any, styles: dict[str, Any], report: Report) -> None:
    """Write prices and quantities, each a cell with a name that the formulas use."""
    basis = report.basis
    sheet.set_column("A:A", 46, styles["text"])
    sheet.set_column("B:C", 20)
    sheet.set_column("D:D", 16)
    for column, words in enumerate(("What", "Plan", "Base of a hybrid", "Unit")):
        sheet.write_string(0, column, words, styles["head"])
    row = 0

    def name_cell(name: str, column: int) -> None:
        book.define_name(name, f"=Inputs!${'ABCD'[column]}${row + 1}")

    common = (
        ("span_s", "Span of the run", basis.horizon_s, "s"),
        ("hours_per_month", "Hours counted to a month", basis.hours_per_month, "h"),
        ("requests", "Requests in the span", basis.requests, "requests"),
        ("tokens", "Prompt and output tokens in the span", report.tokens, "tokens"),
        ("request_fee", "Fee of a request", basis.request_fee_usd, "$"),
        ("storage_gb", "Stored throughout", basis.storage_gb, "GB"),
        ("storage_price", "Price of storage", basis.storage_usd_per_gb_month, "$/GB/month"),
    )
    for name, words, value, unit in common:
        row += 1
        sheet.write_string(row, 0, words, styles["text"])
        sheet.write_number(row, 1, value, styles["input"])
        sheet.write_string(row, 3, unit)
        name_cell(name, 1)
    row += 1
    sheet.write_string(row, 0, "Span in months", styles["text"])
    sheet.write_formula(row, 1, "=span_s/(hours_per_month*3600)", styles["number"], basis.months)
    name_cell("span_months", 1)
    if report.currency is not None:
        row += 1
        words = f"{report.currency.code} for a dollar, {report.currency.rate_on}"
        sheet.write_string(row, 0, words, styles["text"])
        sheet.write_number(row, 1, report.currency.per_usd, styles["input"])
        name_cell("currency_rate", 1)

    row += 1
    per_pool = (
        ("gpu_price", "Price of a GPU", "usd_per_gpu_h", "$/GPU/h"),
        ("cpu_price", "Price of CPU and RAM with it", "cpu_ram_usd_per_gpu_h", "$/GPU/h"),
        ("vcpus", "Cores billed with a replica", "vcpus", "vCPU"),
        ("ram", "Host memory billed with a replica", "ram_gib", "GiB"),
        ("multiplier", "Region and availability", "multiplier", "×"),
        ("discount", "Discount of the commitment", "discount", "share"),
        ("covered", "Share of the hours it covers", "covered_share", "share"),
        ("unused", "GPU time committed and not used", "unused_committed_gpu_s", "GPU s"),
        ("extra", "GPU time of starts, beyond the meters", "extra_start_gpu_s", "GPU s"),
        ("kept_ram", "Host memory kept, times how long", "kept_ram_gib_s", "GiB s"),
        ("ram_price", "Price of host memory", "usd_per_gib_h", "$/GiB/h"),
        ("fee", "Fee of the provider's plan", "fee_usd_per_month", "$/month"),
        ("credit", "Credit that comes with it", "credit_usd_per_month", "$/month"),
    )
    sheet.write_string(row, 0, "Offer", styles["text"])
    sheet.write_string(row + 1, 0, "Date of its price", styles["text"])
    for pool in basis.pools:
        sheet.write_string(row, 2 if pool.is_base else 1, pool.offer_id)
        sheet.write_string(row + 1, 2 if pool.is_base else 1, pool.priced_on.isoformat())
    row += 1
    for name, words, attribute, unit in per_pool:
        row += 1
        sheet.write_string(row, 0, words, styles["text"])
        sheet.write_string(row, 3, unit)
        for pool, suffix in zip(basis.pools, _pool_names(basis), strict=True):
            column = 2 if pool.is_base else 1
            sheet.write_number(row, column, getattr(pool, attribute), styles["input"])
            name_cell(f"{name}_{suffix}", column)
    row += 1
    sheet.write_string(row, 0, "Price of a GPU-second, commitment counted", styles["text"])
    for pool, suffix in zip(basis.pools, _pool_names(basis), strict=True):
        column = 2 if pool.is_base else 1
        value = (
            pool.usd_per_gpu_h
            * pool.multiplier
            / units.SECONDS_PER_HOUR
            * (1 - pool.discount * pool.covered_share)
        )
        formula = (
            f"=gpu_price_{suffix}*multiplier_{suffix}/3600*(1-discount_{suffix}*covered_{suffix})"
        )
        sheet.write_formula(row, column, formula, styles["number"], value)
        name_cell(f"gpu_s_price_{suffix}", column)
    sheet.freeze_panes(1, 0)


def _write_meters(sheet: Any, styles: dict[str, Any], basis: BillBasis) -> int:
    """Write one row a meter and return the number of the last row, as a spreadsheet counts."""
    heads = (
        "Base of a hybrid (1)",
        "Machine",
        "GPUs",
        "From [s]",
        "To [s]",
        *(f"{name.removesuffix('_gpu_s').capitalize()} [GPU s]" for name in _GPU_COLUMNS),
        "All [GPU s]",
        "GPU, CPU and RAM [$]",
    )
    for column, words in enumerate(heads):
        sheet.write_string(0, column, words, styles["head"])
    sheet.set_column(0, len(heads) - 1, 14)
    sheet.freeze_panes(1, 0)
    usd_per_gpu_s = {
        pool.is_base: (
            pool.usd_per_gpu_h * (1 - pool.discount * pool.covered_share)
            + pool.cpu_ram_usd_per_gpu_h
        )
        * pool.multiplier
        / units.SECONDS_PER_HOUR
        for pool in basis.pools
    }
    rates = {
        pool.is_base: f"(gpu_s_price_{name}+cpu_price_{name}*multiplier_{name}/3600)"
        for pool, name in zip(basis.pools, _pool_names(basis), strict=True)
    }
    for row, meter in enumerate(basis.meters.tolist(), start=1):
        is_base, *numbers = meter
        sheet.write_number(row, 0, int(is_base))
        for column, number in enumerate(numbers, start=1):
            sheet.write_number(row, column, number)
        total = math.fsum(numbers[4:])
        sheet.write_formula(row, 12, f"=SUM(F{row + 1}:L{row + 1})", None, total)
        formula = f"=M{row + 1}*{rates[is_base]}"
        usd = total * usd_per_gpu_s[is_base]
        sheet.write_formula(row, 13, formula, styles["small_money"], usd)
    return max(2, basis.meters.size + 1)


def _write_bill(sheet: Any, styles: dict[str, Any], report: Report, last: int) -> None:
    basis, bill = report.basis, report.bill
    sheet.set_column("A:A", 30)
    sheet.set_column("B:F", 17)
    sheet.write_string(0, 0, report.title, styles["title"])
    sheet.write_string(1, 0, report.headline)
    sheet.write_string(2, 0, f"Plan: {report.plan_label}")
    made = f"Made on {report.made_on.isoformat()} by Frontier {report.version}. {report.link}"
    sheet.write_string(3, 0, made)
    heads = ("Line", "Plan", "Base of a hybrid", "Both", "A month", "Share")
    for column, words in enumerate(heads):
        sheet.write_string(5, column, words, styles["head"])

    names = _pool_names(basis)
    columns = {"plan": "B", "base": "C"}
    values = {}
    for pool, name in zip(basis.pools, names, strict=True):
        values[name] = pool_lines(pool, basis.months)
        if name == "plan":
            values[name]["fees"] += basis.request_fee_usd * basis.requests
            values[name]["storage"] = (
                basis.storage_gb * basis.storage_usd_per_gb_month * basis.months
            )
    first = 7
    total_row = first + len(LINES)
    for offset, line in enumerate(LINES):
        row = first + offset
        sheet.write_string(row - 1, 0, line)
        for name in names:
            sheet.write_formula(
                f"{columns[name]}{row}",
                _line_formula(line, name, columns[name], first, last),
                styles["money"],
                values[name].get(line, 0.0),
            )
        usd = bill.lines[line]
        sheet.write_formula(f"D{row}", f"=SUM(B{row}:C{row})", styles["money"], usd)
        month = usd / basis.months
        sheet.write_formula(f"E{row}", f"=D{row}/span_months", styles["money"], month)
        share = usd / bill.usd_span if bill.usd_span else 0.0
        formula = f"=IF(D${total_row}=0,0,D{row}/D${total_row})"
        sheet.write_formula(f"F{row}", formula, styles["percent"], share)
    sheet.write_string(total_row - 1, 0, "Total", styles["head"])
    totals = {
        "B": math.fsum(values["plan"].values()),
        "C": math.fsum(values.get("base", {}).values()),
        "D": bill.usd_span,
        "E": bill.usd_span / basis.months,
    }
    for letter, value in totals.items():
        formula = f"=SUM({letter}{first}:{letter}{total_row - 1})"
        sheet.write_formula(f"{letter}{total_row}", formula, styles["total"], value)

    row = total_row + 2
    per = report.units_of_cost
    tokens_per_usd = bill.tokens_per_usd(report.tokens)
    figures = [
        ("A month", "=total_span/span_months", per["month"]),
        ("A year", f"=total_span/span_months*{MONTHS_PER_YEAR}", per["year"]),
        ("1,000 requests", '=IF(requests=0,"",total_span/requests*1000)', per["1,000 requests"]),
        ("1 M tokens", '=IF(tokens=0,"",total_span/tokens*1000000)', per["1 M tokens"]),
    ]
    total_cell = f"$D${total_row}"
    for words, formula, value in figures:
        sheet.write_string(row - 1, 0, words)
        shown = value if math.isfinite(value) else ""
        formula = formula.replace("total_span", total_cell)
        sheet.write_formula(f"B{row}", formula, styles["small_money"], shown)
        row += 1
    sheet.write_string(row - 1, 0, "Tokens for a dollar")
    formula = f'=IF({total_cell}=0,"",tokens/{total_cell})'
    shown = tokens_per_usd if math.isfinite(tokens_per_usd) else ""
    sheet.write_formula(f"B{row}", formula, styles["number"], shown)
    if report.currency is not None:
        row += 1
        sheet.write_string(row - 1, 0, f"A month in {report.currency.code}")
        formula = f"={total_cell}/span_months*currency_rate"
        value = per["month"] * report.currency.per_usd
        sheet.write_formula(f"B{row}", formula, styles["number"], value)
    row += 2
    if bill.is_extrapolated:
        sheet.write_string(row - 1, 0, "The run covers less than a day: a month is extrapolated.")
        row += 1
    sheet.write_string(row - 1, 0, "Seconds are those of one simulated run; see Assumptions.")


def _line_formula(line: str, pool: str, column: str, first: int, last: int) -> str:
    """Return the formula of one line of one pool."""
    is_base = int(pool == "base")

    def metered(letter: str) -> str:
        cells, which = f"Meters!${letter}$2:${letter}${last}", f"Meters!$A$2:$A${last}"
        return f"SUMIFS({cells},{which},{is_base})"

    rate = f"gpu_s_price_{pool}"
    letters = dict(zip(("busy", "idle", "starting", "parked", "rounding"), "FGHIJ", strict=True))
    letters |= {"unused GPUs": "K", "empty nodes": "L"}
    if line == "starting":
        return f"=({metered('H')}+extra_{pool})*{rate}"
    if line in letters:
        return f"={metered(letters[line])}*{rate}"
    usage_end = first + LINES.index("CPU and RAM")
    return {
        "unused commitment": (
            f"=unused_{pool}*gpu_price_{pool}*multiplier_{pool}/3600*(1-discount_{pool})"
        ),
        "CPU and RAM": (
            f"=(({metered('M')}+extra_{pool})*cpu_price_{pool}"
            f"+kept_ram_{pool}*ram_price_{pool})*multiplier_{pool}/3600"
        ),
        "storage": "=0" if is_base else "=storage_gb*storage_price*span_months",
        "fees": f"=fee_{pool}*span_months" + ("" if is_base else "+request_fee*requests"),
        "credits": f"=-MIN(credit_{pool}*span_months,SUM({column}{first}:{column}{usage_end}))",
    }[line]


def _write_plans(sheet: Any, styles: dict[str, Any], plans: pd.DataFrame) -> None:
    for column, name in enumerate(plans.columns):
        sheet.write_string(0, column, str(name), styles["head"])
        for row, value in enumerate(plans[name].tolist(), start=1):
            _write_cell(sheet, row, column, value)
    sheet.set_column(0, max(len(plans.columns) - 1, 0), 18)
    sheet.freeze_panes(1, 1)


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


def _write_lists(sheet: Any, styles: dict[str, Any], report: Report) -> None:
    sheet.set_column("A:A", 30, styles["text"])
    sheet.set_column("B:B", 100, styles["text"])
    row = 0
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
        ("Not included", [("", item) for item in (*NOT_BILLED, *NOT_SIMULATED)]),
        ("Assumptions", [("", item) for item in report.assumptions]),
    )
    for heading, items in sections:
        sheet.write_string(row, 0, heading, styles["head"])
        row += 1
        for label, value in items:
            sheet.write_string(row, 0, label, styles["text"])
            sheet.write_string(row, 1, value, styles["text"])
            row += 1
        row += 1


def _write_sources(sheet: Any, styles: dict[str, Any], report: Report) -> None:
    heads = ("Used for", "Title", "Link", "Kind", "Published", "Read on")
    for column, words in enumerate(heads):
        sheet.write_string(0, column, words, styles["head"])
    sheet.set_column("A:A", 28)
    sheet.set_column("B:C", 50)
    sheet.set_column("D:F", 14)
    for row, (used_for, source) in enumerate(report.sources, start=1):
        cells = (
            used_for,
            source.title,
            source.url,
            source.kind,
            source.published_on or "not stated",
            source.read_on.isoformat(),
        )
        for column, text in enumerate(cells):
            sheet.write_string(row, column, text)
    sheet.freeze_panes(1, 0)
