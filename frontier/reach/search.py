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
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from frontier.crew import in_threads
from frontier.economics import SESSION
from frontier.errors import InfeasibleError
from frontier.plans.plan import Plan, committed
from frontier.plans.scenario import same_replica, week_offset_s
from frontier.reach.hours import KeptHours
from frontier.reach.places import Place, Settings, Way, plan_of, ways_of
from frontier.schedules import weekly_schedule
from frontier.simulate import LatencySummary
from frontier.start.stages import STAGES, ColdStart, StartDraws
from frontier.sweep import Deal, Outcome, bill_outcome, outcome_of, start_draws
from frontier.tables import Offer, Tables
from frontier.trace import Trace

Deals = Callable[[Offer], Deal]
Progress = Callable[[int, int], None]
Item = TypeVar("Item")
Asks = Generator[list[Settings], list["Trial"], "Trial | None"]

# Sums of the same dollars in another order differ in their last bits.
_CENTS_OF_NOTHING = 1e-9
# Of the tokens of a trace, those that are surely decoded within its span.
_SURE_SHARE = 0.98
# So many numbers of replicas are looked at one by one; more are halved.
_FEW = 3
# After so many longer hours that cost no less the others are left.
_WORSE = 2


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """What one plan did with the whole trace, and what it costs.

    Attributes
    ----------
    usd_per_month : float
        [$/month]
    over : int
        Requests of 1,000 whose TTFT breaks the limit, rounded up; refused ones among them.
    starts : int
        Cold starts over the trace.
    """

    settings: Settings
    plan: Plan
    usd_per_month: float
    latency: LatencySummary
    over: int
    starts: int

    @property
    def p99_s(self) -> float:
        """99th percentile of the TTFT [s]."""
        return self.latency.p99_ttft_s


@dataclass(slots=True, order=True)
class _Task:
    """One kind of plan: what it asks next, what it may cost by guess, and what at the least."""

    promise_usd: float
    order: int
    floor_usd: float = field(compare=False)
    asks: Asks = field(compare=False)
    pending: list[Settings] = field(compare=False)


class Search:
    """One search: what was simulated so far, and the best of it."""

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
        self.trace, self.tables, self.limit_s = trace, tables, limit_s
        self.trials: dict[Settings, Trial] = {}
        self.best: Trial | None = None
        self.open_kinds = 0
        size = max(int(trace.arrival_s.size), 1)
        self.most_runs = int(
            min(tables.setting("reach_runs"), tables.setting("reach_simulated_requests") / size)
        )
        self._deals, self._hours, self._progress = deals, hours, progress
        self._draws: dict[ColdStart, StartDraws] = {}
        self._floors: dict[tuple[object, ...], float] = {}
        self._ways: dict[int, tuple[Way, ...]] = {}
        self._fixed: dict[int, int] = {}
        self._tasks: list[_Task] = []
        self._order = 0

    # What is simulated

    def run(self, wanted: Iterable[Settings]) -> list[Trial]:
        """Return the trials of some settings, simulating those that were not."""
        wanted = list(wanted)
        new = [one for one in dict.fromkeys(wanted) if one not in self.trials]
        plans = [plan_of(one, self.trace, self.tables) for one in new]
        missing = [plan.start for plan in plans if plan.start not in self._draws]
        self._draws |= start_draws(missing, self.tables)
        done = len(self.trials)

        def told(now: int, _: int) -> None:
            if self._progress is not None:
                self._progress(min(done + now, self.most_runs), self.most_runs)

        def one(item: tuple[Settings, Plan], stop: NDArray[np.uint8]) -> Trial:
            settings, plan = item
            outcome = outcome_of(plan, self.trace, self._draws[plan.start], stop)
            return Trial(
                settings=settings,
                plan=plan,
                usd_per_month=self._usd(outcome, settings),
                latency=outcome.latency,
                over=int(np.count_nonzero(outcome.ttft_of_thousand_s > self.limit_s)),
                starts=outcome.starts,
            )

        for trial in in_threads(one, list(zip(new, plans, strict=True)), progress=told):
            self.trials[trial.settings] = trial
            if self.holds(trial) and self._is_better(trial):
                self.best = trial
        return [self.trials[one] for one in wanted]

    def holds(self, trial: Trial) -> bool:
        """Whether a plan holds the limit."""
        return trial.p99_s <= self.limit_s

    def _is_better(self, trial: Trial) -> bool:
        if self.best is None:
            return True
        more = trial.usd_per_month - self.best.usd_per_month
        if abs(more) <= _CENTS_OF_NOTHING:
            return trial.settings.parts < self.best.settings.parts
        return more < 0

    def _usd(self, outcome: Outcome, settings: Settings) -> float:
        """Return what an outcome costs a month, on its own machine, committed if that is less."""
        deal = self._deals(settings.place.offer)
        if settings.base is not None:
            at_base = self._deals(settings.base.offer)
            deal = dataclasses.replace(
                deal, machines=at_base.machines, commitment=at_base.commitment
            )
        deal = dataclasses.replace(deal, exact_machine=True)
        plans = [outcome.plan]
        if deal.commitment is not None and (bound := committed(outcome.plan)) is not None:
            plans.append(bound)
        hours = self.tables.setting("hours_per_month")
        return min(
            bill_outcome(dataclasses.replace(outcome, plan=plan), self.tables, deal).usd_per_month(
                hours
            )
            for plan in plans
        )

    # What something costs at the least

    def floor_usd(
        self,
        place: Place,
        kept: int,
        *,
        hours: KeptHours | None = None,
        base: Place | None = None,
    ) -> float:
        """Return what such a plan costs at least: its kept replicas idle, or its tokens [$/month].

        Infinite where its machines cannot hold a replica.
        """
        key = (id(place), kept, hours, id(base))
        if key not in self._floors:
            settings = Settings(
                place=place,
                way=place.plain,
                kept=kept,
                most=max(kept, 1) if hours is None and base is None else place.most_fixed,
                idle_timeout_s=place.timeouts_s[0],
                target=place.targets[0],
                hours=hours,
                base=base,
            )
            try:
                self._floors[key] = self._usd(self._idle(settings), settings)
            except InfeasibleError:
                self._floors[key] = math.inf
        return self._floors[key]

    def _idle(self, settings: Settings) -> Outcome:
        """Return the outcome in which only the kept replicas are up, and do nothing.

        Without any, the seconds that decoding every token takes in full batches are busy.
        """
        trace, kept = self.trace, settings.kept
        plan = plan_of(settings, trace, self.tables)
        horizon_s = trace.horizon_s
        if not kept:
            step_s = plan.speed.decode_step_s
            least_s = float((step_s / np.arange(1, step_s.size + 1)).min())
            busy_s = _SURE_SHARE * least_s * float((trace.output_tokens - 1).sum())
            spans = [(0.0, horizon_s)] * int(busy_s // horizon_s) + [(0.0, busy_s % horizon_s)]
        elif settings.hours is None:
            spans = [(0.0, horizon_s)] * kept
        else:
            changes = weekly_schedule(
                settings.hours.windows,
                horizon_s,
                week_offset_s=week_offset_s(trace),
                tables=self.tables,
            )
            ends = [at for at, _ in changes[1:]] + [horizon_s]
            up = [
                (at, end)
                for (at, level), end in zip(changes, ends, strict=True)
                if level and at < end
            ]
            spans = up * kept
        sessions = np.zeros(len(spans), dtype=SESSION)
        sessions["replica"] = (
            np.repeat(np.arange(max(kept, 1)), len(spans) // max(kept, 1))[: len(spans)]
            if kept
            else np.arange(len(spans))
        )
        sessions["started_s"] = sessions["ready_s"] = [begin for begin, _ in spans]
        sessions["ended_s"] = [end for _, end in spans]
        sessions["busy_s" if not kept else "idle_s"] = sessions["ended_s"] - sessions["started_s"]
        sessions["cold_start_index"] = -1
        return Outcome(
            plan=plan,
            latency=LatencySummary(0, 0, 0, 0, 0, 0, 0, 0, 0),
            sessions=sessions,
            stage_s=np.zeros((2, len(STAGES))),
            horizon_s=horizon_s,
            requests=int(trace.arrival_s.size),
            tokens=0,
            ttft_of_thousand_s=np.zeros(0),
        )

    def shorter(self, hours: KeptHours) -> KeptHours | None:
        """Return the next fewer hours on the same days; None if there are none."""
        row = [one for part in self._hours for one in part if one.days == hours.days]
        fewer = [one for one in row if one.length_h < hours.length_h]
        return max(fewer, key=lambda one: one.length_h, default=None)

    def draws_of(self, trial: Trial) -> StartDraws:
        """Return the starts that a trial drew."""
        return self._draws[trial.plan.start]

    def is_hopeless(self, usd: float) -> bool:
        """Whether nothing at that cost can be better than the best so far."""
        return self.best is not None and usd >= self.best.usd_per_month - _CENTS_OF_NOTHING

    # What is searched

    def search(self, places: Sequence[Place]) -> None:
        """Search some places; the best stands in `best`, what was left in `open_kinds`."""
        able = [place for place in places if place.prompt_s <= self.limit_s]
        for place in able:
            # A replica always on has no starts: it says soon what the limit costs at most.
            floor = self.floor_usd(place, 1)
            self._add(floor, floor, self._fixed_replicas(place))
        self._drive()
        for place in able:
            promise = self.floor_usd(place, 1)
            if place.scales:
                self._add(promise, self.floor_usd(place, 0), self._kinds(place))
                for base in able:
                    if _can_be_base(base, place):
                        floor = self.floor_usd(place, 1, base=base)
                        self._add(floor, floor, self._kinds(place, base))
            elif place.is_scheduled and self._hours:
                floor = min(self.floor_usd(place, 1, hours=row[0]) for row in self._hours)
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
        counts = [n for n in range(1, most + 1) if not self.is_hopeless(self.floor_usd(place, n))]

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
            most = min(most, place.deployed.max_replicas - 1)
            if base is None:
                most = min(most, place.most_kept)
        rows = self._hours if place.is_scheduled and base is None else ()

        def floor(kept: int) -> float:
            hours = [row[0] for row in rows] if kept else []
            always = [None] if place.scales else []
            return min(
                self.floor_usd(place, kept, hours=one, base=base) for one in (*hours, *always)
            )

        counts = [n for n in range(least, most + 1) if not self.is_hopeless(floor(n))]
        first: int | None = 0
        if len(counts) > _FEW:
            longest = None
            if not place.scales:
                longest = max((row[-1] for row in rows), key=lambda one: one.hours_a_week)
            first = yield from self._first_that_holds(
                counts, lambda n: self._generous(place, n, longest if n else None, base)
            )
        for kept in [] if first is None else counts[first:]:
            always = (None,) if place.scales else ()
            ladders = [(*row, *always) for row in rows] if kept and rows else [always]
            for hours in ladders:
                self._add(
                    self.floor_usd(place, max(kept, 1), base=base),
                    self.floor_usd(place, kept, hours=hours[0], base=base),
                    self._kind(place, kept, hours, base),
                )
        return None

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
                best is None or found.usd_per_month < best.usd_per_month - _CENTS_OF_NOTHING
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

    def ways_at(self, place: Place) -> tuple[Way, ...]:
        """Return the sets of mitigations searched at a place."""
        found = self._ways.get(id(place))
        if found is None:
            found = self._ways[id(place)] = ways_of(place, self.tables)
        return found


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
