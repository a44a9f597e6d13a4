"""Access logs written as lines of text: which log it is, and what each line says of a request.

Read are the common and combined formats (nginx, Apache, Traefik, gunicorn, APISIX) with nginx's and
ingress-nginx's durations by their position, Envoy and Istio, Amazon's load balancers, HAProxy, Gin
(Ollama), TGI, uvicorn (vLLM, SGLang, LiteLLM) and llama.cpp where lines have a time, all of them
also behind the prefixes of kubectl, containerd, Docker Compose and syslog. Layouts and what their
times mean are those of the projects' documentation. Lines longer than a cap are not looked at, and
no pattern here can take more than one pass over a line. Which requests count is decided in `paths`.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

from frontier.errors import InputError

NO_REQUEST = "lines that are no request"
UNREAD = "lines of requests that could not be read"
TOO_LONG = "lines longer than {:,} bytes"
COLUMNS = ("time", "method", "path", "status", "duration_s")

_SAMPLE_LINES, _FIRST_LINES = 2000, 20
_ISO = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?"
_ZONE = r"(?:Z|[+-]\d\d:?\d\d)"
_REQUEST = r'"(?P<request>[^"\\]*(?:\\.[^"\\]*)*)"'
_MONTHS = {
    name: f"{number:02}"
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1
    )
}
_LOG_TIME = (
    r"\[(?P<day>\d\d)/(?P<month>[A-Z][a-z]{2})/(?P<year>\d{4})[: ](?P<clock>\d\d:\d\d:\d\d)"
    r"(?P<fraction>[.,]\d{1,9})?(?: ?(?P<zone>[+-]\d{4}))?\]"
)

Record = dict[str, str | float | None]
_Read = Callable[[str, str | None], Record | None]


@dataclass(frozen=True, slots=True)
class LogFormat:
    """One kind of log.

    Attributes
    ----------
    name : str
        What it is called.
    read : callable
        Gives the request in a line (and the time that stood before the line), or None.
    time_is_end : bool
        Times are when the response ended.
    has_duration : bool
        Lines say how long the request took.
    notes : tuple of str
        What to know about its times.
    """

    name: str
    read: _Read
    time_is_end: bool = False
    has_duration: bool = False
    notes: tuple[str, ...] = ()


# --- One line -----------------------------------------------------------------------------------

_COMMON = re.compile(
    rf"(?:[^\s\[]\S* ){{1,6}}{_LOG_TIME}(?: [^\s\"]{{1,255}})? {_REQUEST}"
    r" (?P<status>\d{3}|-)(?P<rest> .*)?$"
)
_HAPROXY = re.compile(
    rf"\S+:\d+ {_LOG_TIME} \S+ \S+ [-+\d]+(?:/[-+\d]+){{4}} (?P<status>-?\d{{1,3}}) (?P<rest>.*)$"
)
_ENVOY = re.compile(rf"\[(?P<time>{_ISO}{_ZONE})\] {_REQUEST} (?P<status>\d{{1,3}}|-)(?: |$)")
_ALB = re.compile(
    rf"(?:https?|h2|grpcs|wss?) (?P<time>{_ISO}Z) \S+ \S+ \S+ (?P<a>-?[\d.]+) (?P<b>-?[\d.]+) "
    rf"(?P<c>-?[\d.]+) (?P<status>\d{{3}}|-) \S+ \d+ \d+ {_REQUEST}(?P<rest>.*)$"
)
_ALB_CREATED = re.compile(rf" -?\d{{1,6}} ({_ISO}Z) ")
_ELB = re.compile(
    rf"(?P<time>{_ISO}Z) \S+ \S+:\d+ \S+ -?[\d.]+ -?[\d.]+ -?[\d.]+ (?P<status>\d{{3}}|-) \S+ "
    rf"\d+ \d+ {_REQUEST}"
)
_GIN = re.compile(
    r"\[GIN\] (?P<year>\d{4})/(?P<month>\d\d)/(?P<day>\d\d) - (?P<clock>\d\d:\d\d:\d\d) \|"
    r" *(?P<status>\d{3}) *\| *(?P<took>\S+) *\| *\S+ *\| *(?P<method>[A-Z]+) +"
    r'"(?P<path>[^"]*)"'
)
_UVICORN = re.compile(
    rf"(?:\[?(?P<time>{_ISO}{_ZONE}?)\]? (?:- )?)?(?:uvicorn\.access:? (?:- )?)?"
    rf"(?:\[?(?:INFO|info)\]?:? +(?:- )?)?(?:uvicorn\.access:? (?:- )?)?\S+:\d+ - {_REQUEST} "
    r"(?P<status>\d{3})(?: |$)"
)
_LLAMA_CPP = re.compile(
    r"(?:srv +)?log_server_r(?:equest)?: +(?:done )?request: +(?P<method>[A-Z]+) (?P<path>\S+) \S+ "
    r"(?P<status>\d{3})(?: |$)"
)

_TGI = re.compile(rf"(?P<time>{_ISO}Z) +INFO (?P<span>[a-z_]{{4,40}})\{{")
_TGI_TOTAL = re.compile(r'total_time="([0-9.a-zµ]{2,40})"')
_NAMED_SECONDS = re.compile(
    r'(?<!\w)(?:rt|request_time|req_time|duration|total_time)[=:] ?"?(\d{1,7}\.\d{1,9})(?!\d|[a-z])'
)
_SECONDS = re.compile(r"\d{1,6}\.\d{3}")
_TRAEFIK = re.compile(r" \S+ " + r'"[^"]*" "[^"]*" \d+ "[^"]*" "[^"]*" (\d{1,9})ms *$')
_INGRESS = re.compile(r' \S+ "[^"]*" "[^"]*" \d+ \d+\.\d{3} \[[^\]]*\] \[')
_WHOLE_AT_END = re.compile(r' \S+ "[^"]*" "[^"]*" \d+ *$')
_GO_PART = re.compile(r"(?<![\d.])(\d{1,12}(?:\.\d{1,12})?)(h|ms|m|s|µs|us|ns)")
_GO_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "µs": 1e-6, "us": 1e-6, "ns": 1e-9}


def _logged(found: re.Match[str]) -> str | None:
    """Return a time such as 30/Mar/2026:02:00:00 +0000 as ISO 8601."""
    month = _MONTHS.get(found["month"])
    if month is None:
        return None
    fraction = (found["fraction"] or "").replace(",", ".")
    zone = found["zone"]
    zone = f"{zone[:3]}:{zone[3:]}" if zone else ""
    return f"{found['year']}-{month}-{found['day']}T{found['clock']}{fraction}{zone}"


def _iso(text: str | None) -> str | None:
    return None if text is None else text.replace(" ", "T").replace(",", ".")


def _record(
    time: str | None, request: str, status: str, duration_s: float | None = None
) -> Record | None:
    method, _, path = request.partition(" ")
    path = path.partition(" ")[0]
    if not (method.isalpha() and method.isupper() and path):
        return None
    return {
        "time": time, "method": method, "path": path, "status": status, "duration_s": duration_s,
    }  # fmt: skip


def _common_rest(found: re.Match[str]) -> tuple[str | None, float | None]:
    """Return the time and the seconds that the fields after the status tell."""
    rest = found["rest"] or ""
    named = _NAMED_SECONDS.search(rest)
    if named:
        return _logged(found), float(named[1])
    # nginx writes every duration with three decimals; that of the request is the longest of them.
    parts = rest.replace('\\"', "").split('"')
    cells = [cell for part in parts[::2] for cell in part.split()] + parts[1::2]
    spent = [float(cell) for cell in cells if _SECONDS.fullmatch(cell)]
    return _logged(found), max(spent) if spent else None


def _read_common(line: str, stamp: str | None) -> Record | None:
    found = _COMMON.match(line)
    if found is None:
        return None
    time, spent = _common_rest(found)
    return _record(time, found["request"], found["status"], spent)


def _read_traefik(line: str, stamp: str | None) -> Record | None:
    found = _COMMON.match(line)
    if found is None or not _TRAEFIK.match(found["rest"] or ""):
        return None
    return _record(_logged(found), found["request"], found["status"])


def _read_haproxy(line: str, stamp: str | None) -> Record | None:
    found = _HAPROXY.match(line)
    if found is None:
        return None
    request = found["rest"].rstrip().removesuffix('"').rpartition(' "')[2]
    return _record(_logged(found), request, found["status"])


def _read_timed(pattern: re.Pattern[str]) -> _Read:
    def read(line: str, stamp: str | None) -> Record | None:
        found = pattern.match(line)
        if found is None:
            return None
        return _record(_iso(found["time"] or stamp), found["request"], found["status"])

    return read


def _read_alb(line: str, stamp: str | None) -> Record | None:
    found = _ALB.match(line)
    if found is None:
        return None
    created = _ALB_CREATED.search(found["rest"])
    if created:
        return _record(created[1], found["request"], found["status"], 0.0)
    spent = sum(max(float(found[part]), 0.0) for part in "abc")
    return _record(found["time"], found["request"], found["status"], spent)


def _read_gin(line: str, stamp: str | None) -> Record | None:
    found = _GIN.match(line)
    if found is None:
        return None
    time = f"{found['year']}-{found['month']}-{found['day']}T{found['clock']}"
    request = f"{found['method']} {found['path']}"
    return _record(time, request, found["status"], _go_seconds(found["took"]))


def _go_seconds(text: str) -> float | None:
    """Return the seconds of a duration such as 1m2.5s or 523.4ms."""
    parts = _GO_PART.findall(text)
    return sum(float(number) * _GO_SECONDS[unit] for number, unit in parts) if parts else None


def _read_llama_cpp(line: str, stamp: str | None) -> Record | None:
    found = _LLAMA_CPP.match(line)
    if found is None:
        return None
    return _record(_iso(stamp), f"{found['method']} {found['path']}", found["status"])


def _read_tgi(line: str, stamp: str | None) -> Record | None:
    found = _TGI.match(line)
    took = _TGI_TOTAL.search(line) if found and line.endswith(": Success") else None
    if found is None or took is None:
        return None
    path = {"chat_completions": "chat/completions", "compat_generate": "generate"}
    request = f"POST /{path.get(found['span'], found['span'])}"
    return _record(found["time"], request, "200", _go_seconds(took[1]))


_TO_THE_SECOND = "Ends are written to the second: arrivals are right to within 1 s."
_NO_ZONE = "Its times are those of the server's own clock, without a time zone."
FORMATS = (
    LogFormat("Envoy access log", _read_timed(_ENVOY)),
    LogFormat(
        "Application Load Balancer log",
        _read_alb,
        has_duration=True,
        notes=("Arrival is when the load balancer got the request, or its answer's time less the "
               "times it logs where the file does not say.",),
    ),
    LogFormat("Classic Load Balancer log", _read_timed(_ELB)),
    LogFormat("Traefik access log", _read_traefik),
    LogFormat("nginx or Apache access log", _read_common),
    LogFormat("HAProxy log", _read_haproxy, notes=(_NO_ZONE,)),
    LogFormat(
        "Ollama (Gin) log", _read_gin, time_is_end=True, has_duration=True, notes=(_TO_THE_SECOND,)
    ),
    LogFormat(
        "uvicorn access log (vLLM, SGLang)",
        _read_timed(_UVICORN),
        notes=("uvicorn writes a line when the response begins, for an answer that is not streamed "
               "when it is finished: arrivals are late by that time.",),
    ),
    LogFormat("llama.cpp server log", _read_llama_cpp, time_is_end=True),
    LogFormat("TGI log", _read_tgi, time_is_end=True, has_duration=True),
)  # fmt: skip

# --- What stands before a line ------------------------------------------------------------------

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_PREFIXES = (
    re.compile(r"\[(?:pod|container)/[^\]\s]{1,300}\] "),
    re.compile(r"[A-Za-z0-9_.-]{1,80} {1,40}\| "),
    re.compile(rf"(?P<stamp>{_ISO}{_ZONE}) (?:stdout|stderr) [FP] "),
    re.compile(rf"(?P<stamp>{_ISO}{_ZONE}) [\w.-]{{1,255}} [\w.@-]{{1,80}}(?:\[\d{{1,10}}\])?: "),
    re.compile(rf"(?P<stamp>{_ISO}{_ZONE}) "),
    re.compile(
        r"(?:<\d{1,3}>)?[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d [\w.-]{1,255} "
        r"[\w./@-]{1,80}(?:\[\d{1,10}\])?: "
    ),
    re.compile(r"\(\w{1,60} pid=\d{1,10}\) "),
)
_MOST_PREFIXES = 4


def _bare(line: str) -> tuple[str, str | None]:
    """Return a line without what kubectl, a container runtime or syslog put before it."""
    stamp = None
    for _ in range(_MOST_PREFIXES):
        found = next((found for prefix in _PREFIXES if (found := prefix.match(line))), None)
        if found is None:
            break
        stamp = stamp or found.groupdict().get("stamp")
        line = line[found.end() :]
    return line, stamp


def _read(line: str, log: LogFormat) -> Record | None:
    record = log.read(line, None)
    if record is None:
        bare, stamp = _bare(line)
        record = log.read(bare, stamp) if bare is not line else None
    return record


# --- The whole log ------------------------------------------------------------------------------

_METHODS = r"(?:GET|POST|PUT|HEAD|OPTIONS|DELETE|PATCH)"
_HTTP = re.compile(rf'["\s]{_METHODS} (?:/|https?://)[^"\s]* HTTP/\d')
# nginx's error log quotes the request that its access log has already.
_ERROR_LINE = re.compile(rf"(?:{_ISO}{_ZONE} )?\d{{4}}/\d\d/\d\d \d\d:\d\d:\d\d \[")
_REQUEST_LINE = re.compile(rf'["\s]{_METHODS} +"?(?:/|https?://)')
# A comma before milliseconds, as Python's logging writes it, may also part the cells of a table.
_STAMP = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,9}|,\d{3}(?=\]? (?:-|\[|[A-Z]{4,8}\b)))?"
_LOOKS = (
    ("a web server's access log", re.compile(r"\S+ \S+ \S+ \[\d\d/[A-Z][a-z]{2}/\d{4}")),
    ("the log of an Ollama server", re.compile(r"\[GIN")),
    ("the log of a llama.cpp server", re.compile(r"srv +\w+: ")),
    ("a log in W3C or IIS format", re.compile(r"#(?:Software|Version|Fields): ")),
    ("a server's log", re.compile(r"(?:time|ts|t|level)=\"?\S+ \w+=")),
    (
        "a server's log",
        re.compile(r"\[?(?:INFO|WARNING|WARN|ERROR|DEBUG)\]?(?:: +\S| +\[|[ \d]+[-/:]\d\d)"),
    ),
    ("a server's log", re.compile(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[")),
    (
        "a server's log",
        # A word before a delimiter is the zone of a time in a table.
        re.compile(
            rf"\[?{_STAMP}{_ZONE}?\]?:? +"
            r"(?!(?:UTC|GMT|[AaPp][Mm])\b|[A-Za-z_/]{2,40}\"?[,;|\t])[^\s\d,;|+-]"
        ),
    ),
    (
        "the log of a system service",
        re.compile(r"(?:<\d{1,3}>)?[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+ "),
    ),
    ("the log of a container", re.compile(r"\[(?:pod|container)/|\(\w+ pid=\d+\) ")),
)


def _kind_of(lines: list[str]) -> str | None:
    """Return what kind of log the first lines of a file seem to be from, None if from none.

    A log may begin with a line of another kind, and a table may hold a request in a cell: after
    the first line only how lines begin tells, and most must.
    """
    kinds = [
        next((kind for kind, pattern in _LOOKS if pattern.match(line)), None) for line in lines
    ]
    known = [kind for kind in kinds if kind is not None]
    if kinds and kinds[0] is None and _HTTP.search(lines[0]):
        return "a web server's log"
    if not kinds or not (kinds[0] or 2 * len(known) > len(lines)):
        return None
    return known[0]


def recognise(head: str, most: int) -> LogFormat | None:
    """Return which log a file is, by its beginning; None if it is no log.

    Parameters
    ----------
    head : str
        The beginning of the file.
    most : int
        Characters from which a line is not looked at.

    Raises
    ------
    InputError
        If it is a log of no known layout, or one whose lines have no time.
    """
    lines = (line for line in head.splitlines() if line.strip())
    first = list(itertools.islice(lines, _FIRST_LINES))
    kind = _kind_of([_COLOUR.sub("", line[:most]) for line in first])
    if kind is None:
        return None
    found: Counter[int] = Counter()
    timed: Counter[int] = Counter()
    spent: Counter[int] = Counter()
    examples: dict[int, str] = {}
    for line in itertools.chain(first, lines):
        if len(line) > most:
            continue
        line = _COLOUR.sub("", line)
        at, record = next(
            ((at, record) for at, log in enumerate(FORMATS) if (record := _read(line, log))),
            (None, None),
        )
        if at is None or record is None:
            continue
        found[at] += 1
        timed[at] += record["time"] is not None
        spent[at] += record["duration_s"] is not None
        examples.setdefault(at, line)
        if found.total() >= _SAMPLE_LINES:
            break
    if not found:
        raise InputError(
            f"The file looks like {kind}, and none of its first lines is a request in a layout "
            "that is read: nginx, Apache, Envoy, Istio, HAProxy, Traefik, an Amazon load balancer, "
            "Ollama, or uvicorn with times. Take the access log of the proxy before the model, or "
            "count requests by the minute."
        )
    at = max(found, key=lambda index: found[index])
    log = FORMATS[at]
    if timed[at] * 2 < found[at]:
        raise InputError(
            f"The file looks like a {log.name}, whose lines have no time. Take it again with times "
            "(kubectl logs --timestamps, docker logs -t), or take the log of the proxy before it."
        )
    return _with_durations(log, spent[at], found[at], examples[at])


def _with_durations(log: LogFormat, spent: int, found: int, example: str) -> LogFormat:
    """Return a log of the common format with what its lines say of durations."""
    if log.read is not _read_common:
        return log
    match = _COMMON.match(_bare(example)[0]) or _COMMON.match(example)
    rest = match["rest"] or "" if match else ""
    if spent == found:
        name = "ingress-nginx access log" if _INGRESS.match(rest) else "nginx access log"
        return replace(log, name=name, time_is_end=True, has_duration=True, notes=(_TO_THE_SECOND,))
    notes = [
        "The lines do not say how long a request took. Apache writes the time at which it came; "
        "nginx that at which the response ended, and then arrivals are late by the response time."
    ]
    if spent:
        notes.append(
            f"Only {spent:,} of the first {found:,} lines say how long the request took: no "
            "duration is used."
        )
    elif _WHOLE_AT_END.match(rest):
        notes.append(
            "A whole number stands after the user agent; if it is a duration, its unit is not "
            "known and it is not used."
        )
    return replace(log, notes=tuple(notes))


def records(
    stream: BinaryIO, log: LogFormat, most: int, rows: int, broken: Counter[str]
) -> Iterator[tuple[int, list[Record]]]:
    """Give the requests of a log in batches: the first line of each, and the requests in it.

    Parameters
    ----------
    stream : binary file
        UTF-8 text.
    log : LogFormat
        Which log it is.
    most : int
        Bytes from which a line is not looked at.
    rows : int
        Lines in a batch.
    broken : Counter
        Takes the lines that are no request or could not be read.
    """
    start, batch = 1, []
    for number, line in enumerate(_lines(stream, most), 1):
        if line is None:
            broken[TOO_LONG.format(most)] += 1
        elif not line.isspace():
            text = line.decode("utf-8", errors="replace").rstrip()
            text = _COLOUR.sub("", text) if "\x1b" in text else text
            record = _read(text, log)
            if record is not None and record["time"] is not None:
                batch.append(record)
            else:
                is_request = _REQUEST_LINE.search(text) and not _ERROR_LINE.match(text)
                broken[UNREAD if is_request else NO_REQUEST] += 1
        if number - start + 1 >= rows:
            yield start, batch
            start, batch = number + 1, []
    if batch:
        yield start, batch


def _lines(stream: BinaryIO, most: int) -> Iterator[bytes | None]:
    """Give lines, None for one that is too long, which is passed over in pieces."""
    while line := stream.readline(most + 2):
        if len(line.rstrip(b"\r\n")) <= most:
            yield line
            continue
        while line and not line.endswith(b"\n"):
            line = stream.readline(most)
        yield None


def check_unread(broken: Counter[str], read: int, share: float) -> None:
    """Raise if more than a share of a log's requests could not be read.

    Raises
    ------
    InputError
        With how many they are.
    """
    unread = broken[UNREAD] + sum(
        count for reason, count in broken.items() if reason.startswith("lines longer")
    )
    requests = read - broken[NO_REQUEST]
    if unread > share * requests:
        raise InputError(
            f"{unread:,} of {requests:,} lines with a request could not be read: they are of "
            "another layout than the others, cut off or too long. Keep one kind of line in the "
            "file."
        )
