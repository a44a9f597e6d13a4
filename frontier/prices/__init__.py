"""A price table that somebody uploads: read, checked row by row, never half-loaded.

Three formats are told apart by their header: a plain table that needs no more than provider, GPU,
price and unit (`own`); a gpuhunt catalogue and a SkyPilot ``vms.csv`` (`catalogues`). `sheet`
turns bytes into cells, `gpu_names` finds the GPU that is meant, `upload` makes offers of it. What
a price list does not say (billed stages, increments, idle windows) comes from the provider's
rules in data/, or from the cautious rules for unknown providers. A wrong cell refuses the whole
table and says where; a strange one is kept and said. Rows that no plan could use (no GPU, part of
a GPU, an unknown GPU) are left out and counted. Nothing is fetched: exchange rates are the user's.
"""

from frontier.prices.age import (
    NOT_SOLD,
    age_days,
    days_left,
    going_stale,
    origin_in_words,
    stale_at_release,
    stale_in_words,
    staleness,
)
from frontier.prices.columns import REQUIRED
from frontier.prices.upload import (
    FORMATS,
    PriceUpload,
    read_prices,
    with_prices,
)
from frontier.prices.who_sells import hosting_of, security_of

__all__ = [
    "FORMATS",
    "NOT_SOLD",
    "REQUIRED",
    "PriceUpload",
    "age_days",
    "days_left",
    "going_stale",
    "hosting_of",
    "origin_in_words",
    "read_prices",
    "security_of",
    "stale_at_release",
    "stale_in_words",
    "staleness",
    "with_prices",
]
