"""The address bar holds every choice: a link opens the same view again.

Streamlit can bind a widget to the URL, but it writes the option as it is displayed, with prices
and words that change. Here the URL holds ids. A choice that cannot be used is counted and shown,
never dropped silently.

The browser keeps an entry of its history for every address written here, so its back button steps
through choices and pages; `begin` takes up the address it comes back to.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, ParamSpec
from urllib.parse import urlencode

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from frontier.answers import ANSWERS
from frontier.pages import late, link_names, mishap, server, text
from frontier.tables import MitigationNumber, Setting, load_tables

if TYPE_CHECKING:
    from streamlit.elements.lib.mutable_tab_container import TabContainer
    from streamlit.navigation.page import StreamlitPage

P = ParamSpec("P")

_SEPARATOR = ","
_ASKED, _DEFAULTS, _IGNORED = "link_asked", "link_defaults", "link_ignored"
_KEPT, _LAST, _CARRIED = "link_kept", "link_last_defaults", "link_carried"
_CHIP, _CHIPS = "link_chip", "link_chips"
_WRITTEN, _PAST, _STEPPED = "link_written", "link_past", "link_stepped"
_DRAWN, _SAID = "link_drawn", "link_said"
_TURN, _ANEW = "link_turn", "link_asked_anew"
_CARRIED_BEFORE = "link_carried_before"
_MOST_STEPS = 50
# Beyond it a browser's numbers are not exact, and Streamlit draws none.
_MOST_IN_BROWSER = 2.0**53 - 1

WHAT_IF = "what-if"
"""The path of the page of next questions, to which buttons of other pages lead."""


def begin() -> Mapping[str, str] | None:
    """Read the address of a new session, and forget which choices the last run drew.

    To be called before the page list is drawn.

    Returns
    -------
    mapping of str to str or None
        The choices to make now, with `ask`: those of the address that the browser's back or
        forward button came to. None if the session goes on where it was.
    """
    state = st.session_state
    asked = _address()
    if _ASKED not in state:
        # What no page knows leaves the address with the first run, and is no step to undo.
        longest = load_tables().settings["link_most_characters"].bounds[1]
        asked, said = link_names.usable(asked, most=longest)
        state[_ASKED] = dict(asked)
        state[_IGNORED] = said
        state[_SAID] = 0
        state[_KEPT] = {}
        state[_LAST] = {}
        state[_CHIPS] = {}
        state[_PAST] = []
        state[_WRITTEN] = asked
    state[_DEFAULTS] = {}
    state[_CARRIED_BEFORE] = state.get(_CARRIED, {})
    state[_CARRIED] = {}
    state[_CHIP] = None
    state[_DRAWN] = set()
    context = get_script_run_ctx()
    if asked == state[_WRITTEN]:
        return None
    if context is None or not context.is_history_navigation:
        # A link to another page is bare. Written before the browser goes there, the choices are
        # in its one entry of the history; written afterwards they would be a second one.
        _write(state[_WRITTEN])
        return None
    # One step back takes the last choice away; a step forward is one more choice.
    if state[_PAST] and state[_PAST][-1] == asked:
        state[_PAST].pop()
    else:
        _remember(state[_WRITTEN])
    state[_WRITTEN] = asked
    return asked


def end() -> None:
    """Write the choices that differ from their defaults into the address."""
    keep()
    state = st.session_state
    parameters = choices()
    if parameters != state[_WRITTEN]:
        # What a link could not have is said until the next choice.
        del state[_IGNORED][: state[_SAID]]
        if _STEPPED not in state:
            _remember(state[_WRITTEN])
    state.pop(_STEPPED, None)
    state[_SAID] = len(state[_IGNORED])
    state[_WRITTEN] = parameters
    if parameters != _address():
        _write(parameters)


def _write(parameters: Mapping[str, str]) -> None:
    embedded = {key: st.query_params[key] for key in st.query_params if _is_embedding(key)}
    st.query_params.from_dict({**parameters, **embedded})


def keep() -> None:
    """Remember what this run drew: Streamlit forgets a widget that the next one does not draw."""
    state = st.session_state
    defaults = state[_DEFAULTS]
    state[_KEPT] |= {key: state[key] for key in defaults}
    state[_LAST] |= defaults


def _address() -> dict[str, str]:
    return {key: st.query_params[key] for key in st.query_params if not _is_embedding(key)}


def _is_embedding(key: str) -> bool:
    return key.startswith("embed")


def _remember(parameters: Mapping[str, str]) -> None:
    past = st.session_state[_PAST]
    past.append(dict(parameters))
    del past[:-_MOST_STEPS]


def step_back() -> Mapping[str, str] | None:
    """Return the choices before the last one, to be made with `ask`; None if there were none."""
    state = st.session_state
    before: Mapping[str, str]
    if choices() != state[_WRITTEN]:
        # The run that would have written the last choice did not come to its end.
        before = state[_WRITTEN]
    elif state[_PAST]:
        before = state[_PAST].pop()
        state[_STEPPED] = True
    else:
        return None
    return before


@contextmanager
def chip(name: str) -> Iterator[None]:
    """Count the choices drawn within to this chip of the scenario bar."""
    before, st.session_state[_CHIP] = st.session_state[_CHIP], name
    try:
        yield
    finally:
        st.session_state[_CHIP] = before


def changed(name: str | None = None) -> tuple[str, ...]:
    """Return the keys whose choice differs from its default: of a chip, or of all chips."""
    state = st.session_state
    defaults = {**state[_LAST], **state[_DEFAULTS]}
    return tuple(
        key
        for key, of_chip in state[_CHIPS].items()
        if name in (None, of_chip)
        and key in defaults
        and state.get(key, state[_KEPT].get(key)) != defaults[key]
    )


def choose(**wanted: Any) -> None:
    """Make these choices, by key; from a callback. Keys are those of the address."""
    st.session_state[_ASKED] |= {key: _text(value) for key, value in wanted.items()}


def turn_to(path: str, key: str, value: str, default: str) -> None:
    """Go to another page and make a choice there, one step back for both; from a callback."""
    # The run that would have kept its choices may not have come to its end.
    keep()
    state = st.session_state
    if value == default:
        # A default is in no address, whether or not its widget was ever drawn.
        state[_ASKED].pop(key, None)
        state[_KEPT][key] = state[_LAST][key] = state[key] = default
    else:
        choose(**{key: value})
    state[_TURN] = path


def go_to(path: str) -> None:
    """Go to another page as it stands; from a callback."""
    keep()
    st.session_state[_TURN] = path


def turn(pages: Mapping[str, StreamlitPage]) -> None:
    """Go to the page that a callback asked for, if one did; before anything is drawn.

    Parameters
    ----------
    pages : mapping of str to StreamlitPage
        By the path of each.
    """
    state = st.session_state
    path = state.pop(_TURN, None)
    if path is None:
        return
    parameters = of_last_run()
    if parameters != state[_WRITTEN]:
        _remember(state[_WRITTEN])
        state[_WRITTEN] = parameters
    st.switch_page(pages[path], query_params=parameters)


def reset(keys: Iterable[str]) -> None:
    """Go back to the defaults of these choices; from a callback."""
    state = st.session_state
    for key in keys:
        state[key] = state[_LAST][key]


def choices() -> dict[str, str]:
    """Return every choice that differs from its default, as the address holds it."""
    defaults = {**st.session_state[_LAST], **st.session_state[_DEFAULTS]}
    state = st.session_state
    values = {key: state.get(key, kept) for key, kept in state[_KEPT].items()}
    values |= {key: state[key] for key in state[_DEFAULTS]}
    chosen = {key: _text(value) for key, value in values.items() if value != defaults[key]}
    # A choice asked for by the link whose widget has not been drawn yet (it stands on another
    # page, or beneath a result that is still being made) is still to come: it stays.
    return {**st.session_state[_ASKED], **chosen, **st.session_state[_CARRIED]}


def of_last_run() -> dict[str, str]:
    """Return `choices` before this run has drawn anything: with what the last one carried."""
    return {**st.session_state[_CARRIED_BEFORE], **choices()}


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
    st.session_state[_ASKED], st.session_state[_IGNORED] = link_names.usable(wanted)
    st.session_state[_SAID] = 0
    st.session_state[_ANEW] = True


def asked_anew() -> bool:
    """Whether `ask` was called since this was looked at last."""
    return bool(st.session_state.pop(_ANEW, False))


def take(key: str) -> str | None:
    """Take one parameter out of the link, for a choice that has no widget; None if it is absent."""
    asked: str | None = st.session_state[_ASKED].pop(key, None)
    return asked


def of_scenario() -> dict[str, str]:
    """Return those of `choices` that the scenario hangs on: of the bar, and carried without it.

    To be called after the bar was drawn, so from a callback too.
    """
    chips, carried = st.session_state[_CHIPS], st.session_state[_CARRIED]
    return {key: text for key, text in choices().items() if key in chips or key in carried}


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


def picked(
    options: Iterable[str],
    default: str,
    *,
    key: str,
    nearest: Callable[[str], str | None] | None = None,
) -> str:
    """Return the choice that `pick` is about to show, before it is drawn.

    Parameters
    ----------
    nearest : callable, optional
        What takes the place of a choice that is no option any more; the default where it returns
        None.
    """
    options = list(options)
    if default not in options:
        default = options[0]
    sent = st.session_state.get(key)
    _restore(key, default, lambda asked: asked if asked in options else None)
    if st.session_state[key] not in options:
        near = None if nearest is None else nearest(st.session_state[key])
        _put(key, near if near in options else default)
        if isinstance(sent, str):
            _say_gone(key, [sent])
    return str(st.session_state[key])


def _say_gone(key: str, sent: Iterable[str]) -> None:
    """Say what was chosen from an older drawing of a list and is not in it any more."""
    gone = ", ".join(f"“{one}”" for one in sent if late.is_old(key, one))
    if gone:
        st.toast(text.plain(f"{gone}: no longer in the list when you chose it. Choose again."))


def pick(
    label: str,
    options: Iterable[str],
    default: str,
    *,
    key: str,
    format_func: Callable[[str], str] = str,
    is_lasting: bool = True,
    **how: Any,
) -> str:
    """Draw a selectbox whose choice lives in the address under ``key``; return it.

    Parameters
    ----------
    is_lasting : bool
        See `late.called`.
    """
    options = list(options)
    shown = picked(options, default, key=key)
    labels = late.called(key, options, format_func, is_lasting=is_lasting)
    st.selectbox(label, options, key=key, format_func=labels.__getitem__, **how)
    st.session_state[_DRAWN].add(key)
    # The browser alone keeps to the list of options.
    return st.session_state[key] if st.session_state[key] in options else shown


def segments(label: str, labels: Mapping[str, str], default: str, *, key: str, **how: Any) -> str:
    """Draw a segmented control whose choice lives in the address under ``key``; return it."""
    shown = picked(labels, default, key=key)
    st.segmented_control(
        label, list(labels), key=key, format_func=labels.__getitem__, required=True, **how
    )
    st.session_state[_DRAWN].add(key)
    return st.session_state[key] if st.session_state[key] in labels else shown


def tabs(names: Sequence[str], *, key: str) -> Sequence[TabContainer]:
    """Draw tabs of which the open one lives in the address under ``key``; return them.

    What is in one is to be drawn only where its ``open`` is true.
    """
    picked(names, names[0], key=key)
    drawn = st.tabs(names, key=key, on_change="rerun")
    st.session_state[_DRAWN].add(key)
    return drawn


def part(draw: Callable[P, None]) -> Callable[P, None]:
    """Let what a function draws be drawn anew alone when one of its own choices changes.

    What it raises is said in its place.
    """

    @st.fragment
    @functools.wraps(draw)
    def alone(*args: P.args, **kwargs: P.kwargs) -> None:
        context = get_script_run_ctx()
        is_alone = context is not None and bool(context.fragment_ids_this_run)
        if is_alone:
            st.session_state[_DRAWN] = set()
        place = ANSWERS.answer(server.yield_check()) if is_alone else nullcontext()
        with mishap.boundary(draw.__name__), place:
            if is_alone:
                mishap.say_of_callback()
            draw(*args, **kwargs)
            if is_alone:
                end()

    return alone


def many(
    label: str,
    options: Iterable[str],
    *,
    key: str,
    default: Iterable[str] = (),
    format_func: Callable[[str], str] = str,
    **how: Any,
) -> list[str]:
    """Draw a multiselect whose choices live in the address under ``key``; return them."""
    options = list(options)
    most = how.get("max_selections") or len(options)

    def parse(asked: str) -> list[str] | None:
        chosen = list(dict.fromkeys(part for part in asked.split(_SEPARATOR) if part))
        return chosen if set(chosen) <= set(options) and len(chosen) <= most else None

    sent = st.session_state.get(key) or []
    _restore(key, [value for value in default if value in options], parse)
    chosen = [value for value in st.session_state[key] if value in options]
    _say_gone(key, [one for one in sent if late.meant(key, one) not in options])
    _put(key, chosen[:most])
    labels = late.called(key, options, format_func)
    st.multiselect(label, options, key=key, format_func=labels.__getitem__, **how)
    st.session_state[_DRAWN].add(key)
    return [value for value in st.session_state[key] if value in options][:most]


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
    shown = _settled(default, key, low, high, whole)
    kind: Callable[[Any], float] = int if whole else float
    st.number_input(label, kind(low), kind(high), key=key, **how)
    st.session_state[_DRAWN].add(key)
    value = st.session_state[key]
    return shown if value is None else _within(value, shown, low, high)


def _settled(default: float, key: str, low: float, high: float, whole: bool) -> float:
    kind: Callable[[Any], float] = int if whole else float

    def parse(asked: str) -> float | None:
        try:
            value = kind(asked)
        except ValueError:
            return None
        # Whole numbers may have any length here: they are compared, never made a float.
        return value if low <= value <= high else None

    _restore(key, kind(default), parse)
    value = st.session_state[key]
    return kind(default) if value is None else kind(_within(value, default, low, high))


def _within(value: float, default: float, low: float, high: float) -> float:
    """Return the value, or the default for what a browser should not have sent."""
    return value if low <= value <= high else default


def settled(
    row: Setting | MitigationNumber,
    *,
    key: str,
    default: float | None = None,
    scale: float = 1,
    whole: bool = False,
) -> float:
    """Return the value that `setting` is about to show, before it is drawn."""
    low, high = row.bounds
    value = row.value if default is None else default
    return _settled(value * scale, key, low * scale, high * scale, whole) / scale


def unbounded(label: str, default: float, *, key: str, **how: Any) -> float:
    """Draw a number field that takes any number, for a caller who refuses some in words.

    Bounds of a field are met silently where its value does not come from a browser.
    """

    def parse(asked: str) -> float | None:
        try:
            value = float(asked)
        except ValueError:
            return None
        return value if abs(value) <= _MOST_IN_BROWSER else None

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
    flagged(key=key, default=default)
    st.toggle(label, key=key, **how)
    st.session_state[_DRAWN].add(key)
    return bool(st.session_state[key])


def flagged(*, key: str, default: bool = False) -> bool:
    """Return the state that `flag` is about to show, before it is drawn."""
    _restore(key, default, lambda asked: {"1": True, "0": False}.get(asked))
    return bool(st.session_state[key])


def line(label: str, default: str, *, key: str, accepts: Callable[[str], bool], **how: Any) -> str:
    """Draw a text field whose value lives in the address under ``key``; return it.

    What is not accepted counts as the default.
    """
    _restore(key, default, lambda asked: asked if accepts(asked) else None)
    st.text_input(label, key=key, **how)
    st.session_state[_DRAWN].add(key)
    return st.session_state[key] if accepts(st.session_state[key]) else default


def day(label: str, default: dt.date | None, *, key: str, **how: Any) -> dt.date | None:
    """Draw a date field whose value lives in the address under ``key``; return it."""

    def parse(asked: str) -> dt.date | None:
        try:
            return dt.date.fromisoformat(asked)
        except ValueError:
            return None

    _restore(key, default, parse)
    st.date_input(label, None, key=key, **how)
    st.session_state[_DRAWN].add(key)
    return st.session_state[key] or default


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(int(value))
    return _SEPARATOR.join(value) if isinstance(value, list) else str(value)


def _in_words(value: Any) -> str:
    """Return a choice as a sentence says it: 730, where the address has 730.0."""
    return f"{value:,.10g}" if isinstance(value, float) else _text(value)


def _restore(key: str, default: Any, parse: Callable[[str], Any | None]) -> None:
    st.session_state[_DEFAULTS][key] = default
    if st.session_state[_CHIP] is not None:
        st.session_state[_CHIPS][key] = st.session_state[_CHIP]
    asked = st.session_state[_ASKED].pop(key, None)
    kept = st.session_state[_KEPT].get(key)
    if key not in st.session_state[_DRAWN]:
        late.understand(key)
    # What was left at its default follows the default; what somebody chose stays.
    follows = st.session_state.get(key, kept) == st.session_state[_LAST].get(key)
    if asked is not None:
        value = parse(asked)
        if value is None:
            st.session_state[_IGNORED].append(
                f"{key}={link_names.shown(asked)} cannot be used here; "
                f"{_in_words(default) or 'nothing'} is used instead"
            )
        _put(key, default if value is None else value)
    elif follows:
        _put(key, default)
    else:
        _put(key, st.session_state.get(key, kept))


def _put(key: str, value: Any) -> None:
    """Set a choice before its widget is drawn.

    One that is so already is set all the same: a widget that another page drew under its key has
    left its value behind, and the browser would begin with the first option.
    """
    if key not in st.session_state[_DRAWN]:
        st.session_state[key] = value
