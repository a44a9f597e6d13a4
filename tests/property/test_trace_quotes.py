"""Laws of CSV: what people write into a message costs no row, and a cut quote is never silent."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontier.errors import InputError
from frontier.trace import read_trace

MESSAGES = st.text(st.sampled_from("ab \",;\n\t|'é"), max_size=12)
DELIMITERS = st.sampled_from(",;\t|")


def written(messages: list[str], delimiter: str) -> str:
    sink = io.StringIO()
    writer = csv.writer(sink, delimiter=delimiter)
    writer.writerow(["timestamp", "prompt_tokens", "output_tokens", "messages"])
    writer.writerows([f"{number}.0", 1, 1, text] for number, text in enumerate(messages))
    return sink.getvalue()


@settings(max_examples=60)
@given(messages=st.lists(MESSAGES, min_size=2, max_size=20), delimiter=DELIMITERS)
def test_messages_cost_no_row(messages, delimiter):
    """Quotes, delimiters and line breaks inside messages change neither rows nor times."""
    trace = read_trace(written(messages, delimiter).encode())
    assert trace.report.rows_read == trace.report.kept == len(messages)
    assert trace.arrival_s.tolist() == list(range(len(messages)))


@settings(max_examples=60)
@given(
    messages=st.lists(MESSAGES, min_size=2, max_size=20),
    delimiter=DELIMITERS,
    lost=st.integers(1, 5),
)
def test_a_quote_left_open_is_never_silent(messages, delimiter, lost):
    """The rows that an open quote swallows would be missing from the report: the file stops."""
    opened = delimiter.join(["99.0", "1", "1", '"cut off']) + "\n"
    swallowed = (delimiter.join(["100.0", "1", "1", "x"]) + "\n") * lost
    with pytest.raises(InputError, match=f"Row {len(messages) + 2} opens a quote"):
        read_trace((written(messages, delimiter) + opened + swallowed).encode())
