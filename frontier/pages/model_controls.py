"""The bar's part about the model: one of the table, or the person's own.

An own model is read in memory, stands in this session's tables as one more row, and travels in
the link; nothing of it is written to disk.
"""

from __future__ import annotations

import math
from typing import Any

import streamlit as st

from frontier import units
from frontier.errors import FrontierError, InputError
from frontier.models.config import read_model_config
from frontier.models.own import (
    OWN_MODEL,
    PRECISIONS,
    ReadModel,
    in_words,
    link_text,
    model_from_numbers,
    model_of_link,
)
from frontier.pages import late, link, mishap, text
from frontier.serving import precisions_of
from frontier.tables import Example, Tables, load_tables

OWN, _REFUSED, _LINKED = "own_model_read", "own_model_refused", "own_model"
_FILE, _PASTED, _HOW = "own_model_file", "own_model_pasted", "own_model_how"
_HOWS = ("config.json", "A few numbers")


def own_model() -> ReadModel | None:
    """Return the model that the session brought, if there is one."""
    return st.session_state.get(OWN)


def forget_model() -> None:
    """Go back to the models of the table."""
    st.session_state.pop(OWN, None)


def _forget(read: ReadModel) -> None:
    if own_model() == read:
        forget_model()


def restore_model() -> None:
    """Take the own model out of the link that opened this session."""
    for cells in link.taken(_LINKED).values():
        try:
            model = model_of_link(cells)
        except InputError as error:
            link.ignore(f"your own model cannot be used: {error}")
        else:
            said = "From a link: what was assumed in reading its config is not in it."
            st.session_state[OWN] = ReadModel(model, (said,))


def carry_model() -> None:
    """Let the own model travel in the link."""
    own = own_model()
    if own is not None:
        link.carry({_LINKED: link_text(own.model)})


def picked_model(tables: Tables, example: Example) -> tuple[str, str]:
    """Return model and precision before they are drawn."""
    model = link.picked(list(tables.models), example.model, key="model")
    return model, link.picked(**_precisions(model, tables, example))


def model_in_words(model: str, precision: str) -> str:
    """Return the choice as its chip shows it, in Markdown."""
    return f"{_name(model)} · {precision}"


def model_section(tables: Tables, example: Example) -> tuple[str, str]:
    """Draw the choice of model and precision; return both."""
    model = link.pick("Model", list(tables.models), example.model, key="model", format_func=_name)
    own = own_model()
    if own is not None and model == OWN_MODEL:
        st.caption(f":material/deployed_code: {text.plain(in_words(own.model))}")
    precision = link.pick("Precision", **_precisions(model, tables, example))
    with st.expander("Your own model"):
        _own_section(own)
    return model, precision


def _name(model: str) -> str:
    return "Your model" if model == OWN_MODEL else model


def _precisions(model: str, tables: Tables, example: Example) -> dict[str, Any]:
    row = tables.models[model]
    return {
        "options": list(precisions_of(row)),
        "default": row.native_precision if model == OWN_MODEL else example.precision,
        "key": "precision",
    }


def _own_section(own: ReadModel | None) -> None:
    """Draw how a model is brought, what was read of it, and why it could not be."""
    if own is not None:
        st.markdown(f"**Read as** {text.plain(in_words(own.model))}.")
        for sentence in own.assumed:
            st.caption(text.plain(sentence))
        st.button("Forget it", **late.applies("forget_model", _forget, own))
    refused = st.session_state.get(_REFUSED)
    if refused:
        st.error(text.plain(refused), icon=":material/block:")
    how = st.radio("From", _HOWS, key=_HOW, horizontal=True, label_visibility="collapsed")
    if how == _HOWS[0]:
        most = load_tables().setting("model_config_max_bytes")
        st.file_uploader(
            "config.json",
            type=["json"],
            key=_FILE,
            max_upload_size=math.ceil(most / units.BYTES_PER_MB),
            help="Stands beside the weights in the model's repository. Read in memory only.",
        )
        st.text_area("Or paste it", key=_PASTED, height=120)
        st.button("Use this model", on_click=mishap.safe(_use_config), key="use_config")
        return
    _number_fields()
    st.button("Use this model", on_click=mishap.safe(_use_numbers), key="use_numbers")


def _number_fields() -> None:
    st.number_input("Parameters (billions)", 0.001, 10000.0, 8.0, key="own_params")
    left, right = st.columns(2)
    left.number_input("Layers", 1, 1000, 32, key="own_layers")
    right.number_input("KV heads", 1, 1000, 8, key="own_kv_heads")
    left.number_input("Head size", 1, 1024, 128, key="own_head_size")
    right.selectbox("Precision of the weights", PRECISIONS, key="own_precision")
    st.number_input(
        "Parameters at work for a token (billions), if it has experts",
        0.0,
        10000.0,
        0.0,
        key="own_active",
    )
    left, right = st.columns(2)
    left.number_input("Experts", 0, 10000, 0, key="own_experts")
    right.number_input("Experts a token", 0, 1000, 0, key="own_top")


def _use_config() -> None:
    """Read what was uploaded, or else pasted."""
    held = late.files(_FILE)
    content = held[0].getvalue() if held else st.session_state.get(_PASTED) or ""
    try:
        _use(read_model_config(content, load_tables()))
    except FrontierError as error:
        st.session_state[_REFUSED] = str(error)


def _use_numbers() -> None:
    told = st.session_state
    try:
        _use(
            model_from_numbers(
                load_tables(),
                params_b=told["own_params"],
                layers=told["own_layers"],
                kv_heads=told["own_kv_heads"],
                head_size=told["own_head_size"],
                precision=told["own_precision"],
                active_params_b=told["own_active"] or None,
                experts=told["own_experts"] or None,
                experts_per_token=told["own_top"] or None,
            )
        )
    except FrontierError as error:
        st.session_state[_REFUSED] = str(error)


def _use(read: ReadModel) -> None:
    st.session_state.pop(_REFUSED, None)
    st.session_state[OWN] = read
    st.session_state["model"] = OWN_MODEL
