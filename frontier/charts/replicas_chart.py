"""Replicas through time: starting, up and parked, and the requests in the system.

Averages over equal bins, exact in their integral: replica-seconds of all bins are those of the
sessions. A session keeps when it started, was first ready and ended, but not when it was parked in
between: the up, parked and resuming seconds of a session that was parked are spread evenly over
the time from its first ready to its end.
"""

from __future__ import annotations

import datetime as dt
import math

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from frontier.charts import theme
from frontier.simulate import RunResult

MOST_BINS = 600
_HEIGHT_PX = 420
_STATES = {
    "up": ("Up", theme.GREEN, ""),
    "starting": ("Starting", theme.BLUE, "/"),
    "parked": ("Parked", theme.SKY, "."),
}


def replicas_table(
    result: RunResult,
    arrival_s: NDArray[np.float64],
    *,
    queue_timeout_s: float = math.inf,
    from_s: float = 0.0,
    to_s: float | None = None,
) -> pd.DataFrame:
    """Return averages over up to 600 equal bins of a window.

    Parameters
    ----------
    result : RunResult
    arrival_s : ndarray, shape (n,)
        Arrivals of the requests. [s]
    queue_timeout_s : float
        When a rejected request leaves, after its arrival. [s]
    from_s, to_s : float
        The window, within the horizon; to the horizon if None. [s]

    Returns
    -------
    DataFrame
        from_s, to_s [s]; starting, up, parked (replicas); in_system (requests); averages over
        the bin.
    """
    to_s = result.horizon_s if to_s is None else to_s
    edges_s = np.linspace(from_s, to_s, MOST_BINS + 1)
    rows, horizon_s = result.sessions, result.horizon_s
    started_s, ready_s, ended_s = (
        np.minimum(rows[name], horizon_s) for name in ("started_s", "ready_s", "ended_s")
    )
    after_ready_s = ended_s - ready_s
    lasts = after_ready_s > 0

    def share(seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.divide(seconds, after_ready_s, out=np.zeros(len(rows)), where=lasts)

    resuming_s = np.maximum(rows["starting_s"] - (ready_s - started_s), 0.0)
    left_s = np.where(result.rejected, arrival_s + queue_timeout_s, result.finish_s)
    one = np.ones(len(rows))
    return pd.DataFrame(
        {
            "from_s": edges_s[:-1],
            "to_s": edges_s[1:],
            "starting": averages(started_s, ready_s, one, edges_s)
            + averages(ready_s, ended_s, share(resuming_s), edges_s),
            "up": averages(ready_s, ended_s, share(rows["busy_s"] + rows["idle_s"]), edges_s),
            "parked": averages(ready_s, ended_s, share(rows["parked_s"].sum(axis=1)), edges_s),
            "in_system": averages(arrival_s, left_s, np.ones(arrival_s.size), edges_s),
        }
    )


def replicas_figure(table: pd.DataFrame, *, t0_utc: dt.datetime | None = None) -> go.Figure:
    """Draw `replicas_table`: replicas stacked above, requests in flight beneath.

    Parameters
    ----------
    table : DataFrame
        From `replicas_table`.
    t0_utc : datetime or None
        The instant of time 0; None: not known, days count from there.
    """
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.06)
    # A step needs the end of the last bin too.
    edges_s = [*table["from_s"], table["to_s"].iloc[-1]]
    for name, (label, colour, pattern) in _STATES.items():
        if not table[name].any():
            continue
        figure.add_trace(
            go.Scatter(
                x=edges_s,
                y=[*table[name], table[name].iloc[-1]],
                name=label,
                stackgroup="replicas",
                line={"shape": "hv", "width": 0.5, "color": colour},
                fillcolor=colour,
                fillpattern={
                    "shape": pattern,
                    "bgcolor": colour,
                    "fgcolor": "white",
                    "size": 6,
                    "solidity": 0.2,
                    "fillmode": "replace",
                },
                hovertemplate=f"{label}: %{{y:.2f}}<extra></extra>",
            ),
            row=1,
            col=1,
        )
    figure.add_trace(
        go.Scatter(
            x=edges_s,
            y=[*table["in_system"], table["in_system"].iloc[-1]],
            mode="lines",
            showlegend=False,
            line={"shape": "hv", "width": 1.5, "color": theme.VERMILION},
            hovertemplate="In flight: %{y:.2f}<extra></extra>",
        ),
        row=2,
        col=1,
    )
    ticks_s, labels, title = theme.clock_ticks(edges_s[0], edges_s[-1], t0_utc)
    theme.base_layout(figure, height_px=_HEIGHT_PX)
    figure.update_layout(hovermode="x")
    figure.update_xaxes(tickvals=ticks_s, ticktext=labels, range=[edges_s[0], edges_s[-1]])
    figure.update_xaxes(title=title, row=2, col=1)
    figure.update_xaxes(showspikes=False)
    figure.update_yaxes(title="Replicas", rangemode="tozero", row=1, col=1)
    figure.update_yaxes(title="Requests in flight", rangemode="tozero", row=2, col=1)
    return figure


def averages(
    from_s: NDArray[np.float64],
    to_s: NDArray[np.float64],
    weight: NDArray[np.float64],
    edges_s: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return, for each bin between edges, the average over time of the weights of what holds.

    The sum of weights is a step function of time; its integral is piecewise linear, known at the
    ends of the intervals and read off at the edges of the bins.
    """
    at_s = np.concatenate((from_s, to_s))
    if not at_s.size:
        return np.zeros(edges_s.size - 1)
    order = np.argsort(at_s, kind="stable")
    at_s = at_s[order]
    level = np.cumsum(np.concatenate((weight, -weight))[order])
    integral = np.concatenate(([0.0], np.cumsum(level[:-1] * np.diff(at_s))))
    # Not below 0: what rounding leaves of sums that cancel.
    return np.maximum(np.diff(np.interp(edges_s, at_s, integral)) / np.diff(edges_s), 0.0)
