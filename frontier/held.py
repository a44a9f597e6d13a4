"""Sessions of a run, kept while there is room and made again where somebody asks for them later.

A run of many short sessions holds more bytes than all that is ever said of it: a bill needs what
its meters read, a table the seconds and the number of starts. Those stay; the rows share a store
of so many bytes with the rows of all other runs, and the same run is made again where they were
forgotten. A run is deterministic, so that nothing changes by it but time.

Left out: rows that nothing can make again, and the few of a fixed number of replicas. They stay.
"""

from __future__ import annotations

import functools
import itertools
import weakref
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frontier.memory import Store, stopwatch
from frontier.simulate import SessionSeconds, session_seconds
from frontier.tables import load_tables

Rows = NDArray[np.void]

_FEW_ROWS = 64
_NUMBERS = itertools.count()


class Held:
    """The sessions of one run, and what was read from them.

    Parameters
    ----------
    rows : structured ndarray
        As `simulate.RunResult` has them.
    make : callable, optional
        Makes them again, the same to the bit; without it they stay.
    """

    __slots__ = ("__weakref__", "_key", "_make", "_read", "_rows", "count", "seconds", "starts")

    def __init__(self, rows: Rows, make: Callable[[], Rows] | None = None) -> None:
        self.count = int(rows.size)
        self.seconds: SessionSeconds = session_seconds(rows)
        """Seconds of all of them."""
        self.starts = int(np.count_nonzero(rows["cold_start_index"] >= 0))
        """How many starts there were; what was up at time 0 is none."""
        self._read: dict[Hashable, Any] = {}
        self._make: Callable[[], Rows] | None = None
        self._rows: Rows | None = rows
        self._key = next(_NUMBERS)
        if make is not None:
            self.can_make(make)

    def __reduce__(self) -> tuple[Any, ...]:
        # Whoever gets it elsewhere has another process's store.
        return _carried, (self.rows, self._read)

    @property
    def rows(self) -> Rows:
        """The sessions, made again where they were forgotten; read-only."""
        if self._rows is not None:
            return self._rows
        found: Rows | None = _kept().get(self._key)
        if found is None and self._make is not None:
            taken_s = stopwatch()
            found = self._make()
            _kept().put(self._key, found, taken_s())
        assert found is not None
        return found

    def can_make(self, make: Callable[[], Rows]) -> None:
        """Say how the rows are made again, so that they may be forgotten; few of them stay."""
        if self.count <= _FEW_ROWS:
            return
        self._make, rows = make, self._rows
        if rows is not None:
            self._rows = None
            # More than all may keep waits until somebody looks at it.
            if rows.nbytes <= _kept().most_bytes:
                _kept().put(self._key, rows)
            weakref.finalize(self, _kept().forget, self._key).atexit = False

    def read(self, key: Hashable, read: Callable[[], Any]) -> Any:
        """Return what was read from the rows under that key, read only once."""
        found = self._read.get(key)
        if found is None:
            found = self._read[key] = read()
        return found


def _carried(rows: Rows, read: dict[Hashable, Any]) -> Held:
    held = Held(rows)
    held._read.update(read)
    return held


@functools.cache
def _kept() -> Store:
    """Return what holds the rows that may be forgotten, of all runs of this process."""
    return Store(load_tables().setting("store_sessions_mb"), spares_used=False)
