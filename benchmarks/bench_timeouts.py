"""What an idle-timeout curve costs, against its plans simulated one by one.

Requests that one replica is enough for, and the default example. CPU seconds of all threads,
medians of several runs.
"""

from __future__ import annotations

import statistics
import time

import numpy as np
from common import Row, finish
from example import example, traffic

from frontier.plans.scenario import Scenario, deploy
from frontier.sweep import LIST_DEAL, bill_outcome, simulate_plans
from frontier.timeouts import simulate_timeouts
from frontier.trace import TraceReport, make_trace

RUNS = 3
REQUESTS = 100_000
DAYS = 90.0


def light(seed=2026):
    """Return short requests that come for an hour and stay away for one, three months long."""
    rng = np.random.default_rng(seed)
    horizon_s = DAYS * 86_400
    arrival_s = np.sort(rng.uniform(0, horizon_s / 2, REQUESTS))
    return make_trace(
        "light",
        arrival_s + np.floor(arrival_s / 3600) * 3600,
        rng.integers(50, 1000, REQUESTS),
        rng.integers(1, 60, REQUESTS),
        horizon_s=horizon_s,
        report=TraceReport("light"),
    )


def cpu_s(work):
    work()
    spent = []
    for _ in range(RUNS):
        begun = time.process_time()
        found = work()
        spent.append(time.process_time() - begun)
    return statistics.median(spent), found


def main():
    shown, tables = example()
    rows = []
    own = traffic(None, tables, shown)
    for name, trace in (("the default example", own), ("one replica is enough", light())):
        scenario = Scenario(
            model=shown.model,
            precision=shown.precision,
            serverless_offer=shown.serverless_offer,
            dedicated_offer=shown.dedicated_offer,
            slo_p99_ttft_s=shown.slo_p99_ttft_s,
        )
        deployment = deploy(scenario, trace, tables)
        curve_s, runs = cpu_s(
            lambda trace=trace, deployment=deployment: simulate_timeouts(
                deployment, trace, tables, LIST_DEAL
            )
        )
        plans = [tried.plan for tried in runs.tried]

        def one_by_one(trace=trace, plans=plans):
            return [bill_outcome(one, tables) for one in simulate_plans(plans, trace, tables)]

        each_s, _ = cpu_s(one_by_one)
        rows.append(
            Row(
                f"{len(plans)} timeouts × {trace.arrival_s.size:,} requests, {name}",
                f"{curve_s:.3f} s, its plans one by one {each_s:.3f} s: × {curve_s / each_s:.2f}",
                "less than one by one",
            )
        )
    finish(rows)


if __name__ == "__main__":
    main()
