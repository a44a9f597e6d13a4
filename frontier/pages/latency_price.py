"""What waiting may be worth: sessions lost by each curve of who leaves, and their price.

A layer of its own on the Break-even page: no other number of this product has it in.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from frontier import spell
from frontier.billing import months
from frontier.economics import break_even_value_usd, price_of_latency
from frontier.pages import link, show, text
from frontier.pages.controls import Choices
from frontier.pages.store import store
from frontier.study import Study
from frontier.sweep import Outcome, rerun
from frontier.tables import Abandonment, Tables, load_columns
from frontier.verdict import worth_sentence

_OWN_CURVE = "own"
_CURVE_FIELDS = {
    "grace_s": "Nobody leaves before (s)",
    "scale_s": "Time constant (s)",
    "exponent": "Exponent",
    "most": "Share that leaves in the end",
}


def draw_latency_price(choices: Choices, study: Study, zero: Outcome) -> None:
    """Draw the layer, if it is asked for, for scale-to-zero and the cheapest plan in the limit."""
    st.subheader("Price of latency", anchor=False)
    if not link.flag(
        "Show what waiting may be worth",
        key="latency_price",
        help="A layer of its own: it is in no other number of this product.",
    ):
        st.caption("Off: no number of this product has it in.")
        return
    tables = study.tables
    curves = dict(tables.abandonment)
    curve, worth_usd, anyway = _draw_curve_choice(curves, tables)
    plans = {"Scale-to-zero, as compared above": zero}
    cheapest = study.verdict.cheapest_within
    if cheapest is not None:
        plans[f"Cheapest under the limit: {cheapest.label}"] = study.outcomes[cheapest.plan_id]
    span = months(zero.horizon_s, study.hours_per_month)
    waits = [_waits_s(outcome, choices) for outcome in plans.values()]
    priced = [price_of_latency(w, curve, worth_usd, baseline_share=anyway) for w in waits]
    over = [int(np.count_nonzero(w > study.limit_s)) / span for w in waits]
    bills = [study.usd_per_month(outcome) for outcome in plans.values()]
    limit = spell.seconds(study.limit_s)
    lost = [price.lost / span for price in priced]
    st.table(
        pd.DataFrame(
            {
                "Plan": [text.plain(name) for name in plans],
                "Bill a month": [text.money(spell.dollars(usd)) for usd in bills],
                f"Requests over {limit}, a month": [spell.significant(n) for n in over],
                "Sessions lost a month": [spell.significant(n) for n in lost],
                "Worth": [text.money(spell.dollars(n * worth_usd)) for n in lost],
            }
        ).set_index("Plan")
    )
    st.caption(text.money(_about_curve(curve, max(price.beyond_share for price in priced))))
    if cheapest is None:
        st.markdown(f"No plan holds {limit}, so there is none to pay more for.")
    else:
        st.markdown(text.money(_about_value(bills, over, lost, study.limit_s)))
    rows = _all_curves(
        {**curves, curve.abandonment_id: curve}, waits, span, worth_usd, anyway, tables
    )
    names = ["Scale-to-zero", "Under the limit"][: len(waits)]
    st.markdown("**By every curve**: sessions lost a month")
    st.table(
        pd.DataFrame(
            {
                "Curve": [text.plain(row.curve.label) for row in rows],
                **{
                    name: [spell.significant(row.lost[index]) for row in rows]
                    for index, name in enumerate(names)
                },
                "Measured on LLM users": [
                    "yes" if row.curve.on_llm_users else "**not measured on LLM users**"
                    for row in rows
                ],
                "Source": [row.source for row in rows],
            }
        ).set_index("Curve")
    )
    show.download(
        pd.DataFrame(
            [
                {
                    "curve": row.curve.label,
                    "plan": name,
                    "sessions_lost_a_month": row.lost[index],
                    "usd_lost_a_month": row.lost[index] * worth_usd,
                    "on_llm_users": row.curve.on_llm_users,
                    "source": row.url,
                }
                for row in rows
                for index, name in enumerate(plans)
            ]
        ),
        "price_of_latency.csv",
    )


def _draw_curve_choice(
    curves: dict[str, Abandonment], tables: Tables
) -> tuple[Abandonment, float, float]:
    """Ask for the curve, the worth of a session and the share that leaves anyway."""
    columns = st.columns(3)
    with columns[0]:
        chosen = link.pick(
            "Who leaves, and when",
            [*curves, _OWN_CURVE],
            next(iter(curves)),
            key="leave",
            format_func=lambda key: "Your own curve" if key == _OWN_CURVE else curves[key].label,
        )
    with columns[1]:
        worth_usd = link.setting(
            "Worth of a session ($)", tables.settings["session_value_usd"], key="session_value"
        )
    with columns[2]:
        anyway = link.setting(
            "Share that leaves anyway",
            tables.settings["leave_anyway_share"],
            key="leave_anyway",
            step=0.05,
            help="Only curves given as factors on it need it; only the excess counts.",
        )
    if chosen != _OWN_CURVE:
        return curves[chosen], worth_usd, anyway
    # The fields start from the first saturating curve there is.
    like = next(curve for curve in curves.values() if curve.shape == "weibull")
    numbers: dict[str, Any] = {}
    cells = {cell.column: cell for cell in load_columns()["abandonment"]}
    for place, (name, label) in zip(st.columns(4), _CURVE_FIELDS.items(), strict=True):
        low, high = cells[name].bounds
        with place:
            numbers[name] = link.number(
                label, getattr(like, name), key=f"leave_{name}", low=low, high=high
            )
    own = dataclasses.replace(
        like,
        abandonment_id=_OWN_CURVE,
        label="Your own curve",
        supported_s=None,
        on_llm_users=False,
        basis="assumed",
        source_id="frontier-assumption",
        description="A share that saturates, as 1 − exp(−((wait − grace) / constant)^exponent)",
        **numbers,
    )
    return own, worth_usd, anyway


def _waits_s(outcome: Outcome, choices: Choices) -> np.ndarray:
    """Return every request's TTFT under a plan, simulated again once and then kept [s]."""
    plan = outcome.plan
    key = ("waits", plan.offer_id, plan.policy, plan.start, plan.mitigations, *choices.content)
    return store(private=choices.is_private).get_or_make(
        key, lambda: rerun(outcome, choices.trace).ttft_s
    )


def _about_curve(curve: Abandonment, beyond_share: float) -> str:
    words = f"{curve.label}: {curve.description}."
    if not curve.on_llm_users:
        words += " **Not measured on LLM users.**"
    if beyond_share and curve.supported_s is not None:
        words += (
            f" {spell.percent(beyond_share)} of requests wait longer than its source looked at "
            f"({spell.seconds(curve.supported_s)}); they count as that."
        )
    return words


def _about_value(
    bills: Sequence[float], over: Sequence[float], lost: Sequence[float], limit_s: float
) -> str:
    extra_usd = bills[1] - bills[0]
    words = worth_sentence(extra_usd, (over[0], over[1]), limit_s)
    by_curve_usd = break_even_value_usd(extra_usd, lost[0], lost[1])
    if extra_usd > 0 and math.isfinite(by_curve_usd):
        words += f" By this curve it pays if a lost session is worth {spell.dollars(by_curve_usd)}."
    return words


@dataclass(frozen=True, slots=True)
class _CurveRow:
    """What one curve makes of the waits of each plan.

    Attributes
    ----------
    lost : tuple of float
        Sessions lost a month, one entry a plan.
    source : str
        As it stands on the page: a link where there is one.
    """

    curve: Abandonment
    lost: tuple[float, ...]
    source: str
    url: str


def _all_curves(
    curves: dict[str, Abandonment],
    waits: list[np.ndarray],
    span_months: float,
    worth_usd: float,
    anyway: float,
    tables: Tables,
) -> list[_CurveRow]:
    rows = []
    for curve in curves.values():
        source = tables.sources[curve.source_id]
        title, url = text.plain(source.title), source.url
        if curve.abandonment_id == _OWN_CURVE:
            title, url = "yours", ""
        lost = tuple(
            price_of_latency(w, curve, worth_usd, baseline_share=anyway).lost / span_months
            for w in waits
        )
        link_to = f"[{title}]({url})" if url.startswith("http") else title
        rows.append(_CurveRow(curve, lost, link_to, url))
    return rows
