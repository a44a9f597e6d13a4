"""What decides: how many draws go another way, and how many of them each input would settle.

Beside it, for one input, which choice is right over its values: shares of the draws in each part
of its range.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from frontier.charts import theme
from frontier.ranges.decides import Decides
from frontier.ranges.knowing import bins_of
from frontier.ranges.quantiles import InputRange
from frontier.verdict import choice_in_words, of_hundred, value_in_words

_ROW_PX = 34
_AXIS_PX = 70
_SHARES_PX = 300
_PARTS = 8
_COLOURS = (theme.BLUE, theme.ORANGE, theme.GREEN, theme.PINK, theme.VERMILION, theme.GREY)
_PATTERNS = ("", "/", ".", "x", "-", "+")


def decides_table(found: Decides) -> pd.DataFrame:
    """Return one row an input: its range, what that is from, and what knowing it would do.

    Returns
    -------
    DataFrame
        key, input, unit, base, low, median, high, basis, cases, source_ids, why, draws,
        put_right_share [1], worth_usd_per_month [$]; those that put most right first.
    """
    table = pd.DataFrame(found.rows())
    return table.sort_values("put_right_share", ascending=False, kind="stable", ignore_index=True)


def decides_figure(table: pd.DataFrame, *, wrong_share: float) -> go.Figure:
    """Draw `decides_table`: a bar an input, of 100 draws those that knowing it would settle.

    Parameters
    ----------
    wrong_share : float
        Share of the draws that go against the most frequent answer: no bar is longer. [1]
    """
    shares = table["put_right_share"].to_numpy(dtype=np.float64)
    figure = go.Figure(
        go.Bar(
            x=shares * 100,
            y=table["input"],
            orientation="h",
            marker={"color": theme.BLUE},
            text=[of_hundred(float(share)) for share in shares],
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{y}: %{text} of 100 draws<extra></extra>",
            showlegend=False,
        )
    )
    figure.add_vline(
        x=wrong_share * 100,
        line=theme.THRESHOLD,
    )
    theme.base_layout(figure, height_px=_ROW_PX * len(table) + _AXIS_PX)
    figure.update_xaxes(
        range=[0, max(wrong_share * 100, 1.0) * 1.12],
        title="Draws of 100 that knowing it settles",
        nticks=6,
    )
    figure.update_yaxes(autorange="reversed", title=None)
    return figure


def turning_table(found: Decides, key: str, named: Mapping[str, str]) -> pd.DataFrame:
    """Return one row a part of the range of an input and a choice: in what share it is right.

    Parameters
    ----------
    named : mapping of str to str
        Each choice in words.

    Returns
    -------
    DataFrame
        part, low, high (of the input), choice, label, share [1], draws.
    """
    values, within = found.values[key], found.within
    of = bins_of(values, _PARTS)
    rows = []
    for part in range(int(of.max()) + 1):
        inside = of == part
        for index, choice in enumerate(within.choices):
            rows.append(
                {
                    "part": part,
                    "low": float(values[inside].min()),
                    "high": float(values[inside].max()),
                    "choice": choice,
                    "label": choice_in_words(choice, named),
                    "share": float(np.mean(within.chosen[inside] == index)),
                    "draws": int(inside.sum()),
                }
            )
    return pd.DataFrame(rows)


def turning_figure(table: pd.DataFrame, one: InputRange) -> go.Figure:
    """Draw `turning_table`: a column a part of the range, in it the choices by their share."""
    parts = table.drop_duplicates("part")
    ticks = [value_in_words(one, low, bare=True) for low in parts["low"]]
    # What the ticks leave out of a value stands once, in the title.
    unit = value_in_words(one, parts["low"].iloc[0]).removeprefix(ticks[0]).strip()
    of_what = f"{one.label}: {unit}" if unit else one.label
    figure = go.Figure()
    labels: Sequence[str] = list(dict.fromkeys(table["label"]))
    for index, label in enumerate(labels):
        own = table[table["label"] == label]
        figure.add_trace(
            go.Bar(
                x=own["part"],
                y=own["share"] * 100,
                name=label,
                marker={
                    "color": _COLOURS[index % len(_COLOURS)],
                    "pattern": {"shape": _PATTERNS[index % len(_PATTERNS)], "size": 6},
                },
                hovertemplate=f"{label}: %{{y:.0f}} of 100 draws<extra></extra>",
            )
        )
    theme.base_layout(figure, height_px=_SHARES_PX)
    figure.update_layout(barmode="stack", bargap=0.06, legend={"traceorder": "normal"})
    figure.update_xaxes(
        tickvals=parts["part"].tolist(),
        ticktext=ticks,
        # Where there is no room for all, some are left out: none is set askew.
        tickangle=0,
        title=f"{of_what}, from",
        showgrid=False,
    )
    figure.update_yaxes(title="Draws of 100 in which it wins", range=[0, 104], nticks=6)
    return figure
