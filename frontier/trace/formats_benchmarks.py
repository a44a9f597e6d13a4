"""Records of load generators: AIPerf, GenAI-Perf, GuideLLM, `vllm bench serve`.

One row is one request that was sent. Their arrivals are those of the load generator, which is said;
warm-up and failed requests are left out. Documents are opened in `record_documents`.
"""

from __future__ import annotations

from frontier.trace.formats import Keep, Layout, Names, among, matches, negated

_MADE = (
    "A load generator sent these requests: their rate is the benchmark's, not that of your users.",
)
_FAILED = "requests that failed or were cancelled in the benchmark"


def aiperf(names: Names) -> Layout | None:
    """AIPerf's profile_export.jsonl: metadata.request_start_ns, ns since 1970."""
    if not names.has("metadata.request_start_ns"):
        return None
    keep = []
    if names.has("metadata.benchmark_phase"):
        keep.append(
            Keep(
                names["metadata.benchmark_phase"],
                lambda cells: negated(matches(cells, "warm")),
                "requests of the warm-up",
            )
        )
    if names.has("metadata.was_cancelled"):
        cancelled = names["metadata.was_cancelled"]
        keep.append(Keep(cancelled, lambda cells: negated(among(cells, "true")), _FAILED))
    output = names.first("metrics.output_sequence_length.value", "metrics.output_token_count.value")
    if output is not None:
        # Failed requests have no metrics.
        keep.append(Keep(output, lambda cells: cells.is_valid(), _FAILED))
    return Layout(
        "AIPerf profile export",
        names["metadata.request_start_ns"],
        clock="ns",
        prompt=names.first("metrics.input_sequence_length.value"),
        output=output,
        session=names.first(
            "metadata.x_correlation_id", "metadata.conversation_id", "metadata.session_num"
        ),
        request_id=names.first("metadata.x_request_id"),
        keep=tuple(keep),
        notes=_MADE,
    )


def genai_perf(names: Names) -> Layout | None:
    """GenAI-Perf's and Perf Analyzer's profile export: timestamp in ns, no token counts."""
    if not names.has("experiment", "timestamp"):
        return None
    return Layout("GenAI-Perf profile export", names["timestamp"], clock="ns", notes=_MADE)


def guidellm(names: Names) -> Layout | None:
    """GuideLLM's report (benchmarks[].requests): request_start_time, s since 1970."""
    if not names.has("benchmark", "outcome"):
        return None
    time = names.first("request_start_time", "info.timings.request_start",
                       "scheduler_info.request_timings.request_start", "start_time")  # fmt: skip
    if time is None:
        return None
    return Layout(
        "GuideLLM report",
        time,
        clock="s",
        prompt=names.first("prompt_tokens", "input_metrics.text_tokens"),
        output=names.first("output_tokens", "output_metrics.text_tokens"),
        request_id=names.first("request_id"),
        keep=(Keep(names["outcome"], lambda cells: among(cells, "successful"), _FAILED),),
        notes=_MADE,
    )


def vllm_bench(names: Names) -> Layout | None:
    """`vllm bench serve --save-result --save-detailed`: start_times, s of a running clock."""
    if not names.has("bench_start_s", "input_len", "output_len"):
        return None
    return Layout(
        "vLLM bench result",
        names["bench_start_s"],
        clock="s",
        prompt=names["input_len"],
        output=names["output_len"],
        keep=(Keep(names["error"], lambda cells: matches(cells, "^$"), _FAILED),),
        notes=_MADE,
    )
