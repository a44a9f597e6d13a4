"""Requests counted by the minute instead of listed: what a metrics system has.

A `RateSeries` is counts per bucket. `expand` makes requests of it, placed at random inside each
bucket under a fixed seed; ``draw`` gives other placements, and the spread of an answer over some
draws is what the counts leave open. Gaps shorter than a bucket are not in such data, so an idle
timeout shorter than one cannot be judged from it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from frontier import units
from frontier.errors import InputError
from frontier.tables import Tables, load_tables
from frontier.trace import checks
from frontier.trace.checks import Findings
from frontier.trace.columns import MISSING, Clock, Codes, numbers
from frontier.trace.decode import Table, too_many_rows
from frontier.trace.formats import SYNONYMS, Names, fold, listed
from frontier.trace.model import Trace, TraceQuestion, TraceReport, UnknownFormat, make_trace

KINDS = ("increase", "rate", "counter")
_MINUTES = tuple(str(minute) for minute in range(1, 1441))
_CLOCK_FORMAT = "%H:%M"
_MOST_RESETS = 5
_MOST_COUNTED = 2**53  # above it floats skip whole numbers
OWN = "rate table"


@dataclass(frozen=True, slots=True, eq=False)
class RateSeries:
    """Requests counted in buckets of one width.

    Attributes
    ----------
    name : str
        What the user calls it.
    bucket_s : float
        Width of a bucket [s].
    requests : ndarray of float64, shape (n,)
        Requests in each bucket, the first beginning at time 0; not whole if a rate was given.
    prompt_tokens_sum, output_tokens_sum : ndarray of float64, shape (n,), or None
        Tokens of a bucket's requests together.
    t0_utc : datetime or None
        When the first bucket begins.
    report : TraceReport
        What was read, dropped and assumed.
    """

    name: str
    bucket_s: float
    requests: NDArray[np.float64]
    prompt_tokens_sum: NDArray[np.float64] | None
    output_tokens_sum: NDArray[np.float64] | None
    t0_utc: dt.datetime | None
    report: TraceReport


@dataclass(frozen=True, slots=True)
class RateLayout:
    """Which column of a rate series is what; ``kind`` is None where it must be asked.

    ``closes`` says that a time is the end of its bucket. ``wide`` holds the minute columns of a
    table that has one row a function.
    """

    format: str
    time: str | None = None
    value: str | None = None
    kind: str | None = None
    closes: bool = True
    series: str | None = None
    metric: str | None = None
    model: str | None = None
    prompt_sum: str | None = None
    output_sum: str | None = None
    wide: tuple[str, ...] = ()

    def columns(self) -> tuple[str, ...]:
        """Return the columns to read."""
        named = (self.time, self.value, self.series, self.metric, self.model, self.prompt_sum,
                 self.output_sum, *self.wide)  # fmt: skip
        return tuple(name for name in named if name is not None)


def prometheus(names: Names) -> RateLayout | None:
    """Prometheus range answer (resultType matrix): a point closes the window ending at it."""
    if not names.has("sample_time", "sample_value"):
        return None
    return RateLayout(
        "Prometheus range",
        "sample_time",
        "sample_value",
        series="series",
        metric="series_metric",
        model="series_model",
    )


def azure_functions_2019(names: Names) -> RateLayout | None:
    """Azure Functions 2019 (Azure/AzurePublicDataset): one row a function, counts per minute."""
    if not names.has("HashFunction", *_MINUTES):
        return None
    return RateLayout(
        "Azure Functions 2019",
        kind="increase",
        model=names["HashFunction"],
        wide=_MINUTES,
    )


def own_buckets(names: Names) -> RateLayout | None:
    """Frontier's own rate table: bucket_start, requests and, if known, sums of tokens."""
    time = names.first("bucket_start", "bucket_start_s")
    if time is None or not names.has("requests"):
        return None
    return RateLayout(
        OWN,
        time,
        names["requests"],
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
    times = {fold(name) for name in SYNONYMS["time"]}
    others = {fold(name) for role, held in SYNONYMS.items() if role != "time" for name in held}
    if fold(time) not in times or fold(value) in others:
        return None
    return RateLayout("time and value (Prometheus, Grafana)", time, value)


RATE_FORMATS: tuple[Callable[[Names], RateLayout | None], ...] = (
    prometheus,
    azure_functions_2019,
    own_buckets,
    time_and_value,
)


def recognise(table: Table) -> RateLayout | None:
    """Return how a table counts requests, if it does."""
    names = Names(table)
    return next((found for find in RATE_FORMATS if (found := find(names)) is not None), None)


def read_rates(
    table: Table,
    layout: RateLayout,
    *,
    name: str,
    counts: str | None,
    time_unit: str | None,
    model: str | None,
    missing_buckets: str,
    max_rows: int,
    tables: Tables,
) -> RateSeries:
    """Return the counts in a table.

    Raises
    ------
    TraceQuestion
        If it is not known what the values are, or which of several models is meant.
    InputError
        If there are fewer than two buckets, or times that make no grid.
    """
    findings = Findings()
    if layout.wide:
        return _wide(table, layout, name, model, findings, max_rows, tables)
    held = _read(table, layout, findings, max_rows)
    _pick_model(held, model, findings, tables)
    by_metric = _by_metric(held, findings)
    requests = by_metric.pop("requests")
    # Frontier's own table counts from its start in seconds; other numbers are dates or asked.
    from_start = layout.format == OWN and float(held.clock.origin or 0) < units.SECONDS_PER_DAY
    unit, dated = checks.unit_of(
        held.clock,
        held.time,
        known="s" if from_start else "find",
        usual=None,
        told=time_unit,
        column=layout.time or "",
        findings=findings,
        tables=tables,
    )
    factor = 1.0 if held.clock.is_date else checks.SECONDS_IN[unit]
    time_s = held.time * factor
    step_s, start_s, buckets = _grid(time_s[requests], layout.closes, max_rows)
    kind = (
        layout.kind
        or counts
        or _known_kind(held, requests)
        or _ask_kind(held, requests, step_s, time_s)
    )
    total = _binned(held, requests, kind, time_s, step_s, start_s, buckets, findings,
                    _date(held.clock, unit) if dated else None)  # fmt: skip
    sums = {
        role: _binned(held, rows, "counter", time_s, step_s, start_s, buckets, Findings(), None)
        for role, rows in by_metric.items()
    }
    for role, column in (("prompt", held.prompt), ("output", held.output)):
        if column is not None:
            sums[role] = np.bincount(
                _bucket(time_s, start_s, step_s, layout.closes, buckets),
                np.nan_to_num(column), buckets,
            )  # fmt: skip
    seen = np.zeros(buckets, dtype=bool)
    seen[_bucket(time_s[requests], start_s, step_s, layout.closes, buckets)] = True
    _fill(total, seen, missing_buckets, kind, findings)
    origin_s = _date(held.clock, unit) if dated else None
    if layout.kind is None:
        findings.notes.append(
            "Counters of finished requests count a request when its response ends: arrivals are "
            "late by the response time."
        )
    return RateSeries(
        name=name,
        bucket_s=step_s,
        requests=total,
        prompt_tokens_sum=sums.get("prompt"),
        output_tokens_sum=sums.get("output"),
        t0_utc=None if origin_s is None else checks.date_of(origin_s + start_s),
        report=_report(layout.format, unit, held.read, findings, step_s),
    )


def expand(
    series: RateSeries,
    *,
    draw: int = 0,
    fill: tuple[int, int] | None = None,
    max_rows: int | None = None,
    tables: Tables | None = None,
) -> Trace:
    """Return requests placed evenly at random inside their buckets.

    Counts that are not whole are rounded up or down at random so that their running total is kept
    to within one request. For a Poisson process, places inside a bucket of known count are indeed
    independent and even.

    Parameters
    ----------
    series : RateSeries
        The counts.
    draw : int
        Which placement: the same number gives the same one.
    fill : tuple of int, optional
        Prompt and output tokens of a request, where the series has no sums; settings unless given.
    max_rows : int, optional
        Most requests; a setting unless given.
    tables : Tables, optional
        For the settings.

    Raises
    ------
    InputError
        If there are fewer than two requests, or too many.
    """
    tables = tables or load_tables()
    fill = fill or (
        int(tables.setting("trace_default_prompt_tokens")),
        int(tables.setting("trace_default_output_tokens")),
    )
    most = int(max_rows or tables.setting("trace_max_rows"))
    rng = np.random.default_rng((int(tables.setting("trace_seed")), draw))
    running = np.floor(np.cumsum(series.requests) + rng.random())
    each = np.diff(running, prepend=0.0).astype(np.int64)
    number = int(each.sum())
    if number > most:
        raise too_many_rows(most)
    if number < 2:
        raise InputError(
            f"The file counts {units.count(number, 'request')}; rate and idle time need at least "
            "two."
        )
    bucket = np.repeat(np.arange(each.size), each)
    time_s = np.sort((bucket + rng.random(number)) * series.bucket_s)
    tokens, assumed = [], []
    for what, sums, default in (
        ("prompt", series.prompt_tokens_sum, fill[0]),
        ("output", series.output_tokens_sum, fill[1]),
    ):
        least = 1 if what == "output" else 0
        if sums is None:
            tokens.append(np.full(number, default, dtype=np.int32))
            continue
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = sums / series.requests
        overall = float(sums.sum() / series.requests.sum())
        mean = np.where(np.isfinite(mean), mean, overall)
        most_tokens = np.iinfo(np.int32).max
        if mean.max() > most_tokens or mean.min() < 0:
            raise InputError(
                f"The mean of {what} tokens in a bucket runs from {units.significant(mean.min())} "
                f"to {units.significant(mean.max())}; expected 0 to {most_tokens:,}."
            )
        tokens.append(np.maximum(np.rint(mean), least).astype(np.int32)[bucket])
        assumed.append(f"Requests of one bucket have the same {what} tokens, their mean.")
    if series.prompt_tokens_sum is None and series.output_tokens_sum is None:
        assumed.append(f"No token counts: using {fill[0]:,} in / {fill[1]:,} out for all requests.")
    first_s = float(time_s[0])
    report = replace(
        series.report,
        assumed=(
            *series.report.assumed,
            f"{number:,} requests placed at random inside buckets of "
            f"{units.seconds(series.bucket_s)} (draw {draw}).",
            *assumed,
        ),
        notes=(
            *series.report.notes,
            f"Data is per {units.seconds(series.bucket_s)}: idle timeouts under "
            f"{units.seconds(series.bucket_s)} cannot be judged.",
        ),
    )
    return make_trace(
        series.name,
        time_s - first_s,
        *tokens,
        horizon_s=max(series.bucket_s * each.size - first_s, float(time_s[-1]) - first_s),
        t0_utc=None if series.t0_utc is None else series.t0_utc + dt.timedelta(seconds=first_s),
        resolution_s=series.bucket_s,
        report=report,
    )


# --- Samples to buckets -------------------------------------------------------------------------


@dataclass(slots=True)
class _Samples:
    clock: Clock
    time: NDArray[np.float64]
    value: NDArray[np.float64]
    series: NDArray[np.int32]
    metric: NDArray[np.int32]
    metrics: Codes
    model: NDArray[np.int32]
    models: Codes
    prompt: NDArray[np.float64] | None
    output: NDArray[np.float64] | None
    read: int

    def take(self, keep: NDArray) -> None:
        for column in ("time", "value", "series", "metric", "model", "prompt", "output"):
            held = getattr(self, column)
            if held is not None:
                setattr(self, column, held[keep])


def _read(table: Table, layout: RateLayout, findings: Findings, max_rows: int) -> _Samples:
    clock = Clock(decimal_comma=table.decimal_comma)
    series, metrics, models = Codes(), Codes(), Codes()
    parts: dict[str, list[NDArray]] = {}
    read = 0
    for batch in table.batches(layout.columns()):
        if not batch.rows:
            continue
        read += batch.rows
        if read > max_rows:
            raise too_many_rows(max_rows)
        cells = batch.columns
        none = np.zeros(batch.rows, dtype=np.int32)
        row = {
            "time": clock.offsets(cells[layout.time or ""], batch.first_row),
            "value": numbers(cells[layout.value or ""], table.decimal_comma),
        }
        for key, column, codes in (
            ("series", layout.series, series),
            ("metric", layout.metric, metrics),
            ("model", layout.model, models),
        ):
            row[key] = codes.of(cells[column]) if column else none
        for key, column in (("prompt", layout.prompt_sum), ("output", layout.output_sum)):
            if column:
                row[key] = numbers(cells[column], table.decimal_comma)
        for key, values in row.items():
            parts.setdefault(key, []).append(values)
    for reason, count in table.broken.items():
        findings.dropped[reason] += count
        read += count
    if not parts:
        raise InputError("The file has a header but no samples.")
    joined = {key: np.concatenate(values) for key, values in parts.items()}
    held = _Samples(
        clock=clock, metrics=metrics, models=models, read=read,
        prompt=joined.pop("prompt", None), output=joined.pop("output", None), **joined,
    )  # fmt: skip
    for good, reason in (
        (lambda: np.isfinite(held.time), "samples whose time could not be read"),
        (lambda: np.abs(held.value) <= _MOST_COUNTED, "samples that are not a number"),
        (lambda: held.value >= 0, "samples below zero"),
    ):
        keep = good()
        if not keep.all():
            findings.dropped[reason] += int(np.count_nonzero(~keep))
            held.take(keep)
    if held.time.size < 2 and len(table.names) == 2:
        raise UnknownFormat(
            f"Two columns are read as a time and a count, but '{layout.value}' holds no counts. "
            "If each row is a request, say which column is its time.",
            tuple(table.names),
            {"time": layout.time or ""},
        )
    if held.time.size < 2:
        raise InputError(f"Found {held.time.size} readable samples; at least two are needed.")
    return held


def _pick_model(held: _Samples, told: str | None, findings: Findings, tables: Tables) -> None:
    names = held.models.names
    if len(names) < 2:
        return
    if told is None:
        samples = np.bincount(held.model[held.model >= 0], minlength=len(names))
        raise TraceQuestion(
            f"{len(names)} models in the file; each needs its own deployment. Which one?",
            "model",
            (
                *(
                    (name, f"{name}: {units.count(int(samples[code]), 'sample')}")
                    for name, code in list(names.items())[
                        : int(tables.setting("trace_most_models"))
                    ]
                ),
                ("all", "All of them, as if they were one deployment"),
            ),
        )
    if told == "all":
        findings.assumed.append(f"{len(names)} models are taken together as one deployment.")
        return
    if told not in names:
        raise InputError(
            f"There is no model '{told}' in the file; there are {listed(tuple(names))}."
        )
    keep = held.model == names[told]
    findings.dropped["samples of other models"] += int(np.count_nonzero(~keep))
    held.take(keep)


def _by_metric(held: _Samples, findings: Findings) -> dict[str, NDArray[np.intp]]:
    """Return the samples that count requests, and those that sum tokens."""
    everything = np.arange(held.time.size)
    present = [name for name, code in held.metrics.names.items() if (held.metric == code).any()]
    if len(present) < 2:
        return {"requests": everything}
    roles = {}
    for role, telling in (
        ("prompt", ("prompt_tokens",)),
        ("output", ("generation_tokens", "output_tokens", "completion_tokens")),
        ("requests", ("request",)),
    ):
        named = [
            name
            for name in present
            if any(part in name for part in telling) and name not in roles.values()
        ]
        if named:
            roles[role] = named[0]
    if "requests" not in roles:
        raise InputError(f"No metric counts requests. Found: {listed(tuple(present))}.")
    unused = [name for name in present if name not in roles.values()]
    if unused:
        rows = np.isin(held.metric, [held.metrics.names[name] for name in unused])
        findings.dropped["samples of other metrics"] += int(np.count_nonzero(rows))
    return {
        role: everything[held.metric == held.metrics.names[name]] for role, name in roles.items()
    }


def _grid(time_s: NDArray[np.float64], closes: bool, most: int) -> tuple[float, float, int]:
    """Return the width of a bucket, when the first begins, and how many there are."""
    stamps = np.unique(time_s)
    if stamps.size < 2:
        raise InputError("All samples have the same time; at least two different times are needed.")
    steps = np.diff(stamps)
    # Missing samples make long steps, so the middle one may be several buckets long.
    step_s = float(np.quantile(steps, 0.1, method="inverted_cdf"))
    first, last = float(stamps[0]), float(stamps[-1])
    off = np.abs((stamps - first) / step_s - np.rint((stamps - first) / step_s))
    if np.quantile(off, 0.95) > 0.05:
        raise InputError(
            f"Samples are not evenly spaced (most often {units.seconds(step_s)} apart). Export "
            "them with a fixed step."
        )
    buckets = int(np.rint((last - first) / step_s)) + 1
    if buckets > most:
        raise InputError(
            f"Samples {units.seconds(step_s)} apart over {units.seconds(last - first)} are "
            f"{buckets:,} buckets, more than {most:,}. Keep one week, or take a longer step."
        )
    return step_s, first - step_s if closes else first, buckets


def _bucket(
    time_s: NDArray[np.float64], start_s: float, step_s: float, closes: bool, buckets: int
) -> NDArray[np.int64]:
    at = np.rint((time_s - start_s) / step_s).astype(np.int64) - int(closes)
    return np.clip(at, 0, buckets - 1)


def _known_kind(held: _Samples, rows: NDArray[np.intp]) -> str | None:
    """Return "counter" where the metric's name says so."""
    names = [name for name, code in held.metrics.names.items() if (held.metric[rows] == code).any()]
    return "counter" if names and all(name.endswith("_total") for name in names) else None


def _ask_kind(
    held: _Samples, rows: NDArray[np.intp], step_s: float, time_s: NDArray[np.float64]
) -> str:
    value = held.value[rows]
    grown = sum(
        float(_increments(held.value[some]).sum()) for some in _series_of(held, rows, time_s)
    )
    raise TraceQuestion(
        f"What do the values count, {units.seconds(step_s)} apart?",
        "counts",
        (
            ("increase", f"Requests of each step: {units.significant(value.sum())} in all"),
            ("rate", f"Requests a second: {units.significant(value.sum() * step_s)} in all"),
            ("counter", f"A running total: {units.significant(grown)} in all"),
        ),
    )


def _series_of(
    held: _Samples, rows: NDArray[np.intp], time_s: NDArray[np.float64]
) -> list[NDArray[np.intp]]:
    """Return the samples of each series, in order of time."""
    order = rows[np.lexsort((time_s[rows], held.series[rows]))]
    return np.split(order, np.flatnonzero(np.diff(held.series[order])) + 1)


def _increments(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what a counter grew by from sample to sample; it restarts at 0 where it falls."""
    steps = np.diff(value)
    return np.where(steps < 0, value[1:], steps)


def _binned(
    held: _Samples,
    rows: NDArray[np.intp],
    kind: str,
    time_s: NDArray[np.float64],
    step_s: float,
    start_s: float,
    buckets: int,
    findings: Findings,
    origin_s: float | None,
) -> NDArray[np.float64]:
    total = np.zeros(buckets)
    if kind != "counter":
        scale = step_s if kind == "rate" else 1.0
        at = np.clip(np.rint((time_s[rows] - start_s) / step_s).astype(int), 0, None)
        closes = int(at.max() >= buckets)
        np.add.at(total, np.clip(at - closes, 0, buckets - 1), held.value[rows] * scale)
        return total
    resets = []
    for some in _series_of(held, rows, time_s):
        at = np.clip(np.rint((time_s[some] - start_s) / step_s).astype(int) - 1, 0, buckets - 1)
        grown = _increments(held.value[some])
        fell = np.diff(held.value[some]) < 0
        resets.extend(time_s[some][1:][fell])
        # After missing samples the growth is spread over them; after a restart it is not, since
        # the counter was not there.
        for index, amount in enumerate(grown):
            low = at[index + 1] if fell[index] else at[index] + 1
            high = max(at[index + 1], low)
            total[low : high + 1] += amount / (high - low + 1)
        findings.dropped["first samples of a counter (nothing to compare with)"] += 1
    if resets:
        stamps = sorted(resets)
        shown = [
            _clock_time(origin_s + stamp) if origin_s is not None else units.seconds(stamp)
            for stamp in stamps[:_MOST_RESETS]
        ]
        more = f" and {len(stamps) - len(shown)} more times" if len(stamps) > len(shown) else ""
        findings.notes.append(
            f"Counter {'reset' if len(stamps) == 1 else 'resets'} at {', '.join(shown)}{more} "
            "handled as restarts."
        )
    return total


def _clock_time(stamp_s: float) -> str:
    return checks.date_of(stamp_s).strftime(_CLOCK_FORMAT)


def _fill(
    total: NDArray[np.float64],
    seen: NDArray[np.bool_],
    missing_buckets: str,
    kind: str,
    findings: Findings,
) -> None:
    missing = int(np.count_nonzero(~seen))
    if not missing:
        return
    text = f"{units.count(missing, 'bucket')} without a sample"
    if kind == "counter":
        findings.assumed.append(
            f"{text}: what the counter grew by was spread over them, none where it restarted."
        )
    elif missing_buckets == "zero":
        findings.assumed.append(f"{text}: taken as no traffic (scaled to zero).")
    else:
        at = np.arange(total.size)
        total[~seen] = np.interp(at[~seen], at[seen], total[seen])
        findings.assumed.append(f"{text}: taken to be like those around them.")


def _date(clock: Clock, unit: str) -> float:
    if clock.is_date:
        return int(clock.origin or 0) * checks.SECONDS_IN["ns"]
    return float(clock.origin or 0) * checks.SECONDS_IN[unit]


def _report(label: str, unit: str, read: int, findings: Findings, bucket_s: float) -> TraceReport:
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


def _wide(
    table: Table,
    layout: RateLayout,
    name: str,
    model: str | None,
    findings: Findings,
    max_rows: int,
    tables: Tables,
) -> RateSeries:
    """Add up (or pick) the rows of a table with one row a function and one column a minute."""
    functions = Codes()
    each = np.zeros(0)  # requests of each function
    requests = np.zeros(len(layout.wide))
    read = 0

    def drop(bad: NDArray[np.bool_], reason: str) -> None:
        if bad.any():
            findings.dropped[reason] += int(np.count_nonzero(bad))

    for batch in table.batches(layout.columns()):
        read += batch.rows
        if read > max_rows:
            raise too_many_rows(max_rows)
        code = functions.of(batch.columns[layout.model or ""])
        counts = np.stack([numbers(batch.columns[minute]) for minute in layout.wide], axis=1)
        unread = ~np.all((counts >= 0) & (counts < np.inf), axis=1)
        nameless = (code == MISSING) & ~unread
        drop(unread, "rows with a count that is negative or no number")
        drop(nameless, "rows without a function")
        good = ~(unread | nameless)
        each = np.pad(each, (0, len(functions.names) - each.size))
        each += np.bincount(code[good], counts[good].sum(axis=1), each.size)
        if model not in (None, "all"):
            other = good & (code != functions.names.get(model, MISSING))
            drop(other, "rows of other functions")
            good &= ~other
        requests += counts[good].sum(axis=0)
    if read == 0:
        raise InputError("The file has a header but no functions.")
    for reason, count in table.broken.items():
        findings.dropped[reason] += count
        read += count
    names = list(functions.names)
    if model is None and len(names) > 1:
        most = np.argsort(-each, kind="stable")[: int(tables.setting("trace_most_models"))]
        raise TraceQuestion(
            f"{len(names):,} functions in the file; each needs its own deployment. Which one?",
            "model",
            (
                *((names[i], f"{names[i]}: {units.count(each[i], 'request')}") for i in most),
                ("all", "All of them, as if they were one deployment"),
            ),
        )
    if model == "all":
        findings.assumed.append(f"{len(names):,} functions are taken together as one deployment.")
    elif model is not None and model not in functions.names:
        raise InputError(
            f"There is no function '{model}' in the file; there are {listed(tuple(names))}."
        )
    findings.notes.append("Invocations are counted when they end: arrivals are late by their time.")
    return RateSeries(
        name=name,
        bucket_s=units.SECONDS_PER_MINUTE,
        requests=requests,
        prompt_tokens_sum=None,
        output_tokens_sum=None,
        t0_utc=None,
        report=_report(layout.format, "min", read, findings, units.SECONDS_PER_MINUTE),
    )
