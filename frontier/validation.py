"""Predictions beside measurements: one row a published case, and how far off each group is.

What is compared (starts, speeds, simulations) is the business of the modules above; this one
holds the row they share, its summary and its text. Groups kept back from every fit come first,
since only they say how far off a new case will be.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Comparison:
    """One published figure beside its prediction.

    Attributes
    ----------
    kind : str
        What is predicted: ``start``, ``speed`` or ``simulation``.
    group : str
        Cases of one sort, which share an error.
    label : str
        The case in words.
    predicted, measured : float
        Both above 0 and in `unit`; for speeds a time, so that above means too slow.
    used_in_fit : bool
        Whether a coefficient was fitted to it.
    """

    kind: str
    group: str
    label: str
    predicted: float
    measured: float
    unit: str
    used_in_fit: bool
    source_id: str

    @property
    def signed_error(self) -> float:
        """Return predicted over measured, less one [1]."""
        return self.predicted / self.measured - 1.0


@dataclass(frozen=True, slots=True)
class Summary:
    """How far off the cases of one group are [1]; ``bias`` is the median of the signed errors."""

    kind: str
    group: str
    used_in_fit: bool
    cases: int
    median_error: float
    bias: float
    largest_error: float


def summarise(rows: Iterable[Comparison]) -> tuple[Summary, ...]:
    """Return a summary of each group, those kept back from every fit first."""
    groups: dict[tuple[bool, str, str], list[float]] = {}
    for row in rows:
        key = (row.used_in_fit, row.kind, row.group)
        groups.setdefault(key, []).append(row.signed_error)
    return tuple(
        _summary(kind, group, used, errors)
        for (used, kind, group), errors in sorted(groups.items(), key=lambda item: item[0][0])
    )


def overall(rows: Sequence[Comparison]) -> tuple[Summary, ...]:
    """Return a summary of each kind over all its groups, kept back and used apart."""
    everything = (
        Comparison(r.kind, "all", "", r.predicted, r.measured, r.unit, r.used_in_fit, r.source_id)
        for r in rows
    )
    return summarise(everything)


def report(rows: Sequence[Comparison]) -> str:
    """Return the rows as text: one line a case, then the errors of each group and of all."""
    ordered = sorted(rows, key=lambda row: (row.used_in_fit, row.kind, row.group))
    width = max((len(row.label) for row in ordered), default=0)
    group_width = max((len(row.group) for row in ordered), default=0)
    lines = [
        f"{row.label:<{width}}  {row.group:<{group_width}}  "
        f"predicted {row.predicted:10.4g}{_unit(row)}  measured {row.measured:10.4g}{_unit(row)}  "
        f"{row.signed_error:+7.1%}  {_use(row.used_in_fit)}"
        for row in ordered
    ]
    lines += [
        f"{s.kind}, {s.group} ({_use(s.used_in_fit)}): median absolute error "
        f"{s.median_error:.1%}, bias {s.bias:+.1%}, largest {s.largest_error:.1%}, "
        f"{s.cases} case{'' if s.cases == 1 else 's'}"
        for s in (*summarise(rows), *overall(rows))
    ]
    return "\n".join(lines)


def _unit(row: Comparison) -> str:
    return "" if row.unit == "1" else f" {row.unit}"


def _use(used_in_fit: bool) -> str:
    return "used in a fit" if used_in_fit else "kept back"


def _summary(kind: str, group: str, used_in_fit: bool, errors: list[float]) -> Summary:
    sizes = [abs(error) for error in errors]
    return Summary(
        kind,
        group,
        used_in_fit,
        len(errors),
        statistics.median(sizes),
        statistics.median(errors),
        max(sizes),
    )
