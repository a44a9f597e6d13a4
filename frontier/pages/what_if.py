"""The What-if page: the reader's next questions, one at a time, each in a module of its own.

A question is one entry of `QUESTIONS`; what it draws is the business of its module. Only the one
that is open is computed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from frontier.pages import controls, link
from frontier.pages.controls import Choices


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
    """

    key: str
    label: str
    draw: Callable[[Choices], None]


QUESTIONS: tuple[Question, ...] = ()


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
        key="question",
        label_visibility="collapsed",
    )
    by_key[asked].draw(choices)
