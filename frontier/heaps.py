"""What the system gives a process: few heaps, what is free in them given back, and idle code.

Its own module, and without any other, so that a server can say how many heaps there may be before
it loads anything. Left out: every C library but glibc, and systems without /proc, where nothing
happens.
"""

from __future__ import annotations

import ctypes
import functools
import sys
from contextlib import suppress
from pathlib import Path

_MAPS = Path("/proc/self/smaps")
_COMPILER = "libllvmlite"
# As mman.h of Linux has it: what is mapped from a file is read from it again where it is needed.
_MADV_DONTNEED = 4
# As malloc.h of glibc has it, and what is often set for servers of threads.
_M_ARENA_MAX, _ARENAS = -8, 2


def keep_together() -> None:
    """Let threads share a few heaps, where the C library can: each has a half-empty one else.

    To be called before there are many threads: once glibc has made eight heaps it makes eight for
    each core, whatever it is told.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").mallopt(_M_ARENA_MAX, _ARENAS)


def trim() -> None:
    """Give back what is free, where the C library can, and the code of the compiler.

    That code is 70 MB, mapped from disk and read again from there if anything is compiled; once
    all is, nothing of it runs.
    """
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL("libc.so.6")
        library.malloc_trim(0)
        # It has the function that compiles once it is there as a whole, its library before it.
        is_there = hasattr(sys.modules.get("numba"), "njit")
        for start, size in _code_of_compiler() if is_there else ():
            library.madvise(ctypes.c_void_p(start), ctypes.c_size_t(size), _MADV_DONTNEED)


@functools.cache
def _code_of_compiler() -> tuple[tuple[int, int], ...]:
    """Return address and size of each part of the compiler's library as it stands on disk [B]."""
    parts: list[tuple[int, int]] = []
    span, is_wanted = (0, 0), False
    with suppress(OSError, ValueError):
        for line in _MAPS.read_text(errors="replace").splitlines():
            words = line.split()
            if not words[0].endswith(":"):
                start, _, end = words[0].partition("-")
                span = int(start, 16), int(end, 16) - int(start, 16)
                is_wanted = "w" not in words[1] and _COMPILER in words[-1]
            elif is_wanted and words[0] == "Anonymous:" and words[1] == "0":
                # What was written to since, as the loader does, stands in memory alone.
                parts.append(span)
    return tuple(parts)
