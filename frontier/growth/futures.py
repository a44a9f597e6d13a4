"""The traffic of other months, simulated once and kept without a price.

`Futures` makes the traffic at a level (times the traffic as it was read, hour by hour of the week
if wanted), and simulates on it the plans of the grid, or plans that are kept as they are. At level
1 the traffic is the trace itself and the plans are those of the study: nothing is drawn, and
nothing is simulated again.
"""

from __future__ import annotations

import dataclasses
import math
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from frontier.economics import undominated
from frontier.errors import InputError
from frontier.memory import size_of
from frontier.plans.families import SCALE_TO_ZERO, WARM_POOL
from frontier.plans.plan import Plan
from frontier.spell import significant
from frontier.study import Simulated, simulate
from frontier.sweep import Outcome, basis_of_outcome, simulate_plans
from frontier.tables import Tables
from frontier.trace import Trace, scale_by_hour, scale_rate, thin_in_a_row
from frontier.units import SECONDS_PER_HOUR

Tick = Callable[[], None]
# Seconds that differ by the last bits of a float are the same.
_DECIMALS = 6


@dataclass(frozen=True, slots=True)
class Level:
    """How much traffic: times that as it was read [1], and times that by hour of the week [1]."""

    factor: float
    hours: tuple[float, ...] = ()

    @property
    def is_as_read(self) -> bool:
        """Whether this is the traffic as it was read."""
        return self.factor == 1.0 and not any(hour != 1.0 for hour in self.hours)


class Futures:
    """Plans at other levels of the traffic, simulated when first asked for and then kept.

    What is kept is bounded: a large trace at many levels is simulated again where it is asked for
    again.

    Parameters
    ----------
    now : Simulated
        The traffic as it was read, and what every plan did with it.
    tables : Tables
        Of the prices in it nothing is used: outcomes can be billed at any. Its rules say what is
        metered.
    """

    def __init__(self, now: Simulated, tables: Tables) -> None:
        self._tables = tables
        self._now = now
        self.least = tables.setting("break_even_least_requests")
        trace = now.trace
        if trace.session_id is not None:
            sessions = np.unique(trace.session_id).size
            if sessions < self.least:
                # So few cannot be thinned as a whole: one draw would decide of everything.
                trace = dataclasses.replace(trace, session_id=None)
        self._drawn_from = trace
        self._units = _units(trace)
        self._simulated: OrderedDict[Level, Simulated] = OrderedDict()
        self._outcomes: dict[tuple[Level, int, Plan], Outcome] = {}
        self._drawn: tuple[Level, dict[int, Trace]] | None = None

    def times(self, level: Level) -> int:
        """Return how often the traffic stands in a row so that enough is left of it at a level.

        Raises
        ------
        InputError
            If a year of it would not be enough.
        """
        if level.hours or level.factor >= 1.0:
            return 1
        left = self._units * level.factor
        times = math.ceil(self.least / left)
        year_s = self._tables.setting("hours_per_year") * SECONDS_PER_HOUR
        if times > max(1.0, year_s / self.trace.horizon_s):
            what = "request" if self._drawn_from.session_id is None else "conversation"
            a_year = left * year_s / self.trace.horizon_s
            raise InputError(
                f"{significant(a_year)} {what}s a year: expected at least {self.least:g}, of "
                "fewer chance alone would decide."
            )
        return times

    @property
    def trace(self) -> Trace:
        """The traffic as it was read."""
        return self._now.trace

    def at(self, level: Level, tick: Tick | None = None) -> Simulated:
        """Return what every plan of the grid does at a level, with the first draw."""
        if level.is_as_read:
            return self._now
        if level not in self._simulated:
            found = simulate(
                self._now.deployment.scenario,
                self.traffic(level, 0),
                self._tables,
                progress=None if tick is None else lambda *_: tick(),
            )
            self._simulated[level] = dataclasses.replace(
                found, outcomes=worth_keeping(found.outcomes, self._tables)
            )
            self._forget()
        self._simulated.move_to_end(level)
        return self._simulated[level]

    def _forget(self) -> None:
        """Let go of the levels used longest ago where all take too much; two always stay."""
        most = self._tables.setting("growth_most_kept_bytes")
        while len(self._simulated) > 2 and sum(map(_bytes_of, self._simulated.values())) > most:
            self._simulated.popitem(last=False)

    def of_plans(
        self, level: Level, seed: int, plans: Iterable[Plan], tick: Tick | None = None
    ) -> tuple[Outcome, ...]:
        """Return what these plans, kept as they are, do at a level with one draw of it."""
        plans = tuple(plans)
        seed = 0 if level.is_as_read else seed
        keys = [(level, seed, plan) for plan in plans]
        missing = list(dict.fromkeys(key for key in keys if key not in self._outcomes))
        if missing:
            ran = simulate_plans(
                [plan for _, _, plan in missing],
                self.traffic(level, seed),
                self._tables,
                progress=None if tick is None else lambda *_: tick(),
            )
            self._outcomes.update(zip(missing, ran, strict=True))
        return tuple(self._outcomes[key] for key in keys)

    def traffic(self, level: Level, seed: int) -> Trace:
        """Return the traffic at a level with one draw: the trace itself as it was read.

        Raises
        ------
        InputError
            If nothing is left of it, or it would be too large.
        """
        if level.is_as_read:
            return self._now.trace
        if self._drawn is None or self._drawn[0] != level:
            # Draws of one level at a time: a year of them would be a hundred megabytes.
            self._drawn = level, {}
        drawn = self._drawn[1]
        if seed not in drawn:
            if level.hours:
                hourly = [hour * level.factor for hour in level.hours]
                drawn[seed] = scale_by_hour(self._drawn_from, hourly, seed, self._tables)
            else:
                times = self.times(level)
                drawn[seed] = (
                    scale_rate(self._drawn_from, level.factor, seed, self._tables)
                    if times == 1
                    else thin_in_a_row(self._drawn_from, level.factor, seed, times)
                )
        return drawn[seed]


def _units(trace: Trace) -> int:
    """Return how many requests, or sessions, are kept or left out each as a whole."""
    if trace.session_id is None:
        return trace.arrival_s.size
    return int(np.unique(trace.session_id).size)


def _bytes_of(found: Simulated) -> int:
    return size_of((found.trace, found.outcomes))


def worth_keeping(outcomes: Iterable[Outcome], tables: Tables) -> tuple[Outcome, ...]:
    """Return the plans that a line can take at some price, in their order.

    A year of all of them would be some hundred megabytes. Those that scale to zero are most of it,
    and many of them are never worth more than another: whatever its price, they take as much of
    everything that is metered and wait as long. All others stay, but what nobody can buy.
    """
    kept: dict[int, Outcome] = {}
    scaled: list[tuple[int, Outcome]] = []
    for at, outcome in enumerate(outcomes):
        plan = outcome.plan
        if not plan.family.is_buyable:
            continue
        is_scaled = plan.family in (SCALE_TO_ZERO, WARM_POOL) and not plan.is_provider_default
        if is_scaled:
            scaled.append((at, outcome))
        else:
            kept[at] = outcome
    if scaled:
        kinds = [
            (one.plan.family.key, one.plan.speed, one.plan.weights_gib, one.plan.weights_stay)
            for _, one in scaled
        ]
        needs = [_needs(outcome, tables) for _, outcome in scaled]
        stays = undominated(kinds, np.round(needs, _DECIMALS))
        kept |= {at: one for (at, one), stay in zip(scaled, stays, strict=True) if stay}
    return tuple(kept[at] for at in sorted(kept))


def _needs(outcome: Outcome, tables: Tables) -> tuple[float, ...]:
    """Return what has a price in a run: metered seconds, host memory kept, storage; and the p99."""
    basis = basis_of_outcome(outcome, tables)
    (pool,) = basis.pools
    return (
        float(pool.meters.gpu_s.sum()) + pool.extra_start_gpu_s,
        pool.kept_ram_gib_s,
        basis.storage_gb,
        outcome.latency.p99_ttft_s,
    )
