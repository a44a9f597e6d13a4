"""The workbook computes what the app does: in a real spreadsheet, after each input is changed."""

from __future__ import annotations

import dataclasses
import datetime as dt
import io
import itertools
import math
import re
import shutil
import subprocess

import numpy as np
import openpyxl
import pytest

from frontier.billing import LINES, HostChoice, Terms, bill, pool_lines
from frontier.company import NOBODY, Company, Currency
from frontier.finance import columns_of
from frontier.plans.scenario import Scenario
from frontier.report import report_of
from frontier.study import simulate, study_of
from frontier.sweep import Deal, simulate_plans
from frontier.tables import load_tables
from frontier.trace import generate_trace, scale_rate
from frontier.workbook import Quantities, quantities_of, workbook
from frontier.workbook.plans import HEADS, LINE_HEADS
from frontier.workbook.usage import PlanUsage, named_plans, pools_of, prices_of
from tests.test_report import hybrid_week, made_report

TABLES = load_tables()
LIMIT_S = 2.0
SCENARIO = Scenario(
    "Llama-3.1-8B-Instruct", "bf16", "modal-l40s", "crusoe-l40s", LIMIT_S, mitigations=()
)
# Every sheet starts with a title and, where it is a list, has its heads in this row.
HEAD_ROW = 3
COMMITMENT = TABLES.commitments["preset-20"]


def with_setting(tables, **values):
    settings = dict(tables.settings)
    for name, value in values.items():
        settings[name] = dataclasses.replace(settings[name], value=value)
    return dataclasses.replace(tables, settings=settings)


def with_offer(tables, offer_id, **values):
    offer = dataclasses.replace(tables.offers[offer_id], **values)
    return dataclasses.replace(tables, offers={**tables.offers, offer_id: offer})


def with_rules(tables, offer_id, **values):
    rules = tables.rules_of(tables.offers[offer_id])
    changed = dataclasses.replace(rules, **values)
    return dataclasses.replace(
        tables, provider_rules={**tables.provider_rules, rules.rules_id: changed}
    )


MODAL, CRUSOE = TABLES.offers["modal-l40s"], TABLES.offers["crusoe-l40s"]
EUROS = Currency("EUR", 0.9, dt.date(2026, 11, 20))
PAID_BESIDE = Company(
    egress_usd_per_month=100.0,
    support_usd_per_month=50.0,
    staff_usd_per_month=1000.0,
    tax_rate=0.2,
)
CHANGES = {
    # What is typed into Inputs, by label and column, and the same in the app.
    "nothing": ({}, {}),
    "a serverless price": (
        {("GPU", "modal-l40s"): 3.0},
        {"tables": with_offer(TABLES, "modal-l40s", usd_per_gpu_h=3.0)},
    ),
    "the price of a machine, which another plan then beats": (
        {("GPU", "crusoe-l40s"): 4.5},
        {"tables": with_offer(TABLES, "crusoe-l40s", usd_per_gpu_h=4.5)},
    ),
    "a discount": (
        {("Your discount on the GPU", "crusoe-l40s"): 0.2},
        {"tables": with_offer(TABLES, "crusoe-l40s", usd_per_gpu_h=0.8 * CRUSOE.usd_per_gpu_h)},
    ),
    "the price of a core and of memory": (
        {("Core", "modal-l40s"): 0.036, ("Memory", "modal-l40s"): 0.0036},
        {"tables": with_offer(TABLES, "modal-l40s", usd_per_vcpu_s=1e-5, usd_per_gib_s=1e-6)},
    ),
    "cores and memory": (
        {
            ("Cores billed with a replica, if not as below", "modal-l40s"): 16.0,
            ("Memory billed with a replica, if not as below", "modal-l40s"): 64.0,
        },
        {"deal": Deal(serverless=Terms(host=HostChoice(16.0, 64.0, 16.0, 64.0)))},
    ),
    "region": (
        {("Region and availability", "modal-l40s"): 1.5},
        {"deal": Deal(serverless=Terms(multiplier=1.5))},
    ),
    "fees, credit and storage": (
        {
            ("Fee of the provider's plan", "modal-l40s"): 250.0,
            ("Credit in it", "modal-l40s"): 100.0,
            ("Fee of a request", "modal-l40s"): 0.001,
        },
        {
            "tables": with_rules(
                TABLES,
                "modal-l40s",
                platform_fee_usd_month=250.0,
                free_credit_usd_month=100.0,
                request_fee_usd=0.001,
            )
        },
    ),
    "hours of a month": (
        {"Hours counted to a month": 672.0},
        {"tables": with_setting(TABLES, hours_per_month=672.0)},
    ),
    "hours of a year": (
        {"Hours counted to a year": 8784.0},
        {"tables": with_setting(TABLES, hours_per_year=8784.0)},
    ),
    "the limit": ({"Limit on p99 time to first token": 200.0}, {"limit_s": 200.0}),
    "egress, support, staff and tax": (
        {
            "Egress and other network traffic": 100.0,
            "Support contracts": 50.0,
            "Staff (not taxed)": 1000.0,
            "Tax on all but staff": 0.2,
        },
        {"company": PAID_BESIDE},
    ),
    "a commitment": (
        {"Discount on the GPU price": 0.35, "Term": 12, "Paid at its start": 0.5},
        {"deal": (0.35, 12, 0.5)},
    ),
    "another commitment": (
        {"Discount on the GPU price": 0.5, "Term": 36, "Paid at its start": 1.0},
        {"deal": (0.5, 36, 1.0)},
    ),
    "how far prices may move": (
        {"Prices lower and higher by": 0.4},
        {"tables": with_setting(TABLES, price_band=0.4)},
    ),
    "growth": (
        {"Growth of the traffic": 0.08},
        {"tables": with_setting(TABLES, growth_per_month=0.08)},
    ),
}


@dataclasses.dataclass
class Given:
    """A study under a changed input, with whose it is."""

    study: object
    company: Company
    commitment: object


@pytest.fixture(scope="module")
def simulated():
    trace = generate_trace("internal-rag", seed=17, days=3, requests_per_day=508)
    return simulate(SCENARIO, trace, TABLES)


def app_of(simulated, *, tables=TABLES, deal=None, limit_s=LIMIT_S, company=NOBODY):
    """Return the app's own study with a changed input."""
    bound = None
    if isinstance(deal, tuple):
        discount, term, upfront = deal
        bound = dataclasses.replace(
            COMMITMENT, discount=discount, term_months=term, upfront_share=upfront
        )
        deal = Deal(commitment=bound)
    found = study_of(simulated, tables, limit_s=limit_s, deal=deal or Deal())
    return Given(found, company, bound)


def typed(book, changes):
    """Type the changes into the yellow cells of Inputs; return what stood there."""
    sheet, before = book["Inputs"], {}
    labels = {row[0].value: row for row in sheet.iter_rows() if row[0].value}
    offers = {cell.value: cell.column for cell in labels["Offer"]}
    for where, value in changes.items():
        label, offer = where if isinstance(where, tuple) else (where, None)
        column = 3 if offer is None else offers[offer]
        cell = sheet.cell(labels[label][0].row, column)
        assert cell.fill.fgColor.rgb == "FFFFF4CC", where
        before[cell] = cell.value
        cell.value = value
    return before


def evil_workbook():
    """Return the workbook of a week that has every line, with names out for trouble."""
    report = made_report()
    prices = prices_of([report.basis], TABLES)
    rows = report.plans.to_dict(orient="records")
    names = named_plans([(row["label"], row["plan_id"]) for row in rows])
    plans = tuple(
        PlanUsage(
            name=name,
            plan_id=row["plan_id"],
            family=row["family"],
            p50_ttft_s=0.2,
            p99_ttft_s=row["p99_ttft_s"],
            waiting_share=0.1,
            requests=report.basis.requests,
            tokens=report.tokens,
            storage_gb=report.basis.storage_gb if place == 0 else 0.0,
            pools=pools_of(report.basis, prices) if place == 0 else (),
            usd_per_month=row["usd_per_month"],
        )
        for place, (name, row) in enumerate(zip(names, rows, strict=True))
    )
    found = Quantities(
        tuple(prices.values()), plans, plans[0], plans[1], None, commitment_discount=0.35
    )
    return report, workbook(report, found)


@pytest.fixture(scope="module")
def made(simulated):
    given = app_of(simulated)
    verdict = given.study.verdict
    report = report_of(
        given.study,
        verdict.rival.plan_id,
        made_on=dt.date(2026, 11, 26),
        link="https://example.org/?model=x",
        company=NOBODY,
    )
    found = quantities_of(given.study, report.plan_id)
    # A few plans are enough, those that win under some change among them: every formula costs time.
    kept = {plan.plan_id for plan in found.looked_at}
    for _, change in CHANGES.values():
        within = app_of(simulated, **change).study.verdict.cheapest_within
        kept |= {within.plan_id}
    kept |= {plan.plan_id for plan in {plan.family: plan for plan in found.plans}.values()}
    plans = tuple(plan for plan in found.plans if plan.plan_id in kept)
    return report, dataclasses.replace(found, plans=plans)


@pytest.fixture(scope="module")
def computed(made, tmp_path_factory):
    """Compute every changed workbook in one start of LibreOffice."""
    soffice = shutil.which("soffice")
    if soffice is None:
        pytest.skip("LibreOffice (soffice) is not installed")
    folder = tmp_path_factory.mktemp("workbooks")
    content = workbook(*made)
    # openpyxl keeps formulas and drops their values.
    book = openpyxl.load_workbook(io.BytesIO(content))
    for place, (changes, _) in enumerate(CHANGES.values()):
        before = typed(book, changes)
        book.save(folder / f"{place}.xlsx")
        for cell, value in before.items():
            cell.value = value
    openpyxl.load_workbook(io.BytesIO(evil_workbook()[1])).save(folder / "evil.xlsx")
    files = sorted(folder.glob("*.xlsx"))
    profile = (folder / "profile").as_uri()
    out = folder / "computed"
    subprocess.run(
        (
            *(soffice, "--headless", f"-env:UserInstallation={profile}"),
            *("--convert-to", "xlsx", "--outdir", out, *files),
        ),
        check=True,
        capture_output=True,
        timeout=180,
    )

    def opened(name):
        return openpyxl.load_workbook(out / f"{name}.xlsx", data_only=True)

    books = {name: opened(place) for place, name in enumerate(CHANGES)}
    return content, books | {"evil": opened("evil")}


def assert_same_values(stored, book):
    """Assert that what is stored beside each formula is what the spreadsheet computed."""
    formulas = openpyxl.load_workbook(io.BytesIO(stored))
    kept = openpyxl.load_workbook(io.BytesIO(stored), data_only=True)
    count = 0
    for sheet in formulas:
        for cell in itertools.chain.from_iterable(sheet.iter_rows()):
            if cell.data_type != "f":
                continue
            count += 1
            ours = kept[sheet.title][cell.coordinate].value
            theirs = book[sheet.title][cell.coordinate].value
            where = f"{sheet.title}!{cell.coordinate} {cell.value}"
            if isinstance(ours, int | float) and isinstance(theirs, int | float):
                assert theirs == pytest.approx(ours, rel=1e-9, abs=1e-9), where
            else:
                assert (theirs or "") == (ours or ""), where
    return count


def table(sheet):
    """Read a list: a dict by head for each row, by the name in its first column."""
    heads = [cell.value for cell in sheet[HEAD_ROW]]
    rows = sheet.iter_rows(min_row=HEAD_ROW + 1, values_only=True)
    return {row[0]: dict(zip(heads, row, strict=False)) for row in rows if row[0]}


def labelled(sheet):
    return {row[0].value: [cell.value for cell in row[1:]] for row in sheet.iter_rows()}


def test_stored_values_are_what_a_spreadsheet_computes(computed):
    """A viewer that computes nothing shows every figure right, and no cell is an error."""
    content, books = computed
    assert assert_same_values(content, books["nothing"]) > 500
    assert assert_same_values(evil_workbook()[1], books["evil"]) > 100
    for name, book in books.items():
        for cell in itertools.chain.from_iterable(
            itertools.chain.from_iterable(sheet.iter_rows() for sheet in book)
        ):
            is_error = isinstance(cell.value, str) and cell.value.startswith("#")
            assert not is_error, (name, cell)


@pytest.mark.parametrize("change", CHANGES)
def test_every_plan_follows_a_changed_input_as_in_the_app(change, computed, simulated, made):
    """Bill by line, month and year, all in, price band, limit and winner, for every plan."""
    book = computed[1][change]
    given = app_of(simulated, **CHANGES[change][1])
    study, tables = given.study, given.study.tables
    plans, lines = table(book["Plans"]), table(book["Lines"])
    names = {plan.plan_id: plan.name for plan in made[1].plans}
    company = given.company
    taxed = company.egress_usd_per_month + company.support_usd_per_month
    band = tables.setting("price_band")
    outcomes = {outcome.plan.plan_id: outcome for outcome in study.outcomes.values()}
    for plan_id, name in names.items():
        if plan_id not in outcomes:
            # A hybrid is committed in place of the one by the hour.
            assert given.commitment is not None
            continue
        outcome, row = outcomes[plan_id], plans[name]
        if given.commitment is not None and outcome.plan.is_committed:
            continue
        month = study.usd_per_month(outcome)
        assert row["Bill [$ a month]"] == pytest.approx(month), name
        own = study.bill(outcome).lines_per_month(study.hours_per_month)
        for line, usd in own.items():
            found = lines[name][LINE_HEADS[line]]
            assert found == pytest.approx(usd, rel=1e-9, abs=1e-9), (name, line)
        assert row["All in, with tax [$ a month]"] == pytest.approx(
            (month + taxed) * (1 + company.tax_rate) + company.staff_usd_per_month
        )
        for head, factor in (("lower", 1 - band), ("higher", 1 + band)):
            assert row[f"Bill at {head} prices [$ a month]"] == pytest.approx(
                study.usd_per_month(outcome, factor)
            )
        assert bool(row["Within the limit (1)"]) == (
            outcome.plan.family.is_buyable and outcome.latency.p99_ttft_s <= study.limit_s
        )
    if given.commitment is None:
        ranked = {row["Rank among those"]: name for name, row in plans.items()}
        first = plans[ranked[1]]
        within = study.verdict.cheapest_within
        assert first["Bill [$ a month]"] == pytest.approx(within.usd_per_month)
        headline = book["Options"]["A2"].value
        assert f"{within.usd_per_month:,.2f} a month" in headline
        assert ranked[1] in headline
        cheapest = labelled(book["Options"])["Cheapest within the limit"]
        assert cheapest[0] == "Bill [$ a month]"


@pytest.mark.parametrize("change", CHANGES)
def test_plans_side_by_side_follow_as_in_the_record(change, computed, simulated):
    """A year of the record's own figures: the bill, beside it, tax; per request and per token."""
    given = app_of(simulated, **CHANGES[change][1])
    options = labelled(computed[1][change]["Options"])
    rival = simulated_rival(app_of(simulated).study)
    columns = columns_of(given.study, rival, given.company)
    by_id = {column.figures.plan_id: column for column in columns}
    own = by_id[rival].figures
    year = own.usd_per_year
    bills = [cell for label, cell in rows_of(computed[1][change]["Options"], "The bill")]
    assert bills[0][2] == pytest.approx(own.usd_per_month)
    assert bills[1][2] == pytest.approx(year)
    assert options["All in, a year"][2] == pytest.approx(own.all_in_usd_per_year)
    assert options["1,000 requests"][2] == pytest.approx(own.usd_per_1k_requests)
    assert options["A million tokens, prompt and output"][2] == pytest.approx(own.usd_per_mtok)
    if given.commitment is None:
        assert bills[1][3] == pytest.approx(year)
        return
    committed = next(c.figures for c in columns if c.outcome.plan.is_committed)
    assert bills[0][3] == pytest.approx(committed.usd_per_month)
    assert bills[1][3] == pytest.approx(committed.usd_per_year)
    bound = committed.commitment
    # No column that holds the limit is cheaper than what the headline names, unless it says so.
    headline = computed[1][change]["Options"]["A2"].value
    assert f"costs ${committed.usd_per_month:,.2f} a month." in headline
    assert options["Term [months]"][3] == given.commitment.term_months
    assert options["Committed over the term [$]"][3] == pytest.approx(bound.total_usd)
    assert options["Paid at its start [$]"][3] == pytest.approx(bound.upfront_usd)
    sheet = computed[1][change]["Commitment"]
    paid = [
        row[2]
        for row in sheet.iter_rows(min_row=HEAD_ROW, values_only=True)
        if isinstance(row[0], int | float)
    ]
    assert len(paid) == 36
    assert paid[:12] == pytest.approx(list(committed.cash_usd[:12]))


def rows_of(sheet, label):
    return [
        (row[0].value, [cell.value for cell in row[1:]])
        for row in sheet.iter_rows()
        if row[0].value == label
    ]


def simulated_rival(study):
    return study.verdict.rival.plan_id


def test_growth_lies_between_levels_that_the_app_simulates(computed, simulated, made):
    """At a level the bill is that of the simulated traffic; between two, on the line of them."""
    sheet = computed[1]["growth"]["Growth"]
    study = app_of(simulated).study
    shipped = made[1].shipped
    plan = study.outcomes[shipped.plan_id].plan
    levels = [0.5, 1.0, 2.0, 4.0, 8.0]
    usd = []
    for level in levels:
        trace = scale_rate(simulated.trace, level, 0, TABLES)
        (outcome,) = simulate_plans([plan], trace, TABLES)
        usd.append(study.usd_per_month(outcome))
    rows = [[cell.value for cell in row] for row in sheet.iter_rows()]
    column = next(
        place
        for place, head in enumerate(rows[3])
        if head == f"{shipped.name}: bill [$ this month]"
    )
    table_rows = {row[1]: row[column] for row in rows if str(row[0]).startswith("level")}
    for level, found in zip(levels, usd, strict=True):
        assert table_rows[level] == pytest.approx(found), level
    factors = sorted(table_rows)
    for row in rows[4:40]:
        month, traffic = row[0], row[1]
        assert traffic == pytest.approx(1.08 ** (month - 1))
        if traffic > 8.0:
            assert row[column] in ("", None)
        else:
            expected = np.interp(traffic, factors, [table_rows[one] for one in factors])
            assert row[column] == pytest.approx(expected)
    sums = {row[0]: row[column] for row in rows if str(row[0]).endswith(" months")}
    assert sums["12 months"] == pytest.approx(sum(row[column] for row in rows[4:16]))
    assert sums["36 months"] == "beyond what was simulated"


def test_the_bill_of_a_hybrid_adds_up_over_its_meters(computed):
    """Every line of both offers, from formulas over the meters."""
    report, _ = evil_workbook()
    cells = labelled(computed[1]["evil"]["Bill"])
    months = report.basis.months
    own = {pool.is_base: pool_lines(pool, months) for pool in report.basis.pools}
    for line in LINES:
        head = line[:1].upper() + line[1:]
        assert cells[head][2] == pytest.approx(report.bill.lines[line], rel=1e-9, abs=1e-9), line
        if line not in ("fees", "storage"):
            assert cells[head][1] == pytest.approx(own[True].get(line, 0.0)), line
    assert cells["Total"][2] == pytest.approx(report.bill.usd_span)
    assert cells["Total"][3] == pytest.approx(
        report.bill.usd_per_month(report.basis.hours_per_month)
    )
    assert cells["A year"][0] == pytest.approx(report.units_of_cost["year"])
    assert cells["Tokens for a dollar"][0] == pytest.approx(
        report.bill.tokens_per_usd(report.tokens)
    )
    assert cells["A month in EUR"][0] == pytest.approx(0.91 * cells["Total"][3])


def test_only_our_own_cells_are_formulas(made):
    """Whatever a user typed is a string, and no formula holds a text of theirs."""
    report, content = evil_workbook()
    book = openpyxl.load_workbook(io.BytesIO(content))
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row]
    formulas = [cell.value for cell in cells if cell.data_type == "f"]
    evil = ("HYPERLINK", "cmd|", "1+1", "<script>", "@SUM")
    assert not [text for text in formulas for bad in evil if bad in text]
    assert not {cell.parent.title for cell in cells if cell.data_type == "f"} & {
        "Assumptions",
        "Sources",
    }
    strings = {cell.value for cell in cells if cell.data_type == "s"}
    assert {row["label"] for row in report.plans.to_dict("records")} <= strings
    assert "@SUM(1)" in strings


def test_a_plan_that_never_ran_has_a_workbook_too():
    """No meters, no requests: formulas over nothing, and no division by zero."""
    report, _ = evil_workbook()
    week = hybrid_week(is_empty=True)
    empty = dataclasses.replace(report, bill=bill(week), basis=week, tokens=0, company=NOBODY)
    prices = prices_of([week], TABLES)
    plan = PlanUsage(
        "Empty",
        "hybrid",
        "hybrid",
        math.nan,
        math.inf,
        0.0,
        0,
        0,
        week.storage_gb,
        pools_of(week, prices),
    )
    found = Quantities(tuple(prices.values()), (plan,), plan, None, None)
    content = workbook(empty, found)
    book = openpyxl.load_workbook(io.BytesIO(content), data_only=True)
    cells = labelled(book["Bill"])
    assert cells["Total"][2] == pytest.approx(empty.bill.usd_span)
    assert cells["1,000 requests"][0] in (None, "")
    assert "No plan here holds" in book["Options"]["A2"].value


def test_too_many_meters_leave_their_sums(made):
    """A sheet has an end: beyond the setting hours stand as numbers, and the bill is the same."""
    report, found = made
    few = dataclasses.replace(found, most_meters=0)
    book = openpyxl.load_workbook(io.BytesIO(workbook(report, few)), data_only=True)
    assert "too many" in book["Meters"]["A2"].value
    whole = openpyxl.load_workbook(io.BytesIO(workbook(report, found)), data_only=True)
    assert labelled(book["Bill"])["Total"] == labelled(whole["Bill"])["Total"]


def test_sheets_print_on_one_page_wide_with_heads_and_numbers(made):
    """Landscape, print area, repeated heads, page numbers; widths and heads of numbers are set."""
    book = openpyxl.load_workbook(io.BytesIO(workbook(*made)))
    for sheet in book:
        assert sheet.page_setup.orientation == "landscape", sheet.title
        assert sheet.page_setup.fitToWidth in (None, 1, 2), sheet.title
        assert sheet.print_area, sheet.title
        assert sheet.print_title_rows, sheet.title
        assert re.search("&P", sheet.oddFooter.right.text), sheet.title
    heads = [cell for cell in book["Plans"][HEAD_ROW]]
    assert [cell.value for cell in heads] == list(HEADS)
    assert all(cell.alignment.horizontal == "right" for cell in heads[2:])
    assert all("[$ a month]" in head for head in LINE_HEADS.values())


def test_names_of_plans_are_told_apart():
    """A spreadsheet looks plans up by name: capitals do not tell apart, and * matches anything."""
    names = named_plans([("A*b?", "one"), ("a b", "two"), ("", "three")])
    assert len({name.casefold() for name in names}) == 3
    assert not set("*?~") & set("".join(names))
