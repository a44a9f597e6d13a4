"""What a session brought travels in its link, or the link says in red what it lacks."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import re
from pathlib import Path
from urllib.parse import urlencode

import pytest
from streamlit.elements.widgets import file_uploader
from streamlit.runtime.uploaded_file_manager import DeletedFile

from frontier.edits import Edit
from frontier.models.own import OWN_MODEL
from frontier.start.log import OwnStart
from frontier.tables import load_tables

_BAR = """
import streamlit as st
from frontier.pages import bar, controls, link, session, shell
back_to = link.begin()
notices = st.container()
session.change(st.session_state.pop("test_edits", []))
if "test_prices" in st.session_state:
    session.use_prices(st.session_state.pop("test_prices"))
st.session_state["choices"] = controls.scenario_bar()
shell.say_missing(notices)
for sentence in link.ignored():
    st.warning(sentence)
link.end()
st.session_state["file"] = session.scenario_file()
"""
_TIMINGS = OwnStart(
    model="Llama-3.1-8B-Instruct",
    precision="bf16",
    gpu="L40S",
    runs_s=(("load", (12.5, 14.25, 11.125)), ("compile", (31.0,)), ("total", (88.0, 91.5))),
    host_factors=(("engine_init_factor", 1.25),),
    compile_state="cold",
    within=(("kv_cache", "graph_capture"),),
)


def _app(query=None, **state):
    from streamlit.testing.v1 import AppTest

    app = AppTest.from_string(_BAR, default_timeout=90)
    for key, value in (query or {}).items():
        app.query_params[key] = value
    for key, value in state.items():
        app.session_state[key] = value
    return app.run()


def _link(app) -> dict[str, str]:
    return {
        key: value[-1] if isinstance(value, list) else value
        for key, value in dict(app.query_params).items()
    }


def _red(app) -> str:
    return " ".join(error.value for error in app.error).replace("\\", "")


def _trace(rows: int, step_s: float = 400.0) -> tuple[str, bytes, str]:
    lines = "".join(f"{index * step_s},500,100\n" for index in range(rows))
    return (f"{rows}.csv", b"timestamp,prompt_tokens,output_tokens\n" + lines.encode(), "text/csv")


def test_a_link_names_the_uploaded_trace_and_misses_it():
    """Requests and fingerprint are in the link; opened elsewhere it says so and shows the example;
    the same file ends that, another one is told apart.
    """  # noqa: D205
    app = _app({"traffic": "upload"})
    app.file_uploader(key="trace_file").set_value(_trace(400)).run()
    assert not _red(app)
    link = _link(app)
    assert link["made_with"].startswith("trace.400.")
    fingerprint = link["made_with"].rpartition(".")[2]

    other = _app(link)
    assert not other.exception
    assert "a trace of 400 requests" in _red(other)
    assert fingerprint in _red(other)
    assert "what you see is the example" in _red(other)
    shown = other.session_state["choices"]
    assert not shown.is_upload
    assert shown.trace.arrival_s.size > 1000
    assert _link(other) == link, "the link stays true while the trace is missing"

    other.file_uploader(key="trace_file").set_value(_trace(400, 300.0)).run()
    assert "is another" in _red(other)
    other.file_uploader(key="trace_file").set_value(_trace(400)).run()
    assert not _red(other)
    assert other.session_state["choices"].is_upload


def test_files_of_a_session_that_is_gone_are_missed_like_any_other(monkeypatch):
    """A page that finds its server again after a minute still names the files it once sent: the
    first trace is missed in red, more traces count for nothing, a model is asked for again.
    """  # noqa: D205
    real = file_uploader._get_upload_files
    monkeypatch.setattr(
        file_uploader,
        "_get_upload_files",
        lambda state: [
            DeletedFile(one.file_id) if one.name.startswith("gone") else one for one in real(state)
        ],
    )
    _, content, kind = _trace(400)
    gone = ("gone.csv", content, kind)
    app = _app({"traffic": "upload", "made_with": "trace.400.8547a411"})
    app.file_uploader(key="trace_file").set_value(gone).run()
    assert not app.exception
    assert "a trace of 400 requests" in _red(app)
    assert _link(app)["made_with"] == "trace.400.8547a411"

    app.file_uploader(key="trace_file").set_value(_trace(300)).run()
    app.file_uploader(key="more_traces").set_value([gone, _trace(200, 600.0)]).run()
    assert not app.exception
    assert app.session_state["choices"].trace.name == "300 + 200"
    app.file_uploader(key="more_traces").set_value([gone]).run()
    assert not app.exception
    assert app.session_state["choices"].trace.arrival_s.size == 300

    app = _app({"model": OWN_MODEL})
    app.file_uploader(key="own_model_file").set_value(("gone.json", b"{}", "application/json"))
    app.button(key="use_config").click().run()
    assert not app.exception
    assert "config.json" in _red(app)


def test_no_page_takes_a_file_from_the_session_without_looking_whether_it_is_there():
    """Of all fields of files: what they hold before they are drawn is asked of `late.files`."""
    pages, seen = Path(__file__).parents[2] / "frontier/pages", 0
    for path in pages.glob("*.py"):
        code = path.read_text("utf-8")
        for key in re.findall(r"st\.file_uploader\([^()]*?key=([\w\"]+)", code):
            seen += 1
            assert f"session_state.get({key})" not in code, path.name
            assert f"session_state[{key}]" not in code, path.name
    assert seen > 4


def test_who_opens_such_a_link_can_go_on_without():
    """One click, and nothing is missed any more; another traffic chosen does the same."""
    link = {"traffic": "upload", "made_with": "trace.400.0123abcd"}
    app = _app(link)
    app.button(key="go_on_without").click().run()
    assert not app.exception
    assert not _red(app)
    assert "made_with" not in _link(app)
    app = _app(link)
    app.selectbox(key="traffic").set_value("steady-chat").run()
    assert not _red(app)
    assert "made_with" not in _link(app)


def test_an_upload_outlives_a_look_at_an_example():
    """The file is still there when the person comes back to it, until it is removed."""
    app = _app({"traffic": "upload"})
    app.file_uploader(key="trace_file").set_value(_trace(400)).run()
    app.selectbox(key="traffic").set_value("steady-chat").run()
    assert not app.session_state["choices"].is_upload
    app.selectbox(key="traffic").set_value("upload").run()
    assert app.session_state["choices"].trace.arrival_s.size == 400
    app.button(key="forget_trace").click().run()
    assert not hasattr(app.session_state["choices"], "trace")


def test_own_timings_travel_in_the_link():
    """Stages, host factors and all: whoever opens the link has the same start."""
    link = _link(_app(own_start=_TIMINGS))
    assert "made_with" not in link
    again = _app(link)
    assert not _red(again)
    assert again.session_state["choices"].scenario.own_start == _TIMINGS


def test_long_timings_are_in_the_file_and_missed_by_the_link():
    """More seconds than a link has room for: counted there, whole in the scenario file."""
    many = dataclasses.replace(
        _TIMINGS, runs_s=(("load", tuple(10 + index / 8 for index in range(900))),)
    )
    app = _app(own_start=many)
    link = _link(app)
    assert link["made_with"].startswith("timings.1.")
    assert len(urlencode(link)) < load_tables().setting("link_most_characters")
    assert "measured starts (1 stage)" in _red(_app(link))
    again = _app(dict(app.session_state["file"].choices))
    assert again.session_state["choices"].scenario.own_start == many


def test_many_own_prices_leave_the_link_short():
    """The prices of the chosen offers travel; those that find no room are counted."""
    offers = [key for key, row in load_tables().offers.items() if row.usd_per_gpu_h]
    edits = [Edit("offers", key, "usd_per_gpu_h", "1.2345") for key in offers]
    app = _app(test_edits=edits)
    assert not app.exception
    link = _link(app)
    assert "price.modal-l40s" in link
    assert "price.crusoe-l40s" in link
    carried = sum(key.startswith("price.") for key in link)
    assert link["made_with"].startswith(f"changes.{len(edits) - carried}.")
    assert len(urlencode(link)) <= load_tables().setting("link_most_characters")
    again = _app(link)
    assert "changed cells" in _red(again)
    assert len(app.session_state["file"].edits) == len(edits)


def test_own_offers_are_named_by_the_link_and_missed():
    """A price list of one's own: how many offers, and where they come from again."""
    from frontier.prices import read_prices

    table = (
        "provider,gpu,price,unit,kind\n"
        "House,L40S,1.50,usd_per_gpu_hour,serverless\n"
        "House,L40S,0.9,usd_per_gpu_hour,on-demand\n"
    )
    own = read_prices(table.encode(), tables=load_tables(), today=dt.date(2026, 11, 26))
    app = _app(test_prices=own)
    mine = own.offers[0].offer_id
    app.selectbox(key="serverless").set_value(mine).run()
    link = _link(app)
    assert link["made_with"].startswith(f"offers.{len(own.offers)}.")
    other = _app(link)
    assert not other.exception
    assert f"{len(own.offers)} offers of its own" in _red(other)
    said = " ".join(warning.value for warning in other.warning)
    assert mine in said
    assert "is used instead" in said


@pytest.mark.parametrize(
    "made_with", ["", "trace", "trace.x.0123abcd", "trace.3.0123ABCD", "love.3.0123abcd", "_" * 99]
)
def test_a_mark_that_is_none_is_said_and_left_out(made_with):
    """Whatever stands there: a sentence, no red, no traceback."""
    app = _app({"made_with": made_with})
    assert not app.exception
    assert not _red(app)
    assert any("made_with" in warning.value for warning in app.warning)


@pytest.mark.parametrize(
    "timings",
    [
        "",
        "x",
        "Llama-3.1-8B-Instruct~bf16~L40S~cold",
        "Llama-3.1-8B-Instruct~bf16~L40S~cold~~s~load~nan",
        "Llama-3.1-8B-Instruct~bf16~L40S~cold~~s~load~-1",
        "Llama-3.1-8B-Instruct~bf16~L40S~cold~~s~load~1e9",
        "Llama-3.1-8B-Instruct~bf16~L40S~cold~~s~sleep~1",
        "Llama-3.1-8B-Instruct~bf16~L40S~warm~~s~load~1",
        "Llama-3.1-8B-Instruct~bf16~TPU~cold~~s~load~1",
        "Llama-3.1-8B-Instruct~bf15~L40S~cold~~s~load~1",
        "Llama-3.1-8B-Instruct~bf16~L40S~cold~~h~price~1~~s~load~1",
    ],
)
def test_timings_that_cannot_be_used_are_said(timings):
    """A link with broken timings opens with the model's start, and a warning."""
    app = _app({"timings": timings})
    assert not app.exception
    assert app.session_state["choices"].scenario.own_start is None
    assert any("start timings cannot be used" in warning.value for warning in app.warning)


def test_a_file_with_everything_opens_the_same_view():
    """Choices, timings and changes of a scenario file are what the session had."""
    from frontier.edits import read_scenario, scenario_json

    edits = [Edit("provider_rules", "modal", "minimum_s", "7")]
    app = _app({"limit": "5"}, own_start=_TIMINGS, test_edits=edits)
    content = scenario_json(app.session_state["file"], version="1", made_on=dt.date(2026, 11, 26))
    found = read_scenario(content, load_tables())
    assert json.loads(content)["changes"]
    again = _app(dict(found.choices), test_edits=list(found.edits))
    assert again.session_state["choices"].scenario == app.session_state["choices"].scenario
    assert not _red(again)
