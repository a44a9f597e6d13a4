"""What another limit would cost: the ladder of limits, a question of the What-if page."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import pandas as pd
import streamlit as st

from frontier import spell
from frontier.charts.ladder_chart import ladder_figure, ladder_steps, ladder_table
from frontier.ladder import (
    Ladder,
    beneath,
    headline,
    ladder,
    limits_of,
    luck_of,
    span_in_words,
    unsure,
)
from frontier.market import Wanted, in_hours
from frontier.memory import stopwatch
from frontier.pages import link, market_view, results, session, show, text
from frontier.pages.controls import Choices
from frontier.pages.store import MarketStore, find, store
from frontier.ranges import NOT_SURE, Ranges
from frontier.tables import Tables

_MADE = "ladder_made"


def asks(choices: Choices) -> str:
    """Return the question as it stands on a link: what the next tighter limit would cost."""
    own_s = choices.scenario.slo_p99_ttft_s
    limits_s = limits_of(session.tables(), own_s)
    tighter = [limit_s for limit_s in limits_s if limit_s < own_s]
    asked_s = tighter[-1] if tighter else limits_s[1]
    return f"What would {spell.seconds(asked_s)} cost?"


def draw(choices: Choices) -> None:
    """Draw what the cheapest plan of the market costs under each limit, and what a step saves."""
    tables = session.tables()
    answer_place, chart_place = st.container(), st.empty()
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        ticked = market_view.which_offers(tables)
        row = tables.settings["slo_p99_ttft_s"]
        added_s = link.number(
            "Another limit (s, 0: none)",
            0.0,
            low=0.0,
            high=row.bounds[1],
            key="ladder_limit",
            format="%g",
            step=1.0,
            width=220,
        )
    others_s = (added_s,) if added_s >= row.bounds[0] else ()
    found = _found(choices, ticked, others_s, tables)
    with answer_place:
        hours = tables.setting("hours_per_month")
        st.subheader(text.plain(headline(found, hours, ticked.noun)), anchor=False)
        results.answered()
        if more := beneath(found, hours):
            st.markdown(text.plain(more))
        if hourly := in_hours(found.own.answer, hours):
            st.caption(text.plain(hourly))
        sure_place = st.empty()
    table_place = st.empty()
    looked = spell.count(found.own.answer.offers, ticked.noun)
    st.caption(
        text.plain(
            f"The cheapest of {looked} under each limit, as on the Frontier page: on demand, spot "
            "and reserved apart; each step saves against the step above it. “Which offers” "
            "ticks others, here and there."
        )
    )

    def drawn(luck: Ranges | None) -> None:
        table = ladder_table(found, luck)
        with chart_place.container():
            _draw_chart(table, found, is_last=luck is not None)
        with table_place.container():
            _draw_table(table, found, is_last=luck is not None)

    plans = ((run, one.plan.policy, one.plan.start) for run, one in found.outcomes.items())
    key = ("ladder luck", *plans, *choices.content)
    luck = find(key)
    if luck is None:
        # The answer stands while the traffic is drawn anew.
        drawn(None)
        bar = sure_place.progress(0.0, "How sure is it?")

        def progress(done: int, total: int) -> None:
            bar.progress(done / total, f"Traffic drawn anew {spell.count(done, 'time')}")

        taken_s = stopwatch()
        luck = luck_of(found, tables, progress=progress)
        store(private=choices.is_private).put(key, luck, taken_s())
    drawn(luck)
    sure_place.markdown(text.plain(unsure(found, luck)))


def _draw_chart(table: pd.DataFrame, found: Ladder, *, is_last: bool) -> None:
    if not table["is_held"].any():
        st.info(
            "No ticked offer holds any of these limits: tick others below.",
            icon=":material/info:",
        )
        return
    show.figure(
        show.built(ladder_figure, table, ladder_steps(found)),
        # Streamlit wants another key for each drawing within one run.
        key="ladder_chart" if is_last else "ladder_chart_first",
        alt="Dollars a month of the cheapest plan under each limit: "
        + ", ".join(
            f"{spell.seconds(row.limit_s)} {spell.dollars(row.usd_per_month)}"
            for row in table[table["is_held"]].itertuples()
        ),
    )


def _found(
    choices: Choices, ticked: market_view.Ticked, others_s: tuple[float, ...], tables: Tables
) -> Ladder:
    place = results.bar_place()
    own_s, today = choices.scenario.slo_p99_ttft_s, dt.date.today()
    limits_s = limits_of(tables, own_s, others_s)
    # Tables are made anew where anything in them changes, so the object itself is a key.
    key = (choices.content, limits_s, own_s, choices.deal, ticked.offer_ids, today)
    made = st.session_state.get(_MADE)
    if made is not None and made[0] == key and made[1] is tables:
        found: Ladder = made[2]
        return found
    bar = place.progress(0.0, "Looking at the market…")

    def progress(done: int, total: int) -> None:
        session.require_room("these limits")
        bar.progress(done / max(total, 1), f"Simulated {done} of {spell.count(total, 'plan')}")

    try:
        found = ladder(
            choices.scenario,
            choices.trace,
            tables,
            limits_s=limits_s,
            own_s=own_s,
            kept=MarketStore(private=choices.is_private),
            today=today,
            wanted=Wanted(offer_ids=ticked.offer_ids),
            deals=market_view.deals_of(choices, tables),
            progress=progress,
            crew=session.crew(),
        )
    finally:
        place.empty()
    st.session_state[_MADE] = (key, tables, found)
    return found


def _draw_table(table: pd.DataFrame, found: Ladder, *, is_last: bool) -> None:
    def money(usd: float) -> str:
        return "" if math.isnan(usd) else spell.dollars(usd)

    def plan(row: Any) -> str:
        if not row.is_held:
            if math.isfinite(row.reachable_s):
                return (
                    f"none holds it; the fastest, {row.reachable_where}, reaches "
                    f"{spell.seconds(row.reachable_s)}"
                )
            return "none holds it"
        return "same as above" if row.same_as_above else f"{row.where}, {row.policy}"

    def saves(row: Any) -> str:
        if math.isnan(row.saves_usd):
            return ""
        if not row.saves_usd:
            return "nothing"
        return f"{money(row.saves_usd)} ({spell.percent(round(row.saves_share, 3))})"

    def luck(row: Any) -> str:
        if not row.with_other_luck:
            return ""
        ends = span_in_words(row.p99_low_s, row.p99_high_s).split(" to ")
        words = f", by luck {' to '.join(map(text.unbroken, ends))}"
        return f"{words}: not sure" if row.with_other_luck == NOT_SURE else words

    rows = list(table.itertuples())
    shown = {
        "Limit on p99": [
            spell.seconds(row.limit_s) + (" (yours)" if row.is_own else "") for row in rows
        ],
        "Dollars a month": [money(row.usd_per_month) for row in rows],
        "Saves": [saves(row) for row in rows],
        "p99": [
            f"{text.unbroken(spell.seconds(row.p99_ttft_s))}{luck(row)}" if row.is_held else ""
            for row in rows
        ],
        "Over it, of 1,000": [f"{row.over_of_thousand:.0f}" if row.is_held else "" for row in rows],
        "Cheapest on demand": [plan(row) for row in rows],
    }
    for label, name in (("Bound for a term", "bound"), ("On spot", "spot")):
        if table[f"{name}_usd"].notna().any():
            shown[label] = [
                f"{money(usd)}, {where}" if where else ""
                for usd, where in zip(table[f"{name}_usd"], table[f"{name}_where"], strict=True)
            ]
    words = {name: [text.plain(cell) for cell in cells] for name, cells in shown.items()}
    st.table(pd.DataFrame(words).set_index("Limit on p99"))
    if is_last:
        show.download(table, "ladder.csv")
