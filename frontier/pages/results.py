"""The study of the current choices: simulated once, kept, billed anew at every price and limit."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import streamlit as st

from frontier import spell
from frontier.pages import session, text
from frontier.pages.controls import Choices
from frontier.pages.store import find, store
from frontier.start.labels import STAGE_LABELS
from frontier.start.stages import ColdStart
from frontier.study import Simulated, Study, simulate, study_of
from frontier.tables import Tables


def study(choices: Choices, show_first_look: Callable[[Study], None] | None = None) -> Study:
    """Return the study of these choices, simulating only what was not simulated before.

    The limit and the prices are no part of a simulation, so changing them simulates nothing.
    While a new sweep runs, ``show_first_look`` gets the few plans that outline the answer, and a
    bar shows the progress; a new input stops the threads at once.
    """
    tables = session.tables()

    def billed(found: Simulated) -> Study:
        return study_of(
            found,
            tables,
            limit_s=choices.scenario.slo_p99_ttft_s,
            deal=choices.deal,
            api=choices.api,
        )

    key = ("sweep", *choices.content)
    found = find(key)
    if found is None:
        bar = st.progress(0.0, "A first look…")

        def progress(done: int, total: int) -> None:
            bar.progress(done / total, f"Simulated {done} of {spell.count(total, 'plan')}")

        found = simulate(
            choices.scenario,
            choices.trace,
            tables,
            first=None if show_first_look is None else lambda few: show_first_look(billed(few)),
            progress=progress,
        )
        bar.empty()
        store(private=choices.is_private).put(key, found)
    return billed(found)


def stage_words(start: ColdStart, tables: Tables) -> pd.DataFrame:
    """Return the stages of a start as words: seconds, basis and source."""
    rows = []
    for stage in start.stages:
        rows.append(
            {
                "Stage": STAGE_LABELS[stage.name],
                "Seconds": "not measured"
                if stage.median_s is None
                else spell.seconds(stage.median_s),
                "Basis": stage.basis,
                "Source": ", ".join(
                    text.plain(tables.sources[source_id].title) for source_id in stage.source_ids
                )
                or "—",
            }
        )
    return pd.DataFrame(rows).set_index("Stage")
