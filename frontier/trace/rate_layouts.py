"""Which files count requests instead of listing them, by the names of their columns.

Rows of samples with labels (Prometheus, CloudWatch, Datadog and others, see `series_documents`),
Frontier's own rate table, panels as Grafana and CloudWatch export them (one series, several side by
side, or one below the other), and functions counted by the minute. What the samples mean is found
out in `which_series` and `rate_series`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from frontier.errors import InputError
from frontier.trace import metrics, quantities, series_documents
from frontier.trace.checks import Findings
from frontier.trace.columns import Clock
from frontier.trace.formats import SYNONYMS, Names, cells_of, fold
from frontier.trace.model import TraceQuestion, TraceReport
from frontier.trace.raw_table import Table

OWN = "rate table"
PANEL = "time and value (Prometheus, Grafana)"
_MINUTES = tuple(str(minute) for minute in range(1, 1441))
_TIMES = ("time", "timestamp", "date", "datetime", "ts", "@timestamp", "_time", "date_time",
          "date_and_time")  # fmt: skip
_VALUES = ("value", "_value", "value #a", "values")
_NAMES = ("metric", "__name__", "series", "_measurement", "_field", "name", "legend")
_FEWEST_ROWS = 3
_MOST_CELLS = 20_000  # of which a panel is told
_TOKENS = frozenset((metrics.PROMPT, metrics.OUTPUT, metrics.TOKENS))


@dataclass(frozen=True, slots=True)
class RateLayout:
    """Which column of a rate series is what; ``kind`` is None where it must be found out.

    Attributes
    ----------
    format : str
        Name shown to the user.
    time : str or None
        Column of times; ``closes`` says that a time is the end of its bucket.
    values : tuple of str
        Columns of values, each a series of its own if there are several.
    labels : str or None
        Column that holds the labels of a series as JSON, in its first row.
    label_columns : tuple of str
        Columns that are the labels of a row's series.
    kind : str or None
        What the values are, if the format says so.
    is_panel : bool
        Values are as a panel shows them: rounded, with units, their legends for names.
    prompt_sum, output_sum : str or None
        Columns of tokens of a bucket's requests together.
    model : str or None
        Column of functions, and ``minutes`` the columns of a table with one row a function.
    """

    format: str
    time: str | None = None
    values: tuple[str, ...] = ()
    labels: str | None = None
    label_columns: tuple[str, ...] = ()
    kind: str | None = None
    closes: bool = True
    is_panel: bool = False
    prompt_sum: str | None = None
    output_sum: str | None = None
    model: str | None = None
    minutes: tuple[str, ...] = ()

    def columns(self) -> tuple[str, ...]:
        """Return the columns to read."""
        named = (self.time, *self.values, self.labels, *self.label_columns, self.model,
                 self.prompt_sum, self.output_sum, *self.minutes)  # fmt: skip
        return tuple(name for name in named if name is not None)


def documents(names: Names) -> RateLayout | None:
    """JSON documents of monitoring systems: samples with labels (see `series_documents`)."""
    if not names.has(series_documents.VALUE, series_documents.LABELS):
        return None
    time = next((time for time in series_documents.SYSTEMS if names.has(time)), None)
    if time is None:
        return None
    label, closes = series_documents.SYSTEMS[time]
    return RateLayout(
        label, time, (series_documents.VALUE,), labels=series_documents.LABELS, closes=closes
    )


def azure_functions_2019(names: Names) -> RateLayout | None:
    """Azure Functions 2019 (Azure/AzurePublicDataset): one row a function, counts per minute."""
    if not names.has("HashFunction", *_MINUTES):
        return None
    return RateLayout(
        "Azure Functions 2019", kind="increase", model=names["HashFunction"], minutes=_MINUTES
    )


def own_buckets(names: Names) -> RateLayout | None:
    """Frontier's own rate table: bucket_start, requests and, if known, sums of tokens."""
    time = names.first("bucket_start", "bucket_start_s")
    if time is None or not names.has("requests"):
        return None
    return RateLayout(
        OWN,
        time,
        (names["requests"],),
        kind="increase",
        closes=False,
        prompt_sum=names.first("prompt_tokens_sum"),
        output_sum=names.first("output_tokens_sum"),
    )


def time_and_value(names: Names) -> RateLayout | None:
    """Two columns, a time and a number, as Grafana exports a panel."""
    if len(names.table.names) != 2:
        return None
    time, value = names.table.names
    times = {fold(name) for name in (*SYNONYMS["time"], *_TIMES)}
    others = {fold(name) for role, held in SYNONYMS.items() if role != "time" for name in held}
    if fold(time) not in times or fold(value) in others:
        return None
    meaning = metrics.meaning(value)
    if meaning == metrics.TIME:  # a request a row, with its duration
        return None
    if meaning in _TOKENS and not _is_even(names.table):  # a request a row, with its tokens
        return None
    cells = cells_of(names.table, value)
    if cells and all(cell.startswith(("{", "[")) for cell in cells):
        return None
    return RateLayout(PANEL, time, (value,), is_panel=True)


def long_panel(names: Names) -> RateLayout | None:
    """Several series one below the other: a time, a value, and columns that tell the series."""
    time, value = names.first(*_TIMES), names.first(*_VALUES)
    if time is None or value is None or _has_roles(names, but=(*_NAMES, "model", "model_name")):
        return None
    rest = tuple(name for name in names.table.names if name not in (time, value))
    return RateLayout(PANEL, time, (value,), label_columns=rest, is_panel=True)


def wide_panel(names: Names) -> RateLayout | None:
    """Several series side by side after a time, as Grafana and CloudWatch export a panel."""
    table = names.table
    if len(table.names) < 3 or not table.sample or _has_roles(names):
        return None
    time, *values = table.names
    if fold(time) not in {fold(name) for name in _TIMES}:
        return None
    if not _is_grid([row[0] for row in table.sample], table.decimal_comma):
        return None
    rows = table.sample[: max(_FEWEST_ROWS, _MOST_CELLS // len(values))]
    for column, _ in enumerate(values, 1):
        cells = [row[column] for row in rows if row[column].strip()]
        if any(not _is_quantity(cell, table.decimal_comma) for cell in cells):
            return None
    means = {metrics.meaning(metrics.labels_of(value).get("__name__")) for value in values}
    # Of tokens alone it may be a log of requests, unless they are rates or metrics by their name.
    is_told = all(metrics.is_rate(value) or re.search(r"\[\d|_total|:", value) for value in values)
    if not means & {metrics.REQUESTS, metrics.UNKNOWN, metrics.LEVEL} and not is_told:
        return None
    return RateLayout(PANEL, time, tuple(values), is_panel=True)


def is_name(column: str) -> bool:
    """Return whether a column of labels holds the name of a series."""
    return fold(column) in {fold(name) for name in _NAMES}


def _has_roles(names: Names, but: tuple[str, ...] = ()) -> bool:
    """Return whether a column is named as those of a log of requests are."""
    allowed = {fold(name) for name in (*_TIMES, *but)}
    telling = {fold(name) for held in SYNONYMS.values() for name in held} - allowed
    return any(fold(name) in telling for name in names.table.names)


def _is_quantity(cell: str, decimal_comma: bool) -> bool:
    return cell.strip().lower() in quantities.NONE or (
        quantities.quantity(cell, decimal_comma) is not None or quantities.is_tokens(cell)
    )


def _stamps(cells: list[str], decimal_comma: bool) -> NDArray[np.float64]:
    """Return the different times of some cells, in order, in the unit of the file."""
    import pyarrow as pa

    held = pa.array(cells, pa.string())
    try:
        offsets = Clock(decimal_comma=decimal_comma).offsets(held, 1)
    except TraceQuestion as question:  # whose zone is meant: the steps are the same in any
        place = question.choices[0][0]
        offsets = Clock(decimal_comma=decimal_comma, place=place).offsets(held, 1)
    except InputError:
        return np.zeros(0)
    return np.unique(offsets[np.isfinite(offsets)])


def _is_even(table: Table) -> bool:
    """Return whether the first times of a table are different and equally far apart."""
    cells = [row[0] for row in table.sample]
    stamps = _stamps(cells, table.decimal_comma)
    steps = np.diff(stamps)
    return stamps.size >= max(len(cells), _FEWEST_ROWS) and bool(np.ptp(steps) < 1e-3 * steps[0])


def _is_grid(cells: list[str], decimal_comma: bool) -> bool:
    """Return whether times are different and a whole number of steps apart."""
    stamps = _stamps(cells, decimal_comma)
    if stamps.size < _FEWEST_ROWS or stamps.size < len(cells):
        return False
    steps = np.diff(stamps)
    whole = steps / steps.min()
    return bool(np.all(np.abs(whole - np.rint(whole)) < 1e-3))


RATE_FORMATS: tuple[Callable[[Names], RateLayout | None], ...] = (
    documents,
    azure_functions_2019,
    own_buckets,
    time_and_value,
    long_panel,
    wide_panel,
)


def recognise(table: Table) -> RateLayout | None:
    """Return how a table counts requests, if it does."""
    names = Names(table)
    return next((found for find in RATE_FORMATS if (found := find(names)) is not None), None)


def report_of(label: str, unit: str, read: int, findings: Findings, bucket_s: float) -> TraceReport:
    """Return the report on counts: samples read, kept and dropped."""
    dropped = {reason: count for reason, count in findings.dropped.items() if count}
    return TraceReport(
        format=label,
        time_unit=unit,
        rows_read=read,
        kept=read - sum(dropped.values()),
        dropped=dropped,
        assumed=tuple(findings.assumed),
        notes=tuple(findings.notes),
        bucket_s=bucket_s,
    )
