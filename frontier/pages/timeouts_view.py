"""Which idle timeout: cost and waits against it, a question of the What-if page."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from frontier import spell
from frontier.charts.timeouts_chart import MARKS, timeouts_figure, timeouts_table
from frontier.hourly import how_spread
from frontier.memory import stopwatch
from frontier.pages import results, session, show, text
from frontier.pages.break_even import pick_start
from frontier.pages.controls import Choices
from frontier.pages.store import find, store
from frontier.study import Study
from frontier.timeouts import (
    TimeoutRuns,
    Timeouts,
    headline,
    in_hours,
    metered_alike,
    sentences,
    simulate_timeouts,
    timeouts_of,
    who_first,
    why_not,
)

# Sentences that stand beside the headline; the others are a list beneath the chart.
_BESIDE = 2


def asks(choices: Choices) -> str:
    """Return the question as it stands on a link."""
    return "Which idle timeout?"


def draw(choices: Choices) -> None:
    """Draw what each idle timeout costs and how long requests wait under it."""
    tables = session.tables()
    study = results.study(choices)
    if reason := why_not(study.deployment, tables):
        st.subheader("An idle timeout decides nothing here.", anchor=False)
        st.info(text.plain(reason), icon=":material/info:")
        return
    answer_place, chart_place = st.container(), st.container()
    mitigations = pick_start(study)
    found = timeouts_of(study, _runs(choices, study, mitigations))
    said = sentences(found, tables)
    with answer_place:
        st.subheader(text.plain(headline(found, tables)), anchor=False)
        results.answered()
        st.markdown(text.plain(" ".join(said[:_BESIDE])))
        if hourly := in_hours(found, tables):
            st.caption(text.plain(hourly))
        if spread := how_spread(choices.trace.report.bucket_s):
            st.caption(spread)
    st.markdown(text.bullets(said[_BESIDE:]))
    table = timeouts_table(found)
    rival = found.always_on
    with chart_place:
        show.figure(
            show.built(
                timeouts_figure,
                table,
                limit_s=found.limit_s,
                always_on=None
                if rival is None
                else (f"{rival.vendor} {rival.gpu}", rival.usd_per_month, rival.p99_ttft_s),
            ),
            key="timeouts_chart",
            alt=f"Dollars a month and p99 against the idle timeout. {headline(found, tables)}",
            table=table,
            file_name="idle_timeouts.csv",
            shown=_shown(table),
        )
    st.caption(text.plain(_about(found)))


def _runs(choices: Choices, study: Study, mitigations: tuple[str, ...]) -> TimeoutRuns:
    """Return the runs, simulated once for each way of metering their seconds."""
    place, tables = results.bar_place(), study.tables
    metered = metered_alike(study.deployment, tables, study.deal, mitigations)
    key = ("timeouts", mitigations, metered, *choices.content)
    kept = find(key)
    if kept is None:
        taken_s = stopwatch()
        bar = place.progress(0.0, "Trying idle timeouts…")

        def progress(done: int, total: int) -> None:
            session.require_room("this curve")
            bar.progress(done / total, f"Simulated {done} of {spell.count(total, 'idle timeout')}")

        try:
            kept = simulate_timeouts(
                study.deployment,
                choices.trace,
                tables,
                study.deal,
                mitigations,
                progress=progress,
                crew=session.crew(),
            )
        finally:
            place.empty()
        store(private=choices.is_private).put(key, kept, taken_s())
    found: TimeoutRuns = kept
    return found


def _shown(table: pd.DataFrame) -> pd.DataFrame:
    def marks(keys: str) -> str:
        return ", ".join(MARKS[key].label for key in keys.split(", ") if key)

    rows: list[Any] = list(table.itertuples())
    return pd.DataFrame(
        {
            "Idle timeout": [spell.seconds(row.idle_timeout_s) for row in rows],
            "Dollars a month": [spell.dollars(row.usd_per_month) for row in rows],
            "p99": [spell.seconds(row.p99_ttft_s) for row in rows],
            "Wait on a start": [spell.percent(row.waited_share) for row in rows],
            "Starts": table["starts"],
            "Allowed": ["yes" if row.is_allowed else "no" for row in rows],
            "": [marks(row.mark) for row in rows],
        }
    )


def _about(found: Timeouts) -> str:
    low, high = found.allowed_s
    if low is None and high is None:
        words = f"{who_first(found.provider)} states neither a shortest nor a longest idle timeout"
    else:
        ends = [
            "no shortest" if low is None else f"{spell.seconds(low)} at the least",
            "no longest is stated" if high is None else f"{spell.seconds(high)} at the most",
        ]
        words = f"{who_first(found.provider)} allows: {', '.join(ends)}; the rest is drawn lighter"
    return (
        f"{words}. The longest gap between two requests is "
        f"{spell.seconds(found.longest_gap_s)}: with a longer timeout one replica is up from the "
        "first request on. The knee is where the share that waits falls furthest below a straight "
        "line against the bill."
    )
