"""What strangers send before a page sees it: uploads within bytes, messages that pages ask for.

The framework takes every upload of an open page into memory and keeps it until its session ends,
whether or not a field still has it. Here an upload is refused in a sentence while it comes, once
all of them or those of one session would be more than a share of what the process may be, or the
process has no room at all; and what no field has any more is let go of. A file that came after its
panel was closed never had one: that is said. Who comes while the process is full is told so by the
page, and a little later not let in. Of what a browser may ask the framework for, the pages need a
part; the rest would empty what all visitors share, or tell of the files of the host. Left out: how
fast a file comes, what a proxy in front of the server holds of it, and connections that ask for
nothing, which are for that proxy to count.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import streamlit as st
from starlette import status
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException, WebSocketException
from starlette.formparsers import MultiPartException, MultiPartParser
from streamlit import config, runtime
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.runtime import Runtime, SessionClient
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFile, UploadedFileRec

from frontier import memory, spell
from frontier.errors import InfeasibleError
from frontier.pages import text
from frontier.tables import load_tables
from frontier.units import BYTES_PER_MB

_HAD = "intake_had"
_BYTES_PER_MIB = 2**20
# A file without content has a name and a place all the same.
_RECORD_BYTES = 4096
# A browser says that it has sent a file once the file is there; on a slow line a little later.
_LATE_S = 10.0
_MOST_SAID = 3

# What the pages ask of their browser. Not: to empty the caches of all, to tell of the host's files.
_ASKED = frozenset(
    (
        "rerun_script",
        "stop_script",
        "app_heartbeat",
        "file_urls_request",
        "backend_operation_request",
    )
)

_sender: ContextVar[str] = ContextVar("frontier_upload_of", default="")


@dataclass(slots=True)
class _Session:
    """What one session sends.

    Attributes
    ----------
    coming : list of list of int
        The bytes that have come of each upload under way, one number in each.
    refused : list of str
        Why files were not taken, to be said by the next run.
    came_s : float
        When the last one ended, by the monotonic clock [s].
    """

    coming: list[list[int]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    came_s: float = 0.0


class _Intake:
    """Watches over the uploads of one server.

    Parameters
    ----------
    server : Runtime
        Its own manager of uploads is asked from here on before it takes a file.
    manager : MemoryUploadedFileManager
    """

    def __init__(self, server: Runtime, manager: MemoryUploadedFileManager) -> None:
        self._server, self._manager = server, manager
        self._is_active, self._add = server.is_active_session, manager.add_file
        self._sessions: dict[str, _Session] = {}
        self._connect = server.connect_session
        server.is_active_session = self._asked  # type: ignore[method-assign]
        server.connect_session = self._connected  # type: ignore[method-assign]
        manager.add_file = self._take  # type: ignore[method-assign]

    def _asked(self, session_id: str) -> bool:
        # The route of uploads asks this first, and tells nowhere else whose upload it is.
        _sender.set(session_id)
        return self._is_active(session_id)

    def _connected(
        self,
        client: SessionClient,
        user_info: Any,
        existing_session_id: str | None = None,
        session_id_override: str | None = None,
    ) -> str:
        # A page that finds its server again is no other visitor.
        known = self._server._session_mgr.get_session_info(existing_session_id or "")
        tables = load_tables()
        if known is None and memory.held_share(tables) > tables.setting("visitors_share"):
            # A moment before, who comes is told why; each takes some of what is left for that.
            raise WebSocketException(status.WS_1013_TRY_AGAIN_LATER, "no room for more visitors")
        return self._connect(client, user_info, existing_session_id, session_id_override)

    def _of(self, session_id: str) -> _Session:
        """Return what is known of a session; what is gone is forgotten meanwhile."""
        if session_id not in self._sessions:
            for other, one in list(self._sessions.items()):
                if not one.coming and not self._is_active(other):
                    del self._sessions[other]
        return self._sessions.setdefault(session_id, _Session())

    async def watch(self, stream: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        """Pass an upload on as it comes, as long as there is room for it.

        Raises
        ------
        MultiPartException
            If there is no more; the framework lets go of what has come.
        """
        session_id, came, next_look = _sender.get(), [0], 0
        session = self._of(session_id)
        session.coming.append(came)
        try:
            async for chunk in stream:
                came[0] += len(chunk)
                if came[0] >= next_look:
                    next_look = came[0] + _BYTES_PER_MIB
                    # It may have to look through all that is kept, for which the loop cannot wait.
                    problem = await asyncio.to_thread(self._problem, session_id)
                    if problem:
                        raise MultiPartException(self._refuse(session_id, problem))
                yield chunk
        finally:
            # By what it is: another one may be as long.
            session.coming[:] = [one for one in session.coming if one is not came]
            session.came_s = time.monotonic()

    def _take(self, session_id: str, file: UploadedFileRec) -> None:
        problem = self._too_much(session_id, len(file.data))
        if problem:
            raise HTTPException(HTTPStatus.INSUFFICIENT_STORAGE, self._refuse(session_id, problem))
        self._add(session_id=session_id, file=file)

    def _problem(self, session_id: str) -> str:
        """Return why no more can be taken, as a sentence; nothing if it can."""
        tables = load_tables()
        try:
            memory.require_room(tables, "this file")
        except InfeasibleError as error:
            return str(error)
        return self._too_much(session_id, 0)

    def _too_much(self, session_id: str, more: int) -> str:
        tables = load_tables()
        coming = {one: sum(each for (each,) in known.coming)
                  for one, known in list(self._sessions.items())}  # fmt: skip
        stored = {one: _bytes_of(files.values())
                  for one, files in list(self._manager.file_storage.items())}  # fmt: skip
        own = stored.get(session_id, 0) + coming.get(session_id, 0) + more
        every = sum(stored.values()) + sum(coming.values()) + more
        whole_mb = memory.limit_mb(tables)
        for held, share, whose in (
            (own, tables.setting("uploads_session_share"), "your files here"),
            (every, tables.setting("uploads_share"), "the files of all who are here"),
        ):
            most_mb = share * whole_mb
            if held > most_mb * BYTES_PER_MB:
                return (
                    f"With it {whose} would be more than the {spell.significant(most_mb)} MB that "
                    "this server holds of them. Take out another file, try a shorter one or in a "
                    f"minute, or run Frontier on your own machine, where {memory.LIMIT} sets how "
                    "much it holds."
                )
        return ""

    def _refuse(self, session_id: str, problem: str) -> str:
        """Have it said to who sent the file, at once; return it."""
        refused = self._of(session_id).refused
        refused.append(problem)
        # Who sends without end has no run in which it could be said.
        del refused[:-_MOST_SAID]
        # The manager of sessions is all that knows them.
        found = self._server._session_mgr.get_active_session_info(session_id)
        if found is not None:
            found.session.request_rerun(found.session._client_state)
        return problem

    def refused(self, session_id: str) -> list[str]:
        """Return why files of a session were not taken, each reason once."""
        session = self._of(session_id)
        session.refused, refused = [], list(dict.fromkeys(session.refused))
        return refused

    def let_go(self, session_id: str, has: Callable[[], set[str]], had: set[str]) -> list[str]:
        """Let go of what no field of a session has; return the names of what none ever had.

        Parameters
        ----------
        has : callable
            Returns the files that the fields have now; asked where there are any.
        had : set of str
            The files that they had at some time; kept up to date here.
        """
        stored = dict(self._manager.file_storage.get(session_id, {}))
        if not stored:
            return []
        session, now = self._of(session_id), has()
        had |= now
        had &= stored.keys()
        if session.coming or time.monotonic() < session.came_s + _LATE_S:
            return []
        gone = [file for file_id, file in stored.items() if file_id not in now]
        for file in gone:
            self._manager.remove_file(session_id, file.file_id)
        return [file.name for file in gone if file.file_id not in had]


_here: _Intake | None = None


def prepare() -> None:
    """Watch over what is sent to this server, and keep uploads in memory; to be called once."""
    global _here
    # A form is a little larger than the file in it, and none is moved to a temporary file.
    most_mib = config.get_option("server.maxUploadSize") + 1
    MultiPartParser.spool_max_size = int(most_mib * _BYTES_PER_MIB)
    if not runtime.exists():
        return
    server = runtime.get_instance()
    manager = server.uploaded_file_mgr
    if not isinstance(manager, MemoryUploadedFileManager):
        return
    here = _here = _Intake(server, manager)
    parse = MultiPartParser.parse

    async def parse_watched(parser: MultiPartParser) -> FormData:
        parser.stream = here.watch(parser.stream)
        return await parse(parser)

    MultiPartParser.parse = parse_watched  # type: ignore[assignment, method-assign]
    handle = AppSession.handle_backmsg

    def handle_asked(session: AppSession, message: BackMsg) -> None:
        if is_asked(message):
            handle(session, message)

    AppSession.handle_backmsg = handle_asked  # type: ignore[assignment, method-assign]


def is_asked(message: BackMsg) -> bool:
    """Return whether a message of a browser is one that the pages ask for, cut to what they can.

    A place for a file takes 700 bytes for the two that its name takes in a message.
    """
    kind, tables = message.WhichOneof("type"), load_tables()
    if kind == "file_urls_request":
        del message.file_urls_request.file_names[int(tables.setting("browser_most_files")) :]
    elif kind == "rerun_script":
        del message.rerun_script.widget_states.widgets[int(tables.setting("browser_most_fields")) :]
    return kind in _ASKED


def say() -> None:
    """Say which files of this session were not taken, and let go of what no field has."""
    context = get_script_run_ctx()
    if context is None or _here is None:
        return
    for sentence in _here.refused(context.session_id):
        st.error(text.plain(f"A file was not taken. {sentence}"), icon=":material/upload_file:")
    had = st.session_state.setdefault(_HAD, set())
    for name in _here.let_go(context.session_id, _in_fields, had):
        st.warning(
            text.plain(
                f"“{name}” came after its panel was closed, and nothing was done with it. Choose "
                "it again, and leave the panel open until the file stands there."
            ),
            icon=":material/upload_file:",
        )


def _in_fields() -> set[str]:
    """Return the files that the fields of this session have, or that are kept of them."""
    found: set[str] = set()
    for value in st.session_state.to_dict().values():
        several: Iterable[Any] = value if isinstance(value, list | tuple) else (value,)
        found.update(one.file_id for one in several if isinstance(one, UploadedFile))
    return found


def _bytes_of(files: Iterable[UploadedFileRec]) -> int:
    return sum(len(file.data) + _RECORD_BYTES for file in list(files))
