"""What surrounds every page: the list of pages, the scenario bar, and what is said of errors."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable

import streamlit as st

from frontier import compiling, memory
from frontier.answers import ANSWERS
from frontier.errors import FrontierError
from frontier.pages import (
    bar,
    controls,
    intake,
    link,
    made_with,
    mishap,
    pins,
    server,
    session,
    store,
    text,
)

PAGES = (
    ("Frontier", ":material/ssid_chart:", "home", ""),
    ("Cold start", ":material/timer:", "cold_start", "cold-start"),
    ("Traffic", ":material/monitoring:", "traffic", "traffic"),
    ("Break-even", ":material/balance:", "break_even", "break-even"),
    ("Tail", ":material/area_chart:", "tail", "tail"),
    ("What if", ":material/alt_route:", "what_if", link.WHAT_IF),
    ("Data and sources", ":material/table_view:", "sources", "sources"),
    ("Method", ":material/functions:", "method", "method"),
)
"""Title, icon, module of `frontier.pages` and path of each page."""

_CHOICES = "choices"
# A tenth of Python's own: a thread that computes gives way to the one that sends so often.
_SWITCH_S = 0.0005


def _render(module: str) -> Callable[[], None]:
    """Return what draws a page; its module and the libraries of its charts load when it is open.

    The bar needs neither pandas nor a chart, so it stands before they are there.
    """

    def render() -> None:
        importlib.import_module(f"frontier.pages.{module}").render()

    return render


def run() -> None:
    """Draw the scenario bar and the page that the address asks for."""
    # What a page needs is sent while the script of another visitor, or this one, computes.
    sys.setswitchinterval(_SWITCH_S)
    server.prepare()
    try:
        with mishap.boundary("page"), ANSWERS.answer(server.yield_check()):
            _draw()
    finally:
        # The first page needs none of it, and is drawn before anything is compiled.
        compiling.begin()
        server.spare_libraries()
        memory.give_back_soon()


def _draw() -> None:
    if _CHOICES not in st.session_state:
        # Near its end a server lets those who are here go on, and says so to who comes.
        session.require_room("another visitor", is_patient=True)
    store.begin_run()
    back_to = link.begin()
    if back_to is not None:
        session.go_to(back_to)
    pages = {
        path: st.Page(_render(module), title=title, icon=icon, url_path=path, default=not path)
        for title, icon, module, path in PAGES
    }
    page = st.navigation([*pages.values()], position="top")
    link.turn(pages)
    pins.begin()
    notices = None
    try:
        # Here and not in the pages, so that the choices outlive a change of page.
        st.session_state[_CHOICES] = pins.drawn(controls.scenario_bar)
        notices = st.container()
        with notices:
            mishap.say_of_callback()
            intake.say()
        say_missing(notices)
        page.run()
    except FrontierError as error:
        mishap.say(error, "page")
    if said := link.ignored():
        # One box, so that the answer is not a screen further down.
        words = (
            text.plain(f"From your link: {said[0]}.")
            if len(said) == 1
            else f"From your link:\n{text.bullets(said)}"
        )
        (st if notices is None else notices).warning(words, icon=":material/link_off:")
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
        st.button("Go on without", on_click=mishap.safe(made_with.forget), key="go_on_without")
