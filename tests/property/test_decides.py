"""What decides: every claim checked anew on the draws it was made from, and on known answers."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import re
from types import MappingProxyType

import numpy as np
import pytest

from frontier.plans.scenario import Scenario
from frontier.ranges.decides import NOTHING_HOLDS, OneLog, decide
from frontier.ranges.inputs import DEDICATED_PRICE, LUCK_OF_TRAFFIC, START
from frontier.ranges.quantiles import InputRange
from frontier.ranges.worlds import kind_of
from frontier.rivals import scaled_start
from frontier.study import simulate, study_of, what_decides, with_hanging
from frontier.sweep import start_normals
from frontier.tables import load_tables
from frontier.trace import TraceReport, make_trace
from frontier.verdict import hangs_in_words, of_hundred

TODAY = dt.date(2026, 11, 26)
DRAWS = 64


def with_draws(draws):
    settings = dict(load_tables().settings)
    for name in ("decides_draws", "decides_least_draws"):
        settings[name] = dataclasses.replace(settings[name], value=draws)
    return MappingProxyType(settings)


def without_luck(draws=DRAWS):
    """Ask for more requests than there are before anything is drawn anew."""
    settings = with_draws(draws)
    least = dataclasses.replace(settings["ranges_least_requests"], value=1000)
    return MappingProxyType({**settings, "ranges_least_requests": least})


TABLES = dataclasses.replace(load_tables(), settings=with_draws(DRAWS))


@functools.cache
def found():
    """Simulate a hundred requests in each of three days, most of them far apart."""
    rng = np.random.default_rng(5)
    arrival_s = np.sort(rng.uniform(0, 3 * 86_400.0, 300))
    tokens = rng.integers(50, 900, 300)
    report = TraceReport("made", "s", 300, 300)
    trace = make_trace("made", arrival_s, tokens, tokens, horizon_s=3 * 86_400.0, report=report)
    scenario = Scenario("Llama-3.1-8B-Instruct", "bf16", "modal-l40s", "crusoe-l40s", 2.0)
    return simulate(scenario, trace, TABLES)


@functools.cache
def study(limit_s):
    return study_of(found(), TABLES, limit_s=limit_s)


@functools.cache
def hanging(limit_s):
    return what_decides(study(limit_s), today=TODAY)


def decided(inputs, limit_s=2.0, shown=None, **changes):
    verdict = study(limit_s).verdict
    ids = [verdict.shipped.plan_id, verdict.rival.plan_id]
    return decide(
        study(limit_s).outcomes,
        found().trace,
        dataclasses.replace(TABLES, **changes),
        inputs,
        found().deployment.start,
        limit_s=limit_s,
        shown=ids if shown is None else shown,
        shipped_id=ids[0],
        rival_id=ids[1],
    )


def made_input(key, base, low, high):
    """Return an input that lies evenly, on a log scale, from low to high times its base."""
    factors = tuple(np.geomspace(low, high, 199).tolist())
    return InputRange(key, key.capitalize(), "s", base, factors, 0.05, "assumed", (), 0, "Made.")


LIMITS_S = (0.3, 2.0, 60.0, 100.0)


@pytest.mark.parametrize("limit_s", LIMITS_S)
def test_every_draw_is_won_by_the_cheapest_plan_that_holds_the_limit(limit_s):
    """Shares, overspending and broken limits, each found anew from costs and waits alone."""
    one = hanging(limit_s).found
    within = one.within
    kinds = [kind_of(study(limit_s).outcomes[key].plan) for key in one.plan_ids]
    won, over, breaks = [], [], 0
    for usd, p99_s in zip(one.usd_each, one.p99_each_s, strict=True):
        holding = {
            at: usd[at]
            for at in range(len(kinds))
            if not np.isnan(usd[at]) and p99_s[at] <= limit_s
        }
        own = [cost for at, cost in holding.items() if kinds[at] == within.today]
        breaks += not own
        if own:
            over.append(min(own) - min(holding.values()))
        won.append(kinds[min(holding, key=holding.get)] if holding else NOTHING_HOLDS)
    assert [within.choices[at] for at in within.chosen] == won
    for choice in set(won):
        assert within.share(choice) == pytest.approx(won.count(choice) / DRAWS)
    if within.today != NOTHING_HOLDS:
        assert within.breaks_share == pytest.approx(breaks / DRAWS)
    if over:
        assert within.overspent_usd == pytest.approx(np.mean(over))


@pytest.mark.parametrize("limit_s", LIMITS_S)
def test_each_sentence_is_true_of_the_draws(limit_s):
    """Numbers are read out of the words and counted anew; what is not said is not so."""
    one, words = hanging(limit_s).found, hanging(limit_s).sentences
    within = one.within
    stands = float(np.mean([within.choices[at] == within.today for at in within.chosen]))
    if stands == 1.0:
        assert f"the same in all {DRAWS} draws" in words[0]
    else:
        assert f"stands in {of_hundred(stands)} of 100 draws" in words[0]
    most = max(np.mean(within.chosen == at) for at in range(len(within.choices)))
    for said in words[1:]:
        if match := re.search(r"of the (.+) draws in 100 that go .*(settles|for) ([^;.]+)", said):
            assert match[1] == of_hundred(1 - most)
            top = within.influences[0]
            assert match[3] == of_hundred(top.right_share)
            assert 0.01 <= top.right_share <= 1 - most
            assert ("accounts" in said) == (top.key == LUCK_OF_TRAFFIC)
        if "No single input" in said:
            assert within.influences[0].right_share < 0.01
        if "is sure." in said:
            assert one.one_log.sure_share >= one.sure_share
        if match := re.search(r"On cost alone (.+) is cheaper than .* in (.+) of 100", said):
            at = [one.plan_ids.index(key) for key in one.on_cost.plan_ids if key]
            assert len(at) == len(one.on_cost.choices)
            ids = (study(limit_s).verdict.shipped.plan_id, study(limit_s).verdict.rival.plan_id)
            zero, rival = (one.usd_each[:, one.plan_ids.index(key)] for key in ids)
            share = float(np.mean(zero < rival))
            assert match[2] == of_hundred(max(share, 1 - share))


@pytest.mark.parametrize("limit_s", LIMITS_S)
def test_over_a_stretch_that_is_settled_its_choice_is_right_in_nearly_all_draws(limit_s):
    """Counted anew between the borders that the sentence names."""
    one = hanging(limit_s).found
    for influence in one.within.influences:
        values = one.values[influence.key]
        for at, part in enumerate(influence.stretches):
            is_last = at == len(influence.stretches) - 1
            inside = (values >= part.low) & (
                (values <= part.high) if is_last else (values < part.high)
            )
            assert abs(int(inside.sum()) - part.draws) <= 1  # a draw may lie on a border
            if part.choice is not None:
                assert np.mean(one.within.chosen[inside] == part.choice) >= one.sure_share - 0.02
        # Other traffics are in no order, and so have no stretches.
        expected = 0 if influence.key == LUCK_OF_TRAFFIC else DRAWS
        assert sum(part.draws for part in influence.stretches) == expected


def test_no_plan_that_was_left_aside_would_have_won():
    """With every plan of the grid run in every draw, the same kind wins in each.

    With the traffic as it is: with another one, the luckiest of many plans that all but hold the
    limit may hold it.
    """
    limit_s = 60.0
    inputs = [one for one in hanging(limit_s).found.inputs if one.key != LUCK_OF_TRAFFIC]
    fewer = {"settings": without_luck(24)}
    few = decided(inputs, limit_s, **fewer)
    everything = [k for k, one in study(limit_s).outcomes.items() if one.plan.family.is_buyable]
    all_of_them = decided(inputs, limit_s, shown=everything, **fewer)
    assert len(few.plan_ids) < len(everything)
    assert not np.isnan(all_of_them.usd_each).any()
    for a, b in zip(few.within.chosen, all_of_them.within.chosen, strict=True):
        assert few.within.choices[a] == all_of_them.within.choices[b]


def test_with_nothing_open_every_draw_is_the_answer_itself():
    """No input open, nothing left to luck: costs and waits of all draws are those of the study."""
    settled = [
        dataclasses.replace(one, factors=(1.0,) * 199)
        for one in hanging(2.0).found.inputs
        if one.key != LUCK_OF_TRAFFIC
    ]
    one = decided(settled, settings=without_luck())
    assert "luck" in one.left_out
    assert one.within.stands_share == 1.0
    assert one.within.influences == ()
    for index, key in enumerate(one.plan_ids):
        usd, p99_s = one.usd_each[:, index], one.p99_each_s[:, index]
        row = study(2.0).table.set_index("plan_id").loc[key]
        ran = ~np.isnan(usd)
        assert usd[ran] == pytest.approx(row["usd_per_month"])
        assert p99_s[ran] == pytest.approx(row["p99_ttft_s"])
    (said, *_) = hangs_in_words(one, hanging(2.0).named)
    assert "none of these inputs turns it" in said


def test_of_one_price_alone_the_share_is_that_of_its_range_beyond_the_crossing():
    """Always-on costs d times a factor, scale-to-zero z: it wins up to a factor of z / d."""
    offer = TABLES.offers["crusoe-l40s"]
    price = made_input(DEDICATED_PRICE, offer.usd_per_gpu_h, 0.1, 3.0)
    one = decided([price], settings=without_luck(256))
    verdict = study(2.0).verdict
    crossing = verdict.shipped.usd_per_month / verdict.rival.usd_per_month
    expected = np.log(crossing / 0.1) / np.log(3.0 / 0.1)
    rival = f"{verdict.rival.family} {verdict.rival.kept}"
    # Drawn one in each 256th of the range, so off by one draw at most.
    assert one.on_cost.share(rival) == pytest.approx(expected, abs=1.01 / 256 + 0.005)
    (influence,) = one.on_cost.influences
    low, *_, high = influence.stretches
    assert influence.right_share == pytest.approx(min(expected, 1 - expected), abs=0.05)
    assert low.choice != high.choice
    # Between the two, at most the part of eight draws in which the border lies stays open.
    width = (3.0 / 0.1) ** (8 / 256)
    assert low.high <= crossing * offer.usd_per_gpu_h * width
    assert high.low >= crossing * offer.usd_per_gpu_h / width
    assert high.low / low.high < width * 1.1


def test_what_knowing_a_price_is_worth_is_the_loss_of_choosing_without_it():
    """The integral of what the dearer one costs more, over the side where the choice is wrong."""
    offer = TABLES.offers["crusoe-l40s"]
    price = made_input(DEDICATED_PRICE, offer.usd_per_gpu_h, 0.1, 3.0)
    one = decided([price], settings=without_luck(256))
    verdict = study(2.0).verdict
    factor = np.exp(np.linspace(np.log(0.1), np.log(3.0), 20_001))
    gap = verdict.shipped.usd_per_month - verdict.rival.usd_per_month * factor
    expected = min(np.maximum(gap, 0).mean(), np.maximum(-gap, 0).mean())
    (influence,) = one.on_cost.influences
    assert influence.usd_per_month == pytest.approx(expected, rel=0.2)


def test_a_start_that_turns_the_verdict_is_what_decides():
    """The start alone open, from a twentieth to four times, under a limit between."""
    start = found().deployment.start
    one = decided(
        [made_input(START, start.typical_s, 0.05, 4.0)], limit_s=60.0, settings=without_luck()
    )
    assert len(one.within.choices) > 1
    (influence,) = one.within.influences
    wrong = 1 - one.within.share(one.within.choices[0])
    assert influence.right_share > 0.7 * wrong
    assert one.one_log is not None
    assert 0 < one.one_log.sure_share < 1


def test_it_says_that_one_log_makes_sure_only_where_it_does():
    """From 95 of 100 on the answer is sure after one log; below, how often it would be."""
    one = hanging(60.0).found
    start = one.input(START)
    assert START in [each.key for each in one.within.influences if each.right_share >= 0.01]
    assert start.basis != "yours"
    for share, words in ((0.97, "Paste one start-up log and the answer is sure."), (0.6, "in 60")):
        changed = dataclasses.replace(one, one_log=OneLog(share, ()))
        said = " ".join(hangs_in_words(changed, hanging(60.0).named))
        assert words in said
        assert ("the answer is sure." in said) == (share >= one.sure_share)


def test_other_traffic_is_among_what_is_not_known():
    """Every other traffic is in as many draws as any; its ranges are those of its inputs alone."""
    one = hanging(2.0).found
    rates = one.values[LUCK_OF_TRAFFIC]
    assert one.left_out == ""
    assert one.input(LUCK_OF_TRAFFIC).cases == int(TABLES.setting("decides_luck"))
    assert rates.min() < one.input(LUCK_OF_TRAFFIC).base < rates.max()
    rival = one.ranges.plans[study(2.0).verdict.rival.plan_id]
    # Always-on costs the same whatever comes: its price alone moves its bill.
    price = one.input(DEDICATED_PRICE)
    usd = study(2.0).verdict.rival.usd_per_month
    assert rival.usd_each.max() <= usd * price.factors[-1] + 1e-9
    assert rival.usd_each.min() >= usd * price.factors[0] - 1e-9


def test_a_start_is_scaled_with_every_second_of_its_draws():
    """What is drawn of a scaled start is the scaled draw: draws are made once and multiplied."""
    start = found().deployment.start
    normals = start_normals(TABLES)
    twice = scaled_start(start, 2.0).draw(normals)
    assert twice.stage_s == pytest.approx(2.0 * start.draw(normals).stage_s)


def test_of_a_hundred_all_and_nothing_are_said_of_all_and_nothing_alone():
    assert [of_hundred(share) for share in (0.0, 0.004, 0.5, 0.996, 1.0)] == [
        "0",
        "under 1",
        "50",
        "over 99",
        "100",
    ]


def test_a_study_carries_what_its_verdict_hangs_on():
    """The sentences are among the reasons, and the table has the ranges of its plans."""
    with_it = with_hanging(study(2.0), hanging(2.0))
    said = hanging(2.0).sentences
    assert with_it.verdict.reasons[-len(said) :] == said
    row = with_it.table.set_index("plan_id").loc[study(2.0).verdict.rival.plan_id]
    assert (
        row["usd_per_month_inputs_low"] <= row["usd_per_month"] <= row["usd_per_month_inputs_high"]
    )
