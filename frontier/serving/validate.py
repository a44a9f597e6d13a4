"""Published speeds against the model of a replica, unscaled.

data/serving_points.csv holds runs at a set number of requests, data/serving_stages.csv runs at a
constant rate. Every figure of a row is one comparison, as a time: a throughput becomes seconds an
output token, so that a prediction above the measurement always means too slow.
"""

from __future__ import annotations

import numpy as np

from frontier.serving.speed import ServingSpeed, serving_speed, speed_of_point
from frontier.tables import ServingPoint, ServingStage, Tables
from frontier.validation import Comparison

# Steps of the fixed point between requests held and the time per token.
_ROUNDS = 100


def validate_speed(tables: Tables) -> tuple[Comparison, ...]:
    """Return each published figure of the speed of a replica with its prediction.

    Raises
    ------
    InputError, InfeasibleError
        If a row is of a configuration that the model refuses.
    """
    rows = [row for point in tables.serving_points.values() for row in of_point(point, tables)]
    for stage in tables.serving_stages.values():
        rows += of_stage(stage, tables)
    return tuple(rows)


def of_point(point: ServingPoint, tables: Tables) -> tuple[Comparison, ...]:
    """Return the figures of one published point with their predictions.

    Notes
    -----
    With ``c`` requests held, prompt ``P`` seconds alone and ``p`` between decode steps, answers
    of ``o`` tokens and steps of ``s`` seconds: in a loop TTFT is that beside ``c − 1`` others and
    TPOT ``s + (c − 1) p / o``; in a burst a request is answered after half the other prompts and
    waits for the other half, so TTFT grows by ``(c − 1) P / 2`` and TPOT is
    ``s + (c − 1) P / 2 o``; a batch takes all prompts and ``o`` steps; a throughput is ``c`` tokens
    a TPOT. No more run than fit.
    """
    speed = speed_of_point(point, tables)
    held = min(point.concurrency, speed.max_sequences)
    prompt, output = point.prompt_tokens, point.output_tokens
    alone_s = float(speed.prefill_s(prompt)) - speed.overhead_s
    step_s = float(speed.decode_step_s[held - 1])
    if point.kind == "burst":
        ttft_s = float(speed.prefill_s(prompt)) + (held - 1) / 2 * alone_s
        tpot_s = step_s + (held - 1) / 2 * alone_s / output
    else:
        ttft_s = float(speed.ttft_s(prompt, held))
        tpot_s = speed.tpot_s(held, prompt, output)
    batch_s = speed.overhead_s + held * alone_s + (output - 1) * step_s
    where = _where(point.model, point.precision, point.gpus, point.gpu)
    label = f"{where}, {point.concurrency} requests of {prompt}/{output}, {point.engine}"
    figures = [
        ("first token", "TTFT", ttft_s, point.ttft_s),
        ("decode", "TPOT", tpot_s, point.tpot_s),
        ("whole batch", "batch", batch_s, point.elapsed_s),
        (
            "throughput",
            "s a token",
            tpot_s / held,
            None if point.output_tokens_per_s is None else 1 / point.output_tokens_per_s,
        ),
    ]
    return tuple(
        Comparison(
            "speed",
            group,
            f"{label}: {name}",
            predicted,
            measured,
            "s",
            point.use == "fit",
            point.source_id,
        )
        for group, name, predicted, measured in figures
        if measured is not None
    )


def of_stage(stage: ServingStage, tables: Tables) -> tuple[Comparison, ...]:
    """Return TPOT and median TTFT of one run at a constant rate with their predictions."""
    speed = serving_speed(
        stage.model,
        stage.precision,
        stage.gpu,
        context_tokens=stage.prompt_tokens + stage.output_tokens / 2,
        tables=tables,
        gpus_per_replica=stage.gpus,
        engine=stage.engine_generation,
        use_measured=False,
    )
    held, tpot_s = _at_rate(speed, stage)
    ttft_s = float(speed.ttft_s(stage.new_prompt_tokens, round(held)))
    where = _where(stage.model, stage.precision, stage.gpus, stage.gpu)
    label = f"{where}, {stage.rate_rps:g} requests/s of {stage.prompt_tokens}/{stage.output_tokens}"
    return tuple(
        Comparison(
            "speed",
            group,
            f"{label}: {name}",
            predicted,
            measured,
            "s",
            stage.use == "fit",
            stage.source_id,
        )
        for group, name, predicted, measured in (
            ("decode under a rate", "TPOT", tpot_s, stage.tpot_s),
            ("first token under a rate", "TTFT", ttft_s, stage.ttft_median_s),
        )
    )


def _at_rate(speed: ServingSpeed, stage: ServingStage) -> tuple[float, float]:
    """Return the requests held (Little) and the time per output token at the stage's rate.

    A step at ``b`` requests takes ``s(b)`` and the new prompts that arrive meanwhile, and
    ``b = rate × output × TPOT``.
    """
    sizes = np.arange(1, speed.max_sequences + 1)
    mixed_share = stage.rate_rps * speed.mixed_prefill_s(stage.new_prompt_tokens)
    held, tpot_s = 1.0, float(speed.decode_step_s[0])
    for _ in range(_ROUNDS):
        tpot_s = float(np.interp(held, sizes, speed.decode_step_s)) / max(1 - mixed_share, 0.01)
        wanted = stage.rate_rps * stage.output_tokens * tpot_s
        held = (held + min(max(wanted, 1.0), float(sizes[-1]))) / 2
    return held, tpot_s


def _where(model: str, precision: str, gpus: int, gpu: str) -> str:
    return f"{model} {precision} on {gpus} × {gpu}"
