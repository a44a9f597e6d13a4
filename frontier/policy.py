"""How many replicas run, and when: the rules of an autoscaler as one frozen value.

A policy is checked when it is made, so that nothing above has to check it again. It holds no
price and no timing of a model; `simulate.simulate_replicas` says exactly what each field does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from frontier.autoscalers import TickScaling
from frontier.fields import is_count, is_time, require

ROUTINGS = ("pack", "spread", "prefix")
SCALE_DOWNS = ("all", "half_per_window")


@dataclass(frozen=True, slots=True)
class ParkedTier:
    """A place where a released replica waits, its GPU given up, to be resumed quickly.

    Parameters
    ----------
    stay_s : float
        How long a replica stays here before it moves to the next tier or goes off [s]; may be
        infinite.
    resume_s : float
        Time from the decision to resume until it can take a request [s].
    held_fraction : float
        Share of a running replica's price that is still paid while it is parked here [1].
        Only billing reads it.
    keeps_cache : bool
        Whether the prefix cache survives, as it does where the memory of the GPU is copied to the
        host and back, and not where the engine starts anew.

    Raises
    ------
    InputError
        If a time is negative or not a number, or the share lies outside 0 to 1.
    """

    stay_s: float = math.inf
    resume_s: float = 0.0
    held_fraction: float = 0.0
    keeps_cache: bool = False

    def __post_init__(self) -> None:
        require("stay_s", is_time(self.stay_s, finite=False), "at least 0 s", self.stay_s)
        finite = "a finite time of at least 0 s"
        require("resume_s", is_time(self.resume_s, finite=True), finite, self.resume_s)
        share = self.held_fraction
        in_range = is_time(share, finite=True) and share <= 1.0
        require("held_fraction", in_range, "a share from 0 to 1", share)


@dataclass(frozen=True, slots=True)
class NodePool:
    """Machines on which replicas run as pods, and which come and go after them.

    Parameters
    ----------
    replicas_per_node : int
        Replicas that share a node: replica r runs on node ``r // replicas_per_node``, pinned
        replicas, which have machines of their own, not counted.
    scale_down_delay_s : float
        How long a node is kept after its last replica has ended [s]; infinity: it stays.
    kept_nodes : int
        The first nodes, up all the time whether used or not.
    gpus_per_node : int or None
        GPUs of a node; None: those of the offer's machine. Only billing reads it.

    Raises
    ------
    InputError
        If a number makes no sense; the message names it.
    """

    replicas_per_node: int = 1
    scale_down_delay_s: float = 0.0
    kept_nodes: int = 0
    gpus_per_node: int | None = None

    def __post_init__(self) -> None:
        for field, least in (("replicas_per_node", 1), ("kept_nodes", 0), ("gpus_per_node", 1)):
            value = getattr(self, field)
            if value is not None or field != "gpus_per_node":
                expected = f"a whole number of at least {least}"
                require(field, is_count(value) and value >= least, expected, value)
        delay_s = self.scale_down_delay_s
        require("scale_down_delay_s", is_time(delay_s, finite=False), "at least 0 s", delay_s)


@dataclass(frozen=True, slots=True)
class ScalingPolicy:
    """The rules by which replicas are started, kept, parked and released.

    Every default is the neutral value, under which that rule does nothing; the product's own
    defaults stand in data/settings.csv.

    Parameters
    ----------
    min_replicas : int
        Replicas ready at time 0, and the number below which none is released until the first
        change of the schedule.
    max_replicas : int
        The most replicas that are up (starting or ready) at once.
    idle_timeout_s : float
        How long a ready replica is kept with nothing to do [s]; 0 releases it at once,
        infinity never.
    target_concurrency : float or None
        Requests in the system to one replica wanted; None means the most a replica holds.
    buffer_replicas : int
        Replicas wanted beyond that while any request is in the system.
    routing : {"pack", "spread", "prefix"}
        Send a request to the replica with a free slot that holds most, or fewest, requests; or to
        one that has the beginning of its prompt in its cache, else as "pack".
    parked : tuple of ParkedTier
        Where a released replica waits before it goes off; empty: it goes off at once.
    queue_timeout_s : float
        A request still queued this long after its arrival is rejected [s].
    schedule : tuple of (time_s, min_replicas)
        Changes of the minimum, in order of time [s].
    pinned_replicas : int
        The first replicas, never released: the dedicated base of a hybrid plan.
    scale_down : {"all", "half_per_window"}
        All replicas whose timeout is over leave, or half of them each idle timeout. Only billing
        reads it: the others stay on the meter and take no requests.
    refuses_cold : bool
        A request that arrives while no replica is ready is rejected at once, and a start that it
        caused goes on.
    nodes : NodePool or None
        The machines that the replicas run on, where they come and go as well; None: a start
        brings its own.
    scaler : TickScaling or None
        How replicas follow the traffic where a scaler looks once in a while; None: they are
        started by the arrival that needs them and released by the idle timeout.

    Raises
    ------
    InputError
        If a field, or a combination of two, makes no sense; the message names the field.
    """

    min_replicas: int = 0
    max_replicas: int = 1
    idle_timeout_s: float = 0.0
    target_concurrency: float | None = None
    buffer_replicas: int = 0
    routing: str = "pack"
    parked: tuple[ParkedTier, ...] = ()
    queue_timeout_s: float = math.inf
    schedule: tuple[tuple[float, int], ...] = ()
    pinned_replicas: int = 0
    scale_down: str = "all"
    refuses_cold: bool = False
    nodes: NodePool | None = None
    scaler: TickScaling | None = None

    def __post_init__(self) -> None:
        for field, least in (
            ("max_replicas", 1),
            ("min_replicas", 0),
            ("buffer_replicas", 0),
            ("pinned_replicas", 0),
        ):
            value = getattr(self, field)
            expected = f"a whole number of at least {least}"
            require(field, is_count(value) and value >= least, expected, value)
        most = self.max_replicas
        at_most = f"at most max_replicas = {most}"
        require("min_replicas", self.min_replicas <= most, at_most, self.min_replicas)
        for field in ("idle_timeout_s", "queue_timeout_s"):
            value = getattr(self, field)
            require(field, is_time(value, finite=False), "at least 0 s", value)
        target = self.target_concurrency
        allowed = target is None or (is_time(target, finite=True) and target > 0)
        require("target_concurrency", allowed, "None or a number above 0", target)
        require("routing", self.routing in ROUTINGS, f"one of {', '.join(ROUTINGS)}", self.routing)

        known = f"one of {', '.join(SCALE_DOWNS)}"
        require("scale_down", self.scale_down in SCALE_DOWNS, known, self.scale_down)

        pool = self.nodes
        require("nodes", pool is None or isinstance(pool, NodePool), "None or a NodePool", pool)
        together = pool is None or self.scale_down == "all"
        require("scale_down", together, "all where replicas run on nodes", self.scale_down)

        scaler = self.scaler
        is_one = scaler is None or isinstance(scaler, TickScaling)
        require("scaler", is_one, "None or a TickScaling", scaler)
        together = self.idle_timeout_counts or self.scale_down == "all"
        expected = "all where a scaler says how many leave"
        require("scale_down", together, expected, self.scale_down)

        # Lists are accepted and kept as tuples, so that a policy stays hashable.
        object.__setattr__(self, "parked", tuple(self.parked))
        for tier in self.parked:
            require("parked", isinstance(tier, ParkedTier), "a tuple of ParkedTier", tier)
        self._check_schedule()
        base = self.pinned_replicas
        for minimum in (self.min_replicas, *(minimum for _, minimum in self.schedule)):
            expected = f"never more than the minimum, which is {minimum} at some time"
            require("pinned_replicas", base <= minimum, expected, base)

    @property
    def idle_timeout_counts(self) -> bool:
        """Whether replicas leave by the idle timeout: not where a scaler says when they do."""
        return self.scaler is None or self.scaler.idle_timeout_leads

    def _check_schedule(self) -> None:
        changes = []
        last_s = -math.inf
        change: Any  # whoever calls without a checker may pass anything
        for change in self.schedule:
            pair = isinstance(change, tuple | list) and len(change) == 2
            require("schedule", pair, "a tuple of (time_s, min_replicas)", change)
            time_s, minimum = change
            timed = is_time(time_s, finite=True) and time_s > last_s
            require("schedule", timed, "finite times of at least 0 s that increase", time_s)
            allowed = is_count(minimum) and 0 <= minimum <= self.max_replicas
            expected = f"min_replicas from 0 to max_replicas = {self.max_replicas}"
            require("schedule", allowed, expected, minimum)
            last_s = time_s
            changes.append((time_s, minimum))
        object.__setattr__(self, "schedule", tuple(changes))
