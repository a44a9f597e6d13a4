"""The life of one replica through time, and the requests it serves: off, starting, busy, idle.

For a replica that has room for all and reads prompts in no time, so that it is busy exactly while
a request is between its first and its last token.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from frontier import spell
from frontier.charts import theme
from frontier.simulate import RunResult

_ROW_PX, _AXIS_PX = 34, 92
_NAMED_SHARE = 0.04
_MOST_TICKS = 7
REPLICA = "the replica"
_PARTS = {
    "waiting": ("waits for the first token", theme.VERMILION, "/"),
    "served": ("answered", theme.GREEN, ""),
    "starting": ("starting", theme.BLUE, ""),
    "busy": ("busy", theme.GREEN, ""),
    "idle": ("idle, kept warm", theme.ORANGE, ""),
}


def replica_life_table(result: RunResult, arrival_s: NDArray[np.float64]) -> pd.DataFrame:
    """Return one row a stretch: of each request its wait and its answer, of the replica its states.

    Returns
    -------
    DataFrame
        row ("request 1", …, "the replica"), part ("waiting", "served"; "starting", "busy",
        "idle"), from_s, to_s [s]; only stretches that last.
    """
    first_s = arrival_s + result.ttft_s
    rows: list[tuple[str, str, float, float]] = []
    for index, at_s in enumerate(arrival_s.tolist()):
        name = f"request {index + 1}"
        rows.append((name, "waiting", at_s, float(first_s[index])))
        rows.append((name, "served", float(first_s[index]), float(result.finish_s[index])))
    for session in result.sessions:
        ready_s = float(session["ready_s"])
        ended_s = min(float(session["ended_s"]), result.horizon_s)
        rows.append((REPLICA, "starting", float(session["started_s"]), ready_s))
        free_s = ready_s
        within = (first_s >= ready_s) & (first_s < ended_s)
        for begin_s, end_s in zip(first_s[within], result.finish_s[within], strict=True):
            rows.append((REPLICA, "idle", free_s, float(begin_s)))
            rows.append((REPLICA, "busy", max(free_s, float(begin_s)), float(end_s)))
            free_s = max(free_s, float(end_s))
        rows.append((REPLICA, "idle", free_s, ended_s))
    return pd.DataFrame(
        [row for row in rows if row[3] > row[2]], columns=["row", "part", "from_s", "to_s"]
    )


def replica_life_figure(table: pd.DataFrame, *, horizon_s: float) -> go.Figure:
    """Draw `replica_life_table`: a row a request, the replica beneath; what is blank is off."""
    figure = go.Figure()
    for part, (label, colour, pattern) in _PARTS.items():
        rows = table[table["part"] == part]
        if rows.empty:
            continue
        lasts_s = rows["to_s"] - rows["from_s"]
        figure.add_trace(
            go.Bar(
                base=rows["from_s"],
                x=lasts_s,
                y=rows["row"],
                orientation="h",
                name=label,
                # Of the colour of the answers that it is busy with.
                showlegend=part != "busy",
                marker={
                    "color": colour,
                    "line": {"width": 0},
                    "pattern": {"shape": pattern, "size": 6, "fillmode": "overlay"},
                },
                text=[
                    spell.seconds(s) if row == REPLICA and s >= _NAMED_SHARE * horizon_s else ""
                    for row, s in zip(rows["row"], lasts_s, strict=True)
                ],
                textposition="inside",
                insidetextanchor="middle",
                textangle=0,
                textfont={"color": theme.ink_on(colour), "size": theme.TEXT_PX},
                customdata=[
                    f"{row}: {label} for {spell.seconds(s)}"
                    for row, s in zip(rows["row"], lasts_s, strict=True)
                ],
                hovertemplate="%{customdata}<extra></extra>",
            )
        )
    requests = [name for name in dict.fromkeys(table["row"]) if name != REPLICA]
    for name in requests:
        own = table[table["row"] == name].set_index("part")
        waited_s = (
            own.loc["waiting", "to_s"] - own.loc["waiting", "from_s"]
            if ("waiting" in own.index)
            else 0.0
        )
        theme.label_line(
            figure,
            f"waits {spell.seconds(waited_s)}" if waited_s else "no wait",
            float(own["to_s"].max()),
            name,
            xanchor="left",
            yanchor="middle",
            xshift=5,
        )
    ticks_s, labels = theme.elapsed_ticks(horizon_s, _MOST_TICKS)
    figure.update_layout(barmode="overlay", bargap=0.3)
    theme.base_layout(figure, height_px=_ROW_PX * (len(requests) + 1) + _AXIS_PX)
    figure.update_xaxes(range=[0, horizon_s], tickvals=ticks_s, ticktext=labels, tickangle=0)
    return figure.update_yaxes(
        categoryorder="array", categoryarray=[REPLICA, *reversed(requests)], showgrid=False
    )
