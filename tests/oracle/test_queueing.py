"""The replica simulation against queueing theory.

Where a result is random, the tolerance comes from the spread of independent replications: their
mean must lie within four standard errors of the law. Each replication leaves out its first
requests, which see a system that is still filling up.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from frontier.analytic import replica_cycle
from frontier.policy import ParkedTier, ScalingPolicy
from frontier.simulate import simulate_replicas
from tests.queueing import erlang_c, erlang_c_wait_s, setup_queue

REPLICATIONS = 12
WARM_UP = 0.1  # share of each replication that is left out


def agrees(samples, law, *, relative_bias=0.0):
    """Say whether the mean of the replications is the law's value, within four errors."""
    error = np.std(samples, ddof=1) / math.sqrt(len(samples))
    return abs(np.mean(samples) - law) <= 4 * error + relative_bias * law


def poisson(rng, rate_rps, requests):
    return np.cumsum(rng.exponential(1 / rate_rps, requests))


def one_at_a_time(arrival_s, service_s, policy, cold_start_s=(0.0,)):
    """Run replicas that hold one request, whose service is all prefill: a classical queue."""
    return simulate_replicas(
        arrival_s,
        service_s,
        np.ones(arrival_s.size, dtype=int),
        [1.0],
        policy=policy,
        cold_start_s=cold_start_s,
        horizon_s=arrival_s[-1],
    )


def replicated(measure, *, requests, seed):
    return np.array(
        [
            measure(np.random.default_rng([seed, replication]), requests)
            for replication in range(REPLICATIONS)
        ]
    )


def after_warm_up(values):
    return values[int(WARM_UP * len(values)) :]


def always_on(servers, **rules):
    return ScalingPolicy(min_replicas=servers, max_replicas=servers, **rules)


@pytest.mark.parametrize(("servers", "rate_rps"), [(1, 0.7), (3, 2.4), (10, 8.0)])
def test_fixed_replicas_are_erlang_c(servers, rate_rps):
    """M/M/c: the share that waits, the mean wait and its 95th percentile are Erlang's."""

    def measure(rng, requests):
        service_s = rng.exponential(1.0, requests)
        result = one_at_a_time(poisson(rng, rate_rps, requests), service_s, always_on(servers))
        wait_s = after_warm_up(result.ttft_s - service_s)
        waits = wait_s > 1e-9
        return waits.mean(), wait_s.mean(), np.percentile(wait_s, 95)

    share, mean_s, p95_s = replicated(measure, requests=60_000, seed=1).T
    assert agrees(share, erlang_c(servers, rate_rps))
    assert agrees(mean_s, erlang_c_wait_s(rate_rps, service_s=1.0, servers=servers))
    law_s = erlang_c_wait_s(rate_rps, service_s=1.0, servers=servers, percentile=95)
    assert agrees(p95_s, law_s, relative_bias=0.005)


@pytest.mark.parametrize("spread", ["constant", "exponential", "erratic"])
def test_one_replica_is_pollaczek_khinchine(spread):
    """M/G/1: the mean wait depends on the service time through its first two moments only."""

    def service(rng, size):
        if spread == "constant":
            return np.ones(size)
        if spread == "exponential":
            return rng.exponential(1.0, size)
        # One in ten takes 5.5 times as long as the mean; the squared variation is 2.25.
        return np.where(rng.random(size) < 0.1, 5.5, 0.5)

    second = {"constant": 1.0, "exponential": 2.0, "erratic": 3.25}[spread]

    def measure(rng, requests):
        service_s = service(rng, requests)
        result = one_at_a_time(poisson(rng, 0.5, requests), service_s, always_on(1))
        return after_warm_up(result.ttft_s - service_s).mean()

    law = setup_queue(0.5, service_s=1.0, service_s2=second)
    assert law.mean_s == pytest.approx(0.5 * second / 2 / 0.5)
    assert agrees(replicated(measure, requests=60_000, seed=2), law.mean_s)


@pytest.mark.parametrize(
    ("start", "idle_timeout_s", "wait_s", "held"),
    [
        ("exponential", 0.0, 11.0, 1 - 0.5 / 6),
        ("constant", 2.0, 5.534688, 0.935219),
        ("constant", 0.0, None, None),
    ],
)
def test_one_replica_that_scales_to_zero(start, idle_timeout_s, wait_s, held):
    """M/M/1 with a start of 10 s: 11 s of wait when it is exponential and instantly off.

    With a constant start and a timeout of 2 s it is 5.534688 s, and the replica is held for
    0.935219 of the time.
    """
    second = {"exponential": 200.0, "constant": 100.0}[start]
    law = setup_queue(
        0.5,
        service_s=1.0,
        service_s2=2.0,
        cold_start_s=10.0,
        cold_start_s2=second,
        idle_timeout_s=idle_timeout_s,
    )
    if wait_s is not None:
        assert law.mean_s == pytest.approx(wait_s, abs=1e-6)
        assert law.held_fraction == pytest.approx(held, abs=1e-6)

    def measure(rng, requests):
        service_s = rng.exponential(1.0, requests)
        starts_s = rng.exponential(10.0, requests) if start == "exponential" else [10.0]
        policy = ScalingPolicy(max_replicas=1, idle_timeout_s=idle_timeout_s)
        result = one_at_a_time(poisson(rng, 0.5, requests), service_s, policy, starts_s)
        wait_s = after_warm_up(result.ttft_s - service_s)
        return wait_s.mean(), result.held_s / result.horizon_s

    waits_s, helds = replicated(measure, requests=60_000, seed=3).T
    assert agrees(waits_s, law.mean_s)
    assert agrees(helds, law.held_fraction)


@pytest.mark.parametrize("parked", [False, True])
@pytest.mark.parametrize(
    ("rate_rps", "cold_start_s"), [(0.0005, 45.0), (0.003, 300.0), (0.01, 0.5)]
)
def test_one_replica_with_room_for_all_is_the_cycle_formula(rate_rps, cold_start_s, parked):
    """Held, triggering and waiting shares are those of `replica_cycle`.

    A parked tier that is never left is the same with the resume in the place of the start,
    except that the parked time is not held.
    """
    residence_s, idle_timeout_s = 5.0, 300.0
    law = replica_cycle(
        rate_rps,
        cold_start_s=cold_start_s,
        residence_s=residence_s,
        idle_timeout_s=idle_timeout_s,
    )
    tiers = (ParkedTier(resume_s=cold_start_s),) if parked else ()
    policy = ScalingPolicy(max_replicas=1, idle_timeout_s=idle_timeout_s, parked=tiers)

    def measure(rng, requests):
        arrival_s = poisson(rng, rate_rps, requests)
        result = simulate_replicas(
            arrival_s,
            np.zeros(requests),
            np.full(requests, 11),
            np.full(64, residence_s / 10),
            policy=policy,
            cold_start_s=[cold_start_s],
            horizon_s=arrival_s[-1],
        )
        starting_s = result.sessions["starting_s"].sum()
        return (
            result.held_s / result.horizon_s,
            starting_s / cold_start_s / requests,
            result.waited_share,
        )

    held, trigger, waited = replicated(measure, requests=20_000, seed=4).T
    assert agrees(held, law.held_fraction[0])
    assert agrees(trigger, law.trigger_fraction[0])
    assert agrees(waited, law.waited_fraction[0])


# Independently simulated steady states of scale-per-request with exponential service of mean
# 1.991 s, 0.253 s more when cold, and 600 s of idle expiry, the newest instance first:
# rate [1/s], cold share, instances, idle instances.
SCALE_PER_REQUEST = [
    (0.02, 0.02440, 1.368, 1.328),
    (0.1, 0.00708, 2.646, 2.446),
    (0.5, 0.001952, 5.612, 4.615),
    (2.0, 0.000777, 12.334, 8.344),
]


@pytest.mark.parametrize(("rate_rps", "cold", "instances", "idle"), SCALE_PER_REQUEST)
def test_scale_per_request(rate_rps, cold, instances, idle):
    """One request an instance and ten minutes of expiry: cold share and instances are known.

    The known values are simulated too, with about one per cent of error, and send a request to
    the newest instance where we take the lowest index.
    """

    def measure(rng, requests):
        result = one_at_a_time(
            poisson(rng, rate_rps, requests),
            rng.exponential(1.991, requests),
            ScalingPolicy(max_replicas=60, idle_timeout_s=600.0),
            [2.244 - 1.991],
        )
        from_s = WARM_UP * result.horizon_s
        started_s = result.sessions["started_s"]
        cold = (started_s > from_s).sum() / ((1 - WARM_UP) * requests)
        idle = result.sessions["idle_s"].sum() / result.horizon_s
        return cold, result.held_s / result.horizon_s, idle

    found = replicated(measure, requests=100_000, seed=5).T
    assert agrees(found[0], cold, relative_bias=0.03)
    assert agrees(found[1], instances, relative_bias=0.03)
    assert agrees(found[2], idle, relative_bias=0.03)


def test_decode_whose_step_grows_with_the_batch_is_processor_sharing():
    """M/G/1-PS: the mean time in the system is S / (1 - rho), whatever the law of S.

    With a step of b times a constant each of b requests gets 1/b of the replica.
    """
    rate_rps, step_s = 0.6, 0.05

    def measure(rng, requests, constant):
        steps = np.full(requests, 20) if constant else rng.geometric(1 / 20, requests)
        arrival_s = poisson(rng, rate_rps, requests)
        result = simulate_replicas(
            arrival_s,
            np.zeros(requests),
            steps + 1,
            step_s * np.arange(1, 257),
            policy=always_on(1),
            cold_start_s=[0.0],
            horizon_s=arrival_s[-1],
        )
        return after_warm_up(result.finish_s - arrival_s).mean()

    for constant in (True, False):
        samples = replicated(
            lambda rng, requests, constant=constant: measure(rng, requests, constant),
            requests=40_000,
            seed=6,
        )
        assert agrees(samples, 1.0 / (1 - rate_rps))


def test_decode_whose_step_does_not_grow_is_an_infinite_server():
    """Without prefill and with room for all, every request takes its own steps and no more."""
    rng = np.random.default_rng(7)
    arrival_s = poisson(rng, 20.0, 5_000)
    tokens = rng.integers(1, 200, 5_000)
    result = simulate_replicas(
        arrival_s,
        np.zeros(5_000),
        tokens,
        np.full(512, 0.03),
        policy=always_on(1),
        cold_start_s=[0.0],
        horizon_s=arrival_s[-1],
    )
    np.testing.assert_allclose(result.finish_s, arrival_s + 0.03 * (tokens - 1), atol=1e-6)
    np.testing.assert_array_equal(result.ttft_s, 0.0)


@pytest.mark.parametrize("servers", [1, 4])
def test_no_patience_at_all_is_erlang_b(servers):
    """M/M/c/c: with a queue timeout of 0 the rejected share is Erlang's B."""
    load = 0.8 * servers
    terms = [load**k / math.factorial(k) for k in range(servers + 1)]
    policy = always_on(servers, queue_timeout_s=0.0)

    def measure(rng, requests):
        service_s = rng.exponential(1.0, requests)
        return one_at_a_time(poisson(rng, load, requests), service_s, policy).rejected_share

    assert agrees(replicated(measure, requests=40_000, seed=8), terms[-1] / sum(terms))


def test_constant_patience():
    r"""M/M/1+D: requests that wait tau for service leave, a known share of them.

    The work v in front of an accepted request has density proportional to exp(-(mu - lam) v) up
    to tau and falls as exp(-mu v) beyond, where nobody joins. Hence the share that leaves is
    (1 - rho) rho e / (1 - rho^2 e) with e = exp(-(mu - lam) tau) (Barrer, Operations Research 5,
    1957).
    """
    load, patience_s = 0.8, 3.0
    still = math.exp(-(1 - load) * patience_s)
    law = (1 - load) * load * still / (1 - load**2 * still)
    policy = always_on(1, queue_timeout_s=patience_s)

    def measure(rng, requests):
        service_s = rng.exponential(1.0, requests)
        return one_at_a_time(poisson(rng, load, requests), service_s, policy).rejected_share

    assert agrees(replicated(measure, requests=60_000, seed=9), law)


def test_a_week_of_unbroken_work_stays_exact():
    """A replica that never empties keeps its clock: each finish is where arithmetic puts it.

    Two requests are held at any time and leave in turn, every 100 steps of 0.03 s, over twenty
    million steps; whoever leaves is followed by the next in the queue.
    """
    requests, step_s = 200_000, 0.03
    steps = np.full(requests, 200)
    steps[0] = 100
    result = simulate_replicas(
        np.zeros(requests),
        np.zeros(requests),
        steps + 1,
        [step_s, step_s],
        policy=always_on(1),
        cold_start_s=[0.0],
        horizon_s=0.0,
    )
    expected_s = 100 * step_s * np.arange(1, requests + 1)
    np.testing.assert_allclose(result.finish_s, expected_s, rtol=0, atol=1e-6)
