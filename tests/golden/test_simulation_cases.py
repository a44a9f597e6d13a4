"""Published values of queues against the simulation, as the command line prints them."""

from __future__ import annotations

import statistics

import pytest

from frontier.simulation_cases import simulated
from frontier.tables import load_tables

CASES = load_tables().simulation_cases
REQUESTS = 100_000


@pytest.mark.parametrize(
    "case_id", [key for key, case in CASES.items() if case.basis != "measured"]
)
def test_closed_forms_are_met(case_id):
    """Within 4 %: one seed of 100,000 requests, whose own error is 1 to 3 % where it queues."""
    case = CASES[case_id]
    assert simulated(case, REQUESTS) == pytest.approx(case.value, rel=0.04)


@pytest.mark.parametrize(("quantity", "bar"), [("cold_share", 0.14), ("held_replicas", 0.035)])
def test_an_experiment_on_functions_is_met_as_well_as_its_own_authors_do(quantity, bar):
    """Cold starts on AWS Lambda within 14 % on average (its own error: 10 %), instances 3.5 %."""
    errors = [
        abs(simulated(case, REQUESTS) / case.value - 1)
        for case in CASES.values()
        if case.basis == "measured" and case.quantity == quantity
    ]
    assert len(errors) == 10
    assert statistics.mean(errors) <= bar
