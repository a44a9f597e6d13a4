"""The cheapest plan within a limit, found by search and not read off a grid.

Places are searched best first, by what they cost at the least. Three rules cut the space down: a
kind of plan whose kept replicas alone cost more than the best plan so far is left; one whose most
generous settings (quickest start, longest timeout, most buffer) miss the limit is left with all
its others; and along the idle timeout, the kept hours and the kept replicas it is halved towards
the least that holds. Longer, later and more are nearly always better for a wait and not always, so
what is found is checked against its neighbours (`beside`). Every plan that is reported was
simulated on the whole trace.

Left out: plans of two serverless offers, and kept replicas outside the kept hours.
"""

from __future__ import annotations

import dataclasses
import heapq
import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from frontier.plans.scenario import same_replica
from frontier.reach.hours import KeptHours
from frontier.reach.places import Place, Settings
from frontier.reach.trials import CENTS_OF_NOTHING, Bench, Deals, Progress, Trial
from frontier.tables import Tables
from frontier.trace import Trace

Item = TypeVar("Item")
Asks = Generator[list[Settings], list[Trial], Trial | None]

# So many numbers of replicas are looked at one by one; more are halved.
_FEW = 3
# After so many longer hours that cost no less the others are left.
_WORSE = 2


@dataclass(slots=True, order=True)
class _Task:
    """One kind of plan: what it asks next, what it may cost by guess, and what at the least."""

    promise_usd: float
    order: int
    floor_usd: float = field(compare=False)
    asks: Asks = field(compare=False)
    pending: list[Settings] = field(compare=False)


class Search(Bench):
    """One search over some places."""

    def __init__(
        self,
        trace: Trace,
        tables: Tables,
        limit_s: float,
        *,
        deals: Deals,
        hours: Sequence[Sequence[KeptHours]],
        progress: Progress | None = None,
    ) -> None:
        super().__init__(trace, tables, limit_s, deals=deals, hours=hours, progress=progress)
        self.open_kinds = 0
        self._fixed: dict[int, int] = {}
        self._tasks: list[_Task] = []
        self._order = 0

    def search(self, places: Sequence[Place]) -> None:
        """Search some places; the best stands in `best`, what was left in `open_kinds`."""
        able = [place for place in places if place.prompt_s <= self.limit_s]
        for place in able:
            # A replica always on has no starts: it says soon what the limit costs at most.
            floor = self.floor_usd(place, self.least_replicas(place))
            self._add(floor, floor, self._fixed_replicas(place))
        self._drive()
        for place in able:
            promise = self.floor_usd(place, self.least_replicas(place))
            if place.scales:
                self._add(promise, self.floor_usd(place, 0), self._kinds(place))
                for base in able:
                    if _can_be_base(base, place):
                        floor = self.floor_usd(place, 1, base=base)
                        self._add(floor, floor, self._kinds(place, base))
            elif place.is_scheduled and self.hours:
                floor = min(self.floor_usd(place, 1, hours=row[0]) for row in self.hours)
                self._add(promise, floor, self._kinds(place))
        self._drive()

    def _add(self, promise_usd: float, floor_usd: float, asks: Asks) -> None:
        if self.is_hopeless(floor_usd):
            return
        self._order += 1
        try:
            pending = next(asks)
        except StopIteration:
            return
        heapq.heappush(self._tasks, _Task(promise_usd, self._order, floor_usd, asks, pending))

    def _drive(self) -> None:
        """Go on with the kinds that cost least at least, some abreast, until none is left."""
        abreast = int(self.tables.setting("reach_abreast"))
        while self._tasks:
            batch: list[_Task] = []
            while self._tasks and len(batch) < abreast:
                task = heapq.heappop(self._tasks)
                if not self.is_hopeless(task.floor_usd):
                    batch.append(task)
            wanted = [one for task in batch for one in task.pending]
            new = {one for one in wanted if one not in self.trials}
            if len(self.trials) + len(new) > self.most_runs:
                left = (*batch, *self._tasks)
                self.open_kinds += sum(not self.is_hopeless(task.floor_usd) for task in left)
                self._tasks.clear()
                return
            self.run(wanted)
            for task in batch:
                try:
                    task.pending = task.asks.send([self.trials[one] for one in task.pending])
                except StopIteration:
                    continue
                heapq.heappush(self._tasks, task)

    def _fixed_replicas(self, place: Place) -> Asks:
        """Search how few replicas, always on, hold the limit at a place."""
        most = place.most_fixed if not place.scales else place.most_kept
        counts = [
            count
            for count in range(self.least_replicas(place), most + 1)
            if not self.is_hopeless(self.floor_usd(place, count))
        ]

        def at(count: int) -> list[Settings]:
            return [
                Settings(
                    place=place,
                    way=place.plain,
                    kept=count,
                    most=count,
                    idle_timeout_s=math.inf if not place.scales else place.timeouts_s[-1],
                    target=place.targets[0],
                )
            ]

        first = yield from self._first_that_holds(counts, at)
        if first is not None:
            self._fixed[id(place)] = counts[first]
        return None

    def _kinds(self, place: Place, base: Place | None = None) -> Asks:
        """Queue each number of kept replicas that can be the cheapest at a place."""
        least = 0 if place.scales and base is None else 1
        home = place if base is None else base
        # As many as hold the limit always on need no help from any others.
        most = self._fixed.get(id(home), home.most_fixed)
        if place.scales:
            most = min(most, place.deployed.max_replicas)
            if base is None:
                most = min(most, place.most_kept)
        rows = self.hours if place.is_scheduled and base is None else ()

        def floor(kept: int) -> float:
            hours = [row[0] for row in rows] if kept else []
            always = [None] if self._grows(place, kept, base) else []
            return min(
                (self.floor_usd(place, kept, hours=one, base=base) for one in (*hours, *always)),
                default=math.inf,
            )

        counts = [n for n in range(least, most + 1) if not self.is_hopeless(floor(n))]
        first: int | None = 0
        if len(counts) > _FEW:
            # All day where more can come on demand; else for the longest hours.
            longest = max((row[-1] for row in rows), key=lambda one: one.hours_a_week, default=None)

            def generous(kept: int) -> list[Settings]:
                hours = None if self._grows(place, kept, base) else longest
                return self._generous(place, kept, hours, base)

            first = yield from self._first_that_holds(counts, generous)
        for kept in [] if first is None else counts[first:]:
            always = (None,) if self._grows(place, kept, base) else ()
            ladders = [(*row, *always) for row in rows] if kept and rows else [always]
            for hours in filter(None, ladders):
                self._add(
                    self.floor_usd(place, max(kept, 1), base=base),
                    self.floor_usd(place, kept, hours=hours[0], base=base),
                    self._kind(place, kept, hours, base),
                )
        return None

    def _grows(self, place: Place, kept: int, base: Place | None) -> bool:
        """Whether more replicas can come on demand than are kept all day."""
        return place.scales and (base is not None or kept < place.deployed.max_replicas)

    def _kind(
        self,
        place: Place,
        kept: int,
        hours: Sequence[KeptHours | None],
        base: Place | None,
    ) -> Asks:
        """Look from how many kept hours on a number of replicas can hold the limit at all."""

        def floor(one: KeptHours | None) -> float:
            return self.floor_usd(place, kept, hours=one, base=base)

        hours = [one for one in hours if not self.is_hopeless(floor(one))]
        if not hours:
            return None
        # The cheapest ends first: where they cost more than the best, nothing between them matters.
        quickest = self._generous(place, kept, hours[0], base)[0]
        tried = place.timeouts_s
        ends = dict.fromkeys((tried[0], tried[len(tried) // 2]))
        cheap = yield [
            dataclasses.replace(quickest, idle_timeout_s=timeout_s, buffer=0) for timeout_s in ends
        ]
        if self.is_hopeless(min(trial.usd_per_month for trial in cheap)):
            return None
        first = yield from self._first_that_holds(
            hours, lambda one: self._generous(place, kept, one, base)
        )
        if first is None:
            return None
        hours = hours[first:]
        trials = yield self._generous(place, kept, hours[0], base)
        self._add(
            min(trial.usd_per_month for trial in trials),
            floor(hours[0]),
            self._settings(place, kept, hours, base),
        )
        return None

    def _settings(
        self,
        place: Place,
        kept: int,
        hours: Sequence[KeptHours | None],
        base: Place | None,
    ) -> Asks:
        """Search the settings of a kind that can hold the limit, from the plainest on."""
        generous = self._generous(place, kept, None, base)
        plain = dataclasses.replace(generous[0], way=place.plain, buffer=0, target=place.targets[0])
        here = yield from self._by_hours(plain, hours)
        for other in generous:
            if here is None:
                here = yield from self._by_hours(other, hours)
        if here is None:
            return None
        for changes in (
            [{"way": way} for way in self.ways_at(place)],
            [{"buffer": count} for count in range(place.most_buffer + 1)],
            [{"target": target} for target in place.targets],
        ):
            for change in changes:
                other = dataclasses.replace(here.settings, **change)
                if other == here.settings:
                    continue
                (trial,) = yield [other]
                if (self.holds(trial) and trial.usd_per_month < here.usd_per_month) or (
                    trial.over < here.over
                ):
                    fewer = hours[: hours.index(here.settings.hours) + 1]
                    found = yield from self._by_hours(other, fewer)
                    if found is not None and found.usd_per_month < here.usd_per_month:
                        here = found
        return here

    def _by_hours(self, plain: Settings, hours: Sequence[KeptHours | None]) -> Asks:
        """Search the kept hours of settings, from the fewest that hold on while it pays."""
        longest_s = plain.place.timeouts_s[-1]

        def at(one: KeptHours | None) -> list[Settings]:
            return [dataclasses.replace(plain, hours=one, idle_timeout_s=longest_s)]

        first = yield from self._first_that_holds(hours, at)
        best: Trial | None = None
        worse = 0
        for one in [] if first is None else hours[first:]:
            floor = self.floor_usd(plain.place, plain.kept, hours=one, base=plain.base)
            if worse == _WORSE or self.is_hopeless(floor):
                break
            found = yield from self._by_timeout(dataclasses.replace(plain, hours=one))
            if found is not None and (
                best is None or found.usd_per_month < best.usd_per_month - CENTS_OF_NOTHING
            ):
                best, worse = found, 0
            else:
                worse += 1
        return best

    def _by_timeout(self, plain: Settings) -> Asks:
        """Search the idle timeout of settings; return the cheapest trial within the limit."""

        def at(timeout_s: float) -> list[Settings]:
            return [dataclasses.replace(plain, idle_timeout_s=timeout_s)]

        tried = plain.place.timeouts_s
        ends = dict.fromkeys((tried[-1], tried[0], tried[len(tried) // 2]))
        looked = yield [one for timeout_s in ends for one in at(timeout_s)]
        holding = [trial for trial in looked if self.holds(trial)]
        if not holding:
            return None
        best = min(holding, key=lambda trial: trial.usd_per_month)
        if self.is_hopeless(min(trial.usd_per_month for trial in looked)) and (
            best is not self.best
        ):
            return best
        first = yield from self._first_that_holds(tried, at)
        if first is None:
            return best
        least_s = tried[first]
        if first:
            least_s = yield from self._closed_in(tried[first - 1], tried[first], at)
        (here,) = yield at(least_s)
        # A longer timeout may cost less: it saves starts that are billed.
        for timeout_s in tried[first + 1 :] if first else tried[1:]:
            (trial,) = yield at(timeout_s)
            if not self.holds(trial) or trial.usd_per_month >= here.usd_per_month:
                break
            here = trial
        return min((here, best), key=lambda trial: trial.usd_per_month)

    def _closed_in(
        self, low_s: float, high_s: float, at: Callable[[float], list[Settings]]
    ) -> Generator[list[Settings], list[Trial], float]:
        """Return the shortest timeout found between one that fails and one that holds [s]."""
        step = 1 + self.tables.setting("reach_timeout_step")
        while high_s > low_s * step:
            middle_s = settable_s(math.sqrt(low_s * high_s) if low_s > 0 else high_s / 2)
            if not low_s < middle_s < high_s:
                break
            (trial,) = yield at(middle_s)
            if self.holds(trial):
                high_s = middle_s
            else:
                low_s = middle_s
        return high_s

    def _first_that_holds(
        self, items: Sequence[Item], at: Callable[[Item], list[Settings]]
    ) -> Generator[list[Settings], list[Trial], int | None]:
        """Return the position of the first of growing items at which some settings hold it."""
        if not items:
            return None
        trials = yield at(items[-1])
        if not any(self.holds(trial) for trial in trials):
            return None
        fails, holds = -1, len(items) - 1
        while holds - fails > 1:
            middle = (fails + holds) // 2
            trials = yield at(items[middle])
            if any(self.holds(trial) for trial in trials):
                holds = middle
            else:
                fails = middle
        return holds

    def _generous(
        self, place: Place, kept: int, hours: KeptHours | None, base: Place | None
    ) -> list[Settings]:
        """Return the settings that wait least whatever they cost."""
        quickest = self.ways_at(place)[-1]
        return [
            Settings(
                place=place,
                way=quickest,
                kept=kept,
                most=self._most(place, kept, base),
                idle_timeout_s=place.timeouts_s[-1],
                target=target,
                hours=hours,
                base=base,
                buffer=place.most_buffer,
            )
            for target in dict.fromkeys((place.targets[0], min(place.targets)))
        ]

    def _most(self, place: Place, kept: int, base: Place | None) -> int:
        most = place.deployed.max_replicas if place.scales else place.most_fixed
        return max(most, kept + (base is not None))


def settable_s(value_s: float) -> float:
    """Return a timeout as a person would set it: whole seconds, three digits [s]."""
    digits = max(0, math.floor(math.log10(value_s)) - 2) if value_s >= 1 else 0
    return float(round(value_s, -digits)) if value_s >= 1 else value_s


def _can_be_base(base: Place, place: Place) -> bool:
    """Whether machines by the hour can run the replicas that are kept beside a serverless offer."""
    return (
        base.offer.kind in ("dedicated", "reserved")
        and base.offer.provider == place.offer.provider
        and same_replica(base.deployed.speed, place.deployed.speed)
    )
