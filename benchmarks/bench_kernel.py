"""Requests a second through `simulate_replicas` on one core, and what a run costs in memory.

The trace is Poisson at 40 requests/s with prompts of 50 ms and answers of 100 tokens on average,
on up to 8 replicas of 32 slots. Every figure is the median of several runs after one to warm up,
in CPU seconds of the thread; ratios compare medians of this run.
"""

from __future__ import annotations

import time
import tracemalloc

import numpy as np
from common import Row, finish, median_cpu_s

from frontier.policy import ScalingPolicy
from frontier.simulate import simulate_replicas

RATE_RPS = 40.0
SLOTS = 32
RUNS = 5
MILLION = 1_000_000


def trace(requests, rate_rps=RATE_RPS):
    rng = np.random.default_rng(2026)
    arrival_s = np.cumsum(rng.exponential(1 / rate_rps, requests))
    prefill_s = 0.02 + rng.exponential(0.03, requests)
    output_tokens = 1 + rng.geometric(1 / 99, requests)
    return arrival_s, prefill_s, output_tokens


def run(requests, policy, slots=SLOTS, *, chunks=None):
    arrival_s, prefill_s, output_tokens = requests
    return simulate_replicas(
        arrival_s,
        prefill_s,
        output_tokens,
        0.012 + 0.0003 * np.arange(1, slots + 1),
        policy=policy,
        cold_start_s=[30.0, 40.0],
        horizon_s=arrival_s[-1],
        prefill_chunks=chunks,
    )


def speed(spent_s, requests, beside_s=None):
    """Return nanoseconds and rate as words; ``beside_s`` is a time a request to compare with."""
    each_s = spent_s / requests
    words = f"{each_s * 1e9:.0f} ns a request, {1e-6 / each_s:.1f} M requests/s"
    return words if beside_s is None else f"{words}, × {each_s / beside_s:.2f}"


def memory_ns():
    """Return what it takes to read and write 8 bytes in order, far beyond every cache [ns]."""
    from_, to = np.ones(16 * MILLION), np.ones(16 * MILLION)
    return median_cpu_s(lambda: np.copyto(to, from_), runs=RUNS) / from_.size * 1e9


def main():
    begun = time.perf_counter()
    policy = ScalingPolicy(max_replicas=8, idle_timeout_s=60.0, target_concurrency=16)
    run(trace(10), policy)
    rows = [
        Row("First call, compiler or its cache included", f"{time.perf_counter() - begun:.2f} s")
    ]
    first_s = None
    for requests in (10_000, 100_000, MILLION, 10 * MILLION):
        asked = trace(requests)
        runs = RUNS if requests >= MILLION else 10 * RUNS
        spent_s = median_cpu_s(lambda asked=asked: run(asked, policy), runs=runs)
        aim = "8 M requests/s" if requests == MILLION else "× 0.7 to 1.3" if first_s else ""
        words = speed(spent_s, requests, first_s)
        rows.append(Row(f"0 to 8 replicas of 32, {requests:,} requests", words, aim))
        first_s = first_s or spent_s / requests

    million = trace(MILLION)
    fleet = {"idle_timeout_s": 60.0, "target_concurrency": 16}
    every = {"routing": "spread"}
    cases = {
        "8 replicas, all on, spread": (ScalingPolicy(8, 8, **every), SLOTS),
        "1 replica of 1,024, on": (ScalingPolicy(1, 1), 1024),
        "0 to 64 replicas of 32": (ScalingPolicy(0, 64, **fleet), SLOTS),
        "0 to 1,000 replicas of 32": (ScalingPolicy(0, 1000, **fleet), SLOTS),
        "1,000 replicas, all on, spread": (ScalingPolicy(1000, 1000, **every), SLOTS),
    }
    beside_s = None
    for name, (rules, slots) in cases.items():
        spent_s = median_cpu_s(lambda rules=rules, slots=slots: run(million, rules, slots), runs=3)
        words = speed(spent_s, MILLION, beside_s)
        rows.append(Row(f"{name}, 1,000,000 requests", words, "× 0.7 to 1.3" if beside_s else ""))
        beside_s = beside_s or spent_s / MILLION
    chunks = np.ones(MILLION, np.int64)
    spent_s = median_cpu_s(lambda: run(million, policy, chunks=chunks), runs=3)
    rows.append(Row("0 to 8 replicas, prompts read between answers", speed(spent_s, MILLION)))

    tracemalloc.start()
    result = run(million, policy)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    held = sum(
        value.nbytes
        for name in type(result).__slots__
        if isinstance(value := getattr(result, name), np.ndarray) and name != "sessions"
    )
    words = f"{held / MILLION:.0f}, at most {peak / MILLION:.0f} on the way to it"
    rows.append(Row("Bytes a request of a result", words))
    rows.append(Row("8 bytes copied in order, beyond every cache", f"{memory_ns():.2f} ns"))
    finish(rows)


if __name__ == "__main__":
    main()
