"""Pictures of the Method page, drawn from small examples that are computed as everything else."""

from __future__ import annotations

import streamlit as st

from frontier import spell, units
from frontier.billing import Contract
from frontier.charts.replica_life_chart import replica_life_figure, replica_life_table
from frontier.charts.session_bill_chart import session_bill_figure, session_bill_table
from frontier.charts.start_shapes_chart import start_shapes_figure, start_shapes_table
from frontier.charts.theme import BILL_COLOURS
from frontier.pages import link, session, show, text
from frontier.sensitivity import metered_hour
from frontier.start.stages import ColdStart
from frontier.tables import Tables
from frontier.worked_example import WorkedExample, example_starts, session_bills, worked_example

_TIMES = {1: "once", 2: "twice"}
_EXAMPLE_WORDS = {"starting": "starting", "busy": "working", "idle": "idle"}


def draw_life(tables: Tables) -> None:
    """Draw one replica through time, with the requests it serves."""
    example = _example(tables)
    result = example.result
    table = replica_life_table(result, example.arrival_s)
    waited, starts = int((result.ttft_s > 0).sum()), len(result.sessions)
    start_s, keep_s = (tables.setting(f"worked_example_{name}") for name in ("start_s", "keep_s"))
    words = (
        f"{spell.count(result.ttft_s.size, 'request')}, each gap twice the one before; a start of "
        f"{spell.seconds(start_s)}, an idle timeout of {spell.seconds(keep_s)}. The replica starts "
        f"{_TIMES.get(starts, f'{starts} times')}, and {waited} of the requests wait for it."
    )
    st.markdown(f"**The life of one replica.** {words}")
    show.figure(
        show.built(
            replica_life_figure, table, horizon_s=result.horizon_s, shared=not session.is_changed()
        ),
        key="life_chart",
        table=table,
        file_name="replica_life.csv",
        alt=f"One replica through time. {words}",
    )


def draw_start_shapes(tables: Tables) -> None:
    """Draw the same start with more and less of it side by side."""
    starts = example_starts(tables)
    table = start_shapes_table(starts)
    whole_s = {name: start.typical_s for name, start in starts.items()}
    said = "; ".join(
        f"{spell.lower_first(name)} {spell.seconds(seconds)}" for name, seconds in whole_s.items()
    )
    example = next(iter(tables.examples.values()))
    st.markdown(
        f"**What overlap saves.** The start of the example ({text.plain(example.model)} on "
        f"{tables.offers[example.serverless_offer].gpu}): {said}. Stages side by side last as long "
        "as the longest of them."
    )
    show.figure(
        show.built(start_shapes_figure, table, shared=not session.is_changed()),
        key="shapes_chart",
        table=table,
        file_name="start_shapes.csv",
        shown=table.drop(columns=["stage", "lane"]),
        alt=f"Stages of a start through time: {said}.",
    )


def draw_bill(tables: Tables) -> None:
    """Draw how the bill of that one replica is made."""
    offer = tables.offers[next(iter(tables.examples.values())).serverless_offer]
    bills = session_bills(_example(tables), Contract(offer, tables.rules_of(offer)), tables)
    table = session_bill_table(bills)
    held_s, busy_s = float(bills["held_s"].sum()), float(bills["held_busy_s"].sum())
    words = (
        f"By the rules of {offer.provider}, at "
        f"{spell.dollars(offer.usd_per_gpu_h)} an hour of the {offer.gpu} and what its cores and "
        f"memory cost: {spell.dollars(float(bills['usd'].sum()))} for {spell.seconds(held_s)}, of "
        f"which {spell.seconds(busy_s)} are work."
    )
    st.markdown(text.money(f"**From stretches to dollars.** The same replica, billed. {words}"))
    show.figure(
        show.built(session_bill_figure, table, shared=not session.is_changed()),
        key="session_bill_chart",
        table=table,
        file_name="session_bill.csv",
        alt=f"Each stretch of a replica as held and as billed. {words}",
    )


def _example(tables: Tables) -> WorkedExample:
    start: ColdStart = next(iter(example_starts(tables).values()))
    return worked_example(start, tables)


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
