"""An answer before the simulation: cost and p99 of the two plans that outline it, in one pass.

Two cases have a closed form. Always-on machines cost what they cost whatever the traffic does,
and one replica that is seldom busy answers as a single server does. Scale-to-zero is a renewal
process as long as one replica is enough: a request starts it, those that come meanwhile wait for
it, and it is let go once it was idle for the timeout (`analytic.replica_cycle` is its mean on
Poisson arrivals; here the gaps are those of the trace, and the starts those that a simulation
would draw).

Where neither holds nothing is said: autoscalers that look once in a while, caches of prompts,
nodes, parked replicas, refused requests, interruptions, or traffic that needs a second replica.
What an estimate leaves out even so is that answers slow each other down.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from frontier import spell
from frontier.billing import Bill, BillBasis, bill, bill_basis
from frontier.errors import InfeasibleError
from frontier.plans.grid import dedicated_plan, scale_to_zero_plans
from frontier.plans.plan import Plan, committed
from frontier.plans.scenario import Deployment, Scenario, deploy
from frontier.simulate import session_type
from frontier.start.stages import StartDraws
from frontier.sweep import LIST_DEAL, Deal, start_draws, usage_of_run
from frontier.tables import Tables
from frontier.trace import Trace

_TAIL = 99
_LOOKED_AT, _LOOK_BACK = 4000, 2


@dataclass(frozen=True, slots=True)
class Estimate:
    """What one plan would cost and how long its requests would wait, before it is simulated.

    Attributes
    ----------
    plan : Plan
    name : str
        The plan in a few words: "always-on Crusoe L40S".
    usd_per_month, usd_per_h : float or None
        None where the plan is not within what has a closed form. [$/month], [$/h]
    p99_ttft_s : float or None
        The same. [s]
    """

    plan: Plan
    name: str
    usd_per_month: float | None
    usd_per_h: float | None
    p99_ttft_s: float | None

    @property
    def is_anything(self) -> bool:
        """Whether there is anything to say of it."""
        return self.usd_per_month is not None or self.p99_ttft_s is not None


@dataclass(frozen=True, slots=True, eq=False)
class Cycles:
    """One replica that comes and goes with a trace.

    Attributes
    ----------
    ttft_s : ndarray, shape (n,)
        From arrival to the end of the prompt [s].
    sessions : structured ndarray
        As `simulate.RunResult` has them.
    most_held_share : float
        Share of the requests that find as many others there as it is meant to hold [1].
    """

    ttft_s: NDArray[np.float64]
    sessions: NDArray[np.void]
    most_held_share: float


def estimate(
    scenario: Scenario, trace: Trace, tables: Tables, deal: Deal = LIST_DEAL
) -> tuple[Estimate, ...]:
    """Return what can be said at once of scale-to-zero as shipped and of always-on machines.

    Those of which nothing can be said are left out.

    Raises
    ------
    InputError, InfeasibleError
        As `plans.scenario.deploy`.
    """
    deployment = deploy(scenario, trace, tables)
    found = []
    shipped = _shipped(deployment, tables)
    if shipped is not None:
        found.append(_scale_to_zero(shipped, trace, tables, deal))
    count = deployment.machines.busiest_replicas
    kept = dedicated_plan(deployment.machines, trace, count, tables)
    plans = [kept]
    if deal.commitment is not None and deployment.dedicated.kind == "dedicated":
        plans += [plan for plan in (committed(kept),) if plan is not None]
    always_on = [_always_on(plan, trace, tables, deal) for plan in plans]
    found.append(min(always_on, key=lambda one: one.usd_per_month or math.inf))
    return tuple(one for one in found if one.is_anything)


def cycles(
    arrival_s: NDArray[np.float64],
    prompt_s: NDArray[np.float64],
    answer_s: NDArray[np.float64],
    *,
    start_s: NDArray[np.float64],
    idle_timeout_s: float,
    horizon_s: float,
    holds: int,
    most_starts: int,
) -> Cycles | None:
    """Return what one replica does that starts for a request and leaves after its timeout.

    Parameters
    ----------
    arrival_s : ndarray, shape (n,)
        Sorted [s].
    prompt_s, answer_s : ndarray, shape (n,)
        Reading each prompt, one at a time, and writing each answer, all at once [s].
    start_s : ndarray, shape (m,)
        Starts, used in order and again from the first [s].
    holds : int
        Requests that it is meant to hold.
    most_starts : int
        How many are worth a closer look; None is returned where there are more.
    """
    size = arrival_s.size
    alone_s = arrival_s + prompt_s + answer_s
    before = np.concatenate(([-np.inf], np.maximum.accumulate(alone_s)[:-1]))
    # Only after such a gap can it be gone; whether it is hangs on the start before it.
    may_be_cold = np.flatnonzero(arrival_s > before + idle_timeout_s)
    at_s = arrival_s[may_be_cold]
    read_s = np.concatenate(([0.0], np.cumsum(prompt_s)))
    first: list[int] = []
    ready: list[float] = []
    last: list[float] = []
    at = 0
    while at < size:
        if len(first) == most_starts:
            return None
        ready_s = arrival_s[at] + float(start_s[len(first) % start_s.size])
        joined = int(arrival_s.searchsorted(ready_s, side="right"))
        group_s = ready_s + read_s[joined] - read_s[at] + float(answer_s[at:joined].max())
        after = max(
            int(may_be_cold.searchsorted(joined)),
            int(at_s.searchsorted(group_s + idle_timeout_s, side="right")),
        )
        first.append(at)
        ready.append(ready_s)
        at = int(may_be_cold[after]) if after < may_be_cold.size else size
        last.append(max(group_s, float(before[at]) if at < size else float(alone_s.max())))
    begin, count = np.array(first), np.diff([*first, size])
    ready_s = np.array(ready)
    # The prompts are read one after the other, from when the replica is ready.
    free_s = np.maximum(arrival_s, np.repeat(ready_s, count)) - read_s[:-1]
    read_from_s = np.maximum.accumulate(free_s) + read_s[:-1]
    ttft_s = read_from_s + prompt_s - arrival_s
    finish_s = read_from_s + prompt_s + answer_s
    latest_s = np.maximum.accumulate(finish_s)
    earlier_s = np.concatenate(([-np.inf], latest_s[:-1]))
    busy_s = np.maximum(finish_s - np.maximum(read_from_s, earlier_s), 0.0)
    return Cycles(
        ttft_s=ttft_s,
        sessions=_sessions(
            arrival_s[begin],
            ready_s,
            np.maximum(np.array(last), latest_s[begin + count - 1]) + idle_timeout_s,
            np.add.reduceat(busy_s, begin),
            horizon_s,
        ),
        most_held_share=_full_share(arrival_s, finish_s, holds),
    )


def _full_share(arrival_s: NDArray[np.float64], finish_s: NDArray[np.float64], holds: int) -> float:
    """Return the share of requests that find as many others unfinished as a replica holds [1].

    Of some thousand of them, evenly taken; looked for among those that came before each.
    """
    taken = np.unique(np.linspace(0, arrival_s.size - 1, _LOOKED_AT).astype(np.intp))
    back = taken[:, None] - np.arange(1, _LOOK_BACK * holds + 1)
    unfinished = (finish_s[np.maximum(back, 0)] > arrival_s[taken][:, None]) & (back >= 0)
    return float(np.mean(unfinished.sum(axis=1) >= holds))


def _sessions(
    started_s: NDArray[np.float64],
    ready_s: NDArray[np.float64],
    ended_s: NDArray[np.float64],
    busy_s: NDArray[np.float64],
    horizon_s: float,
) -> NDArray[np.void]:
    ended_s = np.minimum(ended_s, np.append(started_s[1:], np.inf))
    found = np.zeros(started_s.size, dtype=session_type(0))
    found["started_s"], found["ready_s"], found["ended_s"] = started_s, ready_s, ended_s
    within = np.minimum(ready_s, horizon_s)
    found["starting_s"] = within - started_s
    up_s = np.maximum(np.minimum(ended_s, horizon_s) - within, 0.0)
    found["busy_s"] = np.minimum(busy_s, up_s)
    found["idle_s"] = up_s - found["busy_s"]
    found["cold_start_index"] = np.arange(started_s.size)
    return found


def _shipped(deployment: Deployment, tables: Tables) -> Plan | None:
    plans = scale_to_zero_plans(deployment, tables)
    return next((plan for plan in plans if plan.is_provider_default), None)


def _scale_to_zero(plan: Plan, trace: Trace, tables: Tables, deal: Deal) -> Estimate:
    policy, speed = plan.policy, plan.speed
    is_simple = (
        policy.scaler is None
        and policy.nodes is None
        and not policy.parked
        and not policy.refuses_cold
        and policy.scale_down == "all"
        and math.isinf(policy.queue_timeout_s)
        and plan.retry_s is None
        and plan.interruptions_per_h == 0
        and trace.prefix_parent is None
        and not policy.buffer_replicas
    )
    if not is_simple:
        return _said(plan, tables, None, None, trace)
    holds = int(policy.target_concurrency or speed.max_sequences)
    draws = start_draws([plan.start], tables)[plan.start]
    found = cycles(
        trace.arrival_s,
        _prompt_s(plan, trace),
        np.multiply(trace.output_tokens - 1, speed.decode_step_s[0], dtype=np.float64),
        start_s=draws.total_s,
        idle_timeout_s=policy.idle_timeout_s,
        horizon_s=trace.horizon_s,
        holds=holds if policy.max_replicas > 1 else speed.max_sequences,
        most_starts=int(tables.setting("estimate_most_starts")),
    )
    if found is None or found.most_held_share > tables.setting("estimate_most_held_share"):
        return _said(plan, tables, None, None, trace)
    p99_s = _p99(found.ttft_s) + speed.overhead_s
    return _said(
        plan, tables, _bill(plan, found.sessions, draws, trace, tables, deal), p99_s, trace
    )


def _always_on(plan: Plan, trace: Trace, tables: Tables, deal: Deal) -> Estimate:
    count = plan.policy.max_replicas
    if plan.interruptions_per_h:
        return _said(plan, tables, None, None, trace)
    sessions = np.zeros(count, dtype=session_type(0))
    sessions["replica"] = np.arange(count)
    sessions["ended_s"] = sessions["idle_s"] = trace.horizon_s
    sessions["cold_start_index"] = -1
    draws = start_draws([plan.start], tables)[plan.start]
    billed = _bill(plan, sessions, draws, trace, tables, deal)
    if billed is None:
        return _said(plan, tables, None, None, trace)
    p99_s = None
    if count == 1 and trace.prefix_parent is None:
        prompt_s = _prompt_s(plan, trace)
        answer_s = trace.output_tokens * float(plan.speed.decode_step_s[0])
        busy = float(prompt_s.sum() + answer_s.sum()) / trace.horizon_s
        if busy <= tables.setting("estimate_most_busy"):
            read_s = np.concatenate(([0.0], np.cumsum(prompt_s)))
            free_s = np.maximum.accumulate(trace.arrival_s - read_s[:-1])
            p99_s = _p99(free_s + read_s[1:] - trace.arrival_s) + plan.speed.overhead_s
    return _said(plan, tables, billed, p99_s, trace)


def _prompt_s(plan: Plan, trace: Trace) -> NDArray[np.float64]:
    return plan.speed.prefill_s(trace.prompt_tokens) - plan.speed.overhead_s


def _p99(ttft_s: NDArray[np.float64]) -> float:
    rank = max(0, math.ceil(_TAIL / 100 * ttft_s.size) - 1)
    return float(np.partition(ttft_s, rank)[rank])


def _bill(
    plan: Plan,
    sessions: NDArray[np.void],
    draws: StartDraws,
    trace: Trace,
    tables: Tables,
    deal: Deal,
) -> tuple[Bill, BillBasis] | None:
    """Return the bill of these sessions on the machine that costs least, as for a simulated run."""
    usage = usage_of_run(
        plan,
        sessions,
        draws.stage_s,
        horizon_s=trace.horizon_s,
        requests=int(trace.arrival_s.size),
    )
    found = []
    for contract in deal.contracts(plan, tables):
        try:
            basis = bill_basis(usage, contract, tables)
        except InfeasibleError:
            continue
        found.append((bill(basis), basis))
    return min(found, key=lambda one: one[0].usd_span) if found else None


def _said(
    plan: Plan,
    tables: Tables,
    billed: tuple[Bill, BillBasis] | None,
    p99_s: float | None,
    trace: Trace,
) -> Estimate:
    offer, count = tables.offers[plan.offer_id], plan.policy.min_replicas
    where = f"{offer.provider} {plan.speed.gpu}"
    if plan.speed.gpus_per_replica > 1:
        where = f"{plan.speed.gpus_per_replica} × {where}"
    name = f"{spell.count(count, 'always-on replica')} of {where}"
    if count < plan.policy.max_replicas:
        name = f"scale-to-zero as shipped on {where}"
    per_month = per_h = None
    if billed is not None:
        cost, basis = billed
        per_month = cost.usd_per_month(basis.hours_per_month)
        per_h = per_month / basis.hours_per_month
    return Estimate(plan, name, per_month, per_h, p99_s)


def in_words(found: Estimate, *, is_short: bool) -> str:
    """Return an estimate as a sentence; an hour and not a month where less than a day was seen."""
    usd, per = (found.usd_per_h, "an hour") if is_short else (found.usd_per_month, "a month")
    said = []
    if usd is not None:
        said.append(f"about {spell.dollars(usd)} {per}")
    if found.p99_ttft_s is not None:
        said.append(f"p99 about {spell.seconds(found.p99_ttft_s)}")
    return f"{found.name[:1].upper()}{found.name[1:]}: {', '.join(said)}."
