"""Counts by the minute to requests: how many there were is known, where in the minute is not.

Requests are placed at random inside their bucket under a fixed seed; ``draw`` gives other
placements, and the spread of an answer over some draws is what the counts leave open. Gaps shorter
than a bucket are not in such data, so an idle timeout shorter than one cannot be judged from it.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from frontier import spell
from frontier.errors import InputError
from frontier.tables import Tables, load_tables
from frontier.trace import checks
from frontier.trace.model import Trace, TraceReport, make_trace


@dataclass(frozen=True, slots=True, eq=False)
class RateSeries:
    """Requests counted in buckets of one width.

    Attributes
    ----------
    name : str
        What the user calls it.
    bucket_s : float
        Width of a bucket [s].
    requests : ndarray of float64, shape (n,)
        Requests in each bucket, the first beginning at time 0; not whole if a rate was given.
    prompt_tokens_sum, output_tokens_sum : ndarray of float64, shape (n,), or None
        Tokens of a bucket's requests together.
    t0_utc : datetime or None
        When the first bucket begins.
    report : TraceReport
        What was read, dropped and assumed.
    counted_s : float or None
        Time over which the file counted, where that is longer than a bucket [s].
    """

    name: str
    bucket_s: float
    requests: NDArray[np.float64]
    prompt_tokens_sum: NDArray[np.float64] | None
    output_tokens_sum: NDArray[np.float64] | None
    t0_utc: dt.datetime | None
    report: TraceReport
    counted_s: float | None = None


def expand(
    series: RateSeries,
    *,
    draw: int = 0,
    fill: tuple[int, int] | None = None,
    max_rows: int | None = None,
    tables: Tables | None = None,
) -> Trace:
    """Return requests placed evenly at random inside their buckets.

    Counts that are not whole are rounded up or down at random so that their running total is kept
    to within one request. For a Poisson process, places inside a bucket of known count are indeed
    independent and even.

    Parameters
    ----------
    series : RateSeries
        The counts.
    draw : int
        Which placement: the same number gives the same one.
    fill : tuple of int, optional
        Prompt and output tokens of a request, where the series has no sums; settings unless given.
    max_rows : int, optional
        Most requests; a setting unless given.
    tables : Tables, optional
        For the settings.

    Raises
    ------
    InputError
        If there are fewer than two requests, or too many.
    """
    tables = tables or load_tables()
    fill = fill or (
        int(tables.setting("trace_default_prompt_tokens")),
        int(tables.setting("trace_default_output_tokens")),
    )
    most = int(max_rows or tables.setting("trace_max_rows"))
    # Compared before anything is made of them: a count may be larger than any memory.
    in_all = float(series.requests.sum())
    if not in_all <= most:
        raise InputError(
            f"The file counts {spell.significant(in_all)} requests, more than the {most:,} that "
            "are read. Keep a shorter part of it, or check what the values are."
        )
    rng = np.random.default_rng((int(tables.setting("trace_seed")), draw))
    running = np.floor(np.cumsum(series.requests) + rng.random())
    each = np.diff(running, prepend=0.0).astype(np.int64)
    number = int(each.sum())
    if number < 2:
        raise InputError(
            f"The file counts {spell.count(number, 'request')}; rate and idle time need at least "
            "two."
        )
    bucket = np.repeat(np.arange(each.size), each)
    time_s = np.sort((bucket + rng.random(number)) * series.bucket_s)
    tokens, assumed = [], []
    for what, sums, default in (
        ("prompt", series.prompt_tokens_sum, fill[0]),
        ("output", series.output_tokens_sum, fill[1]),
    ):
        least = 1 if what == "output" else 0
        if sums is None:
            tokens.append(np.full(number, default, dtype=np.int32))
            continue
        # What is no number, or none that is finite, is looked at below.
        with np.errstate(all="ignore"):
            mean = sums / series.requests
            overall = float(sums.sum() / series.requests.sum())
        mean = np.where(np.isfinite(mean), mean, overall)
        most_tokens = np.iinfo(np.int32).max
        if mean.max() > most_tokens or mean.min() < 0:
            raise InputError(
                f"The mean of {what} tokens in a bucket runs from {spell.significant(mean.min())} "
                f"to {spell.significant(mean.max())}; expected 0 to {most_tokens:,}."
            )
        # A bucket of few requests may hold tokens of others, one of many holds its own.
        longest = tables.setting("trace_longest_context_tokens")
        many = 2 * series.requests >= series.requests.mean()
        if float(mean[many].max()) > longest:
            worst = int(np.argmax(np.where(many, mean, 0.0)))
            raise InputError(
                f"The {spell.significant(float(series.requests[worst]))} requests of bucket "
                f"{worst + 1:,} have {spell.significant(float(mean[worst]))} {what} tokens each, "
                f"more than any model's context holds ({longest:,.0f}). Are the tokens of another "
                "unit, or do they belong to more requests?"
            )
        tokens.append(np.maximum(np.rint(mean), least).astype(np.int32)[bucket])
        assumed.append(f"Requests of one bucket have the same {what} tokens, their mean.")
    if series.prompt_tokens_sum is None and series.output_tokens_sum is None:
        assumed.append(f"No token counts: using {fill[0]:,} in / {fill[1]:,} out for all requests.")
    elif series.prompt_tokens_sum is None:
        assumed.append(f"No prompt token counts: using {fill[0]:,} for all requests.")
    elif series.output_tokens_sum is None:
        assumed.append(f"No output token counts: using {fill[1]:,} for all requests.")
    first_s = float(time_s[0])
    checks.check_span(series.bucket_s * each.size, tables, "The counts")
    counted_s = series.counted_s or series.bucket_s
    report = replace(
        series.report,
        assumed=(
            *series.report.assumed,
            f"{number:,} requests placed at random inside buckets of "
            f"{spell.seconds(counted_s)} (draw {draw}).",
            *assumed,
        ),
        notes=(
            *series.report.notes,
            f"Data is per {spell.seconds(counted_s)}: idle timeouts under "
            f"{spell.seconds(counted_s)} cannot be judged.",
        ),
    )
    return make_trace(
        series.name,
        time_s - first_s,
        *tokens,
        horizon_s=max(series.bucket_s * each.size - first_s, float(time_s[-1]) - first_s),
        t0_utc=None if series.t0_utc is None else series.t0_utc + dt.timedelta(seconds=first_s),
        resolution_s=counted_s,
        report=report,
    )
