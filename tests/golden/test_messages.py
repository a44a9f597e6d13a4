"""What is refused or assumed, word for word: whoever swaps "least" and "most" breaks one."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from frontier.billing import Terms, TokenPrice, Usage, machine_shape, replica_usd_per_h
from frontier.economics import crossings
from frontier.errors import FrontierError, InfeasibleError, InputError, MisfitError
from frontier.mitigations.registry import mitigation
from frontier.plans.grid import default_grid
from frontier.plans.plan import committed
from frontier.plans.scenario import OfficeHours, Scenario, deploy
from frontier.policy import ScalingPolicy
from frontier.serving import serving_speed
from frontier.serving.memory import estimated_checkpoint_gb
from frontier.start.log import read_start_log
from frontier.start.predict import start_inputs_for
from frontier.start.rates import kernels_of
from frontier.start.stages import STAGES, Stage, check_seconds
from frontier.tables import load_tables
from frontier.trace import TraceReport, make_trace
from frontier.verdict import too_long

TABLES = load_tables()
SCENARIO = Scenario("Llama-3.1-8B-Instruct", "bf16", "modal-l40s", "crusoe-l40s", 2.0)
MIXTURE = TABLES.models["Mixtral-8x7B-Instruct-v0.1"]
NO_SESSIONS = np.zeros(0)


def speed_of(model, *, context_tokens, gpu="H100-SXM-80GB"):
    return serving_speed(model, "bf16", gpu, context_tokens=context_tokens, tables=TABLES)


def usage(**changes):
    told = {
        "sessions": NO_SESSIONS,
        "stage_s": np.zeros((1, 10)),
        "gpus_per_replica": 1,
        "horizon_s": 10.0,
        "policy": ScalingPolicy(),
    }
    return Usage(**(told | changes))


@pytest.mark.parametrize(
    ("call", "kind", "sentence"),
    [
        (lambda: Terms(multiplier=0.0), InputError, "multiplier must be above 0, got 0.0"),
        (
            lambda: Terms(interruptions_per_h=-1.0),
            InputError,
            "interruptions_per_h must be at least 0, got -1.0",
        ),
        (
            lambda: Terms(committed_machines=-1),
            InputError,
            "committed_machines must be at least 0, got -1",
        ),
        (
            lambda: machine_shape(TABLES.offers["crusoe-l40s"], 0),
            InputError,
            "gpus_per_replica must be at least 1, got 0",
        ),
        (
            lambda: machine_shape(TABLES.offers["aws-h100-8x"], 9),
            InfeasibleError,
            "A replica needs 9 GPUs, and a machine of aws-h100-8x has at most 8",
        ),
        (
            lambda: usage(horizon_s=0.0),
            InputError,
            "horizon_s must be a finite time above 0, got 0.0",
        ),
        (
            lambda: usage(stage_s=np.zeros((1, 3))),
            InputError,
            "stage_s must have 10 columns, got (1, 3)",
        ),
        (
            lambda: TokenPrice(1.0, 1.0, 1.0).usd(np.ones(1), np.ones(1), 1.5),
            InputError,
            "cached_share must be from 0 to 1, got 1.5",
        ),
        (
            lambda: OfficeHours(18, 9, 5),
            InputError,
            "Office hours must end after they begin: from 18 to 9 h.",
        ),
        (
            lambda: deploy(
                dataclasses.replace(SCENARIO, serverless_offer="crusoe-l40s"),
                trace_of([1, 2]),
                TABLES,
            ),
            InputError,
            "Expected a serverless offer, found crusoe-l40s, which is dedicated.",
        ),
        (
            lambda: deploy(
                dataclasses.replace(SCENARIO, dedicated_offer="modal-l40s"),
                trace_of([1, 2]),
                TABLES,
            ),
            InputError,
            "Expected a dedicated offer, found modal-l40s, which is serverless.",
        ),
        (
            lambda: read_start_log("stage,seconds\nfetch,9\nsleep,3\n", TABLES),
            InputError,
            f"row 3: expected a stage, one of {', '.join((*STAGES, 'total'))}, found 'sleep'",
        ),
        (
            lambda: read_start_log("38200\n39100\n", TABLES),
            InputError,
            "Is 38,200 seconds (10.6 h) or milliseconds (38.2 s)? A start rarely lasts more than "
            "3,600 s: write '38200 ms', '38.2' or, if it is so, '38200 s'.",
        ),
        (
            lambda: read_start_log("stage,seconds\nfetch,-1\n", TABLES),
            InputError,
            "row 2, column seconds: expected a number of seconds of at least 0, found '-1'",
        ),
        (
            lambda: mitigation("keep-alive", TABLES, idle_timeout_s=-1.0),
            InputError,
            "Keep-alive (idle timeout), idle_timeout_s: expected at least 0, found -1.0",
        ),
        (
            lambda: mitigation("warm-pool", TABLES, replicas=0),
            InputError,
            "Warm pool, replicas: expected a whole number of replicas of at least 1, found 0",
        ),
        (
            lambda: mitigation("scheduled-prewarm", TABLES).rewrite_policy(ScalingPolicy()),
            InputError,
            "Scheduled pre-warming needs a schedule: make one with weekly_schedule from the hours "
            "wanted, or with prewarm_schedule from arrival times.",
        ),
        (
            lambda: estimated_checkpoint_gb(0.0, "bf16", TABLES),
            InputError,
            "params_b must be above 0, got 0.0",
        ),
        (
            lambda: speed_of(MIXTURE, context_tokens=1e9),
            InputError,
            f"context_tokens must be above 0 and at most {MIXTURE.max_context_tokens:,}, the "
            f"longest context of {MIXTURE.model}; got 1e+09",
        ),
        (
            lambda: speed_of("Llama-3.1-405B", gpu="T4", context_tokens=1000.0),
            MisfitError,
            "Llama-3.1-405B in bf16 needs 128 × T4 (16 GB each); a replica is at most "
            "one node of 8. Choose a larger GPU or fewer bits.",
        ),
        (
            lambda: Stage("fetch", 1.0, spread=0.5),
            InputError,
            "stage fetch: spread must be at least 1, got 0.5",
        ),
        (
            lambda: check_seconds("measured fetch", ()),
            InputError,
            "measured fetch: expected at least one value, found none",
        ),
        (
            lambda: check_seconds("measured fetch", (-1.0,)),
            InputError,
            "measured fetch: expected a finite value of at least 0, found -1.0",
        ),
        (
            lambda: kernels_of("vllm-2026", "dense", "bf16", "rubin", TABLES),
            InputError,
            "Expected one time for the kernels of a dense model in bf16 on rubin GPUs with "
            "vllm-2026, found 0: data/kernels.csv says which are known.",
        ),
        (
            lambda: crossings(lambda at: at, 2.0, 1.0, samples=3, tolerance=0.1),
            InputError,
            "the range must be above 0 and not empty, got 2.0 to 1.0",
        ),
        (
            lambda: speed_of(dataclasses.replace(MIXTURE, experts=None), context_tokens=1000.0),
            InputError,
            f"{MIXTURE.model} is a mixture of experts without a number of experts",
        ),
    ],
)
def test_a_refusal_says_what_was_expected_and_found(call, kind, sentence):
    """The whole sentence, so that its direction counts."""
    with pytest.raises(FrontierError) as caught:
        call()
    assert type(caught.value) is kind
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("key", "changes", "note"),
    [
        ("warm-pool", {"replicas": 2}, "2 replicas held all the time; idle seconds"),
        ("keep-alive", {"idle_timeout_s": 300.0}, "up to 300 s idle after each use; idle seconds"),
        ("buffer", {"replicas": 3}, "3 more than the load needs; idle seconds"),
        ("sleep-1", {"held_fraction": 0.4}, "40% of the replica is still paid while it sleeps"),
        ("scheduled-prewarm", {}, "replicas held in the windows; idle seconds"),
        ("retained-state", {}, "not charged, and not promised: the platform may drop the state"),
    ],
)
def test_a_mitigation_says_what_it_costs_besides(key, changes, note):
    """The standing cost in words, with the number that was chosen."""
    told = start_inputs_for("modal", "Llama-3.1-8B-Instruct", "L40S", "bf16", tables=TABLES)
    (said,) = mitigation(key, TABLES, **changes).standing(told, TABLES).notes
    assert said.startswith(note)


def trace_of(prompt_tokens):
    arrival_s = np.arange(len(prompt_tokens), dtype=np.float64)
    report = TraceReport("made", "s", arrival_s.size, arrival_s.size)
    tokens = np.array(prompt_tokens)
    ones = np.ones(arrival_s.size)
    return make_trace("made", arrival_s, tokens, ones, horizon_s=1000.0, report=report)


def test_requests_beyond_the_context_are_counted_and_those_that_fill_it_are_not():
    """One token over is one request; exactly the context is none."""
    model = TABLES.model(SCENARIO.model)
    most = model.max_context_tokens  # each request of this trace answers with one token
    found = too_long(trace_of([100, most - 1, most]), model)
    assert (found.requests, found.of, found.longest_tokens) == (1, 3, most + 1)
    assert too_long(trace_of([most - 1]), model) is None


def test_hybrids_are_said_to_be_missing_only_where_the_replicas_differ():
    """The same GPU on both sides: no sentence; another one: a sentence that names both."""
    trace = trace_of([100, 200])
    assert not any("hybrid" in words for words in deploy(SCENARIO, trace, TABLES).assumed)
    other = dataclasses.replace(SCENARIO, dedicated_offer="aws-h100-8x")
    assert (
        "No hybrid plans: L40S and H100-SXM-80GB do not run the same replica."
        in deploy(other, trace, TABLES).assumed
    )


def test_a_share_of_the_weights_in_memory_is_not_read_from_the_array():
    """Half in host memory halves what the local array has to give; all of it still takes time."""
    told = start_inputs_for("modal", "Llama-3.1-8B-Instruct", "L40S", "bf16", tables=TABLES)
    start = told.predict(TABLES)

    def fetch_s(share):
        item = mitigation("multi-tier", TABLES, dram_share=share)
        return item.rewrite_start(start, told, TABLES)["fetch"].median_s

    assert fetch_s(0.5) == pytest.approx(0.5 * fetch_s(0.0))
    from_memory = dataclasses.replace(told, storage="host-ram", loader="serverlessllm")
    assert fetch_s(1.0) == pytest.approx(from_memory.predict(TABLES)["fetch"].median_s)
    assert 0 < fetch_s(1.0) < fetch_s(0.0)


def test_a_price_of_a_replica_counts_whole_machines():
    """One replica on a machine of eight pays all eight GPUs; eight replicas share them."""
    offer = TABLES.offers["aws-h100-8x"]
    one = replica_usd_per_h(offer, gpus_per_replica=1, tables=TABLES, terms=Terms(), replicas=1)
    eight = replica_usd_per_h(offer, gpus_per_replica=1, tables=TABLES, terms=Terms(), replicas=8)
    assert one == pytest.approx(8 * eight)


def test_a_commitment_is_said_in_the_plan_that_it_binds():
    """A plan of its own where machines are always on, the base of a hybrid otherwise."""
    trace = trace_of([100, 200] * 300)
    plans = default_grid(deploy(SCENARIO, trace, TABLES), trace, TABLES)
    by_family = {plan.family.key: plan for plan in plans}
    bought = committed(by_family["dedicated"])
    assert bought.detail == f"{by_family['dedicated'].detail}, under your commitment"
    assert by_family["dedicated"].detail.endswith("always on")
    base = committed(by_family["hybrid"])
    assert base.detail == f"{by_family['hybrid'].detail}, base under your commitment"
    assert " reserved " in base.label
    assert committed(by_family["scale-to-zero"]) is None


def test_mitigations_that_exclude_each_other_say_why():
    """Nothing is left to fetch where the weights are on the node already."""
    for key in ("weight-cache", "multi-tier"):
        excludes = mitigation(key, TABLES).excludes
        assert excludes["parallel-fetch"] == "nothing is left to fetch over the network"
