"""A plan of growth: what the traffic and the prices become, month by month.

A `GrowthPlan` is choices and no result. A month is as long as everywhere in the product,
``hours_per_month`` (730 h, a twelfth of 365 days), whatever its name; month 1 is the traffic as it
was read. What is left out: growth within a month, which is one rate from its first to its last day.
"""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass

from frontier.errors import InputError
from frontier.plans.scenario import OfficeHours
from frontier.tables import Tables
from frontier.units import SECONDS_PER_DAY, SECONDS_PER_HOUR

CALENDAR_MONTHS = 12
HOURS_OF_WEEK = 168
_HOURS_PER_DAY = SECONDS_PER_DAY / SECONDS_PER_HOUR


@dataclass(frozen=True, slots=True)
class Launch:
    """Something that brings traffic from the first day of a month on.

    Attributes
    ----------
    month : int
        From 1.
    factor : float
        Times the traffic of every month from then on [1].
    added_per_day : float
        Requests on top, which neither grow nor follow a season [1/day].
    fade_days : float or None
        Days over which both go back to nothing, evenly; None: they stay [day].

    Raises
    ------
    InputError
        If a value is out of range.
    """

    month: int
    factor: float = 1.0
    added_per_day: float = 0.0
    fade_days: float | None = None

    def __post_init__(self) -> None:
        _check_month("A launch", self.month)
        _check(0.0 < self.factor < math.inf, "The factor of a launch is above 0", self.factor)
        _check(
            0.0 <= self.added_per_day < math.inf,
            "A launch adds at least 0 requests a day",
            self.added_per_day,
        )
        if self.fade_days is not None:
            _check(
                0.0 < self.fade_days < math.inf,
                "A launch fades over more than 0 days",
                self.fade_days,
            )

    def share_left(self, month: int, days_per_month: float) -> float:
        """Return how much of it is there in a month, on average over its days [1]."""
        if month < self.month:
            return 0.0
        if self.fade_days is None:
            return 1.0
        # The mean of 1 - t / fade over the days of the month, as long as it is above 0.
        begin = (month - self.month) * days_per_month
        end = min(begin + days_per_month, self.fade_days)
        if end <= begin:
            return 0.0
        return (end - begin) * (1 - (begin + end) / (2 * self.fade_days)) / days_per_month


@dataclass(frozen=True, slots=True)
class PriceStep:
    """Metered prices that change with the first day of a month, and stay there.

    Attributes
    ----------
    month : int
        From 1.
    factor : float
        On GPU, cores and memory; fees and storage stay [1].
    offer_id : str or None
        One of the two offers of the scenario, on whatever shape of machine; None: both.

    Raises
    ------
    InputError
        If a value is out of range.
    """

    month: int
    factor: float
    offer_id: str | None = None

    def __post_init__(self) -> None:
        _check_month("A price step", self.month)
        _check(0.0 < self.factor < math.inf, "The factor of a price is above 0", self.factor)


@dataclass(frozen=True, slots=True)
class GrowthPlan:
    """What the traffic and its prices become over some months.

    Attributes
    ----------
    first : date
        A day of month 1; by it months have names, and seasons their place.
    months : int
        How many.
    per_month : float
        Growth from each month to the next [1].
    launches : tuple of Launch
    season : tuple of float
        Times the traffic as it was read, by calendar month from January; empty: none [1].
    hours : tuple of float
        Times the traffic by hour of the week, from Monday, 0 h UTC; empty: as it was read [1].
    hours_from : int
        First month in which ``hours`` are so.
    price_steps : tuple of PriceStep
    committed_until : int or None
        Last month in which the deal's commitment can be had; None: it stays.

    Raises
    ------
    InputError
        If a value is out of range; the message says what was expected.
    """

    first: dt.date
    months: int = CALENDAR_MONTHS
    per_month: float = 0.0
    launches: tuple[Launch, ...] = ()
    season: tuple[float, ...] = ()
    hours: tuple[float, ...] = ()
    hours_from: int = 1
    price_steps: tuple[PriceStep, ...] = ()
    committed_until: int | None = None

    def __post_init__(self) -> None:
        _check_month("A plan of growth", self.months)
        _check(-1.0 < self.per_month < math.inf, "Growth is above -100 % a month", self.per_month)
        _check_month("The hours of a week", self.hours_from)
        for name, factors, size in (
            ("calendar months", self.season, CALENDAR_MONTHS),
            ("hours of the week", self.hours, HOURS_OF_WEEK),
        ):
            if factors and len(factors) != size:
                raise InputError(f"Expected {size} factors for the {name}, found {len(factors)}.")
            for factor in factors:
                _check(0.0 <= factor < math.inf, f"A factor of the {name} is at least 0", factor)
        if self.committed_until is not None and self.committed_until < 0:
            raise InputError(
                "The last month of a commitment is at least 0 (none), found "
                f"{self.committed_until}."
            )

    def named(self, month: int) -> str:
        """Return the name of a month: "March 2027"."""
        return f"{self.date(month):%B %Y}"

    def date(self, month: int) -> dt.date:
        """Return the first day of a month."""
        since = self.first.year * CALENDAR_MONTHS + self.first.month - 1 + month - 1
        return dt.date(since // CALENDAR_MONTHS, since % CALENDAR_MONTHS + 1, 1)

    def factor(self, month: int, requests_per_day: float, hours_per_month: float) -> float:
        """Return the traffic of a month, times the traffic as it was read [1].

        Parameters
        ----------
        requests_per_day : float
            Of the traffic as it was read [1/day].
        hours_per_month : float
            [h]

        Raises
        ------
        InputError
            If nothing would be left of it.
        """
        days = hours_per_month / _HOURS_PER_DAY
        factor = (1.0 + self.per_month) ** (month - 1)
        if self.season:
            factor *= self.season[self.date(month).month - 1]
        added_per_day = 0.0
        for launch in self.launches:
            left = launch.share_left(month, days)
            factor *= 1.0 + (launch.factor - 1.0) * left
            added_per_day += launch.added_per_day * left
        factor += added_per_day / requests_per_day
        if not 0.0 < factor < math.inf:
            raise InputError(
                f"{self.named(month)} would have {factor:g} times the traffic: expected above 0, "
                "for without a request there is no wait to look at. Choose a small factor for its "
                "season, such as 0.01."
            )
        # 1 that came out of a product is 1 again, and equal months are simulated once.
        return float(f"{factor:.9g}")

    def hours_in(self, month: int) -> tuple[float, ...]:
        """Return the factors by hour of the week in a month; empty where there are none."""
        return self.hours if month >= self.hours_from else ()

    def price_factor(self, month: int, offer_id: str) -> float:
        """Return what the metered prices of an offer are multiplied by in a month [1]."""
        steps = (step for step in self.price_steps if step.month <= month)
        return math.prod(step.factor for step in steps if step.offer_id in (None, offer_id))


def hours_of_week(
    office: OfficeHours, busy: float, rest: float, others: float
) -> tuple[float, ...]:
    """Return a factor for each hour of the week, from Monday, 0 h UTC.

    Parameters
    ----------
    office : OfficeHours
        An hour belongs to them if it begins within them.
    busy, rest, others : float
        In office hours, at other hours of their days, and on other days [1].
    """
    per_day = int(_HOURS_PER_DAY)
    return tuple(
        (busy if office.from_h <= hour % per_day < office.to_h else rest)
        if hour // per_day < office.days
        else others
        for hour in range(HOURS_OF_WEEK)
    )


def check_bounds(growth: GrowthPlan, tables: Tables) -> None:
    """Refuse a plan of growth that is out of the range of data/settings.csv.

    Raises
    ------
    InputError
        The message says what was expected, and what was found.
    """
    for name, value, what in (
        ("growth_months", growth.months, "months"),
        ("growth_per_month", growth.per_month, "growth a month"),
        *(("growth_launch_factor", one.factor, "factor of a launch") for one in growth.launches),
        *(("growth_price_factor", one.factor, "factor of prices") for one in growth.price_steps),
        *(("growth_season_factor", one, "factor of a season") for one in growth.season),
        *(("growth_season_factor", one, "factor of an hour") for one in growth.hours),
    ):
        low, high = tables.settings[name].bounds
        if not low <= value <= high:
            raise InputError(f"Expected {what} from {low:g} to {high:g}, found {value:g}.")


def _check_month(what: str, month: int) -> None:
    if month < 1 or month != int(month):
        raise InputError(f"{what} has a whole number of months from 1, found {month}.")


def _check(is_right: bool, expected: str, found: float) -> None:
    if not is_right:
        raise InputError(f"{expected}, found {found:g}.")
