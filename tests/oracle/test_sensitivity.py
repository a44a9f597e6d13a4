"""Scale-to-zero against always-on: where they cross, what flips it, what a start costs."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from frontier import rivals as module
from frontier.billing import GPU_LINES
from frontier.break_even import break_even, rate_range
from frontier.errors import InputError
from frontier.plans.scenario import Scenario
from frontier.policy import ScalingPolicy
from frontier.rivals import (
    ALWAYS_ON,
    AS_SHIPPED,
    CHEAPEST,
    UNCHANGED,
    Change,
    Rivals,
    scaled_start,
    scaled_tokens,
    usd_per_month,
)
from frontier.sensitivity import metered_hour, sensitivity, swings
from frontier.simulate import Cancelled, simulate_replicas
from frontier.sweep import Deal, bill_outcome, tolerance_of
from frontier.tables import load_tables
from frontier.trace import TraceReport, make_trace

TABLES = load_tables()
SCENARIO = Scenario("Llama-3.1-8B-Instruct", "bf16", "modal-l40s", "crusoe-l40s", 2.0)
LIMIT_S = 2.0
DAY_S = 86400.0


def poisson(per_day: float, days: float = 7.0, seed: int = 1):
    """Return Poisson traffic of equal requests."""
    rng = np.random.default_rng(seed)
    times = np.sort(rng.uniform(0.0, days * DAY_S, int(per_day * days)))
    return make_trace(
        "poisson",
        times,
        np.full(times.size, 1000),
        np.full(times.size, 200),
        horizon_s=days * DAY_S,
        report=TraceReport("generated"),
    )


@pytest.fixture(scope="module")
def rivals():
    return Rivals(SCENARIO, poisson(500), TABLES)


@pytest.fixture(scope="module")
def found(rivals):
    return break_even(rivals, line=AS_SHIPPED, limit_s=LIMIT_S, tables=TABLES)


def test_a_poisson_stream_breaks_even_where_the_closed_form_says(rivals, found):
    """For random requests the computed crossing is that of the one-replica cycle, within 8 %.

    Scale-to-zero is billed for the cycle's held share less what of a start its provider does not
    bill, and gets its free credit; always-on is one replica. The cycle serves one request after the
    other; requests that overlap share their decode steps, so the computed crossing lies higher.
    """
    from frontier.analytic import replica_cycle
    from frontier.billing import billed_start_s, replica_usd_per_h
    from frontier.plans.scenario import replica_rps
    from frontier.sweep import host_need

    (crossing,) = found.crossings
    deployment, plan = rivals.deployment, rivals.base_plan()
    stage_s = np.array([list(plan.start.wall_s.values())])
    offers = [
        TABLES.offers[side.offer_id] for side in (deployment.serverless, deployment.dedicated)
    ]
    rules = TABLES.rules_of(offers[0])
    billed_s = float(billed_start_s(stage_s, rules)[0])
    start_s = plan.start.typical_s
    hours = TABLES.setting("hours_per_month")
    hour = {
        offer.offer_id: replica_usd_per_h(
            offer, gpus_per_replica=1, tables=TABLES, need=host_need(side, TABLES)
        )
        for offer, side in zip(offers, (deployment, deployment.machines), strict=True)
    }
    # A lone request: its prompt, and a step for each further token.
    speed = deployment.speed
    work_s = float(speed.prefill_s([1000])[0]) + 199 * float(speed.decode_step_s[0])
    assert work_s > 0.5 / replica_rps(rivals.trace, speed) / speed.max_sequences
    fee_usd = rules.platform_fee_usd_month - rules.free_credit_usd_month

    def gap_usd(factor: float) -> float:
        rate = factor * rivals.trace.arrival_s.size / rivals.trace.horizon_s
        cycle = replica_cycle(
            [rate], cold_start_s=start_s, residence_s=work_s, idle_timeout_s=rivals.idle_timeout_s
        )
        starting = float(cycle.waited_fraction[0] - cycle.trigger_fraction[0])
        billed = float(cycle.held_fraction[0]) - starting * (1 - billed_s / start_s)
        serverless = billed * hours * hour[deployment.serverless.offer_id] + fee_usd
        return serverless - hours * hour[deployment.dedicated.offer_id]

    from scipy.optimize import brentq

    assert crossing.at == pytest.approx(brentq(gap_usd, 0.05, 20), rel=0.08)
    assert crossing.at > brentq(gap_usd, 0.05, 20)
    assert crossing.dearer_above
    assert crossing.low <= crossing.at <= crossing.high


def test_the_crossing_lies_between_the_computed_points_of_the_two_lines(found):
    """Scale-to-zero is cheaper at every rate drawn below the crossing and dearer at all above."""
    (crossing,) = found.crossings
    rival = {point.factor: point.usd_per_month for point in found.points if point.line == ALWAYS_ON}
    for point in found.points:
        if point.line == AS_SHIPPED:
            dearer = point.usd_per_month > rival[point.factor]
            assert dearer == (point.factor > crossing.at)


def test_the_cheapest_idle_timeout_costs_no_more_than_the_provider_s_own(found):
    """At every rate and for the mean over the draws, up to what the first draw cannot know."""
    usd = {(p.line, p.factor): p.usd_per_month for p in found.points}
    for line, factor in usd:
        if line == CHEAPEST:
            assert usd[CHEAPEST, factor] <= usd[AS_SHIPPED, factor] * 1.01


def test_the_traffic_as_it_is_is_one_of_the_rates_and_not_drawn(rivals, found):
    """At one times the traffic the cost is that of the trace itself, with no spread."""
    (point,) = [p for p in found.points if p.line == AS_SHIPPED and p.factor == 1.0]
    (outcome,) = rivals.scale_to_zero(Change(idle_timeout_s=rivals.idle_timeout_s))
    assert outcome.requests == rivals.trace.arrival_s.size
    assert point.usd_per_month == point.usd_low == point.usd_high == usd_per_month(outcome, TABLES)


def test_always_on_has_the_fewest_replicas_that_hold_the_limit():
    """One replica fewer breaks the limit; the number of replicas is that of the bill."""
    rivals = Rivals(SCENARIO, poisson(1_500_000, days=0.02), TABLES)
    limit_s = 0.75
    rival = rivals.always_on(UNCHANGED, limit_s)
    assert rival.holds_limit
    assert rival.replicas >= 2
    (outcome,) = rival.outcomes
    assert outcome.latency.p99_ttft_s <= limit_s
    assert outcome.plan.policy.max_replicas == rival.replicas
    fewer = rivals._dedicated(UNCHANGED, 0, rival.replicas - 1, lambda: None)
    assert fewer.latency.p99_ttft_s > limit_s
    price = TABLES.offers["crusoe-l40s"].usd_per_gpu_h
    assert usd_per_month(outcome, TABLES) == pytest.approx(rival.replicas * price * 730)


def test_a_limit_that_no_number_of_replicas_holds_is_said(rivals):
    """Below the time of a prompt alone nothing helps: the fewest that are as fast stand in."""
    rival = rivals.always_on(UNCHANGED, 1e-6)
    assert not rival.holds_limit
    fewer = rivals.always_on(UNCHANGED, math.inf)
    assert fewer.replicas == 1
    # A second one spares a prompt the answers beside it, and more spare it next to nothing.
    waits_s = [run.latency.p99_ttft_s for run in (*fewer.outcomes, *rival.outcomes)]
    slack_s = tolerance_of(TABLES).of_wait(waits_s[-1])
    assert rival.replicas == 2
    assert waits_s[0] > waits_s[-1] + slack_s


def test_no_crossing_where_a_dedicated_hour_costs_more_than_a_serverless_one():
    """One GPU used of eight that are paid: dedicated over serverless is above 1, no break-even."""
    scenario = dataclasses.replace(
        SCENARIO, serverless_offer="fal-h100", dedicated_offer="crusoe-h100-8x"
    )
    rivals = Rivals(scenario, poisson(100), TABLES)
    assert break_even(rivals, line=AS_SHIPPED, limit_s=LIMIT_S, tables=TABLES).crossings == ()


def test_another_price_simulates_only_what_lies_around_the_new_crossing(monkeypatch):
    """The same prices ask for no simulation; others for less than half of those at first."""
    calls = []
    original = module.simulate_plans
    monkeypatch.setattr(
        module, "simulate_plans", lambda *a, **k: calls.append(1) or original(*a, **k)
    )
    rivals = Rivals(SCENARIO, poisson(200), TABLES)

    def simulations(deal: Deal) -> int:
        calls.clear()
        break_even(rivals, line=AS_SHIPPED, limit_s=LIMIT_S, tables=TABLES, deal=deal)
        return len(calls)

    dearer = Deal(machines=dataclasses.replace(Deal().machines, multiplier=1.2))
    first = simulations(Deal())
    assert first > 0
    assert simulations(Deal()) == 0
    assert simulations(dearer) < first / 2


def test_a_progress_callback_that_raises_stops_the_work():
    """What the caller raises comes out; no worker goes on."""
    rivals = Rivals(SCENARIO, poisson(500), TABLES)

    def stop(done, of):
        raise Cancelled("enough")

    with pytest.raises(Cancelled, match="enough"):
        break_even(rivals, line=AS_SHIPPED, limit_s=LIMIT_S, tables=TABLES, progress=stop)


def test_the_tornado_moves_prices_as_a_bill_does(rivals):
    """A price band of 25 % moves the gap by 25 % of the GPU time of that side's bill."""
    moved = sensitivity(rivals, 60.0, limit_s=LIMIT_S, tables=TABLES)
    bars = {bar.swing.key: bar for bar in moved.bars}
    (zero,) = rivals.scale_to_zero(Change(idle_timeout_s=60.0))
    (rival,) = rivals.always_on(UNCHANGED, LIMIT_S).outcomes
    assert moved.gap_usd == pytest.approx(
        usd_per_month(zero, TABLES) - usd_per_month(rival, TABLES)
    )
    band = TABLES.setting("price_band")
    dedicated = bars["dedicated_price"]
    usd = usd_per_month(rival, TABLES)
    assert dedicated.at_low - moved.gap_usd == pytest.approx(band * usd)
    assert dedicated.at_high - moved.gap_usd == pytest.approx(-band * usd)
    serverless = bars["serverless_price"]
    # The GPU price alone: cores and memory, and the credit, stay as they are.
    hours = TABLES.setting("hours_per_month")
    lines = bill_outcome(zero, TABLES).lines_per_month(hours)
    metered = sum(lines[name] for name in GPU_LINES)
    assert serverless.at_high - moved.gap_usd == pytest.approx(band * metered)
    assert [bar.spread for bar in moved.bars] == sorted(
        (b.spread for b in moved.bars), reverse=True
    )


def test_a_flip_is_where_the_two_cost_the_same(rivals):
    """At the value that flips the verdict, set as the input's, the gap is within a percent of 0."""
    moved = sensitivity(rivals, 60.0, limit_s=LIMIT_S, tables=TABLES)
    flips = {flip.swing.key: flip for flip in moved.flips}
    flip = flips["idle_timeout_s"]
    assert flip.swing.low < flip.value < flip.swing.high
    (zero,) = rivals.scale_to_zero(Change(idle_timeout_s=flip.value))
    (rival,) = rivals.always_on(UNCHANGED, LIMIT_S).outcomes
    assert usd_per_month(zero, TABLES) == pytest.approx(usd_per_month(rival, TABLES), rel=0.01)


def test_swings_hold_their_base_and_follow_the_provider_s_range(rivals):
    """Low < base < high for every input; the idle timeout spans what the provider allows."""
    found = {swing.key: swing for swing in swings(rivals, 60.0, TABLES)}
    for swing in found.values():
        assert 0 < swing.low < swing.base < swing.high
    behaviour = rivals.deployment.serverless.behaviour
    assert found["idle_timeout_s"].low == behaviour.idle_min_s
    assert found["idle_timeout_s"].high == behaviour.idle_max_s
    assert found["traffic"].base == pytest.approx(500)


@pytest.mark.parametrize("requests", [2, 3, 15])
def test_of_a_handful_of_requests_traffic_is_moved_up_alone(requests):
    """Half of two requests may be none at all: their sensitivity is found all the same."""
    few = Rivals(SCENARIO, poisson(requests, days=1.0), TABLES)
    (traffic,) = (swing for swing in swings(few, 60.0, TABLES) if swing.key == "traffic")
    assert traffic.low == traffic.base < traffic.high
    if requests == 2:
        moved = sensitivity(few, 60.0, as_shipped=True, limit_s=LIMIT_S, tables=TABLES)
        assert {bar.swing.key for bar in moved.bars} >= {"traffic", "tokens", "start"}


def test_scaled_inputs_keep_what_they_are():
    """A start twice as long has twice every draw; tokens scale and an answer keeps one token."""
    rivals = Rivals(SCENARIO, poisson(50), TABLES)
    start = rivals.base_plan().start
    normals = np.random.default_rng(0).standard_normal((50, 10))
    np.testing.assert_allclose(
        scaled_start(start, 2.0).draw(normals).total_s, 2 * start.draw(normals).total_s
    )
    runs = start.with_measured("total", (40.0, 90.0))
    np.testing.assert_allclose(
        scaled_start(runs, 0.5).draw(normals).stage_s, runs.draw(normals).stage_s / 2
    )
    assert scaled_start(start.replace("pull", median_s=None), 2.0)["pull"].median_s is None
    trace = scaled_tokens(rivals.trace, 0.001)
    assert set(trace.prompt_tokens) == {1}
    assert set(trace.output_tokens) == {1}
    assert trace.horizon_s == rivals.trace.horizon_s


def test_mitigations_that_do_not_go_together_are_refused():
    """A set that the deployment does not have is an error that names it."""
    with pytest.raises(InputError):
        Rivals(SCENARIO, poisson(50), TABLES, ("no-such-mitigation",)).base_plan()


@pytest.mark.parametrize(
    ("per_day", "days", "capped"), [(500, 7, False), (60_000, 7, True), (2, 7, True)]
)
def test_the_range_of_rates_holds_the_traffic_and_is_capped(per_day, days, capped):
    """Neither more requests than are quick nor fewer than mean something; 1 is always within."""
    trace = poisson(per_day, days)
    low, high, is_capped = rate_range(trace, TABLES)
    assert low <= 1 <= high
    assert low < high
    assert is_capped == capped
    if capped and high > 1:
        least = TABLES.setting("break_even_least_requests")
        assert low * trace.arrival_s.size >= min(least, trace.arrival_s.size) - 1e-9


def test_five_seconds_behind_a_start_of_thirty():
    """The worked example: 30 of 35 metered seconds, 85.7 %, are wasted on a rare request."""
    hour = metered_hour(1e-9, cold_start_s=30, work_s=5, idle_timeout_s=0)
    assert hour.wasted_share == pytest.approx(30 / 35, rel=1e-6)
    kept = metered_hour(1e-9, cold_start_s=30, work_s=5, idle_timeout_s=65)
    assert kept.wasted_share == pytest.approx(95 / 100, rel=1e-6)


@pytest.mark.parametrize("per_h", [6.0, 60.0, 400.0])
def test_the_metered_hour_is_that_of_a_simulation(per_h):
    """Starting, working and idle seconds of one replica under Poisson traffic, each within 3 %."""
    rng = np.random.default_rng(5)
    arrivals = np.cumsum(rng.exponential(3600 / per_h, 40_000))
    horizon_s = float(arrivals[-1])
    # Ten steps of half a second whatever the load: 5 s for each request, and any number at once.
    result = simulate_replicas(
        arrivals,
        np.zeros(arrivals.size),
        np.full(arrivals.size, 11),
        np.full(64, 0.5),
        policy=ScalingPolicy(max_replicas=1, idle_timeout_s=40.0),
        cold_start_s=[30.0],
        horizon_s=horizon_s,
    )
    hour = metered_hour(per_h / 3600, cold_start_s=30, work_s=5, idle_timeout_s=40)
    for name in ("starting_s", "busy_s", "idle_s"):
        simulated_s = result.sessions[name].sum() / horizon_s * 3600
        formula_s = hour.working_s if name == "busy_s" else getattr(hour, name)
        assert simulated_s == pytest.approx(formula_s, rel=0.03), name
    assert hour.metered_s <= 3600


@pytest.mark.parametrize("work_s", [0.0, -1.0, math.inf, math.nan])
def test_work_that_takes_no_time_is_refused(work_s):
    """A share of nothing is no number."""
    with pytest.raises(InputError, match="work_s"):
        metered_hour(0.01, cold_start_s=30, work_s=work_s, idle_timeout_s=0)


def test_cores_and_memory_are_bars_that_move_the_bill_of_the_replica_alone(rivals):
    """Halved and doubled at Modal: the gap moves by their price for each billed second."""
    found = sensitivity(rivals, rivals.idle_timeout_s, limit_s=LIMIT_S, tables=TABLES)
    bars = {bar.swing.key: bar for bar in found.bars}
    (outcome,) = rivals.scale_to_zero(UNCHANGED)
    bill = bill_outcome(outcome, TABLES)
    months = outcome.horizon_s / (TABLES.setting("hours_per_month") * 3600)
    for key, usd_per_s in (("vcpus", 0.00000655), ("ram_gib", 0.00000222)):
        bar = bars[key]
        swing = bar.swing
        assert (swing.low, swing.high) == (swing.base / 2, swing.base * 2)
        moved = (swing.high - swing.low) * usd_per_s * bill.billed_s / months
        assert bar.at_high - bar.at_low == pytest.approx(moved, rel=1e-6)
        assert bar.at_low < found.gap_usd < bar.at_high


def test_an_offer_that_includes_cores_has_no_bars_for_them():
    """Koyeb's price has them in it."""
    scenario = dataclasses.replace(SCENARIO, serverless_offer="koyeb-l40s")
    koyeb = Rivals(scenario, poisson(500), TABLES)
    keys = {swing.key for swing in swings(koyeb, 60.0, TABLES)}
    assert not keys & {"vcpus", "ram_gib"}
