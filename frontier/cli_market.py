"""The command that looks at every offer for a model: what it asks, prints and writes.

The work is done in `frontier.market`; this is its words, and its files.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from frontier import spell
from frontier.cli_options import add_out
from frontier.errors import InputError
from frontier.tables import Tables

if TYPE_CHECKING:
    from frontier.market import Market, MarketAnswer, Tried, Wanted

SUFFIXES = (".csv", ".json", ".xlsx", ".md")
KINDS = ("serverless", "dedicated", "reserved", "spot")


def add_market(parser: argparse.ArgumentParser) -> None:
    """Add to a parser which offers are looked at, and what is printed and written of them."""
    add_filters(parser)
    parser.add_argument(
        "--top", type=_top, default=20, metavar="N", help="offers to print; 20, 0 for all"
    )
    add_output(parser)


def add_filters(parser: argparse.ArgumentParser) -> None:
    """Add to a parser which offers are looked at."""
    add = parser.add_argument
    for name, what in (
        ("provider", "this provider's offers"),
        ("gpu", "offers of this GPU"),
        ("region", "prices of this region, as the list names it"),
    ):
        add(
            f"--{name}",
            action="append",
            default=[],
            metavar="NAME",
            help=f"only {what}; may be given several times",
        )
    add(
        "--kind",
        action="append",
        default=[],
        choices=KINDS,
        help="only offers of this kind; may be given several times",
    )
    add("--no-spot", action="store_true", help="leave out machines that can be taken away")
    add("--no-reserved", action="store_true", help="leave out prices that bind for a term")
    add("--no-community", action="store_true", help="leave out machines of third parties")
    add("--max-price-age", type=float, metavar="DAYS", help="leave out older prices")
    add("--prices", metavar="FILE", help="a price table of your own, beside the offers of data/")


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add to a parser in which form is printed, and what is written."""
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="print everything as JSON")
    how.add_argument(
        "--markdown", action="store_true", help="print a verdict to paste into a pull request"
    )
    add_out(parser, "the table (.csv, .xlsx), everything (.json) or the verdict (.md)")


def _top(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = -1
    if value < 0:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 0, found '{text}'")
    return value


def wanted_of(told: argparse.Namespace) -> Wanted:
    """Return which offers the arguments ask for."""
    from frontier.market import Wanted

    kinds = tuple(told.kind) or KINDS
    left_out = {"spot"} if told.no_spot else set()
    left_out |= {"reserved"} if told.no_reserved else set()
    kinds = tuple(kind for kind in kinds if kind not in left_out)
    if not kinds:
        raise InputError("--kind: every kind that is asked for is left out again")
    if told.max_price_age is not None and not told.max_price_age >= 0:
        raise InputError(f"--max-price-age: expected at least 0 days, found {told.max_price_age:g}")
    return Wanted(
        providers=tuple(told.provider),
        gpus=tuple(told.gpu),
        kinds=kinds,
        regions=tuple(told.region),
        community=not told.no_community,
        most_days=told.max_price_age,
    )


class Kept:
    """Results of one run of the command; nothing is forgotten, for they are used once."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, tuple[Tried, ...]] = OrderedDict()

    def get(self, key: Hashable) -> tuple[Tried, ...] | None:
        """Return what is kept under that key, or None."""
        return self._kept.get(key)

    def put(self, key: Hashable, value: tuple[Tried, ...], seconds: float) -> None:
        """Keep a value, however long it took to make."""
        self._kept[key] = value


def printed(
    found: Market,
    tables: Tables,
    told: argparse.Namespace,
    about: list[str],
    answer: MarketAnswer | None = None,
) -> str:
    """Return what the command prints; the ``answer`` is the market's, with its range if known."""
    from frontier.market import answer_of, headline, sentences

    if told.json:
        return as_json(found, tables, answer)
    if told.markdown:
        return as_markdown(found, tables, answer, top=told.top)
    answer, hours = answer or answer_of(found), tables.setting("hours_per_month")
    lines = [headline(answer, hours)]
    lines += [f"  {sentence}" for sentence in (*sentences(answer, hours), *about)]
    lines += ["", f"{'':>4}  {money_head(answer):>10}  {'p99 TTFT':>12}  offer"]
    shown = found.able[: told.top or None]
    for rank, row in enumerate(shown, start=1):
        choice = row.best or row.fastest
        if choice is None:
            continue
        cost = money(answer, choice.usd_per_month, hours)
        place = f"{rank}." if row.best is not None else "over"
        what = f"{row.offer.offer_id} ({row.offer.kind}, {choice.gpus} × {row.offer.gpu}"
        what += ", community hosts" if row.community else ""
        what += "" if row.staleness == "fresh" else f", price of {row.offer.priced_on}"
        lines.append(
            f"{place:>4}  {cost:>10}  {spell.seconds(choice.p99_s):>12}  {what}): {choice.policy}"
        )
    if more := len(found.able) - len(shown):
        lines.append(f"      and {spell.count(more, 'more offer')}; --top 0 prints all")
    if found.unable:
        lines += ["", "Cannot run it:"]
        lines += [f"  {row.offer.offer_id}: {row.reason}" for row in found.unable]
    return "\n".join(lines)


def as_file(
    suffix: str, found: Market, tables: Tables, answer: MarketAnswer | None = None
) -> bytes:
    """Return what a file of that kind holds."""
    from frontier.export import csv_bytes
    from frontier.market import market_table

    if suffix == ".csv":
        return csv_bytes(market_table(found))
    if suffix == ".xlsx":
        from frontier.workbook import table_workbook

        return table_workbook("Market", market_table(found))
    make = as_json if suffix == ".json" else as_markdown
    text = make(found, tables, answer)
    return text.encode("utf-8")


def as_json(found: Market, tables: Tables, answer: MarketAnswer | None = None) -> str:
    """Return everything as JSON: what was asked, the answer, its sentences, a row an offer."""
    from frontier.market import answer_of, headline, market_table, sentences

    answer, hours = answer or answer_of(found), tables.setting("hours_per_month")
    scenario, trace = found.scenario, found.trace
    rows = market_table(found).astype(object)
    everything = {
        "asked": {
            "model": scenario.model,
            "precision": scenario.precision,
            "limit_s": found.limit_s,
            "traffic": trace.name,
            "requests": int(trace.arrival_s.size),
            "span_s": trace.horizon_s,
            "trace_digest": trace.digest,
            "priced_as_of": found.today,
        },
        "headline": headline(answer, hours),
        "sentences": sentences(answer, hours),
        "answer": asdict(answer),
        "offers": rows.to_dict(orient="records"),
    }
    return json.dumps(plain(everything), indent=2, ensure_ascii=False, allow_nan=False)


def as_markdown(
    found: Market, tables: Tables, answer: MarketAnswer | None = None, *, top: int = 10
) -> str:
    """Return the verdict to paste into a pull request: answer, sentences, the best offers."""
    from frontier.market import answer_of, headline, sentences

    answer, hours = answer or answer_of(found), tables.setting("hours_per_month")
    scenario, trace = found.scenario, found.trace
    lines = [
        f"**{headline(answer, hours)}**",
        "",
        *(f"- {sentence}" for sentence in sentences(answer, hours)),
        "",
        f"{scenario.model}, {scenario.precision}; {cell(trace.name)}: "
        f"{spell.count(trace.arrival_s.size, 'request')} over {spell.seconds(trace.horizon_s)}.",
        "",
        "| | offer | kind | GPUs of a replica | plan "
        f"| {money_head(answer)} | p99 TTFT | price of |",
        "|--:|---|---|---|---|--:|--:|---|",
    ]
    for rank, row in enumerate(found.holding[: top or None], start=1):
        choice, offer = row.best, row.offer
        if choice is None:
            continue
        community = " (community hosts)" if row.community else ""
        lines.append(
            f"| {rank} | {cell(offer.provider)} {cell(offer.product)}{community} | {offer.kind} "
            f"| {choice.gpus} × {offer.gpu} | {cell(choice.policy)} "
            f"| {money(answer, choice.usd_per_month, hours)} | {spell.seconds(choice.p99_s)} "
            f"| {offer.priced_on} |"
        )
    return "\n".join(lines)


def cell(text: str) -> str:
    """Return a text that cannot end a cell or begin markup."""
    for mark in "\\|*_`<>[]":
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())


def money_head(answer: MarketAnswer) -> str:
    """Return what a column of costs is called: of an hour where less than a day was seen."""
    return "$/hour" if answer.is_short else "$/month"


def money(answer: MarketAnswer, usd_per_month: float, hours_per_month: float) -> str:
    """Return an amount of such a column."""
    return spell.dollars(usd_per_month / hours_per_month if answer.is_short else usd_per_month)


def plain(value: Any) -> Any:
    """Return a value that JSON has: no NaN, no infinity, dates as text."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dt.date):
        return value.isoformat()
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not -1e308 < value < 1e308:
        return None
    return value
