"""From a file to a `Trace`: what every format has in common.

`read_trace` opens the file (`decode`), finds its format (`formats`), turns cells into numbers
(`columns`), applies the rules on time (`checks`) and counts every row: read = kept + dropped. It
keeps 16 bytes a request, 24 with sessions and models, and writes nothing anywhere.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frontier import units
from frontier.errors import InputError
from frontier.tables import Tables, load_tables
from frontier.trace import (
    access_log,
    bucket_columns,
    buckets,
    checks,
    columns,
    formats,
    known_formats,
    rate_layouts,
    rate_series,
)
from frontier.trace.bucket_columns import Counting
from frontier.trace.buckets import BucketCells
from frontier.trace.checks import Findings
from frontier.trace.decode import Batch, Caps, Progress, Source, Table, open_table, too_many_rows
from frontier.trace.expansion import expand
from frontier.trace.formats import Layout
from frontier.trace.model import (
    PathCount,
    Trace,
    TraceQuestion,
    TraceReport,
    UnknownFormat,
    make_trace,
)
from frontier.trace.paths import OTHER_PATHS, PathFilter


def read_trace(
    source: Source,
    *,
    name: str | None = None,
    time_unit: str | None = None,
    on_clock_reset: str | None = None,
    model: str | None = None,
    session_starts: str | None = None,
    counts: str | None = None,
    missing_buckets: str = "zero",
    metric: str | None = None,
    paths: str | Sequence[str] | None = None,
    columns: Mapping[str, str] | None = None,
    rows_are: str | None = None,
    bucket_tokens: str | None = None,
    losses: str | None = None,
    zero_output: str = "keep",
    both_zero: str | None = None,
    default_prompt_tokens: int | None = None,
    default_output_tokens: int | None = None,
    draw: int = 0,
    max_rows: int | None = None,
    max_bytes: int | None = None,
    progress: Progress | None = None,
    tables: Tables | None = None,
) -> Trace:
    """Return the trace in a file of any known format.

    Parameters
    ----------
    source : path, bytes or binary file
        CSV, JSON, JSON lines, Parquet or a web server's log, plain or gzip.
    name : str, optional
        What to call the trace; the file's name unless given.
    time_unit : {"s", "ms", "us", "ns", "days"}, optional
        Unit of times that are numbers, where the file leaves it open or is misread.
    on_clock_reset : {"sequence", "overlay", "part1", "part2", …, "dst", "sort"}, optional
        What to do with a clock that was reset or set back.
    model : str, optional
        The model (or function) to keep where there are several; "all" for one deployment of all.
    session_starts : str, optional
        For sessions without dates: "sequence", "together", or the sessions a day.
    counts : {"increase", "counter", "rate"}, optional
        What the values of a rate series are.
    missing_buckets : {"zero", "unknown"}
        A bucket without a sample had no requests, or as many as its neighbours.
    metric : str, optional
        The metric that counts requests, where several may; "all" to add them up.
    paths : str or sequence of str, optional
        Which paths of an access log (or of counts by path) are requests to the model; those known
        to ask for text unless given, "all" for every one.
    columns : mapping of str to str, optional
        The column of each role, when no format fits: time, prompt_tokens, output_tokens, model,
        session_id; and in a table of buckets requests, and bucket_end or bucket_length.
    rows_are : {"requests", "buckets"}, optional
        What a row is, where a column may count requests.
    bucket_tokens : {"sum", "mean"}, optional
        What the tokens of a bucket are: the sum of its requests', or their mean.
    losses : {"accept"}, optional
        Read a file of which more rows than usual cannot be read.
    zero_output : {"keep", "drop"}
        Requests with no output token: kept with 1 (they wake the model), or left out.
    both_zero : {"drop", "keep"}, optional
        Requests with neither prompt nor output tokens; dropped if they are few, else asked.
    default_prompt_tokens, default_output_tokens : int, optional
        Tokens of a request where the file does not say; settings unless given.
    draw : int
        Which of many random placements, where requests are only counted or times are rounded.
    max_rows, max_bytes : int, optional
        Caps on rows and on bytes after decompression; settings unless given.
    progress : callable, optional
        Called with bytes read and bytes in all; what it raises stops the reading.
    tables : Tables, optional
        For the settings.

    Raises
    ------
    TraceQuestion
        If one question must be answered first; it says which argument answers it.
    UnknownFormat
        If no format has these columns; ``columns`` answers it.
    InputError
        If the file cannot be a trace, with what was expected and found.
    """
    tables = tables or load_tables()
    for what, told, allowed in (
        ("zero_output", zero_output, ("keep", "drop")),
        ("both_zero", both_zero, (None, "keep", "drop")),
        ("rows_are", rows_are, (None, *buckets.ROWS_ARE)),
        ("bucket_tokens", bucket_tokens, (None, *bucket_columns.TOKENS_ARE)),
        ("losses", losses, (None, "accept")),
        ("missing_buckets", missing_buckets, ("zero", "unknown")),
        ("counts", counts, (None, *rate_series.KINDS)),
    ):
        if told not in allowed:
            options = ", ".join(option for option in allowed if option)
            raise InputError(f"{what} can be {options}; found '{told}'.")
    caps = Caps(
        rows=int(max_rows or tables.setting("trace_max_rows")),
        bytes=int(max_bytes or tables.setting("trace_max_bytes")),
        document_bytes=int(min(max_bytes or math.inf, tables.setting("trace_document_max_bytes"))),
        line_bytes=int(tables.setting("trace_log_line_bytes")),
    )
    fill = (
        int(tables.setting("trace_default_prompt_tokens"))
        if default_prompt_tokens is None
        else default_prompt_tokens,
        int(tables.setting("trace_default_output_tokens"))
        if default_output_tokens is None
        else default_output_tokens,
    )
    label = name or _name_of(source)
    web = PathFilter.of(paths, int(tables.setting("trace_most_paths")))
    with open_table(source, caps, progress) as table:
        found = None if columns else bucket_columns.recognise(table, needs_tokens=True)
        if columns is None and found is None:
            rates = rate_layouts.recognise(table)
            if rates is not None:
                series = rate_series.read_rates(
                    table,
                    rates,
                    name=label,
                    counts=counts,
                    time_unit=time_unit,
                    metric=metric,
                    model=model,
                    missing_buckets=missing_buckets,
                    web=web,
                    max_rows=caps.rows,
                    tables=tables,
                )
                return expand(series, draw=draw, fill=fill, max_rows=caps.rows, tables=tables)
        layout, counting = found or _layout(table, columns)
        findings = Findings()
        held = None if counting is None else BucketCells(counting, table.decimal_comma)
        rows = _collect(table, layout, held, both_zero, caps, findings, web, tables)
    private = formats.private_columns(table, layout)
    if paths is not None and layout.path is None:
        raise InputError("The file has no column of paths, so none can be chosen.")
    if private:
        was = "was" if len(private) == 1 else "were"
        word = "Column" if len(private) == 1 else "Columns"
        findings.notes.append(f"{word} {formats.listed(private)} {was} not read.")
    if held is not None:
        counts_of_rows = buckets.series_of(
            held,
            rows.clock,
            rows.time,
            rows.model,
            rows.models,
            name=label,
            layout=layout,
            read=rows.read,
            findings=findings,
            rows_are=rows_are,
            bucket_tokens=bucket_tokens,
            told_model=model,
            time_unit=time_unit,
            missing_buckets=missing_buckets,
            most=caps.rows,
            tables=tables,
        )
        if counts_of_rows is not None:
            _check_losses(rows.read, findings, losses, both_zero, tables)
            return expand(counts_of_rows, draw=draw, fill=fill, max_rows=caps.rows, tables=tables)
    return _finish(
        rows,
        layout,
        findings,
        table=table,
        label=label,
        answers=_Answers(
            time_unit,
            on_clock_reset,
            model,
            session_starts,
            zero_output,
            draw,
            rows_are,
            losses,
            both_zero,
        ),
        fill=fill,
        paths=web.found(),
        tables=tables,
    )


@dataclass(frozen=True, slots=True)
class _Answers:
    time_unit: str | None
    on_clock_reset: str | None
    model: str | None
    session_starts: str | None
    zero_output: str
    draw: int
    rows_are: str | None
    losses: str | None
    both_zero: str | None


@dataclass(slots=True)
class _Rows:
    """Rows kept so far, column by column, and where in the file they stood."""

    clock: columns.Clock
    time: NDArray[np.float64]
    prompt: NDArray[np.int32]
    output: NDArray[np.int32]
    model: NDArray[np.int32] | None
    session: NDArray[np.int32] | None
    identity: NDArray[np.uint64] | None
    models: columns.Codes
    sessions: columns.Codes
    read: int = 0
    # (first kept index, first row of the batch, kept mask or None if all were), batch by batch
    places: list[tuple[int, int, NDArray[np.bool_] | None]] = field(default_factory=list)

    def row_of(self, index: int) -> int:
        """Return the row of the file that a kept row was."""
        begin, first_row, kept = next(place for place in reversed(self.places) if place[0] <= index)
        within = index - begin
        return first_row + (within if kept is None else int(np.flatnonzero(kept)[within]))

    def take(self, which: NDArray | slice) -> None:
        """Keep only these rows, in this order. Rows of the file are no longer known."""
        for column in ("time", "prompt", "output", "model", "session", "identity"):
            values = getattr(self, column)
            if values is not None:
                setattr(self, column, values[which])


def _name_of(source: Source) -> str:
    if isinstance(source, str | Path):
        return Path(source).name
    named = getattr(source, "name", None)
    return Path(named).name if isinstance(named, str) else "trace"


def _layout(table: Table, told: Mapping[str, str] | None) -> tuple[Layout, Counting | None]:
    """Return which column is what, as a person says or by a known format."""
    if told:
        roles = (*formats.SYNONYMS, *bucket_columns.ROLES)
        if unknown := [role for role in told if role not in roles]:
            raise InputError(f"There is no role '{unknown[0]}'; there are {', '.join(roles)}.")
        of_rows = {role: name for role, name in told.items() if role not in bucket_columns.ROLES}
        of_buckets = {role: name for role, name in told.items() if role in bucket_columns.ROLES}
        layout = formats.by_hand(table, of_rows)
        return layout, bucket_columns.by_hand(table, layout, of_buckets)
    known = known_formats.recognise(table)
    if known is not None:
        # A row with a path is one request; Traefik numbers them, which is no count.
        return known, bucket_columns.counting_of(table, known) if known.path is None else None
    found = bucket_columns.recognise(table, needs_tokens=False)
    if found is None:
        raise _unknown(table)
    return found


def _unknown(table: Table) -> InputError:
    if not table.names:
        return InputError("The file holds no records.")
    other = known_formats.no_table(table)
    if other is not None:
        return InputError(f"The file looks like {other[0]}. {other[1]}")
    found = formats.listed(table.names)
    guess = formats.suggested(table)
    of_buckets = bucket_columns.suggestions(table)
    if "requests" in of_buckets:
        guess = of_buckets | guess
    if not set(table.names) - {guess.get(role) for role in ("prompt_tokens", "output_tokens")}:
        return InputError(
            f"No arrival time column. Found: {found}. Length-only files can set token sizes but "
            "not traffic."
        )
    kind = known_formats.looks_like(table)
    say = (
        "Say which is the time of arrival and, if there are any, the tokens."
        if kind is None
        else "If each row is a request all the same, say which column is the time of arrival."
    )
    what = "" if kind is None else f" This looks like {kind[0]}. {kind[1]}"
    return UnknownFormat(f"No known format has these columns: {found}.{what} {say}", table.names,
                         guess)  # fmt: skip


# --- Reading the rows ---------------------------------------------------------------------------


def _collect(
    table: Table,
    layout: Layout,
    counted: BucketCells | None,
    both_zero: str | None,
    caps: Caps,
    findings: Findings,
    web: PathFilter,
    tables: Tables,
) -> _Rows:
    clock = columns.Clock(decimal_comma=table.decimal_comma)
    kept: dict[str, list[NDArray]] = {
        column: [] for column in ("time", "prompt", "output", "model", "session", "identity")
    }
    models, sessions = columns.Codes(), columns.Codes()
    most_sessions = tables.setting("trace_most_sessions")
    read, size, places = 0, 0, []
    examples: dict[str, str] = {}
    wanted = (*layout.columns(), *(counted.counting.columns() if counted else ()))
    for batch in table.batches(tuple(dict.fromkeys(wanted))):
        if not batch.rows:
            continue
        read += batch.rows
        if read > caps.rows:
            raise too_many_rows(caps.rows)
        keep, time, prompt, output = _cells(
            batch, table, layout, clock, counted is not None, both_zero, findings, examples, web
        )
        whole = bool(keep.all())
        which = slice(None) if whole else keep
        cells = batch.columns
        if counted is not None:
            counted.take(batch, layout, which)
        for column, values in (("time", time), ("prompt", prompt), ("output", output)):
            kept[column].append(values[which])
        for column, name, convert in (
            ("model", layout.model, models.of),
            ("session", layout.session, sessions.of),
            ("identity", layout.request_id, columns.hashes),
        ):
            if name is not None:
                kept[column].append(convert(cells[name] if whole else cells[name].filter(keep)))
        if layout.session and len(sessions.names) > most_sessions:
            raise InputError(
                f"The file has more than {most_sessions:,.0f} sessions; leave out the column "
                f"'{layout.session}'."
            )
        places.append((size, batch.first_row, None if whole else keep))
        size += int(np.count_nonzero(keep))
    for reason, number in table.broken.items():
        findings.dropped[reason] += number
        read += number
    if table.log is not None:
        access_log.check_unread(table.broken, read, tables.setting("trace_bad_time_share"))
    shown = int(tables.setting("trace_shown_paths"))
    web.check(shown)
    findings.notes.extend(web.sentences(shown))
    _check_times(clock, findings, read, size, examples, tables)
    # One column after the other, so that at most one of them is there twice.
    joined: dict[str, Any] = {
        column: np.concatenate(kept.pop(column)) if kept[column] else None for column in list(kept)
    }
    return _Rows(clock=clock, models=models, sessions=sessions, read=read, places=places, **joined)


_BAD_TIME = "rows whose time could not be read"
_BAD_TOKENS = "rows whose token counts are negative, fractional or no number"
_NO_TOKENS = "requests with 0 tokens in and out (failed)"
_NO_COUNT = -2
_NO_DURATION = "rows without a duration"
_LOSSES = (_BAD_TIME, _BAD_TOKENS, _NO_DURATION)
_LOSSES_BEGIN = (
    "rows whose ",
    "rows that could not",
    "rows with another number of cells",
    "items of a list that are no records",
)


def _cells(
    batch: Batch,
    table: Table,
    layout: Layout,
    clock: columns.Clock,
    may_be_buckets: bool,
    both_zero: str | None,
    findings: Findings,
    examples: dict[str, str],
    web: PathFilter,
) -> tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.int32], NDArray[np.int32]]:
    """Return which rows of a batch to keep, and their times and tokens."""
    keep = np.ones(batch.rows, dtype=bool)

    def drop(bad: NDArray[np.bool_], reason: str) -> None:
        bad = bad & keep
        if bad.any():
            findings.dropped[reason] += int(np.count_nonzero(bad))
            keep[bad] = False

    if layout.path is not None:
        drop(~web.passes(columns.paths(batch.columns[layout.path])), OTHER_PATHS)
    for rule in layout.keep:
        passes = rule.passes(columns.as_text(batch.columns[rule.column]))
        drop(~passes.fill_null(False).to_numpy(zero_copy_only=False), rule.dropped)
    cells = batch.columns[layout.time]
    if not keep.all():
        # Cells of rows that are no requests must not decide how times are read.
        import pyarrow as pa
        import pyarrow.compute as pc

        cells = pc.if_else(pa.array(keep), cells, pa.scalar(None, cells.type))
    time = clock.offsets(cells, batch.first_row)
    drop(np.isnan(time), _BAD_TIME)
    if layout.duration is not None:
        spent = columns.numbers(batch.columns[layout.duration], table.decimal_comma)
        drop(np.isnan(spent), _NO_DURATION)
        time = time - spent * layout.duration_s
    counts = []
    for what, column, keys in (
        ("prompt", layout.prompt, 0),
        ("output", layout.output, 1),
    ):
        if column is None:
            counts.append(np.full(batch.rows, columns.MISSING, dtype=np.int32))
            continue
        cells = batch.columns[column]
        if layout.json_keys is not None:
            cells = columns.in_json(cells, layout.json_keys[keys])
        values, bad = columns.tokens(cells, table.decimal_comma)
        bad &= keep
        if bad.any() and not may_be_buckets and _BAD_TOKENS not in examples:
            at = int(np.flatnonzero(bad)[0])
            examples[_BAD_TOKENS] = (
                f"Row {batch.first_row + at:,}: {what} tokens '{cells[at].as_py()}'."
            )
        if may_be_buckets:
            values[bad] = _NO_COUNT  # sums may be larger than any request, means have fractions
        else:
            drop(bad, _BAD_TOKENS)
        counts.append(values)
    prompt, output = counts
    if both_zero != "keep" and not may_be_buckets:
        drop((prompt == 0) & (output == 0), _NO_TOKENS)
    return keep, time, prompt, output


def _check_times(
    clock: columns.Clock,
    findings: Findings,
    read: int,
    size: int,
    examples: dict[str, str],
    tables: Tables,
) -> None:
    if read == 0:
        raise InputError("The file has a header but no requests.")
    bad = findings.dropped[_BAD_TIME]
    if not bad:
        del findings.dropped[_BAD_TIME]
    else:
        row, text = clock.bad or (0, "")
        what = f"Row {row:,}: {text} is not a time."
        if bad > tables.setting("trace_bad_time_share") * read:
            raise InputError(f"{what} {bad:,} of {read:,} rows have no readable time.")
        findings.notes.append(f"{what} {bad:,} of {read:,} rows skipped.")
    findings.notes.extend(examples.values())
    if size == 0:
        raise InputError(f"None of the {read:,} rows is a request: {findings.reasons()}.")


def _check_losses(
    read: int, findings: Findings, losses: str | None, both_zero: str | None, tables: Tables
) -> None:
    """Ask about a file of which much is lost: rows that could not be read, or failed requests.

    Rows that a format itself tells from requests (spans of tools, other paths) are no loss.
    """
    share = tables.setting("trace_most_lost_share")
    failed = findings.dropped.get(_NO_TOKENS, 0)
    if both_zero is None and failed > share * read:
        raise TraceQuestion(
            f"Of {read:,} rows, {failed:,} are {_NO_TOKENS}. Leave them out?",
            "both_zero",
            (
                ("drop", "Yes: they never reached the model"),
                ("keep", "No: they woke the model, and count with 1 token out"),
            ),
        )
    lost = {
        reason: number
        for reason, number in findings.dropped.items()
        if number and (reason in _LOSSES or reason.startswith(_LOSSES_BEGIN))
    }
    number = sum(lost.values())
    if losses is None and number > share * read:
        reasons = "; ".join(f"{count:,} {reason}" for reason, count in lost.items())
        left = read - sum(findings.dropped.values())
        example = f" {findings.notes[0]}" if findings.notes and _BAD_TOKENS in lost else ""
        raise TraceQuestion(
            f"Of {read:,} rows, {number:,} would be lost: {reasons}.{example} Read the rest?",
            "losses",
            (("accept", f"Yes: {units.count(left, 'row')} are left"),),
        )


# --- From rows to a trace -----------------------------------------------------------------------


def _finish(
    rows: _Rows,
    layout: Layout,
    findings: Findings,
    *,
    table: Table,
    label: str,
    answers: _Answers,
    fill: tuple[int, int],
    paths: tuple[PathCount, ...],
    tables: Tables,
) -> Trace:
    clock = rows.clock
    unit, is_dated = checks.unit_of(
        clock,
        rows.time,
        known=layout.clock,
        usual=layout.usual_unit,
        told=answers.time_unit,
        column=layout.time,
        findings=findings,
        tables=tables,
    )
    factor = 1.0 if clock.is_date else checks.SECONDS_IN[unit]
    origin_s = checks.origin_of(clock, unit) if is_dated else None
    places = rows.row_of
    positions = np.arange(rows.time.size) if _filters(rows, answers) else None
    if positions is not None:
        positions = positions[_choose(rows, answers, layout, findings, tables)]
    _check_losses(rows.read, findings, answers.losses, answers.both_zero, tables)
    if factor != 1.0:
        rows.time *= factor
    if layout.session_clock:
        _place_sessions(rows, answers.session_starts, findings, tables)
        is_dated, origin_s = False, None
    else:
        before = rows.time
        zero_s = _dates_of_zero(rows) if layout.session_epoch_ms else None
        time, order = checks.in_order(
            before,
            has_date=is_dated,
            has_zone=clock.has_zone or not clock.is_date,
            answer=answers.on_clock_reset,
            zero_s=zero_s,
            row_of=places if positions is None else lambda index: places(int(positions[index])),
            findings=findings,
            tables=tables,
        )
        if not isinstance(order, slice):
            rows.take(order)
        rows.time = time
        if zero_s is not None and np.isfinite(zero_s).any():
            # Of the rows whose time was left as it was: a second log has dates of its own.
            same = time == before[order]
            origin_s = float(np.nanmedian(zero_s[order][same]))
    buckets.check_requests(
        table,
        rows.time - rows.time[0],
        np.maximum(rows.prompt, 0).astype(np.int64) + np.maximum(rows.output, 0),
        None if origin_s is None else origin_s + float(rows.time[0]),
        answers.rows_are,
        tables,
    )
    trace = _trace(rows, layout, findings, unit, is_dated, origin_s, label, answers, fill, tables)
    return replace(trace, report=replace(trace.report, paths=paths)) if paths else trace


def _filters(rows: _Rows, answers: _Answers) -> bool:
    # Where rows might have been buckets, neither was looked at before.
    uncounted = bool(
        ((rows.prompt == _NO_COUNT) | (rows.output == _NO_COUNT)).any()
        or ((rows.prompt == 0) & (rows.output == 0)).any()
    )
    return (
        uncounted
        or len(rows.models.names) > 1
        or rows.identity is not None
        or answers.zero_output == "drop"
    )


def _choose(
    rows: _Rows, answers: _Answers, layout: Layout, findings: Findings, tables: Tables
) -> NDArray[np.intp]:
    """Drop repeated requests, other models and, if wished, requests without output."""
    keep = np.ones(rows.time.size, dtype=bool)

    def drop(bad: NDArray[np.bool_], reason: str) -> int:
        number = int(np.count_nonzero(bad & keep))
        if number:
            findings.dropped[reason] += number
            keep[bad] = False
        return number

    drop((rows.prompt == _NO_COUNT) | (rows.output == _NO_COUNT), _BAD_TOKENS)
    if answers.both_zero != "keep":
        drop((rows.prompt == 0) & (rows.output == 0), _NO_TOKENS)
    if rows.identity is not None:
        repeated = np.ones(rows.time.size, dtype=bool)
        repeated[np.unique(rows.identity, return_index=True)[1]] = False
        repeated &= rows.identity != 0  # an empty cell is no id
        if number := drop(repeated, "rows whose request id came before"):
            ids = "request id appears" if number == 1 else "request ids appear"
            findings.notes.append(f"{number:,} {ids} twice; kept once.")
        rows.identity = None
    if rows.model is not None and len(rows.models.names) > 1:
        wanted = checks.model_of(rows.model[keep], rows.models, answers.model, tables)
        if wanted is not None:
            drop(rows.model != wanted, "requests to other models")
        else:
            findings.assumed.append(
                f"{len(rows.models.names)} models are taken together as one deployment."
            )
    rows.model = None
    if answers.zero_output == "drop":
        drop(rows.output == 0, "requests with 0 output tokens (failed or cancelled)")
    if not keep.any():
        raise InputError(f"None of the {rows.read:,} rows is left: {findings.reasons()}.")
    if not keep.all():
        rows.take(keep)
    return np.flatnonzero(keep)


def _dates_of_zero(rows: _Rows) -> NDArray[np.float64]:
    """Return, by the epoch in each row's session name, the date of time 0 [s since 1970]."""
    stamps = np.full(len(rows.sessions.names) + 1, np.nan)  # the last is for rows without one
    for session, code in rows.sessions.names.items():
        digits = session.split("-")[0]
        if digits.isdigit() and len(digits) == len("1757476916095"):
            stamps[code] = int(digits) * checks.SECONDS_IN["ms"]
    return stamps[rows.session] - rows.time


def _place_sessions(rows: _Rows, told: str | None, findings: Findings, tables: Tables) -> None:
    """Put sessions whose clocks all start at 0 on one axis, as the user says."""
    assert rows.session is not None
    order = np.lexsort((rows.time, rows.session))
    rows.take(order)
    first = np.flatnonzero(np.diff(rows.session, prepend=rows.session[0] - 1))
    number = first.size
    lengths_s = np.maximum.reduceat(rows.time, first) - rows.time[first]
    low, high = (tables.setting(f"trace_sessions_{end}_per_day") for end in ("low", "high"))
    if number == 1:
        return
    if told is None:
        raise TraceQuestion(
            f"Times start at 0 in each of {units.count(number, 'session')}: the file does not say "
            "when a session began. How should they be placed?",
            "session_starts",
            (
                *(
                    (
                        f"{rate:g}",
                        f"At random, {rate:g} sessions a day: "
                        f"{units.seconds(number / rate * units.SECONDS_PER_DAY)}",
                    )
                    for rate in (low, high)
                ),
                ("sequence", f"One after the other: {units.seconds(float(lengths_s.sum()))}"),
                ("together", f"All at once: {units.seconds(float(lengths_s.max()))}"),
            ),
        )
    if told == "together":
        begin_s = np.zeros(number)
        findings.assumed.append(f"All {number:,} sessions were made to start at the same time.")
    elif told == "sequence":
        begin_s = np.concatenate(([0.0], np.cumsum(lengths_s)[:-1]))
        findings.assumed.append(f"{number:,} sessions were put one after the other.")
    else:
        try:
            rate = float(told)
        except ValueError:
            rate = math.nan
        if not 0 < rate < math.inf:
            raise InputError(
                f"Sessions start in 'sequence', 'together' or at a number a day; found '{told}'."
            )
        rng = np.random.default_rng(int(tables.setting("trace_seed")))
        begin_s = np.cumsum(rng.exponential(units.SECONDS_PER_DAY / rate, number))
        findings.assumed.append(
            f"{number:,} sessions start at random (Poisson), {rate:g} a day: the file has no dates."
        )
    sizes = np.diff(np.append(first, rows.time.size))
    rows.time = rows.time - np.repeat(rows.time[first] - begin_s, sizes)
    rows.take(np.argsort(rows.time, kind="stable"))


def _trace(
    rows: _Rows,
    layout: Layout,
    findings: Findings,
    unit: str,
    is_dated: bool,
    origin_s: float | None,
    label: str,
    answers: _Answers,
    fill: tuple[int, int],
    tables: Tables,
) -> Trace:
    start_s = float(rows.time[0])
    arrival_s = np.subtract(rows.time, start_s, out=rows.time)
    # To the nanosecond: a time must not depend on the unit and the origin it was written in.
    np.rint(np.multiply(arrival_s, checks.NS_PER_S, out=arrival_s), out=arrival_s)
    arrival_s /= checks.NS_PER_S
    if not arrival_s[-1] > 0:
        raise InputError(
            "All requests have the same time; rate and idle time need at least two different times."
        )
    resolution_s = checks.resolution_of(arrival_s)
    quantum_s = checks.quantum_of(arrival_s, tables)
    which: NDArray[np.intp] | slice = slice(None)
    if quantum_s:
        resolution_s = quantum_s
        rng = np.random.default_rng((int(tables.setting("trace_seed")), answers.draw))
        arrival_s = arrival_s + quantum_s * rng.random(arrival_s.size)
        which = np.argsort(arrival_s, kind="stable")
        arrival_s = arrival_s[which] - arrival_s[which[0]]
        step = units.seconds(quantum_s)
        findings.notes.append(
            f"Times are rounded to {step}: bursts inside {step} are spread evenly; p99 below "
            f"{step} is not reliable."
        )
    prompt = _filled(rows.prompt[which], fill[0], "prompt")
    output = _filled(rows.output[which], fill[1], "output")
    _say_missing(rows, fill, findings)
    zero = int(np.count_nonzero(output == 0))
    if zero:
        findings.notes.append(
            "1 request has 0 output tokens (failed or cancelled): it still wakes the model and "
            "counts with 1."
            if zero == 1
            else f"{zero:,} requests have 0 output tokens (failed or cancelled): they still wake "
            "the model and count with 1."
        )
        output = np.maximum(output, 1)
    if layout.time_is_end:
        findings.notes.append(
            "Times are when the response ended; arrival = end − duration."
            if layout.duration
            else "Times are when the response ended and there is no duration column: arrivals are "
            "late by the response time."
        )
    findings.notes.extend(layout.notes)
    has_date = is_dated or origin_s is not None
    findings.notes.extend(_length_notes(float(arrival_s[-1]), tables))
    findings.notes.extend(checks.zone_notes(has_date, rows.clock))
    t0_utc = None
    if origin_s is not None:
        t0_utc = checks.date_of(origin_s + start_s)
    session = None if rows.session is None else _session_numbers(rows.session[which])
    return make_trace(
        label,
        arrival_s,
        prompt,
        output,
        t0_utc=t0_utc,
        resolution_s=resolution_s,
        session_id=session,
        report=TraceReport(
            format=layout.format,
            time_unit=unit,
            rows_read=rows.read,
            kept=int(arrival_s.size),
            dropped=dict(findings.dropped),
            assumed=tuple(findings.assumed),
            notes=tuple(findings.notes),
            zones=rows.clock.zones,
        ),
    )


def _filled(values: NDArray[np.int32], default: int, what: str) -> NDArray[np.int32]:
    if default < (what == "output"):
        raise InputError(f"The assumed {what} tokens cannot be {default}.")
    missing = values == columns.MISSING
    return np.where(missing, np.int32(default), values) if missing.any() else values


def _say_missing(rows: _Rows, fill: tuple[int, int], findings: Findings) -> None:
    missing = [int(np.count_nonzero(c == columns.MISSING)) for c in (rows.prompt, rows.output)]
    if missing == [rows.time.size] * 2:
        findings.assumed.append(
            f"No token counts: using {fill[0]:,} in / {fill[1]:,} out for all requests."
        )
        return
    for number, what, default in zip(missing, ("prompt", "output"), fill, strict=True):
        if number:
            has = "request has" if number == 1 else "requests have"
            findings.assumed.append(f"{number:,} {has} no {what} tokens: {default:,} assumed.")


def _session_numbers(codes: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return numbers from 0 by first arrival; a request without a session is one of its own."""
    own = codes == columns.MISSING
    if own.any():
        codes = codes.copy()
        codes[own] = codes.max() + 1 + np.arange(np.count_nonzero(own))
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    rank = np.empty(first.size, dtype=np.int32)
    rank[np.argsort(first, kind="stable")] = np.arange(first.size, dtype=np.int32)
    return rank[inverse]


def _length_notes(span_s: float, tables: Tables) -> list[str]:
    """Return what to know about a short trace."""
    if span_s >= units.SECONDS_PER_DAY:
        return []
    month_s = tables.setting("hours_per_month") * units.SECONDS_PER_HOUR
    return [
        f"{units.seconds(span_s)} of traffic: monthly cost is an extrapolation "
        f"(× {units.significant(month_s / span_s)}). No night or weekend in the data."
    ]
