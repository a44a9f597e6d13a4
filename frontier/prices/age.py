"""How old a price is, when it goes stale, and whose it is, in words."""

from __future__ import annotations

import datetime as dt

from frontier import spell
from frontier.tables import OWN_SOURCE, Offer, Release, Tables

NOT_SOLD = "no"
"""What ``Offer.available`` says of an offer that is not sold any more."""


def age_days(offer: Offer, today: dt.date) -> int:
    """Return the age of a price in days."""
    return (today - offer.priced_on).days


def staleness(offer: Offer, today: dt.date, tables: Tables) -> str:
    """Return "fresh", "stale", or "ask" where a price should be read anew before it is used."""
    age = age_days(offer, today)
    if age > tables.setting("price_ask_days"):
        return "ask"
    return "stale" if age > tables.setting("price_stale_days") else "fresh"


def days_left(offer: Offer, today: dt.date, tables: Tables) -> int | None:
    """Return in how many days a price counts as stale; None where that is not soon or is so now."""
    left = int(tables.setting("price_stale_days")) + 1 - age_days(offer, today)
    return left if 1 <= left <= tables.setting("price_warn_days") else None


def going_stale(today: dt.date, tables: Tables) -> dict[str, int]:
    """Return the days left to each offer that goes stale soon, the first to go first [days].

    What is stale already, what somebody brought and what is not sold any more is not among them.
    """
    left = {
        offer.offer_id: days
        for offer in tables.offers.values()
        if offer.source_id != OWN_SOURCE
        and offer.available != NOT_SOLD
        and (days := days_left(offer, today, tables)) is not None
    }
    return dict(sorted(left.items(), key=lambda pair: pair[1]))


def stale_in_words(today: dt.date, tables: Tables) -> str | None:
    """Return what a page says of prices that are stale or soon will be, None if there are none."""
    soon = going_stale(today, tables)
    stale = [
        offer.offer_id
        for offer in tables.offers.values()
        if offer.source_id != OWN_SOURCE
        and offer.available != NOT_SOLD
        and staleness(offer, today, tables) != "fresh"
    ]
    limit = f"{tables.setting('price_stale_days'):g} days"
    within = f"within {tables.setting('price_warn_days'):g} days"
    if not soon:
        return f"{_prices(len(stale))} older than {limit}." if stale else None
    key, days = next(iter(soon.items()))
    first = tables.offers[key]
    next_one = (
        f"the next, {named(first)} (price of {first.priced_on}), in {spell.count(days, 'day')}"
    )
    if not stale:
        count = spell.count(len(soon), "price")
        return f"{count} will be older than {limit} {within}; {next_one}."
    more = f"{len(soon):,} more will be {within}"
    return f"{_prices(len(stale))} older than {limit}, {more}; {next_one}."


def named(offer: Offer) -> str:
    """Return an offer as people name it: provider, product and GPU, the GPU once."""
    name = f"{offer.provider} {offer.product}"
    return name if offer.gpu in offer.product else f"{name}, {offer.gpu}"


def _prices(count: int) -> str:
    return f"{spell.count(count, 'price')} {'is' if count == 1 else 'are'}"


def newest_release(tables: Tables) -> Release:
    """Return the release whose day the prices of data/ are held to."""
    return max(tables.releases.values(), key=lambda row: row.released_on)


def stale_at_release(tables: Tables) -> dict[str, int]:
    """Return the age at the release of each featured offer that is older than it allows [days]."""
    release = newest_release(tables)
    ages = {
        offer.offer_id: age_days(offer, release.released_on)
        for offer in tables.offers.values()
        if offer.featured
    }
    return {key: days for key, days in ages.items() if days > release.featured_days}


def origin_in_words(offer: Offer, tables: Tables) -> str:
    """Return whose price it is and of when: "list price of 2026-07-01, Modal pricing"."""
    if offer.source_id == OWN_SOURCE:
        return f"your price, dated {offer.priced_on}"
    return f"{offer.price_kind} price of {offer.priced_on}, {tables.source_of(offer).title}"
