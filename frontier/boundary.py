"""The one boundary between what a person brings and the rest: whatever goes wrong is a sentence.

Every function that reads a file, a pasted text or a link is decorated with `reads`. An error that
is meant for the person passes as it is; every other one (of Arrow, numpy, csv, of text that is not
text, of a number that is too large, of a generator that ends early) becomes an `InputError` that
names what was being read and what was found. By construction, so no list of errors can lack one.
What a caller's own hook raises (a reading that is cancelled) passes as well.
"""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from frontier.delimited import is_control, not_text
from frontier.errors import FrontierError, InputError

_P = ParamSpec("_P")
_R = TypeVar("_R")
_LOG = logging.getLogger(__name__)
_LONGEST_REASON, _LONGEST_SENTENCE, _SHORT = 160, 2000, 40

READERS: dict[str, str] = {}
"""What each reader reads, by the module and name of the function."""


class UnexpectedInput(InputError):
    """What a reader did not foresee: refused like any other input, and told apart by tests."""


class _FromHook(BaseException):
    """Carries what a hook raised through code that catches exceptions."""

    def __init__(self, raised: BaseException) -> None:
        super().__init__()
        self.raised = raised


def reads(what: str) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Return a decorator by which a function raises nothing but errors meant for the person.

    Parameters
    ----------
    what : str
        What is read, as it begins a sentence: "The trace".
    """

    def decorate(function: Callable[_P, _R]) -> Callable[_P, _R]:
        taken = inspect.signature(function)

        @functools.wraps(function)
        def bounded(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            # A call with wrong arguments is a mistake in the code and no input.
            taken.bind(*args, **kwargs)
            try:
                return function(*args, **kwargs)
            except FrontierError as error:
                error.args = tuple(shown(a) if isinstance(a, str) else a for a in error.args)
                raise
            except MemoryError:
                raise InputError(
                    f"{what} takes more memory than a file of its size should: it is damaged, or "
                    "unpacks to far more than it seems to hold."
                ) from None
            except _FromHook as passed:
                raise passed.raised from None
            except Exception as error:
                _LOG.warning("%s: %s", what, type(error).__name__, exc_info=error)
                raise UnexpectedInput(
                    f"{what} cannot be read: it holds {_found(error)}."
                ) from error

        READERS[f"{function.__module__}.{function.__qualname__}"] = what
        return bounded

    return decorate


def hook(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Return a caller's hook whose errors reach the caller, whatever lies between."""

    @functools.wraps(function)
    def passed_on(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            raise _FromHook(error) from error

    return passed_on


def check_text(content: bytes, what: str) -> None:
    """Refuse a file whose first bytes show that it is no text.

    Parameters
    ----------
    what : str
        What it should be, as it begins the sentence: "A price table must be CSV text".

    Raises
    ------
    InputError
        If it is something else; the message says what.
    """
    kind = not_text(content)
    if kind is not None:
        raise InputError(f"{what}; this file is {kind.what}. {kind.instead}")


def told_once(what: str) -> Callable[[list[tuple[str, Any]]], dict[str, Any]]:
    """Return a reader of JSON objects that refuses one in which a name has two values.

    For `json.loads`, which keeps the last of them without a word.

    Parameters
    ----------
    what : str
        Where it stands, as it ends the sentence: "the config".
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found and found[key] != value:
                first, second = (shown(repr(each), _SHORT) for each in (found[key], value))
                raise InputError(
                    f"'{shown(key, _SHORT)}' stands twice in {what}, as {first} and {second}. Keep "
                    "the one that is meant."
                )
            found[key] = value
        return found

    return once


def shown(text: str, longest: int = _LONGEST_SENTENCE) -> str:
    """Return a text, part of which may come from a file, as it may be shown: no control characters.

    It is cut where it is longer than a sentence is.
    """
    if len(text) > longest:
        text = f"{text[: longest - 1]}…"
    if text.isprintable():
        return text
    return "".join("�" if is_control(c) and c != "\n" else c for c in text)


def _found(error: Exception) -> str:
    """Return what was found, by the error that it caused."""
    for kinds, words in (
        ((UnicodeError,), "text that is no text in any encoding that is read"),
        ((RecursionError,), "lists or objects nested too deeply"),
        ((OverflowError, ZeroDivisionError, FloatingPointError), "a number that is out of range"),
        ((StopIteration, EOFError), "less than it says"),
    ):
        if isinstance(error, kinds):
            return words
    first = (str(error).strip().splitlines() or [""])[0] or type(error).__name__
    return f"something that was not expected ({shown(first, _LONGEST_REASON)})"
