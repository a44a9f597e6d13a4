"""Laws of counts and logs: what is written in any of their formats reads back as it was."""

from __future__ import annotations

import datetime as dt
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontier.errors import FrontierError
from frontier.trace import read_trace

START = dt.datetime(2026, 3, 30, 2, 0, tzinfo=dt.UTC)
STEP_S = 60
COUNTS = st.lists(st.integers(0, 9), min_size=3, max_size=40).filter(
    lambda counts: sum(counts) >= 2 and counts[0] > 0
)


def stamps(number):
    return [START + dt.timedelta(seconds=STEP_S * n) for n in range(number)]


def totals(counts):
    """Return the running totals of which these are the differences, from one sample before."""
    return [17, *(17 + np.cumsum(counts)).tolist()]


def wide(series):
    times = stamps(len(next(iter(series.values()))))
    lines = [",".join(["Time", *(f'"{name}"' for name in series)])]
    for at, values in zip(times, zip(*series.values(), strict=True), strict=True):
        lines.append(",".join([f"{at:%Y-%m-%d %H:%M:%S}", *map(str, values)]))
    return "\n".join(lines).encode()


def long(series):
    lines = ["Time,Metric,Value"]
    for name, values in series.items():
        for at, value in zip(stamps(len(values)), values, strict=True):
            lines.append(f'{at:%Y-%m-%d %H:%M:%S},"{name}",{value}')
    return "\n".join(lines).encode()


def prometheus(series, name=None):
    result = []
    for model, values in series.items():
        labels = {"model_name": model} | ({"__name__": name} if name else {})
        points = [
            [int(at.timestamp()), str(value)]
            for at, value in zip(stamps(len(values)), values, strict=True)
        ]
        result.append({"metric": labels, "values": points})
    return json.dumps({"data": {"resultType": "matrix", "result": result}}).encode()


def metric_data(series):
    results = [
        {
            "Id": f"m{number}",
            "Label": name,
            "Timestamps": [at.isoformat() for at in stamps(len(values))][::-1],
            "Values": [float(value) for value in values][::-1],
        }
        for number, (name, values) in enumerate(series.items())
    ]
    return json.dumps({"MetricDataResults": results}).encode()


def statistics(series):
    (values,) = series.values()
    points = [
        {"Timestamp": at.isoformat(), "Sum": float(value), "Unit": "Count"}
        for at, value in zip(stamps(len(values)), values, strict=True)
    ]
    return json.dumps({"Label": "Invocations", "Datapoints": points}).encode()


def datadog(series):
    held = [
        {
            "metric": "vllm.request_success",
            "tag_set": [f"model_name:{name}"],
            "pointlist": [
                [at.timestamp() * 1000, float(value)]
                for at, value in zip(stamps(len(values)), values, strict=True)
            ],
        }
        for name, values in series.items()
    ]
    return json.dumps({"series": held}).encode()


# Each with how long before a bucket's stamp the bucket begins [s].
FORMATS = {
    "wide": (wide, STEP_S),
    "long": (long, STEP_S),
    "Prometheus": (prometheus, STEP_S),
    "metric data": (metric_data, 0),
    "statistics": (statistics, 0),
    "Datadog": (datadog, 0),
}


def buckets_of(trace, before_s, number):
    """Return how many requests of a trace lie in each bucket."""
    since = trace.t0_utc - (START - dt.timedelta(seconds=before_s))
    at = np.floor((trace.arrival_s + since.total_seconds()) / STEP_S + 1e-9).astype(int)
    return np.bincount(at, minlength=number).tolist()


@pytest.mark.parametrize("label", FORMATS)
@settings(max_examples=25)
@given(counts=COUNTS)
def test_counts_read_back_bucket_by_bucket(label, counts):
    """Whatever the format, each minute gets the requests that were written for it."""
    write, before_s = FORMATS[label]
    name = "Invocations" if label == "metric data" else "a"
    trace = read_trace(write({name: counts}), counts="increase")
    assert buckets_of(trace, before_s, len(counts)) == counts
    report = trace.report
    assert report.rows_read == report.kept + sum(report.dropped.values())


@pytest.mark.parametrize("label", ["wide", "long", "Prometheus", "Datadog"])
@settings(max_examples=15)
@given(data=st.data(), number=st.integers(3, 30))
def test_each_of_several_models_reads_back_and_so_do_all(label, data, number):
    """One of two models is that model's requests; all are both of them, bucket by bucket."""
    values = st.lists(st.integers(0, 9), min_size=number, max_size=number)
    first, second = (data.draw(values.filter(lambda v: v[0] > 0 and sum(v) > 1)) for _ in range(2))
    write, before_s = FORMATS[label]
    content = write({"model-a": first, "model-b": second})
    for model, counts in (("model-a", first), ("all", np.add(first, second).tolist())):
        trace = read_trace(content, model=model, counts="increase")
        assert buckets_of(trace, before_s, number) == counts


@settings(max_examples=25)
@given(counts=COUNTS, restart=st.integers(0, 40))
def test_a_running_total_reads_back_as_its_steps(counts, restart):
    """Counters give their differences; one restart, with its count from 0, loses nothing."""
    values = totals(counts)
    at = 1 + restart % len(counts)
    values[at:] = [value - values[at - 1] for value in values[at:]]
    trace = read_trace(prometheus({"a": values}, "vllm:request_success_total"))
    assert buckets_of(trace, 0, len(counts)) == counts


@settings(max_examples=25)
@given(
    rates=st.lists(st.integers(0, 50).map(lambda n: n / 10), min_size=3, max_size=20).filter(
        lambda rates: sum(rates) >= 1
    ),
    unit=st.sampled_from(["req/s", "reqps", "/s"]),
)
def test_rates_with_a_unit_read_as_their_sum(rates, unit):
    """Requests a second times the step are the requests, to within the rounding of one."""
    trace = read_trace(wide({"Requests": [f"{rate:g} {unit}" for rate in rates]}))
    assert abs(trace.arrival_s.size - STEP_S * sum(rates)) <= 1


# --- Logs ---------------------------------------------------------------------------------------

LOGS = {
    "common": lambda at, took: (
        f'10.0.0.1 - - [{at:%d/%b/%Y:%H:%M:%S} +0000] "POST /v1/completions HTTP/1.1" 200 9',
        at.replace(microsecond=0),
    ),
    "ingress-nginx": lambda at, took: (
        f'10.0.0.1 - - [{at:%d/%b/%Y:%H:%M:%S} +0000] "POST /v1/completions HTTP/1.1" 200 9 "-" '
        f'"x y" 100 {took:.3f} [llm-v-80] [] 10.0.0.9:80 9 {took:.3f} 200 abc',
        at.replace(microsecond=0) - dt.timedelta(seconds=took),
    ),
    "gin": lambda at, took: (
        f"[GIN] {at:%Y/%m/%d - %H:%M:%S} | 200 | {took:.3f}s | 10.0.0.1 | POST "
        '"/v1/completions"',
        at.replace(microsecond=0) - dt.timedelta(seconds=took),
    ),
    "envoy": lambda at, took: (
        f'[{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z] "POST /v1/completions HTTP/2" 200 '
        f"- 1 9 {took * 1000:.0f} 1",
        at,
    ),
    "uvicorn": lambda at, took: (
        f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}000000Z INFO:     10.0.0.1:9 - "
        '"POST /v1/completions HTTP/1.1" 200 OK',
        at,
    ),
    "load balancer": lambda at, took: (
        f"https {at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}000Z app/l/1 10.0.0.1:2 "
        f"10.0.0.9:80 0.000 {took:.3f} 0.000 200 200 1 9 "
        '"POST https://h:443/v1/completions HTTP/1.1" "x" c t',
        at - dt.timedelta(seconds=took),
    ),
}  # fmt: skip


@pytest.mark.parametrize("label", LOGS)
@settings(max_examples=25)
@given(
    lines=st.lists(
        st.tuples(st.integers(0, 10**7), st.integers(1, 90_000)),
        min_size=2,
        max_size=30,
        unique_by=lambda line: line[0] // 1000,
    ),
    others=st.integers(0, 5),
)
def test_a_log_reads_back_as_its_arrivals(label, lines, others):
    """Ends less durations, starts as they are; health checks between them are counted out."""
    written = [
        LOGS[label](START + dt.timedelta(milliseconds=at), took / 1000)
        for at, took in sorted(lines)
    ]
    health = [
        line.replace("POST", "GET").replace("v1/completions", "health")
        for line, _ in written[:others]
    ]
    trace = read_trace("\n".join([*(line for line, _ in written), *health]).encode())
    expected = np.sort([(arrival - START).total_seconds() for _, arrival in written])
    assert trace.t0_utc == START + dt.timedelta(seconds=float(expected[0]))
    np.testing.assert_allclose(trace.arrival_s, expected - expected[0], atol=2e-6)
    assert sum(trace.report.dropped.values()) == len(health)
    assert {path.path: path.is_kept for path in trace.report.paths}["/v1/completions"]


PIECES = st.sampled_from(
    [
        '10.0.0.1 - - [30/Mar/2026:02:00:00 +0000] "', "POST /v1/completions HTTP/1.1", '" 200 5',
        "[GIN] 2026/03/30 - 02:00:05 | 200 | 3s | ::1 | POST ", '"/api/chat"', "\n", " ", "[", '"',
        "INFO:     ", "2026-03-30T02:00:05Z ", "10.0.0.1:1 - ", "\x1b[32m", "99/Xxx/2026", "\\",
    ]
)  # fmt: skip


@settings(max_examples=200)
@given(content=st.lists(PIECES, max_size=40).map("".join))
def test_pieces_of_logs_are_a_trace_or_a_sentence(content):
    """Lines cut and joined anywhere never fail otherwise than by an error meant for people."""
    try:
        trace = read_trace(content.encode())
    except FrontierError as error:
        assert str(error)  # noqa: PT017
        return
    report = trace.report
    assert report.rows_read == report.kept + sum(report.dropped.values())


WORDS = (
    "data resultType matrix result metric values series pointlist scope tag_set Datapoints Label "
    "Sum Timestamp MetricDataResults Timestamps Values value timeseries timeSeries points interval "
    "endTime results frames schema fields attributes times group_tags __name__ name type \ud800"
)
NODES = st.sampled_from(WORDS.split())


@settings(max_examples=200)
@given(
    document=st.recursive(
        st.none() | st.integers(-5, 2_000_000_000) | st.floats() | NODES,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NODES, inner, max_size=5),
        max_leaves=25,
    )
)
def test_any_document_of_a_monitoring_system_is_a_trace_or_a_sentence(document):
    """The right names in the wrong places are refused in words."""
    try:
        read_trace(json.dumps(document).encode())
    except FrontierError as error:
        assert str(error)  # noqa: PT017
