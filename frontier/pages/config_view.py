"""The chosen plan as configuration to paste: which target, its text, and what it cannot express."""

from __future__ import annotations

import streamlit as st

from frontier.manifests import Fit, Snippet, fits_of, snippet_of
from frontier.pages import link, session, text
from frontier.study import Study
from frontier.sweep import Outcome

# A text of more lines scrolls, so that what it cannot express stays near.
_MOST_LINES, _HEIGHT = 130, 900
_PICK_WIDTH = 320


@link.part
def draw(study: Study, outcome: Outcome) -> None:
    """Draw the configuration of a plan."""
    st.markdown("**Configuration**")
    tables = session.tables()
    fits = fits_of(outcome.plan, study.deployment, study.trace, tables, study.deal.serverless)
    able = {fit.key: fit for fit in fits if not fit.refusal}
    if not able:
        st.caption("There is nothing to configure here: nobody sells this plan.")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = link.pick(
            "Target",
            able,
            next(iter(able)),
            key="config",
            format_func=lambda key: able[key].label if key in able else key,
            width=_PICK_WIDTH,
        )
        snippet = snippet_of(able[chosen], tables)
        st.download_button(
            f"{snippet.title} ({snippet.file_name.rpartition('.')[2].upper()})",
            snippet.text,
            snippet.file_name,
            "text/plain",
            on_click="ignore",
            icon=":material/download:",
            key="take_config",
        )
    _draw_text(snippet)
    _draw_refused(fits)


def _draw_text(snippet: Snippet) -> None:
    for sentence in snippet.notes:
        st.caption(text.plain(sentence))
    is_long = snippet.text.count("\n") > _MOST_LINES
    st.code(snippet.text, language=snippet.language, height=_HEIGHT if is_long else "content")
    if not snippet.not_expressed:
        st.caption("All that the plan says stands in this text.")
        return
    st.markdown("What this cannot express")
    st.markdown("\n".join(f"- {text.plain(sentence)}" for sentence in snippet.not_expressed))


def _draw_refused(fits: tuple[Fit, ...]) -> None:
    able = {fit.target.key for fit in fits if not fit.refusal}
    refused = {fit.target.label: fit.refusal for fit in fits if fit.target.key not in able}
    if refused:
        with st.expander("Targets that do not suit this plan"):
            lines = [f"- {label}: {text.plain(why)}." for label, why in refused.items()]
            st.markdown("\n".join(lines))
