"""What a browser sends before it has the newest drawing means what the person saw."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

_LISTS = """
import streamlit as st
from frontier.pages import link

link.begin()
dollars = st.number_input("Price", value=1.0, key="price")
labels = {"first": f"One at {dollars:g}", "second": f"Two at {dollars:g}", "third": "Three"}
if st.session_state.get("alike"):
    labels["second"] = labels["first"]
st.session_state["shown"] = link.pick(
    "Offer", labels, "first", key="offer", format_func=labels.__getitem__
)
link.end()
"""


def _late(app, then):
    """Do something, then send the list as it stood before: the browser had no newer drawing."""
    before = app._tree.get_widget_states()
    then()
    sent = app._tree.get_widget_states()
    by_id = {state.id: state for state in before.widgets}
    for state in sent.widgets:
        if state.id.endswith("-offer"):
            state.CopyFrom(by_id[state.id])
    app._tree.get_widget_states = lambda: sent
    return app.run()


def test_a_choice_outlives_words_that_changed_before_the_browser_had_them():
    """An option sent by the words of an older drawing is that option, not the default."""
    app = AppTest.from_string(_LISTS).run()
    app.selectbox(key="offer").select("Two at 1").run()
    _late(app, lambda: app.number_input(key="price").set_value(2.0).run())
    assert app.session_state["shown"] == "second"
    assert app.query_params["offer"] == "second"


def test_options_of_one_name_are_told_apart():
    """Of two options that would read alike each can be chosen, and stays with the next run."""
    app = AppTest.from_string(_LISTS)
    app.session_state["alike"] = True
    app.query_params["offer"] = "first"
    app.run()
    assert len(set(app.selectbox(key="offer").options)) == 3
    assert app.run().session_state["shown"] == "first"


def test_an_offer_that_costs_what_another_does_stays_chosen(open_app):
    """Machines of one provider at one price a GPU are not taken for each other."""
    app = open_app(gpu="A100-80GB", serverless="hf-a100")
    assert app.run().session_state["serverless"] == "hf-a100"
