"""What every plan uses and what that costs a month, a row for each of its offers.

Each dollar of every other sheet is taken from here. The columns of quantities hold what was
simulated; those of prices and dollars are formulas over them and the inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from frontier import spell
from frontier.billing import GPU_LINES, LINES, METERED
from frontier.workbook.cells import Expr, least, total
from frontier.workbook.inputs import Inputs, own_or
from frontier.workbook.sheet import Sheet, width_of
from frontier.workbook.usage import PlanUsage, PoolUsage

_QUANTITIES = (
    *(f"{name.capitalize()} [GPU-h]" for name in METERED),
    "Starts beyond the meters [GPU-h]",
    "Committed and not used [GPU-h]",
    "Host memory kept [GiB-h]",
    "Cores of a replica",
    "Memory of a replica [GiB]",
    "Replicas to a GPU",
    "Share under a commitment",
    "Pays the plan's fee",
    "Requests",
    "Stored [GB]",
)
_FIRST = 4
_PRICES = _FIRST + len(_QUANTITIES)
_DOLLARS = _PRICES + 2
_SUMS = _DOLLARS + len(LINES)
_SUM_HEADS = (
    "Bill a month",
    "Bill a year",
    "A month at lower prices",
    "A month at higher prices",
    "GPU a month, no commitment",
    "Used a month, before credit",
)


@dataclass(frozen=True, slots=True)
class PoolCells:
    """Where the dollars of one pool of a plan stand.

    Attributes
    ----------
    lines : dict of str to Expr
        By `billing.LINES`. [$/month]
    month, year, lower, higher : Expr
        [$/month], but the year [$/year]
    gpu_uncommitted : Expr
        GPU time before the discount of a commitment [$/month].
    used : Expr
        All that a credit can cover [$/month].
    fixed, by_request, credit : Expr
        Fee and storage, fees of requests, and the credit that there is at most [$/month].
    """

    lines: dict[str, Expr]
    month: Expr
    year: Expr
    lower: Expr
    higher: Expr
    gpu_uncommitted: Expr
    used: Expr
    fixed: Expr
    by_request: Expr
    credit: Expr


Metered = dict[tuple[bool, int], Expr]


def write_quantities(
    sheet: Sheet,
    plans: Sequence[PlanUsage],
    inputs: Inputs,
    *,
    title: str,
    metered: tuple[str, Metered] | None = None,
) -> list[tuple[PoolCells, ...]]:
    """Write a row for each pool of each plan and return where its dollars stand, plan by plan.

    Parameters
    ----------
    metered : (str, mapping), optional
        Id of a plan whose GPU-hours are sums over the sheet of meters, and those sums by pool and
        column.
    """
    heads = (
        "Plan",
        "Part",
        "Offer",
        "Traffic [×]",
        *_QUANTITIES,
        "GPU, discounts counted [$ a GPU-h]",
        "Cores and memory [$ a GPU-h]",
        *(f"{line[:1].upper()}{line[1:]} [$ a month]" for line in LINES),
        *(f"{head} [$]" for head in _SUM_HEADS),
    )
    sheet.widths(width_of([plan.name for plan in plans]), 8, 20, *[12] * (len(heads) - 3))
    sheet.text(0, 0, title, "title")
    span = spell.seconds(inputs.span_s.number)
    sheet.text(
        1,
        0,
        f"Hours, requests and starts are those of the {span} simulated; dollars are a month.",
        "line",
    )
    sheet.heads(2, heads, numbers_from=3)
    row, found = 2, []
    for plan in plans:
        cells = []
        for pool in plan.pools:
            row += 1
            sheet.text(row, 0, plan.name, "name")
            sheet.text(row, 1, "base" if pool.is_base else "plan")
            sheet.text(row, 2, pool.offer)
            sheet.put(row, 3, plan.traffic)
            sums = metered[1] if metered is not None and metered[0] == plan.plan_id else {}
            cells.append(_write_pool(sheet, row, plan, pool, inputs, sums))
        found.append(tuple(cells))
    sheet.sheet.freeze_panes(3, 1)
    sheet.prints(row, len(heads) - 1, 2, is_wide=True)
    return found


def _write_pool(
    sheet: Sheet, row: int, plan: PlanUsage, pool: PoolUsage, inputs: Inputs, sums: Metered
) -> PoolCells:
    price = inputs.offers[pool.offer]
    values = (
        *(sums.get((pool.is_base, place), hours) for place, hours in enumerate(pool.gpu_h)),
        pool.extra_start_gpu_h,
        pool.unused_committed_gpu_h,
        pool.kept_ram_gib_h,
        pool.vcpus,
        pool.ram_gib,
        pool.replicas_per_gpu,
        pool.covered_share,
        float(pool.pays_fee),
        0.0 if pool.is_base else float(plan.requests),
        0.0 if pool.is_base else plan.storage_gb,
    )
    cells = [
        sheet.put(row, column, value, "whole" if head == "Requests" else "number")
        for column, (head, value) in enumerate(zip(_QUANTITIES, values, strict=True), start=_FIRST)
    ]
    gpu_h, rest = cells[: len(METERED)], cells[len(METERED) :]
    extra, unused, kept_ram, vcpus, ram, per_gpu, covered, pays, requests, stored = rest
    listed = price.gpu * (1 - price.discount) * price.multiplier
    gpu = sheet.put(
        row, _PRICES, listed * (1 - inputs.commitment_discount * covered), "small_money"
    )
    host = sheet.put(
        row,
        _PRICES + 1,
        (own_or(price.own_vcpus, vcpus) * price.vcpu + own_or(price.own_ram_gib, ram) * price.gib)
        * per_gpu
        * price.multiplier,
        "small_money",
    )
    months = inputs.span_months
    hours = total(gpu_h, _span(sheet, row, _FIRST, _FIRST + len(METERED) - 1))
    fee_by_request = price.request_fee * requests / months
    formulas: dict[str, Expr] = {
        name: hour * gpu / months for name, hour in zip(GPU_LINES, gpu_h, strict=False)
    }
    formulas["starting"] = (gpu_h[METERED.index("starting")] + extra) * gpu / months
    formulas["unused commitment"] = unused * listed * (1 - inputs.commitment_discount) / months
    formulas["CPU and RAM"] = (
        (hours + extra) * host + kept_ram * price.gib * price.multiplier
    ) / months
    formulas["storage"] = stored * price.storage
    formulas["fees"] = price.fee * pays + fee_by_request
    at = {name: _DOLLARS + place for place, name in enumerate(LINES)}
    lines = {
        name: sheet.put(row, at[name], formulas[name], "money")
        for name in LINES
        if name != "credits"
    }
    used_lines = [lines[name] for name in (*GPU_LINES, "CPU and RAM")]
    first, last = at[LINES[0]], at["CPU and RAM"]
    sums_at = {name: _SUMS + place for place, name in enumerate(_SUM_HEADS)}
    used = sheet.put(
        row,
        sums_at["Used a month, before credit"],
        total(used_lines, _span(sheet, row, first, last)),
        "money",
    )
    credit = price.credit * pays
    lines["credits"] = sheet.put(row, at["credits"], -least(credit, used), "money")
    fixed = lines["storage"] + price.fee * pays
    month = sheet.put(
        row,
        sums_at["Bill a month"],
        total([lines[name] for name in LINES], _span(sheet, row, first, at["credits"])),
        "money",
    )

    def bill_at(factor: Expr) -> Expr:
        return used * factor - least(credit, used * factor) + lines["fees"] + lines["storage"]

    lower = sheet.put(
        row, sums_at["A month at lower prices"], bill_at(1 - inputs.price_band), "money"
    )
    higher = sheet.put(
        row, sums_at["A month at higher prices"], bill_at(inputs.price_band + 1), "money"
    )
    scale = inputs.year_scale
    year = sheet.put(
        row,
        sums_at["Bill a year"],
        (used * scale + fee_by_request * scale + fixed - least(credit, used * scale)) * 12,
        "money",
    )
    uncommitted = sheet.put(
        row,
        sums_at["GPU a month, no commitment"],
        (hours + extra) * listed / months,
        "money",
    )
    return PoolCells(
        lines, month, year, lower, higher, uncommitted, used, fixed, fee_by_request, credit
    )


def _span(sheet: Sheet, row: int, first: int, last: int) -> str:
    start = sheet.at(row, first, 0.0).text
    return f"{start}:{sheet.at(row, last, 0.0).text.partition('!')[2]}"
