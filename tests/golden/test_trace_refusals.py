"""Counts and logs that must be refused or asked about: none of them may become traffic."""

from __future__ import annotations

import json

import pytest

from frontier.errors import InputError
from frontier.trace import TraceQuestion, UnknownFormat, read_trace

T0 = 1_767_225_600


def prometheus(*series, number=40) -> bytes:
    result = [
        {"metric": labels, "values": [[T0 + 60 * n, str(value(n))] for n in range(number)]}
        for labels, value in series
    ]
    return json.dumps({"data": {"resultType": "matrix", "result": result}}).encode()


def named(name, **labels):
    return {"__name__": name, **labels}


def rising(n):
    return 3 * n


def wobbling(n):
    return (7 * n) % 5


def panel(header, cell, number=40) -> bytes:
    lines = [header, *(f"2026-03-30 02:{n:02}:00,{cell(n)}" for n in range(number))]
    return "\n".join(lines).encode()


def cloudwatch(label, **statistics) -> bytes:
    points = [{"Timestamp": f"2026-03-30T02:{n:02}:00Z", **statistics} for n in range(30)]
    return json.dumps({"Label": label, "Datapoints": points}).encode()


def log(*lines) -> bytes:
    return "\n".join(lines * 10).encode()


PLAIN = '10.0.0.1 - - [30/Mar/2026:02:00:00 +0000] "{} HTTP/1.1" {} 5 "-" "a"'

REFUSED = {
    # Levels, tokens, failures, seconds: nothing of it counts requests.
    "vLLM running": (prometheus((named("vllm:num_requests_running"), wobbling)), "is a level"),
    "vLLM waiting": (
        prometheus((named("vllm:num_requests_waiting"), wobbling)),
        r"vllm:request_success_total\[1m\]",
    ),
    "SGLang queue": (
        prometheus((named("sglang:num_queue_reqs"), wobbling)),
        "Export sglang:num_requests_total",
    ),
    "SGLang tokens": (
        prometheus((named("sglang:generation_tokens_total"), rising)),
        "is a count of output tokens",
    ),
    "TGI queue": (prometheus((named("tgi_queue_size"), wobbling)), "Export tgi_request_count"),
    "TGI failures": (
        prometheus((named("tgi_request_failure"), rising)),
        "failures, retries or preemptions",
    ),
    "Triton microseconds": (
        prometheus((named("nv_inference_request_duration_us"), rising)),
        "a sum of seconds or bytes.*nv_inference_request_success",
    ),
    "llama.cpp": (
        prometheus((named("llamacpp:tokens_predicted_total"), rising)),
        "has no counter of requests",
    ),
    "preemptions": (
        prometheus((named("vllm:num_preemptions_total"), rising)),
        "failures, retries or preemptions",
    ),
    "histogram buckets": (
        prometheus((named("http_request_duration_seconds_bucket", le="1"), rising)),
        "no count of requests",
    ),
    "Knative concurrency": (
        prometheus((named("activator_request_concurrency"), wobbling)),
        "Export revision_request_count",
    ),
    "only GET": (
        prometheus((named("http_requests_total", method="GET"), rising)),
        "No series counts requests to the model: 40 samples of requests that are no POST",
    ),
    "only refused": (
        prometheus((named("http_requests_total", status="4xx"), rising)),
        "redirected or refused",
    ),
    "one moment": (
        json.dumps({"data": {"resultType": "vector", "result": []}}).encode(),
        "Ask for a range",
    ),
    "subnormal counts": (
        prometheus((named("x"), lambda n: "1e-320")),
        "fewer than two requests",
    ),
    "infinite counts": (
        prometheus((named("http_requests_total"), lambda n: "+Inf")),
        r"40 of 40 values are no counts of requests, the first is '\+Inf'",
    ),
    "an average": (cloudwatch("Invocations", Average=1.0), "Take the statistic Sum"),
    "a latency": (cloudwatch("ModelLatency", Sum=9.0), "a sum of seconds or bytes"),
    "errors of CloudWatch": (cloudwatch("Invocation5XXErrors", Sum=9.0), "failures, retries"),
    "panel of a level": (panel("Time,requests running", wobbling), "is a level"),
    "panel of tokens": (panel("Time,tokens per second", wobbling), "is a count of tokens"),
    "panel, a tenth unreadable": (
        panel("Time,Requests", lambda n: "a lot" if n % 10 == 1 else n % 3),
        "4 of 40 values are no counts of requests, the first is 'a lot'",
    ),
    "a metric that is not there": (
        prometheus((named("a_requests_total"), rising)),
        "There is no metric 'b' in the file",
        {"metric": "b"},
    ),
    "tokens chosen as requests": (
        prometheus((named("a_requests_total"), rising), (named("a_tokens_total"), rising)),
        "is a count of tokens",
        {"metric": "a_tokens_total"},
    ),
    "paths chosen where there are none": (
        prometheus((named("a_requests_total"), rising)),
        "have no paths, so none can be chosen",
        {"paths": "/v1/chat/completions"},
    ),
    "too many requests": (panel("Time,Requests", lambda n: "9 Tri"), "more than the 2,000,000",
                          {"counts": "increase"}),
    # Logs whose lines have no time, or in which there is nothing to count.
    "uvicorn without times": (
        log('INFO:     10.0.0.3:4000 - "POST /v1/chat/completions HTTP/1.1" 200 OK'),
        "looks like a uvicorn access log .*whose lines have no time.*--timestamps",
    ),
    "llama.cpp without times": (
        log("srv  log_server_r: request: POST /v1/chat/completions 10.0.0.1 200"),
        "no time",
    ),
    "an engine's own log": (
        log("INFO 03-30 02:00:05 [loggers.py:118] Engine 000: Avg prompt throughput: 10 tokens/s"),
        "looks like a server's log",
    ),
    "Ollama's start": (
        log("[GIN-debug] GET    /api/tags   --> server.ListHandler (5 handlers)"),
        "looks like the log of an Ollama server",
    ),
    "key=value": (
        log('time=2026-03-30T02:00:05.123Z level=INFO source=routes.go:1 msg="Listening"'),
        "looks like a server's log",
    ),
    "journal": (
        log("Mar 30 02:00:05 host systemd[1]: Started vllm.service."),
        "looks like the log of a system service",
    ),
    "IIS": (
        log("#Software: Microsoft Internet Information Services 10.0", "#Fields: date time"),
        "W3C or IIS",
    ),
    "kubectl": (log("[pod/v-0/vllm] starting"), "looks like the log of a container"),
    "a line without end": (
        (PLAIN.format("GET " + "a" * 64_000, 200)).encode(),
        "looks like a web server's access log",
    ),
    "cut lines": (
        log(PLAIN.format("POST /v1/completions", 200), PLAIN.format("POST /v1/completions", 2)),
        "10 of 20 lines with a request could not be read",
    ),
    "only health checks of the model": (
        log(PLAIN.format("GET /v1/completions", 200)),
        "None of the 10 rows is a request: 10 requests that are no POST",
    ),
    "separators": (b"\x1c\n", "The file is empty"),
}  # fmt: skip

ASKED = {
    "other paths": (log(PLAIN.format("POST /ask", 200)), "paths"),
    "other handlers": (
        prometheus((named("http_requests_total", handler="/ask", method="POST"), rising)),
        "paths",
    ),
    "counter or not": (
        prometheus((named("vllm:request_success_total"), lambda n: n % 6), number=200),
        "counts",
    ),
    "no name": (prometheus(({}, wobbling), number=5), "counts"),
    "fractions that fall": (prometheus(({}, lambda n: wobbling(n) / 7), number=200), "counts"),
    "panel": (panel("Time,Requests", wobbling), "counts"),
    "abbreviated panel": (panel("Time,Value", lambda n: f"{n % 3}.2 K"), "counts"),
    "two models": (
        prometheus(*((named("a_requests_total", model_name=m), rising) for m in "ab")),
        "model",
    ),
    "two services": (
        prometheus(*((named("istio_requests_total", destination_service=m), rising) for m in "ab")),
        "model",
    ),
    "two metrics": (
        prometheus((named("a_requests_total"), rising), (named("b_requests_total"), rising)),
        "metric",
    ),
    "two columns": (panel("Time,a,b", lambda n: f"{n % 3},{n % 4}"), "model"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_counts_no_requests_is_refused_in_words(case):
    """A sentence says what the file holds and what would do; it never shows the mapping form."""
    content, words, *answers = REFUSED[case]
    with pytest.raises(InputError, match=words) as refused:
        read_trace(content, **(answers[0] if answers else {}))
    assert not isinstance(refused.value, TraceQuestion | UnknownFormat)
    assert str(refused.value).endswith(".")


@pytest.mark.parametrize("case", ASKED)
def test_what_is_open_is_asked_and_never_read_without_an_answer(case):
    """One question names the argument that answers it and at least two ways to read the file."""
    content, parameter = ASKED[case]
    with pytest.raises(TraceQuestion) as asked:
        read_trace(content)
    assert asked.value.parameter == parameter
    assert len(dict(asked.value.choices)) == len(asked.value.choices) >= 2
