"""Mitigations that rewrite a start: less to bring, brought otherwise, or not done again.

Each changes the inputs from which the start is predicted, or its stages. Left out: when replicas
run, which `frontier.mitigations.replicas` changes.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from frontier.errors import InputError
from frontier.mitigations.base import (
    DIVISION,
    OVERLAP,
    OWN_NODES,
    SNAPSHOT,
    THE_PLATFORM,
    Mitigation,
    Standing,
    effects_on,
    reasons,
    rescaled,
    scaled,
)
from frontier.serving import ServingSpeed
from frontier.start.predict import StartInputs
from frontier.start.stages import STAGES, ColdStart, Stage
from frontier.tables import Restore, Tables, look_up
from frontier.units import BYTES_PER_GB, BYTES_PER_GIB

_SNAPSHOT_REPLACES = ("engine_init", "load", "compile", "kv_cache", "graph_capture", "other")
_TYPICAL_RESTORE, _BEST_RESTORE = "typical", "dynamo"


@dataclass(frozen=True, slots=True)
class ImageCache(Mitigation):
    """The container image is already on the node; what contended with its pull is freed."""

    key: ClassVar[str] = "image-cache"
    label: ClassVar[str] = "Image on the node"
    effects: ClassVar[Mapping[str, str]] = effects_on(pull="removed", fetch="contention removed")
    node_gb_per_image_gb: float = 1.0

    def rewrite_inputs(self, inputs: StartInputs) -> StartInputs:
        """Mark the image as cached."""
        return dataclasses.replace(inputs, image_state="cached", pull_overlaps_fetch=False)

    def standing(self, inputs: StartInputs, tables: Tables) -> Standing:
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
    effects: ClassVar[Mapping[str, str]] = effects_on(pull="replaced", engine_init="may rise")
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
        slower = scaled(then["engine_init"], self.engine_init_factor, self.label)
        then = then.replace(
            "engine_init", median_s=slower.median_s, note=f"{slower.note}; files arrive lazily"
        )
        return rescaled(start, before, then, self.label)

    def standing(self, inputs: StartInputs, tables: Tables) -> Standing:
        """Cost nothing that is counted: the registry keeps an index beside the image."""
        return Standing(notes=("the registry keeps an index of the image",))


@dataclass(frozen=True, slots=True)
class WeightCache(Mitigation):
    """Weights stay on a disk near the GPU; it may be slower than a fast network."""

    key: ClassVar[str] = "weight-cache"
    label: ClassVar[str] = "Local weight cache"
    effects: ClassVar[Mapping[str, str]] = effects_on(fetch="replaced", load="replaced")
    excludes: ClassVar[Mapping[str, str]] = reasons(
        parallel_fetch="nothing is left to fetch over the network",
        multi_tier="both decide where the weights are",
    )
    storage: str = "local-nvme"
    copies: float = 1.0

    def rewrite_inputs(self, inputs: StartInputs) -> StartInputs:
        """Read from the local disk by memory map."""
        return _read_by_engine(inputs, storage=self.storage, loader="mmap")

    def standing(self, inputs: StartInputs, tables: Tables) -> Standing:
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
    effects: ClassVar[Mapping[str, str]] = effects_on(fetch="overlapped", load="overlapped")
    excludes: ClassVar[Mapping[str, str]] = reasons(multi_tier="both are loaders")
    readers: int = 1

    def rewrite_inputs(self, inputs: StartInputs) -> StartInputs:
        """Use the streaming loader on whatever storage there is."""
        return _read_by_engine(inputs, loader="streamer", readers=int(self.readers))

    def standing(self, inputs: StartInputs, tables: Tables) -> Standing:
        """Cost nothing standing; a pinned buffer during the start."""
        return Standing(notes=("a pinned buffer in host memory during the start",))


@dataclass(frozen=True, slots=True)
class MultiTier(Mitigation):
    """Loading-optimised checkpoints on a fast local array or in memory (ServerlessLLM)."""

    key: ClassVar[str] = "multi-tier"
    label: ClassVar[str] = "Multi-tier loading (ServerlessLLM)"
    needs: ClassVar[str] = OWN_NODES
    phase: ClassVar[int] = OVERLAP
    effects: ClassVar[Mapping[str, str]] = effects_on(fetch="replaced", load="overlapped")
    excludes: ClassVar[Mapping[str, str]] = reasons(
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
            fetch = scaled(after["fetch"], 1 - self.dram_share, self.label)
            after = after.replace("fetch", median_s=fetch.median_s, note=fetch.note)
        return rescaled(start, before, after, self.label)

    def standing(self, inputs: StartInputs, tables: Tables) -> Standing:
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
    effects: ClassVar[Mapping[str, str]] = effects_on(
        engine_init="overlapped", fetch="divided", load="divided"
    )
    workers: int = 1

    def rewrite_inputs(self, inputs: StartInputs) -> StartInputs:
        """Divide the fetch among the workers and begin it together with the engine."""
        _single_gpu(self, inputs, "a weight streamer")
        return dataclasses.replace(
            inputs, fetch_workers=int(self.workers), fetch_overlaps_init=True
        )

    def standing(self, inputs: StartInputs, tables: Tables) -> Standing:
        """Cost the other workers' GPUs while they start and until the parts have moved."""
        wall = self.rewrite_inputs(inputs).predict(tables).wall_s
        held_s = math.fsum(wall[name] for name in ("engine_init", "fetch", "load"))
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
    effects: ClassVar[Mapping[str, str]] = effects_on(compile="shortened", kv_cache="shortened")
    cache_gb: float = 0.0

    def rewrite_inputs(self, inputs: StartInputs) -> StartInputs:
        """Take the compile stage as cached, if it is used at all."""
        if inputs.compile_state != "cold":
            return inputs
        return dataclasses.replace(inputs, compile_state="cached")

    def standing(self, inputs: StartInputs, tables: Tables) -> Standing:
        """Cost a little shared storage and one cold start for each change of GPU or version."""
        return Standing(
            storage_gb=self.cache_gb,
            starts_without=1,
            notes=("a new GPU type, engine or torch version starts cold once",),
        )


@dataclass(frozen=True, slots=True)
class KernelCache(Mitigation):
    """The engine's own kernels are shipped compiled and tuned, or kept from an earlier start."""

    key: ClassVar[str] = "kernel-cache"
    label: ClassVar[str] = "Ship the kernel cache"
    effects: ClassVar[Mapping[str, str]] = effects_on(kv_cache="shortened")
    cache_gb: float = 0.0

    def rewrite_inputs(self, inputs: StartInputs) -> StartInputs:
        """Take the kernels as compiled and tuned before."""
        return dataclasses.replace(inputs, kernel_state="cached")

    def standing(self, inputs: StartInputs, tables: Tables) -> Standing:
        """Cost a little storage and one cold start for each change of GPU or version."""
        return Standing(
            storage_gb=self.cache_gb,
            starts_without=1,
            notes=("a new GPU type or engine version starts cold once",),
        )


@dataclass(frozen=True, slots=True)
class FewerCaptures(Mitigation):
    """CUDA graphs are captured for fewer batch sizes."""

    key: ClassVar[str] = "fewer-captures"
    label: ClassVar[str] = "Fewer capture sizes"
    phase: ClassVar[int] = DIVISION
    effects: ClassVar[Mapping[str, str]] = effects_on(graph_capture="divided")
    sizes: int = 1

    def rewrite_inputs(self, inputs: StartInputs) -> StartInputs:
        """Capture at most that many sizes."""
        least = inputs.capture_sizes
        sizes = int(self.sizes) if least is None else min(least, int(self.sizes))
        return dataclasses.replace(inputs, capture_sizes=sizes)

    def standing(self, inputs: StartInputs, tables: Tables) -> Standing:
        """Cost nothing standing; a batch between two sizes is padded to the larger."""
        return Standing(notes=("batches are padded to the next captured size",))


@dataclass(frozen=True, slots=True)
class EagerMode(Mitigation):
    """No compilation and no graphs: quicker to start, slower to decode for ever after."""

    key: ClassVar[str] = "eager"
    label: ClassVar[str] = "Eager mode"
    effects: ClassVar[Mapping[str, str]] = effects_on(
        compile="removed", kv_cache="shortened", graph_capture="removed"
    )
    excludes: ClassVar[Mapping[str, str]] = reasons(
        compile_cache="nothing is compiled", fewer_captures="no graph is captured"
    )
    decode_slowdown: float = 1.0

    def rewrite_inputs(self, inputs: StartInputs) -> StartInputs:
        """Drop compilation and capture."""
        return dataclasses.replace(inputs, compile_state="none", capture_sizes=0)

    def rewrite_speed(self, speed: ServingSpeed) -> ServingSpeed:
        """Lengthen every decode step."""
        return speed.slowed(self.decode_slowdown)

    def standing(self, inputs: StartInputs, tables: Tables) -> Standing:
        """Cost slower answers, which the simulation counts."""
        return Standing(notes=(f"each decode step takes {self.decode_slowdown:g} times as long",))


@dataclass(frozen=True, slots=True)
class CpuSnapshot(Mitigation):
    """Process memory is restored, so that imports need not run again."""

    key: ClassVar[str] = "cpu-snapshot"
    label: ClassVar[str] = "CPU memory snapshot"
    needs: ClassVar[str] = THE_PLATFORM
    phase: ClassVar[int] = SNAPSHOT
    effects: ClassVar[Mapping[str, str]] = effects_on(engine_init="shortened")
    imports_speedup: float = 1.0
    imports_share: float = 1.0
    snapshot_gb: float = 0.0
    cold_starts_first: int = 0

    def _rewrite_stages(self, start: ColdStart, inputs: StartInputs, tables: Tables) -> ColdStart:
        left = 1 - self.imports_share + self.imports_share / self.imports_speedup
        return _with_stage(start, scaled(start["engine_init"], left, self.label))

    def standing(self, inputs: StartInputs, tables: Tables) -> Standing:
        """Cost the stored process image; the first starts stay cold."""
        return Standing(
            storage_gb=self.snapshot_gb,
            starts_without=int(self.cold_starts_first),
            notes=("taken anew for each deployment",),
        )


@dataclass(frozen=True, slots=True)
class GpuSnapshot(Mitigation):
    """The whole engine, GPU memory included, is restored from a file on a serverless platform.

    All from engine start to the serving API goes; a restore of ``t + artifact / rate`` comes in
    its place, never quicker than the weights over PCIe. Rates: data/restores.csv.
    """

    key: ClassVar[str] = "gpu-snapshot"
    label: ClassVar[str] = "GPU memory snapshot (platform)"
    needs: ClassVar[str] = THE_PLATFORM
    phase: ClassVar[int] = SNAPSHOT
    effects: ClassVar[Mapping[str, str]] = effects_on(
        **dict.fromkeys(_SNAPSHOT_REPLACES, "removed"), fetch="replaced"
    )
    excludes: ClassVar[Mapping[str, str]] = reasons(
        **dict.fromkeys(
            (
                *("weight_streamer", "weight_cache", "multi_tier", "parallel_fetch"),
                *("compile_cache", "kernel_cache", "fewer_captures", "eager", "cpu_snapshot"),
            ),
            "the snapshot replaces the same stages",
        )
    )
    restore: str | None = None
    cold_starts_first: int = 0

    def row(self, inputs: StartInputs, tables: Tables) -> Restore:
        """Return how it is restored: as told, as the platform does it, or as is typical."""
        key = self.restore or inputs.restore or _TYPICAL_RESTORE
        return look_up(tables.restores, key, "restore")

    def artifact_gb(self, inputs: StartInputs, tables: Tables) -> float:
        """Return the size of the snapshot [GB]."""
        row = self.row(inputs, tables)
        return row.artifact_fixed_gb + row.artifact_per_weight_gb * inputs.checkpoint_gb

    def _rewrite_stages(self, start: ColdStart, inputs: StartInputs, tables: Tables) -> ColdStart:
        _single_gpu(self, inputs, "a weight streamer with a compile cache")
        # A restore needs the container: nothing runs beside it any more.
        start = dataclasses.replace(start, overlaps=())
        for name in _SNAPSHOT_REPLACES:
            start = _with_stage(start, _gone(name, self.label))
        row, size_gb = self.row(inputs, tables), self.artifact_gb(inputs, tables)
        pinned = tables.coefficient("pcie_efficiency") * inputs.pcie_gb_per_s
        restored_s = max(row.fixed_s + size_gb / row.gb_per_s, inputs.checkpoint_gb / pinned)
        return _with_stage(
            start,
            Stage(
                "fetch",
                restored_s,
                tables.coefficient("spread_load"),
                row.basis,
                (row.source_id,),
                note=f"{row.label}: {size_gb:.3g} GB, {row.fixed_s:g} s and {row.gb_per_s:g} GB/s",
            ),
        )

    def standing(self, inputs: StartInputs, tables: Tables) -> Standing:
        """Cost the stored snapshot; the first starts stay cold."""
        return Standing(
            storage_gb=self.artifact_gb(inputs, tables),
            starts_without=int(self.cold_starts_first),
            notes=("taken anew for each deployment and GPU type",),
        )


@dataclass(frozen=True, slots=True)
class NodeSnapshot(GpuSnapshot):
    """The same on own nodes, from local NVMe (CRIU with asynchronous I/O, Dynamo Snapshot)."""

    key: ClassVar[str] = "node-snapshot"
    label: ClassVar[str] = "GPU memory snapshot (own nodes)"
    needs: ClassVar[str] = OWN_NODES
    excludes: ClassVar[Mapping[str, str]] = reasons(
        **dict.fromkeys(GpuSnapshot.excludes, "the snapshot replaces the same stages"),
        gpu_snapshot="both restore the whole engine",
    )
    restore: str | None = _BEST_RESTORE


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


def _gone(name: str, label: str) -> Stage:
    return Stage(name, 0.0, 1.0, "derived", note=f"removed by {label}")


def _with_stage(start: ColdStart, stage: Stage) -> ColdStart:
    at = STAGES.index(stage.name)
    return dataclasses.replace(start, stages=(*start.stages[:at], stage, *start.stages[at + 1 :]))
