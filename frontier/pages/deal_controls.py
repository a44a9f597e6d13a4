"""The bar's part about money and hours: terms, months, office hours, a per-token API."""

from __future__ import annotations

import dataclasses

import streamlit as st

from frontier import spell
from frontier.billing import LIST_PRICE, Terms, TokenPrice, chosen_terms, machine_shapes
from frontier.pages import link, session, text
from frontier.plans.scenario import OfficeHours
from frontier.sweep import Deal, TokenApi
from frontier.tables import OWN_SOURCE, YOURS, Commitment, Offer, Tables, load_tables

_NONE, _OWN = "none", "own"


def deal_section(tables: Tables, serverless: str, dedicated: str) -> Deal:
    """Draw the terms of the two chosen offers and return them."""
    with st.expander("Terms and discounts"):
        commitment = _commitment(tables, dedicated)
        terms = _terms(tables, serverless)
        machines = dataclasses.replace(LIST_PRICE, free_credit=terms.free_credit)
        return Deal(
            terms,
            machines,
            commitment,
            _exact_machine(tables, dedicated),
        )


def month_section() -> None:
    """Draw how many hours a month is taken to have."""
    # The row as shipped: the one in force already has what stands in this field.
    link.setting(
        "Hours in a month",
        load_tables().settings["hours_per_month"],
        key=session.HOURS,
        step=1.0,
        format="%.0f",
        help="8,760 hours a year over 12. Every export names the hours it used.",
    )


def office_section(tables: Tables) -> OfficeHours:
    """Draw when the machines of scheduled plans run, and return it."""
    with st.expander("Office hours"):
        return _office(tables)


def api_section(tables: Tables) -> TokenApi | None:
    """Draw the per-token API to compare with, and return it."""
    with st.expander("Per-token API"):
        return _api(tables)


def _commitment(tables: Tables, dedicated: str) -> Commitment | None:
    offer = tables.offers[dedicated]
    if offer.kind != "dedicated":
        st.caption(f"The dedicated offer is a {offer.kind} price: no commitment on top of it.")
        return None
    rows = {
        key: row
        for key, row in tables.commitments.items()
        if row.provider is None or row.provider.casefold() == offer.provider.casefold()
    }
    words = {_NONE: "None, by the hour", **{key: row.label for key, row in rows.items()}}
    words[_OWN] = "Your own"
    chosen = link.pick(
        "Commitment on the dedicated offer",
        list(words),
        _NONE,
        key="commitment",
        format_func=words.__getitem__,
        help="Adds reserved plans to the chart and puts the base of hybrids under it.",
    )
    if chosen == _NONE:
        return None
    if chosen != _OWN:
        row = rows[chosen]
        st.caption(text.plain(f"{row.basis[:1].upper()}{row.basis[1:]}. {row.note or ''}").strip())
        return row
    percent = 100.0
    discount = tables.settings["commitment_discount"]
    months, upfront = tables.settings["commitment_months"], tables.settings["commitment_upfront"]
    return Commitment(
        commitment_id=_OWN,
        label="Your commitment",
        provider=None,
        discount=link.setting(
            "Discount (%)", discount, key="discount", scale=percent, step=1.0, format="%.0f"
        ),
        term_months=int(link.setting("Term (months)", months, key="term", whole=True)),
        upfront_share=link.setting(
            "Paid upfront (%)", upfront, key="upfront", scale=percent, step=5.0, format="%.0f"
        ),
        basis=YOURS,
        source_id=OWN_SOURCE,
        note=None,
    )


def _terms(tables: Tables, serverless: str) -> Terms:
    """Ask only for what the chosen offer's rules know: multipliers, fee, credit."""
    rules = tables.rules_of(tables.offers[serverless])
    in_region = rules.region_multiplier is not None and link.flag(
        f"Choose the region (× {rules.region_multiplier:g})", key="region"
    )
    kept_up = rules.availability_multiplier is not None and link.flag(
        f"Never preempted (× {rules.availability_multiplier:g})", key="kept_up"
    )
    credit = fee = True
    if rules.free_credit_usd_month:
        credit = link.flag(
            text.money(f"Count the {spell.dollars(rules.free_credit_usd_month)} monthly credit"),
            key="credit",
            default=True,
            help="Off if other workloads of the account use it up.",
        )
    if rules.platform_fee_usd_month:
        fee = link.flag(
            text.money(f"Count the {spell.dollars(rules.platform_fee_usd_month)} monthly fee"),
            key="fee",
            default=True,
            help="Off if the account pays it anyway.",
        )
    return chosen_terms(
        rules, in_region=in_region, kept_up=kept_up, free_credit=credit, platform_fee=fee
    )


def _exact_machine(tables: Tables, dedicated: str) -> bool:
    offer, *others = machine_shapes(tables.offers[dedicated], tables)
    if not others:
        return False
    names = ", ".join(shape.product for shape in others if shape.product != offer.product)
    return link.flag(
        f"Exactly this machine ({_shape(offer)})",
        key="exact",
        help="Off, each plan is billed on the machine that costs it least: this one, or "
        f"{names or ', '.join(map(_shape, others))}.",
    )


def _shape(offer: Offer) -> str:
    return f"{offer.product}, {spell.count(offer.gpus_min, 'GPU')}"


def interruptions_section(tables: Tables, *offer_ids: str) -> float | None:
    """Ask how often a spot machine is taken away, and return it; None without one [1/h]."""
    if all(tables.offers[offer_id].kind != "spot" for offer_id in offer_ids):
        return None
    row = tables.settings["interruptions_per_h"]
    rate = link.setting(
        "Spot interruptions an hour", row, key="interruptions", step=0.01, format="%.3f"
    )
    st.caption(
        f"{text.plain(row.basis.capitalize())}: no provider publishes a rate. Each interruption "
        "repeats a start: it is paid again, and who comes while no machine is up waits for it."
    )
    return rate


def _office(tables: Tables) -> OfficeHours:
    begin, end = tables.settings["office_from_h"], tables.settings["office_to_h"]
    days = tables.settings["office_days"]
    st.caption("Scheduled plans run machines in these hours (UTC), and on demand outside them.")
    left, right = st.columns(2)
    with left:
        from_h = link.setting("From (h)", begin, key="office_from", whole=True)
    with right:
        to_h = link.setting("To (h)", end, key="office_to", whole=True)
    fewest, most = days.bounds
    words = {str(count): _days(count) for count in range(int(fewest), int(most) + 1)}
    chosen = link.pick(
        "Days",
        list(words),
        str(int(days.value)),
        key="office_days",
        format_func=words.__getitem__,
    )
    return OfficeHours(from_h, to_h, int(chosen))


def _days(count: int) -> str:
    return OfficeHours(0, 1, count).days_in_words


def _api(tables: Tables) -> TokenApi | None:
    if not link.flag(
        "Compare with a per-token API",
        key="api",
        help="A reference point on the chart, at the prices and the p99 that you give.",
    ):
        return None
    price, share = tables.settings["api_usd_per_mtok"], tables.settings["api_cached_share"]
    usd = {
        key: link.setting(label, price, key=key, step=0.05)
        for key, label in (
            ("api_input", "Input, $ for a million tokens"),
            ("api_output", "Output, $ for a million tokens"),
            ("api_cached", "Cached input, $ for a million tokens"),
        )
    }
    cached = link.setting("Cached share of input", share, key="api_share", step=0.05)
    p99_s = link.setting(
        "Its p99 TTFT (s)", tables.settings["api_p99_ttft_s"], key="api_p99", step=0.1
    )
    if not usd["api_input"] and not usd["api_output"]:
        st.caption("Give its prices to see it on the chart.")
        return None
    prices = TokenPrice(usd["api_input"], usd["api_output"], usd["api_cached"])
    return TokenApi(prices, p99_s, cached)
