"""The tables in data/: read, checked against data/columns.csv, and frozen.

Every number the product uses stands in a CSV file under data/. `load_tables` reads them all,
checks each cell against its description in columns.csv, and returns rows that are frozen and
know their source. A wrong cell is a `TableError` that names the file, the row (as a spreadsheet
numbers it, the header being row 1) and the column.

To add a table: a CSV file, its lines in columns.csv, a frozen dataclass here whose fields are
the columns, and a field of `Tables`. This module computes nothing: what the numbers mean is the
business of the modules above it.
"""

from __future__ import annotations

import csv
import dataclasses
import datetime as dt
import difflib
import functools
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from frontier.errors import InputError, TableError

OWN_SOURCE = "own-prices"
"""The source of what somebody typed or uploaded."""
YOURS = "yours"
"""Kind and basis of a price that somebody typed or uploaded."""

DATA_DIR = Path(__file__).resolve().parent.parent / "data"

Row = TypeVar("Row")

# How alike the first word of two models' names must be: a slip of the finger, no other name.
_SAME_WORD = 0.88


@dataclass(frozen=True, slots=True)
class Column:
    """One line of columns.csv: what a cell of that column may hold.

    ``type`` is one of text, number, integer, flag (yes/no), date (ISO), choice, list
    (texts joined by ";") and numbers (numbers joined by ";"). ``refers_to`` names the table
    whose key the cell must be.
    """

    table: str
    column: str
    type: str
    unit: str
    required: bool
    minimum: float | None
    maximum: float | None
    choices: tuple[str, ...]
    refers_to: str
    description: str

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and the largest number that a cell may hold, or raise a `TableError`."""
        return _bounds(self.minimum, self.maximum, f"columns.csv, {self.table}.{self.column}")


def _bounds(low: float | None, high: float | None, where: str) -> tuple[float, float]:
    if low is None or high is None:
        raise TableError(f"{where}: a least and a largest value are needed, found an empty cell")
    return low, high


@dataclass(frozen=True, slots=True)
class Source:
    """Where a number comes from, and of which kind it is."""

    source_id: str
    title: str
    url: str
    publisher: str
    published_on: str | None
    read_on: dt.date
    kind: str
    licence: str | None


@dataclass(frozen=True, slots=True)
class Setting:
    """A default of the product, or an assumption, that the user may change."""

    setting_id: str
    value: float
    low: float | None
    high: float | None
    unit: str
    basis: str
    source_id: str
    description: str

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and the largest value that may be chosen, or raise a `TableError`."""
        return _bounds(self.low, self.high, f"settings.csv, row {self.setting_id}")


@dataclass(frozen=True, slots=True)
class Release:
    """The day on which the numbers of data/ were given out, and how old a shown price may be.

    Tests hold prices to this day and not to the clock, so that a copy stays sound.
    """

    release_id: str
    released_on: dt.date
    featured_days: int
    basis: str
    source_id: str


@dataclass(frozen=True, slots=True)
class Gpu:
    """One kind of GPU."""

    gpu: str
    aliases: tuple[str, ...]
    vram_gb: float
    memory_gb: float
    bandwidth_gb_per_s: float
    bf16_tflops: float
    fp8_tflops: float | None
    fp4_tflops: float | None
    family: str
    pcie_gb_per_s: float
    nvlink: bool
    compute_capability: str
    basis: str
    source_id: str
    note: str | None


@dataclass(frozen=True, slots=True)
class Model:
    """One model: shape, sizes and cache.

    A layer is one of three kinds: its cache grows with the context (``full_attention_layers``,
    of which ``sparse_layers`` read only part of it), it holds a window of it
    (``window_layers``), or a state of constant size (``linear_layers``).
    """

    model: str
    repo: str
    family: str
    architecture: str
    total_params_b: float
    active_params_b: float
    layers: int
    hidden: int
    q_heads: int
    kv_heads: int
    attention_width: int
    full_attention_layers: int
    attention: str
    experts: int | None
    experts_per_token: int | None
    native_precision: str
    bf16_gb: float | None
    fp8_gb: float | None
    int4_gb: float | None
    fp4_gb: float | None
    lookup_gb: float
    kv_bytes_per_token: float
    context_per_entry: float
    sparse_layers: int
    sparse_top_tokens: int | None
    sparse_context_per_entry: float
    indexer_layers: int
    indexer_width: int
    indexer_bytes_per_token: float
    window_layers: int
    window_tokens: int | None
    window_kind: str | None
    window_width: int | None
    window_kv_heads: int | None
    window_bytes_per_token: float
    linear_layers: int
    state_bytes_per_sequence: float
    mtp_layers: int
    mtp_params_b: float
    max_context_tokens: int
    vocabulary: int
    licence: str | None
    basis: str
    source_id: str
    note: str | None


@dataclass(frozen=True, slots=True)
class ConfigDefault:
    """A field that configurations of one type of model may leave out."""

    default_id: str
    model_type: str
    field: str
    value: int
    basis: str
    source_id: str


@dataclass(frozen=True, slots=True)
class Coefficient:
    """One constant of the speed model or of the cold-start model."""

    id: str
    value: float
    low: float | None
    high: float | None
    unit: str
    basis: str
    source_id: str
    description: str


@dataclass(frozen=True, slots=True)
class Host:
    """A class of host, by how much slower it starts an engine than bare metal."""

    host: str
    label: str
    engine_init_factor: float
    compile_factor: float
    capture_factor: float
    copy_gb_per_s: float
    spread: float
    basis: str
    source_id: str
    description: str


@dataclass(frozen=True, slots=True)
class Storage:
    """A place where weights are kept, and the rates at which they are read."""

    storage: str
    label: str
    kind: str
    download_gb_per_s: float | None
    mmap_gb_per_s: float | None
    mmap_cap_gb_per_s: float | None
    reader_gb_per_s: float | None
    cap_gb_per_s: float | None
    spread: float
    basis: str
    source_id: str
    description: str


@dataclass(frozen=True, slots=True)
class Loader:
    """A way to bring weights from storage to the GPU."""

    loader: str
    label: str
    mode: str
    reads: tuple[str, ...]
    readers: int
    efficiency: float
    remote_cap_gb_per_s: float | None
    process_gb_per_s: float | None
    node_gb_per_s: float | None
    basis: str
    source_id: str
    description: str


@dataclass(frozen=True, slots=True)
class Engine:
    """A generation of the inference engine."""

    engine: str
    label: str
    capture_sizes: int
    moe_capture_factor: float
    basis: str
    source_id: str
    description: str


@dataclass(frozen=True, slots=True)
class Kernels:
    """What an engine's own kernels take to compile and tune when no cache has them."""

    kernels: str
    engines: tuple[str, ...]
    architectures: tuple[str, ...]
    precisions: tuple[str, ...]
    families: tuple[str, ...]
    seconds: float
    tuning_s: float
    basis: str
    source_id: str
    description: str


@dataclass(frozen=True, slots=True)
class Restore:
    """A way to restore a GPU snapshot, from container ready to engine ready."""

    restore: str
    label: str
    fixed_s: float
    gb_per_s: float
    artifact_fixed_gb: float
    artifact_per_weight_gb: float
    basis: str
    source_id: str
    description: str


@dataclass(frozen=True, slots=True)
class StartRiskPreset:
    """A share of starts that fail, and one that waits for a GPU, as somebody saw them."""

    preset: str
    label: str
    fail_share: float
    late_share: float
    late_s: float
    correlation: float
    basis: str
    source_id: str
    description: str


@dataclass(frozen=True, slots=True)
class Platform:
    """What a start on a platform is like unless the user says otherwise."""

    platform: str
    label: str
    providers: tuple[str, ...]
    detect_s: float
    allocate_s: float
    allocate_spread: float
    image_state: str
    pull_s: float | None
    pull_gb_per_s: float | None
    image_gb: float
    pull_overlaps_fetch: bool
    host: str
    storage: str
    loader: str
    engine: str
    compile_state: str
    kernel_state: str
    restore: str | None
    own_nodes: bool
    offers: tuple[str, ...]
    basis: str
    source_id: str
    description: str


@dataclass(frozen=True, slots=True)
class MitigationNumber:
    """One number of one mitigation."""

    id: str
    mitigation: str
    parameter: str
    value: float
    low: float | None
    high: float | None
    unit: str
    basis: str
    source_id: str
    description: str

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and the largest value that may be chosen, or raise a `TableError`."""
        return _bounds(self.low, self.high, f"mitigations.csv, row {self.id}")


@dataclass(frozen=True, slots=True)
class StageTiming:
    """One published measurement of a stage of a start."""

    timing_id: str
    software: str
    model: str
    params_b: float | None
    layers: int | None
    precision: str | None
    checkpoint_gb: float | None
    gpu: str | None
    storage: str | None
    mitigation: str | None
    stage: str
    seconds: float
    role: str
    basis: str
    source_id: str
    note: str | None


@dataclass(frozen=True, slots=True)
class ServingPoint:
    """One published measurement of the speed of a replica.

    ``kind`` says how it was loaded, and so what the figures mean: ``loop`` (a constant number of
    requests), ``burst`` (all at once, answered together; TTFT is the mean), ``batch`` (the
    seconds until the last of a burst is done) or ``throughput`` (a loop, of which the output
    tokens a second are known).
    """

    point_id: str
    model: str
    precision: str
    gpu: str
    gpus: int
    engine: str
    engine_generation: str
    kind: str
    concurrency: int
    prompt_tokens: int
    output_tokens: int
    kv_precision: str
    ttft_s: float | None
    tpot_s: float | None
    output_tokens_per_s: float | None
    elapsed_s: float | None
    use: str
    measured_on: str | None
    basis: str
    source_id: str
    note: str | None


@dataclass(frozen=True, slots=True)
class ServingStage:
    """One published run of a replica under a constant rate of requests."""

    stage_id: str
    model: str
    precision: str
    gpu: str
    gpus: int
    engine: str
    engine_generation: str
    rate_rps: float
    prompt_tokens: int
    new_prompt_tokens: int
    output_tokens: int
    ttft_median_s: float
    ttft_p99_s: float | None
    tpot_s: float
    use: str
    measured_on: str | None
    basis: str
    source_id: str
    note: str | None


@dataclass(frozen=True, slots=True)
class SimulationCase:
    """One published value of a queue that scales, from a formula or an experiment."""

    case_id: str
    label: str
    quantity: str
    value: float
    unit: str
    rate_rps: float
    service_s: float
    service_law: str
    min_replicas: int
    max_replicas: int
    concurrency: int
    cold_start_s: float
    cold_start_law: str
    idle_timeout_s: float
    basis: str
    source_id: str
    note: str | None


@dataclass(frozen=True, slots=True)
class StartCase:
    """One published start, end to end, and what is known about it; empty fields are defaults."""

    case_id: str
    group: str
    role: str | None
    measured_s: tuple[str, ...]
    start_at: str
    end_at: str | None
    platform: str
    model: str
    gpu: str
    precision: str
    gpus: int
    params_b: float | None
    active_params_b: float | None
    layers: int | None
    architecture: str | None
    checkpoint_gb: float | None
    engine: str | None
    host: str | None
    storage: str | None
    loader: str | None
    readers: int | None
    host_memory_gb: float | None
    disk: str | None
    compile_state: str | None
    kernel_state: str | None
    capture_sizes: int | None
    image_state: str | None
    allocate_s: float | None
    basis: str
    source_id: str
    timings: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Offer:
    """One price: a GPU of one product of one provider."""

    offer_id: str
    provider: str
    product: str
    kind: str
    gpu: str
    gpus_min: int
    gpus_max: int
    usd_per_gpu_h: float
    price_kind: str
    vcpus_per_gpu: float | None
    ram_gib_per_gpu: float | None
    usd_per_vcpu_s: float | None
    usd_per_gib_s: float | None
    region: str
    rules_id: str
    available: str
    featured: bool
    priced_on: dt.date
    basis: str
    source_id: str
    note: str | None


@dataclass(frozen=True, slots=True)
class InstanceType:
    """A family of instances, by what their names have in common."""

    instance_id: str
    provider: str
    names: tuple[str, ...]
    gpu: str | None
    basis: str
    source_id: str
    note: str | None


@dataclass(frozen=True, slots=True)
class GpuName:
    """Names that price lists use for a GPU, or for several where they leave open which."""

    name_id: str
    names: tuple[str, ...]
    catalogue: str | None
    gpus: tuple[str, ...]
    basis: str
    source_id: str
    note: str | None


@dataclass(frozen=True, slots=True)
class ProviderName:
    """Other names that people use for a provider."""

    provider_id: str
    provider: str
    names: tuple[str, ...]
    basis: str
    source_id: str


@dataclass(frozen=True, slots=True)
class ProviderRules:
    """How one product turns the seconds of a replica into a bill."""

    rules_id: str
    provider: str
    product: str
    behaviour_id: str
    bills_allocate: bool
    bills_pull: bool
    bills_boot: bool
    bills_engine_init: bool
    bills_fetch: bool
    bills_load: bool
    bills_compile: bool
    bills_kv_cache: bool
    bills_graph_capture: bool
    bills_other: bool
    bills_idle: bool
    idle_rate_factor: float
    increment_s: float
    minimum_s: float
    platform_fee_usd_month: float
    free_credit_usd_month: float
    request_fee_usd: float
    storage_usd_per_gb_month: float | None
    region_multiplier: float | None
    availability_multiplier: float | None
    assumed: tuple[str, ...]
    basis: str
    source_id: str
    note: str | None


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What one product does with replicas and requests, whatever it costs."""

    behaviour_id: str
    provider: str
    product: str
    platform_id: str
    idle_default_s: float | None
    idle_min_s: float | None
    idle_max_s: float | None
    scale_down_rule: str
    cold_request: str
    retry_s: float | None
    max_replicas_default: int | None
    max_replicas_hard: int | None
    max_gpus_hard: int | None
    assumed: tuple[str, ...]
    basis: str
    source_id: str
    note: str | None


@dataclass(frozen=True, slots=True)
class Descriptive:
    """A column of the prices and rules that changes no bill and no run."""

    column_id: str
    source_id: str
    description: str


@dataclass(frozen=True, slots=True)
class Commitment:
    """A discount for binding oneself."""

    commitment_id: str
    label: str
    provider: str | None
    discount: float
    term_months: int | None
    upfront_share: float | None
    basis: str
    source_id: str
    note: str | None


@dataclass(frozen=True, slots=True)
class Example:
    """A scenario that opens with a result, nothing uploaded."""

    example_id: str
    label: str
    model: str
    precision: str
    serverless_offer: str
    dedicated_offer: str
    preset: str
    requests_per_day: float
    days: int
    seed: int
    slo_p99_ttft_s: float
    source_id: str
    description: str


@dataclass(frozen=True, slots=True)
class Abandonment:
    """How many people leave when they wait for a first answer."""

    abandonment_id: str
    label: str
    shape: str
    grace_s: float | None
    scale_s: float | None
    exponent: float | None
    share_per_s: float | None
    most: float
    factors: tuple[str, ...]
    supported_s: float | None
    on_llm_users: bool
    basis: str
    source_id: str
    description: str


@dataclass(frozen=True, slots=True)
class Folklore:
    """A break-even utilisation as it is told, without a price."""

    folklore_id: str
    label: str
    utilisation_low: float
    utilisation_high: float
    basis: str
    source_id: str
    note: str | None


@dataclass(frozen=True, slots=True)
class TraceShape:
    """How the rate of requests goes up and down over a day and a week.

    ``weekday_levels`` and ``weekend_levels`` are 24 hourly rates over the mean of their kind of
    day, the weekend's empty where nobody measured it apart; ``weekend_level`` is the mean of a
    weekend day over that of a weekday.
    """

    shape: str
    label: str
    clock: str
    weekday_levels: tuple[float, ...]
    weekend_levels: tuple[float, ...]
    weekend_level: float
    basis: str
    source_id: str
    note: str | None


@dataclass(frozen=True, slots=True)
class TraceQuantiles:
    """A distribution by its published quantiles; `frontier.trace.generate` says how it is drawn."""

    distribution: str
    label: str
    unit: str
    probabilities: tuple[float, ...]
    values: tuple[float, ...]
    minimum: float | None
    maximum: float | None
    mean: float | None
    lower_slope: float | None
    basis: str
    source_id: str
    note: str | None


@dataclass(frozen=True, slots=True)
class TracePreset:
    """A kind of traffic that can be generated; see `frontier.trace.generate`."""

    preset: str
    label: str
    arrivals: str
    requests_per_day: float
    rate_basis: str
    session_cv: float
    shape: str
    noise_sigma: float
    on_share: float
    on_mean_s: float | None
    turns: str | None
    turn_gap_s: str | None
    prompt_tokens: str
    output_tokens: str
    prompt_output_spearman: float
    basis: str
    source_id: str
    description: str


@dataclass(frozen=True, slots=True)
class TracePublished:
    """One statistic of a published trace, or of a population of them.

    With ``share_at_most`` the row says which share of the population has that value or less.
    """

    published_id: str
    trace: str
    label: str
    statistic: str
    value: float
    share_at_most: float | None
    unit: str
    basis: str
    source_id: str
    note: str | None


@dataclass(frozen=True, slots=True)
class Tables:
    """Every table of data/, by key. Adding a field here adds a table."""

    sources: Mapping[str, Source] = field(metadata={"row": Source})
    settings: Mapping[str, Setting] = field(metadata={"row": Setting})
    releases: Mapping[str, Release] = field(metadata={"row": Release})
    gpus: Mapping[str, Gpu] = field(metadata={"row": Gpu})
    models: Mapping[str, Model] = field(metadata={"row": Model})
    config_defaults: Mapping[str, ConfigDefault] = field(metadata={"row": ConfigDefault})
    coefficients: Mapping[str, Coefficient] = field(metadata={"row": Coefficient})
    hosts: Mapping[str, Host] = field(metadata={"row": Host})
    storage: Mapping[str, Storage] = field(metadata={"row": Storage})
    loaders: Mapping[str, Loader] = field(metadata={"row": Loader})
    engines: Mapping[str, Engine] = field(metadata={"row": Engine})
    kernels: Mapping[str, Kernels] = field(metadata={"row": Kernels})
    restores: Mapping[str, Restore] = field(metadata={"row": Restore})
    start_risks: Mapping[str, StartRiskPreset] = field(metadata={"row": StartRiskPreset})
    platforms: Mapping[str, Platform] = field(metadata={"row": Platform})
    mitigations: Mapping[str, MitigationNumber] = field(metadata={"row": MitigationNumber})
    stage_timings: Mapping[str, StageTiming] = field(metadata={"row": StageTiming})
    serving_points: Mapping[str, ServingPoint] = field(metadata={"row": ServingPoint})
    serving_stages: Mapping[str, ServingStage] = field(metadata={"row": ServingStage})
    simulation_cases: Mapping[str, SimulationCase] = field(metadata={"row": SimulationCase})
    validation_cases: Mapping[str, StartCase] = field(metadata={"row": StartCase})
    offers: Mapping[str, Offer] = field(metadata={"row": Offer})
    provider_rules: Mapping[str, ProviderRules] = field(metadata={"row": ProviderRules})
    behaviours: Mapping[str, Behaviour] = field(metadata={"row": Behaviour})
    descriptive: Mapping[str, Descriptive] = field(metadata={"row": Descriptive})
    commitments: Mapping[str, Commitment] = field(metadata={"row": Commitment})
    abandonment: Mapping[str, Abandonment] = field(metadata={"row": Abandonment})
    folklore: Mapping[str, Folklore] = field(metadata={"row": Folklore})
    examples: Mapping[str, Example] = field(metadata={"row": Example})
    trace_shapes: Mapping[str, TraceShape] = field(metadata={"row": TraceShape})
    trace_quantiles: Mapping[str, TraceQuantiles] = field(metadata={"row": TraceQuantiles})
    trace_presets: Mapping[str, TracePreset] = field(metadata={"row": TracePreset})
    trace_published: Mapping[str, TracePublished] = field(metadata={"row": TracePublished})
    instance_types: Mapping[str, InstanceType] = field(metadata={"row": InstanceType})
    gpu_names: Mapping[str, GpuName] = field(metadata={"row": GpuName})
    provider_names: Mapping[str, ProviderName] = field(metadata={"row": ProviderName})

    def setting(self, setting_id: str) -> float:
        """Return the value of one product default."""
        return look_up(self.settings, setting_id, "setting").value

    def coefficient(self, name: str) -> float:
        """Return the value of one constant of the speed or the cold-start model."""
        return look_up(self.coefficients, name, "coefficient").value

    def gpu(self, name: str) -> Gpu:
        """Return the GPU of that name, or the one for which it is another name.

        Raises
        ------
        InputError
            If no GPU goes by that name.
        """
        for row in self.gpus.values():
            if name in row.aliases:
                return row
        return look_up(self.gpus, name, "GPU")

    def model(self, name: str) -> Model:
        """Return the model of that name, or of that repository (``owner/name``).

        Raises
        ------
        InputError
            If no model goes by that name.
        """
        for row in self.models.values():
            if name.casefold() in (row.repo.casefold(), row.model.casefold()):
                return row
        return look_up(self.models, name, "model")

    def rules_of(self, offer: Offer) -> ProviderRules:
        """Return the billing rules that an offer names."""
        return look_up(self.provider_rules, offer.rules_id, "set of billing rules")

    def behaviour_of(self, offer: Offer) -> Behaviour:
        """Return how the product of an offer behaves."""
        return look_up(self.behaviours, self.rules_of(offer).behaviour_id, "behaviour")

    def source_of(self, row: Any) -> Source:
        """Return the source that a row of any table names."""
        return self.sources[row.source_id]


def look_up(rows: Mapping[str, Row], key: str, noun: str) -> Row:
    """Return the row with that key, or say which keys come close.

    Raises
    ------
    InputError
        If there is no such key; the message offers up to three near ones.
    """
    try:
        return rows[key]
    except KeyError:
        folded = {name.casefold(): name for name in _alike(rows, key)}
        near = difflib.get_close_matches(key.casefold(), folded, n=3, cutoff=0.4)
        hint = (
            f" Did you mean {' or '.join(folded[name] for name in near)}?"
            if near
            else f" There are {len(rows)} to choose from."
        )
        raise InputError(f"There is no {noun} called '{key}'.{hint}") from None


def _alike(rows: Mapping[str, Row], key: str) -> list[str]:
    """Return the keys that may be offered in place of one: of models, only those of its family.

    The family is told by its name and its version, so that nobody who asks for version 4 of a
    model is offered version 2.
    """
    asked = _words(key)
    return [
        name for name, row in rows.items() if not isinstance(row, Model) or _related(row, asked)
    ]


def _related(row: Model, asked: list[str]) -> bool:
    family = _words(row.family)
    first, *rest = zip(family, asked, strict=False)
    alike = difflib.SequenceMatcher(None, *first).ratio()
    return alike >= _SAME_WORD and all(one == other for one, other in rest)


def _words(name: str) -> list[str]:
    """Return the words and numbers of a model's name, its owner left out."""
    return re.findall(r"[a-z]+|\d+(?:\.\d+)*", name.rpartition("/")[2].casefold()) or [""]


def load_columns(data_dir: Path = DATA_DIR) -> dict[str, tuple[Column, ...]]:
    """Return the columns of every table, in the order of columns.csv.

    Raises
    ------
    TableError
        If columns.csv itself is missing, malformed or names an unknown type.
    """
    path = data_dir / "columns.csv"
    by_table: dict[str, list[Column]] = {}
    for number, cells in _read_cells(path):
        try:
            column = Column(
                table=cells["table"],
                column=cells["column"],
                type=cells["type"],
                unit=cells["unit"],
                required=cells["required"] == "yes",
                minimum=float(cells["min"]) if cells["min"] else None,
                maximum=float(cells["max"]) if cells["max"] else None,
                choices=tuple(filter(None, cells["choices"].split(";"))),
                refers_to=cells["refers_to"],
                description=cells["description"],
            )
        except (KeyError, ValueError) as error:
            raise TableError(f"{path.name}, row {number}: {error}") from error
        if column.type not in _READERS:
            raise TableError(
                f"{path.name}, row {number}, column type: expected one of "
                f"{', '.join(_READERS)}, found '{column.type}'"
            )
        by_table.setdefault(column.table, []).append(column)
    return {table: tuple(columns) for table, columns in by_table.items()}


def read_table(
    name: str,
    row_type: type[Row],
    columns: Mapping[str, tuple[Column, ...]],
    data_dir: Path = DATA_DIR,
    path: Path | None = None,
    *,
    partial: bool = False,
) -> Mapping[str, Row]:
    """Return one table as frozen rows by key, the key being its first column.

    The file is ``data_dir/name.csv``, unless ``path`` names another one of the same columns; with
    ``partial`` that one may leave out columns that need not be filled.

    Raises
    ------
    TableError
        If the file, its header or a cell is not what columns.csv describes, if a key comes
        twice, or if ``row_type`` has other fields than the table has columns.
    """
    path = path or data_dir / f"{name}.csv"
    described = columns.get(name)
    if not described:
        raise TableError(f"columns.csv describes no table '{name}'")
    names = [column.column for column in described]
    fields = [item.name for item in dataclasses.fields(row_type)]  # type: ignore[arg-type]
    if names != fields:
        raise TableError(
            f"{name}: columns.csv lists {', '.join(names)}, but {row_type.__name__} has "
            f"{', '.join(fields)}"
        )
    rows: dict[str, Row] = {}
    optional = [column.column for column in described if not column.required] if partial else []
    for number, cells in _read_cells(path, expected=names, optional=optional):
        values = {
            column.column: read_cell(cells[column.column], column, f"{path.name}, row {number}")
            for column in described
        }
        key = values[names[0]]
        if key in rows:
            raise TableError(f"{path.name}, row {number}, column {names[0]}: '{key}' comes twice")
        rows[key] = row_type(**values)
    if not rows:
        raise TableError(f"{path.name} has a header but no rows")
    return MappingProxyType(rows)


def read_cell(text: str, column: Column, where: str) -> Any:
    """Return the value of one cell, or raise a `TableError` that says where and why not."""
    text = text.strip()
    where = f"{where}, column {column.column}"
    if not text:
        if column.required:
            raise TableError(f"{where}: expected {_expected(column)}, found an empty cell")
        return () if column.type in ("list", "numbers") else None
    try:
        value = _READERS[column.type](text)
    except ValueError:
        raise TableError(f"{where}: expected {_expected(column)}, found '{text}'") from None
    if column.type == "choice" and value not in column.choices:
        raise TableError(f"{where}: expected {_expected(column)}, found '{text}'")
    numbers = {"number": (value,), "integer": (value,), "numbers": value}.get(column.type, ())
    if not all(
        (column.minimum is None or number >= column.minimum)
        and (column.maximum is None or number <= column.maximum)
        for number in numbers
    ):
        raise TableError(f"{where}: expected {_expected(column)}, found {text}")
    return value


@functools.cache
def load_tables(data_dir: Path = DATA_DIR) -> Tables:
    """Return every table, checked, with each reference from table to table resolved.

    Raises
    ------
    TableError
        If any cell, key or reference is wrong.
    """
    columns = load_columns(data_dir)
    tables = Tables(
        **{
            item.name: read_table(item.name, item.metadata["row"], columns, data_dir)
            for item in dataclasses.fields(Tables)
        }
    )
    check_references(tables, columns)
    return tables


def check_references(tables: Tables, columns: Mapping[str, tuple[Column, ...]]) -> None:
    """Raise a `TableError` if a cell names a row that another table does not have."""
    for item in dataclasses.fields(Tables):
        rows: Mapping[str, Any] = getattr(tables, item.name)
        for column in columns[item.name]:
            if not column.refers_to:
                continue
            known = getattr(tables, column.refers_to)
            for number, row in enumerate(rows.values(), start=2):
                cell = getattr(row, column.column)
                for key in cell if isinstance(cell, tuple) else (cell,):
                    if key is not None and key not in known:
                        raise TableError(
                            f"{item.name}.csv, row {number}, column {column.column}: "
                            f"'{key}' is not in {column.refers_to}.csv"
                        )


def _read_cells(
    path: Path, expected: Iterable[str] | None = None, optional: Iterable[str] = ()
) -> Iterable[tuple[int, dict[str, str]]]:
    """Yield (row number, cells by column) of a CSV file, header checked.

    Columns that are optional may be missing: their cells are then empty.
    """
    try:
        handle = path.open(encoding="utf-8-sig", newline="")
    except OSError as error:
        raise TableError(f"{path.name}: cannot be read ({error.strerror})") from error
    with handle:
        reader = csv.reader(handle)
        header = next(reader, None)
        if header is None:
            raise TableError(f"{path.name} is empty")
        absent = [name for name in optional if name not in header]
        wanted = None if expected is None else [name for name in expected if name not in absent]
        if wanted is not None and wanted != header:
            missing = [name for name in wanted if name not in header]
            extra = [name for name in header if name not in wanted]
            raise TableError(
                f"{path.name}, row 1: columns differ from columns.csv"
                + (f"; missing {', '.join(missing)}" if missing else "")
                + (f"; not described {', '.join(extra)}" if extra else "")
                + ("; same names, other order" if not missing and not extra else "")
            )
        for number, cells in enumerate(reader, start=2):
            if not cells:
                continue
            if len(cells) != len(header):
                raise TableError(
                    f"{path.name}, row {number}: expected {len(header)} cells, found {len(cells)}"
                )
            yield number, dict.fromkeys(absent, "") | dict(zip(header, cells, strict=True))


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _flag(text: str) -> bool:
    if text not in ("yes", "no"):
        raise ValueError(text)
    return text == "yes"


_READERS: Mapping[str, Callable[[str], Any]] = {
    "text": str,
    "number": _number,
    "integer": int,
    "flag": _flag,
    "date": dt.date.fromisoformat,
    "choice": str,
    "list": lambda text: tuple(part.strip() for part in text.split(";") if part.strip()),
    "numbers": lambda text: tuple(_number(part) for part in text.split(";")),
}


def _expected(column: Column) -> str:
    words = {
        "text": "a text",
        "number": "a number",
        "integer": "a whole number",
        "flag": "yes or no",
        "date": "a date like 2026-11-24",
        "choice": f"one of {', '.join(column.choices)}",
        "list": "texts joined by ;",
        "numbers": "numbers joined by ;",
    }[column.type]
    if column.minimum is not None and column.maximum is not None:
        words += f" from {column.minimum:g} to {column.maximum:g}"
    elif column.minimum is not None:
        words += f" of at least {column.minimum:g}"
    elif column.maximum is not None:
        words += f" of at most {column.maximum:g}"
    return f"{words} [{column.unit}]" if column.unit else words
