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
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
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
from frontier.plans.grid import first_look, offer_grid
from frontier.plans.plan import Plan
from frontier.plans.scenario import Scenario, Supply, deploy_at
from frontier.serve import Works, simulate_plan
from frontier.serving import ServingSpeed
from frontier.shipped import Ran, Shipped
from frontier.simulate import Cancelled, RunResult, session_seconds, session_type
from frontier.start.stages import StartDraws
from frontier.sweep import (
    may_start,
    run_bytes,
    run_key,
    start_draws,
    start_normals,
    unstarted_key,
    usage_of_run,
)
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
class _Reading:
    """How the meters of a run are read for one plan, and for all that are read as it is.

    ``draws`` is the place of the draws that its starts are billed by.
    """

    plan: Plan
    draws: int
    contracts: dict[tuple[Hashable, ...], Contract]


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    """What is simulated once, for every group that has it, and how it is read, by number."""

    plan: Plan
    draws: int
    by: dict[int, _Reading]


_Read = dict[tuple[Hashable, ...], Tried]
"""What a plan did, by how it is metered."""


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
    taken_s = stopwatch()
    ANSWERS.step()
    drawn = _draws(grids.values(), tables)
    runs, readings = _runs({key: asked[key] for key in missing}, grids, drawn)
    # What is one run if nothing has to start is one piece of work.
    pieces: dict[Hashable, list[_Run]] = {}
    for at, run in runs.items():
        pieces.setdefault(unstarted_key(run.plan, at), []).append(run)
    shared, read = (trace, drawn, Works()), dict[int, _Read]()

    def simulate(some: Sequence[Hashable], done: int = 0) -> None:
        def told(now: int, _: int) -> None:
            if progress is not None:
                progress(done + now, len(pieces))

        for found in crew.run(_try, shared, [pieces[at] for at in some], progress=told):
            read.update(found)

    def results() -> Iterator[tuple[Key, tuple[Tried, ...]]]:
        for alike, metering in missing:
            ANSWERS.step()
            yield (
                (alike, metering),
                tuple(
                    dataclasses.replace(read[reading][metering], plan=plan, needed=needed[alike])
                    for reading, plan in zip(readings[alike], grids[alike], strict=True)
                    if reading in read
                ),
            )

    begun: dict[Hashable, None] = {}
    if first is not None:
        looked = _of_first_look(grids, readings)
        begun = {
            at: None
            for at, piece in pieces.items()
            if any(not looked.isdisjoint(run.by) for run in piece)
        }
        simulate(list(begun))
        first(found | dict(results()))
    simulate([at for at in pieces if at not in begun], len(begun))
    made = {key: worth_keeping(tried) for key, tried in results()}
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


def _draws(grids: Iterable[Sequence[Plan]], tables: Tables) -> dict[int, StartDraws]:
    """Return the draws of each start, by the id of the object; equal ones have them in common."""
    starts = {id(plan.start): plan.start for grid in grids for plan in grid}
    drawn = start_draws(starts.values(), tables)
    return {number: drawn[start] for number, start in starts.items()}


def _runs(
    asked: Mapping[Key, Contract],
    grids: Mapping[Alike, Sequence[Plan]],
    drawn: Mapping[int, StartDraws],
) -> tuple[dict[Hashable, _Run], dict[Alike, list[int]]]:
    """Return the different runs of these plans, and the number of each plan's reading."""
    # Starts that last as long are one to a run, and several to what bills their stages.
    lasting: dict[bytes, int] = {}
    lasts = {
        number: lasting.setdefault(draws.total_s.tobytes(), number)
        for number, draws in drawn.items()
    }
    runs: dict[Hashable, _Run] = {}
    numbers: dict[Hashable, int] = {}
    readings: dict[Alike, list[int]] = {}
    found: list[_Reading] = []
    for alike, grid in grids.items():
        ANSWERS.step()
        readings[alike] = []
        for plan in grid:
            start = id(plan.start)
            key = run_key(plan, lasts[start])
            run = runs.setdefault(key, _Run(plan, start, {}))
            how = (
                id(run),
                id(drawn[start]) if may_start(plan) else None,
                plan.speed.gpus_per_replica,
                plan.standing,
                plan.weights_gib,
                plan.weights_stay,
            )
            number = numbers.setdefault(how, len(numbers))
            if number == len(found):
                found.append(_Reading(plan, start, {}))
                run.by[number] = found[number]
            readings[alike].append(number)
    for (alike, metering), contract in asked.items():
        for number in readings[alike]:
            found[number].contracts[metering] = contract
    return runs, readings


def _of_first_look(
    grids: Mapping[Alike, Sequence[Plan]], readings: Mapping[Alike, Sequence[int]]
) -> set[int]:
    """Return the readings of the few plans of each grid that outline the answer."""
    found = set()
    for alike, grid in grids.items():
        few = {id(plan) for plan in first_look(grid)}
        found |= {
            number for number, plan in zip(readings[alike], grid, strict=True) if id(plan) in few
        }
    return found


def _try(
    shared: tuple[Trace, Mapping[int, StartDraws], Works],
    runs: Sequence[_Run],
    stop: NDArray[np.uint8],
) -> dict[int, _Read]:
    """Return what comes of runs which are one where nothing has to start, by their readings."""
    trace, drawn, works = shared
    ran: _Ran | None = None
    read: dict[int, _Read] = {}
    for run in runs:
        if stop[0]:
            raise Cancelled("the market was stopped before its end")
        plan = run.plan
        with room_for(run_bytes(plan, trace), lambda: stop[0]):
            if ran is None or ran.starts:
                ran = None
                # Nobody but the summary holds the waits, which are gone before it is metered.
                ran = _ran(
                    simulate_plan(
                        plan,
                        trace,
                        drawn[run.draws],
                        cancel=stop,
                        work=works.of(plan.speed, trace),
                    )
                )
            for number, reading in run.by.items():
                read[number] = _read(
                    reading.plan, ran, reading.contracts, drawn[reading.draws], trace
                )
    return read


@dataclass(frozen=True, slots=True, eq=False)
class _Ran:
    """What is kept of a run to read meters from."""

    sessions: NDArray[np.void]
    latency: LatencySummary
    starts: int
    busy_share: float


def _ran(result: RunResult) -> _Ran:
    sessions = result.sessions
    return _Ran(
        sessions,
        summarise(result),
        int(np.count_nonzero(sessions["cold_start_index"] >= 0)),
        session_seconds(sessions).busy_share,
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
    ran = _ran(result)
    del result
    return _read(plan, ran, contracts, start, trace)


def _read(
    plan: Plan,
    ran: _Ran,
    contracts: Mapping[tuple[Hashable, ...], Contract],
    start: StartDraws,
    trace: Trace,
) -> _Read:
    usage = usage_of_run(
        plan,
        ran.sessions,
        start.stage_s,
        horizon_s=trace.horizon_s,
        requests=int(trace.arrival_s.size),
    )
    bare = dataclasses.replace(
        usage, sessions=_shared(ran.sessions[:0]), stage_s=_shared(start.stage_s[:1])
    )
    found = {}
    for metering, contract in contracts.items():
        ((_, meters),) = read_meters(usage, contract)
        if meters.machine.size > _FEW_METERS:
            meters = summed(meters, trace.horizon_s)
        meters = _compact(meters)
        found[metering] = Tried(
            plan=plan,
            latency=ran.latency,
            usage=bare,
            meters=meters,
            takes=_takes(plan, meters),
            starts=ran.starts,
            busy_share=ran.busy_share,
            needed=0,
        )
    return found


def key_of(alike: Alike, contract: Contract) -> Key:
    """Return under what the plans of a group are kept as that contract meters them."""
    return alike, metering_key(contract, alike.scenario.gpus_per_replica or 1)
