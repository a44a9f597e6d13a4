"""The answer as typed facts, then as words; the only place that says what wins."""

from frontier.verdict.facts import Machines, machines_of
from frontier.verdict.words import (
    Answer,
    break_even_headline,
    find_answer,
    flip_sentence,
    gap_sentence,
    how_sure,
    swing_value,
    utilisation_sentences,
    worth_sentence,
)

__all__ = [
    "Answer",
    "Machines",
    "break_even_headline",
    "find_answer",
    "flip_sentence",
    "gap_sentence",
    "how_sure",
    "machines_of",
    "swing_value",
    "utilisation_sentences",
    "worth_sentence",
]
