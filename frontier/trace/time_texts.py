"""Dates as people and programs write them, cell by cell: what Arrow and pandas do not read.

Month names, 12-hour clocks, slashes and dots, East Asian dates, weeks (2026-W32), and what stands
behind the time: "UTC", "GMT+2", "+0000 UTC", "+02:00[Europe/Berlin]", "GMT+0200 (Central European
Summer Time)", "CEST". Of a name that several zones have (CST is three) it is asked which is meant,
unless another name in the file tells. Which of two numbers is the day is decided from all cells
together, and refused where none tells.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from frontier.errors import InputError
from frontier.tables import Tables, load_tables
from frontier.trace.model import TraceQuestion

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
_HALF = r"(?:\s*(?:(?P<half>[ap])\.?m\.?|Uhr))?"
_OFFSET = r"(?:GMT|UTC)?(?P<off>[+-]\d\d(?::?\d\d)?|(?<=[CT])[+-]\d)"
_NAMED = r"(?P<utc>Z|UTC|GMT)"
_BEHIND = r"(?:\s+\(?[A-Z]{1,5}\)?|\s+\([A-Z][\w .'-]{2,60}\)|\[[\w/+-]+\])?"
_SHORT = r"(?P<short>[A-Z]{3,5})"
_ZONE = rf"(?:\s*{_OFFSET}{_BEHIND}|\s*\(?{_NAMED}(?:\[[\w/]+\])?\)?|\s*\(?{_SHORT}\)?)?"
_TAIL = rf"{_CLOCK}{_HALF}{_ZONE}(?:\s+m=[+-][\d.]+)?"
_DAY_NAME = r"(?:[^\W\d]{2,10}\.?,?\s+)?"
_MONTH = r"(?P<mon>[^\W\d]{3,9})\.?"
_WEEK = r"(?:W|KW|CW)\s?(?P<w>\d\d?)"
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
        rf"(?P<y>\d{{4}})[-\s]?{_WEEK}(?:-?(?P<wd>[1-7]))?(?:[T\s]\s*{_TAIL})?",
        rf"{_WEEK}[-/,\s]\s*(?P<y>\d{{4}})",
    )
)
# What a text ends with that says where its clock stood.
_ZONE_AT_END = re.compile(
    rf"(?::\d\d|T\d{{6}})(?:[.,]\d+)?(?:\s*[ap]\.?m\.?)?{_ZONE}\s*$", re.IGNORECASE
)
_MONTH_ALONE = re.compile(r"\d{4}[-/]\d\d")
_UTC, _GMT, _NO_ZONE = "UTC", "GMT", ""
# No clock is further from UTC than UTC+14, and none by sixty minutes.
_MOST_OFFSET_S = 15 * 3600
IMPOSSIBLE_OFFSET = r"\d:\d\d(:\d\d([.,]\d+)?)?\s*[+-](1[6-9]|[2-9]\d|\d\d:?[6-9])\d*:?\d*\b"
"""What Arrow reads as a zone and is none, such as +99:99."""


@dataclass(slots=True)
class DateReader:
    """Reads dates of one column, batch after batch.

    Attributes
    ----------
    place : str or None
        Where the clock stood whose zone has a name that several zones have; asked if None.
    tables : Tables, optional
        For the names of zones.
    zones : dict of str to None
        Zones that were named, in the order in which they came: "UTC", "+02:00".
    day_first : bool or None
        Whether 03/04 is the third of April; None until a cell tells.
    unzoned : bool
        Whether some date with a clock named no zone.
    is_any_impossible : bool
        Whether some zone noted is none, such as +99:99.
    week : str
        The first week that was read, with the day it begins on, in words; else empty.
    month : str
        The first date noted that is a month, such as 2026-05; else empty.
    """

    place: str | None = None
    tables: Tables | None = None
    zones: dict[str, None] = field(default_factory=dict)
    day_first: bool | None = None
    unzoned: bool = False
    is_any_impossible: bool = False
    week: str = ""
    month: str = ""
    _named: dict[str, None] = field(default_factory=dict)
    _known: dict[str, dict[str, float]] = field(default_factory=dict)

    def read(self, texts: Sequence[str | None]) -> list[int | None]:
        """Return nanoseconds since 1970, None where a text is no date.

        Raises
        ------
        InputError
            If every date with slashes could mean two days.
        TraceQuestion
            If a zone's name is that of several.
        """
        found = [None if text is None else self._match(text) for text in texts]
        if self.day_first is None:
            self._decide([match for match in found if match and match.groupdict().get("a")])
        self._settle(found)
        return [None if match is None else self._ns(match) for match in found]

    def note_zones(self, texts: Sequence[str | None]) -> None:
        """Remember the zones that some dates name."""
        found = [_ZONE_AT_END.search(text) if text else None for text in texts]
        self._settle(found)
        for text in texts if not self.month else ():
            if text and _MONTH_ALONE.fullmatch(text.strip()):
                self.month = text.strip()
                break
        for match in found:
            if match is None:
                continue
            if (zone := self._zone(match)) is None:
                self.unzoned = True
            elif is_zone(zone):
                self.zones.setdefault(zone)
            elif zone != _NO_ZONE:
                self.is_any_impossible = True

    def _match(self, text: str) -> re.Match[str] | None:
        text = " ".join(text.split())
        return next((match for form in _FORMS if (match := form.fullmatch(text))), None)

    def _settle(self, matches: Iterable[re.Match[str] | None]) -> None:
        """Find out which place the names of zones mean that several places have.

        Raises
        ------
        TraceQuestion
            If there is more than one.
        InputError
            If no place has all of the names.
        """
        fresh = {name for match in matches if match and (name := _short(match))}
        fresh -= self._named.keys()
        if not fresh:
            return
        known = self._places()
        self._named.update(dict.fromkeys(sorted(fresh)))
        named = [name for name in self._named if name in known]
        unclear = [name for name in named if len(set(known[name].values())) > 1]
        if not unclear:
            return
        places = [place for place in known[unclear[0]] if all(place in known[n] for n in unclear)]
        if not places:
            raise InputError(
                f"Times name zones of different places: {', '.join(unclear)}. Write how far each "
                "is from UTC instead, such as +02:00."
            )
        # Summer time, or what a place has half of the year, may tell.
        telling = [place for place in places if all(place in known[n] for n in named)]
        if len(telling) == 1 and self.place is None:
            self.place = telling[0]
        if self.place not in places:
            raise TraceQuestion(
                f"Times in the file end with {' and '.join(unclear)}, a name that several zones "
                "have. Where did the clock stand?",
                "time_zone",
                tuple((place, _in_words(place, unclear, known)) for place in places),
            )

    def _places(self) -> dict[str, dict[str, float]]:
        """Return how far clocks are ahead of UTC, by the name of a zone and by place [h]."""
        if not self._known:
            for row in (self.tables or load_tables()).zone_names.values():
                self._known.setdefault(row.name, {})[row.place or ""] = row.ahead_h
        return self._known

    def _zone(self, match: re.Match[str]) -> str | None:
        """Return the zone of a date as "UTC" or "+02:00", "" if its name is not known."""
        held = match.groupdict()
        offset = held.get("off")
        if offset:
            digits = offset[1:].replace(":", "")
            digits = (f"0{digits}" if len(digits) == 1 else digits).ljust(4, "0")
            return _UTC if digits == "0000" else f"{offset[0]}{digits[:2]}:{digits[2:]}"
        if held.get("utc"):
            return _UTC
        if not held.get("short"):
            return None
        return self._zone_named(held["short"].upper())

    def zones_named(self) -> dict[str, str]:
        """Return the zones of the short names so far, by name: CEST is "+02:00"."""
        return {name: self._zone_named(name) for name in self._named if name in self._places()}

    def _zone_named(self, name: str) -> str:
        ahead_h = self._places().get(name, {})
        if not ahead_h:
            return _NO_ZONE
        minutes = round(60 * ahead_h.get(self.place or "", next(iter(ahead_h.values()))))
        sign = "-" if minutes < 0 else "+"
        return f"{sign}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}" if minutes else _UTC

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
        hour, minute, second = (int(held.get(part) or 0) for part in ("h", "min", "s"))
        half = held.get("half")
        if half:
            if not 1 <= hour <= 12:
                return None
            hour = hour % 12 + 12 * (half in "pP")
        if hour > 23 or minute > 59 or second > 60:
            return None
        try:
            days = self._day(held).toordinal() - _EPOCH_DAY
        except ValueError:
            return None
        if held.get("w") and not self.week:
            first = dt.date.fromordinal(days + _EPOCH_DAY)
            self.week = f"'{match.group()}' is read as the week of ISO 8601 from {first:%Y-%m-%d}"
        zone = self._zone(match)
        if not is_zone(zone):
            return None
        if zone is not None:
            self.zones.setdefault(zone)
        seconds = days * 86_400 + hour * 3600 + minute * 60 + second - offset_s(zone)
        return seconds * _NS_PER_S + int((held.get("f") or "0").ljust(9, "0"))

    def _day(self, held: Mapping[str, str | None]) -> dt.date:
        """Return the day of a match; ValueError if there is none such."""
        written = held["y"] or ""
        year = int(written) + (2000 if len(written) == 2 else 0)
        if held.get("w"):
            return dt.date.fromisocalendar(year, int(held["w"] or 0), int(held.get("wd") or 1))
        if held.get("a"):
            # 03.04.2026 is written with dots only where the day comes first.
            is_day_first = self.day_first or held["sep"] == "."
            day, month = (held["a"], held["b"]) if is_day_first else (held["b"], held["a"])
        elif held.get("mon"):
            named = (held["mon"] or "")[:3].casefold()
            day, month = held["d"], str(_MONTHS.get(named, 0))
        else:
            day, month = held["d"], held["m"]
        return dt.date(year, int(month or 0), int(day or 0))


def is_date_alone(text: str) -> bool:
    """Whether a text is a date without a clock."""
    text = " ".join(text.split())
    match = next((match for form in _FORMS if (match := form.fullmatch(text))), None)
    return match is not None and not match.groupdict().get("h") and not match.groupdict().get("w")


def _short(match: re.Match[str]) -> str:
    """Return the name of the zone in a date, where it has one."""
    held = match.groupdict()
    return (held.get("short") or (_GMT if (held.get("utc") or "").upper() == _GMT else "")).upper()


def _in_words(place: str, names: Iterable[str], known: Mapping[str, Mapping[str, float]]) -> str:
    each = (f"{name} is {known[name][place]:+g} h from UTC" for name in names)
    return f"{place}: {', '.join(each)}"


def is_zone(zone: str | None) -> bool:
    """Whether some clock may be that far from UTC; a clock without a zone is none's."""
    return zone != _NO_ZONE and (
        abs(offset_s(zone)) < _MOST_OFFSET_S and (zone is None or zone[-2:-1] < "6" or zone == _UTC)
    )


def offset_s(zone: str | None) -> int:
    """Return how far a zone such as "+02:00" is ahead of UTC [s]."""
    if zone is None or zone == _UTC:
        return 0
    hours, minutes = zone[1:].split(":")
    return (-1 if zone[0] == "-" else 1) * (int(hours) * 3600 + int(minutes) * 60)
