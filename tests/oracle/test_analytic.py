"""The closed forms against published values, limits, and other ways to the same number."""

from __future__ import annotations

import math

import numpy as np
import pytest

from frontier.analytic import idle_gap_table, replica_cycle
from frontier.errors import InfeasibleError, InputError
from tests.queueing import erlang_c, erlang_c_wait_s, setup_queue

CYCLE = {"cold_start_s": 45.0, "residence_s": 5.0, "idle_timeout_s": 300.0}


def count_cycles(arrival_s, cold_start_s, residence_s, idle_timeout_s):
    """Follow one replica request by request: shares of time held, triggering and waiting."""
    off_at = -math.inf
    ready_at = off_s = 0.0
    triggering = waiting = 0
    for now in arrival_s:
        if now > off_at:
            off_s += now - max(off_at, 0.0)
            ready_at = now + cold_start_s
            triggering += 1
        waiting += now < ready_at
        off_at = max(now, ready_at) + residence_s + idle_timeout_s
    requests = arrival_s.size
    return 1 - off_s / arrival_s[-1], triggering / requests, waiting / requests


@pytest.mark.parametrize("rate_rps", [0.0005, 0.003, 0.01])
@pytest.mark.parametrize("cold_start_s", [0.5, 45.0, 300.0])
def test_the_cycle_is_what_counting_gives(rate_rps, cold_start_s):
    """Counting over Poisson arrivals gives the three shares, but for chance."""
    arrival_s = np.cumsum(np.random.default_rng(1).exponential(1 / rate_rps, 100_000))
    counted = count_cycles(arrival_s, cold_start_s, 5.0, 300.0)
    law = replica_cycle(rate_rps, cold_start_s=cold_start_s, residence_s=5.0, idle_timeout_s=300.0)
    for found, share in zip(
        counted, (law.held_fraction, law.trigger_fraction, law.waited_fraction), strict=True
    ):
        assert found == pytest.approx(share[0], rel=0.04)


def test_a_lone_stream_is_cold_with_the_chance_of_a_long_gap():
    """Without start and service, a request is cold with probability exp(-rate * timeout)."""
    rate_rps = np.array([0.001, 0.01])
    law = replica_cycle(rate_rps, cold_start_s=0.0, residence_s=0.0, idle_timeout_s=200.0)
    np.testing.assert_allclose(law.trigger_fraction, np.exp(-rate_rps * 200.0))
    np.testing.assert_allclose(law.waited_fraction, law.trigger_fraction)


@pytest.mark.parametrize(
    ("rate_rps", "cold", "held"), [(1 / 600, 0.604512, 0.395488), (1 / 120, 0.080728, 0.919272)]
)
def test_an_infinite_server_with_a_timer(rate_rps, cold, held):
    """M/G/inf with 2 s of service and a timer of 300 s has these cold and held shares."""
    law = replica_cycle(rate_rps, cold_start_s=0.0, residence_s=2.0, idle_timeout_s=300.0)
    assert law.trigger_fraction[0] == pytest.approx(cold, abs=1e-6)
    assert law.held_fraction[0] == pytest.approx(held, abs=1e-6)


def test_a_p99_without_starts_means_a_replica_held_for_99_percent():
    """The share that waits is never below the share of time off: scale-to-zero saves nothing."""
    law = replica_cycle(np.geomspace(1e-5, 1e-1, 200), **CYCLE)
    assert np.all(law.waited_fraction >= 1 - law.held_fraction)
    no_cold_p99 = law.waited_fraction <= 0.01
    assert no_cold_p99.any()
    assert np.all(law.held_fraction[no_cold_p99] >= 0.99)


@pytest.mark.parametrize("name", list(CYCLE))
@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
def test_an_impossible_time_is_refused_by_name(name, value):
    """The message names the argument and repeats the value."""
    with pytest.raises(InputError, match=f"{name} .*{value}"):
        replica_cycle(0.1, **CYCLE | {name: value})


def test_erlang_c_values():
    """M/M/3 at a load of 2.4: 0.647191 wait, 1.078652 s on average, 6.9501 s at the p99."""
    assert erlang_c(3, 2.4) == pytest.approx(0.647191, abs=1e-6)
    assert erlang_c_wait_s(2.4, service_s=1.0, servers=3) == pytest.approx(1.078652, abs=1e-6)
    p99_s = erlang_c_wait_s(2.4, service_s=1.0, servers=3, percentile=99)
    assert p99_s == pytest.approx(6.9501, abs=1e-4)
    assert erlang_c_wait_s(2.4, service_s=1.0, servers=3, percentile=30) == 0.0


def test_erlang_c_is_the_birth_and_death_chain():
    """The probability of c or more in the system, from the chain's own balance equations."""
    servers, load = 7, 5.6
    weights = np.cumprod([1.0] + [load / min(k, servers) for k in range(1, 2000)])
    assert erlang_c(servers, load) == pytest.approx(weights[servers:].sum() / weights.sum())


def test_a_load_without_steady_state_is_infeasible():
    """A queue that grows without end has no mean wait."""
    with pytest.raises(InfeasibleError, match="no steady state"):
        erlang_c(2, 2.0)
    with pytest.raises(InfeasibleError, match="no steady state"):
        setup_queue(1.0, service_s=1.0, service_s2=2.0)


def test_setup_values():
    """Known waits: exponential starts of 10 and 60 s, constant ones with a timer."""
    service = {"service_s": 1.0, "service_s2": 2.0}
    instant_off = {"idle_timeout_s": 0.0}
    for start_s in (10.0, 60.0):
        exponential = {"cold_start_s": start_s, "cold_start_s2": 2 * start_s**2}
        law = setup_queue(0.5, **service, **exponential, **instant_off)
        assert law.mean_s == pytest.approx(1.0 + start_s)
    short = setup_queue(0.5, **service, cold_start_s=10.0, idle_timeout_s=2.0)
    assert (short.mean_s, short.held_fraction) == pytest.approx((5.534688, 0.935219), abs=1e-6)
    long = setup_queue(0.5, **service, cold_start_s=60.0, idle_timeout_s=10.0)
    assert long.mean_s == pytest.approx(6.380769, abs=1e-6)


def test_setup_vanishes_with_the_start_or_with_endless_patience():
    """No start, or a replica that is never released, is plain M/G/1."""
    service = {"service_s": 1.0, "service_s2": 5.0}
    plain_s = setup_queue(0.5, **service).mean_s
    assert plain_s == pytest.approx(2.5)
    assert setup_queue(0.5, **service, idle_timeout_s=0.0).mean_s == pytest.approx(plain_s)
    patient = setup_queue(0.5, **service, cold_start_s=60.0, idle_timeout_s=math.inf)
    assert patient.mean_s == pytest.approx(plain_s)
    assert patient.held_fraction == 1.0


def test_unsorted_arrivals_have_no_gaps():
    """Sorting them silently would invent gaps."""
    with pytest.raises(InputError, match="sorted"):
        idle_gap_table([0.0, 5.0, 3.0], [1.0])
