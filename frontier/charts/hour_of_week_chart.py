"""The rate by day and hour of the week; hours that nobody observed stay empty."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from frontier import units
from frontier.charts import theme
from frontier.trace import Trace, hour_of_week

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_HEIGHT_PX = 260
_HOURS_BETWEEN_TICKS = 6
# Runs from dark blue to yellow in even steps of lightness; the colour-blind see the same.
_SCALE = "Cividis"


def hour_of_week_table(trace: Trace) -> pd.DataFrame:
    """Return 168 rows: day, hour, requests, observed_s [s], requests_per_h.

    ``requests_per_h`` is not a number where no second was observed.

    Raises
    ------
    InputError
        If the trace does not know when it began.
    """
    requests, observed_s = hour_of_week(trace)
    days, hours = np.indices(requests.shape)
    observed_h = observed_s / units.SECONDS_PER_HOUR
    rate = np.divide(
        requests, observed_h, out=np.full(requests.shape, np.nan), where=observed_h > 0
    )
    return pd.DataFrame(
        {
            "day": [DAYS[day] for day in days.ravel()],
            "hour": hours.ravel(),
            "requests": requests.ravel(),
            "observed_s": observed_s.ravel(),
            "requests_per_h": rate.ravel(),
        }
    )


def hour_of_week_figure(table: pd.DataFrame, *, clock: str = "UTC") -> go.Figure:
    """Draw `hour_of_week_table` as a heat map, Monday on top; ``clock`` is that of its hours."""
    grid = table.pivot(index="day", columns="hour", values="requests_per_h").loc[list(DAYS)]
    figure = go.Figure(
        go.Heatmap(
            x=list(grid.columns),
            y=list(grid.index),
            z=grid.to_numpy(),
            colorscale=_SCALE,
            zmin=0,
            zmax=float(np.nanmax(grid.to_numpy())),
            xgap=1,
            ygap=1,
            hoverongaps=False,
            colorbar={"title": {"text": "requests/h"}, "thickness": 12},
            hovertemplate="%{y} %{x}:00<br>%{z:,.3~g} requests/h<extra></extra>",
        )
    )
    theme.base_layout(figure, height_px=_HEIGHT_PX)
    hours = list(range(0, grid.shape[1], _HOURS_BETWEEN_TICKS))
    figure.update_xaxes(
        tickvals=hours,
        ticktext=[f"{hour:02d}:00" for hour in hours],
        title=f"Hour of the day ({clock})",
        showgrid=False,
    )
    return figure.update_yaxes(autorange="reversed", showgrid=False)
