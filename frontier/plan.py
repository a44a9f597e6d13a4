"""A plan is an offer with a policy and mitigations: one point on the frontier.

A `Scenario` is what a person chose; `deploy` turns it, with the traffic, into a `Deployment`
(speeds, starts, rules); `default_grid` lists the plans worth comparing, family by family. No
price is looked at here beyond the name of its offer: plans are simulated once and can be billed
at any price.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from frontier import units
from frontier.coldstart import ColdStart, StartInputs, start_inputs_for
from frontier.errors import InfeasibleError, InputError
from frontier.mitigations import Mitigation, Standing, apply_mitigations, mitigation
from frontier.policy import ScalingPolicy
from frontier.serving import ServingSpeed, serving_speed
from frontier.tables import Model, Offer, ProviderRules, Tables, look_up
from frontier.trace import Trace

SCALE_TO_ZERO, WARM_POOL, HYBRID, DEDICATED, BOUND = (
    "scale-to-zero",
    "warm pool",
    "hybrid",
    "dedicated",
    "bound",
)
_PEAK_WINDOW_S = units.SECONDS_PER_MINUTE
_DEFAULT_MITIGATIONS = ("image-cache", "weight-streamer", "gpu-snapshot")


@dataclass(frozen=True, slots=True)
class Scenario:
    """What a person chose; hashable, so that results can be kept under it.

    Attributes
    ----------
    model, precision : str
        A row of data/models.csv, and the precision of its weights.
    serverless_offer, dedicated_offer : str
        Rows of data/offers.csv.
    slo_p99_ttft_s : float
        The limit on p99 TTFT [s].
    mitigations : tuple of str
        Keys of the mitigations of a start that the grid may use, alone and together.
    max_replicas : int or None
        Most replicas of an autoscaled plan; None: twice what the busiest minute fills.
    target_concurrency : int or None
        Requests a replica is meant to hold; None: the default of the GPU's size.
    """

    model: str
    precision: str
    serverless_offer: str
    dedicated_offer: str
    slo_p99_ttft_s: float
    mitigations: tuple[str, ...] = _DEFAULT_MITIGATIONS
    max_replicas: int | None = None
    target_concurrency: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Deployment:
    """A scenario on its traffic: how fast replicas serve and start, and by whose rules.

    Attributes
    ----------
    speed, dedicated_speed : ServingSpeed
        One replica at the serverless and at the dedicated offer.
    start_inputs : StartInputs
        A start on the serverless platform, before any mitigation.
    busiest_replicas : int
        Replicas that the busiest minute keeps busy.
    max_replicas : int
        Most replicas of an autoscaled plan.
    mitigation_sets : tuple of tuple of Mitigation
        The sets of the scenario's mitigations that can be used here; the empty one is first.
    assumed : tuple of str
        Sentences for the screen: what was assumed, and which mitigation cannot be used and why.
    """

    scenario: Scenario
    model: Model
    serverless: Offer
    rules: ProviderRules
    dedicated: Offer
    speed: ServingSpeed
    dedicated_speed: ServingSpeed
    start_inputs: StartInputs
    start: ColdStart
    busiest_replicas: int
    max_replicas: int
    mitigation_sets: tuple[tuple[Mitigation, ...], ...]
    assumed: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """One point: an offer, a policy and mitigations.

    Attributes
    ----------
    plan_id : str
        Short and stable, for links.
    label, detail : str
        Words for a list, and beneath it.
    offer_id : str
        The offer whose price and rules bill it; ``base_offer_id`` bills pinned replicas.
    retry_s : float or None
        A cold request is refused and retried by the client so often [s]; None: it waits.
    is_provider_default : bool
        Scale-to-zero as the provider ships it.
    """

    plan_id: str
    label: str
    detail: str
    family: str
    policy: ScalingPolicy
    start: ColdStart
    speed: ServingSpeed
    offer_id: str
    base_offer_id: str | None = None
    mitigations: tuple[str, ...] = ()
    standing: Standing = field(default_factory=Standing)
    retry_s: float | None = None
    is_provider_default: bool = False
    assumed: tuple[str, ...] = field(default=())


def deploy(scenario: Scenario, trace: Trace, tables: Tables) -> Deployment:
    """Work out speeds, starts and limits of a scenario on its traffic.

    Raises
    ------
    InputError
        If a name is unknown or an offer is of the wrong kind.
    InfeasibleError
        If the model does not fit; the message names the GPUs it needs.
    """
    model = look_up(tables.models, scenario.model, "model")
    serverless = _offer(scenario.serverless_offer, tables, serverless=True)
    dedicated = _offer(scenario.dedicated_offer, tables, serverless=False)
    rules = tables.provider_rules[serverless.rules_id]
    context_tokens = min(
        float(np.mean(trace.prompt_tokens) + np.mean(trace.output_tokens) / 2),
        float(model.max_context_tokens),
    )
    speed = _fit(serverless, model, scenario.precision, context_tokens, tables)
    dedicated_speed = _fit(dedicated, model, scenario.precision, context_tokens, tables)
    inputs = start_inputs_for(
        rules.platform_id,
        model.model,
        serverless.gpu,
        speed.precision,
        gpus=speed.gpus_per_replica,
        tables=tables,
    )
    start = inputs.predict(tables)
    busiest = replicas_to_serve(trace, speed)
    sets, refused = _mitigation_sets(scenario.mitigations, start, inputs, tables)
    if not _same_replica(speed, dedicated_speed):
        refused = (
            *refused,
            f"No hybrid plans: {serverless.gpu} and {dedicated.gpu} do not run the same replica.",
        )
    too_long = int(np.count_nonzero(trace.prompt_tokens > model.max_context_tokens))
    assumed = [*start.assumed, *refused]
    if too_long:
        assumed.append(
            f"{units.count(too_long, 'request')} exceed the {model.max_context_tokens:,}-token "
            f"context of {model.model}; they are served as they are."
        )
    return Deployment(
        scenario=scenario,
        model=model,
        serverless=serverless,
        rules=rules,
        dedicated=dedicated,
        speed=speed,
        dedicated_speed=dedicated_speed,
        start_inputs=inputs,
        start=start,
        busiest_replicas=busiest,
        max_replicas=_most_replicas(scenario, speed, rules, busiest, tables),
        mitigation_sets=sets,
        assumed=tuple(assumed),
    )


def replicas_to_serve(trace: Trace, speed: ServingSpeed) -> int:
    """Return the replicas that the trace's busiest minute keeps busy at the target concurrency.

    A replica that holds ``c`` requests finishes one in ``prefill + output × step(c) / c``
    seconds, so the rate of the busiest minute times that is the number of busy replicas.
    """
    ends = np.searchsorted(trace.arrival_s, trace.arrival_s + _PEAK_WINDOW_S, side="right")
    peak_rps = float((ends - np.arange(ends.size)).max()) / min(
        _PEAK_WINDOW_S, max(trace.horizon_s, 1.0)
    )
    held = speed.target_concurrency
    prefill_s = float(np.mean(speed.prefill_s(trace.prompt_tokens))) - speed.overhead_s
    decode_s = float(np.mean(trace.output_tokens)) * float(speed.decode_step_s[held - 1]) / held
    return max(1, math.ceil(peak_rps * (prefill_s + decode_s)))


def default_grid(deployment: Deployment, trace: Trace, tables: Tables) -> tuple[Plan, ...]:
    """Return the plans to compare: scale-to-zero, warm pools, hybrids and dedicated replicas."""
    # The simpler family first: where two plans come out equal, the first one is named.
    return (
        *scale_to_zero_plans(deployment, tables),
        *dedicated_plans(deployment, trace, tables),
        *warm_pool_plans(deployment, tables),
        *hybrid_plans(deployment, tables),
    )


def first_look(grid: Iterable[Plan]) -> tuple[Plan, ...]:
    """Return the few plans of a grid that already give the answer's outline."""
    return tuple(
        plan
        for plan in grid
        if plan.is_provider_default or (plan.family == DEDICATED and plan.policy.max_replicas <= 2)
    )


def idle_timeouts_s(rules: ProviderRules, tables: Tables) -> tuple[float, ...]:
    """Return the idle timeouts to try: the provider's range, evenly on a log scale [s]."""
    setting = tables.setting
    low = rules.idle_min_s if rules.idle_min_s is not None else setting("grid_idle_timeout_min_s")
    high = rules.idle_max_s if rules.idle_max_s is not None else setting("grid_idle_timeout_max_s")
    high = min(high, setting("grid_idle_timeout_max_s"))
    tried = {float(low), float(high)}
    floor = max(low, setting("grid_idle_timeout_min_s"))
    if high > floor > 0:
        steps = np.geomspace(floor, high, int(setting("grid_idle_timeouts")))
        tried |= {min(high, max(low, _rounded(step))) for step in steps}
    if rules.idle_default_s is not None:
        tried.add(float(rules.idle_default_s))
    return tuple(sorted(tried))


def scale_to_zero_plans(deployment: Deployment, tables: Tables) -> Iterator[Plan]:
    """Yield scale-to-zero at each idle timeout with each set of mitigations that goes together."""
    for chosen in deployment.mitigation_sets:
        for timeout_s in idle_timeouts_s(deployment.rules, tables):
            policy = ScalingPolicy(
                max_replicas=deployment.max_replicas,
                idle_timeout_s=timeout_s,
                target_concurrency=_target(deployment),
            )
            yield _autoscaled(
                deployment,
                SCALE_TO_ZERO,
                policy,
                chosen,
                tables,
                is_default=not chosen and timeout_s == deployment.rules.idle_default_s,
            )


def warm_pool_plans(deployment: Deployment, tables: Tables) -> Iterator[Plan]:
    """Yield warm pools of a few sizes, each at a few idle timeouts for what comes on top."""
    for size in _few_sizes(deployment, tables):
        tried = _few_timeouts_s(deployment, tables)
        if size == deployment.max_replicas:
            tried = tried[-1:]  # nothing can come on top, so the timeout means nothing
        for chosen in _none_and_most(deployment, tables):
            for timeout_s in tried:
                policy = ScalingPolicy(
                    min_replicas=size,
                    max_replicas=deployment.max_replicas,
                    idle_timeout_s=timeout_s,
                    target_concurrency=_target(deployment),
                )
                yield _autoscaled(deployment, WARM_POOL, policy, chosen, tables)


def hybrid_plans(deployment: Deployment, tables: Tables) -> Iterator[Plan]:
    """Yield a dedicated base with serverless overflow, where both run the same replica.

    The base is pinned: never released, and billed at the dedicated offer. Where the two offers
    have different GPUs there is no such plan; `Deployment.assumed` says so.
    """
    if not _same_replica(deployment.speed, deployment.dedicated_speed):
        return
    base_offer = deployment.dedicated.offer_id
    for size in _few_sizes(deployment, tables):
        if size == deployment.max_replicas:
            continue  # nothing can flow over: that is a dedicated plan
        for timeout_s in _few_timeouts_s(deployment, tables):
            policy = ScalingPolicy(
                min_replicas=size,
                pinned_replicas=size,
                max_replicas=deployment.max_replicas,
                idle_timeout_s=timeout_s,
                target_concurrency=_target(deployment),
            )
            for chosen in _none_and_most(deployment, tables):
                yield dataclasses.replace(
                    _autoscaled(deployment, HYBRID, policy, chosen, tables),
                    base_offer_id=base_offer,
                )


def dedicated_plans(deployment: Deployment, trace: Trace, tables: Tables) -> Iterator[Plan]:
    """Yield always-on replicas, from one to a few more than the busiest minute fills."""
    speed = deployment.dedicated_speed
    most = replicas_to_serve(trace, speed) * int(tables.setting("replica_headroom"))
    most = min(
        max(most, deployment.scenario.max_replicas or 0), int(tables.setting("most_replicas"))
    )
    for count in range(1, most + 1):
        policy = ScalingPolicy(
            min_replicas=count,
            max_replicas=count,
            idle_timeout_s=math.inf,
            routing="spread",
        )
        yield Plan(
            plan_id=f"dedicated-{count}",
            label=f"Dedicated × {count}",
            detail=f"{units.count(count, 'replica')} always on",
            family=DEDICATED,
            policy=policy,
            start=deployment.start,
            speed=speed,
            offer_id=deployment.dedicated.offer_id,
        )


def _few_sizes(deployment: Deployment, tables: Tables) -> tuple[int, ...]:
    """Return a few numbers of replicas, from one to those that the busiest minute fills."""
    most = min(deployment.busiest_replicas, deployment.max_replicas)
    few = np.linspace(1, most, min(most, int(tables.setting("grid_pool_sizes"))))
    return tuple(sorted({round(size) for size in few}))


def _none_and_most(deployment: Deployment, tables: Tables) -> tuple[tuple[Mitigation, ...], ...]:
    """Return the empty set of mitigations and the one with the shortest start.

    Replicas that are always up leave few starts to shorten: the sets between would crowd the list.
    """
    quickest = min(
        deployment.mitigation_sets,
        key=lambda chosen: (
            apply_mitigations(
                deployment.start, ScalingPolicy(), None, chosen, deployment.start_inputs, tables
            ).start.typical_s
        ),
    )
    return ((), quickest) if quickest else ((),)


def _few_timeouts_s(deployment: Deployment, tables: Tables) -> tuple[float, ...]:
    """Return a few of the idle timeouts, shortest and longest among them [s]."""
    timeouts_s = idle_timeouts_s(deployment.rules, tables)
    few = np.linspace(0, len(timeouts_s) - 1, int(tables.setting("grid_pool_timeouts")))
    return tuple(sorted({timeouts_s[round(index)] for index in few}))


def _same_replica(one: ServingSpeed, other: ServingSpeed) -> bool:
    return one.gpu == other.gpu and one.gpus_per_replica == other.gpus_per_replica


def _offer(offer_id: str, tables: Tables, *, serverless: bool) -> Offer:
    offer = look_up(tables.offers, offer_id, "offer")
    if (offer.kind == "serverless") != serverless:
        wanted = "a serverless" if serverless else "a dedicated"
        raise InputError(f"Expected {wanted} offer, found {offer_id}, which is {offer.kind}.")
    return offer


def _fit(
    offer: Offer, model: Model, precision: str, context_tokens: float, tables: Tables
) -> ServingSpeed:
    speed = serving_speed(model, precision, offer.gpu, context_tokens=context_tokens, tables=tables)
    if (
        offer.gpus_max is not None
        and speed.gpus_per_replica > offer.gpus_max
        and (offer.kind == "serverless")
    ):
        raise InfeasibleError(
            f"{model.model} in {precision} needs {speed.gpus_per_replica} × {offer.gpu}, but "
            f"{offer.offer_id} gives a replica at most {offer.gpus_max}. Choose a larger GPU."
        )
    return speed


def _most_replicas(
    scenario: Scenario, speed: ServingSpeed, rules: ProviderRules, busiest: int, tables: Tables
) -> int:
    limit = int(tables.setting("most_replicas"))
    if rules.max_gpus_hard is not None:
        limit = min(limit, max(1, int(rules.max_gpus_hard) // speed.gpus_per_replica))
    if scenario.max_replicas is not None:
        return min(scenario.max_replicas, limit)
    return max(1, min(busiest * int(tables.setting("replica_headroom")), limit))


def _target(deployment: Deployment) -> float:
    asked = deployment.scenario.target_concurrency
    return float(
        min(asked, deployment.speed.max_sequences)
        if asked is not None
        else deployment.speed.target_concurrency
    )


def _mitigation_sets(
    keys: tuple[str, ...], start: ColdStart, inputs: StartInputs, tables: Tables
) -> tuple[tuple[tuple[Mitigation, ...], ...], tuple[str, ...]]:
    """Return every usable set of the chosen mitigations, and why single ones are not usable.

    A set in which one excludes another is left out without a word: the others stand for it.
    """
    usable, refused = [], []
    for size in range(len(keys) + 1):
        for together in itertools.combinations([mitigation(key, tables) for key in keys], size):
            try:
                apply_mitigations(start, ScalingPolicy(), None, together, inputs, tables)
            except InputError as error:
                if size == 1:
                    refused.append(f"{together[0].label} is left out: {error}")
            else:
                usable.append(together)
    return tuple(usable), tuple(refused)


def _autoscaled(
    deployment: Deployment,
    family: str,
    policy: ScalingPolicy,
    mitigations: tuple[Mitigation, ...],
    tables: Tables,
    *,
    is_default: bool = False,
) -> Plan:
    applied = apply_mitigations(
        deployment.start, policy, deployment.speed, mitigations, deployment.start_inputs, tables
    )
    names = [item.label for item in mitigations]
    keep = f"{policy.idle_timeout_s:g} s"
    pool = f" of {policy.min_replicas}" if policy.min_replicas else ""
    head = {
        SCALE_TO_ZERO: "Scale-to-zero",
        WARM_POOL: f"Warm pool{pool}",
        HYBRID: f"{policy.pinned_replicas} dedicated + overflow",
    }[family]
    short = "".join(f" + {name.lower()}" for name in names)
    return Plan(
        plan_id="-".join(
            (
                {
                    SCALE_TO_ZERO: "zero",
                    WARM_POOL: f"pool{policy.min_replicas}",
                    HYBRID: f"hybrid{policy.pinned_replicas}",
                }[family],
                f"{policy.idle_timeout_s:g}s",
                *applied.applied,
            )
        ),
        label=f"{head}, {keep}{short}",
        detail=f"keep-alive {units.seconds(policy.idle_timeout_s)}"
        + "".join(f", {name.lower()}" for name in names),
        family=family,
        policy=applied.policy,
        start=applied.start,
        speed=applied.speed or deployment.speed,
        offer_id=deployment.serverless.offer_id,
        mitigations=applied.applied,
        standing=applied.standing,
        retry_s=deployment.rules.retry_s if deployment.rules.cold_request == "retry" else None,
        is_provider_default=is_default,
    )


def _rounded(value: float) -> float:
    """Return a number with two significant digits: a timeout that a person would set."""
    return round(value, 1 - math.floor(math.log10(value)))
