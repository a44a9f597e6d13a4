"""The Data page's part about a price table of one's own: read, previewed, used, taken out again."""

from __future__ import annotations

import datetime as dt
import hashlib
import math
import re
from collections.abc import Hashable

import pandas as pd
import streamlit as st

from frontier import spell, units
from frontier.errors import FrontierError
from frontier.pages import late, made_with, price_controls, session, text
from frontier.pages.store import store
from frontier.prices import REQUIRED, PriceUpload, read_prices, staleness
from frontier.tables import Offer, Tables, load_tables

# A table of so many rows stands whole; a longer one scrolls.
_MOST_ROWS = 14
_EXAMPLE = """provider,gpu,price,unit
Acme,L40S,0.89,usd_per_gpu_hour
Acme,H100,21.60,usd_per_instance_hour"""


def draw() -> None:
    """Draw the tab."""
    used = session.upload()
    if used is not None:
        count = spell.count(len(used.offers), "offer")
        st.success(
            f"{count} of yours in use: the bar lists them, marked “yours”, under their GPU.",
            icon=":material/check:",
        )
        st.button(
            "Take them out again",
            **late.applies("drop_prices", _drop, used, made_with.here(made_with.OFFERS)),
        )
    left, right = st.columns([1, 1], gap="large")
    with left:
        file = st.file_uploader(
            "Price table (CSV)",
            type=["csv"],
            key="price_table",
            max_upload_size=most_mb(),
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
    _draw_preview(found, key)


def most_mb() -> int:
    """Return how large an uploaded file may be [MB]."""
    return math.ceil(load_tables().setting("upload_max_bytes") / units.BYTES_PER_MB)


def _draw_preview(found: PriceUpload, content: tuple[Hashable, ...]) -> None:
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
            **late.applies("use_prices", _use, found, content),
        )


def _age(offer: Offer, tables: Tables) -> str:
    today = dt.date.today()
    words = text.age(offer.priced_on, today)
    state = staleness(offer, today, tables)
    return words if state == "fresh" else f"{words}, stale"


def _use(found: PriceUpload | None) -> None:
    session.use_prices(found)
    price_controls.forget()


def _drop(used: PriceUpload) -> None:
    if session.upload() is used:
        _use(None)
