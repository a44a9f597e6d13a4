"""Two scenarios on one chart: the efficient plans of A and of B, dollars a month against p99.

A is drawn hollow and dashed, B filled and solid, each with its letter beside its line, so that
colour alone says nothing. Plans without a finite p99 have no place on the axis and are counted.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from frontier import spell
from frontier.against import ROLES, Against
from frontier.charts import theme

_HEIGHT_PX = 400
_SIDES = {
    "A": {"colour": theme.ORANGE, "symbol": "diamond-open", "dash": "dash", "place": "top center"},
    "B": {"colour": theme.BLUE, "symbol": "circle", "dash": "solid", "place": "bottom center"},
}
_PIN = "Pin A"
# From this ratio of costs on their axis is a log scale.
_LOG_FROM = 12
# Of a limit's name, in parts of the plot.
_NAME_WIDTH, _NAME_HEIGHT = 0.3, 0.09


def against_table(found: Against) -> pd.DataFrame:
    """Return the efficient plans of both scenarios, and those that are compared, one row each.

    Columns: ``side`` (A or B), ``plan_id, label, usd_per_month, p99_ttft_s, efficient, role``
    (what it is compared as, empty for the others); sorted by side and cost. ``attrs["left_out"]``
    counts those that have no finite p99.
    """
    parts = []
    left_out = 0
    for side, study in (("A", found.a), ("B", found.b)):
        roles: dict[str, str] = {}
        for pair in found.pairs:
            plan = pair.a if side == "A" else pair.b
            if plan is not None:
                roles.setdefault(plan.plan_id, ROLES[pair.role])
        swept = study.table
        part = swept[swept["efficient"] | swept["plan_id"].isin(list(roles))]
        is_drawn = np.isfinite(part["p99_ttft_s"]) & np.isfinite(part["usd_per_month"])
        left_out += int((~is_drawn).sum())
        part = part.loc[
            is_drawn, ["plan_id", "label", "usd_per_month", "p99_ttft_s", "efficient"]
        ].copy()
        part.insert(0, "side", side)
        part["role"] = part["plan_id"].map(roles).fillna("")
        parts.append(part.sort_values(["usd_per_month", "p99_ttft_s"]))
    table = pd.concat(parts, ignore_index=True)
    table.attrs["left_out"] = left_out
    return table


def against_figure(table: pd.DataFrame, *, limits_s: tuple[float, float]) -> go.Figure:
    """Draw `against_table`.

    Parameters
    ----------
    limits_s : tuple of float
        On the p99 of A and of B [s].
    """
    figure = go.Figure()
    low_s, high_s = theme.log_range([*table["p99_ttft_s"], *limits_s], pad=0.14)
    for side, how in _SIDES.items():
        of_side = table[table["side"] == side]
        line = of_side[of_side["efficient"]]
        figure.add_trace(
            go.Scatter(
                x=line["usd_per_month"],
                y=line["p99_ttft_s"],
                mode="lines",
                line={"shape": "hv", "width": 2, "color": how["colour"], "dash": how["dash"]},
                hoverinfo="skip",
                showlegend=False,
            )
        )
        figure.add_trace(
            go.Scatter(
                x=of_side["usd_per_month"],
                y=of_side["p99_ttft_s"],
                mode="markers+text",
                # The answer bears the letter of its scenario.
                text=[
                    f"<b>{side}</b>" if role == ROLES["answer"] else "" for role in of_side["role"]
                ],
                textposition=how["place"],
                marker={
                    "symbol": how["symbol"],
                    "size": 12,
                    "color": how["colour"],
                    "line": {"width": 2, "color": how["colour"]},
                },
                name=f"{side}: {'pinned' if side == 'A' else 'present'}",
                hovertext=[_hover(side, row) for row in of_side.itertuples()],
                hovertemplate="%{hovertext}<extra></extra>",
            )
        )
    same = limits_s[0] == limits_s[1]
    for letter, limit_s in zip(("A", "B"), limits_s, strict=True):
        if same and letter == "A":
            continue
        figure.add_hline(y=limit_s, line={"color": theme.VERMILION, "width": 1.5, "dash": "dot"})
        whose = "limit" if same else f"limit of {letter}"
        xanchor, yanchor = _free_corner(table, limit_s, math.log10(high_s / low_s))
        theme.label_line(
            figure,
            f"{whose} {spell.seconds(limit_s)}",
            1 if xanchor == "right" else 0,
            float(np.log10(limit_s)),
            xanchor=xanchor,
            yanchor=yanchor,
            xref="paper",
        )
    figure.update_yaxes(
        **theme.time_axis(low_s, high_s),
        title="p99 time to first token",
    )
    figure.update_xaxes(title="Dollars a month", tickprefix="$", tickformat=",.0f")
    if (cost := table["usd_per_month"]).min() > 0 and cost.max() / cost.min() > _LOG_FROM:
        low, high = theme.log_range(cost.tolist())
        figure.update_xaxes(
            **theme.money_axis(low, high),
            tickprefix="",
        )
    return theme.base_layout(figure, height_px=_HEIGHT_PX)


def _free_corner(table: pd.DataFrame, limit_s: float, decades: float) -> tuple[str, str]:
    """Return on which end of a limit's line, and on which side of it, its name crosses least.

    Parameters
    ----------
    decades : float
        That the axis of p99 spans.
    """
    usd = table["usd_per_month"].to_numpy()
    scale = np.log if usd.min() > 0 and usd.max() / usd.min() > _LOG_FROM else np.asarray
    x = scale(usd) - scale(usd.min())
    x = x / (x.max() or 1.0)
    y = np.log10(table["p99_ttft_s"].to_numpy() / limit_s) / decades
    crossed = {}
    for xanchor in ("right", "left"):
        beside = x >= 1 - _NAME_WIDTH if xanchor == "right" else x <= _NAME_WIDTH
        for yanchor in ("bottom", "top"):
            height = y if yanchor == "bottom" else -y
            near = (height > -_NAME_HEIGHT / 2) & (height < _NAME_HEIGHT)
            count = int((beside & near).sum())
            for _, side in table.assign(x=x, height=height).groupby("side"):
                line = side[side["efficient"]]
                # Steps: a level stretch at each point's own wait, then straight to the next.
                at, level = line["x"].to_numpy(), line["height"].to_numpy()
                for left, right, first, last in zip(at, at[1:], level, level[1:], strict=False):
                    ends = (1 - _NAME_WIDTH, 1.0) if xanchor == "right" else (0.0, _NAME_WIDTH)
                    count += left < ends[1] and right > ends[0] and 0 < first < _NAME_HEIGHT
                    over = min(first, last) < _NAME_HEIGHT and max(first, last) > 0
                    count += ends[0] <= right <= ends[1] and over
            crossed[xanchor, yanchor] = count
    return min(crossed, key=crossed.__getitem__)


def add_pin(figure: go.Figure, table: pd.DataFrame) -> go.Figure:
    """Add A's efficient plans of `against_table` to a figure of B as light marks; returns it."""
    of_a = table[(table["side"] == "A") & table["efficient"]]
    figure.add_trace(
        go.Scatter(
            x=of_a["usd_per_month"],
            y=of_a["p99_ttft_s"],
            mode="markers",
            marker={
                "symbol": "diamond-open",
                "size": 9,
                "color": theme.GREY,
                "line": {"width": 1.5, "color": theme.GREY},
            },
            name=_PIN,
            hovertext=[_hover("A", row) for row in of_a.itertuples()],
            hovertemplate="%{hovertext}<extra></extra>",
            selected={"marker": {"opacity": 1.0}},
            unselected={"marker": {"opacity": 1.0}},
        )
    )
    _widen(figure, "xaxis", of_a["usd_per_month"])
    _widen(figure, "yaxis", of_a["p99_ttft_s"])
    return figure


def _widen(figure: go.Figure, name: str, values: pd.Series) -> None:
    """Let an axis reach as far as these values."""
    axis = figure.layout[name]
    if axis.range is None or values.empty:
        return
    at = np.log10(values[values > 0]) if axis.type == "log" else values
    low, high = axis.range
    margin = (high - low) * 0.04
    axis.range = [min(low, float(at.min()) - margin), max(high, float(at.max()) + margin)]
    if name == "yaxis":
        ticks_s, labels = theme.time_ticks(10 ** axis.range[0], 10 ** axis.range[1])
        axis.tickvals, axis.ticktext = ticks_s, labels


def _hover(side: str, row: Any) -> str:
    role = f"<br>{row.role}" if row.role else ""
    return (
        f"<b>{side}</b>: {row.label}<br><b>{spell.dollars(row.usd_per_month)}</b> a month, "
        f"p99 <b>{spell.seconds(row.p99_ttft_s)}</b>{role}"
    )
