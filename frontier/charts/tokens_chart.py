"""How long prompts and answers are: the share of requests at most so many tokens long."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from frontier import spell
from frontier.charts import theme
from frontier.trace import Trace

_HEIGHT_PX = 260
_MOST_TICKS = 6
_SHARES = np.concatenate([np.linspace(0.0, 0.98, 99), np.linspace(0.981, 0.999, 19), [1.0]])
# Where the lines are named: half-way up, the shorter on its left, the longer on its right.
_NAMED_AT = 0.5
# About what a name takes of the height, above and below its middle.
_NAME_SHARE = 0.06
_MARGIN = 0.12
_LINES = {
    "prompt_tokens": ("Prompt", theme.BLUE, "solid"),
    "output_tokens": ("Output", theme.ORANGE, "dash"),
}


def tokens_table(trace: Trace) -> pd.DataFrame:
    """Return share_at_most, prompt_tokens, output_tokens: observed values at 119 quantiles."""
    return pd.DataFrame(
        {
            "share_at_most": _SHARES,
            **{
                name: np.quantile(getattr(trace, name), _SHARES, method="inverted_cdf")
                for name in _LINES
            },
        }
    )


def _named_at(tokens: pd.Series, shares: pd.Series, side: str) -> int:
    """Return the row beside which a line is named: near the middle, where it is steep there.

    Of few requests the line runs level from one to the next, and would run through its name.
    """
    far = np.log10(tokens)

    def level(at: int) -> float:
        near = far[(shares - shares[at]).abs() <= _NAME_SHARE]
        return float(near.max() - far[at] if side == "left" else far[at] - near.min())

    wanted = shares.index[(shares >= 2 * _NAME_SHARE) & (shares <= 1 - 2 * _NAME_SHARE)]
    return min(wanted, key=lambda at: (round(level(at), 1), abs(shares[at] - _NAMED_AT)))


def tokens_figure(table: pd.DataFrame) -> go.Figure:
    """Draw `tokens_table`, tokens on a log scale; a prompt of 0 tokens stands at 1."""
    figure = go.Figure()
    for name, (label, colour, dash) in _LINES.items():
        figure.add_trace(
            go.Scatter(
                x=table[name].clip(lower=1),
                y=table["share_at_most"],
                mode="lines",
                name=label,
                showlegend=False,
                line={"color": colour, "dash": dash, "width": 2.5},
                text=[
                    f"{label}: {spell.percent(row.share_at_most)} of requests have at most "
                    f"{getattr(row, name):,} tokens"
                    for row in table.itertuples()
                ],
                hovertemplate="%{text}<extra></extra>",
            )
        )
    drawn = table[list(_LINES)].clip(lower=1)
    low, high = np.log10(drawn.min().min()), np.log10(drawn.max().max())
    half = {
        name: float(drawn[name][(table["share_at_most"] - _NAMED_AT).abs().idxmin()])
        for name in _LINES
    }
    for name, side in zip(sorted(half, key=half.__getitem__), ("right", "left"), strict=True):
        at = _named_at(drawn[name], table["share_at_most"], side)
        theme.label_line(
            figure,
            f"<b>{_LINES[name][0]}</b>",
            np.log10(float(drawn[name][at])),
            float(table["share_at_most"][at]),
            xanchor=side,
            yanchor="middle",
            xshift=8 if side == "left" else -8,
        )
    margin = max((high - low) * _MARGIN, 0.3)
    low, high = low - margin, high + margin
    ticks = [
        digit * 10.0**power
        for power in range(int(high) + 1)
        for digit in (1, 2, 5)
        if low <= np.log10(digit * 10.0**power) <= high
    ]
    if len(ticks) > _MOST_TICKS:
        ticks = [tick for tick in ticks if np.isclose(np.log10(tick) % 1, 0)]
    theme.base_layout(figure, height_px=_HEIGHT_PX)
    figure.update_xaxes(
        type="log",
        range=[low, high],
        tickvals=ticks,
        ticktext=[f"{tick:,.0f}" for tick in ticks],
        tickangle=0,
        title="At most so many tokens",
    )
    return figure.update_yaxes(tickformat=".0%", range=[0, 1.02], title="Share of requests")
