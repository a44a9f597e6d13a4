"""A scenario pinned as A travels in the link, and is held against the present one."""

from __future__ import annotations

import pytest

from tests.app.test_links import _link, _red, _trace

_BAR = """
import streamlit as st
from frontier.pages import controls, link, pins, session, shell
back_to = link.begin()
if back_to is not None:
    session.go_to(back_to)
pins.begin()
notices = st.container()
session.change(st.session_state.pop("test_edits", []))
st.session_state["choices"] = pins.drawn(controls.scenario_bar)
shell.say_missing(notices)
for sentence in link.ignored():
    st.warning(sentence)
{page}
link.end()
"""
_COMPARED = "from frontier.pages import what_if; what_if.render()"


def _app(page="", **query):
    from streamlit.testing.v1 import AppTest

    app = AppTest.from_string(_BAR.replace("{page}", page), default_timeout=90)
    for key, value in query.items():
        app.query_params[key] = value
    return app.run()


def _limits(app):
    """Return the limits of A and of B."""
    a = app.session_state["pinned"].choices.scenario
    return a.slo_p99_ttft_s, app.session_state["choices"].scenario.slo_p99_ttft_s


def _said(app):
    return " ".join(one.value for one in app.warning)


def test_a_pin_outlives_the_link_a_swap_and_undo():
    """Pinned at 2 s, changed to 30 s: opened anew both are there; swapped; taken back."""
    app = _app()
    app.button(key="pin").click().run()
    assert _link(app) == {"a": "0"}, "the defaults are the shortest pin"
    app.number_input(key="limit").set_value(30.0).run()
    other = _app(**_link(app))
    assert not other.exception
    assert not _said(other)
    assert _limits(other) == (2.0, 30.0)
    assert _link(other) == _link(app)
    other.button(key="pin_swap").click().run()
    assert _limits(other) == (30.0, 2.0)
    assert _link(other) == {"a": "limit=30.0"}
    other.button(key="unpin").click().run()
    assert "pinned" not in other.session_state
    assert not _link(other)
    other.button(key="undo").click().run()
    assert _limits(other) == (30.0, 2.0)


def test_each_side_keeps_its_own_prices():
    """A price changed in A is not B's, nor the other way round."""
    app = _app(**{"a": "price.modal-l40s=1.25&limit=5", "price.crusoe-l40s": "1.11"})
    tables = app.session_state["pinned"].tables
    assert tables.offers["modal-l40s"].usd_per_gpu_h == 1.25
    assert tables.offers["crusoe-l40s"].usd_per_gpu_h != 1.11
    assert _link(app)["price.crusoe-l40s"] == "1.11"
    assert "price.modal-l40s" not in _link(app)
    again = _app(**_link(app))
    assert _link(again) == _link(app)
    assert again.session_state["pinned"].tables.offers["modal-l40s"].usd_per_gpu_h == 1.25


@pytest.mark.parametrize(
    ("a", "kept"),
    [
        ("", None),
        ("x", None),
        ("a=1", None),
        ("limit=3&limit=4", None),
        ("x" * 9000, None),
        ("&" * 500, None),
        ("limit=-1", "0"),
        ("gpu=<script>&limit=7", "limit=7.0"),
        ("made_with=trace.3.zz&timings=%00", "0"),
        ("embed=true&view=plans&page=2", "0"),
    ],
)
def test_a_hostile_pin_is_said_or_left_out_and_never_an_error(a, kept):
    """Whatever stands there: B is as its link has it, no red, no traceback."""
    app = _app(a=a, limit="3")
    assert not app.exception
    assert not app.error
    assert app.session_state["choices"].scenario.slo_p99_ttft_s == 3.0
    assert _link(app).get("a") == kept
    if kept is None:
        assert "no pin" in _said(app)


def test_a_pin_on_an_uploaded_trace_waits_for_it():
    """Named with its fingerprint where it is missing; compared as soon as the file is there."""
    app = _app(traffic="upload")
    app.file_uploader(key="trace_file").set_value(_trace(400)).run()
    app.button(key="pin").click().run()
    app.number_input(key="limit").set_value(30.0).run()
    found = app.session_state["pinned"]
    assert found.choices.trace.arrival_s.size == 400
    assert "made_with=trace.400." in found.text

    other = _app(**_link(app))
    assert "a trace of 400 requests" in _red(other)
    assert "a trace of 400 requests" in other.session_state["pinned"].problem
    assert _link(other) == _link(app)
    other.file_uploader(key="trace_file").set_value(_trace(400)).run()
    assert not other.exception
    assert not _red(other)
    assert other.session_state["pinned"].problem == ""
    assert other.session_state["pinned"].choices.trace.arrival_s.size == 400
    assert _limits(other) == (2.0, 30.0)


def test_the_comparison_says_both_and_the_frontier_page_one_line(open_app):
    """The lower price of B is in the line under the answer and in the words of the page."""
    query = {"a": "0", "price.crusoe-l40s": "1.20"}
    page = _app(_COMPARED, question="against", **query)
    assert not page.exception
    assert page.subheader[0].value == "Against your pin A: −\\$219 a month, the same p99."
    (inputs, *_) = [one.value for one in page.table]
    assert list(inputs.index) == ["Dedicated offer"]
    app = open_app(**query)
    assert not app.exception
    (line,) = [one.value for one in app.markdown if "Against your pin A" in one.value]
    assert "−\\$219 a month, the same p99\\. This is of the offers in focus" in line
    app.button(key="to_against").click().run()
    assert not app.exception
    assert app.query_params["question"] == "against"
    assert "a" in app.query_params, "the pin goes along"
