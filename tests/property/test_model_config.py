"""Laws of reading a model: hostile files are refused in words, good ones keep what they say."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path

import pytest

from frontier.errors import InputError
from frontier.models.config import read_model_config
from frontier.models.own import (
    contradictions,
    link_text,
    model_from_numbers,
    model_of_link,
    with_model,
)
from frontier.tables import load_tables, look_up

GOLDEN = Path(__file__).parents[1] / "golden" / "model_configs.json"
CONFIGS = {
    name: entry["config"] for name, entry in json.loads(GOLDEN.read_text(encoding="utf-8")).items()
}
LLAMA = {
    "model_type": "llama",
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 14336,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
}


def _read(config):
    content = config if isinstance(config, str | bytes) else json.dumps(config)
    return read_model_config(content, load_tables())


def _without(*names, **more):
    return {key: value for key, value in LLAMA.items() if key not in names} | more


REFUSED = {
    "nothing": ("", "found nothing"),
    "no JSON": ("hidden_size = 4096", "not valid JSON"),
    "a list": ("[1, 2]", "other JSON"),
    "a text": ('"llama"', "other JSON"),
    "no text": (b"\x89PNG\x00\xff\xfe\x00", "no text"),
    "deep": ("[" * 100_000 + "]" * 100_000, "not valid JSON"),
    "deep object": ('{"a":' * 50_000 + "1" + "}" * 50_000, "not valid JSON"),
    "endless digits": ('{"hidden_size": ' + "9" * 6000 + "}", "not valid JSON"),
    "too large": (" " * 6_000_000, "more than"),
    "empty object": ({}, "no model's config.json"),
    "other JSON": ({"name": "frontier", "version": "1"}, "no model's config.json"),
    "scenario": ({"kind": "frontier-scenario", "choices": {}}, "no model's config.json"),
    "tokenizer": ({"tokenizer_class": "LlamaTokenizer"}, "tokenizer"),
    "index": ({"metadata": {"total_size": 1}, "weight_map": {}}, "index of weight files"),
    "adapter": ({"peft_type": "LORA", "r": 8}, "LoRA"),
    "diffusers": ({"_class_name": "UNet2DConditionModel"}, "image model"),
    "image only": ({"vision_config": {"hidden_size": 1}, "model_type": "thing"}, "image model"),
    "image tower": (_without("vocab_size", image_size=224, patch_size=14), "image model"),
    "bert": ({**LLAMA, "model_type": "bert"}, "does not write text"),
    "t5": ({**LLAMA, "is_encoder_decoder": True}, "does not write text"),
    "classifier": ({**LLAMA, "architectures": ["LlamaForSequenceClassification"]}, "write text"),
    "mamba": ({**LLAMA, "model_type": "mamba2"}, "not counted here"),
    "no attention": (_without("num_attention_heads"), "num_attention_heads"),
    "no layers": (_without("num_hidden_layers"), "num_hidden_layers"),
    "no width": (_without("hidden_size"), "hidden_size"),
    "no network": (_without("intermediate_size"), "intermediate_size"),
    "no vocabulary": (_without("vocab_size"), "vocab_size"),
    "zero layers": ({**LLAMA, "num_hidden_layers": 0}, "num_hidden_layers"),
    "1e9 layers": ({**LLAMA, "num_hidden_layers": 10**9}, "layers"),
    "1e12 layers": ({**LLAMA, "num_hidden_layers": 10**12}, "num_hidden_layers"),
    "negative": ({**LLAMA, "hidden_size": -4096}, "hidden_size"),
    "half a layer": ({**LLAMA, "num_hidden_layers": 31.5}, "num_hidden_layers"),
    "not a number": ('{"hidden_size": NaN, "num_hidden_layers": 2}', "hidden_size"),
    "infinite": ('{"hidden_size": 1e999, "num_hidden_layers": 2}', "hidden_size"),
    "true": ({**LLAMA, "hidden_size": True}, "hidden_size"),
    "text": ({**LLAMA, "hidden_size": "4096"}, "hidden_size"),
    "heads": ({**LLAMA, "num_attention_heads": 33}, "divide"),
    "head size": ({**LLAMA, "hidden_size": 4097}, "divide"),
    "more KV heads": ({**LLAMA, "num_key_value_heads": 64}, "divide"),
    "KV heads": ({**LLAMA, "num_key_value_heads": 7}, "divide"),
    "wide": ({**LLAMA, "hidden_size": 10**9}, "expected"),
    "top of experts": (
        {**LLAMA, "num_experts": 8, "num_experts_per_tok": 9},
        "9 of 8 experts",
    ),
    "no top": ({**LLAMA, "num_experts": 8}, "num_experts_per_tok"),
    "unused experts": (
        {**LLAMA, "num_experts": 8, "num_experts_per_tok": 2, "first_k_dense_replace": 32},
        "no layer that uses them",
    ),
    "layer list": ({**LLAMA, "layer_types": ["full_attention"] * 31}, "31 entries for 32"),
    "unknown layer": ({**LLAMA, "layer_types": ["telepathy"] * 32}, "telepathy"),
    "window": ({**LLAMA, "layer_types": ["sliding_attention"] * 32}, "no window"),
    "no attention layer": (
        {**LLAMA, "layer_types": ["mamba"] * 32, "mamba_n_heads": 64, "mamba_d_head": 64},
        "No layer of this config has attention",
    ),
    "experts a part": (
        {**LLAMA, "moe_num_experts": [64, 64], "moe_k": 6},
        "moe_num_experts",
    ),
    "3 bits": ({**LLAMA, "quantization_config": {"quant_method": "gptq", "bits": 3}}, "3 bits"),
    "no bits": ({**LLAMA, "quantization_config": {"quant_method": "magic"}}, "magic"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_right_is_refused_in_words(name):
    """One sentence that says what is wrong; nothing else is ever raised."""
    content, words = REFUSED[name]
    with pytest.raises(InputError) as refusal:
        _read(content)
    said = str(refusal.value)
    assert words in said
    assert len(said) < 400
    said.encode()  # a lone surrogate of the file may not reach the screen


@pytest.mark.parametrize("name", ["model_type", "hidden_size", "layer_types"])
def test_lone_surrogates_do_not_reach_the_screen(name):
    """JSON may hold them; no sentence and no row may."""
    bad = ["\ud800"] * 32 if name == "layer_types" else "\ud800" * 10
    try:
        read = _read({**LLAMA, name: bad})
    except InputError as refusal:
        str(refusal).encode()
    else:
        " ".join(read.assumed).encode()


def test_damaged_configurations_are_read_or_refused():
    """Any value in place of any field: a model that agrees with itself, or a refusal."""
    draw = random.Random(7)
    values = [None, 0, 1, -1, 3, 7, 10**9, 10**30, 0.5, 1e400, True, "x", [], [1], {}, {"a": 1}]
    read = refused = 0
    for _ in range(1500):
        config = copy.deepcopy(CONFIGS[draw.choice(list(CONFIGS))])
        part = config.get("text_config", config) if draw.random() < 0.8 else config
        for key in draw.sample(sorted(part), k=min(2, len(part))):
            part[key] = draw.choice(values)
        try:
            model = _read(config).model
        except InputError as refusal:
            str(refusal).encode()
            refused += 1
        else:
            assert contradictions(model) == []
            read += 1
    assert read > 100
    assert refused > 100


@pytest.mark.parametrize("name", CONFIGS)
def test_a_link_brings_the_same_model(name):
    """What travels is every number of the row, in under 600 letters."""
    model = _read(CONFIGS[name]).model
    text = link_text(model)
    assert len(text) < 600
    assert link_text(model_of_link(text)) == text
    again = model_of_link(text)
    assert again.kv_bytes_per_token == model.kv_bytes_per_token
    assert again.total_params_b == model.total_params_b


def test_links_that_were_tampered_with_are_refused():
    """A cell out of its range, too many cells, or numbers that contradict each other."""
    good = link_text(_read(LLAMA).model)
    cells = good.split("~")
    draw = random.Random(3)
    for _ in range(300):
        bad = list(cells)
        bad[draw.randrange(len(bad))] = draw.choice(["", "-1", "1e99", "nan", "x", "0", "9" * 50])
        try:
            model = model_of_link("~".join(bad))
        except InputError:
            continue
        assert contradictions(model) == []
    for text in ("", "~", good + "~1", good * 9):
        with pytest.raises(InputError):
            model_of_link(text)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_encoding_of_a_file_does_not_matter(encoding):
    """Editors and shells write other encodings; a pasted byte order mark is no obstacle."""
    assert _read(json.dumps(LLAMA).encode(encoding)).model == _read(LLAMA).model
    assert _read("\ufeff" + json.dumps(LLAMA)).model == _read(LLAMA).model


def test_nesting_says_nothing_new():
    """The same fields under text_config are the same model."""
    flat = _read(LLAMA).model
    for part in ("text_config", "llm_config", "language_config"):
        assert _read({"model_type": "thing", part: LLAMA}).model == flat


def test_fewer_bits_are_smaller_and_the_cache_stays():
    """Storing the weights in fewer bits changes the size and nothing of the cache."""
    whole = _read(LLAMA).model
    for method, bits, precision in (("fp8", None, "fp8"), ("awq", 4, "int4"), ("gptq", 8, "fp8")):
        told = {"quant_method": method} | ({"bits": bits} if bits else {})
        read = _read({**LLAMA, "quantization_config": told}).model
        assert read.native_precision == precision
        assert getattr(read, f"{precision}_gb") < whole.bf16_gb
        assert read.bf16_gb is None
        assert read.kv_bytes_per_token == whole.kv_bytes_per_token


def test_tying_the_head_takes_one_embedding_away():
    """The output layer is the embedding: one of the two is gone, and none is left alone."""
    tied, untied = (_read({**LLAMA, "tie_word_embeddings": flag}).model for flag in (True, False))
    embedding_b = 4096 * 128256 / 1e9
    assert untied.total_params_b - tied.total_params_b == pytest.approx(embedding_b, rel=1e-4)
    assert tied.lookup_gb == 0
    assert untied.lookup_gb == pytest.approx(2 * embedding_b, rel=1e-4)


def test_a_window_as_long_as_the_context_is_none():
    """Phi-4-mini's configuration has one of 262,144 tokens in a context of 131,072."""
    for window in (131072, 262144):
        read = _read({**LLAMA, "model_type": "mistral", "sliding_window": window}).model
        assert (read.window_layers, read.full_attention_layers) == (0, 32)
    read = _read({**LLAMA, "model_type": "mistral", "sliding_window": 4096}).model
    assert (read.window_layers, read.kv_bytes_per_token) == (32, 0)


def test_parts_of_a_configuration_are_found_where_they_stand():
    """Omni models nest twice, DBRX keeps its KV heads apart, params.json ties in its own words."""
    flat = _read(LLAMA).model
    assert _read({"thinker_config": {"text_config": LLAMA}}).model == flat
    apart = _without("num_key_value_heads", attn_config={"kv_n_heads": 8})
    assert _read(apart).model == flat
    tied = _read({**LLAMA, "tied_embeddings": True}).model
    assert tied == _read({**LLAMA, "tie_word_embeddings": True}).model


def test_weights_of_several_widths_count_as_the_widest():
    """The cautious reading, and it is said."""
    groups = {
        "group_0": {"weights": {"num_bits": 4, "type": "float", "group_size": 16}},
        "group_1": {"weights": {"num_bits": 8, "type": "float"}},
    }
    told = {"quant_method": "compressed-tensors", "config_groups": groups}
    read = _read({**LLAMA, "quantization_config": told})
    assert read.model.native_precision == "fp8"
    assert any("several widths" in sentence for sentence in read.assumed)


def test_an_unknown_type_is_read_and_said():
    """Whose layers were never checked here is told so; nothing is silently trusted."""
    read = _read({**LLAMA, "model_type": "brandnew"})
    assert any("brandnew" in sentence for sentence in read.assumed)


def test_numbers_alone_give_the_model_they_say():
    """Parameters, layers, KV heads, head size, precision: cache and size follow from them."""
    read = model_from_numbers(
        load_tables(), params_b=8.03, layers=32, kv_heads=8, head_size=128, precision="bf16"
    ).model
    assert read.kv_bytes_per_token == 131072
    assert read.bf16_gb == pytest.approx(16.06)
    assert read.q_heads % read.kv_heads == 0
    for wrong in (
        {"params_b": 0.0},
        {"params_b": float("nan")},
        {"layers": 0},
        {"kv_heads": -1},
        {"head_size": 10**9},
        {"precision": "fp3"},
        {"experts": 8},
        {"active_params_b": 3.0},
        {"q_heads": 9},
    ):
        told = {"params_b": 8.0, "layers": 32, "kv_heads": 8, "head_size": 128} | wrong
        with pytest.raises(InputError):
            model_from_numbers(load_tables(), **told)


def test_an_own_model_stands_beside_the_others():
    """It is one row more, found by its name, and takes no other's place."""
    tables = load_tables()
    more = with_model(tables, _read(LLAMA).model)
    assert len(more.models) == len(tables.models) + 1
    assert more.model("yours").total_params_b == pytest.approx(8.03, rel=1e-3)


@pytest.mark.parametrize(
    "asked",
    ["DeepSeek-V5-Flash", "Llama-5-8B", "GLM-6", "Qwen9-8B", "gpt-4o", "mistral-nothing/Phi-9"],
)
def test_another_family_is_never_offered(asked):
    """Who asks for a version that is not there is not offered another version."""
    with pytest.raises(InputError) as refusal:
        look_up(load_tables().models, asked, "model")
    assert "Did you mean" not in str(refusal.value)


@pytest.mark.parametrize(
    ("asked", "offered"),
    [
        ("Llama-3.1-8B", "Llama-3.1-8B-Instruct"),
        ("lama-3.1-8b-instruct", "Llama-3.1-8B-Instruct"),
        ("deepseek-ai/DeepSeek-V4", "DeepSeek-V4-Pro"),
        ("gpt-oss-20", "gpt-oss-20b"),
    ],
)
def test_a_slip_is_still_helped(asked, offered):
    """A missing ending or a slip of a letter finds the model of the same family and version."""
    with pytest.raises(InputError) as refusal:
        look_up(load_tables().models, asked, "model")
    assert offered in str(refusal.value)
