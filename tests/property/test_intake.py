"""What strangers send before a page sees it: uploads within bytes, visitors while there is room."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
import websockets
from starlette.exceptions import HTTPException, WebSocketException
from starlette.formparsers import MultiPartException
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.uploaded_file_manager import UploadedFileRec

from benchmarks.crowd import Person
from frontier import memory
from frontier.pages import intake

ROOT = Path(__file__).parents[2]
MB = 1_000_000
SENT = 40 * MB


class Sessions:
    """A server of whom only the sessions are asked for."""

    def __init__(self, *there):
        self.there, self.drawn = set(there), []
        self._session_mgr = self

    def is_active_session(self, session_id):
        return session_id in self.there

    def connect_session(self, client, user_info, existing_session_id=None, override=None):
        return existing_session_id or "new"

    def get_session_info(self, session_id):
        return session_id if session_id in self.there else None

    def get_active_session_info(self, session_id):
        session = SimpleNamespace(_client_state=None)
        session.request_rerun = lambda state: self.drawn.append(session_id)
        return SimpleNamespace(session=session)


def _file(number, size, name="a.csv"):
    return UploadedFileRec(file_id=str(number), name=name, type="text/csv", data=b"0" * size)


@pytest.fixture
def roomy(monkeypatch):
    """Let the process take 1,000 MB more than it has, so that shares are of a known whole."""
    whole_mb = memory.resident_mb() + 1000.0
    monkeypatch.setattr(memory, "limit_mb", lambda tables: whole_mb)
    return whole_mb


@pytest.fixture
def taking():
    """Give the server's sessions, its store of uploads, and what watches over both."""
    server, manager = Sessions("one", "two"), MemoryUploadedFileManager("/up")
    return server, manager, intake._Intake(server, manager)


def test_the_files_of_one_session_hold_no_more_than_their_share(taking, roomy):
    """What goes beyond is not kept, whoever sends it is told, and what is taken out makes room."""
    server, manager, watch = taking
    share = 0.2 * roomy
    each = int(share * MB / 4)
    for number in range(3):
        manager.add_file(session_id="one", file=_file(number, each))
    with pytest.raises(HTTPException) as refused:
        manager.add_file(session_id="one", file=_file(3, each))
    assert refused.value.status_code == 507
    assert sum(len(file.data) for file in manager.file_storage["one"].values()) == 3 * each
    assert server.drawn == ["one"]
    (said,) = watch.refused("one")
    assert f"{share:,.0f}"[:2] in said
    assert watch.refused("one") == []
    manager.remove_file("one", "0")
    manager.add_file(session_id="one", file=_file(11, each))


def test_no_more_is_kept_to_be_said_than_is_read(taking, monkeypatch):
    """Who has many files refused before a page is drawn leaves no sentence for each of them."""
    _, manager, watch = taking
    limit_mb = iter(range(1, 100))
    monkeypatch.setattr(memory, "limit_mb", lambda tables: float(next(limit_mb)))
    for number in range(20):
        with pytest.raises(HTTPException):
            manager.add_file(session_id="one", file=_file(number, SENT))
    assert 1 <= len(watch.refused("one")) <= 3


def test_files_of_nothing_count_too(taking, roomy, monkeypatch):
    """A million empty files would fill a server with their names."""
    _, manager, _ = taking
    monkeypatch.setattr(memory, "limit_mb", lambda tables: 1.0)
    for number in range(1000):
        with suppress(HTTPException):
            manager.add_file(session_id="one", file=_file(number, 0))
    assert 1 < len(manager.file_storage["one"]) < 100


def test_all_sessions_together_hold_no_more_than_theirs(taking, roomy):
    """Each within its own share, and still the last one is refused."""
    server, manager, watch = taking
    server.there |= {str(number) for number in range(10)}
    each = int(0.15 * roomy * MB)
    for number in range(2):
        manager.add_file(session_id=str(number), file=_file(0, each))
    with pytest.raises(HTTPException):
        manager.add_file(session_id="2", file=_file(0, each))
    assert "all who are here" in watch.refused("2")[0]


def _send(watch, session_id, pieces):
    """Return how many bytes of an upload are let through."""

    async def sent():
        for piece in pieces:
            yield piece

    async def received():
        intake._sender.set(session_id)
        through = 0
        async for piece in watch.watch(sent()):
            through += len(piece)
            received.last = through
        return through

    received.last = 0
    try:
        return asyncio.run(received()), ""
    except MultiPartException as error:
        return received.last, error.message


def test_what_is_on_its_way_counts_and_stops_while_it_comes(taking, roomy):
    """An upload is not read to its end before it is refused."""
    server, _, watch = taking
    share = int(0.2 * roomy * MB)
    piece = b"0" * 2**20
    assert _send(watch, "one", [piece] * 3) == (3 * 2**20, "")
    got, why = _send(watch, "one", (piece for _ in range(2 * share // 2**20)))
    assert share - 3 * 2**20 < got <= share + 2**20
    assert why == watch.refused("one")[0]
    assert server.drawn == ["one"]


def test_a_process_without_room_takes_no_upload(taking, monkeypatch):
    """However small the share that uploads have of it."""
    monkeypatch.setattr(memory, "limit_mb", lambda tables: 1.0)
    got, why = _send(taking[2], "one", [b"0" * 1000])
    assert got == 0
    assert "no room for this file" in why


def test_what_no_field_has_is_let_go_of_and_what_none_ever_had_is_named(taking, monkeypatch):
    """A file in a field stays; one that was taken out goes; one that came too late is said."""
    _, manager, watch = taking
    now_s = 1000.0
    monkeypatch.setattr(intake.time, "monotonic", lambda: now_s)
    for number, name in enumerate(("stays.csv", "taken out.csv", "late.csv")):
        manager.add_file(session_id="one", file=_file(number, 10, name))
    _send(watch, "one", [b"0"])
    had = set()
    assert watch.let_go("one", lambda: {"0", "1"}, had) == []
    # A browser may still be about to say that it has sent it.
    now_s += 9.0
    assert watch.let_go("one", lambda: {"0"}, had) == []
    assert len(manager.file_storage["one"]) == 3
    now_s += 2.0
    assert watch.let_go("one", lambda: {"0"}, had) == ["late.csv"]
    assert list(manager.file_storage["one"]) == ["0"]
    assert watch.let_go("one", lambda: {"0"}, had) == []


def test_nothing_is_let_go_of_while_files_are_on_their_way(taking, monkeypatch):
    """A field of several files has none of them before all are there."""
    _, manager, watch = taking
    now_s = 1000.0
    monkeypatch.setattr(intake.time, "monotonic", lambda: now_s)
    manager.add_file(session_id="one", file=_file(0, 10))

    async def slow():
        nonlocal now_s
        yield b"0"
        now_s += 1000.0
        assert watch.let_go("one", set, set()) == []
        yield b"0"

    async def received():
        intake._sender.set("one")
        async for _ in watch.watch(slow()):
            pass

    asyncio.run(received())
    assert len(manager.file_storage["one"]) == 1


def test_no_one_new_is_let_in_while_the_process_is_far_too_large(taking, monkeypatch):
    """Who is here stays, and may come back."""
    server, _, _ = taking
    assert server.connect_session(None, {}) == "new"
    monkeypatch.setattr(memory, "limit_mb", lambda tables: 1.0)
    with pytest.raises(WebSocketException) as refused:
        server.connect_session(None, {})
    assert refused.value.code == 1013
    with pytest.raises(WebSocketException):
        server.connect_session(None, {}, "never heard of")
    assert server.connect_session(None, {}, "one") == "one"


def test_what_is_known_of_sessions_goes_with_them(taking, roomy):
    """Those that are gone are forgotten as others come."""
    server, manager, watch = taking
    for number in range(50):
        server.there = {str(number)}
        manager.add_file(session_id=str(number), file=_file(0, 10))
        watch.refused(str(number))
    assert len(watch._sessions) <= 2


@pytest.mark.parametrize(
    "kind", [field.name for field in BackMsg.DESCRIPTOR.oneofs_by_name["type"].fields]
)
def test_a_browser_is_answered_what_the_pages_ask_of_it_and_no_more(kind):
    """No stranger empties the caches of all, or learns the names of files on the host."""
    message = BackMsg()
    value = getattr(message, kind)
    if hasattr(value, "SetInParent"):
        value.SetInParent()
    else:
        setattr(message, kind, True)
    asked = {
        "rerun_script",
        "stop_script",
        "app_heartbeat",
        "file_urls_request",
        "backend_operation_request",
    }
    assert intake.is_asked(message) == (kind in asked)


def test_one_message_asks_for_no_more_than_a_page_has():
    """Eight megabytes of nothing were four million places for files, 3.5 GB and 53 s."""
    files = BackMsg()
    files.file_urls_request.file_names.extend([""] * 100_000)
    assert intake.is_asked(files)
    assert len(files.file_urls_request.file_names) == 100
    fields = BackMsg()
    for number in range(6_000):
        fields.rerun_script.widget_states.widgets.add().id = str(number)
    assert intake.is_asked(fields)
    kept = fields.rerun_script.widget_states.widgets
    assert [one.id for one in kept] == [str(number) for number in range(5_000)]


@pytest.fixture(scope="module")
def server():
    """Start the app with 500 MB; give its port and process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", "app.py", f"--server.port={port}",
         "--server.enableXsrfProtection=false", "--server.enableCORS=false"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, memory.LIMIT: "500"},
    )  # fmt: skip
    try:
        for _ in range(300):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=5):
                    break
            except OSError:
                assert process.poll() is None
                time.sleep(0.2)
        yield port, process
    finally:
        process.terminate()
        process.wait(timeout=20)


def _put(port, session_id, number, size):
    """Send a file; return whether the server took it."""
    head = b'--x\r\nContent-Disposition: form-data; name="f"; filename="a.csv"\r\n\r\n'
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/_stcore/upload_file/{session_id}/{number}",
        data=head + b"0" * size + b"\r\n--x--\r\n",
        method="PUT",
        headers={"Content-Type": "multipart/form-data; boundary=x"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status == 204
    except OSError:
        # An answer, or no more than the end of the line while the rest is still being sent.
        return False


def _size_mb(process):
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1000


def test_a_server_of_500_mb_takes_no_400_mb_of_uploads(server):
    """Ten files of 40 MB by one open page: two are kept, and the page says why no more are."""
    port, process = server

    async def visit():
        async with Person(port, 0, {}) as person:
            await person.click()
            taken, most_mb = [], 0.0
            for number in range(10):
                taken.append(await asyncio.to_thread(_put, port, person.session_id, number, SENT))
                most_mb = max(most_mb, _size_mb(process))
            await person.click()
            return taken, most_mb, person.errors

    taken, most_mb, errors = asyncio.run(visit())
    assert taken == [True, True] + 8 * [False]
    assert most_mb < 500
    assert any("A file was not taken" in error for error in errors)
    assert process.poll() is None


def test_what_a_server_is_asked_for_without_need_does_not_hold_it_up(server):
    """Places for a million files are asked for, and the caches of all to be emptied."""
    port, process = server
    before_mb = _size_mb(process)

    async def visit():
        async with Person(port, 0, {}) as person:
            await person.click()
            files, empty = BackMsg(), BackMsg()
            files.file_urls_request.file_names.extend([""] * 1_000_000)
            empty.clear_cache = True
            for message in (files, empty):
                await person._socket.send(message.SerializeToString())
            await person.click()
            return person.errors

    assert asyncio.run(visit()) == []
    assert _size_mb(process) < before_mb + 100


def test_a_message_beyond_any_that_a_page_sends_is_not_waited_for(server):
    """The connection ends as its length is said: 60 MB are not kept to be looked at."""
    port, process = server
    before_mb = _size_mb(process)

    async def send():
        url = f"ws://127.0.0.1:{port}/_stcore/stream"
        async with websockets.connect(url, subprotocols=["streamlit"], max_size=None) as line:
            with suppress(websockets.ConnectionClosed):
                await line.send(b"\0" * 60 * MB)
            await line.wait_closed()
            return line.close_code

    assert asyncio.run(send()) == 1009
    assert _size_mb(process) < before_mb + 30
