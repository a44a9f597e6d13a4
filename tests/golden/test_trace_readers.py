"""Each format, from a sample written after its documented columns, to the requests it states."""

from __future__ import annotations

import datetime as dt
import gzip
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from frontier.errors import InputError
from frontier.trace import TraceQuestion, read_trace

SAMPLES = Path(__file__).parent / "traces"
MORNING = dt.datetime(2025, 3, 4, 10, 0, 0, 250_000, dt.UTC)
PROMPTS, OUTPUTS, TIMES = (310, 1200, 77), (40, 5, 300), (0.0, 1.5, 120.0)


@dataclass(frozen=True)
class Case:
    """What a sample states; most state the same three requests."""

    file: str
    format: str
    arrival_s: tuple[float, ...] = TIMES
    prompts: tuple[int, ...] | None = PROMPTS
    outputs: tuple[int, ...] | None = OUTPUTS
    t0: dt.datetime | None = MORNING
    unit: str = "date and time"
    sessions: tuple[int, ...] | None = None
    dropped: int = 0
    answers: dict[str, str] = field(default_factory=dict)


CASES = (
    Case("azure_llm_2023.csv", "Azure LLM", (0.0, 1.5000001, 120.0)),
    Case("azure_llm_2024.csv", "Azure LLM", t0=MORNING.replace(microsecond=0)),
    Case("azure_lmm.csv", "Azure LMM"),
    Case(
        "burstgpt_1.csv",
        "BurstGPT",
        (0.0, 40.0, 120.0),
        (310, 600, 77),
        (40, 1, 300),
        t0=None,
        unit="s",
        dropped=2,
        answers={"model": "ChatGPT", "both_zero": "drop"},
    ),
    Case("burstgpt_3.csv", "BurstGPT", (0.0, 40.5, 120.0), t0=None, unit="s", sessions=(0, 0, 1)),
    Case("bailian.jsonl", "Bailian", (0.0, 9.386, 100.0), t0=None, unit="s"),
    Case(
        "ragpulse.jsonl",
        "RAGPulse",
        (0.0, 11.0, 100.0),
        t0=dt.datetime(2025, 9, 10, 4, 1, 22, tzinfo=dt.UTC),
        unit="s",
        sessions=(0, 1, 0),
    ),
    Case("mooncake.jsonl", "Mooncake, AIPerf or GuideLLM", t0=None, unit="ms"),
    Case("guidellm.jsonl", "Mooncake, AIPerf or GuideLLM", t0=None, unit="s"),
    Case("weka_session.json", "agent sessions", t0=None, unit="s", sessions=(0, 0, 0)),
    Case(
        "agent_sessions.csv",
        "agent sessions",
        (0.0, 1.5, 1.5, 31.5),
        (310, 1200, 77, 88),
        (40, 5, 300, 20),
        t0=None,
        unit="s",
        sessions=(0, 0, 1, 1),
        answers={"session_starts": "sequence"},
    ),
    Case("vidur.csv", "Vidur", t0=None, unit="s"),
    Case(
        "splitwise.csv", "SplitwiseSim", t0=None, unit="s", dropped=1, answers={"losses": "accept"}
    ),
    Case("litellm.csv", "LiteLLM spend log", sessions=(0, 0, 1), dropped=2),
    Case("langfuse.csv", "Langfuse", sessions=(0, 0, 1), dropped=1),
    Case("langfuse_api.json", "Langfuse", sessions=(0, 0, 1), dropped=1),
    Case("otlp.json", "OpenTelemetry GenAI", unit="ns", sessions=(0, 0, 1), dropped=1),
    Case("otlp.jsonl", "OpenTelemetry GenAI", unit="ns", sessions=(0, 0, 1), dropped=1),
    Case("otel_spans.json", "OpenTelemetry GenAI", sessions=(0, 0, 1)),
    Case("otel_flat.csv", "OpenTelemetry GenAI", dropped=1),
    Case("baseten.csv", "Baseten", outputs=(40, 1, 300), unit="ms", sessions=(0, 1, 0)),
    Case(
        "azure_functions_2021.csv",
        "Azure Functions 2021",
        (0.0, 0.5, 2.0),
        None,
        None,
        t0=None,
        unit="s",
    ),
    Case(
        "nginx.log",
        "nginx or Apache access log",
        (0.0, 2.0, 127.0),
        None,
        None,
        t0=MORNING.replace(second=2, microsecond=0),
        dropped=3,
    ),
    Case("nginx_timed.log", "nginx access log", (0.0, 3.25, 120.0), None, None),
    Case("envoy.log", "Envoy access log", TIMES, None, None, dropped=1),
    Case("request_table.csv", "request table"),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.file)
def test_a_sample_reads_as_the_requests_it_states(case):
    """Arrivals, tokens, date, unit and sessions are those written in the sample."""
    trace = read_trace(SAMPLES / case.file, **case.answers)
    np.testing.assert_allclose(trace.arrival_s, case.arrival_s, rtol=0, atol=1e-9)
    number = len(case.arrival_s)
    # Formats without token counts get the defaults of settings.csv, said as an assumption.
    assert trace.prompt_tokens.tolist() == list(case.prompts or (1000,) * number)
    assert trace.output_tokens.tolist() == list(case.outputs or (200,) * number)
    assert any("No token counts" in text for text in trace.report.assumed) == (not case.prompts)
    assert trace.t0_utc == case.t0
    assert trace.report.format == case.format
    assert trace.report.time_unit == case.unit
    sessions = None if trace.session_id is None else tuple(trace.session_id.tolist())
    assert sessions == case.sessions
    assert trace.span_s == trace.horizon_s == case.arrival_s[-1]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.file)
def test_rows_read_are_rows_kept_and_dropped(case):
    """No row is lost: read = kept + dropped, and each drop has its reason."""
    report = read_trace(SAMPLES / case.file, **case.answers).report
    assert report.kept == len(case.arrival_s)
    assert sum(report.dropped.values()) == case.dropped
    assert report.rows_read == report.kept + case.dropped


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.file)
@pytest.mark.parametrize("wrap", ["gzip", "utf-16", "utf-8-sig", "utf-16-le"])
def test_wrapping_changes_nothing(case, wrap):
    """Gzip, a byte order mark and UTF-16 with or without one give the same arrays."""
    content = (SAMPLES / case.file).read_bytes()
    wrapped = gzip.compress(content) if wrap == "gzip" else content.decode().encode(wrap)
    assert read_trace(wrapped, **case.answers) == read_trace(SAMPLES / case.file, **case.answers)


@pytest.mark.parametrize(
    ("file", "parameter", "values"),
    [
        ("burstgpt_1.csv", "model", ["ChatGPT", "GPT-4", "all"]),
        ("agent_sessions.csv", "session_starts", ["24", "240", "sequence", "together"]),
        ("azure_functions_2019.csv", "model", ["f1", "f2", "all"]),
        ("prometheus_increase.json", "counts", ["increase", "rate", "counter"]),
        ("grafana.csv", "counts", ["increase", "rate", "counter"]),
    ],
)
def test_an_open_point_is_one_question_and_every_answer_reads(file, parameter, values):
    """A file that can be read in several ways asks once; each choice offered then works."""
    # Failed requests are asked about apart: they are 1 of 5 rows here.
    told = {"both_zero": "drop"}
    with pytest.raises(TraceQuestion) as caught:
        read_trace(SAMPLES / file, **told)
    assert caught.value.parameter == parameter
    assert [value for value, _ in caught.value.choices] == values
    # One request, or 0.03 in all, is no traffic: those choices are refused in words.
    readable = {"grafana.csv": ["rate"], "burstgpt_1.csv": ["ChatGPT", "all"]}.get(file, values)
    digests = {
        read_trace(SAMPLES / file, **told, **{parameter: value}).digest for value in readable
    }
    assert len(digests) == len(readable)


def test_an_answer_beyond_what_is_read_is_offered_and_says_so():
    """How much is read is our own limit: it decides nothing, and no answer leads into it unsaid."""
    rows = b"date,requests\n2026-05-01,1000\n2026-05-02,1003\n2026-05-03,1006\n2026-05-04,1009\n"
    with pytest.raises(TraceQuestion) as caught:
        read_trace(rows, name="daily.csv")
    said = dict(caught.value.choices)
    assert [value for value, words in said.items() if "more than the" in words] == ["rate"]
    with pytest.raises(InputError, match="more than the"):
        read_trace(rows, name="daily.csv", counts="rate")
    assert read_trace(rows, name="daily.csv", counts="increase").arrival_s.size == 4018


def test_prometheus_counts_become_requests_inside_their_windows():
    """A point closes the window ending at it; a missing bucket is no traffic, and that is said."""
    trace = read_trace(SAMPLES / "prometheus_increase.json", counts="increase")
    assert trace.arrival_s.size == 3 + 1 + 2
    begin = trace.t0_utc.timestamp() + trace.arrival_s
    assert np.all((begin[:4] > 1741082400) & (begin[:4] <= 1741082460))
    assert np.all((begin[4:] > 1741082580) & (begin[4:] <= 1741082640))
    assert trace.report.bucket_s == trace.resolution_s == 60.0
    assert "1 bucket without a sample: taken as no traffic (scaled to zero)." in (
        trace.report.assumed
    )
    assert any("idle timeouts under 60 s cannot be judged" in text for text in trace.report.notes)
    assert trace.report.dropped == {"samples that are not a number": 1}


def test_an_unknown_bucket_is_like_its_neighbours():
    """With ``missing_buckets="unknown"`` the gap is filled from both sides and flagged."""
    zero = read_trace(SAMPLES / "prometheus_increase.json", counts="increase")
    like = read_trace(
        SAMPLES / "prometheus_increase.json", counts="increase", missing_buckets="unknown"
    )
    assert like.arrival_s.size == zero.arrival_s.size + 1  # between 0 and 2 lies 1
    assert any("like those around them" in text for text in like.report.assumed)


def test_a_counter_is_differenced_and_its_reset_is_a_restart():
    """10, 14, 14, 2, 5 counts 4 + 0 + 2 + 3 requests; token counters give tokens a request."""
    trace = read_trace(SAMPLES / "prometheus_counter.json")
    assert trace.arrival_s.size == 9
    assert trace.prompt_tokens.tolist() == [100] * 4 + [200] * 5
    assert trace.output_tokens.tolist() == [10] * 4 + [20] * 5
    assert any("Counter reset at 10:03 handled as" in text for text in trace.report.notes)


def test_a_rate_is_multiplied_by_its_step():
    """0.02 and 0.01 requests a second over five minutes each are 6 and 3 requests."""
    trace = read_trace(SAMPLES / "grafana.csv", counts="rate")
    assert trace.arrival_s.size == 9
    assert trace.horizon_s > trace.span_s


def test_a_rate_table_carries_tokens_and_its_window():
    """4 requests with 400 tokens are 4 of 100; the window is all three buckets."""
    trace = read_trace(SAMPLES / "rate_table.csv")
    assert trace.prompt_tokens.tolist() == [100] * 4 + [300] * 2
    assert trace.output_tokens.tolist() == [10] * 6
    first_s = 900.0 - trace.horizon_s
    assert 0 <= first_s < 300


def test_functions_counted_by_the_minute_are_picked_or_added_up():
    """f1 has 2, 1 and 4 invocations in minutes 1, 3 and 1440; f2 has 5 in minute 2."""
    one = read_trace(SAMPLES / "azure_functions_2019.csv", model="f1")
    both = read_trace(SAMPLES / "azure_functions_2019.csv", model="all")
    assert one.arrival_s.size == 7
    assert both.arrival_s.size == 12
    assert one.report.dropped == {"rows of other functions": 1}
    assert one.report.rows_read == one.report.kept + 1
    assert 86_280 < one.horizon_s <= 86_400


def test_draws_differ_and_repeat():
    """A draw is reproducible, another draw places the same counts elsewhere in the buckets."""
    first, again, other = (
        read_trace(SAMPLES / "rate_table.csv", draw=draw).digest for draw in (0, 0, 1)
    )
    assert first == again != other


def test_text_columns_are_never_read_and_that_is_said():
    """Messages, answers and keys of a LiteLLM log are named in the report and nowhere else."""
    report = read_trace(SAMPLES / "litellm.csv").report
    assert "Columns api_key, user, metadata, messages, response were not read." in report.notes
    assert "hello" not in repr(report)


USAGES = [
    ({"input": 310, "output": 40, "total": 350}, (310, 40, 0)),
    # OpenAI's through Langfuse: what is left beside the kinds that are told apart.
    (
        {
            "input": 100,
            "input_cached_tokens": 900,
            "output": 5,
            "output_reasoning_tokens": 200,
            "total": 1205,
        },
        (1000, 205, 900),
    ),
    # LiteLLM's through Langfuse: the prompt as a whole, and what of it a cache had.
    ({"input": 1000, "cache_read_input_tokens": 600, "output": 7, "total": 1007}, (1000, 7, 600)),
    # Anthropic's: three kinds of input, of which one was found in a cache.
    (
        {
            "input": 20,
            "cache_read_input_tokens": 600,
            "cache_creation_input_tokens": 80,
            "output": 7,
        },
        (700, 7, 600),
    ),
]


@pytest.mark.parametrize("as_csv", [False, True], ids=["API", "export"])
def test_kinds_of_tokens_add_up_in_langfuse(as_csv, tmp_path):
    """A prompt is all its kinds of input, also those that a cache had; and an answer likewise."""
    rows = [
        {
            "id": f"o{number}",
            "traceId": "t",
            "type": "GENERATION",
            "startTime": f"2025-03-04T10:00:{number:02d}.250Z",
            "usageDetails": usage,
        }
        for number, (usage, _) in enumerate(USAGES)
    ]
    path = tmp_path / ("langfuse.csv" if as_csv else "langfuse.json")
    if as_csv:
        written = [row | {"usageDetails": json.dumps(row["usageDetails"])} for row in rows]
        pd.DataFrame(written).to_csv(path, index=False)
    else:
        path.write_text(json.dumps({"data": rows, "meta": {"page": 1}}), encoding="utf-8")
    trace = read_trace(path)
    found = zip(trace.prompt_tokens, trace.output_tokens, trace.shared_tokens, strict=True)
    assert [tuple(map(int, row)) for row in found] == [
        (prompt, output, min(cached, prompt - 1)) for _, (prompt, output, cached) in USAGES
    ]
    assert "a cache had" in trace.report.prefixes


def test_tokens_of_anthropic_beside_a_cache_add_up(tmp_path):
    """``input_tokens`` beside ``cache_read_input_tokens`` are what the cache had not."""
    kinds = "input_tokens,cache_read_input_tokens,cache_creation_input_tokens,output_tokens"
    rows = [f"2026-03-04T10:00:{at:02d}Z,20,600,80,7" for at in range(5)]
    path = tmp_path / "log.csv"
    path.write_text("\n".join([f"timestamp,{kinds}", *rows]), encoding="utf-8")
    trace = read_trace(path)
    assert (trace.prompt_tokens == 700).all()
    assert (trace.shared_tokens[1:] == 600).all()
    assert (trace.output_tokens == 7).all()
