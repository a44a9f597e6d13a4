"""Rows of data/autoscalers.csv: what plans and runs make of them."""

from __future__ import annotations

import dataclasses
from types import MappingProxyType

import numpy as np
import pytest

from frontier.autoscalers import TickScaling, in_words, scaler_of, target_of
from frontier.errors import InputError
from frontier.plans.grid import default_grid, plans_by_autoscaler, scale_to_zero_plans
from frontier.plans.nodes import NodeChoice
from frontier.plans.scenario import Scenario, deploy
from frontier.policy import ScalingPolicy
from frontier.scope import included
from frontier.sweep import LIST_DEAL, simulate_plans
from frontier.tables import load_columns, load_tables
from frontier.trace import TraceReport, make_trace

TABLES = load_tables()
SCENARIO = Scenario(
    "Llama-3.1-8B-Instruct", "bf16", "modal-l40s", "crusoe-l40s", 2.0, mitigations=()
)
ON_NODES = dataclasses.replace(
    SCENARIO, serverless_offer="crusoe-l40s", nodes=NodeChoice("karpenter", "keda")
)


def _trace():
    """Bursts of 300 requests in 30 s, and three lone ones in the half hour after each."""
    burst = np.arange(300) * 0.1
    hours = np.arange(12)[:, None] * 3600.0
    lone = hours + np.array([900.0, 1400.0, 2500.0])
    arrival_s = np.sort(np.concatenate([(hours + 7.3 + burst).ravel(), lone.ravel()]))
    size = arrival_s.size
    return make_trace(
        "bursts",
        arrival_s,
        np.full(size, 1500),
        np.full(size, 150),
        horizon_s=43_200.0,
        report=TraceReport("bursts", "s", size, size),
    )


TRACE = _trace()
# The columns that say something, or by which rows are found and targets set.
SAID = {"autoscaler", "label", "assumed", "basis", "source_id", "description"}
TARGETS = {"target_requests", "target_share"}
COLUMNS = [item.column for item in load_columns()["autoscalers"] if item.column not in SAID]
# A row in which each of them can matter, and what it is changed to.
CHANGES = {
    "tick_s": ("knative", 10.0),
    "keep_alive": ("knative", None),
    "window_s": ("cloud-run", 5.0),
    "counts_after_s": ("runpod-queue-delay", 30.0),
    "target_requests": ("knative", 2.0),
    "target_share": ("cloud-run", 0.1),
    "tolerance": ("keda-hpa", 1.0),
    "panic_share": ("knative", 1.0),
    "panic_threshold": ("knative", 100.0),
    "up_window_s": ("ray-serve", 0.0),
    "down_window_s": ("keda-hpa", 0.0),
    "look_back": ("baseten", "range"),
    "up_factor": ("keda-hpa", 8.0),
    "up_count": ("keda-hpa", 1),
    "down_factor": ("keda-hpa", 0.9),
    "down_count": ("knative", 5),
    "excess_share": ("baseten", 1.0),
    "counts_ready": ("keda-hpa", True),
    "needs_ready": ("ray-serve", False),
    "activator": ("knative", False),
    "activation": ("keda-hpa", 5.0),
    "zero_tick_s": ("keda-hpa", 300.0),
    "zero_delay_s": ("knative", 300.0),
    "cancels_starts": ("keda-hpa", False),
    "idle_timeout_leads": ("cloud-run", False),
}


def run_of(row, keep_alive_s):
    """Run the traffic on up to eight replicas, one of three of which starts very slowly."""
    from frontier.simulate import simulate_replicas

    policy = ScalingPolicy(
        max_replicas=8,
        idle_timeout_s=keep_alive_s,
        target_concurrency=target_of(row, 16) or 3.0,
        scaler=scaler_of(row),
    )
    result = simulate_replicas(
        TRACE.arrival_s,
        np.full(TRACE.arrival_s.size, 0.2),
        np.full(TRACE.arrival_s.size, 40),
        np.full(16, 0.05),
        policy=policy,
        cold_start_s=[25.0, 400.0, 41.0],
        horizon_s=TRACE.horizon_s,
    )
    return result.finish_s, result.sessions["ended_s"]


@pytest.mark.parametrize("column", COLUMNS)
def test_every_number_of_an_autoscaler_changes_a_run(column):
    """Changed in a row that has it, requests finish or replicas leave at other times."""
    key, other = CHANGES[column]
    row = TABLES.autoscalers[key]
    if column == "down_count":  # as many are ready as half of them and five are not the same
        row = dataclasses.replace(row, target_requests=3.0)
    changed = dataclasses.replace(row, **{column: other})
    before, after = ([*run_of(one, 120.0), *run_of(one, 1500.0)] for one in (row, changed))
    assert not all(np.array_equal(one, two) for one, two in zip(before, after, strict=True))


def test_every_row_can_be_simulated_and_says_how_it_decides():
    """One plan under each, by the same keep-alive and target, all requests served."""
    plans = plans_by_autoscaler(deploy(SCENARIO, TRACE, TABLES), TABLES)
    assert set(plans) == set(TABLES.autoscalers)
    for outcome in simulate_plans(tuple(plans.values()), TRACE, TABLES):
        assert outcome.latency.rejected_share == 0
    for key, row in TABLES.autoscalers.items():
        assert in_words(row).startswith(row.label)
        assert (scaler_of(row) is None) == (row.tick_s is None) == (key in ("instant", "modal"))


def test_as_shipped_has_the_platforms_autoscaler_and_its_target():
    """KEDA has no target of its own; Knative's 70 is the shipped plan's alone; a user's wins."""
    for pods, target in (("keda", None), ("knative", 70), ("ray-serve", 2)):
        choice = dataclasses.replace(ON_NODES, nodes=NodeChoice("karpenter", pods))
        deployment = deploy(choice, TRACE, TABLES)
        plans = tuple(scale_to_zero_plans(deployment, TABLES))
        (shipped,) = [plan for plan in plans if plan.is_provider_default]
        usual = float(deployment.speed.target_concurrency)
        assert shipped.policy.target_concurrency == (target or usual)
        assert {p.policy.target_concurrency for p in plans if p is not shipped} == {usual}
        assert {p.policy.scaler for p in plans} == {scaler_of(deployment.autoscaler)}
        assert f"scaled by {deployment.autoscaler.label}" in shipped.detail
        assert len({plan.plan_id for plan in plans}) == len(plans)
        asked = deploy(dataclasses.replace(choice, target_concurrency=5), TRACE, TABLES)
        plans = tuple(scale_to_zero_plans(asked, TABLES))
        assert {plan.policy.target_concurrency for plan in plans} == {5.0}


def test_another_autoscaler_can_be_chosen_and_it_is_said():
    """The choice holds where replicas come and go, not for machines that are always on."""
    chosen = deploy(dataclasses.replace(SCENARIO, autoscaler="keda-hpa"), TRACE, TABLES)
    grid = default_grid(chosen, TRACE, TABLES)
    keda = scaler_of(TABLES.autoscalers["keda-hpa"])
    for plan in grid:
        is_autoscaled = plan.offer_id == chosen.serverless.offer_id
        assert plan.policy.scaler == (keda if is_autoscaled else None)
    words = included(chosen, TRACE, TABLES, LIST_DEAL)["In the number"]
    assert any("KEDA and HPA looks every 15 s" in sentence for sentence in words)
    assert any("in place of Modal" in sentence for sentence in words)
    with pytest.raises(InputError, match="autoscaler"):
        deploy(dataclasses.replace(SCENARIO, autoscaler="nobody"), TRACE, TABLES)


def test_the_keep_alive_stands_for_the_platforms_own_time():
    """KEDA's cooldown, Knative's stable window with its tenth, Ray's delay; else nothing."""
    kept = {
        key: scaler_of(TABLES.autoscalers[key]).kept_for(121.0)
        for key in ("keda-hpa", "knative", "ray-serve", "cloud-run")
    }
    assert kept["keda-hpa"].zero_delay_s == 121.0
    assert (kept["knative"].window_s, kept["knative"].panic_window_s) == (122.0, 14.0)
    assert kept["ray-serve"].down_window_s == 130.0
    assert kept["cloud-run"] == scaler_of(TABLES.autoscalers["cloud-run"])
    with pytest.raises(InputError, match=r"^idle_timeout_s must be finite"):
        TickScaling(tick_s=1.0, keep_alive="zero_delay_s").kept_for(np.inf)


def test_polls_cost_waits_and_save_money_against_the_instant_rule():
    """Lone requests wait for a poll of KEDA, half of 30 s on average, and a start comes later."""
    arrival_s = np.arange(200) * 1000.0 + np.random.default_rng(5).uniform(0, 500, 200)
    lone = make_trace(
        "lone",
        arrival_s,
        np.full(200, 500),
        np.full(200, 50),
        horizon_s=200_000.0,
        report=TraceReport("lone", "s", 200, 200),
    )
    rows = {key: TABLES.autoscalers[key] for key in ("instant", "keda-hpa")}
    tables = dataclasses.replace(TABLES, autoscalers=MappingProxyType(rows | TABLES.autoscalers))
    plans = plans_by_autoscaler(deploy(SCENARIO, lone, tables), tables)
    waits = {}
    for key in rows:
        (outcome,) = simulate_plans((plans[key],), lone, tables)
        waits[key] = outcome.latency.p50_ttft_s
    assert waits["keda-hpa"] - waits["instant"] == pytest.approx(15.0, abs=4.0)
