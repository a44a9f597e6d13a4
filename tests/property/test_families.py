"""Laws of the families that money and calendars make: scheduled, reserved, spot, per-token API."""

from __future__ import annotations

import dataclasses
import datetime as dt
import math

import numpy as np
import pytest

from frontier.billing import Terms, TokenPrice
from frontier.errors import InputError
from frontier.interruptions import Outages, draw_outages
from frontier.plans.families import API, DEDICATED, HYBRID, RESERVED, SCHEDULED
from frontier.plans.grid import default_grid, scheduled_plans
from frontier.plans.scenario import OfficeHours, Scenario, deploy, week_offset_s
from frontier.sweep import (
    Deal,
    TokenApi,
    bill_outcome,
    committed_outcomes,
    frontier_table,
    rerun,
    simulate_plans,
)
from frontier.tables import load_tables
from frontier.trace import TraceReport, make_trace

TABLES = load_tables()
SCENARIO = Scenario("Llama-3.1-8B-Instruct", "bf16", "modal-l40s", "crusoe-l40s", 2.0)
HOUR, DAY = 3600.0, 86400.0
MONDAY = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)


def trace_of(arrival_s, *, t0_utc=MONDAY, days=7):
    size = len(arrival_s)
    return make_trace(
        "made",
        arrival_s,
        np.full(size, 1000),
        np.full(size, 200),
        horizon_s=days * DAY,
        t0_utc=t0_utc,
        report=TraceReport("made", "s", size, size),
    )


@pytest.fixture(scope="module")
def by_day():
    """Make a week of a request every ten minutes of office hours, and four outside them."""
    day = np.arange(9 * HOUR, 17 * HOUR, 600.0)
    arrivals = np.concatenate([[0.0, 3 * HOUR, 3 * DAY], *(day + n * DAY for n in range(5))])
    return trace_of(np.sort(np.append(arrivals, 5.5 * DAY)))


@pytest.fixture(scope="module")
def outcomes(by_day):
    deployment = deploy(SCENARIO, by_day, TABLES)
    return simulate_plans(default_grid(deployment, by_day, TABLES), by_day, TABLES)


def test_a_schedule_keeps_office_hours_warm_and_nights_cold(outcomes, by_day):
    """In the hours nobody waits on a start; outside them, after the timeout, everybody does."""
    outcome = next(
        o for o in outcomes if o.plan.family == SCHEDULED and o.plan.policy.idle_timeout_s < 100
    )
    waited = rerun(outcome, by_day).waited_on_start
    clock_h = by_day.arrival_s % DAY / HOUR
    in_hours = (clock_h >= 8) & (clock_h < 18) & (by_day.arrival_s < 5 * DAY)
    assert not waited[in_hours].any()
    assert waited[~in_hours].all()
    assert outcome.plan.offer_id == SCENARIO.dedicated_offer


def test_a_schedule_is_billed_for_its_hours_and_the_starts_outside(outcomes):
    """Between 5 x 10 hours of a machine, and those with a start's length before each and at night.

    Whether it dominates comes out of the simulation: here the p99 is a start outside the hours.
    """
    outcome = next(
        o for o in outcomes if o.plan.family == SCHEDULED and o.plan.policy.idle_timeout_s < 100
    )
    usd_per_h = TABLES.offers["crusoe-l40s"].usd_per_gpu_h
    billed_h = bill_outcome(outcome, TABLES).usd_span / usd_per_h
    starts_h = outcome.stage_s.sum(axis=1).max() / HOUR
    assert 50 <= billed_h <= 50 + 5 * outcome.plan.start.typical_s / HOUR + 5 * starts_h + 1
    always_on = next(o for o in outcomes if o.plan.family == DEDICATED)
    assert bill_outcome(outcome, TABLES).usd_span < bill_outcome(always_on, TABLES).usd_span


@pytest.mark.parametrize(
    ("t0_utc", "offset_s"),
    [
        (None, 0.0),
        (MONDAY, 0.0),
        (MONDAY + dt.timedelta(days=2, hours=7, seconds=1.5), 2 * DAY + 7 * HOUR + 1.5),
    ],
)
def test_the_week_begins_on_monday(t0_utc, offset_s):
    """A date says where in the week a trace begins; without one it is Monday at 0 h, and said."""
    trace = trace_of([0.0, 1.0], t0_utc=t0_utc)
    assert week_offset_s(trace) == offset_s
    said = " ".join(deploy(SCENARIO, trace, TABLES).assumed)
    assert ("Monday at 0 h" in said) == (t0_utc is None)


def test_a_trace_that_begins_within_the_hours_finds_its_machines_ready():
    """A Monday at 9 h: the first request waits on no start, whatever the platform's start takes."""
    trace = trace_of([0.0, 60.0, 120.0], t0_utc=MONDAY + dt.timedelta(hours=9), days=1)
    deployment = deploy(SCENARIO, trace, TABLES)
    plans = list(scheduled_plans(deployment.machines, trace, TABLES))
    for outcome in simulate_plans(plans, trace, TABLES):
        assert not rerun(outcome, trace).waited_on_start.any()


@pytest.mark.parametrize("hours", [(18, 8, 5), (8, 8, 5), (-1, 8, 5), (8, 25, 5)])
def test_hours_that_make_no_day_are_refused(hours):
    """Hours must follow each other within a day."""
    with pytest.raises(InputError, match="Office hours"):
        OfficeHours(*hours)


def test_a_commitment_costs_its_share_and_moves_no_latency(outcomes):
    """Always-on machines cost one less the discount; by the hour they stay; waits are the same."""
    deal = Deal(commitment=TABLES.commitments["preset-35"])
    found = committed_outcomes(outcomes)
    reserved = [o for o in found if o.plan.family == RESERVED]
    dedicated = [o for o in found if o.plan.family == DEDICATED]
    assert len(reserved) == len(dedicated) > 0
    for one, other in zip(reserved, dedicated, strict=True):
        assert one.latency == other.latency
        listed = bill_outcome(other, TABLES, deal).usd_span
        assert listed == pytest.approx(bill_outcome(other, TABLES).usd_span)
        assert bill_outcome(one, TABLES, deal).usd_span == pytest.approx(0.65 * listed)
    for before, after in zip(
        (o for o in outcomes if o.plan.family == HYBRID),
        (o for o in found if o.plan.family == HYBRID),
        strict=True,
    ):
        assert (
            bill_outcome(after, TABLES, deal).usd_span < bill_outcome(before, TABLES, deal).usd_span
        )


def _on_spot(trace, rate, count=1):
    """Return what so many replicas on spot machines do at a rate of interruptions."""
    scenario = dataclasses.replace(
        SCENARIO, dedicated_offer="verda-l40s-spot", interruptions_per_h=rate
    )
    grid = default_grid(deploy(scenario, trace, TABLES), trace, TABLES)
    (plan,) = [plan for plan in grid if plan.plan_id == f"dedicated-{count}"]
    return simulate_plans([plan], trace, TABLES)[0]


def test_spot_interruptions_are_paid_as_starts(by_day):
    """An interruption an hour repeats a start an hour: the cost grows by that."""
    calm, rough = _on_spot(by_day, 0.0), _on_spot(by_day, 1.0)
    assert rough.plan.label.startswith("Spot")
    assert "always" not in rough.plan.detail
    start_h = rough.stage_s.sum(axis=1).mean() / HOUR
    costs = [bill_outcome(outcome, TABLES).usd_span for outcome in (calm, rough)]
    assert costs[1] / costs[0] == pytest.approx(1 + start_h, rel=0.02)


def test_who_comes_while_no_spot_machine_is_up_waits_for_it(by_day):
    """The share that waits is that of the time away; nobody waits less than on a calm machine."""
    calm, rough = (rerun(_on_spot(by_day, rate), by_day) for rate in (0.0, 1.0))
    assert not calm.waited_on_start.any()
    outages = draw_outages(
        1,
        interruptions_per_h=1.0,
        start_s=_on_spot(by_day, 1.0).stage_s.sum(axis=1),
        horizon_s=by_day.horizon_s,
        seed=int(TABLES.setting("start_seed")),
    )
    away = outages.up_at(by_day.arrival_s) == 0
    assert 0.01 < away.mean() < 0.5
    np.testing.assert_array_equal(rough.waited_on_start, away)
    assert np.all(rough.ttft_s >= calm.ttft_s - 1e-9)
    np.testing.assert_allclose(
        rough.start_wait_s[away], (outages.next_up_s(by_day.arrival_s) - by_day.arrival_s)[away]
    )
    # A machine that is away for over 1 % of the time cannot have a p99 of a second.
    assert rough.ttft_percentile(99) > 60.0


def test_a_second_spot_machine_is_seldom_away_at_the_same_time(by_day):
    """Then fewer wait, and those who find one machine wait as on one."""
    one, two = (rerun(_on_spot(by_day, 1.0, count), by_day) for count in (1, 2))
    assert two.waited_on_start.mean() < one.waited_on_start.mean()
    assert two.ttft_percentile(99) <= one.ttft_percentile(99)


def test_outages_by_hand():
    """Two machines, one away from 10 to 20 s, both from 15 s on: none is up until 20 s."""
    outages = Outages(np.array([0.0, 10.0, 15.0, 20.0]), np.array([2, 1, 0, 1]))
    times = np.array([0.0, 10.0, 15.0, 19.0, 20.0, 99.0])
    assert outages.up_at(times).tolist() == [2, 1, 0, 0, 1, 1]
    assert outages.next_up_s(times).tolist() == [0.0, 10.0, 20.0, 20.0, 20.0, 99.0]


def test_machines_are_up_for_the_share_that_rate_and_start_make(by_day):
    """1 / (1 + rate × start) of a long time, each machine by itself."""
    start_s = np.array([600.0])
    long_s = 5000 * HOUR
    outages = draw_outages(4, interruptions_per_h=0.1, start_s=start_s, horizon_s=long_s, seed=1)
    ends = np.append(outages.since_s[1:], long_s)
    lasting = np.maximum(np.minimum(ends, long_s) - outages.since_s, 0.0)
    share = (outages.up @ lasting) / (4 * long_s)
    assert share == pytest.approx(1 / (1 + 0.1 / 6), abs=0.002)


def test_an_api_is_priced_by_hand_and_beats_nobody(outcomes, by_day):
    """Tokens times prices over the span, a month long; never efficient, at the user's p99."""
    api = TokenApi(TokenPrice(2.0, 10.0, 0.5), p99_ttft_s=0.001, cached_share=0.25)
    table = frontier_table(outcomes, TABLES, slo_p99_ttft_s=2.0, api=api, trace=by_day)
    row = table[table["family"] == API.key].iloc[0]
    count = by_day.arrival_s.size
    usd = count * (1000 * (0.75 * 2.0 + 0.25 * 0.5) + 200 * 10.0) / 1e6
    assert row["usd_per_month"] == pytest.approx(usd * 730 / (7 * 24))
    assert row["usd_per_mtok"] == pytest.approx(usd / (count * 1200) * 1e6)
    assert row["p99_ttft_s"] == 0.001
    assert not row["efficient"]
    assert math.isnan(row["waited_on_start_share"])
    without = frontier_table(outcomes, TABLES, slo_p99_ttft_s=2.0)
    assert list(table["efficient"][:-1]) == list(without["efficient"])


def test_a_price_band_moves_metered_cost_and_leaves_fees(outcomes):
    """A quarter more on every price is a quarter more on GPU and CPU, and on no fee or credit."""
    outcome = outcomes[0]
    deal = Deal(serverless=Terms(free_credit=False))
    one, dearer = (bill_outcome(outcome, TABLES, d).lines for d in (deal, deal.at(1.25)))
    for line in ("busy", "idle", "starting", "CPU and RAM"):
        assert dearer[line] == pytest.approx(1.25 * one[line])
    assert dearer["fees"] == one["fees"]
    assert dearer["storage"] == one["storage"]


def test_office_machines_are_ready_when_the_office_opens(by_day):
    """Each morning's start is begun a typical start before the hours, not at them."""
    deployment = deploy(SCENARIO, by_day, TABLES)
    plan = next(iter(scheduled_plans(deployment.machines, by_day, TABLES)))
    raises = [
        time_s
        for (time_s, minimum), before in zip(
            plan.policy.schedule,
            (plan.policy.min_replicas, *(minimum for _, minimum in plan.policy.schedule)),
            strict=False,
        )
        if minimum > before
    ]
    opening_s = TABLES.setting("office_from_h") * HOUR
    mornings = [day * DAY + opening_s for day in range(int(TABLES.setting("office_days")))]
    assert raises == [pytest.approx(at_s - plan.start.typical_s) for at_s in mornings]
    assert plan.start.typical_s > 10
