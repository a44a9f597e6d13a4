"""Many idle timeouts of one replica, served together, are what the runs one by one are."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from frontier.plans.families import SCALE_TO_ZERO
from frontier.plans.grid import mitigated_plan
from frontier.plans.scenario import Scenario, deploy
from frontier.policy import ParkedTier
from frontier.serve import simulate_plan, work_of
from frontier.simulate import RunResult
from frontier.start.stages import StartDraws
from frontier.tables import load_tables
from frontier.timeouts import single
from frontier.timeouts.single import staying
from frontier.trace import TraceReport, make_trace

TABLES = load_tables()
SECONDS = ("ended_s", "busy_s", "idle_s")
# A part of the seconds of a session: another order of adding them.
CLOSE_S = 1e-6


def drawn(seed, *, chunked=None):
    """Draw a trace, a plan of one replica or more, its starts and some timeouts."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 400))
    horizon_s = float(rng.choice([2_000.0, 40_000.0, 400_000.0]))
    arrival_s = np.sort(rng.uniform(0, horizon_s, count))
    if seed % 3 == 0:  # bursts, and instants that coincide
        arrival_s = np.sort(np.floor(arrival_s / 600) * 600 + rng.integers(0, 40, count))
    if seed % 4 == 1:  # whole seconds: instants that floating point holds exactly
        arrival_s = np.floor(arrival_s)
    trace = make_trace(
        "drawn",
        np.minimum(arrival_s, horizon_s),
        rng.integers(10, 4000, count),
        rng.integers(1, 300, count),
        horizon_s=horizon_s,
        report=TraceReport("drawn"),
    )
    deployment = deploy(
        Scenario("Llama-3.1-8B-Instruct", "bf16", "modal-l40s", "crusoe-l40s", 2.0), trace, TABLES
    )
    plan = mitigated_plan(deployment, (), TABLES)
    assert plan.family is SCALE_TO_ZERO
    chunked = bool(seed % 2) if chunked is None else chunked
    plan = dataclasses.replace(
        plan,
        speed=dataclasses.replace(plan.speed, chunk_tokens=2048 if chunked else None),
        policy=dataclasses.replace(
            plan.policy, max_replicas=int(rng.integers(1, 4)), target_concurrency=None
        ),
        retry_s=5.0 if seed % 5 == 0 else None,
    )
    total_s = rng.uniform(0, float(rng.choice([0.0, 20.0, 300.0])), int(rng.integers(1, 5)))
    draws = StartDraws(total_s, np.zeros((total_s.size, 10)))
    gaps_s = np.diff(trace.arrival_s)
    some_s = rng.choice(gaps_s, 4).tolist() if count > 1 else []
    timeouts_s = (0.0, *np.geomspace(0.5, 20_000, 8), *some_s, math.inf)
    return plan, trace, draws, timeouts_s


def at(plan, timeout_s):
    policy = dataclasses.replace(plan.policy, idle_timeout_s=timeout_s)
    return dataclasses.replace(plan, policy=policy)


def assert_equal(found, whole):
    """Fates to the bit; of the sessions all but the sums of seconds, and those within 1e-6 s."""
    for name in RunResult.__slots__:
        if name != "sessions":
            np.testing.assert_array_equal(getattr(found, name), getattr(whole, name), name)
    for name in whole.sessions.dtype.names:
        if name in SECONDS:
            np.testing.assert_allclose(
                found.sessions[name], whole.sessions[name], rtol=0, atol=CLOSE_S, err_msg=name
            )
        else:
            np.testing.assert_array_equal(found.sessions[name], whole.sessions[name], name)


@pytest.mark.parametrize("seed", range(120))
def test_a_run_that_is_pieced_together_is_the_whole_run(seed, monkeypatch):
    """At no timeout, at those of gaps in the trace, at one that never ends, and between.

    Also where delays are not caught up as soon as hoped, and more has to be served again.
    """
    monkeypatch.setattr(single, "_MOST_SHARE", 1.0)
    monkeypatch.setattr(single, "_MOST_STARTS", 1.0)
    monkeypatch.setattr(single, "_CATCH_UP", (1.0, 0.1, 0.0)[seed % 3])
    plan, trace, draws, timeouts_s = drawn(seed)
    alone = staying(plan, trace, draws.total_s, work_of(plan.speed, trace))
    if alone is None:
        return
    # A replica idle for exactly the timeout is still there: gaps to the last bit.
    exact_s = trace.arrival_s[alone.first] - alone.before_s
    for timeout_s in (*timeouts_s, *exact_s[:: max(1, exact_s.size // 4)].tolist()):
        found = alone.released_after(timeout_s)
        if found is not None:
            assert_equal(found, simulate_plan(at(plan, timeout_s), trace, draws))


def test_most_of_the_drawn_runs_are_pieced_together(monkeypatch):
    """The law above is not empty: of the drawn runs of one replica most are, and serve less."""
    monkeypatch.setattr(single, "_MOST_SHARE", 0.99)
    monkeypatch.setattr(single, "_MOST_STARTS", 0.99)
    pieced = tried = 0
    for seed in range(40):
        plan, trace, draws, timeouts_s = drawn(seed)
        alone = staying(plan, trace, draws.total_s, work_of(plan.speed, trace))
        if alone is not None:
            tried += len(timeouts_s)
            pieced += sum(alone.released_after(timeout_s) is not None for timeout_s in timeouts_s)
    assert tried > 200
    assert pieced > tried / 3


@pytest.mark.parametrize(
    "change",
    [
        {"min_replicas": 1},
        {"parked": (ParkedTier(60.0, 2.0),)},
        {"buffer_replicas": 1},
        {"queue_timeout_s": 10.0},
        {"refuses_cold": True},
        {"schedule": ((5.0, 1),)},
    ],
)
def test_where_more_than_gaps_count_all_is_served_whole(change):
    """Nothing is pieced together that a gap does not part."""
    plan, trace, draws, _ = drawn(1)
    policy = dataclasses.replace(plan.policy, **change)
    plan = dataclasses.replace(plan, policy=policy)
    assert staying(plan, trace, draws.total_s, work_of(plan.speed, trace)) is None


def test_where_a_second_replica_is_wanted_all_is_served_whole():
    """One replica is no longer enough when each request wants its own."""
    plan, trace, draws, _ = drawn(4)
    policy = dataclasses.replace(plan.policy, target_concurrency=0.5, max_replicas=3)
    plan = dataclasses.replace(plan, policy=policy)
    assert staying(plan, trace, draws.total_s, work_of(plan.speed, trace)) is None
