"""How long the requests of a run waited: percentiles that were observed, and parts of a thousand.

No percentile lies between two requests. Why they waited is for `frontier.waits`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from frontier.simulate import RunResult
from frontier.trace import Trace


@dataclass(frozen=True, slots=True)
class LatencySummary:
    """What a frontier table needs to know of a run [s], [1]; percentiles are observed values.

    ``waited_ttft_s`` is the median of the requests that waited on a start, 0 without any. The
    time per output token (of the served, from the second token on) and the end-to-end latency
    are None where prompts are read in one go: the answers beside them then stand still for
    longer than they do on an engine.
    """

    p50_ttft_s: float
    p90_ttft_s: float
    p95_ttft_s: float
    p99_ttft_s: float
    p999_ttft_s: float
    max_ttft_s: float
    waited_on_start_share: float
    rejected_share: float
    waited_ttft_s: float
    p50_tpot_s: float | None = None
    p99_tpot_s: float | None = None
    p50_latency_s: float | None = None
    p99_latency_s: float | None = None


THOUSAND = 1000
"""Of so many requests it is said how many wait: the parts into which a run is cut for that."""


def slowest_of_thousand(ordered_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return every thousandth part of a distribution, smallest first: observed values [s].

    As many of the 1000 exceed a limit as requests of a thousand do, rounded up; so a p99 that
    holds a limit is the same as 10 of them or fewer above it.

    Parameters
    ----------
    ordered_s : ndarray, shape (n,)
        All of its values, smallest first [s].
    """
    found = ordered_s[thousand_ranks(ordered_s.size)]
    found.setflags(write=False)
    return found


def thousand_ranks(size: int) -> NDArray[np.int64]:
    """Return which values of a sorted distribution of that size `slowest_of_thousand` returns."""
    # Whole numbers: rounded up without the last bits of a float.
    ranks: NDArray[np.int64] = -(-np.arange(1, THOUSAND + 1) * size // THOUSAND) - 1
    return ranks


def summarise(
    result: RunResult,
    trace: Trace | None = None,
    *,
    ordered_s: NDArray[np.float64] | None = None,
) -> LatencySummary:
    """Return the percentiles and shares of a run.

    Parameters
    ----------
    trace : Trace, optional
        What was served, where prompts were read between the answers: for the time per output
        token and the end-to-end latency.
    ordered_s : ndarray, shape (n,), optional
        Its times to first token, smallest first, where they are at hand [s].
    """
    # Not a partition: numpy sorts with vector instructions, in half the time of one for several.
    ordered_s = np.sort(result.ttft_s) if ordered_s is None else ordered_s
    ranks = [_rank(q, ordered_s.size) for q in (50, 90, 95, 99, 99.9, 100)]
    p50, p90, p95, p99, p999, longest = ordered_s[ranks].tolist()
    found = LatencySummary(
        p50_ttft_s=p50,
        p90_ttft_s=p90,
        p95_ttft_s=p95,
        p99_ttft_s=p99,
        p999_ttft_s=p999,
        max_ttft_s=longest,
        waited_on_start_share=result.waited_share,
        rejected_share=result.rejected_share,
        waited_ttft_s=_median(result.ttft_s[result.waited_on_start]),
    )
    if trace is None:
        return found
    latency_s = np.empty(result.ttft_s.size)
    tpot_s = np.empty(result.ttft_s.size)
    several = 0
    for part in parts(result.ttft_s.size):
        of_part_s = np.subtract(result.finish_s[part], trace.arrival_s[part], out=latency_s[part])
        to_first_s, steps = result.ttft_s[part], trace.output_tokens[part] - 1
        has_several = steps > 0
        has_several &= ~result.rejected[part]
        if not has_several.all():
            of_part_s, to_first_s = of_part_s[has_several], to_first_s[has_several]
            steps = steps[has_several]
        of_part_s = of_part_s - to_first_s
        np.divide(of_part_s, steps, out=tpot_s[several : several + steps.size])
        several += steps.size
    p50_tpot, p99_tpot = _two_observed(tpot_s[:several], 50, 99) if several else (None, None)
    p50_latency, p99_latency = _two_observed(latency_s, 50, 99)
    return dataclasses.replace(
        found,
        p50_tpot_s=p50_tpot,
        p99_tpot_s=p99_tpot,
        p50_latency_s=p50_latency,
        p99_latency_s=p99_latency,
    )


def _rank(percent: float, size: int) -> int:
    """Return where among so many ordered values, at least one, a percentile was observed."""
    return max(0, math.ceil(percent / 100 * size) - 1)


def _two_observed(values: NDArray[np.float64], low: float, high: float) -> tuple[float, float]:
    """Return two percentiles that were observed, of at least one value; reorders the values.

    One value at a time: numpy selects that with vector instructions, several it does not.
    """
    above, below = _rank(high, values.size), _rank(low, values.size)
    values.partition(above)
    high_value = float(values[above])
    values[: above + 1].partition(below)
    return float(values[below]), high_value


_PART = 1 << 16
"""Requests that are gone through at a time, so that what lies between is in the core's cache."""


def parts(size: int) -> Iterator[slice]:
    """Yield what all of so many requests are gone through in."""
    for start in range(0, size, _PART):
        yield slice(start, start + _PART)


def _median(values: NDArray[np.float64]) -> float:
    """Return the lower median of some values; 0 of none."""
    at = (values.size - 1) // 2
    return float(np.partition(values, at)[at]) if values.size else 0.0
