"""Offers from an uploaded price table: the format found, the rows read, the rules attached."""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
import re
import statistics
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from types import MappingProxyType
from typing import Any

from frontier.boundary import reads
from frontier.delimited import is_control
from frontier.errors import InputError
from frontier.prices.age import staleness
from frontier.prices.catalogues import catalogue_of, gpuhunt_lines, skypilot_lines
from frontier.prices.own import BEHAVIOUR_COLUMNS, BILLING_COLUMNS, own_lines
from frontier.prices.remarks import Line, Remarks
from frontier.prices.sheet import read_sheet
from frontier.prices.who_sells import ProviderNames, folded
from frontier.tables import OWN_SOURCE, YOURS, Behaviour, Offer, ProviderRules, Tables

FORMATS = ("own", "gpuhunt", "skypilot")

_CAUTIOUS = {False: "own-machine", True: "own-serverless"}


@dataclass(frozen=True, slots=True)
class PriceUpload:
    """What an uploaded table holds.

    Attributes
    ----------
    format : str
        One of `FORMATS`.
    offers : tuple of Offer
    rules, behaviours : tuple of ProviderRules, tuple of Behaviour
        Made from billing columns, and columns of the idle timeout, of the table itself.
    rows_read : int
    warnings : tuple of str
        What is kept and strange, and what was left out, with rows.
    """

    format: str
    offers: tuple[Offer, ...]
    rules: tuple[ProviderRules, ...]
    behaviours: tuple[Behaviour, ...]
    rows_read: int
    warnings: tuple[str, ...]


@reads("The price table")
def read_prices(
    content: bytes,
    *,
    tables: Tables,
    today: dt.date,
    name: str = "",
    provider: str | None = None,
    usd_per: Mapping[str, float] | None = None,
) -> PriceUpload:
    """Return the offers of an uploaded price table.

    Parameters
    ----------
    content : bytes
        The file.
    tables : Tables
        GPUs, rules of known providers, prices to compare with, limits.
    today : date
        For the age of prices; also the date of a price that has none.
    name : str
        Name of the file: a gpuhunt catalogue is named after its provider.
    provider : str, optional
        Whose catalogue it is, where neither rows nor name say so.
    usd_per : mapping of str to float, optional
        Dollars for one unit of each other currency: the user's rates. [$]

    Raises
    ------
    InputError
        If the file is too large, is not a table, or has a cell that cannot be right; the message
        lists rows and columns.
    """
    remarks = Remarks()
    sheet = read_sheet(content, tables, remarks)
    found = catalogue_of(sheet.header)
    kind = found or "own"
    if provider is not None:
        _check_provider(provider, tables)
    if found == "skypilot":
        stem = ProviderNames(tables).within(PurePath(name).stem)
        read = skypilot_lines(sheet, tables, today, provider, remarks, stem)
    elif found == "gpuhunt":
        owner = provider or _named_after(name, tables)
        read = gpuhunt_lines(sheet, tables, today, owner, remarks)
    else:
        read = own_lines(sheet, tables, today, usd_per or {}, remarks)
    lines = list(read)
    if remarks.errors:
        raise InputError(remarks.refusal())
    if not lines:
        left = "; ".join(remarks.sentences())
        raise InputError(
            f"The price table has no row that can be used{': ' + left if left else '.'}"
        )
    offers, rules, behaviours = _offers(lines, tables, remarks)
    if remarks.errors:
        raise InputError(remarks.refusal())
    named, most = {offer.provider for _, offer in offers}, tables.setting("upload_most_providers")
    if len(named) > most:
        raise InputError(
            f"A price table may be of at most {most:,.0f} providers, this one names "
            f"{len(named):,}. Is another column their name?"
        )
    _compare(offers, tables, today, remarks)
    made = tuple(offer for _, offer in offers)
    return PriceUpload(
        kind, made, tuple(rules), tuple(behaviours), len(sheet.rows), remarks.sentences()
    )


def _check_provider(provider: str, tables: Tables) -> None:
    longest = int(tables.setting("upload_longest_name"))
    if len(provider) > longest or any(map(is_control, provider)):
        raise InputError(
            f"Expected the name of a provider in at most {longest} characters, none of them a "
            "control character"
        )


def _named_after(name: str, tables: Tables) -> str:
    """Return the provider after whom a file is named, among other words or alone."""
    stem = "".join(c for c in PurePath(name).stem if not is_control(c)).strip()
    known = ProviderNames(tables).within(stem)
    return known or stem[: int(tables.setting("upload_longest_name"))] or "Your own"


def with_prices(tables: Tables, upload: PriceUpload) -> Tables:
    """Return the tables with the offers of an upload added; one of the same name is replaced."""
    offers = {**tables.offers, **{offer.offer_id: offer for offer in upload.offers}}
    rules = {**tables.provider_rules, **{row.rules_id: row for row in upload.rules}}
    behaviours = {**tables.behaviours, **{row.behaviour_id: row for row in upload.behaviours}}
    return dataclasses.replace(
        tables,
        offers=MappingProxyType(offers),
        provider_rules=MappingProxyType(rules),
        behaviours=MappingProxyType(behaviours),
    )


def _offers(
    lines: list[Line], tables: Tables, remarks: Remarks
) -> tuple[list[tuple[int, Offer]], list[ProviderRules], list[Behaviour]]:
    """Return the offers with their rows, rules attached; one offer in several zones is one."""
    known = _RulesByProvider(tables)
    offers: dict[str, tuple[int, Offer]] = {}
    rules: dict[str, ProviderRules] = {}
    behaviours: dict[str, Behaviour] = {}
    seen: set[tuple[object, ...]] = set()
    times: Counter[str] = Counter()
    for line in lines:
        owner = known.owner(line.provider)
        if (one := known.named_within(line.provider)) is not None:
            remarks.note(line.row, f"'{line.provider}' is taken for {one}")
        kind = line.kind
        if kind is None and known.scales_to_zero_only(owner):
            kind = "serverless"
        if kind is None:
            kind = "dedicated"
            remarks.note(line.row, "Kind not given; taken as paid by the hour")
        rules_id = known.find(owner, kind, line, remarks)
        same = (
            *(known.seller(line.provider), line.product, kind, line.gpu),
            *(line.gpus_min, line.region, line.usd_per_gpu_h),
        )
        if not line.offer_id and same in seen:
            remarks.note(line.row, "Left out, repeats a row above")
            continue
        seen.add(same)
        offer_id = _slug(line.offer_id) if line.offer_id else ""
        if offer_id and offer_id in offers:
            remarks.error(line.row, "offer_id", "a name that comes once", line.offer_id)
            continue
        base = offer_id or _slug(f"own-{line.provider}-{line.gpu}-{line.gpus_min}x-{kind}")
        offer_id = base
        while offer_id in offers:
            times[base] += 1
            offer_id = f"{base}-{times[base] + 1}"
        if line.overrides:
            own, behaviour = _with_overrides(
                tables.provider_rules[rules_id], offer_id, line, tables
            )
            if behaviour is not None:
                _check_idle(behaviour, line.row, remarks)
                behaviours[behaviour.behaviour_id] = behaviour
            rules[own.rules_id] = own
            rules_id = own.rules_id
        offer = Offer(
            offer_id=offer_id,
            provider=line.provider,
            product=line.product,
            kind=kind,
            gpu=line.gpu,
            gpus_min=line.gpus_min,
            gpus_max=line.gpus_max,
            usd_per_gpu_h=line.usd_per_gpu_h,
            price_kind=YOURS,
            vcpus_per_gpu=None,
            ram_gib_per_gpu=None,
            usd_per_vcpu_s=None,
            usd_per_gib_s=None,
            region=line.region,
            rules_id=rules_id,
            available="yes",
            featured=line.featured,
            priced_on=line.priced_on,
            basis=YOURS,
            source_id=OWN_SOURCE,
            note=line.note,
        )
        offers[offer_id] = (line.row, offer)
    return list(offers.values()), list(rules.values()), list(behaviours.values())


def _with_overrides(
    rules: ProviderRules, offer_id: str, line: Line, tables: Tables
) -> tuple[ProviderRules, Behaviour | None]:
    """Return rules with the columns of a row in place of their own, and said.

    Behind them a behaviour of the offer's own, where the row gives an idle timeout.
    """
    billing: dict[str, Any] = {
        name: line.overrides[name] for name in BILLING_COLUMNS if name in line.overrides
    }
    idling: dict[str, Any] = {
        name: line.overrides[name] for name in BEHAVIOUR_COLUMNS if name in line.overrides
    }
    behaviour = None
    if idling:
        shipped = tables.behaviours[rules.behaviour_id]
        behaviour = dataclasses.replace(
            shipped,
            behaviour_id=f"{offer_id}-behaviour",
            assumed=tuple(column for column in shipped.assumed if column not in idling),
            basis=YOURS,
            source_id=OWN_SOURCE,
            note=_whose(idling, shipped, tables),
            **idling,
        )
    own = dataclasses.replace(
        rules,
        rules_id=f"{offer_id}-rules",
        behaviour_id=rules.behaviour_id if behaviour is None else behaviour.behaviour_id,
        assumed=tuple(column for column in rules.assumed if column not in billing),
        basis=YOURS,
        source_id=OWN_SOURCE,
        note=_whose(line.overrides, rules, tables),
        **billing,
    )
    return own, behaviour


def _whose(given: Mapping[str, float], row: ProviderRules | Behaviour, tables: Tables) -> str:
    """Return the note of a row that the user gave in part."""
    said = f"{', '.join(given)}: as you gave them; the rest after {tables.source_of(row).title}."
    return f"{said} {row.note or ''}".strip()


class _RulesByProvider:
    """The billing rules that ship, by provider and by whether they are of scaling to zero."""

    def __init__(self, tables: Tables) -> None:
        self._names = ProviderNames(tables)
        self._known: dict[tuple[str, bool], str] = {}
        for offer in tables.offers.values():
            key = (folded(offer.provider), offer.kind == "serverless")
            self._known.setdefault(key, offer.rules_id)
        used = {offer.rules_id for offer in tables.offers.values()}
        cautious = {folded(tables.provider_rules[key].provider) for key in _CAUTIOUS.values()}
        for row in tables.provider_rules.values():
            # Rules that no price ships with: those that name an idle window scale to zero.
            if row.rules_id not in used and folded(row.provider) not in cautious:
                idles = tables.behaviours[row.behaviour_id].idle_default_s is not None
                key = (folded(row.provider), idles)
                self._known.setdefault(key, row.rules_id)

    def seller(self, provider: str) -> str:
        """Return a name by which rows of one seller are alike: RunPod's two markets are not."""
        return folded(self._names.find(provider) or provider)

    def owner(self, provider: str) -> str:
        """Return the name under which a provider's rules are found."""
        return folded(self._names.find(provider) or self._names.within(provider) or provider)

    def named_within(self, provider: str) -> str | None:
        """Return the provider of whom a longer name speaks: "runpod-secure"; None if it is one."""
        return None if self._names.find(provider) else self._names.within(provider)

    def scales_to_zero_only(self, owner: str) -> bool:
        """Whether the provider has rules, and none for machines by the hour."""
        return (owner, True) in self._known and (owner, False) not in self._known

    def find(self, owner: str, kind: str, line: Line, remarks: Remarks) -> str:
        """Return the rules of an offer: the provider's for that kind, or cautious ones, said."""
        serverless = kind == "serverless"
        found = self._known.get((owner, serverless))
        if found is None and not serverless and self.scales_to_zero_only(owner):
            found = self._known[owner, True]
            remarks.note(
                line.row,
                f"'{line.provider}' has no billing rules here for machines by the hour; its "
                "others are used",
            )
        if found is None:
            found = _CAUTIOUS[serverless]
            remarks.note(line.row, f"No billing rules of '{line.provider}'; cautious ones are used")
        return found


def _check_idle(behaviour: Behaviour, row: int, remarks: Remarks) -> None:
    low = behaviour.idle_min_s or 0.0
    high = math.inf if behaviour.idle_max_s is None else behaviour.idle_max_s
    middle = low if behaviour.idle_default_s is None else behaviour.idle_default_s
    if not low <= middle <= high:
        remarks.error(row, "idle_default_s", f"a time from {low:g} to {high:g} s", f"{middle:g}")


def _compare(
    offers: list[tuple[int, Offer]], tables: Tables, today: dt.date, remarks: Remarks
) -> None:
    """Remark on prices that are possible and strange."""
    low, high = (
        tables.setting("upload_low_usd_per_gpu_h"),
        tables.setting("upload_high_usd_per_gpu_h"),
    )
    factor = tables.setting("upload_median_factor")
    shipped: dict[str, list[float]] = {}
    for offer in tables.offers.values():
        if offer.kind != "spot":
            shipped.setdefault(offer.gpu, []).append(offer.usd_per_gpu_h)
    middle = {gpu: statistics.median(prices) for gpu, prices in shipped.items()}
    on_demand: dict[tuple[str, str, str], float] = {}
    for _, offer in offers:
        if offer.kind == "dedicated":
            on_demand[offer.provider, offer.gpu, offer.region] = offer.usd_per_gpu_h
    for row, offer in offers:
        usd = offer.usd_per_gpu_h
        if not low <= usd <= high:
            remarks.note(row, f"A GPU-hour outside ${low:g} to ${high:g}")
        usual = middle.get(offer.gpu)
        if usual and offer.kind != "spot" and not usual / factor <= usd <= usual * factor:
            remarks.note(row, f"Over {factor:g} times away from other prices of the {offer.gpu}")
        listed = on_demand.get((offer.provider, offer.gpu, offer.region))
        if offer.kind in ("spot", "reserved") and listed is not None and usd > listed:
            remarks.note(row, f"The {offer.kind} price is above the hourly one")
        state = staleness(offer, today, tables)
        if state == "stale":
            remarks.note(row, f"Older than {tables.setting('price_stale_days'):g} days")
        elif state == "ask":
            remarks.note(row, f"Older than {tables.setting('price_ask_days'):g} days: read it anew")
        if offer.priced_on > today:
            remarks.note(row, "Dated in the future")


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", text.casefold()).strip("-")[:80] or "own"
