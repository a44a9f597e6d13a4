"""What the inputs leave open: ranges hold what they should, and narrow by what is known."""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
from types import MappingProxyType

import numpy as np
import pytest

from frontier.billing import HostChoice, host_used
from frontier.plans.scenario import Scenario, deploy
from frontier.ranges.inputs import (
    DEDICATED_PRICE,
    RAM,
    SERVERLESS_PRICE,
    START,
    TRAFFIC,
    VCPUS,
    host_ranges,
    input_ranges,
    price_moves,
    price_range,
    published_like,
    speed_ranges,
    start_range,
    traffic_range,
    with_engine_host,
)
from frontier.ranges.quantiles import predictive_factors
from frontier.start.validate import validate_start
from frontier.sweep import LIST_DEAL, host_need
from frontier.tables import OWN_SOURCE, EarlierPrice, load_tables
from frontier.trace import TraceReport, make_trace

TABLES = load_tables()
TODAY = dt.date(2026, 11, 26)
SHARES = np.linspace(0.0, 1.0, 201)[1:-1]


def made_trace(requests=300):
    arrival_s = np.arange(requests) * 300.0
    tokens = np.full(requests, 400)
    report = TraceReport("made", "s", requests, requests)
    return make_trace("made", arrival_s, tokens, tokens, horizon_s=requests * 300.0, report=report)


TRACE = made_trace()


def deployed(serverless="modal-l40s", dedicated="crusoe-l40s"):
    scenario = Scenario("Llama-3.1-8B-Instruct", "bf16", serverless, dedicated, 2.0)
    return deploy(scenario, TRACE, TABLES)


DEPLOYMENT = deployed()
PLATFORM = DEPLOYMENT.serverless.behaviour.platform_id


def width(found):
    return math.log(found.high / found.low)


def with_setting(name, value):
    row = dataclasses.replace(TABLES.settings[name], value=value)
    settings = MappingProxyType(dict(TABLES.settings) | {name: row})
    return dataclasses.replace(TABLES, settings=settings)


@pytest.mark.parametrize("cases", [3, 7, 30])
def test_nine_in_ten_next_cases_lie_in_the_range_of_some(cases):
    """Of log-normal cases the next one is inside as often as the range says, few cases or many."""
    rng = np.random.default_rng(cases)
    drawn = np.exp(0.3 + 0.5 * rng.standard_normal((4000, cases + 1)))
    hits = 0
    for *before, after in drawn:
        factors = predictive_factors(before)
        hits += factors[9] <= after <= factors[189]
    # Four standard deviations of 4,000 trials at 0.9 are 0.019.
    assert hits / 4000 == pytest.approx(0.9, abs=0.019)


def test_starts_that_nobody_fitted_lie_in_the_range_of_the_others():
    """Each start held apart, left out: the range made of the others holds four in five or more."""
    results = validate_start(TABLES)
    held_apart = [row for row in results if not row.used_in_fit]
    known = DEPLOYMENT.start
    for stage in known.stages:
        known = known.replace(stage.name, basis="derived")
    hits = 0
    for row in held_apart:
        start = DEPLOYMENT.start if row.case.group == "opaque" else known
        rest = [other for other in results if other is not row]
        alike, _ = published_like(start, row.case.platform, rest, TABLES)
        factors = predictive_factors([one.measured_s / one.predicted_s for one in alike])
        hits += factors[9] <= row.measured_s / row.predicted_s <= factors[189]
    assert hits >= 0.8 * len(held_apart)


def test_a_range_is_made_of_cases_that_no_fit_has_seen():
    """A case that gave a number of the model says nothing of how far off the next one is."""
    results = validate_start(TABLES)
    for platform in (None, "modal", "kubernetes"):
        alike, _ = published_like(DEPLOYMENT.start, platform, results, TABLES)
        assert alike
        assert not any(row.used_in_fit for row in alike)


def test_an_assumed_stage_makes_the_range_of_a_start_wider():
    """A platform that nobody measured is less sure than a host that is known."""
    known = DEPLOYMENT.start
    for stage in known.stages:
        known = known.replace(stage.name, basis="derived")
    assert width(start_range(DEPLOYMENT.start, None, TABLES)) > width(
        start_range(known, None, TABLES)
    )


def test_own_timings_narrow_a_start_and_more_of_them_more():
    """One measured stage narrows, a whole start more, several runs of it still more."""
    start = DEPLOYMENT.start
    found = [
        start_range(one, PLATFORM, TABLES)
        for one in (
            start,
            start.with_measured("engine_init", 15.0),
            start.with_measured("total", 60.0),
            start.with_measured("total", [56.0, 60.0, 61.0, 64.0, 58.0, 59.0]),
        )
    ]
    widths = [width(one) for one in found]
    assert widths == sorted(widths, reverse=True)
    assert [one.basis for one in found[2:]] == ["yours", "yours"]
    assert found[-1].cases == 6
    assert "your own timing" in found[1].why


def test_a_start_all_of_whose_stages_are_measured_leaves_its_own_spread_alone():
    """No published case is in it any more: stage by stage the usual spread of one run."""
    start = DEPLOYMENT.start
    for stage in start.stages:
        start = start.with_measured(stage.name, stage.median_s)
    found = start_range(start, PLATFORM, TABLES)
    assert found.basis == "yours"
    assert found.source_ids == ()
    assert width(found) < math.log(2.5)
    assert found.low < found.base < found.high


def test_a_speed_that_was_measured_leaves_less_open():
    """Configurations that a fit was made on are met better than those that it never saw."""
    speed = dataclasses.replace(DEPLOYMENT.speed, basis="derived")
    measured = dataclasses.replace(speed, basis="measured")
    for unknown, known in zip(
        speed_ranges(speed, TRACE, TABLES), speed_ranges(measured, TRACE, TABLES), strict=True
    ):
        assert width(known) < width(unknown)


def test_a_price_of_today_leaves_nothing_open_and_an_older_one_more():
    """The share that has not moved falls with the age as that of a Poisson process."""
    offer = TABLES.offers["modal-l40s"]
    moves = price_moves(TABLES)
    per_day = len(moves.log_ratios) / moves.days
    unmoved = []
    for age in (0, 30, 90, 300):
        dated = dataclasses.replace(offer, priced_on=TODAY - dt.timedelta(days=age))
        found = price_range(SERVERLESS_PRICE, "Price", dated, TABLES, today=TODAY)
        assert found.is_open == (age > 0)
        unmoved.append(np.mean(np.asarray(found.factors) == 1.0))
        assert unmoved[-1] == pytest.approx(math.exp(-per_day * age), abs=0.011)
    assert unmoved == sorted(unmoved, reverse=True)


def test_moves_of_prices_are_those_between_two_readings():
    """A hand-made history: days and ratios add up; an own price and its history do not count."""
    offers = {key: TABLES.offers[key] for key in ("modal-l40s", "crusoe-l40s")}
    offers["modal-l40s"] = dataclasses.replace(
        offers["modal-l40s"], usd_per_gpu_h=2.0, priced_on=dt.date(2026, 9, 1)
    )
    offers["crusoe-l40s"] = dataclasses.replace(offers["crusoe-l40s"], source_id=OWN_SOURCE)

    def earlier(key, offer_id, usd, month):
        day = dt.date(2026, month, 1)
        return EarlierPrice(key, offer_id, usd, day, "vendor-stated", "modal-pricing", None)

    rows = (
        earlier("a", "modal-l40s", 1.0, 6),
        earlier("b", "modal-l40s", 2.0, 7),
        earlier("c", "crusoe-l40s", 9.0, 6),
    )
    tables = dataclasses.replace(
        TABLES,
        offers=MappingProxyType(offers),
        price_history=MappingProxyType({row.price_id: row for row in rows}),
    )
    moves = price_moves(tables)
    assert moves.days == 30 + 62
    assert moves.log_ratios == pytest.approx([math.log(2.0)])
    assert moves.offers == 1


def test_own_prices_are_taken_as_they_are_and_spot_ones_within_the_band():
    """The reader's own price has no range; one that is no list price has the assumed one."""
    offer = TABLES.offers["crusoe-l40s"]
    own = dataclasses.replace(offer, source_id=OWN_SOURCE, priced_on=dt.date(2020, 1, 1))
    assert not price_range(DEDICATED_PRICE, "Price", own, TABLES, today=TODAY).is_open
    spot = dataclasses.replace(offer, kind="spot")
    found = price_range(DEDICATED_PRICE, "Price", spot, TABLES, today=TODAY)
    assert found.high == pytest.approx(offer.usd_per_gpu_h * (1 + TABLES.setting("price_band")))
    assert found.basis == "assumed"


def test_cores_and_memory_are_open_where_they_are_metered_and_nobody_said_them():
    """An amount that the buyer gave leaves nothing open; with the GPU there is nothing to know."""
    assert [one.key for one in host_ranges(DEPLOYMENT, TABLES)] == [VCPUS, RAM]
    given = LIST_DEAL.with_host(HostChoice(vcpus=4.0))
    assert [one.key for one in host_ranges(DEPLOYMENT, TABLES, given)] == [RAM]
    assert host_ranges(deployed("runpod-flex-l40s"), TABLES) == ()


def test_the_host_of_an_engine_grows_by_the_factor_and_its_weights_do_not():
    """What an engine takes is what is uncertain; the size of the weights is known."""
    need = dataclasses.replace(host_need(DEPLOYMENT, TABLES), weights_stay=True)
    before = host_used(HostChoice(), need, TABLES)
    after = host_used(HostChoice(), need, with_engine_host(TABLES, {VCPUS: 2.0, RAM: 3.0}))
    assert after.vcpus == pytest.approx(2 * before.vcpus)
    assert after.weights_gib == before.weights_gib > 0
    assert after.ram_gib - after.weights_gib == pytest.approx(
        3 * (before.ram_gib - before.weights_gib)
    )


def test_the_rate_is_open_only_where_a_setting_says_so():
    """A trace says what the traffic is, unless somebody says that it may change."""
    assert traffic_range(TRACE, TABLES) == ()
    (found,) = traffic_range(TRACE, with_setting("ranges_traffic", 2.0))
    assert found.key == TRAFFIC
    assert (found.low, found.high) == pytest.approx((found.base / 2, found.base * 2))


def test_every_range_runs_upwards_and_leads_to_its_sources():
    """Low, middle and high in order, quantiles never fall, every source is a row of sources."""
    for serverless, dedicated in (
        ("modal-l40s", "crusoe-l40s"),
        ("runpod-flex-l40s", "verda-l40s-spot"),
    ):
        found = input_ranges(deployed(serverless, dedicated), TRACE, TABLES, today=TODAY)
        assert len({one.key for one in found}) == len(found)
        assert found[0].key == START
        for one in found:
            assert one.low <= one.median <= one.high
            assert (np.diff(one.factors) >= 0).all()
            assert one.factor_at(SHARES) == pytest.approx(np.asarray(one.factors))
            assert set(one.source_ids) <= set(TABLES.sources)
            assert one.why.endswith(".")
