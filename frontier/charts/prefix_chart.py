"""How much of the prompts a cache still has, against how long an idle replica is kept."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from frontier import spell
from frontier.charts import theme
from frontier.study import CacheHits

_HEIGHT_PX = 300
_MOST_TICKS = 6


def prefix_table(hits: CacheHits) -> pd.DataFrame:
    """Return one row a timeout: idle_timeout_s [s], found_share of all prompt tokens [1].

    The last row is of replicas that are always on: its timeout is infinite.
    """
    return pd.DataFrame(
        {
            "idle_timeout_s": [*hits.idle_timeouts_s, np.inf],
            "found_share": [*hits.found_shares, hits.always_on_share],
        }
    )


def prefix_figure(table: pd.DataFrame) -> go.Figure:
    """Draw `prefix_table`: a line over the timeout, and a level for what is always on."""
    zero, always = table.iloc[:-1], float(table["found_share"].iloc[-1])
    at_s = np.maximum(zero["idle_timeout_s"], 1.0)
    figure = go.Figure(
        go.Scatter(
            x=at_s,
            y=zero["found_share"],
            mode="lines+markers",
            line={"color": theme.BLUE, "width": 2.5},
            text=[
                f"Kept {spell.seconds(row.idle_timeout_s)}<br>"
                f"{spell.percent(row.found_share)} of prompt tokens found"
                for row in zero.itertuples()
            ],
            hovertemplate="%{text}<extra></extra>",
            showlegend=False,
        )
    )
    figure.add_hline(y=always, line=theme.THRESHOLD)
    low, high = np.log10(float(at_s.iloc[0])), np.log10(float(at_s.iloc[-1]))
    theme.label_line(
        figure, "<b>Always on</b>", low, always, xanchor="left", yanchor="bottom", align="left"
    )
    ticks_s, labels = theme.time_ticks(float(at_s.iloc[0]), float(at_s.iloc[-1]), _MOST_TICKS)
    theme.base_layout(figure, height_px=_HEIGHT_PX)
    figure.update_xaxes(
        type="log",
        range=[low - 0.05, high + 0.05],
        tickvals=ticks_s,
        ticktext=labels,
        tickangle=0,
        title="Keep-alive (idle timeout)",
    )
    most = max(always, float(table["found_share"].max()))
    return figure.update_yaxes(
        tickformat=".0%", range=[0, most * 1.2 or 1.0], title="Prompt tokens found"
    )
