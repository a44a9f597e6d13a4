"""A week of nodes that come and go, billed by hand.

A node is paid for from the start that brings it until its delay after the last replica is over.
The arithmetic stands in the tests as a person would write it down.
"""

from __future__ import annotations

import dataclasses

import pytest

from frontier.billing import Contract, Terms, Usage, bill, bill_basis
from frontier.policy import NodePool, ScalingPolicy
from frontier.tables import load_tables
from tests.oracle.test_billing import session_rows

TABLES = load_tables()
WEEK = 604_800.0
# Four L40S on one machine of EC2, by the second, at least a minute.
OFFER = TABLES.offers["aws-l40s-4x"]
USD_PER_GPU_S = OFFER.usd_per_gpu_h / 3600
#         allocate pull boot init fetch load compile kv capture other: 300 s on a node that is off
WHOLE = (75.0, 95.0, 5.0, 30.0, 50.0, 10.0, 20.0, 5.0, 5.0, 5.0)
#         100 s on one that is up: nothing to allocate or pull, weights on its disk
POD = (0.0, 0.0, 5.0, 30.0, 10.0, 10.0, 20.0, 5.0, 10.0, 10.0)
POOL = NodePool(replicas_per_node=2, scale_down_delay_s=600.0)

SESSIONS = (
    # Monday: a start brings the node, and a second replica waits for it.
    {"replica": 0, "started_s": 32_400, "ready_s": 32_700, "ended_s": 34_000, "starting_s": 300,
     "busy_s": 1000, "idle_s": 300, "cold_start_index": 0},
    {"replica": 1, "started_s": 32_500, "ready_s": 32_700, "ended_s": 33_500, "starting_s": 200,
     "busy_s": 500, "idle_s": 300, "cold_start_index": 1},
    # 400 s after the last one left the node is still there.
    {"replica": 0, "started_s": 34_400, "ready_s": 34_500, "ended_s": 35_000, "starting_s": 100,
     "busy_s": 200, "idle_s": 300, "cold_start_index": 1},
    # Tuesday: it is brought again.
    {"replica": 0, "started_s": 120_000, "ready_s": 120_300, "ended_s": 120_660,
     "starting_s": 300, "busy_s": 60, "idle_s": 300, "cold_start_index": 0},
    # And at the end of the week, which ends before its delay does.
    {"replica": 0, "started_s": 604_000, "ready_s": 604_300, "ended_s": 604_700,
     "starting_s": 300, "busy_s": 100, "idle_s": 300, "cold_start_index": 0},
)  # fmt: skip


def basis_of(*rows, pool=POOL, offer=OFFER, rules=None, terms=None, pinned=0, base=None):
    least = {"min_replicas": pinned, "pinned_replicas": pinned}
    policy = ScalingPolicy(max_replicas=4, idle_timeout_s=300.0, nodes=pool, **least)
    usage = Usage(session_rows(*rows), [WHOLE, POD], 2, WEEK, policy)
    bare = terms or Terms(platform_fee=False, free_credit=False)
    return bill_basis(usage, Contract(offer, rules or TABLES.rules_of(offer), bare, base), TABLES)


def gpu_seconds(cost):
    return {name: usd / USD_PER_GPU_S for name, usd in cost.lines.items() if usd}


def test_a_week_of_one_node():
    """Three stretches: 3,200 s, 1,260 s and 800 s of four GPUs, line by line."""
    cost = bill(basis_of(*SESSIONS))
    # Monday from 32,400 to 35,000 and 600 s on; Tuesday 660 s and 600 s; 800 s to the end.
    assert cost.usd_span == pytest.approx((3200 + 1260 + 800) * 4 * USD_PER_GPU_S)
    assert cost.meters == 3
    busy, idle, starting = 1000 + 500 + 200 + 60 + 100, 5 * 300, 300 + 200 + 100 + 300 + 300
    # 400 s between the two of Monday, 600 s after them, 600 s on Tuesday, 100 s at the end.
    empty = 400 + 600 + 600 + 100
    assert gpu_seconds(cost) == pytest.approx(
        {
            "busy": 2 * busy,
            "idle": 2 * idle,
            "starting": 2 * starting,
            "empty nodes": 4 * empty,
            # While a replica was there its node had two GPUs too many, or none: 3,560 s of four.
            "unused GPUs": 4 * 3560 - 2 * (busy + idle + starting),
        }
    )


def test_a_node_of_eight_shows_what_the_other_gpus_cost():
    """The same week on eight GPUs: every second of the four more is unused or empty."""
    eight = bill(basis_of(*SESSIONS, pool=dataclasses.replace(POOL, gpus_per_node=8)))
    four = bill(basis_of(*SESSIONS))
    assert eight.usd_span == pytest.approx(2 * four.usd_span)
    assert gpu_seconds(eight)["unused GPUs"] == pytest.approx(
        gpu_seconds(four)["unused GPUs"] + 4 * 3560
    )
    assert gpu_seconds(eight)["empty nodes"] == pytest.approx(8 * 1700)


def test_a_kept_node_is_paid_for_all_week():
    """168 hours of four GPUs, whether anything ran on it or not."""
    kept = dataclasses.replace(POOL, kept_nodes=1)
    on_kept = [{**row, "cold_start_index": 1} for row in SESSIONS]
    # A pod starts in 100 s there; what is left of the sessions is as it was.
    used, unused = bill(basis_of(*on_kept, pool=kept)), bill(basis_of(pool=kept))
    assert used.usd_span == pytest.approx(168 * 4 * OFFER.usd_per_gpu_h)
    assert gpu_seconds(used)["empty nodes"] == pytest.approx(4 * (WEEK - 3560))
    assert gpu_seconds(unused) == pytest.approx({"empty nodes": 4 * WEEK})
    # Two kept nodes of which one is never used cost twice as much.
    two = bill(basis_of(*on_kept, pool=dataclasses.replace(POOL, kept_nodes=2)))
    assert two.usd_span == pytest.approx(2 * used.usd_span)


def test_what_is_not_billed_of_a_start_is_billed_of_nobody_on_the_node():
    """Allocation free: the node from 75 s on, and the replica that waits for it no sooner."""
    rules = dataclasses.replace(TABLES.rules_of(OFFER), bills_allocate=False)
    waiting = {**SESSIONS[1], "started_s": 32_410, "starting_s": 290}
    cost = bill(basis_of(SESSIONS[0], waiting, rules=rules))
    assert cost.usd_span == pytest.approx((34_600 - 32_475) * 4 * USD_PER_GPU_S)
    assert gpu_seconds(cost)["starting"] == pytest.approx(2 * (225 + 225))


def test_whole_hours_are_rounded_up_by_the_stretch():
    """By the hour, the three stretches are three hours."""
    rules = dataclasses.replace(TABLES.rules_of(OFFER), increment_s=3600.0)
    cost = bill(basis_of(*SESSIONS, rules=rules))
    # The last one ends with the week and is read there.
    assert cost.usd_span == pytest.approx(3 * 3600 * 4 * USD_PER_GPU_S)


def test_an_interruption_brings_a_whole_start_again():
    """On spot, a tenth of an interruption an hour of the node, each 300 s of four GPUs."""
    terms = Terms(platform_fee=False, free_credit=False, interruptions_per_h=0.1)
    cost, calm = bill(basis_of(*SESSIONS, terms=terms)), bill(basis_of(*SESSIONS))
    again = 0.1 * (3200 + 1260 + 800) / 3600 * 300 * 4
    assert cost.usd_span - calm.usd_span == pytest.approx(again * USD_PER_GPU_S)


def test_pinned_replicas_have_machines_of_their_own():
    """The base of a hybrid is billed at its own offer; nodes count from the first one after it."""
    base_offer = TABLES.offers["aws-l40s"]
    base = Contract(
        dataclasses.replace(base_offer, gpus_max=2, gpus_min=2), TABLES.rules_of(base_offer)
    )
    pinned = {"replica": 0, "ended_s": WEEK, "busy_s": 1000, "idle_s": WEEK - 1000}
    moved = [{**row, "replica": row["replica"] + 1} for row in SESSIONS]
    cost = bill(basis_of(pinned, *moved, pinned=1, base=base))
    nodes_usd = bill(basis_of(*SESSIONS)).usd_span
    assert cost.usd_span == pytest.approx(nodes_usd + 168 * 2 * base_offer.usd_per_gpu_h)
