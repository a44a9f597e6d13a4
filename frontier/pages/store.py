"""Results kept between reruns: bounded, keyed by content, cancellable while they are made.

`st.cache_data` would hash a trace by sampling it, so that two traces could share a result. Here
the key is made of the trace's own digest and of frozen values only, and results are looked up by
equality. Examples are shared between sessions; what comes from an upload stays in its session.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

import streamlit as st

_SHARED_ENTRIES = 18
_SESSION_ENTRIES = 9
# A market is some 350 groups of plans, each of some kilobytes.
_MARKET_ENTRIES = 1200


class Store:
    """A mapping that forgets what was used longest ago."""

    def __init__(self, entries: int) -> None:
        self._entries = entries
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Any | None:
        """Return what is kept under that key, or None."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, key: Hashable, value: Any) -> None:
        """Keep a value, forgetting the one used longest ago where there are too many."""
        with self._lock:
            self._kept[key] = value
            self._kept.move_to_end(key)
            while len(self._kept) > self._entries:
                self._kept.popitem(last=False)

    def get_or_make(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """Return what is kept under that key, making it first where it is not there."""
        kept = self.get(key)
        if kept is None:
            kept = make()
            self.put(key, kept)
        return kept


@st.cache_resource(max_entries=1, show_spinner=False)
def _shared() -> Store:
    return Store(_SHARED_ENTRIES)


def store(*, private: bool) -> Store:
    """Return this session's store for what comes from an upload, else the shared one."""
    if not private:
        return _shared()
    if "private_store" not in st.session_state:
        st.session_state["private_store"] = Store(_SESSION_ENTRIES)
    own: Store = st.session_state["private_store"]
    return own


def find(key: Hashable) -> Any | None:
    """Return what either store keeps under that key, or None.

    A key holds all that a result depends on, so what was made before the session had anything of
    its own is as good as new.
    """
    kept = store(private=False).get(key)
    return store(private=True).get(key) if kept is None else kept


class MarketStore:
    """Where what was tried for a market is kept: shared, unless the session brought something."""

    def __init__(self, *, private: bool) -> None:
        if "market_store" not in st.session_state:
            st.session_state["market_store"] = Store(_MARKET_ENTRIES)
        own: Store = st.session_state["market_store"]
        self._own = own if private else _shared_market()

    def get(self, key: Hashable) -> Any | None:
        """Return what is kept under that key, or None."""
        kept = _shared_market().get(key)
        return self._own.get(key) if kept is None else kept

    def put(self, key: Hashable, value: Any) -> None:
        """Keep a value, forgetting the one used longest ago where there are too many."""
        self._own.put(key, value)


@st.cache_resource(max_entries=1, show_spinner=False)
def _shared_market() -> Store:
    return Store(_MARKET_ENTRIES)
