"""The market: each row is what its offer does alone, nothing is simulated twice, laws hold."""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
import math
from types import MappingProxyType

import numpy as np
import pytest

from frontier import answers
from frontier.billing import Contract, metering_key, read_meters
from frontier.economics import cheapest_under
from frontier.market import (
    ON_DEMAND,
    Wanted,
    answer_of,
    headline,
    market,
    market_table,
    sentences,
    state_of,
    tried,
    with_range,
)
from frontier.plans.grid import offer_grid
from frontier.plans.plan import committed
from frontier.plans.scenario import Scenario, deploy_at, supply_of
from frontier.serving import serving_speed
from frontier.study import simulate, study_of
from frontier.sweep import Deal, bill_outcome, rerun, simulate_plans, usage_of
from frontier.tables import load_tables
from frontier.trace import TraceReport, make_trace

TABLES = load_tables()
TODAY = dt.date(2026, 11, 26)
SCENARIO = Scenario("Llama-3.1-8B-Instruct", "bf16", "modal-l40s", "crusoe-l40s", 2.0)


def _trace(requests=160, days=2.0, seed=5):
    generator = np.random.default_rng(seed)
    horizon_s = days * 86_400
    return make_trace(
        "test",
        np.sort(generator.uniform(0, horizon_s, requests)),
        generator.integers(50, 3000, requests),
        generator.integers(1, 400, requests),
        horizon_s=horizon_s,
        report=TraceReport("test"),
    )


TRACE = _trace()


class Kept(dict):
    """Keeps all, and counts what is new."""

    def put(self, key, value, seconds):
        self[key] = value


def look(limit_s=2.0, *, kept=None, wanted=None, tables=TABLES, scenario=SCENARIO, **how):
    return market(
        scenario,
        TRACE,
        tables,
        limit_s=limit_s,
        kept=Kept() if kept is None else kept,
        today=TODAY,
        **({} if wanted is None else {"wanted": wanted}),
        **how,
    )


@pytest.fixture(scope="module")
def kept():
    return Kept()


@pytest.fixture(scope="module")
def whole(kept):
    return look(kept=kept)


def _alone(offer_id, count, deal=None):
    """Return cost, p99 and plan of every plan of an offer, simulated and billed on its own."""
    scenario = dataclasses.replace(SCENARIO, gpus_per_replica=count)
    deployed = deploy_at(scenario, supply_of(offer_id, TABLES), TRACE, TABLES)
    found = []
    for outcome in simulate_plans(offer_grid(deployed, TRACE, TABLES), TRACE, TABLES):
        exact = dataclasses.replace(deal or Deal(), exact_machine=True)
        plans = [outcome.plan]
        if exact.commitment is not None and (bound := committed(outcome.plan)) is not None:
            plans.append(bound)
        for plan in plans:
            cost = bill_outcome(dataclasses.replace(outcome, plan=plan), TABLES, exact)
            hours = TABLES.setting("hours_per_month")
            found.append((cost.usd_per_month(hours), outcome.latency.p99_ttft_s, plan.plan_id))
    return found


SOME = (
    "modal-l40s",
    "runpod-flex-l4",
    "baseten-h100",
    "hf-l4",
    "fireworks-h100",
    "sagemaker-ml.g6e.xlarge",
    "crusoe-l40s",
    "runpod-community-l4",
    "aws-l4-reserved-3y",
    "gcp-l4-spot",
    "coreweave-h100",
    "own-nothing",
)


@pytest.mark.parametrize("offer_id", [name for name in SOME if name in TABLES.offers])
def test_a_row_is_what_its_offer_does_alone(whole, offer_id):
    """Grouped, metered once and pruned, or simulated and billed by itself: the same three plans."""
    row = whole.row(offer_id)
    counts = {choice.gpus for choice in row.steps}
    every = [item for count in counts for item in _alone(offer_id, count)]
    usd, p99_s = (np.array([item[at] for item in every]) for at in (0, 1))
    best = cheapest_under(usd, p99_s, whole.limit_s)
    assert row.best.usd_per_month == pytest.approx(usd[best], rel=1e-12)
    assert row.best.p99_s == p99_s[best]
    assert row.best.plan.plan_id in {
        plan_id for a, b, plan_id in every if (a, b) == (usd[best], p99_s[best])
    }
    assert min(step.usd_per_month for step in row.steps) == pytest.approx(usd.min(), rel=1e-12)
    assert min(step.p99_s for step in row.steps) == p99_s.min()
    assert sum(row.best.usd_by_line.values()) == pytest.approx(row.best.usd_per_month)


def test_a_row_is_what_the_study_of_its_offer_says(whole):
    """The plans of either offer in a study cost and wait what they do on the market."""
    study = study_of(
        simulate(SCENARIO, TRACE, TABLES), TABLES, limit_s=2.0, deal=Deal(exact_machine=True)
    )
    for offer_id in (SCENARIO.serverless_offer, SCENARIO.dedicated_offer):
        of_offer = study.table[
            (study.table["offer_id"] == offer_id) & ~study.table["family"].isin(["hybrid", "bound"])
        ]
        at = cheapest_under(of_offer["usd_per_month"], of_offer["p99_ttft_s"], 2.0)
        best = whole.row(offer_id).best
        assert best.usd_per_month == pytest.approx(of_offer["usd_per_month"].iloc[at], rel=1e-12)
        assert best.p99_s == of_offer["p99_ttft_s"].iloc[at]
        for step in whole.row(offer_id).steps:
            same = of_offer[of_offer["plan_id"] == step.plan.plan_id].iloc[0]
            assert step.usd_per_month == pytest.approx(same["usd_per_month"], rel=1e-12)
            assert step.p99_s == same["p99_ttft_s"]


def _numbers(found):
    table = market_table(found).drop(columns=["best_policy", "cheapest_policy", "fastest_policy"])
    return table.set_index("offer_id").sort_index()


def test_grouping_and_pruning_change_no_number(whole, monkeypatch):
    """Each plan of each offer simulated for itself, and none left out, gives the same table."""
    monkeypatch.setattr(tried, "run_key", lambda plan, start: id(plan))
    monkeypatch.setattr(tried, "unstarted_key", lambda plan, run: run)
    monkeypatch.setattr(tried, "worth_keeping", tuple)
    names = ("Modal", "Crusoe", "Hugging Face", "AWS", "Lambda", "Baseten")
    slow = _numbers(look(wanted=Wanted(providers=names)))
    fast = _numbers(whole).loc[slow.index]
    ranks = ["rank"]  # of another number of offers
    slow, fast = slow.drop(columns=ranks), fast.drop(columns=ranks)
    for column in slow.columns:
        if slow[column].dtype.kind == "f":
            assert np.allclose(slow[column], fast[column], rtol=1e-12, equal_nan=True), column
        elif not column.endswith("plan_id"):  # of two plans that tie, either may be named
            assert slow[column].fillna("").tolist() == fast[column].fillna("").tolist(), column


def test_a_price_a_limit_or_an_offer_of_known_hardware_simulates_nothing(kept, whole):
    """What is kept is used: the same groups, and a bill at the new price."""
    before = set(kept)
    offer = TABLES.offers["crusoe-l40s"]
    dearer = dataclasses.replace(offer, usd_per_gpu_h=2 * offer.usd_per_gpu_h)
    own = dataclasses.replace(offer, offer_id="mine", provider="Mine", usd_per_gpu_h=0.01)
    offers = MappingProxyType({**TABLES.offers, offer.offer_id: dearer, "mine": own})
    tables = dataclasses.replace(TABLES, offers=offers)
    found = look(5.0, kept=kept, tables=tables)
    assert set(kept) == before
    now, then = (m.row("crusoe-l40s").cheapest.usd_per_month for m in (found, whole))
    assert now == pytest.approx(2 * then)
    assert found.row("mine").cheapest.usd_per_month < then
    assert found.rows[0].offer.offer_id == "mine"


def test_more_offers_never_make_the_cheapest_dearer(kept, whole):
    """The cheapest of some of them is never below the cheapest of all."""
    best = whole.holding[0].best.usd_per_month
    for wanted in (
        Wanted(providers=("Modal",)),
        Wanted(kinds=("dedicated",)),
        Wanted(gpus=("L40S", "H100-SXM-80GB")),
        Wanted(community=False),
    ):
        some = look(kept=kept, wanted=wanted)
        assert 0 < len(some.rows) < len(whole.rows)
        assert some.holding[0].best.usd_per_month >= best
        for row in some.rows:
            same = whole.row(row.offer.offer_id)
            assert state_of(row) == state_of(same)
            if row.best is not None:
                assert row.best.usd_per_month == same.best.usd_per_month


def test_a_higher_limit_is_never_dearer(kept):
    """Offer by offer, what holds a limit holds a higher one, at no more."""
    found = [look(limit_s, kept=kept) for limit_s in (0.3, 1.0, 2.0, 30.0)]
    for tight, loose in itertools.pairwise(found):
        for row in tight.holding:
            same = loose.row(row.offer.offer_id)
            assert row.best.p99_s <= tight.limit_s
            assert same.best is not None
            assert same.best.usd_per_month <= row.best.usd_per_month * (1 + 1e-12)


def test_every_reason_is_true(kept):
    """Each offer that cannot run a large model lacks GPUs, may not have them, or is not sold."""
    scenario = dataclasses.replace(SCENARIO, model="Llama-3.1-70B-Instruct")
    found = look(wanted=Wanted(kinds=ON_DEMAND), scenario=scenario)
    assert found.able
    assert found.unable
    for row in found.unable:
        offer, words = row.offer, row.reason
        if "sells it only" in words:
            assert offer.available != "yes"
            continue
        if words.startswith("It needs "):
            count = int(words.split()[2])
            tokens = TRACE.prompt_tokens.mean() + TRACE.output_tokens.mean() / 2
            speed = serving_speed(
                scenario.model, "bf16", offer.gpu, context_tokens=tokens, tables=TABLES
            )
            assert speed.gpus_per_replica == count
            hard = TABLES.behaviour_of(offer).max_gpus_hard
            assert count > offer.gpus_max or (hard is not None and count > hard)
            assert str(min(offer.gpus_max, hard or math.inf)) in words
        else:
            assert "replica is at most one node" in words or "do not divide" in words


def test_a_mark_of_age_is_no_reason(whole):
    """A stale price is marked, and the offer still ranks."""
    stale = [row for row in whole.able if row.staleness != "fresh"]
    assert stale
    assert all(row.best or row.fastest for row in stale)
    assert not any("stale" in row.reason for row in whole.rows)


def test_a_larger_replica_is_tried_where_it_can_help(kept):
    """Where the fewest GPUs miss a limit that more can hold, the row has a plan that holds it."""
    slow = min(
        (row for row in look(0.15, kept=kept).able if row.offer.gpus_max > 1),
        key=lambda row: -max(step.gpus for step in row.steps),
    )
    assert max(step.gpus for step in slow.steps) > 1
    # And where the scenario says how many, no other number is.
    scenario = dataclasses.replace(SCENARIO, gpus_per_replica=2)
    said = look(0.15, scenario=scenario, wanted=Wanted(providers=("Lambda", "Crusoe")))
    assert {step.gpus for row in said.able for step in row.steps} == {2}


def test_contracts_with_one_key_read_the_same_meters():
    """Whatever the key leaves out of an offer and its rules changes no meter."""
    deployed = deploy_at(SCENARIO, supply_of("modal-l40s", TABLES), TRACE, TABLES)
    machine = deploy_at(SCENARIO, supply_of("crusoe-l40s", TABLES), TRACE, TABLES)
    grids = {True: offer_grid(deployed, TRACE, TABLES)[:40:9]}
    grids[False] = offer_grid(machine, TRACE, TABLES)[::5]
    usages = {
        serverless: [usage_of(outcome) for outcome in simulate_plans(plans, TRACE, TABLES)]
        for serverless, plans in grids.items()
    }
    seen = {}
    for offer in TABLES.offers.values():
        contract = Contract(offer, TABLES.rules_of(offer))
        serverless = offer.kind == "serverless"
        key = metering_key(contract, 1)
        read = [read_meters(usage, contract)[0][1] for usage in usages[serverless]]
        for one, other in zip(read, seen.setdefault(key, read), strict=True):
            assert np.array_equal(one.gpu_s, other.gpu_s)
            assert (one.gpus, one.extra_start_gpu_s) == (other.gpus, other.extra_start_gpu_s)
    assert 4 < len(seen) < len(TABLES.offers)


def test_a_commitment_is_on_the_market(kept):
    """Under a buyer's commitment machines that are always on cost that much less, as in a study."""
    commitment = TABLES.commitments["preset-35"]
    deal = Deal(commitment=commitment)
    found = look(kept=kept, deals=lambda offer: deal, wanted=Wanted(providers=("Crusoe",)))
    row = found.row("crusoe-l40s")
    usd = np.array([item[0] for item in _alone("crusoe-l40s", 1, deal)])
    assert row.cheapest.usd_per_month == pytest.approx(usd.min(), rel=1e-12)
    assert any(step.plan.is_committed for step in row.steps)


def test_the_answer_can_be_read_off_the_table(whole):
    """Counts, winner, next provider, and what would cost less bound or on spot machines."""
    table, answer = market_table(whole), answer_of(whole)
    holds = table[table["state"] == "holds"]
    firm = holds[holds["kind"].isin(ON_DEMAND)]
    assert (answer.offers, answer.holding, answer.on_demand) == (
        len(table),
        len(holds),
        len(firm),
    )
    assert answer.able == int((table["state"] != "cannot").sum())
    first = firm.sort_values("best_usd_per_month").iloc[0]
    assert answer.best.offer_id == first["offer_id"]
    assert answer.best.usd_per_month == firm["best_usd_per_month"].min()
    others = firm[firm["provider"] != answer.best.provider]
    assert answer.elsewhere.usd_per_month == others["best_usd_per_month"].min()
    for pick, kind in ((answer.bound, "reserved"), (answer.spot, "spot")):
        least = holds.loc[holds["kind"] == kind, "best_usd_per_month"].min()
        if pick is None:
            assert not least < answer.best.usd_per_month
        else:
            assert pick.usd_per_month == least < answer.best.usd_per_month
    said = headline(answer, 730.0)
    assert f"Cheapest of {len(firm)} offers (spot and reserved apart) that hold p99 ≤ 2 s" in said
    assert any(f"Looked at {len(table)} offers" in words for words in sentences(answer, 730.0))


def test_an_answer_without_a_winner_says_so(kept):
    """Where none holds the limit the fastest is named with what it reaches."""
    found = look(0.001, kept=kept)
    answer = answer_of(found)
    assert answer.best is None
    said = headline(answer, 730.0)
    assert said.startswith("None of ")
    fastest = market_table(found)
    fastest = fastest[fastest["kind"].isin(ON_DEMAND)]["fastest_p99_ttft_s"].min()
    assert answer.fastest.p99_ttft_s == pytest.approx(fastest, rel=0.03, abs=0.006)


@pytest.mark.parametrize("requests", [30, 160, 3000])
def test_never_cold_is_true_of_the_run(requests):
    """Where the longest gap is within the idle timeout, some replica is always up."""
    trace = _trace(requests)
    found = market(
        SCENARIO,
        trace,
        TABLES,
        limit_s=1e9,
        kept=Kept(),
        today=TODAY,
        wanted=Wanted(providers=("Modal",), gpus=("L40S",)),
    )
    row = found.row("modal-l40s")
    cold = answer_of(found).scale_to_zero
    deployed = deploy_at(SCENARIO, supply_of("modal-l40s", TABLES), trace, TABLES)
    plans = [p for p in offer_grid(deployed, trace, TABLES) if not p.mitigations]
    for plan in (plans[0], plans[-20], row.zero.plan):
        (outcome,) = simulate_plans([plan], trace, TABLES)
        if plan.policy.min_replicas:
            continue
        sessions = rerun(outcome, trace).sessions
        until = np.maximum.accumulate(sessions["ended_s"])
        broken = bool((sessions["started_s"][1:] > until[:-1]).any())
        facts = dataclasses.replace(cold, idle_timeout_s=plan.policy.idle_timeout_s)
        if facts.never_cold:
            assert not broken


def test_what_progress_raises_stops_the_market():
    """A caller that has seen enough gets its own exception, and nothing is kept."""

    class Enough(Exception):
        pass

    def stop(done, total):
        raise Enough

    kept = Kept()
    with pytest.raises(Enough):
        look(kept=kept, progress=stop)
    assert not kept


def test_a_market_ends_before_its_first_run_where_its_person_is_gone(monkeypatch):
    """All the way through its offers it looks whether it is still wanted, not from run to run."""
    looks = 0

    class Gone(Exception):
        pass

    def look_up():
        nonlocal looks
        looks += 1
        if looks > 100:
            raise Gone

    def simulated(*_):
        raise AssertionError("it went on to its runs")

    monkeypatch.setattr(answers, "_STEP_S", 0.0)
    monkeypatch.setattr(tried, "_try", simulated)
    kept = Kept()
    with pytest.raises(Gone), answers.ANSWERS.answer(look_up):
        look(kept=kept)
    assert not kept


def test_a_first_look_comes_before_the_rest_and_never_promises_less():
    """Its plans are among those of the whole, which is never dearer."""
    looks = []
    found = look(first=looks.append, wanted=Wanted(providers=("Modal", "Crusoe", "Lambda")))
    (first,) = looks
    assert first.rows
    for row in first.holding:
        assert found.row(row.offer.offer_id).best.usd_per_month <= row.best.usd_per_month + 1e-6


def test_the_best_offer_has_a_range_that_holds_its_figures(kept):
    """A limit inside the range of its p99 makes the headline begin with it; figures stay inside."""
    found = look(60.0, kept=kept)
    # Enough requests for a p99 with an upper end.
    more = dataclasses.replace(found, trace=_trace(600, 4.0))
    settings = {
        **TABLES.settings,
        "ranges_replications": dataclasses.replace(
            TABLES.settings["ranges_replications"], value=19.0
        ),
    }
    few = dataclasses.replace(TABLES, settings=settings)
    plain = answer_of(found)
    ranged = with_range(plain, more, few)
    assert ranged.best == plain.best
    assert ranged.usd_range.low <= ranged.usd_range.high
    assert ranged.p99_range.low < ranged.p99_range.high < math.inf
    assert ranged.uncertain == "Only 6 requests lie beyond the p99: it is uncertain."
    middle_s = (ranged.p99_range.low + ranged.p99_range.high) / 2
    doubtful = headline(dataclasses.replace(ranged, limit_s=middle_s), 730.0)
    assert doubtful.startswith("Not sure: ")
    assert "would not always hold it" in doubtful
    assert not headline(ranged, 730.0).startswith("Not sure")
    # Too few requests for the upper end of a p99: none is given.
    assert with_range(plain, found, few).p99_range is None
    # Nothing holds the limit: there is no plan to give a range of.
    assert with_range(answer_of(look(1e-4, kept=kept)), found, few).usd_range is None


@pytest.mark.parametrize(("schedule", "words"), [((), "2"), (((0.0, 3), (9.0, 1)), "3")])
def test_office_hours_are_said_of_a_trace_that_lies_within_them(schedule, words):
    """An hour of traffic at noon has no change of the minimum; its plan has words all the same."""
    from types import SimpleNamespace

    from frontier.market.rows import Choice
    from frontier.plans.families import SCHEDULED
    from frontier.policy import ScalingPolicy

    plan = SimpleNamespace(policy=ScalingPolicy(2, 4, schedule=schedule), family=SCHEDULED)
    said = Choice.policy_in_short.fget(SimpleNamespace(plan=plan))
    assert said == f"{words} replicas in office hours"
