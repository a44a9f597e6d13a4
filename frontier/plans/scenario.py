"""What a person chose, and what becomes of it on the traffic: speeds, starts, limits.

A `Scenario` is the choices; `deploy_at` turns it, with the traffic, into what one offer makes of
it (`Deployed`), and `deploy` into its pair of offers (`Deployment`). An offer is here a `Supply`:
its name, its GPUs and how it behaves. Prices and billing rules are looked up by that name when a
plan is billed, so that it is simulated once and can be billed at any price.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frontier import spell, units
from frontier.errors import InputError, MisfitError
from frontier.mitigations.base import Mitigation, apply_mitigations, missing_for
from frontier.mitigations.registry import mitigation
from frontier.plans import nodes
from frontier.policy import NodePool, ScalingPolicy
from frontier.serving import ServingSpeed, serving_speed
from frontier.start.log import OwnStart
from frontier.start.predict import StartInputs, platform_of, start_inputs_for
from frontier.start.stages import ColdStart
from frontier.tables import Autoscaler, Behaviour, Model, Platform, Tables, look_up
from frontier.trace import Trace

_PEAK_WINDOW_S = units.SECONDS_PER_MINUTE


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
        Rows of data/offers.csv. Where there are ``nodes`` the first is a machine by the hour.
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
    gpus_per_replica : int or None
        GPUs of a replica, a power of two; None: the fewest that fit.
    interruptions_per_h : float or None
        Of a spot machine [1/h]; None: that of data/settings.csv.
    nodes : NodeChoice or None
        The first offer's machines are nodes of the user's own cluster, and replicas are pods on
        them; None: it is serverless.
    autoscaler : str or None
        A row of data/autoscalers.csv by which replicas come and go there; None: the platform's.
    by_prefix : bool
        Always-on replicas get a request where the beginning of its prompt is cached, if the
        traffic says which prompts begin alike.
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
    gpus_per_replica: int | None = None
    interruptions_per_h: float | None = None
    nodes: nodes.NodeChoice | None = None
    autoscaler: str | None = None
    by_prefix: bool = False


@dataclass(frozen=True, slots=True)
class Supply:
    """An offer as a simulation sees it: its GPUs, and how it behaves; no price.

    Attributes
    ----------
    offer_id : str
        By which its price and its billing rules are looked up.
    gpus_min, gpus_max : int
        GPUs of its smallest and of its largest machine.
    nodes : NodeChoice or None
        Its machines are nodes on which replicas come and go as pods; None: they are not.
    """

    offer_id: str
    kind: str
    gpu: str
    gpus_min: int
    gpus_max: int
    behaviour: Behaviour
    nodes: nodes.NodeChoice | None = None

    @property
    def scales_to_zero(self) -> bool:
        """Whether replicas come and go here, serverless or as pods on nodes."""
        return self.kind == "serverless" or self.nodes is not None


def supply_of(offer_id: str, tables: Tables) -> Supply:
    """Return what a simulation needs to know of an offer.

    Raises
    ------
    InputError
        If there is no such offer.
    """
    offer = look_up(tables.offers, offer_id, "offer")
    return Supply(
        offer.offer_id,
        offer.kind,
        offer.gpu,
        offer.gpus_min,
        offer.gpus_max,
        tables.behaviour_of(offer),
    )


def supplies_of(scenario: Scenario, tables: Tables) -> tuple[Supply, Supply]:
    """Return where replicas of a scenario scale to zero, and where they are always on.

    Raises
    ------
    InputError
        If a name is unknown or an offer is of the wrong kind.
    """
    choice = scenario.nodes
    on_demand = _supply(scenario.serverless_offer, tables, serverless=choice is None)
    if choice is not None:
        behaviour = nodes.pods_behaviour(choice, tables)
        on_demand = dataclasses.replace(on_demand, behaviour=behaviour, nodes=choice)
    return on_demand, _supply(scenario.dedicated_offer, tables, serverless=False)


@dataclass(frozen=True, slots=True, eq=False)
class Deployed:
    """A model at one offer, on its traffic: how fast replicas serve and start, and how many run.

    Attributes
    ----------
    supply : Supply
        The offer, without its price.
    speed : ServingSpeed
        Of one replica there.
    start_inputs : StartInputs
        A start there, before any mitigation.
    busiest_replicas : int
        Replicas that the busiest minute keeps busy.
    max_replicas : int
        Most replicas of an autoscaled plan.
    mitigation_sets : tuple of tuple of Mitigation
        The sets of the scenario's mitigations that can be used here; the empty one is first, and
        alone for machines by the hour.
    assumed : tuple of str
        Sentences for the screen: what was assumed, and which mitigation cannot be used and why.
    nodes : NodePool or None
        The nodes that replicas run on as pods; None: there are none.
    interruptions_per_h : float
        How often a machine there is taken away: 0 unless it is spot [1/h];
        ``interruption_seed`` draws when.
        How often a machine there is taken away: 0 unless it is spot [1/h].
    autoscaler : Autoscaler
        By which replicas come and go there.
    """

    scenario: Scenario
    model: Model
    supply: Supply
    speed: ServingSpeed
    start_inputs: StartInputs
    start: ColdStart
    busiest_replicas: int
    max_replicas: int
    mitigation_sets: tuple[tuple[Mitigation, ...], ...]
    assumed: tuple[str, ...]
    nodes: NodePool | None
    interruptions_per_h: float
    interruption_seed: int
    autoscaler: Autoscaler


@dataclass(frozen=True, slots=True, eq=False)
class Deployment(Deployed):
    """A scenario on its traffic: its serverless offer, and its machines by the hour beside it.

    Attributes
    ----------
    machines : Deployed
        At the dedicated offer.
    """

    machines: Deployed

    @property
    def serverless(self) -> Supply:
        """The serverless offer, without its price."""
        return self.supply

    @property
    def dedicated(self) -> Supply:
        """The dedicated offer, without its price."""
        return self.machines.supply

    @property
    def dedicated_speed(self) -> ServingSpeed:
        """One replica at the dedicated offer."""
        return self.machines.speed


def deploy(scenario: Scenario, trace: Trace, tables: Tables) -> Deployment:
    """Work out speeds, starts and limits of a scenario's two offers on its traffic.

    Raises
    ------
    InputError
        If a name is unknown or an offer is of the wrong kind.
    InfeasibleError
        If the model does not fit; the message names the GPUs it needs.
    """
    on_demand, machines = (
        deploy_at(scenario, supply, trace, tables) for supply in supplies_of(scenario, tables)
    )
    serverless, dedicated = on_demand.supply, machines.supply
    assumed = [*on_demand.assumed]
    if not same_replica(on_demand.speed, machines.speed):
        assumed.append(
            f"No hybrid plans: {serverless.gpu} and {dedicated.gpu} do not run the same replica."
        )
    if dedicated.kind == "spot":
        assumed.append("No hybrid plans: their base must stay, and a spot machine may not.")
        assumed.append(
            "No office-hours plans: a spot machine may not be there when the hours begin."
        )
    if dedicated.kind == "reserved":
        assumed.append(
            "No office-hours plans: the dedicated machines are paid for whether used or not."
        )
    if trace.t0_utc is None:
        assumed.append(
            "The trace has no date: for office hours it is taken to begin on a Monday at 0 h."
        )
    if scenario.by_prefix and trace.prefix_parent is None:
        assumed.append(
            "No request is sent by its prefix: the traffic does not say which prompts begin alike."
        )
    both = {item.name: getattr(on_demand, item.name) for item in dataclasses.fields(Deployed)}
    return Deployment(**(both | {"assumed": tuple(assumed)}), machines=machines)


def deploy_at(
    scenario: Scenario,
    supply: Supply,
    trace: Trace,
    tables: Tables,
    *,
    speed: ServingSpeed | None = None,
) -> Deployed:
    """Work out speed, start and limits of a scenario at one offer, whatever its own offers are.

    What the user changed or measured of a start is of the serverless platform: machines by the
    hour start as their own platform does, and take no mitigations.

    Parameters
    ----------
    speed : ServingSpeed, optional
        Of a replica there, where it is known already.

    Raises
    ------
    InputError
        If a name is unknown.
    InfeasibleError
        If the model does not fit; the message names the GPUs it needs.
    """
    model = tables.model(scenario.model)
    if speed is None:
        speed = _fit(supply, model, scenario, context_of(trace, model), tables)
    refused: tuple[str, ...] = ()
    if supply.scales_to_zero:
        inputs, start = start_of(scenario, supply, speed, tables)
        platform = platform_of(supply.behaviour.platform_id, tables)
        sets, refused = _mitigation_sets(scenario.mitigations, start, inputs, platform, tables)
    else:
        plain = dataclasses.replace(scenario, start_changes=(), own_start=None)
        inputs, start = start_of(plain, supply, speed, tables)
        sets = ((),)
    chunk_tokens = look_up(tables.engines, inputs.engine, "engine").chunk_tokens
    speed = dataclasses.replace(speed, chunk_tokens=chunk_tokens)
    busiest = replicas_to_serve(trace, speed)
    wanted = scenario.max_replicas or busiest * int(tables.setting("replica_headroom"))
    most = min(wanted, replica_limit(supply.behaviour, speed, tables))
    pool = None
    if supply.nodes is not None:
        offer = tables.offers[supply.offer_id]
        pool = nodes.node_pool(supply.nodes, offer, speed.gpus_per_replica, busiest, tables)
        pod = nodes.node_up(supply.nodes, tables).rewrite_start(start, inputs, tables)
        words = nodes.nodes_in_words(
            supply.nodes,
            pool,
            speed.gpus_per_replica,
            tables,
            start_s=start.typical_s,
            pod_start_s=pod.typical_s,
        )
        refused = (*words, *refused)
        if not nodes.provisions(supply.nodes, tables):
            # Nothing is started beyond what is kept, and the words above say how much that is.
            most = wanted = min(most, pool.kept_nodes * pool.replicas_per_node)
    if most < min(wanted, int(tables.setting("most_replicas"))):
        refused = (
            *refused,
            f"{supply.behaviour.provider} runs at most {spell.count(most, 'replica')} here "
            "unless you ask it for more: no autoscaled plan has more.",
        )
    return Deployed(
        scenario=scenario,
        model=model,
        supply=supply,
        speed=speed,
        start_inputs=inputs,
        start=start,
        busiest_replicas=busiest,
        max_replicas=most,
        mitigation_sets=sets,
        assumed=(*start.assumed, *refused),
        nodes=pool,
        interruptions_per_h=interruptions_per_h(scenario, supply.kind, tables),
        interruption_seed=int(tables.setting("start_seed")),
        autoscaler=autoscaler_of(scenario, supply, tables),
    )


def autoscaler_of(scenario: Scenario, supply: Supply, tables: Tables) -> Autoscaler:
    """Return by what replicas come and go: what was chosen, else what the platform has.

    Raises
    ------
    InputError
        If there is no autoscaler of that name.
    """
    chosen = scenario.autoscaler if supply.scales_to_zero else None
    return look_up(tables.autoscalers, chosen or supply.behaviour.autoscaler, "autoscaler")


def interruptions_per_h(scenario: Scenario, kind: str, tables: Tables) -> float:
    """Return how often a machine of an offer of that kind is taken away: 0 but for spot [1/h]."""
    if kind != "spot":
        return 0.0
    own = scenario.interruptions_per_h
    return tables.setting("interruptions_per_h") if own is None else own


def context_of(trace: Trace, model: Model) -> float:
    """Return the tokens that a running sequence of this trace holds on average [tokens].

    No sequence holds more than the context of the model.
    """
    # Twice the tokens, which are whole: exact however the trace comes in pieces.
    most, twice, requests = 2 * model.max_context_tokens, 0, 0
    for _, prompts, outputs in trace.pieces():
        twice += int(np.minimum(2 * prompts.astype(np.int64) + outputs, most).sum())
        requests += prompts.size
    return twice / (2 * requests)


def _mean(trace: Trace, of: Callable[[tuple[NDArray[Any], ...]], NDArray[Any]]) -> float:
    """Return the mean over all requests of what is worked out for pieces of them."""
    means = [(float(np.mean(of(piece))), piece[0].size) for piece in trace.pieces()]
    size = sum(number for _, number in means)
    return math.fsum(mean * (number / size) for mean, number in means)


def replica_rps(trace: Trace, speed: ServingSpeed) -> float:
    """Return the requests of this trace that one replica at its target concurrency finishes [1/s].

    A replica that holds ``c`` requests finishes one in ``prefill + output × step(c) / c``
    seconds, with the trace's mean prompt and output.
    """
    held = speed.target_concurrency
    prefill_s = _mean(trace, lambda piece: speed.prefill_s(piece[1])) - speed.overhead_s
    decode_s = _mean(trace, operator.itemgetter(2)) * float(speed.decode_step_s[held - 1]) / held
    return 1 / (prefill_s + decode_s)


def replicas_to_serve(trace: Trace, speed: ServingSpeed) -> int:
    """Return the replicas that the trace's busiest minute keeps busy at the target concurrency."""
    pieces = trace.pieces(_PEAK_WINDOW_S)
    most = max(_most_within(arrival_s, _PEAK_WINDOW_S) for arrival_s, _, _ in pieces)
    peak_rps = most / min(_PEAK_WINDOW_S, max(trace.horizon_s, 1.0))
    return max(1, math.ceil(peak_rps / replica_rps(trace, speed)))


def _most_within(arrival_s: NDArray[np.float64], window_s: float) -> int:
    """Return the most arrivals in any window of that length, both of its ends included."""

    def is_reached(count: int) -> bool:
        first, last = arrival_s[: arrival_s.size - count + 1], arrival_s[count - 1 :]
        return bool((last <= first + window_s).any())

    # A dozen passes are quicker than a search for the end of each window.
    reached, most = 0, arrival_s.size
    # The mean of a window is reached by some window: the search begins there.
    step = max(1, int(most * window_s / max(float(np.ptp(arrival_s)), window_s)))
    while reached < most:
        count = min(reached + step, most)
        if is_reached(count):
            reached, step = count, 2 * step
        else:
            most, step = count - 1, max(1, (count - 1 - reached + 1) // 2)
    return reached


def replicas_for_bursts(trace: Trace, speed: ServingSpeed, tables: Tables) -> int:
    """Return the replicas that read the prompts of the densest moments as fast as they come.

    The most prompt seconds that arrive within any window of ``burst_window_s``, over that window:
    more always-on replicas than this have nothing left to speed up but rare coincidences.
    """
    window_s = tables.setting("burst_window_s")
    most_s = 0.0
    for arrival_s, prompts, _ in trace.pieces(window_s):
        prefill_s = speed.prefill_s(prompts) - speed.overhead_s
        work_s = np.concatenate([[0.0], np.cumsum(prefill_s)])
        ends = np.searchsorted(arrival_s, arrival_s + window_s, side="right")
        most_s = max(most_s, float((work_s[ends] - work_s[:-1]).max()))
    return max(1, math.ceil(most_s / window_s))


def office_hours(scenario: Scenario, tables: Tables) -> OfficeHours:
    """Return the office hours of a scenario: its own, else those of data/settings.csv."""
    return scenario.office or default_office(tables)


def default_office(tables: Tables) -> OfficeHours:
    """Return the office hours of data/settings.csv."""
    return OfficeHours(
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


def same_replica(one: ServingSpeed, other: ServingSpeed) -> bool:
    """Whether two offers run the same replica, so that one can stand in for the other."""
    return one.gpu == other.gpu and one.gpus_per_replica == other.gpus_per_replica


def _supply(offer_id: str, tables: Tables, *, serverless: bool) -> Supply:
    supply = supply_of(offer_id, tables)
    if (supply.kind == "serverless") != serverless:
        wanted = "a serverless" if serverless else "a dedicated"
        raise InputError(f"Expected {wanted} offer, found {offer_id}, which is {supply.kind}.")
    return supply


def start_of(
    scenario: Scenario, supply: Supply, speed: ServingSpeed, tables: Tables
) -> tuple[StartInputs, ColdStart]:
    """Return a start on that platform and GPU: the model's, or as the user measured it."""
    changes, gpu = dict(scenario.start_changes), supply.gpu
    if supply.nodes is not None:
        changes = nodes.start_changes(supply.nodes, tables) | changes
    inputs = start_inputs_for(
        supply.behaviour.platform_id,
        scenario.model,
        gpu,
        speed.precision,
        gpus=speed.gpus_per_replica,
        tables=tables,
        **changes,
    )
    are_brought = supply.nodes is not None and nodes.provisions(supply.nodes, tables)
    if supply.nodes is not None and not are_brought:
        # Every node is there: what starts, and what was measured, is a pod and never more.
        inputs = nodes.node_up(supply.nodes, tables).rewrite_inputs(inputs)
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
    if start["allocate"].basis != "measured":
        # The platform's own word is for the platform's own time.
        if "allocate_s" in dict(scenario.start_changes):
            start = start.replace("allocate", basis="assumed", source_ids=(), note="as you set it")
        elif supply.nodes is not None and are_brought:
            start = start.replace("allocate", **nodes.told_by(supply.nodes, tables))
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
        gpus_per_replica=scenario.gpus_per_replica,
        kv_precision=scenario.kv_precision,
    )
    if speed.gpus_per_replica > supply.gpus_max and supply.scales_to_zero:
        raise MisfitError(
            f"{model.model} in {speed.precision} needs {speed.gpus_per_replica} × {supply.gpu}, "
            f"but {supply.behaviour.provider} ({supply.offer_id}) gives a replica at most "
            f"{supply.gpus_max}. Choose a larger GPU."
        )
    return speed


def replica_limit(behaviour: Behaviour, speed: ServingSpeed, tables: Tables) -> int:
    """Return the most replicas that the provider, or this product, runs at once."""
    most = int(tables.setting("most_replicas"))
    if behaviour.max_replicas_hard is not None:
        most = min(most, behaviour.max_replicas_hard)
    if behaviour.max_gpus_hard is not None:
        most = min(most, behaviour.max_gpus_hard // speed.gpus_per_replica)
    return max(1, most)


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
