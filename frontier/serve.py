"""A plan serves a trace: what `frontier.simulate` knows of replicas, and what surrounds them.

Prompt times of a speed, prefix caches, API and retries around the queue, and replicas or nodes that
are taken away now and then. Percentiles are in `frontier.latency`, prices nowhere.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frontier.interruptions import back_on_nodes_s, draw_outages
from frontier.latency import parts
from frontier.plans.plan import Plan
from frontier.policy import NodePool
from frontier.serving import ServingSpeed
from frontier.simulate import Prefixes, RunResult, simulate_replicas
from frontier.start.stages import StartDraws
from frontier.trace import Trace

_ALL = slice(None)
_MOST_WORKS = 4


def simulate_plan(
    plan: Plan,
    trace: Trace,
    draws: StartDraws,
    *,
    cancel: NDArray[np.uint8] | None = None,
    finds_all: bool = False,
    work: Work | None = None,
) -> RunResult:
    """Serve a trace under a plan.

    Where the engine reads prompts in chunks (`ServingSpeed.chunk_tokens`), so does the
    simulation, at the speed of a prompt alone: loads that were measured do not tell it from
    ``mixed_mfu``, and a prompt with no answer beside it is the one that a cold start keeps waiting.

    The time of API, tokeniser and scheduler delays a request's first token but keeps no GPU busy,
    so it is added to every TTFT instead of standing in the queue. Where cold requests are refused
    and the client tries again every ``retry_s``, a request that waited on a start is served at
    the first try after its turn came: its wait is rounded up to whole retries.

    Parameters
    ----------
    plan : Plan
    trace : Trace
    draws : StartDraws
        Starts of this plan, used in order. Where it runs on nodes the second half are starts on
        a node that is up.
    cancel : ndarray of uint8, shape (1,), optional
        As for `simulate_replicas`.
    finds_all : bool
        Whether all that prompts share is found, wherever they are served: no plan can, and none
        is faster.
    work : Work, optional
        `work_of` the plan's speed and this trace, where it is at hand.
    """
    if finds_all:
        return _served(plan, trace, draws, cancel, finds_all=True)
    policy = plan.policy
    is_kept = policy.min_replicas == policy.max_replicas and policy.nodes is None
    if plan.interruptions_per_h > 0 and is_kept:
        return _interrupted(plan, trace, draws, cancel)
    result = _served(plan, trace, draws, cancel, work=work)
    if plan.interruptions_per_h > 0 and policy.nodes is not None:
        return _on_spot_nodes(result, plan, policy.nodes, trace, draws)
    return result


def prefixes_of(plan: Plan, trace: Trace) -> Prefixes | None:
    """Return what the caches of a plan's replicas can save of a trace; None where it says nothing.

    At least one token of a prompt is always read (`make_trace`), and the launch of its chunk is in
    the overhead of every first token.
    """
    if trace.prefix_parent is None or trace.shared_tokens is None:
        return None
    return Prefixes(
        parent=trace.prefix_parent.astype(np.int64),
        saved_s=plan.speed.cached_s(trace.shared_tokens),
        tokens=trace.prompt_tokens.astype(np.int64) + trace.output_tokens,
        cache_tokens=plan.speed.cache_tokens,
    )


def found_share(result: RunResult, plan: Plan, trace: Trace) -> float:
    """Return the share of all prompt tokens that was found in a cache [1]; 0 where none is known.

    Those of refused requests were not.
    """
    if trace.shared_tokens is None:
        return 0.0
    whole_s = plan.speed.prefill_s(trace.prompt_tokens) - plan.speed.overhead_s
    found = ~result.rejected & (result.prompt_s < whole_s) & (trace.shared_tokens > 0)
    tokens = int(trace.shared_tokens[found].sum(dtype=np.int64))
    return tokens / max(1, int(trace.prompt_tokens.sum(dtype=np.int64)))


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """A trace as replicas of one speed see it: what plans that differ by policy share.

    Attributes
    ----------
    arrival_s, prefill_s : ndarray, shape (n,)
        Arrivals, and prompt processing without overhead [s].
    output_tokens : ndarray of int64, shape (n,)
    chunks : ndarray of int64, shape (n,), or None
        Engine steps in which each prompt is read between the answers.
    """

    arrival_s: NDArray[np.float64]
    prefill_s: NDArray[np.float64]
    output_tokens: NDArray[np.int64]
    chunks: NDArray[np.int64] | None

    def of(self, which: NDArray[np.int64]) -> Work:
        """Return some of the requests, by their places."""
        return Work(
            self.arrival_s[which],
            self.prefill_s[which],
            self.output_tokens[which],
            None if self.chunks is None else self.chunks[which],
        )


def work_of(
    speed: ServingSpeed, trace: Trace, output_tokens: NDArray[np.int64] | None = None
) -> Work:
    """Return a trace as replicas of that speed see it; its ``output_tokens`` may be at hand."""
    prefill_s = speed.prefill_s(trace.prompt_tokens)
    prefill_s -= speed.overhead_s
    return Work(
        trace.arrival_s,
        prefill_s,
        trace.output_tokens.astype(np.int64) if output_tokens is None else output_tokens,
        speed.chunks(trace.prompt_tokens),
    )


class Works:
    """What plans of one sweep share of a trace, made when the first asks; elsewhere made anew.

    Of the last few speeds alone: those of a whole market do not fit in memory for a long trace.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[Hashable, Work] = {}

    def __reduce__(self) -> tuple[type[Works], tuple[()]]:
        return Works, ()

    def of(self, speed: ServingSpeed, trace: Trace) -> Work:
        """Return `work_of` that; always the same trace."""
        key = _reading(speed)
        with self._lock:
            work = self._made.pop(key, None)
            if work is None:
                # The same for all speeds.
                tokens = next((other.output_tokens for other in self._made.values()), None)
                work = work_of(speed, trace, tokens)
            self._made[key] = work
            if len(self._made) > _MOST_WORKS:
                del self._made[next(iter(self._made))]
            return work


def _reading(speed: ServingSpeed) -> tuple[Hashable, ...]:
    """Return all of a speed that `work_of` reads."""
    return (
        speed.prefill_linear_s,
        speed.prefill_quadratic_s,
        speed.prefill_bounded,
        speed.overhead_s,
        speed.chunk_tokens,
    )


def serving_key(speed: ServingSpeed) -> tuple[Hashable, ...]:
    """Return all of a speed that a run hangs on: replicas of one key serve a trace alike."""
    return (*_reading(speed), speed.cache_tokens, speed.decode_step_s.tobytes())


def _served(
    plan: Plan,
    trace: Trace,
    draws: StartDraws,
    cancel: NDArray[np.uint8] | None,
    *,
    finds_all: bool = False,
    work: Work | None = None,
) -> RunResult:
    work = work_of(plan.speed, trace) if work is None else work
    prefill_s, prefix = work.prefill_s, prefixes_of(plan, trace)
    if finds_all and prefix is not None:
        prefill_s, prefix = prefill_s - prefix.saved_s, None
    starts = draws.total_s.size // (1 if plan.policy.nodes is None else 2)
    result = simulate_replicas(
        work.arrival_s,
        prefill_s,
        work.output_tokens,
        plan.speed.decode_step_s,
        policy=plan.policy,
        cold_start_s=draws.total_s[:starts],
        pod_start_s=None if plan.policy.nodes is None else draws.total_s[starts:],
        horizon_s=trace.horizon_s,
        prefill_chunks=work.chunks,
        prefix=prefix,
        cancel=cancel,
    )
    return delayed(result, plan)


def delayed(result: RunResult, plan: Plan) -> RunResult:
    """Return what `simulate_replicas` found with the overheads and retries of a plan added."""
    delay_s = overheads_s(result, plan.speed)
    if plan.retry_s is not None:
        waits_s = result.start_wait_s + result.slot_wait_s + result.read_wait_s
        until_retry_s = np.ceil(waits_s / plan.retry_s) * plan.retry_s - waits_s
        delay_s += np.where(result.waited_on_start, until_retry_s, 0.0)
    ttft_s, finish_s = result.ttft_s + delay_s, result.finish_s + delay_s
    for array in (ttft_s, finish_s, delay_s):
        array.setflags(write=False)
    return dataclasses.replace(result, ttft_s=ttft_s, finish_s=finish_s, delay_s=delay_s)


def overheads_s(result: RunResult, speed: ServingSpeed) -> NDArray[np.float64]:
    """Return what each first token takes outside queue and replica [s], shape (n,).

    Parameters
    ----------
    result : RunResult
        Of `simulate_replicas` or `simulate_plan`.
    """
    if speed.chunk_tokens is None:
        return np.full(result.ttft_s.size, speed.overhead_s)
    found_s = np.empty(result.ttft_s.size)
    for part in parts(found_s.size):
        queued = result.slot_wait_s[part] + result.read_wait_s[part] > 0
        found_s[part] = speed.overheads_s(shared_s_of(result, part) > 0, queued)
    return found_s


def shared_s_of(result: RunResult, part: slice = _ALL) -> NDArray[np.float64]:
    """Return what the answers beside it added to the reading of each prompt of a part [s].

    Infinite for a refused request.
    """
    shared_s = result.ttft_s[part] - result.prompt_s[part]
    for waited_s in (result.start_wait_s, result.slot_wait_s, result.read_wait_s, result.delay_s):
        shared_s -= waited_s[part]
    # Differences of instants late in a trace are off by their rounding: that is no wait.
    shared_s[shared_s < _ROUNDING_S] = 0.0
    return shared_s


def _interrupted(
    plan: Plan, trace: Trace, draws: StartDraws, cancel: NDArray[np.uint8] | None
) -> RunResult:
    """Serve a trace on kept replicas that are taken away now and then, and come back.

    Each request waits as it would on the replicas that are up when it arrives; while none is up,
    until the first is back, in the queue of all that wait for it. What happens at the instant of
    a change, when a queue moves from more replicas to fewer, is left out. The sessions are those
    of replicas that stay: the bill counts interruptions by itself.
    """
    whole = _served(plan, trace, draws, cancel)
    replicas = plan.policy.max_replicas
    outages = draw_outages(
        replicas,
        interruptions_per_h=plan.interruptions_per_h,
        start_s=draws.total_s,
        horizon_s=trace.horizon_s,
        seed=plan.interruption_seed,
    )
    up = outages.up_at(trace.arrival_s)
    turn_s = outages.next_up_s(trace.arrival_s)
    ttft_s = np.array(whole.ttft_s)
    others: dict[str, Any] = {
        name: np.array(getattr(whole, name))
        for name in ("finish_s", "slot_wait_s", "read_wait_s", "prompt_s")
    }
    for count in np.unique(np.maximum(up, 1)).tolist():
        if count == replicas and count > 1:
            continue
        policy = dataclasses.replace(plan.policy, min_replicas=count, max_replicas=count)
        fewer = dataclasses.replace(plan, policy=policy)
        at_s = turn_s if count == 1 else trace.arrival_s
        part = _served(fewer, dataclasses.replace(trace, arrival_s=at_s), draws, cancel)
        there = np.maximum(up, 1) == count
        ttft_s[there] = (part.ttft_s + (at_s - trace.arrival_s))[there]
        for name, values in others.items():
            values[there] = getattr(part, name)[there]
    waited = up == 0
    start_wait_s = np.where(waited, turn_s - trace.arrival_s, 0.0)
    for array in (ttft_s, waited, start_wait_s, *others.values()):
        array.setflags(write=False)
    return dataclasses.replace(
        whole,
        ttft_s=ttft_s,
        **others,
        waited_on_start=waited,
        start_wait_s=start_wait_s,
    )


def _on_spot_nodes(
    result: RunResult, plan: Plan, nodes: NodePool, trace: Trace, draws: StartDraws
) -> RunResult:
    """Return what nodes that are taken away now and then make of the waits.

    A request whose replicas had been on a node that is gone waits until that is back, which takes
    a whole start; `interruptions.back_on_nodes_s` says what is left out. The sessions stay: the
    bill counts interruptions by itself.
    """
    sessions = result.sessions
    unpinned = sessions["replica"].astype(np.int64) - plan.policy.pinned_replicas
    back_s = back_on_nodes_s(
        trace.arrival_s,
        # Pinned replicas are on machines of another offer, which are not taken away.
        np.where(unpinned < 0, -1, unpinned // nodes.replicas_per_node),
        sessions["ready_s"],
        sessions["ended_s"],
        interruptions_per_h=plan.interruptions_per_h,
        start_s=draws.total_s[: draws.total_s.size // 2],
        horizon_s=trace.horizon_s,
        seed=plan.interruption_seed,
    )
    longer_s = back_s - trace.arrival_s
    hit = (longer_s > 0) & ~result.rejected & ~result.waited_on_start
    longer_s = np.where(hit, longer_s, 0.0)
    found = dataclasses.replace(
        result,
        ttft_s=result.ttft_s + longer_s,
        finish_s=result.finish_s + longer_s,
        waited_on_start=result.waited_on_start | hit,
        start_wait_s=result.start_wait_s + longer_s,
    )
    for name in ("ttft_s", "finish_s", "waited_on_start", "start_wait_s"):
        getattr(found, name).setflags(write=False)
    return found


_ROUNDING_S = 1e-6
