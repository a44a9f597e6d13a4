"""How old a price is, when it goes stale, and whose it is, in words."""

from __future__ import annotations

import datetime as dt

from frontier.tables import OWN_SOURCE, Offer, Release, Tables


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
    """Return in how many days a price goes stale, None where that is not soon or has been."""
    left = int(tables.setting("price_stale_days")) - age_days(offer, today)
    return left if 0 <= left < tables.setting("price_warn_days") else None


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
