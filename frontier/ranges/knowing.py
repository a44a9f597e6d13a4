"""What it is worth to know one uncertain input before choosing: from a sample of joint draws alone.

A choice is made once for all draws, or, where an input is known, once for each value of it. The
difference of what the two pay is what knowing the input is worth (the expected value of partial
perfect information of decision theory): with a payoff of 1 for the choice that was right in a
draw, the share of draws that it would put right; with dollars, dollars. It is global: all other
inputs stay uncertain meanwhile, and no two draws differ by one input alone.

Nothing is simulated here, and nothing is said of inputs that were not drawn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from frontier.errors import InputError


def bins_of(values: ArrayLike, bins: int) -> NDArray[np.int64]:
    """Return the bin of each draw, in order of the input, as equally full as may be.

    Draws of one value share a bin: an input that is known tells them not apart.
    """
    values = np.asarray(values, dtype=np.float64)
    rank = np.searchsorted(np.sort(values), values)
    return np.unique(rank * min(bins, values.size) // values.size, return_inverse=True)[1]


def gain_of_knowing(groups: ArrayLike, payoff: ArrayLike, *, errors: float = 0.0) -> float:
    """Return how much more a choice pays on average that is made knowing one input.

    Parameters
    ----------
    groups : array_like of int, shape (n,)
        Draws in which the known input is alike: its bin, or its value.
    payoff : array_like, shape (n, choices)
        What each choice pays in each draw; at least one choice.
    errors : float
        By how many of its standard errors a gain must exceed nothing; else it counts as 0.

    Notes
    -----
    Sorting by the input and choosing within bins is the estimator of Strong and Oakley (2013), An
    efficient method for computing single-parameter partial expected value of perfect information,
    Medical Decision Making 33(6). The best choice of a bin looks too good on the very draws by
    which it was found, so it is found on every other draw and paid on those between, both ways
    round. That errs downwards: an input that tells nothing has a gain of 0 or a little below,
    which counts as 0.
    """
    groups = np.asarray(groups, dtype=np.int64)
    payoff = np.asarray(payoff, dtype=np.float64)
    if payoff.ndim != 2 or payoff.shape[0] != groups.size or not payoff.size:
        raise InputError(f"payoff must have a row a draw, got {payoff.shape} for {groups.size}")
    overall = payoff.mean(axis=0)
    order = np.argsort(groups, kind="stable")
    half = np.empty(groups.size, dtype=np.int64)
    half[order] = np.arange(groups.size) % 2
    more = np.empty(groups.size)
    for tested in (0, 1):
        learn, pay = half != tested, half == tested
        sums = np.zeros((int(groups.max()) + 1, payoff.shape[1]))
        np.add.at(sums, groups[learn], payoff[learn])
        seen = np.bincount(groups[learn], minlength=sums.shape[0]) > 0
        choice = np.where(seen, sums.argmax(axis=1), overall.argmax())
        more[pay] = payoff[pay, choice[groups[pay]]] - payoff[pay, overall.argmax()]
    gain = float(more.mean())
    error = float(more.std()) / math.sqrt(groups.size)
    return gain if gain > max(0.0, errors * error) else 0.0


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of the values of one input, and what is right within it.

    Attributes
    ----------
    low, high : float
        In the unit of the input.
    choice : int or None
        The choice that is right in nearly all draws here; None: it stays open.
    share : float
        Share of the draws here in which the most frequent choice is right. [1]
    draws : int
        Draws here.
    """

    low: float
    high: float
    choice: int | None
    share: float
    draws: int


def stretches(
    values: ArrayLike, chosen: ArrayLike, choices: int, *, bins: int, sure_share: float
) -> tuple[Stretch, ...]:
    """Return over which values of an input which choice is right in nearly all draws.

    Parameters
    ----------
    values : array_like, shape (n,)
        Of the input.
    chosen : array_like of int, shape (n,)
        Which of the choices was right in each draw.
    bins : int
        Into how many equally full bins the draws are put; neighbours of one choice are joined.
    sure_share : float
        From which share on a choice counts as settled. [1]
    """
    values, chosen = np.asarray(values, dtype=np.float64), np.asarray(chosen, dtype=np.int64)
    of = bins_of(values, bins)
    counts = np.zeros((int(of.max()) + 1, choices), dtype=np.int64)
    np.add.at(counts, (of, chosen), 1)
    share = counts.max(axis=1) / counts.sum(axis=1)
    settled = np.where(share >= sure_share, counts.argmax(axis=1), -1)
    return _joined(values, of, counts, settled, sure_share)


def settled_by_reading(
    values: ArrayLike, chosen: ArrayLike, choices: int, *, log_error: float, sure_share: float
) -> tuple[tuple[Stretch, ...], float]:
    """Return what one reading of an input settles, and how often it settles the choice.

    A reading is off by a log-normal error; what is known after it is the draws, each weighed by
    how likely it makes the reading (Bayes).

    Parameters
    ----------
    values, chosen, choices, sure_share
        As for `stretches`; values above 0.
    log_error : float
        Standard deviation of the logarithm of a reading, above 0. [1]

    Returns
    -------
    tuple of Stretch
        By what is read.
    float
        Share of the draws, read without error, after which a choice counts as settled. [1]
    """
    values, chosen = np.asarray(values, dtype=np.float64), np.asarray(chosen, dtype=np.int64)
    logs = np.log(values)
    weights = np.exp(-0.5 * np.square((logs[:, None] - logs) / log_error))
    after = weights @ np.eye(choices)[chosen]
    share = after.max(axis=1) / after.sum(axis=1)
    is_settled = share >= sure_share
    settled = np.where(is_settled, after.argmax(axis=1), -1)
    # Every value is a stretch of its own until its neighbours are joined to it.
    _, first, of = np.unique(values, return_index=True, return_inverse=True)
    counts = np.zeros((first.size, choices), dtype=np.int64)
    np.add.at(counts, (of, chosen), 1)
    joined = _joined(values, of, counts, settled[first], sure_share)
    return joined, float(is_settled.mean())


def _joined(
    values: NDArray[np.float64],
    of: NDArray[np.int64],
    counts: NDArray[np.int64],
    settled: NDArray[np.int64],
    sure_share: float,
) -> tuple[Stretch, ...]:
    """Return bins as stretches: neighbours of one choice joined, borders midway between draws.

    What is open between two stretches of one choice is theirs, if the choice is right often enough
    in all three together: a few draws in which other inputs decide make no border.
    """
    runs = [
        (int(settled[part[0]]), counts[part].sum(axis=0), int(part[0]), int(part[-1]))
        for part in np.split(np.arange(settled.size), np.flatnonzero(np.diff(settled)) + 1)
    ]
    at = 1
    while at < len(runs) - 1:
        (before, left, start, _), (here, middle, *_), (after, right, _, stop) = runs[
            at - 1 : at + 2
        ]
        total = left + middle + right
        if here < 0 and before == after and total[before] >= sure_share * total.sum():
            runs[at - 1 : at + 2] = [(before, total, start, stop)]
            at = max(1, at - 1)
        else:
            at += 1
    first, last = (np.full(settled.size, sign * np.inf) for sign in (1, -1))
    np.minimum.at(first, of, values)
    np.maximum.at(last, of, values)
    found, low = [], float(first[0])
    for choice, inside, _, stop in runs:
        is_end = stop == settled.size - 1
        high = float(last[stop]) if is_end else float((last[stop] + first[stop + 1]) / 2)
        right, draws = int(inside[choice] if choice >= 0 else inside.max()), int(inside.sum())
        found.append(Stretch(low, high, choice if choice >= 0 else None, right / draws, draws))
        low = high
    return tuple(found)
