"""Lists of seconds in other writings, brought into the one that `seconds` reads.

JSON, Markdown tables, bullets, quoted numbers, lines such as ``fetch: 43.2 s``, the names of
stages as they stand on screen, headers in other languages, and durations such as 00:01:02.5 or
PT1M43S. Each line stays in its place, so that an error names it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from frontier.errors import InputError
from frontier.start.labels import STAGE_LABELS
from frontier.start.seconds import TOTAL
from frontier.start.stages import STAGES

_NAMES = {
    **{label.casefold(): name for name, label in STAGE_LABELS.items()},
    **{name.replace("_", " "): name for name in (*STAGES, TOTAL)},
    "startup": TOTAL,
    "cold start": TOTAL,
}
_STAGE_WORDS = ("stage", "phase", "step", "stufe", "étape", "etape", "etapa", "fase")
_SECONDS_WORDS = {
    "sekunden": "seconds",
    "sek": "seconds",
    "secondes": "seconds",
    "segundos": "seconds",
    "secondi": "seconds",
    "seconden": "seconds",
    "millisekunden": "ms",
    "millisecondes": "ms",
    "milisegundos": "ms",
}
_LISTS = ("starts", "totals", "seconds", "total", "cold_starts", "cold starts")
_BULLET_RE = re.compile(r"^(?:[-*•]|\d{1,4}[.)])\s{1,10}(?=\S)")
_RULE_RE = re.compile(r"^\|?[\s:|-]{3,400}\|?$")
_PAIR_RE = re.compile(
    r"(?P<name>[A-Za-z][\w /-]{0,40}?)\s{0,10}[:=]\s{0,10}"
    r"(?P<value>[+-]?\d[\d.,]{0,30}\s?(?:ms|s|secs?|seconds)?)",
    re.I,
)
_CLOCK_RE = re.compile(r"(?:(\d{1,3}):)?(\d{1,2}):(\d{2}(?:[.,]\d{1,6})?)")
_ISO_RE = re.compile(r"PT(?:(\d{1,3})H)?(?:(\d{1,4})M)?(?:(\d{1,6}(?:\.\d{1,9})?)S)?", re.I)


def plain_rows(rows: Sequence[str]) -> list[str]:
    """Return the rows of a list of seconds in the writing that is read; others as they are.

    Raises
    ------
    InputError
        If the list holds times such as 1:02, which can be minutes or hours.
    """
    said = [row for row in rows if row]
    if not said:
        return list(rows)
    if said[0][0] in "[{":
        return _of_json("\n".join(rows)) or list(rows)
    found = list(rows)
    if all(row.startswith("|") or _RULE_RE.match(row) for row in said):
        found = [
            "" if _RULE_RE.match(row) else ";".join(c.strip() for c in row.strip("|").split("|"))
            for row in found
        ]
    elif all(_BULLET_RE.match(row) for row in said) and not _is_numbered(said):
        found = [_BULLET_RE.sub("", row) for row in found]
    found = _pairs(found) or [_named(row) for row in found]
    items = [re.split(r"[\s;]+|,(?=\s)", row.strip("\"'")) for row in found if row]
    if all(_CLOCK_RE.fullmatch(item.strip("\"',")) for row in items for item in row):
        _refuse_minutes(items)
        found = [_CLOCK_RE.sub(_in_seconds, row) for row in found]
    if all(_ISO_RE.fullmatch(item.strip("\"',")) for row in items for item in row):
        found = [_ISO_RE.sub(_in_seconds, row) for row in found]
    if all(re.fullmatch(r"\"[\d.,]{1,40}\"", row) for row in found if row):
        found = [row.strip('"') for row in found]
    return found


def _is_numbered(rows: Sequence[str]) -> bool:
    """Whether the marks of a list are its numbers: the reader of numbers asks about them."""
    return all(row[0].isdigit() for row in rows)


def _of_json(text: str) -> list[str] | None:
    try:
        found = json.loads(text, parse_float=str, parse_int=str)
    except (ValueError, RecursionError):
        return None
    if isinstance(found, list) and found and all(_is_number(value) for value in found):
        return [str(value) for value in found]
    if isinstance(found, list) and found and all(isinstance(part, dict) for part in found):
        pairs = [(_stage(part.get("stage")), part.get("seconds")) for part in found]
        if all(name and _is_number(value) for name, value in pairs):
            return ["stage,seconds", *(f"{name},{value}" for name, value in pairs)]
        return None
    if not isinstance(found, dict) or not found:
        return None
    if len(found) == 1:
        ((key, values),) = found.items()
        if key.casefold() in _LISTS and isinstance(values, list):
            return [str(value) for value in values] if all(map(_is_number, values)) else None
    runs = [
        (_stage(key), value)
        for key, held in found.items()
        for value in (held if isinstance(held, list) else [held])
    ]
    if not all(name and _is_number(value) for name, value in runs):
        return None
    return ["stage,seconds", *(f"{name},{value}" for name, value in runs)]


def _is_number(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"-?\d[\d.eE+-]{0,40}", value) is not None


def _stage(name: object) -> str:
    """Return the stage a name stands for; empty if none."""
    if not isinstance(name, str):
        return ""
    plain = re.sub(r"[\s_-]{1,20}", " ", name[:60].strip(" \"'*`")).casefold()
    return _NAMES.get(plain, "")


def _pairs(rows: Sequence[str]) -> list[str] | None:
    """Return lines such as ``fetch: 43.2 s`` as those of a table; None for other rows."""
    found: list[str] = []
    for row in rows:
        match = _PAIR_RE.fullmatch(row)
        name = _stage(match["name"]) if match else ""
        if row and not name:
            return None
        found.append(f"{name};{match['value']}" if match else "")
    return found


def _named(row: str) -> str:
    """Return a row with its stage, or the words of its header, as the reader calls them."""
    mark = next((mark for mark in ";\t," if mark in row), "")
    cells = row.split(mark) if mark else [row]
    first = cells[0].strip(" \"'*`")
    if len(cells) > 1 and first.casefold() in _STAGE_WORDS:
        cells[0] = "stage"
        cells[1] = _seconds_word(cells[1])
    elif len(cells) > 1 and _stage(first):
        cells[0] = _stage(first)
    elif len(row) < 200 and not any(character.isdigit() for character in row):
        cells = [_seconds_word(cell) for cell in cells]
    return mark.join(cells)


def _seconds_word(cell: str) -> str:
    return _SECONDS_WORDS.get(cell.strip(" \"'.").casefold(), cell)


def _refuse_minutes(items: Sequence[Sequence[str]]) -> None:
    for row in items:
        for item in row:
            match = _CLOCK_RE.fullmatch(item.strip("\"',"))
            if match is not None and match[1] is None:
                minutes, seconds = match[2], match[3]
                raise InputError(
                    f"Is '{item[:20]}' {minutes} minutes and {seconds} seconds, or {minutes} hours "
                    f"and {seconds} minutes? Write '{minutes}m {seconds}s' or "
                    f"'{minutes}h {seconds}m 0s'."
                )


def _in_seconds(match: re.Match[str]) -> str:
    hours, minutes, seconds = (float((part or "0").replace(",", ".")) for part in match.groups())
    return f"{hours * 3600 + minutes * 60 + seconds:.9g}" if match[0] else ""
