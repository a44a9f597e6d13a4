"""Dollars for a million tokens against requests a day: reserved machines, and per-token APIs."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from frontier import spell
from frontier.charts import theme
from frontier.finance import ApiCost, Used, break_even_per_day

_HEIGHT_PX = 380
_POINTS = 60
_BELOW = 20.0
_PLAN, _API = "plan", "api"
_DASHES = ("dash", "dot", "dashdot", "longdash")


def used_table(used: Used, apis: Iterable[ApiCost]) -> pd.DataFrame:
    """Return the lines of the chart, point by point.

    Parameters
    ----------
    used : Used
        A plan that is always on.
    apis : iterable of ApiCost

    Returns
    -------
    DataFrame
        line ("plan" or "api"), label, requests_per_day, usd_per_mtok, break_even_per_day (of an
        API; NaN where there is none), from well below this traffic to as much as the replicas
        finish.
    """
    low = min(used.requests_per_day, used.full_requests_per_day) / _BELOW
    high = max(used.requests_per_day, used.full_requests_per_day)
    per_day = np.unique([*np.geomspace(low, high, _POINTS), used.requests_per_day])
    rows = [(_PLAN, used.label, at, used.usd_per_mtok_at(at), np.nan) for at in per_day.tolist()]
    for api in apis:
        meets = break_even_per_day(used, api)
        rows += [
            (_API, api.label, at, api.usd_per_mtok, np.nan if meets is None else meets)
            for at in (float(per_day[0]), float(per_day[-1]))
        ]
    columns = ["line", "label", "requests_per_day", "usd_per_mtok", "break_even_per_day"]
    return pd.DataFrame(rows, columns=columns)


def used_figure(table: pd.DataFrame, *, requests_per_day: float) -> go.Figure:
    """Draw `used_table`: the plan falls as traffic fills it, each API is level."""
    figure = go.Figure()
    is_free = bool((table["usd_per_mtok"] <= 0).any())
    table = table.assign(at_usd=theme.on_log(table["usd_per_mtok"]))
    plan = table[table["line"] == _PLAN]
    figure.add_trace(
        go.Scatter(
            x=plan["requests_per_day"],
            y=plan["at_usd"],
            customdata=plan["usd_per_mtok"],
            mode="lines",
            name=plan["label"].iloc[0],
            line={"color": theme.BLUE, "width": 3},
            hovertemplate="%{x:,.0f} requests a day: $%{customdata:,.2f} a million tokens"
            "<extra></extra>",
        )
    )
    now = plan.loc[(plan["requests_per_day"] - requests_per_day).abs().idxmin()]
    figure.add_trace(
        go.Scatter(
            x=[requests_per_day],
            y=[now["at_usd"]],
            mode="markers",
            name="This traffic: used",
            marker={"color": theme.BLUE, "symbol": "circle", "size": 13},
            hovertemplate=f"This traffic: {spell.dollars(now['usd_per_mtok'])}<extra></extra>",
        )
    )
    full = plan.iloc[-1]
    figure.add_trace(
        go.Scatter(
            x=[full["requests_per_day"]],
            y=[full["at_usd"]],
            mode="markers",
            name="Always full: reserved",
            marker={"color": theme.BLUE, "symbol": "square", "size": 12},
            hovertemplate=f"Always full: {spell.dollars(full['usd_per_mtok'])}<extra></extra>",
        )
    )
    colours = (theme.VERMILION, theme.GREEN, theme.ORANGE, theme.PLUM)
    for index, (label, rows) in enumerate(
        table[table["line"] == _API].groupby("label", sort=False)
    ):
        colour, usd = colours[index % len(colours)], rows["usd_per_mtok"].iloc[0]
        figure.add_trace(
            go.Scatter(
                x=rows["requests_per_day"],
                y=rows["at_usd"],
                mode="lines",
                name=label,
                line={"color": colour, "width": 2, "dash": _DASHES[index % len(_DASHES)]},
                hovertemplate=f"{label}: {spell.dollars(usd)}<extra></extra>",
            )
        )
        meets = rows["break_even_per_day"].iloc[0]
        if np.isfinite(meets):
            figure.add_trace(
                go.Scatter(
                    x=[meets],
                    y=rows["at_usd"].iloc[:1],
                    mode="markers",
                    marker={"color": colour, "symbol": "star", "size": 14},
                    hovertemplate=f"Break-even: {spell.significant(meets)} requests a day"
                    "<extra></extra>",
                    showlegend=False,
                )
            )
    theme.base_layout(figure, height_px=_HEIGHT_PX)
    rates = table["requests_per_day"]
    figure.update_xaxes(
        type="log",
        title="Requests a day",
        tickvals=theme.rate_ticks(float(rates.min()), float(rates.max())),
        tickformat=",.0f",
    )
    figure.update_yaxes(
        **theme.money_axis(*theme.log_range([*table["at_usd"]])),
        title="Dollars a million tokens" + (" ($0 at the lower end)" if is_free else ""),
    )
    return figure
