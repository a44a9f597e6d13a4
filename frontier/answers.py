"""Whose page is drawn now: many share one interpreter, and an answer goes before what follows.

Twenty pages drawn at a time would each take twenty times as long, and what listens to browsers
would hardly get a word in. So a few are drawn at a time, as many as there are cores. Who has had
least of it comes first, so that a click which takes a moment does not wait for one that takes
seconds; who has waited long comes before all. What comes after an answer waits until no other
answer is on its way. Left out: the runs of a sweep, which take turns of their own (`crew.Turns`),
so that whoever waits for them lets go of the place meanwhile.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from frontier.compiling import cores

TICK_S = 0.1
"""How often one who waits looks whether it still should [s]."""
# How often long work looks up at most [s].
_STEP_S = 0.02
# How long an answer, or a piece of what comes after one, waits for those before it.
PATIENCE_S = 2.0
# How long what comes after an answer waits in all, where other answers never end; from then on it
# is drawn a quantum at a time.
_LONG_PATIENCE_S = 10.0
_QUANTUM_S = 0.5


@dataclass(slots=True, eq=False)
class _Run:
    """One run of a page.

    Attributes
    ----------
    is_over : callable or None
        Asked while it waits; true, or anything it raises, ends the waiting.
    stands : bool
        Whether its answer stands.
    held_s : float
        How long it has had a place so far.
    since_s : float or None
        Since when it has one now; None if it has none.
    came_s : float
        When it began to wait.
    waited_s : float
        How long it has waited in all since its answer stands.
    looked_s : float
        When it last looked up from something long.
    called : Event
        Set once it has got a place.
    """

    is_over: Callable[[], object] | None
    stands: bool = False
    held_s: float = 0.0
    since_s: float | None = None
    came_s: float = 0.0
    waited_s: float = 0.0
    looked_s: float = 0.0
    called: threading.Event = field(default_factory=threading.Event)

    def is_long(self) -> bool:
        """Whether it has had its place for long."""
        return self.since_s is not None and time.monotonic() - self.since_s > _QUANTUM_S

    def patience_s(self) -> float:
        """How long it may be kept waiting now; what comes after an answer has so long in all."""
        return max(PATIENCE_S, _LONG_PATIENCE_S - self.waited_s) if self.stands else PATIENCE_S


class Answers:
    """Who is on the way to an answer, and which few are drawn at a time.

    A thread begins an answer and says when it stands; what it does from then on comes after.

    Parameters
    ----------
    places : int, optional
        How many are drawn at a time; as many as there are cores if None.
    """

    def __init__(self, places: int | None = None) -> None:
        self._free = max(1, math.ceil(cores())) if places is None else places
        self._under_way: set[_Run] = set()
        self._waiting: list[_Run] = []
        self._changed = threading.Condition()
        self._here = threading.local()

    @contextmanager
    def answer(self, is_over: Callable[[], object] | None = None) -> Iterator[None]:
        """Be on the way to an answer, until `stands` is called or the block is left.

        Parameters
        ----------
        is_over : callable, optional
            Asked ten times a second while this waits for a place; what it raises ends the waiting.
        """
        run = _Run(is_over)
        with self._changed:
            self._under_way.add(run)
        try:
            self._come(run)
            self._here.run = run
            yield
        finally:
            self._here.run = None
            with self._changed:
                self._under_way.discard(run)
                self._changed.notify_all()
                self._leave(run)

    def stands(self) -> None:
        """Say that this thread's answer stands."""
        run = self._run()
        if run is not None:
            run.stands = True
            with self._changed:
                self._under_way.discard(run)
                self._changed.notify_all()
                self._call()

    def comes_after(self) -> bool:
        """Return whether what this thread does comes after its answer."""
        run = self._run()
        return run is not None and run.stands

    def holder(self) -> Callable[[], bool]:
        """Return what says, in any thread, whether this one has a place."""
        run = self._run()
        return lambda: run is not None and run.since_s is not None

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Let others draw while this thread waits for something else than a place."""
        run = self._run()
        if run is None or run.since_s is None:
            yield
            return
        with self._changed:
            self._leave(run)
        yield
        # Not after an error: what is said of it is short.
        self._come(run)

    def let_others(self) -> None:
        """Let one who waits for a place have this thread's; for who waits for another's work."""
        with self.aside():
            pass

    def give_way(self, is_over: Callable[[], object] | None = None) -> None:
        """Wait while others are on the way to an answer; never for long.

        A thread whose own answer is on its way lets others have its place once it has had it long.

        Parameters
        ----------
        is_over : callable, optional
            Asked ten times a second; true, or anything it raises, ends the waiting.
        """
        run = self._run()
        if run is None or run.since_s is None:
            if run is None or run.stands:
                self._wait_for_answers(is_over)
        elif run.stands:
            if self._under_way and (run.is_long() or run.waited_s < _LONG_PATIENCE_S):
                self.let_others()
        elif self._waiting and run.is_long():
            self.let_others()

    def step(self) -> None:
        """Say that this thread has come a step further in something long.

        It gives way, and ends where it is over, as often as steps come but not more often than is
        of use. In a thread that draws nothing this does nothing.
        """
        run = self._run()
        if run is None or time.monotonic() < run.looked_s + _STEP_S:
            return
        run.looked_s = time.monotonic()
        if run.is_over is not None:
            run.is_over()
        self.give_way(run.is_over)

    def _wait_for_answers(self, is_over: Callable[[], object] | None) -> None:
        until_s = time.monotonic() + PATIENCE_S
        while self._under_way and time.monotonic() < until_s:
            if is_over is not None and is_over():
                return
            with self._changed:
                if self._under_way:
                    self._changed.wait(TICK_S)

    def _run(self) -> _Run | None:
        return getattr(self._here, "run", None)

    def _come(self, run: _Run) -> None:
        """Wait for a place and take it."""
        run.came_s = time.monotonic()
        run.called.clear()
        with self._changed:
            self._waiting.append(run)
            self._call()
        try:
            while not run.called.wait(TICK_S):
                if run.is_over is not None:
                    run.is_over()
                with self._changed:
                    self._call()
        except BaseException:
            with self._changed:
                if run in self._waiting:
                    self._waiting.remove(run)
                self._leave(run)
            raise

    def _leave(self, run: _Run) -> None:
        """Give a place back, if the run has one; under the lock, as the two below."""
        if run.since_s is not None:
            run.held_s += time.monotonic() - run.since_s
            run.since_s = None
            self._free += 1
        self._call()

    def _call(self) -> None:
        """Give the free places to who comes next."""
        while self._free and (run := self._next()) is not None:
            self._waiting.remove(run)
            self._free -= 1
            run.since_s = time.monotonic()
            if run.stands:
                run.waited_s += run.since_s - run.came_s
            run.called.set()

    def _next(self) -> _Run | None:
        now_s = time.monotonic()
        overdue = [run for run in self._waiting if now_s - run.came_s > run.patience_s()]
        if overdue:
            return min(overdue, key=lambda run: run.came_s)
        answers = [run for run in self._waiting if not run.stands]
        if answers:
            return min(answers, key=lambda run: run.held_s)
        if self._under_way:
            return None
        return min(self._waiting, key=lambda run: run.came_s, default=None)


ANSWERS = Answers()
