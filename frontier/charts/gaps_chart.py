"""What an idle timeout would do on these gaps: requests that are cold, and time held.

One replica that takes any number of requests at once and starts in no time: exact for it, whatever
process the arrivals come from. Requests that come during a start, and second replicas, need the
simulation.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from frontier import spell, units
from frontier.analytic import idle_gap_table
from frontier.charts import theme
from frontier.errors import InputError

MOST_TIMEOUTS = 160
_LOW_S, _HIGH_S = 1.0, units.SECONDS_PER_DAY
_HEIGHT_PX = 340
_MOST_TICKS = 7
# Above 100 % there is room for the name of a line and, over it, of two timeouts.
_TOP, _SHARE_TICKS = 1.32, (0, 0.2, 0.4, 0.6, 0.8, 1)
_NAME_HEIGHT = 0.09
_BESIDE_PX = 3
# Without it the tick at the very end is left out, for want of room for its label.
_EDGE = 0.12
_LINES = {
    "cold_share": ("Requests that<br>find it off", theme.BLUE, "solid"),
    "held_share": ("Time it is held", theme.ORANGE, "dash"),
}


def gaps_table(
    arrival_s: NDArray[np.float64],
    residence_s: NDArray[np.float64] | float,
    horizon_s: float,
    *,
    named_s: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Return one row a timeout, from 0 to a day.

    A request is cold if the replica has had nothing to do for longer than the timeout; the first
    one is. The replica is held while it has work and, after that, for the timeout or until the
    next request, whichever is shorter.

    Parameters
    ----------
    arrival_s : ndarray, shape (n,)
        Arrivals, sorted [s].
    residence_s : array_like, shape (n,) or scalar
        Time each request is on the replica, at least 0 [s].
    horizon_s : float
        Time observed [s]; what comes after it counts in no share.
    named_s : mapping of str to float, optional
        Timeouts that must have a row, by name [s].

    Returns
    -------
    DataFrame
        idle_timeout_s [s]; cold (requests); cold_share, held_share [1]; name ("" for most).

    Raises
    ------
    InputError
        If nothing was observed, or as in `frontier.analytic.idle_gap_table`.
    """
    if not horizon_s > 0.0:
        raise InputError(f"Shares of time need a horizon above 0 s, found {horizon_s:g} s.")
    done_s = np.minimum(np.maximum.accumulate(arrival_s + residence_s), horizon_s)
    idle_s = np.maximum(arrival_s[1:] - done_s[:-1], 0.0)
    last_s = float(done_s[-1])
    busy_s = last_s - float(arrival_s[0]) - float(idle_s.sum())
    names: dict[float, str] = {}
    for name, at_s in (named_s or {}).items():
        names[at_s] = ", ".join(filter(None, (names.get(at_s), name)))
    spread = np.geomspace(_LOW_S, _HIGH_S, MOST_TIMEOUTS - len(names) - 1)
    timeout_s = np.union1d(np.concatenate(([0.0], spread)), list(names))
    # Gaps between arrivals without any residence: idle time laid end to end.
    gaps = idle_gap_table(np.concatenate(([0.0], np.cumsum(idle_s))), timeout_s)
    after_s = np.minimum(timeout_s, horizon_s - last_s)
    return pd.DataFrame(
        {
            "idle_timeout_s": timeout_s,
            "cold": gaps.cold,
            "cold_share": gaps.cold / arrival_s.size,
            "held_share": (busy_s + gaps.warm_s + after_s) / horizon_s,
            "name": [names.get(at_s, "") for at_s in timeout_s.tolist()],
        }
    )


def gaps_figure(table: pd.DataFrame, *, bucket_s: float | None = None) -> go.Figure:
    """Draw `gaps_table` from a second on, with the named timeouts as lines.

    Parameters
    ----------
    table : DataFrame
        From `gaps_table`.
    bucket_s : float or None
        Width of the buckets in which requests were only counted: shorter timeouts are marked as
        not to be judged [s].
    """
    shown = table[table["idle_timeout_s"] >= _LOW_S]
    figure = go.Figure()
    for name, (label, colour, dash) in _LINES.items():
        figure.add_trace(
            go.Scatter(
                x=shown["idle_timeout_s"],
                y=shown[name],
                mode="lines",
                name=label,
                showlegend=False,
                line={"color": colour, "dash": dash, "width": 2.5},
                text=[
                    f"Timeout {spell.seconds(row.idle_timeout_s)}<br>{label.replace('<br>', ' ')}: "
                    f"{spell.percent(getattr(row, name))}"
                    for row in shown.itertuples()
                ],
                hovertemplate="%{text}<extra></extra>",
            )
        )
    low, high = np.log10(_LOW_S), np.log10(_HIGH_S)
    # Each line is named at the end where it is the upper one.
    for name, row, at, side in (
        ("cold_share", shown.iloc[0], low, "left"),
        ("held_share", shown.iloc[-1], high, "right"),
    ):
        theme.label_line(
            figure,
            f"<b>{_LINES[name][0]}</b>",
            at,
            row[name],
            xanchor=side,
            yanchor="bottom",
            align=side,
        )
    if bucket_s is not None and bucket_s > _LOW_S:
        figure.add_vrect(
            x0=_LOW_S,
            x1=min(bucket_s, _HIGH_S),
            fillcolor=theme.GREY,
            opacity=0.25,
            line_width=0,
            layer="below",
        )
        figure.add_annotation(
            x=low,
            y=_TOP,
            xanchor="left",
            yanchor="top",
            text=f"under {spell.seconds(bucket_s)}:<br>cannot be judged",
            align="left",
            showarrow=False,
            font={"size": 12},
        )
    for height, row in enumerate(shown[shown["name"] != ""].itertuples()):
        x = np.log10(row.idle_timeout_s)
        figure.add_vline(
            x=row.idle_timeout_s, line={"color": theme.VERMILION, "width": 1.5, "dash": "dot"}
        )
        on_left = x > (low + high) / 2
        figure.add_annotation(
            x=x,
            y=_TOP - _NAME_HEIGHT * height,
            yanchor="top",
            xanchor="right" if on_left else "left",
            xshift=-_BESIDE_PX if on_left else _BESIDE_PX,
            text=f"{row.name} {spell.seconds(row.idle_timeout_s)}",
            showarrow=False,
            font={"size": 12},
        )
    ticks_s, labels = theme.time_ticks(_LOW_S, _HIGH_S, _MOST_TICKS)
    theme.base_layout(figure, height_px=_HEIGHT_PX)
    figure.update_xaxes(
        type="log",
        range=[low, high + _EDGE],
        tickvals=ticks_s,
        ticktext=labels,
        tickangle=0,
        title="Idle timeout",
    )
    return figure.update_yaxes(
        tickformat=".0%", range=[0, _TOP], tickvals=_SHARE_TICKS, title="Share"
    )
