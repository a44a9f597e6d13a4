"""The same start with more and less of it side by side: stages through time, a row a start."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from frontier import spell
from frontier.charts import theme
from frontier.charts.start_waterfall import stage_spans
from frontier.start.labels import STAGE_LABELS
from frontier.start.stages import ColdStart

_ROW_PX, _AXIS_PX = 26, 120
_THICK, _NAME_DROP, _NAMED_SHARE = 0.86, 0.15, 0.05
_MOST_TICKS = 7
_ROOM = 1.02


def start_shapes_table(starts: Mapping[str, ColdStart]) -> pd.DataFrame:
    """Return one row a stage of each start that takes any time.

    Returns
    -------
    DataFrame
        start, stage, label; begin_s, end_s [s]; lane, the first in which no stage is running.
    """
    rows = []
    for name, start in starts.items():
        free_s: list[float] = []
        for stage, (begin_s, end_s) in stage_spans(start).items():
            if end_s <= begin_s:
                continue
            lanes = range(len(free_s))
            lane = next((lane for lane in lanes if free_s[lane] <= begin_s), len(free_s))
            free_s[lane : lane + 1] = [end_s]
            rows.append((name, stage, STAGE_LABELS[stage], begin_s, end_s, lane))
    return pd.DataFrame(rows, columns=["start", "stage", "label", "begin_s", "end_s", "lane"])


def start_shapes_figure(table: pd.DataFrame) -> go.Figure:
    """Draw `start_shapes_table`: what runs beside something else stands in a lane beneath it."""
    figure = go.Figure()
    starts = list(dict.fromkeys(table["start"]))
    lanes = [int(table.loc[table["start"] == name, "lane"].max()) + 1 for name in starts]
    # A row for the name of each start, then its lanes.
    top = dict(zip(starts, np.cumsum([1, *(1 + count for count in lanes[:-1])]), strict=True))
    most_s = float(table["end_s"].max())
    for stage in STAGE_LABELS:
        rows = table[table["stage"] == stage]
        if rows.empty:
            continue
        colour, label = theme.STAGE_COLOURS[stage], STAGE_LABELS[stage]
        lasts_s = rows["end_s"] - rows["begin_s"]
        figure.add_trace(
            go.Bar(
                base=rows["begin_s"],
                x=lasts_s,
                y=[top[row.start] + row.lane for row in rows.itertuples()],
                width=_THICK,
                orientation="h",
                name=label,
                marker={"color": colour, "line": {"width": 0}},
                text=[spell.seconds(s) if s >= _NAMED_SHARE * most_s else "" for s in lasts_s],
                textposition="inside",
                insidetextanchor="middle",
                textangle=0,
                textfont={"color": theme.ink_on(colour), "size": theme.TEXT_PX},
                customdata=[f"{label}: {spell.seconds(s)}" for s in lasts_s],
                hovertemplate="%{customdata}<extra></extra>",
            )
        )
    for name in starts:
        whole_s = float(table.loc[table["start"] == name, "end_s"].max())
        theme.label_line(
            figure,
            f"<b>{name}: {spell.seconds(whole_s)}</b>",
            0,
            float(top[name]) - 1 + _NAME_DROP,
            xanchor="left",
            yanchor="middle",
        )
    ticks_s, labels = theme.elapsed_ticks(most_s, _MOST_TICKS)
    figure.update_layout(barmode="overlay")
    rows_drawn = sum(lanes) + len(starts)
    theme.base_layout(figure, height_px=_ROW_PX * rows_drawn + _AXIS_PX)
    figure.update_xaxes(range=[0, most_s * _ROOM], tickvals=ticks_s, ticktext=labels, tickangle=0)
    return figure.update_yaxes(range=[rows_drawn - 0.4, -0.4], visible=False)
