"""From a trace and a policy to what happened: every request and every replica, no price.

`simulate_replicas` is the whole model of time in Frontier. It follows these rules to the letter.

Requests wait in one shared FIFO queue. Its head goes to a ready replica with a free slot: the
one that holds most requests (``routing="pack"``) or fewest (``"spread"``), the lowest index on
a tie. Dispatch happens after every arrival, finish and ready.

A replica prefills first, one prompt at a time, in order, while the decodes on it stand still:
``prefill_until = max(now, prefill_until) + prefill_s``, and that is the request's first token.
A request then needs ``output_tokens - 1`` decode steps, and while the replica is not prefilling
each of its ``b`` requests advances at ``1 / decode_step_s[b - 1]`` steps a second. So a replica
has one next finish, ``max(now, prefill_until) + (fewest steps left) * decode_step_s[b - 1]``.

After each arrival (before dispatch) and each change of the schedule, ``wanted = min(max_replicas,
max(min_replicas(t), ceil(in_system / target_concurrency) + buffer_replicas if in_system else 0))``
where ``in_system`` is queued plus held. While fewer are up (starting or ready), one is started:
a parked one first (shortest resume, then lowest index), else the lowest that is off, which takes
the next entry of ``cold_start_s``, cyclically.

A replica idle for ``idle_timeout_s`` is released if more than ``min_replicas(t)`` are up. If
not, it stays, and is looked at again when the minimum falls (longest idle first) or when it next
goes idle. Released means parked in the first tier, then the next, then off.

A request still queued after the queue timeout is rejected; one that arrives while no replica is
ready is rejected at once if the policy refuses cold requests. Its arrival has had its effect on
scale-up by then, and a start that it caused goes on. A rejected request's TTFT is infinite.

Where the policy has a `NodePool`, replicas are pods and run on nodes: replica r on node
``(r - pinned) // replicas_per_node``; pinned ones have machines of their own. A node is *up* from
the start that brings it until ``scale_down_delay_s`` after the last session on it has ended; so
is, from time 0, one with a replica that is ready then, and a kept node always. Of the replicas
that are off, that one is started whose node is ready soonest (an up node, then one that is
starting, then none), the lowest index on a tie. On a node that is off the start is a whole one,
the next entry of ``cold_start_s``, and the node is ready when it is over. On one that is up it is
the same entry of ``pod_start_s`` instead, and ends no sooner than its node is ready: it shares
what the first start brings. No pod is moved to empty a node.

With ``prefill_chunks`` prompts are read between the answers instead. A replica then works in
engine steps. While it reads a prompt, and ``b`` requests on it have their first token and not
their last, a step takes ``prefill_s / prefill_chunks`` of that prompt, plus ``decode_step_s[b -
1]`` if b is at least 1; it does one chunk and takes each of the b requests one decode step
further. Progress inside a step counts as continuous: when b changes, the rest goes on at the new
pace. One prompt is read at a time, in order of dispatch; requests that are dispatched and not yet
read hold a slot and do not count in b. The first token comes at the end of the last chunk. With
no prompt to read, a decode step takes ``decode_step_s[b - 1]``.

With `Prefixes` each replica has a prefix cache, empty at a start and after a parked tier that
does not keep it. Where the parent of a request was dispatched to the same replica since, and the
requests dispatched there after it have no more than ``cache_tokens`` tokens together (read and
written, each counted whole at its dispatch), ``prefill_s`` is less by ``saved_s``, yet never
below ``least_prefill_s`` (or itself, if that is less). ``routing="prefix"`` prefers the ready
replica with a free slot of which that is true, else it is "pack".

Where the policy has a `TickScaling`, all of the above holds but for when replicas are started and
released. The scaler has a number of replicas it *asks for*, ``min_replicas`` at first. It looks at
the *ticks*, ``k * tick_s`` for k = 1, 2, .... Between two ticks an arrival starts nothing, with
one exception: where there is an ``activator`` and none is up, the arrival makes it ask for one
(or the minimum, if more). A change of the schedule makes it ask for the new minimum, if that is
more. At a tick, in this order:

1. The *metric* is the number of requests in the system averaged over ``[t - window_s, t]``, or
   over ``[f, t]`` if that is shorter; f is the last arrival that found nothing in the system and
   no replica up, or 0. Where either is of no length it is the number at t. With
   ``counts_after_s`` it is the number at t of requests held, and of those queued that arrived at
   or before ``t - counts_after_s``. The scaler is *active* if the metric is above ``activation``.
2. If it asks for none, it does not panic any more, and asks for one if it is active and there is
   a request in the system; that is all at such a tick. So it is, but for that one, where
   ``needs_ready`` and no replica is ready. With ``zero_tick_s`` it becomes one only at a tick at a
   multiple of that.
3. ``wanted = ceil(metric / target)``, but the number asked for if ``metric / target`` is within
   the share ``tolerance`` of the *base* (and the tolerance is not 0), else plus
   ``buffer_replicas`` if the metric is above 0. The base is the number asked for, or, with
   ``counts_ready``, the number of ready replicas, at least 1.
4. With ``panic_window_s``, ``urgent`` is ``ceil(metric / target)`` of the average over that window
   in place of ``window_s``. It panics from a tick with ``urgent >= panic_threshold * max(1,
   ready)`` until one without, more than ``window_s`` after the last one with it. In panic,
   ``wanted`` is the most of ``wanted``, ``urgent`` and what this gave since the panic began.
5. ``wanted`` is brought between ``min_replicas(t)`` and ``max_replicas``, and remembered.
6. If it is more than what is asked for, and ``look_back="range"``, the least ``wanted`` of the
   ticks in ``(t - up_window_s, t]`` takes its place, but never less than what is asked for; if it
   is less, the most of ``(t - down_window_s, t]``, but never more. With ``"row"`` it stays if all
   of the ticks in ``[t - up_window_s, t]`` (or ``down_window_s``) wanted more (or fewer) than was
   asked for before them, and those before t did not change it; else nothing changes. A tick at
   which none was asked for (or ready, as in 2) is no tick for "range", and breaks a row, and so
   is and does 0.
7. Of those too many, the share ``excess_share``, rounded up, is taken away. A rise is at most to
   the greater of ``ceil(base * up_factor)`` and ``base + up_count``, a fall at least to the less of
   ``floor(base * down_factor)`` and ``base - down_count``; they turn no rise into a fall nor the
   other way. The result, between ``min_replicas(t)`` and ``max_replicas``, is asked for.
8. It asks for one instead of none unless it asked for one before, and was not active at any tick
   in ``(t - zero_delay_s, t]``, where time 0 counts as such a tick, and so does an arrival that an
   activator starts one for. With ``zero_tick_s`` it asks for one instead of none in any case, and
   then, at a multiple of that, if it is not active, was not at any such multiple in
   ``(t - zero_delay_s, t]``, does not panic and the minimum is 0, for none, whatever 3 to 7 say.

Then, while fewer are up than asked for, one is started as above. If more are up, and with
``cancels_starts``, starting replicas end, the latest start first, the highest index of several:
their session ends, never ready, and has its draw. A replica that is idle is released at once
while more are up than asked for, longest idle first. So one that is busy leaves when it goes
idle, if there are too many still, and a start that is not cancelled goes on and, with nothing to
do, leaves when it is ready. ``idle_timeout_s`` plays no part but in place of the time that
``keep_alive`` names (rounded up to whole ticks if that is a window; a ``panic_window_s`` stays the
same share of ``window_s``). With ``idle_timeout_leads`` it is the other way round: at each tick
the number asked for is first set to those up, a tick never asks for fewer than that, and replicas
are released by the idle timeout and the minimum as without a scaler, and no start is cancelled. A
start at a tick has as its cause the request at the head of the queue, if any.

Numbers that exceed a whole number, or miss a bound in 1 to 8, by less than a millionth are taken
to equal it: that is rounding. A request that is still queued when nothing can come any more is
rejected.

At one instant: finishes and readies, then changes of the minimum, then queue timeouts, then
arrivals, then a tick, then releases.

Where these words leave room, they are read as follows.

- All finishes and readies of one instant precede the dispatch that they cause.
- A request with one output token has no step left after its prefill and leaves at the replica's
  next finish: at its first token, or (prompts in one go) at the end of the prompts that joined
  behind it by then.
- Replicas idle since the same instant are released lowest index first.
- The second look when the minimum falls is a release, so it comes last in its instant. So does a
  parked replica's move to the next tier: at that very instant it is still in the tier it leaves.
- A request waited on a start if its replica became ready after it arrived, also when another
  request had caused the start, or when the start was a resume from a parked tier. One that was
  rejected has no replica, and did not.
- A node whose delay is just over is still up at that instant, and a parked replica keeps its node.
- Parking and resuming happen inside a session; a resume adds to its ``starting_s``.
- With a queue timeout of 0 s a request that is not taken at once leaves before the next one of
  the same instant arrives.
- Requests whose finishes on one replica differ by less than a nanosecond finish together: the
  difference is rounding, and a prompt taken in between would hold up the second by its prefill.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import threading
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from frontier import compiling
from frontier.errors import InfeasibleError, InputError
from frontier.interruptions import back_on_nodes_s, draw_outages
from frontier.plans.plan import Plan
from frontier.policy import NodePool, ScalingPolicy
from frontier.serving import ServingSpeed
from frontier.start.stages import StartDraws
from frontier.tables import load_tables
from frontier.trace import Trace

if TYPE_CHECKING:
    from frontier.kernel import Replicas, Rules, Ticks

_ALL = slice(None)


class Cancelled(Exception):
    """The run was stopped through its ``cancel`` flag; there is no result."""


@dataclass(frozen=True, slots=True, eq=False)
class Prefixes:
    """Which prompts begin with what an earlier request left in a cache.

    Parameters
    ----------
    parent : array_like of int, shape (n,)
        The earlier request (by position) whose tokens a prompt begins with; -1 for none.
    saved_s : array_like, shape (n,)
        Prompt processing that is saved where those tokens are still there [s].
    tokens : array_like of int, shape (n,)
        Tokens that pass through a replica with each request, read and written.
    cache_tokens : float
        Tokens that may pass through before what was there is gone.
    least_prefill_s : float
        What a prompt takes at least, however much of it is found: the launch of one chunk [s].

    Raises
    ------
    InputError
        If an array has the wrong shape, or a parent does not come before its child.
    """

    parent: NDArray[np.int64]
    saved_s: NDArray[np.float64]
    tokens: NDArray[np.int64]
    cache_tokens: float = math.inf
    least_prefill_s: float = 0.0

    def __post_init__(self) -> None:
        parent = _vector("prefix.parent", self.parent)
        late = np.flatnonzero(
            (parent < -1) | (parent >= np.arange(parent.size)) | (parent != np.floor(parent))
        )
        if late.size:
            at = int(late[0])
            raise InputError(
                "prefix.parent must hold the position of an earlier request or -1, "
                f"got {parent[at]} in entry {at}"
            )
        for name in ("cache_tokens", "least_prefill_s"):
            if not getattr(self, name) >= 0:
                raise InputError(f"{name} must be at least 0, got {getattr(self, name)!r}")
        object.__setattr__(self, "parent", _read_only(parent, np.int64))
        object.__setattr__(self, "saved_s", _times("prefix.saved_s", self.saved_s))
        tokens = _vector("prefix.tokens", self.tokens)
        object.__setattr__(self, "tokens", _read_only(tokens, np.int64))
        if not parent.size == self.saved_s.size == self.tokens.size:
            raise InputError(
                "prefix.parent, saved_s and tokens must have one entry a request each, got "
                f"{parent.size}, {self.saved_s.size} and {self.tokens.size}"
            )

    def check_size(self, requests: int) -> None:
        """Raise an `InputError` unless there is one entry for each of so many requests."""
        if self.parent.size != requests:
            raise InputError(
                f"prefix.parent must have one entry a request, {requests}, got {self.parent.size}"
            )


@dataclass(frozen=True, slots=True)
class RunResult:
    """What happened to every request and every replica.

    Attributes
    ----------
    ttft_s : ndarray, shape (n,)
        Time to first token, counted from arrival [s]; infinite if rejected.
    finish_s : ndarray, shape (n,)
        Instant of the last token [s]; infinite if rejected.
    waited_on_start : ndarray of bool, shape (n,)
        The request's replica was not yet ready when it arrived.
    start_wait_s : ndarray, shape (n,)
        From arrival until that replica was ready [s]; 0 if the request did not wait on a start.
    caused_start : ndarray of bool, shape (n,)
        The start it waited on was made by its own arrival.
    slot_wait_s : ndarray, shape (n,)
        From then, or from arrival, until it was dispatched to the replica [s]; 0 if rejected.
    read_wait_s : ndarray, shape (n,)
        From then until its prompt began to be read: behind other prompts [s]; 0 if rejected.
    delay_s : ndarray, shape (n,)
        The part of ``ttft_s`` spent away from queue and replica: the overhead of a request and
        the wait for a client's next try [s]; 0 from `simulate_replicas`.
    prompt_s : ndarray, shape (n,)
        Its own prompt processing, less what a cache saved [s]; 0 if rejected.
    rejected : ndarray of bool, shape (n,)
        It left the queue without being served.
    sessions : structured ndarray, shape (m,)
        One row for each stretch of a replica from start to off, in order of start:
        ``replica``, ``started_s``, ``ready_s`` (first ready), ``ended_s``, then the seconds
        ``starting_s`` (resumes included), ``busy_s``, ``idle_s`` and ``parked_s`` (one entry a
        tier) that lie within [0, ``horizon_s``], and ``cold_start_index``, the entry of
        ``cold_start_s`` it took, or m and more for one of ``pod_start_s``, of m starts each; -1
        if it was ready at time 0. One whose start was cancelled ends at its ``ready_s``.
        ``ended_s`` may lie beyond the horizon; for a session that never ends it is the latest of
        the horizon, the last finish of all and its own ``ready_s``.
    horizon_s : float
        End of the time that counts [s].
    """

    ttft_s: NDArray[np.float64]
    finish_s: NDArray[np.float64]
    waited_on_start: NDArray[np.bool_]
    start_wait_s: NDArray[np.float64]
    caused_start: NDArray[np.bool_]
    slot_wait_s: NDArray[np.float64]
    read_wait_s: NDArray[np.float64]
    delay_s: NDArray[np.float64]
    prompt_s: NDArray[np.float64]
    rejected: NDArray[np.bool_]
    sessions: NDArray[np.void]
    horizon_s: float

    def ttft_percentile(self, q: float) -> float:
        """Return the q-th percentile of the time to first token [s], an observed value.

        A rejected request counts as one that never got its first token, so the answer may be
        infinite.

        Raises
        ------
        InputError
            If q does not lie between 0 and 100.
        InfeasibleError
            If there was no request.
        """
        if not 0.0 <= q <= 100.0:
            raise InputError(f"q must be a percentage from 0 to 100, got {q!r}")
        if self.ttft_s.size == 0:
            raise InfeasibleError("a percentile needs at least one request, and there was none")
        return float(np.percentile(self.ttft_s, q, method="inverted_cdf"))

    @property
    def waited_share(self) -> float:
        """Share of all requests that waited on a start [1]; NaN without requests."""
        return _share(self.waited_on_start)

    @property
    def rejected_share(self) -> float:
        """Share of all requests that were rejected [1]; NaN without requests."""
        return _share(self.rejected)

    @property
    def held_s(self) -> float:
        """Replica-seconds held within the horizon: starting, busy or idle, not parked [s]."""
        return session_seconds(self.sessions).held_s

    @property
    def utilisation(self) -> float:
        """Busy seconds over held seconds [1]; NaN if nothing was held."""
        return session_seconds(self.sessions).busy_share


@dataclass(frozen=True, slots=True)
class SessionSeconds:
    """Replica-seconds of some sessions within the horizon, by what the replicas did [s]."""

    starting_s: float
    busy_s: float
    idle_s: float
    parked_s: float

    @property
    def held_s(self) -> float:
        """Seconds held: starting, busy or idle, not parked [s]."""
        return self.starting_s + self.busy_s + self.idle_s

    @property
    def busy_share(self) -> float:
        """Busy seconds over held seconds [1]; NaN if nothing was held."""
        return self.busy_s / self.held_s if self.held_s > 0 else math.nan


def session_seconds(sessions: NDArray[np.void]) -> SessionSeconds:
    """Return the seconds of `RunResult.sessions` added up: the one place that does so."""
    return SessionSeconds(
        *(float(sessions[part].sum()) for part in ("starting_s", "busy_s", "idle_s", "parked_s"))
    )


def simulate_replicas(
    arrival_s: ArrayLike,
    prefill_s: ArrayLike,
    output_tokens: ArrayLike,
    decode_step_s: ArrayLike,
    *,
    policy: ScalingPolicy,
    cold_start_s: ArrayLike,
    horizon_s: float,
    pod_start_s: ArrayLike | None = None,
    prefill_chunks: ArrayLike | None = None,
    prefix: Prefixes | None = None,
    cancel: NDArray[np.uint8] | None = None,
) -> RunResult:
    """Serve a trace on replicas that come and go by the policy's rules.

    The rules are those at the top of this module. Requests are served to the end whatever the
    horizon, and nothing is random: the same arguments give the same result.

    Parameters
    ----------
    arrival_s : array_like, shape (n,)
        Arrivals from time 0 on, sorted [s].
    prefill_s : array_like, shape (n,)
        Prompt processing of each request [s].
    output_tokens : array_like of int, shape (n,)
        Tokens of each answer, at least 1; the first comes with the prefill.
    decode_step_s : array_like, shape (C,)
        Seconds of one decode step with 1 to C requests on the replica; C is the most it holds.
    policy : ScalingPolicy
    cold_start_s : array_like, shape (m,)
        Seconds from the decision to start a replica to the moment it can take a request, used
        in order and then again from the front.
    horizon_s : float
        Seconds inside sessions count from 0 to here.
    pod_start_s : array_like, shape (m,), optional
        Starts on a node that is up, where the policy has nodes [s].
    prefill_chunks : array_like of int, shape (n,), optional
        Engine steps in which each prompt is read between the answers; in one go if not given.
    prefix : Prefixes, optional
        Which prompts begin as an earlier one did, and what a cache of it saves; without, every
        prompt is read whole.
    cancel : ndarray of uint8, shape (1,), optional
        Set it to 1 from another thread to stop the run soon.

    Returns
    -------
    RunResult

    Raises
    ------
    InputError
        If an array has the wrong shape, is not sorted, or holds a value that is negative or not
        finite; the message names it.
    Cancelled
        If ``cancel`` was set.
    """
    if prefill_chunks is not None and prefix is None:
        compiling.wait(compiling.PLAIN if policy.scaler is None else compiling.TICKING, cancel)
    # numba takes a good part of a second to import: only those who simulate pay for it.
    from frontier.kernel import Requests, caches_for, chunks_for, run_replicas

    arrival_s = _times("arrival_s", arrival_s)
    prefill_s = _times("prefill_s", prefill_s)
    ground = ground_of(
        policy,
        decode_step_s,
        cold_start_s,
        pod_start_s,
        horizon_s=horizon_s,
        requests=arrival_s.size,
    )
    most = ground.max_replicas
    tokens = _counts("output_tokens", output_tokens)
    chunks = _counts("prefill_chunks", () if prefill_chunks is None else prefill_chunks)
    if prefill_chunks is not None and chunks.size != arrival_s.size:
        raise InputError(
            f"prefill_chunks must have one entry a request, {arrival_s.size}, got {chunks.size}"
        )
    for name, values in (("prefill_s", prefill_s), ("output_tokens", tokens)):
        if values.size != arrival_s.size:
            raise InputError(
                f"{name} must have one entry a request, {arrival_s.size}, got {values.size}"
            )
    backwards = arrival_s[1:] < arrival_s[:-1]
    if backwards.any():
        at = int(np.flatnonzero(backwards)[0])
        raise InputError(
            "arrival_s must be sorted, but entry "
            f"{at + 1} ({arrival_s[at + 1]:g} s) comes before entry {at} ({arrival_s[at]:g} s)"
        )
    reads = caches = None
    if prefill_chunks is not None:
        reads = chunks_for(chunks, most, ground.kind.decode_step_s.size)
    if prefix is not None:
        prefix.check_size(arrival_s.size)
        caches = caches_for(
            prefix.parent,
            prefix.saved_s,
            prefix.tokens,
            keeps=keeps_cache(policy),
            capacity_tokens=float(prefix.cache_tokens),
            least_prefill_s=float(prefix.least_prefill_s),
            to_prefix=policy.routing == "prefix",
            max_replicas=most,
        )
    completed, fates, (owners, seconds) = run_replicas(
        Requests(arrival_s, prefill_s, tokens),
        ground.kind,
        ground.rules,
        max_replicas=most,
        stop=np.zeros(1, dtype=np.uint8) if cancel is None else cancel,
        reads=reads,
        caches=caches,
        scaler=ground.scaler,
    )
    if not completed:
        raise Cancelled("the simulation was stopped before its end")

    rejected = np.isinf(fates.finish_s)
    any_rejected = bool(rejected.any())
    served_s = fates.finish_s[~rejected] if any_rejected else fates.finish_s
    last_s = max(float(horizon_s), float(served_s.max(initial=0.0)))
    sessions = sessions_from(owners, seconds, last_s=last_s)
    ttft_s = fates.first_token_s - arrival_s
    prompt_s = prefill_s if caches is None else caches.prompt_s
    if any_rejected:
        prompt_s = np.where(rejected, 0.0, prompt_s)
    result = RunResult(
        ttft_s=ttft_s,
        finish_s=fates.finish_s,
        waited_on_start=fates.waited_on_start,
        start_wait_s=fates.start_wait_s,
        caused_start=fates.caused_start,
        slot_wait_s=fates.slot_wait_s,
        read_wait_s=fates.read_wait_s,
        delay_s=np.zeros(ttft_s.size),
        prompt_s=prompt_s,
        rejected=rejected,
        sessions=sessions,
        horizon_s=float(horizon_s),
    )
    for name in RunResult.__slots__[:-1]:  # all but horizon_s
        getattr(result, name).setflags(write=False)
    return result


class Ground(NamedTuple):
    """What a run is made on, whatever the requests: `simulate_replicas` and runs in blocks.

    Attributes
    ----------
    kind, rules : kernel.Replicas, kernel.Rules
    scaler : kernel.Ticks or None
        One that has not looked yet.
    max_replicas : int
        No more than this can ever be wanted.
    """

    kind: Replicas
    rules: Rules
    scaler: Ticks | None
    max_replicas: int


def ground_of(
    policy: ScalingPolicy,
    decode_step_s: ArrayLike,
    cold_start_s: ArrayLike,
    pod_start_s: ArrayLike | None,
    *,
    horizon_s: float,
    requests: int,
) -> Ground:
    """Return what the kernel is told of a policy; parameters as for `simulate_replicas`.

    ``requests`` is how many come in all.

    Raises
    ------
    InputError
        If an array has the wrong shape or holds what is no time.
    """
    from frontier.kernel import Replicas, Rules, ticks_for

    steps_s = _times("decode_step_s", decode_step_s, least_size=1)
    colds_s = _times("cold_start_s", cold_start_s, least_size=1)
    pods_s = _times("pod_start_s", () if pod_start_s is None else pod_start_s)
    nodes = policy.nodes
    starts = 0 if nodes is None else colds_s.size
    if pods_s.size != starts:
        raise InputError(
            f"pod_start_s must have {starts} entries (one for each of cold_start_s where the "
            f"policy has nodes, else none), got {pods_s.size}"
        )
    if not 0.0 <= horizon_s < math.inf:
        raise InputError(f"horizon_s must be a finite time of at least 0 s, got {horizon_s!r}")
    target = float(policy.target_concurrency or steps_s.size)
    minima = [policy.min_replicas, *(minimum for _, minimum in policy.schedule)]
    # No more than this can ever be wanted, so no room is kept for more.
    reachable = max(*minima, math.ceil(requests / target) + policy.buffer_replicas, 1)
    ticks = None
    if policy.scaler is not None:
        ticks = ticks_for(**policy.scaler.kept_for(policy.idle_timeout_s).in_ticks())
    kind = Replicas(
        steps_s,
        colds_s,
        pods_s,
        stay_s=np.array([tier.stay_s for tier in policy.parked], dtype=np.float64),
        resume_s=np.array([tier.resume_s for tier in policy.parked], dtype=np.float64),
    )
    rules = Rules(
        change_s=np.array([time_s for time_s, _ in policy.schedule], dtype=np.float64),
        change_min=np.array(minima[1:], dtype=np.int64),
        min_replicas=int(policy.min_replicas),
        pinned_replicas=int(policy.pinned_replicas),
        buffer_replicas=int(policy.buffer_replicas),
        target_concurrency=target,
        pack=policy.routing != "spread",
        refuses_cold=bool(policy.refuses_cold),
        idle_timeout_s=float(policy.idle_timeout_s) if policy.idle_timeout_counts else 0.0,
        queue_timeout_s=float(policy.queue_timeout_s),
        horizon_s=float(horizon_s),
        replicas_per_node=0 if nodes is None else int(nodes.replicas_per_node),
        kept_nodes=0 if nodes is None else int(nodes.kept_nodes),
        node_delay_s=0.0 if nodes is None else float(nodes.scale_down_delay_s),
    )
    replicas = int(min(policy.max_replicas, reachable))
    most = load_tables().setting("simulation_most_slots")
    if replicas * steps_s.size > most:
        raise InputError(
            f"{replicas:,} replicas that hold {steps_s.size:,} requests each are more than can be "
            f"simulated here ({most:,.0f} requests held at a time). Allow fewer replicas."
        )
    return Ground(kind, rules, ticks, replicas)


def keeps_cache(policy: ScalingPolicy) -> NDArray[np.bool_]:
    """Return whether a prefix cache is still there in each parked tier, shape (tiers,)."""
    keeps = np.array([tier.keeps_cache for tier in policy.parked], dtype=np.bool_)
    # What was lost on the way to a tier is not there in it either.
    found: NDArray[np.bool_] = np.logical_and.accumulate(keeps)
    return found


def sessions_from(
    owners: NDArray[np.int64], seconds: NDArray[np.float64], *, last_s: float
) -> NDArray[np.void]:
    """Return sessions as `RunResult` has them, of those of the kernel.

    Parameters
    ----------
    owners, seconds : ndarray
        As in `kernel.Sessions`.
    last_s : float
        The latest of the horizon and the last finish of all [s].
    """
    from frontier.kernel import IN_BUSY, IN_IDLE, IN_START, IN_TIERS

    sessions = np.empty(len(seconds), dtype=session_type(seconds.shape[1] - IN_TIERS))
    sessions["replica"], sessions["cold_start_index"] = owners.T
    sessions["started_s"], sessions["ready_s"], ended_s = seconds.T[:IN_START]
    # One that never ends may have become ready after everything else was over.
    never_s = np.maximum(sessions["ready_s"], last_s)
    sessions["ended_s"] = np.where(np.isinf(ended_s), never_s, ended_s)
    for name, column in (("starting_s", IN_START), ("busy_s", IN_BUSY), ("idle_s", IN_IDLE)):
        sessions[name] = seconds[:, column]
    sessions["parked_s"] = seconds[:, IN_TIERS:]
    return sessions


@functools.cache
def session_type(tiers: int) -> np.dtype[np.void]:
    """Return the type of a row of ``RunResult.sessions`` with so many parked tiers."""
    return np.dtype(
        [
            ("replica", np.int32),
            ("started_s", np.float64),
            ("ready_s", np.float64),
            ("ended_s", np.float64),
            ("starting_s", np.float64),
            ("busy_s", np.float64),
            ("idle_s", np.float64),
            ("parked_s", np.float64, (tiers,)),
            ("cold_start_index", np.int64),
        ]
    )


@dataclass(frozen=True, slots=True)
class LatencySummary:
    """What a frontier table needs to know of a run [s], [1]; percentiles are observed values.

    ``waited_ttft_s`` is the median of the requests that waited on a start, 0 without any. The
    time per output token (of the served, from the second token on) and the end-to-end latency
    are None where prompts are read in one go: the answers beside them then stand still for
    longer than they do on an engine.
    """

    p50_ttft_s: float
    p90_ttft_s: float
    p95_ttft_s: float
    p99_ttft_s: float
    p999_ttft_s: float
    max_ttft_s: float
    waited_on_start_share: float
    rejected_share: float
    waited_ttft_s: float
    p50_tpot_s: float | None = None
    p99_tpot_s: float | None = None
    p50_latency_s: float | None = None
    p99_latency_s: float | None = None


THOUSAND = 1000
"""Of so many requests it is said how many wait: the parts into which a run is cut for that."""


def slowest_of_thousand(ordered_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return every thousandth part of a distribution, smallest first: observed values [s].

    As many of the 1000 exceed a limit as requests of a thousand do, rounded up; so a p99 that
    holds a limit is the same as 10 of them or fewer above it.

    Parameters
    ----------
    ordered_s : ndarray, shape (n,)
        All of its values, smallest first [s].
    """
    found = ordered_s[thousand_ranks(ordered_s.size)]
    found.setflags(write=False)
    return found


def thousand_ranks(size: int) -> NDArray[np.int64]:
    """Return which values of a sorted distribution of that size `slowest_of_thousand` returns."""
    # Whole numbers: rounded up without the last bits of a float.
    ranks: NDArray[np.int64] = -(-np.arange(1, THOUSAND + 1) * size // THOUSAND) - 1
    return ranks


def summarise(
    result: RunResult,
    trace: Trace | None = None,
    *,
    ordered_s: NDArray[np.float64] | None = None,
) -> LatencySummary:
    """Return the percentiles and shares of a run.

    Parameters
    ----------
    trace : Trace, optional
        What was served, where prompts were read between the answers: for the time per output
        token and the end-to-end latency.
    ordered_s : ndarray, shape (n,), optional
        Its times to first token, smallest first, where they are at hand [s].
    """
    # Not a partition: numpy sorts with vector instructions, in half the time of one for several.
    ordered_s = np.sort(result.ttft_s) if ordered_s is None else ordered_s
    ranks = [_rank(q, ordered_s.size) for q in (50, 90, 95, 99, 99.9, 100)]
    p50, p90, p95, p99, p999, longest = ordered_s[ranks].tolist()
    found = LatencySummary(
        p50_ttft_s=p50,
        p90_ttft_s=p90,
        p95_ttft_s=p95,
        p99_ttft_s=p99,
        p999_ttft_s=p999,
        max_ttft_s=longest,
        waited_on_start_share=result.waited_share,
        rejected_share=result.rejected_share,
        waited_ttft_s=_median(result.ttft_s[result.waited_on_start]),
    )
    if trace is None:
        return found
    latency_s = np.empty(result.ttft_s.size)
    tpot_s = np.empty(result.ttft_s.size)
    several = 0
    for part in _parts(result.ttft_s.size):
        of_part_s = np.subtract(result.finish_s[part], trace.arrival_s[part], out=latency_s[part])
        to_first_s, steps = result.ttft_s[part], trace.output_tokens[part] - 1
        has_several = steps > 0
        has_several &= ~result.rejected[part]
        if not has_several.all():
            of_part_s, to_first_s = of_part_s[has_several], to_first_s[has_several]
            steps = steps[has_several]
        of_part_s = of_part_s - to_first_s
        np.divide(of_part_s, steps, out=tpot_s[several : several + steps.size])
        several += steps.size
    p50_tpot, p99_tpot = _two_observed(tpot_s[:several], 50, 99) if several else (None, None)
    p50_latency, p99_latency = _two_observed(latency_s, 50, 99)
    return dataclasses.replace(
        found,
        p50_tpot_s=p50_tpot,
        p99_tpot_s=p99_tpot,
        p50_latency_s=p50_latency,
        p99_latency_s=p99_latency,
    )


def _rank(percent: float, size: int) -> int:
    """Return where among so many ordered values, at least one, a percentile was observed."""
    return max(0, math.ceil(percent / 100 * size) - 1)


def _two_observed(values: NDArray[np.float64], low: float, high: float) -> tuple[float, float]:
    """Return two percentiles that were observed, of at least one value; reorders the values.

    One value at a time: numpy selects that with vector instructions, several it does not.
    """
    above, below = _rank(high, values.size), _rank(low, values.size)
    values.partition(above)
    high_value = float(values[above])
    values[: above + 1].partition(below)
    return float(values[below]), high_value


_PART = 1 << 16
"""Requests that are gone through at a time, so that what lies between is in the core's cache."""


def _parts(size: int) -> Iterator[slice]:
    """Yield what all of so many requests are gone through in."""
    for start in range(0, size, _PART):
        yield slice(start, start + _PART)


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


def work_of(speed: ServingSpeed, trace: Trace) -> Work:
    """Return a trace as replicas of that speed see it."""
    return Work(
        trace.arrival_s,
        speed.prefill_s(trace.prompt_tokens) - speed.overhead_s,
        trace.output_tokens.astype(np.int64),
        speed.chunks(trace.prompt_tokens),
    )


class Works:
    """What plans of one sweep share of a trace, made when the first asks; elsewhere made anew."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[Hashable, Work] = {}

    def __reduce__(self) -> tuple[type[Works], tuple[()]]:
        return Works, ()

    def of(self, speed: ServingSpeed, trace: Trace) -> Work:
        """Return `work_of` that; always the same trace."""
        key = (
            speed.prefill_linear_s,
            speed.prefill_quadratic_s,
            speed.prefill_bounded,
            speed.overhead_s,
            speed.chunk_tokens,
        )
        with self._lock:
            if key not in self._made:
                self._made[key] = work_of(speed, trace)
            return self._made[key]


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
    for part in _parts(found_s.size):
        queued = result.slot_wait_s[part] + result.read_wait_s[part] > 0
        found_s[part] = speed.overheads_s(_shared_s(result, part) > 0, queued)
    return found_s


def _shared_s(result: RunResult, part: slice = _ALL) -> NDArray[np.float64]:
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
    shared_s = np.where(served, _shared_s(result), 0.0)
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


def _median(values: NDArray[np.float64]) -> float:
    """Return the lower median of some values; 0 of none."""
    at = (values.size - 1) // 2
    return float(np.partition(values, at)[at]) if values.size else 0.0


def _share(flags: NDArray[np.bool_]) -> float:
    return float(flags.mean()) if flags.size else math.nan


def _vector(name: str, values: ArrayLike) -> NDArray:
    try:
        vector = np.asarray(values)
    except ValueError:  # numpy: rows of different lengths
        raise InputError(f"{name} must be a flat list of numbers") from None
    if vector.ndim != 1:
        raise InputError(f"{name} must have one dimension, got shape {vector.shape}")
    if vector.size and vector.dtype.kind not in "iuf":
        raise InputError(f"{name} must hold numbers, got {vector.dtype}")
    return vector


def _times(name: str, values: ArrayLike, *, least_size: int = 0) -> NDArray[np.float64]:
    """Return finite times of at least 0 s as a read-only contiguous vector."""
    vector = _vector(name, values)
    if vector.size < least_size:
        raise InputError(f"{name} must have at least one entry, got none")
    # A NaN is neither: it fails the first look, which is all that most vectors need.
    if vector.size and not (vector.min() >= 0 and vector.max() < math.inf):
        at = int(np.flatnonzero(~((vector >= 0) & (vector < math.inf)))[0])
        raise InputError(
            f"{name} must hold finite times of at least 0 s, got {vector[at]} in entry {at}"
        )
    return _read_only(vector, np.float64)


def _counts(name: str, values: ArrayLike) -> NDArray[np.int64]:
    vector = _vector(name, values)
    most = np.iinfo(np.int32).max
    whole = vector.dtype.kind in "iu" or bool((vector == np.floor(vector)).all())
    if vector.size and not (whole and vector.min() >= 1 and vector.max() <= most):
        fits = (vector >= 1) & (vector <= most) & (vector == np.floor(vector))
        at = int(np.flatnonzero(~fits)[0])
        raise InputError(
            f"{name} must hold whole numbers from 1 to {most}, got {vector[at]} in entry {at}"
        )
    return _read_only(vector, np.int64)


def _read_only(vector: NDArray, dtype: type) -> NDArray:
    """Return a read-only view: the kernel is compiled once, for read-only input."""
    view: NDArray = np.ascontiguousarray(vector, dtype=dtype).view()
    view.setflags(write=False)
    return view
