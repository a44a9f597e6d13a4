"""From a file to a `Trace`: what every format has in common.

`read_trace` opens the file (`decode`), finds its format (`formats`), turns cells into numbers
(`columns`) and counts every row: read = kept + dropped. Rows that are requests are put together in
`assembly`, rows that count them in `buckets`. A trace keeps 16 bytes a request, 24 with sessions,
and nothing is written anywhere.
"""

from __future__ import annotations

import functools
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec

import numpy as np
from numpy.typing import NDArray

from frontier.boundary import hook, reads, shown
from frontier.errors import InputError
from frontier.tables import Tables, load_tables
from frontier.trace import (
    access_log,
    bucket_columns,
    buckets,
    checks,
    columns,
    formats,
    joined_times,
    known_formats,
    prefixes,
    rate_layouts,
    rate_series,
)
from frontier.trace.apart import in_a_worker
from frontier.trace.assembly import (
    BAD_TIME,
    BAD_TOKENS,
    NO_COUNT,
    NO_DURATION,
    NO_TOKENS,
    Answers,
    Rows,
    check_losses,
    finish,
)
from frontier.trace.bucket_columns import Counting
from frontier.trace.buckets import BucketCells
from frontier.trace.checks import Findings
from frontier.trace.columns import Clock
from frontier.trace.decode import open_table
from frontier.trace.expansion import expand
from frontier.trace.formats import Layout
from frontier.trace.model import Trace, UnknownFormat
from frontier.trace.paths import OTHER_PATHS, PathFilter
from frontier.trace.raw_table import Batch, Caps, Table, notes_on, too_many_rows
from frontier.trace.streams import Progress, Source

if TYPE_CHECKING:
    import pyarrow as pa

_P = ParamSpec("_P")
_LONGEST_NAME = 200
_MOST_REPEATED = 1000
REPEATED_NAMES = "rows that repeat the header"


def _as_shown(read: Callable[_P, Trace]) -> Callable[_P, Trace]:
    """Return a reader whose report holds no cell that is too long, or no text, to be shown."""

    @functools.wraps(read)
    def shown_read(*args: _P.args, **kwargs: _P.kwargs) -> Trace:
        trace = read(*args, **kwargs)
        report = trace.report
        report = replace(
            report,
            dropped={shown(why): number for why, number in report.dropped.items()},
            assumed=tuple(map(shown, report.assumed)),
            notes=tuple(map(shown, report.notes)),
            zones=tuple(map(shown, report.zones)),
        )
        return replace(trace, name=shown(trace.name, _LONGEST_NAME), report=report)

    return shown_read


@reads("The trace")
@in_a_worker
@_as_shown
def read_trace(
    source: Source,
    *,
    name: str | None = None,
    time_unit: str | None = None,
    time_zone: str | None = None,
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
    far_rows: str | None = None,
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
    time_unit : str, optional
        Unit of times that are numbers, of `checks.TIME_UNITS`, where the file leaves it open or is
        misread.
    time_zone : str, optional
        Where the clock stood, of the places in `Tables.zone_names`, if times end with the name of
        a zone that several places have.
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
    far_rows : {"before", "after", "keep"}, optional
        Which requests are meant where one gap outweighs the rest: those before it, after it, all.
    default_prompt_tokens, default_output_tokens : int, optional
        Tokens of a request where the file does not say; settings unless given.
    draw : int
        Which of many random placements, where requests are only counted or times are rounded.
    max_rows, max_bytes : int, optional
        Caps on rows and on bytes after decompression; settings unless given.
    progress : callable, optional
        Called with bytes read and bytes in all (0 if not known), at least every fifth of a
        second; what it raises stops the reading and reaches the caller.
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
        record_bytes=int(tables.setting("trace_record_bytes")),
        columns=int(tables.setting("trace_most_columns")),
        bad_rows=int(tables.setting("trace_most_bad_rows")),
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
    with open_table(source, caps, None if progress is None else hook(progress)) as table:
        # Hours and days beside their dates are of no metrics system.
        is_own = bool(table.joined)
        found = None if columns else bucket_columns.recognise(table, needs_tokens=not is_own)
        if columns is None and found is None:
            rates = rate_layouts.recognise(table)
            if rates is not None:
                series = rate_series.read_rates(
                    table,
                    rates,
                    name=label,
                    counts=counts,
                    time_unit=time_unit,
                    place=time_zone,
                    metric=metric,
                    model=model,
                    missing_buckets=missing_buckets,
                    web=web,
                    max_rows=caps.rows,
                    tables=tables,
                )
                trace = expand(series, draw=draw, fill=fill, max_rows=caps.rows, tables=tables)
                return _with_notes(trace, notes_on(table))
        layout, counting = found or _layout(table, columns)
        if columns is None:
            _refuse_repeated(table, layout, counting)
        findings = Findings(notes=list(notes_on(table)))
        clocks = [Clock(table.decimal_comma, time_zone, tables) for _ in ("time", "end")]
        held = None
        if counting is not None:
            held = BucketCells(counting, table.decimal_comma, end_clock=clocks[1])
        rows = _collect(table, layout, clocks[0], held, both_zero, caps, findings, web, tables)
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
            check_losses(rows.read, findings, losses, both_zero, tables)
            return expand(counts_of_rows, draw=draw, fill=fill, max_rows=caps.rows, tables=tables)
    return finish(
        rows,
        layout,
        findings,
        table=table,
        label=label,
        answers=Answers(
            time_unit,
            on_clock_reset,
            model,
            session_starts,
            zero_output,
            draw,
            rows_are,
            losses,
            both_zero,
            far_rows,
        ),
        fill=fill,
        paths=web.found(),
        tables=tables,
    )


def _with_notes(trace: Trace, notes: tuple[str, ...]) -> Trace:
    return replace(trace, report=replace(trace.report, notes=(*notes, *trace.report.notes)))


def _name_of(source: Source) -> str:
    if isinstance(source, str | Path):
        return Path(source).name
    named = getattr(source, "name", None)
    return Path(named).name if isinstance(named, str) else "trace"


def _layout(table: Table, told: Mapping[str, str] | None) -> tuple[Layout, Counting | None]:
    """Return which column is what, as a person says or by a known format."""
    if told:
        told = {
            role: joined_times.JOINED if name in table.joined else name
            for role, name in told.items()
        }
        roles = (*formats.SYNONYMS, *bucket_columns.ROLES)
        if unknown := [role for role in told if role not in roles]:
            raise InputError(f"There is no role '{unknown[0]}'; there are {', '.join(roles)}.")
        of_rows = {role: name for role, name in told.items() if role not in bucket_columns.ROLES}
        of_buckets = {role: name for role, name in told.items() if role in bucket_columns.ROLES}
        layout = known_formats.with_usage(formats.by_hand(table, of_rows), table)
        return layout, bucket_columns.by_hand(table, layout, of_buckets)
    known = known_formats.recognise(table)
    if known is not None:
        # A row with a path is one request; Traefik numbers them, which is no count.
        return known, bucket_columns.counting_of(table, known) if known.path is None else None
    found = bucket_columns.recognise(table, needs_tokens=False)
    if found is None:
        raise _unknown(table)
    return found


def _refuse_repeated(table: Table, layout: Layout, counting: Counting | None) -> None:
    """Ask which column is meant where two have the name that a format knows."""
    if table.kind != "CSV":
        return
    used = (*layout.columns(), *(counting.columns() if counting else ()))
    alike = Counter(map(formats.fold, table.names))
    for name in used:
        if name in table.repeated:
            which = f"several columns named '{name}'. Say which is meant: the second is called "
            which += f"'{name}.2' here."
        elif alike[formats.fold(name)] > 1:
            others = [n for n in table.names if formats.fold(n) == formats.fold(name)]
            which = f"the columns {formats.listed(tuple(others))}. Say which of them is meant."
        else:
            continue
        raise UnknownFormat(f"The file has {which}", table.names, formats.suggested(table))


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
    if table.ragged:
        what += f" {table.ragged}"
    return UnknownFormat(f"No known format has these columns: {found}.{what} {say}", table.names,
                         guess)  # fmt: skip


# --- Reading the rows ---------------------------------------------------------------------------


def _collect(
    table: Table,
    layout: Layout,
    clock: Clock,
    counted: BucketCells | None,
    both_zero: str | None,
    caps: Caps,
    findings: Findings,
    web: PathFilter,
    tables: Tables,
) -> Rows:
    kept: dict[str, list[NDArray]] = {
        column: []
        for column in (
            *("time", "prompt", "output", "model", "session", "identity"),
            *("cached", "parent", "shared"),
        )
    }
    blocks = prefixes.Blocks(int(tables.setting("trace_most_prefixes")))
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
        keep, time, prompt, output, cached = _cells(
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
        if cached is not None:
            counts, bad = columns.tokens(cached, table.decimal_comma)
            kept["cached"].append(np.where(bad, 0, np.maximum(counts, 0))[which])
        if layout.blocks is not None:
            held = cells[layout.blocks] if whole else cells[layout.blocks].filter(keep)
            parent, shared = blocks.take(held, prompt[which])
            kept["parent"].append(parent)
            kept["shared"].append(shared)
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
    _check_times(clock, layout.time, findings, read, size, examples, tables)
    # One column after the other, so that at most one of them is there twice.
    joined: dict[str, Any] = {
        column: np.concatenate(kept.pop(column)) if kept[column] else None for column in list(kept)
    }
    joined["origin"] = (
        None if joined["parent"] is None else np.arange(joined["parent"].size, dtype=np.int32)
    )
    return Rows(clock=clock, models=models, sessions=sessions, read=read, places=places, **joined)


def _cells(
    batch: Batch,
    table: Table,
    layout: Layout,
    clock: Clock,
    may_be_buckets: bool,
    both_zero: str | None,
    findings: Findings,
    examples: dict[str, str],
    web: PathFilter,
) -> tuple[
    NDArray[np.bool_], NDArray[np.float64], NDArray[np.int32], NDArray[np.int32], pa.Array | None
]:
    """Return which rows of a batch to keep, their times and tokens, and the tokens in a cache."""
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
    bad = np.isnan(time) & keep
    if bad.any():
        drop(_repeats_names(batch, layout, bad), REPEATED_NAMES)
    drop(np.isnan(time), BAD_TIME)
    if layout.duration is not None:
        spent = columns.numbers(batch.columns[layout.duration], table.decimal_comma)
        drop(np.isnan(spent), NO_DURATION)
        time = time - spent * layout.duration_s
    counts = []
    prompt, output, cached = _token_cells(batch, layout)
    for what, cells in (("prompt", prompt), ("output", output)):
        if cells is None:
            counts.append(np.full(batch.rows, columns.MISSING, dtype=np.int32))
            continue
        values, bad = columns.tokens(cells, table.decimal_comma)
        bad &= keep
        if bad.any() and not may_be_buckets and BAD_TOKENS not in examples:
            at = int(np.flatnonzero(bad)[0])
            examples[BAD_TOKENS] = (
                f"Row {batch.first_row + at:,}: {what} tokens '{cells[at].as_py()}'."
            )
        if may_be_buckets:
            values[bad] = NO_COUNT  # sums may be larger than any request, means have fractions
        else:
            drop(bad, BAD_TOKENS)
        counts.append(values)
    prompts, outputs = counts
    if both_zero != "keep" and not may_be_buckets:
        drop((prompts == 0) & (outputs == 0), NO_TOKENS)
    return keep, time, prompts, outputs, cached


def _repeats_names(batch: Batch, layout: Layout, bad: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which rows repeat the header, as in files that were put one after the other.

    Raises
    ------
    InputError
        If one is another header: below it the columns mean something else.
    """
    repeats = np.zeros(batch.rows, dtype=bool)
    names = {name: batch.columns[name] for name in dict.fromkeys(layout.columns())}
    for at in np.flatnonzero(bad)[:_MOST_REPEATED]:
        held = {
            name: str(columns.cell_of(cells, int(at))).strip("\ufeff ")
            for name, cells in names.items()
        }
        if held[layout.time] != layout.time and held[layout.time] not in names:
            continue
        if any(cell != name for name, cell in held.items()):
            raise InputError(
                f"Row {batch.first_row + int(at):,} is a header again, with its columns in another "
                "order. Read the files apart, or bring their columns into one order."
            )
        repeats[at] = True
    return repeats


def _token_cells(batch: Batch, layout: Layout) -> tuple[pa.Array | None, ...]:
    """Return the cells of prompt, output and cached tokens; None for what the file has not."""
    if layout.usage:
        import pyarrow as pa

        counts = columns.usage({name: batch.columns[name] for name in layout.usage})
        # The numbers of a usage are those of an API: a missing one is no bad one.
        return tuple(pa.array(values, from_pandas=True) for values in counts)
    names = (layout.prompt, layout.output, layout.cached)
    return tuple(None if name is None else batch.columns[name] for name in names)


def _check_times(
    clock: Clock,
    column: str,
    findings: Findings,
    read: int,
    size: int,
    examples: dict[str, str],
    tables: Tables,
) -> None:
    if read == 0:
        raise InputError("The file has a header but no requests.")
    checks.refuse_weeks_as_months(clock, column)
    bad = findings.dropped[BAD_TIME]
    if not bad:
        del findings.dropped[BAD_TIME]
    else:
        row, text = clock.bad or (0, "")
        what = f"Row {row:,}: {text} is not a time."
        if re.fullmatch(r"'\d{1,2}:\d\d(:\d\d([.,]\d+)?)?( ?[AaPp][Mm])?'", text):
            what = f"Row {row:,}: {text} has no date. Put date and time into one column."
        elif re.fullmatch(r"'.*\d:\d\d(:\d\d)?([.,]\d+)? ?[A-Z]{3,5}'", text):
            what += (
                " The name of the zone is not known: write UTC, or how far it is from it (+02:00)."
            )
        if bad > tables.setting("trace_bad_time_share") * read:
            raise InputError(f"{what} {bad:,} of {read:,} rows have no readable time.")
        findings.notes.append(f"{what} {bad:,} of {read:,} rows skipped.")
    findings.notes.extend(examples.values())
    if size == 0:
        shown_rows = " ".join(("", *examples.values()))
        raise InputError(
            f"None of the {read:,} rows is a request: {findings.reasons()}.{shown_rows}"
        )
