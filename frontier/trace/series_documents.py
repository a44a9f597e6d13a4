"""JSON documents of monitoring systems, opened into one row a sample with its labels.

Prometheus (query_range, and what is in its answer alone), VictoriaMetrics' export, CloudWatch
(get-metric-statistics, get-metric-data), Datadog (v1 query and v2 timeseries), Azure Monitor,
Google Cloud Monitoring, OpenTelemetry's metrics (OTLP) and Grafana's data frames, each by its
documentation. A row has the time and the value, the first of a series also its labels as JSON text;
the name of the time column tells the system. What the labels mean is decided in `metrics` and
`which_series`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from frontier.errors import InputError

VALUE, LABELS = "sample_value", "series_labels"
# The time column of each system, what it is called, and whether a time ends its period.
SYSTEMS = {
    "sample_time": ("Prometheus range", True),
    "cloudwatch_time": ("CloudWatch metric", False),
    "datadog_time": ("Datadog series", False),
    "azure_time": ("Azure Monitor metric", False),
    "google_time": ("Cloud Monitoring series", True),
    "frame_time": ("Grafana data frames", True),
    "otlp_time": ("OpenTelemetry metrics", True),
}
_CONSOLE_LINES = 30
_LONGEST = 200
_STATISTICS = ("Sum", "SampleCount", "Average", "Minimum", "Maximum")

Row = dict[str, Any]
Series = tuple[str, Mapping[str, Any], Sequence[tuple[Any, Any]]]


def rows(document: Any) -> Iterator[Row] | None:
    """Return the samples in a document, None if it is of no such system."""
    series = _series_in(document)
    return None if series is None else _rows(series)


def _rows(found: Iterator[Series]) -> Iterator[Row]:
    for number, (time, labels, points) in enumerate(found):
        held = {_text(key): _text(value) for key, value in labels.items() if value is not None}
        if time != "otlp_time":  # there a series goes on in the next document, by its labels
            held["__series__"] = str(number)  # two may have the same labels
        # Only the first row has them: long labels must not be there once a sample.
        text: str | None = json.dumps(held)
        for at, value in points:
            # What is no plain cell is kept as one that cannot be read, and counted.
            if isinstance(at, str | list | dict | bool):
                at = _plain(at) if isinstance(at, str) else None
            yield {time: at, VALUE: _plain(value), LABELS: text}
            text = None


def _series_in(document: Any) -> Iterator[Series] | None:
    if not isinstance(document, dict):
        return None
    data = document.get("data")
    if isinstance(data, dict) and "resultType" in data:
        return _prometheus(data)
    if "resultType" in document and isinstance(document.get("result"), list):
        return _prometheus(document)
    if isinstance(document.get("metric"), dict) and isinstance(document.get("values"), list):
        return _one_prometheus(document)
    if document.get("status") == "error" and {"errorType", "error"} <= document.keys():
        raise InputError(
            f"The Prometheus answer is an error, not data: {_text(document['error'])[:_LONGEST]}."
        )
    exported = _dicts(document.get("resourceMetrics") or document.get("resource_metrics"))
    if exported:
        return _otlp(exported)
    if isinstance(document.get("Datapoints"), list):
        return _statistics(document)
    if isinstance(document.get("MetricDataResults"), list):
        return _metric_data(document["MetricDataResults"])
    series = _dicts(document.get("series"))
    if series and any("pointlist" in item for item in series):
        return _datadog(series)
    attributes = data.get("attributes") if isinstance(data, dict) else None
    if isinstance(attributes, dict) and {"series", "times", "values"} <= attributes.keys():
        return _datadog_v2(attributes)
    values = _dicts(document.get("value"))
    if values and any("timeseries" in item for item in values):
        return _azure(values)
    series = _dicts(document.get("timeSeries"))
    if series and any("points" in item for item in series):
        return _google(series)
    results = document.get("results")
    if isinstance(results, dict) and any("frames" in item for item in _dicts([*results.values()])):
        return _frames(results)
    return None


def _dicts(items: Any) -> list[dict[str, Any]]:
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _lists(items: Any) -> list[list[Any]]:
    return [item for item in items if isinstance(item, list)] if isinstance(items, list) else []


def _points(items: Any) -> list[tuple[Any, Any]]:
    """Return the pairs of a list; what is no pair becomes one that cannot be read."""
    held = items if isinstance(items, list) else []
    return [
        (item[0], item[1]) if isinstance(item, list) and len(item) == 2 else (None, None)
        for item in held
    ]


def _all_dicts(items: Any, what: str) -> list[dict[str, Any]]:
    found = _dicts(items)
    if isinstance(items, list) and len(found) < len(items):
        raise InputError(
            f"{len(items) - len(found):,} of the {len(items):,} {what} are no records; expected a "
            "time and a value in each."
        )
    return found


def _plain(value: Any) -> str | None:
    return None if value is None else _text(value)[:_LONGEST]


def _text(value: Any) -> str:
    """Return a value as text that can be written, whatever JSON allows in it."""
    return str(value).encode("utf-8", "replace").decode()


def _prometheus(data: Mapping[str, Any]) -> Iterator[Series]:
    if data["resultType"] == "streams":
        raise InputError(
            "The answer is one of Loki: lines of a log. Count them by the minute "
            "(count_over_time), or write the lines of requests alone, one JSON record each."
        )
    if data["resultType"] != "matrix":
        raise InputError(
            f"The Prometheus answer is of type '{data['resultType']}', one moment only. "
            "Ask for a range (query_range), whose type is 'matrix'."
        )
    for series in _dicts(data.get("result")):
        yield from _one_prometheus(series)


def _one_prometheus(series: Mapping[str, Any]) -> Iterator[Series]:
    """Give a series of Prometheus; VictoriaMetrics writes the times apart, in milliseconds."""
    metric, times = series.get("metric"), series.get("timestamps")
    labels = metric if isinstance(metric, dict) else {}
    if isinstance(times, list):
        values = series["values"] if isinstance(series.get("values"), list) else []
        yield ("sample_time", labels, list(zip_longest(map(_from_ms, times), values)))
    else:
        yield ("sample_time", labels, _points(series.get("values")))


def _from_ms(stamp: Any) -> float | None:
    return stamp / 1e3 if type(stamp) in (int, float) else None


# The kinds of OTLP's sums, by number and by name.
_TEMPORALITY = {
    1: "DELTA",
    2: "CUMULATIVE",
    "AGGREGATION_TEMPORALITY_DELTA": "DELTA",
    "AGGREGATION_TEMPORALITY_CUMULATIVE": "CUMULATIVE",
}


def _otlp(exported: Sequence[Mapping[str, Any]]) -> Iterator[Series]:
    for group in exported:
        resource = group.get("resource")
        shared = _attributes(resource.get("attributes")) if isinstance(resource, dict) else {}
        for scope in _dicts(group.get("scopeMetrics") or group.get("scope_metrics")):
            for metric in _dicts(scope.get("metrics")):
                yield from _one_otlp(metric, shared)


def _one_otlp(metric: Mapping[str, Any], shared: Mapping[str, Any]) -> Iterator[Series]:
    """Give the series of one metric: its sum, its level, or how often it was observed."""
    for form in ("sum", "gauge", "histogram", "exponentialHistogram"):
        held = metric.get(form)
        if not isinstance(held, dict):
            continue
        rises = form != "gauge" and held.get("isMonotonic", form != "sum")
        told = held.get("aggregationTemporality")
        kind = _TEMPORALITY.get(told) if isinstance(told, int | str) else None
        is_count = form in ("histogram", "exponentialHistogram")
        name = f"{_text(metric.get('name'))}{'.count' if is_count else ''}"
        for point in _all_dicts(held.get("dataPoints"), "data points"):
            labels = {**shared, **_attributes(point.get("attributes"))}
            labels |= {"__name__": name, "__kind__": kind if rises else "GAUGE"}
            value = next((point[k] for k in ("asInt", "asDouble", "count") if k in point), None)
            yield ("otlp_time", labels, [(_from_ns(point.get("timeUnixNano")), value)])


def _attributes(attributes: Any) -> dict[str, Any]:
    """Return the labels of OTLP: {"key", "value": {"stringValue": …}}."""
    found = {}
    for item in _dicts(attributes):
        value = item.get("value")
        if isinstance(value, dict) and len(value) == 1 and "key" in item:
            value = next(iter(value.values()))
            if not isinstance(value, list | dict):
                found[_text(item["key"])] = value
    return found


def _from_ns(stamp: Any) -> float | None:
    """Return the seconds of a time in nanoseconds, which JSON holds as text."""
    text = _text(stamp)
    return int(text) / 1e9 if len(text) <= 20 and text.isascii() and text.isdigit() else None


def _statistics(document: Mapping[str, Any]) -> Iterator[Series]:
    points = _all_dicts(document["Datapoints"], "Datapoints")
    for statistic in _STATISTICS:
        held = [
            (point.get("Timestamp"), point[statistic]) for point in points if statistic in point
        ]
        labels = {"__name__": document.get("Label"), "__statistic__": statistic}
        yield ("cloudwatch_time", labels, held)


def _metric_data(results: Any) -> Iterator[Series]:
    for result in _dicts(results):
        times, values = (
            held if isinstance(held := result.get(key), list) else []
            for key in ("Timestamps", "Values")
        )
        labels = {"__name__": result.get("Label") or result.get("Id"), "Id": result.get("Id")}
        yield ("cloudwatch_time", labels, list(zip_longest(times, values)))


def _tags(tags: Any) -> dict[str, str]:
    held = tags if isinstance(tags, list) else str(tags or "").split(",")
    pairs = (str(tag).partition(":") for tag in held)
    return {key: value for key, _, value in pairs if value}


def _datadog(series: Sequence[Mapping[str, Any]]) -> Iterator[Series]:
    for item in series:
        name = item.get("metric") or item.get("display_name")
        labels = {
            "__name__": name,
            "__legend__": item.get("expression"),
            **_tags(item.get("tag_set") or item.get("scope")),
        }
        yield ("datadog_time", labels, _points(item.get("pointlist")))


def _datadog_v2(attributes: Mapping[str, Any]) -> Iterator[Series]:
    times = attributes["times"] if isinstance(attributes["times"], list) else []
    series, each = _dicts(attributes["series"]), _lists(attributes["values"])
    if len(series) != len(each):
        raise InputError(
            f"The Datadog answer has {len(series):,} series, but values of {len(each):,}; expected "
            "as many of each."
        )
    for item, values in zip(series, each, strict=True):
        labels = _tags(item.get("group_tags"))
        yield ("datadog_time", labels, list(zip_longest(times, values)))


def _azure(metrics: Sequence[Mapping[str, Any]]) -> Iterator[Series]:
    for metric in metrics:
        name = metric.get("name")
        named = name.get("value") if isinstance(name, dict) else name
        for series in _dicts(metric.get("timeseries")):
            labels = {"__name__": named}
            for item in _dicts(series.get("metadatavalues")):
                key = item.get("name")
                labels[str(key.get("value") if isinstance(key, dict) else key)] = item.get("value")
            points = _all_dicts(series.get("data"), "points")
            for statistic in ("total", "count", "average", "minimum", "maximum"):
                held = [(point.get("timeStamp"), point[statistic])
                        for point in points if statistic in point]  # fmt: skip
                yield ("azure_time", {**labels, "__statistic__": statistic}, held)


def _google(series: Sequence[Mapping[str, Any]]) -> Iterator[Series]:
    for item in series:
        labels: dict[str, Any] = {"__kind__": item.get("metricKind")}
        for part in ("resource", "metric"):
            held = item.get(part)
            if isinstance(held, dict):
                labels["__name__"] = held.get("type", labels.get("__name__"))
                labels |= held["labels"] if isinstance(held.get("labels"), dict) else {}
        points = []
        for point in _all_dicts(item.get("points"), "points"):
            interval, value = point.get("interval"), point.get("value")
            if isinstance(interval, dict) and isinstance(value, dict) and len(value) == 1:
                points.append((interval.get("endTime"), next(iter(value.values()))))
            else:
                points.append((None, None))
        yield ("google_time", labels, points)


def _frames(results: Mapping[str, Any]) -> Iterator[Series]:
    for result in _dicts(list(results.values())):
        for frame in _dicts(result.get("frames")):
            schema, data = frame.get("schema"), frame.get("data")
            fields = _dicts(schema.get("fields")) if isinstance(schema, dict) else []
            columns = _lists(data.get("values")) if isinstance(data, dict) else []
            if len(fields) != len(columns):
                raise InputError(
                    f"A data frame has {len(fields):,} fields, but {len(columns):,} columns of "
                    "values; expected as many of each."
                )
            at = next((i for i, item in enumerate(fields) if item.get("type") == "time"), None)
            for index, (item, values) in enumerate(zip(fields, columns, strict=True)):
                if at is None or index == at or item.get("type") != "number":
                    continue
                held = item.get("labels")
                labels = {"__name__": item.get("name"), **(held if isinstance(held, dict) else {})}
                if labels["__name__"] in ("Value", "value"):
                    labels["__name__"] = None
                points = list(zip_longest(columns[at], values))
                yield ("frame_time", labels, points)


def console_header(lines: Sequence[str], delimiter: str) -> tuple[list[str], int] | None:
    """Return the columns of CloudWatch's console CSV and the lines before its samples.

    Above the samples stand some lines about each metric, the first cell being what a line tells;
    None if the file does not begin so.
    """
    told: dict[str, list[str]] = {}
    for number, line in enumerate(lines[:_CONSOLE_LINES]):
        first, *cells = (cell.strip(' \t"\ufeff') for cell in line.split(delimiter))
        key = first.lower()
        if key[:4].isdigit() and told:
            labels = told.get("label") or told.get("full label") or told.get("metricname")
            return (["Timestamp", *labels], number) if labels else None
        if not key or key[0].isdigit() or not key.replace(" ", "").isalpha():
            return None
        told[key] = cells
    return None
