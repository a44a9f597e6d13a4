"""What the coming months cost: a plan of growth, a question of the What-if page."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd
import streamlit as st

from frontier import spell
from frontier.charts.growth_chart import growth_figure, growth_table
from frontier.growth import (
    CHEAPEST,
    LINE_WORDS,
    Futures,
    GrowthPlan,
    GrowthTable,
    Launch,
    PriceStep,
    about_sample,
    budget,
    caution,
    headline,
    notes,
    over_months,
    sentences,
    turns,
)
from frontier.growth.plan import CALENDAR_MONTHS, hours_of_week
from frontier.pages import link, mishap, results, session, show, text
from frontier.pages.controls import Choices
from frontier.plans.scenario import office_hours
from frontier.ranges import Ranges, luck_ranges
from frontier.study import Study, default_plan_id
from frontier.tables import Tables

_FUTURES, _MADE = "growth_futures", "growth_made"
_ALL = "both"
_PERCENT = 100.0
_MOST_LAUNCHES, _MOST_STEPS = 6, 6
_MONTHS = tuple(f"{dt.date(2000, month, 1):%B}" for month in range(1, CALENDAR_MONTHS + 1))


def asks(choices: Choices) -> str:
    """Return the question as it stands on a link."""
    return "What if traffic grows?"


def draw(choices: Choices) -> None:
    """Draw cost by month of the plans that matter, when the answer turns, and the budget."""
    tables = session.tables()
    answer_place = st.container()
    growth = _growth(choices, tables)
    chart_place = st.container()
    words = "Serving it month by month may take some minutes"
    if not results.is_agreed(choices, "months", words):
        return
    study = results.study(choices)
    with chart_place:
        found, luck = _found(choices, study, growth)
    table = growth_table(found)
    with answer_place:
        st.subheader(text.plain(headline(found)), anchor=False)
        results.answered()
        if before := caution(found):
            st.warning(text.plain(before), icon=":material/hourglass_bottom:")
        st.markdown(text.plain(budget(found)))
    with chart_place:
        show.figure(
            show.built(growth_figure, table, turns(found)),
            key="growth_chart",
            alt=f"Dollars a month by plan, month by month. {headline(found)} {budget(found)}",
        )
        st.caption("Solid: the p99 limit is held in every draw. Dotted, hollow points: it is not.")
        said = (*sentences(found), about_sample(found, luck))
        st.markdown(text.bullets(one for one in said if one and one != budget(found)))
    _draw_table(found, table)
    st.caption(text.plain(" ".join(notes(found))))
    st.button(
        "Cost against the request rate, from a fraction of this traffic to many times it",
        key="growth_to_break_even",
        type="tertiary",
        icon=":material/arrow_forward:",
        on_click=mishap.safe(link.go_to),
        args=("break-even",),
    )


def _growth(choices: Choices, tables: Tables) -> GrowthPlan:
    """Ask what becomes of traffic and prices."""
    rows, today = tables.settings, dt.date.today()
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        per_month = link.setting(
            "Growth (% a month)",
            rows["growth_per_month"],
            key="growth",
            scale=_PERCENT,
            step=1.0,
            format="%g",
            width=170,
        )
        months = int(
            link.setting(
                "Months", rows["growth_months"], key="growth_months", whole=True, width=120
            )
        )
        first = _first_month(today)
    plain = GrowthPlan(first, months, per_month)
    names = {str(month): plain.named(month) for month in range(1, months + 1)}
    left, middle, right = st.columns(3)
    with left.expander("Launches"):
        launches = _launches(names, tables)
    with middle.expander("Seasons and hours"):
        season = _season(tables)
        hours, hours_from = _hours(choices, names, tables)
    with right.expander("Prices and commitments"):
        steps = _price_steps(choices, names, tables)
        until = _committed_until(choices, names)
    return GrowthPlan(
        first=first,
        months=months,
        per_month=per_month,
        launches=launches,
        season=season,
        hours=hours,
        hours_from=hours_from,
        price_steps=steps,
        committed_until=until,
    )


def _first_month(today: dt.date) -> dt.date:
    now = GrowthPlan(today.replace(day=1))
    months = {f"{now.date(month):%Y-%m}": now.date(month) for month in range(1, 14)}
    chosen = link.pick(
        "First month",
        months,
        next(iter(months)),
        key="growth_first",
        format_func=lambda key: f"{months[key]:%B %Y}",
        width=190,
        help="The month that has the traffic as it was read.",
    )
    return months[chosen]


def _month(label: str, names: dict[str, str], key: str, default: str | None = None) -> int:
    first = next(iter(names)) if default is None else default
    # Months are counted from the first: of another one they are others.
    return int(
        link.pick(label, names, first, key=key, format_func=names.__getitem__, is_lasting=False)
    )


def _how_many(label: str, key: str, most: int, **how: Any) -> int:
    return int(link.number(label, 0, low=0, high=most, whole=True, key=key, **how))


def _launches(names: dict[str, str], tables: Tables) -> tuple[Launch, ...]:
    rows, found = tables.settings, []
    how_many = _how_many("Launches", "launches", _MOST_LAUNCHES, help="+ adds one below.")
    for number in range(1, how_many + 1):
        key = f"launch{number}"
        st.markdown(f"**Launch {number}**")
        month = _month("From", names, f"{key}_month")
        factor = link.setting(
            "Traffic times",
            rows["growth_launch_factor"],
            key=f"{key}_factor",
            step=0.1,
            format="%g",
        )
        added = link.setting(
            "And requests a day on top",
            rows["growth_launch_added_per_day"],
            key=f"{key}_added",
            step=100.0,
            format="%g",
            help="They neither grow nor follow a season.",
        )
        fade = link.setting(
            "Fades over days (0: it stays)",
            rows["growth_launch_fade_days"],
            key=f"{key}_fade",
            step=10.0,
            format="%g",
        )
        found.append(Launch(month, factor, added, fade or None))
    return tuple(found)


def _season(tables: Tables) -> tuple[float, ...]:
    row, factors = tables.settings["growth_season_factor"], [1.0] * CALENDAR_MONTHS
    for what in ("Busy", "Quiet"):
        key = what.lower()
        chosen = link.many(f"{what} months", _MONTHS, key=f"{key}_months")
        if not chosen:
            continue
        factor = link.setting(
            "Traffic times, in those months", row, key=f"{key}_factor", step=0.1, format="%g"
        )
        for name in chosen:
            factors[_MONTHS.index(name)] *= factor
    return () if all(factor == 1.0 for factor in factors) else tuple(factors)


def _hours(
    choices: Choices, names: dict[str, str], tables: Tables
) -> tuple[tuple[float, ...], int]:
    """Ask for other hours of the week: office hours, the rest of workdays, the rest of the week."""
    if choices.trace.t0_utc is None:
        st.caption("This traffic has no date: which hours are busy cannot be changed.")
        return (), 1
    if not link.flag("Other hours of the week", key="growth_hours"):
        return (), 1
    office = office_hours(choices.scenario, tables)
    row = tables.settings["growth_season_factor"]
    month = _month("From", names, "growth_hours_from")
    busy = link.setting(f"Traffic times, {office}", row, key="growth_office", step=0.1, format="%g")
    rest = link.setting(
        "At other hours of those days", row, key="growth_rest", step=0.1, format="%g"
    )
    others = link.setting("On other days", row, key="growth_others", step=0.1, format="%g")
    return hours_of_week(office, busy, rest, others), month


def _price_steps(choices: Choices, names: dict[str, str], tables: Tables) -> tuple[PriceStep, ...]:
    offers = tables.offers
    pair = (choices.scenario.serverless_offer, choices.scenario.dedicated_offer)
    whose = {_ALL: "Both offers"} | {
        key: f"{offers[key].provider} {offers[key].product}" for key in pair
    }
    found = []
    how_many = _how_many("Price steps", "price_steps", _MOST_STEPS, help="+ adds one below.")
    for number in range(1, how_many + 1):
        key = f"step{number}"
        st.markdown(f"**Price step {number}**")
        month = _month("From", names, f"{key}_month")
        offer = link.pick("Of", whose, _ALL, key=f"{key}_offer", format_func=whose.__getitem__)
        factor = link.setting(
            "Metered prices times",
            tables.settings["growth_price_factor"],
            key=f"{key}_factor",
            step=0.05,
            format="%g",
            help="GPU, cores and memory; fees and storage stay.",
        )
        found.append(PriceStep(month, factor, None if offer == _ALL else offer))
    return tuple(found)


def _committed_until(choices: Choices, names: dict[str, str]) -> int | None:
    if choices.deal.commitment is None:
        st.caption("A commitment is chosen under “Offers” in the bar.")
        return None
    stays = "stays"
    options = {stays: "It stays", "0": "Not at all"} | {
        key: f"End of {name}" for key, name in names.items()
    }
    chosen = link.pick(
        "Your commitment ends",
        options,
        stays,
        key="committed_until",
        format_func=options.__getitem__,
        is_lasting=False,
        help="From then on machines are at their price by the hour.",
    )
    return None if chosen == stays else int(chosen)


def _found(choices: Choices, study: Study, growth: GrowthPlan) -> tuple[GrowthTable, Ranges]:
    """Return the months, and how far today's plan may be off by luck.

    Traffic is simulated once; prices, terms and limits only bill it.
    """
    simulated_place, place = st.container(), results.bar_place()
    kept = st.session_state.get(_FUTURES)
    # The rules say what is metered, and so which plans can be worth keeping.
    rules = study.tables.rules_of(study.tables.offers[choices.scenario.serverless_offer])
    simulated = (choices.content, rules)
    if kept is None or kept[0] != simulated:
        # Only the latest is kept: a year of runs is some ten megabytes.
        with simulated_place:
            kept = simulated, Futures(results.simulated(choices), study.tables)
        st.session_state[_FUTURES] = kept
    # Tables are made anew where anything in them changes, so the object itself is a key.
    plan_id = _todays_plan(study)
    key = (choices.content, growth, choices.deal, study.limit_s, plan_id)
    made = st.session_state.get(_MADE)
    if made is not None and made[0] == key and made[1] is study.tables:
        found: tuple[GrowthTable, Ranges] = made[2]
        return found
    bar = place.progress(0.0, "Looking at the months…")

    def progress(done: int, of: int) -> None:
        session.require_room("so many months")
        bar.progress(done / of, f"Looked at {done} of {spell.count(of, 'month')}")

    def drawn(done: int, of: int) -> None:
        bar.progress(done / max(of, 1), "Drawing the traffic anew…")

    try:
        months = over_months(study, kept[1], growth, kept_plan_id=plan_id, progress=progress)
        luck = luck_ranges(
            study.outcomes, [plan_id], study.trace, study.tables, deal=study.deal, progress=drawn
        )
        found = months, luck
    finally:
        place.empty()
    st.session_state[_MADE] = key, study.tables, found
    return found


def _todays_plan(study: Study) -> str:
    """Return the plan chosen on the Frontier page, else the answer."""
    chosen = link.choices().get("plan", "")
    outcome = study.outcomes.get(chosen)
    is_plan = outcome is not None and outcome.plan.family.is_buyable
    return chosen if is_plan else default_plan_id(study)


def _draw_table(found: GrowthTable, table: pd.DataFrame) -> None:
    """Draw dollars by month and line, the replicas, and which plan is the cheapest."""
    rows: dict[str, list[str]] = {"Month": [], "Requests a day": []}
    lines = [name for name in LINE_WORDS if (table["line"] == name).any()]
    for name in lines:
        rows[LINE_WORDS[name]] = []
    rows["Which plan is the cheapest"] = []
    for month in found.months:
        star = " (between two levels)" if month.is_interpolated else ""
        rows["Month"].append(text.unbroken(f"{month.first:%b %Y}") + star)
        rows["Requests a day"].append(spell.significant(month.requests_per_day))
        for name in lines:
            point = month.points.get(name)
            cell = ""
            if point is not None:
                cell = f"{spell.dollars(point.usd)} at {spell.seconds(point.p99_ttft_s)}"
                if not point.holds_limit:
                    cell += ", over"
            rows[LINE_WORDS[name]].append(cell)
        cheapest = month.points.get(CHEAPEST)
        words = "none holds the limit"
        if cheapest is not None:
            words = f"{cheapest.plan.vendor} {cheapest.plan.gpu}, {cheapest.plan.label}"
        rows["Which plan is the cheapest"].append(words)
    shown = {name: [text.plain(cell) for cell in cells] for name, cells in rows.items()}
    with st.expander("Month by month"):
        st.table(pd.DataFrame(shown).set_index("Month"))
        show.download(table, "growth.csv")
