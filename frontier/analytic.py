"""Closed forms: the answer before the simulation has run, and what it is tested against.

They cover what a formula can: Poisson arrivals at one replica that scales to zero, with or
without a queue in it, a fixed number of replicas that serve one request at a time, and the idle
gaps of any trace for a replica whose work takes no time. Schedules, several replicas that come
and go, batching and refusals need `frontier.simulate`.

Start times and idle timeouts are taken as they are, nearly constant. Exponential ones are easier
to solve and badly wrong: see R. Williams, W. Wang and M. Harchol-Balter, arXiv:2512.16854.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from frontier.errors import InfeasibleError, InputError


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


@dataclass(frozen=True, slots=True)
class QueueWait:
    """Waiting before service in a queue with a steady state.

    Attributes
    ----------
    mean_s : float
        Mean wait of all requests [s].
    held_fraction : float
        Share of time a replica is held: 1 if it never goes off [1].
    """

    mean_s: float
    held_fraction: float


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


def break_even_rate_rps(
    *,
    serverless_usd_per_h: float,
    dedicated_usd_per_h: float,
    cold_start_s: float,
    residence_s: float,
    idle_timeout_s: float,
) -> float:
    r"""Return the rate above which one dedicated replica is cheaper than scale-to-zero [1/s].

    Parameters
    ----------
    serverless_usd_per_h, dedicated_usd_per_h : float
        Price of a held hour on either [USD/h].
    cold_start_s, residence_s, idle_timeout_s : float
        As in `replica_cycle` [s].

    Raises
    ------
    InputError
        If a price is not above 0, or a time is negative or not finite.
    InfeasibleError
        If there is no such rate: a serverless hour is no dearer than a dedicated one, or the
        replica is never held at all.

    Notes
    -----
    With the share off :math:`1 / N` of `replica_cycle` the two bills are equal where
    :math:`1 - 1 / N = r`, the ratio of the prices, that is where
    :math:`\lambda C + (e^{\lambda D} - 1) = r / (1 - r)`. The left side is convex and rises from
    0, so Newton's method from above falls to the root and does not cross it.
    """
    for name, price in (
        ("serverless_usd_per_h", serverless_usd_per_h),
        ("dedicated_usd_per_h", dedicated_usd_per_h),
    ):
        if not 0.0 < price < math.inf:
            raise InputError(f"{name} must be a price above $0/h, got {price!r}")
    _check_times(cold_start_s=cold_start_s, residence_s=residence_s, idle_timeout_s=idle_timeout_s)
    if dedicated_usd_per_h >= serverless_usd_per_h:
        raise InfeasibleError(
            f"no break-even rate: scale-to-zero at ${serverless_usd_per_h:.2f} for a held hour is "
            f"never dearer than always-on at ${dedicated_usd_per_h:.2f}"
        )
    warm_s = residence_s + idle_timeout_s
    if warm_s == cold_start_s == 0.0:
        raise InfeasibleError("no break-even rate: with every time at 0 s nothing is ever held")
    excess = dedicated_usd_per_h / (serverless_usd_per_h - dedicated_usd_per_h)
    rate = min(
        math.log1p(excess) / warm_s if warm_s > 0 else math.inf,
        excess / cold_start_s if cold_start_s > 0 else math.inf,
    )
    while True:
        over = rate * cold_start_s + math.expm1(rate * warm_s) - excess
        lower = rate - over / (cold_start_s + warm_s * math.exp(rate * warm_s))
        if lower >= rate:
            return rate
        rate = lower


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


def erlang_c(servers: int, offered_load: float) -> float:
    r"""Return the probability that a request has to wait in M/M/c [1].

    Parameters
    ----------
    servers : int
        Servers that each take one request at a time, c.
    offered_load : float
        Arrival rate times mean service time, a [1]; below c.

    Raises
    ------
    InputError
        If there is no server, or the load is negative.
    InfeasibleError
        If the load is not below the number of servers: the queue then grows without end.

    Notes
    -----
    Erlang's B by the recursion :math:`B_k = a B_{k-1} / (k + a B_{k-1})` from :math:`B_0 = 1`,
    then :math:`C = B_c / (1 - (a / c)(1 - B_c))`.
    """
    if servers < 1 or not offered_load >= 0.0:
        raise InputError(
            "erlang_c needs at least 1 server and a load of at least 0, "
            f"got {servers!r} and {offered_load!r}"
        )
    if offered_load >= servers:
        raise InfeasibleError(
            f"no steady state: a load of {offered_load:g} on {servers} servers is too much"
        )
    blocked = 1.0
    for server in range(1, servers + 1):
        blocked = offered_load * blocked / (server + offered_load * blocked)
    return blocked / (1.0 - offered_load / servers * (1.0 - blocked))


def erlang_c_wait_s(
    rate_rps: float, *, service_s: float, servers: int, percentile: float | None = None
) -> float:
    r"""Return the mean wait in M/M/c, or a percentile of it [s].

    Parameters
    ----------
    rate_rps : float
        Rate of Poisson arrivals, :math:`\lambda` [1/s].
    service_s : float
        Mean of the exponential service time, :math:`1 / \mu` [s].
    servers : int
        Servers that each take one request at a time, c.
    percentile : float, optional
        From 0 to below 100; the mean is returned without it.

    Raises
    ------
    InputError
        If the percentile is out of range, or as in `erlang_c`.
    InfeasibleError
        As in `erlang_c`.

    Notes
    -----
    :math:`P(W > t) = C e^{-(c \mu - \lambda) t}` with C from `erlang_c`.
    """
    waits = erlang_c(servers, rate_rps * service_s)
    drain_rps = servers / service_s - rate_rps
    if percentile is None:
        return waits / drain_rps
    if not 0.0 <= percentile < 100.0:
        raise InputError(f"percentile must be from 0 to below 100, got {percentile!r}")
    beyond = 1.0 - percentile / 100.0
    return max(0.0, math.log(waits / beyond) / drain_rps) if waits > 0 else 0.0


def setup_queue(
    rate_rps: float,
    *,
    service_s: float,
    service_s2: float,
    cold_start_s: float = 0.0,
    cold_start_s2: float | None = None,
    idle_timeout_s: float = math.inf,
) -> QueueWait:
    r"""Return the wait for a replica that serves one request at a time and scales to zero.

    This is M/G/1 with a set-up and an idle timer; with an infinite timeout it is M/G/1.

    Parameters
    ----------
    rate_rps : float
        Rate of Poisson arrivals, :math:`\lambda` [1/s].
    service_s, service_s2 : float
        First and second moment of the service time S [s, s^2].
    cold_start_s, cold_start_s2 : float
        The same of the start D; the second is that of a constant start if it is not given.
    idle_timeout_s : float
        Constant time it is kept with nothing to do, :math:`\tau` [s].

    Raises
    ------
    InputError
        If a moment is negative or not finite, or the rate is not above 0.
    InfeasibleError
        If the replica cannot keep up.

    Notes
    -----
    When the queue empties, the next arrival finds the replica off with probability
    :math:`p = e^{-\lambda \tau}`. So the first request of a busy period waits an extra X, which
    is D with probability p and else 0: an M/G/1 queue with an exceptional first service
    (P. D. Welch, Operations Research 12, 1964, 736-752). Its mean wait is the
    Pollaczek-Khinchine term plus a term for X,

    .. math:: W = \frac{\lambda E[S^2]}{2 (1 - \rho)}
              + \frac{p \, (2 E[D] + \lambda E[D^2])}{2 (1 + \lambda p E[D])}.

    Between the ends of two busy periods pass on average
    :math:`(1 / \lambda + p E[D]) / (1 - \rho)`, of which it is off for :math:`p / \lambda`.
    """
    if cold_start_s2 is None:
        cold_start_s2 = cold_start_s**2
    if not 0.0 < rate_rps < math.inf:
        raise InputError(f"rate_rps must be a finite rate above 0 requests/s, got {rate_rps!r}")
    _check_times(
        service_s=service_s,
        service_s2=service_s2,
        cold_start_s=cold_start_s,
        cold_start_s2=cold_start_s2,
    )
    load = rate_rps * service_s
    if load >= 1.0:
        raise InfeasibleError(f"no steady state: a load of {load:g} on one replica is too much")
    if not idle_timeout_s >= 0.0:
        raise InputError(f"idle_timeout_s must be at least 0 s, got {idle_timeout_s!r}")
    off = math.exp(-rate_rps * idle_timeout_s)
    spread = 1.0 + rate_rps * off * cold_start_s
    queueing_s = rate_rps * service_s2 / (2.0 * (1.0 - load))
    starting_s = off * (2.0 * cold_start_s + rate_rps * cold_start_s2) / (2.0 * spread)
    return QueueWait(
        mean_s=queueing_s + starting_s, held_fraction=1.0 - off * (1.0 - load) / spread
    )


def _check_times(**times: float) -> None:
    for name, value in times.items():
        if not 0.0 <= value < math.inf:
            raise InputError(f"{name} must be finite and at least 0, got {value!r}")
