"""Laws of a sweep: prices never move a latency, plans share their luck, a stop is a stop."""

from __future__ import annotations

import dataclasses
import gc
import operator
import threading
from types import MappingProxyType

import numpy as np
import pandas as pd
import pytest

from frontier import held
from frontier import rivals as rivals_module
from frontier.billing import Terms, bill
from frontier.charts.frontier_chart import frontier_figure
from frontier.charts.frontier_chart import frontier_table as chart_points
from frontier.crew import Threads
from frontier.errors import InfeasibleError, InputError
from frontier.plans.families import BOUND, DEDICATED, HYBRID
from frontier.plans.grid import default_grid, first_look, offer_grid
from frontier.plans.scenario import Scenario, deploy, deploy_at, supply_of
from frontier.rivals import Change, Rivals, usd_per_month
from frontier.serve import simulate_plan
from frontier.sweep import (
    LIST_DEAL,
    Deal,
    basis_of_outcome,
    bill_outcome,
    frontier_table,
    rerun,
    run_key,
    simulate_plans,
    start_draws,
    sweep,
    unstarted_key,
)
from frontier.tables import load_tables
from frontier.trace import TraceReport, make_trace
from frontier.verdict import find_verdict
from frontier.waits import explain

SCENARIO = Scenario("Llama-3.1-8B-Instruct", "bf16", "modal-l40s", "crusoe-l40s", 2.0)


def make(arrival_s, *, prompt=1000, output=200, horizon_s=None):
    """Return a trace of equal requests."""
    size = len(arrival_s)
    return make_trace(
        "made",
        arrival_s,
        np.full(size, prompt),
        np.full(size, output),
        horizon_s=horizon_s,
        report=TraceReport("made", "s", size, size),
    )


@pytest.fixture(scope="module")
def tables():
    return load_tables()


@pytest.fixture(scope="module")
def trace():
    """Two days of sparse requests, and a burst in which one replica is not enough."""
    generator = np.random.default_rng(11)
    sparse = generator.uniform(0, 172_800, 400)
    burst = 90_000 + generator.uniform(0, 30, 300)
    return make(np.sort(np.concatenate([sparse, burst])), horizon_s=172_800.0)


@pytest.fixture(scope="module")
def deployment(trace, tables):
    return deploy(SCENARIO, trace, tables)


@pytest.fixture(scope="module")
def outcomes(deployment, trace, tables):
    return sweep(default_grid(deployment, trace, tables), trace, tables)


@pytest.fixture(scope="module")
def table(outcomes, tables):
    return frontier_table(outcomes, tables, slo_p99_ttft_s=2.0)


def repriced(tables, factor):
    """Return the tables with every price times a factor."""
    offers = {
        key: dataclasses.replace(offer, usd_per_gpu_h=offer.usd_per_gpu_h * factor)
        for key, offer in tables.offers.items()
    }
    return dataclasses.replace(tables, offers=MappingProxyType(offers))


def test_no_price_changes_a_latency_and_none_is_simulated_again(outcomes, tables, table):
    """Twice the price: the same waits, a dearer bill, and the same kept sessions."""
    dearer = frontier_table(outcomes, repriced(tables, 2.0), slo_p99_ttft_s=2.0)
    for column in table.columns[table.columns.str.endswith("_ttft_s")]:
        pd.testing.assert_series_equal(table[column], dearer[column])
    assert (dearer["usd_per_month"] > table["usd_per_month"]).all()


def test_plan_ids_are_unique_and_labels_tell_plans_apart(table):
    """A link names one plan, and so does the list."""
    assert table["plan_id"].is_unique
    assert table["label"].is_unique


def test_a_bill_adds_up_to_the_total_of_the_table(outcomes, tables, table):
    """The lines of each plan's bill are its dollars a month."""
    hours = tables.setting("hours_per_month")
    for outcome, usd in zip(outcomes, table["usd_per_month"], strict=True):
        lines = bill_outcome(outcome, tables).lines_per_month(hours)
        assert sum(lines.values()) == pytest.approx(usd)


def test_no_efficient_plan_is_beaten_and_what_is_left_out_has_one_as_good(table, tables):
    """Checked pair by pair, the bound aside; as good is within the tolerance of data/."""
    real = table[table["family"] != BOUND.key]
    cost, wait = real["usd_per_month"].to_numpy(), real["p99_ttft_s"].to_numpy()
    no_worse = (cost[:, None] <= cost) & (wait[:, None] <= wait)
    better = (cost[:, None] < cost) | (wait[:, None] < wait)
    kept = real["efficient"].to_numpy()
    assert not (no_worse & better).any(axis=0)[kept].any()
    setting = tables.setting
    slack = np.maximum(setting("p99_tolerance") * wait, setting("p99_tolerance_s"))
    dearest = cost * (1 + setting("cost_tolerance"))
    as_good = (cost[:, None] <= dearest) & ((wait - slack)[:, None] <= wait)
    assert as_good[kept].any(axis=0)[np.isfinite(wait)].all()


def test_no_real_plan_without_waits_costs_less_than_the_clairvoyant_bound(table):
    """Whoever knows the trace pays least of all serverless plans that make nobody wait."""
    bound = table.loc[table["family"] == BOUND.key, "usd_per_month"].item()
    warm = table[(table["waited_on_start_share"] == 0) & (table["offer_id"] == "modal-l40s")]
    warm = warm[~warm["family"].isin((BOUND.key, HYBRID.key))]
    assert len(warm)
    assert (warm["usd_per_month"] >= bound - 1e-6).all()


def test_more_always_on_replicas_never_wait_longer_and_cost_in_proportion(table):
    """Dedicated 1…n: the p99 falls or stays, the bill is n times the first."""
    dedicated = table[table["family"] == DEDICATED.key].sort_values("max_replicas")
    assert len(dedicated) >= 2
    assert (np.diff(dedicated["p99_ttft_s"]) <= 1e-9).all()
    per_replica = dedicated["usd_per_month"] / dedicated["max_replicas"]
    np.testing.assert_allclose(per_replica, per_replica.iloc[0])


def test_a_hybrid_base_is_billed_at_the_dedicated_offer(outcomes, tables):
    """Dearer serverless makes a hybrid dearer by less than its overflow costs; a free one not."""
    hybrid = next(o for o in outcomes if o.plan.family == HYBRID)
    only_base = outcomes[[o.plan.plan_id for o in outcomes].index("dedicated-1")]
    base_usd = bill_outcome(only_base, tables).usd_span
    assert bill_outcome(hybrid, tables).usd_span >= base_usd - 1e-6
    cheap = dataclasses.replace(
        tables.offers["modal-l40s"], usd_per_gpu_h=1e-9, usd_per_vcpu_s=None, usd_per_gib_s=None
    )
    free = dataclasses.replace(
        tables, offers=MappingProxyType({**tables.offers, "modal-l40s": cheap})
    )
    assert bill_outcome(hybrid, free).usd_span == pytest.approx(base_usd, rel=1e-2)


def test_a_rerun_gives_the_arrays_behind_the_percentiles(outcomes, trace):
    """What was kept of a run and what it gives again are the same run."""
    outcome = outcomes[0]
    again = rerun(outcome, trace)
    assert again.ttft_percentile(99) == outcome.latency.p99_ttft_s
    np.testing.assert_array_equal(again.sessions, outcome.sessions)


def test_results_do_not_depend_on_the_number_of_threads(deployment, trace, tables):
    """One worker or four: the same outcomes in the same order."""
    plans = default_grid(deployment, trace, tables)[:12]
    one = simulate_plans(plans, trace, tables, crew=Threads(1))
    four = simulate_plans(plans, trace, tables, crew=Threads(4))
    assert [o.latency for o in one] == [o.latency for o in four]


def test_what_differs_in_its_bill_alone_is_simulated_once(deployment, trace, tables):
    """Another offer, label or commitment shares a run; what a run hangs on makes a new one."""
    simulated = []

    class Counting:
        def run(self, work, shared, items, *, progress=None):
            simulated.extend(items)
            return Threads(1).run(work, shared, items, progress=progress)

    grid = default_grid(deployment, trace, tables)
    plain = next(plan for plan in grid if plan.family is not DEDICATED)
    kept = next(plan for plan in grid if plan.family is DEDICATED)
    other = next(plan.start for plan in grid if plan.start != plain.start)
    billed = {"plan_id": "b", "label": "b", "offer_id": "runpod-flex-l40s", "is_committed": True}
    alike = [
        dataclasses.replace(plain, **billed),
        dataclasses.replace(plain, standing=dataclasses.replace(plain.standing, storage_gb=9.0)),
        # What is always on never starts, however long that would take.
        dataclasses.replace(kept, start=other),
    ]
    unlike = [
        dataclasses.replace(plain, start=other),
        dataclasses.replace(plain, retry_s=3.0),
        dataclasses.replace(plain, policy=dataclasses.replace(plain.policy, idle_timeout_s=7.7)),
        dataclasses.replace(plain, speed=plain.speed.slowed(1.5)),
        dataclasses.replace(kept, interruptions_per_h=0.1),
    ]
    plans = [plain, kept, *alike, *unlike]
    together = simulate_plans(plans, trace, tables, crew=Counting())
    assert len(simulated) == 2 + len(unlike)
    for plan, outcome in zip(plans, together, strict=True):
        (alone,) = simulate_plans([plan], trace, tables)
        assert outcome.plan is plan
        assert outcome.latency == alone.latency
        np.testing.assert_array_equal(outcome.sessions, alone.sessions)
        np.testing.assert_array_equal(outcome.stage_s, alone.stage_s)


def _fields(result):
    """Return all that a run holds, field by field, as bytes."""
    return {
        name: getattr(result, name).tobytes()
        for name in type(result).__slots__
        if name != "horizon_s"
    }


def test_runs_of_one_key_are_the_same_to_the_bit(tables):
    """Whatever plans of one key differ in changes no run; nor do starts where none is begun."""
    generator = np.random.default_rng(11)
    calm = make(np.sort(generator.uniform(0, 3_600, 220)), horizon_s=3_600.0)
    burst = np.sort(np.append(calm.arrival_s, 1_800 + generator.uniform(0, 30, 300)))
    same = {"run": 0, "unstarted": 0, "begun": 0}
    for trace in (calm, make(burst, horizon_s=3_600.0)):
        plans = []
        for offer_id in ("replicate-l40s", "koyeb-l40s", "gcp-l4-spot"):
            deployed = deploy_at(SCENARIO, supply_of(offer_id, tables), trace, tables)
            grid = offer_grid(deployed, trace, tables)
            plans += [plan for plan in grid if plan.policy.min_replicas] + [*grid[:12]]
        drawn = start_draws([plan.start for plan in plans], tables)
        runs, unstarted = {}, {}
        for plan in plans:
            draws = drawn[plan.start]
            result = simulate_plan(plan, trace, draws)
            starts = int((result.sessions["cold_start_index"] >= 0).sum())
            key = run_key(plan, draws.total_s.tobytes())
            one, _ = runs.setdefault(key, (result, plan))
            same["run"] += one is not result
            assert _fields(one) == _fields(result)
            lead, of_lead = unstarted.setdefault(unstarted_key(plan, key), (result, plan))
            has_started = bool((lead.sessions["cold_start_index"] >= 0).any())
            assert has_started == (starts > 0)
            if has_started:
                same["begun"] += lead is not one
            else:
                same["unstarted"] += lead is not one
                assert _fields(lead) == _fields(result), (plan.plan_id, of_lead.plan_id)
    assert min(same.values()) > 3, same


def test_a_caller_that_raises_stops_the_threads(deployment, trace, tables):
    """What progress raises comes back, and no worker is left running."""

    class Enough(Exception):
        pass

    def progress(done, total):
        raise Enough

    before = threading.active_count()
    with pytest.raises(Enough):
        simulate_plans(default_grid(deployment, trace, tables), trace, tables, progress=progress)
    assert threading.active_count() <= before


def test_a_first_look_is_part_of_the_grid_and_holds_the_outline(deployment, trace, tables):
    """The provider's default and an always-on plan come first."""
    grid = default_grid(deployment, trace, tables)
    few = first_look(grid)
    assert set(few) <= set(grid)
    assert any(plan.is_provider_default for plan in few)
    assert any(plan.family == DEDICATED for plan in few)


def test_a_retried_request_waits_whole_retries(trace, tables):
    """Where a cold request gets 503, it waits a multiple of the retry until its prompt is read.

    Reading takes its own prefill, and what the answers beside it take meanwhile.
    """
    scenario = dataclasses.replace(SCENARIO, serverless_offer="hf-l40s")
    grid = default_grid(deploy(scenario, trace, tables), trace, tables)
    plan = next(plan for plan in grid if plan.retry_s is not None)
    outcome = simulate_plans([plan], trace, tables)[0]
    result = rerun(outcome, trace)
    cold = result.waited_on_start & ~result.rejected
    assert cold.any()
    parts = explain(result, plan, trace)
    waits_s = result.ttft_s - parts.prompt_s - parts.shared_s - parts.overhead_s
    retries = waits_s[cold] / plan.retry_s
    np.testing.assert_allclose(retries, np.round(retries), atol=1e-6)


def test_the_verdict_names_the_cheapest_plan_under_the_limit(
    outcomes, table, deployment, trace, tables
):
    """At any limit, no plan of the table that holds it is cheaper than the one named."""
    for limit_s in (0.5, 2.0, 60.0, 600.0):
        verdict = find_verdict(
            {outcome.plan.plan_id: outcome for outcome in outcomes},
            table,
            deployment=deployment,
            trace=trace,
            tables=tables,
            deal=LIST_DEAL,
            limit_s=limit_s,
            bases={one.plan.plan_id: basis_of_outcome(one, tables) for one in outcomes},
        )
        holding = table[(table["family"] != BOUND.key) & (table["p99_ttft_s"] <= limit_s)]
        if holding.empty:
            assert verdict.cheapest_within is None
            assert "No plan holds" in verdict.headline
            continue
        least = holding["usd_per_month"].min()
        assert verdict.cheapest_within.usd_per_month == pytest.approx(least)
        assert verdict.headline.startswith("Cheapest plan that holds p99 ≤ ")


def test_equal_plans_are_one_point_that_lists_them(table):
    """The chart has one point a (cost, p99); together its points name every drawn plan once."""
    points = chart_points(table, slo_p99_ttft_s=2.0)
    listed = [plan_id for ids in points["plan_ids"] for plan_id in ids]
    finite = table[np.isfinite(table["p99_ttft_s"])]
    assert sorted(listed) == sorted(finite["plan_id"])
    assert not points[["usd_per_month", "p99_ttft_s"]].round(6).duplicated().any()
    assert frontier_figure(points, slo_p99_ttft_s=2.0, chosen_plan_id=listed[0]).data


def test_a_model_that_does_not_fit_names_the_gpus_it_needs(trace, tables):
    """DeepSeek-R1 on L40S: refused before anything is simulated."""
    scenario = dataclasses.replace(SCENARIO, model="DeepSeek-R1", precision="fp8")
    with pytest.raises(InfeasibleError, match="L40S"):
        deploy(scenario, trace, tables)


def test_a_serverless_offer_is_not_taken_for_a_dedicated_one(trace, tables):
    """Swapped offers are refused by name."""
    scenario = dataclasses.replace(SCENARIO, dedicated_offer="modal-l40s")
    with pytest.raises(InputError, match="modal-l40s"):
        deploy(scenario, trace, tables)


def test_forgotten_sessions_come_back_to_the_bit(deployment, trace, tables):
    """Whatever the store has no room for is simulated again; few rows are never forgotten."""
    outcomes = sweep(default_grid(deployment, trace, tables), trace, tables)
    before = [outcome.sessions for outcome in outcomes]
    held._kept().clear()
    assert any(outcome.held._rows is None for outcome in outcomes)
    for outcome, rows in zip(outcomes, before, strict=True):
        assert outcome.held.count == rows.size
        np.testing.assert_array_equal(outcome.sessions, rows)
        assert (outcome.held._rows is None) == (rows.size > held._FEW_ROWS)


def test_a_bill_needs_no_sessions(outcomes, tables, monkeypatch):
    """What was read beforehand bills as all meters do, under any price; nothing runs again."""
    commitment = next(iter(tables.commitments.values()))
    deals = [
        Deal(),
        Deal(machines=Terms(multiplier=0.7), serverless=Terms(multiplier=1.3)),
        Deal(commitment=commitment),
    ]
    whole = [
        bill(basis_of_outcome(outcome, tables, deal)) for deal in deals for outcome in outcomes
    ]
    held._kept().clear()
    monkeypatch.setattr("frontier.sweep.simulate_plan", pytest.fail)
    for deal in deals[:2]:
        for outcome in outcomes:
            if outcome.plan.family != BOUND:
                bill_outcome(outcome, tables, deal)
    monkeypatch.undo()
    short = [bill_outcome(outcome, tables, deal) for deal in deals for outcome in outcomes]
    for one, other in zip(short, whole, strict=True):
        assert one.usd == other.usd
        assert one.billed_s == pytest.approx(other.billed_s, rel=1e-12)


def test_outcomes_that_go_take_their_sessions_along(deployment, trace, tables):
    """The store of sessions holds nothing of runs that nobody has any more."""
    held._kept().clear()
    outcomes = simulate_plans(first_look(default_grid(deployment, trace, tables)), trace, tables)
    assert held._kept().held_bytes > 0
    del outcomes
    gc.collect()
    assert held._kept().held_bytes == 0


def test_runs_at_other_rates_are_simulated_again_to_the_bit_and_go_with_who_asked():
    """What a store forgets of `Rivals` is made anew; of rivals that are gone nothing stays."""
    gc.collect()
    rivals_module._kept().clear()
    rng = np.random.default_rng(6)
    rivals = Rivals(
        SCENARIO, make(np.sort(rng.uniform(0, 86_400, 60)), horizon_s=86_400.0), load_tables()
    )
    change = Change(traffic=1.5)
    zero, fixed = rivals.scale_to_zero(change), rivals.always_on(change, 2.0).outcomes
    assert all(map(operator.is_, rivals.scale_to_zero(change), zero))
    held = rivals_module._kept().held_bytes
    assert held > 0
    rivals_module._kept().clear()
    rivals.rest()
    again = (*rivals.scale_to_zero(change), *rivals.always_on(change, 2.0).outcomes)
    for one, other in zip(again, (*zero, *fixed), strict=True):
        assert one is not other
        assert one.latency == other.latency
        assert np.array_equal(one.sessions, other.sessions)
        assert usd_per_month(one, load_tables()) == usd_per_month(other, load_tables())
    del rivals, again, one
    gc.collect()
    assert rivals_module._kept().held_bytes == 0
