"""The one page of a record: what is decided, what it costs beside the other ways, who signs.

It prints on one page of A4 and on one of Letter, whatever the names and amounts: each block has
room for so much text, and what is cut off ends in an ellipsis and stands whole in the annex.
Amounts are in the company's currency. What a seller does not state is said, and not made up.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Iterable, Sequence

from frontier import spell
from frontier.finance import Column, Figures, Priced, Spread
from frontier.record.annex import annex
from frontier.record.markup import brief, link
from frontier.record.picture import picture
from frontier.record.style import STYLE
from frontier.report import Report

_MOST_PRICES = 6
_MOST_COLUMNS = 4
# Characters that fit the room of each block at the widths of the style, the longest words tried.
_LABEL, _DETAIL, _OFFER, _REASONS, _LINK, _HEADLINE = 36, 52, 46, 390, 150, 480
_SUPPLIER, _STALE_SUPPLIER, _CHEAPER = 44, 22, 200
_NAME, _TRAFFIC, _MODEL = 82, 110, 70
_ROOMY_ROWS, _USUAL_ROWS, _ROOMY_HEADLINE, _LONG_HEADLINE = 15, 18, 180, 260
_NONE, _NOTHING, _UNSTATED = "no commitment", "–", "not stated"


def html_record(report: Report, *, with_annex: bool = False) -> str:
    """Return the record as HTML.

    Parameters
    ----------
    with_annex : bool
        Whether scenario, assumptions, sources and the computation of each figure follow, from a
        new page on.
    """
    e = html.escape
    body = _page(report)
    if with_annex:
        body += f'<section class="annex">{annex(report)}</section>'
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{e(_title(report))}</title><style>{STYLE}</style></head><body>
{body}
</body></html>
"""


def _title(report: Report) -> str:
    name = report.company.name
    return f"{name}: {report.title}" if name else report.title


def _page(report: Report) -> str:
    e, company = html.escape, report.company
    model = dict(report.scenario).get("Model", "")
    cheaper = f"<b>{e(brief(report.cheaper, _CHEAPER))}</b> " if report.cheaper else ""
    reasons = _fitting(report.reasons, _REASONS - len(report.cheaper))
    who = f"<b>{e(brief(company.name, _NAME))}</b>" if company.name else ""
    few = f'<p class="small">{e(report.uncertain)}</p>' if report.uncertain else ""
    short = (
        " It is less than a day: all else is extrapolated." if report.bill.is_extrapolated else ""
    )
    # The sentence that is signed is set smaller before it is cut.
    long = ' class="long"' if len(report.headline) > _LONG_HEADLINE else ""
    left_out = f"{_joined(report.not_included)}."
    return f"""<section class="page {_density(report)}"><header>
<div>{who}<span>Record of a decision: how to serve {e(brief(model, _MODEL))}</span></div>
<div class="right">{report.made_on.isoformat()}<span>Frontier {e(report.version)}</span></div>
</header>
<h1{long}>{e(brief(report.headline, _HEADLINE))}</h1>
<p class="why">{cheaper}{e(" ".join(reasons))}</p>
{_side_by_side(report)}
<div class="two wide-left"><div>{picture(report)}{few}</div>
<div>{_spread(report)}
<p class="small"><b>Not in any of these figures.</b> {e(left_out)}</p></div></div>
{_prices(report)}
<p class="small from"><b>Traffic</b> {e(brief(report.traffic, _TRAFFIC))}, repeated all year.{short}
Fingerprint (SHA-256) <code>{e(report.fingerprint)}</code>.{_address(report.link)}</p>
<footer>{_signature("Prepared by", company.prepared_by)}
{_signature("Approved by", company.approved_by)}</footer></section>"""


def _density(report: Report) -> str:
    """Return how closely the page is set, so that it is full and stays one page."""
    rows = len(_rows(report, report.columns[:_MOST_COLUMNS])) + len(report.prices)
    if rows <= _ROOMY_ROWS and len(report.headline) <= _ROOMY_HEADLINE:
        return "roomy"
    return "" if rows <= _USUAL_ROWS else "tight"


def _fitting(sentences: Sequence[str], most: int) -> list[str]:
    """Return as many of the first sentences as have room, or a part of one that has none."""
    found: list[str] = []
    for sentence in sentences:
        if sum(map(len, found)) + len(found) + len(sentence) > most:
            break
        found.append(sentence)
    return found or [brief(sentence, most) for sentence in sentences[:1]]


def _joined(items: Iterable[str]) -> str:
    first, *others = items
    return ", ".join([first, *map(spell.lower_first, others)])


def _address(url: str) -> str:
    if not url:
        return ""
    return f" <b>The same view</b> {link(url, brief(url, _LINK))}"


def _signature(role: str, name: str) -> str:
    who = f" <b>{html.escape(brief(name, _NAME))}</b>" if name else ", name and role"
    return f"<div><i></i><span>{html.escape(role)}{who}</span><span>Date and signature</span></div>"


# --- plans side by side -------------------------------------------------------------------------


def _side_by_side(report: Report) -> str:
    e, columns = html.escape, report.columns[:_MOST_COLUMNS]
    heads = "".join(
        f'<th class="number{" chosen" if index == 0 else ""}">'
        f"<em>{e(_roles(column))}</em>"
        f"{e(brief(column.figures.label, _LABEL))}<span>{e(brief(_whose(column, report), _DETAIL))}"
        "</span></th>"
        for index, column in enumerate(columns)
    )
    rows = [
        "".join(
            f'<td class="number{" chosen" if index == 0 else ""}{" red" if is_red else ""}">'
            f"{e(words)}</td>"
            for index, (words, is_red) in enumerate(cells)
        )
        for _, cells in _rows(report, columns)
    ]
    names = [name for name, _ in _rows(report, columns)]
    currency = report.company.currency
    head = f"The provider's bill in {currency.code}, before tax"
    note = ""
    if currency.is_foreign:
        note = f"<span>{e(currency.in_words)}. Sentences above are in dollars.</span>"
    lines = "".join(
        f"<tr{' class=rule' if name.startswith('^') else ''}><td>{e(name.removeprefix('^'))}</td>"
        f"{cells}</tr>"
        for name, cells in zip(names, rows, strict=True)
    )
    return f'<table class="plans"><tr><th>{e(head)}{note}</th>{heads}</tr>{lines}</table>'


def _roles(column: Column) -> str:
    """Return what a plan is there for, and that its commitment is a list price."""
    words = " · ".join(column.roles)
    return f"{words}, list price" if column.is_list_commitment else words


def _whose(column: Column, report: Report) -> str:
    """Return on whose machines a plan is."""
    return " and ".join(
        dict.fromkeys(_seller(pool.offer_id, report) for pool in column.basis.pools)
    )


def _seller(offer_id: str, report: Report) -> str:
    return next((one.offer for one in report.prices if one.offer_id == offer_id), offer_id)


_Cells = list[tuple[str, bool]]


def _rows(report: Report, columns: Sequence[Column]) -> list[tuple[str, _Cells]]:
    """Return the rows: a name, which begins with ^ under a rule, and the words of each plan.

    Beside each is whether it is to be red: a plan that breaks the limit.
    """
    company, own = report.company, [column.figures for column in columns]
    years, bound = company.years, [one.commitment for one in own]
    is_bound = any(bound)

    def each(said: Callable[[Figures], str]) -> _Cells:
        return [(said(figures), False) for figures in own]

    def money(usd: float | None, instead: str) -> str:
        return instead if usd is None else _amount(report, usd)

    rows: list[tuple[str, _Cells]] = [
        (
            f"A month of {report.basis.hours_per_month:g} hours",
            each(lambda one: _amount(report, one.usd_per_month)),
        ),
        (
            f"A year of {report.hours_per_year:,.0f} hours{', amortised' if is_bound else ''}",
            each(lambda one: _amount(report, one.usd_per_year)),
        ),
    ]
    if years > 1:
        rows.append(
            (
                f"{years} years, traffic as it is",
                each(lambda one: _amount(report, one.usd_over_years)),
            )
        )
    if any(one.own_usd_per_year for one in own):
        filled = [name for name, usd in company.own_lines_usd_per_month.items() if usd]
        words = _joined(filled)
        rows.append(
            (f"A year: {words.lower()}", each(lambda one: _amount(report, one.own_usd_per_year)))
        )
    if company.tax_rate:
        rows.append(
            (
                f"A year: tax, {spell.percent(company.tax_rate)} of what is bought",
                each(lambda one: _amount(report, one.tax_usd_per_year)),
            )
        )
    if any(one.all_in_usd_per_year != one.usd_per_year for one in own):
        rows.append(
            ("A year, all of it", each(lambda one: _amount(report, one.all_in_usd_per_year)))
        )
    rows += [
        ("1,000 requests", each(lambda one: _amount(report, one.usd_per_1k_requests))),
        ("1 million tokens, in and out", each(lambda one: _amount(report, one.usd_per_mtok))),
        (
            "^Time to first token, median",
            [(spell.seconds(column.outcome.latency.p50_ttft_s), False) for column in columns],
        ),
        (
            f"The same, p99 (limit {spell.seconds(report.slo_p99_ttft_s)})",
            [_p99(column, report.slo_p99_ttft_s) for column in columns],
        ),
        (
            "Of 1,000 requests, wait for a start",
            [(f"{column.waiting_of_thousand:,}", False) for column in columns],
        ),
    ]
    if not is_bound:
        return [*rows, ("^Commitment", each(lambda _: _NONE))]
    return [
        *rows,
        (
            "^Bound for",
            [
                (
                    _NONE
                    if one is None
                    else _UNSTATED
                    if one.terms.term_months is None
                    else spell.count(one.terms.term_months, "month"),
                    False,
                )
                for one in bound
            ],
        ),
        (
            "Committed over that term",
            [
                (_NOTHING if one is None else money(one.total_usd, _UNSTATED), False)
                for one in bound
            ],
        ),
        (
            "Paid upfront",
            [
                (_NOTHING if one is None else money(one.upfront_usd, _UNSTATED), False)
                for one in bound
            ],
        ),
        ("Cash in the first year", each(lambda one: money(one.first_year_cash_usd, _UNSTATED))),
        (
            f"Still owed after {spell.count(years, 'year')}",
            each(lambda one: money(one.owed_after_usd, _UNSTATED)),
        ),
    ]


def _p99(column: Column, limit_s: float) -> tuple[str, bool]:
    p99_s = column.outcome.latency.p99_ttft_s
    breaks = p99_s > limit_s
    words = spell.seconds(p99_s)
    return (f"{words}, breaks it" if breaks else words), breaks


def _amount(report: Report, usd: float) -> str:
    """Return an amount in the record's currency; the code of another stands above the column."""
    currency = report.company.currency
    words = spell.dollars(currency.amount(usd))
    return words.replace("$", "", 1) if currency.is_foreign else words


# --- range, prices ------------------------------------------------------------------------------


_LUCK = {
    "A month, by luck": "Luck of traffic and starts",
    "A month, by open inputs": "What the inputs leave open",
}


def _spread(report: Report) -> str:
    e = html.escape
    usd = report.columns[0].figures.usd_per_month
    p99_s = report.columns[0].outcome.latency.p99_ttft_s
    rows = [("As computed", _between(report, (usd, usd)), _seconds((p99_s, p99_s)))]
    rows += [_spread_row(report, one) for one in report.spread]
    rows += [
        (_LUCK.get(first, first), _range(report, low, high), p99_words)
        for (first, low, high), p99_words in _luck(report)
    ]
    lines = "".join(
        f'<tr><td>{e(what)}</td><td class="number">{e(month)}</td>'
        f'<td class="number">{e(waits)}</td></tr>'
        for what, month, waits in rows
    )
    return (
        "<h2>How far this plan may lie from it</h2>"
        '<table><tr><th></th><th class="number">A month</th><th class="number">p99</th></tr>'
        f"{lines}</table>"
    )


def _luck(report: Report) -> list[tuple[tuple[str, float, float], str]]:
    """Return the ranges of luck and open inputs: of the month, and the words of the p99."""
    months = [one for one in report.ranges if one[0].startswith("A month")]
    waits = [one for one in report.ranges if not one[0].startswith("A month")]
    return [
        ((what, found.low, found.high), words)
        for (what, found, _), (_, _, words) in zip(months, waits, strict=True)
    ]


def _spread_row(report: Report, one: Spread) -> tuple[str, str, str]:
    if one.note and math.isnan(one.usd_per_month[0]):
        return one.what, "not computed", "not computed"
    if one.note:
        return f"{one.what}: {spell.lower_first(one.note)}", "the same", "the same"
    return one.what, _between(report, one.usd_per_month), _seconds(one.p99_ttft_s)


def _between(report: Report, ends: tuple[float, float]) -> str:
    return _range(report, *ends)


def _range(report: Report, low: float, high: float) -> str:
    first, last = _amount(report, low), _amount(report, high)
    return first if first == last else f"{first} to {last}"


def _seconds(ends_s: tuple[float, float]) -> str:
    return spell.seconds_between(*ends_s)


def _prices(report: Report) -> str:
    e, shown = html.escape, report.prices[:_MOST_PRICES]
    lines = "".join(
        f"<tr{' class=red' if one.is_stale else ''}><td>{e(brief(one.offer, _OFFER))}</td>"
        f'<td class="number">{spell.dollars(one.usd_per_gpu_h)}</td>'
        f'<td class="number">{_cores(one)}</td>'
        f'<td class="number">{_discount(one)}</td>'
        f"<td>{one.priced_on.isoformat()}"
        f"{f', stale: {one.age_days:,} days old' if one.is_stale else ''}, "
        f"{e(brief(one.supplier, _STALE_SUPPLIER if one.is_stale else _SUPPLIER))}</td></tr>"
        for one in shown
    )
    more = len(report.prices) - len(shown)
    note = f'<p class="small">{spell.count(more, "more price")} in the annex.</p>' if more else ""
    heads = "".join(
        f'<th class="number">{name}</th>' for name in ("GPU-hour", "+ cores", "Discount")
    )
    return (
        f'<table class="prices"><tr><th>Prices, in dollars</th>{heads}'
        f"<th>Dated, supplied by</th></tr>{lines}</table>{note}"
    )


def _cores(one: Priced) -> str:
    return spell.dollars(one.cpu_ram_usd_per_gpu_h) if one.cpu_ram_usd_per_gpu_h else _NOTHING


def _discount(one: Priced) -> str:
    return spell.percent(one.discount) if one.discount else _NOTHING
