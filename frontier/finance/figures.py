"""What a plan costs in the units of finance: month, year, years, request, token; cash and terms.

A year is `hours_per_year` hours of the run repeated (8,760, so 52.14 of a week), and twelve monthly
fees: never a month of so many hours times twelve. A month of the cash flow is a twelfth of such a
year. What is committed is paid whether used or not, the share paid upfront at the start of the
term, the rest by the month at its beginning. Nothing is discounted over time, and traffic stays
as it is: how it may grow is another room.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

from frontier.billing import GPU_LINES, Bill, BillBasis, PoolBasis, bill, pool_lines
from frontier.company import Company
from frontier.units import SECONDS_PER_HOUR

MONTHS_PER_YEAR = 12


@dataclass(frozen=True, slots=True)
class CommitmentTerms:
    """What a buyer is bound to; None where the seller does not state it.

    Attributes
    ----------
    label : str
    term_months : int or None
    upfront_share : float or None
        Of the whole term, paid at its start. [1]
    """

    label: str
    term_months: int | None
    upfront_share: float | None


@dataclass(frozen=True, slots=True)
class Commitment:
    """A commitment of a plan in dollars.

    Attributes
    ----------
    terms : CommitmentTerms
    usd_per_month : float
        Committed, spread evenly over the term: a twelfth of a year. [$/month]
    """

    terms: CommitmentTerms
    usd_per_month: float

    @property
    def total_usd(self) -> float | None:
        """Of the whole term [$]; None where the term is not stated."""
        term = self.terms.term_months
        return None if term is None else self.usd_per_month * term

    @property
    def upfront_usd(self) -> float | None:
        """Paid at the start of the term [$]; None where term or share is not stated."""
        total, share = self.total_usd, self.terms.upfront_share
        return None if total is None or share is None else total * share

    @property
    def later_usd_per_month(self) -> float | None:
        """Paid at the beginning of each month of the term, beside what was paid upfront [$]."""
        share = self.terms.upfront_share
        return None if share is None else self.usd_per_month * (1 - share)


@dataclass(frozen=True, slots=True)
class Figures:
    """A plan in the units of finance, in dollars.

    Attributes
    ----------
    plan_id, label, detail : str
    usd_per_month : float
        Of the hours that the person counts to a month. [$/month]
    usd_per_year : float
        [$/year]
    usd_per_1k_requests, usd_per_mtok : float
        Over the span that was simulated; NaN without requests or tokens. [$]
    own_usd_per_year : float
        Egress, support and staff, as the person filled them in; 0 until then. [$/year]
    tax_usd_per_year : float
        On the bill, egress and support. [$/year]
    years : int
        Over how many years `usd_over_years` sums.
    commitment : Commitment or None
    cash_usd : tuple of float or None
        Of the bill alone, paid in each month of those years, and of commitments that outlast them;
        None where a seller does not state the term or the share paid upfront. [$]
    amortised_usd : tuple of float
        The same, with what is committed spread evenly over its term; of the same months. [$]
    """

    plan_id: str
    label: str
    detail: str
    usd_per_month: float
    usd_per_year: float
    usd_per_1k_requests: float
    usd_per_mtok: float
    own_usd_per_year: float
    tax_usd_per_year: float
    years: int
    commitment: Commitment | None
    cash_usd: tuple[float, ...] | None
    amortised_usd: tuple[float, ...]

    @property
    def usd_over_years(self) -> float:
        """The bill over the years, commitments spread over their terms [$]."""
        return self.usd_per_year * self.years

    @property
    def all_in_usd_per_year(self) -> float:
        """The bill, what is paid beside it, and the tax [$/year]."""
        return self.usd_per_year + self.own_usd_per_year + self.tax_usd_per_year

    @property
    def all_in_usd_over_years(self) -> float:
        """The same over the years [$]."""
        return self.all_in_usd_per_year * self.years

    @property
    def first_year_cash_usd(self) -> float | None:
        """Paid of the bill in the first year [$]."""
        return None if self.cash_usd is None else math.fsum(self.cash_usd[:MONTHS_PER_YEAR])

    @property
    def owed_after_usd(self) -> float | None:
        """Committed and still to be paid after the years [$]."""
        months = self.years * MONTHS_PER_YEAR
        return None if self.cash_usd is None else math.fsum(self.cash_usd[months:])


def year_bill(basis: BillBasis, hours_per_year: float) -> Bill:
    """Return the bill of a run with twelve months to a year; `year_factor` makes it a year's.

    Fees, credits and storage are by the calendar month, whatever hours are counted to a month.
    """
    return bill(dataclasses.replace(basis, hours_per_month=hours_per_year / MONTHS_PER_YEAR))


def year_factor(basis: BillBasis, hours_per_year: float) -> float:
    """Return how often the span fits a year [1]."""
    return hours_per_year * SECONDS_PER_HOUR / basis.horizon_s


def usd_per_year(basis: BillBasis, hours_per_year: float) -> float:
    """Return what a plan costs a year of the same traffic [$/year]."""
    return year_bill(basis, hours_per_year).usd_span * year_factor(basis, hours_per_year)


def committed_usd_per_year(
    basis: BillBasis, hours_per_year: float, *, is_reserved: bool = False
) -> float:
    """Return what of that is paid whether used or not [$/year].

    Parameters
    ----------
    is_reserved : bool
        Whether the price of the always-on machines is one for a commitment itself: then all of
        them is committed, cores and memory too. Else what is used under a discount, and what
        stays unused.
    """
    month = basis.months
    parts = []
    always_on = [pool for pool in basis.pools if pool.is_base] or list(basis.pools)
    for pool in always_on if is_reserved else basis.pools:
        lines = pool_lines(pool, month)
        if is_reserved:
            parts += [lines[name] for name in (*GPU_LINES, "CPU and RAM")]
        else:
            parts.append(_discounted_usd(pool) + lines["unused commitment"])
    return math.fsum(parts) * year_factor(basis, hours_per_year)


def _discounted_usd(pool: PoolBasis) -> float:
    """Return the dollars of the GPU time that a commitment covers, over the span [$]."""
    gpu_s = float(pool.meters.gpu_s.sum()) + pool.extra_start_gpu_s
    list_usd_per_gpu_s = pool.usd_per_gpu_h * pool.multiplier / SECONDS_PER_HOUR
    return gpu_s * pool.covered_share * list_usd_per_gpu_s * (1 - pool.discount)


def cash_by_month(
    commitment: Commitment | None, other_usd_per_month: float, months: int
) -> tuple[float, ...] | None:
    """Return what is paid in each month [$]; None where the seller does not state when.

    A commitment is entered into again, on the same terms, at the end of each term within these
    months. What then is owed beyond them follows them, month by month, without anything else; so
    what is paid for commitments adds up to whole terms.

    Parameters
    ----------
    other_usd_per_month : float
        Paid by use. [$/month]
    """
    if commitment is None:
        return (other_usd_per_month,) * months
    term, upfront = commitment.terms.term_months, commitment.upfront_usd
    later = commitment.later_usd_per_month
    if term is None or upfront is None or later is None:
        return None
    return tuple(
        later
        + (upfront if month % term == 0 else 0.0)
        + (other_usd_per_month if month < months else 0.0)
        for month in range(_months_bound(term, months))
    )


def amortised_by_month(
    commitment: Commitment | None, other_usd_per_month: float, months: int
) -> tuple[float, ...]:
    """Return the same with what is committed spread evenly over its term [$]."""
    committed = 0.0 if commitment is None else commitment.usd_per_month
    term = None if commitment is None else commitment.terms.term_months
    bound = months if term is None else _months_bound(term, months)
    return tuple(
        committed + (other_usd_per_month if month < months else 0.0) for month in range(bound)
    )


def _months_bound(term_months: int, months: int) -> int:
    return math.ceil(months / term_months) * term_months


def figures(
    basis: BillBasis,
    *,
    plan: tuple[str, str, str],
    tokens: int,
    company: Company,
    hours_per_year: float,
    terms: CommitmentTerms | None = None,
    is_reserved: bool = False,
) -> Figures:
    """Return a plan in the units of finance.

    Parameters
    ----------
    basis : BillBasis
        What its bill is computed from.
    plan : (str, str, str)
        Its id, label and detail.
    tokens : int
        Prompt and output tokens of the span.
    company : Company
        Years, tax, and what is paid beside the bill.
    hours_per_year : float
        [h]
    terms : CommitmentTerms, optional
        Of its commitment.
    is_reserved : bool
        As for `committed_usd_per_year`.
    """
    cost, year = bill(basis), usd_per_year(basis, hours_per_year)
    commitment, committed = None, 0.0
    if terms is not None:
        committed = committed_usd_per_year(basis, hours_per_year, is_reserved=is_reserved)
        commitment = Commitment(terms, committed / MONTHS_PER_YEAR)
    # A committed dollar and its copy in the year's total differ in their last bits.
    by_use = max(year - committed, 0.0) if committed else year
    months, other = company.years * MONTHS_PER_YEAR, by_use / MONTHS_PER_YEAR
    bought = company.bought_usd_per_month * MONTHS_PER_YEAR
    return Figures(
        *plan,
        usd_per_month=cost.usd_per_month(basis.hours_per_month),
        usd_per_year=year,
        usd_per_1k_requests=cost.usd_per_1k_requests(basis.requests),
        usd_per_mtok=cost.usd_per_mtok(tokens),
        own_usd_per_year=math.fsum(company.own_lines_usd_per_month.values()) * MONTHS_PER_YEAR,
        tax_usd_per_year=(year + bought) * company.tax_rate,
        years=company.years,
        commitment=commitment,
        cash_usd=cash_by_month(commitment, other, months),
        amortised_usd=amortised_by_month(commitment, other, months),
    )
