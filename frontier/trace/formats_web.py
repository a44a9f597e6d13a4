"""Access logs of web servers and load balancers, as lines or as records.

Only POSTs to paths that ask a model for text are requests (see `paths`), and those that the server
itself refused are none. Whether a time is that of the request or of the end of its response is
what the documentation of each says.
"""

from __future__ import annotations

import re

from frontier.trace.formats import (
    Keep,
    Layout,
    Names,
    among,
    cells_of,
    matches,
    negated,
    suggested,
)

_METHODS = ("method", "request_method", "http_method", "verb", "cs-method")
_PATHS = (
    "path",
    "request_uri",
    "uri",
    "request_path",
    "url_path",
    "http_uri",
    "http_path",
    "resource_path",
    "url",
    "request_url",
    "cs-uri-stem",
)
_STATUSES = (
    "status",
    "status_code",
    "response_status",
    "response_code",
    "http_status",
    "sc-status",
)
_LINE = re.compile(r"[A-Z]+ \S+( HTTP/[0-9.]+)?$")


def not_refused(status: str) -> Keep:
    """Return the rule that leaves out what the server itself refused."""
    return Keep(
        status,
        lambda cells: negated(matches(cells, r"^(3\d\d|4([013-8]\d|2[0-8]|9[0-8]))$")),
        "requests redirected or refused with a 4xx status (429 and 499 are kept: they are demand)",
    )


def web_requests(method: str, status: str) -> tuple[Keep, ...]:
    """Return which requests to a path that counts (see `paths`) reached the model."""
    return (
        Keep(method, lambda cells: among(cells, "post"), "requests that are no POST"),
        not_refused(status),
    )


def _parts(names: Names) -> tuple[str, tuple[Keep, ...]] | None:
    """Return the column of paths and what to keep, of records that tell method and status."""
    status = names.first(*_STATUSES) or names.only_leaf(*_STATUSES)
    if status is None:
        return None
    method, path = (names.first(*known) or names.only_leaf(*known) for known in (_METHODS, _PATHS))
    if method and path:
        return path, web_requests(method, status)
    line = names.first("request", "request_line")
    # A column of this name may as well hold what a person wrote.
    if line is None or not all(map(_LINE.match, cells_of(names.table, line) or [""])):
        return None
    post = Keep(line, lambda cells: matches(cells, "^POST "), "requests that are no POST")
    return line, (post, not_refused(status))


def access_log(names: Names) -> Layout | None:
    """Access log of lines (see the module of that name): nginx, Envoy, Ollama and others."""
    log = names.table.log
    if log is None:
        return None
    return Layout(
        log.name,
        "time",
        duration="duration_s" if log.has_duration else None,
        time_is_end=log.time_is_end,
        path="path",
        keep=web_requests(names["method"], names["status"]),
        notes=log.notes,
    )


def nginx(names: Names) -> Layout | None:
    """Log of nginx as JSON or as a table: written when the response ends."""
    time = names.first("msec", "time_iso8601", "time_local")
    if time is None and names.has("request_time"):
        time = names.first("@timestamp", "timestamp", "time", "ts")
    parts = _parts(names)
    if time is None or parts is None:
        return None
    return Layout(
        "nginx access log",
        time,
        clock="s" if time == names.first("msec") else "find",
        duration=names.first("request_time"),
        time_is_end=True,
        path=parts[0],
        keep=parts[1],
    )


def envoy(names: Names) -> Layout | None:
    """Envoy's access log in JSON (Istio, Envoy Gateway): start_time is when a request began."""
    path = names.first(
        "x-envoy-origin-path", "x-envoy-original-path", "path", ":path", "request_path"
    )
    method = names.first("method", ":method", "request_method")
    if path is None or method is None or not names.has("start_time", "response_code"):
        return None
    return Layout(
        "Envoy access log",
        names["start_time"],
        prompt=names.first("gen_ai.usage.input_tokens", "llm_input_token", "input_tokens"),
        output=names.first("gen_ai.usage.output_tokens", "llm_output_token", "output_tokens"),
        model=names.first("gen_ai.request.model", "gen_ai.response.model"),
        request_id=names.first("x-request-id", "request_id"),
        path=path,
        keep=web_requests(method, names["response_code"]),
    )


def traefik(names: Names) -> Layout | None:
    """Traefik's access log in JSON: StartUTC, or the end (time) less Duration [ns]."""
    if not names.has("RequestMethod", "RequestPath", "DownstreamStatus"):
        return None
    start = names.first("StartUTC", "StartLocal")
    end = names.first("time")
    if start is None and end is None:
        return None
    return Layout(
        "Traefik access log",
        start or str(end),
        duration=None if start else names.first("Duration"),
        duration_s=1e-9,
        time_is_end=start is None,
        path=names["RequestPath"],
        keep=web_requests(names["RequestMethod"], names["DownstreamStatus"]),
    )


def caddy(names: Names) -> Layout | None:
    """Caddy's access log in JSON: ts is when the response ended, duration in seconds."""
    if not names.has("ts", "request.method", "request.uri", "status"):
        return None
    return Layout(
        "Caddy access log",
        names["ts"],
        clock="s",
        duration=names.first("duration"),
        time_is_end=True,
        path=names["request.uri"],
        keep=web_requests(names["request.method"], names["status"]),
    )


def load_balancer(names: Names) -> Layout | None:
    """AWS application load balancer, as Athena names its fields: request_creation_time."""
    method = names.first("request_verb", *_METHODS)
    path = names.first("request_url", *_PATHS)
    if method is None or path is None or not names.has("elb_status_code"):
        return None
    start = names.first("request_creation_time")
    time = start or names.first("time", "timestamp")
    if time is None:
        return None
    return Layout(
        "AWS load balancer log",
        time,
        time_is_end=start is None,
        path=path,
        keep=web_requests(method, names["elb_status_code"]),
    )


def cloud_run(names: Names) -> Layout | None:
    """Google Cloud's request logs (Cloud Run, load balancer): LogEntry with an httpRequest."""
    if not names.has("timestamp", "httpRequest.requestMethod", "httpRequest.requestUrl"):
        return None
    if not names.has("httpRequest.status"):
        return None
    return Layout(
        "Google Cloud request log",
        names["timestamp"],
        request_id=names.first("insertId"),
        path=names["httpRequest.requestUrl"],
        keep=web_requests(names["httpRequest.requestMethod"], names["httpRequest.status"]),
        notes=("Times are read as when each request was received.",),
    )


def web_table(names: Names) -> Layout | None:
    """Any other table with a time, a method, a path and a status: a web server's."""
    time = suggested(names.table).get("time")
    parts = _parts(names)
    # Records of k6 have a row for every metric of a request.
    if time is None or parts is None or names.first("metric_name", "metric"):
        return None
    return Layout(
        "web server's log",
        time,
        prompt=names.first("prompt_tokens", "input_tokens"),
        output=names.first("output_tokens", "completion_tokens"),
        model=names.first("model"),
        path=parts[0],
        keep=parts[1],
        notes=(
            "The file does not say whether times are when requests came or when their responses "
            "ended; they are read as when they came.",
        ),
    )
