"""Run the benchmarks and write their rows into docs/performance.md.

Each section of that page between ``<!-- bench NAME -->`` and ``<!-- /bench NAME -->`` is written
here: date, machine, versions, one row a measurement and the command that gives it. All else on the
page is written by hand and stays. A section that is not run, or whose run fails, keeps what it
says, with its date; each is written as soon as it is done, so that a run that is broken off loses
nothing.

`python benchmarks/report.py` runs all, `python benchmarks/report.py kernel peers` those two.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from common import ROWS_FILE, load, machine, versions

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "performance.md"
LONGEST_S = 900


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page, and the benchmark that gives its rows."""

    name: str
    script: str
    arguments: tuple[str, ...] = ()

    @property
    def command(self) -> str:
        """What a person types to get the rows anew, without touching the page."""
        return " ".join(("PYTHONPATH=. python", f"benchmarks/{self.script}", *self.arguments))


SECTIONS = (
    Section("kernel", "bench_kernel.py"),
    Section("plan", "bench_plan.py"),
    Section("sweep", "bench_sweep.py"),
    Section("timeouts", "bench_timeouts.py"),
    Section("peers", "bench_peers.py"),
    Section("trace", "bench_trace.py"),
    Section("paint", "bench_first_paint.py"),
    Section("paint-quarter", "bench_first_paint.py", ("--cores", "0.25", "--rounds", "1")),
)


def marks(name: str) -> tuple[str, str]:
    """Return what stands before and after a section on the page."""
    return f"<!-- bench {name} -->", f"<!-- /bench {name} -->"


def section_text(section: Section, rows: Sequence[dict[str, str]], *, said: str) -> str:
    """Return a section as it stands on the page."""
    lines = [said, "", "| What | Measured | Asked | Command |", "|---|---|---|---|"]
    for row in rows:
        cells = (row["what"], row["measured"], row["asked"], f"`{section.command}`")
        lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return "\n".join(lines)


def with_section(page: str, name: str, text: str) -> str:
    """Return the page with a section replaced; all else stays.

    Raises
    ------
    ValueError
        If the page does not have that section once.
    """
    before, after = marks(name)
    if page.count(before) != 1 or page.count(after) != 1:
        raise ValueError(f"the page must have {before} … {after} once")
    head, rest = page.split(before)
    _, tail = rest.split(after)
    return f"{head}{before}\n{text}\n{after}{tail}"


def measure(section: Section) -> list[dict[str, str]] | None:
    """Run a benchmark and return its rows; None if it could not be run to its end."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.json"
        command = [sys.executable, str(ROOT / "benchmarks" / section.script), *section.arguments]
        try:
            done = subprocess.run(
                command,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT), ROWS_FILE: str(file)},
                timeout=LONGEST_S,
            )
        except subprocess.TimeoutExpired:
            return None
        return json.loads(file.read_text()) if done.returncode == 0 and file.exists() else None


def main() -> None:
    """Run what is asked for and write it down."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = [section.name for section in SECTIONS]
    parser.add_argument("only", nargs="*", metavar="section", help=f"of {', '.join(names)}")
    only = parser.parse_args().only or names
    unknown = [name for name in only if name not in names]
    if unknown:
        parser.error(f"no section is called {', '.join(unknown)}; there are {', '.join(names)}")
    kept = []
    for section in SECTIONS:
        if section.name not in only:
            continue
        print(f"== {section.name}: {section.command}", flush=True)
        begun, load_before = time.perf_counter(), load()
        rows = measure(section)
        if rows is None:
            kept.append(section.name)
            continue
        said = (
            f"Measured on {dt.date.today():%Y-%m-%d} in {time.perf_counter() - begun:.0f} s, load "
            f"{load_before:.1f} before it; {machine()}; {versions()}."
        )
        text = section_text(section, rows, said=said)
        PAGE.write_text(with_section(PAGE.read_text(), section.name, text))
    if kept:
        sys.exit(f"Not measured, and left as they were: {', '.join(kept)}")


if __name__ == "__main__":
    main()
