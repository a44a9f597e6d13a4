"""Small examples for the Method page, computed by the same simulation and bill as everything else.

One replica, a handful of requests whose gaps double, so that some share a start, some find the
replica up and some find it gone. Numbers come from data/settings.csv, the stages of the start
from the default scenario's. Left out: prompts, so that a first token comes as soon as a request
has its place.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from frontier.billing import LINES, METERED, Contract, Usage, bill, bill_basis
from frontier.plans.scenario import supply_of
from frontier.policy import ScalingPolicy
from frontier.simulate import RunResult, simulate_replicas
from frontier.start.predict import start_inputs_for
from frontier.start.stages import STAGES, ColdStart
from frontier.tables import Tables


@dataclass(frozen=True, slots=True, eq=False)
class WorkedExample:
    """A few requests and the one replica that serves them.

    Attributes
    ----------
    arrival_s : ndarray, shape (n,)
        Each gap is twice the one before. [s]
    result : RunResult
    policy : ScalingPolicy
        Scale-to-zero with one replica that has room for all.
    stage_s : ndarray, shape (1, 10)
        Seconds of the stages of each start. [s]
    """

    arrival_s: NDArray[np.float64]
    result: RunResult
    policy: ScalingPolicy
    stage_s: NDArray[np.float64]


def example_starts(tables: Tables) -> dict[str, ColdStart]:
    """Return the default scenario's start with less and more of it side by side, by a few words."""
    example = next(iter(tables.examples.values()))
    supply = supply_of(example.serverless_offer, tables)
    usual = start_inputs_for(
        supply.behaviour.platform_id, example.model, supply.gpu, example.precision, tables=tables
    )
    start = usual.predict(tables)
    return {
        "One after the other": dataclasses.replace(start, overlaps=()),
        "Copied to the GPU while it is fetched": start,
        "Fetched while the engine starts, too": dataclasses.replace(
            usual, fetch_overlaps_init=True
        ).predict(tables),
    }


def worked_example(start: ColdStart, tables: Tables) -> WorkedExample:
    """Simulate the example.

    Parameters
    ----------
    start : ColdStart
        Whose stages share out the seconds of the example's start.
    """
    work_s, start_s, keep_s, gap_s, requests = (
        tables.setting(f"worked_example_{name}")
        for name in ("work_s", "start_s", "keep_s", "first_gap_s", "requests")
    )
    count = int(requests)
    arrival_s: NDArray[np.float64] = gap_s * (np.exp2(np.arange(count)) - 1.0)
    policy = ScalingPolicy(max_replicas=1, idle_timeout_s=keep_s)
    result = simulate_replicas(
        arrival_s,
        np.zeros(count),
        # Two tokens are one decode step, as long as the work whatever the replica holds.
        np.full(count, 2),
        np.full(count, work_s),
        policy=policy,
        cold_start_s=[start_s],
        horizon_s=float(arrival_s[-1]) + start_s + work_s + keep_s + gap_s,
    )
    wall_s = start.wall_s
    shares = np.array([[wall_s[name] for name in STAGES]]) / start.typical_s
    return WorkedExample(arrival_s, result, policy, shares * start_s)


def session_bills(example: WorkedExample, contract: Contract, tables: Tables) -> pd.DataFrame:
    """Return what each stretch of the replica costs, billed by itself.

    Returns
    -------
    DataFrame
        started_s, ended_s, held_s [s]; held_starting_s, held_busy_s, held_idle_s [s];
        ``billed_<line>_s`` for the lines of `METERED` [GPU-seconds of one GPU]; usd, without the
        fees of a provider's plan. [$]
    """
    rows = []
    sessions = example.result.sessions
    for index, session in enumerate(sessions):
        usage = Usage(
            sessions[index : index + 1],
            example.stage_s,
            gpus_per_replica=1,
            horizon_s=example.result.horizon_s,
            policy=example.policy,
        )
        basis = bill_basis(usage, contract, tables)
        (meters,) = (pool.meters for pool in basis.pools)
        usd = dict(zip(LINES, bill(basis).usd, strict=True))
        rows.append(
            {
                "started_s": float(session["started_s"]),
                "ended_s": float(session["ended_s"]),
                "held_s": float(session["starting_s"] + session["busy_s"] + session["idle_s"]),
                **{
                    f"held_{name}": float(session[name])
                    for name in ("starting_s", "busy_s", "idle_s")
                },
                **{
                    f"billed_{line}_s": float(meters.gpu_s[row].sum())
                    for row, line in enumerate(METERED)
                },
                "usd": sum(usd[line] for line in LINES if line not in ("fees", "credits")),
            }
        )
    return pd.DataFrame(rows)
