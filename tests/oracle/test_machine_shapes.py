"""Whole machines: replicas are packed on them, and the shape that costs least is taken, by hand."""

from __future__ import annotations

import dataclasses
from types import MappingProxyType

import numpy as np
import pytest

from frontier.billing import bill, machine_shapes
from frontier.errors import InfeasibleError
from frontier.plans.grid import default_grid
from frontier.plans.scenario import Scenario, deploy
from frontier.sweep import Deal, basis_of_outcome, simulate_plans
from frontier.tables import OWN_SOURCE, load_tables
from frontier.trace import TraceReport, make_trace
from frontier.verdict import machines_of

TABLES = load_tables()
HORIZON_S = 86400.0


def _trace():
    size = 40
    return make_trace(
        "a few",
        np.linspace(10.0, HORIZON_S - 600.0, size),
        np.full(size, 500),
        np.full(size, 50),
        horizon_s=HORIZON_S,
        report=TraceReport("a few", "s", size, size),
    )


TRACE = _trace()


def _always_on(dedicated, replicas, model="Llama-3.1-8B-Instruct", serverless="modal-h100"):
    """Return what that many always-on replicas at an offer do."""
    scenario = Scenario(model, "bf16", serverless, dedicated, 2.0, mitigations=())
    plans = default_grid(deploy(scenario, TRACE, TABLES), TRACE, TABLES)
    plan = next(one for one in plans if one.plan_id == "dedicated-1")
    policy = dataclasses.replace(plan.policy, min_replicas=replicas, max_replicas=replicas)
    (outcome,) = simulate_plans([dataclasses.replace(plan, policy=policy)], TRACE, TABLES)
    return outcome


def _billed(dedicated, replicas, deal=Deal(), tables=TABLES):  # noqa: B008 - frozen
    outcome = _always_on(dedicated, replicas)
    basis = basis_of_outcome(outcome, tables, deal)
    return bill(basis), machines_of(outcome, basis, tables)


def _price(offer_id):
    return TABLES.offers[offer_id].usd_per_gpu_h


@pytest.mark.parametrize("chosen", ["aws-h100", "aws-h100-8x"])
def test_one_replica_is_billed_on_the_machine_with_one_gpu_whichever_was_chosen(chosen):
    """One H100 of AWS is a p5.4xlarge; nobody rents eight for it."""
    cost, machines = _billed(chosen, 1)
    assert str(machines) == "1 × p5.4xlarge"
    assert cost.usd_span == pytest.approx(24 * _price("aws-h100"))
    assert cost.lines["unused GPUs"] == 0


def test_eight_replicas_fill_the_machine_of_eight_where_that_is_cheaper():
    """Lambda: 8 × 3.99 on one machine is less than 8 × 4.29 on eight."""
    cost, machines = _billed("lambda-h100", 8)
    assert (machines.offer_id, machines.count, machines.gpus_unused) == ("lambda-h100-8x", 1, 0)
    assert cost.usd_span == pytest.approx(24 * 8 * _price("lambda-h100-8x"))


def test_seven_replicas_leave_a_gpu_unused_only_where_that_still_costs_less():
    """DigitalOcean: 8 × 2.99 = 23.92 beats 7 × 4.41 = 30.87, and the eighth is its own line."""
    cost, machines = _billed("digitalocean-h100", 7)
    assert str(machines) == "1 × GPU Droplet, 1 of 8 GPUs unused"
    assert cost.usd_span == pytest.approx(24 * 8 * _price("digitalocean-h100-8x"))
    assert cost.lines["unused GPUs"] == pytest.approx(24 * _price("digitalocean-h100-8x"))


def test_whoever_insists_gets_the_machine_that_was_chosen():
    """The other shape is cheaper, and is not taken; the idle GPUs are said and billed."""
    cost, machines = _billed("aws-h100-8x", 2, Deal(exact_machine=True))
    assert str(machines) == "1 × p5.48xlarge, 6 of 8 GPUs unused"
    assert cost.usd_span == pytest.approx(24 * 8 * _price("aws-h100-8x"))
    assert cost.lines["unused GPUs"] == pytest.approx(24 * 6 * _price("aws-h100-8x"))


def test_a_replica_too_large_for_the_chosen_machine_goes_to_a_larger_one():
    """70 B in bf16 takes two H100 or more: the machine with one cannot hold it, its sibling can."""
    outcome = _always_on("aws-h100", 1, model="Llama-3.1-70B-Instruct")
    machines = machines_of(outcome, basis_of_outcome(outcome, TABLES), TABLES)
    assert machines.offer_id == "aws-h100-8x"
    assert machines.gpus_used == outcome.plan.speed.gpus_per_replica > 1
    with pytest.raises(InfeasibleError, match="aws-h100 has at most 1"):
        basis_of_outcome(outcome, TABLES, Deal(exact_machine=True))


def test_no_shape_makes_the_bill_of_any_plan_less_than_the_one_taken():
    """Every plan that pays machines by the hour, scheduled ones too, costs the least of them."""
    scenario = Scenario("Llama-3.1-8B-Instruct", "bf16", "modal-h100", "lambda-h100-2x", 2.0)
    plans = default_grid(deploy(scenario, TRACE, TABLES), TRACE, TABLES)
    machines = [one for one in plans if one.offer_id != "modal-h100" or one.base_offer_id]
    deal = Deal()
    for outcome in simulate_plans(machines[:: len(machines) // 12], TRACE, TABLES):
        taken = bill(basis_of_outcome(outcome, TABLES, deal)).usd_span
        each = []
        for shape in machine_shapes(TABLES.offers["lambda-h100-2x"], TABLES):
            field = "base_offer_id" if outcome.plan.base_offer_id else "offer_id"
            plan = dataclasses.replace(outcome.plan, **{field: shape.offer_id})
            own = dataclasses.replace(outcome, plan=plan)
            exact = basis_of_outcome(own, TABLES, Deal(exact_machine=True))
            each.append(bill(exact).usd_span)
        assert len(each) == 4
        assert taken == min(each)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("runpod-secure-h100", "runpod-community-h100"),  # another product
        ("aws-l40s", "aws-l40s-eu"),  # another region
        ("aws-a10g-reserved-1y", "aws-a10g-4x-reserved-3y"),  # another term
        ("aws-a10g", "aws-a10g-4x-reserved-1y"),  # another kind
        ("lambda-h100", "lambda-h100-pcie"),  # another GPU
        ("lambda-h100", "nebius-h100"),  # another provider
        ("modal-h100", "fal-h100"),  # serverless has no machines
    ],
)
def test_machines_that_differ_in_more_than_size_do_not_stand_in_for_one_another(one, other):
    """Each pair differs in one thing that a buyer would mind."""
    assert other not in {shape.offer_id for shape in machine_shapes(TABLES.offers[one], TABLES)}


def test_standing_in_is_mutual_and_an_offer_comes_first():
    """Each of a set names the others, and itself first: it is taken where all cost the same."""
    for offer in TABLES.offers.values():
        first, *others = machine_shapes(offer, TABLES)
        assert first is offer
        for other in others:
            if other.available == "yes" and offer.available == "yes":
                assert offer in machine_shapes(other, TABLES)


def test_a_price_of_the_users_own_is_not_undercut_by_a_listed_machine():
    """Who negotiated the machine of eight means that one; own prices stand beside own prices."""
    own = dataclasses.replace(
        TABLES.offers["aws-h100-8x"], offer_id="own", usd_per_gpu_h=3.0, source_id=OWN_SOURCE
    )
    tables = dataclasses.replace(
        TABLES, offers=MappingProxyType({**TABLES.offers, own.offer_id: own})
    )
    assert machine_shapes(own, tables) == (own,)
