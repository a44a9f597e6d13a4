"""Results kept between reruns: within bytes, keyed by content, made once for all who ask.

`st.cache_data` would hash a trace by sampling it, so that two traces could share a result. Here
the key is made of the trace's own digest and of frozen values only, and results are looked up by
equality. Examples are shared between sessions; what comes from an upload stays in its session, and
goes at once when the person leaves. A while later, in which a lost connection may come back, all
else of the session goes too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import streamlit as st
from streamlit import config, runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from frontier import memory
from frontier.answers import ANSWERS
from frontier.memory import Store
from frontier.tables import load_tables

_MOMENT_S = 1.0


@dataclass(frozen=True, slots=True)
class _Own:
    """What one session keeps: results, and what was tried for its markets."""

    results: Store
    market: Store
    session_id: str


@st.cache_resource(max_entries=1, show_spinner=False)
def _shared() -> _Own:
    return _Own(_lasting("store_shared_mb"), _lasting("store_market_mb"), "")


def _lasting(setting: str) -> Store:
    return Store(load_tables().setting(setting), spares_used=False)


def _left(own: _Own) -> None:
    """Forget what a session kept, once its person has left; on the thread of the server's loop."""
    own.results.clear()
    own.market.clear()
    # Without a loop there is no server, and nobody leaves.
    with suppress(RuntimeError):
        loop = asyncio.get_running_loop()
        loop.call_later(_MOMENT_S, memory.give_back_all_soon)
        # Before its time is over: what has run out is found no more, and stays until the next goes.
        wait_s = config.get_option("server.disconnectedSessionTTL") - _MOMENT_S
        loop.call_later(wait_s, _close, own.session_id)


def _close(session_id: str) -> None:
    """Let go of a session that did not come back: the framework would wait for the next to go."""
    if runtime.exists() and not runtime.get_instance().is_active_session(session_id):
        runtime.get_instance().close_session(session_id)
        memory.give_back_all_soon()


@st.cache_resource(max_entries=1, show_spinner=False, scope="session", on_release=_left)
def _own() -> _Own:
    context = get_script_run_ctx()
    return _Own(
        Store(load_tables().setting("store_session_mb"), spares_used=True),
        # A market looked at in turn would find nothing again in less room than it takes.
        _lasting("store_market_mb"),
        "" if context is None else context.session_id,
    )


def begin_run() -> None:
    """Say that the page is drawn anew: what neither this run nor the last one uses may go."""
    _own().results.begin_turn()


class _Both:
    """The shared store; what a session uses of it stays in the session's own while it does."""

    def __init__(self) -> None:
        self._shared, self._own = _shared().results, _own().results

    def get(self, key: Hashable) -> Any | None:
        """Return what either store keeps under that key, or None."""
        kept = self._own.get(key)
        return self._own.share(key, self._shared) if kept is None else kept

    def put(self, key: Hashable, value: Any, seconds: float = 0.0) -> None:
        """Keep a value for all; see `Store`."""
        self._shared.put(key, value, seconds)
        self._own.share(key, self._shared)

    def get_or_make(
        self, key: Hashable, make: Callable[[], Any], tick: Callable[[], object] | None = None
    ) -> Any:
        """Return what is kept under that key; made once for all who ask; see `Store`."""
        kept = self.get(key)

        def wait() -> None:
            # Whoever makes it may wait for this very place.
            ANSWERS.let_others()
            if tick is not None:
                tick()

        if kept is None:
            kept = self._shared.get_or_make(key, make, wait)
            if self._own.share(key, self._shared) is None:
                self._own.put(key, kept)
        return kept


def store(*, private: bool) -> Store | _Both:
    """Return this session's store for what comes from an upload, else the shared one."""
    return _own().results if private else _Both()


def find(key: Hashable) -> Any | None:
    """Return what either store keeps under that key, or None.

    A key holds all that a result depends on, so what was made before the session had anything of
    its own is as good as new.
    """
    return _Both().get(key)


class MarketStore:
    """Where what was tried for a market is kept: shared, unless the session brought something."""

    def __init__(self, *, private: bool) -> None:
        self._shared = _shared().market
        self._own = _own().market if private else self._shared

    def get(self, key: Hashable) -> Any | None:
        """Return what is kept under that key, or None."""
        kept = self._shared.get(key)
        return self._own.get(key) if kept is None else kept

    def put(self, key: Hashable, value: Any, seconds: float) -> None:
        """Keep a value, forgetting those that are least worth their bytes if there are too many."""
        self._own.put(key, value, seconds)
