"""The take-away tab: what the chosen plan costs in every unit, and the files to carry off.

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
from frontier import units
from frontier.edits import scenario_json
from frontier.export import csv_bytes
from frontier.models.own import in_words
from frontier.pages import controls, link, model_controls, results, session, text
from frontier.report import Currency, Report, html_report, meters_csv, report_json, workbook
from frontier.sweep import Deal, Outcome, basis_of_outcome
from frontier.tables import Source, Tables

_DOLLAR = "USD"
_PERCENTILES = {
    "Median": "p50_ttft_s",
    "p90": "p90_ttft_s",
    "p95": "p95_ttft_s",
    "p99": "p99_ttft_s",
    "p99.9": "p999_ttft_s",
    "Longest": "max_ttft_s",
}


def draw(swept: results.Swept, chosen: str) -> None:
    """Draw the tab for the chosen plan."""
    outcome = swept.outcomes[chosen]
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown(f"**What {outcome.plan.label} costs**")
        place = st.container()
        currency = _currency()
        with place:
            _draw_units(outcome, currency)
    with right:
        st.markdown("**Files**")
        _draw_files(swept, outcome, currency)


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
        per_usd = link.number(
            f"{code} for a dollar", row.value, key="rate", low=row.low, high=row.high, step=0.01
        )
    with right:
        rate_on = link.day("Rate of", dt.date.today(), key="rate_on")
    if per_usd == row.value:
        st.caption(f"Give the rate to see {code}.")
        return None
    return Currency(code, per_usd, rate_on)


def _draw_units(outcome: Outcome, currency: Currency | None) -> None:
    cost, hours = results.bill_of(outcome), session.tables().setting("hours_per_month")
    month = cost.usd_per_month(hours)
    amounts = {
        f"A month of {hours:g} hours": month,
        "A year (12 months)": month * 12,
        "1,000 requests": cost.usd_per_1k_requests(outcome.requests),
        "1 M tokens, prompt and output": cost.usd_per_mtok(outcome.tokens),
    }
    columns = {"Dollars": [text.money(units.dollars(usd)) for usd in amounts.values()]}
    if currency is not None:
        columns[currency.code] = [
            units.significant(usd * currency.per_usd, 4) for usd in amounts.values()
        ]
    rows = [*amounts, "Tokens for one of it"]
    per_usd = cost.tokens_per_usd(outcome.tokens)
    columns["Dollars"].append(units.significant(per_usd))
    if currency is not None:
        columns[currency.code].append(units.significant(per_usd / currency.per_usd))
    st.table(pd.DataFrame({"Cost of": rows, **columns}).set_index("Cost of"))
    if cost.is_extrapolated:
        st.caption("The traffic covers less than a day: a month is an extrapolation.")


def _draw_files(swept: results.Swept, outcome: Outcome, currency: Currency | None) -> None:
    today = dt.date.today()
    report = report_of(swept, outcome, controls.current(), currency, link.address(), today)
    scenario, basis = session.scenario_file(), report_basis(outcome, controls.current().deal)
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
            lambda: csv_bytes(swept.table),
        ),
        (
            "Meters of this plan (CSV)",
            "Each stretch that the provider bills, in GPU-seconds by line.",
            f"{name}-meters.csv",
            "text/csv",
            lambda: meters_csv(basis()),
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
        "never leaves this session: the link opens the same choices without it."
    )


def report_basis(outcome: Outcome, deal: Deal) -> Callable[[], object]:
    """Return what makes the basis of the bill, later and outside the page."""
    tables = session.tables()
    return lambda: basis_of_outcome(outcome, tables, deal)


def report_of(
    swept: results.Swept,
    outcome: Outcome,
    choices: controls.Choices,
    currency: Currency | None,
    address: str,
    today: dt.date,
) -> Callable[[], Report]:
    """Return what makes the report of a plan.

    A download is made outside the page's run, so everything is looked up here and only computed
    there.
    """
    tables, cost = session.tables(), results.bill_of(outcome)
    said = results.included(swept)
    scenario = _scenario(swept, choices, tables)

    def make() -> Report:
        return Report(
            title="What scale-to-zero costs",
            headline=swept.answer.headline,
            reasons=swept.answer.reasons,
            made_on=today,
            version=frontier.__version__,
            link=address,
            scenario=scenario,
            plan_label=f"{outcome.plan.label} ({outcome.plan.detail})",
            bill=cost,
            basis=basis_of_outcome(outcome, tables, choices.deal),
            tokens=outcome.tokens,
            latency=tuple(
                (label, getattr(outcome.latency, name)) for label, name in _PERCENTILES.items()
            ),
            plans=swept.table,
            plan_id=outcome.plan.plan_id,
            slo_p99_ttft_s=swept.slo_p99_ttft_s,
            assumptions=(*said["In the number"], *said["Traffic"], *said["Assumed"]),
            sources=_sources(swept, tables),
            currency=currency,
        )

    return make


def _scenario(
    swept: results.Swept, choices: controls.Choices, tables: Tables
) -> tuple[tuple[str, str], ...]:
    scenario, trace, deal = choices.scenario, choices.trace, choices.deal
    own = model_controls.own_model()
    is_own = own is not None and scenario.model == own.model.model
    words = f"{scenario.model} ({in_words(own.model)})" if is_own else scenario.model
    pairs = [
        ("Model", f"{words}, {scenario.precision}, {scenario.kv_precision} cache"),
        *(("Assumed of the model", sentence) for sentence in (own.assumed if is_own else ())),
        (
            "Traffic",
            f"{trace.name}: {units.count(trace.arrival_s.size, 'request')} over "
            f"{units.seconds(trace.horizon_s)}",
        ),
        ("p99 TTFT limit", units.seconds(swept.slo_p99_ttft_s)),
    ]
    for label, offer in (
        ("Serverless offer", swept.deployment.serverless),
        ("Dedicated offer", swept.deployment.dedicated),
    ):
        pairs.append(
            (
                label,
                f"{offer.provider} {offer.product}, {offer.gpu}, "
                f"{units.dollars(offer.usd_per_gpu_h)}/GPU-h of {offer.priced_on}",
            )
        )
    if deal.serverless.multiplier != 1:
        pairs.append(("Region and availability", f"× {deal.serverless.multiplier:g}"))
    if deal.commitment is not None:
        pairs.append(
            (
                "Commitment",
                f"{deal.commitment.label}: {units.percent(deal.commitment.discount)} off "
                f"({deal.commitment.basis})",
            )
        )
    pairs.append(("Office hours", str(scenario.office)))
    pairs.append(("Hours in a month", f"{tables.setting('hours_per_month'):g}"))
    for edit in session.edits():
        before, after = session.shipped_text(edit) or "empty", edit.text or "empty"
        pairs.append((f"Changed: {edit.key}", f"{edit.column} from {before} to {after}"))
    return tuple(pairs)


def _sources(swept: results.Swept, tables: Tables) -> tuple[tuple[str, Source], ...]:
    """Return each source once, with what came from it."""
    deployment = swept.deployment
    dedicated_rules = tables.provider_rules[deployment.dedicated.rules_id]
    uses = [
        (f"price of {deployment.serverless.offer_id}", deployment.serverless.source_id),
        (f"price of {deployment.dedicated.offer_id}", deployment.dedicated.source_id),
        (f"billing rules of {deployment.rules.provider}", deployment.rules.source_id),
        (f"billing rules of {dedicated_rules.provider}", dedicated_rules.source_id),
        (f"GPU {deployment.serverless.gpu}", tables.gpus[deployment.serverless.gpu].source_id),
        (f"model {deployment.model.model}", deployment.model.source_id),
        ("hours in a month", tables.settings["hours_per_month"].source_id),
        *(
            (f"start: {stage.name.replace('_', ' ')}", source_id)
            for stage in deployment.start.stages
            for source_id in stage.source_ids
        ),
    ]
    words: dict[str, list[str]] = {}
    for used_for, source_id in dict.fromkeys(uses):
        words.setdefault(source_id, []).append(used_for)
    return tuple(
        (_joined(used_for), tables.sources[source_id]) for source_id, used_for in words.items()
    )


def _joined(used_for: list[str]) -> str:
    """Return what a source was used for, the word "start" said once."""
    head = "start: "
    stages = [use.removeprefix(head) for use in used_for if use.startswith(head)]
    others = [use for use in used_for if not use.startswith(head)]
    found = ", ".join([*others, *([head + ", ".join(stages)] if stages else [])])
    return found[:1].upper() + found[1:]
