"""A against B: the pinned scenario beside the present one, a question of the What-if page."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from frontier import spell
from frontier.against import (
    ROLES,
    Against,
    Pair,
    against,
    difference_table,
    line,
    sentences,
)
from frontier.charts.against_chart import add_pin, against_figure, against_table
from frontier.errors import FrontierError
from frontier.pages import link, mishap, pins, results, show, text
from frontier.pages.controls import Choices
from frontier.study import Study

QUESTION = "against"


def draw(choices: Choices) -> None:
    """Draw what differs between the scenarios, and what comes of it in words and numbers."""
    pin = pins.current()
    if pin is None:
        st.subheader("Two scenarios side by side", anchor=False)
        st.markdown(
            "Pin the present scenario as A, then change what you like in the row above: what is "
            "chosen from then on is B, and this page says what it changes."
        )
        st.button(
            "Pin as A", icon=":material/push_pin:", on_click=mishap.safe(pins.pin), key="pin_here"
        )
        return
    if pin.problem:
        st.subheader("A against B", anchor=False)
        st.warning(text.plain(pin.problem), icon=":material/link_off:")
        _draw_actions()
        return
    b = results.with_break_even(choices, results.study(choices))
    a = results.pinned(pin)
    if a is None or pin.choices is None:
        return
    found = against(results.with_break_even(pin.choices, a, pin=pin), b)
    st.subheader(text.said(line(found)), anchor=False)
    results.answered()
    if not found.inputs:
        st.markdown("Change something in the row above: it is held against A here.")
        _draw_actions()
        return
    st.markdown("\n".join(f"- {text.plain(said)}" for said in sentences(found)))
    _draw_actions()
    left, right = st.columns([1, 1.2], gap="medium")
    with left:
        st.markdown("**What was asked differently**")
        st.table(
            pd.DataFrame(
                {
                    "Input": [text.plain(one.label) for one in found.inputs],
                    "A": [text.plain(one.a) for one in found.inputs],
                    "B": [text.plain(one.b) for one in found.inputs],
                }
            ).set_index("Input")
        )
    with right:
        _draw_chart(found)
    st.markdown("**What comes of it**")
    for column, pair in zip(st.columns(len(found.pairs)), found.pairs, strict=True):
        with column:
            _draw_pair(pair, found)
    show.download(difference_table(found), "a_against_b.csv")


def beside_answer(b: Study) -> None:
    """Draw, where a scenario is pinned, one line of how this one differs, and the way there."""
    pin = pins.current()
    if pin is None:
        return
    found = of_pin(b)
    said = pin.problem if found is None else line(found)
    if found is not None and found.inputs:
        said += " This is of the offers in focus."
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f":material/push_pin: {text.plain(said)}", width="content")
        st.button(
            "A against B",
            key="to_against",
            type="tertiary",
            icon=":material/arrow_forward:",
            on_click=mishap.safe(link.turn_to),
            # No default: what stands first on that page is none of this module's business.
            args=(link.WHAT_IF, "question", QUESTION, ""),
        )


def of_pin(b: Study) -> Against | None:
    """Return the pinned scenario against this one; None where there is none, or it cannot be."""
    pin = pins.current()
    if pin is None or pin.problem:
        return None
    try:
        a = results.pinned(pin)
    except FrontierError:
        return None
    return None if a is None else against(a, b)


def with_pin(figure: go.Figure, found: Against | None) -> go.Figure:
    """Return a figure of plans with A's efficient ones on it as light marks."""
    return figure if found is None or not found.inputs else add_pin(figure, against_table(found))


def _draw_actions() -> None:
    with st.container(horizontal=True, gap="small"):
        for words, icon, does, key in (
            ("Swap A and B", ":material/swap_horiz:", pins.swap, "swap_here"),
            ("Pin B instead", ":material/push_pin:", pins.pin, "pin_b"),
            ("Unpin", ":material/keep_off:", pins.unpin, "unpin_here"),
        ):
            st.button(words, icon=icon, on_click=mishap.safe(does), key=key)


def _draw_chart(found: Against) -> None:
    table = against_table(found)
    if table.empty:
        st.info("Neither has a plan that serves the traffic.", icon=":material/info:")
        return
    show.figure(
        show.built(against_figure, table, limits_s=(found.a.limit_s, found.b.limit_s)),
        key="against_chart",
        alt=f"Efficient plans of A and B, dollars a month against p99. {line(found)}",
        table=table,
        file_name="a_and_b_plans.csv",
    )
    left_out = table.attrs["left_out"]
    if left_out:
        st.caption(f"{left_out} not drawn: they refuse more than one request in a hundred.")


def _draw_pair(pair: Pair, found: Against) -> None:
    st.markdown(f"**{ROLES[pair.role]}**")
    for side, plan, study in (("A", pair.a, found.a), ("B", pair.b, found.b)):
        words = "none" if plan is None else f"{plan.vendor}, {plan.hardware}, {plan.policy}"
        if pair.role == "answer" and study.verdict.cheapest_within is None and plan is not None:
            words = f"none holds {spell.seconds(study.limit_s)}; the fastest: {words}"
        st.caption(f"{side}: {text.plain(words)}")
    rows = [*pair.differences]
    if pair.role == "answer" and (found.break_even.a or found.break_even.b):
        rows.append(found.break_even)
    words_of = [one.words for one in rows]
    st.table(
        pd.DataFrame(
            {
                "Figure": [one.label for one in rows],
                **{
                    name: [text.money(text.unbroken(words[at])) for words in words_of]
                    for at, name in enumerate(("A", "B", "B − A"))
                },
            }
        ).set_index("Figure")
    )
