"""Traffic where there is no trace: generators after published statistics.

A preset (data/trace_presets.csv) is made in five steps, each from its own stream of random
numbers, so that changing one does not move the others:

1. Rate. λ(t) is the base rate times the level of the day, the shape of the hour, the on and off
   of the tenant and a log-normal noise; it is constant between the edges of all of them.
2. Sessions. A renewal process of unit rate (Gamma or Weibull gaps, or the ticks of a timer) runs
   in operational time and is carried to the clock through Λ(t) = ∫ λ. The burstiness asked for
   is thus that of the gaps once day and night are taken out, and the shape does not change it.
3. Turns. Each session has a number of requests and gaps between them.
4. Window. What falls outside the trace is dropped and counted. Sessions begin some time before
   the trace, so that its first hours hold the later turns of earlier sessions.
5. Tokens. Prompt and output follow their quantiles, joined by a Gaussian copula of the published
   rank correlation. Growth of the prompt over a session is not modelled: nothing is published.

A distribution is known by a few quantiles (data/trace_quantiles.csv). Between them the logarithm
of the value is a straight line over the normal score, that is, the pieces are log-normal. Beyond
the outermost quantile the last line goes on until the published minimum or maximum; where there
is none, values stop at the outermost quantile.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import math
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frontier.errors import InputError, TableError
from frontier.spell import rate
from frontier.tables import (
    Column,
    Example,
    Tables,
    TracePreset,
    TraceQuantiles,
    TraceShape,
    load_columns,
    load_tables,
    look_up,
    read_cell,
)
from frontier.trace.model import Trace, TraceReport, make_trace
from frontier.units import SECONDS_PER_DAY, SECONDS_PER_HOUR

GENERATED = "generated"
"""The format of a trace that no file was read for."""
HOURS = 24
WORKDAYS, DAYS = 5, 7
# A generated trace happens in no particular week. This is a Monday, so that hours of the week
# and schedules work on it as on a real one.
NOMINAL_MONDAY = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)

# The normal law beyond ±8 holds 1e-15; steps of 1/2000 place the jumps of ⌈Q⌉ well enough.
_SCORE_LIMIT, _SCORES = 8.0, 32_001
# Delays uniform over the whole period, the most that keeps the ticks in order: √(2/12).
TIMER_MOST_CV = math.sqrt(1.0 / 6.0)
# Shapes between which a Weibull law is looked for (CV 430 to 0.013), halved to rounding.
_WEIBULL_SHAPES, _HALVINGS = (0.1, 100.0), 60


def example_trace(example: Example, tables: Tables, draw: int = 0) -> Trace:
    """Return the traffic of an example of data/examples.csv; ``draw`` is added to its seed."""
    usual = tables.trace_presets[example.preset].requests_per_day
    return generate_trace(
        example.preset,
        seed=example.seed + draw,
        days=example.days,
        requests_per_day=None if example.requests_per_day == usual else example.requests_per_day,
        tables=tables,
    )


def generate_trace(
    preset: str,
    *,
    seed: int,
    days: float = 7,
    requests_per_day: float | None = None,
    tables: Tables | None = None,
    **changes: Any,
) -> Trace:
    """Return traffic of a preset; the same arguments give the same trace.

    Time 0 is Monday 00:00 on the clock of the preset's shape, and the horizon is whole, so the
    first request comes a little after 0. ``t0_utc`` is a nominal Monday.

    Parameters
    ----------
    preset : str
        A key of data/trace_presets.csv, for example "internal-rag".
    seed : int
        Seed of the random numbers (≥ 0).
    days : float
        Length of the trace [day].
    requests_per_day : float, optional
        Mean over the trace [1/day]; the preset's own unless given. A drawn trace has about that
        many, not exactly.
    tables : Tables, optional
        Where presets, shapes and quantiles come from.
    **changes
        Columns of trace_presets.csv that are to differ from the preset, for example
        ``session_cv=5.8``, ``arrivals="weibull"``, ``on_share=0.2, on_mean_s=1800`` or
        ``prompt_tokens="code-prompt"``.

    Raises
    ------
    InputError
        If a preset or a change is unknown or out of range, or no request was drawn.
    """
    tables = tables or load_tables()
    kind = look_up(tables.trace_presets, preset, "traffic preset")
    if requests_per_day is not None:
        changes["requests_per_day"] = requests_per_day
    kind = _changed(kind, changes)
    _check(kind, seed, days, tables)
    shape = look_up(tables.trace_shapes, kind.shape, "traffic shape")
    prompts = look_up(tables.trace_quantiles, kind.prompt_tokens, "distribution")
    outputs = look_up(tables.trace_quantiles, kind.output_tokens, "distribution")
    turns = gaps = None
    if kind.turns is not None:
        turns = look_up(tables.trace_quantiles, kind.turns, "distribution")
        gaps = look_up(tables.trace_quantiles, str(kind.turn_gap_s), "distribution")

    rate_random, session_random, turn_random, token_random = np.random.default_rng(seed).spawn(4)
    horizon_s = days * SECONDS_PER_DAY
    begin_s = 0.0 if turns is None else -tables.setting("trace_warm_up_days") * SECONDS_PER_DAY
    sessions_per_s = kind.requests_per_day / SECONDS_PER_DAY / (mean_of(turns) if turns else 1.0)
    edges_s, level = _level(kind, shape, begin_s, horizon_s, tables, rate_random)
    operational = np.concatenate([[0.0], np.cumsum(level * np.diff(edges_s))]) * sessions_per_s
    ticks = _renewals(kind.arrivals, kind.session_cv, operational[-1], session_random)
    starts_s = np.interp(ticks, operational, edges_s)

    arrival_s, session_id = starts_s, None
    if turns is not None and gaps is not None:
        arrival_s, session_id = _with_turns(starts_s, turns, gaps, turn_random)
    drawn = arrival_s.size
    inside = (arrival_s >= 0.0) & (arrival_s < horizon_s)
    arrival_s = arrival_s[inside]
    if not arrival_s.size:
        raise InputError(
            f"Seed {seed} drew no request within {days:g} days at {kind.requests_per_day:g} a "
            f"day; take more days or a higher rate."
        )
    if session_id is not None:
        session_id = session_id[inside]
        session_id -= session_id.min()
    prompt_tokens, output_tokens = _tokens(
        prompts, outputs, kind.prompt_output_spearman, arrival_s.size, token_random
    )
    report = TraceReport(
        format=GENERATED,
        rows_read=drawn,
        kept=arrival_s.size,
        dropped={"before or after the trace": drawn - arrival_s.size},
        assumed=_assumed(kind, changes, shape, tables),
        notes=(
            f"Generated with seed {seed} from the preset {preset!r} over {days:g} days at "
            f"{rate(kind.requests_per_day / SECONDS_PER_DAY)} on average.",
            f"Statistics after {tables.source_of(kind).title}.",
        ),
    )
    return make_trace(
        kind.label,
        arrival_s,
        prompt_tokens,
        output_tokens,
        horizon_s=horizon_s,
        t0_utc=NOMINAL_MONDAY,
        session_id=session_id,
        report=report,
    )


def quantile(distribution: TraceQuantiles, normals: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the values of a distribution at those normal scores (see the head of the module)."""
    scores = np.array([NormalDist().inv_cdf(p) for p in distribution.probabilities])
    logs = np.log(distribution.values)
    slopes = np.diff(logs) / np.diff(scores)
    value = np.interp(normals, scores, logs)
    lowest, highest = distribution.values[0], distribution.values[-1]
    if distribution.minimum is not None:
        lowest = distribution.minimum
        slope = slopes[0] if distribution.lower_slope is None else distribution.lower_slope
        value += slope * np.minimum(normals - scores[0], 0.0)
    if distribution.maximum is not None:
        highest = distribution.maximum
        value += slopes[-1] * np.maximum(normals - scores[-1], 0.0)
    return np.clip(np.exp(value, out=value), lowest, highest, out=value)


def mean_of(distribution: TraceQuantiles) -> float:
    """Return the mean of a distribution of whole numbers as it is drawn: ∫ ⌈Q(z)⌉ φ(z) dz."""
    scores = np.linspace(-_SCORE_LIMIT, _SCORE_LIMIT, _SCORES)
    weights = np.exp(-0.5 * scores**2)
    return float(np.average(_whole(quantile(distribution, scores)), weights=weights))


def week_levels(shape: TraceShape) -> NDArray[np.float64]:
    """Return the 168 hourly levels of a week, Monday first, over the mean of the week."""
    weekday = np.array(shape.weekday_levels)
    weekend = np.array(shape.weekend_levels or shape.weekday_levels)
    for levels in (weekday, weekend):
        if levels.size != HOURS or not levels.sum() > 0.0:
            raise InputError(
                f"The shape '{shape.shape}' needs {HOURS} hourly levels with a mean above 0, "
                f"found {levels.size}."
            )
    week = np.concatenate(
        [
            np.tile(weekday / weekday.mean(), WORKDAYS),
            np.tile(weekend / weekend.mean() * shape.weekend_level, DAYS - WORKDAYS),
        ]
    )
    return week / week.mean()


@functools.cache
def _preset_columns() -> dict[str, Column]:
    return {column.column: column for column in load_columns()["trace_presets"]}


def _changed(kind: TracePreset, changes: dict[str, Any]) -> TracePreset:
    """Return the preset with the changes, each checked as a cell of its table would be."""
    if not changes:
        return kind
    columns = _preset_columns()
    fixed = {"preset", "label", "rate_basis", "basis", "source_id", "description"}
    values = {}
    for name, value in changes.items():
        if name not in columns or name in fixed:
            raise InputError(
                f"A traffic preset has no '{name}' to change; there are "
                f"{', '.join(other for other in columns if other not in fixed)}."
            )
        text = "" if value is None else str(value)
        try:
            values[name] = read_cell(text, columns[name], f"preset {kind.preset}")
        except TableError as error:
            raise InputError(str(error)) from None
    return dataclasses.replace(kind, **values)


def _check(kind: TracePreset, seed: int, days: float, tables: Tables) -> None:
    if seed < 0:
        raise InputError(f"A seed is a whole number of at least 0, found {seed}.")
    if not 0.0 < days < math.inf:
        raise InputError(f"A trace lasts more than 0 days, found {days:g}.")
    most = tables.setting("generate_max_requests")
    expected = kind.requests_per_day * days
    if not 0.0 < expected <= most:
        raise InputError(
            f"A generated trace has more than 0 and at most {most:,.0f} requests; "
            f"{kind.requests_per_day:g} a day over {days:g} days are {expected:,.0f}."
        )
    if kind.arrivals == "timer":
        if kind.session_cv > TIMER_MOST_CV:
            raise InputError(
                f"A timer that fires within its own period has gaps with a coefficient of "
                f"variation of at most {TIMER_MOST_CV:.3f}, found {kind.session_cv:g}."
            )
    elif not kind.session_cv > 0.0:
        raise InputError(
            f"{kind.arrivals.capitalize()} gaps need a coefficient of variation above 0, found 0; "
            "regular arrivals are those of a timer."
        )
    if kind.on_share < 1.0 and kind.on_mean_s is None:
        raise InputError(f"An on share of {kind.on_share:g} needs on_mean_s, the mean on spell.")
    if (kind.turns is None) != (kind.turn_gap_s is None):
        raise InputError("Turns need the gaps between them and the other way round.")


def _level(
    kind: TracePreset,
    shape: TraceShape,
    begin_s: float,
    horizon_s: float,
    tables: Tables,
    random: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the edges of the pieces of the rate [s], and its level, 1 on average, in each.

    The mean over [0, horizon) is 1 in expectation over noise and on spells; over the shape it is
    exactly 1, whatever part of the week the trace covers.
    """
    noise_s = tables.setting("rate_noise_s")
    grids = [SECONDS_PER_HOUR] + ([noise_s] if kind.noise_sigma else [])
    edges = [np.array([begin_s, 0.0, horizon_s])]
    for step_s in grids:
        edges.append(np.arange(math.ceil(begin_s / step_s), horizon_s / step_s) * step_s)
    switches_s = None
    if kind.on_share < 1.0 and kind.on_mean_s is not None:
        is_on, switches_s = _spells(kind.on_share, kind.on_mean_s, begin_s, horizon_s, random)
        edges.append(switches_s)
    edges_s = np.unique(np.concatenate(edges))
    middle_s = (edges_s[1:] + edges_s[:-1]) / 2
    width_s = np.diff(edges_s)
    week = week_levels(shape)
    level = week[(middle_s // SECONDS_PER_HOUR).astype(np.int64) % week.size]
    inside = middle_s > 0.0
    level /= np.average(level[inside], weights=width_s[inside])
    if kind.noise_sigma:
        stretch = ((middle_s - begin_s) // noise_s).astype(np.int64)
        noise = kind.noise_sigma * random.standard_normal(stretch[-1] + 1)
        # E exp(σN) = exp(σ²/2)
        level *= np.exp(noise - kind.noise_sigma**2 / 2)[stretch]
    if switches_s is not None:
        switched = np.searchsorted(switches_s, middle_s) % 2 == 1
        level *= (switched != is_on) / kind.on_share
    return edges_s, level


def _spells(
    on_share: float, on_mean_s: float, begin_s: float, end_s: float, random: np.random.Generator
) -> tuple[bool, NDArray[np.float64]]:
    """Return whether a tenant is on at the beginning, and when it switches.

    On and off spells are exponential, so that the first is as long as any other.
    """
    is_on = bool(random.random() < on_share)
    means_s = np.array([on_mean_s, on_mean_s * (1.0 - on_share) / on_share])
    if not is_on:
        means_s = means_s[::-1]
    switches_s = np.empty(0)
    reached_s = begin_s
    while reached_s < end_s:
        pairs = math.ceil((end_s - reached_s) / means_s.sum()) + 1
        drawn = random.exponential(means_s, (pairs, 2)).ravel().cumsum() + reached_s
        switches_s = np.concatenate([switches_s, drawn])
        reached_s = float(drawn[-1])
    return is_on, switches_s[switches_s < end_s]


def _renewals(
    law: str, cv: float, length: float, random: np.random.Generator
) -> NDArray[np.float64]:
    """Return the points in [0, length) of a stationary process of rate 1 with gaps of that CV.

    The first gap is the residual of one met at random, U times a length-biased gap, so that the
    expected number of points is the length itself. Length-biased, a Gamma gap of shape k has
    shape k + 1, and of a Weibull gap of shape c the power c is Gamma with shape 1 + 1/c.
    A timer fires once in each unit, late by a uniform delay of at most √6 × CV: the difference of
    two such delays has the variance CV².
    """
    if law == "timer":
        ticks = np.arange(math.ceil(length), dtype=np.float64)
        ticks += random.random(ticks.size) * (cv / TIMER_MOST_CV)
        return ticks[ticks < length]
    if law == "gamma":
        shape = 1.0 / cv**2
        biased = random.standard_gamma(shape + 1.0) / shape
    else:
        shape = weibull_shape(cv)
        scale = 1.0 / math.gamma(1.0 + 1.0 / shape)
        biased = random.standard_gamma(1.0 + 1.0 / shape) ** (1.0 / shape) * scale
    points = np.array([random.random() * biased])
    while points[-1] < length:
        missing = length - points[-1]
        # Enough in all but one case in a million; otherwise the loop goes round again.
        size = math.ceil(missing + 5.0 * cv * math.sqrt(missing) + 5.0 * (1.0 + cv**2))
        if law == "gamma":
            gaps = random.standard_gamma(shape, size)
            gaps /= shape
        else:
            gaps = random.weibull(shape, size)
            gaps *= scale
        np.cumsum(gaps, out=gaps)
        gaps += points[-1]
        points = np.concatenate([points, gaps])
    return points[: np.searchsorted(points, length)]


def weibull_shape(cv: float) -> float:
    """Return the shape c with that coefficient of variation: 1 + CV² = Γ(1 + 2/c) / Γ(1 + 1/c)².

    The right side falls with c; c is found by halving an interval of its logarithm.
    """
    low, high = math.log(_WEIBULL_SHAPES[0]), math.log(_WEIBULL_SHAPES[1])
    target = math.log1p(cv**2)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        inverse = math.exp(-middle)
        if math.lgamma(1.0 + 2.0 * inverse) - 2.0 * math.lgamma(1.0 + inverse) > target:
            low = middle
        else:
            high = middle
    return math.exp((low + high) / 2)


def _with_turns(
    starts_s: NDArray[np.float64],
    turns: TraceQuantiles,
    gaps: TraceQuantiles,
    random: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Return the arrivals of all turns in order [s], and the session that each belongs to."""
    number = _whole(quantile(turns, random.standard_normal(starts_s.size))).astype(np.int64)
    session = np.repeat(np.arange(starts_s.size, dtype=np.int32), number)
    first = np.cumsum(number) - number
    gap_s = quantile(gaps, random.standard_normal(session.size))
    gap_s[first] = 0.0
    elapsed_s = np.cumsum(gap_s)
    arrival_s = elapsed_s + np.repeat(starts_s - elapsed_s[first], number)
    order = np.argsort(arrival_s, kind="stable")
    return arrival_s[order], session[order]


def _tokens(
    prompts: TraceQuantiles,
    outputs: TraceQuantiles,
    spearman: float,
    size: int,
    random: np.random.Generator,
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    # Of two normals of correlation r the rank correlation is 6/π asin(r/2).
    r = 2.0 * math.sin(math.pi * spearman / 6.0)
    first, second = random.standard_normal((2, size))
    prompt_tokens = _whole(quantile(prompts, first)).astype(np.int32)
    second *= math.sqrt(1.0 - r**2)
    second += r * first
    output_tokens = _whole(quantile(outputs, second)).astype(np.int32)
    return prompt_tokens, np.maximum(output_tokens, 1)


def _whole(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return values rounded up, so that a quantile of whole numbers stays that quantile."""
    return np.ceil(np.round(values, 9))


def _assumed(
    kind: TracePreset, changes: dict[str, Any], shape: TraceShape, tables: Tables
) -> tuple[str, ...]:
    sentences = [f"Time 0 is a Monday at 00:00 (clock of the hours of day: {shape.clock})."]
    if shape.source_id != kind.source_id:
        sentences.append(f"Hours of day and week: {shape.label}, {shape.basis}.")
    if shape.note:
        sentences.append(f"{shape.label}: {shape.note}.")
    if "requests_per_day" not in changes and kind.rate_basis == "assumed":
        sentences.append(f"The rate, {kind.requests_per_day:g} requests a day, is assumed.")
    if changes:
        listed = ", ".join(f"{name} = {value}" for name, value in sorted(changes.items()))
        sentences.append(f"Set apart from the preset: {listed}.")
    for name in (kind.turns, kind.turn_gap_s, kind.prompt_tokens, kind.output_tokens):
        if name is not None and (note := tables.trace_quantiles[name].note):
            sentences.append(f"{tables.trace_quantiles[name].label}: {note}.")
    return tuple(sentences)
