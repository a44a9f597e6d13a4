"""A plan is an offer with a policy and mitigations: one point on the frontier.

A `Scenario` is what a person chose; `deploy` turns it, with the traffic, into a `Deployment`
(speeds, starts, behaviour); `default_grid` lists the plans worth comparing, family by family. An
offer is here a `Supply`: its name, its GPUs and how it behaves. Prices and billing rules are looked
up by that name when a plan is billed, so that it is simulated once and can be billed at any price.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from frontier import units
from frontier.errors import InfeasibleError, InputError
from frontier.families import (
    DEDICATED,
    FAMILIES,
    HYBRID,
    SCALE_TO_ZERO,
    SCHEDULED,
    WARM_POOL,
    Family,
)
from frontier.mitigations.base import Mitigation, Standing, apply_mitigations, missing_for
from frontier.mitigations.registry import MITIGATIONS, mitigation
from frontier.mitigations.replicas import KeepAlive
from frontier.policy import ScalingPolicy
from frontier.schedules import PREWARM_KINDS, prewarm_schedule, weekly_schedule
from frontier.serving import ServingSpeed, serving_speed
from frontier.start.predict import StartInputs, platform_of, start_inputs_for
from frontier.start.stages import ColdStart
from frontier.startlog import OwnStart
from frontier.tables import Behaviour, Model, Platform, Tables, look_up
from frontier.trace import Trace

_PEAK_WINDOW_S = units.SECONDS_PER_MINUTE
_MACHINE_WORDS = {"dedicated": "Dedicated", "reserved": "Reserved", "spot": "Spot"}
DEFAULT_MITIGATIONS = ("image-cache", "weight-streamer", "gpu-snapshot")


@dataclass(frozen=True, slots=True)
class OfficeHours:
    """Hours of the day (UTC), on so many days of the week from Monday.

    Raises
    ------
    InputError
        If the hours do not follow each other within a day.
    """

    from_h: float
    to_h: float
    days: int

    def __post_init__(self) -> None:
        if not 0 <= self.from_h < self.to_h <= units.SECONDS_PER_DAY / units.SECONDS_PER_HOUR:
            raise InputError(
                f"Office hours must end after they begin: from {self.from_h:g} to {self.to_h:g} h."
            )

    @property
    def windows(self) -> tuple[tuple[float, float], ...]:
        """From and to, in seconds since the start of the week, a pair a day [s]."""
        day_s, hour_s = units.SECONDS_PER_DAY, units.SECONDS_PER_HOUR
        return tuple(
            (day * day_s + self.from_h * hour_s, day * day_s + self.to_h * hour_s)
            for day in range(self.days)
        )

    @property
    def days_in_words(self) -> str:
        """The days, as "Monday to Friday"."""
        names = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
        if self.days in (1, len(names)):
            return "Monday" if self.days == 1 else "every day"
        return f"Monday to {names[self.days - 1]}"

    def __str__(self) -> str:
        """Return the hours in words."""
        return f"{self.days_in_words} {self.from_h:g} to {self.to_h:g} h UTC"


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
    start_changes : tuple of (name, value)
        Fields of `StartInputs` in place of the platform's defaults.
    own_start : OwnStart or None
        Starts that the user measured, in place of the model's.
    office : OfficeHours or None
        When the machines of a scheduled plan run; None: the hours of data/settings.csv.
    kv_precision : {"bf16", "fp8"}
        Precision of the key-value cache.
    """

    model: str
    precision: str
    serverless_offer: str
    dedicated_offer: str
    slo_p99_ttft_s: float
    mitigations: tuple[str, ...] = DEFAULT_MITIGATIONS
    max_replicas: int | None = None
    target_concurrency: int | None = None
    start_changes: tuple[tuple[str, str | float], ...] = ()
    own_start: OwnStart | None = None
    office: OfficeHours | None = None
    kv_precision: str = "bf16"


@dataclass(frozen=True, slots=True)
class Supply:
    """An offer as a simulation sees it: its GPUs, and how it behaves; no price.

    Attributes
    ----------
    offer_id : str
        By which its price and its billing rules are looked up.
    gpus_max : int
        GPUs of its largest machine.
    """

    offer_id: str
    kind: str
    gpu: str
    gpus_max: int
    behaviour: Behaviour


def supply_of(offer_id: str, tables: Tables) -> Supply:
    """Return what a simulation needs to know of an offer.

    Raises
    ------
    InputError
        If there is no such offer.
    """
    offer = look_up(tables.offers, offer_id, "offer")
    return Supply(offer.offer_id, offer.kind, offer.gpu, offer.gpus_max, tables.behaviour_of(offer))


@dataclass(frozen=True, slots=True, eq=False)
class Deployment:
    """A scenario on its traffic: how fast replicas serve and start, and how offers behave.

    Attributes
    ----------
    serverless, dedicated : Supply
        The two offers, without their prices.
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
    serverless: Supply
    dedicated: Supply
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
        Scale-to-zero as the provider ships it: its idle timeout, its most replicas.
    is_committed : bool
        Its machines by the hour are bought under the buyer's commitment.
    """

    plan_id: str
    label: str
    detail: str
    family: Family
    policy: ScalingPolicy
    start: ColdStart
    speed: ServingSpeed
    offer_id: str
    base_offer_id: str | None = None
    mitigations: tuple[str, ...] = ()
    standing: Standing = field(default_factory=Standing)
    retry_s: float | None = None
    is_provider_default: bool = False
    is_committed: bool = False
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
    model = tables.model(scenario.model)
    serverless = _supply(scenario.serverless_offer, tables, serverless=True)
    dedicated = _supply(scenario.dedicated_offer, tables, serverless=False)
    context_tokens = min(
        float(np.mean(trace.prompt_tokens) + np.mean(trace.output_tokens) / 2),
        float(model.max_context_tokens),
    )
    speed = _fit(serverless, model, scenario, context_tokens, tables)
    dedicated_speed = _fit(dedicated, model, scenario, context_tokens, tables)
    inputs, start = _start(scenario, serverless, speed, tables)
    busiest = replicas_to_serve(trace, speed)
    platform = platform_of(serverless.behaviour.platform_id, tables)
    sets, refused = _mitigation_sets(scenario.mitigations, start, inputs, platform, tables)
    if not _same_replica(speed, dedicated_speed):
        refused = (
            *refused,
            f"No hybrid plans: {serverless.gpu} and {dedicated.gpu} do not run the same replica.",
        )
    if dedicated.kind == "spot":
        refused = (*refused, "No hybrid plans: their base must stay, and a spot machine may not.")
    wanted = scenario.max_replicas or busiest * int(tables.setting("replica_headroom"))
    most = min(wanted, _limit(serverless.behaviour, speed, tables))
    if most < min(wanted, int(tables.setting("most_replicas"))):
        refused = (
            *refused,
            f"{serverless.behaviour.provider} runs at most {units.count(most, 'replica')} here "
            "unless you ask it for more: no autoscaled plan has more.",
        )
    too_long = int(np.count_nonzero(trace.prompt_tokens > model.max_context_tokens))
    assumed = [*start.assumed, *refused]
    if trace.t0_utc is None:
        assumed.append(
            "The trace has no date: for office hours it is taken to begin on a Monday at 0 h."
        )
    if too_long:
        assumed.append(
            f"{units.count(too_long, 'request')} exceed the {model.max_context_tokens:,}-token "
            f"context of {model.model}; they are served as they are."
        )
    return Deployment(
        scenario=scenario,
        model=model,
        serverless=serverless,
        dedicated=dedicated,
        speed=speed,
        dedicated_speed=dedicated_speed,
        start_inputs=inputs,
        start=start,
        busiest_replicas=busiest,
        max_replicas=most,
        mitigation_sets=sets,
        assumed=tuple(assumed),
    )


def replica_rps(trace: Trace, speed: ServingSpeed) -> float:
    """Return the requests of this trace that one replica at its target concurrency finishes [1/s].

    A replica that holds ``c`` requests finishes one in ``prefill + output × step(c) / c``
    seconds, with the trace's mean prompt and output.
    """
    held = speed.target_concurrency
    prefill_s = float(np.mean(speed.prefill_s(trace.prompt_tokens))) - speed.overhead_s
    decode_s = float(np.mean(trace.output_tokens)) * float(speed.decode_step_s[held - 1]) / held
    return 1 / (prefill_s + decode_s)


def replicas_to_serve(trace: Trace, speed: ServingSpeed) -> int:
    """Return the replicas that the trace's busiest minute keeps busy at the target concurrency."""
    ends = np.searchsorted(trace.arrival_s, trace.arrival_s + _PEAK_WINDOW_S, side="right")
    peak_rps = float((ends - np.arange(ends.size)).max()) / min(
        _PEAK_WINDOW_S, max(trace.horizon_s, 1.0)
    )
    return max(1, math.ceil(peak_rps / replica_rps(trace, speed)))


def replicas_for_bursts(trace: Trace, speed: ServingSpeed, tables: Tables) -> int:
    """Return the replicas that read the prompts of the densest moments as fast as they come.

    The most prompt seconds that arrive within any window of ``burst_window_s``, over that window:
    more always-on replicas than this have nothing left to speed up but rare coincidences.
    """
    window_s = tables.setting("burst_window_s")
    prefill_s = speed.prefill_s(trace.prompt_tokens) - speed.overhead_s
    work_s = np.concatenate([[0.0], np.cumsum(prefill_s)])
    ends = np.searchsorted(trace.arrival_s, trace.arrival_s + window_s, side="right")
    return max(1, math.ceil(float((work_s[ends] - work_s[:-1]).max()) / window_s))


def default_grid(deployment: Deployment, trace: Trace, tables: Tables) -> tuple[Plan, ...]:
    """Return the plans to compare, family by family."""
    # The simpler family first: where two plans come out equal, the first one is named.
    return (
        *scale_to_zero_plans(deployment, tables),
        *dedicated_plans(deployment, trace, tables),
        *warm_pool_plans(deployment, tables),
        *hybrid_plans(deployment, tables),
        *scheduled_plans(deployment, trace, tables),
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


def scale_to_zero_plans(deployment: Deployment, tables: Tables) -> Iterator[Plan]:
    """Yield scale-to-zero at each idle timeout with each set of mitigations that goes together.

    The provider's default comes first at its timeout. Where it stops at fewer replicas than this
    traffic may need, the same with as many as needed is a plan of its own.
    """
    behaviour = deployment.serverless.behaviour
    shipped = _most_as_shipped(deployment)
    for chosen in deployment.mitigation_sets:
        for timeout_s in idle_timeouts_s(behaviour, tables):
            is_default = not chosen and timeout_s == behaviour.idle_default_s
            sizes = (shipped, deployment.max_replicas) if is_default else (deployment.max_replicas,)
            for most in dict.fromkeys(sizes):
                policy = ScalingPolicy(
                    max_replicas=most,
                    idle_timeout_s=timeout_s,
                    target_concurrency=_target(deployment),
                )
                yield _autoscaled(
                    deployment,
                    SCALE_TO_ZERO,
                    policy,
                    chosen,
                    tables,
                    is_default=is_default and most == shipped,
                )


def _most_as_shipped(deployment: Deployment) -> int:
    """Return the most replicas of the provider's default, unless the user said how many."""
    default = deployment.serverless.behaviour.max_replicas_default
    if default is None or deployment.scenario.max_replicas is not None:
        return deployment.max_replicas
    return min(default, deployment.max_replicas)


def default_idle_timeout_s(behaviour: Behaviour, tables: Tables) -> float:
    """Return the provider's own idle timeout, or the shortest one tried if it states none [s]."""
    if behaviour.idle_default_s is not None:
        return float(behaviour.idle_default_s)
    return idle_timeouts_s(behaviour, tables)[0]


def mitigated_plan(
    deployment: Deployment, mitigations: tuple[Mitigation, ...], tables: Tables
) -> Plan:
    """Return scale-to-zero at the provider's idle timeout with these mitigations.

    It has as many replicas as the traffic may need, also where the provider's default has fewer.

    Raises
    ------
    InputError
        If they cannot be combined, or one cannot be used; the message says why.
    """
    policy = ScalingPolicy(
        max_replicas=deployment.max_replicas,
        idle_timeout_s=default_idle_timeout_s(deployment.serverless.behaviour, tables),
        target_concurrency=_target(deployment),
    )
    return _autoscaled(deployment, SCALE_TO_ZERO, policy, mitigations, tables)


@dataclass(frozen=True, slots=True)
class Menu:
    """What can be done against the cold starts of one deployment.

    Attributes
    ----------
    usable : dict of str to Mitigation
        By option: the key, followed by the kind where there are several.
    refused : dict of str to str
        Why the others cannot be used, or would change nothing, by option.
    """

    usable: dict[str, Mitigation]
    refused: dict[str, str]


def mitigation_menu(
    deployment: Deployment,
    trace: Trace,
    tables: Tables,
    *,
    asleep_held_fraction: float,
    warm_windows: Iterable[tuple[float, float]],
) -> Menu:
    """Try every mitigation alone on a deployment.

    Parameters
    ----------
    asleep_held_fraction : float
        Share of a replica that is paid while it sleeps [1].
    warm_windows : iterable of (from_s, to_s)
        When scheduled pre-warming keeps a replica, since the start of the week [s].
    """
    lead_s, behaviour = deployment.start.typical_s, deployment.serverless.behaviour
    predicted = {
        f"predicted-prewarm:{kind}": prewarm_schedule(
            kind,
            trace.arrival_s,
            trace.horizon_s,
            lead_s=lead_s,
            replica_rps=replica_rps(trace, deployment.speed),
            tables=tables,
        )
        for kind in PREWARM_KINDS
    }
    numbers: dict[str, dict[str, object]] = {
        "sleep-1": {"held_fraction": asleep_held_fraction},
        "sleep-2": {"held_fraction": asleep_held_fraction},
        "scheduled-prewarm": {
            "schedule": weekly_schedule(
                warm_windows,
                trace.horizon_s,
                lead_s=lead_s,
                week_offset_s=week_offset_s(trace),
                tables=tables,
            )
        },
        **{
            option: {"kind": option.partition(":")[2], "schedule": schedule}
            for option, schedule in predicted.items()
        },
    }
    keys = [cls.key for cls in MITIGATIONS if cls.key != "predicted-prewarm"]
    bare = mitigated_plan(deployment, (), tables)
    usable: dict[str, Mitigation] = {}
    refused: dict[str, str] = {}
    for option in (*keys, *predicted):
        item = mitigation(option.partition(":")[0], tables, **numbers.get(option, {}))
        most_s = behaviour.idle_max_s
        if isinstance(item, KeepAlive) and most_s is not None and item.idle_timeout_s > most_s:
            refused[option] = (
                f"{behaviour.provider} keeps an idle replica at most {units.seconds(most_s)}"
            )
            continue
        try:
            plan = mitigated_plan(deployment, (item,), tables)
        except InputError as error:
            refused[option] = str(error)
            continue
        if (plan.start, plan.policy) == (bare.start, bare.policy) and plan.speed is bare.speed:
            refused[option] = _why_nothing(item)
        else:
            usable[option] = item
    return Menu(usable, refused)


def _why_nothing(item: Mitigation) -> str:
    if getattr(item, "schedule", None) == ():
        return "changes nothing: what it has seen of this trace gives it no reason to start early"
    return "changes nothing: this start is like that already"


def warm_pool_plans(deployment: Deployment, tables: Tables) -> Iterator[Plan]:
    """Yield warm pools of a few sizes, each at a few idle timeouts for what comes on top."""
    behaviour = deployment.serverless.behaviour
    for size in _few_sizes(deployment, tables):
        tried = _few_timeouts_s(behaviour, tables)
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
    if deployment.dedicated.kind == "spot" or not _same_replica(
        deployment.speed, deployment.dedicated_speed
    ):
        return
    base_offer, behaviour = deployment.dedicated.offer_id, deployment.serverless.behaviour
    for size in _few_sizes(deployment, tables):
        if size == deployment.max_replicas:
            continue  # nothing can flow over: that is a dedicated plan
        for timeout_s in _few_timeouts_s(behaviour, tables):
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
    """Yield always-on replicas, from one to more than the densest moments can use.

    They start before the trace begins; how long a start takes matters where spot machines are
    interrupted, and to the bill alone.
    """
    speed, start = deployment.dedicated_speed, _machine_start(deployment, tables)
    word = _MACHINE_WORDS[deployment.dedicated.kind]
    for count in range(1, _most_dedicated(deployment, trace, tables) + 1):
        policy = ScalingPolicy(
            min_replicas=count,
            max_replicas=count,
            idle_timeout_s=math.inf,
            routing="spread",
        )
        yield Plan(
            plan_id=DEDICATED.stem_of(count),
            label=f"{word} × {count}",
            detail=f"{units.count(count, 'replica')} always on",
            family=DEDICATED,
            policy=policy,
            start=start,
            speed=speed,
            offer_id=deployment.dedicated.offer_id,
        )


def scheduled_plans(deployment: Deployment, trace: Trace, tables: Tables) -> Iterator[Plan]:
    """Yield machines by the hour that run in office hours and on demand outside them.

    In the windows the minimum is the size, started a start's length before; a request outside
    them starts a replica at the same offer, with the start of that offer's platform.
    """
    behaviour = deployment.dedicated.behaviour
    speed, office = deployment.dedicated_speed, office_hours(deployment.scenario, tables)
    start = _machine_start(deployment, tables)
    for size in _few_sizes(deployment, tables):
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
        for timeout_s in _few_timeouts_s(behaviour, tables):
            policy = ScalingPolicy(
                min_replicas=changes[0][1] if begun else 0,
                schedule=changes[1:] if begun else changes,
                max_replicas=max(size, _most_dedicated(deployment, trace, tables)),
                idle_timeout_s=timeout_s,
                target_concurrency=_target(deployment, speed),
            )
            yield Plan(
                plan_id=f"{SCHEDULED.stem_of(size)}-{timeout_s:g}s",
                label=f"{SCHEDULED.head_of(size)}, {timeout_s:g} s",
                detail=f"{units.count(size, 'replica')} {office}, started on demand outside and "
                f"kept {units.seconds(timeout_s)}",
                family=SCHEDULED,
                policy=_under(behaviour, policy),
                start=start,
                speed=speed,
                offer_id=deployment.dedicated.offer_id,
                retry_s=_retry_s(behaviour),
            )


def _machine_start(deployment: Deployment, tables: Tables) -> ColdStart:
    """Return a start at the dedicated offer, as its own platform does it."""
    # The user's changes and timings are of the serverless platform's start, not of this one's.
    scenario = dataclasses.replace(deployment.scenario, start_changes=(), own_start=None)
    return _start(scenario, deployment.dedicated, deployment.dedicated_speed, tables)[1]


def office_hours(scenario: Scenario, tables: Tables) -> OfficeHours:
    """Return the office hours of a scenario: its own, else those of data/settings.csv."""
    return scenario.office or OfficeHours(
        tables.setting("office_from_h"),
        tables.setting("office_to_h"),
        int(tables.setting("office_days")),
    )


def week_offset_s(trace: Trace) -> float:
    """Return how far into the week (from Monday, 0 h UTC) a trace begins; 0 without a date [s]."""
    clock = trace.t0_utc
    if clock is None:
        return 0.0
    midnight = clock.replace(hour=0, minute=0, second=0, microsecond=0)
    return clock.weekday() * units.SECONDS_PER_DAY + (clock - midnight).total_seconds()


def committed(plan: Plan) -> Plan | None:
    """Return a plan with its always-on machines under the buyer's commitment, or None.

    None for plans that have no machine which is always on (`Family.committed_as`). A dedicated
    plan becomes one of its own; the base of a hybrid is always used, so a buyer with a commitment
    puts it there.
    """
    if plan.family.committed_as is None:
        return None
    if plan.family.committed_as == plan.family.key:
        return dataclasses.replace(
            plan,
            label=plan.label.replace(" dedicated ", " reserved ", 1),
            detail=f"{plan.detail}, base under your commitment",
            is_committed=True,
        )
    family, count = FAMILIES[plan.family.committed_as], plan.policy.max_replicas
    return dataclasses.replace(
        plan,
        plan_id=family.stem_of(count),
        label=family.head_of(count),
        detail=f"{plan.detail}, under your commitment",
        family=family,
        is_committed=True,
    )


def _most_dedicated(deployment: Deployment, trace: Trace, tables: Tables) -> int:
    speed = deployment.dedicated_speed
    most = max(
        replicas_to_serve(trace, speed) * int(tables.setting("replica_headroom")),
        replicas_for_bursts(trace, speed, tables) + 1,
        deployment.scenario.max_replicas or 0,
    )
    return min(most, _limit(deployment.dedicated.behaviour, speed, tables))


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


def _few_timeouts_s(behaviour: Behaviour, tables: Tables) -> tuple[float, ...]:
    """Return a few of the idle timeouts, shortest and longest among them [s]."""
    timeouts_s = idle_timeouts_s(behaviour, tables)
    few = np.linspace(0, len(timeouts_s) - 1, int(tables.setting("grid_pool_timeouts")))
    return tuple(sorted({timeouts_s[round(index)] for index in few}))


def _same_replica(one: ServingSpeed, other: ServingSpeed) -> bool:
    return one.gpu == other.gpu and one.gpus_per_replica == other.gpus_per_replica


def _supply(offer_id: str, tables: Tables, *, serverless: bool) -> Supply:
    supply = supply_of(offer_id, tables)
    if (supply.kind == "serverless") != serverless:
        wanted = "a serverless" if serverless else "a dedicated"
        raise InputError(f"Expected {wanted} offer, found {offer_id}, which is {supply.kind}.")
    return supply


def _start(
    scenario: Scenario, supply: Supply, speed: ServingSpeed, tables: Tables
) -> tuple[StartInputs, ColdStart]:
    """Return a start on that platform and GPU: the model's, or as the user measured it."""
    changes, gpu = dict(scenario.start_changes), supply.gpu
    inputs = start_inputs_for(
        supply.behaviour.platform_id,
        scenario.model,
        gpu,
        speed.precision,
        gpus=speed.gpus_per_replica,
        tables=tables,
        **changes,
    )
    own = scenario.own_start
    if own is None:
        start = inputs.predict(tables)
    elif own.is_of(scenario.model, scenario.precision, gpu):
        inputs = own.calibrate(inputs)
        start = own.apply(inputs.predict(tables))
    else:
        said = (
            f"Your timings are of {own.model} ({own.precision}) on {own.gpu}: only the host "
            "factors they imply are used here, the seconds are the model's."
        )
        inputs = dataclasses.replace(own.calibrate(inputs), assumed=(*inputs.assumed, said))
        start = inputs.predict(tables)
    if "allocate_s" in changes and start["allocate"].basis != "measured":
        # The platform's own word is for the platform's own time.
        start = start.replace("allocate", basis="assumed", source_ids=(), note="as you set it")
    return inputs, start


def _fit(
    supply: Supply, model: Model, scenario: Scenario, context_tokens: float, tables: Tables
) -> ServingSpeed:
    speed = serving_speed(
        model,
        scenario.precision,
        supply.gpu,
        context_tokens=context_tokens,
        tables=tables,
        kv_precision=scenario.kv_precision,
    )
    if speed.gpus_per_replica > supply.gpus_max and supply.kind == "serverless":
        raise InfeasibleError(
            f"{model.model} in {speed.precision} needs {speed.gpus_per_replica} × {supply.gpu}, "
            "but "
            f"{supply.offer_id} gives a replica at most {supply.gpus_max}. Choose a larger GPU."
        )
    return speed


def _limit(behaviour: Behaviour, speed: ServingSpeed, tables: Tables) -> int:
    """Return the most replicas that the provider, or this product, runs at once."""
    most = int(tables.setting("most_replicas"))
    if behaviour.max_replicas_hard is not None:
        most = min(most, behaviour.max_replicas_hard)
    if behaviour.max_gpus_hard is not None:
        most = min(most, behaviour.max_gpus_hard // speed.gpus_per_replica)
    return max(1, most)


def _under(behaviour: Behaviour, policy: ScalingPolicy) -> ScalingPolicy:
    """Return a policy with what the product decides and the buyer cannot set."""
    return dataclasses.replace(
        policy,
        scale_down=behaviour.scale_down_rule,
        refuses_cold=behaviour.cold_request == "reject",
    )


def _retry_s(behaviour: Behaviour) -> float | None:
    return behaviour.retry_s if behaviour.cold_request == "retry" else None


def _target(deployment: Deployment, speed: ServingSpeed | None = None) -> float:
    asked, speed = deployment.scenario.target_concurrency, speed or deployment.speed
    return float(min(asked, speed.max_sequences) if asked is not None else speed.target_concurrency)


def _mitigation_sets(
    keys: tuple[str, ...],
    start: ColdStart,
    inputs: StartInputs,
    platform: Platform,
    tables: Tables,
) -> tuple[tuple[tuple[Mitigation, ...], ...], tuple[str, ...]]:
    """Return every usable set of the chosen mitigations, and why single ones are not usable.

    A set in which one excludes another is left out without a word: the others stand for it.
    """
    usable, refused, chosen = [], [], []
    for item in (mitigation(key, tables) for key in keys):
        missing = missing_for(item, platform)
        if missing:
            refused.append(f"{item.label} is left out: it takes {missing}.")
        else:
            chosen.append(item)
    for size in range(len(chosen) + 1):
        for together in itertools.combinations(chosen, size):
            try:
                apply_mitigations(start, ScalingPolicy(), None, together, inputs, tables)
            except InputError as error:
                if size == 1:
                    refused.append(f"Left out: {error}")
            else:
                usable.append(together)
    return tuple(usable), tuple(refused)


def _autoscaled(
    deployment: Deployment,
    family: Family,
    policy: ScalingPolicy,
    mitigations: tuple[Mitigation, ...],
    tables: Tables,
    *,
    is_default: bool = False,
) -> Plan:
    policy = _under(deployment.serverless.behaviour, policy)
    applied = apply_mitigations(
        deployment.start, policy, deployment.speed, mitigations, deployment.start_inputs, tables
    )
    names = [item.label for item in mitigations]
    keep = f"{policy.idle_timeout_s:g} s"
    capped = ""
    if policy.max_replicas < deployment.max_replicas:
        capped = f", at most {units.count(policy.max_replicas, 'replica')}"
    short = "".join(f" + {name.lower()}" for name in names)
    return Plan(
        plan_id="-".join(
            (
                family.stem_of(policy.min_replicas),
                f"{policy.idle_timeout_s:g}s",
                *((f"max{policy.max_replicas}",) if capped else ()),
                *applied.applied,
            )
        ),
        label=f"{family.head_of(policy.min_replicas)}, {keep}{capped}{short}",
        detail=f"keep-alive {units.seconds(policy.idle_timeout_s)}{capped}"
        + "".join(f", {name.lower()}" for name in names),
        family=family,
        policy=applied.policy,
        start=applied.start,
        speed=applied.speed or deployment.speed,
        offer_id=deployment.serverless.offer_id,
        mitigations=applied.applied,
        standing=applied.standing,
        retry_s=_retry_s(deployment.serverless.behaviour),
        is_provider_default=is_default,
    )


def _rounded(value: float) -> float:
    """Return a number with two significant digits: a timeout that a person would set."""
    return round(value, 1 - math.floor(math.log10(value)))
