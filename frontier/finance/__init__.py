"""Plans as finance reads them: figures by month, year and years, terms, cash; plans side by side.

`figures` is arithmetic on what a bill is computed from; `columns` picks the plans of a study that
a record sets beside each other.
"""

from frontier.finance.columns import Column, columns_of, figures_of
from frontier.finance.figures import (
    MONTHS_PER_YEAR,
    Commitment,
    CommitmentTerms,
    Figures,
    amortised_by_month,
    cash_by_month,
    committed_usd_per_year,
    figures,
    usd_per_year,
    year_bill,
    year_factor,
)

__all__ = [
    "MONTHS_PER_YEAR",
    "Column",
    "Commitment",
    "CommitmentTerms",
    "Figures",
    "amortised_by_month",
    "cash_by_month",
    "columns_of",
    "committed_usd_per_year",
    "figures",
    "figures_of",
    "usd_per_year",
    "year_bill",
    "year_factor",
]
