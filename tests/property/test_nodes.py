"""Laws of nodes: what a run on them is billed, whatever the traffic and the policy."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from frontier.billing import Contract, Terms, Usage, bill, bill_basis
from frontier.errors import InputError
from frontier.policy import NodePool, ScalingPolicy
from frontier.start.stages import STAGES
from frontier.tables import load_tables
from tests.property.test_simulation import draw_case, draw_case_on_nodes

TABLES = load_tables()
BARE = Terms(platform_fee=False, free_credit=False)
OFFER = dataclasses.replace(TABLES.offers["aws-l40s-4x"], gpus_min=1)
# By the second as it runs, so that a sum of stretches is a sum of bills.
RULES = dataclasses.replace(TABLES.rules_of(OFFER), increment_s=1e-6, minimum_s=0.0)
SEEDS = range(150)


def basis_of(case, *, offer=OFFER):
    """Return what the run of a case is billed from: each start is all engine, and all billed."""
    starts_s, pool = case.cold_start_s, case.policy.nodes
    if pool is not None:
        case = with_pool(case, gpus_per_node=pool.gpus_per_node or pool.replicas_per_node)
        starts_s = np.concatenate([starts_s, case.pod_start_s])
    stage_s = np.zeros((starts_s.size, len(STAGES)))
    stage_s[:, STAGES.index("engine_init")] = starts_s
    usage = Usage(case.run().sessions, stage_s, 1, case.horizon_s, case.policy)
    return bill_basis(usage, Contract(offer, RULES, BARE), TABLES)


def with_pool(case, **changes):
    pool = dataclasses.replace(case.policy.nodes, **changes)
    return dataclasses.replace(case, policy=dataclasses.replace(case.policy, nodes=pool))


def test_a_node_is_never_paid_for_twice():
    """The stretches of one node do not overlap, and their seconds are the bill, line by line."""
    for seed in SEEDS:
        case = draw_case_on_nodes(seed)
        basis = basis_of(case)
        meters = basis.meters
        for node in np.unique(meters["machine"]):
            own = np.sort(meters[meters["machine"] == node], order="started_s")
            assert np.all(own["started_s"][1:] >= own["ended_s"][:-1] - 1e-9)
        up_s = float((meters["ended_s"] - meters["started_s"]).sum())
        assert bill(basis).billed_s == pytest.approx(up_s, rel=1e-6, abs=1e-3)
        for name in ("busy", "idle", "starting", "unused", "empty"):
            assert np.all(meters[f"{name}_gpu_s"] >= 0)


def test_nodes_of_one_replica_without_delay_cost_what_machines_do():
    """One replica a node, no delay, starts alike: the bill of machines by the hour."""
    offer = dataclasses.replace(OFFER, gpus_max=1)
    for seed in SEEDS:
        case = draw_case(seed)
        on_nodes = dataclasses.replace(
            case,
            policy=dataclasses.replace(case.policy, nodes=NodePool()),
            pod_start_s=case.cold_start_s,
        )
        plain, found = (bill(basis_of(one, offer=offer)) for one in (case, on_nodes))
        assert found.usd == pytest.approx(plain.usd, rel=1e-6, abs=1e-9)


def test_a_longer_delay_of_the_same_run_never_costs_less():
    """With the same sessions a node that is kept for longer is paid for as long or longer."""
    for seed in SEEDS:
        case = draw_case_on_nodes(seed)
        sessions = case.run().sessions
        stage_s = np.zeros((2 * case.cold_start_s.size, len(STAGES)))
        stage_s[:, 3] = np.concatenate([case.cold_start_s, case.pod_start_s])
        costs = []
        for delay_s in (0.0, 5.0, 500.0):
            policy = with_pool(case, scale_down_delay_s=delay_s, gpus_per_node=8).policy
            usage = Usage(sessions, stage_s, 1, case.horizon_s, policy)
            costs.append(bill(bill_basis(usage, Contract(OFFER, RULES, BARE), TABLES)).usd_span)
        assert costs == sorted(costs)


def test_kept_nodes_cost_the_same_whatever_the_traffic():
    """As many kept nodes as can ever be used: every hour of each is paid, and nothing else."""
    for seed in SEEDS:
        case = draw_case_on_nodes(seed)
        kept = case.policy.max_replicas
        basis = basis_of(with_pool(case, kept_nodes=kept, gpus_per_node=4))
        pinned = case.policy.pinned_replicas
        others = basis.meters[basis.meters["machine"] >= 0]
        usd = bill(basis).usd_span
        if not pinned:
            assert usd == pytest.approx(kept * 4 * case.horizon_s / 3600 * OFFER.usd_per_gpu_h)
        assert others.size == kept
        assert np.all(others["ended_s"] == case.horizon_s)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"replicas_per_node": 0}, "replicas_per_node must be a whole number of at least 1"),
        ({"scale_down_delay_s": -1.0}, "scale_down_delay_s must be at least 0 s"),
        ({"kept_nodes": -1}, "kept_nodes must be a whole number of at least 0"),
        ({"gpus_per_node": 0}, "gpus_per_node must be a whole number of at least 1"),
    ],
)
def test_a_pool_that_makes_no_sense_is_refused(changes, words):
    """The message names the field."""
    with pytest.raises(InputError, match=words):
        NodePool(**changes)


def test_half_of_the_excess_cannot_leave_on_nodes():
    """Replicas that linger on the meter alone would outlive the node they are on."""
    with pytest.raises(InputError, match="scale_down must be all"):
        ScalingPolicy(scale_down="half_per_window", nodes=NodePool())
