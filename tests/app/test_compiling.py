"""The simulation is compiled by another process: what waits for it, and what it leaves."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from frontier import compiling

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def begun(monkeypatch):
    """Give a function that begins with a stand-in for the process, a few lines of Python."""
    made = []

    def _begin(code: str):
        def popen(_, **how):
            return real([sys.executable, "-c", code], **how)

        real = subprocess.Popen
        monkeypatch.setattr(compiling.subprocess, "Popen", popen)
        monkeypatch.setattr(compiling, "_running", None)
        monkeypatch.setattr(compiling, "_is_kept", False)
        monkeypatch.setattr(compiling, "is_kept", lambda: False)
        monkeypatch.setenv("NUMBA_DISABLE_JIT", "0")
        compiling.begin()
        if compiling._running is not None:
            made.append(compiling._running)
        return compiling._running

    yield _begin
    for one in made:
        one.process.kill()
        one.over.wait()


def test_a_run_waits_for_what_it_needs_and_for_nothing_more(begun):
    """A plain run goes on once the plain part is there, while the rest is still compiled."""
    running = begun("import time; print('plain', flush=True); time.sleep(60)")
    compiling.wait(compiling.PLAIN)
    assert not compiling.is_under_way(compiling.PLAIN)
    assert compiling.is_under_way(compiling.TICKING)
    assert running.process.poll() is None


def test_a_wait_ends_when_it_is_cancelled(begun):
    """A new input sets the flag: the thread leaves although nothing is compiled."""
    begun("import time; time.sleep(60)")
    stop = np.zeros(1, dtype=np.uint8)
    waiting = threading.Thread(target=compiling.wait, args=(compiling.PLAIN, stop))
    waiting.start()
    assert waiting.is_alive()
    stop[0] = 1
    waiting.join(timeout=30)
    assert not waiting.is_alive()


def test_a_process_that_fails_keeps_nobody_waiting(begun):
    """Whoever waited compiles for himself."""
    begun("raise SystemExit(1)").over.wait()
    compiling.wait(compiling.PLAIN)
    assert not compiling.is_under_way()


def test_what_is_compiled_is_looked_for_until_it_is_there(monkeypatch):
    """Every page asks; once the cache holds it nobody looks through the folder any more."""
    looks = []
    monkeypatch.setattr(compiling, "_is_kept", False)
    monkeypatch.setattr(compiling, "_running", None)
    monkeypatch.setattr(compiling, "is_kept", lambda: looks.append(1) or len(looks) > 1)
    monkeypatch.setattr(compiling, "_Compiling", lambda: None)
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "0")
    for _ in range(5):
        compiling.begin()
    assert len(looks) == 2


def test_the_first_page_is_drawn_before_anything_is_compiled(monkeypatch):
    """It needs no simulation, and on a small host it would wait long beside the compiler."""
    from frontier.pages import shell

    done = []
    monkeypatch.setattr(shell, "_draw", lambda: done.append("drawn"))
    monkeypatch.setattr(shell.compiling, "begin", lambda: done.append("compiling"))
    shell.run()
    assert done == ["drawn", "compiling"]


def test_what_it_compiles_is_what_the_example_needs():
    """The example's own runs add no form of the kernel to the two that are compiled beforehand."""
    code = (
        "from frontier import compile_ahead, kernel\n"
        "from frontier.plans.scenario import Scenario\n"
        "from frontier.study import simulate\n"
        "from frontier.tables import load_tables\n"
        "from frontier.trace import example_trace\n"
        "compile_ahead.main()\n"
        "before = list(kernel._run.signatures)\n"
        "tables = load_tables()\n"
        "one = next(iter(tables.examples.values()))\n"
        "offers = one.serverless_offer, one.dedicated_offer\n"
        "scenario = Scenario(one.model, one.precision, *offers, one.slo_p99_ttft_s)\n"
        "simulate(scenario, example_trace(one, tables), tables)\n"
        "print(len(before), before == list(kernel._run.signatures))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "NUMBA_DISABLE_JIT": "0"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [compiling.PLAIN, compiling.TICKING, "2", "True"]
