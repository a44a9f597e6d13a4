"""Other simulators beside this one, on the same work, each on one core in CPU seconds.

They run in an environment of their own, `.venv-peers`, which `make bench` makes. What each finds
stands beside its rate, for a rate is worth nothing where the numbers differ.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from common import Row, finish, median_cpu_s

from frontier.policy import ScalingPolicy
from frontier.simulate import simulate_replicas

ROOT = Path(__file__).resolve().parents[1]
PEERS = Path(os.environ.get("FRONTIER_PEERS", ROOT / ".venv-peers")) / "bin" / "python"
REQUESTS = 1_000_000
QUEUE = {"rate_rps": 6.4, "serve_s": 1.0, "replicas": 8}
ZERO = {"rate_rps": 0.1, "serve_s": 5.0, "timeout_s": 30.0}


def served(policy, rate_rps, serve_s):
    """Return a function that makes a run of a million requests, and their answers' seconds."""
    rng = np.random.default_rng(2026)
    arrival_s = np.cumsum(rng.exponential(1 / rate_rps, REQUESTS))
    answer_s = rng.exponential(serve_s, REQUESTS)
    # An answer of one token is over when its prompt is read: the whole of its time is that.
    tokens = np.ones(REQUESTS, np.int64)

    def run():
        return simulate_replicas(
            arrival_s,
            answer_s,
            tokens,
            [0.0],
            policy=policy,
            cold_start_s=[0.0],
            horizon_s=arrival_s[-1],
        )

    return run, answer_s


def peer(name, requests, given):
    """Return what another simulator found and took."""
    asked = json.dumps({**given, "requests": requests, "seed": 2026})
    command = [str(PEERS), str(ROOT / "benchmarks" / "peer_runs.py"), name, asked]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return json.loads(said.splitlines()[-1])


def erlang_wait_s(rate_rps, serve_s, replicas):
    """Return the mean wait of M/M/c by Erlang's formula [s]."""
    load = rate_rps * serve_s
    blocked = 1.0
    for count in range(1, replicas + 1):
        blocked = load * blocked / (count + load * blocked)
    waits = blocked / (1 - load / replicas * (1 - blocked))
    return waits * serve_s / (replicas - load)


def rate(requests, cpu_s, beside_s=None):
    each_s = cpu_s / requests
    words = f"{1e-3 / each_s:,.0f} thousand requests/s"
    return words if beside_s is None else f"{words}: Frontier is {each_s / beside_s:,.0f} × as fast"


def main():
    if not PEERS.exists():
        print(f"{PEERS} is not there: `make .venv-peers/.installed` makes it.")
        sys.exit(3)
    rows = []
    policy = ScalingPolicy(8, 8, routing="spread")
    run, answer_s = served(policy, QUEUE["rate_rps"], QUEUE["serve_s"])
    own_s = median_cpu_s(run, runs=3) / REQUESTS
    wait_s = float((run().ttft_s - answer_s).mean())
    true_s = erlang_wait_s(**QUEUE)
    head = "8 replicas of one request, 80 % busy"
    rows.append(
        Row(f"{head}: Frontier", f"{rate(1, own_s)}, mean wait {wait_s:.3f} s", f"{true_s:.3f} s")
    )
    for name, requests in (("simpy", 200_000), ("ciw", 100_000)):
        found = peer(f"queue-{name}", requests, QUEUE)
        words = rate(found["requests"], found["cpu_s"], own_s)
        rows.append(
            Row(f"{head}: {name}", f"{words}; mean wait {found['wait_s']:.3f} s", f"{true_s:.3f} s")
        )
    policy = ScalingPolicy(max_replicas=1000, idle_timeout_s=ZERO["timeout_s"])
    run, _ = served(policy, ZERO["rate_rps"], ZERO["serve_s"])
    own_s = median_cpu_s(run, runs=3) / REQUESTS
    result = run()
    cold_share = len(result.sessions) / REQUESTS
    replicas = result.held_s / result.horizon_s
    head = "Scale to zero after 30 s, starts of 0 s"
    words = f"{rate(1, own_s)}, {cold_share:.1%} cold, {replicas:.2f} replicas"
    rows.append(Row(f"{head}: Frontier", words))
    for name, requests in (("simpy", 100_000), ("simfaas", 100_000)):
        found = peer(f"zero-{name}", requests, ZERO)
        words = rate(found["requests"], found["cpu_s"], own_s)
        what = f"{found['cold_share']:.1%} cold, {found['replicas']:.2f} replicas"
        rows.append(Row(f"{head}: {name}", f"{words}; {what}"))
    finish(rows)


if __name__ == "__main__":
    main()
