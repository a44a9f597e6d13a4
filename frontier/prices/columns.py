"""The columns of a price table of one's own, whatever they are called, wherever the unit is.

Names in several languages, a unit in the name of a column ("Price per GPU hour") or in its cells
("$2.69/hr"), prices on demand and at spot side by side: all are brought to one row a price, with
the columns provider, gpu, price, unit and kind.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from frontier.errors import InputError
from frontier.units import (
    MONTHS_PER_YEAR,
    SECONDS_PER_DAY,
    SECONDS_PER_HOUR,
    SECONDS_PER_MINUTE,
)

REQUIRED = ("provider", "gpu", "price", "unit")
ONE_GPU = ("gpu", "gpus")
MACHINE = ("instance", "machine", "node", "server", "vm", "instanz", "maschine", "maquina")
SIGNS = MappingProxyType({"us$": "USD", "$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY", "₹": "INR"})
KINDS = MappingProxyType(
    {
        "serverless": "serverless",
        "scale to zero": "serverless",
        **dict.fromkeys(("dedicated", "on demand", "ondemand", "pay as you go"), "dedicated"),
        **dict.fromkeys(("payg",), "dedicated"),
        **dict.fromkeys(("spot", "preemptible", "interruptible"), "spot"),
        **dict.fromkeys(("reserved", "1y", "3y", "1yr", "3yr", "committed"), "reserved"),
        **dict.fromkeys(("1 year", "3 years", "savings plan"), "reserved"),
    }
)
_HOUR = ("h", "hr", "hrs", "hour", "hours", "hourly", "stunde", "std", "heure", "hora", "ora")
_MINUTE = ("min", "minute", "minutes", "minuto")
_SECOND = ("s", "sec", "second", "seconds", "sekunde", "sek", "seconde", "segundo")
_DAY = ("day", "days", "daily", "tag", "jour", "dia")
_MONTH = ("month", "months", "monthly", "mo", "monat", "mois", "mes")
_YEAR = ("year", "years", "yearly", "yr", "jahr", "ano")
_SMALL = ("per", "a", "an", "pro", "je", "par", "por", "the", "in", "im")
_PRICE_WORDS = ("price", "prices", "pricing", "cost", "rate", "preis", "prix", "precio", "prezzo")
_NONE = ("", "-", "–", "—", "n/a", "na", "none", "null")
COLUMN_NAMES = {
    "instance_type": "product",
    "instance": "product",
    "instance_name": "product",
    "sku": "product",
    "produkt": "product",
    "produit": "product",
    "producto": "product",
    "gpus": "gpu_count",
    "count": "gpu_count",
    "anzahl": "gpu_count",
    "anzahl_gpus": "gpu_count",
    "nombre": "gpu_count",
    "nombre_de_gpu": "gpu_count",
    "cantidad": "gpu_count",
    "gpu_name": "gpu",
    "accelerator": "gpu",
    "gpu_type": "gpu",
    "gpu_typ": "gpu",
    "gpu_memory": "gpu_memory_gb",
    "vram": "gpu_memory_gb",
    "vram_gb": "gpu_memory_gb",
    "purchase_option": "kind",
    "offering_kind": "kind",
    "art": "kind",
    "location": "region",
    "standort": "region",
    "date": "priced_on",
    "price_date": "priced_on",
    "datum": "priced_on",
    "fecha": "priced_on",
    "source_url": "source",
    "quelle": "source",
    "vendor": "provider",
    "cloud": "provider",
    "anbieter": "provider",
    "fournisseur": "provider",
    "proveedor": "provider",
    "fornitore": "provider",
    "preis": "price",
    "prix": "price",
    "precio": "price",
    "prezzo": "price",
    "einheit": "unit",
    "unite": "unit",
    "unidad": "unit",
    "unita": "unit",
    "wahrung": "currency",
    "devise": "currency",
    "moneda": "currency",
}
_IN_CELL = re.compile(
    r"^(?P<price>[^/]{0,12}?\d[\d.,'\s]{0,30}[^/\d]{0,6}?)\s?(?:/|\b(?:per|pro|par|por)\b)"
    r"\s?(?P<unit>[^\d]{1,40})$",
    re.I,
)


@dataclass(frozen=True, slots=True)
class _PriceColumn:
    """A column of prices: its name in the file, and the unit and kind that its name tells."""

    name: str
    unit: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Columns:
    """What the columns of a table mean.

    Attributes
    ----------
    names : mapping of str to str
        The name in the file of each column that is known.
    prices : tuple of _PriceColumn
        Those that hold prices, one or several side by side.
    """

    names: Mapping[str, str]
    prices: tuple[_PriceColumn, ...]

    def rows(
        self, rows: Iterable[tuple[int, Mapping[str, str]]]
    ) -> Iterator[tuple[int, dict[str, str]]]:
        """Give the rows of a table, one for each price, with columns as they are called here."""
        for number, raw in rows:
            cells = {key: raw[name] for key, name in self.names.items()}
            given = [one for one in self.prices if raw[one.name].casefold() not in _NONE]
            # A row without any price is said to have none.
            for column in given or self.prices[:1]:
                one = {**cells, "price": raw[column.name]}
                one["unit"] = cells.get("unit") or column.unit
                if column.kind and not cells.get("kind"):
                    one["kind"] = column.kind
                if not one["unit"]:
                    one |= _apart(one["price"])
                yield number, one


def columns_of(header: Iterable[str], rows: Iterable[tuple[int, Mapping[str, str]]]) -> Columns:
    """Return what the columns of a table mean.

    Raises
    ------
    InputError
        If one that is needed is missing, or two mean the same.
    """
    names: dict[str, str] = {}
    prices: list[_PriceColumn] = []
    for name in header:
        column = _column_name(name)
        priced = None if column in _KNOWN else _price_column(name)
        if priced is not None:
            prices.append(priced)
            continue
        if column in names:
            raise InputError(
                f"The price table has two columns that mean '{column}': "
                f"'{names[column]}' and '{name}'"
            )
        names[column] = name
    if "price" in names:
        prices.insert(0, _PriceColumn(names.pop("price")))
    doubled = {(one.kind, one.unit) for one in prices}
    if len(doubled) < len(prices):
        raise InputError(
            "The price table has several columns of prices, and their names do not tell them "
            f"apart: {', '.join(one.name for one in prices)}"
        )
    has_unit = "unit" in names or (prices and all(one.unit for one in prices))
    if not has_unit and prices:
        has_unit = any(_apart(raw[one.name]) for _, raw in rows for one in prices)
    there = {*names, *(["price"] if prices else []), *(["unit"] if has_unit else [])}
    missing = [name for name in REQUIRED if name not in there]
    if missing:
        raise InputError(
            f"A price table needs the columns {', '.join(REQUIRED)}; missing: {', '.join(missing)}"
        )
    return Columns(names, tuple(prices))


def unit_words(text: str) -> tuple[list[str], list[str], list[str]]:
    """Return what a unit is of, its times, and what else it names: a currency."""
    words = [word for word in _words(text) if word not in _SMALL]
    things = [word for word in words if word in ONE_GPU or word in MACHINE]
    times = [word for word in words if word in _TIMES]
    others = [word for word in words if word not in things and word not in times]
    return things, times, others


def times_an_hour(word: str, hours_per_month: float) -> float:
    """Return how often a time of a unit goes into an hour."""
    if word in _MONTH:
        return 1 / hours_per_month
    if word in _YEAR:
        return 1 / (hours_per_month * MONTHS_PER_YEAR)
    return _TIMES[word]


def is_by_month(unit: str) -> bool:
    """Whether a unit is of a month or a year: paid for all of it."""
    return any(word in (*_MONTH, *_YEAR) for word in unit_words(unit)[1])


_TIMES = {
    **dict.fromkeys(_HOUR, 1.0),
    **dict.fromkeys(_MINUTE, SECONDS_PER_MINUTE),
    **dict.fromkeys(_SECOND, SECONDS_PER_HOUR),
    **dict.fromkeys(_DAY, SECONDS_PER_HOUR / SECONDS_PER_DAY),
    **dict.fromkeys((*_MONTH, *_YEAR), 0.0),
}
_KNOWN = {*REQUIRED, "kind", "priced_on", *COLUMN_NAMES.values()}


def _words(text: str) -> list[str]:
    plain = _without_accents(text.casefold())
    for sign, code in SIGNS.items():
        plain = plain.replace(sign, f" {code.casefold()} ")
    return re.findall(r"[^\W\d_]+", plain)


def _without_accents(text: str) -> str:
    apart = unicodedata.normalize("NFD", text[:200])
    return "".join(c for c in apart if not unicodedata.combining(c)) + text[200:]


def _column_name(name: str) -> str:
    plain = re.sub(r"[^a-z0-9]+", "_", _without_accents(name.casefold())).strip("_")
    return COLUMN_NAMES.get(plain, plain)


def _price_column(name: str) -> _PriceColumn | None:
    """Return the unit and kind that the name of a column of prices tells; None for any other."""
    words = _words(name[:100])
    joined = " ".join(words)
    kind = next((k for k in sorted(KINDS, key=len, reverse=True) if k in _parts(joined, k)), "")
    things, times, _ = unit_words(name[:100])
    codes = {code.casefold() for code in SIGNS.values()}
    is_price = any(word in _PRICE_WORDS or word in codes for word in words)
    is_kind = bool(kind) and len(words) == len(kind.split())
    known = {*_PRICE_WORDS, *codes, *things, *times, *_SMALL, *kind.split()}
    if not (is_price or is_kind or "hourly" in words) or not known.issuperset(words):
        return None
    if is_price and not (times or things or kind):
        return None
    unit = [w for w in words if w in things or w in times or w in codes] if times else []
    return _PriceColumn(name, " ".join(unit), kind)


def _parts(joined: str, kind: str) -> tuple[str, ...]:
    """Return the kind if it stands in a name as words of its own."""
    return (kind,) if re.search(rf"(?<!\w){re.escape(kind)}(?!\w)", joined) else ()


def _apart(price: str) -> dict[str, str]:
    """Return the price and the unit of a cell that holds both: "$2.69/hr"."""
    match = _IN_CELL.match(price[:80])
    if match is None or not unit_words(match["unit"])[1]:
        return {}
    return {"price": match["price"].strip(), "unit": match["unit"]}
