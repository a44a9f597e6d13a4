"""Figures of finance by closed form: a year of 8,760 hours, terms, cash, tax, currencies."""

from __future__ import annotations

import dataclasses
import datetime as dt
import math

import numpy as np
import pytest

from frontier.billing import Contract, Terms, Usage, bill, bill_basis
from frontier.company import FIELDS, NOBODY, Company, Currency, company_of
from frontier.errors import InputError
from frontier.finance import (
    Commitment,
    CommitmentTerms,
    amortised_by_month,
    cash_by_month,
    committed_usd_per_year,
    figures,
    usd_per_year,
)
from frontier.policy import ScalingPolicy
from frontier.scope import NOT_BILLED, not_included
from frontier.simulate import session_type
from frontier.tables import load_tables

TABLES = load_tables()
WEEK_S = 7 * 86_400.0
MACHINE = TABLES.offers["crusoe-l40s"]


def always_on(*, discount=None, up_share=1.0, offer=MACHINE, term=12, upfront=0.0, hours=730.0):
    """Make the basis of one machine for a week, under a commitment if there is a discount."""
    sessions = np.zeros(1, dtype=session_type(0))
    sessions["ended_s"] = up_share * WEEK_S
    sessions["busy_s"] = sessions["idle_s"] = up_share * WEEK_S / 2
    sessions["cold_start_index"] = -1
    usage = Usage(
        sessions=sessions,
        stage_s=np.zeros((1, 10)),
        gpus_per_replica=1,
        horizon_s=WEEK_S,
        policy=ScalingPolicy(min_replicas=1, max_replicas=1, idle_timeout_s=math.inf),
        requests=1000,
    )
    commitment = None
    if discount is not None:
        commitment = dataclasses.replace(
            TABLES.commitments["preset-20"],
            discount=discount,
            term_months=term,
            upfront_share=upfront,
        )
    contract = Contract(offer, TABLES.rules_of(offer), Terms(commitment=commitment))
    basis = bill_basis(usage, contract, TABLES)
    return dataclasses.replace(basis, hours_per_month=hours)


def found(basis, company=NOBODY, terms=None, **how):
    """Return its figures."""
    return figures(
        basis,
        plan=("dedicated-1", "1 × L40S", "always on"),
        tokens=2_000_000,
        company=company,
        hours_per_year=8760.0,
        terms=terms,
        **how,
    )


@pytest.mark.parametrize("hours", [672.0, 720.0, 730.0, 744.0])
def test_a_year_is_8760_hours_whatever_a_month_has(hours):
    """One machine by the hour costs its price times 8,760 a year, and times the hours a month."""
    own = found(always_on(hours=hours))
    assert own.usd_per_month == pytest.approx(MACHINE.usd_per_gpu_h * hours)
    assert own.usd_per_year == pytest.approx(MACHINE.usd_per_gpu_h * 8760)
    assert math.fsum(own.cash_usd) == pytest.approx(own.usd_per_year)
    assert own.usd_per_1k_requests == pytest.approx(MACHINE.usd_per_gpu_h * 168)
    assert own.usd_per_mtok == pytest.approx(MACHINE.usd_per_gpu_h * 168 / 2)


@pytest.mark.parametrize("hours", [672.0, 744.0])
def test_a_monthly_fee_is_paid_twelve_times_a_year(hours):
    """However long a month is counted, a year has twelve of its fees and of its credits."""
    basis = always_on(hours=hours)
    pool = dataclasses.replace(basis.pools[0], fee_usd_per_month=250.0, credit_usd_per_month=100.0)
    basis = dataclasses.replace(basis, pools=(pool,))
    assert usd_per_year(basis, 8760.0) == pytest.approx(MACHINE.usd_per_gpu_h * 8760 + 12 * 150)


@pytest.mark.parametrize("discount", [0.0, 0.2, 0.57])
def test_a_discount_changes_every_amount(discount):
    """A machine that is always up costs its price less the discount, and all of it is committed."""
    basis = always_on(discount=discount)
    own = found(basis, terms=CommitmentTerms("c", 12, 0.0))
    year = MACHINE.usd_per_gpu_h * (1 - discount) * 8760
    assert own.usd_per_year == pytest.approx(year)
    assert own.usd_per_month == pytest.approx(year / 12)
    assert own.usd_per_1k_requests == pytest.approx(year / 8760 * 168)
    assert own.commitment.total_usd == pytest.approx(year)


def test_what_is_committed_is_paid_whether_used_or_not():
    """A committed machine that is up a quarter of the time binds to all of its hours."""
    basis = always_on(discount=0.35, up_share=0.25)
    committed = committed_usd_per_year(basis, 8760.0)
    assert committed == pytest.approx(MACHINE.usd_per_gpu_h * 0.65 * 8760)
    assert usd_per_year(basis, 8760.0) == pytest.approx(committed)


def test_a_reserved_price_is_committed_as_it_is():
    """At a price that is one for a commitment, all of the machine's hours are committed."""
    offer = TABLES.offers["aws-l40s-reserved-1y"]
    basis = always_on(offer=offer)
    own = found(basis, terms=CommitmentTerms("AWS", 12, None), is_reserved=True)
    assert own.commitment.total_usd == pytest.approx(offer.usd_per_gpu_h * 8760)
    # How much is paid upfront is not stated: when it is paid is not made up.
    assert own.cash_usd is None
    assert own.first_year_cash_usd is None
    assert math.fsum(own.amortised_usd) == pytest.approx(own.usd_per_year)


@pytest.mark.parametrize("years", [1, 2, 3, 5])
@pytest.mark.parametrize("term", [1, 12, 36])
@pytest.mark.parametrize("upfront", [0.0, 0.4, 1.0])
def test_the_cash_flow_adds_up_to_whole_commitments(years, term, upfront):
    """Paid and amortised are the same in the end; each term's payments are its total."""
    commitment = Commitment(CommitmentTerms("c", term, upfront), 100.0)
    months = 12 * years
    cash = cash_by_month(commitment, 7.0, months)
    spread = amortised_by_month(commitment, 7.0, months)
    assert len(cash) == len(spread) == math.ceil(months / term) * term
    terms = len(cash) // term
    assert math.fsum(cash) == pytest.approx(terms * commitment.total_usd + 7.0 * months)
    assert math.fsum(spread) == pytest.approx(math.fsum(cash))
    for first in range(0, len(cash), term):
        own = [usd - (7.0 if first + at < months else 0.0) for at, usd in enumerate(cash[first:])]
        assert math.fsum(own[:term]) == pytest.approx(commitment.total_usd)
        assert own[0] == pytest.approx(upfront * 100 * term + (1 - upfront) * 100)
    assert spread[0] == pytest.approx(107.0)


def test_a_commitment_that_outlasts_the_years_is_still_owed():
    """After one year of three, two thirds of what is paid by the month are left to be paid."""
    basis = always_on(discount=0.5, term=36, upfront=0.25)
    own = found(basis, terms=CommitmentTerms("c", 36, 0.25))
    year = MACHINE.usd_per_gpu_h * 0.5 * 8760
    assert own.commitment.total_usd == pytest.approx(3 * year)
    assert own.commitment.upfront_usd == pytest.approx(0.75 * year)
    assert own.first_year_cash_usd == pytest.approx(0.75 * year + 0.75 * year)
    assert own.owed_after_usd == pytest.approx(1.5 * year)


def test_tax_is_on_what_is_bought_and_own_lines_are_added():
    """Tax on bill, egress and support and not on staff; years are years of the same traffic."""
    company = Company(
        tax_rate=0.2,
        years=3,
        egress_usd_per_month=10.0,
        support_usd_per_month=20.0,
        staff_usd_per_month=1000.0,
    )
    own = found(always_on(), company)
    year = MACHINE.usd_per_gpu_h * 8760
    assert own.own_usd_per_year == pytest.approx(12 * 1030)
    assert own.tax_usd_per_year == pytest.approx(0.2 * (year + 12 * 30))
    assert own.all_in_usd_per_year == pytest.approx(year + 12 * 1030 + own.tax_usd_per_year)
    assert own.usd_over_years == pytest.approx(3 * year)
    assert own.all_in_usd_over_years == pytest.approx(3 * own.all_in_usd_per_year)
    assert found(always_on()).all_in_usd_per_year == pytest.approx(year)


def test_what_is_filled_in_is_not_called_left_out():
    """The one list loses what the person filled in, and nothing else."""
    company = Company(tax_rate=0.2, staff_usd_per_month=5.0)
    assert set(not_included()) - set(not_included(company)) == {"Tax", "Staff"}
    assert set(company.own_lines_usd_per_month) | {"Tax"} <= set(NOT_BILLED)


def test_a_company_is_read_back_from_the_choices_of_a_scenario():
    """Each field from its own choice; without any it is nobody's: dollars, no tax, one year."""
    assert company_of({"plan": "dedicated-1"}, TABLES) == NOBODY
    texts = ("Acme AG", "EUR", "0.92", "2026-11-20", "19.0", "3", "10", "20", "30", "Ana", "Bo")
    company = company_of(dict(zip(FIELDS.values(), texts, strict=True)), TABLES)
    assert company == Company(
        "Acme AG", Currency("EUR", 0.92, dt.date(2026, 11, 20)), 0.19, 3, 10, 20, 30, "Ana", "Bo"
    )
    assert company.currency.money(1000.0) == "EUR 920"


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"currency": "euro", "rate": "1", "rate_on": "2026-11-20"}, "three capital letters"),
        ({"currency": "EUR"}, "expected the rate of EUR"),
        ({"currency": "EUR", "rate": "0.9"}, "the date of the rate of EUR"),
        ({"currency": "EUR", "rate": "0.9", "rate_on": "20.11.26"}, "rate_on: expected a date"),
        ({"currency": "EUR", "rate": "-1", "rate_on": "2026-11-20"}, "rate: expected a number"),
        ({"currency": "EUR", "rate": "nan", "rate_on": "2026-11-20"}, "rate: expected a number"),
        ({"tax": "190"}, "tax: expected a number from 0 to 100, found '190'"),
        ({"tax": "19 %"}, "tax: expected a number"),
        ({"years": "1.5"}, "years: expected a whole number"),
        ({"years": "50"}, "years: expected a number from 1 to 5"),
        ({"staff": "-5"}, "staff: expected a number"),
        ({"company": "x" * 500}, "company: expected at most"),
        ({"approved_by": "a\x00b"}, "approved_by: expected plain text"),
    ],
)
def test_what_cannot_be_a_company_is_refused_in_words(choices, said):
    """The sentence names the choice, what was expected and what was found; no rate is made up."""
    with pytest.raises(InputError, match=said):
        company_of(choices, TABLES)


def test_a_year_is_not_read_off_a_month():
    """The bill itself is left as it was: only the hours counted to a month differ in a year's."""
    basis = always_on(hours=744.0)
    before = bill(basis)
    usd_per_year(basis, 8760.0)
    assert bill(basis) == before
