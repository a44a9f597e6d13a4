"""What is simulated alike at many offers, simulated once and kept without a price.

Offers with the same GPUs, starts and limits run the same plans alike, whatever they cost. Such a
group is an `Alike`, hashable, and `try_plans` returns what its plans did: percentiles, and the
seconds that its meters read. Sessions are dropped once they are read, so that a market of thousands
of plans stays small; a price, a fee or a limit changes nothing that is kept here.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from frontier.answers import ANSWERS
from frontier.billing import Contract, Meters, Usage, metering_key, read_meters, summed
from frontier.crew import THREADS, Crew, Progress
from frontier.economics import undominated
from frontier.latency import LatencySummary, summarise
from frontier.memory import room_for, stopwatch
from frontier.plans.families import DEDICATED
from frontier.plans.grid import first_look, offer_grid
from frontier.plans.plan import Plan
from frontier.plans.scenario import Scenario, Supply, deploy_at
from frontier.serve import simulate_plan
from frontier.serving import ServingSpeed
from frontier.shipped import Ran, Shipped
from frontier.simulate import Cancelled, RunResult, session_seconds, session_type
from frontier.start.stages import StartDraws
from frontier.sweep import run_bytes, start_draws, start_normals, usage_of_run
from frontier.tables import Gpu, Model, Tables
from frontier.trace import Trace

# Seconds that differ by the last bits of a float are the same.
_DECIMALS = 6

# A plan with so many meters keeps each of them, as a commitment looks at when machines are up.
_FEW_METERS = 64


@dataclass(frozen=True, slots=True)
class Alike:
    """All that the plans of an offer hang on, and no price: a key to keep their results under.

    Attributes
    ----------
    trace : tuple
        Digest and beginning of the traffic.
    scenario : Scenario
        The choices, without offers and limit; its GPUs of a replica are set.
    supply : Supply
        The offer, without its names.
    """

    trace: tuple[str, dt.datetime | None]
    scenario: Scenario
    model: Model
    gpu: Gpu
    supply: Supply


@dataclass(frozen=True, slots=True, eq=False)
class Tried:
    """What one plan did with the traffic, as far as a bill and a row of the market need it.

    Attributes
    ----------
    usage : Usage
        Of a bill, without the sessions: ``meters`` has been read from them.
    takes : tuple of float
        What has a price: GPU-seconds of all lines, host memory kept, storage. [s], [GiB s], [GB]
    starts : int
        Cold starts.
    busy_share : float
        Busy over held seconds. [1]
    needed : int
        Replicas that the busiest minute keeps busy.
    """

    plan: Plan
    latency: LatencySummary
    usage: Usage
    meters: Meters
    takes: tuple[float, float, float]
    starts: int
    busy_share: float
    needed: int


Key = tuple[Alike, tuple[Hashable, ...]]
"""A group, and how its meters are read."""

Results = dict[Key, tuple[Tried, ...]]


class Keeps(Protocol):
    """Where results are kept between calls: anything bounded that can get and put."""

    def get(self, key: Hashable) -> tuple[Tried, ...] | None:
        """Return what is kept under that key, or None."""

    def put(self, key: Hashable, value: tuple[Tried, ...], seconds: float) -> None:
        """Keep a value that took so long to make [s]."""


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    """One plan to simulate, once, for every group that has it, and the ways to meter it."""

    plan: Plan
    contracts: dict[tuple[Hashable, ...], Contract]


def try_plans(
    asked: Mapping[Key, Contract],
    trace: Trace,
    tables: Tables,
    *,
    speeds: Mapping[tuple[str, int], ServingSpeed],
    kept: Keeps,
    shipped: Shipped | None = None,
    first: Callable[[Results], None] | None = None,
    progress: Progress | None = None,
    crew: Crew = THREADS,
) -> Results:
    """Return what the plans of each group did, simulating only what is neither kept nor shipped.

    Parameters
    ----------
    asked : mapping of key to Contract
        A contract for each key under which its meters are read; any price will do.
    speeds : mapping of (GPU, count) to ServingSpeed
        Of the replicas of these groups.
    kept : Keeps
        Looked in, and filled.
    shipped : Shipped, optional
        What was computed beforehand.
    first : callable, optional
        Gets what the few plans did that outline the answer, if anything has to be simulated.
    progress : callable, optional
        As for `sweep.simulate_plans`; what it raises stops all.
    crew : Crew
        Who simulates.
    """
    found: Results = {}
    for key in asked:
        known = kept.get(key)
        if known is not None:
            found[key] = known
    missing = [key for key in asked if key not in found]
    if not missing:
        return found
    grids, needed = _grids(missing, trace, tables, speeds)
    if shipped is not None and shipped.has(trace):
        for alike, metering in missing:
            taken_s = stopwatch()
            ran = shipped.group(grids[alike], trace, metering, tables)
            if ran is not None:
                key = (alike, metering)
                found[key] = _as_tried(ran, grids[alike], needed[alike], trace, tables)
                kept.put(key, found[key], taken_s())
        missing = [key for key in missing if key not in found]
        if not missing:
            return found
        grids = {alike: grids[alike] for alike, _ in missing}
    taken_s, ids = stopwatch(), _Ids()
    run_of = {}
    for alike, grid in grids.items():
        ANSWERS.step()
        run_of[alike] = [_same_run(plan, alike, ids) for plan in grid]
    jobs: dict[Hashable, _Job] = {}
    for key in missing:
        alike, metering = key
        for run, plan in zip(run_of[alike], grids[alike], strict=True):
            job = jobs.setdefault(run, _Job(plan, {}))
            job.contracts[metering] = asked[key]
    runs: dict[Hashable, dict[tuple[Hashable, ...], Tried]] = {}

    def simulate(keys: Sequence[Hashable]) -> None:
        done = len(runs)

        def told(now: int, _: int) -> None:
            if progress is not None:
                progress(done + now, len(jobs))

        ran = _run([jobs[key] for key in keys], trace, tables, told, crew)
        runs.update(zip(keys, ran, strict=True))

    def results() -> Results:
        return {
            (alike, metering): tuple(
                dataclasses.replace(runs[run][metering], plan=plan, needed=needed[alike])
                for run, plan in zip(run_of[alike], grids[alike], strict=True)
                if run in runs
            )
            for alike, metering in missing
        }

    if first is not None:
        looked = {id(plan) for grid in grids.values() for plan in first_look(grid)}
        few = [run for run, job in jobs.items() if id(job.plan) in looked]
        simulate(few)
        first(found | results())
    simulate([key for key in jobs if key not in runs])
    made = {}
    for key, tried in results().items():
        ANSWERS.step()
        made[key] = worth_keeping(tried)
    each_s = taken_s() / len(made)
    for key, tried in made.items():
        ANSWERS.step()
        kept.put(key, tried, each_s)
    return found | made


def _as_tried(
    ran: Iterable[Ran], grid: Sequence[Plan], needed: int, trace: Trace, tables: Tables
) -> tuple[Tried, ...]:
    """Return results that were computed beforehand as if they had just been simulated."""
    # The first start that would be drawn: a usage holds one, for its shape.
    luck = start_normals(tables)[:1]
    stages_s: dict[int, NDArray[np.float64]] = {}
    found = []
    for one in ran:
        plan = grid[one.at]
        if id(plan.start) not in stages_s:
            stages_s[id(plan.start)] = _shared(plan.start.draw(luck).stage_s[:1])
        usage = usage_of_run(
            plan,
            _shared(np.empty(0, dtype=session_type(len(plan.policy.parked)))),
            stages_s[id(plan.start)],
            horizon_s=trace.horizon_s,
            requests=int(trace.arrival_s.size),
        )
        found.append(
            Tried(
                plan=plan,
                latency=one.latency,
                usage=usage,
                meters=_compact(one.meters),
                takes=_takes(plan, one.meters),
                starts=one.starts,
                busy_share=one.busy_share,
                needed=needed,
            )
        )
    return tuple(found)


def _compact(meters: Meters) -> Meters:
    """Return meters that share what is the same in many of them, and keep no more alive."""
    return dataclasses.replace(
        meters,
        machine=_shared(meters.machine),
        started_s=_shared(meters.started_s),
        ended_s=_shared(meters.ended_s),
    )


def _shared(array: NDArray[Any]) -> NDArray[Any]:
    """Return an equal array, read-only, that many results have in common."""
    return _once(array.dtype, array.shape, array.tobytes())


@functools.lru_cache(maxsize=1024)
def _once(dtype: np.dtype[Any], shape: tuple[int, ...], content: bytes) -> NDArray[Any]:
    if not content:
        return np.empty(shape, dtype)
    return np.frombuffer(content, dtype).reshape(shape)


def _takes(plan: Plan, meters: Meters) -> tuple[float, float, float]:
    """Return what of a run has a price, as `Tried` has it."""
    return (
        float(meters.gpu_s.sum()) + meters.extra_start_gpu_s,
        plan.standing.host_ram_gib * meters.held_s,
        plan.standing.storage_gb,
    )


def worth_keeping(tried: Iterable[Tried]) -> tuple[Tried, ...]:
    """Return the plans that can be cheapest under some limit at some price, in their order.

    Left out is a plan beside which another of its family, whose replicas take as much of a host,
    holds no GPU, memory or storage for longer and waits no longer: it is never worth more.
    """
    tried = tuple(tried)
    kinds = [
        (item.plan.family.key, item.plan.speed, item.plan.weights_gib, item.plan.weights_stay)
        for item in tried
    ]
    needs = np.array([(*item.takes, item.latency.p99_ttft_s) for item in tried])
    kept = undominated(kinds, needs.reshape(len(tried), -1).round(_DECIMALS))
    return tuple(
        item
        for item, keep in zip(tried, kept, strict=True)
        if keep or item.plan.is_provider_default
    )


def _grids(
    keys: Iterable[Key],
    trace: Trace,
    tables: Tables,
    speeds: Mapping[tuple[str, int], ServingSpeed],
) -> tuple[dict[Alike, tuple[Plan, ...]], dict[Alike, int]]:
    """Return the plans of each group, and the replicas that the busiest minute keeps busy."""
    grids, needed = {}, {}
    for alike in dict.fromkeys(alike for alike, _ in keys):
        ANSWERS.step()
        scenario, supply = alike.scenario, alike.supply
        speed = speeds[supply.gpu, scenario.gpus_per_replica or 1]
        deployed = deploy_at(scenario, supply, trace, tables, speed=speed)
        grids[alike] = offer_grid(deployed, trace, tables)
        needed[alike] = deployed.busiest_replicas
    return grids, needed


class _Ids:
    """A small number for each different value; one object is looked at once."""

    def __init__(self) -> None:
        self._of_value: dict[Hashable, int] = {}
        self._of_object: dict[int, tuple[object, int]] = {}

    def of(self, value: Hashable) -> int:
        """Return the number of a value."""
        known = self._of_object.get(id(value))
        if known is None:
            number = self._of_value.setdefault(value, len(self._of_value))
            # The object is kept as well, so that no other one can come to have its id.
            known = self._of_object[id(value)] = (value, number)
        return known[1]


def _same_run(plan: Plan, alike: Alike, ids: _Ids) -> Hashable:
    """Return all that the run and the meters of a plan hang on within one market."""
    # What is always on never starts; how long that would take matters to spot machines alone.
    is_started = plan.family is not DEDICATED or alike.supply.kind == "spot"
    return (
        plan.policy,
        ids.of(plan.start) if is_started else None,
        plan.speed.gpu,
        plan.speed.gpus_per_replica,
        plan.mitigations,
        ids.of(plan.standing),
        plan.retry_s,
        plan.weights_stay,
        plan.interruptions_per_h,
    )


def _run(
    jobs: Sequence[_Job],
    trace: Trace,
    tables: Tables,
    progress: Progress | None,
    crew: Crew,
) -> list[dict[tuple[Hashable, ...], Tried]]:
    starts = {id(job.plan.start): job.plan.start for job in jobs}
    drawn = start_draws(starts.values(), tables)
    draws, at = list(drawn.values()), {start: index for index, start in enumerate(drawn)}
    of_start = {number: at[start] for number, start in starts.items()}
    return crew.run(
        _try,
        (trace, tuple(draws)),
        [(job, of_start[id(job.plan.start)]) for job in jobs],
        progress=progress,
    )


def _try(
    shared: tuple[Trace, tuple[StartDraws, ...]], item: tuple[_Job, int], stop: NDArray[np.uint8]
) -> dict[tuple[Hashable, ...], Tried]:
    """Return what a job's plan did, by the ways to meter it."""
    (trace, draws), (job, index) = shared, item
    if stop[0]:
        raise Cancelled("the market was stopped before its end")
    start = draws[index]
    with room_for(run_bytes(job.plan, trace), lambda: stop[0]):
        # Nobody but the reading holds the run, which lets go of it before it meters.
        return read_off(
            job.plan,
            simulate_plan(job.plan, trace, start, cancel=stop),
            job.contracts,
            start,
            trace,
        )


def read_off(
    plan: Plan,
    result: RunResult,
    contracts: Mapping[tuple[Hashable, ...], Contract],
    start: StartDraws,
    trace: Trace,
) -> dict[tuple[Hashable, ...], Tried]:
    """Return what a run was, its meters read under each contract, and no session kept.

    Parameters
    ----------
    contracts : mapping of `metering_key` to Contract
    start : StartDraws
        Of the plan.
    """
    sessions, latency = result.sessions, summarise(result)
    del result
    usage = usage_of_run(
        plan,
        sessions,
        start.stage_s,
        horizon_s=trace.horizon_s,
        requests=int(trace.arrival_s.size),
    )
    bare = dataclasses.replace(
        usage, sessions=_shared(sessions[:0]), stage_s=_shared(start.stage_s[:1])
    )
    starts = int(np.count_nonzero(sessions["cold_start_index"] >= 0))
    busy_share = session_seconds(sessions).busy_share
    found = {}
    for metering, contract in contracts.items():
        ((_, meters),) = read_meters(usage, contract)
        if meters.machine.size > _FEW_METERS:
            meters = summed(meters, trace.horizon_s)
        meters = _compact(meters)
        found[metering] = Tried(
            plan=plan,
            latency=latency,
            usage=bare,
            meters=meters,
            takes=_takes(plan, meters),
            starts=starts,
            busy_share=busy_share,
            needed=0,
        )
    return found


def key_of(alike: Alike, contract: Contract) -> Key:
    """Return under what the plans of a group are kept as that contract meters them."""
    return alike, metering_key(contract, alike.scenario.gpus_per_replica or 1)
