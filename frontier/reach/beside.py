"""What stands next to the plan that was found: the cheaper plans, and what of them fails.

One row a direction: fewer replicas kept, fewer hours, a shorter timeout, no mitigation, no buffer,
fewer GPUs, another offer. Of all plans simulated that way, the one that comes nearest to the
limit; it was simulated on the whole trace like any other.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from frontier.reach.places import Settings
from frontier.reach.trials import Bench, Trial, allowed_over
from frontier.serve import simulate_plan
from frontier.waits import explain

PARTS = ("start", "retry", "queue", "prompt")
# A plan may be found again from a neighbour so often; each time it is cheaper.
_MOST_ROUNDS = 8


@dataclass(frozen=True, slots=True, eq=False)
class Failure:
    """Why a plan misses the limit.

    Attributes
    ----------
    requests, allowed : int
        Requests of the trace that break it, and how many may.
    refused : int
        Of them, those that got no answer at all.
    part : str
        What most of the seconds of those requests are: one of `PARTS`, or ``refused``.
    part_s, ttft_s : float
        Median of that part, and of the whole wait, over the requests that break the limit [s].
    """

    requests: int
    allowed: int
    refused: int
    part: str
    part_s: float
    ttft_s: float

    @property
    def too_many(self) -> int:
        """Requests that would have to be faster for the limit to hold."""
        return max(0, self.requests - self.allowed)


@dataclass(frozen=True, slots=True, eq=False)
class Beside:
    """A plan next to the one that was found.

    Attributes
    ----------
    direction : str
        One of `DIRECTIONS`.
    saves_usd : float
        Less than the found plan; below 0 it costs more [$/month].
    failure : Failure or None
        None: it holds the limit too, and costs no less.
    """

    direction: str
    trial: Trial
    saves_usd: float
    failure: Failure | None


Same = Callable[[Settings, Settings], bool]


def _same_but(*names: str) -> Same:
    fields = [item.name for item in dataclasses.fields(Settings) if item.name not in names]

    def same(one: Settings, other: Settings) -> bool:
        return all(getattr(one, name) == getattr(other, name) for name in fields)

    return same


def _hours(settings: Settings) -> float:
    """Return how many replica-hours of a week are kept [h]."""
    if settings.hours is None:
        return settings.kept * 24.0 * 7.0
    return settings.kept * settings.hours.hours_a_week


_ALL_BUT_KEPT = _same_but("kept", "most", "hours", "idle_timeout_s", "way", "buffer", "target")
_ALL_BUT_HOURS = _same_but("hours", "idle_timeout_s", "way", "buffer", "target", "most")

DIRECTIONS: dict[str, Same] = {
    "fewer kept": lambda one, found: _ALL_BUT_KEPT(one, found) and one.kept < found.kept,
    "fewer hours": lambda one, found: _ALL_BUT_HOURS(one, found) and _hours(one) < _hours(found),
    "shorter timeout": lambda one, found: (
        _same_but("idle_timeout_s")(one, found) and one.idle_timeout_s < found.idle_timeout_s
    ),
    "fewer mitigations": lambda one, found: (
        _same_but("way")(one, found) and set(one.way.chosen) < set(found.way.chosen)
    ),
    "smaller buffer": lambda one, found: (
        _same_but("buffer")(one, found) and one.buffer < found.buffer
    ),
    "default target": lambda one, found: (
        _same_but("target")(one, found) and one.target == found.place.targets[0] != found.target
    ),
    "no base": lambda one, found: (
        found.base is not None and one.base is None and one.place is found.place
    ),
    "fewer GPUs": lambda one, found: (
        one.place.offer is found.place.offer and one.place.gpus < found.place.gpus
    ),
    "another offer": lambda one, found: one.place.offer is not found.place.offer,
}


def neighbours(search: Bench, found: Settings) -> list[Settings]:
    """Return the plans one step away, and those at every timeout that was begun with."""
    place = found.place
    steps: list[Settings] = []
    if found.is_fixed:
        if found.kept > 1:
            steps.append(dataclasses.replace(found, kept=found.kept - 1, most=found.most - 1))
        if place.scales:
            longest = place.timeouts_s[-1]
            most = max(place.deployed.max_replicas, found.kept)
            steps += [
                dataclasses.replace(found, kept=kept, most=most, idle_timeout_s=longest)
                for kept in {0, found.kept - 1}
            ]
        return steps
    steps += [
        dataclasses.replace(found, idle_timeout_s=timeout_s)
        for timeout_s in place.timeouts_s
        if timeout_s != found.idle_timeout_s
    ]
    if found.kept and (place.scales or found.kept > 1) and found.base is None:
        kept = found.kept - 1
        steps.append(dataclasses.replace(found, kept=kept, hours=found.hours if kept else None))
    if found.base is not None and found.kept > 1:
        steps.append(dataclasses.replace(found, kept=found.kept - 1))
    if found.kept and place.scales and found.base is None:
        fixed = dataclasses.replace(
            found, way=place.plain, buffer=0, target=place.targets[0], most=found.kept, hours=None
        )
        steps.append(dataclasses.replace(fixed, idle_timeout_s=place.timeouts_s[-1]))
    if found.hours is not None and found.hours.length_h > 1:
        fewer = search.shorter(found.hours)
        if fewer is not None:
            steps.append(dataclasses.replace(found, hours=fewer))
    steps += [
        dataclasses.replace(found, way=way)
        for way in (place.plain, *search.ways_at(place))
        if set(way.chosen) < set(found.way.chosen)
    ]
    if found.buffer:
        steps.append(dataclasses.replace(found, buffer=found.buffer - 1))
    if found.target != place.targets[0]:
        steps.append(dataclasses.replace(found, target=place.targets[0]))
    return [one for one in steps if not (one.hours is None and one.kept and not _may(one))]


def _may(settings: Settings) -> bool:
    """Whether all-day kept replicas make sense: on machines they are a plan of their own."""
    return settings.place.scales or settings.is_fixed


def settle(search: Bench) -> None:
    """Look at the neighbours of the best plan until none is better."""
    for _ in range(_MOST_ROUNDS):
        found = search.best
        if found is None:
            return
        search.run(neighbours(search, found.settings))
        if search.best is found:
            return


def beside(search: Bench, found: Trial) -> tuple[Beside, ...]:
    """Return the nearest cheaper plan of each direction, the largest saving last.

    Where no plan of a direction is cheaper, one that costs more stands for it, if it differs in
    nothing else: it says what a part is good for.
    """
    rows = []
    for direction, is_there in DIRECTIONS.items():
        there = [one for one in search.trials.values() if is_there(one.settings, found.settings)]
        cheaper = [one for one in there if one.usd_per_month < found.usd_per_month - 1e-6]
        if cheaper:
            nearest = min(cheaper, key=lambda one: (one.over, one.p99_s, -one.usd_per_month))
        elif there and direction in ("fewer mitigations", "smaller buffer", "default target"):
            nearest = min(there, key=lambda one: one.usd_per_month)
        else:
            continue
        rows.append(
            Beside(
                direction,
                nearest,
                found.usd_per_month - nearest.usd_per_month,
                None if search.holds(nearest) else failure_of(search, nearest),
            )
        )
    # One plan may lie in two directions: the first one says it.
    seen: dict[Settings, Beside] = {}
    for row in rows:
        seen.setdefault(row.trial.settings, row)
    return tuple(sorted(seen.values(), key=lambda row: row.saves_usd))


def failure_of(search: Bench, trial: Trial) -> Failure:
    """Return what of a plan breaks the limit: simulated again, every wait split into its parts."""
    trace = search.trace
    result = simulate_plan(trial.plan, trace, search.draws_of(trial))
    parts = explain(result, trial.plan, trace)
    over = result.ttft_s > search.limit_s
    refused = int(np.count_nonzero(result.rejected))
    size = int(trace.arrival_s.size)
    allowed = allowed_over(size)
    served = over & ~result.rejected
    seconds = {
        "start": parts.start_s[served],
        "retry": parts.retry_s[served],
        "queue": (parts.slot_s + parts.behind_s + parts.shared_s)[served],
        "prompt": (parts.prompt_s + parts.overhead_s)[served],
    }
    part = max(seconds, key=lambda name: float(seconds[name].sum()))
    if refused > np.count_nonzero(served):
        part = "refused"
    return Failure(
        requests=int(np.count_nonzero(over)),
        allowed=allowed,
        refused=refused,
        part=part,
        part_s=_middle(seconds.get(part, np.zeros(0))),
        ttft_s=_middle(result.ttft_s[served]),
    )


def _middle(values: np.ndarray) -> float:
    return float(np.median(values)) if values.size else 0.0
