"""Figures of a trace against hand counts, published figures and another implementation."""

from __future__ import annotations

import csv
import dataclasses
import datetime as dt
import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from frontier.errors import InputError
from frontier.tables import load_tables
from frontier.trace import (
    TraceReport,
    alike,
    generate_trace,
    hour_of_week,
    make_trace,
    rate_over_time,
    time_in_gaps,
    trace_statistics,
)
from frontier.trace.statistics import spearman

TRACES = Path(__file__).resolve().parents[2] / ".." / "shared" / "traces"
PUBLISHED = load_tables().trace_published


def trace_of(arrival_s, prompts=None, outputs=None, **more):
    n = len(arrival_s)
    return make_trace(
        "test",
        arrival_s,
        [1] * n if prompts is None else prompts,
        [1] * n if outputs is None else outputs,
        report=TraceReport("test"),
        **more,
    )


def read_by_hand(name):
    """Return one of the real traces, read here so that no reader of ours stands between."""
    if name == "ragpulse-week":
        path = TRACES / "ragpulse_week_A_2025-09-10.jsonl.gz"
    else:
        path = TRACES / f"azure_llm_2023_{name.removeprefix('azure-2023-')}.csv"
    if not path.exists():
        pytest.skip(f"{path.name} is not beside the repository")
    if name == "ragpulse-week":
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines if line.strip()]
        at_s = np.array([float(row["timestamp"]) for row in rows])
        tokens = [(row["input_length"], row["output_length"]) for row in rows]
    else:
        with path.open(encoding="utf-8", newline="") as handle:
            rows = list(csv.DictReader(handle))
        first = dt.datetime.fromisoformat(rows[0]["TIMESTAMP"][:26])
        at_s = np.array(
            [
                (dt.datetime.fromisoformat(row["TIMESTAMP"][:26]) - first).total_seconds()
                for row in rows
            ]
        )
        tokens = [(int(row["ContextTokens"]), int(row["GeneratedTokens"])) for row in rows]
    prompts, outputs = np.array(tokens).T
    return trace_of(at_s - at_s[0], prompts, outputs)


@pytest.mark.parametrize("name", ["azure-2023-code", "azure-2023-conv", "ragpulse-week"])
def test_real_traces_have_their_published_figures(name):
    """Every figure of data/trace_published.csv, to the digits it is given with."""
    figures = trace_statistics(read_by_hand(name))
    rows = [row for row in PUBLISHED.values() if row.trace == name]
    assert len(rows) == 11
    for row in rows:
        got = getattr(figures, row.statistic)
        assert got == pytest.approx(row.value, rel=0.006, abs=0.0006), row.published_id


@pytest.mark.parametrize(
    ("name", "prompt", "output"),
    [
        ("azure-2023-code", (3, 2048, 1469, 7303, 7436, 7437), (6, 27.9, 13, 90, 251, 1899)),
        ("azure-2023-conv", (2, 1155, 1020, 4083, 4142, 14050), (7, 211, 129, 451, 601, 1000)),
    ],
)
def test_real_traces_have_their_published_lengths(name, prompt, output):
    """Smallest, mean, p50, p95, p99 and largest, tokens in and out.

    Quantiles are observed values here and were interpolated there: 0.5 % between them.
    """
    figures = trace_statistics(read_by_hand(name))
    for row, expected in ((figures.prompt_tokens, prompt), (figures.output_tokens, output)):
        got = (row.minimum, row.mean, row.p50, row.p95, row.p99, row.maximum)
        assert got == pytest.approx(expected, rel=0.005)


@pytest.mark.parametrize(
    ("name", "spearman_published"), [("azure-2023-code", -0.02), ("azure-2023-conv", 0.07)]
)
def test_real_traces_have_their_published_rank_correlation(name, spearman_published):
    """Prompt and output are all but unrelated in the Azure traces."""
    got = trace_statistics(read_by_hand(name)).prompt_output_spearman
    assert got == pytest.approx(spearman_published, abs=0.005)


@pytest.mark.parametrize("name", ["code", "chat"])
def test_quantiles_of_the_generator_are_those_of_the_real_trace(name):
    """The Azure quantiles in data/ that go beyond the usual three were read from the public file.

    Observed values at the stated probabilities; 7303 stands between two equally good ones.
    """
    trace = read_by_hand({"code": "azure-2023-code", "chat": "azure-2023-conv"}[name])
    for kind, tokens in (("prompt", trace.prompt_tokens), ("output", trace.output_tokens)):
        row = load_tables().trace_quantiles[f"{name}-{kind}"]
        got = np.quantile(tokens, row.probabilities, method="inverted_cdf")
        assert got == pytest.approx(np.array(row.values), rel=0.005)
        assert (tokens.min(), tokens.max()) == (row.minimum, row.maximum)


def test_figures_of_a_trace_counted_by_hand():
    """Six requests at 0, 1, 1.5, 61, 400 and 1,300 s, watched for 1,800 s.

    Gaps 1, 0.5, 59.5, 339 and 900 s; 1,239 s of 1,300 are in gaps over a minute and 900 in one
    over ten. Minutes 0, 1, 6 and 21 of 30 hold 3, 1, 1 and 1: mean 0.2, E X² = 12/30.
    """
    trace = trace_of([0, 1, 1.5, 61, 400, 1300], horizon_s=1800)
    figures = trace_statistics(trace)
    assert figures.requests == 6
    assert figures.mean_rps == pytest.approx(6 / 1800)
    assert figures.requests_per_day == pytest.approx(288)
    assert (figures.peak_1s, figures.peak_60s) == (2, 3)
    assert figures.longest_gap_s == 900
    assert figures.iat_cv == pytest.approx(np.std([1, 0.5, 59.5, 339, 900]) / 260)
    assert figures.dispersion_60s == pytest.approx((12 / 30 - 0.04) / 0.2)
    assert figures.gaps_over_60s == pytest.approx(1239 / 1300)
    assert figures.gaps_over_300s == pytest.approx(1239 / 1300)
    assert figures.gaps_over_600s == pytest.approx(900 / 1300)
    assert figures.empty_minutes == pytest.approx(26 / 30)
    assert figures.near_empty_share == 1.0
    # A gap of exactly the threshold is not longer than it.
    assert time_in_gaps(trace, [899.9, 900.0]) == pytest.approx([900 / 1300, 0.0])
    assert figures.prompt_output_spearman is None
    assert figures.sessions is None


@pytest.mark.parametrize(
    ("counted_s", "unknown"),
    [
        (1.0, set()),
        (60.0, {"peak_1s"}),
        (300.0, {"peak_1s", "peak_60s", "iat_cv", "dispersion_60s", "gaps_over_60s"}),
        (
            3600.0,
            {"peak_1s", "peak_60s", "iat_cv", "dispersion_60s", "longest_gap_s"}
            | {"gaps_over_60s", "gaps_over_300s", "gaps_over_600s", "near_empty_share"},
        ),
    ],
)
def test_what_is_closer_than_a_count_was_taken_over_is_not_known(counted_s, unknown):
    """Requests of a bucket stand at random places: what looks into it is absent, not made up."""
    trace = trace_of([0, 1, 1.5, 61, 400, 1300], horizon_s=1800)
    report = dataclasses.replace(trace.report, bucket_s=counted_s)
    counted = trace_statistics(dataclasses.replace(trace, report=report))
    whole = trace_statistics(trace)
    for field in dataclasses.fields(whole):
        expected = None if field.name in unknown else getattr(whole, field.name)
        assert getattr(counted, field.name) == expected, field.name
    assert any("in gaps over" in one for one in alike(counted)) == ("gaps_over_60s" not in unknown)
    widths_s = np.diff(rate_over_time(dataclasses.replace(trace, report=report), 1000).edges_s)
    assert widths_s[:-1].min(initial=np.inf) >= counted_s


def test_minutes_are_uneven_only_among_several():
    """One minute, or a part of one, says nothing of how minutes differ: absent, not 0."""
    assert trace_statistics(trace_of(range(13), horizon_s=13)).dispersion_60s is None
    assert trace_statistics(trace_of(range(119), horizon_s=119)).dispersion_60s is None
    assert trace_statistics(trace_of(range(120), horizon_s=120)).dispersion_60s == 0.0


def test_near_empty_windows_are_those_with_fewer_than_ten():
    """Windows with 10, 9 and no request: two of three; the half window at the end is left out."""
    arrival_s = [*range(10), *range(600, 609), *range(1800, 1830)]
    figures = trace_statistics(trace_of(arrival_s, horizon_s=2100))
    assert figures.near_empty_share == pytest.approx(2 / 3)


def test_sessions_counted_by_hand():
    """Sessions of 3, 1 and 2 requests, interleaved; gaps of 10, 5 and 7 s."""
    trace = trace_of([0, 2, 4, 10, 11, 15], session_id=[7, 3, 9, 7, 9, 7])
    sessions = trace_statistics(trace).sessions
    assert sessions.sessions == 3
    assert sessions.mean_turns == 2.0
    assert sessions.most_turns == 3
    assert sessions.share_by_turns == pytest.approx((1 / 3, 1 / 3, 1 / 3, 0))
    assert sessions.turn_gap_s == (7, 10, 10, 10, 10)
    alone = trace_statistics(trace_of([0, 5], session_id=[0, 1])).sessions
    assert alone.turn_gap_s is None


def test_one_instant_has_no_burstiness_and_no_idle_time():
    """Figures that need two different times are absent, not zero."""
    figures = trace_statistics(trace_of([0.0, 0.0]))
    assert figures.mean_rps is figures.iat_cv is figures.longest_gap_s is None
    assert figures.gaps_over_60s is figures.near_empty_share is None
    assert figures.dispersion_60s is None
    with pytest.raises(InputError, match="two different times"):
        time_in_gaps(trace_of([0.0]), [60])
    assert rate_over_time(trace_of([0.0, 0.0]), 10).requests.tolist() == [2]
    assert alike(figures) == ()


def test_hours_of_the_week_start_on_monday_and_know_what_was_observed():
    """From Sunday 23:30 UTC for two hours: half an hour of Sunday, an hour and a half of Monday.

    An hour further east it is Monday 00:30 to 02:30.
    """
    sunday = dt.datetime(2025, 9, 14, 23, 30, tzinfo=dt.UTC)
    trace = trace_of([0, 1799, 1800, 7000], horizon_s=7200, t0_utc=sunday)
    counts, observed_s = hour_of_week(trace)
    assert counts[6, 23] == 2
    assert (counts[0, 0], counts[0, 1]) == (1, 1)
    assert (observed_s[6, 23], observed_s[0, 0], observed_s[0, 1]) == (1800, 3600, 1800)
    assert observed_s.sum() == 7200
    east, _ = hour_of_week(trace, utc_offset_h=1)
    assert (east[0, 0], east[0, 1], east[0, 2]) == (2, 1, 1)
    with pytest.raises(InputError, match="when it began"):
        hour_of_week(trace_of([0, 1]))


@pytest.mark.parametrize("most", [1, 10, 100, 2000])
def test_rate_over_time_loses_nothing_and_keeps_to_its_bins(most):
    """All requests are in at most that many bins, which cover the horizon and no more."""
    trace = generate_trace("internal-rag", seed=1)
    series = rate_over_time(trace, most)
    assert series.requests.size <= most
    assert series.requests.sum() == trace.arrival_s.size
    assert series.edges_s[0] == 0.0
    assert series.edges_s[-1] == trace.horizon_s
    assert (np.diff(series.edges_s) > 0).all()
    assert (series.rps * np.diff(series.edges_s)).sum() == pytest.approx(trace.arrival_s.size)
    hist, _ = np.histogram(trace.arrival_s, series.edges_s)
    assert (hist == series.requests).all()


def test_rank_correlation_is_that_of_scipy():
    """With many equal values, which share their mean rank."""
    random = np.random.default_rng(1)
    first = random.integers(0, 20, 500)
    second = first + random.integers(0, 30, 500)
    assert spearman(first, second) == pytest.approx(stats.spearmanr(first, second).statistic)


def test_the_generated_assistant_is_found_to_idle_like_the_real_one():
    """The week made after RAGPulse is told to be like RAGPulse, and where it stands elsewhere."""
    sentences = alike(trace_statistics(generate_trace("internal-rag", seed=1)))
    assert sentences[0].startswith("Idle like a week of the RAGPulse campus assistant: 9")
    text = " ".join(sentences)
    assert "24 to 1,440 (here 492), like 36 % of Azure Functions apps." in text
    assert "over 1 (here 3.37), like 40 % of Azure Functions apps." in text
    assert "311 to 876 (here 492), like 20 % of customers of DeepSeek-R1" in text


def test_idling_like_nothing_published_is_said():
    """A timer of one request an hour is idle all the time, which no published trace is."""
    sentences = alike(trace_statistics(generate_trace("timer", seed=1)))
    assert sentences[0].startswith("No published trace idles quite like this one; nearest is")
    assert "at most 24 (here 24), like 45 % of Azure Functions apps." in " ".join(sentences)
