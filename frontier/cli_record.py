"""The command line's part about a record: whose it is, in what currency, tax and years."""

from __future__ import annotations

import argparse

from frontier.company import FIELDS, Company, company_of
from frontier.errors import InputError
from frontier.tables import Tables

_WORDS = {
    "name": ("NAME", "whose record it is"),
    "code": ("CODE", "its currency as three capital letters; with --rate and --rate-on"),
    "per_usd": ("NUMBER", "how much of that currency a dollar buys"),
    "rate_on": ("DATE", "the day of that rate, as 2026-01-31"),
    "tax_rate": ("PERCENT", "tax on what is bought, in per cent"),
    "years": ("YEARS", "over how many years costs are summed"),
    "egress_usd_per_month": ("USD", "egress and other network traffic, dollars a month"),
    "support_usd_per_month": ("USD", "support contracts, dollars a month"),
    "staff_usd_per_month": ("USD", "staff, dollars a month"),
    "prepared_by": ("NAME", "name and role of who prepared it"),
    "approved_by": ("NAME", "name and role of who approves it"),
}


def add_record(parser: argparse.ArgumentParser) -> None:
    """Add what a record needs to know of its reader, under the names of the choices of a link."""
    group = parser.add_argument_group("record and workbook")
    for name, (metavar, words) in _WORDS.items():
        group.add_argument(_option(name), metavar=metavar, dest=f"company_{name}", help=words)
    group.add_argument(
        "--annex",
        action="store_true",
        help="after the one page of an .html record: how each figure is computed, and sources",
    )


def company_told(told: argparse.Namespace, tables: Tables) -> Company:
    """Return whose record it is, each option checked.

    Raises
    ------
    InputError
        If one cannot be used.
    """
    given = {name: getattr(told, f"company_{name}") for name in FIELDS}
    try:
        return company_of(
            {FIELDS[name]: text for name, text in given.items() if text is not None}, tables
        )
    except InputError as error:
        raise InputError(f"--{str(error).replace('_', '-', 1)}") from None


def _option(name: str) -> str:
    return f"--{FIELDS[name].replace('_', '-')}"
