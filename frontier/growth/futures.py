"""The traffic of other months, simulated once and kept without a price.

`Futures` makes the traffic at a level (times the traffic as it was read, hour by hour of the week
if wanted), and simulates on it the plans of the grid, or plans that are kept as they are. At level
1 the traffic is the trace itself and the plans are those of the study: nothing is drawn, and
nothing is simulated again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from frontier.plans.plan import Plan
from frontier.study import Simulated, simulate
from frontier.sweep import Outcome, simulate_plans
from frontier.tables import Tables
from frontier.trace import Trace, scale_by_hour, scale_rate

Tick = Callable[[], None]


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

    Parameters
    ----------
    now : Simulated
        The traffic as it was read, and what every plan did with it.
    tables : Tables
        Of the prices in it nothing is used: outcomes can be billed at any.
    """

    def __init__(self, now: Simulated, tables: Tables) -> None:
        self._tables = tables
        self._now = now
        trace = now.trace
        if trace.session_id is not None:
            sessions = np.unique(trace.session_id).size
            if sessions < tables.setting("break_even_least_requests"):
                # So few cannot be thinned as a whole: one draw would decide of everything.
                trace = dataclasses.replace(trace, session_id=None)
        self._drawn_from = trace
        self._simulated: dict[Level, Simulated] = {}
        self._outcomes: dict[tuple[Level, int, Plan], Outcome] = {}
        self._drawn: tuple[Level, dict[int, Trace]] | None = None

    @property
    def trace(self) -> Trace:
        """The traffic as it was read."""
        return self._now.trace

    def at(self, level: Level, tick: Tick | None = None) -> Simulated:
        """Return what every plan of the grid does at a level, with the first draw."""
        if level.is_as_read:
            return self._now
        if level not in self._simulated:
            self._simulated[level] = simulate(
                self._now.deployment.scenario,
                self.traffic(level, 0),
                self._tables,
                progress=None if tick is None else lambda *_: tick(),
            )
        return self._simulated[level]

    def is_known(self, level: Level) -> bool:
        """Whether nothing has to be simulated for `at`."""
        return level.is_as_read or level in self._simulated

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
                drawn[seed] = scale_rate(self._drawn_from, level.factor, seed, self._tables)
        return drawn[seed]
