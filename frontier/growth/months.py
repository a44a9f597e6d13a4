"""Cost, waits and replicas of the plans that matter, month by month.

Four lines: scale-to-zero as shipped; the fewest always-on machines that hold the limit; the plan
that is chosen today, kept as it is; and the cheapest within the limit, chosen anew each month. The
last is the study's own verdict at the traffic and prices of that month, except in two things: where
the traffic is drawn it holds the limit in every draw, and a commitment once made binds: until it
ends, only plans that use its machines come into question.

Where all months together would take too many requests, some levels of traffic are simulated and
what lies between two of them is drawn on a straight line; such months say so.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np

from frontier import units
from frontier.errors import InputError
from frontier.growth.futures import Futures, Level
from frontier.growth.lines import At, World, bind
from frontier.growth.plan import GrowthPlan, check_bounds
from frontier.growth.table import (
    ALWAYS_ON,
    CHEAPEST,
    LINES,
    GrowthTable,
    Month,
    MonthPoint,
    YearOfLine,
)
from frontier.spell import count
from frontier.study import Simulated, Study, default_plan_id, study_of
from frontier.sweep import Deal, Outcome, bill_outcome

Progress = Callable[[int, int], None]


def over_months(
    study: Study,
    futures: Futures,
    growth: GrowthPlan,
    *,
    kept_plan_id: str | None = None,
    progress: Progress | None = None,
) -> GrowthTable:
    """Return cost, p99 and replicas of the lines in each month.

    Parameters
    ----------
    study : Study
        At the traffic as it was read, at the prices and the limit in force.
    futures : Futures
        Of the same simulation; what it has simulated stays in it.
    kept_plan_id : str, optional
        The plan of the line `KEPT`; the study's answer if None.
    progress : callable, optional
        Called with (done, all) months, at least ten times a second; what it raises stops all.

    Raises
    ------
    InputError
        If the growth is out of range, an offer of a price step is not one of the scenario's, or a
        month would have no request or too many.
    """
    tables = study.tables
    check_bounds(growth, tables)
    _check_offers(study, growth)
    kept_plan_id = kept_plan_id or default_plan_id(study)
    kept = study.outcomes.get(kept_plan_id)
    if kept is None or not kept.plan.family.is_buyable:
        raise InputError(f"There is no plan {kept_plan_id} to keep: expected one of the study's.")
    per_day = study.trace.arrival_s.size / study.trace.horizon_s * units.SECONDS_PER_DAY
    levels = [
        Level(growth.factor(month, per_day, study.hours_per_month), growth.hours_in(month))
        for month in range(1, growth.months + 1)
    ]
    rows = _rows_of(levels, futures, growth)
    simulated = levels_to_simulate(levels, study.trace.arrival_s.size, study)
    done = 0

    def tick() -> None:
        if progress is not None:
            progress(done, growth.months)

    # A spot price is no base for a commitment, and a reserved one has it.
    is_sold = study.deployment.dedicated.kind == "dedicated"
    bounds: dict[str, tuple[int, int] | None] = {ALWAYS_ON: None, CHEAPEST: None}
    binding: list[tuple[int, int, int]] = []
    months: list[Month] = []
    totals: dict[str, list[list[float]]] = {name: [] for name in LINES}
    for month, level in enumerate(levels, start=1):
        deal = deal_in(study, growth, month)
        near = _neighbours(level, simulated)
        found = []
        for one in near:
            billed = _studied(futures.at(one, tick), study, deal, one)
            world = World(billed, futures, one, tick)
            plans = world.lines(study.outcomes[kept_plan_id], bounds, month)
            found.append((one, At(billed, plans)))
        # The upper neighbour says which plan it is: it has to bear at least this traffic.
        upper = found[-1][1]
        bind(bounds, binding, upper, deal, growth, month)
        points = {}
        for name in LINES:
            sides = [(one, at) for one, at in found if name in at.drawn]
            if len(sides) == len(found):
                point, usd = _point(name, month, level, sides, study, deal)
                points[name] = point
                totals[name].append(usd)
        months.append(
            Month(
                month=month,
                first=growth.date(month),
                factor=level.factor,
                requests_per_day=_requests_per_day(level, near, futures, per_day),
                points=points,
                draws=1 if level.is_as_read else int(tables.setting("growth_draws")),
                is_interpolated=len(near) > 1,
                is_committed=deal.commitment is not None and is_sold,
                is_changed=bool(level.hours) or deal != study.deal,
                times=rows[month - 1],
            )
        )
        done += 1
        tick()
    return GrowthTable(
        growth=growth,
        months=tuple(months),
        years={
            name: _year(months, name, usd)
            for name, usd in totals.items()
            if len(usd) == growth.months
        },
        limit_s=study.limit_s,
        hours_per_month=study.hours_per_month,
        span_s=study.trace.horizon_s,
        requests=study.trace.arrival_s.size,
        price_band=tables.setting("price_band"),
        binding=tuple(binding),
    )


def _rows_of(levels: Sequence[Level], futures: Futures, growth: GrowthPlan) -> list[int]:
    """Return how often the traffic stands in a row in each month, before anything is simulated."""
    found = []
    for month, level in enumerate(levels, start=1):
        try:
            found.append(futures.times(level))
        except InputError as error:
            way = "Choose a smaller decline"
            if month > 1:
                way += f", at most {count(month - 1, 'month')}"
            raise InputError(
                f"{growth.named(month)} would have {error} {way}, or bring a longer trace."
            ) from None
    return found


def levels_to_simulate(levels: Sequence[Level], requests: int, study: Study) -> tuple[Level, ...]:
    """Return the levels of traffic to simulate for some months, in order of their traffic.

    All of them where they come to fewer than ``growth_most_requests`` requests; else, for each set
    of hours, the least and the largest, the traffic as it was read if it lies between, and levels
    evenly spaced on a log scale.
    """
    setting = study.tables.setting
    wanted = sorted(dict.fromkeys(levels), key=lambda level: (level.hours, level.factor))
    drawn = [level for level in wanted if not level.is_as_read]
    if math.fsum(level.factor for level in drawn) * requests <= setting("growth_most_requests"):
        return tuple(wanted)
    chosen: list[Level] = []
    for hours in dict.fromkeys(level.hours for level in wanted):
        factors = [level.factor for level in wanted if level.hours == hours]
        low, high = min(factors), max(factors)
        few = {low, high}
        if not hours and low < 1.0 < high:
            few.add(1.0)
        samples = int(setting("growth_samples"))
        if len(factors) > samples:
            few |= {float(f"{factor:.9g}") for factor in np.geomspace(low, high, samples)}
        else:
            few |= set(factors)
        chosen += [Level(factor, hours) for factor in sorted(few)]
    return tuple(chosen)


def deal_in(study: Study, growth: GrowthPlan, month: int) -> Deal:
    """Return the terms of a month: prices times their factors, a commitment until it ends."""
    deal, scenario = study.deal, study.deployment.scenario
    serverless, machines = (
        dataclasses.replace(
            terms, multiplier=terms.multiplier * growth.price_factor(month, offer_id)
        )
        for terms, offer_id in (
            (deal.serverless, scenario.serverless_offer),
            (deal.machines, scenario.dedicated_offer),
        )
    )
    until = growth.committed_until
    commitment = deal.commitment if until is None or month <= until else None
    return dataclasses.replace(
        deal, serverless=serverless, machines=machines, commitment=commitment
    )


def _check_offers(study: Study, growth: GrowthPlan) -> None:
    scenario = study.deployment.scenario
    known = (scenario.serverless_offer, scenario.dedicated_offer)
    for step in growth.price_steps:
        if step.offer_id is not None and step.offer_id not in known:
            raise InputError(
                f"A price step is of {known[0]} or {known[1]}, the offers of this scenario; found "
                f"{step.offer_id}."
            )


def _studied(found: Simulated, study: Study, deal: Deal, level: Level) -> Study:
    """Return the study of a level at the terms of a month; the given one where nothing differs."""
    if level.is_as_read and deal == study.deal:
        return study
    return study_of(found, study.tables, limit_s=study.limit_s, deal=deal)


def _point(
    name: str,
    month: int,
    level: Level,
    sides: Sequence[tuple[Level, At]],
    study: Study,
    deal: Deal,
) -> tuple[MonthPoint, list[float]]:
    """Return the point of a line in a month, and its dollars with each draw.

    Between two simulated levels money is drawn on a straight line; which plan it is, how long its
    requests wait and whether it holds the limit are those of the level above.
    """
    band, hours = study.tables.setting("price_band"), study.hours_per_month

    def usd(outcome: Outcome, factor: float = 1.0) -> float:
        bill = bill_outcome(outcome, study.tables, deal.at(factor))
        return bill.usd_per_month(hours)

    rows = []
    for _, at in sides:
        outcomes = at.drawn[name]
        rows.append(
            tuple(
                [usd(outcome, factor) for outcome in outcomes]
                for factor in (1.0, 1 - band, 1 + band)
            )
        )
    upper, at = sides[-1]
    drawn, price_low, price_high = rows[-1]
    if len(sides) > 1:
        below, _ = sides[0]
        weight = (level.factor - below.factor) / (upper.factor - below.factor)
        # As many draws on both sides: the traffic as it was read has one.
        size = max(len(rows[0][0]), len(drawn))
        drawn, price_low, price_high = (
            [
                (1 - weight) * a + weight * b
                for a, b in zip((low * size)[:size], (high * size)[:size], strict=True)
            ]
            for low, high in zip(*rows, strict=True)
        )
    outcomes = at.drawn[name]
    mean = float(np.mean(drawn))
    waits_s = [outcome.latency.p99_ttft_s for outcome in outcomes]
    facts = dataclasses.replace(
        at.studied.facts(outcomes[0]),
        usd_per_month=mean,
        usd_per_h=mean / hours,
        p99_ttft_s=max(waits_s),
    )
    point = MonthPoint(
        line=name,
        month=month,
        plan=facts,
        usd=mean,
        usd_low=min(drawn),
        usd_high=max(drawn),
        usd_price_low=float(np.mean(price_low)),
        usd_price_high=float(np.mean(price_high)),
        p99_ttft_s=max(waits_s),
        holds_limit=max(waits_s) <= study.limit_s,
        draws_held=sum(wait_s <= study.limit_s for wait_s in waits_s),
        replicas=outcomes[0].plan.policy.max_replicas,
    )
    return point, drawn


def _requests_per_day(
    level: Level, near: Sequence[Level], futures: Futures, per_day: float
) -> float:
    """Return the mean rate of a month; other hours of the week change it beyond the factor."""
    if not any(hour != 1.0 for hour in level.hours):
        return level.factor * per_day
    upper = near[-1]
    trace = futures.at(upper).trace
    drawn = trace.arrival_s.size / trace.horizon_s * units.SECONDS_PER_DAY
    return drawn * level.factor / upper.factor


def _neighbours(level: Level, simulated: Sequence[Level]) -> tuple[Level, ...]:
    """Return the level itself if it was simulated, else those below and above it."""
    if level in simulated:
        return (level,)
    alike = [one for one in simulated if one.hours == level.hours]
    below = max((one for one in alike if one.factor < level.factor), key=lambda one: one.factor)
    above = min((one for one in alike if one.factor > level.factor), key=lambda one: one.factor)
    return below, above


def _year(months: Sequence[Month], name: str, usd: Sequence[Sequence[float]]) -> YearOfLine:
    points = [month.points[name] for month in months]
    draws = max(len(drawn) for drawn in usd)
    # One draw is one future: the same luck in every month; what is not drawn is the same in all.
    futures = [
        math.fsum(drawn[min(draw, len(drawn) - 1)] for drawn in usd) for draw in range(draws)
    ]
    return YearOfLine(
        usd=math.fsum(point.usd for point in points),
        usd_low=min(futures),
        usd_high=max(futures),
        usd_price_low=math.fsum(point.usd_price_low for point in points),
        usd_price_high=math.fsum(point.usd_price_high for point in points),
    )
