"""How fast one replica serves: a model on its GPUs, as a roofline with measured constants.

Gives the seconds of a prompt and the seconds of a decode step at each number of running
sequences. Where published measurements of the same model, precision, GPU and number of GPUs
stand in data/serving_points.csv and were used for a fit, the curves are scaled to them. Every
constant stands in data/coefficients.csv; tools/refit_speed.py makes the fitted ones from data/.

It leaves out queueing and prefix caching (the simulation does that), speculative decoding,
disaggregated prefill, expert parallelism and replicas of more than one node.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from frontier.errors import InputError, MisfitError
from frontier.serving import attention, memory
from frontier.serving.attention import PairWork
from frontier.tables import Gpu, Model, ServingPoint, Tables, look_up

ENGINE_GENERATIONS = ("vllm-v0", "vllm-v1", "vllm-async", "other")
_FLOP_PER_TFLOP = 1e12
_FLOP_PER_PARAM = 2
_BYTES_PER_ACTIVATION = 2
_BYTES_PER_GB = 1e9


@dataclass(frozen=True, slots=True, eq=False)
class ServingSpeed:
    """The speed of one replica.

    Attributes
    ----------
    decode_step_s : ndarray, shape (max_sequences,)
        Seconds of a decode step with 1, 2, … sequences running [s]; read-only.
    overhead_s : float
        Seconds of a first token that go with no prompt token [s]: API, tokeniser and scheduler,
        and one pass over the weights.
    prefill_linear_s, prefill_quadratic_s : float
        A prompt of n tokens takes ``prefill_linear_s n + prefill_quadratic_s n²`` more [s], and
    prefill_bounded : tuple of (float, PairWork)
        seconds a floating-point operation [s] of attention whose reach is bounded: windows,
        chunks and sparse layers.
    prefill_mfu, mixed_mfu : float
        Share of the peak that a prompt reaches alone, and between decode steps [1].
    max_sequences : int
        Most sequences a replica holds: what fits in memory, and no more than the engine's limit.
    target_concurrency : int
        Requests a replica is meant to hold by default; smaller, to keep the answers fast.
    chunk_tokens : int or None
        Most tokens of a prompt that the engine reads in one step between the answers; None: a
        prompt is read in one go while the answers stand still.
    cache_tokens : float
        Tokens that its key-value cache holds: what is cached of prompts, and of those that run.
    compute : str
        Precision of the arithmetic; ``bf16`` where only the weights are stored in fewer bits.
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
    prefill_bounded: tuple[tuple[float, PairWork], ...]
    prefill_mfu: float
    mixed_mfu: float
    decode_step_s: npt.NDArray[np.float64]
    target_concurrency: int
    basis: str
    source_ids: tuple[str, ...]
    chunk_tokens: int | None = None
    cache_tokens: float = math.inf

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
        Two floating-point operations a parameter and token, and four a layer, head width and
        pair of tokens for causal attention, over the peak times the share of it that is reached;
        without NVLink also the activations that the GPUs exchange; plus `overhead_s`.
        """
        tokens = np.asarray(prompt_tokens, dtype=np.float64)
        seconds = (
            self.overhead_s
            + self.prefill_linear_s * tokens
            + self.prefill_quadratic_s * np.square(tokens)
        )
        for s_per_flop, work in self.prefill_bounded:
            seconds = seconds + s_per_flop * work.flop_per_pair * work.pairs(tokens)
        return seconds

    def cached_s(self, cached_tokens: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return the prompt processing that a prefix cache saves, if it has so many tokens [s].

        All of a prompt less the rest of it at its context: what the cached tokens alone take.
        """
        return self.prefill_s(cached_tokens) - self.overhead_s

    def chunks(self, prompt_tokens: npt.ArrayLike) -> npt.NDArray[np.int64] | None:
        """Return the engine steps in which each prompt is read; None if each is read in one go."""
        if self.chunk_tokens is None:
            return None
        whole = -(-np.asarray(prompt_tokens, dtype=np.int64) // self.chunk_tokens)
        return np.maximum(whole, 1)

    def ttft_s(self, prompt_tokens: npt.ArrayLike, concurrency: int = 1) -> npt.NDArray[np.float64]:
        """Return the time to first token on a warm replica without a queue [s].

        Parameters
        ----------
        prompt_tokens : array_like, shape (n,)
            Tokens of each prompt.
        concurrency : int
            Requests the replica holds, this one included.

        Notes
        -----
        The prompt; half a step, which is what a request waits on average for the one under way;
        and its own pass, which takes as long as a step with the others in it.
        """
        step_s = self.decode_step_s[concurrency - 1]
        own_pass_s = step_s - self.decode_step_s[0]
        return self.prefill_s(prompt_tokens) + own_pass_s + step_s / 2

    def overheads_s(
        self, beside: npt.NDArray[np.bool_], queued: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.float64]:
        """Return the overhead of first tokens in a simulation with answers beside them [s].

        Parameters
        ----------
        beside : ndarray of bool, shape (n,)
            Which prompts were read in the steps of answers: those steps read the weights already.
        queued : ndarray of bool, shape (n,)
            Which waited for a place or behind a prompt, and so begin with a step; the others wait
            half a step on average for the one under way, as in `ttft_s`.
        """
        half_s = float(self.decode_step_s[0]) / 2
        spared = beside.view(np.int8) + (beside & queued).view(np.int8)
        seconds: npt.NDArray[np.float64] = spared.astype(np.float64)
        seconds *= -half_s
        seconds += self.overhead_s
        return seconds

    def tpot_s(self, concurrency: int, prompt_tokens: float, output_tokens: float) -> float:
        """Return the time per output token under a closed loop of like requests [s].

        Each decode step carries on average ``(concurrency − 1) prompt / output`` prompt tokens of
        the requests that came since. The simulation does not use this; benchmarks are compared
        with it.
        """
        return float(self.decode_step_s[concurrency - 1]) + (concurrency - 1) * (
            self.mixed_prefill_s(prompt_tokens) / output_tokens
        )

    def mixed_prefill_s(self, prompt_tokens: float) -> float:
        """Return the seconds that a prompt adds to the decode steps it is mixed into [s]."""
        alone_s = float(self.prefill_s(prompt_tokens)) - self.overhead_s
        return alone_s * self.prefill_mfu / self.mixed_mfu

    def slowed(self, decode_factor: float) -> ServingSpeed:
        """Return the same replica with each decode step that many times as long."""
        return dataclasses.replace(
            self, decode_step_s=_read_only(self.decode_step_s * decode_factor)
        )

    def scaled(self, prompt_factor: float, decode_factor: float) -> ServingSpeed:
        """Return the same replica with its prompts and its decode steps that many times as long.

        The pass over the weights that `overhead_s` holds is a decode step.
        """
        pass_s = float(self.decode_step_s[0])
        return dataclasses.replace(
            self,
            decode_step_s=_read_only(self.decode_step_s * decode_factor),
            overhead_s=(self.overhead_s - pass_s) * prompt_factor + pass_s * decode_factor,
            prefill_linear_s=self.prefill_linear_s * prompt_factor,
            prefill_quadratic_s=self.prefill_quadratic_s * prompt_factor,
            prefill_bounded=tuple((s * prompt_factor, w) for s, w in self.prefill_bounded),
        )


def serving_speed(
    model: Model | str,
    precision: str,
    gpu: Gpu | str,
    *,
    context_tokens: float,
    tables: Tables,
    gpus_per_replica: int | None = None,
    kv_precision: str = "bf16",
    engine: str = "vllm-v1",
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
    engine : {"vllm-v0", "vllm-v1", "vllm-async", "other"}
        Generation of the engine, which sets the host's time in a step: vLLM up to 0.7, up to
        0.13, and with scheduling beside the GPU since.
    use_measured : bool
        Scale to published measurements of this configuration where there are any.

    Raises
    ------
    InputError
        If a name is unknown, or the context is longer than the model takes.
    InfeasibleError
        If not one sequence fits (the message names the GPUs needed), or the GPU has no units for
        the precision and nothing measured says how fast it is without.

    Notes
    -----
    A decode step reads the weights and the cache once, so with ``b`` sequences on ``k`` GPUs it
    takes ``W(b) / (k BW MBU) + b a + h + L (t_l + t_e top) + b t_s`` and the all-reduces, two a
    layer. ``a`` is a sequence's attention: its cache over the bandwidth that attention reaches,
    or its arithmetic where that takes longer. ``h`` is the host's time; ``t_e`` is what a routed
    expert costs a layer (gathering, sorting, adding up). A mixture of experts reads the experts
    that ``b`` tokens choose, ``1 − (1 − top/E)^b`` of them under uniform routing. An all-reduce
    over NVLink takes ``t_c log2 k`` a layer; over PCIe a latency, and the activations times
    ``2 (k − 1) / k`` over a rate. Constants and their fits: data/coefficients.csv.
    """
    model = look_up(tables.models, model, "model") if isinstance(model, str) else model
    gpu = tables.gpu(gpu) if isinstance(gpu, str) else gpu
    precision = memory.precision_of(precision)
    if engine not in ENGINE_GENERATIONS:
        raise InputError(f"engine must be one of {', '.join(ENGINE_GENERATIONS)}, got '{engine}'")
    if not 0 < context_tokens <= model.max_context_tokens:
        raise InputError(
            f"context_tokens must be above 0 and at most {model.max_context_tokens:,}, the longest "
            f"context of {model.model}; got {context_tokens:g}"
        )
    compute, peak_tflops = _arithmetic(model, gpu, precision, tables)
    cache: dict[str, Any] = {
        "context_tokens": context_tokens,
        "kv_precision": kv_precision,
        "tables": tables,
    }
    if gpus_per_replica is None:
        count = memory.gpus_needed(model, precision, gpu, **cache)
    else:
        count = memory.checked_count(gpus_per_replica, model, tables)
    most = min(memory.room(model, precision, gpu, count, **cache), memory.batch_limit(gpu, tables))
    mfu, mixed_mfu = _efficiency(model, gpu, compute, count, tables)
    s_per_flop = 1 / (count * peak_tflops * _FLOP_PER_TFLOP * mfu)
    weights_flop = _FLOP_PER_PARAM * model.active_params_b * memory.PARAMS_PER_BILLION
    work = attention.prompt_work(model)
    steps_s = _decode_steps_s(
        model, precision, gpu, count, context_tokens, kv_precision, engine, most, tables
    )
    request_s = tables.coefficient(f"request_overhead_{'one_gpu' if count == 1 else 'many_gpus'}_s")
    speed = ServingSpeed(
        model=model.model,
        precision=precision,
        gpu=gpu.gpu,
        gpus_per_replica=count,
        compute=compute,
        context_tokens=float(context_tokens),
        overhead_s=request_s + float(steps_s[0]),
        prefill_linear_s=weights_flop * s_per_flop
        + _exchange_s_per_token(model, gpu, count, tables),
        prefill_quadratic_s=math.fsum(w.flop_per_pair / 2 for w in work if w.reach_tokens is None)
        * s_per_flop,
        prefill_bounded=tuple((s_per_flop, w) for w in work if w.reach_tokens is not None),
        prefill_mfu=mfu,
        mixed_mfu=mixed_mfu,
        decode_step_s=steps_s,
        target_concurrency=min(most, memory.target_concurrency(gpu, tables)),
        cache_tokens=memory.cache_tokens(model, precision, gpu, count, **cache),
        basis="derived",
        source_ids=tuple(
            dict.fromkeys(
                (
                    model.source_id,
                    gpu.source_id,
                    tables.coefficients["mbu"].source_id,
                    tables.coefficients["request_overhead_one_gpu_s"].source_id,
                )
            )
        ),
    )
    return _scaled_to_measured(speed, kv_precision, tables) if use_measured else speed


def speed_of_point(point: ServingPoint, tables: Tables) -> ServingSpeed:
    """Return the unscaled speed of the configuration of a published point, at its own context.

    Raises
    ------
    InputError, InfeasibleError
        As `serving_speed`.
    """
    return serving_speed(
        point.model,
        point.precision,
        point.gpu,
        context_tokens=point.prompt_tokens + point.output_tokens / 2,
        tables=tables,
        gpus_per_replica=point.gpus,
        kv_precision=point.kv_precision,
        engine=point.engine_generation,
        use_measured=False,
    )


def _arithmetic(model: Model, gpu: Gpu, precision: str, tables: Tables) -> tuple[str, float]:
    """Return the precision of the arithmetic and its peak [TFLOP/s].

    int4 weights are multiplied in 16 bits. So are fp4 weights of a model that was published in
    them, on NVIDIA GPUs without units for them: that was measured. Nothing else is.
    """
    peaks = {"fp8": gpu.fp8_tflops, "fp4": gpu.fp4_tflops}
    peak_tflops = peaks.get(precision)
    if peak_tflops:
        return precision, peak_tflops
    weights_only = precision == "fp4" and model.native_precision == "fp4"
    if precision in peaks and not (weights_only and _has_weight_only_kernels(gpu, tables)):
        able = [row.gpu for row in tables.gpus.values() if getattr(row, f"{precision}_tflops")]
        others = [name for name in memory.precisions_of(model) if name not in peaks]
        choose = f"{' or '.join(others)}, or " if others else ""
        raise MisfitError(
            f"{gpu.gpu} has no {precision} units, and no measurement says how fast {model.model} "
            f"in {precision} is without them. Choose {choose}a GPU that has them "
            f"({', '.join(able)})."
        )
    return "bf16", gpu.bf16_tflops


def _has_weight_only_kernels(gpu: Gpu, tables: Tables) -> bool:
    """Return whether the engine's kernels for 4-bit weights run on the GPU."""
    try:
        capability = float(gpu.compute_capability)
    except ValueError:  # not an NVIDIA GPU
        return False
    return capability >= tables.coefficient("weight_only_from_capability")


def _efficiency(
    model: Model, gpu: Gpu, compute: str, count: int, tables: Tables
) -> tuple[float, float]:
    """Return the share of the peak in prefill, alone and between decode steps."""
    kind = "moe" if model.architecture == "moe" else "dense"
    if kind == "moe":
        name = "mfu_moe"
    else:
        family = {
            "bf16": "bf16",
            "fp8": f"fp8_{gpu.family if gpu.family in ('hopper', 'blackwell') else 'other'}",
            "fp4": "fp4_blackwell",
        }[compute]
        name = f"mfu_dense_{family}_tp{count}"
    alone = _by_family("mfu_share", gpu, tables) * tables.coefficient(name)
    return alone, alone * tables.coefficient(f"mixed_over_alone_{kind}")


def _by_family(name: str, gpu: Gpu, tables: Tables) -> float:
    """Return the constant of the GPU's family where it has one of its own, else the general one."""
    own = tables.coefficients.get(f"{name}_{gpu.family}")
    return tables.coefficient(name) if own is None else own.value


def _exchange_s_per_token(model: Model, gpu: Gpu, count: int, tables: Tables) -> float:
    """Return the seconds that all-reduces over PCIe add for each token in a pass [s].

    A ring moves ``2 (k − 1) / k`` times the activations through each GPU's link. Over NVLink the
    bytes take next to no time.
    """
    if count == 1 or gpu.nvlink:
        return 0.0
    moved = 2 * (count - 1) / count * model.hidden * _BYTES_PER_ACTIVATION
    rate = tables.coefficient("all_reduce_pcie_gb_per_s") * _BYTES_PER_GB
    return model.layers * tables.coefficient("all_reduces_per_layer") * moved / rate


def _all_reduce_s(model: Model, gpu: Gpu, count: int, tables: Tables) -> float:
    """Return the latency of all the all-reduces of a pass [s]."""
    if count == 1:
        return 0.0
    if gpu.nvlink:
        return model.layers * tables.coefficient("all_reduce_nvlink_s") * float(np.log2(count))
    each_s = tables.coefficient("all_reduce_pcie_s")
    return model.layers * tables.coefficient("all_reduces_per_layer") * each_s


def _decode_steps_s(
    model: Model,
    precision: str,
    gpu: Gpu,
    count: int,
    context_tokens: float,
    kv_precision: str,
    engine: str,
    most: int,
    tables: Tables,
) -> npt.NDArray[np.float64]:
    sequences = np.arange(1, most + 1, dtype=np.float64)
    weights_s = _weights_gb(model, precision, sequences, tables) / (
        count * gpu.bandwidth_gb_per_s * _by_family("mbu", gpu, tables)
    )
    cache_s = attention.read_gb(
        model,
        context_tokens=context_tokens,
        gpus=count,
        kv_precision=kv_precision,
        tables=tables,
    ) / (gpu.bandwidth_gb_per_s * _by_family("mbu_cache", gpu, tables))
    flop = attention.decode_flop(model, context_tokens=context_tokens, gpus=count)
    arithmetic_s = flop / (
        gpu.bf16_tflops * _FLOP_PER_TFLOP * tables.coefficient("mfu_dense_bf16_tp1")
    )
    fixed_s = (
        tables.coefficient(f"host_step_{engine.replace('-', '_')}_s")
        + model.layers
        * (
            tables.coefficient("layer_step_s")
            + tables.coefficient("routed_expert_step_s") * (model.experts_per_token or 0)
        )
        + _all_reduce_s(model, gpu, count, tables)
    )
    each_s = (
        max(cache_s, arithmetic_s)
        + _by_family("sequence_step_s", gpu, tables)
        + _exchange_s_per_token(model, gpu, count, tables)
    )
    return _read_only(weights_s + fixed_s + sequences * each_s)


def _weights_gb(
    model: Model, precision: str, sequences: npt.NDArray[np.float64], tables: Tables
) -> npt.NDArray[np.float64]:
    """Return the weights a decode step reads [GB]: all, or dense part and experts chosen."""
    whole_gb = memory.loaded_gb(model, precision, tables) - model.lookup_gb
    if model.architecture != "moe":
        return np.full_like(sequences, whole_gb)
    if not model.experts or not model.experts_per_token:
        raise InputError(f"{model.model} is a mixture of experts without a number of experts")
    chosen = model.experts_per_token / model.experts
    experts_b = (model.total_params_b - model.active_params_b) / (1 - chosen)
    experts_gb = min(whole_gb, experts_b * tables.coefficient(f"bytes_per_param_{precision}"))
    return whole_gb - experts_gb + experts_gb * (1 - (1 - chosen) ** sequences)


def _scaled_to_measured(speed: ServingSpeed, kv_precision: str, tables: Tables) -> ServingSpeed:
    """Return the speed scaled to the published points of the same configuration, if any.

    Points that were kept back to check the model stay out. The shape of the curves is kept; the
    prompt and the decode step are each multiplied by the median of measured over predicted.
    """
    prefill: list[float] = []
    decode: list[float] = []
    sources: list[str] = []
    own = (
        speed.model,
        speed.precision,
        speed.gpu,
        speed.gpus_per_replica,
        kv_precision,
    )
    for point in tables.serving_points.values():
        same = (point.model, point.precision, point.gpu, point.gpus, point.kv_precision)
        if point.use != "fit" or point.kind != "loop" or same != own:
            continue
        # Predicted at the context of the point, not at that of the caller's traffic.
        predicted = speed_of_point(point, tables)
        if point.concurrency > predicted.max_sequences:
            continue
        sources.append(point.source_id)
        if point.tpot_s is not None:
            decode.append(
                point.tpot_s
                / predicted.tpot_s(point.concurrency, point.prompt_tokens, point.output_tokens)
            )
        if point.ttft_s is not None:
            expected_s = float(predicted.ttft_s(point.prompt_tokens, point.concurrency))
            alone_s = float(predicted.prefill_s(point.prompt_tokens)) - predicted.overhead_s
            waited_s = expected_s - alone_s
            if point.ttft_s > waited_s:
                prefill.append((point.ttft_s - waited_s) / alone_s)
    if not sources:
        return speed
    prompts, steps = _median_or_one(prefill), _median_or_one(decode)
    steps_s = speed.decode_step_s * steps
    return dataclasses.replace(
        speed,
        overhead_s=speed.overhead_s + float(steps_s[0] - speed.decode_step_s[0]),
        prefill_linear_s=speed.prefill_linear_s * prompts,
        prefill_quadratic_s=speed.prefill_quadratic_s * prompts,
        prefill_bounded=tuple((s * prompts, work) for s, work in speed.prefill_bounded),
        prefill_mfu=speed.prefill_mfu / prompts,
        decode_step_s=_read_only(steps_s),
        basis="measured",
        source_ids=tuple(dict.fromkeys((*sources, *speed.source_ids))),
    )


def _median_or_one(ratios: Iterable[float]) -> float:
    found = list(ratios)
    return statistics.median(found) if found else 1.0


def _read_only(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    values.setflags(write=False)
    return values
