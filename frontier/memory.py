"""Memory of a process that many people share: how much it has, and results kept within bytes.

A store forgets what is least worth its bytes once what it keeps is larger than it may be; what is
in use stays, however large. Before new work the process looks at its own size. Near its limit it
lets go of what is least worth its bytes in any store, since all of it can be made again, and it
refuses in a sentence only what has no room beside what is in use. Left out: the size of what others
hold beside the stores, which shows in the size of the process alone; and every system without
/proc, where that size is unknown and nothing is refused.

What a result is worth follows GreedyDual-Size (P. Cao and S. Irani, Cost-aware WWW proxy caching
algorithms, USENIX Symposium on Internet Technologies and Systems, 1997): the seconds that it took
to make over its bytes, above a clock that rises to the worth of whatever was forgotten last. So a
small result that took long outlives large ones that are made quickly, and goes too if nobody uses
it while others come and go.
"""

from __future__ import annotations

import dataclasses
import gc
import heapq
import itertools
import math
import os
import threading
import time
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from frontier.errors import InfeasibleError
from frontier.heaps import trim
from frontier.tables import Tables, load_tables
from frontier.units import BYTES_PER_MB

LIMIT = "FRONTIER_MEMORY_MB"
"""Environment variable: the size of the process from which on it takes no new work [MB]."""

_STATUS = Path("/proc/self/status")
_BOUNDS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
# Streamlit Community Cloud runs an app here; its machines have more memory than an app may take.
_COMMUNITY_CLOUD = Path("/mount/src")
_BYTES_PER_KIB = 1024
_TICK_S = 0.1
# Giving back takes some 60 ms of a core: so long it may wait, and no one asks twice meanwhile.
_CALM_S = 2.0
_OBJECT_BYTES = 64
# An array of so many is counted once in a store, however many of its results hold it.
_LARGE_BYTES = 4096
# The part of a store that is for what is not in use, however much is.
_BESIDE = 1 / 8
# Of what nobody timed: among such the smaller are worth more, as by the least that others take.
_LEAST_S = 1e-3
_MOST_LOOKED_AT = 4000
_FEW = 64
# Work of less never waits for room.
_SMALL_WORK_BYTES = 16_000_000
_NAMES: dict[type, tuple[str, ...] | None] = {}
_NOTHING = frozenset((type(None), bool, int, float, np.float64, np.int64, type))


def resident_mb() -> float | None:
    """Return the memory that this process holds [MB]; None where the system does not say."""
    with suppress(OSError, ValueError, IndexError):
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * _BYTES_PER_KIB / BYTES_PER_MB
    return None


def limit_mb(tables: Tables) -> float:
    """Return the size from which on this process takes no new work [MB].

    That of the environment, if it names one; else a share of the machine's memory or of the
    container's, and no less than what the smallest supported host has.
    """
    least = tables.setting("memory_least_mb")
    asked = os.environ.get(LIMIT, "")
    with suppress(ValueError):
        return max(float(asked), 1.0)
    if _COMMUNITY_CLOUD.is_dir():
        return least
    return max(least, tables.setting("memory_share") * _machine_mb())


def _machine_mb() -> float:
    found = []
    with suppress(OSError, ValueError, AttributeError):
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / BYTES_PER_MB)
    for path in _BOUNDS:
        with suppress(OSError, ValueError):
            found.append(int(path.read_text()) / BYTES_PER_MB)
    return min(found, default=0.0)


def require_room(tables: Tables, what: str, *, is_patient: bool = False) -> None:
    """Raise an `InfeasibleError` where the process is too large for new work.

    Before that it gives back what is least worth its bytes: some of it from a share of the limit
    on, the more the nearer the limit, and all of it at the limit. What is free in the heaps is
    used again and not always given back: a process that stays large forgets no more for that.

    Parameters
    ----------
    what : str
        What is refused, as the sentence names it: "this simulation".
    is_patient : bool
        Whether what was given back a moment ago is enough: for what may be asked very often.
    """
    most_mb = limit_mb(tables)
    aim_mb = tables.setting("memory_aim_share") * most_mb
    if (held_mb := resident_mb()) is None or held_mb < aim_mb:
        _note_kept()
        return
    with _giving:
        held_mb = _down_to(aim_mb, most_mb, is_patient=is_patient)
    if held_mb is not None and held_mb >= most_mb:
        raise InfeasibleError(
            f"This server holds {held_mb:,.0f} MB, and at {most_mb:,.0f} MB it takes no new work: "
            f"there is no room for {what}. Try again in a minute, take fewer requests or days, or "
            f"run Frontier on your own machine, where {LIMIT} sets this limit."
        )


def held_share(tables: Tables) -> float:
    """Return the size of this process over that from which on it takes no new work [1].

    Nothing where the system does not say.
    """
    held_mb = resident_mb()
    return 0.0 if held_mb is None else held_mb / limit_mb(tables)


def _down_to(aim_mb: float, most_mb: float, *, is_patient: bool) -> float | None:
    """Forget what is least worth its bytes, until the size is down; return that [MB]."""
    global _looked_s
    held_mb = resident_mb()
    if held_mb is None or held_mb < aim_mb:
        return held_mb
    if (held_mb < most_mb or is_patient) and time.monotonic() < _looked_s + _CALM_S:
        return held_mb
    share = (most_mb - held_mb) / (most_mb - aim_mb) if held_mb < most_mb else 0.0
    over = (held_mb - aim_mb) * BYTES_PER_MB
    _forget_least(min(over, _kept_bytes() - share * (_kept_below or _kept_bytes())))
    trim()
    held_mb = resident_mb()
    if held_mb is not None and held_mb >= most_mb:
        _forget_least(math.inf)
        give_back(thoroughly=True)
        held_mb = resident_mb()
    _looked_s = time.monotonic()
    return held_mb


def _kept_bytes() -> int:
    return sum(store.held_bytes for store in tuple(_STORES))


def _note_kept() -> None:
    """Note what is kept while there is room: it is the measure once there is little."""
    global _kept_below
    _kept_below = _kept_bytes()


def _forget_least(size: float) -> None:
    """Forget so many bytes of what all stores keep, what is least worth them first."""
    kept = [one for store in tuple(_STORES) for one in store.by_worth()]
    for worth, held, key, store in sorted(kept, key=lambda one: one[0]):
        if size <= 0:
            return
        _of_all.raise_to(worth[0])
        store.forget(key)
        size -= held


def spare_the_lasting() -> None:
    """Let collections pass over what is there now, libraries above all; looks at nothing itself.

    Libraries are nearly all there is to look through. What goes round in circles and is done with
    later waits for the next thorough `give_back`.
    """
    gc.freeze()


def give_back(*, thoroughly: bool = False) -> None:
    """Give what is free back to the system, what only refers to itself among it.

    Who asks for one while it goes on gets the next, and one is enough for all of them.

    Parameters
    ----------
    thoroughly : bool, optional
        Look through what was spared too. It holds up whoever computes for 0.2 s, where what came
        since takes a fifth of that.
    """
    global _collected, _thorough_wanted
    with _soon:
        asked = next(_asked)
        _thorough_wanted = _thorough_wanted or thoroughly
    with _collecting:
        if _collected >= asked:
            return
        with _soon:
            newest = next(_asked)
            thoroughly, _thorough_wanted = _thorough_wanted, False
        if thoroughly:
            gc.unfreeze()
        gc.collect()
        if thoroughly:
            spare_the_lasting()
        trim()
        _collected = newest


class _Soon:
    """Does something in a moment, on a thread of its own, however often it is asked meanwhile.

    Parameters
    ----------
    wait_s : float
        How long after it was asked first [s].
    """

    def __init__(self, wait_s: float, does: Callable[[], None]) -> None:
        self._wait_s, self._does = wait_s, does
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()

    def __call__(self) -> None:
        """Ask for it."""
        with self._lock:
            if self._timer is None:
                self._timer = threading.Timer(self._wait_s, self._now)
                self._timer.daemon = True
                self._timer.start()

    def _now(self) -> None:
        with self._lock:
            self._timer = None
        self._does()


def give_back_soon() -> None:
    """Give back what came since in a moment; after a run, which leaves a little of it."""
    _giving_back_soon()


def give_back_all_soon() -> None:
    """Give back at once, what was spared too; after someone has left, whose trace may be in it."""
    _giving_back_all_soon()


def size_of(value: Any) -> int:
    """Return about how many bytes a result holds: its arrays, and a little for all else.

    Tables are shared by all and count as nothing. Of a result of very many parts the first few
    thousand are looked at.
    """
    own, large = _parts_of(value)
    return own + sum(large.values())


def _parts_of(value: Any) -> tuple[int, dict[int, int]]:
    """Return a result's bytes but for its large arrays, and the bytes of each of those by its id.

    Several results may hold the same large array.
    """
    seen: set[int] = set()
    waiting, total = deque([value]), 0
    large: dict[int, int] = {}
    # The nearest first: what is large lies near the top of a result.
    while waiting and len(seen) < _MOST_LOOKED_AT:
        one = waiting.popleft()
        kind = type(one)
        if id(one) in seen or kind in _NOTHING:
            continue
        # Most are of kinds whose parts are known by now; shared tables and functions never are.
        if names := _NAMES.get(kind):
            seen.add(id(one))
            total += _OBJECT_BYTES
            parts = [getattr(one, name, None) for name in names]
            waiting += [part for part in parts if type(part) not in _NOTHING]
            continue
        if kind is Tables or callable(one):
            continue
        seen.add(id(one))
        total += _OBJECT_BYTES
        if isinstance(one, np.ndarray):
            if one.nbytes >= _LARGE_BYTES:
                large[id(one)] = one.nbytes
            else:
                total += one.nbytes
        elif isinstance(one, bytes | bytearray | str):
            total += len(one)
        elif isinstance(one, dict):
            waiting += [part for part in (*one.keys(), *one.values()) if type(part) not in _NOTHING]
        elif isinstance(one, tuple | list | set | frozenset | OrderedDict):
            waiting += [part for part in one if type(part) not in _NOTHING]
        elif (names := _names_of(kind)) is not None:
            waiting += [getattr(one, name, None) for name in names]
        elif hasattr(one, "memory_usage"):
            total += int(np.sum(one.memory_usage()))
        elif isinstance(one, memoryview):
            total += one.nbytes
        else:
            waiting += list(getattr(one, "__dict__", {}).values())
    return total, large


def _names_of(kind: type) -> tuple[str, ...] | None:
    if kind not in _NAMES:
        if dataclasses.is_dataclass(kind):
            _NAMES[kind] = tuple(one.name for one in dataclasses.fields(kind))
        else:
            own = kind.__dict__.get("__slots__", ())
            _NAMES[kind] = tuple(name for name in own if name != "__weakref__") or None
    return _NAMES[kind]


@contextmanager
def room_for(size: float, is_over: Callable[[], object]) -> Iterator[None]:
    """Do something that needs so many bytes when they are there beside what others need.

    What is alone begins however little there is.

    Parameters
    ----------
    is_over : callable
        Asked ten times a second while this waits; true ends the waiting.
    """
    if size < _SMALL_WORK_BYTES:
        yield
        return
    with _room:
        while not _has_room(size) and _at_work and not is_over():
            _room.wait(_TICK_S)
        _at_work.append(size)
    try:
        yield
    finally:
        with _room:
            _at_work.remove(size)
            _room.notify_all()


def _has_room(size: float) -> bool:
    """Return whether so many bytes are left below the limit when all that is begun has its own."""
    held_mb, most_mb = resident_mb(), limit_mb(load_tables())
    needed_mb = (sum(_at_work) + size) / BYTES_PER_MB
    if held_mb is None or held_mb + needed_mb <= most_mb:
        return True
    # What was given back to the C library counts as the process's own until this.
    trim()
    return (resident_mb() or 0.0) + needed_mb <= most_mb


def stopwatch() -> Callable[[], float]:
    """Return what says how long something takes that begins now [s].

    No more than the processor time of the process meanwhile: waiting costs nothing. No more than
    the time either, in which others compute too.
    """
    begun_s, used_s = time.monotonic(), time.process_time()
    return lambda: min(time.monotonic() - begun_s, time.process_time() - used_s)


class ById:
    """An object told from others by what it is and not by what it holds: a key of a bounded cache.

    The key holds the object, so that no other one can come to have its id.
    """

    __slots__ = ("held",)

    def __init__(self, held: Any) -> None:
        self.held = held

    def __hash__(self) -> int:
        return id(self.held)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ById) and self.held is other.held


class _Clock:
    """The worth of what was forgotten last: what is used from then on is worth so much more."""

    __slots__ = ("worth",)

    def __init__(self) -> None:
        self.worth = 0.0

    def raise_to(self, worth: float) -> None:
        """Let it be no less than that [s/B]."""
        self.worth = max(self.worth, worth)


@dataclasses.dataclass(slots=True, eq=False)
class _Kept:
    """A value of a store.

    Attributes
    ----------
    own : int
        About how many bytes it holds but for its large arrays.
    large : dict of int to int
        The bytes of each of those, by its id.
    seconds : float
        How long it took to make [s].
    brought : int
        How many bytes came into the store with it: all but the arrays that were there already.
    turn, at : int
        The turn in which it was used last, and its place among all uses.
    worth, worth_of_all : float
        Among what its store keeps and among what all stores keep [s/B].
    """

    value: Any
    own: int
    large: dict[int, int]
    seconds: float
    brought: int = 0
    turn: int = 0
    at: int = 0
    worth: float = 0.0
    worth_of_all: float = 0.0


class Store:
    """A mapping that forgets what is least worth its bytes once it holds more than so many.

    Parameters
    ----------
    most_mb : float
        Of what it keeps [MB].
    spares_used : bool
        Whether what was used since the last but one `begin_turn` stays, however large. Else only
        the newest stays: who uses something keeps it in a store of their own meanwhile.
    """

    def __init__(self, most_mb: float, *, spares_used: bool) -> None:
        self._spares_used = spares_used
        self._most = most_mb * BYTES_PER_MB
        self._kept: dict[Hashable, _Kept] = {}
        self._holders: dict[int, int] = {}
        # Who goes next, and places of those that were used since or went otherwise.
        self._line: list[tuple[float, int, Hashable]] = []
        self._bytes = 0
        self._turn = 0
        self._clock = _Clock()
        self._lock = threading.RLock()
        self._making: dict[Hashable, threading.Event] = {}
        _STORES.add(self)

    @property
    def held_bytes(self) -> int:
        """About how many bytes it keeps."""
        return self._bytes

    @property
    def most_bytes(self) -> float:
        """How many bytes it may keep."""
        return self._most

    def begin_turn(self) -> None:
        """Say that what is in use begins anew: a page is drawn again."""
        with self._lock:
            self._turn += 1
            self._make_room()

    def get(self, key: Hashable) -> Any | None:
        """Return what is kept under that key, or None."""
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                return None
            self._use(key, found)
            return found.value

    def put(self, key: Hashable, value: Any, seconds: float = 0.0) -> None:
        """Keep a value, and forget what there is no room for any more.

        Parameters
        ----------
        seconds : float
            How long it took to make, as a `stopwatch` says it; nothing if nobody knows [s].
        """
        self._put(key, _Kept(value, *_parts_of(value), seconds))

    def share(self, key: Hashable, other: Store) -> Any | None:
        """Return what another store keeps under that key, and keep it here too; None if nothing."""
        with other._lock:
            if other.get(key) is None:
                return None
            theirs = other._kept[key]
        self._put(key, _Kept(theirs.value, theirs.own, theirs.large, theirs.seconds))
        return theirs.value

    def _put(self, key: Hashable, kept: _Kept) -> None:
        with self._lock:
            self._drop(key)
            self._kept[key] = kept
            kept.brought = kept.own
            for at, size in kept.large.items():
                self._holders[at] = self._holders.get(at, 0) + 1
                if self._holders[at] == 1:
                    kept.brought += size
            self._bytes += kept.brought
            self._use(key, kept)
            self._make_room(newest=key)

    def _use(self, key: Hashable, kept: _Kept) -> None:
        kept.turn, kept.at = self._turn, next(_USES)
        each = max(kept.seconds, _LEAST_S) / max(kept.brought, _OBJECT_BYTES)
        kept.worth = self._clock.worth + each
        kept.worth_of_all = _of_all.worth + each
        heapq.heappush(self._line, (kept.worth, kept.at, key))
        if len(self._line) > 2 * len(self._kept) + _FEW:
            self._line = [(one.worth, one.at, key) for key, one in self._kept.items()]
            heapq.heapify(self._line)

    def get_or_make(
        self, key: Hashable, make: Callable[[], Any], tick: Callable[[], object] | None = None
    ) -> Any:
        """Return what is kept under that key; made once, however many ask for it at a time.

        Parameters
        ----------
        tick : callable, optional
            Called ten times a second while another thread makes it; may raise to stop waiting.
        """
        while True:
            with self._lock:
                kept = self.get(key)
                if kept is not None:
                    return kept
                made = self._making.get(key)
                if made is None:
                    mine = self._making[key] = threading.Event()
                    break
            while not made.wait(_TICK_S):
                if tick is not None:
                    tick()
        try:
            taken_s = stopwatch()
            kept = make()
            self.put(key, kept, taken_s())
            return kept
        finally:
            # Who waits looks again, and makes it where this one could not or was stopped.
            with self._lock:
                del self._making[key]
            mine.set()

    def forget(self, key: Hashable) -> None:
        """Forget what is kept under that key, if anything is."""
        with self._lock:
            self._drop(key)

    def by_worth(self) -> list[tuple[tuple[float, int], int, Hashable, Store]]:
        """Return of each value its worth among all and when it was used, bytes, key and store."""
        with self._lock:
            return [
                ((one.worth_of_all, one.at), one.brought, key, self)
                for key, one in self._kept.items()
            ]

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()
            self._holders.clear()
            self._line.clear()
            self._bytes = 0

    def _make_room(self, newest: Hashable = None) -> None:
        if self._bytes <= self._most:
            return
        in_use = {}
        if self._spares_used:
            # A run that was stopped early has not come to what the one before it used.
            spared = self._turn - 1
            in_use = {key: one for key, one in self._kept.items() if one.turn >= spared}
        if newest in self._kept:
            in_use[newest] = self._kept[newest]
        large = {at: size for one in in_use.values() for at, size in one.large.items()}
        needed = sum(one.own for one in in_use.values()) + sum(large.values())
        most = max(self._most, needed + _BESIDE * self._most)
        aside = []
        while self._bytes > most and self._line:
            worth, at, key = heapq.heappop(self._line)
            one = self._kept.get(key)
            if one is None or one.at != at:
                continue  # used since, and further back in the line
            if key in in_use:
                aside.append((worth, at, key))
                continue
            self._clock.raise_to(worth)
            self._drop(key)
        for place in aside:
            heapq.heappush(self._line, place)

    def _drop(self, key: Hashable) -> None:
        found = self._kept.pop(key, None)
        if found is None:
            return
        self._bytes -= found.own
        for at, size in found.large.items():
            self._holders[at] -= 1
            if not self._holders[at]:
                del self._holders[at]
                self._bytes -= size


_STORES: weakref.WeakSet[Store] = weakref.WeakSet()
_USES = itertools.count()
_of_all = _Clock()
_giving, _soon = threading.Lock(), threading.Lock()
# Whole collections: who asked for one, in numbers, and up to which number it was done.
_collecting, _asked, _collected = threading.Lock(), itertools.count(1), 0
_room = threading.Condition()
_at_work: list[float] = []
_looked_s, _kept_below = -math.inf, 0
_thorough_wanted = False
_giving_back_soon = _Soon(_CALM_S, lambda: give_back())
_giving_back_all_soon = _Soon(0.0, lambda: give_back(thoroughly=True))
