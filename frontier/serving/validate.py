"""Published speeds against the model of a replica, unscaled.

data/serving_points.csv holds runs at a set number of requests, data/serving_stages.csv runs at a
constant rate, which are simulated: so this module alone of its wing stands above the simulation.
Every figure of a row is one comparison, as a time: a throughput becomes seconds an output token,
so that a prediction above the measurement always means too slow.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from frontier.policy import ScalingPolicy
from frontier.serve import overheads_s
from frontier.serving.speed import serving_speed, speed_of_point
from frontier.simulate import Prefixes, simulate_replicas
from frontier.tables import ServingPoint, ServingStage, Tables
from frontier.validation import Comparison


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
    """Return what one run at a constant rate measured beside the same run simulated.

    One replica that is up serves requests of the stage's size at its rate, reads prompts as the
    engine does, and finds in its cache what was found there.
    """
    served = _served(stage, tables)
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
            stage.use != "check",
            stage.source_id,
        )
        for group, name, predicted, measured in (
            ("decode under a rate", "TPOT", served.tpot_s, stage.tpot_s),
            ("first token under a rate", "median TTFT", served.ttft_median_s, stage.ttft_median_s),
            ("mean first token under a rate", "mean TTFT", served.ttft_mean_s, stage.ttft_mean_s),
        )
        if measured is not None
    )


@dataclass(frozen=True, slots=True)
class _Served:
    """What a simulated run comes to [s]."""

    tpot_s: float
    ttft_mean_s: float
    ttft_median_s: float


def _served(stage: ServingStage, tables: Tables) -> _Served:
    prompt, output = stage.prompt_tokens, stage.output_tokens
    speed = serving_speed(
        stage.model,
        stage.precision,
        stage.gpu,
        context_tokens=prompt + output / 2,
        tables=tables,
        gpus_per_replica=stage.gpus,
        engine=stage.engine_generation,
        use_measured=False,
    )
    chunked = (row for row in tables.engines.values() if row.generation == stage.engine_generation)
    speed = dataclasses.replace(
        speed, chunk_tokens=next((row.chunk_tokens for row in chunked), None)
    )
    requests = int(tables.setting("validation_stage_requests"))
    arrival_s = np.arange(requests) / stage.rate_rps
    prompts = np.full(requests, prompt)
    cached = prompt - stage.new_prompt_tokens
    result = simulate_replicas(
        arrival_s,
        speed.prefill_s(prompts) - speed.overhead_s,
        np.full(requests, output),
        speed.decode_step_s,
        policy=ScalingPolicy(min_replicas=1, idle_timeout_s=math.inf),
        cold_start_s=[0.0],
        horizon_s=float(arrival_s[-1]),
        prefill_chunks=speed.chunks(prompts - cached),
        prefix=Prefixes(
            parent=np.arange(requests) - 1,
            saved_s=np.full(requests, speed.cached_s(cached)),
            tokens=prompts + output,
        ),
    )
    ttft_s = result.ttft_s + overheads_s(result, speed)
    answer_s = result.finish_s - arrival_s - result.ttft_s
    return _Served(
        tpot_s=float(answer_s.mean()) / max(output - 1, 1),
        ttft_mean_s=float(ttft_s.mean()),
        ttft_median_s=float(np.median(ttft_s)),
    )


def _where(model: str, precision: str, gpus: int, gpu: str) -> str:
    return f"{model} {precision} on {gpus} × {gpu}"
