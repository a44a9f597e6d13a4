"""A model's published config.json, as a row like those of data/models.csv.

`read_model_config` gives a `ReadModel`: the row, and a sentence for everything that was assumed.
It sizes language models that write text token by token. Encoders, image models and models
without attention are refused in words.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from frontier import units
from frontier.boundary import reads, told_once
from frontier.errors import InputError
from frontier.models.fields import Fields, shown
from frontier.models.mixers import Layer
from frontier.models.own import (
    OWN_FAMILY,
    OWN_MODEL,
    OWN_MODEL_SOURCE,
    PRECISIONS,
    ReadModel,
    checked,
    in_gb,
)
from frontier.models.shape import Shape, count_layers
from frontier.tables import Model, Tables

_PER_BILLION = 1e9
_TEXT_PARTS = ("thinker_config", "text_config", "llm_config", "language_config")
_NESTED_PARTS = ("attn_config",)
_INHERITED = ("tie_word_embeddings", "quantization_config", "torch_dtype", "dtype", "quantization")
_INDEX_SCALE_BYTES = 4  # the fp32 scale that is kept with each fp8 key of an indexer
_ENCODERS = (
    *("bert", "roberta", "xlm-roberta", "deberta", "electra", "albert", "distilbert", "mpnet"),
    *("modernbert", "nomic_bert", "t5", "mt5", "umt5", "bart", "mbart", "pegasus", "marian"),
    *("m2m_100", "whisper", "wav2vec2", "clip", "siglip", "vit", "dinov2", "detr", "swin", "sam"),
    *("blip", "layoutlm", "longformer", "big_bird", "esm", "hubert", "speecht5", "encodec"),
)
_NOT_COVERED = (
    *("falcon_h1", "zamba", "recurrent_gemma", "rwkv", "mamba", "falcon_mamba", "xlstm"),
    *("openelm", "glm5_next", "mistral_large4", "minimax_m3", "longcat", "phi4flash", "gemma3n"),
    *("plamo", "step3_text", "hunyuan_v1_moe", "openai-gpt", "jetmoe", "zaya"),
)
_CHECKED = (
    *("llama", "llama4", "mistral", "mixtral", "qwen2", "qwen3", "gemma2", "gemma3", "gemma4"),
    *("phi3", "deepseek_v2", "deepseek_v3", "deepseek_v32", "deepseek_v4", "kimi", "glm4_moe"),
    *("glm_moe_dsa", "gpt_oss", "minimax_m2", "nemotron", "falcon", "opt", "olmo", "granite"),
    *("ministral3", "deci", "mimo_v2", "cohere", "starcoder2", "gpt_neox", "gpt2", "internlm"),
)
_OTHER_FILES = {
    "weight_map": "an index of weight files",
    "peft_type": "a LoRA adapter",
    "_class_name": "a part of an image model (diffusers)",
    "tokenizer_class": "a tokenizer's configuration",
    "added_tokens": "a tokenizer",
    "image_processor_type": "an image processor's configuration",
    "feature_extractor_type": "a feature extractor's configuration",
    "openapi": "an API description",
}


# More than any layer is wide, so that no product of two is endless.
_WIDEST = 10**6
_TEXTS = (
    (r"^version https://git-lfs", "a pointer of Git LFS; download the file itself"),
    (r"<!doctype html|<html", "a web page"),
    (r"general\.architecture|print_info: |llama_model_loader: - kv", "what a GGUF file says of "
     "itself; give the config.json of the model it was made of"),
    (r"\A---\s*$|^# ", "a model card"),
    (r"^FROM \S", "a Modelfile or a Dockerfile"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Stored:
    """How a checkpoint stores its weights.

    ``experts_only``: the rest is in 16 bits. ``rest_bytes``: of what is neither an expert nor
    kept in 16 bits, where that is different [B].
    """

    precision: str
    bytes_each: float
    experts_only: bool = False
    rest_bytes: float | None = None
    everything: bool = False


# --- from a configuration ------------------------------------------------------------------------


@reads("The model's configuration")
def read_model_config(content: bytes | str, tables: Tables, *, name: str = OWN_MODEL) -> ReadModel:
    """Return the model that a config.json describes.

    Parameters
    ----------
    content : bytes or str
        The file, or what was pasted of it.
    tables : Tables
        Whose settings bound the size, and whose coefficients size a quantised checkpoint.
    name : str
        What the row is called.

    Raises
    ------
    InputError
        If it is no configuration of a language model, or cannot be right; one sentence.
    """
    told = _parsed(content, tables)
    fields = _text_fields(told)
    assumed = _fill_in(fields, tables)
    shape = count_layers(fields)
    assumed += shape.assumed
    stored = _stored(fields, assumed)
    if not fields.kind.startswith(_CHECKED) and fields.told.get("dim") is None:
        which = f"of the type {shown(fields.kind)}" if fields.kind else "without a model_type"
        assumed.append(
            f"Configurations {which} were not checked here: read as ordinary layers of attention "
            "and feed-forward networks."
        )
    context = fields.maybe("context")
    if context is None:
        context = int(tables.setting("own_model_context_tokens"))
        assumed.append(f"Longest context taken as {context:,} tokens: the config does not say.")
    model = _row(shape, stored, context, name, tables)
    return ReadModel(checked(model), tuple(dict.fromkeys(assumed)))


def _parsed(content: bytes | str, tables: Tables) -> dict[str, Any]:
    """Return the JSON object, or say what else it is."""
    most = int(tables.setting("model_config_max_bytes"))
    if len(content) > most:
        raise InputError(
            "A model's config.json has a few kB; this has more than the "
            f"{most / units.BYTES_PER_MB:g} MB that are read."
        )
    content = (content if isinstance(content, str) else _text_of(content)).lstrip("\ufeff")
    if not content.strip():
        raise InputError("Expected a model's config.json, found nothing.")
    told = _object(content)
    if told is None:
        what = next(
            (words for pattern, words in _TEXTS if re.search(pattern, content[:2000], re.M | re.I)),
            "something that is not valid JSON",
        )
        raise InputError(f"Expected a model's config.json, found {what}.")
    if not isinstance(told, dict):
        raise InputError("Expected a model's config.json, an object in braces; found other JSON.")
    return told


def _text_of(content: bytes) -> str:
    """Return the text of a file, by its mark or the zeros beside its first characters."""
    what, encoding = "", "utf-16-le" if content[1:2] == b"\0" else "utf-8-sig"
    if content.startswith(b"GGUF"):
        what = "weights in a GGUF file; give the config.json of the model they were made of"
    elif content[8:10] in (b'{"', b"{ ") and 0 in content[:8]:
        what = "weights in a safetensors file; give the config.json beside them"
    elif content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-16"
    elif content[:1] == b"\0":
        encoding = "utf-16-be"
    try:
        text = "" if what else content.decode(encoding)
    except UnicodeDecodeError:
        what = "a file that is no text"
    if what:
        raise InputError(f"Expected a model's config.json, found {what}.")
    return text


def _object(content: str) -> object:
    """Return the JSON of a text, also as people paste it; None if there is none.

    Between the marks of Markdown, behind the name of its class, with comments or commas too many,
    or as Python prints it.
    """
    text = re.sub(r"\A\s{0,100}```\w{0,20}[^\n]{0,20}\n|\n```\s{0,100}\Z", "", content.strip())
    text = re.sub(r"\A\w{1,60}Config\s{0,10}(?=\{)", "", text.strip())
    bare = re.sub(r"^[ \t]{0,100}//[^\n]{0,1000}$", "", text, flags=re.M)
    bare = re.sub(r",(?=\s{0,1000}[}\]])", "", bare)
    for found in (text, bare):
        try:
            return cast(object, json.loads(found, object_pairs_hook=told_once("the config")))
        except InputError:
            raise
        except (ValueError, RecursionError):
            continue
    try:
        read = ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None
    return read if isinstance(read, dict) else None


def _text_fields(told: Mapping[str, Any]) -> Fields:
    """Return the fields of the language model in a configuration, or refuse what has none."""
    outer = told
    for part in _TEXT_PARTS:
        inner = told.get(part)
        if isinstance(inner, dict) and inner:
            inherited = {key: told[key] for key in _INHERITED if told.get(key) is not None}
            towers = {key: told[key] for key in ("vision_config", "audio_config") if key in told}
            told = {**inherited, **towers, **inner}
    kind = told.get("model_type") or outer.get("model_type") or ""
    kind = kind if isinstance(kind, str) else ""
    for part in _NESTED_PARTS:
        inner = told.get(part)
        told = {**inner, **told} if isinstance(inner, dict) else told
    told = _with_width(told)
    fields = Fields(dict(told), kind)
    architectures = outer.get("architectures")
    names = architectures if isinstance(architectures, list) else []
    first = names[0] if names and isinstance(names[0], str) else ""
    if (
        True in (told.get("is_encoder_decoder"), outer.get("is_encoder_decoder"))
        or kind.startswith(_ENCODERS)
        or first.endswith(("ForMaskedLM", "ForSequenceClassification", "ForTokenClassification"))
    ):
        raise InputError(
            f"This is the config of {shown(kind or first)}, a model that does not write text token "
            "by token; Frontier covers decoder language models."
        )
    if kind.startswith(_NOT_COVERED):
        raise InputError(
            f"Models of the type {shown(kind)} have layers that are not counted here. Give its "
            "parameters, layers, KV heads, head size and precision instead."
        )
    if fields.maybe("hidden") is None and fields.maybe("layers") is None:
        for key, what in _OTHER_FILES.items():
            if key in outer:
                raise InputError(f"This looks like {what}, not a model's config.json.")
        if "vision_config" in outer or "image_size" in outer:
            raise InputError("This is the config of an image model: it has no language model.")
        raise InputError(
            "This is no model's config.json: it has neither hidden_size nor num_hidden_layers."
        )
    if "image_size" in told and "patch_size" in told and fields.maybe("vocabulary") is None:
        raise InputError("This is the config of an image model: it has no vocabulary.")
    return fields


def _with_width(told: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return Meta's ``params.json`` with the width of its feed-forward networks.

    It gives the factor and the step of it: two thirds of four times ``dim``, by the factor, up to
    the next step.
    """
    dim, step = told.get("dim"), told.get("multiple_of")
    factor = told.get("ffn_dim_multiplier") or 1.0
    if "hidden_dim" in told or not isinstance(dim, int) or not isinstance(step, int):
        return told
    is_sound = 0 < dim < _WIDEST and 0 < step < _WIDEST and isinstance(factor, int | float)
    if not is_sound or not 0 < factor < _WIDEST:
        return told
    width = int(factor * int(2 * 4 * dim / 3))
    return {**told, "hidden_dim": step * -(-width // step)}


def _fill_in(fields: Fields, tables: Tables) -> list[str]:
    """Fill in what configurations of this type leave to their library; say so."""
    filled = []
    for row in tables.config_defaults.values():
        if row.model_type == fields.kind and fields.told.get(row.field) is None:
            fields.told[row.field] = row.value
            filled.append(f"{row.field} {row.value:,}")
    return [f"Not in the config, and taken as the library has it: {', '.join(filled)}."] * bool(
        filled
    )


# --- how the weights are stored ------------------------------------------------------------------


def _stored(fields: Fields, assumed: list[str]) -> _Stored:
    """Return how the checkpoint stores its weights."""
    told = fields.part("quantization_config") or fields.part("compression_config")
    if fields.part("quantization") and not told:
        told = {"quant_method": "mlx", **fields.part("quantization")}
    named = [key for key in ("quantization_config", "quantization") if fields.told.get(key)]
    if named and not told:
        raise InputError(
            f"{named[0]}: expected an object that says how weights are stored, found "
            f"{shown(fields.told[named[0]])}."
        )
    if not told:
        if "32" in (fields.text("torch_dtype") or fields.text("dtype")):
            assumed.append("The config says 32 bits; sizes are those of a 16-bit checkpoint.")
        return _Stored("bf16", 2.0)
    bits, group, is_float, method = _quantisation(told)
    if _has_several_widths(told):
        assumed.append("Weights are stored in several widths; all are counted as the widest.")
    if _keeps_cache_small(told):
        assumed.append("The config asks for an 8-bit cache; the cache is given in 16 bits here.")
    if bits == 16:
        return _Stored("bf16", 2.0)
    if bits == 8:
        if fields.text("expert_dtype") == "fp4":
            return _Stored("fp4", 0.5 + 1 / 32, rest_bytes=1.0)
        if not is_float:
            assumed.append("Weights of 8-bit integers are counted as fp8.")
        return _Stored("fp8", 1.0)
    if bits != 4:
        raise InputError(
            f"quantization_config: weights of {bits} bits are not covered; there are "
            f"{', '.join(PRECISIONS)}."
        )
    if method == "mxfp4":
        return _Stored("fp4", 0.5 + 1 / 32, experts_only=True)
    # A scale a group: one byte of nvfp4, two of the others, and half a one for a zero point.
    has_zero = method in ("awq", "gptq", "mlx") and not is_float
    each = 0.5 + (1 if is_float else 2.5 if has_zero else 2) / group
    skipped = told.get("ignore") or told.get("modules_to_not_convert") or ()
    text = " ".join(map(str, skipped)) if isinstance(skipped, list) else ""
    return _Stored(
        "fp4" if is_float else "int4",
        each,
        experts_only="self_attn" in text and fields.maybe("experts") is not None,
        everything=method == "mlx",
    )


def _quantisation(told: Mapping[str, Any]) -> tuple[int, int, bool, str]:
    """Return bits a weight, weights a scale, whether they are floats, and the method."""
    words = [str(told.get(key, "")).casefold() for key in ("quant_method", "quant_algo", "format")]
    method, every = words[0], " ".join(words)
    inner = told
    groups = _weight_groups(told)
    if groups:
        # The widest group: what is not told apart is counted as costing more.
        inner = max(
            groups, key=lambda group: Fields(dict(group), "").maybe("num_bits", least=0) or 0
        )
    dtype = _quark_type(told)
    if dtype:
        every, inner = f"{every} {dtype}", {**told, **_QUARK.get(dtype, {})}
    part = Fields(dict(inner), "")
    bits = next(
        (
            found
            for name in ("num_bits", "bits", "w_bit", "weight_bits", "nbits")
            if (found := part.maybe(name)) is not None
        ),
        None,
    )
    if "mxfp4" in every:
        return 4, part.integer("group_size", 32), True, method
    if "nvfp4" in every:
        return 4, part.integer("group_size", 16), True, method
    if bits is None:
        if told.get("load_in_4bit") is True or "w4a16" in every:
            bits = 4
        elif "fp8" in every or "float8" in every or told.get("load_in_8bit") is True:
            return 8, 128, True, method
        else:
            raise InputError(
                f"quantization_config: the method {shown(told.get('quant_method'))} does not say "
                "how many bits a weight has."
            )
    is_float = str(inner.get("type", "")).casefold() == "float"
    group = part.maybe("group_size", least=-1) or 128
    return bits, group if group > 0 else 10**6, is_float, method


_QUARK: dict[str, dict[str, Any]] = {
    "fp8_e4m3": {"bits": 8, "type": "float"},
    "fp8_e5m2": {"bits": 8, "type": "float"},
    "fp4": {"bits": 4, "type": "float", "group_size": 32},
    "int8": {"bits": 8, "type": "int"},
    "int4": {"bits": 4, "type": "int"},
    "uint4": {"bits": 4, "type": "int"},
}


def _quark_type(told: Mapping[str, Any]) -> str:
    """Return how AMD's Quark stores weights; empty for any other method."""
    whole = told.get("global_quant_config")
    weight = whole.get("weight") if isinstance(whole, dict) else None
    return str(weight.get("dtype", "")).casefold()[:40] if isinstance(weight, dict) else ""


def _weight_groups(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    groups = told.get("config_groups")
    found = groups.values() if isinstance(groups, dict) else ()
    weights = [group.get("weights") for group in found if isinstance(group, dict)]
    return [group for group in weights if isinstance(group, dict)]


def _has_several_widths(told: Mapping[str, Any]) -> bool:
    return len({str(group.get("num_bits")) for group in _weight_groups(told)}) > 1


def _keeps_cache_small(told: Mapping[str, Any]) -> bool:
    scheme = told.get("kv_cache_scheme")
    return isinstance(scheme, dict) and scheme.get("num_bits") == 8


# --- the row -------------------------------------------------------------------------------------


def _row(shape: Shape, stored: _Stored, context: int, name: str, tables: Tables) -> Model:
    """Return the row of a counted model."""
    dense = sum(layer.mixer_params + layer.dense_params for layer in shape.layers)
    routed = sum(layer.expert_params for layer in shape.layers)
    total = dense + routed + shape.embedding + shape.head + shape.unread
    share = 1.0
    if shape.experts and shape.experts_per_token:
        share = shape.experts_per_token / shape.experts
    active = dense + routed * share + shape.embedding + shape.head
    full = [layer for layer in shape.layers if layer.mixer == "full"]
    windowed = [layer for layer in shape.layers if layer.mixer in ("sliding", "chunked")]
    state = [layer for layer in shape.layers if layer.mixer == "state"]
    sparse = [layer for layer in full if layer.is_sparse]
    whole = [layer for layer in full if not layer.is_sparse]
    indexers = [layer for layer in full if layer.has_indexer]
    shown_as = full or windowed
    if not shown_as:
        raise InputError("No layer of this config has attention: such models are not covered.")
    sizes = _sizes(shape, stored, dense, routed, tables)
    window_bytes = 2.0 * sum(
        layer.cached if layer.mixer != "full" else layer.window_cached
        for layer in shape.layers
        if layer.mixer in ("sliding", "chunked", "full")
    )
    return Model(
        model=name,
        repo=name,
        family=OWN_FAMILY,
        architecture="moe" if shape.experts else "dense",
        total_params_b=round(total / _PER_BILLION, 6),
        active_params_b=round(active / _PER_BILLION, 6),
        layers=len(shape.layers),
        hidden=shape.hidden,
        q_heads=shape.q_heads,
        kv_heads=min(layer.kv_heads for layer in shown_as),
        attention_width=_mean([layer.width for layer in shown_as]),
        full_attention_layers=len(full),
        attention=_attention_words(shape, full, windowed, state),
        experts=shape.experts,
        experts_per_token=shape.experts_per_token,
        native_precision=stored.precision,
        **sizes,
        lookup_gb=in_gb(2 * ((shape.embedding if shape.head else 0) + shape.unread)),
        kv_bytes_per_token=sum(2 * layer.cached / layer.per_entry for layer in full),
        context_per_entry=_per_entry(whole),
        sparse_layers=len(sparse),
        sparse_top_tokens=shape.top_tokens if sparse else None,
        sparse_context_per_entry=_per_entry(sparse),
        indexer_layers=len(indexers),
        indexer_width=shape.indexer_width if indexers else 0,
        indexer_bytes_per_token=sum(
            (shape.indexer_key + _INDEX_SCALE_BYTES) / layer.per_entry for layer in indexers
        ),
        window_layers=len(windowed),
        window_tokens=shape.window if window_bytes or windowed else None,
        window_kind=None
        if not (window_bytes or windowed)
        else "chunked"
        if any(layer.mixer == "chunked" for layer in windowed)
        else "sliding",
        window_width=_mean([layer.width for layer in windowed]) if windowed else None,
        window_kv_heads=min(layer.kv_heads for layer in windowed) if windowed else None,
        window_bytes_per_token=window_bytes,
        linear_layers=len(state),
        state_bytes_per_sequence=sum(layer.state_bytes for layer in state),
        mtp_layers=shape.mtp_layers,
        mtp_params_b=round(shape.mtp_params / _PER_BILLION, 6),
        max_context_tokens=context,
        vocabulary=shape.vocabulary,
        licence=None,
        basis="derived",
        source_id=OWN_MODEL_SOURCE,
        note=None,
    )


def _mean(widths: list[int]) -> int:
    return round(sum(widths) / len(widths))


def _per_entry(layers: list[Layer]) -> float:
    """Return the context that an entry stands for, over layers that may differ in it."""
    return len(layers) / sum(1 / layer.per_entry for layer in layers) if layers else 1.0


def _sizes(
    shape: Shape, stored: _Stored, dense: int, routed: int, tables: Tables
) -> dict[str, float | None]:
    """Return the checkpoint's size in each precision it can be had in [GB].

    Embedding, output layer, tables and towers stay in 16 bits. A checkpoint that is already
    quantised is only known as it is.
    """
    kept = 2.0 * (shape.embedding + shape.head + shape.unread + shape.mtp_embedding)
    linear = dense + shape.mtp_params - shape.mtp_experts - shape.mtp_embedding
    routed += shape.mtp_experts
    if stored.precision == "bf16":
        return {
            f"{precision}_gb": in_gb(kept + (linear + routed) * _bytes_each(precision, tables))
            for precision in PRECISIONS
        }
    if stored.everything:
        kept *= stored.bytes_each / 2
    if stored.experts_only:
        size = kept + 2 * linear + routed * stored.bytes_each
    else:
        size = kept + linear * (stored.rest_bytes or stored.bytes_each)
        size += routed * stored.bytes_each
    empty: dict[str, float | None] = {f"{precision}_gb": None for precision in PRECISIONS}
    return {**empty, f"{stored.precision}_gb": in_gb(size)}


def _bytes_each(precision: str, tables: Tables) -> float:
    """Return the bytes of a weight of a checkpoint that somebody makes in that precision [B]."""
    if precision in ("int4", "fp4"):
        return tables.coefficient(f"checkpoint_bytes_per_param_{precision}")
    return tables.coefficient(f"bytes_per_param_{precision}")


def _attention_words(
    shape: Shape, full: list[Layer], windowed: list[Layer], state: list[Layer]
) -> str:
    one = (full or windowed)[0]
    groups = one.kv_heads
    words = "MHA" if groups == shape.q_heads else "MQA" if groups == 1 else "GQA"
    if shape.latent:
        words = "MLA" if all(layer.per_entry == 1 for layer in full) else "compressed"
    if any(layer.is_sparse for layer in full):
        words += " + sparse"
    kinds = {
        "linear or state-space": len(state),
        "chunked": sum(layer.mixer == "chunked" for layer in windowed),
        "sliding": sum(layer.mixer == "sliding" for layer in windowed),
    }
    parts = [f"{number} {kind}" for kind, number in kinds.items() if number]
    return f"{', '.join(parts)}, {len(full)} full: {words}" if parts else words
