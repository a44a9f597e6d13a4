"""Access logs of every layout that is read: arrivals, paths, and what is left out."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pytest

from frontier.errors import InputError
from frontier.trace import TraceQuestion, UnknownFormat, read_trace
from frontier.trace.paths import bare, generates

SAMPLES = Path(__file__).parent / "traces"
START = dt.datetime(2026, 3, 30, 2, 0, 0, tzinfo=dt.UTC)


def test_ingress_nginx_durations_are_read_by_their_position():
    """Each line is written when the response ends: 40 requests arrive 31.205 s before that."""
    trace = read_trace(SAMPLES / "trace_ingress_nginx.log")
    assert trace.arrival_s.size == 40
    assert trace.t0_utc == START - dt.timedelta(seconds=31.205)
    np.testing.assert_allclose(np.diff(trace.arrival_s), 40.0, atol=1e-6)
    assert trace.report.format == "ingress-nginx access log"
    assert "Times are when the response ended; arrival = end − duration." in trace.report.notes


def test_paths_of_every_server_count_and_are_listed():
    """Ollama, TGI, SageMaker, Gemini, Triton, OpenAI and Azure paths: 40 of 40 requests."""
    trace = read_trace(SAMPLES / "trace_llm_paths.log")
    assert trace.arrival_s.size == 40
    assert not trace.report.dropped
    assert {path.path: path.requests for path in trace.report.paths} == dict.fromkeys(
        (
            "/api/chat",
            "/api/generate",
            "/generate_stream",
            "/invocations",
            "/v1/chat/completions",
            "/v1beta/models/m:generateContent",
            "/v2/models/m/generate_stream",
            "/openai/deployments/d/chat/completions",
        ),
        5,
    )
    assert all(path.is_kept for path in trace.report.paths)


def test_paths_can_be_chosen():
    """Two of eight paths are 10 requests; the other 30 are counted as left out."""
    trace = read_trace(SAMPLES / "trace_llm_paths.log", paths=("/api/chat", "/invocations"))
    assert trace.arrival_s.size == 10
    assert sum(trace.report.dropped.values()) == 30
    assert "Paths counted: /api/chat (5), /invocations (5)." in trace.report.notes
    with pytest.raises(InputError, match="There is no path '/nope' in the file; there are /api"):
        read_trace(SAMPLES / "trace_llm_paths.log", paths="/nope")


def test_ollamas_log_is_no_json_and_its_latencies_are_used():
    """A line of Gin is written when the answer ends: 02:00:05 less 3 s is the first arrival."""
    trace = read_trace(SAMPLES / "trace_ollama_gin.log")
    assert trace.arrival_s.size == 40
    assert trace.t0_utc == START + dt.timedelta(seconds=2)
    assert trace.report.format == "Ollama (Gin) log"


def test_uvicorns_lines_are_read_where_kubernetes_stamped_them():
    """Lines of `kubectl logs --timestamps` have a time to the nanosecond."""
    trace = read_trace(SAMPLES / "trace_uvicorn_k8s.log")
    assert trace.arrival_s.size == 40
    assert trace.t0_utc == START + dt.timedelta(seconds=5.338769)
    assert any("arrivals are late" in note for note in trace.report.notes)


REQUEST = "POST /v1/chat/completions HTTP/1.1"
# One line at second s of a minute; what arrives is the start of the request, in seconds.
LINES = {
    "common": (lambda s: f'10.0.0.1 - - [30/Mar/2026:02:00:{s:02} +0000] "{REQUEST}" 200 5', 0.0),
    "flask": (lambda s: f'10.0.0.1 - - [30/Mar/2026 02:00:{s:02}] "{REQUEST}" 200 -', 0.0),
    "nginx, after the agent": (
        lambda s: (
            f'10.0.0.1 - u [30/Mar/2026:02:00:{s:02} +0000] "{REQUEST}" 200 5 "-" "a b" 2.500 2.499'
        ),
        -2.5,
    ),
    "nginx, quoted": (
        lambda s: (
            f'10.0.0.1 - - [30/Mar/2026:02:00:{s:02} +0000] "{REQUEST}" 200 5 "-" "a" "-" "2.500"'
        ),
        -2.5,
    ),
    "nginx, named": (
        lambda s: (
            f'10.0.0.1 - - [30/Mar/2026:02:00:{s:02} +0000] "{REQUEST}" 200 5 "-" "a" rt=2.500 '
            'uct="0.001" urt="2.490"'
        ),
        -2.5,
    ),
    "apisix": (
        lambda s: (
            f'10.0.0.1 - - [30/Mar/2026:02:00:{s:02} +0000] host "{REQUEST}" 200 5 2.500 "-" "a" '
            '10.0.0.9:8000 200 2.499 "http://h"'
        ),
        -2.5,
    ),
    "traefik": (
        lambda s: (
            f'10.0.0.1 - - [30/Mar/2026:02:00:{s:02} +0000] "{REQUEST}" 200 5 "-" "a" 7 "r@docker" '
            '"http://10.0.0.9:8000" 2500ms'
        ),
        0.0,
    ),
    "envoy": (
        lambda s: f'[2026-03-30T02:00:{s:02}.000Z] "{REQUEST}" 200 - 1 5 2500 2499 "-" "a"',
        0.0,
    ),
    "istio": (
        lambda s: (
            f'[2026-03-30T02:00:{s:02}.000Z] "{REQUEST}" 200 - via_upstream - "-" 1 5 2500 2499 "-"'
        ),
        0.0,
    ),
    "haproxy": (
        lambda s: (
            f"Mar 30 02:01:00 lb haproxy[99]: 10.0.0.1:33317 [30/Mar/2026:02:00:{s:02}.000] "
            f'fe be/srv1 0/0/1/9/2500 200 5 - - ---- 1/1/1/1/0 0/0 {{h}} "{REQUEST}"'
        ),
        0.0,
    ),
    "load balancer": (
        lambda s: (
            f"https 2026-03-30T02:00:{s:02}.500000Z app/lb/1 10.0.0.1:2817 10.0.0.9:80 0.100 2.300 "
            f'0.100 200 200 1 5 "POST https://h:443/v1/chat/completions HTTP/1.1" "a" c TLSv1.2'
        ),
        -2.0,
    ),
    "load balancer, with the time of creation": (
        lambda s: (
            f"https 2026-03-30T02:00:{s:02}.500000Z app/lb/1 10.0.0.1:2817 10.0.0.9:80 0.1 2.3 0.1 "
            f'200 200 1 5 "POST https://h:443/v1/chat/completions HTTP/1.1" "a" c TLSv1.2 arn '
            f'"Root=1" "h" "arn" 0 2026-03-30T02:00:{s:02}.000000Z "forward" "-" "-"'
        ),
        0.0,
    ),
    "classic load balancer": (
        lambda s: (
            f"2026-03-30T02:00:{s:02}.000000Z lb 10.0.0.1:2817 10.0.0.9:80 0.1 2.3 0.1 200 200 1 5 "
            f'"POST http://h:80/v1/chat/completions HTTP/1.1" "a" - -'
        ),
        0.0,
    ),
    "gin": (
        lambda s: (
            f"[GIN] 2026/03/30 - 02:00:{s:02} | 200 |         2.5s |  10.0.0.1 | POST     "
            '"/v1/chat/completions"'
        ),
        -2.5,
    ),
    "gin, under systemd": (
        lambda s: (
            f"Mar 30 02:00:{s:02} gpu ollama[12]: [GIN] 2026/03/30 - 02:00:{s:02} | 200 | "
            '2500.00ms |  10.0.0.1 | POST "/v1/chat/completions"'
        ),
        -2.5,
    ),
    "uvicorn, containerd": (
        lambda s: (
            f'2026-03-30T02:00:{s:02}.000000000Z stdout F INFO:     10.0.0.1:4 - "{REQUEST}" 200 OK'
        ),
        0.0,
    ),
    "uvicorn, sglang": (
        lambda s: f'[2026-03-30 02:00:{s:02}] INFO:     10.0.0.1:4 - "{REQUEST}" 200 OK',
        0.0,
    ),
    "uvicorn, coloured and prefixed": (
        lambda s: (
            f"[pod/v-0/vllm] 2026-03-30T02:00:{s:02}.000Z (APIServer pid=1) \x1b[32mINFO\x1b[0m:"
            f'     10.0.0.1:4 - "\x1b[1m{REQUEST}\x1b[0m" 200 OK'
        ),
        0.0,
    ),
    "tgi": (
        lambda s: (
            f"2026-03-30T02:00:{s:02}.500000Z  INFO generate_stream{{parameters=P {{ n: None }} "
            'total_time="2.5s" validation_time="99µs" inference_time="2.4s"}: '
            "text_generation_router::server: router/src/server.rs:555: Success"
        ),
        -2.0,
    ),
    "llama.cpp": (
        lambda s: (
            f"2026-03-30T02:00:{s:02}.000Z srv  log_server_r: request: POST /v1/chat/completions "
            "10.0.0.1 200"
        ),
        0.0,
    ),
}


@pytest.mark.parametrize("layout", LINES)
def test_a_line_of_every_layout_gives_its_arrival(layout):
    """Ends less durations, and starts as they are: the arrivals are those written."""
    line, shift_s = LINES[layout]
    seconds = (5, 9, 20, 41)
    trace = read_trace("\n".join(line(second) for second in seconds).encode())
    assert trace.t0_utc == START + dt.timedelta(seconds=5 + shift_s)
    np.testing.assert_allclose(trace.arrival_s, [0.0, 4.0, 15.0, 36.0], atol=1e-6)
    assert not trace.report.dropped


@pytest.mark.parametrize(
    ("path", "counts"),
    [
        ("/v1/completions", True),
        ("/team/llm/v1/chat/completions/", True),
        ("https://host:443/v1/responses?x=1", True),
        ("/v1/messages", True),
        ("/generate", True),
        ("/completion", True),
        ("/endpoints/e/invocations", True),
        ("/model/anthropic.x/converse-stream", True),
        (
            "/v1/projects/p/locations/l/publishers/google/models/g:streamGenerateContent?alt=sse",
            True,
        ),
        ("/v1/projects/p/locations/l/endpoints/7:predict", True),
        ("/v1/models/m:predict", True),
        ("/v2/models/m/versions/3/infer", True),
        ("/inference.GRPCInferenceService/ModelInfer", True),
        ("/predictions/m", True),
        ("/v1/models", False),
        ("/v1/embeddings", False),
        ("/v1/messages/count_tokens", False),
        ("/v1/threads/t/messages", False),
        ("/v1beta/models/m:embedContent", False),
        ("/v2/health/ready", False),
        ("/v2/models/m/ready", False),
        ("/api/tags", False),
        ("/tokenize", False),
        ("/metrics", False),
        ("/", False),
    ],
)
def test_a_path_counts_if_it_asks_for_text(path, counts):
    """Each server's documented paths, under any prefix and host, and those without text."""
    assert generates(bare(path)) is counts


def test_a_log_with_paths_of_its_own_is_asked_about():
    """No path is known: which one asks for text is a question, and each answer reads."""
    line = LINES["common"][0]
    content = "\n".join(line(s).replace("/v1/chat/completions", "/ask") for s in range(9)).encode()
    with pytest.raises(TraceQuestion) as asked:
        read_trace(content)
    assert asked.value.parameter == "paths"
    assert [value for value, _ in asked.value.choices] == ["/ask", "all"]
    assert read_trace(content, paths="/ask") == read_trace(content, paths="all")


def test_what_was_refused_is_no_request_but_what_gave_up_is():
    """401, 404 and redirects are dropped with a count; 429, 499 and 503 are demand."""
    line = LINES["common"][0]
    codes = (200, 401, 404, 307, 429, 499, 503, 200)
    content = "\n".join(line(5 * n).replace(" 200 ", f" {c} ") for n, c in enumerate(codes))
    report = read_trace(content.encode()).report
    assert report.kept == 5
    assert sum(report.dropped.values()) == 3


def test_lines_that_are_no_request_cost_nothing_but_themselves():
    """Start-up lines between requests are counted apart from requests that cannot be read."""
    line = LINES["uvicorn, sglang"][0]
    lines = ["[2026-03-30 02:00:00] server_args=ServerArgs(model_path='m')"]
    for second in range(20):
        lines += [line(second), f"[2026-03-30 02:00:{second:02}] Decode batch. #running-req: 1"]
    report = read_trace("\n".join(lines).encode()).report
    assert report.kept == 20
    assert report.dropped == {"lines that are no request": 21}


def test_an_error_log_in_between_is_not_taken_for_requests():
    """Errors of nginx quote a request that is in the access log too: it is counted once."""
    line = LINES["nginx, named"][0]
    error = '2026/03/30 02:00:01 [error] 7#7: *1 timed out, request: "POST /v1/x HTTP/1.1"'
    lines = [text for second in range(20) for text in (line(second), error)]
    report = read_trace("\n".join(lines).encode()).report
    assert report.kept == 20
    assert report.dropped == {"lines that are no request": 20}


def test_a_banner_before_a_log_is_no_header():
    """What a server prints first is not taken for the names of columns."""
    line = LINES["uvicorn, sglang"][0]
    content = "\n".join(["Welcome to the server", "", *(line(second) for second in range(20))])
    assert read_trace(content.encode()).report.kept == 20


def test_a_table_whose_cells_are_requests_stays_a_table():
    """A request in a cell does not make a CSV a log: its columns can be chosen."""
    rows = [f'2026-03-30 02:00:{s:02} +0000 UTC,"POST /v1/x HTTP/1.1",200' for s in range(20)]
    with pytest.raises(UnknownFormat) as unknown:
        read_trace("\n".join(["seen,request,code", *rows]).encode())
    assert unknown.value.columns == ("seen", "request", "code")


def test_a_line_of_a_megabyte_is_passed_over():
    """A line longer than a server takes a request is not looked at; the others are read."""
    line = LINES["common"][0]
    lines = [line(second) for second in range(40)]
    lines.insert(7, lines[0] + " " + 'x"\\' * 400_000)
    report = read_trace("\n".join(lines).encode()).report
    assert report.kept == 40
    assert report.dropped == {"lines longer than 8,192 bytes": 1}


@pytest.mark.parametrize("filler", ["a", '"', '\\"', "[", "- ", '"x" ', "1.000 ", "::1"])
def test_a_line_made_to_hold_up_a_pattern_does_not(filler):
    """Eight kilobytes of anything after the beginning of a line read at once or are refused."""
    start = '1.1.1.1 - - [30/Mar/2026:13:55:36 +0000] "POST /v1/completions HTTP/1.1" 200 1 "'
    good = LINES["common"][0]
    hostile = [(start + filler * 8000)[:8000] for _ in range(50)]
    lines = [good(second) for second in range(20)] + hostile
    assert read_trace("\n".join(lines).encode()).report.kept >= 20
