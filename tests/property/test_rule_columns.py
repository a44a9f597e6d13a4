"""Every column of the prices, billing rules and behaviours changes some bill or some run.

A column that only describes its row stands in data/descriptive.csv, and changes neither. So a new
column that nothing reads, or one that nobody describes, fails here.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from types import MappingProxyType

import numpy as np
import pytest

from frontier.billing import Contract, Usage, bill, bill_basis, chosen_terms
from frontier.errors import FrontierError
from frontier.mitigations.base import Standing
from frontier.plans.grid import default_grid
from frontier.plans.scenario import Scenario, deploy
from frontier.policy import ScalingPolicy
from frontier.sweep import Deal, bill_outcome, simulate_plans
from frontier.tables import load_columns, load_tables
from frontier.trace import TraceReport, make_trace

TABLES = load_tables()
OFFER, RULES, BEHAVIOUR = "modal-l40s", "modal", "modal"
# One machine that stands in for another: what they have in common decides whether it may.
MACHINE, LARGER = "lambda-h100", "lambda-h100-8x"
KEYS = {"offers": OFFER, "provider_rules": RULES, "behaviours": BEHAVIOUR}
HORIZON_S = 6 * 3600.0
DESCRIPTIVE = frozenset(TABLES.descriptive)
COLUMNS = [
    (table, column.column)
    for table in KEYS
    # The key is the name by which a row is found.
    for column in load_columns()[table][1:]
]
# What a column needs of its neighbours before it can matter.
CONTEXTS = (
    ("Llama-3.1-8B-Instruct", {}),
    ("Llama-3.1-8B-Instruct", {"cold_request": "retry", "retry_s": 5.0}),
    ("Qwen3-32B", {}),  # two GPUs a replica
)
# Cells of the same row without which a column is nothing: a core matters where a least is in force.
NEIGHBOURS = {"vcpus_per_core": {"least_cores": 8.0}}


def _trace():
    """Ten bursts that keep a few replicas busy, and a lone request after each."""
    bursts = np.repeat(np.arange(10) * 2000.0 + 3.0, 200) + np.tile(np.arange(200) * 0.05, 10)
    arrival_s = np.sort(np.concatenate([bursts, np.arange(10) * 2000.0 + 700.5]))
    size = arrival_s.size
    return make_trace(
        "bursts",
        arrival_s,
        np.full(size, 1500),
        np.full(size, 150),
        horizon_s=HORIZON_S,
        report=TraceReport("bursts", "s", size, size),
    )


TRACE = _trace()


def _usage():
    """Two wake-ups of a replica, each of ten stages of 3.1 s, and 40 GB stored."""
    sessions = np.zeros(
        2,
        dtype=[
            ("replica", np.int32),
            *((name, np.float64) for name in ("started_s", "ready_s", "ended_s")),
            *((name, np.float64) for name in ("starting_s", "busy_s", "idle_s")),
            ("parked_s", np.float64, (0,)),
            ("cold_start_index", np.int64),
        ],
    )
    sessions["started_s"] = [100.0, 2000.0]
    sessions["ready_s"] = [131.0, 2031.0]
    sessions["ended_s"] = [161.3, 2061.3]
    sessions["starting_s"], sessions["busy_s"], sessions["idle_s"] = 31.0, 10.2, 20.1
    return Usage(
        sessions,
        np.full((1, 10), 3.1),
        gpus_per_replica=1,
        horizon_s=HORIZON_S,
        policy=ScalingPolicy(),
        requests=7,
        standing=Standing(storage_gb=40, host_ram_gib=8),
    )


USAGE = _usage()


def _with(table, column, value, context):
    """Return the tables with one cell of the row in use changed."""
    tables = TABLES
    for name in {"behaviours", table}:
        rows = getattr(tables, name)
        cells = context if name == "behaviours" else {}
        cells = {**cells, **NEIGHBOURS.get(column, {}), column: value} if name == table else cells
        row = dataclasses.replace(rows[KEYS[name]], **cells)
        rows = {**rows, KEYS[name]: row}
        if name == "offers":
            rows[LARGER] = dataclasses.replace(rows[LARGER], **cells)
        rows = MappingProxyType(rows)
        tables = dataclasses.replace(tables, **{name: rows})
    return tables


def _bills_and_runs(tables, model):
    """Return what a bill and a run of this offer come to, or how they are refused."""
    scenario = Scenario(model, "bf16", OFFER, "crusoe-l40s", 2.0, mitigations=())
    try:
        offer = tables.offers[OFFER]
        rules = tables.rules_of(offer)
        terms = chosen_terms(rules, in_region=True, kept_up=True)
        plain = bill(bill_basis(USAGE, Contract(offer, rules, terms), tables)).usd
        plans = default_grid(deploy(scenario, TRACE, tables), TRACE, tables)
        # Autoscaled plans on the offer, and the default first of all.
        plans = [plan for plan in plans if plan.offer_id == OFFER][:12]
        outcomes = simulate_plans(plans, TRACE, tables)
    except FrontierError as error:
        return (type(error).__name__,)
    runs = [(bill_outcome(one, tables, Deal()).usd, one.latency) for one in outcomes]
    shapes = [shape.offer_id for shape in Deal().shapes(tables.offers[MACHINE], tables)]
    return (plain, shapes, *runs)


def _others(table, column, value):
    """Yield other values that the cell may hold."""
    kind = next(item for item in load_columns()[table] if item.column == column)
    if kind.refers_to:
        yield from (key for key in list(getattr(TABLES, kind.refers_to))[:40] if key != value)
        return
    yield from {
        "flag": (not value,),
        "choice": kind.choices,
        "integer": (1, 2, 3, 64),
        "number": (0.0, 0.5, 2.0, 30.0, 90.0, 700.0),
        "text": ("something else",),
        "list": (("something",), ()),
        "date": (dt.date(2020, 1, 1),),
    }[kind.type]
    if not kind.required:
        yield None if kind.type != "list" else ()


def _in_range(table, column, value):
    kind = next(item for item in load_columns()[table] if item.column == column)
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    return not numeric or (kind.minimum or 0) <= value <= (kind.maximum or np.inf)


@pytest.fixture(scope="module")
def before():
    """Return what each context comes to with nothing else changed."""
    return [
        _bills_and_runs(_with("behaviours", "note", "", context), model)
        for model, context in CONTEXTS
    ]


@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_a_column_changes_a_bill_or_a_run_unless_it_only_describes(table, column, before):
    """Some other value of the cell changes what something costs or how long it takes."""
    value = getattr(getattr(TABLES, table)[KEYS[table]], column)
    if column in NEIGHBOURS:
        before = [
            _bills_and_runs(_with(table, column, value, context), model)
            for model, context in CONTEXTS
        ]
    changed = any(
        _bills_and_runs(_with(table, column, other, context), model) != usual
        for (model, context), usual in zip(CONTEXTS, before, strict=True)
        for other in _others(table, column, value)
        if other != value and _in_range(table, column, other)
    )
    assert changed != (f"{table}.{column}" in DESCRIPTIVE)


def test_what_is_called_descriptive_is_a_column():
    """A line for a column that is gone would hide the next one of that name."""
    assert set(DESCRIPTIVE) <= {f"{table}.{column}" for table, column in COLUMNS}
