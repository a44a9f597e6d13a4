"""Every format of requests, in the order in which they are tried, and what else a file may be.

The order matters where one format's columns contain another's: what is named by more comes first,
and Frontier's own table, whose names many tools share, comes last. What is no format at all is
described as well as its columns allow, so that a person knows what to export instead.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable

from frontier.trace import (
    formats,
    formats_benchmarks,
    formats_gateways,
    formats_observability,
    formats_web,
    prefixes,
)
from frontier.trace.formats import Layout, Names, fold
from frontier.trace.raw_table import Table

FORMATS: tuple[Callable[[Names], Layout | None], ...] = (
    formats.azure_llm,
    formats.burstgpt,
    formats.bailian,
    formats.ragpulse,
    formats.mooncake,
    formats.agent_sessions,
    formats.vidur,
    formats.splitwise,
    formats_benchmarks.aiperf,
    formats_benchmarks.genai_perf,
    formats_benchmarks.guidellm,
    formats_benchmarks.vllm_bench,
    formats_observability.langsmith,
    formats_observability.phoenix,
    formats_gateways.litellm,
    formats_gateways.helicone,
    formats_gateways.openrouter,
    formats_gateways.bedrock,
    formats_gateways.cloudflare,
    formats_gateways.kong,
    formats_web.envoy,
    formats_observability.open_telemetry,
    formats_observability.langfuse,
    formats_observability.spans,
    formats.baseten,
    formats.azure_functions_2021,
    formats_web.access_log,
    formats_web.traefik,
    formats_web.caddy,
    formats_web.load_balancer,
    formats_web.cloud_run,
    formats_web.nginx,
    formats_web.web_table,
    formats.own,
)

# What the README and the page say is read, by where it comes from.
READ = (
    ("Request tables", ("timestamp, prompt_tokens, output_tokens",)),
    (
        "Published traces",
        ("Azure LLM", "Azure LMM", "Azure Functions", "BurstGPT", "Bailian", "RAGPulse",
         "Mooncake", "Vidur", "SplitwiseSim", "Baseten", "agent sessions"),
    ),
    ("Gateways", ("LiteLLM", "Helicone", "OpenRouter", "Bedrock", "Cloudflare AI Gateway", "Kong")),
    ("Traces of applications", ("Langfuse", "LangSmith", "Phoenix", "OpenTelemetry GenAI")),
    ("Load generators", ("AIPerf", "GenAI-Perf", "GuideLLM", "vLLM bench")),
    (
        "Access logs",
        ("nginx", "ingress-nginx", "Apache", "Envoy", "Istio", "HAProxy", "Traefik", "Caddy",
         "AWS load balancer", "Google Cloud request log", "uvicorn", "Ollama"),
    ),
    (
        "Counts",
        ("Prometheus", "Grafana", "CloudWatch", "Datadog", "Azure Monitor", "Cloud Monitoring",
         "OpenTelemetry metrics", "OpenAI usage", "tables of buckets"),
    ),
)  # fmt: skip


def recognise(
    table: Table, known: Iterable[Callable[[Names], Layout | None]] = FORMATS
) -> Layout | None:
    """Return the layout of the first format that the columns fit, if any does."""
    names = Names(table)
    found = next((layout for find in known if (layout := find(names)) is not None), None)
    if found is None or not found.prompt:
        return found
    blocks = next((name for name in table.nested if name == prefixes.BLOCKS), None)
    return dataclasses.replace(
        found,
        cached=names.first(*prefixes.CACHED_NAMES),
        blocks=blocks,
        usage=found.usage or _apart(found.prompt, names),
    )


def with_usage(layout: Layout, table: Table) -> Layout:
    """Return a layout chosen by hand with what its column of prompt tokens leaves out."""
    if not layout.prompt or not layout.output:
        return layout
    usage = _apart(layout.prompt, Names(table))
    return dataclasses.replace(layout, usage=usage) if layout.output in usage else layout


def _apart(prompt: str, names: Names) -> tuple[str, ...]:
    """Return the columns of a usage as Anthropic's API counts it; none if it is another one.

    Its ``input_tokens`` are those that are neither read from a cache nor written to one.
    """
    within, _, leaf = prompt.rpartition(".")
    kinds = ("cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")
    if leaf != "input_tokens" or within.startswith("gen_ai"):
        return ()
    beside = [names.first(f"{within}.{kind}" if within else kind) for kind in kinds]
    if beside[0] is None:
        return ()
    return (prompt, *(name for name in beside if name is not None))


# What a file is (by columns that it all has) and what would be usable instead.
_OTHER_FILES: tuple[tuple[tuple[tuple[str, ...], ...], str, str], ...] = (
    (
        (("architectures", "hidden_size"), ("num_hidden_layers", "hidden_size")),
        "a model's config.json",
        "Bring it under your own model instead.",
    ),
    (
        (("gpu", "price"), ("instance_type", "price"), ("acceleratorname", "price"),
         ("gpu_name", "price"), ("instancetype", "spotprice")),
        "a price table",
        "Upload it as prices instead.",
    ),
    (
        (("avg", "min", "max"), ("mean", "p99"), ("p50", "p99"), ("avg", "p99"),
         ("median", "p99"), ("statistic", "value"), ("request count", "median response time")),
        "a summary of a benchmark: statistics, no requests",
        "Export the record of each request instead.",
    ),
    (
        (("request_throughput.avg",), ("mean_ttft_ms",), ("request_throughput",)),
        "a summary of a benchmark: statistics, no requests",
        "Export the record of each request instead.",
    ),
    (
        (("involvedObject.name",), ("reason", "object", "message"), ("last_seen", "reason")),
        "events of Kubernetes",
        "Upload them on the Cold start page instead.",
    ),
    (
        (("utilization.gpu [%]",), ("gpu_utilization",), ("gpu_util",), ("dcgm_fi_dev_gpu_util",),
         ("power.draw [w]",)),
        "readings of GPUs",
        "Export a counter or a log of requests instead.",
    ),
    (
        (("lineitem/usagestartdate",), ("usage_start_time", "cost"), ("billing_period",),
         ("invoice_id",), ("amount_usd", "date"), ("date", "cost"), ("starting_at", "ending_at")),
        "a bill or usage by the day",
        "Export one row a request, or counts by the minute or hour, instead.",
    ),
    (
        (("conversations",), ("instruction", "output"), ("prompt", "chosen"),
         ("question", "answer")),
        "texts to train or evaluate a model: no times of requests",
        "Export a log of requests instead.",
    ),
    (
        (("@message",),),
        "an export of CloudWatch Logs Insights with each record as text in one column",
        "Export it as JSON instead.",
    ),
    (
        (("accuracy",), ("score", "task"), ("pass@1",)),
        "results of an evaluation: no times of requests",
        "Export a log of requests instead.",
    ),
    (
        (("level", "message"), ("severity", "message"), ("level", "msg"), ("levelname", "message"),
         ("severity", "textpayload"), ("level", "event")),
        "log lines of a program, not one a request",
        "Export the access log of the server or gateway instead.",
    ),
)  # fmt: skip


# A column has no longer name.
_MOST_WORDS = 5
# A line of Prometheus' text format: a name, its labels, a number.
_SCRAPE = r"[a-z_:][\w:]*(?:\{\w+=|[ \t]+[-+]?\d[\d.e+-]*$)"
# What a text is that is no table, by how it begins.
_OTHER_TEXTS = (
    (r"<", "a web page or XML", "Export the table as CSV or JSON."),
    (
        _SCRAPE,
        "one reading of /metrics: totals at one moment",
        "Ask Prometheus for a range (query_range), or export the panel from Grafana.",
    ),
    (r"(?:insert into|create table|begin;|--)", "an SQL dump", "Export the table as CSV."),
    (
        r"(?:namespace\s+)?last seen\s",
        "events of Kubernetes",
        "Upload them on the Cold start page.",
    ),
    (r"(?:apiversion|kind|version|---)\s*:?", "YAML", "Export a log of requests as CSV or JSON."),
    (r"name:\s", "a description of a pod", "Upload it on the Cold start page."),
)


def no_table(table: Table) -> tuple[str, str] | None:
    """Return what a text is that has no columns and what would be usable; None for a table."""
    if table.kind != "CSV":
        return None
    first = ", ".join(table.names).strip()
    for begins, what, instead in _OTHER_TEXTS:
        is_alone = len(table.names) == 1 or first[0] == "<" or begins == _SCRAPE
        if is_alone and re.match(begins, first, re.IGNORECASE):
            return what, instead
    if "insert into" in first.lower():
        return "an SQL dump", "Export the table as CSV."
    if len(table.names) == 1 and len(first.split()) > _MOST_WORDS:
        return "text, not a table", "Expected names of columns in the first line, then their rows."
    return None


def looks_like(table: Table) -> tuple[str, str] | None:
    """Return what kind of file a table seems to be and what would be usable, if that is told."""
    found = {fold(name) for name in (*table.names, *table.lists)}
    for kinds, what, instead in _OTHER_FILES:
        if any(all(fold(name) in found for name in kind) for kind in kinds):
            return what, instead
    return None
