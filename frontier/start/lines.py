"""The lines of a log, freed from what its carrier put around them, and what is made of them.

Byte order marks, colours, the prefixes of container runtimes and of JSON log lines are taken off;
two clocks are kept apart: that of the carrier (first on the line) and that of the engine. A line
is cut to the length data/settings.csv allows before any pattern sees it. What lines mean is
decided in `engines` and `kubernetes`.
"""

from __future__ import annotations

import codecs
import datetime as dt
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from frontier.units import SECONDS_PER_DAY

_LEAP_YEAR = 2000
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_ANSI_RE = re.compile(r"\x1b\[[0-9;?]{0,20}[A-Za-z]")
_CRI_RE = re.compile(
    r"(?P<at>\d{4}-\d\d-\d\dT[\d:.]{8,18}(?:Z|[+-]\d\d:\d\d)) std(?:out|err) [FP] ?"
)
_STAMP_RE = re.compile(
    r"(?P<iso>\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?)"
    r"|(?P<us>\d\d/\d\d/\d{4}-\d\d:\d\d:\d\d)"
    r"|(?P<slash>\d{4}/\d\d/\d\d \d\d:\d\d:\d\d(?:\.\d{1,9})?)"
    r"|(?<![\d-])(?P<short>\d\d-\d\d \d\d:\d\d:\d\d(?:[.,]\d{1,9})?)"
)
_UPTIME_RE = re.compile(r"(\d{1,5})\.(\d\d)\.(\d{3})\.(\d{3}) [A-Z] ")
_TAG_RE = re.compile(
    r"\(((?:[A-Z]\w*|[\w-]+) pid=[^()]{1,60}|(?:TP|DP|PP|EP)\d{1,4}|[A-Z]\w{2,40})\)"
)
_RANK_RE = re.compile(r"\d\d:\d\d:\d\d((?: (?:TP|DP|PP|EP|ATTN_\w{1,8})\d{1,4}){1,5})\]")


@dataclass(frozen=True, slots=True)
class ReadLine:
    """One recognised line.

    Attributes
    ----------
    number : int
        Line of the text, from 1.
    text : str
        The recognised part, and no more of the line.
    meaning : str
        What it was taken to say.
    seconds : float or None
        The seconds it states or implies [s].
    """

    number: int
    text: str
    meaning: str
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class StartRun:
    """One start, as far as the text shows it.

    Attributes
    ----------
    kind : str
        Engine, or "Kubernetes events".
    first_line, last_line : int
        Where in the text it stands, from 1.
    stage_s : dict of stage to float
        What was measured [s].
    within : dict of stage to stage
        Stages that are logged inside another one: their seconds are in that one.
    total_s : float or None
        From the first line of the engine until it was ready [s].
    failed : str
        Why it is no start; empty if it is one.
    compile_state : str or None
        ``cold`` or ``cached``, where the text shows it.
    """

    kind: str
    first_line: int
    last_line: int
    stage_s: dict[str, float] = field(default_factory=dict)
    within: dict[str, str] = field(default_factory=dict)
    total_s: float | None = None
    failed: str = ""
    compile_state: str | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a log: its text, who wrote it, and its two clocks [s into a year]."""

    number: int
    text: str
    tag: str = ""
    engine_s: float | None = None
    carrier_s: float | None = None
    cut: bool = False


def decode(content: bytes | str) -> str:
    """Return the text of a log in UTF-8, UTF-16 or UTF-32, with or without a byte order mark."""
    if isinstance(content, str):
        # A UTF-16 file that somebody decoded as if it were not.
        return content.lstrip("\ufeff").replace("\x00", "")
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content.decode(encoding, "replace")
    head = content[:200]
    if len(head) > 3 and head[1::2].count(0) > len(head) // 4:
        return content.decode("utf-16-le", "replace")
    if len(head) > 3 and head[::2].count(0) > len(head) // 4:
        return content.decode("utf-16-be", "replace")
    return content.decode("utf-8", "replace")


def lines_of(text: str, longest: int) -> Iterator[Line]:
    """Give the lines of a text, each cut to `longest` characters and freed from its prefix."""
    for number, row in enumerate(re.split(r"\r\n|\n|\r", text), start=1):
        cut = len(row) > longest
        row = _ANSI_RE.sub("", row[:longest])
        carrier_s = None
        if row.lstrip().startswith("{"):
            row, carrier_s = _unpacked(row)
        match = _CRI_RE.match(row)
        if match:
            carrier_s, row = seconds_of(match["at"]), row[match.end() :]
        stamps = list(_STAMP_RE.finditer(row[:300]))[:2]
        times = [time for time in (_time(stamp) for stamp in stamps) if time is not None]
        uptime = _UPTIME_RE.match(row)
        engine_s = _uptime(uptime) if uptime else times[-1] if times else None
        if times and carrier_s is None and stamps[0].start() == 0:
            carrier_s = times[0]
        rank = _RANK_RE.search(row[:300])
        tags = [rank[1]] if rank else _TAG_RE.findall(row[:300])
        yield Line(number, row, " ".join(tags).strip(), engine_s, carrier_s, cut)


def seconds_of(text: object) -> float | None:
    """Return the seconds into a year of the first time stamp in a text, if there is one."""
    match = _STAMP_RE.search(text[:300]) if isinstance(text, str) else None
    return _time(match) if match else None


def elapsed_s(begin: float | None, end: float | None) -> float | None:
    """Return the seconds from one time to another; None if they are not in order within a day."""
    if begin is None or end is None:
        return None
    seconds = end - begin
    if seconds < -SECONDS_PER_DAY:
        # From the last day of a year into the next.
        seconds += SECONDS_PER_DAY * (dt.date(_LEAP_YEAR + 1, 1, 1) - _first_day()).days
    # A clock has microseconds; the rest is floating point.
    return round(seconds, 6) if 0 <= seconds <= SECONDS_PER_DAY else None


def between(begin: Line | None, end: Line | None) -> float | None:
    """Return the seconds between two lines by one clock, the carrier's where both have it."""
    if begin is None or end is None:
        return None
    if begin.carrier_s is not None and end.carrier_s is not None:
        return elapsed_s(begin.carrier_s, end.carrier_s)
    return elapsed_s(begin.engine_s, end.engine_s)


def _unpacked(row: str) -> tuple[str, float | None]:
    try:
        record = json.loads(row)
    except (ValueError, RecursionError):
        return row, None
    if not isinstance(record, dict):
        return row, None
    inner = next((record[k] for k in ("log", "message", "msg", "textPayload") if k in record), None)
    if not isinstance(inner, str):
        return row, None
    keys = ("time", "timestamp", "ts", "@timestamp")
    at = next((record[k] for k in keys if isinstance(record.get(k), str)), None)
    return inner.rstrip("\n"), seconds_of(at)


def _time(match: re.Match[str]) -> float | None:
    text = next(part for part in match.groups() if part).replace(",", ".").replace("T", " ")
    fraction = text.partition(".")[2]
    whole = text.partition(".")[0]
    if match["us"]:
        whole = f"{whole[6:10]}-{whole[0:2]}-{whole[3:5]} {whole[11:]}"
    elif match["short"]:
        whole = f"{_LEAP_YEAR}-{whole}"
    whole = f"{_LEAP_YEAR}{whole[4:]}".replace("/", "-")
    # Some stamps have no year; a leap year has every day.
    try:
        moment = dt.datetime.fromisoformat(whole)
    except ValueError:
        return None
    begin = dt.datetime.combine(_first_day(), dt.time())
    return (moment - begin).total_seconds() + (float(f"0.{fraction}") if fraction else 0.0)


def _uptime(match: re.Match[str]) -> float:
    minutes, seconds, milli, micro = (int(part) for part in match.groups())
    clock = dt.timedelta(minutes=minutes, seconds=seconds, milliseconds=milli, microseconds=micro)
    return clock.total_seconds()


def _first_day() -> dt.date:
    return dt.date(_LEAP_YEAR, 1, 1)
