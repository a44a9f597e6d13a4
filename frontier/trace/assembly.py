"""From the rows that were kept to a `Trace`: which stay, in what order, on which axis of time.

Repeated requests and other models are left out, sessions without dates placed, times put in order
and on a grid that was lost by rounding spread again; what is missing is filled and said. Rows come
from `reading`, the rules on time from `checks`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from frontier import spell, units
from frontier.errors import InputError
from frontier.tables import Tables
from frontier.trace import buckets, checks, columns, prefixes
from frontier.trace.checks import Findings
from frontier.trace.formats import Layout
from frontier.trace.model import PathCount, Trace, TraceQuestion, TraceReport, make_trace
from frontier.trace.raw_table import Table

BAD_TIME = "rows whose time could not be read"
BAD_TOKENS = "rows whose token counts are negative, fractional or no number"
NO_TOKENS = "requests with 0 tokens in and out (failed)"
NO_COUNT = -2
NO_DURATION = "rows without a duration"
_LOSSES = (BAD_TIME, BAD_TOKENS, NO_DURATION)
_LOSSES_BEGIN = (
    "rows whose ",
    "rows that could not",
    "rows with another number of cells",
    "items of a list that are no records",
)


@dataclass(frozen=True, slots=True)
class Answers:
    """What a person told about the requests of a file, as `read_trace` takes it."""

    time_unit: str | None
    on_clock_reset: str | None
    model: str | None
    session_starts: str | None
    zero_output: str
    draw: int
    rows_are: str | None
    losses: str | None
    both_zero: str | None
    far_rows: str | None = None


@dataclass(slots=True)
class Rows:
    """Rows kept so far, column by column, and where in the file they stood."""

    clock: columns.Clock
    time: NDArray[np.float64]
    prompt: NDArray[np.int32]
    output: NDArray[np.int32]
    model: NDArray[np.int32] | None
    session: NDArray[np.int32] | None
    identity: NDArray[np.uint64] | None
    cached: NDArray[np.int32] | None
    parent: NDArray[np.int32] | None
    shared: NDArray[np.int32] | None
    origin: NDArray[np.int32] | None  # which row kept at first each is, where there are parents
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
        for column in (
            "time",
            "prompt",
            "output",
            "model",
            "session",
            "identity",
            "cached",
            "origin",
        ):
            values = getattr(self, column)
            if values is not None:
                setattr(self, column, values[which])


def check_losses(
    read: int, findings: Findings, losses: str | None, both_zero: str | None, tables: Tables
) -> None:
    """Ask about a file of which much is lost: rows that could not be read, or failed requests.

    Rows that a format itself tells from requests (spans of tools, other paths) are no loss.
    """
    share = tables.setting("trace_most_lost_share")
    failed = findings.dropped.get(NO_TOKENS, 0)
    if both_zero is None and failed > share * read:
        raise TraceQuestion(
            f"Of {read:,} rows, {failed:,} are {NO_TOKENS}. Leave them out?",
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
        example = f" {findings.notes[0]}" if findings.notes and BAD_TOKENS in lost else ""
        raise TraceQuestion(
            f"Of {read:,} rows, {number:,} would be lost: {reasons}.{example} Read the rest?",
            "losses",
            (("accept", f"Yes, leaving {spell.count(left, 'row')}"),),
        )


def finish(
    rows: Rows,
    layout: Layout,
    findings: Findings,
    *,
    table: Table,
    label: str,
    answers: Answers,
    fill: tuple[int, int],
    paths: tuple[PathCount, ...],
    tables: Tables,
) -> Trace:
    """Return the trace of rows of which each is a request.

    Parameters
    ----------
    rows : Rows
        The rows that were kept; they are used up.
    layout : Layout
        Which column was what.
    findings : Findings
        Takes what is dropped, assumed and noted.
    table : Table
        The file, for the question whether its rows are requests.
    label : str
        Name of the trace.
    answers : Answers
        What a person told.
    fill : tuple of int
        Prompt and output tokens where a row has none.
    paths : tuple of PathCount
        Paths of an access log.
    tables : Tables
        For the settings.

    Raises
    ------
    TraceQuestion
        If one question must be answered first.
    InputError
        If no row is left, or all have one time.
    """
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
    factor = 1.0 if clock.is_date else checks.TIME_UNITS[unit].seconds
    origin_s = checks.origin_of(clock, unit) if is_dated else None
    places = rows.row_of
    positions = np.arange(rows.time.size) if _filters(rows, answers) else None
    if positions is not None:
        positions = positions[_choose(rows, answers, layout, findings, tables)]
    check_losses(rows.read, findings, answers.losses, answers.both_zero, tables)
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
            row_of=_row_in_order(places, positions, slice(None)),
            findings=findings,
            tables=tables,
        )
        near = checks.near_rows(
            time,
            answer=answers.far_rows,
            row_of=_row_in_order(places, positions, order),
            date_s=origin_s,
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
        rows.take(near)
    checks.check_span(float(rows.time[-1] - rows.time[0]), tables)
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


def _row_in_order(
    row_of: Callable[[int], int],
    positions: NDArray[np.intp] | None,
    order: NDArray[np.intp] | slice,
) -> Callable[[int], int]:
    """Return the row of the file by the place of a request in order of time."""

    def find(index: int) -> int:
        at = index if isinstance(order, slice) else int(order[index])
        return row_of(at if positions is None else int(positions[at]))

    return find


def _filters(rows: Rows, answers: Answers) -> bool:
    # Where rows might have been buckets, neither was looked at before.
    uncounted = bool(
        ((rows.prompt == NO_COUNT) | (rows.output == NO_COUNT)).any()
        or ((rows.prompt == 0) & (rows.output == 0)).any()
    )
    return (
        uncounted
        or len(rows.models.names) > 1
        or rows.identity is not None
        or answers.zero_output == "drop"
    )


def _choose(
    rows: Rows, answers: Answers, layout: Layout, findings: Findings, tables: Tables
) -> NDArray[np.intp]:
    """Drop repeated requests, other models and, if wished, requests without output."""
    keep = np.ones(rows.time.size, dtype=bool)

    def drop(bad: NDArray[np.bool_], reason: str) -> int:
        number = int(np.count_nonzero(bad & keep))
        if number:
            findings.dropped[reason] += number
            keep[bad] = False
        return number

    drop((rows.prompt == NO_COUNT) | (rows.output == NO_COUNT), BAD_TOKENS)
    if answers.both_zero != "keep":
        drop((rows.prompt == 0) & (rows.output == 0), NO_TOKENS)
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


def _dates_of_zero(rows: Rows) -> NDArray[np.float64]:
    """Return, by the epoch in each row's session name, the date of time 0 [s since 1970]."""
    stamps = np.full(len(rows.sessions.names) + 1, np.nan)  # the last is for rows without one
    for session, code in rows.sessions.names.items():
        digits = session.split("-")[0]
        if digits.isdigit() and len(digits) == len("1757476916095"):
            stamps[code] = int(digits) * checks.TIME_UNITS["ms"].seconds
    return stamps[rows.session] - rows.time


def _place_sessions(rows: Rows, told: str | None, findings: Findings, tables: Tables) -> None:
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
            f"Times start at 0 in each of {spell.count(number, 'session')}: the file does not say "
            "when a session began. How should they be placed?",
            "session_starts",
            (
                *(
                    (
                        f"{rate:g}",
                        f"At random, {rate:g} sessions a day: "
                        f"{spell.seconds(number / rate * units.SECONDS_PER_DAY)}",
                    )
                    for rate in (low, high)
                ),
                ("sequence", f"One after the other: {spell.seconds(float(lengths_s.sum()))}"),
                ("together", f"All at once: {spell.seconds(float(lengths_s.max()))}"),
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
    rows: Rows,
    layout: Layout,
    findings: Findings,
    unit: str,
    is_dated: bool,
    origin_s: float | None,
    label: str,
    answers: Answers,
    fill: tuple[int, int],
    tables: Tables,
) -> Trace:
    start_s = float(rows.time[0])
    arrival_s = np.subtract(rows.time, start_s, out=rows.time)
    # To the nanosecond: a time must not depend on the unit and the origin it was written in.
    np.rint(np.multiply(arrival_s, checks.NS_PER_S, out=arrival_s), out=arrival_s)
    arrival_s /= checks.NS_PER_S
    if not arrival_s[-1] > 0:
        raise checks.one_time(arrival_s.size)
    resolution_s = checks.resolution_of(arrival_s)
    quantum_s = checks.quantum_of(arrival_s, tables)
    which: NDArray[np.intp] | slice = slice(None)
    if quantum_s:
        resolution_s = quantum_s
        rng = np.random.default_rng((int(tables.setting("trace_seed")), answers.draw))
        arrival_s = arrival_s + quantum_s * rng.random(arrival_s.size)
        which = np.argsort(arrival_s, kind="stable")
        arrival_s = arrival_s[which] - arrival_s[which[0]]
        step = spell.seconds(quantum_s)
        findings.notes.append(
            f"Times are rounded to {step}: bursts inside {step} are spread evenly; p99 below "
            f"{step} is not reliable."
        )
    elif resolution_s >= tables.setting("trace_coarse_s") and (np.diff(arrival_s) == 0).any():
        step = spell.seconds(resolution_s)
        findings.notes.append(
            f"Every time is a multiple of {step}: requests of one {step} are served as if they "
            "came at once. Export times with seconds, if there are any."
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
    findings.notes.extend(length_notes(float(arrival_s[-1]), tables))
    findings.notes.extend(checks.zone_notes(has_date, rows.clock))
    t0_utc = None
    if origin_s is not None:
        t0_utc = checks.date_of(origin_s + start_s)
    session = None if rows.session is None else _session_numbers(rows.session[which])
    parent, shared, sentence = _prefixes(rows, layout, which, session, prompt, output)
    return make_trace(
        label,
        arrival_s,
        prompt,
        output,
        t0_utc=t0_utc,
        resolution_s=resolution_s,
        session_id=session,
        prefix_parent=parent,
        shared_tokens=shared,
        report=TraceReport(
            format=layout.format,
            time_unit=unit,
            rows_read=rows.read,
            kept=int(arrival_s.size),
            dropped=dict(findings.dropped),
            assumed=tuple(findings.assumed),
            notes=tuple(findings.notes),
            zones=rows.clock.zones,
            prefixes=sentence,
        ),
    )


def _prefixes(
    rows: Rows,
    layout: Layout,
    which: NDArray[np.intp] | slice,
    session: NDArray[np.int32] | None,
    prompt: NDArray[np.int32],
    output: NDArray[np.int32],
) -> tuple[NDArray[np.int32] | None, NDArray[np.int32] | None, str]:
    """Return which prompts begin alike, and a sentence on how the file says it."""
    if rows.parent is not None and rows.shared is not None and rows.origin is not None:
        parent, shared = prefixes.moved(rows.parent, rows.shared, rows.origin[which])
        words = f"The blocks in '{layout.blocks}' say which prompts begin alike"
        return parent, shared, f"{words}; those of one prompt are taken as equally long."
    if rows.cached is not None and (rows.cached > 0).any():
        cached = np.maximum(rows.cached[which], 0)
        parent, shared = prefixes.of_counts(cached, session)
        whose = "the request before"
        if session is not None:
            whose += " of the same session, or else the one before"
        said_in = layout.cached or layout.usage[0].rsplit(".", 1)[0]
        words = f"'{said_in}' says how many tokens of a prompt a cache had"
        return parent, shared, f"{words}; they are taken to be shared with {whose}."
    if layout.session_clock and session is not None:
        parent, shared = prefixes.of_turns(session, prompt, output)
        words = "An agent's prompt is taken to begin with all that came before in its session"
        return parent, shared, f"{words}, unless it is shorter than the one before."
    return None, None, ""


def _filled(values: NDArray[np.int32], default: int, what: str) -> NDArray[np.int32]:
    if default < (what == "output"):
        raise InputError(f"The assumed {what} tokens cannot be {default}.")
    missing = values == columns.MISSING
    return np.where(missing, np.int32(default), values) if missing.any() else values


def _say_missing(rows: Rows, fill: tuple[int, int], findings: Findings) -> None:
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


def length_notes(span_s: float, tables: Tables) -> list[str]:
    """Return what to know about a short trace."""
    if span_s >= units.SECONDS_PER_DAY:
        return []
    month_s = tables.setting("hours_per_month") * units.SECONDS_PER_HOUR
    return [
        f"{spell.seconds(span_s)} of traffic: monthly cost is an extrapolation "
        f"(× {spell.significant(month_s / span_s)}). No night or weekend in the data."
    ]
