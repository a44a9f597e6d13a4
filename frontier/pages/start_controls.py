"""The bar's part about the start: what differs from the platform's, and the user's timings."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter

import streamlit as st

from frontier.errors import InputError
from frontier.pages import link, mishap, text
from frontier.plans.nodes import CLUSTER_PLATFORM, NodeChoice, provisions, start_changes
from frontier.start.log import OwnStart
from frontier.start.own_text import read_own_start_text
from frontier.start.predict import COMPILE_STATES, IMAGE_STATES, KERNEL_STATES, platform_of
from frontier.tables import Tables

TIMINGS = "timings"
OWN_START = "own_start"
_FITS = 24  # letters that a selectbox of the bar shows whole
_IMAGE_WORDS = {
    "registry": "Pulled from a registry",
    "streamed": "Streamed lazily",
    "cached": "Already on the node",
}
_COMPILE_WORDS = {
    "cold": "Compiled at each start",
    "cached": "Compiled graphs kept",
    "none": "No compilation",
}
_KERNEL_WORDS = {
    "shipped": "As the image ships them",
    "cached": "Built and tuned before",
    "cold": "Built at each start",
}
_NOTHING_WRONG = "none"
_RISK_FIELDS = ("fail_share", "late_share", "late_s", "correlation")


def own_start() -> OwnStart | None:
    """Return the timings the user chose to use, if there are any."""
    return st.session_state.get(OWN_START)


def use_timings(own: OwnStart) -> None:
    """Let these timings stand for the start on every page; nothing is written to disk."""
    st.session_state[OWN_START] = own


def forget_timings() -> None:
    """Go back to the model's start."""
    st.session_state.pop(OWN_START, None)


def restore_timings(tables: Tables) -> None:
    """Take own timings out of the link, if it has any."""
    for words in link.taken(TIMINGS).values():
        try:
            use_timings(read_own_start_text(words, tables))
        except InputError as error:
            link.ignore(f"its start timings cannot be used: {error}; the model’s start is used")


def start_section(
    tables: Tables, offer_id: str, nodes: NodeChoice | None = None
) -> tuple[tuple[tuple[str, str | float], ...], OwnStart | None]:
    """Draw the section; return what differs from the platform's start, and the own timings."""
    own = own_start()
    if own is not None:
        st.caption(f":material/timer: Start: your timings ({text.plain(own.model)} on {own.gpu})")
        st.button(
            "Use the model's start again",
            on_click=mishap.safe(forget_timings),
            key="forget_timings",
        )
    is_brought = nodes is None or provisions(nodes, tables)
    if nodes is None:
        platform = platform_of(tables.behaviour_of(tables.offers[offer_id]).platform_id, tables)
    else:
        platform = platform_of(CLUSTER_PLATFORM, tables)
        if is_brought:
            allocate_s = start_changes(nodes, tables)["allocate_s"]
            platform = dataclasses.replace(platform, allocate_s=allocate_s)
    with st.expander("Change the start"):
        st.caption(
            f"As {text.plain(platform.label)} does it ({platform.basis}; "
            f"{text.plain(tables.source_of(platform).title)}), unless you change it here."
        )
        longest = tables.settings["start_longest_s"]
        asked: dict[str, tuple[str | float, str | float]] = {}
        for field, label, options in (
            ("host", "Host", {key: row.label for key, row in tables.hosts.items()}),
            ("storage", "Weights are on", {key: row.label for key, row in tables.storage.items()}),
            ("loader", "Loaded by", {key: row.label for key, row in tables.loaders.items()}),
            ("image_state", "Container image", {key: _IMAGE_WORDS[key] for key in IMAGE_STATES}),
            ("compile_state", "Compilation", {key: _COMPILE_WORDS[key] for key in COMPILE_STATES}),
            ("kernel_state", "Engine kernels", {key: _KERNEL_WORDS[key] for key in KERNEL_STATES}),
            ("engine", "Engine", {key: row.label for key, row in tables.engines.items()}),
        ):
            if field == "image_state" and not is_brought:
                continue  # on a node that is up the image is there
            usual = getattr(platform, field)
            ordered = [usual, *(key for key in options if key != usual)]
            short = _short(options)
            chosen = link.pick(label, ordered, usual, key=field, format_func=short.__getitem__)
            if max(len(short[chosen]), len(options[chosen])) > _FITS:
                st.caption(text.plain(options[chosen]))
            asked[field] = (chosen, usual)
        if is_brought:
            asked["allocate_s"] = (
                link.number(
                    "Seconds until there is a GPU",
                    platform.allocate_s,
                    key="allocate_s",
                    low=0.0,
                    high=longest.value,
                    step=5.0,
                ),
                platform.allocate_s,
            )
        risk = _risk(tables)
    changes = tuple((name, value) for name, (value, usual) in asked.items() if value != usual)
    return changes + risk, own


def _risk(tables: Tables) -> tuple[tuple[str, float], ...]:
    """Ask what goes wrong with starts; nothing unless it is said."""
    presets = tables.start_risks
    chosen = link.pick(
        "What goes wrong",
        list(presets),
        _NOTHING_WRONG,
        key="start_risk",
        format_func=lambda key: presets[key].label,
    )
    row = presets[chosen]
    source = tables.source_of(row)
    st.caption(text.plain(f"{row.description} ({row.basis}; {source.title})"))
    fields = [(name, getattr(row, name)) for name in _RISK_FIELDS]
    return tuple((name, value) for name, value in fields if value)


def _short(labels: dict[str, str]) -> dict[str, str]:
    """Return long labels without what follows a comma or bracket, unless it tells two apart."""
    heads = {
        key: label if len(label) <= _FITS else re.split(r" \(|, ", label)[0]
        for key, label in labels.items()
    }
    shared = Counter(heads.values())
    return {key: head if shared[head] == 1 else labels[key] for key, head in heads.items()}
