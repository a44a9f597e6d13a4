"""The process that reads one trace after the other, under limits, for `apart`.

Jobs and files come in by the standard input, answers go out by the standard output. It ends when
the other side does, when nothing came for a while, or when it has grown.
"""

from __future__ import annotations

import ctypes
import dataclasses
import gc
import io
import os
import pickle
import select
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import MappingProxyType
from typing import Any

from frontier.errors import FrontierError
from frontier.tables import Tables, load_tables
from frontier.trace import apart
from frontier.trace.reading import read_trace

try:
    import resource
except ImportError:  # not on Windows, where only time is limited
    resource = None  # type: ignore[assignment]

_TELL_S, _LOOK_S = 0.1, 0.02
_Send = Callable[[bytes, list[Any]], None]


class _File(io.RawIOBase):
    """The file as it comes in, piece by piece."""

    def __init__(self, stream: io.FileIO) -> None:
        super().__init__()
        self._stream, self._left, self._is_over = stream, 0, False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left and not self._is_over:
            self._left = int.from_bytes(_exactly(self._stream, 8), "big")
            self._is_over = not self._left
        if self._is_over:
            return 0
        number = self._stream.readinto(memoryview(buffer)[: self._left])
        if not number:
            os._exit(0)
        self._left -= number
        return number


def _exactly(stream: io.FileIO, number: int) -> bytes:
    content = stream.read(number) if number else b""
    while len(content) < number:
        more = stream.read(number - len(content))
        if not more:
            os._exit(0)  # nobody waits for an answer any more
        content += more
    return content


class _Limits:
    """Memory and processor time of the reading that is under way."""

    def __init__(self) -> None:
        self._most: float | None = None
        if resource is not None:
            with suppress(OSError, ValueError):
                resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
                resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        threading.Thread(target=self._watch, daemon=True).start()

    def set(self, memory: float, cpu_s: float) -> None:
        """Allow so much more memory [B] and processor time [s] than was used so far."""
        self._most = _resident() + memory
        if resource is not None:
            used = resource.getrusage(resource.RUSAGE_SELF)
            _limit(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime + cpu_s) + 1)
            if reserved := _pages(0):
                _limit(resource.RLIMIT_AS, int(reserved + memory))

    def lift(self) -> None:
        """Allow everything again: an answer is being sent."""
        self._most = None
        if resource is not None:
            _limit(resource.RLIMIT_CPU, resource.RLIM_INFINITY)
            _limit(resource.RLIMIT_AS, resource.RLIM_INFINITY)

    def _watch(self) -> None:
        while True:
            time.sleep(_LOOK_S)
            if self._most is not None and _resident() > self._most:
                os._exit(apart.MEMORY)


def _limit(what: int, most: int) -> None:
    with suppress(OSError, ValueError):
        resource.setrlimit(what, (most, resource.RLIM_INFINITY))


def _let_go() -> None:
    """Give memory that is no longer used back to the system."""
    import pyarrow as pa

    gc.collect()
    pa.default_memory_pool().release_unused()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _pages(which: int) -> int:
    try:
        with open("/proc/self/statm", "rb", buffering=0) as file:  # noqa: PTH123
            return int(file.read().split()[which]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0


def _resident() -> int:
    """Return the memory in use now, or the most ever where the system does not tell [B]."""
    now = _pages(1)
    if now or resource is None:
        return now
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _tables(settings: dict[str, float]) -> Tables:
    tables = load_tables()
    if not settings:
        return tables
    rows = dict(tables.settings)
    for name, value in settings.items():
        rows[name] = dataclasses.replace(rows[name], value=value)
    return dataclasses.replace(tables, settings=MappingProxyType(rows))


def _answer(job: dict[str, Any], file: _File, send: _Send) -> tuple[bytes, list[Any]]:
    told_s = 0.0

    def progress(done: int, total: int) -> None:
        nonlocal told_s
        now = time.monotonic()
        if now - told_s >= _TELL_S:
            told_s = now
            send(apart.PROGRESS, [done.to_bytes(8, "big")])

    try:
        trace = read_trace(
            job["path"] or io.BufferedReader(file, 1 << 18),
            tables=_tables(job["settings"]),
            progress=progress,
            **job["how"],
        )
    except FrontierError as error:
        if isinstance(error.__context__, MemoryError):
            os._exit(apart.MEMORY)  # whoever asked may try a process that is fresh
        return apart.FAILED, [pickle.dumps(apart.packed(error))]
    except MemoryError:
        os._exit(apart.MEMORY)
    arrays: list[pickle.PickleBuffer] = []
    words = pickle.dumps(trace, protocol=5, buffer_callback=arrays.append)
    return apart.DONE, [words, *(array.raw() for array in arrays)]


def main() -> None:
    """Read what comes until nothing comes any more."""
    # Whatever prints must not print into an answer.
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    jobs = io.FileIO(0, "r", closefd=False)
    _warm()
    limits = _Limits()
    begun, tables = _resident(), load_tables()
    wait_s, grown = (
        tables.setting("trace_worker_waits_s"),
        tables.setting("trace_worker_keeps_bytes"),
    )

    def send(kind: bytes, parts: list[Any]) -> None:
        head = kind + bytes([len(parts)]) + b"".join(len(p).to_bytes(8, "big") for p in parts)
        for part in (head, *parts):
            view = memoryview(part)
            while view:
                view = view[answers.write(view) :]

    leaves = False
    while not leaves and select.select([jobs], [], [], wait_s)[0]:
        job = pickle.loads(_exactly(jobs, int.from_bytes(_exactly(jobs, 8), "big")))
        send(apart.PROGRESS, [bytes(8)])  # it is there, and wants the file
        file = _File(jobs)
        limits.set(job["memory"], job["cpu_s"])
        kind, answer = _answer(job, file, send)
        limits.lift()
        while file.read(1 << 16):
            pass  # what was not looked at is still on its way
        send(kind, answer)
        del job, file, answer
        if _resident() > begun + grown:
            _let_go()
        leaves = _resident() > begun + grown


def _warm() -> None:
    """Import what most files need, and read one."""
    import pyarrow.csv
    import pyarrow.json
    import pyarrow.parquet  # noqa: F401

    read_trace(b"timestamp,prompt_tokens,output_tokens\n0.5,1,1\n1.5,1,1\n")


if __name__ == "__main__":
    main()
