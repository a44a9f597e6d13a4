"""One replica at many idle timeouts: what they have in common is served once.

Where one replica is enough, a timeout decides in each gap whether it is still there, and nothing
else. A replica that is never released serves the traffic in *stretches*: from a request that finds
it idle until it is idle again. At a given timeout the same stretches come out, request for
request, except for those behind a start: the requests of one wait, and may run into the next. So
the traffic is served once by a replica that stays, and at each timeout only the stretches behind
starts are served again, by the same kernel, until the replica is idle as the other one was.

Fates of requests are those of the whole run to the bit. Sums of seconds in sessions are added in
another order: equal within 1e-6 s.

Left out: everything by which requests before a gap could matter after it, or a second replica
could be wanted. Prefix caches, parked tiers, minimums and schedules, buffers, autoscalers, nodes,
refusals and spot machines are simulated whole.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frontier.plans.plan import Plan
from frontier.policy import ScalingPolicy
from frontier.serve import Work, delayed, prefixes_of
from frontier.simulate import RunResult, simulate_replicas
from frontier.trace import Trace

# A delay is caught up where the other replica was idle for the longest start, if not before.
_CATCH_UP = 1.0
# Behind a start more is served again until the replicas agree; so often, and then all of it is.
_TRIES = 6
# From these shares of the requests on, to be served again or to make a start, it is quicker to
# serve all of them.
_MOST_SHARE, _MOST_STARTS = 0.6, 0.06
_FATES = (
    "ttft_s",
    "finish_s",
    "waited_on_start",
    "start_wait_s",
    "caused_start",
    "slot_wait_s",
    "read_wait_s",
    "delay_s",
)


@dataclass(frozen=True, slots=True, eq=False)
class Staying:
    """A replica that is never released, and its stretches.

    Attributes
    ----------
    plan : Plan
        With any idle timeout.
    work : Work
        What it was given.
    result : RunResult
        What it did.
    start_s : ndarray, shape (draws,)
        Seconds of each start, in the order in which they are used [s].
    first : ndarray of int64, shape (k,)
        The first request of each stretch.
    before_s, begun_s, over_s : ndarray, shape (k,)
        When the stretch before it was over (0 for none), when it begins, and when it is over [s].
    idle_s, busy_s : ndarray, shape (k + 1,)
        Seconds before each stretch within the horizon, its gap left out, and in all [s].
    """

    plan: Plan
    work: Work
    result: RunResult
    start_s: NDArray[np.float64]
    first: NDArray[np.int64]
    before_s: NDArray[np.float64]
    begun_s: NDArray[np.float64]
    over_s: NDArray[np.float64]
    idle_s: NDArray[np.float64]
    busy_s: NDArray[np.float64]

    def released_after(
        self, timeout_s: float, cancel: NDArray[np.uint8] | None = None
    ) -> RunResult | None:
        """Return what the plan does with that idle timeout; None if it has to be served whole."""
        requests, stretches = self.work.arrival_s.size, self.first.size
        is_cold = self.before_s + timeout_s < self.begun_s
        is_cold[0] = True
        cold = np.flatnonzero(is_cold)
        if cold.size > 1 + _MOST_STARTS * requests:
            return None
        # Which stretches are served again: from each of these on, until before that one.
        begin, stop = _merged(cold, self._caught_up(cold))
        bounds = np.append(self.first, requests)
        policy = dataclasses.replace(self.plan.policy, idle_timeout_s=timeout_s)
        for _ in range(_TRIES):
            counts = bounds[stop] - bounds[begin]
            served = np.cumsum(counts)
            if served[-1] > _MOST_SHARE * requests:
                return None
            chosen = np.arange(served[-1]) + np.repeat(bounds[stop] - served, counts)
            part = _serve(
                self.work.of(chosen),
                policy,
                self.plan,
                self.start_s,
                self.result.horizon_s,
                cancel,
            )
            if part.sessions["replica"].any():
                return None
            # From each of these on the other replica's stretches are taken, if all was over then.
            follows = stop < stretches
            ends = stop[follows]
            done_s = np.maximum.accumulate(part.finish_s)[served[follows] - 1]
            back_s = self.begun_s[ends]
            agrees = (done_s <= back_s) & (done_s + timeout_s >= back_s)
            if agrees.all():
                until = np.append(cold, stretches)[np.searchsorted(cold, ends)]
                return self._joined(part, chosen, ends, until, done_s, timeout_s)
            late = ends[~agrees]
            begin, stop = _merged(np.append(begin, late), np.append(stop, self._caught_up(late)))
        return None

    def _caught_up(self, begin: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the stretch, after each of these, by which a start before it is caught up.

        That is at the latest where the replica that stays was idle for as long.
        """
        delay_s = _CATCH_UP * self.start_s.max()
        # Entry k of the sums is the idle time before stretch k, its own gap left out.
        stop = np.searchsorted(self.idle_s, self.idle_s[begin + 1] + delay_s) - 1
        found: NDArray[np.int64] = np.minimum(np.maximum(stop, begin + 1), self.first.size)
        return found

    def _joined(
        self,
        part: RunResult,
        chosen: NDArray[np.int64],
        ends: NDArray[np.int64],
        until: NDArray[np.int64],
        done_s: NDArray[np.float64],
        timeout_s: float,
    ) -> RunResult:
        """Return both as one run: fates of requests, and sessions that last as long as they do.

        Parameters
        ----------
        part : RunResult
            Of the requests ``chosen``.
        ends, until : ndarray of int64
            The stretches in [ends, until) follow in a session of it, which was idle from
            ``done_s`` on.
        """
        horizon_s = self.result.horizon_s
        latest_s = max(float(self.over_s[-1]), float(part.finish_s.max()))
        sessions = part.sessions.copy()
        part = delayed(part, self.plan)
        fates: dict[str, Any] = {}
        for name in _FATES:
            values = getattr(self.result, name).copy()
            values[chosen] = getattr(part, name)
            fates[name] = values

        def within(at_s: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.minimum(at_s, horizon_s)

        last_s = self.over_s[until - 1]
        at = np.searchsorted(sessions["started_s"], self.begun_s[ends], side="right") - 1
        sessions["busy_s"][at] += self.busy_s[until] - self.busy_s[ends]
        sessions["idle_s"][at] += (
            within(self.begun_s[ends])
            - within(done_s)
            + self.idle_s[until]
            - self.idle_s[ends + 1]
            + (within(last_s + timeout_s) - within(last_s))
            - (within(done_s + timeout_s) - within(done_s))
        )
        sessions["ended_s"][at] = last_s + timeout_s
        if not math.isfinite(timeout_s):
            sessions["ended_s"] = np.maximum(sessions["ready_s"], max(horizon_s, latest_s))
        for values in (*fates.values(), sessions):
            values.setflags(write=False)
        return dataclasses.replace(self.result, **fates, sessions=sessions)


def staying(plan: Plan, trace: Trace, start_s: NDArray[np.float64], work: Work) -> Staying | None:
    """Return what a replica that stays does; None where one is not enough, or more than gaps count.

    Parameters
    ----------
    plan : Plan
    trace : Trace
    start_s : ndarray, shape (draws,)
        `start.stages.StartDraws.total_s` of the plan [s].
    work : serve.Work
        The trace as the plan's replicas see it.
    """
    policy = plan.policy
    plain = ScalingPolicy(
        max_replicas=policy.max_replicas,
        idle_timeout_s=policy.idle_timeout_s,
        target_concurrency=policy.target_concurrency,
        routing=policy.routing,
        scale_down=policy.scale_down,
    )
    is_alone = policy == plain and not plan.interruptions_per_h
    if not is_alone or not trace.arrival_s.size or prefixes_of(plan, trace) is not None:
        return None
    stays = dataclasses.replace(policy, min_replicas=1, idle_timeout_s=math.inf)
    result = _serve(work, stays, plan, start_s, trace.horizon_s)
    if len(result.sessions) > 1:
        return None
    done_s = np.maximum.accumulate(result.finish_s)
    before_s = np.append(0.0, done_s[:-1])
    first = np.flatnonzero(work.arrival_s >= before_s)
    over_s = np.append(before_s[first[1:]], done_s[-1])
    before_s, begun_s = before_s[first], work.arrival_s[first]
    ends_s = np.minimum(over_s, trace.horizon_s)
    starts_s = np.minimum(begun_s, trace.horizon_s)
    idle_s = np.append(0.0, np.cumsum(starts_s - np.minimum(before_s, trace.horizon_s)))
    busy_s = np.append(0.0, np.cumsum(ends_s - starts_s))
    result = delayed(result, plan)
    return Staying(plan, work, result, start_s, first, before_s, begun_s, over_s, idle_s, busy_s)


def _merged(
    begin: NDArray[np.int64], stop: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the same places as stretches [begin, stop) that do not touch, in order."""
    order = np.argsort(begin, kind="stable")
    begin, stop = begin[order], np.maximum.accumulate(stop[order])
    is_new = np.append(True, begin[1:] > stop[:-1])
    return begin[is_new], stop[np.append(is_new[1:], True)]


def _serve(
    work: Work,
    policy: ScalingPolicy,
    plan: Plan,
    start_s: NDArray[np.float64],
    horizon_s: float,
    cancel: NDArray[np.uint8] | None = None,
) -> RunResult:
    return simulate_replicas(
        work.arrival_s,
        work.prefill_s,
        work.output_tokens,
        plan.speed.decode_step_s,
        policy=policy,
        cold_start_s=start_s,
        horizon_s=horizon_s,
        prefill_chunks=work.chunks,
        cancel=cancel,
    )
