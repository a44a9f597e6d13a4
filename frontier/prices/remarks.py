"""What the readers of a price table hand on: usable rows, and what is to be said of the others."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

_SHOWN_ERRORS = 12
_SHOWN_ROWS = 5
_SHOWN_REASONS = 40
_SHOWN_CHARACTERS = 60


@dataclass(slots=True)
class Remarks:
    """Errors by cell, strange or left-out rows by reason, and what holds for the whole file.

    ``wrong`` holds the errors again, by row.
    """

    errors: list[str] = field(default_factory=list)
    wrong: dict[int, list[str]] = field(default_factory=dict)
    reasons: dict[str, list[int]] = field(default_factory=dict)
    of_file: list[str] = field(default_factory=list)

    def error(self, row: int, column: str, expected: str, found: object) -> None:
        """Say what a cell should have been; the table is refused."""
        words = f"column {column}: expected {expected}, found '{shown(found)}'"
        self.errors.append(f"row {row}, {words}")
        self.wrong.setdefault(row, []).append(words)

    def note(self, row: int, reason: str) -> None:
        """Say that a row is strange or left out, and why."""
        self.reasons.setdefault(reason, []).append(row)

    def sentences(self) -> tuple[str, ...]:
        """Return what is to be said of a table that can be used."""
        told = [f"{reason} ({_rows_in_words(rows)})" for reason, rows in self.reasons.items()]
        more = list(self.reasons.values())[_SHOWN_REASONS:]
        if more:
            rows = len({row for rows in more for row in rows})
            told[_SHOWN_REASONS:] = [f"And {len(more):,} more remarks, on {rows:,} rows"]
        return (*self.of_file, *told)

    def refusal(self) -> str:
        """Return why the table cannot be used."""
        told = self.errors[:_SHOWN_ERRORS]
        more = len(self.errors) - len(told)
        tail = f"; and {more} more" if more else ""
        return f"The price table was not loaded: {'; '.join(told)}{tail}"


@dataclass(frozen=True, slots=True)
class Line:
    """One usable row, whatever its format; ``overrides`` are billing rules of its own.

    ``or_else`` are forms of the GPU that the row may mean as well; ``is_sized`` is whether it says
    how many GPUs it is about, or has the price of a machine.
    """

    row: int
    provider: str
    product: str
    kind: str | None
    gpu: str
    gpus_min: int
    gpus_max: int
    usd_per_gpu_h: float
    region: str
    priced_on: dt.date
    offer_id: str = ""
    note: str | None = None
    featured: bool = False
    source: str = ""
    or_else: tuple[str, ...] = ()
    is_sized: bool = True
    overrides: Mapping[str, float] = field(default_factory=dict)


def shown(found: object) -> str:
    """Return a cell for a message: printable, and no longer than a message can hold."""
    text = "".join(c if c.isprintable() else "�" for c in str(found)[: _SHOWN_CHARACTERS + 1])
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


def _rows_in_words(rows: list[int]) -> str:
    told = ", ".join(str(row) for row in rows[:_SHOWN_ROWS])
    more = len(rows) - _SHOWN_ROWS
    return f"row{'s' if len(rows) > 1 else ''} {told}" + (f" and {more} more" if more > 0 else "")
