"""Ranges of one input as quantiles of a factor on its base, and the laws that they follow.

Nothing here knows what the input is: `inputs` does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

SHARES = np.linspace(0.0, 1.0, 201)[1:-1]
"""At which shares of the cases a range has its quantiles."""
SHARES.setflags(write=False)


@dataclass(frozen=True, slots=True)
class InputRange:
    """What one input may be.

    Attributes
    ----------
    key, label : str
    unit : str
        Of ``base``, ``low`` and ``high``.
    base : float
        As the answer has it.
    factors : tuple of float
        Quantiles of the true value over ``base``, evenly from near 0 to near 1; all 1 where the
        input leaves nothing open. [1]
    tail : float
        Share of cases below ``low``, and above ``high``. [1]
    basis : str
        measured, vendor-stated, paper, derived, assumed or yours.
    source_ids : tuple of str
        What the range was taken from.
    cases : int
        Measured cases behind it; 0 where there is none.
    why : str
        What it was taken from, as a sentence.
    """

    key: str
    label: str
    unit: str
    base: float
    factors: tuple[float, ...]
    tail: float
    basis: str
    source_ids: tuple[str, ...]
    cases: int
    why: str

    @property
    def is_open(self) -> bool:
        """Whether it leaves anything open."""
        return self.factors[0] < self.factors[-1]

    @property
    def low(self) -> float:
        """The lower end, in ``unit``."""
        return self.base * float(self.factor_at(self.tail))

    @property
    def high(self) -> float:
        """The upper end, in ``unit``."""
        return self.base * float(self.factor_at(1.0 - self.tail))

    @property
    def median(self) -> float:
        """The middle of the range, in ``unit``; the base may lie beside it."""
        return self.base * float(self.factor_at(0.5))

    def factor_at(self, share: ArrayLike) -> NDArray[np.float64]:
        """Return the factor on the base below which that share of cases lies [1].

        Beyond the first and the last quantile it stays at theirs.
        """
        logs = np.log(np.asarray(self.factors))
        return np.exp(np.interp(np.asarray(share, dtype=np.float64), SHARES, logs))


def predictive_factors(
    ratios: Sequence[float], *, within: float | None = None
) -> tuple[float, ...]:
    r"""Return the quantiles of the ratio of a next case, from those of some cases [1].

    Parameters
    ----------
    ratios : sequence of float
        Measured over predicted, of at least two cases, above 0. [1]
    within : float, optional
        Factor of 1 beyond which, either way, nothing lies. [1]

    Notes
    -----
    The prediction interval of a log-normal: with mean :math:`m` and standard deviation :math:`s`
    of :math:`n` logarithms, the next one is :math:`m + s \sqrt{1 + 1/n}\; t_{n-1}` (Hahn and
    Meeker, Statistical Intervals, 1991). Fewer cases make it wider.
    """
    logs = np.log(np.asarray(ratios, dtype=np.float64))
    spread = float(logs.std(ddof=1)) * math.sqrt(1.0 + 1.0 / logs.size)
    found = float(logs.mean()) + spread * _t(logs.size - 1)
    return factors_of(
        found if within is None else np.clip(found, -math.log(within), math.log(within))
    )


def factors_of_runs(runs_s: Sequence[float], usual: float) -> tuple[float, ...]:
    """Return the factors of a middle that some runs were measured of; ``usual``: log spread."""
    logs = np.log([run_s for run_s in runs_s if run_s > 0])
    if logs.size < 2:
        from scipy.special import ndtri

        return factors_of(usual * ndtri(SHARES))
    return factors_of(float(logs.std(ddof=1)) / math.sqrt(logs.size) * _t(logs.size - 1))


def factors_of_sum(
    parts: Sequence[tuple[float, tuple[float, ...]]], *, seed: int, draws: int
) -> tuple[float, ...]:
    """Return the quantiles of a sum of independent parts, each a share times its factor [1]."""
    if len(parts) == 1:
        return parts[0][1]
    generator = np.random.default_rng(seed)
    even = (np.arange(draws) + 0.5) / draws
    total = np.zeros(draws)
    for share, factors in parts:
        total += share * np.interp(generator.permutation(even), SHARES, factors)
    return factors_of(np.log(np.quantile(total, SHARES)))


def factors_of_moves(log_ratios: Sequence[float], days: int, age_days: int) -> tuple[float, ...]:
    """Return the factors by which a price has moved after so many days.

    Changes come at random at the rate that was seen (a compound Poisson process); more than two
    count as two, which matters only for prices of a year and more.

    Parameters
    ----------
    log_ratios : sequence of float
        Natural logarithm of new over old of each change that was seen. [1]
    days : int
        For how long prices were followed, all of them together. [days]
    """
    if not log_ratios or not age_days:
        return settled()
    expected = len(log_ratios) / days * age_days
    none, one = math.exp(-expected), expected * math.exp(-expected)
    jumps = np.asarray(log_ratios)
    twice = (jumps[:, None] + jumps).ravel()
    values = np.concatenate(([0.0], jumps, twice))
    weights = np.concatenate(
        (
            [none],
            np.full(jumps.size, one / jumps.size),
            np.full(twice.size, (1.0 - none - one) / twice.size),
        )
    )
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    at = np.minimum(np.searchsorted(reached, SHARES), values.size - 1)
    return factors_of(values[order][at])


def factors_within(factor: float, tail: float) -> tuple[float, ...]:
    """Return a log-normal of which all but the tails lies within a factor of 1, either way."""
    from scipy.special import ndtri

    if factor == 1.0:
        return settled()
    return factors_of(math.log(factor) / -float(ndtri(tail)) * ndtri(SHARES))


def settled() -> tuple[float, ...]:
    """Return the factors of an input that leaves nothing open."""
    return (1.0,) * SHARES.size


def factors_of(logs: ArrayLike) -> tuple[float, ...]:
    """Return the factors of which these are the logarithms."""
    return tuple(np.exp(np.asarray(logs, dtype=np.float64)).tolist())


def _t(freedom: int) -> NDArray[np.float64]:
    """Return the quantiles of Student's t."""
    from scipy.special import stdtrit

    return np.asarray(stdtrit(freedom, SHARES), dtype=np.float64)
