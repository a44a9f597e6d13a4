"""Requests in flight against capacity, through time: how full replicas are that are always up.

In flight is a request from its arrival to its last token, waiting or served. Capacity is how many
requests the replicas hold at once; requests beyond it wait. A replica may be slow long before it
is full: that is in the times to first token and not here.
"""

from __future__ import annotations

import datetime as dt
import math

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from frontier import spell
from frontier.charts import theme
from frontier.charts.replicas_chart import MOST_BINS, averages
from frontier.simulate import RunResult

_HEIGHT_PX = 300
# With less of the capacity in use, its line stands outside the chart and is told in words.
_LEAST_SHARE = 0.2
_HEADROOM, _MORE_HEADROOM = 1.15, 1.45


def in_flight_table(
    result: RunResult,
    arrival_s: NDArray[np.float64],
    *,
    capacity: int,
    queue_timeout_s: float = math.inf,
    from_s: float = 0.0,
    to_s: float | None = None,
) -> pd.DataFrame:
    """Return the requests in flight in up to 600 equal bins of a window.

    Parameters
    ----------
    result : RunResult
    arrival_s : ndarray, shape (n,)
        Arrivals of the requests. [s]
    capacity : int
        Requests that all replicas together hold at once.
    queue_timeout_s : float
        When a rejected request leaves, after its arrival. [s]
    from_s, to_s : float
        The window, within the horizon; to the horizon if None. [s]

    Returns
    -------
    DataFrame
        from_s, to_s [s]; most, the most requests at one moment of the bin; average, over the bin;
        capacity.
    """
    edges_s = np.linspace(from_s, result.horizon_s if to_s is None else to_s, MOST_BINS + 1)
    left_s = np.where(result.rejected, arrival_s + queue_timeout_s, result.finish_s)
    return pd.DataFrame(
        {
            "from_s": edges_s[:-1],
            "to_s": edges_s[1:],
            "most": _most(arrival_s, left_s, edges_s),
            "average": averages(arrival_s, left_s, np.ones(arrival_s.size), edges_s),
            "capacity": capacity,
        }
    )


def in_flight_figure(table: pd.DataFrame, *, t0_utc: dt.datetime | None = None) -> go.Figure:
    """Draw `in_flight_table`: the most in flight in each bin, and the capacity as a line.

    Where less than a fifth of the capacity is ever used, its line lies beyond the chart: an arrow
    and its number stand for it.
    """
    capacity, most = int(table["capacity"].iloc[0]), int(table["most"].max())
    is_in_view = most >= _LEAST_SHARE * capacity
    top = max(capacity, most) * _HEADROOM if is_in_view else max(most, 1) * _MORE_HEADROOM
    edges_s = [*table["from_s"], table["to_s"].iloc[-1]]
    counts = [*table["most"], table["most"].iloc[-1]]
    figure = go.Figure(
        go.Scatter(
            x=edges_s,
            y=counts,
            mode="lines",
            line={"shape": "hv", "width": 1, "color": theme.BLUE},
            fill="tozeroy",
            fillcolor=theme.BLUE_FILL,
            text=[
                f"{spell.moment(at_s, t0_utc)}<br>at most {spell.count(count, 'request')} of "
                f"{capacity:,}"
                for at_s, count in zip(edges_s, counts, strict=True)
            ],
            hovertemplate="%{text}<extra></extra>",
            showlegend=False,
        )
    )
    words = f"<b>capacity: {spell.count(capacity, 'request')} at once</b>"
    if is_in_view:
        figure.add_hline(y=capacity, line={"color": theme.VERMILION, "width": 2, "dash": "dash"})
    else:
        words += f", {spell.significant(capacity / max(most, 1), 2)} times the peak ↑"
    theme.label_line(
        figure,
        words,
        1,
        capacity if is_in_view else top,
        xref="paper",
        xanchor="right",
        yanchor="bottom" if is_in_view else "top",
    )
    ticks_s, labels, title = theme.clock_ticks(edges_s[0], edges_s[-1], t0_utc)
    theme.base_layout(figure, height_px=_HEIGHT_PX)
    figure.update_layout(hovermode="x")
    figure.update_xaxes(
        tickvals=ticks_s,
        ticktext=labels,
        range=[edges_s[0], edges_s[-1]],
        title=title,
        showspikes=False,
    )
    return figure.update_yaxes(
        title="Requests in flight",
        range=[0, top],
        tickformat=",d",
        tickvals=theme.count_ticks(top),
    )


def _most(
    from_s: NDArray[np.float64], to_s: NDArray[np.float64], edges_s: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Return, for each bin, the most intervals that hold at one moment.

    Of an end and a beginning at one moment the end is first: a place is free before it is taken.
    """
    at_s = np.concatenate((from_s, to_s))
    step = np.concatenate((np.ones(from_s.size, np.int64), -np.ones(to_s.size, np.int64)))
    order = np.lexsort((step, at_s))
    at_s, level = at_s[order], np.cumsum(step[order])
    # What holds at the beginning of each bin, then whatever is reached within it.
    before = np.searchsorted(at_s, edges_s[:-1], side="right")
    most = np.concatenate(([0], level))[before]
    within = (at_s > edges_s[0]) & (at_s < edges_s[-1])
    bins = np.searchsorted(edges_s, at_s[within], side="right") - 1
    np.maximum.at(most, bins, level[within])
    return most
