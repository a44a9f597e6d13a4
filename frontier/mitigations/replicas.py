"""Mitigations that rewrite a policy: replicas kept, started ahead, or parked instead of released.

None changes how a start goes; what they cost in GPU time comes out of the simulation. Pre-warming
takes a schedule, made by `frontier.schedules`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from frontier.errors import InputError
from frontier.mitigations.base import (
    OVERLAP,
    OWN_NODES,
    THE_PLATFORM,
    Mitigation,
    Standing,
    reasons,
)
from frontier.policy import ParkedTier, ScalingPolicy
from frontier.schedules import PREWARM_KINDS, Schedule, with_schedule
from frontier.spell import count
from frontier.start.predict import StartInputs
from frontier.tables import Tables
from frontier.units import BYTES_PER_GB, BYTES_PER_GIB

_KEEPS = "idle seconds of the replicas kept come out of the simulation"


@dataclass(frozen=True, slots=True)
class WarmPool(Mitigation):
    """Replicas kept ready whatever the traffic."""

    key: ClassVar[str] = "warm-pool"
    label: ClassVar[str] = "Warm pool"
    replicas: int = 1

    def rewrite_policy(self, policy: ScalingPolicy) -> ScalingPolicy:
        """Raise the minimum, and the maximum if it is lower."""
        least = max(policy.min_replicas, int(self.replicas))
        return dataclasses.replace(
            policy,
            min_replicas=least,
            max_replicas=max(policy.max_replicas, least),
            schedule=tuple((at, max(least, minimum)) for at, minimum in policy.schedule),
        )

    def standing(self, inputs: StartInputs, tables: Tables) -> Standing:
        """Cost GPU time all day, which the simulation counts."""
        return Standing(notes=(f"{count(self.replicas, 'replica')} held all the time; {_KEEPS}",))


@dataclass(frozen=True, slots=True)
class KeepAlive(Mitigation):
    """An idle replica is kept for a while before it is released."""

    key: ClassVar[str] = "keep-alive"
    label: ClassVar[str] = "Keep-alive (idle timeout)"
    idle_timeout_s: float = 0.0

    def rewrite_policy(self, policy: ScalingPolicy) -> ScalingPolicy:
        """Lengthen the idle timeout."""
        longest = max(policy.idle_timeout_s, self.idle_timeout_s)
        return dataclasses.replace(policy, idle_timeout_s=longest)

    def standing(self, inputs: StartInputs, tables: Tables) -> Standing:
        """Cost the idle tail of each busy period, which the simulation counts."""
        return Standing(notes=(f"up to {self.idle_timeout_s:g} s idle after each use; {_KEEPS}",))


@dataclass(frozen=True, slots=True)
class Buffer(Mitigation):
    """More replicas than the load needs while there is any load."""

    key: ClassVar[str] = "buffer"
    label: ClassVar[str] = "Buffer replicas"
    replicas: int = 1

    def rewrite_policy(self, policy: ScalingPolicy) -> ScalingPolicy:
        """Raise the number of replicas wanted beyond the load, and leave room for them."""
        extra = max(policy.buffer_replicas, int(self.replicas))
        return dataclasses.replace(
            policy, buffer_replicas=extra, max_replicas=max(policy.max_replicas, extra + 1)
        )

    def standing(self, inputs: StartInputs, tables: Tables) -> Standing:
        """Cost GPU time while there is traffic, which the simulation counts."""
        return Standing(notes=(f"{int(self.replicas)} more than the load needs; {_KEEPS}",))


@dataclass(frozen=True, slots=True)
class SleepLevel1(Mitigation):
    """Released replicas sleep: weights in host memory, GPU memory freed, process kept."""

    key: ClassVar[str] = "sleep-1"
    label: ClassVar[str] = "vLLM sleep level 1"
    needs: ClassVar[str] = OWN_NODES
    excludes: ClassVar[Mapping[str, str]] = reasons(sleep_2="a replica sleeps at one level")
    stay_s: float = math.inf
    held_fraction: float = 1.0
    wake_fixed_s: float = 0.0
    vram_kept_gb: float = 0.0

    def wake_s(self, inputs: StartInputs, tables: Tables) -> float:
        """Return the time to wake up [s]: bytes over pinned copies, up to the node's PCIe."""
        pinned = tables.coefficient("pcie_efficiency") * inputs.pcie_gb_per_s * inputs.gpus
        together = min(pinned, tables.coefficient("node_pcie_gb_per_s"))
        return self.wake_fixed_s + inputs.checkpoint_gb / together

    def parked_tier(self, inputs: StartInputs, tables: Tables) -> ParkedTier:
        """Park released replicas before they go off."""
        return ParkedTier(self.stay_s, self.wake_s(inputs, tables), self.held_fraction)

    def standing(self, inputs: StartInputs, tables: Tables) -> Standing:
        """Cost host memory and the share of the GPU that is still paid."""
        return Standing(
            host_ram_gib=inputs.checkpoint_gb * BYTES_PER_GB / BYTES_PER_GIB,
            gpu_memory_gb=self.vram_kept_gb,
            notes=(f"{self.held_fraction:.0%} of the replica is still paid while it sleeps",),
        )


@dataclass(frozen=True, slots=True)
class SleepLevel2(Mitigation):
    """Released replicas sleep without their weights, which are read again on waking."""

    key: ClassVar[str] = "sleep-2"
    label: ClassVar[str] = "vLLM sleep level 2"
    needs: ClassVar[str] = OWN_NODES
    excludes: ClassVar[Mapping[str, str]] = reasons(sleep_1="a replica sleeps at one level")
    stay_s: float = math.inf
    held_fraction: float = 1.0
    wake_factor: float = 1.0
    wake_fixed_s: float = 0.0
    vram_kept_gb: float = 0.0

    def parked_tier(self, inputs: StartInputs, tables: Tables) -> ParkedTier:
        """Park released replicas before they go off."""
        first = SleepLevel1(wake_fixed_s=self.wake_fixed_s)
        wake_s = self.wake_factor * first.wake_s(inputs, tables)
        return ParkedTier(self.stay_s, wake_s, self.held_fraction)

    def standing(self, inputs: StartInputs, tables: Tables) -> Standing:
        """Cost the share of the GPU that is still paid, and the checkpoint on disk."""
        return Standing(
            storage_gb=inputs.checkpoint_gb,
            gpu_memory_gb=self.vram_kept_gb,
            notes=(f"{self.held_fraction:.0%} of the replica is still paid while it sleeps",),
        )


@dataclass(frozen=True, slots=True)
class RetainedState(Mitigation):
    """The platform keeps the state of a released worker for a while (FlashBoot and the like)."""

    key: ClassVar[str] = "retained-state"
    label: ClassVar[str] = "Retained warm state (FlashBoot)"
    needs: ClassVar[str] = THE_PLATFORM
    stay_s: float = 0.0
    resume_s: float = 0.0

    def parked_tier(self, inputs: StartInputs, tables: Tables) -> ParkedTier:
        """Park released replicas at no charge; whether one is still there is up to the traffic."""
        return ParkedTier(self.stay_s, self.resume_s, 0.0)

    def standing(self, inputs: StartInputs, tables: Tables) -> Standing:
        """Cost the user nothing; the platform may drop the state at any time."""
        return Standing(notes=("not charged, and not promised: the platform may drop the state",))


@dataclass(frozen=True, slots=True)
class ScheduledPrewarm(Mitigation):
    """Replicas kept ready in windows of the week that the user names (see `weekly_schedule`)."""

    key: ClassVar[str] = "scheduled-prewarm"
    label: ClassVar[str] = "Scheduled pre-warming"
    phase: ClassVar[int] = OVERLAP
    schedule: Schedule | None = None

    def rewrite_policy(self, policy: ScalingPolicy) -> ScalingPolicy:
        """Add the changes of the minimum, on top of those the policy has."""
        return _on_schedule(policy, self.schedule, self.label)

    def standing(self, inputs: StartInputs, tables: Tables) -> Standing:
        """Cost GPU time in the windows, which the simulation counts."""
        return Standing(notes=(f"replicas held in the windows; {_KEEPS}",))


@dataclass(frozen=True, slots=True)
class PredictedPrewarm(Mitigation):
    """Replicas started ahead of traffic predicted from its own past (see `prewarm_schedule`)."""

    key: ClassVar[str] = "predicted-prewarm"
    label: ClassVar[str] = "Predicted pre-warming"
    phase: ClassVar[int] = OVERLAP
    kind: str = PREWARM_KINDS[0]
    schedule: Schedule | None = None

    def rewrite_policy(self, policy: ScalingPolicy) -> ScalingPolicy:
        """Add the changes of the minimum, on top of those the policy has."""
        return _on_schedule(policy, self.schedule, self.label)

    def standing(self, inputs: StartInputs, tables: Tables) -> Standing:
        """Cost starts and idle time where the prediction was wrong; the simulation counts them."""
        return Standing(notes=(f"false starts and {_KEEPS}",))


def _on_schedule(policy: ScalingPolicy, schedule: Schedule | None, label: str) -> ScalingPolicy:
    if schedule is None:
        raise InputError(
            f"{label} needs a schedule: make one with weekly_schedule from the hours wanted, or "
            "with prewarm_schedule from arrival times."
        )
    return with_schedule(policy, schedule)
