"""The What-if page: the reader's next questions, one at a time, each in a module of its own.

A question is one entry of `QUESTIONS`; what it draws is the business of its module. Only the one
that is open is computed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from frontier.pages import (
    against_view,
    controls,
    growth_view,
    ladder_view,
    link,
    mishap,
    reach_view,
    reality_view,
    text,
    timeouts_view,
)
from frontier.pages.controls import Choices

_KEY = "question"


@dataclass(frozen=True, slots=True)
class Question:
    """One question of the page.

    Attributes
    ----------
    key : str
        In the address.
    label : str
        On its button: a few words.
    draw : callable
        Draws the answer, a heading first, for the choices in the bar.
    asks : callable, optional
        The question in full, as it stands on its link on the Frontier page: "What would 1 s
        cost?"; None for a question that has no link there.
    """

    key: str
    label: str
    draw: Callable[[Choices], None]
    asks: Callable[[Choices], str] | None = None


QUESTIONS: tuple[Question, ...] = (
    Question("limits", "Other limits", ladder_view.draw, ladder_view.asks),
    Question("hold", "Hold a limit", reach_view.draw, reach_view.asks),
    Question("timeout", "Idle timeout", timeouts_view.draw, timeouts_view.asks),
    Question("growth", "Traffic grows", growth_view.draw, growth_view.asks),
    Question(against_view.QUESTION, "A against B", against_view.draw),
    Question("bill", "My bill", reality_view.draw),
)


def render() -> None:
    """Draw the page for the choices in the bar."""
    choices = controls.with_traffic()
    if choices is None:
        return
    by_key = {question.key: question for question in QUESTIONS}
    asked = link.segments(
        "Question",
        {question.key: question.label for question in QUESTIONS},
        QUESTIONS[0].key,
        key=_KEY,
        label_visibility="collapsed",
    )
    by_key[asked].draw(choices)


def next_questions(choices: Choices) -> None:
    """Draw quiet links, each to a question of this page about the same scenario, for one row."""
    for question in QUESTIONS:
        if question.asks is not None:
            st.button(
                text.plain(question.asks(choices)),
                key=f"next_{question.key}",
                type="tertiary",
                icon=":material/arrow_forward:",
                on_click=mishap.safe(link.turn_to),
                args=(link.WHAT_IF, _KEY, question.key, QUESTIONS[0].key),
            )
