"""The list of plans, live on every price, and plans side by side; the headline is a formula."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from frontier.billing import GPU_LINES, LINES, METERED
from frontier.workbook.cells import (
    Expr,
    fixed,
    joined,
    picked,
    quoted,
    rounded,
    row_of,
    when,
)
from frontier.workbook.inputs import Inputs
from frontier.workbook.quantities import PoolCells
from frontier.workbook.sheet import Sheet, width_of
from frontier.workbook.usage import PlanUsage, Quantities

_CENTS = 6
_WITHIN, _RANK, _BUYABLE = "Within the limit (1)", "Rank among those", "For sale (1)"
HEADS = (
    "Plan",
    "Family",
    "Median wait [s]",
    "p99 wait [s]",
    "Wait on a start [of 1,000 requests]",
    "Bill [$ a month]",
    "Bill [$ a year]",
    "Bill [$ for 1,000 requests]",
    "Bill [$ for a million tokens]",
    "All in, with tax [$ a month]",
    "All in, with tax [$ a year]",
    "Bill at lower prices [$ a month]",
    "Bill at higher prices [$ a month]",
    _BUYABLE,
    _WITHIN,
    _RANK,
    "No plan is cheaper and as quick (1)",
)
LINE_HEADS = {name: f"{name[:1].upper()}{name[1:]} [$ a month]" for name in LINES}
_LINES_AT = {head: place for place, head in enumerate(LINE_HEADS.values(), start=1)}
_FIRST_ROW = 3


@dataclass(slots=True)
class PlanList:
    """Where the list of plans stands, on two sheets: its columns as ranges, and what they hold."""

    sheet: Sheet
    lines: Sheet
    names: list[str]
    columns: dict[str, list[float | str | bool]] = field(default_factory=dict)

    @property
    def last_row(self) -> int:
        """The row of the last plan, from 0."""
        return _FIRST_ROW + len(self.names) - 1

    def cells(self, head: str) -> str:
        """Return the range of a column by its head."""
        sheet, column = self._where(head)
        return sheet.cells(_FIRST_ROW, self.last_row, column)

    def _where(self, head: str) -> tuple[Sheet, int]:
        if head in _LINES_AT:
            return self.lines, _LINES_AT[head]
        return self.sheet, HEADS.index(head)

    def of(self, head: str, name: Expr) -> Expr:
        """Return what a column holds for the plan of that name."""
        place = row_of(name, self.cells("Plan"), self.names)
        return picked(self.cells(head), self.columns[head], place)

    def at(self, head: str, plan: PlanUsage) -> Expr:
        """Return the cell of a column for a plan."""
        place = self.names.index(plan.name)
        sheet, column = self._where(head)
        return sheet.at(_FIRST_ROW + place, column, self.columns[head][place])

    def put(self, row: int, head: str, value: Expr | float | str, style: str = "money") -> Expr:
        """Write a cell of a column, from the first plan to the last, and return where it is."""
        sheet, column = self._where(head)
        cell = sheet.put(row, column, value, style)
        self.columns.setdefault(head, []).append(cell.value)
        return cell


def all_in_month(bill: Expr, inputs: Inputs) -> Expr:
    """Return a month's bill with what is paid beside it, and tax on all but staff."""
    return (bill + inputs.egress + inputs.support) * (inputs.tax_rate + 1) + inputs.staff


def all_in_year(bill: Expr, inputs: Inputs) -> Expr:
    """Return the same of a year."""
    beside = (inputs.egress + inputs.support) * 12
    return (bill + beside) * (inputs.tax_rate + 1) + inputs.staff * 12


def write_plans(
    sheet: Sheet,
    lines: Sheet,
    plans: Sequence[PlanUsage],
    pools: Sequence[tuple[PoolCells, ...]],
    inputs: Inputs,
) -> PlanList:
    """Write the list of plans and its bills line by line; return where they stand."""
    found = PlanList(sheet, lines, [plan.name for plan in plans])
    width = width_of(found.names)
    sheet.widths(width, 20, *[12] * (len(HEADS) - 2))
    sheet.text(0, 0, "Every plan at the prices of this file", "title")
    sheet.text(
        1,
        0,
        "Waits are those of one simulated run and follow no price. Dollars, ranks and what beats "
        "what follow every yellow cell.",
        "line",
    )
    sheet.heads(_FIRST_ROW - 1, HEADS, numbers_from=2)
    lines.widths(width, *[12] * len(LINES))
    lines.text(0, 0, "The bill of every plan, line by line", "title")
    lines.heads(_FIRST_ROW - 1, ("Plan", *LINE_HEADS.values()))
    for place, (plan, own) in enumerate(zip(plans, pools, strict=True)):
        _write_plan(found, _FIRST_ROW + place, plan, own, inputs)
    _write_order(found, inputs)
    sheet.sheet.autofilter(_FIRST_ROW - 1, 0, found.last_row, len(HEADS) - 1)
    for one, last in ((sheet, len(HEADS) - 1), (lines, len(LINES))):
        one.sheet.freeze_panes(_FIRST_ROW, 1)
        one.prints(found.last_row, last, _FIRST_ROW - 1)
    return found


def _write_plan(
    found: PlanList, row: int, plan: PlanUsage, pools: Sequence[PoolCells], inputs: Inputs
) -> None:
    put = found.put
    put(row, "Plan", plan.name, "name")
    found.lines.text(row, 0, plan.name, "name")
    put(row, "Family", plan.family, "text")
    put(row, "Median wait [s]", plan.p50_ttft_s, "number")
    put(row, "p99 wait [s]", plan.p99_ttft_s, "number")
    put(row, "Wait on a start [of 1,000 requests]", 1000 * plan.waiting_share, "whole")
    for line, head in LINE_HEADS.items():
        put(row, head, _sum([pool.lines[line] for pool in pools]) if pools else "")
    if pools:
        month = put(row, "Bill [$ a month]", _sum([pool.month for pool in pools]))
        year = put(row, "Bill [$ a year]", _sum([pool.year for pool in pools]))
    else:
        month = put(row, "Bill [$ a month]", plan.usd_per_month)
        year = put(row, "Bill [$ a year]", month * inputs.year_scale * 12)
    span = month * inputs.span_months
    thousands, millions = plan.requests / 1e3, plan.tokens / 1e6
    put(row, "Bill [$ for 1,000 requests]", span / thousands if thousands else "", "small_money")
    put(row, "Bill [$ for a million tokens]", span / millions if millions else "", "small_money")
    put(row, "All in, with tax [$ a month]", all_in_month(month, inputs))
    put(row, "All in, with tax [$ a year]", all_in_year(year, inputs))
    lower = _sum([pool.lower for pool in pools]) if pools else month
    higher = _sum([pool.higher for pool in pools]) if pools else month
    put(row, "Bill at lower prices [$ a month]", lower)
    put(row, "Bill at higher prices [$ a month]", higher)
    put(row, _BUYABLE, float(plan.is_buyable), "whole")


def _sum(parts: Sequence[Expr]) -> Expr:
    found = parts[0]
    for part in parts[1:]:
        found = found + part
    return found


def _write_order(found: PlanList, inputs: Inputs) -> None:
    """Write which plans are within the limit, their rank, and which are beaten by no other."""
    sheet, columns = found.sheet, found.columns
    cost = [rounded(Expr("", value), _CENTS).number for value in columns["Bill [$ a month]"]]
    wait = [value if isinstance(value, float) else math.inf for value in columns["p99 wait [s]"]]
    sold = [bool(value) for value in columns[_BUYABLE]]
    within = [
        sells and seconds <= inputs.limit_s.number
        for sells, seconds in zip(sold, wait, strict=True)
    ]
    cost_cells, wait_cells = found.cells("Bill [$ a month]"), found.cells("p99 wait [s]")
    sold_cells, within_cells = found.cells(_BUYABLE), found.cells(_WITHIN)
    first = _FIRST_ROW
    at = {head: HEADS.index(head) for head in HEADS}
    for place, own in enumerate(cost):
        row = first + place
        p99 = sheet.at(row, at["p99 wait [s]"], wait[place]).text
        usd = sheet.at(row, at["Bill [$ a month]"], own).text
        sells = sheet.at(row, at[_BUYABLE], 0.0).text
        text = f"IF(AND({sells}=1,ISNUMBER({p99})),IF({p99}<={inputs.limit_s.text},1,0),0)"
        holds = sheet.put(row, at[_WITHIN], Expr(text, float(within[place])), "whole")
        columns.setdefault(_WITHIN, []).append(holds.value)
        earlier = sheet.cells(first, row, at["Bill [$ a month]"])
        earlier_within = sheet.cells(first, row, at[_WITHIN])
        rounded_own = f"ROUND({usd},{_CENTS})"
        text = (
            f"IF({holds.text}=1,SUMPRODUCT({within_cells}*(ROUND({cost_cells},{_CENTS})"
            f"<{rounded_own}))+SUMPRODUCT({earlier_within}*(ROUND({earlier},{_CENTS})="
            f'{rounded_own})),"")'
        )
        rank: float | str = ""
        if within[place]:
            rank = float(
                sum(w and c < own for w, c in zip(within, cost, strict=True))
                + sum(
                    w and c == own
                    for w, c in zip(within[: place + 1], cost[: place + 1], strict=True)
                )
            )
        sheet.put(row, at[_RANK], Expr(text, rank), "whole")
        columns.setdefault(_RANK, []).append(rank)
        text = (
            f"IF(AND({sells}=1,ISNUMBER({p99})),IF(SUMPRODUCT({sold_cells}*ISNUMBER({wait_cells})"
            f"*({wait_cells}<={p99})*(ROUND({cost_cells},{_CENTS})<={rounded_own})*"
            f"((({wait_cells}<{p99})+(ROUND({cost_cells},{_CENTS})<{rounded_own}))>0))=0,1,0),0)"
        )
        beaten = any(
            s and w <= wait[place] and c <= own and (w < wait[place] or c < own)
            for s, w, c in zip(sold, wait, cost, strict=True)
        )
        stands = sold[place] and math.isfinite(wait[place]) and not beaten
        sheet.put(row, len(HEADS) - 1, Expr(text, float(stands)), "whole")


def headline(found: PlanList, inputs: Inputs, committed: Committed | None) -> Expr:
    """Return what is cheapest within the limit at the prices of the file, as a formula.

    Where the plan under the commitment of the inputs is cheaper yet, it says so.
    """
    cells, ranks = found.cells(_RANK), found.columns[_RANK]
    limit = fixed(inputs.limit_s, 2)
    if 1.0 in ranks:
        place = Expr(f"MATCH(1,{cells},0)", ranks.index(1.0) + 1)
        name = picked(found.cells("Plan"), found.columns["Plan"], place)
        head = "Bill [$ a month]"
        usd = picked(found.cells(head), found.columns[head], place)
    else:
        place = Expr(f"MATCH(1,{cells},0)", 1)
        name = Expr(f"INDEX({found.cells('Plan')},{place.text})", "")
        usd = Expr(f"INDEX({found.cells('Bill [$ a month]')},{place.text})", 0.0)
    some = Expr(f"COUNTIF({cells},1)>0", 1.0 in ranks)
    return when(
        some,
        joined(
            quoted("At the prices of this file the cheapest plan that holds p99 ≤ "),
            limit,
            quoted(" s is "),
            name,
            quoted(": $"),
            fixed(usd, 2),
            quoted(" a month."),
            *([] if committed is None else [_or_committed(committed, usd, inputs)]),
        ),
        joined(quoted("No plan here holds p99 ≤ "), limit, quoted(" s.")),
    )


def _or_committed(committed: Committed, usd: Expr, inputs: Inputs) -> Expr:
    p99, month = committed.p99, committed.month
    holds = not isinstance(p99.value, str) and p99.number <= inputs.limit_s.number
    is_less = holds and month.number < usd.number - 0.005
    condition = Expr(
        f"AND(ISNUMBER({p99.text}),{p99.text}<={inputs.limit_s.text},"
        f"{month.text}<{usd.text}-0.005)",
        is_less,
    )
    return when(
        condition,
        joined(
            quoted(" Bound for "),
            fixed(committed.term_months, 0),
            quoted(" months, "),
            committed.name,
            quoted(", costs $"),
            fixed(month, 2),
            quoted(" a month."),
        ),
        quoted(""),
    )


@dataclass(frozen=True, slots=True)
class Committed:
    """The always-on plan under the commitment of the inputs, as the sheet Commitment has it."""

    name: Expr
    lines: dict[str, Expr]
    month: Expr
    year: Expr
    lower: Expr
    higher: Expr
    p50: Expr
    p99: Expr
    waiting: Expr
    requests: int
    tokens: int
    term_months: Expr
    total: Expr
    upfront: Expr


ROLES = ("This plan", "Scale-to-zero as shipped", "Always-on by the hour")
_COMMITTED_ROLE = "Always-on, committed"
_TOP = 10


def write_options(
    sheet: Sheet,
    found: PlanList,
    quantities: Quantities,
    inputs: Inputs,
    committed: Committed | None,
    notes: Sequence[str],
    currency: str,
) -> list[tuple[str, Expr]]:
    """Write plans side by side; return the role and the name of each that can be chosen."""
    roles = dict(
        zip(
            ROLES,
            (quantities.chosen, quantities.shipped, quantities.always_on),
            strict=True,
        )
    )
    chosen = {role: plan or quantities.chosen for role, plan in roles.items()}
    width = 1 + len(chosen) + (committed is not None)
    sheet.widths(max(50.0, width_of(found.names)), *[26] * (width - 1))
    top = sheet.sheet
    sheet.wide_text(1, width - 1, headline(found, inputs, committed), "headline")
    for place, text in enumerate(notes, start=2):
        sheet.wide_text(place, width - 1, text, "note")
    row = 2 + len(notes)
    heads = ("", *chosen, *((_COMMITTED_ROLE,) if committed is not None else ()))
    sheet.heads(row, heads)
    row += 1
    sheet.text(row, 0, "Plan (choose another in a yellow cell)", "bold")
    names = []
    for column, plan in enumerate(chosen.values(), start=1):
        names.append(sheet.put(row, column, plan.name, "input_text"))
        top.data_validation(
            row, column, row, column, {"validate": "list", "source": f"={found.cells('Plan')}"}
        )
    if committed is not None:
        sheet.put(row, width - 1, committed.name, "right")

    def line(words: str, head: str, own: Expr | None, style: str = "money") -> list[Expr]:
        nonlocal row
        row += 1
        sheet.text(row, 0, words)
        cells = [
            sheet.put(row, column, found.of(head, name), style)
            for column, name in enumerate(names, start=1)
        ]
        if committed is not None and own is not None:
            cells.append(sheet.put(row, width - 1, own, style))
        return cells

    def derived(words: str, values: Sequence[Expr], style: str = "money") -> list[Expr]:
        nonlocal row
        row += 1
        sheet.text(row, 0, words, "bold" if style == "total" else "text")
        return [
            sheet.put(row, column, value, style) for column, value in enumerate(values, start=1)
        ]

    def section(words: str) -> None:
        nonlocal row
        row += 1
        sheet.section(row, words, width)

    own = committed
    section("Waits of one simulated run")
    line(
        "Median time to first token [s]",
        "Median wait [s]",
        None if own is None else own.p50,
        "number",
    )
    p99 = line(
        "p99 time to first token [s]", "p99 wait [s]", None if own is None else own.p99, "number"
    )
    line(
        "Requests of 1,000 that wait on a start",
        "Wait on a start [of 1,000 requests]",
        None if own is None else own.waiting,
        "whole",
    )
    derived("Within the limit", [_is_within(cell, inputs) for cell in p99], "right")
    row += 1
    sheet.section(row, "", width)
    sheet.put(
        row,
        0,
        joined(quoted("Dollars a month of "), fixed(inputs.hours_per_month, 0), quoted(" hours")),
        "section",
    )
    unused = _never_used(quantities.plans)
    for name in LINES:
        if name in unused:
            continue
        line(_LINE_WORDS[name], LINE_HEADS[name], None if own is None else own.lines[name])
    head = "Bill [$ a month]"
    bills = line("The bill", head, None if own is None else own.month, "total")
    same = [inputs.egress, inputs.support, inputs.staff]
    for words, cell in zip(("Egress", "Support", "Staff"), same, strict=True):
        derived(f"{words} (Inputs)", [cell] * len(bills))
    derived(
        "Tax, on all but staff",
        [(bill + inputs.egress + inputs.support) * inputs.tax_rate for bill in bills],
    )
    months = derived("All in, a month", [all_in_month(bill, inputs) for bill in bills], "total")
    row += 1
    sheet.section(row, "", width)
    sheet.put(
        row,
        0,
        joined(quoted("Dollars a year of "), fixed(inputs.hours_per_year, 0), quoted(" hours")),
        "section",
    )
    years = line("The bill", "Bill [$ a year]", None if own is None else own.year)
    all_in = derived("All in, a year", [all_in_year(year, inputs) for year in years], "total")
    derived(
        "All in, more or less than the plan in the first column, a year",
        [year - all_in[0] for year in all_in],
    )
    if currency != "USD":
        derived(
            f"All in, a year [{currency}]",
            [year * inputs.currency_rate for year in all_in],
            "number",
        )
        derived(
            f"All in, a month [{currency}]",
            [month * inputs.currency_rate for month in months],
            "number",
        )
    section("The bill by what it buys [$]")
    line(
        "1,000 requests",
        "Bill [$ for 1,000 requests]",
        None if own is None else _each(own.month, inputs, own.requests / 1e3),
        "small_money",
    )
    line(
        "A million tokens, prompt and output",
        "Bill [$ for a million tokens]",
        None if own is None else _each(own.month, inputs, own.tokens / 1e6),
        "small_money",
    )
    if own is not None:
        section("What the commitment binds to (sheet Commitment)")
        for words, cell, style in (
            ("Term [months]", own.term_months, "whole"),
            ("Committed over the term [$]", own.total, "money"),
            ("Paid at its start [$]", own.upfront, "money"),
        ):
            row += 1
            sheet.text(row, 0, words)
            sheet.put(row, width - 1, cell, style)
    row = _write_cheapest(sheet, found, inputs, row + 2)
    sheet.sheet.freeze_panes(2, 1)
    sheet.prints(row, width - 1, 1, pages=1)
    roles_of = [(role, name) for role, name in zip(chosen, names, strict=True)]
    return roles_of + ([(_COMMITTED_ROLE, own.name)] if own is not None else [])


_LINE_WORDS = {
    "busy": "GPU at work",
    "idle": "GPU idle",
    "starting": "GPU of starts",
    "parked": "GPU of parked replicas",
    "rounding": "GPU rounded up",
    "unused GPUs": "GPUs of a machine that stay unused",
    "empty nodes": "Nodes with nothing on them",
    "unused commitment": "Committed and not used",
    "CPU and RAM": "Cores and memory, where metered",
    "storage": "Storage",
    "fees": "Fees",
    "credits": "Credits",
}


def _never_used(plans: Sequence[PlanUsage]) -> set[str]:
    """Return the lines of GPU time of which no plan has any: no price makes dollars of them."""
    pools = [pool for plan in plans for pool in plan.pools]
    found = {
        name
        for place, name in enumerate(GPU_LINES[: len(METERED)])
        if not any(pool.gpu_h[place] for pool in pools)
    }
    if any(pool.extra_start_gpu_h for pool in pools):
        found.discard("starting")
    if not any(pool.unused_committed_gpu_h for pool in pools):
        found.add("unused commitment")
    return found


def _each(month: Expr, inputs: Inputs, count: float) -> Expr:
    return month * inputs.span_months / count if count else quoted("")


def _is_within(p99: Expr, inputs: Inputs) -> Expr:
    holds = not isinstance(p99.value, str) and p99.number <= inputs.limit_s.number
    return Expr(
        f'IF(ISNUMBER({p99.text}),IF({p99.text}<={inputs.limit_s.text},"yes","no"),"no")',
        "yes" if holds else "no",
    )


def _write_cheapest(sheet: Sheet, found: PlanList, inputs: Inputs, row: int) -> int:
    """Write the cheapest plans within the limit, in their order at the prices of the file."""
    heads = ("Cheapest within the limit", "Bill [$ a month]", "p99 wait [s]", "Bill [$ a year]")
    sheet.heads(row, heads)
    ranks = found.columns[_RANK]
    cells = found.cells(_RANK)
    for rank in range(1, min(_TOP, len(found.names)) + 1):
        row += 1
        place = ranks.index(float(rank)) if float(rank) in ranks else None
        for column, head in enumerate(("Plan", *heads[1:])):
            text = (
                f'IF(COUNTIF({cells},{rank})=0,"",INDEX({found.cells(head)},'
                f"MATCH({rank},{cells},0)))"
            )
            value = "" if place is None else found.columns[head][place]
            style = "text" if column == 0 else "number" if head == "p99 wait [s]" else "money"
            sheet.put(row, column, Expr(text, value), style)
    return row
