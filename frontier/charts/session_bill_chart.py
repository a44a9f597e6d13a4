"""How a bill is made: each stretch of a replica as it was held, and as its meter counts it."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from frontier import spell
from frontier.charts import theme

_ROW_PX, _AXIS_PX = 46, 100
_NAMED_SHARE, _ROOM = 0.04, 1.3
_MOST_TICKS = 5
_PARTS = {
    "starting": ("starting", theme.BILL_COLOURS["starting"]),
    "busy": ("busy", theme.BILL_COLOURS["busy"]),
    "idle": ("idle", theme.BILL_COLOURS["idle"]),
    "rounding": ("rounded up", theme.BILL_COLOURS["rounding"]),
}


def session_bill_table(bills: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each stretch and way of counting.

    Parameters
    ----------
    bills : DataFrame
        `worked_example.session_bills`.

    Returns
    -------
    DataFrame
        stretch ("1st stretch", …), counted ("held" or "billed"); starting_s, busy_s, idle_s,
        rounding_s [s]; usd (NaN where held). [$]
    """
    rows = []
    for index, row in enumerate(bills.itertuples(), start=1):
        for counted in ("held", "billed"):
            seconds = {f"{part}_s": getattr(row, f"{counted}_{part}_s", 0.0) for part in _PARTS}
            usd = row.usd if counted == "billed" else float("nan")
            rows.append({"stretch": f"stretch {index}", "counted": counted, **seconds, "usd": usd})
    return pd.DataFrame(rows)


def session_bill_figure(table: pd.DataFrame) -> go.Figure:
    """Draw `session_bill_table`: two bars a stretch, the dollars with the name of the second."""
    figure = go.Figure()
    names = [
        f"{row.stretch}, {row.counted}"
        + (f"<br><b>{spell.dollars(row.usd)}</b>" if row.counted == "billed" else "")
        for row in table.itertuples()
    ]
    whole_s = table[[f"{part}_s" for part in _PARTS]].sum(axis=1)
    most_s = float(whole_s.max())
    for part, (label, colour) in _PARTS.items():
        seconds = table[f"{part}_s"]
        if not seconds.any():
            continue
        figure.add_trace(
            go.Bar(
                x=seconds,
                y=names,
                orientation="h",
                name=label,
                marker={"color": colour, "line": {"width": 0}},
                text=[spell.seconds(s) if s >= _NAMED_SHARE * most_s else "" for s in seconds],
                textposition="inside",
                insidetextanchor="middle",
                textangle=0,
                textfont={"color": theme.ink_on(colour), "size": theme.TEXT_PX},
                hovertemplate=f"{label}: %{{x:.3g}} s<extra></extra>",
            )
        )
    for name, end_s in zip(names, whole_s, strict=True):
        theme.label_line(
            figure, spell.seconds(end_s), end_s, name, xanchor="left", yanchor="middle", xshift=5
        )
    ticks_s, labels = theme.elapsed_ticks(most_s, _MOST_TICKS)
    figure.update_layout(barmode="stack", bargap=0.25)
    theme.base_layout(figure, height_px=_ROW_PX * len(names) + _AXIS_PX)
    figure.update_layout(legend={"traceorder": "normal"})
    figure.update_xaxes(range=[0, most_s * _ROOM], tickvals=ticks_s, ticktext=labels, tickangle=0)
    return figure.update_yaxes(categoryorder="array", categoryarray=names[::-1], showgrid=False)
