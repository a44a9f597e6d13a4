"""What the comparison of scale-to-zero and always-on over the request rate comes to, in words.

The Break-even page, the report and the command line print the same sentences. Nothing is simulated
or billed here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from frontier import spell, units
from frontier.break_even import BreakEven, RatePoint
from frontier.economics import Swing, break_even_value_usd
from frontier.rivals import ALWAYS_ON
from frontier.sensitivity import Flip
from frontier.trace import Trace
from frontier.verdict.facts import PlanFacts


def _requests_per_day(trace: Trace) -> float:
    return trace.arrival_s.size / trace.horizon_s * units.SECONDS_PER_DAY


def _rate(factor: float, trace: Trace) -> str:
    return spell.significant(factor * _requests_per_day(trace))


def how_sure(
    found: BreakEven,
    line: str,
    now: Mapping[str, RatePoint],
    trace: Trace,
    *,
    limit_s: float,
    seeds: int,
) -> str:
    """Return what the break-even leaves open, and at which rates either plan holds the limit.

    Parameters
    ----------
    now : mapping of str to RatePoint
        The point of each line at the traffic as it is.
    limit_s : float
        On p99 TTFT. [s]
    seeds : int
        How many draws of the scaled traffic the range is over.
    """
    said = []
    if trace.horizon_s < units.SECONDS_PER_DAY:
        said.append("The trace covers less than a day: a month is an extrapolation.")
    if found.crossings:
        ranges = [
            f"{_rate(crossing.low, trace)} to {_rate(crossing.high, trace)}"
            for crossing in found.crossings
        ]
        said.append(
            f"Uncertainty of the break-even: {' and '.join(ranges)} requests a day, one standard "
            f"error over {spell.count(seeds, 'draw')} of the scaled traffic."
        )
    limit = spell.seconds(limit_s)
    replicas = spell.count(now[ALWAYS_ON].replicas, "replica")
    if now[ALWAYS_ON].holds_limit:
        said.append(f"Always-on needs {replicas} here to hold a p99 of {limit}.")
    else:
        said.append(
            f"No number of always-on replicas holds a p99 of {limit} here; {replicas}, the fewest "
            "that are as fast as more, stand for it."
        )
    holding = [point for point in found.points if point.line == line and point.holds_limit]
    of_line = [point for point in found.points if point.line == line]
    if not holding:
        said.append("Scale-to-zero holds it at none of these rates.")
    elif len(holding) < len(of_line):
        said.append(
            f"Scale-to-zero holds it at {len(holding)} of these {len(of_line)} rates, from "
            f"{_rate(holding[0].factor, trace)} requests a day."
        )
    else:
        said.append("So does scale-to-zero, at all of these rates.")
    return " ".join(said)


def gap_sentence(gap_usd: float, zero: RatePoint | PlanFacts, rival: RatePoint | PlanFacts) -> str:
    """Return which of the two rivals is the cheaper one here, and by how much a month."""
    cheaper = "always-on" if gap_usd > 0 else "scale-to-zero"
    return (
        f"Here scale-to-zero costs {spell.dollars(zero.usd_per_month)} a month and always-on "
        f"{spell.dollars(rival.usd_per_month)}: {cheaper} is cheaper by "
        f"{spell.dollars(abs(gap_usd))}."
    )


def flip_sentence(flip: Flip) -> str:
    """Return what one input would have to be for the other rival to be the cheaper one."""
    swing = flip.swing
    more = "or more" if flip.value > swing.base else "or less"
    return (
        f"{swing.label} of **{swing_value(swing, flip.value)}** {more} "
        f"(now {swing_value(swing, swing.base)})"
    )


def swing_value(swing: Swing, value: float, *, bare: bool = False) -> str:
    """Return the value of an input as people read it; bare, as the first of a range."""
    if swing.unit == "s":
        return spell.seconds(value)
    if swing.unit == "$/GPU-h":
        return spell.dollars(value) + ("" if bare else " a GPU-hour")
    words = {
        "requests/day": " requests a day",
        "tokens/request": " tokens a request",
        "requests": " requests a replica",
        "vCPU": " vCPU a replica",
        "GiB": " GiB a replica",
    }
    return spell.significant(value) + ("" if bare else words[swing.unit])


def worth_sentence(extra_usd: float, over: tuple[float, float], limit_s: float) -> str:
    """Return what sparing one request a wait over the limit must be worth for a plan to pay.

    Parameters
    ----------
    extra_usd : float
        What the plan under the limit costs more, a month. [$]
    over : tuple of float
        Requests a month over the limit: of the cheaper plan, and of the one under the limit.
    """
    if extra_usd <= 0:
        return "The plan under the limit costs no more: it needs no worth of a session to pay."
    limit = spell.seconds(limit_s)
    value_usd = break_even_value_usd(extra_usd, *over)
    words = f"The plan under the limit costs {spell.dollars(extra_usd)} a month more"
    if not math.isfinite(value_usd):
        return f"{words} and spares no request a wait over {limit}."
    return (
        f"{words} and spares {spell.significant(over[0] - over[1])} requests a month a wait over "
        f"{limit}: **it pays if sparing one is worth {spell.dollars(value_usd)}**, whatever the "
        "curve."
    )
