"""Pictures of the Method page, drawn from small examples that are computed as everything else."""

from __future__ import annotations

import streamlit as st

from frontier import spell, units
from frontier.charts.theme import BILL_COLOURS
from frontier.pages import link, show
from frontier.sensitivity import metered_hour
from frontier.tables import Tables

_EXAMPLE_WORDS = {"starting": "starting", "busy": "working", "idle": "idle"}


def draw_metered_hour(tables: Tables) -> None:
    """Draw the worked example: how much of what is metered in an hour is work."""
    st.markdown("#### What a start does to the meter")
    asked = {}
    for column, (name, label, step) in zip(
        st.columns(4),
        (
            ("work_s", "Work of a request (s)", 1.0),
            ("start_s", "Start (s)", 5.0),
            ("idle_s", "Idle timeout (s)", 10.0),
            ("requests_per_h", "Requests an hour", 1.0),
        ),
        strict=True,
    ):
        with column:
            asked[name] = link.setting(
                label, tables.settings[f"worked_example_{name}"], key=f"ex_{name}", step=step
            )
    hour = metered_hour(
        asked["requests_per_h"] / units.SECONDS_PER_HOUR,
        cold_start_s=asked["start_s"],
        work_s=asked["work_s"],
        idle_timeout_s=asked["idle_s"],
    )
    st.markdown(
        f"**{spell.percent(hour.wasted_share)} of the metered seconds are wasted**: "
        f"{spell.seconds(asked['work_s'])} of work behind a start of "
        f"{spell.seconds(asked['start_s'])}. In an hour one replica is held for "
        f"{spell.seconds(hour.metered_s)} and works for {spell.seconds(hour.working_s)} of them; "
        "always-on is cheaper if its hour costs less than "
        f"{spell.percent(hour.metered_s / units.SECONDS_PER_HOUR)} of a serverless one."
    )
    show.parts(
        {"starting": hour.starting_s, "busy": hour.working_s, "idle": hour.idle_s},
        key="example_chart",
        title="Metered seconds of an hour",
        colours=BILL_COLOURS,
        labels=_EXAMPLE_WORDS,
    )
    st.caption(
        "Computed by a formula: requests at random, one replica that serves all it holds at once, "
        "every second of a start metered."
    )
