"""What is of which trace, where several are served together: requests, waits, the bill."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from frontier import spell, units
from frontier.growth import (
    SPLIT_WORDS,
    ServedApart,
    by_origin,
    origins_table,
    served_apart,
    sharing_in_words,
)
from frontier.pages import link, mishap, results, show, text
from frontier.study import Study
from frontier.trace import Together

_APART = "traces_apart"


def draw_counts(together: Together) -> None:
    """Draw how much of the traffic is of which trace."""
    trace, days = together.trace, together.trace.horizon_s / units.SECONDS_PER_DAY
    rows: dict[str, list[str]] = {
        "Trace": [], "Requests": [], "Of all": [], "A day": [], "Prompt tokens": [],
        "Output tokens": [],
    }  # fmt: skip
    for at, name in enumerate(together.names):
        own = together.origin == at
        size = int(own.sum())
        rows["Trace"].append(text.plain(name))
        rows["Requests"].append(f"{size:,}")
        rows["Of all"].append(spell.percent(size / own.size))
        rows["A day"].append(spell.significant(size / days))
        for words, tokens in (
            ("Prompt tokens", trace.prompt_tokens),
            ("Output tokens", trace.output_tokens),
        ):
            rows[words].append(f"{tokens[own].sum(dtype=np.int64):,}")
    st.markdown("**By trace**")
    st.table(pd.DataFrame(rows).set_index("Trace"))
    st.caption(text.plain(" ".join(together.said)))
    st.button(
        "p99, waits and the bill by trace",
        key="to_by_trace",
        type="tertiary",
        icon=":material/arrow_forward:",
        on_click=mishap.safe(_to_results),
    )


def _to_results() -> None:
    """Open the tab that has the results by trace; from a callback."""
    link.choose(view="plans", detail="Traffic that was read")
    link.go_to("")


def draw(together: Together, study: Study, chosen: str) -> None:
    """Draw what of the chosen plan is whose, and what each trace costs on its own replicas."""
    outcome = study.outcomes[chosen]
    st.markdown("**By trace**")
    apart = _apart(together, study)
    st.markdown(text.plain(sharing_in_words(apart, study.limit_s)))
    table = origins_table(by_origin(study, outcome, together), apart)
    rows = list(table.itertuples())
    shown = pd.DataFrame(
        {
            "Trace": [text.plain(row.trace) for row in rows],
            "Requests": [f"{row.requests:,}" for row in rows],
            "Prompt tokens": [f"{row.prompt_tokens:,}" for row in rows],
            "Output tokens": [f"{row.output_tokens:,}" for row in rows],
            "p99": [
                text.plain(spell.seconds(row.p99_ttft_s)) if row.requests else "" for row in rows
            ],
            "Waited on a start": [f"{row.waited_on_start:,}" for row in rows],
            "Of the bill": [spell.percent(row.busy_share) for row in rows],
            "Dollars a month": [text.plain(spell.dollars(row.usd_per_month)) for row in rows],
            "On its own replicas": [
                text.plain(
                    f"{spell.dollars(row.apart_usd_per_month)}: {row.apart_plan}"
                    if row.apart_plan
                    else row.apart_why
                )
                for row in rows
            ],
        }
    )
    st.table(shown.set_index("Trace"))
    show.download(table, "by_trace.csv")
    st.caption(
        text.plain(
            f"Of {outcome.plan.label}. {SPLIT_WORDS} On its own replicas each trace has its "
            "cheapest plan within the limit; the platform's fee and credit are counted once."
        )
    )


def _apart(together: Together, study: Study) -> ServedApart:
    place = results.bar_place()
    key = (together.digest, study.deployment.scenario, study.deal, study.limit_s)
    made = st.session_state.get(_APART)
    # Tables are made anew where anything in them changes, so the object itself is a key.
    if made is not None and made[0] == key and made[1] is study.tables:
        found: ServedApart = made[2]
        return found
    bar = place.progress(0.0, "Serving each trace apart…")

    def tick() -> None:
        bar.progress(0.5, "Serving each trace apart…")

    try:
        found = served_apart(study, together, tick=tick)
    finally:
        place.empty()
    st.session_state[_APART] = key, study.tables, found
    return found
