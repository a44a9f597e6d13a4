"""The Data page: what a session changes of prices and rules is checked, marked, kept and undone."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from frontier import sweep
from frontier.tables import load_tables

_TODAY = dt.date(2026, 11, 24)
_DATA = """
import streamlit as st
from frontier.pages import controls, link, sources
link.begin()
st.session_state['choices'] = controls.scenario_bar()
sources.render()
for sentence in link.ignored():
    st.warning(sentence)
link.end()
"""
_BOTH = _DATA.replace("sources.render()", "home.render()\nsources.render()").replace(
    "link, sources", "home, link, sources"
)


def _open(script=_DATA, **query):
    from streamlit.testing.v1 import AppTest

    app = AppTest.from_string(script, default_timeout=90)
    for key, value in query.items():
        app.query_params[key.replace("__", ".")] = value
    return app.run()


def _type(app, row, column, value):
    """Type into the editor that is on screen, past all that the browser would check."""
    key = f"editor_{app.session_state['editor_count']}"
    edited = {"edited_rows": {row: {column: value}}, "added_rows": [], "deleted_rows": []}
    app.session_state[key] = edited
    return app.run()


def _changes(app):
    found = [element.value for element in app.markdown if ":material/edit:" in element.value]
    return [words.replace("\\", "") for words in found]


def _row_of(offer_id):
    keys = [key for key, row in load_tables().offers.items() if row.gpu == "L40S"]
    return keys.index(offer_id)


def test_a_changed_price_is_marked_travels_in_the_link_and_can_be_reset():
    """The list says from what to what; the bar shows the new price; reset takes it back."""
    app = _open()
    _type(app, _row_of("modal-l40s"), "usd_per_gpu_h", 1.5)
    assert not app.exception
    assert _changes(app) == [":material/edit: modal-l40s: $/GPU-hour changed from 1.9512 to 1.5"]
    assert app.query_params["price.modal-l40s"] == "1.5"
    assert "$1.50/GPU-h · yours" in str(app.selectbox(key="serverless").options)
    app.button(key="reset_0").click().run()
    assert _changes(app) == []
    assert "price.modal-l40s" not in app.query_params
    assert "yours" not in str(app.selectbox(key="serverless").options)


@pytest.mark.parametrize(
    ("value", "said"),
    [(-3, "from 0 to 1000"), (0, "above 0"), (1e9, "from 0 to 1000"), (None, "an empty cell")],
)
def test_a_price_that_cannot_be_is_answered_and_nothing_changes(value, said):
    """Whatever reaches the server past the browser's checks: a sentence, and the old price."""
    app = _open()
    _type(app, _row_of("modal-l40s"), "usd_per_gpu_h", value)
    assert not app.exception
    assert said in app.error[0].value.replace("\\", "")
    assert "modal-l40s" in app.error[0].value.replace("\\", "")
    assert _changes(app) == []
    assert not app.run().error


def test_rules_that_contradict_each_other_are_refused_together():
    """An idle timeout above the provider's longest is wrong although each cell is in range."""
    app = _open(table="behaviours")
    _type(app, 0, "idle_default_s", 5000.0)
    assert "from 2 to 1200 s" in app.error[0].value.replace("\\", "")
    assert _changes(app) == []


@pytest.fixture
def simulations(monkeypatch):
    """Count the simulations of plans, nothing being kept from the tests before."""
    import streamlit as st

    st.cache_resource.clear()
    calls = []
    original = sweep.simulate_plan
    monkeypatch.setattr(
        sweep, "simulate_plan", lambda *a, **k: calls.append(1) or original(*a, **k)
    )
    return calls


def test_money_simulates_nothing_and_the_idle_range_simulates_anew(simulations):
    """Price, months, discount, a reference API, steps re-bill; a scaling rule re-simulates."""
    app = _open(_BOTH)
    before = app.metric[0].value
    assert simulations
    simulations.clear()
    _type(app, _row_of("crusoe-l40s"), "usd_per_gpu_h", 1.2)
    assert not app.exception
    assert "$876" in app.subheader[0].value
    assert app.metric[0].value != before
    app.number_input(key="hours").set_value(720.0).run()
    assert "$864" in app.subheader[0].value
    app.selectbox(key="commitment").set_value("preset-50").run()
    assert "$432" in app.subheader[0].value
    app.toggle(key="credit").set_value(False).run()
    app.toggle(key="api").set_value(True).run()
    app.number_input(key="api_output").set_value(10.0).run()
    app.toggle(key="band").set_value(True).run()
    assert not app.exception
    assert simulations == []
    app.selectbox(key="table").set_value("provider_rules").run()
    _type(app, 0, "increment_s", 60.0)
    app.selectbox(key="provider_rules_columns").set_value("What of a start is billed").run()
    _type(app, 0, "bills_idle", False)
    assert not app.exception
    assert simulations == []
    app.selectbox(key="table").set_value("behaviours").run()
    _type(app, 0, "idle_max_s", 600.0)
    assert not app.exception
    assert len(_changes(app)) == 4
    assert simulations


def test_a_link_brings_a_changed_price_or_says_why_not():
    """A price in the address is in force; a price that cannot be, or of nothing, is said."""
    app = _open(price__modal_l40s="1")
    assert "there is no such row" in app.warning[0].value.replace("\\", "")
    app = _open(**{"price__crusoe-l40s": "1.25", "price__modal-l40s": "free"})
    assert not app.exception
    assert len(_changes(app)) == 1
    assert "1.25" in _changes(app)[0]
    assert "a number" in app.warning[0].value.replace("\\", "")


_TABLE = b"""provider,gpu,price,unit,kind
Acme [x](y),L40S,0.89,usd_per_gpu_hour,serverless
Acme,L40S,1.25,usd_per_gpu_hour,on-demand
Beta,RTX 9999,1,usd_per_gpu_hour,on-demand
"""


def _with_table(content, script=_DATA, **query):
    app = _open(script, **query)
    app.session_state["data_tab"] = "Your own prices"
    app.run()
    app.file_uploader(key="price_table").set_value(("mine.csv", content, "text/csv")).run()
    return app


def test_an_own_price_table_is_previewed_used_and_taken_out():
    """What was understood and what was not, row by row; then the offers stand in the bar."""
    app = _with_table(_TABLE)
    assert not app.exception
    warned = app.warning[0].value.replace("\\", "")
    assert "RTX 9999" in warned
    assert "row 4" in warned
    assert len(app.dataframe[0].value) == 2
    assert "yours" not in str(app.selectbox(key="dedicated").options)
    app.button(key="use_prices").click().run()
    assert not app.exception
    assert "Acme · $1.25/GPU-h · yours" in app.selectbox(key="dedicated").options
    app.button(key="drop_prices").click().run()
    assert "yours" not in str(app.selectbox(key="dedicated").options)


def test_a_price_of_ones_own_is_called_that_wherever_it_is_shown():
    """Uploaded: bar, list of what is included, the Data page; nowhere vendor-stated."""
    app = _with_table(_TABLE, _BOTH)
    app.button(key="use_prices").click().run()
    chosen = next(o for o in app.selectbox(key="dedicated").options if o.startswith("Acme"))
    app.selectbox(key="dedicated").select(chosen).run()
    app.session_state["data_tab"] = "Tables"
    app.session_state["detail"] = "What is in the number"
    app.session_state["offers_rows"] = "own"
    app.run()
    assert not app.exception
    words = " ".join(e.value for e in (*app.markdown, *app.caption)).replace("\\", "")
    assert "GPU-hour (your price, dated " in words
    assert "your price of today" in words
    frame = next(e.value for e in app.dataframe if "Kind of source" in e.value)
    assert set(frame["Kind of source"]) == {"yours"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no rows"),
        (b"a,b\n1,2\n", "missing: provider, gpu, price, unit"),
        (_TABLE.replace(b"0.89", b"-1"), "row 2, column price"),
        (_TABLE.replace(b"usd_per_gpu_hour,serverless", b"eur_per_gpu_hour,serverless"), "EUR"),
        (_TABLE.replace(b"1.25", b"1,25"), "row 3"),
        (b"\xff\xfe\x00", "UTF-16"),
    ],
)
def test_a_table_with_one_wrong_cell_is_refused_whole(content, said):
    """The row and the column are named, and no offer of the table can be used."""
    app = _with_table(content)
    assert not app.exception
    assert said in app.error[0].value.replace("\\", "")
    assert not [button for button in app.button if button.key == "use_prices"]


def test_a_scenario_file_opens_the_same_view_in_another_session():
    """Choices, changed cells and own offers come back, and nothing of the session before."""
    from frontier.edits import Edit, ScenarioFile, scenario_json
    from frontier.prices import read_prices

    own = read_prices(_TABLE, tables=load_tables(), today=_TODAY)
    key = next(offer.offer_id for offer in own.offers if offer.kind == "dedicated")
    wanted = ScenarioFile(
        {"limit": "7.0", "dedicated": key, "hours": "720.0"},
        (Edit("provider_rules", "modal", "free_credit_usd_month", "0"),),
        own.offers,
        own.rules,
        own.behaviours,
    )
    app = _open(model="Qwen3-8B", **{"price__crusoe-l40s": "1.25"})
    app.session_state["data_tab"] = "Scenario file"
    app.run()
    content = scenario_json(wanted, version="1", made_on=_TODAY)
    app.file_uploader(key="scenario_in").set_value(("s.json", content, "application/json")).run()
    assert not app.error
    app.button(key="use_scenario").click().run()
    assert not app.exception
    assert not app.warning
    assert app.number_input(key="limit").value == 7.0
    assert app.number_input(key="hours").value == 720.0
    assert app.selectbox(key="dedicated").value == key
    assert app.selectbox(key="model").value == "Llama-3.1-8B-Instruct"
    assert len(_changes(app)) == 1
    assert "Credit" in _changes(app)[0]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b'{"kind": "frontier-scenario"}',
        b"\xff",
        b"[" * 100_000,
        b'{"kind": "frontier-scenario", "format": 1, "choices": {"model": "\\ud800"}}',
        b'{"kind": "frontier-scenario", "format": 1, "choices": {"mo\\u0007del": "a"}}',
    ],
)
def test_a_file_that_is_no_scenario_is_refused_in_a_sentence(content):
    """No traceback, and no button to use it."""
    app = _open()
    app.session_state["data_tab"] = "Scenario file"
    app.run()
    app.file_uploader(key="scenario_in").set_value(("s.json", content, "application/json")).run()
    assert not app.exception
    assert app.error
    assert not [button for button in app.button if button.key == "use_scenario"]


def test_a_scenario_with_one_wrong_change_is_refused_whole():
    """One impossible price among the changes: none of the file is used, and it is named."""
    from frontier.edits import Edit, ScenarioFile, read_scenario, scenario_json
    from frontier.errors import InputError

    bad = ScenarioFile({}, (Edit("offers", "modal-l40s", "usd_per_gpu_h", "-1"),), (), (), ())
    content = scenario_json(bad, version="1", made_on=_TODAY)
    assert json.loads(content)["changes"][0]["text"] == "-1"
    with pytest.raises(InputError, match=r"modal-l40s.*usd_per_gpu_h"):
        read_scenario(content, load_tables())


def test_names_in_a_scenario_have_the_limits_of_an_uploaded_table():
    """A provider of four thousand letters, or with a control character, is refused."""
    import dataclasses

    from frontier.edits import ScenarioFile, read_scenario, scenario_json
    from frontier.errors import InputError

    row = load_tables().offers["modal-l40s"]
    for name, said in (("A" * 81, "at most 80 characters"), ("Ac\x1bme", "a record of texts")):
        offer = dataclasses.replace(row, offer_id="own-x", provider=name)
        content = scenario_json(ScenarioFile({}, (), (offer,), (), ()), version="1", made_on=_TODAY)
        with pytest.raises(InputError, match=said):
            read_scenario(content, load_tables())
