"""The answer in words: which plan is cheapest under the limit, and why.

Reads the frontier table (one row a plan) and says what a person would: one headline, then the
reasons. The page and the command line print the same sentences. Nothing is simulated or billed
here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from frontier import units
from frontier.economics import cheapest_under


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
    own = table[~table["family"].isin(("bound", "api"))]
    cheapest = _cheapest(own, slo_p99_ttft_s)
    default = _cheapest(own[own["is_provider_default"]])
    dedicated_all = own[own["family"] == "dedicated"]
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
    return f"{units.dollars(row['usd_per_month'])} a month at {units.seconds(row['p99_ttft_s'])}"


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
            f"No plan holds a p99 of {units.seconds(slo_p99_ttft_s)}: the fastest, "
            f"{_lower_first(fastest['label'])}, is {_at(fastest)}"
        )
    if cheapest["family"] == "dedicated":
        return f"Always-on wins here: {_at(cheapest)}"
    headline = f"{_short(cheapest)} wins here: {_at(cheapest)}"
    if dedicated is not None and dedicated["usd_per_month"] > 0:
        saved = round(1 - cheapest["usd_per_month"] / dedicated["usd_per_month"], 2)
        if saved > 0:
            headline += f", {units.percent(saved)} less than always-on"
    return headline


def _about_default(default: pd.Series | None, cheapest: pd.Series | None) -> str:
    if default is None:
        return ""
    start = f"Scale-to-zero as shipped ({_lower_first(default['detail'])}) "
    if cheapest is not None and default["plan_id"] == cheapest["plan_id"]:
        return (
            start + f"is that plan: {units.percent(default['waited_on_start_share'])} of requests "
            "wait on a start."
        )
    money = f"would cost {units.dollars(default['usd_per_month'])} a month"
    joint = ";"
    if cheapest is not None:
        difference = default["usd_per_month"] - cheapest["usd_per_month"]
        money += f", {units.dollars(abs(difference))} {'less' if difference < 0 else 'more'}"
        joint = ", but" if difference < 0 else ", and"
    if not math.isfinite(default["p99_ttft_s"]):
        return f"{start}{money}{joint} it would refuse over one request in a hundred."
    return (
        f"{start}{money}{joint} {units.percent(default['waited_on_start_share'])} of requests "
        f"would wait on a start, one in a hundred {units.seconds(default['p99_ttft_s'])} or longer."
    )


def _about_break_even(
    default: pd.Series | None, dedicated: pd.Series | None, break_even_utilisation: float
) -> str:
    if break_even_utilisation >= 1:
        return (
            "There is no break-even: an always-on hour costs no less than a serverless one, so "
            "always-on never wins on cost, only on latency."
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
        f"{units.percent(break_even_utilisation)} of {whose} time"
    )
    if default is None:
        return sentence + "."
    return (
        f"{sentence}; this traffic makes that {units.percent(default['billed_replicas'] / count)}."
    )


def _short(row: pd.Series) -> str:
    names = {
        "scale-to-zero": "Scale-to-zero",
        "warm pool": "A warm pool",
        "hybrid": "A hybrid",
        "scheduled": "A schedule",
        "pre-warmed": "Pre-warming",
        "reserved": "A reservation",
    }
    return names[row["family"]]


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
