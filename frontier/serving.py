"""How fast one replica serves: a model on a GPU, as a roofline with measured constants.

Gives the seconds of a prompt, the seconds of a decode step at each number of running sequences,
the sequences that fit in memory and the GPUs a replica needs. Where published measurements of
the same model, precision, GPU and number of GPUs stand in data/serving_points.csv, the curves
are scaled to them. Every constant stands in data/coefficients.csv.

It leaves out queueing (the simulation does that), prefix caching, speculative decoding,
disaggregated prefill and replicas of more than one node.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frontier.errors import InfeasibleError, InputError
from frontier.tables import Gpu, Model, Tables, load_tables, look_up
from frontier.units import BYTES_PER_GB, BYTES_PER_GIB

PRECISIONS = ("bf16", "fp8", "int4", "fp4")
SAME_PRECISION = {
    "fp16": "bf16",
    "mxfp4": "fp4",
    "nvfp4": "fp4",
    "awq": "int4",
    "gptq": "int4",
    "w4a16": "int4",
}
_FLOP_PER_TFLOP = 1e12
_PER_BILLION = 1e9


@dataclass(frozen=True, slots=True, eq=False)
class ServingSpeed:
    """The speed of one replica.

    Attributes
    ----------
    decode_step_s : ndarray, shape (max_sequences,)
        Seconds of a decode step with 1, 2, … sequences running [s]; read-only.
    overhead_s, prefill_linear_s, prefill_quadratic_s : float
        A prompt of n tokens takes ``overhead_s + prefill_linear_s n + prefill_quadratic_s n²`` [s].
    prefill_mfu, mixed_mfu : float
        Share of the peak that a prompt reaches alone, and between decode steps [1].
    max_sequences : int
        Most sequences a replica holds: what fits in memory, and no more than the engine's limit.
    target_concurrency : int
        Requests a replica is meant to hold by default; smaller, to keep the answers fast.
    compute : str
        Precision of the arithmetic; ``bf16`` where the GPU can only store the weights' precision.
    basis : str
        ``measured`` if scaled to published points of this very configuration, else ``derived``.
    """

    model: str
    precision: str
    gpu: str
    gpus_per_replica: int
    compute: str
    context_tokens: float
    overhead_s: float
    prefill_linear_s: float
    prefill_quadratic_s: float
    prefill_mfu: float
    mixed_mfu: float
    decode_step_s: npt.NDArray[np.float64]
    target_concurrency: int
    basis: str
    source_ids: tuple[str, ...]

    @property
    def max_sequences(self) -> int:
        """Most sequences a replica holds at once."""
        return int(self.decode_step_s.size)

    def prefill_s(self, prompt_tokens: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return the seconds from dispatch to the end of the prompt, on an idle replica [s].

        Parameters
        ----------
        prompt_tokens : array_like, shape (n,)
            Tokens of each prompt.

        Notes
        -----
        Two floating-point operations a parameter and token, and ``2 L d n`` a token for causal
        attention over ``n`` tokens, over the peak times the share of it that is reached; plus the
        time of the API, tokeniser and scheduler once a request.
        """
        tokens = np.asarray(prompt_tokens, dtype=np.float64)
        return (
            self.overhead_s
            + self.prefill_linear_s * tokens
            + self.prefill_quadratic_s * np.square(tokens)
        )

    def ttft_s(self, prompt_tokens: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return the time to first token on a warm and idle replica [s]: prefill and half a step.

        The half step is what a request waits, on average, for the step under way to end.
        """
        return self.prefill_s(prompt_tokens) + self.decode_step_s[0] / 2

    def tpot_s(self, concurrency: int, prompt_tokens: float, output_tokens: float) -> float:
        """Return the time per output token under a closed loop of like requests [s].

        Each decode step carries on average ``(concurrency − 1) prompt / output`` prompt tokens of
        the requests that came since. The simulation does not use this; benchmarks are compared
        with it.
        """
        alone = float(self.prefill_s(prompt_tokens)) - self.overhead_s
        mixed = alone * self.prefill_mfu / self.mixed_mfu
        return float(self.decode_step_s[concurrency - 1]) + (concurrency - 1) * (
            mixed / output_tokens
        )

    def slowed(self, decode_factor: float) -> ServingSpeed:
        """Return the same replica with each decode step that many times as long."""
        return dataclasses.replace(
            self, decode_step_s=_read_only(self.decode_step_s * decode_factor)
        )


def precision_of(name: str) -> str:
    """Return the precision's name as the tables have it: ``fp16`` is ``bf16``, ``awq`` ``int4``.

    Raises
    ------
    InputError
        If there is no such precision.
    """
    folded = name.casefold()
    folded = SAME_PRECISION.get(folded, folded)
    if folded not in PRECISIONS:
        raise InputError(f"precision must be one of {', '.join(PRECISIONS)}, got '{name}'")
    return folded


def precisions_of(model: Model) -> tuple[str, ...]:
    """Return the precisions for which a checkpoint size of the model is known."""
    return tuple(name for name in PRECISIONS if getattr(model, f"{name}_gb") is not None)


def checkpoint_gb(model: Model, precision: str) -> float:
    """Return the size of the model's checkpoint in that precision [GB].

    Raises
    ------
    InputError
        If the table has no size for that precision; the message names those it has.
    """
    size_gb = getattr(model, f"{precision_of(precision)}_gb")
    if size_gb is None:
        raise InputError(
            f"No {precision} checkpoint of {model.model} is known; there is "
            f"{' and '.join(precisions_of(model))}."
        )
    return size_gb


def estimated_checkpoint_gb(params_b: float, precision: str, tables: Tables | None = None) -> float:
    """Return the size of a checkpoint of which only the parameters are known [GB].

    Parameters times bytes, and a tenth more for the scales and embeddings of a quantised one.

    Raises
    ------
    InputError
        If the precision is unknown or the parameters are not above 0.
    """
    tables = tables or load_tables()
    precision = precision_of(precision)
    if not params_b > 0:
        raise InputError(f"params_b must be above 0, got {params_b!r}")
    size_gb = params_b * tables.coefficient(f"bytes_per_param_{precision}")
    return size_gb * (1.0 if precision == "bf16" else tables.coefficient("quantised_size_factor"))


def gpus_needed(
    model: Model | str,
    precision: str,
    gpu: Gpu | str,
    *,
    context_tokens: float,
    sequences: int | None = None,
    tables: Tables | None = None,
) -> int:
    """Return the fewest GPUs, a power of two, that hold the weights and some sequences.

    Parameters
    ----------
    context_tokens : float
        Tokens a running sequence holds [tokens].
    sequences : int, optional
        Sequences that must fit beside the weights; the default of data/coefficients.csv if None.

    Raises
    ------
    InfeasibleError
        If more GPUs are needed than a node has, or the heads do not divide among them.
    """
    tables = tables or load_tables()
    model = look_up(tables.models, model, "model") if isinstance(model, str) else model
    gpu = tables.gpu(gpu) if isinstance(gpu, str) else gpu
    wanted = int(sequences or tables.coefficient("sequences_to_fit"))
    node = int(tables.coefficient("gpus_per_node"))
    count = 1
    while _room(model, precision, gpu, count, context_tokens, tables) < wanted:
        count *= 2
        if count > model.total_params_b * _PER_BILLION:
            raise InfeasibleError(f"No number of {gpu.gpu} holds {model.model} in {precision}.")
    if count > node:
        raise InfeasibleError(
            f"{model.model} in {precision} needs {count} × {gpu.gpu} ({gpu.vram_gb:g} GB each); "
            f"a replica is at most one node of {node}. Choose a larger GPU or fewer bits."
        )
    if model.q_heads % count:
        raise InfeasibleError(
            f"{model.model} in {precision} needs {count} × {gpu.gpu}, but its {model.q_heads} "
            f"attention heads do not divide among {count}. Choose a larger GPU or fewer bits."
        )
    return count


def serving_speed(
    model: Model | str,
    precision: str,
    gpu: Gpu | str,
    *,
    context_tokens: float,
    tables: Tables | None = None,
    gpus_per_replica: int | None = None,
    kv_precision: str = "bf16",
    use_measured: bool = True,
) -> ServingSpeed:
    """Return the speed of one replica.

    Parameters
    ----------
    model, gpu : row or name
        The model and the GPU.
    precision : {"bf16", "fp8", "int4", "fp4"}
        Precision of the weights; ``bf16`` is any 16-bit format.
    context_tokens : float
        Tokens a running sequence holds on average, prompt and half the answer [tokens].
    gpus_per_replica : int, optional
        GPUs of a replica (tensor parallel); the fewest that fit if None.
    kv_precision : {"bf16", "fp8"}
        Precision of the key-value cache.
    use_measured : bool
        Scale to published measurements of this configuration where there are any.

    Raises
    ------
    InputError
        If a name is unknown, or the context is longer than the model takes.
    InfeasibleError
        If not one sequence fits; the message names the GPUs needed.

    Notes
    -----
    A decode step reads the weights and every cached token once, so with ``b`` sequences on ``k``
    GPUs it takes ``(W(b) + b kv) / (k BW MBU) + L (t_l + t_c log2 k) + b t_s``. A mixture of
    experts reads the experts that ``b`` tokens choose, ``1 − (1 − top/E)^b`` of them under
    uniform routing. Constants and their fits: data/coefficients.csv.
    """
    tables = tables or load_tables()
    model = look_up(tables.models, model, "model") if isinstance(model, str) else model
    gpu = tables.gpu(gpu) if isinstance(gpu, str) else gpu
    precision = precision_of(precision)
    if kv_precision not in ("bf16", "fp8"):
        raise InputError(f"kv_precision must be bf16 or fp8, got '{kv_precision}'")
    if not 0 < context_tokens <= model.max_context_tokens:
        raise InputError(
            f"context_tokens must be above 0 and at most {model.max_context_tokens:,}, the longest "
            f"context of {model.model}; got {context_tokens:g}"
        )
    if gpus_per_replica is None:
        count = gpus_needed(model, precision, gpu, context_tokens=context_tokens, tables=tables)
    else:
        count = _checked_count(gpus_per_replica, model, tables)
    room = _room(model, precision, gpu, count, context_tokens, tables, kv_precision)
    if room < 1:
        try:
            least = gpus_needed(
                model, precision, gpu, context_tokens=context_tokens, sequences=1, tables=tables
            )
            remedy = f"It needs {least}."
        except InfeasibleError as error:
            remedy = str(error)
        raise InfeasibleError(
            f"{model.model} in {precision} does not fit on {count} × {gpu.gpu} with "
            f"{context_tokens:,.0f} tokens of context. {remedy}"
        )
    most = min(room, _batch_limit(gpu, tables))
    compute, peak = _arithmetic(gpu, precision)
    mfu, mixed_mfu = _efficiency(model, gpu, compute, count, tables)
    per_token_s = count * peak * _FLOP_PER_TFLOP * mfu
    speed = ServingSpeed(
        model=model.model,
        precision=precision,
        gpu=gpu.gpu,
        gpus_per_replica=count,
        compute=compute,
        context_tokens=float(context_tokens),
        overhead_s=tables.coefficient("request_overhead_s"),
        prefill_linear_s=2 * model.active_params_b * _PER_BILLION / per_token_s,
        prefill_quadratic_s=2 * model.full_attention_layers * model.attention_width / per_token_s,
        prefill_mfu=mfu,
        mixed_mfu=mixed_mfu,
        decode_step_s=_decode_steps_s(
            model, precision, gpu, count, context_tokens, kv_precision, most, tables
        ),
        target_concurrency=min(most, _target_concurrency(gpu, tables)),
        basis="derived",
        source_ids=tuple(
            dict.fromkeys(
                (
                    model.source_id,
                    gpu.source_id,
                    tables.coefficients["mbu"].source_id,
                    tables.coefficients["request_overhead_s"].source_id,
                )
            )
        ),
    )
    return _scaled_to_measured(speed, tables) if use_measured else speed


def _checked_count(count: int, model: Model, tables: Tables) -> int:
    node = int(tables.coefficient("gpus_per_node"))
    if not (1 <= count <= node and count & (count - 1) == 0 and model.q_heads % count == 0):
        raise InputError(
            f"gpus_per_replica must be a power of two up to {node} that divides the "
            f"{model.q_heads} attention heads of {model.model}; got {count}"
        )
    return int(count)


def _cache_gb(model: Model, count: int, context_tokens: float, kv_precision: str, tables) -> float:
    """Return the cache of one sequence on each GPU [GB]; heads split among the GPUs."""
    size = tables.coefficient(f"bytes_per_param_{kv_precision}") / tables.coefficient(
        "bytes_per_param_bf16"
    )
    whole = context_tokens * model.kv_bytes_per_token + model.fixed_bytes_per_sequence
    return size * whole / min(count, model.kv_heads) / BYTES_PER_GB


def _room(
    model: Model,
    precision: str,
    gpu: Gpu,
    count: int,
    context_tokens: float,
    tables: Tables,
    kv_precision: str = "bf16",
) -> int:
    """Return the sequences that fit beside the weights; 0 if the weights do not fit.

    ``W / k + n cache + overhead <= utilisation × memory``, on each of ``k`` GPUs.
    """
    overhead_gb = tables.coefficient(
        "memory_overhead_one_gpu_gb" if count == 1 else "memory_overhead_many_gpus_gb"
    )
    free_gb = (
        tables.coefficient("gpu_memory_utilization") * gpu.memory_gb
        - overhead_gb
        - checkpoint_gb(model, precision) / count
    )
    each_gb = _cache_gb(model, count, context_tokens, kv_precision, tables)
    return max(0, int(free_gb / each_gb))


def _batch_limit(gpu: Gpu, tables: Tables) -> int:
    """Return the engine's own limit, which vLLM sets by memory and not for the A100."""
    memory_gib = gpu.memory_gb * BYTES_PER_GB / BYTES_PER_GIB
    large = memory_gib >= tables.coefficient("batch_limit_large_from_gib")
    large = large and gpu.family != "ampere"
    return int(tables.coefficient("batch_limit_large" if large else "batch_limit_small"))


def _target_concurrency(gpu: Gpu, tables: Tables) -> int:
    for size in ("large", "medium"):
        if gpu.vram_gb >= tables.coefficient(f"target_concurrency_{size}_from_gb"):
            return int(tables.coefficient(f"target_concurrency_{size}"))
    return int(tables.coefficient("target_concurrency_small"))


def _arithmetic(gpu: Gpu, precision: str) -> tuple[str, float]:
    """Return the precision of the arithmetic and its peak [TFLOP/s].

    A GPU without units for a precision stores the weights in it and computes in 16 bits; int4
    weights always do.
    """
    if precision == "fp4" and gpu.fp4_tflops:
        return "fp4", gpu.fp4_tflops
    if precision == "fp8" and gpu.fp8_tflops:
        return "fp8", gpu.fp8_tflops
    return "bf16", gpu.bf16_tflops


def _efficiency(
    model: Model, gpu: Gpu, compute: str, count: int, tables: Tables
) -> tuple[float, float]:
    """Return the share of the peak in prefill, alone and between decode steps."""
    if model.architecture == "moe":
        return tables.coefficient("mfu_moe"), tables.coefficient("mfu_mixed_moe")
    family = {
        "bf16": "bf16",
        "fp8": f"fp8_{gpu.family if gpu.family in ('hopper', 'blackwell') else 'other'}",
        "fp4": "fp4_blackwell",
    }[compute]
    return (
        tables.coefficient(f"mfu_dense_{family}_tp{count}"),
        tables.coefficient("mfu_mixed_dense"),
    )


def _decode_steps_s(
    model: Model,
    precision: str,
    gpu: Gpu,
    count: int,
    context_tokens: float,
    kv_precision: str,
    most: int,
    tables: Tables,
) -> npt.NDArray[np.float64]:
    sequences = np.arange(1, most + 1, dtype=np.float64)
    weights_gb = checkpoint_gb(model, precision) - model.lookup_gb
    kind = "dense"
    if model.architecture == "moe":
        kind = "moe"
        weights_gb = _moe_read_gb(model, precision, sequences, tables)
    cache_gb = _cache_gb(model, count, context_tokens, kv_precision, tables)
    # The cache figure is already per GPU, the weights are not.
    read_gb = weights_gb / count + sequences * cache_gb
    rate = gpu.bandwidth_gb_per_s * tables.coefficient("mbu")
    fixed_s = model.layers * (
        tables.coefficient(f"layer_overhead_{kind}_s")
        + tables.coefficient("layer_tp_overhead_s") * np.log2(count)
    )
    return _read_only(
        read_gb / rate + fixed_s + sequences * tables.coefficient(f"sequence_overhead_{kind}_s")
    )


def _moe_read_gb(
    model: Model, precision: str, sequences: npt.NDArray[np.float64], tables: Tables
) -> npt.NDArray[np.float64]:
    """Return the weights a decode step reads [GB]: the dense part and the experts chosen."""
    if not model.experts or not model.experts_per_token:
        raise InputError(f"{model.model} is a mixture of experts without a number of experts")
    chosen = model.experts_per_token / model.experts
    experts_b = (model.total_params_b - model.active_params_b) / (1 - chosen)
    whole_gb = checkpoint_gb(model, precision) - model.lookup_gb
    experts_gb = min(whole_gb, experts_b * tables.coefficient(f"bytes_per_param_{precision}"))
    return whole_gb - experts_gb + experts_gb * (1 - (1 - chosen) ** sequences)


def _scaled_to_measured(speed: ServingSpeed, tables: Tables) -> ServingSpeed:
    """Return the speed scaled to the published points of the same configuration, if any.

    The shape of the curves is kept; the prompt and the decode step are each multiplied by the
    median of measured over predicted.
    """
    prefill: list[float] = []
    decode: list[float] = []
    sources: list[str] = []
    for point in tables.serving_points.values():
        same = (point.model, point.precision, point.gpu, point.gpus)
        if point.use != "anchor" or same != (
            speed.model,
            speed.precision,
            speed.gpu,
            speed.gpus_per_replica,
        ):
            continue
        # Predicted at the context of the point, not at that of the caller's traffic.
        predicted = serving_speed(
            point.model,
            point.precision,
            point.gpu,
            context_tokens=point.prompt_tokens + point.output_tokens / 2,
            tables=tables,
            gpus_per_replica=point.gpus,
            use_measured=False,
        )
        if point.concurrency > predicted.max_sequences:
            continue
        sources.append(point.source_id)
        if point.tpot_s is not None:
            decode.append(
                point.tpot_s
                / predicted.tpot_s(point.concurrency, point.prompt_tokens, point.output_tokens)
            )
        if point.ttft_s is not None:
            waited_s = predicted.overhead_s + predicted.decode_step_s[0] / 2
            alone_s = float(predicted.ttft_s(point.prompt_tokens)) - waited_s
            if point.ttft_s > waited_s:
                prefill.append((point.ttft_s - waited_s) / alone_s)
    if not sources:
        return speed
    prompts, steps = _median_or_one(prefill), _median_or_one(decode)
    return dataclasses.replace(
        speed,
        prefill_linear_s=speed.prefill_linear_s * prompts,
        prefill_quadratic_s=speed.prefill_quadratic_s * prompts,
        prefill_mfu=speed.prefill_mfu / prompts,
        decode_step_s=_read_only(speed.decode_step_s * steps),
        basis="measured",
        source_ids=tuple(dict.fromkeys((*sources, *speed.source_ids))),
    )


def _median_or_one(ratios: Iterable[float]) -> float:
    found = list(ratios)
    return statistics.median(found) if found else 1.0


def _read_only(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    values.setflags(write=False)
    return values
