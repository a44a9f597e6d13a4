"""A run in blocks is the run in one piece, to the bit, wherever the seams lie."""

from __future__ import annotations

import csv
import dataclasses
import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from frontier import cli
from frontier.blocks.carried import CacheRules, Carried
from frontier.blocks.runs import Block, Whole
from frontier.blocks.sweeping import sweep_in_blocks
from frontier.blocks.tally import ERROR_SHARE, Tally
from frontier.errors import InputError
from frontier.plans.grid import default_grid, mitigated_plan, scale_to_zero_plans
from frontier.plans.menu import mitigation_menu
from frontier.plans.nodes import NodeChoice
from frontier.plans.scenario import Scenario, deploy
from frontier.simulate import RunResult, ground_of
from frontier.sweep import simulate_plans
from frontier.tables import load_tables
from frontier.trace import TraceQuestion, TraceReport, make_trace, read_trace, with_cached_share
from frontier.trace import spooled as spooling
from frontier.trace.generate import NOMINAL_MONDAY
from frontier.trace.spooled import spool
from tests.property.test_simulation import draw_case, draw_case_on_nodes, draw_engine
from tests.property.test_ticks import draw_scaler, with_scaler

SEEDS = range(60)
TABLES = load_tables()
OF_REQUESTS = [
    name for name in RunResult.__slots__ if name not in ("sessions", "horizon_s", "delay_s")
]


def in_blocks(case, seams):
    """Serve a case in the blocks between these seams and return what came of it, by name."""
    n = case.arrival_s.size
    prefix = case.prefix
    ground = ground_of(
        case.policy,
        case.decode_step_s,
        case.cold_start_s,
        case.pod_start_s,
        horizon_s=case.horizon_s,
        requests=n,
    )
    run = Carried(
        case.policy,
        ground,
        is_chunked=case.prefill_chunks is not None,
        caches=None if prefix is None else CacheRules(prefix.cache_tokens, prefix.least_prefill_s),
    )
    rows = {
        "request": np.arange(n),
        "arrival_s": case.arrival_s,
        "prefill_s": case.prefill_s,
        "output_tokens": case.output_tokens,
    }
    if case.prefill_chunks is not None:
        rows["chunks"] = case.prefill_chunks
    if prefix is not None:
        rows |= {"parent": prefix.parent, "saved_s": prefix.saved_s, "tokens": prefix.tokens}
    parts = []
    for begin, end in zip([0, *seams], [*seams, n], strict=True):
        block = {name: values[begin:end] for name, values in rows.items()}
        parts.append(run.take(block, next_s=float(case.arrival_s[end]) if end < n else None))
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    order = np.argsort(found["request"], kind="stable")
    found = {name: values[order] for name, values in found.items()}
    found["ttft_s"] = found["first_token_s"] - found["arrival_s"]
    found["rejected"] = np.isinf(found["finish_s"])
    return found, run.sessions(case.horizon_s)


def check(case, seed):
    n = case.arrival_s.size
    rng = np.random.default_rng([seed, 29])
    whole = case.run()
    # Seams may coincide: the block between them is empty. None stands behind the last request.
    each = list(range(1, n))
    few = sorted(int(at) for at in rng.integers(0, n, rng.integers(1, 6))) if n else []
    for seams in (few, each):
        found, sessions = in_blocks(case, seams)
        assert found["request"].tolist() == list(range(n))
        for name in OF_REQUESTS:
            np.testing.assert_array_equal(found[name], getattr(whole, name), err_msg=name)
        assert sessions.dtype == whole.sessions.dtype
        np.testing.assert_array_equal(sessions, whole.sessions)


@pytest.mark.parametrize("on_grid", [False, True], ids=["continuous", "full of ties"])
@pytest.mark.parametrize("draw", [draw_case, draw_engine, draw_case_on_nodes])
def test_a_run_in_blocks_is_the_run_in_one_piece(draw, on_grid):
    """Every request and every session, whatever the policy, with a seam before each request too."""
    for seed in SEEDS:
        check(draw(seed, on_grid=on_grid), seed)


@pytest.mark.parametrize("on_grid", [False, True], ids=["continuous", "full of ties"])
def test_a_scaler_that_ticks_goes_on_over_a_seam(on_grid):
    """What it remembers of the ticks, panics and averages is carried, also on the tick itself."""
    for seed in SEEDS:
        draw = (draw_case, draw_engine, draw_case_on_nodes)[seed % 3]
        case = with_scaler(draw(seed, on_grid=on_grid), draw_scaler(seed, on_grid=on_grid))
        check(case, seed)


@pytest.mark.parametrize("size", [0, 1, 300, 20_000])
def test_a_percentile_is_exact_or_within_the_bound_in_whatever_order_values_come(size):
    """A few values are kept, and so are the longest that were asked for; some may be infinite."""
    rng = np.random.default_rng(size)
    values = rng.lognormal(0, 3, size)
    values[: size // 500] = np.inf
    values[size // 2 : size // 2 + size // 100] = 0.0
    expected = np.sort(values)
    tally = Tally(longest=size // 50)
    for part in np.array_split(rng.permutation(values), 7):
        tally.add(part)
    assert tally.size == size
    for q in (0, 1, 50, 90, 98.5, 99, 99.9, 100) if size else ():
        found, wanted = tally.percentile(q), np.percentile(expected, q, method="inverted_cdf")
        exact = size < 4000 or q >= 98.5
        assert found == (wanted if exact else pytest.approx(wanted, rel=ERROR_SHARE, abs=0))


def blocks_of(trace, size):
    """Return what gives the blocks of a trace in memory, from a request on."""

    def blocks(first):
        for begin in range(first, trace.arrival_s.size, size):
            end = min(begin + size, trace.arrival_s.size)
            of = slice(begin, end)
            is_last = end == trace.arrival_s.size
            yield Block(
                begin,
                trace.arrival_s[of],
                trace.prompt_tokens[of],
                trace.output_tokens[of],
                None if is_last else float(trace.arrival_s[end]),
                None if trace.prefix_parent is None else trace.prefix_parent[of],
                None if trace.shared_tokens is None else trace.shared_tokens[of],
            )

    return blocks


def swept(plans, trace, size=700, *, tables=TABLES, **how):
    whole = Whole(
        trace.arrival_s.size,
        int(trace.prompt_tokens.sum() + trace.output_tokens.sum()),
        trace.horizon_s,
        trace.prefix_parent is not None,
    )
    return sweep_in_blocks(
        plans, how.pop("blocks", blocks_of(trace, size)), whole, tables,
        trace_digest=trace.digest, **how,
    )  # fmt: skip


def assert_same_outcomes(found, expected, *, share=0.0):
    """Sessions and counts are the same to the bit, percentiles within a share of themselves."""
    assert [one.plan.plan_id for one in found] == [one.plan.plan_id for one in expected]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.sessions, other.sessions)
        assert (one.requests, one.tokens) == (other.requests, other.tokens)
        np.testing.assert_allclose(one.ttft_of_thousand_s, other.ttft_of_thousand_s, rtol=share)
        for name, value in dataclasses.asdict(other.latency).items():
            exact = name in ("p99_ttft_s", "p999_ttft_s", "max_ttft_s") or name.endswith("share")
            assert getattr(one.latency, name) == (
                value if exact else pytest.approx(value, rel=share, abs=0)
            ), (one.plan.plan_id, name)


def traffic(days=3, *, each=1):
    """Return hours of quiet, bursts that fill several replicas, and single requests between."""
    rng = np.random.default_rng(3)
    hours = np.arange(9, 24 * days, 5)
    bursts = [hour * 3600 + np.sort(rng.uniform(0, 120, 200 * each)) for hour in hours]
    lone = rng.uniform(0, 24 * days * 3600, 300)
    arrival_s = np.sort(np.concatenate([*bursts, lone]))
    n = arrival_s.size
    return make_trace(
        "bursts",
        arrival_s,
        rng.integers(10, 6000, n),
        rng.integers(1, 500, n),
        horizon_s=24 * days * 3600.0,
        t0_utc=NOMINAL_MONDAY,
        report=TraceReport("bursts", "s", n, n),
    )


SCENARIO = Scenario("Llama-3.1-8B-Instruct", "bf16", "modal-l40s", "crusoe-l40s", 2.0)
SPOT = "hyperstack-h100-pcie-spot"
NODES = NodeChoice("karpenter", "keda")
GRIDS = {
    "as shipped": {},
    "on spot machines": {"dedicated_offer": SPOT, "interruptions_per_h": 0.5},
    "knative": {"autoscaler": "knative"},
    "keda": {"autoscaler": "keda-hpa"},
    "on nodes": {"serverless_offer": "crusoe-l40s", "nodes": NODES},
    "with prefixes": {"by_prefix": True},
}


@pytest.mark.parametrize("which", [*GRIDS, "every mitigation"])
def test_every_plan_does_in_blocks_what_it_does_in_one_piece(which):
    """Whatever families, autoscalers, mitigations, nodes, outages and caches a grid has."""
    scenario = dataclasses.replace(SCENARIO, **GRIDS.get(which, {}))
    trace = with_cached_share(traffic(), 0.5 if scenario.by_prefix else 0.0)
    deployment = deploy(scenario, trace, TABLES)
    plans = default_grid(deployment, trace, TABLES)[::3]
    assert len({plan.family.key for plan in plans}) > 2
    if which == "every mitigation":
        menu = mitigation_menu(
            deployment, trace, TABLES, asleep_held_fraction=0.1, warm_windows=[(3600.0, 7200.0)]
        )
        plans = [mitigated_plan(deployment, (item,), TABLES) for item in menu.usable.values()]
    found = swept(plans, trace)
    assert not found.left_out
    assert_same_outcomes(found.outcomes, simulate_plans(plans, trace, TABLES))


def test_percentiles_of_more_than_a_few_requests_lie_within_the_bound():
    """The p99 and beyond, counts and sessions stay exact."""
    trace = traffic(each=6)
    assert trace.arrival_s.size > 10_000
    plans = default_grid(deploy(SCENARIO, trace, TABLES), trace, TABLES)[::10]
    expected = simulate_plans(plans, trace, TABLES)
    assert_same_outcomes(swept(plans, trace, 3000).outcomes, expected, share=ERROR_SHARE)


def test_a_plan_that_falls_behind_for_good_is_left_out_with_a_sentence():
    """It says how many requests wait and since when; the others are as if it had not been there."""
    trace = traffic(each=3)
    plans = default_grid(deploy(SCENARIO, trace, TABLES), trace, TABLES)[::6]
    settings = dict(TABLES.settings)
    few = dataclasses.replace(settings["blocks_most_waiting"], value=500)
    settings["blocks_most_waiting"] = few
    found = swept(plans, trace, 1000, tables=dataclasses.replace(TABLES, settings=settings))
    assert found.left_out
    assert all("cannot keep up" in sentence for sentence in found.left_out)
    assert 0 < len(found.outcomes) == len(plans) - len(found.left_out)


def test_on_nodes_that_are_spot_machines_a_plan_is_refused():
    """Their outages hang on sessions that are not over yet."""
    nodes = dataclasses.replace(SCENARIO, serverless_offer=SPOT, nodes=NODES)
    trace = traffic()
    plans = list(scale_to_zero_plans(deploy(nodes, trace, TABLES), TABLES))[:2]
    found = swept(plans, trace)
    assert not found.outcomes
    assert all("nodes are spot machines" in sentence for sentence in found.left_out)


class Stop(Exception):
    pass


@pytest.mark.parametrize("which", ["as shipped", "on spot machines", "keda", "with prefixes"])
def test_a_sweep_goes_on_from_its_file_to_the_same_result(which, tmp_path):
    """The file is written at every seam, and the sweep is stopped after each and begun again."""
    scenario = dataclasses.replace(SCENARIO, **GRIDS[which])
    trace = with_cached_share(traffic(), 0.5 if scenario.by_prefix else 0.0)
    plans = default_grid(deploy(scenario, trace, TABLES), trace, TABLES)[::15]
    whole = swept(plans, trace)
    kept = tmp_path / "state.npz"

    def but_one(first):
        for number, block in enumerate(blocks_of(trace, 1000)(first)):
            if number == 1:
                raise Stop
            yield block

    stops = 0
    while True:
        how = {"checkpoint": kept, "checkpoint_every_s": 0.0, "resume": stops > 0}
        try:
            found = swept(plans, trace, blocks=but_one, **how)
        except Stop:
            stops += 1
            continue
        break
    assert stops == trace.arrival_s.size // 1000
    assert not kept.exists()
    assert_same_outcomes(found.outcomes, whole.outcomes)


def test_a_file_of_another_sweep_is_refused(tmp_path):
    """Other plans, or other requests; and one that is damaged, or is not there."""
    trace, other = traffic(), traffic(each=2)
    plans = default_grid(deploy(SCENARIO, trace, TABLES), trace, TABLES)[:4]
    kept = tmp_path / "state.npz"

    def first(position):
        for block in blocks_of(trace, 700)(position):
            if position or block.first:
                raise Stop
            yield block

    with pytest.raises(Stop):
        swept(plans, trace, blocks=first, checkpoint=kept, checkpoint_every_s=0.0)
    for some, of in ((plans[:3], trace), (plans, other)):
        with pytest.raises(InputError, match="another sweep"):
            swept(some, of, checkpoint=kept, resume=True)
    with pytest.raises(InputError, match="nothing to resume"):
        swept(plans, trace, checkpoint=tmp_path / "none.npz", resume=True)
    kept.write_bytes(kept.read_bytes()[:-100])
    with pytest.raises(InputError, match="damaged"):
        swept(plans, trace, checkpoint=kept, resume=True)


ROOT = Path(__file__).resolve().parents[2]
START = np.datetime64("2026-03-02T08:00:00", "us")


def files(folder, *parts, name="part-{}.parquet", **changed):
    """Write a data set of these (times in seconds, prompts, outputs), a file each."""
    folder.mkdir(exist_ok=True)
    for number, (at_s, prompts, outputs) in enumerate(parts, 9):
        us = START + np.rint(np.asarray(at_s) * 1e6).astype(np.int64).astype("timedelta64[us]")
        columns = {
            "timestamp": pa.array(us, pa.timestamp("us", "UTC")),
            "prompt_tokens": prompts,
            "output_tokens": outputs,
        }
        parquet.write_table(pa.table(columns | changed), folder / name.format(number))
    return folder


def parts_of(trace, *cuts):
    ends = [0, *cuts, trace.arrival_s.size]
    return [
        (trace.arrival_s[a:b], trace.prompt_tokens[a:b], trace.output_tokens[a:b])
        for a, b in itertools.pairwise(ends)
    ]


def as_one(folder, path):
    """Write the files of a data set as one, and read that in one piece."""
    found = [parquet.read_table(file) for file in spooling.files_of(folder)]
    parquet.write_table(pa.concat_tables(found), path)
    return read_trace(path, max_rows=10**6, losses="accept")


def test_a_data_set_is_read_as_its_files_in_one(tmp_path, monkeypatch):
    """Rows late or broken, missing and empty counts: the same requests, digest and sentences.

    Names are in the order of their numbers, 9 before 10.
    """
    monkeypatch.setattr(spooling, "PIECE", 500)
    trace = traffic()
    rng = np.random.default_rng(1)
    late = trace.arrival_s + rng.uniform(0, 30, trace.arrival_s.size)
    prompts = trace.prompt_tokens.astype(object)
    outputs = trace.output_tokens.astype(object)
    prompts[5], prompts[900], outputs[7], outputs[1000:1010] = -3, None, None, 0
    cuts = (0, 800, 1700, None)
    parts = [
        (late[a:b], pa.array(prompts[a:b].tolist(), pa.int32()), outputs[a:b].tolist())
        for a, b in itertools.pairwise(cuts)
    ]
    folder = files(tmp_path / "set", *parts)
    found = spool(folder, tmp_path / "columns", tables=TABLES)
    expected = as_one(folder, tmp_path / "one.parquet")
    assert found.digest == expected.digest
    assert found.tokens == int(expected.prompt_tokens.sum() + expected.output_tokens.sum())
    for name in ("t0_utc", "horizon_s", "resolution_s"):
        assert getattr(found, name) == getattr(expected, name)
    for name in ("format", "time_unit", "rows_read", "kept", "dropped", "zones"):
        assert getattr(found.report, name) == getattr(expected.report, name), name
    for sentence in (*expected.report.notes, *expected.report.assumed):
        if "0 output tokens" not in sentence:
            assert sentence in (*found.report.notes, *found.report.assumed)
    # A second time nothing is read, unless a file has changed.
    monkeypatch.setattr(spooling, "_Reading", None)
    assert spool(folder, tmp_path / "columns", tables=TABLES) == found
    os.utime(folder / "part-9.parquet", (1, 1))
    with pytest.raises(TypeError):
        spool(folder, tmp_path / "columns", tables=TABLES)


def test_plans_are_made_of_a_data_set_as_of_a_trace(tmp_path, monkeypatch):
    """Speeds, sizes and schedules do not hang on the pieces that requests are looked at in."""
    monkeypatch.setattr(spooling, "PIECE", 300)
    trace = traffic()
    folder = files(tmp_path / "set", *parts_of(trace))
    found = spool(folder, tmp_path / "columns", tables=TABLES)
    expected = as_one(folder, tmp_path / "one.parquet")
    for which in ("as shipped", "on spot machines", "on nodes"):
        scenario = dataclasses.replace(SCENARIO, **GRIDS[which])
        one, other = (
            default_grid(deploy(scenario, of, TABLES), of, TABLES) for of in (found, expected)
        )
        assert [repr(plan) for plan in one] == [repr(plan) for plan in other]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"timestamp": ["soon"] * 3}, "no readable time"),
        ({"cached_tokens": [0, 4, 4]}, "which prompts begin alike"),
        ({"num_requests": [4, 5, 6]}, "count requests|counts requests"),
    ],
)
def test_what_takes_all_rows_at_once_is_refused_in_words(changed, words, tmp_path):
    folder = files(tmp_path / "set", ([0, 60, 120], [10, 10, 10], [5, 5, 5]), **changed)
    with pytest.raises(InputError, match=words):
        spool(folder, tmp_path / "columns", tables=TABLES)


def test_files_that_overlap_or_differ_are_refused_by_name(tmp_path, monkeypatch):
    """Files follow one another in time; a row that is a little late is put in order."""
    monkeypatch.setattr(spooling, "PIECE", 10)
    rows = np.arange(100.0)
    one = np.ones(100, np.int32)
    folder = files(tmp_path / "a", (rows, one, one), (rows + 50, one, one))
    with pytest.raises(InputError, match=r"'part-10\.parquet' holds requests that came before"):
        spool(folder, tmp_path / "columns", tables=TABLES)
    folder = files(tmp_path / "b", (rows, one, one), (rows + 95, one, one))
    found = spool(folder, tmp_path / "columns", tables=TABLES)
    assert any("out of order" in sentence for sentence in found.report.notes)
    files(tmp_path / "b", (rows, one, one), name="z.parquet", prompt_tokens=one, model=["m"] * 100)
    with pytest.raises(InputError, match=r"'z\.parquet' has other columns than 'part-9\.parquet'"):
        spool(tmp_path / "b", tmp_path / "columns", tables=TABLES)
    with pytest.raises(InputError, match="no folder of them"):
        spool(tmp_path / "none", tmp_path / "columns", tables=TABLES)


def test_several_models_are_asked_about_and_one_is_kept(tmp_path):
    rows, one = np.arange(30.0), np.ones(30, np.int32)
    folder = files(tmp_path / "set", (rows, one, one), model=["large", "small", "small"] * 10)
    with pytest.raises(TraceQuestion, match="2 models"):
        spool(folder, tmp_path / "columns", tables=TABLES)
    found = spool(folder, tmp_path / "columns", tables=TABLES, model="small")
    assert found.arrival_s.size == 20
    assert found.report.dropped == {"requests to other models": 10}


def command(folder, state, out):
    return [
        *("sweep", "--trace", str(folder), "--blocks", str(state), "--out", str(out)),
        *("--model", "Llama-3.1-8B-Instruct", "--serverless", "modal-l40s"),
        *("--dedicated", "crusoe-l40s", "--slo-p99-ttft", "2", "--most-plans", "12"),
        *("--block-requests", "400", "--checkpoint-every", "0"),
    ]


def test_a_killed_command_goes_on_where_it_was_to_the_identical_table(tmp_path, capsys):
    """A process is killed in the middle, without a chance to tidy up, and resumed by another."""
    folder = files(tmp_path / "set", *parts_of(traffic(), 2000))
    assert cli.main(command(folder, tmp_path / "whole", tmp_path / "whole.csv")) == 0
    said = capsys.readouterr()
    assert "Served in blocks of 400 requests" in said.out
    # Slowed down, so that it is killed before its end and not after.
    code = """
import sys, time
from frontier import cli
from frontier.blocks import sweeping
serve = sweeping._serve
sweeping._serve = lambda block, run, stop: (time.sleep(0.05), serve(block, run, stop))
cli.main(sys.argv[1:])
"""
    state = tmp_path / "state"
    child = subprocess.Popen(
        [sys.executable, "-c", code, *command(folder, state, tmp_path / "killed.csv")],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
    )
    kept = state / "state.npz"
    until = time.monotonic() + 120
    while not kept.exists() and child.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert kept.exists()
    assert not (tmp_path / "killed.csv").exists()
    assert cli.main([*command(folder, state, tmp_path / "resumed.csv"), "--resume"]) == 0
    assert not kept.exists()
    one, other = ((tmp_path / f"{name}.csv").read_bytes() for name in ("whole", "resumed"))
    assert one == other
    assert len(list(csv.DictReader(one.decode().splitlines()))) == 12


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--resume"], "--resume needs --blocks"),
        (["--blocks", "x", "--scheduler", "tcp://a:1"], "--scheduler does not go together"),
        (["--blocks", "x", "--trace", "other"], "one data set"),
        (["--blocks", "x", "--block-requests", "0"], "at least 1"),
        (["--blocks", "x"], "no file or folder 'none'"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, words, capsys):
    asked = ["sweep", "--trace", "none", "--model", "Llama-3.1-8B-Instruct", "--serverless"]
    assert cli.main([*asked, "modal-l40s", "--dedicated", "crusoe-l40s", *options]) == 2
    assert words in capsys.readouterr().err
