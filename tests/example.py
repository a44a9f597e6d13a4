"""The default example, drawn and simulated once for all tests of a process."""

from __future__ import annotations

import functools

from frontier.plans.scenario import Scenario
from frontier.study import simulate
from frontier.tables import load_tables
from frontier.trace import example_trace

TABLES = load_tables()
EXAMPLE = next(iter(TABLES.examples.values()))
SCENARIO = Scenario(
    EXAMPLE.model,
    EXAMPLE.precision,
    EXAMPLE.serverless_offer,
    EXAMPLE.dedicated_offer,
    EXAMPLE.slo_p99_ttft_s,
)


@functools.cache
def trace():
    """Return its traffic."""
    return example_trace(EXAMPLE, TABLES)


@functools.cache
def simulated():
    """Return what its plans came to."""
    return simulate(SCENARIO, trace(), TABLES)
