"""The Data page's part about the scenario file: all that a session chose and changed."""

from __future__ import annotations

import datetime as dt

import streamlit as st

import frontier
from frontier import spell
from frontier.edits import ScenarioFile, read_scenario, scenario_json
from frontier.errors import FrontierError
from frontier.pages import late, own_prices_tab, price_controls, session, text
from frontier.tables import load_tables


def draw() -> None:
    """Draw the tab."""
    st.markdown(
        "The link in the address bar holds every choice, your own model, and the prices you "
        "changed of the two offers in use. A scenario file holds all of it: every changed cell "
        "and your own price table too. An uploaded trace is in neither."
    )
    left, right = st.columns(2, gap="large")
    today = dt.date.today()
    scenario = session.scenario_file()
    with left:
        st.download_button(
            "Download this scenario",
            lambda: scenario_json(scenario, version=frontier.__version__, made_on=today),
            f"frontier-{today.isoformat()}-scenario.json",
            "application/json",
            on_click="ignore",
            icon=":material/download:",
            key="scenario_out",
        )
    with right:
        file = st.file_uploader(
            "Open a scenario file",
            type=["json"],
            key="scenario_in",
            max_upload_size=own_prices_tab.most_mb(),
        )
        if file is None:
            return
        try:
            found = read_scenario(file.getvalue(), load_tables())
        except FrontierError as error:
            st.error(text.plain(str(error)), icon=":material/upload_file:")
            return
        parts = [spell.count(len(found.choices), "choice")]
        parts.append(spell.count(len(found.edits), "changed cell"))
        parts.append(f"{spell.count(len(found.offers), 'offer')} of its own")
        st.markdown(f"It holds {', '.join(parts[:-1])} and {parts[-1]}.")
        st.button(
            "Use it in place of what is chosen now",
            type="primary",
            **late.applies("use_scenario", _open, found, file.file_id),
        )


def _open(found: ScenarioFile) -> None:
    session.use_scenario(found)
    price_controls.forget()
