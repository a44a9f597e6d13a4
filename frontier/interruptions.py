"""When spot machines are gone: drawn once with a seed, each machine by itself.

A machine is taken away at random (Poisson) and is back after a start. Left out: that several
machines of a provider go together, that none is to be had for longer than a start, and answers
cut off in the middle: what a replica has begun it ends within the notice that providers give.
"""

from __future__ import annotations

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
    mean_s = SECONDS_PER_HOUR / interruptions_per_h
    changes: list[tuple[float, int]] = []
    for replica in range(replicas):
        generator = np.random.default_rng([seed, replica])
        now = float(generator.exponential(mean_s))
        while now < horizon_s:
            away_s = float(start_s[generator.integers(start_s.size)])
            changes += [(now, -1), (now + away_s, 1)]
            now += away_s + float(generator.exponential(mean_s))
    changes.sort()
    times = np.array([0.0, *(time_s for time_s, _ in changes)])
    steps = np.array([replicas, *(step for _, step in changes)], dtype=np.int64)
    return Outages(times, np.cumsum(steps))
