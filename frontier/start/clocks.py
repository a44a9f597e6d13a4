"""The time stamps in the lines of a log, as seconds into a year.

Logs leave out the year, or the date; a time is therefore counted from the first of January of a
year that has every day, and `lines.elapsed_s` puts the turn of the year right. Patterns are
bounded, and look at the head of a line alone.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass

from frontier.units import SECONDS_PER_DAY

LEAP_YEAR = 2000
_HEAD = 300
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_CLOCK = r"\d\d:\d\d:\d\d(?:[.,]\d{1,9})?"
_STAMP_RE = re.compile(
    rf"(?P<iso>\d{{4}}-\d\d-\d\d[T ]{_CLOCK})"
    rf"|(?P<us>\d\d/\d\d/\d{{4}}[- ]{_CLOCK})"
    rf"|(?P<slash>\d{{4}}/\d\d/\d\d {_CLOCK})"
    rf"|(?P<short>(?<![\d/-])\d\d[-/]\d\d {_CLOCK})"
    rf"|(?P<named>(?<![A-Za-z])(?:{'|'.join(_MONTHS)}) [ \d]\d {_CLOCK})",
    re.I,
)
# A time without a date tells no more than itself, and only at the head of a line.
_BARE_RE = re.compile(rf"(?<![\d:.,<\[-])({_CLOCK})(?![\d:<])")
_BARE_HEAD = 80
_UPTIME_RE = re.compile(r"(\d{1,5})\.(\d\d)\.(\d{3})\.(\d{3}) [A-Z] ")
_EPOCH_RE = re.compile(r"\"?(\d{10}\.\d{1,9}|\d{10}|\d{13}|\d{16}|\d{19})(?=[\s,;\t\"])")
_EPOCH_DIGITS = 10


@dataclass(frozen=True, slots=True)
class Stamp:
    """A time in a line: its kind, where it begins, and what it says [s into a year]."""

    kind: str
    begin: int
    at_s: float


def stamps_of(row: str) -> list[Stamp]:
    """Return the first two times of a line that have a date, in order."""
    found: list[Stamp] = []
    for match in _STAMP_RE.finditer(row[:_HEAD]):
        at_s = _time(match)
        if at_s is not None:
            found.append(Stamp(str(match.lastgroup), match.start(), at_s))
        if len(found) == 2:
            break
    return found


def bare_time(row: str) -> float | None:
    """Return the time of day at the head of a line that has no date [s]."""
    match = _BARE_RE.search(row[:_BARE_HEAD])
    if match is None:
        return None
    hours, minutes, seconds = match[1].replace(",", ".").split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def uptime(row: str) -> float | None:
    """Return the time since its start that llama.cpp writes before a line [s]."""
    match = _UPTIME_RE.match(row[:_HEAD]) or _UPTIME_RE.search(row[:_HEAD])
    if match is None:
        return None
    minutes, seconds, milli, micro = (int(part) for part in match.groups())
    clock = dt.timedelta(minutes=minutes, seconds=seconds, milliseconds=milli, microseconds=micro)
    return clock.total_seconds()


def epoch(row: str) -> tuple[float, int] | None:
    """Return the time since 1970 at the head of a line [s into a year], and where it ends."""
    match = _EPOCH_RE.match(row[:_HEAD])
    at_s = epoch_s(match[1]) if match else None
    return None if match is None or at_s is None else (at_s, match.end())


def epoch_s(text: str) -> float | None:
    """Return the seconds into a year of a time since 1970 in s, ms, µs or ns by its digits."""
    whole, _, fraction = text.partition(".")
    if not whole.isascii() or not whole.isdigit() or len(whole) not in (10, 13, 16, 19):
        return None
    seconds = int(whole) / 10 ** (len(whole) - _EPOCH_DIGITS)
    if fraction.isascii() and fraction.isdigit():
        seconds += float(f"0.{fraction}")
    try:
        moment = dt.datetime.fromtimestamp(seconds, tz=dt.UTC)
    except (OverflowError, ValueError, OSError):
        return None
    return _into_year(moment.replace(tzinfo=None, year=LEAP_YEAR))


def seconds_of(found: object) -> float | None:
    """Return the seconds into a year of the first time in a value, if there is one."""
    if isinstance(found, bool):
        return None
    if isinstance(found, int | float):
        return epoch_s(f"{found:.6f}".rstrip("0").rstrip(".")) if abs(found) < 10**20 else None
    if not isinstance(found, str):
        return None
    stamps = stamps_of(found)
    return stamps[0].at_s if stamps else epoch_s(found.strip())


def days_counted(times: Iterator[float | None]) -> Iterator[float | None]:
    """Give times of day with a day added wherever they pass midnight [s]."""
    day_s, last = 0.0, None
    for at_s in times:
        if at_s is None:
            yield None
            continue
        if last is not None and at_s < last - SECONDS_PER_DAY / 2:
            day_s += SECONDS_PER_DAY
        last = at_s
        yield at_s + day_s


def first_day() -> dt.date:
    """Return the day times are counted from."""
    return dt.date(LEAP_YEAR, 1, 1)


def _time(match: re.Match[str]) -> float | None:
    text = match[0].replace(",", ".").replace("T", " ").replace("t", " ")
    whole, _, fraction = text.partition(".")
    day, clock = whole[:-9], whole[-8:]
    numbers = [int(part) for part in re.findall(r"\d+", day)]
    if match["named"]:
        month, date = _MONTHS.index(match["named"][:3].casefold()) + 1, numbers[-1]
    elif match["us"]:
        month, date = numbers[0], numbers[1]
        if month > 12 >= date:
            month, date = date, month
    else:
        month, date = numbers[-2], numbers[-1]
    # Some stamps have no year; a leap year has every day.
    try:
        moment = dt.datetime.fromisoformat(f"{LEAP_YEAR}-{month:02d}-{date:02d} {clock}")
    except ValueError:
        return None
    return _into_year(moment) + (float(f"0.{fraction}") if fraction else 0.0)


def _into_year(moment: dt.datetime) -> float:
    return (moment - dt.datetime.combine(first_day(), dt.time())).total_seconds()
