"""What somebody takes away: all that record and workbook say, as one object, and as JSON.

Those two are rooms of their own. Bills are the study's; only how far the plan moves with starts
and traffic (`finance.spread_of`) is simulated for it.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

import frontier
from frontier import spell
from frontier.billing import METER, Bill, BillBasis
from frontier.company import NOBODY, Company, Currency
from frontier.edits import Edit
from frontier.explain import Explanation, about_plan, plainly
from frontier.export import csv_bytes
from frontier.finance import (
    Column,
    Priced,
    Spread,
    cheaper_in_words,
    columns_of,
    prices_of,
    spread_of,
    usd_per_year,
)
from frontier.latency import LatencySummary
from frontier.ranges import Range, beyond_in_words, few_beyond
from frontier.scope import INCLUDED, asked, not_included, sources_used
from frontier.study import Study
from frontier.tables import Source, Tables

if TYPE_CHECKING:
    import pandas as pd

_PERCENTILES = {
    "Median": "p50_ttft_s",
    "p90": "p90_ttft_s",
    "p95": "p95_ttft_s",
    "p99": "p99_ttft_s",
    "p99.9": "p999_ttft_s",
    "Longest": "max_ttft_s",
}
_ANSWERS = {
    "Median time per output token": "p50_tpot_s",
    "p99 time per output token": "p99_tpot_s",
    "Median until the last token": "p50_latency_s",
    "p99 until the last token": "p99_latency_s",
}
_SHARES = (90.0, 95.0, 99.0, 99.9)


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """All that a report says, computed elsewhere.

    Attributes
    ----------
    title, headline : str
    reasons : tuple of str
        Sentences below the headline.
    made_on : date
    version, link : str
        Of the program; and the address that opens the same view.
    scenario : tuple of (str, str)
        What was asked: label and value.
    plan_label : str
        The plan whose bill this is.
    bill, basis : Bill, BillBasis
        Of that plan.
    tokens : int
        Prompt and output tokens of the span.
    latency : tuple of (str, float)
        Label and seconds. [s]
    plans : DataFrame
        The frontier table.
    plan_id : str
        The row of it that is this plan.
    slo_p99_ttft_s : float
        The limit. [s]
    assumptions : tuple of str
    sources : tuple of (str, Source)
        What for, and which.
    hours_per_year : float
        [h]
    inputs : tuple of dict
        A row an input that is not known for sure, `Decides.rows`; empty where it was not looked at.
    company : Company
        Whose record it is: its name, currency, tax, years.
    columns : tuple of Column
        That plan and those it is set beside, in the units of finance; it comes first.
    cheaper : str
        Which of those, that nobody chose, holds the limit for less than the headline's; or empty.
    prices : tuple of Priced
        What those are billed at.
    spread : tuple of Spread
        How far that plan moves with prices, starts and traffic.
    traffic, fingerprint : str
        Its name and size, and the SHA-256 of all its requests.
    ranges : tuple of (str, Range, str)
        Of the plan's figures: of what, from where to where, and in words.
    uncertain : str
        How few requests lie beyond its percentiles; empty where they are many.
    explanations : tuple of Explanation
        How the figures of that plan are computed.
    """

    title: str
    headline: str
    reasons: tuple[str, ...]
    made_on: dt.date
    version: str
    link: str
    scenario: tuple[tuple[str, str], ...]
    plan_label: str
    bill: Bill
    basis: BillBasis
    tokens: int
    latency: tuple[tuple[str, float], ...]
    plans: pd.DataFrame
    plan_id: str
    slo_p99_ttft_s: float
    assumptions: tuple[str, ...]
    sources: tuple[tuple[str, Source], ...]
    hours_per_year: float
    inputs: tuple[dict[str, Any], ...] = ()
    company: Company = NOBODY
    columns: tuple[Column, ...] = ()
    cheaper: str = ""
    prices: tuple[Priced, ...] = ()
    spread: tuple[Spread, ...] = ()
    traffic: str = ""
    fingerprint: str = ""
    ranges: tuple[tuple[str, Range, str], ...] = ()
    uncertain: str = ""
    explanations: tuple[Explanation, ...] = ()

    @property
    def currency(self) -> Currency | None:
        """Another currency beside dollars, at the person's rate; None without one."""
        return self.company.currency if self.company.currency.is_foreign else None

    @property
    def not_included(self) -> tuple[str, ...]:
        """What its figures leave out."""
        return not_included(self.company)

    @property
    def units_of_cost(self) -> dict[str, float]:
        """Dollars by unit: span, month, year, 1,000 requests, 1 M tokens [$]."""
        month = self.bill.usd_per_month(self.basis.hours_per_month)
        return {
            "span": self.bill.usd_span,
            "month": month,
            "year": usd_per_year(self.basis, self.hours_per_year),
            "1,000 requests": self.bill.usd_per_1k_requests(self.basis.requests),
            "1 M tokens": self.bill.usd_per_mtok(self.tokens),
        }


def report_of(
    study: Study,
    plan_id: str,
    *,
    made_on: dt.date,
    link: str,
    changed: Iterable[tuple[str, str]] = (),
    company: Company = NOBODY,
    edits: Collection[Edit] = (),
) -> Report:
    """Return the report of one plan of a study.

    Parameters
    ----------
    link : str
        The address that opens the same view; empty where there is none.
    changed : iterable of (str, str)
        What the reader changed in the tables: label and words.
    company : Company, optional
        Whose record it is.
    edits : collection of Edit
        The same changes, cell by cell.
    """
    outcome, said = study.outcomes[plan_id], study.included()
    columns, trace = columns_of(study, plan_id, company), study.trace
    return Report(
        title="What scale-to-zero costs",
        headline=study.verdict.headline,
        reasons=(study.verdict.below, *study.verdict.reasons),
        made_on=made_on,
        version=frontier.__version__,
        link=link,
        scenario=(
            *asked(study.deployment, study.trace, study.tables, study.deal, study.limit_s),
            *changed,
        ),
        plan_label=f"{outcome.plan.label} ({outcome.plan.detail})",
        bill=study.bill(outcome),
        basis=study.basis(outcome),
        tokens=outcome.tokens,
        latency=(*latency_rows(outcome.latency), *answer_rows(outcome.latency)),
        plans=study.table,
        plan_id=plan_id,
        slo_p99_ttft_s=study.limit_s,
        assumptions=(*said["In the number"], *said["Traffic"], *said["Assumed"]),
        sources=sources_used(study.deployment, study.tables, study.deal),
        inputs=study.input_rows,
        company=company,
        columns=columns,
        cheaper=cheaper_in_words(study, columns),
        prices=prices_of(columns, study.tables, made_on),
        spread=spread_of(study, outcome),
        traffic=f"{trace.name}, {spell.count(trace.arrival_s.size, 'request')} over "
        f"{spell.seconds(trace.horizon_s)}",
        fingerprint=trace.digest,
        hours_per_year=study.tables.setting("hours_per_year"),
        ranges=_range_rows(study, plan_id),
        uncertain=uncertain_percentiles(outcome.requests, study.tables),
        explanations=about_plan(study, outcome, edits),
    )


def latency_rows(latency: LatencySummary) -> tuple[tuple[str, float], ...]:
    """Return the percentiles of a run as label and seconds [s]."""
    return tuple((label, getattr(latency, name)) for label, name in _PERCENTILES.items())


def answer_rows(latency: LatencySummary) -> tuple[tuple[str, float], ...]:
    """Return how fast answers came as label and seconds [s]; none where that is not simulated."""
    found = ((label, getattr(latency, name)) for label, name in _ANSWERS.items())
    return tuple((label, value_s) for label, value_s in found if value_s is not None)


def uncertain_percentiles(requests: int, tables: Tables) -> str:
    """Return how few requests lie beyond percentiles that are shown; empty where many do."""
    few = tables.setting("ranges_few_beyond")
    return beyond_in_words(few_beyond(requests, few, _SHARES))


def _range_rows(study: Study, plan_id: str) -> tuple[tuple[str, Range, str], ...]:
    """Return the ranges of a plan: of what, from where to where, and in words."""
    rows = []
    for found, why in ((study.luck, "luck"), (study.open_inputs, "open inputs")):
        one = None if found is None else found.plans.get(plan_id)
        if one is not None:
            usd, p99_s = one.usd_per_month, one.p99_ttft_s
            rows += [
                (f"A month, by {why}", usd, spell.dollars_between(usd.low, usd.high)),
                (f"p99, by {why}", p99_s, spell.seconds_between(p99_s.low, p99_s.high)),
            ]
    return tuple(rows)


def meters_csv(basis: BillBasis) -> bytes:
    """Return the meters of a bill as CSV, one row a meter."""
    import pandas as pd

    meters = basis.meters
    return csv_bytes(pd.DataFrame({name: meters[name] for name in METER.names or ()}))


def report_json(report: Report) -> bytes:
    """Return the report as JSON, without the meters; numbers that are not finite become null."""
    content = {
        "title": report.title,
        "headline": report.headline,
        "reasons": report.reasons,
        "cheaper": report.cheaper,
        "made_on": report.made_on.isoformat(),
        "version": report.version,
        "link": report.link,
        "scenario": dict(report.scenario),
        "plan": {"id": report.plan_id, "label": report.plan_label},
        "usd": report.units_of_cost,
        "company": dataclasses.asdict(report.company),
        "side_by_side": [
            {"roles": column.roles, **dataclasses.asdict(column.figures)}
            for column in report.columns
        ],
        "spread": [dataclasses.asdict(one) for one in report.spread],
        "prices": [dataclasses.asdict(one) for one in report.prices],
        "traffic": report.traffic,
        "fingerprint": report.fingerprint,
        "usd_by_line": report.bill.lines,
        "span_s": report.bill.horizon_s,
        "is_extrapolated": report.bill.is_extrapolated,
        "latency_s": dict(report.latency),
        "ranges": {what: [found.low, found.high] for what, found, _ in report.ranges},
        "uncertain": report.uncertain,
        "plans": report.plans.to_dict(orient="records"),
        "assumptions": report.assumptions,
        "uncertain_inputs": report.inputs,
        "sources": [
            {
                "used_for": used_for,
                "title": source.title,
                "url": source.url,
                "kind": source.kind,
                "published_on": source.published_on,
                "read_on": source.read_on.isoformat(),
            }
            for used_for, source in report.sources
        ],
        "explanations": [plainly(one) for one in report.explanations],
        "included": INCLUDED,
        "not_included": report.not_included,
    }
    return json.dumps(_plain(content), ensure_ascii=False, indent=2).encode()


def _plain(value: Any) -> Any:
    """Return a value that JSON can hold."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
