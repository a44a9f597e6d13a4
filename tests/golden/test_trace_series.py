"""Counts of a metrics system: which series count requests, what their values are, in what unit."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import numpy as np
import pytest

from frontier.errors import InputError
from frontier.trace import TraceQuestion, read_trace
from frontier.trace.metrics import (
    LEVEL,
    OTHER,
    OUTPUT,
    PROMPT,
    REQUESTS,
    TIME,
    TOKENS,
    UNKNOWN,
    meaning,
)
from frontier.trace.quantities import quantity

SAMPLES = Path(__file__).parent / "traces"
T0 = 1_767_225_600


def prometheus(*series, step_s=60) -> bytes:
    """Return a range answer of series, each its labels and its values."""
    result = [
        {"metric": labels, "values": [[T0 + step_s * n, str(v)] for n, v in enumerate(values)]}
        for labels, values in series
    ]
    return json.dumps({"data": {"resultType": "matrix", "result": result}}).encode()


def rising(step, number=40):
    return [step * n for n in range(number)]


def panel(*header, rows) -> bytes:
    """Return a CSV as Grafana exports a panel."""
    lines = [",".join(f'"{name}"' for name in header)]
    lines += [",".join([f"2026-03-30 02:{n:02}:00", *map(str, row)]) for n, row in enumerate(rows)]
    return "\n".join(lines).encode()


def requests_in(content, **answers) -> int:
    return read_trace(content, **answers).arrival_s.size


# --- The shared cases ---------------------------------------------------------------------------


def test_only_posts_to_the_model_that_were_taken_count():
    """Of 1,121 requests by handler, method and status 118 are chats; the rest is counted out."""
    trace = read_trace(SAMPLES / "trace_prom_http_handlers.json")
    assert trace.arrival_s.size == 118
    assert [(path.path, path.is_kept) for path in trace.report.paths] == [
        ("/health", False),
        ("/metrics", False),
        ("/v1/chat/completions", True),
    ]
    assert sum(trace.report.dropped.values()) == 181  # 3 series of 60, and a first sample


def test_tokens_alone_are_no_requests():
    """295,000 tokens are refused with the name of a metric that counts requests."""
    with pytest.raises(InputError, match=r"count of output tokens\. Export vllm:request_success"):
        read_trace(SAMPLES / "trace_prom_tokens_only.json")


def test_a_level_is_no_count():
    """Requests running at a moment are refused, not asked about."""
    with pytest.raises(InputError, match=r"requests_running' is a level.*request_success_total"):
        read_trace(SAMPLES / "trace_prom_gauge.json")


def test_abbreviated_thousands_are_read():
    """20 minutes each of 350, 1.20 K and 850 are 48,000 requests; none of them is no traffic."""
    trace = read_trace(SAMPLES / "trace_grafana_K.csv", counts="increase")
    assert trace.arrival_s.size == 48_000
    assert not trace.report.dropped


def test_series_side_by_side_are_models():
    """Two models of 120 and 60 requests: asked which, then what the values are."""
    wide = SAMPLES / "trace_grafana_wide.csv"
    with pytest.raises(TraceQuestion) as asked:
        read_trace(wide)
    assert [value for value, _ in asked.value.choices] == ["model-a", "model-b", "all"]
    with pytest.raises(TraceQuestion, match="What do the values count, 60 s apart"):
        read_trace(wide, model="all")
    for model, number in (("model-a", 120), ("model-b", 60), ("all", 180)):
        assert requests_in(wide, model=model, counts="increase") == number


def test_cloudwatchs_sums_are_counts_of_the_period_that_begins():
    """Sixty datapoints in any order, 174 invocations; the first minute with one begins at 02:01."""
    trace = read_trace(SAMPLES / "trace_cloudwatch_stats.json")
    assert trace.arrival_s.size == 174
    start = dt.datetime(2026, 3, 30, 2, 1, tzinfo=dt.UTC)
    assert start <= trace.t0_utc < start + dt.timedelta(minutes=1)


# --- Which series -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("vllm:request_success_total", REQUESTS),
        ("vllm:time_to_first_token_seconds_count", REQUESTS),
        ("vllm:request_prompt_tokens_count", REQUESTS),
        ("vllm:prompt_tokens_total", PROMPT),
        ("vllm:generation_tokens_total", OUTPUT),
        ("vllm:num_requests_waiting", LEVEL),
        ("vllm:e2e_request_latency_seconds_sum", TIME),
        ("vllm:inter_token_latency_seconds_count", OTHER),
        ("vllm:iteration_tokens_total_count", OTHER),
        ("sglang:num_requests_total", REQUESTS),
        ("sglang:num_running_reqs", LEVEL),
        ("tgi_request_count", REQUESTS),
        ("tgi_batch_inference_count", OTHER),
        ("nv_inference_request_success", REQUESTS),
        ("nv_inference_exec_count", OTHER),
        ("nv_inference_request_duration_us", TIME),
        ("nginx_ingress_controller_requests", REQUESTS),
        ("istio_requests_total", REQUESTS),
        ("envoy_cluster_upstream_rq_total", REQUESTS),
        ("envoy_cluster_upstream_rq_active", LEVEL),
        ("http_server_requests_seconds_count", REQUESTS),
        ("revision_request_count", REQUESTS),
        ("request_predict_seconds_count", REQUESTS),
        ("litellm_input_tokens_metric_total", PROMPT),
        ("llamacpp:requests_processing", LEVEL),
        ("trace.fastapi.request.hits", REQUESTS),
        ("Invocations", REQUESTS),
        ("InputTokenCount", PROMPT),
        ("ModelLatency", TIME),
        ("vllm:time_per_output_token_seconds_sum", TIME),
        ("tokens per second", TOKENS),
        ("RequestCount", REQUESTS),
        ("requests per second", REQUESTS),
        ("req/s", REQUESTS),
        ("my_metric", UNKNOWN),
        ("model-a", UNKNOWN),
    ],
)
def test_a_metrics_name_tells_what_it_counts(name, what):
    """Names of the projects' documentation, and names that tell nothing."""
    assert meaning(name) == what


@pytest.mark.parametrize(
    "name",
    [
        "num_preemptions_total",
        "request_failures_total",
        "http_5xx",
        "rq_timeout",
        "Invocation4XXErrors",
    ],
)
def test_failures_are_no_requests(name):
    """What went wrong, was tried again or was put off is not counted as requests."""
    assert "failures" in meaning(name)


def test_a_whole_scrape_of_vllm_counts_each_request_once():
    """Two replicas and two reasons are added up; latencies, tokens and levels are not."""
    series = [
        ({"__name__": "vllm:request_success_total", "pod": pod, "finished_reason": why}, rising(k))
        for pod in "ab"
        for why, k in (("stop", 2), ("length", 1))
    ]
    for name, k in (
        ("vllm:prompt_tokens_total", 300),
        ("vllm:generation_tokens_total", 60),
        ("vllm:num_preemptions_total", 4),
        ("vllm:e2e_request_latency_seconds_count", 3),
        ("vllm:e2e_request_latency_seconds_sum", 9),
    ):
        series += [({"__name__": name, "pod": pod}, rising(k)) for pod in "ab"]
    series.append(({"__name__": "vllm:num_requests_running"}, [1, 2] * 20))
    trace = read_trace(prometheus(*series))
    assert trace.arrival_s.size == 6 * 39
    assert set(trace.prompt_tokens) == {100}
    assert set(trace.output_tokens) == {20}
    assert any("count them too and are not added" in note for note in trace.report.notes)


def test_a_mesh_reports_each_request_from_both_ends():
    """Istio's source and destination see the same requests: they are counted once."""
    series = [
        ({"__name__": "istio_requests_total", "reporter": end, "response_code": "200"}, rising(3))
        for end in ("source", "destination")
    ]
    trace = read_trace(prometheus(*series))
    assert trace.arrival_s.size == 3 * 39
    assert trace.report.dropped["samples that count the same requests again (reporter)"] == 40


@pytest.mark.parametrize("label", ["model_name", "job", "destination_service_name", "ingress"])
def test_what_is_served_apart_is_asked_about(label):
    """Models, jobs and services are other deployments: which one, or all of them."""
    content = prometheus(
        ({"__name__": "http_requests_total", label: "a"}, rising(2)),
        ({"__name__": "http_requests_total", label: "b"}, rising(3)),
    )
    with pytest.raises(TraceQuestion) as asked:
        read_trace(content)
    assert asked.value.parameter == "model"
    assert requests_in(content, model="b") == 3 * 39
    assert requests_in(content, model="all") == 5 * 39


def test_a_column_named_after_a_route_is_no_line_of_a_log():
    """Legends of methods and paths: the chat counts, what is scraped does not."""
    header = ("Time", "POST /v1/chat/completions", "GET /metrics")
    trace = read_trace(panel(*header, rows=[(3, 9)] * 20), counts="increase")
    assert trace.arrival_s.size == 60


def test_two_unknown_metrics_are_asked_about():
    """Names that tell nothing: which metric, then what its values are."""
    content = prometheus(({"__name__": "mine"}, [3, 1, 2] * 9), ({"__name__": "yours"}, [1] * 27))
    with pytest.raises(TraceQuestion) as asked:
        read_trace(content)
    assert asked.value.parameter == "metric"
    assert requests_in(content, metric="mine", counts="increase") == 54
    with pytest.raises(InputError, match="There is no metric 'ours' in the file"):
        read_trace(content, metric="ours")


def test_a_column_of_totals_is_not_added_to_its_parts():
    """A panel with its sum beside the parts counts the parts."""
    content = panel("Time", "a", "b", "Total", rows=[(2, 1, 3)] * 20)
    trace = read_trace(content, model="all", counts="increase")
    assert trace.arrival_s.size == 60
    assert trace.report.dropped == {"samples of a total of the other series": 20}


def test_series_below_one_another_are_told_by_their_columns():
    """A long panel: handlers and methods are labels as in Prometheus itself."""
    rows = [
        ("http_requests_total", path, method, k * n)
        for path, method, k in (("/v1/chat/completions", "POST", 2), ("/health", "GET", 9))
        for n in range(40)
    ]
    lines = ['"Time","__name__","handler","method","Value"']
    lines += [
        f"2026-03-30 02:{at % 40:02}:00,{','.join(map(str, row))}" for at, row in enumerate(rows)
    ]
    trace = read_trace("\n".join(lines).encode(), counts="counter")
    assert trace.arrival_s.size == 2 * 39


# --- What the values are ------------------------------------------------------------------------


def test_a_series_that_keeps_falling_is_no_running_total():
    """Hundreds of falls in 2,000 samples: requests of each step, said and open to change."""
    values = np.random.default_rng(3).integers(0, 4, 2000)
    trace = read_trace(prometheus(({"__name__": "vllm:request_success_total"}, values)))
    assert trace.arrival_s.size == values.sum()
    decided = trace.report.decided[0]
    assert (decided.parameter, decided.chosen) == ("counts", "increase")
    assert any("they fall" in text for text in trace.report.assumed)
    other = read_trace(
        prometheus(({"__name__": "vllm:request_success_total"}, values)), counts="counter"
    )
    assert other.arrival_s.size < trace.arrival_s.size


def test_a_running_total_may_start_again_now_and_then():
    """Nine restarts in 200 samples are restarts; each begins from 0."""
    values = [2 * (n % 20) for n in range(200)]
    trace = read_trace(prometheus(({"__name__": "vllm:request_success_total"}, values)))
    assert trace.arrival_s.size == 10 * 38
    assert trace.report.decided[0].chosen == "counter"


def test_between_the_two_it_is_asked():
    """A series that falls every sixth time may be either, whatever its name."""
    values = [2 * (n % 6) for n in range(200)]
    with pytest.raises(TraceQuestion, match="What do the values count"):
        read_trace(prometheus(({"__name__": "vllm:request_success_total"}, values)))


def test_a_nameless_series_that_only_rises_is_a_running_total():
    """Sums of counters have no name in Prometheus' answer; they still never fall."""
    trace = read_trace(prometheus(({}, rising(3, 60))))
    assert trace.arrival_s.size == 3 * 59
    assert any("never fall" in text for text in trace.report.assumed)


def test_a_replica_started_within_the_file_counts_from_zero():
    """A new pod's first sample is what it has served since it began; the first pod's is not."""
    content = json.loads(prometheus(({"__name__": "vllm:request_success_total", "pod": "a"},
                                     [100 + 2 * n for n in range(40)])))  # fmt: skip
    content["data"]["result"].append(
        {
            "metric": {"__name__": "vllm:request_success_total", "pod": "b"},
            "values": [[T0 + 60 * n, str(3 + n - 20)] for n in range(20, 40)],
        }
    )
    trace = read_trace(json.dumps(content).encode())
    assert trace.arrival_s.size == 2 * 39 + 3 + 19
    assert any("counted from 0" in text for text in trace.report.assumed)


@pytest.mark.parametrize(
    ("cell", "value", "is_rate"),
    [
        ("350", 350, False),
        ("1.20 K", 1200, False),
        ("1.2k", 1200, False),
        ("3.4 Mil", 3.4e6, False),
        ("2 Bil", 2e9, False),
        ("1,234", 1234, False),
        ("1,234.5", 1234.5, False),
        ("12 req/s", 12, True),
        ("1.2 K req/s", 1200, True),
        ("6 req/m", 0.1, True),
        ("90 rpm", 1.5, True),
        ("5 cps", 5, True),
        ("2 /s", 2, True),
        ("7 requests", 7, False),
        ("1.5e3", 1500, False),
    ],
)
def test_a_cell_is_read_with_its_unit(cell, value, is_rate):
    """What Grafana shows is read as a number, and rates as a second."""
    assert quantity(cell) == (pytest.approx(value), is_rate)


@pytest.mark.parametrize(
    "cell", ["", "abc", "5 ms", "12%", "3 MB", "4 tok/s", "1.2.3", "5 s", "--"]
)
def test_a_cell_of_another_unit_is_no_count(cell):
    """Seconds, bytes, shares and tokens are not requests."""
    assert quantity(cell) is None


def test_a_unit_decides_that_values_are_rates():
    """6 requests a minute over 30 minutes are 180, without a question."""
    trace = read_trace(panel("Time", "Requests", rows=[("6 req/m",)] * 30))
    assert trace.arrival_s.size == 180
    assert any("their unit says so" in text for text in trace.report.assumed)


def test_one_bucket_that_cannot_be_read_is_unknown_and_not_empty():
    """It is taken to be like its neighbours, counted and said."""
    rows = [(4,)] * 20 + [("what",)] + [(4,)] * 20
    trace = read_trace(panel("Time", "Requests", rows=rows), counts="increase")
    assert trace.arrival_s.size == 41 * 4
    assert trace.report.dropped == {"samples that could not be read": 1}
    assert any("1 bucket with a value that could not be read" in t for t in trace.report.assumed)


def test_a_sample_given_twice_counts_once():
    """A panel joined from two queries holds rows twice: the second is counted out."""
    content = panel("Time", "Requests", rows=[(3,)] * 20)
    lines = content.splitlines()
    trace = read_trace(b"\n".join([*lines, *lines[5:9]]), counts="increase")
    assert trace.arrival_s.size == 60
    assert trace.report.dropped == {"samples that are in the file twice": 4}


def test_samples_without_a_value_do_not_stretch_the_step():
    """Three minutes in four show a dash: the step stays a minute, and they had no traffic."""
    rows = [("-" if n % 4 else 5,) for n in range(21)]
    trace = read_trace(panel("Time", "Requests", rows=rows), counts="increase")
    assert trace.report.bucket_s == 60.0
    assert trace.arrival_s.size == 30
    assert any("15 buckets without a sample" in text for text in trace.report.assumed)


def test_times_that_cannot_be_read_are_named():
    """Hours without a date are no times: the first is quoted, not the counts."""
    content = b"Time,Requests\n" + b"\n".join(b"02h%02d,%d" % (n, n % 4) for n in range(20))
    with pytest.raises(InputError, match="Row 2: '02h00' is not a time"):
        read_trace(content, counts="increase")


def test_a_model_may_be_called_after_a_queue():
    """A legend is a level only if nothing else is in its name."""
    content = panel("Time", "queue-bot", "error-finder", rows=[(1, 2)] * 20)
    assert requests_in(content, model="queue-bot", counts="increase") == 20


# --- Other systems ------------------------------------------------------------------------------


def minutes(number=30):
    return [f"2026-03-30T02:{n:02}:00+00:00" for n in range(number)]


def test_cloudwatchs_metric_data_carry_tokens():
    """get-metric-data of Bedrock: invocations, and tokens by their own metrics."""
    results = [
        {"Id": f"m{n}", "Label": label, "Timestamps": minutes(), "Values": [k * v for v in values]}
        for values in [[n % 4 for n in range(30)]]
        for n, (label, k) in enumerate(
            (("Invocations", 1), ("InputTokenCount", 700), ("OutputTokenCount", 50))
        )
    ]
    trace = read_trace(json.dumps({"MetricDataResults": results}).encode(), counts="increase")
    assert trace.arrival_s.size == 43
    assert set(trace.prompt_tokens) == {700}
    assert set(trace.output_tokens) == {50}


def test_two_results_of_one_label_are_two_endpoints():
    """CloudWatch labels both with the metric's name: their ids tell them apart, and it is asked."""
    results = [
        {"Id": name, "Label": "Invocations", "Timestamps": minutes(), "Values": values}
        for name, values in (("a", [2, 0, 1] * 10), ("b", [2, 1, 1] * 10))
    ]
    content = json.dumps({"MetricDataResults": results}).encode()
    with pytest.raises(TraceQuestion, match="2 values of 'Id'"):
        read_trace(content)
    assert requests_in(content, model="a", counts="increase") == 30
    assert requests_in(content, model="all", counts="increase") == 70


def test_how_often_a_latency_was_measured_counts_requests():
    """SampleCount of ModelLatency; its mean beside it is left out."""
    points = [{"Timestamp": t, "SampleCount": 2.0, "Average": 9.0} for t in minutes()]
    trace = read_trace(json.dumps({"Label": "ModelLatency", "Datapoints": points}).encode())
    assert trace.arrival_s.size == 60


def test_the_console_of_cloudwatch_writes_lines_above_its_samples():
    """The CSV's first lines name the metric; they are neither samples nor columns."""
    lines = ["Full label,Invocations", "Label,Invocations", "Region,eu-west-1", "Timestamp,"]
    lines += [f"2026/03/30 02:{n:02}:00,{n % 5}" for n in range(30)]
    assert requests_in("\n".join(lines).encode(), counts="increase") == 60


def test_datadogs_points_begin_their_interval_and_may_be_null():
    """v1 and v2 answers: milliseconds, a scope of tags, and no value in one minute."""
    values = [None if n == 7 else n % 3 for n in range(30)]
    points = [[(T0 + 60 * n) * 1000.0, v] for n, v in enumerate(values)]
    first = {"series": [{"metric": "vllm.request_success", "scope": "m:a", "pointlist": points}]}
    second = {
        "data": {
            "attributes": {
                "series": [{"group_tags": ["m:a"]}],
                "times": [point[0] for point in points],
                "values": [values],
            }
        }
    }
    number = sum(value or 0 for value in values)
    for document in (first, second):
        content = json.dumps(document).encode()
        assert requests_in(content, counts="increase") == number
    hits = {"metric": "trace.web.request.hits", "expression": "sum:x{*}.as_count()"}
    counted = read_trace(json.dumps({"series": [{**hits, "pointlist": points}]}).encode())
    assert counted.arrival_s.size == number
    assert counted.report.decided[0].chosen == "increase"


def test_azure_google_and_grafanas_own_documents_are_series_too():
    """Totals a minute, deltas, and data frames hold the same 60 requests."""
    values = [n % 5 for n in range(30)]
    azure = {
        "value": [
            {
                "name": {"value": "Requests"},
                "timeseries": [
                    {
                        "data": [
                            {"timeStamp": t, "total": float(v)}
                            for t, v in zip(minutes(), values, strict=True)
                        ]
                    }
                ],
            }
        ]
    }
    google = {
        "timeSeries": [
            {
                "metric": {"type": "run.googleapis.com/request_count", "labels": {}},
                "metricKind": "DELTA",
                "points": [
                    {"interval": {"startTime": t, "endTime": t}, "value": {"int64Value": str(v)}}
                    for t, v in zip(minutes(), values, strict=True)
                ],
            }
        ]
    }
    frames = {
        "results": {
            "A": {
                "frames": [
                    {
                        "schema": {
                            "fields": [
                                {"name": "Time", "type": "time"},
                                {"name": "Value", "type": "number", "labels": {"pod": "a"}},
                            ]
                        },
                        "data": {"values": [[(T0 + 60 * n) * 1000 for n in range(30)], values]},
                    }
                ]
            }
        }
    }
    for document in (azure, google):
        assert requests_in(json.dumps(document).encode()) == 60
    assert requests_in(json.dumps(frames).encode(), counts="increase") == 60


def test_a_count_beyond_memory_is_refused_before_anything_is_made():
    """2⁵³ requests a minute: a sentence, not an attempt."""
    lines = ["bucket_start_s,requests", *(f"{60 * n},{2**53}" for n in range(2050))]
    with pytest.raises(InputError, match="more than the 2,000,000 that are read"):
        read_trace("\n".join(lines).encode())


# --- What comes without the wrapping of its system ------------------------------------------------


def _series(number=30):
    return {
        "metric": {"__name__": "vllm:request_success_total", "model_name": "m"},
        "values": [[T0 + 60 * n, str(2 * n)] for n in range(number)],
    }


@pytest.mark.parametrize(
    "document",
    [
        [_series()],
        {"resultType": "matrix", "result": [_series()]},
        _series(),
        {
            "metric": _series()["metric"],
            "values": [2 * n for n in range(30)],
            "timestamps": [(T0 + 60 * n) * 1000 for n in range(30)],
        },
    ],
    ids=["result alone", "data alone", "one series", "VictoriaMetrics"],
)
def test_a_range_of_prometheus_may_come_without_its_wrapping(document):
    """What jq takes out of an answer, and the export of VictoriaMetrics: 58 requests each."""
    trace = read_trace(json.dumps(document).encode())
    assert trace.arrival_s.size == 58
    assert trace.t0_utc.timestamp() == pytest.approx(T0, abs=60)


def otlp(form, values, key="asInt", name="http.server.requests", **told) -> dict:
    points = [
        {"timeUnixNano": str((T0 + 60 * n) * 10**9), key: str(v)} for n, v in enumerate(values)
    ]
    metric = {"name": name, form: {"dataPoints": points, **told}}
    return {"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}


def test_metrics_of_open_telemetry_count_by_their_temporality():
    """Deltas are steps, cumulative sums totals, histograms count what they saw; levels none."""
    steps = [n % 3 for n in range(30)]
    total = np.cumsum(steps).tolist()
    delta = {"aggregationTemporality": 1, "isMonotonic": True}
    cumulative = {
        "aggregationTemporality": "AGGREGATION_TEMPORALITY_CUMULATIVE",
        "isMonotonic": True,
    }
    assert requests_in(json.dumps(otlp("sum", steps, **delta)).encode()) == sum(steps)
    assert requests_in(json.dumps(otlp("sum", total, **cumulative)).encode()) == sum(steps)
    seen = otlp(
        "histogram", total, key="count", name="gen_ai.server.request.duration", **cumulative
    )
    assert requests_in(json.dumps(seen).encode()) == sum(steps)
    # The collector's file exporter writes a document a line, each with a point of the series.
    lines = []
    for point in otlp("sum", total, **cumulative)["resourceMetrics"][0]["scopeMetrics"][0][
        "metrics"
    ][0]["sum"]["dataPoints"]:
        one = otlp("sum", [], **cumulative)
        metric = one["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][0]
        metric["sum"]["dataPoints"] = [point]
        lines.append(json.dumps(one))
    assert requests_in("\n".join(lines).encode()) == sum(steps)
    for level in (otlp("gauge", steps), otlp("sum", steps, isMonotonic=False)):
        with pytest.raises(InputError, match="a level at one moment"):
            read_trace(json.dumps(level).encode())


def test_an_answer_that_holds_no_range_is_named():
    """An error of Prometheus, and one reading of /metrics: what it is and what to ask for."""
    error = {"status": "error", "errorType": "bad_data", "error": "parse error"}
    with pytest.raises(InputError, match="is an error, not data: parse error"):
        read_trace(json.dumps(error).encode())
    with pytest.raises(InputError, match=r"one reading of /metrics.*Ask Prometheus for a range"):
        read_trace(
            b"# TYPE vllm:request_success_total counter\n"
            b'vllm:request_success_total{finished_reason="stop",model_name="m"} 512.0\n'
        )


def test_a_named_series_that_falls_is_asked_about_unless_its_name_says_requests():
    """Functions leave no name, so a named one is no step of a counter: perhaps a queue."""
    level = [7 * n % 5 for n in range(40)]
    content = prometheus(({"__name__": "keda_scaler_metrics_value"}, level))
    with pytest.raises(TraceQuestion, match="falls 15 times in 40 samples, so it may be a level"):
        read_trace(content)
    assert requests_in(content, counts="increase") == 80
    assert requests_in(prometheus(({}, level))) == 80


def test_rules_of_an_ingress_are_paths_where_one_asks_for_text():
    """Health checks have a rule of their own: left out; a rule for everything tells nothing."""

    def counted(*paths):
        name = "nginx_ingress_controller_requests"
        return requests_in(
            prometheus(*(({"__name__": name, "path": path}, rising(2)) for path in paths))
        )

    assert counted("/v1/chat/completions", "/health") == 2 * 39
    assert counted("/") == 2 * 39


def test_running_totals_seen_once_each_tell_nothing():
    """A series a sample (a label that is never the same): refused, and not four requests of 40."""
    name = {"__name__": "vllm:request_success_total"}
    alone = [
        {"metric": {**name, "pod": f"p{n}"}, "values": [[T0 + 60 * (n % 20), str(n + 5)]]}
        for n in range(40)
    ]
    with pytest.raises(InputError, match=r"samples are the only ones of their series.*increase"):
        read_trace(json.dumps(alone).encode())
