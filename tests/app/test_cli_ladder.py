"""Ladder of limits and idle timeouts on the command line: printed, pasted, written, refused."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from frontier.cli import main

_FEW = ["--provider=Crusoe", "--provider=Cerebrium", "--gpu=L40S", "--gpu=L4"]


@pytest.fixture(scope="module")
def trace_file(tmp_path_factory):
    """Write two days of sparse requests in the product's own columns."""
    times = np.sort(np.random.default_rng(3).uniform(0, 2 * 86_400, 120))
    path = tmp_path_factory.mktemp("ladder") / "trace.csv"
    pd.DataFrame({"timestamp": times, "prompt_tokens": 800, "output_tokens": 200}).to_csv(
        path, index=False
    )
    return path


def run(trace_file, *told):
    return main(["ladder", f"--trace={trace_file}", "--model=Llama-3.1-8B-Instruct", *told])


def test_the_ladder_is_printed_pasted_and_written_alike(trace_file, tmp_path, capsys):
    """One headline in text, Markdown and JSON; a line, a row and a record for each limit."""
    outs = [tmp_path / f"ladder.{suffix}" for suffix in ("json", "csv", "md")]
    told = [*_FEW, "--limits=0.5,60", "--slo-p99-ttft=3", *(f"--out={out}" for out in outs)]
    assert run(trace_file, *told) == 0
    said = capsys.readouterr().out.splitlines()
    begins = [line.split("$")[0].strip() for line in said if line.startswith("  ") and "$" in line]
    assert [limit for limit in begins if limit.endswith(" s")] == ["0.5 s", "*3 s", "60 s"]
    everything = json.loads(outs[0].read_text(encoding="utf-8"))
    assert said[0] == everything["headline"]
    assert outs[2].read_text(encoding="utf-8").startswith(f"**{everything['headline']}**")
    assert [row["limit_s"] for row in everything["limits"]] == [0.5, 3.0, 60.0]
    table = pd.read_csv(outs[1])
    assert table["usd_per_month"].tolist() == pytest.approx(
        [row["usd_per_month"] for row in everything["limits"]]
    )


@pytest.mark.parametrize(
    ("told", "names"),
    [(["--limits=1,fast"], "'fast'"), (["--limits=0"], "--limits"), (["--gpu=L99"], "'L99'")],
)
def test_a_bad_argument_of_the_ladder_gets_one_line(trace_file, capsys, told, names):
    """One line on the error stream that names what was wrong, nothing else, exit code 2."""
    assert run(trace_file, *told) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.strip().splitlines()) == 1
    assert names in captured.err


def test_the_idle_timeouts_are_printed_and_written_alike(trace_file, tmp_path, capsys):
    """The headline of the text is that of the JSON; a line and a record for each timeout."""
    outs = [tmp_path / f"timeouts.{suffix}" for suffix in ("json", "csv")]
    pair = ["--serverless=modal-l40s", "--dedicated=crusoe-l40s"]
    told = [f"--trace={trace_file}", "--model=Llama-3.1-8B-Instruct", *pair]
    assert main(["timeouts", *told, *(f"--out={out}" for out in outs)]) == 0
    said = capsys.readouterr().out.splitlines()
    everything = json.loads(outs[0].read_text(encoding="utf-8"))
    assert said[0] == everything["headline"]
    table = pd.read_csv(outs[1])
    assert table["usd_per_month"].tolist() == pytest.approx(
        [row["usd_per_month"] for row in everything["timeouts"]]
    )
    printed = [line for line in said if " %" in line and "$" in line and " wait on " not in line]
    assert len(printed) == len(table)
