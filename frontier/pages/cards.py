"""The three decision cards: cheapest within the limit, cheapest at all, fastest worth its price."""

from __future__ import annotations

import math

import streamlit as st

from frontier import spell
from frontier.pages import text
from frontier.ranges import NOT_SURE
from frontier.verdict import PlanFacts, Verdict, of_thousand, price, state_of, wait


def draw(verdict: Verdict) -> None:
    """Draw a card for each plan that somebody would decide for; one that is two things, once."""
    limit = spell.seconds(verdict.limit_s)
    titles: dict[str, list[str]] = {}
    plans: dict[str, PlanFacts] = {}
    for title, plan in (
        (f"cheapest within {limit}", verdict.cheapest_within),
        ("cheapest of all", verdict.cheapest),
        ("fastest", verdict.fastest),
    ):
        if plan is not None:
            titles.setdefault(plan.plan_id, []).append(title)
            plans[plan.plan_id] = plan
    if not plans:
        return
    for column, (plan_id, plan) in zip(st.columns(len(plans)), plans.items(), strict=True):
        named = " and ".join(titles[plan_id])
        with column, st.container(border=True, height="stretch"):
            _card(f"{named[:1].upper()}{named[1:]}", verdict, plan)


def _card(title: str, verdict: Verdict, plan: PlanFacts) -> None:
    vendor = plan.vendor + (f" + {plan.overflow_vendor}" if plan.overflow_vendor else "")
    st.markdown(
        f":small[:gray[{title}]]  \n"
        f"**{text.plain(vendor)}, {text.plain(plan.hardware)}: "
        f"{text.money(price(verdict, plan))}**, p99 **{wait(verdict, plan)}**"
        f"{_sure(verdict, plan)}  \n"
        f":small[{text.plain(_upper_first(plan.policy) + _idle(plan))}. {_waits(plan)}]"
    )


def _sure(verdict: Verdict, plan: PlanFacts) -> str:
    return ", not sure" if state_of(verdict, plan) == NOT_SURE else ""


def _idle(plan: PlanFacts) -> str:
    machines = plan.machines
    return f"; {machines}" if machines is not None and machines.gpus_unused else ""


def _waits(plan: PlanFacts) -> str:
    words = "No request waits on a start"
    if plan.waiting_of_thousand and math.isfinite(plan.typical_wait_s):
        waits = spell.seconds(plan.typical_wait_s)
        words = f"{of_thousand(plan.waiting_of_thousand)} wait on a start, typically {waits}"
    if plan.refused_of_thousand:
        words += f"; {of_thousand(plan.refused_of_thousand)} are refused"
    return words


def _upper_first(words: str) -> str:
    return words[:1].upper() + words[1:]
