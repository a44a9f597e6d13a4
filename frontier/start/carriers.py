"""What carries a log: container runtimes, collectors and their exports, in lines or as JSON.

Byte order marks, colours, prefixes and the JSON around a line are taken off; two clocks are kept
apart, that of the carrier (first on the line) and that of the engine, and so is who wrote a line
(a pod, a service, a worker), since several replicas may stand in one text. An export that begins
with the newest line is turned round. A line is cut to the length data/settings.csv allows before
any pattern sees it.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from frontier.start.clocks import (
    bare_time,
    days_counted,
    epoch,
    seconds_of,
    stamps_of,
    uptime,
)
from frontier.start.lines import Line

NEWEST_FIRST = "The newest line comes first: the text was read from its end."
_ANSI_RE = re.compile(r"\x1b\[[0-9;?]{0,20}[A-Za-z]")
_CRI_RE = re.compile(
    r"(?P<at>\d{4}-\d\d-\d\dT[\d:.]{8,18}(?:Z|[+-]\d\d:\d\d)) std(?:out|err) [FP] ?"
)
_TAG_RE = re.compile(
    r"\(((?:[A-Z]\w*|[\w-]+) pid=[^()]{1,60}|(?:TP|DP|PP|EP)\d{1,4}|[A-Z]\w{2,40})\)"
)
_RANK_RE = re.compile(r"\d\d:\d\d:\d\d((?: (?:TP|DP|PP|EP|ATTN_\w{1,8})\d{1,4}){1,5})\]")
# Who wrote the line, as carriers put it before the line.
_AT = r"\d{4}-\d\d-\d\dT[\d:.]{8,18}\S{0,6} "
_UNIT = r"[\w.-]{1,253} [\w@.-]{1,100})\[\d{1,9}\]: "
_PART = r"[\w.\[\]$-]{1,200}"
_SOURCE_RE = re.compile(
    r"\[pod/(?P<pod>[\w.-]{1,253})/[\w.-]{1,253}\] "
    r"|(?P<service>[\w.@-]{1,160})\s{0,60}\| "
    r"|(?P<worker>[a-z0-9]{6,24})\[(?:info|error|warn|warning|debug)\]"
    rf"|\w{{3}} [ \d]\d \d\d:\d\d:\d\d(?:\.\d{{1,9}})? (?P<host>{_UNIT}"
    rf"|{_AT}(?P<unit>{_UNIT}"
    rf"|{_AT}(?P<stream>{_PART}(?:/{_PART}){{1,6}}) "
    r"|\((?:ServeReplica|ReplicaActor)[^()\n]{0,200}? pid=(?P<ray>[\w, =.]{1,80})\)"
    r"|(?P<stern>[a-z0-9][a-z0-9.-]{0,200}-[a-z0-9]{1,20} [a-z0-9-]{1,63}) "
    r"(?=\(|\[20|20\d\d-|\{|INFO |WARNING |ERROR |DEBUG |Loading |Capturing )"
)
_TEXTS = (
    "log",
    "message",
    "msg",
    "textpayload",
    "line",
    "body",
    "stringvalue",
    "content",
    "raw",
    "event",
)
_TIMES = (
    "timestamp",
    "time",
    "ts",
    "datetime",
    "date",
    "dt",
    "asctime",
    "realtimetimestamp",
    "sourcerealtimetimestamp",
    "timeunixnano",
    "observedtimeunixnano",
    "eventtime",
)
_SOURCES = (
    "podname",
    "pod",
    "instanceid",
    "workerid",
    "taskid",
    "logstreamname",
    "logstream",
    "containerid",
    "containername",
    "instance",
    "hostname",
    "host",
)
_KEYS = 200
_DEPTH = 8


@dataclass(frozen=True, slots=True)
class _Row:
    text: str
    at_s: float | None = None
    source: str = ""
    cut: bool = False


def lines_of(text: str, longest: int) -> tuple[list[Line], list[str]]:
    """Return the lines of a text, freed from what carried them, and what is to be said of it.

    Parameters
    ----------
    text : str
        A log, or a JSON document that holds its lines.
    longest : int
        Characters of a line that are read.
    """
    rows = _document(text, longest)
    if rows is None:
        rows = [_row(row, longest) for row in re.split(r"\r\n|\n|\r", text)]
    stamps = [stamps_of(row.text) for row in rows]
    # Where the first of two times stands, a time alone is the carrier's too.
    fronts = {(pair[0].kind, pair[0].begin) for pair in stamps if len(pair) == 2}
    bare = not any(stamps)
    days = days_counted(bare_time(row.text) if bare else None for row in rows)
    lines: list[Line] = []
    for number, (row, found, day_s) in enumerate(zip(rows, stamps, days, strict=True), start=1):
        since = uptime(row.text)
        carrier_s, engine_s = row.at_s, found[-1].at_s if found else day_s
        if found and carrier_s is None:
            is_front = (found[0].kind, found[0].begin) in fronts
            if is_front or found[0].begin <= 1:
                carrier_s = found[0].at_s
            if is_front and len(found) == 1:
                engine_s = None
        if since is not None:
            engine_s = since
        head = row.text[:300]
        rank = _RANK_RE.search(head)
        tags = [rank[1]] if rank else _TAG_RE.findall(head)
        tag = " ".join(tags).strip()
        lines.append(Line(number, row.text, tag, engine_s, carrier_s, row.cut, row.source))
    if _is_newest_first(lines):
        return lines[::-1], [NEWEST_FIRST]
    return lines, []


def _is_newest_first(lines: list[Line]) -> bool:
    times = [line.engine_s if line.carrier_s is None else line.carrier_s for line in lines]
    pairs = list(itertools.pairwise(at_s for at_s in times if at_s is not None))
    falls = sum(after < before for before, after in pairs)
    rises = sum(after > before for before, after in pairs)
    # One rise is the turn of a year; a start has more lines than three.
    return falls >= 3 and rises <= falls // 10


def _row(row: str, longest: int) -> _Row:
    cut = len(row) > longest
    text = _ANSI_RE.sub("", row[:longest])
    at_s, source = None, ""
    if text.lstrip().startswith("{"):
        record = _loaded(text)
        found = _unpacked(record) if isinstance(record, dict) else None
        if found is not None:
            return dataclasses.replace(found, cut=cut)
    match = _CRI_RE.match(text)
    if match:
        at_s, text = seconds_of(match["at"]), text[match.end() :]
    else:
        since = epoch(text)
        if since is not None:
            at_s, text = since[0], text[since[1] :].lstrip('",;\t ')
    match = _SOURCE_RE.match(text)
    if match:
        source = str(match[match.lastgroup or 0])
    return _Row(text, at_s, source, cut)


def _loaded(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _document(text: str, longest: int) -> list[_Row] | None:
    """Return the lines that a JSON document holds; None for a text that is none."""
    if text.lstrip()[:1] not in ("{", "["):
        return None
    rows = list(_held(_loaded(text), "", _DEPTH))
    if not rows:
        return None
    return [
        _Row(_ANSI_RE.sub("", part[:longest]), row.at_s, row.source, len(part) > longest)
        for row in rows
        for part in re.split(r"\r\n|\n|\r", row.text.rstrip("\r\n"))
    ]


def _held(found: object, source: str, depth: int) -> Iterator[_Row]:
    if depth < 0:
        return
    if isinstance(found, dict):
        values = found.get("values")
        stream = found.get("stream")
        if isinstance(values, list) and isinstance(stream, dict):
            # Loki: the labels once, then pairs of a time and a line.
            who = _who(stream) or source
            for pair in values:
                if isinstance(pair, list) and len(pair) > 1 and isinstance(pair[1], str):
                    yield _Row(pair[1], seconds_of(pair[0]), who)
            return
        row = _unpacked(found)
        if row is not None and any(isinstance(found.get(key), list) for key in found):
            # A list beside a message is the answer's, where it holds lines.
            inner = [part for held in found.values() for part in _held(held, source, depth - 1)]
            if inner:
                yield from inner
                return
        if row is not None:
            yield row if row.source else dataclasses.replace(row, source=source)
            return
        for held in itertools.islice(found.values(), _KEYS):
            yield from _held(held, source, depth - 1)
    elif isinstance(found, list):
        if found and all(isinstance(cell, dict) and "field" in cell for cell in found):
            # CloudWatch Insights: a record as a list of its fields.
            yield from _held(
                {str(cell["field"]): cell.get("value") for cell in found}, source, depth - 1
            )
            return
        for held in found:
            yield from _held(held, source, depth - 1)


def _unpacked(record: Mapping[str, object]) -> _Row | None:
    """Return the line in a record of a log, with its time and who wrote it; None if it has none."""
    text = _named(record, _TEXTS)
    if not isinstance(text, str):
        return None
    target = record.get("target")
    if isinstance(target, str):
        text = f"{target}: {text}"
    return _Row(text.rstrip("\n"), seconds_of(_named(record, _TIMES)), _who(record))


def _named(record: Mapping[str, object], names: tuple[str, ...]) -> object:
    """Return the first value of one of these names in a record, nearest to its top."""
    return next((plain[n] for plain in _levels(record) for n in names if n in plain), None)


def _who(record: Mapping[str, object]) -> str:
    """Return who wrote a record: the narrowest name in it, wherever it stands."""
    levels = list(_levels(record))
    found = (plain[n] for n in _SOURCES for plain in levels if n in plain)
    return str(next(found, ""))


def _levels(record: Mapping[str, object]) -> Iterator[dict[str, object]]:
    level: list[Mapping[str, object]] = [record]
    for _ in range(3):
        plain: dict[str, object] = {}
        below: list[Mapping[str, object]] = []
        for part in level:
            for key, value in itertools.islice(part.items(), _KEYS):
                if isinstance(value, dict):
                    below.append(value)
                elif isinstance(value, str | int | float):
                    plain.setdefault(re.sub(r"[\W_]", "", str(key)[:80]).casefold(), value)
        yield plain
        level = below[:_KEYS]
