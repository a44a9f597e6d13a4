"""Laws of mitigations where they count: on plans that serve a trace and get a bill."""

from __future__ import annotations

import dataclasses
import functools
import itertools

import numpy as np
import pytest

from frontier.errors import InputError
from frontier.mitigations.base import Standing, missing_for
from frontier.mitigations.registry import MITIGATIONS, mitigation
from frontier.plans.grid import (
    dedicated_plans,
    default_grid,
    default_idle_timeout_s,
    mitigated_plan,
)
from frontier.plans.menu import mitigation_menu
from frontier.plans.scenario import Scenario, deploy, replica_rps, replicas_to_serve
from frontier.schedules import PREWARM_KINDS
from frontier.start.log import OwnStart, read_start_log
from frontier.start.stages import STAGES
from frontier.sweep import bill_outcome, rerun, simulate_plans, start_normals
from frontier.tables import load_tables
from frontier.trace import TraceReport, make_trace
from frontier.units import SECONDS_PER_DAY, SECONDS_PER_HOUR

TABLES = load_tables()
DAYS = 15
# Nothing is kept, cached or streamed: each mitigation has something to do.
SCENARIO = Scenario(
    "Llama-3.1-8B-Instruct",
    "bf16",
    "modal-l40s",
    "crusoe-l40s",
    2.0,
    max_replicas=4,
    start_changes=(
        ("storage", "s3"),
        ("loader", "download"),
        ("image_state", "registry"),
        ("compile_state", "cold"),
        ("kernel_state", "cold"),
    ),
)
WINDOWS = tuple(
    (day * SECONDS_PER_DAY + 8 * SECONDS_PER_HOUR, day * SECONDS_PER_DAY + 18 * SECONDS_PER_HOUR)
    for day in range(5)
)


def trace_until(until_s: float = DAYS * SECONDS_PER_DAY):
    """Return two weeks of bursts in working hours, the same tokens each; cut off at a time."""
    generator = np.random.default_rng(7)
    hours = [day * 24 + hour for day in range(DAYS) for hour in (9, 10, 14) if day % 7 < 5]
    bursts = [
        np.sort(generator.uniform(hour * SECONDS_PER_HOUR, hour * SECONDS_PER_HOUR + 1800, 6))
        for hour in hours
    ]
    arrival_s = np.concatenate(bursts)
    arrival_s = arrival_s[arrival_s < until_s]
    return make_trace(
        "bursts",
        arrival_s,
        np.full(arrival_s.size, 1000),
        np.full(arrival_s.size, 200),
        horizon_s=until_s,
        report=TraceReport("made for this test"),
    )


TRACE = trace_until()


@functools.cache
def deployment():
    return deploy(SCENARIO, TRACE, TABLES)


def menu_of(there, trace=TRACE):
    return mitigation_menu(there, trace, TABLES, asleep_held_fraction=0.5, warm_windows=WINDOWS)


@functools.cache
def outcomes():
    """Return what each mitigation alone does, under its option; nothing done under ""."""
    sets = {"": (), **{option: (item,) for option, item in menu_of(deployment()).usable.items()}}
    plans = [mitigated_plan(deployment(), items, TABLES) for items in sets.values()]
    return dict(zip(sets, simulate_plans(plans, TRACE, TABLES), strict=True))


OPTIONS = [
    *(cls.key for cls in MITIGATIONS if cls.key != "predicted-prewarm"),
    *(f"predicted-prewarm:{kind}" for kind in PREWARM_KINDS),
]


@pytest.mark.parametrize("option", OPTIONS)
def test_every_mitigation_moves_its_point(option):
    """Where it has something to do, the bill or the p99 of the plan is another."""
    assert option in outcomes(), menu_of(deployment()).refused
    bare, with_it = outcomes()[""], outcomes()[option]
    moved = (
        abs(with_it.latency.p99_ttft_s - bare.latency.p99_ttft_s) > 1e-6,
        abs(bill_outcome(with_it, TABLES).usd_span - bill_outcome(bare, TABLES).usd_span) > 1e-6,
    )
    assert any(moved)


@pytest.mark.parametrize("option", OPTIONS)
def test_no_start_is_quicker_than_its_bytes_over_the_bus(option):
    """Weights cross PCIe on every start and on every waking, however they are kept."""
    plan = outcomes()[option].plan
    inputs = deployment().start_inputs
    item = menu_of(deployment()).usable[option]
    workers = getattr(item, "workers", 1)
    least_s = inputs.checkpoint_gb / (inputs.pcie_gb_per_s * inputs.gpus * workers)
    assert plan.start.typical_s >= least_s
    for tier in plan.policy.parked:
        if option.startswith("sleep"):
            assert tier.resume_s >= least_s


@pytest.mark.parametrize("option", OPTIONS)
def test_no_mitigation_is_cheaper_than_the_work_or_free_of_its_standing_cost(option):
    """The bill is never below the busy seconds it holds, nor lowered by what stands."""
    outcome = outcomes()[option]
    bill = bill_outcome(outcome, TABLES)
    # The provider's free credit is no merit of the plan.
    assert bill.usd_span - bill.lines["fees"] >= bill.lines["busy"] > 0
    free = dataclasses.replace(outcome.plan, standing=Standing())
    rules = dataclasses.replace(TABLES.provider_rules["modal"], storage_usd_per_gb_month=0.1)
    dear = dataclasses.replace(TABLES, provider_rules={**TABLES.provider_rules, "modal": rules})
    with_it = bill_outcome(outcome, dear)
    without = bill_outcome(dataclasses.replace(outcome, plan=free), dear)
    standing = outcome.plan.standing
    if standing.storage_gb or standing.gpu_s_per_start or standing.host_ram_gib:
        assert with_it.usd_span > without.usd_span
    else:
        assert with_it.usd_span == without.usd_span


@pytest.mark.parametrize("replicas", [1, 2, 3])
def test_a_warm_pool_that_may_not_grow_is_a_dedicated_fleet_at_the_same_price(replicas):
    """Same sessions, same waits and, under one offer, the same dollars."""
    there = dataclasses.replace(deployment(), max_replicas=replicas)
    pool = mitigated_plan(there, (mitigation("warm-pool", TABLES, replicas=replicas),), TABLES)
    fleet = next(
        plan
        for plan in dedicated_plans(
            deploy(dataclasses.replace(SCENARIO, max_replicas=3), TRACE, TABLES).machines,
            TRACE,
            TABLES,
        )
        if plan.policy.max_replicas == replicas
    )
    # Pools pack requests and fleets spread them; the law is about what is kept, not about where.
    pool = dataclasses.replace(
        pool,
        offer_id=fleet.offer_id,
        standing=Standing(),
        policy=dataclasses.replace(pool.policy, routing="spread"),
    )
    one, other = simulate_plans([pool, fleet], TRACE, TABLES)
    np.testing.assert_array_equal(rerun(one, TRACE).ttft_s, rerun(other, TRACE).ttft_s)
    for part in ("busy_s", "idle_s", "starting_s", "cold_start_index"):
        np.testing.assert_array_equal(one.sessions[part], other.sessions[part])
    assert bill_outcome(one, TABLES).usd_span == pytest.approx(bill_outcome(other, TABLES).usd_span)


@pytest.mark.parametrize("kind", PREWARM_KINDS)
@pytest.mark.parametrize("cut_days", [9.4, 12.6])
def test_prewarming_does_not_look_ahead(kind, cut_days):
    """What happens to the requests before a time is the same if the trace ends there."""
    cut_s = cut_days * SECONDS_PER_DAY
    option = f"predicted-prewarm:{kind}"
    short = trace_until(cut_s)
    there = deploy(SCENARIO, short, TABLES)
    item = menu_of(there, short).usable[option]
    whole = menu_of(deployment()).usable[option]
    before = [change for change in whole.schedule if change[0] < cut_s]
    assert list(item.schedule) == before
    (one,) = simulate_plans([mitigated_plan(there, (item,), TABLES)], short, TABLES)
    served = rerun(one, short).ttft_s
    same = rerun(outcomes()[option], TRACE).ttft_s[: served.size]
    seen = short.arrival_s + same < cut_s
    assert seen.any()
    np.testing.assert_array_equal(served[seen], same[seen])


def test_a_kind_of_prewarming_that_was_right_leaves_fewer_waiting():
    """Bursts that repeat every week: the hour of the week, once learnt, spares starts."""
    waited = {
        option: outcome.latency.waited_on_start_share for option, outcome in outcomes().items()
    }
    assert waited["predicted-prewarm:hour-of-week"] < waited[""]
    assert waited["scheduled-prewarm"] < waited["predicted-prewarm:hour-of-week"]


@pytest.mark.parametrize("key", ["gpu-snapshot", "node-snapshot", "parallel-fetch"])
def test_what_is_known_for_one_gpu_is_refused_on_more_with_what_to_do_instead(key):
    """A 70B model on two or more GPUs: no snapshot, and the sentence names the other way."""
    large = deploy(
        dataclasses.replace(
            SCENARIO,
            model="Llama-3.3-70B-Instruct",
            serverless_offer="modal-h100",
            dedicated_offer=next(
                o.offer_id
                for o in TABLES.offers.values()
                if o.gpu == TABLES.offers["modal-h100"].gpu and o.kind == "dedicated"
            ),
        ),
        TRACE,
        TABLES,
    )
    assert large.speed.gpus_per_replica > 1
    with pytest.raises(InputError, match=r"only known for replicas of one GPU.*Use "):
        mitigated_plan(large, (mitigation(key, TABLES),), TABLES)
    menu = menu_of(large)
    assert "Use a weight streamer" in menu.refused[key]
    assert {"weight-streamer", "compile-cache", "sleep-1"} <= set(menu.usable)


def test_combinations_that_exclude_each_other_say_why():
    """Every pair that is refused gives the reason of its class; every other pair makes a plan."""
    usable = menu_of(deployment()).usable
    for one, other in itertools.combinations(usable.values(), 2):
        reason = one.excludes.get(other.key) or other.excludes.get(one.key)
        if reason:
            with pytest.raises(InputError, match=reason):
                mitigated_plan(deployment(), (one, other), TABLES)
        elif one.key != other.key:
            plan = mitigated_plan(deployment(), (one, other), TABLES)
            assert set(plan.mitigations) == {one.key, other.key}


def test_what_is_like_that_already_is_named_and_not_offered():
    """Streamed image and kept graphs: neither is offered again. A short limit rules out keeping."""
    there = deploy(dataclasses.replace(SCENARIO, start_changes=()), TRACE, TABLES)
    refused = menu_of(there).refused
    assert "like that already" in refused["compile-cache"]
    assert "like that already" in refused["image-streaming"]
    short = dataclasses.replace(there.serverless.behaviour, idle_max_s=120.0)
    strict = dataclasses.replace(
        there, supply=dataclasses.replace(there.serverless, behaviour=short)
    )
    assert "at most 2 min" in menu_of(strict).refused["keep-alive"]


def test_the_hour_of_the_week_is_not_offered_where_there_was_no_week_before():
    """A trace of three days has no earlier week to learn from."""
    short = trace_until(3 * SECONDS_PER_DAY)
    refused = menu_of(deploy(SCENARIO, short, TABLES), short).refused
    assert "no reason to start early" in refused["predicted-prewarm:hour-of-week"]


def test_a_platform_is_not_credited_with_what_it_is_not_known_to_offer():
    """Snapshots of a node need a node; a platform's own mitigations need its offer."""
    modal, own = TABLES.platforms["modal"], TABLES.platforms["kubernetes"]
    make = functools.partial(mitigation, tables=TABLES)
    assert missing_for(make("node-snapshot"), modal)
    assert not missing_for(make("node-snapshot"), own)
    assert not missing_for(make("gpu-snapshot"), modal)
    assert missing_for(make("gpu-snapshot"), TABLES.platforms["runpod"])
    assert not missing_for(make("compile-cache"), modal)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ((("storage_gb_per_s", 0.0),), "storage_gb_per_s must be above 0"),
        ((("storage", "hf-hub"), ("loader", "mmap")), "Choose another loader or storage"),
        ((("storage", "local-nvme"),), "reads remote storage"),
        ((("host", "toaster"),), "no host called 'toaster'"),
        ((("allocate_s", -1.0),), "allocate_s"),
        ((("allocate_s", float("inf")),), "allocate_s"),
        ((("speed", 1.0),), "speed"),
    ],
)
def test_a_start_that_cannot_be_is_refused_before_anything_is_simulated(changes, message):
    """Zero rates, unknown names, impossible pairs and seconds: a sentence each."""
    merged = {**dict(SCENARIO.start_changes), **dict(changes)}
    wrong = dataclasses.replace(SCENARIO, start_changes=tuple(merged.items()))
    with pytest.raises(InputError, match=message):
        deploy(wrong, TRACE, TABLES)


def test_changes_of_the_start_reach_every_plan_that_starts():
    """A shorter allocation shortens every start on the serverless platform, and only there."""
    slow, quick = (
        deploy(
            dataclasses.replace(SCENARIO, start_changes=(("allocate_s", seconds),), mitigations=()),
            TRACE,
            TABLES,
        )
        for seconds in (60.0, 10.0)
    )
    for one, other in zip(
        default_grid(slow, TRACE, TABLES), default_grid(quick, TRACE, TABLES), strict=True
    ):
        shorter_s = 50.0 if one.offer_id == SCENARIO.serverless_offer else 0.0
        if one.policy.min_replicas < one.policy.max_replicas:
            assert one.start.typical_s - other.start.typical_s == pytest.approx(shorter_s)
    assert quick.start["allocate"].basis == "assumed"
    assert quick.start["allocate"].source_ids == ()


# Own timings ------------------------------------------------------------------------------------

CSV = "stage,seconds\nengine_init,20\nengine_init,30\nfetch,9\nload,2\ncompile,40\n"


def own_start(text: str = CSV) -> OwnStart:
    there = deployment()
    return read_start_log(text).own_start(
        there.start_inputs,
        model=SCENARIO.model,
        precision=SCENARIO.precision,
        gpu="L40S",
        tables=TABLES,
    )


def test_own_timings_stand_in_every_plan_of_the_grid():
    """Measured stages replace the model's everywhere; the others stay; two runs are resampled."""
    there = deploy(dataclasses.replace(SCENARIO, own_start=own_start()), TRACE, TABLES)
    model = deployment().start
    for name in STAGES:
        stage = there.start[name]
        if name in ("engine_init", "fetch", "load", "compile"):
            assert stage.basis == "measured"
        elif name not in ("kv_cache",):  # which the host's engine factor moves, too
            assert stage.median_s == model[name].median_s
    assert there.start["engine_init"].runs_s == (20.0, 30.0)
    for plan in default_grid(there, TRACE, TABLES):
        if not plan.mitigations and plan.offer_id == SCENARIO.serverless_offer:
            assert plan.start == there.start
    drawn = there.start.draw(start_normals(TABLES)).stage_s[:, STAGES.index("engine_init")]
    assert set(np.unique(drawn)) == {20.0, 30.0}


def test_scenarios_with_other_timings_are_other_scenarios():
    """Results are kept under the scenario, so it must be hashable and tell timings apart."""
    one, other = (
        dataclasses.replace(SCENARIO, own_start=own_start(text)) for text in (CSV, "compile,41\n")
    )
    assert len({SCENARIO, one, other}) == 3
    assert one == dataclasses.replace(SCENARIO, own_start=own_start(CSV))


def test_timings_of_one_model_lend_only_their_host_to_another():
    """Seconds of one checkpoint say nothing of another's; the host's slowness does."""
    own = own_start()
    there = deploy(
        dataclasses.replace(SCENARIO, model="Qwen2.5-7B-Instruct", own_start=own), TRACE, TABLES
    )
    assert all(stage.basis != "measured" for stage in there.start.stages)
    assert there.start_inputs.compile_factor == dict(own.host_factors)["compile_factor"]
    assert any("only the host factors" in sentence for sentence in there.assumed)


def test_a_calibrated_host_predicts_the_stage_it_was_calibrated_on():
    """The factor found in a log gives that log's seconds back for the same model."""
    own = own_start()
    predicted = own.calibrate(deployment().start_inputs).predict(TABLES)
    assert predicted["compile"].median_s == pytest.approx(40.0)
    assert predicted["engine_init"].median_s == pytest.approx(25.0)


def test_mitigations_shrink_measured_starts_by_their_ratio():
    """Whole starts of 100 s: a snapshot keeps the share of them that it keeps of the model's."""
    there = deploy(dataclasses.replace(SCENARIO, own_start=own_start("100, 100")), TRACE, TABLES)
    item = mitigation("gpu-snapshot", TABLES)
    own = mitigated_plan(there, (item,), TABLES).start.typical_s
    model = mitigated_plan(deployment(), (item,), TABLES).start.typical_s
    assert own == pytest.approx(100 * model / deployment().start.typical_s)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stage,seconds\ncompile,-3\n", "row 2, column seconds"),
        ("stage,seconds\ncompile,23400000\n", "or milliseconds"),
        ("43.2, 51000000", "or milliseconds"),
        ("stage,seconds\ncompile,nan\n", "row 2, column seconds"),
        ("0, 12", "more than 0 s"),
        ("all is well", "looks like plain words"),
        ("x" * 2_000_001, "larger than 2 MB"),
    ],
)
def test_timings_that_cannot_be_are_refused_with_what_to_do(text, message):
    """Negative, absurd, unreadable or huge: a sentence each, and nothing is used."""
    with pytest.raises(InputError, match=message):
        read_start_log(text)


# Small helpers of the plans --------------------------------------------------------------------


def test_a_replica_serves_as_many_requests_as_its_seconds_allow():
    """The rate of one replica and the replicas of the busiest minute are two sides of one."""
    speed = deployment().speed
    rate = replica_rps(TRACE, speed)
    held = speed.target_concurrency
    seconds = float(speed.prefill_s(1000)) - speed.overhead_s
    seconds += 200 * float(speed.decode_step_s[held - 1]) / held
    assert rate == pytest.approx(1 / seconds)
    assert replicas_to_serve(TRACE, speed) == 1


def test_the_default_timeout_is_the_providers_or_the_shortest_tried():
    """Modal states 60 s; a provider that states none gets the shortest of the grid."""
    behaviour = deployment().serverless.behaviour
    assert default_idle_timeout_s(behaviour, TABLES) == 60
    silent = dataclasses.replace(behaviour, idle_default_s=None, idle_min_s=None)
    assert default_idle_timeout_s(silent, TABLES) == TABLES.setting("grid_idle_timeout_min_s")
