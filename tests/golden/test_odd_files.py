"""Files as people put them together: read right, or named for what they are."""

from __future__ import annotations

import gzip
import io
import json
import tarfile

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import feather, parquet

from frontier.boundary import check_text
from frontier.errors import InputError
from frontier.plans.scenario import context_of
from frontier.tables import load_tables
from frontier.trace import TraceQuestion, UnknownFormat, read_trace

NAMES = ("timestamp", "prompt_tokens", "output_tokens")
HEADER = ",".join(NAMES)
TIMES = [f"2026-03-02T10:{at // 60:02}:{at % 60:02}Z" for at in (0, 10, 25, 60, 100, 180)]
ROWS = [(time, 100 * n, 10 * n) for n, time in enumerate(TIMES, 1)]
LINES = [f"{time},{prompt},{output}" for time, prompt, output in ROWS]
RECORDS = [dict(zip(NAMES, row, strict=True)) for row in ROWS]


def _csv(lines, header=HEADER):
    return "\n".join((header, *lines, "")).encode()


def _read(content, **told):
    trace = read_trace(content.encode() if isinstance(content, str) else content, **told)
    held = sum(trace.report.dropped.values())
    assert trace.report.rows_read == trace.report.kept + held
    return trace


@pytest.mark.parametrize(
    "content",
    [
        "\n".join(json.dumps(record, indent=2) for record in RECORDS),
        "".join(json.dumps(record) for record in RECORDS),
        ",\n".join(json.dumps(record) for record in RECORDS),
        "".join(f"\x1e{json.dumps(record)}\n" for record in RECORDS),
        "\n".join((json.dumps(RECORDS[:2]), json.dumps(RECORDS[2:]))),
        json.dumps({name: [record[name] for record in RECORDS] for name in NAMES}),
        json.dumps({"columns": NAMES, "index": list(range(6)), "data": ROWS}),
        json.dumps({str(n): record for n, record in enumerate(RECORDS)}),
        json.dumps({name: {str(n): row[name] for n, row in enumerate(RECORDS)} for name in NAMES}),
        json.dumps([NAMES, *ROWS]),
    ],
    ids=["jq", "no line ends", "commas", "RFC 7464", "two lists", "columns", "split", "index",
         "by column", "lists"],
)  # fmt: skip
def test_json_is_read_however_the_table_was_written(content):
    """Documents one after the other, and tables by columns or rows as pandas writes them."""
    trace = _read(content)
    assert trace.prompt_tokens.tolist() == [100 * n for n in range(1, 7)]
    assert trace.output_tokens.tolist() == [10 * n for n in range(1, 7)]
    assert trace.span_s == 180


@pytest.mark.parametrize(
    "document",
    [
        {"a": [1, 2], "b": [3]},
        {"0": {"x": 1}, "1": {"y": 1}},
        {"first": {"x": 1}, "second": {"x": 2}},
        [[1, 2], [3, 4]],
        [["a", "b"], [1]],
        {"columns": ["a", "b"], "data": [[[1], 2]]},
        {"columns": [], "data": []},
        [[]],
        {"a": {}, "b": {}},
    ],
)
def test_what_is_no_table_of_one_shape_is_not_read_as_one(document):
    """Lists of other lengths, other keys in each row, rows without names."""
    with pytest.raises(InputError):
        _read(json.dumps(document))


def test_files_put_one_after_the_other_are_read_and_their_headers_counted():
    """What repeats the header is no request with a bad time, and is counted."""
    trace = _read(_csv([*LINES[:3], HEADER, *LINES[3:], "\ufeff" + HEADER]))
    assert trace.report.dropped == {"rows that repeat the header": 2}
    assert trace.prompt_tokens.sum() == 2100


@pytest.mark.parametrize("header", ["timestamp,output_tokens,prompt_tokens",
                                    "prompt_tokens,timestamp,output_tokens"])  # fmt: skip
def test_a_header_in_another_order_below_is_refused(header):
    """Prompts would be answers from there on, however many rows surround it."""
    with pytest.raises(InputError, match=r"Row 302 is a header again, with its columns in another"):
        _read(_csv([*LINES * 50, header, *LINES]))


@pytest.mark.parametrize("name", ["timestamp", "prompt_tokens"])
def test_which_of_two_columns_of_one_name_is_meant_is_asked(name):
    """The first is not taken without a word; whoever says which one is believed."""
    content = _csv([f"{line},7" for line in LINES], f"{HEADER},{name}")
    with pytest.raises(UnknownFormat, match=f"several columns named '{name}'"):
        _read(content)
    told = dict(zip(("time", "prompt_tokens", "output_tokens"), NAMES, strict=True))
    assert _read(content, columns=told).prompt_tokens.sum() == 2100
    assert _read(_csv([f"{line},7,8" for line in LINES], f"{HEADER},x,x")).span_s == 180


def test_columns_that_differ_in_case_alone_are_asked_about():
    """Prompt_Tokens beside prompt_tokens: neither is taken without a word."""
    content = _csv([f"{line},7" for line in LINES], f"{HEADER},Prompt-Tokens")
    with pytest.raises(UnknownFormat, match="the columns prompt_tokens, Prompt-Tokens"):
        _read(content)


def test_times_of_whole_hours_are_said_to_be_so():
    """Requests of an hour arrive at once in such a file, whatever they did."""
    hours = [f"2026-03-02T{hour:02}:00:00Z,100,10" for hour in (0, 1, 1, 2, 5, 9, 9, 20)]
    assert any("multiple of 1 h: requests" in note for note in _read(_csv(hours)).report.notes)
    apart = _read(_csv(sorted(set(hours))))
    assert not any("multiple of" in note for note in apart.report.notes)


@pytest.mark.parametrize("digits", ["20260302", "202603021000", "20260302100000"])
def test_dates_written_as_one_number_are_no_seconds(digits):
    """20260302100310 would lie 41 s after 20260302100259; a unit that is told is believed."""
    numbers = [int(digits) + n for n in (0, 1, 3)]
    content = _csv([f"{number},100,10" for number in numbers])
    with pytest.raises(InputError, match=f"such as {digits}, look like dates .* .2026-03-02 "):
        _read(content)
    assert _read(content, time_unit="s").span_s == 3
    assert _read(_csv(["20269902,1,1", "20269903,1,1"])).span_s == 1


@pytest.mark.parametrize("offset", ["+99:99", "+16:00", "-05:60", "+2500"])
def test_an_offset_of_no_place_makes_no_time(offset):
    """Arrow takes +99:99 and moves the request by four days."""
    content = _csv([line.replace("Z", offset) for line in LINES])
    with pytest.raises(InputError, match=r"Row 2: '2026-03-02T10:00:00.* is not a time"):
        _read(content)
    far = _read(_csv([line.replace("Z", "+14:00") for line in LINES]))
    assert far.t0_utc.hour == 20


@pytest.mark.parametrize("blank", [" ", "\u00a0", "\u202f", "'", "’"])
def test_thousands_may_be_set_apart_by_blanks_and_apostrophes(blank):
    """1 000 as French and Swiss spreadsheets have it is 1,000."""
    assert _read(_csv([f"{time},1{blank}000,10" for time in TIMES])).prompt_tokens.sum() == 6000


@pytest.mark.parametrize("moment", [2**62, -(2**62)])
def test_a_moment_beyond_every_calendar_is_named(moment):
    """Parquet holds years that Python cannot write: the row is named all the same."""
    cells = pa.array([moment, 1_772_445_600_000], pa.timestamp("ms"))
    out = io.BytesIO()
    parquet.write_table(pa.table({NAMES[0]: cells, NAMES[1]: [1, 2], NAMES[2]: [3, 4]}), out)
    with pytest.raises(InputError, match=r"Row 1: .* is not a time"):
        _read(out.getvalue())


def _tar():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        held = tarfile.TarInfo("a.csv")
        held.size = 5
        archive.addfile(held, io.BytesIO(b"a,b\n1"))
    return out.getvalue()


def _feather():
    out = io.BytesIO()
    feather.write_feather(pa.table({"a": [1]}), out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (_tar(), "a tar archive"),
        (_feather(), "an Arrow or Feather file"),
        (b"PARE" + b"x" * 50 + b"PARE", "an encrypted Parquet file"),
        (b"Obj\x01\x04\x14avro.codec", "an Avro file"),
        (b"\x04\x22\x4d\x18abc", "compressed with lz4"),
        (b"\x89PNG\r\n\x1a\n" + bytes(60), "a picture"),
        (b"PK\x03\x04" + bytes(60), "a zip archive or a spreadsheet"),
    ],
    ids=lambda held: held.removeprefix("a ") if isinstance(held, str) else "",
)
def test_what_is_no_text_is_named_by_every_reader(content, what):
    """By its first bytes, packed in gzip too; sheets and logs say the same."""
    for packed in (content, gzip.compress(content, mtime=0)):
        with pytest.raises(InputError, match=f"The file is {what}"):
            _read(packed)
    with pytest.raises(InputError, match=f"A bill must be CSV text; this file is {what}"):
        check_text(content, "A bill must be CSV text")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (_csv(LINES).decode().encode("cp037"), "The first line is no text"),
        (HEADER.encode(), "a header but no requests"),
        (b"Export of requests\nMade today\n" + _csv(LINES).partition(b"\n")[2],
         "first line has 1 cell and the rows below it have 3"),
        (b'[{"timestamp": ' + b"1" * 5000 + b"}]", "more than 4,300 digits"),
        (_csv([f"{time},1.2k,10" for time in TIMES]), r"Row 2: prompt tokens '1\.2k'"),
        (b"a,b\0" + bytes(300), "not text .byte 4 of it is 0"),
    ],
    ids=["EBCDIC", "header alone", "title", "digits", "example", "zeros"],
)  # fmt: skip
def test_a_refusal_names_what_was_found_and_where(content, says):
    """One sentence from which the file can be mended."""
    with pytest.raises(InputError, match=says):
        _read(content)


def test_a_header_with_umlauts_in_an_old_encoding_is_still_read():
    """A letter or two that are lost do not make a header unreadable."""
    content = _csv([f"{line},x" for line in LINES], f"{HEADER},Größe")
    assert _read(content.decode().encode("cp1252")).span_s == 180


def test_no_sequence_holds_more_than_the_context():
    """One prompt of 2³¹ − 1 tokens beside short ones counts as one context, and no more."""
    tables = load_tables()
    model = tables.models["Llama-3.1-8B-Instruct"]
    rows = [f"{at * 30},{2**31 - 1 if at == 77 else 500},100\n" for at in range(3000)]
    trace = read_trace(("timestamp,prompt_tokens,output_tokens\n" + "".join(rows)).encode())
    assert context_of(trace, model) == pytest.approx(550 + (model.max_context_tokens - 550) / 3000)


# --- Siblings of what people post, each with its right answer known by construction ---------------


@pytest.mark.parametrize(
    "write",
    [
        "Mon Mar 30 2026 0{n}:00:05 GMT+0000 (Coordinated Universal Time)",
        "Mon Mar 30 2026 1{n}:00:05 GMT+1000 (Australian Eastern Standard Time)",
        "Mar 30, 2026 @ 0{n}:00:05.000",
        "2026-03-30 1{n}:00:05 GMT+10",
        "2026-03-30 0{n}:00:05 UTC+0",
        "2026年03月30日 0{n}:00:05",
        "2026年3月30日0{n}:00:05",
    ],
)
def test_dates_of_browsers_kibana_and_east_asia_are_read(write):
    """Three requests an hour apart, the first at 00:00:05 UTC of 30 March."""
    rows = "".join(f'"{write.format(n=n)}",100,50\n' for n in range(3))
    trace = read_trace(f"timestamp,prompt_tokens,output_tokens\n{rows}".encode())
    assert np.array_equal(trace.arrival_s, [0, 3600, 7200])
    assert trace.t0_utc.isoformat() == "2026-03-30T00:00:05+00:00"


@pytest.mark.parametrize(
    ("write", "says"),
    [
        ("0{n}:00:05", "has no date. Put date and time into one column"),
        ("2026-03-30 0{n}:00:05 XYZT", r"name of the zone is not known: write UTC, .*\+02:00"),
    ],
)
def test_a_time_that_lacks_something_says_what(write, says):
    """A clock without its date, and a zone of which only the letters are told."""
    rows = "".join(f"{write.format(n=n)},100,50\n" for n in range(3))
    with pytest.raises(InputError, match=says):
        read_trace(f"timestamp,prompt_tokens,output_tokens\n{rows}".encode())


def test_columns_chosen_by_hand_count_what_a_cache_held():
    """Anthropic's input_tokens are those outside of its cache, whoever chose the column."""
    rows = [
        {
            "ts": f"2026-03-30T0{n}:00:00Z",
            "usage": {
                "input_tokens": 10,
                "cache_read_input_tokens": 900,
                "cache_creation_input_tokens": 90,
                "output_tokens": 5,
            },
        }
        for n in range(3)
    ]
    content = "\n".join(map(json.dumps, rows)).encode()
    with pytest.raises(UnknownFormat) as asked:
        read_trace(content)
    trace = read_trace(content, columns=asked.value.suggested)
    assert trace.prompt_tokens.tolist() == [1000] * 3


@pytest.mark.parametrize(
    ("prompt", "output"),
    [
        ("prompt_eval_count", "eval_count"),
        ("usageMetadata.promptTokenCount", "usageMetadata.candidatesTokenCount"),
        ("tokens_entrada", "tokens_salida"),
        ("输入tokens", "输出tokens"),
    ],
)
def test_the_form_suggests_the_tokens_of_other_vendors_and_languages(prompt, output):
    """Ollama, Gemini, Spanish, Chinese: what is suggested is read as it is."""
    rows = "".join(f"2026-03-30 0{n}:00:05Z,100,50\n" for n in range(3))
    content = f"created_at,{prompt},{output}\n{rows}".encode()
    with pytest.raises(UnknownFormat) as asked:
        read_trace(content)
    trace = read_trace(content, columns=asked.value.suggested)
    assert (trace.prompt_tokens.sum(), trace.output_tokens.sum()) == (300, 150)


def test_sums_of_a_day_are_no_requests_even_where_they_are_few():
    """Ten days of half a million tokens each, chosen by hand: asked, not taken for ten requests."""
    rows = "".join(f"2026-03-{n + 1:02}T00:00:00Z,{500_000 + n},20000\n" for n in range(10))
    chosen = {"time": "day_of", "prompt_tokens": "a", "output_tokens": "b"}
    with pytest.raises(TraceQuestion, match=r"24 h apart.*Is each row one request"):
        read_trace(f"day_of,a,b\n{rows}".encode(), columns=chosen)


def test_tokens_in_all_of_each_request_are_no_counter():
    """Uneven times: a request a row, and the form asks; even ones: a count of tokens, refused."""
    uneven = "".join(f"2026-03-30T02:00:{s:02}Z,{100 + s}\n" for s in (0, 7, 9, 31, 40))
    with pytest.raises(UnknownFormat) as asked:
        read_trace(f"timestamp,total_tokens\n{uneven}".encode())
    assert asked.value.suggested == {"time": "timestamp"}
    even = "".join(f"2026-03-30T02:{m:02}:00Z,{100 + m}\n" for m in range(10))
    with pytest.raises(InputError, match="'total_tokens' is a count of tokens"):
        read_trace(f"timestamp,total_tokens\n{even}".encode())


def test_an_answer_of_tempo_holds_spans():
    """Its batches are the resourceSpans of OTLP under another name."""
    told = {"gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 50}
    attributes = [{"key": key, "value": {"intValue": value}} for key, value in told.items()]
    spans = [
        {"spanId": f"s{n}", "startTimeUnixNano": str((1_774_836_000 + 60 * n) * 10**9),
         "endTimeUnixNano": str((1_774_836_001 + 60 * n) * 10**9), "attributes": attributes}
        for n in range(3)
    ]  # fmt: skip
    content = json.dumps({"batches": [{"scopeSpans": [{"spans": spans}]}]}).encode()
    trace = read_trace(content)
    assert trace.prompt_tokens.tolist() == [100] * 3
    assert np.array_equal(trace.arrival_s, [0, 60, 120])
