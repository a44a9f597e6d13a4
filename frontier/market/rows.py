"""The market: one row an offer, billed at the prices and terms in force, ranked under a limit.

What the plans did is simulated in `tried`, whatever they cost; here each offer bills them by its
own contract, on its own machine, and finds its cheapest plan within the limit. More GPUs a replica
than the fewest that fit are tried where that can help: where no plan holds the limit, where the
machine has GPUs to spare, where the best plan keeps several replicas.

Left out: hybrids, which take two offers; and plans between those of the grid.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import sys
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from frontier import spell
from frontier.answers import ANSWERS
from frontier.billing import Bill, Contract, bill, bill_basis, is_metered, usd_of_runs
from frontier.crew import THREADS, Crew, Progress
from frontier.economics import as_fast_as_any, cheapest_under, efficient
from frontier.errors import FrontierError
from frontier.latency import LatencySummary
from frontier.market.tried import Alike, Keeps, Key, Results, Tried, key_of, try_plans
from frontier.market.wanted import (
    EVERYTHING,
    Fits,
    Wanted,
    counts_of,
    on_community_hosts,
    reason_against,
    wanted_offers,
)
from frontier.plans.families import SCALE_TO_ZERO, SCHEDULED, WARM_POOL
from frontier.plans.plan import Plan, committed
from frontier.plans.scenario import (
    OfficeHours,
    Scenario,
    interruptions_per_h,
    office_hours,
    supply_of,
)
from frontier.prices import age_days, staleness
from frontier.serving import ServingSpeed
from frontier.shipped import Shipped
from frontier.start.predict import platform_of
from frontier.sweep import LIST_DEAL, Deal, tolerance_of
from frontier.tables import Behaviour, Offer, Tables
from frontier.trace import Trace

_DECIMALS = 6

Deals = Callable[[Offer], Deal]


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """One plan of one offer, billed.

    Attributes
    ----------
    plan : Plan
        Its ``offer_id`` is the offer's.
    tried : Tried
        What it did.
    contract : Contract
        Under which it is billed.
    usd_per_month : float
        [$/month]
    office : OfficeHours
        When the machines of a scheduled plan run.
    """

    plan: Plan
    tried: Tried
    contract: Contract
    usd_per_month: float
    office: OfficeHours
    tables: Tables

    @property
    def latency(self) -> LatencySummary:
        """Percentiles and shares of its run."""
        return self.tried.latency

    @property
    def bill(self) -> Bill:
        """Its bill over the span."""
        return bill(bill_basis(self.tried.usage, self.contract, self.tables, (self.tried.meters,)))

    @property
    def usd_by_line(self) -> dict[str, float]:
        """Dollars a month by the lines of its bill. [$/month]."""
        return self.bill.lines_per_month(self.tables.setting("hours_per_month"))

    @property
    def policy(self) -> str:
        """The plan in words: "scale-to-zero, kept 1 h, weight streamer"."""
        plan, rules = self.plan, self.plan.policy
        words, kept = self.policy_in_short, spell.seconds(rules.idle_timeout_s)
        if plan.family is SCHEDULED:
            words += f" ({self.office}), on demand outside and kept {kept}"
        elif plan.family is WARM_POOL and rules.min_replicas < rules.max_replicas:
            words += f" and kept {kept}"
        if plan.is_committed:
            words += ", under your commitment"
        mitigations = plan.label.split(" + ")[1:]
        return ", ".join((words, *mitigations))

    @property
    def policy_in_short(self) -> str:
        """The plan in few words: "scale-to-zero, kept 1 h"."""
        rules, family = self.plan.policy, self.plan.family
        if family is SCALE_TO_ZERO:
            return f"scale-to-zero, kept {spell.seconds(rules.idle_timeout_s)}"
        if family is SCHEDULED:
            # A trace that lies within the hours has no change of the minimum.
            most = max((rules.min_replicas, *(least for _, least in rules.schedule)))
            return f"{spell.count(most, 'replica')} in office hours"
        count = spell.count(rules.min_replicas, "replica")
        if rules.min_replicas == rules.max_replicas:
            return f"{count} {'on spot' if self.contract.offer.kind == 'spot' else 'always on'}"
        return f"{count} always on, more on demand"

    @property
    def is_capped(self) -> bool:
        """Whether it may have fewer replicas than the busiest minute keeps busy."""
        policy = self.plan.policy
        return policy.min_replicas < policy.max_replicas < self.tried.needed

    @property
    def p99_s(self) -> float:
        """99th percentile of the TTFT [s]."""
        return self.latency.p99_ttft_s

    @property
    def gpus(self) -> int:
        """GPUs of a replica."""
        return self.plan.speed.gpus_per_replica


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One offer of the market.

    Attributes
    ----------
    age_days : int
        Of the price. [days]
    staleness : str
        `prices.staleness`: a mark, and no reason.
    community : bool
        Whether its machines belong to third parties.
    reason : str
        Why it cannot run the model; empty if it can. Nothing below is there if it cannot.
    best : Choice or None
        The cheapest plan that holds the limit; None if none does.
    cheapest : Choice or None
        Of those that keep up with the traffic, whatever they wait.
    fastest : Choice or None
        The cheapest of those that are as fast as any, within the tolerance.
    zero : Choice or None
        The cheapest scale-to-zero within the limit; where none holds it, of those that keep up.
    steps : tuple of Choice
        The efficient plans of this offer, cheapest first.
    prompt_p99_s : float
        What the prompts alone take on its fastest replica that was looked at, p99. [s]
    """

    offer: Offer
    age_days: int
    staleness: str
    community: bool
    reason: str
    best: Choice | None = None
    cheapest: Choice | None = None
    fastest: Choice | None = None
    zero: Choice | None = None
    steps: tuple[Choice, ...] = ()
    prompt_p99_s: float = np.nan


@dataclass(frozen=True, slots=True, eq=False)
class Market:
    """Every wanted offer, the cheapest that hold the limit first.

    Attributes
    ----------
    scenario : Scenario
        Its own offers and limit are not those of the market.
    limit_s : float
        On p99 TTFT. [s]
    rows : tuple of Row
        By cost within the limit; then those that miss it, the fastest first; then those that
        cannot run the model.
    """

    scenario: Scenario
    trace: Trace
    limit_s: float
    today: dt.date
    rows: tuple[Row, ...]

    @property
    def able(self) -> tuple[Row, ...]:
        """The rows that can run the model."""
        return tuple(row for row in self.rows if not row.reason)

    @property
    def holding(self) -> tuple[Row, ...]:
        """The rows that hold the limit, cheapest first."""
        return tuple(row for row in self.rows if row.best is not None)

    @property
    def unable(self) -> tuple[Row, ...]:
        """The rows that cannot run the model."""
        return tuple(row for row in self.rows if row.reason)

    def row(self, offer_id: str) -> Row | None:
        """Return the row of an offer; None if it is not among them."""
        return next((row for row in self.rows if row.offer.offer_id == offer_id), None)


def market(
    scenario: Scenario,
    trace: Trace,
    tables: Tables,
    *,
    limit_s: float,
    kept: Keeps,
    today: dt.date,
    wanted: Wanted = EVERYTHING,
    deals: Deals = lambda offer: LIST_DEAL,
    shipped: Shipped | None = None,
    first: Callable[[Market], None] | None = None,
    progress: Progress | None = None,
    crew: Crew = THREADS,
) -> Market:
    """Return the market of a model on a trace.

    Parameters
    ----------
    scenario : Scenario
        Its offers are not looked at, but that what was changed or measured of a start holds for
        offers on the platform of its serverless one alone.
    limit_s : float
        On p99 TTFT. [s]
    kept : Keeps
        Where what was simulated is kept; with all of it there, nothing is simulated.
    deals : callable
        Returns the terms of an offer. Each is billed on its own machine, whatever the deal says:
        other shapes of it are rows of their own.
    shipped : Shipped, optional
        What was computed beforehand, and need not be simulated.
    first : callable, optional
        Gets a market of the few plans that outline the answer, before the others are simulated.
    progress : callable, optional
        As for `sweep.simulate_plans`; what it raises stops all.
    crew : Crew
        Who simulates.

    Raises
    ------
    InputError
        If a name is unknown.
    """
    (found,) = markets(
        scenario,
        trace,
        tables,
        limits_s=(limit_s,),
        kept=kept,
        today=today,
        wanted=wanted,
        deals=deals,
        shipped=shipped,
        first=None if first is None else lambda few: first(*few),
        progress=progress,
        crew=crew,
    )
    return found


def markets(
    scenario: Scenario,
    trace: Trace,
    tables: Tables,
    *,
    limits_s: Sequence[float],
    kept: Keeps,
    today: dt.date,
    wanted: Wanted = EVERYTHING,
    deals: Deals = lambda offer: LIST_DEAL,
    shipped: Shipped | None = None,
    first: Callable[[tuple[Market, ...]], None] | None = None,
    progress: Progress | None = None,
    crew: Crew = THREADS,
) -> tuple[Market, ...]:
    """Return the market under each of several limits, simulated and billed once for all.

    A bill knows no limit; which plan is the cheapest, and how many GPUs a replica are worth
    trying, does.

    Parameters
    ----------
    limits_s : sequence of float
        On p99 TTFT, in any order. [s]
    first : callable, optional
        Gets those markets of the few plans that outline the answer.

    Others as of `market`.
    """
    asking = _Asking(scenario, trace, tables, today, deals)
    offers = wanted_offers(tables, wanted, today=today)
    counts: dict[tuple[float, str], tuple[int, ...]] = {}
    reasons: dict[str, str] = {}
    for offer in offers:
        speed = asking.fits.on(offer.gpu, scenario.gpus_per_replica)
        ANSWERS.step()
        reason = reason_against(offer, speed, tables)
        if not reason and isinstance(speed, ServingSpeed):
            try:
                asking.alike(offer, speed.gpus_per_replica)
            except FrontierError as error:
                reason = str(error)
            else:
                for limit_s in limits_s:
                    counts[limit_s, offer.offer_id] = (speed.gpus_per_replica,)
        reasons[offer.offer_id] = reason
    results: Results = {}
    billed: dict[tuple[str, tuple[int, ...]], _Billed] = {}

    def row_of(limit_s: float, offer: Offer) -> Row:
        tried = counts.get((limit_s, offer.offer_id), ())
        at = (offer.offer_id, tried)
        if at not in billed:
            billed[at] = asking.billed(offer, reasons[offer.offer_id], tried, results)
        return billed[at].under(limit_s)

    def outline(few: Results) -> None:
        if first is None or results:
            return
        known = [
            asking.billed(
                offer, reasons[offer.offer_id], counts.get((limits_s[0], offer.offer_id), ()), few
            )
            for offer in offers
        ]
        known = [found for found in known if found.bare.reason or found.bare.steps]
        first(
            tuple(
                asking.market(limit_s, (found.under(limit_s) for found in known))
                for limit_s in limits_s
            )
        )

    waiting = [
        (limit_s, offer)
        for limit_s in dict.fromkeys(limits_s)
        for offer in offers
        if (limit_s, offer.offer_id) in counts
    ]
    while waiting:
        last = {
            (offer.offer_id, counts[limit_s, offer.offer_id][-1]): offer
            for limit_s, offer in waiting
        }
        asked = {
            asking.key(offer, count): asking.contract(offer) for (_, count), offer in last.items()
        }
        results |= try_plans(
            asked,
            trace,
            tables,
            speeds=asking.fits.speeds,
            kept=kept,
            shipped=shipped,
            first=outline if first is not None and not results else None,
            progress=progress,
            crew=crew,
        )
        more = []
        for limit_s, offer in waiting:
            at = (limit_s, offer.offer_id)
            if larger := asking.larger(row_of(limit_s, offer), counts[at], limit_s):
                counts[at] = (*counts[at], larger)
                more.append((limit_s, offer))
        waiting = more
    return tuple(
        asking.market(limit_s, (row_of(limit_s, offer) for offer in offers)) for limit_s in limits_s
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Billed:
    """The plans of one offer, billed, before anybody says which wait is too long.

    Attributes
    ----------
    bare : Row
        Without what a limit decides.
    choices : tuple of Choice
    usd, p99_s : ndarray of float64, shape (n,)
        Of each, rounded where bills that differ by the last bits of a float are one bill.
    kept_up, is_zero : ndarray of bool, shape (n,)
        Whether it keeps up with the traffic, and is scale-to-zero.
    """

    bare: Row
    choices: tuple[Choice, ...]
    usd: NDArray[np.float64]
    p99_s: NDArray[np.float64]
    kept_up: NDArray[np.bool_]
    is_zero: NDArray[np.bool_]

    def cheapest(
        self, mask: NDArray[np.bool_], limit_s: float = sys.float_info.max
    ) -> Choice | None:
        """Return the cheapest of some of them within a limit; None if none holds it."""
        at = cheapest_under(np.where(mask, self.usd, np.nan), self.p99_s, limit_s)
        return None if at is None else self.choices[at]

    def under(self, limit_s: float) -> Row:
        """Return the row under a limit [s]."""
        if not self.choices:
            return self.bare
        return dataclasses.replace(
            self.bare,
            best=self.cheapest(np.ones(self.usd.size, dtype=np.bool_), limit_s),
            zero=self.cheapest(self.is_zero, limit_s) or self.cheapest(self.is_zero & self.kept_up),
        )


class _Asking:
    """What is asked of the market, and what was found out on the way."""

    def __init__(
        self,
        scenario: Scenario,
        trace: Trace,
        tables: Tables,
        today: dt.date,
        deals: Deals,
    ) -> None:
        self._scenario, self._trace, self._tables = scenario, trace, tables
        self._today, self._deals = today, deals
        self._tolerance = tolerance_of(tables)
        self._office = office_hours(scenario, tables)
        self.fits = Fits(scenario, trace, tables)
        self._keys: dict[tuple[str, int], Key] = {}
        own = tables.offers.get(scenario.serverless_offer)
        self._own_platform = None if own is None else self._platform(tables.behaviour_of(own))

    def _platform(self, behaviour: Behaviour) -> str:
        return platform_of(behaviour.platform_id, self._tables).platform

    def contract(self, offer: Offer, *, is_committed: bool = False) -> Contract:
        """Return the contract of an offer."""
        tables = self._tables
        terms = self._deals(offer).terms(
            offer,
            is_committed=is_committed,
            interruptions_per_h=interruptions_per_h(self._scenario, offer.kind, tables),
        )
        return Contract(offer, tables.rules_of(offer), terms)

    def alike(self, offer: Offer, count: int) -> Alike:
        """Return what the plans of an offer hang on with so many GPUs a replica."""
        tables, supply = self._tables, supply_of(offer.offer_id, self._tables)
        behaviour = dataclasses.replace(
            supply.behaviour,
            behaviour_id="",
            provider="",
            product="",
            assumed=(),
            basis="",
            source_id="",
            note=None,
        )
        is_own = (
            offer.kind == "serverless" and self._platform(supply.behaviour) == self._own_platform
        )
        scenario = dataclasses.replace(
            self._scenario,
            serverless_offer="",
            dedicated_offer="",
            slo_p99_ttft_s=0.0,
            gpus_per_replica=count,
            start_changes=self._scenario.start_changes if is_own else (),
            own_start=self._scenario.own_start if is_own else None,
            nodes=None,
        )
        return Alike(
            (self._trace.digest, self._trace.t0_utc),
            scenario,
            tables.model(scenario.model),
            tables.gpus[offer.gpu],
            dataclasses.replace(
                supply, offer_id="", gpus_min=count, gpus_max=count, behaviour=behaviour
            ),
        )

    def key(self, offer: Offer, count: int) -> Key:
        """Return under what the plans of an offer are kept."""
        found = self._keys.get((offer.offer_id, count))
        if found is None:
            found = key_of(self.alike(offer, count), self.contract(offer))
            self._keys[offer.offer_id, count] = found
        return found

    def larger(self, row: Row, tried: tuple[int, ...], limit_s: float) -> int | None:
        """Return the next number of GPUs worth trying for an offer; None if there is none."""
        if self._scenario.gpus_per_replica is not None:
            return None
        offer, best = row.offer, row.best
        for count in counts_of(offer, self.fits, tried[-1], self._tables):
            speed = self.fits.on(offer.gpu, count)
            if best is None:
                # No plan waits less than its prompts take, so what cannot help is not tried.
                if isinstance(speed, ServingSpeed) and self.fits.prompt_p99_s(speed) <= limit_s:
                    return count
            else:
                is_spare = offer.gpus_min >= count
                kept = max(best.plan.policy.min_replicas, best.plan.policy.pinned_replicas)
                return count if is_spare or kept * tried[-1] >= count else None
        return None

    def billed(self, offer: Offer, reason: str, counts: tuple[int, ...], known: Results) -> _Billed:
        """Return what an offer comes to with these numbers of GPUs a replica."""
        ANSWERS.step()
        bare = Row(
            offer,
            age_days(offer, self._today),
            staleness(offer, self._today, self._tables),
            on_community_hosts(offer, self._tables),
            reason,
        )
        tried = [item for count in counts for item in known.get(self.key(offer, count), ())]
        choices = () if reason else tuple(self._choices(offer, tried))
        # Bills that differ by the last bits of a float are one bill, and the faster plan is better.
        usd = np.array([choice.usd_per_month for choice in choices]).round(_DECIMALS)
        p99_s = np.array([choice.p99_s for choice in choices])
        found = _Billed(
            bare,
            choices,
            usd,
            p99_s,
            kept_up=np.array([not choice.is_capped for choice in choices], dtype=np.bool_),
            is_zero=np.array(
                [choice.plan.family is SCALE_TO_ZERO for choice in choices], dtype=np.bool_
            ),
        )
        if not choices:
            return found
        is_fastest = as_fast_as_any(p99_s, self._tolerance) & np.isfinite(p99_s)
        order, good = np.lexsort((p99_s, usd)), efficient(usd, p99_s)
        speeds = {choice.gpus: choice.plan.speed for choice in choices}
        bare = dataclasses.replace(
            bare,
            cheapest=found.cheapest(found.kept_up),
            fastest=found.cheapest(is_fastest),
            steps=tuple(choices[index] for index in order if good[index]),
            prompt_p99_s=min(map(self.fits.prompt_p99_s, speeds.values())),
        )
        return dataclasses.replace(found, bare=bare)

    def _choices(self, offer: Offer, tried: Sequence[Tried]) -> list[Choice]:
        tables, hours = self._tables, self._tables.setting("hours_per_month")
        contract, committing = self.contract(offer), self.contract(offer, is_committed=True)
        found = []

        def choice(item: Tried, plan: Plan, under: Contract, usd: float) -> Choice:
            return Choice(
                dataclasses.replace(plan, offer_id=offer.offer_id),
                item,
                under,
                usd,
                self._office,
                tables,
            )

        # Runs whose replicas take as much of a host cost by what they hold alone.
        alike: dict[tuple[Hashable, ...], list[Tried]] = {}
        metered = is_metered(offer, contract.rules)
        for item in tried:
            host = item.usage.host if metered else None
            alike.setdefault((item.plan.speed.gpus_per_replica, host), []).append(item)
        for items in alike.values():
            basis = bill_basis(items[0].usage, contract, tables, (items[0].meters,))
            gpu_s, kept_ram_gib_s, storage_gb = np.array([item.takes for item in items]).T
            span_usd = usd_of_runs(
                basis, gpu_s=gpu_s, kept_ram_gib_s=kept_ram_gib_s, storage_gb=storage_gb
            )
            for item, usd in zip(items, (span_usd / basis.months).tolist(), strict=True):
                found.append(choice(item, item.plan, contract, usd))
        if committing.commitment is not None:
            for item in tried:
                if (bound := committed(item.plan)) is not None:
                    made = choice(item, bound, committing, 0.0)
                    usd = made.bill.usd_per_month(hours)
                    found.append(dataclasses.replace(made, usd_per_month=usd))
        return found

    def market(self, limit_s: float, rows: Iterable[Row]) -> Market:
        """Return the rows under a limit, ranked."""
        return Market(
            scenario=self._scenario,
            trace=self._trace,
            limit_s=limit_s,
            today=self._today,
            rows=tuple(sorted(rows, key=_rank)),
        )


def _rank(row: Row) -> tuple[float, ...]:
    if row.best is not None:
        return 0, row.best.usd_per_month, row.best.p99_s
    if row.fastest is not None:
        return 1, row.fastest.p99_s, row.fastest.usd_per_month
    return 2, 0, 0
