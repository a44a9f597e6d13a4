"""Laws of reading: nothing is lost, nothing is invented, and hostile bytes get a sentence."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontier.errors import FrontierError, InputError
from frontier.trace import RateSeries, TraceReport, expand, make_trace, read_trace

TICKS = st.lists(st.integers(0, 10**9), min_size=2, max_size=60).filter(lambda t: max(t) > min(t))
TOKENS = st.integers(1, 10**6)


def as_csv(ticks, tokens):
    lines = [f"{t / 1000:.3f},{p},{o}" for t, (p, o) in zip(ticks, tokens, strict=True)]
    return ("arrival_s,prompt_tokens,output_tokens\n" + "\n".join(lines) + "\n").encode()


@settings(max_examples=60)
@given(ticks=TICKS, data=st.data())
def test_what_is_written_in_order_reads_back(ticks, data):
    """A written trace reads back to the millisecond with its tokens, in three formats alike."""
    ticks = sorted(ticks)
    tokens = [(data.draw(TOKENS), data.draw(TOKENS)) for _ in ticks]
    trace = read_trace(as_csv(ticks, tokens), draw=3)
    lines = "\n".join(
        json.dumps({"arrival_s": t / 1000, "prompt_tokens": p, "output_tokens": o})
        for t, (p, o) in zip(ticks, tokens, strict=True)
    )
    assert read_trace(lines.encode(), draw=3) == trace
    expected = (np.array(ticks) - ticks[0]) / 1000
    if not any("rounded to" in note for note in trace.report.notes):
        np.testing.assert_allclose(trace.arrival_s, expected, atol=2e-9)
        assert trace.prompt_tokens.tolist() == [p for p, _ in tokens]
    assert sorted(trace.output_tokens.tolist()) == sorted(o for _, o in tokens)


CELLS = st.one_of(
    st.integers(-5, 10**7).map(str),
    st.floats(0, 1e6).map(lambda x: f"{x:.3f}"),
    st.sampled_from(["", "abc", "-1", "1,5", "NaN", "inf", "1e3", "=1+1", "2025-03-04 10:00:00"]),
)


@settings(max_examples=100)
@given(
    rows=st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=40), unit=st.sampled_from(["s", "ms"])
)
def test_rows_always_add_up(rows, unit):
    """Whatever the cells hold, either a sentence says why not or read = kept + dropped."""
    body = "\n".join(",".join(f'"{cell}"' for cell in row) for row in rows)
    content = f"timestamp,prompt_tokens,output_tokens\n{body}\n".encode()
    try:
        trace = read_trace(content, time_unit=unit, on_clock_reset="overlay", losses="accept")
    except InputError as error:
        assert str(error)[0].isupper()  # noqa: PT017 (a sentence is the law)
        return
    report = trace.report
    assert report.rows_read == len(rows)
    assert report.rows_read == report.kept + sum(report.dropped.values())
    assert report.kept == trace.arrival_s.size
    assert trace.arrival_s[0] == 0
    assert np.all(np.diff(trace.arrival_s) >= 0)
    assert trace.output_tokens.min() >= 1


WORDS = (
    'PAR1 { } [ ] " , ; : - 1 null timestamp prompt_tokens output_tokens requests spans data '
    "resultType matrix input_length output_length session_id 2025-03-04T10:00Z"
)
PIECES = st.sampled_from(
    [*(word.encode() for word in WORDS.split()), b"\n", b"\0", b"\xff\xfe", b"\x1f\x8b\x08"]
)
KEYS = (
    "timestamp input_length output_length requests spans attributes data resultType result values "
    "metric id t in out session_id resourceSpans scopeSpans key value type usage startTime "
    "start_time gen_ai.usage.input_tokens"
)


@settings(max_examples=300)
@given(content=st.one_of(st.binary(max_size=300), st.lists(PIECES, max_size=60).map(b"".join)))
def test_any_bytes_are_a_trace_or_a_sentence(content):
    """No bytes make the reader fail in another way than by an error meant for the user."""
    try:
        trace = read_trace(content)
    except FrontierError as error:
        assert str(error)  # noqa: PT017
        return
    assert trace.arrival_s.size >= 2


@settings(max_examples=100)
@given(
    document=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(KEYS.split()),
                inner,
                max_size=5,
            )
        ),
        max_leaves=25,
    )
)
def test_any_json_is_a_trace_or_a_sentence(document):
    """Documents with the right names in the wrong places are refused in words."""
    for content in (json.dumps(document), f"{json.dumps(document)}\n" * 3):
        try:
            read_trace(content.encode())
        except FrontierError as error:
            assert str(error)  # noqa: PT017


@given(
    counts=st.lists(st.floats(0, 40), min_size=2, max_size=50).filter(lambda c: sum(c) > 4),
    bucket_s=st.sampled_from([1.0, 60.0, 300.0]),
    draw=st.integers(0, 5),
)
def test_expansion_keeps_counts(counts, bucket_s, draw):
    """Every bucket gets its count to within one request, and the running total too."""
    requests = np.array(counts)
    series = RateSeries("x", bucket_s, requests, None, None, None, TraceReport("rates"))
    trace = expand(series, draw=draw)
    first_s = bucket_s * requests.size - trace.horizon_s
    bucket = np.floor((trace.arrival_s + first_s) / bucket_s + 1e-9).astype(int)
    placed = np.bincount(np.clip(bucket, 0, requests.size - 1), minlength=requests.size)
    assert np.all(np.abs(np.cumsum(placed) - np.cumsum(requests)) <= 1 + 1e-6)
    assert np.all(np.abs(placed - requests) <= 1 + 1e-6)


def test_arrays_are_read_only_and_the_caller_may_keep_the_file():
    """Nothing can change a trace after it was made; a file object is left open."""
    file = io.BytesIO(as_csv([0, 1500], [(1, 2), (3, 4)]))
    trace = read_trace(file)
    assert not file.closed
    for array in (trace.arrival_s, trace.prompt_tokens, trace.output_tokens):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 9


@pytest.mark.parametrize(
    ("arrays", "change", "message"),
    [
        (([], [], []), {}, "at least one request"),
        (([0, 1], [1], [1, 1]), {}, "Expected 2 prompt tokens, found 1"),
        (([-1, 2], [1, 1], [1, 1]), {}, "Arrivals run from at least 0"),
        (([0, np.inf], [1, 1], [1, 1]), {}, "to a finite time"),
        (([0, 2, 1, 3], [1] * 4, [1] * 4), {}, "in order of time"),
        (([0, np.nan, 3], [1] * 3, [1] * 3), {}, "in order of time"),
        (([0, 1], [-1, 1], [1, 1]), {}, "Prompt tokens cannot be negative"),
        (([0, 1], [1, 1], [0, 1]), {}, "at least 1 output token"),
        (([0, 1], [1.5, 1], [1, 1]), {}, "Expected whole prompt tokens"),
        (([0, 1], [2**40, 1], [1, 1]), {}, "Expected whole prompt tokens"),
        (([0, 1], [1, 1], [1, 1]), {"horizon_s": 0.5}, "must reach the last request"),
    ],
)
def test_a_trace_that_cannot_be_is_refused(arrays, change, message):
    """`make_trace` mends nothing: each impossible array is named."""
    with pytest.raises(InputError, match=message):
        make_trace("x", *arrays, report=TraceReport("test"), **change)
