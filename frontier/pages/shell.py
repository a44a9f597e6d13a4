"""What surrounds every page: the list of pages, the scenario bar, and the only catch of errors."""

from __future__ import annotations

import streamlit as st

from frontier.errors import FrontierError
from frontier.pages import (
    bar,
    break_even,
    cold_start,
    controls,
    home,
    link,
    made_with,
    method,
    pins,
    session,
    sources,
    tail,
    text,
    traffic,
    what_if,
)

PAGES = (
    ("Frontier", ":material/ssid_chart:", home.render, ""),
    ("Cold start", ":material/timer:", cold_start.render, "cold-start"),
    ("Traffic", ":material/monitoring:", traffic.render, "traffic"),
    ("Break-even", ":material/balance:", break_even.render, "break-even"),
    ("Tail", ":material/area_chart:", tail.render, "tail"),
    ("What if", ":material/alt_route:", what_if.render, what_if.PATH),
    ("Data and sources", ":material/table_view:", sources.render, "sources"),
    ("Method", ":material/functions:", method.render, "method"),
)


def run() -> None:
    """Draw the scenario bar and the page that the address asks for."""
    back_to = link.begin()
    if back_to is not None:
        session.go_to(back_to)
    pages = {
        path: st.Page(render, title=title, icon=icon, url_path=path, default=not path)
        for title, icon, render, path in PAGES
    }
    page = st.navigation([*pages.values()], position="top")
    link.turn(pages)
    pins.begin()
    notices = None
    try:
        # Here and not in the pages, so that the choices outlive a change of page.
        st.session_state["choices"] = pins.drawn(controls.scenario_bar)
        notices = st.container()
        say_missing(notices)
        page.run()
    except FrontierError as error:
        st.error(text.plain(str(error)), icon=":material/error:")
    for sentence in link.ignored():
        (st if notices is None else notices).warning(
            text.plain(f"From your link: {sentence}."), icon=":material/link_off:"
        )
    link.end()
    bar.finish()


def say_missing(place: st.delta_generator.DeltaGenerator) -> None:
    """Say in red what the link was made with and is not here."""
    missing = made_with.missing()
    if not missing:
        return
    with place:
        for sentence in missing:
            st.error(text.plain(sentence), icon=":material/link_off:")
        st.button("Go on without", on_click=made_with.forget, key="go_on_without")
