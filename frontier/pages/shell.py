"""What surrounds every page: the list of pages, the sidebar, and the only catch of errors."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from frontier.errors import FrontierError
from frontier.pages import controls, home, method, sources, text

PAGES = (
    ("Frontier", ":material/ssid_chart:", home.render, ""),
    ("Data and sources", ":material/table_view:", sources.render, "sources"),
    ("Method", ":material/functions:", method.render, "method"),
)


def run() -> None:
    """Draw the sidebar and the page that the address asks for."""
    page = st.navigation(
        [
            st.Page(
                _guarded(render), title=title, icon=icon, url_path=path or None, default=not path
            )
            for title, icon, render, path in PAGES
        ],
        position="top",
    )
    page.run()


def _guarded(render: Callable[[], None]) -> Callable[[], None]:
    """Return the page with errors meant for people shown as they are written."""

    def guarded() -> None:
        try:
            choices = controls.sidebar()
            for sentence in choices.ignored:
                st.warning(text.plain(f"From your link: {sentence}."), icon=":material/link_off:")
            st.session_state["choices"] = choices
            render()
        except FrontierError as error:
            st.error(text.plain(str(error)), icon=":material/error:")

    guarded.__name__ = render.__module__.rsplit(".", 1)[-1]
    return guarded
