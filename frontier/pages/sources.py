"""The Data and sources page: every table, and where each of its numbers comes from."""

from __future__ import annotations

import dataclasses

import pandas as pd
import streamlit as st

from frontier.pages import link, text
from frontier.tables import Tables, load_columns, load_tables

_TITLES = {
    "offers": "Prices",
    "provider_rules": "Billing rules",
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


def render() -> None:
    """Draw the page."""
    tables = load_tables()
    names = [item.name for item in dataclasses.fields(Tables)]
    ordered = [name for name in _TITLES if name in names]
    ordered += [name for name in names if name not in ordered]
    st.subheader("Every number, and where it comes from", anchor=False)
    st.markdown(
        "Each row names its source and says whether it was measured, stated by a vendor, published "
        "in a paper, derived, or assumed by us. To change one for everybody, edit the CSV file of "
        "that name in `data/`."
    )
    name = link.pick(
        "Table",
        ordered,
        ordered[0],
        format_func=lambda table: _TITLES.get(table, table.replace("_", " ").capitalize()),
        key="table",
    )
    rows = getattr(tables, name)
    st.dataframe(
        table_frame(tables, name),
        hide_index=True,
        height=480,
        column_config={
            "Read it": st.column_config.LinkColumn(display_text="open"),
            "url": st.column_config.LinkColumn(),
        },
    )
    oldest = [row.priced_on for row in rows.values() if getattr(row, "priced_on", None)]
    if oldest:
        st.caption(f"Prices are of {min(oldest)} to {max(oldest)}; each row has its date.")
    with st.expander("What the columns mean"):
        st.table(
            pd.DataFrame(
                {
                    "Column": [column.column for column in load_columns()[name]],
                    "Unit": [column.unit for column in load_columns()[name]],
                    "Meaning": [text.plain(column.description) for column in load_columns()[name]],
                }
            ).set_index("Column")
        )


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
