"""Random logs composed of known lines are read back as the runs they were made of."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontier.errors import InputError
from frontier.start.log import read_start_log

SECONDS = st.integers(1, 59)
ENDS = st.sampled_from(["ready", "failure", "cut"])
CARRIERS = st.sampled_from(["", "\x1b[36m", "2026-03-04T05:06:07.1Z stdout F ", "web-1 | "])
DRAFTER = st.one_of(st.none(), st.tuples(SECONDS, SECONDS))
RUN = st.tuples(SECONDS, SECONDS, SECONDS, SECONDS, DRAFTER, ENDS, st.integers(1, 2))


def composed(run: tuple) -> list[str]:
    """Return the lines of one vLLM start; ranks print what the first one prints, but sooner."""
    load, compile_s, capture, rest, drafter, end, ranks = run
    whole_load = load + (drafter[0] if drafter else 0)
    whole_compile = compile_s + (drafter[1] if drafter else 0)
    rows = ["(APIServer pid=1) vLLM API server version 0.20.1"]
    for rank in reversed(range(ranks)):
        tag = f"(Worker_TP{rank} pid={70 + rank})"
        less = 0 if rank == 0 else 0.5
        rows.append(f"{tag} Starting to load model org/m...")
        rows.append(f"{tag} Loading weights took {load - less:.2f} seconds")
        if drafter:
            rows.append(f"{tag} Loading drafter model...")
            rows.append(f"{tag} Loading weights took {drafter[0] - less:.2f} seconds")
        rows.append(f"{tag} Model loading took 9.9 GiB memory and {whole_load - less:.6f} seconds")
    for rank in reversed(range(ranks)):
        tag = f"(Worker_TP{rank} pid={70 + rank})"
        for seconds in (compile_s, *((drafter[1],) if drafter else ())):
            rows.append(f"{tag} Dynamo bytecode transform time: {seconds / 4:.2f} s")
            rows.append(f"{tag} torch.compile took {seconds:.2f} s in total")
    if end != "ready":
        return rows + ["torch.OutOfMemoryError: CUDA out of memory."] * (end == "failure")
    whole = whole_compile + capture + rest
    return [
        *rows,
        f"(Worker_TP0 pid=70) Graph capturing finished in {capture} secs, took 0.20 GiB",
        f"(EngineCore pid=9) init engine (profile, create kv cache, warmup model) took {whole} s",
        "(APIServer pid=1) INFO:     Application startup complete.",
    ]


@given(st.lists(RUN, min_size=1, max_size=4), CARRIERS)
def test_runs_are_read_back_as_they_were_composed(runs, carrier):
    """Ready runs give their seconds in order; failed and cut ones are counted and give none.

    A log that merely ends is a start still under way: what it has said counts.
    """
    text = "\n".join(carrier + row for run in runs for row in composed(run))
    good = [run for run in runs if run[5] == "ready"]
    open_end = runs[-1][5] == "cut"
    if not good and not open_end:
        with pytest.raises(InputError, match="failed start"):
            read_start_log(text)
        return
    log = read_start_log(text)
    loaded = [*good, *([runs[-1]] if open_end else [])]
    assert log.runs_s["fetch"] == tuple(
        pytest.approx(run[0] + (run[4][0] if run[4] else 0)) for run in loaded
    )
    assert log.runs_s["compile"] == tuple(
        pytest.approx(run[1] + (run[4][1] if run[4] else 0)) for run in loaded
    )
    assert log.runs_s.get("graph_capture", ()) == tuple(run[2] for run in good)
    assert log.runs_s.get("kv_cache", ()) == tuple(pytest.approx(run[3]) for run in good)
    assert len(log.failed) == len(runs) - len(loaded)


POD = st.tuples(st.integers(1, 200), st.integers(1, 60), st.integers(1, 120), st.booleans())


@given(st.lists(POD, min_size=1, max_size=3), st.sampled_from(["plain", "namespace", "describe"]))
def test_pods_are_read_back_alike_in_every_form_of_text(pods, form):
    """Pull, boot and the time of a loader container come back, one start a pod."""
    text = ""
    for number, (pull, boot, fetch, has_loader) in enumerate(pods):
        at = 0
        events = [(at, "Scheduled", "Successfully assigned ns/p to n")]
        if has_loader:
            events.append((at, "Pulled", 'Container image "x/init:1" already present on machine'))
            events.append((at, "Started", "Started container model-loader"))
            at += fetch
        events.append((at, "Pulling", 'Pulling image "v/v:1"'))
        at += pull
        took = f"in {pull // 60}m{pull % 60}s ({pull}s including waiting)"
        events.append((at, "Pulled", f'Successfully pulled image "v/v:1" {took}'))
        events.append((at + boot, "Started", "Started container engine"))
        text += f"Name:   pod-{number}\nEvents:\n" if form == "describe" else ""
        for when, reason, message in events:
            ago = 550 - when
            age = f"{ago // 60}m{ago % 60}s"
            if form == "describe":
                text += f"  Normal  {reason}  {age}  kubelet  {message}\n"
            else:
                space = "default  " if form == "namespace" else ""
                text += f"{space}{age}  Normal  {reason}  pod/pod-{number}  {message}\n"
    log = read_start_log(text)
    assert log.runs_s["pull"] == tuple(pytest.approx(pod[0]) for pod in pods)
    assert log.runs_s["boot"] == tuple(pod[1] for pod in pods)
    assert log.runs_s.get("fetch", ()) == tuple(pod[2] for pod in pods if pod[3])
    assert len(log.starts) == len(pods)
