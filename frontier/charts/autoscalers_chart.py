"""One plan under each autoscaler: dollars a month against p99 time to first token.

Autoscalers that come out alike are one point. Points bear the numbers of their rows in the table,
which stands beneath with the names: they lie too close for names. Left out: what else of a
platform differs, its start and its price; the plan is the same one throughout.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from frontier import spell
from frontier.charts import theme

_HEIGHT_PX = 340
_MOST_TICKS, _FEWEST_TICKS = 6, 3
_ALIKE = 0.005
_PAD = 0.12
# A limit farther off than this factor would press all points together, and is said instead.
_FAR = 5.0
_OWN, _OTHER = (
    theme.Mark("In force here", theme.ORANGE, "square"),
    theme.Mark("Others", theme.BLUE, "circle"),
)


def autoscalers_chart_table(tried: pd.DataFrame) -> pd.DataFrame:
    """Return one row a point, the lowest p99 first.

    Parameters
    ----------
    tried : DataFrame
        A row an autoscaler: label, is_own (it is in force), p99_ttft_s [s], usd_per_month.

    Returns
    -------
    DataFrame
        number (from 1 on), labels (joined, where the two numbers differ by half a per cent at
        most), is_own, p99_ttft_s [s] and usd_per_month, those of the first of them. Plans that
        leave requests unserved are left out: their p99 has no place on the chart.
    """
    rows = tried[np.isfinite(tried["p99_ttft_s"])]
    rows = rows.sort_values(["p99_ttft_s", "usd_per_month", "label"])
    points: list[dict] = []
    for row in rows.itertuples():
        alike = next(
            (
                point
                for point in points
                if np.isclose(point["p99_ttft_s"], row.p99_ttft_s, rtol=_ALIKE, atol=0)
                and np.isclose(point["usd_per_month"], row.usd_per_month, rtol=_ALIKE, atol=0)
            ),
            None,
        )
        if alike is None:
            points.append(
                {
                    "labels": row.label,
                    "is_own": bool(row.is_own),
                    "p99_ttft_s": row.p99_ttft_s,
                    "usd_per_month": row.usd_per_month,
                }
            )
        else:
            alike["labels"] += f", {row.label}"
            alike["is_own"] |= bool(row.is_own)
    table = pd.DataFrame(points, columns=["labels", "is_own", "p99_ttft_s", "usd_per_month"])
    table.insert(0, "number", np.arange(1, len(table) + 1))
    return table


def autoscalers_chart_figure(table: pd.DataFrame, *, slo_p99_ttft_s: float) -> go.Figure:
    """Draw `autoscalers_chart_table`: dollars a month across, p99 upwards on a log scale.

    Parameters
    ----------
    table : DataFrame
    slo_p99_ttft_s : float
        The limit, drawn as a line. [s]
    """
    figure = go.Figure()
    for mark, is_own in ((_OWN, True), (_OTHER, False)):
        rows = table[table["is_own"] == is_own]
        figure.add_trace(
            go.Scatter(
                x=rows["usd_per_month"],
                y=rows["p99_ttft_s"],
                mode="markers+text",
                name=mark.label,
                marker={"color": mark.colour, "symbol": mark.symbol, "size": 12},
                text=[f"{number}" for number in rows["number"]],
                # By turns above and beneath: neighbours on the chart are neighbours in the table.
                textposition=[
                    "top center" if number % 2 else "bottom center" for number in rows["number"]
                ],
                cliponaxis=False,
                hovertext=[
                    f"<b>{row.labels}</b><br>p99 {spell.seconds(row.p99_ttft_s)}, "
                    f"{spell.dollars(row.usd_per_month)} a month"
                    for row in rows.itertuples()
                ],
                hovertemplate="%{hovertext}<extra></extra>",
            )
        )
    shows_limit = is_near(table, slo_p99_ttft_s)
    reach_s = [*table["p99_ttft_s"], *([slo_p99_ttft_s] if shows_limit else [])]
    low_s, high_s = theme.log_range(reach_s)
    least, most = float(table["usd_per_month"].min()), float(table["usd_per_month"].max())
    pad = max((most - least) * _PAD, most * _PAD / 2, 1.0)
    if shows_limit:
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
    ticks_s, labels = theme.time_ticks(low_s, high_s, _MOST_TICKS)
    if len(ticks_s) < _FEWEST_TICKS:  # round times lie too far apart for so short an axis
        ticks_s, labels = theme.even_ticks(low_s, high_s, _MOST_TICKS)
    theme.base_layout(figure, height_px=_HEIGHT_PX)
    figure.update_xaxes(
        range=[max(least - pad, 0.0), most + pad],
        tickformat=theme.USD_TICKS,
        nticks=6,
        title="Dollars a month",
        zeroline=False,
    )
    return figure.update_yaxes(
        type="log",
        range=[np.log10(low_s), np.log10(high_s)],
        tickvals=ticks_s,
        ticktext=labels,
        title="p99 time to first token",
    )


def is_near(table: pd.DataFrame, slo_p99_ttft_s: float) -> bool:
    """Whether the limit has a place on the chart beside the points."""
    p99_s = table["p99_ttft_s"]
    return bool(p99_s.min() / _FAR <= slo_p99_ttft_s <= p99_s.max() * _FAR)
