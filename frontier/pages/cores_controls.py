"""Cores and host memory of a replica: asked only where an offer has them on meters of their own.

One section for both offers, beside them. What is left as it stands follows the model's size and
the offer; what is changed holds for every offer that meters it. Money only: nothing is simulated
again.
"""

from __future__ import annotations

import streamlit as st

from frontier import spell
from frontier.billing import (
    METERED_WORDS,
    HostChoice,
    HostNeed,
    amount_in_words,
    host_billed,
    host_used,
    is_metered,
    least_host,
    refused_amounts,
)
from frontier.pages import link, text
from frontier.serving import checkpoint_gb
from frontier.start.predict import platform_of
from frontier.tables import Offer, ProviderRules, Tables
from frontier.units import BYTES_PER_GB, BYTES_PER_GIB

_VCPUS, _RAM, _ASKED_VCPUS, _ASKED_RAM = "vcpus", "ram_gib", "asked_vcpus", "asked_ram_gib"
_WEIGHTS = "weights_in_ram"


def cores_section(
    tables: Tables, offer_ids: tuple[str, ...], model: str, precision: str, gpus: int
) -> HostChoice:
    """Draw the section where one of the offers meters cores or memory; return what was chosen.

    Parameters
    ----------
    gpus : int
        Of a replica.
    """
    offers = [tables.offers[offer_id] for offer_id in offer_ids]
    metered = [offer for offer in offers if is_metered(offer, tables.rules_of(offer))]
    if not metered:
        return HostChoice()
    offer = metered[0]
    rules = tables.rules_of(offer)
    need = _need(offer, model, precision, gpus, tables)
    stay = link.flag(
        "Weights stay in host memory",
        key=_WEIGHTS,
        default=need.weights_stay,
        help="A loader that reads through the page cache leaves them there; a streamer does not. "
        "Plans with a streamer keep none unless you change this.",
    )
    usual = HostChoice(weights_in_ram=None if stay == need.weights_stay else stay)
    # No less than the provider bills anyway.
    fair = host_billed(offer, rules, usual, need, tables)
    by_use = rules.cores_metered == "higher"
    verb = "used" if by_use else "requested"
    left, right = st.columns(2)
    with left:
        vcpus = _amount(f"vCPU {verb}", _VCPUS, "host_vcpus", fair.vcpus, tables)
    with right:
        ram_gib = _amount(f"GiB {verb}", _RAM, "host_ram_gib", fair.ram_gib, tables)
    asked: dict[str, float | None] = {}
    if by_use:
        least = least_host(offer, rules, need.gpus)
        left, right = st.columns(2)
        with left:
            asked[_ASKED_VCPUS] = _amount(
                "vCPU requested", _ASKED_VCPUS, "host_vcpus", least.vcpus, tables
            )
        with right:
            asked[_ASKED_RAM] = _amount(
                "GiB requested", _ASKED_RAM, "host_ram_gib", least.ram_gib, tables
            )
    choice = HostChoice(vcpus=vcpus, ram_gib=ram_gib, weights_in_ram=usual.weights_in_ram, **asked)
    for one in metered:
        for sentence in refused_amounts(choice, tables.rules_of(one), tables):
            st.error(
                text.plain(f"{sentence}: the most it gives is billed."), icon=":material/block:"
            )
    st.caption(text.plain(_about(offer, rules, choice, need, tables)))
    return choice


def _amount(label: str, key: str, setting: str, usual: float, tables: Tables) -> float | None:
    """Draw one amount of a replica; return it, or None where it is left as it stands."""
    low, high = tables.settings[setting].bounds
    # A figure that somebody can read off: the field shows two decimals.
    usual = min(max(round(usual, 2), low), high)
    found = link.unbounded(label, usual, key=key, step=1.0, format="%g")
    if low <= found <= high:
        return None if found == usual else found
    st.error(
        f"{label}: expected {spell.significant(low)} to {high:,.0f}, found {found:,.6g}; "
        f"{usual:g} is used.",
        icon=":material/block:",
    )
    return None


def _need(offer: Offer, model: str, precision: str, gpus: int, tables: Tables) -> HostNeed:
    platform = platform_of(tables.behaviour_of(offer).platform_id, tables)
    loader = link.choices().get("loader") if offer.kind == "serverless" else None
    used = tables.loaders.get(loader or platform.loader, tables.loaders[platform.loader])
    weights_gib = checkpoint_gb(tables.model(model), precision) * BYTES_PER_GB / BYTES_PER_GIB
    return HostNeed(gpus, weights_gib, used.leaves_weights)


def _about(
    offer: Offer, rules: ProviderRules, choice: HostChoice, need: HostNeed, tables: Tables
) -> str:
    """Return how it is billed, what that is in physical cores, and what an hour of it costs."""
    share = host_billed(offer, rules, choice, need, tables)
    usd = share.usd_per_h(offer)
    assumed = " (assumed)" if "cores_metered" in rules.assumed else ""
    words = (
        f"Cores and memory of a replica are metered by {offer.provider}, "
        f"{METERED_WORDS[rules.cores_metered]}{assumed}: {amount_in_words(share)}, "
        f"{spell.dollars(usd)} an hour, "
        f"{spell.percent(usd / (usd + offer.usd_per_gpu_h * need.gpus))} of a replica's price."
    )
    if choice.vcpus is None and choice.ram_gib is None:
        used = host_used(choice, need, tables)
        weights = (
            f"{spell.significant(used.weights_gib)} GiB of weights"
            if used.weights_gib
            else "no weights"
        )
        words += f" By the model's size: the engine's own, and {weights} in host memory."
    return words
