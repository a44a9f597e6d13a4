"""Published starts beside their prediction, and by how much the groups of them are off.

The cases stand in data/validation_cases.csv, or in a file of the same columns. A case whose source
gave any number of the model is marked as used in a fit; the others were held apart, by source and
never row by row, and only they say how good the model is elsewhere. Left out: any fitting
(tools/refit.py).
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from frontier.errors import InputError, TableError
from frontier.start.predict import StartInputs, start_inputs_for
from frontier.start.stages import STAGES, ColdStart, check_seconds
from frontier.tables import Model, StartCase, Tables, load_columns, look_up, read_table
from frontier.validation import Comparison, Summary, summarise


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One published start beside its prediction.

    Attributes
    ----------
    measured_s, predicted_s : float
        Median of the measured starts, and the predicted one over the same stages [s].
    """

    case: StartCase
    measured_s: float
    predicted_s: float

    @property
    def used_in_fit(self) -> bool:
        """Whether the source of the case gave any number of the model."""
        return self.case.role == "fit"

    @property
    def error(self) -> float:
        """Return predicted over measured, less one [1]."""
        return self.predicted_s / self.measured_s - 1.0


def read_cases(path: Path | str) -> tuple[StartCase, ...]:
    """Return the starts of a CSV file that has the columns of data/validation_cases.csv.

    data/columns.csv describes the columns. A start is given by a platform, a model, a GPU and a
    precision, and by whatever is known better than the platform's defaults; ``measured_s`` holds
    one or more times joined by ``;``, counted from the stage ``start_at`` to the end of
    ``end_at``, or until ready. A file may leave out columns that need not be filled.

    Raises
    ------
    TableError
        If the file, a column or a cell is not as described.
    """
    path = Path(path)
    rows = read_table("validation_cases", StartCase, load_columns(), path=path, partial=True)
    for row in rows.values():
        _measured_s(row)
    return tuple(rows.values())


def validate_start(
    tables: Tables, cases: Iterable[StartCase] | None = None
) -> tuple[CaseResult, ...]:
    """Return each case with its prediction; the cases of data/validation_cases.csv if None.

    Raises
    ------
    InputError
        If a case names an unknown row, or leaves out what its model needs.
    """
    cases = tables.validation_cases.values() if cases is None else cases
    results = []
    for case in cases:
        try:
            wall = _inputs_of(case, tables).predict(tables).wall_s
        except InputError as error:
            raise InputError(f"case {case.case_id}: {error}") from None
        first, last = STAGES.index(case.start_at), STAGES.index(case.end_at or STAGES[-1])
        predicted = sum(wall[name] for name in STAGES[first : last + 1])
        results.append(CaseResult(case, statistics.median(_measured_s(case)), predicted))
    return tuple(results)


def start_comparisons(results: Iterable[CaseResult]) -> tuple[Comparison, ...]:
    """Return the cases as the rows that every validation shares."""
    return tuple(
        Comparison(
            kind="start",
            group=result.case.group,
            label=result.case.case_id,
            predicted=result.predicted_s,
            measured=result.measured_s,
            unit="s",
            used_in_fit=result.used_in_fit,
            source_id=result.case.source_id,
        )
        for result in results
    )


def cases_like(start: ColdStart, results: Iterable[CaseResult]) -> Summary:
    """Return how far off the starts were that nobody fitted and that are known as well as this.

    Raises
    ------
    InputError
        If no such start is among the results.
    """
    group = group_of(start)
    for errors in summarise(start_comparisons(results)):
        if errors.group == group and not errors.used_in_fit:
            return errors
    raise InputError(f"No start of the group {group} was held apart from the fits.")


def group_of(start: ColdStart) -> str:
    """Return the group of cases that a start is like.

    A start of which a stage is assumed is like those of opaque platforms; any other is like those
    on hosts and storage that are known.
    """
    return "opaque" if any(stage.basis == "assumed" for stage in start.stages) else "known"


def _measured_s(case: StartCase) -> tuple[float, ...]:
    try:
        seconds = tuple(float(text) for text in case.measured_s)
    except ValueError:
        raise TableError(
            f"case {case.case_id}, column measured_s: expected seconds joined by ;, "
            f"found '{';'.join(case.measured_s)}'"
        ) from None
    check_seconds(f"case {case.case_id}, measured_s", seconds)
    if min(seconds) <= 0:
        raise TableError(f"case {case.case_id}, column measured_s: a start lasts more than 0 s")
    return seconds


def _inputs_of(case: StartCase, tables: Tables) -> StartInputs:
    known = {
        name: getattr(case, name)
        for name in (
            *("layers", "architecture", "checkpoint_gb", "engine", "host", "storage", "loader"),
            *("readers", "host_memory_gb", "disk", "compile_state", "kernel_state"),
            *("capture_sizes", "image_state", "allocate_s"),
        )
        if getattr(case, name) is not None
    }
    look_up(tables.platforms, case.platform, "platform")
    model = case.model
    if model not in tables.models:
        missing = {"layers", "architecture", "checkpoint_gb"} - set(known)
        if case.params_b is None:
            missing.add("params_b")
        if missing:
            raise InputError(
                f"{model} is not in models.csv, so the case must give {', '.join(sorted(missing))}"
            )
        # Any row serves: each figure that comes from it is replaced.
        model = next(n for n, row in tables.models.items() if _has(row, case.precision))
        known["active_share"] = 1.0
    if case.params_b is not None and case.active_params_b is not None:
        known["active_share"] = case.active_params_b / case.params_b
    return start_inputs_for(
        case.platform, model, case.gpu, case.precision, gpus=case.gpus, tables=tables, **known
    )


def _has(row: Model, precision: str) -> bool:
    return getattr(row, f"{precision}_gb") is not None
