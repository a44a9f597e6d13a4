"""Parquet: every way to hold a time gives one trace, and what can be no request is refused.

The tables are made here, of three requests 0, 1.5 and 5.5 s after midnight.
"""

from __future__ import annotations

import datetime as dt
import decimal
import io

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from frontier.boundary import UnexpectedInput
from frontier.errors import InputError
from frontier.trace import read_trace

START = dt.datetime(2025, 9, 17, tzinfo=dt.UTC)
SECONDS = (0.0, 1.5, 5.5)
MOMENTS = [START + dt.timedelta(seconds=second) for second in SECONDS]
NANOSECONDS = [1_758_067_200_000_000_000 + round(second * 1e9) for second in SECONDS]


def written(**columns: pa.Array) -> bytes:
    table = {
        "timestamp": pa.array(SECONDS),
        "prompt_tokens": pa.array([10, 20, 30]),
        "output_tokens": pa.array([1, 2, 3]),
        **columns,
    }
    sink = io.BytesIO()
    parquet.write_table(pa.table(table), sink)
    return sink.getvalue()


@pytest.mark.parametrize(
    "times",
    [
        pa.array(MOMENTS, pa.timestamp("ms", "UTC")),
        pa.array(MOMENTS, pa.timestamp("us", "Asia/Shanghai")),
        pa.array(NANOSECONDS, pa.timestamp("ns")),
        pa.array(NANOSECONDS),
        pa.array(NANOSECONDS, pa.uint64()),
        pa.array([number // 10**6 for number in NANOSECONDS]),
        pa.array([decimal.Decimal(str(second)) for second in SECONDS]),
        pa.array(SECONDS, pa.float32()),
        pa.array([str(second) for second in SECONDS]),
        pa.array([moment.isoformat() for moment in MOMENTS], pa.large_string()),
        pa.array([moment.isoformat() for moment in MOMENTS], pa.string_view()),
        pa.array([str(second) for second in SECONDS]).dictionary_encode(),
    ],
    ids=str,
)
def test_every_type_of_time_gives_the_same_trace(times):
    """Dates, numbers and texts of the same moments have one digest."""
    assert read_trace(written(timestamp=times)) == read_trace(written())


@pytest.mark.parametrize(
    ("column", "cells", "message"),
    [
        ("timestamp", pa.array([dt.time(1), dt.time(2), dt.time(3)]), "holds time64"),
        ("timestamp", pa.array([[0], [1], [2]]), "holds list"),
        ("timestamp", pa.array([b"0", b"1", b"2"]), "holds binary"),
        ("timestamp", pa.array([True, False, True]), "only true and false"),
        ("prompt_tokens", pa.array(MOMENTS), "holds timestamp"),
        ("prompt_tokens", pa.array([True, True, True]), "negative, fractional or no number"),
        ("output_tokens", pa.array([[1, 2]] * 3), "holds list"),
        ("output_tokens", pa.array([{"total": 1}] * 3), "No known format .* output_tokens.total"),
    ],
)
def test_a_column_of_another_kind_is_refused_in_words(column, cells, message):
    """What cannot be a time or a count names its type instead of failing inside a library."""
    with pytest.raises(InputError, match=message):
        read_trace(written(**{column: cells}))


@pytest.mark.parametrize("column", ["timestamp", "model"])
def test_a_text_that_every_row_repeats_is_not_spelt_out(column):
    """A file of kilobytes that names one long text in each of 100,000 rows stands for gigabytes."""
    rows, text = 100_000, "9" * 50_000
    table = {
        "timestamp": pa.array(np.arange(rows) + 0.5),
        "model": pa.array(["a"]).take(pa.array(np.zeros(rows, np.int32))),
        "prompt_tokens": pa.array(np.ones(rows, np.int32)),
        "output_tokens": pa.array(np.ones(rows, np.int32)),
        column: pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), [text]),
    }
    sink = io.BytesIO()
    parquet.write_table(pa.table(table), sink)
    assert len(sink.getvalue()) < rows * 10
    with pytest.raises(InputError, match="50,000 characters long"):
        read_trace(sink.getvalue())


def test_the_cap_on_bytes_counts_what_columns_unpack_to():
    """Columns of 2 MB fit into a file of less than half of that, and not under a cap of 1 MB.

    The messages, 2.4 MB that nobody reads, are not counted.
    """
    rows = 100_000
    constant = pa.array(np.ones(rows, np.int64))
    table = {
        "timestamp": pa.array(np.arange(rows) + 0.5).cast(pa.float32()),
        "prompt_tokens": constant,
        "output_tokens": constant,
        "messages": pa.array(["to be read by nobody"]).take(pa.array(np.zeros(rows, np.int32))),
    }
    sink = io.BytesIO()
    parquet.write_table(pa.table(table), sink, compression="zstd", use_dictionary=False)
    content = sink.getvalue()
    assert len(content) < 1_000_000
    assert read_trace(content, max_bytes=2_100_000).arrival_s.size == rows
    with pytest.raises(InputError, match="more than 1 MB of data"):
        read_trace(content, max_bytes=1_000_000)


def minutes(counts: dict[str, dict[int, object]]) -> bytes:
    header = ["HashOwner", "HashApp", "HashFunction", "Trigger", *map(str, range(1, 1441))]
    rows = [
        ["o", "a", name, "http", *(str(held.get(minute, 0)) for minute in range(1, 1441))]
        for name, held in counts.items()
    ]
    return "\n".join(",".join(row) for row in [header, *rows]).encode()


def test_functions_with_unreadable_counts_are_dropped_and_counted():
    """A negative, infinite or worded count costs its function's row; the others are summed."""
    trace = read_trace(
        minutes({"f": {1: 2, 1440: 1}, "g": {3: -1}, "h": {3: "inf"}, "i": {3: "x"}, "j": {2: 4}}),
        model="all",
    )
    assert trace.arrival_s.size == 7
    assert trace.report.dropped == {"rows with a count that is negative or no number": 3}
    assert trace.report.kept == 2
    assert any("taken together as one deployment" in text for text in trace.report.assumed)


def test_a_damaged_name_of_a_column_is_no_text_and_said():
    """The path of a column's pieces stands apart from its name, and may hold any bytes."""
    content = written()
    at = content.rindex(b"timestamp")
    with pytest.raises(InputError, match="damaged"):
        read_trace(content[:at] + b"\xbc" + content[at + 1 :])


def test_a_damaged_name_is_foreseen_wherever_it_stands():
    """The schema, the paths and Arrow's own copy each hold it; all of them at once as well."""
    content = written()
    places = [at for at in range(len(content)) if content.startswith(b"timestamp", at)]
    assert len(places) > 1
    damaged = [content[:at] + b"tim\xe7" + content[at + 4 :] for at in places]
    unforeseen = []
    for broken in (*damaged, content.replace(b"timestamp", b"tim\xe7stamp")):
        try:
            read_trace(broken)
        except UnexpectedInput as error:
            unforeseen.append(error)
        except InputError:
            continue
    assert not unforeseen
