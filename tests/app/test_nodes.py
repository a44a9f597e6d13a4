"""A cluster of one's own in the bar: chosen in the offers' chip, carried by the link."""

from __future__ import annotations

import pytest

from frontier.prices.owned import OWNED_OFFER
from frontier.tables import load_tables

_NODES = {"place": "nodes", "node_offer": "aws-l40s-4x"}


def _chip(app, title):
    return next(
        chip.proto.popover.label.replace("\\", "")
        for chip in app.get("popover")
        if chip.proto.popover.help.startswith(title)
    )


def _words(app):
    return " ".join(element.value for element in (*app.caption, *app.markdown))


def test_a_cluster_is_the_first_choice_beside_the_serverless_offers(open_app):
    """Chosen, the chip says whose machines are nodes, and the scenario runs on them."""
    app = open_app()
    assert app.selectbox(key="place").value == "serverless"
    app.selectbox(key="place").set_value("nodes").run()
    assert "as nodes" in _chip(app, "Offers")
    scenario = app.session_state["choices"].scenario
    assert scenario.nodes.node_scaler == "karpenter"
    assert scenario.nodes.pod_scaler == "keda"
    assert load_tables().offers[scenario.serverless_offer].kind != "serverless"
    assert not app.exception
    assert not app.error


def test_a_link_opens_the_same_cluster(open_app):
    """Every choice travels: machines, scalers, delay, kept nodes, weights."""
    app = open_app(
        **_NODES,
        node_scaler="cluster-autoscaler",
        pod_scaler="knative",
        node_delay_s="90.0",
        kept_nodes="1",
        weights_on_node="1",
    )
    scenario = app.session_state["choices"].scenario
    assert scenario.serverless_offer == "aws-l40s-4x"
    nodes = scenario.nodes
    assert (nodes.node_scaler, nodes.pod_scaler) == ("cluster-autoscaler", "knative")
    assert (nodes.scale_down_delay_s, nodes.kept_nodes, nodes.weights_on_node) == (90.0, 1, True)
    assert not app.warning
    assert not app.exception
    assert {"place", "node_offer", "node_scaler", "kept_nodes"} <= set(app.query_params)


def test_what_is_left_as_it_stands_follows_the_scaler(open_app):
    """No delay of one's own unless it was changed: another scaler brings its own."""
    app = open_app(**_NODES)
    assert app.number_input(key="node_delay_s").value == 60.0
    app.selectbox(key="node_scaler").set_value("cluster-autoscaler").run()
    assert app.number_input(key="node_delay_s").value == 600.0
    assert app.session_state["choices"].scenario.nodes.scale_down_delay_s is None


def test_a_bought_machine_is_an_offer_with_its_formula(open_app):
    """Its fields make a price that says it is none; its nodes can only be kept."""
    app = open_app(
        place="nodes", owned="1", node_offer=OWNED_OFFER, own_usd="90000", dedicated=OWNED_OFFER
    )
    assert not app.exception
    assert not app.error
    scenario = app.session_state["choices"].scenario
    assert scenario.serverless_offer == scenario.dedicated_offer == OWNED_OFFER
    assert app.selectbox(key="node_scaler").options == ["Kept: never started or released"]
    assert "An amortisation, not a price" in _words(app)
    assert "8\\-GPU machine; an amortisation" in _words(app)
    # 90,000 / 36 + 800 a month, 0.72 kW of 0.12 $/kWh: over 730 h and eight GPUs.
    usd = ((90_000 / 36 + 800) / 730 + 4 * 1.5 * 0.12) / 8
    assert f"{usd:.2f} a GPU-hour" in _words(app)
    app.number_input(key="own_usd").set_value(180_000.0).run()
    assert not app.exception
    assert app.session_state["choices"].scenario.serverless_offer == OWNED_OFFER


def test_without_the_machine_a_link_says_what_it_lacks(open_app):
    """A link that names it and does not describe it falls back, and says so."""
    app = open_app(place="nodes", node_offer=OWNED_OFFER)
    assert not app.exception
    assert any(OWNED_OFFER in box.value.replace("\\", "") for box in app.warning)


def test_a_replica_too_large_for_a_node_is_said_in_the_chip(open_app):
    """Two GPUs a replica, one a machine: one sentence, no traceback."""
    app = open_app(place="nodes", node_offer="aws-l40s", model="Qwen3-32B")
    assert any("Choose larger machines" in error.value for error in app.error)
    assert not app.exception


_PAGE = """
import streamlit as st
from frontier.pages import {name}, controls, link
link.begin()
st.session_state['choices'] = controls.scenario_bar()
{name}.render()
link.end()
"""


@pytest.mark.parametrize("name", ["break_even", "cold_start", "tail", "sources"])
def test_other_pages_draw_a_cluster(name):
    """Break-even, starts, the tail and the data of a cluster: nothing breaks."""
    from streamlit.testing.v1 import AppTest

    app = AppTest.from_string(_PAGE.format(name=name), default_timeout=90)
    for key, value in _NODES.items():
        app.query_params[key] = value
    app.run()
    assert not app.exception
    assert not app.error
    if name == "cold_start":
        assert "on a node that is still up it takes about" in _words(app)


def test_the_same_machines_twice_are_told_apart_in_the_headline(open_app):
    """As nodes and as a dedicated offer: not the one name twice."""
    app = open_app(view="market", place="nodes", node_offer="crusoe-l40s", dedicated="crusoe-l40s")
    assert not app.exception
    assert any(
        block.value.startswith("Between Crusoe L40S as nodes and Crusoe L40S dedicated: ")
        for block in app.subheader
    )
