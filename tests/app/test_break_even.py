"""The Break-even page: its sentence, its choices in the address, its layer of latency."""

from __future__ import annotations

import pytest

from frontier.pages import text
from frontier.tables import load_tables

SCRIPT = """
import streamlit as st
from frontier.pages import break_even, controls, link
link.begin()
st.session_state["choices"] = controls.scenario_bar()
break_even.render()
link.end()
"""


@pytest.fixture(scope="module")
def page():
    """Open the page at an address, as `app.py` would; AppTest cannot follow function pages."""
    from streamlit.testing.v1 import AppTest

    def _open(**query: str):
        app = AppTest.from_string(SCRIPT, default_timeout=90)
        for key, value in query.items():
            app.query_params[key] = value
        return app.run()

    return _open


def said(app) -> str:
    return " ".join(e.value for e in (*app.subheader, *app.markdown, *app.caption))


def test_the_first_sentence_is_the_break_even_and_this_traffic(page):
    """The default example has one; its uncertainty is said beneath."""
    app = page()
    assert not app.exception
    assert app.subheader[0].value.startswith("On cost alone always-on wins above ")
    assert "you have 508" in app.subheader[0].value
    assert "standard error" in said(app)
    assert len(app.get("plotly_chart")) == 6
    # Beside the machines, full and as they are: the APIs of which a price is known.
    assert "of what is reserved" in said(app)
    assert "no break-even. Even full, these machines cost" in said(app)
    assert all(row.label in said(app) for row in load_tables().folklore.values())
    words = said(app)
    assert "for the verdict to flip" in words
    # All inputs at once come before each of them alone.
    assert words.index("Over all that is not known for sure") < words.index("moved alone")
    table = next(t.value for t in app.dataframe if "Settles, of 100" in t.value)
    assert "Start time" in set(table["Input"])


def test_what_the_two_cost_here_stands_before_other_rates_are_served(page, monkeypatch):
    """Where serving others ends at once, the page has said which is cheaper as it is."""
    from frontier.errors import InfeasibleError
    from frontier.pages import results

    def ends(*_, **__):
        raise InfeasibleError("no other rate today")

    monkeypatch.setattr(results, "break_even", ends)
    monkeypatch.setattr("frontier.pages.break_even.find", lambda _: None)
    app = page()
    headline = app.subheader[0].value
    assert headline.startswith("Here scale-to-zero costs ")
    assert "is cheaper by" in headline
    assert "to find where the two cost the same" in said(app)


def test_no_break_even_is_said(page):
    """A GPU of eight that are paid for: no traffic makes that the cheaper plan."""
    app = page(gpu="H100-SXM-80GB", serverless="modal-h100", dedicated="crusoe-h100-8x")
    assert not app.exception
    assert app.subheader[0].value.startswith(
        "On cost alone scale-to-zero wins at every rate compared, "
    )


def test_choices_come_from_the_address(page):
    """Timeout and start of scale-to-zero."""
    app = page(keep="cheapest", faster="gpu-snapshot")
    assert not app.exception
    assert not app.warning
    assert app.selectbox(key="keep").value == "cheapest"
    assert app.selectbox(key="faster").value == "gpu-snapshot"


def test_the_price_of_latency_is_off_until_asked_for(page):
    """Off: no curve, no dollars. On: each curve that no LLM user was part of says so."""
    app = page()
    assert "not measured on LLM users" not in said(app)
    assert "leave" not in {box.key for box in app.selectbox}
    app.toggle(key="latency_price").set_value(True).run()
    app.selectbox(key="leave").set_value("video").run()
    assert not app.exception
    assert "Not measured on LLM users." in said(app)
    assert "it pays if sparing one is worth" in said(app)
    assert "1" in app.query_params["latency_price"]
    assert "video" in app.query_params["leave"]
    curves = next(t.value for t in app.table if "Source" in t.value)
    for curve in load_tables().abandonment.values():
        told = curves.loc[text.plain(curve.label), "Measured on LLM users"]
        assert ("not measured" in told) == (not curve.on_llm_users)


def test_an_own_curve_is_asked_for_and_used(page):
    """With an own curve in which nobody ever leaves, no session is lost."""
    app = page(latency_price="1", leave="own", leave_most="0")
    assert not app.exception
    first = next(t.value for t in app.table if "Sessions lost a month" in t.value)
    assert set(first["Sessions lost a month"]) == {"0"}


def test_a_short_trace_without_a_day_still_gets_an_answer():
    """Forty requests in an hour: an answer, or a sentence; never a traceback."""
    from streamlit.testing.v1 import AppTest

    app = AppTest.from_string(SCRIPT, default_timeout=90)
    app.query_params["traffic"] = "upload"
    app.run()
    rows = "".join(f"{index * 90.0},500,100\n" for index in range(40))
    content = ("timestamp,prompt_tokens,output_tokens\n" + rows).encode()
    app.file_uploader(key="trace_file").set_value(("mine.csv", content, "text/csv")).run()
    assert not app.exception
    assert not app.error
    assert "extrapolation" in said(app)


def test_a_long_trace_is_computed_when_asked_for(page, monkeypatch):
    """Beyond the setting nothing is simulated at other rates until the button is pressed."""
    import dataclasses
    from types import MappingProxyType

    from frontier.pages import session

    real = session.tables

    def small():
        tables = real()
        row = tables.settings["break_even_most_requests"]
        settings = {**tables.settings, row.setting_id: dataclasses.replace(row, value=1000)}
        return dataclasses.replace(tables, settings=MappingProxyType(settings))

    monkeypatch.setattr(session, "tables", small)
    app = page()
    assert not app.exception
    assert not app.subheader
    assert "Serving it at other rates" in app.info[0].value
    next(b for b in app.button if b.label == "Compute the break-even").click().run()
    assert not app.exception
    assert "On cost alone" in app.subheader[0].value
