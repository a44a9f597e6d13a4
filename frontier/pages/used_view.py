"""The Break-even page's part about what is reserved, what is used, and per-token APIs."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from frontier import spell, units
from frontier.charts.used_chart import used_figure, used_table
from frontier.finance import ApiCost, Used, apis_of, break_even_per_day, used_in_words, used_of
from frontier.pages import link, show, text
from frontier.study import Study
from frontier.tables import load_tables

_PERCENT = 100.0


def draw(study: Study) -> None:
    """Draw the always-on plan of the verdict against the APIs whose price is known."""
    st.subheader("Reserved and used, against per-token APIs", anchor=False)
    verdict = study.verdict
    plan = verdict.rival or verdict.shipped
    if plan is None:
        st.markdown("There is no plan to set beside an API.")
        return
    used = used_of(study, study.outcomes[plan.plan_id])
    shared = study.trace.shared_share
    share = link.setting(
        "Input tokens that an API finds in its cache (%)",
        load_tables().settings["api_cached_share"],
        key="used_cached",
        default=shared or 0.0,
        scale=_PERCENT,
        step=5.0,
        format="%.0f",
        help="Billed at the API's price of cached tokens, where it states one. "
        + (
            "The traffic does not say which prompts begin alike."
            if shared is None
            else "By default what this traffic's prompts have in common with earlier ones."
        ),
    )
    apis = apis_of(study, share)
    said = used_in_words(used, apis)
    st.markdown(text.said("\n".join(f"- {sentence}" for sentence in said)))
    if not apis:
        st.caption(
            f"No price of a per-token API for {text.plain(study.deployment.model.model)} is in "
            "the tables. Give one under More, Per-token API."
        )
        return
    if used.is_always_on:
        table = used_table(used, apis)
        show.figure(
            show.built(used_figure, table, requests_per_day=used.requests_per_day),
            key="used_chart",
            table=table,
            file_name="reserved_and_used.csv",
            shown=table.drop(columns="line"),
            alt=" ".join(said),
        )
        end = (
            "this traffic"
            if used.is_past_target
            else "all replicas that have room there, always at their target concurrency, where "
            "requests queue and the limit is not held"
        )
        st.caption(
            "The line is the plan's bill over the tokens of so many requests a day; its square "
            f"end is {end}. A star is a break-even."
        )
    _draw_table(study, used, apis)


def _days(study: Study) -> float:
    return study.hours_per_month * units.SECONDS_PER_HOUR / units.SECONDS_PER_DAY


def _draw_table(study: Study, used: Used, apis: tuple[ApiCost, ...]) -> None:
    sources = study.tables.sources
    rows = [
        {
            "": f"{used.label}, of what is used",
            "A million tokens": spell.dollars(used.usd_per_mtok_used),
            "A month": spell.dollars(used.usd_per_day * _days(study)),
            "Break-even, requests a day": "",
            "Cached price": "",
            "Dated, supplied by": "",
        },
        {
            "": f"{used.label}, of what is reserved",
            "A million tokens": spell.dollars(used.usd_per_mtok_reserved),
            "A month": spell.dollars(used.usd_per_day * _days(study)),
            "Break-even, requests a day": "",
            "Cached price": "",
            "Dated, supplied by": "",
        },
    ]
    for api in apis:
        meets = break_even_per_day(used, api)
        cached = api.price.usd_per_mtok_cached
        source = f"{api.priced_on}, {sources[api.source_id].title}" if api.source_id else "you"
        rows.append(
            {
                "": api.label,
                "A million tokens": spell.dollars(api.usd_per_mtok),
                "A month": spell.dollars(api.usd_per_month),
                "Break-even, requests a day": "none" if meets is None else spell.significant(meets),
                "Cached price": "not stated" if cached is None else spell.dollars(cached),
                "Dated, supplied by": source,
            }
        )
    st.dataframe(pd.DataFrame(rows), hide_index=True, width="stretch")
    notes = [f"{api.label}: {api.note}" for api in apis if api.note]
    if notes:
        st.caption(text.plain(" ".join(notes)))
