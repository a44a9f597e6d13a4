"""One line of a proposal, the whole of it, and what somebody accepts of it."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from frontier.errors import InputError
from frontier.refresh.read import LeftOut, PriceRow
from frontier.tables import Offer

CHANGED, CONFIRMED, NEW, GONE, UNMATCHED = "changed", "confirmed", "new", "gone", "unmatched"
ALL = "all"
_SHOWN_ROWS = 3


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


def places(rows: Iterable[PriceRow]) -> str:
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
