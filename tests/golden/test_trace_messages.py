"""Files that are not quite traces, one by one, and what the reader says about each."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import re
import tracemalloc
import zipfile

import numpy as np
import pytest

from frontier.errors import InputError
from frontier.trace import TraceQuestion, UnknownFormat, read_trace

HEADER = "timestamp,prompt_tokens,output_tokens\n"


def table(*rows: str, header: str = HEADER) -> bytes:
    return (header + "\n".join(rows) + "\n").encode()


def rows_at(times, tokens="10,5"):
    return [f"{time},{tokens}" for time in times]


# --- Refused ------------------------------------------------------------------------------------


def _zip() -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("a.csv", HEADER)
    return held.getvalue()


def _frame_of_prompt_lengths() -> bytes:
    return b"num_prefill_tokens,num_decode_tokens\n310,40\n1200,5\n"


REFUSED = {
    "empty": (b"", "The file is empty."),
    "blank": (b" \n\n ", "The file is empty."),
    "header only": (HEADER.encode(), "The file has a header but no requests."),
    "no header": (b"0.0,310,40\n1.5,1200,5\n", "The first line holds values, not names of columns"),
    "no time": (
        _frame_of_prompt_lengths(),
        "No arrival time column. Found: num_prefill_tokens, num_decode_tokens. Length-only files",
    ),
    "one request": (table("0.5,10,5"), "rate and idle time need at least two different times"),
    "one time": (table(*rows_at([0.5] * 3)), "All requests have the same time"),
    "times unreadable": (
        table("0.5,10,5", "abc,10,5", "1.5,10,5"),
        "Row 3: 'abc' is not a time. 1 of 3 rows have no readable time.",
    ),
    "times missing": (
        table("0.5,10,5", ",10,5", "1.5,10,5"),
        "Row 3: an empty cell is not a time.",
    ),
    "long header": (b"timestamp" + b",a" * 60_000, "The first line has more than 100,000"),
    "open quote": (
        table("0.5,10,5", '"1.5,10,5', "2.5,10,5", "3.5,10,5"),
        "Row 3 opens a quote that never closes",
    ),
    "open quote, long": (
        table("0.5,10,5", '"1.5,10,5', *["2.5,10,5"] * 500_000),
        "a quote that opens in it may never close",
    ),
    "no records": (b"[]", "The file holds no records."),
    "lost precision": (
        table("1.75E+12,10,5", "1.75E+12,20,5"),
        "Times like 1.75E+12 lost precision in a spreadsheet",
    ),
    "two dates": (
        table("03/04/2025 10:00,10,5", "03/04/2025 11:00,10,5"),
        "Dates such as '03/04/2025 10:00' can mean two days",
    ),
    "zip": (_zip(), "a zip archive or a spreadsheet, which is not read. Save the sheet as CSV"),
    "pickle": (pickle.dumps({"timestamp": [0, 1]}), "which is not read. It could run code"),
    "numpy": (b"\x93NUMPY\x01\x00", "a NumPy file"),
    "arrow": (b"ARROW1\0\0", "or a trace as Parquet"),
    "binary": (bytes(range(256)) * 4, "The file is not text"),
    "gzip twice": (gzip.compress(gzip.compress(HEADER.encode(), mtime=0)), "gzip inside gzip"),
    "gzip cut": (gzip.compress(table(*rows_at(range(5000))), mtime=0)[:2000], "damaged or cut off"),
    "gzip broken": (
        gzip.compress(table(*rows_at(range(5000))), mtime=0)[:100] + b"\xff" * 400,
        "The gzip file is damaged",
    ),
    "parquet broken": (b"PAR1" + b"\0" * 40 + b"PAR1", "The Parquet file is damaged"),
    "json broken": (b'{"timestamp": 1, ', "The file is not valid JSON"),
    "json deep": (b"[" * 200_000, "nested too deeply"),
    "prometheus vector": (
        b'{"data": {"resultType": "vector", "result": []}}',
        "Ask for a range (query_range)",
    ),
    "prometheus uneven": (
        json.dumps(
            {
                "data": {
                    "resultType": "matrix",
                    "result": [
                        {"metric": {}, "values": [[1741082400 + t, "1"] for t in (0, 60, 87, 154)]}
                    ],
                }
            }
        ).encode(),
        "Samples are not evenly spaced",
    ),
    "litellm daily": (
        b"date,model,prompt_tokens,completion_tokens,api_requests\n2025-03-04,m,10,5,2\n",
        "All rows count requests of the same time",
    ),
    "all left out": (
        table("0,0,0", "1.5,0,0"),
        "None of the 2 rows is a request: 2 requests with 0 tokens in and out (failed).",
    ),
    "ragged": (b"timestamp,prompt_tokens,output_tokens\n0.5,10,5,9\n1.5,10,5,9\n", "None of the 2"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_that_cannot_be_a_trace_is_refused_in_words(case):
    """The message says what was expected or found, and where; the kinds are in REFUSED."""
    content, message = REFUSED[case]
    with pytest.raises(InputError, match=re.escape(message)):
        read_trace(content)


def test_a_missing_file_is_named():
    """A path that is not there is named without the folder it was looked for in."""
    with pytest.raises(InputError, match=r"There is no file 'nowhere\.csv'"):
        read_trace("folder/nowhere.csv")


def test_unknown_columns_come_with_a_suggestion_and_can_be_chosen():
    """No format has these names: the likely roles are suggested, and a choice of columns reads."""
    content = b"created_at,isl,osl,who\n2025-03-04T10:00:00Z,10,5,a\n2025-03-04T10:00:09Z,20,6,b\n"
    with pytest.raises(UnknownFormat) as caught:
        read_trace(content)
    assert caught.value.columns == ("created_at", "isl", "osl", "who")
    assert caught.value.suggested == {
        "time": "created_at",
        "prompt_tokens": "isl",
        "output_tokens": "osl",
    }
    trace = read_trace(content, columns=caught.value.suggested)
    assert trace.arrival_s.tolist() == [0.0, 9.0]
    assert trace.prompt_tokens.tolist() == [10, 20]
    for columns, message in (
        ({"prompt_tokens": "isl"}, "must be the time of arrival"),
        ({"time": "when"}, "There is no column 'when'"),
        ({"hour": "isl"}, "There is no role 'hour'"),
    ):
        with pytest.raises(InputError, match=message):
            read_trace(content, columns=columns)


@pytest.mark.parametrize(
    ("option", "value"),
    [("zero_output", "x"), ("both_zero", "x"), ("missing_buckets", "x"), ("counts", "x")],
)
def test_an_option_that_does_not_exist_is_named(option, value):
    """A wrong option names itself and the values it can have."""
    with pytest.raises(InputError, match=f"{option} can be .*; found 'x'"):
        read_trace(table(*rows_at([0.5, 1.5])), **{option: value})


def test_caps_stop_a_file_while_it_is_read():
    """A gzip of 45 MB of rows in 0.1 MB stops at the cap on bytes, and at the cap on rows."""
    content = gzip.compress(HEADER.encode() + b"0.5,10,5\n" * 5_000_000)
    assert len(content) < 200_000
    tracemalloc.start()
    with pytest.raises(InputError, match=r"more than 9 MB of data\. Keep one week"):
        read_trace(content, max_bytes=9_000_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 30_000_000  # of 45 MB
    with pytest.raises(InputError, match=r"more than 1,000 rows\. Keep one week, or aggregate"):
        read_trace(content, max_rows=1000)


def test_a_parquet_file_is_judged_by_its_row_count():
    """Ten million equal rows in a few kilobytes are refused from the footer."""
    import pyarrow as pa
    from pyarrow import parquet

    held = io.BytesIO()
    names = ("timestamp", "prompt_tokens", "output_tokens")
    rows = pa.table({name: pa.array(np.zeros(1_000_000, np.int32)) for name in names})
    with parquet.ParquetWriter(held, rows.schema) as writer:
        for _ in range(10):
            writer.write_table(rows)
    assert len(held.getvalue()) < 200_000
    with pytest.raises(InputError, match=r"more than [0-9,]+ rows"):
        read_trace(held.getvalue())


def test_one_large_json_document_is_refused():
    """A single document must be held whole, so it has a cap of its own."""
    rows = [{"timestamp": index / 2, "input_length": 1, "output_length": 1} for index in range(999)]
    with pytest.raises(InputError, match=r"Write one record a line \(JSON lines\)"):
        read_trace(json.dumps(rows).encode(), max_bytes=9_000)


def test_what_progress_raises_stops_the_reading():
    """A caller cancels by raising from its progress function."""

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read_trace(table(*rows_at([0.5, 1.5])), progress=stop)


# --- Asked --------------------------------------------------------------------------------------


def test_seconds_or_milliseconds_is_asked_with_both_readings():
    """Whole numbers from 0 may be either: the question shows rate and span of both."""
    header = "timestamp,input_tokens,output_tokens\n"
    content = table(*rows_at(range(0, 3_600_000, 1000)), header=header)
    with pytest.raises(TraceQuestion) as caught:
        read_trace(content)
    assert str(caught.value) == (
        "Is 'timestamp' in seconds (3.6 requests/h over 41.7 days) or milliseconds (1 requests/s "
        "over 59 min 59 s)?"
    )
    assert caught.value.parameter == "time_unit"
    assert read_trace(content, time_unit="s").span_s == 3_599_000.0
    assert read_trace(content, time_unit="ms").span_s == 3_599.0
    with pytest.raises(InputError, match=r"in s, ms, us, ns, days, .*ticks; found 'h'"):
        read_trace(content, time_unit="h")


def test_our_own_table_counts_in_seconds_and_says_so():
    """Whole numbers under Frontier's own three names are seconds, shown as an assumption."""
    trace = read_trace(table(*rows_at(range(0, 3600, 10))))
    assert trace.span_s == 3590.0
    assert trace.report.assumed == (
        "Numbers in 'timestamp' are read as seconds: 6.02 requests/min over 59 min 50 s.",
    )
    assert read_trace(table(*rows_at(range(0, 3600, 10))), time_unit="ms").span_s == 3.59


def test_a_spreadsheets_days_are_asked():
    """45,000.5 may be noon of 15 March 2023, or seconds."""
    content = table(*rows_at([45000.5, 45000.75, 45001.25]))
    with pytest.raises(TraceQuestion, match="days \\(a spreadsheet's numbers for dates\\)"):
        read_trace(content)
    trace = read_trace(content, time_unit="days")
    assert trace.arrival_s.tolist() == [0.0, 21600.0, 64800.0]
    assert trace.t0_utc.isoformat() == "2023-03-15T12:00:00+00:00"


@pytest.mark.parametrize(
    ("unit", "factor"), [("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)]
)
def test_seconds_since_1970_are_known_by_their_size(unit, factor):
    """1.7e9 s, 1.7e12 ms, 1.7e15 us and 1.7e18 ns are dates and need no question."""
    trace = read_trace(table(*rows_at([1741082400 * factor, 1741082409 * factor])))
    assert trace.arrival_s.tolist() == [0.0, 9.0]
    assert trace.report.time_unit == unit
    assert trace.t0_utc.isoformat() == "2025-03-04T10:00:00+00:00"


def two_logs() -> bytes:
    first = [index * 60.5 for index in range(200)]
    return table(*rows_at(first), *rows_at(first[:100]))


def test_a_clock_that_starts_again_is_asked_and_never_sorted():
    """A jump back to the start is a second log: each way to read it is offered and works."""
    with pytest.raises(TraceQuestion) as caught:
        read_trace(two_logs())
    assert str(caught.value).startswith(
        "Row 202: time jumps back by 3.34 h. This looks like 2 logs in one file."
    )
    assert [value for value, _ in caught.value.choices] == [
        "sequence",
        "part1",
        "part2",
        "overlay",
    ]
    sequence = read_trace(two_logs(), on_clock_reset="sequence")
    assert sequence.arrival_s.size == 300
    # One mean gap lies between the logs.
    np.testing.assert_allclose(np.diff(sequence.arrival_s), 60.5, atol=1e-9)
    assert any("put one after the other" in text for text in sequence.report.assumed)
    part = read_trace(two_logs(), on_clock_reset="part2")
    assert part.arrival_s.size == 100
    assert part.report.dropped == {"rows of another log in the same file": 200}
    overlay = read_trace(two_logs(), on_clock_reset="overlay")
    assert overlay.span_s == 199 * 60.5
    assert overlay.arrival_s.size == 300


def test_a_short_log_that_starts_again_is_asked_too():
    """Two logs of half a minute each: shorter than an hour, but back over all of it."""
    times = [index * 1.5 for index in range(20)]
    with pytest.raises(TraceQuestion, match="2 logs in one file"):
        read_trace(table(*rows_at(times), *rows_at(times)))


def test_a_clock_set_back_by_an_hour_is_asked():
    """Dates without a zone that step back an hour are the end of summer time, or disorder."""
    hours = ["01:00:00", "01:30:00", "02:59:50", "02:00:00", "02:30:00", "03:10:00"]
    content = table(*rows_at(f"2025-10-26 {hour}" for hour in hours))
    with pytest.raises(TraceQuestion, match="set back at the end of summer time") as caught:
        read_trace(content)
    assert caught.value.parameter == "on_clock_reset"
    assert read_trace(content, on_clock_reset="dst").span_s == 3 * 3600 + 10 * 60
    assert read_trace(content, on_clock_reset="sort").span_s == 2 * 3600 + 10 * 60


def test_several_models_are_asked_and_a_wrong_answer_is_named():
    """Each model needs its own deployment; a model that is not there is an error."""
    header = "timestamp,prompt_tokens,output_tokens,model\n"
    content = table("0.5,1,1,a", "1.5,2,1,b", "2.5,3,1,a", header=header)
    with pytest.raises(TraceQuestion, match="2 models in the file") as caught:
        read_trace(content)
    assert caught.value.choices[0] == ("a", "a: 2 requests")
    chosen = read_trace(content, model="a")
    assert chosen.prompt_tokens.tolist() == [1, 3]
    assert chosen.report.dropped == {"requests to other models": 1}
    assert read_trace(content, model="all").prompt_tokens.tolist() == [1, 2, 3]
    with pytest.raises(InputError, match="There is no model 'c' in the file; there are a, b"):
        read_trace(content, model="c")


# --- Mended or noted ----------------------------------------------------------------------------


def test_a_few_unreadable_times_cost_their_rows():
    """Up to one row in twenty may have no time; it is dropped, counted and quoted."""
    trace = read_trace(table(*rows_at(np.arange(99) + 0.5), "abc,10,5"))
    assert "Row 101: 'abc' is not a time. 1 of 100 rows skipped." in trace.report.notes
    assert trace.report.dropped == {"rows whose time could not be read": 1}


def test_rows_a_little_out_of_order_are_sorted_and_counted():
    """One late row is sorted, and the note says how many."""
    trace = read_trace(table("0.5,1,1", "2.5,3,1", "1.5,2,1", "3.5,4,1"))
    assert trace.prompt_tokens.tolist() == [1, 2, 3, 4]
    assert "1 row was out of order and sorted by time." in trace.report.notes


def test_newest_first_is_turned_round():
    """An export with the newest request first reads as the same trace."""
    rows = rows_at([0.5, 1.5, 3.5])
    turned = read_trace(table(*reversed(rows)))
    assert turned == read_trace(table(*rows))
    assert any("newest request first" in text for text in turned.report.notes)


@pytest.mark.parametrize("cell", ["-5", "3.7", "many", "99999999999"])
def test_a_count_that_is_none_costs_its_row(cell):
    """Negative, fractional, worded and absurd counts are dropped, and the first is quoted."""
    report = read_trace(table("0.5,10,5", f"1.5,{cell},5", "2.5,10,5"), losses="accept").report
    assert f"Row 3: prompt tokens '{cell}'." in report.notes
    assert sum(report.dropped.values()) == 1
    assert report.kept == 2


def test_no_output_wakes_the_model_all_the_same():
    """0 output tokens is a failed request: an arrival of 1 token, unless it is left out."""
    content = table("0.5,10,0", "1.5,10,5", "2.5,0,0", "3.5,10,5")
    with pytest.raises(TraceQuestion, match="Of 4 rows, 1 are requests with 0 tokens") as caught:
        read_trace(content)
    assert caught.value.parameter == "both_zero"
    kept = read_trace(content, both_zero="drop")
    assert kept.output_tokens.tolist() == [1, 5, 5]
    assert any("1 request has 0 output tokens" in text for text in kept.report.notes)
    assert kept.report.dropped == {"requests with 0 tokens in and out (failed)": 1}
    without = read_trace(content, zero_output="drop", both_zero="drop")
    assert without.output_tokens.tolist() == [5, 5]
    assert read_trace(content, both_zero="keep").output_tokens.tolist() == [1, 5, 1, 5]


def test_missing_tokens_are_filled_and_said():
    """An empty cell takes the default, and the default is the user's to change."""
    content = table("0.5,,5", "1.5,10,", "2.5,10,5")
    trace = read_trace(content)
    assert trace.prompt_tokens.tolist() == [1000, 10, 10]
    assert trace.report.assumed == (
        "1 request has no prompt tokens: 1,000 assumed.",
        "1 request has no output tokens: 200 assumed.",
    )
    chosen = read_trace(content, default_prompt_tokens=7, default_output_tokens=3)
    assert chosen.prompt_tokens.tolist() == [7, 10, 10]
    with pytest.raises(InputError, match="assumed output tokens cannot be 0"):
        read_trace(content, default_output_tokens=0)


def test_rounded_times_are_spread_inside_their_step():
    """Ten requests every three seconds are spread over the three seconds, with a note."""
    times = np.repeat(np.arange(100) * 3000, 10)
    lines = [
        json.dumps({"timestamp": int(t), "input_length": 9, "output_length": 2, "hash_ids": [1]})
        for t in times
    ]
    trace = read_trace("\n".join(lines).encode())
    assert trace.resolution_s == 3.0
    assert np.unique(trace.arrival_s).size == 1000
    assert any("Times are rounded to 3 s" in text for text in trace.report.notes)
    # Spread, not shifted: request number k still arrives at about k × 0.3 s.
    assert np.abs(trace.arrival_s - np.arange(1000) * 0.3).max() < 3.0


def test_bursts_at_exact_times_are_not_taken_for_rounding():
    """Ten requests at once at irregular moments are bursts and stay bursts."""
    moments = np.cumsum(np.random.default_rng(5).exponential(7.0, 100)).round(3)
    trace = read_trace(table(*rows_at(np.repeat(moments, 10))))
    assert np.unique(trace.arrival_s).size == 100


def test_a_short_trace_says_what_a_month_of_it_means():
    """57 minutes are extrapolated 768-fold and have no night."""
    notes = read_trace(table(*rows_at([0.5, 3420.5]))).report.notes
    assert (
        "57 min of traffic: monthly cost is an extrapolation (× 768). No night or weekend in the "
        "data."
    ) in notes


def test_a_missing_zone_is_said():
    """Dates without a zone are read as UTC, and that is a note; with one there is none."""
    days = [f"2025-03-0{day} 10:00:00" for day in (4, 5, 6)]
    without = read_trace(table(*rows_at(days)))
    assert without.report.notes == ("No time zone in the file; hours of day are read as UTC.",)
    assert read_trace(table(*rows_at(day + "Z" for day in days))).report.notes == ()


def test_a_broken_line_of_json_costs_itself():
    """A cut line in the middle of JSON lines is dropped and counted; the rest reads."""
    lines = [f'{{"timestamp": {t}.5, "input_length": 9, "output_length": 2}}' for t in range(50)]
    lines[20] = lines[20][:30]
    report = read_trace("\n".join(lines).encode()).report
    assert report.dropped == {"rows that could not be read as JSON": 1}
    assert report.rows_read == 50


def test_a_row_of_another_width_costs_itself():
    """A CSV row with an extra cell is dropped and counted."""
    report = read_trace(table("0.5,10,5", "1.5,10,5,9", "2.5,10,5"), losses="accept").report
    assert report.dropped == {"rows with another number of cells than the 3 columns": 1}
    assert report.kept == 2


@pytest.mark.parametrize(
    ("header", "rows"),
    [
        ("timestamp;prompt_tokens;output_tokens\n", ("0,5;1.310;5", "2,0;1.400;6")),
        ("timestamp\tprompt_tokens\toutput_tokens\n", ("0.5\t1310\t5", "2.0\t1400\t6")),
        ('sep=;\n"timestamp";"prompt_tokens";"output_tokens"\n', ("0,5;1310;5", "2,0;1400;6")),
        (HEADER, ('0.5,"1,310",5', '2.0,"1,400",6')),
        ("Timestamp, Prompt Tokens ,OUTPUT_TOKENS\n", (" 0.5 , 1310 , 5 ", " 2.0 , 1400 , 6 ")),
    ],
)
def test_spreadsheet_habits_are_read_where_only_one_reading_is_possible(header, rows):
    """Semicolons, decimal commas, thousands separators and spaces give the same trace."""
    trace = read_trace(table(*rows, header=header))
    assert trace.arrival_s.tolist() == [0.0, 1.5]
    assert trace.prompt_tokens.tolist() == [1310, 1400]


def test_day_first_is_read_where_a_day_above_twelve_shows_it():
    """16/11/2023 can only be a day and a month in that order."""
    trace = read_trace(table("16/11/2023 18:15:46,10,5", "17/11/2023 18:15:46,10,5"))
    assert trace.span_s == 86400.0
    assert trace.t0_utc.isoformat() == "2023-11-16T18:15:46+00:00"


def test_hours_of_half_a_day_are_read():
    """An American spreadsheet writes 1 PM for 13, and noon and midnight as 12."""
    trace = read_trace(
        table("11/16/2023 12:59:30 AM,10,5", "11/16/2023 12:00 PM,10,5", "11/16/2023 1:00 pm,10,5")
    )
    assert trace.t0_utc.isoformat() == "2023-11-16T00:59:30+00:00"
    assert trace.arrival_s.tolist() == [0.0, 11 * 3600 + 30, 12 * 3600 + 30]


def test_the_digest_knows_every_request():
    """One token more, or one arrival later by a microsecond, is another trace."""
    base = read_trace(table("0.5,10,5", "1.5,10,5"))
    assert base.digest != read_trace(table("0.5,10,5", "1.5,10,6")).digest
    assert base.digest != read_trace(table("0.5,10,5", "1.500001,10,5")).digest


def test_bytes_that_are_no_text_cost_at_most_their_row():
    """A row with stray bytes and an extra cell is counted as dropped, not lost; names survive."""
    content = table("0.5,10,5", "1.5,10,5", "2.5,10,5").replace(b"1.5,10,5", b"1.5,10,5,\xff\xfe")
    with pytest.raises(TraceQuestion, match="Of 3 rows, 1 would be lost"):
        read_trace(content)
    report = read_trace(content, losses="accept").report
    assert (report.rows_read, report.kept, sum(report.dropped.values())) == (3, 2, 1)
    header = "timestamp,prompt_tokens,output_tokens,mod\xe8le\n"
    latin = (header + "0.5,10,5,\xe9\n1.5,10,5,\xe9\n").encode("latin-1")
    assert read_trace(latin).report.kept == 2


def test_a_date_beyond_nanoseconds_is_no_time():
    """The year 9999, a favourite of databases, is dropped and quoted."""
    days = [f"2025-03-04T10:00:{second:02}Z" for second in range(40)]
    trace = read_trace(table(*rows_at(days), "9999-12-31T23:59:59Z,10,5"))
    assert trace.report.dropped == {"rows whose time could not be read": 1}
    assert any("'9999-12-31T23:59:59Z' is not a time" in note for note in trace.report.notes)


def test_a_wrong_unit_is_told_by_the_year():
    """Milliseconds since 1970 taken for days lie millions of years ahead."""
    with pytest.raises(InputError, match=r"years after 1970\. Is their unit right\?"):
        read_trace(table(*rows_at([1741082400250, 1741082401750])), time_unit="days")


def test_a_rate_series_over_too_many_buckets_is_refused():
    """One stray time a thousand years away would make billions of empty buckets."""
    rows = [f"{300 * index},2" for index in range(40)]
    content = ("bucket_start,requests\n" + "\n".join([*rows, "30000000000000,1"])).encode()
    with pytest.raises(InputError, match="Keep one week, or take a longer step"):
        read_trace(content)


def test_a_time_beside_a_name_is_offered_the_mapping_form():
    """Two columns of which the second holds no counts: the file is a request log, not a panel."""
    content = b"timestamp,user\n" + b"".join(b"%.1f,u%d\n" % (n * 37.5, n % 3) for n in range(50))
    with pytest.raises(UnknownFormat, match="'user' holds no counts") as refused:
        read_trace(content)
    assert refused.value.suggested == {"time": "timestamp"}
    trace = read_trace(content, columns={"time": "timestamp"})
    assert trace.arrival_s.size == 50
    assert any("token" in sentence for sentence in trace.report.assumed)
