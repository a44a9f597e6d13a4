"""Who sells a price, whose machines they are, and where: what the words of a price list mean.

Nothing is decided here that data/provider_names.csv, data/hosting.csv and data/places.csv do not
say; a name that stands in none of them is not known.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

from frontier.tables import OWN_SOURCE, Hosting, Offer, Tables

_EVERYBODY = "*"


class ProviderNames:
    """Finds providers by the names that price lists, folders and files give them."""

    def __init__(self, tables: Tables) -> None:
        self._names = {
            folded(name): row.provider
            for row in tables.provider_names.values()
            for name in (*row.names, row.provider)
        }

    def find(self, name: str) -> str | None:
        """Return the provider of that name, None if nobody here goes by it."""
        return self._names.get(folded(name))

    def within(self, name: str) -> str | None:
        """Return the only provider that a file's name speaks of, None if none or several."""
        found = {self.find(word) for word in (name, *re.split(r"[\W_]+", name))} - {None}
        return found.pop() if len(found) == 1 else None


def folded(provider: str) -> str:
    """Return a provider's name without case, blanks and marks."""
    return re.sub(r"[\W_]+", "", provider.casefold())


def security(provider: str, product: str, region: str, tables: Tables) -> str | None:
    """Return "secure", "community", or None where nothing tells.

    Parameters
    ----------
    provider, product, region : str
        As an offer or a price list names them.
    """
    row = _hosting(provider, product, region, tables)
    return None if row is None else row.security


def _hosting(provider: str, product: str, region: str, tables: Tables) -> Hosting | None:
    product, region = product.casefold(), region.casefold()
    own = [row for row in tables.hosting.values() if row.provider == provider]
    for row in own or [row for row in tables.hosting.values() if row.provider == _EVERYBODY]:
        if _fits(product, row.products) and _fits(region, row.places):
            return row
    return None


def hosting_of(offer: Offer, tables: Tables) -> Hosting | None:
    """Return what is known of whose machines an offer's are; None: nothing is stated.

    What the general row assumes of sellers that are known here says nothing of a price that
    somebody brought.
    """
    known = any(row.provider == offer.provider for row in tables.hosting.values())
    if offer.source_id == OWN_SOURCE and not known:
        return None
    return _hosting(offer.provider, offer.product, offer.region, tables)


def security_of(offer: Offer, tables: Tables) -> str | None:
    """Return whether an offer's machines are "secure" or "community"; None: not stated."""
    row = hosting_of(offer, tables)
    return None if row is None else row.security


def lies_in(place: str, region: str, tables: Tables) -> bool:
    """Whether a region of a price list is the region of an offer, or lies within it."""
    place = place.casefold()
    if place == region.casefold():
        return True
    return any(row.region == region and _fits(place, row.names) for row in tables.places.values())


def _fits(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern.casefold()) for pattern in patterns)
