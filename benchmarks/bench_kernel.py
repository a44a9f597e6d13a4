"""Requests a second through `simulate_replicas` on one core, and what a run costs in memory.

The trace is Poisson at 40 requests/s with prompts of 50 ms and answers of 100 tokens on average,
on up to 8 replicas of 32 slots. Every figure is the median of several runs after one to warm up;
ratios compare medians of this run.
"""

from __future__ import annotations

import os
import platform
import statistics
import time
import tracemalloc
from pathlib import Path

import numpy as np

from frontier.policy import ScalingPolicy
from frontier.simulate import simulate_replicas

RATE_RPS = 40.0
SLOTS = 32
RUNS = 5


def machine():
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = names[0].split(":")[1].strip() if names else cpu
    return f"{cpu}, {os.cpu_count()} cores, Python {platform.python_version()}"


def trace(requests):
    rng = np.random.default_rng(2026)
    arrival_s = np.cumsum(rng.exponential(1 / RATE_RPS, requests))
    prefill_s = 0.02 + rng.exponential(0.03, requests)
    output_tokens = 1 + rng.geometric(1 / 99, requests)
    return arrival_s, prefill_s, output_tokens


def run(requests, policy, slots=SLOTS):
    arrival_s, prefill_s, output_tokens = requests
    return simulate_replicas(
        arrival_s,
        prefill_s,
        output_tokens,
        0.012 + 0.0003 * np.arange(1, slots + 1),
        policy=policy,
        cold_start_s=[30.0, 40.0],
        horizon_s=arrival_s[-1],
    )


def median_s(*arguments):
    run(*arguments)
    spent = []
    for _ in range(RUNS):
        begun = time.perf_counter()
        run(*arguments)
        spent.append(time.perf_counter() - begun)
    return statistics.median(spent)


def main():
    print(machine())
    begun = time.perf_counter()
    policy = ScalingPolicy(max_replicas=8, idle_timeout_s=60.0, target_concurrency=16)
    run(trace(10), policy)
    print(f"first call, compiler or its cache included: {time.perf_counter() - begun:.2f} s")

    print("\nscaling between 0 and 8 replicas, by length of the trace")
    cost_s = {}
    for requests in (10_000, 100_000, 1_000_000, 10_000_000):
        cost_s[requests] = median_s(trace(requests), policy) / requests
        rate = 1e-6 / cost_s[requests]
        ratio = cost_s[requests] / cost_s[10_000]
        print(
            f"{requests:>10,}: {cost_s[requests] * 1e9:4.0f} ns a request, "
            f"{rate:.2f} million a second, {ratio:.2f} of the cost at 10,000"
        )

    print("\none million requests, by what runs")
    million = trace(1_000_000)
    result = run(million, policy)
    print(f"utilisation {result.utilisation:.2f}, {len(result.sessions)} sessions")
    fleet = {"idle_timeout_s": 60.0, "target_concurrency": 16}
    cases = {
        "8 fixed, spread": (ScalingPolicy(min_replicas=8, max_replicas=8, routing="spread"), SLOTS),
        "up to 8, C = 32": (policy, SLOTS),
        "up to 8, C = 1024": (policy, 1024),
        "up to 1000, C = 32": (ScalingPolicy(max_replicas=1000, **fleet), SLOTS),
        "1000 fixed, spread": (
            ScalingPolicy(min_replicas=1000, max_replicas=1000, routing="spread"),
            SLOTS,
        ),
    }
    for name, (rules, slots) in cases.items():
        spent_s = median_s(million, rules, slots)
        print(f"{name:>20}: {spent_s * 1e3:4.0f} ns a request, {1 / spent_s:.2f} million a second")

    tracemalloc.start()
    result = run(million, policy)
    _, peak = tracemalloc.get_traced_memory()
    held = sum(getattr(result, name).nbytes for name in ("ttft_s", "finish_s", "rejected"))
    held += result.waited_on_start.nbytes
    print(f"\nresult {held / 1e6:.0f} bytes a request, at most {peak / 1e6:.0f} on the way to it")


if __name__ == "__main__":
    main()
