"""A pinned scenario (A) against the present one (B): inputs, figures and words, side by side.

`inputs` says what was asked differently, `differences` what comes of it, `words` puts it into
sentences. Both sides are studies made elsewhere; nothing is simulated here.
"""

from frontier.against.differences import (
    ANSWER,
    KEPT,
    ROLES,
    SHIPPED,
    Against,
    Difference,
    Pair,
    against,
    difference_table,
)
from frontier.against.inputs import Input, inputs_of
from frontier.against.words import line, sentences

__all__ = [
    "ANSWER",
    "KEPT",
    "ROLES",
    "SHIPPED",
    "Against",
    "Difference",
    "Input",
    "Pair",
    "against",
    "difference_table",
    "inputs_of",
    "line",
    "sentences",
]
