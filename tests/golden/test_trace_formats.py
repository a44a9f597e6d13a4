"""Real-shaped exports with the right value, and files that must be refused or asked about."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from frontier.errors import InputError
from frontier.trace import UnknownFormat, known_formats, read_trace
from tests import trace_files as files

SAMPLES = Path(__file__).parent / "traces"
FILES = Path(__file__).parents[2] / "docs/files.md"
BEGIN_MS = 1_774_836_000_000
REQUESTS = [(BEGIN_MS, 310, 40), (BEGIN_MS + 1501, 1200, 5), (BEGIN_MS + 120_003, 77, 300)]


@pytest.mark.parametrize(
    ("file", "label", "number", "span_s", "prompts", "outputs", "dropped"),
    [
        ("trace_aiperf_profile_export.jsonl", "AIPerf profile export", 30, 2.9, 1024, 128, 0),
        # 40 chains hold 40 model calls: only the calls are requests.
        ("trace_phoenix.csv", "Phoenix", 40, 1141.993284, 119.5, 69.5, 40),
        ("trace_guidellm.json", "GuideLLM report", 30, 14.5, 114.5, 64.5, 0),
    ],
)
def test_a_real_shaped_export_gives_the_right_requests(
    file, label, number, span_s, prompts, outputs, dropped
):
    """Requests, span and mean tokens are those of the file's request records."""
    trace = read_trace(SAMPLES / file)
    assert trace.report.format == label
    assert trace.arrival_s.size == number
    assert trace.span_s == pytest.approx(span_s, abs=1e-6)
    assert trace.prompt_tokens.mean() == prompts
    assert trace.output_tokens.mean() == outputs
    assert sum(trace.report.dropped.values()) == dropped


def test_headers_in_another_language_reach_the_form_and_read_by_hand():
    """German headers are asked about with the right suggestion, which then reads the file."""
    with pytest.raises(UnknownFormat) as caught:
        read_trace(SAMPLES / "trace_german_header.csv")
    assert caught.value.suggested == {
        "time": "Zeitstempel",
        "prompt_tokens": "Prompt-Tokens",
        "output_tokens": "Output-Tokens",
    }
    trace = read_trace(SAMPLES / "trace_german_header.csv", columns=caught.value.suggested)
    assert trace.arrival_s.size == 40
    # 1.100 with semicolons is eleven hundred.
    assert trace.prompt_tokens.tolist() == list(range(1100, 1140))
    assert trace.output_tokens.tolist() == list(range(50, 90))


def test_a_header_in_no_known_language_is_found_by_its_cells():
    """A column of dates is suggested as the time whatever it is called."""
    content = b"kello,prompt_tokens\n2026-03-30 02:00:05,100\n2026-03-30 02:01:14,120\n"
    with pytest.raises(UnknownFormat) as caught:
        read_trace(content)
    assert caught.value.suggested["time"] == "kello"


NESTED = [
    {"meta": {"clock": {"begin": ms / 1000}}, "stats": {"size": {"in": {"value": p}, "out": o}}}
    for ms, p, o in REQUESTS
]


@pytest.mark.parametrize("write", [files.jsonl, files.parquet, lambda r: json.dumps(r).encode()])
def test_columns_at_any_depth_can_be_chosen(write):
    """Dotted paths name what lies two, three and four objects deep, in JSON and Parquet alike."""
    chosen = {
        "time": "meta.clock.begin",
        "prompt_tokens": "stats.size.in.value",
        "output_tokens": "stats.size.out",
    }
    with pytest.raises(UnknownFormat) as caught:
        read_trace(write(NESTED))
    assert set(chosen.values()) <= set(caught.value.columns)
    trace = read_trace(write(NESTED), columns=chosen)
    assert trace.prompt_tokens.tolist() == [p for _, p, _ in REQUESTS]
    assert trace.output_tokens.tolist() == [o for _, _, o in REQUESTS]
    assert trace.span_s == pytest.approx(120.003)


@pytest.mark.parametrize("name", ["request_time", "latency", "duration", "elapsed", "time"])
def test_a_duration_is_never_suggested_as_the_arrival(name):
    """Neither a name nor small numbers that rise and fall make a column the time of arrival."""
    rows = [{name: cell, "user": "a", "bytes": 9} for cell in (0.9, 3.2, 0.4, 2.2, 0.3, 5.1)]
    with pytest.raises(UnknownFormat) as caught:
        read_trace(files.table(rows))
    assert "time" not in caught.value.suggested


def test_langsmith_is_not_taken_for_litellm():
    """Both have start time, prompt and completion tokens; only one has parents that are no call."""
    trace = read_trace(files.jsonl(files.langsmith(REQUESTS)))
    assert trace.report.format == "LangSmith"
    assert trace.report.dropped == {"runs that are no model call (chains, tools, retrievers, …)": 3}


def test_what_only_has_litellm_s_tokens_is_asked_about():
    """A startTime and tokens alone are no spend log: they may be sums by the hour."""
    rows = [
        {"startTime": files.iso(ms), "prompt_tokens": p, "completion_tokens": o}
        for ms, p, o in REQUESTS
    ]
    with pytest.raises(UnknownFormat):
        read_trace(files.table(rows))


def test_a_web_server_s_table_counts_only_what_asks_for_text():
    """A table with method, path and status is a web server's, whatever wrote it."""
    rows = [
        {"timestamp": files.iso(BEGIN_MS + 1000 * n), "http_method": method, "url": path,
         "status_code": 200, "latency_ms": 5}
        for n, (method, path) in enumerate(
            [("GET", "/health"), ("POST", "/v1/chat/completions"), ("POST", "/v1/embeddings"),
             ("POST", "/v1/chat/completions"), ("GET", "/metrics")])
    ]  # fmt: skip
    trace = read_trace(files.table(rows))
    assert trace.arrival_s.tolist() == [0, 2]
    kept = [path.path for path in trace.report.paths if path.is_kept]
    assert kept == ["/v1/chat/completions"]


def test_a_request_line_tells_method_and_path():
    """Often nginx logs "POST /path HTTP/1.1" as one field; a prompt of that name is no line."""
    rows = [
        {"time_local": f"30/Mar/2026:02:00:{10 * n + 9:02d} +0000", "request": line, "status": 200,
         "request_time": 9.0}
        for n, line in enumerate(
            ["GET /health HTTP/1.1", *["POST /v1/chat/completions HTTP/2.0"] * 3])
    ]  # fmt: skip
    trace = read_trace(files.jsonl(rows))
    assert trace.report.format == "nginx access log"
    assert trace.arrival_s.tolist() == [0, 10, 20]
    assert trace.t0_utc.isoformat() == "2026-03-30T02:00:10+00:00"
    said = [
        {"timestamp": files.iso(ms), "request": "Write a poem", "status": "ok",
         "prompt_tokens": p, "output_tokens": o}
        for ms, p, o in REQUESTS
    ]  # fmt: skip
    assert read_trace(files.jsonl(said)).report.format == "request table"


ECS = [
    {"@timestamp": files.iso(ms), "http": {"request": {"method": "POST"},
                                           "response": {"status_code": 200}},
     "url": {"path": "/v1/chat/completions"}, "event": {"duration": 9}}
    for ms, _, _ in REQUESTS
]  # fmt: skip


@pytest.mark.parametrize(
    "content",
    [
        files.jsonl(ECS),
        json.dumps({"hits": {"total": 3, "hits": [{"_source": r} for r in ECS]}}).encode(),
        json.dumps({"events": [{"id": "1", "message": json.dumps(r)} for r in ECS]}).encode(),
        files.jsonl([{"insertId": str(n), "jsonPayload": r} for n, r in enumerate(ECS)]),
    ],
    ids=["lines", "Elasticsearch", "CloudWatch events", "Cloud Logging"],
)  # fmt: skip
def test_what_only_wraps_a_record_does_not_hide_it(content):
    """The same records read alike from a search, a log service or a line of a container."""
    trace = read_trace(content)
    assert trace.report.format == "web server's log"
    assert trace.arrival_s.tolist() == [0, 1.501, 120.003]


def test_jaeger_s_tags_are_attributes():
    """Jaeger's export has the same spans with tags for attributes, in microseconds."""
    spans = [
        {"traceID": "a", "spanID": str(n), "startTime": ms * 1000, "duration": 9,
         "tags": [{"key": "gen_ai.operation.name", "type": "string", "value": kind},
                  {"key": "gen_ai.usage.input_tokens", "type": "int64", "value": p},
                  {"key": "gen_ai.usage.output_tokens", "type": "int64", "value": o}]}
        for n, (ms, p, o, kind) in enumerate(
            [(*request, "chat") for request in REQUESTS] + [(BEGIN_MS, 1, 1, "execute_tool")])
    ]  # fmt: skip
    trace = read_trace(json.dumps({"data": [{"traceID": "a", "spans": spans}]}).encode())
    assert trace.report.format == "OpenTelemetry GenAI"
    assert trace.prompt_tokens.tolist() == [310, 1200, 77]
    assert trace.arrival_s.tolist() == [0, 1.501, 120.003]


def test_phoenix_without_the_kind_counts_spans_that_have_tokens():
    """An export that leaves the kind out still tells model calls: only they have tokens."""
    spans = [
        {name: cell for name, cell in span.items() if name != "span_kind"}
        for span in files.phoenix(REQUESTS)
    ]
    trace = read_trace(files.table(spans))
    assert trace.prompt_tokens.tolist() == [310, 1200, 77]
    assert sum(trace.report.dropped.values()) == 1


@pytest.mark.parametrize("kind", ["type", "span_type", "kind"])
def test_spans_of_any_tracer_count_only_the_model_s(kind):
    """Where a column tells which spans are calls of a model, those that contain them are none."""
    rows = [
        {"id": f"{word}{n}", kind: word, "start_time": files.iso(ms), "end_time": files.iso(ms + 9),
         "usage": {"prompt_tokens": p, "completion_tokens": o}}
        for n, (ms, p, o) in enumerate(REQUESTS) for word in ("general", "llm")
    ]  # fmt: skip
    trace = read_trace(files.jsonl(rows))
    assert trace.prompt_tokens.tolist() == [310, 1200, 77]
    assert sum(trace.report.dropped.values()) == 3


def test_a_browser_s_record_of_requests_starts_when_they_started():
    """HAR's ``time`` is the duration, ``startedDateTime`` the arrival."""
    entries = [
        {"startedDateTime": files.iso(ms), "time": 900.5,
         "request": {"method": "POST", "url": "https://x.test/v1/chat/completions"},
         "response": {"status": 200}}
        for ms, _, _ in REQUESTS
    ]  # fmt: skip
    trace = read_trace(json.dumps({"log": {"version": "1.2", "entries": entries}}).encode())
    assert trace.arrival_s.tolist() == [0, 1.501, 120.003]


def test_tokens_that_only_later_records_have_are_read():
    """A log that begins with five hundred health checks has the tokens of its calls."""
    record = files.kong(REQUESTS)[-1]
    check = {key: cell for key, cell in record.items() if key != "ai"}
    check["request"] = {"uri": "/health", "method": "GET"}
    trace = read_trace(files.jsonl([check] * 500 + files.kong(REQUESTS)))
    assert trace.prompt_tokens.tolist() == [310, 1200, 77]


def test_buckets_inside_a_usage_interface_s_pages_are_buckets():
    """OpenAI's usage pages hold buckets that hold results: requests and tokens are their sums."""
    begin = BEGIN_MS // 1000
    data = [
        {"object": "bucket", "start_time": begin + 3600 * n, "end_time": begin + 3600 * (n + 1),
         "results": [{"object": "organization.usage.completions.result", "model": "m",
                      "num_model_requests": n + 1, "input_tokens": 900 * (n + 1),
                      "output_tokens": 90 * (n + 1)}] if n % 3 else []}
        for n in range(24)
    ]  # fmt: skip
    trace = read_trace(json.dumps({"object": "page", "data": data}).encode())
    assert trace.arrival_s.size == sum(n + 1 for n in range(24) if n % 3)
    assert trace.report.bucket_s == 3600
    assert set(trace.prompt_tokens.tolist()) == {900}


# --- Refused or asked ---------------------------------------------------------------------------


def one(**cells) -> bytes:
    return json.dumps(cells).encode()


STAMPED = [files.iso(BEGIN_MS + 60_000 * n) for n in range(6)]


def over_time(**cells) -> bytes:
    return files.table([{"timestamp": stamp, **cells} for stamp in STAMPED])


REFUSED = {
    "config.json": (
        one(architectures=["X"], hidden_size=4096, num_hidden_layers=32),
        "looks like a model's config.json. Bring it under your own model",
    ),
    "price table": (
        files.table([{"provider": "x", "gpu": "H100", "price": 2.5}] * 3),
        "looks like a price table. Upload it as prices",
    ),
    "SkyPilot catalogue": (
        files.table([{"InstanceType": "x", "AcceleratorName": "H100", "Price": 2.5}] * 3),
        "looks like a price table",
    ),
    "AIPerf summary, CSV": (
        files.table([{"Metric": "Request Latency (ms)", "avg": 6, "min": 4, "max": 9, "p99": 9}]),
        "looks like a summary of a benchmark",
    ),
    "AIPerf summary with errors": (
        one(request_throughput={"unit": "requests/sec", "avg": 13.1}, start_time="x",
            error_summary=[{"error_details": {"code": 499}, "count": 81}]),
        "looks like a summary of a benchmark",
    ),
    "several lists": (
        one(models=[{"id": "m"}], rows=[{"timestamp": stamp} for stamp in STAMPED]),
        "holds 2 lists of records (models, rows); expected one",
    ),
    "AIPerf summary, JSON": (
        one(request_throughput={"unit": "requests/sec", "avg": 13.1}, start_time="x",
            request_latency={"avg": 6550.3, "p99": 9381.6}),
        "looks like a summary of a benchmark",
    ),
    "vLLM bench, no detail": (
        one(date="20260102", num_prompts=9, request_throughput=1.2, total_input_tokens=9,
            mean_ttft_ms=3.0),
        "result of a vLLM benchmark without the time of each request. Save it with --save-result",
    ),
    "vLLM bench, lengths only": (
        one(request_throughput=1.2, total_input_tokens=9, input_lens=[1, 2], output_lens=[3, 4]),
        "without the time of each request",
    ),
    "vLLM bench, uneven": (
        one(request_throughput=1.2, total_input_tokens=9, input_lens=[1, 2], output_lens=[3, 4],
            start_times=[1.0]),
        "has 1 start_times, but 2 input_lens and 2 output_lens",
    ),
    "percentiles over time": (
        over_time(p50=0.4, p99=2.0, user="x"),
        "looks like a summary of a benchmark",
    ),
    "OpenRouter by the day": (
        files.table([{"date": "2026-03-30", "model_permaslug": "m", "requests": 3, "usage": 0.1,
                      "prompt_tokens": 9, "completion_tokens": 9}]),
        "All rows count requests of the same time",
    ),
    "LiteLLM by the day": (
        files.table([{"date": "2026-03-30", "api_requests": 3, "prompt_tokens": 9,
                      "completion_tokens": 9}]),
        "All rows count requests of the same time",
    ),
    "Kubernetes events": (
        files.table([{"LAST SEEN": "5m", "TYPE": "Normal", "REASON": "Pulled", "OBJECT": "pod/x",
                      "MESSAGE": "y"}]),
        "looks like events of Kubernetes. Upload them on the Cold start page",
    ),
    "nvidia-smi": (
        over_time(**{"utilization.gpu [%]": "90 %", "name": "H100"}),
        "looks like readings of GPUs",
    ),
    "cloud bill": (
        files.table([{"lineItem/UsageStartDate": stamp, "cost": 1.0} for stamp in STAMPED]),
        "looks like a bill or usage by the day",
    ),
    "cost by the day": (
        files.table([{"date": "2026-03-30", "model": "m", "cost": 2.0}] * 3),
        "looks like a bill or usage by the day",
    ),
    "training texts": (
        files.jsonl([{"instruction": "a", "output": "b", "source": "c"}] * 3),
        "looks like texts to train or evaluate a model",
    ),
    "ShareGPT": (
        files.jsonl([{"id": "a", "conversations": [{"from": "human", "value": "x"}]}] * 3),
        "looks like texts to train or evaluate a model",
    ),
    "evaluation": (
        files.table([{"task": "mmlu", "score": 0.7, "shots": 5}] * 3),
        "looks like results of an evaluation",
    ),
    "program log": (
        files.jsonl([{"timestamp": stamp, "level": "INFO", "message": "started"}
                     for stamp in STAMPED]),
        "looks like log lines of a program",
    ),
    "k6": (
        files.table([{"metric_name": name, "timestamp": BEGIN_MS // 1000 + n, "metric_value": 1,
                      "method": "POST", "status": 200, "url": "http://x/v1/chat/completions"}
                     for n in range(4) for name in ("http_reqs", "http_req_duration")]),
        "No known format has these columns",
    ),
    "web page": (
        b"<!DOCTYPE html>\n<html><body>Sign in</body></html>\n",
        "The file looks like a web page or XML",
    ),
    "XML": (b"<?xml version='1.0'?>\n<a, b>\n</a>\n", "The file looks like a web page or XML"),
    "SQL": (b"INSERT INTO x VALUES (1, 2);\n" * 3, "The file looks like an SQL dump"),
    "manifest": (b"apiVersion: v1\nkind: Pod\n", "The file looks like YAML"),
    "kubectl get events": (
        b"LAST SEEN   TYPE     REASON    OBJECT   MESSAGE\n5m  Normal  Pulled  pod/x  Image\n",
        "The file looks like events of Kubernetes. Upload them on the Cold start page",
    ),
    "prose": (
        b"We had about nine hundred requests last week\nand most of them at noon\n",
        "The file looks like text, not a table",
    ),
    "hourly spend": (
        files.table([{"startTime": stamp, "spend": 0.1, "model_group": "m", "requests": 90,
                      "prompt_tokens": 90_000, "completion_tokens": 9_000} for stamp in STAMPED]),
        "Is 'prompt_tokens' the sum of the tokens of a row's requests, or their mean?",
    ),
    "Logs Insights": (
        files.table([{"@timestamp": stamp, "@message": "{}", "@ptr": "x"} for stamp in STAMPED]),
        "looks like an export of CloudWatch Logs Insights",
    ),
    "Locust": (
        files.table([{"Type": "POST", "Name": "/v1", "Request Count": 9,
                      "Median Response Time": 3}]),
        "looks like a summary of a benchmark",
    ),
    "ends and durations": (
        files.table([{"end_timestamp": 9.5, "duration": 900, "prompt_tokens": 9,
                      "output_tokens": 9}] * 3),
        "No known format has these columns",
    ),
    "spans of no model": (
        files.table([{"start_time": stamp, "name": "GET /", "gen_ai.system": "x"}
                     for stamp in STAMPED]),
        "No known format has these columns",
    ),
    "lengths": (
        files.table([{"prompt_tokens": p, "output_tokens": o} for _, p, o in REQUESTS]),
        "No arrival time column",
    ),
    "spans without a model call": (
        files.table([{"start_time": stamp, "span_kind": "CHAIN", "llm.token_count.prompt": "",
                      "llm.token_count.completion": ""} for stamp in STAMPED]),
        "None of the 6 rows is a request: 6 spans that are no model call",
    ),
    "LangSmith roots only": (
        files.table([{"id": n, "start_time": stamp, "run_type": "chain", "prompt_tokens": 9,
                      "completion_tokens": 9} for n, stamp in enumerate(STAMPED)]),
        "None of the 6 rows is a request: 6 runs that are no model call",
    ),
    "only cache hits": (
        files.jsonl([{**record, "cached": True} for record in files.cloudflare(REQUESTS)]),
        "None of the 4 rows is a request: 4 cache hits",
    ),
    "GuideLLM, all failed": (
        one(benchmarks=[{"requests": {"successful": [], "errored": [
            {"request_id": "1", "request_start_time": 1.0, "prompt_tokens": 1,
             "output_tokens": 1}]}}]),
        "None of the 1 rows is a request: 1 requests that failed",
    ),
    "web log of another service": (
        files.table([{"timestamp": stamp, "method": "POST", "path": "/checkout", "status": 200}
                     for stamp in STAMPED]),
        "None of the paths in the file is known to ask a model for text",
    ),
    "embeddings only": (
        files.jsonl([{**record, "modelId": "vendor.embed-v3"}
                     for record in files.bedrock(REQUESTS)]),
        "None of the 4 rows is a request: 4 calls that generate no text",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_log_of_requests_is_refused_or_asked_about(name):
    """The sentence says what the file looks like and what would be usable."""
    content, sentence = REFUSED[name]
    with pytest.raises(InputError) as caught:
        read_trace(content)
    assert sentence in str(caught.value)


def test_the_documents_list_what_is_read():
    """The page about files names every origin that the app names."""
    text = " ".join(FILES.read_text(encoding="utf-8").split())
    for group, origins in known_formats.READ:
        missing = [origin for origin in (group, *origins) if origin not in text]
        assert not missing


def test_the_list_of_what_is_read_has_every_format():
    """Each format's name in a report holds an origin that document and page name."""
    told = [origin.lower() for _, origins in known_formats.READ for origin in origins]
    own = {"request table", "web server's log"}
    for written in files.FILES.values():
        if written.format not in own:
            assert any(origin in written.format.lower() for origin in told), written.format
