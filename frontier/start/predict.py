"""A start predicted from what is known of model, machine, storage and platform.

What sets the times: weights are bytes over the slowest link; compilation grows with layers, not
parameters; the host sets engine start, compilation and capture, each by its own factor. Every
coefficient stands in data/coefficients.csv with its fit; rates, hosts and platforms in their
tables. Left out: failures and retries of a start, queueing for scarce GPUs, and contention
between replicas that start at once.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from frontier.errors import InputError
from frontier.start.stages import ColdStart, Stage, check_seconds, merge_overlaps
from frontier.tables import Host, Loader, Platform, Storage, Tables, look_up

COMPILE_STATES = ("cold", "cached", "none")
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
    params_b : float
        Parameters [1e9]; memory profiling and graph capture grow with them.
    layers : int
        Layers; compilation grows with them.
    pcie_gb_per_s : float
        Theoretical rate from host to one GPU [GB/s].
    host, storage, loader : str
        Rows of data/hosts.csv, data/storage.csv and data/loaders.csv.
    allocate_s : float or None
        From the request for a GPU until there is one [s]; None if nobody measured it.
    image_gb : float
        Container image as it is pulled [GB].
    architecture : {"dense", "moe"}
        A mixture of experts compiles kernels inside its first graph capture.
    gpus : int
        GPUs of the replica. They divide the copy to the GPUs, never the read from storage.
    capture_fit : {"large", "other"}
        Which fit of graph capture the GPU follows; data/gpus.csv says it of each.
    readers : int, optional
        Concurrent readers of a streaming loader; the loader's own number if None.
    storage_gb_per_s : float, optional
        Rate measured by the user for this storage and loader, instead of the table's [GB/s].
    detect_s : float
        Until the scaler notices that a replica is wanted [s].
    allocate_spread : float, optional
        One standard deviation of the allocation, as a factor.
    image_state : {"registry", "streamed", "cached"}
        Pulled whole, streamed lazily, or already on the node.
    pull_s : float, optional
        Image pull as measured, instead of bytes over the registry's rate [s].
    pull_overlaps_fetch : bool
        Image and weights come side by side and slow each other down.
    compile_state : {"cold", "cached", "none"}
        No compiled graphs kept, kept from an earlier start, or torch.compile not used.
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
    platform_basis, platform_source_id : str
        How ``allocate_s`` and ``pull_s`` came about, and their row of data/sources.csv.
    assumed : tuple of str
        Sentences about what was assumed, carried to the result.
    """

    checkpoint_gb: float
    params_b: float
    layers: int
    architecture: str = "dense"
    gpus: int = 1
    capture_fit: str
    pcie_gb_per_s: float
    host: str
    storage: str
    loader: str
    readers: int | None = None
    storage_gb_per_s: float | None = None
    detect_s: float = 0.0
    allocate_s: float | None
    allocate_spread: float | None = None
    image_gb: float
    image_state: str = "registry"
    pull_s: float | None = None
    pull_overlaps_fetch: bool = False
    compile_state: str = "cold"
    capture_sizes: int | None = None
    warmed_up: bool = True
    engine_init_factor: float | None = None
    compile_factor: float | None = None
    capture_factor: float | None = None
    fetch_workers: int = 1
    fetch_overlaps_init: bool = False
    platform_basis: str = "assumed"
    platform_source_id: str | None = None
    assumed: tuple[str, ...] = ()

    def predict(self, tables: Tables) -> ColdStart:
        """Return the start these inputs predict.

        Raises
        ------
        InputError
            If an input is out of range or a name unknown, or if the storage has no rate for the
            loader: a rate is asked for, never made up.

        Notes
        -----
        Medians, with ``h`` the host's factors, ``B`` parameters a GPU and ``L`` layers:
        ``engine_init = h_e e``; ``compile = h_c (d L + d0 + i L + i0)``, the ``i`` being those of a
        cold or of a cached start; ``kv_cache = h_e (k B + k0)``;
        ``graph_capture = h_g (g B + g0) n / 67``. Fits and their sources: data/coefficients.csv.
        Weights: see `_weights`.
        """
        number = tables.coefficient
        checked = {
            "checkpoint_gb": self.checkpoint_gb,
            "params_b": self.params_b,
            "layers": self.layers,
            "pcie_gb_per_s": self.pcie_gb_per_s,
            "gpus": self.gpus,
            "fetch_workers": self.fetch_workers,
            "readers": self.readers,
            "storage_gb_per_s": self.storage_gb_per_s,
            "engine_init_factor": self.engine_init_factor,
            "compile_factor": self.compile_factor,
            "capture_factor": self.capture_factor,
        }
        for name, value in checked.items():
            if value is not None and not (math.isfinite(value) and value > 0):
                raise InputError(f"{name} must be above 0, got {value!r}")
        check_seconds("detect_s", (self.detect_s,))
        for name, value in (
            ("allocate_s", self.allocate_s),
            ("pull_s", self.pull_s),
            ("image_gb", self.image_gb),
        ):
            if value is not None:
                check_seconds(name, (value,))
        _check_choice("image_state", self.image_state, IMAGE_STATES)
        _check_choice("compile_state", self.compile_state, COMPILE_STATES)
        sizes = number("capture_sizes") if self.capture_sizes is None else self.capture_sizes
        if not sizes >= 0:
            raise InputError(f"capture_sizes must be at least 0, got {self.capture_sizes!r}")
        machine = look_up(tables.hosts, self.host, "host")
        place = look_up(tables.storage, self.storage, "storage")
        how = look_up(tables.loaders, self.loader, "loader")
        factors = {
            "engine_init": self.engine_init_factor or machine.engine_init_factor,
            "compile": self.compile_factor or machine.compile_factor,
            "capture": self.capture_factor or machine.capture_factor,
        }
        given = self.engine_init_factor or self.compile_factor or self.capture_factor
        basis = "derived" if given or machine.basis != "assumed" else "assumed"

        def stage(name: str, median_s: float, spread: float, fit: str, note: str) -> Stage:
            sources = (tables.coefficients[fit].source_id, machine.source_id)
            return Stage(name, median_s, spread, basis, tuple(dict.fromkeys(sources)), note=note)

        side_by_side = self.pull_overlaps_fetch and self.image_state == "registry"
        told_by = (self.platform_source_id,) if self.platform_source_id else ()
        pull = _pull(
            self.image_gb, self.image_state, self.pull_s, (self.platform_basis, told_by), tables
        )
        fetch, load, overlap = _weights(
            checkpoint_gb=self.checkpoint_gb,
            gpus=self.gpus,
            pcie_gb_per_s=self.pcie_gb_per_s,
            machine=machine,
            place=place,
            how=how,
            readers=self.readers,
            rate_gb_per_s=self.storage_gb_per_s,
            slowed=number("fetch_contention") if side_by_side else 1.0,
            workers=self.fetch_workers,
            tables=tables,
        )
        per_gpu_b = self.params_b / self.gpus
        warm = "cold" if self.compile_state == "cold" else "cached"
        init_s = number("engine_init_s") + (
            number("engine_init_workers_s") if self.gpus > 1 else 0.0
        )
        compile_s = 0.0
        if self.compile_state != "none":
            compile_s = (
                (number("dynamo_per_layer_s") + number(f"inductor_{warm}_per_layer_s"))
                * self.layers
                + number("dynamo_s")
                + number(f"inductor_{warm}_s")
            )
        fit = f"capture_{self.capture_fit}"
        capture_s = number(f"{fit}_per_b_s") * per_gpu_b + number(f"{fit}_s")
        capture_s *= sizes / number("capture_sizes")
        if self.architecture == "moe" and self.compile_state == "cold" and sizes:
            capture_s += number("capture_moe_jit_s")
        allocated = None if self.allocate_s is None else self.detect_s + self.allocate_s
        stages = (
            Stage(
                "allocate",
                allocated,
                self.allocate_spread or number("spread_allocate"),
                self.platform_basis,
                told_by,
                note="not measured"
                if self.allocate_s is None
                else f"scaler {self.detect_s:g} s, GPU {self.allocate_s:g} s",
            ),
            pull,
            Stage(
                "boot",
                number("boot_s"),
                number("spread_boot"),
                tables.coefficients["boot_s"].basis,
                (tables.coefficients["boot_s"].source_id,),
            ),
            stage(
                "engine_init",
                factors["engine_init"] * init_s,
                machine.spread,
                "engine_init_s",
                f"bare metal {init_s:.3g} s × host {factors['engine_init']:g}",
            ),
            fetch,
            load,
            stage(
                "compile",
                factors["compile"] * compile_s,
                number("spread_compile"),
                "dynamo_per_layer_s",
                "not used"
                if self.compile_state == "none"
                else f"{self.layers} layers, {self.compile_state} × host {factors['compile']:g}",
            ),
            stage(
                "kv_cache",
                factors["engine_init"]
                * (
                    number(f"kv_profile_{warm}_per_b_s") * per_gpu_b
                    + number(f"kv_profile_{warm}_s")
                ),
                number("spread_kv_cache"),
                "kv_profile_cached_s",
                f"memory profiling × host {factors['engine_init']:g}",
            ),
            stage(
                "graph_capture",
                factors["capture"] * capture_s,
                number("spread_capture"),
                "capture_large_s",
                f"{sizes:g} sizes × host {factors['capture']:g}" if sizes else "not used",
            ),
            Stage(
                "other",
                number("other_s") + (0.0 if self.warmed_up else number("first_request_jit_s")),
                number("spread_other"),
                "derived",
                (tables.coefficients["other_s"].source_id,),
                note="API server and what no log names"
                + ("" if self.warmed_up else ", first-request kernels"),
            ),
        )
        together = [set(overlap)] if overlap else []
        if side_by_side:
            together.append({"pull", "fetch"})
        if self.fetch_overlaps_init:
            together.append({"engine_init", "fetch"})
        return ColdStart(stages, merge_overlaps(together), assumed=self.assumed)


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
        If a name is unknown, or there is no checkpoint in that precision.
    """
    row = platform_of(platform, tables)
    shape = look_up(tables.models, model, "model")
    card = tables.gpu(gpu)
    size_gb = getattr(shape, f"{precision}_gb", None)
    if size_gb is None:
        raise InputError(f"No {precision} checkpoint of {model} is known.")
    assumed = []
    if row.basis == "assumed":
        assumed.append(
            "The platform publishes no stage times"
            + ("" if row.platform == UNKNOWN_PLATFORM else f" ({row.label})")
            + ": host, storage and allocation are typical values. Measure one start and enter it."
        )
    inputs = StartInputs(
        checkpoint_gb=size_gb,
        params_b=shape.total_params_b,
        layers=shape.layers,
        architecture=shape.architecture,
        gpus=gpus,
        capture_fit=card.capture_fit,
        pcie_gb_per_s=card.pcie_gb_per_s,
        host=row.host,
        storage=row.storage,
        loader=row.loader,
        detect_s=row.detect_s,
        allocate_s=row.allocate_s,
        allocate_spread=row.allocate_spread,
        image_gb=row.image_gb,
        image_state=row.image_state,
        pull_s=row.pull_s,
        pull_overlaps_fetch=row.pull_overlaps_fetch,
        compile_state=row.compile_state,
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


def _pull(
    image_gb: float,
    state: str,
    pull_s: float | None,
    told: tuple[str, tuple[str, ...]],
    tables: Tables,
) -> Stage:
    spread = tables.coefficient("spread_pull")
    if state == "cached":
        return Stage("pull", 0.0, 1.0, "derived", note="image already on the node")
    if pull_s is not None:
        return Stage("pull", pull_s, spread, *told, note="as given for the platform")
    if state == "streamed":
        row = tables.coefficients["streamed_pull_s"]
        return Stage("pull", row.value, spread, row.basis, (row.source_id,), note="streamed lazily")
    row = tables.coefficients["registry_gb_per_s"]
    note = f"{image_gb:g} GB at {row.value:g} GB/s"
    return Stage("pull", image_gb / row.value, spread, row.basis, (row.source_id,), note=note)


def _weights(
    *,
    checkpoint_gb: float,
    gpus: int,
    pcie_gb_per_s: float,
    machine: Host,
    place: Storage,
    how: Loader,
    readers: int | None,
    rate_gb_per_s: float | None,
    slowed: float,
    workers: int,
    tables: Tables,
) -> tuple[Stage, Stage, tuple[str, ...]]:
    """Return fetch, load and the group in which they overlap: bytes over the slowest link.

    Downloading and then loading adds up; a memory map, a streamer and a direct read copy early
    tensors while later ones arrive, so the longer of the two counts. A streamer reaches
    ``efficiency min(cap, readers × rate of one)``. GPUs divide the copy and not the read;
    fetching workers divide the read.
    """
    pinned = tables.coefficient("pcie_efficiency") * pcie_gb_per_s
    copy = min(machine.copy_gb_per_s, pinned) if how.mode in ("download", "mmap") else pinned
    rate = rate_gb_per_s or _storage_rate(place, how, readers, gpus)
    sources = (place.source_id, how.source_id)
    basis = place.basis if place.basis == "assumed" else "derived"
    if rate is None:
        fetch = Stage("fetch", 0.0, 1.0, "derived", sources, note="already in host memory")
    else:
        seconds = checkpoint_gb / rate * slowed / workers
        note = f"{checkpoint_gb:.4g} GB from {place.label} at {rate * workers / slowed:.3g} GB/s"
        fetch = Stage("fetch", seconds, place.spread, basis, sources, note=note)
    load = Stage(
        "load",
        checkpoint_gb / (copy * gpus * workers),
        tables.coefficient("spread_load"),
        "derived",
        (machine.source_id, how.source_id),
        note=f"{checkpoint_gb:.4g} GB to {gpus * workers} GPU(s) at {copy:.3g} GB/s each",
    )
    return fetch, load, () if how.mode == "download" else ("fetch", "load")


def _storage_rate(place: Storage, how: Loader, readers: int | None, gpus: int) -> float | None:
    """Return the rate at which a loader reads from a storage [GB/s]; None if it need not read.

    Raises
    ------
    InputError
        If the loader does not work on this kind of storage, or no rate is known.
    """
    missing = InputError(
        f"No rate is known for {how.label} from {place.label}. Choose another loader or storage, "
        "or give storage_gb_per_s as you measured it."
    )
    if how.mode == "download":
        if place.kind != "remote":
            raise InputError(
                f"{place.label} is not remote: nothing to download. Use the loader mmap."
            )
        if place.download_gb_per_s is None:
            raise missing
        return place.download_gb_per_s
    if place.kind == "memory" and how.mode == "mmap":
        return None
    if how.mode == "mmap":
        if place.mmap_gb_per_s is None:
            raise missing
        return place.mmap_gb_per_s
    if how.mode == "direct" and place.kind != "disk":
        raise InputError(f"{how.label} reads a local disk, and {place.label} is not one.")
    if place.cap_gb_per_s is None:
        raise missing
    limits = [place.cap_gb_per_s]
    if place.reader_gb_per_s is not None:
        limits.append((readers or how.readers) * place.reader_gb_per_s)
    if place.kind == "remote" and how.remote_cap_gb_per_s is not None:
        limits.append(how.remote_cap_gb_per_s)
    if how.per_gpu_cap_gb_per_s is not None:
        limits.append(how.per_gpu_cap_gb_per_s * gpus)
    return min(limits) * (1.0 if place.kind == "memory" else how.efficiency)


def _check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise InputError(f"{name} must be one of {', '.join(choices)}, got '{value}'")
