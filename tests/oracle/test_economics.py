"""Economics against hand-made cases, published ratios and brute force."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest

from frontier.billing import replica_usd_per_h
from frontier.economics import (
    Swing,
    Tolerance,
    abandon_share,
    as_fast_as_any,
    break_even_value_usd,
    cheapest_under,
    crossings,
    efficient,
    flip_value,
    kept_sessions,
    needed_sessions,
    price_of_latency,
    tornado,
)
from frontier.errors import InputError
from frontier.tables import load_tables

TABLES = load_tables()


def test_efficient_plans_of_a_small_table():
    """Cheaper-and-slower and dearer-and-faster stay; beaten ones go; exact ties stay together."""
    cost = [100, 100, 200, 200, 300, 400, 150, math.nan, 90]
    wait = [9.0, 9.0, 5.0, 5.1, 5.0, 1.0, 9.0, 0.1, math.inf]
    kept = [True, True, True, False, False, True, False, False, True]
    assert efficient(cost, wait).tolist() == kept
    assert efficient([], []).tolist() == []


def test_efficient_is_what_comparing_every_pair_says():
    """200 random tables with many ties against the definition, plan by plan."""
    rng = np.random.default_rng(3)
    for _ in range(200):
        cost, wait = rng.integers(0, 6, 12).astype(float), rng.integers(0, 6, 12).astype(float)
        beaten = [
            any(
                (cost[j] <= cost[i] and wait[j] <= wait[i])
                and (cost[j] < cost[i] or wait[j] < wait[i])
                for j in range(12)
            )
            for i in range(12)
        ]
        assert efficient(cost, wait).tolist() == [not b for b in beaten]


def test_efficient_plans_differ_beyond_the_tolerance():
    """1 % of cost, 2 % or 5 ms of p99: what is closer than that gives way, by hand."""
    within = Tolerance(cost_share=0.01, p99_share=0.02, p99_s=0.005)
    # 99 s is no faster than 100 s; 90 s is. 50 s costs as much as 90 s, which gives way.
    cost = [100.0, 101.0, 200.0, 201.0, 300.0, 400.0, 500.0]
    wait = [100.0, 99.0, 90.0, 50.0, 0.100, 0.096, 0.094]
    assert efficient(cost, wait, within).tolist() == [True, False, False, True, True, False, True]
    # Nothing but the exact ties of what is kept comes back with it, and the cheapest always stays.
    assert efficient([100.0, 100.0, 100.5], [9.0, 9.0, 1.0], within).tolist() == [True] * 3
    assert as_fast_as_any([1.0, 1.019, 1.021, math.nan], within).tolist() == [
        True,
        True,
        False,
        False,
    ]
    assert as_fast_as_any([math.inf, math.inf], within).tolist() == [True, True]


def test_every_plan_that_is_left_out_has_one_that_is_as_good():
    """2000 random plans: some kept one costs at most 1 % more and is at most 2 % or 5 ms slower."""
    rng = np.random.default_rng(5)
    within = Tolerance(cost_share=0.01, p99_share=0.02, p99_s=0.005)
    for _ in range(20):
        cost, wait = rng.uniform(100, 200, 100), rng.uniform(0.05, 0.5, 100)
        kept = efficient(cost, wait, within)
        assert kept[np.argmin(cost)]
        for at in np.flatnonzero(~kept):
            slack = np.maximum(0.02 * wait[kept], 0.005)
            as_good = (cost[kept] <= cost[at] * 1.01) & (wait[kept] - slack <= wait[at])
            assert as_good.any()


def test_cheapest_plan_under_the_limit():
    """The limit itself counts as held; of equal cost the faster one; None if nobody holds it."""
    assert cheapest_under([300, 100, 200, 200], [1.0, 9.0, 2.0, 1.5], 2.0) == 3
    assert cheapest_under([300, 100], [1.0, 2.0], 2.0) == 1
    assert cheapest_under([300, math.nan], [3.0, 1.0], 2.0) is None


def test_ratios_of_prices_that_the_notes_print():
    """RunPod's page: Secure over flex 83 %, Community over flex 56 %; AWS whole over Modal 10.

    Secure 3.99, Community 2.69 and flex 4.79 an hour; eight H100 at AWS for one at Modal.
    """

    def hour(name):
        return replica_usd_per_h(TABLES.offers[name], gpus_per_replica=1, tables=TABLES)

    flex = hour("runpod-flex-h100")
    assert hour("runpod-secure-h100") / flex == pytest.approx(0.83, abs=5e-3)
    assert hour("runpod-community-h100") / flex == pytest.approx(0.56, abs=5e-3)
    assert hour("aws-h100-8x") / hour("modal-h100") > 10


def clairvoyant_sessions(arrival_s, finish_s, *, concurrency, horizon_s, **start):
    """Return what whoever knows these requests keeps running."""
    needed = needed_sessions(arrival_s, finish_s, concurrency=concurrency, horizon_s=horizon_s)
    return kept_sessions(needed, horizon_s=horizon_s, **start)


def test_the_clairvoyant_keeps_short_gaps_and_drops_long_ones():
    """A 10 s gap is cheaper than a billed start of 60 s, one of 975 s is not."""
    sessions = clairvoyant_sessions(
        [0, 20, 1000],
        [10, 25, 1010],
        concurrency=1,
        start_s=75,
        billed_start_s=60,
        idle_rate_factor=1.0,
        horizon_s=2000,
    )
    assert sessions["cold_start_index"].tolist() == [-1, 0]
    assert sessions["started_s"].tolist() == [0, 925]
    assert sessions["busy_s"].tolist() == [15, 10]
    assert sessions["idle_s"].tolist() == [10, 0]
    assert sessions["starting_s"].tolist() == [0, 75]


@pytest.mark.parametrize(("arrives_s", "starting_s"), [(75, 75), (74, 0)])
def test_the_clairvoyant_pays_a_start_that_fits_before_its_request(arrives_s, starting_s):
    """A start that begins with the trace is one; for a request before that, it was ready."""
    sessions = clairvoyant_sessions(
        [arrives_s],
        [arrives_s + 5],
        concurrency=1,
        start_s=75,
        billed_start_s=60,
        idle_rate_factor=1.0,
        horizon_s=200,
    )
    assert sessions["starting_s"].tolist() == [starting_s]
    assert sessions["cold_start_index"].tolist() == [0 if starting_s else -1]


def test_the_clairvoyant_counts_replicas_by_concurrency():
    """Three at once on replicas of two: the second replica is needed while the third is there."""
    sessions = clairvoyant_sessions(
        [100, 101, 102],
        [110, 111, 107],
        concurrency=2,
        start_s=5,
        billed_start_s=5,
        idle_rate_factor=1.0,
        horizon_s=200,
    )
    assert sessions["replica"].tolist() == [0, 1]
    assert sessions["busy_s"].tolist() == [11, 5]


def test_no_choice_of_gaps_is_cheaper_than_the_clairvoyants():
    """Every way to keep or drop each of nine gaps, priced by hand, against the bound."""
    rng = np.random.default_rng(5)
    for _ in range(20):
        gaps, work = rng.exponential(120, 9), rng.uniform(1, 5, 10)
        arrival = 100 + np.concatenate([[0], np.cumsum(gaps + work[:-1])])
        finish = arrival + work
        billed, factor = 60.0, 0.5
        choices = itertools.product((True, False), repeat=gaps.size)
        least = min(
            sum(gap * factor if kept else billed for gap, kept in zip(gaps, choice, strict=True))
            for choice in choices
        )
        sessions = clairvoyant_sessions(
            arrival,
            finish,
            concurrency=1,
            start_s=60,
            billed_start_s=billed,
            idle_rate_factor=factor,
            horizon_s=1e5,
        )
        paid = sessions["idle_s"].sum() * factor + billed * (sessions.size - 1)
        assert paid == pytest.approx(least)


def held_share(rate_per_h, start_s=45.0, residence_s=5.0, timeout_s=300.0):
    """Share of the time that one scale-to-zero replica is held, Poisson arrivals.

    A cycle serves rate x start + exp(rate x (residence + timeout)) requests and is off for one
    mean gap.
    """
    rate = rate_per_h / 3600
    return 1 - 1 / (rate * start_s + math.exp(rate * (residence_s + timeout_s)))


def test_the_break_even_rate_of_the_closed_form():
    """45 s start, 5 s of work, 300 s timeout, $4.00 against $2.50 an hour: 11 requests an hour."""

    def difference(rate_per_h):
        return 4.00 * held_share(rate_per_h) - 2.50

    (crossing,) = crossings(difference, 0.1, 1000, samples=13, tolerance=1e-6)
    assert crossing.at == pytest.approx(11, abs=0.5)
    assert difference(crossing.at) == pytest.approx(0, abs=1e-4)
    assert crossing.dearer_above
    assert crossing.low <= crossing.at <= crossing.high


def test_no_crossing_is_an_answer():
    """Dedicated dearer by the hour than serverless: the sign never changes, nothing is made up."""
    assert crossings(lambda r: 4 * held_share(r) - 4.5, 0.1, 1000, samples=13, tolerance=1e-3) == ()


def test_two_crossings_are_both_found_and_told_apart():
    """(x - 2)(x - 20): the first is dearer below 2 and above 20."""
    found = crossings(lambda x: (x - 2) * (x - 20), 0.5, 100, samples=13, tolerance=1e-9)
    assert [c.at for c in found] == pytest.approx([2, 20])
    assert [c.dearer_above for c in found] == [False, True]


def test_a_crossing_on_a_sample_is_found_once():
    """The difference is exactly zero at a sampled point."""
    found = crossings(lambda x: math.log(x), 0.25, 4.0, samples=3, tolerance=1e-6)
    assert [c.at for c in found] == pytest.approx([1.0])


def test_the_uncertainty_of_a_crossing_is_that_of_the_replicates():
    """Replicates log x + noise of standard error 0.1: the factor is known to exp(0.1)."""
    noise = np.array([-0.2, 0.0, 0.2])  # standard deviation 0.2, standard error 0.2 / sqrt 3
    (found,) = crossings(lambda x: math.log(x / 3) + noise, 0.5, 40, samples=9, tolerance=1e-9)
    assert found.at == pytest.approx(3.0)
    assert math.log(found.high / found.at) == pytest.approx(0.2 / math.sqrt(3), rel=1e-3)


def test_a_tornado_orders_inputs_by_what_they_move():
    """Cost = price x hours + fee: the bars are the differences by hand, largest first."""
    base = {"price": 2.0, "hours": 100.0, "fee": 5.0}

    def evaluate(changed):
        now = base | dict(changed)
        return now["price"] * now["hours"] + now["fee"]

    swings = [
        Swing("fee", "Fee", "$", 0.0, 5.0, 10.0),
        Swing("price", "Price", "$/h", 1.5, 2.0, 2.5),
        Swing("hours", "Hours", "h", 10.0, 100.0, 150.0),
    ]
    at_base, bars = tornado(evaluate, swings)
    assert at_base == 205.0
    assert [bar.swing.key for bar in bars] == ["hours", "price", "fee"]
    assert (bars[0].at_low, bars[0].at_high) == (25.0, 305.0)


def test_what_would_have_to_be_true_for_the_verdict_to_flip():
    """Dedicated wins at 1.50 against 2.00 x 0.9; it stops winning at 1.80, or never below 1.7."""
    swing = Swing("price", "Price", "$/h", 0.75, 1.5, 3.0)
    assert flip_value(lambda price: 1.8 - price, swing, samples=9, tolerance=1e-9) == pytest.approx(
        1.8
    )
    narrow = dataclasses.replace(swing, high=1.7)
    assert flip_value(lambda price: 1.8 - price, narrow, samples=9, tolerance=1e-9) is None


@pytest.mark.parametrize(
    ("key", "wait_s", "expected", "within"),
    [
        ("video", 2, 0.0, 0),
        ("video", 5, 0.21, 0.005),
        ("video", 10, 0.47, 0.005),
        ("video", 20, 0.76, 0.005),
        ("video", 300, 0.76, 0.005),  # no further than the source looked
        ("video-linear", 10, 0.464, 1e-9),
        ("video-linear", 60, 0.464, 1e-9),
        ("support-chat", 10, 0.125, 0.005),
        ("support-chat", 30, 0.33, 0.005),
        ("voice", 0.8, 0.0, 0),
        ("batch", 300, 0.0, 0),
        ("none", 300, 0.0, 0),
        ("none", math.inf, 1.0, 0),  # refused is lost, whatever the curve
    ],
)
def test_abandonment_presets_give_the_published_shares(key, wait_s, expected, within):
    """Shares at the waits that the sources print."""
    share = abandon_share(TABLES.abandonment[key], wait_s)
    assert float(share) == pytest.approx(expected, abs=within or 1e-12)


def test_bounces_are_charged_beyond_those_that_happen_anyway():
    """Baseline 30 %: 90 % likelier at 5 s is 27 points more, 32 % at 3 s is 9.6 points."""
    curve = TABLES.abandonment["mobile-web"]
    assert abandon_share(curve, [0.5, 1, 3, 5, 60], baseline_share=0.3) == pytest.approx(
        [0, 0, 0.096, 0.27, 0.369]
    )
    with pytest.raises(InputError, match="leaves anyway"):
        abandon_share(curve, 5)


def test_only_a_study_of_llm_users_says_so():
    """Every curve that loses anybody carries "not measured on LLM users"."""
    for curve in TABLES.abandonment.values():
        assert not (curve.on_llm_users and curve.most > 0), curve.abandonment_id


def test_the_price_of_latency_is_lost_requests_times_their_value():
    """Ten requests at 5 s on the video curve at $4: 10 x 21.2 % x 4; one in ten beyond 20 s."""
    wait = [5.0] * 9 + [30.0]
    price = price_of_latency(wait, TABLES.abandonment["video"], 4.0)
    lost = 9 * (1 - math.exp(-3 / 12.6)) + (1 - math.exp(-18 / 12.6))
    assert price.lost == pytest.approx(lost)
    assert price.usd == pytest.approx(4 * lost)
    assert price.beyond_share == pytest.approx(0.1)
    assert not price.on_llm_users


def test_the_value_at_which_the_extra_spend_breaks_even():
    """$300 more to save 150 of 160 late requests: $2 each; without a saving, never."""
    assert break_even_value_usd(300, 160, 10) == pytest.approx(2.0)
    assert break_even_value_usd(-5, 160, 10) == 0.0
    assert break_even_value_usd(300, 10, 10) == math.inf
