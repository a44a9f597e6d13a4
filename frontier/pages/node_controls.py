"""The bar's part about a cluster of one's own: where replicas scale to zero, on whose machines.

A serverless offer and pods on Kubernetes nodes are two answers to one question, so they stand side
by side. A machine that was bought becomes an offer here, by what it amortises to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from frontier import spell
from frontier.pages import gpu_controls, link, offer_controls, price_controls, text
from frontier.plans.nodes import NodeChoice
from frontier.prices import NOT_SOLD
from frontier.prices.owned import OWNED_FIELDS, OWNED_OFFER, OwnedMachine
from frontier.serving import Fit
from frontier.tables import Example, NodeScaler, Offer, PodScaler, Tables, load_tables

_PLACE, _OFFER, _OWNED = "place", "node_offer", "owned"
_SERVERLESS, _NODES = "serverless", "nodes"
_PLACES = {_SERVERLESS: "A serverless offer", _NODES: "Kubernetes on rented or own nodes"}
_OWNED_LABELS = {
    "usd": "Purchase price ($)",
    "gpus": "GPUs of the machine",
    "months": "Months of life",
    "watts": "Average draw (W)",
    "pue": "PUE of the room",
    "usd_per_kwh": "Electricity ($/kWh)",
    "colocation_usd_month": "Colocation a month ($)",
}
_FORMATS = {
    "usd": "%.0f",
    "months": "%.0f",
    "watts": "%.0f",
    "pue": "%.2f",
    "usd_per_kwh": "%.3f",
    "colocation_usd_month": "%.0f",
}


def are_picked() -> bool:
    """Return whether replicas run on nodes, before that choice is drawn."""
    return link.picked(_PLACES, _SERVERLESS, key=_PLACE) == _NODES


def picked_offer(tables: Tables, gpu: str) -> str:
    """Return the machines that are nodes, before that choice is drawn.

    Another GPU keeps the provider where it has that GPU.
    """
    return link.picked(
        **_offers(tables, gpu), nearest=lambda old: offer_controls.nearest(old, tables, gpu)
    )


def problem_of(offer_id: str, fits: Mapping[str, Fit], tables: Tables) -> str:
    """Return why a replica fits on no node of that offer, as a sentence; empty if it does."""
    offer = tables.offers[offer_id]
    fit = fits.get(offer.gpu)
    if fit is None or fit.gpus is None or fit.gpus <= offer.gpus_max:
        return ""
    return (
        f"A replica takes {fit.gpus} × {offer.gpu}; a machine of {offer.provider} "
        f"({offer.product}) has at most {offer.gpus_max}. Choose larger machines."
    )


def owned_machine(tables: Tables, example: Example) -> OwnedMachine | None:
    """Return the machine that was bought, before its fields are drawn; None without one.

    Its GPU is the one that the bar shows.
    """
    if not link.flagged(key=_OWNED):
        return None
    cells: dict[str, Any] = {
        field: link.settled(tables.settings[name], key=f"own_{field}", whole=field == "gpus")
        for field, name in OWNED_FIELDS.items()
    }
    cells["gpus"] = int(cells["gpus"])
    return OwnedMachine(gpu_controls.picked_gpu(tables, example), **cells)


def node_section(
    tables: Tables, gpu: str, example: Example, fits: Mapping[str, Fit]
) -> tuple[str, NodeChoice | None]:
    """Draw where replicas scale to zero; return the offer, and how nodes and pods come and go.

    Parameters
    ----------
    fits : mapping of str to Fit
        By GPU; nothing where that is not known.
    """
    place = link.pick(
        "Scale to zero on", _PLACES, _SERVERLESS, key=_PLACE, format_func=_PLACES.__getitem__
    )
    if place == _SERVERLESS:
        kind = offer_controls.SERVERLESS
        return offer_controls.offer_section(kind, tables, gpu, example, fits), None
    offers = _offers(tables, gpu)
    offer_id = link.pick(
        "Machines of the nodes",
        **offers,
        format_func=lambda key: _label(tables.offers[key], gpu),
    )
    offer = tables.offers[offer_id]
    st.caption(offer_controls.about(offer, tables))
    if offer_id != OWNED_OFFER:
        price_controls.price_field(offer_id, place="nodes")
    if problem := problem_of(offer_id, fits, tables):
        st.error(text.plain(problem), icon=":material/block:")
    rows = {
        key: row
        for key, row in tables.node_scalers.items()
        if not row.provisions or offer.kind != "reserved"
    }
    left, right = st.columns(2)
    with left:
        node_scaler = link.pick(
            "Nodes are scaled by",
            rows,
            next(iter(rows)),
            key="node_scaler",
            format_func=lambda key: rows[key].label,
        )
    with right:
        pods = tables.pod_scalers
        pod_scaler = link.pick(
            "Pods are scaled by",
            pods,
            next(iter(pods)),
            key="pod_scaler",
            format_func=lambda key: pods[key].label,
        )
    fit = fits.get(offer.gpu)
    choice = _details(tables, offer, rows[node_scaler], pods[pod_scaler], (fit and fit.gpus) or 1)
    return offer_id, choice


def _details(
    tables: Tables, offer: Offer, nodes: NodeScaler, pods: PodScaler, gpus_per_replica: int
) -> NodeChoice:
    """Draw what the scalers leave open."""
    delay_s = kept = gpus = None
    left, right = st.columns(2)
    if nodes.provisions:
        with left:
            row = tables.settings["node_delay_longest_s"]
            usual = nodes.scale_down_delay_s or 0.0
            asked = link.number(
                "Node kept after its last pod (s)",
                usual,
                key="node_delay_s",
                low=0.0,
                high=row.value,
                step=30.0,
                format="%.0f",
            )
            delay_s = None if asked == usual else asked
    with right if nodes.provisions else left:
        asked = link.number(
            "Nodes kept anyway" if nodes.provisions else "Nodes kept (0: by the traffic)",
            0,
            key="kept_nodes",
            low=0,
            high=int(tables.setting("most_replicas")),
            whole=True,
            help="Up and paid for whether used or not.",
        )
        kept = int(asked) or None
    least = max(offer.gpus_min, gpus_per_replica)
    if least < offer.gpus_max:  # machines of several sizes, of which a replica fits on this one
        asked = link.number(
            "GPUs of a node", least, key="node_gpus", low=least, high=offer.gpus_max, whole=True
        )
        gpus = int(asked)
    weights = link.flag(
        "Weights stay on the node's disk",
        key="weights_on_node",
        help="For the next pod on a node that is still up. The image always does.",
    )
    how_known = f"release {nodes.basis}, start {nodes.start_basis}" if nodes.provisions else ""
    for words, about, basis in (
        (nodes.label.partition(":")[0], nodes.description, how_known),
        (pods.label, pods.description, pods.basis),
    ):
        st.caption(
            f"**{text.plain(words)}** {text.plain(about)}" + (f" ({basis})" if basis else "")
        )
    return NodeChoice(nodes.node_scaler, pods.pod_scaler, delay_s, kept, gpus, weights)


def owned_section(tables: Tables, gpu: str) -> None:
    """Draw the machine that was bought: its fields, and what it amortises to with the formula."""
    with st.expander("A machine you bought"):
        if not link.flag(
            "Add it to the offers",
            key=_OWNED,
            help="Among the machines of nodes, and among the dedicated offers.",
        ):
            st.caption(
                "Its price, power and place become dollars a GPU-hour: an amortisation, not a "
                "price, paid whether it is used or not."
            )
            return
        st.caption(f"Of {gpu}. What you do not change is assumed.")
        # The rows as shipped: nothing here depends on what the session changed.
        shipped = load_tables().settings
        columns = st.columns(2)
        for place, (field, name) in enumerate(OWNED_FIELDS.items()):
            how: dict[str, Any] = {"whole": True} if field == "gpus" else {}
            if field in _FORMATS:
                how["format"] = _FORMATS[field]
            with columns[place % 2]:
                link.setting(
                    text.money(_OWNED_LABELS[field]), shipped[name], key=f"own_{field}", **how
                )
        offer = tables.offers.get(OWNED_OFFER)
        if offer is not None:
            st.caption(
                text.money(f"**{spell.dollars(offer.usd_per_gpu_h)} a GPU-hour.** ")
                + text.plain(offer.note or "")
            )


def _offers(tables: Tables, gpu: str) -> dict[str, Any]:
    """Return the machines on that GPU, cheapest first, as `link.pick` takes them."""
    machines = {
        key: offer
        for key, offer in tables.offers.items()
        if offer.kind != _SERVERLESS and offer.available != NOT_SOLD
    }
    found = {key: offer for key, offer in machines.items() if offer.gpu == gpu} or machines
    ordered = sorted(found, key=lambda key: found[key].usd_per_gpu_h)
    # Whoever added a machine wants to see it; nobody's first thought is a spot price.
    default = min(
        ordered,
        key=lambda key: (
            key != OWNED_OFFER,
            found[key].kind != "dedicated",
            not found[key].featured,
        ),
    )
    return {"options": ordered, "default": default, "key": _OFFER}


def _label(offer: Offer, gpu: str) -> str:
    size = (
        spell.count(offer.gpus_max, "GPU")
        if offer.gpus_min == offer.gpus_max
        else f"{offer.gpus_min} to {offer.gpus_max} GPUs"
    )
    words = [offer.provider, f"{spell.dollars(offer.usd_per_gpu_h)}/GPU-h", size]
    if offer.gpu != gpu:
        words.append(offer.gpu)
    if offer.kind != "dedicated":
        words.append("bought" if offer.offer_id == OWNED_OFFER else offer.kind)
    return " · ".join(words)
