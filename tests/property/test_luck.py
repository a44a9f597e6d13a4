"""Laws of the ranges of luck: what replications share, what they vary, and when there is none."""

from __future__ import annotations

import dataclasses
import datetime as dt

import numpy as np
import pytest

from frontier.plans.scenario import Scenario
from frontier.ranges import LUCK, luck_ranges
from frontier.study import luck_of, plans_that_matter, simulate, study_of, with_ranges
from frontier.sweep import Deal, simulate_plans
from frontier.tables import load_tables
from frontier.trace import TraceReport, generate_trace, make_trace

TABLES = load_tables()
LIMIT_S = 2.0


def with_settings(**values):
    settings = dict(TABLES.settings)
    for name, value in values.items():
        settings[name] = dataclasses.replace(settings[name], value=float(value))
    return dataclasses.replace(TABLES, settings=settings)


FEW = with_settings(ranges_replications=19)


@pytest.fixture(scope="module")
def study():
    trace = generate_trace("internal-rag", seed=3, days=7, requests_per_day=60, tables=TABLES)
    scenario = Scenario("Llama-3.1-8B-Instruct", "bf16", "modal-l40s", "crusoe-l40s", LIMIT_S)
    return study_of(simulate(scenario, trace, TABLES), FEW, limit_s=LIMIT_S)


@pytest.fixture(scope="module")
def luck(study):
    return luck_of(study)


def test_every_plan_of_the_verdict_has_a_range_that_holds_its_figures(study, luck):
    """What is shown lies inside its own range."""
    verdict = study.verdict
    for plan in (verdict.cheapest_within, verdict.rival, verdict.shipped, verdict.fastest):
        found = luck.plans[plan.plan_id]
        assert found.usd_per_month.low <= plan.usd_per_month <= found.usd_per_month.high
        assert found.p99_ttft_s.low <= plan.p99_ttft_s <= found.p99_ttft_s.high
    assert luck.kind == LUCK
    assert luck.replications == 19
    assert set(luck.plans) == set(plans_that_matter(study))


def test_a_machine_that_is_always_on_costs_the_same_whatever_comes(study, luck):
    """Its cost is a point and no range; its waits are not."""
    kept = luck.plans[study.verdict.rival.plan_id]
    assert kept.usd_per_month.high == pytest.approx(kept.usd_per_month.low)
    assert kept.p99_ttft_s.high > kept.p99_ttft_s.low
    zero = luck.plans[study.verdict.shipped.plan_id]
    assert zero.usd_per_month.high > 1.02 * zero.usd_per_month.low


def test_all_plans_of_a_replication_share_its_traffic_and_its_starts(study, luck):
    """The same requests and starts: plans that differ in the idle timeout alone go up together."""
    trace, ids = study.trace, [f"zero-{seconds}s" for seconds in (60, 90)]
    ids = [plan_id for plan_id in ids if plan_id in study.outcomes]
    ids += [p for p in study.outcomes if p.startswith("zero-")][: 2 - len(ids)]
    found = luck_ranges(study.outcomes, ids, trace, FEW)
    first, second = (found.plans[plan_id].usd_each for plan_id in ids)
    assert np.corrcoef(first, second)[0, 1] > 0.9
    difference = found.difference(*ids).usd_per_month
    spread = np.ptp(first) + np.ptp(second)
    assert difference.high - difference.low < spread / 2


def test_threads_and_company_change_no_range(study, luck):
    """A plan has the same range alone, with others, and by however many threads."""
    plan_id = study.verdict.shipped.plan_id
    alone = luck_ranges(study.outcomes, [plan_id], study.trace, FEW, workers=1)
    together = luck_ranges(
        study.outcomes, [study.verdict.rival.plan_id, plan_id], study.trace, FEW, workers=3
    )
    for found in (alone, together):
        np.testing.assert_array_equal(
            found.plans[plan_id].p99_each_s, together.plans[plan_id].p99_each_s
        )
        np.testing.assert_array_equal(
            found.plans[plan_id].usd_each, together.plans[plan_id].usd_each
        )


def test_a_price_moves_a_range_with_the_figure(study, luck):
    """All prices doubled: every bound of cost doubles, and no wait moves."""
    plan_id = study.verdict.shipped.plan_id
    deal = Deal().at(2.0)
    plain = Deal().at(1.0)
    once, twice = (
        luck_ranges(study.outcomes, [plan_id], study.trace, FEW, deal=terms).plans[plan_id]
        for terms in (plain, deal)
    )
    credit = TABLES.rules_of(TABLES.offers["modal-l40s"]).free_credit_usd_month
    np.testing.assert_allclose(twice.usd_each + credit, 2 * (once.usd_each + credit))
    np.testing.assert_array_equal(twice.p99_each_s, once.p99_each_s)


def test_the_table_carries_the_ranges_and_says_which_plan_is_not_sure(study, luck):
    """As columns of every export; empty where a plan has none."""
    ranged = with_ranges(study, luck)
    rows = ranged.table.set_index("plan_id")
    assert len(rows) == len(study.table)
    for plan_id, row in rows.iterrows():
        found = luck.plans.get(plan_id)
        if found is None:
            assert np.isnan(row["usd_per_month_low"])
            assert row["holds_limit"] == ""
        else:
            assert row["p99_ttft_s_low"] == found.p99_ttft_s.low
            assert row["usd_per_month_high"] == found.usd_per_month.high
            assert row["holds_limit"] == found.p99_ttft_s.state(LIMIT_S)
    assert ranged.verdict.luck is luck
    assert study.verdict.luck is None


def test_a_winner_whose_range_crosses_the_limit_is_called_not_sure(study, luck):
    """At a limit just above its p99 the answer begins with it, and names what is surely within."""
    p99_s = study.verdict.rival.p99_ttft_s
    high_s = luck.plans[study.verdict.rival.plan_id].p99_ttft_s.high
    limit_s = p99_s * 1.001
    assert limit_s < high_s
    tight = study_of(
        dataclasses.replace(_simulated(study), deployment=study.deployment), FEW, limit_s=limit_s
    )
    ranged = with_ranges(tight, luck_of(tight))
    assert ranged.verdict.cheapest_within is not None
    assert ranged.verdict.answer.startswith("Not sure: ")
    assert "surely" in ranged.verdict.beside or "The cheapest that does" in ranged.verdict.beside


def _simulated(study):
    from frontier.study import Simulated

    return Simulated(study.deployment, study.trace, tuple(study.outcomes.values()))


def test_what_progress_raises_stops_the_replications(study):
    """How a page cancels: nothing goes on behind its back."""

    class Stopped(Exception):
        pass

    def stop(done, of):
        assert 0 <= done <= of == 19
        raise Stopped

    with pytest.raises(Stopped):
        luck_of(study, progress=stop)


def test_too_little_time_or_traffic_gives_no_range_and_says_why(study):
    """Never a range of nothing."""
    slow = with_settings(ranges_replications=19, ranges_most_s=0)
    found = luck_ranges(study.outcomes, ["dedicated-1"], study.trace, slow)
    assert found.plans == {}
    assert "a range takes 19" in found.refused
    arrival_s = np.sort(np.random.default_rng(0).uniform(0.0, 3000.0, 60))
    short = make_trace(
        "short",
        arrival_s,
        np.full(60, 500),
        np.full(60, 50),
        t0_utc=dt.datetime(2026, 1, 5, tzinfo=dt.UTC),
        report=TraceReport("short", "s", 60, 60),
    )
    plans = [study.outcomes[plan_id].plan for plan_id in ("zero-60s", "dedicated-1")]
    outcomes = {one.plan.plan_id: one for one in simulate_plans(plans, short, TABLES)}
    # What is always on forgets at once; what is kept for minutes would need hours of traffic.
    found = luck_ranges(outcomes, outcomes, short, FEW)
    assert set(found.plans) == {"dedicated-1"}


def test_plans_that_a_simulation_cannot_tell_apart_are_simulated_once(study, monkeypatch):
    """By the hour and under a commitment: one run, two bills."""
    import frontier.ranges.luck as module

    runs = []
    simulate_plan = module.simulate_plan
    monkeypatch.setattr(
        module,
        "simulate_plan",
        lambda plan, *a, **k: runs.append(plan) or simulate_plan(plan, *a, **k),
    )
    commitment = next(c for c in TABLES.commitments.values() if c.provider is None)
    bought = study_of(_simulated(study), FEW, limit_s=LIMIT_S, deal=Deal(commitment=commitment))
    ids = ["dedicated-1", next(p for p in bought.outcomes if p.startswith("reserved"))]
    found = luck_ranges(bought.outcomes, ids, bought.trace, FEW, deal=bought.deal, workers=1)
    assert len(runs) == 19
    hourly, committed = (found.plans[plan_id].usd_each for plan_id in ids)
    assert np.all(committed < hourly)
