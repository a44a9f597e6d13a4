"""What failing, waiting and resembling starts do to a plan of the default example."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest

from frontier.plans.grid import mitigated_plan
from frontier.plans.scenario import deploy
from frontier.sweep import bill_outcome, simulate_plans, start_normals
from tests.example import EXAMPLE, SCENARIO, TABLES, trace


@functools.cache
def outcome(*changes):
    scenario = dataclasses.replace(SCENARIO, start_changes=changes)
    deployment = deploy(scenario, trace(), TABLES)
    (found,) = simulate_plans([mitigated_plan(deployment, (), TABLES)], trace(), TABLES)
    return found


def test_one_failed_start_in_twenty_moves_the_p99_far_more_than_the_median():
    """The p99 of the default example grows by a third to a half; the typical start does not."""
    plain, risky = outcome(), outcome(("fail_share", 0.05))
    assert risky.plan.start.typical_s == plain.plan.start.typical_s
    assert 1.2 < risky.latency.p99_ttft_s / plain.latency.p99_ttft_s < 1.7


@pytest.mark.parametrize(
    "changes", [(("fail_share", 0.05),), (("late_share", 0.083), ("late_s", 215.0))]
)
def test_what_goes_wrong_is_paid_as_the_provider_bills_its_stages(changes):
    """Failed attempts are billed like starts, a wait for a GPU only where allocation is."""
    plain, risky = (bill_outcome(outcome(*told), TABLES) for told in ((), changes))
    rules = TABLES.provider_rules[TABLES.offers[EXAMPLE.serverless_offer].rules_id]
    if changes[0][0] == "fail_share" or rules.bills_allocate:
        assert risky.lines["starting"] > plain.lines["starting"]
    else:
        # Later starts serve the same requests: only what is queued behind them differs.
        assert risky.lines["starting"] == pytest.approx(plain.lines["starting"], rel=0.1)


def test_the_draws_of_the_stages_are_the_same_with_and_without_luck():
    """The last two columns are drawn after the ten, so that no plan moves when none fails."""
    normals = start_normals(TABLES)
    generator = np.random.default_rng(int(TABLES.setting("start_seed")))
    np.testing.assert_array_equal(
        normals[:, :10], generator.standard_normal((normals.shape[0], 10))
    )
    assert normals.shape[1] == 12
