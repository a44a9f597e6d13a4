"""What a view was made with and its link does not hold: counted, named by a fingerprint, missed.

A trace never travels, own offers only in a scenario file. The link says of each how much there was
and the first digits of a digest over its content. Who opens the link without them is told so, in
red, until they are here or the person goes on without.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st

from frontier import spell
from frontier.pages import link

TRACE, OFFERS, CHANGES, TIMINGS = "trace", "offers", "changes", "timings"
_KEY = "made_with"
_WANTED, _HERE = "made_with_wanted", "made_with_here"
_BETWEEN, _DOT = "_", "."
_DIGITS = 8
_SHAPE = re.compile(
    rf"({TRACE}|{OFFERS}|{CHANGES}|{TIMINGS})\.(\d{{1,9}})\.([0-9a-f]{{{_DIGITS}}})"
)
LONGEST = len(f"&{_KEY}=") + sum(
    len(f"{kind}.999999999.{'0' * _DIGITS}_") for kind in (TRACE, OFFERS, CHANGES, TIMINGS)
)
"""The most characters that the marks take in an address."""

_WHAT = {
    TRACE: ("a trace of {}", "request", "upload it in the first chip above", "the example"),
    OFFERS: (
        "{} of its own",
        "offer",
        "open the scenario file, or upload the price list, on Data and sources",
        "the list as it ships",
    ),
    CHANGES: (
        "{}",
        "changed cell",
        "open the scenario file on Data and sources",
        "every number as it ships",
    ),
    TIMINGS: (
        "measured starts ({})",
        "stage",
        "open the scenario file on Data and sources, or paste the log on Cold start",
        "the model’s start",
    ),
}


@dataclass(frozen=True, slots=True)
class Mark:
    """How much of something there is, and the first digits of the digest of its content."""

    count: int
    fingerprint: str


def mark(count: int, content: str) -> Mark:
    """Return the mark of a content: that of a trace is of its own digest."""
    return Mark(count, hashlib.sha256(content.encode()).hexdigest()[:_DIGITS])


def begin() -> None:
    """Take out of the link what it was made with, and forget what the last run had here."""
    asked = link.taken(_KEY).get(_KEY)
    st.session_state.setdefault(_WANTED, {})
    st.session_state[_HERE] = {}
    if asked is None:
        return
    wanted = {}
    for part in asked.split(_BETWEEN):
        found = _SHAPE.fullmatch(part)
        if found is None:
            link.ignore(f"{_KEY}={asked} is not what this version writes; it is left out")
            return
        wanted[found[1]] = Mark(int(found[2]), found[3])
    st.session_state[_WANTED] = wanted


def forget() -> None:
    """Go on without what the link was made with; from a callback."""
    st.session_state[_WANTED] = {}


def wants(kind: str) -> bool:
    """Whether the link was made with something of this kind."""
    return kind in _wanted()


def missed(kind: str) -> Mark | None:
    """Return the mark of what the link was made with and is not here; None if it is."""
    wanted = _wanted().get(kind)
    return wanted if wanted != _here().get(kind) else None


def here(kind: str) -> Mark | None:
    """Return the mark of what is here and is not in the link."""
    return _here().get(kind)


def holds(choices: Mapping[str, str], kind: str) -> bool:
    """Whether these choices, as an address holds them, name something of this kind."""
    return any(part.startswith(kind) for part in choices.get(_KEY, "").split(_BETWEEN))


def have(kind: str, found: Mark) -> None:
    """Say that this is here, and is not in the link."""
    st.session_state[_HERE][kind] = found


def drop(kind: str) -> None:
    """Miss this no longer: the person chose something else in its place."""
    _wanted().pop(kind, None)


def carry() -> None:
    """Let the marks of what is here, or is missed, travel in the link."""
    marks = {**_wanted(), **_here()}
    if marks:
        parts = (f"{kind}{_DOT}{one.count}{_DOT}{one.fingerprint}" for kind, one in marks.items())
        link.carry({_KEY: _BETWEEN.join(parts)})


def missing() -> tuple[str, ...]:
    """Return a sentence for each thing that the link was made with and that is not here."""
    sentences = []
    for kind, wanted in _wanted().items():
        words, noun, remedy, instead = _WHAT[kind]
        here = _here().get(kind)
        if here == wanted:
            continue
        made = f"This link was made with {_in_words(words, noun, wanted)}"
        if here is None:
            verb = "is" if kind == TRACE or wanted.count == 1 else "are"
            sentences.append(f"{made} that {verb} not here: {remedy}; what you see is {instead}.")
        else:
            sentences.append(
                f"{made}; what is here is another, {_in_words(words, noun, here)}, or was read "
                f"with other answers."
            )
    return tuple(sentences)


def left_out() -> tuple[str, ...]:
    """Return, in words, each thing that is here and that the link does not hold."""
    return tuple(_in_words(_WHAT[kind][0], _WHAT[kind][1], one) for kind, one in _here().items())


def _in_words(words: str, noun: str, one: Mark) -> str:
    return f"{words.format(spell.count(one.count, noun))} (fingerprint {one.fingerprint})"


def _wanted() -> dict[str, Mark]:
    found: dict[str, Mark] = st.session_state.get(_WANTED, {})
    return found


def _here() -> Mapping[str, Mark]:
    found: Mapping[str, Mark] = st.session_state.get(_HERE, {})
    return found
