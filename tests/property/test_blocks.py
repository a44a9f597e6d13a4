"""A run in blocks is the run in one piece, to the bit, wherever the seams lie."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

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
from frontier.trace import TraceReport, make_trace, with_cached_share
from frontier.trace.generate import NOMINAL_MONDAY
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
