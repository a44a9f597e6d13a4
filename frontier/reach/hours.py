"""Hours of the week in which replicas are kept, learned from where the traffic lies.

For each length of a day's window, the one that holds most requests: what a person would set. They
are learned from the very traffic that they are tried on, and whoever shows them says so.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from frontier import units
from frontier.plans.scenario import OfficeHours, Scenario, office_hours, week_offset_s
from frontier.tables import Tables
from frontier.trace import Trace

_DAY_H, _WEEK_DAYS, _WORKING_DAYS = 24, 7, 5


@dataclass(frozen=True, slots=True)
class KeptHours:
    """A window of each day, from Monday on so many days; it may run over midnight.

    Attributes
    ----------
    from_h, length_h : float
        Hour of the day (UTC) at which it begins, and how long it is [h].
    days : int
    """

    from_h: float
    length_h: float
    days: int

    @property
    def windows(self) -> tuple[tuple[float, float], ...]:
        """From and to, in seconds since the start of the week [s]."""
        hour_s, week_s = units.SECONDS_PER_HOUR, _WEEK_DAYS * units.SECONDS_PER_DAY
        found = []
        for day in range(self.days):
            begin = day * units.SECONDS_PER_DAY + self.from_h * hour_s
            end = begin + self.length_h * hour_s
            found.append((begin, min(end, week_s)))
            if end > week_s:
                found.append((0.0, end - week_s))
        return tuple(found)

    @property
    def hours_a_week(self) -> float:
        """Hours of a week in which replicas are kept [h]."""
        return self.length_h * self.days

    @property
    def as_office(self) -> OfficeHours | None:
        """The same as office hours of a scenario; None where it runs over midnight."""
        to_h = self.from_h + self.length_h
        return None if to_h > _DAY_H else OfficeHours(self.from_h, to_h, self.days)

    def __str__(self) -> str:
        """Return the hours in words: "Monday to Friday 7 to 19 h UTC"."""
        days = OfficeHours(0, _DAY_H, self.days).days_in_words
        if self.length_h == _DAY_H:
            return f"{days}, all day (UTC)"
        to_h = (self.from_h + self.length_h) % _DAY_H or _DAY_H
        return f"{days} {self.from_h:g} to {to_h:g} h UTC"


def hours_to_try(
    scenario: Scenario, trace: Trace, tables: Tables
) -> tuple[tuple[KeptHours, ...], ...]:
    """Return the hours worth trying, shortest first, in rows that grow within themselves.

    One row keeps replicas every day; where a week was seen, one does on working days alone. The
    office hours of the scenario are a row of their own. Empty for traffic that is too short.
    """
    day_s = units.SECONDS_PER_DAY
    if trace.horizon_s < tables.setting("reach_schedule_days") * day_s:
        return ()
    since_monday_s = week_offset_s(trace) + trace.arrival_s
    hour = (since_monday_s // units.SECONDS_PER_HOUR).astype(np.int64) % (_WEEK_DAYS * _DAY_H)
    counts = np.bincount(hour, minlength=_WEEK_DAYS * _DAY_H).reshape(_WEEK_DAYS, _DAY_H)
    rows = []
    whole_week = trace.horizon_s >= _WEEK_DAYS * day_s
    for days in (_WORKING_DAYS, _WEEK_DAYS) if whole_week else (_WEEK_DAYS,):
        by_hour = counts[:days].sum(axis=0)
        # All day on all days is no schedule.
        longest = _DAY_H if days < _WEEK_DAYS else _DAY_H - 1
        rows.append(tuple(_busiest(by_hour, length, days) for length in range(1, longest + 1)))
    own = office_hours(scenario, tables)
    rows.append((KeptHours(own.from_h, own.to_h - own.from_h, own.days),))
    return tuple(rows)


def _busiest(by_hour: np.ndarray, length: int, days: int) -> KeptHours:
    """Return the window of that length that holds most requests; the earliest of equals."""
    twice = np.concatenate([[0], np.cumsum(np.concatenate([by_hour, by_hour]))])
    held = twice[length : length + _DAY_H] - twice[:_DAY_H]
    return KeptHours(float(np.argmax(held)) if length < _DAY_H else 0.0, float(length), days)
