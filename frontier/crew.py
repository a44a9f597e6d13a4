"""Who does the work of a sweep: a crew, of threads here or of other machines.

A piece of work is a function of what all pieces share, of one item and of a flag that tells it to
stop. `Threads` calls it in this process; `cluster` has another crew, which ships function, shared
part and items. Nothing here knows what the work is.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from frontier.answers import ANSWERS, TICK_S
from frontier.compiling import cores

Shared = TypeVar("Shared")
Item = TypeVar("Item")
Found = TypeVar("Found")
Progress = Callable[[int, int], None]
Work = Callable[[Shared, Item, NDArray[np.uint8]], Found]


class Crew(Protocol):
    """Does the same work on many items."""

    def run(
        self,
        work: Work[Shared, Item, Found],
        shared: Shared,
        items: Sequence[Item],
        *,
        progress: Progress | None = None,
    ) -> list[Found]:
        """Return what the work makes of each item, in their order.

        Parameters
        ----------
        work : callable
            A function of a module, that other processes can import. It gets what is shared, an
            item, and a flag of shape (1,), which is 1 once it should stop.
        shared : object
            The same for all items: arrays and frozen rows, and no tables.
        items : sequence
        progress : callable, optional
            Called in this thread with (done, all), at least ten times a second. Whatever it raises
            stops the crew before it leaves: this is how a caller cancels.
        """
        ...


@dataclass(frozen=True, slots=True)
class Threads:
    """Threads of this process: the kernel lets go of the interpreter's lock.

    Attributes
    ----------
    workers : int or None
        How many; as many as there are cores if None.
    """

    workers: int | None = None

    def run(
        self,
        work: Work[Shared, Item, Found],
        shared: Shared,
        items: Sequence[Item],
        *,
        progress: Progress | None = None,
    ) -> list[Found]:
        """Return what the work makes of each item; see `Crew`."""
        return in_threads(
            lambda item, stop: work(shared, item, stop),
            items,
            progress=progress,
            workers=self.workers,
        )


THREADS = Threads()


@dataclass(frozen=True, slots=True)
class Here:
    """The thread that asks: for work of a moment, which is over before other threads have begun.

    It is stopped between two items only, so that each has to be short.
    """

    def run(
        self,
        work: Work[Shared, Item, Found],
        shared: Shared,
        items: Sequence[Item],
        *,
        progress: Progress | None = None,
    ) -> list[Found]:
        """Return what the work makes of each item; see `Crew`."""
        found: list[Found] = []
        said_s = time.monotonic()
        for item in items:
            if progress is not None and time.monotonic() > said_s + TICK_S:
                progress(len(found), len(items))
                said_s = time.monotonic()
            found.append(work(shared, item, np.zeros(1, dtype=np.uint8)))
        return found


HERE = Here()


def in_threads(
    work: Callable[[Item, NDArray[np.uint8]], Found],
    items: Sequence[Item],
    *,
    progress: Callable[[int, int], None] | None = None,
    workers: int | None = None,
) -> list[Found]:
    """Return what ``work`` makes of each item, in their order, made in threads.

    Parameters
    ----------
    work : callable
        Gets an item and a flag of shape (1,), which is 1 once it should stop.
    progress : callable, optional
        As for `Crew.run`.
    workers : int, optional
        Threads; as many as there are cores if None.
    """
    stop = np.zeros(1, dtype=np.uint8)
    found: dict[int, Found] = {}
    # Taken one by one, so that a thread that drew short ones goes on with the next.
    waiting = iter(range(len(items)))
    # Work that has work done holds a turn, and would wait for its own.
    is_within = _TURNS.are_held_here()
    gives_way = ANSWERS.comes_after()
    # Who draws has a place, in which one of the threads works while they are waited for.
    has_place = ANSWERS.holder()

    # Set once there is nothing left to take: who still waits for a turn then needs none.
    over = np.zeros(1, dtype=np.uint8)

    def take(number: int) -> None:
        while not stop[0] and not over[0]:
            if gives_way:
                ANSWERS.give_way(lambda: bool(stop[0]))
            is_free = is_within or (number == 0 and has_place())
            # Between two items, so that no sweep keeps the others of this process waiting.
            turn = nullcontext(True) if is_free else _TURNS.turn(over, is_first=not gives_way)
            with turn as has_turn:
                if not has_turn or stop[0]:
                    return
                index = next(waiting, None)
                if index is None:
                    over[0] = 1
                    return
                found[index] = work(items[index], stop)

    count = min(workers or _cores(), len(items))
    pool = ThreadPoolExecutor(count or 1)
    running = [pool.submit(take, number) for number in range(count)]
    try:
        with ANSWERS.aside() if gives_way else nullcontext():
            while len(found) < len(items):
                done, left = wait(running, timeout=TICK_S, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
                running = list(left)
                if progress is not None:
                    progress(len(found), len(items))
                if len(found) < len(items):
                    ANSWERS.give_way()
    except BaseException:
        stop[0] = over[0] = 1
        pool.shutdown()
        raise
    # One that waits for a turn in vain goes by itself.
    over[0] = 1
    pool.shutdown(wait=False)
    return [found[index] for index in range(len(items))]


def _cores() -> int:
    return max(1, min(8, math.ceil(cores())))


class Turns:
    """Lets a few at a time through, in the order in which they came.

    Many people sweep in one process. Without turns all their runs would go on at once, each slower
    and each with its arrays in memory; with them each waits for one run of each other at most.

    Parameters
    ----------
    places : int
        How many at a time.
    """

    def __init__(self, places: int) -> None:
        self._free = places
        self._line: deque[threading.Event] = deque()
        self._last: deque[threading.Event] = deque()
        self._lock = threading.Lock()
        self._inside = threading.local()

    def are_held_here(self) -> bool:
        """Return whether this thread has a place."""
        return getattr(self._inside, "has_turn", False)

    @contextmanager
    def turn(self, stop: NDArray[np.uint8], *, is_first: bool = True) -> Iterator[bool]:
        """Wait for a place and hold it; give whether there is one, which a stop ends early.

        Who is not among the first waits until none of them does.
        """
        has_turn = self._come(stop, self._line if is_first else self._last)
        self._inside.has_turn = has_turn
        try:
            yield has_turn
        finally:
            self._inside.has_turn = False
            if has_turn:
                self._leave()

    def _come(self, stop: NDArray[np.uint8], line: deque[threading.Event]) -> bool:
        called = threading.Event()
        with self._lock:
            if self._free:
                self._free -= 1
                return True
            line.append(called)
        while not called.wait(TICK_S):
            if stop[0]:
                with self._lock:
                    if not called.is_set():
                        line.remove(called)
                        return False
        return True

    def _leave(self) -> None:
        with self._lock:
            if line := self._line or self._last:
                line.popleft().set()
            else:
                self._free += 1


_TURNS = Turns(_cores())
