"""The tail of the time to first token: how many requests are slower than t, and why.

The points are requests: the one at each rank, coloured and marked by the cause of its wait.
Refused requests never get a first token; they count in every share and have no place on the axis.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from frontier import spell
from frontier.charts import theme
from frontier.simulate import RunResult
from frontier.trace import Trace
from frontier.waits import CAUSES, TtftParts

MOST_POINTS = 600
_HEIGHT_PX = 400
_MOST_TICKS = 6
_PERCENTILES = {"p50": 50, "p95": 95, "p99": 99}

# Drawn in this order: the rarer causes on top.
CAUSE_MARKS = {
    "own prompt": theme.Mark("Its own prompt", theme.GREEN, "triangle-up"),
    "queued": theme.Mark("Queued behind others", theme.ORANGE, "diamond"),
    "joined a start": theme.Mark("Waited on another's start", theme.SKY, "square"),
    "caused a start": theme.Mark("Caused a start, waited for it", theme.BLUE, "circle"),
}
# The two kinds of start lie on one curve: the squares look out from under the circles.
_SIZES_PX = {"joined a start": 10, "caused a start": 6}
PART_LABELS = {
    "start_s": "a start",
    "retry_s": "the client's retry",
    "slot_s": "a free place",
    "behind_s": "the prompts of others",
    "prompt_s": "its own prompt",
    "shared_s": "the answers beside its prompt",
    "overhead_s": "the API",
}
PART_COLOURS = {
    "start_s": theme.BLUE,
    "retry_s": theme.PINK,
    "slot_s": theme.VERMILION,
    "behind_s": theme.ORANGE,
    "prompt_s": theme.GREEN,
    "shared_s": theme.SKY,
    "overhead_s": theme.GREY,
}


def slowest_first(ttft_s: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the indices of the requests, slowest first; of equals the earlier one."""
    return np.argsort(-ttft_s, kind="stable")


def slowest_percent(ttft_s: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the indices of the slowest 1 % of the requests, at least one, slowest first."""
    return slowest_first(ttft_s)[: max(1, -(-ttft_s.size // 100))]


def tail_table(ttft_s: NDArray[np.float64], cause: NDArray[np.int8]) -> pd.DataFrame:
    """Return the complementary distribution at up to 600 ranks, evenly spaced on a log scale.

    Parameters
    ----------
    ttft_s : ndarray, shape (n,)
        Time to first token; infinite where refused. [s]
    cause : ndarray of int, shape (n,)
        Index into `waits.CAUSES`.

    Returns
    -------
    DataFrame
        request (its index), ttft_s, share_as_slow (of all requests that waited at least so long,
        refused ones included) [1], cause, percentile ("p50", "p95", "p99" or ""); slowest first.
        Refused requests have no row.
    """
    order = slowest_first(ttft_s)
    n = order.size
    # The p-th percentile is the ceil(n p / 100)-th smallest, as `RunResult.ttft_percentile` has it.
    named = {n - max(1, -(-n * p // 100)): name for name, p in _PERCENTILES.items()}
    spread = np.geomspace(1, n, MOST_POINTS - len(named)).round().astype(np.int64) - 1
    ranks = np.union1d(spread, list(named))
    ranks = ranks[np.isfinite(ttft_s[order[ranks]])]
    requests = order[ranks]
    return pd.DataFrame(
        {
            "request": requests,
            "ttft_s": ttft_s[requests],
            "share_as_slow": (ranks + 1) / n,
            "cause": [CAUSES[index] for index in cause[requests]],
            "percentile": [named.get(rank, "") for rank in ranks.tolist()],
        }
    )


def slowest_table(
    result: RunResult, parts: TtftParts, trace: Trace, requests: NDArray[np.int64]
) -> pd.DataFrame:
    """Return one row a request: when it came, how long it waited, why, and on what.

    Columns: arrival_s, ttft_s, cause, the parts of `waits.TtftParts` that add up to it and
    saved_s [s], prompt_tokens, output_tokens.
    """
    return pd.DataFrame(
        {
            "arrival_s": trace.arrival_s[requests],
            "ttft_s": result.ttft_s[requests],
            "cause": [CAUSES[index] for index in parts.cause[requests]],
            **{name: getattr(parts, name)[requests] for name in (*PART_LABELS, "saved_s")},
            "prompt_tokens": trace.prompt_tokens[requests],
            "output_tokens": trace.output_tokens[requests],
        }
    )


def tail_figure(table: pd.DataFrame, *, slo_p99_ttft_s: float) -> go.Figure:
    """Draw `tail_table`, which must have a row: both axes log, the region over the limit tinted."""
    figure = go.Figure()
    low_s, high_s = theme.log_range([*table["ttft_s"], slo_p99_ttft_s], pad=0.06)
    figure.add_trace(
        go.Scatter(
            x=table["ttft_s"],
            y=table["share_as_slow"],
            mode="lines",
            line={"width": 1, "color": theme.GREY},
            hoverinfo="skip",
            showlegend=False,
        )
    )
    for cause, mark in CAUSE_MARKS.items():
        points = table[table["cause"] == cause]
        if points.empty:
            continue
        figure.add_trace(
            go.Scatter(
                x=points["ttft_s"],
                y=points["share_as_slow"],
                mode="markers",
                name=mark.label,
                marker={
                    "color": mark.colour,
                    "symbol": mark.symbol,
                    "size": _SIZES_PX.get(cause, 8),
                },
                text=[
                    f"{spell.percent(row.share_as_slow)} of requests waited "
                    f"{spell.seconds(row.ttft_s)} or longer<br>{mark.label}"
                    for row in points.itertuples()
                ],
                hovertemplate="%{text}<extra></extra>",
            )
        )
    _add_limit(figure, slo_p99_ttft_s, low_s, high_s)
    for row in table[table["percentile"] != ""].itertuples():
        on_left = np.log10(row.ttft_s / low_s) > 0.6 * np.log10(high_s / low_s)
        figure.add_annotation(
            x=np.log10(row.ttft_s),
            y=np.log10(row.share_as_slow),
            text=f"<b>{row.percentile}</b> {spell.seconds(row.ttft_s)}",
            showarrow=True,
            arrowhead=0,
            arrowcolor=theme.GREY,
            standoff=6,
            ax=-34 if on_left else 34,
            ay=18 if on_left else -18,
            xanchor="right" if on_left else "left",
            font={"size": 12},
        )
    figure.update_xaxes(
        **theme.time_axis(low_s, high_s, _MOST_TICKS),
        tickangle=0,
        title="Time to first token",
    )
    least = float(table["share_as_slow"].min())
    shares = 10.0 ** np.arange(0, np.floor(np.log10(least)) - 1, -1)
    figure.update_yaxes(
        type="log",
        range=[np.log10(least) - 0.15, 0.15],
        tickvals=shares,
        # A power of ten in full: `spell.percent` says under 0.01 % no more than that.
        ticktext=[
            f"{np.format_float_positional(share * 100, precision=3, fractional=False, trim='-')} %"
            for share in shares
        ],
        title="Requests at least that slow",
    )
    theme.base_layout(figure, height_px=_HEIGHT_PX)
    return figure.update_layout(legend={"itemsizing": "constant"})


def _add_limit(figure: go.Figure, slo_p99_ttft_s: float, low_s: float, high_s: float) -> None:
    if high_s > slo_p99_ttft_s:
        figure.add_vrect(
            x0=slo_p99_ttft_s, x1=high_s, fillcolor=theme.TINT, line_width=0, layer="below"
        )
    figure.add_vline(x=slo_p99_ttft_s, line=theme.THRESHOLD)
    # Towards the middle, where there is room for its words.
    figure.add_annotation(
        x=np.log10(slo_p99_ttft_s),
        xanchor="right" if slo_p99_ttft_s > np.sqrt(low_s * high_s) else "left",
        y=0,
        yref="paper",
        yanchor="bottom",
        text=f"limit {spell.seconds(slo_p99_ttft_s)}",
        showarrow=False,
        font={"size": 12},
    )
