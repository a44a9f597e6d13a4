"""What a model takes on its GPUs: checkpoint, cache, and the GPUs a replica needs.

It leaves out layers offloaded to the host, and pipelines over several nodes: a replica is at most
one node.
"""

from __future__ import annotations

from frontier.errors import InputError, MisfitError
from frontier.serving import attention
from frontier.tables import Gpu, Model, Tables, look_up
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
PARAMS_PER_BILLION = 1e9


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


def loaded_gb(model: Model, precision: str, tables: Tables) -> float:
    """Return the weights that an engine loads [GB]: the checkpoint without its prediction layers.

    Layers that predict several tokens at once are stored with the model and serve speculative
    decoding only.

    Raises
    ------
    InputError
        As `checkpoint_gb`.
    """
    stored_gb = checkpoint_gb(model, precision)
    bytes_per_param = tables.coefficient(f"bytes_per_param_{precision_of(precision)}")
    return stored_gb - model.mtp_params_b * bytes_per_param


def estimated_checkpoint_gb(params_b: float, precision: str, tables: Tables) -> float:
    """Return the size of a checkpoint of which only the parameters are known [GB].

    Parameters times bytes, and a tenth more for the scales and embeddings of a quantised one.

    Raises
    ------
    InputError
        If the precision is unknown or the parameters are not above 0.
    """
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
    tables: Tables,
    sequences: int | None = None,
    kv_precision: str = "bf16",
) -> int:
    """Return the fewest GPUs, a power of two, that hold the weights and some sequences.

    Parameters
    ----------
    context_tokens : float
        Tokens a running sequence holds [tokens].
    sequences : int, optional
        Sequences that must fit beside the weights; the default of data/coefficients.csv if None.
    kv_precision : {"bf16", "fp8"}
        Precision of the key-value cache.

    Raises
    ------
    MisfitError
        If more GPUs are needed than a node has, or the heads do not divide among them.
    """
    model = look_up(tables.models, model, "model") if isinstance(model, str) else model
    gpu = tables.gpu(gpu) if isinstance(gpu, str) else gpu
    wanted = int(sequences or tables.coefficient("sequences_to_fit"))
    node = int(tables.coefficient("gpus_per_node"))
    count = 1
    while _room_for(model, precision, gpu, count, context_tokens, kv_precision, tables) < wanted:
        count *= 2
        if count > model.total_params_b * PARAMS_PER_BILLION:
            raise MisfitError(f"No number of {gpu.gpu} holds {model.model} in {precision}.")
    if count > node:
        raise MisfitError(
            f"{model.model} in {precision} needs {count} × {gpu.gpu} ({gpu.vram_gb:g} GB each); "
            f"a replica is at most one node of {node}. Choose a larger GPU or fewer bits."
        )
    if model.q_heads % count:
        raise MisfitError(
            f"{model.model} in {precision} needs {count} × {gpu.gpu}, but its {model.q_heads} "
            f"attention heads do not divide among {count}. Choose a larger GPU or fewer bits."
        )
    return count


def checked_count(count: int, model: Model, tables: Tables) -> int:
    """Return the number of GPUs if a replica may have so many.

    Raises
    ------
    InputError
        If it is no power of two, more than a node has, or does not divide the heads.
    """
    node = int(tables.coefficient("gpus_per_node"))
    if not (1 <= count <= node and count & (count - 1) == 0 and model.q_heads % count == 0):
        raise InputError(
            f"gpus_per_replica must be a power of two up to {node} (one node) that divides the "
            f"{model.q_heads} attention heads of {model.model}; got {count}"
        )
    return int(count)


def room(
    model: Model,
    precision: str,
    gpu: Gpu,
    count: int,
    *,
    context_tokens: float,
    kv_precision: str,
    tables: Tables,
) -> int:
    """Return the sequences that a replica of so many GPUs holds beside the weights.

    Raises
    ------
    MisfitError
        If not one fits; the message names the GPUs needed.

    Notes
    -----
    ``W / k + n cache + overhead <= utilisation × memory``, on each of ``k`` GPUs.
    """
    found = _room_for(model, precision, gpu, count, context_tokens, kv_precision, tables)
    if found >= 1:
        return found
    try:
        least = gpus_needed(
            model,
            precision,
            gpu,
            context_tokens=context_tokens,
            tables=tables,
            sequences=1,
            kv_precision=kv_precision,
        )
        remedy = f"It needs {least}."
    except MisfitError as error:
        remedy = str(error)
    raise MisfitError(
        f"{model.model} in {precision} does not fit on {count} × {gpu.gpu} with "
        f"{context_tokens:,.0f} tokens of context. {remedy}"
    )


def cache_tokens(
    model: Model,
    precision: str,
    gpu: Gpu,
    count: int,
    *,
    context_tokens: float,
    kv_precision: str,
    tables: Tables,
) -> float:
    """Return the tokens that the key-value cache of a replica holds beside the weights [tokens].

    As many sequences of that context as fit, and the part of one that is left over: what running
    requests hold is a part of it, and what they leave behind stays until it is overwritten.
    """
    fitting = _sequences(model, precision, gpu, count, context_tokens, kv_precision, tables)
    return max(0.0, fitting) * context_tokens


def batch_limit(gpu: Gpu, tables: Tables) -> int:
    """Return the engine's own limit, which vLLM sets by memory and not for the A100."""
    memory_gib = gpu.memory_gb * BYTES_PER_GB / BYTES_PER_GIB
    large = memory_gib >= tables.coefficient("batch_limit_large_from_gib")
    large = large and gpu.family != "ampere"
    return int(tables.coefficient("batch_limit_large" if large else "batch_limit_small"))


def target_concurrency(gpu: Gpu, tables: Tables) -> int:
    """Return the requests a replica is meant to hold by default, by the memory of its GPU."""
    for size in ("large", "medium"):
        if gpu.vram_gb >= tables.coefficient(f"target_concurrency_{size}_from_gb"):
            return int(tables.coefficient(f"target_concurrency_{size}"))
    return int(tables.coefficient("target_concurrency_small"))


def _room_for(
    model: Model,
    precision: str,
    gpu: Gpu,
    count: int,
    context_tokens: float,
    kv_precision: str,
    tables: Tables,
) -> int:
    """Return the sequences that fit; 0 if the weights do not."""
    return max(
        0, int(_sequences(model, precision, gpu, count, context_tokens, kv_precision, tables))
    )


def _sequences(
    model: Model,
    precision: str,
    gpu: Gpu,
    count: int,
    context_tokens: float,
    kv_precision: str,
    tables: Tables,
) -> float:
    overhead_gb = tables.coefficient(
        "memory_overhead_one_gpu_gb" if count == 1 else "memory_overhead_many_gpus_gb"
    )
    free_gb = (
        tables.coefficient("gpu_memory_utilization") * gpu.memory_gb
        - overhead_gb
        - loaded_gb(model, precision, tables) / count
    )
    each_gb = attention.held_gb(
        model,
        context_tokens=context_tokens,
        gpus=count,
        kv_precision=kv_precision,
        tables=tables,
    )
    return free_gb / each_gb
