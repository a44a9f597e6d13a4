"""Tables whose rows count requests: hourly sums, usage exports, aggregates of a data base.

A row of such a table is a bucket and never a request. What tells it is a column that counts (see
`bucket_columns`), sums of tokens that no context holds, or times at one step; where a name and the
values leave it open it is asked. Rows are spread inside their bucket by `expansion`. Series of a
metrics system, which have no tokens beside the count, are read by `rate_series`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from frontier import spell
from frontier.errors import InputError
from frontier.tables import Tables
from frontier.trace import checks, columns, quantities
from frontier.trace.bucket_columns import (
    MEAN,
    SUM,
    Counting,
    lengths_s,
    suggestions,
    tokens_by_name,
    tokens_in_one,
    tokens_per_s,
)
from frontier.trace.checks import Findings
from frontier.trace.columns import Clock, Codes
from frontier.trace.expansion import RateSeries
from frontier.trace.formats import Layout, suggested
from frontier.trace.model import Decided, TraceQuestion, TraceReport, UnknownFormat
from frontier.trace.rate_series import fill_missing
from frontier.trace.raw_table import Batch, Table
from frontier.units import SECONDS_PER_HOUR

if TYPE_CHECKING:
    import pyarrow as pa

REQUESTS, BUCKETS = ROWS_ARE = ("requests", "buckets")
_FEWEST_ROWS, _FEWEST_HOURS = 24, 3
_ALIKE = 1.2
_LEAST_STEP_S = 10.0
_OFF_GRID = 0.05


@dataclass(slots=True)
class BucketCells:
    """What the rows that were kept hold beside their times, batch by batch."""

    counting: Counting
    decimal_comma: bool = False
    end_clock: Clock = field(default_factory=Clock)
    unread: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    _parts: dict[str, list[NDArray[np.float64]]] = field(default_factory=dict)

    def take(self, batch: Batch, layout: Layout, which: slice | NDArray[np.bool_]) -> None:
        """Remember the rows of a batch that are kept."""
        cells, counting = batch.columns, self.counting
        # A rate may have a fraction, a number of requests may not.
        read = columns.counts if counting.per_s is None else columns.numbers
        held = {"count": read(cells[counting.requests], self.decimal_comma)}
        for key, name in (("prompt", layout.prompt), ("output", layout.output)):
            if name is not None:
                held[key] = self._tokens(key, cells[name], name)
        if counting.end is not None:
            held["end"] = self.end_clock.offsets(cells[counting.end], batch.first_row)
        if counting.length is not None:
            held["length"] = lengths_s(columns.as_text(cells[counting.length]), counting.length)
        for key, values in held.items():
            self._parts.setdefault(key, []).append(values[which])

    def _tokens(self, key: str, cells: pa.Array, name: str) -> NDArray[np.float64]:
        """Return tokens: plain numbers, numbers as a panel writes them (45.9k), or of thousands."""
        each = tokens_in_one(name)
        read = columns.counts if each == 1 else columns.numbers
        found = read(cells, self.decimal_comma)
        if np.isnan(found).any():
            odd = quantities.read(cells, self.decimal_comma)
            found = np.where(np.isnan(found) & ~odd.is_rate, odd.value, found)
            self.unread[key] += int(np.count_nonzero(odd.is_unread | odd.is_rate))
            if odd.unread:
                self.examples.setdefault(key, odd.unread)
        return found * each

    def joined(self, key: str) -> NDArray[np.float64] | None:
        """Return one column of all rows, None where the table has none."""
        return np.concatenate(self._parts[key]) if self._parts.get(key) else None


# --- From rows to buckets -----------------------------------------------------------------------


def series_of(
    cells: BucketCells,
    clock: Clock,
    time: NDArray[np.float64],
    model: NDArray[np.int32] | None,
    models: Codes,
    *,
    name: str,
    layout: Layout,
    read: int,
    findings: Findings,
    rows_are: str | None,
    bucket_tokens: str | None,
    told_model: str | None,
    time_unit: str | None,
    missing_buckets: str,
    most: int,
    tables: Tables,
) -> RateSeries | None:
    """Return the counts in rows that are buckets; None if each row is one request after all.

    Parameters
    ----------
    cells : BucketCells
        Counts, tokens and lengths, row by row.
    clock : Clock
        What the column of times was found to hold.
    time : ndarray of float64, shape (n,)
        Times after the first, in the unit of the file.
    model : ndarray of int32, shape (n,), optional
        Numbers of ``models``, row by row.
    rows_are, bucket_tokens, told_model, time_unit, missing_buckets : str, optional
        Answers, as `read_trace` takes them.

    Raises
    ------
    TraceQuestion
        If it is open what the rows, their tokens or their times are, or which model is meant.
    InputError
        If counts cannot be read, or buckets overlap.
    """
    counting = cells.counting
    count = cells.joined("count")
    if rows_are == REQUESTS or count is None:
        return None
    is_told = counting.is_sure or rows_are == BUCKETS
    whole = np.isfinite(count) & (count >= 0)
    if not is_told and not (whole.all() and np.all(count == np.floor(count))):
        return None
    if np.all(count == 1) and counting.per_s is None and rows_are is None:
        return None  # each row counts itself
    unit_findings = Findings()
    unit, is_dated = checks.unit_of(
        clock,
        time,
        known=layout.clock,
        usual=layout.usual_unit,
        told=time_unit,
        column=layout.time,
        findings=unit_findings,
        tables=tables,
    )
    factor = 1.0 if clock.is_date else checks.TIME_UNITS[unit].seconds
    time_s = time * factor
    lasts_s = _lasting(cells, clock, time_s, factor, counting, rows_are, tables)
    if lasts_s is None:
        return None
    findings.assumed.extend(unit_findings.assumed)
    decided: list[Decided] = []
    keep = whole & np.isfinite(lasts_s)
    for bad, reason in (
        (~whole, f"rows whose '{counting.requests}' is no number of requests"),
        (whole & ~keep, "rows whose length could not be read"),
    ):
        if bad.any():
            findings.dropped[reason] += int(np.count_nonzero(bad))
    sums = {}
    for key, column in (("prompt", layout.prompt), ("output", layout.output)):
        held = cells.joined(key)
        if held is None or column is None:
            continue
        bad = keep & (held < 0)
        if bad.any():
            findings.dropped[f"rows whose {key} tokens are negative"] += int(np.count_nonzero(bad))
            keep &= ~bad
        per_s = tokens_per_s(column)
        sums[key] = held if per_s is None else held * lasts_s / per_s
        if cells.unread[key]:
            lost = f"{cells.unread[key]:,} of {held.size:,} cells of '{column}' are no tokens"
            what = f"{lost}, the first is '{cells.examples.get(key, '')}'."
            if cells.unread[key] > tables.setting("trace_unread_share") * held.size:
                raise InputError(f"{what} Expected numbers, such as 45900 or 45.9k.")
            findings.notes.append(what)
    other = np.zeros(keep.size, dtype=bool)
    if model is not None and len(models.names) > 1:
        wanted = checks.model_of(model[keep], models, told_model, tables, weight=count[keep])
        if wanted is None:
            findings.assumed.append(
                f"{len(models.names)} models are taken together as one deployment."
            )
        else:
            other = keep & (model != wanted)
            findings.dropped["rows of other models"] += int(np.count_nonzero(other))
            keep &= ~other
    unread_s = time_s[~keep & ~other & np.isfinite(time_s)]
    if not keep.any():
        raise InputError(
            f"No row holds a number of requests that can be read: {findings.reasons()}."
        )
    count, time_s, lasts_s = count[keep], time_s[keep], lasts_s[keep]
    if counting.per_s is not None:
        count = count * lasts_s / counting.per_s
    is_mean = {}
    for key, column in (("prompt", layout.prompt), ("output", layout.output)):
        if key not in sums or column is None:
            continue
        held = sums[key][keep]
        if (each := tokens_in_one(column)) > 1:
            findings.assumed.append(f"'{column}' counts in {each:,} tokens, by its name.")
        kind = bucket_tokens or _tokens_are(counting, count, held, column)
        if kind is None:
            raise _what_are_tokens(count, held, column)
        if bucket_tokens is None and not decided:
            question = _what_are_tokens(count, held, column)
            decided.append(Decided("bucket_tokens", kind, str(question), question.choices))
        is_mean[key] = kind == MEAN
        total = held * count if kind == MEAN else held.copy()
        empty = ~np.isfinite(total)
        if empty.all():
            del sums[key]
            continue
        if empty.any():
            # A row without tokens has those of the others, on average.
            known = ~empty & (count > 0)
            total[empty] = count[empty] * (total[known].sum() / max(count[known].sum(), 1.0))
            findings.assumed.append(
                f"{int(np.count_nonzero(empty)):,} buckets have no {key} tokens: the mean of the "
                "others."
            )
        sums[key] = total
    if not counting.is_sure:
        decided.append(_rows_decided(counting, count, time_s))
    if model is None or len(models.names) < 2:
        again = time_s.size - np.unique(time_s).size
        if again:
            findings.assumed.append(
                f"{spell.count(again, 'row')} with the time of another: their requests are added "
                "up."
            )
    findings.assumed.append(
        f"Each row counts the requests of {_lengths_in_words(lasts_s)} ('{counting.requests}')."
        + "".join(
            f" Tokens of '{column}' are {'the mean' if is_mean[key] else 'the sum'} of a row."
            for key, column in (("prompt", layout.prompt), ("output", layout.output))
            if key in is_mean
        )
    )
    return _placed(
        time_s, lasts_s, count, sums, unread_s,
        name=name, layout=layout, clock=clock, unit=unit, is_dated=is_dated, read=read,
        findings=findings, decided=tuple(decided), missing_buckets=missing_buckets, most=most,
    )  # fmt: skip


def _lasting(
    cells: BucketCells,
    clock: Clock,
    time_s: NDArray[np.float64],
    factor: float,
    counting: Counting,
    rows_are: str | None,
    tables: Tables,
) -> NDArray[np.float64] | None:
    """Return how long each row's bucket lasts, None if rows are requests after all [s]."""
    step_s = step_of(time_s)
    if not counting.is_sure and rows_are is None and (step_s is None or step_s < _LEAST_STEP_S):
        return None  # a number of something in a log of requests
    end, length = cells.joined("end"), cells.joined("length")
    if end is not None and cells.end_clock.origin is not None and clock.origin is not None:
        origin_s = 1.0 / checks.NS_PER_S if clock.is_date else factor
        if cells.end_clock.is_date == clock.is_date:
            behind = (cells.end_clock.origin - clock.origin) * origin_s
            lasts_s = end * (1.0 if clock.is_date else factor) + behind - time_s
            # An end that is written as the last second of a bucket is its end.
            lasts_s = np.where(np.isclose(lasts_s % 60, 59, atol=1e-6), lasts_s + 1, lasts_s)
            if np.nanmin(lasts_s) > 0:
                return _not_overlapping(time_s, lasts_s)
    if length is not None and np.isfinite(length).any():
        plain = length < 0
        if plain.any():
            length = np.where(plain, -length * _unit_of_lengths(-length[plain], step_s), length)
        if np.nanmin(length) > 0:
            return _not_overlapping(time_s, length)
    if step_s is not None:
        return np.full(time_s.size, step_s)
    stamps = np.unique(time_s)
    if stamps.size < 2:
        if not counting.is_sure and rows_are is None:
            return None
        raise InputError(
            "All rows count requests of the same time. Name the column with the end or the length "
            "of a bucket, or export a row for each hour or minute."
        )
    steps = np.diff(stamps)
    is_calendar = steps.max() < _ALIKE * steps.min()
    if not is_calendar and rows_are != BUCKETS:
        if not counting.is_sure and rows_are is None:
            return None  # a number of something in a log of requests
        raise TraceQuestion(
            f"'{counting.requests}' counts requests, but its rows are not evenly spaced. What is a "
            "row?",
            "rows_are",
            (
                (BUCKETS, "All requests from its time to the time of the next row"),
                (REQUESTS, f"One request: {spell.count(time_s.size, 'request')} in all"),
            ),
        )
    until_next = np.append(steps, np.median(steps))
    return until_next[np.searchsorted(stamps, time_s)]


def _not_overlapping(
    time_s: NDArray[np.float64], lasts_s: NDArray[np.float64]
) -> NDArray[np.float64]:
    stamps = np.unique(time_s)
    if stamps.size > 1:
        step_s, middle_s = float(np.median(np.diff(stamps))), float(np.nanmedian(lasts_s))
        if middle_s > 1.5 * step_s:
            raise InputError(
                f"Buckets of {spell.seconds(middle_s)} begin every {spell.seconds(step_s)}: they "
                "overlap, so their requests would count twice. Export buckets that follow one "
                "another."
            )
    return lasts_s


def _unit_of_lengths(length: NDArray[np.float64], step_s: float | None) -> float:
    """Return the unit in which lengths are whole steps; seconds where the step does not tell."""
    middle = float(np.median(length))
    if step_s is None or not middle > 0:
        return 1.0
    fits = [unit for unit in (1.0, 60.0, 3600.0, 86_400.0, 1e-3) if
            abs(middle * unit / step_s - 1) < _OFF_GRID]  # fmt: skip
    return fits[0] if fits else 1.0


def step_of(time_s: NDArray[np.float64]) -> float | None:
    """Return the step at which times follow each other, None where there is none [s].

    Times are whole steps apart, and either most are one step apart or the step is a minute or
    more, so that whole seconds of a log are no step.
    """
    stamps = np.unique(time_s)
    if stamps.size < 2:
        return None
    steps = np.diff(stamps)
    step_s = float(np.quantile(steps, 0.1, method="inverted_cdf"))
    whole = (stamps - stamps[0]) / step_s
    if np.quantile(np.abs(whole - np.rint(whole)), 0.95) > _OFF_GRID:
        return None
    is_most = np.mean(np.abs(steps / step_s - 1) < _OFF_GRID) >= 0.5
    is_round = step_s >= 60 and np.all(np.abs(whole - np.rint(whole)) < 1e-6)
    return step_s if is_most or is_round else None


def _tokens_are(
    counting: Counting, count: NDArray[np.float64], tokens: NDArray[np.float64], column: str
) -> str | None:
    """Return whether tokens of a row are a sum or a mean, None where nothing tells."""
    told = SUM if tokens_per_s(column) is not None else tokens_by_name(counting, column)
    if told is not None:
        return told
    some = (count > 0) & np.isfinite(tokens)
    if not some.any():
        return SUM
    number, held = count[some], tokens[some]
    # A request has a token or more: fewer tokens than requests are no sum of theirs.
    if np.mean(held < number) > 0.5:
        return MEAN
    positive = held > 0
    if np.count_nonzero(positive) >= 3:
        as_mean = float(np.std(np.log(held[positive])))
        as_sum = float(np.std(np.log(held[positive] / number[positive])))
        if as_sum < 0.5 * as_mean:
            return SUM
        if as_mean < 0.5 * as_sum:
            return MEAN
    return None


def _what_are_tokens(
    count: NDArray[np.float64], tokens: NDArray[np.float64], column: str
) -> TraceQuestion:
    some = (count > 0) & np.isfinite(tokens)
    number, held = count[some], tokens[some]
    in_all = max(float(number.sum()), 1.0)
    each = float(held.sum()) / in_all, float((held * number).sum()) / in_all
    return TraceQuestion(
        f"Is '{column}' the sum of the tokens of a row's requests, or their mean?",
        "bucket_tokens",
        (
            (SUM, f"Their sum: {spell.significant(each[0])} tokens a request"),
            (MEAN, f"Their mean: {spell.significant(each[1])} tokens a request"),
        ),
    )


def _rows_decided(
    counting: Counting, count: NDArray[np.float64], time_s: NDArray[np.float64]
) -> Decided:
    return Decided(
        "rows_are",
        BUCKETS,
        f"What is a row of the file, with its '{counting.requests}'?",
        (
            (BUCKETS, f"A bucket: {spell.significant(float(count.sum()))} requests in all"),
            (REQUESTS, f"One request: {spell.count(time_s.size, 'request')} in all"),
        ),
    )


def _lengths_in_words(lasts_s: NDArray[np.float64]) -> str:
    low, high = float(lasts_s.min()), float(lasts_s.max())
    if high - low < 1e-6 * high:
        return spell.seconds(high)
    return f"{spell.seconds(low)} to {spell.seconds(high)}"


def _placed(
    time_s: NDArray[np.float64],
    lasts_s: NDArray[np.float64],
    count: NDArray[np.float64],
    sums: dict[str, NDArray[np.float64]],
    unread_s: NDArray[np.float64],
    *,
    name: str,
    layout: Layout,
    clock: Clock,
    unit: str,
    is_dated: bool,
    read: int,
    findings: Findings,
    decided: tuple[Decided, ...],
    missing_buckets: str,
    most: int,
) -> RateSeries:
    """Return rows on buckets of one width, each row spread evenly over those it lasts."""
    first_s = float(time_s.min())
    step_s = step_of(time_s)
    is_even = float(np.ptp(lasts_s)) < 1e-6 * float(lasts_s.max())
    if is_even and (step_s is None or abs(lasts_s[0] / step_s - 1) < _OFF_GRID):
        width_s = float(lasts_s[0])
        begin = np.rint((time_s - first_s) / width_s).astype(np.int64)
        number = np.ones(time_s.size, dtype=np.int64)
    else:
        ms = np.rint(np.concatenate([time_s - first_s, lasts_s]) * 1e3).astype(np.int64)
        width_s = float(np.gcd.reduce(ms)) / 1e3
        begin = np.rint((time_s - first_s) / width_s).astype(np.int64)
        number = np.maximum(np.rint(lasts_s / width_s), 1).astype(np.int64)
    buckets = int((begin + number).max())
    if buckets > most or int(number.sum()) > most:
        raise InputError(
            f"Rows that last {_lengths_in_words(lasts_s)} over "
            f"{spell.seconds(float(np.ptp(time_s)))} make more than {most:,} buckets. Keep a "
            "shorter part, or rows of one length."
        )
    at: NDArray[np.int64] = np.repeat(begin, number) + np.arange(number.sum()) - np.repeat(
        np.cumsum(number) - number, number
    )  # fmt: skip

    def spread(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(at, np.repeat(values / number, number), buckets).astype(np.float64)

    total = spread(count)
    held = {key: spread(values) for key, values in sums.items()}
    seen = np.zeros(buckets, dtype=bool)
    seen[at] = True
    # What cannot be read was there: it is no bucket without traffic.
    unknown = np.zeros(buckets, dtype=bool)
    where = np.rint((unread_s - first_s) / width_s)
    unknown[where[(where >= 0) & (where < buckets)].astype(np.int64)] = True
    fill_missing(total, seen, unknown & ~seen, missing_buckets, "increase", findings)
    for values in held.values():
        values[~seen] = total[~seen] * (values.sum() / max(total[seen].sum(), 1.0))
    origin_s = checks.origin_of(clock, unit) if is_dated else None
    findings.notes.extend(checks.zone_notes(origin_s is not None, clock))
    dropped = {reason: number for reason, number in findings.dropped.items() if number}
    return RateSeries(
        name=name,
        bucket_s=width_s,
        requests=total,
        prompt_tokens_sum=held.get("prompt"),
        output_tokens_sum=held.get("output"),
        t0_utc=None if origin_s is None else checks.date_of(origin_s + first_s),
        counted_s=float(lasts_s.max()),
        report=TraceReport(
            format=layout.format,
            time_unit=unit,
            rows_read=read,
            kept=read - sum(dropped.values()),
            dropped=dropped,
            assumed=tuple(findings.assumed),
            notes=tuple(findings.notes),
            bucket_s=float(lasts_s.max()),
            decided=decided,
            zones=clock.zones,
        ),
    )


# --- Rows that look like buckets but count nothing ----------------------------------------------


def check_requests(
    table: Table,
    time_s: NDArray[np.float64],
    tokens: NDArray[np.int64],
    start_s: float | None,
    rows_are: str | None,
    tables: Tables,
) -> None:
    """Ask whether each row is one request where tokens or times look like those of buckets.

    Parameters
    ----------
    time_s : ndarray of float64, shape (n,)
        Times in order [s].
    tokens : ndarray of int64, shape (n,)
        Tokens in and out, those that a file does not tell left out.
    start_s : float or None
        Date of time 0 [s since 1970].

    Raises
    ------
    TraceQuestion
        If no model's context holds half of the rows, or rows follow a clock's round steps.
    UnknownFormat
        If rows are said to be buckets: then one column must count.
    """
    if rows_are == REQUESTS:
        return
    if rows_are == BUCKETS:
        raise UnknownFormat(
            "No column counts the requests of a row. Say which one does; if none does, export the "
            "number of requests with each bucket.",
            table.names,
            suggested(table) | suggestions(table),
        )
    longest = tables.setting("trace_longest_context_tokens")
    over = int(np.count_nonzero(tokens > longest))
    choices = (
        (REQUESTS, f"Yes: {spell.count(time_s.size, 'request')}"),
        (BUCKETS, "No, it sums up several: say which column counts them"),
    )
    if over > 0.5 * tokens.size:
        raise TraceQuestion(
            f"Of {tokens.size:,} rows, {over:,} hold more than {longest:,.0f} tokens, more than "
            "any model's context. Is each row one request?",
            "rows_are",
            choices,
        )
    middle = float(np.median(tokens))
    # Without any tokens nothing speaks for requests: a panel of several series looks the same.
    is_small = tokens.max() > 0 and middle < tables.setting("trace_bucket_tokens")
    if time_s.size < 3 or start_s is None or is_small or table.log is not None:
        return
    steps = np.diff(time_s)
    step_s = float(np.median(steps))
    fewest = _FEWEST_ROWS if step_s < SECONDS_PER_HOUR else _FEWEST_HOURS
    if step_s < 60 or time_s.size < fewest or np.mean(np.abs(steps - step_s) < 1e-3) < 0.9:
        return
    whole = np.abs((start_s + time_s + 30) % 60 - 30) < 1e-3
    if whole.all():
        raise TraceQuestion(
            f"Rows are {spell.seconds(step_s)} apart, to the minute"
            + (f", with {spell.significant(middle)} tokens each" if middle else "")
            + ". Is each row one request?",
            "rows_are",
            choices,
        )
