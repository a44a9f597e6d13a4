"""Configurations of released models, read against the rows of data/models.csv.

The configurations hold the numbers of each architecture only; `source` is a row of
data/sources.csv. A row whose size was read from the published files is met within a hundredth.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from frontier.errors import InputError
from frontier.models.config import read_model_config
from frontier.models.own import in_words
from frontier.tables import load_tables

CONFIGS = json.loads((Path(__file__).with_name("model_configs.json")).read_text(encoding="utf-8"))
EXACT = (
    *("layers", "hidden", "q_heads", "kv_heads", "attention_width", "experts"),
    *("experts_per_token", "native_precision", "kv_bytes_per_token", "context_per_entry"),
    *("full_attention_layers", "sparse_layers", "sparse_top_tokens", "sparse_context_per_entry"),
    *("indexer_layers", "indexer_width", "indexer_bytes_per_token", "window_layers"),
    *("window_tokens", "window_kind", "window_width", "window_kv_heads"),
    *("window_bytes_per_token", "linear_layers", "state_bytes_per_sequence", "mtp_layers"),
    *("vocabulary", "max_context_tokens", "architecture"),
)


def _read(name):
    return read_model_config(json.dumps(CONFIGS[name]["config"]), load_tables()).model


@pytest.mark.parametrize("name", CONFIGS)
def test_shape_and_cache_come_out_as_in_the_table(name):
    """Layers, heads, cache, windows and state are whole numbers: they agree exactly."""
    read, row = _read(name), load_tables().models[name]
    differs = {
        column: (getattr(read, column), getattr(row, column))
        for column in EXACT
        if getattr(read, column) != getattr(row, column)
    }
    assert not differs


@pytest.mark.parametrize("name", CONFIGS)
def test_parameters_and_checkpoint_come_out_as_in_the_table(name):
    """Published counts are met within 1.5 %; no model's size is far from its parameters.

    Rounded figures of vendors are the rows that differ at all.
    """
    read, row = _read(name), load_tables().models[name]
    assert read.total_params_b == pytest.approx(row.total_params_b, rel=0.015)
    size = f"{row.native_precision}_gb"
    assert getattr(read, size) == pytest.approx(getattr(row, size), rel=0.01)


@pytest.mark.parametrize("name", CONFIGS)
def test_every_configuration_names_where_it_was_read(name):
    """The source of a configuration is one of data/sources.csv."""
    assert CONFIGS[name]["source"] in load_tables().sources


@pytest.mark.parametrize(
    ("name", "total_b", "active_b"),
    [
        ("DeepSeek-V3", 671, 37),
        ("DeepSeek-V4-Pro", 1600, 49),
        ("DeepSeek-V4-Flash", 284, 13),
        ("Nemotron-3-Nano-30B-A3B", 31.6, 3.6),
        ("Mistral-Large-3-675B-Instruct-2512", 673, 41),
        ("Mistral-Small-4-119B-2603", 119, 6.5),
        ("granite-4.0-h-small", 32, 9),
        ("Kimi-K2-Instruct", 1026, 32),
        ("Llama-4-Maverick-17B-128E-Instruct", 400, 17),
    ],
)
def test_counts_agree_with_what_the_vendors_state(name, total_b, active_b):
    """Parameters in all and at work, as the model cards have them, rounded as they are."""
    read = _read(name)
    assert read.total_params_b == pytest.approx(total_b, rel=0.02)
    assert read.active_params_b == pytest.approx(active_b, rel=0.07)


def test_an_8b_is_said_back_in_words():
    """What a person sees of their configuration: the three numbers that size a deployment."""
    assert in_words(_read("Llama-3.1-8B-Instruct")) == (
        "8.0 B parameters, 131 kB of cache a token, 16.1 GB in bf16"
    )


def test_what_else_a_sequence_holds_is_said_too():
    """Windows, state and a mixture of experts are named, so that a misreading can be seen."""
    assert "17.2 B at work for a token" in in_words(_read("Llama-4-Scout-17B-16E-Instruct"))
    assert "within 8,192 tokens" in in_words(_read("Llama-4-Scout-17B-16E-Instruct"))
    assert "154 MB of state a sequence" in in_words(_read("Qwen3.5-27B"))


def test_the_tied_head_that_a_checkpoint_stores_is_counted():
    """Qwen3-0.6B's file has 1,503,264,768 bytes of weights: the embedding twice."""
    rows = load_tables().models
    assert rows["Qwen3-0.6B"].bf16_gb == pytest.approx(1.503264768, rel=1e-4)
    assert rows["Qwen3-1.7B"].bf16_gb == pytest.approx(4.06348, rel=1e-4)


def test_glm_5_heads_are_256_wide():
    """192 + 64 for queries and keys and 256 for values, 64 heads of them: 16,384."""
    for name in ("GLM-5", "GLM-5.1", "GLM-5.2"):
        assert load_tables().models[name].attention_width == 16_384


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("gemma-3-4b-it", {"hidden_size": 2560, "intermediate_size": 10240, "layers": 34}),
        (
            "gemma-3-12b-it",
            {
                "hidden_size": 3840,
                "intermediate_size": 15360,
                "layers": 48,
                "num_attention_heads": 16,
                "num_key_value_heads": 8,
            },
        ),
    ],
)
def test_what_a_config_leaves_to_its_library_is_filled_in_and_said(name, told):
    """Gemma 3's configurations leave heads, vocabulary and context out."""
    text = {"model_type": "gemma3_text", "sliding_window": 1024, **told}
    text["num_hidden_layers"] = text.pop("layers")
    content = json.dumps({"model_type": "gemma3", "text_config": text})
    read, row = read_model_config(content, load_tables()), load_tables().models[name]
    for column in ("kv_bytes_per_token", "window_bytes_per_token", "window_layers", "q_heads"):
        assert getattr(read.model, column) == getattr(row, column), column
    assert any("head_dim 256" in sentence for sentence in read.assumed)


PLAIN = CONFIGS["Llama-3.1-8B-Instruct"]["config"]


def _printed(**more):
    return json.dumps({**PLAIN, **more}, indent=2)


@pytest.mark.parametrize(
    "content",
    [
        f"```json\n{_printed()}\n```\n",
        f"LlamaConfig {_printed()}\n",
        _printed()[:-2] + ",\n}",
        _printed().replace('"model_type"', '// which one\n  "model_type"'),
        repr(PLAIN),
        _printed().encode("utf-16-be"),
        _printed().encode("utf-16"),
    ],
)
def test_a_config_as_people_paste_it_is_the_same_model(content):
    """In the marks of Markdown, as Python prints it, with comments, commas too many, in UTF-16."""
    assert read_model_config(content, load_tables()).model == _read("Llama-3.1-8B-Instruct")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"GGUF\x03\x00\x00\x00" + b"\x00" * 99, "a GGUF file; give the config.json"),
        ((200).to_bytes(8, "little") + b'{"a":1}', "a safetensors file; give the config.json"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a pointer of Git LFS"),
        ("<!doctype html><html>", "a web page"),
        ("---\nlicense: mit\n---\n# Model\n", "a model card"),
        ("general.architecture = llama\nllama.block_count = 32\n", "what a GGUF file says"),
        ("FROM llama3\nPARAMETER temperature 1\n", "a Modelfile"),
        (
            _printed()[:-2] + ', "num_hidden_layers": 16}',
            "stands twice in the config, as 32 and 16",
        ),
    ],
)
def test_what_is_no_config_is_named(content, words):
    """What was found, and what to give in its place."""
    with pytest.raises(InputError, match=words):
        read_model_config(content, load_tables())


@pytest.mark.parametrize(
    ("dtype", "precision"), [("fp8_e4m3", "fp8"), ("fp4", "fp4"), ("int4", "int4")]
)
def test_quark_says_its_width_in_a_type(dtype, precision):
    """AMD's checkpoints give no number of bits."""
    told = {"quant_method": "quark", "global_quant_config": {"weight": {"dtype": dtype}}}
    read = read_model_config(_printed(quantization_config=told), load_tables())
    assert read.model.native_precision == precision


def test_metas_params_json_gives_the_width_by_a_factor():
    """Llama 3.1 8B: two thirds of 16,384, times 1.3, up to the next 1,024 are 14,336."""
    told = {"dim": 4096, "n_heads": 32, "n_kv_heads": 8, "n_layers": 32, "vocab_size": 128_256}
    told |= {"ffn_dim_multiplier": 1.3, "multiple_of": 1024}
    read = read_model_config(json.dumps(told), load_tables())
    assert read.model.total_params_b == pytest.approx(8.03, rel=0.001)
