"""Errors a person using the product can act on.

A page or the command line shows the message as it is written. Anything that is not a
`FrontierError` is a bug and is treated as one.
"""

from __future__ import annotations


class FrontierError(Exception):
    """Base of every error whose message is meant for the person at the screen."""


class TableError(FrontierError):
    """A table in data/ (or one that replaces it) is wrong: names file, row and column."""


class InputError(FrontierError, ValueError):
    """Something typed or uploaded cannot be used: says what was expected and found, and where."""


class InfeasibleError(FrontierError):
    """The inputs are valid, but the question they ask has no answer."""


class MisfitError(InfeasibleError):
    """A model that the chosen GPUs or machines cannot run: others may."""
