"""One scenario from choices to answer: what pages, command line, report and cluster share.

`simulate` does the slow part and knows no price: a deployment and what each plan did with the
traffic. A `Study` is that, billed at the prices, terms and limit in force: the table, the verdict,
bills, break-even, what is included, the report. Changing a price, a term or the limit makes a new
`Study` of the same `Simulated` and simulates nothing. Nothing is kept here between calls: who
wants to keep a `Simulated` keeps it under `content`.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from frontier import units
from frontier.billing import Bill, BillBasis
from frontier.break_even import BreakEven, RatePoint, break_even, break_even_of
from frontier.crew import THREADS, Crew, Progress
from frontier.plans.families import FAMILIES, SCHEDULED
from frontier.plans.grid import (
    dedicated_plan,
    dedicated_plans,
    default_grid,
    first_look,
    scale_to_zero_plans,
)
from frontier.plans.scenario import Deployment, Scenario, deploy, supplies_of
from frontier.ranges import LUCK, Ranges, luck_ranges
from frontier.ranges.decides import Decides, decide
from frontier.ranges.inputs import input_ranges
from frontier.ranges.worlds import kind_of
from frontier.rivals import ALWAYS_ON, AS_SHIPPED, CHEAPEST, Change, Rivals
from frontier.scope import included
from frontier.sensitivity import Sensitivity, sensitivity
from frontier.serve import found_share
from frontier.shipped import Shipped, answer_digest
from frontier.sweep import (
    LIST_DEAL,
    Deal,
    Outcome,
    TokenApi,
    basis_of_outcome,
    bill_outcome,
    committed_outcomes,
    frontier_table,
    rerun,
    settled,
    simulate_plans,
    sweep,
)
from frontier.tables import Tables
from frontier.trace import Trace
from frontier.verdict import (
    BreakEvenRate,
    Machines,
    PlanFacts,
    RateCrossing,
    Utilisation,
    Verdict,
    commitment_in_words,
    commitment_of,
    find_verdict,
    hangs_in_words,
    how_sure,
    machines_of,
    named,
    needed_by,
    plan_facts,
    rate_in_words,
    utilisation_in_words,
    utilisation_of,
    with_break_even,
    with_hangs,
    with_luck,
)

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, eq=False)
class Simulated:
    """What every plan of a scenario did with the traffic; no price is in it.

    Attributes
    ----------
    deployment : Deployment
    trace : Trace
    outcomes : tuple of Outcome
        One a plan, the clairvoyant bound last where there is one.
    """

    deployment: Deployment
    trace: Trace
    outcomes: tuple[Outcome, ...]


def content(scenario: Scenario, trace: Trace, tables: Tables) -> tuple[Hashable, ...]:
    """Return all that a `Simulated` depends on, to keep it under: neither limit nor any price."""
    unlimited = dataclasses.replace(scenario, slo_p99_ttft_s=0.0)
    supplies = supplies_of(scenario, tables)
    return (unlimited, trace.digest, trace.t0_utc, tables.model(scenario.model), *supplies)


def simulate(
    scenario: Scenario,
    trace: Trace,
    tables: Tables,
    *,
    first: Callable[[Simulated], None] | None = None,
    progress: Progress | None = None,
    crew: Crew = THREADS,
) -> Simulated:
    """Simulate every plan worth comparing.

    Parameters
    ----------
    first : callable, optional
        Gets the few plans that outline the answer as soon as they are done.
    progress : callable, optional
        As for `sweep.simulate_plans`; what it raises stops all.
    crew : Crew
        Who simulates.

    Raises
    ------
    InputError
        If a name is unknown or an offer of the wrong kind.
    InfeasibleError
        If the model does not fit; the message names the GPUs it needs.
    """
    deployment = deploy(scenario, trace, tables)
    grid = default_grid(deployment, trace, tables)
    if first is not None:

        def waits(*_: int) -> None:
            if progress is not None:
                progress(0, len(grid))

        few = simulate_plans(first_look(grid), trace, tables, progress=waits, crew=crew)
        first(Simulated(deployment, trace, few))
    return Simulated(deployment, trace, sweep(grid, trace, tables, progress=progress, crew=crew))


def shipped_sweep(
    scenario: Scenario, trace: Trace, tables: Tables, beforehand: Shipped | None
) -> Simulated | None:
    """Return every plan worth comparing where all were simulated beforehand.

    Raises
    ------
    InputError, InfeasibleError
        As for `simulate`, where anything was shipped for that traffic.
    """
    if beforehand is None or not beforehand.has(trace):
        return None
    deployment = deploy(scenario, trace, tables)
    found = beforehand.sweep(default_grid(deployment, trace, tables), trace, tables)
    return None if found is None else Simulated(deployment, trace, found)


@dataclass(frozen=True, slots=True, eq=False)
class CacheHits:
    """How much of the prompts is found in a cache, by how long an idle replica is kept.

    Attributes
    ----------
    idle_timeouts_s, found_shares : tuple of float
        Of scale-to-zero: the timeouts tried [s], and the share of all prompt tokens found [1].
    always_on_share : float
        The same for as many always-on replicas as the busiest minute fills [1].
    """

    idle_timeouts_s: tuple[float, ...]
    found_shares: tuple[float, ...]
    always_on_share: float


def cache_hits(deployment: Deployment, trace: Trace, tables: Tables) -> CacheHits:
    """Simulate what a start loses of the prefix cache; for a trace that says what prompts share."""
    kept = [
        plan
        for plan in scale_to_zero_plans(deployment, tables)
        if not plan.mitigations and plan.policy.max_replicas == deployment.max_replicas
    ]
    (always,) = (
        plan
        for plan in dedicated_plans(deployment.machines, trace, tables)
        if plan.policy.max_replicas == deployment.machines.busiest_replicas
    )
    outcomes = simulate_plans([*kept, always], trace, tables)
    *found, always_on = (found_share(rerun(o, trace), o.plan, trace) for o in outcomes)
    return CacheHits(tuple(plan.policy.idle_timeout_s for plan in kept), tuple(found), always_on)


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """A simulated scenario at the prices, terms and limit in force.

    Attributes
    ----------
    deployment, trace : Deployment, Trace
    tables : Tables
        The prices and rules in force.
    deal, api : Deal, TokenApi or None
        Terms beyond the list prices, and the reference point.
    limit_s : float
        On p99 TTFT. [s]
    outcomes : dict of str to Outcome
        By plan; those under the buyer's commitment among them.
    table : DataFrame
        `sweep.frontier_table`.
    verdict : Verdict
        What wins, at what price, against what; without the break-even rate, which takes more
        simulations.
    luck, open_inputs : Ranges or None
        How far plans may lie from their figures by the luck of traffic and starts, and by what
        the inputs leave open; None until that is computed.
    input_rows : tuple of dict
        A row an input that is not known for sure, and what knowing it would settle
        (`Decides.rows`); empty until that is computed.
    """

    deployment: Deployment
    trace: Trace
    tables: Tables
    deal: Deal
    api: TokenApi | None
    limit_s: float
    outcomes: dict[str, Outcome]
    table: pd.DataFrame
    verdict: Verdict
    luck: Ranges | None = None
    open_inputs: Ranges | None = None
    input_rows: tuple[dict[str, Any], ...] = ()

    @property
    def hours_per_month(self) -> float:
        """Hours counted to a month [h]."""
        return self.tables.setting("hours_per_month")

    def bill(self, outcome: Outcome, price_factor: float = 1.0) -> Bill:
        """Return the bill of an outcome, with every metered price times a factor."""
        return bill_outcome(outcome, self.tables, self.deal.at(price_factor))

    def basis(self, outcome: Outcome) -> BillBasis:
        """Return what that bill is computed from, meter by meter."""
        return basis_of_outcome(outcome, self.tables, self.deal)

    def _basis_in_short(self, outcome: Outcome) -> BillBasis:
        return basis_of_outcome(outcome, self.tables, self.deal, whole=False)

    def usd_per_month(self, outcome: Outcome, price_factor: float = 1.0) -> float:
        """Return what an outcome costs a month [$]."""
        return self.bill(outcome, price_factor).usd_per_month(self.hours_per_month)

    def with_price_band(self) -> pd.DataFrame:
        """Return the table with what efficient plans would cost if every price were off."""
        band, table = self.tables.setting("price_band"), self.table.copy()
        for name, factor in (("usd_at_lower_prices", 1 - band), ("usd_at_higher_prices", 1 + band)):
            table[name] = [
                self.usd_per_month(self.outcomes[row.plan_id], factor)
                if row.efficient
                else row.usd_per_month
                for row in table.itertuples()
            ]
        return table

    def included(self) -> dict[str, tuple[str, ...]]:
        """Return what is in the numbers, what is not, and what was assumed, by heading."""
        return included(self.deployment, self.trace, self.tables, self.deal)

    def facts(self, outcome: Outcome) -> PlanFacts:
        """Return what a verdict says of a plan."""
        return plan_facts(
            outcome,
            self._basis_in_short(outcome),
            limit_s=self.limit_s,
            needed=needed_by(outcome.plan, self.deployment),
            tables=self.tables,
        )

    def machines(self, outcome: Outcome) -> Machines | None:
        """Return the machines that are always on in a plan, in the shape that costs least."""
        return machines_of(outcome, self._basis_in_short(outcome), self.tables)

    def commitment_in_words(self, outcome: Outcome) -> str:
        """Return what the commitment of a plan binds to; empty for a plan without one."""
        found = commitment_of(self.facts(outcome), self.tables, self.deal)
        return commitment_in_words(found)


def study_of(
    found: Simulated,
    tables: Tables,
    *,
    limit_s: float,
    deal: Deal = LIST_DEAL,
    api: TokenApi | None = None,
) -> Study:
    """Bill what was simulated at these prices, on these terms, under this limit.

    Parameters
    ----------
    limit_s : float
        On p99 TTFT. [s]
    """
    outcomes = found.outcomes
    if deal.commitment is not None and found.deployment.dedicated.kind == "dedicated":
        outcomes = committed_outcomes(outcomes)
    bases = {one.plan.plan_id: basis_of_outcome(one, tables, deal, whole=False) for one in outcomes}
    table = frontier_table(
        outcomes,
        tables,
        slo_p99_ttft_s=limit_s,
        deal=deal,
        api=api,
        trace=found.trace,
        bases=bases,
    )
    by_plan = {outcome.plan.plan_id: settled(outcome, tables) for outcome in outcomes}
    return Study(
        deployment=found.deployment,
        trace=found.trace,
        tables=tables,
        deal=deal,
        api=api,
        limit_s=limit_s,
        outcomes=by_plan,
        table=table,
        verdict=find_verdict(
            by_plan,
            table,
            deployment=found.deployment,
            trace=found.trace,
            tables=tables,
            deal=deal,
            limit_s=limit_s,
            bases=bases,
            api=api,
        ),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Scale-to-zero against always-on over the request rate, billed as its `Study`.

    Attributes
    ----------
    line : str
        Which scale-to-zero meets always-on.
    mitigations : tuple of str
        Which shorten its starts.
    found : BreakEven
    zero : Outcome
        Scale-to-zero on the traffic as it is.
    rate : BreakEvenRate
        Where the two cost the same, and where this traffic is.
    use : Utilisation or None
        How much of their time the always-on replicas are busy and scale-to-zero is billed, and
        from which share on they are the cheaper ones.
    headline, certainty, utilisation : str
        Where break-even lies and where this traffic is; what that leaves open; the shares in
        words.
    """

    line: str
    mitigations: tuple[str, ...]
    found: BreakEven
    zero: Outcome
    rate: BreakEvenRate
    use: Utilisation | None
    headline: str
    certainty: str
    utilisation: str

    @property
    def now(self) -> dict[str, RatePoint]:
        """The point of each line at the traffic as it is."""
        return {point.line: point for point in self.found.points if point.factor == 1.0}

    @property
    def requests_per_day(self) -> float:
        """Requests a day of the traffic as it is."""
        return self.rate.requests_per_day


def compare(
    study: Study,
    rivals: Rivals,
    line: str,
    *,
    lines: tuple[str, ...] = (AS_SHIPPED, CHEAPEST),
    progress: Progress | None = None,
    beforehand: Shipped | None = None,
) -> Comparison:
    """Compare scale-to-zero with always-on at other rates of the same traffic.

    At the traffic as it is, always-on is the rival of the study's verdict, and scale-to-zero as
    shipped the verdict's, unless its starts are shortened here.

    Parameters
    ----------
    rivals : Rivals
        Of the study's scenario; what it has simulated stays in it.
    line : str
        `rivals.AS_SHIPPED` or `CHEAPEST`.
    lines : tuple of str
        Which of the two are computed at each rate; ``line`` is one of them.
    progress : callable, optional
        Called with (done, all) rates; what it raises stops all.
    beforehand : Shipped, optional
        Where it may have been computed beforehand.
    """
    tables, limit_s, verdict = study.tables, study.limit_s, study.verdict
    plans = {ALWAYS_ON: verdict.rival}
    if not rivals.mitigations:
        plans[AS_SHIPPED] = verdict.shipped
    known = {name: study.outcomes[plan.plan_id] for name, plan in plans.items() if plan is not None}

    def made() -> BreakEven:
        try:
            return break_even(
                rivals,
                line=line,
                limit_s=limit_s,
                tables=tables,
                deal=study.deal,
                lines=lines,
                now=known,
                progress=progress,
            )
        finally:
            rivals.rest()

    if beforehand is None or not beforehand.has(study.trace):
        found = made()
    else:
        key = _rate_key(study, rivals, line, lines, known)
        found = break_even_of(beforehand.answer(key, lambda: dataclasses.asdict(made())))
    now = {point.line: point for point in found.points if point.factor == 1.0}
    if _is_shipped(study, rivals.mitigations, line) and verdict.shipped is not None:
        zero = study.outcomes[verdict.shipped.plan_id]
    else:
        kept = Change(idle_timeout_s=now[line].idle_timeout_s, as_shipped=line == AS_SHIPPED)
        (zero,) = rivals.scale_to_zero(kept)
    rate = _rate(found, now, line, rivals.trace)
    use = None
    if verdict.rival is not None:
        use = utilisation_of(study.facts(zero), verdict.rival, tables)
    return Comparison(
        line=line,
        mitigations=rivals.mitigations,
        found=found,
        zero=zero,
        rate=rate,
        use=use,
        headline=rate_in_words(rate, verdict.rival),
        certainty=how_sure(
            found,
            line,
            now,
            study.trace,
            limit_s=limit_s,
            seeds=int(tables.setting("break_even_seeds")),
        ),
        utilisation=utilisation_in_words(use, verdict.rival),
    )


def _rate_key(
    study: Study,
    rivals: Rivals,
    line: str,
    lines: tuple[str, ...],
    known: Mapping[str, Outcome],
) -> bytes:
    """Return the digest of all that a break-even hangs on."""
    tables, deployment = study.tables, study.deployment
    dedicated = dedicated_plan(deployment.machines, study.trace, 1, tables)
    plans = [rivals.base_plan(), dedicated, *(one.plan for one in known.values())]
    contracts = [tuple(study.deal.contracts(plan, tables)) for plan in plans]
    asked = (line, lines, tuple(known), study.limit_s, rivals.mitigations, contracts)
    # At other rates other replicas are deployed; plans for office hours are none of them.
    scenario = dataclasses.replace(deployment.scenario, office=None)
    supplied = content(scenario, study.trace, tables)
    return answer_digest("break-even", plans, rivals.trace, tables, asked, supplied)


def _is_shipped(study: Study, mitigations: tuple[str, ...], line: str) -> bool:
    """Whether the scale-to-zero of a comparison is the verdict's own."""
    return line == AS_SHIPPED and not mitigations and study.verdict.shipped is not None


def _rate(found: BreakEven, now: dict[str, RatePoint], line: str, trace: Trace) -> BreakEvenRate:
    per_day = trace.arrival_s.size / trace.horizon_s * units.SECONDS_PER_DAY
    return BreakEvenRate(
        requests_per_day=per_day,
        low_per_day=found.low * per_day,
        high_per_day=found.high * per_day,
        crossings=tuple(
            RateCrossing(
                at_per_day=crossing.at * per_day,
                low_per_day=crossing.low * per_day,
                high_per_day=crossing.high * per_day,
                rival_wins_above=crossing.dearer_above,
            )
            for crossing in found.crossings
        ),
        rival_wins_now=now[ALWAYS_ON].usd_per_month < now[line].usd_per_month,
        capped_from_per_day=None if found.capped_from is None else found.capped_from * per_day,
    )


def with_rate(study: Study, compared: Comparison) -> Study:
    """Return the study whose verdict has the break-even rate, if it is that of its own plans."""
    if not _is_shipped(study, compared.mitigations, compared.line):
        return study
    return dataclasses.replace(study, verdict=with_break_even(study.verdict, compared.rate))


def plans_that_matter(study: Study) -> tuple[str, ...]:
    """Return the plans that get a range, those that matter most first.

    Those of the verdict, the cheapest ones near the limit on either side of it, and the efficient
    ones, the fastest first. Of plans that cost and wait alike one stands for all.
    """
    verdict, table, tables = study.verdict, study.table, study.tables
    named = (
        *(verdict.cheapest_within, verdict.rival, verdict.shipped),
        *(verdict.cheapest, verdict.fastest),
        *(one.plan for one in verdict.tippings),
    )
    told = dict.fromkeys(plan.plan_id for plan in named if plan is not None)
    usd, p99_s = table["usd_per_month"].to_numpy(), table["p99_ttft_s"].to_numpy()
    plan_ids, families = table["plan_id"].tolist(), table["family"].tolist()
    own = np.flatnonzero([FAMILIES[key].is_buyable for key in families])
    near = 1 + tables.setting("ranges_near_limit")
    off = p99_s[own] / study.limit_s
    is_near = own[(off <= near) & (off >= 1 / near)]
    is_efficient = own[table["efficient"].to_numpy(dtype=bool)[own]]
    at = {plan_ids[row]: row for row in own}
    rows = (
        *(at[plan_id] for plan_id in told),
        *is_near[np.argsort(usd[is_near], kind="stable")][: len(told)],
        *is_efficient[np.argsort(p99_s[is_efficient], kind="stable")],
    )
    found: dict[tuple[float, float], str] = {}
    for row in rows:
        found.setdefault((usd[row], p99_s[row]), plan_ids[row])
    return tuple(found.values())[: int(tables.setting("ranges_most_plans"))]


def luck_of(
    study: Study, *, progress: Progress | None = None, beforehand: Shipped | None = None
) -> Ranges:
    """Return how far the plans that matter may lie from their figures by luck.

    Parameters
    ----------
    progress : callable, optional
        Called with (done, all) replications; what it raises stops all.
    beforehand : Shipped, optional
        Where they may have been made beforehand.
    """
    return luck_ranges(
        study.outcomes,
        plans_that_matter(study),
        study.trace,
        study.tables,
        deal=study.deal,
        progress=progress,
        beforehand=beforehand,
    )


def with_ranges(study: Study, found: Ranges) -> Study:
    """Return the study with ranges beside its figures: in its table, and in its verdict if of luck.

    Columns of luck: ``usd_per_month_low``, ``usd_per_month_high``, ``p99_ttft_s_low``,
    ``p99_ttft_s_high``, ``holds_share`` (of the replications that hold the limit) and
    ``holds_limit`` (holds, misses or not sure). Of open inputs the first four, with ``inputs``
    before ``low`` and ``high``. Empty where a plan has no range.
    """
    table = study.table.copy()
    ranges = [found.plans.get(plan_id) for plan_id in table["plan_id"]]
    part = "" if found.kind == LUCK else "inputs_"
    for name in ("usd_per_month", "p99_ttft_s"):
        for end in ("low", "high"):
            table[f"{name}_{part}{end}"] = [
                math.nan if one is None else getattr(getattr(one, name), end) for one in ranges
            ]
    if found.kind != LUCK:
        return dataclasses.replace(study, table=table, open_inputs=found)
    limit_s = study.limit_s
    table["holds_share"] = [math.nan if one is None else one.holds_share(limit_s) for one in ranges]
    table["holds_limit"] = ["" if one is None else one.state(limit_s) for one in ranges]
    facts = {plan_id: study.facts(study.outcomes[plan_id]) for plan_id in found.plans}
    verdict = with_luck(study.verdict, found, facts)
    return dataclasses.replace(study, table=table, luck=found, verdict=verdict)


@dataclass(frozen=True, slots=True, eq=False)
class Hanging:
    """What a verdict hangs on, of all that is not known for sure.

    Attributes
    ----------
    found : Decides
        The draws, and what they came to.
    named : dict of str to str
        Its choices as they stand in a sentence.
    sentences : tuple of str
        The same in words, the first how often the verdict stands.
    """

    found: Decides
    named: dict[str, str]
    sentences: tuple[str, ...]


def what_decides(study: Study, *, today: dt.date, progress: Progress | None = None) -> Hanging:
    """Draw all uncertain inputs together and return what could turn the verdict.

    Parameters
    ----------
    today : date
        By which the age of a price is counted.
    progress : callable, optional
        As for `sweep.simulate_plans`; what it raises stops all.
    """
    verdict, tables = study.verdict, study.tables
    plans = (verdict.cheapest_within, verdict.shipped, verdict.rival)
    ids = [None if plan is None else plan.plan_id for plan in plans]
    found = decide(
        study.outcomes,
        study.trace,
        tables,
        input_ranges(study.deployment, study.trace, tables, today=today, deal=study.deal),
        study.deployment.start,
        limit_s=study.limit_s,
        shown=[plan_id for plan_id in ids if plan_id is not None],
        shipped_id=ids[1],
        rival_id=ids[2],
        deal=study.deal,
        progress=progress,
    )
    by_kind = {
        kind_of(outcome.plan): plan_id
        for plan_id, outcome in study.outcomes.items()
        if plan_id in ids
    }
    by_kind |= dict(zip(found.within.choices, found.within.plan_ids, strict=True))
    facts = {
        kind: study.facts(study.outcomes[plan_id]) for kind, plan_id in by_kind.items() if plan_id
    }
    brief = {
        kind: f"office hours on {plan.vendor} {plan.gpu}"
        if plan.family == SCHEDULED.key
        else named(plan, brief=True)
        for kind, plan in facts.items()
    }
    said = list(brief.values())
    words = {
        kind: text if said.count(text) == 1 else named(facts[kind]) for kind, text in brief.items()
    }
    return Hanging(found, words, hangs_in_words(found, words))


def with_hanging(study: Study, hanging: Hanging) -> Study:
    """Return the study whose verdict says what it hangs on, with the ranges of its plans."""
    told = dataclasses.replace(
        study,
        verdict=with_hangs(study.verdict, hanging.sentences),
        input_rows=hanging.found.rows(),
    )
    return with_ranges(told, hanging.found.ranges)


def what_it_hangs_on(
    study: Study, rivals: Rivals, compared: Comparison, *, progress: Progress | None = None
) -> Sensitivity:
    """Return how the gap between the rivals moves with each input alone, and what would flip it.

    Parameters
    ----------
    rivals : Rivals
        Those that were compared.
    """
    try:
        return sensitivity(
            rivals,
            compared.now[compared.line].idle_timeout_s,
            as_shipped=compared.line == AS_SHIPPED,
            limit_s=study.limit_s,
            tables=study.tables,
            deal=study.deal,
            progress=progress,
        )
    finally:
        rivals.rest()


def default_plan_id(study: Study) -> str:
    """Return the plan to look at first: the cheapest under the limit, else a kept one."""
    plan = study.verdict.cheapest_within or study.verdict.rival
    return next(iter(study.outcomes)) if plan is None else plan.plan_id
