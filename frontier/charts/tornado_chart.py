"""A tornado: how far one result moves with each input alone, the largest first."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from frontier import spell
from frontier.charts import theme
from frontier.economics import Bar

_ROW_PX = 46
_BAR_SHARE = 0.46
_AXIS_PX = 64
# Of the result at the low and at the high end of an input: column, colour, pattern, mark in words.
_ENDS = (
    ("usd_at_low", theme.SKY, "/", "▨"),
    ("usd_at_high", theme.ORANGE, "", "■"),
)


def tornado_table(bars: Sequence[Bar], gap_usd: float) -> pd.DataFrame:
    """Return one row an input, in the order of the bars.

    Parameters
    ----------
    bars : sequence of Bar
    gap_usd : float
        The result with every input at its base. [$ a month]

    Returns
    -------
    DataFrame
        key, input, unit, low, base, high (of the input), usd_at_low, usd_at_base, usd_at_high,
        spread_usd.
    """
    return pd.DataFrame(
        {
            "key": [bar.swing.key for bar in bars],
            "input": [bar.swing.label for bar in bars],
            "unit": [bar.swing.unit for bar in bars],
            "low": [bar.swing.low for bar in bars],
            "base": [bar.swing.base for bar in bars],
            "high": [bar.swing.high for bar in bars],
            "usd_at_low": [bar.at_low for bar in bars],
            "usd_at_base": [gap_usd] * len(bars),
            "usd_at_high": [bar.at_high for bar in bars],
            "spread_usd": [bar.spread for bar in bars],
        }
    )


def tornado_figure(table: pd.DataFrame, shown: Sequence[tuple[str, str]]) -> go.Figure:
    """Draw `tornado_table`: a bar from the base to the low end, one to the high end.

    Over each row stand the input and its two values, each behind the mark of its bar.

    Parameters
    ----------
    shown : sequence of (str, str)
        Low and high value of each input as people read them, row by row.
    """
    figure = go.Figure()
    base = float(table["usd_at_base"].iloc[0])
    rows = list(range(len(table)))
    for side, (column, colour, pattern, _) in enumerate(_ENDS):
        figure.add_trace(
            go.Bar(
                x=table[column] - base,
                y=rows,
                base=base,
                orientation="h",
                showlegend=False,
                marker={"color": colour, "pattern": {"shape": pattern, "size": 6}},
                width=_BAR_SHARE,
                text=[
                    f"{row.input} {words[side]}: {spell.dollars(getattr(row, column))} a month"
                    for row, words in zip(table.itertuples(), shown, strict=True)
                ],
                textposition="none",
                hovertemplate="%{text}<extra></extra>",
            )
        )
    ends = [base, 0.0, *table["usd_at_low"], *table["usd_at_high"]]
    left, right = min(ends), max(ends)
    margin = (right - left) * 0.06 or 1.0
    marks = [f'<span style="color:{colour}">{glyph}</span>' for _, colour, _, glyph in _ENDS]
    for row, (mark, (low, high)) in enumerate(zip(table.itertuples(), shown, strict=True)):
        figure.add_annotation(
            x=0,
            xref="paper",
            y=row,
            xanchor="left",
            yshift=19,
            text=f"<b>{mark.input}</b>: {marks[0]} {low} to {marks[1]} {high}",
            showarrow=False,
            font={"size": 12},
        )
    # Each line is as high as the bar of its row: a whole one would cross the labels on a phone.
    for x, line in (
        (base, {"color": theme.GREY, "width": 1}),
        (0.0, {**theme.THRESHOLD, "dash": "solid"}),
    ):
        for row in rows:
            ends_y = {"y0": row - _BAR_SHARE / 2, "y1": row + _BAR_SHARE / 2}
            figure.add_shape(type="line", x0=x, x1=x, **ends_y, line=line, layer="below")
    figure.update_layout(barmode="overlay")
    theme.base_layout(figure, height_px=_ROW_PX * len(table) + _AXIS_PX)
    figure.update_xaxes(
        range=[left - margin, right + margin],
        tickformat=theme.USD_TICKS,
        nticks=9,
        zeroline=False,
        title="Scale-to-zero less always-on, a month",
    )
    figure.update_yaxes(range=[len(table) - 0.6, -0.85], visible=False)
    return figure
