"""A scaler that looks once in a while: its laws, an independent simulator, hours by hand."""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction

import numpy as np
import pytest

from frontier.autoscalers import TickScaling
from frontier.errors import InputError
from frontier.policy import ScalingPolicy
from tests.property.test_simulation import Case, draw_case, draw_case_on_nodes, draw_engine
from tests.reference import assert_same, simulate

SEEDS = range(1000)


def draw_scaler(seed, *, on_grid):
    """Draw a scaler that mixes every rule, half of them none of most rules."""
    rng = np.random.default_rng([seed, on_grid, 13])
    tick_s = float(rng.choice([0.25, 0.5, 1.0, 3.0])) if on_grid else float(rng.uniform(0.1, 3))

    def ticks(most):
        return float(rng.choice([0, 0, rng.integers(0, most)])) * tick_s

    def delay(scale):
        exact = rng.integers(0, 4 * scale) / 4 if on_grid else rng.exponential(scale)
        return float(rng.choice([0.0, exact]))

    waits = rng.random() < 0.2
    panics = rng.random() < 0.4
    separate = rng.random() < 0.3
    return TickScaling(
        tick_s=tick_s,
        window_s=0.0 if waits else ticks(12),
        counts_after_s=delay(4) if waits else 0.0,
        tolerance=float(rng.choice([0.0, 0.0, 0.125, 0.5])),
        panic_window_s=max(tick_s, ticks(4)) if panics else 0.0,
        panic_threshold=float(rng.choice([1.0, 1.5, 2.0])) if panics else math.inf,
        up_window_s=ticks(5),
        down_window_s=ticks(10),
        look_back=str(rng.choice(["range", "row"])),
        up_factor=float(rng.choice([math.inf, 1.25, 2.0])),
        up_count=int(rng.choice([0, 1, 2])),
        down_factor=float(rng.choice([0.0, 0.5, 0.75])),
        down_count=int(rng.choice([0, 1, 2])),
        excess_share=float(rng.choice([1.0, 1.0, 0.5, 0.25])),
        counts_ready=bool(rng.random() < 0.4),
        needs_ready=bool(rng.random() < 0.25),
        activator=bool(rng.random() < 0.6),
        activation=float(rng.choice([0, 0, 0, 0.5, 2])),
        zero_tick_s=float(rng.integers(1, 4)) * tick_s if separate else None,
        zero_delay_s=delay(8),
        cancels_starts=bool(rng.random() < 0.5),
        idle_timeout_leads=bool(rng.random() < 0.25),
    )


def with_scaler(case, scaler):
    return dataclasses.replace(case, policy=dataclasses.replace(case.policy, scaler=scaler))


def expect(case, *, on_grid):
    """Return what the slow simulator makes of a case."""
    number = Fraction if on_grid else float
    prefix, chunks, pods_s = case.prefix, case.prefill_chunks, case.pod_start_s
    return simulate(
        [number(at) for at in case.arrival_s],
        [number(time) for time in case.prefill_s],
        [int(tokens) for tokens in case.output_tokens],
        [number(step) for step in case.decode_step_s],
        policy=case.policy,
        cold_start=[number(start) for start in case.cold_start_s],
        horizon=number(case.horizon_s),
        pod_start=() if pods_s is None else [number(start) for start in pods_s],
        chunks=None if chunks is None else chunks.tolist(),
        prefix=prefix
        and {
            "parent": prefix.parent.tolist(),
            "saved_s": [number(saved) for saved in prefix.saved_s],
            "tokens": prefix.tokens.tolist(),
            "cache_tokens": prefix.cache_tokens,
            "least_prefill_s": number(prefix.least_prefill_s),
        },
    )


@pytest.mark.parametrize("on_grid", [False, True], ids=["continuous", "full of ties"])
def test_with_ticks_it_agrees_with_the_reference(on_grid):
    """Every request and every session is the reference's, to a microsecond, with any scaler.

    The reference keeps all numbers of requests there ever were, and looks at every tick.
    """
    cancelled = 0
    for seed in SEEDS:
        draw = (draw_case, draw_case, draw_case_on_nodes, draw_engine)[seed % 4]
        case = with_scaler(draw(seed, on_grid=on_grid), draw_scaler(seed, on_grid=on_grid))
        result = case.run()
        assert_same(result, expect(case, on_grid=on_grid))
        cancelled += np.count_nonzero(result.sessions["ready_s"] == result.sessions["ended_s"])
    assert cancelled > 10


def test_ticks_without_end_in_short_tend_to_the_instant_rule():
    """Looking all the time at what is there, and leaving by the idle timeout: the rule without.

    One request to a replica, so that none is idle that is still wanted: the instant rule would
    let it go and not start another before the next arrival.
    """
    scaler = TickScaling(tick_s=1e-6, idle_timeout_leads=True)
    started = 0
    for seed in range(120):
        case = draw_case(seed)
        policy = dataclasses.replace(
            case.policy,
            buffer_replicas=0,
            target_concurrency=None,
            # One that gives up at once was there for the instant rule and for no tick.
            queue_timeout_s=math.inf,
            refuses_cold=False,
        )
        plain = dataclasses.replace(case, policy=policy, decode_step_s=case.decode_step_s[:1])
        result, looked = plain.run(), with_scaler(plain, scaler).run()
        np.testing.assert_allclose(looked.finish_s, result.finish_s, rtol=0, atol=1e-3)
        np.testing.assert_allclose(looked.held_s, result.held_s, rtol=0, atol=1e-3)
        started += len(result.sessions)
    assert started > 300


def serve(arrival_s, scaler, **rules):
    """Serve requests of 10 s each, one to a replica, with starts of 20 s, over an hour."""
    return Case(
        arrival_s=np.asarray(arrival_s, dtype=float),
        prefill_s=np.full(len(arrival_s), 10.0),
        output_tokens=np.ones(len(arrival_s), dtype=int),
        decode_step_s=np.array([1.0]),
        policy=ScalingPolicy(max_replicas=10, scaler=scaler, **rules),
        cold_start_s=np.array([20.0]),
        horizon_s=3600.0,
    ).run()


KNATIVE = TickScaling(
    tick_s=2.0,
    window_s=60.0,
    panic_window_s=6.0,
    panic_threshold=2.0,
    up_factor=1000.0,
    down_factor=0.5,
    counts_ready=True,
    zero_delay_s=30.0,
    cancels_starts=True,
)
KEDA = TickScaling(
    tick_s=15.0,
    tolerance=0.1,
    down_window_s=300.0,
    up_factor=2.0,
    up_count=4,
    activator=False,
    zero_tick_s=30.0,
    zero_delay_s=300.0,
    cancels_starts=True,
)


def test_an_hour_of_knative_by_hand():
    """Four requests at 101 s and one at 1,001 s, one to a replica.

    - 101: nothing is up, so the activator starts replica 0, ready at 121; the averages begin.
    - 102: 4 on average since 101, in both windows. 4 wanted over 1 (none is ready, counted as 1)
      is 2 or more: it panics, and starts replicas 1 to 3, ready at 122.
    - 121 and 122: all are served, until 131 (replica 0) and 132.
    - 120 is the last tick with reason to panic: at 122 there are 4 ready, and 4 over 4 is 1.
    - 182 is the first tick more than 60 s later. The average is (9 x 4 + 1 x 3) / 60 = 0.65: 1
      is wanted, but of 4 ready no more than half leave: 0, idle longest, then 1.
    - 184: (7 x 4 + 3) / 60 wants 1; half of the 2 ready leave: replica 2.
    - 190: the window from 130 on has (4 + 3) / 60, the last work found. From 220 on, 30 s later,
      none is asked for: replica 3 ends.
    - 1,001: again one start, ready at 1,021, until 1,031. The window of 1,090 still has a second
      of it, that of 1,092 none: the end is at 1,120.
    """
    result = serve([101, 101, 101, 101, 1001], KNATIVE)
    assert result.ttft_s.tolist() == [30.0, 31.0, 31.0, 31.0, 30.0]
    assert result.caused_start.tolist() == [True, False, False, False, True]
    rows = result.sessions
    assert rows["started_s"].tolist() == [101.0, 102.0, 102.0, 102.0, 1001.0]
    assert rows["ended_s"].tolist() == [182.0, 182.0, 184.0, 220.0, 1120.0]
    assert result.held_s == 81 + 80 + 82 + 118 + 119


def test_an_hour_of_keda_by_hand():
    """Three requests at 100 s and one at 1,990 s; KEDA looks every 30 s, the HPA every 15 s.

    - 120: the first poll finds 3 waiting and sets one replica, ready at 140.
    - 135: the HPA wants 3 to 1; it may double or add 4: replicas 1 and 2 start, ready at 155.
    - 140 to 150 and 150 to 160: replica 0 serves the first two; 155 to 165: replica 1 the third.
    - 150: 2 in the system (the finish of 150 comes first) want 2, but 3 were wanted at 135, less
      than 300 s ago, so 3 stay. That poll is also the last that finds work.
    - 435: 135 lies 300 s back and counts no more, 150 does: 2 are asked for, and of the idle ones
      replica 2, idle since 155, leaves.
    - 450: a poll of KEDA, 300 s after that of 150: the other two leave.
    - 2,010: the next poll after 1,990 starts one, ready at 2,030, until 2,040. The poll of 2,040
      finds nothing, so 300 s after that of 2,010 it leaves.
    """
    result = serve([100, 100, 100, 1990], KEDA)
    assert result.ttft_s.tolist() == [50.0, 60.0, 65.0, 50.0]
    rows = result.sessions
    assert rows["started_s"].tolist() == [120.0, 135.0, 135.0, 2010.0]
    assert rows["ended_s"].tolist() == [450.0, 450.0, 435.0, 2310.0]
    assert result.held_s == 330 + 315 + 300 + 300


def test_a_change_wanted_all_along_goes_to_the_latest_number():
    """In a row: two ticks before want more than there is as well; else the lowest of them counts.

    One is started at 1, ready at 21; at 10, 20 and 30 there are 2, 3 and 5 in the system, so in a
    row 5 are asked for at 30. For the lowest the first tick stands alone: 2 at 10, ready at 30.
    At 40 two are served and 3 left, and 3 is the lowest of 20, 30 and 40.
    """
    row = TickScaling(tick_s=10.0, up_window_s=20.0, look_back="row")
    lowest = dataclasses.replace(row, look_back="range", up_window_s=30.0)
    arrival_s = [1, 2, 12, 22, 23]
    assert serve(arrival_s, row).sessions["started_s"].tolist() == [1.0] + [30.0] * 4
    assert serve(arrival_s, lowest).sessions["started_s"].tolist() == [1.0, 10.0, 40.0]


def test_half_of_those_too_many_leave_at_a_time():
    """Four idle after a burst: 2, 1 and 1 leave, each after 100 s in which fewer were wanted."""
    halves = TickScaling(tick_s=10.0, down_window_s=100.0, look_back="row", excess_share=0.5)
    rows = serve([5, 5, 5, 5], halves).sessions
    # All served at 40 and nothing wanted at 40: acts at 140, at 250 and at 360.
    assert sorted(rows["ended_s"]) == [140.0, 140.0, 250.0, 360.0]


def test_requests_count_after_a_wait_in_the_queue():
    """One replica is busy from 1 on; the request of 12 counts at 16, not at 15."""
    delay = TickScaling(tick_s=1.0, counts_after_s=4.0, idle_timeout_leads=True)
    result = serve([1, 12], delay, idle_timeout_s=5.0)
    assert result.sessions["started_s"].tolist() == [1.0, 16.0]


def test_a_start_that_is_not_needed_is_cancelled_or_goes_on():
    """Queued requests give up at 6: one start is too many at 10, the last at 15, or when ready."""
    goes_on = TickScaling(tick_s=5.0)
    cancels = dataclasses.replace(goes_on, cancels_starts=True)
    for scaler, ended_s in ((goes_on, [21.0, 25.0]), (cancels, [15.0, 10.0])):
        rows = serve([1, 1], scaler, queue_timeout_s=5.0).sessions
        assert rows["started_s"].tolist() == [1.0, 5.0]
        assert rows["ended_s"].tolist() == ended_s
        assert rows["busy_s"].sum() == 0


def test_cancelled_starts_are_those_of_the_formula_and_others_hold_more():
    """M/M/k/setup with instant off lets no start go on for which no request waits.

    For k = 4, a rate of 0.2/s, services of 1 s and starts of 10 s on average, all exponential,
    its Markov chain has a mean wait of 4.636 s and 1.104 replicas up.
    """
    rng = np.random.default_rng(14)
    n = 60_000
    case = Case(
        arrival_s=np.cumsum(rng.exponential(5.0, n)),
        prefill_s=rng.exponential(1.0, n),
        output_tokens=np.ones(n, dtype=int),
        decode_step_s=np.array([1.0]),
        policy=ScalingPolicy(max_replicas=4),
        cold_start_s=rng.exponential(10.0, 4 * n),
        horizon_s=5.0 * n,
    )
    cancels = TickScaling(tick_s=0.01, cancels_starts=True)
    as_in_formula = with_scaler(case, cancels).run()
    goes_on = with_scaler(case, dataclasses.replace(cancels, cancels_starts=False)).run()
    wait_s = np.mean(as_in_formula.ttft_s - case.prefill_s)
    assert wait_s == pytest.approx(4.636, rel=0.03)
    assert as_in_formula.held_s / case.horizon_s == pytest.approx(1.104, rel=0.03)
    assert goes_on.held_s > 1.25 * as_in_formula.held_s


def test_hours_with_nothing_to_do_take_no_looks():
    """A tick of a microsecond, over centuries: what happens is the same, and it ends."""
    scaler = TickScaling(tick_s=1e-6, window_s=1e-5, zero_delay_s=1e-4)
    result = serve([1.0, 1e9], scaler)
    np.testing.assert_allclose(result.ttft_s, [30.0, 30.0], atol=1e-5)


def test_a_request_that_nothing_is_started_for_is_rejected():
    """Three waiting are no work where more than five are: they are never served."""
    scaler = TickScaling(tick_s=1.0, activator=False, activation=5.0)
    assert serve([1, 2, 3], scaler).rejected.all()
    assert not serve([1, 2, 3, 4, 5, 6], scaler).rejected.any()


@pytest.mark.parametrize(
    ("field", "rules"),
    [
        ("tick_s", {"tick_s": 0.0}),
        ("tick_s", {"tick_s": math.inf}),
        ("window_s", {"window_s": 25.0}),
        ("window_s", {"window_s": 20.0, "counts_after_s": 4.0}),
        ("panic_window_s", {"panic_window_s": 5.0}),
        ("down_window_s", {"down_window_s": math.inf}),
        ("zero_tick_s", {"zero_tick_s": 15.0}),
        ("tolerance", {"tolerance": -0.1}),
        ("up_factor", {"up_factor": 1.0}),
        ("down_factor", {"down_factor": 1.0}),
        ("up_count", {"up_count": 1.5}),
        ("excess_share", {"excess_share": 0.0}),
        ("look_back", {"look_back": "mean"}),
    ],
)
def test_an_impossible_scaler_is_refused_by_name(field, rules):
    """The message begins with the field at fault."""
    with pytest.raises(InputError, match=f"^{field} must be"):
        TickScaling(**({"tick_s": 10.0} | rules))


def test_a_scaler_and_half_of_those_too_many_at_each_timeout_exclude_each_other():
    """What leaves when is said once."""
    with pytest.raises(InputError, match=r"^scale_down must be all where a scaler"):
        ScalingPolicy(scale_down="half_per_window", scaler=KEDA)
    with pytest.raises(InputError, match=r"^scaler must be"):
        ScalingPolicy(scaler="keda")
