"""Old beside new: what a reading would change, what is new, what is gone, what must be accepted.

A move beyond the limit (data/settings.csv), an older date, two prices of one offer, a new row and
one that is gone are taken only where they are accepted by name; a move of the size of a mistaken
unit says so. Nothing is written here.
"""

from __future__ import annotations

import datetime as dt
import math
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from frontier.errors import InputError
from frontier.prices.age import NOT_SOLD
from frontier.prices.who_sells import lies_in, security, security_of
from frontier.refresh.match import MARKET, NOT_GIVEN, Matched, Unlisted, match
from frontier.refresh.read import LeftOut, PriceRow, Reading
from frontier.tables import Offer, Tables

CHANGED, CONFIRMED, NEW, GONE, UNMATCHED = "changed", "confirmed", "new", "gone", "unmatched"
ALL = "all"
_SHOWN_ROWS = 3
_DECIMALS = 6


@dataclass(frozen=True, slots=True)
class Item:
    """One line of a proposal.

    Attributes
    ----------
    what : str
        changed, confirmed (the same price, read again), new, gone or unmatched.
    offer_id : str
        The offer, or the one to be; empty where a row is unmatched.
    old_usd, new_usd : float or None
        Price of a GPU for an hour; new is None where rows disagree or the offer is gone [$/GPU/h].
    move : float or None
        New over old, less 1.
    old_date, new_date : date or None
    where : str
        File and rows.
    asks : tuple of str
        Why it is taken only if it is accepted by name; empty: it may be applied.
    prices : tuple of float
        More than one where rows disagree: the one to take is to be named [$/GPU/h].
    reason : str
        Why it is unmatched.
    row : PriceRow or None
        The row whose source is cited.
    offer : Offer or None
        The row of data/offers.csv as it would be.
    """

    what: str
    offer_id: str = ""
    provider: str = ""
    gpu: str = ""
    kind: str = ""
    product: str = ""
    region: str = ""
    old_usd: float | None = None
    new_usd: float | None = None
    old_date: dt.date | None = None
    new_date: dt.date | None = None
    where: str = ""
    asks: tuple[str, ...] = ()
    prices: tuple[float, ...] = ()
    reason: str = ""
    row: PriceRow | None = field(default=None, repr=False)
    offer: Offer | None = field(default=None, repr=False)

    @property
    def move(self) -> float | None:
        """New over old, less 1; None where one of them is missing."""
        if self.old_usd is None or self.new_usd is None:
            return None
        return self.new_usd / self.old_usd - 1


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a reading would change; ``as_of`` is the date of prices that have none of their own."""

    items: tuple[Item, ...]
    left_out: tuple[LeftOut, ...]
    remarks: tuple[LeftOut, ...]
    as_of: dt.date
    files: Mapping[str, str]

    def of(self, what: str) -> list[Item]:
        """Return the items of one kind."""
        return [item for item in self.items if item.what == what]


@dataclass(frozen=True, slots=True)
class Accepted:
    """What somebody accepts by name: offers, offers with the price to take, or all of it."""

    everything: bool = False
    offers: frozenset[str] = frozenset()
    prices: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def of(cls, words: Iterable[str]) -> Accepted:
        """Return what options such as ``aws-l4``, ``aws-l4=0.81`` and ``all`` accept.

        Raises
        ------
        InputError
            If a price is none.
        """
        offers, prices = set(), {}
        for word in words:
            name, given, price = word.partition("=")
            offers.add(name)
            if given:
                try:
                    prices[name] = float(price)
                except ValueError:
                    raise InputError(f"--accept {word}: expected a price after '='") from None
        return cls(ALL in offers, frozenset(offers - {ALL}), MappingProxyType(prices))

    def taken(self, proposal: Proposal) -> tuple[list[Item], list[tuple[Item, str]]]:
        """Return the items to apply, and those that are not taken, each with why.

        Raises
        ------
        InputError
            If an offer is accepted that the proposal does not hold, or a price that no row has.
        """
        held = {item.offer_id for item in proposal.items if item.what != UNMATCHED}
        if strange := sorted(self.offers - held):
            raise InputError(f"--accept: the proposal holds no offer '{strange[0]}'")
        taken, waiting = [], []
        for item in proposal.items:
            is_old_news = item.what == CONFIRMED and item.new_date == item.old_date
            if item.what == UNMATCHED or is_old_news:
                continue
            named = item.offer_id in self.offers
            if len(item.prices) > 1 and item.offer_id not in self.prices:
                waiting.append((item, "name the price to take"))
            elif item.asks and not (named or self.everything):
                waiting.append((item, "to be accepted"))
            elif item.what != GONE and item.row and item.row.format == "own" and not item.row.url:
                waiting.append((item, "a link to its source is missing (--source)"))
            else:
                taken.append(self._with_price(item))
        return taken, waiting

    def _with_price(self, item: Item) -> Item:
        asked = self.prices.get(item.offer_id)
        if asked is None or item.offer is None:
            return item
        listed = item.prices or ((item.new_usd,) if item.new_usd is not None else ())
        price = next((p for p in listed if math.isclose(p, asked, rel_tol=1e-6)), None)
        if price is None:
            told = " or ".join(f"{p:.6g}" for p in listed) or "none"
            raise InputError(
                f"--accept {item.offer_id}={asked:g}: expected a price that was read ({told})"
            )
        return replace(
            item, new_usd=price, prices=(price,), offer=replace(item.offer, usd_per_gpu_h=price)
        )


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
    unclear: set[tuple[str | None, str]] = set()
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
    items += _NewOffers(tables).made(unlisted)
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
        new_usd=_rounded(line.usd_per_gpu_h),
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
    prices = _distinct([row.line.usd_per_gpu_h for row in rows], tables)
    price = _closest(prices, offer.usd_per_gpu_h)
    same = _same(price, offer.usd_per_gpu_h, tables)
    price = offer.usd_per_gpu_h if same else price
    cited = next(row for row in rows if same or _same(row.line.usd_per_gpu_h, price, tables))
    asks = []
    if len(prices) > 1:
        told = ", ".join(
            f"{p:.6g} ({_places(r for r in rows if _same(r.line.usd_per_gpu_h, p, tables))})"
            for p in prices
        )
        asks.append(f"Rows disagree: {told}")
    elif not same:
        share = abs(price / offer.usd_per_gpu_h - 1)
        if share > tables.setting("refresh_move_share"):
            asks.append(f"Moves by {price / offer.usd_per_gpu_h - 1:+.0%}")
        sizes = {offer.gpus_max, cited.line.gpus_max}
        slip = _slip(price / offer.usd_per_gpu_h, sizes, tables)
        if slip:
            asks.append(f"Probably a mistake of the unit: {slip}")
    if newest < offer.priced_on:
        asks.append(f"Older ({newest}) than the price here ({offer.priced_on})")
    if offer.price_kind == MARKET:
        asks.append("The price here is the median of a market")
    if offer.available == NOT_SOLD:
        asks.append("The offer here counts as no longer sold")
    return Item(
        CONFIRMED if same and len(prices) == 1 else CHANGED,
        offer.offer_id,
        offer.provider,
        offer.gpu,
        offer.kind,
        offer.product,
        offer.region,
        offer.usd_per_gpu_h,
        None if len(prices) > 1 else price,
        offer.priced_on,
        newest,
        _places(rows),
        tuple(asks),
        tuple(prices) if len(prices) > 1 else (),
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
                Item(
                    GONE,
                    offer.offer_id,
                    offer.provider,
                    offer.gpu,
                    offer.kind,
                    offer.product,
                    offer.region,
                    offer.usd_per_gpu_h,
                    old_date=offer.priced_on,
                    new_date=as_of,
                    where=around.file,
                    asks=("Not listed: sold out, or sold no more",),
                    row=around,
                    offer=replace(offer, available=NOT_SOLD, featured=False),
                )
            )
    return gone


def _distinct(prices: Iterable[float], tables: Tables) -> list[float]:
    """Return the prices that differ by more than rounding, the lowest first [$/GPU/h]."""
    kept: list[float] = []
    for price in sorted(_rounded(price) for price in prices):
        if not kept or not _same(price, kept[-1], tables):
            kept.append(price)
    return kept


def _same(one: float, other: float, tables: Tables) -> bool:
    return math.isclose(one, other, rel_tol=tables.setting("refresh_same_share"))


def _closest(prices: Sequence[float], to: float) -> float:
    return min(prices, key=lambda price: abs(math.log(price / to)))


def _rounded(usd: float) -> float:
    return round(usd, _DECIMALS) or usd


def _slip(ratio: float, sizes: Iterable[int], tables: Tables) -> str | None:
    """Return the mistaken unit that new over old looks like; machines are of ``sizes`` GPUs."""
    off = max(ratio, 1 / ratio)
    slips = {row.label: row.factor for row in tables.unit_slips.values()}
    for gpus in sizes:
        if gpus > 1:
            slips[f"a machine of {gpus} GPUs against one of them"] = float(gpus)
    near = {
        label: abs(math.log(off / factor))
        for label, factor in slips.items()
        if abs(off / factor - 1) <= tables.setting("refresh_slip_tolerance")
    }
    if not near:
        return None
    label = min(near, key=lambda words: near[words])
    return f"{label} (a factor of {slips[label]:g})"


def _places(rows: Iterable[PriceRow]) -> str:
    """Return files and rows, shortened."""
    by_file: dict[str, list[int]] = {}
    for row in rows:
        by_file.setdefault(row.file, []).append(row.line.row)
    return "; ".join(f"{file} {rows_in_words(numbers)}" for file, numbers in by_file.items())


def rows_in_words(numbers: Iterable[int]) -> str:
    """Return the numbers of some rows as people read them, a long list shortened."""
    numbers = sorted(set(numbers))
    told = ", ".join(str(number) for number in numbers[:_SHOWN_ROWS])
    more = len(numbers) - _SHOWN_ROWS
    return f"row{'s' if len(numbers) > 1 else ''} {told}" + (
        f" and {more:,} more" if more > 0 else ""
    )


class _NewOffers:
    """Makes rows of data/offers.csv of what is listed and stands in none of them yet."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        by_gpu: dict[str, list[float]] = {}
        for offer in tables.offers.values():
            if offer.kind != "spot":
                by_gpu.setdefault(offer.gpu, []).append(offer.usd_per_gpu_h)
        self._usual = {gpu: statistics.median(prices) for gpu, prices in by_gpu.items()}
        self._taken = set(tables.offers)

    def made(self, found: Iterable[Unlisted]) -> list[Item]:
        """Return a new item for each shape, or why it cannot become an offer."""
        shapes: dict[tuple[object, ...], list[Unlisted]] = {}
        for item in found:
            shapes.setdefault(self._shape(item), []).append(item)
        return [self._item(items) for items in shapes.values()]

    def _siblings(self, found: Unlisted) -> list[Offer]:
        """Return the provider's offers whose rules hold: of the kind, else of the same sort."""
        line = found.row.line
        sells = [o for o in self._tables.offers.values() if o.provider == found.row.provider]
        same = [o for o in sells if o.kind == line.kind]
        if not same and line.kind != "serverless":
            same = [o for o in sells if o.kind != "serverless"]
        hosts = [o for o in same if security_of(o, self._tables) == found.security]
        return hosts or same

    def _shape(self, found: Unlisted) -> tuple[object, ...]:
        """Return what makes an offer of its own; sizes sold in any number are one offer."""
        line, siblings = found.row.line, self._siblings(found)
        anyhow = bool(siblings) and all(o.gpus_min < o.gpus_max for o in siblings)
        product = self._product(found)
        count = None if anyhow else (line.gpus_min, line.gpus_max)
        return found.row.provider, line.kind, line.gpu, product, count, found.region

    def _product(self, found: Unlisted) -> str:
        """Return the product's name: that of the provider's others where they share one."""
        line = found.row.line
        of_kind = [o for o in self._siblings(found) if o.kind == line.kind]
        names = {offer.product for offer in of_kind}
        return names.pop() if len(names) == 1 and len(of_kind) > 1 else line.product

    def _item(self, items: list[Unlisted]) -> Item:
        first = items[0]
        line, siblings = first.row.line, self._siblings(first)
        rows = [item.row for item in items]
        prices = _distinct([row.line.usd_per_gpu_h for row in rows], self._tables)
        usd = prices[0]
        base = Item(
            UNMATCHED,
            provider=first.row.provider or "",
            gpu=line.gpu,
            kind=line.kind or "",
            product=self._product(first),
            region=first.region,
            new_usd=usd,
            new_date=max(row.line.priced_on for row in rows),
            where=_places(rows),
            row=first.row,
        )
        if missing := self._missing(first, siblings):
            return replace(base, reason=f"New, and {missing}")
        pattern = siblings[0]
        least = min(row.line.gpus_min for row in rows)
        most = max(row.line.gpus_max for row in rows)
        offer = Offer(
            offer_id=self._name(first, least, most),
            provider=pattern.provider,
            product=base.product,
            kind=base.kind,
            gpu=line.gpu,
            gpus_min=least,
            gpus_max=most,
            usd_per_gpu_h=usd,
            price_kind="list",
            vcpus_per_gpu=pattern.vcpus_per_gpu,
            ram_gib_per_gpu=pattern.ram_gib_per_gpu,
            usd_per_vcpu_s=pattern.usd_per_vcpu_s,
            usd_per_gib_s=pattern.usd_per_gib_s,
            region=first.region,
            rules_id=pattern.rules_id,
            available="yes",
            featured=False,
            priced_on=base.new_date or line.priced_on,
            basis="vendor-stated",
            source_id="",
            note=None,
        )
        asks = ["New here"]
        if len(prices) > 1:
            asks.append(f"Rows disagree: {', '.join(f'{p:.6g}' for p in prices)}")
        usual = self._usual.get(line.gpu)
        factor = self._tables.setting("upload_median_factor")
        if usual and line.kind != "spot" and not usual / factor <= usd <= usual * factor:
            asks.append(f"Over {factor:g} times away from other prices of the {line.gpu}")
            if slip := _slip(usd / usual, {most}, self._tables):
                asks.append(f"Probably a mistake of the unit: {slip}")
        return replace(
            base,
            what=NEW,
            new_usd=None if len(prices) > 1 else usd,
            offer_id=offer.offer_id,
            asks=tuple(asks),
            prices=tuple(prices) if len(prices) > 1 else (),
            offer=offer,
        )

    def _missing(self, found: Unlisted, siblings: Sequence[Offer]) -> str | None:
        """Return what a price list cannot tell and no other offer of the provider does."""
        if found.region == NOT_GIVEN:
            return "its region is missing"
        if not siblings:
            return (
                f"{found.row.provider} has no offer of the kind {found.row.line.kind} whose "
                "billing rules would hold"
            )
        rules = sorted({offer.rules_id for offer in siblings})
        if len(rules) > 1:
            return f"which billing rules hold is open: {' or '.join(rules)}"
        meters = {
            (o.vcpus_per_gpu, o.ram_gib_per_gpu, o.usd_per_vcpu_s, o.usd_per_gib_s)
            for o in siblings
        }
        return "what cores and memory cost is open" if len(meters) > 1 else None

    def _name(self, found: Unlisted, least: int, most: int) -> str:
        line = found.row.line
        if line.offer_id:
            base = _slug(line.offer_id)
        else:
            provider = next(
                row.provider_id
                for row in self._tables.provider_names.values()
                if row.provider == found.row.provider
            )
            sort = found.security if _sells_both(found.row.provider, self._tables) else None
            size = f"{most}x" if least == most > 1 else None
            kind = None if line.kind == "dedicated" else line.kind
            parts = (provider, sort, line.gpu, size, kind)
            base = _slug("-".join(part for part in parts if part))
        name, number = base, 1
        while name in self._taken:
            number += 1
            name = f"{base}-{number}"
        self._taken.add(name)
        return name


def _sells_both(provider: str | None, tables: Tables) -> bool:
    offers = [offer for offer in tables.offers.values() if offer.provider == provider]
    return len({security_of(offer, tables) for offer in offers}) > 1


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", text.casefold()).strip("-")
