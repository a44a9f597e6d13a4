"""An estimate against a slow reference, the closed forms it generalises, and the simulation."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from frontier.analytic import idle_gap_table, replica_cycle
from frontier.errors import FrontierError
from frontier.estimate import cycles, estimate, in_words
from frontier.plans.scenario import Scenario
from frontier.sweep import Deal, bill_outcome, simulate_plans
from frontier.tables import load_tables
from frontier.trace import generate_trace

TABLES = load_tables()
DAY_S = 86400.0


def reference(arrival_s, prompt_s, answer_s, start_s, idle_timeout_s):
    """Return starts, readies, ends and waits of one replica, request by request."""
    starts, ready, ends, waits = [], [], [], []
    up_until = reading_until = last_finish = -math.inf
    for at, prompt, answer in zip(arrival_s, prompt_s, answer_s, strict=True):
        if at > up_until:
            if starts:
                ends.append(up_until)
            starts.append(at)
            ready.append(at + start_s[(len(starts) - 1) % len(start_s)])
            last_finish = reading_until = ready[-1]
        begins = max(at, ready[-1], reading_until)
        reading_until = begins + prompt
        waits.append(reading_until - at)
        last_finish = max(last_finish, reading_until + answer)
        up_until = last_finish + idle_timeout_s
    return starts, ready, [*ends, up_until], waits


@pytest.mark.parametrize("seed", range(30))
def test_one_pass_is_the_replica_followed_request_by_request(seed):
    """Every start, end and wait, on bursts and on single requests, short and long starts."""
    rng = np.random.default_rng(seed)
    size = int(rng.integers(1, 300))
    arrival_s = np.sort(rng.uniform(0, 3000.0, size))
    if seed % 2:
        arrival_s = np.sort(rng.choice(rng.uniform(0, 3000.0, 1 + size // 9), size))
    prompt_s, answer_s = rng.uniform(0, 0.2, size), rng.uniform(0, 6.0, size)
    start_s = rng.uniform(5.0, 60.0, 7)
    timeout_s = float(rng.choice([20.0, 40.0, 90.0]))
    starts, ready, ends, waits = reference(arrival_s, prompt_s, answer_s, start_s, timeout_s)
    found = cycles(
        arrival_s,
        prompt_s,
        answer_s,
        start_s=start_s,
        idle_timeout_s=timeout_s,
        horizon_s=1e6,
        holds=64,
        most_starts=1000,
    )
    assert np.allclose(found.sessions["started_s"], starts)
    assert np.allclose(found.sessions["ready_s"], ready)
    assert np.allclose(found.ttft_s, waits)
    assert np.allclose(found.sessions["ended_s"], ends, atol=float(prompt_s.sum()) + 6.0)
    held = found.sessions["starting_s"] + found.sessions["busy_s"] + found.sessions["idle_s"]
    assert np.allclose(held, found.sessions["ended_s"] - found.sessions["started_s"])


def test_on_poisson_arrivals_it_is_the_closed_form():
    """Held, triggering and waiting shares of the single-replica cycle, within their luck."""
    rng = np.random.default_rng(3)
    rate, start_s, residence_s, timeout_s = 1 / 90.0, 45.0, 5.0, 60.0
    arrival_s = np.cumsum(rng.exponential(1 / rate, 60_000))
    found = cycles(
        arrival_s,
        np.zeros_like(arrival_s),
        np.full_like(arrival_s, residence_s),
        start_s=np.array([start_s]),
        idle_timeout_s=timeout_s,
        horizon_s=float(arrival_s[-1]),
        holds=1000,
        most_starts=60_000,
    )
    exact = replica_cycle(
        [rate], cold_start_s=start_s, residence_s=residence_s, idle_timeout_s=timeout_s
    )
    sessions = found.sessions
    held_s = sum(sessions[name].sum() for name in ("starting_s", "busy_s", "idle_s"))
    assert held_s / arrival_s[-1] == pytest.approx(exact.held_fraction[0], rel=0.02)
    assert sessions.size / arrival_s.size == pytest.approx(exact.trigger_fraction[0], rel=0.02)
    waited = np.mean(found.ttft_s > 0)
    assert waited == pytest.approx(exact.waited_fraction[0], rel=0.02)


@pytest.mark.parametrize("timeout_s", [0.0, 30.0, 600.0])
def test_without_starts_and_work_it_is_the_idle_gap_table(timeout_s):
    """Cold requests and warm seconds hang on the gaps alone."""
    rng = np.random.default_rng(8)
    arrival_s = np.cumsum(rng.exponential(50.0, 2000))
    nothing = np.zeros_like(arrival_s)
    found = cycles(
        arrival_s,
        nothing,
        nothing,
        start_s=np.zeros(1),
        idle_timeout_s=timeout_s,
        horizon_s=float(arrival_s[-1]),
        holds=9,
        most_starts=5000,
    )
    table = idle_gap_table(arrival_s, [timeout_s])
    assert found.sessions.size == table.cold[0]
    assert found.sessions["idle_s"].sum() == pytest.approx(table.warm_s[0])


def _drawn(count):
    """Yield scenarios on generated traffic of which an estimate says something."""
    rng = np.random.default_rng(11)
    kinds = {
        kind: [o for o in TABLES.offers.values() if o.kind == kind]
        for kind in ("serverless", "dedicated")
    }
    presets = list(TABLES.trace_presets)
    while count:
        pair = [rows[rng.integers(len(rows))].offer_id for rows in kinds.values()]
        scenario = Scenario("Llama-3.1-8B-Instruct", "bf16", *pair, 2.0)
        try:
            trace = generate_trace(
                presets[rng.integers(len(presets))],
                seed=int(rng.integers(1_000_000)),
                days=float(rng.choice([1.0, 3.0, 7.0])),
                requests_per_day=float(np.exp(rng.uniform(np.log(20), np.log(8000)))),
                tables=TABLES,
            )
            found = estimate(scenario, trace, TABLES)
        except FrontierError:
            continue
        if any(not one.plan.policy.min_replicas for one in found):
            count -= 1
        yield trace, found


def test_where_it_is_shown_it_is_within_its_tolerance_of_the_simulation():
    """Cost and p99 of both plans, on forty drawn scenarios that scale to zero and more."""
    cost, p99 = (TABLES.setting(f"estimate_{name}_tolerance") for name in ("cost", "p99"))
    seen = {"usd": 0, "p99": 0}
    for trace, found in _drawn(40):
        for one in found:
            (outcome,) = simulate_plans([one.plan], trace, TABLES)
            if one.usd_per_month is not None:
                usd = bill_outcome(outcome, TABLES).usd_per_month(730.0)
                assert one.usd_per_month == pytest.approx(usd, rel=cost), (one, trace.name)
                seen["usd"] += 1
            if one.p99_ttft_s is not None:
                p99_s = outcome.latency.p99_ttft_s
                assert one.p99_ttft_s == pytest.approx(p99_s, rel=p99), (one, trace.name)
                seen["p99"] += 1
    assert min(seen.values()) >= 80


def test_where_no_closed_form_holds_nothing_is_said():
    """Autoscalers with ticks, prompts that begin alike, a second replica, interruptions."""
    trace = generate_trace("internal-rag", seed=17, days=2.0, requests_per_day=500.0, tables=TABLES)
    busy = generate_trace(
        "steady-chat", seed=1, days=1.0, requests_per_day=400_000.0, tables=TABLES
    )

    def said(serverless, dedicated, trace=trace, **more):
        scenario = Scenario("Llama-3.1-8B-Instruct", "bf16", serverless, dedicated, 2.0, **more)
        return {
            ("zero" if not one.plan.policy.min_replicas else "kept"): one
            for one in estimate(scenario, trace, TABLES)
        }

    assert set(said("modal-l40s", "crusoe-l40s")) == {"zero", "kept"}
    assert set(said("runpod-flex-l40s", "crusoe-l40s")) == {"kept"}
    assert set(said("modal-l40s", "crusoe-l40s", autoscaler="knative")) == {"kept"}
    assert set(said("modal-l40s", "verda-l40s-spot")) == {"zero"}
    found = said("modal-l40s", "crusoe-l40s", trace=busy)
    assert set(found) == {"kept"}
    assert found["kept"].p99_ttft_s is None
    from frontier.trace import with_cached_share

    cached = said("modal-l40s", "crusoe-l40s", trace=with_cached_share(trace, 0.5))
    assert set(cached) == {"kept"}
    assert cached["kept"].p99_ttft_s is None


def test_an_estimate_is_of_the_deal_and_says_about():
    """Terms count as in a bill, a commitment too; an hour where less than a day was seen."""
    trace = generate_trace("internal-rag", seed=17, days=2.0, requests_per_day=500.0, tables=TABLES)
    scenario = Scenario("Llama-3.1-8B-Instruct", "bf16", "modal-l40s", "crusoe-l40s", 2.0)
    plain = {one.name: one for one in estimate(scenario, trace, TABLES)}
    deal = Deal(commitment=next(iter(TABLES.commitments.values())))
    bound = {one.name: one for one in estimate(scenario, trace, TABLES, deal)}
    name = "1 always-on replica of Crusoe L40S"
    assert bound[name].usd_per_month < plain[name].usd_per_month
    assert in_words(plain[name], is_short=False).startswith(f"{name}: about $1,095 a month, p99")
    assert "$1.50 an hour" in in_words(plain[name], is_short=True)
    alone = dataclasses.replace(plain[name], p99_ttft_s=None)
    assert in_words(alone, is_short=False) == f"{name}: about $1,095 a month."
