"""A cluster of one's own in place of a serverless offer: what its plans, bills and refusals are."""

from __future__ import annotations

import dataclasses
import datetime as dt

import numpy as np
import pytest

from frontier.errors import InfeasibleError, InputError
from frontier.interruptions import draw_outages
from frontier.plans.families import SCALE_TO_ZERO, SCHEDULED
from frontier.plans.grid import default_grid, mitigated_plan, warm_pool_plans
from frontier.plans.nodes import NodeChoice
from frontier.plans.scenario import Scenario, deploy
from frontier.policy import NodePool
from frontier.prices.owned import (
    OWNED_FIELDS,
    OWNED_OFFER,
    OwnedMachine,
    owned_from_text,
    with_owned,
)
from frontier.rivals import Rivals
from frontier.scope import asked, included, sources_used
from frontier.sensitivity import sensitivity
from frontier.serve import simulate_plan
from frontier.start.log import OwnStart
from frontier.study import content, simulate, study_of
from frontier.sweep import (
    LIST_DEAL,
    bill_outcome,
    clairvoyant_outcome,
    simulate_plans,
    start_draws,
)
from frontier.tables import load_columns, load_tables
from frontier.trace import TraceReport, make_trace
from frontier.waits import explain

TABLES = load_tables()
TODAY = dt.date(2026, 11, 26)
KARPENTER = NodeChoice("karpenter", "keda")
KEPT = NodeChoice("kept", "keda")


def scenario_of(choice, *, offer="aws-l40s-4x", dedicated="aws-l40s", **more):
    more = {"mitigations": (), **more}
    return Scenario("Llama-3.1-8B-Instruct", "bf16", offer, dedicated, 2.0, nodes=choice, **more)


def _trace():
    """Make a day of bursts an hour apart that fill several replicas, and a lone request between."""
    bursts = (np.arange(24) * 3600.0)[:, None] + 7.0 + np.arange(300) * 0.1
    arrival_s = np.sort(np.concatenate([bursts.ravel(), np.arange(24) * 3600.0 + 1800.0]))
    size = arrival_s.size
    return make_trace(
        "bursts",
        arrival_s,
        np.full(size, 1500),
        np.full(size, 150),
        horizon_s=86400.0,
        report=TraceReport("bursts", "s", size, size),
    )


TRACE = _trace()
OWNED = OwnedMachine("L40S", 8, 100_000.0, 36, 4000.0, 1.5, 0.12, 800.0)


def default_of(choice, tables=TABLES, **more):
    """Return the outcome of scale-to-zero as the pod scaler ships it."""
    deployment = deploy(scenario_of(choice, **more), TRACE, tables)
    plan = mitigated_plan(deployment, (), tables)
    (outcome,) = simulate_plans([plan], TRACE, tables)
    return outcome


def test_replicas_share_the_nodes_of_the_offer():
    """Four replicas of one GPU share a machine of four; a replica of two halves that."""
    assert deploy(scenario_of(KARPENTER), TRACE, TABLES).nodes == NodePool(4, 60.0, 0, 4)
    larger = dataclasses.replace(scenario_of(KARPENTER), model="Qwen3-32B")
    assert deploy(larger, TRACE, TABLES).nodes == NodePool(2, 60.0, 0, 4)


def test_a_pod_on_a_node_that_is_up_waits_for_neither_node_nor_image():
    """It saves what a node takes, and the pull; the weights too where they stay on its disk."""
    start = mitigated_plan(deploy(scenario_of(KARPENTER), TRACE, TABLES), (), TABLES).start
    pod = start.on_node
    whole_s, pod_s = start.wall_s, pod.wall_s
    # How long the scaler takes to notice is simulated, and no part of a start.
    assert whole_s["allocate"] == pytest.approx(75)
    assert pod_s["allocate"] == 0
    assert whole_s["pull"] > 0 == pod_s["pull"]
    assert pod_s["fetch"] == whole_s["fetch"]
    kept = dataclasses.replace(KARPENTER, weights_on_node=True)
    start = mitigated_plan(deploy(scenario_of(kept), TRACE, TABLES), (), TABLES).start
    assert start.wall_s == whole_s
    assert start.on_node.wall_s["fetch"] < pod_s["fetch"]


def test_both_starts_of_a_plan_have_the_same_luck():
    """Row by row, a pod on a node that is up takes less than one for which a node is brought."""
    outcome = default_of(KARPENTER)
    whole, pods = np.split(outcome.stage_s.sum(axis=1), 2)
    assert np.all(pods < whole)
    assert np.corrcoef(whole, pods)[0, 1] > 0.3


@pytest.mark.parametrize("column", ["node_start_s", "node_start_spread", "scale_down_delay_s"])
def test_every_number_of_a_node_scaler_changes_a_run_or_a_bill(column):
    """Doubled, it changes what requests wait or what the week costs."""
    row = TABLES.node_scalers["karpenter"]
    changed = dataclasses.replace(row, **{column: 2 * getattr(row, column)})
    tables = dataclasses.replace(TABLES, node_scalers={**TABLES.node_scalers, "karpenter": changed})
    before, after = default_of(KARPENTER), default_of(KARPENTER, tables)
    assert (before.latency, bill_outcome(before, TABLES).usd) != (
        after.latency,
        bill_outcome(after, tables).usd,
    )


@pytest.mark.parametrize("column", ["idle_default_s", "idle_min_s", "idle_max_s", "autoscaler"])
def test_every_number_of_a_pod_scaler_changes_a_run_or_the_plans(column):
    """Changed, it changes a start, when a pod leaves, or which timeouts are tried."""
    row = TABLES.pod_scalers["knative"]
    other = "instant" if column == "autoscaler" else getattr(row, column) / 2
    changed = dataclasses.replace(row, **{column: other})
    tables = dataclasses.replace(TABLES, pod_scalers={**TABLES.pod_scalers, "knative": changed})
    scenario = scenario_of(NodeChoice("karpenter", "knative"))

    def plans(found):
        grid = default_grid(deploy(scenario, TRACE, found), TRACE, found)
        return [(p.plan_id, p.policy, p.start.typical_s) for p in grid if p.policy.nodes]

    assert plans(TABLES) != plans(tables)


def test_a_column_of_the_scalers_is_a_number_that_counts_or_describes():
    """A new column has its test above, or it is one of those that only say something."""
    said = {"label", "basis", "source_id", "start_basis", "start_source_id", "description"}
    counted = {"provisions", "node_start_s", "node_start_spread", "scale_down_delay_s"}
    counted |= {"autoscaler", "idle_default_s", "idle_min_s", "idle_max_s"}
    for table in ("node_scalers", "pod_scalers"):
        assert {item.column for item in load_columns()[table][1:]} <= said | counted


def test_kept_nodes_are_paid_for_whole_and_start_no_node():
    """One node of four for a month, and each plan on it costs that; no start brings a node."""
    deployment = deploy(scenario_of(KEPT), TRACE, TABLES)
    assert deployment.nodes.kept_nodes * 4 >= deployment.max_replicas
    usd = deployment.nodes.kept_nodes * 4 * 730 * TABLES.offers["aws-l40s-4x"].usd_per_gpu_h
    grid = default_grid(deployment, TRACE, TABLES)
    plans = [p for p in grid if p.policy.nodes and p.base_offer_id is None]
    for outcome in simulate_plans(plans[:6], TRACE, TABLES):
        assert bill_outcome(outcome, TABLES).usd_per_month(730) == pytest.approx(usd)
        index = outcome.sessions["cold_start_index"]
        assert not ((index >= 0) & (index < len(outcome.stage_s) // 2)).any()
    assert deployment.start.wall_s["pull"] == 0


def test_own_timings_are_of_what_starts():
    """Where nodes are brought, a pod takes its share of what was measured; on kept ones, all."""
    own = OwnStart(
        model="Llama-3.1-8B-Instruct",
        precision="bf16",
        gpu="L40S",
        runs_s=(("total", (300.0, 420.0)),),
    )
    brought = deploy(scenario_of(KARPENTER, own_start=own), TRACE, TABLES)
    start = mitigated_plan(brought, (), TABLES).start
    assert start.typical_s == pytest.approx(360.0)
    assert 0 < start.on_node.typical_s < 300.0
    kept = mitigated_plan(deploy(scenario_of(KEPT, own_start=own), TRACE, TABLES), (), TABLES).start
    assert kept.typical_s == kept.on_node.typical_s == pytest.approx(360.0)


def test_spot_nodes_say_how_often_they_are_interrupted():
    """The rate is in the bill of the nodes, and the words say so."""
    scenario = scenario_of(KARPENTER, offer="verda-l40s-spot")
    words = included(deploy(scenario, TRACE, TABLES), TRACE, TABLES, LIST_DEAL)["In the number"]
    assert any("Nodes on spot are interrupted" in text for text in words)
    often, never = (
        bill_outcome(
            default_of(KARPENTER, offer="verda-l40s-spot", interruptions_per_h=rate), TABLES
        )
        for rate in (0.5, 0.0)
    )
    assert often.usd_span > never.usd_span


def test_a_node_that_is_taken_away_is_waited_for():
    """One node that is always up: who comes while it is gone waits until it is back."""
    scenario = scenario_of(
        KARPENTER, offer="verda-l40s-spot", max_replicas=1, interruptions_per_h=1.0
    )
    deployment = deploy(scenario, TRACE, TABLES)
    plan = next(warm_pool_plans(deployment, TABLES))
    calm_plan = dataclasses.replace(plan, interruptions_per_h=0.0)
    draws = start_draws([plan.start], TABLES)[plan.start]
    found, calm = (simulate_plan(one, TRACE, draws) for one in (plan, calm_plan))
    outages = draw_outages(
        1,
        interruptions_per_h=1.0,
        start_s=draws.total_s[: draws.total_s.size // 2],
        horizon_s=TRACE.horizon_s,
        seed=plan.interruption_seed,
    )
    waits_s = outages.next_up_s(TRACE.arrival_s) - TRACE.arrival_s
    assert (waits_s > 0).sum() > 100
    np.testing.assert_allclose(found.ttft_s, calm.ttft_s + waits_s)
    np.testing.assert_allclose(found.start_wait_s, waits_s)
    np.testing.assert_array_equal(found.waited_on_start, waits_s > 0)
    np.testing.assert_array_equal(found.sessions, calm.sessions)


def test_interruptions_of_nodes_make_no_wait_shorter():
    """Whatever the plan: they only lengthen waits, and rarely those on several nodes."""
    scenario = scenario_of(KARPENTER, offer="verda-l40s-spot", interruptions_per_h=1.0)
    deployment = deploy(scenario, TRACE, TABLES)
    grid = [p for p in default_grid(deployment, TRACE, TABLES) if p.policy.nodes]
    hit = 0
    for plan in grid[::4]:
        draws = start_draws([plan.start], TABLES)[plan.start]
        found = simulate_plan(plan, TRACE, draws)
        calm = simulate_plan(dataclasses.replace(plan, interruptions_per_h=0.0), TRACE, draws)
        assert np.all(found.ttft_s >= calm.ttft_s)
        hit += int((found.ttft_s > calm.ttft_s).sum())
        parts = explain(found, plan, TRACE)
        whole_s = parts.start_s + parts.queue_s + parts.prompt_s + parts.overhead_s + parts.retry_s
        np.testing.assert_allclose(whole_s, found.ttft_s, atol=1e-6)
    assert hit > 0


def test_more_nodes_may_be_kept_than_released():
    """Of those a node scaler starts, some may be kept: they cost more and start less."""
    some = default_of(dataclasses.replace(KARPENTER, kept_nodes=1))
    none = default_of(KARPENTER)
    assert bill_outcome(some, TABLES).usd_span > bill_outcome(none, TABLES).usd_span
    assert some.latency.p99_ttft_s < none.latency.p99_ttft_s


def test_all_that_a_page_or_a_report_says_can_be_said():
    """Study, what is included, what was asked, sources, sensitivity and break-even, on nodes."""
    scenario = scenario_of(KARPENTER, mitigations=("weight-streamer",))
    found = simulate(scenario, TRACE, TABLES)
    study = study_of(found, TABLES, limit_s=2.0)
    assert {"busy", "idle", "starting", "unused GPUs", "empty nodes"} <= {
        name
        for outcome in study.outcomes.values()
        if outcome.plan.family is SCALE_TO_ZERO
        for name, usd in study.bill(outcome).lines.items()
        if usd
    }
    words = included(found.deployment, TRACE, TABLES, LIST_DEAL)
    assert any("Karpenter" in text and "kept 60 s" in text for text in words["Assumed"])
    assert any("empty nodes" in text for text in words["In the number"])
    pairs = dict(asked(found.deployment, TRACE, TABLES, LIST_DEAL, 2.0))
    assert pairs["Nodes and pods"] == "Karpenter, 60 s delay, 4 pods to a node; pods by KEDA"
    assert "Own nodes" in pairs
    used = " ".join(use for use, _ in sources_used(found.deployment, TABLES, LIST_DEAL))
    assert "Karpenter" in used
    assert "KEDA" in used
    rivals = Rivals(scenario, TRACE, TABLES)
    moved = sensitivity(rivals, 300.0, limit_s=2.0, tables=TABLES)
    bar = next(bar for bar in moved.bars if bar.swing.key == "serverless_price")
    assert bar.swing.label == "Node price"
    assert bar.spread > 0


def test_the_bound_is_known_where_no_replicas_share_a_node():
    """One replica a node: below every plan; several: none is claimed."""
    scenario = scenario_of(KARPENTER, offer="aws-l40s")
    deployment = deploy(scenario, TRACE, TABLES)
    grid = default_grid(deployment, TRACE, TABLES)
    outcomes = simulate_plans(grid, TRACE, TABLES)
    bound = bill_outcome(clairvoyant_outcome(outcomes, TRACE), TABLES).usd_span
    served = [o for o in outcomes if o.latency.waited_on_start_share == 0]
    assert all(bound <= bill_outcome(o, TABLES).usd_span for o in served)
    shared = simulate(scenario_of(KARPENTER), TRACE, TABLES)
    assert all(o.plan.family.key != "bound" for o in shared.outcomes)


def test_results_are_kept_apart_by_what_is_chosen_of_nodes():
    """Another scaler, delay or size is another simulation."""
    choices = [
        KARPENTER,
        NodeChoice("cluster-autoscaler", "keda"),
        NodeChoice("karpenter", "knative"),
        dataclasses.replace(KARPENTER, scale_down_delay_s=30.0),
        dataclasses.replace(KARPENTER, kept_nodes=1),
        dataclasses.replace(KARPENTER, weights_on_node=True),
    ]
    keys = {content(scenario_of(choice), TRACE, TABLES) for choice in choices}
    assert len(keys) == len(choices)


@pytest.mark.parametrize(
    ("choice", "more", "words"),
    [
        (NodeChoice("slurm", "keda"), {}, "node scaler"),
        (NodeChoice("karpenter", "cron"), {}, "pod scaler"),
        (KARPENTER, {"offer": "modal-l40s"}, "Expected a dedicated offer"),
        (KARPENTER, {"offer": "aws-l40s-reserved-1y"}, "choose kept nodes instead of Karpenter"),
        (NodeChoice("karpenter", "keda", gpus_per_node=8), {}, "has from 4 to 4 GPUs, found 8"),
    ],
)
def test_a_choice_that_makes_no_sense_is_refused(choice, more, words):
    """In one sentence that says what was expected."""
    with pytest.raises(InputError, match=words):
        deploy(scenario_of(choice, **more), TRACE, TABLES)


def test_a_replica_that_fits_on_no_node_is_refused():
    """Two GPUs a replica, one a node."""
    scenario = dataclasses.replace(scenario_of(KARPENTER, offer="aws-l40s"), model="Qwen3-32B")
    with pytest.raises(InfeasibleError, match="needs 2"):
        deploy(scenario, TRACE, TABLES)


# --- machines of one's own ----------------------------------------------------------------------


def test_an_owned_machine_costs_what_its_parts_add_up_to():
    """(100,000 / 36 + 800) / 730 h and 4 kW × 1.5 × 0.12, over eight GPUs: 0.703 an hour."""
    parts = OWNED.usd_per_gpu_h(730.0)
    assert parts["purchase"] == pytest.approx(100_000 / 36 / 730 / 8)
    assert parts["colocation"] == pytest.approx(800 / 730 / 8)
    assert parts["electricity"] == pytest.approx(0.72 / 8)
    tables = with_owned(TABLES, OWNED, TODAY)
    offer = tables.offers[OWNED_OFFER]
    assert offer.usd_per_gpu_h == pytest.approx(0.7026, abs=1e-4)
    assert "not a price" in offer.note
    assert offer.kind == "reserved"


def test_an_owned_machine_is_paid_for_whether_used_or_not():
    """Kept as a node or always on, the month costs eight GPUs; no office hours save any of it."""
    tables = with_owned(TABLES, OWNED, TODAY)
    scenario = scenario_of(KEPT, offer=OWNED_OFFER, dedicated=OWNED_OFFER)
    deployment = deploy(scenario, TRACE, tables)
    grid = default_grid(deployment, TRACE, tables)
    assert not [plan for plan in grid if plan.family is SCHEDULED]
    usd = 8 * 730 * tables.offers[OWNED_OFFER].usd_per_gpu_h
    assert usd == pytest.approx(100_000 / 36 + 800 + 0.72 * 730)
    outcomes = simulate_plans([p for p in grid if p.base_offer_id is None], TRACE, tables)
    costs = {round(bill_outcome(o, tables).usd_per_month(730), 6) for o in outcomes}
    assert costs == {round(usd, 6)}
    one = next(o for o in outcomes if o.plan.plan_id == "dedicated-1")
    assert bill_outcome(one, tables).lines["unused GPUs"] / bill_outcome(
        one, tables
    ).usd_span == pytest.approx(7 / 8)
    words = included(deployment, TRACE, tables, LIST_DEAL)["In the number"]
    assert sum("An amortisation, not a price" in text for text in words) == 1


def test_a_machine_is_read_from_text_with_defaults():
    """What is left out is the setting's, and the GPU has to be named."""
    machine = owned_from_text("gpu=L40S,usd=90000,gpus=4", TABLES)
    assert machine == dataclasses.replace(OWNED, usd=90_000.0, gpus=4)
    defaults = owned_from_text("gpu=L40S", TABLES)
    for field, setting_id in OWNED_FIELDS.items():
        assert getattr(defaults, field) == TABLES.setting(setting_id)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("usd=1000", "name its GPU"),
        ("gpu=L40S,price=3", "found 'price'"),
        ("gpu=L40S,usd=lots", "expected a number as usd"),
        ("gpu=L40S,usd=1", "expected usd from 1000"),
        ("gpu=L40S,pue=0.5", "expected pue from 1"),
        ("gpu=L40S,gpus=2.5", "a whole number of gpus"),
        ("gpu=L40S,months=nan", "expected months from"),
        ("gpu=H900", "H900"),
    ],
)
def test_a_machine_that_makes_no_sense_is_refused(text, words):
    """In one sentence, with what was found."""
    with pytest.raises(InputError, match=words):
        owned_from_text(text, TABLES)
