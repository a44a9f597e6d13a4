"""Many people at once, each with a trace of their own, and uploads without end: what a server does.

Drives a running or a new server over its websocket, as browsers do, and draws nothing:

    python -m benchmarks.crowd clicks --people 20 --minutes 3
    python -m benchmarks.crowd browsers --people 20 --minutes 3
    python -m benchmarks.crowd soak --uploads 200 --people 20 --mb 5

`clicks` prints how long answers took, by what was clicked, the server's processor time for a click,
whether anybody saw a number of another, and how soon the threads of a sweep end whose person turns
to another page. `browsers` does the like in a Chromium (`crowd_browsers`). `soak` prints the memory
of the process before, meanwhile and half a minute after. A page has answered when its heading
stands; a person clicks every `--think` seconds, five if nothing is said, but not before the answer.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from frontier.pages import shell

_ROOT = Path(__file__).parents[1]
_PATIENCE_S = 120.0
_LOOKED_AT_S = 2.0


class Person:
    """One browser: a websocket, its widgets, and what it was shown."""

    def __init__(self, port: int, number: int, query: dict[str, str]) -> None:
        self.number, self._port, self._query = number, port, query
        self.widgets: dict[str, str] = {}
        self.pages: dict[str, str] = {}
        self.seen: list[str] = []
        self.errors: list[str] = []
        self.session_id = ""
        self.taken_up_s: list[float] = []
        self._page = ""
        self._said: asyncio.Queue[ForwardMsg] = asyncio.Queue()

    async def __aenter__(self) -> Person:
        self._socket = await websockets.connect(
            f"ws://localhost:{self._port}/_stcore/stream",
            subprotocols=["streamlit"],
            max_size=None,
            ping_interval=None,
            open_timeout=_PATIENCE_S,
        )
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._reader.cancel()
        await self._socket.close()

    async def _read(self) -> None:
        async for data in self._socket:
            message = ForwardMsg()
            message.ParseFromString(data)
            self._look_at(message)
            await self._said.put(message)

    def _look_at(self, message: ForwardMsg) -> None:
        kind = message.WhichOneof("type")
        if kind == "new_session":
            self.session_id = message.new_session.initialize.session_id
        elif kind == "navigation":
            self.pages = {page.url_pathname: page.page_script_hash
                          for page in message.navigation.app_pages}  # fmt: skip
        elif kind == "delta" and message.delta.WhichOneof("type") == "new_element":
            element = message.delta.new_element
            what = element.WhichOneof("type")
            one = getattr(element, what)
            if what in ("markdown", "heading", "alert"):
                self.seen.append(one.body)
            if what == "alert" and one.format == 1:
                self.errors.append(one.body)
            if what == "exception":
                self.errors.append(one.message)
            if identity := getattr(one, "id", ""):
                # The key of a widget is the end of its id.
                self.widgets[identity.split("-", 2)[-1]] = identity

    async def click(
        self, *, page: str | None = None, stays: bool = True, **values: Any
    ) -> tuple[float, float]:
        """Choose something; return the seconds until the answer stood, and until all was drawn.

        Who does not stay sees no more than the answer.
        """
        message = BackMsg()
        state = message.rerun_script
        state.query_string = urlencode(self._query)
        self._page = self._page if page is None else page
        state.page_script_hash = self.pages.get(self._page, "")
        for key, value in values.items():
            widget = state.widget_states.widgets.add()
            widget.id = self.widgets[key]
            if isinstance(value, float):
                widget.double_value = value
            elif isinstance(value, str):
                widget.string_value = value
            else:
                widget.file_uploader_state_value.CopyFrom(value)
        while not self._said.empty():
            self._said.get_nowait()
        begun = time.perf_counter()
        await self._socket.send(message.SerializeToString())
        answered, is_ours = 0.0, False
        while True:
            said = await asyncio.wait_for(self._said.get(), _PATIENCE_S)
            kind, now = said.WhichOneof("type"), time.perf_counter() - begun
            # Until then it is the end of a run that was under way.
            if kind == "new_session" and not is_ours:
                is_ours = True
                self.taken_up_s.append(now)
            if kind == "delta" and is_ours and not answered:
                element = said.delta.new_element
                if element.WhichOneof("type") in ("heading", "alert"):
                    answered = now
                    if not stays:
                        return answered, answered
            is_last = said.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN
            if kind == "script_finished" and is_ours and is_last:
                return answered or now, now

    async def upload(self, content: bytes, name: str, *, stays: bool = True) -> tuple[float, float]:
        """Upload a trace; return as `click` does."""
        ask = BackMsg()
        ask.file_urls_request.request_id = "1"
        ask.file_urls_request.file_names.append(name)
        ask.file_urls_request.session_id = self.session_id
        await self._socket.send(ask.SerializeToString())
        while True:
            said = await asyncio.wait_for(self._said.get(), _PATIENCE_S)
            if said.WhichOneof("type") == "file_urls_response":
                break
        urls = said.file_urls_response.file_urls[0]
        await asyncio.to_thread(self._put, urls.upload_url, content, name)
        state = BackMsg().rerun_script.widget_states.widgets.add().file_uploader_state_value
        one = state.uploaded_file_info.add()
        one.file_id, one.name, one.size = urls.file_id, name, len(content)
        one.file_urls.CopyFrom(urls)
        return await self.click(stays=stays, trace_file=state)

    def _put(self, url: str, content: bytes, name: str) -> None:
        edge = "frontier-crowd"
        head = f'--{edge}\r\nContent-Disposition: form-data; name="f"; filename="{name}"\r\n'
        body = head.encode() + b"Content-Type: text/csv\r\n\r\n" + content
        body += f"\r\n--{edge}--\r\n".encode()
        request = urllib.request.Request(f"http://localhost:{self._port}{url}", body, method="PUT")
        request.add_header("Content-Type", f"multipart/form-data; boundary={edge}")
        urllib.request.urlopen(request, timeout=_PATIENCE_S).close()


def _trace(requests: int, seed: int) -> bytes:
    """Return a week of traffic of its own as CSV."""
    draw = random.Random(seed)
    times = sorted(draw.uniform(0, 7 * 86400) for _ in range(requests))
    rows = "".join(f"{at:.3f},{draw.randint(50, 3000)},{draw.randint(1, 400)}\n" for at in times)
    return b"timestamp,prompt_tokens,output_tokens\n" + rows.encode()


def _rss_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise SystemExit("the server has gone")


def _cpu_s(pid: int) -> float:
    """Return the processor time of the server and of the processes that it has waited for [s]."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def _threads(pid: int) -> dict[str, int]:
    """Return the processor time of each thread, in ticks of the system."""
    found = {}
    for path in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):
            fields = (path / "stat").read_text().rpartition(")")[2].split()
            found[path.name] = int(fields[11]) + int(fields[12])
    return found


async def _cancel_s(port: int, pid: int, number: int) -> float:
    """Return how long the threads of a sweep go on once its person has turned to another page."""
    async with Person(port, number, {"traffic": "upload"}) as person:
        await person.click()
        await person.upload(_trace(30_000, number), f"long{number}.csv", stays=False)
        await asyncio.sleep(0.8)
        # Those at work: a thread that only waits for its time to come ends when that is.
        idle = _threads(pid)
        await asyncio.sleep(0.2)
        before = {name for name, spent in _threads(pid).items() if spent > idle.get(name, 0) + 1}
        begun, last = time.perf_counter(), 0.0
        left = asyncio.create_task(person.click(page="sources", stays=False))
        ended: set[str] = set()
        while time.perf_counter() < begun + _LOOKED_AT_S:
            gone = before - _threads(pid).keys()
            if gone - ended:
                ended, last = gone, time.perf_counter() - begun
            await asyncio.sleep(0.005)
        await left
        if not ended:
            print(f"person {number} had no thread at work when leaving")
        # The one that drew goes on with the page that was turned to.
        if (left_over := len(before - ended)) > 1:
            print(f"person {number}: {left_over - 1} threads at work {_LOOKED_AT_S:g} s later")
        return last


def _requests_of(person: int) -> int:
    return 2003 + 211 * person


async def _clicks(args: argparse.Namespace, pid: int) -> None:
    took: dict[str, list[tuple[float, float]]] = defaultdict(list)
    people: list[Person] = []
    until = time.monotonic() + 60 * args.minutes
    sizes, alive, cpu_s = [_rss_mb(pid)], True, _cpu_s(pid)

    async def watch() -> None:
        while alive:
            sizes.append(_rss_mb(pid))
            await asyncio.sleep(0.5)

    async def live(number: int) -> None:
        # Nobody waits for what comes after an answer: the next click ends it.
        draw = random.Random(number)
        async with Person(args.port, number, {"traffic": "upload"}) as person:
            people.append(person)
            took["first visit"].append(await person.click())
            content = _trace(_requests_of(number), number)
            took["upload"].append(await person.upload(content, f"person{number}.csv", stays=False))
            while time.monotonic() < until:
                begun = time.monotonic()
                kind = draw.choice(("limit", "factor", "page", "page", "page"))
                if kind == "limit":
                    took[kind].append(await person.click(stays=False, limit=draw.uniform(1, 60)))
                elif kind == "factor":
                    took[kind].append(
                        await person.click(stays=False, factor=draw.choice((0.5, 1.0, 1.5, 2.0)))
                    )
                else:
                    path = draw.choice([path for *_, path in shell.PAGES if path != "what-if"])
                    took[f"page {path or 'frontier'}"].append(
                        await person.click(stays=False, page=path)
                    )
                await asyncio.sleep(max(0.0, begun + args.think - time.monotonic()))

    async def arrive(number: int) -> None:
        await asyncio.sleep(args.think * number / args.people)
        try:
            await live(number)
        except Exception as error:
            print(f"person {number}: {type(error).__name__}: {error}")

    watcher = asyncio.create_task(watch())
    await asyncio.gather(*(arrive(number) for number in range(args.people)))
    alive = False
    await watcher
    clicks, cpu_s = sum(map(len, took.values())), _cpu_s(pid) - cpu_s
    _say_times(took)
    print(f"processor time: {cpu_s:.0f} s for {clicks} clicks, {cpu_s / clicks:.2f} s a click")
    taken_up = sorted(one for person in people for one in person.taken_up_s)
    print(
        f"taken up, what was under way cancelled: median {statistics.median(taken_up):.2f} s, "
        f"95 % within {taken_up[int(0.95 * (len(taken_up) - 1))]:.2f} s, most {taken_up[-1]:.2f}"
    )
    strange = _strange(people)
    print(f"strange numbers seen: {len(strange)} {strange[:5]}")
    errors = [error for person in people for error in person.errors]
    print(f"errors shown: {len(errors)} {sorted(set(errors))[:5]}")
    print(
        f"memory: {sizes[0]:.0f} MB before, {max(sizes):.0f} MB at most, {sizes[-1]:.0f} MB after"
    )
    ends = [await _cancel_s(args.port, pid, 100 + at) for at in range(5)]
    print(
        "threads of a sweep after its person turned away: "
        + ", ".join(f"{one:.2f}" for one in ends)
    )


def _say_times(took: dict[str, list[tuple[float, float]]]) -> None:
    print(f"{'what':22} {'n':>4} {'median':>7} {'p95':>7} {'most':>7} {'drawn':>7}")
    settled = [one for kind, all_of in took.items() if kind not in ("first visit", "upload")
               for one in all_of]  # fmt: skip
    for kind, all_of in [*sorted(took.items()), ("all clicks", settled)]:
        answers = sorted(answer for answer, _ in all_of)
        if answers:
            print(f"{kind:22} {len(answers):4} {statistics.median(answers):7.2f} "
                  f"{answers[int(0.95 * (len(answers) - 1))]:7.2f} {answers[-1]:7.2f} "
                  f"{statistics.median(drawn for _, drawn in all_of):7.2f}")  # fmt: skip


def _strange(people: list[Person]) -> list[str]:
    """Return what people saw of others: the number of requests of each trace is its own."""
    found = []
    for person in people:
        others = {f"{_requests_of(one.number):,} requests" for one in people if one is not person}
        text = " ".join(person.seen).replace("\\", "")
        found += [f"{person.number} saw {words}" for words in others if words in text]
    return found


async def _soak(args: argparse.Namespace, pid: int) -> None:
    content = _trace(int(args.mb * 1e6 / 22), 1)
    # What the first upload of all loads is no growth.
    async with Person(args.port, 0, {"traffic": "upload"}) as person:
        await person.click(stays=False)
        await person.upload(content, "first.csv", stays=False)
    await asyncio.sleep(args.rest)
    before, most, refused, begun = _rss_mb(pid), 0.0, 0, time.perf_counter()
    given_up: list[str] = []
    left = iter(range(args.uploads))

    async def visit(number: int) -> None:
        nonlocal most, refused
        for at in left:
            try:
                async with Person(args.port, number, {"traffic": "upload"}) as person:
                    await person.click(stays=False)
                    own = content + b"604800.%d,1,1\n" % at
                    await person.upload(own, f"{at}.csv", stays=False)
                    refused += any("no room" in error for error in person.errors)
            except (OSError, websockets.WebSocketException, KeyError) as error:
                given_up.append(f"{at}: {type(error).__name__}")
            most = max(most, _rss_mb(pid))
            if args.say:
                print(f"{at} {time.perf_counter() - begun:.0f} s {_rss_mb(pid):.0f} MB", flush=True)

    await asyncio.gather(*(visit(number) for number in range(args.people)))
    at_end = _rss_mb(pid)
    await asyncio.sleep(args.rest)
    after = _rss_mb(pid)
    print(f"{args.uploads} uploads of {len(content) / 1e6:.1f} MB by {args.people} people: "
          f"{before:.0f} MB before, {most:.0f} MB at most, {at_end:.0f} MB at the end, "
          f"{after:.0f} MB {args.rest:g} s later ({after / before - 1:+.0%}); "
          f"{refused} refused in a sentence, {len(given_up)} not answered in time")  # fmt: skip


async def _browsers(args: argparse.Namespace, pid: int) -> None:
    from benchmarks.crowd_browsers import browsers

    def trace_of(person: int) -> bytes:
        return _trace(_requests_of(person), person)

    await browsers(args, trace_of, _requests_of, lambda: _cpu_s(pid))
    print(f"memory at the end: {_rss_mb(pid):.0f} MB")


def main() -> None:
    """Run what was asked for, on a server of its own unless a port is given."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=("clicks", "browsers", "soak"))
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--think", type=float, default=5.0, help="seconds from click to click")
    parser.add_argument("--charts", type=int, help="how many of the browsers draw charts")
    parser.add_argument("--uploads", type=int, default=200)
    parser.add_argument("--mb", type=float, default=5.0)
    parser.add_argument("--rest", type=float, default=40.0, help="seconds after the soak")
    parser.add_argument("--say", action="store_true", help="the size after each upload")
    parser.add_argument("--port", type=int, default=8602)
    args = parser.parse_args()
    # As every driver of a server of its own: the check of origins is for browsers. Files are not
    # watched, as docs/deployment.md has it: the watcher looks through all modules for each session.
    folder = Path(tempfile.mkdtemp(prefix="frontier-crowd-"))
    module = ("streamlit",)
    if args.what == "browsers":
        args.log = folder / "headings.txt"
        module = ("benchmarks.timed_server", str(args.log))
    said = (folder / "server.txt").open("w")
    server = subprocess.Popen(
        [sys.executable, "-m", *module, "run", "app.py", "--server.port", str(args.port),
         "--server.headless", "true", "--server.fileWatcherType", "none",
         "--server.enableXsrfProtection", str(args.what == "browsers").lower()],
        cwd=_ROOT, env=os.environ, stdout=subprocess.DEVNULL, stderr=said,
    )  # fmt: skip
    print(f"what the server says: {said.name}")
    try:
        _wait_for(args.port)
        asyncio.run(
            {"clicks": _clicks, "browsers": _browsers, "soak": _soak}[args.what](args, server.pid)
        )
    finally:
        server.terminate()
        server.wait()


def _wait_for(port: int) -> None:
    for _ in range(300):
        try:
            urllib.request.urlopen(f"http://localhost:{port}/_stcore/health", timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the server did not begin to answer")


if __name__ == "__main__":
    main()
