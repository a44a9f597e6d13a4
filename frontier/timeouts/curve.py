"""Scale-to-zero at every idle timeout that tells something, billed; and the timeouts worth naming.

`simulate_timeouts` serves the traffic at each timeout, also beyond what the provider allows, and
keeps no sessions; `single` serves once what many timeouts have in common. `timeouts_of` bills
those runs and finds the cheapest, the cheapest that holds the limit, the knee, and the timeout of
the ski-rental argument. Another price simulates nothing.

Left out: timeouts that change with the hour or the traffic, and warm pools beside them.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from frontier.billing import Bill, Contract, bill, bill_basis, billed_start_s, metering_key, months
from frontier.crew import THREADS, Crew, Progress
from frontier.market.tried import Tried, read_off
from frontier.plans.families import BOUND
from frontier.plans.grid import mitigated_plan, most_as_shipped
from frontier.plans.plan import Plan
from frontier.plans.scenario import Deployment
from frontier.serve import Work, simulate_plan, work_of
from frontier.start.stages import ColdStart, StartDraws
from frontier.study import Study
from frontier.sweep import Deal, start_draws
from frontier.tables import Behaviour, ProviderRules, Tables
from frontier.timeouts.single import Staying, staying
from frontier.trace import Trace
from frontier.verdict import PlanFacts

CLUSTER = "the cluster"
"""Who sets idle timeouts where replicas are pods on nodes of one's own."""

_SAME_USD = 0.005

_Shared = tuple[Trace, StartDraws, dict[tuple[Hashable, ...], Contract], Work, Staying | None]


@dataclass(frozen=True, slots=True, eq=False)
class TimeoutRuns:
    """What scale-to-zero did at each idle timeout; no price is in it.

    Attributes
    ----------
    plan : Plan
        At the provider's default, with as many replicas as the traffic may need.
    tried : tuple of Tried
        One a timeout, the shortest first.
    longest_gap_s : float
        The longest time without an arrival: with a longer timeout one replica stays up. [s]
    billed_start_s : float
        Seconds of a start that are billed, on average. [s]
    """

    plan: Plan
    tried: tuple[Tried, ...]
    longest_gap_s: float
    billed_start_s: float


@dataclass(frozen=True, slots=True)
class TimeoutPoint:
    """Scale-to-zero at one idle timeout.

    Attributes
    ----------
    idle_timeout_s : float
        [s]
    is_allowed : bool
        Whether the provider lets it be set, as far as it states a range.
    usd_per_month, idle_usd, starting_usd : float
        The bill, and its lines of idle and starting seconds. [$/month]
    p99_ttft_s : float
        [s]
    waited_share, busy_share : float
        Requests that waited on a start; busy over held seconds. [1]
    starts : int
        Over the trace.
    """

    idle_timeout_s: float
    is_allowed: bool
    usd_per_month: float
    idle_usd: float
    starting_usd: float
    p99_ttft_s: float
    waited_share: float
    busy_share: float
    starts: int


@dataclass(frozen=True, slots=True)
class Knee:
    """Where keeping longer begins to buy less.

    Attributes
    ----------
    point : TimeoutPoint
    before, beyond : float
        Waits on a start that each further dollar spares, up to there and from there on. [1/$]
    """

    point: TimeoutPoint
    before: float
    beyond: float


@dataclass(frozen=True, slots=True)
class SkiRental:
    """The idle timeout that is never worse than twice what knowing the traffic would cost.

    Attributes
    ----------
    idle_timeout_s : float
        For which an idle replica costs as much as a start: 0 where a start costs nothing,
        infinite where being idle does. [s]
    point : TimeoutPoint or None
        The run at that timeout; None where it is infinite.
    least_usd : float or None
        Idle and starting seconds of the clairvoyant bound; None where there is none. [$/month]
    """

    idle_timeout_s: float
    point: TimeoutPoint | None
    least_usd: float | None

    @property
    def paid_usd(self) -> float | None:
        """What that run pays for idle and starting seconds [$/month]."""
        return None if self.point is None else self.point.idle_usd + self.point.starting_usd

    @property
    def ratio(self) -> float | None:
        """How many times the least that is; None where either is not known or nothing is paid."""
        if self.paid_usd is None or not self.least_usd:
            return None
        return self.paid_usd / self.least_usd


@dataclass(frozen=True, slots=True)
class Timeouts:
    """The curve, and what is worth naming on it.

    Attributes
    ----------
    points : tuple of TimeoutPoint
        The shortest timeout first.
    where, gpu : str
        Of the offer.
    provider : str
        Who says which timeouts can be set, or `CLUSTER`.
    limit_s, longest_gap_s, span_s : float
        On p99 TTFT; the longest time without an arrival; how long the traffic was seen. [s]
    allowed_s : tuple of (float or None)
        Shortest and longest that the provider allows; None where it does not say. [s]
    as_shipped_replicas : int or None
        The most replicas of the provider's default, where the traffic may need more.
    default, cheapest, holding : TimeoutPoint or None
        The provider's own; the cheapest that is allowed; the cheapest of those that hold the
        limit.
    longest : TimeoutPoint
        The longest that is allowed.
    beyond : TimeoutPoint or None
        The shortest that holds the limit, if none that is allowed does.
    knee : Knee or None
        None where each dollar spares about as many waits as the one before.
    ski_rental : SkiRental or None
        None where replicas park, share nodes or leave by an autoscaler's window, for no gap is
        then decided on its own.
    always_on : PlanFacts or None
        The rival of the verdict.
    overtaken : TimeoutPoint or None
        The shortest timeout from which on the bill is above that of always-on.
    """

    points: tuple[TimeoutPoint, ...]
    where: str
    provider: str
    gpu: str
    limit_s: float
    longest_gap_s: float
    span_s: float
    allowed_s: tuple[float | None, float | None]
    as_shipped_replicas: int | None
    default: TimeoutPoint | None
    cheapest: TimeoutPoint
    holding: TimeoutPoint | None
    longest: TimeoutPoint
    beyond: TimeoutPoint | None
    knee: Knee | None
    ski_rental: SkiRental | None
    always_on: PlanFacts | None
    overtaken: TimeoutPoint | None


def why_not(deployment: Deployment, tables: Tables) -> str:
    """Return why an idle timeout decides nothing there; empty where it does."""
    policy = mitigated_plan(deployment, (), tables).policy
    # Under some autoscalers it stands for a window of theirs.
    if policy.idle_timeout_counts or (policy.scaler is not None and policy.scaler.keep_alive):
        return ""
    return (
        f"Under {deployment.autoscaler.label} replicas leave when the autoscaler says so, and an "
        "idle timeout decides nothing: choose another autoscaler under More."
    )


def ski_rental_s(billed_s: float, rules: ProviderRules) -> float:
    """Return the idle time that costs as much as a start [s].

    Keep an idle replica for so long and then release it. In a gap that is shorter nothing is paid
    but the gap, which is the least there is; in a longer one the idle time and a start of the
    same price, when the least is one start or the gap. So no gap costs more than twice the least
    (Karlin, Manasse, Rudolph and Sleator, Algorithmica 3, 1988). A timeout drawn at random would
    come within e / (e - 1) on average (Karlin, Manasse, McGeoch and Owicki, SODA 1990).
    Increments and minimums of the meter are left out.

    Parameters
    ----------
    billed_s : float
        Seconds of a start that are billed. [s]
    """
    price = rules.idle_rate_factor if rules.bills_idle else 0.0
    if billed_s == 0.0:
        return 0.0
    return billed_s / price if price > 0 else math.inf


def tried_timeouts_s(
    behaviour: Behaviour, longest_gap_s: float, tables: Tables, *also_s: float
) -> tuple[float, ...]:
    """Return the idle timeouts to simulate: evenly on a log scale up to the longest gap [s].

    Also none at all, the provider's own, shortest and longest, and ``also_s``.
    """
    high = max(longest_gap_s, tables.setting("timeouts_from_s"))
    low = min(tables.setting("timeouts_from_s"), high / 10)
    steps = np.geomspace(low, high, int(tables.setting("timeouts_tried")))
    named = (behaviour.idle_default_s, behaviour.idle_min_s, behaviour.idle_max_s, *also_s)
    tried = {_rounded_up(float(step)) for step in steps} | {0.0}
    tried |= {float(one) for one in named if one is not None and math.isfinite(one)}
    return tuple(sorted(tried))


def _rounded_up(value: float) -> float:
    """Return a number with two significant digits, no smaller: a timeout a person would set."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return round(math.ceil(value / unit - 1e-9) * unit, 12)


def simulate_timeouts(
    deployment: Deployment,
    trace: Trace,
    tables: Tables,
    deal: Deal,
    mitigations: tuple[str, ...] = (),
    *,
    progress: Progress | None = None,
    crew: Crew = THREADS,
) -> TimeoutRuns:
    """Simulate scale-to-zero at every idle timeout of `tried_timeouts_s`.

    Parameters
    ----------
    deal : Deal
        Of it and the tables only the way in which seconds are metered counts.
    mitigations : tuple of str
        Keys of what shortens a start: one of the sets of the deployment.
    progress : callable, optional
        Called with (done, all) runs; what it raises stops all.
    crew : Crew
        Who simulates.
    """
    plan, contract = _plan(deployment, tables, deal, mitigations)
    gap_s = float(np.diff(trace.arrival_s).max(initial=0.0))
    billed_s = _mean_billed_s(plan.start, contract.rules, tables)
    timeouts_s = tried_timeouts_s(
        deployment.serverless.behaviour, gap_s, tables, ski_rental_s(billed_s, contract.rules)
    )
    plans = [
        dataclasses.replace(plan, policy=dataclasses.replace(plan.policy, idle_timeout_s=timeout_s))
        for timeout_s in timeouts_s
    ]
    draws = start_draws([plan.start], tables)[plan.start]
    metered = {metering_key(contract, plan.speed.gpus_per_replica): contract}
    work = work_of(plan.speed, trace)
    alone = staying(plan, trace, draws.total_s, work)
    tried = crew.run(_try, (trace, draws, metered, work, alone), plans, progress=progress)
    return TimeoutRuns(plan, tuple(tried), gap_s, billed_s)


def _try(shared: _Shared, plan: Plan, stop: NDArray[np.uint8]) -> Tried:
    """Return what the plan does at its idle timeout."""
    trace, draws, metered, work, alone = shared
    result = None
    if alone is not None:
        result = alone.released_after(plan.policy.idle_timeout_s, stop)
    if result is None:
        result = simulate_plan(plan, trace, draws, cancel=stop, work=work)
    (tried,) = read_off(plan, result, metered, draws, trace).values()
    return tried


def metered_alike(
    deployment: Deployment, tables: Tables, deal: Deal, mitigations: tuple[str, ...]
) -> tuple[Hashable, ...]:
    """Return all that `simulate_timeouts` takes from prices and terms, to keep its runs under."""
    plan, contract = _plan(deployment, tables, deal, mitigations)
    return metering_key(contract, plan.speed.gpus_per_replica)


def _plan(
    deployment: Deployment, tables: Tables, deal: Deal, mitigations: tuple[str, ...]
) -> tuple[Plan, Contract]:
    chosen = next(
        found
        for found in deployment.mitigation_sets
        if tuple(item.key for item in found) == mitigations
    )
    plan = mitigated_plan(deployment, chosen, tables)
    (contract,) = deal.contracts(plan, tables)
    return plan, contract


def _mean_billed_s(start: ColdStart, rules: ProviderRules, tables: Tables) -> float:
    return float(billed_start_s(start_draws([start], tables)[start].stage_s, rules).mean())


def timeouts_of(study: Study, runs: TimeoutRuns) -> Timeouts:
    """Bill the runs at the prices of a study of the same scenario, and find what to name."""
    tables, deal, limit_s = study.tables, study.deal, study.limit_s
    (contract,) = deal.contracts(runs.plan, tables)
    behaviour = study.deployment.serverless.behaviour
    low, high = behaviour.idle_min_s, behaviour.idle_max_s
    hours = study.hours_per_month
    points = []
    for tried in runs.tried:
        timeout_s = tried.plan.policy.idle_timeout_s
        found = bill(bill_basis(tried.usage, contract, tables, (tried.meters,)))
        points.append(
            _point(tried, found, hours, is_allowed=(low or 0.0) <= timeout_s <= (high or math.inf))
        )
    allowed = [point for point in points if point.is_allowed]
    holding = [point for point in allowed if point.p99_ttft_s <= limit_s]
    anywhere = [point for point in points if point.p99_ttft_s <= limit_s]
    rival = study.verdict.rival
    offer = contract.offer
    shipped = most_as_shipped(study.deployment)
    return Timeouts(
        points=tuple(points),
        where=f"{offer.provider} {offer.product}, {offer.gpu}",
        provider=offer.provider if runs.plan.policy.nodes is None else CLUSTER,
        gpu=offer.gpu,
        limit_s=limit_s,
        longest_gap_s=runs.longest_gap_s,
        span_s=study.trace.horizon_s,
        allowed_s=(low, high),
        as_shipped_replicas=shipped if shipped < study.deployment.max_replicas else None,
        default=next((p for p in points if p.idle_timeout_s == behaviour.idle_default_s), None),
        cheapest=min(allowed, key=_cost_then_wait),
        holding=min(holding, key=_cost_then_wait) if holding else None,
        longest=allowed[-1],
        beyond=None if holding or not anywhere else anywhere[0],
        knee=knee_of(
            allowed,
            requests=study.trace.arrival_s.size / months(study.trace.horizon_s, hours),
            least=tables.setting("timeouts_knee_least"),
        ),
        ski_rental=_ski_rental(study, runs, points, contract.rules),
        always_on=rival,
        overtaken=None if rival is None else _overtaken(points, rival.usd_per_month),
    )


def _point(tried: Tried, found: Bill, hours: float, *, is_allowed: bool) -> TimeoutPoint:
    lines = found.lines_per_month(hours)
    return TimeoutPoint(
        idle_timeout_s=tried.plan.policy.idle_timeout_s,
        is_allowed=is_allowed,
        usd_per_month=found.usd_per_month(hours),
        idle_usd=lines["idle"],
        starting_usd=lines["starting"],
        p99_ttft_s=tried.latency.p99_ttft_s,
        waited_share=tried.latency.waited_on_start_share,
        busy_share=tried.busy_share,
        starts=tried.starts,
    )


def _cost_then_wait(point: TimeoutPoint) -> tuple[float, float]:
    return round(point.usd_per_month, 6), point.p99_ttft_s


def _overtaken(points: Sequence[TimeoutPoint], usd_per_month: float) -> TimeoutPoint | None:
    above = [point.usd_per_month > usd_per_month for point in points]
    if all(above) or not above[-1]:
        return points[0] if all(above) else None
    last_below = max(index for index, is_above in enumerate(above) if not is_above)
    return points[last_below + 1]


def knee_of(points: Sequence[TimeoutPoint], *, requests: float, least: float) -> Knee | None:
    """Return the point from which on a further dollar spares fewer waits on a start.

    It is the one farthest above the straight line from the cheapest point to the one at which
    waits are fewest, both axes from 0 to 1 (Satopää, Albrecht, Irwin and Raghavan, "Finding a
    Kneedle in a Haystack", ICDCSW 2011).

    Parameters
    ----------
    points : sequence of TimeoutPoint
        The shortest timeout first.
    requests : float
        A month. [1/month]
    least : float
        How far above, as a share of the axis, makes a knee. [1]

    Returns
    -------
    Knee or None
        None where no point is so far above the line.
    """
    cheapest = min(range(len(points)), key=lambda index: _cost_then_wait(points[index]))
    rest = points[cheapest:]
    fewest = min(range(len(rest)), key=lambda index: rest[index].waited_share)
    rest = rest[: fewest + 1]
    usd = np.array([point.usd_per_month for point in rest])
    waited = np.array([point.waited_share for point in rest])
    if len(rest) < 3 or usd[-1] - usd[0] < _SAME_USD or waited[0] <= waited[-1]:
        return None
    above = (waited[0] - waited) / (waited[0] - waited[-1]) - _share(usd)
    at = int(np.argmax(above))
    if above[at] < least:
        return None

    def spared(first: int, last: int) -> float:
        fewer = float(waited[first] - waited[last]) * requests
        cost = float(usd[last] - usd[first])
        return fewer / cost if cost > 0 else math.inf

    return Knee(rest[at], spared(0, at), spared(at, len(rest) - 1))


def _share(values: ArrayLike) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    return (values - values[0]) / (values[-1] - values[0])


def _ski_rental(
    study: Study, runs: TimeoutRuns, points: Sequence[TimeoutPoint], rules: ProviderRules
) -> SkiRental | None:
    policy = runs.plan.policy
    if policy.nodes is not None or policy.parked or policy.scale_down != "all":
        return None
    if not policy.idle_timeout_counts:
        return None
    timeout_s = ski_rental_s(runs.billed_start_s, rules)
    point = next((one for one in points if one.idle_timeout_s == timeout_s), None)
    bound = next((one for one in study.outcomes.values() if one.plan.family is BOUND), None)
    least = None
    # The bound starts replicas as they are: it is none for starts that were shortened.
    if bound is not None and not runs.plan.mitigations:
        lines = study.bill(bound).lines_per_month(study.hours_per_month)
        least = lines["idle"] + lines["starting"]
    return SkiRental(timeout_s, point, least)
