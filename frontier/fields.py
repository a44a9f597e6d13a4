"""What the fields of rules may hold: checks whose message begins with the field at fault."""

from __future__ import annotations

import math
from typing import Any, SupportsInt

from frontier.errors import InputError


def require(field: str, holds: bool, expected: str, found: object) -> None:
    """Raise an `InputError` that names the field unless something holds."""
    if not holds:
        raise InputError(f"{field} must be {expected}, got {found!r}")


def is_count(value: object) -> bool:
    """Say whether a value is a whole number (a bool is not); numpy integers and 3.0 are."""
    if type(value) is int:
        return True
    if isinstance(value, bool):
        return False
    try:
        return isinstance(value, SupportsInt) and int(value) == value
    except (TypeError, ValueError, OverflowError):
        return False


def is_time(value: Any, *, finite: bool) -> bool:
    """Say whether a value is a time of at least 0 s (NaN is not), finite if that is asked."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return False
    return number >= 0.0 and (not finite or number < math.inf)
