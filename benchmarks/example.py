"""The default example at any number of requests, and as many plans for it as are asked for."""

from __future__ import annotations

import dataclasses

import numpy as np

from frontier.plans.grid import default_grid
from frontier.plans.plan import Plan
from frontier.plans.scenario import Scenario, deploy
from frontier.tables import Example, Tables, load_tables
from frontier.trace import Trace, generate_trace

MOST = 1_000_000
"""Requests of a trace that is made as it is; a longer one is the same again and again."""


def example() -> tuple[Example, Tables]:
    """Return the example that a visitor sees first, and all tables."""
    tables = load_tables()
    return next(iter(tables.examples.values())), tables


def traffic(requests: int | None, tables: Tables, shown: Example) -> Trace:
    """Return the example's traffic, or the same pattern with so many requests in as many days."""
    days = shown.days
    once = shown.requests_per_day * days if requests is None else min(requests, MOST)
    trace = generate_trace(shown.preset, seed=shown.seed, days=days, requests_per_day=once / days)
    again = 1 if requests is None else -(-requests // MOST)
    if again == 1:
        return trace
    span_s = trace.horizon_s
    return dataclasses.replace(
        trace,
        arrival_s=np.concatenate([trace.arrival_s + span_s * at for at in range(again)]),
        prompt_tokens=np.tile(trace.prompt_tokens, again),
        output_tokens=np.tile(trace.output_tokens, again),
        horizon_s=span_s * again,
    )


def plans(count: int | None, trace: Trace, tables: Tables, shown: Example) -> tuple[Plan, ...]:
    """Return the grid, or so many different plans: the grid again with timeouts a little longer."""
    scenario = Scenario(
        model=shown.model,
        precision=shown.precision,
        serverless_offer=shown.serverless_offer,
        dedicated_offer=shown.dedicated_offer,
        slo_p99_ttft_s=shown.slo_p99_ttft_s,
    )
    grid = default_grid(deploy(scenario, trace, tables), trace, tables)
    if count is None:
        return tuple(grid)
    found = list(grid)
    moved = [plan for plan in grid if 0 < plan.policy.idle_timeout_s < np.inf]
    longer = 1.0
    while len(found) < count:
        longer += 0.03
        for plan in moved:
            timeout_s = plan.policy.idle_timeout_s * longer
            policy = dataclasses.replace(plan.policy, idle_timeout_s=timeout_s)
            found.append(dataclasses.replace(plan, policy=policy))
    return tuple(found[:count])
