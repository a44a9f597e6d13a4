"""The ladder of limits: each rung is the market asked alone; its sentences can be recomputed."""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
import math
import re

import numpy as np
import pytest

from frontier.charts.ladder_chart import ladder_figure, ladder_steps, ladder_table
from frontier.errors import InputError
from frontier.ladder import beneath, headline, ladder, limits_of, luck_of, unsure
from frontier.market import ON_DEMAND, Wanted, answer_of, market, market_table, markets
from frontier.plans.scenario import Scenario
from frontier.sweep import rerun, simulate_plans
from frontier.tables import load_tables
from frontier.trace import TraceReport, make_trace

TABLES = load_tables()
TODAY = dt.date(2026, 11, 26)
SCENARIO = Scenario("Llama-3.1-8B-Instruct", "bf16", "modal-l40s", "crusoe-l40s", 2.0)
SOME = Wanted(providers=("Modal", "Crusoe", "Cerebrium", "Koyeb", "Lambda"))


class Kept(dict):
    def put(self, key, value, seconds):
        self[key] = value


def _trace(requests=400, days=3.0, seed=2):
    """Bursts with idle hours between them, so that limits tell plans apart."""
    generator = np.random.default_rng(seed)
    horizon_s = days * 86_400
    begun_s = generator.uniform(0, horizon_s - 4000, requests // 20)
    arrival_s = np.sort((begun_s[:, None] + generator.exponential(90, (begun_s.size, 20))).ravel())
    return make_trace(
        "test",
        np.minimum(arrival_s, horizon_s - 1),
        generator.integers(50, 3000, arrival_s.size),
        generator.integers(1, 400, arrival_s.size),
        horizon_s=horizon_s,
        report=TraceReport("test"),
    )


TRACE = _trace()


@pytest.fixture(scope="module")
def kept():
    return Kept()


def look(own_s=2.0, *, kept, limits_s=None, wanted=SOME, trace=TRACE, **how):
    return ladder(
        SCENARIO,
        trace,
        TABLES,
        limits_s=limits_of(TABLES, own_s) if limits_s is None else limits_s,
        own_s=own_s,
        kept=kept,
        today=TODAY,
        wanted=wanted,
        **how,
    )


@pytest.fixture(scope="module")
def found(kept):
    return look(kept=kept)


def test_the_limits_asked_for_are_those_of_the_data_and_one_s_own():
    """0.5, 1, 2, 5, 10, 30 and 60 s, whatever else is asked; none comes twice."""
    listed = {row.limit_s for row in TABLES.limits.values()}
    assert {0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0} <= listed
    limits_s = limits_of(TABLES, 3.0, (2.0, 90.0))
    assert limits_s == tuple(sorted(listed | {3.0, 90.0}))


def test_a_ladder_is_its_markets_asked_one_by_one(found, kept):
    """One walk for all limits leaves every number of every row as a market alone has it."""
    limits_s = [rung.limit_s for rung in found.rungs] + [0.15]
    together = markets(
        SCENARIO, TRACE, TABLES, limits_s=limits_s, kept=Kept(), today=TODAY, wanted=SOME
    )
    for limit_s, one in zip(limits_s, together, strict=True):
        alone = market(
            SCENARIO, TRACE, TABLES, limit_s=limit_s, kept=kept, today=TODAY, wanted=SOME
        )
        assert market_table(one).equals(market_table(alone)), limit_s
        assert answer_of(one) == answer_of(alone)
    for rung, one in zip(found.rungs, together, strict=False):
        assert rung.answer == answer_of(one)


def test_a_limit_that_is_asked_twice_is_one(kept):
    """The walk of a limit is not walked twice."""
    one, other = markets(
        SCENARIO, TRACE, TABLES, limits_s=(0.15, 0.15), kept=kept, today=TODAY, wanted=SOME
    )
    alone = market(SCENARIO, TRACE, TABLES, limit_s=0.15, kept=kept, today=TODAY, wanted=SOME)
    assert market_table(one).equals(market_table(other))
    assert market_table(one).equals(market_table(alone))


def test_a_longer_wait_never_costs_more_and_savings_add_up(found):
    """Costs fall along the ladder, each by what the rung says, and the shares are of the bill."""
    held = [rung for rung in found.rungs if rung.best is not None]
    assert len(held) > 3
    assert held[0].saves_usd is None
    for tight, loose in itertools.pairwise(held):
        fell = tight.best.usd_per_month - loose.best.usd_per_month
        assert fell >= -1e-9
        assert loose.saves_usd == pytest.approx(fell, abs=0.005)
        assert loose.saves_share == pytest.approx(fell / tight.best.usd_per_month, abs=1e-4)
        same = (tight.best.offer_id, tight.best.plan_id) == (
            loose.best.offer_id,
            loose.best.plan_id,
        )
        assert loose.is_same == same
        assert loose.best.p99_ttft_s <= loose.limit_s
        assert loose.best.kind in ON_DEMAND


def test_requests_over_the_limit_are_those_of_the_run(found):
    """Simulated by itself, the plan of a rung leaves as many requests over its limit."""
    for rung in found.rungs:
        if rung.best is None:
            continue
        row = next(m for m in found.markets if m.limit_s == rung.limit_s).row(rung.best.offer_id)
        (outcome,) = simulate_plans([row.best.plan], TRACE, TABLES)
        over = np.count_nonzero(rerun(outcome, TRACE).ttft_s > rung.limit_s)
        assert rung.over_of_thousand == math.ceil(1000 * over / TRACE.arrival_s.size)
        assert rung.over_of_thousand <= 10


@pytest.mark.parametrize("own_s", [0.1, 0.5, 2.0, 7.0, 60.0, 500.0])
def test_the_headline_says_what_the_table_says(own_s, kept):
    """Every amount of the sentences is a difference of two rows; what is not held is called so."""
    found = look(own_s, kept=kept)
    table = ladder_table(found).set_index("limit_s")
    said = headline(found, 730.0)
    own = table.loc[own_s]
    if not own["is_held"]:
        assert said.startswith("No offer on demand holds p99 ≤ ")
        first = table[table["is_held"]].iloc[0]
        assert f"${first['usd_per_month']:,.0f}" in said
        return
    looser = table.loc[table.index > own_s]
    least = looser["usd_per_month"].min() if len(looser) else own["usd_per_month"]
    saved = own["usd_per_month"] - least
    if saved < 0.005:
        assert "saves nothing" in said or "no longer wait" in said
    else:
        amounts = [float(text.replace(",", "")) for text in re.findall(r"\$([\d,.]*\d)", said)]
        assert any(amount == pytest.approx(saved, abs=0.51) for amount in amounts)
        if "nothing more" in said:
            step = re.search(r"up to ([\d.]+) s instead", said)
            assert looser.loc[float(step[1]), "usd_per_month"] == pytest.approx(least)
    more = beneath(found, 730.0)
    tighter = table.loc[table.index < own_s]
    assert bool(more) == bool(len(tighter))
    for limit, extra in re.findall(r"A limit of ([\d.]+) s costs \$([\d,.]*\d) more", more):
        gap = table.loc[float(limit), "usd_per_month"] - own["usd_per_month"]
        assert float(extra.replace(",", "")) == pytest.approx(gap, abs=0.51)


def test_the_line_passes_through_every_rung(found, kept):
    """From where a step begins to the next, a limit costs what the line says: rungs lie on it."""
    steps, table = ladder_steps(found), ladder_table(found)
    assert steps["from_s"].is_monotonic_increasing
    assert steps["usd_per_month"].is_monotonic_decreasing
    for row in table[table["is_held"]].itertuples():
        passed = steps[steps["from_s"] <= row.limit_s]
        assert passed["usd_per_month"].iloc[-1] == pytest.approx(row.usd_per_month, abs=0.006)
    # Between two rungs it is what the market says when that limit is asked.
    for at in range(0, len(steps), 3):
        limit_s = float(steps["from_s"].iloc[at])
        asked = answer_of(
            market(SCENARIO, TRACE, TABLES, limit_s=limit_s, kept=kept, today=TODAY, wanted=SOME)
        )
        assert asked.best.usd_per_month <= steps["usd_per_month"].iloc[at] + 0.006
    figure = ladder_figure(table, steps)
    line, points = figure.data
    assert len(points.x) == int(table["is_held"].sum())
    assert min(line.x) >= 10 ** figure.layout.xaxis.range[0] * (1 - 1e-9)
    # The limit of one's own stays beneath the names of the steps, and is said once, at the axis.
    (limit,) = figure.layout.shapes
    own = table[table["is_own"]].iloc[0]
    assert limit.x0 == limit.x1 == own["limit_s"]
    assert limit.y1 == own["usd_per_month"]
    said = [words for words in figure.layout.xaxis.ticktext if "your limit" in words]
    assert len(said) == 1
    assert len(set(figure.layout.xaxis.tickvals)) == len(figure.layout.xaxis.ticktext)


def test_where_nothing_is_held_the_least_reachable_is_said(kept):
    """Limits that no offer holds have no plan, no cost, and the wait of the fastest."""
    found = look(0.001, kept=kept, limits_s=(0.002,))
    table = ladder_table(found)
    assert not table["is_held"].any()
    assert np.isfinite(table["reachable_s"]).all()
    assert table["usd_per_month"].isna().all()
    assert "nor any longer limit" in headline(found, 730.0)
    assert ladder_steps(found).empty
    ladder_figure(table, ladder_steps(found))


def test_an_hour_is_priced_where_less_than_a_day_was_seen():
    """A short trace says no month, in no sentence."""
    trace = _trace(60, days=0.5)
    found = look(
        kept=Kept(), trace=trace, wanted=Wanted(offer_ids=frozenset(("crusoe-l40s", "modal-l40s")))
    )
    words = f"{headline(found, 730.0)} {beneath(found, 730.0)}"
    assert "month" not in words
    assert "an hour" in words


def test_a_rung_is_not_sure_where_its_range_crosses_the_limit(found):
    """Range, state and sentence agree; the figure of each rung lies inside its range."""
    luck = luck_of(found, TABLES)
    table = ladder_table(found, luck)
    assert not luck.refused
    known = table[table["with_other_luck"] != ""]
    assert len(known) > 2
    for row in known.itertuples():
        assert row.p99_low_s <= row.p99_ttft_s <= row.p99_high_s
        assert (row.with_other_luck == "not sure") == (row.p99_high_s > row.limit_s)
    said = unsure(found, luck)
    for row in known.itertuples():
        named = f" {row.limit_s:g} s" in said.split(". With other luck")[0]
        assert named == (row.with_other_luck == "not sure")
    hollow = ladder_figure(table, ladder_steps(found)).data[1].marker.symbol
    assert sum(symbol.endswith("open") for symbol in hollow) == int(
        (table["with_other_luck"] == "not sure").sum()
    )
    refused = dataclasses.replace(luck, plans={}, refused="The traffic is too short.")
    assert "the traffic is too short" in unsure(found, refused)
    assert (ladder_table(found, refused)["with_other_luck"] == "").all()


def test_another_limit_simulates_nothing(kept, found):
    """What a ladder kept answers every further ladder."""
    before = set(kept)
    again = look(kept=kept, limits_s=(2.0, 20.0))
    assert set(kept) == before
    assert [rung.limit_s for rung in again.rungs] == [2.0, 20.0]
    assert math.isclose(again.own.best.usd_per_month, found.own.best.usd_per_month)


def test_an_unknown_provider_is_named(kept):
    """As of the market: a name that no offer has is an error that says which there are."""
    with pytest.raises(InputError, match="Nobody"):
        look(kept=kept, wanted=Wanted(providers=("Nobody",)))
