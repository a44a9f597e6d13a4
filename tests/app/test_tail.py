"""The Tail page: the sentence, the charts and the table of a plan."""

from __future__ import annotations

import re

import pytest

_PAGE = """
import streamlit as st
from frontier.pages import controls, link, tail
link.begin()
st.session_state['choices'] = controls.scenario_bar()
tail.render()
link.end()
"""


@pytest.fixture(scope="module")
def open_tail():
    from streamlit.testing.v1 import AppTest

    def _open(**query):
        app = AppTest.from_string(_PAGE, default_timeout=90)
        for key, value in query.items():
            app.query_params[key] = value
        return app.run()

    return _open


def _said(app) -> str:
    return " ".join(words.value for words in app.markdown)


def _slowest(app):
    """Return the table of single requests."""
    return next(frame.value for frame in app.dataframe if "Arrived" in frame.value)


def test_scale_to_zero_is_explained_by_its_starts(open_tail):
    """The sentence names the cold starts and what p99 would be without; four charts, a table."""
    app = open_tail(plan="zero-60s")
    assert not app.exception
    assert not app.error
    headline = app.subheader[0].value
    assert re.match(r"Of the slowest 1 % of requests \(\d+\), .*waited on a cold start", headline)
    assert "were every start instant, it would be" in _said(app)
    assert len(app.get("plotly_chart")) == 4
    assert len(_slowest(app)) == 20
    assert {"Arrived", "TTFT", "Cause", "Start", "Queue", "Prompt"} <= set(_slowest(app))
    assert "Replicas through time" in " ".join(words.value for words in app.markdown)


def test_an_always_on_plan_has_no_start_in_its_tail(open_tail):
    """The default choice is that of the home page, and none of its waits is a cold start's."""
    app = open_tail(plan="dedicated-2")
    assert not app.exception
    assert "cold start" not in app.subheader[0].value
    assert "none of these waits is a cold start's" in _said(app)
    assert "Start" not in _slowest(app)


def test_replicas_that_are_always_up_are_shown_by_how_full_they_are(open_tail):
    """Two replicas hold twice what one holds; what is in flight is counted against that."""
    told = {}
    for count in (1, 2):
        app = open_tail(plan=f"dedicated-{count}")
        words = " ".join(element.value for element in app.markdown)
        assert "How full it is through time" in words
        assert "Replicas through time" not in words
        found = re.search(r"([\d,]+) requests at once; at most (\d+) (?:is|are) in flight", words)
        told[count] = [int(number.replace(",", "")) for number in found.groups()]
        table = next(frame.value for frame in app.dataframe if "Capacity" in frame.value)
        assert [table["Capacity"].max(), table["Most"].max()] == told[count]
    assert told[2][0] == 2 * told[1][0]
    assert told[1][1] <= told[1][0]


def test_the_hour_around_the_p99_request_can_be_chosen_and_linked(open_tail):
    """The window is a choice of the address; bins of an hour are 6 s wide."""
    app = open_tail(plan="zero-60s", window="hour")
    assert not app.exception
    assert app.selectbox(key="window").value == "hour"
    assert any("average over 6 s" in caption.value for caption in app.caption)


def test_the_bound_is_no_plan_with_requests(open_tail):
    """The clairvoyant bound is answered in a sentence, not with another plan's requests."""
    app = open_tail(plan="bound")
    assert not app.exception
    assert "Choose a plan" in app.info[0].value
    assert not app.get("plotly_chart")


def test_without_traffic_the_page_asks_for_it(open_tail):
    """No upload yet: a request for one, no error."""
    app = open_tail(traffic="upload")
    assert not app.exception
    assert app.header[0].value == "Your traffic, please"
