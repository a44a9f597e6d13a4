"""Tables as files that a spreadsheet may open: no text cell can become a formula."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\0")


def neutral(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula (OWASP ASVS 1.2.10)."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def csv_bytes(table: pd.DataFrame) -> bytes:
    """Return a table as CSV in UTF-8: text cells and headers neutralised, numbers as they are."""

    def cell(value: Any) -> Any:
        return neutral(value) if isinstance(value, str) else value

    safe = table.map(cell).rename(columns=cell)
    return safe.to_csv(index=False, lineterminator="\r\n").encode("utf-8-sig")
