"""Growth: cost, waits and replicas month by month, and what several traces cost together.

`plan` is what traffic and prices become, `futures` simulates it, `lines` says which plans matter in
a month, `months` bills them into a `table`, and `words` says what that comes to.
"""

from frontier.growth.futures import Futures, Level
from frontier.growth.months import over_months
from frontier.growth.plan import GrowthPlan, Launch, PriceStep
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
from frontier.growth.words import LINE_WORDS, budget, headline, notes, sentences, turns

__all__ = [
    "ALWAYS_ON",
    "CHEAPEST",
    "KEPT",
    "LINES",
    "LINE_WORDS",
    "SHIPPED",
    "Futures",
    "GrowthPlan",
    "GrowthTable",
    "Launch",
    "Level",
    "Month",
    "MonthPoint",
    "PriceStep",
    "YearOfLine",
    "budget",
    "headline",
    "notes",
    "over_months",
    "sentences",
    "turns",
]
