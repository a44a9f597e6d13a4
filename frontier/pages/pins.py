"""A pinned scenario, A, to hold the present one, B, against: kept in the session and in the link.

The link holds A's own choices under one parameter, as an address would. The bar makes choices by
being drawn, so to open such a link it is drawn once with A's choices, then with B's: both sides
come about in the same way, and what cannot be used of either is said.

What A was made with and no link holds (an uploaded trace, own offers, changed cells) is named by
the marks of `made_with` in A's choices, and missed in words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

import streamlit as st

from frontier import spell
from frontier.errors import FrontierError
from frontier.pages import link, made_with, session
from frontier.tables import Tables

if TYPE_CHECKING:
    from frontier.pages.controls import Choices, NoTraffic

KEY = "a"
_PIN, _KEPT, _MAKING, _BACK = "pinned", "pinned_before", "pinned_making", "pinned_back"
_TRIED, _AGAIN, _WISHED = "pinned_tried", "pinned_anew", "pinned_wished"
_SWAP = "swap"
_DEFAULTS_ONLY = "0"
_MOST_CHARACTERS, _MOST_CHOICES, _MOST_KEPT, _SHOWN = 8000, 200, 4, 40


@dataclass(frozen=True, slots=True, eq=False)
class Pin:
    """A pinned scenario.

    Attributes
    ----------
    text : str
        As the link holds it.
    choices : Choices or None
        What the bar made of it; None where that failed, and ``problem`` says why.
    tables : Tables
        Prices and rules in force for it.
    brought : mapping
        `session.brought` at that time.
    problem : str
        Why it cannot be compared, as a sentence; empty where it can.
    said : tuple of str
        What of it could not be used or is not here, as sentences.
    waits_for : Mark or None
        The uploaded trace that it was made with and that is not here.
    is_private : bool
        Whether results of it stay in the session.
    """

    text: str
    choices: Choices | None
    tables: Tables
    brought: Mapping[str, Any]
    problem: str = ""
    said: tuple[str, ...] = ()
    waits_for: made_with.Mark | None = None
    is_private: bool = True


def current() -> Pin | None:
    """Return the pinned scenario, if there is one."""
    found: Pin | None = st.session_state.get(_PIN)
    return found


def begin() -> None:
    """Take the pin out of the link; to be called after `link.begin`, before the bar is drawn."""
    state = st.session_state
    text, is_anew = link.take(KEY), link.asked_anew()
    if _BACK in state:
        choices, brought, said = state.pop(_BACK)
        if not is_anew:
            session.go_to(choices)
            session.bring_back(brought)
            link.asked_anew()
            for sentence in said:
                link.ignore(sentence)
            return
    if _MAKING in state:
        if not is_anew:
            return  # the bar asked to be drawn again
        del state[_MAKING]
    pin = current()
    if state.pop(_AGAIN, False) and pin is not None and not is_anew:
        back_to = link.of_last_run()
        back_to.pop(KEY, None)
        _make(pin.text, back_to)
        return
    if text is None:
        if is_anew:
            state.pop(_PIN, None)
        return
    if pin is not None and pin.text == text:
        return
    kept = state.setdefault(_KEPT, {}).get(text)
    if kept is not None:
        state[_PIN] = kept
        return
    _make(text, link.choices())


def _make(text: str, back_to: Mapping[str, str]) -> None:
    """Let the bar be drawn with the choices of a pin, once, and then with those to go back to."""
    asked = decoded(text)
    if asked is None:
        link.ignore(f"{KEY}={text[:_SHOWN]}… is no pin that this version writes")
        return
    state = st.session_state
    state[_MAKING] = (text, back_to, session.brought(), link.ignored())
    own_prices = {key: value for key, value in session.brought().items() if key == session.UPLOAD}
    session.go_to(asked)
    session.bring_back(own_prices)
    link.asked_anew()


def drawn(draw: Callable[[], Choices | NoTraffic]) -> Choices | NoTraffic:
    """Draw the bar; where it was drawn for a pin, keep what it made and draw it for the rest."""
    is_making = _MAKING in st.session_state
    try:
        choices = draw()
    except FrontierError as error:
        st.session_state.pop(_WISHED, None)
        if is_making:
            _made(None, str(error))
        raise
    if is_making:
        trace = getattr(choices, "trace", None)
        problem = (
            ""
            if trace is not None
            else getattr(choices, "problem", None) or "it names an upload that is not here"
        )
        _made(None if trace is None else choices, problem)  # type: ignore[arg-type]
    elif (wished := st.session_state.pop(_WISHED, None)) is not None:
        _take(wished, choices)
    pin = current()
    if pin is not None and pin.waits_for is not None:
        is_here = made_with.here(made_with.TRACE) == pin.waits_for
        if is_here and st.session_state.get(_TRIED) != pin.text:
            st.session_state[_TRIED] = pin.text
            st.session_state[_AGAIN] = True
            _draw_anew()
    return choices


def _made(choices: Choices | None, problem: str) -> None:
    """Keep what the bar made of a pin, and go back to the present scenario."""
    state = st.session_state
    asked, back_to, brought, ignored = state.pop(_MAKING)
    # As this version writes it: what could not be used is not in it.
    text = asked if choices is None else encoded(_of_scenario())
    said = tuple(f"in pin A, {sentence}" for sentence in link.ignored())
    missed = made_with.missed(made_with.TRACE)
    others = tuple(
        kind
        for kind in (made_with.OFFERS, made_with.CHANGES, made_with.TIMINGS)
        if made_with.missed(kind) is not None
    )
    if missed is not None:
        problem = (
            f"Your pin A was made with a trace of {spell.count(missed.count, 'request')} "
            f"(fingerprint {missed.fingerprint}) that is not here: upload it in the first chip "
            "above."
        )
    elif problem:
        problem = f"Your pin A cannot be compared: {problem}"
    if others:
        said += (f"pin A was made with {' and '.join(others)} of its own that are not here",)
    made = Pin(
        text=text,
        choices=choices,
        tables=session.tables(),
        brought=session.brought(),
        problem=problem,
        said=said,
        waits_for=missed,
        is_private=choices is None or choices.is_private,
    )
    keep(made)
    if missed is None:
        state[_KEPT][asked] = made
    state[_BACK] = (back_to, brought, (*ignored, *said))
    _draw_anew()


def _draw_anew() -> None:
    link.keep()
    st.rerun()


def keep(pin: Pin) -> None:
    """Pin this, and remember it for the browser's back button."""
    kept = st.session_state.setdefault(_KEPT, {})
    if pin.waits_for is None:
        kept[pin.text] = pin
        for text in list(kept)[:-_MOST_KEPT]:
            del kept[text]
    st.session_state[_PIN] = pin


def pin() -> None:
    """Pin the present scenario as A; from a callback."""
    st.session_state[_WISHED] = _PIN


def unpin() -> None:
    """Forget the pin; from a callback."""
    st.session_state.pop(_PIN, None)


def swap() -> None:
    """Make A the present scenario and pin the present one; from a callback."""
    st.session_state[_WISHED] = _SWAP


def _take(wished: str, choices: Any) -> None:
    """Do what a button asked for, with all that was chosen before it was pressed.

    A callback may come together with a choice that the bar has not been drawn for: its scenario
    would be the old one under a new name.
    """
    new, old = _present(choices), current()
    if new is None:
        st.toast("There is no traffic yet, so nothing to pin.")
        return
    asked = None if old is None else decoded(old.text)
    if wished == _SWAP:
        if old is None or asked is None:
            return
        view = {key: text for key, text in link.choices().items() if key not in link.of_scenario()}
        st.session_state[_BACK] = ({**view, **asked}, old.brought, ())
    keep(new)
    _draw_anew()


def _present(choices: Any) -> Pin | None:
    if getattr(choices, "trace", None) is None:
        return None
    return Pin(
        text=encoded(_of_scenario()),
        choices=choices,
        tables=session.tables(),
        brought=session.brought(),
        is_private=choices.is_private,
    )


def _of_scenario() -> dict[str, str]:
    return {key: text for key, text in link.of_scenario().items() if key != KEY}


def carry() -> None:
    """Let the pin travel in the link, if there is room for it."""
    if (found := current()) is not None and not is_too_long(found):
        link.carry({KEY: found.text})


def is_too_long(found: Pin) -> bool:
    """Whether the link has no room for a pin."""
    room = found.tables.setting("link_most_characters") - made_with.LONGEST
    return len(urlencode({KEY: found.text})) > room / 2


def encoded(choices: Mapping[str, str]) -> str:
    """Return choices as one parameter of a link: what differs from the defaults alone."""
    return urlencode(choices) or _DEFAULTS_ONLY


def decoded(text: str) -> dict[str, str] | None:
    """Return the choices of such a parameter; None if it is not what `encoded` writes."""
    if text == _DEFAULTS_ONLY:
        return {}
    if not 0 < len(text) <= _MOST_CHARACTERS:
        return None
    try:
        pairs = parse_qsl(
            text, keep_blank_values=True, strict_parsing=True, max_num_fields=_MOST_CHOICES
        )
    except ValueError:
        return None
    found = dict(pairs)
    if len(found) != len(pairs) or KEY in found or not all(found):
        return None
    return found
