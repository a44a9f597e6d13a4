"""The market on the command line: the table, the verdict to paste, files, refusals."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from frontier.cli import main
from frontier.tables import load_tables

_FEW = ["--provider=Crusoe", "--provider=Modal", "--gpu=L40S", "--gpu=T4"]


@pytest.fixture(scope="module")
def trace_file(tmp_path_factory):
    """Write two days of sparse requests in the product's own columns."""
    times = np.sort(np.random.default_rng(3).uniform(0, 2 * 86_400, 200))
    path = tmp_path_factory.mktemp("market") / "trace.csv"
    pd.DataFrame({"timestamp": times, "prompt_tokens": 800, "output_tokens": 200}).to_csv(
        path, index=False
    )
    return path


def run(trace_file, *told):
    return main(["market", f"--trace={trace_file}", "--model=Llama-3.1-8B-Instruct", *told])


def test_the_market_is_printed_cheapest_first(trace_file, capsys):
    """The answer, what else there is to say, a line an offer by cost, and why others cannot."""
    tables = load_tables()
    assert run(trace_file, *_FEW, "--slo-p99-ttft=2") == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("Cheapest of ")
    assert " that hold p99 ≤ 2 s: " in said[0]
    ranked = [line for line in said if line.lstrip()[:2] in ("1.", "2.", "3.")]
    costs = [float(line.split("$")[1].split()[0].replace(",", "")) for line in ranked]
    assert costs == sorted(costs)
    assert len(costs) > 1
    wanted = [
        offer
        for offer in tables.offers.values()
        if offer.provider in ("Crusoe", "Modal") and offer.gpu in ("L40S", "T4")
    ]
    assert any(f"Looked at {len(wanted)} offers" in line for line in said)


def test_the_verdict_can_be_pasted_and_is_the_json_s(trace_file, tmp_path, capsys):
    """Markdown and JSON say the same headline; the table of one is the ranking of the other."""
    out = tmp_path / "market.json"
    assert run(trace_file, *_FEW, "--markdown", f"--out={out}") == 0
    pasted = capsys.readouterr().out
    everything = json.loads(out.read_text(encoding="utf-8"))
    assert pasted.startswith(f"**{everything['headline']}**")
    ranked = [row for row in everything["offers"] if row["state"] == "holds"]
    lines = [line for line in pasted.splitlines() if line.startswith("| ") and "×" in line]
    assert len(lines) == len(ranked)
    assert all(row["provider"] in line for row, line in zip(ranked, lines, strict=True))
    assert ranked[0]["best_usd_per_month"] == min(row["best_usd_per_month"] for row in ranked)
    assert everything["answer"]["offers"] == len(everything["offers"])
    assert run(trace_file, *_FEW, "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["offers"] == everything["offers"]


def test_the_table_is_written(trace_file, tmp_path, capsys):
    """CSV with one row an offer, and a workbook."""
    outs = [tmp_path / f"market.{suffix}" for suffix in ("csv", "xlsx", "md")]
    assert run(trace_file, *_FEW, *(f"--out={out}" for out in outs)) == 0
    table = pd.read_csv(outs[0])
    assert set(table["state"]) <= {"holds", "misses", "cannot"}
    best = table[table["state"] == "holds"]
    lines = best[[name for name in best if name.startswith("usd_") and name != "usd_per_gpu_h"]]
    assert np.allclose(lines.sum(axis=1), best["best_usd_per_month"])
    assert outs[1].read_bytes()[:2] == b"PK"
    assert outs[2].read_text(encoding="utf-8").startswith("**")


def test_filters_leave_offers_out(trace_file, capsys):
    """No spot, no reserved, no community hosts, no old prices: none of them is printed."""
    told = ["--gpu=L4", "--top=0", "--json"]
    tables = load_tables()

    def offers(*more):
        assert run(trace_file, *told, *more) == 0
        return {row["offer_id"]: row for row in json.loads(capsys.readouterr().out)["offers"]}

    every = offers()
    assert {"spot", "reserved"} <= {row["kind"] for row in every.values()}
    assert set(every) == {key for key, offer in tables.offers.items() if offer.gpu == "L4"}
    firm = offers("--no-spot", "--no-reserved", "--no-community")
    assert {row["kind"] for row in firm.values()} == {"serverless", "dedicated"}
    assert not any(row["community"] for row in firm.values())
    ages = [row["age_days"] for row in every.values()]
    young = offers(f"--max-price-age={min(ages)}")
    assert 0 < len(young) < len(every)


def test_a_price_of_one_s_own_is_on_the_market(trace_file, tmp_path, capsys):
    """A table given with --prices stands beside the offers of data/."""
    prices = tmp_path / "mine.csv"
    prices.write_text("provider,gpu,price,unit\nAcme,L40S,0.4,GPU-hour\n", encoding="utf-8")
    assert run(trace_file, f"--prices={prices}", "--provider=Acme", "--provider=Crusoe") == 0
    assert "Acme" in capsys.readouterr().out.splitlines()[0]


@pytest.mark.parametrize(
    ("told", "names"),
    [
        (["--provider=Nobody"], "'Nobody'"),
        (["--gpu=L99"], "'L99'"),
        (["--region=moon"], "'moon'"),
        (["--kind=rented"], "rented"),
        (["--kind=spot", "--no-spot"], "--kind"),
        (["--top=-1"], "--top"),
        (["--max-price-age=-2"], "--max-price-age"),
        (["--out=x.html"], "x.html"),
        (["--prices=nowhere.csv"], "--prices"),
        (["--slo-p99-ttft=inf"], "--slo-p99-ttft"),
        (["--json", "--markdown"], "--markdown"),
    ],
)
def test_a_bad_argument_of_the_market_gets_one_line(trace_file, capsys, told, names):
    """One line on the error stream that names what was wrong, nothing else, exit code 2."""
    assert run(trace_file, *told) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.strip().splitlines()) == 1
    assert names in captured.err
