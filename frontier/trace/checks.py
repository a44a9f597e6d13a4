"""What can be wrong with times, and what is done about it: told, mended, or asked.

The rules are those a careful person would follow with the file open: nothing is sorted, shifted
or spread without a sentence that says so, and where two readings are possible a `TraceQuestion`
shows both in the file's own numbers.
"""

from __future__ import annotations

import datetime as dt
import itertools
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from frontier import spell, units
from frontier.errors import InputError
from frontier.tables import Tables
from frontier.trace.columns import Clock, Codes
from frontier.trace.formats import fold, listed
from frontier.trace.model import TraceQuestion

NS_PER_S = 1e9


@dataclass(frozen=True, slots=True)
class TimeUnit:
    """What a number in a time column may count.

    Attributes
    ----------
    seconds : float
        Of one [s].
    words : str
        Its name, in a sentence.
    since_s : float
        From when its dates are counted [s since 1970].
    """

    seconds: float
    words: str
    since_s: float = 0.0


_DAY, _HOUR = units.SECONDS_PER_DAY, units.SECONDS_PER_HOUR
TIME_UNITS = {
    "s": TimeUnit(1.0, "seconds"),
    "ms": TimeUnit(1e-3, "milliseconds"),
    "us": TimeUnit(1e-6, "microseconds"),
    "ns": TimeUnit(1e-9, "nanoseconds"),
    # Since 1899-12-30.
    "days": TimeUnit(_DAY, "days (a spreadsheet's numbers for dates)", -25_569 * _DAY),
    "days1970": TimeUnit(_DAY, "days since 1970"),
    "julian": TimeUnit(_DAY, "Julian days", -2_440_587.5 * _DAY),
    "mjd": TimeUnit(_DAY, "modified Julian days", -40_587 * _DAY),
    "hours": TimeUnit(_HOUR, "hours since 1970"),
    "minutes": TimeUnit(60.0, "minutes since 1970"),
    "ds": TimeUnit(0.1, "tenths of a second since 1970"),
    "cs": TimeUnit(0.01, "hundredths of a second since 1970"),
    "100ns": TimeUnit(1e-7, "steps of 100 ns since 1970"),
    # Since the years 1601 and 1.
    "filetime": TimeUnit(1e-7, "Windows file times", -11_644_473_600.0),
    "ticks": TimeUnit(1e-7, ".NET ticks", -62_135_596_800.0),
}
"""What numbers in a time column may count, by its name among the answers to a question."""
_SHEET = "days"
# Found by their size alone, or by more than it; the others are found by the years they would mean.
_FOUND_OTHERWISE = ("s", "ms", "us", "ns", _SHEET)
# A whole number of this size counts parts of a second: seconds would be of geology.
_NO_SECONDS = 1e16
# Numbers of this size count from 1970: a second of today is about 1.7e9 s.
_EPOCHS = {"s": (1e9, 1e10), "ms": (1e12, 1e13), "us": (1e15, 1e16), "ns": (1e18, 1e19)}
# Days of a spreadsheet: 1982 to 2064.
_SHEET_DAYS = (30_000, 60_000)
# Years of traffic that may be read: a number that is a date in one of them is no coincidence.
_CALENDAR = (2015, 2050)
_CALENDAR_S = tuple(dt.datetime(year, 1, 1, tzinfo=dt.UTC).timestamp() for year in _CALENDAR)
_RESOLUTIONS_S = (3600.0, 60.0, 1.0, 0.1, 0.01, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7)
_FEW, _PIECE = 1000, 1 << 20


@dataclass(slots=True)
class Findings:
    """What was found while reading, gathered for the report."""

    dropped: Counter[str] = field(default_factory=Counter)
    assumed: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def reasons(self) -> str:
        """Return how many rows were dropped, by reason, in one line."""
        return "; ".join(f"{count:,} {why}" for why, count in self.dropped.items() if count)


def unit_of(
    clock: Clock,
    offsets: NDArray[np.float64],
    *,
    known: str,
    usual: str | None,
    told: str | None,
    column: str,
    findings: Findings,
    tables: Tables,
) -> tuple[str, bool]:
    """Return the unit of numbers in a time column, and whether they count from a fixed date.

    Parameters
    ----------
    clock : Clock
        What the column was found to hold.
    offsets : ndarray, shape (n,)
        Times after the first, in the unit in question.
    known, usual : str
        What the format says of the unit: "find" if nothing, and what it usually is.
    told : str or None
        The user's answer.
    column : str
        Name of the column, for the question.
    findings : Findings
        Takes a sentence where a unit was assumed.
    tables : Tables
        For the settings.

    Raises
    ------
    TraceQuestion
        If seconds and milliseconds (or days) are both possible.
    """
    if told is not None and told not in TIME_UNITS:
        raise InputError(f"Times can be in {', '.join(TIME_UNITS)}; found '{told}'.")
    if clock.is_date:
        return "date and time", True
    first = float(clock.origin or 0)
    epoch = _epoch_of(first) or _epoch_beyond_a_gap(clock, offsets)
    if epoch is not None and told is None:
        _refuse_two_epochs(clock, epoch, column)
    if told is not None:
        return told, told == epoch or told not in ("s", "ms", "us", "ns")
    if known != "find":
        return known, known == epoch
    if epoch is not None:
        return epoch, True
    _refuse_calendar_numbers(clock, column)
    span = float(offsets.max() - offsets.min())
    dated = _dated_in(clock, span, tables)
    if dated and clock.smallest >= _NO_SECONDS:
        findings.assumed.append(
            f"Numbers in '{column}' are read as {TIME_UNITS[dated[0]].words}: "
            f"{_reading(offsets.size, span * TIME_UNITS[dated[0]].seconds)}."
        )
        return dated[0], True
    looks_like_sheet = (
        not clock.whole
        and _SHEET_DAYS[0] <= first < _SHEET_DAYS[1]
        and span < tables.setting("trace_sheet_days")
    )
    if dated:
        candidates = ("s", *((_SHEET,) if looks_like_sheet else ()), *dated)
        raise _unit_question(candidates, offsets.size, span, column)
    if not looks_like_sheet and not clock.whole and span < tables.setting("trace_fraction_span"):
        return "s", False
    if looks_like_sheet and _is_sheet(clock, offsets):
        findings.assumed.append(
            f"Numbers in '{column}' are read as a spreadsheet's dates: they are whole milliseconds."
        )
        return _SHEET, True
    may_be_days = (
        clock.whole and _SHEET_DAYS[0] <= first and clock.largest < _SHEET_DAYS[1]
    ) and span < tables.setting("trace_sheet_days")
    if usual == "s" and not looks_like_sheet and not may_be_days:
        findings.assumed.append(
            f"Numbers in '{column}' are read as seconds: {_reading(offsets.size, span)}."
        )
        return "s", False
    _refuse_parts_of_dates(clock, column)
    steps = np.diff(offsets)
    steps = steps[steps > 0]
    coarse = steps.size > 0 and (
        np.median(steps) >= tables.setting("trace_ms_step")
        or span >= tables.setting("trace_ms_span")
    )
    if usual is not None and clock.whole and coarse:
        return usual, False
    candidates = ("s", _SHEET) if looks_like_sheet or may_be_days else ("s", "ms")
    raise _unit_question(candidates, offsets.size, span, column)


def _unit_question(
    candidates: Sequence[str], requests: int, span: float, column: str
) -> TraceQuestion:
    words = {unit: TIME_UNITS[unit].words for unit in candidates}
    readings = {unit: _reading(requests, span * TIME_UNITS[unit].seconds) for unit in candidates}
    return TraceQuestion(
        f"Is '{column}' in "
        + " or ".join(f"{words[unit]} ({text})" for unit, text in readings.items())
        + "?",
        "time_unit",
        tuple((unit, f"{words[unit]}: {text}") for unit, text in readings.items()),
    )


def _dated_in(clock: Clock, span: float, tables: Tables) -> tuple[str, ...]:
    """Return the rarer units in which all numbers would be dates of these years, close together."""
    most_s = tables.setting("trace_sheet_days") * units.SECONDS_PER_DAY
    found = []
    for name, unit in TIME_UNITS.items():
        if name in _FOUND_OTHERWISE or span * unit.seconds >= most_s:
            continue
        dates_s = (at * unit.seconds + unit.since_s for at in (clock.smallest, clock.largest))
        if all(_CALENDAR_S[0] <= date_s < _CALENDAR_S[1] for date_s in dates_s):
            found.append(name)
    return tuple(found)


def unit_in_words(units: str) -> str:
    """Return what a report says of how times were written, in words; of several traces too."""
    names = units.split(", ")
    return ", ".join(TIME_UNITS[name].words if name in TIME_UNITS else name for name in names)


def _epoch_of(number: float) -> str | None:
    return next((unit for unit, (low, high) in _EPOCHS.items() if low <= number < high), None)


def _epoch_beyond_a_gap(clock: Clock, offsets: NDArray[np.float64]) -> str | None:
    """Return the unit of dates of which a few lack theirs: beside times of 0 the others tell it.

    None unless one gap is longer than all that lies beyond it, and most rows do: times of 0 to an
    hour in microseconds are numbers such as seconds since 1970 are.
    """
    if _epoch_of(clock.largest) is None:
        return None
    numbers = np.sort(offsets)
    gaps = np.diff(numbers)
    at = int(np.argmax(gaps)) if gaps.size else 0
    beyond = numbers[at + 1 :]
    if beyond.size <= at + 1 or gaps[at] <= 0.5 * (numbers[-1] - numbers[0]):
        return None
    first, last = (_epoch_of(float(clock.origin or 0) + float(beyond[end])) for end in (0, -1))
    return first if first == last else None


def _refuse_calendar_numbers(clock: Clock, column: str) -> None:
    """Refuse dates written as one number, 20260302100000: as seconds they are a century apart."""
    if not clock.whole:
        return
    dates = [_calendar_of(f"{number:.0f}") for number in (clock.smallest, clock.largest)]
    if dates[0] is not None and dates[1] is not None:
        raise InputError(
            f"Numbers in '{column}', such as {clock.smallest:.0f}, look like dates written as one "
            f"number ({dates[0]:%Y-%m-%d %H:%M:%S}). Write them so, or say which unit they are in."
        )


_PARTS = re.compile(
    r"(?:(?:hour|minute|day|week|month)s?|hr|weekday|yearweek|yearmonth|period|kw|stunde|tag|woche|"
    r"monat|heure|jour|semaine|mois)(?:of(?:the)?(?:hour|day|week|month|year))?"
)


def _refuse_parts_of_dates(clock: Clock, column: str) -> None:
    """Refuse hours, days, weeks or months that are only numbered: neither seconds nor dates."""
    if clock.whole and _PARTS.fullmatch(fold(column)):
        raise InputError(
            f"'{column}' holds numbers from {clock.smallest:.0f} to {clock.largest:.0f} and no "
            "dates. Give each row its date, such as 2026-03-30 02:00 (or 2026-W14 for a week), or "
            "choose a unit if they count from a start."
        )


def refuse_weeks_as_months(clock: Clock, column: str) -> None:
    """Refuse 2026-05 in a column of weeks: it would be read as May."""
    if clock.month and re.search("week|woche|semaine|semana|kw", fold(column)):
        raise InputError(
            f"'{column}' holds '{clock.month}', a month by its form and a week by its name. Write "
            "weeks as 2026-W05, or the date on which each begins."
        )


def _calendar_of(digits: str) -> dt.datetime | None:
    form = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}.get(len(digits))
    try:
        found = None if form is None else dt.datetime.strptime(digits, form)
    except ValueError:
        return None
    return found if found is not None and _CALENDAR[0] <= found.year < _CALENDAR[1] else None


def _refuse_two_epochs(clock: Clock, epoch: str, column: str) -> None:
    epoch_words = TIME_UNITS[epoch].words
    for number in (clock.smallest, clock.largest):
        other = _epoch_of(number)
        if other is not None and other != epoch:
            raise InputError(
                f"Times in '{column}' mix {epoch_words} and {TIME_UNITS[other].words} since "
                f"1970, such as {number:.0f}. Write them all in one unit."
            )


def _is_sheet(clock: Clock, offsets: NDArray[np.float64]) -> bool:
    """Return whether numbers are whole milliseconds as days and no decimal fraction of seconds."""
    few = float(clock.origin or 0) + offsets[:: max(1, offsets.size // _FEW)]
    ms = few * units.SECONDS_PER_DAY * 1e3
    # A double of 45,000 days tells times to about a microsecond.
    is_whole = np.abs(ms - np.rint(ms)) < 0.02
    is_decimal = np.abs(few * 1e6 - np.rint(few * 1e6)) < 1e-3
    return bool(is_whole.all() and not is_decimal.all())


def origin_of(clock: Clock, unit: str) -> float:
    """Return the date of offset 0 [s since 1970]."""
    if clock.is_date:
        return int(clock.origin or 0) / NS_PER_S
    return float(clock.origin or 0) * TIME_UNITS[unit].seconds + TIME_UNITS[unit].since_s


def zone_notes(has_date: bool, clock: Clock) -> list[str]:
    """Return what to know about the dates of a file: whether there are any, and their zone."""
    if not has_date:
        return ["No dates in the file: the hours of day are not known."]
    notes = [f"{clock.week}."] if clock.week else []
    if clock.is_date and not clock.has_zone:
        return [*notes, "No time zone in the file; hours of day are read as UTC."]
    if others := [zone for zone in clock.zones if zone != "UTC"]:
        notes.append(f"Times in the file are in {listed(others)}; all pages show them in UTC.")
    if clock.is_partly_zoned:
        notes.append("Some times in the file name no zone; those are read as UTC.")
    return notes


def model_of(
    present: NDArray[np.int32],
    models: Codes,
    told: str | None,
    tables: Tables,
    weight: NDArray[np.float64] | None = None,
) -> int | None:
    """Return the number of the model to keep, None for all of them together.

    Parameters
    ----------
    present : ndarray of int32, shape (n,)
        The model of each row.
    models : Codes
        Their names.
    told : str or None
        The user's answer: a name, or "all".
    tables : Tables
        For the settings.
    weight : ndarray of float64, shape (n,), optional
        Requests of each row; 1 unless given.

    Raises
    ------
    TraceQuestion
        If nothing was told.
    """
    if told == "all":
        return None
    if told is not None:
        if told not in models.names:
            raise InputError(
                f"There is no model '{told}' in the file; there are {listed(tuple(models.names))}."
            )
        return models.names[told]
    named = present >= 0
    number = np.bincount(
        present[named],
        weights=None if weight is None else weight[named],
        minlength=len(models.names),
    )
    names = list(models.names)
    most = np.argsort(-number, kind="stable")[: int(tables.setting("trace_most_models"))]
    raise TraceQuestion(
        f"{len(names):,} models in the file; each needs its own deployment. Which one?",
        "model",
        (
            *((names[i], f"{names[i]}: {spell.count(int(number[i]), 'request')}") for i in most),
            ("all", "All of them, as if they were one deployment"),
        ),
    )


def date_of(seconds: float) -> dt.datetime:
    """Return the date of a moment [s since 1970].

    Raises
    ------
    InputError
        If it lies beyond any calendar, as times in a wrong unit do.
    """
    try:
        return dt.datetime.fromtimestamp(seconds, dt.UTC)
    except (ValueError, OverflowError, OSError):
        years = seconds / units.SECONDS_PER_DAY / 365.25
        raise InputError(
            f"The times lie {spell.significant(years)} years after 1970. Is their unit right?"
        ) from None


def _reading(requests: int, span_s: float) -> str:
    rate = spell.rate(requests / span_s) if span_s else "all at one time"
    return f"{rate} over {spell.seconds(span_s)}"


def in_order(
    time_s: NDArray[np.float64],
    *,
    has_date: bool,
    has_zone: bool,
    answer: str | None,
    zero_s: NDArray[np.float64] | None,
    row_of: Callable[[int], int],
    findings: Findings,
    tables: Tables,
) -> tuple[NDArray[np.float64], NDArray[np.intp] | slice]:
    """Return times in order and the rows they belong to.

    Dates are sorted, whatever their order. A clock that counts from the start of a log and jumps
    back means a second log in the same file: to sort would lay one on the other, so it is asked.

    Parameters
    ----------
    time_s : ndarray, shape (n,)
        Times in the order of the file [s].
    has_date, has_zone : bool
        Whether times are dates, and whether those name their zone.
    answer : str or None
        The user's answer to the question: "sequence", "overlay", "part1" …, "dst" or "sort".
    zero_s : ndarray, shape (n,), optional
        Date of time 0 [s since 1970] by each row, where another column tells it.
    row_of : callable
        Row of the file, by index.
    findings : Findings
        Takes the sentences and the rows left out.
    tables : Tables
        For the settings.

    Raises
    ------
    TraceQuestion
        If the clock was reset, or set back by an hour.
    """
    steps = np.diff(time_s)
    back = np.flatnonzero(steps < 0)
    if not back.size:
        return time_s, slice(None)
    if not (steps > 0).any() or back.size > 0.5 * np.count_nonzero(steps):
        turned, rest = time_s[::-1], np.diff(time_s[::-1])
        # A shuffled file has as many steps forward as back; one that is turned round has few.
        if np.count_nonzero(rest < 0) <= 0.01 * rest.size:
            findings.notes.append("The file lists the newest request first; it was turned round.")
            order = np.argsort(turned, kind="stable")
            return turned[order], (time_s.size - 1) - order
    if not has_date:
        starts = _restarts(time_s, back, tables)
        if len(starts) > 1:
            return _join(time_s, starts, answer, zero_s, row_of, findings, tables)
    elif not has_zone and back.size == 1 and 0.9 <= -steps[back[0]] / 3600 <= 1.0:
        at = int(back[0]) + 1
        if answer == "dst":
            shifted = time_s.copy()
            shifted[at:] += units.SECONDS_PER_HOUR
            findings.notes.append(
                f"Row {row_of(at):,}: the clock was set back by an hour (end of summer time); "
                "the rows after it were moved on by an hour."
            )
            return shifted, slice(None)
        if answer != "sort":
            raise TraceQuestion(
                f"Row {row_of(at):,}: time goes back by {spell.seconds(-steps[back[0]])}. Was the "
                "clock set back at the end of summer time?",
                "on_clock_reset",
                (
                    ("dst", "Yes: move the rows after it on by an hour"),
                    ("sort", "No: the rows are only out of order, sort them"),
                ),
            )
    late = int(np.count_nonzero(time_s < np.maximum.accumulate(time_s)))
    verb = "row was" if late == 1 else "rows were"
    findings.notes.append(f"{late:,} {verb} out of order and sorted by time.")
    order = np.argsort(time_s, kind="stable")
    return time_s[order], order


def _restarts(
    time_s: NDArray[np.float64], back: NDArray[np.intp], tables: Tables
) -> NDArray[np.intp]:
    """Return where each log begins: steps back that are long, or that reach a log's start.

    A short log counts as one only if times stay below its end for some rows, so that a single
    late row is not taken for a log.
    """
    long_s, share = tables.setting("trace_clock_reset_s"), tables.setting("trace_reset_share")
    rows = int(tables.setting("trace_reset_rows"))
    starts, begin, reached = [0], 0, -np.inf
    for index in back:
        at = int(index) + 1
        reached = max(reached, time_s[index])
        fall, run = reached - time_s[at], reached - time_s[begin]
        lasting = at - begin >= rows and time_s[at : at + rows].max() <= reached
        if fall >= long_s or (lasting and fall > share * run):
            starts.append(at)
            begin, reached = at, -np.inf
    return np.array(starts)


def _join(
    time_s: NDArray[np.float64],
    starts: NDArray[np.intp],
    answer: str | None,
    zero_s: NDArray[np.float64] | None,
    row_of: Callable[[int], int],
    findings: Findings,
    tables: Tables,
) -> tuple[NDArray[np.float64], NDArray[np.intp] | slice]:
    ends = [*starts[1:], time_s.size]
    parts = [slice(int(start), int(end)) for start, end in zip(starts, ends, strict=True)]
    if answer == "overlay":
        findings.notes.append(f"{len(parts)} logs in the file were laid over one another.")
        order = np.argsort(time_s, kind="stable")
        return time_s[order], order
    if answer == "sequence":
        joined, dated = _one_after_another(time_s, parts, zero_s)
        where = (
            "at the dates that its session names tell"
            if dated
            else "one mean gap after the last request of the one before"
        )
        findings.assumed.append(
            f"{len(parts)} logs in the file were put one after the other, each {where}."
        )
        order = np.argsort(joined, kind="stable")
        return joined[order], order
    numbers = {f"part{number}": part for number, part in enumerate(parts, 1)}
    if answer in numbers:
        part = numbers[answer]
        findings.dropped["rows of another log in the same file"] += (
            time_s.size - part.stop + part.start
        )
        order = part.start + np.argsort(time_s[part], kind="stable")
        return time_s[order], order
    at = parts[1].start
    jump = spell.seconds(float(time_s[parts[0]].max() - time_s[at]))
    most = int(tables.setting("trace_most_parts"))
    only = tuple(
        (
            key,
            f"Use only part {key.removeprefix('part')}: "
            f"{spell.count(part.stop - part.start, 'request')} over "
            f"{spell.seconds(float(np.ptp(time_s[part])))}",
        )
        for key, part in list(numbers.items())[:most]
    )
    raise TraceQuestion(
        f"Row {row_of(at):,}: time jumps back by {jump}. This looks like {len(parts)} logs in one "
        "file. How do they belong together?",
        "on_clock_reset",
        (
            ("sequence", "Put them one after the other"),
            *only,
            ("overlay", "Lay them over one another, as if they ran at the same time"),
        ),
    )


def _one_after_another(
    time_s: NDArray[np.float64],
    parts: list[slice],
    zero_s: NDArray[np.float64] | None,
) -> tuple[NDArray[np.float64], bool]:
    joined = time_s.copy()
    if zero_s is not None and all(np.isfinite(zero_s[part]).any() for part in parts):
        anchors = np.array([np.nanmedian(zero_s[part]) for part in parts])
        if np.all(np.diff(anchors) > 0):
            for part, anchor in zip(parts, anchors, strict=True):
                joined[part] += np.rint(anchor - anchors[0])
            return joined, True
    for before, part in itertools.pairwise(parts):
        gap = float(np.ptp(joined[before])) / max(before.stop - before.start - 1, 1)
        joined[part] += joined[before].max() + gap - joined[part].min()
    return joined, False


def one_time(requests: int) -> InputError:
    """Return the error of a trace whose requests have one time between them."""
    found, way = "Only one request was read", ""
    if requests > 1:
        found = f"All requests have the same time ({requests:,} were read)"
        way = ", or one whose times are finer"
    return InputError(
        f"{found}; rate and idle time need at least two different times. Bring a longer trace{way}."
    )


def check_span(span_s: float, tables: Tables, what: str = "The requests") -> None:
    """Raise if a trace is longer than traffic is recorded, or has no length at all.

    Raises
    ------
    InputError
        With how long it is.
    """
    most_days = tables.setting("trace_most_days")
    if not span_s <= most_days * units.SECONDS_PER_DAY:
        years = span_s / units.SECONDS_PER_DAY / 365.25
        raise InputError(
            f"{what} span {spell.significant(years)} years; at most "
            f"{spell.significant(most_days / 365.25)} are read. Check the unit of the times and "
            "leave out rows that lie far from the others, or keep a part of the file."
        )


def near_rows(
    time_s: NDArray[np.float64],
    *,
    answer: str | None,
    row_of: Callable[[int], int],
    date_s: float | None,
    findings: Findings,
    tables: Tables,
) -> slice:
    """Return which of some times in order to keep, where one gap outweighs all that is beside it.

    One row of 1970 beside a day of traffic would be a trace of decades. Which side is meant is
    asked, naming the row.

    Parameters
    ----------
    time_s : ndarray, shape (n,)
        Times in order [s].
    answer : str or None
        The user's answer: "before" or "after" the gap, or "keep".
    row_of : callable
        Row of the file, by index.
    date_s : float or None
        Date of time 0 [s since 1970], if it is known.
    findings : Findings
        Takes the rows left out.
    tables : Tables
        For the settings.

    Raises
    ------
    TraceQuestion
        If there is such a gap.
    """
    if answer not in (None, "before", "after", "keep"):
        raise InputError(f"far_rows can be before, after, keep; found '{answer}'.")
    begin, end = 0, time_s.size
    least_s = tables.setting("trace_far_gap_days") * units.SECONDS_PER_DAY
    while answer != "keep" and end - begin > 1:
        kept = time_s[begin:end]
        gaps = np.diff(kept)
        at = int(np.argmax(gaps))
        if gaps[at] <= least_s or gaps[at] <= 0.5 * (kept[-1] - kept[0]):
            break
        sizes = {"before": at + 1, "after": kept.size - at - 1}
        if answer is None:
            few = min(sizes, key=lambda side: sizes[side])
            other = "after" if few == "before" else "before"
            most_s = tables.setting("trace_most_days") * units.SECONDS_PER_DAY
            choices = [
                (side, f"The {spell.count(sizes[side], 'request')} {side} the gap")
                for side in (other, few)
                if sizes[side] > 1
            ]
            if kept[-1] - kept[0] <= most_s:
                choices.append(("keep", "All of them: there were none in between"))
            if choices in ([], [("keep", "All of them: there were none in between")]):
                break
            odd = begin + (at if few == "before" else at + 1)
            raise TraceQuestion(
                f"Row {row_of(odd):,}{_when(date_s, time_s[odd])} lies "
                f"{spell.seconds(float(gaps[at]))} {few} "
                f"{spell.count(sizes[other], 'other request')}. Which are meant?",
                "far_rows",
                tuple(choices),
            )
        findings.dropped["requests beyond a long gap"] += sizes[
            "after" if answer == "before" else "before"
        ]
        begin, end = (begin, begin + at + 1) if answer == "before" else (begin + at + 1, end)
    return slice(begin, end)


def _when(date_s: float | None, offset_s: float) -> str:
    if date_s is None:
        return ""
    try:
        return f" ({date_of(date_s + float(offset_s)):%Y-%m-%d})"
    except InputError:
        return ""


def quantum_of(time_s: NDArray[np.float64], tables: Tables) -> float:
    """Return the step to which times were rounded if that hides how requests follow, else 0 [s].

    Half of the gaps or more are zero, each time occurs five times or more on average, and the
    other gaps are whole multiples of one step (which bursts of a load generator are not).
    """
    gaps = np.diff(time_s)
    moves = int(np.count_nonzero(gaps > 0))
    if (
        moves == 0
        or gaps.size - moves < tables.setting("trace_zero_gap_share") * gaps.size
        or moves + 1 > tables.setting("trace_distinct_share") * time_s.size
    ):
        return 0.0
    positive = gaps[gaps > 0]
    step = float(np.quantile(positive, 0.1, method="inverted_cdf"))
    off = np.abs(positive / step - np.rint(positive / step))
    regular = off <= tables.setting("trace_lattice_tolerance") * np.rint(positive / step)
    if np.mean(regular) < 0.9:
        return 0.0
    return float(np.median(positive[positive < 1.5 * step]))


def resolution_of(time_s: NDArray[np.float64]) -> float:
    """Return the coarsest decimal step of which all times are multiples; 0 below 100 ns [s]."""
    few = time_s[:: max(1, time_s.size // _FEW)]
    # In pieces, since a large trace should not be there several times over.
    pieces = np.array_split(time_s, time_s.size // _PIECE + 1)
    for step in _RESOLUTIONS_S:
        if _on_grid(few, step) and all(_on_grid(piece, step) for piece in pieces):
            return step
    return 0.0


def _on_grid(time_s: NDArray[np.float64], step: float) -> bool:
    multiples = time_s / step
    # Half a nanosecond, and what the arithmetic of large multiples may lose.
    allowed = 0.5e-9 / step + 4e-16 * multiples
    return bool(np.all(np.abs(multiples - np.rint(multiples)) <= allowed))
