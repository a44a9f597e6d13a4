"""Growth: cost, waits and replicas month by month, and what several traces cost together.

`plan` is what traffic and prices become, `futures` simulates it, `lines` says which plans matter in
a month, `months` bills them into a `table`, and `words` says what that comes to. `origins` says
what of a plan is whose where several traces share it.
"""

from frontier.growth.futures import Futures, Level
from frontier.growth.months import over_months
from frontier.growth.origins import (
    SPLIT_WORDS,
    Apart,
    OriginShare,
    ServedApart,
    by_origin,
    origins_table,
    served_apart,
    sharing_in_words,
)
from frontier.growth.plan import GrowthPlan, Launch, PriceStep, hours_of_week
from frontier.growth.table import (
    ALWAYS_ON,
    CHEAPEST,
    KEPT,
    LINES,
    SHIPPED,
    GrowthTable,
    Month,
    MonthPoint,
    YearOfLine,
)
from frontier.growth.words import (
    LINE_WORDS,
    about_sample,
    budget,
    caution,
    headline,
    notes,
    sentences,
    turns,
)

__all__ = [
    "ALWAYS_ON",
    "CHEAPEST",
    "KEPT",
    "LINES",
    "LINE_WORDS",
    "SHIPPED",
    "SPLIT_WORDS",
    "Apart",
    "Futures",
    "GrowthPlan",
    "GrowthTable",
    "Launch",
    "Level",
    "Month",
    "MonthPoint",
    "OriginShare",
    "PriceStep",
    "ServedApart",
    "YearOfLine",
    "about_sample",
    "budget",
    "by_origin",
    "caution",
    "headline",
    "hours_of_week",
    "notes",
    "origins_table",
    "over_months",
    "sentences",
    "served_apart",
    "sharing_in_words",
    "turns",
]
