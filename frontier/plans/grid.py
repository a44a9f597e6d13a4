"""The plans worth comparing, family by family.

`default_grid` lists them: each family at the idle timeouts of the provider's range, a few sizes,
and the mitigations that go together. To add a family: its row in `families`, its function here,
and a place in `default_grid`. Left out: any search; what lies between two of these plans is not
looked at.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from frontier import spell
from frontier.autoscalers import scaler_of, target_of
from frontier.mitigations.base import Mitigated, Mitigation, apply_mitigations
from frontier.plans import nodes
from frontier.plans.families import DEDICATED, HYBRID, SCALE_TO_ZERO, SCHEDULED, WARM_POOL, Family
from frontier.plans.plan import Plan
from frontier.plans.scenario import (
    Deployed,
    Deployment,
    office_hours,
    replica_limit,
    replicas_for_bursts,
    same_replica,
    week_offset_s,
)
from frontier.policy import ScalingPolicy
from frontier.schedules import weekly_schedule
from frontier.tables import Behaviour, Tables
from frontier.trace import Trace

_MACHINE_WORDS = {"dedicated": "Dedicated", "reserved": "Reserved", "spot": "Spot"}


def default_grid(deployment: Deployment, trace: Trace, tables: Tables) -> tuple[Plan, ...]:
    """Return the plans to compare, family by family."""
    # The simpler family first: where two plans come out equal, the first one is named.
    return (
        *scale_to_zero_plans(deployment, tables),
        *dedicated_plans(deployment.machines, trace, tables),
        *warm_pool_plans(deployment, tables),
        *hybrid_plans(deployment, tables),
        *scheduled_plans(deployment.machines, trace, tables),
    )


def offer_grid(deployed: Deployed, trace: Trace, tables: Tables) -> tuple[Plan, ...]:
    """Return those plans of `default_grid` that one offer is enough for."""
    if deployed.supply.kind == "serverless":
        return (*scale_to_zero_plans(deployed, tables), *warm_pool_plans(deployed, tables))
    return (
        *dedicated_plans(deployed, trace, tables),
        *scheduled_plans(deployed, trace, tables),
    )


def first_look(grid: Iterable[Plan]) -> tuple[Plan, ...]:
    """Return the few plans of a grid that already give the answer's outline."""
    return tuple(
        plan
        for plan in grid
        if plan.is_provider_default or (plan.family is DEDICATED and plan.policy.max_replicas <= 2)
    )


def idle_timeouts_s(behaviour: Behaviour, tables: Tables) -> tuple[float, ...]:
    """Return the idle timeouts to try: the provider's range, evenly on a log scale [s]."""
    setting = tables.setting
    low, high = behaviour.idle_min_s, behaviour.idle_max_s
    low = setting("grid_idle_timeout_min_s") if low is None else low
    high = setting("grid_idle_timeout_max_s") if high is None else high
    high = min(high, setting("grid_idle_timeout_max_s"))
    tried = {float(low), float(high)}
    floor = max(low, setting("grid_idle_timeout_min_s"))
    if high > floor > 0:
        steps = np.geomspace(floor, high, int(setting("grid_idle_timeouts")))
        tried |= {min(high, max(low, _rounded(step))) for step in steps}
    if behaviour.idle_default_s is not None:
        tried.add(float(behaviour.idle_default_s))
    return tuple(sorted(tried))


def scale_to_zero_plans(deployed: Deployed, tables: Tables) -> Iterator[Plan]:
    """Yield scale-to-zero at each idle timeout with each set of mitigations that goes together.

    The provider's default comes first at its timeout. Where it stops at fewer replicas than this
    traffic may need, the same with as many as needed is a plan of its own.
    """
    behaviour = deployed.supply.behaviour
    shipped, timeouts_s = most_as_shipped(deployed), idle_timeouts_s(behaviour, tables)
    for chosen in deployed.mitigation_sets:
        mitigated = mitigated_at(deployed, chosen, tables)
        for timeout_s in timeouts_s:
            is_default = not chosen and timeout_s == behaviour.idle_default_s
            sizes = [(deployed.max_replicas, target_at(deployed))]
            if is_default:
                sizes.insert(0, (shipped, _target_as_shipped(deployed)))
            for most, target in dict.fromkeys(sizes):
                policy = ScalingPolicy(
                    max_replicas=most,
                    idle_timeout_s=timeout_s,
                    target_concurrency=target,
                )
                yield autoscaled_plan(
                    deployed,
                    SCALE_TO_ZERO,
                    policy,
                    chosen,
                    mitigated,
                    is_default=is_default and (most, target) == sizes[0],
                )


def most_as_shipped(deployed: Deployed) -> int:
    """Return the most replicas of the provider's default, unless the user said how many."""
    default = deployed.supply.behaviour.max_replicas_default
    if default is None or deployed.scenario.max_replicas is not None:
        return deployed.max_replicas
    return min(default, deployed.max_replicas)


def default_idle_timeout_s(behaviour: Behaviour, tables: Tables) -> float:
    """Return the provider's own idle timeout, or the shortest one tried if it states none [s]."""
    if behaviour.idle_default_s is not None:
        return float(behaviour.idle_default_s)
    return idle_timeouts_s(behaviour, tables)[0]


def mitigated_plan(deployed: Deployed, mitigations: tuple[Mitigation, ...], tables: Tables) -> Plan:
    """Return scale-to-zero at the provider's idle timeout with these mitigations.

    It has as many replicas as the traffic may need, also where the provider's default has fewer.

    Raises
    ------
    InputError
        If they cannot be combined, or one cannot be used; the message says why.
    """
    policy = ScalingPolicy(
        max_replicas=deployed.max_replicas,
        idle_timeout_s=default_idle_timeout_s(deployed.supply.behaviour, tables),
        target_concurrency=target_at(deployed),
    )
    mitigated = mitigated_at(deployed, mitigations, tables)
    return autoscaled_plan(deployed, SCALE_TO_ZERO, policy, mitigations, mitigated)


def plans_by_autoscaler(deployed: Deployed, tables: Tables) -> dict[str, Plan]:
    """Return `mitigated_plan` with nothing done under each autoscaler, by its key.

    Keep-alive and target are the same under all: what differs is when replicas come and go.
    """
    plans = {}
    for key, row in tables.autoscalers.items():
        plan = mitigated_plan(dataclasses.replace(deployed, autoscaler=row), (), tables)
        plans[key] = dataclasses.replace(plan, plan_id=f"{plan.plan_id}-{key}", label=row.label)
    return plans


def warm_pool_plans(deployed: Deployed, tables: Tables) -> Iterator[Plan]:
    """Yield warm pools of a few sizes, each at a few idle timeouts for what comes on top."""
    behaviour = deployed.supply.behaviour
    few, timeouts_s = _none_and_most(deployed, tables), _few_timeouts_s(behaviour, tables)
    for size in _few_sizes(deployed, tables):
        # Where nothing can come on top the timeout means nothing.
        tried = timeouts_s[-1:] if size == deployed.max_replicas else timeouts_s
        for chosen, mitigated in few:
            for timeout_s in tried:
                policy = ScalingPolicy(
                    min_replicas=size,
                    max_replicas=deployed.max_replicas,
                    idle_timeout_s=timeout_s,
                    target_concurrency=target_at(deployed),
                )
                yield autoscaled_plan(deployed, WARM_POOL, policy, chosen, mitigated)


def hybrid_plans(deployment: Deployment, tables: Tables) -> Iterator[Plan]:
    """Yield a dedicated base with serverless overflow, where both run the same replica.

    The base is pinned: never released, and billed at the dedicated offer. Where the two offers
    have different GPUs there is no such plan; `Deployment.assumed` says so.
    """
    if deployment.dedicated.kind == "spot" or not same_replica(
        deployment.speed, deployment.dedicated_speed
    ):
        return
    base_offer, behaviour = deployment.dedicated.offer_id, deployment.serverless.behaviour
    few = _none_and_most(deployment, tables)
    for size in _few_sizes(deployment, tables):
        if size == deployment.max_replicas:
            continue  # nothing can flow over: that is a dedicated plan
        for timeout_s in _few_timeouts_s(behaviour, tables):
            policy = ScalingPolicy(
                min_replicas=size,
                pinned_replicas=size,
                max_replicas=deployment.max_replicas,
                idle_timeout_s=timeout_s,
                target_concurrency=target_at(deployment),
            )
            for chosen, mitigated in few:
                yield dataclasses.replace(
                    autoscaled_plan(deployment, HYBRID, policy, chosen, mitigated),
                    base_offer_id=base_offer,
                )


def dedicated_plans(deployed: Deployed, trace: Trace, tables: Tables) -> Iterator[Plan]:
    """Yield always-on replicas, from one to more than the densest moments can use."""
    for count in range(1, most_dedicated(deployed, trace, tables) + 1):
        yield dedicated_plan(deployed, trace, count, tables)


def dedicated_plan(deployed: Deployed, trace: Trace, count: int, tables: Tables) -> Plan:
    """Return so many always-on replicas.

    They start before the trace begins; how long a start takes matters where spot machines are
    interrupted.
    """
    word = _MACHINE_WORDS[deployed.supply.kind]
    kept = "on spot machines" if deployed.supply.kind == "spot" else "always on"
    by_prefix = deployed.scenario.by_prefix and trace.prefix_parent is not None
    if by_prefix:
        kept += ", a request goes where its prompt began"
    return Plan(
        plan_id=DEDICATED.stem_of(count),
        label=f"{word} × {count}",
        detail=f"{spell.count(count, 'replica')} {kept}",
        family=DEDICATED,
        policy=ScalingPolicy(
            min_replicas=count,
            max_replicas=count,
            idle_timeout_s=math.inf,
            routing="prefix" if by_prefix else "spread",
        ),
        start=deployed.start,
        speed=deployed.speed,
        offer_id=deployed.supply.offer_id,
        weights_gib=deployed.start_inputs.weights_gib,
        weights_stay=deployed.start_inputs.weights_stay(tables),
        interruptions_per_h=deployed.interruptions_per_h,
        interruption_seed=deployed.interruption_seed,
    )


def scheduled_plans(deployed: Deployed, trace: Trace, tables: Tables) -> Iterator[Plan]:
    """Yield machines by the hour that run in office hours and on demand outside them.

    In the windows the minimum is the size, started a start's length before; a request outside
    them starts a replica at the same offer, with the start of that offer's platform. There is no
    such plan for a reserved machine, which is paid for whether it runs or not, nor for a spot one.
    """
    behaviour = deployed.supply.behaviour
    if deployed.supply.kind in ("reserved", "spot"):
        return  # paid for whether used or not; or not sure to be there when the hours begin
    speed, office = deployed.speed, office_hours(deployed.scenario, tables)
    start, most = deployed.start, most_dedicated(deployed, trace, tables)
    timeouts_s = _few_timeouts_s(behaviour, tables)
    for size in _few_sizes(deployed, tables):
        changes = weekly_schedule(
            office.windows,
            trace.horizon_s,
            replicas=size,
            lead_s=start.typical_s,
            week_offset_s=week_offset_s(trace),
            tables=tables,
        )
        # What is on when the trace begins has been started before it.
        begun = bool(changes) and changes[0][0] == 0
        for timeout_s in timeouts_s:
            policy = ScalingPolicy(
                min_replicas=changes[0][1] if begun else 0,
                schedule=changes[1:] if begun else changes,
                max_replicas=max(size, most),
                idle_timeout_s=timeout_s,
                target_concurrency=target_at(deployed),
            )
            yield Plan(
                plan_id=f"{SCHEDULED.stem_of(size)}-{timeout_s:g}s",
                label=f"{SCHEDULED.head_of(size)}, {timeout_s:g} s",
                detail=f"{spell.count(size, 'replica')} {office}, started on demand outside and "
                f"kept {spell.seconds(timeout_s)}",
                family=SCHEDULED,
                policy=_under(deployed, policy),
                start=start,
                speed=speed,
                offer_id=deployed.supply.offer_id,
                weights_gib=deployed.start_inputs.weights_gib,
                weights_stay=deployed.start_inputs.weights_stay(tables),
                retry_s=_retry_s(behaviour),
            )


def most_dedicated(deployed: Deployed, trace: Trace, tables: Tables) -> int:
    """Return the most always-on replicas worth trying: beyond them nothing is left to speed up."""
    speed = deployed.speed
    most = max(
        deployed.busiest_replicas * int(tables.setting("replica_headroom")),
        replicas_for_bursts(trace, speed, tables) + 1,
        deployed.scenario.max_replicas or 0,
    )
    return min(most, replica_limit(deployed.supply.behaviour, speed, tables))


def _few_sizes(deployed: Deployed, tables: Tables) -> tuple[int, ...]:
    """Return a few numbers of replicas, from one to those that the busiest minute fills."""
    most = min(deployed.busiest_replicas, deployed.max_replicas)
    few = np.linspace(1, most, min(most, int(tables.setting("grid_pool_sizes"))))
    return tuple(sorted({round(size) for size in few}))


def _none_and_most(
    deployed: Deployed, tables: Tables
) -> tuple[tuple[tuple[Mitigation, ...], Mitigated], ...]:
    """Return the empty set of mitigations and the one with the shortest start, as applied.

    Replicas that are always up leave few starts to shorten: the sets between would crowd the list.
    """
    applied = {
        chosen: mitigated_at(deployed, chosen, tables) for chosen in deployed.mitigation_sets
    }
    quickest = min(applied, key=lambda chosen: applied[chosen].start.typical_s)
    return tuple((chosen, applied[chosen]) for chosen in dict.fromkeys(((), quickest)))


def _few_timeouts_s(behaviour: Behaviour, tables: Tables) -> tuple[float, ...]:
    """Return a few of the idle timeouts, shortest and longest among them [s]."""
    timeouts_s = idle_timeouts_s(behaviour, tables)
    few = np.linspace(0, len(timeouts_s) - 1, int(tables.setting("grid_pool_timeouts")))
    return tuple(sorted({timeouts_s[round(index)] for index in few}))


def _under(deployed: Deployed, policy: ScalingPolicy, **more: Any) -> ScalingPolicy:
    """Return a policy with what the product decides and the buyer cannot set."""
    behaviour, scaler = deployed.supply.behaviour, scaler_of(deployed.autoscaler)
    # Where a scaler says how many leave, it says so for half of them as well.
    counts = scaler is None or scaler.idle_timeout_leads
    return dataclasses.replace(
        policy,
        scale_down=behaviour.scale_down_rule if counts else "all",
        refuses_cold=behaviour.cold_request == "reject",
        scaler=scaler,
        **more,
    )


def _retry_s(behaviour: Behaviour) -> float | None:
    return behaviour.retry_s if behaviour.cold_request == "retry" else None


def target_at(deployed: Deployed) -> float:
    """Return the requests a replica is meant to hold there: what was asked for, else its own."""
    asked, speed = deployed.scenario.target_concurrency, deployed.speed
    return float(min(asked, speed.max_sequences) if asked is not None else speed.target_concurrency)


def _target_as_shipped(deployed: Deployed) -> float:
    """Return the platform's own target, unless the user gave one or it has none."""
    own = target_of(deployed.autoscaler, deployed.speed.max_sequences)
    asked = deployed.scenario.target_concurrency is not None
    return target_at(deployed) if asked or own is None else own


def mitigated_at(
    deployed: Deployed, mitigations: tuple[Mitigation, ...], tables: Tables
) -> Mitigated:
    """Return start and speed there with these mitigations, to be used for any policy."""
    start, inputs, choice = deployed.start, deployed.start_inputs, deployed.supply.nodes
    policy = ScalingPolicy()
    found = apply_mitigations(start, policy, deployed.speed, mitigations, inputs, tables)
    if choice is None:
        return found
    on_node = (nodes.node_up(choice, tables), *mitigations)
    pod = apply_mitigations(start, policy, None, on_node, inputs, tables).start
    return dataclasses.replace(found, start=dataclasses.replace(found.start, on_node=pod))


def autoscaled_plan(
    deployed: Deployed,
    family: Family,
    policy: ScalingPolicy,
    chosen: tuple[Mitigation, ...],
    mitigated: Mitigated,
    *,
    is_default: bool = False,
) -> Plan:
    """Return a plan of one offer under what the product decides and the buyer cannot set.

    Parameters
    ----------
    policy : ScalingPolicy
        What the buyer sets: replicas kept, timeout, target, buffer, schedule.
    chosen, mitigated
        The mitigations, and `mitigated_at` of them.
    """
    policy = _under(deployed, policy, nodes=deployed.nodes)
    names = [item.label for item in chosen]
    keep = f"{policy.idle_timeout_s:g} s"
    capped = ""
    if policy.max_replicas < deployed.max_replicas:
        capped = f", at most {spell.count(policy.max_replicas, 'replica')}"
    target = policy.target_concurrency or 0.0
    aimed = target != target_at(deployed)
    aim = f", target {target:g}" if aimed else ""
    short = "".join(f" + {spell.lower_first(name)}" for name in names)
    return Plan(
        plan_id="-".join(
            (
                family.stem_of(policy.min_replicas),
                f"{policy.idle_timeout_s:g}s",
                *((f"max{policy.max_replicas}",) if capped else ()),
                *((f"target{target:g}",) if aimed else ()),
                *(item.key for item in mitigated.applied),
            )
        ),
        label=f"{family.head_of(policy.min_replicas)}, {keep}{capped}{aim}{short}",
        detail=f"keep-alive {spell.seconds(policy.idle_timeout_s)}{capped}"
        + (f", {target:g} requests to a replica" if aimed else "")
        + ("" if policy.scaler is None else f", scaled by {deployed.autoscaler.label}")
        + "".join(f", {spell.lower_first(name)}" for name in names),
        family=family,
        policy=mitigated.policy_from(policy),
        start=mitigated.start,
        speed=mitigated.speed or deployed.speed,
        offer_id=deployed.supply.offer_id,
        mitigations=tuple(item.key for item in mitigated.applied),
        standing=mitigated.standing,
        weights_gib=mitigated.inputs.weights_gib,
        weights_stay=mitigated.weights_stay,
        interruptions_per_h=deployed.interruptions_per_h,
        interruption_seed=deployed.interruption_seed,
        retry_s=_retry_s(deployed.supply.behaviour),
        is_provider_default=is_default,
    )


def _rounded(value: float) -> float:
    """Return a number with two significant digits: a timeout that a person would set."""
    return round(value, 1 - math.floor(math.log10(value)))
