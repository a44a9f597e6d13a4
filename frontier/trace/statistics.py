"""What a trace is like: rates, burstiness, idle time, hours of the week, tokens, sessions.

Every figure takes a pass over the arrays, whatever their length, and series come in as many
points as are asked for. `alike` sets the figures beside those of published traces. How an idle
timeout would fare on the gaps is the business of `frontier.analytic.idle_gap_table`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from frontier.errors import InputError
from frontier.spell import percent, significant
from frontier.tables import Tables, TracePublished, load_tables
from frontier.trace.generate import DAYS, HOURS, NOMINAL_MONDAY
from frontier.trace.model import Trace
from frontier.units import SECONDS_PER_DAY, SECONDS_PER_HOUR, SECONDS_PER_MINUTE

# Thresholds of idle time as the published figures have them [s]; the rows of
# trace_published.csv and the fields of TraceStatistics bear them in their names.
GAPS_S = (60, 300, 600)
TURN_GAP_LEVELS = (0.5, 0.75, 0.9, 0.95, 0.99)
_TURN_CLASSES = 4
# Widths that a reader can name; beyond a day, whole days [s].
_BIN_WIDTHS_S = (1, 5, 15, 30, 60, 300, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)


@dataclass(frozen=True, slots=True)
class TokenStatistics:
    """Smallest, mean, quantiles (observed values) and largest token count of a trace."""

    minimum: int
    mean: float
    p50: int
    p95: int
    p99: int
    maximum: int


@dataclass(frozen=True, slots=True)
class SessionStatistics:
    """Sessions of a trace: how many, their turns, and the time between turns.

    ``share_by_turns`` is the share of sessions with 1, 2, 3 and at least 4 requests;
    ``turn_gap_s`` the quantiles 0.5, 0.75, 0.9, 0.95 and 0.99 of the time from one request of a
    session to its next, or None where no session has two [s].
    """

    sessions: int
    mean_turns: float
    most_turns: int
    share_by_turns: tuple[float, float, float, float]
    turn_gap_s: tuple[float, ...] | None


@dataclass(frozen=True, slots=True)
class TraceStatistics:
    """The figures of a trace; None where it is too short for one, or was counted too coarsely.

    Requests counted by the hour or day stand at random places within: what looks closer than that
    would say how they were placed.

    Attributes
    ----------
    requests : int
        Requests.
    span_s, horizon_s : float
        From the first to the last request; time observed [s].
    mean_rps, requests_per_day : float or None
        Requests over the horizon [1/s, 1/day].
    peak_1s, peak_60s : int or None
        Most requests in one second and in one minute, counted from time 0.
    iat_cv : float or None
        Standard deviation over mean of the inter-arrival times; 1 for Poisson arrivals.
    dispersion_60s : float or None
        Variance over mean of the requests of a minute; 1 for Poisson arrivals. None where fewer
        than two whole minutes were seen.
    longest_gap_s : float or None
        Longest time between two requests [s].
    gaps_over_60s, gaps_over_300s, gaps_over_600s : float or None
        Time in gaps longer than that over the span: the sum of the whole gaps.
    empty_minutes : float
        Share of minutes without a request.
    near_empty_share : float or None
        Share of windows of near_empty_window_s with fewer than near_empty_requests.
    prompt_tokens, output_tokens : TokenStatistics
        Lengths.
    prompt_output_spearman : float or None
        Rank correlation of prompt and output.
    sessions : SessionStatistics or None
        Sessions, if the trace knows them.
    """

    requests: int
    span_s: float
    horizon_s: float
    mean_rps: float | None
    requests_per_day: float | None
    peak_1s: int | None
    peak_60s: int | None
    iat_cv: float | None
    dispersion_60s: float | None
    longest_gap_s: float | None
    gaps_over_60s: float | None
    gaps_over_300s: float | None
    gaps_over_600s: float | None
    empty_minutes: float
    near_empty_share: float | None
    prompt_tokens: TokenStatistics
    output_tokens: TokenStatistics
    prompt_output_spearman: float | None
    sessions: SessionStatistics | None


@dataclass(frozen=True, slots=True)
class BinnedRate:
    """Requests in bins of one width, the last one cut off at the horizon.

    ``edges_s`` has one more entry than ``requests``.
    """

    edges_s: NDArray[np.float64]
    requests: NDArray[np.int64]

    @property
    def rps(self) -> NDArray[np.float64]:
        """Rate in each bin [1/s]."""
        return self.requests / np.diff(self.edges_s)


def trace_statistics(trace: Trace, tables: Tables | None = None) -> TraceStatistics:
    """Return the figures of a trace."""
    tables = tables or load_tables()
    arrival_s, horizon_s = trace.arrival_s, trace.horizon_s
    gaps_s = np.diff(arrival_s)
    has_span = bool(arrival_s[-1] > arrival_s[0])
    counted_s = trace.report.bucket_s or 0.0
    has_minutes = counted_s <= SECONDS_PER_MINUTE
    longest_gap_s = float(gaps_s.max()) if has_span else None
    idle = [
        share if counted_s <= gap_s else None
        for gap_s, share in zip(
            GAPS_S,
            time_in_gaps(trace, GAPS_S).tolist() if has_span else [None] * len(GAPS_S),
            strict=True,
        )
    ]
    seconds_filled, _ = _counts(arrival_s, horizon_s, 1.0)
    minutes_filled, minutes = _counts(arrival_s, horizon_s, SECONDS_PER_MINUTE)
    per_minute = arrival_s.size / minutes
    mean_rps = arrival_s.size / horizon_s if horizon_s > 0.0 else None
    return TraceStatistics(
        requests=arrival_s.size,
        span_s=float(arrival_s[-1] - arrival_s[0]),
        horizon_s=horizon_s,
        mean_rps=mean_rps,
        requests_per_day=None if mean_rps is None else mean_rps * SECONDS_PER_DAY,
        peak_1s=int(seconds_filled.max()) if counted_s <= 1.0 else None,
        peak_60s=int(minutes_filled.max()) if has_minutes else None,
        iat_cv=float(gaps_s.std() / gaps_s.mean()) if has_span and has_minutes else None,
        # E X² − (E X)², over E X
        dispersion_60s=float((minutes_filled**2).sum() / minutes / per_minute - per_minute)
        if horizon_s >= 2 * SECONDS_PER_MINUTE and has_minutes
        else None,
        longest_gap_s=longest_gap_s if longest_gap_s and longest_gap_s >= counted_s else None,
        gaps_over_60s=idle[0],
        gaps_over_300s=idle[1],
        gaps_over_600s=idle[2],
        empty_minutes=1.0 - minutes_filled.size / minutes,
        near_empty_share=_near_empty(trace, tables)
        if counted_s <= tables.setting("near_empty_window_s")
        else None,
        prompt_tokens=_token_statistics(trace.prompt_tokens),
        output_tokens=_token_statistics(trace.output_tokens),
        prompt_output_spearman=spearman(trace.prompt_tokens, trace.output_tokens),
        sessions=_session_statistics(trace),
    )


def time_in_gaps(trace: Trace, longer_than_s: ArrayLike) -> NDArray[np.float64]:
    """Return the time in gaps longer than each threshold, over that from first to last request.

    A gap counts whole, not only what exceeds the threshold.

    Raises
    ------
    InputError
        If all requests come at one time.
    """
    gaps_s = np.sort(np.diff(trace.arrival_s))
    if not gaps_s.size or not gaps_s[-1] > 0.0:
        raise InputError("Idle time needs requests at two different times at least.")
    up_to_s = np.concatenate([[0.0], np.cumsum(gaps_s)])
    shorter = np.searchsorted(gaps_s, np.asarray(longer_than_s, dtype=np.float64), side="right")
    return 1.0 - up_to_s[shorter] / up_to_s[-1]


def hour_of_week(
    trace: Trace, utc_offset_h: float = 0.0
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return requests by day (Monday first) and hour, and the seconds observed in each, (7, 24).

    Requests over seconds is the rate of the hour; where no second was observed there is none.

    Raises
    ------
    InputError
        If the trace does not know when it began.
    """
    if trace.t0_utc is None:
        raise InputError("The trace does not say when it began, so its hours of day are unknown.")
    size = DAYS * HOURS
    since = (trace.t0_utc - NOMINAL_MONDAY).total_seconds() + utc_offset_h * SECONDS_PER_HOUR
    begin_s = since % (size * SECONDS_PER_HOUR)
    hour = ((trace.arrival_s + begin_s) // SECONDS_PER_HOUR).astype(np.int64) % size
    end_s = begin_s + trace.horizon_s
    hours = np.arange(begin_s // SECONDS_PER_HOUR, math.ceil(end_s / SECONDS_PER_HOUR))
    observed_s = np.minimum((hours + 1) * SECONDS_PER_HOUR, end_s) - np.maximum(
        hours * SECONDS_PER_HOUR, begin_s
    )
    seconds = np.bincount(hours.astype(np.int64) % size, observed_s, size)
    counted = np.bincount(hour, minlength=size).astype(np.int64)
    return counted.reshape(DAYS, HOURS), seconds.astype(np.float64).reshape(DAYS, HOURS)


def rate_over_time(trace: Trace, most_bins: int) -> BinnedRate:
    """Return requests over time in at most that many bins of a width that can be named.

    A bin is no narrower than what requests were counted over.
    """
    if most_bins < 1:
        raise InputError(f"Expected at least 1 bin, found {most_bins}.")
    least_s = max(trace.horizon_s / most_bins, trace.report.bucket_s or 0.0)
    width_s = next(
        (width for width in _BIN_WIDTHS_S if width >= least_s),
        math.ceil(least_s / SECONDS_PER_DAY) * SECONDS_PER_DAY,
    )
    bins = max(1, math.ceil(trace.horizon_s / width_s))
    # A request at the horizon itself belongs to the last bin.
    index = np.minimum((trace.arrival_s // width_s).astype(np.int64), bins - 1)
    edges_s = np.arange(bins + 1, dtype=np.float64) * width_s
    edges_s[-1] = trace.horizon_s or width_s
    return BinnedRate(edges_s, np.bincount(index, minlength=bins))


def spearman(first: ArrayLike, second: ArrayLike) -> float | None:
    """Return the correlation of the ranks, equal values sharing their mean rank.

    None where one of them has but one value.
    """
    ranks = []
    for values in (first, second):
        _, inverse, repeats = np.unique(values, return_inverse=True, return_counts=True)
        if repeats.size < 2:
            return None
        ranks.append((np.cumsum(repeats) - (repeats - 1) / 2)[inverse])
    correlation: NDArray[np.float64] = np.atleast_2d(np.corrcoef(np.array(ranks)))
    return float(correlation[0, 1])


def alike(statistics: TraceStatistics, tables: Tables | None = None) -> tuple[str, ...]:
    """Return sentences that set a trace beside published ones (data/trace_published.csv).

    First the published trace whose time in gaps over 60, 300 and 600 s differs least, then, for
    each population, the share of it between the published values next to this trace's.
    """
    tables = tables or load_tables()
    sentences = [_most_alike(statistics, tables)] if statistics.gaps_over_60s is not None else []
    populations: dict[tuple[str, str], list[TracePublished]] = {}
    for row in tables.trace_published.values():
        if row.share_at_most is not None:
            populations.setdefault((row.trace, row.statistic), []).append(row)
    for (_, statistic), rows in populations.items():
        value = getattr(statistics, statistic)
        if value is not None:
            sentences.append(_placed(statistic, value, rows, tables))
    return tuple(sentences)


def _most_alike(statistics: TraceStatistics, tables: Tables) -> str:
    fields = [f"gaps_over_{gap}s" for gap in GAPS_S]
    own = np.array([getattr(statistics, name) for name in fields])
    published: dict[str, dict[str, TracePublished]] = {}
    for row in tables.trace_published.values():
        if row.statistic in fields and row.share_at_most is None:
            published.setdefault(row.trace, {})[row.statistic] = row
    others = {
        name: np.array([rows[field].value for field in fields])
        for name, rows in published.items()
        if len(rows) == len(fields)
    }
    name = min(others, key=lambda other: float(np.abs(others[other] - own).max()))
    difference = np.abs(others[name] - own)
    label = published[name][fields[0]].label
    at = int(difference.argmax())
    is_alike = difference.max() <= tables.setting("alike_within")
    return (
        ("Idle like " if is_alike else "No published trace idles quite like this one; nearest is ")
        + f"{label}: {percent(float(own[at]))} of the time in gaps over {GAPS_S[at]} s, "
        + f"there {percent(float(others[name][at]))}."
    )


def _placed(statistic: str, value: float, rows: list[TracePublished], tables: Tables) -> str:
    label = rows[0].label
    if statistic == "near_empty_share":
        minutes = tables.setting("near_empty_window_s") / SECONDS_PER_MINUTE
        shares = " and ".join(
            f"{percent(1.0 - (row.share_at_most or 0.0))} have it for over {percent(row.value)}"
            for row in rows
        )
        return (
            f"Fewer than {tables.setting('near_empty_requests'):g} requests in {minutes:g} minutes "
            f"for {percent(value)} of the time; of {label}, {shares}."
        )
    rows = sorted(rows, key=lambda row: row.value)
    shares_at_most = [0.0, *(row.share_at_most or 0.0 for row in rows), 1.0]
    at = next((i for i, row in enumerate(rows) if value <= row.value), len(rows))
    low = significant(rows[at - 1].value) if at else ""
    high = significant(rows[at].value) if at < len(rows) else ""
    between = f"{low} to {high}" if low and high else f"at most {high}" if high else f"over {low}"
    what = {
        "requests_per_day": f"Requests a day: {between}",
        "iat_cv": f"Unevenness of the times between requests: {between}",
    }[statistic]
    share = percent(shares_at_most[at + 1] - shares_at_most[at])
    return f"{what} (here {significant(value)}), like {share} of {label}."


def _counts(
    arrival_s: NDArray[np.float64], horizon_s: float, width_s: float
) -> tuple[NDArray[np.int64], int]:
    """Return the requests of each window that has any, and the number of all windows."""
    index = np.floor(arrival_s / width_s)
    first = np.flatnonzero(np.diff(index, prepend=-1.0))
    filled = np.diff(first, append=arrival_s.size)
    return filled, max(math.ceil(horizon_s / width_s), int(index[-1]) + 1)


def _near_empty(trace: Trace, tables: Tables) -> float | None:
    """Return the share of whole windows with too few requests; None if there is no whole one."""
    width_s = tables.setting("near_empty_window_s")
    windows = int(trace.horizon_s // width_s)
    if not windows:
        return None
    within = trace.arrival_s[: np.searchsorted(trace.arrival_s, windows * width_s)]
    if not within.size:
        return 1.0
    filled, _ = _counts(within, windows * width_s, width_s)
    return 1.0 - int((filled >= tables.setting("near_empty_requests")).sum()) / windows


def _token_statistics(tokens: NDArray[np.int32]) -> TokenStatistics:
    p50, p95, p99 = np.quantile(tokens, (0.5, 0.95, 0.99), method="inverted_cdf").tolist()
    return TokenStatistics(
        minimum=int(tokens.min()),
        mean=float(tokens.mean()),
        p50=p50,
        p95=p95,
        p99=p99,
        maximum=int(tokens.max()),
    )


def _session_statistics(trace: Trace) -> SessionStatistics | None:
    if trace.session_id is None:
        return None
    order = np.argsort(trace.session_id, kind="stable")
    is_first = np.diff(trace.session_id[order], prepend=-1) != 0
    turns = np.diff(np.flatnonzero(is_first), append=order.size)
    gaps_s = np.diff(trace.arrival_s[order], prepend=0.0)[~is_first]
    classes = np.bincount(np.minimum(turns, _TURN_CLASSES), minlength=_TURN_CLASSES + 1)
    one, two, three, more = (classes[1:] / turns.size).tolist()
    return SessionStatistics(
        sessions=turns.size,
        mean_turns=float(turns.mean()),
        most_turns=int(turns.max()),
        share_by_turns=(one, two, three, more),
        turn_gap_s=tuple(np.quantile(gaps_s, TURN_GAP_LEVELS, method="inverted_cdf").tolist())
        if gaps_s.size
        else None,
    )
