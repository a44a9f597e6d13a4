"""Dollars a month, month by month: the plans that matter, and where the answer turns.

A line is solid where its p99 holds the limit and dotted, with hollow points, where it does not.
Lines that lie on one another are of different widths, so that each is seen.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from frontier import spell
from frontier.charts import theme
from frontier.growth import (
    ALWAYS_ON,
    CHEAPEST,
    KEPT,
    LINE_WORDS,
    SHIPPED,
    GrowthTable,
)

_HEIGHT_PX = 400
_MARKS = {
    # The widest first, so that it lies under the others.
    CHEAPEST: (theme.Mark(LINE_WORDS[CHEAPEST], theme.GREEN, "diamond"), 9.0),
    KEPT: (theme.Mark(LINE_WORDS[KEPT], theme.ORANGE, "square"), 5.0),
    ALWAYS_ON: (theme.Mark(LINE_WORDS[ALWAYS_ON], theme.VERMILION, "star"), 2.0),
    SHIPPED: (theme.Mark(LINE_WORDS[SHIPPED], theme.BLUE, "circle"), 2.0),
}
_NAMES = {
    CHEAPEST: "cheapest,<br>anew each month",
    KEPT: "today's plan",
    ALWAYS_ON: "always-on",
    SHIPPED: "scale-to-zero<br>as shipped",
}
_GLYPHS = {CHEAPEST: "◆", KEPT: "■", ALWAYS_ON: "★", SHIPPED: "●"}
_NAMES_PX, _NAME_HEIGHT = 120, 0.12
_ROOM = 1.18
_MOST_TICKS = 6


def growth_table(found: GrowthTable) -> pd.DataFrame:
    """Return one row for each month and line.

    Returns
    -------
    DataFrame
        month, first_day, line, label, traffic_factor, requests_per_day, usd_per_month, usd_low,
        usd_high (mean, least and most over the draws of the traffic), usd_price_low,
        usd_price_high (prices off by the band), p99_ttft_s (longest over the draws), holds_limit,
        draws_held, draws, replicas_kept, replicas_most, plan_id, plan, provider, gpu,
        is_interpolated, is_committed; in order of the months.
    """
    return pd.DataFrame(
        [
            {
                "month": month.month,
                "first_day": month.first,
                "line": name,
                "label": LINE_WORDS[name],
                "traffic_factor": month.factor,
                "requests_per_day": month.requests_per_day,
                "usd_per_month": point.usd,
                "usd_low": point.usd_low,
                "usd_high": point.usd_high,
                "usd_price_low": point.usd_price_low,
                "usd_price_high": point.usd_price_high,
                "p99_ttft_s": point.p99_ttft_s,
                "holds_limit": point.holds_limit,
                "draws_held": point.draws_held,
                "draws": month.draws,
                "replicas_kept": point.plan.kept,
                "replicas_most": point.replicas,
                "plan_id": point.plan.plan_id,
                "plan": point.plan.label,
                "provider": point.plan.vendor,
                "gpu": point.plan.gpu,
                "is_interpolated": month.is_interpolated,
                "is_committed": month.is_committed,
            }
            for month in found.months
            for name, point in month.points.items()
        ]
    )


def growth_figure(table: pd.DataFrame, turns: Sequence[int]) -> go.Figure:
    """Draw `growth_table`.

    Parameters
    ----------
    turns : sequence of int
        Months in which the cheapest plan within the limit is of another kind; the first is marked.
    """
    figure = go.Figure()
    most = int(table["month"].max())
    for name, (mark, width) in _MARKS.items():
        # A month without a plan is a gap in the line.
        rows = table[table["line"] == name].set_index("month").reindex(range(1, most + 1))
        how: dict[str, Any] = {"x": rows.index, "legendgroup": name}
        holds = rows["holds_limit"].fillna(False).astype(bool)
        for dash, usd in (
            ("dot", rows["usd_per_month"]),
            (None, rows["usd_per_month"].where(holds)),
        ):
            figure.add_trace(
                go.Scatter(
                    y=usd,
                    mode="lines",
                    line={
                        "color": mark.colour,
                        "width": min(width, 3.0) if dash else width,
                        "dash": dash,
                    },
                    opacity=0.45 if width > 2 else 1.0,
                    hoverinfo="skip",
                    showlegend=False,
                    **how,
                )
            )
        known = rows[rows["label"].notna()]
        figure.add_trace(
            go.Scatter(
                x=known.index,
                y=known["usd_per_month"],
                mode="markers",
                name=mark.label,
                showlegend=False,
                legendgroup=name,
                marker={
                    "color": mark.colour,
                    "symbol": [
                        mark.symbol if held else f"{mark.symbol}-open"
                        for held in known["holds_limit"]
                    ],
                    "size": 7 if width < 5 else 10,
                    "line": {"width": 1.5, "color": mark.colour},
                },
                text=[_hover(mark.label, row) for row in known.itertuples()],
                hovertemplate="%{text}<extra></extra>",
            )
        )
    top = float(table["usd_per_month"].max()) * _ROOM or 1.0
    _name_lines(figure, table, top)
    _mark_replicas(figure, table)
    days = table.drop_duplicates("month").set_index("month")["first_day"]
    if turns:
        _mark_turn(figure, turns[0], days[turns[0]], most)
    step = max(1, -(-most // _MOST_TICKS))
    ticks = list(range(1, most + 1, step))
    figure.update_xaxes(
        range=[0.6, most + 0.4],
        tickvals=ticks,
        ticktext=[_label(days[tick]) for tick in ticks],
        tickangle=0,
    )
    figure.update_yaxes(
        range=[0, top], tickformat=theme.USD_TICKS, nticks=7, title="Dollars a month"
    )
    theme.base_layout(figure, height_px=_HEIGHT_PX)
    return figure.update_layout(margin={"r": _NAMES_PX})


def _label(day: dt.date) -> str:
    return f"{day:%b}<br>{day:%Y}"


def _hover(label: str, row: Any) -> str:
    words = (
        f"{label}<br>{row.first_day:%B %Y}, {row.requests_per_day:,.0f} requests a day<br>"
        f"<b>{spell.dollars(row.usd_per_month)}</b> a month"
    )
    if row.usd_high - row.usd_low > 1:
        words += f" ({spell.dollars(row.usd_low)} to {spell.dollars(row.usd_high)})"
    words += f"<br>p99 {spell.seconds(row.p99_ttft_s)}"
    words += ", within the limit" if row.holds_limit else ", over the limit"
    words += f"<br>{row.provider} {row.gpu}: {row.plan}"
    return f"{words}<br>not simulated, between two levels" if row.is_interpolated else words


def _name_lines(figure: go.Figure, table: pd.DataFrame, top: float) -> None:
    """Write each line's name in the margin, at the height of its end as far as there is room."""
    ends = {
        str(name): float(rows["usd_per_month"].iloc[-1]) / top
        for name, rows in table.groupby("line", sort=False)
    }
    for name, height in theme.spread(ends, _NAME_HEIGHT).items():
        colour = _MARKS[name][0].colour
        theme.label_line(
            figure,
            f'<span style="color:{colour}">{_GLYPHS[name]}</span> <b>{_NAMES[name]}</b>',
            1,
            height,
            xref="paper",
            yref="paper",
            xanchor="left",
            yanchor="middle",
            xshift=6,
            align="left",
        )


def _mark_replicas(figure: go.Figure, table: pd.DataFrame) -> None:
    """Write the replicas of always-on where their number changes, and at its first month."""
    before = None
    for row in table[table["line"] == ALWAYS_ON].itertuples():
        if row.replicas_kept != before:
            theme.label_line(
                figure,
                spell.count(row.replicas_kept, "replica"),
                row.month,
                row.usd_per_month,
                xanchor="left" if row.month == 1 else "center",
                yanchor="bottom",
                yshift=8,
            )
        before = row.replicas_kept


def _mark_turn(figure: go.Figure, month: int, day: dt.date, most: int) -> None:
    figure.add_vline(x=month - 0.5, line={"color": theme.GREY, "width": 1.5, "dash": "dash"})
    on_left = month > most / 2
    figure.add_annotation(
        x=month - 0.5,
        y=1,
        yref="paper",
        yanchor="top",
        xanchor="right" if on_left else "left",
        text=f"<b>turns</b><br>{day:%b %Y}",
        align="right" if on_left else "left",
        showarrow=False,
        font={"size": theme.TEXT_PX},
    )
