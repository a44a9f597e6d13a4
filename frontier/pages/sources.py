"""The Data and sources page: every number and its source, and what this session changes of them.

Prices, rules and behaviours can be changed here for this session alone, cell by cell or by bringing
a price table; the browser's own limits are only a courtesy, every cell is checked again here.
"""

from __future__ import annotations

import streamlit as st

from frontier import spell
from frontier.edits import Edit
from frontier.pages import (
    cell_controls,
    link,
    mishap,
    offers_tab,
    own_prices_tab,
    price_controls,
    results,
    scenario_tab,
    session,
    tables_tab,
    text,
)

_TABS = {
    "Offers": offers_tab.draw,
    "Tables": tables_tab.draw,
    "Your own prices": own_prices_tab.draw,
    "Scenario file": scenario_tab.draw,
}
_LISTED_CHANGES = 8


def render() -> None:
    """Draw the page."""
    words, changes = st.columns([3, 1], vertical_alignment="bottom")
    words.subheader("Every number, and where it comes from", anchor=False)
    results.answered()
    with changes:
        _draw_changes()
    st.markdown(
        "Each row names its source and says whether it was measured, stated by a vendor, published "
        "in a paper, derived, or assumed by us. Prices, billing rules and scaling behaviour can be "
        "changed for this session; discounts, commitments and months stand in the bar above."
    )
    for tab, draw in zip(link.tabs(list(_TABS), key="data_tab"), _TABS.values(), strict=True):
        if tab.open:
            with tab:
                draw()


def _draw_changes() -> None:
    """Draw the list of changes; folded, so that nothing below moves while it is worked in."""
    edits = session.edits()
    if not edits:
        own = session.upload()
        st.caption(
            "Nothing is changed in this session."
            if own is None
            else "No cell is changed in this session; offers of yours are in use."
        )
        return
    with st.popover(f"{spell.count(len(edits), 'cell')} changed", icon=":material/edit_note:"):
        for edit in edits[:_LISTED_CHANGES]:
            st.markdown(_change_in_words(edit))
            st.button(
                "Reset",
                key=f"reset_cell_{edit.table}_{edit.key}_{edit.column}",
                on_click=mishap.safe(_reset),
                args=(edit,),
                help="Take the value of the table again.",
            )
        if len(edits) > _LISTED_CHANGES:
            st.caption(f"and {len(edits) - _LISTED_CHANGES} more")
        st.button(
            "Reset all", key="reset_all", on_click=mishap.safe(_reset), icon=":material/undo:"
        )


def _change_in_words(edit: Edit) -> str:
    column = cell_controls.column_of(edit.table, edit.column)
    before, after = session.shipped_text(edit) or "empty", edit.text or "empty"
    words = f"{edit.key}: {cell_controls.label(column)} changed from {before} to {after}"
    return f":material/edit: {text.plain(words)}"


def _reset(edit: Edit | None = None) -> None:
    session.reset(edit)
    price_controls.forget()
