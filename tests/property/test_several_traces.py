"""Laws of several traces added up: counts, order, and that the parts are the whole."""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools

import numpy as np
import pytest

from frontier.errors import InputError
from frontier.growth.origins import busy_shares, by_origin, served_apart, sharing_in_words
from frontier.plans.scenario import Scenario
from frontier.study import simulate, study_of
from frontier.sweep import rerun
from frontier.tables import load_tables
from frontier.trace import TraceQuestion, TraceReport, add_up, generate_trace, make_trace
from frontier.trace.together import CLOCK, COMMON, REPEAT, SILENT, START, WEEK

TABLES = load_tables()
DAY = 86_400.0
MONDAY = dt.datetime(2026, 9, 7, tzinfo=dt.UTC)
PROD = generate_trace("internal-rag", seed=1, days=3, requests_per_day=300)
STAGING = generate_trace("internal-rag", seed=2, days=3, requests_per_day=60)
CHAT = generate_trace("steady-chat", seed=3, days=3, requests_per_day=90)
THREE = (("prod", PROD), ("staging", STAGING), ("batch", CHAT))
SCENARIO = Scenario(
    "Llama-3.1-8B-Instruct", "bf16", "modal-l40s", "crusoe-l40s", 2.0, mitigations=()
)


def made(name, times, *, horizon_s=None, t0=None, tokens=10):
    size = len(times)
    return make_trace(
        name,
        times,
        np.full(size, tokens),
        np.full(size, tokens),
        horizon_s=horizon_s,
        t0_utc=t0,
        report=TraceReport("made", rows_read=size, kept=size),
    )


def requests(trace):
    return sorted(zip(trace.arrival_s, trace.prompt_tokens, trace.output_tokens, strict=True))


def test_every_request_is_there_once_and_knows_its_trace():
    """Counts add up; the requests of a label are those of the trace of that name."""
    whole = add_up(THREE)
    assert whole.trace.arrival_s.size == sum(trace.arrival_s.size for _, trace in THREE)
    assert whole.origin.dtype == np.int8
    for name, trace in THREE:
        part = whole.part(name)
        assert requests(part) == requests(trace)
        assert part.horizon_s == whole.trace.horizon_s
        if trace.session_id is not None:
            assert np.unique(part.session_id).size == np.unique(trace.session_id).size
    report = whole.trace.report
    assert report.kept == whole.trace.arrival_s.size
    assert report.rows_read == report.kept + sum(report.dropped.values())


def test_the_order_of_traces_does_not_matter():
    """Any order gives the same traffic, bit for bit, and the same requests to each name."""
    first = add_up(THREE)
    for order in itertools.permutations(THREE):
        other = add_up(order)
        assert other.trace == first.trace
        for name, _ in THREE:
            assert other.part(name) == first.part(name)
    twice = [("a", PROD), ("b", PROD)]
    assert add_up(twice).trace == add_up(twice[::-1]).trace


def test_one_trace_is_itself():
    """Adding nothing to a trace gives the very trace, and all of it is of one name."""
    whole = add_up([("prod", PROD)])
    assert whole.trace is PROD
    assert not whole.origin.any()
    assert whole.part("prod") == PROD


def test_a_trace_without_a_request_in_the_common_time_changes_nothing():
    """What lies outside the time that all cover is left out, counted, and no part of the bill."""
    base = made("base", [0.0, 100.0, 500.0], horizon_s=1000.0, t0=MONDAY)
    early = MONDAY - dt.timedelta(seconds=50)
    empty = made("empty", [0.0, 1.0], horizon_s=1050.0, t0=early)
    whole = add_up([("base", base), ("empty", empty)])
    assert whole.trace == base
    assert whole.part("empty") is None
    assert whole.trace.report.dropped == {"empty: outside the time that all cover": 2}
    assert whole.trace.report.rows_read == whole.trace.report.kept + 2


def test_names_are_part_of_the_key_and_not_of_the_traffic():
    """Other names, or the same requests dealt otherwise, are kept apart by digest."""
    first = add_up([("prod", PROD), ("staging", STAGING)])
    renamed = add_up([("prod", PROD), ("test", STAGING)])
    swapped = add_up([("staging", PROD), ("prod", STAGING)])
    assert first.trace == renamed.trace == swapped.trace
    assert len({first.digest, renamed.digest, swapped.digest}) == 3


def test_dates_decide_unless_they_do_not_overlap():
    """Overlapping dates go by the clock, other weeks by hour of the week, no date by the start."""
    week = 7 * DAY
    first = made("first", [0.0, week - 1], horizon_s=week, t0=MONDAY)
    later = made(
        "later", [3600.0, week - 5], horizon_s=week, t0=MONDAY + dt.timedelta(days=21, hours=1)
    )
    undated = made("undated", [0.0, week - 9], horizon_s=week)
    clock = add_up([("a", first), ("b", dataclasses.replace(later, t0_utc=MONDAY))])
    assert clock.align == CLOCK
    by_week = add_up([("a", first), ("b", later)])
    assert by_week.align == WEEK
    # An hour later in its week, it is an hour later in the sum; the last hour has only one trace.
    assert by_week.trace.t0_utc == MONDAY + dt.timedelta(hours=1)
    assert requests(by_week.part("b"))[0][0] == 3600.0
    assert by_week.trace.horizon_s == week - 3600
    start = add_up([("a", first), ("b", undated)])
    assert start.align == START
    assert start.trace.t0_utc is None
    for align in (CLOCK, WEEK):
        with pytest.raises(InputError, match="undated has no date"):
            add_up([("a", first), ("undated", undated)], align=align)


def test_different_times_are_a_question_and_each_answer_says_what_it_does():
    """Two hours beside a week: nobody but the owner knows whether they are all there was."""
    week = made("week", np.linspace(0, 7 * DAY, 50), t0=MONDAY)
    day = made("day", [10.0, 20.0, DAY - 1.0], horizon_s=DAY, t0=MONDAY + dt.timedelta(days=2))
    pair = [("prod", week), ("batch", day)]
    with pytest.raises(TraceQuestion, match=r"cover different times \(prod 7 days, batch 24 h"):
        add_up(pair)
    common = add_up(pair, spans=COMMON)
    assert common.trace.horizon_s == DAY
    assert common.part("batch").arrival_s.tolist() == day.arrival_s.tolist()
    silent = add_up(pair, spans=SILENT)
    assert silent.trace.horizon_s == 7 * DAY
    assert silent.part("batch").arrival_s.tolist() == (day.arrival_s + 2 * DAY).tolist()
    repeated = add_up(pair, spans=REPEAT)
    assert repeated.part("batch").arrival_s.size == 7 * 3
    assert (np.diff(repeated.part("batch").arrival_s[::3]) == DAY).all()
    assert any("repeated every 24 h" in sentence for sentence in repeated.said)
    short = made("short", [1.0, 5.0], horizon_s=3600.0, t0=MONDAY)
    with pytest.raises(InputError, match="less than a day cannot be repeated"):
        add_up([("prod", week), ("short", short)], spans=REPEAT)


def test_a_week_that_lacks_an_hour_is_repeated_as_a_week():
    """A log ends with its last request: 6.99 days are a week, and its days stay on their days."""
    long = made("long", np.linspace(0, 21 * DAY, 90), t0=MONDAY)
    week = made("week", [0.0, 6.99 * DAY], t0=MONDAY)
    whole = add_up([("long", long), ("week", week)], spans=REPEAT)
    assert whole.part("week").arrival_s[::2].tolist() == [0.0, 7 * DAY, 14 * DAY]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("align", [CLOCK, WEEK, START])
def test_whatever_the_windows_nothing_is_lost_unsaid(seed, align):
    """Drawn lengths and dates: what is not there was counted out, and gaps stay what they were."""
    rng = np.random.default_rng(seed)
    traces = []
    for name in "abc":
        lasts = float(rng.uniform(1.2, 9.0)) * DAY
        times = np.sort(rng.uniform(0, lasts, 40)).round(3)
        begins = MONDAY + dt.timedelta(days=float(rng.uniform(0, 1.0)))
        traces.append((name, made(name, times, horizon_s=lasts, t0=begins)))
    silent = add_up(traces, align=align, spans=SILENT)
    common = add_up(traces, align=align, spans=COMMON)
    repeated = add_up(traces, align=align, spans=REPEAT)
    assert silent.trace.arrival_s.size == 120
    dropped = common.trace.report.dropped
    assert common.trace.arrival_s.size == 120 - sum(dropped.values())
    assert repeated.trace.horizon_s == max(trace.horizon_s for _, trace in traces)
    for name, trace in traces:
        own = np.diff(silent.part(name).arrival_s)
        assert own == pytest.approx(np.diff(trace.arrival_s), abs=1e-6)
        assert repeated.part(name).arrival_s.size > 0
    for spans, whole in ((SILENT, silent), (COMMON, common), (REPEAT, repeated)):
        assert add_up(traces[::-1], align=align, spans=spans).trace == whole.trace
        assert whole.trace.arrival_s[-1] <= whole.trace.horizon_s


@pytest.mark.parametrize(
    ("traces", "words"),
    [
        ([], "Expected 1 to 8 traces"),
        ([("", PROD), ("b", PROD)], "needs a name"),
        ([("a", PROD), ("a ", STAGING)], "called “a”"),
    ],
)
def test_what_cannot_be_added_is_refused(traces, words):
    """Names are needed and differ; there are some traces and not too many."""
    with pytest.raises(InputError, match=words):
        add_up(traces)


def test_together_they_are_no_more_than_one_file_may_be():
    """The most requests are those of one upload, whatever the parts are."""
    rows = dict(TABLES.settings)
    rows["trace_max_rows"] = dataclasses.replace(rows["trace_max_rows"], value=1000.0)
    with pytest.raises(InputError, match="the most is 1,000, as for one file"):
        add_up(THREE, tables=dataclasses.replace(TABLES, settings=rows))


@pytest.fixture(scope="module")
def shared():
    """Return the three traces together, and their study."""
    whole = add_up(THREE)
    study = study_of(simulate(SCENARIO, whole.trace, TABLES), TABLES, limit_s=2.0)
    return whole, study


def test_the_parts_of_every_bill_are_the_bill(shared):
    """Of each plan the cents by trace add up to it, requests and waits to all of them."""
    whole, study = shared
    for outcome in list(study.outcomes.values())[::4]:
        if not outcome.plan.family.is_buyable:
            continue
        found = by_origin(study, outcome, whole)
        assert round(sum(one.usd_per_month for one in found), 2) == round(
            study.usd_per_month(outcome), 2
        )
        assert sum(one.busy_share for one in found) == pytest.approx(1.0)
        assert sum(one.requests for one in found) == outcome.requests
        tokens = sum(one.prompt_tokens + one.output_tokens for one in found)
        assert tokens == outcome.tokens
        run = rerun(outcome, whole.trace)
        assert sum(one.waited_on_start for one in found) == run.waited_on_start.sum()
        least, most = min(o.p99_ttft_s for o in found), max(o.p99_ttft_s for o in found)
        assert least <= outcome.latency.p99_ttft_s <= most


def test_the_busy_seconds_of_one_replica_are_shared_exactly(shared):
    """On one replica the shares are of its busy seconds: alone, a trace bears what it keeps busy.

    Two requests that never meet bear their own seconds; two that do always meet bear half each.
    """
    _, study = shared
    outcome = study.outcomes["dedicated-1"]
    apart = made("both", [0.0, 1000.0], horizon_s=2000.0, tokens=100)
    apart = make_trace(
        "both", [0.0, 1000.0], [100, 100], [100, 300], horizon_s=2000.0, report=apart.report
    )
    outcome = dataclasses.replace(outcome, horizon_s=2000.0)
    run = rerun(outcome, apart)
    alone_s = run.finish_s - run.delay_s - apart.arrival_s
    shares = busy_shares(run, outcome.plan, apart, np.array([0, 1], dtype=np.int8), 2)
    assert shares == pytest.approx(alone_s / alone_s.sum())
    assert run.sessions["busy_s"].sum() == pytest.approx(alone_s.sum())
    meet = make_trace("meet", [0.0, 0.0], [100] * 2, [300] * 2, report=apart.report, horizon_s=99.0)
    run = rerun(dataclasses.replace(outcome, horizon_s=99.0), meet)
    shares = busy_shares(run, outcome.plan, meet, np.array([0, 1], dtype=np.int8), 2)
    assert shares == pytest.approx([0.5, 0.5], abs=0.01)


def test_apart_each_is_its_own_study(shared):
    """What a trace costs on its own replicas is the answer of its own study; their sum is said."""
    whole, study = shared
    found = served_apart(study, whole)
    prod = study_of(simulate(SCENARIO, whole.part("prod"), TABLES), TABLES, limit_s=2.0)
    assert found.parts[0].plan == prod.verdict.cheapest_within
    assert found.usd_apart == pytest.approx(sum(part.plan.usd_per_month for part in found.parts))
    words = sharing_in_words(found, 2.0)
    more = found.usd_apart - found.together.usd_per_month
    assert ("cheaper" if more > 0 else "dearer") in words


def test_traces_of_other_years_are_not_added_up_over_all_the_years_between():
    """A bill of ten years of silence would be one of nothing: they are aligned otherwise."""
    old, new = (
        make_trace(
            name, np.array([0.0, 60.0]), np.full(2, 10), np.full(2, 10), horizon_s=60.0,
            t0_utc=dt.datetime(year, 3, 2, tzinfo=dt.UTC), report=TraceReport("test"),
        )
        for name, year in (("old", 2020), ("new", 2031))
    )  # fmt: skip
    with pytest.raises(InputError, match="apart, end to end"):
        add_up([("old", old), ("new", new)], align=CLOCK, spans=SILENT)
    assert add_up([("old", old), ("new", new)], align=START, spans=SILENT).trace.span_s == 60.0
