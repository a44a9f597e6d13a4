"""Requests over time, in at most 600 bins whatever the length of the trace."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from frontier import spell
from frontier.charts import theme
from frontier.trace import Trace, rate_over_time

MOST_BINS = 600
_HEIGHT_PX = 260


def rate_table(trace: Trace) -> pd.DataFrame:
    """Return requests in equal bins: from_s, to_s [s], requests, requests_per_s [1/s]."""
    binned = rate_over_time(trace, MOST_BINS)
    return pd.DataFrame(
        {
            "from_s": binned.edges_s[:-1],
            "to_s": binned.edges_s[1:],
            "requests": binned.requests,
            "requests_per_s": binned.rps,
        }
    )


def rate_figure(table: pd.DataFrame, *, t0_utc: dt.datetime | None = None) -> go.Figure:
    """Draw `rate_table` as steps; ``t0_utc`` is the instant of time 0, if it is known."""
    edges_s = [*table["from_s"], table["to_s"].iloc[-1]]
    requests = [*table["requests"], table["requests"].iloc[-1]]
    figure = go.Figure(
        go.Scatter(
            x=edges_s,
            y=requests,
            mode="lines",
            line={"shape": "hv", "width": 1, "color": theme.BLUE},
            fill="tozeroy",
            fillcolor=theme.BLUE_FILL,
            text=[
                f"{spell.moment(at_s, t0_utc)}<br>{spell.count(number, 'request')}"
                for at_s, number in zip(edges_s, requests, strict=True)
            ],
            hovertemplate="%{text}<extra></extra>",
        )
    )
    ticks_s, labels, title = theme.clock_ticks(edges_s[0], edges_s[-1], t0_utc)
    width_s = float(np.max(table["to_s"] - table["from_s"]))
    theme.base_layout(figure, height_px=_HEIGHT_PX)
    figure.update_xaxes(
        tickvals=ticks_s, ticktext=labels, range=[edges_s[0], edges_s[-1]], title=title
    )
    return figure.update_yaxes(
        title=f"Requests in {spell.seconds(width_s)}",
        rangemode="tozero",
        tickvals=theme.count_ticks(float(max(requests)) + 0.5),
        tickformat=",.0f",
    )
