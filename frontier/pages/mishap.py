"""The errors of a page: foreseen ones as they are written, any other as a sentence and a log entry.

Without this the framework would show a box of its own, which says neither what to do nor what was
lost. What a callback raises, before a page is drawn, is said at the top of the page that follows.
"""

from __future__ import annotations

import functools
import logging
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec

import streamlit as st

from frontier.errors import FrontierError, MisfitError
from frontier.pages import text

P = ParamSpec("P")

_OF_CALLBACK = "mishap_of_callback"
_log = logging.getLogger(__name__)


@contextmanager
def boundary(place: str) -> Iterator[None]:
    """Say whatever is raised within.

    Parameters
    ----------
    place : str
        Which part of the page it is, for the key of what is drawn.
    """
    try:
        yield
    except FrontierError as error:
        say(error, place)
    except Exception as error:
        unforeseen(error, place)


def say(error: FrontierError, place: str) -> None:
    """Say an error as it is written, and lead on from one that other offers do not have."""
    st.error(text.plain(str(error)), icon=":material/error:")
    if isinstance(error, MisfitError):
        st.button(
            "See the offers that can run it",
            icon=":material/storefront:",
            on_click=safe(_to_offers),
            key=f"to_offers_{place}",
        )


def _to_offers() -> None:
    # It needs this module for its own callbacks.
    from frontier.pages import link

    link.go_to("")


def safe(callback: Callable[P, object]) -> Callable[P, None]:
    """Return a callback whose errors are said by the run that follows; see `say_of_callback`.

    Every callback of a widget goes through this.
    """

    @functools.wraps(callback)
    def does(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            callback(*args, **kwargs)
        except FrontierError as error:
            st.session_state[_OF_CALLBACK] = str(error), None
        except Exception as error:
            st.session_state[_OF_CALLBACK] = "", _logged(error, "a callback")

    return does


def say_of_callback() -> None:
    """Say what the callback of this run raised, if it did."""
    words, incident = st.session_state.pop(_OF_CALLBACK, ("", None))
    if words:
        st.error(text.plain(words), icon=":material/error:")
    elif incident is not None:
        _say(incident, "callback")


def unforeseen(error: Exception, place: str) -> None:
    """Log an error that is ours and nobody's at the screen, and say how to go on."""
    _say(_logged(error, place), place)


def _logged(error: Exception, place: str) -> str:
    incident = secrets.token_hex(4)
    _log.error("Incident %s in %s", incident, place, exc_info=error)
    return incident


def _say(incident: str, place: str) -> None:
    st.error(
        "Frontier could not draw this: a mistake of ours. Take back the last choice with Undo, or "
        "start again from the default example, which forgets what was uploaded here. The log of "
        f"the server has it as incident {incident}.",
        icon=":material/bug_report:",
    )
    st.button(
        "Start again",
        icon=":material/restart_alt:",
        on_click=safe(_start_again),
        key=f"start_again_{place}",
    )


def _start_again() -> None:
    """Forget all that this session holds, its address too; from a callback."""
    st.session_state.clear()
    st.query_params.clear()
