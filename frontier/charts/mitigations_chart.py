"""What each mitigation does to p99 TTFT, and what the month then costs: one dot a mitigation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from frontier import spell
from frontier.charts import theme

_ROW_PX = 36
_TICKS = 5
_KINDS = {
    True: ("Changes the start", theme.BLUE, "circle"),
    False: ("Changes when replicas run", theme.ORANGE, "square"),
}


def mitigations_chart_table(tried: pd.DataFrame) -> pd.DataFrame:
    """Return the mitigations whose p99 is finite, the lowest first.

    Parameters
    ----------
    tried : DataFrame
        One row a mitigation: label, start_s, saved_s, p99_ttft_s, usd_per_month.

    Returns
    -------
    DataFrame
        The same columns and ``changes_start`` (bool).
    """
    table = tried[np.isfinite(tried["p99_ttft_s"])].copy()
    table["changes_start"] = table["saved_s"] != 0
    return table.sort_values(["p99_ttft_s", "usd_per_month"], ignore_index=True)


def mitigations_chart_figure(
    table: pd.DataFrame, *, base_p99_ttft_s: float, slo_p99_ttft_s: float
) -> go.Figure:
    """Draw `mitigations_chart_table` on a log scale.

    Parameters
    ----------
    table : DataFrame
    base_p99_ttft_s : float
        p99 TTFT without any of them, drawn as a line. [s]
    slo_p99_ttft_s : float
        The limit, drawn as a line. [s]
    """
    figure = go.Figure()
    for changes_start, (name, colour, symbol) in _KINDS.items():
        rows = table[table["changes_start"] == changes_start]
        if rows.empty:
            continue
        figure.add_trace(
            go.Scatter(
                x=rows["p99_ttft_s"],
                y=rows["label"],
                mode="markers",
                name=name,
                marker={"color": colour, "symbol": symbol, "size": 12},
                text=[
                    f"<b>{row.label}</b><br>p99 {spell.seconds(row.p99_ttft_s)}, "
                    f"{spell.dollars(row.usd_per_month)} a month<br>"
                    f"a start takes {spell.seconds(row.start_s)}"
                    for row in rows.itertuples()
                ],
                hovertemplate="%{text}<extra></extra>",
            )
        )
    known = [s for s in (base_p99_ttft_s, slo_p99_ttft_s) if np.isfinite(s)]
    low_s, high_s = theme.log_range([*table["p99_ttft_s"], *known])
    # One at the foot and one at the head, where two close lines do not let their words touch.
    for value_s, words, colour, at, anchor in (
        (base_p99_ttft_s, "nothing done", theme.GREY, 0, "bottom"),
        (slo_p99_ttft_s, "limit", theme.VERMILION, 1, "top"),
    ):
        if np.isfinite(value_s):
            figure.add_vline(x=value_s, line={"color": colour, "width": 1.5, "dash": "dash"})
            figure.add_annotation(
                x=np.log10(value_s),
                y=at,
                yref="paper",
                yanchor=anchor,
                xanchor="right" if value_s > np.sqrt(low_s * high_s) else "left",
                text=f"{words} {spell.seconds(value_s)}",
                showarrow=False,
                font={"size": 12},
            )
    ticks_s, labels = theme.time_ticks(low_s, high_s)
    every = len(ticks_s) // _TICKS + 1
    ticks_s, labels = ticks_s[::every], labels[::every]
    figure.update_xaxes(
        type="log",
        range=[np.log10(low_s), np.log10(high_s)],
        tickvals=ticks_s,
        ticktext=labels,
        title="p99 time to first token",
    )
    figure.update_yaxes(
        categoryorder="array",
        categoryarray=list(table["label"])[::-1],
        tickvals=list(table["label"]),
        ticktext=[
            f"{row.label}<br>{spell.dollars(row.usd_per_month)} a month"
            for row in table.itertuples()
        ],
        range=[-1.4, len(table) + 0.4],
        showgrid=True,
    )
    return theme.base_layout(figure, height_px=_ROW_PX * len(table) + 140)
