"""What was computed beforehand is what a fresh run gives, and is found for nothing else."""

from __future__ import annotations

import dataclasses
import datetime as dt
import importlib.util
import json
import sys
import zipfile
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from frontier.errors import InfeasibleError
from frontier.market import Wanted, market
from frontier.plans.grid import default_grid
from frontier.plans.scenario import deploy
from frontier.rivals import AS_SHIPPED, Rivals
from frontier.shipped import FILE, Shipped, _columns_of, _sessions_of, digest, shipped
from frontier.simulate import session_type
from frontier.study import compare, luck_of, shipped_sweep, simulate, study_of
from frontier.sweep import simulate_plans, start_draws
from frontier.tables import load_tables
from frontier.trace import example_trace, scale_rate

TABLES = load_tables()
EXAMPLE = next(iter(TABLES.examples.values()))
TRACE = example_trace(EXAMPLE, TABLES)
AGAIN = "data/shipped.npz is out of date: run `make shipped`"


@pytest.fixture(scope="module")
def script():
    path = Path(__file__).resolve().parents[2] / "tools" / "ship.py"
    spec = importlib.util.spec_from_file_location("ship", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["ship"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["ship"]


@pytest.fixture(scope="module")
def scenario(script):
    return script.default_scenario(TABLES)


def _assert_same(found, fresh, *, exact=True):
    """Assert that two values are alike field by field, to the bit unless the host draws others."""
    if dataclasses.is_dataclass(fresh):
        for field in dataclasses.fields(fresh):
            _assert_same(getattr(found, field.name), getattr(fresh, field.name), exact=exact)
    elif isinstance(fresh, np.ndarray) and fresh.dtype.names:
        for name in fresh.dtype.names:
            _assert_same(found[name], fresh[name], exact=exact)
    elif isinstance(fresh, np.ndarray | float):
        if exact:
            np.testing.assert_array_equal(found, fresh)
        else:
            np.testing.assert_allclose(found, fresh, rtol=1e-9)
    else:
        assert found == fresh


def test_it_was_made_by_this_code_and_is_small():
    """The shipped file is of the code that stands here, and no burden on a clone."""
    assert shipped() is not None
    assert shipped().has(TRACE), AGAIN
    assert FILE.stat().st_size < 1_500_000


@pytest.fixture(scope="module")
def fresh(script, scenario):
    """Simulate it all anew: the market with its groups, and the pair's plans."""
    return (*script.fresh_market(scenario, TRACE, TABLES), simulate(scenario, TRACE, TABLES))


def test_every_group_is_what_a_fresh_run_gives(scenario, fresh):
    """The whole market of the default example, plan by plan, to the last bit."""
    _, groups, _ = fresh
    assert groups
    exact = _draws_alike(scenario)
    for plans, metering, fresh in groups:
        found = shipped().group(plans, TRACE, metering, TABLES)
        assert found is not None, AGAIN
        assert [one.at for one in found] == [one.at for one in fresh], AGAIN
        for one, other in zip(found, fresh, strict=True):
            _assert_same(one, other, exact=exact)


def test_the_sweep_is_that_of_a_fresh_run(scenario, fresh):
    """Every plan of the pair in focus, and the bound: percentiles, sessions and all."""
    *_, simulated = fresh
    found = shipped_sweep(scenario, TRACE, TABLES, shipped())
    assert found is not None, AGAIN
    assert len(found.outcomes) == len(simulated.outcomes)
    exact = _draws_alike(scenario)
    for one, other in zip(found.outcomes, simulated.outcomes, strict=True):
        for name in ("latency", "sessions", "stage_s", "tokens", "ttft_of_thousand_s"):
            _assert_same(getattr(one, name), getattr(other, name), exact=exact)
        assert (one.plan.plan_id, one.horizon_s, one.requests) == (
            other.plan.plan_id,
            other.horizon_s,
            other.requests,
        )


def _draws_alike(scenario):
    """Whether this host draws starts to the bit as the one where the file was made."""
    grid = default_grid(deploy(scenario, TRACE, TABLES), TRACE, TABLES)
    draws = start_draws([plan.start for plan in grid], TABLES)
    with np.load(FILE) as file:
        return file["draws"].tobytes() == digest(*(draws[plan.start].stage_s for plan in grid))


def test_every_answer_is_what_fresh_runs_give(script, scenario, fresh):
    """Ranges of the winner and of the pair, and the break-even: each number of each run."""
    whole, _, simulated = fresh
    (winner,) = simulate_plans([script.winner_of(whole)[1]], TRACE, TABLES)
    found = shipped().outcomes([winner.plan], TRACE, TABLES)
    assert found is not None, AGAIN
    _assert_same(found[0].sessions, winner.sessions, exact=_draws_alike(scenario))
    answers = script.fresh_answers(simulated, whole, scenario, TABLES)
    assert len(answers) == 3
    for key, made in answers.items():
        kept = shipped().answer(key, lambda: pytest.fail(AGAIN))
        if _draws_alike(scenario):
            assert json.dumps(kept) == json.dumps(made), AGAIN


def test_an_answer_at_another_price_is_none_of_those_shipped(scenario):
    """Ranges and break-even hold dollars: with one price changed they are made anew."""
    asked = []

    class _Asked(Shipped):
        def __init__(self):
            pass

        def has(self, trace):
            return True

        def answer(self, key, make):
            asked.append(shipped().answer(key, lambda: None))
            raise InfeasibleError("asked")

    simulated = shipped_sweep(scenario, TRACE, TABLES, shipped())
    price = TABLES.offers[EXAMPLE.dedicated_offer].usd_per_gpu_h
    dear = _with("offers", EXAMPLE.dedicated_offer, usd_per_gpu_h=1.01 * price)
    for tables in (TABLES, dear):
        study = study_of(simulated, tables, limit_s=scenario.slo_p99_ttft_s)
        rivals = Rivals(scenario, TRACE, tables)
        with pytest.raises(InfeasibleError, match="asked"):
            luck_of(study, beforehand=_Asked())
        with pytest.raises(InfeasibleError, match="asked"):
            compare(study, rivals, AS_SHIPPED, lines=(AS_SHIPPED,), beforehand=_Asked())
    assert [found is None for found in asked] == [False, False, True, True]


def test_sessions_are_taken_apart_and_put_together_to_the_bit():
    """Whatever is in them: columns that follow from others, and such that do not."""
    drawn = np.random.default_rng(3)
    sessions = np.zeros(500, dtype=session_type(2))
    for name in sessions.dtype.names:
        shape = sessions[name].shape
        sessions[name] = drawn.uniform(-1e6, 1e6, shape).astype(sessions[name].dtype)
    sessions["ready_s"][::3] = (sessions["started_s"] + sessions["starting_s"])[::3]
    sessions["ended_s"][5] = np.inf
    _assert_same(_sessions_of(_columns_of(sessions)), sessions)


class _Kept(dict):
    def put(self, key, value, seconds=0.0):
        self[key] = value


@pytest.fixture
def alone(scenario, monkeypatch):
    """Give a function that makes the market of the default offer alone and refuses to simulate."""

    def refuse(*_, **__):
        raise AssertionError("a plan was simulated")

    monkeypatch.setattr("frontier.market.tried.simulate_plan", refuse)

    def made(tables=TABLES, trace=TRACE, results=None):
        return market(
            scenario,
            trace,
            tables,
            limit_s=scenario.slo_p99_ttft_s,
            kept=_Kept(),
            today=dt.date(2026, 11, 26),
            wanted=Wanted(offer_ids=frozenset([scenario.serverless_offer])),
            shipped=shipped() if results is None else results,
        )

    return made


def _with(table, key, **changes):
    rows = getattr(TABLES, table)
    row = dataclasses.replace(rows[key], **changes)
    return dataclasses.replace(TABLES, **{table: MappingProxyType({**rows, key: row})})


def test_the_shipped_market_simulates_nothing_and_bills_at_the_prices_in_force(alone):
    """With all of it there, not one plan is run, and twice the price is twice the cost."""
    price = TABLES.offers[EXAMPLE.serverless_offer].usd_per_gpu_h
    dear = _with("offers", EXAMPLE.serverless_offer, usd_per_gpu_h=2 * price)
    busy = [alone(tables).rows[0].zero.usd_by_line["busy"] for tables in (TABLES, dear)]
    assert busy[1] == pytest.approx(2 * busy[0])


BEHAVIOUR = TABLES.behaviour_of(TABLES.offers[EXAMPLE.serverless_offer])


@pytest.mark.parametrize(
    "tables",
    [
        _with("behaviours", BEHAVIOUR.behaviour_id, idle_default_s=BEHAVIOUR.idle_default_s + 60),
        _with(
            "models", EXAMPLE.model, total_params_b=2 * TABLES.models[EXAMPLE.model].total_params_b
        ),
        _with("settings", "start_seed", value=TABLES.setting("start_seed") + 1),
        _with("gpus", "L40S", bandwidth_gb_per_s=2 * TABLES.gpus["L40S"].bandwidth_gb_per_s),
    ],
    ids=["behaviour", "model", "luck", "GPU"],
)
def test_what_a_run_hangs_on_makes_it_unused(alone, tables):
    """A changed behaviour, model, GPU or seed is simulated: what was shipped is not its answer."""
    with pytest.raises(AssertionError, match="was simulated"):
        alone(tables)


def test_other_traffic_or_other_code_makes_it_unused(alone):
    """The same requests at another rate are simulated; so is all under changed code."""
    with pytest.raises(AssertionError, match="was simulated"):
        alone(trace=scale_rate(TRACE, 0.5, 1, TABLES))
    with np.load(FILE) as file:
        arrays = {name: file[name] for name in file.files}
    other = Shipped({**arrays, "code": np.zeros_like(arrays["code"])})
    assert not other.has(TRACE)
    with pytest.raises(AssertionError, match="was simulated"):
        alone(results=other)


def test_a_python_without_lzma_finds_nothing_and_simulates(scenario, monkeypatch):
    """The file cannot be unpacked there: nothing is shipped, which is no error of anybody's."""
    monkeypatch.setattr(zipfile, "lzma", None)
    shipped.cache_clear()
    try:
        assert FILE.exists()
        assert shipped() is None
        assert shipped_sweep(scenario, TRACE, TABLES, shipped()) is None
    finally:
        shipped.cache_clear()


def test_a_digest_is_of_the_content():
    """Equal content has one digest, any change another; what has no content has none."""
    one = (1.5, "a", None, (True, np.arange(3)), BEHAVIOUR)
    assert digest(*one) == digest(1.5, "a", None, (True, np.arange(3)), BEHAVIOUR)
    changed = [
        (1.5, "a", None, (True, np.arange(4)), BEHAVIOUR),
        (1.5, "a", None, (True, np.arange(3.0)), BEHAVIOUR),
        (1.5, "a", (True, None), np.arange(3), BEHAVIOUR),
        (np.nextafter(1.5, 2), "a", None, (True, np.arange(3)), BEHAVIOUR),
    ]
    assert len({digest(*values) for values in (one, *changed)}) == 1 + len(changed)
    with pytest.raises(TypeError, match="no content"):
        digest(object())
