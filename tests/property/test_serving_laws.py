"""Laws of the speed of a replica that hold whatever the constants are."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from frontier.errors import InfeasibleError, InputError
from frontier.serving import attention, serving_speed
from frontier.serving.attention import PairWork
from frontier.tables import load_tables

TABLES = load_tables()
NVLINKED = ("A100-80GB", "H100-SXM-80GB", "H200", "B200")
EVERY_MODEL = list(TABLES.models)


def speed(model, precision, gpu, context_tokens=2000, gpus=None, **options):
    return serving_speed(
        model,
        precision,
        gpu,
        context_tokens=context_tokens,
        tables=TABLES,
        gpus_per_replica=gpus,
        use_measured=False,
        **options,
    )


def cache(function, model, context_tokens, gpus=1, kv_precision="bf16"):
    return function(
        model,
        context_tokens=context_tokens,
        gpus=gpus,
        kv_precision=kv_precision,
        tables=TABLES,
    )


@pytest.mark.parametrize("name", EVERY_MODEL)
def test_a_longer_context_is_never_quicker_and_more_sequences_take_longer(name):
    """Steps grow with the context and, strictly, with the sequences; prompts with their tokens."""
    model = TABLES.models[name]
    contexts = [n for n in (500, 2000, 8000, 30000) if n <= model.max_context_tokens]
    count = speed(name, model.native_precision, "B300", contexts[-1]).gpus_per_replica
    steps = [
        speed(name, model.native_precision, "B300", n, gpus=count).decode_step_s for n in contexts
    ]
    for shorter, longer in itertools.pairwise(steps):
        both = min(shorter.size, longer.size)
        assert np.all(longer[:both] >= shorter[:both])
        assert longer.size <= shorter.size
    assert np.all(np.diff(steps[0]) > 0)
    replica = speed(name, model.native_precision, "B300", contexts[0])
    prompts = replica.prefill_s(np.arange(1, 20000, 501))
    assert np.all(np.diff(prompts) > 0)


@pytest.mark.parametrize("gpu", NVLINKED)
@pytest.mark.parametrize(
    ("name", "precision"),
    [("Llama-3.1-70B-Instruct", "bf16"), ("Qwen2.5-72B-Instruct", "bf16"), ("GLM-4.5", "bf16")],
)
def test_more_gpus_with_nvlink_are_never_slower_for_a_large_model(name, precision, gpu):
    """Tensor parallelism over NVLink shortens a decode step and a prompt of a large model."""
    replicas = []
    for count in (1, 2, 4, 8):
        try:
            replicas.append(speed(name, precision, gpu, gpus=count))
        except InfeasibleError:
            continue
    for fewer, more in itertools.pairwise(replicas):
        both = min(fewer.max_sequences, more.max_sequences)
        assert np.all(more.decode_step_s[:both] <= fewer.decode_step_s[:both])
        assert more.prefill_s(4000) < fewer.prefill_s(4000)


def test_gpus_without_nvlink_pay_for_what_they_exchange():
    """The same part without fast links is slower in steps and prompts; one GPU alone is not."""
    plain = TABLES.gpus["A100-80GB"]
    cut = dataclasses.replace(plain, nvlink=False)
    for count in (1, 2, 4):
        linked = speed("Qwen2.5-32B-Instruct", "bf16", plain, gpus=count)
        apart = speed("Qwen2.5-32B-Instruct", "bf16", cut, gpus=count)
        if count == 1:
            np.testing.assert_array_equal(linked.decode_step_s, apart.decode_step_s)
            assert linked.prefill_s(1000) == apart.prefill_s(1000)
        else:
            # Two all-reduces in each of 64 layers, and 5,120 activations of two bytes a token.
            extra = apart.decode_step_s - linked.decode_step_s
            latency = 64 * (
                2 * TABLES.coefficient("all_reduce_pcie_s")
                - TABLES.coefficient("all_reduce_nvlink_s") * np.log2(count)
            )
            a_token = 64 * 2 * 2 * (count - 1) / count * 5120 * 2 / 10e9
            np.testing.assert_allclose(extra, latency + a_token * np.arange(1, extra.size + 1))
            prompt = apart.prefill_s(1000) - apart.overhead_s
            prompt -= linked.prefill_s(1000) - linked.overhead_s
            assert prompt == pytest.approx(1000 * a_token)


def test_no_step_is_quicker_than_its_bytes_at_full_bandwidth():
    """Weights and cache pass through the memory once, whatever the engine."""
    for name, precision, gpu, count in (
        ("Llama-3.1-8B-Instruct", "bf16", "L40S", 1),
        ("Llama-3.1-70B-Instruct", "fp8", "H200", 2),
        ("Llama-3.1-405B", "fp8", "MI300X", 8),
        ("gemma-3-27b-it", "bf16", "H100-SXM-80GB", 1),
    ):
        model, part = TABLES.models[name], TABLES.gpus[gpu]
        for engine in ("vllm-v0", "vllm-v1", "vllm-async", "other"):
            replica = speed(name, precision, gpu, 4000, gpus=count, engine=engine)
            weights_gb = (getattr(model, f"{precision}_gb") - model.lookup_gb) / count
            cache_gb = cache(attention.read_gb, model, 4000, gpus=count)
            floor_s = weights_gb + cache_gb * np.arange(1, replica.max_sequences + 1)
            assert np.all(replica.decode_step_s > floor_s / part.bandwidth_gb_per_s)


def test_an_older_engine_is_not_quicker_and_an_unknown_one_is_refused():
    """The host's time in a step falls with the generations of vLLM."""
    first = [
        speed("Llama-3.1-8B-Instruct", "bf16", "L4", engine=engine).decode_step_s[0]
        for engine in ("vllm-v0", "vllm-v1", "vllm-async")
    ]
    assert first[0] > first[1] > first[2]
    with pytest.raises(InputError, match="engine must be one of"):
        speed("Llama-3.1-8B-Instruct", "bf16", "L4", engine="vllm-v9")


@pytest.mark.parametrize("name", EVERY_MODEL)
def test_a_cache_holds_its_window_and_is_read_at_most_once_and_written_back(name):
    """Held bytes never fall short of the window's; read ones not of the state's, nor pass held."""
    model = TABLES.models[name]
    for tokens in (1, 100, 5000, 100_000):
        held, read = (
            cache(attention.held_gb, model, tokens),
            cache(attention.read_gb, model, tokens),
        )
        window = min(tokens, model.window_tokens or 0) * model.window_bytes_per_token
        assert held * 1e9 >= window + model.state_bytes_per_sequence
        assert read <= held + model.state_bytes_per_sequence / 1e9 + 1e-12
        assert held <= cache(attention.held_gb, model, 2 * tokens)
        assert cache(attention.held_gb, model, tokens, gpus=8) <= held
        small = cache(attention.held_gb, model, tokens, kv_precision="fp8")
        assert held / 2 <= small <= held


def test_windows_chunks_and_states_stop_growing_and_sparse_layers_read_less():
    """Each kind of layer keeps and reads what it should, on rows made for it."""
    plain = TABLES.models["Llama-3.1-8B-Instruct"]
    none = {"kv_bytes_per_token": 0.0, "full_attention_layers": 0}
    windowed = dataclasses.replace(
        plain,
        **none,
        window_layers=32,
        window_tokens=1000,
        window_kind="sliding",
        window_width=4096,
        window_kv_heads=8,
        window_bytes_per_token=131072.0,
    )
    for tokens in (10, 1000, 50_000):
        reached = min(tokens, 1000)
        expected = pytest.approx(reached * 131072e-9)
        assert cache(attention.held_gb, windowed, tokens) == expected
        assert cache(attention.read_gb, windowed, tokens) == expected
    chunked = dataclasses.replace(windowed, window_kind="chunked")
    assert cache(attention.read_gb, chunked, 50_000) == pytest.approx(500 * 131072e-9)
    assert cache(attention.held_gb, chunked, 50_000) == pytest.approx(1000 * 131072e-9)
    linear = dataclasses.replace(plain, **none, linear_layers=32, state_bytes_per_sequence=8e6)
    for tokens in (1, 100_000):
        assert cache(attention.held_gb, linear, tokens, gpus=2) == pytest.approx(4e-3)
        assert cache(attention.read_gb, linear, tokens, gpus=2) == pytest.approx(8e-3)
    sparse = TABLES.models["DeepSeek-V3.2"]
    assert cache(attention.held_gb, sparse, 100_000) == pytest.approx(
        100_000 * (70272 + sparse.indexer_bytes_per_token) / 1e9
    )
    assert cache(attention.read_gb, sparse, 100_000) == pytest.approx(
        (2048 * 70272 + 100_000 * sparse.indexer_bytes_per_token) / 1e9
    )


@pytest.mark.parametrize(
    ("work", "seen"),
    [
        (PairWork(1.0), lambda i: i),
        (PairWork(1.0, 64), lambda i: min(i, 64)),
        (PairWork(1.0, 64, chunked=True), lambda i: i % 64),
    ],
)
def test_pairs_of_a_prompt_are_those_counted_token_by_token(work, seen):
    """The closed form against a loop; it counts half of a token's pair with itself."""
    for tokens in (1, 63, 64, 65, 127, 128, 1000):
        counted = sum(seen(i) for i in range(tokens))
        assert float(work.pairs(tokens)) == pytest.approx(counted, abs=tokens)


def test_a_model_with_windows_reads_long_prompts_quicker_than_one_without():
    """With the same layers, a window makes attention linear: the long prompt costs less."""
    plain = TABLES.models["gemma-3-27b-it"]
    whole = dataclasses.replace(
        plain, full_attention_layers=62, window_layers=0, window_bytes_per_token=0.0
    )
    options = {"context_tokens": 2000, "tables": TABLES, "use_measured": False}
    windowed = serving_speed(plain, "bf16", "B200", **options)
    dense = serving_speed(whole, "bf16", "B200", **options)
    assert windowed.prefill_s(100_000) < 0.8 * dense.prefill_s(100_000)
    assert windowed.prefill_s(500) == pytest.approx(float(dense.prefill_s(500)), rel=0.01)


def test_a_latent_cache_can_wait_for_arithmetic_instead_of_bytes():
    """128 heads read each entry of 576 numbers in each of 61 layers, four operations a number."""
    model = TABLES.models["DeepSeek-V3"]
    flop = attention.decode_flop(model, context_tokens=1000, gpus=1)
    assert flop == pytest.approx(4 * 61 * 128 * 576 * 1000)
    assert attention.decode_flop(model, context_tokens=1000, gpus=8) == pytest.approx(flop / 8)
    # A grouped-query model does 4 operations a head number, 16 of them to a cached byte at most.
    grouped = TABLES.models["Llama-3.1-70B-Instruct"]
    read = cache(attention.read_gb, grouped, 1000) * 1e9
    assert attention.decode_flop(grouped, context_tokens=1000, gpus=1) / read == pytest.approx(8)


def test_an_fp8_cache_holds_more_sequences_and_steps_quicker():
    """Half the bytes: about twice the sequences, and never a longer step."""
    full = speed("Llama-3.3-70B-Instruct", "fp8", "H200", 8000, gpus=1)
    half = speed("Llama-3.3-70B-Instruct", "fp8", "H200", 8000, gpus=1, kv_precision="fp8")
    assert half.max_sequences in (2 * full.max_sequences, 2 * full.max_sequences + 1)
    assert np.all(half.decode_step_s[: full.max_sequences] < full.decode_step_s)
    with pytest.raises(InputError, match="kv_precision must be"):
        speed("Llama-3.3-70B-Instruct", "fp8", "H200", kv_precision="int4")
