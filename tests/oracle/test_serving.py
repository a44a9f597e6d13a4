"""The speed model against published measurements, and its memory rule against a hand-made table."""

from __future__ import annotations

import re

import numpy as np
import pytest

from frontier.errors import InfeasibleError, InputError
from frontier.serving import (
    checkpoint_gb,
    estimated_checkpoint_gb,
    gpus_needed,
    precision_of,
    precisions_of,
    serving_speed,
)
from frontier.tables import load_tables

TABLES = load_tables()
H100, H200, A100 = "H100-SXM-80GB", "H200", "A100-80GB"


def speed(model, precision, gpu, context_tokens, gpus=None, **options):
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


def nim(context_tokens):
    return speed("Llama-3.3-70B-Instruct", "fp8", H100, context_tokens, gpus=2, kv_precision="fp8")


# (concurrency, prompt, output, measured TPOT ms, largest error) as NVIDIA publishes them for NIM.
@pytest.mark.parametrize(
    ("concurrency", "prompt", "output", "measured_ms", "allowed"),
    [
        (1, 5000, 500, 18.58, 0.11),
        (5, 5000, 500, 21.83, 0.08),
        (25, 5000, 500, 38.75, 0.04),
        (50, 5000, 500, 59.73, 0.03),
        (1, 500, 2000, 18.91, 0.13),
    ],
)
def test_tpot_of_a_70b_on_two_h100_is_near_what_nvidia_measured(
    concurrency, prompt, output, measured_ms, allowed
):
    """Predicted TPOT differs from the published one by no more than the stated error."""
    replica = nim(prompt + output / 2)
    predicted_ms = replica.tpot_s(concurrency, prompt, output) * 1e3
    assert predicted_ms == pytest.approx(measured_ms, rel=allowed)


def test_ttft_of_a_long_prompt_is_near_what_nvidia_measured():
    """A prompt of 5,000 tokens on two H100 was measured at 407 ms; the model is within 13 %."""
    assert float(nim(5250).ttft_s(5000)) == pytest.approx(0.40677, rel=0.13)


def test_a_prompt_that_is_cached_still_waits_for_a_pass_over_the_weights():
    """A first token without new prompt tokens: 24 to 30 ms for a 7B, 44 to 64 ms on several GPUs.

    Medians of vLLM on H100 under load, whose prompts were nearly all in the prefix cache.
    """
    small = speed("Llama-2-7B", "bf16", H100, 700)
    assert 0.024 < float(small.ttft_s(16)) < 0.030
    for model, gpus in (("Llama-2-70B", 4), ("Mixtral-8x7B-Instruct-v0.1", 2)):
        large = speed(model, "bf16", H100, 700, gpus=gpus)
        assert 0.044 < float(large.ttft_s(16, 22)) < 0.064


def test_decode_of_an_8b_on_an_a100_is_near_75_tokens_a_second():
    """Measured with vLLM 0.23: about 75 tokens/s alone."""
    alone = speed("Llama-3.1-8B-Instruct", "bf16", "A100-40GB", 1088, engine="vllm-async")
    assert 1 / alone.decode_step_s[0] == pytest.approx(75, rel=0.03)


def test_decode_step_of_a_7b_on_an_l4_is_near_what_the_paper_measured():
    """62.3 ms a step at batch 1 in arXiv 2605.30571."""
    alone = speed("Qwen2.5-7B-Instruct", "bf16", "L4", 2048)
    assert alone.decode_step_s[0] * 1e3 == pytest.approx(62.3, rel=0.05)


@pytest.mark.parametrize(("gpu", "measured_ms"), [(A100, 234.0), (H100, 153.8)])
def test_whole_answer_of_a_7b_is_near_what_nvidia_measured(gpu, measured_ms):
    """128 tokens in and 20 out, alone: the published total is met within 8 %."""
    replica = speed("Llama-2-7B", "bf16", gpu, 138)
    total_ms = (float(replica.ttft_s(128)) + 19 * replica.decode_step_s[0]) * 1e3
    assert total_ms == pytest.approx(measured_ms, rel=0.08)


# GPUs for 8 sequences of 4k tokens (2k for OPT): T4, L4, A10G, L40S, A100-40GB, A100-80GB,
# RTX-PRO-6000, H200, B200. Worked out by hand from the rule in `serving.memory.room`.
COLUMNS = (
    *("T4", "L4", "A10G", "L40S", "A100-40GB", "A100-80GB"),
    *("RTX-PRO-6000", "H200", "B200"),
)
GPUS = """
Llama-3.2-3B-Instruct bf16 1 1 1 1 1 1 1 1 1
Llama-3.1-8B-Instruct bf16 2 1 2 1 1 1 1 1 1
Llama-3.1-8B-Instruct fp8 2 1 1 1 1 1 1 1 1
Llama-3.1-8B-Instruct int4 1 1 1 1 1 1 1 1 1
Qwen3-14B bf16 4 2 2 1 1 1 1 1 1
Qwen3-14B fp8 2 1 2 1 1 1 1 1 1
Mistral-Small-24B-Instruct-2501 bf16 8 4 4 2 2 1 1 1 1
gemma-3-27b-it bf16 8 4 4 2 2 1 1 1 1
gemma-3-27b-it int4 2 2 2 1 1 1 1 1 1
Qwen3-32B bf16 8 4 4 2 4 1 1 1 1
Qwen3-32B int4 4 2 2 1 1 1 1 1 1
Mixtral-8x7B-Instruct-v0.1 bf16 16 8 8 4 4 2 2 1 1
Llama-3.3-70B-Instruct bf16 16 8 8 4 8 2 2 2 1
Llama-3.3-70B-Instruct fp8 8 8 8 4 4 2 1 1 1
Llama-3.3-70B-Instruct int4 8 4 4 2 2 1 1 1 1
gpt-oss-20b mxfp4 2 1 1 1 1 1 1 1 1
gpt-oss-120b mxfp4 8 4 4 2 2 1 1 1 1
Qwen3-30B-A3B bf16 8 4 4 2 2 1 1 1 1
Qwen3-235B-A22B bf16 64 32 32 16 16 8 8 4 4
Qwen3-235B-A22B fp8 32 16 16 8 8 4 4 2 2
Llama-3.1-405B fp8 64 32 32 16 16 8 8 4 4
Llama-3.1-405B int4 32 16 16 8 8 4 4 2 2
DeepSeek-R1 fp8 128 64 64 32 32 16 8 8 4
Kimi-K2-Instruct fp8 128 64 64 32 32 16 16 8 8
OPT-6.7B fp16 2 2 2 1 1 1 1 1 1
OPT-13B fp16 4 2 4 1 2 1 1 1 1
OPT-30B int4 4 2 4 1 2 1 1 1 1
OPT-66B int4 8 4 4 2 4 1 1 1 1
"""


@pytest.mark.parametrize(
    "row", GPUS.strip().splitlines(), ids=lambda row: " ".join(row.split()[:2])
)
def test_gpus_needed_are_those_of_the_table_worked_out_by_hand(row):
    """Powers of two that hold the weights and eight sequences; more than a node is refused."""
    model, precision, *expected = row.split()
    context = 2048 if model.startswith("OPT") else 4096
    for gpu, count in zip(COLUMNS, map(int, expected), strict=True):
        if count <= 8:
            found = gpus_needed(
                model, precision, gpu, context_tokens=context, sequences=8, tables=TABLES
            )
            assert found == count, gpu
        else:
            with pytest.raises(InfeasibleError, match=rf"needs {count} × {re.escape(gpu)}"):
                gpus_needed(
                    model, precision, gpu, context_tokens=context, sequences=8, tables=TABLES
                )


@pytest.mark.parametrize(
    ("model", "precision", "gpu", "gpus", "context", "expected"),
    [
        ("Llama-3.1-8B-Instruct", "bf16", "L4", 1, 4096, 11),
        ("Llama-3.1-8B-Instruct", "bf16", "A100-40GB", 1, 8192, 20),
        ("Llama-3.1-8B-Instruct", "bf16", H100, 1, 4096, 114),
        ("Qwen3-32B", "fp8", H100, 1, 4096, 39),
        ("Llama-3.3-70B-Instruct", "fp8", H100, 2, 4096, 59),
        ("Llama-3.3-70B-Instruct", "fp8", H200, 1, 8192, 24),
        ("gpt-oss-120b", "fp4", H100, 1, 4096, 75),
        # Without the 11.6 GB of its prediction layer, which only speculative decoding loads.
        ("DeepSeek-R1", "fp8", H200, 8, 4096, 180),
    ],
)
def test_sequences_that_fit_are_those_worked_out_by_hand(
    model, precision, gpu, gpus, context, expected
):
    """What the weights and the overhead leave, over the cache of one sequence."""
    found = speed(model, precision, gpu, context, gpus=gpus).max_sequences
    assert found == pytest.approx(expected, abs=max(1, 0.01 * expected))


def test_decode_step_never_shrinks_with_more_sequences_and_never_beats_the_memory():
    """More sequences read more; no step is quicker than the weights at full bandwidth."""
    for model, precision, gpu in [
        ("Llama-3.1-8B-Instruct", "bf16", "L40S"),
        ("gpt-oss-120b", "fp4", H100),
        ("Qwen3.6-27B", "fp8", H100),
    ]:
        steps = speed(model, precision, gpu, 2000).decode_step_s
        assert np.all(np.diff(steps) > 0)
        if TABLES.models[model].architecture == "dense":
            weights_gb = checkpoint_gb(TABLES.models[model], precision)
            weights_gb -= TABLES.models[model].lookup_gb
            assert steps[0] > weights_gb / TABLES.gpus[gpu].bandwidth_gb_per_s


def test_prefill_is_the_polynomial_and_attention_makes_it_more_than_linear():
    """Twice the prompt takes more than twice the time beyond the fixed overhead."""
    replica = speed("Llama-3.1-8B-Instruct", "bf16", "L40S", 2000)
    once, twice = replica.prefill_s([4000, 8000]) - replica.overhead_s
    assert twice > 2 * once
    flops = 2 * 8.03e9 * 4000 + 2 * 32 * 4096 * 4000**2
    assert once == pytest.approx(flops / (362.05e12 * 0.55), rel=1e-3)


def test_a_precision_without_units_is_refused_unless_it_was_measured():
    """fp8 on an A100 and fp4 on an H100 are refused; gpt-oss, published in fp4, was measured there.

    Its weights are then multiplied in 16 bits, as int4 weights are everywhere.
    """
    assert speed("Llama-3.1-8B-Instruct", "fp8", H100, 2000).compute == "fp8"
    assert speed("Llama-3.1-8B-Instruct", "fp4", "B200", 2000).compute == "fp4"
    assert speed("gpt-oss-120b", "fp4", H100, 2000).compute == "bf16"
    assert speed("Llama-3.1-8B-Instruct", "int4", A100, 2000).compute == "bf16"
    for model, precision, gpu in (
        ("Llama-3.1-8B-Instruct", "fp8", A100),
        ("Llama-3.1-8B-Instruct", "fp4", H100),
        ("gpt-oss-20b", "fp4", "T4"),
        ("gpt-oss-20b", "fp4", "MI300X"),
        ("DeepSeek-R1", "fp8", A100),
    ):
        with pytest.raises(InfeasibleError, match=f"{gpu} has no {precision} units.*Choose"):
            speed(model, precision, gpu, 2000)


def test_published_points_pull_the_curves_towards_them():
    """Where a configuration was measured, the scaled curves are nearer to the points."""
    points = [
        p
        for p in TABLES.serving_points.values()
        if (p.model, p.gpu, p.gpus) == ("Llama-3.1-70B-Instruct", H100, 4)
    ]
    assert len(points) == 4

    def errors(use_measured):
        found = []
        for p in points:
            replica = serving_speed(
                p.model,
                p.precision,
                p.gpu,
                context_tokens=p.prompt_tokens + p.output_tokens / 2,
                gpus_per_replica=p.gpus,
                tables=TABLES,
                use_measured=use_measured,
            )
            found.append(
                abs(replica.tpot_s(p.concurrency, p.prompt_tokens, p.output_tokens) / p.tpot_s - 1)
            )
        return replica, np.median(found)

    plain, plain_error = errors(False)
    scaled, scaled_error = errors(True)
    assert (plain.basis, scaled.basis) == ("derived", "measured")
    assert scaled_error <= plain_error
    assert scaled_error < 0.1
    assert "inferencex" in scaled.source_ids


def test_concurrency_targets_grow_with_the_card_and_never_pass_what_fits():
    """8 on a 24 GB card, 16 on 48 GB, 32 from 80 GB, and no more than the replica holds."""
    found = [
        speed("Llama-3.1-8B-Instruct", "int4", gpu, 2000).target_concurrency
        for gpu in ("L4", "L40S", H100)
    ]
    assert found == [8, 16, 32]
    tight = speed("Llama-3.1-8B-Instruct", "bf16", "L4", 16000, gpus=1)
    assert tight.target_concurrency == tight.max_sequences < 8


def test_the_engine_limit_caps_what_memory_would_hold():
    """A small model on short contexts is capped at 1,024 sequences on an H100, 256 on an A100."""
    assert speed("Llama-3.2-1B-Instruct", "bf16", H100, 200).max_sequences == 1024
    assert speed("Llama-3.2-1B-Instruct", "bf16", A100, 200).max_sequences == 256


def test_what_cannot_be_served_is_refused_with_the_remedy():
    """Too few GPUs, too long a context, an unknown precision or number of GPUs: each says why."""
    with pytest.raises(InfeasibleError, match="needs 2"):
        speed("Llama-3.3-70B-Instruct", "bf16", H100, 2000, gpus=1)
    with pytest.raises(InputError, match="longest context"):
        speed("Llama-2-7B", "bf16", H100, 5000)
    with pytest.raises(InputError, match="precision must be one of"):
        precision_of("fp3")
    with pytest.raises(InputError, match="there is fp8"):
        checkpoint_gb(TABLES.models["DeepSeek-R1"], "bf16")
    with pytest.raises(InputError, match="power of two"):
        speed("Llama-3.1-8B-Instruct", "bf16", H100, 2000, gpus=3)
    with pytest.raises(InputError, match="divides the 71 attention heads"):
        speed("Falcon-7B", "bf16", H100, 2000, gpus=2)


def test_every_model_serves_somewhere_in_its_own_precision():
    """Each row of the table is complete: it runs on a node of B200 or B300."""
    for model in TABLES.models.values():
        assert model.native_precision in precisions_of(model)
        replica = speed(model.model, model.native_precision, "B300", 1000)
        assert replica.max_sequences >= 1
        assert np.all(np.isfinite(replica.decode_step_s))


def test_gpus_go_by_the_names_price_lists_use():
    """An alias finds its row; no alias is the name of another GPU or of two."""
    assert TABLES.gpu("H100-80GB").gpu == H100
    aliases = [alias for gpu in TABLES.gpus.values() for alias in gpu.aliases]
    assert len(aliases) == len(set(aliases))
    assert not set(aliases) & set(TABLES.gpus)


def test_an_estimated_checkpoint_is_near_the_published_one():
    """Two bytes a parameter; a tenth more when quantised (an 8B in fp8: 9.1 GB published)."""
    assert estimated_checkpoint_gb(8.03, "bf16", TABLES) == pytest.approx(16.06, rel=0.001)
    assert estimated_checkpoint_gb(8.03, "fp8", TABLES) == pytest.approx(9.1, rel=0.05)
    assert estimated_checkpoint_gb(70.554, "fp8", TABLES) == pytest.approx(72.7, rel=0.1)
    with pytest.raises(InputError, match="params_b"):
        estimated_checkpoint_gb(0, "fp8", TABLES)
