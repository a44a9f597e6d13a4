"""What the default example's plans did, computed beforehand and shipped in data/shipped.npz.

A first visitor sees the whole first page before the simulation is compiled, or loaded. What the
runs came to knows no price: it stands under a digest of all that they hang on, and is billed as if
it had just been simulated. A digest is made of the plans themselves, whatever table or choice they
come from, of the traffic, of how starts are drawn, of how meters are read and of the code that runs
them. What takes many more runs, the ranges of luck and the break-even, is shipped as what came of
it, under a digest of the prices, rules and settings too. Where anything of it differs nothing is
found here, and the plans are simulated. `make shipped` computes the file anew.

Left out: what each request waited. That is simulated when a page asks for it.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import hashlib
import json
import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frontier.billing import Meters
from frontier.held import Held
from frontier.latency import LatencySummary
from frontier.memory import ById
from frontier.plans.plan import Plan
from frontier.simulate import session_type
from frontier.sweep import Outcome, start_draws, with_bound
from frontier.tables import Tables
from frontier.tables.reader import DATA_DIR
from frontier.trace import Trace

FILE = DATA_DIR / "shipped.npz"

# What turns plans and a trace into seconds, ranges and a break-even; the plans' own numbers are in
# their digests. What is left out of a market because it can never be worth more is looked at by a
# test.
_CODE = (
    "kernel.py",
    "simulate.py",
    "serve.py",
    "latency.py",
    "interruptions.py",
    "autoscalers.py",
    "billing/bill.py",
    "billing/host.py",
    "billing/meters.py",
    "billing/shapes.py",
    "billing/terms.py",
    "serving/speed.py",
    "start/seconds.py",
    "start/stages.py",
    "economics.py",
    "sweep.py",
    "rivals.py",
    "break_even.py",
    "ranges/luck.py",
    "ranges/resample.py",
)
# Names and words of a plan, which no run hangs on.
_WORDS = ("plan_id", "label", "detail", "offer_id", "base_offer_id", "assumed", "is_committed")
_DIGEST_BYTES = 16
_LATENCY = tuple(field.name for field in dataclasses.fields(LatencySummary))
_COLUMN = "sessions_"


@dataclass(frozen=True, slots=True, eq=False)
class Ran:
    """What one plan came to, read by the meters of one contract.

    Attributes
    ----------
    at : int
        Which plan of its group it is.
    starts : int
        Cold starts.
    busy_share : float
        Busy over held seconds. [1]
    """

    at: int
    latency: LatencySummary
    meters: Meters
    starts: int
    busy_share: float


class Shipped:
    """What a file of results holds, by digest.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        As `pack` returns them.
    """

    def __init__(self, arrays: Mapping[str, NDArray]) -> None:
        self._arrays = arrays
        is_current = arrays["code"].tobytes() == code_digest()
        self._traces = {one.tobytes() for one in arrays["traces"]} if is_current else set()
        self._groups = _by_digest(arrays["groups"], arrays["group_ends"])
        self._outcomes = _by_digest(arrays["outcomes"], arrays["outcome_ends"])
        self._sessions = _sessions_of(arrays)
        self._answers: dict[str, Any] = json.loads(arrays["answers"].tobytes())

    def has(self, trace: Trace) -> bool:
        """Whether there is anything of that traffic, by this very code."""
        return _of_trace(trace) in self._traces

    def group(
        self, plans: Sequence[Plan], trace: Trace, metering: Hashable, tables: Tables
    ) -> tuple[Ran, ...] | None:
        """Return what the plans worth keeping of a group came to; None where that is not shipped.

        Parameters
        ----------
        metering : hashable
            `billing.metering_key` of the contract whose meters are read.
        """
        if not self.has(trace):
            return None
        at = self._groups.get(group_digest(plans, trace, metering, tables))
        if at is None:
            return None
        held = self._arrays
        return tuple(
            self._ran(int(plan), int(run))
            for plan, run in zip(held["member_plan"][at], held["member_run"][at], strict=True)
        )

    def _ran(self, plan: int, run: int) -> Ran:
        held = self._arrays
        at = slice(int(held["meter_ends"][run - 1]) if run else 0, int(held["meter_ends"][run]))
        return Ran(
            plan,
            _latency(held["latency"][run]),
            Meters(
                gpus=int(held["gpus"][run]),
                machine=held["machine"][at],
                started_s=held["started_s"][at],
                ended_s=held["ended_s"][at],
                gpu_s=np.ascontiguousarray(held["gpu_s"][at].T),
                extra_start_gpu_s=float(held["extra_start_gpu_s"][run]),
                held_s=float(held["held_s"][run]),
            ),
            int(held["starts"][run]),
            float(held["busy_share"][run]),
        )

    def sweep(
        self, plans: Sequence[Plan], trace: Trace, tables: Tables
    ) -> tuple[Outcome, ...] | None:
        """Return what these plans did, and the bound; None where one of them is not shipped."""
        outcomes = self.outcomes(plans, trace, tables)
        if outcomes is None:
            return None
        at = self._outcomes.get(bound_digest(plans, trace, tables))
        return None if at is None else with_bound(outcomes, trace, self._sessions[at])

    def outcomes(
        self, plans: Sequence[Plan], trace: Trace, tables: Tables
    ) -> tuple[Outcome, ...] | None:
        """Return what these plans did, all of it; None where one of them is not shipped."""
        if not self.has(trace):
            return None
        found = [self._outcomes.get(outcome_digest(plan, trace, tables)) for plan in plans]
        if None in found:
            return None
        draws = start_draws([plan.start for plan in plans], tables)
        return tuple(
            self._outcome(plan, trace, at, draws[plan.start].stage_s)
            for plan, at in zip(plans, found, strict=True)
            if at is not None
        )

    def _outcome(
        self, plan: Plan, trace: Trace, at: slice, stage_s: NDArray[np.float64]
    ) -> Outcome:
        held = self._arrays
        row = int(np.searchsorted(held["outcome_ends"], at.stop))
        return Outcome(
            plan=plan,
            latency=_latency(held["outcome_latency"][row]),
            held=Held(self._sessions[at]),
            stage_s=stage_s,
            horizon_s=trace.horizon_s,
            requests=int(trace.arrival_s.size),
            tokens=int(held["tokens"][row]),
            ttft_of_thousand_s=held["thousand"][row],
        )

    def answer(self, key: bytes, make: Callable[[], Any]) -> Any:
        """Return what came of many runs, as JSON holds it; made where it is not shipped.

        Parameters
        ----------
        key : bytes
            `answer_digest` of all that it hangs on.
        """
        found = self._answers.get(key.hex())
        return make() if found is None else found


@functools.cache
def shipped() -> Shipped | None:
    """Return what data/shipped.npz holds; None where there is no such file.

    None too where this Python was built without LZMA: all of it can be simulated.
    """
    try:
        return read(FILE) if FILE.exists() else None
    except RuntimeError:
        return None


def read(path: Path) -> Shipped:
    """Return what a file of results holds."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    for array in arrays.values():
        array.setflags(write=False)
    return Shipped(arrays)


Group = tuple[Sequence[Plan], Hashable, Sequence[Ran]]
"""All plans of a group, how its meters are read, and what those worth keeping came to."""


def pack(
    groups: Iterable[Group],
    sweep: Sequence[Outcome],
    others: Sequence[Outcome],
    answers: Mapping[bytes, Any],
    trace: Trace,
    tables: Tables,
) -> dict[str, NDArray]:
    """Return the arrays of a file with these results; what is alike stands once.

    ``draws`` is the digest of the starts as this host drew them: an exponential may differ in its
    last bit between processors.

    Parameters
    ----------
    sweep : sequence of Outcome
        Of the pair's plans; the bound is the last.
    others : sequence of Outcome
        Of other plans.
    answers : mapping of bytes to JSON
        As `Shipped.answer` returns them.
    """
    *run, bound = sweep
    outcomes = (*run, *others)
    held = [*outcomes, bound]
    keys = [outcome_digest(one.plan, trace, tables) for one in outcomes]
    keys.append(bound_digest([one.plan for one in run], trace, tables))
    digests, ends, members = [], [], []
    runs: dict[bytes, int] = {}
    columns: dict[str, list[Any]] = {
        name: []
        for name in ("latency", "gpus", "starts", "busy_share", "extra_start_gpu_s", "held_s")
    }
    meters: list[Meters] = []
    for plans, metering, ran in groups:
        digests.append(np.frombuffer(group_digest(plans, trace, metering, tables), np.uint8))
        for one in ran:
            key = digest(one.latency, one.meters, one.starts, one.busy_share)
            if key not in runs:
                runs[key] = len(runs)
                meters.append(one.meters)
                columns["latency"].append(_numbers(one.latency))
                columns["gpus"].append(one.meters.gpus)
                columns["starts"].append(one.starts)
                columns["busy_share"].append(one.busy_share)
                columns["extra_start_gpu_s"].append(one.meters.extra_start_gpu_s)
                columns["held_s"].append(one.meters.held_s)
            members.append((one.at, runs[key]))
        ends.append(len(members))
    return {
        "code": np.frombuffer(code_digest(), np.uint8),
        "draws": np.frombuffer(digest(*(one.stage_s for one in run)), np.uint8),
        "traces": np.frombuffer(_of_trace(trace), np.uint8)[None, :],
        "groups": np.array(digests),
        "group_ends": np.array(ends, dtype=np.int32),
        "member_plan": np.array([at for at, _ in members], dtype=np.int16),
        "member_run": np.array([run for _, run in members], dtype=np.int32),
        **{name: np.array(values) for name, values in columns.items()},
        "meter_ends": np.cumsum([one.machine.size for one in meters], dtype=np.int32),
        "machine": np.concatenate([one.machine for one in meters]),
        "started_s": np.concatenate([one.started_s for one in meters]),
        "ended_s": np.concatenate([one.ended_s for one in meters]),
        # By column, as they are alike down a column.
        "gpu_s": np.asfortranarray(np.concatenate([one.gpu_s.T for one in meters])),
        "outcomes": np.array([np.frombuffer(key, np.uint8) for key in keys]),
        "outcome_ends": np.cumsum([one.sessions.size for one in held], dtype=np.int32),
        "outcome_latency": np.asfortranarray([_numbers(one.latency) for one in outcomes]),
        **_columns_of(np.concatenate([one.sessions for one in held])),
        "tokens": np.array([one.tokens for one in outcomes]),
        "thousand": np.array([one.ttft_of_thousand_s for one in outcomes]),
        "answers": np.frombuffer(
            json.dumps({key.hex(): value for key, value in answers.items()}).encode(), np.uint8
        ),
    }


def _columns_of(sessions: NDArray[np.void]) -> dict[str, NDArray]:
    """Return sessions by column; of what follows from the others, how it differs from that."""
    columns = {name: np.ascontiguousarray(sessions[name]) for name in sessions.dtype.names or ()}
    apart = {name: columns[name].view(np.int64) - follow(columns) for name, follow in _FOLLOWS}
    return {f"{_COLUMN}{name}": column for name, column in (columns | apart).items()}


def _sessions_of(arrays: Mapping[str, NDArray]) -> NDArray[np.void]:
    """Return the sessions that `_columns_of` took apart, the same to the bit; read-only."""
    columns = {
        name.removeprefix(_COLUMN): array
        for name, array in arrays.items()
        if name.startswith(_COLUMN)
    }
    for name, follow in _FOLLOWS:
        columns[name] = (columns[name] + follow(columns)).view(np.float64)
    rows, tiers = columns["parked_s"].shape
    sessions = np.empty(rows, dtype=session_type(tiers))
    for name, column in columns.items():
        sessions[name] = column
    sessions.setflags(write=False)
    return sessions


def _bits(seconds: NDArray[np.float64]) -> NDArray[np.int64]:
    return seconds.view(np.int64)


# Nearly always to the bit, so that next to nothing is left to be shipped.
_FOLLOWS: tuple[tuple[str, Callable[[Mapping[str, NDArray]], NDArray[np.int64]]], ...] = (
    ("ready_s", lambda of: _bits(of["started_s"] + of["starting_s"])),
    ("ended_s", lambda of: _bits(of["ready_s"] + of["busy_s"] + of["idle_s"])),
)


def group_digest(plans: Sequence[Plan], trace: Trace, metering: Hashable, tables: Tables) -> bytes:
    """Return the digest of all that the results of a group hang on."""
    return digest(_of_trace(trace), _luck(tables), metering, *map(_run_of, plans))


def outcome_digest(plan: Plan, trace: Trace, tables: Tables) -> bytes:
    """Return the digest of all that what a plan does hangs on."""
    return digest(_of_trace(trace), _luck(tables), _run_of(plan))


def bound_digest(plans: Sequence[Plan], trace: Trace, tables: Tables) -> bytes:
    """Return the digest of all that the clairvoyant bound of these plans hangs on."""
    return digest("bound", _of_trace(trace), _luck(tables), *map(_run_of, plans))


def answer_digest(
    kind: str, plans: Iterable[Plan], trace: Trace, tables: Tables, *more: object
) -> bytes:
    """Return the digest of all that an answer hangs on.

    Parameters
    ----------
    kind : str
        Which answer it is.
    plans : iterable of Plan
        What is run.
    more : object
        What else it hangs on beside the traffic and the settings: contracts, a limit.
    """
    settings = tuple((name, row.value) for name, row in tables.settings.items())
    return digest(kind, _of_trace(trace), settings, tuple(map(_run_of, plans)), *more)


@functools.cache
def code_digest() -> bytes:
    """Return the digest of the code that turns plans and a trace into results."""
    made = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    for name in _CODE:
        text = (Path(__file__).parent / name).read_bytes()
        made.update(text.replace(b"\r\n", b"\n"))
    return made.digest()


def digest(*values: object) -> bytes:
    """Return a digest of values and all that they are made of, the same in every process.

    Raises
    ------
    TypeError
        For a value of a kind that has no content of its own.
    """
    made = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    _write(values, made.update)
    return made.digest()


def _write(value: object, write: Callable[[bytes], object]) -> None:
    if isinstance(value, bytes):
        write(b"b%d:" % len(value) + value)
    elif value is None or isinstance(value, bool | int | float | str | np.generic):
        # A float's repr is exact; numpy's scalars are written like Python's own.
        plain = value.item() if isinstance(value, np.generic) else value
        write(f"{plain!r};".encode())
    elif isinstance(value, dt.date):
        write(f"t{value.isoformat()};".encode())
    elif isinstance(value, Mapping):
        _write(sorted(value.items()), write)
    elif isinstance(value, tuple | list):
        write(b"(%d:" % len(value))
        for item in value:
            _write(item, write)
    elif isinstance(value, np.ndarray):
        write(f"a{value.dtype.str}{value.shape}".encode() + np.ascontiguousarray(value).tobytes())
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        write(f"d{type(value).__name__}:".encode())
        for name in _names_of(type(value)):
            _write(getattr(value, name), write)
    else:
        raise TypeError(f"{type(value).__name__} has no content to digest: {value!r}")


@functools.cache
def _names_of(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind))


def _run_of(plan: Plan) -> bytes:
    """Return the digest of all of a plan that its run and its meters hang on."""
    parts: list[object] = []
    for name in _names_of(Plan):
        value = getattr(plan, name)
        if name == "family":
            parts.append(value.key)
        elif name in ("start", "speed"):
            parts.append(_digest_of(ById(value)))
        elif name not in _WORDS:
            parts.append(value)
    return digest(*parts)


@functools.lru_cache(maxsize=512)
def _digest_of(shared: ById) -> bytes:
    return digest(shared.held)


def _of_trace(trace: Trace) -> bytes:
    began = "" if trace.t0_utc is None else trace.t0_utc.isoformat()
    return digest(trace.digest, began)


def _luck(tables: Tables) -> tuple[float, float]:
    return tables.setting("start_seed"), tables.setting("start_draws")


def _by_digest(digests: NDArray, ends: NDArray) -> dict[bytes, slice]:
    begins = [0, *ends.tolist()]
    return {
        one.tobytes(): slice(begin, end)
        for one, begin, end in zip(digests, begins, begins[1:], strict=False)
    }


def _numbers(latency: LatencySummary) -> list[float]:
    """Return the numbers of a summary; what there is none of is NaN, which none of them can be."""
    values = (getattr(latency, name) for name in _LATENCY)
    return [math.nan if value is None else value for value in values]


def _latency(numbers: NDArray[np.float64]) -> LatencySummary:
    values: list[Any] = [None if math.isnan(value) else value for value in numbers.tolist()]
    return LatencySummary(*values)
