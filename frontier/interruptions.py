"""When spot machines are gone: drawn once with a seed, each machine by itself.

A machine is taken away at random (Poisson) and is back after a start. Left out: that several
machines of a provider go together, that none is to be had for longer than a start, and answers
cut off in the middle: what a replica has begun it ends within the notice that providers give.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from frontier.units import SECONDS_PER_HOUR


class Outages(NamedTuple):
    """How many replicas are up, and when.

    Attributes
    ----------
    since_s : ndarray, shape (k,)
        When the number changes, from 0 on [s].
    up : ndarray of int, shape (k,)
        Replicas that are up from then on.
    """

    since_s: NDArray[np.float64]
    up: NDArray[np.int64]

    def up_at(self, time_s: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return how many replicas are up at each instant."""
        return self.up[np.searchsorted(self.since_s, time_s, side="right") - 1]

    def next_up_s(self, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return each instant, or when the first replica is back if none is up then [s]."""
        back_s = np.append(self.since_s, np.inf)
        up_next = np.append(self.up, 1) > 0
        # From behind: the first change from which on something is up.
        following = np.minimum.accumulate(np.where(up_next, back_s, np.inf)[::-1])[::-1]
        at = np.searchsorted(self.since_s, time_s, side="right")
        return np.where(self.up_at(time_s) > 0, time_s, following[at])


def draw_outages(
    replicas: int,
    *,
    interruptions_per_h: float,
    start_s: NDArray[np.float64],
    horizon_s: float,
    seed: int,
) -> Outages:
    """Draw when each of some replicas is taken away within the horizon.

    The first replicas of a larger plan are interrupted as those of a smaller one, so that plans
    differ by their size and not by luck.

    Parameters
    ----------
    interruptions_per_h : float
        Of a machine that is up, above 0 [1/h].
    start_s : ndarray, shape (m,)
        Starts, one of which is drawn for each return [s].
    """
    changes: list[tuple[float, int]] = []
    for replica in range(replicas):
        for gone_s, back_s in _away(replica, interruptions_per_h, start_s, horizon_s, seed):
            changes += [(gone_s, -1), (back_s, 1)]
    changes.sort()
    times = np.array([0.0, *(time_s for time_s, _ in changes)])
    steps = np.array([replicas, *(step for _, step in changes)], dtype=np.int64)
    return Outages(times, np.cumsum(steps))


def back_on_nodes_s(
    arrival_s: NDArray[np.float64],
    node: NDArray[np.integer],
    ready_s: NDArray[np.float64],
    ended_s: NDArray[np.float64],
    *,
    interruptions_per_h: float,
    start_s: NDArray[np.float64],
    horizon_s: float,
    seed: int,
) -> NDArray[np.float64]:
    """Return when each request can be served, its nodes being taken away now and then [s].

    That is its arrival, unless every replica that was ready then had been on a node that is gone:
    then it is when the first of these is back. A node can only be taken away while it is there.

    Parameters
    ----------
    arrival_s : ndarray, shape (n,)
        Sorted. [s]
    node : ndarray of int, shape (m,)
        Of each session; negative for one on a machine that is never taken away.
    ready_s, ended_s : ndarray, shape (m,)
        When each session was ready, and ended. [s]
    interruptions_per_h, start_s, horizon_s, seed
        As for `draw_outages`.

    Notes
    -----
    Left out: that what is left of several replicas is fuller, and the queue in the first moments
    after an outage.
    """
    ready = np.searchsorted(np.sort(ready_s), arrival_s, side="right")
    ready -= np.searchsorted(np.sort(ended_s), arrival_s, side="right")
    lost = np.zeros(arrival_s.size, dtype=np.int64)
    back_s = np.full(arrival_s.size, np.inf)
    for on in np.unique(node[node >= 0]).tolist():
        there = node == on
        begun_s, left_s = ready_s[there], ended_s[there]
        for gone_s, again_s in _away(on, interruptions_per_h, start_s, horizon_s, seed):
            hit = left_s[(begun_s <= gone_s) & (gone_s < left_s)]
            if not hit.size:
                continue
            first, last = np.searchsorted(arrival_s, (gone_s, again_s), side="left")
            window = slice(first, last)
            still = hit[:, None] > arrival_s[None, window]
            lost[window] += still.sum(axis=0)
            back_s[window] = np.where(
                still.any(axis=0), np.minimum(back_s[window], again_s), back_s[window]
            )
    # Whoever finds none ready waits for a start anyway, on whichever machine that is.
    return np.where((ready > 0) & (lost >= ready), back_s, arrival_s)


def _away(
    replica: int,
    interruptions_per_h: float,
    start_s: NDArray[np.float64],
    horizon_s: float,
    seed: int,
) -> Iterator[tuple[float, float]]:
    """Yield when a machine is gone, from and to [s]."""
    mean_s = SECONDS_PER_HOUR / interruptions_per_h
    generator = np.random.default_rng([seed, replica])
    now = float(generator.exponential(mean_s))
    while now < horizon_s:
        away_s = float(start_s[generator.integers(start_s.size)])
        yield now, now + away_s
        now += away_s + float(generator.exponential(mean_s))
