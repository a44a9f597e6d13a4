"""Which uncertain input could turn the verdict: all of them drawn together, and chosen anew.

Every draw is a world in which the start, the serving speed, the prices, the cores and memory of an
engine and the traffic are what they might be, all at once. In each, the plans that can win are
simulated and billed, and the cheapest within the limit is chosen, as the verdict chooses. All
plans of a draw share its world. What an input decides is what knowing it would put right
(`knowing`); no input is moved alone, and none is left at its base.

A choice is a kind of plan: its family and how many replicas it keeps. An idle timeout that moves
within a kind turns no verdict.

Left out: plans outside the grid, more always-on replicas than it has, and what two inputs have in
common (a platform that starts slowly may serve slowly too).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frontier.crew import Progress, in_threads
from frontier.economics import cheapest_under, efficient
from frontier.plans.plan import Plan
from frontier.ranges.facts import INPUTS, PlanRange, Ranges, range_of
from frontier.ranges.inputs import (
    LUCK_OF_TRAFFIC,
    START,
    log_error_of_one_log,
    luck_range,
)
from frontier.ranges.knowing import (
    Stretch,
    bins_of,
    gain_of_knowing,
    settled_by_reading,
    stretches,
)
from frontier.ranges.quantiles import InputRange
from frontier.ranges.worlds import (
    Factors,
    Worlds,
    candidates,
    draw_count,
    drawn_worlds,
    kind_of,
    luck_of_worlds,
    run_all,
)
from frontier.start.stages import ColdStart
from frontier.sweep import LIST_DEAL, Deal, Outcome
from frontier.tables import Tables
from frontier.trace import Trace

NOTHING_HOLDS = "none"
"""The choice of a draw in which no plan holds the limit."""

_SAME_USD = 1e-6


@dataclass(frozen=True, slots=True)
class Influence:
    """What knowing one input would do for a choice.

    Attributes
    ----------
    key : str
        Of the input.
    right_share : float
        Share of the draws that it would put right, of those that one choice for all gets wrong.
        [1], as a share of all draws
    usd_per_month : float
        What it would save on average; NaN where a wrong choice breaks the limit, which has no
        price here. [$/month]
    stretches : tuple of Stretch
        Over which of its values which choice is right.
    """

    key: str
    right_share: float
    usd_per_month: float
    stretches: tuple[Stretch, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """What was right in every draw.

    Attributes
    ----------
    choices : tuple of str
        Kinds of plans, the most frequent first.
    plan_ids : tuple of str
        The plan that stands for each kind: the one that was right most often; empty for
        ``NOTHING_HOLDS``.
    chosen : ndarray of int, shape (n,)
        Which of the choices was right in each draw.
    today : str
        The choice at the values as they stand.
    influences : tuple of Influence
        One for each open input, the one that puts most right first.
    kinds : tuple of str
        All the kinds that there were to choose from.
    overspent_usd : float
        What today's choice costs more than the right one, on average over the draws in which it
        holds the limit. [$/month]
    breaks_share : float
        Share of the draws in which no plan of today's kind holds the limit. [1]
    """

    choices: tuple[str, ...]
    plan_ids: tuple[str, ...]
    chosen: NDArray[np.int64]
    today: str
    influences: tuple[Influence, ...]
    kinds: tuple[str, ...]
    overspent_usd: float
    breaks_share: float

    def share(self, choice: str) -> float:
        """Return the share of the draws in which a choice is right [1]."""
        if choice not in self.choices:
            return 0.0
        return float(np.mean(self.chosen == self.choices.index(choice)))

    @property
    def stands_share(self) -> float:
        """Share of the draws in which today's choice is right [1]."""
        return self.share(self.today)


@dataclass(frozen=True, slots=True)
class OneLog:
    """What one start-up log would settle of the choice within the limit.

    Attributes
    ----------
    sure_share : float
        Share of what the log may say after which the choice is settled. [1]
    stretches : tuple of Stretch
        By the seconds that it says.
    """

    sure_share: float
    stretches: tuple[Stretch, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Decides:
    """What the verdict hangs on, of all that is not known for sure.

    Attributes
    ----------
    inputs : tuple of InputRange
        All of them, those that leave nothing open too.
    values : mapping of str to ndarray, shape (n,)
        What each open input was in each draw, in its unit.
    plan_ids : tuple of str
        Plans that were looked at.
    usd_each, p99_each_s : ndarray, shape (n, plans)
        What they came to; NaN where a plan could not win a draw and was not run.
        [$/month], [s]
    within : Decision
        The cheapest kind of plan within the limit.
    on_cost : Decision or None
        The cheaper one of scale-to-zero as shipped and its always-on rival, whatever they do to
        the limit; None where there are not both.
    one_log : OneLog or None
        None where the start is open no more, or turns nothing.
    ranges : Ranges
        Of the plans that were run in every draw.
    sure_share : float
        From which share of the draws on a choice counts as sure. [1]
    left_out : str
        Why the luck of the traffic is not among the inputs, as a sentence; empty where it is.
    """

    inputs: tuple[InputRange, ...]
    values: Mapping[str, NDArray[np.float64]]
    plan_ids: tuple[str, ...]
    usd_each: NDArray[np.float64]
    p99_each_s: NDArray[np.float64]
    within: Decision
    on_cost: Decision | None
    one_log: OneLog | None
    ranges: Ranges
    sure_share: float
    left_out: str

    @property
    def draws(self) -> int:
        """How many worlds were drawn."""
        return int(self.usd_each.shape[0])

    def input(self, key: str) -> InputRange:
        """Return the input of that key."""
        return next(one for one in self.inputs if one.key == key)

    def rows(self) -> tuple[dict[str, Any], ...]:
        """Return one row an input, as tables and exports have it.

        What is not open puts nothing right; dollars only where there are two to choose from on
        cost. ``low`` to ``high`` holds `ranges_level` of the cases.
        """
        within = {one.key: one for one in self.within.influences}
        cost = {} if self.on_cost is None else {one.key: one for one in self.on_cost.influences}
        return tuple(
            {
                "key": one.key,
                "input": one.label,
                "unit": one.unit,
                "base": one.base,
                "low": one.low,
                "median": one.median,
                "high": one.high,
                "basis": one.basis,
                "cases": one.cases,
                "source_ids": ";".join(one.source_ids),
                "why": one.why,
                "draws": self.draws,
                "put_right_share": within[one.key].right_share if one.key in within else 0.0,
                "worth_usd_per_month": cost[one.key].usd_per_month if one.key in cost else math.nan,
            }
            for one in self.inputs
        )


def decide(
    outcomes: Mapping[str, Outcome],
    trace: Trace,
    tables: Tables,
    inputs: Sequence[InputRange],
    start: ColdStart,
    *,
    limit_s: float,
    shown: Sequence[str],
    shipped_id: str | None = None,
    rival_id: str | None = None,
    deal: Deal = LIST_DEAL,
    progress: Progress | None = None,
) -> Decides:
    """Draw the inputs together and find what is right in each draw, and what settles it.

    Parameters
    ----------
    outcomes : mapping of str to Outcome
        By plan, at the inputs as they stand; what nobody can buy is left aside.
    inputs : sequence of InputRange
        `inputs.input_ranges` of the same scenario.
    start : ColdStart
        A start there before any mitigation: by its spread one log of it is off.
    limit_s : float
        On p99 TTFT. [s]
    shown : sequence of str
        Plans that get a range, and so are run in every draw.
    shipped_id, rival_id : str or None
        Scale-to-zero as shipped, and its rival.
    progress : callable, optional
        As for `sweep.simulate_plans`; what it raises stops all.
    """
    buyable = {key: one for key, one in outcomes.items() if one.plan.family.is_buyable}
    shown = tuple(dict.fromkeys(key for key in shown if key in buyable))
    draws = draw_count(trace, tables)
    rivals = [key for key in (shipped_id, rival_id) if key in buyable] or list(buyable)[:1]
    luck, left_out = luck_of_worlds(buyable, rivals, trace, tables)
    world = Worlds(trace, tables, deal, inputs, tuple(buyable.values()), luck)
    is_open = [one for one in inputs if one.is_open]
    looked_at = buyable
    if trace.arrival_s.size * len(buyable) > tables.setting("decides_screened_requests"):
        # Too long to run every plan: those that stand out as things are.
        usd_now, waits_s = world.as_it_stands(buyable)
        stands_out = efficient(usd_now, waits_s)
        looked_at = {
            key: one
            for (key, one), stands in zip(buyable.items(), stands_out, strict=True)
            if stands or key in shown
        }
    found_kind = candidates(looked_at, world, limit_s, shown, draws, progress)
    factors = drawn_worlds(is_open, luck, draws, tables)
    plans = {key: buyable[key].plan for key in found_kind}
    usd, p99_s = run_all(
        found_kind,
        plans,
        shown,
        world,
        factors,
        draws=draws,
        limit_s=limit_s,
        progress=progress,
        done_before=2 * len(looked_at),
    )
    keys = tuple(found_kind)
    kinds = [kind_of(plan) for plan in plans.values()]
    values = {one.key: one.base * factors[one.key] for one in is_open}
    if luck is not None:
        other = luck_range(trace, luck.traffic, luck.how, tables)
        inputs = (*inputs, other)
        drawn_sizes = world.requests[factors[LUCK_OF_TRAFFIC].astype(np.int64)]
        values[LUCK_OF_TRAFFIC] = other.base * drawn_sizes / trace.arrival_s.size
    usd_now, waits_s = world.as_it_stands(buyable)
    at = cheapest_under(usd_now, waits_s, limit_s)
    within = _decision(
        _within(keys, kinds, usd, p99_s, limit_s),
        NOTHING_HOLDS if at is None else kind_of(tuple(buyable.values())[at].plan),
        values,
        has_price=False,
        tables=tables,
    )
    on_cost = None
    if shipped_id in shown and rival_id in shown and shipped_id != rival_id:
        pair = [keys.index(key) for key in (shipped_id, rival_id)]
        both = usd[:, pair]
        on_cost = _decision(
            _Right(
                tuple(kinds[index] for index in pair),
                tuple(keys[index] for index in pair),
                both.argmin(axis=1),
                both,
            ),
            kinds[min(pair, key=lambda index: world.usd(buyable[keys[index]], {}))],
            values,
            has_price=True,
            tables=tables,
        )
    return Decides(
        inputs=tuple(inputs),
        values=values,
        plan_ids=keys,
        usd_each=usd,
        p99_each_s=p99_s,
        within=within,
        on_cost=on_cost,
        one_log=_one_log(within, values, start, tables),
        ranges=_ranges(shown, plans, world, factors, usd, p99_s, keys),
        sure_share=tables.setting("decides_sure_share"),
        left_out=left_out,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Right:
    """What was right in each draw: kinds, the plan that stands for each, costs where they hold."""

    kinds: tuple[str, ...]
    plan_ids: tuple[str, ...]
    chosen: NDArray[np.int64]
    usd: NDArray[np.float64]
    """Of each kind in each draw, infinite where no plan of it holds the limit, (n, kinds)."""


def _within(
    keys: Sequence[str],
    kinds: Sequence[str],
    usd: NDArray[np.float64],
    p99_s: NDArray[np.float64],
    limit_s: float,
) -> _Right:
    """Return the cheapest plan within the limit, draw by draw, as kinds."""
    names = (*dict.fromkeys(kinds), NOTHING_HOLDS)
    of = np.array([names.index(kind) for kind in kinds])
    chosen = np.empty(len(usd), dtype=np.int64)
    wins = np.zeros(len(keys), dtype=np.int64)
    for draw, (cost, wait_s) in enumerate(zip(usd, p99_s, strict=True)):
        best = cheapest_under(cost, wait_s, limit_s)
        chosen[draw] = len(names) - 1 if best is None else of[best]
        if best is not None:
            wins[best] += 1
    held = np.where(p99_s <= limit_s, usd, np.inf)
    by_kind = np.full((len(usd), len(names)), np.inf)
    plan_ids = []
    for index in range(len(names) - 1):
        own = np.flatnonzero(of == index)
        by_kind[:, index] = held[:, own].min(axis=1)
        plan_ids.append(keys[own[np.argmax(wins[own])]])
    return _Right(names, (*plan_ids, ""), chosen, by_kind)


def _decision(
    right: _Right,
    today: str,
    values: Mapping[str, NDArray[np.float64]],
    *,
    has_price: bool,
    tables: Tables,
) -> Decision:
    """Return what was right, the most frequent first, and what knowing each input would do."""
    setting, draws = tables.setting, right.chosen.size
    bins, sure = int(draws // setting("decides_bin_draws")), setting("decides_sure_share")
    errors = setting("decides_errors")
    counts = np.bincount(right.chosen, minlength=len(right.kinds))
    order = [int(at) for at in np.argsort(-counts, kind="stable") if counts[at]]
    place = np.full(len(right.kinds), -1)
    place[order] = np.arange(len(order))
    chosen = place[right.chosen]
    hits = np.eye(len(order))[chosen]
    influences = []
    for key, each in values.items():
        # Other traffic comes in a few sorts, none of them more or less than another.
        is_luck = key == LUCK_OF_TRAFFIC
        groups = bins_of(each, each.size if is_luck else bins)
        influences.append(
            Influence(
                key,
                gain_of_knowing(groups, hits, errors=errors),
                gain_of_knowing(groups, -right.usd[:, order], errors=errors)
                if has_price
                else math.nan,
                () if is_luck else stretches(each, chosen, len(order), bins=bins, sure_share=sure),
            )
        )
    influences.sort(key=lambda one: -one.right_share)
    own = (
        right.usd[:, right.kinds.index(today)]
        if today in right.kinds
        else np.full(len(chosen), np.inf)
    )
    holds = np.isfinite(own)
    least = right.usd.min(axis=1)
    return Decision(
        choices=tuple(right.kinds[at] for at in order),
        plan_ids=tuple(right.plan_ids[at] for at in order),
        chosen=chosen,
        today=today,
        influences=tuple(influences),
        kinds=right.kinds,
        overspent_usd=float(np.mean(own[holds] - least[holds])) if holds.any() else math.nan,
        breaks_share=0.0 if today == NOTHING_HOLDS else float(np.mean(~holds)),
    )


def _one_log(
    within: Decision, values: Mapping[str, NDArray[np.float64]], start: ColdStart, tables: Tables
) -> OneLog | None:
    if START not in values or len(within.choices) < 2:
        return None
    found, sure = settled_by_reading(
        values[START],
        within.chosen,
        len(within.choices),
        log_error=log_error_of_one_log(start, tables),
        sure_share=tables.setting("decides_sure_share"),
    )
    return OneLog(sure, found)


def _ranges(
    shown: Sequence[str],
    plans: Mapping[str, Plan],
    world: Worlds,
    factors: Factors,
    usd: NDArray[np.float64],
    p99_s: NDArray[np.float64],
    keys: Sequence[str],
) -> Ranges:
    """Return the ranges of plans by open inputs alone, the traffic being what it was."""
    tables, draws = world.tables, len(usd)
    level = tables.setting("ranges_level")
    tail = (1.0 - level) / 2
    inside = [keys.index(key) for key in shown]
    usd, p99_s = usd[:, inside], p99_s[:, inside]
    if LUCK_OF_TRAFFIC in factors:
        few = range(0, draws, max(1, draws // int(tables.setting("decides_least_draws"))))

        def work(draw: int, stop: NDArray[np.uint8]) -> list[tuple[float, float]]:
            at = {k: float(each[draw]) for k, each in factors.items() if k != LUCK_OF_TRAFFIC}
            ran = [world.run(plans[key], at, stop) for key in shown]
            return [(world.usd(one, at), one.latency.p99_ttft_s) for one in ran]

        usd, p99_s = np.moveaxis(np.array(in_threads(work, few)).reshape(len(few), -1, 2), 2, 0)
    return Ranges(
        INPUTS,
        level,
        tail,
        {
            key: PlanRange(
                key,
                usd[:, at],
                p99_s[:, at],
                range_of(usd[:, at], tail),
                range_of(p99_s[:, at], tail),
            )
            for at, key in enumerate(shown)
        },
        len(usd),
        "Start, serving speed, prices, cores and memory were drawn together over their ranges.",
    )
