"""A person's own model: pasted, said back, in use on the page, in the link, or refused."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from frontier.edits import read_scenario, scenario_json
from frontier.models.config import read_model_config
from frontier.models.own import link_text
from frontier.tables import load_tables
from tests.app.late import named

CONFIG = {
    "model_type": "llama",
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 14336,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
}


@pytest.fixture
def app(open_app):
    return open_app()


def _pasted(app, content):
    app.text_area(key="own_model_pasted").set_value(content).run()
    return app.button(key="use_config").click().run()


def _words(app):
    return " ".join(caption.value for caption in app.caption).replace("\\", "")


def test_a_pasted_config_is_said_back_and_used(app):
    """Eight billion parameters, 131 kB a token, 16.1 GB; the page runs on with that model."""
    app = _pasted(app, json.dumps(CONFIG))
    assert app.selectbox(key="model").value == "yours"
    assert "8.0 B parameters, 131 kB of cache a token, 16.1 GB in bf16" in _words(app)
    assert not app.exception


def test_an_own_model_travels_in_the_link(app, open_app):
    """Another session that opens the address has the same model, and says that it is a link's."""
    app = _pasted(app, json.dumps(CONFIG))
    query = {
        key: value[0] if isinstance(value, list) else value
        for key, value in dict(app.query_params).items()
    }
    assert len(query["own_model"]) < 600
    again = open_app(**query)
    assert again.selectbox(key="model").value == "yours"
    assert "8.0 B parameters, 131 kB of cache a token, 16.1 GB in bf16" in _words(again)
    assert not again.exception


def test_a_link_with_a_broken_model_opens_and_says_so(open_app):
    """Cells that are none are counted as what the link asked and could not get."""
    app = open_app(own_model="dense~1e99~x")
    assert any("own model cannot be used" in box.value.replace("\\", "") for box in app.warning)
    assert app.selectbox(key="model").value != "yours"
    assert not app.exception


def test_what_is_no_config_is_refused_in_one_sentence(app):
    """A tokenizer's file says what it looks like; the model in use stays."""
    before = app.selectbox(key="model").value
    app = _pasted(app, json.dumps({"tokenizer_class": "LlamaTokenizer"}))
    assert any("tokenizer" in box.value for box in app.error)
    assert app.selectbox(key="model").value == before


def test_a_few_numbers_make_a_model(app):
    """Who has no config gives parameters, layers, KV heads, head size and precision."""
    app.radio(key="own_model_how").set_value("A few numbers").run()
    app = app.button(key="use_numbers").click().run()
    assert app.selectbox(key="model").value == "yours"
    assert "8.0 B parameters, 131 kB of cache a token, 16 GB in bf16" in _words(app)
    app = named(app, "forget_model")[0].click().run()
    assert app.selectbox(key="model").value != "yours"
    assert not app.exception


_SCENARIO = """
import streamlit as st
from frontier.pages import controls, link, session
link.begin()
st.session_state['choices'] = controls.scenario_bar()
st.session_state['made'] = session.scenario_file()
st.session_state['private'] = st.session_state['choices'].is_private
st.session_state['content'] = st.session_state['choices'].content
st.button('Open', key='open', on_click=lambda: session.use_scenario(st.session_state['kept']))
link.end()
"""


def test_an_own_model_travels_in_the_scenario_file():
    """The file of a session with an own model opens it again; that of one without forgets it."""
    from streamlit.testing.v1 import AppTest

    model = read_model_config(json.dumps(CONFIG), load_tables()).model
    app = AppTest.from_string(_SCENARIO, default_timeout=90)
    app.query_params["own_model"], app.query_params["model"] = link_text(model), "yours"
    app = app.run()
    app.run()
    made = app.session_state["made"]
    content = scenario_json(made, version="0", made_on=dt.date(2026, 11, 26))
    read = read_scenario(content, load_tables())
    assert read.choices["own_model"] == link_text(model)

    other = AppTest.from_string(_SCENARIO, default_timeout=90).run()
    empty = other.session_state["made"]
    other.session_state["kept"] = read
    other.button(key="open").click().run()
    assert other.selectbox(key="model").value == "yours"
    other.session_state["kept"] = empty
    other.button(key="open").click().run()
    assert other.selectbox(key="model").value != "yours"
    assert not other.exception


def test_results_of_an_own_model_stay_in_the_session():
    """What is brought is nobody else's: kept with the session, under the row's own numbers."""
    from streamlit.testing.v1 import AppTest

    model = read_model_config(json.dumps(CONFIG), load_tables()).model
    app = AppTest.from_string(_SCENARIO, default_timeout=90)
    app.query_params["own_model"], app.query_params["model"] = link_text(model), "yours"
    app = app.run()
    assert app.session_state["private"]
    kept = [getattr(part, "total_params_b", None) for part in app.session_state["content"]]
    assert model.total_params_b in kept
    assert not AppTest.from_string(_SCENARIO, default_timeout=90).run().session_state["private"]
