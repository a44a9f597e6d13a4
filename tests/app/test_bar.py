"""The scenario bar: chips say what is chosen, mark what was changed, and take it back."""

from __future__ import annotations

import dataclasses

import pytest

from frontier.tables import load_tables

# What the shell draws above every page, and no page.
_BAR = """
import streamlit as st
from frontier.pages import bar, controls, link, pins, store
store.begin_run()
link.begin()
pins.begin()
st.session_state["choices"] = pins.drawn(controls.scenario_bar)
link.end()
bar.finish()
"""


@pytest.fixture
def open_bar():
    """Give a function that draws the bar alone, at an address."""
    from streamlit.testing.v1 import AppTest

    def _open(**query):
        app = AppTest.from_string(_BAR, default_timeout=90)
        for key, value in query.items():
            app.query_params[key] = value
        return app.run()

    return _open


def _chips(app) -> dict[str, str]:
    """Return what each chip shows, by its tooltip's first words."""
    return {
        chip.proto.popover.help: chip.proto.popover.label.replace("\\", "")
        for chip in app.get("popover")
    }


def _chip(app, title: str) -> str:
    return next(label for help_, label in _chips(app).items() if help_.startswith(title))


def test_each_chip_shows_its_choice_in_full_words(open_app):
    """Traffic, model, GPU, offers with prices, limit: nothing has to be opened to be read."""
    app = open_app()
    example = next(iter(load_tables().examples.values()))
    assert (
        _chip(app, "Traffic") == f"{example.label} · {example.requests_per_day:,.0f} requests a day"
    )
    assert _chip(app, "Model") == f"{example.model} · {example.precision}"
    assert _chip(app, "GPUs") == "1 × L40S"
    assert "$" in _chip(app, "Offers")
    assert _chip(app, "Limit") == "p99 ≤ 2 s"
    assert not any("changed" in help_ for help_ in _chips(app))


def test_a_changed_choice_is_marked_and_can_be_taken_back(open_bar):
    """The chip says the new value with a mark; its own button goes back to the default."""
    app = open_bar()
    app.number_input(key="limit").set_value(7.0).run()
    assert _chip(app, "Limit") == "● p99 ≤ 7 s"
    assert "Limit on the p99 time to first token (changed)" in _chips(app)
    app.button(key="reset_limit").click().run()
    assert _chip(app, "Limit") == "p99 ≤ 2 s"
    assert app.number_input(key="limit").value == 2.0
    assert not app.exception


def test_reset_takes_back_every_chip(open_bar):
    """What a link chose is marked at once, and one button brings the example back."""
    app = open_bar(limit="5", gpu="H200", traffic="steady-chat")
    assert sum("changed" in help_ for help_ in _chips(app)) == 3
    app.button(key="reset").click().run()
    assert not app.exception
    assert not any("changed" in help_ for help_ in _chips(app))
    assert app.selectbox(key="gpu").value == "L40S"
    assert not dict(app.query_params)


def test_undo_takes_back_one_choice_after_the_other(open_bar):
    """Two choices, two steps back; then there is nothing to undo."""
    app = open_bar()
    app.number_input(key="limit").set_value(7.0).run()
    app.selectbox(key="gpu").set_value("H200").run()
    app.button(key="undo").click().run()
    assert (app.selectbox(key="gpu").value, app.number_input(key="limit").value) == ("L40S", 7.0)
    app.button(key="undo").click().run()
    assert app.number_input(key="limit").value == 2.0
    app.button(key="undo").click().run()
    assert "no choice to take back" in app.toast[0].value
    assert app.number_input(key="limit").value == 2.0
    assert not app.exception


def test_undo_takes_back_a_changed_price(open_bar):
    """A price that came with a link goes with the step before it."""
    offer = load_tables().offers["modal-l40s"]
    app = open_bar(**{"price.modal-l40s": "1.11"})
    assert "$1.11" in _chip(app, "Offers")
    app.number_input(key="limit").set_value(7.0).run()
    app.button(key="undo").click().run()
    assert "$1.11" in _chip(app, "Offers")
    assert app.session_state["choices"].scenario.serverless_offer == offer.offer_id


def test_every_field_is_told_its_value_in_every_run(open_bar):
    """A chip may be opened after any run: a field would begin empty there and send that nothing.

    It took back a price that came with the link, as soon as the chip was looked at.
    """
    app = open_bar(**{"price.modal-l40s": "1.11"})
    app.number_input(key="limit").set_value(7.0).run()
    price = app.number_input(key="price_bar_modal-l40s")
    assert (price.proto.set_value, price.proto.value) == (True, 1.11)
    untold = {
        field.key
        for field in app.number_input
        if not field.proto.set_value and field.proto.default != field.value
    }
    assert not untold


@pytest.mark.parametrize("chosen", ["modal-l40s", "runpod-flex-l40s"])
def test_another_gpu_keeps_the_provider(open_bar, chosen):
    """Who looks at a provider's L40S and chooses its H100 gets the same provider's H100."""
    offers = load_tables().offers
    app = open_bar(serverless=chosen)
    app.selectbox(key="gpu").set_value("H100-SXM-80GB").run()
    assert offers[app.selectbox(key="serverless").value].provider == offers[chosen].provider
    assert offers[app.selectbox(key="serverless").value].gpu == "H100-SXM-80GB"
    assert offers[app.selectbox(key="dedicated").value].gpu == "H100-SXM-80GB"
    app.selectbox(key="gpu").set_value("L40S").run()
    assert app.selectbox(key="serverless").value == chosen


def test_a_model_that_does_not_fit_is_offered_what_does(open_app):
    """The chip says that it does not fit; a click on a GPU that holds it is an answer."""
    app = open_app(model="Llama-3.1-70B-Instruct", gpu="T4", precision="bf16")
    assert not app.exception
    assert "T4: does not fit" in " ".join(_chips(app).values())
    ways = [button for button in app.button if str(button.key).startswith("fit_")]
    assert ways
    ways[0].click().run()
    assert not app.exception
    assert "does not fit" not in " ".join(_chips(app).values())
    assert app.subheader


def test_every_gpu_and_model_of_the_tables_leaves_the_bar_standing():
    """No pair of a small, a large and the largest model with any GPU ends in an error."""
    from streamlit.testing.v1 import AppTest

    app = AppTest.from_string(_BAR, default_timeout=90).run()
    for model in ("Qwen2.5-0.5B-Instruct", "Llama-3.1-70B-Instruct", "Llama-3.1-405B"):
        app.selectbox(key="model").set_value(model).run()
        for gpu in load_tables().gpus:
            if not any(
                option.startswith(f"{gpu} · ") for option in app.selectbox(key="gpu").options
            ):
                continue
            app.selectbox(key="gpu").set_value(gpu).run()
            assert not app.exception, (model, gpu)
            assert any(gpu in label for label in _chips(app).values())


def test_an_offer_that_is_not_sold_any_more_is_not_offered():
    """Neither in the list nor as what another GPU's offer is nearest to."""
    from frontier.pages import offer_controls

    tables = load_tables()
    for key, kind in (("modal-l40s", "serverless"), ("crusoe-l40s", "dedicated")):
        offer = tables.offers[key]
        gone = dataclasses.replace(offer, available="no")
        without = dataclasses.replace(tables, offers={**tables.offers, key: gone})
        assert key in offer_controls._offers(kind, tables, "L40S")
        assert key not in offer_controls._offers(kind, without, "L40S")
        other = next(
            o.offer_id
            for o in tables.offers.values()
            if (o.provider, o.kind) == (offer.provider, offer.kind) and o.gpu != "L40S"
        )
        assert offer_controls.nearest(other, without, "L40S") != key


def test_the_gpus_of_a_replica_are_a_choice():
    """Four instead of the fewest: the chip, the scenario and the link say so; undo takes it back.

    On a GPU where so many do not go, it is the fewest again.
    """
    from streamlit.testing.v1 import AppTest

    app = AppTest.from_string(_BAR, default_timeout=90).run()
    assert app.session_state["choices"].scenario.gpus_per_replica is None
    app.selectbox(key="replica_gpus").set_value("4").run()
    assert _chip(app, "GPUs") == "● 4 × L40S"
    assert app.session_state["choices"].scenario.gpus_per_replica == 4
    assert dict(app.query_params)["replica_gpus"] in ("4", ["4"])
    app.button(key="undo").click().run()
    assert app.session_state["choices"].scenario.gpus_per_replica is None
    app.selectbox(key="replica_gpus").set_value("2").run()
    app.selectbox(key="model").set_value("Llama-3.1-70B-Instruct").run()
    assert app.session_state["choices"].scenario.gpus_per_replica is None
    assert not app.exception


def test_an_offer_is_taken_into_focus_from_anywhere():
    """The callback of another page sets GPU, count and offer; the other offer follows the GPU."""
    from streamlit.testing.v1 import AppTest

    script = _BAR + (
        'st.button("focus", key="focus", on_click=controls.focus, args=("modal-h100", 2))\n'
    )
    app = AppTest.from_string(script, default_timeout=90).run()
    app.button(key="focus").click().run()
    scenario = app.session_state["choices"].scenario
    tables = load_tables()
    assert scenario.serverless_offer == "modal-h100"
    assert scenario.gpus_per_replica == 2
    assert tables.offers[scenario.dedicated_offer].gpu == tables.offers["modal-h100"].gpu
    assert not app.warning


def test_a_price_typed_beside_its_offer_is_marked_and_taken_back(open_bar):
    """The chip shows the new price with a mark; its reset brings the listed one back."""
    app = open_bar()
    listed = _chip(app, "Offers")
    app.number_input(key="price_bar_modal-l40s").set_value(2.05).run()
    assert not app.exception
    assert _chip(app, "Offers").startswith("● ")
    assert "$2.05" in _chip(app, "Offers")
    assert dict(app.query_params)["price.modal-l40s"]
    app.button(key="reset_offers").click().run()
    assert _chip(app, "Offers") == listed
    assert not app.exception
    app.number_input(key="price_bar_modal-l40s").set_value(2.15).run()
    app.button(key="undo").click().run()
    assert _chip(app, "Offers") == listed
