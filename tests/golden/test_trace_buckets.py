"""Tables whose rows count requests: read as buckets, asked about or refused, never as requests."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import numpy as np
import pytest

from frontier.errors import InputError
from frontier.trace import TraceQuestion, UnknownFormat, read_trace

MONDAY = dt.datetime(2026, 3, 30, tzinfo=dt.UTC)
COUNTS = [20 + (7 * row) % 11 for row in range(48)]
SHARED = Path(__file__).resolve().parents[2] / ".." / "shared" / "cases" / "traces"


def stamps(step: dt.timedelta, number: int, form: str) -> list[str]:
    """Return times at one step."""
    return [format(MONDAY + row * step, form) for row in range(number)]


def csv_of(header: str, *columns: list) -> bytes:
    """Return a table of some columns."""
    rows = [",".join(str(cell) for cell in row) for row in zip(*columns, strict=True)]
    return "\n".join([header, *rows, ""]).encode()


def usage(header: str, step: dt.timedelta, form: str = "%Y-%m-%d %H:%M:%S", mean=False) -> bytes:
    """Return a table of 48 buckets of requests of 900 and 200 tokens."""
    each = [1] * len(COUNTS) if mean else COUNTS
    return csv_of(
        header,
        stamps(step, len(COUNTS), form),
        COUNTS,
        [900 * number for number in each],
        [200 * number for number in each],
    )


HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
TABLES = {
    "own names": usage("timestamp,requests,prompt_tokens,completion_tokens", HOUR),
    "num_requests, UTC": usage(
        "hour,num_requests,input_tokens,output_tokens", HOUR, "%Y-%m-%d %H:%M:%S UTC"
    ),
    "calls of 5 min": usage("time_bucket,n_calls,tokens_in,tokens_out", HOUR / 12),
    "invocations a day": usage("Day,Invocations,Input Tokens,Output Tokens", DAY, "%m/%d/%Y"),
    "a bare n": usage("timestamp,n,prompt_tokens,output_tokens", HOUR / 4),
    "camel case": usage("startTime,requestCount,inputTokens,outputTokens", HOUR, "%Y-%m-%dT%H:%MZ"),
    "means": usage("bucket,requests,avg_prompt_tokens,avg_output_tokens", HOUR, mean=True),
    "means by their values": usage("bucket,requests,prompt_tokens,output_tokens", HOUR, mean=True),
    "totals": usage("date,total_requests,total_prompt_tokens,total_completion_tokens", DAY),
    "count(*) and sum(…)": usage("minute,COUNT(*),SUM(input_tokens),SUM(output_tokens)", HOUR / 60),
    "a data base's own names": usage("hour,f0_,avg_in_tokens,avg_out_tokens", HOUR, mean=True),
    "events": usage("event_timestamp,event_count,total_input_tokens,total_output_tokens", HOUR),
    "old usage of OpenAI": usage(
        "aggregation_timestamp,n_requests,n_context_tokens_total,n_generated_tokens_total",
        HOUR / 12,
    ),
    "LiteLLM daily": usage("date,api_requests,prompt_tokens,completion_tokens", DAY, "%Y-%m-%d"),
    "month names": usage(
        "window_start,llm_requests,prompt_tokens,completion_tokens", HOUR, "%b %d %Y %I:%M %p"
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_of_buckets_gives_the_requests_it_counts(name):
    """Whatever its names, step and times: as many requests as counted, of 900 and 200 tokens."""
    trace = read_trace(TABLES[name])
    assert trace.arrival_s.size == sum(COUNTS)
    assert set(trace.prompt_tokens.tolist()) == {900}
    assert set(trace.output_tokens.tolist()) == {200}
    report = trace.report
    assert (report.rows_read, report.kept, report.dropped) == (48, 48, {})
    assert report.bucket_s == pytest.approx(trace.horizon_s / 48, rel=0.05)
    begin = MONDAY.timestamp() - trace.t0_utc.timestamp()
    bucket = np.floor((trace.arrival_s - begin + 1e-6) / report.bucket_s).astype(int)
    assert np.bincount(bucket, minlength=48).tolist() == COUNTS


def test_the_step_of_a_missing_hour_is_no_traffic_and_said():
    """Hours that are not in the table have no requests, unless they are called unknown."""
    rows = [0, 1, 5, 8, 30, 41]
    content = csv_of(
        "timestamp,requests,prompt_tokens_sum,output_tokens_sum",
        [f"{MONDAY + row * HOUR:%Y-%m-%dT%H:%M:%SZ}" for row in rows],
        [10] * 6, [9000] * 6, [2000] * 6,
    )  # fmt: skip
    trace = read_trace(content)
    assert trace.arrival_s.size == 60
    assert any("36 buckets without a sample" in text for text in trace.report.assumed)
    assert read_trace(content, missing_buckets="unknown").arrival_s.size == 420


def test_months_last_as_long_as_they_do():
    """Buckets of 28 to 31 days are spread over their own days; the last lasts as long as most."""
    content = csv_of(
        "month,requests,total_prompt_tokens,total_completion_tokens",
        [f"2026-{month:02}-01" for month in range(1, 7)],
        [1000] * 6, [900_000] * 6, [200_000] * 6,
    )  # fmt: skip
    trace = read_trace(content)
    begin = dt.datetime(2026, 1, 1, tzinfo=dt.UTC) - trace.t0_utc
    days = np.floor((trace.arrival_s - begin.total_seconds()) / 86400).astype(int)
    months = [(dt.datetime(2026, 1, 1) + dt.timedelta(days=int(day))).month for day in days]
    assert np.bincount(months, minlength=7)[1:6].tolist() == [1000] * 5
    assert trace.arrival_s.size == 6000
    assert trace.report.bucket_s == 31 * 86400


@pytest.mark.parametrize(
    ("header", "last"),
    [
        ("start,bucket_end,hits,prompt,reply", "%Y-%m-%d %H:%M:%S"),
        ("start,bucket_width,hits,prompt,reply", "1h"),
        ("start,bucket_s,hits,prompt,reply", "3600"),
        ("start,interval_minutes,hits,prompt,reply", "60"),
    ],
)
def test_the_form_has_a_role_for_requests_and_for_the_length_of_a_bucket(header, last):
    """By hand: counts, tokens and the end or the length of each bucket; hours apart of a day."""
    every = 6 * HOUR
    ends = [format(MONDAY + row * every + HOUR, last) for row in range(48)]
    content = csv_of(
        header, stamps(every, 48, "%Y-%m-%d %H:%M:%S"), ends, COUNTS,
        [900 * n for n in COUNTS], [200 * n for n in COUNTS],
    )  # fmt: skip
    length = header.split(",")[1]
    roles = {
        "time": "start", "prompt_tokens": "prompt", "output_tokens": "reply", "requests": "hits",
        "bucket_end" if length == "bucket_end" else "bucket_length": length,
    }  # fmt: skip
    trace = read_trace(content, columns=roles)
    assert trace.arrival_s.size == sum(COUNTS)
    assert trace.report.bucket_s == 3600
    since = trace.arrival_s + (trace.t0_utc - MONDAY).total_seconds()
    assert np.all(since % 21600 <= 3600 + 1e-6)
    assert set(trace.prompt_tokens.tolist()) == {900}


def test_a_mapping_without_the_count_finds_it_all_the_same():
    """A person who names only the time and the tokens is not given one request a row."""
    content = usage("von,requests,prompt,reply", HOUR)
    roles = {"time": "von", "prompt_tokens": "prompt", "output_tokens": "reply"}
    assert read_trace(content, columns=roles).arrival_s.size == sum(COUNTS)
    told = read_trace(content, columns=roles, rows_are="requests")
    assert told.arrival_s.size == 48


def test_several_models_are_one_question_with_their_requests():
    """Rows of several models at one time are not added up without being asked."""
    times = [time for time in stamps(DAY, 24, "%Y-%m-%d") for _ in "ab"]
    content = csv_of(
        "date,model,request_count,prompt_tokens,completion_tokens", times, ["a", "b"] * 24,
        COUNTS, [900 * n for n in COUNTS], [200 * n for n in COUNTS],
    )  # fmt: skip
    with pytest.raises(TraceQuestion) as caught:
        read_trace(content)
    assert caught.value.parameter == "model"
    assert f"{sum(COUNTS[::2]):,} requests" in dict(caught.value.choices)["a"]
    trace = read_trace(content, model="a")
    assert trace.arrival_s.size == sum(COUNTS[::2])
    assert trace.report.dropped == {"rows of other models": 24}
    assert read_trace(content, model="all").arrival_s.size == sum(COUNTS)


def test_whether_tokens_are_sums_is_asked_where_nothing_tells_and_can_be_changed():
    """50 requests and 5,000 tokens an hour: 100 each, or 5,000 each."""
    content = csv_of(
        "timestamp,requests,prompt_tokens,completion_tokens", stamps(HOUR, 24, "%Y-%m-%d %H:%M"),
        [50] * 24, [5000 + 100 * row for row in range(24)], [900] * 24,
    )  # fmt: skip
    with pytest.raises(TraceQuestion) as caught:
        read_trace(content)
    assert [value for value, _ in caught.value.choices] == ["sum", "mean"]
    assert read_trace(content, bucket_tokens="sum").prompt_tokens[0] == 100
    assert read_trace(content, bucket_tokens="mean").prompt_tokens[0] == 5000
    decided = read_trace(TABLES["own names"]).report.decided
    assert [(item.parameter, item.chosen) for item in decided] == [("bucket_tokens", "sum")]


def test_a_rate_is_counted_over_its_bucket():
    """Half a request a second over a minute is thirty."""
    content = csv_of(
        "timestamp,rps,avg_prompt_tokens,avg_output_tokens",
        stamps(HOUR / 60, 40, "%Y-%m-%d %H:%M"),
        [0.5] * 40, [900] * 40, [200] * 40,
    )  # fmt: skip
    assert read_trace(content).arrival_s.size == 1200


def test_openais_usage_interface_is_read_bucket_by_bucket():
    """Buckets hold results, one a model; tokens are sums; a bucket without results is empty."""
    begin = 1746057600
    buckets = [
        {
            "object": "bucket", "start_time": begin + 86400 * day,
            "end_time": begin + 86400 * (day + 1),
            "results": [] if day == 3 else
            [{"input_tokens": 900 * (5 + day), "output_tokens": 200 * (5 + day),
              "num_model_requests": 5 + day, "model": None}],
        }
        for day in range(7)
    ]  # fmt: skip
    trace = read_trace(json.dumps({"object": "page", "data": buckets}).encode())
    assert trace.arrival_s.size == sum(5 + day for day in range(7) if day != 3)
    assert set(trace.prompt_tokens.tolist()) == {900}
    assert trace.report.bucket_s == 86400


def test_thousands_in_a_table_with_semicolons_are_thousands():
    """1.205 requests in a table of another country are 1,205: a request has no fraction."""
    rows = [f"2026-03-30 {hour:02}:00;1.{200 + hour};{900 * (1200 + hour)};{200 * (1200 + hour)}"
            for hour in range(24)]  # fmt: skip
    content = "\n".join(["timestamp;requests;prompt_tokens;completion_tokens", *rows, ""]).encode()
    trace = read_trace(content)
    assert trace.arrival_s.size == sum(1200 + hour for hour in range(24))
    assert set(trace.prompt_tokens.tolist()) == {900}


def test_rows_of_one_time_are_added_up_and_said():
    """Rows of several users at one time are one bucket, and the person is told."""
    times = [time for time in stamps(DAY, 24, "%Y-%m-%d") for _ in "ab"]
    content = csv_of(
        "date,user,requests,prompt_tokens,completion_tokens", times, ["a", "b"] * 24,
        COUNTS, [900 * n for n in COUNTS], [200 * n for n in COUNTS],
    )  # fmt: skip
    trace = read_trace(content)
    assert trace.arrival_s.size == sum(COUNTS)
    assert trace.report.bucket_s == 86400
    said = "24 rows with the time of another: their requests are added up."
    assert said in trace.report.assumed


def test_a_row_of_totals_is_dropped_and_counted():
    """The last line of a report is no bucket; one of many is noted, not asked about."""
    content = TABLES["own names"] + b"Total,1200,1080000,240000\n"
    report = read_trace(content).report
    assert report.dropped == {"rows whose time could not be read": 1}
    assert (report.rows_read, report.kept) == (49, 48)


def test_times_that_only_partly_name_a_zone_are_told():
    """A file whose times name a zone here and none there says how the others are read."""
    times = [f"2026-03-30 10:{row:02}:00{'Z' if row % 2 else ''}" for row in range(20)]
    notes = read_trace(csv_of(BASE, times, [9] * 20, [9] * 20)).report.notes
    assert "Some times in the file name no zone; those are read as UTC." in notes


def test_whole_days_of_a_spreadsheet_are_asked_about():
    """46111, 46112, … are days since 1899 or seconds: the question offers both."""
    content = csv_of(
        "timestamp,requests,prompt_tokens,output_tokens", range(46111, 46159), COUNTS,
        [900 * n for n in COUNTS], [200 * n for n in COUNTS],
    )  # fmt: skip
    with pytest.raises(TraceQuestion) as caught:
        read_trace(content)
    assert [value for value, _ in caught.value.choices] == ["s", "days"]
    trace = read_trace(content, time_unit="days")
    assert trace.report.bucket_s == 86400
    assert trace.t0_utc.date() == dt.date(2026, 3, 30)


def test_a_panel_named_by_hand_as_a_log_is_asked_about():
    """A minute of a panel, chosen as the time of arrival and nothing else, is no request."""
    times = stamps(HOUR / 60, 60, "%Y-%m-%d %H:%M:%S")
    content = csv_of("Time,one,two", times, range(60), range(60))
    with pytest.raises(TraceQuestion, match="Is each row one request"):
        read_trace(content, columns={"time": "Time"})


def test_a_log_with_a_number_beside_it_stays_a_log():
    """``n`` choices of a request, or a count of one in each row, make no bucket of it."""
    times = [f"{MONDAY + dt.timedelta(seconds=15.3 * row + row * row % 7)}" for row in range(48)]
    for header, numbers in (
        ("timestamp,n,prompt_tokens,output_tokens", [1 + row % 3 for row in range(48)]),
        ("timestamp,requests,prompt_tokens,output_tokens", [1] * 48),
        ("timestamp,num_images,prompt_tokens,output_tokens", [row % 3 for row in range(48)]),
    ):
        trace = read_trace(csv_of(header, times, numbers, [900] * 48, [200] * 48))
        assert trace.arrival_s.size == 48
        assert trace.report.bucket_s is None


BASE = "timestamp,prompt_tokens,output_tokens"
HOURS = stamps(HOUR, 30, "%Y-%m-%d %H:%M:%S")
ODD = [f"{MONDAY + dt.timedelta(seconds=(row * row * 977) % 86400)}" for row in range(30)]
REFUSED = {
    "sums of an hour without a count": (
        csv_of(BASE, HOURS, [45_000] * 30, [9_000] * 30), "Is each row one request?"),
    "more than any context": (
        csv_of(BASE, ODD, [45_000_000] * 30, [9] * 30), "more than any model's context"),
    "counts at odd times": (
        csv_of("timestamp,requests,prompt_tokens,output_tokens", ODD, range(5, 35), [9] * 30,
               [9] * 30), "not evenly spaced"),
    "counts at one time": (
        csv_of("date,requests,prompt_tokens,output_tokens", ["2026-03-30"] * 2, [5, 6], [9] * 2,
               [9] * 2), "requests of the same time"),
    "counts that are words": (
        csv_of("timestamp,requests,prompt_tokens,output_tokens", HOURS, ["many"] * 30, [9] * 30,
               [9] * 30), "No row holds a number of requests"),
    "a tenth of counts unreadable": (
        csv_of("timestamp,requests,prompt_tokens,output_tokens", HOURS,
               ["?"] * 3 + [40] * 27, [9000] * 30, [900] * 30), "would be lost"),
    "names that tell nothing": (
        csv_of("von,bis,prompt,reply", HOURS, HOURS, [9] * 30, [9] * 30), "No known format"),
    "windows that overlap": (
        csv_of("timestamp,window_s,requests,prompt_tokens,output_tokens", HOURS, [86400] * 30,
               range(5, 35), [9000] * 30, [900] * 30), "overlap"),
    "count of a data base without a name": (
        csv_of("hour,f0_,a,b", HOURS, range(5, 35), [9] * 30, [9] * 30), "No known format"),
    "CloudWatch as a table": (
        csv_of("Timestamp,SampleCount,Sum,Average,Unit", HOURS, range(5, 35), [9] * 30, [9] * 30,
               ["Count"] * 30), "No known format"),
    "seconds and milliseconds": (
        csv_of(BASE, [1700000000, 1700000060000], [1, 1], [1, 1]), "mix seconds and milliseconds"),
    "half of the tokens unreadable": (
        csv_of(BASE, ODD, [9, "x"] * 15, [9] * 30), "would be lost"),
    "half of the requests failed": (
        csv_of(BASE, ODD, [0, 5] * 15, [0, 5] * 15), "Leave them out?"),
    "half of the lines too short": (
        f"{BASE}\n".encode() + b"0.5,1,1\n1.5,2\n2.5,3,3\n3.5,4\n", "would be lost"),
    "items that are no records": (
        json.dumps([{"timestamp": 0.5, "prompt_tokens": 1, "output_tokens": 1}, 5, None,
                    {"timestamp": 2, "prompt_tokens": 1, "output_tokens": 1}]).encode(),
        "items of a list that are no records"),
    "a stray quote far into a file": (
        f"{BASE},user\n".encode() + b"".join(b"%d,1,1,a\n" % row for row in range(300))
        + b'301,1,1,"x\n302.5,1,1,y\n303,1,1,"w"\n305,1,1,a\n',
        "opens a quote that closes in the middle"),
    "a stray quote that closes at the end of another row": (
        b'timestamp,prompt_tokens,output_tokens,user\n0,1,1,"x\n1.5,1,1,y\n2.5,1,1,z"\n5,1,1,a\n',
        "looks like a row (1.5,1,1,y)"),
    "an abbreviated zone": (
        csv_of("prompt_tokens,timestamp,output_tokens", [9] * 30,
               [f"{time} CST" for time in HOURS], [9] * 30), "a name that several zones have"),
    "a day that may be a month": (
        csv_of(BASE, ["03/04/2026 10:00", "03/05/2026 10:05"], [9] * 2, [9] * 2), "two days"),
    "hour 13 in the afternoon": (
        csv_of(BASE, ["2026-03-30 13:00:00 PM"] * 2, [9] * 2, [9] * 2), "is not a time"),
    "a separator": (b"\x1c", "The file is empty"),
    "a blank that does not break": ("\u00a0".encode(), "The file is empty"),
    "every request repeated": (
        csv_of(f"request_id,{BASE}", ["a"] * 30, ODD, [9] * 30, [9] * 30), "would be lost"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_right_is_asked_or_refused(name):
    """No request comes of these files without a question or a sentence."""
    content, words = REFUSED[name]
    with pytest.raises(InputError) as caught:
        read_trace(content)
    assert words in str(caught.value)
    if isinstance(caught.value, TraceQuestion):
        assert caught.value.choices


def test_rows_called_buckets_need_a_column_that_counts():
    """The answer that rows are no requests leads to the form, not to a guess."""
    content = csv_of(BASE, HOURS, [45_000] * 30, [9_000] * 30)
    with pytest.raises(UnknownFormat, match="No column counts the requests"):
        read_trace(content, rows_are="buckets")
    assert read_trace(content, rows_are="requests").arrival_s.size == 30


def test_all_requests_without_output_left_out_is_a_sentence():
    """Leaving out requests without output where none has any leaves nothing to read."""
    content = csv_of(BASE, [0, 1.5], [5, 5], [0, 0])
    with pytest.raises(InputError, match="None of the 2 rows is left"):
        read_trace(content, zero_output="drop")


@pytest.mark.parametrize(
    ("file", "requests", "tokens", "bucket_s"),
    [
        ("trace_hourly_own.csv", 6156, {(900, 200)}, 3600),
        ("trace_openai_usage.csv", 1956, None, 86400),
        ("trace_bigquery_utc.csv", 40, None, None),
    ],
)
def test_published_shapes_read_as_they_are(file, requests, tokens, bucket_s):
    """Hourly sums, OpenAI's usage export and BigQuery's times."""
    if not (SHARED / file).exists():
        pytest.skip("the shared cases are not here")
    trace = read_trace(SHARED / file)
    assert trace.arrival_s.size == requests
    assert trace.report.bucket_s == bucket_s
    assert trace.report.rows_read == trace.report.kept + sum(trace.report.dropped.values())
    pairs = set(zip(trace.prompt_tokens.tolist(), trace.output_tokens.tolist(), strict=True))
    assert tokens is None or pairs == tokens
    assert trace.report.zones in (("UTC",), ())


@pytest.mark.parametrize(
    ("names", "each"),
    [
        (("prompt_tokens (k)", "completion_tokens (k)"), 1e3),
        (("Input tokens, thousands", "Output tokens, thousands"), 1e3),
        (("input_tokens_m", "output_tokens_m"), 1e6),
    ],
)
def test_tokens_counted_in_thousands_by_their_name_are_tokens(names, each):
    """45 thousand tokens of 50 requests are 900 each, not one."""
    rows = [
        f"2026-03-30T{hour:02}:00:00Z,{50 + hour},{900 * (50 + hour) / each},"
        f"{200 * (50 + hour) / each}"
        for hour in range(24)
    ]
    header = ",".join(("timestamp", "requests", *(f'"{name}"' for name in names)))
    trace = read_trace("\n".join((header, *rows)).encode())
    assert trace.arrival_s.size == sum(range(50, 74))
    assert np.all(trace.prompt_tokens == 900)
    assert np.all(trace.output_tokens == 200)
    assert sum(f"{each:,.0f} tokens, by its name" in said for said in trace.report.assumed) == 2


def _hours(*cells, header="timestamp,requests,prompt_tokens,completion_tokens"):
    rows = [f"2026-03-30T{n:02}:00:00Z,50,{cells[n % len(cells)]}" for n in range(24)]
    return "\n".join((header, *rows)).encode()


def test_tokens_as_a_panel_writes_them_are_read():
    """45.9k and 10.2 K of 50 requests are 918 and 204 each, not the assumed ones."""
    trace = read_trace(_hours("45.9k,10.2 K"), bucket_tokens="sum")
    assert set(trace.prompt_tokens) == {918}
    assert set(trace.output_tokens) == {204}


def test_tokens_that_are_none_are_said_or_refused():
    """Words for tokens: no silent 1,000; a few are counted, and the others stand for them."""
    with pytest.raises(InputError, match="24 of 24 cells of 'prompt_tokens' are no tokens"):
        read_trace(_hours("lots,10000"))
    few = _hours("45000,10000").replace(b"45000", b"lots", 1)
    trace = read_trace(few, bucket_tokens="sum")
    assert set(trace.prompt_tokens) == {900}
    assert "1 of 24 cells of 'prompt_tokens' are no tokens, the first is 'lots'." in (
        trace.report.notes
    )


def test_hours_in_a_column_of_their_own_are_not_left_out():
    """Numbers of days and hours apart would be read as days; a time beside its hour is read."""
    rows = [f"{46082 + n // 24},{n % 24},50" for n in range(72)]
    with pytest.raises(InputError, match=r"'hour'. Put 'date' and 'hour' into one column"):
        read_trace("\n".join(("date,hour,requests", *rows)).encode())
    rows = [f"2026-03-{1 + n // 24:02} {n % 24:02}:00,{n % 24},50,45000" for n in range(72)]
    header = "timestamp,hour,requests,prompt_tokens"
    trace = read_trace("\n".join((header, *rows)).encode(), bucket_tokens="sum")
    assert (trace.arrival_s.size, trace.report.bucket_s) == (3600, 3600)
