"""Predicted against measured: one point a published case, on two logarithmic axes."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from frontier import spell
from frontier.charts import theme
from frontier.validation import Comparison

_HEIGHT_PX = 460
_BAND = 2.0
_MOST_TICKS = 8
_BAND_COLOUR = "rgba(138, 151, 163, 0.14)"
KIND_MARKS = {
    "start": theme.Mark("Cold starts", theme.BLUE, "circle"),
    "speed": theme.Mark("Serving speeds", theme.ORANGE, "square"),
}
_USES = {False: "kept back from every fit", True: "used in a fit"}


def validation_table(rows: Iterable[Comparison]) -> pd.DataFrame:
    """Return one row a case, those kept back from every fit first.

    Returns
    -------
    DataFrame
        kind, group, label, predicted, measured, unit, signed_error [1], used_in_fit, source_id.
    """
    ordered = sorted(rows, key=lambda row: (row.used_in_fit, row.kind, row.group))
    names = "kind group label predicted measured unit signed_error used_in_fit source_id"
    return pd.DataFrame({name: [getattr(row, name) for row in ordered] for name in names.split()})


def validation_figure(table: pd.DataFrame) -> go.Figure:
    """Draw `validation_table`, whose rows must all be seconds and of a kind in `KIND_MARKS`.

    Kinds by colour and symbol, filled where kept back and hollow where used in a fit. On the
    line the prediction is the measurement; in the band it is off by less than a factor of two.
    """
    figure = go.Figure()
    low_s, high_s = theme.log_range([*table["measured"], *table["predicted"]], pad=0.05)
    ends = np.array([low_s, high_s])
    figure.add_trace(
        go.Scatter(
            x=[*ends, *ends[::-1]],
            y=[*(ends * _BAND), *(ends[::-1] / _BAND)],
            fill="toself",
            fillcolor=_BAND_COLOUR,
            line={"width": 0},
            mode="lines",
            name="Within a factor of two",
            hoverinfo="skip",
        )
    )
    figure.add_trace(
        go.Scatter(
            x=ends,
            y=ends,
            mode="lines",
            line={"width": 1, "color": theme.GREY, "dash": "dash"},
            hoverinfo="skip",
            showlegend=False,
        )
    )
    # What was used in a fit says least, so it lies underneath.
    for used in (True, False):
        for kind, mark in KIND_MARKS.items():
            points = table[(table["kind"] == kind) & (table["used_in_fit"] == used)]
            if points.empty:
                continue
            figure.add_trace(
                go.Scatter(
                    x=points["measured"],
                    y=points["predicted"],
                    mode="markers",
                    name=f"{mark.label}, {_USES[used]}",
                    marker={
                        "color": mark.colour,
                        "symbol": f"{mark.symbol}{'-open' if used else ''}",
                        "size": 7 if used else 9,
                        "opacity": 0.7 if used else 1.0,
                    },
                    text=[
                        f"{row.label}<br>measured {spell.seconds(row.measured)}, predicted "
                        f"{spell.seconds(row.predicted)} ({row.signed_error:+.0%})"
                        for row in points.itertuples()
                    ],
                    hovertemplate="%{text}<extra></extra>",
                )
            )
    axis = theme.time_axis(low_s, high_s, _MOST_TICKS) | {"tickangle": 0}
    figure.update_xaxes(**axis, title="Measured")
    figure.update_yaxes(**axis, title="Predicted")
    return theme.base_layout(figure, height_px=_HEIGHT_PX)
