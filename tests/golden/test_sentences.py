"""Every branch of every sentence that says what wins, on tables small enough to check by hand.

The expected sentences are written out in full: whoever turns "less" into "more", swaps the rivals
or takes the wrong row breaks one of them.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest

from frontier.economics import Crossing, Swing
from frontier.plans.families import API, BOUND, DEDICATED, FAMILIES, HYBRID, SCALE_TO_ZERO
from frontier.sensitivity import ALWAYS_ON, AS_SHIPPED, BreakEven, Flip, RatePoint
from frontier.trace import TraceReport, make_trace
from frontier.verdict import (
    break_even_headline,
    find_answer,
    flip_sentence,
    gap_sentence,
    how_sure,
    swing_value,
    utilisation_sentences,
    worth_sentence,
)

DAY = 86400.0


def row(plan_id, family, usd, p99_s, **more):
    return {
        "plan_id": plan_id,
        "label": f"Plan {plan_id}",
        "detail": "keep-alive 1 min",
        "family": family.key,
        "is_provider_default": False,
        "max_replicas": 1,
        "usd_per_month": usd,
        "p99_ttft_s": p99_s,
        "waited_on_start_share": 0.0,
        "billed_replicas": 0.25,
    } | more


def answer_of(*rows, limit_s=2.0, share=0.5, short=False):
    return find_answer(
        pd.DataFrame(rows),
        slo_p99_ttft_s=limit_s,
        break_even_utilisation=share,
        span_is_short=short,
    )


SHIPPED = row(
    "zero", SCALE_TO_ZERO, 700.0, 60.0, is_provider_default=True, waited_on_start_share=0.4
)
ONE = row("dedicated-1", DEDICATED, 1000.0, 0.5)
TWO = row("dedicated-2", DEDICATED, 2000.0, 0.4, max_replicas=2)


def test_always_on_wins_and_scale_to_zero_costs_less_but_waits():
    """The cheapest under the limit is always-on; as shipped costs 300 less and breaks the limit."""
    answer = answer_of(SHIPPED, ONE, TWO)
    assert answer.headline == "Always-on wins here: $1,000 a month at 0.5 s"
    assert answer.reasons == (
        "Scale-to-zero as shipped (keep-alive 1 min) would cost $700 a month, $300 less, but 40 % "
        "of requests would wait on a start, one in a hundred 60 s or longer.",
        "Break-even: scale-to-zero costs less than an always-on replica while it is billed for "
        "under 50 % of its time; this traffic makes that 25 %.",
    )
    assert (answer.cheapest_plan_id, answer.default_plan_id, answer.dedicated_plan_id) == (
        "dedicated-1",
        "zero",
        "dedicated-1",
    )


def test_scale_to_zero_that_costs_more_says_and_instead_of_but():
    """Dearer and slower: nothing speaks for it, so the two are joined by "and"."""
    dearer = SHIPPED | {"usd_per_month": 1200.0}
    reasons = answer_of(dearer, ONE).reasons
    assert "would cost $1,200 a month, $200 more, and 40 % of requests" in reasons[0]


@pytest.mark.parametrize("family", [f for f in FAMILIES.values() if f.is_buyable])
def test_any_family_can_win_and_is_named(family):
    """The headline names whichever family wins; the saving is a share of the always-on price."""
    winner = row("winner", family, 750.0, 1.0)
    rows = (winner,) if family is DEDICATED else (winner, ONE)
    headline = answer_of(*rows).headline
    expected = f"{family.noun} wins here: $750 a month at 1 s"
    assert headline == expected + ("" if family is DEDICATED else ", 25 % less than always-on")


def test_a_winner_that_saves_nothing_claims_no_saving():
    """At the price of always-on, or where always-on is free or absent, no percentage stands."""
    hybrid = row("hybrid", HYBRID, 1000.0, 0.3)
    assert answer_of(hybrid, ONE).headline == "A hybrid wins here: $1,000 a month at 0.3 s"
    assert answer_of(hybrid).headline == "A hybrid wins here: $1,000 a month at 0.3 s"
    free = row("dedicated-1", DEDICATED, 0.0, 5.0)
    assert answer_of(hybrid, free).headline == "A hybrid wins here: $1,000 a month at 0.3 s"


def test_what_nobody_can_buy_never_wins():
    """The bound and the API are cheaper and faster here, and are neither answer nor fastest."""
    bound, api = row("bound", BOUND, 1.0, 0.1), row("api", API, 1.0, 0.1)
    assert answer_of(bound, api, ONE).cheapest_plan_id == "dedicated-1"
    assert "plan dedicated-1" in answer_of(bound, api, ONE, limit_s=0.2).headline


def test_no_plan_holds_the_limit():
    """The fastest is named with its cost; the always-on rival is the fastest one, not the first."""
    answer = answer_of(SHIPPED, ONE, TWO, limit_s=0.1)
    assert answer.headline == (
        "No plan holds a p99 of 0.1 s: the fastest, plan dedicated-2, is $2,000 a month at 0.4 s"
    )
    assert answer.cheapest_plan_id is None
    assert answer.dedicated_plan_id == "dedicated-2"
    # Nothing to compare the cost with: it is only said.
    assert "would cost $700 a month; 40 % of requests" in answer.reasons[0]
    assert "under 50 % of their time; this traffic makes that 12.5 %." in answer.reasons[1]
    assert "2 always-on replicas" in answer.reasons[1]


def test_plans_that_refuse_too_much_serve_nothing():
    """An infinite p99 is a refusal, in the headline and in the sentence on scale-to-zero."""
    refusing = SHIPPED | {"p99_ttft_s": math.inf}
    assert answer_of(refusing).headline == (
        "No plan serves this traffic: each refuses more than one request in a hundred"
    )
    assert (
        answer_of(refusing, ONE)
        .reasons[0]
        .endswith("$300 less, but it would refuse over one request in a hundred.")
    )


def test_scale_to_zero_as_shipped_can_be_the_answer():
    """Then it is said to be that plan, and how many wait in it."""
    answer = answer_of(SHIPPED, ONE, limit_s=100.0)
    assert (
        answer.headline == "Scale-to-zero wins here: $700 a month at 60 s, 30 % less than always-on"
    )
    assert answer.reasons[0] == (
        "Scale-to-zero as shipped (keep-alive 1 min) is that plan: 40 % of requests wait on a "
        "start."
    )


def test_no_break_even_and_short_traces_are_said():
    """A ratio of prices of one or more has no break-even; under a day is an extrapolation."""
    reasons = answer_of(SHIPPED, ONE, share=1.2, short=True).reasons
    assert reasons[1:] == (
        "Replica for replica there is no break-even: an always-on hour costs 120 % of a serverless "
        "one, all meters counted.",
        "The trace covers less than a day: the monthly cost is an extrapolation.",
    )


def test_without_a_plan_as_shipped_the_break_even_stands_alone():
    """No default in the grid: no sentence about it, and no share of this traffic."""
    assert answer_of(ONE).reasons == (
        "Break-even: scale-to-zero costs less than an always-on replica while it is billed for "
        "under 50 % of its time.",
    )


def test_marked_points_say_cheapest_last():
    """Where two names fall on one plan, the more telling one stands."""
    marked = answer_of(SHIPPED, ONE).marked()
    assert marked == {"zero": "provider's default", "dedicated-1": "cheapest under the limit"}


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
DOWN = Crossing(4.0, 3.9, 4.1, False)


@pytest.mark.parametrize(
    ("found", "share", "expected"),
    [
        (
            compared(UP),
            0.5,
            "Always-on is the cheaper plan above 1,000 requests a day, scale-to-zero below; this "
            "traffic has 500.",
        ),
        (
            compared(DOWN),
            0.5,
            "Scale-to-zero is the cheaper plan above 2,000 requests a day, always-on below; this "
            "traffic has 500.",
        ),
        (
            compared(),
            0.5,
            "There is no break-even: scale-to-zero is the cheaper plan from 50 to 5,000 requests a "
            "day; this traffic has 500.",
        ),
        (
            compared(),
            1.5,
            "There is no break-even: scale-to-zero is the cheaper plan from 50 to 5,000 requests a "
            "day, for an always-on hour costs no less than a serverless one; this traffic has 500.",
        ),
        (
            compared(),
            1.0,
            "There is no break-even: scale-to-zero is the cheaper plan from 50 to 5,000 requests a "
            "day, for an always-on hour costs no less than a serverless one; this traffic has 500.",
        ),
        (
            compared(zero_usd=600.0),
            1.5,
            "There is no break-even: always-on is the cheaper plan from 50 to 5,000 requests a "
            "day; this traffic has 500.",
        ),
        (
            compared(UP, DOWN),
            0.5,
            "Always-on is the cheaper plan from 1,000 to 2,000 requests a day; this traffic has "
            "500.",
        ),
        (
            compared(Crossing(2.0, 1.9, 2.1, False), Crossing(4.0, 3.9, 4.1, True)),
            0.5,
            "Always-on is the cheaper plan from 50 to 1,000 and above 2,000 requests a day; this "
            "traffic has 500.",
        ),
    ],
)
def test_where_break_even_lies(found, share, expected):
    """Each number of crossings and each direction has its sentence."""
    assert break_even_headline(found, AS_SHIPPED, trace_of(), share) == expected


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
        "replicas holds a p99 of 2 s here; 3 replicas, as many as the busiest minute keeps busy, "
        "are compared. Scale-to-zero holds it at none of these rates."
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


def test_utilisation_with_and_without_a_break_even():
    """Below one there is a share to stay under; from one on there is none."""
    assert utilisation_sentences(0.5, 0.25, 0.05, 1) == (
        "Replica for replica, always-on is cheaper once scale-to-zero is billed for more than "
        "50 % of the time: that is its price over the serverless one, all meters counted. This "
        "traffic is billed for 25 % of the time of one always-on replica, and works in 5 % of it."
    )
    assert utilisation_sentences(1.25, 0.25, 0.05, 2) == (
        "Replica for replica there is no break-even: an hour of 2 always-on replicas costs 125 % "
        "of an hour on scale-to-zero, all meters counted. This traffic is billed for 25 % of the "
        "time of 2 always-on replicas, and works in 5 % of it."
    )


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
