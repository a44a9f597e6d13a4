"""The take-away tab: what the chosen plan costs in every unit, the files to carry off, its set-up.

A file is built when it is asked for and not before. All say the same: date, version, the link
that opens this view again, assumptions, sources, what is in the number and what is not.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable

import pandas as pd
import streamlit as st

import frontier
from frontier import spell
from frontier.edits import scenario_json
from frontier.export import csv_bytes
from frontier.pages import config_view, link, model_controls, session, text
from frontier.report import (
    Currency,
    Report,
    html_report,
    meters_csv,
    report_json,
    report_of,
)
from frontier.study import Study
from frontier.sweep import Outcome
from frontier.workbook import workbook

_DOLLAR = "USD"


def draw(study: Study, chosen: str) -> None:
    """Draw the tab for the chosen plan."""
    outcome = study.outcomes[chosen]
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown(f"**What {outcome.plan.label} costs**")
        place = st.container()
        currency = _currency()
        with place:
            _draw_units(study, outcome, currency)
    with right:
        st.markdown("**Files**")
        _draw_files(study, outcome, currency)
    config_view.draw(study, outcome)


def _currency() -> Currency | None:
    """Ask for another currency; its rate is the user's, none is fetched."""
    code = link.line(
        "Currency",
        _DOLLAR,
        key="currency",
        accepts=lambda asked: re.fullmatch("[A-Z]{3}", asked) is not None,
        max_chars=3,
        help="Three capital letters, as EUR. The rate is yours; none is fetched.",
    )
    if code == _DOLLAR:
        return None
    row = session.tables().settings["currency_per_usd"]
    left, right = st.columns(2)
    with left:
        per_usd = link.setting(f"{code} for a dollar", row, key="rate", step=0.01)
    with right:
        rate_on = link.day("Rate of", dt.date.today(), key="rate_on")
    if per_usd == row.value:
        st.caption(f"Give the rate to see {code}.")
        return None
    return Currency(code, per_usd, rate_on)


def _draw_units(study: Study, outcome: Outcome, currency: Currency | None) -> None:
    cost, hours = study.bill(outcome), study.hours_per_month
    month = cost.usd_per_month(hours)
    amounts = {
        f"A month of {hours:g} hours": month,
        "A year (12 months)": month * 12,
        "1,000 requests": cost.usd_per_1k_requests(outcome.requests),
        "1 M tokens, prompt and output": cost.usd_per_mtok(outcome.tokens),
    }
    columns = {"Dollars": [text.money(spell.dollars(usd)) for usd in amounts.values()]}
    if currency is not None:
        columns[currency.code] = [
            spell.significant(usd * currency.per_usd, 4) for usd in amounts.values()
        ]
    rows = [*amounts, "Tokens for one of it"]
    per_usd = cost.tokens_per_usd(outcome.tokens)
    columns["Dollars"].append(spell.significant(per_usd))
    if currency is not None:
        columns[currency.code].append(spell.significant(per_usd / currency.per_usd))
    st.table(pd.DataFrame({"Cost of": rows, **columns}).set_index("Cost of"))
    if cost.is_extrapolated:
        st.caption("The traffic covers less than a day: a month is an extrapolation.")


def _draw_files(study: Study, outcome: Outcome, currency: Currency | None) -> None:
    today = dt.date.today()
    scenario = session.scenario_file()
    # A download is made outside the page's run: what it needs of the session is looked up here.
    changed, edits, address = changed_cells(), session.edits(), link.address()

    def report() -> Report:
        return report_of(
            study,
            outcome.plan.plan_id,
            made_on=today,
            link=address,
            changed=changed,
            currency=currency,
            edits=edits,
        )

    name = f"frontier-{today.isoformat()}"
    files: tuple[tuple[str, str, str, str, Callable[[], bytes | str]], ...] = (
        (
            "Workbook for finance (XLSX)",
            "Bill with live formulas, inputs, meters, all plans, assumptions, sources.",
            f"{name}.xlsx",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            lambda: workbook(report()),
        ),
        (
            "One-page report (HTML)",
            "Prints on one page; needs nothing but itself.",
            f"{name}.html",
            "text/html",
            lambda: html_report(report()),
        ),
        (
            "All plans (CSV)",
            "One row a plan: cost, percentiles, starts.",
            f"{name}-plans.csv",
            "text/csv",
            lambda: csv_bytes(study.table),
        ),
        (
            "Meters of this plan (CSV)",
            "Each stretch that the provider bills, in GPU-seconds by line.",
            f"{name}-meters.csv",
            "text/csv",
            lambda: meters_csv(study.basis(outcome)),
        ),
        (
            "Everything (JSON)",
            "The report for programs.",
            f"{name}.json",
            "application/json",
            lambda: report_json(report()),
        ),
        (
            "This scenario (JSON)",
            "Choices, changed prices and your own offers; open it again on Data and sources.",
            f"{name}-scenario.json",
            "application/json",
            lambda: scenario_json(scenario, version=frontier.__version__, made_on=today),
        ),
    )
    for label, about, file_name, mime, make in files:
        st.download_button(
            label,
            make,
            file_name,
            mime,
            on_click="ignore",
            icon=":material/download:",
            help=about,
            key=f"take_{file_name.partition('-20')[2]}",
            width="stretch",
        )
    st.caption(
        "Workbook, report and JSON name date, version and link, assumptions and sources, and say "
        "what is in the number and what is not; the CSV files are bare tables. An uploaded trace "
        "never leaves this session: the link only names it, by a fingerprint."
    )


def changed_cells() -> tuple[tuple[str, str], ...]:
    """Return what this session brought and changed: label and words."""
    found = []
    own = model_controls.own_model()
    if own is not None:
        found += [("Assumed of the model", sentence) for sentence in own.assumed]
    for edit in session.edits():
        before, after = session.shipped_text(edit) or "empty", edit.text or "empty"
        found.append((f"Changed: {edit.key}", f"{edit.column} from {before} to {after}"))
    return tuple(found)
