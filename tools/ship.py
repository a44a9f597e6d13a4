"""Compute data/shipped.npz anew: all that a first visitor's page takes of the default example.

`PYTHONPATH=. python tools/ship.py` writes the file; `frontier.shipped` says what is in it and when
it is used. A test says when it is out of date.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import zipfile
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np

from frontier.errors import InfeasibleError
from frontier.market import Market, MarketAnswer, answer_of, market, with_range
from frontier.market.tried import Tried
from frontier.plans.plan import Plan
from frontier.plans.scenario import Scenario
from frontier.rivals import AS_SHIPPED, Rivals
from frontier.shipped import FILE, Group, Ran, Shipped, pack
from frontier.study import Simulated, compare, luck_of, simulate, study_of
from frontier.sweep import simulate_plans
from frontier.tables import Tables, load_tables
from frontier.trace import Trace, example_trace


class _Kept(dict):
    """All that a market simulates, by key."""

    def put(self, key: Hashable, value: tuple[Tried, ...], seconds: float = 0.0) -> None:
        """Keep a value."""
        self[key] = value


class Nothing(Shipped):
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


class Answers(Nothing):
    """Makes every answer it is asked for, and remembers them."""

    def __init__(self) -> None:
        super().__init__()
        self.made: dict[bytes, Any] = {}

    def outcomes(self, plans: Sequence[Plan], trace: Trace, tables: Tables) -> None:
        """Have none."""

    def answer(self, key: bytes, make: Callable[[], Any]) -> Any:
        """Make it."""
        self.made[key] = make()
        return self.made[key]


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


def fresh_market(scenario: Scenario, trace: Trace, tables: Tables) -> tuple[Market, list[Group]]:
    """Simulate the whole market; return it, and its groups."""
    kept, asked = _Kept(), Nothing()
    whole = market(
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
    return whole, found


def winner_of(whole: Market) -> tuple[MarketAnswer, Plan]:
    """Return the answer of the offers that are ticked without a choice, and the plan that wins."""
    ticked = tuple(row for row in whole.rows if row.offer.featured)
    answer = answer_of(dataclasses.replace(whole, rows=ticked))
    best = None if answer.best is None else whole.row(answer.best.offer_id)
    if best is None or best.best is None:
        raise InfeasibleError("No offer holds the limit of the default example.")
    return answer, best.best.plan


def fresh_answers(
    simulated: Simulated, whole: Market, scenario: Scenario, tables: Tables
) -> dict[bytes, Any]:
    """Compute the ranges of luck and the break-even; return what came of the runs, by digest."""
    answers = Answers()
    study = study_of(simulated, tables, limit_s=scenario.slo_p99_ttft_s)
    answer, _ = winner_of(whole)
    with_range(answer, whole, tables, beforehand=answers)
    luck_of(study, beforehand=answers)
    rivals = Rivals(scenario, simulated.trace, tables)
    compare(study, rivals, AS_SHIPPED, lines=(AS_SHIPPED,), beforehand=answers)
    return answers.made


def main() -> None:
    """Write the file."""
    tables = load_tables()
    scenario = default_scenario(tables)
    trace = example_trace(next(iter(tables.examples.values())), tables)
    whole, groups = fresh_market(scenario, trace, tables)
    simulated = simulate(scenario, trace, tables)
    winner = simulate_plans([winner_of(whole)[1]], trace, tables)
    answers = fresh_answers(simulated, whole, scenario, tables)
    arrays = pack(groups, simulated.outcomes, winner, answers, trace, tables)
    # As `np.savez_compressed` writes it, but for a third less: the file is part of every clone.
    with zipfile.ZipFile(FILE, "w", zipfile.ZIP_LZMA) as file:
        for name, array in arrays.items():
            with file.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
    plans = sum(len(ran) for _, _, ran in groups)
    print(
        f"{FILE.name}: {len(groups)} groups of {plans} plans, {len(simulated.outcomes)} whole "
        f"outcomes and {len(answers)} answers, {FILE.stat().st_size / 1e6:.2f} MB"
    )


if __name__ == "__main__":
    main()
