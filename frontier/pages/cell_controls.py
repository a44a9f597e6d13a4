"""A field for one cell of a table: what is typed into it is checked, then in force, or answered.

A field is used and not a cell of an editable grid: such a grid loses the keys that are typed while
its editor opens, so that 1.37 typed quickly becomes 37. A field sends what was typed when it is
left or Enter is pressed, whole.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from frontier.edits import Edit, cell_text
from frontier.pages import mishap, session, text
from frontier.start.labels import STAGE_LABELS
from frontier.tables import Column, load_columns

_REFUSED = "cells_refused"
_WORDS = {
    "usd_per_gpu_h": "$/GPU-hour",
    "usd_per_vcpu_s": "$/vCPU-second",
    "usd_per_gib_s": "$/GiB-second",
    "vcpus_per_gpu": "Least vCPU a GPU",
    "ram_gib_per_gpu": "Least GiB a GPU",
    "gpus_min": "Fewest GPUs",
    "gpus_max": "Most GPUs",
    "increment_s": "Billed in steps of (s)",
    "minimum_s": "At least (s)",
    "idle_default_s": "Idle timeout (s)",
    "idle_min_s": "Shortest (s)",
    "idle_max_s": "Longest (s)",
    "idle_rate_factor": "Idle rate",
    "scale_down_rule": "Scale-down",
    "cold_request": "Cold request",
    "retry_s": "Retry after (s)",
    "bills_idle": "Idle time",
    "bills_kv_cache": "KV cache",
    "bills_other": "The rest",
    "platform_fee_usd_month": "Fee ($/month)",
    "free_credit_usd_month": "Credit ($/month)",
    "request_fee_usd": "Fee a request ($)",
    "storage_usd_per_gb_month": "Storage ($/GB/month)",
    "region_multiplier": "Region ×",
    "availability_multiplier": "Never preempted ×",
    "cores_metered": "Cores and memory",
    "least_cores": "Least cores",
    "least_ram_gib": "Least GiB",
    "most_cores": "Most cores",
    "most_gib_per_vcpu": "Most GiB a vCPU",
    "max_replicas_default": "Most replicas, as shipped",
    "max_replicas_hard": "Most replicas",
    "max_gpus_hard": "Most GPUs",
}


def cell_field(table: str, row_key: str, column: str) -> None:
    """Draw the cell as a field that changes it for this session.

    Parameters
    ----------
    table, row_key, column : str
        One of ``frontier.edits.EDITABLE``, and a row that is in force.
    """
    described = column_of(table, column)
    value = getattr(getattr(session.tables(), table)[row_key], column)
    key = f"cell_{table}_{row_key}_{column}"
    keep_to(key, _shown(value, described))
    how: dict[str, Any] = {
        "key": key,
        "on_change": mishap.safe(_take),
        "args": (table, row_key, column, key),
        "help": text.money(text.plain(described.description)),
    }
    # One dollar sign begins no formula, and escaped it would be read out with its stroke.
    name = label(described)
    if described.type == "flag":
        st.checkbox(name, **how)
    elif described.type == "choice":
        st.selectbox(name, described.choices, **how)
    else:
        number(name, described, **how)
    refusal(key)


def column_of(table: str, column: str) -> Column:
    """Return what columns.csv says of a column."""
    return next(row for row in load_columns()[table] if row.column == column)


def label(column: Column) -> str:
    """Return what a column is called on the screen."""
    if column.column in _WORDS:
        return _WORDS[column.column]
    billed = column.column.removeprefix("bills_")
    return STAGE_LABELS.get(billed, billed.replace("_", " ").capitalize())


def number(name: str, column: Column, **how: Any) -> None:
    """Draw a number field with the bounds of a column; it may be emptied."""
    kind = int if column.type == "integer" else float
    low, high = (
        None if bound is None else kind(bound) for bound in (column.minimum, column.maximum)
    )
    # Every digit there is: a price rounded for the eye would be typed back rounded.
    st.number_input(
        name,
        low,
        high,
        value=None,
        step=1 if kind is int else None,
        format="%d" if kind is int else "%g",
        placeholder=None if column.required else "not stated",
        **how,
    )


def keep_to(key: str, value: object) -> None:
    """Let a field show this value.

    One that shows it already is told so all the same: a field in a chip that was never opened would
    begin empty there, and what it then sends would take back the price that is in force.
    """
    st.session_state[key] = value


def refuse(key: str, problems: tuple[str, ...]) -> None:
    """Say beside a field, in the run to come, why what was typed is not used."""
    st.session_state[_REFUSED] = (key, problems)


def refusal(key: str) -> None:
    """Draw what `refuse` left for this field, once."""
    of, problems = st.session_state.get(_REFUSED, (None, ()))
    if of == key:
        del st.session_state[_REFUSED]
        words = "; ".join(problems)
        st.error(text.plain(f"Not changed: {words}"), icon=":material/block:")


def _take(table: str, row_key: str, column: str, key: str) -> None:
    edit = Edit(table, row_key, column, cell_text(_typed(st.session_state[key])))
    problems = session.change([edit])
    if problems:
        refuse(key, problems)


def _typed(value: object) -> object:
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _shown(value: object, column: Column) -> object:
    if column.type == "number" and isinstance(value, int):
        return float(value)
    return value
