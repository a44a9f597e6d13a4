"""The pictures of the Method page show what the simulation and the bill say of a small example."""

from __future__ import annotations

import dataclasses
from types import MappingProxyType

import numpy as np
import pytest

from frontier.billing import METERED, Contract, Usage, bill, bill_basis
from frontier.charts.replica_life_chart import REPLICA, replica_life_figure, replica_life_table
from frontier.charts.session_bill_chart import session_bill_figure, session_bill_table
from frontier.charts.start_shapes_chart import start_shapes_figure, start_shapes_table
from frontier.tables import load_tables
from frontier.worked_example import example_starts, session_bills, worked_example

TABLES = load_tables()
STARTS = example_starts(TABLES)
START = next(iter(STARTS.values()))


def tables_with(**values):
    """Return the tables with other numbers of the worked example."""
    settings = dict(TABLES.settings)
    for name, value in values.items():
        key = f"worked_example_{name}"
        settings[key] = dataclasses.replace(settings[key], value=value)
    return dataclasses.replace(TABLES, settings=MappingProxyType(settings))


VARIED = {
    "as shipped": TABLES,
    "no start": tables_with(start_s=0.0),
    "nothing kept": tables_with(keep_s=0.0),
    "long work": tables_with(work_s=70.0, requests=8.0),
    "kept throughout": tables_with(keep_s=5_000.0),
}


@pytest.mark.parametrize("tables", VARIED.values(), ids=VARIED)
def test_the_life_of_the_replica_is_that_of_its_sessions(tables):
    """Starting, busy and idle stretches add up to the seconds of the run, and never overlap."""
    example = worked_example(START, tables)
    result = example.result
    table = replica_life_table(result, example.arrival_s)
    own = table[table["row"] == REPLICA]
    lasts_s = (own["to_s"] - own["from_s"]).groupby(own["part"]).sum()
    for part in ("starting", "busy", "idle"):
        assert lasts_s.get(part, 0.0) == pytest.approx(result.sessions[f"{part}_s"].sum())
    in_order = own.sort_values("from_s")
    assert (in_order["from_s"].to_numpy()[1:] >= in_order["to_s"].to_numpy()[:-1] - 1e-9).all()


@pytest.mark.parametrize("tables", VARIED.values(), ids=VARIED)
def test_each_request_waits_as_simulated_and_says_so(tables):
    """Its wait is from its arrival to its first token; those without one say "no wait"."""
    example = worked_example(START, tables)
    ttft_s = example.result.ttft_s
    table = replica_life_table(example.result, example.arrival_s)
    waits = table[table["part"] == "waiting"].set_index("row")
    for index, wait_s in enumerate(ttft_s):
        name = f"request {index + 1}"
        assert (name in waits.index) is bool(wait_s > 0)
        if wait_s > 0:
            assert waits.loc[name, "to_s"] - waits.loc[name, "from_s"] == pytest.approx(wait_s)
    figure = replica_life_figure(table, horizon_s=example.result.horizon_s)
    said = [note.text for note in figure.layout.annotations]
    assert said.count("no wait") == int((ttft_s == 0).sum())
    assert len(said) == ttft_s.size


def test_the_example_shows_all_that_can_happen():
    """As shipped: a request starts the replica, one joins it, one finds it up, one comes too late.

    Each gap is twice the one before.
    """
    example = worked_example(START, TABLES)
    gaps = np.diff(example.arrival_s)
    np.testing.assert_allclose(gaps[1:] / gaps[:-1], 2.0)
    result = example.result
    assert result.caused_start.sum() == len(result.sessions) >= 2
    assert (result.waited_on_start & ~result.caused_start).any()
    assert (result.ttft_s == 0).any()


@pytest.mark.parametrize(
    "offer_id", [offer.offer_id for offer in TABLES.offers.values() if offer.kind == "serverless"]
)
def test_the_bills_of_the_stretches_add_up_to_the_bill_of_the_run(offer_id):
    """Under the rules of every serverless offer: dollars without fees, and seconds by line."""
    offer = TABLES.offers[offer_id]
    contract = Contract(offer, TABLES.rules_of(offer))
    example = worked_example(START, TABLES)
    bills = session_bills(example, contract, TABLES)
    whole = bill_basis(
        Usage(
            example.result.sessions,
            example.stage_s,
            gpus_per_replica=1,
            horizon_s=example.result.horizon_s,
            policy=example.policy,
        ),
        contract,
        TABLES,
    )
    lines = bill(whole).lines
    without_fees = sum(usd for line, usd in lines.items() if line not in ("fees", "credits"))
    assert bills["usd"].sum() == pytest.approx(without_fees)
    (meters,) = (pool.meters for pool in whole.pools)
    for row, line in enumerate(METERED):
        assert bills[f"billed_{line}_s"].sum() == pytest.approx(meters.gpu_s[row].sum())


def test_a_stretch_is_drawn_as_held_and_as_billed():
    """Two bars a stretch whose ends are the seconds held and billed; the dollars stand with it."""
    offer = TABLES.offers[next(iter(TABLES.examples.values())).serverless_offer]
    bills = session_bills(
        worked_example(START, TABLES), Contract(offer, TABLES.rules_of(offer)), TABLES
    )
    table = session_bill_table(bills)
    parts = table[["starting_s", "busy_s", "idle_s", "rounding_s"]].sum(axis=1)
    held = parts[table["counted"] == "held"].tolist()
    assert held == pytest.approx(bills["held_s"].tolist())
    figure = session_bill_figure(table)
    ends = dict.fromkeys(figure.layout.yaxis.categoryarray, 0.0)
    for bars in figure.data:
        for name, seconds in zip(bars.y, bars.x, strict=True):
            ends[name] += seconds
    assert sorted(ends.values()) == pytest.approx(sorted(parts))
    assert sum("$" in name for name in ends) == len(bills)


def test_more_overlap_makes_the_same_start_no_longer():
    """The same stages, each as long; the whole start shrinks with what runs side by side."""
    table = start_shapes_table(STARTS)
    whole = table.groupby("start", sort=False)["end_s"].max()
    assert whole.is_monotonic_decreasing
    assert whole.tolist() == pytest.approx([start.typical_s for start in STARTS.values()])
    lasts_s = (table["end_s"] - table["begin_s"]).groupby([table["stage"], table["start"]]).sum()
    for stage in table["stage"].unique():
        assert lasts_s[stage].tolist() == pytest.approx([lasts_s[stage].iloc[0]] * len(STARTS))
    alone = table[table["start"] == next(iter(STARTS))]
    assert set(alone["lane"]) == {0}


def test_no_two_stages_of_a_lane_run_at_once():
    """What is drawn over one another would be lost."""
    table = start_shapes_table(STARTS)
    for _, lane in table.groupby(["start", "lane"]):
        assert (lane["begin_s"].to_numpy()[1:] >= lane["end_s"].to_numpy()[:-1] - 1e-9).all()
    figure = start_shapes_figure(table)
    drawn = sorted((bars.name, at) for bars in figure.data for at in bars.base)
    assert drawn == sorted(zip(table["label"], table["begin_s"], strict=True))
