"""The verdict of the default example, checked fact by fact against its own table and bills."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from frontier.plans.scenario import Scenario
from frontier.study import simulate, study_of
from frontier.sweep import rerun
from frontier.tables import load_tables
from frontier.trace.generate import generate_trace

TABLES = load_tables()
EXAMPLE = next(iter(TABLES.examples.values()))


@functools.cache
def found():
    trace = generate_trace(
        EXAMPLE.preset,
        seed=EXAMPLE.seed,
        days=EXAMPLE.days,
        requests_per_day=EXAMPLE.requests_per_day,
        tables=TABLES,
    )
    scenario = Scenario(
        EXAMPLE.model,
        EXAMPLE.precision,
        EXAMPLE.serverless_offer,
        EXAMPLE.dedicated_offer,
        EXAMPLE.slo_p99_ttft_s,
    )
    return simulate(scenario, trace, TABLES)


@functools.cache
def study(limit_s=EXAMPLE.slo_p99_ttft_s):
    return study_of(found(), TABLES, limit_s=limit_s)


def test_the_plans_of_the_verdict_are_those_of_its_table():
    """Cheapest within the limit, cheapest at all, as shipped: the least of the rows in question."""
    table, verdict = study().table, study().verdict
    real = table[~table["family"].isin(["bound", "api"])]
    within = real[real["p99_ttft_s"] <= 2.0]
    assert verdict.cheapest_within.usd_per_month == within["usd_per_month"].min()
    assert verdict.cheapest.usd_per_month == real["usd_per_month"].min()
    shipped = real[real["is_provider_default"]]
    assert verdict.shipped.plan_id == shipped["plan_id"].item()
    always_on = within[within["family"] == "dedicated"]
    assert verdict.rival.usd_per_month == always_on["usd_per_month"].min()


@pytest.mark.parametrize("limit_s", [0.5, 2.0, 60.0, 90.0])
def test_so_many_of_a_thousand_break_the_limit_as_the_run_itself_says(limit_s):
    """Counted anew on the waits of every request; ten or fewer is what a p99 within it means."""
    verdict = study(limit_s).verdict
    for plan in (verdict.shipped, verdict.rival, verdict.fastest):
        waits_s = rerun(study().outcomes[plan.plan_id], study().trace).ttft_s
        over = np.count_nonzero(waits_s > limit_s)
        assert plan.over_of_thousand == -(-over * 1000 // waits_s.size)
        assert (plan.over_of_thousand <= 10) == (plan.p99_ttft_s <= limit_s)


def test_what_a_saving_is_made_of_adds_up_to_it():
    """Hours, price, unused GPUs, cores and the rest: their sum is the difference of two bills."""
    verdict = study().verdict
    difference = verdict.shipped.usd_per_month - verdict.rival.usd_per_month
    assert verdict.saving.usd == pytest.approx(difference)
    assert sum(verdict.saving.parts.values()) == pytest.approx(difference)
    assert verdict.saving.hours_usd < 0 < verdict.saving.price_usd


def test_what_waiting_costs_is_the_extra_over_the_requests_it_spares():
    """Dollars a month over slow requests a month, both counted from the two plans."""
    verdict, hours = study().verdict, TABLES.setting("hours_per_month")
    monthly = study().trace.arrival_s.size / study().trace.horizon_s * hours * 3600
    spared = (
        (verdict.shipped.over_of_thousand - verdict.cheapest_within.over_of_thousand)
        / 1000
        * monthly
    )
    assert verdict.waiting.spared_per_month == pytest.approx(spared)
    extra = verdict.cheapest_within.usd_per_month - verdict.shipped.usd_per_month
    assert verdict.waiting.usd_each == pytest.approx(extra / spared)


def test_break_even_by_the_bills_says_which_of_the_two_is_cheaper():
    """Billed for less than the break-even share is the same as costing less, to the cent."""
    verdict = study().verdict
    use = verdict.utilisation
    assert use.billed < use.break_even_billed
    assert verdict.shipped.usd_per_month < verdict.rival.usd_per_month
    assert use.break_even_billed / use.billed == pytest.approx(
        verdict.rival.usd_per_month / verdict.shipped.usd_per_month
    )


def test_the_headline_names_limit_vendor_shape_and_policy():
    """One line that somebody can sign, and one under it on what is not in it."""
    verdict = study().verdict
    assert verdict.headline.startswith(
        "Cheapest plan that holds p99 ≤ 2 s: one always-on Crusoe L40S, $1,095 a month. "
        "Scale-to-zero costs $"
    )
    assert (
        f"less and breaks the limit for {verdict.shipped.over_of_thousand} of 1,000 requests"
        in (verdict.headline)
    )
    assert verdict.below.startswith(
        "Tax, network traffic and staff are not in it. Prices of Crusoe"
    )
    assert "that price alone (now $1.50)" in verdict.below
