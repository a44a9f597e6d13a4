"""The tables in force for this session: those of data/, with its own prices and changes applied.

Pages ask `tables()` where the rest of the product loads the tables. What a session changed lives
in the session and, where it can, in the link; nothing is written to disk or shown to others.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from frontier import memory
from frontier.cluster import crew_at
from frontier.crew import Crew
from frontier.edits import Edit, ScenarioFile, cell_text, problems_of, with_edits
from frontier.models.own import with_model
from frontier.pages import link, made_with, model_controls, start_controls
from frontier.prices import PriceUpload, with_prices
from frontier.prices.owned import OwnedMachine, with_owned
from frontier.start.own_text import own_start_text
from frontier.tables import OWN_SOURCE, YOURS, Tables, load_tables

SCHEDULER = "FRONTIER_SCHEDULER"
"""Environment variable: address of the scheduler of a Dask cluster, for this app's sweeps."""
HOURS = "hours"
_EDITS, UPLOAD, _MADE = "session_edits", "session_upload", "session_tables"
_PRICE = "price."
_OWNED = "session_owned"
_LINKED = ("offers", "usd_per_gpu_h")
_BROUGHT = (_EDITS, UPLOAD, _OWNED, model_controls.OWN, start_controls.OWN_START)


def crew() -> Crew:
    """Return who simulates: threads here, or the cluster that the app's setting names."""
    return crew_at(os.environ.get(SCHEDULER))


def require_room(what: str, *, is_patient: bool = False) -> None:
    """Raise an `InfeasibleError` where this server is too large for new work; see `memory`."""
    memory.require_room(load_tables(), what, is_patient=is_patient)


def tables() -> Tables:
    """Return the tables in force: with the session's prices, changes, model and hours."""
    hours = st.session_state.get(HOURS)
    own = model_controls.own_model()
    key = (_edits(), upload(), own, owned(), hours, dt.date.today())
    made = st.session_state.get(_MADE)
    if made is None or made[0] != key:
        found = unedited()
        if key[0]:
            found = with_edits(found, key[0].values(), today=key[-1])
        if own is not None:
            found = with_model(found, own.model)
        if hours is not None:
            found = _with_hours(found, hours)
        made = st.session_state[_MADE] = ({**key[0]}, *key[1:]), found
    return made[1]


def unedited() -> Tables:
    """Return the tables with the session's own prices and machine, and without its changes."""
    own, machine = upload(), owned()
    found = load_tables() if own is None else with_prices(load_tables(), own)
    if machine is None:
        return found
    hours = st.session_state.get(HOURS)
    spread = found if hours is None else _with_hours(found, hours)
    offers = with_owned(spread, machine, dt.date.today()).offers
    return dataclasses.replace(found, offers=offers)


def _with_hours(found: Tables, hours: float) -> Tables:
    row = found.settings["hours_per_month"]
    low, high = row.bounds
    if hours == row.value or not low <= hours <= high:
        return found
    own = dataclasses.replace(row, value=float(hours), basis=YOURS, source_id=OWN_SOURCE)
    settings = {**found.settings, "hours_per_month": own}
    return dataclasses.replace(found, settings=MappingProxyType(settings))


def upload() -> PriceUpload | None:
    """Return the price table that the session brought, if there is one."""
    return st.session_state.get(UPLOAD)


def owned() -> OwnedMachine | None:
    """Return the machine that the session's user bought, if there is one."""
    return st.session_state.get(_OWNED)


def use_owned(machine: OwnedMachine | None) -> None:
    """Put a bought machine among the offers, or none; changes of a row now gone go with it."""
    if machine != owned():
        st.session_state[_OWNED] = machine
        _drop_stale_edits()


def is_changed() -> bool:
    """Whether the session has prices, changes, a machine or a model of its own."""
    own = (upload(), owned(), model_controls.own_model())
    return any(brought is not None for brought in own) or bool(_edits())


def edits() -> tuple[Edit, ...]:
    """Return the changed cells, in the order in which they were changed."""
    return tuple(_edits().values())


def prices_of(offer_ids: tuple[str, ...]) -> tuple[Edit, ...]:
    """Return the changed prices of these offers."""
    return tuple(
        edit for edit in edits() if (edit.table, edit.column) == _LINKED and edit.key in offer_ids
    )


def change(wanted: list[Edit]) -> tuple[str, ...]:
    """Change these cells, all or none; return why not, a sentence for each that is wrong."""
    base = unedited()
    merged = _edits() | {(edit.table, edit.key, edit.column): edit for edit in wanted}
    kept = {
        where: edit for where, edit in merged.items() if problems_of(base, [edit]) or _differs(edit)
    }
    problems = problems_of(base, kept.values())
    if not problems:
        st.session_state[_EDITS] = kept
    return problems


def _differs(edit: Edit) -> bool:
    return edit.text != shipped_text(edit)


def shipped_text(edit: Edit) -> str:
    """Return what stood in a changed cell before."""
    return cell_text(getattr(getattr(unedited(), edit.table)[edit.key], edit.column))


def reset(edit: Edit | None = None) -> None:
    """Undo one change, or all of them."""
    kept = {} if edit is None else {key: one for key, one in _edits().items() if one != edit}
    st.session_state[_EDITS] = kept


def use_prices(own: PriceUpload | None) -> None:
    """Use the offers of a price table, or those of none; changes of rows now gone go with them."""
    st.session_state[UPLOAD] = own
    _drop_stale_edits()


def _drop_stale_edits() -> None:
    rows = unedited()
    st.session_state[_EDITS] = {
        where: edit
        for where, edit in _edits().items()
        if edit.key in getattr(rows, edit.table) and not problems_of(rows, [edit])
    }


def restore() -> None:
    """Take the own model, the timings and the changed prices out of the link, if it has any."""
    made_with.begin()
    model_controls.restore_model()
    start_controls.restore_timings(tables())
    usable = []
    for name, text in link.taken(_PRICE).items():
        edit = Edit(_LINKED[0], name.removeprefix(_PRICE), _LINKED[1], text)
        problems = problems_of(unedited(), [edit])
        for problem in problems:
            link.ignore(f"{name}={text} cannot be used: {problem}")
        if not problems:
            usable.append(edit)
    if usable:
        change(usable)


def go_to(choices: Mapping[str, str]) -> None:
    """Make these choices and no others, as undo and the back button do; before they are drawn.

    What was uploaded stays. A changed price stays unless the address holds it now and did not.
    """
    in_link = {st.session_state.get(kind) for kind in ("serverless", "dedicated")}
    for edit in edits():
        is_linked = (edit.table, edit.column) == _LINKED and edit.key in in_link
        if is_linked and f"{_PRICE}{edit.key}" not in choices:
            reset(edit)
    if not made_with.holds(choices, made_with.TIMINGS) and start_controls.TIMINGS not in choices:
        start_controls.forget_timings()
    made_with.forget()
    link.ask(choices)


def brought() -> dict[str, Any]:
    """Return all that the session brought and that no address need hold, for `bring_back`."""
    return {key: st.session_state[key] for key in _BROUGHT if key in st.session_state}


def bring_back(kept: Mapping[str, Any]) -> None:
    """Have what the session brought at another time, and nothing else; before anything is drawn."""
    for key in _BROUGHT:
        if key in kept:
            st.session_state[key] = kept[key]
        else:
            st.session_state.pop(key, None)


def carry(offer_ids: tuple[str, ...]) -> None:
    """Let what the session brought travel in the link, as far as there is room.

    Prices of the chosen offers come first. What is left out is counted, with a fingerprint.
    """
    model_controls.carry_model()
    room = tables().setting("link_most_characters") - len(link.address()) - made_with.LONGEST
    wanted = dict(_timings())
    prices = [edit for edit in edits() if (edit.table, edit.column) == _LINKED]
    prices.sort(key=lambda edit: edit.key not in offer_ids)
    wanted |= {f"{_PRICE}{edit.key}": edit.text for edit in prices}
    carried = {}
    for name, text in wanted.items():
        length = len(urlencode({name: text})) + 1
        if length <= room:
            carried[name] = text
            room -= length
    link.carry(carried)
    own = start_controls.own_start()
    if own is not None and start_controls.TIMINGS not in carried:
        made_with.have(made_with.TIMINGS, made_with.mark(len(own.runs_s), repr(own)))
    left = [
        edit
        for edit in edits()
        if (edit.table, edit.column) != _LINKED or f"{_PRICE}{edit.key}" not in carried
    ]
    if left:
        made_with.have(made_with.CHANGES, made_with.mark(len(left), repr(sorted(map(repr, left)))))
    prices_here = upload()
    if prices_here is not None:
        rows = (prices_here.offers, prices_here.rules, prices_here.behaviours)
        made_with.have(made_with.OFFERS, made_with.mark(len(prices_here.offers), repr(rows)))
    made_with.carry()


def _timings() -> Mapping[str, str]:
    own = start_controls.own_start()
    return {} if own is None else {start_controls.TIMINGS: own_start_text(own)}


def scenario_file() -> ScenarioFile:
    """Return everything that opens this view again, own prices included."""
    own = upload()
    wanted = {key: value for key, value in link.choices().items() if not key.startswith(_PRICE)}
    return ScenarioFile(
        # However long: a file has the room that a link has not.
        choices={**wanted, **_timings()},
        edits=edits(),
        offers=own.offers if own else (),
        rules=own.rules if own else (),
        behaviours=own.behaviours if own else (),
    )


def use_scenario(scenario: ScenarioFile) -> None:
    """Use a scenario file, and nothing of what was chosen before; from a callback."""
    own = None
    if scenario.offers:
        own = PriceUpload(
            "scenario",
            scenario.offers,
            scenario.rules,
            scenario.behaviours,
            len(scenario.offers),
            warnings=(),
        )
    model_controls.forget_model()
    start_controls.forget_timings()
    made_with.forget()
    st.session_state[UPLOAD] = own
    st.session_state[_EDITS] = {
        (edit.table, edit.key, edit.column): edit for edit in scenario.edits
    }
    link.ask(scenario.choices)


def _edits() -> dict[tuple[str, str, str], Edit]:
    found: dict[tuple[str, str, str], Edit] = st.session_state.get(_EDITS, {})
    return found
