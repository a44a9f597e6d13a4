"""The search for a limit: as good as trying everything, never dearer than the grid, laws hold."""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
import math
from types import MappingProxyType

import numpy as np
import pytest

from frontier.charts.reach_chart import reach_figure, reach_table
from frontier.charts.theme import on_log
from frontier.errors import InfeasibleError
from frontier.market import Wanted, market
from frontier.plans.scenario import Scenario
from frontier.reach import (
    beside_in_words,
    headline,
    sentences,
    settings_in_words,
    what_it_takes,
)
from frontier.reach.hours import hours_to_try
from frontier.reach.places import Settings, places_of, ways_of
from frontier.reach.search import Search
from frontier.sweep import LIST_DEAL, Deal, bill_outcome, simulate_plans
from frontier.tables import load_tables
from frontier.trace import TraceReport, make_trace

TABLES = load_tables()
SCENARIO = Scenario("Llama-3.1-8B-Instruct", "bf16", "modal-l40s", "crusoe-l40s", 2.0)
HOURS = TABLES.setting("hours_per_month")
# The search closes in on a timeout to a share; idle seconds are a part of a bill, so less of that.
STEP = 1 + TABLES.setting("reach_timeout_step")


def _trace(requests=220, days=1.5, seed=5, busy=6.0):
    """Return requests of which most come by day, and few by night."""
    generator = np.random.default_rng(seed)
    day_s = 86_400.0
    at = generator.uniform(0, days * day_s, 3 * requests)
    by_day = np.abs(at % day_s / 3600.0 - 13.0) < busy
    at = np.sort(np.concatenate([at[by_day][: requests - 20], at[~by_day][:20]]))
    return make_trace(
        "test",
        at,
        generator.integers(50, 3000, at.size),
        generator.integers(1, 400, at.size),
        horizon_s=days * day_s,
        report=TraceReport("test"),
    )


SHORT, WEEK = _trace(), _trace(300, 7.0, 9)


def reach(offers, limit_s, trace=SHORT, tables=TABLES, scenario=SCENARIO, **how):
    rows = [tables.offers[name] for name in offers]
    return what_it_takes(scenario, trace, tables, limit_s=limit_s, offers=rows, **how)


def everything(offer_id, limit_s, trace, *, hours, timeouts, most=2):
    """Return the least cost within a limit of all settings of an offer, tried one by one."""
    offer = TABLES.offers[offer_id]
    places, _ = places_of(SCENARIO, [offer], trace, TABLES, limit_s=limit_s)
    search = Search(trace, TABLES, limit_s, deals=lambda _: LIST_DEAL, hours=())
    for place in places:
        up_to = place.deployed.max_replicas if place.scales else place.most_fixed
        spread = np.geomspace(max(place.timeouts_s[0], 1.0), place.timeouts_s[-1], timeouts)
        for kept, way, target, buffer, one in itertools.product(
            range(0 if place.scales else 1, most + 1),
            ways_of(place, TABLES),
            place.targets,
            range(place.most_buffer + 1),
            hours if not place.scales else (None, *hours),
        ):
            if (one is not None and not kept) or kept > up_to:
                continue
            plain = Settings(place, way, kept, up_to, 0.0, target, one, None, buffer)
            search.run(
                dataclasses.replace(plain, idle_timeout_s=float(timeout_s)) for timeout_s in spread
            )
        for kept in range(1, most + 1):
            idle_s = place.timeouts_s[-1] if place.scales else math.inf
            search.run([Settings(place, place.plain, kept, kept, idle_s, place.targets[0])])
    return math.inf if search.best is None else search.best.usd_per_month


@pytest.mark.parametrize("limit_s", [1.0, 45.0, 90.0])
@pytest.mark.parametrize("offer_id", ["replicate-l40s", "hf-l4"])
def test_it_costs_no_more_than_the_best_of_everything_tried(offer_id, limit_s):
    """Kept replicas, mitigations and timeout of an offer: every combination, timeouts finely."""
    found = reach([offer_id], limit_s).found
    best = everything(offer_id, limit_s, SHORT, hours=(), timeouts=40)
    cost = math.inf if found is None else found.usd_per_month
    assert cost <= best * STEP


def test_kept_hours_cost_no_more_than_the_best_of_all_hours():
    """Machines by the hour, kept in any hours that can be learned, at many timeouts."""
    hours = [one for row in hours_to_try(SCENARIO, WEEK, TABLES) for one in row]
    found = reach(["crusoe-l40s"], 2.0, WEEK).found
    best = everything("crusoe-l40s", 2.0, WEEK, hours=hours, timeouts=6, most=1)
    assert found is not None
    assert found.usd_per_month <= best * STEP


@pytest.fixture(scope="module")
def grids():
    """Return the market of a few offers: the best plan of each one's grid."""

    class Kept(dict):
        def put(self, key, value, seconds):
            self[key] = value

    kept = Kept()
    names = frozenset(SOME)

    def at(limit_s):
        found = market(
            SCENARIO,
            WEEK,
            TABLES,
            limit_s=limit_s,
            kept=kept,
            today=dt.date(2026, 11, 26),
            wanted=Wanted(offer_ids=names),
        )
        return {row.offer.offer_id: row.best for row in found.rows}

    return at


SOME = ("modal-l40s", "sagemaker-l40s", "baseten-a100", "runpod-flex-l4", "gcp-l4")


@pytest.mark.parametrize("limit_s", [1.0, 5.0, 60.0])
def test_it_is_never_dearer_than_the_grid(grids, limit_s):
    """The plan found at an offer costs no more than the best one of the offer's grid."""
    ticked = grids(limit_s)
    for offer_id in SOME:
        found, best = reach([offer_id], limit_s, WEEK).found, ticked[offer_id]
        if best is not None:
            assert found is not None, offer_id
            assert found.usd_per_month <= best.usd_per_month + 1e-6, offer_id


def test_a_looser_limit_never_costs_more():
    """The cost of holding a limit falls with the limit, but for how finely a timeout is found."""
    costs = []
    for limit_s in (0.7, 1.0, 2.0, 10.0, 30.0, 60.0, 120.0):
        found = reach(["modal-l40s", "modal-l4"], limit_s, WEEK).found
        costs.append(math.inf if found is None else found.usd_per_month)
    assert all(later <= now * STEP for now, later in itertools.pairwise(costs)), costs


def test_what_is_found_was_simulated_on_the_whole_trace():
    """Simulated and billed on its own, the plan has the cost and the p99 that are reported."""
    found = reach(["modal-l40s", "modal-l4"], 2.0, WEEK).found
    (outcome,) = simulate_plans([found.plan], WEEK, TABLES)
    assert outcome.latency == found.latency
    assert outcome.latency.p99_ttft_s <= 2.0
    cost = bill_outcome(outcome, TABLES, Deal(exact_machine=True)).usd_per_month(HOURS)
    assert cost == pytest.approx(found.usd_per_month, abs=1e-9)


def _knobs(**cells):
    row = dataclasses.replace(TABLES.knobs["modal"], **cells)
    return dataclasses.replace(TABLES, knobs=MappingProxyType({**TABLES.knobs, "modal": row}))


KNOBS = {
    "kept_replicas": lambda one: one.kept > 0,
    "buffer_replicas": lambda one: one.buffer > 0,
    "scheduled_replicas": lambda one: one.hours is not None,
    "target": lambda one: one.target != one.place.targets[0],
}


@pytest.mark.parametrize("column", KNOBS)
def test_nothing_is_tried_that_the_platform_does_not_let_one_set(column):
    """A column of data/knobs.csv takes its settings out of the search; with it they are tried."""

    def tried(value):
        found = reach(["modal-l40s"], 45.0, WEEK, _knobs(**{column: value}))
        return any(KNOBS[column](trial.settings) for trial in found.tried)

    assert tried(True)
    assert not tried(False)


@pytest.mark.parametrize("offer_id", ["modal-l40s", "sagemaker-l40s", "fal-h100", "koyeb-l40s"])
def test_timeouts_lie_within_the_range_of_the_platform(offer_id):
    """No plan has an idle timeout that its product does not let one set."""
    behaviour = TABLES.behaviour_of(TABLES.offers[offer_id])
    for trial in reach([offer_id], 30.0).tried:
        timeout_s = trial.settings.idle_timeout_s
        assert timeout_s >= (behaviour.idle_min_s or 0)
        assert timeout_s <= (behaviour.idle_max_s or math.inf)
        assert trial.plan.policy.idle_timeout_s == timeout_s


@pytest.fixture(scope="module")
def found():
    return reach(["modal-l40s", "modal-l4", "modal-a10"], 2.0, WEEK)


def test_every_cheaper_plan_beside_it_fails_for_a_reason_that_can_be_counted(found):
    """It saves what the bills differ by, misses the limit, and its requests are counted right."""
    assert found.beside
    size = WEEK.arrival_s.size
    for row in found.beside:
        assert row.saves_usd == found.found.usd_per_month - row.trial.usd_per_month
        if row.saves_usd > 0:
            assert row.trial.p99_s > 2.0
            assert row.failure.too_many > 0
        if row.failure is not None:
            (outcome,) = simulate_plans([row.trial.plan], WEEK, TABLES)
            assert outcome.latency.p99_ttft_s == row.trial.p99_s
            assert row.failure.requests <= size
            # One request in a hundred may be over, and not one more.
            assert row.failure.allowed == size - math.ceil(0.99 * size)
            assert row.failure.part_s <= row.failure.ttft_s
            assert row.trial.over == math.ceil(row.failure.requests * 1000 / size)
    assert [row.saves_usd for row in found.beside] == sorted(row.saves_usd for row in found.beside)


def test_a_plan_within_the_limit_costs_at_least_what_its_kind_must():
    """What a kind is left for is true: none of its plans that hold the limit costs less."""
    for names, limit_s in ((("modal-l40s", "modal-l4"), 2.0), (("gcp-l4",), 30.0)):
        offers = [TABLES.offers[name] for name in names]
        places, _ = places_of(SCENARIO, offers, WEEK, TABLES, limit_s=limit_s)
        hours = hours_to_try(SCENARIO, WEEK, TABLES)
        search = Search(WEEK, TABLES, limit_s, deals=lambda _: LIST_DEAL, hours=hours)
        search.search(places)
        holding = [trial for trial in search.trials.values() if search.holds(trial)]
        assert any(trial.starts for trial in holding)
        for trial in holding:
            one = trial.settings
            floor = search.floor_usd(one.place, one.kept, hours=one.hours, base=one.base)
            assert floor <= trial.usd_per_month + 1e-6


def test_the_words_say_the_numbers(found):
    """The headline has limit, cost and plan; the rows say what they save; no word is empty."""
    said = headline(found, HOURS)
    assert "p99 ≤ 2 s" in said
    assert f"${found.found.usd_per_month:,.0f}" in said
    assert any(settings_in_words(found.found.settings) in one for one in sentences(found, HOURS))
    for row in found.beside:
        words = beside_in_words(row, found, HOURS)
        assert words.endswith(".")
        assert "{" not in words
        assert ("too many" in words) == (row.failure is not None)
    assert any(f"{len(found.tried):,} plans" in sentence for sentence in sentences(found, HOURS))


def test_a_limit_below_the_prompts_says_so():
    """Nothing is simulated for it: the prompts alone take longer on the fastest place."""
    found = reach(["modal-l40s", "modal-l4"], 0.01)
    assert found.found is None
    assert found.nearest is None
    assert not found.tried
    assert found.fastest_place.prompt_s > 0.01
    assert "one prompt in a hundred alone takes" in headline(found, HOURS)


def test_where_nothing_holds_the_nearest_is_named():
    """With a range of replicas too small for the load the nearest plan and its reason stand."""
    trace = _trace(6000, 0.01, busy=24.0)
    scenario = dataclasses.replace(SCENARIO, max_replicas=1)
    found = reach(["replicate-l40s"], 0.6, trace, scenario=scenario)
    assert found.found is None
    assert found.nearest.p99_s == min(trial.p99_s for trial in found.tried)
    assert found.failure.too_many > 0
    assert "The nearest reaches" in headline(found, HOURS)


def test_a_model_that_fits_nowhere_is_refused_with_the_reason():
    """The first offer's own reason is the message."""
    scenario = dataclasses.replace(SCENARIO, model="Llama-3.1-405B", precision="bf16")
    with pytest.raises(InfeasibleError, match="None of the offers"):
        reach(["modal-t4"], 2.0, scenario=scenario)


def test_the_budget_ends_the_search_and_is_said():
    """With few runs what was found still holds, and what was not looked at is counted."""
    settings = TABLES.settings
    few = dataclasses.replace(settings["reach_runs"], value=40.0)
    tables = dataclasses.replace(TABLES, settings=MappingProxyType({**settings, "reach_runs": few}))
    found = reach(["modal-l40s", "modal-l4", "modal-a10"], 2.0, WEEK, tables)
    assert found.open_kinds > 0
    assert found.found.p99_s <= 2.0
    assert any("could not be ruled out" in sentence for sentence in sentences(found, HOURS))


def test_another_precision_is_named_only_where_it_costs_less():
    """It is beside the answer, never the answer: its replies may differ."""
    found = reach(["modal-l4"], 2.0, WEEK, any_precision=True)
    assert found.found.settings.place.deployed.speed.precision == "bf16"
    assert found.other is not None
    assert found.other.usd_per_month < found.found.usd_per_month
    assert found.other.settings.place.deployed.speed.precision != "bf16"


def test_the_chart_has_every_plan_and_marks_the_one_found(found):
    """One row a plan, one of them found; every point of the figure lies on its plan."""
    table = reach_table(found)
    assert len(table) == len(found.tried)
    assert table["is_found"].sum() == 1
    best = table[table["is_found"]].iloc[0]
    assert best["usd_per_month"] == table.loc[table["holds"], "usd_per_month"].min()
    figure = reach_figure(table, limit_s=2.0)
    drawn = {(x, y) for part in figure.data for x, y in zip(part.x, part.y, strict=True)}
    assert drawn <= set(zip(on_log(table["usd_per_month"]), table["p99_ttft_s"], strict=True))
    assert (best["usd_per_month"], best["p99_ttft_s"]) in drawn


@pytest.mark.parametrize("at", ["found", "all"])
def test_a_plan_that_costs_nothing_is_drawn_as_well(found, at):
    """A credit may pay for all of it: the star stands at the left end of the axis of dollars."""
    table = reach_table(found)
    table.loc[table["is_found"] | (at == "all"), "usd_per_month"] = 0.0
    figure = reach_figure(table, limit_s=2.0)
    assert all(x > 0 for part in figure.data for x in part.x)
    (star,) = (part for part in figure.data if part.name == "found")
    assert len(star.x) == 1
