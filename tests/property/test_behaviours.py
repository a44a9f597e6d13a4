"""What a provider's behaviour does to plans and runs, and that neither knows a price."""

from __future__ import annotations

import dataclasses
import math
import typing
from types import MappingProxyType

import numpy as np
import pytest

from frontier.plans.families import BOUND, DEDICATED, SCALE_TO_ZERO
from frontier.plans.grid import default_grid
from frontier.plans.plan import Plan
from frontier.plans.scenario import Deployment, Scenario, deploy
from frontier.sweep import (
    Outcome,
    bill_outcome,
    frontier_table,
    rerun_with_instant_starts,
    settled,
    simulate_plans,
    sweep,
)
from frontier.tables import Tables, load_columns, load_tables
from frontier.trace import TraceReport, make_trace

TABLES = load_tables()
SCENARIO = Scenario(
    "Llama-3.1-8B-Instruct", "bf16", "modal-l40s", "crusoe-l40s", 2.0, mitigations=()
)
HORIZON_S = 86400.0


def _trace():
    """Make a burst of 400 requests in 20 s each hour: the busiest minute fills several replicas."""
    arrival_s = (np.arange(24) * 3600.0)[:, None] + 7.0 + np.arange(400) * 0.05
    size = arrival_s.size
    return make_trace(
        "bursts",
        arrival_s.ravel(),
        np.full(size, 1500),
        np.full(size, 150),
        horizon_s=HORIZON_S,
        report=TraceReport("bursts", "s", size, size),
    )


TRACE = _trace()


def behaving(offer_id="modal-l40s", **cells):
    """Return the tables with the behaviour of that offer changed."""
    row = dataclasses.replace(TABLES.behaviour_of(TABLES.offers[offer_id]), **cells)
    rows = MappingProxyType({**TABLES.behaviours, row.behaviour_id: row})
    return dataclasses.replace(TABLES, behaviours=rows)


def deployed(tables, **choices):
    return deploy(dataclasses.replace(SCENARIO, **choices), TRACE, tables)


def grid_of(tables, **choices):
    return default_grid(deployed(tables, **choices), TRACE, tables)


@pytest.mark.parametrize("limit", [{"max_replicas_hard": 2}, {"max_gpus_hard": 2}])
def test_no_plan_has_more_replicas_than_the_provider_runs(limit):
    """Twenty asked for, two given: every plan on that offer stops at two, and it is said."""
    tables = behaving(max_gpus_hard=None)
    free = deployed(tables, max_replicas=20)
    assert free.max_replicas == 20
    assert not any("runs at most" in words for words in free.assumed)
    tables = behaving(**{"max_gpus_hard": None, **limit})
    strict = deployed(tables, max_replicas=20)
    assert any("Modal runs at most 2 replicas" in words for words in strict.assumed)
    plans = [p for p in default_grid(strict, TRACE, tables) if p.offer_id == "modal-l40s"]
    assert {plan.policy.max_replicas for plan in plans} == {2}


def test_a_limit_on_gpus_counts_the_gpus_of_a_replica():
    """Five GPUs of an account are two replicas of two, not five."""
    found = deployed(behaving(max_gpus_hard=5), model="Qwen3-32B", max_replicas=20)
    assert found.speed.gpus_per_replica == 2
    assert found.max_replicas == 2


def test_a_machines_limit_holds_for_always_on_plans():
    """What rents machines may be limited too."""
    tables = behaving("crusoe-l40s", max_replicas_hard=2)
    most = max(p.policy.max_replicas for p in grid_of(tables) if p.family == DEDICATED)
    assert most == 2 < max(p.policy.max_replicas for p in grid_of(TABLES) if p.family == DEDICATED)


def test_the_default_limit_is_of_the_plan_as_shipped_alone():
    """One replica unless raised: the provider's plan has one, its twin and all others have more."""
    tables = behaving(max_replicas_default=1)
    most = deployed(tables).max_replicas
    assert most > 1
    zero = [p for p in grid_of(tables) if p.family == SCALE_TO_ZERO]
    (shipped,) = [p for p in zero if p.is_provider_default]
    assert shipped.policy.max_replicas == 1
    assert "at most 1 replica" in shipped.label
    assert "at most 1 replica" in shipped.detail
    others = [p for p in zero if p is not shipped]
    assert {p.policy.max_replicas for p in others} == {most}
    assert shipped.policy.idle_timeout_s in {p.policy.idle_timeout_s for p in others}
    assert len({p.plan_id for p in zero}) == len(zero)
    # With more replicas than it ever needs, the default binds nothing.
    (free,) = [p for p in grid_of(behaving(max_replicas_default=99)) if p.is_provider_default]
    assert free.policy.max_replicas == most
    assert "at most" not in free.label
    # Who says how many has raised it.
    (said,) = [p for p in grid_of(tables, max_replicas=3) if p.is_provider_default]
    assert said.policy.max_replicas == 3


def test_a_request_that_is_refused_cold_is_never_served():
    """Reject: refused and counted, TTFT infinite; retry: served later; queue: as it comes."""
    runs = {}
    for cold, retry_s in (("queue", None), ("retry", 5.0), ("reject", None)):
        tables = behaving(cold_request=cold, retry_s=retry_s)
        plans = [p for p in grid_of(tables) if p.is_provider_default]
        (runs[cold],) = simulate_plans(plans, TRACE, tables)
    queue, retry, reject = (run.latency for run in runs.values())
    assert queue.rejected_share == retry.rejected_share == 0
    assert retry.p99_ttft_s > queue.p99_ttft_s
    assert reject.rejected_share > 0
    assert reject.waited_on_start_share == 0
    assert reject.max_ttft_s == math.inf
    refused = runs["reject"]
    assert (refused.sessions["cold_start_index"] >= 0).sum() > 0
    table = frontier_table([refused], TABLES, slo_p99_ttft_s=2.0)
    assert table["rejected_share"].item() == reject.rejected_share
    # Without any start nothing is cold.
    assert not rerun_with_instant_starts(refused, TRACE).rejected.any()


def test_the_bound_keeps_what_the_rules_in_force_make_cheap():
    """Simulated once: idle seconds for nothing keep every gap, dear ones drop it."""
    grid = [p for p in grid_of(TABLES) if p.family in (SCALE_TO_ZERO, DEDICATED)]
    bound = sweep(grid, TRACE, TABLES)[-1]
    assert bound.plan.family == BOUND

    def under(**cells):
        rules = dataclasses.replace(TABLES.provider_rules["modal"], **cells)
        rows = MappingProxyType({**TABLES.provider_rules, "modal": rules})
        return dataclasses.replace(TABLES, provider_rules=rows)

    dear, free = settled(bound, TABLES), settled(bound, under(bills_idle=False))
    assert free.sessions.size < dear.sessions.size
    assert free.sessions["idle_s"].sum() > dear.sessions["idle_s"].sum()
    for one in (dear, free):
        assert one.sessions["busy_s"].sum() == pytest.approx(bound.sessions["busy_s"].sum())
    again = settled(dear, TABLES)
    np.testing.assert_array_equal(again.sessions, dear.sessions)
    assert bill_outcome(dear, TABLES).usd == bill_outcome(bound, TABLES).usd
    assert settled(sweep(grid[:1], TRACE, TABLES)[0], TABLES).plan is grid[0]


PRICED = {
    item.metadata["row"].__name__
    for item in dataclasses.fields(Tables)
    if any("$" in column.unit for column in load_columns()[item.name])
}


def _types_in(cls, seen):
    """Return every dataclass that a value of this one can hold, at any depth."""
    if cls in seen or not dataclasses.is_dataclass(cls):
        return seen
    seen.add(cls)
    for hint in typing.get_type_hints(cls, include_extras=False).values():
        waiting = [hint]
        while waiting:
            one = waiting.pop()
            waiting += typing.get_args(one)
            _types_in(one, seen)
    return seen


def test_what_is_simulated_can_hold_no_price():
    """By type: no row with a column in dollars is within a deployment, a plan or an outcome."""
    held = set()
    for cls in (Deployment, Plan, Outcome):
        _types_in(cls, held)
    names = {cls.__name__ for cls in held}
    assert {"Supply", "Behaviour", "ScalingPolicy"} <= names
    assert {"Offer", "ProviderRules"} <= PRICED
    assert not names & PRICED
    assert not any("usd" in item.name for cls in held for item in dataclasses.fields(cls))
