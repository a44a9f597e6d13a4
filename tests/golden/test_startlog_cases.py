"""Start-up logs, events and lists as people post them: right seconds, a question or a refusal."""

from __future__ import annotations

from pathlib import Path

import pytest

from frontier.errors import InputError
from frontier.start.log import read_start_log
from frontier.start.predict import start_inputs_for
from frontier.tables import load_tables

CASES = Path(__file__).parent / "startlogs"
READY = "INFO:     Application startup complete.\n"


@pytest.mark.parametrize(
    ("name", "runs_s"),
    [
        ("decimal_comma", {"total": (43.2, 51.7, 47.9)}),
        ("events_three_pods", {"pull": (120, 122, 124), "boot": (1, 1, 1)}),
        ("sglang_warmup_after_uvicorn", {"fetch": (330,), "graph_capture": (10,), "other": (22,)}),
        (
            "kserve_storage_initializer",
            {"allocate": (155,), "pull": (132.4,), "fetch": (115,), "boot": (6,)},
        ),
        ("init_compilation_suffix", {"fetch": (80.5,), "compile": (30,), "kv_cache": (60,)}),
        (
            "mtp_two_compiles",
            {"fetch": (175,), "compile": (57,), "kv_cache": (134,), "graph_capture": (9,)},
        ),
        ("sglang_piecewise_compile", {"graph_capture": (57.1,), "other": (7,), "kv_cache": (2,)}),
        ("v0_gb_and_seconds", {"fetch": (11.4,), "kv_cache": (5.01,), "graph_capture": (18,)}),
        ("v064_memory_profiling", {"fetch": (39,), "kv_cache": (18.4,), "graph_capture": (21,)}),
        ("get_events_all_namespaces", {"pull": (120,), "boot": (1,)}),
        ("events_json", {"allocate": (187,), "pull": (122.3,), "boot": (2,)}),
        ("utf16", {"fetch": (11.402915,), "graph_capture": (18,)}),
        ("tgi", {"fetch": (60,), "load": (48.2,), "kv_cache": (14,), "total": (138,)}),
        ("ollama", {"fetch": (30,), "total": (30,)}),
    ],
)
def test_a_posted_text_gives_the_seconds_it_states(name, runs_s):
    """Each case lies in startlogs/; what is asserted was taken from it by hand."""
    log = read_start_log((CASES / f"start_{name}.txt").read_bytes())
    for stage, seconds in runs_s.items():
        assert log.runs_s[stage] == pytest.approx(seconds), stage
    assert not any(0.0 in seconds for seconds in log.runs_s.values())


def test_what_is_logged_inside_another_stage_is_neither_zero_nor_the_models():
    """SGLang compiles inside its capture: no second compile is added when the log is applied."""
    log = read_start_log((CASES / "start_sglang_piecewise_compile.txt").read_bytes())
    assert log.kind == "SGLang"
    assert ("compile", "graph_capture") in log.within
    assert "compile" not in log.runs_s
    assert "compile" not in log.modelled
    tables = load_tables()
    told = start_inputs_for("modal", "Llama-3.1-8B-Instruct", "L40S", "bf16", tables=tables)
    start = told.predict(tables)
    assert log.apply(start)["compile"].note == "measured within graph_capture"
    assert log.apply(start).typical_s > sum(log.stage_s.values())


def vllm(load_s: float, compile_s: float, *, at: str = "06-03 12:00", end: str = READY) -> str:
    return (
        f"(APIServer pid=1) INFO {at}:01 [api_server.py:1] vLLM API server version 0.11.2\n"
        f"(EngineCore pid=9) INFO {at}:20 [core.py:1] Initializing a V1 LLM engine (v0)\n"
        f"(EngineCore pid=9) INFO {at}:31 [runner.py:1] Starting to load model org/m...\n"
        f"(EngineCore pid=9) INFO {at}:40 [r.py:1] Model loading took 9.1 GiB and {load_s} s\n"
        f"(EngineCore pid=9) INFO {at}:50 [m:1] torch.compile takes {compile_s} s in total\n{end}"
    )


def test_a_failed_start_is_counted_and_not_merged_with_its_retry():
    """Out of memory in the middle, then a start that succeeds: one start, one failure."""
    failure = "(EngineCore pid=9) torch.OutOfMemoryError: CUDA out of memory. Tried to allocate\n"
    log = read_start_log(vllm(100, 40, end=failure) + vllm(60, 20, at="06-03 12:10"))
    assert log.runs_s["fetch"] == (60,)
    assert log.runs_s["compile"] == (20,)
    assert log.runs_s["engine_init"] == (30,)
    assert [bool(run.failed) for run in log.starts] == [True, False]
    assert any("1 failed start left out" in note for note in log.notes)


def test_a_start_cut_off_by_the_next_one_failed():
    """A container that was killed says nothing; the next banner tells."""
    log = read_start_log(vllm(100, 40, end="") + vllm(60, 20) + vllm(70, 30))
    assert log.runs_s["fetch"] == (60, 70)
    assert len(log.failed) == 1


def test_only_failed_starts_are_no_measurement():
    """Nothing is taken from a start that never came to be ready."""
    text = vllm(100, 40, end="RuntimeError: Engine core initialization failed. See root cause\n")
    with pytest.raises(InputError, match="1 failed start and none"):
        read_start_log(text)


def test_requests_between_two_starts_belong_to_neither():
    """The second start counts from its own first line, an hour after the last request."""
    served = 'INFO 06-03 12:59:00 x "POST /v1/chat/completions HTTP/1.1" 200 OK\n'
    log = read_start_log(vllm(50, 20) + served + vllm(60, 25, at="06-03 13:59"))
    assert log.runs_s["engine_init"] == (30, 30)


@pytest.mark.parametrize(
    "prefix",
    [
        "2026-06-03T10:00:01.123456789Z stdout F ",
        "\x1b[0;36m",
        "vllm-0  | ",
        "2026-06-03T10:00:01.1Z ",
    ],
)
def test_what_carries_a_log_does_not_change_it(prefix):
    """Container runtimes, colours and compose put their mark before each line."""
    plain = read_start_log(vllm(50, 20))
    text = "".join(f"{prefix}{row}\n" for row in vllm(50, 20).splitlines())
    seen = read_start_log(text)
    assert seen.runs_s["fetch"] == plain.runs_s["fetch"]
    assert seen.runs_s["compile"] == plain.runs_s["compile"]


def test_docker_json_lines_and_utf_16_are_no_obstacle():
    """The same log as docker keeps it, and as PowerShell writes it."""
    import json

    rows = vllm(50, 20).splitlines()
    docker = "\n".join(
        json.dumps({"log": row + "\n", "time": "2026-06-03T10:00:00Z"}) for row in rows
    )
    for content in (docker, vllm(50, 20).encode("utf-16"), vllm(50, 20).encode("utf-16-le")):
        assert read_start_log(content).runs_s["fetch"] == (50,)


def test_sleep_and_wake_are_read_and_are_no_start():
    """A wake-up of 2.9 s is no stage of a start."""
    tail = (
        "INFO 06-03 13:00:00 It took 6.012000 seconds to fall asleep.\n"
        "INFO 06-03 14:00:00 It took 2.870000 seconds to wake up tags {'weights'}.\n"
    )
    log = read_start_log(vllm(50, 20) + tail)
    assert log.runs_s["fetch"] == (50,)
    assert any("2.87 s" in note for note in log.notes)


def test_llama_cpp_tensorrt_llm_and_lmdeploy_give_their_loading():
    """Loading to ready by the engine's clock, or by the bar it drew."""
    llama = (
        "0.00.010.000 I build: 5000 (abc) with cc\n"
        "0.00.189.951 I srv    load_model: loading model 'm.gguf'\n"
        "0.14.189.951 I main: model loaded\n"
    )
    assert read_start_log(llama).runs_s["fetch"] == pytest.approx((14,))
    assert read_start_log(llama).runs_s["total"] == pytest.approx((14.179951,))
    timed = llama.replace(
        "0.14.189.951 I main", "0.14.100.000 I load time =   2500.00 ms\n0.14.189.951 I main"
    )
    assert read_start_log(timed).runs_s["fetch"] == (2.5,)
    trt = (
        "[06/17/2025-16:35:04] [TRT-LLM] [I] Using LLM with PyTorch backend\n"
        "Loading weights: 100%|██████████| 1190/1190 [01:01<00:00, 19.26it/s]\n"
        "[06/17/2025-16:37:04] [TRT-LLM] [I] x\nINFO:     Application startup complete.\n"
    )
    assert read_start_log(trt).runs_s["fetch"] == (61,)
    lm = (
        "2026-01-02 10:00:00,123 - lmdeploy - INFO - api.py:1 - input backend=turbomind\n"
        "Convert to turbomind format: 100%|██████████| 32/32 [00:12<00:00,  2.6it/s]\n"
        "2026-01-02 10:00:40,123 HINT:    Please open http://0.0.0.0:23333 in a browser\n"
    )
    assert read_start_log(lm).runs_s == {"fetch": (12,), "total": (40,)}


EVENTS_YAML = """
apiVersion: v1
items:
- apiVersion: v1
  count: 1
  firstTimestamp: "2026-03-14T18:09:40Z"
  involvedObject:
    kind: Pod
    name: m-0
  kind: Event
  message: Successfully assigned ns/m-0 to n1
  reason: Scheduled
- apiVersion: v1
  firstTimestamp: "2026-03-14T18:06:33Z"
  involvedObject:
    kind: Pod
    name: m-0
  kind: Event
  message: '0/3 nodes are available'
  reason: FailedScheduling
- apiVersion: v1
  firstTimestamp: "2026-03-14T18:11:45Z"
  involvedObject:
    fieldPath: spec.containers{m}
    kind: Pod
    name: m-0
  kind: Event
  message: 'Successfully pulled image "x/y:1" in 2m2.3s (2m2.3s including waiting).
    Image size: 12000000000 bytes.'
  reason: Pulled
- apiVersion: v1
  firstTimestamp: "2026-03-14T18:11:47Z"
  involvedObject:
    fieldPath: spec.containers{m}
    kind: Pod
    name: m-0
  kind: Event
  message: Started container m
  reason: Started
kind: List
"""


def test_yaml_of_events_says_what_json_says():
    """Order in the list does not matter, the times do."""
    log = read_start_log(EVENTS_YAML)
    assert log.runs_s["allocate"] == (187,)
    assert log.runs_s["pull"] == pytest.approx((122.3,))
    assert log.runs_s["boot"] == (2,)


def test_the_status_of_a_pod_gives_the_time_of_its_init_container():
    """A finished init container that loads the model is fetch."""
    import json

    def running(at: str) -> dict[str, object]:
        return {"running": {"startedAt": f"2026-03-14T{at}Z"}}

    ended = {"startedAt": "2026-03-14T18:03:00Z", "finishedAt": "2026-03-14T18:05:30Z"}
    scheduled = {"type": "PodScheduled", "lastTransitionTime": "2026-03-14T18:02:00Z"}
    pod = {
        "kind": "Pod",
        "metadata": {"name": "m-0", "creationTimestamp": "2026-03-14T18:00:00Z"},
        "status": {
            "conditions": [scheduled],
            "initContainerStatuses": [{"name": "model-loader", "state": {"terminated": ended}}],
            "containerStatuses": [{"name": "vllm", "state": running("18:05:40")}],
        },
    }
    log = read_start_log(json.dumps(pod))
    assert log.runs_s == {"allocate": (120,), "fetch": (150,)}


def test_two_pods_of_one_deployment_with_repeated_events_are_two_starts():
    """Repeated attempts count from the first; an age in whole minutes is too coarse."""
    text = (
        "LAST SEEN               TYPE     REASON            OBJECT      MESSAGE\n"
        "9m (x3 over 9m40s)      Warning  FailedScheduling  pod/a-1     0/2 nodes are available\n"
        "7m40s                   Normal   Scheduled         pod/a-1     assigned\n"
        "5m                      Normal   Pulled            pod/a-1     Successfully pulled image "
        '"r/i:2" in 95s (95s including waiting)\n'
        "12m                     Normal   Scheduled         pod/a-2     assigned\n"
        "10m                     Normal   Pulled            pod/a-2     Successfully pulled image "
        '"r/i:2" in 1m40s (1m41s including waiting)\n'
        "10m                     Normal   Started           pod/a-2     Started container e\n"
    )
    log = read_start_log(text)
    assert log.runs_s == {"allocate": (120,), "pull": (95, 100)}
    assert len(log.starts) == 2


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("43,2; 51,7; 47,9", (43.2, 51.7, 47.9)),
        ("43,2 s\n51,75 s", (43.2, 51.75)),
        ("38200 ms, 41350 ms", (38.2, 41.35)),
        ("43.2,51.0,47.7", (43.2, 51.0, 47.7)),
        ("43,51,47", (43, 51, 47)),
        ("4000 s, 50 s", (4000, 50)),
        ("1.234,5", (1234.5,)),
        ("seconds\n43,2\n51,7", (43.2, 51.7)),
        ("ms\n38200\n41350", (38.2, 41.35)),
        ("cold start (s)\n43,2\n51,7", (43.2, 51.7)),
        ("1m 43s\n2m05s\n1h 2m 3.5s", (103, 125, 3723.5)),
        ("1,204.5\n1,310.25", (1204.5, 1310.25)),
    ],
)
def test_commas_and_units_of_a_list_are_read(text, seconds):
    """Where the list leaves no doubt the comma is what it must be."""
    assert read_start_log(text).runs_s["total"] == pytest.approx(seconds)


def test_a_csv_with_semicolons_has_decimal_commas():
    """A spreadsheet of a German office."""
    log = read_start_log("stage;seconds\nfetch;43,2\ncompile;20,5\n")
    assert log.runs_s == {"fetch": (43.2,), "compile": (20.5,)}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("38,200\n41,350", "or milliseconds"),
        ("38200\n41350", "or milliseconds"),
        ("43,2", "decimal comma or two numbers"),
        ("stage,seconds\nfetch,43,2", "decimal mark"),
        ("stage,seconds\nfetch,38200", "or milliseconds"),
        ("stage,seconds\nfetch,nan", "row 2, column seconds"),
        ("<!DOCTYPE html><html><body>no</body></html>", "a web page"),
        ("| NVIDIA-SMI 550.54 |", "nvidia-smi"),
        ('1.1.1.1 - - [x] "GET /v1/models HTTP/1.1" 200', "a log of requests"),
        ('{"a": 1}', "JSON"),
        ("Traceback (most recent call last):\n  File x\nKeyError: 1", "report of an error"),
        ("services:\n  vllm:\n    image: x", "a manifest"),
        ("INFO 06-03 12:00:01 [x.py:1] hello\n", "a log with time stamps"),
        ("time,user\n1,2\n", "a table"),
        ("(APIServer pid=1) vLLM API server version 0.11.0", "too little"),
        ("\x00\x01\x02", "Nothing in the text"),
    ],
)
def test_what_is_doubtful_is_asked_and_what_is_no_log_is_named(text, words):
    """One sentence says what it looks like and what would be usable."""
    with pytest.raises(InputError, match=words):
        read_start_log(text)


def test_a_line_is_cut_before_any_pattern_sees_it():
    """What stands behind 8,000 characters is not read, and that is said."""
    log = read_start_log(vllm(50, 20) + "x" * 9_000 + " Graph capturing finished in 9 secs\n")
    assert "graph_capture" not in log.runs_s
    assert any("8,000 characters" in note for note in log.notes)


def test_describes_without_names_are_still_several_pods():
    """A pod is put on a node once; the container that runs first counts for the boot."""
    text = (
        "  Normal  Scheduled  5m30s  default-scheduler  Successfully assigned a\n"
        '  Normal  Pulled  3m29s  kubelet  Successfully pulled image "a:1" in 2m (2m including\n'
        "  Normal  Started  3m28s  kubelet  Started container prepare\n"
        '  Normal  Pulling  3m20s  kubelet  Pulling image "v:1"\n'
        '  Normal  Pulled  2m29s  kubelet  Successfully pulled image "v" in 130s (130s including\n'
        "  Normal  Started  2m28s  kubelet  Started container engine\n"
    )
    log = read_start_log(text * 2)
    assert log.runs_s == {"pull": (250, 250), "boot": (9, 9)}
    assert any("does not tell why" in note for note in log.notes)


def test_a_drafter_that_loads_after_the_capture_adds_to_the_weights():
    """SGLang captures between the two; without seconds in the line the clock gives both."""
    log = read_start_log(
        "[2026-10-10 11:53:40] server_args=ServerArgs(model_path='org/m')\n"
        "[2026-10-10 11:54:00 TP0] Load weight begin. avail mem=110.00 GB\n"
        "[2026-10-10 11:55:00 TP0] Load weight end. type=LlamaForCausalLM, avail mem=29 GB\n"
        "[2026-10-10 11:55:10 TP0] Capture cuda graph begin.\n"
        "[2026-10-10 11:55:20 TP0] Capture cuda graph end. Time elapsed: 10.00 s.\n"
        "[2026-10-10 11:55:20 TP0] Load weight begin. avail mem=29 GB\n"
        "[2026-10-10 11:55:25 TP0] Load weight end. type=LlamaForCausalLMEagle\n"
        "[2026-10-10 11:55:26 TP0] Capture draft cuda graph begin.\n"
        "[2026-10-10 11:55:30 TP0] Capture draft cuda graph end. Time elapsed: 4.00 s.\n"
    )
    assert log.runs_s == {
        "engine_init": (20,),
        "fetch": (65,),
        "kv_cache": (10,),
        "graph_capture": (14,),
    }


def test_eager_mode_is_the_only_zero():
    """The log says that there was no compilation and no capture; silence says nothing."""
    rest = (
        "Model loading took 21.42 GiB and 10.0 seconds\n"
        "init engine (profile, create kv cache, warmup model) took 5.0 seconds\n"
    )
    eager = read_start_log("Cudagraph is disabled under eager mode\n" + rest)
    assert eager.runs_s["compile"] == eager.runs_s["graph_capture"] == (0,)
    silent = read_start_log("config: enforce_eager=False\n" + rest)
    assert silent.runs_s == {"fetch": (10,), "kv_cache": (5,)}


@pytest.mark.parametrize(
    "text",
    [
        '{"kind":"Pod","metadata":{"name":1},"status":{"conditions":5,"containerStatuses":{}}}',
        '{"items":[1,null,{"reason":"Pulled","message":null,"involvedObject":"x"}]}',
        '{"kind":"Event","reason":' + "[" * 50_000,
        "kind: x\n" + "- " * 50_000,
        "1," * 20_000 + "x",
        "Capture " * 5_000,
    ],
)
def test_malformed_and_hostile_texts_are_refused_in_words(text):
    """Wrong types, depth and repetition end in a sentence."""
    with pytest.raises(InputError):
        read_start_log(text)


def test_a_loader_container_and_a_log_are_one_start_with_fetch_and_load():
    """What the container fetched, the engine then reads from the disk: that is load."""
    events = (CASES / "start_kserve_storage_initializer.txt").read_text()
    log = read_start_log(events + (CASES / "start_mtp_two_compiles.txt").read_text())
    assert log.runs_s["fetch"] == (115,)
    assert log.runs_s["load"] == (175,)
    assert log.within == ()
    assert len(log.starts) == 1


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("[RunAI Streamer] Overall time to stream 7.1 GiB of all files: 11.01s, 6 MiB/s", 11.01),
        ("Deserialized 13.5 GB in 8.21s, 1.6 GB/s", 8.21),
        ("Loading safetensors using InstantTensor loader: 100% Completed | 9/9 [00:21<00:00]", 21),
        ("Loading fastsafetensors checkpoint shards: 100% Completed | 5/5 [01:02<00:00]", 62),
    ],
)  # fmt: skip
def test_fast_loaders_give_the_weights_where_the_engine_does_not(text, seconds):
    """Where the engine names its own sum, theirs is inside it."""
    assert read_start_log(text).runs_s == {"fetch": (seconds,)}
    summed = f"{text}\nModel loading took 7.17 GiB memory and 99.5 seconds\n"
    assert read_start_log(summed).runs_s == {"fetch": (99.5,)}


def test_two_clocks_are_not_mixed():
    """The carrier is two hours ahead; a line without the engine's stamp is timed by the carrier."""
    log = read_start_log(
        "2026-05-01 19:09:00.5 | INFO 05-01 17:09:00 [a.py:1] vLLM API server version 0.20\n"
        "2026-05-01 19:09:20.5 | INFO 05-01 17:09:20 [g.py:1] Starting to load model x...\n"
        "2026-05-01 19:09:40.5 | INFO 05-01 17:09:40 Model loading took 10 GiB and 19.1 seconds\n"
        "2026-05-01 19:09:53.5 | INFO:     Application startup complete.\n"
    )
    assert log.runs_s == {"engine_init": (20,), "fetch": (19.1,), "total": (53,)}


def test_parts_that_make_up_the_whole_leave_nothing_to_the_model():
    """Compile and capture are all of the engine's sum: no memory profiling is added to it."""
    log = read_start_log(
        "torch.compile takes 20.0 s in total\nGraph capturing finished in 10 secs, took 1 GiB\n"
        "init engine (profile, create kv cache, warmup model) took 30.0 seconds\n"
    )
    assert log.runs_s == {"compile": (20,), "graph_capture": (10,)}
    assert log.within == (("kv_cache", "graph_capture"),)


def test_an_error_fails_a_start_that_never_comes_up_and_no_other():
    """The last word of the log is an error: failed. A start that goes on has survived it."""
    error = "(EngineCore pid=9) ValueError: No available memory for the cache blocks.\n"
    with pytest.raises(InputError, match="ends after 'ValueError'"):
        read_start_log(vllm(50, 20, end=error))
    assert read_start_log(vllm(50, 20, end=error + READY)).runs_s["fetch"] == (50,)
    log = read_start_log(vllm(50, 20, end=error) + vllm(60, 30))
    assert log.runs_s["fetch"] == (60,)
    assert len(log.failed) == 1


def test_a_pull_that_waited_for_others_says_how_long():
    """2 minutes of pulling, 3 with the waiting: the minute is in no stage, and said."""
    text = (
        "LAST SEEN  TYPE    REASON     OBJECT   MESSAGE\n"
        "9m0s       Normal  Scheduled  pod/v-a  Successfully assigned d/v-a to n1\n"
        "5m59s      Normal  Pulled     pod/v-a  Successfully pulled image "
        '"r/i:2" in 2m0s (3m0s including waiting)\n'
        "5m58s      Normal  Started    pod/v-a  Started container vllm\n"
    )
    log = read_start_log(text)
    assert log.runs_s["pull"] == (120,)
    assert any("waited 60 s for other pulls" in note for note in log.notes)
