"""What every benchmark does: name the machine, take medians, and hand rows to the report.

A benchmark prints its rows. Where `report.py` runs it, it also leaves them in the file that
``FRONTIER_BENCH_ROWS`` names.
"""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROWS_FILE = "FRONTIER_BENCH_ROWS"
LIBRARIES = ("numpy", "numba", "pandas", "pyarrow", "plotly", "streamlit")


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: what was measured, what came out, and what had been asked for."""

    what: str
    measured: str
    asked: str = ""


def machine() -> str:
    """Return processor and cores."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = names[0].split(":")[1].strip() if names else cpu
    return f"{cpu}, {os.cpu_count()} cores"


def versions() -> str:
    """Return Python and the libraries that the time hangs on."""
    found = [f"Python {platform.python_version()}"]
    for name in LIBRARIES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


def load() -> float:
    """Return how many processes wanted a core over the last minute."""
    return os.getloadavg()[0]


def median_cpu_s(work: Callable[[], Any], *, runs: int) -> float:
    """Return the median of this thread's CPU seconds, after one run to warm up.

    Not the time on a clock, which whoever else is on the machine lengthens.
    """
    work()
    spent = []
    for _ in range(runs):
        begun = time.thread_time()
        work()
        spent.append(time.thread_time() - begun)
    return statistics.median(spent)


def finish(rows: Sequence[Row]) -> None:
    """Print the rows, and leave them for the report."""
    print(f"{machine()}, load {load():.1f}; {versions()}")
    for row in rows:
        print(f"{row.what}: {row.measured}{f' (asked: {row.asked})' if row.asked else ''}")
    file = os.environ.get(ROWS_FILE)
    if file:
        Path(file).write_text(json.dumps([dataclasses.asdict(row) for row in rows]))
