"""Refit the constants of the speed model from data/ and print them beside what is shipped.

A newcomer adds rows to data/serving_points.csv or data/serving_stages.csv, marks them ``fit``,
runs ``PYTHONPATH=. python tools/refit_speed.py`` and copies the values into
data/coefficients.csv. Each constant stays between its ``low`` and ``high`` there; rows marked
``check`` are only reported.

The fit is least squares of the relative error, every model of every source weighing the same and
large residuals less (Huber), by Gauss and Newton's steps from the middle of the ranges: it needs
no start value and gives the same answer each time. The overheads of a first token are the medians
of what the rest of the model leaves. The shares of the peak in prefill are not refitted: they come
from slopes over prompt lengths that are not all in data/.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from scipy.optimize import lsq_linear

from frontier.serving.speed import speed_of_point
from frontier.serving.validate import of_point, of_stage, validate_speed
from frontier.tables import Tables, load_tables
from frontier.validation import Comparison, report

GENERAL = (
    "mbu",
    "mbu_cache",
    "host_step_vllm_v0_s",
    "host_step_vllm_v1_s",
    "host_step_vllm_async_s",
    "layer_step_s",
    "routed_expert_step_s",
    "all_reduce_nvlink_s",
    "sequence_step_s",
    "mixed_over_alone_dense",
    "mixed_over_alone_moe",
)
CDNA3 = ("mbu_cdna3", "sequence_step_s_cdna3")
OVERHEADS = ("request_overhead_one_gpu_s", "request_overhead_many_gpus_s")
DECODE_GROUPS = ("decode", "decode under a rate", "whole batch")
FIRST_TOKEN_GROUPS = ("first token", "first token under a rate")
ROUNDS = 6
TURNS = 3
HUBER = 0.1
DIGITS = 2
FALL_BACK = 1e-3


def refit(tables: Tables) -> dict[str, float]:
    """Return each fitted constant, rounded to the digits that are shipped.

    Batches hold both a first token and decode steps, so the two fits take turns; nothing depends
    on the values that stand in the table.
    """
    rows = [tables.coefficients[name] for name in (*GENERAL, *CDNA3, *OVERHEADS)]
    found = {row.id: (row.low + row.high) / 2 for row in rows}
    for _ in range(TURNS):
        for names, is_cdna3 in ((GENERAL, False), (CDNA3, True)):
            found |= _fit(_with(tables, found), names, is_cdna3=is_cdna3)
        found |= _overheads(_with(tables, found))
    return {name: float(f"{value:.{DIGITS}g}") for name, value in found.items()}


def _fit(tables: Tables, names: Sequence[str], *, is_cdna3: bool) -> dict[str, float]:
    rows = [tables.coefficients[name] for name in names]
    # Shares of a peak enter the time as their inverse, which makes it linear in all of them.
    inverse = np.array([row.unit == "1" for row in rows])
    ends = np.array([[row.low, row.high] for row in rows])
    ends = np.where(inverse[:, None], np.sort(1 / np.where(inverse[:, None], ends, 1.0)), ends)
    scale = ends[:, 1]
    low, high = ends[:, 0] / scale, ends[:, 1] / scale

    def predicted(values: npt.NDArray[np.float64]) -> list[Comparison]:
        told = values * scale
        told = np.where(inverse, 1 / np.where(inverse, told, 1.0), told)
        changed = _with(tables, dict(zip(names, map(float, told), strict=True)))
        return _decode_rows(changed, is_cdna3=is_cdna3)

    values = (low + high) / 2
    weight = _weights(predicted(values))
    for _ in range(ROUNDS):
        error = _errors(predicted(values))
        slopes = []
        for column in range(len(names)):
            moved = values.copy()
            moved[column] += FALL_BACK
            slopes.append((_errors(predicted(moved)) - error) / FALL_BACK)
        robust = np.sqrt(np.minimum(1.0, HUBER / np.maximum(np.abs(error), 1e-12)))
        rate = weight * robust
        matrix = np.stack(slopes, axis=1)
        target = matrix @ values - error
        values = lsq_linear(rate[:, None] * matrix, rate * target, bounds=(low, high)).x
    told = values * scale
    return {
        name: float(1 / value if is_inverse else value)
        for name, value, is_inverse in zip(names, told, inverse, strict=True)
    }


def _decode_rows(tables: Tables, *, is_cdna3: bool) -> list[Comparison]:
    """Return the fitted rows of decoding: those of the MI300X, or those of all other GPUs."""
    rows: list[Comparison] = []
    for point in tables.serving_points.values():
        if point.use == "fit" and (tables.gpus[point.gpu].family == "cdna3") is is_cdna3:
            rows += of_point(point, tables)
    for stage in tables.serving_stages.values():
        if stage.use == "fit" and (tables.gpus[stage.gpu].family == "cdna3") is is_cdna3:
            rows += of_stage(stage, tables)
    return [row for row in rows if row.group in DECODE_GROUPS]


def _overheads(tables: Tables) -> dict[str, float]:
    """Return the overheads of a first token: medians of measured less the rest of the model."""
    left: Mapping[str, list[float]] = {name: [] for name in OVERHEADS}
    rows = [
        (point.gpus, row)
        for point in tables.serving_points.values()
        if point.use == "fit" and point.concurrency <= speed_of_point(point, tables).max_sequences
        for row in of_point(point, tables)
        # A long prompt says more about the share of the peak than about what is fixed.
        if point.prompt_tokens <= 1024 and tables.models[point.model].architecture == "dense"
    ]
    rows += [
        (stage.gpus, row)
        for stage in tables.serving_stages.values()
        if stage.use == "fit"
        for row in of_stage(stage, tables)
    ]
    for gpus, row in rows:
        name = OVERHEADS[0] if gpus == 1 else OVERHEADS[1]
        if row.group in FIRST_TOKEN_GROUPS:
            left[name].append(row.measured - row.predicted + tables.coefficient(name))
    return {name: statistics.median(seconds) for name, seconds in left.items()}


def _with(tables: Tables, values: Mapping[str, float]) -> Tables:
    rows = dict(tables.coefficients)
    for name, value in values.items():
        rows[name] = dataclasses.replace(rows[name], value=value)
    return dataclasses.replace(tables, coefficients=MappingProxyType(rows))


def _errors(rows: Sequence[Comparison]) -> npt.NDArray[np.float64]:
    return np.array([row.signed_error for row in rows])


def _weights(rows: Sequence[Comparison]) -> npt.NDArray[np.float64]:
    """Return weights with which every model of every source counts the same."""
    keys = [(row.source_id, row.label.split(" ", 1)[0]) for row in rows]
    return np.array([1 / np.sqrt(keys.count(key)) for key in keys])


def main() -> None:
    """Print the fitted constants beside the shipped ones, and the errors with the fitted."""
    tables = load_tables()
    found = refit(tables)
    print(f"{'constant':<30} {'fitted':>10} {'shipped':>10} {'low':>8} {'high':>8}")
    for name, value in found.items():
        row = tables.coefficients[name]
        print(f"{name:<30} {value:>10.4g} {row.value:>10.4g} {row.low:>8.3g} {row.high:>8.3g}")
    print()
    print(report(validate_speed(_with(tables, found))))


if __name__ == "__main__":
    main()
