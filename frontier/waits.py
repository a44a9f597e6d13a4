"""Why each request waited: its time to first token in parts that add up to it, and its cause."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from frontier.plans.plan import Plan
from frontier.serve import overheads_s, shared_s_of
from frontier.simulate import RunResult
from frontier.trace import Trace

CAUSES = ("refused", "caused a start", "joined a start", "queued", "own prompt")


@dataclass(frozen=True, slots=True)
class TtftParts:
    """Where the time to first token of each request went.

    Attributes
    ----------
    start_s : ndarray, shape (n,)
        Waiting for a replica that was starting or resuming [s].
    slot_s : ndarray, shape (n,)
        Waiting for a free slot on a ready replica [s].
    behind_s : ndarray, shape (n,)
        Waiting there while the prompts of others were read [s].
    shared_s : ndarray, shape (n,)
        What the answers beside it added while its own prompt was read [s]; 0 where prompts are
        read in one go.
    prompt_s : ndarray, shape (n,)
        The request's own prefill, as far as no cache saved it [s].
    overhead_s : ndarray, shape (n,)
        API, tokeniser and scheduler [s].
    retry_s : ndarray, shape (n,)
        Waiting for the client's next try after a refusal [s].
    saved_s : ndarray, shape (n,)
        Prefill that a prefix cache saved [s]: no part of the TTFT, which is less by it.
    cause : ndarray of int8, shape (n,)
        Index into `CAUSES`. The first that holds: it was *refused*; it waited on a start that its
        own arrival made (*caused a start*) or that was under way or made by another (*joined a
        start*); it *queued* for longer than its own prompt and overhead took; else its *own
        prompt*.
    """

    start_s: NDArray[np.float64]
    slot_s: NDArray[np.float64]
    behind_s: NDArray[np.float64]
    shared_s: NDArray[np.float64]
    prompt_s: NDArray[np.float64]
    overhead_s: NDArray[np.float64]
    retry_s: NDArray[np.float64]
    saved_s: NDArray[np.float64]
    cause: NDArray[np.int8]

    @property
    def queue_s(self) -> NDArray[np.float64]:
        """Waiting on ready replicas, whatever for: slots, other prompts, answers beside it [s]."""
        return self.slot_s + self.behind_s + self.shared_s


def explain(result: RunResult, plan: Plan, trace: Trace) -> TtftParts:
    """Split every TTFT of `simulate_plan` into parts that add up to it.

    A first token comes at arrival + wait for the start + wait for a slot + wait behind other
    prompts + own prefill + what the answers beside it took meanwhile + overhead + wait for a
    retry. A refused request has an infinite TTFT and no parts: all of its are 0.

    Parameters
    ----------
    result : RunResult
        What `simulate_plan` returned for this plan and trace.
    plan : Plan
    trace : Trace
    """
    served = ~result.rejected
    shared_s = np.where(served, shared_s_of(result), 0.0)
    overhead_s = np.where(served, overheads_s(result, plan.speed), 0.0)
    whole_s = plan.speed.prefill_s(trace.prompt_tokens) - plan.speed.overhead_s
    retry_s = np.where(served, result.delay_s, 0.0) - overhead_s
    queue_s = result.slot_wait_s + result.read_wait_s + shared_s
    cause = np.select(
        [
            result.rejected,
            result.caused_start,
            result.waited_on_start,
            queue_s > result.prompt_s + overhead_s,
        ],
        range(len(CAUSES) - 1),
        default=len(CAUSES) - 1,
    ).astype(np.int8)
    parts = TtftParts(
        start_s=result.start_wait_s,
        slot_s=result.slot_wait_s,
        behind_s=result.read_wait_s,
        shared_s=shared_s,
        prompt_s=result.prompt_s,
        overhead_s=overhead_s,
        retry_s=retry_s,
        saved_s=np.where(served, whole_s - result.prompt_s, 0.0),
        cause=cause,
    )
    for name in TtftParts.__slots__:
        getattr(parts, name).setflags(write=False)
    return parts
