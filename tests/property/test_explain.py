"""Where the time to first token goes: parts that add up, and one cause a request."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from frontier.latency import summarise
from frontier.plans.grid import mitigated_plan
from frontier.plans.scenario import Scenario, deploy
from frontier.policy import ParkedTier, ScalingPolicy
from frontier.serve import simulate_plan
from frontier.start.stages import STAGES, StartDraws
from frontier.sweep import rerun_with_instant_starts, simulate_plans
from frontier.tables import load_tables
from frontier.trace import TraceReport, make_trace
from frontier.waits import CAUSES, explain

SCENARIO = Scenario("Llama-3.1-8B-Instruct", "bf16", "modal-l40s", "crusoe-l40s", 2.0)
PARTS = ("start_s", "queue_s", "prompt_s", "overhead_s", "retry_s")


def make(arrival_s, prompt_tokens, output_tokens):
    report = TraceReport("made", "s", len(arrival_s), len(arrival_s))
    return make_trace("made", arrival_s, prompt_tokens, output_tokens, report=report)


def draws(*total_s):
    stage_s = np.zeros((len(total_s), len(STAGES)))
    stage_s[:, 0] = total_s
    return StartDraws(np.array(total_s), stage_s)


@pytest.fixture(scope="module")
def trace():
    """Return a sparse day with two bursts."""
    rng = np.random.default_rng(5)
    bursts = [at + rng.uniform(0, 40, 150) for at in (20_000, 60_000)]
    arrival_s = np.sort(np.concatenate([rng.uniform(0, 86_400, 200), *bursts]))
    return make(arrival_s, rng.integers(1, 6000, 500), rng.integers(1, 400, 500))


@pytest.fixture(scope="module")
def plan(trace):
    tables = load_tables()
    return mitigated_plan(deploy(SCENARIO, trace, tables), (), tables)


def variants(plan):
    """Return the plan and others: always on, retried, refusing, parked."""
    change = dataclasses.replace
    policy = plan.policy
    return {
        "scale-to-zero": plan,
        "always on": change(plan, policy=ScalingPolicy(min_replicas=2, max_replicas=2)),
        "retry": change(plan, retry_s=7.0),
        "refusing": change(plan, policy=change(policy, max_replicas=1, queue_timeout_s=30.0)),
        "parked": change(plan, policy=change(policy, parked=(ParkedTier(3600.0, 5.0),))),
    }


@pytest.mark.parametrize("name", ["scale-to-zero", "always on", "retry", "refusing", "parked"])
def test_parts_add_up_to_the_ttft(plan, trace, name):
    """Every served request: start, queue, prompt, overhead and retry are its TTFT; none < 0."""
    chosen = variants(plan)[name]
    result = simulate_plan(chosen, trace, draws(90.0, 45.0, 130.0))
    parts = explain(result, chosen, trace)
    seconds = np.array([getattr(parts, part) for part in PARTS])
    served = ~result.rejected
    assert seconds.min() >= 0
    np.testing.assert_allclose(
        seconds.sum(axis=0)[served], result.ttft_s[served], rtol=0, atol=1e-6
    )
    assert not seconds[:, result.rejected].any()
    assert (parts.retry_s.sum() > 0) == (name == "retry")
    assert result.rejected.any() == (name == "refusing")


@pytest.mark.parametrize("name", ["scale-to-zero", "always on", "retry", "refusing", "parked"])
def test_a_request_has_start_seconds_if_and_only_if_it_waited_on_a_start(plan, trace, name):
    """Causes agree with the flags of the run, and a plan without starts has no start seconds."""
    chosen = variants(plan)[name]
    result = simulate_plan(chosen, trace, draws(90.0, 45.0, 130.0))
    parts = explain(result, chosen, trace)
    on_start = np.isin(
        parts.cause, [CAUSES.index("caused a start"), CAUSES.index("joined a start")]
    )
    np.testing.assert_array_equal(on_start, result.waited_on_start)
    np.testing.assert_array_equal(parts.start_s > 0, result.waited_on_start)
    np.testing.assert_array_equal(parts.cause == CAUSES.index("refused"), result.rejected)
    if name == "always on":
        assert not parts.start_s.any()
    elif name == "refusing":  # who causes a start leaves before it is over
        assert not result.caused_start.any()
    else:
        assert {"caused a start", "joined a start"} <= {CAUSES[i] for i in set(parts.cause)}


def test_no_start_is_caused_twice(plan, trace):
    """Without parking there are at most as many requests that caused a start as there are starts.

    Each of them arrived at the instant at which a session started.
    """
    result = simulate_plan(plan, trace, draws(90.0, 45.0, 130.0))
    caused_s = trace.arrival_s[result.caused_start]
    assert 0 < caused_s.size <= len(result.sessions)
    assert set(caused_s) <= set(result.sessions["started_s"])


def test_one_replica_by_hand(plan):
    """One replica, a start of 10 s, prompts of 1 s, an overhead of 0.25 s; times by hand.

    The first causes the start. The second comes 4 s later: 6 s of start, then the first's prompt.
    Three more find the replica ready and come 0.25 s apart: at once, behind 0.75 s, behind 1.5 s.
    """
    speed = dataclasses.replace(
        plan.speed, overhead_s=0.25, prefill_linear_s=0.001, prefill_quadratic_s=0.0
    )
    policy = ScalingPolicy(max_replicas=1, idle_timeout_s=60.0)
    chosen = dataclasses.replace(plan, speed=speed, policy=policy, retry_s=None)
    trace = make([0.0, 4.0, 50.0, 50.25, 50.5], [1000] * 5, [1] * 5)
    parts = explain(simulate_plan(chosen, trace, draws(10.0)), chosen, trace)
    np.testing.assert_allclose(parts.start_s, [10, 6, 0, 0, 0], atol=1e-9)
    np.testing.assert_allclose(parts.queue_s, [0, 1, 0, 0.75, 1.5], atol=1e-9)
    np.testing.assert_allclose(parts.prompt_s, 1.0)
    np.testing.assert_allclose(parts.overhead_s, 0.25)
    assert [CAUSES[index] for index in parts.cause] == [
        "caused a start",
        "joined a start",
        "own prompt",
        "own prompt",
        "queued",
    ]


def test_prompts_in_chunks_by_hand(plan):
    """One replica that is up, steps of 0.1 s whatever it holds, prompts of 1 s in two chunks.

    The first prompt is alone: 1 s. The second comes while the first is answered: each of its two
    chunks lasts a step longer, 0.2 s in all. The third waits 0.7 s of that, then has two answers
    beside its own two chunks: 0.2 s again. The overhead of 0.25 s has a step in it: the steps of
    the answers read the weights already, so the second has only the half step that it waits on
    average for the one under way, and the third, which begins with a step, none.
    """
    speed = dataclasses.replace(
        plan.speed,
        overhead_s=0.25,
        prefill_linear_s=0.001,
        prefill_quadratic_s=0.0,
        decode_step_s=np.full(8, 0.1),
        chunk_tokens=500,
    )
    policy = ScalingPolicy(min_replicas=1, max_replicas=1)
    chosen = dataclasses.replace(plan, speed=speed, policy=policy, retry_s=None)
    trace = make([0.0, 2.0, 2.5], [1000] * 3, [1000] * 3)
    result = simulate_plan(chosen, trace, draws(10.0))
    parts = explain(result, chosen, trace)
    np.testing.assert_allclose(parts.behind_s, [0, 0, 0.7], atol=1e-9)
    np.testing.assert_allclose(parts.shared_s, [0, 0.2, 0.2], atol=1e-9)
    np.testing.assert_allclose(parts.prompt_s, 1.0)
    np.testing.assert_allclose(parts.overhead_s, [0.25, 0.2, 0.15])
    np.testing.assert_allclose(result.ttft_s, [1.25, 1.4, 2.05])
    assert not parts.slot_s.any()
    assert not parts.saved_s.any()


def test_time_per_token_is_of_the_answers_alone(plan):
    """An answer that nobody disturbs takes one step a token; a prompt in it adds its prefill."""
    speed = dataclasses.replace(plan.speed, decode_step_s=np.full(8, 0.1), chunk_tokens=2048)
    policy = ScalingPolicy(min_replicas=1, max_replicas=1)
    chosen = dataclasses.replace(plan, speed=speed, policy=policy, retry_s=None)
    trace = make([0.0, 100.0, 101.0], [1000, 1000, 500], [11, 101, 1])
    result = simulate_plan(chosen, trace, draws(10.0))
    latency = summarise(result, trace)
    mixed_s = float(speed.prefill_s(500)) - speed.overhead_s
    np.testing.assert_allclose(latency.p50_tpot_s, 0.1)
    np.testing.assert_allclose(latency.p99_tpot_s, 0.1 + mixed_s / 100)
    np.testing.assert_allclose(latency.p99_latency_s, float(speed.prefill_s(1000)) + 10 + mixed_s)
    assert summarise(result).p99_tpot_s is None


def test_a_retry_rounds_the_wait_up(plan):
    """A start of 10 s and tries every 4 s: served at the third, 2 s of the wait are the retry's."""
    policy = ScalingPolicy(max_replicas=1, idle_timeout_s=60.0)
    chosen = dataclasses.replace(plan, policy=policy, retry_s=4.0)
    trace = make([0.0, 50.0], [1000] * 2, [1] * 2)
    parts = explain(simulate_plan(chosen, trace, draws(10.0)), chosen, trace)
    np.testing.assert_allclose(parts.start_s, [10, 0], atol=1e-9)
    np.testing.assert_allclose(parts.retry_s, [2, 0], atol=1e-9)


def test_instant_starts_leave_no_start_seconds(plan, trace):
    """Were every start and resume instant, nobody would wait on one, and p99 not be longer."""
    for name in ("scale-to-zero", "retry", "parked"):
        (outcome,) = simulate_plans([variants(plan)[name]], trace, load_tables())
        instant = rerun_with_instant_starts(outcome, trace)
        assert not instant.start_wait_s.any()
        assert instant.ttft_percentile(99) < outcome.latency.p99_ttft_s < math.inf
