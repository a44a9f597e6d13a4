"""Percentiles of what is not kept: counts on a fine scale, and the longest values themselves.

A `Tally` counts values in classes whose width is a fixed share of them, so that any percentile is
known to within half of that share, however many values there are. Up to some number it keeps the
values and is exact; where it is told how many of the longest matter, it keeps those, and the
percentiles among them are exact as well. The order in which values come changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

# A class is told by this many bits of the fraction of a float: 2**-11 of it wide.
_BITS = 11
_SHIFT = 52 - _BITS
ERROR_SHARE = 2.0 ** -(_BITS + 1)
"""How far a percentile may be off where it is not exact, as a share of it [1]."""

# What is shorter is no time; without a least class tiny numbers would take many.
_LEAST = 1e-9
# So many values are kept as they are before they are counted only.
_EXACT_MOST = 4096
# Longest values are looked through when there are more of them than asked for, by this factor.
_SLACK = 1.1


class Tally:
    """Counts values of at least 0, some of which may be infinite.

    Parameters
    ----------
    longest : int
        How many of the longest values are kept as they are.
    """

    def __init__(self, longest: int = 0) -> None:
        self._longest = longest
        self.size = 0
        self._infinite = 0
        self._base = 0  # the class that the first count is of
        self._counts = np.zeros(0, np.int64)
        self._few: NDArray[np.float64] | None = np.zeros(0)
        # One piece of memory for good: many that grow would leave it in shreds.
        self._room = np.zeros(math.ceil(_SLACK * longest))
        self._kept = 0
        self._least_top = -math.inf

    def add(self, values: NDArray[np.float64]) -> None:
        """Count some more values."""
        self.size += values.size
        finite = values[values < math.inf]
        self._infinite += values.size - finite.size
        if not finite.size:
            return
        self._count(finite)
        if self._few is not None:
            kept = np.concatenate((self._few, finite)) if self.size <= _EXACT_MOST else None
            self._few = kept
        if self._longest:
            self._keep_longest(finite)

    def at_rank(self, rank: int) -> float:
        """Return the value with so many before it in order; `ERROR_SHARE` says how exactly."""
        return float(self.at_ranks(np.array([rank]))[0])

    def at_ranks(self, ranks: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return `at_rank` of each."""
        finite = self.size - self._infinite
        found = np.full(ranks.size, np.inf)
        is_finite = ranks < finite
        ranks = ranks[is_finite]
        if self._few is not None:
            found[is_finite] = np.sort(self._few)[ranks]
            return found
        classes = self._base + np.searchsorted(np.cumsum(self._counts), ranks, side="right")
        low, high = _edges(classes), _edges(classes + 1)
        values = np.where(low <= _LEAST, 0.0, (low + high) / 2)
        if self._longest and self._kept:
            # Of those kept beyond the longest that were asked for, some may be missing between.
            top = np.sort(self._room[: self._kept])[-self._longest :]
            from_top = finite - 1 - ranks
            is_kept = from_top < top.size
            values = np.minimum(values, top[0])
            values[is_kept] = top[top.size - 1 - from_top[is_kept]]
        found[is_finite] = values
        return found

    def percentile(self, q: float) -> float:
        """Return a percentile, of at least one value: the one that was observed at that rank."""
        return self.at_rank(max(0, math.ceil(q / 100 * self.size) - 1))

    def is_exact(self, q: float) -> bool:
        """Whether a percentile is exact."""
        rank = max(0, math.ceil(q / 100 * self.size) - 1)
        return self._few is not None or self.size - self._infinite - 1 - rank < self._longest

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all that is known, by name, to be kept and given to `restore`."""
        few = self._few
        return {
            "numbers": np.array([self.size, self._infinite, self._base, few is not None]),
            "counts": self._counts,
            "few": np.zeros(0) if few is None else few,
            "top": self._room[: self._kept],
            "least_top": np.array(self._least_top),
        }

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Go on from where another tally of the same kind was."""
        self.size, self._infinite, self._base, has_few = arrays["numbers"].tolist()
        self._counts, top = arrays["counts"], arrays["top"]
        self._kept = top.size
        self._room[: top.size] = top
        self._few = arrays["few"] if has_few else None
        self._least_top = float(arrays["least_top"])

    def _count(self, finite: NDArray[np.float64]) -> None:
        classes = np.maximum(finite, _LEAST).view(np.int64) >> _SHIFT
        low, high = int(classes.min()), int(classes.max())
        if not self._counts.size:
            self._base = low
        first = min(low, self._base)
        last = max(high, self._base + self._counts.size - 1)
        if last - first + 1 > self._counts.size:
            counts = np.zeros(last - first + 1, np.int64)
            begin = self._base - first
            counts[begin : begin + self._counts.size] = self._counts
            self._base, self._counts = first, counts
        self._counts += np.bincount(classes - self._base, minlength=self._counts.size)

    def _keep_longest(self, finite: NDArray[np.float64]) -> None:
        longer = finite[finite > self._least_top]
        while longer.size:
            free = self._room.size - self._kept
            if free:
                taken = longer[:free]
                self._room[self._kept : self._kept + taken.size] = taken
                self._kept += taken.size
                longer = longer[taken.size :]
                continue
            spare = self._kept - self._longest
            self._room.partition(spare)
            self._least_top = float(self._room[spare])
            self._room[: self._longest] = self._room[spare:].copy()
            self._kept = self._longest
            longer = longer[longer > self._least_top]


def _edges(classes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the lower edges of classes."""
    return (classes.astype(np.int64) << _SHIFT).view(np.float64)
