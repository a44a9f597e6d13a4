"""Tables as files that a spreadsheet may open: no text cell can become a formula."""

from __future__ import annotations

import pandas as pd

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\0")


def csv_bytes(table: pd.DataFrame) -> bytes:
    """Return a table as CSV in UTF-8.

    Text that a spreadsheet would take for a formula gets a leading apostrophe (OWASP ASVS
    1.2.10); numbers stay numbers, negative ones included.
    """
    safe = table.copy()
    for name in safe.columns:
        if not pd.api.types.is_numeric_dtype(safe[name]):
            safe[name] = safe[name].map(_neutral)
    return safe.to_csv(index=False).encode("utf-8")


def _neutral(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA_STARTS) else cell
