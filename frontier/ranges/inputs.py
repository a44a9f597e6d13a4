"""What the inputs of a scenario leave open: each with its range, its basis and its reason.

The start and the serving speed have the spread of measured over predicted in published cases that
no fit has seen; the user's own timings leave only their own spread. A price moves with its age as
prices were seen to move. Cores and memory of an engine are assumed within a factor. Luck of
traffic and starts is no input, but can stand beside them (`luck_range`).

A range is a factor on the base value, as quantiles. Ranges are taken one input at a time; what
two inputs have in common is left out.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType

import numpy as np

from frontier import spell, units
from frontier.billing import HostChoice, host_used, is_metered
from frontier.plans.scenario import Deployment
from frontier.ranges.quantiles import (
    SHARES,
    InputRange,
    factors_of,
    factors_of_moves,
    factors_of_runs,
    factors_of_sum,
    factors_within,
    predictive_factors,
    settled,
)
from frontier.serving import ServingSpeed
from frontier.serving.validate import of_point, of_stage
from frontier.start.stages import ColdStart
from frontier.start.validate import CaseResult, group_of, validate_start
from frontier.sweep import LIST_DEAL, Deal, host_need, start_normals
from frontier.tables import OWN_SOURCE, Offer, Tables
from frontier.trace import Trace
from frontier.validation import Comparison

START, PROMPT_SPEED, DECODE_SPEED = "start", "prompt_speed", "decode_speed"
SERVERLESS_PRICE, DEDICATED_PRICE = "serverless_price", "dedicated_price"
VCPUS, RAM = "vcpus", "ram_gib"
TRAFFIC, LUCK_OF_TRAFFIC = "traffic", "luck"

_ENGINE_HOST = {
    VCPUS: ("engine_vcpus", "engine_vcpus_per_gpu"),
    RAM: ("engine_ram_gib", "engine_ram_gib_per_gpu"),
}
_PROMPT = ("first token", "first token under a rate")
_DECODE = ("decode", "decode under a rate", "throughput", "whole batch")


def input_ranges(
    deployment: Deployment,
    trace: Trace,
    tables: Tables,
    *,
    today: dt.date,
    deal: Deal = LIST_DEAL,
) -> tuple[InputRange, ...]:
    """Return every input of a scenario that something is known to leave open, or to settle.

    Parameters
    ----------
    today : date
        By which the age of a price is counted.
    deal : Deal
        Cores and memory that the buyer gave leave nothing open.
    """
    serverless, dedicated = (
        tables.offers[supply.offer_id] for supply in (deployment.serverless, deployment.dedicated)
    )
    own = "Serverless GPU price" if deployment.nodes is None else "Node price"
    speeds = (deployment.speed, deployment.machines.speed)
    # The same model of speed errs for both; where only one was measured, the other decides.
    speed = next((one for one in speeds if one.basis != "measured"), speeds[0])
    return (
        start_range(deployment.start, deployment.serverless.behaviour.platform_id, tables),
        *speed_ranges(speed, trace, tables),
        price_range(SERVERLESS_PRICE, own, serverless, tables, today=today),
        price_range(DEDICATED_PRICE, "Dedicated GPU price", dedicated, tables, today=today),
        *host_ranges(deployment, tables, deal),
        *traffic_range(trace, tables),
    )


def start_range(start: ColdStart, platform: str | None, tables: Tables) -> InputRange:
    """Return what the seconds of a start may be on a platform of data/platforms.csv.

    What the user measured keeps its own spread: of several runs, that of their mean; of one, the
    spread that such a start usually has. The rest has that of published starts which no fit has
    seen, over their prediction (`published_like`).
    """
    rest, basis, sources, cases, words = _model_start(start, platform, tables)
    mine, own_share = _own_start(start, tables)
    if own_share == 0.0:
        factors = rest
        why = f"{words}."
    else:
        parts = [*mine, (1.0 - own_share, rest)] if own_share < 1.0 else mine
        factors = factors_of_sum(
            parts,
            seed=int(tables.setting("start_seed")),
            draws=int(tables.setting("start_draws")),
        )
        why = f"{spell.percent(own_share)} of it is your own timing, which keeps its own spread"
        why += f"; for the rest: {spell.lower_first(words)}." if own_share < 1.0 else "."
        if own_share == 1.0:
            basis, sources, cases = "yours", (), max(_own_runs(start), 1)
    return InputRange(
        START,
        "Start time",
        "s",
        start.typical_s,
        factors if start.typical_s > 0 else settled(),
        _tail(tables),
        basis,
        sources,
        cases,
        why,
    )


def speed_ranges(speed: ServingSpeed, trace: Trace, tables: Tables) -> tuple[InputRange, ...]:
    """Return what a prompt and a decode step may take.

    As long as measured over predicted in published runs: those that no fit has seen, and where the
    speed of this very configuration was measured, those that the fits were made on.
    """
    known = speed.basis == "measured"
    rows: list[Comparison] = []
    for point in tables.serving_points.values():
        if (point.use == "fit") == known:
            rows += of_point(point, tables)
    if not known:
        for stage in tables.serving_stages.values():
            if stage.use == "check":
                rows += of_stage(stage, tables)
    kept = "used in fits" if known else "kept back from every fit"
    prompt_s = float(np.median(speed.prefill_s(trace.prompt_tokens)))
    return tuple(
        _validated(key, label, base_s, rows, groups, kept, tables)
        for key, label, base_s, groups in (
            (PROMPT_SPEED, "Prompt time", prompt_s, _PROMPT),
            (DECODE_SPEED, "Decode step", float(speed.decode_step_s[0]), _DECODE),
        )
    )


def _validated(
    key: str,
    label: str,
    base_s: float,
    rows: Iterable[Comparison],
    groups: tuple[str, ...],
    kept: str,
    tables: Tables,
) -> InputRange:
    alike = [row for row in rows if row.group in groups]
    return InputRange(
        key,
        label,
        "s",
        base_s,
        predictive_factors([row.measured / row.predicted for row in alike]),
        _tail(tables),
        "derived",
        tuple(dict.fromkeys(row.source_id for row in alike)),
        len(alike),
        f"Measured over predicted in {spell.count(len(alike), 'published run')} {kept}.",
    )


@dataclass(frozen=True, slots=True)
class PriceMoves:
    """How prices of offers were seen to move.

    Attributes
    ----------
    days : int
        For how long offers were followed, all of them together. [days]
    log_ratios : tuple of float
        Natural logarithm of new over old, one entry a move. [1]
    offers : int
        How many were followed.
    source_ids : tuple of str
        Where the earlier prices were read.
    """

    days: int
    log_ratios: tuple[float, ...]
    offers: int
    source_ids: tuple[str, ...]


def price_moves(tables: Tables) -> PriceMoves:
    """Return how prices moved between data/price_history.csv and data/offers.csv.

    A price that somebody brought or changed is no move. Two moves between two readings count as
    one.
    """
    followed: dict[str, dict[dt.date, float]] = {}
    for row in tables.price_history.values():
        offer = tables.offers.get(row.offer_id)
        if offer is not None and offer.source_id != OWN_SOURCE:
            dates = followed.setdefault(row.offer_id, {offer.priced_on: offer.usd_per_gpu_h})
            dates[row.priced_on] = row.usd_per_gpu_h
    days, moves = 0, []
    for dates in followed.values():
        for (day, usd), (later, usd_later) in pairwise(sorted(dates.items())):
            days += (later - day).days
            if usd_later != usd:
                moves.append(math.log(usd_later / usd))
    sources = {
        row.source_id: None for row in tables.price_history.values() if row.offer_id in followed
    }
    return PriceMoves(days, tuple(moves), len(followed), tuple(sources))


def price_range(
    key: str, label: str, offer: Offer, tables: Tables, *, today: dt.date
) -> InputRange:
    """Return what a price may be by now.

    A list price is changed from time to time, at random, each time by a ratio that was seen
    before; changes are as frequent as they were. A spot price or one that is no list price is
    within the price band, which is assumed. What the user brought leaves nothing open.
    """
    age = max(0, (today - offer.priced_on).days)
    sources: tuple[str, ...]
    days_old = spell.count(age, "day")
    if offer.source_id == OWN_SOURCE:
        basis, sources, cases = "yours", (offer.source_id,), 0
        factors, why = settled(), "Your own price, taken as it is."
    elif offer.kind == "spot" or offer.price_kind != "list":
        band = tables.settings["price_band"]
        basis, sources, cases = band.basis, (offer.source_id, band.source_id), 0
        factors = factors_within(1.0 + band.value, _tail(tables))
        why = f"No list price: within {spell.percent(band.value)} of it, which is assumed."
    else:
        moves = price_moves(tables)
        basis, cases = "derived", len(moves.log_ratios)
        sources = (offer.source_id, *moves.source_ids)
        factors = factors_of_moves(moves.log_ratios, moves.days, age)
        each = spell.significant(moves.days / cases) if cases else "no"
        why = (
            f"{days_old[0].upper()}{days_old[1:]} old. {spell.count(moves.offers, 'price')} that "
            f"were read again had {spell.count(cases, 'change')}, one in {each} days; each change "
            "drawn from these."
        )
    return InputRange(
        key,
        label,
        "$/GPU-h",
        offer.usd_per_gpu_h,
        factors if offer.usd_per_gpu_h > 0 else settled(),
        _tail(tables),
        basis,
        tuple(dict.fromkeys(sources)),
        cases,
        why,
    )


def host_ranges(
    deployment: Deployment, tables: Tables, deal: Deal = LIST_DEAL
) -> tuple[InputRange, ...]:
    """Return what an engine may take of cores and memory, where they are metered.

    Nothing where the buyer gave the amount, or asks for one and is billed by that.
    """
    found: dict[str, InputRange] = {}
    swing = tables.settings["host_swing"]
    for deployed, terms in ((deployment, deal.serverless), (deployment.machines, deal.machines)):
        offer = tables.offers[deployed.supply.offer_id]
        rules = tables.rules_of(offer)
        if not is_metered(offer, rules):
            continue
        used = host_used(terms.host, host_need(deployed, tables), tables)
        for key, label, unit, base in (
            (VCPUS, "Cores", "vCPU", used.vcpus),
            (RAM, "Host memory of the engine", "GiB", used.ram_gib - used.weights_gib),
        ):
            if key not in found and not _is_given(terms.host, key, rules.cores_metered):
                found[key] = InputRange(
                    key,
                    label,
                    unit,
                    base,
                    factors_within(swing.value, _tail(tables)),
                    _tail(tables),
                    swing.basis,
                    (tables.settings[_ENGINE_HOST[key][0]].source_id, swing.source_id),
                    0,
                    f"What an engine takes, within a factor of {spell.significant(swing.value)}, "
                    "which is assumed; say what your replica uses and nothing is left open.",
                )
    return tuple(found.values())


def _is_given(host: HostChoice, key: str, metered: str) -> bool:
    asked = getattr(host, f"asked_{key}") is not None
    return getattr(host, key) is not None or (asked and metered == "requested")


def with_engine_host(tables: Tables, factors: dict[str, float]) -> Tables:
    """Return the tables with what an engine takes of `VCPUS` and `RAM` times these factors."""
    settings = dict(tables.settings)
    for key, factor in factors.items():
        for name in _ENGINE_HOST[key]:
            row = settings[name]
            settings[name] = dataclasses.replace(row, value=row.value * factor)
    return dataclasses.replace(tables, settings=MappingProxyType(settings))


def traffic_range(trace: Trace, tables: Tables) -> tuple[InputRange, ...]:
    """Return what the rate of requests may be, where a setting says that it may be another one."""
    swing = tables.settings["ranges_traffic"]
    if swing.value == 1.0:
        return ()
    return (
        InputRange(
            TRAFFIC,
            "Traffic",
            "requests/day",
            trace.arrival_s.size / trace.horizon_s * units.SECONDS_PER_DAY,
            factors_within(swing.value, _tail(tables)),
            _tail(tables),
            swing.basis,
            (swing.source_id,),
            0,
            f"Within a factor of {spell.significant(swing.value)}, as the settings say.",
        ),
    )


def luck_range(trace: Trace, others: Sequence[Trace], how: str, tables: Tables) -> InputRange:
    """Return how many requests a day other traffic of the same kind has.

    It stands for all that is luck: when they come, and how long each start takes.
    """
    rates = [other.arrival_s.size / trace.arrival_s.size for other in others]
    return InputRange(
        LUCK_OF_TRAFFIC,
        "Luck of traffic and starts",
        "requests/day",
        trace.arrival_s.size / trace.horizon_s * units.SECONDS_PER_DAY,
        factors_of(np.log(np.quantile(rates, SHARES))),
        _tail(tables),
        "derived",
        (),
        len(others),
        f"{how}, {spell.count(len(others), 'time')}, each with new starts.",
    )


def published_like(
    start: ColdStart, platform: str | None, results: Iterable[CaseResult], tables: Tables
) -> tuple[tuple[CaseResult, ...], str]:
    """Return the published starts that one is most like, none of them fitted, and which they are.

    Where a stage is assumed those of its platform, and where they are too few those of all such
    platforms; else those on hosts that are known. Where these are too few, all.
    """
    held_apart = tuple(row for row in results if not row.used_in_fit)
    group = group_of(start)
    alike_known = [row for row in held_apart if row.case.group == group]
    if group == "opaque":
        own = [row for row in alike_known if row.case.platform == platform]
        choices = [
            (own, "on the same platform"),
            (alike_known, "on platforms that do not say what they run on"),
        ]
    else:
        # Where the host is known, it and not the name of the platform is what is alike.
        choices = [(alike_known, "on hosts and storage that are known")]
    for alike, words in choices:
        if len(alike) >= tables.setting("ranges_least_cases"):
            return tuple(alike), words
    return held_apart, "of every kind"


def _model_start(
    start: ColdStart, platform: str | None, tables: Tables
) -> tuple[tuple[float, ...], str, tuple[str, ...], int, str]:
    """Return the range of what is predicted of a start: factors, basis, sources, cases, words."""
    results = validate_start(tables)
    alike, which = published_like(start, platform, results, tables)
    # Few cases have long tails: nothing lies further off than any start that was ever measured.
    furthest = max(
        abs(math.log(row.measured_s / row.predicted_s)) for row in results if not row.used_in_fit
    )
    words = (
        f"Measured over predicted in {spell.count(len(alike), 'published start')} {which}, which "
        "no fit has seen"
    )
    return (
        predictive_factors(
            [row.measured_s / row.predicted_s for row in alike], within=math.exp(furthest)
        ),
        "assumed" if group_of(start) == "opaque" else "derived",
        tuple(dict.fromkeys(row.case.source_id for row in alike)),
        len(alike),
        words,
    )


def _own_runs(start: ColdStart) -> int:
    """Return how many runs the user gave, of the whole start or of its best known stage."""
    return max(len(start.total_runs_s), *(len(stage.runs_s) for stage in start.stages))


def _own_start(
    start: ColdStart, tables: Tables
) -> tuple[list[tuple[float, tuple[float, ...]]], float]:
    """Return the user's own parts of a start, each its share and its factors, and their sum."""
    if start.total_runs_s:
        return [
            (1.0, factors_of_runs(start.total_runs_s, log_error_of_one_log(start, tables)))
        ], 1.0
    wall_s, total_s = start.wall_s, start.typical_s
    mine = [
        (
            wall_s[stage.name] / total_s,
            factors_of_runs(stage.runs_s or (wall_s[stage.name],), math.log(stage.spread)),
        )
        for stage in start.stages
        if stage.basis == "measured" and not stage.source_ids and wall_s[stage.name] > 0
    ]
    share = math.fsum(part for part, _ in mine)
    # Sums of the same seconds in another order differ in their last bits.
    return mine, 1.0 if math.isclose(share, 1.0) else share


def log_error_of_one_log(start: ColdStart, tables: Tables) -> float:
    """Return how far one run of a start lies from its middle: the spread of its logarithm [1]."""
    usual = dataclasses.replace(start, total_runs_s=(), on_node=None)
    totals_s = usual.draw(start_normals(tables)).total_s
    return float(np.log(totals_s[totals_s > 0]).std()) if np.any(totals_s > 0) else 0.0


def _tail(tables: Tables) -> float:
    return (1.0 - tables.setting("ranges_level")) / 2
