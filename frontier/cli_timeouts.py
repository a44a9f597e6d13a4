"""The command that tries idle timeouts: what it asks, prints and writes.

The work is done in `frontier.timeouts`; this is its words, and its files.
"""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from frontier import spell
from frontier.cli_market import plain
from frontier.cli_options import add_out
from frontier.errors import InfeasibleError

if TYPE_CHECKING:
    from frontier.crew import Crew
    from frontier.study import Study
    from frontier.timeouts import Timeouts

SUFFIXES = (".csv", ".json")


def add_timeouts(parser: argparse.ArgumentParser) -> None:
    """Add to a parser what is printed and written of the idle timeouts."""
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    add_out(parser, "the points (.csv) or everything (.json)")


def found_of(study: Study, crew: Crew) -> Timeouts:
    """Return the idle timeouts of a study, simulated now.

    Raises
    ------
    InfeasibleError
        If an idle timeout decides nothing under the autoscaler; the message says so.
    """
    from frontier.timeouts import simulate_timeouts, timeouts_of, why_not

    if reason := why_not(study.deployment, study.tables):
        raise InfeasibleError(reason)
    runs = simulate_timeouts(study.deployment, study.trace, study.tables, study.deal, crew=crew)
    return timeouts_of(study, runs)


def printed(found: Timeouts, study: Study, told: argparse.Namespace) -> str:
    """Return what the command prints: the answer, and a line for each timeout."""
    from frontier.charts.timeouts_chart import MARKS, timeouts_table
    from frontier.timeouts import headline, sentences

    if told.json:
        return as_json(found, study)
    lines = [headline(found, study.tables)]
    lines += [f"  {sentence}" for sentence in sentences(found, study.tables)]
    lines += ["", f"{'kept':>12}  {'$/month':>10}  {'p99 TTFT':>12}  {'waited':>8}  {'starts':>7}"]
    for row in timeouts_table(found).itertuples():
        marks = ", ".join(MARKS[key].label for key in str(row.mark).split(", ") if key)
        beyond = "" if row.is_allowed else "not allowed"
        lines.append(
            f"{spell.seconds(row.idle_timeout_s):>12}  {spell.dollars(row.usd_per_month):>10}  "
            f"{spell.seconds(row.p99_ttft_s):>12}  {spell.percent(row.waited_share):>8}  "
            f"{row.starts:>7,}  {', '.join(filter(None, (beyond, marks)))}".rstrip()
        )
    return "\n".join(lines)


def as_file(suffix: str, found: Timeouts, study: Study) -> bytes:
    """Return what a file of that kind holds."""
    from frontier.charts.timeouts_chart import timeouts_table
    from frontier.export import csv_bytes

    if suffix == ".csv":
        return csv_bytes(timeouts_table(found))
    return as_json(found, study).encode("utf-8")


def as_json(found: Timeouts, study: Study) -> str:
    """Return everything as JSON: what was asked, the sentences, a record for each timeout."""
    from frontier.charts.timeouts_chart import timeouts_table
    from frontier.timeouts import headline, sentences

    scenario, trace, ski = study.deployment.scenario, study.trace, found.ski_rental
    everything = {
        "asked": {
            "model": scenario.model,
            "precision": scenario.precision,
            "serverless": scenario.serverless_offer,
            "limit_s": found.limit_s,
            "traffic": trace.name,
            "requests": int(trace.arrival_s.size),
            "span_s": trace.horizon_s,
            "trace_digest": trace.digest,
        },
        "headline": headline(found, study.tables),
        "sentences": sentences(found, study.tables),
        "allowed_s": found.allowed_s,
        "longest_gap_s": found.longest_gap_s,
        "ski_rental": None
        if ski is None
        else {
            "idle_timeout_s": ski.idle_timeout_s,
            "paid_usd": ski.paid_usd,
            "least_usd": ski.least_usd,
            "ratio": ski.ratio,
        },
        "timeouts": timeouts_table(found).astype(object).to_dict(orient="records"),
    }
    return json.dumps(plain(everything), indent=2, ensure_ascii=False, allow_nan=False)
