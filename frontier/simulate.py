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

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from frontier import compiling
from frontier.errors import InfeasibleError, InputError
from frontier.policy import ScalingPolicy
from frontier.tables import load_tables

if TYPE_CHECKING:
    from frontier.kernel import Replicas, Rules, Ticks

# Sessions that are taken over from the kernel at a time.
_PART = 1 << 16


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
    sessions = _drained(owners, seconds, last_s=last_s)
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


def _drained(
    owners: NDArray[np.int64], seconds: NDArray[np.float64], *, last_s: float
) -> NDArray[np.void]:
    """Return `sessions_from` of tables that are used up by it: both at once take twice the memory.

    Of the last ones first, so that the tables shrink where they are.
    """
    from frontier.kernel import IN_TIERS

    count, columns = seconds.shape
    if count <= _PART:
        return sessions_from(owners, seconds, last_s=last_s)
    sessions = np.empty(count, dtype=session_type(columns - IN_TIERS))
    for start in reversed(range(0, count, _PART)):
        part = slice(start, start + _PART)
        sessions[part] = sessions_from(owners[part], seconds[part], last_s=last_s)
        owners.resize((start, 2), refcheck=False)
        seconds.resize((start, columns), refcheck=False)
    return sessions


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
    sessions["started_s"], sessions["ready_s"], sessions["ended_s"] = seconds.T[:IN_START]
    # One that never ends may have become ready after everything else was over.
    endless = np.isinf(sessions["ended_s"])
    sessions["ended_s"][endless] = np.maximum(sessions["ready_s"][endless], last_s)
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


def _share(flags: NDArray[np.bool_]) -> float:
    return float(np.count_nonzero(flags) / flags.size) if flags.size else math.nan


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
