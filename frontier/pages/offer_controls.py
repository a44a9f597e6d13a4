"""The bar's part about offers: whose GPUs, at what price, how old it is and where it is from."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import streamlit as st

from frontier import spell
from frontier.pages import link, mishap, price_controls, session, text
from frontier.prices import NOT_SOLD, staleness
from frontier.prices.owned import OWNED_OFFER
from frontier.serving import Fit
from frontier.tables import OWN_SOURCE, Example, Offer, Tables

SERVERLESS, DEDICATED = "serverless", "dedicated"
_KINDS = {SERVERLESS: ("serverless",), DEDICATED: ("dedicated", "reserved", "spot")}
_TITLES = {SERVERLESS: "Serverless offer", DEDICATED: "Dedicated offer"}

_MOST_OFFERED = 4


def picked_offers(
    tables: Tables, gpu: str, example: Example, fits: Mapping[str, Fit]
) -> tuple[str, str]:
    """Return the serverless and the dedicated offer before they are drawn.

    Another GPU keeps the provider where it has that GPU.
    """
    serverless, dedicated = (
        link.picked(
            **_choices(kind, tables, gpu, example, fits),
            nearest=lambda old: nearest(old, tables, gpu),
        )
        for kind in _KINDS
    )
    return serverless, dedicated


def offers_in_words(
    on_demand: str, dedicated: str, tables: Tables, *, are_nodes: bool = False
) -> str:
    """Return the two offers as their chip shows them, in Markdown."""
    one, other = tables.offers[on_demand], tables.offers[dedicated]
    role = "as nodes" if are_nodes else SERVERLESS
    return text.money(
        f"{text.plain(one.provider)} {spell.dollars(one.usd_per_gpu_h)} {role}, "
        f"{text.plain(other.provider)} {spell.dollars(other.usd_per_gpu_h)} {other.kind}"
    )


def offer_section(
    kind: str, tables: Tables, gpu: str, example: Example, fits: Mapping[str, Fit]
) -> str:
    """Draw the choice of one offer with its price, age and source; return its id.

    Parameters
    ----------
    kind : {"serverless", "dedicated"}
    fits : mapping of str to Fit
        By GPU; nothing where that is not known.
    """
    choices = _choices(kind, tables, gpu, example, fits)
    chosen = link.pick(
        _TITLES[kind],
        **choices,
        format_func=lambda offer_id: _label(tables.offers[offer_id], gpu, fits),
    )
    if chosen != OWNED_OFFER:
        price_controls.price_field(chosen, place="bar")
    st.caption(about(tables.offers[chosen], tables))
    problem = problem_of(chosen, fits, tables)
    if problem:
        st.error(text.plain(problem), icon=":material/block:")
        able = [key for key in choices["options"] if not problem_of(key, fits, tables)]
        for offer_id in able[:_MOST_OFFERED]:
            st.button(
                text.money(text.plain(_label(tables.offers[offer_id], gpu, fits))),
                on_click=mishap.safe(link.choose),
                kwargs={kind: offer_id},
                key=f"fit_{offer_id}",
            )
    return chosen


def problem_of(offer_id: str, fits: Mapping[str, Fit], tables: Tables) -> str:
    """Return why a replica cannot be had from that offer, as a sentence; empty if it can."""
    offer = tables.offers[offer_id]
    fit = fits.get(offer.gpu)
    needed = None if fit is None else fit.gpus
    # Dedicated machines can be added up; a serverless replica is one container.
    if offer.kind != SERVERLESS or needed is None or needed <= offer.gpus_max:
        return ""
    return (
        f"A replica takes {needed} × {offer.gpu}; {offer.provider} gives it at most "
        f"{offer.gpus_max}. Choose another serverless offer or a larger GPU."
    )


def _choices(
    kind: str, tables: Tables, gpu: str, example: Example, fits: Mapping[str, Fit]
) -> dict[str, Any]:
    usual = tables.offers[
        example.serverless_offer if kind == SERVERLESS else example.dedicated_offer
    ]
    found = _offers(kind, tables, gpu)

    def rank(offer_id: str) -> tuple[bool, ...]:
        offer = found[offer_id]
        # Neither a spot machine nor one for a year stands for "dedicated" unless it is asked for.
        return (
            bool(problem_of(offer_id, fits, tables)),
            offer_id != usual.offer_id,
            offer.kind != kind,
            offer.provider != usual.provider,
        )

    # The cheapest of the best ranked: they are in order of price.
    return {"options": list(found), "default": min(found, key=rank), "key": kind}


def _offers(kind: str, tables: Tables, gpu: str) -> Mapping[str, Offer]:
    """Return the offers of that kind on that GPU, cheapest first; on any where there is none.

    What is not sold any more is none of them.
    """
    found = {
        key: offer
        for key, offer in tables.offers.items()
        if offer.kind in _KINDS[kind] and offer.available != NOT_SOLD
    }
    on_gpu = {key: offer for key, offer in found.items() if offer.gpu == gpu}
    return dict(sorted((on_gpu or found).items(), key=lambda pair: pair[1].usd_per_gpu_h))


def nearest(old: str, tables: Tables, gpu: str) -> str | None:
    """Return the offer on that GPU that is most like another one: same provider, same product."""
    was = tables.offers.get(old)
    if was is None:
        return None
    same = [
        offer
        for offer in tables.offers.values()
        if (offer.provider, offer.kind, offer.gpu) == (was.provider, was.kind, gpu)
        and offer.available != NOT_SOLD
    ]
    same.sort(key=lambda offer: (offer.product != was.product, offer.usd_per_gpu_h))
    return same[0].offer_id if same else None


def _label(offer: Offer, gpu: str, fits: Mapping[str, Fit]) -> str:
    words = [offer.provider, f"{spell.dollars(offer.usd_per_gpu_h)}/GPU-h"]
    if offer.gpu != gpu:
        words.append(offer.gpu)
    if offer.gpus_min > 1:
        least = spell.count(offer.gpus_min, "GPU")
        words.append(least if offer.gpus_max == offer.gpus_min else f"at least {least}")
    if offer.source_id == OWN_SOURCE:
        words.append("yours")
    if offer.kind in ("spot", "reserved"):
        words.append(offer.kind)
    fit = fits.get(offer.gpu)
    if offer.kind == SERVERLESS and fit is not None and offer.gpus_max < (fit.gpus or 0):
        words.append(f"at most {spell.count(offer.gpus_max, 'GPU')}")
    return " · ".join(words)


def about(offer: Offer, tables: Tables) -> str:
    """Return what an offer is, its age and where it was read, in Markdown."""
    today = dt.date.today()
    words = [text.plain(offer.product)]
    if offer.offer_id == OWNED_OFFER:
        return f"{words[0]}; an amortisation, not a price: its formula stands with the machine"
    if offer.region:
        words.append(text.plain(offer.region))
    listed = session.unedited().offers[offer.offer_id].usd_per_gpu_h
    if offer.usd_per_gpu_h != listed:
        words.append(text.money(f"your price, {spell.dollars(listed)} before you changed it"))
        return "; ".join(words)
    whose = "your price" if offer.source_id == OWN_SOURCE else "price"
    age = f"{whose} {text.age(offer.priced_on, today)}"
    if staleness(offer, today, tables) != "fresh":
        age += ", **stale**: look it up anew"
    words.append(age)
    words.append(text.plain(tables.source_of(offer).title))
    return "; ".join(words)
