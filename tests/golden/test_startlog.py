"""Start-up logs in the wording engines and Kubernetes publish, read back stage by stage."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontier.errors import InputError
from frontier.start.log import read_start_log
from frontier.start.predict import start_inputs_for
from frontier.start.stages import STAGES
from frontier.tables import load_tables

TABLES = load_tables()

V1 = """
INFO 06-19 23:04:30 [__init__.py:239] Automatically detected platform cuda.
INFO 06-19 23:05:00 [gpu_model_runner.py:1250] Starting to load model secret-org/private-llm...
INFO 06-19 23:05:01 [loader.py:447] Loading weights took 0.69 seconds
INFO 06-19 23:05:01 [gpu_model_runner.py:1273] Model loading took 3.4213 GiB and 0.902026 seconds
INFO 06-19 23:05:09 [backends.py:426] Dynamo bytecode transform time: 7.51 s
INFO 06-19 23:05:09 [b.py:1] Directly load the compiled graph for shape None from the cache
INFO 06-19 23:05:18 [monitor.py:33] torch.compile takes 7.51 s in total
INFO 06-19 23:05:35 [gpu_model_runner.py:1608] Graph capturing finished in 17 secs, took 0.48 GiB
06-19 23:05:35 [c.py:1] init engine (profile, create kv cache, warmup model) took 34.11 seconds
INFO:     Application startup complete.
"""

V1_TWO_RANKS = """
(TP0) INFO 05-06 20:59:20 [model.py:1] Starting to load model x
(TP0) INFO 05-06 20:59:50 [w.py:1] Time spent downloading weights for secret-org/x: 20.5 seconds
(TP0) INFO 05-06 20:59:57 Loading weights took 24.84 seconds
(TP1) INFO 05-06 20:59:58 Loading weights took 26.10 seconds
(TP0) INFO 05-06 20:59:59 [r.py:4879] Model loading took 12.66 GiB memory and 51.5 seconds
(TP1) INFO 05-06 20:59:59 [r.py:4879] Model loading took 12.66 GiB memory and 50.1 seconds
(TP0) INFO 05-06 21:00:16 [backends.py:1128] Dynamo bytecode transform time: 3.54 s
(TP0) INFO 05-06 21:00:26 [b.py:3] Compiling a graph for compile range (1, 2048) takes 6.40 s
(TP0) INFO 05-06 21:00:26 [monitor.py:34] torch.compile took 9.94 s in total
05-06 21:01:00 init engine (profile, create kv cache, warmup model) took 60.5 s (compilation: 9 s)
"""

V0 = """
INFO 02-18 04:51:20 model_runner.py:1110] Starting to load model x...
INFO 02-18 04:51:36 model_runner.py:1116] Loading model weights took 1.4123 GB
INFO 02-18 04:51:41 backends.py:585] Dynamo bytecode transform time: 5.63 s
INFO 02-18 04:51:45 backends.py:321] Compiling a graph for general shape takes 0.34 s
INFO 02-18 04:51:47 monitor.py:31] torch.compile takes 5.96 s in total
INFO 02-18 04:51:48 worker.py:266] Memory profiling takes 11.94 seconds
INFO 02-18 04:52:10 model_runner.py:1600] Graph capturing finished in 21 secs, took 0.5 GiB
"""

SGLANG = """
[2025-11-10 19:58:00] server_args=ServerArgs(model_path='x')
[2025-11-10 19:58:20 TP0] Load weight begin. avail mem=46.81 GB
[2025-11-10 19:58:30 TP0] Load weight end. elapsed=8.01 s, type=Qwen3ForCausalLM
[2025-11-10 19:58:31 TP1] Load weight end. elapsed=9.02 s, type=Qwen3ForCausalLM
[2025-11-10 19:58:58 TP0] Capture cuda graph begin. This can take up to several minutes.
[2025-11-10 19:59:09 TP1] Capture cuda graph end. Time elapsed: 11.35 s. mem usage=1.04 GB.
[2025-11-10 19:59:09 TP0] Capture cuda graph end. Time elapsed: 11.39 s. mem usage=1.00 GB.
[2025-11-10 19:59:15] The server is fired up and ready to roll!
"""

PODS = """
Events:
  Type     Reason            Age                From               Message
  ----     ------            ----               ----               -------
  Warning  FailedScheduling  7m (x3 over 8m30s) default-scheduler  0/3 nodes are available
  Normal   TriggeredScaleUp  8m25s              cluster-autoscaler pod triggered scale-up
  Normal   Scheduled         5m                 default-scheduler  Successfully assigned a to b
  Normal   Pulling           4m58s              kubelet            Pulling image "reg/x:1"
  Normal   Pulled  62s  kubelet  Successfully pulled image "reg/x:1" in 3m56.141s (3m57s including
  Normal   Started           60s                kubelet            Started container x
"""


def test_a_v1_log_gives_every_stage_it_names():
    """The engine's sum holds compile and capture; what is left of it is memory profiling."""
    log = read_start_log(V1)
    assert log.kind == "vLLM"
    assert log.compile_state == "cached"
    assert log.stage_s["engine_init"] == 30
    assert log.stage_s["fetch"] == pytest.approx(0.902026)
    assert ("load", "fetch") in log.within
    assert log.stage_s["compile"] == 7.51
    assert log.stage_s["graph_capture"] == 17
    assert log.stage_s["kv_cache"] == pytest.approx(34.11 - 7.51 - 17)
    assert set(log.modelled) == {"allocate", "pull", "boot", "other"}


def test_ranks_run_side_by_side_and_a_download_is_taken_out_of_the_loading():
    """Of two ranks the slower counts; loading less the download is the copy."""
    log = read_start_log(V1_TWO_RANKS)
    assert log.stage_s["fetch"] == 20.5
    assert log.stage_s["load"] == pytest.approx(51.5 - 20.5)
    assert log.stage_s["compile"] == pytest.approx(9.94)
    assert log.compile_state == "cold"
    assert log.stage_s["kv_cache"] == pytest.approx(60.5 - 9.94)
    assert log.within == (("graph_capture", "kv_cache"),)
    assert any("KV cache sizing: graph capture" in note for note in log.notes)


def test_a_cached_graph_counts_beside_the_tracing_where_the_sum_leaves_it_out():
    """Older releases sum the tracing only; newer ones name an ahead-of-time artifact."""
    old = (
        "Dynamo bytecode transform time: 4.99 s\n"
        "Directly load the compiled graph(s) for dynamic shape from the cache, took 2.810 s\n"
        "torch.compile takes 4.99 s in total\n"
    )
    assert read_start_log(old).stage_s["compile"] == pytest.approx(7.80)
    assert read_start_log(old).compile_state == "cached"
    new = "Directly load AOT compilation from path /x\ntorch.compile took 8.51 s in total\n"
    assert read_start_log(new).stage_s["compile"] == 8.51
    assert read_start_log(new).compile_state == "cached"


def test_a_v0_log_without_seconds_for_the_weights_is_read_by_its_clock():
    """V0 states gigabytes only; the time stamps around it give 16 s."""
    log = read_start_log(V0)
    assert log.stage_s["fetch"] == 16
    assert log.stage_s["compile"] == pytest.approx(5.97)
    assert log.stage_s["kv_cache"] == pytest.approx(11.94 - 5.97)
    assert log.stage_s["graph_capture"] == 21


def test_an_sglang_log_is_read():
    """Weights, capture, start of the engine and what lies between them."""
    log = read_start_log(SGLANG)
    assert log.kind == "SGLang"
    assert log.stage_s["engine_init"] == 20
    assert log.stage_s["fetch"] == 9.02
    assert log.stage_s["graph_capture"] == 11.39
    assert log.stage_s["kv_cache"] == 27
    assert log.stage_s["other"] == 6
    newer = "Capture target decode CUDA graph end. elapsed=16.40 s, mem usage=1.9 GB"
    assert read_start_log(newer).stage_s == {"graph_capture": 16.4}


def test_pod_events_give_allocation_pull_and_boot():
    """The node came 3 min 30 s after the first failed attempt; the pull is stated."""
    log = read_start_log(PODS)
    assert log.stage_s["allocate"] == 210
    assert log.stage_s["pull"] == pytest.approx(236.141)
    assert log.stage_s["boot"] == 2
    unstated = "Normal  Pulling  90s  kubelet  a\nNormal  Pulled  30s  kubelet  b"
    assert read_start_log(unstated).stage_s == {"pull": 60}
    cached = 'Normal  Pulled  5s  kubelet  Container image "reg/x:1" already present on machine'
    assert read_start_log(cached).stage_s == {"pull": 0}


def test_events_and_log_together_are_one_start():
    """A paste of both gives the stages of both."""
    log = read_start_log(PODS + V1)
    assert log.modelled == ("other",)
    assert log.kind == "Kubernetes events and vLLM"


def test_two_starts_in_one_log_are_two_runs():
    """After a ready line the next start begins; its seconds are kept apart."""
    log = read_start_log(V1 + V1.replace("17 secs", "19 secs").replace("34.11", "36.11"))
    assert log.runs_s["graph_capture"] == (17, 19)
    start = start_inputs_for(
        "modal", "Llama-3.2-3B-Instruct", "L40S", "bf16", tables=TABLES
    ).predict(TABLES)
    assert log.apply(start)["graph_capture"].runs_s == (17, 19)


def test_a_csv_of_stages_keeps_its_runs():
    """Several rows of a stage are several runs; the others stay the model's."""
    log = read_start_log("stage,seconds\ncompile,23.4\ncompile,25.0\nfetch,61\n")
    assert log.runs_s == {"compile": (23.4, 25.0), "fetch": (61,)}
    assert "compile" not in log.modelled
    assert "load" in log.modelled


@pytest.mark.parametrize("text", ["43.2, 51.0, 47.7", "43.2\n51.0\n47.7", "43.2 s; 51 s; 47.7 s"])
def test_a_list_of_seconds_is_whole_starts(text):
    """They replace the total; the model's stages share it out."""
    log = read_start_log(text)
    assert log.runs_s == {"total": (43.2, 51.0, 47.7)}
    start = start_inputs_for(
        "modal", "Llama-3.1-8B-Instruct", "L40S", "bf16", tables=TABLES
    ).predict(TABLES)
    assert log.apply(start).typical_s == pytest.approx(47.7)


def test_measured_stages_replace_the_models_and_say_so():
    """After applying a log its stages read measured, the rest keep their basis."""
    log = read_start_log(V1)
    predicted = start_inputs_for("modal", "Llama-3.2-3B-Instruct", "L40S", "fp8", tables=TABLES)
    start = log.apply(predicted.predict(TABLES))
    assert {s.name for s in start.stages if s.basis == "measured"} == set(log.stage_s) | {"load"}
    assert start["load"].median_s == 0
    assert start["load"].note == "measured within fetch"
    for name, seconds in log.stage_s.items():
        assert start[name].median_s == seconds


def test_host_factors_undo_the_models_own():
    """A log made from the model's own prediction gives back the host's factors."""
    inputs = start_inputs_for("modal", "Llama-3.1-8B-Instruct", "L40S", "bf16", tables=TABLES)
    start = inputs.predict(TABLES)
    rows = "\n".join(
        f"{name},{start[name].median_s}" for name in ("engine_init", "compile", "graph_capture")
    )
    factors = read_start_log(f"stage,seconds\n{rows}").host_factors(inputs, TABLES)
    host = TABLES.hosts[inputs.host]
    assert factors["engine_init_factor"] == pytest.approx(host.engine_init_factor)
    assert factors["compile_factor"] == pytest.approx(host.compile_factor)
    assert factors["capture_factor"] == pytest.approx(host.capture_factor)
    again = read_start_log(f"stage,seconds\n{rows}").calibrate(inputs, TABLES).predict(TABLES)
    assert again.typical_s == pytest.approx(start.typical_s)


def test_only_the_recognised_part_of_a_line_is_kept():
    """Nothing private in the log survives: no model, no image, no line that was not understood."""
    for text in (V1, V1_TWO_RANKS, V0, SGLANG, PODS):
        secret = text.replace("INFO ", "INFO token=hunter2 ")
        kept = repr(read_start_log(secret))
        assert "hunter2" not in kept
        assert "secret-org" not in kept
        assert "reg/x" not in kept


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("nothing of note\nhappened here", "Loading weights took"),
        ("stage,seconds\nwarp,3", "row 2: expected a stage"),
        ("stage,seconds\ncompile,soon", "row 2, column seconds"),
        ("stage,seconds\ncompile,-1", "row 2, column seconds"),
        ("stage,seconds\n", "no rows"),
        ("0, 0", "more than 0"),
    ],
)
def test_what_cannot_be_read_is_refused_with_an_example(text, message):
    """Each refusal says what was looked for or where the fault is."""
    with pytest.raises(InputError, match=message):
        read_start_log(text)


@given(st.text(max_size=300))
def test_any_text_is_either_read_or_refused(text):
    """No text makes the reader fail in another way, and no stage it returns is negative."""
    try:
        log = read_start_log(text)
    except InputError:
        return
    assert log.runs_s
    assert all(name in (*STAGES, "total") for name in log.runs_s)
    assert all(run >= 0 for runs in log.runs_s.values() for run in runs)
