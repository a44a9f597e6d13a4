"""Reading in a process of its own: what native code does with a stranger's file stays there.

Parquet, whatever is compressed and every larger file is read by a worker process that holds no
other person's data, with limits on memory, processor time and what it may answer; it writes no
file. Its death is a sentence for the one person whose file it read. A worker that behaved is kept
for the next file, so that a small one costs no start; one that grew ends. Small files of plain
text are read where they are: no native code unpacks them, and their size bounds their cost.

Where no process can be made, files of text are read in this one and Parquet is refused.

Left out: limits on memory where the system has none (`worker` watches its own size there).
"""

from __future__ import annotations

import atexit
import functools
import io
import os
import pickle
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec

from frontier.boundary import UnexpectedInput, hook
from frontier.errors import FrontierError, InputError
from frontier.tables import Tables, load_tables
from frontier.trace.model import Trace, TraceQuestion, UnknownFormat

if TYPE_CHECKING:
    from frontier.trace.streams import Progress, Source

_P = ParamSpec("_P")
_ROOT = Path(__file__).parents[2]
_PARQUET, _GZIP = b"PAR1", b"\x1f\x8b"
_PIECE, _PIPE = 1 << 20, 1 << 20
_LOOK_S = 0.05
# What a trace takes a request as it is sent, with sessions and prefixes, and all its words.
_ANSWER_BYTES_PER_ROW, _ANSWER_WORDS = 64, 1 << 24
_ALLOWED = {
    "frontier.trace.model": ("Trace", "TraceReport", "Decided", "PathCount"),
    "numpy": ("ndarray", "dtype"),
    "numpy._core.multiarray": ("_reconstruct", "scalar"),
    "numpy.core.multiarray": ("_reconstruct", "scalar"),
    "numpy._core.numeric": ("_frombuffer",),
    "numpy.core.numeric": ("_frombuffer",),
    "datetime": ("datetime", "timezone", "timedelta"),
    "builtins": ("bytearray",),
}

IS_WORKER = os.environ.get("FRONTIER_READING_WORKER") == "1"
"""Whether this process is one of the workers."""

PROGRESS, DONE, FAILED = b"P", b"D", b"F"
"""What a worker sends: bytes read so far (at once, to say that it is there), a trace, an error."""


class _NoProcess(Exception):
    """No process can be made here."""


class _Died(Exception):
    """A worker ended without an answer; ``code`` is how, ``began`` whether it had begun."""

    def __init__(self, code: int | None, began: bool) -> None:
        super().__init__(code)
        self.code, self.began = code, began


def in_a_worker(
    function: Callable[Concatenate[Source, _P], Trace],
) -> Callable[Concatenate[Source, _P], Trace]:
    """Return a reader of traces that reads in a process of its own what needs one."""

    @functools.wraps(function)
    def read(source: Source, /, *args: _P.args, **how: _P.kwargs) -> Trace:
        tables: Tables = how.get("tables") or load_tables()  # type: ignore[assignment]
        wants = None if IS_WORKER else _wants(source, tables)
        if wants is None:
            return function(source, *args, **how)
        head, size = wants
        try:
            return _POOL.read(source, head, size, dict(how), tables)
        except _NoProcess:
            if head.startswith(_PARQUET):
                raise InputError(
                    "Parquet is read in a process of its own, and this machine lets none be made. "
                    "Save the table as CSV or JSON lines."
                ) from None
            return function(_joined(head, source), *args, **how)

    return read


def warm() -> None:
    """Start a worker in the background, for a file that is about to come."""
    threading.Thread(target=_POOL.warm, daemon=True).start()


def _wants(source: Source, tables: Tables) -> tuple[bytes, int] | None:
    """Return the first bytes taken from a stream, and the size, of what needs a worker."""
    most = tables.setting("trace_here_bytes")
    if isinstance(source, str | Path):
        path = Path(source)
        if not path.is_file():
            return None
        with path.open("rb") as file:
            head, size = file.read(4), path.stat().st_size
        return (head, size) if _needs(head, size, most) else None
    if isinstance(source, bytes | bytearray | memoryview):
        head, size = bytes(source[:4]), len(source)
        return (head, size) if _needs(head, size, most) else None
    begin = source.tell() if _can_seek(source) else None
    if begin is None:
        # Its size is not known: as much of it is looked at as would be read here.
        head = source.read(int(most) + 1)
        size = len(head)
    else:
        size = source.seek(0, io.SEEK_END) - begin
        source.seek(begin)
        head = source.read(4)
        if not _needs(head, size, most):
            source.seek(begin)
            return None
    return head, size


def _can_seek(source: Any) -> bool:
    seekable = getattr(source, "seekable", None)
    return bool(seekable is not None and seekable())


def _needs(head: bytes, size: int, most: float) -> bool:
    return head.startswith((_PARQUET, _GZIP)) or size > most


def _joined(head: bytes, source: Any) -> Any:
    """Return a source whose first bytes may have been taken from it, whole again."""
    if isinstance(source, str | Path | bytes | bytearray | memoryview):
        return source
    if _can_seek(source):
        source.seek(-len(head), io.SEEK_CUR)
        return source
    return _Chained(head, source)


class _Chained(io.RawIOBase):
    def __init__(self, head: bytes, rest: Any) -> None:
        super().__init__()
        self._head, self._rest = io.BytesIO(head), rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._head.read(len(buffer)) or self._rest.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)


# --- The workers --------------------------------------------------------------------------------


class _Worker:
    """One process, and the two pipes to it."""

    def __init__(self) -> None:
        if not sys.executable:
            raise OSError("there is no interpreter to start")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "frontier.trace.worker"],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env={
                **os.environ,
                "FRONTIER_READING_WORKER": "1",
                # Memory that is reserved and not used would count against the limit.
                "ARROW_DEFAULT_MEMORY_POOL": "system",
                "MALLOC_ARENA_MAX": "2",
                "OPENBLAS_NUM_THREADS": "1",
                "OMP_NUM_THREADS": "1",
            },
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._in, self._out = self.process.stdin.fileno(), self.process.stdout.fileno()
        os.set_blocking(self._in, False)
        for end in (self._in, self._out):
            with suppress(ImportError, OSError, AttributeError):
                # Larger pipes, where the system has them.
                fcntl = import_module("fcntl")
                fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, _PIPE)
        self._began = False
        self._head, self._wanted = b"", 2
        self._parts: list[bytearray] | None = None
        self._left: list[memoryview] = []

    def end(self) -> None:
        """End the process, whatever it does."""
        with suppress(OSError):
            self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            with suppress(OSError):
                pipe.close()  # type: ignore[union-attr]

    def read(
        self,
        job: Mapping[str, Any],
        take: Callable[[int], bytes | memoryview],
        progress: Progress | None,
        size: int,
        most_answer: int,
        most_s: float,
    ) -> tuple[bytes, list[bytearray]]:
        """Send a job and the file, and return the kind and the parts of the answer."""
        framed = pickle.dumps(dict(job))
        left = memoryview(len(framed).to_bytes(8, "big") + framed)
        rest, is_last = memoryview(b""), False
        so_far, until = (0, size), time.monotonic() + most_s
        self._began = False
        with selectors.DefaultSelector() as ready:
            ready.register(self._out, selectors.EVENT_READ)
            ready.register(self._in, selectors.EVENT_WRITE)
            while True:
                for key, _ in ready.select(_LOOK_S):
                    if key.fd == self._out:
                        frame = self._receive(most_answer)
                        if frame is None:
                            continue
                        if frame[0] == PROGRESS:
                            so_far = int.from_bytes(frame[1][0], "big"), size
                            if not is_last and self._in not in ready.get_map():
                                ready.register(self._in, selectors.EVENT_WRITE)
                        else:
                            return frame
                        continue
                    if not left and not rest and not is_last:
                        if not self._began:
                            ready.unregister(self._in)
                            continue
                        rest = memoryview(take(_PIECE))
                        is_last = not rest
                        left = memoryview(len(rest).to_bytes(8, "big"))
                    try:
                        written = os.writev(self._in, [left, rest])
                    except BlockingIOError:
                        continue
                    except BrokenPipeError:
                        raise _Died(self.process.wait(), self._began) from None
                    left, rest = left[written:], rest[max(0, written - len(left)) :]
                    if is_last and not left:
                        ready.unregister(self._in)
                if progress is not None:
                    progress(*so_far)
                if time.monotonic() > until:
                    raise _Died(None, True)

    def _receive(self, most: int) -> tuple[bytes, list[bytearray]] | None:
        """Take what has come; return a frame, its kind and its parts, if one is whole."""
        if self._parts is None:
            piece = os.read(self._out, self._wanted - len(self._head))
            if not piece:
                raise _Died(self.process.wait(), self._began)
            self._began = True
            self._head += piece
            if len(self._head) == 2:
                self._wanted = 2 + 8 * self._head[1]
            if len(self._head) < self._wanted:
                return None
            sizes = [
                int.from_bytes(self._head[at : at + 8], "big") for at in range(2, self._wanted, 8)
            ]
            if sum(sizes) > most:
                raise _Died(None, True)
            self._parts = [bytearray(size) for size in sizes]
            self._left = [memoryview(part) for part in self._parts if part]
        elif self._left:
            number = os.readv(self._out, self._left)
            if not number:
                raise _Died(self.process.wait(), True)
            while number:
                took = min(number, len(self._left[0]))
                self._left[0] = self._left[0][took:]
                number -= took
                if not self._left[0]:
                    del self._left[0]
        if self._left:
            return None
        kind, parts = self._head[:1], self._parts
        self._head, self._wanted, self._parts = b"", 2, None
        return kind, parts


class _Pool:
    """Some workers at most at a time, and one that is kept ready."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: _Worker | None = None
        self._busy: set[_Worker] = set()

    def warm(self) -> None:
        """Have a worker ready."""
        with self._lock:
            kept = self._kept
            if self._busy or (kept is not None and kept.process.poll() is None):
                return
        with suppress(OSError):
            self._give_back(_Worker())

    def read(
        self, source: Source, head: bytes, size: int, how: dict[str, Any], tables: Tables
    ) -> Trace:
        """Return the trace in a file, or raise what its reader raised."""
        told = how.pop("progress", None)
        progress = None if told is None else hook(told)
        how.pop("tables", None)
        taker = _Taker(b"" if isinstance(source, str | Path) else source, head)
        if isinstance(source, str | Path):
            taker.name = Path(source).name
        how["name"] = how.get("name") or taker.name
        shipped = load_tables()
        limits = _limits(size, tables)
        job = {
            "how": how,
            "settings": {
                row.setting_id: row.value
                for row in tables.settings.values()
                if row.value != shipped.settings[row.setting_id].value
            },
            "path": str(Path(source).resolve()) if isinstance(source, str | Path) else None,
            **limits,
        }
        rows = int(how.get("max_rows") or tables.setting("trace_max_rows"))
        while True:
            worker, is_fresh = self._take(progress, int(tables.setting("trace_workers")))
            try:
                kind, parts = worker.read(
                    job, taker.take, progress, size,
                    _ANSWER_WORDS + _ANSWER_BYTES_PER_ROW * rows,
                    _WAITS * limits["cpu_s"] + 2 * _WAITS,
                )  # fmt: skip
            except _Died as died:
                self._drop(worker)
                if not is_fresh and (
                    not died.began  # it ended in the moment it was taken
                    # What earlier files left behind counts against a limit on memory.
                    or (died.code not in _SLOW and taker.rewind())
                ):
                    continue
                raise InputError(_sentence(died.code)) from None
            except BaseException:
                self._drop(worker)
                raise
            break
        self._give_back(worker)
        answer = _Answers(io.BytesIO(parts[0]), buffers=parts[1:]).load()
        if kind == FAILED:
            raise _ERRORS[answer[0]](*answer[1:])
        for name in ("arrival_s", "prompt_tokens", "output_tokens", "session_id",
                     "prefix_parent", "shared_tokens"):  # fmt: skip
            array = getattr(answer, name)
            if array is not None:
                array.setflags(write=False)
        trace: Trace = answer
        return trace

    def _take(self, progress: Progress | None, most: int) -> tuple[_Worker, bool]:
        while True:
            with self._lock:
                if len(self._busy) < most:
                    kept, self._kept = self._kept, None
                    if kept is not None and kept.process.poll() is None:
                        self._busy.add(kept)
                        return kept, False
                    if kept is not None:
                        kept.end()
                    try:
                        worker = _Worker()
                    except OSError:
                        raise _NoProcess from None
                    self._busy.add(worker)
                    return worker, True
            if progress is not None:
                progress(0, 0)
            time.sleep(_LOOK_S)

    def _drop(self, worker: _Worker) -> None:
        with self._lock:
            self._busy.discard(worker)
        worker.end()

    def _give_back(self, worker: _Worker) -> None:
        with self._lock:
            self._busy.discard(worker)
            over: _Worker | None = worker
            if self._kept is None or self._kept.process.poll() is not None:
                over, self._kept = self._kept, worker
        if over is not None:
            over.end()

    def end(self) -> None:
        """End all of them."""
        with self._lock:
            workers = [*self._busy, *([self._kept] if self._kept else [])]
            self._busy, self._kept = set(), None
        for worker in workers:
            worker.end()


# Seconds on the clock for each of processor time: a host may give a quarter of a core.
_WAITS = 20.0
_POOL = _Pool()
atexit.register(_POOL.end)


class _Taker:
    """Gives the bytes of a source, piece by piece, the head that was looked at included."""

    def __init__(self, source: Any, head: bytes) -> None:
        self._pieces = self._begin = 0
        self._file: Any = None
        self._source = source
        named = getattr(source, "name", None)
        self.name = Path(named).name if isinstance(named, str) else "trace"
        if isinstance(source, bytes | bytearray | memoryview):
            self._view = memoryview(source).cast("B")
        else:
            self._file = _Chained(head, source)
            if _can_seek(source):
                self._begin = source.tell() - len(head)

    def take(self, number: int) -> bytes | memoryview:
        """Return the next bytes, none at the end."""
        self._pieces += 1
        if self._file is not None:
            return self._file.read(number) or b""
        begin = (self._pieces - 1) * number
        return self._view[begin : begin + number]

    def rewind(self) -> bool:
        """Go back to the first byte, and say whether that can be done."""
        self._pieces = 0
        if self._file is None:
            return True
        if not _can_seek(self._source):
            return False
        self._source.seek(self._begin)
        self._file = _Chained(b"", self._source)
        return True


def _limits(size: int, tables: Tables) -> dict[str, float]:
    """Return how much memory [B] and processor time [s] the reading of a file may take."""
    memory = tables.setting("trace_worker_bytes") + size * tables.setting("trace_worker_per_byte")
    return {
        "memory": min(memory, tables.setting("trace_worker_most_bytes")),
        "cpu_s": tables.setting("trace_worker_cpu_s")
        + size / 1e6 * tables.setting("trace_worker_cpu_s_per_mb"),
    }


# How a worker ends that took too long: by the signal SIGXCPU, or by the clock.
_SLOW = (-24, None)


def _sentence(code: int | None) -> str:
    """Return why a worker ended, as far as its end tells."""
    why = {
        MEMORY: "it takes more memory than a file of its size should",
        **dict.fromkeys(_SLOW, "it takes longer than a file of its size should"),
    }.get(code, "the program that unpacks it broke off")
    return (
        f"The file could not be read: {why}. It is damaged, or unpacks to far more than it seems "
        "to hold. Save the table anew, as CSV or JSON lines if that is possible, or keep a "
        "shorter part."
    )


MEMORY = 86
"""How a worker ends that would grow beyond its limit."""


# --- The answer ---------------------------------------------------------------------------------


class _Answers(pickle.Unpickler):
    """Reads what a worker answers, and nothing that is not part of a trace or of an error."""

    def find_class(self, module: str, name: str) -> Any:
        if name not in _ALLOWED.get(module, ()):
            raise InputError("The file could not be read: the answer of its reader is damaged.")
        return super().find_class(module, name)


_ERRORS: dict[str, Callable[..., InputError]] = {
    kind.__name__: kind for kind in (TraceQuestion, UnknownFormat, UnexpectedInput, InputError)
}


def packed(error: FrontierError) -> tuple[Any, ...]:
    """Return an error as it is sent: the name of its kind and what it is made of."""
    if isinstance(error, TraceQuestion):
        return "TraceQuestion", str(error), error.parameter, error.choices
    if isinstance(error, UnknownFormat):
        return "UnknownFormat", str(error), error.columns, error.suggested
    kind = "UnexpectedInput" if isinstance(error, UnexpectedInput) else "InputError"
    return kind, str(error)
