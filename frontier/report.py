"""What somebody takes away: a page that prints, tables and JSON; the workbook is another room.

The page needs nothing but itself: no script, no font, no image from anywhere. Text that came from
a user is always text, never markup. Nothing is simulated here, and bills are the study's.
"""

from __future__ import annotations

import datetime as dt
import html
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
from frontier.finance import Column, columns_of, usd_per_year
from frontier.ranges import Range, beyond_in_words, few_beyond
from frontier.scope import INCLUDED, asked, not_included, sources_used
from frontier.simulate import LatencySummary
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
        columns=columns_of(study, plan_id, company),
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
        "made_on": report.made_on.isoformat(),
        "version": report.version,
        "link": report.link,
        "scenario": dict(report.scenario),
        "plan": {"id": report.plan_id, "label": report.plan_label},
        "usd": report.units_of_cost,
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
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


# --- the page -----------------------------------------------------------------------------------

_STYLE = """
@page { size: A4; margin: 14mm; }
* { box-sizing: border-box; }
body { font: 10.5pt/1.45 system-ui, sans-serif; color: #1a1a1a; background: #fff;
  max-width: 182mm; margin: 0 auto; padding: 8mm 0; }
h1 { font-size: 17pt; line-height: 1.2; margin: 0 0 2mm; }
h2 { font-size: 11.5pt; margin: 6mm 0 1.5mm; break-after: avoid; }
h3 { font-size: 10pt; margin: 3.5mm 0 1mm; break-after: avoid; }
p { margin: 0 0 1.5mm; }
.meta, .note { color: #555; font-size: 9pt; }
.facts { display: flex; flex-wrap: wrap; gap: 3mm 9mm; margin: 4mm 0; padding: 0;
  list-style: none; }
.facts b { display: block; font-size: 14pt; }
.facts span { color: #555; font-size: 9pt; }
table { border-collapse: collapse; width: 100%; font-size: 9.5pt; }
th, td { text-align: left; padding: 0.8mm 2mm 0.8mm 0; vertical-align: top;
  border-bottom: 0.2mm solid #ddd; overflow-wrap: anywhere; }
th { font-weight: 600; }
td.number, th.number { text-align: right; white-space: nowrap; }
td.bar { width: 40%; }
td.bar div { background: #0072b2; height: 2.6mm; print-color-adjust: exact;
  -webkit-print-color-adjust: exact; }
tr, svg { break-inside: avoid; }
ul { margin: 0; padding-left: 5mm; }
svg { width: 100%; height: auto; }
svg text { font: 11px system-ui, sans-serif; fill: #444; }
.columns { display: grid; grid-template-columns: 1fr 1fr; gap: 0 8mm; break-inside: avoid; }
"""


def html_report(report: Report) -> str:
    """Return the report as one HTML page that prints on A4 and asks the network for nothing."""
    bill, basis = report.bill, report.basis
    per = report.units_of_cost
    e = html.escape
    facts = [
        (spell.dollars(per["month"]), f"a month of {basis.hours_per_month:g} h"),
        (spell.dollars(per["year"]), "a year"),
        (spell.dollars(per["1,000 requests"]), "for 1,000 requests"),
        (spell.dollars(per["1 M tokens"]), "for a million tokens"),
        *((spell.seconds(value), label) for label, value in report.latency),
        *((words, f"range: {spell.lower_first(what)}") for what, _, words in report.ranges),
    ]
    if report.currency is not None:
        other = per["month"] * report.currency.per_usd
        words = (
            f"{report.currency.code} a month, at {report.currency.per_usd:g} "
            f"on {report.currency.rate_on}"
        )
        facts.insert(1, (spell.significant(other, 4), words))
    largest = max((abs(usd) for usd in bill.usd), default=0.0) or 1.0
    lines = "".join(
        f'<tr><td>{e(line)}</td><td class="number">{e(spell.dollars(usd / basis.months))}</td>'
        f'<td class="bar"><div style="width:{100 * max(usd, 0.0) / largest:.1f}%"></div></td></tr>'
        for line, usd in bill.lines.items()
        if usd
    )
    extrapolated = (
        '<p class="note">The run covers less than a day: the month is an extrapolation.</p>'
        if bill.is_extrapolated
        else ""
    )
    prices = "".join(
        f"<tr><td>{e(pool.offer_id)}{' (base)' if pool.is_base else ''}</td>"
        f'<td class="number">{e(spell.dollars(pool.usd_per_gpu_h))}/GPU-h</td>'
        f'<td class="number">{e(spell.dollars(pool.cpu_ram_usd_per_gpu_h))}/GPU-h</td>'
        f'<td class="number">{pool.priced_on.isoformat()}</td></tr>'
        for pool in basis.pools
    )
    sources = "".join(
        f"<tr><td>{e(used_for)}</td><td>{_link(source.url, source.title)}</td>"
        f"<td>{e(source.kind)}</td><td>{source.read_on.isoformat()}</td></tr>"
        for used_for, source in report.sources
    )
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{e(report.title)}</title><style>{_STYLE}</style></head><body>
<p class="meta">{e(report.title)} · {report.made_on.isoformat()} · Frontier {e(report.version)}</p>
<h1>{e(report.headline)}</h1>
{"".join(f"<p>{e(reason)}</p>" for reason in report.reasons)}
<h2>{e(report.plan_label)}</h2>
<ul class="facts">{"".join(f"<li><b>{e(a)}</b><span>{e(b)}</span></li>" for a, b in facts)}</ul>
{f'<p class="note">{e(report.uncertain)}</p>' if report.uncertain else ""}
{extrapolated}
<h2>Where a month's money goes</h2>
<table>{lines}<tr><th>Total</th><th class="number">{e(spell.dollars(per["month"]))}</th>
<th></th></tr></table>
<h2>All plans: dollars a month against p99 time to first token</h2>
{_scatter(report)}
<h2>Scenario</h2>
<table>{"".join(f"<tr><td>{e(a)}</td><td>{e(b)}</td></tr>" for a, b in report.scenario)}</table>
<h2>Prices</h2>
<table><tr><th>Offer</th><th class="number">GPU</th><th class="number">CPU and RAM</th>
<th class="number">Date of the price</th></tr>{prices}</table>
<div class="columns"><div><h2>Included</h2>{_list(INCLUDED)}</div>
<div><h2>Not included</h2>{_list(report.not_included)}</div></div>
<h2>Assumptions</h2>{_list(report.assumptions)}
{_explained(report.explanations)}<h2>Sources</h2>
<table><tr><th>Used for</th><th>Source</th><th>Kind</th><th>Read on</th></tr>{sources}</table>
<p class="note">The same view: {_link(report.link, report.link)}</p>
</body></html>
"""


def _explained(explanations: Iterable[Explanation]) -> str:
    """Return each figure with its formula, its values and where they are from, as sections."""
    parts = "".join(_formula(one) for one in explanations)
    return f"<h2>How the figures are computed</h2>{parts}" if parts else ""


def _formula(one: Explanation) -> str:
    e = html.escape
    rows = "".join(
        f'<tr><td class="number">{e(term.in_words)}</td>'
        f"<td>{e(term.name)}{f' ({e(term.note)})' if term.note else ''}</td><td>{e(term.basis)}"
        + "".join(f", {_link(found.url, found.title)}" for found in term.sources)
        + "</td></tr>"
        for term in one.terms
    )
    sums = f"<p>{e(one.in_words)}<br>= {e(one.in_numbers)}</p>" if one.formula else ""
    note = f'<p class="note">{e(one.note)}</p>' if one.note else ""
    title = f"{one.figure}: {one.result}" if one.result else one.figure
    return (
        f"<h3>{e(title)}</h3>{sums}{note}<table>{rows}</table>"
        f"{''.join(_formula(part) for part in one.parts)}"
    )


def _link(url: str, text: str) -> str:
    """Return a link, or the bare text where the address is not one of the web."""
    if not url.startswith(("https://", "http://")):
        return html.escape(text)
    return f'<a href="{html.escape(url)}">{html.escape(text)}</a>'


def _list(items: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{html.escape(item)}</li>' for item in items)}</ul>"


def _scatter(report: Report) -> str:
    """Return the frontier as an SVG: every plan, efficient ones filled, the limit, this plan."""
    width, height, left, right, top, bottom = 680, 260, 62, 16, 14, 34
    cost = report.plans["usd_per_month"].to_numpy(dtype=float)
    wait = report.plans["p99_ttft_s"].to_numpy(dtype=float)
    drawn = np.isfinite(cost) & np.isfinite(wait) & (wait > 0)
    if not drawn.any():
        return "<p>No plan can be drawn.</p>"
    limit_s = report.slo_p99_ttft_s
    waits = np.append(wait[drawn], limit_s)
    low, high = math.log10(waits.min()) - 0.1, math.log10(waits.max()) + 0.1
    most = float(cost[drawn].max()) * 1.05 or 1.0

    def x(usd: float) -> float:
        return left + usd / most * (width - left - right)

    def y(seconds: float) -> float:
        return top + (high - math.log10(seconds)) / (high - low) * (height - top - bottom)

    parts = [
        f'<line x1="{left}" x2="{width - right}" y1="{y(limit_s):.1f}" y2="{y(limit_s):.1f}" '
        'stroke="#d55e00" stroke-dasharray="5 4"/>'
        f'<text x="{width - right}" y="{y(limit_s) - 4:.1f}" text-anchor="end">limit '
        f"{html.escape(spell.seconds(limit_s))}</text>"
    ]
    step = _nice_step(most)
    for usd in np.arange(0.0, most, step):
        parts.append(
            f'<text x="{x(usd):.1f}" y="{height - 16}" text-anchor="middle">'
            f"{html.escape(spell.dollars(usd))}</text>"
        )
    for power in range(math.ceil(low), math.floor(high) + 1):
        seconds = 10.0**power
        parts.append(
            f'<line x1="{left}" x2="{width - right}" y1="{y(seconds):.1f}" y2="{y(seconds):.1f}" '
            f'stroke="#e5e5e5"/><text x="{left - 6}" y="{y(seconds) + 4:.1f}" text-anchor="end">'
            f"{html.escape(spell.seconds(seconds))}</text>"
        )
    efficient = report.plans["efficient"].to_numpy(dtype=bool)
    chosen = (report.plans["plan_id"] == report.plan_id).to_numpy()
    for index in np.flatnonzero(drawn):
        fill = "#0072b2" if efficient[index] else "#b9cfe0"
        radius = 5 if efficient[index] else 3
        point = f'cx="{x(cost[index]):.1f}" cy="{y(wait[index]):.1f}"'
        parts.append(f'<circle {point} r="{radius}" fill="{fill}"/>')
        if chosen[index]:
            parts.append(f'<circle {point} r="9" fill="none" stroke="#1a1a1a" stroke-width="1.5"/>')
    words = (
        f"{spell.count(int(drawn.sum()), 'plan')}; {int((efficient & drawn).sum())} beaten by no "
        f"other on both cost and wait; ringed: {report.plan_label}"
    )
    missing = int((~drawn).sum())
    note = f" {spell.count(missing, 'plan')} without a finite p99 not drawn." if missing else ""
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{html.escape(words)}">'
        f'{"".join(parts)}</svg><p class="note">Filled dark: efficient. Ringed: this plan.'
        f"{note}</p>"
    )


def _nice_step(most: float) -> float:
    """Return a step of 1, 2 or 5 times a power of ten that divides an axis in five or fewer."""
    rough = most / 5
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
