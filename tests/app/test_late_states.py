"""What a browser sends before it has the newest drawing means what the person saw."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.app.late import named, sent_late

_LISTS = """
import streamlit as st
from frontier.pages import link

link.begin()
dollars = st.number_input("Price", value=1.0, key="price")
labels = {"first": f"One at {dollars:g}", "second": f"Two at {dollars:g}", "third": "Three"}
if st.session_state.get("alike"):
    labels["second"] = labels["first"]
if dollars > 5:
    del labels["second"]
st.session_state["shown"] = link.pick(
    "Offer", labels, "first", key="offer", format_func=labels.__getitem__
)
st.session_state["many"] = link.many(
    "Offers", labels, key="offers", format_func=labels.__getitem__
)
st.session_state["segment"] = link.segments("View", labels, "first", key="view")
months = {str(at): f"Month {at + dollars:g}" for at in range(4)}
st.session_state["month"] = link.pick(
    "Month", months, "0", key="growth_first", format_func=months.__getitem__, is_lasting=False
)
link.end()
"""


def _lists(**state):
    app = AppTest.from_string(_LISTS)
    for key, value in state.items():
        app.session_state[key] = value
    return app.run()


def _priced(app, usd):
    return lambda: app.number_input(key="price").set_value(usd).run()


def test_a_choice_outlives_words_that_changed_before_the_browser_had_them():
    """An option sent by the words of an older drawing is that option, not the default."""
    app = _lists()
    app.selectbox(key="offer").select("Two at 1").run()
    sent_late(app, _priced(app, 2.0), "-offer")
    assert app.session_state["shown"] == "second"
    assert app.query_params["offer"] == "second"
    assert not app.toast


def test_several_choices_outlive_words_that_changed():
    """Of a list of which more than one is chosen, each is what it was called when it was."""
    app = _lists()
    app.multiselect(key="offers").set_value(["Two at 1", "Three"]).run()
    sent_late(app, _priced(app, 2.0), "-offers")
    assert app.session_state["many"] == ["second", "third"]
    assert app.query_params["offers"] == "second,third"


def test_a_late_click_on_a_segment_never_opens_another():
    """Its words changed: the view stays where it was, as nothing else was asked for."""
    app = _lists()
    app.segmented_control(key="view").set_value("Three").run()
    app.segmented_control(key="view").set_value("Two at 1")
    sent_late(app, _priced(app, 2.0), "-view")
    assert not app.exception
    assert app.session_state["segment"] in ("second", "third")


def test_what_is_in_no_list_any_more_is_said():
    """The default stands in its place, and a sentence names what was chosen."""
    app = _lists()
    app.selectbox(key="offer").select("Two at 1")
    app.multiselect(key="offers").set_value(["Two at 1", "Three"])
    sent_late(app, _priced(app, 6.0), "-offer", "-offers")
    assert not app.exception
    assert app.session_state["shown"] == "first"
    assert app.session_state["many"] == ["third"]
    assert [toast.value.count("Two at 1") for toast in app.toast] == [1, 1]


def test_a_month_that_is_counted_is_not_taken_for_another():
    """The first month moved on: an older name is no month of the list, a newer one is itself."""
    app = _lists()
    app.selectbox(key="growth_first").select("Month 1")
    sent_late(app, _priced(app, 3.0), "-growth_first")
    assert app.session_state["month"] == "0"
    assert "Month 1" in app.toast[0].value
    app = _lists()
    app.selectbox(key="growth_first").select("Month 4")
    sent_late(app, _priced(app, 3.0), "-growth_first")
    assert app.session_state["month"] == "1"
    assert not app.toast


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


_BROUGHT = """
import streamlit as st
from frontier.pages import controls, link, own_prices_tab, scenario_tab, session
from frontier.pages import model_controls, own_timings
from frontier.plans.scenario import deploy
link.begin()
st.session_state["choices"] = choices = controls.scenario_bar()
own_prices_tab.draw()
scenario_tab.draw()
tables = session.tables()
own_timings.draw_box(choices, deploy(choices.scenario, choices.trace, tables), tables)
own = session.upload()
st.session_state["offers"] = None if own is None else [offer.provider for offer in own.offers]
st.session_state["timings"] = choices.scenario.own_start
link.end()
"""
_PRICES = "provider,gpu,price,unit\n{},L40S,0.89,usd_per_gpu_hour\n"


@pytest.fixture
def brought():
    """Open the three places where what was read is put to use by a button."""
    return AppTest.from_string(_BROUGHT, default_timeout=90).run()


def _priced_by(app, provider):
    return app.file_uploader(key="price_table").set_value(
        (f"{provider}.csv", _PRICES.format(provider).encode(), "text/csv")
    )


def _click(app, key):
    (button,) = named(app, key)
    button.click()
    return f"-{button.key}"


def test_a_late_click_uses_no_prices_but_those_it_stood_beside(brought):
    """A second table was read before the click came: neither is used until its own is pressed."""
    app = brought
    _priced_by(app, "Acme").run()
    late = _click(app, "use_prices")

    def other():
        named(app, "use_prices")[0].set_value(False)
        _priced_by(app, "Other").run()

    sent_late(app, other, late)
    assert not app.exception
    assert app.session_state["offers"] is None
    app = AppTest.from_string(_BROUGHT, default_timeout=90).run()
    _priced_by(app, "Acme").run()
    _click(app, "use_prices")
    _priced_by(app, "Other").run()
    assert app.session_state["offers"] == ["Acme"], "both came before the server drew again"
    late = _click(app, "drop_prices")

    def then():
        named(app, "drop_prices")[0].set_value(False)
        _click(app, "use_prices")
        app.run()

    sent_late(app, then, late)
    assert app.session_state["offers"] == ["Other"], "the button that was pressed named Acme's"


def test_late_clicks_use_no_timings_and_no_scenario_but_those_they_stood_beside(brought):
    """Another log was pasted, another file opened: what stands on the screen is asked anew."""
    app = brought
    app.text_area(key="own_text").set_value("50, 70, 60")
    scenario = {"kind": "frontier-scenario", "format": 1, "choices": {"limit": "7.0"}}
    opened = ("s.json", json.dumps(scenario).encode(), "application/json")
    app.file_uploader(key="scenario_in").set_value(opened).run()
    late = _click(app, "own_use"), _click(app, "use_scenario")

    def then():
        for key in ("own_use", "use_scenario"):
            named(app, key)[0].set_value(False)
        app.text_area(key="own_text").set_value("10, 12")
        scenario["choices"]["limit"] = "9.0"
        app.file_uploader(key="scenario_in").set_value(
            ("t.json", json.dumps(scenario).encode(), "application/json")
        ).run()

    sent_late(app, then, *late)
    assert not app.exception
    assert app.session_state["timings"] is None
    assert app.number_input(key="limit").value == 2.0
    _click(app, "own_use")
    _click(app, "use_scenario")
    app.run()
    assert app.number_input(key="limit").value == 9.0


def test_what_is_pinned_is_one_scenario_however_quickly_it_was_changed_before():
    """A limit typed and "Pin as A" pressed before the bar was drawn again: A has that limit."""
    from tests.app.test_pins import _app, _limits, _link

    app = _app()
    app.number_input(key="limit").set_value(30.0)
    app.button(key="pin").click().run()
    assert app.session_state["pinned"].text == "limit=30.0"
    assert _limits(app) == (30.0, 30.0)
    app.number_input(key="limit").set_value(4.0)
    app.button(key="pin_swap").click().run()
    assert not app.exception
    assert _limits(app) == (4.0, 30.0)
    assert _link(app) == {"a": "limit=4.0", "limit": "30.0"}


def test_reset_takes_back_what_was_chosen_while_it_was_still_drawn_for_less():
    """A second choice comes together with the click: both go back."""
    from tests.app.test_pins import _app, _link

    app = _app()
    app.number_input(key="limit").set_value(30.0).run()
    app.selectbox(key="kv").set_value("fp8")
    app.button(key="reset").click().run()
    assert not _link(app)


def test_every_button_that_applies_something_has_a_key_of_what_it_applies():
    """Of all buttons of all pages: one that is given content has no key that stays for another."""
    pages = Path(__file__).parents[2] / "frontier" / "pages"
    seen, fixed = 0, []
    for path in pages.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not ast.unparse(node.func).endswith(".button"):
                continue
            words = {word.arg: word.value for word in node.keywords}
            seen += 1
            given = [words[name] for name in ("args", "kwargs") if name in words]
            names = [
                name.id
                for value in given
                for name in ast.walk(value)
                if isinstance(name, ast.Name) and not name.id.isupper() and name.id != "link"
            ]
            key = words.get("key", words.get(None))
            # What is no keyword is all of `late.applies`.
            if key is None or (names and isinstance(key, ast.Constant)):
                fixed.append(f"{path.name}:{node.lineno}")
    assert seen > 25
    assert not fixed
