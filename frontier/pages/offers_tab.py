"""The Data page's list of offers: filtered, one chosen, its price to be changed, and a chart."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd
import streamlit as st

from frontier import memory, spell
from frontier.charts.prices_chart import prices_chart_figure, prices_chart_table
from frontier.edits import EDITABLE, cell_text
from frontier.pages import (
    cell_controls,
    controls,
    late,
    link,
    mishap,
    price_controls,
    session,
    show,
    text,
)
from frontier.prices import (
    NOT_SOLD,
    age_days,
    days_left,
    hosting_of,
    security_of,
    stale_in_words,
    staleness,
)
from frontier.prices.owned import OWNED_OFFER
from frontier.tables import OWN_SOURCE, Hosting, Offer, Tables

_FILTERS = {
    "data_providers": ("Provider", "provider"),
    "data_gpus": ("GPU", "gpu"),
    "data_kinds": ("Kind", "kind"),
    "data_regions": ("Region", "region"),
    "data_hosts": ("Hosts", "security"),
    "data_ages": ("Age", "band"),
}
_FRESH, _SOON, _STALE, _GONE = "fresh", "soon", "stale", "gone"
_UNKNOWN = "not stated"
_KINDS = {
    "serverless": "Serverless",
    "dedicated": "By the hour",
    "reserved": "Reserved",
    "spot": "Spot",
}
_ROWS = {"gpu": "GPUs", "provider": "Providers"}
_ROWS_KEY = "offer_rows"
_HEIGHT_PX = 420
_FEW_ROWS = 10


def draw() -> None:
    """Draw the tab."""
    tables = session.tables()
    today = dt.date.today()
    listed = session.unedited()
    everything = show.kept(
        "offers",
        (memory.ById(tables), memory.ById(listed), today),
        lambda: offers_frame(tables, listed, today),
    )
    _draw_warning(tables, today)
    found = _filtered(everything, tables)
    if found.empty:
        st.info(
            f"None of {spell.count(len(everything), 'offer')} is like that. Take a filter away.",
            icon=":material/filter_alt_off:",
        )
        return
    left, right = st.columns([5, 2], gap="medium")
    with right:
        chosen = _pick(found, tables)
        _draw_offer(tables.offers[chosen], tables, today)
    with left:
        _draw_table(found, chosen, len(everything))
    _draw_chart(found, tables)


def offers_frame(tables: Tables, listed: Tables, today: dt.date) -> pd.DataFrame:
    """Return every offer with what the page shows and filters by, one row an offer.

    Parameters
    ----------
    tables, listed : Tables
        In force; and before the session changed anything.
    today : date

    Returns
    -------
    DataFrame
        By offer_id: provider, product, gpu, kind, security ("secure", "community" or "not
        stated"), region, usd_per_gpu_h [$/GPU/h], listed_usd_per_gpu_h (missing where it is the
        price in force), gpus (a machine), age_days [days], band ("fresh", "soon" where it goes
        stale soon, "stale", "gone" where it is not sold any more), source, source_kind, url
        (of the page to read again), note.
    """
    records = []
    for key, offer in tables.offers.items():
        before = listed.offers[key]
        source, page = tables.source_of(offer), listed.source_of(before).url
        is_changed = before.usd_per_gpu_h != offer.usd_per_gpu_h
        records.append(
            {
                "offer_id": key,
                "provider": offer.provider,
                "product": offer.product,
                "gpu": offer.gpu,
                "kind": offer.kind,
                # Of the row as it came: a price that was typed has another source, no other host.
                "security": security_of(before, listed) or _UNKNOWN,
                "region": offer.region,
                "usd_per_gpu_h": offer.usd_per_gpu_h,
                "listed_usd_per_gpu_h": before.usd_per_gpu_h if is_changed else None,
                "gpus": _gpus(offer),
                "age_days": age_days(offer, today),
                "band": _band(offer, today, tables),
                "source": source.title,
                "source_kind": source.kind,
                "url": page if page.startswith("http") else None,
                "note": offer.note or "",
            }
        )
    return pd.DataFrame(records).set_index("offer_id")


def _band(offer: Offer, today: dt.date, tables: Tables) -> str:
    if offer.available == NOT_SOLD:
        return _GONE
    if staleness(offer, today, tables) != "fresh":
        return _STALE
    return _FRESH if days_left(offer, today, tables) is None else _SOON


def _gpus(offer: Offer) -> str:
    same = offer.gpus_min == offer.gpus_max
    return f"{offer.gpus_min}" if same else f"{offer.gpus_min} to {offer.gpus_max}"


# --- what grows old -----------------------------------------------------------------------------


def _draw_warning(tables: Tables, today: dt.date) -> None:
    """Warn of prices that are stale, or will be soon; those in use by name."""
    words = stale_in_words(today, tables)
    if words is None:
        return
    used = [_grows_old(tables.offers[key], tables, today) for key in _in_use()]
    in_use = "; ".join(word for word in used if word)
    st.warning(
        text.plain(
            f"{words} Before you rely on one: find it under “Age”, open its provider's page under "
            "“Read again”, and type what it says now beside the table."
            + (f" In use: {in_use}." if in_use else "")
        ),
        icon=":material/event_busy:",
    )


def _grows_old(offer: Offer, tables: Tables, today: dt.date) -> str:
    name = f"{offer.provider} {offer.gpu}"
    if staleness(offer, today, tables) != "fresh":
        return f"{name}, {text.age(offer.priced_on, today)}"
    left = days_left(offer, today, tables)
    return "" if left is None else f"{name}, stale in {spell.count(left, 'day')}"


def _in_use() -> tuple[str, ...]:
    scenario = controls.current().scenario
    return tuple(dict.fromkeys((scenario.serverless_offer, scenario.dedicated_offer)))


# --- filter and table ---------------------------------------------------------------------------


def _filtered(frame: pd.DataFrame, tables: Tables) -> pd.DataFrame:
    """Ask by what to filter; return the offers that are left, the cheapest first."""
    stale = tables.setting("price_stale_days")
    soon = stale - tables.setting("price_warn_days")
    words = {
        **_KINDS,
        "secure": "Secure",
        "community": "Community",
        _UNKNOWN: "Not stated",
        _FRESH: f"Up to {soon:g} days",
        _SOON: f"Over {soon:g} days: stale soon",
        _STALE: f"Over {stale:g} days: stale",
        _GONE: "Not sold any more",
    }
    ordered = {"band": (_FRESH, _SOON, _STALE, _GONE), "kind": tuple(_KINDS)}
    found, said = frame, []
    with st.container(horizontal=True, gap="small"):
        for key, (name, column) in _FILTERS.items():
            present = set(frame[column])
            options = [value for value in ordered.get(column, ()) if value in present]
            options = options or sorted(present, key=str.casefold)
            wanted = link.many(
                name,
                options,
                key=key,
                format_func=lambda value: words.get(value, value),
                placeholder="All",
                width=165,
            )
            if wanted:
                found = found[found[column].isin(wanted)]
                said.append(" or ".join(words.get(value, value) for value in wanted))
    found = found.sort_values(["usd_per_gpu_h", "provider"], kind="stable")
    # The fields are too narrow for long names.
    found.attrs["said"] = "; ".join(said)
    return found


def _draw_table(found: pd.DataFrame, chosen: str, total: int) -> None:
    shown = found.copy()
    shown["kind"] = shown["kind"].map(_KINDS)
    shown["band"] = shown["band"].map(
        {_FRESH: "", _SOON: "stale soon", _STALE: "stale", _GONE: "not sold any more"}
    )
    if shown["listed_usd_per_gpu_h"].isna().all():
        shown = shown.drop(columns="listed_usd_per_gpu_h")
    keys = tuple(found.index)
    row = keys.index(chosen)
    # The browser names rows by their number. Where their order changes, by a price that was typed,
    # it is another table: a number sent before the browser has it would be another offer's.
    selection = late.named(_ROWS_KEY, keys)
    selected = st.session_state.get(selection)
    if selected is None or list(selected["selection"]["rows"]) != [row]:
        st.session_state[selection] = {"selection": {"rows": [row]}}
    count = spell.count(total, "offer")
    if found.attrs["said"]:
        count = f"{len(found):,} of {count} ({text.plain(found.attrs['said'])})"
    st.caption(f"{count}, the cheapest first. Choose a row to see it and to change its price.")
    money: Any = st.column_config.NumberColumn
    st.dataframe(
        shown,
        hide_index=True,
        height="content" if len(found) <= _FEW_ROWS else _HEIGHT_PX,
        key=selection,
        on_select=mishap.safe(lambda: _choose(selection, keys, row)),
        selection_mode=("single-row-required", "single-cell"),
        placeholder="",
        column_order=[
            "provider",
            "gpu",
            "usd_per_gpu_h",
            "listed_usd_per_gpu_h",
            "product",
            "age_days",
            "kind",
            "security",
            "region",
            "band",
            "url",
            "gpus",
            "source",
            "source_kind",
            "note",
        ],
        column_config={
            "provider": "Provider",
            "product": "Product",
            "gpu": "GPU",
            "usd_per_gpu_h": money("$/GPU-hour", format="%.4g"),
            "listed_usd_per_gpu_h": money("Listed", format="%.4g"),
            "kind": "Kind",
            "security": st.column_config.TextColumn(
                "Hosts",
                help="secure: data centres of the provider or its landlord; community: machines "
                "of third parties",
            ),
            "region": "Region",
            "age_days": money("Age", format="%d days"),
            "band": st.column_config.TextColumn(" ", width="small"),
            "url": st.column_config.LinkColumn("Read again", display_text="open page"),
            "gpus": "GPUs a machine",
            "source": "Source",
            "source_kind": "Kind of source",
            "note": "Note",
        },
        alt="Offers: " + ", ".join(name for name, _ in _FILTERS.values()) + ", price and source",
    )
    show.download(shown.reset_index(), "offers.csv")


def _choose(selection: str, keys: tuple[str, ...], before: int) -> None:
    """Take the row that was chosen, by its mark or by any of its cells."""
    chosen = st.session_state[selection]["selection"]
    by_mark = [row for row in chosen["rows"] if row != before]
    by_cell = [row for row, _ in chosen["cells"]]
    for row in (by_mark or by_cell)[:1]:
        if row < len(keys):
            st.session_state["data_offer"] = keys[row]


# --- the chosen offer ---------------------------------------------------------------------------


def _pick(found: pd.DataFrame, tables: Tables) -> str:
    default = next((key for key in _in_use() if key in found.index), found.index[0])
    return link.pick(
        "Offer",
        list(found.index),
        default,
        key="data_offer",
        format_func=lambda key: _name(tables.offers[key]),
    )


def _name(offer: Offer) -> str:
    words = [offer.provider, offer.gpu, offer.product]
    if offer.gpus_min > 1:
        words.append(f"{_gpus(offer)}×")
    words.append(offer.region)
    return " · ".join(words)


def _draw_offer(offer: Offer, tables: Tables, today: dt.date) -> None:
    key = offer.offer_id
    listed = session.unedited().offers[key]
    source = session.unedited().source_of(listed)
    with st.container(border=True):
        st.markdown(f"**{text.plain(offer.provider)} · {text.plain(offer.product)}**")
        if key == OWNED_OFFER:
            st.markdown("An amortisation, not a price: it follows from what the machine costs.")
        else:
            price_controls.price_field(key, place="data")
        hosts = hosting_of(listed, session.unedited())
        where = [
            f"{_KINDS[offer.kind]}, {_gpus(offer)} × {offer.gpu} a machine",
            f"Region: {offer.region}",
            f"Hosts: {_hosts(hosts)}",
        ]
        st.markdown("  \n".join(text.plain(line) for line in where))
        whose = "Your price" if listed.source_id == OWN_SOURCE else "Listed"
        said = (
            f"{whose} ${cell_text(listed.usd_per_gpu_h)} on {listed.priced_on}, "
            f"{text.age(listed.priced_on, today)}"
        )
        if staleness(listed, today, tables) != "fresh":
            said += ", stale"
        words = f"{text.plain(said)}: "
        if source.url.startswith("http"):
            words += f"[{text.plain(source.title)}]({source.url}) :material/open_in_new:"
        else:
            words += text.plain(source.title)
        st.markdown(words)
        if offer.note:
            st.caption(text.plain(offer.note))
        if key not in _in_use():
            st.button(
                "Use this offer on every page",
                on_click=mishap.safe(controls.focus),
                args=(key,),
                key=f"focus_offer_{key}",
            )
        with st.expander("Cores, memory, machine"):
            for column in EDITABLE["offers"]:
                if column != "usd_per_gpu_h":
                    cell_controls.cell_field("offers", key, column)


def _hosts(row: Hosting | None) -> str:
    if row is None:
        return _UNKNOWN
    return f"{row.security}, assumed" if row.basis == "assumed" else row.security


# --- the chart ----------------------------------------------------------------------------------


def _draw_chart(found: pd.DataFrame, tables: Tables) -> None:
    found = found[found["band"] != _GONE]
    if found.empty:
        return
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    left.markdown("**What a GPU-hour costs**")
    with right:
        by = link.pick(
            "Rows of the chart",
            list(_ROWS),
            "provider" if found["gpu"].nunique() == 1 else "gpu",
            key="data_rows",
            format_func=_ROWS.__getitem__,
        )
    table = show.kept(
        "prices_chart_table",
        (memory.ById(tables), tuple(found.index), by),
        lambda: prices_chart_table(
            found.reset_index(),
            by=by,
            most_rows=int(tables.setting("chart_most_rows")),
            most_points=int(tables.setting("chart_most_points")),
        ),
    )
    lowest = table.drop_duplicates("row")
    other = "provider" if by == "gpu" else "gpu"
    show.figure(
        show.built(prices_chart_figure, table),
        key="prices_chart",
        alt="Lowest price of a GPU-hour. "
        + ", ".join(
            f"{row['row']}: {spell.dollars(row['usd_per_gpu_h'])} ({row[other]})"
            for _, row in lowest.iterrows()
        ),
        table=table.drop(columns="row"),
        file_name="prices.csv",
        shown=table.drop(columns="row").rename(
            columns={
                "gpu": "GPU",
                "provider": "Provider",
                "kind": "Kind",
                "usd_per_gpu_h": "$/GPU-hour",
                "offers": "Offers",
            }
        ),
    )
    words = (
        "Under each name stands its lowest price. GPU alone: cores and memory metered apart, fees "
        "and machines half used are not in it."
    )
    left_out = table.attrs["left_out"]
    if left_out:
        words += f" {spell.count(left_out, 'offer')} too many to draw: filter to see them."
    st.caption(words)
