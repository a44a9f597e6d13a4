"""The answer in words: the cheapest plan under the limit, where break-even lies, what flips it.

Reads the frontier table (one row a plan) and the costs of scale-to-zero against always-on, and says
what a person would. The page, the report and the command line print the same sentences; no other
module says what wins. Nothing is simulated or billed here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from frontier import spell, units
from frontier.economics import Swing, break_even_value_usd, cheapest_under
from frontier.plans.families import DEDICATED, FAMILIES
from frontier.sensitivity import ALWAYS_ON, BreakEven, Flip, RatePoint
from frontier.trace import Trace


@dataclass(frozen=True, slots=True)
class Answer:
    """What the frontier table says about one scenario.

    Attributes
    ----------
    headline : str
        The cheapest plan that holds the limit, or that there is none.
    reasons : tuple of str
        What scale-to-zero would cost and do; where break-even lies and where this traffic is.
    cheapest_plan_id : str or None
        None where no plan holds the limit.
    default_plan_id : str or None
        Scale-to-zero as the provider ships it; None where the grid has no such plan.
    dedicated_plan_id : str or None
        The cheapest always-on plan that holds the limit, else the fastest.
    """

    headline: str
    reasons: tuple[str, ...]
    cheapest_plan_id: str | None
    default_plan_id: str | None
    dedicated_plan_id: str | None

    def marked(self) -> dict[str, str]:
        """Return the plans to name on the chart, with the words to use."""
        words = {
            self.default_plan_id: "provider's default",
            self.dedicated_plan_id: "always-on",
            self.cheapest_plan_id: "cheapest under the limit",
        }
        return {plan_id: text for plan_id, text in words.items() if plan_id is not None}


def find_answer(
    table: pd.DataFrame,
    *,
    slo_p99_ttft_s: float,
    break_even_utilisation: float,
    span_is_short: bool = False,
) -> Answer:
    """Return the answer that a frontier table gives.

    Parameters
    ----------
    table : DataFrame
        One row a plan, from `frontier.sweep.frontier_table`.
    slo_p99_ttft_s : float
        The limit on p99 TTFT. [s]
    break_even_utilisation : float
        Dedicated price over serverless price, all meters included: the share of the time a
        replica may be held before always-on is the cheaper plan. At least 1: never. [1]
    span_is_short : bool
        Whether the trace covers less than a day, so that a month is an extrapolation.
    """
    own = table[[FAMILIES[key].is_buyable for key in table["family"]]]
    cheapest = _cheapest(own, slo_p99_ttft_s)
    default = _cheapest(own[own["is_provider_default"]])
    dedicated_all = own[own["family"] == DEDICATED.key]
    dedicated = _cheapest(dedicated_all, slo_p99_ttft_s)
    if dedicated is None and len(dedicated_all):
        dedicated = dedicated_all.sort_values(["p99_ttft_s", "usd_per_month"]).iloc[0]
    reasons = [
        sentence
        for sentence in (
            _about_default(default, cheapest),
            _about_break_even(default, dedicated, break_even_utilisation),
            "The trace covers less than a day: the monthly cost is an extrapolation."
            if span_is_short
            else "",
        )
        if sentence
    ]
    return Answer(
        headline=_headline(own, cheapest, dedicated, slo_p99_ttft_s),
        reasons=tuple(reasons),
        cheapest_plan_id=_id(cheapest),
        default_plan_id=_id(default),
        dedicated_plan_id=_id(dedicated),
    )


def _cheapest(rows: pd.DataFrame, limit_s: float = math.inf) -> pd.Series | None:
    at = cheapest_under(rows["usd_per_month"], rows["p99_ttft_s"], limit_s)
    return None if at is None else rows.iloc[at]


def _id(row: pd.Series | None) -> str | None:
    return None if row is None else str(row["plan_id"])


def _at(row: pd.Series) -> str:
    return f"{spell.dollars(row['usd_per_month'])} a month at {spell.seconds(row['p99_ttft_s'])}"


def _headline(
    table: pd.DataFrame,
    cheapest: pd.Series | None,
    dedicated: pd.Series | None,
    slo_p99_ttft_s: float,
) -> str:
    if cheapest is None:
        fastest = table.sort_values("p99_ttft_s", kind="stable").iloc[0]
        if not math.isfinite(fastest["p99_ttft_s"]):
            return "No plan serves this traffic: each refuses more than one request in a hundred"
        return (
            f"No plan holds a p99 of {spell.seconds(slo_p99_ttft_s)}: the fastest, "
            f"{spell.lower_first(fastest['label'])}, is {_at(fastest)}"
        )
    family = FAMILIES[cheapest["family"]]
    headline = f"{family.noun} wins here: {_at(cheapest)}"
    if family is not DEDICATED and dedicated is not None and dedicated["usd_per_month"] > 0:
        saved = round(1 - cheapest["usd_per_month"] / dedicated["usd_per_month"], 2)
        if saved > 0:
            headline += f", {spell.percent(saved)} less than always-on"
    return headline


def _about_default(default: pd.Series | None, cheapest: pd.Series | None) -> str:
    if default is None:
        return ""
    start = f"Scale-to-zero as shipped ({spell.lower_first(default['detail'])}) "
    if cheapest is not None and default["plan_id"] == cheapest["plan_id"]:
        return (
            start + f"is that plan: {spell.percent(default['waited_on_start_share'])} of requests "
            "wait on a start."
        )
    money = f"would cost {spell.dollars(default['usd_per_month'])} a month"
    joint = ";"
    if cheapest is not None:
        difference = default["usd_per_month"] - cheapest["usd_per_month"]
        money += f", {spell.dollars(abs(difference))} {'less' if difference < 0 else 'more'}"
        joint = ", but" if difference < 0 else ", and"
    if not math.isfinite(default["p99_ttft_s"]):
        return f"{start}{money}{joint} it would refuse over one request in a hundred."
    return (
        f"{start}{money}{joint} {spell.percent(default['waited_on_start_share'])} of requests "
        f"would wait on a start, one in a hundred {spell.seconds(default['p99_ttft_s'])} or longer."
    )


def _about_break_even(
    default: pd.Series | None, dedicated: pd.Series | None, break_even_utilisation: float
) -> str:
    if break_even_utilisation >= 1:
        return (
            "Replica for replica there is no break-even: an always-on hour costs "
            f"{spell.percent(break_even_utilisation)} of a serverless one, all meters counted."
        )
    count = 1 if dedicated is None else int(dedicated["max_replicas"])
    rival, whose = (
        ("an always-on replica", "its")
        if count == 1
        else (
            f"{count} always-on replicas",
            "their",
        )
    )
    sentence = (
        f"Break-even: scale-to-zero costs less than {rival} while it is billed for under "
        f"{spell.percent(break_even_utilisation)} of {whose} time"
    )
    if default is None:
        return sentence + "."
    return (
        f"{sentence}; this traffic makes that {spell.percent(default['billed_replicas'] / count)}."
    )


def _requests_per_day(trace: Trace) -> float:
    return trace.arrival_s.size / trace.horizon_s * units.SECONDS_PER_DAY


def _rate(factor: float, trace: Trace) -> str:
    return spell.significant(factor * _requests_per_day(trace))


def break_even_headline(found: BreakEven, line: str, trace: Trace, share: float) -> str:
    """Return where scale-to-zero and always-on cost the same, and where this traffic is.

    Parameters
    ----------
    found : BreakEven
    line : str
        Which scale-to-zero was compared; a line of ``found``.
    trace : Trace
    share : float
        `sensitivity.ceiling`: dedicated price over serverless price. [1]
    """
    has = f"this traffic has {_rate(1.0, trace)}"
    crossings = found.crossings
    if not crossings:
        usd = {point.line: point.usd_per_month for point in found.points if point.factor == 1.0}
        always_wins = usd[ALWAYS_ON] < usd[line]
        why = ""
        if not always_wins and share >= 1:
            why = ", for an always-on hour costs no less than a serverless one"
        return (
            f"There is no break-even: {'always-on' if always_wins else 'scale-to-zero'} is the "
            f"cheaper plan from {_rate(found.low, trace)} to {_rate(found.high, trace)} requests "
            f"a day{why}; {has}."
        )
    if len(crossings) == 1:
        wins, loses = "Always-on", "scale-to-zero"
        if not crossings[0].dearer_above:
            wins, loses = "Scale-to-zero", "always-on"
        return (
            f"{wins} is the cheaper plan above {_rate(crossings[0].at, trace)} requests a day, "
            f"{loses} below; {has}."
        )
    # Always-on is the cheaper one between a crossing at which scale-to-zero gets dearer and the
    # next one.
    spans, start = [], None if crossings[0].dearer_above else found.low
    for crossing in crossings:
        if crossing.dearer_above:
            start = crossing.at
        elif start is not None:
            spans.append(f"from {_rate(start, trace)} to {_rate(crossing.at, trace)}")
            start = None
    if start is not None:
        spans.append(f"above {_rate(start, trace)}")
    return f"Always-on is the cheaper plan {' and '.join(spans)} requests a day; {has}."


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
            f"No number of always-on replicas holds a p99 of {limit} here; {replicas}, as many as "
            "the busiest minute keeps busy, are compared."
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


def gap_sentence(gap_usd: float, zero: RatePoint, rival: RatePoint) -> str:
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
    }
    return spell.significant(value) + ("" if bare else words[swing.unit])


def utilisation_sentences(share: float, billed: float, busy: float, replicas: int) -> str:
    """Return the break-even of one replica, and how much of it this traffic fills.

    Parameters
    ----------
    share : float
        `sensitivity.ceiling`. [1]
    billed, busy : float
        Share of the time of the always-on replicas that scale-to-zero is billed and busy. [1]
    replicas : int
        Always-on replicas.
    """
    of = "one always-on replica" if replicas == 1 else f"{replicas} always-on replicas"
    if share >= 1:
        words = (
            f"Replica for replica there is no break-even: an hour of {of} costs "
            f"{spell.percent(share)} of an hour on scale-to-zero, all meters counted."
        )
    else:
        words = (
            "Replica for replica, always-on is cheaper once scale-to-zero is billed for more than "
            f"{spell.percent(share)} of the time: that is its price over the serverless one, all "
            "meters counted."
        )
    return (
        f"{words} This traffic is billed for {spell.percent(billed)} of the time of {of}, and "
        f"works in {spell.percent(busy)} of it."
    )


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
