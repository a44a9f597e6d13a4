"""The rows of the tables in data/: one frozen class a table, its fields the columns.

Nothing is read or computed here; what a number means is the business of the modules above.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from frontier.errors import TableError

OWN_SOURCE = "own-prices"
"""The source of what somebody typed or uploaded."""
YOURS = "yours"
"""Kind and basis of a price that somebody typed or uploaded."""


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

    @property
    def leaves_weights(self) -> bool:
        """Whether it reads through the page cache, which leaves the weights in host memory."""
        return self.mode in ("download", "mmap")


@dataclass(frozen=True, slots=True)
class Engine:
    """A generation of the inference engine."""

    engine: str
    label: str
    capture_sizes: int
    moe_capture_factor: float
    generation: str
    chunk_tokens: int | None
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
class NodeScaler:
    """What starts and releases the nodes of a cluster of one's own, or keeps them."""

    node_scaler: str
    label: str
    provisions: bool
    node_start_s: float | None
    node_start_spread: float | None
    scale_down_delay_s: float | None
    basis: str
    source_id: str
    start_basis: str
    start_source_id: str
    description: str


@dataclass(frozen=True, slots=True)
class Autoscaler:
    """How a platform decides how many replicas there are, by its own defaults."""

    autoscaler: str
    label: str
    tick_s: float | None
    keep_alive: str | None
    window_s: float | None
    counts_after_s: float | None
    target_requests: float | None
    target_share: float | None
    tolerance: float | None
    panic_share: float | None
    panic_threshold: float | None
    up_window_s: float | None
    down_window_s: float | None
    look_back: str | None
    up_factor: float | None
    up_count: int | None
    down_factor: float | None
    down_count: int | None
    excess_share: float | None
    counts_ready: bool | None
    needs_ready: bool | None
    activator: bool | None
    activation: float | None
    zero_tick_s: float | None
    zero_delay_s: float | None
    cancels_starts: bool | None
    idle_timeout_leads: bool
    assumed: tuple[str, ...]
    basis: str
    source_id: str
    description: str


@dataclass(frozen=True, slots=True)
class PodScaler:
    """What starts and releases the pods of a model on a cluster of one's own."""

    pod_scaler: str
    label: str
    idle_default_s: float
    idle_min_s: float | None
    idle_max_s: float | None
    autoscaler: str
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
    ttft_mean_s: float | None
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
class Hosting:
    """Whose machines a product runs on: of a data centre (secure) or of third parties."""

    hosting_id: str
    provider: str
    products: tuple[str, ...]
    places: tuple[str, ...]
    security: str
    basis: str
    source_id: str
    note: str | None


@dataclass(frozen=True, slots=True)
class Place:
    """A region of offers, and the regions of price lists that lie within it."""

    place_id: str
    region: str
    names: tuple[str, ...]
    basis: str
    source_id: str


@dataclass(frozen=True, slots=True)
class Catalogue:
    """A published catalogue of prices that can be fetched when somebody asks for it."""

    catalogue_id: str
    format: str
    provider: str
    version_url: str | None
    url: str
    basis: str
    source_id: str


@dataclass(frozen=True, slots=True)
class CatalogueFlag:
    """A mark of a catalogue on rows that are no ordinary price."""

    flag: str
    meaning: str
    basis: str
    source_id: str


@dataclass(frozen=True, slots=True)
class ZoneName:
    """What a short name behind a time means; several rows where several zones have it.

    ``place`` is where clocks stand so, ``ahead_h`` how far they are ahead of UTC [h].
    """

    zone_id: str
    name: str
    place: str | None
    ahead_h: float
    basis: str
    source_id: str


@dataclass(frozen=True, slots=True)
class UnitSlip:
    """A mistaken unit, known by the factor it puts between two prices."""

    slip_id: str
    factor: float
    label: str
    basis: str
    source_id: str


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit on p99 TTFT that the ladder of limits asks for [s]."""

    limit_id: str
    limit_s: float
    basis: str
    source_id: str
    description: str


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
class EarlierPrice:
    """What an offer cost at an earlier date: how far prices move, and how often."""

    price_id: str
    offer_id: str
    usd_per_gpu_h: float
    priced_on: dt.date
    basis: str
    source_id: str
    note: str | None


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
    cores_metered: str
    vcpus_per_core: float | None
    least_cores: float | None
    least_ram_gib: float | None
    most_cores: float | None
    most_gib_per_vcpu: float | None
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
    autoscaler: str
    assumed: tuple[str, ...]
    basis: str
    source_id: str
    note: str | None


@dataclass(frozen=True, slots=True)
class Knobs:
    """What a product lets its user set of how many replicas run."""

    behaviour_id: str
    kept_replicas: bool
    buffer_replicas: bool
    scheduled_replicas: bool
    target: bool
    assumed: tuple[str, ...]
    basis: str
    source_id: str
    note: str


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
class ReservedTerm:
    """How long an offer of the kind reserved binds, and how much of it is paid at the start."""

    offer_id: str
    term_months: int
    upfront_share: float | None
    basis: str
    source_id: str
    note: str | None


@dataclass(frozen=True, slots=True)
class TokenApiPrice:
    """What a provider takes for a million tokens of a model, served on its own machines."""

    api_id: str
    model: str
    provider: str
    usd_per_mtok_input: float
    usd_per_mtok_output: float
    usd_per_mtok_cached: float | None
    priced_on: dt.date
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
class ManifestField:
    """A field of a platform's configuration, and the numbers that it can hold."""

    field_id: str
    target: str
    field: str
    unit: str | None
    least: float | None
    most: float | None
    step: float | None
    allowed: tuple[float, ...]
    default: float | None
    basis: str
    source_id: str
    description: str


@dataclass(frozen=True, slots=True)
class ManifestGpu:
    """What a platform calls a GPU in its configuration."""

    name_id: str
    target: str
    gpu: str
    name: str
    basis: str
    source_id: str


@dataclass(frozen=True, slots=True)
class FocusColumn:
    """One column of a FOCUS 1.2 file, as the specification describes it."""

    column_id: str
    feature_level: str
    nullable: bool
    value: str
    choices: tuple[str, ...]
    source_id: str


@dataclass(frozen=True, slots=True)
class BillFormat:
    """How a provider writes its bills: which columns hold what."""

    format_id: str
    label: str
    layout: str
    recognised_by: tuple[str, ...]
    cost: tuple[str, ...]
    quantity: tuple[str, ...]
    unit: tuple[str, ...]
    fixed_unit: str | None
    words: tuple[str, ...]
    start: tuple[str, ...]
    end: tuple[str, ...]
    currency: tuple[str, ...]
    fixed_currency: str | None
    covers: str
    source_id: str


@dataclass(frozen=True, slots=True)
class BillWords:
    """What kind of charge a description tells."""

    kind: str
    words: tuple[str, ...]
    label: str
    source_id: str
