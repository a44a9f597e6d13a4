"""Where replicas can run and what can be set there: the space that a limit is searched in.

A `Place` is an offer with so many GPUs a replica in one precision, and what its product lets a
user set. `Settings` are one plan of it. Nothing here simulates, and nothing knows a price but for
leaving out mitigations that another set beats.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from frontier.billing import billed_start_s
from frontier.errors import FrontierError, InputError
from frontier.market.wanted import Fits, counts_of, reason_against
from frontier.mitigations.base import Mitigated, Mitigation, missing_for
from frontier.mitigations.registry import MITIGATIONS, mitigation
from frontier.plans import grid
from frontier.plans.families import HYBRID, SCALE_TO_ZERO, SCHEDULED, WARM_POOL
from frontier.plans.plan import Plan
from frontier.plans.scenario import (
    Deployed,
    Scenario,
    Supply,
    deploy_at,
    supplies_of,
    supply_of,
    week_offset_s,
)
from frontier.policy import ScalingPolicy
from frontier.reach.hours import KeptHours
from frontier.schedules import weekly_schedule
from frontier.serving import ServingSpeed
from frontier.start.predict import platform_of
from frontier.tables import Knobs, Offer, ProviderRules, Tables
from frontier.trace import Trace

_CLUSTER = "machine-kubernetes"
# Differences by the last bits of a float.
_NOTHING = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """A set of mitigations at a place, as applied; the empty one is the plain start."""

    chosen: tuple[Mitigation, ...]
    mitigated: Mitigated

    @property
    def start_s(self) -> float:
        """A typical start with them [s]."""
        return self.mitigated.start.typical_s


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """An offer with so many GPUs a replica, in one precision.

    Attributes
    ----------
    plain : Way
        The start without any mitigation.
    usable : tuple of Mitigation
        What can shorten a start or keep its state on that platform.
    timeouts_s : tuple of float
        Idle timeouts that can be set, those of the grid among them, shortest first [s].
    targets : tuple of float
        Requests a replica is meant to hold: the default first, then what else can be set.
    most_buffer, most_kept : int
        Replicas beyond the load, and always kept, that can be asked for.
    is_scheduled : bool
        Whether the kept ones can follow the hours of the week.
    prompt_s : float
        99th percentile of what a prompt takes alone; of what it takes at least, where a cache may
        hold it [s].
    """

    offer: Offer
    deployed: Deployed
    plain: Way
    usable: tuple[Mitigation, ...]
    timeouts_s: tuple[float, ...]
    targets: tuple[float, ...]
    most_buffer: int
    most_kept: int
    most_fixed: int
    is_scheduled: bool
    prompt_s: float

    @property
    def gpus(self) -> int:
        """GPUs of a replica."""
        return self.deployed.speed.gpus_per_replica

    @property
    def scales(self) -> bool:
        """Whether replicas come and go with the requests here."""
        return self.deployed.supply.scales_to_zero

    def __str__(self) -> str:
        """Return the place in words: "Modal Functions, 1 × L40S, fp8"."""
        speed, offer = self.deployed.speed, self.offer
        return f"{offer.provider} {offer.product}, {self.gpus} × {speed.gpu}, {speed.precision}"


@dataclass(frozen=True, slots=True)
class Settings:
    """One plan: a place and all that is set there.

    Attributes
    ----------
    kept, most : int
        Replicas that are kept, and the most there may be.
    hours : KeptHours or None
        When they are kept; None: all the time.
    base : Place or None
        Machines by the hour that the kept ones run on, where they are not at ``place`` itself.
    buffer : int
        More replicas than the load needs, while there is any.
    target : float
        Requests a replica is meant to hold.
    """

    place: Place
    way: Way
    kept: int
    most: int
    idle_timeout_s: float
    target: float
    hours: KeptHours | None = None
    base: Place | None = None
    buffer: int = 0

    @property
    def is_fixed(self) -> bool:
        """Whether the same replicas are up all the time."""
        return self.kept == self.most and self.hours is None

    @property
    def parts(self) -> int:
        """How many things have to be set beside the offer: fewer are simpler."""
        if self.is_fixed:
            return 0
        return (
            len(self.way.chosen)
            + self.buffer
            + (self.hours is not None)
            + (self.base is not None)
            + (self.target != self.place.targets[0])
        )


def plan_of(settings: Settings, trace: Trace, tables: Tables) -> Plan:
    """Return the plan of some settings, to be simulated and billed."""
    place, kept = settings.place, settings.kept
    deployed = place.deployed
    if settings.is_fixed and not place.scales:
        return dataclasses.replace(
            grid.dedicated_plan(deployed, trace, kept, tables), offer_id=place.offer.offer_id
        )
    least, changes = _minimum(settings, trace, tables)
    policy = ScalingPolicy(
        min_replicas=least,
        max_replicas=settings.most,
        idle_timeout_s=settings.idle_timeout_s,
        target_concurrency=settings.target,
        buffer_replicas=settings.buffer,
        schedule=changes,
        pinned_replicas=kept if settings.base is not None else 0,
    )
    family = (
        HYBRID
        if settings.base is not None
        else SCHEDULED
        if settings.hours is not None
        else WARM_POOL
        if kept
        else SCALE_TO_ZERO
    )
    plan = grid.autoscaled_plan(
        deployed, family, policy, settings.way.chosen, settings.way.mitigated
    )
    base = settings.base
    return dataclasses.replace(
        plan,
        label=family.head_of(kept),
        base_offer_id=None if base is None else base.offer.offer_id,
    )


def _minimum(
    settings: Settings, trace: Trace, tables: Tables
) -> tuple[int, tuple[tuple[float, int], ...]]:
    """Return the minimum at the beginning, and its changes."""
    if settings.hours is None:
        return settings.kept, ()
    changes = weekly_schedule(
        settings.hours.windows,
        trace.horizon_s,
        replicas=settings.kept,
        lead_s=settings.way.start_s,
        week_offset_s=week_offset_s(trace),
        tables=tables,
    )
    # What is on when the trace begins has been started before it.
    if changes and changes[0][0] == 0:
        return changes[0][1], changes[1:]
    return 0, changes


def places_of(
    scenario: Scenario,
    offers: Iterable[Offer],
    trace: Trace,
    tables: Tables,
    *,
    limit_s: float,
) -> tuple[tuple[Place, ...], dict[str, str]]:
    """Return the places at some offers, and why others have none, by offer.

    Parameters
    ----------
    scenario : Scenario
        Its model, precision and number of GPUs hold; its offers say only where its own start,
        nodes and autoscaler are.
    offers : iterable of Offer
        One beside which another sells the same for no more is left.
    limit_s : float
        On p99 TTFT: a place whose prompts alone take longer is among them, with one number of
        GPUs, to say so.
    """
    fits = Fits(scenario, trace, tables)
    found: list[Place] = []
    reasons: dict[str, str] = {}
    offers = tuple(offers)
    for offer in offers:
        if any(_is_beaten(offer, other, tables) for other in offers):
            continue
        speed = fits.on(offer.gpu, scenario.gpus_per_replica)
        reason = reason_against(offer, speed, tables)
        if reason or not isinstance(speed, ServingSpeed):
            reasons[offer.offer_id] = reason
            continue
        counts = [speed.gpus_per_replica]
        if scenario.gpus_per_replica is None:
            counts += counts_of(offer, fits, speed.gpus_per_replica, tables)
        own = []
        for count in counts:
            at = fits.on(offer.gpu, count)
            if not isinstance(at, ServingSpeed):
                continue
            for supply in _supplies(scenario, offer, tables):
                try:
                    # What is found in a cache is not read: nothing but the overhead is sure.
                    cached = trace.prefix_parent is not None
                    prompt_s = at.overhead_s if cached else fits.prompt_p99_s(at)
                    own.append(_place(scenario, offer, supply, at, prompt_s, trace, tables))
                except FrontierError as error:
                    reasons[offer.offer_id] = str(error)
        able = [place for place in own if place.prompt_s <= limit_s]
        # The fastest of those that cannot hold it says how far it is.
        found += able or sorted(own, key=lambda place: place.prompt_s)[:1]
    return tuple(found), reasons


def _supplies(scenario: Scenario, offer: Offer, tables: Tables) -> Iterable[Supply]:
    """Yield an offer as it is, and as nodes of the user's own cluster where it is that."""
    yield supply_of(offer.offer_id, tables)
    if scenario.nodes is not None and offer.offer_id == scenario.serverless_offer:
        yield supplies_of(scenario, tables)[0]


def _is_beaten(offer: Offer, by: Offer, tables: Tables) -> bool:
    """Whether another offer runs the same replicas under the same rules and never costs more."""

    def alike(one: Offer) -> tuple[object, ...]:
        cores = (one.usd_per_vcpu_s, one.usd_per_gib_s)
        # Cores that come with the GPU cost nothing beside it.
        sizes = () if cores == (None, None) else (one.vcpus_per_gpu, one.ram_gib_per_gpu)
        return one.kind, one.gpu, one.rules_id, one.available, cores, sizes

    def cost(one: Offer) -> tuple[float, int, str]:
        return one.usd_per_gpu_h, one.gpus_min, one.offer_id

    is_same = alike(offer) == alike(by) and tables.rules_of(offer) == tables.rules_of(by)
    holds_as_many = by.gpus_min <= offer.gpus_min and by.gpus_max >= offer.gpus_max
    return is_same and holds_as_many and cost(by) < cost(offer)


def _place(
    scenario: Scenario,
    offer: Offer,
    supply: Supply,
    speed: ServingSpeed,
    prompt_s: float,
    trace: Trace,
    tables: Tables,
) -> Place:
    own = tables.offers.get(scenario.serverless_offer)

    def platform(behaviour_of: Offer) -> str:
        return platform_of(tables.behaviour_of(behaviour_of).platform_id, tables).platform

    # What was changed or measured of a start holds where the platform is the same.
    is_own = own is not None and supply.scales_to_zero and platform(offer) == platform(own)
    here = dataclasses.replace(
        scenario,
        gpus_per_replica=speed.gpus_per_replica,
        start_changes=scenario.start_changes if is_own else (),
        own_start=scenario.own_start if is_own else None,
        nodes=supply.nodes,
        mitigations=(),
    )
    deployed = deploy_at(here, supply, trace, tables, speed=speed)
    knobs = _knobs(deployed, tables)
    most_fixed = (
        deployed.max_replicas
        if supply.scales_to_zero
        else grid.most_dedicated(deployed, trace, tables)
    )
    return Place(
        offer=offer,
        deployed=deployed,
        plain=Way((), grid.mitigated_at(deployed, (), tables)),
        usable=_usable(deployed, scenario.mitigations, tables),
        timeouts_s=_timeouts_s(deployed, tables),
        targets=_targets(deployed, knobs),
        most_buffer=min(int(tables.setting("reach_buffers")), deployed.max_replicas - 1)
        if knobs is not None and knobs.buffer_replicas and supply.nodes is None
        else 0,
        most_kept=most_fixed if knobs is not None and knobs.kept_replicas else 0,
        most_fixed=most_fixed,
        is_scheduled=knobs is not None
        and knobs.scheduled_replicas
        and offer.kind not in ("reserved", "spot"),
        prompt_s=prompt_s,
    )


def _knobs(deployed: Deployed, tables: Tables) -> Knobs | None:
    supply = deployed.supply
    name = _CLUSTER if supply.nodes is not None else supply.behaviour.behaviour_id
    return tables.knobs.get(name)


def _timeouts_s(deployed: Deployed, tables: Tables) -> tuple[float, ...]:
    """Return the timeouts to begin with: those of the grid, and beyond where it may be longer."""
    behaviour, supply = deployed.supply.behaviour, deployed.supply
    if deployed.autoscaler.tick_s is not None and not (
        deployed.autoscaler.idle_timeout_leads or deployed.autoscaler.keep_alive
    ):
        return (grid.default_idle_timeout_s(behaviour, tables),)
    tried = grid.idle_timeouts_s(behaviour, tables)
    if behaviour.idle_max_s is not None:
        longest = float(behaviour.idle_max_s)
    elif supply.kind != "serverless":
        longest = tables.setting("reach_timeout_max_s")
    else:
        longest = tried[-1]
    more = []
    ratio = tried[-1] / tried[-2] if len(tried) > 1 and tried[-2] > 0 else 2.0
    at = tried[-1] * ratio
    while at < longest:
        more.append(float(round(at)))
        at *= ratio
    return tuple(sorted({*tried, *more, longest}))


def _targets(deployed: Deployed, knobs: Knobs | None) -> tuple[float, ...]:
    own = grid.target_at(deployed)
    if knobs is None or not knobs.target or deployed.scenario.target_concurrency is not None:
        return (own,)
    most = float(deployed.speed.max_sequences)
    others = {max(1.0, float(round(own / 2))), min(most, 2 * own)}
    return (own, *sorted(others - {own}))


def _usable(deployed: Deployed, ticked: tuple[str, ...], tables: Tables) -> tuple[Mitigation, ...]:
    """Return what can shorten a start there, or keep its state.

    What makes every answer slower is taken only where it was ticked.
    """
    if not deployed.supply.scales_to_zero:
        return ()
    platform = platform_of(deployed.supply.behaviour.platform_id, tables)
    items = (mitigation(cls.key, tables) for cls in MITIGATIONS)
    return tuple(
        item
        for item in items
        if (item.effects or item.parked_tier(deployed.start_inputs, tables) is not None)
        and not missing_for(item, platform)
        and (item.key in ticked or item.rewrite_speed(deployed.speed) is deployed.speed)
    )


def ways_of(place: Place, tables: Tables) -> tuple[Way, ...]:
    """Return the sets of mitigations worth trying, the plain start first, the quickest last.

    One mitigation after the other is added, the one that shortens the start most. Of all sets
    looked at on the way those stay that no other beats on start, billed start and standing cost.
    """
    ways, best = [place.plain], place.plain
    for _ in range(int(tables.setting("reach_set_size"))):
        more = [
            way
            for item in place.usable
            if item not in best.chosen
            and (way := _way(place, (*best.chosen, item), tables)) is not None
        ]
        ways += more
        quicker = min(more, key=lambda way: way.start_s, default=best)
        if quicker.start_s >= best.start_s:
            break
        best = quicker
    rules = tables.rules_of(place.offer)
    needs = np.array([_needs(way, rules) for way in ways])
    no_more = (needs[:, None, :] <= needs[None, :, :] + _NOTHING).all(axis=2)
    less = no_more & (needs[:, None, :] < needs[None, :, :] - _NOTHING).any(axis=2)
    # Of sets that come out alike the smaller one stands, which comes first.
    again = no_more & no_more.T & (np.arange(len(ways))[:, None] < np.arange(len(ways))[None, :])
    left = [way for at, way in enumerate(ways[1:], 1) if not (less | again)[:, at].any()]
    left.sort(key=lambda way: -way.start_s)
    few = min(int(tables.setting("reach_sets")) - 1, len(left))
    at = {round(index) for index in np.linspace(0, len(left) - 1, few)} if few else set()
    return (place.plain, *(left[index] for index in sorted(at)))


def _way(place: Place, chosen: tuple[Mitigation, ...], tables: Tables) -> Way | None:
    """Return a set as applied there; None where its members cannot be combined."""
    try:
        return Way(chosen, grid.mitigated_at(place.deployed, chosen, tables))
    except InputError:
        return None


def _needs(way: Way, rules: ProviderRules) -> tuple[float, ...]:
    """Return all by which a set of mitigations may be better than another, smaller being better."""
    mitigated, standing = way.mitigated, way.mitigated.standing
    policy = mitigated.policy_from(ScalingPolicy())
    resume_s = min((tier.resume_s for tier in policy.parked), default=sys.float_info.max)
    stage_s = np.array([list(mitigated.start.wall_s.values())])
    return (
        way.start_s,
        float(billed_start_s(stage_s, rules)[0]),
        resume_s,
        sum(tier.held_fraction for tier in policy.parked),
        standing.storage_gb,
        standing.host_ram_gib,
        standing.gpu_memory_gb,
        standing.gpu_s_per_start,
        standing.starts_without,
    )
