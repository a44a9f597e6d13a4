"""The simulation is compiled in a process of its own while a server already answers.

The first run of a kernel on a host takes some seconds of compiling, most of them with the
interpreter's lock held. A server therefore lets another process do it, which leaves the result in
numba's cache on disk; who simulates meanwhile waits for that process instead of compiling a second
time. Command line and tests start none, and compile when they first simulate.

Left out: hosts where no cache can be written. The process sees that and ends at once, and the
server compiles for itself.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PLAIN, TICKING = "plain", "ticking"
"""What is compiled beforehand: prompts read in chunks; the same under a scaler that ticks."""

_KERNEL = Path(__file__).with_name("kernel.py")
_GROUP = Path("/sys/fs/cgroup")
_LOOK_S = 0.05


class _Compiling:
    """One process that compiles, and what it has said to be done."""

    def __init__(self) -> None:
        self.done: set[str] = set()
        self.over = threading.Event()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "frontier.compile_ahead"],
            cwd=_KERNEL.parents[1],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        try:
            with self.process, suppress(OSError, ValueError):
                for line in self.process.stdout or ():
                    self.done.add(line.strip())
        finally:
            self.over.set()


_lock = threading.Lock()
_running: _Compiling | None = None
# Looked for until it is found: every page asks.
_is_kept = False


def begin() -> None:
    """Start to compile, once a process and only where that was not done before on this host."""
    global _running, _is_kept
    if _is_kept or os.environ.get("NUMBA_DISABLE_JIT", "0") != "0":
        return
    with _lock:
        if _running is None:
            _is_kept = is_kept()
            if not _is_kept:
                with suppress(OSError):
                    _running = _Compiling()


def is_under_way(kind: str = PLAIN) -> bool:
    """Whether that is being compiled right now."""
    return _running is not None and not _running.over.is_set() and kind not in _running.done


def wait(kind: str, stop: NDArray[np.uint8] | None = None) -> None:
    """Wait while another process compiles that.

    Parameters
    ----------
    stop : ndarray of uint8, shape (1,), optional
        Ends the wait soon after another thread has set it.
    """
    while is_under_way(kind) and not (stop is not None and stop[0]):
        if _running is None or _running.over.wait(_LOOK_S):
            return


def is_kept() -> bool:
    """Whether numba's cache holds the present kernel, compiled by this version of Python."""
    name = f"kernel._run-*.py{sys.version_info[0]}{sys.version_info[1]}.nbi"
    asked = os.environ.get("NUMBA_CACHE_DIR")
    kept = Path(asked).glob(f"*/{name}") if asked else (_KERNEL.parent / "__pycache__").glob(name)
    with suppress(OSError):
        written = _KERNEL.stat().st_mtime
        return any(path.stat().st_mtime >= written for path in kept)
    return False


def cores() -> float:
    """Return the cores that this process may use, by its affinity and its container's quota."""
    count = float(os.cpu_count() or 1)
    if hasattr(os, "sched_getaffinity"):
        count = min(count, len(os.sched_getaffinity(0)))
    for quota, period in (
        ("cpu.max", None),
        ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"),
    ):
        with suppress(OSError, ValueError, IndexError, ZeroDivisionError):
            words = (_GROUP / quota).read_text().split()
            if period is not None:
                words.append((_GROUP / period).read_text().strip())
            if float(words[0]) > 0:
                count = min(count, float(words[0]) / float(words[1]))
    return count
