"""Idle timeouts: the curve is the study's own, and what is named on it is what it is called."""

from __future__ import annotations

import dataclasses
import math
import re
from types import MappingProxyType

import numpy as np
import pytest

from frontier.charts.timeouts_chart import MARKS, named_points, timeouts_figure, timeouts_table
from frontier.economics import kept_sessions, needed_sessions
from frontier.plans.scenario import Scenario
from frontier.study import simulate, study_of
from frontier.sweep import LIST_DEAL
from frontier.tables import load_tables
from frontier.timeouts import (
    TimeoutPoint,
    headline,
    knee_of,
    metered_alike,
    sentences,
    simulate_timeouts,
    ski_rental_s,
    timeouts_of,
    tried_timeouts_s,
    why_not,
)
from frontier.trace import TraceReport, make_trace

TABLES = load_tables()
SCENARIO = Scenario("Llama-3.1-8B-Instruct", "bf16", "modal-l40s", "crusoe-l40s", 2.0)


def _trace(requests=300, days=3.0, seed=2, bursts=15):
    """Bursts with idle hours between them."""
    generator = np.random.default_rng(seed)
    horizon_s = days * 86_400
    begun_s = generator.uniform(0, horizon_s - 9000, bursts)
    steps_s = generator.exponential(120, (bursts, requests // bursts)).cumsum(axis=1)
    arrival_s = np.sort((begun_s[:, None] + steps_s).ravel())
    return make_trace(
        "test",
        np.minimum(arrival_s, horizon_s - 1),
        generator.integers(50, 3000, arrival_s.size),
        generator.integers(1, 400, arrival_s.size),
        horizon_s=horizon_s,
        report=TraceReport("test"),
    )


TRACE = _trace()


def look(trace=TRACE, scenario=SCENARIO, tables=TABLES, limit_s=2.0):
    found = simulate(scenario, trace, tables)
    study = study_of(found, tables, limit_s=limit_s)
    runs = simulate_timeouts(study.deployment, trace, tables, LIST_DEAL)
    return study, runs, timeouts_of(study, runs)


@pytest.fixture(scope="module")
def made():
    return look()


def test_the_curve_is_what_the_study_says_of_the_same_plans(made):
    """At every timeout that both tried, cost, p99, share that waits and starts are the same."""
    study, _, found = made
    plain = study.table[
        (study.table["family"] == "scale-to-zero") & ~study.table["mitigations"].astype(bool)
    ]
    same = 0
    for point in found.points:
        rows = plain[plain["idle_timeout_s"] == point.idle_timeout_s]
        for row in rows.itertuples():
            same += 1
            assert point.usd_per_month == pytest.approx(row.usd_per_month, rel=1e-12)
            assert point.p99_ttft_s == row.p99_ttft_s
            assert point.waited_share == row.waited_on_start_share
            assert point.starts == row.starts
    assert same >= 3


def test_what_is_tried_spans_from_none_to_the_longest_gap():
    """None at all, the provider's own, its ends, and evenly up to a timeout that spares all."""
    behaviour = TABLES.behaviours["modal"]
    tried = tried_timeouts_s(behaviour, 17_143.6, TABLES, 63.0)
    assert tried[0] == 0.0
    assert tried[-1] >= 17_143.6
    assert {60.0, 2.0, 1200.0, 63.0} <= set(tried)
    assert list(tried) == sorted(set(tried))
    assert len(tried) >= 40
    # A gap shorter than a second, and none at all.
    for gap_s in (0.2, 0.0):
        assert all(
            math.isfinite(one) and one >= 0 for one in tried_timeouts_s(behaviour, gap_s, TABLES)
        )


def test_beyond_the_longest_gap_no_replica_starts_again(made):
    """A timeout longer than every gap leaves the first start of each replica and no other."""
    study, runs, found = made
    last = found.points[-1]
    assert last.idle_timeout_s >= runs.longest_gap_s
    assert last.starts <= study.deployment.max_replicas
    assert found.points[0].starts > 50
    assert last.waited_share < found.points[0].waited_share


def test_another_price_simulates_nothing(made, monkeypatch):
    """The same runs are billed at twice the price, line by line; the kept key has no price."""
    study, runs, found = made
    offer = TABLES.offers["modal-l40s"]
    dearer = dataclasses.replace(offer, usd_per_gpu_h=2 * offer.usd_per_gpu_h)
    offers = MappingProxyType({**TABLES.offers, offer.offer_id: dearer})
    tables = dataclasses.replace(TABLES, offers=offers)
    simulated = simulate(SCENARIO, TRACE, TABLES)
    monkeypatch.setattr("frontier.market.tried.simulate_plan", None)
    again = timeouts_of(study_of(simulated, tables, limit_s=2.0), runs)
    for old, new in zip(found.points, again.points, strict=True):
        assert new.idle_usd == pytest.approx(2 * old.idle_usd)
        assert new.starting_usd == pytest.approx(2 * old.starting_usd)
        assert new.p99_ttft_s == old.p99_ttft_s
    keys = {metered_alike(study.deployment, of, LIST_DEAL, ()) for of in (TABLES, tables)}
    assert len(keys) == 1


def test_what_is_named_is_what_it_is_called(made):
    """Cheapest, cheapest that holds, shortest beyond, overtaken: read off the points again."""
    _, _, found = made
    low, high = found.allowed_s
    allowed = [point for point in found.points if low <= point.idle_timeout_s <= high]
    assert [point for point in found.points if point.is_allowed] == allowed
    assert found.cheapest.usd_per_month == min(point.usd_per_month for point in allowed)
    assert found.longest is allowed[-1]
    holding = [point for point in allowed if point.p99_ttft_s <= found.limit_s]
    if holding:
        assert found.holding.usd_per_month == min(point.usd_per_month for point in holding)
        assert found.beyond is None
    else:
        assert found.holding is None
        anywhere = [point for point in found.points if point.p99_ttft_s <= found.limit_s]
        assert found.beyond == (anywhere[0] if anywhere else None)
    usd = found.always_on.usd_per_month
    if found.overtaken is not None:
        later = [p for p in found.points if p.idle_timeout_s >= found.overtaken.idle_timeout_s]
        assert all(point.usd_per_month > usd for point in later)


def test_keeping_for_the_price_of_a_start_is_never_worse_than_twice():
    """Random gaps, starts and idle prices: what is paid is at most twice the clairvoyant's."""
    generator = np.random.default_rng(7)
    bound = TABLES.setting("ski_rental_bound")
    rules = TABLES.provider_rules["modal"]
    worst = 0.0
    for _ in range(200):
        start_s, factor = generator.uniform(1, 300), generator.choice([0.1, 0.5, 1.0])
        own = dataclasses.replace(rules, idle_rate_factor=factor)
        timeout_s = ski_rental_s(start_s, own)
        scale_s = generator.choice([0.1, 1.0, 5.0]) * timeout_s
        gaps_s = generator.exponential(scale_s, 40) + 1e-6
        at_s = np.cumsum(np.concatenate([[1000.0], gaps_s]))
        paid = (
            start_s
            + np.where(gaps_s <= timeout_s, factor * gaps_s, factor * timeout_s + start_s).sum()
        )
        # Requests that take no time: the bound of the product keeps or drops each gap.
        needed = needed_sessions(at_s, at_s + 1e-9, concurrency=1, horizon_s=at_s[-1] + 1)
        kept = kept_sessions(
            needed,
            start_s=0.0,
            billed_start_s=start_s,
            idle_rate_factor=factor,
            horizon_s=at_s[-1] + 1,
        )
        least = kept.size * start_s + factor * kept["idle_s"].sum()
        worst = max(worst, paid / least)
        assert least <= paid * (1 + 1e-9)
        assert paid <= bound * least * (1 + 1e-6)
    # Gaps just beyond the timeout come close to it, so the bound is not a loose one.
    assert worst > 1.6


@pytest.mark.parametrize("seed", range(4))
def test_the_bound_holds_on_simulated_traffic(seed):
    """Starts that vary, requests that queue, several replicas: still at most twice the least."""
    trace = _trace(seed=seed, bursts=30, requests=120)
    _, _, found = look(trace)
    ski = found.ski_rental
    assert ski.point is not None
    assert ski.ratio <= TABLES.setting("ski_rental_bound")
    assert ski.paid_usd == pytest.approx(ski.point.idle_usd + ski.point.starting_usd)


def test_free_starts_and_free_idle_leave_nothing_to_weigh():
    """Without a billed start no timeout is too short, without billed idle none too long."""
    rules = TABLES.provider_rules["modal"]
    assert ski_rental_s(0.0, rules) == 0.0
    assert ski_rental_s(60.0, rules) == 60.0
    assert ski_rental_s(60.0, dataclasses.replace(rules, idle_rate_factor=0.5)) == 120.0
    assert ski_rental_s(60.0, dataclasses.replace(rules, bills_idle=False)) == math.inf
    _, _, found = look(scenario=dataclasses.replace(SCENARIO, serverless_offer="fireworks-h100"))
    assert found.ski_rental.idle_timeout_s == 0.0
    assert any("A start costs nothing at Fireworks" in said for said in sentences(found, TABLES))
    assert not any("at most" in said for said in sentences(found, TABLES))


def _points(usd, waited):
    return [
        TimeoutPoint(float(at), True, cost, 0.0, 0.0, 1.0, share, 0.5, 1)
        for at, (cost, share) in enumerate(zip(usd, waited, strict=True))
    ]


def test_a_knee_is_where_the_line_bends_and_a_straight_line_has_none():
    """Two straight pieces: the knee is their corner, with the slopes of both; noise is no knee."""
    usd = np.array([100.0, 120, 140, 160, 200, 300, 400, 500])
    waited = np.interp(usd, [100, 160, 500], [0.9, 0.2, 0.1])
    knee = knee_of(_points(usd, waited), requests=1000, least=0.1)
    assert knee.point.usd_per_month == 160
    assert knee.before == pytest.approx(700 / 60)
    assert knee.beyond == pytest.approx(100 / 340)
    straight = np.interp(usd, [100, 500], [0.9, 0.1])
    assert knee_of(_points(usd, straight), requests=1000, least=0.1) is None
    assert knee_of(_points(usd, np.full(8, 0.3)), requests=1000, least=0.1) is None
    assert knee_of(_points(usd[:2], waited[:2]), requests=1000, least=0.1) is None
    # What is dearer and shorter than the cheapest is no part of the curve.
    early = _points([150.0, *usd], [0.95, *waited])
    assert knee_of(early, requests=1000, least=0.1).point.usd_per_month == 160


@pytest.mark.parametrize(
    ("offer_id", "limit_s"), [("modal-l40s", 2.0), ("koyeb-l40s", 2.0), ("cloud-run-l4", 500.0)]
)
def test_the_sentences_say_what_the_points_say(offer_id, limit_s):
    """Each amount is that of a point, and who holds the limit holds it."""
    scenario = dataclasses.replace(SCENARIO, serverless_offer=offer_id)
    _, _, found = look(scenario=scenario, limit_s=limit_s)
    table = timeouts_table(found)
    said = headline(found, TABLES)
    amounts = [float(text.replace(",", "")) for text in re.findall(r"\$([\d,.]*\d) a month", said)]
    assert all((table["usd_per_month"] - amount).abs().min() < 0.51 for amount in amounts)
    assert ("is the cheapest idle timeout that holds" in said) == bool(
        (table["holds_limit"] & table["is_allowed"]).any()
    )
    for sentence in sentences(found, TABLES):
        if "own:" in sentence:
            row = table[table["idle_timeout_s"] == found.default.idle_timeout_s].iloc[0]
            assert f"{100 * row['waited_share']:.3g} %" in sentence


def test_the_figure_draws_both_panels_and_marks_what_is_named(made):
    """Two panels on one axis, every point once, each mark on both, what is not allowed fainter."""
    _, _, found = made
    table = timeouts_table(found)
    figure = timeouts_figure(table, limit_s=2.0, always_on=("Crusoe L40S", 1095.0, 0.5))
    lines = [trace for trace in figure.data if trace.mode == "lines+markers"]
    assert {trace.yaxis for trace in lines} == {"y", "y2"}
    assert {trace.opacity for trace in lines} == {1.0, 0.35}
    marked = [trace for trace in figure.data if trace.mode == "markers"]
    assert len(marked) == 2 * len(named_points(found))
    assert set(named_points(found)) <= set(MARKS)


def test_where_the_autoscaler_decides_it_is_said():
    """Knative's window is the timeout; a scaler that has no place for one leaves no curve."""
    scenario = dataclasses.replace(SCENARIO, autoscaler="knative")
    study, _, found = look(scenario=scenario)
    assert why_not(study.deployment, TABLES) == ""
    assert found.points[-1].starts < found.points[0].starts
    # No gap is decided on its own there, so nothing is promised of it.
    assert found.ski_rental is None
    row = dataclasses.replace(TABLES.autoscalers["knative"], keep_alive=None)
    tables = dataclasses.replace(
        TABLES, autoscalers=MappingProxyType({**TABLES.autoscalers, "knative": row})
    )
    deployment = dataclasses.replace(study.deployment, autoscaler=row)
    assert "Knative" in why_not(deployment, tables)


def test_what_a_kept_replica_leaves_to_wait_for_is_named():
    """One request in all waits on the first start, and no sentence says it does not."""
    _, _, found = look(_trace(1, bursts=1))
    words = " ".join(sentences(found, TABLES))
    assert "even then 100 % of requests wait on a start" in words
    assert "no start" not in words


def test_a_short_trace_is_priced_by_the_hour():
    """Less than a day was seen: no sentence speaks of a month."""
    _, _, found = look(_trace(60, days=0.5, bursts=6))
    words = " ".join((headline(found, TABLES), *sentences(found, TABLES)))
    assert "month" not in words
    assert "an hour" in words
