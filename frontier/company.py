"""Who reads the record, and in what money: company, currency, tax, years, signatures, own costs.

All of it is typed by a person, kept among the choices of a scenario (`FIELDS` are their names in
the link and in the scenario file), and read from there by `company_of`. No rate of a currency and
no tax rate is shipped or fetched: without the person's own there are dollars and no tax.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from frontier import spell
from frontier.delimited import is_control
from frontier.errors import InputError
from frontier.tables import Setting, Tables

DOLLARS = "USD"
"""The currency of every price list here."""

FIELDS = {
    "name": "company",
    "code": "currency",
    "per_usd": "rate",
    "rate_on": "rate_on",
    "tax_rate": "tax",
    "years": "years",
    "egress_usd_per_month": "egress",
    "support_usd_per_month": "support",
    "staff_usd_per_month": "staff",
    "prepared_by": "prepared_by",
    "approved_by": "approved_by",
}
"""The choice of a link or scenario file that holds each; the tax is in per cent there."""

SETTINGS = {
    "per_usd": "currency_per_usd",
    "tax_rate": "tax_rate",
    "years": "years_looked_at",
    "egress_usd_per_month": "egress_usd_per_month",
    "support_usd_per_month": "support_usd_per_month",
    "staff_usd_per_month": "staff_usd_per_month",
}
"""The row of data/settings.csv with the default and the bounds of each number."""

PERCENT = 100.0


def is_code(text: str) -> bool:
    """Whether a text may be the code of a currency."""
    return re.fullmatch("[A-Z]{3}", text) is not None


@dataclass(frozen=True, slots=True)
class Currency:
    """The currency of a record, at the person's own rate.

    ``per_usd`` is how much of it one dollar buys, on ``rate_on``; for dollars 1 and no date.

    Raises
    ------
    InputError
        If the code is not three capital letters, or the rate is no number above 0 with a date.
    """

    code: str = DOLLARS
    per_usd: float = 1.0
    rate_on: dt.date | None = None

    def __post_init__(self) -> None:
        if not is_code(self.code):
            raise InputError(
                f"Expected a currency as three capital letters, as EUR; found {self.code!r}"
            )
        if not 0 < self.per_usd < math.inf:
            raise InputError(
                f"Expected a rate above 0 as {self.code} for a dollar, found {self.per_usd!r}"
            )
        if self.is_foreign and self.rate_on is None:
            raise InputError(f"The rate of {self.code} for a dollar needs its date")
        if not self.is_foreign and self.per_usd != 1:
            raise InputError(f"A dollar buys one dollar, found a rate of {self.per_usd:g}")

    @property
    def is_foreign(self) -> bool:
        """Whether it is another one than that of the prices."""
        return self.code != DOLLARS

    def amount(self, usd: float) -> float:
        """Return so many dollars in this currency."""
        return usd * self.per_usd

    def money(self, usd: float) -> str:
        """Return so many dollars in this currency as text, with its code where it is another."""
        if not self.is_foreign:
            return spell.dollars(usd)
        return spell.dollars(self.amount(usd)).replace("$", f"{self.code} ", 1)

    @property
    def in_words(self) -> str:
        """Return what the rate is and whose; empty for dollars."""
        if not self.is_foreign:
            return ""
        return f"1 USD = {self.per_usd:,g} {self.code}, typed in, of {self.rate_on}"


@dataclass(frozen=True, slots=True)
class Company:
    """Who a record is for, and what that adds to a bill.

    Attributes
    ----------
    name : str
        Empty where nobody gave one.
    currency : Currency
    tax_rate : float
        On all that is bought (so not on staff). [1]
    years : int
        Over how many years costs are summed.
    egress_usd_per_month, support_usd_per_month, staff_usd_per_month : float
        What the person pays beside any plan's bill; 0 until filled. [$/month]
    prepared_by, approved_by : str
        Name and role of who signs; empty leaves room for it.
    """

    name: str = ""
    currency: Currency = Currency()
    tax_rate: float = 0.0
    years: int = 1
    egress_usd_per_month: float = 0.0
    support_usd_per_month: float = 0.0
    staff_usd_per_month: float = 0.0
    prepared_by: str = ""
    approved_by: str = ""

    @property
    def own_lines_usd_per_month(self) -> dict[str, float]:
        """Return what is paid beside the bill, by the words for it [$/month]."""
        return {
            "Egress and other network traffic": self.egress_usd_per_month,
            "Support contracts": self.support_usd_per_month,
            "Staff": self.staff_usd_per_month,
        }

    @property
    def bought_usd_per_month(self) -> float:
        """What of that is bought, and so taxed [$/month]."""
        return self.egress_usd_per_month + self.support_usd_per_month


NOBODY = Company()
"""Dollars, no tax, one year, nothing beside the bill; of nobody in particular."""


def company_of(choices: Mapping[str, str], tables: Tables) -> Company:
    """Return the company of these choices, each checked; what is absent is the default of data/.

    Parameters
    ----------
    choices : mapping of str to str
        As a link or a scenario file holds them; others than `FIELDS` are none of its business.

    Raises
    ------
    InputError
        If one cannot be used; the sentence says which, what was expected and what was found.
    """
    given = {name: choices[key] for name, key in FIELDS.items() if key in choices}
    numbers = {
        name: _number(FIELDS[name], given.get(name), tables.settings[row])
        for name, row in SETTINGS.items()
    }
    if numbers["years"] != int(numbers["years"]):
        raise InputError(f"years: expected a whole number, found {given['years']!r}")
    longest = int(tables.setting("upload_longest_name"))
    name, prepared_by, approved_by = (
        _text(FIELDS[field], given.get(field, ""), longest)
        for field in ("name", "prepared_by", "approved_by")
    )
    return Company(
        name=name,
        currency=_currency(given, numbers["per_usd"]),
        tax_rate=numbers["tax_rate"],
        years=int(numbers["years"]),
        egress_usd_per_month=numbers["egress_usd_per_month"],
        support_usd_per_month=numbers["support_usd_per_month"],
        staff_usd_per_month=numbers["staff_usd_per_month"],
        prepared_by=prepared_by,
        approved_by=approved_by,
    )


def _currency(given: Mapping[str, str], per_usd: float) -> Currency:
    code = given.get("code", DOLLARS)
    if code == DOLLARS:
        # A rate that was typed for another currency, before the person came back to dollars.
        return Currency()
    if not is_code(code):
        raise InputError(f"currency: expected three capital letters, as EUR; found {code!r}")
    if "per_usd" not in given:
        raise InputError(
            f"currency: expected the rate of {code} for a dollar beside it, found none; "
            "no rate is made up"
        )
    try:
        rate_on = dt.date.fromisoformat(given["rate_on"])
    except KeyError:
        raise InputError(
            f"currency: expected the date of the rate of {code} beside it, found none"
        ) from None
    except ValueError:
        raise InputError(
            f"rate_on: expected a date as 2026-01-31, found {given['rate_on']!r}"
        ) from None
    return Currency(code, per_usd, rate_on)


def _number(key: str, text: str | None, row: Setting) -> float:
    if text is None:
        return row.value
    low, high = row.bounds
    scale = PERCENT if row.setting_id == SETTINGS["tax_rate"] else 1.0
    try:
        value = float(text) / scale
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise InputError(
            f"{key}: expected a number from {low * scale:g} to {high * scale:g}, found {text!r}"
        )
    return value


def _text(key: str, text: str, longest: int) -> str:
    if len(text) > longest:
        raise InputError(f"{key}: expected at most {longest} characters, found {len(text):,}")
    if any(map(is_control, text)):
        raise InputError(f"{key}: expected plain text, found a control character")
    return text.strip()
