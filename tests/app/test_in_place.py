"""What stands on a page keeps its place when results arrive, so that the browser keeps it."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

# What a person may have open, half typed, or zoomed into.
_BUILT_ANEW = {
    "plotly_chart",
    "arrow_data_frame",
    "table",
    "tab",
    "popover",
    "expandable",
    "button",
    "download_button",
    "selectbox",
    "multiselect",
    "number_input",
    "text_input",
    "toggle",
    "segmented_control",
    "button_group",
}
_SCRIPT = """
import streamlit as st
from frontier.pages import bar, controls, link, {page}
link.begin()
st.session_state['choices'] = controls.scenario_bar()
{page}.render()
link.end()
"""
_PAGES = (
    ("home", {"view": "market"}),
    ("home", {"view": "plans"}),
    ("home", {"view": "plans", "detail": "Why"}),
    ("home", {"view": "plans", "detail": "Take away"}),
    ("cold_start", {}),
    ("traffic", {"draws": "1"}),
    ("break_even", {}),
    ("tail", {}),
    ("what_if", {"question": "limits"}),
    ("what_if", {"question": "hold"}),
    ("what_if", {"question": "timeout"}),
    ("what_if", {"question": "growth"}),
    ("sources", {}),
    ("method", {}),
)


def _places(node, path=()):
    """Return what would be built anew, by its place."""
    found = {path: node.type} if node.type in _BUILT_ANEW else {}
    for at, child in getattr(node, "children", {}).items():
        found |= _places(child, (*path, at))
    return found


@pytest.mark.parametrize(("page", "query"), _PAGES)
def test_results_that_arrive_move_nothing(tried, page, query):
    """What is drawn while results are made stands in the same place once they are at hand."""
    app = AppTest.from_string(_SCRIPT.format(page=page), default_timeout=90)
    for key, value in query.items():
        app.query_params[key] = value
    app.run()
    assert not app.exception
    first = _places(app._tree)
    after = _places(app.run()._tree)
    moved = {place: name for place, name in first.items() if after.get(place) != name}
    assert not moved
