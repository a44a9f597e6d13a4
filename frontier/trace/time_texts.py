"""Dates as people and programs write them, cell by cell: what Arrow and pandas do not read.

Month names, 12-hour clocks, slashes and dots, East Asian dates, and what stands behind the time:
"UTC", "GMT+2", "+0000 UTC", "+02:00[Europe/Berlin]", "GMT+0200 (Central European Summer Time)". A
zone that is only an abbreviation (CST is three) is not read. Which of two numbers is the day is
decided from all cells together, and refused where none tells.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from frontier.errors import InputError

_NS_PER_S = 1_000_000_000
_EPOCH_DAY = dt.date(1970, 1, 1).toordinal()
_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "jan jän", "feb", "mar mär mrz", "apr", "may mai", "jun",
            "jul", "aug", "sep", "oct okt", "nov", "dec dez",
        ),
        1,
    )
    for name in names.split()
}  # fmt: skip
_CLOCK = r"(?P<h>\d{1,2}):(?P<min>\d\d)(?::(?P<s>\d\d)(?:[.,](?P<f>\d{1,9})\d*)?)?"
_HALF = r"(?:\s*(?P<half>[ap])\.?m\.?)?"
_OFFSET = r"(?:GMT|UTC)?(?P<off>[+-]\d\d(?::?\d\d)?|(?<=[CT])[+-]\d)"
_NAMED = r"(?P<utc>Z|UTC|GMT)"
_BEHIND = r"(?:\s+\(?[A-Z]{1,5}\)?|\s+\([A-Z][\w .'-]{2,60}\)|\[[\w/+-]+\])?"
_ZONE = rf"(?:\s*{_OFFSET}{_BEHIND}|\s*\(?{_NAMED}(?:\[[\w/]+\])?\)?)?"
_TAIL = rf"{_CLOCK}{_HALF}{_ZONE}(?:\s+m=[+-][\d.]+)?"
_DAY_NAME = r"(?:[^\W\d]{2,10}\.?,?\s+)?"
_MONTH = r"(?P<mon>[^\W\d]{3,9})\.?"
_D = r"(?P<d>\d{1,2})(?:st|nd|rd|th)?\.?"
_FORMS = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        rf"(?P<y>\d{{4}})(?P<sep>[-/.])(?P<m>\d{{1,2}})(?P=sep)(?P<d>\d{{1,2}})(?:[T,\s]\s*{_TAIL})?",
        rf"(?P<d>\d{{1,2}})/(?P<mon>[a-z]{{3}})/(?P<y>\d{{4}}):{_TAIL}",
        rf"(?P<a>\d{{1,2}})(?P<sep>[-/.])(?P<b>\d{{1,2}})(?P=sep)(?P<y>\d{{4}}|\d\d)(?:,?\s+{_TAIL})?",
        rf"{_DAY_NAME}{_D}[\s-]{_MONTH},?[\s-](?P<y>\d{{4}}|\d\d)(?:,?\s+(?:(?:at|@)\s+)?{_TAIL})?",
        rf"{_DAY_NAME}{_MONTH}\s+{_D},?\s+(?P<y>\d{{4}})(?:,?\s+(?:(?:at|@)\s+)?{_TAIL})?",
        rf"(?P<y>\d{{4}})年(?P<m>\d{{1,2}})月(?P<d>\d{{1,2}})日(?:\s*{_TAIL})?",
        rf"{_DAY_NAME}{_MONTH}\s+{_D}\s+{_TAIL}\s+(?P<y>\d{{4}})",
    )
)
# What a text ends with that says where its clock stood.
_ZONE_AT_END = re.compile(
    rf"(?::\d\d|T\d{{6}})(?:[.,]\d+)?(?:\s*[ap]\.?m\.?)?{_ZONE}\s*$", re.IGNORECASE
)
_UTC = "UTC"
# No clock is further from UTC than UTC+14, and none by sixty minutes.
_MOST_OFFSET_S = 15 * 3600
IMPOSSIBLE_OFFSET = r"\d:\d\d(:\d\d([.,]\d+)?)?\s*[+-](1[6-9]|[2-9]\d|\d\d:?[6-9])\d*:?\d*\b"
"""What Arrow reads as a zone and is none, such as +99:99."""


@dataclass(slots=True)
class DateReader:
    """Reads dates of one column, batch after batch.

    Attributes
    ----------
    zones : dict of str to None
        Zones that were named, in the order in which they came: "UTC", "+02:00".
    day_first : bool or None
        Whether 03/04 is the third of April; None until a cell tells.
    unzoned : bool
        Whether some date with a clock named no zone.
    is_any_impossible : bool
        Whether some zone noted is none, such as +99:99.
    """

    zones: dict[str, None] = field(default_factory=dict)
    day_first: bool | None = None
    unzoned: bool = False
    is_any_impossible: bool = False

    def read(self, texts: Sequence[str | None]) -> list[int | None]:
        """Return nanoseconds since 1970, None where a text is no date.

        Raises
        ------
        InputError
            If every date with slashes could mean two days.
        """
        found = [None if text is None else self._match(text) for text in texts]
        if self.day_first is None:
            self._decide([match for match in found if match and match.groupdict().get("a")])
        return [None if match is None else self._ns(match) for match in found]

    def note_zones(self, texts: Iterable[str | None]) -> None:
        """Remember the zones that some dates name."""
        for text in texts:
            match = _ZONE_AT_END.search(text) if text else None
            if match is None:
                continue
            if (zone := _zone(match)) is None:
                self.unzoned = True
            elif is_zone(zone):
                self.zones.setdefault(zone)
            else:
                self.is_any_impossible = True

    def _match(self, text: str) -> re.Match[str] | None:
        text = " ".join(text.split())
        return next((match for form in _FORMS if (match := form.fullmatch(text))), None)

    def _decide(self, matches: list[re.Match[str]]) -> None:
        slashed = [match for match in matches if match["sep"] != "."]
        if not slashed:
            return
        first, second = (any(int(match[at]) > 12 for match in slashed) for at in ("a", "b"))
        if first == second:
            raise InputError(
                f"Dates such as '{slashed[0].group()}' can mean two days. Export them as "
                "2025-09-17 18:15:46."
            )
        self.day_first = first

    def _ns(self, match: re.Match[str]) -> int | None:
        held = match.groupdict()
        if held.get("a"):
            # 03.04.2026 is written with dots only where the day comes first.
            is_day_first = self.day_first or held["sep"] == "."
            day, month = (held["a"], held["b"]) if is_day_first else (held["b"], held["a"])
        elif held.get("mon"):
            day, month = held["d"], str(_MONTHS.get(held["mon"][:3].casefold(), 0))
        else:
            day, month = held["d"], held["m"]
        year = int(held["y"]) + (2000 if len(held["y"]) == 2 else 0)
        hour, minute, second = (int(held.get(part) or 0) for part in ("h", "min", "s"))
        half = held.get("half")
        if half:
            if not 1 <= hour <= 12:
                return None
            hour = hour % 12 + 12 * (half in "pP")
        if hour > 23 or minute > 59 or second > 60:
            return None
        try:
            days = dt.date(year, int(month), int(day)).toordinal() - _EPOCH_DAY
        except ValueError:
            return None
        zone = _zone(match)
        if not is_zone(zone):
            return None
        if zone is not None:
            self.zones.setdefault(zone)
        seconds = days * 86_400 + hour * 3600 + minute * 60 + second - offset_s(zone)
        return seconds * _NS_PER_S + int((held.get("f") or "0").ljust(9, "0"))


def is_zone(zone: str | None) -> bool:
    """Whether some clock may be that far from UTC; a clock without a zone is none's."""
    return abs(offset_s(zone)) < _MOST_OFFSET_S and (
        zone is None or zone[-2:-1] < "6" or zone == _UTC
    )


def offset_s(zone: str | None) -> int:
    """Return how far a zone such as "+02:00" is ahead of UTC [s]."""
    if zone is None or zone == _UTC:
        return 0
    hours, minutes = zone[1:].split(":")
    return (-1 if zone[0] == "-" else 1) * (int(hours) * 3600 + int(minutes) * 60)


def _zone(match: re.Match[str]) -> str | None:
    held = match.groupdict()
    offset = held.get("off")
    if offset:
        digits = offset[1:].replace(":", "")
        digits = (f"0{digits}" if len(digits) == 1 else digits).ljust(4, "0")
        return _UTC if digits == "0000" else f"{offset[0]}{digits[:2]}:{digits[2:]}"
    return _UTC if held.get("utc") else None
