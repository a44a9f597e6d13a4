"""What a range holds: bounds, what they were taken from, and what they leave out.

Two kinds are told apart and never added: *luck*, other traffic of the same kind and other starts
(`frontier.ranges.luck`), and *inputs*, what is assumed or known within bounds alone. Both come
from replications: what a plan costs and how long requests wait, each time. All plans of a
replication share its traffic, its starts and its inputs, so the n-th values of two plans belong
together, and a difference of two plans has a range of its own.

This module draws nothing and simulates nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from frontier import spell
from frontier.errors import InputError

LUCK, INPUTS = "luck", "inputs"
HOLDS, MISSES, NOT_SURE = "holds", "misses", "not sure"


@dataclass(frozen=True, slots=True)
class Range:
    """Bounds of a quantity, in its unit; the upper one may be infinite."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise InputError(f"A range runs upwards, got {self.low!r} to {self.high!r}")

    def crosses(self, limit: float) -> bool:
        """Whether a limit, which what equals it holds, lies inside."""
        return self.low <= limit < self.high

    def state(self, limit: float) -> str:
        """Return whether all of it holds a limit, misses it, or that this is not sure."""
        if self.high <= limit:
            return HOLDS
        return NOT_SURE if self.low <= limit else MISSES


def range_of(values: ArrayLike, tail: float) -> Range:
    """Return the range between the two tails of some values; infinite ones sort last.

    Parameters
    ----------
    values : array_like, shape (n,)
    tail : float
        Share of the values below it, and above it. [1]
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    if not ordered.size or math.isnan(ordered[-1]):
        raise InputError("A range needs at least one value, and none that is not a number.")
    low, high = (_between(ordered, share) for share in (tail, 1.0 - tail))
    return Range(low, high)


def range_about(values: ArrayLike, figure: float, multiple: float) -> Range:
    """Return the range of some values between two ranks about that of a figure; it is inside.

    Where the values are normal and the figure is one more of them, that is the figure less and
    plus so many standard deviations; where they are not, it is what did happen, and never a value
    in between.

    Parameters
    ----------
    values : array_like, shape (n,)
        What came of replications.
    figure : float
        What is shown, in the same unit.
    multiple : float
        Standard deviations either way.
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    if not ordered.size or math.isnan(ordered[-1]):
        raise InputError("A range needs at least one value, and none that is not a number.")
    least = 0.5 / ordered.size
    rank = (np.mean(ordered < figure) + np.mean(ordered <= figure)) / 2
    normal = NormalDist()
    at = normal.inv_cdf(min(max(float(rank), least), 1.0 - least))
    low, high = (_between(ordered, normal.cdf(at + side)) for side in (-multiple, multiple))
    return Range(min(low, figure), max(high, figure))


def _between(ordered: NDArray[np.float64], share: float) -> float:
    """Return a quantile by the rule (n + 1) p, and never a NaN between infinities."""
    at = min(max(share * (ordered.size + 1) - 1.0, 0.0), ordered.size - 1.0)
    below = math.floor(at)
    part = at - below
    low, high = float(ordered[below]), float(ordered[min(below + 1, ordered.size - 1)])
    return low if part == 0.0 or low == high else low + part * (high - low)


@dataclass(frozen=True, slots=True, eq=False)
class PlanRange:
    """What a plan came to in every replication, and the ranges of that.

    Attributes
    ----------
    plan_id : str
    usd_each, p99_each_s : ndarray, shape (n,)
        Dollars a month and p99 TTFT of each replication; the latter infinite where more than one
        request in a hundred was refused. [$/month], [s]
    usd_per_month, p99_ttft_s : Range
        [$/month], [s]
    p50_ttft_s, waited_on_start_share : Range or None
        Where they were looked at. [s], [1]
    """

    plan_id: str
    usd_each: NDArray[np.float64]
    p99_each_s: NDArray[np.float64]
    usd_per_month: Range
    p99_ttft_s: Range
    p50_ttft_s: Range | None = None
    waited_on_start_share: Range | None = None

    @property
    def is_open(self) -> bool:
        """Whether requests are too few for an upper end of the p99: none of it is a refusal."""
        return math.isinf(self.p99_ttft_s.high) and bool(np.isfinite(self.p99_each_s).all())

    def holds_share(self, limit_s: float) -> float:
        """Return the share of the replications that hold a limit on p99 TTFT [1]."""
        return float(np.mean(self.p99_each_s <= limit_s))

    def state(self, limit_s: float) -> str:
        """Return ``HOLDS``, ``MISSES`` or ``NOT_SURE`` for a limit on p99 TTFT."""
        return self.p99_ttft_s.state(limit_s)


@dataclass(frozen=True, slots=True)
class Difference:
    """What one plan costs more than another, in the same replications.

    Attributes
    ----------
    usd_per_month : Range
        First less second. [$/month]
    cheaper_share : float
        Share of the replications in which the first costs less. [1]
    """

    usd_per_month: Range
    cheaper_share: float


@dataclass(frozen=True, slots=True, eq=False)
class Ranges:
    """The ranges of the plans that matter.

    Attributes
    ----------
    kind : {"luck", "inputs"}
        What was varied.
    level : float
        Share of cases in which the truth should lie inside. [1]
    tail : float
        Share of the replications that was left out at either end: less than half of 1 - level
        where few days stand behind them. [1]
    plans : mapping of str to PlanRange
        By plan; empty where no range can be given.
    replications : int
    how : str
        What was drawn anew, as a sentence.
    refused : str
        Why no range can be given, as a sentence; empty where there is one.
    """

    kind: str
    level: float
    tail: float
    plans: Mapping[str, PlanRange] = field(default_factory=dict)
    replications: int = 0
    how: str = ""
    refused: str = ""

    def difference(self, plan_id: str, other_id: str) -> Difference | None:
        """Return what a plan costs more than another; None where one of them has no range."""
        if plan_id not in self.plans or other_id not in self.plans:
            return None
        usd = self.plans[plan_id].usd_each - self.plans[other_id].usd_each
        return Difference(range_of(usd, self.tail), float(np.mean(usd < 0.0)))


def few_beyond(requests: int, few: float, percents: Iterable[float] = (99.0,)) -> dict[float, int]:
    """Return how many requests lie beyond each percentile, for those with fewer than ``few``."""
    counts = {percent: beyond(requests, percent) for percent in percents}
    return {percent: count for percent, count in counts.items() if count < few}


def beyond_in_words(counts: Mapping[float, int]) -> str:
    """Return how few requests lie beyond percentiles as a sentence; empty for none."""
    if not counts:
        return ""
    told = []
    # Percentiles with as many beyond them are said together: of few requests none is beyond any.
    for count in dict.fromkeys(counts.values()):
        names = [f"the p{percent:g}" for percent, found in counts.items() if found == count]
        one_of = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
        if not count:
            one_of = one_of.replace(" and ", " or ")
        told.append(
            f"{'no request' if not count else spell.count(count, 'request')} "
            f"{'lie' if count > 1 else 'lies'} beyond {one_of}"
        )
    whole = " and ".join(told)
    said = whole if next(iter(counts.values())) == 0 else f"only {whole}"
    are = "it is" if len(counts) == 1 else "they are"
    return f"{said[:1].upper()}{said[1:]}: {are} uncertain."


def beyond(requests: int, percent: float = 99.0) -> int:
    """Return how many of so many requests lie beyond an observed percentile."""
    # As percentiles are taken: the value at rank ceil(q n).
    return requests - math.ceil(percent / 100.0 * requests)
