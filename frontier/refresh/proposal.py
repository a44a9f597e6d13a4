"""Old beside new: what a reading would change, what is new, what is gone, what must be accepted.

A move beyond the limit (data/settings.csv), an older date, two prices of one offer, a new row and
one that is gone are taken only where they are accepted by name; a move of the size of a mistaken
unit says so. Nothing is written here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from frontier.errors import InputError
from frontier.prices.age import NOT_SOLD
from frontier.prices.who_sells import lies_in, security, security_of
from frontier.refresh.compare import (
    closest_price,
    distinct_prices,
    is_same_price,
    rounded_usd,
    unit_slip,
)
from frontier.refresh.items import (
    CHANGED,
    CONFIRMED,
    GONE,
    NEW,
    UNMATCHED,
    Item,
    Proposal,
    places,
)
from frontier.refresh.match import MARKET, Matched, Unlisted, match
from frontier.refresh.new_offers import NewOffers
from frontier.refresh.read import PriceRow, Reading
from frontier.tables import Offer, Tables


def propose(reading: Reading, tables: Tables, *, as_of: dt.date, today: dt.date) -> Proposal:
    """Return what a reading would change of the offers.

    Parameters
    ----------
    as_of : date
        The date of prices that have none of their own.
    today : date
        No price may be of a later day.

    Raises
    ------
    InputError
        If ``as_of`` lies in the future.
    """
    if as_of > today:
        raise InputError(f"--as-of: expected a day up to today ({today}), found {as_of}")
    ripe: list[PriceRow] = []
    unripe: list[PriceRow] = []
    for row in reading.rows:
        (ripe if row.line.priced_on <= today else unripe).append(row)
    items = [_unmatched(row, f"Dated in the future ({row.line.priced_on})") for row in unripe]
    by_offer: dict[str, list[PriceRow]] = {}
    unlisted: list[Unlisted] = []
    unclear = set(reading.unpriced)
    for found in match(ripe, tables):
        if isinstance(found, Matched):
            by_offer.setdefault(found.offer.offer_id, []).append(found.row)
        elif isinstance(found, Unlisted):
            unlisted.append(found)
        else:
            items.append(_unmatched(found.row, found.reason))
            if not found.elsewhere:
                unclear.add((found.row.provider, found.row.line.gpu))
    items += [_renewed(tables.offers[key], rows, tables) for key, rows in by_offer.items()]
    items += NewOffers(tables).made(unlisted)
    items += _gone(ripe, by_offer, unclear, tables, as_of)
    order = (CHANGED, CONFIRMED, NEW, GONE, UNMATCHED)
    items.sort(key=lambda item: order.index(item.what))
    return Proposal(tuple(items), reading.left_out, reading.remarks, as_of, reading.files)


def _unmatched(row: PriceRow, reason: str) -> Item:
    line = row.line
    return Item(
        UNMATCHED,
        provider=row.provider or line.provider,
        gpu=line.gpu,
        kind=line.kind or "",
        product=line.product,
        region=line.region,
        new_usd=rounded_usd(line.usd_per_gpu_h),
        new_date=line.priced_on,
        where=row.where,
        reason=reason,
        row=row,
    )


def _renewed(offer: Offer, rows: Sequence[PriceRow], tables: Tables) -> Item:
    """Return what some rows say of an offer's price."""
    newest = max(row.line.priced_on for row in rows)
    # An older reading of the same offer says nothing against a newer one.
    rows = [row for row in rows if row.line.priced_on == newest]
    prices = distinct_prices([row.line.usd_per_gpu_h for row in rows], tables)
    price = closest_price(prices, offer.usd_per_gpu_h)
    same = is_same_price(price, offer.usd_per_gpu_h, tables)
    price = offer.usd_per_gpu_h if same else price
    cited = next(
        row for row in rows if same or is_same_price(row.line.usd_per_gpu_h, price, tables)
    )
    asks = []
    if len(prices) > 1:
        told = ", ".join(
            f"{p:.6g} ({places(r for r in rows if is_same_price(r.line.usd_per_gpu_h, p, tables))})"
            for p in prices
        )
        asks.append(f"Rows disagree: {told}")
    elif not same:
        share = abs(price / offer.usd_per_gpu_h - 1)
        if share > tables.setting("refresh_move_share"):
            asks.append(f"Moves by {price / offer.usd_per_gpu_h - 1:+.0%}")
        sizes = {offer.gpus_max, cited.line.gpus_max}
        slip = unit_slip(price / offer.usd_per_gpu_h, sizes, tables)
        if slip:
            asks.append(f"Probably a mistake of the unit: {slip}")
    if newest < offer.priced_on:
        asks.append(f"Older ({newest}) than the price here ({offer.priced_on})")
    if offer.price_kind == MARKET:
        asks.append("The price here is the median of a market")
    if offer.available == NOT_SOLD:
        asks.append("The offer here counts as no longer sold")
    return _of_offer(
        offer,
        CONFIRMED if same and len(prices) == 1 else CHANGED,
        new_usd=None if len(prices) > 1 else price,
        new_date=newest,
        where=places(rows),
        asks=tuple(asks),
        prices=tuple(prices) if len(prices) > 1 else (),
        row=cited,
        offer=replace(offer, usd_per_gpu_h=price, priced_on=newest),
    )


def _gone(
    rows: Iterable[PriceRow],
    found: Mapping[str, object],
    unclear: set[tuple[str | None, str]],
    tables: Tables,
    as_of: dt.date,
) -> list[Item]:
    """Return the offers that a whole list of their provider and kind does not have any more.

    A list that has no row of a provider, of a kind, of a region or of that sort of host says
    nothing about them, and neither does one whose rows of the same GPU could not be told apart.
    """
    listed: dict[tuple[str | None, str | None], list[PriceRow]] = {}
    for row in rows:
        if row.whole:
            listed.setdefault((row.provider, row.line.kind), []).append(row)
    gone = []
    for offer in tables.offers.values():
        if (
            offer.offer_id in found
            or offer.available == NOT_SOLD
            or offer.price_kind == MARKET
            or (offer.provider, offer.gpu) in unclear
        ):
            continue
        hosts = security_of(offer, tables)
        around = next(
            (
                row
                for row in listed.get((offer.provider, offer.kind), ())
                if lies_in(row.line.region, offer.region, tables)
                and security(offer.provider, row.line.product, row.line.region, tables) == hosts
            ),
            None,
        )
        if around is not None:
            gone.append(
                _of_offer(
                    offer,
                    GONE,
                    new_date=as_of,
                    where=around.file,
                    asks=("Not listed: sold out, or sold no more",),
                    row=around,
                    offer=replace(offer, available=NOT_SOLD, featured=False),
                )
            )
    return gone


def _of_offer(old: Offer, what: str, **new: Any) -> Item:
    """Return the line of an offer that is in the tables; the rest are fields of `Item`."""
    return Item(
        what,
        old.offer_id,
        old.provider,
        old.gpu,
        old.kind,
        old.product,
        old.region,
        old.usd_per_gpu_h,
        old_date=old.priced_on,
        **new,
    )
