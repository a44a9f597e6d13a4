"""What the verdict hangs on of all that is not known for sure: a part of the Break-even page."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from frontier import spell
from frontier.charts.decides_chart import (
    decides_figure,
    decides_table,
    turning_figure,
    turning_table,
)
from frontier.pages import link, mishap, results, show, text
from frontier.pages.controls import Choices
from frontier.ranges.inputs import START
from frontier.ranges.quantiles import InputRange
from frontier.study import Study
from frontier.tables import Tables
from frontier.verdict import of_hundred, value_in_words

_TO_START = "cold-start"


def draw(choices: Choices, study: Study) -> None:
    """Draw how often the answer stands, which input decides, and what would settle it."""
    hanging = results.what_decides(choices, study)
    found, within = hanging.found, hanging.found.within
    first, *more = hanging.sentences
    st.markdown(text.said(f"**{first}**"))
    if more:
        st.markdown(text.said("\n".join(f"- {said}" for said in more)))
    table = decides_table(found)
    counted = [one for one in within.influences if one.right_share > 0.0]
    if counted:
        # Luck has no order in which to draw it.
        top = next((one for one in counted if one.stretches), within.influences[0])
        one = found.input(top.key)
        left, right = st.columns(2, gap="medium")
        with left:
            st.markdown("**Which input settles how much**")
            show.figure(
                show.built(
                    decides_figure,
                    table[table["low"] < table["high"]],
                    wrong_share=1.0 - within.share(within.choices[0]),
                ),
                key="decides_chart",
                alt="Draws of 100 that knowing an input settles: "
                + "; ".join(
                    f"{row.input} {of_hundred(row.put_right_share)}" for row in table.itertuples()
                ),
            )
        with right:
            st.markdown(f"**What wins, by {spell.lower_first(one.label)}**")
            turning = turning_table(found, one.key, hanging.named)
            show.figure(
                show.built(turning_figure, turning, one),
                key="turning_chart",
                table=turning,
                file_name="what_wins.csv",
                shown=turning.drop(columns=["part", "choice"]),
                alt=f"Share of the draws in which a plan wins, by {spell.lower_first(one.label)}: "
                + "; ".join(
                    f"{value_in_words(one, row.low)} to {value_in_words(one, row.high)}: "
                    f"{row.label} {of_hundred(row.share)} of 100"
                    for row in turning.itertuples()
                    if row.share > 0
                ),
            )
        if one.key == START and one.basis != "yours":
            st.button(
                "Paste a start-up log",
                icon=":material/content_paste:",
                key="to_start_log",
                on_click=mishap.safe(link.go_to),
                args=(_TO_START,),
            )
    st.caption(
        f"{found.draws:,} draws in which all of these inputs are off at once, each over its own "
        "range; in every one the plans are simulated and billed anew. Dashed: the draws that go "
        "against the most frequent answer. 0: no more than these draws may show by luck. "
        f"{text.plain(found.left_out)}"
    )
    with st.expander("What is not known for sure, and how far it may be off"):
        st.dataframe(_shown(table, found.inputs, study.tables), hide_index=True)
        show.download(table, "what_decides.csv")


def _shown(table: pd.DataFrame, inputs: tuple[InputRange, ...], tables: Tables) -> pd.DataFrame:
    by_key = {one.key: one for one in inputs}
    ordered = [by_key[key] for key in table["key"]]
    tail = ordered[0].tail
    return pd.DataFrame(
        {
            "Input": [one.label for one in ordered],
            "As it stands": [value_in_words(one, one.base) for one in ordered],
            spell.percent(tail): [value_in_words(one, one.low) for one in ordered],
            "Middle": [value_in_words(one, one.median) for one in ordered],
            spell.percent(1.0 - tail): [value_in_words(one, one.high) for one in ordered],
            "Settles, of 100": table["put_right_share"].map(of_hundred),
            "Basis": [one.basis for one in ordered],
            "From": [one.why for one in ordered],
            "Sources": [
                ", ".join(tables.sources[key].title for key in one.source_ids) for one in ordered
            ],
        }
    )
