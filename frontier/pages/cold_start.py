"""The Cold start page: where a start's seconds go, the user's own, and what shortens it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from frontier import spell
from frontier.charts.start_waterfall import (
    WARM,
    WHOLE,
    start_waterfall_figure,
    start_waterfall_table,
)
from frontier.mitigations.base import missing_for
from frontier.pages import controls, results, session, show, text
from frontier.pages.autoscaler_view import draw_autoscalers
from frontier.pages.own_timings import draw_box, draw_read
from frontier.pages.start_mitigations import ask, draw_tried, tried
from frontier.pages.store import store
from frontier.plans.grid import mitigated_plan
from frontier.plans.menu import Menu
from frontier.plans.scenario import Deployment, deploy
from frontier.start.labels import in_sentence
from frontier.start.predict import platform_of
from frontier.start.stages import ColdStart, Stage
from frontier.start.validate import cases_like, validate_start
from frontier.sweep import start_normals
from frontier.tables import Tables, load_tables
from frontier.trace import Trace


def render() -> None:
    """Draw the page for the choices in the bar."""
    choices = controls.with_traffic()
    if choices is None:
        return
    tables = session.tables()
    deployment = store(private=choices.is_private).get_or_make(
        ("deployment", *choices.content),
        lambda: deploy(choices.scenario, choices.trace, tables),
    )
    answer = st.container()
    anatomy, box = st.columns([2, 1], gap="medium")
    with anatomy:
        _draw_start(deployment, choices.trace, tables)
    with box, st.container(border=True):
        read = draw_box(choices, deployment, tables)
    if read is not None:
        draw_read(read)
    st.subheader("What shortens it", anchor=False)
    asked = ask(choices, deployment, tables)
    with answer:
        st.subheader(_headline(deployment, asked.menu, tables), anchor=False)
    results.answered()
    each = tried(asked, choices, deployment, tables)
    draw_tried(each, choices, deployment, tables)
    draw_autoscalers(choices, deployment, tables)


def _headline(deployment: Deployment, menu: Menu, tables: Tables) -> str:
    start = deployment.start
    wall_s = start.wall_s
    dominant = max(wall_s, key=wall_s.__getitem__)
    share = spell.percent(round(wall_s[dominant] / start.typical_s, 2))
    words = (
        f"A start takes about {spell.seconds(start.typical_s)}; "
        f"{in_sentence(dominant)}{_mostly(start[dominant])} is {share} of it."
    )
    platform = platform_of(deployment.serverless.behaviour.platform_id, tables)
    bare = mitigated_plan(deployment, (), tables)
    shorter = {}
    for item in menu.usable.values():
        plan = mitigated_plan(deployment, (item,), tables)
        # Slower answers for ever are no remedy for a slow start.
        if plan.speed is bare.speed and not missing_for(item, platform):
            shorter[item.label] = plan.start.typical_s
    best = min(shorter, key=shorter.__getitem__, default=None)
    if best is None or shorter[best] >= start.typical_s:
        return f"{words} Nothing on the list below shortens it here."
    return f"{words} {best} would bring it to {spell.seconds(shorter[best])}."


def _mostly(stage: Stage) -> str:
    """Name the part that is most of a stage of several parts, in brackets."""
    name, seconds = max(stage.parts, key=lambda part: part[1], default=("", 0.0))
    most = stage.median_s is not None and seconds > stage.median_s / 2
    return f" (mostly {name})" if most else ""


def _on_node_in_words(deployment: Deployment, tables: Tables) -> str:
    """Return how much shorter a start is where its node is up; empty without such nodes."""
    start = mitigated_plan(deployment, (), tables).start
    if start.on_node is None or start.on_node.typical_s >= start.typical_s:
        return ""
    return (
        " This is a start with a node to bring; on a node that is still up it takes about "
        f"{spell.seconds(start.on_node.typical_s)}."
    )


def _draw_start(deployment: Deployment, trace: Trace, tables: Tables) -> None:
    speed = deployment.speed
    prompt = float(np.percentile(trace.prompt_tokens, 50, method="inverted_cdf"))
    warm_s = float(speed.ttft_s(prompt))
    table = start_waterfall_table(deployment.start, start_normals(tables), warm_s=warm_s)
    whole = table[table["stage"] == WHOLE].iloc[0]
    ratio = spell.significant(whole["seconds"] / warm_s, 2)
    st.markdown(
        f"A warm replica gives the median prompt of {prompt:,.0f} tokens its first token in "
        f"{spell.seconds(warm_s)}: a start takes about {ratio} times as long. Nine of ten starts "
        f"take {spell.seconds(whole['low_s'])} to {spell.seconds(whole['high_s'])}."
        + _on_node_in_words(deployment, tables)
    )
    show.figure(
        show.built(start_waterfall_figure, table),
        key="start_waterfall",
        alt="A start, stage by stage: "
        + ", ".join(
            f"{row.label} {spell.seconds(row.seconds)}"
            for row in table.itertuples()
            if row.seconds != 0
        ),
    )
    absent = table[table["seconds"] == 0]
    words = "Bars that begin together run side by side."
    if not absent.empty:
        words += f" Not part of this start: {', '.join(map(in_sentence, absent['stage']))}."
    if deployment.start.unmeasured:
        words += " What is not measured is in no sum."
    st.caption(words)
    for sentence in deployment.start.assumed:
        st.caption(text.plain(sentence))
    st.caption(_how_sure(deployment.start))
    with st.expander("Stage by stage: seconds, range, basis, source"):
        st.table(_stage_words(table, tables))
        show.download(table.assign(sources=table["sources"].map(";".join)), "cold_start.csv")


def _how_sure(start: ColdStart) -> str:
    """Say how many stages are assumed and by how much starts like this one were off."""
    if start.total_runs_s:
        return "The whole start is as you measured it; its stages only share it out."
    # A stage of no time is no part of the start, as beneath the chart.
    bases = [stage.basis for stage in start.stages if stage.median_s != 0.0]
    measured, assumed = bases.count("measured"), bases.count("assumed")
    results = store(private=False).get_or_make(
        ("validation", "starts"), lambda: validate_start(load_tables())
    )
    like = cases_like(start, results)
    is_or_are = "is" if assumed == 1 else "are"
    words = f"{assumed} of the {len(bases)} stages {is_or_are} assumed"
    if measured:
        words += f" and {measured} measured"
    return (
        f"{words}. Cases like yours were off by {spell.percent(like.median_error)} in the median "
        f"and {spell.percent(like.largest_error)} at worst: "
        f"{spell.count(like.cases, 'published start')} "
        "that nothing was fitted to. The Method page has them one by one."
    )


def _stage_words(table: pd.DataFrame, tables: Tables) -> pd.DataFrame:
    rows = []
    for row in table[table["stage"] != WARM].itertuples():
        known = not np.isnan(row.seconds)
        rows.append(
            {
                "Stage": row.label,
                "Seconds": text.unbroken(spell.seconds(row.seconds)),
                "Nine of ten": text.unbroken(
                    f"{spell.seconds(row.low_s)} to {spell.seconds(row.high_s)}"
                )
                if known and row.high_s > 0
                else "—",
                "Share": text.unbroken(spell.percent(round(row.share, 3))) if known else "—",
                "Basis": row.basis or "—",
                "Source": _links(row.sources, tables)
                or ("yours" if row.basis == "measured" else "—"),
                "Note": text.plain(row.note) or "—",
            }
        )
    return pd.DataFrame(rows).set_index("Stage")


def _links(source_ids: tuple[str, ...], tables: Tables) -> str:
    links = []
    for source_id in dict.fromkeys(source_ids):
        source = tables.sources[source_id]
        title = text.plain(source.title)
        links.append(f"[{title}]({source.url})" if source.url.startswith("http") else title)
    return ", ".join(links)
