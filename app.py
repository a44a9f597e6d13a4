"""Entry point: the page list and the page config, nothing else."""

import streamlit as st

from frontier.pages import shell

st.set_page_config(
    page_title="Frontier: what scale-to-zero costs",
    page_icon=":material/ssid_chart:",
    layout="wide",
)
shell.run()
