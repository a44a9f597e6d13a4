"""Which layer of a model keeps the whole context, a window of it, or a state."""

from __future__ import annotations

from frontier.errors import InputError
from frontier.models.fields import LONGEST_LIST, Fields, shown

_WINDOW_EVERYWHERE = frozenset(("mistral", "mixtral", "phi3", "starcoder2", "phimoe"))
_KINDS = {
    **dict.fromkeys(("full_attention", "attention", "global_attention", "full", "*"), "full"),
    "deepseek_sparse_attention": "full",
    **dict.fromkeys(("sliding_attention", "local_attention", "sliding_window"), "sliding"),
    "chunked_attention": "chunked",
    **dict.fromkeys(("linear_attention", "kda"), "linear"),
    **dict.fromkeys(("mamba", "mamba2", "M"), "mamba"),
    "conv": "conv",
    **dict.fromkeys(("mlp", "moe", "-", "E"), "none"),
    "compressed_sparse_attention": "compressed 4",
    "heavily_compressed_attention": "compressed 128",
}


def kinds_of_layers(fields: Fields, assumed: list[str]) -> list[str]:
    """Return the kind of each layer, in order."""
    pattern = fields.text("hybrid_override_pattern")
    named = list(pattern) if pattern else fields.each("layers_block_type")
    # Blocks are counted by their list; a number of layers beside it must agree.
    count = fields.integer("layers", len(named) if named else None)
    if count > LONGEST_LIST:
        raise InputError(f"{count:,} layers: no model has more than {LONGEST_LIST:,}.")
    if named is None:
        named = fields.per_layer("layer_types", count)
    if named is not None:
        if len(named) != count:
            raise InputError(f"{len(named)} kinds of layers are listed for {count} layers.")
        unknown = [kind for kind in named if not isinstance(kind, str) or kind not in _KINDS]
        if unknown:
            raise InputError(f"Layers of the kind {shown(unknown[0])} are not known here.")
        kinds = [_KINDS[kind] for kind in named]
    else:
        kinds = _kinds_by_rule(fields, count, assumed)
    if window_of(fields) is None and "sliding" in kinds:
        if fields.maybe("window", least=0) is None:
            raise InputError("The config lists layers with a sliding window, but no window.")
        kinds = ["full" if kind == "sliding" else kind for kind in kinds]
    return kinds


def _kinds_by_rule(fields: Fields, count: int, assumed: list[str]) -> list[str]:
    """Return the kinds of layers from a rule such as "every fourth"."""
    told, window = fields.told, window_of(fields)
    if ratios := fields.each("compress_ratios"):
        if len(ratios) < count:
            raise InputError(f"compress_ratios has {len(ratios)} entries for {count} layers.")
        whole = [_whole(ratio, "compress_ratios", least=0) for ratio in ratios[:count]]
        return [f"compressed {ratio}" if ratio > 1 else "sliding" for ratio in whole]
    linear = fields.part("linear_attn_config")
    if isinstance(linear.get("full_attn_layers"), list):
        full = set(map(str, linear["full_attn_layers"][:LONGEST_LIST]))
        return ["full" if str(number + 1) in full else "linear" for number in range(count)]
    if every := fields.maybe("full_attention_interval"):
        return ["linear" if (number + 1) % every else "full" for number in range(count)]
    if fields.kind == "qwen3_next":
        return ["linear" if (number + 1) % 4 else "full" for number in range(count)]
    if listed := fields.per_layer("attn_type_list", count):
        return ["full" if entry == 1 else "linear" for entry in listed]
    if (period := fields.maybe("attn_layer_period")) is not None:
        offset = fields.integer("attn_layer_offset", 0, least=0)
        return ["full" if number % period == offset else "mamba" for number in range(count)]
    if isinstance(told.get("attn_layer_indices"), list):
        full = set(map(str, told["attn_layer_indices"][:LONGEST_LIST]))
        return ["full" if str(number) in full else "mamba" for number in range(count)]
    if listed := fields.per_layer("block_configs", count):
        return ["none" if skips(entry, "attention") else "full" for entry in listed]
    if window is not None and (listed := fields.per_layer("hybrid_layer_pattern", count)):
        return ["sliding" if entry == 1 else "full" for entry in listed]
    if fields.maybe("attention_chunk_size") is not None and fields.kind.startswith("llama4"):
        return _llama4(fields, count)
    if window is None or not _window_is_used(fields):
        return ["full"] * count
    return _windowed(fields, count, assumed)


def _llama4(fields: Fields, count: int) -> list[str]:
    """Return chunked layers, and every fourth without positions and with the whole context."""
    listed = fields.per_layer("no_rope_layers", count)
    every = fields.integer("no_rope_layer_interval", 4)
    uses_rope = listed or [int((number + 1) % every != 0) for number in range(count)]
    return ["chunked" if uses else "full" for uses in uses_rope]


def _windowed(fields: Fields, count: int, assumed: list[str]) -> list[str]:
    """Return the layers of a model with a window that lists no kinds of layers."""
    every = fields.maybe("sliding_window_pattern") or {
        "gemma2": 2,
        "gpt_oss": 2,
        "gemma3_text": 6,
        "gemma3": 6,
        "gemma4": 6,
        "gemma4_text": 6,
        "cohere2": 4,
        "olmo3": 4,
    }.get(fields.kind)
    if every is not None:
        kinds = ["sliding" if (number + 1) % every else "full" for number in range(count)]
        if fields.kind.startswith("gemma4"):
            kinds[-1] = "full"
        return kinds
    if fields.kind in ("qwen2", "qwen3", "qwen2_moe", "qwen3_moe"):
        full = min(count, fields.integer("max_window_layers", 0, least=0))
        return ["full"] * full + ["sliding"] * (count - full)
    if fields.kind in _WINDOW_EVERYWHERE:
        return ["sliding"] * count
    assumed.append(
        f"The config has a window of {window_of(fields):,} tokens and does not say in which "
        "layers: all are taken to keep the whole context, the costlier reading."
    )
    return ["full"] * count


def window_of(fields: Fields) -> int | None:
    """Return the tokens of a window or chunk, None where there is none below the context."""
    if fields.kind.startswith("llama4"):
        return fields.maybe("attention_chunk_size")
    window, context = fields.maybe("window", least=0), fields.maybe("context")
    return window if window and not (context and window >= context) else None


def _window_is_used(fields: Fields) -> bool:
    usual = fields.kind not in ("qwen2", "qwen3", "qwen2_moe", "qwen3_moe")
    return fields.flag("use_sliding_window", usual)


def skips(entry: object, part: str) -> bool:
    """Return whether a block of a searched network does without that part."""
    inner = entry.get(part) if isinstance(entry, dict) else None
    return isinstance(inner, dict) and inner.get("no_op") is True


def _whole(value: object, name: str, *, least: int = 1) -> int:
    return Fields({name: value}, "").integer(name, least=least)
