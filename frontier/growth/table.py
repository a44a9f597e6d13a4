"""What a table of months holds: frozen facts with their units, and no sentence of its own."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from frontier.growth.plan import GrowthPlan
from frontier.verdict import PlanFacts

SHIPPED, ALWAYS_ON, KEPT, CHEAPEST = "shipped", "always-on", "kept", "cheapest"
LINES = (SHIPPED, ALWAYS_ON, KEPT, CHEAPEST)
"""The lines, in the order in which they are listed."""


@dataclass(frozen=True, slots=True)
class MonthPoint:
    """What one line costs and does in one month.

    Attributes
    ----------
    line : str
        One of `LINES`.
    month : int
        From 1.
    plan : PlanFacts
        Which plan it is there, at the prices of that month.
    usd, usd_low, usd_high : float
        Dollars of the month: mean, least and most over the draws of the traffic [$].
    usd_price_low, usd_price_high : float
        The mean with every metered price off by the price band [$].
    p99_ttft_s : float
        The longest over the draws [s].
    holds_limit : bool
        Whether that is within the limit: it is so in every draw.
    draws_held : int
        In how many of the draws it is.
    replicas : int
        The most there may be.
    """

    line: str
    month: int
    plan: PlanFacts
    usd: float
    usd_low: float
    usd_high: float
    usd_price_low: float
    usd_price_high: float
    p99_ttft_s: float
    holds_limit: bool
    draws_held: int
    replicas: int


@dataclass(frozen=True, slots=True)
class Month:
    """The traffic of a month, and the point of each line in it.

    Attributes
    ----------
    month : int
        From 1.
    first : date
        Its first day.
    factor : float
        Times the traffic as it was read [1].
    requests_per_day : float
        On average over it [1/day].
    points : mapping of str to MonthPoint
        By line; a line that has no plan there is missing.
    draws : int
        Of the traffic; 1 where nothing is drawn.
    is_interpolated : bool
        Whether it lies between two levels that were simulated, and was not itself.
    is_committed : bool
        Whether the deal's commitment can be had in it.
    is_changed : bool
        Whether other hours of the week or other prices than today's are in it.
    times : int
        How often the traffic was served in a row: more than once where little is left of it.
    """

    month: int
    first: dt.date
    factor: float
    requests_per_day: float
    points: Mapping[str, MonthPoint]
    draws: int
    is_interpolated: bool
    is_committed: bool
    is_changed: bool
    times: int = 1


@dataclass(frozen=True, slots=True)
class YearOfLine:
    """What a line costs over all months; None where it has no plan in one of them.

    ``usd`` is the mean, ``usd_low`` and ``usd_high`` least and most over the draws, each of which
    is one future from the first month to the last; the price band apart [$].
    """

    usd: float
    usd_low: float
    usd_high: float
    usd_price_low: float
    usd_price_high: float


@dataclass(frozen=True, slots=True)
class GrowthTable:
    """Months of a plan of growth.

    Attributes
    ----------
    growth : GrowthPlan
    months : tuple of Month
    years : mapping of str to YearOfLine
        By line.
    limit_s : float
        On p99 TTFT [s].
    hours_per_month : float
        [h]
    span_s : float
        Of the traffic as it was read [s].
    requests : int
        Of the traffic as it was read.
    price_band : float
        By how much metered prices are off in the price range [1].
    binding : tuple of (int, int, int)
        Commitments of the line `CHEAPEST`: first and last month, and replicas.
    """

    growth: GrowthPlan
    months: tuple[Month, ...]
    years: Mapping[str, YearOfLine]
    limit_s: float
    hours_per_month: float
    span_s: float
    requests: int
    price_band: float
    binding: tuple[tuple[int, int, int], ...]

    def line(self, name: str) -> tuple[MonthPoint, ...]:
        """Return the points of a line, month by month."""
        return tuple(month.points[name] for month in self.months if name in month.points)
