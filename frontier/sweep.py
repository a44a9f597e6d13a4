"""Many plans on one trace: simulated by a crew, billed at any price, one table.

`simulate_plans` does the slow part once; its outcomes know no price. `frontier_table` bills them
and marks the efficient ones, and may be called again for other prices without simulating. Plans
share one seeded array of cold starts, so that they differ by policy and not by luck.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from frontier import spell, units
from frontier.billing import (
    LIST_PRICE,
    Bill,
    BillBasis,
    Contract,
    HostChoice,
    HostNeed,
    Meters,
    Terms,
    TokenPrice,
    Usage,
    bill,
    bill_basis,
    billed_start_s,
    machine_shapes,
    metering_key,
    months,
    read_meters,
    summed,
)
from frontier.crew import THREADS, Crew, Progress
from frontier.economics import (
    Tolerance,
    cheapest_under,
    efficient,
    kept_sessions,
    needed_sessions,
)
from frontier.errors import InfeasibleError
from frontier.held import Held
from frontier.latency import LatencySummary, slowest_of_thousand, summarise
from frontier.memory import room_for
from frontier.plans.families import API, BOUND, DEDICATED, FAMILIES, SCALE_TO_ZERO
from frontier.plans.plan import Plan, committed
from frontier.plans.scenario import Deployed
from frontier.serve import Work, Works, serving_key, simulate_plan
from frontier.simulate import Cancelled, RunResult, SessionSeconds, session_type
from frontier.start.stages import LUCK_COLUMNS, STAGES, ColdStart, StartDraws
from frontier.tables import Commitment, Offer, Tables
from frontier.trace import Trace

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What one plan did with the trace; everything a bill and a chart need, and no price.

    Attributes
    ----------
    latency : LatencySummary
        Percentiles and shares.
    held : Held
        Its sessions, which may be made anew, and what was read from them.
    stage_s : ndarray, shape (m, 10)
        Wall-clock seconds of each stage of each drawn start [s].
    ttft_of_thousand_s : ndarray, shape (1000,)
        `latency.slowest_of_thousand`: from it follows how many requests break any limit [s].
    """

    plan: Plan
    latency: LatencySummary
    held: Held
    stage_s: NDArray[np.float64]
    horizon_s: float
    requests: int
    tokens: int
    ttft_of_thousand_s: NDArray[np.float64]

    @property
    def sessions(self) -> NDArray[np.void]:
        """Its sessions as `simulate.RunResult` has them; simulated again where forgotten."""
        return self.held.rows

    @property
    def seconds(self) -> SessionSeconds:
        """Replica-seconds of all sessions, by what the replicas did."""
        return self.held.seconds

    @property
    def starts(self) -> int:
        """How many starts there were; what was up at time 0 is none."""
        return self.held.starts

    def meters(self, contract: Contract) -> tuple[Meters, ...]:
        """Return what is to be billed under a contract, read from the sessions only once.

        One for its own replicas, and one for pinned ones where it has a base. Of replicas that
        come and go all meters are one, which is as much as a price and no commitment needs.

        Raises
        ------
        InfeasibleError
            If a replica needs more GPUs than a machine of an offer has.
        """
        policy, gpus = self.plan.policy, self.plan.speed.gpus_per_replica
        parts = (contract,) if contract.base is None else (contract, contract.base)
        key = (
            policy,
            self.plan.standing,
            gpus,
            *((part.commitment is not None, *metering_key(part, gpus)) for part in parts),
        )

        def read() -> tuple[Meters, ...]:
            found = read_meters(usage_of(self), contract)
            lasting = policy.min_replicas == policy.max_replicas
            return tuple(
                meters
                if lasting or part is contract.base or part.commitment is not None
                else summed(meters, self.horizon_s)
                for part, meters in found
            )

        meters: tuple[Meters, ...] = self.held.read(key, read)
        return meters


@dataclass(frozen=True, slots=True)
class Deal:
    """What a buyer chose or negotiated beyond the list prices; the default is nothing.

    Attributes
    ----------
    serverless, machines : Terms
        Of replicas that scale to zero, on nodes of the buyer's own too, and of machines paid by
        the hour.
    commitment : Commitment or None
        Under which `committed_outcomes` buys the machines that are always on.
    exact_machine : bool
        Whether the buyer insists on the machine of the offer; else each plan is billed on that
        shape of it, of `machine_shapes`, which makes its bill least.
    """

    serverless: Terms = LIST_PRICE
    machines: Terms = LIST_PRICE
    commitment: Commitment | None = None
    exact_machine: bool = False

    def terms(
        self,
        offer: Offer,
        *,
        is_committed: bool = False,
        are_nodes: bool = False,
        interruptions_per_h: float = 0.0,
    ) -> Terms:
        """Return the terms of an offer; its machines may be nodes on which pods come and go."""
        if offer.kind == "serverless":
            return self.serverless
        # A spot price is no base for a discount, and a reserved one has it.
        may_be = is_committed and not are_nodes and offer.kind == "dedicated"
        return dataclasses.replace(
            self.serverless if are_nodes else self.machines,
            commitment=self.commitment if may_be else None,
            interruptions_per_h=interruptions_per_h if offer.kind == "spot" else 0.0,
        )

    def shapes(self, offer: Offer, tables: Tables) -> tuple[Offer, ...]:
        """Return the machines on which replicas of an offer may be billed, its own first."""
        return (offer,) if self.exact_machine else machine_shapes(offer, tables)

    def contracts(self, plan: Plan, tables: Tables) -> Iterator[Contract]:
        """Yield the contracts under which a plan can be billed, one for each shape of machine."""
        on_nodes = plan.policy.nodes is not None

        def of(offer: Offer, base: Contract | None = None, are_nodes: bool = False) -> Contract:
            terms = self.terms(
                offer,
                is_committed=plan.is_committed,
                are_nodes=are_nodes,
                interruptions_per_h=plan.interruptions_per_h,
            )
            return Contract(offer, tables.rules_of(offer), terms, base)

        offer = tables.offers[plan.offer_id]
        if plan.base_offer_id is None:
            # Nodes are the machines that the replicas were simulated on, and no others.
            for machine in (offer,) if on_nodes else self.shapes(offer, tables):
                yield of(machine, are_nodes=on_nodes)
        else:
            for machine in self.shapes(tables.offers[plan.base_offer_id], tables):
                yield of(offer, of(machine), on_nodes)

    def with_host(self, host: HostChoice) -> Deal:
        """Return this deal with these cores and memory of a replica, at every offer."""
        serverless, machines = (
            dataclasses.replace(terms, host=host) for terms in (self.serverless, self.machines)
        )
        return dataclasses.replace(self, serverless=serverless, machines=machines)

    def at(self, factor: float) -> Deal:
        """Return this deal with every metered price times a factor; fees stay."""
        serverless, machines = (
            dataclasses.replace(terms, multiplier=terms.multiplier * factor)
            for terms in (self.serverless, self.machines)
        )
        return dataclasses.replace(self, serverless=serverless, machines=machines)


LIST_DEAL = Deal()


@dataclass(frozen=True, slots=True)
class TokenApi:
    """A per-token API as the user knows it: the reference point beside the plans.

    ``cached_share`` of the input tokens are billed at the cached price. [1]
    """

    price: TokenPrice
    p99_ttft_s: float
    cached_share: float = 0.0

    def usd_per_month(self, trace: Trace, hours_per_month: float) -> float:
        """Return what a month of that traffic costs [$]."""
        usd = self.price.usd(trace.prompt_tokens, trace.output_tokens, self.cached_share)
        return usd / months(trace.horizon_s, hours_per_month)

    def in_words(self, usd: float, per: str, than_usd: float | None, limit_s: float) -> str:
        """Return what it costs beside a plan that costs so much, if there is one.

        Parameters
        ----------
        usd, than_usd : float
            Of the API and of the plan, both a month or both an hour. [$]
        per : str
            "a month" or "an hour".
        limit_s : float
            On p99 TTFT. [s]
        """
        words = f"Your per-token API costs {spell.dollars(usd)} {per}"
        if than_usd is not None:
            less = "less" if usd < than_usd else "more"
            words += f", {spell.dollars(abs(usd - than_usd))} {less}"
        does = "holds" if self.p99_ttft_s <= limit_s else "breaks"
        return (
            f"{words}, and {does} the limit at the p99 of {spell.seconds(self.p99_ttft_s)} that "
            "you gave."
        )


# What a run has at hand of each at its peak: waits and times, sessions as they come and as they
# are kept, or kept and metered.
_REQUEST_BYTES, _SESSION_BYTES = 90, 110
_NO_SESSIONS = np.empty(0, dtype=session_type(0))


def tolerance_of(tables: Tables) -> Tolerance:
    """Return the differences of cost and p99 that are too small to choose a plan by."""
    return Tolerance(
        tables.setting("cost_tolerance"),
        tables.setting("p99_tolerance"),
        tables.setting("p99_tolerance_s"),
    )


def start_normals(tables: Tables) -> NDArray[np.float64]:
    """Return the standard normals, shape (draws, 12), from which every plan draws its starts."""
    return _normals(int(tables.setting("start_seed")), int(tables.setting("start_draws")))


@functools.lru_cache(maxsize=4)
def _normals(seed: int, draws: int) -> NDArray[np.float64]:
    generator = np.random.default_rng(seed)
    stages = generator.standard_normal((draws, len(STAGES)))
    luck = generator.standard_normal((draws, LUCK_COLUMNS - len(STAGES)))
    normals = np.hstack((stages, luck))
    normals.setflags(write=False)
    return normals


def simulate_plans(
    plans: Sequence[Plan],
    trace: Trace,
    tables: Tables,
    *,
    progress: Progress | None = None,
    crew: Crew = THREADS,
) -> tuple[Outcome, ...]:
    """Simulate every plan and return the outcomes in the order of the plans.

    Parameters
    ----------
    plans : sequence of Plan
    trace : Trace
    tables : Tables
    progress : callable, optional
        As for `crew.Crew.run`.
    crew : Crew
        Who simulates; the outcomes are the same to the bit.
    """
    drawn = start_draws((plan.start for plan in plans), tables)
    draws = list(drawn.values())
    at = {start: index for index, start in enumerate(drawn)}
    # What differs in what it is billed alone is simulated once.
    run_of = [run_key(plan, at[plan.start]) for plan in plans]
    runs: dict[Hashable, _Run] = {}
    for run, plan in zip(run_of, plans, strict=True):
        contracts = tuple(LIST_DEAL.contracts(plan, tables))
        runs.setdefault(run, _Run(plan, at[plan.start], [])).billed.append((plan, contracts))
    ran = crew.run(
        _simulate, (trace, tuple(draws), Works()), list(runs.values()), progress=progress
    )
    found = dict(zip(runs, ran, strict=True))
    for outcome, one in zip(ran, runs.values(), strict=True):
        outcome.held.can_make(_Sessions(one.plan, trace, draws[one.start]))
    # What comes back from elsewhere has copies of what all share; here each is there once.
    return tuple(
        dataclasses.replace(found[run], plan=plan, stage_s=draws[at[plan.start]].stage_s)
        for run, plan in zip(run_of, plans, strict=True)
    )


def run_key(plan: Plan, start: Hashable) -> tuple[Hashable, ...]:
    """Return all that the run of a plan hangs on, on one trace.

    What a plan is billed by is not among it. ``start`` stands for the draws of its starts.
    """
    return (
        plan.policy,
        start if may_start(plan) else None,
        serving_key(plan.speed),
        plan.retry_s,
        plan.interruptions_per_h,
        plan.interruption_seed,
    )


def may_start(plan: Plan) -> bool:
    """Return whether a replica of the plan can ever start: what is always on is up at time 0."""
    policy = plan.policy
    is_kept = policy.min_replicas == policy.max_replicas and not policy.schedule
    return not is_kept or plan.interruptions_per_h > 0


def unstarted_key(plan: Plan, run: Hashable) -> Hashable:
    """Return what a run hangs on where it turns out that nothing had to start in it.

    While those that are kept need no other beside them, none is released: how long a start takes
    and how long an idle replica stays is never asked. A run of which that cannot come out stays
    what it is.

    Parameters
    ----------
    run : hashable
        `run_key` of the plan.
    """
    policy = plan.policy
    moves = policy.schedule or policy.nodes or policy.scaler or plan.interruptions_per_h
    if moves or not policy.min_replicas:
        return run
    lasting = dataclasses.replace(policy, idle_timeout_s=math.inf)
    return run_key(dataclasses.replace(plan, policy=lasting), None)


_Shared = tuple[Trace, tuple[StartDraws, ...], Works]


class _Run(NamedTuple):
    """A run, which draws it starts by, and how the plans that share it are metered."""

    plan: Plan
    start: int
    billed: list[tuple[Plan, tuple[Contract, ...]]]


@dataclass(frozen=True, slots=True, eq=False)
class _Sessions:
    """Makes the sessions of a run again."""

    plan: Plan
    trace: Trace
    draws: StartDraws

    def __call__(self) -> NDArray[np.void]:
        return simulate_plan(self.plan, self.trace, self.draws).sessions


def _simulate(shared: _Shared, item: _Run, stop: NDArray[np.uint8]) -> Outcome:
    (trace, draws, works), (plan, index, billed) = shared, item
    with room_for(run_bytes(plan, trace), lambda: stop[0]):
        outcome = outcome_of(plan, trace, draws[index], stop, works.of(plan.speed, trace))
        # Read while the sessions are at hand: those of a long trace do not all fit in memory.
        for other, contracts in billed:
            for contract in contracts:
                # What no machine of an offer can hold is said where it is billed.
                with suppress(InfeasibleError):
                    dataclasses.replace(outcome, plan=other).meters(contract)
    outcome.held.can_make(_Sessions(plan, trace, draws[index]))
    return dataclasses.replace(outcome, stage_s=outcome.stage_s[:0])


def start_draws(starts: Iterable[ColdStart], tables: Tables) -> dict[ColdStart, StartDraws]:
    """Return the draws of each different start, all from the same luck."""
    normals = start_normals(tables)
    return {start: start.draw(normals) for start in dict.fromkeys(starts)}


def sweep(
    plans: Sequence[Plan],
    trace: Trace,
    tables: Tables,
    *,
    progress: Progress | None = None,
    crew: Crew = THREADS,
) -> tuple[Outcome, ...]:
    """Simulate every plan, and add the clairvoyant bound where there is one."""
    return with_bound(simulate_plans(plans, trace, tables, progress=progress, crew=crew), trace)


def with_bound(
    outcomes: Sequence[Outcome], trace: Trace, sessions: NDArray[np.void] | None = None
) -> tuple[Outcome, ...]:
    """Return the outcomes and the clairvoyant bound, where there is one.

    ``sessions`` is that of `clairvoyant_outcome`.
    """
    try:
        return (*outcomes, clairvoyant_outcome(outcomes, trace, sessions))
    except InfeasibleError:
        return tuple(outcomes)


def rerun(outcome: Outcome, trace: Trace, *, finds_all: bool = False) -> RunResult:
    """Simulate one plan again, for the arrays that an outcome does not keep.

    ``finds_all`` is that of `serve.simulate_plan`.
    """
    draws = StartDraws(outcome.stage_s.sum(axis=1), outcome.stage_s)
    return simulate_plan(outcome.plan, trace, draws, finds_all=finds_all)


def rerun_with_instant_starts(outcome: Outcome, trace: Trace) -> RunResult:
    """Simulate one plan as if every start and resume took no time: what is left is no start's."""
    policy = outcome.plan.policy
    parked = tuple(dataclasses.replace(tier, resume_s=0.0) for tier in policy.parked)
    plan = dataclasses.replace(
        outcome.plan,
        policy=dataclasses.replace(policy, parked=parked, refuses_cold=False),
        retry_s=None,
    )
    # One start and, where there are nodes, one on a node that is up.
    starts = 1 if policy.nodes is None else 2
    return simulate_plan(plan, trace, StartDraws(np.zeros(starts), np.zeros((starts, len(STAGES)))))


def bill_outcome(outcome: Outcome, tables: Tables, deal: Deal = LIST_DEAL) -> Bill:
    """Return the bill of one outcome at the prices and rules of these tables, on these terms."""
    return bill(basis_of_outcome(outcome, tables, deal, whole=False))


def basis_of_outcome(
    outcome: Outcome, tables: Tables, deal: Deal = LIST_DEAL, *, whole: bool = True
) -> BillBasis:
    """Return what that bill is computed from, meter by meter, on the shape that costs least.

    Parameters
    ----------
    whole : bool
        Whether every meter is asked for; else those of `Outcome.meters`, which cost no run.

    Raises
    ------
    InfeasibleError
        If a replica needs more GPUs than any machine in question has.
    """
    outcome = settled(outcome, tables)
    usage = usage_of(outcome) if whole else _bare_usage(outcome)
    bases = []
    refused: InfeasibleError | None = None
    for contract in deal.contracts(outcome.plan, tables):
        try:
            meters = None if whole else outcome.meters(contract)
            bases.append(bill_basis(usage, contract, tables, meters))
        except InfeasibleError as error:
            refused = refused or error
    if refused is not None and not bases:
        raise refused
    return bases[0] if len(bases) == 1 else min(bases, key=lambda basis: bill(basis).usd_span)


def usage_of(outcome: Outcome) -> Usage:
    """Return what a run used, for a bill."""
    return usage_of_run(
        outcome.plan,
        outcome.sessions,
        outcome.stage_s,
        horizon_s=outcome.horizon_s,
        requests=outcome.requests,
    )


def _bare_usage(outcome: Outcome) -> Usage:
    """Return what a run used besides its sessions, whose meters were read before."""
    return usage_of_run(
        outcome.plan,
        _NO_SESSIONS,
        outcome.stage_s,
        horizon_s=outcome.horizon_s,
        requests=outcome.requests,
    )


def usage_of_run(
    plan: Plan,
    sessions: NDArray[np.void],
    stage_s: NDArray[np.float64],
    *,
    horizon_s: float,
    requests: int,
) -> Usage:
    """Return what the run of a plan used, for a bill; arguments as in `Outcome`."""
    gpus = plan.speed.gpus_per_replica
    return Usage(
        sessions,
        stage_s,
        gpus_per_replica=gpus,
        horizon_s=horizon_s,
        policy=plan.policy,
        requests=requests,
        standing=plan.standing,
        host=HostNeed(gpus, plan.weights_gib, plan.weights_stay),
    )


def committed_outcomes(outcomes: Iterable[Outcome]) -> tuple[Outcome, ...]:
    """Return the outcomes with the buyer's commitment used where machines are always on.

    Each dedicated plan comes twice, by the hour and committed; hybrids have a committed base.
    Nothing is simulated: a contract changes no replica.
    """
    found: list[Outcome] = []
    for outcome in outcomes:
        plan = committed(outcome.plan)
        if plan is None or plan.family is not outcome.plan.family:
            found.append(outcome)
        if plan is not None:
            found.append(dataclasses.replace(outcome, plan=plan))
    return tuple(found)


def frontier_table(
    outcomes: Iterable[Outcome],
    tables: Tables,
    *,
    slo_p99_ttft_s: float,
    deal: Deal = LIST_DEAL,
    api: TokenApi | None = None,
    trace: Trace | None = None,
    bases: Mapping[str, BillBasis] | None = None,
) -> pd.DataFrame:
    """Return one row a plan: what it costs, how long requests wait, whether it is efficient.

    Columns: ``plan_id, label, detail, family, offer_id, is_provider_default, mitigations,
    min_replicas, max_replicas, idle_timeout_s``; ``usd_per_month, usd_per_1k_requests,
    usd_per_mtok``; the fields of `LatencySummary`, ``p50_ttft_s`` … ``p99_latency_s``;
    ``starts, held_replicas, busy_share, billed_replicas``; ``efficient, meets_slo``. An ``api``
    is one more row, for the tokens of that ``trace``; like the bound, it is never efficient.
    ``bases`` are what the bills are computed from, where that is known already.
    """
    import pandas as pd

    rows = []
    for outcome in outcomes:
        outcome = settled(outcome, tables)
        plan, seconds = outcome.plan, outcome.seconds
        basis = None if bases is None else bases.get(plan.plan_id)
        cost = bill_outcome(outcome, tables, deal) if basis is None else bill(basis)
        rows.append(
            {
                "plan_id": plan.plan_id,
                "label": plan.label,
                "detail": plan.detail,
                "family": plan.family.key,
                "offer_id": plan.offer_id,
                "is_provider_default": plan.is_provider_default,
                "mitigations": ";".join(plan.mitigations),
                "min_replicas": plan.policy.min_replicas,
                "max_replicas": plan.policy.max_replicas,
                "idle_timeout_s": plan.policy.idle_timeout_s,
                "usd_per_month": cost.usd_per_month(tables.setting("hours_per_month")),
                "usd_per_1k_requests": cost.usd_per_1k_requests(outcome.requests),
                "usd_per_mtok": cost.usd_per_mtok(outcome.tokens),
                **dataclasses.asdict(outcome.latency),
                "starts": outcome.starts,
                "held_replicas": seconds.held_s / outcome.horizon_s,
                "busy_share": seconds.busy_share,
                "billed_replicas": cost.billed_s / outcome.horizon_s,
            }
        )
    if api is not None and trace is not None:
        rows.append(_api_row(api, trace, tables))
    table = pd.DataFrame(rows)
    # The bound is no plan anybody can buy, and an API is not this model on these GPUs.
    real = np.array([FAMILIES[key].is_buyable for key in table["family"]], dtype=np.bool_)
    table["efficient"] = False
    cost, wait = (table.loc[real, name].to_numpy() for name in ("usd_per_month", "p99_ttft_s"))
    stands_out = efficient(cost, wait, tolerance_of(tables))
    # The cheapest within the limit is the answer, however close another plan comes to it.
    if (answer := cheapest_under(cost, wait, slo_p99_ttft_s)) is not None:
        stands_out[answer] = True
    table.loc[real, "efficient"] = stands_out
    table["meets_slo"] = table["p99_ttft_s"] <= slo_p99_ttft_s
    return table


def _api_row(api: TokenApi, trace: Trace, tables: Tables) -> dict[str, Any]:
    usd = api.price.usd(trace.prompt_tokens, trace.output_tokens, api.cached_share)
    tokens = trace.prompt_tokens.sum(dtype=np.int64) + trace.output_tokens.sum(dtype=np.int64)
    return {
        "plan_id": API.stem,
        "label": API.head,
        "detail": "your price and p99",
        "family": API.key,
        "offer_id": "",
        "is_provider_default": False,
        "mitigations": "",
        "min_replicas": 0,
        "max_replicas": 0,
        "idle_timeout_s": np.nan,
        "usd_per_month": api.usd_per_month(trace, tables.setting("hours_per_month")),
        "usd_per_1k_requests": usd / trace.arrival_s.size * 1e3,
        "usd_per_mtok": usd / tokens * units.TOKENS_PER_MTOK,
        "p99_ttft_s": api.p99_ttft_s,
        "rejected_share": 0.0,
        "starts": 0,
    }


def clairvoyant_outcome(
    outcomes: Sequence[Outcome], trace: Trace, sessions: NDArray[np.void] | None = None
) -> Outcome:
    """Return the bound: what serving this trace costs whoever knows it beforehand.

    It never makes a request wait on a start. Its sessions are the stretches in which a replica
    is needed; what it keeps between them hangs on the rules it is billed by (`settled`). Requests
    are served as on the largest always-on plan; a replica holds its target concurrency.

    Parameters
    ----------
    sessions : structured ndarray, optional
        Its sessions, where they are known already.

    Raises
    ------
    InfeasibleError
        If there is no always-on plan that serves every request, or no autoscaled one; where
        replicas share nodes or nodes are kept, for no gap can be decided on its own.
    """
    served = [o for o in outcomes if o.plan.family is DEDICATED and not o.latency.rejected_share]
    scaled = [o for o in outcomes if o.plan.family is SCALE_TO_ZERO and not o.plan.mitigations]
    if not served or not scaled:
        raise InfeasibleError("the clairvoyant bound needs an always-on and a scale-to-zero plan")
    # The default of a platform may aim at more requests than a replica holds, or at less than one.
    own = [outcome for outcome in scaled if not outcome.plan.is_provider_default]
    largest, plain = served[-1], (own or scaled)[0]
    nodes = plain.plan.policy.nodes
    if nodes is not None and (nodes.replicas_per_node > 1 or nodes.kept_nodes):
        raise InfeasibleError("no clairvoyant bound is known where replicas share nodes")

    def needed() -> NDArray[np.void]:
        return needed_sessions(
            trace.arrival_s,
            # Whoever knows the trace sends each prompt where its beginning is.
            rerun(largest, trace, finds_all=True).finish_s,
            concurrency=plain.plan.policy.target_concurrency or plain.plan.speed.max_sequences,
            horizon_s=trace.horizon_s,
        )

    plan = dataclasses.replace(
        plain.plan,
        plan_id=BOUND.stem,
        label=BOUND.head,
        detail="knows the trace; no real plan can",
        family=BOUND,
        # Whoever knows when it is needed again keeps no node in case it might be.
        policy=dataclasses.replace(
            plain.plan.policy,
            nodes=nodes and dataclasses.replace(nodes, scale_down_delay_s=0.0),
        ),
        is_provider_default=False,
    )
    stage_s = np.array([list(plan.start.wall_s.values())] * (1 if nodes is None else 2))
    with room_for((_REQUEST_BYTES + _SESSION_BYTES) * trace.arrival_s.size, lambda: False):
        held = Held(needed() if sessions is None else sessions, needed)
    return dataclasses.replace(largest, plan=plan, held=held, stage_s=stage_s)


def settled(outcome: Outcome, tables: Tables) -> Outcome:
    """Return the outcome as it is billed: the bound keeps or drops a replica in each gap.

    Whichever is cheaper under the rules of its offer in these tables. Other plans do not know
    what they will be billed, and stay as they are.
    """
    if outcome.plan.family != BOUND:
        return outcome
    rules = tables.rules_of(tables.offers[outcome.plan.offer_id])
    sessions = kept_sessions(
        outcome.sessions,
        start_s=float(outcome.stage_s[0].sum()),
        billed_start_s=float(billed_start_s(outcome.stage_s, rules)[0]),
        idle_rate_factor=rules.idle_rate_factor if rules.bills_idle else 0.0,
        horizon_s=outcome.horizon_s,
    )
    return dataclasses.replace(outcome, held=Held(sessions))


def host_need(deployed: Deployed, tables: Tables) -> HostNeed:
    """Return what decides how much host a replica takes there, before any mitigation."""
    inputs = deployed.start_inputs
    return HostNeed(
        deployed.speed.gpus_per_replica, inputs.weights_gib, inputs.weights_stay(tables)
    )


def run_bytes(plan: Plan, trace: Trace) -> int:
    """Return about how much memory a run takes at most, by the gaps in which replicas end [B]."""
    policy, arrival_s, sessions = plan.policy, trace.arrival_s, 0
    if policy.min_replicas < policy.max_replicas:
        sessions = int(np.count_nonzero(arrival_s[1:] - arrival_s[:-1] > policy.idle_timeout_s))
    return _REQUEST_BYTES * arrival_s.size + _SESSION_BYTES * sessions


def outcome_of(
    plan: Plan,
    trace: Trace,
    draws: StartDraws,
    stop: NDArray[np.uint8],
    work: Work | None = None,
) -> Outcome:
    """Return what a plan does with a trace.

    Parameters
    ----------
    stop : ndarray of uint8, shape (1,)
        The run ends early soon after another thread has set it, with `simulate.Cancelled`.
    work : serve.Work, optional
        As for `serve.simulate_plan`.
    """
    if stop[0]:
        raise Cancelled("the sweep was stopped before its end")
    result = simulate_plan(plan, trace, draws, cancel=stop, work=work)
    ordered_s = np.sort(result.ttft_s)
    answered = None if plan.speed.chunk_tokens is None else trace
    return Outcome(
        plan=plan,
        latency=summarise(result, answered, ordered_s=ordered_s),
        held=Held(result.sessions),
        stage_s=draws.stage_s,
        horizon_s=result.horizon_s,
        requests=int(trace.arrival_s.size),
        ttft_of_thousand_s=slowest_of_thousand(ordered_s),
        tokens=int(
            trace.prompt_tokens.sum(dtype=np.int64) + trace.output_tokens.sum(dtype=np.int64)
        ),
    )
