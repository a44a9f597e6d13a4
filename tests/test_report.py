"""What is taken away but the workbook: text stays text everywhere, and all is said."""

from __future__ import annotations

import dataclasses
import datetime as dt
import io
import json

import numpy as np
import pandas as pd
import pytest

from frontier.billing import Contract, Terms, Usage, bill, bill_basis
from frontier.company import NOBODY, Company, Currency
from frontier.explain import Explanation, Reference, Term
from frontier.export import csv_bytes, neutral
from frontier.mitigations.base import Standing
from frontier.policy import NodePool, ParkedTier, ScalingPolicy
from frontier.record.annex import annex
from frontier.report import (
    Report,
    meters_csv,
    report_json,
)
from frontier.scope import NOT_BILLED, NOT_SIMULATED
from frontier.tables import load_tables

TABLES = load_tables()
HORIZON = 7 * 86400.0
EVIL = ("=1+1", '=HYPERLINK("http://a","b")', "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\0=1")
SCRIPT = "<script>alert(1)</script>"


def hybrid_week(*, is_empty=False):
    """Make a week with every line: base under a commitment, overflow, parking, storage, fees.

    The overflow runs on nodes that are kept for a while with no replica on them.
    """
    rng = np.random.default_rng(1)
    count = 60
    rows = np.zeros(
        count + 1,
        dtype=[
            ("replica", np.int32),
            *((name, np.float64) for name in ("started_s", "ready_s", "ended_s")),
            *((name, np.float64) for name in ("starting_s", "busy_s", "idle_s")),
            ("parked_s", np.float64, (1,)),
            ("cold_start_index", np.int64),
        ],
    )
    rows["replica"][1:] = 1 + np.arange(count) % 3
    rows["started_s"][1:] = np.sort(rng.uniform(0, 0.8 * HORIZON, count))
    rows["starting_s"][1:] = 40.0
    rows["busy_s"][1:] = rng.uniform(5, 600, count)
    rows["idle_s"][1:] = 300.0
    rows["parked_s"][1:] = 200.0
    rows["ended_s"][1:] = rows["started_s"][1:] + 540 + rows["busy_s"][1:]
    rows["cold_start_index"][1:] = np.arange(count) % 8
    rows[0] = (0, 0, 0, 0.6 * HORIZON, 0, 0.2 * HORIZON, 0.4 * HORIZON, (0,), -1)
    base = TABLES.offers["crusoe-h100-8x"]
    overflow = dataclasses.replace(TABLES.offers["modal-h100"], kind="dedicated", rules_id="koyeb")
    rules = dataclasses.replace(TABLES.provider_rules["koyeb"], request_fee_usd=0.0001)
    usage = Usage(
        sessions=rows[:0] if is_empty else rows,
        stage_s=np.full((8, 10), 4.0),
        gpus_per_replica=1,
        horizon_s=HORIZON,
        policy=ScalingPolicy(
            min_replicas=1,
            max_replicas=4,
            pinned_replicas=1,
            idle_timeout_s=300,
            parked=(ParkedTier(600, 1, 0.3),),
            nodes=NodePool(2, 300.0, gpus_per_node=2),
        ),
        requests=0 if is_empty else 3556,
        standing=Standing(storage_gb=80, host_ram_gib=16, gpu_s_per_start=12),
    )
    pinned = Contract(
        base,
        TABLES.provider_rules["crusoe"],
        Terms(commitment=TABLES.commitments["preset-35"], interruptions_per_h=0.01),
    )
    contract = Contract(overflow, rules, Terms(multiplier=1.5), pinned)
    if is_empty:
        contract = Contract(overflow, rules)
    return bill_basis(usage, contract, TABLES)


def plans_table():
    return pd.DataFrame(
        {
            "plan_id": ["hybrid", "zero-60s", "=cmd|' /C calc'!A0", "refusing"],
            "label": ["Hybrid", SCRIPT, "=1+1", "Refusing"],
            "family": ["hybrid", "scale-to-zero", "dedicated", "scale-to-zero"],
            "usd_per_month": [3000.0, 500.0, 1095.0, -0.0],
            "p99_ttft_s": [0.9, 60.0, 0.48, np.inf],
            "efficient": [False, True, True, False],
            "change": [-5.0, 2.0, np.nan, 0.0],
        }
    )


def made_report():
    """Make a report of that week, with text of a user that is out for trouble."""
    week = hybrid_week()
    return Report(
        title="Internal RAG =1+1",
        headline="Always-on wins here: $1,095 a month at 0.48 s",
        reasons=(EVIL[0], f"Because {SCRIPT}"),
        made_on=dt.date(2026, 11, 24),
        version="0.1.0",
        link="https://example.org/?model=x&n=1",
        scenario=tuple((text, text) for text in (*EVIL[:5], SCRIPT)),
        plan_label="=Hybrid of one",
        bill=bill(week),
        basis=week,
        tokens=4_200_000,
        latency=(("p50", 0.2), ("p99", float("inf"))),
        plans=plans_table(),
        plan_id="hybrid",
        slo_p99_ttft_s=2.0,
        assumptions=("@SUM(1)", "Weights are read from a network volume."),
        sources=tuple(
            (offer, TABLES.source_of(TABLES.offers[offer]))
            for offer in ("modal-h100", "crusoe-l40s")
        ),
        hours_per_year=8760.0,
        company=Company(currency=Currency("EUR", 0.91, dt.date(2026, 11, 20))),
    )


@pytest.fixture(scope="module")
def report():
    return made_report()


def test_the_week_has_every_line(report):
    """The example proves nothing about a line that is zero in it."""
    missing = {line for line, usd in report.bill.lines.items() if usd == 0}
    assert missing == set()


@pytest.mark.parametrize("text", EVIL)
def test_a_text_that_looks_like_a_formula_is_quoted_in_csv(text):
    """Each start that OWASP names gets a quote before it, in cells and in headers."""
    assert neutral(text) == f"'{text}"
    table = pd.DataFrame({text: [text], "n": [-1.5]})
    lines = csv_bytes(table).decode("utf-8-sig")
    back = pd.read_csv(io.StringIO(lines, newline=""), keep_default_na=False)
    assert back.columns[0].startswith("'")
    assert str(back.iloc[0, 0]).startswith("'")


def test_numbers_stay_numbers_in_csv():
    """A negative number is not a formula, and plain text is left alone."""
    lines = csv_bytes(pd.DataFrame({"n": [-1.5, 2.0], "t": ["plain", "a=b"]})).decode("utf-8-sig")
    assert lines.splitlines() == ["n,t", "-1.5,plain", "2.0,a=b"]


def test_meters_as_csv_recompute_the_gpu_lines(report):
    """The CSV alone, with the prices, gives the GPU time of the bill."""
    table = pd.read_csv(io.BytesIO(meters_csv(report.basis)))
    assert len(table) == report.bill.meters
    gpu_s = table.filter(like="_gpu_s").sum(axis=1)
    assert (gpu_s / table["gpus"]).sum() == pytest.approx(report.bill.billed_s)


def test_the_json_is_plain_and_complete(report):
    """It parses, says null where a number is not finite, and its lines add up to the bill."""
    content = json.loads(report_json(report))
    assert content["latency_s"] == {"p50": 0.2, "p99": None}
    assert sum(content["usd_by_line"].values()) == pytest.approx(report.bill.usd_span)
    assert content["plans"][3]["p99_ttft_s"] is None
    assert content["not_included"] == [*NOT_BILLED, *NOT_SIMULATED]
    assert content["sources"][0]["read_on"] == report.sources[0][1].read_on.isoformat()


def test_a_plan_that_never_ran_has_a_page_too(report):
    """No meters and no requests: no division by zero."""
    week = hybrid_week(is_empty=True)
    empty = dataclasses.replace(report, bill=bill(week), basis=week, tokens=0, company=NOBODY)
    assert "Total" in annex(empty)
    assert json.loads(report_json(empty))["usd"]["1 M tokens"] is None


def test_annex_and_json_say_how_each_figure_is_computed(report):
    """Formula, values and sources, all as text; a part stands beneath what it is part of."""
    reference = Reference("Price list", "https://example.org/prices", dt.date(2026, 11, 1))
    odd = Reference(SCRIPT, "javascript:alert(1)", dt.date(2026, 11, 1))
    hours = Term("h", f"hours {SCRIPT}", 730.0, "GPU-h", "simulated", (odd,), EVIL[0])
    price = Term("p", "price", 1.5, "$/GPU-h", "list price", (reference,))
    part = Explanation("GPU time", "{h} × {p}", (hours, price), str, "a month")
    whole = Explanation(
        "Dollars", "{line}", (Term("line", "GPU time", 1095.0),), str, parts=(part,)
    )
    told = dataclasses.replace(report, explanations=(whole,))
    page = annex(told)
    assert "730 × 1.5" in page
    assert '<a href="https://example.org/prices">Price list</a>' in page
    assert SCRIPT not in page
    assert 'href="javascript' not in page
    found = json.loads(report_json(told))["explanations"][0]
    assert found["value"] == 1095.0
    assert found["parts"][0]["in_numbers"] == "730 × 1.5"
    assert found["parts"][0]["value"] == 1095.0
    assert [one["value"] for one in found["parts"][0]["terms"]] == [730.0, 1.5]
