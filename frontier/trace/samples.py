"""Samples of a metrics system as they stand in a file: times, values, and the labels of a series.

What cannot be read is counted and remembered by its place. What the values are and which series
count is found out in `rate_series` and `which_series`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from frontier.errors import InputError
from frontier.tables import Tables
from frontier.trace import metrics, quantities
from frontier.trace.checks import Findings
from frontier.trace.columns import MISSING, Clock, Codes, numbers
from frontier.trace.model import UnknownFormat
from frontier.trace.rate_layouts import RateLayout, is_name
from frontier.trace.raw_table import Table, too_many_rows
from frontier.trace.which_series import Chosen

if TYPE_CHECKING:
    import pyarrow as pa

_MOST_COUNTED = 2.0**53  # above it floats skip whole numbers


@dataclass(slots=True)
class Samples:
    """Samples that were read, and the times and series of all and of those that were not."""

    clock: Clock
    time: NDArray[np.float64]
    value: NDArray[np.float64]
    is_rate: NDArray[np.bool_]
    series: NDArray[np.int64]
    labels: list[dict[str, str]]
    prompt: NDArray[np.float64] | None
    output: NDArray[np.float64] | None
    read: int
    unread: str
    every_time: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    every_series: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    unread_time: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    unread_series: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def take(self, keep: NDArray) -> None:
        """Keep only these samples."""
        for column in ("time", "value", "is_rate", "series", "prompt", "output"):
            held = getattr(self, column)
            if held is not None:
                setattr(self, column, held[keep])


def read_samples(
    table: Table, layout: RateLayout, clock: Clock, findings: Findings, max_rows: int
) -> Samples:
    """Return the samples in a table; those that are none are counted in ``findings``.

    Raises
    ------
    InputError
        If there are no samples, or more than ``max_rows``.
    """
    codes = {column: Codes() for column in (layout.labels, *layout.label_columns) if column}
    parts: dict[str, list[NDArray]] = {}
    read, first_unread, last = 0, "", MISSING
    for batch in table.batches(layout.columns()):
        if not batch.rows:
            continue
        read += batch.rows * len(layout.values)
        if read > max_rows:
            raise too_many_rows(max_rows)
        cells = batch.columns
        time = clock.offsets(cells[layout.time or ""], batch.first_row)
        named = [codes[column].of(cells[column]) for column in codes]
        if layout.labels is not None:
            named, last = [filled := _filled_down(named[0], last)], int(filled[-1])
        for number, column in enumerate(layout.values):
            found = quantities.read(cells[column], table.decimal_comma)
            first_unread = first_unread or found.unread
            row = {
                "time": time, "value": found.value, "is_rate": found.is_rate,
                "is_unread": found.is_unread,
                "series": np.stack([np.full(batch.rows, number), *named], axis=1),
            }  # fmt: skip
            for key, sums in (("prompt", layout.prompt_sum), ("output", layout.output_sum)):
                if sums:
                    row[key] = _tokens(cells[sums], table.decimal_comma)
            for key, values in row.items():
                parts.setdefault(key, []).append(values)
    for reason, count in table.broken.items():
        findings.dropped[reason] += count
        read += count
    if not parts:
        raise InputError("The file has a header but no samples.")
    joined = {key: np.concatenate(values) for key, values in parts.items()}
    unread = joined.pop("is_unread")
    combinations, series = np.unique(joined.pop("series"), axis=0, return_inverse=True)
    names = {column: list(code.names) for column, code in codes.items()}
    held = Samples(
        clock=clock, series=series.reshape(-1), read=read, unread=first_unread,
        labels=[_labels(layout, names, combination) for combination in combinations],
        prompt=joined.pop("prompt", None), output=joined.pop("output", None), **joined,
    )  # fmt: skip
    keep = np.ones(held.time.size, dtype=bool)

    def drop(bad: NDArray[np.bool_], reason: str) -> None:
        bad = bad & keep
        if bad.any():
            findings.dropped[reason] += int(np.count_nonzero(bad))
            keep[bad] = False

    below, above = held.value < 0, held.value > _MOST_COUNTED
    drop(~np.isfinite(held.time), "samples whose time could not be read")
    lost = (unread | below | above) & keep
    drop(unread, "samples that could not be read")
    drop(np.isnan(held.value), "samples that are not a number")
    drop(below, "samples below zero")
    drop(above, "samples above 2⁵³")
    held.unread_time, held.unread_series = held.time[lost], held.series[lost]
    timed = np.isfinite(held.time)
    held.every_time, held.every_series = held.time[timed], held.series[timed]
    if not keep.all():
        held.take(keep)
    return held


def _filled_down(codes: NDArray[np.int32], before: int) -> NDArray[np.int32]:
    """Return codes with those missing taken from the row before: a series is named once."""
    codes = np.concatenate(([before], codes))
    at = np.maximum.accumulate(np.where(codes == MISSING, 0, np.arange(codes.size)))
    return codes[at][1:]


def _labels(
    layout: RateLayout, names: dict[str, list[str]], numbers: NDArray[np.int64]
) -> dict[str, str]:
    """Return the labels of one series: its column of values, and what its label columns hold."""
    column, *codes = numbers.tolist()
    held = {name: names[name][code] for name, code in zip(names, codes, strict=True) if code >= 0}
    if layout.labels is not None:
        return json.loads(held.get(layout.labels, "{}"))
    if not layout.is_panel:
        return {"__name__": layout.values[column]}
    if not layout.label_columns:
        return metrics.labels_of(layout.values[column])
    labels: dict[str, str] = {}
    for name, cell in held.items():
        labels |= metrics.labels_of(cell) if is_name(name) else {name: cell}
    return labels


def check_times(held: Samples, findings: Findings, tables: Tables) -> None:
    """Raise if too many samples have no readable time."""
    bad = findings.dropped["samples whose time could not be read"]
    if bad > tables.setting("trace_bad_time_share") * held.read:
        row, text = held.clock.bad or (0, "")
        raise InputError(
            f"Row {row:,}: {text} is not a time. {bad:,} of {held.read:,} samples have no readable "
            "time."
        )


def drop_repeated(held: Samples, findings: Findings) -> None:
    """Keep one of several samples of a series that have the same time and the same value."""
    order = np.lexsort((held.value, held.time, held.series))
    again = np.ones(order.size, dtype=bool)
    for column in (held.series, held.time, held.value):
        again[1:] &= np.diff(column[order]) == 0
    again[:1] = False
    if again.any():
        findings.dropped["samples that are in the file twice"] += int(np.count_nonzero(again))
        keep = np.ones(order.size, dtype=bool)
        keep[order[again]] = False
        held.take(keep)


def _tokens(cells: pa.Array, decimal_comma: bool) -> NDArray[np.float64]:
    """Return sums of tokens; not-a-number where a cell is empty, infinity where it is no sum."""
    found = numbers(cells, decimal_comma)
    empty = cells.is_null().to_numpy(zero_copy_only=False)
    return np.where(empty, np.nan, np.where(found >= 0, found, np.inf))


def check_tokens(held: Samples) -> None:
    """Raise if every value is one of tokens, by the unit behind it."""
    if not held.time.size and quantities.is_tokens(held.unread):
        raise InputError(
            f"The values are of tokens ('{held.unread}'), and nothing in the file counts requests. "
            "Export a counter of requests, such as vllm:request_success_total, beside them."
        )


def check_unread(
    held: Samples, chosen: Chosen, number: int, layout: RateLayout, tables: Tables
) -> None:
    """Raise if too few samples are left to read, or too many could not be read."""
    lost = int(np.count_nonzero(np.isin(held.unread_series, chosen.requests)))
    what = f", the first is '{held.unread}'" if held.unread else ""
    if number < 2 and layout.is_panel and len(layout.values) == 1 and not layout.label_columns:
        raise UnknownFormat(
            f"Two columns are read as a time and a count, but '{layout.values[0]}' holds no "
            f"counts{what}. If each row is a request, say which column is its time.",
            layout.columns(),
            {"time": layout.time or ""},
        )
    if lost > tables.setting("trace_unread_share") * (lost + number):
        raise InputError(
            f"{lost:,} of {lost + number:,} values are no counts of requests{what}. Expected "
            "numbers, such as 350, 1.20 K or 12 req/s."
        )
    if number < 2:
        raise InputError(f"Found {number} readable samples; at least two are needed.")
