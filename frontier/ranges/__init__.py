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
    range_of,
)

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
    "range_of",
]
