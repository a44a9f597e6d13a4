"""Published starts beside their prediction, and by how much the groups of them are off.

The cases stand in data/validation_cases.csv, or in a file of the same columns. A case whose source
gave any number of the model is marked as used in a fit; the others were held apart, by source and
never row by row, and only they say how good the model is elsewhere. Left out: any fitting
(tools/refit.py).
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from frontier.errors import InputError, TableError
from frontier.start.predict import StartInputs, start_inputs_for
from frontier.start.stages import STAGES, ColdStart, check_seconds
from frontier.tables import Model, StartCase, Tables, load_columns, look_up, read_table

if TYPE_CHECKING:
    import pandas as pd


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


def start_cases_table(results: Iterable[CaseResult]) -> pd.DataFrame:
    """Return the cases as a table that speeds share, those held apart first.

    Columns: ``kind, group, label, predicted, measured, unit, signed_error, used_in_fit,
    source_id``.
    """
    import pandas as pd

    ordered = sorted(results, key=lambda result: result.used_in_fit)
    return pd.DataFrame(
        {
            "kind": "start",
            "group": [r.case.group for r in ordered],
            "label": [r.case.case_id for r in ordered],
            "predicted": [r.predicted_s for r in ordered],
            "measured": [r.measured_s for r in ordered],
            "unit": "s",
            "signed_error": [r.error for r in ordered],
            "used_in_fit": [r.used_in_fit for r in ordered],
            "source_id": [r.case.source_id for r in ordered],
        }
    )


@dataclass(frozen=True, slots=True)
class GroupError:
    """How far off the predictions of a group were.

    Attributes
    ----------
    used_in_fit : bool
        Whether the sources of these cases gave numbers of the model.
    median, largest : float
        Of the absolute errors [1].
    bias : float
        Median of the signed errors [1].
    """

    group: str
    used_in_fit: bool
    cases: int
    median: float
    bias: float
    largest: float

    @property
    def words(self) -> str:
        """Whether the group was held apart, in words."""
        return "used in a fit" if self.used_in_fit else "held apart"


def group_errors(results: Iterable[CaseResult]) -> tuple[GroupError, ...]:
    """Return the errors by group, those held apart first."""
    groups: dict[tuple[bool, str], list[float]] = {}
    for result in results:
        groups.setdefault((result.used_in_fit, result.case.group), []).append(result.error)
    return tuple(
        GroupError(
            group=group,
            used_in_fit=used,
            cases=len(errors),
            median=statistics.median(abs(error) for error in errors),
            bias=statistics.median(errors),
            largest=max(abs(error) for error in errors),
        )
        for (used, group), errors in sorted(groups.items())
    )


def cases_like(start: ColdStart, results: Iterable[CaseResult]) -> GroupError:
    """Return how far off the starts were that nobody fitted and that are known as well as this.

    A start of which a stage is assumed is like those of opaque platforms; any other is like those
    on hosts and storage that are known.

    Raises
    ------
    InputError
        If no such start is among the results.
    """
    group = "opaque" if any(stage.basis == "assumed" for stage in start.stages) else "known"
    for errors in group_errors(results):
        if errors.group == group and not errors.used_in_fit:
            return errors
    raise InputError(f"No start of the group {group} was held apart from the fits.")


def validation_report(results: Sequence[CaseResult]) -> str:
    """Return the results as text: one line a case, held apart first, then one line a group."""
    table = start_cases_table(results)
    width = max(map(len, table["label"]), default=0)
    lines = [
        f"{row.label:<{width}}  {row.group:<12}  measured {row.measured:7.1f} {row.unit}  "
        f"predicted {row.predicted:7.1f} {row.unit}  {row.signed_error:+7.1%}  "
        f"{'used in a fit' if row.used_in_fit else 'held apart'}"
        for row in table.itertuples()
    ]
    lines += [
        f"{errors.group}, {errors.words}: median absolute error {errors.median:.1%}, bias "
        f"{errors.bias:+.1%} over {errors.cases} cases, largest {errors.largest:.1%}"
        for errors in group_errors(results)
    ]
    return "\n".join(lines)


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
