"""What is refused or assumed, word for word: whoever swaps "least" and "most" breaks one."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from frontier.billing import Terms, TokenPrice, Usage, machine_shape, replica_usd_per_h
from frontier.economics import break_even_utilisation, crossings
from frontier.errors import FrontierError, InfeasibleError, InputError
from frontier.mitigations.registry import mitigation
from frontier.plans.scenario import OfficeHours, Scenario, deploy
from frontier.policy import ScalingPolicy
from frontier.serving import serving_speed
from frontier.start.log import read_start_log
from frontier.start.predict import start_inputs_for
from frontier.start.stages import STAGES
from frontier.tables import load_tables
from frontier.trace import TraceReport, make_trace

TABLES = load_tables()
SCENARIO = Scenario("Llama-3.1-8B-Instruct", "bf16", "modal-l40s", "crusoe-l40s", 2.0)
MIXTURE = TABLES.models["Mixtral-8x7B-Instruct-v0.1"]
NO_SESSIONS = np.zeros(0)


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
            lambda: break_even_utilisation(0.0, 1.0),
            InputError,
            "dedicated_usd_per_h must be above 0, got 0.0",
        ),
        (
            lambda: break_even_utilisation(1.0, math.inf),
            InputError,
            "serverless_usd_per_h must be above 0, got inf",
        ),
        (
            lambda: crossings(lambda at: at, 2.0, 1.0, samples=3, tolerance=0.1),
            InputError,
            "the range must be above 0 and not empty, got 2.0 to 1.0",
        ),
        (
            lambda: serving_speed(
                dataclasses.replace(MIXTURE, experts=None),
                "bf16",
                "H100-SXM-80GB",
                context_tokens=1000.0,
                tables=TABLES,
            ),
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
    return make_trace("made", arrival_s, tokens, ones, horizon_s=60.0, report=report)


def test_requests_beyond_the_context_are_counted_and_those_that_fill_it_are_not():
    """One token over is one request; exactly the context is none."""
    most = TABLES.model(SCENARIO.model).max_context_tokens
    said = deploy(SCENARIO, trace_of([100, most, most + 1]), TABLES).assumed
    (sentence,) = (words for words in said if "exceed" in words)
    assert sentence.startswith(f"1 request exceeds the {most:,}-token context of")
    assert not any(
        "exceed" in words for words in deploy(SCENARIO, trace_of([most]), TABLES).assumed
    )


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
    """Half of the checkpoint in host memory halves what the local array has to give."""
    told = start_inputs_for("modal", "Llama-3.1-8B-Instruct", "L40S", "bf16", tables=TABLES)
    start = told.predict(TABLES)

    def fetch_s(share):
        item = mitigation("multi-tier", TABLES, dram_share=share)
        return item.rewrite_start(start, told, TABLES)["fetch"].median_s

    assert fetch_s(0.5) == pytest.approx(0.5 * fetch_s(0.0))


def test_a_price_of_a_replica_counts_whole_machines():
    """One replica on a machine of eight pays all eight GPUs; eight replicas share them."""
    offer = TABLES.offers["aws-h100-8x"]
    one = replica_usd_per_h(offer, gpus_per_replica=1, tables=TABLES, terms=Terms(), replicas=1)
    eight = replica_usd_per_h(offer, gpus_per_replica=1, tables=TABLES, terms=Terms(), replicas=8)
    assert one == pytest.approx(8 * eight)
