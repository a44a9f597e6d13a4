"""Writers of the formats that hold one record a request, by their public field names.

Each takes requests as (milliseconds since 1970, prompt tokens, output tokens) and gives the bytes
of a file. Between the requests stand records that are none, as they do in real exports (parents,
tools, cache hits, health checks, warm-up): ``noise`` of them, which a reader must leave out.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from collections.abc import Callable
from dataclasses import dataclass

MODEL = "org/model"
Requests = list[tuple[int, int, int]]


@dataclass(frozen=True)
class Written:
    """A format: its name in a report, how to write it, and whether it has tokens and dates."""

    format: str
    write: Callable[[Requests], bytes]
    noise: int = 0
    has_tokens: bool = True
    is_dated: bool = True


def iso(ms: float, zone: str = "Z") -> str:
    moment = dt.datetime.fromtimestamp(0, dt.UTC) + dt.timedelta(milliseconds=ms)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", zone)


def jsonl(records) -> bytes:
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def table(records) -> bytes:
    names = list(dict.fromkeys(name for record in records for name in record))
    out = io.StringIO()
    writer = csv.DictWriter(out, names)
    writer.writeheader()
    writer.writerows(records)
    return out.getvalue().encode()


def parquet(records) -> bytes:
    import pyarrow as pa
    from pyarrow import parquet as pq

    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(records), out)
    return out.getvalue()


def own(requests):
    return [{"timestamp": iso(ms), "prompt_tokens": p, "output_tokens": o} for ms, p, o in requests]


def litellm(requests):
    def row(ms, p, o, number, call="acompletion", hit="False"):
        return {
            "request_id": f"r{number}", "call_type": call, "api_key": "x", "spend": 0.1,
            "prompt_tokens": p, "completion_tokens": o, "startTime": iso(ms),
            "endTime": iso(ms + 900), "model": MODEL, "cache_hit": hit, "total_tokens": p + o,
        }  # fmt: skip

    first = requests[0]
    return [
        row(*first, "embedding", call="aembedding"),
        row(*first, "cached", hit="True"),
        *(row(*request, number) for number, request in enumerate(requests)),
    ]


def langsmith(requests):
    records = []
    for number, (ms, p, o) in enumerate(requests):
        parent = {
            "id": f"c{number}", "trace_id": f"t{number}", "run_type": "chain",
            "name": "agent", "parent_run_id": None, "start_time": iso(ms - 5), "end_time": iso(ms),
            "prompt_tokens": p, "completion_tokens": o, "total_tokens": p + o, "inputs": {"q": "?"},
            "extra": {"metadata": {"ls_model_name": MODEL}},
        }  # fmt: skip
        call = {"id": f"l{number}", "run_type": "llm", "start_time": iso(ms), "name": "ChatModel"}
        records += [parent, {**parent, **call, "parent_run_id": parent["id"]}]
    return records


def langfuse(requests):
    return [
        {"id": "trace", "type": "SPAN", "startTime": iso(requests[0][0]), "traceId": "t",
         "usageDetails": {"input": 0, "output": 0}},
        *(
            {"id": f"g{number}", "type": "GENERATION", "startTime": iso(ms),
             "traceId": f"t{number}", "model": MODEL,
             "usageDetails": {"input": p, "output": o, "total": p + o}}
            for number, (ms, p, o) in enumerate(requests)
        ),
    ]  # fmt: skip


def phoenix(requests):
    def span(number, ms, kind, p=None, o=None):
        return {
            "context.span_id": f"{kind}{number}", "context.trace_id": f"t{number}",
            "span_kind": kind, "start_time": iso(ms), "end_time": iso(ms + 900),
            "attributes.llm.model_name": MODEL, "attributes.llm.token_count.prompt": p,
            "attributes.llm.token_count.completion": o,
        }  # fmt: skip

    return [
        span("root", requests[0][0], "AGENT"),
        *(span(number, ms, "LLM", p, o) for number, (ms, p, o) in enumerate(requests)),
    ]


def phoenix_json(requests):
    return [
        {"context": {"span_id": f"s{number}", "trace_id": f"t{number}"}, "span_kind": "LLM",
         "start_time": iso(ms),
         "attributes": {"llm": {"model_name": MODEL,
                                "token_count": {"prompt": p, "completion": o}}}}
        for number, (ms, p, o) in enumerate(requests)
    ]  # fmt: skip


def helicone(requests):
    def row(number, ms, p, o, hit="00000000-0000-0000-0000-000000000000", status=200):
        return {
            "request_id": f"r{number}", "request_created_at": iso(ms), "response_status": status,
            "response_created_at": iso(ms + 900), "request_path": "/v1/chat/completions",
            "request_model": MODEL, "prompt_tokens": p, "completion_tokens": o, "delay_ms": 900,
            "cache_enabled": True, "cache_reference_id": hit, "cache_count": 0,
            "total_tokens": p + o, "request_body": {"messages": []},
        }  # fmt: skip

    return [
        row("hit", *requests[0], hit="7609a2e7-aa53-4ab1-98f4-f35ecafefd25"),
        row("refused", *requests[0], status=401),
        *(row(number, *request) for number, request in enumerate(requests)),
    ]


def openrouter(requests):
    return [
        {"generation_id": f"gen-{number}", "created_at": iso(ms, "").replace("T", " "),
         "cost_total": 0.01, "tokens_prompt": p, "tokens_completion": o, "tokens_reasoning": 0,
         "num_media_prompt": 0, "num_media_completion": 0, "num_search_results": 0,
         "model_permaslug": MODEL, "provider_name": "x", "generation_time_ms": 900}
        for number, (ms, p, o) in enumerate(requests)
    ]  # fmt: skip


def bedrock(requests):
    def entry(number, ms, p, o, model="vendor.chat-v1:0"):
        return {
            "schemaType": "ModelInvocationLog", "schemaVersion": "1.0", "timestamp": iso(ms),
            "accountId": "1", "requestId": f"r{number}", "operation": "Converse", "modelId": model,
            "input": {"inputContentType": "application/json", "inputTokenCount": p,
                      "inputBodyJson": {"messages": [{"content": "?"}]}},
            "output": {"outputContentType": "application/json", "outputTokenCount": o},
        }  # fmt: skip

    return [
        entry("e", *requests[0], model="vendor.text-embed-v2"),
        *(entry(number, *request) for number, request in enumerate(requests)),
    ]


def cloudwatch_events(requests):
    return [
        {"timestamp": requests[0][0], "message": json.dumps(entry)} for entry in bedrock(requests)
    ]


def cloudflare(requests):
    def row(number, ms, p, o, cached=False):
        return {
            "id": f"r{number}", "created_at": iso(ms), "provider": "x", "model": MODEL,
            "path": "chat/completions", "duration": 900, "tokens_in": p, "tokens_out": o,
            "status_code": 200, "success": True, "cached": cached,
        }  # fmt: skip

    return [
        row("hit", *requests[0], cached=True),
        *(row(number, *request) for number, request in enumerate(requests)),
    ]


def kong(requests):
    def entry(number, ms, p, o, uri="/v1/chat/completions"):
        return {
            "started_at": ms, "client_ip": "10.0.0.1", "latencies": {"request": 900, "proxy": 880},
            "request": {"id": f"r{number}", "uri": uri, "method": "POST"},
            "response": {"status": 200},
            "ai": {"proxy": {"usage": {"prompt_tokens": p, "completion_tokens": o},
                             "meta": {"request_model": MODEL, "llm_latency": 900}}},
        }  # fmt: skip

    return [
        entry("e", *requests[0], uri="/v1/embeddings"),
        *(entry(number, *request) for number, request in enumerate(requests)),
    ]


def aiperf(requests):
    def record(number, ms, p, o, phase="profiling", cancelled=False):
        return {
            "metadata": {"x_request_id": f"r{number}", "session_num": 1, "worker_id": "w",
                         "request_start_ns": ms * 1_000_000, "benchmark_phase": phase,
                         "request_end_ns": (ms + 900) * 1_000_000, "was_cancelled": cancelled},
            "metrics": {"input_sequence_length": {"value": p, "unit": "tokens"},
                        "output_sequence_length": {"value": o, "unit": "tokens"},
                        "request_latency": {"value": 900.0, "unit": "ms"}},
            "error": {"code": 499, "type": "x", "message": "x"} if cancelled else None,
        }  # fmt: skip

    return [
        record("w", *requests[0], phase="warmup"),
        record("c", *requests[0], cancelled=True),
        *(record(number, *request) for number, request in enumerate(requests)),
    ]


def genai_perf(requests) -> bytes:
    held = [
        {"timestamp": ms * 1_000_000, "request_inputs": {"payload": "x"},
         "response_timestamps": [(ms + 900) * 1_000_000], "response_outputs": [{"response": "x"}]}
        for ms, _, _ in requests
    ]  # fmt: skip
    experiment = {"experiment": {"mode": "request_rate", "value": 1}, "requests": held}
    return json.dumps({"service_kind": "openai", "experiments": [experiment]}).encode()


def guidellm(requests) -> bytes:
    def record(number, ms, p, o):
        return {
            "request_id": f"r{number}", "request_start_time": ms / 1000, "prompt_tokens": p,
            "request_end_time": ms / 1000 + 0.9, "output_tokens": o,
        }  # fmt: skip

    held = {
        "successful": [record(number, *request) for number, request in enumerate(requests)],
        "errored": [record("e", *requests[0])],
        "incomplete": [record("i", *requests[0])],
    }
    report = {"metadata": {"version": 1}, "benchmarks": [{"type_": "x", "requests": held}]}
    return json.dumps(report, indent=1).encode()


def vllm_bench(requests) -> bytes:
    begin = requests[0][0]
    return json.dumps(
        {
            "date": "20260102-030405", "backend": "vllm", "model_id": MODEL, "num_prompts": 9,
            "duration": 9.0, "completed": len(requests), "total_input_tokens": 1,
            "request_throughput": 1.0, "mean_ttft_ms": 1.0,
            "input_lens": [9, *(p for _, p, _ in requests)],
            "output_lens": [0, *(o for _, _, o in requests)],
            "start_times": [5000.0, *(5000 + (ms - begin) / 1000 for ms, _, _ in requests)],
            "ttfts": [0.1] * (len(requests) + 1), "itls": [[0.01]] * (len(requests) + 1),
            "errors": ["Traceback", *("" for _ in requests)],
        }
    ).encode()  # fmt: skip


def web(entry, requests):
    """Give an access log with a health check and a refused request before the requests."""
    first = requests[0][0]
    return [
        entry(first, "GET", "/health", 200),
        entry(first, "POST", "/v1/chat/completions", 401),
        *(entry(ms, "POST", "/v1/chat/completions", 200) for ms, _, _ in requests),
    ]


def traefik(requests):
    return web(
        lambda ms, method, path, status: {
            "StartUTC": iso(ms), "time": iso(ms + 900), "Duration": 900_000_000,
            "RequestMethod": method, "RequestPath": path, "DownstreamStatus": status,
            "level": "info", "RequestCount": ms % 1000, "RetryAttempts": 0,
        },
        requests,
    )  # fmt: skip


def traefik_ends(requests):
    return [
        {name: cell for name, cell in record.items() if name != "StartUTC"}
        for record in traefik(requests)
    ]


def caddy(requests):
    return web(
        lambda ms, method, path, status: {
            "level": "info", "ts": (ms + 900) / 1000, "logger": "http.log.access", "status": status,
            "msg": "handled request", "duration": 0.9,
            "request": {"method": method, "host": "x", "uri": path, "headers": {"Accept": ["*"]}},
        },
        requests,
    )  # fmt: skip


def in_container(records):
    """Wrap each record in the line of a container's log, as Docker writes it."""
    return [
        {"log": json.dumps(record) + "\n", "stream": "stdout", "docker_time": "x"}
        for record in records
    ]


def envoy(requests):
    return web(
        lambda ms, method, path, status: {
            "start_time": iso(ms), "method": method, "path": path, "protocol": "HTTP/1.1",
            "response_code": status, "duration": 900, "upstream_service_time": "880",
        },
        requests,
    )  # fmt: skip


def load_balancer(requests):
    return web(
        lambda ms, method, path, status: {
            "type": "https", "time": iso(ms + 900), "request_processing_time": 0.0,
            "target_processing_time": 0.9, "elb_status_code": status, "request_verb": method,
            "request_url": f"https://x:443{path}", "request_creation_time": iso(ms),
        },
        requests,
    )  # fmt: skip


def cloud_run(requests):
    return web(
        lambda ms, method, path, status: {
            "insertId": f"{ms}{path}{status}{method}", "timestamp": iso(ms),
            "resource": {"type": "cloud_run_revision", "labels": {"service_name": "x"}},
            "httpRequest": {"requestMethod": method, "requestUrl": f"https://x.run.app{path}",
                            "status": status, "latency": "0.9s"},
        },
        requests,
    )  # fmt: skip


def nginx(requests):
    return web(
        lambda ms, method, path, status: {
            "msec": f"{(ms + 900) / 1000:.3f}", "request_method": method, "request_uri": path,
            "status": str(status), "request_time": "0.900", "body_bytes_sent": "9",
        },
        requests,
    )  # fmt: skip


def _as(write, records):
    return lambda requests: write(records(requests))


FILES = {
    "own, CSV": Written("request table", _as(table, own)),
    "own, JSON lines": Written("request table", _as(jsonl, own)),
    "own, Parquet": Written("request table", _as(parquet, own)),
    "LiteLLM, CSV": Written("LiteLLM spend log", _as(table, litellm), 2),
    "LiteLLM, Parquet": Written("LiteLLM spend log", _as(parquet, litellm), 2),
    "LangSmith": Written("LangSmith", _as(jsonl, langsmith), -1),
    "LangSmith, Parquet": Written("LangSmith", _as(parquet, langsmith), -1),
    "Langfuse": Written("Langfuse", _as(jsonl, langfuse), 1),
    "Langfuse, Parquet": Written("Langfuse", _as(parquet, langfuse), 1),
    "Phoenix, CSV": Written("Phoenix", _as(table, phoenix), 1),
    "Phoenix, Parquet": Written("Phoenix", _as(parquet, phoenix), 1),
    "Phoenix, JSON lines": Written("Phoenix", _as(jsonl, phoenix_json)),
    "Helicone": Written("Helicone", _as(jsonl, helicone), 2),
    "OpenRouter": Written("OpenRouter activity", _as(table, openrouter)),
    "Bedrock": Written("Bedrock invocation log", _as(jsonl, bedrock), 1),
    "Bedrock, Parquet": Written("Bedrock invocation log", _as(parquet, bedrock), 1),
    "Bedrock in CloudWatch": Written(
        "Bedrock invocation log",
        lambda requests: json.dumps({"events": cloudwatch_events(requests)}).encode(),
        1,
    ),
    "Cloudflare": Written(
        "Cloudflare AI Gateway",
        lambda requests: json.dumps(
            {"success": True, "errors": [], "result": cloudflare(requests),
             "result_info": {"page": 1}}
        ).encode(),
        1,
    ),
    "Kong": Written("Kong gateway log", _as(jsonl, kong), 1),
    "AIPerf": Written("AIPerf profile export", _as(jsonl, aiperf), 2),
    "GenAI-Perf": Written("GenAI-Perf profile export", genai_perf, has_tokens=False),
    "GuideLLM": Written("GuideLLM report", guidellm, 2),
    "vLLM bench": Written("vLLM bench result", vllm_bench, 1, is_dated=False),
    "Traefik": Written("Traefik access log", _as(jsonl, traefik), 2, has_tokens=False),
    "Traefik, ends": Written("Traefik access log", _as(jsonl, traefik_ends), 2, has_tokens=False),
    "Caddy": Written("Caddy access log", _as(jsonl, caddy), 2, has_tokens=False),
    "Caddy in a container": Written(
        "Caddy access log",
        lambda requests: jsonl(in_container(caddy(requests))),
        2,
        has_tokens=False,
    ),
    "Envoy": Written("Envoy access log", _as(jsonl, envoy), 2, has_tokens=False),
    "load balancer": Written(
        "AWS load balancer log", _as(jsonl, load_balancer), 2, has_tokens=False
    ),
    "Cloud Run": Written(
        "Google Cloud request log",
        lambda requests: json.dumps(cloud_run(requests)).encode(),
        2,
        has_tokens=False,
    ),
    "nginx": Written("nginx access log", _as(jsonl, nginx), 2, has_tokens=False),
}  # fmt: skip
