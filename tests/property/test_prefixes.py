"""Which prompts begin alike: found in traces, kept through reshaping, lost with a replica."""

from __future__ import annotations

import dataclasses
import io
import json
import math

import numpy as np
import pyarrow as pa
import pytest

from frontier.errors import InputError
from frontier.plans.grid import dedicated_plans, default_grid, mitigated_plan
from frontier.plans.scenario import Scenario, deploy
from frontier.policy import ParkedTier, ScalingPolicy
from frontier.serve import found_share, simulate_plan
from frontier.start.stages import STAGES, StartDraws
from frontier.study import cache_hits
from frontier.sweep import frontier_table, rerun, sweep
from frontier.tables import load_tables
from frontier.trace import TraceReport, make_trace, read_trace, superpose, thin, with_cached_share
from frontier.trace.prefixes import Blocks, moved, of_counts, of_turns, with_prefixes
from frontier.waits import explain

TABLES = load_tables()
SCENARIO = Scenario("Llama-3.1-8B-Instruct", "bf16", "modal-l40s", "crusoe-l40s", 2.0)


def make(arrival_s, prompt_tokens, output_tokens):
    report = TraceReport("made", "s", len(arrival_s), len(arrival_s))
    return make_trace("made", arrival_s, prompt_tokens, output_tokens, report=report)


def draws(*total_s):
    stage_s = np.zeros((len(total_s), len(STAGES)))
    stage_s[:, 0] = total_s
    return StartDraws(np.array(total_s), stage_s)


@pytest.fixture(scope="module")
def trace():
    """Return two days of a request every few minutes, half of each prompt as the one before."""
    rng = np.random.default_rng(3)
    arrival_s = np.sort(rng.uniform(0, 2 * 86_400, 900))
    bare = make(arrival_s, rng.integers(200, 6000, 900), rng.integers(1, 300, 900))
    return with_cached_share(bare, 0.5)


@pytest.fixture(scope="module")
def plan(trace):
    return mitigated_plan(deploy(SCENARIO, trace, TABLES), (), TABLES)


def test_blocks_by_hand():
    """The parent is the latest that began with the same blocks; two of four blocks are half."""
    cells = pa.array([[1, 2, 3], [1, 2, 4, 5], [1, 9], [7], [1, 2, 4, 8], [], None])
    parent, shared = Blocks(100).take(cells, np.array([300, 400, 200, 50, 401, 10, 10], np.int32))
    assert parent.tolist() == [-1, 0, 1, -1, 1, -1, -1]
    assert shared.tolist() == [0, 200, 100, 0, 300, 0, 0]


def test_blocks_agree_with_a_search_through_all_that_came_before():
    """Random prompts of few blocks, taken in pieces: as a plain search over all pairs says."""
    rng = np.random.default_rng(11)
    prompts = [rng.integers(0, 3, rng.integers(1, 7)).tolist() for _ in range(300)]
    tokens = np.full(300, 840, np.int32)
    seen = Blocks(10**6)
    parts = [
        seen.take(pa.array(prompts[i : i + 37], pa.list_(pa.int64())), tokens[i : i + 37])
        for i in range(0, 300, 37)
    ]
    parent, shared = (np.concatenate(part) for part in zip(*parts, strict=True))
    for at, prompt in enumerate(prompts):
        best, latest = 0, -1
        for before in range(at):
            pairs = zip(prompt, prompts[before], strict=False)
            common = next((i for i, (a, b) in enumerate(pairs) if a != b), None)
            if common is None:
                common = min(len(prompt), len(prompts[before]))
            if common >= best and common > 0:
                best, latest = common, before
        assert (parent[at], shared[at]) == (latest, 840 * best // len(prompt))


def test_what_is_remembered_has_a_bound():
    """With room for few runs a prompt of long ago is forgotten, and nothing else goes wrong."""
    cells = pa.array([[1], *([n] for n in range(100, 200)), [1]])
    tokens = np.full(102, 10, np.int32)
    assert Blocks(10).take(cells, tokens)[0].max() == -1
    assert Blocks(1000).take(cells, tokens)[0][-1] == 0


def test_counts_and_turns_by_hand():
    """Counts are shared with the turn before, else the request before; turns hold all before."""
    session = np.array([0, 1, 0, 2, 1], np.int32)
    parent, shared = of_counts(np.array([5, 6, 7, 0, 9], np.int32), session)
    assert parent.tolist() == [-1, 0, 0, -1, 1]
    assert shared.tolist() == [0, 6, 7, 0, 9]
    prompt, output = np.array([100, 50, 130, 10, 20]), np.array([20, 5, 9, 1, 1])
    parent, shared = of_turns(session, prompt.astype(np.int32), output.astype(np.int32))
    assert parent.tolist() == [-1, -1, 0, -1, -1]  # the last is shorter than the one before
    assert shared.tolist() == [0, 0, 120, 0, 0]


def test_requests_that_move_keep_their_latest_parent():
    """After leaving out and repeating, a parent is the latest earlier copy of what it was."""
    parent, shared = np.array([-1, 0, 1], np.int32), np.array([0, 10, 20], np.int32)
    now, tokens = moved(parent, shared, np.array([0, 2, 0, 1, 1, 2]))
    assert now.tolist() == [-1, -1, -1, 2, 2, 4]
    assert tokens.tolist() == [0, 0, 0, 10, 10, 20]


def test_reshaping_keeps_what_prompts_share(trace):
    """Thinned or doubled, a trace still says what its prompts share, and is a sound trace."""
    for changed in (thin(trace, 0.5, 1), superpose(trace, 2, 1)):
        assert changed.prefix_parent is not None
        assert (changed.prefix_parent < np.arange(changed.arrival_s.size)).all()
        assert 0 < changed.shared_share <= trace.shared_share + 0.01


def test_a_share_is_a_share(trace):
    """Half of each prompt, and never all of one; the digest is another; 1 is refused."""
    assert trace.shared_share == pytest.approx(0.5, abs=0.001)
    bare = make(trace.arrival_s, trace.prompt_tokens, trace.output_tokens)
    assert bare.shared_share is None
    assert bare.digest != trace.digest
    assert with_cached_share(bare, 0.0) is bare
    one = with_prefixes(bare, trace.prefix_parent, bare.prompt_tokens, "")
    assert (one.shared_tokens < one.prompt_tokens).all()
    with pytest.raises(InputError, match="from 0 to below 1"):
        with_cached_share(bare, 1.0)


def lines(*blocks, spoilt=False):
    """Return JSON lines of Mooncake, with a line that is no JSON if asked for."""
    rows = [
        json.dumps(
            {"timestamp": 1000 * i, "input_length": 512 * len(b), "output_length": 5, "hash_ids": b}
        )
        for i, b in enumerate(blocks)
    ]
    return io.BytesIO("\n".join([*rows, *(["{"] if spoilt else [])]).encode())


@pytest.mark.parametrize("spoilt", [False, True])
def test_blocks_are_read_from_a_file(spoilt):
    """Fast and line by line alike; rows are told apart by their place after sorting."""
    source = lines([1, 2], [3], [1, 2, 4], [3, 5], spoilt=spoilt)
    found = read_trace(source, name="m.jsonl", time_unit="ms", losses="accept", tables=TABLES)
    assert found.prefix_parent.tolist() == [-1, -1, 0, 1]
    assert found.shared_tokens.tolist() == [0, 0, 1024, 512]
    assert "hash_ids" in found.report.prefixes


def test_counts_of_cached_tokens_are_read_from_a_file():
    """A gateway's column of cached tokens; a file without any says nothing of prefixes."""
    head = "timestamp,prompt_tokens,output_tokens,cached_tokens\n"
    rows = "".join(f"2026-11-02T10:00:{s:02d}Z,1000,10,{c}\n" for s, c in ((0, 0), (9, 640)))
    found = read_trace(io.BytesIO((head + rows).encode()), name="a.csv", tables=TABLES)
    assert found.prefix_parent.tolist() == [-1, 0]
    assert found.shared_tokens.tolist() == [0, 640]
    none = (head + rows).replace(",640", ",0")
    assert read_trace(io.BytesIO(none.encode()), name="a.csv", tables=TABLES).shared_share is None


def test_one_replica_that_stays_finds_all_and_one_that_goes_finds_less(plan, trace):
    """Always on, all that is shared is found; the sooner a replica goes, the less is."""
    policy = ScalingPolicy(min_replicas=1, max_replicas=1, idle_timeout_s=math.inf)
    always = dataclasses.replace(plan, policy=policy, retry_s=None)
    result = simulate_plan(always, trace, draws(60.0))
    assert found_share(result, always, trace) == pytest.approx(trace.shared_share)
    shares = []
    for timeout_s in (0.0, 60.0, 600.0, 6000.0):
        goes = ScalingPolicy(max_replicas=1, idle_timeout_s=timeout_s)
        zero = dataclasses.replace(plan, policy=goes, retry_s=None)
        shares.append(found_share(simulate_plan(zero, trace, draws(60.0)), zero, trace))
    assert shares == sorted(shares)
    assert shares[0] < 0.2 < shares[-1] <= trace.shared_share + 1e-9


def test_a_cache_of_no_tokens_is_no_cache(plan, trace):
    """With room for nothing every prompt is read whole, as without prefixes at all."""
    bare = make(trace.arrival_s, trace.prompt_tokens, trace.output_tokens)
    none = dataclasses.replace(plan, speed=dataclasses.replace(plan.speed, cache_tokens=0.0))
    # A parent that came directly before has nothing after it: only other requests take room.
    parent = np.where(np.arange(900) >= 2, np.arange(900) - 2, -1).astype(np.int32)
    apart = with_prefixes(bare, parent, trace.shared_tokens, "")
    result = simulate_plan(none, apart, draws(60.0))
    np.testing.assert_array_equal(result.ttft_s, simulate_plan(none, bare, draws(60.0)).ttft_s)


def test_what_a_cache_saves_and_what_is_read_are_the_whole_prompt(plan, trace):
    """Own prompt and what was saved add up, and the parts to the time to first token."""
    result = simulate_plan(plan, trace, draws(60.0, 45.0))
    parts = explain(result, plan, trace)
    whole_s = plan.speed.prefill_s(trace.prompt_tokens) - plan.speed.overhead_s
    np.testing.assert_allclose(parts.prompt_s + parts.saved_s, whole_s)
    assert parts.saved_s.max() > 0
    names = ("start_s", "slot_s", "behind_s", "shared_s", "prompt_s", "overhead_s", "retry_s")
    total_s = sum(getattr(parts, name) for name in names)
    np.testing.assert_allclose(total_s, result.ttft_s, rtol=0, atol=1e-5)


def test_sleep_that_keeps_the_cache_finds_what_sleep_that_loses_it_does_not(plan, trace):
    """A parked replica resumes with its cache only where its tier says so."""
    found = []
    for keeps in (True, False):
        policy = ScalingPolicy(parked=(ParkedTier(resume_s=1.0, keeps_cache=keeps),))
        parked = dataclasses.replace(plan, policy=policy, retry_s=None)
        found.append(found_share(simulate_plan(parked, trace, draws(60.0)), parked, trace))
    assert found[0] == pytest.approx(trace.shared_share)
    assert found[1] < 0.2


def test_a_request_sent_where_its_prompt_began_finds_more(trace):
    """Of two replicas that are always on one has the prefix: routed by it more is found.

    Without prefixes in the traffic the option changes no plan.
    """
    bare = make(trace.arrival_s, trace.prompt_tokens, trace.output_tokens)
    found = {}
    for by_prefix in (False, True):
        scenario = dataclasses.replace(SCENARIO, by_prefix=by_prefix)
        machines = deploy(scenario, trace, TABLES).machines
        one, two, *_ = dedicated_plans(machines, trace, TABLES)
        routing = "prefix" if by_prefix else "spread"
        assert (one.policy.routing, two.policy.routing) == (routing, routing)
        found[by_prefix] = found_share(simulate_plan(two, trace, draws(60.0)), two, trace)
        for plan in dedicated_plans(machines, bare, TABLES):
            assert plan.policy.routing == "spread"
    assert found[True] > found[False]


def test_the_bound_finds_all_that_prompts_share(trace):
    """Whoever knows the trace reads nothing twice: no plan reads less, and the bill is lower."""
    scenario = dataclasses.replace(SCENARIO, mitigations=())
    bare = make(trace.arrival_s, trace.prompt_tokens, trace.output_tokens)
    usd = []
    for traffic in (trace, bare):
        grid = default_grid(deploy(scenario, traffic, TABLES), traffic, TABLES)
        outcomes = sweep(grid, traffic, TABLES)
        table = frontier_table(outcomes, TABLES, slo_p99_ttft_s=2.0).set_index("family")
        usd.append(table.loc["bound", "usd_per_month"])
        for outcome in outcomes[:-1]:
            read_s = rerun(outcome, traffic).prompt_s.sum()
            assert rerun(outcome, traffic, finds_all=True).prompt_s.sum() <= read_s + 1e-6
    assert usd[0] < usd[1]


def test_seconds_of_replicas_add_up_with_chunks_and_caches(plan, trace):
    """Starting, busy, idle and parked seconds of a session are its length within the horizon."""
    result = simulate_plan(plan, trace, draws(60.0, 20.0))
    sessions = result.sessions
    ended_s = np.minimum(sessions["ended_s"], result.horizon_s)
    parts_s = sum(sessions[name] for name in ("starting_s", "busy_s", "idle_s"))
    lasted_s = ended_s - np.minimum(sessions["started_s"], result.horizon_s)
    np.testing.assert_allclose(parts_s + sessions["parked_s"].sum(axis=1), lasted_s, atol=1e-6)


def test_hits_rise_with_the_keep_alive_to_those_of_replicas_that_stay(trace):
    """The chart's numbers: more is found the longer a replica is kept, and most if always."""
    hits = cache_hits(deploy(SCENARIO, trace, TABLES), trace, TABLES)
    assert hits.found_shares[0] < hits.found_shares[-1] <= hits.always_on_share + 0.02
    assert len(hits.found_shares) == len(hits.idle_timeouts_s) > 5
