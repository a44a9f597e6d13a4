"""Lists of seconds: whole starts one after the other, or lines of a stage and its seconds.

Decimal commas are read where the list leaves no doubt; where a comma or the size of a number can
be meant in two ways, the text is refused with the question. Units may stand at the numbers.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Sequence

from frontier.errors import InputError
from frontier.spell import significant
from frontier.start.lines import ReadLine
from frontier.start.stages import STAGES
from frontier.units import SECONDS_PER_HOUR, SECONDS_PER_MINUTE

TOTAL = "total"
_UNIT = r"(?:ms|msecs?|milliseconds?|s|secs?|seconds?)"
_TOKEN_RE = re.compile(
    rf"(?P<number>[+-]?\d[\d.,]{{0,30}}(?:[eE][+-]?\d{{1,3}})?)\s?(?P<unit>{_UNIT})?", re.I
)
_ITEM_RE = re.compile(rf"[+-]?\d[\d.]{{0,30}}(?:[eE][+-]?\d{{1,3}})?{_UNIT}?", re.I)
_MINUTES_RE = re.compile(
    r"(?i)(?<![\w.,])(?:(?P<alone>\d{1,4}(?:\.\d{1,9})?)\s?min(?:ute)?s?(?![\w.])|"
    r"(?:(?P<h>\d{1,3})h\s?)?(?P<m>\d{1,4})m(?:in)?\s?(?P<s>\d{1,2}(?:\.\d{1,9})?)s(?![\w.]))"
)
_HEADERS = {"seconds": 1.0, "s": 1.0, "sec": 1.0, "secs": 1.0, "ms": 1e-3, "milliseconds": 1e-3}
_NOT_SECONDS = "expected a number of seconds of at least 0, found"


def read_totals(text: str, ask_s: float) -> tuple[float, ...]:
    """Return the whole starts of a text that holds nothing but numbers; empty for any other [s].

    Parameters
    ----------
    text : str
        The text.
    ask_s : float
        Seconds above which a bare number may be milliseconds and is asked about [s].

    Raises
    ------
    InputError
        If a comma, or the size of a number, can be meant in two ways, or a start lasts 0 s.
    """
    rows = [_MINUTES_RE.sub(_in_seconds, row.strip()) for row in text.splitlines() if row.strip()]
    head = [_words(cell)[-1] for cell in re.split(r"[;\t,]", rows[0][:80])] if rows[1:] else []
    is_header = not any(c.isdigit() for c in rows[0][:80]) if rows else False
    factor = next((_HEADERS[cell] for cell in head if cell in _HEADERS), 0.0) if is_header else 0.0
    if factor:
        rows = _column_of_seconds(rows)
    items = [item for row in rows for item in re.split(r"[\s;,]+", _joined(row)) if item]
    if not items or not all(_ITEM_RE.fullmatch(item) for item in items):
        return ()
    decimal = _comma_is_decimal(rows)
    if not decimal:
        rows = [re.sub(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?=\.\d)", _ungrouped, row) for row in rows]
    values: list[float] = []
    for row in rows:
        for piece in re.split(r"[\s;]+|,(?=\s)|,$" if decimal else r"[\s;,]+", _joined(row)):
            if piece:
                values.append(_value(piece, decimal, ask_s, factor or 1.0))
    _refuse_numbered(rows, decimal)
    if min(values) <= 0:
        raise InputError("A whole start lasts more than 0 s; the list holds a zero.")
    return tuple(values)


def _column_of_seconds(rows: list[str]) -> list[str]:
    """Return the cells below a header: of several columns those of the one that holds seconds."""
    delimiter = next((mark for mark in ";\t," if mark in rows[0]), None)
    if delimiter is None:
        return rows[1:]
    head, *body = ([cell.strip("\"' ") for cell in row.split(delimiter)] for row in rows)
    named = [at for at, cell in enumerate(head) if _words(cell)[-1] in _HEADERS]
    if len(named) != 1 or any(len(cells) != len(head) for cells in body):
        raise InputError(
            f"The list has {len(head)} columns ({rows[0][:80]}), and it is not clear which one "
            "holds the seconds of a start. Keep that one alone."
        )
    return [cells[named[0]] for cells in body]


def _words(text: str) -> list[str]:
    return re.split(r"[\W_]+", text[:80].casefold().strip("\"') ")) or [""]


def _refuse_numbered(rows: Sequence[str], decimal: bool) -> None:
    """Refuse lines that begin with their own number: it would be one start more of each."""
    apart = r"[\s;]+" if decimal else r"[\s;,]+"
    pairs = [[piece for piece in re.split(apart, _joined(row)) if piece] for row in rows]
    if len(pairs) > 1 and all(
        len(pair) == 2 and pair[0].rstrip(".") == str(number)
        for number, pair in enumerate(pairs, 1)
    ):
        raise InputError(
            f"Each line begins with its number ('{rows[0][:40]}'), which would be read as a start "
            f"of so many seconds. Keep the seconds alone, such as '{pairs[0][1][:20]}'."
        )


def _in_seconds(match: re.Match[str]) -> str:
    """Return a duration such as 1m 43.5s or 1.5 minutes in seconds."""
    if match["alone"]:
        return f"{float(match['alone']) * SECONDS_PER_MINUTE:.9g}s"
    hours, minutes = int(match["h"] or 0), int(match["m"])
    return f"{hours * 3600 + minutes * 60 + float(match['s']):.9g}s"


def _ungrouped(match: re.Match[str]) -> str:
    return match[0].replace(",", "")


def is_stages(rows: Sequence[str]) -> bool:
    """Whether the first row of a text is one of a stage and its seconds, or their header."""
    first = next((row for row in rows if row.strip() and not row.startswith("#")), "")
    cells = [cell.strip(" \"'").casefold() for cell in re.split(r"[,;\t]", first[:200])]
    if cells[0] == "stage" and len(cells) > 1:
        return cells[1] in _HEADERS
    return len(cells) in (2, 3) and cells[0] in (*STAGES, TOTAL)


def read_stages(rows: Sequence[str], ask_s: float) -> tuple[dict[str, list[float]], list[ReadLine]]:
    """Return the seconds of each stage of a CSV, in order, and its lines."""
    runs: dict[str, list[float]] = {}
    lines: list[ReadLine] = []
    head = next(row for row in rows if row.strip() and not row.startswith("#"))
    delimiter = next((mark for mark in ";\t" if mark in head), ",")
    factor = 1.0
    for number, row in enumerate(rows, start=1):
        if not row.strip() or row.startswith("#"):
            continue
        cells = [cell.strip() for cell in next(csv.reader([row], delimiter=delimiter), [])]
        stage = cells[0].casefold() if cells else ""
        if stage == "stage":
            factor = _HEADERS.get(cells[1].casefold() if len(cells) > 1 else "", 1.0)
            continue
        if stage not in (*STAGES, TOTAL):
            raise InputError(
                f"row {number}: expected a stage, one of {', '.join((*STAGES, TOTAL))}, found "
                f"'{cells[0][:40] if cells else ''}'"
            )
        found = cells[1] if len(cells) > 1 else ""
        if len(cells) > 2 and any(cells[2:]):
            raise InputError(
                f"row {number}: expected a stage and its seconds, found {len(cells)} cells. If a "
                f"comma is the decimal mark, separate the cells by a semicolon: '{stage};43,2'."
            )
        match = _TOKEN_RE.fullmatch(found)
        if not match or not math.isfinite(_plain(match["number"])) or _plain(match["number"]) < 0:
            raise InputError(f"row {number}, column seconds: {_NOT_SECONDS} '{found[:40]}'")
        seconds = _value(found, "," in found, ask_s, factor)
        runs.setdefault(stage, []).append(seconds)
        lines.append(ReadLine(number, f"{stage},{seconds:g}", f"{stage}, measured", seconds))
    if not runs:
        raise InputError("The CSV has a header but no rows. Expected lines such as 'compile,23.4'.")
    return runs, lines


def _comma_is_decimal(rows: Sequence[str]) -> bool:
    """Whether commas inside numbers are decimal; a question if that cannot be told."""
    pieces = [piece for row in rows for piece in re.split(r"[\s;]+", _joined(row)) if piece]
    pieces = [re.sub(rf"(?i){_UNIT}$", "", piece).strip(",") for piece in pieces]
    inner = [piece for piece in pieces if "," in piece]
    if not inner:
        return False
    if all(re.fullmatch(r"\d{1,3}(?:,\d{3})+\.\d+", piece) for piece in inner):
        return False  # a point behind it: the comma sets thousands apart
    for piece in inner:
        if re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", piece):
            whole, point = piece.replace(",", ""), piece.replace(",", ".", 1)
            raise InputError(
                f"Is '{piece}' {point} seconds, or {whole} seconds or milliseconds? Write it "
                f"without the comma, as '{point}' or '{whole} ms'."
            )
    if all(re.fullmatch(r"\d+,\d+|\d{1,3}(?:\.\d{3})+,\d+", piece) for piece in inner):
        if (pieces == [inner[0]] and "." not in inner[0]) or any(
            "." in p for p in pieces if p not in inner
        ):
            raise InputError(
                f"Is '{inner[0][:40]}' one number with a decimal comma or two numbers? Write "
                f"'{inner[0].replace(',', '.')[:40]}' or '{inner[0].replace(',', ', ')[:40]}'."
            )
        return True
    return False


def _joined(row: str) -> str:
    """Return the row with units standing at their numbers: '43 s' becomes '43s'."""
    return re.sub(rf"(?i)(?<=\d)\s(?={_UNIT}(?:[\s;,]|$))", "", row)


def _plain(number: str) -> float:
    try:
        return float(number.replace(",", "."))
    except ValueError:
        return math.nan


def _value(piece: str, decimal: bool, ask_s: float, factor: float = 1.0) -> float:
    match = _TOKEN_RE.fullmatch(piece.strip())
    if match is None:
        raise InputError(f"The list: {_NOT_SECONDS} '{piece[:40]}'.")
    number = match["number"]
    if decimal and re.fullmatch(r"\d{1,3},\d{3}", number):
        raise InputError(
            f"Is '{number}' {number.replace(',', '.')} seconds, or {number.replace(',', '')} "
            f"seconds or milliseconds? Write '{number.replace(',', '.')}' or "
            f"'{number.replace(',', '')} ms'."
        )
    if decimal and "." in number and "," in number:
        number = number.replace(".", "")
    value = _plain(number)
    if not math.isfinite(value) or value < 0:
        raise InputError(f"The list: {_NOT_SECONDS} '{piece[:40]}'.")
    unit = (match["unit"] or "").casefold()
    if unit.startswith("m"):
        return value / 1e3
    if not unit and factor == 1.0 and value > ask_s:
        raise InputError(
            f"Is {significant(value, 12)} seconds ({significant(value / SECONDS_PER_HOUR)} h) or "
            f"milliseconds ({value / 1e3:g} s)? A start rarely lasts more than {ask_s:,.0f} s: "
            f"write '{value:.12g} ms', '{value / 1e3:g}' or, if it is so, '{value:.12g} s'."
        )
    return value * factor
