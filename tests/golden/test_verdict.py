"""The verdict of the default example, checked fact by fact against its own table and bills."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest

from frontier.break_even import break_even
from frontier.plans.scenario import Scenario
from frontier.rivals import ALWAYS_ON, AS_SHIPPED, Rivals
from frontier.sensitivity import with_gpu_price
from frontier.study import compare, simulate, study_of, with_rate
from frontier.sweep import LIST_DEAL, Deal, bill_outcome, rerun
from frontier.trace import TraceReport, make_trace
from tests.example import EXAMPLE, TABLES, simulated


@functools.cache
def study(limit_s=EXAMPLE.slo_p99_ttft_s, deal=LIST_DEAL):
    return study_of(simulated(), TABLES, limit_s=limit_s, deal=deal)


@functools.cache
def rivals():
    return Rivals(simulated().deployment.scenario, simulated().trace, TABLES)


@functools.cache
def compared(deal=LIST_DEAL):
    return compare(study(deal=deal), rivals(), AS_SHIPPED, lines=(AS_SHIPPED,))


def test_the_line_as_shipped_alone_says_what_both_lines_say():
    """The Break-even page says it before the other line is simulated, and need not take it back."""
    alone, both = compared(), compare(study(), rivals(), AS_SHIPPED)
    assert {point.line for point in both.found.points} > {
        point.line for point in alone.found.points
    }
    for name in ("rate", "use", "headline", "certainty", "utilisation"):
        assert getattr(alone, name) == getattr(both, name), name


def test_the_plans_of_the_verdict_are_those_of_its_table():
    """Cheapest within the limit, cheapest at all, as shipped: the least of the rows in question."""
    table, verdict = study().table, study().verdict
    real = table[~table["family"].isin(["bound", "api"])]
    within = real[real["p99_ttft_s"] <= 2.0]
    assert verdict.cheapest_within.usd_per_month == pytest.approx(within["usd_per_month"].min())
    assert verdict.cheapest.usd_per_month == real["usd_per_month"].min()
    shipped = real[real["is_provider_default"]]
    assert verdict.shipped.plan_id == shipped["plan_id"].item()
    always_on = within[within["family"] == "dedicated"]
    assert verdict.rival.usd_per_month == pytest.approx(always_on["usd_per_month"].min())


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


COMMITTED = Deal(commitment=TABLES.commitments["preset-35"])


def test_a_commitment_is_in_the_break_even_everywhere():
    """35 % off the always-on hour is 35 % off the share, the rival's price and the rate."""
    listed, reserved = study().verdict, study(deal=COMMITTED).verdict
    assert reserved.rival.is_committed
    assert reserved.rival.usd_per_month == pytest.approx(0.65 * listed.rival.usd_per_month)
    assert reserved.utilisation.break_even_billed == pytest.approx(
        0.65 * listed.utilisation.break_even_billed
    )
    (at,), (cheaper,) = compared().rate.crossings, compared(COMMITTED).rate.crossings
    assert cheaper.at_per_day < at.at_per_day
    assert reserved.commitment.committed_usd == pytest.approx(
        reserved.rival.usd_per_month * 12, rel=1e-9
    )


@pytest.mark.parametrize("deal", [LIST_DEAL, COMMITTED])
def test_the_break_even_is_that_of_the_verdicts_own_plans(deal):
    """At the traffic as it is, both lines cost what the verdict says of their plans."""
    verdict, now = study(deal=deal).verdict, compared(deal).now
    assert now[AS_SHIPPED].usd_per_month == pytest.approx(verdict.shipped.usd_per_month)
    assert now[ALWAYS_ON].usd_per_month == pytest.approx(verdict.rival.usd_per_month)
    (crossing,) = compared(deal).rate.crossings
    above = compared(deal).requests_per_day > crossing.at_per_day
    assert (verdict.shipped.usd_per_month > verdict.rival.usd_per_month) == above


def test_with_the_rate_the_headline_ends_with_it():
    """The same sentence as on the Break-even page; without it the headline stands as it was."""
    before, after = study().verdict, with_rate(study(), compared()).verdict
    assert after.headline == f"{before.headline} {compared().headline}"
    assert compared().headline.startswith("On cost alone always-on wins above ")


def test_a_line_that_hits_its_cap_ends_there_and_never_wins():
    """One replica at most: beyond what it can serve there is no point of it and no crossing."""
    size, day_s = 2000, 86400.0
    trace = make_trace(
        "long answers",
        np.sort(np.random.default_rng(2).uniform(0, day_s, size)),
        np.full(size, 1000),
        np.full(size, 1500),
        horizon_s=day_s,
        report=TraceReport("long answers", "s", size, size),
    )
    scenario = dataclasses.replace(simulated().deployment.scenario, max_replicas=1)
    own = Rivals(scenario, trace, TABLES)
    capped = break_even(own, line=AS_SHIPPED, limit_s=2.0, tables=TABLES, lines=(AS_SHIPPED,))
    assert capped.capped_from is not None
    line = [point.factor for point in capped.points if point.line == AS_SHIPPED]
    assert max(line) == capped.high < capped.capped_from
    assert all(crossing.at <= capped.high for crossing in capped.crossings)
    always_on = [point.factor for point in capped.points if point.line == ALWAYS_ON]
    assert max(always_on) > capped.capped_from


def test_a_price_in_the_sensitivity_is_that_of_the_gpu_alone():
    """Twice the GPU price leaves cores and memory as they were, line by line."""
    dearer = with_gpu_price(TABLES, [EXAMPLE.serverless_offer], 2.0)
    outcome = study().outcomes[study().verdict.shipped.plan_id]
    before = bill_outcome(outcome, TABLES).lines
    after = bill_outcome(outcome, dearer).lines
    assert after["CPU and RAM"] == before["CPU and RAM"] > 0
    assert after["busy"] == pytest.approx(2 * before["busy"])


def test_the_price_that_flips_the_verdict_does():
    """A hair above it the plan named takes over, a hair below it does not."""
    (tipping,) = (one for one in study().verdict.tippings if one.what == "price")
    for factor, expected in ((0.999, "dedicated-1"), (1.001, tipping.plan.plan_id)):
        at = with_gpu_price(TABLES, [EXAMPLE.dedicated_offer], factor * tipping.value / tipping.now)
        verdict = study_of(simulated(), at, limit_s=2.0).verdict
        assert verdict.cheapest_within.plan_id == expected


def test_the_limit_that_flips_the_verdict_does():
    """At that limit a cheaper plan is within it, just below it none is."""
    (tipping,) = (one for one in study().verdict.tippings if one.what == "limit")
    verdict = study(limit_s=tipping.value).verdict
    assert verdict.cheapest_within.plan_id == tipping.plan.plan_id
    assert study(limit_s=tipping.value * 0.999).verdict.cheapest_within.plan_id == "dedicated-1"


def _with_prompts(changes):
    found = simulated()
    prompts = found.trace.prompt_tokens.copy()
    for at, tokens in changes.items():
        prompts[at] = tokens
    return dataclasses.replace(found, trace=dataclasses.replace(found.trace, prompt_tokens=prompts))


def test_requests_that_no_server_of_the_model_takes_are_said_beside_the_answer():
    """How many, of how many, the longest, and what it does to the p99; none, and nothing is."""
    found = simulated()
    most = found.deployment.model.max_context_tokens
    outputs, size = found.trace.output_tokens, found.trace.arrival_s.size
    assert study().verdict.too_long is None
    assert "fit in" not in study().verdict.below
    # A prompt that leaves just enough room for its answer fits; one token more does not.
    edge = {0: most - int(outputs[0]), 1: most - int(outputs[1]) + 1}
    said = study_of(_with_prompts(edge), TABLES, limit_s=2.0).verdict
    assert (said.too_long.requests, said.too_long.longest_tokens) == (1, most + 1)
    assert said.below.startswith(f"1 of the {size:,} requests does not fit in the {most:,} tokens")
    assert "it is served as if it fitted" in said.below
    assert "the p99 may be" not in said.below
    many = {at: 3_000_000 for at in range(size // 50)}
    said = study_of(_with_prompts(many), TABLES, limit_s=2.0).verdict
    longest = 3_000_000 + int(outputs[: size // 50].max())
    assert f"the longest has {longest:,}" in said.below
    assert "the p99 may be theirs" in said.below
    assert said.answer.startswith(f"Counting {size // 50} requests that Llama-3.1-8B-Instruct")


def test_no_plan_that_serves_after_a_short_trace_is_the_cheapest_of_all():
    """What a start costs that outlasts 13 seconds is in no bill: the cheapest has served them."""
    trace = make_trace(
        "short",
        np.linspace(0.0, 12.0, 14),
        np.full(14, 800),
        np.full(14, 100),
        horizon_s=13.0,
        report=TraceReport("made", "s", 14, 14),
    )
    scenario = Scenario("Llama-3.1-8B-Instruct", "bf16", "modal-l40s", "crusoe-l40s", 2.0, ())
    found = study_of(simulate(scenario, trace, TABLES), TABLES, limit_s=2.0).verdict
    assert found.shipped.p99_ttft_s > 13.0
    assert found.shipped.usd_per_month < found.cheapest.usd_per_month
    assert found.cheapest.p99_ttft_s <= 13.0
