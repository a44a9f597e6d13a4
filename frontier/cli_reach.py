"""The command that searches the cheapest way to hold a limit: what it asks, prints and writes.

The work is done in `frontier.reach`; this is its words, and its files.
"""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from frontier import spell
from frontier.cli_market import KINDS, add_filters, plain
from frontier.cli_options import add_out
from frontier.tables import Tables

if TYPE_CHECKING:
    from frontier.reach import Failure, Reached, Trial

SUFFIXES = (".csv", ".json")


def add_reach(parser: argparse.ArgumentParser) -> None:
    """Add to a parser whose offers are searched, and what is printed and written."""
    add = parser.add_argument
    add(
        "--limit",
        type=float,
        dest="slo_p99_ttft",
        default=argparse.SUPPRESS,
        metavar="S",
        help="the same as --slo-p99-ttft",
    )
    add_filters(parser)
    add(
        "--any-precision",
        action="store_true",
        help="search the model's other precisions as well, and say what the cheapest would take",
    )
    add("--json", action="store_true", help="print everything as JSON")
    add_out(parser, "the plans that were simulated (.csv) or everything (.json)")


def kinds_of(told: argparse.Namespace) -> tuple[str, ...]:
    """Return the kinds that are searched: on demand, unless others are asked for by name."""
    from frontier.market import ON_DEMAND

    return tuple(kind for kind in KINDS if kind in (told.kind or ON_DEMAND))


def printed(found: Reached, tables: Tables, told: argparse.Namespace, about: list[str]) -> str:
    """Return what the command prints."""
    from frontier.reach import beside_in_words, headline, sentences

    if told.json:
        return as_json(found, tables)
    hours = tables.setting("hours_per_month")
    lines = [headline(found, hours)]
    lines += [f"  {sentence}" for sentence in (*sentences(found, hours), *about)]
    if found.found is not None and found.beside:
        lines += ["", "Next to it:"]
        lines += [f"  {beside_in_words(row, found, hours)}" for row in found.beside]
    return "\n".join(lines)


def as_file(suffix: str, found: Reached, tables: Tables) -> bytes:
    """Return what a file of that kind holds."""
    from frontier.charts.reach_chart import reach_table
    from frontier.export import csv_bytes

    if suffix == ".csv":
        return csv_bytes(reach_table(found))
    return as_json(found, tables).encode("utf-8")


def as_json(found: Reached, tables: Tables) -> str:
    """Return everything as JSON: what was asked, the answer, and what stands next to it."""
    from frontier.reach import beside_in_words, difference_in_words, headline, sentences

    hours, scenario = tables.setting("hours_per_month"), found.scenario
    everything = {
        "asked": {
            "model": scenario.model,
            "precision": scenario.precision,
            "limit_s": found.limit_s,
            "provider": found.provider,
            "requests": found.requests,
            "span_s": found.span_s,
        },
        "headline": headline(found, hours),
        "sentences": sentences(found, hours),
        "found": _trial(found.found),
        "simpler": _trial(found.simpler),
        "other_precision": _trial(found.other),
        "nearest": _trial(found.nearest),
        "why_nearest_fails": _failure(found.failure),
        "beside": [
            {
                "direction": row.direction,
                "change": difference_in_words(row.trial.settings, found.found.settings),
                "sentence": beside_in_words(row, found, hours),
                "saves_usd_per_month": row.saves_usd,
                "plan": _trial(row.trial),
                "fails": _failure(row.failure),
            }
            for row in found.beside
            if found.found is not None
        ],
        "simulated": len(found.tried),
        "places": found.places,
        "kinds_not_ruled_out": found.open_kinds,
        "unable": found.unable,
    }
    return json.dumps(plain(everything), indent=2, ensure_ascii=False, allow_nan=False)


def _trial(trial: Trial | None) -> dict[str, Any] | None:
    from frontier.reach import settings_in_words

    if trial is None:
        return None
    one = trial.settings
    return {
        "offer_id": one.place.offer.offer_id,
        "base_offer_id": None if one.base is None else one.base.offer.offer_id,
        "gpu": one.place.offer.gpu,
        "gpus_per_replica": one.place.gpus,
        "precision": one.place.deployed.speed.precision,
        "plan": settings_in_words(one),
        "kept": one.kept,
        "most": one.most,
        "kept_hours": None if one.hours is None else str(one.hours),
        "idle_timeout_s": one.idle_timeout_s,
        "mitigations": [item.key for item in one.way.chosen],
        "buffer": one.buffer,
        "target": one.target,
        "usd_per_month": trial.usd_per_month,
        "p99_ttft_s": trial.p99_s,
        "over_of_thousand": trial.over,
        "waited_share": trial.latency.waited_on_start_share,
        "starts": trial.starts,
    }


def _failure(failure: Failure | None) -> dict[str, Any] | None:
    if failure is None:
        return None
    return {
        "requests": failure.requests,
        "allowed": failure.allowed,
        "too_many": failure.too_many,
        "refused": failure.refused,
        "part": failure.part,
        "part_s": failure.part_s,
        "ttft_s": failure.ttft_s,
    }


def wrote(found: Reached, path: object) -> str:
    """Return what is said of a written file."""
    return f"\nWrote {spell.count(len(found.tried), 'plan')} to {path}"
