"""The command that renews the prices of data/: what it asks, prints and writes.

It proposes and, with ``--apply``, writes what needs no accepting and what is accepted by name. The
work is done in `frontier.refresh`; this is its words.
"""

from __future__ import annotations

import argparse
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from frontier import spell
from frontier.cli_options import add_out
from frontier.errors import InputError
from frontier.tables import DATA_DIR, Tables, load_tables

if TYPE_CHECKING:
    from frontier.refresh import Proposal


@dataclass(frozen=True, slots=True)
class Proposed:
    """A proposal, the tables that it is about, where they stand, and the day."""

    proposal: Proposal
    tables: Tables
    folder: Path
    today: dt.date


def add_refresh(parser: argparse.ArgumentParser) -> None:
    """Add to a parser what the renewal of prices asks."""
    add = parser.add_argument
    add(
        "paths",
        nargs="*",
        metavar="PATH",
        help="gpuhunt or SkyPilot catalogue, or a price table: CSV, folder or zip",
    )
    add(
        "--from-network",
        action="append",
        default=[],
        metavar="NAME",
        help="fetch a row of data/catalogues.csv, or all of gpuhunt or skypilot",
    )
    add("--provider", metavar="NAME", help="whose catalogue it is, if its name does not say so")
    add("--as-of", metavar="DATE", help="day of prices that have no date of their own; today")
    add("--source", metavar="URL", help="where the prices of a table of your own stand")
    add("--usd-per", action="append", default=[], metavar="CODE=RATE", help="dollars for 1 EUR, …")
    add("--complete", action="store_true", help="your tables list all that their providers sell")
    add("--all-rows", action="store_true", help="print confirmed and unmatched rows one by one")
    add_out(parser, "the proposal: .csv or .json")
    add("--apply", action="store_true", help="write into data/ what needs no accepting")
    add(
        "--accept",
        action="append",
        default=[],
        metavar="OFFER[=PRICE]",
        help="and this one, too: a large move, a new offer, one that is gone; or all",
    )
    add("--data", metavar="FOLDER", help="the tables to renew; those of this copy")


def propose(told: argparse.Namespace) -> Proposed:
    """Read what is brought, print what it would change, and return it.

    Raises
    ------
    InputError
        If an option or a file cannot be used.
    """
    from frontier import refresh

    today = dt.date.today()
    folder = DATA_DIR if told.data is None else Path(told.data).resolve()
    tables = load_tables(folder)
    as_of = today if told.as_of is None else _day(told.as_of)
    if told.accept and not told.apply:
        raise InputError("--accept: nothing is accepted without --apply")
    if not told.paths and not told.from_network:
        raise InputError("expected a price list to read, or --from-network NAME")
    provider = _provider(told.provider, tables)
    usd_per = _rates(told.usd_per)
    brought = [
        item for path in told.paths for item in refresh.inputs_from(Path(path), tables, provider)
    ]
    for name in told.from_network:
        brought += refresh.inputs_from_network(name, tables)
    reading = refresh.read(
        brought,
        tables,
        as_of=as_of,
        usd_per=usd_per,
        complete=told.complete,
        source=told.source,
    )
    proposal = refresh.propose(reading, tables, as_of=as_of, today=today)
    for line in refresh.in_words(proposal, everything=told.all_rows):
        print(line)
    return Proposed(proposal, tables, folder, today)


def as_file(suffix: str, proposal: Proposal) -> bytes:
    """Return a proposal as a file of that kind."""
    from frontier.refresh import as_json, records

    if suffix == ".json":
        return as_json(proposal)
    import pandas as pd

    from frontier.export import csv_bytes

    return csv_bytes(pd.DataFrame(list(records(proposal))))


def decide(told: argparse.Namespace, proposed: Proposed) -> None:
    """Print what waits to be accepted; with ``--apply``, write the rest into data/.

    Raises
    ------
    InputError
        If something is accepted that was not proposed, or data/ cannot be written.
    TableError
        If the new tables would not be sound.
    """
    from frontier.prices import stale_at_release
    from frontier.refresh import Accepted, apply

    tables = proposed.tables
    taken, waiting = Accepted.of(told.accept).taken(proposed.proposal)
    print()
    if waiting:
        print(f"{'Not applied' if told.apply else 'Waiting for --accept'}: {len(waiting):,}")
        for item, why in waiting if told.apply else ():
            print(f"  {item.offer_id}: {why}")
    if not told.apply:
        print(f"--apply would write {spell.count(len(taken), 'offer')}; nothing has changed.")
        return
    if not taken:
        print("There is nothing to write; nothing has changed.")
        return
    applied = apply(taken, tables, today=proposed.today, data_dir=proposed.folder)
    print(f"Wrote {spell.count(len(taken), 'offer')}: {', '.join(applied.files)}.")
    if applied.sources_new:
        print(f"  New in sources.csv: {', '.join(applied.sources_new)}")
    if applied.sources_gone:
        print(
            f"  Taken out of sources.csv, as no row names them: {', '.join(applied.sources_gone)}"
        )
    notes = [i.offer_id for i in taken if i.offer_id in tables.offers and i.offer and i.offer.note]
    if notes:
        print(f"  Notes stayed; see whether they still hold: {', '.join(notes)}")
    for offer_id, days in stale_at_release(applied.tables).items():
        print(f"  {offer_id} is featured and {days} days older than the release: renew it, too")


def _provider(name: str | None, tables: Tables) -> str | None:
    from frontier.prices.who_sells import ProviderNames

    found = None if name is None else ProviderNames(tables).find(name)
    if name is not None and found is None:
        raise InputError(f"--provider: no provider here is called '{name}'")
    return found


def _day(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise InputError(f"--as-of: expected a date like 2026-11-24, found '{text}'") from None


def _rates(words: Sequence[str]) -> dict[str, float]:
    rates = {}
    for word in words:
        code, _, rate = word.partition("=")
        try:
            rates[code.upper()] = float(rate)
        except ValueError:
            raise InputError(f"--usd-per: expected CODE=RATE, found '{word}'") from None
    return rates
