"""Published starts beside their prediction, and by how much the groups of them are off.

The cases stand in data/validation_cases.csv, or in a file of the same columns. Left out: any
fitting; a case here was used for no coefficient.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from frontier.errors import InputError, TableError
from frontier.start.predict import StartInputs, start_inputs_for
from frontier.start.stages import STAGES, check_seconds
from frontier.tables import Model, StartCase, Tables, load_columns, look_up, read_table


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One published start beside its prediction.

    Attributes
    ----------
    measured_s, predicted_s : float
        Median of the measured starts, and the predicted one over the same stages [s].
    error : float
        Predicted over measured, less one [1].
    """

    case: StartCase
    measured_s: float
    predicted_s: float

    @property
    def error(self) -> float:
        """Return predicted over measured, less one [1]."""
        return self.predicted_s / self.measured_s - 1.0


def read_cases(path: Path | str) -> tuple[StartCase, ...]:
    """Return the starts of a CSV file that has the columns of data/validation_cases.csv.

    data/columns.csv describes the columns. A start is given by a platform, a model, a GPU and a
    precision, and by whatever is known better than the platform's defaults; ``measured_s`` holds
    one or more times joined by ``;``, counted from the stage ``start_at`` until ready.

    Raises
    ------
    TableError
        If the file, a column or a cell is not as described.
    """
    path = Path(path)
    rows = read_table("validation_cases", StartCase, load_columns(), path=path)
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
        first = STAGES.index(case.start_at)
        results.append(
            CaseResult(
                case, statistics.median(_measured_s(case)), sum(wall[s] for s in STAGES[first:])
            )
        )
    return tuple(results)


def validation_report(results: Sequence[CaseResult]) -> str:
    """Return the results as text: one line a case, then the median absolute error of each group."""
    width = max((len(result.case.case_id) for result in results), default=0)
    lines = [
        f"{r.case.case_id:<{width}}  {r.case.group:<12}  measured {r.measured_s:7.1f} s  "
        f"predicted {r.predicted_s:7.1f} s  {r.error:+7.1%}"
        for r in results
    ]
    lines += [
        f"{group}: median absolute error {error:.1%} over {count} cases, largest {largest:.1%}"
        for group, (error, largest, count) in median_errors(results).items()
    ]
    return "\n".join(lines)


def median_errors(results: Iterable[CaseResult]) -> dict[str, tuple[float, float, int]]:
    """Return by group the median and the largest absolute error [1] and the number of cases."""
    groups: dict[str, list[float]] = {}
    for result in results:
        groups.setdefault(result.case.group, []).append(abs(result.error))
    return {
        group: (statistics.median(errors), max(errors), len(errors))
        for group, errors in groups.items()
    }


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
            *("params_b", "layers", "architecture", "checkpoint_gb", "host", "storage", "loader"),
            *("readers", "compile_state", "capture_sizes", "image_state", "allocate_s"),
        )
        if getattr(case, name) is not None
    }
    look_up(tables.platforms, case.platform, "platform")
    model = case.model
    if model not in tables.models:
        missing = {"params_b", "layers", "architecture", "checkpoint_gb"} - set(known)
        if missing:
            raise InputError(
                f"{model} is not in models.csv, so the case must give {', '.join(sorted(missing))}"
            )
        # Any row serves: each figure that comes from it is replaced.
        model = next(n for n, row in tables.models.items() if _has(row, case.precision))
    return start_inputs_for(
        case.platform, model, case.gpu, case.precision, gpus=case.gpus, tables=tables, **known
    )


def _has(row: Model, precision: str) -> bool:
    return getattr(row, f"{precision}_gb") is not None
