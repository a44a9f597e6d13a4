"""How long 200 plans take on the default example, and what the app's process weighs.

Prints the machine, medians of several runs and the memory of this process after a sweep.
"""

from __future__ import annotations

import os
import platform
import resource
import statistics
import time

RUNS = 7


def main() -> None:
    """Time loading, the first sweep (with compilation) and later sweeps."""
    begun_s = time.perf_counter()
    from frontier.plans.grid import default_grid
    from frontier.plans.scenario import Scenario, deploy
    from frontier.sweep import frontier_table, simulate_plans
    from frontier.tables import load_tables
    from frontier.trace import generate_trace

    tables = load_tables()
    example = next(iter(tables.examples.values()))
    trace = generate_trace(
        example.preset,
        seed=example.seed,
        days=example.days,
        requests_per_day=example.requests_per_day,
    )
    scenario = Scenario(
        model=example.model,
        precision=example.precision,
        serverless_offer=example.serverless_offer,
        dedicated_offer=example.dedicated_offer,
        slo_p99_ttft_s=example.slo_p99_ttft_s,
    )
    loaded_s = time.perf_counter() - begun_s
    grid = default_grid(deploy(scenario, trace, tables), trace, tables)
    plans = (grid * (200 // len(grid) + 1))[:200]
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}"
    )
    print(f"imports, tables and the example's trace: {loaded_s:.2f} s")

    def sweep_s() -> float:
        start_s = time.perf_counter()
        frontier_table(
            simulate_plans(plans, trace, tables), tables, slo_p99_ttft_s=example.slo_p99_ttft_s
        )
        return time.perf_counter() - start_s

    print(
        f"first sweep of {len(plans)} plans, compilation or its cache included: {sweep_s():.2f} s"
    )
    runs = [sweep_s() for _ in range(RUNS)]
    print(
        f"sweep of {len(plans)} plans × {trace.arrival_s.size:,} requests, simulated and billed: "
        f"median {statistics.median(runs):.3f} s (of {RUNS}: {min(runs):.3f} to {max(runs):.3f})"
    )
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of this process: {peak_mb:.0f} MB")


if __name__ == "__main__":
    main()
