"""Plans as finance reads them: figures by month, year and years, terms, cash; plans side by side.

`figures` is arithmetic on what a bill is computed from; `columns` picks the plans of a study that
a record sets beside each other, `spread` says how far one moves with prices, starts and traffic,
`priced` which prices are in them and how old, `used` what of a plan is used, against an API.
"""

from frontier.finance.columns import Column, cheaper_in_words, columns_of, figures_of
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
from frontier.finance.priced import Priced, prices_of
from frontier.finance.spread import Spread, spread_of
from frontier.finance.used import (
    ApiCost,
    Used,
    apis_of,
    break_even_per_day,
    used_in_words,
    used_of,
)

__all__ = [
    "MONTHS_PER_YEAR",
    "ApiCost",
    "Column",
    "Commitment",
    "CommitmentTerms",
    "Figures",
    "Priced",
    "Spread",
    "Used",
    "amortised_by_month",
    "apis_of",
    "break_even_per_day",
    "cash_by_month",
    "cheaper_in_words",
    "columns_of",
    "committed_usd_per_year",
    "figures",
    "figures_of",
    "prices_of",
    "spread_of",
    "usd_per_year",
    "used_in_words",
    "used_of",
    "year_bill",
    "year_factor",
]
