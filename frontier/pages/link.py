"""The address bar holds every choice: a link opens the same view again.

Streamlit can bind a widget to the URL, but it writes the option as it is displayed, with prices
and words that change. Here the URL holds ids. A choice that cannot be used is counted and shown,
never dropped silently.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import streamlit as st

_ASKED, _DEFAULTS, _IGNORED = "link_asked", "link_defaults", "link_ignored"
_KEPT, _LAST = "link_kept", "link_last_defaults"


def begin() -> None:
    """Read the address once a session, and forget which choices the last run drew."""
    if _ASKED not in st.session_state:
        st.session_state[_ASKED] = {
            key: st.query_params[key] for key in st.query_params if not key.startswith("embed")
        }
        st.session_state[_IGNORED] = []
        st.session_state[_KEPT] = {}
        st.session_state[_LAST] = {}
    st.session_state[_DEFAULTS] = {}


def end() -> None:
    """Write the choices that differ from their defaults into the address."""
    defaults = st.session_state[_DEFAULTS]
    # Streamlit forgets a widget that a page does not draw; the choice outlives it here.
    st.session_state[_KEPT] |= {key: st.session_state[key] for key in defaults}
    st.session_state[_LAST] |= defaults
    chosen = {
        key: str(value)
        for key, value in st.session_state[_KEPT].items()
        if value != st.session_state[_LAST][key]
    }
    kept = {key: st.query_params[key] for key in st.query_params if key.startswith("embed")}
    # A choice asked for by the link whose widget has not been drawn yet (it stands on another
    # page, or beneath a result that is still being made) is still to come: it stays.
    if {**st.session_state[_ASKED], **chosen, **kept} != dict(st.query_params):
        st.query_params.from_dict({**st.session_state[_ASKED], **chosen, **kept})


def ignored() -> tuple[str, ...]:
    """Return a sentence for each choice of the link that could not be used."""
    return tuple(st.session_state[_IGNORED])


def pick(label: str, options: Iterable[str], default: str, *, key: str, **how: Any) -> str:
    """Draw a selectbox whose choice lives in the address under ``key``; return it."""
    options = list(options)
    if default not in options:
        default = options[0]
    _restore(key, default, lambda asked: asked if asked in options else None)
    if st.session_state[key] not in options:
        st.session_state[key] = default
    st.selectbox(label, options, key=key, **how)
    # The browser alone keeps to the list of options.
    return st.session_state[key] if st.session_state[key] in options else default


def number(
    label: str,
    default: float,
    *,
    key: str,
    low: float,
    high: float,
    whole: bool = False,
    **how: Any,
) -> float:
    """Draw a number field whose value lives in the address under ``key``; return it."""
    kind: Callable[[Any], float] = int if whole else float

    def parse(asked: str) -> float | None:
        try:
            value = kind(asked)
        except ValueError:
            return None
        return value if math.isfinite(value) and low <= value <= high else None

    _restore(key, kind(default), parse)
    st.number_input(label, kind(low), kind(high), key=key, **how)
    value = st.session_state[key]
    return kind(value) if value is not None and low <= value <= high else kind(default)


def _restore(key: str, default: Any, parse: Callable[[str], Any | None]) -> None:
    st.session_state[_DEFAULTS][key] = default
    asked = st.session_state[_ASKED].pop(key, None)
    kept = st.session_state[_KEPT].get(key)
    # What was left at its default follows the default; what somebody chose stays.
    follows = st.session_state.get(key, kept) == st.session_state[_LAST].get(key)
    if asked is not None:
        value = parse(asked)
        if value is None:
            st.session_state[_IGNORED].append(
                f"{key}={asked} cannot be used here; {default} is used instead"
            )
        st.session_state[key] = default if value is None else value
    elif follows:
        st.session_state[key] = default
    elif key not in st.session_state:
        st.session_state[key] = kept
