"""What the pages ask of the server they run in: watch over what is sent, say when to stop a run."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable

from streamlit.runtime.scriptrunner import get_script_run_ctx

from frontier import memory
from frontier.pages import intake

_modules = 0


@functools.cache
def prepare() -> None:
    """Let the server be so; only the first call does anything."""
    intake.prepare()


def yield_check() -> Callable[[], object] | None:
    """Return what raises where the person did something new or has left; None without a server."""
    context = get_script_run_ctx()
    return None if context is None else context.yield_check


def spare_libraries() -> None:
    """Let collections pass over what a run has loaded; to be called at the end of each."""
    global _modules
    if (now := len(sys.modules)) != _modules:
        _modules = now
        memory.spare_the_lasting()
