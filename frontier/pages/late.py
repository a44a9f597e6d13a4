"""What a browser sends before it has the newest drawing: it means what the person saw.

On a slow server a click may come after the page has changed beneath it. A button that applies what
was read has a key that hangs on it, so that one pressed late does what it said or nothing; an
option is understood by the words that it once had. Nothing here draws.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import streamlit as st
from streamlit.runtime.uploaded_file_manager import DeletedFile

from frontier.pages import mishap

_CALLED, _OFFERED = "late_called", "late_offered"
_MOST_CALLED = 1000


def files(key: str) -> list[Any]:
    """Return what stands in a field of files, before it is drawn.

    A page that finds its server again after its session was forgotten still names the files that
    it sent to that one. The field itself leaves them out; the state of the session does not.
    """
    held = st.session_state.get(key)
    several = held if isinstance(held, list) else [held]
    return [one for one in several if one is not None and not isinstance(one, DeletedFile)]


def named(key: str, *applied: object) -> str:
    """Return the key of a widget that applies just this: of other content it is another widget.

    Parameters
    ----------
    applied : object
        What tells one content from another by its ``repr``: a frozen row, a digest, a name.
    """
    return f"{key}_{hashlib.blake2b(repr(applied).encode(), digest_size=8).hexdigest()}"


def applies(key: str, does: Callable[[Any], object], what: object, *content: object) -> Any:
    """Return key and callback of a button that applies this, and not what took its place since.

    The framework keeps what each key ever called: it is given no more than names, and the newest
    content is held here.

    Parameters
    ----------
    does : callable
        Takes ``what``.
    content : object
        See `named`; ``what`` itself if there is none.
    """
    name = named(key, *(content or (what,)))
    st.session_state.setdefault(_OFFERED, {})[key] = name, what
    return {"key": name, "on_click": mishap.safe(_apply), "args": (key, name, does)}


def _apply(key: str, name: str, does: Callable[[Any], object]) -> None:
    newest, what = st.session_state[_OFFERED].get(key, ("", None))
    if newest == name:
        does(what)


def called(
    key: str, options: Iterable[str], words: Callable[[str], str], *, is_lasting: bool = True
) -> Mapping[str, str]:
    """Return what each option of a list is called on the screen: no two alike; see `meant`.

    Parameters
    ----------
    is_lasting : bool
        Whether an option with other words is the same thing still. If not, as for the third month
        of any year, what is sent by older words is no option any more.
    """
    labels = {option: words(option) for option in options}
    often = Counter(labels.values())
    labels = {
        option: label if often[label] == 1 else f"{label} · {option}"
        for option, label in labels.items()
    }
    past = st.session_state.setdefault(_CALLED, {}).setdefault(key, {})
    for option, label in labels.items():
        past.pop(label, None)
        past[label] = option if is_lasting else None
    for label in list(past)[: -max(_MOST_CALLED, len(labels))]:
        del past[label]
    return labels


def meant(key: str, sent: str) -> str:
    """Return the option that a list under this key once called so; what was sent if none.

    A browser sends the words of an option. It may have them from an older drawing of the list,
    of before a price or a result changed them.
    """
    past = _past(key)
    return sent if sent in past.values() else past.get(sent) or sent


def is_old(key: str, sent: str) -> bool:
    """Whether this is no option but the words that one had in an older drawing of the list."""
    past = _past(key)
    return sent in past and past[sent] != sent and sent not in past.values()


def understand(key: str) -> None:
    """Put options in place of the words that a browser sent, before their list is drawn."""
    sent = st.session_state.get(key)
    if isinstance(sent, str):
        understood: str | list[str] = meant(key, sent)
    elif isinstance(sent, list):
        understood = [meant(key, one) for one in sent]
    else:
        return
    if understood != sent:
        st.session_state[key] = understood


def _past(key: str) -> Mapping[str, str | None]:
    """Return what each words of a list meant; None where they mean nothing any more."""
    found: Mapping[str, str | None] = st.session_state.get(_CALLED, {}).get(key, {})
    return found
