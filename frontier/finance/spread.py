"""How far a plan's month and its p99 move with prices, with starts and with twice the traffic.

The plan stays as it is, with as many replicas as it may have: the figures say what would be paid
and waited before anybody acts. Prices are billed again; starts and traffic are
simulated again, the traffic once, with one seed.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from frontier import spell
from frontier.errors import FrontierError
from frontier.rivals import scaled_start
from frontier.study import Study
from frontier.sweep import Outcome, simulate_plans, start_normals
from frontier.trace.reshape import scale_rate

_SEED = 0


@dataclass(frozen=True, slots=True)
class Spread:
    """A plan's figures with one input off its base.

    Attributes
    ----------
    what : str
        Which input, and how far it moves.
    usd_per_month : (float, float)
        Least and most [$/month]; one value twice where it goes one way alone.
    p99_ttft_s : (float, float)
        [s]
    note : str
        What it could not be computed for; empty where it was.
    """

    what: str
    usd_per_month: tuple[float, float]
    p99_ttft_s: tuple[float, float]
    note: str = ""


def spread_of(study: Study, outcome: Outcome) -> tuple[Spread, ...]:
    """Return how far a plan moves with each of prices, starts and traffic."""
    return (_prices(study, outcome), _starts(study, outcome), _traffic(study, outcome))


def _prices(study: Study, outcome: Outcome) -> Spread:
    band, p99_s = study.tables.setting("price_band"), outcome.latency.p99_ttft_s
    low, high = (study.usd_per_month(outcome, factor) for factor in (1 - band, 1 + band))
    return Spread(f"Every metered price ± {spell.percent(band)}", (low, high), (p99_s, p99_s))


def _starts(study: Study, outcome: Outcome) -> Spread:
    tables, plan, latency = study.tables, outcome.plan, outcome.latency
    usd = study.usd_per_month(outcome)
    if outcome.starts == 0:
        same = Spread("Starts", (usd, usd), (latency.p99_ttft_s, latency.p99_ttft_s))
        return dataclasses.replace(same, note="No start in it")
    tail = tables.setting("start_swing_percentile")
    starts_s = plan.start.draw(start_normals(tables)).total_s
    typical_s = plan.start.typical_s
    ends_s = np.percentile(starts_s, [tail, 100 - tail], method="inverted_cdf").tolist()
    plans = [
        dataclasses.replace(plan, start=scaled_start(plan.start, end_s / typical_s))
        for end_s in ends_s
    ]
    found = simulate_plans(plans, study.trace, tables)
    return Spread(
        f"Every start from {spell.seconds_between(*ends_s)}",
        _ends([study.usd_per_month(one) for one in found]),
        _ends([one.latency.p99_ttft_s for one in found]),
    )


def _traffic(study: Study, outcome: Outcome) -> Spread:
    factor = study.tables.setting("traffic_swing")
    what = f"Traffic × {factor:g}, same plan"
    try:
        trace = scale_rate(study.trace, factor, _SEED, study.tables)
    except FrontierError as error:
        return Spread(what, (math.nan, math.nan), (math.nan, math.nan), note=str(error))
    (found,) = simulate_plans([outcome.plan], trace, study.tables)
    usd, p99_s = study.usd_per_month(found), found.latency.p99_ttft_s
    return Spread(what, (usd, usd), (p99_s, p99_s))


def _ends(values: list[float]) -> tuple[float, float]:
    return min(values), max(values)
