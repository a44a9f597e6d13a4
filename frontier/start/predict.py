"""A start predicted from what is known of model, machine, storage and platform.

What sets the times: weights are bytes over the slowest of storage, loader and PCIe, some of which
grow with the ranks that read; compilation grows with layers, not parameters; graph capture and
memory profiling follow the layers and the bytes a step reads; the host sets engine start,
compilation and capture, each by its own factor. Kernels that the engine compiles and tunes itself
(DeepGEMM, FlashInfer, Triton, CUTLASS) have a cache of their own; they run in the first forward
pass and so are a named part of `kv_cache`, where every log that times them shows them.

Every coefficient stands in data/coefficients.csv with its fit (tools/refit.py repeats it); rates,
hosts, kernels and platforms in their tables. Left out: replicas of more than one node, and how far
the starts of one minute slow each other down beyond the correlation that is asked for.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from frontier.errors import InputError
from frontier.start.rates import kernels_of, mmap_gb_per_s, read_gb_per_s
from frontier.start.stages import (
    STAGES,
    ColdStart,
    Stage,
    StartRisk,
    check_seconds,
    merge_overlaps,
)
from frontier.tables import Kernels, Loader, Platform, Storage, Tables, look_up
from frontier.units import BYTES_PER_GB, BYTES_PER_GIB

COMPILE_STATES = ("cold", "cached", "none")
KERNEL_STATES = ("cold", "shipped", "cached")
IMAGE_STATES = ("registry", "streamed", "cached")
UNKNOWN_PLATFORM = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class StartInputs:
    """All that is told of a start; `predict` is the model.

    A mitigation changes a copy and predicts anew.

    Attributes
    ----------
    checkpoint_gb : float
        Bytes of the weights as they are stored [GB].
    layers : int
        Layers; compilation, memory profiling and graph capture grow with them.
    active_share : float
        Share of the weights that one token uses: active over all parameters [1].
    architecture : {"dense", "moe"}
        Which kernels the engine compiles.
    precision : {"bf16", "fp8", "int4", "fp4"}
        Precision of the weights.
    gpus : int
        GPUs of the replica, each with a rank that reads and copies its part.
    gpu_family : str
        Generation of the GPU, as data/gpus.csv names it.
    bandwidth_gb_per_s : float
        Memory bandwidth of one GPU [GB/s]; graph capture reads the weights once a size.
    pcie_gb_per_s : float
        Theoretical rate from host to one GPU [GB/s].
    engine : str
        Generation of the engine: a row of data/engines.csv.
    host, storage, loader : str
        Rows of data/hosts.csv, data/storage.csv and data/loaders.csv. The storage says where the
        weights are: in the page cache, on a disk of the node, or remote.
    readers : int, optional
        Concurrent readers of a streaming loader; the loader's own number if None.
    storage_gb_per_s : float, optional
        Rate measured by the user for this storage and loader, instead of the tables' [GB/s].
    host_memory_gb : float, optional
        Memory of the host [GB]. A download that does not fit its page cache is read again from
        ``disk``; None if there is enough.
    disk : str, optional
        Row of data/storage.csv to which a download is written.
    detect_s : float
        Until the scaler notices that a replica is wanted [s].
    allocate_s : float or None
        From the request for a GPU until there is one [s]; None if nobody measured it.
    allocate_spread : float, optional
        One standard deviation of the allocation, as a factor.
    image_gb : float
        Container image as it is pulled [GB].
    image_state : {"registry", "streamed", "cached"}
        Pulled whole, streamed lazily, or already on the node.
    pull_s : float, optional
        Image pull as measured, instead of bytes over rates [s].
    pull_gb_per_s : float, optional
        Rate of pull and unpacking together as measured on the platform [GB/s].
    pull_overlaps_fetch : bool
        Image and weights come side by side and slow each other down.
    weights_in_image : bool
        The weights are a layer of the image, transferred and unpacked with it.
    compile_state : {"cold", "cached", "none"}
        No compiled graphs kept, kept from an earlier start, or torch.compile not used.
    kernel_state : {"cold", "shipped", "cached"}
        Kernels compiled and tuned at this start, compiled ones shipped in the engine's image, or
        all kept from an earlier start.
    capture_sizes : int, optional
        CUDA graphs captured; 0 for none, the engine's own number if None.
    warmed_up : bool
        False if the engine serves its first request without a warm-up of its own.
    engine_init_factor, compile_factor, capture_factor : float, optional
        Factors over the fast bare-metal host; those of the host's row if None.
    fetch_workers : int
        Machines that each fetch a part of the weights (pipeline-parallel fetch).
    fetch_overlaps_init : bool
        The fetch starts together with the engine instead of after it.
    restore : str, optional
        Row of data/restores.csv: how the platform restores a GPU snapshot, if it is known.
    fail_share : float
        Share of starts that fail and are tried again [1]; 0 unless told, for nobody publishes it.
    late_share, late_s : float
        Share of starts that wait for a scarce GPU [1], and how long they wait [s].
    correlation : float
        Correlation of pull and fetch between one start and the next [1].
    platform_basis, platform_source_id : str
        How ``allocate_s`` and the pull came about, and their row of data/sources.csv.
    assumed : tuple of str
        Sentences about what was assumed, carried to the result.
    """

    checkpoint_gb: float
    layers: int
    active_share: float = 1.0
    architecture: str = "dense"
    precision: str = "bf16"
    gpus: int = 1
    gpu_family: str
    bandwidth_gb_per_s: float
    pcie_gb_per_s: float
    engine: str
    host: str
    storage: str
    loader: str
    readers: int | None = None
    storage_gb_per_s: float | None = None
    host_memory_gb: float | None = None
    disk: str | None = None
    detect_s: float = 0.0
    allocate_s: float | None
    allocate_spread: float | None = None
    image_gb: float
    image_state: str = "registry"
    pull_s: float | None = None
    pull_gb_per_s: float | None = None
    pull_overlaps_fetch: bool = False
    weights_in_image: bool = False
    compile_state: str = "cold"
    kernel_state: str = "cold"
    capture_sizes: int | None = None
    warmed_up: bool = True
    engine_init_factor: float | None = None
    compile_factor: float | None = None
    capture_factor: float | None = None
    fetch_workers: int = 1
    fetch_overlaps_init: bool = False
    restore: str | None = None
    fail_share: float = 0.0
    late_share: float = 0.0
    late_s: float = 0.0
    correlation: float = 0.0
    platform_basis: str = "assumed"
    platform_source_id: str | None = None
    assumed: tuple[str, ...] = ()

    @property
    def step_gb(self) -> float:
        """Bytes of weights that one GPU reads in a decode step of one token [GB]."""
        return self.checkpoint_gb * self.active_share / self.gpus

    @property
    def weights_gib(self) -> float:
        """The checkpoint [GiB]."""
        return self.checkpoint_gb * BYTES_PER_GB / BYTES_PER_GIB

    def weights_stay(self, tables: Tables) -> bool:
        """Whether loading leaves the weights in host memory: through the page cache it does."""
        return look_up(tables.loaders, self.loader, "loader").leaves_weights

    def predict(self, tables: Tables) -> ColdStart:
        """Return the start these inputs predict.

        Raises
        ------
        InputError
            If an input is out of range or a name unknown, if the loader does not read the
            storage, or if no rate is known: a rate is asked for, never made up.

        Notes
        -----
        Medians, with ``h`` the host's factors, ``L`` layers and ``W`` the bytes a GPU reads in a
        step: ``engine_init = h_e e``; ``compile = h_c (c L + c0)``, cold or cached;
        ``kv_cache = h_e (k0 + k1 L + k2 W) + kernels``;
        ``graph_capture = h_g (g0 + g1 L + g2 n W / bandwidth) n' / n``, times the engine's factor
        for a mixture of experts. Weights: `_weights`; pull: `_pull`.
        """
        self._check()
        stages = {
            stage.name: stage
            for stage in (
                self._allocate(tables),
                self._pull(tables),
                self._plain("boot", "boot_s", tables),
                *self._weights(tables),
                *self._engine(tables),
                self._other(tables),
            )
        }
        return ColdStart(
            tuple(stages[name] for name in STAGES),
            self._overlaps(tables),
            assumed=self.assumed,
            risk=self._risk(tables),
        )

    def read_gb_per_s(self, tables: Tables) -> float | None:
        """Return the rate at which the weights are read [GB/s]; None if they are in memory.

        The least of what the storage gives and what the loader takes, both for all ranks.

        Raises
        ------
        InputError
            If the loader does not read this kind of storage, or no rate is known.
        """
        if self.storage_gb_per_s is not None:
            return self.storage_gb_per_s
        place = look_up(tables.storage, self.storage, "storage")
        how = look_up(tables.loaders, self.loader, "loader")
        return read_gb_per_s(place, how, self.readers, self.gpus)

    def kernels(self, tables: Tables) -> Kernels:
        """Return the row of data/kernels.csv for this engine, model and GPU."""
        return kernels_of(self.engine, self.architecture, self.precision, self.gpu_family, tables)

    def _check(self) -> None:
        for name in (
            *("checkpoint_gb", "layers", "active_share", "gpus", "fetch_workers", "readers"),
            *("bandwidth_gb_per_s", "pcie_gb_per_s", "storage_gb_per_s", "pull_gb_per_s"),
            *("engine_init_factor", "compile_factor", "capture_factor", "host_memory_gb"),
        ):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise InputError(f"{name} must be above 0, got {value!r}")
        for name in ("detect_s", "allocate_s", "pull_s", "image_gb", "late_s"):
            if getattr(self, name) is not None:
                check_seconds(name, (getattr(self, name),))
        for name, choices in (
            ("image_state", IMAGE_STATES),
            ("compile_state", COMPILE_STATES),
            ("kernel_state", KERNEL_STATES),
        ):
            if getattr(self, name) not in choices:
                raise InputError(
                    f"{name} must be one of {', '.join(choices)}, got '{getattr(self, name)}'"
                )
        if self.active_share > 1:
            raise InputError(f"active_share must be at most 1, got {self.active_share!r}")
        if self.capture_sizes is not None and not self.capture_sizes >= 0:
            raise InputError(f"capture_sizes must be at least 0, got {self.capture_sizes!r}")
        if self.weights_in_image and self.image_state == "streamed":
            raise InputError(
                "No rate is known for weights inside an image that is streamed. Say where the "
                "weights are instead, or that the image is pulled whole or already on the node."
            )

    def _risk(self, tables: Tables) -> StartRisk:
        return StartRisk(
            fail_share=self.fail_share,
            failed_part=tables.coefficient("failed_start_part"),
            late_share=self.late_share,
            late_s=self.late_s,
            late_spread=tables.coefficient("spread_allocate"),
            correlation=self.correlation,
        )

    def _told_by(self) -> tuple[str, ...]:
        return (self.platform_source_id,) if self.platform_source_id else ()

    def _allocate(self, tables: Tables) -> Stage:
        spread = self.allocate_spread or tables.coefficient("spread_allocate")
        told = self.platform_basis, self._told_by()
        if self.allocate_s is None:
            return Stage("allocate", None, spread, *told, note="not measured")
        note = f"scaler {self.detect_s:g} s, GPU {self.allocate_s:g} s"
        return Stage("allocate", self.detect_s + self.allocate_s, spread, *told, note=note)

    def _pull(self, tables: Tables) -> Stage:
        """Return the pull: bytes over the registry's rate, and again over that of unpacking.

        Weights baked into the image are unpacked like the rest, at a rate measured with their
        transfer.
        """
        spread = tables.coefficient("spread_pull")
        if self.image_state == "cached":
            return Stage("pull", 0.0, 1.0, "derived", note="image already on the node")
        if self.pull_s is not None:
            told = self.platform_basis, self._told_by()
            return Stage("pull", self.pull_s, spread, *told, note="as given for the platform")
        if self.image_state == "streamed":
            row = tables.coefficients["streamed_pull_s"]
            told = row.basis, (row.source_id,)
            return Stage("pull", row.value, spread, *told, note="streamed lazily")
        moved, unpacked = (
            tables.coefficients[name] for name in ("registry_gb_per_s", "unpack_gb_per_s")
        )
        if self.pull_gb_per_s is not None:
            seconds = self.image_gb / self.pull_gb_per_s
            basis, sources = self.platform_basis, self._told_by()
            note = f"{self.image_gb:g} GB at {self.pull_gb_per_s:.3g} GB/s, unpacking included"
        else:
            seconds = self.image_gb / moved.value + self.image_gb / unpacked.value
            basis, sources = moved.basis, (moved.source_id,)
            note = (
                f"{self.image_gb:g} GB at {moved.value:.3g} GB/s, "
                f"unpacked at {unpacked.value:.3g} GB/s"
            )
        if self.weights_in_image:
            seconds += self.checkpoint_gb / unpacked.value
            sources = tuple(dict.fromkeys((*sources, unpacked.source_id)))
            note += f", {self.checkpoint_gb:.4g} GB of weights in the image"
        return Stage("pull", seconds, spread, basis, sources, note=note)

    def _weights(self, tables: Tables) -> tuple[Stage, Stage]:
        """Return fetch and load: bytes over the slowest link.

        Downloading and then loading adds up; the other ways copy early tensors while later ones
        arrive, so that the longer of the two counts (`_overlaps`). Every GPU copies its part, up
        to what the node's PCIe gives all of them together; fetching workers divide the read.
        """
        machine = look_up(tables.hosts, self.host, "host")
        place = look_up(tables.storage, self.storage, "storage")
        how = look_up(tables.loaders, self.loader, "loader")
        rate = self.read_gb_per_s(tables)
        pinned = tables.coefficient("pcie_efficiency") * self.pcie_gb_per_s
        copy = min(machine.copy_gb_per_s, pinned) if how.leaves_weights else pinned
        together = min(copy * self.gpus, tables.coefficient("node_pcie_gb_per_s"))
        note = f"{self.checkpoint_gb:.4g} GB to {self.gpus} GPU(s) at {together:.3g} GB/s"
        sources = [machine.source_id, how.source_id]
        disk = self._read_again_from(how, tables)
        if disk is not None:
            again = mmap_gb_per_s(disk, self.gpus)
            if again < together:
                together = again
                note += f", read again from {disk.label} at {again:.3g} GB/s: memory is too small"
                sources.append(disk.source_id)
        load = Stage(
            "load",
            self.checkpoint_gb / (together * self.fetch_workers),
            tables.coefficient("spread_load"),
            "derived",
            tuple(sources),
            note=note,
        )
        told = place.source_id, how.source_id
        if rate is None:
            return Stage("fetch", 0.0, 1.0, "derived", told, note="already in host memory"), load
        slowed = tables.coefficient("fetch_contention") if self._pulls_beside() else 1.0
        rate *= self.fetch_workers / slowed
        fetch = Stage(
            "fetch",
            self.checkpoint_gb / rate,
            place.spread,
            place.basis if place.basis == "assumed" else "derived",
            told,
            note=f"{self.checkpoint_gb:.4g} GB from {place.label} at {rate:.3g} GB/s",
        )
        return fetch, load

    def _read_again_from(self, how: Loader, tables: Tables) -> Storage | None:
        """Return the disk from which a download is read again, if memory cannot keep it."""
        if how.mode != "download" or self.host_memory_gb is None:
            return None
        if self.checkpoint_gb <= tables.coefficient("page_cache_share") * self.host_memory_gb:
            return None
        if self.disk is None:
            raise InputError(
                f"{self.checkpoint_gb:.4g} GB of weights do not stay in {self.host_memory_gb:.4g} "
                "GB of host memory: name the disk they are downloaded to (disk)."
            )
        return look_up(tables.storage, self.disk, "storage")

    def _engine(self, tables: Tables) -> tuple[Stage, ...]:
        number = tables.coefficient
        machine = look_up(tables.hosts, self.host, "host")
        engine = look_up(tables.engines, self.engine, "engine")
        start_f = self.engine_init_factor or machine.engine_init_factor
        compile_f = self.compile_factor or machine.compile_factor
        capture_f = self.capture_factor or machine.capture_factor
        own = self.engine_init_factor or self.compile_factor or self.capture_factor
        basis = "derived" if own or machine.basis != "assumed" else "assumed"

        def stage(name: str, median_s: float, spread: float, fit: str, note: str) -> Stage:
            sources = (tables.coefficients[fit].source_id, machine.source_id)
            return Stage(name, median_s, spread, basis, tuple(dict.fromkeys(sources)), note=note)

        init_s = number("engine_init_s")
        if self.gpus > 1:
            init_s += number("engine_init_workers_s")
        warm = "cold" if self.compile_state == "cold" else "cached"
        compile_s = 0.0
        if self.compile_state != "none":
            compile_s = number(f"compile_{warm}_per_layer_s") * self.layers
            compile_s += number(f"compile_{warm}_s")
        profile_s = number("kv_profile_s") + number("kv_profile_per_layer_s") * self.layers
        profile_s += number("kv_profile_per_gb_s") * self.step_gb
        if warm == "cached":
            profile_s *= number("kv_profile_cached_share")
        usual = engine.capture_sizes
        sizes = usual if self.capture_sizes is None else self.capture_sizes
        # Layers are walked once a size as well: the whole law is for the sizes it was fitted on.
        capture_s = number("capture_s") + number("capture_per_layer_s") * self.layers
        reads_s = number("fitted_capture_sizes") * self.step_gb / self.bandwidth_gb_per_s
        capture_s += number("capture_per_read_s") * reads_s
        capture_s *= sizes / number("fitted_capture_sizes")
        if self.architecture == "moe":
            capture_s *= engine.moe_capture_factor
        profile = stage(
            "kv_cache",
            start_f * profile_s,
            number("spread_kv_cache"),
            "kv_profile_s",
            f"memory profiling × host {start_f:g}",
        )
        return (
            stage(
                "engine_init",
                start_f * init_s,
                machine.spread,
                "engine_init_s",
                f"bare metal {init_s:.3g} s × host {start_f:g}",
            ),
            stage(
                "compile",
                compile_f * compile_s,
                number("spread_compile"),
                "compile_cold_per_layer_s",
                "not used"
                if self.compile_state == "none"
                else f"{self.layers} layers, {self.compile_state} × host {compile_f:g}",
            ),
            self._with_kernels(profile, tables),
            stage(
                "graph_capture",
                capture_f * capture_s,
                number("spread_capture"),
                "capture_s",
                f"{sizes:g} sizes × host {capture_f:g}" if sizes else "not used",
            ),
        )

    def _with_kernels(self, profile: Stage, tables: Tables) -> Stage:
        """Return memory profiling with the kernels that its forward pass compiles and tunes."""
        row = self.kernels(tables)
        kernels_s = {"cold": row.seconds, "shipped": row.tuning_s, "cached": 0.0}[self.kernel_state]
        if not kernels_s:
            return profile
        return dataclasses.replace(
            profile,
            median_s=(profile.median_s or 0.0) + kernels_s,
            basis="assumed" if "assumed" in (row.basis, profile.basis) else profile.basis,
            source_ids=tuple(dict.fromkeys((*profile.source_ids, row.source_id))),
            parts=(("memory profiling", profile.median_s or 0.0), ("kernels", kernels_s)),
            note=f"{profile.note}, kernels compiled and tuned {kernels_s:g} s",
        )

    def _other(self, tables: Tables) -> Stage:
        plain = self._plain("other", "other_s", tables)
        first_s = 0.0 if self.warmed_up else tables.coefficient("first_request_jit_s")
        words = "API server and what no log names"
        return dataclasses.replace(
            plain,
            median_s=(plain.median_s or 0.0) + first_s,
            note=words if self.warmed_up else f"{words}, first-request kernels",
        )

    def _plain(self, name: str, coefficient: str, tables: Tables) -> Stage:
        row = tables.coefficients[coefficient]
        spread = tables.coefficient(f"spread_{name}")
        return Stage(name, row.value, spread, row.basis, (row.source_id,))

    def _pulls_beside(self) -> bool:
        return self.pull_overlaps_fetch and self.image_state == "registry"

    def _overlaps(self, tables: Tables) -> tuple[tuple[str, ...], ...]:
        together = []
        if look_up(tables.loaders, self.loader, "loader").mode != "download":
            together.append({"fetch", "load"})
        if self._pulls_beside():
            together.append({"pull", "fetch"})
        if self.fetch_overlaps_init:
            together.append({"engine_init", "fetch"})
        return merge_overlaps(together)


def start_inputs_for(
    platform: str,
    model: str,
    gpu: str,
    precision: str,
    *,
    gpus: int = 1,
    tables: Tables,
    **changes: Any,
) -> StartInputs:
    """Return the inputs of a start on a platform, with that platform's defaults.

    Parameters
    ----------
    platform : str
        A row of data/platforms.csv, or a provider of the price list that one stands for. Any
        other provider gets the row ``unknown``, and the result says so.
    model, gpu : str
        Rows of data/models.csv and data/gpus.csv.
    precision : {"bf16", "fp8", "int4", "fp4"}
        Precision of the checkpoint.
    gpus : int
        GPUs of the replica.
    **changes
        Any field of `StartInputs` in place of the platform's default.

    Raises
    ------
    InputError
        If a name is unknown, if there is no checkpoint in that precision, or if it is fp4 on a
        GPU without it; models whose own precision is fp4 run there unpacked.
    """
    row = platform_of(platform, tables)
    shape = look_up(tables.models, model, "model")
    card = tables.gpu(gpu)
    size_gb = getattr(shape, f"{precision}_gb", None)
    if size_gb is None:
        raise InputError(f"No {precision} checkpoint of {model} is known.")
    if precision == "fp4" != shape.native_precision and card.fp4_tflops is None:
        raise InputError(
            f"{model} in fp4 is not known to start on {gpu}, which has no FP4 arithmetic. Choose a "
            "GPU that has it, or another precision."
        )
    assumed = []
    if row.basis == "assumed":
        assumed.append(
            "The platform publishes no stage times"
            + ("" if row.platform == UNKNOWN_PLATFORM else f" ({row.label})")
            + ": host, storage and allocation are typical values. Measure one start and enter it."
        )
    inputs = StartInputs(
        checkpoint_gb=size_gb,
        layers=shape.layers,
        active_share=shape.active_params_b / shape.total_params_b,
        architecture=shape.architecture,
        precision=precision,
        gpus=gpus,
        gpu_family=card.family,
        bandwidth_gb_per_s=card.bandwidth_gb_per_s,
        pcie_gb_per_s=card.pcie_gb_per_s,
        engine=row.engine,
        host=row.host,
        storage=row.storage,
        loader=row.loader,
        detect_s=row.detect_s,
        allocate_s=row.allocate_s,
        allocate_spread=row.allocate_spread,
        image_gb=row.image_gb,
        image_state=row.image_state,
        pull_s=row.pull_s,
        pull_gb_per_s=row.pull_gb_per_s,
        pull_overlaps_fetch=row.pull_overlaps_fetch,
        compile_state=row.compile_state,
        kernel_state=row.kernel_state,
        restore=row.restore,
        platform_basis=row.basis,
        platform_source_id=row.source_id,
        assumed=tuple(assumed),
    )
    if changes.get("image_state", row.image_state) != row.image_state:
        # The platform's own time is for its own way of bringing the image.
        changes = {"pull_s": None, **changes}
    try:
        return dataclasses.replace(inputs, **changes)
    except TypeError as error:
        raise InputError(f"start_inputs_for: {error}") from None


def platform_of(name: str, tables: Tables) -> Platform:
    """Return the platform of that name or provider; the row ``unknown`` for any other."""
    for row in tables.platforms.values():
        if name == row.platform or name in row.providers:
            return row
    return tables.platforms[UNKNOWN_PLATFORM]
