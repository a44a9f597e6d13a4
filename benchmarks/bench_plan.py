"""Where the time of one plan goes, from trace and plan to percentiles, sessions and bill.

The default example's pattern with a million requests; one plan of each of three families, in CPU
seconds of the thread, the mean of several runs after one to warm up. The kernel is timed from
within.
"""

from __future__ import annotations

import functools
import time

import numpy as np
from common import Row, finish, median_cpu_s
from example import example, plans, traffic

from frontier import kernel, simulate, sweep
from frontier.plans.families import DEDICATED, SCALE_TO_ZERO, WARM_POOL

REQUESTS = 1_000_000
RUNS = 5
PARTS = {
    "kernel": (kernel, "_run"),
    "kernel and its arrays": (kernel, "run_replicas"),
    "replicas": (simulate, "simulate_replicas"),
    "plan": (sweep, "simulate_plan"),
    "percentiles": (sweep, "summarise"),
}


def timed(spent, name, work):
    @functools.wraps(work)
    def wrapper(*arguments, **named):
        begun = time.thread_time()
        try:
            return work(*arguments, **named)
        finally:
            spent.setdefault(name, []).append(time.thread_time() - begun)

    return wrapper


def main():
    shown, tables = example()
    trace = traffic(REQUESTS, tables, shown)
    count = trace.arrival_s.size
    grid = plans(None, trace, tables, shown)
    draws = sweep.start_draws((plan.start for plan in grid), tables)
    stop = np.zeros(1, np.uint8)
    spent = {}
    for name, (module, function) in PARTS.items():
        setattr(module, function, timed(spent, name, getattr(module, function)))
    rows = []
    for family in (DEDICATED, WARM_POOL, SCALE_TO_ZERO):
        of_family = [plan for plan in grid if plan.family is family]
        if not of_family:
            continue
        plan = of_family[len(of_family) // 2]
        sweep.outcome_of(plan, trace, draws[plan.start], stop)
        spent.clear()
        whole = []
        for _ in range(RUNS):
            begun = time.thread_time()
            outcome = sweep.outcome_of(plan, trace, draws[plan.start], stop)
            whole.append(time.thread_time() - begun)
        # The kernel is entered again where its table of sessions was full.
        ns = {name: sum(found) / RUNS / count * 1e9 for name, found in spent.items()}
        all_ns = sum(whole) / RUNS / count * 1e9
        head = f"One plan, {family.key}, {plan.policy.max_replicas} replicas at most"
        shares = {
            "the event loop": ns["kernel"],
            "its arrays": ns["kernel and its arrays"] - ns["kernel"],
            "checks, sessions": ns["replicas"] - ns["kernel and its arrays"],
            "prompt times, overheads": ns["plan"] - ns["replicas"],
            "percentiles": all_ns - ns["plan"],
        }
        words = ", ".join(f"{name} {value:.0f}" for name, value in shares.items())
        rows.append(
            Row(head, f"{all_ns:.0f} ns a request, {1e3 / all_ns:.1f} M requests/s: {words}")
        )
        bill_s = median_cpu_s(
            lambda outcome=outcome: sweep.bill_outcome(outcome, tables), runs=RUNS
        )
        rows.append(
            Row(
                f"Its bill, {len(outcome.sessions):,} sessions",
                f"{bill_s * 1e3:.1f} ms, once a plan, {bill_s / count * 1e9:.1f} ns a request",
            )
        )
    finish(rows)


if __name__ == "__main__":
    main()
