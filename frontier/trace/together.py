"""Several traces added up: on one time base, each request still known by the trace it is from.

Where the clocks of two traces differ, or one covers more time than another, there is more than one
way to add them. What the traces themselves answer is decided and said; what only their owner knows
is asked (`TraceQuestion`). Nothing here is random.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from frontier.errors import InputError
from frontier.spell import count, seconds
from frontier.tables import Tables, load_tables
from frontier.trace.model import Trace, TraceQuestion, TraceReport, make_trace
from frontier.trace.prefixes import NONE, moved
from frontier.units import SECONDS_PER_DAY

CLOCK, WEEK, START = "clock", "week", "start"
ALIGN_WORDS = {
    CLOCK: "Same dates",
    WEEK: "Same hour of the week",
    START: "All begin at one time",
}
"""How traces are laid over one another, and what that means."""

COMMON, SILENT, REPEAT = "common", "silent", "repeat"
SPANS_WORDS = {
    COMMON: "only the time that all of them cover counts",
    SILENT: "a trace has no requests outside its own time",
    REPEAT: "shorter ones go on by whole weeks or days",
}
"""What is done where one trace covers more time than another."""

_WEEK_S = 7 * SECONDS_PER_DAY


@dataclass(frozen=True, slots=True, eq=False)
class Together:
    """Several traces as one, and which request is whose.

    Attributes
    ----------
    trace : Trace
        All of them, on one time base.
    names : tuple of str
        What the user calls them, in the user's order.
    origin : ndarray of int8, shape (n,)
        Position in ``names`` of the trace each request is from.
    align, spans : str
        How they were laid over one another (`ALIGN_WORDS`), and what was done about different
        lengths (`SPANS_WORDS`).
    said : tuple of str
        What was done, a sentence each.
    digest : str
        SHA-256 of the trace, the names and whose each request is: what results by trace are kept
        under. The trace's own digest does not know the names.
    """

    trace: Trace
    names: tuple[str, ...]
    origin: NDArray[np.int8]
    align: str
    spans: str
    said: tuple[str, ...]
    digest: str

    def part(self, name: str) -> Trace | None:
        """Return one of them over the common time, to be served apart; None without a request."""
        index = np.flatnonzero(self.origin == self.names.index(name))
        whole = self.trace
        if index.size == whole.arrival_s.size:
            return replace(whole, name=name)
        if not index.size:
            return None
        parent = shared = None
        if whole.prefix_parent is not None and whole.shared_tokens is not None:
            parent, shared = moved(whole.prefix_parent, whole.shared_tokens, index)
        return make_trace(
            name,
            whole.arrival_s[index],
            whole.prompt_tokens[index],
            whole.output_tokens[index],
            horizon_s=whole.horizon_s,
            t0_utc=whole.t0_utc,
            resolution_s=whole.resolution_s,
            session_id=None if whole.session_id is None else whole.session_id[index],
            prefix_parent=parent,
            shared_tokens=shared,
            report=whole.report,
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """One trace, where it stands in the user's order, and when it begins on the common clock."""

    name: str
    trace: Trace
    at: int
    begin_s: float

    @property
    def end_s(self) -> float:
        return self.begin_s + self.trace.horizon_s


def add_up(
    traces: Sequence[tuple[str, Trace]],
    *,
    align: str | None = None,
    spans: str | None = None,
    tables: Tables | None = None,
) -> Together:
    """Return several traces as one. Their order matters to nothing but the list of names.

    Parameters
    ----------
    traces : sequence of (str, Trace)
        Each with the name that the user gave it.
    align : {"clock", "week", "start"}, optional
        Unless given: by date if all have one and all overlap; by hour of the week if all have one;
        else all begin at one time.
    spans : {"common", "silent", "repeat"}, optional
        Unless given: the common time, if it is nearly all of the longest trace.

    Raises
    ------
    TraceQuestion
        If the traces cover different times and ``spans`` is not given.
    InputError
        If names are missing or repeated, a trace has no date and its clock is asked for, the
        traces share no time, one is too short to be repeated, or all are too many requests.
    """
    tables = tables or load_tables()
    names = _checked_names([name for name, _ in traces], tables)
    if len(traces) == 1:
        ((_, trace),) = traces
        origin = np.zeros(trace.arrival_s.size, dtype=np.int8)
        return _together(trace, names, origin, align or START, spans or COMMON, ())
    # The same whatever order they come in: also which of two requests at one instant is first.
    order = sorted(range(len(traces)), key=lambda at: (traces[at][1].digest, traces[at][0]))
    longest = max((traces[at][1] for at in order), key=_length)
    align = _aligned(traces, align)
    parts = [_Part(*traces[at], at, _begin_s(traces[at][1], longest, align)) for at in order]
    begin_s, end_s, spans = _window(parts, spans, tables)
    said = [_about_align(align, parts)]
    arrivals, bases, tiles = [], [], []
    outside: dict[str, int] = {}
    offset = 0
    for part in parts:
        placed_s, base, tile, sentence = _placed(part, begin_s, end_s, spans, tables)
        if spans != REPEAT:
            lost = part.trace.arrival_s.size - placed_s.size
            if lost:
                outside[f"{part.name}: outside the time that all cover"] = lost
        arrivals.append(placed_s - begin_s)
        bases.append(base + offset)
        tiles.append(tile)
        offset += part.trace.arrival_s.size
        if sentence:
            said.append(sentence)
    total = sum(placed_s.size for placed_s in arrivals)
    most = tables.setting("trace_max_rows")
    if total > most:
        raise InputError(
            f"Together these traces are {total:,} requests; the most is {most:,.0f}, as for one "
            "file. Take fewer of them or a shorter time."
        )
    if not total:
        raise InputError("No request of any of these traces lies in the time that all cover.")
    said.append(_about_spans(spans, parts, begin_s, end_s, outside))
    arrival_s = np.concatenate(arrivals)
    in_time = np.argsort(arrival_s, kind="stable")
    base = np.concatenate(bases)[in_time]
    tile = np.concatenate(tiles)[in_time]
    whose = np.concatenate(
        [np.full(part.trace.arrival_s.size, part.at, dtype=np.int8) for part in parts]
    )
    prompts, outputs = (
        np.concatenate([getattr(part.trace, name) for part in parts])
        for name in ("prompt_tokens", "output_tokens")
    )
    parent, shared = _prefixes(parts, base)
    trace = make_trace(
        " + ".join(names),
        arrival_s[in_time],
        prompts[base],
        outputs[base],
        horizon_s=end_s - begin_s,
        t0_utc=_t0_utc(parts, begin_s, align, longest),
        resolution_s=max(part.trace.resolution_s for part in parts),
        session_id=_sessions(parts, base, tile),
        prefix_parent=parent,
        shared_tokens=shared,
        report=_report(parts, said, outside),
    )
    return _together(trace, names, whose[base], align, spans, tuple(said))


def _checked_names(names: Sequence[str], tables: Tables) -> tuple[str, ...]:
    most = int(tables.setting("together_most_traces"))
    if not 1 <= len(names) <= most:
        raise InputError(f"Expected 1 to {most} traces to add up, found {len(names)}.")
    cleaned = tuple(" ".join(name.split()) for name in names)
    for name in cleaned:
        if not name:
            raise InputError("Each of several traces needs a name; one has none.")
        if cleaned.count(name) > 1:
            raise InputError(f"Two of these traces are called “{name}”: give each its own name.")
    return cleaned


def _aligned(traces: Sequence[tuple[str, Trace]], align: str | None) -> str:
    undated = [name for name, trace in traces if trace.t0_utc is None]
    if align is not None:
        if align not in ALIGN_WORDS:
            raise InputError(f"Traces are aligned by {', '.join(ALIGN_WORDS)}; found '{align}'.")
        if align != START and undated:
            raise InputError(
                f"{', '.join(undated)} has no date, so traces cannot be laid over one another by "
                "the clock: let all begin at one time."
            )
        return align
    if undated:
        return START
    begins = [trace.t0_utc for _, trace in traces if trace.t0_utc is not None]
    ends = [
        begin + dt.timedelta(seconds=trace.horizon_s)
        for begin, (_, trace) in zip(begins, traces, strict=True)
    ]
    return CLOCK if max(begins) < min(ends) else WEEK


def _length(trace: Trace) -> tuple[float, float]:
    """Return what the longest trace has most of; of two as long, the earlier one is it."""
    return trace.horizon_s, -(trace.t0_utc.timestamp() if trace.t0_utc is not None else 0.0)


def _begin_s(trace: Trace, longest: Trace, align: str) -> float:
    """Return when a trace begins on the clock of the longest one [s]."""
    if align == START or trace.t0_utc is None or longest.t0_utc is None:
        return 0.0
    since_s = (trace.t0_utc - longest.t0_utc).total_seconds()
    if align == CLOCK:
        return since_s
    # Of the weeks it may be moved by, the one that lets it overlap the longest most.
    tried = (since_s % _WEEK_S, since_s % _WEEK_S - _WEEK_S)
    return max(
        tried,
        key=lambda at_s: min(at_s + trace.horizon_s, longest.horizon_s) - max(at_s, 0.0),
    )


def _window(parts: Sequence[_Part], spans: str | None, tables: Tables) -> tuple[float, float, str]:
    """Return the time that counts, on the clock of the longest trace, and why it is that."""
    if spans is not None and spans not in SPANS_WORDS:
        raise InputError(
            f"Where traces cover different times the choice is {', '.join(SPANS_WORDS)}; found "
            f"'{spans}'."
        )
    first = max(parts, key=lambda part: _length(part.trace))
    begin_s = max(part.begin_s for part in parts)
    end_s = min(part.end_s for part in parts)
    covered = max(0.0, end_s - begin_s)
    whole_s = max(part.end_s for part in parts) - min(part.begin_s for part in parts)
    if spans is None:
        if covered < tables.setting("together_common_share") * whole_s:
            lasts = ", ".join(
                f"{part.name} {seconds(part.trace.horizon_s)}"
                for part in sorted(parts, key=lambda part: part.at)
            )
            raise TraceQuestion(
                f"The traces cover different times ({lasts}; all at once {seconds(covered)}). "
                "What about the rest?",
                "spans",
                tuple((key, words[:1].upper() + words[1:]) for key, words in SPANS_WORDS.items()),
            )
        spans = COMMON
    if spans == COMMON:
        if covered <= 0.0:
            raise InputError(
                "There is no time that all of these traces cover: align them otherwise, or let "
                "each be silent outside its own time."
            )
        return begin_s, end_s, spans
    if spans == REPEAT:
        return first.begin_s, first.end_s, spans
    most_days = tables.setting("trace_most_days")
    if whole_s > most_days * SECONDS_PER_DAY:
        raise InputError(
            f"By their dates the traces lie {seconds(whole_s)} apart, end to end; at most "
            f"{seconds(most_days * SECONDS_PER_DAY)} are read. Align them by the hour of the week, "
            "or let all begin at one time."
        )
    return min(part.begin_s for part in parts), max(part.end_s for part in parts), spans


def _placed(
    part: _Part, begin_s: float, end_s: float, spans: str, tables: Tables
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64], str]:
    """Return the requests of a part in the window: when, which of its own, in which repetition."""
    arrival_s = part.trace.arrival_s
    index = np.arange(arrival_s.size, dtype=np.int64)
    covers = part.begin_s <= begin_s and part.end_s >= end_s
    if spans != REPEAT or covers:
        at_s = arrival_s + part.begin_s
        kept = np.flatnonzero((at_s >= begin_s) & (at_s <= end_s))
        return at_s[kept], index[kept], np.zeros(kept.size, dtype=np.int64), ""
    period_s = _period_s(part, tables)
    lost = int(np.count_nonzero(arrival_s >= period_s))
    whole = np.flatnonzero(arrival_s < period_s)
    first = math.floor((begin_s - part.begin_s) / period_s)
    last = math.floor((end_s - part.begin_s) / period_s)
    placed, bases, tiles = [], [], []
    for tile in range(first, last + 1):
        at_s = arrival_s[whole] + (part.begin_s + tile * period_s)
        kept = np.flatnonzero((at_s >= begin_s) & (at_s < end_s))
        placed.append(at_s[kept])
        bases.append(index[whole][kept])
        tiles.append(np.full(kept.size, tile - first, dtype=np.int64))
    sentence = (
        f"{part.name} is repeated every {seconds(period_s)} to cover {seconds(end_s - begin_s)}: "
        "what it would have been there is assumed."
    )
    if lost:
        sentence += f" Its {count(lost, 'request')} after that are left out."
    return np.concatenate(placed), np.concatenate(bases), np.concatenate(tiles), sentence


def _period_s(part: _Part, tables: Tables) -> float:
    """Return the whole weeks, else the whole days, that a trace covers all but a little of [s]."""
    slack = tables.setting("together_period_slack")
    for unit_s in (_WEEK_S, SECONDS_PER_DAY):
        whole = math.floor(part.trace.horizon_s / unit_s * (1.0 + slack))
        if whole:
            return float(whole * unit_s)
    raise InputError(
        f"{part.name} covers {seconds(part.trace.horizon_s)}: less than a day cannot be repeated "
        "by whole days. Take the common time, or let it be silent outside its own."
    )


def _about_align(align: str, parts: Sequence[_Part]) -> str:
    names = ", ".join(part.name for part in sorted(parts, key=lambda part: part.at))
    how = {
        CLOCK: "each request where its date puts it",
        WEEK: "moved by whole weeks, so that hours of the week lie on one another",
        START: "all beginning at one time, "
        + (
            "for not all of them have a date"
            if any(part.trace.t0_utc is None for part in parts)
            else "whatever their clocks say"
        ),
    }[align]
    return f"Added up: {names}; {how}."


def _about_spans(
    spans: str,
    parts: Sequence[_Part],
    begin_s: float,
    end_s: float,
    outside: dict[str, int],
) -> str:
    lasts = seconds(end_s - begin_s)
    if all((part.begin_s, part.end_s) == (begin_s, end_s) for part in parts):
        return f"All of them cover the same {lasts}."
    if spans == COMMON:
        lost = sum(outside.values())
        words = f"Only the {lasts} that all of them cover count"
        if lost:
            words += f"; {count(lost, 'request lies', 'requests lie')} outside"
        return f"{words}."
    if spans == SILENT:
        short = [part.name for part in parts if part.begin_s > begin_s or part.end_s < end_s]
        return (
            f"The {lasts} that any of them covers count; outside its own time a trace is taken to "
            f"have no requests{': ' + ', '.join(short) if short else ''}."
        )
    return f"The {lasts} of the longest trace count."


def _t0_utc(
    parts: Sequence[_Part], begin_s: float, align: str, longest: Trace
) -> dt.datetime | None:
    """Return when the window begins: of no date where clocks were put aside."""
    if align == START or longest.t0_utc is None:
        return None
    return longest.t0_utc + dt.timedelta(seconds=begin_s)


def _sessions(
    parts: Sequence[_Part], base: NDArray[np.int64], tile: NDArray[np.int64]
) -> NDArray[np.int32] | None:
    """Return session numbers, each of one trace and one repetition of it.

    A request of a trace without sessions is one of its own.
    """
    if all(part.trace.session_id is None for part in parts):
        return None
    numbers, first = [], 0
    for part in parts:
        own = part.trace.session_id
        size = part.trace.arrival_s.size
        number = np.arange(size, dtype=np.int64) if own is None else own.astype(np.int64)
        numbers.append(number + first)
        first += int(number.max()) + 1
    _, found = np.unique(np.concatenate(numbers)[base] + tile * first, return_inverse=True)
    return found.astype(np.int32)


def _prefixes(
    parts: Sequence[_Part], base: NDArray[np.int64]
) -> tuple[NDArray[np.int32] | None, NDArray[np.int32] | None]:
    """Return parents and shared tokens; a trace that does not know its prefixes shares nothing."""
    if all(part.trace.prefix_parent is None for part in parts):
        return None, None
    parents, shared, first = [], [], 0
    for part in parts:
        trace, size = part.trace, part.trace.arrival_s.size
        if trace.prefix_parent is None or trace.shared_tokens is None:
            parents.append(np.full(size, NONE, dtype=np.int32))
            shared.append(np.zeros(size, dtype=np.int32))
        else:
            own = trace.prefix_parent
            parents.append(np.where(own >= 0, own + first, NONE).astype(np.int32))
            shared.append(trace.shared_tokens)
        first += size
    return moved(np.concatenate(parents), np.concatenate(shared), base)


def _report(parts: Sequence[_Part], said: Sequence[str], outside: dict[str, int]) -> TraceReport:
    in_order = sorted(parts, key=lambda part: part.at)
    reports = [(part.name, part.trace.report) for part in in_order]
    dropped: dict[str, int] = {}
    for name, report in reports:
        dropped |= {f"{name}: {why}": number for why, number in report.dropped.items()}
    dropped |= outside
    buckets_s = [report.bucket_s for _, report in reports if report.bucket_s is not None]
    without = [part.name for part in in_order if part.trace.prefix_parent is None]
    prefixes = " ".join(dict.fromkeys(report.prefixes for _, report in reports if report.prefixes))
    if prefixes and without:
        prefixes += f" {', '.join(without)}: nothing is known, and nothing is shared."
    return TraceReport(
        format=", ".join(dict.fromkeys(report.format for _, report in reports)),
        time_unit=", ".join(dict.fromkeys(report.time_unit for _, report in reports)),
        rows_read=sum(report.rows_read for _, report in reports),
        kept=sum(report.kept for _, report in reports) - sum(outside.values()),
        dropped=dropped,
        assumed=(
            *said,
            *(f"{name}: {one}" for name, report in reports for one in report.assumed),
        ),
        notes=tuple(f"{name}: {one}" for name, report in reports for one in report.notes),
        bucket_s=max(buckets_s, default=None),
        zones=tuple(dict.fromkeys(zone for _, report in reports for zone in report.zones)),
        prefixes=prefixes,
    )


def _together(
    trace: Trace,
    names: tuple[str, ...],
    origin: NDArray[np.int8],
    align: str,
    spans: str,
    said: tuple[str, ...],
) -> Together:
    origin.setflags(write=False)
    digest = hashlib.sha256(trace.digest.encode())
    digest.update("\n".join(names).encode())
    digest.update(origin.tobytes())
    return Together(trace, names, origin, align, spans, said, digest.hexdigest())
