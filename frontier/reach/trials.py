"""What was simulated in a search, what it costs, and what a kind of plan costs at the least.

`Bench` runs settings on the whole trace and keeps what they did. Its floors rest on two facts: a
replica that is kept is paid for, and where every start takes longer than the limit no more than
one request in a hundred may cause one, so that a replica is up in all but that many silences.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from frontier.crew import in_threads
from frontier.errors import InfeasibleError
from frontier.held import Held
from frontier.latency import LatencySummary
from frontier.plans.plan import Plan, committed
from frontier.plans.scenario import week_offset_s
from frontier.policy import ScalingPolicy
from frontier.reach.hours import KeptHours
from frontier.reach.places import Place, Settings, Way, plan_of, ways_of
from frontier.schedules import weekly_schedule
from frontier.simulate import session_type
from frontier.start.stages import STAGES, ColdStart, StartDraws
from frontier.sweep import Deal, Outcome, bill_outcome, outcome_of, start_draws
from frontier.tables import Offer, Tables
from frontier.trace import Trace

Deals = Callable[[Offer], Deal]
Progress = Callable[[int, int], None]

CENTS_OF_NOTHING = 1e-9
"""Sums of the same dollars in another order differ in their last bits."""
# Of the tokens of a trace, those that are surely answered: one request in a hundred may be refused.
_SURE_SHARE = 0.98


def allowed_over(requests: int) -> int:
    """Return how many requests may break a limit on p99: the observed value of that rank holds."""
    return requests + (-99 * requests) // 100


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """What one plan did with the whole trace, and what it costs.

    Attributes
    ----------
    plan : Plan
        As it is bought: its machines by the hour may be under the buyer's commitment.
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


class Bench:
    """What was simulated so far, and the best of it."""

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
        self.trace, self.tables, self.limit_s, self.hours = trace, tables, limit_s, hours
        self.trials: dict[Settings, Trial] = {}
        self.best: Trial | None = None
        size = max(int(trace.arrival_s.size), 1)
        self.most_runs = int(
            min(tables.setting("reach_runs"), tables.setting("reach_simulated_requests") / size)
        )
        self._deals, self._progress = deals, progress
        self._draws: dict[ColdStart, StartDraws] = {}
        self._floors: dict[tuple[object, ...], float] = {}
        self._ways: dict[int, tuple[Way, ...]] = {}
        self._slow: dict[int, float | None] = {}
        self._off: dict[KeptHours | None, tuple[float, int]] = {}

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
            usd, bought = self._usd(outcome, settings)
            return Trial(
                settings=settings,
                plan=bought,
                usd_per_month=usd,
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
        if abs(more) <= CENTS_OF_NOTHING:
            return trial.settings.parts < self.best.settings.parts
        return more < 0

    def _usd(self, outcome: Outcome, settings: Settings) -> tuple[float, Plan]:
        """Return what an outcome costs a month on its own machine, and how it is bought for that.

        Under the buyer's commitment where there is one and it costs less so. [$/month]
        """
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

        def usd(plan: Plan) -> float:
            billed = bill_outcome(dataclasses.replace(outcome, plan=plan), self.tables, deal)
            return billed.usd_per_month(hours)

        return min(((usd(plan), plan) for plan in plans), key=lambda pair: pair[0])

    def floor_usd(
        self,
        place: Place,
        kept: int,
        *,
        hours: KeptHours | None = None,
        base: Place | None = None,
    ) -> float:
        """Return what such a plan costs at least within the limit [$/month].

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
                self._floors[key], _ = self._usd(self._idle(settings), settings)
            except InfeasibleError:
                self._floors[key] = math.inf
        return self._floors[key]

    def _idle(self, settings: Settings) -> Outcome:
        """Return the outcome in which replicas are up no longer than they must be, and idle.

        Where none is kept and a start may be quicker than the limit, the seconds that decoding
        every token takes in full batches are all that is sure.
        """
        trace, kept, hours = self.trace, settings.kept, settings.hours
        plan = plan_of(settings, trace, self.tables)
        horizon_s = trace.horizon_s
        name = "idle_s"
        least_s = self._least_up_s(settings.place, hours) if not kept or hours is not None else None
        if kept and hours is None:
            up_s = np.full(kept, horizon_s)
        elif kept:
            up_s = np.full(kept, horizon_s - self._off_s(hours)[0])
            up_s[0] = max(up_s[0], least_s or 0.0)
        elif least_s is not None:
            up_s = np.array([least_s])
        else:
            needed_s, left_s = self._decoding_s(settings.place)
            busy_s = max(0.0, _SURE_SHARE * needed_s - left_s * settings.place.most_fixed)
            name = "busy_s"
            up_s = np.full(int(busy_s // horizon_s) + 1, horizon_s)
            up_s[-1] = busy_s % horizon_s
        sessions = np.zeros(up_s.size, dtype=session_type(0))
        sessions["replica"] = np.arange(up_s.size)
        sessions["ended_s"] = sessions[name] = up_s
        sessions["cold_start_index"] = -1
        return Outcome(
            plan=plan,
            latency=LatencySummary(0, 0, 0, 0, 0, 0, 0, 0, 0),
            held=Held(sessions),
            stage_s=np.zeros((2, len(STAGES))),
            horizon_s=horizon_s,
            requests=int(trace.arrival_s.size),
            tokens=0,
            ttft_of_thousand_s=np.zeros(0),
        )

    def _decoding_s(self, place: Place) -> tuple[float, float]:
        """Return what decoding every token takes in full batches, and what may be left of it [s].

        Left at the end of the span, at most, on each replica: full of the longest answers.
        """
        step_s, tokens = place.deployed.speed.decode_step_s, self.trace.output_tokens - 1
        token_s = float((step_s / np.arange(1, step_s.size + 1)).min())
        return token_s * float(tokens.sum()), float(step_s[-1]) * float(tokens.max(initial=0))

    def least_replicas(self, place: Place) -> int:
        """Return how many replicas must be up on average: fewer never keep up."""
        needed_s, left_s = self._decoding_s(place)
        return max(1, math.ceil(_SURE_SHARE * needed_s / (self.trace.horizon_s + left_s)))

    def _least_up_s(self, place: Place, hours: KeptHours | None) -> float | None:
        """Return how long a replica is up at least within the limit; None: that is not known [s].

        A start that takes longer than the limit breaks it for the request that causes it, unless
        kept hours begin with it.
        """
        longest_s = self._slowest_start_s(place)
        if longest_s is None:
            return None
        off_s, begins = self._off_s(hours)
        starts = allowed_over(int(self.trace.arrival_s.size)) + begins
        silences_s = self._silences_s(hours)
        longest = np.sort(silences_s)[max(0, silences_s.size - starts) :]
        edges_s = off_s - float(silences_s.sum())
        # A start itself may not be billed.
        up_s = self.trace.horizon_s - edges_s - float(longest.sum()) - starts * longest_s
        return max(0.0, up_s)

    def _slowest_start_s(self, place: Place) -> float | None:
        """Return the longest start there; None where any may be within the limit [s]."""
        if place.deployed.nodes is not None:
            return None  # a pod on a node that is up starts sooner
        if id(place) not in self._slow:
            found: float | None = None
            ways = self.ways_at(place)
            draws = start_draws([way.mitigated.start for way in ways], self.tables)
            starts_s = [draws[way.mitigated.start].total_s for way in ways]
            resumes_s = [
                tier.resume_s
                for way in ways
                for tier in way.mitigated.policy_from(ScalingPolicy()).parked
            ]
            if min([*(one.min() for one in starts_s), *resumes_s]) > self.limit_s:
                found = float(max(one.max() for one in starts_s))
            self._slow[id(place)] = found
        return self._slow[id(place)]

    def _outside(self, hours: KeptHours | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return instants, and the seconds outside the kept hours up to each."""
        horizon_s = self.trace.horizon_s
        if hours is None:
            return np.array([0.0, horizon_s]), np.array([0.0, horizon_s])
        changes = weekly_schedule(
            hours.windows, horizon_s, week_offset_s=week_offset_s(self.trace), tables=self.tables
        )
        at_s = np.array([0.0, *(at for at, _ in changes), horizon_s])
        level = np.array([0, *(level for _, level in changes)])
        return at_s, np.concatenate([[0.0], np.cumsum(np.diff(at_s) * (level == 0))])

    def _off_s(self, hours: KeptHours | None) -> tuple[float, int]:
        """Return the seconds outside the kept hours, and how often these begin."""
        if hours not in self._off:
            outside_s = self._outside(hours)[1]
            begins = 0 if hours is None else int(np.count_nonzero(np.diff(outside_s) == 0)) + 1
            self._off[hours] = float(outside_s[-1]), begins
        return self._off[hours]

    def _silences_s(self, hours: KeptHours | None) -> NDArray[np.float64]:
        """Return the seconds between arrivals that lie outside the kept hours, one a gap."""
        return np.diff(np.interp(self.trace.arrival_s, *self._outside(hours)))

    def ways_at(self, place: Place) -> tuple[Way, ...]:
        """Return the sets of mitigations searched at a place."""
        found = self._ways.get(id(place))
        if found is None:
            found = self._ways[id(place)] = ways_of(place, self.tables)
        return found

    def shorter(self, hours: KeptHours) -> KeptHours | None:
        """Return the next fewer hours on the same days; None if there are none."""
        row = [one for part in self.hours for one in part if one.days == hours.days]
        fewer = [one for one in row if one.length_h < hours.length_h]
        return max(fewer, key=lambda one: one.length_h, default=None)

    def draws_of(self, trial: Trial) -> StartDraws:
        """Return the starts that a trial drew."""
        return self._draws[trial.plan.start]

    def is_hopeless(self, usd: float) -> bool:
        """Whether nothing at that cost can be better than the best so far."""
        return self.best is not None and usd >= self.best.usd_per_month - CENTS_OF_NOTHING
