"""Closed forms: the answer before the simulation has run.

They cover what a formula can: Poisson arrivals at one replica that scales to zero and serves all
it holds at once, and the idle gaps of any trace for a replica whose work takes no time. Queues,
schedules, several replicas that come and go, batching and refusals need `frontier.simulate`.

Start times and idle timeouts are taken as they are, nearly constant. Exponential ones are easier
to solve and badly wrong: see R. Williams, W. Wang and M. Harchol-Balter, arXiv:2512.16854.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from frontier.errors import InputError


@dataclass(frozen=True, slots=True)
class ReplicaCycle:
    """One scale-to-zero replica in the long run, one entry per arrival rate.

    Attributes
    ----------
    held_fraction : ndarray, shape (n,)
        Share of time it is starting, busy or idle, not off [1].
    trigger_fraction : ndarray, shape (n,)
        Share of requests that find it off and start it [1].
    waited_fraction : ndarray, shape (n,)
        Share of requests that wait on a start, their own or another's [1].
    """

    held_fraction: NDArray[np.float64]
    trigger_fraction: NDArray[np.float64]
    waited_fraction: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class IdleGaps:
    """What a trace's gaps mean for one replica, one entry per idle timeout.

    Attributes
    ----------
    idle_timeout_s : ndarray, shape (k,)
        The timeouts asked about [s].
    cold : ndarray of int, shape (k,)
        Requests that find it off, the first one included.
    warm_s : ndarray, shape (k,)
        Seconds it is kept between the first and the last request [s].
    """

    idle_timeout_s: NDArray[np.float64]
    cold: NDArray[np.int64]
    warm_s: NDArray[np.float64]


def replica_cycle(
    rate_rps: ArrayLike,
    *,
    cold_start_s: float,
    residence_s: float,
    idle_timeout_s: float,
) -> ReplicaCycle:
    r"""Return how often one scale-to-zero replica is held, started and waited for.

    The replica serves all it holds at once, each request for the same time.

    Parameters
    ----------
    rate_rps : array_like, shape (n,)
        Rates of Poisson arrivals, above 0 [1/s].
    cold_start_s : float
        From the request that finds it off to the moment it can serve [s].
    residence_s : float
        Time a request spends being served [s].
    idle_timeout_s : float
        How long it is kept with nothing to do [s].

    Raises
    ------
    InputError
        If a rate is not above 0, or a time is negative or not finite.

    Notes
    -----
    Write :math:`\lambda` for the rate, :math:`C` for the start and :math:`D` for residence plus
    timeout. From one start to the next come: the request that caused the start; those that
    arrived during it, :math:`\lambda C` on average; and then one more as long as the next gap is
    shorter than :math:`D`. The length of that last run is geometric with success probability
    :math:`1 - e^{-\lambda D}`, so its mean is :math:`e^{\lambda D} - 1`. A cycle has
    :math:`N = \lambda C + e^{\lambda D}` requests; 1 of them triggers, :math:`1 + \lambda C`
    wait. It lasts :math:`N / \lambda`, of which the replica is off for :math:`1 / \lambda`, the
    wait for the next arrival: a share of :math:`1 / N`.

    With :math:`C = 0` this is the M/G/inf busy period extended by a timer, which needs the
    residence only through its mean.

    Examples
    --------
    Ten requests an hour, a start of 45 s, 5 s of work, a timeout of five minutes:

    >>> cycle = replica_cycle([10 / 3600], cold_start_s=45, residence_s=5, idle_timeout_s=300)
    >>> f"held {cycle.held_fraction[0]:.1%}, waited {cycle.waited_fraction[0]:.1%}"
    'held 59.3%, waited 45.8%'
    """
    rate = np.atleast_1d(np.asarray(rate_rps, dtype=np.float64))
    if not np.all((rate > 0.0) & np.isfinite(rate)):
        raise InputError(f"rate_rps must hold finite rates above 0 requests/s, got {rate_rps!r}")
    _check_times(cold_start_s=cold_start_s, residence_s=residence_s, idle_timeout_s=idle_timeout_s)
    waiting = rate * cold_start_s
    with np.errstate(over="ignore"):  # beyond the largest float it never goes off
        requests = waiting + np.exp(rate * (residence_s + idle_timeout_s))
    return ReplicaCycle(
        held_fraction=1.0 - 1.0 / requests,
        trigger_fraction=1.0 / requests,
        waited_fraction=(1.0 + waiting) / requests,
    )


def idle_gap_table(arrival_s: ArrayLike, idle_timeout_s: ArrayLike) -> IdleGaps:
    """Return how often one replica is cold, and how long it is kept, by its idle timeout.

    Starting and serving take no time here, so the answer depends on the gaps alone, whatever
    process they come from: a request is cold if the gap before it is longer than the timeout,
    and each gap keeps the replica for the shorter of the two.

    Parameters
    ----------
    arrival_s : array_like, shape (n,)
        Arrivals, sorted [s].
    idle_timeout_s : array_like, shape (k,)
        Timeouts of at least 0 s; may be infinite [s].

    Raises
    ------
    InputError
        If the arrivals are empty or not sorted, or a timeout is negative.
    """
    arrival = np.asarray(arrival_s, dtype=np.float64)
    timeout = np.atleast_1d(np.asarray(idle_timeout_s, dtype=np.float64))
    gap = np.diff(arrival)
    if arrival.size == 0 or not np.all(gap >= 0.0):
        raise InputError("arrival_s must hold at least one arrival, and be sorted")
    if not np.all(timeout >= 0.0):
        raise InputError(f"idle_timeout_s must hold times of at least 0 s, got {idle_timeout_s!r}")
    gap.sort()
    kept = np.searchsorted(gap, timeout, side="right")  # gaps no longer than the timeout
    longer = gap.size - kept
    within = np.concatenate(([0.0], np.cumsum(gap)))[kept]
    cut_short = longer * np.where(longer > 0, timeout, 0.0)  # no infinite timeout is cut short
    return IdleGaps(idle_timeout_s=timeout, cold=longer + 1, warm_s=within + cut_short)


def _check_times(**times: float) -> None:
    for name, value in times.items():
        if not 0.0 <= value < math.inf:
            raise InputError(f"{name} must be finite and at least 0, got {value!r}")
