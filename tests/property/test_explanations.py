"""Every explained figure is what its formula comes to, done again by hand on what is printed."""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
import re

import numpy as np
import pytest

from frontier import spell
from frontier.billing import Terms
from frontier.cli_market import Kept
from frontier.edits import Edit
from frontier.errors import InputError
from frontier.explain import about_answer, about_plan, cost_of, evaluated, of_choice
from frontier.explain.terms import BELOW, FUNCTION_WORDS, SIMULATED, TRAFFIC, YOUR_INPUT, Term
from frontier.market import Wanted, market
from frontier.plans.grid import default_grid
from frontier.plans.scenario import Scenario, deploy
from frontier.study import Simulated, study_of
from frontier.sweep import Deal, simulate_plans
from frontier.tables import load_tables
from frontier.verdict import with_break_even
from frontier.verdict.facts import BreakEvenRate, RateCrossing
from tests.own_bill import usd_per_month
from tests.property.test_verdict_claims import _fitting_deal, _trace

TABLES = load_tables()
NO_SOURCE_NEEDED = {
    SIMULATED,
    TRAFFIC,
    YOUR_INPUT,
    BELOW,
    "derived",
    "from the two bills",
    "its own bill",
    "the lines before",
}
PAIRS = (
    ("modal-l40s", "crusoe-l40s"),
    ("cerebrium-l40s", "verda-l40s-spot"),
    ("modal-h100", "lambda-h100-8x"),
    ("hf-l4-4x", "gcp-l4"),
    ("koyeb-l40s", "aws-l40s"),
)


def drawn_studies():
    """Return studies of drawn traffic under drawn deals, of a dozen plans each."""
    found = []
    for seed, (serverless, dedicated) in enumerate(PAIRS):
        rng = np.random.default_rng(900 + seed)
        trace = _trace(rng)
        scenario = Scenario("Llama-3.1-8B-Instruct", "bf16", serverless, dedicated, 2.0)
        deployment = deploy(scenario, trace, TABLES)
        grid = default_grid(deployment, trace, TABLES)
        told = [plan for plan in grid if plan.is_provider_default or plan.family.key == "dedicated"]
        others = [plan for plan in grid if plan not in told]
        few = rng.choice(len(others), 10, replace=False)
        plans = [*told[:4], *(others[at] for at in few)]
        simulated = Simulated(deployment, trace, simulate_plans(plans, trace, TABLES))
        limit_s = float(np.exp(rng.uniform(np.log(0.1), np.log(60))))
        deal = _fitting_deal(rng, simulated)
        if seed == 0:
            deal = dataclasses.replace(deal, commitment=next(iter(TABLES.commitments.values())))
        found.append(study_of(simulated, TABLES, limit_s=limit_s, deal=deal))
    return found


@pytest.fixture(scope="module")
def studies():
    return drawn_studies()


def everything(explanations):
    """Yield the explanations and, beneath each, those of its parts."""
    for one in explanations:
        yield one
        yield from everything(one.parts)


def by_hand(printed):
    """Return what a printed formula comes to, by Python's own arithmetic."""
    plain = re.sub(r"(?<=\d),(?=\d{3})", "", printed)
    for function, words in FUNCTION_WORDS.items():
        plain = plain.replace(f"{words} (", f"{function}(")
    plain = plain.replace("×", "*").replace("÷", "/").replace("−", "-")
    return eval(plain, {"__builtins__": {}}, {"min": min, "ceil": lambda x: math.ceil(x - 1e-6)})


def explained(study):
    return [one for outcome in study.outcomes.values() for one in about_plan(study, outcome)]


def test_a_printed_formula_comes_to_the_printed_figure(studies):
    """For every figure: the sum done again on the printed terms gives the figure as it is shown."""
    seen = set()
    for study in studies:
        for one in everything([*explained(study), *about_answer(study)]):
            if not one.formula:
                assert one.note
                continue
            again = by_hand(one.in_numbers)
            assert again == pytest.approx(one.value, rel=1e-6, abs=1e-6), one
            assert one.result.startswith(one.write(one.value))
            seen.add(one.figure.split(":")[0].split(" at ")[0])
    assert {"GPU time", "Cores and memory", "p99 time to first token", "A typical start"} <= seen
    assert {"Cold starts a day", "The same difference by cause", "Fees of requests"} & seen


def test_what_is_computed_below_is_computed_below(studies):
    """A term that points to a part has that part's value, and the parts stand in its order."""
    for study in studies:
        for one in everything(explained(study)):
            below = [term for term in one.terms if term.basis == BELOW]
            values = [part.value for part in one.parts[: len(below)]]
            for term, value in zip(below, values, strict=False):
                assert term.value == pytest.approx(value, abs=1e-9)


def test_the_explained_cost_is_the_bill_computed_on_its_own(studies):
    """Dollars a month as explained are those of a bill made from sessions and prices alone."""
    for study in studies:
        for outcome in study.outcomes.values():
            one, plan = cost_of(study, outcome), outcome.plan
            assert one.value == pytest.approx(study.usd_per_month(outcome), rel=1e-9, abs=1e-9)
            behaviour = TABLES.behaviour_of(TABLES.offers[plan.offer_id])
            if plan.mitigations or plan.policy.parked or behaviour.scale_down_rule != "all":
                continue
            cores = study.bill(outcome).lines["CPU and RAM"]
            usd = usd_per_month(outcome, TABLES, study.deal, cores_usd=cores)
            assert one.value == pytest.approx(usd, rel=1e-9, abs=1e-9)


def test_the_explained_waits_are_those_of_the_plan(studies):
    """p99, requests over the limit, shares and starts are the figures of cards and tables."""
    for study in studies:
        for outcome in study.outcomes.values():
            facts, latency = study.facts(outcome), outcome.latency
            found = {one.figure.split(" that ")[0]: one for one in about_plan(study, outcome)[1:]}
            p99 = found["p99 time to first token"]
            if math.isinf(latency.p99_ttft_s):
                assert not p99.formula
            else:
                assert p99.value == pytest.approx(latency.p99_ttft_s, abs=2e-6)
                assert p99.result == spell.seconds(p99.value)
            assert found["Requests of 1,000"].value == facts.over_of_thousand
            waited = found.get("Share of requests")
            assert (waited.value if waited else 0) == latency.waited_on_start_share
            if outcome.starts:
                days = study.trace.horizon_s / 86400
                assert found["Cold starts a day"].value == outcome.starts / days


def test_the_start_that_the_p99_request_waited_for_adds_up_to_its_wait(studies):
    """Drawn stages, less what was under way when it came, are the wait for the start."""
    seen = 0
    for study in studies:
        for one in explained(study):
            starts = [part for part in one.parts if part.figure.startswith("The start that")]
            for start in starts:
                (term,) = [term for term in one.terms if term.key == "start_s"]
                assert start.value == pytest.approx(term.value, abs=1e-5)
                seen += 1
    assert seen


def test_every_listed_value_leads_to_its_source(studies):
    """A value that is neither simulated, nor of the traffic, nor the user's names a source."""
    for study in studies:
        for one in everything([*explained(study), *about_answer(study)]):
            for term in one.terms:
                if term.basis not in NO_SOURCE_NEEDED:
                    assert term.sources, term
                for found in term.sources:
                    assert found.title
                    assert not found.url or found.url.startswith(("http://", "https://"))


def test_the_saving_by_cause_is_the_saving(studies):
    """The difference of two bills and its parts are the same number."""
    seen = 0
    for study in studies:
        saving = study.verdict.saving
        for one in about_answer(study):
            if not one.figure.startswith("Scale-to-zero as shipped"):
                continue
            assert one.value == pytest.approx(saving.usd, abs=1e-6)
            assert one.parts[0].value == pytest.approx(saving.usd, abs=1e-6)
            seen += 1
    assert seen


def test_a_break_even_is_the_traffic_times_its_factor(studies):
    """Requests a day now, times the factor, is the rate of the headline."""
    study = studies[0]
    crossing = RateCrossing(300.0, 280.0, 320.0, True)
    rate = BreakEvenRate(
        study.verdict.requests_per_day, 1.0, 1e5, (crossing,), False, capped_from_per_day=None
    )
    study = dataclasses.replace(study, verdict=with_break_even(study.verdict, rate))
    (found,) = [one for one in about_answer(study) if one.figure == "Break-even"]
    assert found.result == "300 requests a day"
    assert found.parts[0].value == pytest.approx(study.verdict.requests_per_day)


def test_a_fee_that_the_user_changed_leads_to_the_user(studies):
    """A changed cell of the rules names no page that does not say it."""
    for study in studies:
        for outcome in study.outcomes.values():
            rules = TABLES.rules_of(TABLES.offers[outcome.plan.offer_id])
            if not rules.platform_fee_usd_month:
                continue
            edit = Edit("provider_rules", rules.rules_id, "platform_fee_usd_month", "")
            whose = {
                term.basis
                for one in everything([cost_of(study, outcome, (edit,))])
                for term in one.terms
                if term.key == "fee" and term.unit == "$ a month"
            }
            assert whose <= {YOUR_INPUT}


@pytest.mark.parametrize("formula", ["{a}.real", "{b} + 1", "__import__('os')", "{a} ** 2"])
def test_a_formula_is_arithmetic_on_its_terms_and_nothing_else(formula):
    """No name, attribute, call or power gets through."""
    with pytest.raises(InputError):
        evaluated(formula, {"a": 1.0})


def test_a_number_is_printed_with_its_unit():
    """Dollars before, other units behind, the sign in front."""
    assert Term("a", "a", -1.5, "$/GPU-h").in_words == "−$1.5/GPU-h"
    assert Term("a", "a", 1234.5, "GPU-h").in_words == "1,234.5 GPU-h"
    assert Term("a", "a", 0.25).in_words == "0.25"


def test_a_plan_of_the_market_is_explained_as_it_is_billed_there():
    """Cost and p99 of the cheapest plan of each offer are those of its row."""
    rng = np.random.default_rng(5)
    trace = _trace(rng)
    scenario = Scenario("Llama-3.1-8B-Instruct", "bf16", "modal-l40s", "crusoe-l40s", 60.0)
    names = ("modal-l40s", "crusoe-l40s", "lambda-h100-8x", "hf-l4-4x", "cerebrium-l40s")
    deal = Deal(serverless=Terms(multiplier=1.25))
    found = market(
        scenario,
        trace,
        TABLES,
        limit_s=600.0,
        kept=Kept(),
        today=dt.date(2026, 11, 26),
        wanted=Wanted(offer_ids=frozenset(names)),
        deals=lambda offer: deal,
    )
    choices = [row.best or row.fastest for row in found.rows]
    assert len(choices) == len(names)
    for choice in choices:
        ground, outcome = of_choice(choice, trace, limit_s=600.0, deal=deal)
        cost, p99, *_ = about_plan(ground, outcome)
        assert cost.value == pytest.approx(choice.usd_per_month)
        assert p99.value == pytest.approx(choice.latency.p99_ttft_s, abs=2e-6)
