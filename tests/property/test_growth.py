"""Laws of growth over months: what stays, what changes, and that the sums are sums."""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
import math

import numpy as np
import pytest

from frontier.billing import Terms
from frontier.charts.growth_chart import growth_figure, growth_table
from frontier.errors import InputError
from frontier.growth import (
    ALWAYS_ON,
    CHEAPEST,
    KEPT,
    LINES,
    SHIPPED,
    Futures,
    GrowthPlan,
    Launch,
    Level,
    PriceStep,
    headline,
    notes,
    over_months,
    sentences,
    turns,
)
from frontier.plans.scenario import Scenario
from frontier.study import simulate, study_of
from frontier.sweep import Deal
from frontier.tables import load_tables
from frontier.trace import TraceReport, generate_trace, make_trace, scale_by_hour, scale_rate

TABLES = load_tables()
FIRST = dt.date(2026, 11, 26)
TRACE = generate_trace("internal-rag", seed=17, days=4, requests_per_day=400)
SCENARIO = Scenario(
    "Llama-3.1-8B-Instruct", "bf16", "modal-l40s", "crusoe-l40s", 2.0, mitigations=()
)
SIMULATED = simulate(SCENARIO, TRACE, TABLES)
FUTURES = Futures(SIMULATED, TABLES)
COMMITMENT = next(iter(TABLES.commitments.values()))


def study(limit_s=2.0, deal=None):
    return study_of(SIMULATED, TABLES, limit_s=limit_s, deal=deal or Deal())


def months(limit_s=2.0, deal=None, **growth):
    growth = {"first": FIRST, "months": 4} | growth
    return over_months(study(limit_s, deal), FUTURES, GrowthPlan(**growth))


def numbers(found, name, *, until=None):
    return [
        (point.plan.plan_id, point.usd, point.usd_price_low, point.p99_ttft_s)
        for point in found.line(name)[:until]
    ]


@pytest.mark.parametrize("limit_s", [2.0, 300.0])
def test_without_growth_every_month_is_the_study_s_bill(limit_s):
    """Twelve months at 0 % are the same bill, to the last bit, and nothing is drawn."""
    found, answer = months(limit_s, months=12), study(limit_s).verdict
    assert len(found.months) == 12
    for name, plan in (
        (CHEAPEST, answer.cheapest_within),
        (KEPT, answer.cheapest_within),
        (SHIPPED, answer.shipped),
        (ALWAYS_ON, answer.rival),
    ):
        for point in found.line(name):
            assert point.plan == plan
            assert point.usd == point.usd_low == point.usd_high == plan.usd_per_month
        assert found.years[name].usd == pytest.approx(12 * plan.usd_per_month, rel=1e-12)
    assert {month.draws for month in found.months} == {1}
    assert turns(found) == ()


def test_traffic_as_read_is_the_run_itself():
    """Level 1 is the very trace and the very outcomes; hours that are all 1 change nothing."""
    for level in (Level(1.0), Level(1.0, (1.0,) * 168)):
        assert FUTURES.at(level) is SIMULATED
        assert FUTURES.traffic(level, 3) is TRACE
    plan = SIMULATED.outcomes[0].plan
    again, first = FUTURES.of_plans(Level(1.0), 0, [plan])[0], SIMULATED.outcomes[0]
    assert again.latency == first.latency
    assert (again.sessions == first.sessions).all()


def test_a_price_step_changes_no_month_before_it():
    """Months before a step are bit for bit those without it; from it on metered prices are off."""
    plain = months(per_month=0.2)
    for offer_id in (None, SCENARIO.serverless_offer, SCENARIO.dedicated_offer):
        stepped = months(per_month=0.2, price_steps=(PriceStep(3, 1.5, offer_id),))
        for name in LINES:
            assert numbers(stepped, name, until=2) == numbers(plain, name, until=2)
        changed = {
            name
            for name in (SHIPPED, ALWAYS_ON)
            if numbers(stepped, name)[2:] != numbers(plain, name)[2:]
        }
        assert (
            changed
            == {
                None: {SHIPPED, ALWAYS_ON},
                SCENARIO.serverless_offer: {SHIPPED},
                SCENARIO.dedicated_offer: {ALWAYS_ON},
            }[offer_id]
        )
    assert stepped.line(ALWAYS_ON)[3].usd == pytest.approx(1.5 * plain.line(ALWAYS_ON)[3].usd)


def test_a_price_simulates_nothing():
    """Once the traffic is known, other prices, limits and terms only bill again."""
    futures = Futures(SIMULATED, TABLES)
    growth = GrowthPlan(FIRST, 3, 0.3)
    over_months(study(), futures, growth)
    known = {level: futures.at(level) for level in (Level(1.3), Level(1.69))}
    stepped = dataclasses.replace(growth, price_steps=(PriceStep(1, 0.5),))
    over_months(study(), futures, stepped)
    assert all(futures.at(level) is found for level, found in known.items())


def test_the_year_is_the_sum_of_its_months():
    """Mean, band and draws of the year are sums over the months, and lie in their order."""
    found = months(per_month=0.4, limit_s=300.0)
    for name, year in found.years.items():
        points = found.line(name)
        assert year.usd == pytest.approx(math.fsum(point.usd for point in points))
        assert year.usd_low <= year.usd * (1 + 1e-12)
        assert year.usd * (1 - 1e-12) <= year.usd_high
        assert year.usd_low >= math.fsum(point.usd_low for point in points) - 1e-9
        assert year.usd_high <= math.fsum(point.usd_high for point in points) + 1e-9
        assert year.usd_price_low < year.usd < year.usd_price_high


def test_deciding_anew_never_costs_more_than_a_kept_plan_that_holds():
    """In a month in which today's plan holds the limit, the cheapest one costs no more."""
    found = months(per_month=0.6, limit_s=300.0)
    for month in found.months:
        kept, anew = month.points[KEPT], month.points[CHEAPEST]
        assert anew.holds_limit
        if kept.holds_limit:
            assert anew.usd <= kept.usd + 1e-6


def test_factors_follow_growth_season_and_launches():
    """A factor is growth times season times launches, plus what is added, by calendar month."""
    season = tuple(2.0 if month == 12 else 1.0 for month in range(1, 13))
    growth = GrowthPlan(FIRST, 4, 0.1, season=season)
    found = [growth.factor(month, 400, 730) for month in range(1, 5)]
    assert found == pytest.approx([1.0, 2.2, 1.21, 1.331])
    assert growth.named(2) == "December 2026"
    assert growth.named(3) == "January 2027"
    lasting = GrowthPlan(FIRST, launches=(Launch(2, 3.0), Launch(3, added_per_day=200)))
    assert [lasting.factor(month, 400, 730) for month in (1, 2, 3, 4)] == [1.0, 3.0, 3.5, 3.5]


def test_a_launch_that_fades_is_as_much_in_all_as_a_triangle():
    """Faded over n days, a launch brings half of n days at its height, split over the months."""
    days = 730 / 24
    for fade in (5.0, 40.0, 200.0):
        launch = Launch(2, fade_days=fade)
        left = [launch.share_left(month, days) for month in range(1, 13)]
        assert left[0] == 0.0
        assert math.fsum(left) * days == pytest.approx(fade / 2)
        assert all(a >= b for a, b in itertools.pairwise(left[1:]))


def test_a_commitment_binds_until_it_ends_and_then_costs_the_hourly_price():
    """While it runs only plans that use its machines are chosen; afterwards none is committed."""
    deal = Deal(commitment=COMMITMENT)
    found = months(deal=deal, committed_until=2)
    committed = [month.points[CHEAPEST].plan.is_committed for month in found.months]
    assert committed == [True, True, False, False]
    assert [month.is_committed for month in found.months] == committed
    hourly = months().line(ALWAYS_ON)[0].usd
    kept = [point.usd for point in found.line(KEPT)]
    assert kept[2:] == [pytest.approx(hourly)] * 2
    assert kept[0] == pytest.approx(hourly * (1 - COMMITMENT.discount))
    assert found.binding == ((1, 2, found.line(CHEAPEST)[0].plan.kept),)
    said = " ".join(sentences(found))
    assert "The commitment ends with December 2026" in said
    # A price that falls far does not free what is bound.
    cheap = months(
        deal=deal, limit_s=300.0, price_steps=(PriceStep(2, 0.05, SCENARIO.serverless_offer),)
    )
    if cheap.line(CHEAPEST)[0].plan.is_committed:
        assert all(point.plan.is_committed for point in cheap.line(CHEAPEST))


def test_a_large_trace_is_simulated_at_some_levels_only():
    """Months between two simulated levels lie between their costs, and say what they are."""
    rows = dict(TABLES.settings)
    rows["growth_most_requests"] = dataclasses.replace(rows["growth_most_requests"], value=2000.0)
    rows["growth_samples"] = dataclasses.replace(rows["growth_samples"], value=3.0)
    tables = dataclasses.replace(TABLES, settings=rows)
    found = over_months(
        study_of(SIMULATED, tables, limit_s=2.0),
        Futures(SIMULATED, tables),
        GrowthPlan(FIRST, 6, 0.5),
    )
    between = [month.is_interpolated for month in found.months]
    assert between[0] is between[-1] is False
    assert sum(between) >= 3
    usd = [month.points[SHIPPED].usd for month in found.months]
    for at, is_between in enumerate(between):
        if is_between:
            assert min(usd[0], usd[-1]) <= usd[at] <= max(usd[0], usd[-1])
    assert any("not simulated" in sentence for sentence in notes(found))
    exact = over_months(study(), FUTURES, GrowthPlan(FIRST, 6, 0.5))
    assert not any(month.is_interpolated for month in exact.months)
    assert usd[-1] == exact.months[-1].points[SHIPPED].usd


def test_growth_adds_requests_and_takes_none_away():
    """With one seed, more traffic is all of the less and some more: months differ by growth."""

    def requests(trace):
        return set(zip(trace.arrival_s, trace.prompt_tokens, trace.output_tokens, strict=True))

    traces = [scale_rate(TRACE, factor, 3) for factor in (0.4, 0.9, 1.0, 1.03, 1.6, 2.0, 2.4)]
    for less, more in itertools.pairwise(traces):
        assert requests(less) <= requests(more)


def test_what_is_laid_over_stays_as_bursty():
    """Requests in pairs stay in pairs at 1.1 times the rate: no half of each is taken away."""
    rng = np.random.default_rng(5)
    starts = np.sort(rng.uniform(0, 40_000, 800))
    pairs = make_trace(
        "pairs",
        np.sort(np.concatenate([starts, starts + 1e-3])),
        np.full(1600, 10),
        np.full(1600, 10),
        report=TraceReport("made"),
    )
    more = scale_rate(pairs, 1.1, 1)
    close = (np.diff(more.arrival_s) < 2e-3).sum()
    assert close >= 800


def test_hours_of_the_week_each_have_their_factor():
    """Weekends at twice, workdays at half: counts by hour follow; one factor is `scale_rate`."""
    week = generate_trace("internal-rag", seed=3, days=14, requests_per_day=1500)
    factors = [0.5] * 120 + [2.0] * 48
    scaled = scale_by_hour(week, factors, 1, TABLES)

    def by_day(trace):
        start = trace.t0_utc.weekday()
        return np.bincount(((trace.arrival_s // 86_400).astype(int) + start) % 7, minlength=7)

    before, after = by_day(week), by_day(scaled)
    assert after[5:].sum() == pytest.approx(2 * before[5:].sum(), rel=0.1)
    assert after[:5].sum() == pytest.approx(0.5 * before[:5].sum(), rel=0.1)
    for factor in (0.3, 1.0, 1.7):
        assert scale_by_hour(week, [factor] * 168, 2, TABLES) == scale_rate(week, factor, 2, TABLES)


def test_other_hours_change_the_rate_and_the_bill():
    """A plan of growth with quiet workdays has less traffic, and says how much a day it has."""
    found = months(hours=(0.2,) * 120 + (1.0,) * 48, hours_from=2)
    per_day = [month.requests_per_day for month in found.months]
    assert per_day[1] < 0.6 * per_day[0]
    assert found.months[1].points[SHIPPED].usd < found.months[0].points[SHIPPED].usd


def test_a_default_that_may_not_grow_is_not_called_cheaper():
    """Months in which the default has too few replicas for the traffic are no comparison."""
    found = months(months=3)
    assert "too few" not in " ".join(sentences(found))
    for first in (1, 2):
        changed = tuple(
            dataclasses.replace(
                month,
                points=month.points
                | {SHIPPED: dataclasses.replace(point, plan=dataclasses.replace(plan, needed=9))},
            )
            if month.month >= first
            else month
            for month in found.months
            for point in (month.points[SHIPPED],)
            for plan in (dataclasses.replace(point.plan, most=2),)
        )
        said = " ".join(sentences(dataclasses.replace(found, months=changed)))
        assert f"are too few for the traffic in {found.growth.named(first)}" in said
        assert ("is no comparison" in said) == (first == 1)


@pytest.mark.parametrize(
    ("growth", "words"),
    [
        ({"months": 0}, "whole number of months from 1, found 0"),
        ({"months": 40}, "Expected months from 1 to 36, found 40"),
        ({"per_month": -1.0}, "above -100 % a month"),
        ({"per_month": 9.0}, "growth a month from -0.5 to 1, found 9"),
        ({"per_month": math.nan}, "found nan"),
        ({"season": (1.0, 2.0)}, "Expected 12 factors for the calendar months, found 2"),
        ({"season": (0.0,) * 12}, "would have 0 times the traffic"),
        ({"hours": (1.0,) * 24}, "Expected 168 factors"),
        ({"price_steps": (PriceStep(1, 2.0, "nobody"),)}, "offers of this scenario; found nobody"),
        ({"committed_until": -1}, "at least 0"),
    ],
)
def test_what_cannot_be_is_refused_in_words(growth, words):
    """A plan of growth out of range says what was expected and what was found."""
    with pytest.raises(InputError, match=words.replace("(", r"\(")):
        months(**growth)
    for make in (lambda: Launch(0), lambda: Launch(1, 0.0), lambda: PriceStep(1, math.inf)):
        with pytest.raises(InputError, match="found"):
            make()


@pytest.mark.parametrize("per_month", [0.0, 0.5])
def test_every_sentence_is_that_of_the_table(per_month):
    """The months named as turns are those where the kind changes; the chart has a row a point."""
    found = months(per_month=per_month, limit_s=300.0)
    table = growth_table(found)
    assert len(table) == sum(len(month.points) for month in found.months)
    kinds = [
        (point.plan.family, point.plan.vendor, point.plan.gpu) for point in found.line(CHEAPEST)
    ]
    assert turns(found) == tuple(
        at + 1 for at in range(1, len(kinds)) if kinds[at] != kinds[at - 1]
    )
    for month in turns(found):
        assert found.growth.named(month) in headline(found) or "changes" in headline(found)
    figure = growth_figure(table, turns(found))
    assert {trace.name for trace in figure.data if trace.name} == set(table["label"])


def _few(arrival_s, **growth):
    trace = make_trace(
        "few",
        arrival_s,
        [900] * len(arrival_s),
        [50] * len(arrival_s),
        horizon_s=max(arrival_s),
        report=TraceReport("test"),
    )
    simulated = simulate(SCENARIO, trace, TABLES)
    # The credit of a month pays for most of so little.
    deal = Deal(serverless=Terms(free_credit=False, platform_fee=False))
    found = study_of(simulated, TABLES, limit_s=2.0, deal=deal)
    return over_months(found, Futures(simulated, TABLES), GrowthPlan(FIRST, **growth))


def test_a_decline_of_two_requests_is_an_answer():
    """Half of them, then a quarter: as many a day as there should be, and a bill for it."""
    found = _few((0.0, 3600.0), months=4, per_month=-0.5)
    assert [month.requests_per_day for month in found.months] == [48.0, 24.0, 12.0, 6.0]
    assert [month.times for month in found.months] == [1, 30, 60, 120]
    assert "several times in a row, up to 120" in " ".join(notes(found))
    shipped = [point.usd for point in found.line(SHIPPED)]
    # Each request has a start and an idle time of its own: half of them cost half.
    assert shipped[2] == pytest.approx(shipped[1] / 2, rel=0.3)
    assert shipped[3] == pytest.approx(shipped[2] / 2, rel=0.3)
    assert len({point.usd for point in found.line(ALWAYS_ON)}) == 1


def test_what_a_year_has_too_little_of_is_said_with_the_way_on():
    """Named: the first such month, how few requests, how many months are looked at."""
    with pytest.raises(InputError) as found:
        _few((0.0, 6 * 86_400.0), months=12, per_month=-0.5)
    assert str(found.value) == (
        "February 2027 would have 15.2 requests a year: expected at least 30, of fewer chance "
        "alone would decide. Choose a smaller decline, at most 3 months, or bring a longer trace."
    )
    assert len(_few((0.0, 6 * 86_400.0), months=3, per_month=-0.5).months) == 3
