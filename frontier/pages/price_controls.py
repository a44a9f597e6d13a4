"""The price of an offer as a number field, and the question about one far from the listed price."""

from __future__ import annotations

import streamlit as st

from frontier import spell
from frontier.edits import Edit, cell_text, is_questioned, problems_of
from frontier.pages import cell_controls, mishap, session, text

_COLUMN = "usd_per_gpu_h"
_WAITING = "prices_waiting"


def price_field(offer_id: str, *, place: str) -> None:
    """Draw the price in force of an offer, to be changed for this session.

    A typed price far from the listed one (data/settings.csv, price_sanity_factor) changes nothing
    until it is confirmed. An emptied field is the listed price again.

    Parameters
    ----------
    offer_id : str
        Of an offer in force.
    place : str
        Where on the screen: the same offer may have a field in two places.
    """
    price = session.tables().offers[offer_id].usd_per_gpu_h
    listed = _listed(offer_id)
    waiting = _waiting().get(offer_id)
    key = f"price_{place}_{offer_id}"
    cell_controls.keep_to(key, price if waiting is None else waiting)
    cell_controls.number(
        "Price ($/GPU-hour)",
        cell_controls.column_of("offers", _COLUMN),
        key=key,
        on_change=mishap.safe(_take),
        args=(offer_id, key),
        help=f"For this session, and in its link. Listed: {text.money(_exact(listed))}. Empty the "
        "field to go back to that.",
    )
    cell_controls.refusal(key)
    if waiting is None:
        return
    st.warning(
        text.money(
            f"{_far(waiting, listed)} Is that meant? Until you say so, {_exact(price)} counts."
        ),
        icon=":material/help:",
    )
    with st.container(horizontal=True, gap="small"):
        st.button(
            text.money(f"Use {_exact(waiting)}"),
            on_click=mishap.safe(_confirm),
            args=(offer_id, waiting),
            # Another price is another button: one pressed late confirms what it says, or nothing.
            key=f"{key}_yes_{cell_text(waiting)}",
            type="primary",
        )
        st.button(
            text.money(f"Keep {_exact(price)}"),
            on_click=mishap.safe(_keep),
            args=(offer_id,),
            key=f"{key}_no",
        )


def forget() -> None:
    """Drop every typed price that still waits for a yes; from a callback."""
    _waiting().clear()


def _take(offer_id: str, key: str) -> None:
    typed = st.session_state[key]
    _waiting().pop(offer_id, None)
    listed = _listed(offer_id)
    usd_per_gpu_h = listed if typed is None else float(typed)
    edit = _edit(offer_id, usd_per_gpu_h)
    problems = problems_of(session.unedited(), [edit])
    if not problems and is_questioned(usd_per_gpu_h, listed, session.tables()):
        _waiting()[offer_id] = usd_per_gpu_h
        return
    problems = problems or session.change([edit])
    if problems:
        cell_controls.refuse(key, problems)


def _confirm(offer_id: str, usd_per_gpu_h: float) -> None:
    _waiting().pop(offer_id, None)
    session.change([_edit(offer_id, usd_per_gpu_h)])


def _keep(offer_id: str) -> None:
    _waiting().pop(offer_id, None)


def _edit(offer_id: str, usd_per_gpu_h: float) -> Edit:
    return Edit("offers", offer_id, _COLUMN, cell_text(usd_per_gpu_h))


def _listed(offer_id: str) -> float:
    return session.unedited().offers[offer_id].usd_per_gpu_h


def _waiting() -> dict[str, float]:
    found: dict[str, float] = st.session_state.setdefault(_WAITING, {})
    return found


def _far(usd_per_gpu_h: float, listed: float) -> str:
    above = usd_per_gpu_h > listed
    times = spell.significant(usd_per_gpu_h / listed if above else listed / usd_per_gpu_h)
    return (
        f"You typed {_exact(usd_per_gpu_h)}, the listed price is {_exact(listed)}: "
        f"{times} times {'lower' if above else 'higher'}."
    )


def _exact(usd_per_gpu_h: float) -> str:
    return f"${cell_text(usd_per_gpu_h)}"
