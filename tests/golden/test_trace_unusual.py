"""Files as programs, panels and spreadsheets write them: what is in them, or a sentence."""

from __future__ import annotations

import datetime as dt
import json
import math
import warnings

import numpy as np
import pytest

from frontier.errors import InputError
from frontier.spell import significant
from frontier.trace import TraceQuestion, UnknownFormat, read_trace

BEGIN = dt.datetime(2026, 3, 30, 2, 0, 5, tzinfo=dt.UTC)
REQUESTS = [(BEGIN + dt.timedelta(seconds=61.5 * n), 100 + 37 * n, 5 + n) for n in range(20)]
NAMES = ("timestamp", "prompt_tokens", "output_tokens")
HEADER = ",".join(NAMES)


def iso(time):
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def rows(form="{0},{1},{2}"):
    return "".join(f"{form.format(iso(t), p, o, n)}\n" for n, (t, p, o) in enumerate(REQUESTS, 1))


CELLS = [[iso(t), p, o] for t, p, o in REQUESTS]
RECORDS = [dict(zip(NAMES, cells, strict=True)) for cells in CELLS]
COLUMNS = [{"name": name, "type": "String"} for name in NAMES]

UNUSUAL = {
    "a separator behind each row": f"{HEADER}\n{rows('{0},{1},{2},')}",
    "numbers of rows, without a name": f"{HEADER}\n{rows('{3},{0},{1},{2}')}",
    "a title": f"Usage report\nFrom,2026-03-01\n\n{HEADER}\n{rows()}",
    "a title with empty cells": f"Usage report,,\nFrom,2026-03-01,\n{HEADER}\n{rows()}",
    "ClickHouse": json.dumps({"meta": COLUMNS, "data": RECORDS, "rows": 20}),
    "ClickHouse, compact": json.dumps({"meta": COLUMNS, "data": CELLS, "rows": 20}),
    "pandas": json.dumps({"schema": {"fields": COLUMNS}, "data": RECORDS}),
    "MongoDB": "\n".join(
        json.dumps({"timestamp": {"$date": {"$numberLong": str(round(t.timestamp() * 1000))}},
                    "prompt_tokens": {"$numberInt": str(p)}, "output_tokens": o})
        for t, p, o in REQUESTS
    ),
    "DynamoDB": json.dumps(
        {"Items": [{"timestamp": {"S": t}, "prompt_tokens": {"N": str(p)},
                    "output_tokens": {"N": str(o)}} for t, p, o in CELLS]}
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", UNUSUAL)
def test_a_file_as_programs_write_it_gives_its_requests(name):
    """Titles, types of columns and of cells, and cells that need no name change no request."""
    trace = read_trace(UNUSUAL[name].encode())
    assert trace.t0_utc == BEGIN
    assert trace.arrival_s == pytest.approx([61.5 * n for n in range(20)])
    assert trace.prompt_tokens.tolist() == [p for _, p, _ in REQUESTS]
    assert trace.output_tokens.tolist() == [o for _, _, o in REQUESTS]
    assert trace.report.dropped == {}
    titled = [note for note in trace.report.notes if "above the names of columns left out" in note]
    assert bool(titled) == name.startswith("a title")


def test_rules_of_a_printed_table_are_no_rows_that_are_lost_in_silence():
    """MySQL draws lines around a table: the one above is none of it, those below are counted."""
    rule = "+------+----+----+\n"
    printed = f"{rule}| {' | '.join(NAMES)} |\n{rule}{rows('| {0} | {1} | {2} |')}{rule}"
    trace = read_trace(printed.encode(), losses="accept")
    assert trace.prompt_tokens.tolist() == [p for _, p, _ in REQUESTS]
    assert sum(trace.report.dropped.values()) == 2


@pytest.mark.parametrize(
    "above", ["x,y\n", "1,2\n", "", '{"a": 1}\n'], ids=["words", "numbers", "none", "JSON"]
)
def test_no_row_is_taken_for_names_below_a_title(above):
    """A first line with a cell too few stands, where the line below it holds values."""
    with pytest.raises(InputError):
        read_trace(f"{above}{rows()}".encode())


def test_a_panel_of_logs_says_what_it_is():
    """Loki's answer is no range of Prometheus that was asked for at one moment."""
    lines = [[str(n * 10**9), "{}"] for n in range(3)]
    result = {"resultType": "streams", "result": [{"stream": {}, "values": lines}]}
    answer = {"status": "success", "data": result}
    with pytest.raises(InputError, match="Loki: lines of a log"):
        read_trace(json.dumps(answer).encode())


# --- Tokens that are no requests ----------------------------------------------------------------


def panel(*columns, cell="{:.2f}"):
    """Return a panel of two hours by the minute, each column with numbers of its own."""
    lines = ["Time," + ",".join(f'"{name}"' for name in columns)]
    for n in range(120):
        cells = (cell.format(500 + (n * (37 + 10 * at)) % 400) for at, _ in enumerate(columns))
        lines.append(f"{BEGIN + dt.timedelta(minutes=n):%Y-%m-%d %H:%M:%S},{','.join(cells)}")
    return "\n".join(lines).encode()


@pytest.mark.parametrize(
    "columns",
    [
        ("tokens/s",), ("tok/s",), ("Prompt tokens/s",), ("Throughput (tok/s)",),
        ("Token throughput",), ("Generation throughput",), ("generation",), ("TPS",),
        ("output tok/s per GPU",), ("sglang:gen_throughput",), ("kTok/s",), ("tokens",),
        ("vllm:generation_tokens_total",), ("sum(rate(vllm:prompt_tokens_total[5m]))",),
        ("Prompt Tokens/Sec", "Generation Tokens/Sec"), ("llama tok/s", "qwen tok/s"),
        ("rate(vllm:prompt_tokens_total[1m])", "rate(vllm:generation_tokens_total[1m])"),
    ],
    ids=" and ".join,
)  # fmt: skip
def test_a_panel_of_tokens_counts_no_requests(columns):
    """Tokens a second are refused by the name of their series, whatever else may be answered."""
    for how in ({}, {"counts": "rate"}, {"counts": "increase", "model": "all"}):
        with pytest.raises(InputError, match="Nothing in the file counts requests") as refused:
            read_trace(panel(*columns), **how)
        assert not isinstance(refused.value, TraceQuestion | UnknownFormat)


@pytest.mark.parametrize("unit", ["tok/s", "tokens/s", "K tok/s", "tps", "tokens"])
@pytest.mark.parametrize("columns", [("Value",), ("a", "b")])
def test_cells_with_tokens_for_their_unit_count_no_requests(unit, columns):
    """Where the name tells nothing, the unit behind the numbers does."""
    with pytest.raises(InputError, match=rf"of tokens \('\d+.0 {unit}'\)"):
        read_trace(panel(*columns, cell=f"{{:.1f}} {unit}"))


def test_rates_of_requests_and_of_tokens_side_by_side_are_of_one_second():
    """Each bucket has the tokens of its seconds, as it has the requests of them."""
    lines = ["Time,Requests/Sec,Prompt Tokens/Sec,Generation Tokens per minute"]
    lines += [
        f"{BEGIN + dt.timedelta(minutes=n):%Y-%m-%d %H:%M:%S},0.5,450,6000" for n in range(60)
    ]
    trace = read_trace("\n".join(lines).encode())
    assert trace.arrival_s.size == 1800
    assert set(trace.prompt_tokens.tolist()) == {900}
    assert set(trace.output_tokens.tolist()) == {200}


# --- Numbers that cannot be ---------------------------------------------------------------------


def hourly(header, cell, bad):
    """Return two days of 100 requests an hour of 900 and 200 tokens; ``bad`` in one hour or all."""
    lines = [header]
    for n in range(48):
        tokens = cell if bad == "all" or n == 7 else 90_000
        lines.append(f"{BEGIN.replace(second=0) + dt.timedelta(hours=n):%Y-%m-%dT%H:%M:%SZ},"
                     f"100,{tokens},20000")  # fmt: skip
    return "\n".join(lines).encode()


OWN = "bucket_start,requests,prompt_tokens_sum,output_tokens_sum"
ANY = "time,requests,prompt_tokens,output_tokens"


@pytest.mark.parametrize("header", [OWN, ANY])
@pytest.mark.parametrize("cell", ["inf", "abc", "1e300", "1e20", "-5"])
def test_tokens_that_are_none_in_every_row_are_refused(header, cell):
    """Neither no tokens nor the usual ones take their place."""
    with pytest.raises(InputError):
        read_trace(hourly(header, cell, "all"), bucket_tokens="sum")


@pytest.mark.parametrize("cell", ["inf", "abc", "", "-5"])
def test_tokens_that_are_none_in_one_row_of_our_own_table_are_those_of_the_others(cell):
    """One hour of 48 cannot be read: it has the others' tokens, not none, and it is said."""
    trace = read_trace(hourly(OWN, cell, "one"))
    assert set(trace.prompt_tokens.tolist()) == {900}
    assert any("1 bucket without a 'prompt_tokens_sum' that can be read" in text
               for text in trace.report.assumed)  # fmt: skip


def test_a_row_that_cannot_be_read_is_no_hour_without_traffic():
    """Its requests are those around it, as in a series of a metrics system."""
    lines = hourly(ANY, "90000", "one").decode().splitlines()
    for bad in ("lots", "-3", "inf"):
        lines[8] = lines[8].split(",")[0] + f",{bad},90000,20000"
        trace = read_trace("\n".join(lines).encode(), bucket_tokens="sum")
        hour = np.floor((trace.arrival_s + (trace.t0_utc - BEGIN).total_seconds() + 5) / 3600)
        assert np.bincount(hour.astype(int)).tolist() == [100] * 48
        assert sum(trace.report.dropped.values()) == 1


def test_more_tokens_than_any_context_holds_are_refused_by_their_bucket():
    """Twenty million tokens a request are of another unit or of other requests."""
    with pytest.raises(InputError, match=r"100 requests of bucket 8 have 20,000,000 prompt tokens"):
        read_trace(hourly(OWN, "2000000000", "one"))


def test_a_step_too_small_to_divide_by_is_refused_in_a_sentence():
    """Times that are closer than any clock tells, and one a day later."""
    times = [*(f"{5 * step}e-324" for step in range(12)), "86400"]
    content = "bucket_start,requests\n" + "".join(f"{time},5\n" for time in times)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError, match=r"apart|evenly"):
            read_trace(content.encode(), time_unit="s")


def test_a_number_that_nobody_can_read_is_written_short():
    """Three hundred digits are no sentence."""
    assert significant(1.234e300) == "1.23e300"
    assert significant(-math.inf) == "−∞"
    assert significant(-4e18) == "−4.00e18"
    assert significant(123_456_000_000.0) == "123,000,000,000"
