"""Laws every simulation obeys, an independent simulator it agrees with, and what is refused."""

from __future__ import annotations

import dataclasses
import math
import os
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from frontier.errors import InfeasibleError, InputError
from frontier.latency import summarise
from frontier.policy import ROUTINGS, NodePool, ParkedTier, ScalingPolicy
from frontier.simulate import Cancelled, Prefixes, simulate_replicas
from tests.reference import assert_same, simulate

ROOT = Path(__file__).resolve().parents[2]
SEEDS = range(250)


@dataclasses.dataclass(frozen=True)
class Case:
    arrival_s: np.ndarray
    prefill_s: np.ndarray
    output_tokens: np.ndarray
    decode_step_s: np.ndarray
    policy: ScalingPolicy
    cold_start_s: np.ndarray
    horizon_s: float
    pod_start_s: np.ndarray | None = None
    prefill_chunks: np.ndarray | None = None
    prefix: Prefixes | None = None

    def run(self, **changes):
        case = dataclasses.replace(self, **changes)
        return simulate_replicas(
            case.arrival_s,
            case.prefill_s,
            case.output_tokens,
            case.decode_step_s,
            policy=case.policy,
            cold_start_s=case.cold_start_s,
            horizon_s=case.horizon_s,
            pod_start_s=case.pod_start_s,
            prefill_chunks=case.prefill_chunks,
            prefix=case.prefix,
        )


def draw_case(seed, *, on_grid=False):
    """Draw a small trace and a policy that mixes every rule.

    On the grid all times are quarters of a second, and steps are powers of two: instants
    coincide all the time, and floating-point arithmetic is exact.
    """
    rng = np.random.default_rng([seed, on_grid])

    def seconds(scale, size=None):
        if on_grid:
            return rng.integers(0, max(1, int(4 * scale)) + 1, size) / 4
        return rng.exponential(scale, size)

    def time(*scales, endless):
        """Draw one of the scales, nothing at all, or a time without end if that is allowed."""
        choices = [float(seconds(scale)) for scale in scales] * 2 + [0.0]
        return float(rng.choice([*choices, math.inf] if endless else choices))

    n = int(rng.integers(0, 40))
    most = int(rng.choice([1, 1, 2, 3, 5]))
    replicas = int(rng.integers(1, 6))
    arrival_s = np.cumsum(seconds(rng.choice([0.2, 1.0, 4.0, 10.0]), n))
    end_s = 5 + 1.3 * (arrival_s[-1] if n else 5.0)
    changes = rng.choice([0, 0, 1, 2, 3])
    if on_grid:
        decode_step_s = 2.0 ** rng.integers(-3, 2, most)
        change_s = np.unique(rng.integers(0, int(4 * end_s), changes) / 4)
        horizon_s = rng.integers(1, int(8 * end_s)) / 4
    else:
        decode_step_s = rng.uniform(0.01, 0.5, most)
        change_s = np.sort(rng.uniform(0, end_s, changes))
        horizon_s = rng.uniform(0.3, 2.0) * end_s
    schedule = tuple((float(at), int(rng.integers(0, replicas + 1))) for at in change_s)
    minimum = int(rng.choice([0, rng.integers(0, replicas + 1)]))
    pinned = int(rng.integers(0, min([minimum, *(least for _, least in schedule)]) + 1))
    policy = ScalingPolicy(
        min_replicas=minimum,
        max_replicas=replicas,
        idle_timeout_s=time(2.0, 20.0, endless=True),
        target_concurrency=rng.choice([None, int(rng.integers(1, most + 2))]),
        buffer_replicas=int(rng.choice([0, 0, 1, 2])),
        routing=str(rng.choice(ROUTINGS)),
        parked=tuple(
            ParkedTier(stay_s=time(3.0, 30.0, endless=True), resume_s=time(1.0, endless=False))
            for _ in range(rng.choice([0, 0, 1, 2, 3]))
        ),
        queue_timeout_s=time(3.0, 20.0, endless=True) if rng.random() < 0.6 else math.inf,
        schedule=schedule,
        pinned_replicas=pinned,
        refuses_cold=seed % 5 == 0,
    )
    return Case(
        arrival_s=arrival_s,
        prefill_s=seconds(rng.choice([0.1, 0.5, 2.0]), n) * rng.choice([0, 1, 1]),
        output_tokens=rng.integers(1, rng.choice([2, 4, 20]), n),
        decode_step_s=decode_step_s * rng.choice([0, 1, 1, 1, 1, 1, 1, 1]),
        policy=policy,
        cold_start_s=seconds(rng.choice([0.5, 3.0, 10.0]), rng.integers(1, 5)),
        horizon_s=float(horizon_s),
    )


@pytest.mark.parametrize("on_grid", [False, True], ids=["continuous", "full of ties"])
def test_it_agrees_with_the_reference(on_grid):
    """Every request and every session is the reference's, to a microsecond.

    Where times are full of ties the reference computes with fractions, so that its ties are
    true ones.
    """
    number = Fraction if on_grid else float
    for seed in SEEDS:
        case = draw_case(seed, on_grid=on_grid)
        expected = simulate(
            [number(at) for at in case.arrival_s],
            [number(time) for time in case.prefill_s],
            [int(tokens) for tokens in case.output_tokens],
            [number(step) for step in case.decode_step_s],
            policy=case.policy,
            cold_start=[number(start) for start in case.cold_start_s],
            horizon=number(case.horizon_s),
        )
        assert_same(case.run(), expected)


def draw_engine(seed, *, on_grid=False):
    """Draw a case whose prompts are read in chunks, or are found in a cache, or both.

    On the grid a chunk takes nothing or as long as a decode step, so that whatever an engine step
    holds, it takes a power of two and floating-point arithmetic stays exact.
    """
    case = draw_case(seed, on_grid=on_grid)
    rng = np.random.default_rng([seed, on_grid, 7])
    n = case.arrival_s.size
    prefix, chunks = None, None
    if seed % 4 != 1:
        chunks = rng.integers(1, 6, n)
        if on_grid:
            step_s = case.decode_step_s[0]
            case = dataclasses.replace(
                case,
                decode_step_s=np.full(case.decode_step_s.size, step_s),
                prefill_s=chunks * (step_s or 0.25),
            )
    if seed % 4 != 2:
        parents = np.array([int(rng.integers(-1, i)) if i else -1 for i in range(n)], dtype=int)
        shares = [0.0, 1.0] if on_grid else [0.25, 0.5, 1.0, 2.0]
        prefix = Prefixes(
            parent=np.where(rng.random(n) < 0.7, parents, -1),
            saved_s=case.prefill_s * rng.choice(shares, n),
            tokens=rng.integers(1, 10, n),
            cache_tokens=float(rng.choice([0, 5, 20, math.inf])),
            least_prefill_s=0.0 if on_grid else float(rng.choice([0, 0.25])),
        )
    tiers = tuple(
        dataclasses.replace(tier, keeps_cache=bool((seed + k) % 3))
        for k, tier in enumerate(case.policy.parked)
    )
    policy = dataclasses.replace(case.policy, parked=tiers)
    return dataclasses.replace(case, policy=policy, prefill_chunks=chunks, prefix=prefix)


@pytest.mark.parametrize("on_grid", [False, True], ids=["continuous", "full of ties"])
def test_with_chunks_and_a_cache_it_agrees_with_the_reference(on_grid):
    """Prompts read between the answers, and found in a cache: all is the reference's.

    That keeps lists of what was not read and of what went through each cache, and no clock.
    """
    number = Fraction if on_grid else float
    saved = 0
    for seed in SEEDS:
        case = draw_engine(seed, on_grid=on_grid)
        chunks, prefix = case.prefill_chunks, case.prefix
        expected = simulate(
            [number(at) for at in case.arrival_s],
            [number(time) for time in case.prefill_s],
            [int(tokens) for tokens in case.output_tokens],
            [number(step) for step in case.decode_step_s],
            policy=case.policy,
            cold_start=[number(start) for start in case.cold_start_s],
            horizon=number(case.horizon_s),
            chunks=None if chunks is None else chunks.tolist(),
            prefix=prefix
            and {
                "parent": prefix.parent.tolist(),
                "saved_s": [number(s) for s in prefix.saved_s],
                "tokens": prefix.tokens.tolist(),
                "cache_tokens": prefix.cache_tokens,
                "least_prefill_s": number(prefix.least_prefill_s),
            },
        )
        result = case.run()
        assert_same(result, expected)
        served = ~result.rejected
        saved += np.count_nonzero(result.prompt_s[served] < case.prefill_s[served])
    assert saved > 100


def test_without_a_parent_or_with_one_chunk_alone_nothing_changes():
    """A cache that nothing is found in changes no second, and neither do chunks read alone."""
    for seed in SEEDS[:60]:
        case = draw_case(seed)
        n = case.arrival_s.size
        nothing = Prefixes(np.full(n, -1), case.prefill_s, np.ones(n, int))
        for name in ("ttft_s", "finish_s"):
            np.testing.assert_array_equal(
                getattr(case.run(prefix=nothing), name), getattr(case.run(), name)
            )
        # One replica that answers one request at a time reads no prompt beside an answer.
        one = ScalingPolicy(min_replicas=1, idle_timeout_s=math.inf)
        alone = dataclasses.replace(case, decode_step_s=case.decode_step_s[:1], policy=one)
        chunks = np.random.default_rng(seed).integers(1, 9, n)
        np.testing.assert_allclose(
            alone.run(prefill_chunks=chunks).ttft_s, alone.run().ttft_s, rtol=0, atol=1e-9
        )


def test_a_cache_that_finds_every_prompt_whole_makes_nobody_wait_longer():
    """On one replica, always on: a prompt that costs nothing is no slower than one that does."""
    for seed in SEEDS[:60]:
        case = draw_case(seed)
        n = case.arrival_s.size
        always = ScalingPolicy(min_replicas=1, max_replicas=1, idle_timeout_s=math.inf)
        found = Prefixes(np.arange(-1, n - 1), case.prefill_s, np.ones(n, int))
        case = dataclasses.replace(case, policy=always)
        assert np.all(case.run(prefix=found).ttft_s <= case.run().ttft_s + 1e-9)


def test_a_cache_is_lost_with_the_replica():
    """After a start nothing is found; a tier keeps the cache or loses it, as it says."""
    arrival_s, step_s = np.array([0.0, 10.0]), np.array([0.1])
    prefix = Prefixes(np.array([-1, 0]), np.array([0.0, 0.9]), np.array([10, 10]))

    def second_prompt_s(**rules):
        result = simulate_replicas(
            arrival_s,
            [1.0, 1.0],
            [1, 1],
            step_s,
            policy=ScalingPolicy(**rules),
            cold_start_s=[2.0],
            horizon_s=20.0,
            prefix=prefix,
        )
        return result.prompt_s[1]

    assert second_prompt_s(idle_timeout_s=60.0) == pytest.approx(0.1)
    assert second_prompt_s(idle_timeout_s=1.0) == 1.0
    sleeps = ParkedTier(resume_s=0.5, keeps_cache=True)
    assert second_prompt_s(idle_timeout_s=1.0, parked=(sleeps,)) == pytest.approx(0.1)
    loses = ParkedTier(resume_s=0.5)
    assert second_prompt_s(idle_timeout_s=1.0, parked=(loses,)) == 1.0
    on_the_way = (ParkedTier(stay_s=2.0, resume_s=0.5), sleeps)
    assert second_prompt_s(idle_timeout_s=1.0, parked=on_the_way) == 1.0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"parent": np.array([-1, 1])}, "an earlier request or -1, got 1 in entry 1"),
        ({"saved_s": np.array([0.1])}, "one entry a request each, got 2, 1 and 2"),
        ({"cache_tokens": -1.0}, "cache_tokens must be at least 0"),
        ({"saved_s": np.array([0.1, math.inf])}, "prefix.saved_s must hold finite times"),
    ],
)
def test_an_impossible_prefix_is_refused_by_name(change, words):
    """What cannot be is said before anything is compiled or run."""
    whole = {"parent": np.array([-1, 0]), "saved_s": np.zeros(2), "tokens": np.ones(2, int)}
    with pytest.raises(InputError, match=words):
        Prefixes(**(whole | change))


def test_chunks_are_one_a_request():
    """Chunks for other requests than there are, or fewer than one, are refused."""
    case = draw_case(4)
    n = case.arrival_s.size
    for chunks, words in ((np.ones(n + 1, int), "one entry a request"), (np.zeros(n), "from 1 to")):
        with pytest.raises(InputError, match=f"prefill_chunks must h.*{words}"):
            case.run(prefill_chunks=chunks)


def draw_case_on_nodes(seed, *, on_grid=False):
    """Draw a case whose replicas run on nodes that come and go, some of them kept."""
    case = draw_case(seed, on_grid=on_grid)
    rng = np.random.default_rng([seed, on_grid, 7])

    def seconds(scale, size=None):
        if on_grid:
            return rng.integers(0, max(1, int(4 * scale)) + 1, size) / 4
        return rng.exponential(scale, size)

    delay_s = float(rng.choice([0.0, seconds(1.0), seconds(10.0), seconds(60.0), math.inf]))
    pool = NodePool(int(rng.integers(1, 5)), delay_s, kept_nodes=int(rng.choice([0, 0, 0, 1, 2])))
    return dataclasses.replace(
        case,
        policy=dataclasses.replace(case.policy, nodes=pool),
        # Pods that wait for one node are ready at one instant: without prompts they would finish
        # at one as well, but for the last bits of a float, which decide nothing.
        prefill_s=case.prefill_s + (0.0 if on_grid else seconds(0.1, case.prefill_s.size)),
        # More often than not below the whole start, as it should be, but nothing depends on it.
        pod_start_s=case.cold_start_s * rng.choice([0, 0, 1])
        + seconds(rng.choice([0.3, 2.0]), case.cold_start_s.size),
    )


@pytest.mark.parametrize("on_grid", [False, True], ids=["continuous", "full of ties"])
def test_on_nodes_it_agrees_with_the_reference(on_grid):
    """Every request and every session is the reference's, to a microsecond, on nodes as well."""
    number = Fraction if on_grid else float
    shared = joined = 0
    for seed in SEEDS:
        case = draw_case_on_nodes(seed, on_grid=on_grid)
        expected = simulate(
            [number(at) for at in case.arrival_s],
            [number(time) for time in case.prefill_s],
            [int(tokens) for tokens in case.output_tokens],
            [number(step) for step in case.decode_step_s],
            policy=case.policy,
            cold_start=[number(start) for start in case.cold_start_s],
            horizon=number(case.horizon_s),
            pod_start=[number(start) for start in case.pod_start_s],
        )
        result = case.run()
        assert_same(result, expected)
        index, m = result.sessions["cold_start_index"], case.cold_start_s.size
        on_node = index >= m
        took_s = result.sessions["ready_s"] - result.sessions["started_s"]
        longer = took_s[on_node] > case.pod_start_s[index[on_node] - m] + 1e-6
        shared += int(on_node.sum() - longer.sum())
        joined += int(longer.sum())
    # The rule was really met: pods on nodes that were up, and pods that had to wait for one.
    assert shared > 100
    assert joined > 20


def test_nodes_of_one_replica_that_take_no_time_change_nothing():
    """One replica a node, no delay, and a pod that starts like a whole one: the plain run."""
    for seed in SEEDS:
        case = draw_case(seed)
        on_nodes = dataclasses.replace(
            case,
            policy=dataclasses.replace(case.policy, nodes=NodePool()),
            pod_start_s=case.cold_start_s,
        )
        plain, found = case.run(), on_nodes.run()
        for name in ("ttft_s", "finish_s", "waited_on_start", "rejected", "sessions"):
            np.testing.assert_array_equal(getattr(found, name), getattr(plain, name))


def test_kept_nodes_never_start():
    """With enough kept nodes no start is a whole one."""
    for seed in SEEDS:
        case = draw_case_on_nodes(seed)
        kept = dataclasses.replace(case.policy.nodes, kept_nodes=case.policy.max_replicas)
        case = dataclasses.replace(case, policy=dataclasses.replace(case.policy, nodes=kept))
        index = case.run().sessions["cold_start_index"]
        assert not ((index >= 0) & (index < case.cold_start_s.size)).any()


def test_a_node_that_stays_starts_once():
    """Without an end to the delay each node is brought at most once, and never if it was up."""
    for seed in SEEDS:
        case = draw_case_on_nodes(seed)
        pool = dataclasses.replace(case.policy.nodes, scale_down_delay_s=math.inf)
        case = dataclasses.replace(case, policy=dataclasses.replace(case.policy, nodes=pool))
        rows = case.run().sessions
        rows = rows[rows["replica"] >= case.policy.pinned_replicas]
        node = (rows["replica"] - case.policy.pinned_replicas) // pool.replicas_per_node
        brought = (rows["cold_start_index"] >= 0) & (
            rows["cold_start_index"] < case.cold_start_s.size
        )
        was_up = set(node[rows["cold_start_index"] < 0])
        assert np.unique(node[brought]).size == brought.sum()
        assert not was_up & set(node[brought])


def test_starts_on_nodes_need_a_start_of_their_own():
    """One entry for each whole start, and none without nodes."""
    case = draw_case_on_nodes(3)
    for pods_s in (None, np.append(case.pod_start_s, 1.0)):
        with pytest.raises(InputError, match="pod_start_s must have"):
            case.run(pod_start_s=pods_s)
    with pytest.raises(InputError, match="pod_start_s must have 0 entries"):
        case.run(policy=dataclasses.replace(case.policy, nodes=None))


def test_seconds_in_sessions_add_up():
    """Starting, busy, idle and parked seconds are those from start to end within the horizon."""
    for seed in SEEDS:
        result = draw_case(seed).run()
        rows = result.sessions
        parts = rows["starting_s"] + rows["busy_s"] + rows["idle_s"] + rows["parked_s"].sum(axis=1)
        from_s, to_s = (np.minimum(rows[end], result.horizon_s) for end in ("started_s", "ended_s"))
        np.testing.assert_allclose(parts, to_s - from_s, rtol=0, atol=1e-9)
        assert np.all(rows["started_s"] <= rows["ready_s"])
        assert np.all(rows["ready_s"] <= rows["ended_s"])
        assert np.all(np.diff(rows["started_s"]) >= 0)


def test_every_request_finishes_or_is_rejected():
    """None is lost; nobody is served faster than the replica can, nor rejected without a limit."""
    rejected = 0
    for seed in SEEDS:
        case = draw_case(seed)
        result = case.run()
        rejected += result.rejected.sum()
        served = ~result.rejected
        assert np.all(np.isinf(result.finish_s[result.rejected]))
        assert np.all(np.isinf(result.ttft_s[result.rejected]))
        assert np.all(result.ttft_s[served] >= case.prefill_s[served] - 1e-9)
        fastest_s = (case.output_tokens - 1) * case.decode_step_s.min()
        first_s = case.arrival_s + result.ttft_s
        assert np.all(result.finish_s[served] >= (first_s + fastest_s)[served] - 1e-9)
        if math.isinf(case.policy.queue_timeout_s) and not case.policy.refuses_cold:
            assert not result.rejected.any()
    assert rejected > 0


def test_the_same_arguments_give_the_same_result():
    """Two runs agree in every bit, and leave their arguments as they were."""
    for seed in SEEDS[:50]:
        case = draw_case(seed)
        before = [array.copy() for array in vars(case).values() if isinstance(array, np.ndarray)]
        once, again = case.run(), case.run()
        for field in dataclasses.fields(once):
            first, second = getattr(once, field.name), getattr(again, field.name)
            assert np.asarray(first).tobytes() == np.asarray(second).tobytes()
        after = [array for array in vars(case).values() if isinstance(array, np.ndarray)]
        for one, other in zip(before, after, strict=True):
            np.testing.assert_array_equal(one, other)


def test_twice_as_slow_a_world_takes_twice_as_long():
    """Doubling every time doubles every result, exactly: no number of seconds is built in."""
    for seed in SEEDS:
        case = draw_case(seed)
        policy = dataclasses.replace(
            case.policy,
            idle_timeout_s=2 * case.policy.idle_timeout_s,
            queue_timeout_s=2 * case.policy.queue_timeout_s,
            schedule=tuple((2 * at, least) for at, least in case.policy.schedule),
            parked=tuple(
                ParkedTier(stay_s=2 * tier.stay_s, resume_s=2 * tier.resume_s)
                for tier in case.policy.parked
            ),
        )
        slower = case.run(
            policy=policy,
            arrival_s=2 * case.arrival_s,
            prefill_s=2 * case.prefill_s,
            decode_step_s=2 * case.decode_step_s,
            cold_start_s=2 * case.cold_start_s,
            horizon_s=2 * case.horizon_s,
        )
        result = case.run()
        np.testing.assert_array_equal(slower.ttft_s, 2 * result.ttft_s)
        np.testing.assert_array_equal(slower.sessions["idle_s"], 2 * result.sessions["idle_s"])
        np.testing.assert_array_equal(slower.waited_on_start, result.waited_on_start)


def test_with_as_many_replicas_at_least_as_at_most_nobody_waits_on_a_start():
    """min_replicas == max_replicas: all are ready at time 0, and that is all the sessions."""
    for seed in SEEDS:
        case = draw_case(seed)
        most = case.policy.max_replicas
        policy = dataclasses.replace(case.policy, min_replicas=most, schedule=(), pinned_replicas=0)
        result = case.run(policy=policy)
        assert result.waited_share == 0 or result.ttft_s.size == 0
        assert result.sessions["cold_start_index"].tolist() == [-1] * most
        assert result.held_s == pytest.approx(most * result.horizon_s)


def test_a_warm_pool_that_may_not_grow_is_dedicated():
    """Pinned or merely at the minimum, with any timeout and any tiers: the same run."""
    for seed in SEEDS:
        case = draw_case(seed)
        most = case.policy.max_replicas
        pool = dataclasses.replace(case.policy, min_replicas=most, schedule=(), pinned_replicas=0)
        dedicated = dataclasses.replace(
            pool, pinned_replicas=most, idle_timeout_s=math.inf, parked=()
        )
        ours, theirs = case.run(policy=pool), case.run(policy=dedicated)
        np.testing.assert_array_equal(ours.ttft_s, theirs.ttft_s)
        np.testing.assert_array_equal(ours.finish_s, theirs.finish_s)
        for part in ("busy_s", "idle_s", "ended_s"):
            np.testing.assert_array_equal(ours.sessions[part], theirs.sessions[part])


def test_a_longer_idle_timeout_never_means_more_starts():
    """One replica, one request at a time: more patience is never started more often."""
    fell = 0
    for seed in SEEDS[:100]:
        case = draw_case(seed)
        starts = [
            len(
                case.run(
                    policy=ScalingPolicy(idle_timeout_s=timeout_s),
                    decode_step_s=[0.1],
                    cold_start_s=[3.0],
                ).sessions
            )
            for timeout_s in (0.0, 0.5, 2.0, 8.0, 30.0, math.inf)
        ]
        assert starts == sorted(starts, reverse=True)
        fell += starts[-1] < starts[0]
    assert fell > 0


def test_one_replica_more_never_makes_a_request_wait_longer():
    """One request at a time, FIFO, fixed replicas: each first token comes no later with more."""
    helped = 0
    for seed in SEEDS[:100]:
        case = draw_case(seed)
        fewer = None
        for count in range(1, 5):
            policy = ScalingPolicy(min_replicas=count, max_replicas=count)
            ttft_s = case.run(policy=policy, decode_step_s=[0.1]).ttft_s
            if fewer is not None:
                assert np.all(ttft_s <= fewer + 1e-9)
                helped += np.any(ttft_s < fewer - 1e-9)
            fewer = ttft_s
    assert helped > 0


def test_nothing_comes_of_nothing():
    """Without requests a minimum is still held, and there is no percentile to speak of."""
    nobody = draw_case(0)
    policy = ScalingPolicy(min_replicas=1, max_replicas=2, schedule=((6.0, 2), (8.0, 0)))
    empty = {"arrival_s": [], "prefill_s": [], "output_tokens": []}
    result = nobody.run(**empty, policy=policy, cold_start_s=[1.0], horizon_s=10.0)
    assert result.sessions["ended_s"].tolist() == [8.0, 8.0]
    assert result.held_s == 10.0
    assert math.isnan(result.waited_share)
    with pytest.raises(InfeasibleError, match="at least one request"):
        result.ttft_percentile(99)


def serve(arrival_s, policy, /, **changes):
    """Serve requests of 1 s each, one at a time on a replica, with starts of 10 s."""
    case = Case(
        arrival_s=np.asarray(arrival_s, dtype=float),
        prefill_s=np.ones(len(arrival_s)),
        output_tokens=np.ones(len(arrival_s), dtype=int),
        decode_step_s=np.array([1.0]),
        policy=policy,
        cold_start_s=np.array([10.0]),
        horizon_s=100.0,
    )
    return case.run(**changes)


def test_an_idle_replica_is_still_warm_at_its_timeout():
    """Ready at 10, done at 11, timeout 5: an arrival at 16 is warm and one at 22.5 is cold."""
    result = serve([0.0, 16.0, 22.5], ScalingPolicy(idle_timeout_s=5.0))
    assert result.ttft_s.tolist() == [11.0, 1.0, 11.0]
    assert result.waited_on_start.tolist() == [True, False, True]
    assert result.sessions["ended_s"].tolist() == [22.0, 38.5]


def test_a_cold_request_is_refused_and_what_it_started_goes_on():
    """The start of 0 is ready at 10: 0 and 9 are refused, 10 is served; full is not cold."""
    result = serve([0.0, 9.0, 10.0, 10.5, 30.0], ScalingPolicy(idle_timeout_s=5, refuses_cold=True))
    assert result.ttft_s.tolist() == [math.inf, math.inf, 1.0, 1.5, math.inf]
    assert result.rejected.tolist() == [True, True, False, False, True]
    assert not result.waited_on_start.any()
    # Ready at 10, busy to 12, off at 17; the one that 30 started is ready at 40 and off at 45.
    assert result.sessions["busy_s"].tolist() == [2.0, 0.0]
    assert result.sessions["ended_s"].tolist() == [17.0, 45.0]


def test_a_replica_freed_at_the_timeout_takes_the_request():
    """A finish comes before a queue timeout in the same instant, and that before an arrival."""
    policy = ScalingPolicy(min_replicas=1, queue_timeout_s=1.0)
    result = serve([0.0, 0.0, 0.5], policy)
    assert result.ttft_s.tolist() == [1.0, 2.0, math.inf]


def test_kept_for_the_minimum_a_replica_is_looked_at_when_that_falls():
    """Both idle from 0 with a timeout of 5; the minimum falls from 2 to 1 at 50: 0 goes first."""
    policy = ScalingPolicy(
        min_replicas=2, max_replicas=2, idle_timeout_s=5.0, schedule=((50.0, 1),)
    )
    result = serve([], policy)
    assert result.sessions["ended_s"].tolist() == [50.0, 100.0]
    # An arrival in that instant comes first, and takes replica 0; then only 1 is idle.
    result = serve([50.0], policy)
    assert result.sessions["ended_s"].tolist() == [100.0, 50.0]


def test_parked_replicas_are_resumed_before_any_is_started():
    """Off at 16 to a tier of 20 s resumed in 2, then one of 30 s resumed in 5."""
    tiers = (ParkedTier(20.0, 2.0), ParkedTier(30.0, 5.0))
    policy = ScalingPolicy(idle_timeout_s=5.0, parked=tiers)
    for arrival_s, ttft_s in ((36.0, 3.0), (36.5, 6.0), (66.0, 6.0), (66.5, 11.0)):
        result = serve([0.0, arrival_s], policy)
        assert result.ttft_s.tolist() == [11.0, ttft_s]
        resumed = ttft_s < 11
        assert len(result.sessions) == (1 if resumed else 2)
        assert result.sessions["starting_s"][0] == (10 + ttft_s - 1 if resumed else 10)
        in_tiers = [min(arrival_s - 16, 20.0), min(arrival_s - 36, 30.0)]
        if not resumed:
            assert result.sessions["parked_s"][0].tolist() == in_tiers
            assert result.sessions["ended_s"][0] == 66.0


def test_requests_with_the_same_steps_left_finish_together():
    """Two prompts of 1 s, two tokens each, and a third waiting: both leave before it enters."""
    result = serve(
        [0.0, 0.0, 0.0],
        ScalingPolicy(min_replicas=1),
        output_tokens=np.array([2, 2, 1]),
        decode_step_s=np.array([0.1, 0.1]),
    )
    np.testing.assert_allclose(result.finish_s, [2.1, 2.1, 3.1])


def test_a_prompt_stops_the_decodes_beside_it():
    """10 steps of 0.1 s, broken at 1.5 by a prompt of 1 s, and slower with two on board."""
    result = serve(
        [0.0, 1.5],
        ScalingPolicy(min_replicas=1),
        output_tokens=np.array([11, 11]),
        decode_step_s=np.array([0.1, 0.2]),
    )
    # 5 steps alone by 1.5, a second of standing still, 5 steps of 0.2 s, then 5 of 0.1 s.
    np.testing.assert_allclose(result.finish_s, [3.5, 4.0])
    assert result.ttft_s.tolist() == [1.0, 1.0]


def test_percentiles_are_observed_and_count_the_rejected():
    """Of 1, 2 and never: the median is 2 and the p99 is never."""
    policy = ScalingPolicy(min_replicas=1, queue_timeout_s=1.0)
    result = serve([0.0, 0.0, 0.5], policy)
    assert result.ttft_percentile(50) == 2.0
    assert result.ttft_percentile(99) == math.inf
    assert result.rejected_share == pytest.approx(1 / 3)
    with pytest.raises(InputError, match="q must be"):
        result.ttft_percentile(101)


@pytest.mark.parametrize("seed", range(12))
def test_every_percentile_of_a_summary_is_the_one_that_numpy_observes(seed, monkeypatch):
    """Answers of one token and refused requests have no time per token; all else counts.

    However many requests are gone through at a time.
    """
    monkeypatch.setattr("frontier.latency._PART", 3 + 5 * seed)
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 60))
    arrival_s = np.sort(rng.uniform(0, 30, count))
    tokens = rng.integers(1, 4 if seed % 2 else 40, count)
    policy = ScalingPolicy(max_replicas=2, queue_timeout_s=4.0 if seed % 3 else math.inf)
    result = simulate_replicas(
        arrival_s,
        rng.uniform(0, 1, count),
        tokens,
        [0.1, 0.2, 0.3],
        policy=policy,
        cold_start_s=[5.0],
        horizon_s=30.0,
    )
    trace = SimpleNamespace(arrival_s=arrival_s, output_tokens=tokens)
    found = summarise(result, trace)

    def observed(values, q):
        return np.percentile(values, q, method="inverted_cdf") if len(values) else None

    several = (tokens > 1) & ~result.rejected
    latency_s = result.finish_s - arrival_s
    tpot_s = (latency_s[several] - result.ttft_s[several]) / (tokens[several] - 1)
    assert found.p50_ttft_s == observed(result.ttft_s, 50)
    assert found.p99_ttft_s == observed(result.ttft_s, 99)
    assert found.max_ttft_s == result.ttft_s.max()
    assert (found.p50_tpot_s, found.p99_tpot_s) == (observed(tpot_s, 50), observed(tpot_s, 99))
    assert found.p50_latency_s == observed(latency_s, 50)
    assert found.p99_latency_s == observed(latency_s, 99)


def test_results_are_read_only():
    """No reader of a result can change it for the next one."""
    result = serve([0.0], ScalingPolicy())
    for name in ("ttft_s", "finish_s", "waited_on_start", "rejected", "sessions"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(result, name)[:] = 0


def test_a_run_can_be_stopped():
    """With the flag set a long run ends without a result."""
    many = np.arange(100_000.0)
    with pytest.raises(Cancelled):
        simulate_replicas(
            many,
            np.zeros(many.size),
            np.ones(many.size),
            [1.0],
            policy=ScalingPolicy(),
            cold_start_s=[1.0],
            horizon_s=1.0,
            cancel=np.ones(1, dtype=np.uint8),
        )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("arrival_s", [0.0, 2.0, 1.0]),
        ("arrival_s", [-1.0, 0.0, 1.0]),
        ("arrival_s", [[0.0, 1.0, 2.0]]),
        ("prefill_s", [0.0, 1.0]),
        ("prefill_s", [0.0, 1.0, math.nan]),
        ("prefill_s", ["a", "b", "c"]),
        ("output_tokens", [1, 0, 1]),
        ("output_tokens", [1, 1.5, 1]),
        ("output_tokens", [1, math.inf, 1]),
        ("decode_step_s", []),
        ("decode_step_s", [-0.1]),
        ("cold_start_s", []),
        ("cold_start_s", [math.inf]),
        ("horizon_s", math.inf),
        ("horizon_s", -1.0),
    ],
)
def test_an_impossible_array_is_refused_by_name(name, value):
    """The message names the argument."""
    with pytest.raises(InputError, match=name):
        serve([0.0, 1.0, 2.0], ScalingPolicy(), **{name: value})


@pytest.mark.parametrize(
    ("field", "rules"),
    [
        ("min_replicas", {"min_replicas": -1}),
        ("min_replicas", {"min_replicas": 0.5}),
        ("min_replicas", {"min_replicas": 3, "max_replicas": 2}),
        ("max_replicas", {"max_replicas": 0}),
        ("max_replicas", {"max_replicas": math.nan}),
        ("max_replicas", {"max_replicas": math.inf}),
        ("max_replicas", {"max_replicas": "two"}),
        ("max_replicas", {"max_replicas": True}),
        ("idle_timeout_s", {"idle_timeout_s": -1.0}),
        ("idle_timeout_s", {"idle_timeout_s": math.nan}),
        ("idle_timeout_s", {"idle_timeout_s": None}),
        ("target_concurrency", {"target_concurrency": 0}),
        ("target_concurrency", {"target_concurrency": math.inf}),
        ("buffer_replicas", {"buffer_replicas": -1}),
        ("routing", {"routing": "random"}),
        ("scale_down", {"scale_down": "some"}),
        ("queue_timeout_s", {"queue_timeout_s": -0.1}),
        ("queue_timeout_s", {"queue_timeout_s": math.nan}),
        ("parked", {"parked": ((1.0, 2.0),)}),
        ("schedule", {"schedule": ((5.0, 1), (5.0, 0))}),
        ("schedule", {"schedule": ((-5.0, 1),)}),
        ("schedule", {"schedule": ((math.inf, 1),)}),
        ("schedule", {"schedule": ((5.0, 2),)}),
        ("schedule", {"schedule": ((5.0, -1),)}),
        ("schedule", {"schedule": (5.0, 1)}),
        ("pinned_replicas", {"pinned_replicas": 1}),
        ("pinned_replicas", {"min_replicas": 1, "pinned_replicas": 1, "schedule": ((5.0, 0),)}),
    ],
)
def test_an_impossible_policy_is_refused_by_name(field, rules):
    """The message begins with the field at fault."""
    with pytest.raises(InputError, match=f"^{field} must be"):
        ScalingPolicy(**rules)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("stay_s", -1.0),
        ("resume_s", math.inf),
        ("resume_s", math.nan),
        ("held_fraction", 1.1),
        ("held_fraction", -0.1),
        ("held_fraction", math.nan),
    ],
)
def test_an_impossible_tier_is_refused_by_name(field, value):
    """The message begins with the field at fault."""
    with pytest.raises(InputError, match=f"^{field} must be"):
        ParkedTier(**{field: value})


def run_python(code, root=ROOT, **environment):
    """Run code in a fresh interpreter that imports from a root; return what it printed."""
    finished = subprocess.run(
        [sys.executable, "-c", code],
        cwd=root,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.strip()


def test_numba_is_imported_only_to_simulate():
    """A page that only shows a policy does not wait for a compiler."""
    code = "import sys, frontier.policy, frontier.analytic; print('numba' in sys.modules)"
    assert run_python(code) == "False"


def test_the_kernel_runs_where_no_cache_can_be_written(tmp_path):
    """A source tree and a home that cannot be written cost the cache and nothing else.

    A file stands where the cache directory would be, so that this also holds for root.
    """
    package = tmp_path / "frontier"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "__pycache__").touch()
    shutil.copy(ROOT / "frontier" / "kernel.py", package)
    nowhere = str(tmp_path / "frontier" / "__pycache__" / "home")
    code = "from frontier import kernel; print(kernel._run.stats.cache_path)"
    places = {"HOME": nowhere, "XDG_CACHE_HOME": nowhere}
    assert run_python(code, tmp_path, **places, NUMBA_CACHE_DIR="") == "None"
    writable = str(tmp_path / "cache")
    assert run_python(code, tmp_path, **places, NUMBA_CACHE_DIR=writable).startswith(writable)


def test_the_kernel_is_plain_python_without_the_compiler():
    """NUMBA_DISABLE_JIT=1 gives the same numbers."""
    code = (
        "from tests.property.test_simulation import draw_case\n"
        "print([draw_case(seed).run().finish_s.sum() for seed in range(8)])"
    )
    assert run_python(code, NUMBA_DISABLE_JIT="1") == run_python(code)


def test_a_replica_that_is_never_idle_keeps_count_beyond_its_largest_clock():
    """Long answers that overlap without end: the steps of each are counted exactly.

    A replica's clock of decode steps starts anew past 65,536 of them; the entries of the requests
    it holds move with it. Every arrival falls into the answers of others, for 400,000 steps.
    """
    answers = 80
    tokens = np.full(answers, 9001)
    case = Case(
        arrival_s=np.arange(answers) * 5000.0,
        prefill_s=np.full(answers, 1.0),
        output_tokens=tokens,
        decode_step_s=np.array([1.0, 1.0, 1.0]),
        policy=ScalingPolicy(min_replicas=1, max_replicas=1, idle_timeout_s=math.inf),
        cold_start_s=np.array([1.0]),
        horizon_s=500_000.0,
    )
    waits_s = case.run().finish_s - case.arrival_s
    # By hand: its own prompt, 9,000 steps of a second, and one second in which the next prompt is
    # read; nobody comes after the last.
    np.testing.assert_allclose(waits_s[:-1], 9002.0, atol=1e-5)
    assert waits_s[-1] == pytest.approx(9001.0)
