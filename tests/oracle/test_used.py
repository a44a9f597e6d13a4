"""Reserved, used and per-token APIs, by closed form: floors, shares, where the costs meet."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest

from frontier import spell
from frontier.billing import TokenPrice
from frontier.charts.used_chart import used_figure, used_table
from frontier.finance import ApiCost, Used, apis_of, break_even_per_day, used_in_words, used_of
from frontier.plans.scenario import Scenario, replica_rps
from frontier.study import simulate, study_of
from frontier.sweep import TokenApi
from frontier.tables import load_tables
from frontier.trace import TraceReport, make_trace

TABLES = load_tables()
PROMPT, OUTPUT, REQUESTS = 900, 100, 400


@functools.cache
def study(api=None, serverless="modal-l40s", dedicated="crusoe-l40s"):
    """Make a day of requests that are all alike: every share can be counted by hand."""
    arrival_s = np.linspace(10.0, 86_000.0, REQUESTS)
    trace = make_trace(
        "alike",
        arrival_s,
        np.full(REQUESTS, PROMPT),
        np.full(REQUESTS, OUTPUT),
        horizon_s=86_400.0,
        report=TraceReport("made", "s", REQUESTS, REQUESTS),
    )
    scenario = Scenario("Llama-3.1-8B-Instruct", "bf16", serverless, dedicated, 2.0, ())
    return study_of(simulate(scenario, trace, TABLES), TABLES, limit_s=2.0, api=api)


def machine(**changed):
    """Make one machine of 24 dollars a day that could serve 10,000 requests of 1,000 tokens."""
    return dataclasses.replace(
        Used("Dedicated × 1", 24.0, 1000.0, 1000.0, 10_000.0, is_always_on=True), **changed
    )


def api(usd_per_mtok):
    """Make an API that takes so much for a token, whether in or out."""
    price = TokenPrice(usd_per_mtok, usd_per_mtok)
    return ApiCost("An API", price, 0.0, usd_per_mtok, usd_per_mtok / 1000, 0.0)


def test_reserved_is_used_times_utilisation():
    """A tenth in use: a used token costs ten times a reserved one."""
    used = machine()
    assert used.utilisation == pytest.approx(0.1)
    assert used.usd_per_mtok_used == pytest.approx(24.0)
    assert used.usd_per_mtok_reserved == pytest.approx(2.4)
    assert used.usd_per_mtok_reserved == pytest.approx(used.usd_per_mtok_used * used.utilisation)


@pytest.mark.parametrize("usd_per_mtok", [0.5, 2.39, 2.41, 3.0, 24.0, 100.0])
def test_the_costs_are_equal_at_break_even_and_there_is_none_below_the_floor(usd_per_mtok):
    """The machine's dollars a day over the API's a request, if the machine can serve that many."""
    used, other = machine(), api(usd_per_mtok)
    at = break_even_per_day(used, other)
    if usd_per_mtok < used.usd_per_mtok_reserved:
        assert at is None
        assert "no break-even" in " ".join(used_in_words(used, (other,)))
    else:
        assert at * other.usd_per_request == pytest.approx(used.usd_per_day)
        assert used.usd_per_mtok_at(at) == pytest.approx(usd_per_mtok)
        assert at <= used.full_requests_per_day


def test_a_plan_never_serves_more_than_it_could():
    """Replicas that hold more at once than the target concurrency cost no less full than now."""
    arrival_s = np.linspace(0.0, 10.0, 500)
    trace = make_trace(
        "crowd",
        arrival_s,
        np.full(500, PROMPT),
        np.full(500, OUTPUT),
        horizon_s=10.0,
        report=TraceReport("made", "s", 500, 500),
    )
    scenario = Scenario("Llama-3.1-8B-Instruct", "bf16", "modal-l40s", "crusoe-l40s", 2.0, ())
    of = study_of(simulate(scenario, trace, TABLES), TABLES, limit_s=2.0)
    rival = of.outcomes[of.verdict.rival.plan_id]
    held = rival.seconds.held_s / rival.horizon_s
    assert trace.arrival_s.size / 10.0 > held * replica_rps(trace, rival.plan.speed)
    used = used_of(of, rival)
    assert used.is_past_target
    assert used.utilisation == pytest.approx(1.0)
    assert used.usd_per_mtok_reserved == pytest.approx(used.usd_per_mtok_used)
    cheap, dear = (api(used.usd_per_mtok_used * factor) for factor in (0.5, 2.0))
    said = used_in_words(used, (cheap, dear))
    assert "would at the target concurrency, or more: " in said[0]
    usd = spell.dollars(used.usd_per_mtok_used)
    assert f"no break-even up to this traffic, at which these machines cost {usd}." in said[1]
    assert "these machines cost less from" in said[2]


def test_a_plan_that_follows_the_traffic_has_no_single_break_even():
    """Its bill moves with the traffic, so nothing is divided by it."""
    assert break_even_per_day(machine(is_always_on=False), api(3.0)) is None
    said = used_in_words(machine(is_always_on=False), (api(3.0), api(30.0)))
    assert "less than this plan" in said[1]
    assert "no less than this plan" in said[2]


def test_always_on_reserves_its_replicas_all_day():
    """So many replicas times what one finishes a second; the price by the hour times 24."""
    of = study()
    offer = TABLES.offers["crusoe-l40s"]
    for count in (1, 2):
        outcome = of.outcomes.get(f"dedicated-{count}")
        if outcome is None:
            continue
        used = used_of(of, outcome)
        rate = replica_rps(of.trace, outcome.plan.speed)
        assert used.full_requests_per_day == pytest.approx(count * 86_400 * rate)
        assert used.usd_per_day == pytest.approx(count * 24 * offer.usd_per_gpu_h)
        assert used.requests_per_day == REQUESTS
        assert used.usd_per_mtok_used == pytest.approx(
            used.usd_per_day / (REQUESTS * (PROMPT + OUTPUT)) * 1e6
        )


def test_unused_gpus_of_a_machine_are_reserved_too():
    """One replica on a machine of eight that is paid whole: seven more would cost nothing more."""
    of = study(serverless="modal-h100", dedicated="crusoe-h100-8x")
    outcome = of.outcomes["dedicated-1"]
    used = used_of(of, outcome)
    assert (used.running, used.room) == (1, 8)
    rate = replica_rps(of.trace, outcome.plan.speed)
    assert used.full_requests_per_day == pytest.approx(8 * 86_400 * rate)
    assert "room for 8 replicas; 1 runs" in used_in_words(used, ())[0]


def test_cached_tokens_are_billed_at_their_price_where_it_is_stated():
    """By hand for the reader's API; an API that states no such price bills all input alike."""
    own = TokenApi(TokenPrice(1.0, 2.0, 0.1), 1.0, cached_share=0.5)
    by_label = {one.label: one for one in apis_of(study(own), 0.8)}
    usd = PROMPT * (0.5 * 1.0 + 0.5 * 0.1) + OUTPUT * 2.0
    assert by_label["Your API"].usd_per_request == pytest.approx(usd / 1e6)
    assert by_label["Your API"].usd_per_mtok == pytest.approx(usd / (PROMPT + OUTPUT))
    row = TABLES.token_apis["wandb-llama-3.1-8b"]
    assert row.usd_per_mtok_cached is None
    assert by_label[row.provider].cached_share == 0
    assert by_label[row.provider].usd_per_mtok == pytest.approx(0.22)
    assert by_label[row.provider].usd_per_month == pytest.approx(
        0.22 * REQUESTS * (PROMPT + OUTPUT) / 1e6 * 730 / 24
    )
    costs = [one.usd_per_mtok for one in apis_of(study(own), 0.8)]
    assert costs == sorted(costs)


def test_no_cached_price_is_above_the_plain_one():
    """A cache that costs more than reading the prompt would be a slip of a column."""
    for row in TABLES.token_apis.values():
        assert row.usd_per_mtok_cached is None or row.usd_per_mtok_cached <= row.usd_per_mtok_input


def test_the_chart_meets_each_api_where_the_table_says():
    """The plan's line at a break-even is the API's level; it ends at what is reserved."""
    used, apis = machine(), (api(3.0), dataclasses.replace(api(0.5), label="Cheap"))
    table = used_table(used, apis)
    plan = table[table["line"] == "plan"]
    assert plan["usd_per_mtok"].iloc[-1] == pytest.approx(used.usd_per_mtok_reserved)
    (meets,) = table["break_even_per_day"].dropna().unique()
    assert np.interp(meets, plan["requests_per_day"], plan["usd_per_mtok"]) == pytest.approx(
        3.0, rel=0.01
    )
    figure = used_figure(table, requests_per_day=used.requests_per_day)
    assert {"Dedicated × 1", "An API", "Cheap"} <= {trace.name for trace in figure.data}


def test_an_api_that_costs_nothing_has_a_place_on_the_chart():
    """On an axis of powers of ten it stands at the lower end, called $0, and the axis says so."""
    used = machine()
    table = used_table(used, (dataclasses.replace(api(0.0), label="Free"),))
    figure = used_figure(table, requests_per_day=used.requests_per_day)
    (free,) = [trace for trace in figure.data if trace.name == "Free"]
    assert min(free.y) > 0
    assert max(free.y) < table.loc[table["line"] == "plan", "usd_per_mtok"].min()
    assert "$0" in free.hovertemplate
    assert "$0 at the lower end" in figure.layout.yaxis.title.text
