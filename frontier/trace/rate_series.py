"""Samples of a metrics system to requests in each bucket.

A sample is the requests of its step, a rate a second, or the state of a running total. Which of the
three is read off the name of the metric and off the values where they leave no doubt, and asked
else; it can be told all the same (``counts``). A running total that falls has started again; one
that falls as often as it rises is none. A bucket whose value cannot be read is unknown and filled
from its neighbours, never taken for one without traffic. Which series count is decided in
`which_series`, where requests lie inside their bucket in `expansion`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from frontier import spell, units
from frontier.errors import InputError
from frontier.tables import Tables
from frontier.trace import checks, metrics
from frontier.trace.checks import Findings
from frontier.trace.columns import Clock
from frontier.trace.expansion import RateSeries
from frontier.trace.function_counts import read_functions
from frontier.trace.model import Decided, TraceQuestion
from frontier.trace.paths import PathFilter
from frontier.trace.rate_layouts import OWN, RateLayout, report_of
from frontier.trace.raw_table import Table
from frontier.trace.samples import (
    Samples,
    check_times,
    check_tokens,
    check_unread,
    drop_repeated,
    read_samples,
)
from frontier.trace.which_series import Chosen, choose

INCREASE, RATE, COUNTER = KINDS = ("increase", "rate", "counter")
_CLOCK_FORMAT = "%H:%M"
_MOST_RESETS = 5
_FIRST = "first samples of a counter (nothing to compare with)"


def read_rates(
    table: Table,
    layout: RateLayout,
    *,
    name: str,
    counts: str | None,
    time_unit: str | None,
    place: str | None,
    metric: str | None,
    model: str | None,
    missing_buckets: str,
    web: PathFilter,
    max_rows: int,
    tables: Tables,
) -> RateSeries:
    """Return the counts in a table.

    Raises
    ------
    TraceQuestion
        If it is not known what the values are, which metric or which of several models is meant.
    InputError
        If nothing counts requests, there are fewer than two buckets, or times that make no grid.
    """
    findings = Findings()
    if layout.minutes:
        return read_functions(table, layout, name, model, findings, max_rows, tables)
    clock = Clock(table.decimal_comma, place, tables)
    held = read_samples(table, layout, clock, findings, max_rows)
    check_tokens(held)
    check_times(held, findings, tables)
    checks.refuse_weeks_as_months(clock, layout.time or "")
    chosen = choose(
        held.labels,
        np.bincount(held.series, minlength=len(held.labels)),
        lambda series: _amount(held.value[held.series == series], counts),
        metric=metric,
        model=model,
        web=web,
        findings=findings,
        tables=tables,
    )
    if web.chosen is not None and not web.counts:
        raise InputError("The series have no paths, so none can be chosen.")
    findings.notes.extend(web.sentences(int(tables.setting("trace_shown_paths"))))
    drop_repeated(held, findings)
    rows = np.flatnonzero(np.isin(held.series, chosen.requests))
    check_unread(held, chosen, rows.size, layout, tables)
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
    factor = 1.0 if held.clock.is_date else checks.TIME_UNITS[unit].seconds
    time_s = held.time * factor
    # A sample without a value has its place all the same: the step is that of all of them.
    every = held.every_time[np.isin(held.every_series, chosen.requests)] * factor
    grid = _grid(every, layout.closes, max_rows)
    origin_s = checks.origin_of(held.clock, unit) if dated else None
    most_first = tables.setting("trace_counter_first_times")
    kind, decided = _kind(
        held, rows, layout, chosen, counts, grid.step_s, time_s, max_rows, findings, tables
    )
    total = _binned(held, rows, kind, time_s, grid, most_first, findings, origin_s)
    if findings.dropped[_FIRST] > rows.size / 2:
        raise InputError(
            f"{findings.dropped[_FIRST]:,} of {rows.size:,} samples are the only ones of their "
            "series: a running total tells no more than by how much it grew. Export its growth, "
            "added up over the series: sum(increase(vllm:request_success_total[1m]))."
        )
    sums: dict[str, NDArray[np.float64]] = {}
    for role, some in (("prompt", chosen.prompt), ("output", chosen.output)):
        if some.size and (tokens := np.flatnonzero(np.isin(held.series, some))).size:
            sums[role] = _binned(held, tokens, kind, time_s, grid, most_first, Findings(), None)
    at = grid.bucket(time_s)
    for role, column, called in (
        ("prompt", held.prompt, layout.prompt_sum),
        ("output", held.output, layout.output_sum),
    ):
        if column is None or called is None:
            continue
        summed = _tokens_of(column, at, called, total, findings, tables)
        if summed is not None:
            sums[role] = summed
    seen = np.zeros(grid.buckets, dtype=bool)
    seen[at[rows]] = True
    unread_s = held.unread_time[np.isin(held.unread_series, chosen.requests)] * factor
    unknown = np.zeros(grid.buckets, dtype=bool)
    unknown[grid.bucket(unread_s)] = kind != COUNTER
    fill_missing(total, seen, unknown, missing_buckets, kind, findings)
    if layout.kind is None:
        findings.notes.append(
            "Counters of finished requests count a request when its response ends: arrivals are "
            "late by the response time."
        )
    if dated:
        findings.notes.extend(checks.zone_notes(True, held.clock))
    report = report_of(layout.format, unit, held.read, findings, grid.step_s)
    return RateSeries(
        name=name,
        bucket_s=grid.step_s,
        requests=total,
        prompt_tokens_sum=sums.get("prompt"),
        output_tokens_sum=sums.get("output"),
        t0_utc=None if origin_s is None else checks.date_of(origin_s + grid.start_s),
        report=replace(report, paths=web.found(), decided=decided),
    )


def _tokens_of(
    column: NDArray[np.float64],
    at: NDArray[np.int64],
    name: str,
    total: NDArray[np.float64],
    findings: Findings,
    tables: Tables,
) -> NDArray[np.float64] | None:
    """Return the tokens of each bucket; those that cannot be read are the mean of the others."""
    lost, unread = ~np.isfinite(column), int(np.count_nonzero(np.isinf(column)))
    if unread > tables.setting("trace_unread_share") * column.size:
        raise InputError(
            f"{unread:,} of {column.size:,} cells of '{name}' are no numbers of tokens, the first "
            f"in bucket {int(at[np.isinf(column)][0]) + 1:,}."
        )
    if lost.all():
        return None
    sums = np.bincount(at, np.where(lost, 0.0, column), total.size).astype(np.float64)
    if lost.any():
        known = np.ones(total.size, dtype=bool)
        known[at[lost]] = False
        sums[~known] = total[~known] * (sums[known].sum() / max(float(total[known].sum()), 1.0))
        number = spell.count(int(np.count_nonzero(lost)), "bucket")
        findings.assumed.append(
            f"{number} without a '{name}' that can be read: the mean of the others."
        )
    return sums


# --- What the values are ------------------------------------------------------------------------


def _amount(value: NDArray[np.float64], told: str | None) -> float:
    """Return about how many requests some samples count: what a total grew by, else their sum."""
    steps = np.diff(value)
    is_total = told == COUNTER or (told is None and steps.size and steps.min() >= 0)
    return float(_increments(value).sum() if is_total else value.sum())


def _kind(
    held: Samples,
    rows: NDArray[np.intp],
    layout: RateLayout,
    chosen: Chosen,
    told: str | None,
    step_s: float,
    time_s: NDArray[np.float64],
    max_rows: int,
    findings: Findings,
    tables: Tables,
) -> tuple[str, tuple[Decided, ...]]:
    """Return what the values are, and how it was decided if the person was not asked.

    The limit on what is read is this product's own and tells nothing about the values: an answer
    that goes beyond it is offered, and says so.

    Raises
    ------
    TraceQuestion
        If the name and the values leave it open.
    """
    value = held.value[rows]
    each = [held.value[some] for some in _series_of(held, rows, time_s)]
    total = {
        INCREASE: float(value.sum()),
        RATE: float(value.sum() * step_s),
        COUNTER: float(sum(_increments(some).sum() for some in each)),
    }
    if told is not None:
        return told, ()
    if layout.kind is not None:
        return layout.kind, ()
    if max(total.values()) < 2:
        raise InputError(
            "The values add up to fewer than two requests; rate and idle time need at least two."
        )
    steps = np.concatenate([np.diff(some) for some in each])
    falls, rises = int(np.count_nonzero(steps < 0)), int(np.count_nonzero(steps > 0))
    share = falls / max(falls + rises, 1)
    many = falls >= tables.setting("trace_counter_falls")
    is_no_counter = many and share > tables.setting("trace_counter_most_falls")
    is_open = many and share > tables.setting("trace_counter_few_falls")
    words = {
        one: f"{called}: {spell.significant(total[one])} in all"
        + (f", more than the {max_rows:,} that are read" if total[one] > max_rows else "")
        for one, called in (
            (INCREASE, "Requests of each step"),
            (RATE, "Requests a second"),
            (COUNTER, "A running total"),
        )
    }
    question = f"What do the values count, {spell.seconds(step_s)} apart?"
    kind, reason = _told_by_name([held.labels[at] for at in chosen.requests], layout)
    if held.is_rate[rows].any():
        kind, reason = RATE, "their unit says so"
    fall = f"they fall {falls:,} times in {value.size:,} samples"
    is_whole = not layout.is_panel and bool(np.all(value == np.floor(value)))
    if kind == COUNTER and is_no_counter:
        kind, reason = (INCREASE, fall) if is_whole else (None, "")
    elif kind == COUNTER and is_open:
        kind = None
    elif kind is None and is_no_counter and layout.time == "sample_time" and _is_open(chosen):
        # What a function makes of a counter has no name; what is named and falls is no counter.
        question = (
            f"'{chosen.metric}' falls {falls:,} times in {value.size:,} samples, so it may be a "
            "level (queued requests, replicas), which counts nothing. If it counts requests, what "
            f"do its values count, {spell.seconds(step_s)} apart?"
        )
    elif kind is None and is_no_counter and is_whole:
        kind, reason = INCREASE, f"they are whole and {fall}"
    elif kind is None and not falls and rises >= tables.setting("trace_counter_rises"):
        kind, reason = COUNTER, f"they rise {rises:,} times and never fall"
    offered = tuple(item for item in words.items() if item[0] != COUNTER or not is_no_counter)
    if kind is None:
        raise TraceQuestion(question, "counts", offered)
    if reason:
        taken = {INCREASE: "requests of each step", RATE: "requests a second",
                 COUNTER: "a running total"}  # fmt: skip
        findings.assumed.append(f"The values are read as {taken[kind]}: {reason}.")
    return kind, (Decided("counts", kind, question, tuple(words.items())),)


def _is_open(chosen: Chosen) -> bool:
    """Return whether the series have a name that leaves open what they count."""
    return bool(chosen.metric) and metrics.meaning(chosen.metric) == metrics.UNKNOWN


def _told_by_name(labels: Sequence[dict[str, str]], layout: RateLayout) -> tuple[str | None, str]:
    """Return what the names of some series say their values are, and the reason to give."""
    kinds = {label.get("__kind__") for label in labels}
    statistics = {label.get("__statistic__") for label in labels}
    if statistics != {None} and None not in statistics:
        return INCREASE, f"the statistic is {' and '.join(sorted(filter(None, statistics)))}"
    if kinds <= {"DELTA", "CUMULATIVE"} and len(kinds) == 1:
        return (INCREASE if kinds == {"DELTA"} else COUNTER), ""
    if layout.is_panel:
        return None, ""
    names = [f"{label.get('__name__', '')} {label.get('__legend__', '')}" for label in labels]
    if all(metrics.is_increase(name) for name in names):
        return INCREASE, "their name says so"
    if all(metrics.is_rate(name) for name in names):
        return RATE, "their name says so"
    if layout.time == "sample_time" and all(
        metrics.meaning(label.get("__name__")) == metrics.REQUESTS
        or (label.get("__name__") or "").endswith("_total")
        for label in labels
    ):
        return COUNTER, ""
    return None, ""


def _series_of(
    held: Samples, rows: NDArray[np.intp], time_s: NDArray[np.float64]
) -> list[NDArray[np.intp]]:
    """Return the samples of each series, in order of time."""
    order = rows[np.lexsort((time_s[rows], held.series[rows]))]
    return np.split(order, np.flatnonzero(np.diff(held.series[order])) + 1)


def _increments(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what a counter grew by from sample to sample; it restarts at 0 where it falls."""
    steps = np.diff(value)
    return np.where(steps < 0, value[1:], steps)


# --- Buckets ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Grid:
    """Buckets of one width; ``closes`` says that a sample's time is the end of its bucket."""

    step_s: float
    start_s: float
    buckets: int
    closes: bool

    def bucket(self, time_s: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the bucket of each time, the first or last for times outside."""
        at = np.rint((time_s - self.start_s) / self.step_s) - self.closes
        return np.clip(at, 0, self.buckets - 1).astype(np.int64)


def _grid(time_s: NDArray[np.float64], closes: bool, most: int) -> _Grid:
    """Return the buckets that samples stand for."""
    stamps = np.unique(time_s)
    if stamps.size < 2:
        raise InputError("All samples have the same time; at least two different times are needed.")
    steps = np.diff(stamps)
    # Missing samples make long steps, so the middle one may be several buckets long.
    step_s = float(np.quantile(steps, 0.1, method="inverted_cdf"))
    first, last = float(stamps[0]), float(stamps[-1])
    # Compared before it is divided: the least of numbers has no place in any.
    if last - first > most * step_s:
        raise InputError(
            f"Samples {spell.seconds(step_s)} apart over {spell.seconds(last - first)} are more "
            f"than {most:,} buckets. Keep one week, or take a longer step."
        )
    off = np.abs((stamps - first) / step_s - np.rint((stamps - first) / step_s))
    if np.quantile(off, 0.95) > 0.05:
        raise InputError(
            f"Samples are not evenly spaced (most often {spell.seconds(step_s)} apart). Export "
            "them with a fixed step."
        )
    buckets = int(np.rint((last - first) / step_s)) + 1
    return _Grid(step_s, first - step_s if closes else first, buckets, closes)


def _binned(
    held: Samples,
    rows: NDArray[np.intp],
    kind: str,
    time_s: NDArray[np.float64],
    grid: _Grid,
    most_first: float,
    findings: Findings,
    origin_s: float | None,
) -> NDArray[np.float64]:
    total = np.zeros(grid.buckets)
    if kind != COUNTER:
        scale = grid.step_s if kind == RATE else 1.0
        np.add.at(total, grid.bucket(time_s[rows]), held.value[rows] * scale)
        return total
    ends = replace(grid, closes=True)  # growth is that of the bucket before a sample
    resets: list[int] = []
    begun, begun_requests = 0, 0.0
    each = _series_of(held, rows, time_s)
    begins_s = float(time_s[rows].min())
    largest = max(float(_increments(held.value[some]).max(initial=0.0)) for some in each)
    for some in each:
        at = ends.bucket(time_s[some])
        grown = _increments(held.value[some])
        fell = np.diff(held.value[some]) < 0
        resets.extend(time_s[some][1:][fell])
        # After missing samples the growth is spread over them; after a restart it is not, since
        # the counter was not there.
        for index, amount in enumerate(grown):
            low = at[index + 1] if fell[index] else at[index] + 1
            high = max(at[index + 1], low)
            total[low : high + 1] += amount / (high - low + 1)
        first = float(held.value[some[0]])
        # A replica that was started within the file counts from 0; one that was only not watched
        # before shows by a first value that no step comes near.
        is_late = time_s[some[0]] > begins_s + 0.5 * grid.step_s
        if is_late and first <= most_first * max(largest, 1.0):
            total[at[0]] += first
            begun, begun_requests = begun + 1, begun_requests + first
        else:
            findings.dropped[_FIRST] += 1
    if begun:
        findings.assumed.append(
            f"Running totals that begin within the file ({begun:,}) are counted from 0: "
            f"{spell.significant(begun_requests)} in their first samples."
        )
    if resets:
        stamps = sorted(resets)
        shown = [
            _clock_time(origin_s + stamp) if origin_s is not None else spell.seconds(stamp)
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


def fill_missing(
    total: NDArray[np.float64],
    seen: NDArray[np.bool_],
    unknown: NDArray[np.bool_],
    missing_buckets: str,
    kind: str,
    findings: Findings,
) -> None:
    """Fill buckets that no sample, or none that can be read, tells of; say so."""
    number = int(np.count_nonzero(unknown))
    if number and not unknown.all():
        at = np.arange(total.size)
        known = seen & ~unknown
        total[unknown] = np.interp(at[unknown], at[known], total[known])
        findings.assumed.append(
            f"{spell.count(number, 'bucket')} with a value that could not be read: taken to be "
            "like those around them."
        )
    seen = seen | unknown
    missing = int(np.count_nonzero(~seen))
    if not missing:
        return
    text = f"{spell.count(missing, 'bucket')} without a sample"
    if kind == COUNTER:
        findings.assumed.append(
            f"{text}: what the counter grew by was spread over them, none where it restarted."
        )
    elif missing_buckets == "zero":
        findings.assumed.append(f"{text}: taken as no traffic (scaled to zero).")
    else:
        at = np.arange(total.size)
        total[~seen] = np.interp(at[~seen], at[seen], total[seen])
        findings.assumed.append(f"{text}: taken to be like those around them.")
