"""Threads of many sweeps share the cores in turns: few at a time, first come first served."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from frontier import crew
from frontier.crew import Turns, in_threads

GOES_ON = np.zeros(1, dtype=np.uint8)


def test_no_more_at_a_time_than_there_are_places():
    """Of twenty that come at once, three are inside at any time, and all get in."""
    turns, lock = Turns(3), threading.Lock()
    inside, most, done = 0, 0, 0

    def come():
        nonlocal inside, most, done
        with turns.turn(GOES_ON) as has_turn:
            assert has_turn
            with lock:
                inside += 1
                most = max(most, inside)
            time.sleep(0.002)
            with lock:
                inside -= 1
                done += 1

    threads = [threading.Thread(target=come) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, done) == (3, 20)


def test_first_come_first_served():
    """Those that wait get in in the order in which they came."""
    turns, order = Turns(1), []
    threads = []

    def come(number):
        with turns.turn(GOES_ON):
            order.append(number)

    with turns.turn(GOES_ON):
        for number in range(5):
            threads.append(threading.Thread(target=come, args=(number,)))
            threads[-1].start()
            while len(turns._line) <= number:
                time.sleep(0.001)
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2, 3, 4]


def test_who_is_told_to_stop_leaves_the_line():
    """A stop ends the wait without a turn, and the place goes to the next."""
    turns, stop = Turns(1), np.zeros(1, dtype=np.uint8)
    got = []

    def come():
        with turns.turn(stop) as has_turn:
            got.append(has_turn)

    with turns.turn(GOES_ON):
        thread = threading.Thread(target=come)
        thread.start()
        stop[0] = 1
        thread.join()
    assert got == [False]
    assert not turns._line
    with turns.turn(GOES_ON) as has_turn:
        assert has_turn


def test_work_may_have_work_done_within_its_turn():
    """A sweep inside a piece of work does not wait for itself; a failure gives its turn back."""

    def outer(item, stop):
        return sum(in_threads(lambda n, _: n, range(item), workers=1))

    assert in_threads(outer, range(40)) == [sum(range(item)) for item in range(40)]

    def fails(item, stop):
        raise KeyError(item)

    for _ in range(20):
        with pytest.raises(KeyError):
            in_threads(fails, range(3))
    assert in_threads(lambda item, _: item, range(3)) == [0, 1, 2]


def test_the_thread_that_asks_does_as_threads_do():
    """Here and in threads each item is worked on once, and the order is theirs."""
    done: list[tuple[int, int]] = []

    def work(shared, item, stop):
        time.sleep(0.06)
        return shared * item

    assert crew.HERE.run(work, 2, range(5), progress=lambda *at: done.append(at)) == [0, 2, 4, 6, 8]
    assert crew.THREADS.run(work, 2, range(5)) == [0, 2, 4, 6, 8]
    assert done, "it is heard of within a tenth of a second, and can be stopped there"


def test_a_sweep_works_in_the_place_of_who_waits_for_it():
    """One thread of an answer's sweep needs no turn: it goes on though others hold them all."""
    with crew.ANSWERS.answer():
        held = [crew._TURNS.turn(GOES_ON) for _ in range(crew._cores())]
        for turn in held:
            turn.__enter__()
        crew._TURNS._inside.has_turn = False
        try:
            assert in_threads(lambda item, _: item, range(3), workers=1) == [0, 1, 2]
        finally:
            for turn in held:
                turn.__exit__(None, None, None)
