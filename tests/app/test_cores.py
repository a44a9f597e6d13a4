"""Cores and host memory beside the offer: money only, in the link, refused in words."""

from __future__ import annotations

import pytest


def _said(app) -> str:
    said = " ".join(element.value for element in (*app.subheader, *app.markdown, *app.caption))
    return said.replace("\\", "")


def _saved_usd(app) -> float:
    """Return what scale-to-zero saves at least, out of the sentence under the headline."""
    said = _said(app).split("Scale-to-zero costs $")[1].split(" less")[0].split(" to ")[0]
    return float(said.replace(",", ""))


def test_more_memory_costs_more_and_simulates_nothing_again(open_app, tried):
    """A replica of 64 GiB instead of 23: other dollars, from the outcomes that were kept.

    Of the traffic itself: a break-even that moves is looked for at other rates.
    """
    # Of another draw, as what the default one comes to is shipped.
    app = open_app(seed="7")
    own = app.session_state["choices"].trace.digest
    assert own in tried
    tried.clear()
    before = _saved_usd(app)
    app.number_input(key="ram_gib").set_value(64.0).run()
    assert not app.exception
    assert _saved_usd(app) < before
    assert own not in tried


def test_weights_in_host_memory_are_a_choice(open_app):
    """Without them the field follows, and the bill falls."""
    app = open_app()
    usual, before = app.number_input(key="ram_gib").value, _saved_usd(app)
    app.toggle(key="weights_in_ram").set_value(False).run()
    assert app.number_input(key="ram_gib").value == pytest.approx(usual - 14.96, abs=0.01)
    assert _saved_usd(app) > before


def test_an_absurd_amount_is_refused_in_words(open_app):
    """A million vCPU: the range is said, and what stood there is billed."""
    app = open_app()
    before = _saved_usd(app)
    app.number_input(key="vcpus").set_value(1e6).run()
    assert not app.exception
    (refusal,) = app.error
    assert "expected 0.1 to 512, found 1e+06; 6 is used" in refusal.value
    assert _saved_usd(app) == before


def test_more_than_the_provider_gives_is_refused_in_words(open_app):
    """Cloud Run has 8 vCPU at most."""
    app = open_app(gpu="L4", serverless="cloud-run-l4", vcpus="16")
    assert "Google Cloud gives a replica at most 8 vCPU, found 16" in app.error[0].value


def test_amounts_come_back_from_a_link(open_app):
    """Four fields and a flag travel in the address."""
    app = open_app(vcpus="10", ram_gib="40", asked_vcpus="12", asked_ram_gib="50")
    keys = ("vcpus", "ram_gib", "asked_vcpus", "asked_ram_gib")
    assert [app.number_input(key=key).value for key in keys] == [10, 40, 12, 50]
    assert "12 vCPU (6 physical cores) and 50 GiB" in _said(app)


def test_an_offer_that_includes_them_is_asked_for_none(open_app):
    """RunPod's price has cores and memory in it."""
    app = open_app(serverless="runpod-flex-l40s")
    assert not [field for field in app.number_input if field.key in ("vcpus", "ram_gib")]
