"""The address bar holds every choice: a link opens the same view again.

Streamlit can bind a widget to the URL, but it writes the option as it is displayed, with prices
and words that change. Here the URL holds ids. A choice that cannot be used is counted and shown,
never dropped silently.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from frontier.tables import MitigationNumber, Setting

_SEPARATOR = ","
_ASKED, _DEFAULTS, _IGNORED = "link_asked", "link_defaults", "link_ignored"
_KEPT, _LAST, _CARRIED = "link_kept", "link_last_defaults", "link_carried"


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
    st.session_state[_CARRIED] = {}


def end() -> None:
    """Write the choices that differ from their defaults into the address."""
    defaults = st.session_state[_DEFAULTS]
    # Streamlit forgets a widget that a page does not draw; the choice outlives it here.
    st.session_state[_KEPT] |= {key: st.session_state[key] for key in defaults}
    st.session_state[_LAST] |= defaults
    parameters = choices()
    parameters |= {key: st.query_params[key] for key in st.query_params if key.startswith("embed")}
    if parameters != dict(st.query_params):
        st.query_params.from_dict(parameters)


def choices() -> dict[str, str]:
    """Return every choice that differs from its default, as the address holds it."""
    defaults = {**st.session_state[_LAST], **st.session_state[_DEFAULTS]}
    values = dict(st.session_state[_KEPT])
    values |= {key: st.session_state[key] for key in st.session_state[_DEFAULTS]}
    chosen = {key: _text(value) for key, value in values.items() if value != defaults[key]}
    # A choice asked for by the link whose widget has not been drawn yet (it stands on another
    # page, or beneath a result that is still being made) is still to come: it stays.
    return {**st.session_state[_ASKED], **chosen, **st.session_state[_CARRIED]}


def address() -> str:
    """Return the link that opens this view again."""
    asked = choices()
    base = (st.context.url or "").partition("?")[0]
    return f"{base}?{urlencode(asked)}" if asked else base


def ask(wanted: Mapping[str, str]) -> None:
    """Make these choices, and no others, as if a link with them had been opened.

    To be called before any widget is drawn: from a callback.
    """
    st.session_state[_KEPT] = {}
    for key, default in st.session_state[_LAST].items():
        st.session_state[key] = default
    st.session_state[_ASKED] = dict(wanted)
    st.session_state[_IGNORED] = []


def taken(prefix: str) -> dict[str, str]:
    """Take out of the link what begins so, for a choice that has no widget of its own."""
    asked = st.session_state[_ASKED]
    return {key: asked.pop(key) for key in list(asked) if key.startswith(prefix)}


def carry(parameters: Mapping[str, str]) -> None:
    """Put parameters that have no widget into the address of this run."""
    st.session_state[_CARRIED] |= parameters


def ignore(sentence: str) -> None:
    """Say of a parameter of the link that it could not be used."""
    st.session_state[_IGNORED].append(sentence)


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


def many(
    label: str, options: Iterable[str], *, key: str, default: Iterable[str] = (), **how: Any
) -> list[str]:
    """Draw a multiselect whose choices live in the address under ``key``; return them."""
    options = list(options)

    def parse(asked: str) -> list[str] | None:
        chosen = [part for part in asked.split(_SEPARATOR) if part]
        return chosen if set(chosen) <= set(options) else None

    _restore(key, [value for value in default if value in options], parse)
    st.session_state[key] = [value for value in st.session_state[key] if value in options]
    st.multiselect(label, options, key=key, **how)
    return [value for value in st.session_state[key] if value in options]


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


def unbounded(label: str, default: float, *, key: str, **how: Any) -> float:
    """Draw a number field that takes any number, for a caller who refuses some in words.

    Bounds of a field are met silently where its value does not come from a browser.
    """

    def parse(asked: str) -> float | None:
        try:
            value = float(asked)
        except ValueError:
            return None
        return value if math.isfinite(value) else None

    _restore(key, float(default), parse)
    st.number_input(label, key=key, **how)
    value = st.session_state[key]
    return float(default) if value is None else float(value)


def setting(
    label: str,
    row: Setting | MitigationNumber,
    *,
    key: str,
    default: float | None = None,
    scale: float = 1,
    **how: Any,
) -> float:
    """Draw a number field whose default and range are those of a row of data/; return its value.

    Parameters
    ----------
    default : float, optional
        In place of the row's own.
    scale : float
        What is shown for one of the row's unit: 100 for per cent.
    """
    low, high = row.bounds
    value = row.value if default is None else default
    return number(label, value * scale, key=key, low=low * scale, high=high * scale, **how) / scale


def flag(label: str, *, key: str, default: bool = False, **how: Any) -> bool:
    """Draw a toggle whose state lives in the address under ``key``; return it."""
    _restore(key, default, lambda asked: {"1": True, "0": False}.get(asked))
    st.toggle(label, key=key, **how)
    return bool(st.session_state[key])


def line(label: str, default: str, *, key: str, accepts: Callable[[str], bool], **how: Any) -> str:
    """Draw a text field whose value lives in the address under ``key``; return it.

    What is not accepted counts as the default.
    """
    _restore(key, default, lambda asked: asked if accepts(asked) else None)
    st.text_input(label, key=key, **how)
    return st.session_state[key] if accepts(st.session_state[key]) else default


def day(label: str, default: dt.date, *, key: str, **how: Any) -> dt.date:
    """Draw a date field whose value lives in the address under ``key``; return it."""

    def parse(asked: str) -> dt.date | None:
        try:
            return dt.date.fromisoformat(asked)
        except ValueError:
            return None

    _restore(key, default, parse)
    st.date_input(label, key=key, **how)
    return st.session_state[key] or default


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(int(value))
    return _SEPARATOR.join(value) if isinstance(value, list) else str(value)


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
