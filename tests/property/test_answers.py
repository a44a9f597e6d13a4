"""A few pages are drawn at a time; answers go before what follows them, and nobody is forgotten."""

from __future__ import annotations

import threading
import time

import pytest

from frontier import answers as answers_room
from frontier import crew
from frontier.answers import Answers, _Run
from frontier.crew import in_threads


def test_what_comes_after_an_answer_waits_for_the_answers_of_others(monkeypatch):
    """Work begun before an answer stands goes on; what comes after waits, and never for long."""
    answers, order = Answers(2), []
    monkeypatch.setattr(crew, "ANSWERS", answers)
    begun, may_stand = threading.Event(), threading.Event()

    def other():
        with answers.answer():
            begun.set()
            may_stand.wait(10)
            order.append("another's answer")

    with answers.answer():
        thread = threading.Thread(target=other)
        thread.start()
        begun.wait(10)
        assert in_threads(lambda item, _: item, range(3)) == [0, 1, 2]
        assert not answers.comes_after()
        answers.stands()
        assert answers.comes_after()
        threading.Timer(0.2, may_stand.set).start()
        in_threads(lambda *_: order.append("after mine"), [1])
    thread.join()
    assert order == ["another's answer", "after mine"]
    assert not answers.comes_after()


def test_who_waits_after_an_answer_can_be_stopped_and_is_not_forgotten(monkeypatch):
    """A new click ends the wait; without one it ends by itself, though others go on answering."""
    answers = Answers(2)
    monkeypatch.setattr(answers_room, "PATIENCE_S", 0.3)
    may_end = threading.Event()

    def other():
        with answers.answer():
            may_end.wait(10)

    thread = threading.Thread(target=other)
    thread.start()
    while not answers._under_way:
        time.sleep(0.01)

    def clicked():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        answers.give_way(clicked)
    answers.give_way()
    assert answers._under_way, "the other is still on the way: patience ended the wait"
    may_end.set()
    thread.join()


def _till(is_so):
    for _ in range(1000):
        if is_so():
            return
        time.sleep(0.005)
    raise AssertionError("it never came to that")


def test_no_more_are_drawn_at_a_time_than_there_are_places():
    """Of twelve that come at once two are drawn at any time, and all are drawn."""
    answers, lock = Answers(2), threading.Lock()
    inside, most, done = 0, 0, 0

    def draw():
        nonlocal inside, most, done
        with answers.answer():
            with lock:
                inside += 1
                most = max(most, inside)
            time.sleep(0.005)
            with lock:
                inside -= 1
                done += 1

    threads = [threading.Thread(target=draw) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, done) == (2, 12)


@pytest.mark.parametrize("gives_way", ["give_way", "step"])
def test_a_short_one_does_not_wait_for_a_long_one(monkeypatch, gives_way):
    """One that has been drawn for long lets one that has just come go first, then goes on."""
    monkeypatch.setattr(answers_room, "_QUANTUM_S", 0.0)
    monkeypatch.setattr(answers_room, "_STEP_S", 0.0)
    answers, order = Answers(1), []
    has_begun = threading.Event()

    def long_one():
        with answers.answer():
            has_begun.set()
            _till(lambda: answers._waiting)
            getattr(answers, gives_way)()
            order.append("long")

    def short_one():
        has_begun.wait(10)
        with answers.answer():
            order.append("short")

    threads = [threading.Thread(target=each) for each in (long_one, short_one)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert order == ["short", "long"]


def test_who_comes_next():
    """Who has had least of it; before all who has waited long; what comes after answers last."""
    answers, now_s = Answers(1), time.monotonic()
    much, little = _Run(None, held_s=9.0, came_s=now_s), _Run(None, came_s=now_s)
    after = _Run(None, stands=True, came_s=now_s)
    answers._waiting = [after, much, little]
    assert answers._next() is little
    much.came_s = now_s - answers_room.PATIENCE_S - 1
    assert answers._next() is much
    answers._waiting = [after]
    assert answers._next() is after
    answers._under_way = {much}
    assert answers._next() is None
    after.came_s = now_s - answers_room._LONG_PATIENCE_S - 1
    assert answers._next() is after


def test_what_comes_after_is_kept_waiting_only_so_long_in_all():
    """Once it has waited its share it waits like an answer, and is drawn a quantum at a time."""
    answers, now_s = Answers(1), time.monotonic()
    other = _Run(None, came_s=now_s)
    after = _Run(None, stands=True, came_s=now_s - answers_room.PATIENCE_S - 1)
    answers._waiting, answers._under_way = [after, other], {other}
    assert answers._next() is other
    after.waited_s = answers_room._LONG_PATIENCE_S
    assert answers._next() is after
    begun = []
    answers.let_others = lambda: begun.append("let others")
    answers._here.run, after.since_s = after, time.monotonic()
    answers.give_way()
    assert not begun, "it has just come back"
    after.since_s -= answers_room._QUANTUM_S + 1
    answers.give_way()
    after.waited_s, after.since_s = 0.0, time.monotonic()
    answers.give_way()
    assert begun == ["let others"] * 2


def test_a_new_click_leaves_the_line_and_keeps_no_place():
    """What ends the waiting ends the run, and all places are free again."""
    answers = Answers(1)

    def clicked():
        raise KeyboardInterrupt

    def come():
        with pytest.raises(KeyboardInterrupt), answers.answer(clicked):
            raise AssertionError("it has no place")

    with answers.answer():
        thread = threading.Thread(target=come)
        thread.start()
        thread.join()
    assert (answers._free, answers._waiting, answers._under_way) == (1, [], set())


def test_who_waits_for_threads_or_for_another_lets_others_draw():
    """A sweep under way, and the wait for what another makes, hold no place; an error neither."""
    answers = Answers(1)
    with answers.answer():
        with answers.aside(), answers.aside():
            assert answers._free == 1
        assert answers._free == 0
        with pytest.raises(ZeroDivisionError), answers.aside():
            raise ZeroDivisionError
    assert answers._free == 1
    with answers.aside():
        answers.give_way()
    assert answers._free == 1


def test_long_work_ends_where_its_person_is_gone(monkeypatch):
    """A step of long work raises what says that it is over; in a thread that draws nothing, not."""
    monkeypatch.setattr(answers_room, "_STEP_S", 0.0)
    answers, gone = Answers(1), []

    def look():
        if gone:
            raise KeyboardInterrupt

    def works():
        with answers.answer(look):
            answers.step()
            gone.append(True)
            answers.step()

    answers.step()
    with pytest.raises(KeyboardInterrupt):
        works()
    answers.step()


def test_steps_look_up_no_more_often_than_is_of_use(monkeypatch):
    """Steps of a moment each cost one look in a tick."""
    monkeypatch.setattr(answers_room, "_STEP_S", 60.0)
    answers, looks = Answers(1), []
    with answers.answer(lambda: looks.append(1)):
        for _ in range(1000):
            answers.step()
    assert len(looks) == 1
