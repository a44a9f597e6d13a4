"""The annex of a record: all that its page has no room for, and how each figure is computed."""

from __future__ import annotations

import html
from collections.abc import Iterable

from frontier import spell
from frontier.explain import Explanation
from frontier.record.markup import link, listed
from frontier.report import Report
from frontier.scope import INCLUDED


def annex(report: Report) -> str:
    """Return the annex as sections."""
    bill, basis, e = report.bill, report.basis, html.escape
    largest = max((abs(usd) for usd in bill.usd), default=0.0) or 1.0
    lines = "".join(
        f'<tr><td>{e(line)}</td><td class="number">{e(spell.dollars(usd / basis.months))}</td>'
        f'<td class="bar"><div style="width:{100 * max(usd, 0.0) / largest:.1f}%"></div></td></tr>'
        for line, usd in bill.lines.items()
        if usd
    )
    extrapolated = (
        '<p class="small">The run covers less than a day: the month is an extrapolation.</p>'
        if bill.is_extrapolated
        else ""
    )
    prices = "".join(
        f"<tr{' class=red' if one.is_stale else ''}><td>{e(one.offer)}</td>"
        f'<td class="number">{e(spell.dollars(one.usd_per_gpu_h))}/GPU-h</td>'
        f'<td class="number">{e(spell.dollars(one.cpu_ram_usd_per_gpu_h))}/GPU-h</td>'
        f'<td class="number">{e(spell.percent(one.discount))}</td>'
        f'<td class="number">{one.priced_on.isoformat()}</td><td>{e(one.supplier)}</td></tr>'
        for one in report.prices
    )
    sources = "".join(
        f"<tr><td>{e(used_for)}</td><td>{link(source.url, source.title)}</td>"
        f"<td>{e(source.kind)}</td><td>{source.read_on.isoformat()}</td></tr>"
        for used_for, source in report.sources
    )
    month = report.units_of_cost["month"]
    return f"""<h1>Annex</h1>
<p>All amounts in dollars and before tax.</p>
<h2>Why</h2>{listed((*([report.cheaper] if report.cheaper else []), *report.reasons))}
<h2>{e(report.plan_label)}: where a month's money goes</h2>
<table>{lines}<tr><th>Total</th><th class="number">{e(spell.dollars(month))}</th>
<th></th></tr></table>
{extrapolated}
<h2>Waits of that plan</h2>
<table>{_pairs((label, spell.seconds(value_s)) for label, value_s in report.latency)}</table>
<h2>Ranges</h2>
<table>{_pairs((what, words) for what, _, words in report.ranges)}</table>
<h2>Scenario</h2>
<table>{_pairs(report.scenario)}</table>
<h2>Prices</h2>
<table><tr><th>Offer</th><th class="number">GPU</th><th class="number">CPU and RAM</th>
<th class="number">Discount</th><th class="number">Date of the price</th><th>Supplied by</th></tr>
{prices}</table>
<div class="columns"><div><h2>Included</h2>{listed(INCLUDED)}</div>
<div><h2>Not included</h2>{listed(report.not_included)}</div></div>
<h2>Assumptions</h2>{listed(report.assumptions)}
{_explained(report.explanations)}<h2>Sources</h2>
<table><tr><th>Used for</th><th>Source</th><th>Kind</th><th>Read on</th></tr>{sources}</table>
<p class="small">The same view: {link(report.link, report.link)}</p>"""


def _pairs(pairs: Iterable[tuple[str, str]]) -> str:
    e = html.escape
    return "".join(f"<tr><td>{e(label)}</td><td>{e(words)}</td></tr>" for label, words in pairs)


def _explained(explanations: Iterable[Explanation]) -> str:
    """Return each figure with its formula, its values and where they are from, as sections."""
    parts = "".join(_formula(one) for one in explanations)
    return f"<h2>How the figures are computed</h2>{parts}" if parts else ""


def _formula(one: Explanation) -> str:
    e = html.escape
    rows = "".join(
        f'<tr><td class="number">{e(term.in_words)}</td>'
        f"<td>{e(term.name)}{f' ({e(term.note)})' if term.note else ''}</td><td>{e(term.basis)}"
        + "".join(f", {link(found.url, found.title)}" for found in term.sources)
        + "</td></tr>"
        for term in one.terms
    )
    sums = f"<p>{e(one.in_words)}<br>= {e(one.in_numbers)}</p>" if one.formula else ""
    note = f'<p class="small">{e(one.note)}</p>' if one.note else ""
    title = f"{one.figure}: {one.result}" if one.result else one.figure
    return (
        f"<h3>{e(title)}</h3>{sums}{note}<table>{rows}</table>"
        f"{''.join(_formula(part) for part in one.parts)}"
    )
