"""An estimate where the answer will stand, until the simulation lands; how near it was, on Method.

Closed forms take a tenth of a second; what they cannot say is left to the simulation.
"""

from __future__ import annotations

import pandas as pd
import streamlit as st

from frontier import memory, spell, units
from frontier.errors import FrontierError
from frontier.estimate import Estimate, estimate, in_words
from frontier.pages import controls, results, session, show, text
from frontier.pages.controls import Choices
from frontier.study import Study


def draw_until_simulated(place: st.delta_generator.DeltaGenerator, choices: Choices) -> None:
    """Draw an estimate in the place of the answer, if nothing was simulated of it yet."""
    if results.is_simulated(choices):
        return
    try:
        found = _found(choices)
    except FrontierError:
        return  # the simulation says it with the same words
    if not found:
        return
    is_short = choices.trace.horizon_s < units.SECONDS_PER_DAY
    with place.container():
        st.markdown(
            "\n".join(
                f"- :gray-badge[estimate] {text.plain(in_words(one, is_short=is_short))}"
                for one in found
            )
        )
        st.caption(f"From closed forms, {_tolerance()}; simulating…")


def _found(choices: Choices) -> tuple[Estimate, ...]:
    """Return the estimates of what was chosen, made once of it."""
    tables = session.tables()
    return show.kept(
        "estimates",
        (*choices.content_under(tables), choices.deal, memory.ById(tables)),
        lambda: estimate(choices.scenario, choices.trace, tables, choices.deal),
    )


def draw_difference() -> None:
    """Draw how far the estimates of the present scenario are from its simulation."""
    st.markdown("#### Estimates before the simulation")
    st.markdown(
        "While a scenario is simulated, the answer’s place shows what closed forms can say of two "
        f"plans, marked “estimate”: always-on machines, and scale-to-zero as shipped. "
        f"They are {_tolerance()}, where they are shown at all: one replica must be enough, and "
        "started for a request. Autoscalers that look once in a while, caches of prompts, nodes "
        "and refused requests have no closed form, and nothing is said of them."
    )
    choices = controls.current()
    if not isinstance(choices, Choices):
        return
    try:
        study = results.study(choices)
        found = _found(choices)
    except FrontierError as error:
        st.caption(text.plain(str(error)))
        return
    rows = [row for one in found for row in _rows(one, study)]
    if not rows:
        st.caption("Of the present scenario closed forms can say nothing.")
        return
    st.table(pd.DataFrame(rows).set_index("Present scenario"))


def _rows(one: Estimate, study: Study) -> list[dict[str, str]]:
    outcome = study.outcomes.get(one.plan.plan_id)
    if outcome is None:
        return []
    figures = (
        ("dollars a month", one.usd_per_month, study.usd_per_month(outcome), spell.dollars),
        ("p99 TTFT", one.p99_ttft_s, outcome.latency.p99_ttft_s, spell.seconds),
    )
    return [
        {
            "Present scenario": text.plain(f"{one.name[:1].upper()}{one.name[1:]}, {what}"),
            "Estimate": text.money(write(guessed)),
            "Simulation": text.money(write(simulated)),
            "Difference": _apart(guessed, simulated),
        }
        for what, guessed, simulated, write in figures
        if guessed is not None
    ]


def _apart(guessed: float, simulated: float) -> str:
    if not simulated:
        return "none" if not guessed else "—"
    share = guessed / simulated - 1
    return "none" if abs(share) < 5e-4 else f"{share * 100:+.1f} %".replace("-", "−")


def _tolerance() -> str:
    setting = session.tables().setting
    cost, p99 = setting("estimate_cost_tolerance"), setting("estimate_p99_tolerance")
    return f"within {spell.percent(cost)} of the cost and {spell.percent(p99)} of the p99"
