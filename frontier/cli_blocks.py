"""The option that sweeps a data set larger than memory: what it asks, and how far it is.

The work is done in `frontier.blocks` and `trace.spooled`; this is its words, its folder and its
progress, which goes to the error stream.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import numpy as np

from frontier import spell
from frontier.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from frontier.plans.plan import Plan
    from frontier.plans.scenario import Scenario
    from frontier.study import Simulated
    from frontier.tables import Tables
    from frontier.trace import Together, Trace

SUFFIXES = (".csv",)
_STATE = "state.npz"
# Options that need all requests at once, or say how to read what no data set holds.
_REFUSED = (
    *("scheduler", "by_trace", "align", "spans", "cached_share", "by_prefix", "on_clock_reset"),
    *("session_starts", "counts", "metric", "bucket_tokens", "max_rows", "max_bytes"),
)
_EVERY_S, _EVERY_LINE_S = 0.5, 30.0


def add_blocks(parser: argparse.ArgumentParser) -> None:
    """Add to a parser what is asked of a sweep in blocks."""
    add = parser.add_argument
    add(
        "--blocks",
        metavar="FOLDER",
        help="sweep a data set larger than memory, a Parquet file or a folder of them, block by "
        "block; its columns and how far the sweep is are kept in this folder (docs/scale.md)",
    )
    add("--resume", action="store_true", help="go on with the sweep that FOLDER is of")
    add("--block-requests", type=int, metavar="N", help="requests of a block")
    add("--checkpoint-every", type=float, metavar="S", help="how often to write how far it is")
    add("--most-plans", type=int, metavar="N", help="with --blocks: so many plans of the grid")


def check(told: argparse.Namespace) -> None:
    """Refuse what does not go together with --blocks, or makes no sense without."""
    if told.blocks is None:
        for name in ("resume", "block_requests", "checkpoint_every", "most_plans"):
            if getattr(told, name):
                raise InputError(f"--{name.replace('_', '-')} needs --blocks")
        return
    for name in _REFUSED:
        if getattr(told, name):
            raise InputError(f"--{name.replace('_', '-')} does not go together with --blocks")
    if len(told.trace) > 1:
        raise InputError("--trace: one data set is swept in blocks; put several in one folder")
    for name, least in (("block_requests", 1), ("most_plans", 1), ("checkpoint_every", 0)):
        value = getattr(told, name)
        if value is not None and not value >= least:
            raise InputError(f"--{name.replace('_', '-')}: expected at least {least}, got {value}")


def data_set(told: argparse.Namespace, columns: dict[str, str], tables: Tables) -> Together:
    """Return the data set that is named, its columns on disk."""
    from frontier.trace import Together
    from frontier.trace.spooled import spool

    place = Path(told.trace[0])
    if not place.exists():
        raise InputError(f"--trace: there is no file or folder '{place}'")
    say = Said("Read", "rows")
    try:
        trace = spool(
            place,
            Path(told.blocks),
            tables=tables,
            time_unit=told.time_unit,
            time_zone=told.time_zone,
            model=told.trace_model,
            told_columns=columns or None,
            paths=told.paths.split(",") if told.paths else None,
            both_zero=told.both_zero,
            losses=told.losses,
            rows_are=told.rows_are,
            progress=say,
        )
    except OSError as error:
        raise InputError(f"--blocks: cannot write in '{told.blocks}' ({error.strerror})") from None
    finally:
        say.end()
    none = np.zeros(0, np.int8)
    return Together(trace, (trace.name,), none, "clock", "common", (), trace.digest)


def simulate_in_blocks(
    told: argparse.Namespace, scenario: Scenario, trace: Trace, tables: Tables
) -> tuple[Simulated, list[str]]:
    """Return what every plan did, and sentences on how it was found out."""
    from frontier.blocks.runs import Whole
    from frontier.blocks.sweeping import blocks_of, sweep_in_blocks
    from frontier.blocks.tally import ERROR_SHARE
    from frontier.plans.grid import default_grid
    from frontier.plans.scenario import deploy
    from frontier.study import Simulated
    from frontier.trace.spooled import SpooledTrace

    assert isinstance(trace, SpooledTrace)
    deployment = deploy(scenario, trace, tables)
    grid = default_grid(deployment, trace, tables)
    plans = few_of(grid, told.most_plans)
    size = told.block_requests or int(tables.setting("blocks_requests"))
    whole = Whole(int(trace.arrival_s.size), trace.tokens, trace.horizon_s)
    say = Said("Served", f"requests by {spell.count(len(plans), 'plan')}", times=len(plans))
    try:
        found = sweep_in_blocks(
            plans,
            blocks_of(trace, size),
            whole,
            tables,
            trace_digest=trace.digest,
            checkpoint=Path(told.blocks) / _STATE,
            checkpoint_every_s=told.checkpoint_every,
            resume=told.resume,
            progress=say,
        )
    finally:
        say.end()
    if not found.outcomes:
        raise InputError(f"No plan is left: {found.left_out[0]}")
    said = [
        f"Served in blocks of {spell.count(size, 'request')}: bills, shares, the p99 and beyond of "
        "the time to first token are those of one piece; other percentiles are within "
        f"{spell.percent(ERROR_SHARE)} of them.",
        *found.left_out,
    ]
    if len(plans) < len(grid):
        said.append(
            f"{len(plans):,} of {spell.count(len(grid), 'plan')} of the grid were looked at."
        )
    return Simulated(deployment, trace, found.outcomes), said


def few_of(grid: Sequence[Plan], most: int | None) -> list[Plan]:
    """Return so many plans of a grid: those that outline the answer, and others evenly."""
    from frontier.plans.grid import first_look

    if most is None or most >= len(grid):
        return list(grid)
    first = {plan.plan_id for plan in first_look(grid)}
    at = {number for number, plan in enumerate(grid) if plan.plan_id in first}
    others = [number for number in range(len(grid)) if number not in at]
    left = max(0, most - len(at))
    at |= {others[int(place)] for place in np.linspace(0, len(others) - 1, left)}
    return [grid[number] for number in sorted(at)][:most]


class Said:
    """Says on the error stream how far something is: percent, how many a second, time left.

    Parameters
    ----------
    verb, what : str
        "Served", "requests".
    times : int
        How often each is done.
    """

    def __init__(self, verb: str, what: str, *, times: int = 1, stream: TextIO | None = None):
        self._verb, self._what, self._times = verb, what, times
        self._stream = stream or sys.stderr
        self._begun_s = self._said_s = time.monotonic()
        self._first: int | None = None
        self._is_open = False

    def __call__(self, done: int, of_all: int) -> None:
        """Say it, if it was not said a short time ago."""
        now = time.monotonic()
        if self._first is None:
            self._first = done
        every_s = _EVERY_S if self._stream.isatty() else _EVERY_LINE_S
        if now - self._said_s < every_s or not of_all:
            return
        self._said_s = now
        rate = (done - self._first) / (now - self._begun_s)
        left = f", {spell.seconds((of_all - done) / rate)} left" if rate > 0 else ""
        text = (
            f"{self._verb} {spell.percent(done / of_all)} of {of_all:,} {self._what}, "
            f"{rate * self._times:,.0f} a second{left}"
        )
        self._is_open = self._stream.isatty()
        print(f"\r{text:<99}" if self._is_open else text,
              end="" if self._is_open else "\n", file=self._stream, flush=True)  # fmt: skip

    def end(self) -> None:
        """Leave the line."""
        if self._is_open:
            print(file=self._stream)
