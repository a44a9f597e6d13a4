"""Who a record is for: company, currency, tax, years, own costs, signatures; kept in the link."""

from __future__ import annotations

from typing import Any

import streamlit as st

from frontier.company import (
    DOLLARS,
    FIELDS,
    NOBODY,
    PERCENT,
    SETTINGS,
    Company,
    company_of,
    is_code,
)
from frontier.errors import InputError
from frontier.pages import link, session, text
from frontier.tables import load_tables

_LINES = {
    "egress_usd_per_month": "Egress and other network traffic",
    "support_usd_per_month": "Support contracts",
    "staff_usd_per_month": "Staff",
}


def company_section() -> Company:
    """Draw what a record needs to know of its reader, and return it."""
    rows = load_tables().settings

    def number(name: str, label: str, **how: Any) -> None:
        link.setting(label, rows[SETTINGS[name]], key=FIELDS[name], **how)

    with st.expander("Company, currency, tax and years"):
        _line("Company", "name")
        left, middle, right = st.columns(3)
        with left:
            code = link.line(
                "Currency",
                DOLLARS,
                key=FIELDS["code"],
                accepts=is_code,
                max_chars=3,
                help="Three capital letters, as EUR. The rate is yours; none is fetched.",
            )
        if code != DOLLARS:
            with middle:
                number("per_usd", f"{code} for a dollar", step=0.01, format="%.6g")
            with right:
                link.day("Rate of", None, key=FIELDS["rate_on"])
        left, right = st.columns(2)
        with left:
            number("tax_rate", "Tax (%)", scale=PERCENT, step=1.0, format="%.2f")
        with right:
            number("years", "Years", whole=True)
        st.markdown("Dollars a month beside the provider's bill, 0 until you fill them in:")
        places = st.columns(len(_LINES), vertical_alignment="bottom")
        for place, (name, label) in zip(places, _LINES.items(), strict=True):
            with place:
                number(name, label, step=100.0, format="%.0f")
        left, right = st.columns(2)
        with left:
            _line("Prepared by (name, role)", "prepared_by")
        with right:
            _line("Approved by (name, role)", "approved_by")
        st.caption(
            "Link and scenario file hold what you fill in here. Other pages stay in dollars."
        )
        try:
            return company_of(link.choices(), session.tables())
        except InputError as error:
            st.warning(text.plain(f"{error}."), icon=":material/payments:")
            return NOBODY


def _line(label: str, name: str) -> None:
    longest = int(load_tables().setting("upload_longest_name"))
    link.line(
        label, "", key=FIELDS[name], accepts=lambda asked: len(asked) <= longest, max_chars=longest
    )
