"""Which prompts begin as an earlier one did: from blocks, from sessions, from counts, from a share.

Engines keep the tokens of a prompt and find them again where the next prompt begins alike. A trace
says which earlier request a prompt begins as (its *parent*) and how many tokens they share; whether
these are still there is up to the simulation. What a file says decides how that is found out, and
the trace says it:

- blocks of tokens (``hash_ids``): the longest run of first blocks that an earlier prompt had too;
  the parent is the latest that had it;
- a count of cached tokens for each request: that many, shared with the request before of the same
  session, or else the request before;
- turns of an agent, whose prompts grow: all that came before in the session;
- one share, if the reader gives one: that part of each prompt, shared with the request before.

It leaves out blocks in the middle of a prompt, which no engine finds.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from frontier import spell
from frontier.errors import InputError
from frontier.trace.model import Trace, make_trace

if TYPE_CHECKING:
    import pyarrow as pa

NONE = -1
CACHED_NAMES = (
    "cached_tokens",
    "cached_input_tokens",
    "input_cached_tokens",
    "cache_read_input_tokens",
    "prompt_tokens_cached",
    "prompt_tokens_details.cached_tokens",
    "input_tokens_details.cached_tokens",
    "usage.prompt_tokens_details.cached_tokens",
    "usage.input_tokens_details.cached_tokens",
    "usage.cache_read_input_tokens",
    "metadata.usage_object.prompt_tokens_details.cached_tokens",
    "metadata.usage_object.cache_read_input_tokens",
    "response.usage.prompt_tokens_details.cached_tokens",
    "gen_ai.usage.cache_read.input_tokens",
    "tokens_cached",
)
"""Columns that count the tokens of a prompt that a cache had, as gateways and APIs name them."""
BLOCKS = "hash_ids"
"""Column of the blocks of a prompt, in Mooncake's and Bailian's traces a list, in RAGPulse's an
object of lists."""


class Blocks:
    """Finds, request by request, the latest earlier one that began with the same blocks.

    It holds two generations of the runs of first blocks that it has seen, the older of which is
    forgotten when the younger is full: memory has a bound, and what is forgotten was not seen for
    at least as many runs as that.

    Parameters
    ----------
    most : int
        Runs in a generation.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._young: dict[int, int] = {}
        self._old: dict[int, int] = {}
        self._requests = 0

    def take(
        self, cells: pa.Array, prompt_tokens: NDArray[np.int32]
    ) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return parents and shared tokens of the next requests, counted from the first taken.

        Blocks of one prompt are taken as equally long: not every format says how long they are.
        """
        parent = np.full(len(cells), NONE, dtype=np.int32)
        shared = np.zeros(len(cells), dtype=np.int32)
        for row, cell in enumerate(cells.to_pylist()):
            blocks = _listed(cell)
            run, found, latest = 0, 0, NONE
            is_known = True
            for block in blocks:
                run = hash((run, block))
                if is_known:
                    seen = self._young.get(run, self._old.get(run, NONE))
                    if seen == NONE:
                        is_known = False
                    else:
                        latest, found = seen, found + 1
                self._remember(run, self._requests + row)
            if found:
                parent[row] = latest
                shared[row] = int(prompt_tokens[row]) * found // len(blocks)
        self._requests += len(cells)
        return parent, shared

    def _remember(self, run: int, request: int) -> None:
        self._young[run] = request
        if len(self._young) >= self._most:
            self._old, self._young = self._young, {}


def _listed(cell: object) -> list[object]:
    """Return the blocks of a cell in order: those of an object's lists one after the other."""
    if isinstance(cell, dict):
        return [block for part in cell.values() for block in _listed(part)]
    if isinstance(cell, list):
        return cell
    return []


def moved(
    parent: NDArray[np.int32], shared: NDArray[np.int32], origin: NDArray[np.integer]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return parents and shared tokens of requests that were left out, repeated or put in order.

    Parameters
    ----------
    origin : ndarray of int, shape (n,)
        Which of the requests before each of the requests now is.
    """
    latest = [NONE] * parent.size
    now = np.full(origin.size, NONE, dtype=np.int32)
    parents = parent.tolist()
    for at, was in enumerate(origin.tolist()):
        before = parents[was]
        if before >= 0:
            now[at] = latest[before]
        latest[was] = at
    return now, np.where(now >= 0, shared[origin], 0).astype(np.int32)


def of_counts(
    cached: NDArray[np.int32], session_id: NDArray[np.int32] | None
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return parents and shared tokens where each request says how many tokens a cache had."""
    before = np.arange(cached.size, dtype=np.int32) - 1
    if session_id is not None:
        turn = previous_turn(session_id)
        before = np.where(turn >= 0, turn, before)
    parent = np.where(cached > 0, before, NONE).astype(np.int32)
    return parent, np.where(parent >= 0, cached, 0).astype(np.int32)


def of_turns(
    session_id: NDArray[np.int32],
    prompt_tokens: NDArray[np.int32],
    output_tokens: NDArray[np.int32],
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return parents and shared tokens of an agent's turns: all that came before in the session.

    A prompt shorter than the one before was cut: nothing of it is taken to be found.
    """
    turn = previous_turn(session_id)
    read = prompt_tokens[turn].astype(np.int64)
    grown = (turn >= 0) & (prompt_tokens >= read)
    shared = np.minimum(read + output_tokens[turn], prompt_tokens)
    return np.where(grown, turn, NONE).astype(np.int32), np.where(grown, shared, 0).astype(np.int32)


def previous_turn(session_id: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the request before of the same session, by position; -1 for the first of one."""
    order = np.argsort(session_id, kind="stable")
    same = session_id[order[1:]] == session_id[order[:-1]]
    before = np.full(session_id.size, NONE, dtype=np.int32)
    before[order[1:]] = np.where(same, order[:-1], NONE)
    return before


def with_cached_share(trace: Trace, share: float) -> Trace:
    """Return a trace of which that share of each prompt is what the request before began with.

    Raises
    ------
    InputError
        If the share is not from 0 to below 1.
    """
    if not 0.0 <= share < 1.0:
        raise InputError(f"The share of a prompt in a warm cache is from 0 to below 1: {share:g}.")
    if share == 0.0:
        return trace
    parent = np.arange(trace.arrival_s.size, dtype=np.int32) - 1
    shared = np.where(parent >= 0, trace.prompt_tokens * share, 0).astype(np.int32)
    sentence = (
        f"Of each prompt {spell.percent(share)} is taken to be what the request before began with: "
        "found where that was served by the same replica since its start."
    )
    return with_prefixes(trace, parent, shared, sentence)


def with_prefixes(
    trace: Trace, parent: NDArray[np.int32], shared: NDArray[np.int32], sentence: str
) -> Trace:
    """Return a trace with parents and shared tokens, and a sentence on how they were found."""
    return make_trace(
        trace.name,
        trace.arrival_s,
        trace.prompt_tokens,
        trace.output_tokens,
        horizon_s=trace.horizon_s,
        t0_utc=trace.t0_utc,
        resolution_s=trace.resolution_s,
        session_id=trace.session_id,
        prefix_parent=parent,
        shared_tokens=shared,
        report=dataclasses.replace(trace.report, prefixes=sentence),
    )
