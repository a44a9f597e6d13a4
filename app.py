"""Entry point: the page list and the page config, nothing else."""

from pathlib import Path

import streamlit as st

from frontier.pages import shell

st.set_page_config(
    page_title="Frontier: what scale-to-zero costs",
    # A picture of our own: an icon by name would be fetched from a third party at every visit.
    page_icon=str(Path(__file__).parent / "docs" / "icon.png"),
    layout="wide",
)
shell.run()
