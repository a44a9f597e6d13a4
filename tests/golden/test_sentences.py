"""Every branch of every sentence that says what wins, on facts small enough to check by hand.

The expected sentences are written out in full: whoever turns "less" into "more", swaps the rivals
or takes the wrong plan breaks one of them.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import math

import numpy as np
import pytest

from frontier import spell
from frontier.billing import TokenPrice
from frontier.break_even import BreakEven, RatePoint
from frontier.economics import Crossing, Swing
from frontier.plans.families import (
    DEDICATED,
    HYBRID,
    RESERVED,
    SCALE_TO_ZERO,
    SCHEDULED,
    WARM_POOL,
)
from frontier.ranges import LUCK, PlanRange, Range, Ranges
from frontier.ranges.facts import beyond_in_words
from frontier.rivals import ALWAYS_ON, AS_SHIPPED
from frontier.sensitivity import Flip
from frontier.sweep import TokenApi
from frontier.trace import TraceReport, make_trace
from frontier.verdict import (
    BreakEvenRate,
    Machines,
    Obstacle,
    PlanFacts,
    RateCrossing,
    Saving,
    Tipping,
    Utilisation,
    Verdict,
    WaitingCost,
    flip_sentence,
    gap_sentence,
    how_sure,
    named,
    spoken,
    swing_value,
    with_luck,
    worth_sentence,
)

DAY = 86400.0


def plan(plan_id, family=DEDICATED, usd=1000.0, p99_s=0.5, **more):
    """Return facts of a plan: one Acme L40S, unless told otherwise."""
    fields = {
        "plan_id": plan_id,
        "label": f"Plan {plan_id}",
        "detail": "keep-alive 1 min",
        "family": family.key,
        "vendor": "Acme" if family is DEDICATED else "Moon",
        "product": "box",
        "gpu": "L40S",
        "kind": "dedicated" if family in (DEDICATED, RESERVED, SCHEDULED) else "serverless",
        "overflow_vendor": "",
        "offer_id": "acme" if family is DEDICATED else "moon",
        "gpus_per_replica": 1,
        "kept": 0 if family in (SCALE_TO_ZERO, SCHEDULED) else 1,
        "most": 4 if family in (SCALE_TO_ZERO, WARM_POOL, HYBRID, SCHEDULED) else 1,
        "machines": None,
        "usd_per_month": usd,
        "usd_per_h": usd / 730,
        "usd_by_line": (),
        "p99_ttft_s": p99_s,
        "waiting_of_thousand": 0,
        "typical_wait_s": 0.0,
        "over_of_thousand": 0,
        "refused_of_thousand": 0,
        "billed_replicas": 0.25,
        "busy_replicas": 0.05,
        "priced_on": (("Acme" if family is DEDICATED else "Moon", dt.date(2026, 9, 1)),),
        "needed": 1,
        "up_share": 1.0,
        "is_provider_default": False,
        "is_committed": False,
    }
    return PlanFacts(**(fields | more))


ONE = plan("dedicated-1")
ZERO = plan(
    "zero",
    SCALE_TO_ZERO,
    700.0,
    60.0,
    waiting_of_thousand=400,
    typical_wait_s=40.0,
    over_of_thousand=410,
)
RATE = BreakEvenRate(
    500.0, 50.0, 5000.0, (RateCrossing(1140.0, 1100.0, 1200.0, True),), False, None
)


def verdict_of(within=ONE, shipped=ZERO, rival=ONE, **more):
    fields = {
        "limit_s": 2.0,
        "requests_per_day": 508.0,
        "hours_per_month": 730.0,
        "span_s": 7 * DAY,
        "cheapest_within": within,
        "cheapest": shipped,
        "fastest": rival,
        "shipped": shipped,
        "rival": rival,
    }
    return spoken(Verdict(**(fields | more)))


def test_always_on_wins_and_scale_to_zero_costs_less_but_breaks_the_limit():
    """The headline: what to buy, what scale-to-zero would do, where this traffic is."""
    assert verdict_of(break_even=RATE).headline == (
        "Cheapest plan that holds p99 ≤ 2 s: one always-on Acme L40S, $1,000 a month. "
        "Scale-to-zero costs $300 less and breaks the limit for 410 of 1,000 requests. "
        "On cost alone always-on wins above 1,140 requests a day; you have 500."
    )


def test_before_the_break_even_is_computed_the_headline_does_without_it():
    """The verdict is complete without the rate, which takes more simulations."""
    assert verdict_of().headline == (
        "Cheapest plan that holds p99 ≤ 2 s: one always-on Acme L40S, $1,000 a month. "
        "Scale-to-zero costs $300 less and breaks the limit for 410 of 1,000 requests."
    )


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"usd_per_month": 1200.0}, "costs $200 more and breaks the limit for 410 of 1,000"),
        ({"usd_per_month": 1000.0}, "costs the same and breaks the limit for 410 of 1,000"),
        (
            {"usd_per_month": 1200.0, "p99_ttft_s": 1.5, "over_of_thousand": 3},
            "costs $200 more and also holds the limit.",
        ),
        (
            {"refused_of_thousand": 20, "p99_ttft_s": math.inf},
            "costs $300 less and breaks the limit for 410 of 1,000 requests, 20 refused.",
        ),
    ],
)
def test_what_scale_to_zero_does_beside_the_winner(change, expected):
    """Dearer, equally dear, holding the limit, refusing: each has its words."""
    zero = dataclasses.replace(ZERO, **change)
    assert f"Scale-to-zero {expected}" in verdict_of(shipped=zero).headline


def test_scale_to_zero_wins_and_always_on_is_set_beside_it():
    """Then it is the always-on rival whose price and waits are said."""
    verdict = verdict_of(within=ZERO, limit_s=100.0)
    assert verdict.headline == (
        "Cheapest plan that holds p99 ≤ 1 min 40 s: scale-to-zero on Moon L40S (keep-alive 1 min), "
        "$700 a month. One always-on Acme L40S costs $300 more and also holds the limit."
    )


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (plan("a", kept=3, most=3), "3 always-on Acme L40S"),
        (plan("a", gpus_per_replica=2), "one always-on replica of 2 × Acme L40S"),
        (
            plan("a", kept=3, most=3, gpus_per_replica=2),
            "3 always-on replicas of 2 × Acme L40S",
        ),
        (plan("a", kind="spot"), "one spot Acme L40S"),
        (plan("a", kind="reserved"), "one reserved Acme L40S"),
        (plan("a", RESERVED, is_committed=True), "one reserved Moon L40S"),
        (
            plan("a", machines=Machines("a", "Acme", "p5.48xlarge", "H100", 1, 8, 1)),
            "one always-on Acme L40S (1 × p5.48xlarge, 7 of 8 GPUs unused)",
        ),
        (plan("a", WARM_POOL, kept=2), "a warm pool of 2 on Moon L40S (keep-alive 1 min)"),
        (
            plan("a", HYBRID, kind="dedicated", overflow_vendor="Sun"),
            "one always-on Moon L40S with overflow to Sun (keep-alive 1 min)",
        ),
        (plan("a", SCHEDULED), "Moon L40S by the hour (keep-alive 1 min)"),
        (
            plan("a", SCALE_TO_ZERO, gpus_per_replica=2),
            "scale-to-zero on 2 × Moon L40S (keep-alive 1 min)",
        ),
    ],
)
def test_every_kind_of_plan_is_named_by_vendor_shape_and_policy(one, expected):
    """Spot and reserved machines are not called always-on; unused GPUs are in the name."""
    assert named(one) == expected


def test_a_trace_under_a_day_leads_with_dollars_an_hour():
    """No month in headline or reasons, and what a month would need."""
    verdict = verdict_of(span_s=DAY / 2)
    assert "$1.37 an hour" in verdict.headline
    assert "costs $0.41 less" in verdict.headline
    assert "a month" not in verdict.headline + " ".join(verdict.reasons)
    assert verdict.below.startswith(
        "Only 12 h of traffic was seen, so sentences say an hour; charts and tables say a month of "
        "730 such hours, $1,000 for one always-on Acme L40S. A true month takes a week of traffic, "
        "with its nights and its weekend. Tax,"
    )


def test_no_plan_holds_the_limit_says_why_and_what_would():
    """A prompt that takes longer alone needs another GPU, precision or limit."""
    slow = Obstacle(17.0, ("H100", "B200"), ("fp8",), 17.4)
    fast = plan("dedicated-5", kept=5, most=5, usd=5475.0, p99_s=17.4)
    headline = verdict_of(within=None, rival=fast, obstacle=slow).headline
    assert headline == (
        "No plan holds p99 ≤ 2 s: a prompt alone takes 17 s on this GPU, one in a hundred; the "
        "fastest, 5 always-on Acme L40S at $5,475 a month, reaches 17.4 s. Within 2 s such a "
        "prompt needs a faster GPU (H100, B200) or fp8 on this one."
    )
    never = dataclasses.replace(slow, gpus=(), precisions=())
    assert "On no GPU of the list" in verdict_of(within=None, rival=fast, obstacle=never).headline


def test_no_plan_holds_the_limit_though_every_prompt_would():
    """Then it is the waiting behind others, and no GPU is blamed."""
    headline = verdict_of(within=None, obstacle=Obstacle(1.5, (), (), 0.5)).headline
    assert headline == (
        "No plan holds p99 ≤ 2 s: the fastest, one always-on Acme L40S at $1,000 a month, reaches "
        "0.5 s. One prompt in a hundred takes 1.5 s alone, the rest is waiting."
    )


def test_plans_that_refuse_too_much_serve_nothing():
    """No finite p99 at all: nothing is recommended."""
    verdict = verdict_of(within=None, rival=None, obstacle=Obstacle(0.1, (), (), math.inf))
    assert verdict.headline == (
        "No plan serves this traffic: each refuses more than one request in a hundred."
    )


def test_the_line_under_the_headline():
    """What is not in it, from when the prices are, and what would flip it."""
    flips = (
        Tipping("limit", 43.0, 2.0, ZERO),
        Tipping("price", 2.24, 1.5, plan("pool", WARM_POOL)),
    )
    assert verdict_of(tippings=flips).below == (
        "Tax, network traffic and staff are not in it. Prices of Acme 2026-09-01, Moon 2026-09-01. "
        "It flips with a limit of 43 s (scale-to-zero on Moon L40S) or a GPU price of Acme above "
        "$2.24 an hour, that price alone (now $1.50)."
    )


def test_the_reasons_say_what_a_saving_is_made_of_and_what_waiting_costs():
    """Largest part first, each as what it saves or costs; cents a spared request."""
    verdict = verdict_of(
        saving=Saving(-300.0, -700.0, 150.0, 0.0, 200.0, 50.0),
        waiting=WaitingCost(300.0, 6000.0, 0.05),
    )
    assert verdict.reasons == (
        "Scale-to-zero as shipped (Moon, keep-alive 1 min) is $700 a month: 400 of 1,000 requests "
        "wait on a start, typically 40 s; one in a hundred waits 60 s or longer.",
        "Against one always-on Acme L40S, scale-to-zero as shipped saves $300 a month: GPU-hours "
        "save $700, cores and memory cost $200, price of a GPU-hour cost $150, storage, fees and "
        "credits cost $50.00.",
        "$300 a month more spare 6,000 requests a wait over 2 s: $0.05 each.",
    )


def test_break_even_as_billed_and_as_busy_time():
    """The bill's share beside the busy share, and the rule of thumb that means the latter."""
    use = Utilisation(1, 0.25, 0.05, 0.5, 0.1, (0.4, 0.5))
    assert verdict_of(utilisation=use).reasons[-1] == (
        "Break-even by the bills: scale-to-zero costs less than one always-on Acme L40S while it "
        "is billed for under 50 % of its time; this traffic makes that 25 %. This traffic keeps it "
        "busy 5 % of the time; break-even would be at 10 %. Rules of thumb of 40 % to 50 % mean "
        "busy time."
    )


@pytest.mark.parametrize(
    ("usd", "p99_s", "within", "expected"),
    [
        (31.84, 1.2, ONE, "costs $31.84 a month, $968 less, and holds the limit at the p99 of 1.2"),
        (1500.0, 2.0, ONE, "costs $1,500 a month, $500 more, and holds the limit at the p99 of 2"),
        (31.84, 3.0, ONE, "costs $31.84 a month, $968 less, and breaks the limit at the p99 of 3"),
        (31.84, 1.2, None, "costs $31.84 a month, and holds the limit at the p99 of 1.2"),
    ],
)
def test_a_per_token_api_stands_beside_the_answer(usd, p99_s, within, expected):
    """It is no plan and never the answer, yet nobody overlooks that it costs less."""
    api = TokenApi(TokenPrice(0.6, 2.4, 0.1), p99_s, 0.3)
    verdict = verdict_of(within=within, api=api, api_usd_per_month=usd)
    assert f"Your per-token API {expected} s that you gave." in verdict.beside
    assert "per-token API" not in verdict.answer


@pytest.mark.parametrize(
    ("crossings", "wins_now", "expected"),
    [
        (
            (),
            True,
            "always-on wins at every rate compared, 50 to 5,000 requests a day; you have 500.",
        ),
        (
            (),
            False,
            "scale-to-zero wins at every rate compared, 50 to 5,000 requests a day; you have 500.",
        ),
        (((1000, True),), False, "always-on wins above 1,000 requests a day; you have 500."),
        (((1000, False),), True, "always-on wins below 1,000 requests a day; you have 500."),
        (
            ((1000, True), (2000, False)),
            False,
            "always-on wins from 1,000 to 2,000 requests a day; you have 500.",
        ),
        (
            ((1000, False), (2000, True)),
            False,
            "always-on wins below 1,000 and above 2,000 requests a day; you have 500.",
        ),
    ],
)
def test_where_break_even_lies_in_the_headline(crossings, wins_now, expected):
    """Each number of crossings and each direction has its words."""
    found = tuple(RateCrossing(at, at * 0.9, at * 1.1, above) for at, above in crossings)
    rate = BreakEvenRate(500.0, 50.0, 5000.0, found, wins_now, None)
    assert verdict_of(break_even=rate).headline.endswith(f"On cost alone {expected}")


def test_a_comparison_at_one_rate_names_it_once():
    """Where scale-to-zero has hit its cap already, no range of rates is left to speak of."""
    rate = BreakEvenRate(269.0, 268.9, 269.1, (), True, 269.2)
    assert verdict_of(break_even=rate).headline.endswith(
        "On cost alone always-on wins at 269 requests a day, the only rate compared."
    )


def test_a_line_that_hits_its_cap_ends_the_comparison():
    """Where scale-to-zero may not grow any more it is said, and nothing is claimed beyond."""
    rate = dataclasses.replace(RATE, capped_from_per_day=4000.0)
    assert verdict_of(break_even=rate).reasons[-1] == (
        "The break-even lies within 1,100 to 1,200 requests a day, one standard error. Above 4,000 "
        "requests a day scale-to-zero may not have the replicas that it needs: there the "
        "comparison ends."
    )


def test_marked_points_say_cheapest_last():
    """Where two names fall on one plan, the more telling one stands; spot is not always-on."""
    assert verdict_of().marked() == {
        "zero": "provider's default",
        "dedicated-1": "cheapest under the limit",
    }
    spot = plan("dedicated-2", kind="spot")
    assert verdict_of(rival=spot).marked()["dedicated-2"] == "spot"


def trace_of(requests=1000, days=2.0):
    arrival_s = np.linspace(0.0, days * DAY - 1.0, requests)
    ones = np.ones(requests)
    report = TraceReport("made", "s", requests, requests)
    return make_trace("made", arrival_s, ones, ones, horizon_s=days * DAY, report=report)


def point(line, factor, usd, *, holds=True, replicas=1):
    return RatePoint(
        line=line,
        factor=factor,
        usd_per_month=usd,
        usd_low=usd,
        usd_high=usd,
        p99_ttft_s=1.0,
        holds_limit=holds,
        idle_timeout_s=math.inf if line == ALWAYS_ON else 60.0,
        replicas=replicas,
    )


def compared(*crossings, zero_usd=400.0, holds=(False, False, True), always_holds=True):
    points = tuple(
        item
        for factor, zero_holds in zip((0.1, 1.0, 10.0), holds, strict=True)
        for item in (
            point(AS_SHIPPED, factor, zero_usd * factor, holds=zero_holds),
            point(ALWAYS_ON, factor, 500.0, holds=always_holds, replicas=3),
        )
    )
    return BreakEven(points, crossings, 0.1, 10.0, False)


UP = Crossing(2.0, 1.9, 2.1, True)


def sure(found, *, days=2.0, limit_s=2.0):
    now = {item.line: item for item in found.points if item.factor == 1.0}
    return how_sure(found, AS_SHIPPED, now, trace_of(days=days), limit_s=limit_s, seeds=3)


def test_how_sure_a_break_even_is():
    """The range of the crossing, what always-on needs, and from which rate the limit is held."""
    assert sure(compared(UP)) == (
        "Uncertainty of the break-even: 950 to 1,050 requests a day, one standard error over "
        "3 draws of the scaled traffic. Always-on needs 3 replicas here to hold a p99 of 2 s. "
        "Scale-to-zero holds it at 1 of these 3 rates, from 5,000 requests a day."
    )


def test_what_no_plan_holds_is_said_of_each():
    """No number of replicas, or none of the rates: each is said, and so is a short trace."""
    never = sure(compared(holds=(False,) * 3, always_holds=False), days=0.5)
    assert never == (
        "The trace covers less than a day: a month is an extrapolation. No number of always-on "
        "replicas holds a p99 of 2 s here; 3 replicas, the fewest that are as fast as "
        "more, stand for it. Scale-to-zero holds it at none of these rates."
    )
    assert sure(compared(holds=(True,) * 3)).endswith(
        "So does scale-to-zero, at all of these rates."
    )


def test_the_gap_names_the_cheaper_one():
    """A positive gap is scale-to-zero's cost above always-on's."""
    zero, rival = point(AS_SHIPPED, 1.0, 700.0), point(ALWAYS_ON, 1.0, 1000.0)
    assert gap_sentence(-300.0, zero, rival) == (
        "Here scale-to-zero costs $700 a month and always-on $1,000: scale-to-zero is cheaper by "
        "$300."
    )
    dearer = dataclasses.replace(zero, usd_per_month=1200.0)
    assert gap_sentence(200.0, dearer, rival).endswith("always-on is cheaper by $200.")


@pytest.mark.parametrize(
    ("unit", "value", "words", "bare"),
    [
        ("s", 100.0, "1 min 40 s", "1 min 40 s"),
        ("$/GPU-h", 1.5, "$1.50 a GPU-hour", "$1.50"),
        ("requests/day", 508.0, "508 requests a day", "508"),
        ("tokens/request", 1200.0, "1,200 tokens a request", "1,200"),
        ("requests", 8.0, "8 requests a replica", "8"),
    ],
)
def test_inputs_are_written_with_their_units(unit, value, words, bare):
    """Beside a value stands its unit; the first of a range goes without what the second says."""
    swing = Swing("key", "Label", unit, value / 2, value, value * 2)
    assert swing_value(swing, value) == words
    assert swing_value(swing, value, bare=True) == bare


def test_a_flip_says_its_direction():
    """Above the base it takes that or more, below it that or less."""
    swing = Swing("start", "Start time", "s", 10.0, 20.0, 40.0)
    assert flip_sentence(Flip(swing, 30.0)) == "Start time of **30 s** or more (now 20 s)"
    assert flip_sentence(Flip(swing, 12.0)) == "Start time of **12 s** or less (now 20 s)"


def test_what_sparing_a_wait_must_be_worth():
    """The extra dollars over the waits spared; nothing to pay, or nothing spared, is said."""
    assert worth_sentence(300.0, (10_000.0, 4_000.0), 2.0) == (
        "The plan under the limit costs $300 a month more and spares 6,000 requests a month a "
        "wait over 2 s: **it pays if sparing one is worth $0.05**, whatever the curve."
    )
    assert worth_sentence(0.0, (10.0, 4.0), 2.0) == (
        "The plan under the limit costs no more: it needs no worth of a session to pay."
    )
    assert worth_sentence(300.0, (10.0, 10.0), 2.0) == (
        "The plan under the limit costs $300 a month more and spares no request a wait over 2 s."
    )


def ranged(plan_id, usd, p99_s):
    """Return the range of a plan, each bound given: of 19 replications from end to end."""
    usd_each, p99_each_s = (np.linspace(low, min(high, 1e9), 19) for low, high in (usd, p99_s))
    return PlanRange(plan_id, usd_each, p99_each_s, Range(*usd), Range(*p99_s))


def with_ranges_of(verdict, *ranges):
    """Return the verdict with these ranges; plans without one keep their figures."""
    found = {one.plan_id: one for one in ranges}
    luck = Ranges(LUCK, 0.9, 0.05, found, 19, "Days of this traffic drawn anew, 19 times.")
    plans = (verdict.cheapest_within, verdict.shipped, verdict.rival)
    facts = {plan.plan_id: plan for plan in plans if plan is not None and plan.plan_id in found}
    return with_luck(verdict, luck, facts)


def test_figures_of_the_headline_carry_their_ranges():
    """Costs and differences as ranges; what costs the same whatever comes stays one figure."""
    found = with_ranges_of(
        verdict_of(),
        ranged("dedicated-1", (1000.0, 1000.0), (0.45, 0.61)),
        ranged("zero", (650.0, 760.0), (50.0, 75.0)),
    )
    assert found.headline == (
        "Cheapest plan that holds p99 ≤ 2 s: one always-on Acme L40S, $1,000 a month. "
        "Scale-to-zero costs $240 to $350 less and breaks the limit for 410 of 1,000 requests."
    )
    assert (
        "Scale-to-zero as shipped (Moon, keep-alive 1 min) is $650 to $760 a month: 400 of 1,000 "
        "requests wait on a start, typically 40 s; one in a hundred waits 50 to 75 s or longer."
    ) in found.reasons
    assert (
        "Ranges are for the luck of traffic and starts, at 90 %: days of this traffic drawn anew, "
        "19 times."
    ) in found.reasons


def test_a_winner_that_may_miss_the_limit_is_not_sure():
    """The answer says so first, and then what is surely within."""
    maybe = plan("maybe", usd=900.0, p99_s=1.9)
    verdict = verdict_of(within=maybe)
    found = with_ranges_of(
        verdict,
        ranged("maybe", (900.0, 900.0), (1.7, 2.3)),
        ranged("dedicated-1", (1000.0, 1000.0), (0.5, 0.6)),
        ranged("zero", (650.0, 760.0), (50.0, 75.0)),
    )
    assert found.headline == (
        "Not sure: the cheapest plan that holds p99 ≤ 2 s here, one always-on Acme L40S, $900 a "
        "month, would not always hold it (1.7 to 2.3 s). The cheapest that does is one always-on "
        "Acme L40S: $1,000 a month at 0.5 to 0.6 s. Scale-to-zero costs $140 to $250 less and "
        "breaks the limit for 410 of 1,000 requests."
    )
    none = with_ranges_of(verdict, ranged("maybe", (900.0, 900.0), (1.7, 2.3)))
    assert "None of the plans looked at holds it surely." in none.headline


def test_too_few_requests_for_the_upper_end_of_a_p99_are_named():
    """The answer is about what was seen; a p99 without an upper end is no forecast."""
    found = with_ranges_of(
        verdict_of(requests_per_day=17.0),
        ranged("dedicated-1", (1000.0, 1000.0), (0.45, math.inf)),
    )
    assert found.answer == (
        "Cheapest plan that holds p99 ≤ 2 s for the 119 requests seen: one always-on Acme L40S, "
        "$1,000 a month."
    )
    assert "surely" not in found.beside


def test_a_cheaper_plan_that_may_hold_the_limit_is_named():
    """It misses the limit here; in how many of the draws it holds it is counted."""
    zero = dataclasses.replace(ZERO, p99_ttft_s=2.1)
    found = with_ranges_of(
        verdict_of(shipped=zero),
        ranged("dedicated-1", (1000.0, 1000.0), (0.5, 0.6)),
        ranged("zero", (650.0, 760.0), (1.1, 2.9)),
    )
    assert (
        "Scale-to-zero on Moon L40S (keep-alive 1 min), $650 to $760 a month, misses the limit "
        "here and may hold it otherwise: p99 1.1 to 2.9 s, within the limit in 53 % of the draws."
    ) in found.reasons
    assert found.answer.startswith("Cheapest plan that holds p99 ≤ 2 s: one always-on")


def test_where_no_range_can_be_given_the_reasons_say_why():
    """Figures stay as they were."""
    refused = Ranges(LUCK, 0.9, 0.05, refused="29 requests are too few.")
    found = with_luck(verdict_of(), refused, {})
    assert "29 requests are too few." in found.reasons
    assert found.headline == verdict_of().headline


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (36, "Only 36 requests lie beyond the p99: it is uncertain."),
        (1, "Only 1 request lies beyond the p99: it is uncertain."),
        (0, "No request lies beyond the p99: it is uncertain."),
    ],
)
def test_few_requests_beyond_the_p99_are_said(count, expected):
    """Fewer than a hundred."""
    assert expected in verdict_of(few_beyond=count).reasons
    assert expected not in verdict_of().reasons


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        (
            {99.0: 35, 99.9: 3},
            "Only 35 requests lie beyond the p99 and 3 requests lie beyond the p99.9",
        ),
        ({90.0: 0, 99.0: 0, 99.9: 0}, "No request lies beyond the p90, the p99 or the p99.9"),
        (
            {99.0: 1, 99.9: 0},
            "Only 1 request lies beyond the p99 and no request lies beyond the p99.9",
        ),
        ({95.0: 2, 99.0: 2}, "Only 2 requests lie beyond the p95 and the p99"),
    ],
)
def test_percentiles_with_as_few_beyond_are_said_together(counts, expected):
    """Of two requests none lies beyond any: it is said once."""
    assert beyond_in_words(counts) == f"{expected}: they are uncertain."


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (481.2, 558.0, "$480 to $560"),
        (1095.0, 1095.0 + 1e-10, "$1,095"),
        (12.31, 12.74, "$12.30 to $12.80"),
        (962.0, 1249.0, "$960 to $1,250"),
        (0.0, 18.0, "$0 to $18"),
    ],
)
def test_ranges_of_dollars_in_words(low, high, expected):
    """Rounded outwards, to as many digits as the width leaves sure."""
    assert spell.dollars_between(low, high) == expected


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.52, 0.58, "0.52 to 0.58 s"),
        (0.507, 0.603, "0.5 to 0.61 s"),
        (0.081, 0.119, "81 ms to 0.119 s"),
        (45.2, 71.0, "45 to 71 s"),
        (1700.0, 2900.0, "28 min 20 s to 48 min 20 s"),
        (95.0, 131.0, "95 s to 2 min 11 s"),
        (0.54, 209.0, "0.5 s to 3 min 30 s"),
        (0.0, 29.0, "0 to 29 s"),
        (0.5, math.inf, "0.5 s or longer"),
        (math.inf, math.inf, "never"),
        (0.5, 0.5, "0.5 s"),
    ],
)
def test_ranges_of_seconds_in_words(low, high, expected):
    """One unit where both ends have it; what is more than nothing is not said to be nothing."""
    assert spell.seconds_between(low, high) == expected


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (-330.0, -270.0, "$270 to $330 less"),
        (30.0, 50.0, "$30 to $50 more"),
        (-8.4, 48.2, "$10 less to $50 more"),
    ],
)
def test_ranges_of_a_difference_in_words(low, high, expected):
    """Which side of nothing it lies on, or on both."""
    assert spell.more_or_less(low, high) == expected


@pytest.mark.parametrize("counted_s", [None, 1.0, 60.0, 300.0, 86_400.0])
def test_what_was_only_counted_leaves_waits_open(counted_s):
    """Above a minute it stands beneath the answer that its bursts are not known."""
    below = verdict_of(counted_s=counted_s).below
    if counted_s is None or counted_s <= 60:
        assert "counted" not in below
    else:
        assert (
            f"Requests were counted per {spell.seconds(counted_s)} and are spread at random "
            "within: if they come in bursts, true waits are longer, and more of the time is idle."
        ) in below


def test_what_serves_after_the_trace_has_no_price_beside_the_answer():
    """Of 13 seconds the bill ends before a start of a minute does: $0 is no cost of it."""
    beside = verdict_of(span_s=13.0).beside
    assert beside.startswith(
        "Scale-to-zero breaks the limit for 410 of 1,000 requests; what it costs cannot be said of "
        "13 s, which end before it serves them."
    )
    assert "less" not in beside
    assert "costs $300 less" in verdict_of().beside
