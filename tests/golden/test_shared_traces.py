"""The public traces themselves, where they lie beside the repository: published figures, routes.

The figures are those measured on the files by an independent reading (counts, spans, token
quantiles, idle gaps); every other format that can express a trace must give the same digest.
"""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import numpy as np
import pytest

from frontier.trace import TraceQuestion, read_trace

SHARED = Path(__file__).resolve().parents[2] / ".." / "shared" / "traces"
CODE, CONV = "azure_llm_2023_code.csv", "azure_llm_2023_conv.csv"
RAG = "ragpulse_week_A_2025-09-10.jsonl.gz"
WEEK_MS = 7 * 86_400_000

pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="the shared traces are not here")


@pytest.mark.parametrize(
    ("file", "requests", "span_s", "prompt_mean", "prompts", "output_mean", "outputs"),
    [
        (CODE, 8819, 3435.9, 2048, (1469, 7303, 7436, 7437), 27.9, (13, 90, 251, 1899)),
        (CONV, 19366, 3501.7, 1155, (1020, 4083, 4142, 14050), 211, (129, 451, 601, 1000)),
        (RAG, 3800, 604371.0, None, None, None, None),
    ],
)
def test_counts_spans_and_tokens_are_the_published_ones(
    file, requests, span_s, prompt_mean, prompts, output_mean, outputs
):
    """Requests, span, and the p50, p95, p99 and largest token counts agree; nothing is dropped."""
    trace = read_trace(SHARED / file)
    assert trace.arrival_s.size == requests == trace.report.rows_read
    assert not trace.report.dropped
    assert trace.span_s == pytest.approx(span_s, abs=0.05)
    if prompts:
        for tokens, mean, quantiles in (
            (trace.prompt_tokens, prompt_mean, prompts),
            (trace.output_tokens, output_mean, outputs),
        ):
            assert tokens.mean() == pytest.approx(mean, rel=2e-3)
            found = np.quantile(tokens, [0.5, 0.95, 0.99, 1.0])
            np.testing.assert_allclose(found, quantiles, atol=0.5)


@pytest.mark.parametrize(
    ("file", "timeout_s", "cold", "warm_s"),
    [
        (RAG, 0, 3764, 0),
        (RAG, 60, 1671, 153_561),
        (RAG, 600, 172, 450_514),
        (RAG, 3600, 13, 562_839),
        (CODE, 0, 8819, 0.0),
        (CODE, 60, 13, 2713.0),
        (CODE, 300, 1, 3435.9),
        (CONV, 1, 116, 3466.1),
        (CONV, 5, 1, 3501.7),
    ],
)
def test_idle_gaps_are_the_published_ones(file, timeout_s, cold, warm_s):
    """Gaps longer than a timeout, and the sum of min(gap, timeout), agree with the notes."""
    gaps = np.diff(read_trace(SHARED / file).arrival_s)
    assert 1 + np.count_nonzero(gaps > timeout_s) == cold
    assert np.minimum(gaps, timeout_s).sum() == pytest.approx(warm_s, abs=0.06)


def test_ragpulse_dates_come_from_its_session_names():
    """Time 0 is noon in China on 10 September 2025, 04:00 UTC, give or take a minute."""
    trace = read_trace(SHARED / RAG)
    noon = trace.t0_utc.timestamp() - 82
    assert abs(noon - 1757476832) < 60
    assert trace.session_id is not None


def routes(trace):
    """Give the same requests in every format that can hold times to 100 ns."""
    import pyarrow as pa
    from pyarrow import parquet

    t, p, o = trace.arrival_s, trace.prompt_tokens, trace.output_tokens

    def rows(header, line):
        body = "\n".join(line(i, *cells) for i, cells in enumerate(zip(t, p, o, strict=True)))
        return f"{header}\n{body}\n".encode() if header else body.encode()

    own = rows("timestamp,prompt_tokens,output_tokens", lambda i, a, b, c: f"{a:.7f},{b},{c}")
    yield "own", own
    yield "own, gzip", gzip.compress(own, mtime=0)
    yield "own, UTF-16", own.decode().encode("utf-16")
    yield "own, tab", own.replace(b",", b"\t")
    yield "own, semicolon and comma", own.replace(b",", b";").replace(b".", b",")
    yield (
        "Vidur",
        rows("arrived_at,num_prefill_tokens,num_decode_tokens", lambda i, a, b, c: f"{a},{b},{c}"),
    )
    yield (
        "SplitwiseSim",
        rows(
            "request_id,request_type,application_id,arrival_timestamp,batch_size,prompt_size,token_size",
            lambda i, a, b, c: f"{i},2,0,{a + 1:.7f},1,{b},{c}",
        ),
    )
    yield (
        "GuideLLM",
        rows(
            "",
            lambda i, a, b, c: json.dumps(
                {"timestamp": float(a), "input_length": int(b), "output_length": int(c)}
            ),
        ),
    )
    start_ns = int(trace.t0_utc.timestamp()) * 10**9 + trace.t0_utc.microsecond * 1000
    yield (
        "OTLP",
        json.dumps(
            {
                "resourceSpans": [
                    {
                        "scopeSpans": [
                            {
                                "spans": [
                                    {
                                        "startTimeUnixNano": str(start_ns + round(a * 1e9)),
                                        "attributes": [
                                            {
                                                "key": f"gen_ai.usage.{side}_tokens",
                                                "value": {"intValue": str(number)},
                                            }
                                            for side, number in (("input", b), ("output", c))
                                        ],
                                    }
                                    for a, b, c in zip(t, p, o, strict=True)
                                ]
                            }
                        ]
                    }
                ]
            }
        ).encode(),
    )
    stamps = pa.array(start_ns + np.rint(t * 1e9).astype(np.int64)).cast(pa.timestamp("ns", "UTC"))
    for label, times in (("Parquet, seconds", pa.array(t)), ("Parquet, dates", stamps)):
        held = io.BytesIO()
        parquet.write_table(
            pa.table({"timestamp": times, "prompt_tokens": p, "output_tokens": o}), held
        )
        yield label, held.getvalue()
    yield (
        "Azure 2024",
        rows(
            "TIMESTAMP,ContextTokens,GeneratedTokens",
            lambda i, a, b, c: f"{np.datetime64(start_ns + round(a * 1e9), 'ns')}+00:00,{b},{c}",
        ),
    )


@pytest.mark.parametrize("file", [CODE, CONV])
def test_every_route_gives_the_same_arrays(file):
    """The same requests in twelve formats have one digest: a reader adds nothing of its own."""
    trace = read_trace(SHARED / file)
    for label, content in routes(trace):
        assert read_trace(content) == trace, label


def test_two_weeks_in_one_file_are_asked_about():
    """RAGPulse as published holds two weeks whose clocks both start at noon (week B made of A)."""
    lines = gzip.decompress((SHARED / RAG).read_bytes()).splitlines()
    later = []
    for line in lines:
        record = json.loads(line)
        epoch, dash, rest = record["session_id"].partition("-")
        if epoch.isdigit():
            record["session_id"] = f"{int(epoch) + WEEK_MS}{dash}{rest}"
        later.append(json.dumps(record).encode())
    both = b"\n".join([*lines, *later, b""])
    with pytest.raises(TraceQuestion, match="Row 3,801: time jumps back by"):
        read_trace(both)
    week = read_trace(SHARED / RAG)
    joined = read_trace(both, on_clock_reset="sequence")
    np.testing.assert_array_equal(joined.arrival_s[:3800], week.arrival_s)
    np.testing.assert_array_equal(joined.arrival_s[3800:] - 604_800, week.arrival_s)
    second = read_trace(both, on_clock_reset="part2")
    np.testing.assert_array_equal(second.arrival_s, week.arrival_s)
    assert (second.t0_utc - week.t0_utc).total_seconds() == pytest.approx(604_800)


def test_the_small_samples_read():
    """AIPerf's, SplitwiseSim's, inference-perf's and the span samples hold what they say."""
    assert read_trace(SHARED / "aiperf_production_trace_sample.jsonl").span_s == 1.5
    splitwise = read_trace(SHARED / "splitwisesim_test_trace.csv")
    assert splitwise.arrival_s.tolist() == [0.0, 2.0, 3.0]
    short = read_trace(SHARED / "inferenceperf_azure_sample.csv")
    whole = read_trace(SHARED / CONV)
    np.testing.assert_array_equal(short.arrival_s, whole.arrival_s[:20])
    spans = read_trace(SHARED / "otel_genai_simple_chain.json")
    assert spans.arrival_s.size == 3
    assert any("No token counts" in text for text in spans.report.assumed)
