"""Cells of a panel to numbers: "1.20 K", "3.4 Mil", "12 req/s", "1,234", and what is none.

Grafana writes numbers as they are shown, rounded and with a unit. Rates of any unit of time become
rates a second. A cell that says that there is no value is not the same as one that cannot be read:
the first is a sample that is missing, the second one that was there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from frontier import units
from frontier.trace.columns import as_text, numbers

if TYPE_CHECKING:
    import pyarrow as pa

_LONGEST = 80
_NUMBER = re.compile(r"\s*([-+]?(?:\d[\d.,'\u00a0\u202f]*|\.\d+)(?:[eE][-+]?\d{1,3})?)\s*(.*?)\s*")
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+")
NONE = frozenset(("", "-", "—", "–", "n/a", "na", "nan", "null", "none", "undefined", "no data"))
_TIMES = {"k": 1e3, "mil": 1e6, "m": 1e6, "bil": 1e9, "g": 1e9, "tri": 1e12, "t": 1e12}
_COUNTED = frozenset(
    (
        "req", "reqs", "request", "requests", "rq", "hit", "hits", "call", "calls", "invocation",
        "invocations", "count", "counts", "query", "queries", "completions", "q", "c", "op", "ops",
    )
)  # fmt: skip
_PER = re.compile(
    r"(?:(?P<what>[a-z]{1,20}) ?)?(?:/|per |p(?=[smh]$))(?P<time>s|sec|second|m|min|minute|h|hour)"
)
# What Grafana writes behind tokens: "489.7 tok/s", "12 K tokens".
_TOKENS = re.compile(
    r"(?:(?:[kmbgt]|mil|bil|tri) ?)?(?:tok|toks|token|tokens)\b.{0,20}|tps|tpm|t/s"
)
_SECONDS = {"s": 1.0, "m": units.SECONDS_PER_MINUTE, "h": units.SECONDS_PER_HOUR}
_RATES = {"rps": 1.0, "qps": 1.0, "rpm": units.SECONDS_PER_MINUTE, "hz": 1.0}


@dataclass(frozen=True, slots=True)
class Quantities:
    """What some cells hold.

    Attributes
    ----------
    value : ndarray of float64, shape (n,)
        The number, of a rate a second; not-a-number where there is none.
    is_rate : ndarray of bool, shape (n,)
        Whether the cell gives a rate.
    is_unread : ndarray of bool, shape (n,)
        Whether the cell holds something that is no count: text, or a number of another unit.
    unread : str
        The first such cell.
    """

    value: NDArray[np.float64]
    is_rate: NDArray[np.bool_]
    is_unread: NDArray[np.bool_]
    unread: str = ""


def read(cells: pa.Array, decimal_comma: bool = False) -> Quantities:
    """Return what the cells of a column of counts hold."""
    import pyarrow as pa

    plain = not (pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type))
    value = numbers(cells, decimal_comma)
    none = np.zeros(value.size, dtype=bool)
    odd = np.isnan(value)
    if plain or not odd.any():
        return Quantities(value, none, none.copy())
    is_rate, is_unread, first = none, none.copy(), ""
    known: dict[str, tuple[float, bool] | None] = {}
    text = as_text(cells)
    for at in np.flatnonzero(odd):
        cell = (text[int(at)].as_py() or "")[: _LONGEST + 1]
        if not cell or cell.strip().lower() in NONE:
            continue
        found = known[cell] if cell in known else quantity(cell, decimal_comma)
        known[cell] = found
        if found is None:
            is_unread[at] = True
            first = first or cell[:_LONGEST]
        else:
            value[at], is_rate[at] = found
    return Quantities(value, is_rate, is_unread, first)


def quantity(cell: str, decimal_comma: bool = False) -> tuple[float, bool] | None:
    """Return the number in a cell and whether it is a rate a second; None if it is no count."""
    found = _NUMBER.fullmatch(cell[:_LONGEST])
    if found is None or len(cell) > _LONGEST:
        return None
    number = _number(found[1], decimal_comma)
    if number is None:
        return None
    first, _, rest = found[2].partition(" ")
    times = 1.0
    if first.lower() in _TIMES and first != "m":
        times, unit = _TIMES[first.lower()], rest.strip().lower()
    else:
        unit = found[2].lower()
    if not unit or unit in _COUNTED:
        return number * times, False
    if unit in _RATES:
        return number * times / _RATES[unit], True
    per = _PER.fullmatch(unit)
    if per and (per["what"] is None or per["what"] in _COUNTED):
        return number * times / _SECONDS[per["time"][0]], True
    return None


def is_tokens(cell: str) -> bool:
    """Return whether a cell holds a number of tokens by its unit: "489.7 tok/s"."""
    found = _NUMBER.fullmatch(cell[:_LONGEST])
    return found is not None and _TOKENS.fullmatch(found[2].lower()) is not None


def _number(text: str, decimal_comma: bool) -> float | None:
    text = re.sub(r"['\u00a0\u202f]", "", text)
    if "," in text and "." in text:
        thousands = "," if text.rfind(".") > text.rfind(",") else "."
        text = text.replace(thousands, "").replace(",", ".")
    elif "," in text:
        grouped = _THOUSANDS.fullmatch(text.lstrip("+-")) and not decimal_comma
        text = text.replace(",", "" if grouped else ".")
    try:
        return float(text)
    except ValueError:
        return None
