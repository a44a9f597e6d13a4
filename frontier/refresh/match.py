"""Which offer a row of a price list is a price of, or why that cannot be told.

Provider, kind, GPU and number of GPUs must agree; the name of an instance decides where there is
one, then region and security. Nothing is taken for another offer because it comes close: where
several fit or something is missing, the row is unmatched and says what would settle it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from frontier.prices.gpu_names import GpuNames
from frontier.prices.remarks import Line
from frontier.prices.who_sells import lies_in, security, security_of
from frontier.refresh.read import PriceRow
from frontier.tables import Offer, Tables

NOT_GIVEN = "not given"
MARKET = "median"


@dataclass(frozen=True, slots=True)
class Matched:
    """A row with the offer it is a price of."""

    row: PriceRow
    offer: Offer


@dataclass(frozen=True, slots=True)
class Unlisted:
    """A row of a shape or product that no offer has yet; ``region`` is that of an offer to be."""

    row: PriceRow
    region: str
    security: str | None


@dataclass(frozen=True, slots=True)
class Unmatched:
    """A row that is no price of an offer, and why not.

    ``elsewhere``: because it is of a region that no offer is of, which says nothing about those.
    """

    row: PriceRow
    reason: str
    elsewhere: bool = False


def match(rows: Iterable[PriceRow], tables: Tables) -> list[Matched | Unlisted | Unmatched]:
    """Return what each row is a price of."""
    matcher = _Matcher(tables)
    return [matcher.find(row) for row in rows]


class _Matcher:
    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._names = GpuNames(tables, "own")
        self._of: dict[str, list[Offer]] = {}
        for offer in tables.offers.values():
            self._of.setdefault(offer.provider, []).append(offer)
        self._security = functools.cache(lambda key: security_of(tables.offers[key], tables))
        self._fits = functools.cache(lambda place, region: lies_in(place, region, tables))

    def find(self, row: PriceRow) -> Matched | Unlisted | Unmatched:
        line = row.line
        if row.provider is None:
            return Unmatched(
                row,
                f"No provider here is called '{line.provider}': it needs rows in "
                "data/provider_names.csv, data/behaviours.csv and data/provider_rules.csv",
            )
        if row.provider not in self._of:
            return Unmatched(
                row, f"{row.provider} has no offer here: whose rules hold for it is not known"
            )
        offer = self._tables.offers.get(line.offer_id)
        if offer is not None:
            return self._named(row, offer)
        sells = self._of[row.provider]
        alike = [o for o in sells if line.kind in (None, o.kind) and o.gpu == line.gpu]
        mine = [
            offer
            for offer in alike
            if offer.gpus_min <= line.gpus_min and line.gpus_max <= offer.gpus_max
        ]
        if not mine and not line.is_sized and alike:
            mine = [o for o in alike if o.product.casefold() == line.product.casefold()]
            sizes = sorted({o.gpus_min for o in alike})
            if not mine:
                told = " or ".join(f"{size:g}" for size in sizes)
                return Unmatched(row, f"gpu_count is missing: sold as machines of {told} GPUs")
        forms = [o.gpu for o in sells if o.gpu in line.or_else and line.kind in (None, o.kind)]
        if forms:
            named = " or ".join(dict.fromkeys((line.gpu, *forms)))
            return Unmatched(row, f"{row.provider} sells {named}: which one is not said")
        market = [offer for offer in mine if offer.price_kind == MARKET]
        if market and len(market) == len(mine):
            return Unmatched(
                row,
                f"{market[0].offer_id} is the median of a market, which single rows do not renew",
            )
        mine = self._of_product(line, [offer for offer in mine if offer not in market])
        if line.region != NOT_GIVEN:
            if not any(self._fits(line.region, offer.region) for offer in sells):
                words = f"Another region than those of {row.provider}'s offers here"
                return Unmatched(row, words, elsewhere=True)
            mine = self._of_region(line, mine)
        elif len(regions := sorted({offer.region for offer in mine})) > 1:
            return Unmatched(row, f"Its region is missing: {' or '.join(regions)}")
        hosts = security(row.provider, line.product, line.region, self._tables)
        secured = {self._security(offer.offer_id) for offer in mine}
        if hosts is not None:
            mine = [o for o in mine if self._security(o.offer_id) in (None, hosts)]
        elif len(secured) > 1:
            return Unmatched(row, "Whether it is secure or community is not said")
        kinds = sorted({offer.kind for offer in mine})
        if line.kind is None and len(kinds) > 1:
            return Unmatched(row, f"Its kind is missing: {' or '.join(kinds)}")
        if len(mine) > 1:
            several = ", ".join(offer.offer_id for offer in mine[:4])
            return Unmatched(
                row, f"Fits several offers ({several}): give product, gpu_count or offer_id"
            )
        if mine:
            return Matched(row, mine[0])
        if line.kind is None:
            return Unmatched(row, "Its kind is missing: serverless, on-demand, reserved or spot")
        return Unlisted(row, self._region(line, sells), hosts)

    def _named(self, row: PriceRow, offer: Offer) -> Matched | Unmatched:
        """Return the match of a row that names its offer, unless the two contradict each other."""
        line = row.line
        for what, of_row, of_offer in (
            ("a price of", row.provider, offer.provider),
            ("a GPU", line.gpu, offer.gpu),
            ("of the kind", line.kind or offer.kind, offer.kind),
        ):
            if of_row != of_offer:
                return Unmatched(
                    row, f"{offer.offer_id} is {what} {of_offer}, the row says {of_row}"
                )
        return Matched(row, offer)

    def _of_product(self, line: Line, offers: list[Offer]) -> list[Offer]:
        """Return the offers whose product the row may name."""
        same = [o for o in offers if o.product.casefold() == line.product.casefold()]
        if same:
            return same
        named = [o for o in offers if self._instance(o.product) == self._instance(line.product)]
        if self._instance(line.product) is not None:
            if named:
                return named
            return [o for o in offers if self._instance(o.product) is None]
        return offers

    def _instance(self, product: str) -> str | None:
        """Return the name of the instance that a product is, None where it is none."""
        name = product.casefold().split(",")[0].split(" with ")[0].strip()
        name = name.removeprefix("standard_")
        known = self._names.instance(name) or self._names.instance(f"standard_{name}")
        if known is None or (known.gpu is None and " " in name):
            return None
        # "standard_" would otherwise make an instance of Azure of any name.
        of_azure = self._names.instance(name) is None
        return None if of_azure and "_" not in name else name

    def _of_region(self, line: Line, offers: list[Offer]) -> list[Offer]:
        """Return the offers of the row's region, those of just that one before wider ones."""
        exact = [o for o in offers if o.region.casefold() == line.region.casefold()]
        return exact or [o for o in offers if self._fits(line.region, o.region)]

    def _region(self, line: Line, sells: Sequence[Offer]) -> str:
        """Return the region that an offer of the row would name: as the provider's others do."""
        regions = list(dict.fromkeys(offer.region for offer in sells))
        if line.region == NOT_GIVEN:
            return regions[0] if len(regions) == 1 else NOT_GIVEN
        exact = [region for region in regions if region.casefold() == line.region.casefold()]
        return next(iter(exact or [r for r in regions if self._fits(line.region, r)]))
