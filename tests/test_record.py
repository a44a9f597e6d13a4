"""The record prints on one page, says what the home page says, and follows its inputs."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import html
import re
import shutil

import pytest

from frontier import spell
from frontier.billing import bill
from frontier.company import NOBODY, Company, Currency
from frontier.finance import columns_of, spread_of
from frontier.record import html_record
from frontier.report import report_of
from frontier.scope import INCLUDED, NOT_BILLED, NOT_SIMULATED
from frontier.study import default_plan_id, luck_of, study_of, with_ranges
from frontier.sweep import LIST_DEAL, Deal
from tests.example import EXAMPLE, TABLES, simulated

TODAY = dt.date(2026, 11, 26)
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
UPFRONT = Deal(commitment=TABLES.commitments["preset-50-upfront"])
LONG = Company(
    name="The Very Long Named Holding Company of Southern and Northern Data Centres AG & Co",
    currency=Currency("IDR", 16_543.5, TODAY),
    tax_rate=0.19,
    years=3,
    egress_usd_per_month=250.0,
    support_usd_per_month=1200.0,
    staff_usd_per_month=9000.0,
    prepared_by="Dr. Maximiliane von Oberhausen-Unterfelden, Head of Platform Engineering",
    approved_by="Bartholomew Featherstonehaugh-Cholmondeley, Chief Financial Officer, Group",
)
SCRIPT = "<script>alert(1)</script>"


@functools.cache
def study(deal=LIST_DEAL, limit_s=EXAMPLE.slo_p99_ttft_s):
    return study_of(simulated(), TABLES, limit_s=limit_s, deal=deal)


def report(of=None, plan_id=None, company=NOBODY):
    of = of or study()
    plan_id = plan_id or default_plan_id(of)
    return report_of(of, plan_id, made_on=TODAY, link="https://example.org/?n=1", company=company)


@functools.cache
def crowded():
    """Make a record in which everything is as long and as much as it gets."""
    of = with_ranges(study(UPFRONT), luck_of(study(UPFRONT)))
    hybrid = next(one for one in of.outcomes.values() if one.plan.base_offer_id)
    own = report(of, hybrid.plan.plan_id, LONG)
    prices = tuple(
        dataclasses.replace(
            one,
            offer="Extraordinarily Long Named Provider Cloud gpu-instance-48xlarge, H100-SXM-80GB",
            supplier="A price list whose title is rather long and says where it was read and when",
            age_days=444,
            is_stale=True,
        )
        for one in own.prices
    )
    columns = tuple(
        dataclasses.replace(
            one,
            figures=dataclasses.replace(one.figures, label="Scale-to-zero with image cache " * 3),
        )
        for one in own.columns
    )
    return dataclasses.replace(
        own,
        headline=own.headline + " The sentence goes on, for the offers have long names." * 3,
        prices=prices * 3,
        columns=columns,
        ranges=report(of).ranges * 2,
        link="https://example.org/?" + "&".join(f"parameter_{n}=value-{n}" for n in range(60)),
        traffic="a file name that is long " * 10,
    )


RECORDS = {
    "plain": report,
    "committed": lambda: report(study(UPFRONT)),
    "foreign": lambda: report(study(UPFRONT), "zero-60s", LONG),
    "crowded": crowded,
}


@pytest.fixture(scope="module")
def printed():
    """Return how many pages a record prints on, by the format of the paper."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    with pytest.importorskip("playwright.sync_api").sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )

        def pages(content, paper):
            page = browser.new_page()
            page.set_content(content)
            made = page.pdf(format=paper)
            page.close()
            return len(re.findall(rb"/Type\s*/Page\b", made))

        yield pages
        browser.close()


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_prints_on_one_page(name, printed):
    """On A4 and on Letter, whatever the names and amounts; in a wider font too."""
    content = html_record(RECORDS[name]())
    for paper in ("A4", "Letter"):
        assert printed(content, paper) == 1, paper
    if name == "crowded":
        wide = content.replace('Arial, "Liberation Sans", Helvetica, ', "")
        assert wide != content
        assert printed(wide, "Letter") == 1


def test_the_annex_begins_on_a_page_of_its_own(printed):
    """Asked for, it follows; the page itself stays one."""
    assert printed(html_record(report(), with_annex=True), "A4") > 1


def test_the_decision_is_the_sentence_of_the_home_page():
    """The record has the verdict's headline as it is, and no verdict of its own."""
    for of in (study(), study(UPFRONT), study(limit_s=600.0)):
        (said,) = re.findall(r"<h1>(.*?)</h1>", html_record(report(of)))
        assert html.unescape(said) == of.verdict.headline


def test_the_page_has_every_column_and_row():
    """The chosen plan first, the other three beside it; every unit; names and dates to sign."""
    said = _words(html_record(report(study(UPFRONT), "zero-60s", LONG)))
    for words in (
        "This plan · Scale-to-zero as shipped",
        "Always-on",
        "Committed",
        "A month of 730 hours",
        "A year of 8,760 hours, amortised",
        "3 years, traffic as it is",
        "1,000 requests",
        "1 million tokens",
        "p99 (limit 2 s)",
        "wait for a start",
        "36 months",
        "Paid upfront",
        "Cash in the first year",
        "Still owed after 3 years",
        "Every metered price ± 25 %",
        "Every start from",
        "Traffic × 2",
        LONG.name,
        f"Prepared by {LONG.prepared_by}",
        "Date and signature",
        simulated().trace.digest,
        "Sentences above are in dollars",
        "1 USD = 16,543.5 IDR, typed in, of 2026-11-26",
    ):
        assert words in said, words
    for item in NOT_SIMULATED:
        assert item.casefold() in said.casefold()
    # Filled in, so in the figures.
    assert "tax, egress" not in said.casefold()


def test_every_price_has_its_date_and_supplier_and_a_stale_one_is_red():
    """Red and in words: a printer may have no colour."""
    own = report()
    assert {one.priced_on for one in own.prices} == {dt.date(2026, 9, day) for day in (17, 19, 20)}
    assert not any(one.is_stale for one in own.prices)
    assert "stale" not in html_record(own)
    later = report_of(study(), default_plan_id(study()), made_on=dt.date(2027, 3, 1), link="")
    assert all(one.is_stale for one in later.prices)
    page = html_record(later)
    assert page.count("<tr class=red>") == len(later.prices)
    assert "stale: 162 days old" in page
    for one in own.prices:
        assert one.priced_on.isoformat() in page
        assert html.escape(one.supplier[:15]) in page


def test_a_discount_changes_every_amount_of_the_committed_plan():
    """Half off is half the month, year, token and request; all upfront is all cash at once."""
    by_role = {
        role: one for one in columns_of(study(UPFRONT), "dedicated-1", NOBODY) for role in one.roles
    }
    hourly, committed = by_role["Always-on"].figures, by_role["Committed"].figures
    for name in ("usd_per_month", "usd_per_year", "usd_per_1k_requests", "usd_per_mtok"):
        assert getattr(committed, name) == pytest.approx(getattr(hourly, name) / 2)
    assert committed.commitment.total_usd == pytest.approx(3 * committed.usd_per_year)
    assert sum(committed.cash_usd) == pytest.approx(committed.commitment.total_usd)
    assert committed.first_year_cash_usd == pytest.approx(committed.commitment.total_usd)


def test_without_a_commitment_a_published_one_stands_beside():
    """The shortest term of the same GPU, billed as always-on; what is not stated is not made up."""
    *_, listed = columns_of(study(), "dedicated-1", NOBODY)
    assert listed.is_list_commitment
    offer = TABLES.offers["aws-l40s-reserved-1y"]
    assert listed.figures.usd_per_year == pytest.approx(8760 * offer.usd_per_gpu_h)
    assert listed.figures.commitment.terms.term_months == 12
    assert listed.figures.commitment.upfront_usd is None
    assert listed.outcome.latency == study().outcomes["dedicated-1"].latency
    assert "not stated" in html_record(report())


@pytest.mark.parametrize("limit_s", [0.1, 2.0, 600.0])
@pytest.mark.parametrize("deal", [LIST_DEAL, UPFRONT], ids=["by the hour", "committed"])
def test_no_column_refutes_the_headline(deal, limit_s):
    """One that holds the limit costs no less than the headline's plan, unless the page says so."""
    own = report(study(deal, limit_s))
    winner = study(deal, limit_s).verdict.cheapest_within
    most = float("inf") if winner is None else winner.usd_per_month
    cheaper = [
        one
        for one in own.columns
        if one.outcome.latency.p99_ttft_s <= limit_s and one.figures.usd_per_month < most - 1e-9
    ]
    assert len(cheaper) == bool(own.cheaper)
    if cheaper:
        assert f"({cheaper[0].figures.detail}, list price, bound for 12 months)" in own.cheaper
        assert own.cheaper in _words(html_record(own))
        if winner is not None:
            less = most - cheaper[0].figures.usd_per_month
            assert f"{spell.dollars(less)} a month less" in own.cheaper


def test_the_range_moves_as_its_inputs_do():
    """Prices move a bill of GPU time by as much; a longer start is no shorter wait."""
    of = study()
    prices, starts, traffic = spread_of(of, of.outcomes["dedicated-1"])
    assert prices.usd_per_month == pytest.approx((0.75 * 1095, 1.25 * 1095))
    assert starts.note == "No start in it"
    assert traffic.usd_per_month == pytest.approx((1095, 1095))
    prices, starts, traffic = spread_of(of, of.outcomes["zero-60s"])
    now = of.usd_per_month(of.outcomes["zero-60s"])
    assert starts.usd_per_month[0] < now < starts.usd_per_month[1]
    assert starts.p99_ttft_s[0] < of.outcomes["zero-60s"].latency.p99_ttft_s < starts.p99_ttft_s[1]
    assert now < traffic.usd_per_month[0] < 2 * now


def test_the_columns_are_the_bills_of_their_plans():
    """Each column is what its plan's own bill says, for every unit."""
    for one in columns_of(study(UPFRONT), "zero-60s", NOBODY):
        cost = bill(one.basis)
        assert one.figures.usd_per_month == pytest.approx(cost.usd_per_month(730.0))
        assert one.figures.usd_per_mtok == pytest.approx(cost.usd_per_mtok(one.outcome.tokens))


def test_less_than_a_day_of_traffic_is_called_extrapolated():
    """A week is repeated; hours are no year."""
    own = report()
    assert "extrapolated" not in html_record(own)
    short = dataclasses.replace(own.bill, horizon_s=3600.0)
    assert "all else is extrapolated" in html_record(dataclasses.replace(own, bill=short))


def test_a_record_asks_for_nothing_and_runs_nothing():
    """No script, image, font, style or frame from anywhere; what a user typed is escaped."""
    company = Company(name=SCRIPT, prepared_by=SCRIPT, approved_by=SCRIPT)
    own = dataclasses.replace(
        report(company=company), headline=SCRIPT, reasons=(SCRIPT,), traffic=SCRIPT
    )
    page = html_record(own, with_annex=True)
    assert SCRIPT not in page
    assert page.count("&lt;script&gt;alert(1)") >= 6
    assert not re.search(r"<(script|img|iframe|link|object|embed|video|form)\b", page)
    assert not re.search(r"\b(src|srcset|action|on\w+)\s*=", page)
    assert not re.search(r"url\(|@import", page)
    assert set(re.findall(r'(\w+)="https?://', page)) <= {"href"}
    assert "default-src 'none'" in page
    evil = dataclasses.replace(own, link="javascript:alert(1)")
    assert 'href="javascript' not in html_record(evil, with_annex=True)


def test_the_annex_loses_nothing():
    """Bill, waits, what is in and out, assumptions, all sources, how each figure is computed."""
    own = report()
    said = _words(html_record(own, with_annex=True))
    for words in (
        *(line for line, usd in own.bill.lines.items() if usd),
        *(label for label, _ in own.latency),
        *INCLUDED,
        *NOT_BILLED,
        *own.assumptions,
        *own.reasons,
        *(source.title for _, source in own.sources),
        *(one.figure for one in own.explanations),
    ):
        assert words in said, words


def _words(page):
    return " ".join(
        html.unescape(re.sub(r"<style>.*?</style>|<[^>]+>", " ", page, flags=re.S)).split()
    )
