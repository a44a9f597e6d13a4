"""Whatever a file holds, its reader answers with a sentence: one boundary, and limits before it."""

from __future__ import annotations

import ast
import datetime as dt
import gzip
import importlib
import io
import json
import math
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from frontier import boundary
from frontier.boundary import UnexpectedInput, reads, shown
from frontier.edits import read_scenario
from frontier.errors import InputError
from frontier.models.own import model_of_link
from frontier.prices.upload import read_prices
from frontier.tables import load_tables
from frontier.trace import TraceQuestion, apart, read_trace

ROOT = Path(__file__).resolve().parents[2] / "frontier"
HEADER = b"timestamp,prompt_tokens,output_tokens\n"
# Takes what another reader has opened and bounded.
INSIDE = {"records", "decoded", "decode", "read_sheet", "open_table", "check_text", "not_text",
          "opened", "refuse_no_text", "parquet_table"}  # fmt: skip
TAKES_BYTES = ("bytes", "Source", "BinaryIO")
SHARED = ROOT.parent / ".." / "shared" / "cases" / "hostile"


def _public_readers():
    """Give module and name of each public function that takes the bytes of a file."""
    for path in sorted(ROOT.rglob("*.py")):
        where = path.relative_to(ROOT.parent)
        if where.parts[1] in ("pages", "refresh") or path.stem.startswith("cli"):
            continue
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if not isinstance(node, ast.FunctionDef) or node.name.startswith("_"):
                continue
            kinds = [ast.unparse(a.annotation) for a in node.args.args[:1] if a.annotation]
            if any(word in kind.split(" | ") for kind in kinds for word in TAKES_BYTES):
                yield ".".join(where.with_suffix("").parts), node.name


READERS = sorted({reader for reader in _public_readers() if reader[1] not in INSIDE})


@pytest.mark.parametrize(("module", "name"), READERS)
def test_every_reader_of_a_file_stands_behind_the_boundary(module, name):
    """A function that takes the bytes of a file is decorated with `reads`."""
    importlib.import_module(module)
    if (module, name) != ("frontier.explain.terms", "reference"):  # a row of data/sources.csv
        assert f"{module}.{name}" in boundary.READERS


def test_links_and_typed_texts_stand_behind_the_boundary():
    """What a link or the command line brings as text goes through the boundary as well."""
    importlib.import_module("frontier.prices.owned")
    assert {"frontier.models.own.model_of_link", "frontier.prices.owned.owned_from_text"} <= set(
        boundary.READERS
    )


@pytest.mark.parametrize(
    "error",
    [
        pa.ArrowInvalid("x"), pa.ArrowKeyError("x"), pa.ArrowNotImplementedError("x"),
        UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"),
        OverflowError(), ZeroDivisionError(), RecursionError(), MemoryError(), StopIteration(),
        EOFError(), KeyError("a\x1b[2J"), IndexError(), ValueError("\n\n"), OSError(5, "x" * 9999),
        np.exceptions.DTypePromotionError(),
    ],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_any_error_becomes_a_sentence_of_printable_text(error):
    """An error of any kind is an `InputError` that names what was read, bounded and printable."""

    @reads("The thing")
    def broken():
        raise error

    with pytest.raises(InputError, match=r"^The thing ") as caught:
        broken()
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


def test_a_call_with_wrong_arguments_is_no_input():
    """What is wrong in the code itself stays a TypeError and is not said to be in the file."""
    with pytest.raises(TypeError):
        read_scenario(b"{}")
    with pytest.raises(TypeError):
        read_trace(b"", no_such_argument=1)


def test_a_generator_that_ends_early_is_a_sentence():
    """StopIteration inside a generator, which Python makes a RuntimeError, is refused in words."""

    @reads("The thing")
    def broken():
        return list(next(iter(())) for _ in range(2))

    with pytest.raises(UnexpectedInput):
        broken()


def test_text_that_is_shown_is_bounded_and_has_no_control_characters():
    """Control characters and half characters become a mark; a long text is cut."""
    assert shown("a\x1b\ud800\u202eb") == "a���b"
    assert len(shown("x" * 10**6)) <= 2000


# --- What a trace may hold ----------------------------------------------------------------------


def _csv(*rows):
    return HEADER + b"".join(row + b"\n" for row in rows)


def _parquet(table, **how):
    out = io.BytesIO()
    parquet.write_table(table, out, **how)
    return out.getvalue()


MINUTES = [f"2026-03-02T{m // 60:02}:{m % 60:02}:00Z,10,10".encode() for m in range(1440)]


@pytest.mark.parametrize(
    ("odd", "where", "kept_by"),
    [(b"1970-01-01T00:00:00Z,1,1", 0, "after"), (b"2036-05-01T00:00:00Z,1,1", 1440, "before")],
)
def test_a_row_decades_away_is_asked_about_by_its_number(odd, where, kept_by):
    """One row far from a day of traffic: a question names it, its answer counts it."""
    rows = [*MINUTES[:where], odd, *MINUTES[where:]]
    with pytest.raises(TraceQuestion, match=rf"^Row {where + 2:,} ") as asked:
        read_trace(_csv(*rows))
    assert asked.value.parameter == "far_rows"
    assert asked.value.choices[0][0] == kept_by
    trace = read_trace(_csv(*rows), far_rows=kept_by)
    assert trace.report.kept == 1440
    assert trace.report.rows_read == 1441 == 1440 + sum(trace.report.dropped.values())
    assert trace.span_s == 1439 * 60
    with pytest.raises(InputError, match=r"span .* years"):
        read_trace(_csv(*rows), far_rows="keep")


@pytest.mark.parametrize("where", [0, 700], ids=["first", "among the others"])
@pytest.mark.parametrize("per_s", [1, 1000, 1e6], ids=["s", "ms", "us"])
def test_a_row_of_time_0_takes_no_date_and_no_unit_from_the_others(where, per_s):
    """Beside dates as numbers, one 0 is asked about; without it they are what they always were."""
    times = [int((1_772_409_600 + 60 * minute) * per_s) for minute in range(1440)]
    alone = read_trace(_csv(*(b"%d,10,10" % at for at in times)))
    rows = [b"%d,10,10" % at for at in (*times[:where], 0, *times[where:])]
    with pytest.raises(TraceQuestion, match=rf"^Row {where + 2:,} \(1970-01-01\) lies 20,500 days"):
        read_trace(_csv(*rows))
    trace = read_trace(_csv(*rows), far_rows="after")
    assert trace.t0_utc == alone.t0_utc == dt.datetime(2026, 3, 2, tzinfo=dt.UTC)
    assert trace.report.time_unit == alone.report.time_unit
    np.testing.assert_array_equal(trace.arrival_s, alone.arrival_s)


def test_small_numbers_stay_times_after_the_first():
    """An hour in microseconds, evenly from 0 on, looks like seconds since 1970 and is none."""
    rows = [b"%d,10,10" % (at * 3_000_000) for at in range(1200)]
    with pytest.raises(InputError, match="span 114 years"):
        read_trace(_csv(*rows))
    trace = read_trace(_csv(*rows), time_unit="us")
    assert trace.t0_utc is None
    assert trace.span_s == 1199 * 3


def test_a_pause_of_two_months_may_be_kept():
    """A gap that is only long is asked about, and kept if that is the answer."""
    rows = [b"2026-01-01T00:00:00Z,1,1", b"2026-01-02T00:00:00Z,1,1", b"2026-03-05T00:00:00Z,1,1",
            b"2026-03-06T00:00:00Z,1,1"]  # fmt: skip
    with pytest.raises(TraceQuestion):
        read_trace(_csv(*rows))
    assert read_trace(_csv(*rows), far_rows="keep").report.kept == 4


def test_counts_over_decades_are_refused():
    """A table of hourly counts with one row of 1970 is no trace of decades."""
    rows = b"".join(b"2026-03-02T%02d:00:00Z,7\n" % hour for hour in range(24))
    with pytest.raises(InputError):
        read_trace(b"time,requests\n1970-01-01T00:00:00Z,7\n" + rows, rows_are="buckets")


@pytest.mark.parametrize("mark", ["\x0c", "\x0b", "\x1c", "\x1e", "\x85", "\u2028", "\u2029"])
def test_no_mark_above_or_in_the_header_costs_a_row(mark):
    """Marks that some count as the end of a line lose no row, wherever they stand."""
    rows = "0.5,1,1\n1.5,1,1\n2.5,1,1\n"
    for text in (
        f"{mark}timestamp,prompt_tokens,output_tokens\n{rows}",
        f"timestamp,prompt_tokens,output_tokens{mark}\n{rows}",
        f"# a{mark}b\ntimestamp,prompt_tokens,output_tokens\n{rows}",
    ):
        try:
            report = read_trace(text.encode()).report
        except InputError:
            continue
        assert report.rows_read == 3


@pytest.mark.parametrize(
    "lost", [1, "x", None, [], [1, 2]], ids=["number", "text", "null", "list", "pair"]
)
def test_items_that_are_no_records_are_counted(lost):
    """An item of a list of requests that is no record is lost with a count, or refused."""
    good = [{"timestamp": 1.5 + n, "prompt_tokens": 1, "output_tokens": 1} for n in range(60)]
    spans = [{"requests": [*good, lost], "id": "a"}]
    for document in ([*good, lost], {"data": [*good, lost]}, spans):
        try:
            report = read_trace(json.dumps(document).encode(), time_unit="s").report
        except InputError:
            continue
        assert report.rows_read == 61 or lost in ([], [1, 2])
        assert report.rows_read == report.kept + sum(report.dropped.values())


def test_samples_that_are_no_pairs_are_counted():
    """A sample of a Prometheus answer that is no pair is read as one that cannot be used."""
    values = [[1.7e9 + 60 * n, str(5)] for n in range(60)]
    series = [{"metric": {"__name__": "http_requests"}, "values": [*values, [1.7e9], "x"]}]
    document = {"status": "success", "data": {"resultType": "matrix", "result": series}}
    report = read_trace(json.dumps(document).encode(), counts="increase").report
    assert report.rows_read == 62
    assert sum(report.dropped.values()) == 2


# --- Bombs --------------------------------------------------------------------------------------


def _zipped(begin, piece, times, end=b""):
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=1) as file:
        file.write(begin)
        for _ in range(times):
            file.write(piece)
        file.write(end)
    return out.getvalue()


def _text_bomb():
    held = pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(2000, np.int32)), pa.array(["x" * 2_000_000])
    )
    return _parquet(pa.table({"timestamp": held, "prompt_tokens": held}), compression="zstd")


def _lying_footer():
    """Return a Parquet file whose footer counts rows that are not there."""
    whole = bytearray(_parquet(pa.table({"timestamp": np.arange(70.0)}), compression="brotli"))
    size = int.from_bytes(whole[-8:-4], "little")
    begin = len(whole) - 8 - size
    footer = bytes(whole[begin:-8])
    # 70 as thrift writes it (zigzag), and a number of rows that no file of this size has.
    lying = footer.replace(b"\x8c\x01", b"\x80\xa8\xd6\xb9\x07")
    return bytes(whole[:begin]) + lying + len(lying).to_bytes(4, "little") + b"PAR1"


def _broken_histogram():
    whole = bytearray(_parquet(pa.table({"timestamp": np.arange(70.0)}), compression="zstd"))
    size = int.from_bytes(whole[-8:-4], "little")
    for at in range(len(whole) - 8 - size, len(whole) - 8, 3):
        whole[at] ^= 0x15
    return bytes(whole)


BOMBS = {
    "gzip of broken rows": lambda: _zipped(HEADER + b"0.5,1,1\n", b"x\n" * 500_000, 20),
    "gzip of broken JSON": lambda: _zipped(
        b'{"timestamp":0.5}\n{"timestamp":1.5}\n' * 200, b"x\n" * 500_000, 20
    ),
    "gzip of one long line of JSON": lambda: _zipped(
        b'{"timestamp":0.5}\n{"timestamp":1.5}\n{"a":"', b"x" * 1_000_000, 100, b'"}\n'
    ),
    "gzip of one long line of CSV": lambda: _zipped(HEADER + b"0.5,1,1\n", b"x" * 1_000_000, 100),
    "gzip of one long line of a log": lambda: _zipped(
        b'1.1.1.1 - - [02/Mar/2026:02:00:00 +0000] "POST /v1/completions HTTP/1.1" 200 12\n',
        b"x" * 1_000_000, 100,
    ),
    "gzip of one open quote": lambda: _zipped(HEADER + b'0.5,"', b"1\n" * 500_000, 20),
    "gzip of zeros": lambda: _zipped(b"", bytes(1_000_000), 100),
    "gzip of spaces": lambda: _zipped(b"", b" " * 1_000_000, 100),
    "gzip of nesting": lambda: _zipped(b"", b"[" * 100_000, 10),
    "nesting": lambda: b"[" * 100_000 + b"]" * 100_000,
    "nesting of objects": lambda: b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "nesting in a line": lambda: b'{"timestamp":0.5}\n{"timestamp":1.5,"a":' + b"[" * 100_000,
    "columns of CSV": lambda: b",".join(b"c%d" % n for n in range(100_000)) + b"\n1,2\n",
    "keys of JSON": lambda: b"[{" + b",".join(b'"c%d":1' % n for n in range(300_000)) + b"}]",
    "columns of Parquet": lambda: _parquet(
        pa.table({f"c{n}": [1] for n in range(20_000)}), compression="none"
    ),
    "Parquet of one text": _text_bomb,
    "Parquet with a lying footer": _lying_footer,
    "Parquet with a broken footer": _broken_histogram,
    "series side by side": lambda: b"Time," + b",".join(b"s%d" % n for n in range(9_990))
    + b"".join(b"\n2026-03-02 02:%02d:00," % m + b",".join([b"1"] * 9_990) for m in range(30)),
    "models of a range": lambda: b'{"data":{"resultType":"matrix","result":[%s]}}' % b",".join(
        b'{"metric":{"__name__":"a_total","model_name":"m%d"},"values":[[60,"1"],[120,"2"]]}' % n
        for n in range(9_000)
    ),
    "counts of 2^53": lambda: b"time,requests\n"
    + b"".join(b"2026-03-02T%02d:%02d:00Z,9007199254740992\n" % (m // 60, m % 60)
               for m in range(1440)),
    "counts of 1e308": lambda: b"time,requests\n"
    + b"".join(b"2026-03-02T%02d:00:00Z,1e308\n" % m for m in range(24)),
}  # fmt: skip


def _child_peak_mb():
    kept = apart._POOL._kept
    status = Path(f"/proc/{kept.process.pid}/status") if kept else None
    if status is None or not status.exists():
        return 0.0
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_one_sentence_within_bounds(name):
    """A small file that unpacks to much ends in a sentence, in bounded time and memory."""
    content = BOMBS[name]()
    begun = time.thread_time()
    with pytest.raises(InputError) as caught:
        read_trace(content)
    assert str(caught.value).isprintable()
    assert time.thread_time() - begun < 5.0
    assert _child_peak_mb() < 330


_POINTS = b"a." * 40_000
_KEYED = b'{"timestamp":%d.5,"prompt_tokens":5,"output_tokens":5,"' + _POINTS * 5 + b'":1}\n'


@pytest.mark.parametrize(
    "content",
    [HEADER[:-1] + b"," + _POINTS + b"\n0.5,1,1,1\n1.5,1,1,1\n", _KEYED % 0 + _KEYED % 1],
    ids=["CSV", "JSON lines"],
)
def test_a_name_of_many_points_is_a_name_like_any_other(content):
    """Parts of names are looked at one by one: of the longest only so many."""
    begun = time.thread_time()
    assert read_trace(content).arrival_s.size == 2
    assert time.thread_time() - begun < 2.0


def _good() -> bytes:
    times = np.arange(100) + 0.5
    return _parquet(
        pa.table(
            {
                "timestamp": times,
                "prompt_tokens": times.astype(int),
                "output_tokens": 1 + times.astype(int),
            }
        )
    )


def test_a_worker_that_dies_is_a_sentence_and_the_next_file_is_read(monkeypatch):
    """The end of a worker reaches one person only: the file after it is read by another."""
    read_trace(_good())
    worker = apart._POOL._kept
    with monkeypatch.context() as broken:
        broken.setattr(apart._Worker, "_receive", lambda self, most: _kill(self))
        with pytest.raises(InputError, match="could not be read"):
            read_trace(_good())
    assert read_trace(_good()).report.kept == 100
    assert apart._POOL._kept is not worker


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(lambda data, tmp_path: data, id="bytes"),
        pytest.param(lambda data, tmp_path: io.BytesIO(data), id="an open file"),
        pytest.param(lambda data, tmp_path: _saved(data, tmp_path), id="a path"),
    ],
)
def test_a_file_that_an_earlier_one_left_no_room_for_is_read_by_a_fresh_worker(
    monkeypatch, tmp_path, given
):
    """A worker that has read before and dies says nothing about the file: another one tries it."""
    read_trace(_good())
    worker = apart._POOL._kept
    monkeypatch.setattr(worker, "_receive", lambda most: _kill(worker))
    assert read_trace(given(_good(), tmp_path)).report.kept == 100
    assert apart._POOL._kept is not worker


def _saved(data: bytes, folder: Path) -> Path:
    path = folder / "good.parquet"
    path.write_bytes(data)
    return path


def _kill(worker):
    worker.process.kill()
    raise apart._Died(worker.process.wait(), True)


def test_a_worker_gives_what_the_reader_gives():
    """A trace, and each kind of error, is the same from a worker as from this process."""
    rows = b"".join(b"%d.25,%d,%d\n" % (n, n % 7 + 1, n % 5 + 1) for n in range(500))
    apart_, here = read_trace(gzip.compress(HEADER + rows)), read_trace(HEADER + rows)
    assert apart_ == here
    assert apart_.report == here.report
    assert not apart_.arrival_s.flags.writeable
    assert apart_.report.rows_read == 500
    for text in (b"a,b\n1,2\n3,4\n", b"timestamp,x\n1,2\n1001,4\n", b"\x00\x01"):
        found = []
        for content in (text, gzip.compress(text)):
            with pytest.raises(InputError) as caught:
                read_trace(content)
            found.append((type(caught.value), str(caught.value), vars(caught.value)))
        assert found[0] == found[1]


def test_a_worker_knows_the_settings_of_the_page():
    """A changed limit holds in the worker as well."""
    content = gzip.compress(HEADER + b"".join(b"%d.5,1,1\n" % n for n in range(500)))
    with pytest.raises(InputError, match="more than 100 rows"):
        read_trace(content, max_rows=100)


@pytest.mark.parametrize("kind", ["gzip", "plain"])
def test_reading_stops_when_the_hook_raises(kind):
    """What the hook of the caller raises reaches the caller, soon, whatever is being read."""

    class Gone(Exception):
        pass

    rows = HEADER + b"".join(b"%d.5,1,1\n" % n for n in range(200_000))
    content = gzip.compress(rows, 1) if kind == "gzip" else rows

    def stop(done, total):
        raise Gone

    with pytest.raises(Gone):
        read_trace(content, progress=stop)
    assert read_trace(rows[:3000].rpartition(b"\n")[0]).report.kept > 100


def test_where_no_process_can_be_made_text_is_read_and_parquet_refused(monkeypatch):
    """Without processes CSV is read here; Parquet is refused in a sentence."""

    def none():
        raise OSError("no processes")

    monkeypatch.setattr(apart, "_POOL", apart._Pool())
    monkeypatch.setattr(apart, "_Worker", none)
    rows = HEADER + b"".join(b"%d.5,1,1\n" % n for n in range(500))
    assert read_trace(gzip.compress(rows)).report.kept == 500
    assert read_trace(io.BytesIO(gzip.compress(rows))).report.kept == 500
    with pytest.raises(InputError, match="lets none be made"):
        read_trace(_parquet(pa.table({"timestamp": np.arange(100) + 0.5})))


def test_what_a_worker_may_answer_is_a_trace_and_nothing_else():
    """The answer of a worker that went wrong cannot name any other object."""
    import pickle

    class Evil:
        def __reduce__(self):
            return os.getcwd, ()

    with pytest.raises(InputError, match="damaged"):
        apart._Answers(io.BytesIO(pickle.dumps(Evil()))).load()


def test_many_at_once_get_each_their_own():
    """Files read at the same time do not meet: each thread gets the trace of its own file."""
    contents = [
        gzip.compress(HEADER + b"".join(b"%d.5,1,1\n" % n for n in range(100 + size)))
        for size in range(8)
    ]
    kept = [0] * len(contents)

    def read(at):
        kept[at] = read_trace(contents[at]).report.kept

    threads = [threading.Thread(target=read, args=(at,)) for at in range(len(contents))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert kept == [100 + size for size in range(8)]


# --- Other readers ------------------------------------------------------------------------------


@pytest.mark.parametrize("price", ["1e307", "1e308", "inf", "1e999", "nan", "-1", "1e-300", "0"])
def test_a_price_that_no_gpu_has_is_refused(price):
    """Prices are bounded where they enter."""
    table = f"provider,gpu,price,unit\nMine,H100 SXM,{price},usd_per_gpu_hour\n".encode()
    with pytest.raises(InputError):
        read_prices(table, tables=load_tables(), today=dt.date(2026, 11, 26))


@pytest.mark.parametrize("name", ["a\x1b[2Jb", "a\ud800b", "x" * 81])
def test_names_of_a_scenario_are_short_and_printable(name):
    """A name that is too long or holds a control character is refused with its column."""
    content = json.dumps({"kind": "frontier-scenario", "format": 2, "choices": {"a": name * 50}})
    with pytest.raises(InputError):
        read_scenario(content.encode("utf-8", "surrogatepass"), load_tables())


@pytest.mark.parametrize("text", ["~" * 40, "9" * 500, "\ud800" * 20, "nan~" * 30])
def test_an_own_model_of_a_link_is_refused_in_words(text):
    """A link's own model that nobody could have written is refused."""
    with pytest.raises(InputError):
        model_of_link(text)


@pytest.mark.skipif(not SHARED.exists(), reason="the cases are not here")
@pytest.mark.parametrize("path", sorted(SHARED.glob("[A-DS]*.*")), ids=lambda path: path.name)
def test_a_known_hostile_trace_is_a_trace_or_a_sentence(path):
    """Files that were found to end, fill or escape a reader."""
    try:
        report = read_trace(path).report
    except InputError as error:
        assert type(error) is not UnexpectedInput, error  # noqa: PT017
        return
    assert report.rows_read == report.kept + sum(report.dropped.values())


def test_the_worker_imports_nothing_heavy():
    """A worker starts fast: it imports no page, no compiler, no charts."""
    code = (
        "import sys, frontier.trace.worker as w; w._warm(); "
        "print([m for m in ('streamlit', 'numba', 'scipy', 'plotly') if m in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT.parent
    )
    assert found.stdout.strip() == "[]"


_ANYWHERE = ("search", "findall", "finditer", "sub", "split", "subn")
# Each of them has begun to hold up a pattern that can take the square of a line.
_PIECES = (
    "1",
    "a",
    " ",
    '"',
    "1.",
    "1:",
    "a ",
    "a=",
    "a/",
    "[",
    "-",
    "\\",
    '\\"',
    "A",
    "1,",
    "::1",
)
_BEGINS = ("", '1.1.1.1 - - [10/Oct/2000:13:55:36 +0000] "', "2026-03-02T00:00:00Z ")
_LINE = 8192


def _patterns():
    """Give every pattern of the modules that read files, and whether it is sought anywhere."""
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        if parts[1] not in ("trace", "start", "prices", "models", "delimited"):
            continue
        source = path.read_text(encoding="utf-8")
        for name, held in vars(importlib.import_module(".".join(parts))).items():
            for item in _flat(held):
                called = "pattern" if isinstance(held, tuple) else name
                is_sought = any(f"{called}.{method}(" in source for method in _ANYWHERE)
                yield f"{path.stem}.{name}", item, is_sought


def _flat(held):
    if isinstance(held, re.Pattern):
        yield held
    elif isinstance(held, tuple):
        for item in held:
            yield from _flat(item)


def test_no_pattern_takes_more_than_a_moment_over_the_longest_line():
    """The longest line that is looked at costs any pattern milliseconds, whatever it holds."""
    slow, number = [], 0
    for name, pattern, is_sought in _patterns():
        number += 1
        for piece in _PIECES:
            for begin in _BEGINS:
                line = (begin + piece * _LINE)[:_LINE]
                line = line.encode() if isinstance(pattern.pattern, bytes) else line
                # The least of three: what others do on the same core counts here too.
                spent = 0.0
                for _ in range(3):
                    begun = time.thread_time()
                    (pattern.search if is_sought else pattern.fullmatch)(line)
                    if not is_sought:
                        pattern.match(line)
                    spent = min(spent or math.inf, time.thread_time() - begun)
                    if spent <= 0.05:
                        break
                if spent > 0.05:
                    slow.append(f"{name}: {spent:.2f} s over {piece!r} after {begin!r}")
    assert number > 100
    assert not slow, slow[:20]


# --- Compiled code ------------------------------------------------------------------------------


def _run(**changes):
    from frontier import kernel

    n = 5
    told = {
        "arrival_s": np.arange(n, dtype=float), "prefill_s": np.full(n, 0.5),
        "output_tokens": np.full(n, 7), "decode_step_s": np.full(4, 0.1),
        "cold_start_s": np.array([30.0]), "pod_start_s": np.zeros(0), "stay_s": np.zeros(0),
        "resume_s": np.zeros(0), "change_s": np.zeros(0), "change_min": np.zeros(0, np.int64),
        "min_replicas": 0, "pinned_replicas": 0, "buffer_replicas": 0, "target_concurrency": 4.0,
        "pack": True, "refuses_cold": False, "idle_timeout_s": 60.0, "queue_timeout_s": math.inf,
        "horizon_s": 100.0, "replicas_per_node": 0, "kept_nodes": 0, "node_delay_s": 0.0,
        "stop": np.zeros(1, np.uint8), "max_replicas": 2, "parent": None, "chunks": None,
    }  # fmt: skip
    told |= changes

    def of(kind):
        return kind(*(told[name] for name in kind._fields))

    caches = reads = None
    if told["parent"] is not None:
        caches = kernel.caches_for(
            told["parent"], np.zeros(told["parent"].size), np.ones(told["parent"].size, np.int64),
            keeps=np.zeros(0, np.bool_), capacity_tokens=math.inf, least_prefill_s=0.0,
            to_prefix=False, max_replicas=2,
        )  # fmt: skip
    if told["chunks"] is not None:
        reads = kernel.chunks_for(told["chunks"], 2, 4)
    return kernel.run_replicas(
        of(kernel.Requests), of(kernel.Replicas), of(kernel.Rules),
        max_replicas=told["max_replicas"], stop=told["stop"], reads=reads, caches=caches,
    )  # fmt: skip


WRONG = {
    "fewer prompts": {"prefill_s": np.zeros(4)},
    "more tokens": {"output_tokens": np.ones(6, np.int64)},
    "no tokens": {"output_tokens": np.zeros(5, np.int64)},
    "too many tokens": {"output_tokens": np.full(5, 2**31)},
    "no steps": {"decode_step_s": np.zeros(0)},
    "no starts": {"cold_start_s": np.zeros(0)},
    "a start that is no number": {"cold_start_s": np.array([np.nan])},
    "a start without end": {"cold_start_s": np.array([np.inf])},
    "starts on nodes of another length": {"pod_start_s": np.zeros(3)},
    "nodes without starts": {"replicas_per_node": 2},
    "tiers of two lengths": {"stay_s": np.zeros(2), "resume_s": np.zeros(1)},
    "changes of two lengths": {"change_s": np.zeros(2), "change_min": np.zeros(1, np.int64)},
    "a minimum that is too large": {"min_replicas": 3},
    "a change that is too large": {"change_s": np.zeros(1), "change_min": np.full(1, 3)},
    "a change below none": {"change_s": np.zeros(1), "change_min": np.full(1, -1)},
    "more pinned than there are": {"pinned_replicas": 3},
    "no target": {"target_concurrency": 0.0},
    "an arrival that is no number": {"arrival_s": np.array([0, 1, np.nan, 3, 4])},
    "an arrival without end": {"arrival_s": np.array([0, 1, 2, 3, np.inf])},
    "arrivals out of order": {"arrival_s": np.array([0.0, 2, 1, 3, 4])},
    "an arrival before 0": {"arrival_s": np.array([-1.0, 2, 3, 3, 4])},
    "a prompt that is no number": {"prefill_s": np.array([0, 1, np.nan, 3, 4])},
    "nothing to stop it": {"stop": np.zeros(0, np.uint8)},
    "a parent that is none": {"parent": np.array([-1, 0, 5, 0, 0])},
    "a parent below none": {"parent": np.array([-1, 0, -2, 0, 0])},
    "fewer parents": {"parent": np.array([-1, 0])},
    "fewer chunks": {"chunks": np.ones(3, np.int64)},
    "no chunks": {"chunks": np.zeros(5, np.int64)},
}


@pytest.mark.parametrize("changes", WRONG.values(), ids=WRONG)
def test_compiled_code_is_given_nothing_with_which_it_could_leave_an_array(changes):
    """Lengths, whole numbers that become an index, and times are looked at before the run."""
    with pytest.raises(ValueError, match="the simulation is given"):
        _run(**changes)


def test_replicas_times_what_they_hold_is_bounded():
    """A policy that could hold more requests at a time than there is memory for is refused."""
    from frontier.policy import ScalingPolicy
    from frontier.simulate import simulate_replicas

    policy = ScalingPolicy(min_replicas=10**6, max_replicas=10**6)
    with pytest.raises(InputError, match="Allow fewer replicas"):
        simulate_replicas(
            [0.0], [0.1], [1], np.full(256, 0.1), policy=policy, cold_start_s=[1.0], horizon_s=1.0
        )


def test_with_bounds_checked_the_simulation_agrees_with_the_reference(tmp_path):
    """Compiled anew with every index checked, a part of the property suite passes."""
    tests = "tests/property/test_simulation.py"
    found = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tests, "-k", "ties"],
        cwd=ROOT.parent,
        env={
            **os.environ,
            "NUMBA_BOUNDSCHECK": "1",
            "NUMBA_CACHE_DIR": str(tmp_path),
            # Less is made of the code while it is compiled, which takes longer than the tests.
            "NUMBA_OPT": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout[-3000:]
