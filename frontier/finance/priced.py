"""Each price of a record: what it is of, its date, who supplied it, and whether it is stale."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from frontier.finance.columns import Column
from frontier.prices.age import age_days, named, staleness
from frontier.tables import OWN_SOURCE, Tables


@dataclass(frozen=True, slots=True)
class Priced:
    """One price.

    Attributes
    ----------
    offer_id : str
    offer : str
        Provider, product and GPU.
    usd_per_gpu_h, discount : float
        List price of a GPU [$/h], and the share taken off it by a commitment [1].
    cpu_ram_usd_per_gpu_h : float
        Of the cores and memory that go with a GPU, where they are metered [$/h].
    priced_on : date
    supplier : str
        Whose price it is: the source, or the reader.
    age_days : int
    is_stale : bool
        Whether it is older than a price may be before it is read anew.
    """

    offer_id: str
    offer: str
    usd_per_gpu_h: float
    discount: float
    cpu_ram_usd_per_gpu_h: float
    priced_on: dt.date
    supplier: str
    age_days: int
    is_stale: bool


def prices_of(columns: Iterable[Column], tables: Tables, today: dt.date) -> tuple[Priced, ...]:
    """Return each price that these plans are billed at once, in their order."""
    found: dict[tuple[str, float], Priced] = {}
    for column in columns:
        for pool in column.basis.pools:
            offer = tables.offers[pool.offer_id]
            found.setdefault(
                (pool.offer_id, pool.discount),
                Priced(
                    pool.offer_id,
                    named(offer),
                    pool.usd_per_gpu_h,
                    pool.discount,
                    pool.cpu_ram_usd_per_gpu_h,
                    offer.priced_on,
                    "typed in or uploaded by the reader"
                    if offer.source_id == OWN_SOURCE
                    else tables.source_of(offer).title,
                    age_days(offer, today),
                    staleness(offer, today, tables) != "fresh",
                ),
            )
    return tuple(found.values())
