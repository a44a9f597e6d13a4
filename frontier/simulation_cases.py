"""Published values of queues that scale, against the simulation.

data/simulation_cases.csv holds closed forms (Erlang C, Pollaczek and Khinchine, a replica with a
start and an idle timeout) and an experiment on a platform of functions. Each is simulated with
random arrivals from one seed, so that the table is the same each time it is printed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from frontier.policy import ScalingPolicy
from frontier.simulate import RunResult, simulate_replicas
from frontier.tables import SimulationCase, Tables
from frontier.validation import Comparison

_SEED = 7
# Left out at the front, where the system is still filling up.
_WARM_UP_SHARE = 0.1
_GROUPS = {"measured": "experiment", "paper": "closed form", "derived": "closed form"}


def validate_simulation(tables: Tables) -> tuple[Comparison, ...]:
    """Return each published value with the simulated one; none was used in a fit."""
    requests = int(tables.setting("validation_requests"))
    return tuple(
        Comparison(
            "simulation",
            _GROUPS[case.basis],
            f"{case.label}: {case.quantity}",
            simulated(case, requests),
            case.value,
            case.unit,
            False,
            case.source_id,
        )
        for case in tables.simulation_cases.values()
    )


def simulated(case: SimulationCase, requests: int) -> float:
    """Return the simulated value of a case over so many requests, in the case's unit.

    A replica of concurrency 1 is a classical server: all service is prefill. One that holds more
    serves them side by side, each as fast as alone.
    """
    rng = np.random.default_rng(_SEED)
    arrival_s = np.cumsum(rng.exponential(1 / case.rate_rps, requests))
    service_s = _drawn(case.service_law, case.service_s, requests, rng)
    starts_s = _drawn(case.cold_start_law, case.cold_start_s, requests, rng)
    policy = ScalingPolicy(
        min_replicas=case.min_replicas,
        max_replicas=case.max_replicas,
        idle_timeout_s=case.idle_timeout_s,
    )
    alone = case.concurrency == 1
    result = simulate_replicas(
        arrival_s,
        service_s if alone else np.zeros(requests),
        np.full(requests, 1 if alone else 2),
        [1.0] if alone else np.full(case.concurrency, case.service_s),
        policy=policy,
        cold_start_s=starts_s,
        horizon_s=float(arrival_s[-1]),
    )
    return _value(case, result, service_s if alone else np.zeros(requests))


def _drawn(law: str, mean_s: float, size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    return rng.exponential(mean_s, size) if law == "exponential" else np.full(size, mean_s)


def _value(case: SimulationCase, result: RunResult, service_s: NDArray[np.float64]) -> float:
    if case.quantity == "held_replicas":
        return float(result.held_s / result.horizon_s)
    if case.quantity == "cold_share":
        return float(np.count_nonzero(result.sessions["cold_start_index"] >= 0)) / service_s.size
    wait_s = (result.ttft_s - service_s)[int(_WARM_UP_SHARE * service_s.size) :]
    if case.quantity == "waited_share":
        return float(np.mean(wait_s > 1e-9))
    if case.quantity == "p99_wait_s":
        return float(np.percentile(wait_s, 99, method="inverted_cdf"))
    return float(np.mean(wait_s))
