"""The lines of a log, what is made of them, and the seconds between two of them.

How lines are freed from what carried them is in `carriers`, what their time stamps say in
`clocks`, what they mean in `engines` and `kubernetes`.
"""

from __future__ import annotations

import codecs
import datetime as dt
from dataclasses import dataclass, field

from frontier.start.clocks import LEAP_YEAR, first_day
from frontier.units import SECONDS_PER_DAY

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


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
    """A line of a log: its text, its process, its two clocks [s into a year], its replica."""

    number: int
    text: str
    tag: str = ""
    engine_s: float | None = None
    carrier_s: float | None = None
    cut: bool = False
    source: str = ""


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


def elapsed_s(begin: float | None, end: float | None) -> float | None:
    """Return the seconds from one time to another; None if they are not in order within a day."""
    if begin is None or end is None:
        return None
    seconds = end - begin
    if seconds < -SECONDS_PER_DAY:
        # From the last day of a year into the next.
        seconds += SECONDS_PER_DAY * (dt.date(LEAP_YEAR + 1, 1, 1) - first_day()).days
    # A clock has microseconds; the rest is floating point.
    return round(seconds, 6) if 0 <= seconds <= SECONDS_PER_DAY else None


def between(begin: Line | None, end: Line | None) -> float | None:
    """Return the seconds between two lines by one clock, the engine's where both have it.

    The engine's says when it was, that of a carrier when it was collected.
    """
    if begin is None or end is None:
        return None
    if begin.engine_s is not None and end.engine_s is not None:
        return elapsed_s(begin.engine_s, end.engine_s)
    return elapsed_s(begin.carrier_s, end.carrier_s)
