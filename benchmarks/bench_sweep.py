"""Sweeps as a clock sees them: the default example, 500 plans, 171 long ones, and two threads.

Each sweep simulates, bills and marks. Beside the clock stands half of the CPU seconds: what two
cores with nothing else to do would need at least.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time

from common import Row, finish
from example import example, plans, traffic

from frontier.crew import Threads
from frontier.sweep import frontier_table, simulate_plans

RUNS = 5
SWEEPS = {"500": (500, 1_000_000, 60), "171": (171, 5_000_000, 90)}


class Clock:
    """Seconds on the clock and of all threads since it was made."""

    def __init__(self):
        self._wall_s, self._cpu_s = time.perf_counter(), time.process_time()

    def read(self):
        """Return both [s]."""
        return time.perf_counter() - self._wall_s, time.process_time() - self._cpu_s


def default_rows(shown, tables):
    """Yield how long 200 plans of the default example take."""
    trace = traffic(None, tables, shown)
    asked = plans(200, trace, tables, shown)

    def sweep_s():
        clock = Clock()
        outcomes = simulate_plans(asked, trace, tables)
        frontier_table(outcomes, tables, slo_p99_ttft_s=shown.slo_p99_ttft_s)
        return clock.read()

    first_s, _ = sweep_s()
    yield Row("First sweep, compiler or its cache included", f"{first_s:.2f} s")
    walls, cpus = zip(*(sweep_s() for _ in range(RUNS)), strict=True)
    yield Row(
        f"200 plans × {trace.arrival_s.size:,} requests",
        f"{statistics.median(walls):.2f} s, {statistics.median(cpus):.2f} s of CPU",
        "1 s",
    )


def large_row(name, shown, tables):
    """Return how long many plans of much traffic take."""
    count, requests, asked_s = SWEEPS[name]
    trace = traffic(requests, tables, shown)
    asked = plans(count, trace, tables, shown)
    clock = Clock()
    outcomes = simulate_plans(asked, trace, tables)
    frontier_table(outcomes, tables, slo_p99_ttft_s=shown.slo_p99_ttft_s)
    wall_s, cpu_s = clock.read()
    each_ns = cpu_s / count / trace.arrival_s.size * 1e9
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    return Row(
        f"{count} plans × {trace.arrival_s.size:,} requests",
        f"{wall_s:.0f} s, half the CPU seconds {cpu_s / 2:.0f} s, {each_ns:.0f} ns a request, "
        f"peak {peak_gb:.1f} GB",
        f"{asked_s} s",
    )


def threads_row(shown, tables):
    """Return how much faster two threads are than one, on the same plans in turn."""
    trace = traffic(1_000_000, tables, shown)
    asked = plans(None, trace, tables, shown)[::14]
    simulate_plans(asked[:2], trace, tables)
    spent = {1: [], 2: []}
    for _ in range(3):
        for workers, found in spent.items():
            clock = Clock()
            simulate_plans(asked, trace, tables, crew=Threads(workers))
            found.append(clock.read())
    walls = {workers: statistics.median(w for w, _ in found) for workers, found in spent.items()}
    # What one thread would get of a machine that others use is what two would: less than two cores.
    got = {w: statistics.median(cpu / wall for wall, cpu in found) for w, found in spent.items()}
    return Row(
        f"Two threads against one, {len(asked)} plans × {trace.arrival_s.size:,} requests",
        f"× {walls[1] / walls[2]:.2f}; the machine gave one {got[1]:.2f} cores, two {got[2]:.2f}",
        "× 1.8",
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only the default example")
    options = parser.parse_args()
    shown, tables = example()
    rows = list(default_rows(shown, tables))
    if not options.quick:
        rows.append(threads_row(shown, tables))
        rows.extend(large_row(name, shown, tables) for name in SWEEPS)
    finish(rows)


if __name__ == "__main__":
    main()
