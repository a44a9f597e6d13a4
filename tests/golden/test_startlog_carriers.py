"""Start-up logs as collectors, exports and other releases write them: the same seconds."""

# ruff: noqa: E501 - a line of a log that is broken up cannot be compared with a real one.

from __future__ import annotations

import datetime as dt
import json

import pytest

from frontier.errors import InputError
from frontier.start.log import read_start_log

ROWS = (
    ("13:38:00", "(APIServer pid=1) INFO 09-25 {} [a.py:1] vLLM API server version 0.14.0"),
    ("13:38:20", "(EngineCore pid=9) INFO 09-25 {} [c.py:1] Initializing a V1 LLM engine (v0.14.0)"),
    ("13:38:37", "(EngineCore pid=9) INFO 09-25 {} [g.py:1] Starting to load model org/m..."),
    ("13:39:06", "Loading safetensors checkpoint shards: 100% Completed | 3/3 [00:29<00:00, 9.2s/it]"),
    ("13:39:07", "(EngineCore pid=9) INFO 09-25 {} [g.py:1] Model loading took 9 GiB memory and 30.5 seconds"),
    ("13:40:25", "(EngineCore pid=9) INFO 09-25 {} [m.py:1] torch.compile took 48.0 s in total"),
    ("13:40:40", "(EngineCore pid=9) INFO 09-25 {} [g.py:1] Graph capturing finished in 13 secs, took 1 GiB"),
    ("13:40:40", "(EngineCore pid=9) INFO 09-25 {} [c.py:1] init engine (profile, create kv cache, warmup model) took 80.0 s (compilation: 48.0 s)"),
    ("13:40:43", "(APIServer pid=1) INFO:     Application startup complete."),
)  # fmt: skip
SECONDS = {
    "engine_init": (37,),
    "fetch": (30.5,),
    "compile": (48,),
    "kv_cache": (19,),
    "graph_capture": (13,),
}
WHOLE = {**SECONDS, "other": (15.5,), "total": (163,)}


def rows(carry=None, *, load_s=30.5, ahead_h=0):
    """Return the rows of a start, each as `carry` of its row and the carrier's clock writes it."""
    written = []
    for clock, row in ROWS:
        at = dt.datetime.fromisoformat(f"2026-09-25 {clock}") + dt.timedelta(hours=ahead_h)
        line = row.format(clock).replace("30.5", str(load_s))
        written.append(carry(line, at) if carry else line)
    return written


def seconds(text):
    """Return the seconds a text gives, to the microsecond."""
    return {
        name: tuple(round(s, 6) for s in runs) for name, runs in read_start_log(text).runs_s.items()
    }


def epoch(at, digits):
    seconds = (at - dt.datetime(1970, 1, 1)).total_seconds()
    return str(int(seconds) * 10 ** (digits - 10))


@pytest.mark.parametrize(
    "carry",
    [
        lambda row, at: f"{at:%b %d %H:%M:%S} gpu-3 vllm[4121]: {row}",
        lambda row, at: f"{at:%Y-%m-%dT%H:%M:%S}.123456+0200 gpu-3 python3[41]: {row}",
        lambda row, at: f"[pod/vllm-7d9f-abcde/vllm] {at:%Y-%m-%dT%H:%M:%S}.123456789Z {row}",
        lambda row, at: f"vllm-1  | {at:%Y-%m-%dT%H:%M:%S}.100000000Z {row}",
        lambda row, at: f'"{at:%Y-%m-%d %H:%M:%S}.000","{row}","{{app=""vllm""}}"',
        lambda row, at: f'{epoch(at, 13)},"{row}"',
        lambda row, at: f"{at:%Y-%m-%dT%H:%M:%S}.12+00:00 AllTraffic/i-0abc {row}",
        lambda row, at: json.dumps({"line": row, "timestamp": epoch(at, 19)}),
        lambda row, at: json.dumps({"MESSAGE": row, "__REALTIME_TIMESTAMP": epoch(at, 16)}),
        lambda row, at: json.dumps({"log": {"level": "info"}, "message": row, "@timestamp": f"{at:%Y-%m-%dT%H:%M:%S}Z"}),
        lambda row, at: json.dumps({"body": {"stringValue": row}, "timeUnixNano": epoch(at, 19)}),
        lambda row, at: json.dumps({"message": row, "dt": f"{at:%Y-%m-%d %H:%M:%S}.12345678"}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("ahead_h", [0, -2, 5])
def test_the_clock_of_what_carries_a_log_is_told_from_the_engines(carry, ahead_h):
    """The last line has the carrier's clock alone, which may be of another zone."""
    text = "\n".join(rows(carry, ahead_h=ahead_h))
    assert seconds(text) == WHOLE
    assert read_start_log(text).unread == ()


@pytest.mark.parametrize(
    "document",
    [
        lambda lines: {"events": [{"timestamp": int(epoch(at, 13)), "message": row} for row, at in lines]},
        lambda lines: {"data": [{"id": "1", "attributes": {"timestamp": str(at), "message": row}} for row, at in lines], "meta": {"message": "ok"}},
        lambda lines: {"status": "success", "data": {"result": [{"stream": {"app": "v"}, "values": [[epoch(at, 19), row] for row, at in lines]}]}},
        lambda lines: [{"textPayload": row, "timestamp": f"{at:%Y-%m-%dT%H:%M:%S}Z"} for row, at in lines],
        lambda lines: {"hits": {"hits": [{"_source": {"message": row, "@timestamp": str(at)}} for row, at in lines]}},
        lambda lines: {"results": [[{"field": "@timestamp", "value": str(at)}, {"field": "@message", "value": row}] for row, at in lines]},
    ],
)  # fmt: skip
@pytest.mark.parametrize("indent", [None, 2])
def test_the_answer_of_a_collector_holds_the_lines_of_a_log(document, indent):
    """CloudWatch, Datadog, Loki, Google, Elasticsearch: one JSON document, on one line or many."""
    text = json.dumps(document(rows(lambda row, at: (row, at))), indent=indent)
    assert seconds(text) == WHOLE


def test_an_export_that_begins_with_the_newest_line_is_turned_round_and_said():
    """Read as it stands, the start would end before it began: half of it was lost."""
    text = "\n".join(reversed(rows()))
    assert seconds(text) == SECONDS
    log = read_start_log(text)
    assert any("newest line comes first" in note for note in log.notes)


@pytest.mark.parametrize(
    "carry",
    [
        lambda who: lambda row, at: f"[pod/vllm-{who}/vllm] {row}",
        lambda who: lambda row, at: f"vllm-7d-{who} vllm {row}",
        lambda who: lambda row, at: f"llm_vllm.{who}.x@node    | {row}",
        lambda who: lambda row, at: f"xyz{who}123[info]{row}",
        lambda who: lambda row, at: f"(ServeReplica:llm:Server pid={who}9, ip=10.0.0.1) {row}",
        lambda who: lambda row, at: json.dumps({"line": row, "labels": {"pod": f"v-{who}"}}),
        lambda who: lambda row, at: json.dumps({"log": row, "host": "n", "kubernetes": {"pod_name": who}}),
        lambda who: lambda row, at: json.dumps({"message": row, "workerId": f"w{who}"}),
    ],
)  # fmt: skip
def test_replicas_side_by_side_in_one_text_are_as_many_starts(carry):
    """Their processes have the same names: the slowest of both was read as one start."""
    both = zip(rows(carry("a")), rows(carry("b"), load_s=51.25), strict=True)
    log = read_start_log("\n".join(row for pair in both for row in pair))
    assert log.runs_s["fetch"] == (30.5, 51.25)
    assert log.runs_s["engine_init"] == (37, 37)
    assert len(log.starts) == 2


def test_a_service_beside_the_engine_takes_nothing_from_its_start():
    """A request that a proxy logs between was taken for one of the engine's: its start was lost."""
    proxy = 'nginx-1 | 10.0.0.1 - - [25/Sep/2026:13:38:00 +0000] "GET / HTTP/1.1" 502 2'
    text = "\n".join(f"{row}\n{proxy}" for row in rows(lambda row, at: f"vllm-1  | {row}"))
    assert seconds(text) == SECONDS


@pytest.mark.parametrize("date", ["09/25 ", "09/25/2026 ", "25/09/2026 ", "2026/09/25 ", ""])
def test_dates_with_strokes_and_times_alone_are_clocks(date):
    """Before, the start of the engine was lost without a word."""
    text = "\n".join(rows()).replace("09-25 ", date)
    assert seconds(text) == SECONDS


def test_times_without_a_date_go_on_after_midnight():
    """23:58 to 00:00 are two minutes."""
    text = "\n".join(rows()).replace("09-25 ", "")
    late = text.replace("13:38", "23:58").replace("13:39", "23:59").replace("13:40", "00:00")
    assert seconds(late) == SECONDS


SUMMED = (
    "[2026-08-27 03:46:30] Engine startup timings (s): load_weight=12.02, "
    "kv_cache_allocation=0.02, scheduler_e2e=52.09, cuda_graph={prefill=22.96, decode=12.26, "
    "target_verify=0.00}, tokenizer_e2e=65.82\n"
)


@pytest.mark.parametrize(
    ("text", "runs_s"),
    [
        (
            SUMMED,
            {"fetch": 12.02, "kv_cache": 0.02, "graph_capture": 35.22, "total": 65.82},
        ),
        (
            "Engine startup timings (s): load_weight=4.08, cuda_graph={decode=42.70}\n",
            {"fetch": 4.08, "graph_capture": 42.7},
        ),
        (
            'level=INFO source=llama_server.go:433 msg="starting llama-server" cmd=x\n'
            'level=INFO source=llama_server.go:1362 msg="llama-server started in 6.43 seconds"\n',
            {"fetch": 6.43, "total": 6.43},
        ),
        (
            # The second request that waited for the same runner says so too.
            'msg="starting runner" cmd=x\nmsg="llama runner started in 24.50 seconds"\n'
            'msg="waiting for llama runner to start responding"\n'
            'msg="llama runner started in 24.50 seconds"\n',
            {"fetch": 24.5, "total": 24.5},
        ),
        (
            "0.00.101.818 I srv  llama_server: loading model\n"
            "0.11.010.233 I srv  llama_server: model loaded\n",
            {"fetch": 10.908415, "total": 10.908415},
        ),
        (
            "text_generation_launcher: Shard ready in 922.918ms rank=0\n",
            {"load": 0.922918},
        ),
        (
            "INFO Initializing a V1 LLM engine (v0.14.0) with config: x, enforce_eager=True, y\n"
            "Model loading took 9 GiB memory and 10.0 seconds\n"
            "init engine (profile, create kv cache, warmup model) took 5.0 s\n",
            {"fetch": 10, "compile": 0, "kv_cache": 5, "graph_capture": 0},
        ),
        (
            "Multi-thread loading shards: 100% Completed | 32/32 [01:39<00:00,  3.12s/it]\n"
            "[2026-08-17 16:52:10] Load weight end. type=X, avail mem=97 GB\n",
            {"fetch": 99},
        ),
    ],
)  # fmt: skip
def test_what_newer_releases_say_is_read(text, runs_s):
    """SGLang's sum of its start, llama-server under Ollama and alone, TGI's milliseconds."""
    assert {name: runs[0] for name, runs in read_start_log(text).runs_s.items()} == pytest.approx(
        runs_s
    )


def test_what_a_log_sums_up_does_not_count_beside_its_own_lines():
    """The same seconds a second time."""
    text = (
        "[2026-08-27 03:46:10] Load weight end. elapsed=12.50 s, type=X\n"
        "[2026-08-27 03:46:30] Capture target decode CUDA graph end. elapsed=12.26 s\n" + SUMMED
    )
    log = read_start_log(text)
    assert log.runs_s["fetch"] == (12.5,)
    assert log.runs_s["graph_capture"] == (12.26,)


def test_tgi_as_json_is_tgi():
    """The program that speaks stands beside the message, not in it."""
    said = [
        ("31.0", "text_generation_launcher", "Starting check and download process for m"),
        ("45.0", "text_generation_launcher", "Successfully downloaded weights for m"),
        ("59.5", "text_generation_launcher", "Shard ready in 13.5s"),
        ("59.6", "text_generation_router_v3", "Warming up model"),
        ("59.9", "text_generation_router::server", "Connected"),
    ]
    log = read_start_log(
        "\n".join(
            json.dumps(
                {
                    "timestamp": f"2026-03-04T16:37:{at}Z",
                    "level": "INFO",
                    "fields": {"message": message},
                    "target": target,
                }
            )
            for at, target, message in said
        )
    )
    assert log.runs_s["fetch"] == pytest.approx((14,))
    assert log.runs_s["load"] == (13.5,)
    assert log.runs_s["kv_cache"] == pytest.approx((0.3,))


@pytest.mark.parametrize(
    ("text", "runs_s"),
    [
        ("Sekunden\n43,2\n51,7", {"total": (43.2, 51.7)}),
        ("[43.2, 51.7]", {"total": (43.2, 51.7)}),
        ('{"starts": [43.2, 51.7]}', {"total": (43.2, 51.7)}),
        ("- 43.2 s\n- 51.7 s", {"total": (43.2, 51.7)}),
        ('"43.2"\n"51.7"', {"total": (43.2, 51.7)}),
        ("00:00:43.2\n00:01:02.5", {"total": (43.2, 62.5)}),
        ("PT1M43S\nPT58S", {"total": (103, 58)}),
        ("fetch: 43.2\ncompile = 20 s", {"fetch": (43.2,), "compile": (20,)}),
        ('{"fetch": [43.2, 51.7], "KV cache sizing": 3}', {"fetch": (43.2, 51.7), "kv_cache": (3,)}),
        ("| stage | seconds |\n|---|---|\n| Weight fetch | 43.2 |", {"fetch": (43.2,)}),
        ("Phase;Sekunden\nfetch;43,2", {"fetch": (43.2,)}),
    ],
)  # fmt: skip
def test_lists_of_seconds_in_other_writings_are_read(text, runs_s):
    """JSON, Markdown, bullets, quotes, clocks, ISO 8601, headers of other languages."""
    assert seconds(text) == runs_s


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0:43\n1:02", "0 minutes and 43 seconds, or 0 hours and 43 minutes"),
        ("1. 43.2\n2. 51.7", "begins with its number"),
        ("[1e400, 2]", "at least 0"),
        ("1\n" * 30_000, "30,000 lines; starts are read up to 20,000"),
        # Each took as long as a line that says something, 7 s together.
        ('"a,\n' * 490_000, "490,000 lines; up to 100,000 are read"),
        ("fetch: 43.2\nwarp: 20", "plain words"),
    ],
)
def test_lists_that_leave_something_open_are_asked_about(text, words):
    """What each number is must be known before it is a start."""
    with pytest.raises(InputError, match=words):
        read_start_log(text)


def test_events_one_document_after_the_other_and_in_an_export_are_events():
    """`jq .items[]` prints them so, Google's export puts each into its payload."""
    events = [
        {
            "kind": "Event",
            "firstTimestamp": f"2026-03-14T18:{at}Z",
            "involvedObject": {"kind": "Pod", "name": "v-0"},
            "reason": reason,
            "message": f"{reason} container v",
        }
        for at, reason in (("06:33", "FailedScheduling"), ("09:40", "Scheduled"))
    ]
    printed = "\n".join(json.dumps(event, indent=2) for event in events)
    exported = json.dumps([{"insertId": "1", "jsonPayload": event} for event in events])
    for text in (printed, exported):
        assert read_start_log(text).runs_s == {"allocate": (187,)}


@pytest.mark.parametrize(
    "text",
    [
        "[\n" * 900 + "1," * 800_000,
        '{"kind":\n' * 900 + "[1," * 10,
        'kind reason {"items":[\n' * 60_000,
        ("a-" * 4000 + "\n") * 200,
        ("2026-09-25T11:38:00Z " + "a/" * 3900 + "\n") * 200,
        ("{" + ",".join(f'"k{i}":{{"a":{{"b":1}}}}' for i in range(250)) + "}\n") * 300,
        '{"message":"x","l":[' * 300 + "1" + "]}" * 300,
        "".join(f"[pod/p{i}/c] Starting to load model x\n" for i in range(40_000)),
    ],
)
def test_what_is_made_to_hold_a_reader_up_does_not(text):
    """Two megabytes of documents begun, prefixes that almost fit, a replica a line."""
    import time

    begin = time.process_time()
    with pytest.raises(InputError):
        read_start_log(text)
    assert time.process_time() - begin < 10
