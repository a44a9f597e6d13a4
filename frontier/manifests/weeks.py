"""A schedule of the minimum as hours of the week, and as cron expressions.

A plan's schedule is a list of changes over the trace. Where the same hours repeat in every week of
it, they can be set on a platform; anything else, as starts ahead of predicted traffic, cannot.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass

from frontier import spell, units
from frontier.policy import ScalingPolicy

_WEEK_S = 7 * units.SECONDS_PER_DAY
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True, slots=True)
class Window:
    """Hours in which more replicas are kept, the same on several days of the week.

    Attributes
    ----------
    days : tuple of int
        Days on which it begins, 0 for Monday.
    from_s, until_s : float
        Since midnight UTC of that day [s]; the end may lie on the next days.
    replicas : int
        Kept in it.
    """

    days: tuple[int, ...]
    from_s: float
    until_s: float
    replicas: int

    def cron(self) -> tuple[str, str]:
        """Return the cron expressions of beginning and end, in whole minutes.

        The beginning is rounded down and the end up, so that the window is never shorter.
        """
        first = math.floor(self.from_s / units.SECONDS_PER_MINUTE + 1e-9)
        last = math.ceil(self.until_s / units.SECONDS_PER_MINUTE - 1e-9)
        return _cron(self.days, first), _cron(self.days, last)

    @property
    def is_exact(self) -> bool:
        """Whether it begins and ends on whole minutes."""
        times = (self.from_s, self.until_s)
        return all(abs(t - round(t / 60) * 60) < 1e-6 for t in times)

    def __str__(self) -> str:
        """Return it in words."""
        days = ", ".join(_DAYS[day] for day in self.days)
        if len(self.days) > 2 and self.days == tuple(range(self.days[0], self.days[-1] + 1)):
            days = f"{_DAYS[self.days[0]]} to {_DAYS[self.days[-1]]}"
        return (
            f"{spell.count(self.replicas, 'replica')} {days} {spell.clock(self.from_s)} to "
            f"{spell.clock(self.until_s)} UTC"
        )


def weekly_windows(
    policy: ScalingPolicy, horizon_s: float, week_offset_s: float
) -> tuple[Window, ...] | None:
    """Return the hours of the week in which more than the least minimum is kept.

    Parameters
    ----------
    horizon_s : float
        Length of the trace [s].
    week_offset_s : float
        How far into the week, from Monday 0 h UTC, the trace begins [s].

    Returns
    -------
    tuple of Window or None
        None where weeks differ, or more than two levels follow each other without a pause.
    """
    changes = [(0.0, policy.min_replicas), *policy.schedule]
    least = min(level for _, level in changes)
    spans = []
    for (begin, level), (end, _) in itertools.pairwise([*changes, (horizon_s, least)]):
        if level > least and end > begin:
            spans.append((begin + week_offset_s, end + week_offset_s, level))
    if any(one[1] >= other[0] - 1e-6 for one, other in itertools.pairwise(spans)):
        return None
    whole: dict[tuple[float, float, int], bool] = {}
    for begin, end, level in spans:
        # What the trace cuts off at either end is known from its other weeks, or as far as it is.
        cut = begin <= week_offset_s + 1e-6 or end >= week_offset_s + horizon_s - 1e-6
        first = round(begin % _WEEK_S, 2)
        key = (first, round(round(end % _WEEK_S, 2) - first, 2) % _WEEK_S or _WEEK_S, level)
        whole[key] = whole.get(key, True) and cut
    kept = [key for key, cut in whole.items() if not cut] or list(whole)
    parts = [key for key, cut in whole.items() if cut and key not in kept]
    if not all(_covered(part, kept) for part in parts):
        kept += [part for part in parts if not _covered(part, kept)]
    if horizon_s > _WEEK_S and not _repeats(spans, kept, week_offset_s, horizon_s):
        return None
    return _by_hours(kept)


def _covered(part: tuple[float, float, int], kept: Iterable[tuple[float, float, int]]) -> bool:
    begin, length, level = part
    for start, whole, other in kept:
        ahead = (begin - start) % _WEEK_S
        if level == other and ahead + length <= whole + 1e-3:
            return True
    return False


def _repeats(
    spans: list[tuple[float, float, int]],
    kept: list[tuple[float, float, int]],
    week_offset_s: float,
    horizon_s: float,
) -> bool:
    """Whether the hours, repeated every week, give the spans of the trace again."""
    again = []
    for week in range(-1, math.ceil((week_offset_s + horizon_s) / _WEEK_S) + 1):
        for begin, length, level in kept:
            first = max(week_offset_s, week * _WEEK_S + begin)
            last = min(week_offset_s + horizon_s, week * _WEEK_S + begin + length)
            if last > first + 1e-3:
                again.append((first, last, level))
    again.sort()
    return len(again) == len(spans) and all(
        abs(one[0] - other[0]) < 1e-2 and abs(one[1] - other[1]) < 1e-2 and one[2] == other[2]
        for one, other in zip(again, spans, strict=True)
    )


def _by_hours(kept: Iterable[tuple[float, float, int]]) -> tuple[Window, ...]:
    days: dict[tuple[float, float, int], list[int]] = {}
    for begin, length, level in sorted(kept):
        day, from_s = divmod(begin, units.SECONDS_PER_DAY)
        hours = (round(from_s, 2), round(from_s + length, 2), level)
        days.setdefault(hours, []).append(int(day))
    return tuple(
        Window(tuple(sorted(found)), from_s, until_s, level)
        for (from_s, until_s, level), found in days.items()
    )


def _cron(days: Iterable[int], minutes: int) -> str:
    """Return minute, hour and days of the week (0 is Sunday) of so many minutes after midnight."""
    later, minutes = divmod(minutes, 24 * 60)
    hour, minute = divmod(minutes, 60)
    which = sorted((day + later + 1) % 7 for day in days)
    text = "*" if len(which) == 7 else ",".join(map(str, which))
    return f"{minute} {hour} * * {text}"
