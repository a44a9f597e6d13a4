"""Two real traces against known counts: requests found cold, and seconds kept warm.

One replica, no start and no service time: a request is cold if the gap before it is longer than
the idle timeout, and warm seconds are the shorter of gap and timeout, between the first and the
last request. The files are read by hand here, so that no reader of ours stands between.
"""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from frontier.analytic import idle_gap_table
from frontier.policy import ScalingPolicy
from frontier.simulate import simulate_replicas

TRACES = Path(__file__).resolve().parents[2] / ".." / "shared" / "traces"

# idle timeout [s]: (cold requests, warm seconds)
RAGPULSE = {
    0: (3764, 0),
    30: (2409, 93448),
    60: (1671, 153561),
    120: (1098, 234137),
    300: (461, 364760),
    600: (172, 450514),
    1800: (30, 530026),
    3600: (13, 562839),
}
AZURE_CODE = {
    0: (8819, 0.0),
    30: (26, 2185.9),
    60: (13, 2713.0),
    120: (7, 3191.0),
    300: (1, 3435.9),
}
AZURE_CONV = {1: (116, 3466.1), 5: (1, 3501.7), 60: (1, 3501.7)}


def ragpulse_arrivals():
    """Return the seconds of the first week: the clock goes back once, where the second begins."""
    path = TRACES / "ragpulse_week_A_2025-09-10.jsonl.gz"
    if not path.exists():
        pytest.skip("the RAGPulse trace is not beside the repository")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        at_s = np.array([float(json.loads(line)["timestamp"]) for line in lines])
    back = np.flatnonzero(np.diff(at_s) < 0)
    return at_s[: back[0] + 1] if back.size else at_s


def azure_arrivals(name):
    """Return the seconds of a trace, from timestamps with seven digits after the point."""
    path = TRACES / f"azure_llm_2023_{name}.csv"
    if not path.exists():
        pytest.skip(f"the Azure {name} trace is not beside the repository")
    at_s = []
    with path.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            whole, fraction = row["TIMESTAMP"].split(".")
            moment = dt.datetime.fromisoformat(whole).replace(tzinfo=dt.UTC)
            at_s.append(moment.timestamp() + float(f"0.{fraction}"))
    return np.sort(at_s)


@pytest.mark.parametrize(
    ("read", "known", "digit_s"),
    [
        (ragpulse_arrivals, RAGPULSE, 1.0),
        (lambda: azure_arrivals("code"), AZURE_CODE, 0.1),
        (lambda: azure_arrivals("conv"), AZURE_CONV, 0.1),
    ],
    ids=["ragpulse", "azure code", "azure conv"],
)
def test_known_gaps(read, known, digit_s):
    """The gap table and the simulation both give the known cold requests and warm seconds."""
    arrival_s = read()
    arrival_s -= arrival_s[0]
    table = idle_gap_table(arrival_s, list(known))
    for row, (timeout_s, (cold, warm_s)) in enumerate(known.items()):
        result = simulate_replicas(
            arrival_s,
            np.zeros(arrival_s.size),
            np.ones(arrival_s.size, dtype=int),
            [0.0],
            policy=ScalingPolicy(max_replicas=1, idle_timeout_s=timeout_s),
            cold_start_s=[0.0],
            horizon_s=arrival_s[-1],
        )
        assert len(result.sessions) == result.waited_on_start.sum() == table.cold[row] == cold
        assert table.warm_s[row] == pytest.approx(warm_s, abs=0.51 * digit_s)
        assert result.held_s == pytest.approx(table.warm_s[row], abs=1e-6)


def test_a_gap_as_long_as_the_timeout_is_still_warm():
    """Gaps of 2, 2 and 3 s with a timeout of 2 s: only the last one is cold."""
    table = idle_gap_table([0.0, 2.0, 4.0, 7.0], [0.0, 2.0, 3.0, np.inf])
    assert table.cold.tolist() == [4, 2, 1, 1]
    assert table.warm_s.tolist() == [0.0, 6.0, 7.0, 7.0]
