"""The Data page: what a session changes of prices and rules is checked, marked, kept and undone."""

from __future__ import annotations

import datetime as dt
import json
import types

import pytest

from frontier.edits import cell_text
from frontier.tables import load_tables
from tests.app.late import named

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


def _price(app, offer_id, value):
    """Choose an offer and type a price into its field."""
    app.selectbox(key="data_offer").set_value(offer_id).run()
    return app.number_input(key=f"price_data_{offer_id}").set_value(value).run()


def _cell(app, table, row, column, value):
    """Open a table's row and change one of its fields."""
    app.session_state["data_tab"] = "Tables"
    app.run()
    app.selectbox(key="table").set_value(table).run()
    app.selectbox(key=f"{table}_row").set_value(row).run()
    key = f"cell_{table}_{row}_{column}"
    field = app.checkbox if isinstance(value, bool) else app.number_input
    return field(key=key).set_value(value).run()


def _warned(app):
    return " ".join(element.value for element in app.warning).replace("\\", "")


def _changes(app):
    found = [element.value for element in app.markdown if ":material/edit:" in element.value]
    return [words.replace("\\", "") for words in found]


def test_a_changed_price_is_marked_travels_in_the_link_and_can_be_reset():
    """The list says from what to what; the bar shows the new price; reset takes it back."""
    app = _open()
    _price(app, "modal-l40s", 1.5)
    assert not app.exception
    assert _changes(app) == [":material/edit: modal-l40s: $/GPU-hour changed from 1.9512 to 1.5"]
    assert app.query_params["price.modal-l40s"] == "1.5"
    assert "$1.50/GPU-h · yours" in str(app.selectbox(key="serverless").options)
    app.button(key="reset_cell_offers_modal-l40s_usd_per_gpu_h").click().run()
    assert _changes(app) == []
    assert "price.modal-l40s" not in app.query_params
    assert "yours" not in str(app.selectbox(key="serverless").options)


@pytest.mark.parametrize("value", [-3.0, 0.0, 1e9])
def test_a_price_that_cannot_be_changes_nothing(value):
    """Whatever reaches the server past the browser's checks: the old price, and no question."""
    app = _open()
    _price(app, "modal-l40s", value)
    assert not app.exception
    assert _changes(app) == []
    assert not [button for button in app.button if "_yes_" in button.key]
    assert app.number_input(key="price_data_modal-l40s").value == 1.9512
    if value == 0:
        assert "above 0" in app.error[0].value.replace("\\", "")
        assert "modal-l40s" in app.error[0].value.replace("\\", "")
    assert not app.run().error


def test_a_price_within_three_times_the_listed_one_is_taken_at_once():
    """Up to the factor of settings.csv, both ways and the factor itself: no question."""
    factor = load_tables().setting("price_sanity_factor")
    app = _open()
    for usd in (1.37, 1.9512 * factor, 1.9512 / factor):
        _price(app, "modal-l40s", usd)
        assert not app.exception
        assert "Until you say so" not in " ".join(e.value for e in app.warning)
        assert app.query_params["price.modal-l40s"] == cell_text(usd)


@pytest.mark.parametrize(
    ("usd", "times"), [(137.0, "70.2 times lower"), (0.137, "14.2 times higher")]
)
def test_a_price_far_from_the_listed_one_waits_for_a_yes(usd, times):
    """The question names both prices; nothing is changed until it is answered."""
    app = _open()
    _price(app, "modal-l40s", 1.6)
    _price(app, "modal-l40s", usd)
    assert not app.exception
    asked = next(e.value for e in app.warning if "You typed" in e.value).replace("\\", "")
    assert f"${cell_text(usd)}" in asked
    assert f"$1.9512: {times}" in asked
    assert "$1.6 counts" in asked
    assert app.query_params["price.modal-l40s"] == "1.6"
    assert app.number_input(key="price_data_modal-l40s").value == usd
    app.button(key="price_data_modal-l40s_no").click().run()
    assert app.query_params["price.modal-l40s"] == "1.6"
    assert app.number_input(key="price_data_modal-l40s").value == 1.6
    _price(app, "modal-l40s", usd)
    app.button(key=f"price_data_modal-l40s_yes_{cell_text(usd)}").click().run()
    assert app.query_params["price.modal-l40s"] == cell_text(usd)
    assert not [button for button in app.button if "_yes_" in button.key]


def test_another_price_takes_the_place_of_one_that_waits():
    """A usual price typed over the strange one is taken, and the question is gone."""
    app = _open()
    _price(app, "modal-l40s", 137.0)
    _price(app, "modal-l40s", 1.37)
    assert app.query_params["price.modal-l40s"] == "1.37"
    assert not [button for button in app.button if "_yes_" in button.key]


def test_an_emptied_price_is_the_listed_one_again():
    """Nothing typed is no price of zero: the change is undone."""
    app = _open()
    _price(app, "modal-l40s", 1.5)
    _price(app, "modal-l40s", None)
    assert not app.exception
    assert _changes(app) == []
    assert app.number_input(key="price_data_modal-l40s").value == 1.9512


def test_two_fields_of_one_offer_say_the_same():
    """A price typed in one place stands in the other, and so does its question."""
    from streamlit.testing.v1 import AppTest

    app = AppTest.from_string(
        """
from frontier.pages import link, price_controls
link.begin()
price_controls.price_field("modal-l40s", place="one")
price_controls.price_field("modal-l40s", place="two")
link.end()
"""
    ).run()
    for usd in (1.37, 2.48):
        app.number_input(key="price_one_modal-l40s").set_value(usd).run()
        assert app.number_input(key="price_two_modal-l40s").value == usd
    app.number_input(key="price_two_modal-l40s").set_value(99.0).run()
    assert app.number_input(key="price_one_modal-l40s").value == 99.0
    app.button(key="price_one_modal-l40s_no").click().run()
    assert {field.value for field in app.number_input} == {2.48}
    assert not app.exception


def test_the_bar_has_a_field_beside_each_of_its_offers():
    """A price typed into the bar stands on the Data page, in the link and in the list."""
    app = _open()
    app.number_input(key="price_bar_modal-l40s").set_value(1.37).run()
    assert not app.exception
    assert app.number_input(key="price_data_modal-l40s").value == 1.37
    assert app.query_params["price.modal-l40s"] == "1.37"
    app.number_input(key="price_bar_crusoe-l40s").set_value(44.0).run()
    assert "$44" in _warned(app)
    assert "price.crusoe-l40s" not in app.query_params


def test_rules_that_contradict_each_other_are_refused_together():
    """An idle timeout above the provider's longest is wrong although each cell is in range."""
    app = _open()
    _cell(app, "behaviours", "modal", "idle_default_s", 5000.0)
    assert "from 2 to 1200 s" in app.error[0].value.replace("\\", "")
    assert _changes(app) == []
    before = load_tables().behaviours["modal"].idle_default_s
    assert app.number_input(key="cell_behaviours_modal_idle_default_s").value == before


def test_offers_are_filtered_by_what_the_columns_say():
    """Every filter leaves the rows that are so, together they leave what is all of it."""
    app = _open()
    everything = _offers(app)
    assert len(everything) == len(load_tables().offers)
    app.multiselect(key="data_gpus").set_value(["L40S"]).run()
    l40s = _offers(app)
    assert set(l40s["gpu"]) == {"L40S"}
    assert len(l40s) == sum(offer.gpu == "L40S" for offer in load_tables().offers.values())
    app.multiselect(key="data_hosts").set_value(["community"]).run()
    assert list(_offers(app).index) == ["runpod-community-l40s"]
    assert app.selectbox(key="data_offer").value == "runpod-community-l40s"
    app.multiselect(key="data_kinds").set_value(["spot"]).run()
    assert not app.exception
    assert "Take a filter away" in app.info[0].value
    app.multiselect(key="data_hosts").set_value([]).run()
    assert set(_offers(app)["kind"]) == {"Spot"}


class _Day(dt.date):
    """A clock that stands on the day of these tests: prices grow older, tests do not."""

    @classmethod
    def today(cls):
        return _TODAY


def test_old_prices_are_warned_of_before_they_go_stale(monkeypatch):
    """The counts are those of the age filter, whose rows have the ages that it names."""
    monkeypatch.setattr("frontier.pages.offers_tab.dt", types.SimpleNamespace(date=_Day))
    app = _open()
    words = _warned(app)
    tables = load_tables()
    stale_days, warn_days = tables.setting("price_stale_days"), tables.setting("price_warn_days")
    app.multiselect(key="data_ages").set_value(["stale"]).run()
    stale = _offers(app)
    assert stale["age_days"].min() > stale_days
    assert f"{len(stale)} prices are older" in words
    app.multiselect(key="data_ages").set_value(["soon"]).run()
    soon = _offers(app)
    assert soon["age_days"].between(stale_days - warn_days + 1, stale_days).all()
    assert f"{len(soon)} more will be within" in words
    app.multiselect(key="data_ages").set_value(["fresh"]).run()
    assert _offers(app)["age_days"].max() <= stale_days - warn_days
    assert len(stale) + len(soon) + len(_offers(app)) == len(tables.offers)


def test_a_link_opens_the_tab_the_filter_and_the_offer_again():
    """What stands in the address is what the page shows, and the other way round."""
    app = _open(data_gpus="L40S,H200", data_kinds="spot", data_offer="verda-l40s-spot")
    assert not app.exception
    assert not [sentence for sentence in app.warning if "cannot be used" in sentence.value]
    assert app.selectbox(key="data_offer").value == "verda-l40s-spot"
    assert set(_offers(app)["kind"]) == {"Spot"}
    assert set(_offers(app)["gpu"]) == {"L40S", "H200"}
    app.session_state["data_tab"] = "Tables"
    app.run()
    app.selectbox(key="table").set_value("behaviours").run()
    again = _open(**dict(app.query_params))
    assert again.selectbox(key="table").value == "behaviours"


def test_a_changed_price_keeps_its_hosts_and_the_page_to_read_again():
    """Age, source and kind of source are those of the typed price, the rest is the seller's."""
    app = _open(data_offer="crusoe-l40s")
    before = _offers(app).loc["crusoe-l40s"]
    _price(app, "crusoe-l40s", 1.25)
    after = _offers(app).loc["crusoe-l40s"]
    assert (after["usd_per_gpu_h"], after["listed_usd_per_gpu_h"]) == (1.25, 1.5)
    assert after["age_days"] == 0
    assert after["source_kind"] == "yours"
    for column in ("security", "url", "region", "product"):
        assert after[column] == before[column]
    assert after["url"].startswith("https://")


def _offers(app):
    return next(e.value for e in app.dataframe if "security" in e.value)


def test_money_simulates_nothing_and_the_idle_range_simulates_anew(tried):
    """Price, months, discount, a reference API, steps re-bill; a scaling rule re-simulates.

    Of the traffic itself: a break-even that moves is looked for at other rates.
    """
    # Of another draw, as what the default one comes to is shipped.
    app = _open(_BOTH, view="plans", seed="7")
    own = app.session_state["choices"].trace.digest
    before = app.metric[0].value
    assert own in tried
    tried.clear()
    _price(app, "crusoe-l40s", 1.2)
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
    assert own not in tried
    _cell(app, "provider_rules", "modal", "increment_s", 60.0)
    _cell(app, "provider_rules", "modal", "bills_idle", False)
    assert not app.exception
    assert own not in tried
    _cell(app, "behaviours", "modal", "idle_max_s", 600.0)
    assert not app.exception
    assert len(_changes(app)) == 4
    assert own in tried


def test_a_link_brings_a_changed_price_or_says_why_not():
    """A price in the address is in force; a price that cannot be, or of nothing, is said."""
    app = _open(price__modal_l40s="1")
    assert "there is no such row" in _warned(app)
    app = _open(**{"price__crusoe-l40s": "1.25", "price__modal-l40s": "free"})
    assert not app.exception
    assert len(_changes(app)) == 1
    assert "1.25" in _changes(app)[0]
    assert "a number" in _warned(app)


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
    warned = _warned(app)
    assert "RTX 9999" in warned
    assert "row 4" in warned
    assert len(app.dataframe[0].value) == 2
    assert "yours" not in str(app.selectbox(key="dedicated").options)
    named(app, "use_prices")[0].click().run()
    assert not app.exception
    assert "Acme · $1.25/GPU-h · yours" in app.selectbox(key="dedicated").options
    named(app, "drop_prices")[0].click().run()
    assert "yours" not in str(app.selectbox(key="dedicated").options)


def test_a_price_of_ones_own_is_called_that_wherever_it_is_shown():
    """Uploaded: bar, list of what is included, the Data page; nowhere vendor-stated."""
    app = _with_table(_TABLE, _BOTH)
    named(app, "use_prices")[0].click().run()
    chosen = next(o for o in app.selectbox(key="dedicated").options if o.startswith("Acme"))
    app.selectbox(key="dedicated").select(chosen).run()
    app.session_state["data_tab"] = "Offers"
    app.session_state["detail"] = "What is in the number"
    app.run()
    app.multiselect(key="data_providers").set_value(["Acme"]).run()
    assert not app.exception
    words = " ".join(e.value for e in (*app.markdown, *app.caption)).replace("\\", "")
    assert "GPU-hour (your price, dated " in words
    assert "your price of today" in words
    assert set(_offers(app)["source_kind"]) == {"yours"}
    assert set(_offers(app)["security"]) == {"not stated"}


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
    assert not named(app, "use_prices")


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
    named(app, "use_scenario")[0].click().run()
    assert not app.exception
    assert "cannot be used" not in _warned(app)
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
    assert not named(app, "use_scenario")


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
