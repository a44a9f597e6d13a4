"""The command that sets a bill beside the prediction: what it asks, prints and writes.

The work is done in `frontier.reality`; this is its words, and its files.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING

from frontier import spell
from frontier.cli_options import add_out
from frontier.errors import InputError

if TYPE_CHECKING:
    from frontier.reality import PaidBill, Reality
    from frontier.study import Study
    from frontier.tables import Tables

SUFFIXES = (".csv",)


def add_reality(parser: argparse.ArgumentParser) -> None:
    """Add to a parser what is asked of a bill."""
    parser.add_argument("--plan", metavar="ID", help="the plan that runs; the answer's")
    parser.add_argument("--bill", metavar="FILE", help="a provider's bill or a FOCUS file, as CSV")
    parser.add_argument("--month", metavar="YYYY-MM", help="the month of the bill that counts")
    parser.add_argument("--only", default="", metavar="TEXT", help="rows with this text alone")
    parser.add_argument(
        "--rate", metavar="CODE=NUMBER", help="your rate of the bill's currency for a dollar"
    )
    parser.add_argument(
        "--cost-column", metavar="NAME", help="of a bill of no known format: what was paid"
    )
    parser.add_argument("--quantity-column", metavar="NAME", help="its column of GPU time")
    parser.add_argument(
        "--quantity-unit",
        default="GPU-hours",
        metavar="UNIT",
        help="of that column: GPU-hours, hours of machines, seconds; GPU-hours unless given",
    )
    parser.add_argument("--paid", type=float, metavar="USD", help="without a file: what was paid")
    parser.add_argument("--gpu-hours", type=float, metavar="H", help="GPU-hours billed")
    parser.add_argument("--starts", type=float, metavar="N", help="replicas that were started")
    parser.add_argument("--hours", type=float, metavar="H", help="hours of the bill; a month")
    add_out(parser, "the lines: .csv")


def paid_bill(told: argparse.Namespace, study: Study, plan_id: str) -> PaidBill:
    """Return the bill that was told, from a file or from numbers.

    Raises
    ------
    InputError
        If there is none, or it cannot be read.
    """
    import dataclasses

    from frontier.reality import BillQuestion, paid_of, read_bill

    if (told.bill is None) == (told.paid is None):
        raise InputError("Give a bill with --bill FILE, or what was paid with --paid USD")
    if told.bill is None:
        hours = study.hours_per_month if told.hours is None else told.hours
        return paid_of(told.paid, hours=hours, gpu_h=told.gpu_hours, starts=told.starts)
    try:
        content = Path(told.bill).read_bytes()
    except OSError as error:
        raise InputError(f"--bill: cannot read '{told.bill}' ({error.strerror})") from None
    pools = study.basis(study.outcomes[plan_id]).pools
    try:
        found = read_bill(
            content,
            study.tables,
            cost_column=told.cost_column,
            quantity_column=told.quantity_column,
            quantity_unit=told.quantity_unit,
            month=told.month,
            per_usd=_rate(told.rate),
            only=told.only,
            gpus_per_machine=max(pool.meters.gpus for pool in pools),
        )
    except BillQuestion as question:
        option = f"--{question.parameter.replace('_', '-')}"
        raise InputError(f"{question} Say it with {option}.") from None
    return dataclasses.replace(
        found,
        starts=told.starts,
        gpu_h=found.gpu_h if told.gpu_hours is None else told.gpu_hours,
        hours=found.hours if told.hours is None else told.hours,
    )


def _rate(text: str | None) -> dict[str, float]:
    if text is None:
        return {}
    code, _, number = text.partition("=")
    try:
        return {code.strip().upper(): float(number)}
    except ValueError:
        raise InputError(f"--rate: expected a rate as EUR=0.9, found '{text}'") from None


def labels(tables: Tables) -> dict[str, str]:
    """Return what each kind of charge is called."""
    return {kind: row.label for kind, row in tables.bill_words.items()}


def printed(found: Reality, study: Study) -> str:
    """Return what the command prints: the answer, the lines, the candidates."""
    from frontier.reality import headline, reality_table, sentences

    lines = [headline(found, study.tables)]
    lines += [f"  {sentence}" for sentence in sentences(found, study.tables)]
    table = reality_table(found, labels(study.tables))
    lines += ["", f"{found.label}, in the {found.paid.hours:,.0f} hours of the bill:", ""]
    lines.append(f"  {'':<34} {'predicted':>12} {'paid':>12} {'difference':>12}")
    for row in table.itertuples():
        cells = (_cell(value, row.unit) for value in (row.predicted, row.paid, row.difference))
        lines.append(f"  {row.line:<34} " + " ".join(f"{cell:>12}" for cell in cells))
    lines += ["", "What would close the gap, each alone:", ""]
    for one in found.candidates:
        value = "none" if one.value is None else _figure(one.value, one.unit)
        mark = "plausible" if one.is_plausible else "not plausible"
        lines.append(
            f"  {one.name}: {value} in place of {_figure(one.predicted, one.unit)} ({mark}). "
            f"{one.why}"
        )
    return "\n".join(lines)


def _cell(value: float, unit: str) -> str:
    if math.isnan(value):
        return "not said"
    if unit.startswith("$"):
        return spell.dollars(value) if round(value, 2) else "$0"
    return f"{value:,.1f}"


def _figure(value: float, unit: str) -> str:
    if unit == "share":
        return spell.percent(value)
    if unit.startswith("$"):
        return f"{spell.dollars(value)}{unit[1:]}"
    return f"{spell.significant(value)} {unit}"
