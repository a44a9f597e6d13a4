"""The choice of another autoscaler than the one the platform has."""

from __future__ import annotations

import streamlit as st

from frontier.autoscalers import in_words
from frontier.pages import link
from frontier.tables import Tables

_PLATFORM = "platform"


def scaler_section(tables: Tables) -> str | None:
    """Draw the choice of an autoscaler; None: the platform's own."""
    rows = tables.autoscalers
    labels = {_PLATFORM: "As the platform has it"} | {key: row.label for key, row in rows.items()}
    chosen = link.pick(
        "Autoscaler",
        labels,
        _PLATFORM,
        key="autoscaler",
        format_func=labels.__getitem__,
        help="What starts replicas as requests come, and lets them go.",
    )
    if chosen == _PLATFORM:
        return None
    st.caption(f"{in_words(rows[chosen])} {rows[chosen].description}")
    return chosen
