"""What each mitigation costs and what it does to p99 TTFT: one point a mitigation, alone.

Among them stands the plan with nothing done. Those that no other beats on both are large, joined
by steps and named; the others are small, and named where one points at them.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from frontier import spell
from frontier.charts import theme
from frontier.economics import efficient

_HEIGHT_PX = 440
_MOST_TICKS = 6
_NAME_HEIGHT, _NAME_OFF = 0.09, 0.02
_PAD = 0.09
_SIZES_PX = {True: 13, False: 8}
_KINDS = {
    "start": theme.Mark("Changes the start", theme.BLUE, "circle"),
    "replicas": theme.Mark("Changes when replicas run", theme.ORANGE, "square"),
    "nothing": theme.Mark("Nothing done", theme.GREY, "diamond"),
}


def mitigations_chart_table(tried: pd.DataFrame) -> pd.DataFrame:
    """Return the plans whose p99 is finite, the lowest first.

    Parameters
    ----------
    tried : DataFrame
        The plan with nothing done, then one row a mitigation: label, start_s, saved_s, p99_ttft_s
        [s], usd_per_month.

    Returns
    -------
    DataFrame
        The same columns; kind ("nothing", "start" or "replicas", by what is changed) and efficient
        (not beaten on both cost and p99 by another of the rows).
    """
    table = tried.copy()
    table["kind"] = np.where(table["saved_s"] != 0, "start", "replicas")
    table.loc[table.index[:1], "kind"] = "nothing"
    table = table[np.isfinite(table["p99_ttft_s"])]
    table["efficient"] = efficient(table["usd_per_month"], table["p99_ttft_s"])
    return table.sort_values(["p99_ttft_s", "usd_per_month"], ignore_index=True)


def mitigations_chart_figure(table: pd.DataFrame, *, slo_p99_ttft_s: float) -> go.Figure:
    """Draw `mitigations_chart_table`: dollars a month across, p99 upwards on a log scale.

    Parameters
    ----------
    table : DataFrame
    slo_p99_ttft_s : float
        The limit, drawn as a line. [s]
    """
    figure = go.Figure()
    best = table[table["efficient"]].sort_values("usd_per_month")
    figure.add_trace(
        go.Scatter(
            x=best["usd_per_month"],
            y=best["p99_ttft_s"],
            mode="lines",
            line={"shape": "hv", "width": 1.5, "color": theme.GREY},
            hoverinfo="skip",
            showlegend=False,
        )
    )
    for kind, mark in _KINDS.items():
        rows = table[table["kind"] == kind]
        if rows.empty:
            continue
        figure.add_trace(
            go.Scatter(
                x=rows["usd_per_month"],
                y=rows["p99_ttft_s"],
                mode="markers",
                name=mark.label,
                # It is named beside its point.
                showlegend=kind != "nothing",
                marker={
                    "color": mark.colour,
                    "symbol": mark.symbol,
                    "size": [
                        _SIZES_PX[is_best or kind == "nothing"] for is_best in rows["efficient"]
                    ],
                    "opacity": 1,
                },
                # What costs nothing stands on the axis, whole.
                cliponaxis=False,
                text=[
                    f"<b>{row.label}</b><br>p99 {spell.seconds(row.p99_ttft_s)}, "
                    f"{spell.dollars(row.usd_per_month)} a month<br>"
                    f"a start takes {spell.seconds(row.start_s)}"
                    for row in rows.itertuples()
                ],
                hovertemplate="%{text}<extra></extra>",
            )
        )
    low_s, high_s = theme.log_range([*table["p99_ttft_s"], slo_p99_ttft_s])
    least, most = float(table["usd_per_month"].min()), float(table["usd_per_month"].max())
    pad = max((most - least) * _PAD, 1.0)
    left, right = max(least - pad, 0.0), most + pad
    figure.add_hline(y=slo_p99_ttft_s, line=theme.THRESHOLD)
    theme.label_line(
        figure,
        f"limit {spell.seconds(slo_p99_ttft_s)}",
        0,
        np.log10(slo_p99_ttft_s),
        xref="paper",
        xanchor="left",
        yanchor="bottom",
    )
    _name(figure, table, (left, right), (low_s, high_s))
    theme.base_layout(figure, height_px=_HEIGHT_PX)
    figure.update_xaxes(
        range=[left, right],
        tickformat=theme.USD_TICKS,
        nticks=6,
        title="Dollars a month",
        zeroline=False,
    )
    return figure.update_yaxes(
        **theme.time_axis(low_s, high_s, _MOST_TICKS),
        title="p99 time to first token",
    )


def _name(
    figure: go.Figure,
    table: pd.DataFrame,
    usd: tuple[float, float],
    p99_s: tuple[float, float],
) -> None:
    """Name the efficient points and the plan with nothing done, each beside its point."""
    named = table[table["efficient"] | (table["kind"] == "nothing")]
    span = np.log10(p99_s[1] / p99_s[0])
    heights = {
        row.label: float(np.log10(row.p99_ttft_s / p99_s[0]) / span) for row in named.itertuples()
    }
    # Names stand towards the middle: of the left half beneath its steps, where there is never a
    # point, of the right half a little lower than their points.
    on_right = {row.label: row.usd_per_month > sum(usd) / 2 for row in named.itertuples()}
    left = named[named["efficient"] & ~named["label"].map(on_right).astype(bool)]
    column_usd = float(left["usd_per_month"].max()) if len(left) else usd[0]
    middle = min((heights[label] for label in left["label"]), default=0.0)
    middle -= _NAME_HEIGHT * (len(left) + 1) / 2
    wanted = {}
    for row in named.itertuples():
        height = heights[row.label]
        if not row.efficient:
            height += _NAME_HEIGHT / 2
        elif on_right[row.label]:
            height -= _NAME_HEIGHT
        else:
            # About the middle of the list, the lowest point first: so no two leaders cross.
            height = middle - height * 1e-6
        wanted[row.label] = height
    placed = theme.spread(wanted, min(_NAME_HEIGHT, 1 / len(heights)))
    off_usd = (usd[1] - usd[0]) * _NAME_OFF
    for row in named.itertuples():
        is_right = on_right[row.label]
        at_usd = row.usd_per_month if is_right or not row.efficient else column_usd
        figure.add_annotation(
            x=row.usd_per_month,
            y=np.log10(row.p99_ttft_s),
            text=f"<b>{row.label.replace(' (', '<br>(')}</b>",
            align="right" if is_right else "left",
            xanchor="right" if is_right else "left",
            axref="x",
            ayref="y",
            ax=at_usd - off_usd if is_right else at_usd + off_usd,
            ay=np.log10(p99_s[0]) + placed[row.label] * span,
            showarrow=True,
            arrowhead=0,
            arrowwidth=1,
            arrowcolor=theme.GREY,
            standoff=5,
            font={"size": theme.TEXT_PX},
        )
