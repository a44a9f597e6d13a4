"""Sessions to billed seconds: what the meters of a product read.

A session is a stretch of one replica from start to off. A *meter* is what the provider counts:
serverless, each session; by the hour, each machine while any of its replicas lives (replica r
lives on machine ``r // replicas_per_machine``). A meter runs for whole increments and at least
for the minimum, and it counts every GPU of its machine, used or not.

Where the policy has a `NodePool` the meters are its nodes': one for each stretch in which a node
is up, from the billed part of the start that brought it until its delay after the last session is
over, and one from end to end for each kept node. While no replica is on it, a node is *empty*.

What is billed of a start is decided stage by stage. Seconds are billed in the order of the
stages, so a start cut off by the horizon is billed for the stages it got through.

Left out, on purpose: dollars. Spot interruptions are an expected number of repeated starts here,
not the ones that `interruptions` drew for the waits.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from frontier.billing.host import HostNeed
from frontier.billing.terms import Contract
from frontier.errors import InfeasibleError, InputError
from frontier.memory import ById
from frontier.mitigations.base import Standing
from frontier.policy import NodePool, ScalingPolicy
from frontier.start.stages import STAGES
from frontier.tables import Offer, ProviderRules
from frontier.units import SECONDS_PER_HOUR

METERED = ("busy", "idle", "starting", "parked", "rounding", "unused", "empty")
"""What the seconds of a meter are, in this order."""

# A meter reading within a nanosecond of a whole number of increments is that number: without
# this, 0.1 s steps would round up on the last bit of a float.
_SLACK_S = 1e-9
# Sessions that are metered at a time.
_PART = 1 << 16
_NO_STANDING = Standing()


@dataclass(frozen=True, slots=True, eq=False)
class Usage:
    """What a run used: all that a bill needs to know of it, and no price.

    Parameters
    ----------
    sessions : structured ndarray
        ``RunResult.sessions``. [s]
    stage_s : array_like, shape (m, 10)
        Seconds of each stage of each start; a session took row ``cold_start_index`` modulo m.
        Where the policy has nodes the first half are whole starts, the second those on a node
        that is up. [s]
    gpus_per_replica : int
        GPUs that one replica needs.
    horizon_s : float
        End of the time that counts. [s]
    policy : ScalingPolicy
        The policy of the run: what parked replicas still cost, which ones are pinned, and the
        idle timeout where only half of the excess leaves at a time.
    requests : int
        Requests served, for a fee a request.
    standing : Standing
        What the mitigations of the plan keep or burn. Storage is paid throughout; host memory
        only where the provider meters memory.
    host : HostNeed or None
        What decides how much host a replica takes; None: its GPUs alone.

    Raises
    ------
    InputError
        If the horizon is not above 0, or stages are missing.
    """

    sessions: NDArray[np.void]
    stage_s: NDArray[np.float64]
    gpus_per_replica: int
    horizon_s: float
    policy: ScalingPolicy
    requests: int = 0
    standing: Standing = _NO_STANDING
    host: HostNeed | None = None

    def __post_init__(self) -> None:
        if not 0 < self.horizon_s < math.inf:
            raise InputError(f"horizon_s must be a finite time above 0, got {self.horizon_s!r}")
        stage_s = np.atleast_2d(np.asarray(self.stage_s, dtype=np.float64))
        if stage_s.shape[1] != len(STAGES) or not stage_s.size:
            raise InputError(f"stage_s must have {len(STAGES)} columns, got {stage_s.shape}")
        object.__setattr__(self, "stage_s", stage_s)


@dataclass(frozen=True, slots=True, eq=False)
class Meters:
    """The meters of the replicas under one contract.

    Attributes
    ----------
    gpus : int
        GPUs that each meter counts.
    machine : ndarray of int, shape (n,)
        Which machine each meter is of; serverless, which replica.
    started_s, ended_s : ndarray, shape (n,)
        [s]
    gpu_s : ndarray, shape (7, n)
        GPU-seconds, by `METERED`. [s]
    extra_start_gpu_s : float
        GPU-seconds of starts beyond the replicas' own: interruptions, and what mitigations burn.
    held_s : float
        Replica-seconds held or parked. [s]
    """

    gpus: int
    machine: NDArray[np.int64]
    started_s: NDArray[np.float64]
    ended_s: NDArray[np.float64]
    gpu_s: NDArray[np.float64]
    extra_start_gpu_s: float
    held_s: float


def machine_shape(offer: Offer, gpus_per_replica: int) -> tuple[int, int]:
    """Return (GPUs of the machine, replicas that share it) for a replica of that many GPUs.

    Any count from ``gpus_min`` to ``gpus_max`` is sold. A serverless machine serves one replica;
    one paid by the hour holds as many as fit.

    Raises
    ------
    InfeasibleError
        If no machine of the offer has that many GPUs.
    """
    if gpus_per_replica < 1:
        raise InputError(f"gpus_per_replica must be at least 1, got {gpus_per_replica!r}")
    if gpus_per_replica > offer.gpus_max:
        raise InfeasibleError(
            f"A replica needs {gpus_per_replica} GPUs, and a machine of {offer.offer_id} has "
            f"at most {offer.gpus_max}"
        )
    gpus = max(offer.gpus_min, gpus_per_replica)
    return gpus, 1 if offer.kind == "serverless" else gpus // gpus_per_replica


def metering_key(contract: Contract, gpus_per_replica: int) -> tuple[Hashable, ...]:
    """Return all of a contract that its meters hang on: the same run reads the same under both.

    No price is among it, so what was metered once can be priced at any. For contracts without a
    base.

    Raises
    ------
    InfeasibleError
        If no machine of the offer has that many GPUs.
    """
    rules = contract.rules
    return (
        contract.offer.kind == "serverless",
        machine_shape(contract.offer, gpus_per_replica),
        tuple(getattr(rules, f"bills_{stage}") for stage in STAGES),
        rules.bills_idle,
        rules.idle_rate_factor,
        rules.increment_s,
        rules.minimum_s,
        contract.terms.interruptions_per_h,
    )


def summed(meters: Meters, horizon_s: float) -> Meters:
    """Return one meter that counts what all of them do: enough to price, nothing to look up."""
    return dataclasses.replace(
        meters,
        machine=np.zeros(1, dtype=np.int64),
        started_s=np.zeros(1),
        ended_s=np.full(1, horizon_s),
        gpu_s=meters.gpu_s.sum(axis=1, keepdims=True),
    )


def read_meters(usage: Usage, contract: Contract) -> tuple[tuple[Contract, Meters], ...]:
    """Return the meters of a run by contract: its own, and that of the pinned replicas.

    Raises
    ------
    InfeasibleError
        If a replica needs more GPUs than a machine of an offer has.
    """
    pinned, nodes = usage.policy.pinned_replicas, usage.policy.nodes
    if contract.base is None or not pinned:
        return ((contract, _meter(usage.sessions, usage, contract, nodes)),)
    is_pinned = usage.sessions["replica"] < pinned
    return (
        (contract, _meter(usage.sessions[~is_pinned], usage, contract, nodes)),
        (contract.base, _meter(usage.sessions[is_pinned], usage, contract.base, None)),
    )


def billed_start_s(stage_s: ArrayLike, rules: ProviderRules) -> NDArray[np.float64]:
    """Return the billed seconds of whole starts [s].

    Parameters
    ----------
    stage_s : array_like, shape (m, 10)
        Seconds of each stage. [s]

    Returns
    -------
    ndarray, shape (m,)
    """
    return np.atleast_2d(np.asarray(stage_s, dtype=np.float64)) @ _stage_flags(rules)


def coverage(
    meters: Meters, committed_machines: int | None, horizon_s: float
) -> tuple[float, float, float]:
    """Return machine-seconds covered by a commitment, used, and committed [s].

    With None for the machines, as many are committed as are ever up at once.
    """
    times = np.concatenate([meters.started_s, meters.ended_s])
    steps = np.concatenate([np.ones(meters.started_s.size), -np.ones(meters.ended_s.size)])
    # Ends before starts at one instant, so that a machine handed over counts once.
    order = np.lexsort((steps, times))
    up = np.cumsum(steps[order])[:-1]
    lasting = np.diff(times[order])
    committed = committed_machines
    if committed is None:
        committed = int(up.max()) if up.size else 0
    covered = float(np.minimum(up, committed) @ lasting) if up.size else 0.0
    used = float(up @ lasting) if up.size else 0.0
    return covered, used, committed * horizon_s


def _meter(
    sessions: NDArray[np.void], usage: Usage, contract: Contract, nodes: NodePool | None
) -> Meters:
    """Return the meters of one pool: seconds of its sessions by line, rounded and on machines."""
    offer, rules, policy = contract.offer, contract.rules, usage.policy
    are_apart = offer.kind == "serverless" and nodes is None
    are_apart = are_apart and policy.scale_down != "half_per_window"
    if are_apart and not contract.terms.interruptions_per_h and sessions.size > _PART:
        return _meter_in_parts(sessions, usage, contract)
    gpus_per_replica, horizon_s = usage.gpus_per_replica, usage.horizon_s
    gpus, per_machine = machine_shape(offer, gpus_per_replica)
    if nodes is not None:
        gpus = nodes.gpus_per_node or gpus
        needed = nodes.replicas_per_node * gpus_per_replica
        if gpus < needed:
            raise InfeasibleError(
                f"The replicas of a node need {needed} GPUs, and a node of {offer.offer_id} has "
                f"{gpus}"
            )
    started = sessions["started_s"]
    ended = np.minimum(sessions["ended_s"], horizon_s)
    starting = sessions["starting_s"]
    stage_s = np.asarray(usage.stage_s, dtype=np.float64)
    billed_start = _billed_of_starts(sessions["cold_start_index"], starting, stage_s, rules)
    busy = sessions["busy_s"]
    idle = sessions["idle_s"]
    parked = np.zeros(sessions.size)
    if policy.parked:
        parked = sessions["parked_s"] @ np.array([tier.held_fraction for tier in policy.parked])
    if policy.scale_down == "half_per_window" and 0 < policy.idle_timeout_s < math.inf:
        extra = _half_per_window_s(sessions, policy.idle_timeout_s, horizon_s)
        idle = idle + extra
        ended = ended + extra
    if not rules.bills_idle:
        idle = np.zeros_like(idle)
    extra_start_gpu_s = _extra_start_gpu_s(sessions, usage)

    if offer.kind == "serverless":
        machine = sessions["replica"].astype(np.int64)
        clock = billed_start + busy + idle
        idle = idle * rules.idle_rate_factor
        paid = billed_start + busy + idle + parked
        unused = (gpus - gpus_per_replica) * paid
        empty = np.zeros_like(paid)
    else:
        # The machine is paid for from its first billed second until its last replica is off.
        begun = started + (starting - billed_start)
        if nodes is None:
            alive = begun < ended
            host = sessions["replica"] // per_machine
            machine, started, ended, member = _merge(host, begun, ended, alive)
            clock = ended - started
            empty = np.zeros_like(clock)
        else:
            machine, up_s, down_s, member = _node_stretches(sessions, begun, ended, usage, nodes)
            # A replica whose node is still being brought is billed with it, and not before.
            begun = np.maximum(started, up_s[member])
            billed_start = np.clip(starting - (begun - started), 0.0, None)
            alive = begun < ended
            started, clock = up_s, down_s - up_s
            member, empty = member[alive], _empty_s(member, begun, ended, alive, clock)
            ended = down_s

        def per_meter(seconds: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.bincount(member, seconds[alive], machine.size).astype(np.float64)

        billed_start, busy, idle, parked = map(per_meter, (billed_start, busy, idle, parked))
        used = gpus_per_replica * (billed_start + busy + idle + parked) + gpus * empty
        # What is left over by the last bits of a float is no unused GPU.
        is_full = np.isclose(used, gpus * clock, rtol=1e-12, atol=_SLACK_S)
        unused = np.where(is_full, 0.0, np.maximum(gpus * clock - used, 0.0))

    increments = np.ceil(clock / rules.increment_s - _SLACK_S)
    rounding = np.maximum(increments * rules.increment_s, rules.minimum_s) - clock
    # What runs from end to end of the observed time runs on when the month repeats it: its meter
    # is not read in between, so nothing is rounded.
    endless = (started <= 0) & (ended >= horizon_s)
    rounding = np.where((clock > 0) & ~endless, np.maximum(rounding, 0.0), 0.0)
    gpu_s = np.empty((len(METERED), clock.size))
    for line, seconds in zip(gpu_s, (busy, idle, billed_start, parked), strict=False):
        np.multiply(gpus_per_replica, seconds, out=line)
    gpu_s[4:] = gpus * rounding, unused, gpus * empty
    interruptions_per_h = contract.terms.interruptions_per_h
    if interruptions_per_h and sessions.size:
        # Expected number of interruptions times the machine-seconds of a mean billed start.
        repeated = interruptions_per_h / SECONDS_PER_HOUR * float(clock.sum())
        whole_s = stage_s if nodes is None else stage_s[: len(stage_s) // 2]
        extra_start_gpu_s += repeated * float(billed_start_s(whole_s, rules).mean()) * gpus
    return Meters(
        gpus=gpus,
        machine=machine,
        started_s=started,
        ended_s=ended,
        gpu_s=gpu_s,
        extra_start_gpu_s=extra_start_gpu_s,
        held_s=_held_s(sessions),
    )


def _meter_in_parts(sessions: NDArray[np.void], usage: Usage, contract: Contract) -> Meters:
    """Return `_meter` of replicas that no other shares a machine with, some sessions at a time.

    Of so many sessions what lies between takes more memory than the meters.
    """
    found = Meters(
        gpus=machine_shape(contract.offer, usage.gpus_per_replica)[0],
        machine=np.empty(sessions.size, dtype=np.int64),
        started_s=sessions["started_s"],
        ended_s=np.empty(sessions.size),
        gpu_s=np.empty((len(METERED), sessions.size)),
        extra_start_gpu_s=_extra_start_gpu_s(sessions, usage),
        held_s=_held_s(sessions),
    )
    for start in range(0, sessions.size, _PART):
        part = slice(start, start + _PART)
        meters = _meter(sessions[part], usage, contract, None)
        found.machine[part], found.ended_s[part] = meters.machine, meters.ended_s
        found.gpu_s[:, part] = meters.gpu_s
    return found


def _held_s(sessions: NDArray[np.void]) -> float:
    """Return the seconds that all sessions are held or parked [s]."""
    held = sum(sessions[part].sum() for part in ("starting_s", "busy_s", "idle_s", "parked_s"))
    return float(held)


def _extra_start_gpu_s(sessions: NDArray[np.void], usage: Usage) -> float:
    """Return the GPU-seconds that mitigations burn beside the replicas' own starts [s]."""
    starts = int(np.count_nonzero(sessions["cold_start_index"] >= 0))
    return starts * usage.standing.gpu_s_per_start


def _stage_flags(rules: ProviderRules) -> NDArray[np.float64]:
    return np.array([getattr(rules, f"bills_{stage}") for stage in STAGES], dtype=np.float64)


def _billed_of_starts(
    index: NDArray[np.integer],
    starting_s: NDArray[np.float64],
    stage_s: NDArray[np.float64],
    rules: ProviderRules,
) -> NDArray[np.float64]:
    """Return the billed part of each session's starting seconds [s].

    What exceeds the start itself is resumes, and a resume is billed like the load that it is.
    """
    flags = tuple(getattr(rules, f"bills_{stage}") for stage in STAGES)
    if all(flags) or not starting_s.any():
        return starting_s
    row = index % len(stage_s)
    # What nobody writes to any more is the same for all runs that draw from it.
    whole = _whole_starts.__wrapped__ if stage_s.flags.writeable else _whole_starts
    total_s, billed_s = whole(ById(stage_s), flags)
    total = np.where(index >= 0, total_s[row], 0.0)
    billed = np.where(index >= 0, billed_s[row], 0.0)
    cut = starting_s < total - _SLACK_S
    if cut.any():
        stages = stage_s[row[cut]]
        before = np.cumsum(stages, axis=1) - stages
        billed[cut] = np.clip(starting_s[cut, None] - before, 0.0, stages) @ np.array(flags, float)
    resumes = np.where(cut, 0.0, np.maximum(starting_s - total, 0.0))
    return np.minimum(billed + resumes * float(rules.bills_load), starting_s)


@functools.lru_cache(maxsize=16)
def _whole_starts(
    drawn: ById, flags: tuple[bool, ...]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the seconds of whole starts, and those of the billed stages [s]."""
    stage_s: NDArray[np.float64] = drawn.held
    return stage_s.sum(axis=1), stage_s @ np.array(flags, dtype=np.float64)


def _half_per_window_s(
    sessions: NDArray[np.void], window_s: float, horizon_s: float
) -> NDArray[np.float64]:
    """Return the extra idle seconds where only half of the excess leaves each window [s].

    Releases less than a window apart are one burst. Of a burst of m, ``ceil(m / 2)`` leave with
    the first, half of the rest a window later, and so on: the one that q others follow leaves
    ``floor(log2(m / (q + 1)))`` windows after the first. None stays longer than until its replica
    starts again or the horizon ends.
    """
    extra = np.zeros(sessions.size)
    released = np.flatnonzero(sessions["ended_s"] < horizon_s)
    if released.size < 2:
        return extra
    released = released[np.argsort(sessions["ended_s"][released], kind="stable")]
    off = sessions["ended_s"][released]
    fresh = np.concatenate([[True], np.diff(off) >= window_s])
    first = np.flatnonzero(fresh)
    burst = np.cumsum(fresh) - 1
    size = np.diff(np.append(first, released.size))[burst]
    followers = size - 1 - (np.arange(released.size) - first[burst])
    windows = np.floor(np.log2(size / (followers + 1)))
    leaves = off[first][burst] + windows * window_s

    again = np.full(sessions.size, horizon_s)
    order = np.lexsort((sessions["started_s"], sessions["replica"]))
    same = np.flatnonzero(np.diff(sessions["replica"][order]) == 0)
    again[order[same]] = sessions["started_s"][order[same + 1]]
    until = np.minimum(leaves, np.minimum(again[released], horizon_s))
    extra[released] = np.maximum(until - off, 0.0)
    return extra


def _merge(
    machine: NDArray[np.integer],
    started: NDArray[np.float64],
    ended: NDArray[np.float64],
    alive: NDArray[np.bool_],
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], NDArray[np.intp]]:
    """Return the stretches in which a machine is up, and the stretch of each live session."""
    living, started, ended = machine[alive].astype(np.int64), started[alive], ended[alive]
    if not living.size:
        return living, started, ended, np.empty(0, dtype=np.intp)
    order = np.lexsort((started, living))
    host, begin, end = living[order], started[order], ended[order]
    # Shifted by machine, one running maximum finds the latest end within each machine.
    shift = host * (float(end.max()) - float(begin.min()) + 1.0)
    latest = np.maximum.accumulate(end + shift)
    fresh = np.concatenate([[True], begin[1:] + shift[1:] > latest[:-1] + 1e-6])
    first = np.flatnonzero(fresh)
    member = np.empty(order.size, dtype=np.intp)
    member[order] = np.cumsum(fresh) - 1
    return host[first], begin[first], np.maximum.reduceat(end, first), member


def _node_stretches(
    sessions: NDArray[np.void],
    begun: NDArray[np.float64],
    ended: NDArray[np.float64],
    usage: Usage,
    nodes: NodePool,
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], NDArray[np.intp]]:
    """Return the stretches in which a node is up, and the stretch of each session.

    The simulation has said which start brought a node and which found it up, so nothing is
    merged by time here: a session with a whole start, and the first of all on a node, opens a
    stretch, and those that follow on that node belong to it.
    """
    kept, horizon_s = nodes.kept_nodes, usage.horizon_s
    unpinned = sessions["replica"].astype(np.int64) - usage.policy.pinned_replicas
    node = unpinned // nodes.replicas_per_node
    index = sessions["cold_start_index"]
    brings = (index >= 0) & (index < len(usage.stage_s) // 2)
    # A kept node has a stretch whether or not anything ran on it.
    node = np.concatenate([np.arange(kept), node])
    began = np.concatenate([np.zeros(kept), begun])
    left = np.concatenate([np.full(kept, horizon_s), ended])
    brings = np.concatenate([np.zeros(kept, dtype=np.bool_), brings])
    if not node.size:
        return node, began, left, np.empty(0, dtype=np.intp)
    order = np.argsort(node, kind="stable")  # sessions stand in order of start
    fresh = brings[order]
    fresh |= np.concatenate([[True], np.diff(node[order]) > 0])
    first = np.flatnonzero(fresh)
    member = np.empty(node.size, dtype=np.intp)
    member[order] = np.cumsum(fresh) - 1
    up_s = np.minimum(began[order][first], horizon_s)
    left_s = np.maximum.reduceat(left[order], first)
    down_s = np.maximum(np.minimum(left_s + nodes.scale_down_delay_s, horizon_s), up_s)
    return node[order][first], up_s, down_s, member[kept:]


def _empty_s(
    stretch: NDArray[np.intp],
    begun: NDArray[np.float64],
    ended: NDArray[np.float64],
    alive: NDArray[np.bool_],
    clock: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the seconds of each stretch in which no session was on its node [s]."""
    on, from_s, to_s, _ = _merge(stretch, begun, ended, alive)
    empty = clock - np.bincount(on, to_s - from_s, clock.size)
    # What is left over by the last bits of a float is no time at all.
    return np.where(np.isclose(empty, 0.0, atol=1e-6), 0.0, np.maximum(empty, 0.0))
