"""What can be done against a cold start: each way rewrites the start, the policy or the speed.

A mitigation is one frozen dataclass. It says which stages it removes, replaces, overlaps or
divides, what it costs while nothing happens (in physical quantities, never in dollars), with
which others it cannot be combined and why. Its numbers stand in data/mitigations.csv.
`apply_mitigations` applies any set of them: removals first, then overlaps, then divisions, then
snapshots, so that the order in which they are listed never matters.

Where a stage was measured by the user, a mitigation changes it by the ratio the model predicts.
No mitigation touches the traffic. Pre-warming here is causal: a schedule at any time depends
only on arrivals before it.
"""

from __future__ import annotations

import dataclasses
import heapq
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from frontier.coldstart import STAGES, ColdStart, Stage, StartInputs
from frontier.errors import InputError
from frontier.policy import ParkedTier, ScalingPolicy
from frontier.serving import ServingSpeed
from frontier.tables import MitigationNumber, Platform, Tables, load_tables, look_up
from frontier.units import BYTES_PER_GB, BYTES_PER_GIB, count

REMOVAL, OVERLAP, DIVISION, SNAPSHOT = range(4)
OWN_NODES, THE_PLATFORM = "own nodes", "the platform"
PREWARM_KINDS = ("hour-of-week", "histogram", "last-value")
Schedule = tuple[tuple[float, int], ...]

_SNAPSHOT_REPLACES = ("engine_init", "load", "compile", "kv_cache", "graph_capture")


@dataclass(frozen=True, slots=True)
class Standing:
    """What a mitigation costs, in physical quantities.

    Attributes
    ----------
    storage_gb : float
        Kept on disk all the time [GB].
    host_ram_gib : float
        Host memory kept for each parked or running replica [GiB].
    gpu_memory_gb : float
        GPU memory that stays occupied on each GPU of a parked replica [GB].
    gpu_s_per_start : float
        GPU-seconds of a start beyond those of the replica's own GPUs [s].
    starts_without : int
        Starts that are still cold before it takes effect.
    notes : tuple of str
        What comes out of the simulation instead, in words.
    """

    storage_gb: float = 0.0
    host_ram_gib: float = 0.0
    gpu_memory_gb: float = 0.0
    gpu_s_per_start: float = 0.0
    starts_without: int = 0
    notes: tuple[str, ...] = ()

    def __add__(self, other: Standing) -> Standing:
        """Return both together."""
        return Standing(
            self.storage_gb + other.storage_gb,
            self.host_ram_gib + other.host_ram_gib,
            self.gpu_memory_gb + other.gpu_memory_gb,
            self.gpu_s_per_start + other.gpu_s_per_start,
            max(self.starts_without, other.starts_without),
            self.notes + other.notes,
        )


@dataclass(frozen=True, slots=True)
class Mitigated:
    """A start, a policy and a speed with a set of mitigations applied."""

    start: ColdStart
    policy: ScalingPolicy
    speed: ServingSpeed | None
    standing: Standing
    inputs: StartInputs
    applied: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Mitigation:
    """The neutral mitigation: changes nothing. Each of `MITIGATIONS` overrides what it changes.

    Fields have neutral values; `mitigation` makes one with the numbers of data/mitigations.csv.

    Attributes
    ----------
    key, label : str
        Name in the tables and in links, and on screen.
    phase : int
        When it is applied: `REMOVAL`, `OVERLAP`, `DIVISION` or `SNAPSHOT`.
    effects : mapping of stage to verb
        What it does to each stage; empty if it changes when replicas run and not how they start.
    excludes : mapping of key to reason
        Mitigations it cannot be combined with.
    needs : str
        `OWN_NODES` if the user must run the nodes, `THE_PLATFORM` if it is the platform's to
        offer; empty if anybody can do it.
    """

    key: ClassVar[str] = "none"
    label: ClassVar[str] = "None"
    phase: ClassVar[int] = REMOVAL
    effects: ClassVar[Mapping[str, str]] = MappingProxyType({})
    excludes: ClassVar[Mapping[str, str]] = MappingProxyType({})
    needs: ClassVar[str] = ""

    def rewrite_inputs(self, inputs: StartInputs) -> StartInputs:
        """Return the inputs from which the start is predicted with this mitigation."""
        return inputs

    def rewrite_start(
        self, start: ColdStart, inputs: StartInputs, tables: Tables | None = None
    ) -> ColdStart:
        """Return the start with this mitigation.

        Parameters
        ----------
        start : ColdStart
            Predicted from ``inputs``, some of its stages perhaps measured.
        inputs : StartInputs
            What it was predicted from.
        """
        tables = tables or load_tables()
        bare = dataclasses.replace(start, total_runs_s=())
        changed = self._rewrite_stages(bare, inputs, tables)
        if not start.total_runs_s:
            return changed
        ratio = changed.typical_s / bare.typical_s if bare.typical_s else 1.0
        runs = tuple(run * ratio for run in start.total_runs_s)
        return dataclasses.replace(changed, total_runs_s=runs)

    def rewrite_policy(
        self, policy: ScalingPolicy, inputs: StartInputs, tables: Tables | None = None
    ) -> ScalingPolicy:
        """Return the policy with this mitigation."""
        return policy

    def rewrite_speed(self, speed: ServingSpeed) -> ServingSpeed:
        """Return the speed of a replica with this mitigation."""
        return speed

    def standing(self, inputs: StartInputs, tables: Tables | None = None) -> Standing:
        """Return what it costs, in physical quantities."""
        return Standing()

    def _rewrite_stages(self, start: ColdStart, inputs: StartInputs, tables: Tables) -> ColdStart:
        after = self.rewrite_inputs(inputs)
        if after == inputs:
            return start
        return _rescaled(start, inputs.predict(tables), after.predict(tables), self.label)


def _stages(**effects: str) -> Mapping[str, str]:
    return MappingProxyType(effects)


def _reasons(**by_key: str) -> Mapping[str, str]:
    return MappingProxyType({key.replace("_", "-"): reason for key, reason in by_key.items()})


_KEEPS = "idle seconds of the replicas kept come out of the simulation"


@dataclass(frozen=True, slots=True)
class WarmPool(Mitigation):
    """Replicas kept ready whatever the traffic."""

    key: ClassVar[str] = "warm-pool"
    label: ClassVar[str] = "Warm pool"
    replicas: int = 1

    def rewrite_policy(
        self, policy: ScalingPolicy, inputs: StartInputs, tables: Tables | None = None
    ) -> ScalingPolicy:
        """Raise the minimum, and the maximum if it is lower."""
        least = max(policy.min_replicas, int(self.replicas))
        return dataclasses.replace(
            policy,
            min_replicas=least,
            max_replicas=max(policy.max_replicas, least),
            schedule=tuple((at, max(least, minimum)) for at, minimum in policy.schedule),
        )

    def standing(self, inputs: StartInputs, tables: Tables | None = None) -> Standing:
        """Cost GPU time all day, which the simulation counts."""
        return Standing(notes=(f"{count(self.replicas, 'replica')} held all the time; {_KEEPS}",))


@dataclass(frozen=True, slots=True)
class KeepAlive(Mitigation):
    """An idle replica is kept for a while before it is released."""

    key: ClassVar[str] = "keep-alive"
    label: ClassVar[str] = "Keep-alive (idle timeout)"
    idle_timeout_s: float = 0.0

    def rewrite_policy(
        self, policy: ScalingPolicy, inputs: StartInputs, tables: Tables | None = None
    ) -> ScalingPolicy:
        """Lengthen the idle timeout."""
        longest = max(policy.idle_timeout_s, self.idle_timeout_s)
        return dataclasses.replace(policy, idle_timeout_s=longest)

    def standing(self, inputs: StartInputs, tables: Tables | None = None) -> Standing:
        """Cost the idle tail of each busy period, which the simulation counts."""
        return Standing(notes=(f"up to {self.idle_timeout_s:g} s idle after each use; {_KEEPS}",))


@dataclass(frozen=True, slots=True)
class Buffer(Mitigation):
    """More replicas than the load needs while there is any load."""

    key: ClassVar[str] = "buffer"
    label: ClassVar[str] = "Buffer replicas"
    replicas: int = 1

    def rewrite_policy(
        self, policy: ScalingPolicy, inputs: StartInputs, tables: Tables | None = None
    ) -> ScalingPolicy:
        """Raise the number of replicas wanted beyond the load, and leave room for them."""
        extra = max(policy.buffer_replicas, int(self.replicas))
        return dataclasses.replace(
            policy, buffer_replicas=extra, max_replicas=max(policy.max_replicas, extra + 1)
        )

    def standing(self, inputs: StartInputs, tables: Tables | None = None) -> Standing:
        """Cost GPU time while there is traffic, which the simulation counts."""
        return Standing(notes=(f"{int(self.replicas)} more than the load needs; {_KEEPS}",))


@dataclass(frozen=True, slots=True)
class ImageCache(Mitigation):
    """The container image is already on the node; what contended with its pull is freed."""

    key: ClassVar[str] = "image-cache"
    label: ClassVar[str] = "Image on the node"
    effects: ClassVar[Mapping[str, str]] = _stages(pull="removed", fetch="contention removed")
    node_gb_per_image_gb: float = 1.0

    def rewrite_inputs(self, inputs: StartInputs) -> StartInputs:
        """Mark the image as cached."""
        return dataclasses.replace(inputs, image_state="cached", pull_overlaps_fetch=False)

    def standing(self, inputs: StartInputs, tables: Tables | None = None) -> Standing:
        """Cost disk on every node that may start a replica."""
        return Standing(
            storage_gb=self.node_gb_per_image_gb * inputs.image_gb,
            notes=("the image stays on the disk of each node",),
        )


@dataclass(frozen=True, slots=True)
class ImageStreaming(Mitigation):
    """The container starts while its image is still arriving."""

    key: ClassVar[str] = "image-streaming"
    label: ClassVar[str] = "Image streaming"
    effects: ClassVar[Mapping[str, str]] = _stages(pull="replaced", engine_init="may rise")
    pull_s: float = 0.0
    engine_init_factor: float = 1.0

    def rewrite_inputs(self, inputs: StartInputs) -> StartInputs:
        """Replace a pull from the registry; a cached or already streamed image stays."""
        if inputs.image_state != "registry":
            return inputs
        return dataclasses.replace(
            inputs, image_state="streamed", pull_s=self.pull_s, pull_overlaps_fetch=False
        )

    def _rewrite_stages(self, start: ColdStart, inputs: StartInputs, tables: Tables) -> ColdStart:
        after = self.rewrite_inputs(inputs)
        if after == inputs:
            return start
        before = inputs.predict(tables)
        then = after.predict(tables)
        slower = _scaled(then["engine_init"], self.engine_init_factor, self.label)
        then = then.replace(
            "engine_init", median_s=slower.median_s, note=f"{slower.note}; files arrive lazily"
        )
        return _rescaled(start, before, then, self.label)

    def standing(self, inputs: StartInputs, tables: Tables | None = None) -> Standing:
        """Cost nothing that is counted: the registry keeps an index beside the image."""
        return Standing(notes=("the registry keeps an index of the image",))


@dataclass(frozen=True, slots=True)
class WeightCache(Mitigation):
    """Weights stay on a disk near the GPU; it may be slower than a fast network."""

    key: ClassVar[str] = "weight-cache"
    label: ClassVar[str] = "Local weight cache"
    effects: ClassVar[Mapping[str, str]] = _stages(fetch="replaced", load="replaced")
    excludes: ClassVar[Mapping[str, str]] = _reasons(
        parallel_fetch="nothing is left to fetch over the network",
        multi_tier="both decide where the weights are",
    )
    storage: str = "local-nvme"
    copies: float = 1.0

    def rewrite_inputs(self, inputs: StartInputs) -> StartInputs:
        """Read from the local disk by memory map."""
        return _read_by_engine(inputs, storage=self.storage, loader="mmap")

    def standing(self, inputs: StartInputs, tables: Tables | None = None) -> Standing:
        """Cost a copy of the checkpoint on disk for each place that may start a replica."""
        return Standing(
            storage_gb=self.copies * inputs.checkpoint_gb,
            notes=("a copy of the checkpoint on each node or volume",),
        )


@dataclass(frozen=True, slots=True)
class WeightStreamer(Mitigation):
    """Many readers fetch weights while earlier ones are copied: the longer counts, not the sum."""

    key: ClassVar[str] = "weight-streamer"
    label: ClassVar[str] = "Weight streamer"
    phase: ClassVar[int] = OVERLAP
    effects: ClassVar[Mapping[str, str]] = _stages(fetch="overlapped", load="overlapped")
    excludes: ClassVar[Mapping[str, str]] = _reasons(multi_tier="both are loaders")
    readers: int = 1

    def rewrite_inputs(self, inputs: StartInputs) -> StartInputs:
        """Use the streaming loader on whatever storage there is."""
        return _read_by_engine(inputs, loader="streamer", readers=int(self.readers))

    def standing(self, inputs: StartInputs, tables: Tables | None = None) -> Standing:
        """Cost nothing standing; a pinned buffer during the start."""
        return Standing(notes=("a pinned buffer in host memory during the start",))


@dataclass(frozen=True, slots=True)
class MultiTier(Mitigation):
    """Loading-optimised checkpoints on a fast local array or in memory (ServerlessLLM)."""

    key: ClassVar[str] = "multi-tier"
    label: ClassVar[str] = "Multi-tier loading (ServerlessLLM)"
    needs: ClassVar[str] = OWN_NODES
    phase: ClassVar[int] = OVERLAP
    effects: ClassVar[Mapping[str, str]] = _stages(fetch="replaced", load="overlapped")
    excludes: ClassVar[Mapping[str, str]] = _reasons(
        parallel_fetch="nothing is left to fetch over the network"
    )
    copies: float = 1.0
    dram_share: float = 0.0

    def rewrite_inputs(self, inputs: StartInputs) -> StartInputs:
        """Load from the local array, or from memory if all of the checkpoint is kept there."""
        storage = "host-ram" if self.dram_share >= 1 else "nvme-raid"
        return _read_by_engine(inputs, storage=storage, loader="serverlessllm")

    def _rewrite_stages(self, start: ColdStart, inputs: StartInputs, tables: Tables) -> ColdStart:
        before = inputs.predict(tables)
        after = self.rewrite_inputs(inputs).predict(tables)
        if 0 < self.dram_share < 1:
            # What memory holds is not read from the array.
            fetch = _scaled(after["fetch"], 1 - self.dram_share, self.label)
            after = after.replace("fetch", median_s=fetch.median_s, note=fetch.note)
        return _rescaled(start, before, after, self.label)

    def standing(self, inputs: StartInputs, tables: Tables | None = None) -> Standing:
        """Cost the converted checkpoint on disk, and host memory for the share kept there."""
        return Standing(
            storage_gb=self.copies * inputs.checkpoint_gb,
            host_ram_gib=self.dram_share * inputs.checkpoint_gb * BYTES_PER_GB / BYTES_PER_GIB,
            notes=("a converted checkpoint on each node with the array",),
        )


@dataclass(frozen=True, slots=True)
class ParallelFetch(Mitigation):
    """Several machines each fetch a part and serve as a pipeline (HydraServe, ParaServe).

    ``max(engine, bytes / (k rate)) + load / k``, then the parts move to one machine.
    """

    key: ClassVar[str] = "parallel-fetch"
    label: ClassVar[str] = "Pipeline-parallel fetch (HydraServe)"
    needs: ClassVar[str] = OWN_NODES
    phase: ClassVar[int] = DIVISION
    effects: ClassVar[Mapping[str, str]] = _stages(
        engine_init="overlapped", fetch="divided", load="divided"
    )
    workers: int = 1

    def rewrite_inputs(self, inputs: StartInputs) -> StartInputs:
        """Divide the fetch among the workers and begin it together with the engine."""
        _single_gpu(self, inputs, "a weight streamer")
        return dataclasses.replace(
            inputs, fetch_workers=int(self.workers), fetch_overlaps_init=True
        )

    def standing(self, inputs: StartInputs, tables: Tables | None = None) -> Standing:
        """Cost the other workers' GPUs while they start and until the parts have moved."""
        wall = self.rewrite_inputs(inputs).predict(tables).wall_s
        held_s = sum(wall[name] for name in ("engine_init", "fetch", "load"))
        # Each worker fetched 1/k in fetch_s; the rest of the model takes (k - 1) times as long.
        whole = self.rewrite_inputs(inputs).predict(tables)["fetch"].median_s or 0.0
        others = int(self.workers) - 1
        return Standing(
            gpu_s_per_start=others * (held_s + others * whole),
            notes=("the other workers are held until their parts have moved",),
        )


@dataclass(frozen=True, slots=True)
class CompileCache(Mitigation):
    """Compiled graphs are kept between starts; tracing remains."""

    key: ClassVar[str] = "compile-cache"
    label: ClassVar[str] = "Compile cache"
    effects: ClassVar[Mapping[str, str]] = _stages(compile="shortened", kv_cache="shortened")
    cache_gb: float = 0.0

    def rewrite_inputs(self, inputs: StartInputs) -> StartInputs:
        """Take the compile stage as cached, if it is used at all."""
        if inputs.compile_state != "cold":
            return inputs
        return dataclasses.replace(inputs, compile_state="cached")

    def standing(self, inputs: StartInputs, tables: Tables | None = None) -> Standing:
        """Cost a little shared storage and one cold start for each change of GPU or version."""
        return Standing(
            storage_gb=self.cache_gb,
            starts_without=1,
            notes=("a new GPU type, engine or torch version starts cold once",),
        )


@dataclass(frozen=True, slots=True)
class FewerCaptures(Mitigation):
    """CUDA graphs are captured for fewer batch sizes."""

    key: ClassVar[str] = "fewer-captures"
    label: ClassVar[str] = "Fewer capture sizes"
    phase: ClassVar[int] = DIVISION
    effects: ClassVar[Mapping[str, str]] = _stages(graph_capture="divided")
    sizes: int = 1

    def rewrite_inputs(self, inputs: StartInputs) -> StartInputs:
        """Capture at most that many sizes."""
        least = inputs.capture_sizes
        sizes = int(self.sizes) if least is None else min(least, int(self.sizes))
        return dataclasses.replace(inputs, capture_sizes=sizes)

    def standing(self, inputs: StartInputs, tables: Tables | None = None) -> Standing:
        """Cost nothing standing; a batch between two sizes is padded to the larger."""
        return Standing(notes=("batches are padded to the next captured size",))


@dataclass(frozen=True, slots=True)
class EagerMode(Mitigation):
    """No compilation and no graphs: quicker to start, slower to decode for ever after."""

    key: ClassVar[str] = "eager"
    label: ClassVar[str] = "Eager mode"
    effects: ClassVar[Mapping[str, str]] = _stages(
        compile="removed", kv_cache="shortened", graph_capture="removed"
    )
    excludes: ClassVar[Mapping[str, str]] = _reasons(
        compile_cache="nothing is compiled", fewer_captures="no graph is captured"
    )
    decode_slowdown: float = 1.0

    def rewrite_inputs(self, inputs: StartInputs) -> StartInputs:
        """Drop compilation and capture."""
        return dataclasses.replace(inputs, compile_state="none", capture_sizes=0)

    def rewrite_speed(self, speed: ServingSpeed) -> ServingSpeed:
        """Lengthen every decode step."""
        return speed.slowed(self.decode_slowdown)

    def standing(self, inputs: StartInputs, tables: Tables | None = None) -> Standing:
        """Cost slower answers, which the simulation counts."""
        return Standing(notes=(f"each decode step takes {self.decode_slowdown:g} times as long",))


@dataclass(frozen=True, slots=True)
class CpuSnapshot(Mitigation):
    """Process memory is restored, so that imports need not run again."""

    key: ClassVar[str] = "cpu-snapshot"
    label: ClassVar[str] = "CPU memory snapshot"
    needs: ClassVar[str] = THE_PLATFORM
    phase: ClassVar[int] = SNAPSHOT
    effects: ClassVar[Mapping[str, str]] = _stages(engine_init="shortened")
    imports_speedup: float = 1.0
    imports_share: float = 1.0
    snapshot_gb: float = 0.0
    cold_starts_first: int = 0

    def _rewrite_stages(self, start: ColdStart, inputs: StartInputs, tables: Tables) -> ColdStart:
        left = 1 - self.imports_share + self.imports_share / self.imports_speedup
        return _with_stage(start, _scaled(start["engine_init"], left, self.label))

    def standing(self, inputs: StartInputs, tables: Tables | None = None) -> Standing:
        """Cost the stored process image; the first starts stay cold."""
        return Standing(
            storage_gb=self.snapshot_gb,
            starts_without=int(self.cold_starts_first),
            notes=("taken anew for each deployment",),
        )


@dataclass(frozen=True, slots=True)
class GpuSnapshot(Mitigation):
    """The whole engine, GPU memory included, is restored from a file on a serverless platform.

    Engine start, copy, compilation, profiling and capture go; a restore of
    ``t + artifact / rate`` comes in their place, never quicker than the weights over PCIe.
    """

    key: ClassVar[str] = "gpu-snapshot"
    label: ClassVar[str] = "GPU memory snapshot (platform)"
    needs: ClassVar[str] = THE_PLATFORM
    phase: ClassVar[int] = SNAPSHOT
    effects: ClassVar[Mapping[str, str]] = _stages(
        **dict.fromkeys(_SNAPSHOT_REPLACES, "removed"), fetch="replaced"
    )
    excludes: ClassVar[Mapping[str, str]] = _reasons(
        **dict.fromkeys(
            (
                *("weight_streamer", "weight_cache", "multi_tier", "parallel_fetch"),
                *("compile_cache", "fewer_captures", "eager", "cpu_snapshot"),
            ),
            "the snapshot replaces the same stages",
        )
    )
    restore_s: float = 0.0
    restore_gb_per_s: float = 1.0
    artifact_fixed_gb: float = 0.0
    artifact_per_weight_gb: float = 1.0
    cold_starts_first: int = 0

    def artifact_gb(self, inputs: StartInputs) -> float:
        """Return the size of the snapshot [GB]."""
        return self.artifact_fixed_gb + self.artifact_per_weight_gb * inputs.checkpoint_gb

    def _rewrite_stages(self, start: ColdStart, inputs: StartInputs, tables: Tables) -> ColdStart:
        _single_gpu(self, inputs, "a weight streamer with a compile cache")
        # A restore needs the container: nothing runs beside it any more.
        start = dataclasses.replace(start, overlaps=())
        for name in _SNAPSHOT_REPLACES:
            start = _with_stage(start, _gone(name, self.label))
        size_gb = self.artifact_gb(inputs)
        pinned = tables.coefficient("pcie_efficiency") * inputs.pcie_gb_per_s
        restored_s = max(
            self.restore_s + size_gb / self.restore_gb_per_s, inputs.checkpoint_gb / pinned
        )
        number = tables.mitigations[f"{self.key}.restore_gb_per_s"]
        return _with_stage(
            start,
            Stage(
                "fetch",
                restored_s,
                tables.coefficient("spread_load"),
                number.basis,
                (number.source_id,),
                note=f"snapshot of {size_gb:.3g} GB: {self.restore_s:g} s and "
                f"{self.restore_gb_per_s:g} GB/s",
            ),
        )

    def standing(self, inputs: StartInputs, tables: Tables | None = None) -> Standing:
        """Cost the stored snapshot; the first starts stay cold."""
        return Standing(
            storage_gb=self.artifact_gb(inputs),
            starts_without=int(self.cold_starts_first),
            notes=("taken anew for each deployment and GPU type",),
        )


@dataclass(frozen=True, slots=True)
class NodeSnapshot(GpuSnapshot):
    """The same on own nodes, from local NVMe (CRIU with asynchronous I/O, Dynamo Snapshot)."""

    key: ClassVar[str] = "node-snapshot"
    label: ClassVar[str] = "GPU memory snapshot (own nodes)"
    needs: ClassVar[str] = OWN_NODES
    excludes: ClassVar[Mapping[str, str]] = _reasons(
        **dict.fromkeys(GpuSnapshot.excludes, "the snapshot replaces the same stages"),
        gpu_snapshot="both restore the whole engine",
    )


@dataclass(frozen=True, slots=True)
class SleepLevel1(Mitigation):
    """Released replicas sleep: weights in host memory, GPU memory freed, process kept."""

    key: ClassVar[str] = "sleep-1"
    label: ClassVar[str] = "vLLM sleep level 1"
    needs: ClassVar[str] = OWN_NODES
    excludes: ClassVar[Mapping[str, str]] = _reasons(sleep_2="a replica sleeps at one level")
    stay_s: float = math.inf
    held_fraction: float = 1.0
    wake_fixed_s: float = 0.0
    vram_kept_gb: float = 0.0

    def wake_s(self, inputs: StartInputs, tables: Tables) -> float:
        """Return the time to wake up [s]: bytes a GPU over a pinned copy."""
        pinned = tables.coefficient("pcie_efficiency") * inputs.pcie_gb_per_s
        return self.wake_fixed_s + inputs.checkpoint_gb / inputs.gpus / pinned

    def rewrite_policy(
        self, policy: ScalingPolicy, inputs: StartInputs, tables: Tables | None = None
    ) -> ScalingPolicy:
        """Park released replicas before they go off."""
        wake_s = self.wake_s(inputs, tables or load_tables())
        return _parked(policy, ParkedTier(self.stay_s, wake_s, self.held_fraction))

    def standing(self, inputs: StartInputs, tables: Tables | None = None) -> Standing:
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
    excludes: ClassVar[Mapping[str, str]] = _reasons(sleep_1="a replica sleeps at one level")
    stay_s: float = math.inf
    held_fraction: float = 1.0
    wake_factor: float = 1.0
    wake_fixed_s: float = 0.0
    vram_kept_gb: float = 0.0

    def rewrite_policy(
        self, policy: ScalingPolicy, inputs: StartInputs, tables: Tables | None = None
    ) -> ScalingPolicy:
        """Park released replicas before they go off."""
        first = SleepLevel1(wake_fixed_s=self.wake_fixed_s)
        wake_s = self.wake_factor * first.wake_s(inputs, tables or load_tables())
        return _parked(policy, ParkedTier(self.stay_s, wake_s, self.held_fraction))

    def standing(self, inputs: StartInputs, tables: Tables | None = None) -> Standing:
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

    def rewrite_policy(
        self, policy: ScalingPolicy, inputs: StartInputs, tables: Tables | None = None
    ) -> ScalingPolicy:
        """Park released replicas at no charge; whether one is still there is up to the traffic."""
        return _parked(policy, ParkedTier(self.stay_s, self.resume_s, 0.0))

    def standing(self, inputs: StartInputs, tables: Tables | None = None) -> Standing:
        """Cost the user nothing; the platform may drop the state at any time."""
        return Standing(notes=("not charged, and not promised: the platform may drop the state",))


@dataclass(frozen=True, slots=True)
class ScheduledPrewarm(Mitigation):
    """Replicas kept ready in windows of the week that the user names (see `weekly_schedule`)."""

    key: ClassVar[str] = "scheduled-prewarm"
    label: ClassVar[str] = "Scheduled pre-warming"
    phase: ClassVar[int] = OVERLAP
    schedule: Schedule | None = None

    def rewrite_policy(
        self, policy: ScalingPolicy, inputs: StartInputs, tables: Tables | None = None
    ) -> ScalingPolicy:
        """Add the changes of the minimum, on top of those the policy has."""
        return _scheduled(policy, self.schedule, self.label)

    def standing(self, inputs: StartInputs, tables: Tables | None = None) -> Standing:
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

    def rewrite_policy(
        self, policy: ScalingPolicy, inputs: StartInputs, tables: Tables | None = None
    ) -> ScalingPolicy:
        """Add the changes of the minimum, on top of those the policy has."""
        return _scheduled(policy, self.schedule, self.label)

    def standing(self, inputs: StartInputs, tables: Tables | None = None) -> Standing:
        """Cost starts and idle time where the prediction was wrong; the simulation counts them."""
        return Standing(notes=(f"false starts and {_KEEPS}",))


MITIGATIONS: tuple[type[Mitigation], ...] = (
    WarmPool,
    KeepAlive,
    Buffer,
    ImageCache,
    ImageStreaming,
    WeightCache,
    WeightStreamer,
    MultiTier,
    ParallelFetch,
    CompileCache,
    FewerCaptures,
    EagerMode,
    CpuSnapshot,
    GpuSnapshot,
    NodeSnapshot,
    SleepLevel1,
    SleepLevel2,
    ScheduledPrewarm,
    PredictedPrewarm,
    RetainedState,
)


def mitigation(key: str, tables: Tables | None = None, **changes: Any) -> Mitigation:
    """Return a mitigation with the numbers of data/mitigations.csv, save those given.

    Raises
    ------
    InputError
        If there is no such mitigation, it has no such parameter, or a number is out of range.
    """
    tables = tables or load_tables()
    cls = look_up({cls.key: cls for cls in MITIGATIONS}, key, "mitigation")
    names = {item.name for item in dataclasses.fields(cls)}
    unknown = set(changes) - names
    if unknown:
        raise InputError(
            f"{cls.label} has no parameter {', '.join(sorted(unknown))}; "
            f"it has {', '.join(sorted(names)) or 'none'}."
        )
    values: dict[str, Any] = {}
    for row in numbers_of(key, tables):
        value = changes.get(row.parameter, row.value)
        if not isinstance(value, int | float) or not value >= 0:
            raise InputError(f"{cls.label}, {row.parameter}: expected at least 0, found {value!r}")
        if row.unit in ("replicas", "workers", "sizes", "readers", "starts"):
            if value != int(value) or value < 1:
                raise InputError(
                    f"{cls.label}, {row.parameter}: expected a whole number of {row.unit} of at "
                    f"least 1, found {value!r}"
                )
            value = int(value)
        values[row.parameter] = value
    return cls(**{**changes, **values})


def numbers_of(key: str, tables: Tables | None = None) -> tuple[MitigationNumber, ...]:
    """Return the numbers of one mitigation, each with its basis and source."""
    tables = tables or load_tables()
    return tuple(row for row in tables.mitigations.values() if row.mitigation == key)


def missing_for(item: Mitigation, platform: Platform) -> str:
    """Return what a platform is not known to have for a mitigation; empty if it has it all."""
    if item.needs == OWN_NODES and not platform.own_nodes:
        return "nodes of your own"
    if item.needs == THE_PLATFORM and item.key not in platform.offers:
        return "a platform known to offer it"
    return ""


def apply_mitigations(
    start: ColdStart,
    policy: ScalingPolicy,
    speed: ServingSpeed | None,
    mitigations: Iterable[Mitigation],
    inputs: StartInputs,
    tables: Tables | None = None,
) -> Mitigated:
    """Return start, policy and speed with all the mitigations, and what they cost standing.

    Parameters
    ----------
    start : ColdStart
        Predicted from ``inputs``, some of its stages perhaps measured.
    speed : ServingSpeed or None
        The speed of a replica, if it is wanted.
    mitigations : iterable of Mitigation
        In any order: removals are applied first, then overlaps, divisions and snapshots.

    Raises
    ------
    InputError
        If one comes twice, two exclude each other (the message says why), or one cannot be used
        with these inputs (it says what to do instead).
    """
    tables = tables or load_tables()
    ordered = sorted(mitigations, key=lambda item: (item.phase, item.key))
    _check_combination(ordered)
    standing = Standing()
    for item in ordered:
        start = item.rewrite_start(start, inputs, tables)
        policy = item.rewrite_policy(policy, inputs, tables)
        speed = None if speed is None else item.rewrite_speed(speed)
        standing += item.standing(inputs, tables)
        inputs = item.rewrite_inputs(inputs)
    return Mitigated(start, policy, speed, standing, inputs, tuple(item.key for item in ordered))


def _check_combination(ordered: Sequence[Mitigation]) -> None:
    for i, one in enumerate(ordered):
        for other in ordered[i + 1 :]:
            if one.key == other.key:
                raise InputError(f"{one.label} is given twice; give it once.")
            reason = one.excludes.get(other.key) or other.excludes.get(one.key)
            if reason:
                raise InputError(
                    f"{one.label} and {other.label} cannot be combined: {reason}. Drop one of them."
                )


# Schedules -------------------------------------------------------------------------------------


def weekly_schedule(
    windows: Iterable[tuple[float, float]],
    horizon_s: float,
    *,
    replicas: int = 1,
    lead_s: float = 0.0,
    week_offset_s: float = 0.0,
    tables: Tables | None = None,
) -> Schedule:
    """Return the changes of the minimum for windows that repeat every week.

    Parameters
    ----------
    windows : iterable of (from_s, to_s)
        Seconds since the start of the week [s].
    horizon_s : float
        Length of the schedule [s].
    lead_s : float
        How long before a window its replicas are started: the cold start [s].
    week_offset_s : float
        Where in the week time 0 lies [s].

    Raises
    ------
    InputError
        If a window does not lie within the week.
    """
    week_s = look_up((tables or load_tables()).mitigations, "prewarm.period_s", "number").value
    spans = []
    for from_s, to_s in windows:
        if not 0 <= from_s < to_s <= week_s:
            raise InputError(f"a window must lie within 0 to {week_s:g} s, got {from_s} to {to_s}")
        first = math.floor((week_offset_s - to_s) / week_s)
        last = math.ceil((week_offset_s + horizon_s) / week_s)
        for week in range(first, last + 1):
            begin = week * week_s - week_offset_s
            spans.append((begin + from_s - lead_s, begin + to_s, int(replicas)))
    return _levels(spans, horizon_s)


def prewarm_schedule(
    kind: str,
    arrival_s: npt.ArrayLike,
    horizon_s: float,
    *,
    lead_s: float = 0.0,
    replicas: int = 1,
    replica_rps: float = math.inf,
    tables: Tables | None = None,
    **numbers: float,
) -> Schedule:
    """Return the changes of the minimum that a predictor would make, seeing only the past.

    Parameters
    ----------
    kind : {"hour-of-week", "histogram", "last-value"}
        ``hour-of-week``: a slot is warm if enough of the same slots of past periods had traffic.
        ``last-value``: a slot is warm if the last whole slot had traffic. ``histogram``: the
        hybrid-histogram policy of Serverless in the Wild (USENIX ATC 2020): after each request
        the replica is off until just before the head of the histogram of past idle times, and on
        from there to just after its tail; while the histogram is not representative it stays on
        for its whole range. Idle times are taken between arrivals; the policy's time-series
        model for out-of-range idle times is left out, they fall back to the range.
    arrival_s : array_like, shape (n,)
        Arrival times, sorted [s].
    horizon_s : float
        Length of the schedule [s].
    lead_s : float
        How long before it is wanted a replica is started: the cold start [s].
    replicas : int
        Replicas kept while warm, at least.
    replica_rps : float
        Requests a second of one replica, by which the slot kinds size the minimum [1/s].
    **numbers
        Any parameter of ``prewarm`` in data/mitigations.csv (``slot_s``, ``tail``, …).

    Raises
    ------
    InputError
        If the kind or a number is unknown, or the lead is longer than a period allows.
    """
    tables = tables or load_tables()
    values = {row.parameter: row.value for row in numbers_of("prewarm", tables)}
    if set(numbers) - set(values):
        raise InputError(
            f"prewarm has no number {', '.join(sorted(set(numbers) - set(values)))}; it has "
            f"{', '.join(values)}"
        )
    values |= numbers
    arrivals = np.asarray(arrival_s, dtype=np.float64)
    if arrivals.size and np.any(np.diff(arrivals) < 0):
        raise InputError("arrival_s must be sorted")
    if kind == "histogram":
        spans = _histogram_spans(arrivals, values, lead_s, int(replicas))
    elif kind in PREWARM_KINDS:
        spans = _slot_spans(kind, arrivals, horizon_s, values, lead_s, int(replicas), replica_rps)
    else:
        raise InputError(f"kind must be one of {', '.join(PREWARM_KINDS)}, got '{kind}'")
    return _levels(spans, horizon_s)


def _slot_spans(
    kind: str,
    arrivals: npt.NDArray[np.float64],
    horizon_s: float,
    values: Mapping[str, float],
    lead_s: float,
    replicas: int,
    replica_rps: float,
) -> list[tuple[float, float, int]]:
    slot_s = values["slot_s"]
    slots = math.ceil(horizon_s / slot_s)
    inside = arrivals[(arrivals >= 0) & (arrivals < slots * slot_s)]
    counts = np.bincount((inside // slot_s).astype(np.intp), minlength=slots)
    period = max(1, round(values["period_s"] / slot_s))
    # The newest slot that is over when a replica for slot j has to be started is j - 1 - behind.
    behind = math.ceil(lead_s / slot_s)
    if kind == "hour-of-week" and behind >= period:
        raise InputError(f"lead_s = {lead_s:g} s leaves no whole slot of the past to learn from")
    spans = []
    for slot in range(slots):
        if kind == "hour-of-week":
            past = counts[slot - period :: -period] if slot >= period else counts[:0]
        else:
            last = slot - 1 - behind
            past = counts[last : last + 1] if last >= 0 else counts[:0]
        if past.size and np.mean(past > 0) >= values["least_share"] and past.any():
            needed = math.ceil(float(past.mean()) / slot_s / replica_rps)
            spans.append((slot * slot_s - lead_s, (slot + 1) * slot_s, max(replicas, needed)))
    return spans


def _histogram_spans(
    arrivals: npt.NDArray[np.float64], values: Mapping[str, float], lead_s: float, replicas: int
) -> list[tuple[float, float, int]]:
    bin_s = values["bin_s"]
    bins = round(values["range_s"] / bin_s)
    gaps = np.diff(arrivals, append=math.inf)
    counts = np.zeros(bins)
    seen = outside = 0
    window = (0.0, values["range_s"])
    spans = []
    for i, arrived in enumerate(arrivals.tolist()):
        # Idle times below a bin change the counts; the window is set anew at the longer ones.
        if gaps[i] >= bin_s:
            fresh = gaps[seen:i]
            within = (fresh[fresh < values["range_s"]] // bin_s).astype(np.intp)
            np.add.at(counts, np.minimum(within, bins - 1), 1)
            outside += fresh.size - within.size
            seen = i
            window = _idle_window(counts, outside, values)
        ahead_s, until_s = window
        begin = arrived + max(0.0, ahead_s - lead_s)
        # The next arrival ends the span: it is known only once it has come.
        end = arrived + min(until_s, gaps[i])
        if begin < end:
            spans.append((begin, end, replicas))
    return spans


def _idle_window(
    counts: npt.NDArray[np.float64], outside: int, values: Mapping[str, float]
) -> tuple[float, float]:
    """Return (off until, on until) after a request, from the idle times seen so far [s]."""
    inside = counts.sum()
    whole = (0.0, values["range_s"])
    if inside + outside < values["least_gaps"]:
        return whole
    if outside > values["most_out_of_bounds"] * (inside + outside):
        return whole
    if counts.std() < values["least_cv"] * counts.mean():
        return whole
    share = np.cumsum(counts) / inside
    head = int(np.searchsorted(share, values["head"]))
    tail = int(np.searchsorted(share, values["tail"])) + 1
    bin_s, margin = values["bin_s"], values["margin"]
    return head * bin_s * (1 - margin), tail * bin_s * (1 + margin)


def _levels(spans: Iterable[tuple[float, float, int]], horizon_s: float) -> Schedule:
    """Return the changes of the highest level among the spans (from, to, level) in force."""
    waiting = sorted(
        (max(0.0, begin), end, level) for begin, end, level in spans if end > max(0.0, begin)
    )
    times = sorted({t for begin, end, _ in waiting for t in (begin, end) if t < horizon_s})
    active: list[tuple[int, float]] = []
    changes: list[tuple[float, int]] = []
    next_span = current = 0
    for time in times:
        while next_span < len(waiting) and waiting[next_span][0] <= time:
            _, end, level = waiting[next_span]
            heapq.heappush(active, (-level, end))
            next_span += 1
        while active and active[0][1] <= time:
            heapq.heappop(active)
        level = -active[0][0] if active else 0
        if level != current:
            changes.append((time, level))
            current = level
    return tuple(changes)


def _scheduled(policy: ScalingPolicy, schedule: Schedule | None, label: str) -> ScalingPolicy:
    """Return the policy with the higher of its own minimum and the schedule's at any time."""
    if schedule is None:
        raise InputError(
            f"{label} needs a schedule: make one with weekly_schedule from the hours wanted, or "
            "with prewarm_schedule from arrival times."
        )
    if not schedule:
        return policy
    own = ((0.0, policy.min_replicas), *policy.schedule)
    spans = []
    for changes in (own, schedule):
        ends = [time for time, _ in changes[1:]] + [math.inf]
        spans += [(at, end, level) for (at, level), end in zip(changes, ends, strict=True)]
    merged = _levels(spans, math.inf)
    highest = max((level for _, level in merged), default=0)
    return dataclasses.replace(
        policy,
        max_replicas=max(policy.max_replicas, highest),
        schedule=tuple(change for change in merged if change != (0.0, policy.min_replicas)),
    )


def _parked(policy: ScalingPolicy, tier: ParkedTier) -> ScalingPolicy:
    """Return the policy with one more tier, the quickest to resume first."""
    tiers = sorted((*policy.parked, tier), key=lambda t: (t.resume_s, t.stay_s, t.held_fraction))
    return dataclasses.replace(policy, parked=tuple(tiers))


# Stages ----------------------------------------------------------------------------------------


def _read_by_engine(inputs: StartInputs, **changes: Any) -> StartInputs:
    """Return the inputs with another loader, which runs in the engine and so after the pull."""
    fresh = {"readers": None, "storage_gb_per_s": None, "pull_overlaps_fetch": False}
    return dataclasses.replace(inputs, **{**fresh, **changes})


def _single_gpu(item: Mitigation, inputs: StartInputs, instead: str) -> None:
    if inputs.gpus > 1:
        raise InputError(
            f"{item.label} is only known for replicas of one GPU, and this one has {inputs.gpus}. "
            f"Use {instead}, or a GPU that holds the model alone."
        )


def _rescaled(start: ColdStart, before: ColdStart, after: ColdStart, label: str) -> ColdStart:
    """Return the start with what the prediction changed, measured stages by the same ratio."""
    stages = []
    for own, old, new in zip(start.stages, before.stages, after.stages, strict=True):
        if own == old or new.median_s == 0:
            stages.append(new)
        elif new.median_s == old.median_s or own.median_s is None or new.median_s is None:
            stages.append(own)
        elif not old.median_s:
            stages.append(new)
        else:
            stages.append(_scaled(own, new.median_s / old.median_s, label))
    return dataclasses.replace(start, stages=tuple(stages), overlaps=after.overlaps)


def _scaled(stage: Stage, factor: float, label: str) -> Stage:
    if stage.median_s is None or factor == 1:
        return stage
    return dataclasses.replace(
        stage,
        median_s=stage.median_s * factor,
        runs_s=tuple(run * factor for run in stage.runs_s),
        basis="derived",
        note=f"{stage.note} × {factor:.3g} ({label})",
    )


def _gone(name: str, label: str) -> Stage:
    return Stage(name, 0.0, 1.0, "derived", note=f"removed by {label}")


def _with_stage(start: ColdStart, stage: Stage) -> ColdStart:
    at = STAGES.index(stage.name)
    return dataclasses.replace(start, stages=(*start.stages[:at], stage, *start.stages[at + 1 :]))
