"""The errors of a page: foreseen ones as they are written, any other as a sentence and a log entry.

Without this the framework would show a box of its own, which says neither what to do nor what was
lost. Left out: callbacks, which run before a page is drawn.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from frontier.errors import FrontierError
from frontier.pages import text

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
        st.error(text.plain(str(error)), icon=":material/error:")
    except Exception as error:
        unforeseen(error, place)


def unforeseen(error: Exception, place: str) -> None:
    """Log an error that is ours and nobody's at the screen, and say how to go on."""
    incident = secrets.token_hex(4)
    _log.error("Incident %s in %s", incident, place, exc_info=error)
    st.error(
        "Frontier could not draw this: a mistake of ours. Take back the last choice with Undo, or "
        "start again from the default example, which forgets what was uploaded here. The log of "
        f"the server has it as incident {incident}.",
        icon=":material/bug_report:",
    )
    st.button(
        "Start again",
        icon=":material/restart_alt:",
        on_click=_start_again,
        key=f"start_again_{place}",
    )


def _start_again() -> None:
    """Forget all that this session holds, its address too; from a callback."""
    st.session_state.clear()
    st.query_params.clear()
