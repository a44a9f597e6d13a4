"""Whether a table is a FOCUS 1.2 file: its columns, their values, and the rules between them.

The rules are those of the specification that a single file shows: what must be there, what may be
empty, which texts are allowed, that a quantity times its price is the cost, what a tax or a credit
has no value of. Not checked: what needs another file, as invoices and price lists.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

from frontier.tables import FocusColumn, Tables

if TYPE_CHECKING:
    import pandas as pd

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_CURRENCY = re.compile("[A-Z]{3}")
_SAME = 1e-6
_MANDATORY = "mandatory"
# What is priced has all of these; a tax has none of them.
_PRICED = ("PricingQuantity", "PricingUnit", "ListUnitPrice", "ContractedUnitPrice", "SkuId")
_TOGETHER = (
    ("PricingQuantity", "PricingUnit"),
    ("ConsumedQuantity", "ConsumedUnit"),
    ("CommitmentDiscountQuantity", "CommitmentDiscountUnit"),
    ("CommitmentDiscountId", "CommitmentDiscountType"),
    ("CommitmentDiscountId", "CommitmentDiscountCategory"),
    ("ResourceId", "ResourceType"),
)
_PRODUCTS = (
    ("ListUnitPrice", "ListCost"),
    ("ContractedUnitPrice", "ContractedCost"),
)


def focus_problems(table: pd.DataFrame, tables: Tables) -> tuple[str, ...]:
    """Return what a table breaks of FOCUS 1.2, a sentence each; none for one that keeps it.

    Parameters
    ----------
    table : DataFrame
        Empty cells are None or NaN.
    """
    known = tables.focus_columns
    missing = [
        f"column {name} is missing"
        for name, column in known.items()
        if column.feature_level == _MANDATORY and name not in table.columns
    ]
    odd = [
        f"column {name} is no column of FOCUS 1.2, and does not begin with x_"
        for name in table.columns
        if name not in known and not str(name).startswith("x_")
    ]
    found = [*missing, *odd]
    for at, row in enumerate(table.to_dict(orient="records"), start=1):
        values = {str(name): None if _is_empty(value) else value for name, value in row.items()}
        for name, value in values.items():
            if name in known and (problem := _cell(known[name], value)):
                found.append(f"row {at}: {name} {problem}")
        if not missing:
            found += [f"row {at}: {problem}" for problem in _row(values)]
    return tuple(found)


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _cell(column: FocusColumn, value: Any) -> str:
    """Return what is wrong with a cell by itself; empty where nothing is."""
    if value is None:
        return "" if column.nullable else "is empty"
    if column.value == "number":
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return "" if is_number and math.isfinite(value) else f"is no number: {value!r}"
    if not isinstance(value, str):
        return f"is no text: {value!r}"
    if not value.strip():
        return "is blank; what is not known is left out"
    if column.choices and value not in column.choices:
        return f"is none of the allowed values: {value!r}"
    if column.value == "moment" and not _MOMENT.fullmatch(value):
        return f"is no moment as 2026-01-31T00:00:00Z: {value!r}"
    if column.column_id in ("BillingCurrency", "PricingCurrency") and not _CURRENCY.fullmatch(
        value
    ):
        return f"is no code of a currency: {value!r}"
    if column.value == "json":
        return _json(value)
    return ""


def _json(value: str) -> str:
    try:
        found = json.loads(value)
    except ValueError:
        return "is no JSON"
    if not isinstance(found, dict):
        return "is no JSON object"
    if any(isinstance(item, dict | list) for item in found.values()):
        return "holds an object or a list"
    return ""


def _row(row: dict[str, Any]) -> list[str]:
    """Return what is wrong between the cells of a row."""
    get, found = row.get, []
    category = get("ChargeCategory")
    if category in ("Usage", "Purchase") and get("ChargeClass") is None:
        found += [
            f"{name} is empty in a row of {category}"
            for name in _PRICED
            if name in row and get(name) is None
        ]
    if category == "Tax":
        found += [f"{name} is given for a tax" for name in _PRICED if get(name) is not None]
    for one, other in _TOGETHER:
        if one in row and other in row and (get(one) is None) != (get(other) is None):
            found.append(f"{one} and {other} are given together, or neither")
    quantity = get("PricingQuantity")
    for price, cost in _PRODUCTS:
        if quantity is not None and get(price) is not None and get("ChargeClass") is None:
            expected = quantity * get(price)
            if not math.isclose(expected, get(cost) or 0.0, rel_tol=_SAME, abs_tol=_SAME):
                found.append(f"{cost} is not PricingQuantity times {price}")
        elif get(price) is None and category == "Credit" and get(cost) != get("BilledCost"):
            found.append(f"{cost} of a credit is not its BilledCost")
    status, commitment = get("CommitmentDiscountStatus"), get("CommitmentDiscountId")
    if commitment is None and status is not None:
        found.append("CommitmentDiscountStatus is given without CommitmentDiscountId")
    if commitment is not None and category == "Usage" and status is None:
        found.append("CommitmentDiscountStatus is empty in a committed row of Usage")
    consumed = category == "Usage" and status != "Unused"
    if "ConsumedQuantity" in row and (get("ConsumedQuantity") is not None) != consumed:
        found.append("ConsumedQuantity is given for what was consumed, and only for that")
    if category == "Purchase" and get("ChargeFrequency") == "Usage-Based":
        found.append("ChargeFrequency of a purchase is not Usage-Based")
    for start, end in (
        ("BillingPeriodStart", "BillingPeriodEnd"),
        ("ChargePeriodStart", "ChargePeriodEnd"),
    ):
        if str(get(start) or "") >= str(get(end) or "~"):
            found.append(f"{start} is not before {end}")
    return found
