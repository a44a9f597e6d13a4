"""A cold start, stage by stage: from the decision to start a replica until it can take a request.

Ten stages, always in this order and with these names: `allocate` (the scaler notices, a GPU is
found), `pull` (container image), `boot`, `engine_init` (imports and CUDA context), `fetch`
(weights from storage to the host), `load` (host to GPU memory), `compile`, `kv_cache` (memory
profiling), `graph_capture` and `other` (API server, unlogged rest, first-request kernels). Each
has a median, a spread and a basis, or measured runs in their place; stages may overlap. A stage
nobody measured is None and counts for nothing, and `ColdStart.unmeasured` names it.

What sets the times: weights are bytes over the slowest link; compilation grows with layers, not
parameters; the host sets engine start, compilation and capture, each by its own factor. Every
coefficient stands in data/coefficients.csv with its fit; rates, hosts and platforms in their
tables. Left out: failures and retries of a start, queueing for scarce GPUs, contention between
replicas that start at once, and correlation between stages: each is drawn on its own.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from frontier.errors import InputError, TableError
from frontier.tables import (
    Host,
    Loader,
    Model,
    Platform,
    StartCase,
    Storage,
    Tables,
    load_columns,
    load_tables,
    look_up,
    read_table,
)

STAGES = (
    "allocate",
    "pull",
    "boot",
    "engine_init",
    "fetch",
    "load",
    "compile",
    "kv_cache",
    "graph_capture",
    "other",
)
COMPILE_STATES = ("cold", "cached", "none")
IMAGE_STATES = ("registry", "streamed", "cached")
UNKNOWN_PLATFORM = "unknown"
_LARGE_FAMILIES = ("hopper", "blackwell")


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a start.

    Attributes
    ----------
    median_s : float or None
        Its median [s]; None if nobody measured it, 0 if it does not happen.
    spread : float
        Log-normal spread: one standard deviation as a factor (1 is none) [x/÷].
    basis : str
        measured, vendor-stated, paper, derived or assumed.
    source_ids : tuple of str
        Rows of data/sources.csv; empty for a value the user gave.
    runs_s : tuple of float
        Measured runs that replace median and spread [s].
    note : str
        What the number is made of, in words.
    """

    name: str
    median_s: float | None
    spread: float = 1.0
    basis: str = "derived"
    source_ids: tuple[str, ...] = ()
    runs_s: tuple[float, ...] = ()
    note: str = ""

    def __post_init__(self) -> None:
        if self.name not in STAGES:
            raise InputError(f"stage must be one of {', '.join(STAGES)}, got '{self.name}'")
        if self.median_s is not None:
            _check_seconds(f"stage {self.name}", (self.median_s,))
        if not (math.isfinite(self.spread) and self.spread >= 1):
            raise InputError(f"stage {self.name}: spread must be at least 1, got {self.spread!r}")

    def seconds(self, normals: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return a duration for each standard normal [s]; zeros if the stage is not measured.

        Runs are resampled: a normal picks the run of the same quantile, so that two plans that
        share their normals draw the same run.
        """
        if self.runs_s:
            from scipy.special import ndtr

            runs = np.sort(np.asarray(self.runs_s, dtype=np.float64))
            index = np.minimum((ndtr(normals) * runs.size).astype(np.intp), runs.size - 1)
            return runs[index]
        return (self.median_s or 0.0) * np.exp(math.log(self.spread) * normals)


@dataclass(frozen=True, slots=True, eq=False)
class StartDraws:
    """Drawn starts.

    Attributes
    ----------
    total_s : ndarray, shape (n,)
        Seconds from the decision to start until ready [s].
    stage_s : ndarray, shape (n, 10)
        Wall-clock seconds of each stage in the order of `STAGES` [s]; each row adds up to its
        total. Where stages overlap, a later one counts only as far as it outlasts the earlier.
    """

    total_s: npt.NDArray[np.float64]
    stage_s: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ColdStart:
    """A start: ten stages in order, and which of them run side by side.

    Attributes
    ----------
    stages : tuple of Stage
        All ten, in the order of `STAGES`.
    overlaps : tuple of tuple of str
        Groups of stages that start together; a group lasts as long as its longest stage.
    total_runs_s : tuple of float
        Measured whole starts [s]. They replace the total; the stages then only share it out.
    assumed : tuple of str
        Sentences for the screen: what was assumed about this start.
    """

    stages: tuple[Stage, ...]
    overlaps: tuple[tuple[str, ...], ...] = ()
    total_runs_s: tuple[float, ...] = ()
    assumed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if tuple(stage.name for stage in self.stages) != STAGES:
            raise InputError(f"a start needs the ten stages {', '.join(STAGES)}, in this order")
        grouped = [name for group in self.overlaps for name in group]
        if len(grouped) != len(set(grouped)) or not set(grouped) <= set(STAGES):
            raise InputError(f"a stage may be in one overlapping group only, got {self.overlaps}")

    def __getitem__(self, name: str) -> Stage:
        """Return the stage of that name."""
        return look_up({stage.name: stage for stage in self.stages}, name, "stage")

    @property
    def unmeasured(self) -> tuple[str, ...]:
        """Names of the stages nobody measured: the total does not contain them."""
        return tuple(stage.name for stage in self.stages if stage.median_s is None)

    @property
    def wall_s(self) -> dict[str, float]:
        """Median wall-clock seconds by stage [s]; they add up to `typical_s`."""
        medians = np.array([[stage.median_s or 0.0 for stage in self.stages]])
        wall = _share_out(medians, self.overlaps)[0]
        if self.total_runs_s:
            wall = _stretch(wall[None, :], np.array([statistics.median(self.total_runs_s)]))[0]
        return dict(zip(STAGES, wall.tolist(), strict=True))

    @property
    def typical_s(self) -> float:
        """Median seconds along the critical path [s]."""
        return float(sum(self.wall_s.values()))

    def draw(self, normals: npt.NDArray[np.float64]) -> StartDraws:
        """Return one start for each row of standard normals.

        Parameters
        ----------
        normals : ndarray, shape (n, 10)
            One column a stage. Plans that share this array differ by plan and not by luck.

        Raises
        ------
        InputError
            If the array has another shape.
        """
        normals = np.asarray(normals, dtype=np.float64)
        if normals.ndim != 2 or normals.shape[1] != len(STAGES):
            raise InputError(f"normals must have the shape (n, {len(STAGES)}), got {normals.shape}")
        drawn = np.column_stack(
            [stage.seconds(normals[:, i]) for i, stage in enumerate(self.stages)]
        )
        stage_s = _share_out(drawn, self.overlaps)
        if self.total_runs_s:
            whole = Stage("other", 0.0, runs_s=self.total_runs_s)
            # The first column orders the runs, so that a shared array still picks alike.
            stage_s = _stretch(stage_s, whole.seconds(normals[:, 0]))
        total_s = stage_s.sum(axis=1)
        total_s.setflags(write=False)
        stage_s.setflags(write=False)
        return StartDraws(total_s, stage_s)

    def replace(self, name: str, **changes: Any) -> ColdStart:
        """Return the start with fields of one stage replaced."""
        changed = dataclasses.replace(self[name], **changes)
        return dataclasses.replace(
            self, stages=tuple(changed if s.name == name else s for s in self.stages)
        )

    def with_measured(self, stage: str, seconds: float | Iterable[float]) -> ColdStart:
        """Return the start with one stage as the user measured it.

        Parameters
        ----------
        stage : str
            Name of the stage, or ``total`` for whole starts, which the stages then share out.
        seconds : float or iterable of float
            One value, about which the stage keeps its spread (one run says nothing of it), or
            several runs that are resampled as they are, peaks and all [s].

        Raises
        ------
        InputError
            If there is no such stage, no run, or a run that is not a finite time of at least 0 s.
        """
        runs = tuple(float(x) for x in (seconds if isinstance(seconds, Iterable) else (seconds,)))
        _check_seconds(f"measured {stage}", runs)
        if stage == "total":
            if min(runs) <= 0:
                raise InputError(f"measured total: a start lasts more than 0 s, got {min(runs):g}")
            return dataclasses.replace(self, total_runs_s=runs)
        return self.replace(
            stage,
            median_s=statistics.median(runs),
            basis="measured",
            source_ids=(),
            runs_s=runs if len(runs) > 1 else (),
            note=f"measured, {len(runs)} runs" if len(runs) > 1 else "measured once, usual spread",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StartInputs:
    """What `predict_start` was told, kept so that a mitigation can change it and predict anew.

    The fields are the arguments of `predict_start`, which describes them.
    """

    checkpoint_gb: float
    params_b: float
    layers: int
    architecture: str = "dense"
    gpus: int = 1
    gpu_family: str = "other"
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

    def predict(self, tables: Tables | None = None) -> ColdStart:
        """Return the start these inputs predict."""
        told = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        return predict_start(**told, tables=tables)


def predict_start(
    *,
    checkpoint_gb: float,
    params_b: float,
    layers: int,
    pcie_gb_per_s: float,
    host: str,
    storage: str,
    loader: str,
    allocate_s: float | None,
    image_gb: float,
    architecture: str = "dense",
    gpus: int = 1,
    gpu_family: str = "other",
    readers: int | None = None,
    storage_gb_per_s: float | None = None,
    detect_s: float = 0.0,
    allocate_spread: float | None = None,
    image_state: str = "registry",
    pull_s: float | None = None,
    pull_overlaps_fetch: bool = False,
    compile_state: str = "cold",
    capture_sizes: int | None = None,
    warmed_up: bool = True,
    engine_init_factor: float | None = None,
    compile_factor: float | None = None,
    capture_factor: float | None = None,
    fetch_workers: int = 1,
    fetch_overlaps_init: bool = False,
    platform_basis: str = "assumed",
    platform_source_id: str | None = None,
    assumed: tuple[str, ...] = (),
    tables: Tables | None = None,
) -> ColdStart:
    """Predict a start from plain inputs.

    Parameters
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
    gpu_family : str
        ``hopper`` and ``blackwell`` capture graphs at another rate than the rest.
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
    tables : Tables, optional
        The tables to use; those of data/ if None.

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
    tables = tables or load_tables()
    number = tables.coefficient
    checked = {
        "checkpoint_gb": checkpoint_gb,
        "params_b": params_b,
        "layers": layers,
        "pcie_gb_per_s": pcie_gb_per_s,
        "gpus": gpus,
        "fetch_workers": fetch_workers,
        "readers": readers,
        "storage_gb_per_s": storage_gb_per_s,
        "engine_init_factor": engine_init_factor,
        "compile_factor": compile_factor,
        "capture_factor": capture_factor,
    }
    for name, value in checked.items():
        if value is not None and not (math.isfinite(value) and value > 0):
            raise InputError(f"{name} must be above 0, got {value!r}")
    _check_seconds("detect_s", (detect_s,))
    for name, value in (("allocate_s", allocate_s), ("pull_s", pull_s), ("image_gb", image_gb)):
        if value is not None:
            _check_seconds(name, (value,))
    _check_choice("image_state", image_state, IMAGE_STATES)
    _check_choice("compile_state", compile_state, COMPILE_STATES)
    sizes = number("capture_sizes") if capture_sizes is None else capture_sizes
    if not sizes >= 0:
        raise InputError(f"capture_sizes must be at least 0, got {capture_sizes!r}")
    machine = look_up(tables.hosts, host, "host")
    place = look_up(tables.storage, storage, "storage")
    how = look_up(tables.loaders, loader, "loader")
    factors = {
        "engine_init": engine_init_factor or machine.engine_init_factor,
        "compile": compile_factor or machine.compile_factor,
        "capture": capture_factor or machine.capture_factor,
    }
    given = engine_init_factor or compile_factor or capture_factor
    basis = "derived" if given or machine.basis != "assumed" else "assumed"

    def stage(name: str, median_s: float, spread: float, fit: str, note: str) -> Stage:
        sources = (tables.coefficients[fit].source_id, machine.source_id)
        return Stage(name, median_s, spread, basis, tuple(dict.fromkeys(sources)), note=note)

    side_by_side = pull_overlaps_fetch and image_state == "registry"
    told_by = (platform_source_id,) if platform_source_id else ()
    pull = _pull(image_gb, image_state, pull_s, (platform_basis, told_by), tables)
    fetch, load, overlap = _weights(
        checkpoint_gb=checkpoint_gb,
        gpus=gpus,
        pcie_gb_per_s=pcie_gb_per_s,
        machine=machine,
        place=place,
        how=how,
        readers=readers,
        rate_gb_per_s=storage_gb_per_s,
        slowed=number("fetch_contention") if side_by_side else 1.0,
        workers=fetch_workers,
        tables=tables,
    )
    per_gpu_b = params_b / gpus
    warm = "cold" if compile_state == "cold" else "cached"
    init_s = number("engine_init_s") + (number("engine_init_workers_s") if gpus > 1 else 0.0)
    compile_s = 0.0
    if compile_state != "none":
        compile_s = (
            (number("dynamo_per_layer_s") + number(f"inductor_{warm}_per_layer_s")) * layers
            + number("dynamo_s")
            + number(f"inductor_{warm}_s")
        )
    large = "large" if gpu_family in _LARGE_FAMILIES else "other"
    capture_s = number(f"capture_{large}_per_b_s") * per_gpu_b + number(f"capture_{large}_s")
    capture_s *= sizes / number("capture_sizes")
    if architecture == "moe" and compile_state == "cold" and sizes:
        capture_s += number("capture_moe_jit_s")
    allocated = None if allocate_s is None else detect_s + allocate_s
    stages = (
        Stage(
            "allocate",
            allocated,
            allocate_spread or number("spread_allocate"),
            platform_basis,
            told_by,
            note="not measured"
            if allocate_s is None
            else f"scaler {detect_s:g} s, GPU {allocate_s:g} s",
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
            if compile_state == "none"
            else f"{layers} layers, {compile_state} × host {factors['compile']:g}",
        ),
        stage(
            "kv_cache",
            factors["engine_init"]
            * (number(f"kv_profile_{warm}_per_b_s") * per_gpu_b + number(f"kv_profile_{warm}_s")),
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
            number("other_s") + (0.0 if warmed_up else number("first_request_jit_s")),
            number("spread_other"),
            "derived",
            (tables.coefficients["other_s"].source_id,),
            note="API server and what no log names"
            + ("" if warmed_up else ", first-request kernels"),
        ),
    )
    together = [set(overlap)] if overlap else []
    if side_by_side:
        together.append({"pull", "fetch"})
    if fetch_overlaps_init:
        together.append({"engine_init", "fetch"})
    return ColdStart(stages, _merge(together), assumed=assumed)


def start_inputs_for(
    platform: str,
    model: str,
    gpu: str,
    precision: str,
    *,
    gpus: int = 1,
    tables: Tables | None = None,
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
    tables = tables or load_tables()
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
        gpu_family=card.family,
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


def platform_of(name: str, tables: Tables | None = None) -> Platform:
    """Return the platform of that name or provider; the row ``unknown`` for any other."""
    tables = tables or load_tables()
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


def _merge(groups: Iterable[set[str]]) -> tuple[tuple[str, ...], ...]:
    """Return disjoint groups in the order of the stages: groups that share a stage are one."""
    merged: list[set[str]] = []
    for group in groups:
        touching = [other for other in merged if other & group]
        merged = [other for other in merged if not other & group]
        merged.append(set().union(group, *touching))
    ordered = (tuple(name for name in STAGES if name in group) for group in merged)
    return tuple(sorted(ordered, key=lambda group: STAGES.index(group[0])))


def _share_out(
    seconds: npt.NDArray[np.float64], overlaps: Sequence[tuple[str, ...]]
) -> npt.NDArray[np.float64]:
    """Return wall-clock seconds: in a group, a stage counts as far as it outlasts those before."""
    wall = seconds.copy()
    for group in overlaps:
        done = np.zeros(seconds.shape[0])
        for name in group:
            column = STAGES.index(name)
            wall[:, column] = np.maximum(seconds[:, column] - done, 0.0)
            done = np.maximum(done, seconds[:, column])
    return wall


def _stretch(
    stage_s: npt.NDArray[np.float64], total_s: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return the stages scaled so that each row adds up to its total; all in `other` if none."""
    sums = stage_s.sum(axis=1)
    shared = stage_s * np.divide(total_s, sums, out=np.zeros_like(sums), where=sums > 0)[:, None]
    shared[sums <= 0, STAGES.index("other")] = total_s[sums <= 0]
    return shared


def _check_seconds(name: str, values: Sequence[float]) -> None:
    if not values:
        raise InputError(f"{name}: expected at least one value, found none")
    for value in values:
        if not (math.isfinite(value) and value >= 0):
            raise InputError(f"{name}: expected a finite value of at least 0, found {value!r}")


def _check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise InputError(f"{name} must be one of {', '.join(choices)}, got '{value}'")


# Validation: published starts against the model ------------------------------------------------


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One published start beside its prediction.

    Attributes
    ----------
    measured_s, predicted_s : float
        Median of the measured starts, and the predicted one over the same stages [s].
    error : float
        Predicted over measured, less one [1].
    """

    case: StartCase
    measured_s: float
    predicted_s: float

    @property
    def error(self) -> float:
        """Return predicted over measured, less one [1]."""
        return self.predicted_s / self.measured_s - 1.0


def read_cases(path: Path | str) -> tuple[StartCase, ...]:
    """Return the starts of a CSV file that has the columns of data/validation_cases.csv.

    data/columns.csv describes the columns. A start is given by a platform, a model, a GPU and a
    precision, and by whatever is known better than the platform's defaults; ``measured_s`` holds
    one or more times joined by ``;``, counted from the stage ``start_at`` until ready.

    Raises
    ------
    TableError
        If the file, a column or a cell is not as described.
    """
    path = Path(path)
    rows = read_table("validation_cases", StartCase, load_columns(), path=path)
    for row in rows.values():
        _measured_s(row)
    return tuple(rows.values())


def validate_start(
    cases: Iterable[StartCase] | None = None, tables: Tables | None = None
) -> tuple[CaseResult, ...]:
    """Return each case with its prediction; the cases of data/validation_cases.csv if None.

    Raises
    ------
    InputError
        If a case names an unknown row, or leaves out what its model needs.
    """
    tables = tables or load_tables()
    cases = tables.validation_cases.values() if cases is None else cases
    results = []
    for case in cases:
        try:
            wall = _inputs_of(case, tables).predict(tables).wall_s
        except InputError as error:
            raise InputError(f"case {case.case_id}: {error}") from None
        first = STAGES.index(case.start_at)
        results.append(
            CaseResult(
                case, statistics.median(_measured_s(case)), sum(wall[s] for s in STAGES[first:])
            )
        )
    return tuple(results)


def validation_report(results: Sequence[CaseResult]) -> str:
    """Return the results as text: one line a case, then the median absolute error of each group."""
    width = max((len(result.case.case_id) for result in results), default=0)
    lines = [
        f"{r.case.case_id:<{width}}  {r.case.group:<12}  measured {r.measured_s:7.1f} s  "
        f"predicted {r.predicted_s:7.1f} s  {r.error:+7.1%}"
        for r in results
    ]
    lines += [
        f"{group}: median absolute error {error:.1%} over {count} cases, largest {largest:.1%}"
        for group, (error, largest, count) in median_errors(results).items()
    ]
    return "\n".join(lines)


def median_errors(results: Iterable[CaseResult]) -> dict[str, tuple[float, float, int]]:
    """Return by group the median and the largest absolute error [1] and the number of cases."""
    groups: dict[str, list[float]] = {}
    for result in results:
        groups.setdefault(result.case.group, []).append(abs(result.error))
    return {
        group: (statistics.median(errors), max(errors), len(errors))
        for group, errors in groups.items()
    }


def _measured_s(case: StartCase) -> tuple[float, ...]:
    try:
        seconds = tuple(float(text) for text in case.measured_s)
    except ValueError:
        raise TableError(
            f"case {case.case_id}, column measured_s: expected seconds joined by ;, "
            f"found '{';'.join(case.measured_s)}'"
        ) from None
    _check_seconds(f"case {case.case_id}, measured_s", seconds)
    if min(seconds) <= 0:
        raise TableError(f"case {case.case_id}, column measured_s: a start lasts more than 0 s")
    return seconds


def _inputs_of(case: StartCase, tables: Tables) -> StartInputs:
    known = {
        name: getattr(case, name)
        for name in (
            *("params_b", "layers", "architecture", "checkpoint_gb", "host", "storage", "loader"),
            *("readers", "compile_state", "capture_sizes", "image_state", "allocate_s"),
        )
        if getattr(case, name) is not None
    }
    look_up(tables.platforms, case.platform, "platform")
    model = case.model
    if model not in tables.models:
        missing = {"params_b", "layers", "architecture", "checkpoint_gb"} - set(known)
        if missing:
            raise InputError(
                f"{model} is not in models.csv, so the case must give {', '.join(sorted(missing))}"
            )
        # Any row serves: each figure that comes from it is replaced.
        model = next(n for n, row in tables.models.items() if _has(row, case.precision))
    return start_inputs_for(
        case.platform, model, case.gpu, case.precision, gpus=case.gpus, tables=tables, **known
    )


def _has(row: Model, precision: str) -> bool:
    return getattr(row, f"{precision}_gb") is not None
