"""Dollars a month against the request rate: scale-to-zero and always-on, and where they cross.

A line is solid where its p99 holds the limit and dotted, with hollow points, where it does not.
Points are simulated; what lies between two of them is drawn, not computed. Always-on goes up by
whole replicas, somewhere between the two points where their number changes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from frontier import spell
from frontier.break_even import RatePoint
from frontier.charts import theme
from frontier.economics import Crossing
from frontier.rivals import ALWAYS_ON, AS_SHIPPED, CHEAPEST

_HEIGHT_PX = 400
_MARKS = {
    AS_SHIPPED: theme.Mark("Scale-to-zero as shipped", theme.BLUE, "circle"),
    CHEAPEST: theme.Mark("Scale-to-zero, cheapest idle timeout", theme.SKY, "square"),
    ALWAYS_ON: theme.Mark("Always-on", theme.VERMILION, "star"),
}
# Beside the last point of each line, in the margin.
_NAMES = {
    AS_SHIPPED: "scale-to-zero<br>as shipped",
    CHEAPEST: "scale-to-zero,<br>cheapest",
    ALWAYS_ON: "always-on",
}
_GLYPHS = {AS_SHIPPED: "●", CHEAPEST: "■", ALWAYS_ON: "★"}
_NAMES_PX, _NAME_HEIGHT = 104, 0.12
_STEP_DOWN = 0.12
_BESIDE_PX = 3
_ROOM, _ROWS = 1.24, 4


def break_even_table(points: Sequence[RatePoint], *, requests_per_day: float) -> pd.DataFrame:
    """Return one row for each line and rate.

    Parameters
    ----------
    points : sequence of RatePoint
    requests_per_day : float
        Of the traffic as it is. [1/day]

    Returns
    -------
    DataFrame
        line, label, traffic_factor, requests_per_day, usd_per_month, usd_low, usd_high (least and
        most over the draws of the traffic), p99_ttft_s, holds_limit, idle_timeout_s, replicas; in
        order of the rate.
    """
    return pd.DataFrame(
        {
            "line": [point.line for point in points],
            "label": [_MARKS[point.line].label for point in points],
            "traffic_factor": [point.factor for point in points],
            "requests_per_day": [point.factor * requests_per_day for point in points],
            "usd_per_month": [point.usd_per_month for point in points],
            "usd_low": [point.usd_low for point in points],
            "usd_high": [point.usd_high for point in points],
            "p99_ttft_s": [point.p99_ttft_s for point in points],
            "holds_limit": [point.holds_limit for point in points],
            "idle_timeout_s": [
                point.idle_timeout_s if math.isfinite(point.idle_timeout_s) else math.nan
                for point in points
            ],
            "replicas": pd.array(
                [point.replicas if point.line == ALWAYS_ON else None for point in points],
                dtype="Int64",
            ),
        }
    )


def break_even_figure(
    table: pd.DataFrame,
    crossings: Sequence[Crossing],
    *,
    requests_per_day: float,
    line: str,
) -> go.Figure:
    """Draw `break_even_table`.

    Parameters
    ----------
    crossings : sequence of Crossing
        Of ``line`` and always-on, in factors of the traffic.
    requests_per_day : float
        Of the traffic as it is, marked. [1/day]
    line : str
        The line of scale-to-zero that was compared; drawn wider.
    """
    figure = go.Figure()
    for name, mark in _MARKS.items():
        rows = table[table["line"] == name]
        shape = "hvh" if name == ALWAYS_ON else "linear"
        width = 2.5 if name in (line, ALWAYS_ON) else 1.5
        how = {"x": rows["requests_per_day"], "legendgroup": name}
        figure.add_trace(
            go.Scatter(
                y=rows["usd_per_month"],
                mode="lines",
                line={"color": mark.colour, "width": width, "dash": "dot", "shape": shape},
                hoverinfo="skip",
                showlegend=False,
                **how,
            )
        )
        figure.add_trace(
            go.Scatter(
                y=rows["usd_per_month"].where(rows["holds_limit"]),
                mode="lines",
                line={"color": mark.colour, "width": width, "shape": shape},
                hoverinfo="skip",
                showlegend=False,
                **how,
            )
        )
        figure.add_trace(
            go.Scatter(
                y=rows["usd_per_month"],
                mode="markers",
                name=mark.label,
                showlegend=False,
                marker={
                    "color": mark.colour,
                    "symbol": [
                        mark.symbol if holds else f"{mark.symbol}-open"
                        for holds in rows["holds_limit"]
                    ],
                    "size": 8,
                    "line": {"width": 1.5, "color": mark.colour},
                },
                text=[_hover(mark.label, row) for row in rows.itertuples()],
                hovertemplate="%{text}<extra></extra>",
                **how,
            )
        )
    low, high = theme.log_range([*table["requests_per_day"]], pad=0.02)
    # Room above the lines for the words: a row of them for each crossing, so that no two meet.
    rows = min(len(crossings), _ROWS)
    room = max(_ROOM, 1 / (1 - _STEP_DOWN * rows))
    top = float(table["usd_per_month"].max()) * room or 1.0
    _name_lines(figure, table, top)
    _mark_traffic(figure, crossings, requests_per_day, low, high)
    if not crossings:
        side = "left" if requests_per_day > math.sqrt(low * high) else "right"
        figure.add_annotation(
            x=0 if side == "left" else 1,
            xref="paper",
            xanchor=side,
            y=1,
            yref="paper",
            yanchor="top",
            text="<b>no break-even</b><br>in this range",
            showarrow=False,
            font={"size": 12},
        )
    for index, crossing in enumerate(crossings):
        height = top * (1 - _STEP_DOWN * (index % _ROWS))
        _mark_crossing(figure, table, crossing, requests_per_day, line, height)
    ticks = theme.rate_ticks(low, high)
    figure.update_xaxes(
        type="log",
        range=[np.log10(low), np.log10(high)],
        tickvals=ticks,
        ticktext=[f"{tick:,.0f}" if tick >= 1 else f"{tick:g}" for tick in ticks],
        tickangle=0,
        title="Requests a day",
    )
    figure.update_yaxes(
        range=[0, top], tickformat=theme.USD_TICKS, nticks=7, title="Dollars a month"
    )
    theme.base_layout(figure, height_px=_HEIGHT_PX)
    return figure.update_layout(margin={"r": _NAMES_PX})


def _hover(label: str, row: Any) -> str:
    words = (
        f"{label}<br>{spell.significant(row.requests_per_day)} requests a day<br>"
        f"<b>{spell.dollars(row.usd_per_month)}</b> a month"
    )
    if row.usd_high - row.usd_low > 1:
        words += f" ({spell.dollars(row.usd_low)} to {spell.dollars(row.usd_high)})"
    words += f"<br>p99 {spell.seconds(row.p99_ttft_s)}"
    words += ", within the limit" if row.holds_limit else ", over the limit"
    if not pd.isna(row.replicas):
        return words + f"<br>{spell.count(row.replicas, 'replica')}"
    return words + f"<br>idle timeout {spell.seconds(row.idle_timeout_s)}"


def _name_lines(figure: go.Figure, table: pd.DataFrame, top: float) -> None:
    """Write each line's name in the margin, at the height of its end as far as there is room."""
    ends = {
        name: float(rows["usd_per_month"].iloc[-1]) / top for name, rows in table.groupby("line")
    }
    for name, height in theme.spread(ends, _NAME_HEIGHT).items():
        theme.label_line(
            figure,
            f'<span style="color:{_MARKS[name].colour}">{_GLYPHS[name]}</span> '
            f"<b>{_NAMES[name]}</b>",
            1,
            height,
            xref="paper",
            yref="paper",
            xanchor="left",
            yanchor="middle",
            xshift=6,
            align="left",
        )


def _mark_traffic(
    figure: go.Figure,
    crossings: Sequence[Crossing],
    requests_per_day: float,
    low: float,
    high: float,
) -> None:
    """Mark the traffic, its words on the side away from the nearest crossing and from the edge."""
    figure.add_vline(x=requests_per_day, line={"color": theme.GREY, "width": 1.5, "dash": "dash"})
    across = np.log(requests_per_day / low) / np.log(high / low)
    nearest = min(
        (crossing.at for crossing in crossings), key=lambda at: abs(np.log(at)), default=0
    )
    on_left = across > 0.75 or (nearest > 1 and across > 0.25)
    figure.add_annotation(
        x=np.log10(requests_per_day),
        y=1,
        yref="paper",
        yanchor="top",
        xanchor="right" if on_left else "left",
        xshift=-_BESIDE_PX if on_left else _BESIDE_PX,
        text=f"this traffic<br>{spell.significant(requests_per_day)} a day",
        align="right" if on_left else "left",
        showarrow=False,
        font={"size": 12},
    )


def _mark_crossing(
    figure: go.Figure,
    table: pd.DataFrame,
    crossing: Crossing,
    requests_per_day: float,
    line: str,
    height: float,
) -> None:
    at, low, high = (
        factor * requests_per_day for factor in (crossing.at, crossing.low, crossing.high)
    )
    rows = table[table["line"] == line]
    usd = float(
        np.interp(np.log(at), np.log(rows["requests_per_day"]), rows["usd_per_month"].to_numpy())
    )
    figure.add_vrect(x0=low, x1=high, fillcolor=theme.GREY, opacity=0.3, line_width=0)
    figure.add_trace(
        go.Scatter(
            x=[at],
            y=[usd],
            mode="markers",
            marker={"symbol": "x-thin", "size": 12, "line": {"width": 2.5, "color": theme.GREY}},
            hovertemplate=f"Break-even at {spell.significant(at)} requests a day"
            f"<br>({spell.significant(low)} to {spell.significant(high)})<extra></extra>",
            showlegend=False,
        )
    )
    # On the side away from the mark of the traffic.
    side = "left" if crossing.at > 1 else "right"
    figure.add_annotation(
        x=np.log10(high if crossing.at > 1 else low),
        y=height,
        yanchor="top",
        xanchor=side,
        text=f"break-even<br>{spell.significant(at)} a day",
        align=side,
        showarrow=False,
        font={"size": 12},
    )
