"""The take-away tab: what the chosen plan costs in every unit, the files to carry off, its set-up.

A file is built when it is asked for and not before. All say the same: date, version, the link
that opens this view again, assumptions, sources, what is in the number and what is not.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pandas as pd
import streamlit as st

import frontier
from frontier import spell
from frontier.company import Company
from frontier.edits import scenario_json
from frontier.export import csv_bytes
from frontier.finance import figures_of
from frontier.focus import focus_csv, focus_table
from frontier.pages import config_view, link, model_controls, session, text
from frontier.pages.company_controls import company_section
from frontier.record import html_record
from frontier.report import (
    Report,
    meters_csv,
    report_json,
    report_of,
)
from frontier.study import Study
from frontier.sweep import Outcome
from frontier.workbook import quantities_of, workbook


def draw(study: Study, chosen: str) -> None:
    """Draw the tab for the chosen plan."""
    outcome = study.outcomes[chosen]
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown(f"**What {outcome.plan.label} costs**")
        place = st.container()
        company = company_section()
        with place:
            _draw_units(study, outcome, company)
    with right:
        st.markdown("**Files**")
        _draw_files(study, outcome, company)
    config_view.draw(study, outcome)


def _draw_units(study: Study, outcome: Outcome, company: Company) -> None:
    found, hours = figures_of(study, outcome, company), study.hours_per_month
    hours_per_year = study.tables.setting("hours_per_year")
    amounts = {
        f"A month of {hours:g} hours": found.usd_per_month,
        f"A year of {hours_per_year:,.0f} hours": found.usd_per_year,
        "1,000 requests": found.usd_per_1k_requests,
        "1 M tokens, prompt and output": found.usd_per_mtok,
    }
    if company.years > 1:
        amounts[f"{company.years} years of the same traffic"] = found.usd_over_years
    if found.own_usd_per_year or found.tax_usd_per_year:
        amounts["A year with your own lines and tax"] = found.all_in_usd_per_year
    currency = company.currency
    columns = {"Dollars": [text.money(spell.dollars(usd)) for usd in amounts.values()]}
    if currency.is_foreign:
        columns[currency.code] = [
            spell.significant(currency.amount(usd), 4) for usd in amounts.values()
        ]
    money = f"a dollar or {currency.code}" if currency.is_foreign else "a dollar"
    rows = [*amounts, f"Tokens for {money}"]
    per_usd = study.bill(outcome).tokens_per_usd(outcome.tokens)
    columns["Dollars"].append(spell.significant(per_usd))
    if currency.is_foreign:
        columns[currency.code].append(spell.significant(per_usd / currency.per_usd))
    st.table(pd.DataFrame({"Cost of": rows, **columns}).set_index("Cost of"))
    if study.bill(outcome).is_extrapolated:
        st.caption("The traffic covers less than a day: a month is an extrapolation.")
    if currency.is_foreign:
        st.caption(text.plain(f"{currency.in_words}."))


def _draw_files(study: Study, outcome: Outcome, company: Company) -> None:
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
            company=company,
            edits=edits,
        )

    name = f"frontier-{today.isoformat()}"
    files: tuple[tuple[str, str, str, str, Callable[[], bytes | str]], ...] = (
        (
            "Workbook for finance (XLSX)",
            "Plans side by side, bill, commitment and growth, live on every price; sources.",
            f"{name}.xlsx",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            lambda: workbook(report(), quantities_of(study, outcome.plan.plan_id)),
        ),
        (
            "Record to sign (HTML)",
            "Prints on one page of A4 or Letter; needs nothing but itself.",
            f"{name}.html",
            "text/html",
            lambda: html_record(report()),
        ),
        (
            "Record with annex (HTML)",
            "After that page: scenario, assumptions, sources, how each figure is computed.",
            f"{name}-annex.html",
            "text/html",
            lambda: html_record(report(), with_annex=True),
        ),
        (
            "All plans (CSV)",
            "One row a plan: cost, percentiles, starts.",
            f"{name}-plans.csv",
            "text/csv",
            lambda: csv_bytes(study.table),
        ),
        (
            "Bill of this plan for a month (FOCUS 1.2, CSV)",
            "Each charge as cloud bills have it, to stand beside them.",
            f"{name}-focus.csv",
            "text/csv",
            lambda: focus_csv(
                focus_table(study, outcome.plan.plan_id, made_on=today, company=company)
            ),
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
