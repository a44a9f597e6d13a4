"""Laws that hold for every bill, whatever the sessions, the offer and the rules."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontier.billing import (
    GPU_LINES,
    METERED,
    Contract,
    Terms,
    Usage,
    bill,
    bill_basis,
    read_meters,
)
from frontier.mitigations.base import Standing
from frontier.policy import ParkedTier, ScalingPolicy
from frontier.start.stages import STAGES
from frontier.tables import load_tables

TABLES = load_tables()
HORIZON = 86400.0
BARE = Terms(platform_fee=False, free_credit=False)
POLICY = ScalingPolicy(max_replicas=64, idle_timeout_s=60, parked=(ParkedTier(600, 2, 0.4),))
STARTS = np.random.default_rng(0).exponential(8.0, (16, 10))
DTYPE = [
    ("replica", np.int32),
    *((name, np.float64) for name in ("started_s", "ready_s", "ended_s")),
    *((name, np.float64) for name in ("starting_s", "busy_s", "idle_s")),
    ("parked_s", np.float64, (1,)),
    ("cold_start_index", np.int64),
]
DTYPE_GPU_S = [f"{name}_gpu_s" for name in ("busy", "idle", "starting", "rounding", "unused")]

offers = st.sampled_from(sorted(TABLES.offers)).map(TABLES.offers.__getitem__)


@st.composite
def runs(draw):
    """Sessions of up to 12 replicas, each after the last, some cut by the horizon."""
    rows = []
    for replica in range(draw(st.integers(1, 12))):
        now = draw(st.floats(0, HORIZON / 2))
        for _ in range(draw(st.integers(1, 3))):
            index = draw(st.integers(0, 40))
            parts = [STARTS[index % 16].sum()]
            parts += [draw(st.floats(0, 20000)) for _ in range(3)]
            ends = np.minimum(now + np.cumsum(parts), HORIZON)
            inside = np.diff(np.concatenate([[min(now, HORIZON)], ends]))
            rows.append((replica, now, ends[0], now + sum(parts), *inside[:3], inside[3:], index))
            now += sum(parts) + draw(st.floats(1, 1000))
    rows = np.array(rows, dtype=DTYPE)
    return rows[rows["started_s"] < HORIZON]


def basis_of(sessions, offer, *, terms=BARE, rules=None, policy=POLICY, base=None, **more):
    contract = Contract(offer, rules or TABLES.rules_of(offer), terms, base)
    usage = Usage(sessions, STARTS, 1, HORIZON, policy, **more)
    return bill_basis(usage, contract, TABLES)


def bill_of(sessions, offer, **more):
    return bill(basis_of(sessions, offer, **more))


@settings(max_examples=60)
@given(runs(), offers)
def test_a_bill_adds_up_and_only_credits_are_negative(sessions, offer):
    """The total is the sum of its lines, and no line but the credits is below zero."""
    cost = bill_of(sessions, offer, terms=Terms(), standing=Standing(storage_gb=50))
    assert cost.usd_span == pytest.approx(math.fsum(cost.lines.values()))
    assert all(usd >= 0 for name, usd in cost.lines.items() if name != "credits")
    assert cost.lines["credits"] <= 0
    assert cost.usd_span >= cost.lines["storage"]


@settings(max_examples=60)
@given(runs(), offers, st.floats(1.01, 10))
def test_gpu_lines_are_proportional_to_the_gpu_price(sessions, offer, factor):
    """Twice the price of a GPU doubles each GPU line and moves no other."""
    dearer = dataclasses.replace(offer, usd_per_gpu_h=offer.usd_per_gpu_h * factor)
    before, after = bill_of(sessions, offer).lines, bill_of(sessions, dearer).lines
    for name, usd in before.items():
        assert after[name] == pytest.approx(usd * factor if name in GPU_LINES else usd, rel=1e-9)


@settings(max_examples=60)
@given(runs(), offers, st.sampled_from([1.0, 10.0, 60.0, 3600.0]))
def test_whole_increments_are_billed_and_never_fewer_seconds(sessions, offer, increment_s):
    """Every meter runs a whole number of increments; a longer increment never costs less."""
    rules = dataclasses.replace(
        TABLES.provider_rules[offer.rules_id], increment_s=increment_s, minimum_s=0.0
    )
    finer = dataclasses.replace(rules, increment_s=1.0)
    assert (
        bill_of(sessions, offer, rules=rules).usd_span
        >= bill_of(sessions, offer, rules=finer).usd_span - 1e-9
    )
    sessions = sessions.copy()
    sessions["parked_s"] = 0
    meters = basis_of(sessions, offer, rules=rules).meters
    gpu_s = sum(meters[name] for name in DTYPE_GPU_S)
    steps = gpu_s / meters["gpus"] / increment_s
    assert steps == pytest.approx(np.round(steps), abs=1e-6)


@settings(max_examples=40)
@given(runs(), offers)
def test_a_machine_by_the_hour_is_paid_from_first_to_last(sessions, offer):
    """Price times GPUs times the hours of the machines is the whole bill but for rounding."""
    offer = dataclasses.replace(
        offer, kind="dedicated", usd_per_vcpu_s=None, usd_per_gib_s=None, rules_id="aws-ec2"
    )
    cost = bill_of(sessions, offer)
    meters = basis_of(sessions, offer).meters
    hours = (meters["gpus"] * (meters["ended_s"] - meters["started_s"])).sum() / 3600
    paid = cost.usd_span - cost.lines["rounding"]
    assert paid == pytest.approx(hours * offer.usd_per_gpu_h, rel=1e-9, abs=1e-9)
    assert np.all(meters["ended_s"] <= HORIZON)


@settings(max_examples=40)
@given(runs(), st.sets(st.sampled_from(["pull", "boot", "load", "compile"])))
def test_billing_fewer_stages_never_costs_more(sessions, free):
    """Each flag that is taken away lowers the bill or leaves it."""
    offer = TABLES.offers["modal-l40s"]
    rules = dataclasses.replace(
        TABLES.provider_rules["modal"], **{f"bills_{stage}": False for stage in free}
    )
    cheaper, full = bill_of(sessions, offer, rules=rules), bill_of(sessions, offer)
    assert cheaper.usd_span <= full.usd_span + 1e-9
    assert cheaper.lines["busy"] == full.lines["busy"]


@settings(max_examples=40)
@given(runs(), st.integers(0, 12))
def test_splitting_a_run_into_base_and_overflow_at_one_price_changes_nothing(sessions, pinned):
    """A hybrid whose base costs what its overflow costs is no hybrid."""
    offer = TABLES.offers["runpod-flex-l40s"]
    whole = bill_of(sessions, offer)
    policy = dataclasses.replace(POLICY, min_replicas=pinned, pinned_replicas=pinned)
    base = Contract(offer, TABLES.rules_of(offer), BARE)
    parts = bill_of(sessions, offer, policy=policy, base=base)
    assert parts.usd == pytest.approx(whole.usd)
    assert parts.meters == whole.meters


@settings(max_examples=40)
@given(runs(), st.floats(0, 0.9), st.integers(0, 14))
def test_a_commitment_costs_at_least_its_own_hours(sessions, discount, machines):
    """Committed machines are paid, and no hour costs less than its price less the discount."""
    offer = TABLES.offers["crusoe-l40s"]
    commitment = dataclasses.replace(TABLES.commitments["preset-35"], discount=discount)
    terms = Terms(
        platform_fee=False, free_credit=False, commitment=commitment, committed_machines=machines
    )
    committed, plain = bill_of(sessions, offer, terms=terms), bill_of(sessions, offer)
    floor = machines * HORIZON / 3600 * offer.usd_per_gpu_h * (1 - discount)
    assert committed.usd_span >= floor - 1e-6
    assert committed.usd_span >= plain.usd_span * (1 - discount) - 1e-6


@settings(max_examples=60)
@given(st.floats(0.1, HORIZON / 3), st.floats(0.0, 1.0), st.floats(1.0, HORIZON / 3))
def test_a_machine_that_its_replica_fills_has_no_unused_gpu(busy_s, started_s, more_s):
    """One GPU, one replica: the line is 0 and not what the last bits of a float leave over."""
    ended_s = started_s + busy_s + more_s
    row = np.zeros(1, dtype=DTYPE)
    row["started_s"], row["ready_s"], row["ended_s"] = started_s, started_s, ended_s
    row["busy_s"], row["idle_s"], row["cold_start_index"] = busy_s, more_s, -1
    cost = bill_of(row, TABLES.offers["crusoe-l40s"])
    assert cost.lines["unused GPUs"] == 0.0


@settings(max_examples=40)
@given(runs(), st.sampled_from([o for o in TABLES.offers.values() if o.kind == "serverless"]))
def test_meters_read_a_few_sessions_at_a_time_are_the_same(sessions, offer):
    """Sums of all are taken over all, so that a bill in parts is that of the whole to the bit."""
    from frontier.billing import meters

    whole = basis_of(sessions, offer)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(meters, "_PART", 3)
        parts = basis_of(sessions, offer)
    assert bill(parts) == bill(whole)


def test_what_starts_are_billed_for_is_read_from_their_stages_as_they_are():
    """Stages that nobody can write to any more, or can, and did: each is billed by its own."""
    offer = TABLES.offers["modal-l40s"]
    rules = dataclasses.replace(TABLES.rules_of(offer), bills_fetch=False, bills_pull=False)
    contract = Contract(offer, rules, BARE)
    sessions = np.zeros(16, dtype=DTYPE)
    sessions["replica"] = sessions["cold_start_index"] = np.arange(16)
    stage_s = STARTS.copy()
    sessions["starting_s"] = sessions["ready_s"] = sessions["ended_s"] = stage_s.sum(axis=1)
    flags = [getattr(rules, f"bills_{stage}") for stage in STAGES]

    def billed_s(stages):
        ((_, meters),) = read_meters(Usage(sessions, stages, 1, HORIZON, POLICY), contract)
        return meters.gpu_s[METERED.index("starting")]

    held = STARTS.copy()
    held.setflags(write=False)
    for _ in range(2):
        assert billed_s(held) == pytest.approx(held @ flags)
        assert np.array_equal(billed_s(held), billed_s(held.copy()))
    assert billed_s(stage_s) == pytest.approx(stage_s @ flags)
    stage_s[:, :5], stage_s[:, 5:] = STARTS[:, 5:], STARTS[:, :5]
    assert billed_s(stage_s) == pytest.approx(stage_s @ flags)
    assert not np.allclose(billed_s(stage_s), billed_s(held))
