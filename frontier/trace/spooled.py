"""A data set of any size as a `Trace` whose columns lie on disk: read once, then block by block.

The files are Parquet, one or a folder of them, in order of time. Rows are recognised, counted and
dropped by the rules of `reading`; those that are kept are written as three plain columns, 16 bytes
a request, and are a `Trace` whose arrays are views of those files: what looks at all of them works,
and `pieces` gives them without having them all in memory.

Left out, and refused in a sentence, is what takes all rows at once to tell: rows that count
requests, clocks that begin anew, and prompts that say how they begin alike. Repeated request ids
are not looked for.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import math
import mmap
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from frontier import spell, units
from frontier.errors import InputError
from frontier.tables import Tables
from frontier.trace import (
    assembly,
    bucket_columns,
    buckets,
    checks,
    columns,
    rate_layouts,
    reading,
)
from frontier.trace.checks import Findings
from frontier.trace.decode import open_table
from frontier.trace.formats import Layout
from frontier.trace.model import Trace, TraceReport
from frontier.trace.paths import PathFilter
from frontier.trace.raw_table import Caps, Table, too_many_rows

Progress = Callable[[int, int], None]

PIECE = 1 << 20
_ARRIVAL, _PROMPT, _OUTPUT = "arrival_s", "prompt_tokens", "output_tokens"
_TYPES: dict[str, type] = {_ARRIVAL: np.float64, _PROMPT: np.int32, _OUTPUT: np.int32}
_ABOUT = "about.json"


@dataclass(frozen=True, slots=True, eq=False)
class SpooledTrace(Trace):
    """A trace whose columns are views of files.

    Attributes
    ----------
    tokens : int
        In and out, of all requests together.
    maps : tuple of mmap
        What the columns are views of.
    """

    tokens: int = 0
    maps: tuple[mmap.mmap, ...] = ()

    def pieces(self, ahead_s: float = 0.0) -> Iterator[tuple[NDArray[Any], ...]]:
        """Give the requests in pieces; see `Trace.pieces`."""
        size = self.arrival_s.size
        for first in range(0, size, PIECE):
            last = min(first + PIECE, size)
            if ahead_s > 0.0 and last < size:
                last = int(np.searchsorted(self.arrival_s, self.arrival_s[last - 1] + ahead_s,
                                           side="right"))  # fmt: skip
            yield self.slice(first, last)

    def slice(self, first: int, last: int) -> tuple[NDArray[Any], ...]:
        """Return arrivals, prompt and output tokens of some requests, in memory."""
        found = tuple(
            np.array(values[first:last])
            for values in (self.arrival_s, self.prompt_tokens, self.output_tokens)
        )
        self.forget()
        return found

    def forget(self) -> None:
        """Let go of the memory that what was looked at took: it is on disk."""
        _forget(self.maps)


def _forget(maps: Sequence[mmap.mmap]) -> None:
    for mapped in maps:
        if hasattr(mmap, "MADV_DONTNEED"):
            mapped.madvise(mmap.MADV_DONTNEED)


def files_of(place: Path) -> tuple[Path, ...]:
    """Return the Parquet files of a data set, in the order of their names, numbers by value.

    Raises
    ------
    InputError
        If there is none.
    """
    if place.is_file():
        return (place,)
    found = [path for path in place.rglob("*.parquet") if path.is_file()]
    if not found:
        raise InputError(f"'{place}' is no Parquet file and no folder of them.")

    def by_name(path: Path) -> list[tuple[int, str]]:
        parts = re.split(r"(\d+)", str(path.relative_to(place)))
        return [(int(part), "") if part.isdigit() else (0, part) for part in parts]

    return tuple(sorted(found, key=by_name))


def spool(
    place: Path,
    folder: Path,
    *,
    tables: Tables,
    name: str | None = None,
    time_unit: str | None = None,
    time_zone: str | None = None,
    model: str | None = None,
    told_columns: Mapping[str, str] | None = None,
    paths: Sequence[str] | None = None,
    both_zero: str | None = None,
    losses: str | None = None,
    rows_are: str | None = None,
    progress: Progress | None = None,
) -> SpooledTrace:
    """Read a data set into columns on disk; at once if they are there from before.

    Parameters
    ----------
    place : Path
        A Parquet file or a folder of them.
    folder : Path
        Where the columns are kept; 16 bytes a request.
    tables : Tables
        For the settings.
    name, time_unit, time_zone, model, told_columns, paths, both_zero, losses, rows_are
        As ``name`` to ``rows_are`` of `reading.read_trace`.
    progress : callable, optional
        Called with (done, all) rows; what it raises stops the reading.

    Raises
    ------
    TraceQuestion, UnknownFormat
        As for `reading.read_trace`.
    InputError
        If it cannot be read so; the message says why.
    """
    files = files_of(place)
    answers = (
        time_unit,
        time_zone,
        model,
        told_columns and dict(told_columns),
        paths,
        both_zero,
        losses,
    )
    stamps = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    of = hashlib.sha256(repr((stamps, answers, rows_are)).encode()).hexdigest()
    label = name or place.name
    if (kept := _kept(folder, of, label)) is not None:
        return kept
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _ABOUT).unlink(missing_ok=True)
    told = _Told(time_unit, time_zone, model, told_columns, paths, both_zero, losses, rows_are)
    with _Writer(folder) as writer:
        found = _Reading(files, told, writer, tables, progress)
        about = found.read()
    return _finished(folder, of, label, about)


@dataclass(frozen=True, slots=True)
class _Told:
    time_unit: str | None
    time_zone: str | None
    model: str | None
    columns: Mapping[str, str] | None
    paths: Sequence[str] | None
    both_zero: str | None
    losses: str | None
    rows_are: str | None


class _Writer:
    """The three columns, as they are written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[str, BinaryIO] = {}
        self.size = 0

    def __enter__(self) -> _Writer:
        self._open = {name: self.path(name).open("wb") for name in _TYPES}
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._open.values():
            file.close()

    def path(self, name: str) -> Path:
        return self._folder / f"{name}.bin"

    def write(self, rows: Sequence[NDArray[Any]]) -> None:
        for (name, kind), values in zip(_TYPES.items(), rows, strict=True):
            self._open[name].write(np.ascontiguousarray(values, kind).data)
        self.size += int(rows[0].size)

    def views(self) -> tuple[dict[str, NDArray[Any]], tuple[mmap.mmap, ...]]:
        """Return the columns that were written, to be changed in place."""
        for file in self._open.values():
            file.flush()
        return _views(self._folder, mmap.ACCESS_WRITE)


class _InOrder:
    """Puts rows in order of time that are out of it by less than some rows, and refuses others."""

    def __init__(self, writer: _Writer) -> None:
        self._writer = writer
        self._held: list[NDArray[Any]] = [np.zeros(0, kind) for kind in _TYPES.values()]
        self._written = self._latest = -math.inf
        self.late, self.fall, self.first_s = 0, 0.0, math.nan

    def take(self, rows: Sequence[NDArray[Any]], file: Path) -> None:
        time = rows[0]
        if not time.size:
            return
        if time.min() < self._written:
            raise InputError(
                f"'{file.name}' holds requests that came before others that were read already, and "
                "not just a few rows late. Files of a data set follow one another in time, in the "
                "order of their names: sort it by time first."
            )
        latest = np.maximum(np.maximum.accumulate(time), self._latest)
        self.late += int(np.count_nonzero(time < latest))
        self.fall = max(self.fall, float((latest - time).max()))
        self._latest = float(latest[-1])
        held = [np.concatenate(pair) for pair in zip(self._held, rows, strict=True)]
        self._held = held
        if held[0].size >= 2 * PIECE:
            self._let_go(held[0].size - PIECE)

    def end(self) -> None:
        self._let_go(self._held[0].size)

    def _let_go(self, number: int) -> None:
        held = self._held
        if np.any(held[0][1:] < held[0][:-1]):
            order = np.argsort(held[0], kind="stable")
            held = [values[order] for values in held]
        if number:
            if math.isnan(self.first_s):
                self.first_s = float(held[0][0])
            self._writer.write([values[:number] for values in held])
            self._written = float(held[0][number - 1])
        self._held = [values[number:] for values in held]


class _Reading:
    """One pass over the files, and what was found in it."""

    def __init__(
        self,
        files: Sequence[Path],
        told: _Told,
        writer: _Writer,
        tables: Tables,
        progress: Progress | None,
    ) -> None:
        self._files, self._told, self._writer = files, told, writer
        self._tables, self._progress = tables, progress
        self._findings = Findings()
        self._clock = columns.Clock(place=told.time_zone, tables=tables)
        self._examples: dict[str, str] = {}
        self._models, self._of_models = columns.Codes(), np.zeros(0, np.int64)
        self._read = self._kept = 0
        self._caps = Caps(
            rows=int(tables.setting("blocks_max_rows")),
            bytes=2**62,
            document_bytes=int(tables.setting("trace_document_max_bytes")),
            line_bytes=int(tables.setting("trace_log_line_bytes")),
            record_bytes=int(tables.setting("trace_record_bytes")),
            columns=int(tables.setting("trace_most_columns")),
            bad_rows=int(tables.setting("trace_most_bad_rows")),
        )
        self._layout: Layout | None = None
        self._web = PathFilter.of(told.paths, int(tables.setting("trace_most_paths")))

    def read(self) -> dict[str, Any]:
        from pyarrow import ArrowInvalid, parquet

        try:
            rows = sum(parquet.read_metadata(path).num_rows for path in self._files)
        except (ArrowInvalid, OSError) as error:
            raise InputError(f"A file of the data set is damaged: {error}") from error
        if rows > self._caps.rows:
            raise too_many_rows(self._caps.rows)
        order = _InOrder(self._writer)
        for path in self._files:
            with open_table(path, self._caps) as table:
                layout = self._layout_of(table, path)
                for batch in table.batches(layout.columns()):
                    if batch.rows:
                        order.take(self._rows_of(batch, table, layout), path)
                    if self._progress is not None:
                        self._progress(self._read, rows)
        order.end()
        return self._about(order)

    def _layout_of(self, table: Table, path: Path) -> Layout:
        told = self._told.columns
        if table.kind != "Parquet":
            raise InputError(f"'{path.name}' is {table.kind}; a data set is read from Parquet.")
        if told is None and (
            rate_layouts.recognise(table) is not None
            or bucket_columns.recognise(table, needs_tokens=True) is not None
        ):
            raise InputError("Rows that count requests are not read in blocks: they are few.")
        layout, counting = reading._layout(table, told)
        alone = {
            "counts requests": counting is not None,
            "has a clock that begins anew in every session": layout.session_clock,
            "has dates in the names of its sessions": layout.session_epoch_ms,
            f"says in '{layout.blocks or layout.cached}' which prompts begin alike": bool(
                layout.blocks or layout.cached
            ),
        }
        if why := [what for what, holds in alone.items() if holds]:
            raise InputError(
                f"The data set {why[0]}, which takes all rows at once. Say with --columns which "
                "columns are time, prompt_tokens and output_tokens, and others are not looked at."
            )
        if self._layout is not None and layout.columns() != self._layout.columns():
            raise InputError(
                f"'{path.name}' has other columns than '{self._files[0].name}': a data set has the "
                "same in all files."
            )
        self._layout = self._layout or layout
        return self._layout

    def _rows_of(self, batch: Any, table: Table, layout: Layout) -> list[NDArray[Any]]:
        self._read += batch.rows
        keep, time, prompt, output, _ = reading._cells(
            batch, table, layout, self._clock, False, self._told.both_zero, self._findings,
            self._examples, self._web,
        )  # fmt: skip
        if layout.model is not None:
            codes = self._models.of(batch.columns[layout.model])
            found = np.bincount(codes[keep & (codes >= 0)], minlength=len(self._models.names))
            found[: self._of_models.size] += self._of_models
            self._of_models = found
            if self._told.model not in (None, "all"):
                other = keep & (codes != self._models.names.get(str(self._told.model), -2))
                if number := int(np.count_nonzero(other)):
                    self._findings.dropped["requests to other models"] += number
                    keep &= ~other
        self._kept += int(np.count_nonzero(keep))
        return [values[keep] for values in (time, prompt, output)]

    def _about(self, order: _InOrder) -> dict[str, Any]:
        """Decide what takes all rows, bring the columns in their units, and say what was done."""
        findings, tables, clock, told = self._findings, self._tables, self._clock, self._told
        layout = self._layout
        assert layout is not None
        reading._check_times(
            clock, layout.time, findings, self._read, self._kept, self._examples, tables
        )
        shown = int(tables.setting("trace_shown_paths"))
        self._web.check(shown)
        findings.notes.extend(self._web.sentences(shown))
        if len(self._models.names) > 1:
            each = np.arange(len(self._models.names), dtype=np.int32)
            checks.model_of(each, self._models, told.model, tables, self._of_models.astype(float))
            if told.model == "all":
                findings.assumed.append(
                    f"{len(self._models.names)} models are taken together as one deployment."
                )
        assembly.check_losses(self._read, findings, told.losses, told.both_zero, tables)
        views, maps = self._writer.views()
        time = views[_ARRIVAL]
        unit, is_dated = checks.unit_of(
            clock,
            time,
            known=layout.clock,
            usual=layout.usual_unit,
            told=told.time_unit,
            column=layout.time,
            findings=findings,
            tables=tables,
        )
        factor = 1.0 if clock.is_date else checks.TIME_UNITS[unit].seconds
        self._check_order(order, factor, is_dated)
        first_s = order.first_s * factor
        missing, zero = np.zeros(2, np.int64), 0
        fill = [int(tables.setting(f"trace_default_{what}_tokens")) for what in _WHAT]
        tokens, gap_s, before_s = 0, 0.0, 0.0
        for begin in range(0, time.size, PIECE):
            of = slice(begin, begin + PIECE)
            time[of] = np.rint((time[of] * factor - first_s) * checks.NS_PER_S) / checks.NS_PER_S
            gap_s = max(gap_s, float(np.diff(time[of], prepend=before_s).max()))
            before_s = float(time[of][-1])
            for at, name in enumerate((_PROMPT, _OUTPUT)):
                values = views[name][of]
                is_missing = values == columns.MISSING
                missing[at] += np.count_nonzero(is_missing)
                values[is_missing] = fill[at]
                if name == _OUTPUT:
                    zero += int(np.count_nonzero(values == 0))
                    np.maximum(values, 1, out=values)
                tokens += int(values.sum(dtype=np.int64))
            _forget(maps)
            if not begin:
                self._check_rows(time, views, of, is_dated, clock, unit, first_s)
        if not time[-1] > 0:
            raise checks.one_time(time.size)
        checks.check_span(float(time[-1]), tables)
        far_s = tables.setting("trace_far_gap_days") * units.SECONDS_PER_DAY
        if gap_s > far_s and gap_s > 0.5 * float(time[-1]):
            raise InputError(
                f"For {spell.seconds(gap_s)} of {spell.seconds(float(time[-1]))} there is no "
                "request: a few rows lie far from all others. Leave out those on one side."
            )
        self._say(missing.tolist(), fill, zero, layout, is_dated, float(time[-1]))
        resolution_s = checks.resolution_of(time)
        if _is_lattice(time, tables):
            findings.notes.append(
                f"Times are rounded to {spell.seconds(resolution_s)}: requests of one instant come "
                "at once. Read in one piece they would be spread over it."
            )
        digest = hashlib.sha256()
        for mapped in maps:
            _digest(digest, mapped)
        digest.update(np.float64(time[-1]).tobytes())
        t0 = checks.date_of(checks.origin_of(clock, unit) + first_s) if is_dated else None
        about = {
            "requests": int(time.size),
            "tokens": tokens,
            "horizon_s": float(time[-1]),
            "t0_utc": None if t0 is None else t0.isoformat(),
            "resolution_s": resolution_s,
            "digest": digest.hexdigest(),
            "report": {
                "format": layout.format,
                "time_unit": unit,
                "rows_read": self._read,
                "kept": int(time.size),
                "dropped": dict(findings.dropped),
                "assumed": findings.assumed,
                "notes": findings.notes,
                "zones": list(clock.zones),
            },
        }
        del time, views
        return about

    def _check_order(self, order: _InOrder, factor: float, is_dated: bool) -> None:
        """Refuse a clock that was set back, which is asked about where all rows are at hand."""
        fall_s = order.fall * factor
        long_s = self._tables.setting("trace_clock_reset_s")
        # An hour, but for the gap between two requests.
        set_back = is_dated and not self._clock.has_zone and self._clock.is_date
        if fall_s >= long_s * (0.9 if set_back else 1.0) and (set_back or not is_dated):
            raise InputError(
                f"Time goes back by {spell.seconds(fall_s)} somewhere in the data set: a second "
                "log, or a clock that was set back. In blocks only rows that are a little late are "
                "put in order: write times with their zone, or sort it."
            )
        if order.late:
            rows = "row was" if order.late == 1 else "rows were"
            self._findings.notes.append(f"{order.late:,} {rows} out of order and sorted by time.")

    def _check_rows(
        self,
        time: NDArray[np.float64],
        views: Mapping[str, NDArray[Any]],
        of: slice,
        is_dated: bool,
        clock: columns.Clock,
        unit: str,
        first_s: float,
    ) -> None:
        """Ask whether rows are requests, by the first of them."""
        with open_table(self._files[0], self._caps) as table:
            buckets.check_requests(
                table,
                np.array(time[of]),
                views[_PROMPT][of].astype(np.int64) + views[_OUTPUT][of],
                checks.origin_of(clock, unit) + first_s if is_dated else None,
                self._told.rows_are,
                self._tables,
            )

    def _say(
        self,
        missing: list[int],
        fill: list[int],
        zero: int,
        layout: Layout,
        is_dated: bool,
        span_s: float,
    ) -> None:
        findings, tables = self._findings, self._tables
        if missing == [self._kept] * 2:
            findings.assumed.append(
                f"No token counts: using {fill[0]:,} in / {fill[1]:,} out for all requests."
            )
        else:
            for number, what, default in zip(missing, _WHAT, fill, strict=True):
                if number:
                    has = "request has" if number == 1 else "requests have"
                    findings.assumed.append(
                        f"{number:,} {has} no {what} tokens: {default:,} assumed."
                    )
        if zero:
            findings.notes.append(
                f"{spell.count(zero, 'request')} with 0 output tokens (failed or cancelled) still "
                "wake the model and count with 1."
            )
        if layout.request_id is not None:
            findings.assumed.append(
                f"No request is there twice: '{layout.request_id}' is not looked at in blocks."
            )
        findings.notes.extend(layout.notes)
        findings.notes.extend(assembly.length_notes(span_s, tables))
        findings.notes.extend(checks.zone_notes(is_dated, self._clock))


_WHAT = ("prompt", "output")


def _is_lattice(time: NDArray[np.float64], tables: Tables) -> bool:
    """Return whether times are rounded so much that most requests have the time of another."""
    moves = sum(
        int(np.count_nonzero(np.diff(time[max(0, begin - 1) : begin + PIECE]) > 0))
        for begin in range(0, time.size, PIECE)
    )
    gaps = time.size - 1
    return gaps - moves >= tables.setting("trace_zero_gap_share") * gaps and (
        moves + 1 <= tables.setting("trace_distinct_share") * time.size
    )


def _digest(digest: Any, mapped: mmap.mmap) -> None:
    view = memoryview(mapped)
    step = PIECE * 8
    for begin in range(0, len(view), step):
        digest.update(view[begin : begin + step])
        _forget([mapped])
    view.release()


def _views(folder: Path, access: int) -> tuple[dict[str, NDArray[Any]], tuple[mmap.mmap, ...]]:
    maps = []
    for name in _TYPES:
        with (folder / f"{name}.bin").open("r+b") as file:
            maps.append(mmap.mmap(file.fileno(), 0, access=access))
    found: dict[str, NDArray[Any]] = {
        name: np.frombuffer(mapped, kind)
        for (name, kind), mapped in zip(_TYPES.items(), maps, strict=True)
    }
    return found, tuple(maps)


def _kept(folder: Path, of: str, label: str) -> SpooledTrace | None:
    try:
        about = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
        sizes = [(folder / f"{name}.bin").stat().st_size for name in _TYPES]
    except (OSError, ValueError):
        return None
    whole = [np.dtype(kind).itemsize * about.get("requests", -1) for kind in _TYPES.values()]
    return _trace(folder, label, about) if about.get("of") == of and sizes == whole else None


def _finished(folder: Path, of: str, label: str, about: dict[str, Any]) -> SpooledTrace:
    about["of"] = of
    beside = folder / f"{_ABOUT}.new"
    beside.write_text(json.dumps(about), encoding="utf-8")
    beside.replace(folder / _ABOUT)
    return _trace(folder, label, about)


def _trace(folder: Path, label: str, about: Mapping[str, Any]) -> SpooledTrace:
    views, maps = _views(folder, mmap.ACCESS_READ)
    told = about["report"]
    lists = ("assumed", "notes", "zones")
    report = TraceReport(**(told | {name: tuple(told[name]) for name in lists}))
    t0 = about["t0_utc"]
    found: SpooledTrace = SpooledTrace(
        name=label,
        arrival_s=views[_ARRIVAL],
        prompt_tokens=views[_PROMPT],
        output_tokens=views[_OUTPUT],
        span_s=about["horizon_s"],
        horizon_s=about["horizon_s"],
        t0_utc=None if t0 is None else dt.datetime.fromisoformat(t0),
        resolution_s=about["resolution_s"],
        session_id=None,
        digest=about["digest"],
        report=report,
        tokens=about["tokens"],
        maps=maps,
    )
    found.forget()
    return found
