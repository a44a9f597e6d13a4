"""What may come: a commitment paid month by month, growth, and prices and traffic that differ."""

from __future__ import annotations

from collections.abc import Sequence

from frontier import spell
from frontier.billing import LINES
from frontier.report import Report
from frontier.workbook.cells import (
    Expr,
    compares,
    fixed,
    joined,
    least,
    number,
    picked,
    quoted,
    total,
    when,
)
from frontier.workbook.inputs import Inputs
from frontier.workbook.plans import Committed, PlanList
from frontier.workbook.quantities import PoolCells
from frontier.workbook.sheet import Sheet
from frontier.workbook.usage import PlanUsage, Quantities

_MONTHS = 36
_SUMS = (12, 24, 36)
Levels = dict[str, list[tuple[PlanUsage, tuple[PoolCells, ...]]]]


def write_commitment(
    sheet: Sheet,
    plans: PlanList,
    plan: PlanUsage,
    pools: Sequence[PoolCells],
    inputs: Inputs,
) -> Committed:
    """Write the always-on plan by the hour beside the same under a commitment, month by month.

    A commitment is entered into again at the end of each term. Nothing is discounted over time.
    """
    (pool,) = pools
    sheet.widths(54, *[18] * 6)
    sheet.text(0, 0, "The always-on machines under a commitment", "title")
    name = sheet.put(1, 0, plan.name, "bold")
    sheet.text(
        2,
        0,
        "Discount, term and share paid at its start are yellow cells on Inputs. The bill alone: "
        "no tax, nothing beside it. A month here is a twelfth of a year.",
        "line",
    )
    saved = pool.gpu_uncommitted * inputs.commitment_discount
    used = pool.used - saved
    credit = pool.credit

    def bill_at(factor: Expr | float) -> Expr:
        return (
            used * factor
            - least(credit, used * factor)
            + pool.lines["fees"]
            + (pool.lines["storage"])
        )

    heads = ("", "By the hour", "Committed")
    row = 4
    sheet.heads(row, heads)

    def line(words: str, hourly: Expr | str, own: Expr | str, style: str = "money") -> Expr:
        nonlocal row
        row += 1
        sheet.text(row, 0, words)
        sheet.put(row, 1, hourly, style)
        return sheet.put(row, 2, own, style)

    share = 1 - inputs.commitment_discount
    lines = dict(pool.lines)
    for line_name in LINES[:7]:
        lines[line_name] = lines[line_name] * share
    lines["credits"] = -least(credit, used)
    month = line("The bill, a month", pool.month, bill_at(1.0))
    scale = inputs.year_scale
    year = (used * scale + pool.by_request * scale + pool.fixed - least(credit, used * scale)) * 12
    year = line("The bill, a year", pool.year, year)
    bound = pool.gpu_uncommitted * share * scale
    bound = line("Of it committed, a twelfth of a year", "", bound)
    line("Price of the GPU time that is left of the list price", number(1), share, "percent")
    committed = line("Committed over the term", "", bound * inputs.term_months)
    upfront = line("Paid at its start", "", committed * inputs.upfront_share)
    later = line("Paid each month of it", "", bound * (1 - inputs.upfront_share))
    other = line("The rest of the bill, a twelfth of a year", pool.year / 12, year / 12 - bound)
    line("Saved a year", "", pool.year - year)
    line("Share of the hours that must be used for it to pay", "", share, "percent")
    found = Committed(
        name=Expr(f'{name.text}&", committed"', f"{plan.name}, committed"),
        lines=lines,
        month=month,
        year=year,
        lower=bill_at(1 - inputs.price_band),
        higher=bill_at(inputs.price_band + 1),
        p50=plans.at("Median wait [s]", plan),
        p99=plans.at("p99 wait [s]", plan),
        waiting=plans.at("Wait on a start [of 1,000 requests]", plan),
        requests=plan.requests,
        tokens=plan.tokens,
        term_months=inputs.term_months,
        total=committed,
        upfront=upfront,
    )
    row += 2
    payback_row = row
    row += 2
    first = row
    sheet.heads(
        row,
        (
            "Cash flow: month",
            "By the hour [$ this month]",
            "Committed, paid [$ this month]",
            "Committed, spread over the term [$ this month]",
            "By the hour [$ so far]",
            "Committed, paid [$ so far]",
            "Committed is ahead (1)",
        ),
    )
    ahead: list[float] = []
    so_far = [Expr("", 0.0), Expr("", 0.0)]
    for at in range(1, _MONTHS + 1):
        row += 1
        count = sheet.put(row, 0, float(at), "whole")
        starts = compares(_remainder(count, inputs.term_months), "=", number(0))
        hourly = sheet.put(row, 1, pool.year / 12, "money")
        paid = sheet.put(row, 2, later + when(starts, upfront, number(0)) + other, "money")
        sheet.put(row, 3, year / 12, "money")
        for place, cell in enumerate((hourly, paid)):
            before = so_far[place]
            so_far[place] = sheet.put(row, 4 + place, cell if at == 1 else before + cell, "money")
        lead = when(compares(so_far[1] - so_far[0], "<", number(-0.005)), number(1), number(0))
        ahead.append(sheet.put(row, 6, lead, "whole").number)
    cells = sheet.cells(first + 1, row, 6)
    when_ahead = 1.0 in ahead
    payback = Expr(
        f'IF(COUNTIF({cells},1)=0,"not within {_MONTHS} months",MATCH(1,{cells},0))',
        ahead.index(1.0) + 1.0 if when_ahead else f"not within {_MONTHS} months",
    )
    sheet.text(payback_row, 0, "First month in which less has been paid than by the hour")
    sheet.put(payback_row, 2, payback, "right")
    sheet.prints(row, 6, 0, pages=1)
    return found


def _remainder(month: Expr, term: Expr) -> Expr:
    """Return how far a month, from 1, is into its term; a term of 0 counts as 1."""
    months = max(term.number, 1.0)
    return Expr(f"MOD({month.text}-1,MAX(1,{term.text}))", (month.number - 1) % months)


def write_growth(sheet: Sheet, quantities: Quantities, levels: Levels, inputs: Inputs) -> None:
    """Write months to come at a growth that is an input, between levels that were simulated."""
    looked = quantities.looked_at
    sheet.widths(14, 12, *[22] * (2 * len(looked)))
    sheet.text(0, 0, "Growth: the bill of each month as the traffic grows", "title")
    if not levels:
        sheet.text(
            2,
            0,
            "Not computed: the traffic is so much that simulating it at other levels would take "
            "long. The page Growth and the command growth do it.",
            "line",
        )
        sheet.prints(2, 6, 0)
        return
    sheet.text(
        1,
        0,
        "Each plan kept as it is. Between levels of the traffic that were simulated (below) the "
        "bill is a straight line; the wait is that of the next level up. Growth is a yellow cell "
        "on Inputs.",
        "line",
    )
    factors = [plan.traffic for plan, _ in next(iter(levels.values()))]
    heads = [f"{plan.name}: bill [$ this month]" for plan in looked]
    waits = [f"{plan.name}: p99 wait [s]" for plan in looked]
    sheet.heads(3, ("Month", "Traffic [×]", *heads, *waits), numbers_from=0)
    table_first = 3 + _MONTHS + 3 + len(_SUMS) + 3
    bills, p99s = _write_levels(sheet, table_first, looked, levels, factors, (heads, waits))
    factor_cells = sheet.cells(table_first + 1, table_first + len(factors), 1)
    columns: list[list[Expr]] = [[] for _ in looked]
    for month in range(1, _MONTHS + 1):
        row = 3 + month
        count = sheet.put(row, 0, float(month), "whole")
        grown = Expr(
            f"({inputs.growth.text}+1)^({count.text}-1)",
            (1 + inputs.growth.number) ** (month - 1),
        )
        traffic = sheet.put(row, 1, grown, "number")
        place = _level_of(traffic, factor_cells, factors)
        for column in range(len(looked)):
            cells = sheet.cells(table_first + 1, table_first + len(factors), 2 + column)
            value = _between(traffic, place, (factor_cells, factors), (cells, bills[column]))
            columns[column].append(sheet.put(row, 2 + column, value, "money"))
            cells = sheet.cells(
                table_first + 1, table_first + len(factors), 2 + len(looked) + column
            )
            wait = _next_up(traffic, place, (factor_cells, factors), (cells, p99s[column]))
            sheet.put(row, 2 + len(looked) + column, wait, "number")
    row = 3 + _MONTHS + 1
    for months in _SUMS:
        row += 1
        sheet.text(row, 0, f"{months} months", "bold")
        sheet.text(row, 1, "sum", "number_head")
        for column, parts in enumerate(columns):
            chosen = parts[:months]
            cells = sheet.cells(4, 3 + months, 2 + column)
            known = all(not isinstance(part.value, str) for part in chosen)
            value = total(chosen, cells)
            text = f'IF(COUNT({cells})<{months},"beyond what was simulated",{value.text})'
            sheet.put(
                row,
                2 + column,
                Expr(text, value.value if known else "beyond what was simulated"),
                "total",
            )
    sheet.sheet.freeze_panes(4, 2)
    sheet.prints(table_first + len(factors), 1 + 2 * len(looked), 3, pages=1)


def _write_levels(
    sheet: Sheet,
    first: int,
    looked: Sequence[PlanUsage],
    levels: Levels,
    factors: Sequence[float],
    heads: tuple[Sequence[str], Sequence[str]],
) -> tuple[list[list[float]], list[list[float | str]]]:
    sheet.heads(first, ("Simulated at", "Traffic [×]", *heads[0], *heads[1]), numbers_from=1)
    bills: list[list[float]] = [[] for _ in looked]
    waits: list[list[float | str]] = [[] for _ in looked]
    for step, factor in enumerate(factors):
        row = first + 1 + step
        sheet.text(row, 0, f"level {step + 1}")
        sheet.put(row, 1, factor, "number")
        for column, plan in enumerate(looked):
            run, pools = levels[plan.plan_id][step]
            month = pools[0].month
            for pool in pools[1:]:
                month = month + pool.month
            bills[column].append(sheet.put(row, 2 + column, month, "money").number)
            cell = sheet.put(row, 2 + len(looked) + column, run.p99_ttft_s, "number")
            waits[column].append(cell.value if isinstance(cell.value, str) else float(cell.value))
    return bills, waits


def _level_of(traffic: Expr, cells: str, factors: Sequence[float]) -> Expr:
    """Return the place of the highest level that is not above a traffic; 0 below the lowest.

    A millionth of slack lets a traffic that is a level be that level whatever its last bits.
    """
    value = traffic.number * (1 + 1e-6)
    return Expr(
        f"IF({traffic.text}*1.000001<MIN({cells}),0,MATCH({traffic.text}*1.000001,{cells},1))",
        float(sum(factor <= value for factor in factors)),
    )


def _beyond(traffic: Expr, cells: str, factors: Sequence[float]) -> tuple[str, bool]:
    """Return whether a traffic is outside what was simulated, as text and value."""
    text = f"OR({traffic.text}*1.000001<MIN({cells}),{traffic.text}>MAX({cells})*1.000001)"
    value = traffic.number
    return text, value * 1.000001 < factors[0] or value > factors[-1] * 1.000001


def _between(
    traffic: Expr,
    place: Expr,
    levels: tuple[str, Sequence[float]],
    values: tuple[str, Sequence[float]],
) -> Expr:
    """Return what lies on the straight line between two levels; empty outside them."""
    cells, factors = levels
    last = len(factors) - 1
    low = Expr(f"MIN({place.text},{last})", min(place.number, last))
    text, is_beyond = _beyond(traffic, cells, factors)
    if is_beyond:
        low = Expr(low.text, 1.0)
    high = low + 1
    x0, x1 = picked(cells, factors, low), picked(cells, factors, high)
    y0, y1 = picked(values[0], values[1], low), picked(values[0], values[1], high)
    line = y0 + (y1 - y0) * (traffic - x0) / (x1 - x0)
    return Expr(f'IF({text},"",{line.text})', "" if is_beyond else line.value)


def _next_up(
    traffic: Expr,
    place: Expr,
    levels: tuple[str, Sequence[float]],
    values: tuple[str, Sequence[float | str]],
) -> Expr:
    """Return what was simulated at the next level that is not below a traffic."""
    cells, factors = levels
    text, is_beyond = _beyond(traffic, cells, factors)
    found: float | str = ""
    at = int(place.number)
    if not is_beyond:
        exact = factors[at - 1] * 1.000001 >= traffic.number
        found = values[1][at - 1 if exact else at]
    step = f"IF(INDEX({cells},{place.text})*1.000001>={traffic.text},0,1)"
    return Expr(f'IF({text},"",INDEX({values[0]},{place.text}+{step}))', found)


def write_sensitivity(
    sheet: Sheet,
    plans: PlanList,
    roles: Sequence[tuple[str, Expr]],
    committed: Committed | None,
    levels: Levels,
    inputs: Inputs,
    report: Report,
) -> None:
    """Write how the bill moves with prices, by formula, and with traffic, as simulated."""
    width = 1 + len(roles)
    sheet.widths(54, *[26] * len(roles))
    sheet.text(0, 0, "How the bill moves [$ a month]", "title")
    sheet.text(1, 0, "The plans are those chosen on Options.", "line")
    sheet.heads(3, ("", *(role for role, _ in roles)))
    sheet.text(4, 0, "Plan", "bold")
    for column, (_, name) in enumerate(roles, start=1):
        sheet.put(4, column, name, "right")
    row = 5
    sheet.section(row, "By formula, live on every yellow cell", width)
    band = inputs.price_band
    share = joined(fixed(band * 100, 0), quoted(" %"))
    own = committed
    for words, head, value in (
        (quoted("As it is"), "Bill [$ a month]", None if own is None else own.month),
        (
            joined(quoted("Every metered price lower by "), share),
            "Bill at lower prices [$ a month]",
            None if own is None else own.lower,
        ),
        (
            joined(quoted("Every metered price higher by "), share),
            "Bill at higher prices [$ a month]",
            None if own is None else own.higher,
        ),
    ):
        row += 1
        sheet.put(row, 0, words, "text")
        for column, (_, name) in enumerate(roles, start=1):
            is_own = own is not None and column == len(roles)
            cell = value if is_own and value is not None else plans.of(head, name)
            sheet.put(row, column, cell, "money")
    row += 2
    sheet.section(row, "Other traffic: simulated, each plan kept as it is, at these prices", width)
    sheet.text(row + 1, 0, "Plan", "bold")
    row += 1
    looked = list(levels)
    for column, plan_id in enumerate(looked, start=1):
        sheet.text(row, column, levels[plan_id][0][0].name, "right")
    if not levels:
        sheet.text(row + 1, 0, "Not computed: the traffic is too much.", "line")
    for step, (run, _) in enumerate(levels[looked[0]] if looked else ()):
        row += 1
        sheet.text(row, 0, f"Traffic × {run.traffic:.2f}: bill [$ a month]")
        for column, plan_id in enumerate(looked, start=1):
            pools = levels[plan_id][step][1]
            month = pools[0].month
            for pool in pools[1:]:
                month = month + pool.month
            sheet.put(row, column, month, "money")
    for step, (run, _) in enumerate(levels[looked[0]] if looked else ()):
        row += 1
        sheet.text(row, 0, f"Traffic × {run.traffic:.2f}: p99 wait [s]")
        for column, plan_id in enumerate(looked, start=1):
            sheet.put(row, column, levels[plan_id][step][0].p99_ttft_s, "number")
    row = _write_ranges(sheet, report, row + 2, width)
    sheet.sheet.freeze_panes(4, 1)
    sheet.prints(row, width - 1, 3)


def _write_ranges(sheet: Sheet, report: Report, row: int, width: int) -> int:
    """Write what luck and unknown inputs leave open: values that were simulated."""
    sheet.section(row, f"What is not known: simulated, of {report.plan_label}", width)
    if not report.ranges and not report.inputs:
        sheet.text(row + 1, 0, "Not computed yet when this file was made.", "line")
        return row + 1
    for what, _, words in report.ranges:
        row += 1
        sheet.text(row, 0, what)
        sheet.text(row, 1, words, "right")
    if report.inputs:
        row += 1
        heads = ("Input", "From … to", "Settles the answer in")
        for column, head in enumerate(heads):
            sheet.text(row, column, head, "number_head" if column else "head")
    for entry in report.inputs:
        row += 1
        sheet.text(row, 0, f"{entry['input']} [{entry['unit']}]")
        low, high = (spell.significant(float(entry[key])) for key in ("low", "high"))
        sheet.text(row, 1, f"{low} to {high}", "right")
        sheet.text(row, 2, spell.percent(float(entry["put_right_share"])), "right")
    return row
