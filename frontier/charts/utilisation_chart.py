"""How much of the time a replica may be billed before always-on is cheaper, on one scale.

The user's own ceiling (dedicated price over serverless price), where this traffic is, and beside
them the rules of thumb that are told without a price.
"""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd
import plotly.graph_objects as go

from frontier import spell
from frontier.charts import theme
from frontier.tables import Folklore

_ROW_PX = 40
_AXIS_PX = 56
_OWN, _BILLED, _BUSY, _TOLD = "own", "billed", "busy", "told"


def utilisation_table(
    ceiling: float, billed_share: float, busy_share: float, folklore: Iterable[Folklore]
) -> pd.DataFrame:
    """Return one row for each mark on the scale, from the top.

    Parameters
    ----------
    ceiling : float
        Dedicated price over serverless price; 1 or more: no break-even. [1]
    billed_share, busy_share : float
        Of the time of the always-on replicas: what the same traffic is billed for on
        scale-to-zero, and in which they work. [1]
    folklore : iterable of Folklore

    Returns
    -------
    DataFrame
        mark ("own", "billed", "busy" or "told"), label, low, high [1], source_id ("" if computed).
    """
    rows = [
        (_OWN, "Break-even at your prices", ceiling, ceiling, ""),
        (_BILLED, "This traffic: billed", billed_share, billed_share, ""),
        (_BUSY, "This traffic: busy", busy_share, busy_share, ""),
    ]
    rows += [
        (_TOLD, row.label, row.utilisation_low, row.utilisation_high, row.source_id)
        for row in folklore
    ]
    return pd.DataFrame(rows, columns=["mark", "label", "low", "high", "source_id"])


def utilisation_figure(table: pd.DataFrame) -> go.Figure:
    """Draw `utilisation_table`: one scale from 0 to 100 %, a row for each mark.

    What lies beyond 100 % stands at its end with an arrow and its number.
    """
    figure = go.Figure()
    rows = list(range(len(table)))
    colours = {
        _OWN: theme.VERMILION,
        _BILLED: theme.BLUE,
        _BUSY: theme.GREEN,
        _TOLD: theme.GREY,
    }
    symbols = {_OWN: "star", _BILLED: "circle", _BUSY: "triangle-up", _TOLD: "square"}
    for row, mark in zip(rows, table.itertuples(), strict=True):
        low, high = min(mark.low, 1.0), min(mark.high, 1.0)
        words = spell.percent(round(mark.low, 3))
        if mark.high != mark.low:
            words = f"{mark.low * 100:g} to {spell.percent(mark.high)}"
        if mark.low > 1:
            words += " →"
        figure.add_trace(
            go.Scatter(
                x=[low, high],
                y=[row, row],
                mode="lines+markers",
                line={"color": colours[mark.mark], "width": 6},
                marker={
                    "color": colours[mark.mark],
                    "symbol": symbols[mark.mark],
                    "size": 10 if mark.mark == _TOLD else 14,
                },
                hovertemplate=f"{mark.label}: {words}<extra></extra>",
                showlegend=False,
            )
        )
        # Beside the mark where there is room, and the label above it, for a narrow screen.
        on_left = high > 0.8
        figure.add_annotation(
            x=low if on_left else high,
            y=row,
            xanchor="right" if on_left else "left",
            xshift=-12 if on_left else 12,
            text=f"<b>{words}</b>" if mark.mark != _TOLD else words,
            showarrow=False,
            font={"size": 12},
        )
        figure.add_annotation(
            x=0,
            y=row,
            xanchor="left",
            yshift=17,
            text=mark.label,
            showarrow=False,
            font={"size": 12},
        )
    own = table[table["mark"] == _OWN].iloc[0]
    if own["low"] < 1:
        figure.add_vrect(x0=own["low"], x1=1.0, fillcolor=theme.TINT, line_width=0, layer="below")
    theme.base_layout(figure, height_px=_ROW_PX * len(table) + _AXIS_PX)
    figure.update_xaxes(
        range=[-0.02, 1.02], tickformat=".0%", title="Share of the time", zeroline=False
    )
    figure.update_yaxes(range=[len(table) - 0.5, -0.75], visible=False)
    return figure
