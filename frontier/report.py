"""What somebody takes away: a workbook that computes, a page that prints, tables and JSON.

The workbook's totals are formulas over the exported prices and meters, so that finance can change
a price and see the bill move, or check it. The page needs nothing but itself: no script, no font,
no image from anywhere. Text that came from a user is always text: never a formula in a
spreadsheet, never markup on the page. Nothing is simulated here, and bills are the study's.
"""

from __future__ import annotations

import datetime as dt
import html
import io
import json
import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

import frontier
from frontier import spell, units
from frontier.billing import LINES, METER, Bill, BillBasis, pool_lines
from frontier.edits import Edit
from frontier.explain import Explanation, about_plan, plainly
from frontier.export import csv_bytes
from frontier.ranges import Range, beyond_in_words, few_beyond
from frontier.scope import INCLUDED, NOT_BILLED, NOT_SIMULATED, asked, sources_used
from frontier.simulate import LatencySummary
from frontier.study import Study
from frontier.tables import Source, Tables

if TYPE_CHECKING:
    import pandas as pd

_MONTHS_PER_YEAR = 12
_PERCENTILES = {
    "Median": "p50_ttft_s",
    "p90": "p90_ttft_s",
    "p95": "p95_ttft_s",
    "p99": "p99_ttft_s",
    "p99.9": "p999_ttft_s",
    "Longest": "max_ttft_s",
}
_ANSWERS = {
    "Median time per output token": "p50_tpot_s",
    "p99 time per output token": "p99_tpot_s",
    "Median until the last token": "p50_latency_s",
    "p99 until the last token": "p99_latency_s",
}
_SHARES = (90.0, 95.0, 99.0, 99.9)
_GPU_COLUMNS = tuple(name for name in METER.names or () if name.endswith("_gpu_s"))


@dataclass(frozen=True, slots=True)
class Currency:
    """Another currency, at the user's rate.

    ``per_usd`` is how much of it one dollar buys, on ``rate_on``.
    """

    code: str
    per_usd: float
    rate_on: dt.date


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """All that a report says, computed elsewhere.

    Attributes
    ----------
    title, headline : str
    reasons : tuple of str
        Sentences below the headline.
    made_on : date
    version, link : str
        Of the program; and the address that opens the same view.
    scenario : tuple of (str, str)
        What was asked: label and value.
    plan_label : str
        The plan whose bill this is.
    bill, basis : Bill, BillBasis
        Of that plan.
    tokens : int
        Prompt and output tokens of the span.
    latency : tuple of (str, float)
        Label and seconds. [s]
    plans : DataFrame
        The frontier table.
    plan_id : str
        The row of it that is this plan.
    slo_p99_ttft_s : float
        The limit. [s]
    assumptions : tuple of str
    sources : tuple of (str, Source)
        What for, and which.
    inputs : tuple of dict
        A row an input that is not known for sure, `Decides.rows`; empty where it was not looked at.
    currency : Currency or None
    ranges : tuple of (str, Range, str)
        Of the plan's figures: of what, from where to where, and in words.
    uncertain : str
        How few requests lie beyond its percentiles; empty where they are many.
    explanations : tuple of Explanation
        How the figures of that plan are computed.
    """

    title: str
    headline: str
    reasons: tuple[str, ...]
    made_on: dt.date
    version: str
    link: str
    scenario: tuple[tuple[str, str], ...]
    plan_label: str
    bill: Bill
    basis: BillBasis
    tokens: int
    latency: tuple[tuple[str, float], ...]
    plans: pd.DataFrame
    plan_id: str
    slo_p99_ttft_s: float
    assumptions: tuple[str, ...]
    sources: tuple[tuple[str, Source], ...]
    inputs: tuple[dict[str, Any], ...] = ()
    currency: Currency | None = None
    ranges: tuple[tuple[str, Range, str], ...] = ()
    uncertain: str = ""
    explanations: tuple[Explanation, ...] = ()

    @property
    def units_of_cost(self) -> dict[str, float]:
        """Dollars by unit: span, month, year, 1,000 requests, 1 M tokens [$]."""
        month = self.bill.usd_per_month(self.basis.hours_per_month)
        return {
            "span": self.bill.usd_span,
            "month": month,
            "year": month * _MONTHS_PER_YEAR,
            "1,000 requests": self.bill.usd_per_1k_requests(self.basis.requests),
            "1 M tokens": self.bill.usd_per_mtok(self.tokens),
        }


def report_of(
    study: Study,
    plan_id: str,
    *,
    made_on: dt.date,
    link: str,
    changed: Iterable[tuple[str, str]] = (),
    currency: Currency | None = None,
    edits: Collection[Edit] = (),
) -> Report:
    """Return the report of one plan of a study.

    Parameters
    ----------
    link : str
        The address that opens the same view; empty where there is none.
    changed : iterable of (str, str)
        What the reader changed in the tables: label and words.
    currency : Currency, optional
        Another currency beside dollars.
    edits : collection of Edit
        The same changes, cell by cell.
    """
    outcome, said = study.outcomes[plan_id], study.included()
    return Report(
        title="What scale-to-zero costs",
        headline=study.verdict.headline,
        reasons=(study.verdict.below, *study.verdict.reasons),
        made_on=made_on,
        version=frontier.__version__,
        link=link,
        scenario=(
            *asked(study.deployment, study.trace, study.tables, study.deal, study.limit_s),
            *changed,
        ),
        plan_label=f"{outcome.plan.label} ({outcome.plan.detail})",
        bill=study.bill(outcome),
        basis=study.basis(outcome),
        tokens=outcome.tokens,
        latency=(*latency_rows(outcome.latency), *answer_rows(outcome.latency)),
        plans=study.table,
        plan_id=plan_id,
        slo_p99_ttft_s=study.limit_s,
        assumptions=(*said["In the number"], *said["Traffic"], *said["Assumed"]),
        sources=sources_used(study.deployment, study.tables, study.deal),
        inputs=study.input_rows,
        currency=currency,
        ranges=_range_rows(study, plan_id),
        uncertain=uncertain_percentiles(outcome.requests, study.tables),
        explanations=about_plan(study, outcome, edits),
    )


def latency_rows(latency: LatencySummary) -> tuple[tuple[str, float], ...]:
    """Return the percentiles of a run as label and seconds [s]."""
    return tuple((label, getattr(latency, name)) for label, name in _PERCENTILES.items())


def answer_rows(latency: LatencySummary) -> tuple[tuple[str, float], ...]:
    """Return how fast answers came as label and seconds [s]; none where that is not simulated."""
    found = ((label, getattr(latency, name)) for label, name in _ANSWERS.items())
    return tuple((label, value_s) for label, value_s in found if value_s is not None)


def uncertain_percentiles(requests: int, tables: Tables) -> str:
    """Return how few requests lie beyond percentiles that are shown; empty where many do."""
    few = tables.setting("ranges_few_beyond")
    return beyond_in_words(few_beyond(requests, few, _SHARES))


def _range_rows(study: Study, plan_id: str) -> tuple[tuple[str, Range, str], ...]:
    """Return the ranges of a plan: of what, from where to where, and in words."""
    rows = []
    for found, why in ((study.luck, "luck"), (study.open_inputs, "open inputs")):
        one = None if found is None else found.plans.get(plan_id)
        if one is not None:
            usd, p99_s = one.usd_per_month, one.p99_ttft_s
            rows += [
                (f"A month, by {why}", usd, spell.dollars_between(usd.low, usd.high)),
                (f"p99, by {why}", p99_s, spell.seconds_between(p99_s.low, p99_s.high)),
            ]
    return tuple(rows)


def meters_csv(basis: BillBasis) -> bytes:
    """Return the meters of a bill as CSV, one row a meter."""
    import pandas as pd

    meters = basis.meters
    return csv_bytes(pd.DataFrame({name: meters[name] for name in METER.names or ()}))


def report_json(report: Report) -> bytes:
    """Return the report as JSON, without the meters; numbers that are not finite become null."""
    content = {
        "title": report.title,
        "headline": report.headline,
        "reasons": report.reasons,
        "made_on": report.made_on.isoformat(),
        "version": report.version,
        "link": report.link,
        "scenario": dict(report.scenario),
        "plan": {"id": report.plan_id, "label": report.plan_label},
        "usd": report.units_of_cost,
        "usd_by_line": report.bill.lines,
        "span_s": report.bill.horizon_s,
        "is_extrapolated": report.bill.is_extrapolated,
        "latency_s": dict(report.latency),
        "ranges": {what: [found.low, found.high] for what, found, _ in report.ranges},
        "uncertain": report.uncertain,
        "plans": report.plans.to_dict(orient="records"),
        "assumptions": report.assumptions,
        "uncertain_inputs": report.inputs,
        "sources": [
            {
                "used_for": used_for,
                "title": source.title,
                "url": source.url,
                "kind": source.kind,
                "published_on": source.published_on,
                "read_on": source.read_on.isoformat(),
            }
            for used_for, source in report.sources
        ],
        "explanations": [plainly(one) for one in report.explanations],
        "included": INCLUDED,
        "not_included": (*NOT_BILLED, *NOT_SIMULATED),
    }
    return json.dumps(_plain(content), ensure_ascii=False, indent=2).encode()


def _plain(value: Any) -> Any:
    """Return a value that JSON can hold."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


# --- the workbook -------------------------------------------------------------------------------


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
        words = f"{report.currency.code} for a dollar, {report.currency.rate_on.isoformat()}"
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
        ("A year", f"=total_span/span_months*{_MONTHS_PER_YEAR}", per["year"]),
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


# --- the page -----------------------------------------------------------------------------------

_STYLE = """
@page { size: A4; margin: 14mm; }
* { box-sizing: border-box; }
body { font: 10.5pt/1.45 system-ui, sans-serif; color: #1a1a1a; background: #fff;
  max-width: 182mm; margin: 0 auto; padding: 8mm 0; }
h1 { font-size: 17pt; line-height: 1.2; margin: 0 0 2mm; }
h2 { font-size: 11.5pt; margin: 6mm 0 1.5mm; break-after: avoid; }
h3 { font-size: 10pt; margin: 3.5mm 0 1mm; break-after: avoid; }
p { margin: 0 0 1.5mm; }
.meta, .note { color: #555; font-size: 9pt; }
.facts { display: flex; flex-wrap: wrap; gap: 3mm 9mm; margin: 4mm 0; padding: 0;
  list-style: none; }
.facts b { display: block; font-size: 14pt; }
.facts span { color: #555; font-size: 9pt; }
table { border-collapse: collapse; width: 100%; font-size: 9.5pt; }
th, td { text-align: left; padding: 0.8mm 2mm 0.8mm 0; vertical-align: top;
  border-bottom: 0.2mm solid #ddd; overflow-wrap: anywhere; }
th { font-weight: 600; }
td.number, th.number { text-align: right; white-space: nowrap; }
td.bar { width: 40%; }
td.bar div { background: #0072b2; height: 2.6mm; print-color-adjust: exact;
  -webkit-print-color-adjust: exact; }
tr, svg { break-inside: avoid; }
ul { margin: 0; padding-left: 5mm; }
svg { width: 100%; height: auto; }
svg text { font: 11px system-ui, sans-serif; fill: #444; }
.columns { display: grid; grid-template-columns: 1fr 1fr; gap: 0 8mm; break-inside: avoid; }
"""


def html_report(report: Report) -> str:
    """Return the report as one HTML page that prints on A4 and asks the network for nothing."""
    bill, basis = report.bill, report.basis
    per = report.units_of_cost
    e = html.escape
    facts = [
        (spell.dollars(per["month"]), f"a month of {basis.hours_per_month:g} h"),
        (spell.dollars(per["year"]), "a year"),
        (spell.dollars(per["1,000 requests"]), "for 1,000 requests"),
        (spell.dollars(per["1 M tokens"]), "for a million tokens"),
        *((spell.seconds(value), label) for label, value in report.latency),
        *((words, f"range: {spell.lower_first(what)}") for what, _, words in report.ranges),
    ]
    if report.currency is not None:
        other = per["month"] * report.currency.per_usd
        words = (
            f"{report.currency.code} a month, at {report.currency.per_usd:g} "
            f"on {report.currency.rate_on.isoformat()}"
        )
        facts.insert(1, (spell.significant(other, 4), words))
    largest = max((abs(usd) for usd in bill.usd), default=0.0) or 1.0
    lines = "".join(
        f'<tr><td>{e(line)}</td><td class="number">{e(spell.dollars(usd / basis.months))}</td>'
        f'<td class="bar"><div style="width:{100 * max(usd, 0.0) / largest:.1f}%"></div></td></tr>'
        for line, usd in bill.lines.items()
        if usd
    )
    extrapolated = (
        '<p class="note">The run covers less than a day: the month is an extrapolation.</p>'
        if bill.is_extrapolated
        else ""
    )
    prices = "".join(
        f"<tr><td>{e(pool.offer_id)}{' (base)' if pool.is_base else ''}</td>"
        f'<td class="number">{e(spell.dollars(pool.usd_per_gpu_h))}/GPU-h</td>'
        f'<td class="number">{e(spell.dollars(pool.cpu_ram_usd_per_gpu_h))}/GPU-h</td>'
        f'<td class="number">{pool.priced_on.isoformat()}</td></tr>'
        for pool in basis.pools
    )
    sources = "".join(
        f"<tr><td>{e(used_for)}</td><td>{_link(source.url, source.title)}</td>"
        f"<td>{e(source.kind)}</td><td>{source.read_on.isoformat()}</td></tr>"
        for used_for, source in report.sources
    )
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{e(report.title)}</title><style>{_STYLE}</style></head><body>
<p class="meta">{e(report.title)} · {report.made_on.isoformat()} · Frontier {e(report.version)}</p>
<h1>{e(report.headline)}</h1>
{"".join(f"<p>{e(reason)}</p>" for reason in report.reasons)}
<h2>{e(report.plan_label)}</h2>
<ul class="facts">{"".join(f"<li><b>{e(a)}</b><span>{e(b)}</span></li>" for a, b in facts)}</ul>
{f'<p class="note">{e(report.uncertain)}</p>' if report.uncertain else ""}
{extrapolated}
<h2>Where a month's money goes</h2>
<table>{lines}<tr><th>Total</th><th class="number">{e(spell.dollars(per["month"]))}</th>
<th></th></tr></table>
<h2>All plans: dollars a month against p99 time to first token</h2>
{_scatter(report)}
<h2>Scenario</h2>
<table>{"".join(f"<tr><td>{e(a)}</td><td>{e(b)}</td></tr>" for a, b in report.scenario)}</table>
<h2>Prices</h2>
<table><tr><th>Offer</th><th class="number">GPU</th><th class="number">CPU and RAM</th>
<th class="number">Date of the price</th></tr>{prices}</table>
<div class="columns"><div><h2>Included</h2>{_list(INCLUDED)}</div>
<div><h2>Not included</h2>{_list((*NOT_BILLED, *NOT_SIMULATED))}</div></div>
<h2>Assumptions</h2>{_list(report.assumptions)}
{_explained(report.explanations)}<h2>Sources</h2>
<table><tr><th>Used for</th><th>Source</th><th>Kind</th><th>Read on</th></tr>{sources}</table>
<p class="note">The same view: {_link(report.link, report.link)}</p>
</body></html>
"""


def _explained(explanations: Iterable[Explanation]) -> str:
    """Return each figure with its formula, its values and where they are from, as sections."""
    parts = "".join(_formula(one) for one in explanations)
    return f"<h2>How the figures are computed</h2>{parts}" if parts else ""


def _formula(one: Explanation) -> str:
    e = html.escape
    rows = "".join(
        f'<tr><td class="number">{e(term.in_words)}</td>'
        f"<td>{e(term.name)}{f' ({e(term.note)})' if term.note else ''}</td><td>{e(term.basis)}"
        + "".join(f", {_link(found.url, found.title)}" for found in term.sources)
        + "</td></tr>"
        for term in one.terms
    )
    sums = f"<p>{e(one.in_words)}<br>= {e(one.in_numbers)}</p>" if one.formula else ""
    note = f'<p class="note">{e(one.note)}</p>' if one.note else ""
    title = f"{one.figure}: {one.result}" if one.result else one.figure
    return (
        f"<h3>{e(title)}</h3>{sums}{note}<table>{rows}</table>"
        f"{''.join(_formula(part) for part in one.parts)}"
    )


def _link(url: str, text: str) -> str:
    """Return a link, or the bare text where the address is not one of the web."""
    if not url.startswith(("https://", "http://")):
        return html.escape(text)
    return f'<a href="{html.escape(url)}">{html.escape(text)}</a>'


def _list(items: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{html.escape(item)}</li>' for item in items)}</ul>"


def _scatter(report: Report) -> str:
    """Return the frontier as an SVG: every plan, efficient ones filled, the limit, this plan."""
    width, height, left, right, top, bottom = 680, 260, 62, 16, 14, 34
    cost = report.plans["usd_per_month"].to_numpy(dtype=float)
    wait = report.plans["p99_ttft_s"].to_numpy(dtype=float)
    drawn = np.isfinite(cost) & np.isfinite(wait) & (wait > 0)
    if not drawn.any():
        return "<p>No plan can be drawn.</p>"
    limit_s = report.slo_p99_ttft_s
    waits = np.append(wait[drawn], limit_s)
    low, high = math.log10(waits.min()) - 0.1, math.log10(waits.max()) + 0.1
    most = float(cost[drawn].max()) * 1.05 or 1.0

    def x(usd: float) -> float:
        return left + usd / most * (width - left - right)

    def y(seconds: float) -> float:
        return top + (high - math.log10(seconds)) / (high - low) * (height - top - bottom)

    parts = [
        f'<line x1="{left}" x2="{width - right}" y1="{y(limit_s):.1f}" y2="{y(limit_s):.1f}" '
        'stroke="#d55e00" stroke-dasharray="5 4"/>'
        f'<text x="{width - right}" y="{y(limit_s) - 4:.1f}" text-anchor="end">limit '
        f"{html.escape(spell.seconds(limit_s))}</text>"
    ]
    step = _nice_step(most)
    for usd in np.arange(0.0, most, step):
        parts.append(
            f'<text x="{x(usd):.1f}" y="{height - 16}" text-anchor="middle">'
            f"{html.escape(spell.dollars(usd))}</text>"
        )
    for power in range(math.ceil(low), math.floor(high) + 1):
        seconds = 10.0**power
        parts.append(
            f'<line x1="{left}" x2="{width - right}" y1="{y(seconds):.1f}" y2="{y(seconds):.1f}" '
            f'stroke="#e5e5e5"/><text x="{left - 6}" y="{y(seconds) + 4:.1f}" text-anchor="end">'
            f"{html.escape(spell.seconds(seconds))}</text>"
        )
    efficient = report.plans["efficient"].to_numpy(dtype=bool)
    chosen = (report.plans["plan_id"] == report.plan_id).to_numpy()
    for index in np.flatnonzero(drawn):
        fill = "#0072b2" if efficient[index] else "#b9cfe0"
        radius = 5 if efficient[index] else 3
        point = f'cx="{x(cost[index]):.1f}" cy="{y(wait[index]):.1f}"'
        parts.append(f'<circle {point} r="{radius}" fill="{fill}"/>')
        if chosen[index]:
            parts.append(f'<circle {point} r="9" fill="none" stroke="#1a1a1a" stroke-width="1.5"/>')
    words = (
        f"{spell.count(int(drawn.sum()), 'plan')}; {int((efficient & drawn).sum())} beaten by no "
        f"other on both cost and wait; ringed: {report.plan_label}"
    )
    missing = int((~drawn).sum())
    note = f" {spell.count(missing, 'plan')} without a finite p99 not drawn." if missing else ""
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{html.escape(words)}">'
        f'{"".join(parts)}</svg><p class="note">Filled dark: efficient. Ringed: this plan.'
        f"{note}</p>"
    )


def _nice_step(most: float) -> float:
    """Return a step of 1, 2 or 5 times a power of ten that divides an axis in five or fewer."""
    rough = most / 5
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
