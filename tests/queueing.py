"""Queues with a steady state: the closed forms the replica simulation is held against.

They cover what a formula can: a fixed number of replicas that serve one request at a time, and one
such replica that scales to zero. Start times and idle timeouts are taken as they are, nearly
constant. Exponential ones are easier to solve and badly wrong: see R. Williams, W. Wang and
M. Harchol-Balter, arXiv:2512.16854.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from frontier.errors import InfeasibleError, InputError


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
