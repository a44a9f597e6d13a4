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
    arrival_s = np.sort(np.random.default_rng(0).uniform(0.0, 3000.0, 600))
    short = make_trace(
        "short",
        arrival_s,
        np.full(600, 500),
        np.full(600, 50),
        t0_utc=dt.datetime(2026, 1, 5, tzinfo=dt.UTC),
        report=TraceReport("short", "s", 600, 600),
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


def test_every_file_carries_the_ranges(study, luck):
    """Table, record, workbook and JSON; and how few requests a percentile rests on."""
    import io
    import json

    import openpyxl

    from frontier import spell
    from frontier.export import csv_bytes
    from frontier.record import html_record
    from frontier.report import report_json, report_of
    from frontier.workbook import quantities_of, workbook

    ranged, plan_id = with_ranges(study, luck), study.verdict.shipped.plan_id
    report = report_of(ranged, plan_id, made_on=dt.date(2026, 11, 26), link="")
    usd, p99_s = luck.plans[plan_id].usd_per_month, luck.plans[plan_id].p99_ttft_s
    told = json.loads(report_json(report))
    assert told["ranges"]["A month, by luck"] == [usd.low, usd.high]
    assert told["ranges"]["p99, by luck"] == [p99_s.low, p99_s.high]
    assert "lie beyond the p99" in told["uncertain"]
    row = next(row for row in told["plans"] if row["plan_id"] == plan_id)
    assert [row["p99_ttft_s_low"], row["p99_ttft_s_high"]] == [p99_s.low, p99_s.high]
    head = csv_bytes(ranged.table).decode("utf-8-sig").splitlines()[0].split(",")
    columns = {"usd_per_month_low", "usd_per_month_high", "p99_ttft_s_low", "p99_ttft_s_high"}
    assert {*columns, "holds_share", "holds_limit"} <= set(head)
    page = html_record(report, with_annex=True)
    for words in (
        spell.dollars_between(usd.low, usd.high),
        spell.seconds_between(p99_s.low, p99_s.high),
        report.uncertain,
    ):
        assert words in page
    book = openpyxl.load_workbook(io.BytesIO(workbook(report, quantities_of(ranged, plan_id))))
    cells = [cell.value for row in book["Assumptions"].iter_rows() for cell in row]
    assert spell.dollars_between(usd.low, usd.high) in cells
    assert report.uncertain in cells


def test_a_box_on_the_chart_is_the_range_of_its_plan(study, luck):
    """Corners at the bounds; a range without an upper end goes to the top, and axes hold all."""
    from frontier.charts.frontier_chart import frontier_figure, frontier_table

    open_ended = with_ranges(study, luck).table.copy()
    at = open_ended.index[open_ended["plan_id"] == study.verdict.rival.plan_id][0]
    open_ended.loc[at, "p99_ttft_s_high"] = np.inf
    points = frontier_table(open_ended, slo_p99_ttft_s=LIMIT_S)
    figure = frontier_figure(points, slo_p99_ttft_s=LIMIT_S)
    (boxes,) = (trace for trace in figure.data if trace.name == "Range by luck")
    corners = np.array([boxes.x, boxes.y], dtype=float).reshape(2, -1, 6)
    shown = points.dropna(subset=["usd_per_month_low"])
    np.testing.assert_array_equal(corners[0, :, 0], shown["usd_per_month_low"])
    np.testing.assert_array_equal(corners[0, :, 1], shown["usd_per_month_high"])
    np.testing.assert_array_equal(corners[1, :, 0], shown["p99_ttft_s_low"])
    assert np.isfinite(corners[1, :, 2]).all()
    low, high = figure.layout.yaxis.range
    assert 10**low < shown["p99_ttft_s_low"].min()
    assert 10**high >= corners[1, :, 2].max() * (1 - 1e-9)
    # Without ranges there is no box.
    plain = frontier_figure(
        frontier_table(study.table, slo_p99_ttft_s=LIMIT_S), slo_p99_ttft_s=LIMIT_S
    )
    assert all(trace.name != "Range by luck" for trace in plain.data)
