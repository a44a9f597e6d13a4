"""What surrounds every page: the list of pages, the sidebar, and the only catch of errors."""

from __future__ import annotations

import streamlit as st

from frontier.errors import FrontierError
from frontier.pages import (
    break_even,
    cold_start,
    controls,
    home,
    link,
    method,
    sources,
    tail,
    text,
    traffic,
)

PAGES = (
    ("Frontier", ":material/ssid_chart:", home.render, ""),
    ("Cold start", ":material/timer:", cold_start.render, "cold-start"),
    ("Traffic", ":material/monitoring:", traffic.render, "traffic"),
    ("Break-even", ":material/balance:", break_even.render, "break-even"),
    ("Tail", ":material/area_chart:", tail.render, "tail"),
    ("Data and sources", ":material/table_view:", sources.render, "sources"),
    ("Method", ":material/functions:", method.render, "method"),
)


def run() -> None:
    """Draw the sidebar and the page that the address asks for."""
    page = st.navigation(
        [
            st.Page(render, title=title, icon=icon, url_path=path, default=not path)
            for title, icon, render, path in PAGES
        ],
        position="top",
    )
    link.begin()
    notices = st.container()
    try:
        # Here and not in the pages, so that the choices outlive a change of page.
        st.session_state["choices"] = controls.sidebar()
        page.run()
    except FrontierError as error:
        st.error(text.plain(str(error)), icon=":material/error:")
    for sentence in link.ignored():
        notices.warning(text.plain(f"From your link: {sentence}."), icon=":material/link_off:")
    link.end()
