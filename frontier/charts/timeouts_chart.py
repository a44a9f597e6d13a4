"""Dollars a month and p99 against the idle timeout, one above the other on one axis.

What the provider does not allow is drawn lighter. The timeouts worth naming are marked on both.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from frontier import spell
from frontier.charts import theme
from frontier.timeouts import TimeoutPoint, Timeouts

_HEIGHT_PX = 520
_FAINT = 0.35
# No timeout at all stands left of the shortest one, by this factor.
_NONE_AT = 2.0
MARKS = {
    "holding": theme.Mark("holds the limit", theme.GREEN, "star"),
    "beyond": theme.Mark("would hold it, not allowed", theme.GREEN, "star-open"),
    "knee": theme.Mark("knee", theme.PINK, "diamond"),
    "default": theme.Mark("provider's own", theme.VERMILION, "circle"),
    "ski": theme.Mark("costs as much as a start", theme.ORANGE, "triangle-up"),
}


def timeouts_table(found: Timeouts) -> pd.DataFrame:
    """Return one row an idle timeout, the shortest first.

    Columns: ``idle_timeout_s, is_allowed`` (by the provider), ``usd_per_month, idle_usd,
    starting_usd`` (its lines of idle and starting seconds), ``p99_ttft_s, holds_limit,
    waited_share, busy_share, starts``; and ``mark``: which of `MARKS` it is, several with a comma.
    """
    named = named_points(found)
    rows = [
        {
            "idle_timeout_s": point.idle_timeout_s,
            "is_allowed": point.is_allowed,
            "usd_per_month": point.usd_per_month,
            "idle_usd": point.idle_usd,
            "starting_usd": point.starting_usd,
            "p99_ttft_s": point.p99_ttft_s,
            "holds_limit": point.p99_ttft_s <= found.limit_s,
            "waited_share": point.waited_share,
            "busy_share": point.busy_share,
            "starts": point.starts,
            "mark": ", ".join(key for key, one in named.items() if one == point),
        }
        for point in found.points
    ]
    return pd.DataFrame(rows)


def named_points(found: Timeouts) -> dict[str, TimeoutPoint]:
    """Return the points worth naming that there are, by the key of their mark."""
    ski = found.ski_rental
    points = {
        "holding": found.holding,
        "beyond": found.beyond,
        "knee": None if found.knee is None else found.knee.point,
        "default": found.default,
        "ski": None if ski is None else ski.point,
    }
    return {key: point for key, point in points.items() if point is not None}


def timeouts_figure(
    table: pd.DataFrame, *, limit_s: float, always_on: tuple[str, float, float] | None = None
) -> go.Figure:
    """Draw `timeouts_table`.

    Parameters
    ----------
    limit_s : float
        On p99 TTFT, drawn as a line. [s]
    always_on : tuple of (str, float, float), optional
        What is always on, its dollars a month and its p99: a line in each panel. [$/month], [s]
    """
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.06)
    positive = table.loc[table["idle_timeout_s"] > 0, "idle_timeout_s"]
    none_s = float(positive.min()) / _NONE_AT
    at_s = table["idle_timeout_s"].where(table["idle_timeout_s"] > 0, none_s)
    shown = table.assign(at_s=at_s, text=[_hover(row) for row in table.itertuples()])
    for row, column in ((1, "usd_per_month"), (2, "p99_ttft_s")):
        for part, opacity in _stretches(shown):
            figure.add_trace(
                go.Scatter(
                    x=part["at_s"],
                    y=part[column].where(np.isfinite(part[column])),
                    mode="lines+markers",
                    line={"color": theme.BLUE, "width": 2.5},
                    marker={"size": 5, "color": theme.BLUE},
                    opacity=opacity,
                    text=part["text"],
                    hovertemplate="%{text}<extra></extra>",
                    showlegend=False,
                ),
                row=row,
                col=1,
            )
    _add_marks(figure, shown)
    lines = [(2, limit_s, f"limit {spell.seconds(limit_s)}", theme.VERMILION, "dash")]
    if always_on is not None:
        name, usd, _ = always_on
        lines.append((1, usd, f"{name} always on, {spell.dollars(usd)}", theme.GREY, "dot"))
    for row, level, words, colour, dash in lines:
        figure.add_hline(
            y=level, line={"color": colour, "width": 1.5, "dash": dash}, row=row, col=1
        )
        theme.label_line(
            figure,
            words,
            0,
            math.log10(level) if row == 2 else level,
            xanchor="left",
            yanchor="bottom",
            xref="paper",
            yref="y2" if row == 2 else "y",
        )
    _set_axes(figure, shown, limit_s, none_s)
    return figure


def _stretches(shown: pd.DataFrame) -> list[tuple[pd.DataFrame, float]]:
    """Return what is shorter, allowed, and longer, each reaching to the next, and how strong."""
    allowed = np.flatnonzero(shown["is_allowed"])
    first, last = int(allowed[0]), int(allowed[-1])
    parts = [
        (shown.iloc[: first + 1], _FAINT),
        (shown.iloc[first : last + 1], 1.0),
        (shown.iloc[last:], _FAINT),
    ]
    return [(part, opacity) for part, opacity in parts if len(part) > 1 or opacity == 1.0]


def _add_marks(figure: go.Figure, shown: pd.DataFrame) -> None:
    for key, mark in MARKS.items():
        marked = shown[[key in marks.split(", ") for marks in shown["mark"]]]
        for row, column in ((1, "usd_per_month"), (2, "p99_ttft_s")):
            if len(marked):
                figure.add_trace(
                    go.Scatter(
                        x=marked["at_s"],
                        y=marked[column],
                        mode="markers",
                        name=mark.label,
                        legendgroup=key,
                        showlegend=row == 1,
                        marker={
                            "symbol": mark.symbol,
                            "size": 14,
                            "color": mark.colour,
                            "line": {"width": 1.5 if mark.symbol.endswith("open") else 0},
                        },
                        text=marked["text"],
                        hovertemplate=f"<b>{mark.label}</b><br>%{{text}}<extra></extra>",
                    ),
                    row=row,
                    col=1,
                )


def _hover(row: Any) -> str:
    kept = "not kept" if row.idle_timeout_s == 0 else f"kept {spell.seconds(row.idle_timeout_s)}"
    beyond = "" if row.is_allowed else ", not allowed"
    return (
        f"{kept}{beyond}: {spell.dollars(row.usd_per_month)} a month<br>"
        f"p99 {spell.seconds(row.p99_ttft_s)}, {spell.percent(row.waited_share)} wait on a start"
    )


def _set_axes(figure: go.Figure, shown: pd.DataFrame, limit_s: float, none_s: float) -> None:
    low_s, high_s = theme.log_range([*shown["at_s"]], pad=0.03)
    ticks_s, labels = theme.time_ticks(none_s * 1.2, high_s, most=7)
    if (shown["idle_timeout_s"] == 0).any():
        ticks_s, labels = [none_s, *ticks_s], ["0", *labels]
    figure.update_xaxes(
        type="log",
        range=[math.log10(low_s), math.log10(high_s)],
        tickvals=ticks_s,
        ticktext=labels,
    )
    figure.update_xaxes(title="Idle timeout: how long a replica is kept with nothing to do", row=2)
    top_usd = float(shown["usd_per_month"].max())
    figure.update_yaxes(
        range=[0, 1.1 * top_usd],
        tickprefix="$",
        separatethousands=True,
        title="Dollars a month",
        row=1,
        col=1,
    )
    low, high = theme.log_range([*shown["p99_ttft_s"], limit_s], pad=0.1)
    figure.update_yaxes(
        **theme.time_axis(low, high, most=6),
        title="p99 TTFT",
        row=2,
        col=1,
    )
    figure.add_hrect(
        y0=limit_s, y1=high, fillcolor=theme.TINT, line_width=0, layer="below", row=2, col=1
    )
    theme.base_layout(figure, height_px=_HEIGHT_PX)
