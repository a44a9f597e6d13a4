"""Several traces in one scenario: more files in the bar, each with a name, added up.

The files are read by the bar's own reader, which also asks what it cannot know of each. What of the
answer is whose stands in `by_trace`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import streamlit as st

from frontier.errors import FrontierError
from frontier.pages import late, link, mishap, text
from frontier.pages.store import store
from frontier.scope import badge
from frontier.tables import Tables
from frontier.trace import Together, Trace, add_up
from frontier.trace.together import ALIGN_WORDS, SPANS_WORDS

_FIELD, _KEPT = "more_traces", "more_traces_kept"
_FOUND = "found"


@dataclass(frozen=True, slots=True)
class FileRead:
    """A file of the bar as it was read.

    Attributes
    ----------
    trace : Trace or None
        None while something is asked.
    read : callable
        Reads it again with the luck of another draw (1, 2, …).
    problem : str
        Why there is no trace, as a sentence.
    """

    trace: Trace | None
    read: Callable[[int], Trace]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Several:
    """Files beside the first one, and how all of them are added up.

    Attributes
    ----------
    files : tuple of FileRead
        Without the first.
    names : tuple of str
        With it.
    align, spans : str or None
        As `trace.add_up` takes them.
    """

    files: tuple[FileRead, ...]
    names: tuple[str, ...]
    align: str | None
    spans: str | None

    def add_up(self, traces: Sequence[Trace], tables: Tables) -> Together:
        """Return the traces as one."""
        named = list(zip(self.names, traces, strict=True))
        return add_up(named, align=self.align, spans=self.spans, tables=tables)


def files() -> list[Any]:
    """Return the files beside the first one, before their field is drawn."""
    return late.files(_FIELD) or list(st.session_state.get(_KEPT) or [])


def kept(key: Hashable, make: Callable[[], Together]) -> Together:
    """Return the sum kept under that key, made where it is not there."""
    together: Together = store(private=True).get_or_make(("together", key), make)
    return together


def section(
    first: Any,
    read: Callable[[Any], FileRead],
    digest_of: Callable[[Any], str],
    tables: Tables,
) -> tuple[Several | None, str]:
    """Draw the field for more files, and what is asked about them.

    Returns
    -------
    several : Several or None
        None where the first file is the only one.
    problem : str
        Why they cannot be added up yet; empty if they can.
    """
    with st.expander("Other traces on the same replicas", expanded=bool(files())):
        uploads = st.file_uploader(
            "More trace files",
            accept_multiple_files=True,
            key=_FIELD,
            on_change=mishap.safe(_forget),
            help="Staging, batch, another product: added up with the first one, served by the "
            "same model on the same replicas, and shown apart.",
        )
        uploads = _kept_files(uploads)
        if not uploads:
            return None, ""
        most = int(tables.setting("together_most_traces"))
        if len(uploads) >= most:
            return None, f"At most {most} traces are added up; found {len(uploads) + 1}."
        digests = [digest_of(upload) for upload in (first, *uploads)]
        for at, digest in enumerate(digests):
            if digest in digests[:at]:
                return None, f"{uploads[at - 1].name} is there twice: take one of them away."
        names = _names((first, *uploads), digests)
        found = []
        for upload, name in zip(uploads, names[1:], strict=True):
            with st.container(border=True):
                st.caption(f"**{text.plain(name)}**")
                try:
                    found.append(read(upload))
                except FrontierError as error:
                    return None, f"{name}: {error}"
                if found[-1].trace is not None:
                    st.caption(text.plain(f"Read as {badge(found[-1].trace)}"))
        align = link.pick(
            "They are laid over one another by",
            [_FOUND, *ALIGN_WORDS],
            _FOUND,
            key="align",
            format_func=lambda key: (
                "As their dates say, if all have one" if key == _FOUND else ALIGN_WORDS[key]
            ),
        )
        spans = link.pick(
            "Where one covers more time than another",
            [_FOUND, *SPANS_WORDS],
            _FOUND,
            key="spans",
            format_func=lambda key: (
                "Ask, unless it is next to nothing"
                if key == _FOUND
                else SPANS_WORDS[key][:1].upper() + SPANS_WORDS[key][1:]
            ),
        )
    for name, file in zip(names[1:], found, strict=True):
        if file.trace is None:
            return None, f"{name}: {file.problem}"
    several = Several(
        tuple(found),
        names,
        None if align == _FOUND else align,
        None if spans == _FOUND else spans,
    )
    return several, ""


def _names(uploads: Sequence[Any], digests: Sequence[str]) -> tuple[str, ...]:
    """Ask what to call each trace; a name travels in no link, as its file does not."""
    names = []
    with st.container(horizontal=True, gap="small"):
        for upload, digest in zip(uploads, digests, strict=True):
            stem = PurePath(upload.name).stem or upload.name
            given = st.text_input("Name", stem, key=f"trace_name_{digest}", max_chars=40, width=170)
            names.append(given.strip() or stem)
    return tuple(names)


def _kept_files(uploads: Any) -> list[Any]:
    """Return the files: Streamlit drops them with their field, while an example is chosen."""
    if uploads:
        st.session_state[_KEPT] = list(uploads)
        return list(uploads)
    kept_here: list[Any] = st.session_state.get(_KEPT) or []
    if kept_here:
        names = ", ".join(upload.name for upload in kept_here)
        st.caption(f"In use: {text.plain(names)}")
        st.button("Remove them", on_click=mishap.safe(_forget), key="forget_more_traces")
    return kept_here


def _forget() -> None:
    """Let go of files that were removed; from the callback of their field or button."""
    if not late.files(_FIELD):
        st.session_state.pop(_KEPT, None)
