"""Replicas that are served their requests block by block, as if they had come in one piece.

A seam lies between two requests. The kernel is left before it looks at the request behind the
seam, of which it knows no more than the time, and is entered again with the next block. Over the
seam go the state of the replicas, the requests that wait or are being answered, and those whose
prefix is still in a cache; all else is handed over and forgotten. Requests are numbered anew in
each block, since the kernel knows them by their place.

Nothing here knows a plan, a trace or a file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frontier import kernel
from frontier.policy import ScalingPolicy
from frontier.simulate import Cancelled, Ground, keeps_cache, sessions_from

Columns = dict[str, NDArray[Any]]

_FATES = kernel.Fates._fields
_REQUEST, _PARENT, _IS_OVER = "request", "parent", "is_over"


@dataclass(frozen=True, slots=True)
class CacheRules:
    """What prefix caches hold, where there are any: fields of `simulate.Prefixes`."""

    cache_tokens: float = math.inf
    least_prefill_s: float = 0.0


class Carried:
    """A run that gets its requests in blocks.

    Parameters
    ----------
    policy : ScalingPolicy
    ground : simulate.Ground
        Of that policy and the number of all requests.
    is_chunked : bool
        Whether prompts are read between the answers.
    caches : CacheRules, optional
        Where prompts may begin as earlier ones.
    """

    def __init__(
        self,
        policy: ScalingPolicy,
        ground: Ground,
        *,
        is_chunked: bool,
        caches: CacheRules | None = None,
    ) -> None:
        self._kind, self._rules = ground.kind, ground.rules
        self._most = ground.kind.decode_step_s.size
        replicas = ground.max_replicas
        self._state = kernel.begin(
            ground.kind,
            ground.rules,
            max_replicas=replicas,
            requests=kernel.SESSIONS_AT_FIRST,
            stop=np.zeros(1, np.uint8),
            scaler=ground.scaler,
        )
        none = np.zeros(0, np.int64)
        self._reads = kernel.chunks_for(none, replicas, self._most) if is_chunked else None
        self._caches = None
        if caches is not None:
            self._caches = kernel.caches_for(
                none,
                np.zeros(0),
                none,
                keeps=keeps_cache(policy),
                capacity_tokens=float(caches.cache_tokens),
                least_prefill_s=float(caches.least_prefill_s),
                to_prefix=policy.routing == "prefix",
                max_replicas=replicas,
            )
        self._tail: Columns | None = None
        self._numbers = np.zeros(0, np.int64)  # which session each row of the table is
        self._begun = 0
        # Begins with none, whose shape is that of those to come.
        self._ended = [(none, _rows_of(self._state.sessions, none))]
        self.last_finish_s = 0.0

    @property
    def waiting(self) -> int:
        """How many requests were carried over the last seam."""
        return 0 if self._tail is None else int(self._tail[_REQUEST].size)

    def take(
        self, block: Columns, *, next_s: float | None, stop: NDArray[np.uint8] | None = None
    ) -> Columns:
        """Serve a block of requests and return what became of those that are over by its end.

        Parameters
        ----------
        block : dict of str to ndarray
            ``request`` (the number of each in the whole, ascending), ``arrival_s``,
            ``prefill_s``, ``output_tokens``; ``chunks`` where prompts are read in chunks;
            ``parent`` (its number in the whole, or -1), ``saved_s`` and ``tokens`` where there are
            caches. Other columns go with their requests.
        next_s : float or None
            When the first request after the block arrives [s]; None after the last block.
        stop : ndarray of uint8, shape (1,), optional
            The run ends soon after another thread has set it.

        Returns
        -------
        dict of str to ndarray
            All columns of those requests, and the fields of `kernel.Fates` and ``prompt_s``, in
            order of arrival.

        Raises
        ------
        simulate.Cancelled
            If it was stopped.
        """
        rows = block if self._tail is None else _joined(self._tail, block)
        n = rows[_REQUEST].size
        fates = kernel.no_fates(n)
        known = 0
        if self._tail is not None:
            known = self._tail[_FATES[0]].size
            for name in _FATES:
                getattr(fates, name)[:known] = self._tail[name]
        state = self._state
        slots = state.progress.slots
        slots[kernel.UNTIL] = -1 if next_s is None else n
        arrival_s = rows["arrival_s"] if next_s is None else np.append(rows["arrival_s"], next_s)
        requests = kernel.Requests(
            _frozen(arrival_s, np.float64),
            _frozen(rows["prefill_s"], np.float64),
            _frozen(rows["output_tokens"], np.int64),
        )
        reads = caches = None
        if self._reads is not None:
            prompt_s = np.zeros(n)
            if self._tail is not None:
                prompt_s[:known] = self._tail["read_s"]
            chunks = _frozen(rows["chunks"], np.int64)
            reads = self._reads._replace(chunks=chunks, prompt_s=prompt_s)
        if self._caches is not None:
            found_s, served = np.zeros(n), np.full((n, 3), -1)
            if self._tail is not None:
                found_s[:known], served[:known] = self._tail["found_s"], self._tail["served"]
            caches = self._caches._replace(
                parent=_frozen(_places(rows[_REQUEST], rows[_PARENT]), np.int64),
                saved_s=_frozen(rows["saved_s"], np.float64),
                tokens=_frozen(rows["tokens"], np.int64),
                prompt_s=found_s,
                served=served,
            )
        if stop is not None:
            state = state._replace(progress=state.progress._replace(stop=stop))
        outcome, self._state = kernel.go_on(
            state, requests, self._kind, self._rules, fates, reads, caches
        )
        if outcome == kernel.STOPPED:
            raise Cancelled("the simulation was stopped before its end")

        is_over = np.ones(n, np.bool_)
        if outcome == kernel.PAUSED:
            is_over[self._held(reads)] = False
            is_over[slots[kernel.HEAD] :] = False
        prompt_s = rows["prefill_s"] if caches is None else caches.prompt_s
        over = is_over if self._tail is None else is_over & ~rows[_IS_OVER]
        found = {name: values[over] for name, values in rows.items() if name != _IS_OVER}
        found |= {name: getattr(fates, name)[over] for name in _FATES}
        found["prompt_s"] = np.where(np.isinf(found["finish_s"]), 0.0, prompt_s[over])
        finite = found["finish_s"][np.isfinite(found["finish_s"])]
        self.last_finish_s = max(self.last_finish_s, float(finite.max(initial=0.0)))

        kept = ~is_over
        if caches is not None:
            kept |= self._still_held(caches)
        at = np.flatnonzero(kept)
        self._tail = {name: values[at] for name, values in rows.items()}
        self._tail[_IS_OVER] = is_over[at]
        # Nothing has become yet of those that wait in the queue, which may be many.
        seen = at[: np.searchsorted(at, slots[kernel.HEAD])]
        self._tail |= {name: getattr(fates, name)[seen] for name in _FATES}
        if reads is not None:
            self._tail["read_s"] = reads.prompt_s[seen]
        if caches is not None:
            self._tail["found_s"] = caches.prompt_s[seen]
            self._tail["served"] = caches.served[seen]
        self._number_anew(at)
        self._let_sessions_go()
        return found

    def sessions(self, horizon_s: float) -> NDArray[np.void]:
        """Return the sessions of the whole run, as `simulate.RunResult` has them, after its end."""
        last_s = max(horizon_s, self.last_finish_s)
        order = np.argsort(np.concatenate([number for number, _ in self._ended]))
        owners = np.concatenate([part.owners for _, part in self._ended])[order]
        seconds = np.concatenate([part.seconds for _, part in self._ended])[order]
        return sessions_from(owners, seconds, last_s=last_s)

    def arrays(self) -> Columns:
        """Return all that this run knows at a seam, by name, to be kept and given to `restore`."""
        found: Columns = {
            "numbers": self._numbers,
            "begun": np.array(self._begun),
            "last_finish_s": np.array(self.last_finish_s),
            "ended/numbers": np.concatenate([number for number, _ in self._ended]),
            "ended/owners": np.concatenate([part.owners for _, part in self._ended]),
            "ended/seconds": np.concatenate([part.seconds for _, part in self._ended]),
            "sessions/owners": self._state.sessions.owners,
            "sessions/seconds": self._state.sessions.seconds,
        }
        found |= {f"tail/{name}": values for name, values in (self._tail or {}).items()}
        return found | self._of_replicas()

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Go on from where another run of the same policy and ground was at a seam."""
        self._numbers = arrays["numbers"]
        self._begun, self.last_finish_s = int(arrays["begun"]), float(arrays["last_finish_s"])
        ended = kernel.Sessions(arrays["ended/owners"], arrays["ended/seconds"])
        self._ended = [(arrays["ended/numbers"], ended)]
        table = kernel.Sessions(arrays["sessions/owners"], arrays["sessions/seconds"])
        self._state = self._state._replace(sessions=table)
        tail = {name[5:]: values for name, values in arrays.items() if name.startswith("tail/")}
        self._tail = tail or None
        for name, held in self._of_replicas().items():
            held[...] = arrays[name]

    def _of_replicas(self) -> Columns:
        """Return the arrays of a size that stays the same, which are written in place."""
        fleet, _, progress, scaler = self._state
        found: Columns = {f"fleet/{name}": values for name, values in fleet._asdict().items()}
        found |= {"slots": progress.slots, "reached_s": progress.reached_s}
        if scaler is not None:
            names = ("areas", "asks", "state", "since")
            found |= {f"scaler/{name}": getattr(scaler, name) for name in names}
        if self._reads is not None:
            found |= {"prompts": self._reads.prompts, "chunk": self._reads.chunk}
        if self._caches is not None:
            found["caches"] = self._caches.state
        return found

    def _held(self, reads: kernel.Chunks | None) -> NDArray[np.int64]:
        """Return the places of the requests that replicas hold."""
        fleet, most = self._state.fleet, self._most
        held = fleet.counts[:-1, kernel.HELD].copy()
        places = np.arange(most)
        others: list[NDArray[np.int64]] = []
        if reads is not None:
            prompts = reads.prompts
            reading = prompts[:, kernel.READING]
            waiting, first = prompts[:, kernel.WAITING], prompts[:, kernel.FIRST]
            held -= waiting + (reading >= 0)
            behind = (places - first[:, None]) % most < waiting[:, None]
            others = [reading[reading >= 0], prompts[:, kernel.RING :][behind]]
        answered = fleet.request.reshape(-1, most)[places < held[:, None]]
        return np.concatenate([answered, *others])

    def _still_held(self, caches: kernel.Caches) -> NDArray[np.bool_]:
        """Return of which requests the tokens are still in the cache that they went through."""
        by, epoch, tokens = caches.served.T
        state = caches.state[np.maximum(by, 0)]
        is_there = (by >= 0) & (epoch == state[:, kernel.EPOCH])
        return is_there & (state[:, kernel.TOKENS] - tokens <= caches.capacity_tokens)

    def _number_anew(self, at: NDArray[np.intp]) -> None:
        """Let the state know requests by their place among those that are carried."""
        fleet, _, progress, scaler = self._state
        count = fleet.counts[:-1]
        # How many before a place are carried: the new place of it, and of a bound between two.
        for column in (kernel.ARRIVED_BEFORE, kernel.CAUSE):
            new = np.searchsorted(at, count[:, column])
            if column == kernel.CAUSE:
                # A request that is not carried causes nothing any more.
                is_there = np.isin(count[:, column], at)
                new = np.where(is_there, new, -1)
            count[:, column] = new
        fleet.request[:] = np.searchsorted(at, fleet.request)
        slots = progress.slots
        slots[kernel.HEAD] = np.searchsorted(at, slots[kernel.HEAD])
        slots[kernel.ARRIVED] = at.size
        if scaler is not None:
            scaler.state[kernel.AGED] = np.searchsorted(at, scaler.state[kernel.AGED])
        if self._reads is not None:
            prompts = self._reads.prompts
            is_reading = prompts[:, kernel.READING] >= 0
            found = np.searchsorted(at, prompts[:, kernel.READING])
            prompts[:, kernel.READING] = np.where(is_reading, found, -1)
            prompts[:, kernel.RING :] = np.searchsorted(at, prompts[:, kernel.RING :])

    def _let_sessions_go(self) -> None:
        """Move the sessions that have ended, of which there is no end, out of the table."""
        fleet, sessions, progress, _ = self._state
        count, slots = fleet.counts[:-1], progress.slots
        begun = int(slots[kernel.SESSIONS])
        fresh = begun - self._numbers.size
        numbers = np.append(self._numbers, np.arange(self._begun, self._begun + fresh))
        self._begun += fresh
        goes_on = np.zeros(begun, np.bool_)
        has_one = count[:, kernel.STATE] != kernel.OFF
        if slots[kernel.UNTIL] >= 0:  # not after the end
            goes_on[count[has_one, kernel.SESSION]] = True
        left = np.flatnonzero(~goes_on)
        if left.size:
            self._ended.append((numbers[left], _rows_of(sessions, left)))
        stay = np.flatnonzero(goes_on)
        count[has_one, kernel.SESSION] = np.searchsorted(stay, count[has_one, kernel.SESSION])
        for table in sessions:
            table[: stay.size] = table[stay]
            table[stay.size :] = 0
        slots[kernel.SESSIONS] = stay.size
        self._numbers = numbers[stay]


def _joined(tail: Mapping[str, NDArray[Any]], block: Columns) -> Columns:
    rows = {name: np.concatenate((tail[name], values)) for name, values in block.items()}
    fresh = np.zeros(block[_REQUEST].size, np.bool_)
    rows[_IS_OVER] = np.concatenate((tail[_IS_OVER], fresh))
    return rows


def _places(numbers: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where some numbers stand in an ascending list; -1 for those that do not."""
    at = np.searchsorted(numbers, wanted)
    return np.where(np.append(numbers, -1)[at] == wanted, at, -1)


def _rows_of(sessions: kernel.Sessions, rows: NDArray[np.int64]) -> kernel.Sessions:
    return kernel.Sessions(sessions.owners[rows], sessions.seconds[rows])


def _frozen(values: NDArray[Any], dtype: type) -> NDArray[Any]:
    """Return a read-only view, as the kernel is compiled for."""
    view: NDArray[Any] = np.ascontiguousarray(values, dtype=dtype).view()
    view.setflags(write=False)
    return view
