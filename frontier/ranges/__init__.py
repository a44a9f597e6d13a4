"""How sure a figure is: ranges of cost and p99, by what they come from."""

from frontier.ranges.facts import (
    HOLDS,
    INPUTS,
    LUCK,
    MISSES,
    NOT_SURE,
    Difference,
    PlanRange,
    Range,
    Ranges,
    beyond,
    beyond_in_words,
    few_beyond,
    range_about,
    range_of,
)
from frontier.ranges.luck import luck_ranges

__all__ = [
    "HOLDS",
    "INPUTS",
    "LUCK",
    "MISSES",
    "NOT_SURE",
    "Difference",
    "PlanRange",
    "Range",
    "Ranges",
    "beyond",
    "beyond_in_words",
    "few_beyond",
    "luck_ranges",
    "range_about",
    "range_of",
]
