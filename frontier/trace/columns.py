"""Cells to numbers: times, token counts, names, each with the cells that make no sense marked.

Everything works on one batch of an Arrow column at a time and gives numpy arrays; a cell that
cannot be read is marked, never guessed. Spreadsheet damage (decimal commas, thousands separators)
is mended where only one reading is possible.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from frontier.delimited import BLANKS_IN_NUMBERS
from frontier.errors import InputError
from frontier.tables import Tables
from frontier.trace.time_texts import IMPOSSIBLE_OFFSET, DateReader

if TYPE_CHECKING:
    import pyarrow as pa

MISSING = -1

_NS_PER_S = 1_000_000_000
_NOT_A_TIME = np.iinfo(np.int64).min
_SAMPLE = 1000
# Beyond nanoseconds since 1970: no time, count or duration is larger.
_LARGEST = 1e19
# A usage has some ten kinds of tokens; what has more names is none.
_MOST_KINDS = 100
_LARGEST_INT = 4 * 10**18


@dataclass(slots=True)
class Clock:
    """Turns one column of times into offsets from its first time, batch after batch.

    The first batch decides whether the column holds numbers or dates.

    Attributes
    ----------
    is_date : bool or None
        Dates, whose offsets are seconds; else numbers, whose offsets are in the unit of the
        file. None until a time was read.
    origin : int or float
        The first time: nanoseconds since 1970 for dates, else the number as it stands.
    zoned : bool
        Whether the type of the column has a time zone.
    whole : bool
        Whether every number so far is whole.
    bad : tuple of (int, str), or None
        Row and text of the first cell that is no time.
    smallest, largest : float
        The extreme numbers so far, in the unit of the file.
    place : str or None
        Where the clock stood, for names of zones that several zones have.
    tables : Tables, optional
        For the names of zones.
    """

    decimal_comma: bool = False
    place: str | None = None
    tables: Tables | None = None
    is_date: bool | None = None
    origin: float | None = None
    zoned: bool = False
    whole: bool = True
    bad: tuple[int, str] | None = None
    smallest: float = np.inf
    largest: float = -np.inf
    _reader: DateReader = field(init=False)

    def __post_init__(self) -> None:
        self._reader = DateReader(self.place, self.tables)

    @property
    def month(self) -> str:
        """The first date that is only a month, such as 2026-05; empty if there is none."""
        return self._reader.month

    @property
    def week(self) -> str:
        """The first week that was read as a date, in words; empty if there is none."""
        return self._reader.week

    @property
    def has_zone(self) -> bool:
        """Whether dates name their time zone."""
        return self.zoned or bool(self._reader.zones)

    @property
    def is_partly_zoned(self) -> bool:
        """Whether some dates name their zone and others do not."""
        return bool(self._reader.zones) and self._reader.unzoned

    @property
    def zones(self) -> tuple[str, ...]:
        """The zones that dates name, as far as some of every batch show."""
        return tuple(self._reader.zones)

    def offsets(self, cells: pa.Array, first_row: int) -> NDArray[np.float64]:
        """Return the offsets of some cells, not-a-number where a cell is no time."""
        import pyarrow as pa

        cells = _plain(cells)
        if pa.types.is_timestamp(cells.type) or pa.types.is_date(cells.type):
            self.is_date = True
            zone = getattr(cells.type, "tz", None)
            if zone is not None:
                self.zoned = True
                self._reader.zones.setdefault(zone)
            result = self._of_dates(cells)
        elif pa.types.is_string(cells.type):
            result = self._of_text(cells)
        elif pa.types.is_boolean(cells.type):
            raise InputError("A column of times holds only true and false.")
        else:
            self.is_date = False
            result = self._of_numbers(cells)
        if self.bad is None and np.isnan(result).any():
            at = int(np.flatnonzero(np.isnan(result))[0])
            text = cell_of(cells, at)
            self.bad = (first_row + at, "an empty cell" if text is None else f"'{text}'")
        return result

    def _of_numbers(self, cells: pa.Array) -> NDArray[np.float64]:
        import pyarrow as pa
        import pyarrow.compute as pc

        result = np.full(len(cells), np.nan)
        good = cells.is_valid().to_numpy(zero_copy_only=False)
        try:
            # Whole numbers are subtracted as such: nanoseconds since 1970 do not fit in a float.
            held = pc.fill_null(_cast(cells, pa.int64()), 0).to_numpy(zero_copy_only=False)
        except pa.ArrowInvalid:
            held = numbers(cells, self.decimal_comma)
            good = np.isfinite(held)
            self.whole = self.whole and bool(np.all(held[good] == np.floor(held[good])))
        if held.dtype.kind == "i":
            good &= (held > -_LARGEST_INT) & (held < _LARGEST_INT)
        if not good.any():
            return result
        if self.origin is None:
            self.origin = held[good][0].item()
        self.smallest = min(self.smallest, float(held[good].min()))
        self.largest = max(self.largest, float(held[good].max()))
        origin = self.origin
        if held.dtype.kind == "f" or isinstance(origin, float):
            held, origin = held.astype(np.float64), float(origin)
        result[good] = held[good] - origin
        return result

    def _of_dates(self, cells: pa.Array) -> NDArray[np.float64]:
        import pyarrow as pa
        import pyarrow.compute as pc

        zone = getattr(cells.type, "tz", None)
        try:
            dates = pc.cast(cells, pa.timestamp("ns", zone))
        except pa.ArrowInvalid:  # the year 9999 does not fit in nanoseconds
            second = pc.cast(pc.cast(cells, pa.timestamp("s", zone), safe=False), pa.int64())
            fits = pc.less(pc.abs(second), _LARGEST_INT // _NS_PER_S)
            dates = pc.cast(pc.if_else(fits, cells, None), pa.timestamp("ns", zone))
        ns = dates.cast(pa.int64())
        return self._of_ns(pc.fill_null(ns, _NOT_A_TIME).to_numpy(zero_copy_only=False))

    def _of_ns(self, ns: NDArray[np.int64]) -> NDArray[np.float64]:
        good = ns != _NOT_A_TIME
        if self.origin is None and good.any():
            self.origin = int(ns[good][0])
        result = np.full(ns.size, np.nan)
        if self.origin is not None:
            result[good] = (ns[good] - int(self.origin)) / _NS_PER_S
        return result

    def _of_text(self, cells: pa.Array) -> NDArray[np.float64]:
        import pyarrow.compute as pc

        if self.is_date is None and len(cells) > cells.null_count:
            some = cells.drop_null()[:_SAMPLE]
            are_none = _numbers(some, self.decimal_comma)[1]
            self.is_date = 2 * int(np.count_nonzero(are_none)) > len(some)
        if not self.is_date:
            _refuse_lost_precision(cells)
            return self._of_numbers(cells)
        return self._of_date_text(pc.utf8_trim_whitespace(cells))

    def _of_date_text(self, cells: pa.Array) -> NDArray[np.float64]:
        import pyarrow as pa
        import pyarrow.compute as pc

        self._reader.note_zones(cells.drop_null()[:_SAMPLE].to_pylist())
        if self._reader.is_any_impossible:
            wrong = pc.match_substring_regex(cells, IMPOSSIBLE_OFFSET)
            cells = pc.if_else(pc.fill_null(wrong, False), None, cells)
        spelt = cells
        for name, offset in self._reader.zones_named().items():
            ahead = "Z" if offset == "UTC" else offset
            spelt = pc.replace_substring_regex(spelt, rf"(?i)(\d)\s*\(?{name}\)?$", rf"\1{ahead}")
        for zone in (None, "UTC"):
            try:
                dates = pc.cast(spelt, pa.timestamp("ns", zone))
            except pa.ArrowInvalid:
                continue
            self.zoned = self.zoned or (zone is not None and dates.null_count < len(dates))
            return self._of_dates(dates)
        return self._of_ns(self._slow_dates(cells))

    def _slow_dates(self, cells: pa.Array) -> NDArray[np.int64]:
        """Read dates one by one: mixed precision, month names, slashes, 12-hour clocks."""
        import pandas as pd

        text = pd.Series(cells.to_pylist(), dtype=object).str.replace(
            r"(:\d\d),(\d+)", r"\1.\2", regex=True
        )
        dates = pd.to_datetime(text, format="ISO8601", utc=True, errors="coerce").dt.as_unit("us")
        latest = pd.Timestamp(_LARGEST_INT, tz="UTC")
        is_iso = (dates.notna() & (dates < latest) & (dates > pd.Timestamp(0, tz="UTC"))).to_numpy()
        ns = np.full(len(text), _NOT_A_TIME)
        precise = pd.to_datetime(text[is_iso], format="ISO8601", utc=True)
        ns[is_iso] = precise.dt.as_unit("ns").astype("int64").to_numpy()
        rest = np.flatnonzero(~is_iso & dates.isna().to_numpy() & text.notna().to_numpy())
        if rest.size:
            found = self._reader.read([text.iloc[at] for at in rest])
            for at, stamp in zip(rest, found, strict=True):
                if stamp is not None and 0 < stamp < _LARGEST_INT:
                    ns[at] = stamp
        return ns


@dataclass(slots=True)
class Codes:
    """Numbers names in the order in which they come, batch after batch."""

    names: dict[str, int] = field(default_factory=dict)

    def of(self, cells: pa.Array) -> NDArray[np.int32]:
        """Return the number of each cell's name, `MISSING` where the cell is empty."""
        import pyarrow.compute as pc

        encoded = pc.dictionary_encode(as_text(cells))
        known = [
            self.names.setdefault(name, len(self.names)) for name in encoded.dictionary.to_pylist()
        ]
        lookup = np.array([*known, MISSING], dtype=np.int32)
        at = pc.fill_null(encoded.indices, len(known)).to_numpy(zero_copy_only=False)
        return lookup[at]


def tokens(
    cells: pa.Array, decimal_comma: bool = False
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Return token counts, `MISSING` where a cell is empty, and which cells are no count.

    No count is what is negative, has a fraction, is not a number or exceeds 2³¹ − 1.
    """
    import pyarrow as pa

    cells = _plain(cells)
    if pa.types.is_string(cells.type):
        cells = _without_thousands(cells, decimal_comma)
        numbers, bad = _numbers(cells, decimal_comma)
    elif pa.types.is_boolean(cells.type):
        return np.zeros(len(cells), np.int32), np.ones(len(cells), bool)
    else:
        numbers, bad = _numpy(cells), np.zeros(len(cells), dtype=bool)
    empty = cells.is_null().to_numpy(zero_copy_only=False)
    with np.errstate(invalid="ignore"):
        fits = (numbers >= 0) & (numbers <= np.iinfo(np.int32).max) & (numbers == np.floor(numbers))
    if numbers.dtype.kind == "f":
        empty = empty | (np.isnan(numbers) & ~bad)
    bad = (bad | ~fits) & ~empty
    return np.where(fits & ~empty, numbers, MISSING).astype(np.int32), bad


def numbers(cells: pa.Array, decimal_comma: bool = False) -> NDArray[np.float64]:
    """Return cells as numbers, not-a-number where one is empty or none."""
    import pyarrow as pa

    cells = _plain(cells)
    found = _numbers(cells, decimal_comma)[0] if pa.types.is_string(cells.type) else _numpy(cells)
    found = found.astype(np.float64)
    return np.where(np.abs(found) < _LARGEST, found, np.nan)


def counts(cells: pa.Array, decimal_comma: bool = False) -> NDArray[np.float64]:
    """Return numbers of requests or tokens of any size, not-a-number where a cell is none."""
    import pyarrow as pa

    kind, is_a = cells.type, pa.types
    if is_a.is_boolean(kind) or is_a.is_timestamp(kind) or is_a.is_date(kind):
        return np.full(len(cells), np.nan)
    cells = _plain(cells)
    if is_a.is_string(cells.type):
        cells = _without_thousands(cells, decimal_comma)
    return numbers(cells, decimal_comma)


def _without_thousands(cells: pa.Array, decimal_comma: bool) -> pa.Array:
    """Nothing has a fraction of a token or a request: 1.234 can only be 1234."""
    import pyarrow.compute as pc

    if not decimal_comma:
        return cells
    grouped = pc.match_substring_regex(cells, r"^\d{1,3}(\.\d{3})+$")
    return pc.if_else(grouped, pc.replace_substring(cells, ".", ""), cells)


def usage(
    cells: Mapping[str, pa.Array],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return prompt, output and cached tokens of counts by kind; not-a-number where there is none.

    Kinds of input add up to the prompt and those of output to the answer, as Langfuse counts them:
    its "input" is what is left beside "input_cached_tokens" and the like. Where input and output
    alone make the total, the other kinds are parts of them.

    Parameters
    ----------
    cells : mapping of str to Array
        Columns by name, the last part of which is the kind; or one, of JSON objects as text.
    """
    import pyarrow as pa

    (first, *others) = cells.values()
    if not others and pa.types.is_string(_plain(first).type):
        kinds = _kinds_in_json(first)
    else:
        kinds = {name.rsplit(".", 1)[-1]: numbers(column) for name, column in cells.items()}
    folded = {re.sub(r"[\s_\-]+", "", name.casefold()): values for name, values in kinds.items()}
    none = np.full(len(first), np.nan)

    def added(part: str, *words: str) -> NDArray[np.float64]:
        found = [
            values
            for name, values in folded.items()
            if any(word in name for word in words) and re.search(part, name)
        ]
        if not found:
            return none
        held = np.stack(found)
        return np.where(np.isnan(held).all(axis=0), np.nan, np.nansum(held, axis=0))

    alone = [
        next((folded[name] for name in names if name in folded), none)
        for names in (
            ("input", "inputtokens", "prompttokens", "prompt"),
            ("output", "outputtokens", "completiontokens", "completion"),
        )
    ]
    is_whole = alone[0] + alone[1] == added("^total", "total")
    inputs, outputs = ("input", "prompt"), ("output", "completion")
    prompt = np.where(is_whole, alone[0], added("", *inputs))
    output = np.where(is_whole, alone[1], added("", *outputs))
    return prompt, output, added(r"^(?!.*(creat|writ)).*cach", *inputs)


def _kinds_in_json(cells: pa.Array) -> dict[str, NDArray[np.float64]]:
    """Return the numbers of cells that hold a JSON object as text, by their names."""
    kinds: dict[str, NDArray[np.float64]] = {}
    for row, text in enumerate(cells.to_pylist()):
        try:
            held = json.loads(text) if isinstance(text, str) else {}
        except (ValueError, RecursionError):
            held = {}
        for name, value in held.items() if isinstance(held, dict) else ():
            if isinstance(value, int | float) and abs(value) < _LARGEST:
                if name not in kinds and len(kinds) < _MOST_KINDS:
                    kinds[name] = np.full(len(cells), np.nan)
                if name in kinds:
                    kinds[name][row] = value
    return kinds


def hashes(cells: pa.Array) -> NDArray[np.uint64]:
    """Return a 64-bit hash of each cell, to find equal ones without keeping them; 0 if empty."""
    import pandas as pd
    import pyarrow.compute as pc

    text = pc.fill_null(as_text(cells), "")
    found = pd.util.hash_array(text.to_numpy(zero_copy_only=False).astype(object), categorize=False)
    return np.where(pc.equal(text, "").to_numpy(zero_copy_only=False), np.uint64(0), found)


def cell_of(cells: pa.Array, at: int) -> Any:
    """Return one cell, as text where it is a date beyond Python's own."""
    try:
        return cells[at].as_py()
    except (OverflowError, ValueError):
        return as_text(cells.slice(at, 1))[0].as_py()


def as_text(cells: pa.Array) -> pa.Array:
    """Return cells as text, whatever they were."""
    import pyarrow as pa
    import pyarrow.compute as pc

    whole = pa.types.is_integer(cells.type)
    return pc.cast(cells if whole else _plain(cells), pa.string())


def paths(cells: pa.Array) -> pa.Array:
    """Return the paths in cells that hold one, or a whole request line: POST /path HTTP/1.1."""
    import pyarrow.compute as pc

    return pc.replace_substring_regex(as_text(cells), r"^[A-Z]+ (\S+)(?: HTTP/[0-9.]+)?$", r"\1")


def _plain(cells: pa.Array) -> pa.Array:
    """Return cells as text, truth values, signed or floating numbers, or dates."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind, is_a = cells.type, pa.types
    if is_a.is_large_string(kind) or is_a.is_null(kind) or is_a.is_string_view(kind):
        return pc.cast(cells, pa.string())
    if is_a.is_uint64(kind) and (pc.max(cells).as_py() or 0) > np.iinfo(np.int64).max:
        return pc.cast(cells, pa.float64(), safe=False)
    if is_a.is_integer(kind):
        return pc.cast(cells, pa.int64())
    if is_a.is_decimal(kind):
        return pc.cast(cells, pa.float64())
    if is_a.is_string(kind) or is_a.is_boolean(kind) or is_a.is_floating(kind):
        return cells
    if is_a.is_timestamp(kind) or is_a.is_date(kind):
        return cells
    raise InputError(f"A column of times, token counts or names holds {kind}.")


def _numpy(cells: pa.Array) -> NDArray[np.number]:
    """Return numbers as int64 if none is missing, else as float64 with not-a-number."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not (pa.types.is_integer(cells.type) or pa.types.is_floating(cells.type)):
        raise InputError(f"A column of numbers holds {cells.type}.")
    if pa.types.is_integer(cells.type) and not cells.null_count:
        return pc.cast(cells, pa.int64()).to_numpy(zero_copy_only=False)
    return pc.cast(cells, pa.float64(), safe=False).to_numpy(zero_copy_only=False)


def _cast(cells: pa.Array, kind: pa.DataType) -> pa.Array:
    import pyarrow.compute as pc

    pc.cast(cells[:_SAMPLE], kind)  # Arrow takes long to find that none of many cells can be cast
    return pc.cast(cells, kind)


def _numbers(cells: pa.Array, decimal_comma: bool) -> tuple[NDArray[np.number], NDArray[np.bool_]]:
    """Return text as numbers and which cells are none (empty cells are not-a-number, not bad)."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    cells = pc.utf8_trim_whitespace(cells)
    for kind in (pa.int64(), pa.float64()):
        try:
            return _numpy(_cast(cells, kind)), np.zeros(len(cells), dtype=bool)
        except pa.ArrowInvalid:
            continue
    thousands, decimal = (".", ",") if decimal_comma else (",", ".")
    escaped = "\\" + thousands
    grouped = pc.match_substring_regex(cells, rf"^-?\d{{1,3}}({escaped}\d{{3}})+(\{decimal}\d+)?$")
    if decimal_comma:
        # 45.123 has one dot and no comma: a decimal point, unless a cell has a decimal comma.
        commas = pc.any(pc.match_substring(cells, ",")).as_py()
        grouped = pc.and_(grouped, pa.scalar(bool(commas)))
    cells = pc.if_else(grouped, pc.replace_substring(cells, thousands, ""), cells)
    spaced = pc.match_substring_regex(
        cells, rf"^-?\d{{1,3}}({BLANKS_IN_NUMBERS}\d{{3}})+(\{decimal}\d+)?$"
    )
    bare = pc.replace_substring_regex(cells, BLANKS_IN_NUMBERS, "")
    cells = pc.if_else(spaced, bare, cells)
    if decimal_comma:
        cells = pc.replace_substring(cells, ",", ".")
    text = pd.Series(cells.to_pylist(), dtype=object)
    numbers = pd.to_numeric(text, errors="coerce").to_numpy(dtype=np.float64)
    return numbers, np.isnan(numbers) & text.notna().to_numpy()


def _refuse_lost_precision(cells: pa.Array) -> None:
    import pyarrow.compute as pc

    lost = pc.match_substring_regex(cells, r"^\s*\d[.,]\d{1,6}[eE]\+?\d+\s*$")
    if pc.any(lost).as_py():
        example = cells.filter(lost)[0].as_py()
        raise InputError(
            f"Times like {example} lost precision in a spreadsheet. "
            "Export the file again, with times as text."
        )
