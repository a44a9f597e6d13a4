"""The command that asks the market for several limits: what it asks, prints and writes.

The work is done in `frontier.ladder`; this is its words, and its files.
"""

from __future__ import annotations

import argparse
import json
import math
from typing import TYPE_CHECKING, Any

from frontier import spell
from frontier.cli_market import add_filters, add_output, cell, money, money_head, plain
from frontier.errors import InputError
from frontier.tables import Tables

if TYPE_CHECKING:
    from frontier.ladder import Ladder, Rung
    from frontier.ranges import Ranges


def add_ladder(parser: argparse.ArgumentParser) -> None:
    """Add to a parser which limits and offers are looked at, and what is printed and written."""
    parser.add_argument(
        "--limits",
        metavar="S,…",
        help="limits on p99 TTFT in seconds, instead of those of data/limits.csv; the limit of "
        "--slo-p99-ttft is always among them",
    )
    add_filters(parser)
    add_output(parser)


def limits_s(told: argparse.Namespace) -> tuple[float, ...] | None:
    """Return the limits that the arguments name [s]; None for those of the tables."""
    if told.limits is None:
        return None
    found = []
    for text in told.limits.split(","):
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not 0 < value < math.inf:
            raise InputError(f"--limits: expected seconds above 0, found '{text}'")
        found.append(value)
    return tuple(found)


def listed_s(tables: Tables) -> tuple[float, ...]:
    """Return the limits of the tables [s]."""
    return tuple(row.limit_s for row in tables.limits.values())


def printed(
    found: Ladder, luck: Ranges, tables: Tables, told: argparse.Namespace, about: list[str]
) -> str:
    """Return what the command prints."""
    if told.json:
        return as_json(found, luck, tables)
    if told.markdown:
        return as_markdown(found, luck, tables)
    hours = tables.setting("hours_per_month")
    lines = [_headline(found, hours)]
    lines += [f"  {sentence}" for sentence in (*_beneath(found, luck, hours), *about)]
    lines += [
        "",
        f"{'limit':>8}  {money_head(found.own.answer):>10}  {'saves':>18}  {'p99 TTFT':>12}  "
        f"{'by luck':>24}  {'over/1,000':>10}  plan",
    ]
    for rung in found.rungs:
        cost, saves, waits, spread, over, what = _cells(rung, luck, hours)
        limit = f"{'*' if rung.is_own else ''}{spell.seconds(rung.limit_s)}"
        lines.append(
            f"{limit:>8}  {cost:>10}  {saves:>18}  {waits:>12}  {spread:>24}  {over:>10}  {what}"
        )
    return "\n".join((*lines, "", "* the limit that was asked for; ? not sure with other luck"))


def as_file(suffix: str, found: Ladder, luck: Ranges, tables: Tables) -> bytes:
    """Return what a file of that kind holds."""
    from frontier.charts.ladder_chart import ladder_table
    from frontier.export import csv_bytes

    if suffix == ".csv":
        return csv_bytes(ladder_table(found, luck))
    if suffix == ".xlsx":
        from frontier.workbook import table_workbook

        return table_workbook("Ladder", ladder_table(found, luck))
    text = as_json(found, luck, tables) if suffix == ".json" else as_markdown(found, luck, tables)
    return text.encode("utf-8")


def as_json(found: Ladder, luck: Ranges, tables: Tables) -> str:
    """Return everything as JSON: what was asked, the headline, a row a limit."""
    from frontier.charts.ladder_chart import ladder_steps, ladder_table

    hours, first = tables.setting("hours_per_month"), found.markets[0]
    everything = {
        "asked": {
            "model": first.scenario.model,
            "precision": first.scenario.precision,
            "limit_s": found.own.limit_s,
            "limits_s": [rung.limit_s for rung in found.rungs],
            "traffic": first.trace.name,
            "requests": int(first.trace.arrival_s.size),
            "span_s": first.trace.horizon_s,
            "trace_digest": first.trace.digest,
            "priced_as_of": first.today,
        },
        "headline": _headline(found, hours),
        "sentences": _beneath(found, luck, hours),
        "limits": ladder_table(found, luck).astype(object).to_dict(orient="records"),
        "steps": ladder_steps(found).to_dict(orient="records"),
    }
    return json.dumps(plain(everything), indent=2, ensure_ascii=False, allow_nan=False)


def as_markdown(found: Ladder, luck: Ranges, tables: Tables) -> str:
    """Return the ladder to paste into a pull request."""
    hours = tables.setting("hours_per_month")
    lines = [
        f"**{_headline(found, hours)}**",
        "",
        *(f"- {sentence}" for sentence in _beneath(found, luck, hours)),
        "",
        f"| limit on p99 | {money_head(found.own.answer)} | saves | p99 TTFT | by luck "
        "| over it, of 1,000 | plan |",
        "|--:|--:|--:|--:|--:|--:|---|",
    ]
    for rung in found.rungs:
        limit = spell.seconds(rung.limit_s)
        words = " | ".join(map(cell, _cells(rung, luck, hours)))
        lines.append(f"| {f'**{limit}**' if rung.is_own else limit} | {words} |")
    return "\n".join(lines)


def _headline(found: Ladder, hours_per_month: float) -> str:
    from frontier.ladder import headline

    return headline(found, hours_per_month)


def _beneath(found: Ladder, luck: Ranges, hours_per_month: float) -> tuple[str, ...]:
    from frontier.ladder import beneath, unsure

    words = (beneath(found, hours_per_month), unsure(found, luck))
    return tuple(sentence for sentence in words if sentence)


def _cells(rung: Rung, luck: Ranges, hours_per_month: float) -> tuple[str, ...]:
    """Return what a rung says: cost, saving, p99, its range, requests over the limit, plan."""
    from frontier.ladder import span_in_words

    best, answer = rung.best, rung.answer
    if best is None:
        fastest = answer.fastest
        reached = "" if fastest is None else f"; the fastest reaches {_wait(fastest.p99_ttft_s)}"
        return "", "", "", "", "", f"none holds it{reached}"

    def amount(usd: float) -> str:
        return money(answer, usd, hours_per_month)

    saves = ""
    if rung.saves_usd is not None and rung.saves_share is not None:
        share = spell.percent(round(rung.saves_share, 3))
        saves = f"{amount(rung.saves_usd)} ({share})" if rung.saves_usd else "nothing"
    over = "" if rung.over_of_thousand is None else f"{rung.over_of_thousand}"
    what = "same as above" if rung.is_same else f"{best.where}, {best.policy}"
    known, spread = luck.plans.get(rung.run), ""
    if known is not None:
        spread = span_in_words(known.p99_ttft_s.low, known.p99_ttft_s.high)
        spread += "?" if known.p99_ttft_s.crosses(rung.limit_s) else ""
    return amount(best.usd_per_month), saves, _wait(best.p99_ttft_s), spread, over, what


def _wait(seconds: Any) -> str:
    return spell.seconds(float(seconds))
