"""What is listed and stands in no offer yet, as a row of data/offers.csv to be.

What a price list cannot tell (billing rules, cores and memory metered apart) is taken from the
provider's other offers of that kind, where they agree; else the row says what is missing.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import replace

from frontier.prices.who_sells import security_of
from frontier.refresh.compare import distinct_prices, unit_slip
from frontier.refresh.items import NEW, UNMATCHED, Item, places
from frontier.refresh.match import NOT_GIVEN, Unlisted
from frontier.tables import Offer, Tables


class NewOffers:
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
        prices = distinct_prices([row.line.usd_per_gpu_h for row in rows], self._tables)
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
            where=places(rows),
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
            if slip := unit_slip(usd / usual, {most}, self._tables):
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
