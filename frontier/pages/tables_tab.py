"""The Data page's tables of data/, each row with its source; rules are changed row by row."""

from __future__ import annotations

import dataclasses

import pandas as pd
import streamlit as st

from frontier.edits import EDITABLE
from frontier.pages import cell_controls, controls, link, session, show, text
from frontier.tables import Behaviour, ProviderRules, Tables, load_columns

_TITLES = {
    "offers": "Prices",
    "price_history": "Earlier prices",
    "provider_rules": "Billing rules",
    "behaviours": "Scaling behaviour",
    "commitments": "Commitments",
    "reserved_terms": "Terms of reserved offers",
    "bill_formats": "Columns of bills, by provider",
    "bill_words": "What the words of a bill mean",
    "focus_columns": "Columns of a bill in FOCUS 1.2",
    "token_apis": "Per-token APIs",
    "gpus": "GPUs",
    "models": "Models",
    "stage_timings": "Measured start stages",
    "platforms": "Platforms",
    "hosts": "Hosts",
    "storage": "Storage",
    "loaders": "Loaders",
    "mitigations": "Mitigations",
    "coefficients": "Coefficients",
    "settings": "Defaults",
    "sources": "Sources",
}
_HEIGHT_PX = 480
_GROUPS = {
    "provider_rules": {
        "Time and idling": ("increment_s", "minimum_s", "idle_rate_factor"),
        "What of a start is billed": tuple(
            name for name in EDITABLE["provider_rules"] if name.startswith("bills_")
        ),
        "Fees": (
            "platform_fee_usd_month",
            "free_credit_usd_month",
            "request_fee_usd",
            "storage_usd_per_gb_month",
            "region_multiplier",
            "availability_multiplier",
        ),
        "Cores and memory": (
            "cores_metered",
            "least_cores",
            "least_ram_gib",
            "most_cores",
            "most_gib_per_vcpu",
        ),
    },
    "behaviours": {
        "Idle timeout": ("idle_default_s", "idle_min_s", "idle_max_s", "scale_down_rule"),
        "Cold requests": ("cold_request", "retry_s"),
        "Limits": ("max_replicas_default", "max_replicas_hard", "max_gpus_hard"),
    },
}


def draw() -> None:
    """Draw the tab."""
    tables = session.tables()
    names = [item.name for item in dataclasses.fields(Tables)]
    ordered = [name for name in _TITLES if name in names]
    ordered += [name for name in names if name not in ordered]
    name = link.pick(
        "Table",
        ordered,
        ordered[0],
        format_func=lambda table: _TITLES.get(table, table.replace("_", " ").capitalize()),
        key="table",
        width=320,
    )
    frame = table_frame(tables, name)
    st.dataframe(
        frame,
        hide_index=True,
        height=_HEIGHT_PX,
        column_config={
            "Read it": st.column_config.LinkColumn(display_text="open"),
            "url": st.column_config.LinkColumn(),
        },
    )
    show.download(frame, f"{name}.csv")
    if name in _GROUPS:
        _draw_row(name, tables)
    elif name == "offers":
        st.caption("Prices, cores and machines of an offer are changed under “Offers”.")
    else:
        st.caption(
            f"To change a row for everybody, edit `data/{name}.csv`; `data/README.md` says how."
        )
    with st.expander("What the columns mean"):
        st.table(
            pd.DataFrame(
                {
                    "Column": [column.column for column in load_columns()[name]],
                    "Unit": [text.money(column.unit) for column in load_columns()[name]],
                    "Meaning": [text.plain(column.description) for column in load_columns()[name]],
                }
            ).set_index("Column")
        )


def _draw_row(name: str, tables: Tables) -> None:
    """Draw the fields of one row, of an offer in use unless another is chosen."""
    rows = getattr(tables, name)
    scenario = controls.current().scenario
    rules = tables.rules_of(tables.offers[scenario.serverless_offer])
    used = rules.behaviour_id if name == "behaviours" else rules.rules_id
    with st.container(border=True):
        chosen = link.pick(
            "Change for this session",
            list(rows),
            used,
            key=f"{name}_row",
            format_func=lambda key: _name(rows[key]),
        )
        note = rows[chosen].note
        if note:
            st.caption(text.plain(note))
        for group, columns in _GROUPS[name].items():
            st.markdown(f"**{group}**")
            with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
                for column in columns:
                    with st.container(width=190):
                        cell_controls.cell_field(name, chosen, column)
        words = "What a provider does not state was read the costlier way; its note says what."
        if name == "behaviours":
            words = "Machines by the hour share a row: a change there is one of each of them."
        st.caption(words)


def _name(row: ProviderRules | Behaviour) -> str:
    return f"{row.provider} · {row.product}"


def table_frame(tables: Tables, name: str) -> pd.DataFrame:
    """Return a table for the screen: its columns, then title, kind, date and link of sources."""
    records = []
    for row in getattr(tables, name).values():
        record = {item.name: _shown(getattr(row, item.name)) for item in dataclasses.fields(row)}
        if name != "sources" and "source_id" in record:
            source = tables.source_of(row)
            record |= {
                "Source": source.title,
                "Kind": source.kind,
                "Read on": source.read_on.isoformat(),
                "Read it": source.url if source.url.startswith("http") else None,
            }
        records.append(record)
    frame = pd.DataFrame(records)
    return (
        frame.drop(columns=["source_id"]) if name != "sources" and "source_id" in frame else frame
    )


def _shown(value: object) -> object:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return "; ".join(map(str, value))
    return value.isoformat() if hasattr(value, "isoformat") else value
