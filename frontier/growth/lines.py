"""Which plan a line takes at a level of the traffic and at the prices of a month.

Where the traffic is drawn, a plan counts as holding the limit if it does in every draw. A
commitment that a line makes binds it until it ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from frontier.economics import cheapest_under
from frontier.growth.futures import Futures, Level, Tick
from frontier.growth.plan import GrowthPlan
from frontier.growth.table import ALWAYS_ON, CHEAPEST, KEPT, SHIPPED
from frontier.plans.families import DEDICATED, FAMILIES, RESERVED
from frontier.plans.plan import Plan
from frontier.study import Study
from frontier.sweep import Deal, Outcome

# Sums of the same dollars in another order differ in their last bits.
_NOTHING_USD = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class At:
    """A level of the traffic at the prices of one month, and the draws of each line's plan."""

    studied: Study
    drawn: dict[str, tuple[Outcome, ...]]


class World:
    """The plans of a level at the prices of one month, and which of them a line takes."""

    def __init__(self, billed: Study, futures: Futures, level: Level, tick: Tick) -> None:
        self._billed, self._futures, self._level, self._tick = billed, futures, level, tick
        self._draws = 1 if level.is_as_read else int(billed.tables.setting("growth_draws"))

    def lines(
        self, kept: Outcome, bounds: Mapping[str, tuple[int, int] | None], month: int
    ) -> dict[str, tuple[Outcome, ...]]:
        """Return the draws of each line's plan; a line that has none is missing."""
        billed, verdict = self._billed, self._billed.verdict
        found = {}
        if verdict.shipped is not None:
            found[SHIPPED] = self._draw(billed.outcomes[verdict.shipped.plan_id])
        # Not the plan of that name in another grid: the very one that was chosen today.
        if not self._level.is_as_read:
            (kept,) = self._futures.of_plans(self._level, 0, [kept.plan], self._tick)
        found[KEPT] = self._draw(kept)
        table = billed.table
        buyable = [FAMILIES[key].is_buyable for key in table["family"]]
        always_on = table["family"].isin([DEDICATED.key, RESERVED.key]).to_numpy()
        for name, rows in ((ALWAYS_ON, table[always_on]), (CHEAPEST, table[buyable])):
            bound = bounds[name]
            rows = rows[
                [self._is_free(billed.outcomes[one], bound, month) for one in rows["plan_id"]]
            ]
            chosen = self._cheapest(rows)
            if chosen is None and name == ALWAYS_ON and verdict.rival is not None:
                # No number of machines holds the limit: then those as fast as any.
                chosen = self._draw(billed.outcomes[verdict.rival.plan_id])
            if name == CHEAPEST and self._is_better(found[KEPT], chosen, bound, month):
                # Whoever decides anew may keep what there is, also where no grid has it any more.
                chosen = found[KEPT]
            if chosen is not None:
                found[name] = chosen
        return found

    def _is_better(
        self,
        kept: tuple[Outcome, ...],
        chosen: tuple[Outcome, ...] | None,
        bound: tuple[int, int] | None,
        month: int,
    ) -> bool:
        """Whether today's plan holds the limit in each draw, for less than the chosen one."""
        if not self._holds(kept) or not self._is_free(kept[0], bound, month):
            return False
        if chosen is None or not self._holds(chosen):
            return True
        mean_usd = [
            float(np.mean([self._billed.usd_per_month(outcome) for outcome in drawn]))
            for drawn in (kept, chosen)
        ]
        return mean_usd[0] < mean_usd[1] - _NOTHING_USD

    def _holds(self, drawn: tuple[Outcome, ...]) -> bool:
        return all(outcome.latency.p99_ttft_s <= self._billed.limit_s for outcome in drawn)

    @staticmethod
    def _is_free(outcome: Outcome, bound: tuple[int, int] | None, month: int) -> bool:
        """Whether no commitment is in the way of a plan."""
        return bound is None or month > bound[1] or _uses(outcome, bound[0])

    def _cheapest(self, rows: pd.DataFrame) -> tuple[Outcome, ...] | None:
        """Return the draws of the cheapest plan that holds the limit in each of them.

        Where none does, of the one that holds it in most; None where none does in the first.
        """
        limit_s = self._billed.limit_s
        best: tuple[Outcome, ...] | None = None
        most = 0
        while (
            at := cheapest_under(rows["usd_per_month"], rows["p99_ttft_s"], limit_s)
        ) is not None:
            drawn = self._draw(self._billed.outcomes[str(rows.iloc[at]["plan_id"])])
            held = sum(outcome.latency.p99_ttft_s <= limit_s for outcome in drawn)
            if held > most:
                best, most = drawn, held
            if held == len(drawn):
                break
            rows = rows.drop(index=rows.index[at])
        return best

    def _draw(self, first: Outcome) -> tuple[Outcome, ...]:
        """Return what a plan does with each draw of the traffic, the first of which is known."""
        others = (
            self._futures.of_plans(self._level, seed, [first.plan], self._tick)
            for seed in range(1, self._draws)
        )
        return (first, *(outcome for (outcome,) in others))


def _uses(outcome: Outcome, replicas: int) -> bool:
    """Whether a plan has so many replicas under the commitment."""
    return outcome.plan.is_committed and _kept(outcome.plan) >= replicas


def _kept(plan: Plan) -> int:
    return plan.policy.pinned_replicas or plan.policy.min_replicas


def bind(
    bounds: dict[str, tuple[int, int] | None],
    binding: list[tuple[int, int, int]],
    at: At,
    deal: Deal,
    growth: GrowthPlan,
    month: int,
) -> None:
    """Let a commitment that a line makes in a month hold for its term."""
    for name, bound in bounds.items():
        if bound is not None and month > bound[1]:
            bounds[name] = bound = None
        # One without a stated term binds to nothing that is known.
        if deal.commitment is None or not deal.commitment.term_months or name not in at.drawn:
            continue
        plan = at.drawn[name][0].plan
        if not plan.is_committed:
            continue
        kept = _kept(plan)
        if bound is not None and kept <= bound[0]:
            continue
        last = month - 1 + deal.commitment.term_months
        if growth.committed_until is not None:
            last = min(last, growth.committed_until)
        bounds[name] = (kept, last)
        if name == CHEAPEST:
            binding.append((month, last, kept))
