"""Many plans on requests that come in blocks: each block is read once and served by every plan.

The plans of a block run in threads. After a block each plan's state is a few megabytes, whatever
came before, and is written down now and then, so that a sweep that was killed goes on from there to
the same result, to the bit.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from frontier.blocks.checkpoint import Checkpoint, digest_of
from frontier.blocks.runs import Block, PlanRun, Whole
from frontier.crew import THREADS, Progress, Threads
from frontier.errors import InfeasibleError
from frontier.plans.plan import Plan
from frontier.sweep import Outcome, start_draws
from frontier.tables import Tables
from frontier.trace.spooled import SpooledTrace

Blocks = Callable[[int], Iterator[Block]]


@dataclass(frozen=True, slots=True, eq=False)
class Swept:
    """What plans did with requests that came in blocks.

    Attributes
    ----------
    outcomes : tuple of Outcome
        In the order of the plans, those left out missing.
    left_out : tuple of str
        A sentence a plan that could not be run so, or to the end.
    """

    outcomes: tuple[Outcome, ...]
    left_out: tuple[str, ...]


def sweep_in_blocks(
    plans: Sequence[Plan],
    blocks: Blocks,
    whole: Whole,
    tables: Tables,
    *,
    trace_digest: str,
    checkpoint: Path | None = None,
    checkpoint_every_s: float | None = None,
    resume: bool = False,
    progress: Progress | None = None,
    crew: Threads = THREADS,
) -> Swept:
    """Serve every plan block after block.

    Parameters
    ----------
    plans : sequence of Plan
    blocks : callable
        Gives the blocks from the request of that number on.
    whole : Whole
        What is known of all requests.
    tables : Tables
        For the settings and the luck of starts.
    trace_digest : str
        Of all requests: a checkpoint of others is refused.
    checkpoint : Path, optional
        Where to write down how far it is, and with ``resume`` to go on from.
    checkpoint_every_s : float, optional
        How often; the setting unless given [s].
    progress : callable, optional
        Called with (done, all) requests, at least ten times a second; what it raises stops all.
    crew : Threads
        Who serves the plans of a block.

    Raises
    ------
    InputError
        If there is nothing to go on from, or it is of another sweep.
    """
    most_waiting = int(tables.setting("blocks_most_waiting"))
    drawn = start_draws((plan.start for plan in plans), tables)
    runs, left_out = [], []
    for plan in plans:
        try:
            runs.append(PlanRun(plan, drawn[plan.start], whole, most_waiting=most_waiting))
        except InfeasibleError as error:
            left_out.append(str(error))
    keeper = None
    position = 0
    if checkpoint is not None:
        of = digest_of(trace_digest, plans, [drawn[plan.start] for plan in plans])
        if checkpoint_every_s is None:
            checkpoint_every_s = tables.setting("blocks_checkpoint_s")
        keeper = Checkpoint(checkpoint, of, checkpoint_every_s)
        if resume:
            position = keeper.load(runs)
    for block in blocks(position):
        size = block.arrival_s.size

        def told(done: int, of_all: int, position: int = position, size: int = size) -> None:
            if progress is not None:
                progress(position + size * done // max(1, of_all), whole.requests)

        crew.run(_serve, block, [run for run in runs if not run.gave_up], progress=told)
        position = block.first + size
        _tidy()
        if keeper is not None and block.next_s is not None:
            keeper.save_if_due(runs, position)
    found = Swept(
        tuple(run.outcome() for run in runs if not run.gave_up),
        (*left_out, *(run.gave_up for run in runs if run.gave_up)),
    )
    if keeper is not None:
        keeper.remove()
    return found


def _tidy() -> None:
    """Give back memory that is free but in shreds, where the C library knows how to."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)


def blocks_of(trace: SpooledTrace, size: int) -> Blocks:
    """Return what gives the blocks of so many requests of a trace on disk."""

    def blocks(first: int) -> Iterator[Block]:
        requests = trace.arrival_s.size
        for begin in range(first, requests, size):
            end = min(begin + size, requests)
            arrival_s, prompts, outputs = trace.slice(begin, end)
            next_s = float(trace.arrival_s[end]) if end < requests else None
            yield Block(begin, arrival_s, prompts, outputs, next_s)

    return blocks


def _serve(block: Block, run: PlanRun, stop: NDArray[np.uint8]) -> None:
    run.take(block, stop)
