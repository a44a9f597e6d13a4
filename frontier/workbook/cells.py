"""A figure as a spreadsheet computes it and as it was computed here, kept side by side.

An `Expr` is a formula with the value that it has now, so that a viewer that computes nothing shows
the right number: arithmetic on one makes both. A range of cells is given as text with its values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

Value = float | str | bool
_EMPTY = '""'


@dataclass(frozen=True, slots=True)
class Expr:
    """A formula without its equals sign, and its value; NaN stands for an empty cell."""

    text: str
    value: Value

    def __add__(self, other: Expr | float) -> Expr:
        """Return the sum."""
        return _arithmetic("+", self, other, lambda a, b: a + b)

    def __sub__(self, other: Expr | float) -> Expr:
        """Return the difference."""
        return _arithmetic("-", self, other, lambda a, b: a - b)

    def __mul__(self, other: Expr | float) -> Expr:
        """Return the product."""
        return _arithmetic("*", self, other, lambda a, b: a * b)

    def __truediv__(self, other: Expr | float) -> Expr:
        """Return the quotient; the divisor is never 0."""
        return _arithmetic("/", self, other, lambda a, b: a / b)

    def __rsub__(self, other: float) -> Expr:
        """Return a number less this."""
        return number(other) - self

    def __neg__(self) -> Expr:
        """Return the negative."""
        return Expr(f"-{self.text}", -self.number)

    @property
    def number(self) -> float:
        """The value as a number; what an empty cell counts as where it is text."""
        return 0.0 if isinstance(self.value, str) else float(self.value)


def number(value: float) -> Expr:
    """Return a number as it stands in a formula."""
    return Expr(repr(int(value)) if float(value).is_integer() else repr(float(value)), value)


def quoted(text: str) -> Expr:
    """Return a text of this program as it stands in a formula; never one that a user gave."""
    doubled = text.replace('"', '""')
    return Expr(f'"{doubled}"', text)


def _arithmetic(
    sign: str, left: Expr, right: Expr | float, does: Callable[[float, float], float]
) -> Expr:
    other = right if isinstance(right, Expr) else number(right)
    return Expr(f"({left.text}{sign}{other.text})", does(left.number, other.number))


def total(parts: Sequence[Expr], cells: str = "") -> Expr:
    """Return a sum: over a range of cells where one is named, else over the parts."""
    inside = cells or ",".join(part.text for part in parts)
    return Expr(f"SUM({inside})", math.fsum(part.number for part in parts))


def least(left: Expr, right: Expr) -> Expr:
    """Return the smaller."""
    return Expr(f"MIN({left.text},{right.text})", min(left.number, right.number))


def rounded(value: Expr, digits: int) -> Expr:
    """Return a number to so many decimals, halves away from zero as a spreadsheet does it."""
    scale = 10.0**digits
    found = math.copysign(math.floor(abs(value.number) * scale + 0.5) / scale, value.number)
    return Expr(f"ROUND({value.text},{digits})", found)


def when(condition: Expr, then: Expr, otherwise: Expr) -> Expr:
    """Return one or the other."""
    return Expr(
        f"IF({condition.text},{then.text},{otherwise.text})",
        then.value if condition.value else otherwise.value,
    )


def compares(left: Expr, sign: str, right: Expr) -> Expr:
    """Return whether two values stand so to each other."""
    pairs = {
        "=": left.value == right.value,
        "<=": left.number <= right.number,
        "<": left.number < right.number,
        ">": left.number > right.number,
    }
    return Expr(f"{left.text}{sign}{right.text}", pairs[sign])


def ratio(left: Expr, right: Expr) -> Expr:
    """Return a quotient; empty where the divisor is 0."""
    value: Value = left.number / right.number if right.number else ""
    return Expr(f"IF({right.text}=0,{_EMPTY},{left.text}/{right.text})", value)


def joined(*parts: Expr) -> Expr:
    """Return texts one after the other."""
    return Expr("&".join(part.text for part in parts), "".join(str(part.value) for part in parts))


def fixed(value: Expr, digits: int) -> Expr:
    """Return a number as text, grouped by thousands, with so many decimals."""
    return Expr(f"FIXED({value.text},{digits})", f"{rounded(value, digits).number:,.{digits}f}")


def row_of(name: Expr, cells: str, names: Sequence[str]) -> Expr:
    """Return the place of a name in a range, from 1."""
    return Expr(f"MATCH({name.text},{cells},0)", names.index(str(name.value)) + 1)


def picked(cells: str, values: Sequence[Value], place: Expr) -> Expr:
    """Return what stands at that place, from 1, of a range."""
    return Expr(f"INDEX({cells},{place.text})", values[int(place.number) - 1])


def any_of(parts: Iterable[Expr]) -> bool:
    """Whether any of these values is no empty text and not 0."""
    return any(part.value not in ("", 0, 0.0) for part in parts)
