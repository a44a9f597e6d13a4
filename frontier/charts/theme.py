"""What every chart shares: human ticks, colours of stages and lines, the base layout.

Colours are Okabe and Ito's, which stay apart for colour-blind readers, the bright ones darkened
until all stand out by 3:1 from a light and from a dark page; a symbol or a label always repeats
what a colour says. Text colours are left to the page's theme.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray

from frontier import spell, units

BLUE, ORANGE, GREEN, PINK = "#0072B2", "#C07F00", "#009E73", "#C46C9C"
VERMILION, SKY, GREY = "#D55E00", "#2F93CF", "#7F8C98"
VIOLET, PLUM, OLIVE, FOREST = "#7A70C8", "#A0457B", "#A39300", "#1F8463"
BLUE_FILL = "rgba(0, 114, 178, 0.45)"
TINT = "rgba(213, 94, 0, 0.08)"
"""Where the limit is broken."""
USD_TICKS = "$,.4~r"
"""Ticks of a linear axis of dollars: with cents where whole dollars would read alike."""
THRESHOLD = {"color": VERMILION, "width": 1.5, "dash": "dash"}
"""The line of a limit or a break-even."""
RANGE = "rgba(127, 140, 152, 0.25)"


_AXIS = re.compile(r"[xy]axis\d*")


@dataclass(frozen=True, slots=True)
class Mark:
    """How points of one kind are drawn; families of plans say it of themselves."""

    label: str
    colour: str
    symbol: str


STAGE_COLOURS = {
    "allocate": SKY,
    "pull": BLUE,
    "boot": VIOLET,
    "engine_init": ORANGE,
    "fetch": GREEN,
    "load": FOREST,
    "compile": PINK,
    "kv_cache": PLUM,
    "graph_capture": VERMILION,
    "other": GREY,
}

BILL_COLOURS = {
    "busy": GREEN,
    "idle": ORANGE,
    "starting": BLUE,
    "parked": SKY,
    "rounding": PINK,
    "unused GPUs": VERMILION,
    "empty nodes": FOREST,
    "unused commitment": PLUM,
    "CPU and RAM": VIOLET,
    "storage": OLIVE,
    "fees": GREY,
}

_TIME_TICKS_S = (
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30,
    60, 120, 300, 600, 1800, 3600, 7200, 14400, 43200, 86400,
)  # fmt: skip
# Of times with seconds, which are longer, fewer stand side by side.
_MOST_CLOCK_TICKS, _MOST_WITH_SECONDS = 7, 5
TEXT_PX = 12
WIDE_ONLY = "wide_only"
"""In the meta of a figure: which of its annotations have no room on a narrow page."""
# What is left of the ticks where there are too many, step by step.
_FEWER_TICKS_S = (
    (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 600, 1800, 3600, 14400, 86400),
    (0.001, 0.01, 0.1, 1, 10, 60, 600, 3600, 14400, 86400),
    (0.001, 0.1, 1, 60, 3600, 86400),
    (0.001, 1, 3600, 86400),
)
_WIDE_RANGE, _WIDEST_RANGE = 100, 2000
_FEWEST_TICKS, _MOST_MONEY_TICKS = 2, 7
_RATE_STEPS = ((1, 2, 5), (1, 3), (1,))
# Of words of 12 px, and of a plot on a phone with names beside it.
_LETTER_PX, _TICK_GAP_PX, _NARROW_PLOT_PX = 6.5, 8, 175
_STEPS_S = (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600)
_CLOCK_STEPS_S = (
    *(1, 2, 5, 10, 15, 30),
    *(step * units.SECONDS_PER_MINUTE for step in (1, 5, 10, 30)),
    *(step * units.SECONDS_PER_HOUR for step in (1, 3, 6, 12)),
    *(step * units.SECONDS_PER_DAY for step in (1, 2, 7, 14, 28, 91, 364)),
)


def time_ticks(
    low_s: float, high_s: float, most: int | None = None
) -> tuple[list[float], list[str]]:
    """Return tick positions [s] and labels that people read: 0.5 s, 10 s, 1 min.

    With ``most``, the finest round steps of which there are no more, in order of their size.
    """
    chosen: list[float] = []
    for ladder in (_TIME_TICKS_S, *_FEWER_TICKS_S):
        within = [tick for tick in ladder if low_s * 0.99 <= tick <= high_s * 1.01]
        chosen = within if within or not chosen else chosen
        if most is None or len(chosen) <= most:
            break
    return chosen, [spell.seconds(tick) for tick in chosen]


def label_line(
    figure: go.Figure,
    words: str,
    x: float,
    y: float | str,
    *,
    xanchor: str,
    yanchor: str,
    **how: Any,
) -> None:
    """Write the name of a line beside it, in place of a legend; x and y as an axis counts them."""
    figure.add_annotation(
        x=x,
        y=y,
        text=words,
        xanchor=xanchor,
        yanchor=yanchor,
        showarrow=False,
        font={"size": TEXT_PX},
        **how,
    )


def elapsed_ticks(most_s: float, most: int) -> tuple[list[float], list[str]]:
    """Return ticks of a linear axis from 0, in round steps [s], and their labels."""
    step_s = next((step for step in _STEPS_S if most_s / step <= most), _STEPS_S[-1])
    ticks = [float(tick) for tick in np.arange(0, most_s, step_s)]
    return ticks, [spell.seconds(tick) for tick in ticks]


def even_ticks(low_s: float, high_s: float, most: int) -> tuple[list[float], list[str]]:
    """Return ticks a round step apart [s], and their labels, on an axis too short for decades."""
    ticks: list[float] = []
    for step_s in _STEPS_S:
        first, last = math.ceil(low_s / step_s), math.floor(high_s / step_s)
        if last - first + 1 <= most:
            ticks = [at * step_s for at in range(first, last + 1)]
            break
    if len(ticks) < _FEWEST_TICKS:
        ticks = [float(f"{at:.2g}") for at in np.geomspace(low_s, high_s, 6)[1:-1]]
    return ticks, [spell.seconds(tick) for tick in ticks]


def clock_ticks(
    from_s: float, to_s: float, t0_utc: dt.datetime | None
) -> tuple[list[float], list[str], str]:
    """Return tick positions at round times of the clock, their labels, and the axis title."""
    midnight_s = 0.0
    if t0_utc is not None:
        midnight = t0_utc.replace(hour=0, minute=0, second=0, microsecond=0)
        midnight_s = (midnight - t0_utc).total_seconds()

    def day(at_s: float) -> str:
        if t0_utc is not None:
            return f"{t0_utc + dt.timedelta(seconds=at_s):%d %b}"
        return f"day {at_s // units.SECONDS_PER_DAY + 1:.0f}"

    step_s = next(
        (
            s
            for s in _CLOCK_STEPS_S
            if (to_s - from_s) / s
            <= (_MOST_WITH_SECONDS if s < units.SECONDS_PER_MINUTE else _MOST_CLOCK_TICKS)
        ),
        _CLOCK_STEPS_S[-1],
    )
    first = math.ceil((from_s - midnight_s) / step_s)
    ticks_s = midnight_s + step_s * np.arange(
        first, math.floor((to_s - midnight_s) / step_s) + 1, dtype=np.float64
    )
    is_long = to_s - from_s > units.SECONDS_PER_DAY
    labels = [
        day(at_s)
        if is_long and (at_s - midnight_s) % units.SECONDS_PER_DAY == 0
        else spell.clock(at_s - midnight_s, to_the_second=step_s < units.SECONDS_PER_MINUTE)
        for at_s in ticks_s.tolist()
    ]
    origin = "counted from the start of the trace" if t0_utc is None else "UTC"
    when = "Days" if is_long else f"Time on {day(from_s)}"
    return ticks_s.tolist(), labels, f"{when} ({origin})"


def spread(at: Mapping[str, float], least: float) -> dict[str, float]:
    """Return heights within 0 to 1, moved as little apart as labels need, in the same order.

    Parameters
    ----------
    at : mapping of str to float
        Where each would stand [share of the axis].
    least : float
        The height of a label [share of the axis].
    """
    names = sorted(at, key=at.__getitem__)
    heights = np.array([at[name] for name in names])
    slots = least * np.arange(len(names))
    # Of what is left after the labels take their place, each keeps to its order: least squares.
    blocks: list[list[float]] = []
    for height in (heights - slots).tolist():
        blocks.append([height, 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (one, n), (other, m) = blocks[-2:]
            blocks[-2:] = [[(one * n + other * m) / (n + m), n + m]]
    free = [height for height, weight in blocks for _ in range(int(weight))]
    room = max(1.0 - least * len(names), 0.0)
    placed = np.clip(free, least / 2, least / 2 + room) + slots
    return dict(zip(names, placed.tolist(), strict=True))


def count_ticks(top: float, most: int = 6) -> list[float]:
    """Return ticks from 0 in steps of 1, 2 or 5 times a power of ten, whole and at most so many."""
    step = next(
        digit * 10.0**power
        for power in range(math.ceil(math.log10(max(top, 1))) + 1)
        for digit in (1, 2, 5)
        if top / (digit * 10.0**power) < most
    )
    return [float(tick) for tick in np.arange(0, top, step)]


def money_ticks(
    low_usd: float, high_usd: float, digits: tuple[int, ...] = (1, 2, 5)
) -> tuple[list[float], list[str]]:
    """Return tick positions [$] on a logarithmic axis and their labels: $500, $1,000, $2,000.

    Parameters
    ----------
    digits : tuple of int
        What they begin with.
    """
    decades = range(math.floor(math.log10(low_usd)), math.ceil(math.log10(high_usd)) + 1)
    ticks = [digit * 10.0**power for power in decades for digit in digits]
    chosen = [tick for tick in ticks if low_usd <= tick <= high_usd]
    return chosen, [f"${tick:,.0f}" if tick >= 1 else spell.dollars(tick) for tick in chosen]


def log_range(values: list[float], pad: float = 0.08) -> tuple[float, float]:
    """Return (low, high) that holds all positive values with a margin, in data units.

    A decade about 1 where none is positive: an axis for nothing that could be drawn on it.
    """
    positive = [value for value in values if 0 < value < math.inf] or [0.5, 5.0]
    low, high = min(positive), max(positive)
    margin = max((math.log10(high) - math.log10(low)) * pad, 0.08)
    return 10 ** (math.log10(low) - margin), 10 ** (math.log10(high) + margin)


def on_log(usd: ArrayLike) -> NDArray[np.float64]:
    """Return where dollars stand on a logarithmic axis: what costs nothing, at its left end."""
    found = np.asarray(usd, dtype=np.float64)
    positive = found[found > 0]
    return np.maximum(found, positive.min() / 2 if positive.size else 1.0)


def money_title(usd: ArrayLike) -> str:
    """Return the title of a logarithmic axis of dollars a month."""
    free = bool((np.asarray(usd, dtype=np.float64) <= 0).any())
    return "Dollars a month" + (" ($0 at the left end)" if free else "")


def time_axis(low_s: float, high_s: float, most: int | None = None) -> dict[str, Any]:
    """Return the settings of a logarithmic axis of seconds, with `time_ticks`."""
    ticks_s, labels = time_ticks(low_s, high_s) if most is None else time_ticks(low_s, high_s, most)
    return _log_axis(low_s, high_s, ticks_s, labels)


def money_axis(low_usd: float, high_usd: float) -> dict[str, Any]:
    """Return the settings of a logarithmic axis of dollars, with `money_ticks`.

    Over more than two decades in steps of 1 and 3, over more than three in steps of ten, so that
    the labels have room on a phone.
    """
    ratio = high_usd / low_usd
    digits = (1,) if ratio > _WIDEST_RANGE else (1, 3) if ratio > _WIDE_RANGE else (1, 2, 5)
    ticks, words = money_ticks(low_usd, high_usd, digits)
    if len(ticks) < _FEWEST_TICKS:  # round amounts lie too far apart for so short an axis
        ticks, words = money_ticks(low_usd, high_usd, tuple(range(1, 10)))
    if len(ticks) < _FEWEST_TICKS:
        ticks = np.linspace(low_usd, high_usd, _FEWEST_TICKS + 2)[1:-1].tolist()
        words = [spell.dollars(tick) for tick in ticks]
    every = math.ceil(len(ticks) / _MOST_MONEY_TICKS)
    return _log_axis(low_usd, high_usd, ticks[::every], words[::every])


def _log_axis(low: float, high: float, ticks: list[float], labels: list[str]) -> dict[str, Any]:
    span = [math.log10(low), math.log10(high)]
    return {"type": "log", "range": span, "tickvals": ticks, "ticktext": labels}


def base_layout(figure: go.Figure, *, height_px: int) -> go.Figure:
    """Give a figure the margins, legend, hover and text sizes that all charts have; returns it."""
    axis = {"automargin": True, "tickfont": {"size": TEXT_PX}, "title": {"font": {"size": TEXT_PX}}}
    return arrange(
        figure,
        axes=axis,
        height=height_px,
        font={"size": TEXT_PX},
        # Words that do not fit their bar are left out, not made small.
        uniformtext={"minsize": TEXT_PX, "mode": "hide"},
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        hovermode="closest",
        legend={
            "orientation": "h",
            "yanchor": "bottom",
            "y": 1.02,
            "x": 0,
            "title": None,
            "font": {"size": TEXT_PX},
        },
        dragmode=False,
    )


def arrange(
    figure: go.Figure, *, axes: Mapping[str, Any] = MappingProxyType({}), **changes: Any
) -> go.Figure:
    """Change the layout of a figure as its own ``update_layout`` does, in a tenth of the time.

    That looks up each property by its path again and again; here each part of the layout is put
    together first and set once.

    Parameters
    ----------
    axes : mapping of str to object
        What changes on every axis of the figure.
    **changes
        Properties of the layout; a mapping changes what it names and leaves the rest. Of parts
        that are lists each is set as a whole.
    """
    layout = figure.layout
    for name in [name for name in layout if _AXIS.fullmatch(name)] if axes else []:
        layout[name] = _merged(layout[name].to_plotly_json(), axes)
    for name, value in changes.items():
        is_part = isinstance(value, Mapping)
        layout[name] = _merged(layout[name].to_plotly_json(), value) if is_part else value
    return figure


def _merged(kept: Mapping[str, Any] | None, changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(kept or {})
    for name, value in changes.items():
        is_part = isinstance(value, Mapping)
        merged[name] = _merged(merged.get(name), value) if is_part else value
    return merged


def ink_on(colour: str) -> str:
    """Return black or white, whichever reads better on that colour (WCAG relative luminance)."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#000000" if (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) else "#FFFFFF"


def rate_ticks(low: float, high: float) -> list[float]:
    """Return round numbers for an axis of rates, as many as have room on a phone."""
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    ticks: list[float] = []
    for steps in _RATE_STEPS:
        within = [step * 10.0**decade for decade in decades for step in steps]
        within = [tick for tick in within if low <= tick <= high]
        if len(within) < _FEWEST_TICKS and ticks:
            break
        ticks = within
        width_px = sum(len(f"{tick:,.10g}") * _LETTER_PX + _TICK_GAP_PX for tick in ticks)
        if width_px <= _NARROW_PLOT_PX:
            break
    return ticks
