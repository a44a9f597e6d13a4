"""Compute data/shipped.npz anew: what the default example's plans do, for a first visitor.

`PYTHONPATH=. python tools/ship.py` writes the file; `frontier.shipped` says what is in it and when
it is used. A test says when it is out of date.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Hashable, Sequence

import numpy as np

from frontier.market import market
from frontier.market.tried import Tried
from frontier.plans.grid import default_grid, first_look
from frontier.plans.plan import Plan
from frontier.plans.scenario import Scenario, deploy
from frontier.shipped import FILE, Group, Ran, Shipped, pack
from frontier.sweep import Outcome, simulate_plans
from frontier.tables import Tables, load_tables
from frontier.trace import Trace, example_trace


class _Kept(dict):
    """All that a market simulates, by key."""

    def put(self, key: Hashable, value: tuple[Tried, ...], seconds: float = 0.0) -> None:
        """Keep a value."""
        self[key] = value


class _Nothing(Shipped):
    """Has nothing to give, and remembers which plans it was asked for."""

    def __init__(self) -> None:
        self.places: dict[int, tuple[int, Sequence[Plan]]] = {}

    def has(self, trace: Trace) -> bool:
        """Let it be asked."""
        return True

    def group(
        self, plans: Sequence[Plan], trace: Trace, metering: Hashable, tables: Tables
    ) -> None:
        """Remember where each plan stands."""
        self.places |= {id(plan): (at, plans) for at, plan in enumerate(plans)}


def default_scenario(tables: Tables) -> Scenario:
    """Return the scenario that the app opens with."""
    example = next(iter(tables.examples.values()))
    return Scenario(
        example.model,
        example.precision,
        example.serverless_offer,
        example.dedicated_offer,
        example.slo_p99_ttft_s,
    )


def fresh_groups(scenario: Scenario, trace: Trace, tables: Tables) -> list[Group]:
    """Simulate the whole market; return its groups."""
    kept, asked = _Kept(), _Nothing()
    market(
        scenario,
        trace,
        tables,
        limit_s=scenario.slo_p99_ttft_s,
        kept=kept,
        shipped=asked,
        today=dt.date.today(),
    )
    found = []
    for (_, metering), tried in kept.items():
        places = [asked.places[id(one.plan)] for one in tried]
        ran = [
            Ran(at, one.latency, one.meters, one.starts, one.busy_share)
            for (at, _), one in zip(places, tried, strict=True)
        ]
        found.append((places[0][1], metering, ran))
    return found


def fresh_outcomes(scenario: Scenario, trace: Trace, tables: Tables) -> tuple[Outcome, ...]:
    """Simulate the few plans of a first look."""
    grid = default_grid(deploy(scenario, trace, tables), trace, tables)
    return simulate_plans(first_look(grid), trace, tables)


def main() -> None:
    """Write the file."""
    tables = load_tables()
    scenario = default_scenario(tables)
    trace = example_trace(next(iter(tables.examples.values())), tables)
    groups, outcomes = (fresh(scenario, trace, tables) for fresh in (fresh_groups, fresh_outcomes))
    np.savez_compressed(FILE, **pack(groups, outcomes, trace, tables))
    plans = sum(len(ran) for _, _, ran in groups)
    print(
        f"{FILE.name}: {len(groups)} groups of {plans} plans and {len(outcomes)} whole outcomes, "
        f"{FILE.stat().st_size / 1e6:.2f} MB"
    )


if __name__ == "__main__":
    main()
