"""Times that stand in several columns: a date, and the hour or the time of day beside it.

Where one column holds dates without a clock (or year, month and day stand apart) and another one
hours or times of day, they are read as one column of times, whatever the rows are. A table of which
this cannot be said for sure is left as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from frontier.errors import InputError
from frontier.trace.formats import Names, fold
from frontier.trace.raw_table import Batch, Table
from frontier.trace.time_texts import is_date_alone

if TYPE_CHECKING:
    import pyarrow as pa

JOINED = "date and time"
"""What the column is called that stands for several."""


def _each(names: str) -> frozenset[str]:
    return frozenset(names.split())


_DATES = _each("date day datum tag fecha dia día jour data dt ds dato päivä 日期 日付")
_HOURS = _each(
    """hour hours hourofday hr hrs hh h stunde std heure hora ora uur time timeofday clock clocktime
    uhrzeit zeit tijd tid daytime starttime start from begin von desde starthour hourstart
    hourbeginning intervalstart usagehour 时间 時刻"""
)
# Names of times of day that bare numbers below them may be hours of, or may not.
_OPEN = _each("start from begin von desde")
_CLOCKS = _HOURS - _each(
    "hour hours hourofday hr hrs hh h stunde std starthour hourstart usagehour"
)
_MINUTES = _each("minute minutes min mins mm minuteofhour")
_LONGEST_NAME = 64
_ASIDE = re.compile(r"[(\[][^)\]]{0,40}[)\]]")
_ZONES = re.compile(r"(?<=[a-z])(utc|gmt|local|lokal)$")
_FEWEST = 2
_MOST_LOOKED_AT = 1000

_HOUR = re.compile(r"(\d{1,2})(?:\.0+)?\s?(?:h|uhr)?|h(\d{1,2})", re.IGNORECASE)
_HALF_DAY = re.compile(r"(\d{1,2})\s?([ap])\.?m\.?", re.IGNORECASE)
_SPAN = re.compile(
    r"(\d{1,2})(?::00(?::00)?)?\s?(?:-|–|to|bis)\s?(\d{1,2})(?::(?:00|59)(?::(?:00|59))?)?"
)
_CLOCK = re.compile(
    r"(\d{1,2}):(\d\d)(?::(\d\d)(?:[.,](\d{1,9})\d*)?)?(?:\s?([ap])\.?m\.?)?"
    r"(?:\s*(Z|[A-Z]{3,5}|(?:UTC|GMT)?[+-]\d\d:?\d\d))?(?:\s?uhr)?",
    re.IGNORECASE,
)
_DIGITS = re.compile(r"([01]\d|2[0-3])([0-5]\d)([0-5]\d)?")
_MIDNIGHT = re.compile(r"[T ]0?0:00(?::00(?:\.0+)?)?(?P<zone>\s*(?:Z|UTC|[+-]\d\d:?\d\d))?")
# Of which nothing need be changed, and 300,000 may all be different.
_AS_READ = r"^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?$"
_DOTTED = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})")
_ONE_NUMBER = re.compile(r"(20\d\d)(0[1-9]|1[0-2])([0-3]\d)")


@dataclass(frozen=True, slots=True)
class _Parts:
    """The columns of which a time is made.

    Attributes
    ----------
    dates : tuple of str
        The column of dates; or those of year, month and day.
    clock : str
        The column of hours or times of day.
    minutes : str or None
        The column of minutes beside hours.
    first_hour : int
        1 if the first hour of a day is number 1, else 0.
    """

    dates: tuple[str, ...]
    clock: str
    minutes: str | None
    first_hour: int = 0

    def columns(self) -> tuple[str, ...]:
        """Return all of them."""
        named = (*self.dates, self.clock, self.minutes)
        return tuple(name for name in named if name is not None)


def join(table: Table) -> None:
    """Let one column of times stand in a table for those that make one together.

    Raises
    ------
    InputError
        If hours are written in a way that leaves their day open.
    """
    parts = None if table.log is not None or JOINED in table.names else _parts(table)
    if parts is None:
        return
    apart = parts.columns()
    first = table.names.index(parts.dates[0])
    names = [name for name in table.names if name not in apart]
    before = sum(name not in apart for name in table.names[:first])
    batches = table.batches

    def joined(wanted: Sequence[str]) -> Iterator[Batch]:
        asked = [name for name in wanted if name != JOINED]
        read = tuple(dict.fromkeys((*asked, *(apart if JOINED in wanted else ()))))
        for batch in batches(read):
            cells = dict(batch.columns)
            if JOINED in wanted:
                cells[JOINED] = _times(cells, parts, batch.first_row)
            yield Batch(batch.first_row, batch.rows, {name: cells[name] for name in wanted})

    table.sample = tuple(_joined_row(row, table.names, parts, before) for row in table.sample)
    table.records = tuple(
        {JOINED: _text([record.get(name) for name in apart], parts)}
        | {name: cell for name, cell in record.items() if name not in apart}
        for record in table.records
    )
    table.names = (*names[:before], JOINED, *names[before:])
    table.batches = joined
    table.texts = (table.texts - set(apart)) | {JOINED}
    table.joined = apart


# --- Which columns they are ---------------------------------------------------------------------


def _bare(name: str) -> str:
    return _ZONES.sub("", fold(_ASIDE.sub("", name))) if len(name) <= _LONGEST_NAME else ""


def _parts(table: Table) -> _Parts | None:
    names = Names(table)
    bare = {name: _bare(name) for name in table.names}
    clocks = [name for name, word in bare.items() if word in _HOURS]
    minutes = next((name for name, word in bare.items() if word in _MINUTES), None)
    if not clocks:
        return None
    apart = tuple(name for part in ("year", "month", "day") if (name := names.first(part)))
    by_name = [
        name
        for name, word in bare.items()
        if name not in clocks and (word in _DATES or word.endswith(("date", "datum")))
    ]
    looked_at = dict.fromkeys((*clocks, *apart, *by_name, *([minutes] if minutes else [])))
    cells = _first_cells(table, tuple(looked_at))
    dates = _dates(cells, apart, by_name)
    if dates is None:
        return None
    for name in clocks:
        kind = _kind(cells[name])
        if kind is None or (kind[0] and bare[name] in _OPEN):
            continue
        is_number, first_hour = kind
        beside = minutes if is_number and minutes and _are_minutes(cells[minutes]) else None
        return _Parts(dates, name, beside, first_hour)
    written = [
        name
        for name in clocks
        if bare[name] not in _CLOCKS or any(":" in cell for cell in cells[name])
    ]
    if written:
        _refuse_repeated(cells, dates, written)
    return None


def _first_cells(table: Table, wanted: tuple[str, ...]) -> dict[str, list[str]]:
    """Return the texts of the first cells that are not empty."""
    held: dict[str, list[object]] = {name: [] for name in wanted}
    if table.kind == "Parquet":
        # Read again from its beginning when it is asked for its rows.
        for batch in table.batches(wanted):
            for name in wanted:
                held[name] = list(_as_text(batch.columns[name][:_MOST_LOOKED_AT]).to_pylist())
            break
    else:
        for name in wanted:
            at = table.names.index(name)
            held[name] = [row[at] for row in table.sample]
            held[name] += [record.get(name) for record in table.records]
    return {
        name: [text for cell in cells if cell is not None and (text := str(cell).strip())]
        for name, cells in held.items()
    }


def _dates(
    cells: dict[str, list[str]], apart: tuple[str, ...], by_name: Sequence[str]
) -> tuple[str, ...] | None:
    """Return the column of dates, or those of year, month and day."""
    if len(apart) == 3:
        years, months, days = (cells[name] for name in apart)
        if (
            _all(years, lambda text: re.fullmatch(r"20\d\d(\.0)?", text) is not None)
            and _all(months, lambda text: _whole(text) in range(1, 13))
            and _all(days, lambda text: _whole(text) in range(1, 32))
        ):
            return apart
    found = next((name for name in by_name if _all(cells[name], _is_date)), None)
    return None if found is None else (found,)


def _all(texts: Sequence[str], passes: Callable[[str], bool]) -> bool:
    return len(texts) >= _FEWEST and all(map(passes, set(texts)))


def _whole(text: str) -> int | None:
    found = re.fullmatch(r"(\d{1,2})(?:\.0+)?", text)
    return int(found[1]) if found else None


def _is_date(text: str) -> bool:
    return is_date_alone(_date(text)[0])


def _are_minutes(texts: Sequence[str]) -> bool:
    return _all(texts, lambda text: (_whole(text) or 0) < 60 and _whole(text) is not None)


def _kind(texts: Sequence[str]) -> tuple[bool, int] | None:
    """Return whether hours are numbers, and which is the first; None if they are no hours.

    Raises
    ------
    InputError
        If a day has an hour 0 and an hour 24, or ends at 24:00.
    """
    numbers = [_hour(text) for text in texts]
    if _all(texts, lambda text: _hour(text) is not None):
        held = {number for number in numbers if number is not None}
        if max(held) > 24:
            return None
        if 24 in held and 0 in held:
            raise InputError(
                "Hours run from 0 to 24, so one of them is of the day after. Write them from 0 to "
                "23, or as 02:00."
            )
        return True, int(24 in held)
    if not _all(texts, lambda text: _clock(text, 0) is not None or text.startswith("24:00")):
        return None
    if any(text.startswith("24:00") for text in texts):
        raise InputError(
            "Times of day run to 24:00, so each seems to be the end of its row. Write when a row "
            "begins, from 00:00 to 23:00."
        )
    return False, 0


def _refuse_repeated(
    cells: dict[str, list[str]], dates: tuple[str, ...], clocks: Sequence[str]
) -> None:
    """Raise if rows of one date are told apart by a column that cannot be read as an hour."""
    name = clocks[0]
    if len(dates) > 1 or not cells[name] or len(cells[name]) != len(cells[dates[0]]):
        return
    both = set(zip(cells[dates[0]], cells[name], strict=True))
    if len(set(cells[dates[0]])) < len(both) and not any(map(_is_date, cells[name])):
        raise InputError(
            f"'{dates[0]}' holds dates and '{name}' seems to hold the time of day, which cannot be "
            f"read: '{cells[name][0][:40]}'. Write both into one column, such as 2026-03-30 02:00."
        )


# --- What they hold -----------------------------------------------------------------------------


def _hour(text: str) -> int | None:
    match = _HOUR.fullmatch(text)
    if match:
        return int(match[1] or match[2])
    match = _SPAN.fullmatch(text)
    if match and int(match[2]) in (int(match[1]), (int(match[1]) + 1) % 24, int(match[1]) + 1):
        return int(match[1])
    return None


def _clock(text: str, first_hour: int) -> str | None:
    """Return an hour or a time of day as 02:00:00, None if it is none."""
    hour = _hour(text)
    if hour is not None:
        at = hour - first_hour
        return f"{at:02}:00:00" if 0 <= at < 24 else None
    match = _HALF_DAY.fullmatch(text)
    if match:
        return _of_half(int(match[1]), match[2], ":00:00")
    match = _DIGITS.fullmatch(text)
    if match:
        return f"{match[1]}:{match[2]}:{match[3] or '00'}"
    match = _CLOCK.fullmatch(text)
    if match is None:
        return None
    rest = f":{match[2]}:{match[3] or '00'}" + (f".{match[4]}" if match[4] else "")
    rest += "" if not match[6] or match[6].lower() == "uhr" else f" {match[6]}"
    if match[5]:
        return _of_half(int(match[1]), match[5], rest)
    return f"{int(match[1]):02}{rest}" if int(match[1]) < 24 else None


def _of_half(hour: int, half: str, rest: str) -> str | None:
    return f"{hour % 12 + 12 * (half in 'pP'):02}{rest}" if 1 <= hour <= 12 else None


def _date(text: str) -> tuple[str, str]:
    """Return a date without the midnight that is written with it, and the zone behind that."""
    number = _ONE_NUMBER.fullmatch(text)
    if number:
        return "-".join(number.groups()), ""
    # Written as Arrow reads it: what the slow reader would read takes twenty times as long.
    dotted = _DOTTED.fullmatch(text)
    if dotted:
        return f"{dotted[3]}-{int(dotted[2]):02}-{int(dotted[1]):02}", ""
    end = _MIDNIGHT.search(text)
    if end and end.end() == len(text):
        return text[: end.start()], (end["zone"] or "").strip()
    return text, ""


def _two(text: str) -> str:
    """Return the number of a month or day in two digits, of a year as it is."""
    return text.partition(".")[0].rjust(2, "0")


def _with_minutes(clock: str, minutes: str) -> str:
    found = _whole(minutes)
    return clock if found is None or found > 59 else f"{clock[:3]}{found:02}:00"


def _text(cells: Sequence[object], parts: _Parts) -> str | None:
    """Return the time that some cells of a row make, None where one of them is empty."""
    texts = ["" if cell is None else str(cell).strip() for cell in cells]
    if not all(texts):
        return None
    *dates, clock = texts if parts.minutes is None else texts[:-1]
    at = _clock(clock, parts.first_hour) or clock
    if parts.minutes is not None:
        at = _with_minutes(at, texts[-1])
    if len(dates) > 1:
        return f"{'-'.join(map(_two, dates))} {at}"
    day, zone = _date(dates[0])
    return f"{day} {at}{zone}"


def _joined_row(
    row: tuple[str, ...], names: tuple[str, ...], parts: _Parts, before: int
) -> tuple[str, ...]:
    apart = parts.columns()
    time = _text([row[names.index(name)] for name in apart], parts) or ""
    rest = [cell for name, cell in zip(names, row, strict=True) if name not in apart]
    return (*rest[:before], time, *rest[before:])


def _as_text(cells: pa.Array) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.cast(cells, pa.string())


def _times(cells: dict[str, pa.Array], parts: _Parts, first_row: int) -> pa.Array:
    """Return one column of times of the cells of those they stand in."""
    import pyarrow as pa
    import pyarrow.compute as pc

    def each(name: str, change: Callable[[str], str]) -> pa.Array:
        """Change each different text of a column once."""
        text = pc.utf8_trim_whitespace(_as_text(cells[name]))
        held = pc.dictionary_encode(text)
        changed = [None if not one else change(one) for one in held.dictionary.to_pylist()]
        return pa.array(changed, pa.string()).take(held.indices)

    def clock(text: str) -> str:
        if parts.first_hour == 0 and _hour(text) == 24:
            raise InputError(
                f"After row {first_row:,}, '{parts.clock}' counts an hour 24 where the rows before "
                "have none. Write hours from 0 to 23."
            )
        return _clock(text, parts.first_hour) or text

    plain = pc.utf8_trim_whitespace(_as_text(cells[parts.clock]))
    is_plain = pc.all(pc.match_substring_regex(plain, _AS_READ)).as_py()
    at = plain if is_plain else each(parts.clock, clock)
    if parts.minutes is not None:
        minutes = each(parts.minutes, lambda text: _with_minutes("00:00:00", text)[3:])
        at = pc.binary_join_element_wise(pc.utf8_slice_codeunits(at, 0, 2), minutes, ":")
    if len(parts.dates) > 1:
        days = pc.binary_join_element_wise(*(each(name, _two) for name in parts.dates), "-")
        return pc.binary_join_element_wise(days, at, " ")
    (date,) = parts.dates
    at = pc.binary_join_element_wise(at, each(date, lambda text: _date(text)[1]), "")
    return pc.binary_join_element_wise(each(date, lambda text: _date(text)[0]), at, " ")
