"""Law of every format of records: what is written reads back equal, and nothing else is read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontier.trace import read_trace
from tests.trace_files import FILES

BEGIN_MS = 1_767_225_600_000
# Primes apart, so that times are not taken for ones that were rounded to a step.
GAPS = st.lists(st.integers(1, 10**7).map(lambda gap: 2 * gap + 1), min_size=1, max_size=30)
TOKENS = st.integers(1, 10**6)


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=12)
@given(gaps=GAPS, data=st.data())
def test_a_trace_written_in_a_format_reads_back_equal(name, gaps, data):
    """Arrivals to the millisecond, tokens and the date are those written; the rest is counted."""
    written = FILES[name]
    times = BEGIN_MS + np.concatenate(([0], np.cumsum(gaps)))
    requests = [(int(ms), data.draw(TOKENS), data.draw(TOKENS)) for ms in times]
    trace = read_trace(written.write(requests))
    assert trace.report.format == written.format
    np.testing.assert_allclose(trace.arrival_s, (times - times[0]) / 1000, rtol=0, atol=2e-6)
    if written.has_tokens:
        assert trace.prompt_tokens.tolist() == [p for _, p, _ in requests]
        assert trace.output_tokens.tolist() == [o for _, _, o in requests]
    else:
        assert any("No token counts" in text for text in trace.report.assumed)
    if written.is_dated:
        assert trace.t0_utc.timestamp() == pytest.approx(BEGIN_MS / 1000, abs=1e-5)
    noise = len(requests) if written.noise < 0 else written.noise
    assert sum(trace.report.dropped.values()) == noise
    assert trace.report.rows_read == len(requests) + noise
