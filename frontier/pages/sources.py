"""The Data and sources page: every table and its sources, and what this session changes of them.

Prices, rules and behaviours can be changed here for this session alone, cell by cell or by bringing
a price table; the browser's own limits are only a courtesy, every cell is checked again here.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import math
import re

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

import frontier
from frontier import spell, units
from frontier.edits import (
    EDITABLE,
    Edit,
    ScenarioFile,
    cell_text,
    read_scenario,
    scenario_json,
)
from frontier.errors import FrontierError
from frontier.pages import controls, link, session, text
from frontier.pages.store import store
from frontier.prices import REQUIRED, PriceUpload, read_prices, staleness
from frontier.start.labels import STAGE_LABELS
from frontier.tables import OWN_SOURCE, Column, Offer, Tables, load_columns, load_tables

_TITLES = {
    "offers": "Prices",
    "provider_rules": "Billing rules",
    "behaviours": "Scaling behaviour",
    "commitments": "Commitments",
    "gpus": "GPUs",
    "models": "Models",
    "stage_timings": "Measured start stages",
    "platforms": "Platforms",
    "hosts": "Hosts",
    "storage": "Storage",
    "loaders": "Loaders",
    "mitigations": "Mitigations",
    "coefficients": "Coefficients",
    "settings": "Defaults",
    "sources": "Sources",
}
_WORDS = {
    "usd_per_gpu_h": "$/GPU-hour",
    "usd_per_vcpu_s": "$/vCPU-second",
    "usd_per_gib_s": "$/GiB-second",
    "vcpus_per_gpu": "Least vCPU a GPU",
    "ram_gib_per_gpu": "Least GiB a GPU",
    "gpus_min": "Fewest GPUs",
    "gpus_max": "Most GPUs",
    "increment_s": "Billed in steps of (s)",
    "minimum_s": "At least (s)",
    "idle_default_s": "Idle timeout (s)",
    "idle_min_s": "Shortest (s)",
    "idle_max_s": "Longest (s)",
    "idle_rate_factor": "Idle rate",
    "scale_down_rule": "Scale-down",
    "cold_request": "Cold request",
    "retry_s": "Retry after (s)",
    "bills_idle": "Idle time",
    "bills_kv_cache": "KV cache",
    "bills_other": "The rest",
    "platform_fee_usd_month": "Fee ($/month)",
    "free_credit_usd_month": "Credit ($/month)",
    "request_fee_usd": "Fee a request ($)",
    "storage_usd_per_gb_month": "Storage ($/GB/month)",
    "region_multiplier": "Region ×",
    "availability_multiplier": "Never preempted ×",
    "cores_metered": "Cores and memory",
    "least_cores": "Least cores",
    "least_ram_gib": "Least GiB",
    "most_cores": "Most cores",
    "most_gib_per_vcpu": "Most GiB a vCPU",
    "max_replicas_default": "Most replicas, as shipped",
    "max_replicas_hard": "Most replicas",
    "max_gpus_hard": "Most GPUs",
}
_GROUPS = {
    "offers": {
        "Price of the GPU": ("usd_per_gpu_h",),
        "CPU, memory, machine": tuple(
            name for name in EDITABLE["offers"] if name != "usd_per_gpu_h"
        ),
    },
    "provider_rules": {
        "Time and idling": ("increment_s", "minimum_s", "idle_rate_factor"),
        "What of a start is billed": tuple(
            name for name in EDITABLE["provider_rules"] if name.startswith("bills_")
        ),
        "Fees": (
            "platform_fee_usd_month",
            "free_credit_usd_month",
            "request_fee_usd",
            "storage_usd_per_gb_month",
            "region_multiplier",
            "availability_multiplier",
        ),
        "Cores and memory": (
            "cores_metered",
            "least_cores",
            "least_ram_gib",
            "most_cores",
            "most_gib_per_vcpu",
        ),
    },
    "behaviours": {
        "Idle timeout": ("idle_default_s", "idle_min_s", "idle_max_s", "scale_down_rule"),
        "Cold requests": ("cold_request", "retry_s"),
        "Limits": ("max_replicas_default", "max_replicas_hard", "max_gpus_hard"),
    },
}
_SHOWN = {
    "offers": {"provider": "Provider", "product": "Product", "kind": "Kind", "gpu": "GPU"},
    "provider_rules": {"provider": "Provider", "product": "Product"},
    "behaviours": {"provider": "Provider", "product": "Product"},
}
_EDITOR, _PROBLEMS = "price_editor", "price_problems"
_LISTED_CHANGES = 8
# A table of so many rows stands whole; a longer one scrolls.
_MOST_ROWS = 14
_EXAMPLE = """provider,gpu,price,unit
Acme,L40S,0.89,usd_per_gpu_hour
Acme,H100,21.60,usd_per_instance_hour"""


def render() -> None:
    """Draw the page."""
    st.subheader("Every number, and where it comes from", anchor=False)
    st.markdown(
        "Each row names its source and says whether it was measured, stated by a vendor, published "
        "in a paper, derived, or assumed by us. Prices, billing rules and scaling behaviour can be "
        "changed for this session; discounts, commitments and months stand in the bar above."
    )
    _draw_changes()
    names = ["Tables", "Your own prices", "Scenario file"]
    tabs = st.tabs(names, key="data_tab", on_change="rerun")
    for tab, draw in zip(tabs, (_draw_tables, _draw_upload, _draw_scenario), strict=True):
        if tab.open:
            with tab:
                draw()


# --- what this session changed ------------------------------------------------------------------


def _draw_changes() -> None:
    problems = st.session_state.pop(_PROBLEMS, ())
    if problems:
        st.error(
            "Not changed:\n" + "\n".join(f"- {text.plain(words)}" for words in problems),
            icon=":material/block:",
        )
    edits = session.edits()
    if not edits:
        return
    with st.container(border=True):
        st.markdown(f"**Changed in this session: {spell.count(len(edits), 'cell')}**")
        for number, edit in enumerate(edits[:_LISTED_CHANGES]):
            words, button = st.columns([5, 1], vertical_alignment="center")
            words.markdown(_change_in_words(edit))
            button.button(
                "Reset",
                key=f"reset_{number}",
                on_click=_reset,
                args=(edit,),
                help="Take the value of the table again.",
            )
        if len(edits) > _LISTED_CHANGES:
            st.caption(f"and {len(edits) - _LISTED_CHANGES} more")
        st.button("Reset all", key="reset_all", on_click=_reset, icon=":material/undo:")


def _change_in_words(edit: Edit) -> str:
    column = next(c for c in load_columns()[edit.table] if c.column == edit.column)
    before, after = session.shipped_text(edit) or "empty", edit.text or "empty"
    words = f"{edit.key}: {_label(column)} changed from {before} to {after}"
    return f":material/edit: {text.plain(words)}"


def _reset(edit: Edit | None = None) -> None:
    session.reset(edit)
    _start_editor_anew()


# --- the tables ---------------------------------------------------------------------------------


def _draw_tables() -> None:
    tables = session.tables()
    names = [item.name for item in dataclasses.fields(Tables)]
    ordered = [name for name in _TITLES if name in names]
    ordered += [name for name in names if name not in ordered]
    choice, filters = st.columns([1, 2], vertical_alignment="bottom")
    with choice:
        name = link.pick(
            "Table",
            ordered,
            ordered[0],
            format_func=lambda table: _TITLES.get(table, table.replace("_", " ").capitalize()),
            key="table",
        )
    if name in EDITABLE:
        with filters:
            keys, columns = _filtered(name, tables)
        _draw_editor(name, keys, columns, tables)
    else:
        st.dataframe(
            table_frame(tables, name),
            hide_index=True,
            height=480,
            column_config={
                "Read it": st.column_config.LinkColumn(display_text="open"),
                "url": st.column_config.LinkColumn(),
            },
        )
        st.caption(
            f"To change a row for everybody, edit `data/{name}.csv`; `data/README.md` says how."
        )
    with st.expander("What the columns mean"):
        st.table(
            pd.DataFrame(
                {
                    "Column": [column.column for column in load_columns()[name]],
                    "Unit": [text.money(column.unit) for column in load_columns()[name]],
                    "Meaning": [text.plain(column.description) for column in load_columns()[name]],
                }
            ).set_index("Column")
        )


def _filtered(name: str, tables: Tables) -> tuple[list[str], tuple[str, ...]]:
    """Ask which rows and columns of an editable table to show."""
    scenario = controls.current().scenario
    used = (scenario.serverless_offer, scenario.dedicated_offer)
    rows, what = st.columns(2, vertical_alignment="bottom")
    if name == "offers":
        gpu = tables.offers[used[0]].gpu
        sets = {
            "gpu": (f"Of the {gpu}", [k for k, row in tables.offers.items() if row.gpu == gpu]),
            "used": ("In use", list(dict.fromkeys(used))),
            "own": ("Yours", [k for k, o in tables.offers.items() if o.source_id == OWN_SOURCE]),
            "all": ("All", list(tables.offers)),
        }
    else:
        named = [tables.rules_of(tables.offers[key]) for key in used]
        keys = [row.behaviour_id if name == "behaviours" else row.rules_id for row in named]
        sets = {
            "used": ("In use", list(dict.fromkeys(keys))),
            "all": ("All", list(getattr(tables, name))),
        }
    sets = {key: (label, keys) for key, (label, keys) in sets.items() if keys}
    with rows:
        shown = link.pick(
            "Rows",
            list(sets),
            next(iter(sets)),
            key=f"{name}_rows",
            format_func=lambda key: f"{sets[key][0]} ({len(sets[key][1])})",
        )
    groups = _GROUPS[name]
    with what:
        group = link.pick("Columns", list(groups), next(iter(groups)), key=f"{name}_columns")
    return sets[shown][1], groups[group]


def _draw_editor(name: str, keys: list[str], columns: tuple[str, ...], tables: Tables) -> None:
    """Draw the editor of some rows, and apply what was edited: all of it or nothing."""
    place = (name, tuple(keys), columns)
    frame_of, key, frame = st.session_state.get(_EDITOR, (None, "", None))
    if frame_of != place or key not in st.session_state:
        # A fresh editor shows what is in force, and stands until something is typed into it.
        key = _start_editor_anew()
        frame = _editor_frame(name, keys, columns, tables)
        st.session_state[_EDITOR] = (place, key, frame)
    described = {column.column: column for column in load_columns()[name]}
    st.data_editor(
        frame,
        key=key,
        hide_index=True,
        height="content" if len(keys) <= _MOST_ROWS else 480,
        disabled=[column for column in frame.columns if column not in columns],
        column_config={
            "Changed": st.column_config.TextColumn(width="small"),
            "Read it": st.column_config.LinkColumn(display_text="open", width="small"),
            **{column: _column_config(described[column]) for column in columns},
        },
    )
    if name == "offers":
        days = tables.setting("price_stale_days")
        st.caption(
            f"Prices are flagged as stale after {days:g} days. A price you change is dated today."
        )
    else:
        words = "What a provider does not state was read the costlier way; its note says what."
        if name == "behaviours":
            words = "Machines by the hour share a row: a change there is one of each of them."
        st.caption(words)
    rows = getattr(tables, name)
    typed = frame.copy()
    for row, cells in st.session_state[key]["edited_rows"].items():
        for column, value in cells.items():
            typed[column] = typed[column].astype(object)
            typed.loc[int(row), column] = value
    wanted = [
        Edit(name, row_key, column, found)
        for index, row_key in enumerate(keys)
        for column in columns
        if (found := _typed_text(typed.loc[index, column], described[column]))
        != cell_text(getattr(rows[row_key], column))
    ]
    if wanted:
        st.session_state[_PROBLEMS] = session.change(wanted)
        _start_editor_anew()
        st.rerun()


def _start_editor_anew() -> str:
    """Forget what is typed into the editor; return the key of the next one."""
    count = st.session_state.get("editor_count", 0) + 1
    st.session_state["editor_count"] = count
    st.session_state.pop(_EDITOR, None)
    return f"editor_{count}"


def _editor_frame(
    name: str, keys: list[str], columns: tuple[str, ...], tables: Tables
) -> pd.DataFrame:
    changed: dict[str, list[str]] = {}
    described = {column.column: column for column in load_columns()[name]}
    for edit in session.edits():
        if edit.table == name:
            changed.setdefault(edit.key, []).append(_label(described[edit.column]))
    records = []
    for key in keys:
        row = getattr(tables, name)[key]
        source = tables.source_of(row)
        record = {words: getattr(row, column) for column, words in _SHOWN[name].items()}
        record["Changed"] = ", ".join(changed.get(key, ()))
        record |= {column: getattr(row, column) for column in columns}
        if isinstance(row, Offer):
            record["Price is"] = _age(row, tables)
        record |= {
            "Source": source.title,
            "Kind of source": source.kind,
            "Read it": source.url if source.url.startswith("http") else None,
            "Note": row.note or "",
        }
        records.append(record)
    frame = pd.DataFrame(records)
    for column in columns:
        if described[column].type in ("number", "integer"):
            frame[column] = frame[column].astype(float)
    if not frame["Changed"].any():
        frame = frame.drop(columns="Changed")
    return frame


def _age(offer: Offer, tables: Tables) -> str:
    today = dt.date.today()
    words = text.age(offer.priced_on, today)
    state = staleness(offer, today, tables)
    return words if state == "fresh" else f"{words}, stale"


def _label(column: Column) -> str:
    if column.column in _WORDS:
        return _WORDS[column.column]
    billed = column.column.removeprefix("bills_")
    return STAGE_LABELS.get(billed, billed.replace("_", " ").capitalize())


def _column_config(column: Column) -> ColumnConfig:
    label, about = _label(column), text.plain(column.description)
    if column.type == "flag":
        return st.column_config.CheckboxColumn(label, help=about, required=True)
    if column.type == "choice":
        return st.column_config.SelectboxColumn(
            label, help=about, options=list(column.choices), required=True
        )
    return st.column_config.NumberColumn(
        label,
        help=about,
        min_value=column.minimum,
        max_value=column.maximum,
        step=1 if column.type == "integer" else None,
        format="plain",
        required=column.required,
    )


def _typed_text(value: object, column: Column) -> str:
    """Return what was typed as its cell stands in the file."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if column.type == "flag":
        return cell_text(bool(value))
    return cell_text(float(value)) if isinstance(value, int | float) else cell_text(value)


def table_frame(tables: Tables, name: str) -> pd.DataFrame:
    """Return a table for the screen: its columns, then title, kind, date and link of sources."""
    records = []
    for row in getattr(tables, name).values():
        record = {item.name: _shown(getattr(row, item.name)) for item in dataclasses.fields(row)}
        if name != "sources" and "source_id" in record:
            source = tables.source_of(row)
            record |= {
                "Source": source.title,
                "Kind": source.kind,
                "Read on": source.read_on.isoformat(),
                "Read it": source.url if source.url.startswith("http") else None,
            }
        records.append(record)
    frame = pd.DataFrame(records)
    return (
        frame.drop(columns=["source_id"]) if name != "sources" and "source_id" in frame else frame
    )


def _shown(value: object) -> object:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return "; ".join(map(str, value))
    return value.isoformat() if hasattr(value, "isoformat") else value


# --- the user's own price table -----------------------------------------------------------------


def _draw_upload() -> None:
    used = session.upload()
    if used is not None:
        count = spell.count(len(used.offers), "offer")
        st.success(
            f"{count} of yours in use: the bar lists them, marked “yours”, under their GPU.",
            icon=":material/check:",
        )
        st.button("Take them out again", on_click=_use, args=(None,), key="drop_prices")
    left, right = st.columns([1, 1], gap="large")
    with left:
        file = st.file_uploader(
            "Price table (CSV)",
            type=["csv"],
            key="price_table",
            max_upload_size=_most_mb(),
            help="A table of your own, a gpuhunt catalogue, or SkyPilot's vms.csv. Read in "
            "memory, never written to disk, seen by this session alone.",
        )
        owner = st.text_input(
            "Whose catalogue it is, where the table does not say",
            key="price_owner",
            max_chars=60,
        )
        code, rate = st.columns(2, vertical_alignment="bottom")
        currency = code.text_input(
            "Other currency", key="price_currency", max_chars=3, placeholder="EUR"
        )
        row = load_tables().settings["currency_per_usd"]
        usd = rate.number_input(
            "Dollars for one of it", row.low, row.high, value=None, key="price_rate"
        )
    with right:
        st.markdown(f"**It needs no more than {', '.join(REQUIRED)}**")
        st.code(_EXAMPLE, language=None)
        st.caption(
            "May also have: kind, region, product, gpu_count, gpu_memory_gb, currency, priced_on, "
            "source, increment_s, minimum_s, idle_default_s, idle_min_s, idle_max_s, "
            "platform_fee_usd_month. What is missing comes from the provider's rules, or from "
            "cautious ones."
        )
    if file is None:
        return
    rates = {currency.upper(): usd} if re.fullmatch("[A-Za-z]{3}", currency or "") and usd else {}
    content = file.getvalue()
    today = dt.date.today()
    key = (
        "prices",
        hashlib.sha256(content).hexdigest(),
        file.name,
        owner,
        tuple(rates.items()),
        today,
    )
    try:
        found = store(private=True).get_or_make(
            key,
            lambda: read_prices(
                content,
                tables=load_tables(),
                today=today,
                name=file.name,
                provider=owner.strip() or None,
                usd_per=rates,
            ),
        )
    except FrontierError as error:
        st.error(text.plain(str(error)).replace("; ", "\n- "), icon=":material/upload_file:")
        return
    _draw_preview(found)


def _most_mb() -> int:
    return math.ceil(load_tables().setting("upload_max_bytes") / units.BYTES_PER_MB)


def _draw_preview(found: PriceUpload) -> None:
    tables = load_tables()
    words = {"own": "a table of prices", "gpuhunt": "a gpuhunt catalogue"}.get(
        found.format, "a SkyPilot catalogue"
    )
    st.markdown(
        f"**Read as {words}**: {spell.count(len(found.offers), 'offer')} from "
        f"{spell.count(found.rows_read, 'row')}"
    )
    if found.warnings:
        st.warning(
            "\n".join(f"- {text.plain(sentence)}" for sentence in found.warnings),
            icon=":material/warning:",
        )
    st.dataframe(
        pd.DataFrame(
            [
                {
                    "Provider": offer.provider,
                    "Product": offer.product,
                    "Kind": offer.kind,
                    "GPU": offer.gpu,
                    "GPUs a machine": f"{offer.gpus_min} to {offer.gpus_max}"
                    if offer.gpus_max > offer.gpus_min
                    else f"{offer.gpus_min}",
                    "$/GPU-hour": offer.usd_per_gpu_h,
                    "Region": offer.region,
                    "Price is": _age(offer, tables),
                    "Billing rules": offer.rules_id,
                }
                for offer in found.offers
            ]
        ),
        hide_index=True,
        height="content" if len(found.offers) <= _MOST_ROWS else 400,
        column_config={"$/GPU-hour": st.column_config.NumberColumn(format="%.4g")},
    )
    if session.upload() is not found:
        st.button(
            f"Use {spell.count(len(found.offers), 'offer')}",
            type="primary",
            on_click=_use,
            args=(found,),
            key="use_prices",
        )


def _use(found: PriceUpload | None) -> None:
    session.use_prices(found)
    _start_editor_anew()


# --- the scenario file --------------------------------------------------------------------------


def _draw_scenario() -> None:
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
            "Open a scenario file", type=["json"], key="scenario_in", max_upload_size=_most_mb()
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
            on_click=_open,
            args=(found,),
            key="use_scenario",
        )


def _open(found: ScenarioFile) -> None:
    session.use_scenario(found)
    _start_editor_anew()
