"""The product's chart: dollars a month against p99 TTFT, one point a plan.

Efficient plans are large and joined by steps (no plan exists between two plans); the others are
small and faint; the region over the limit is tinted. Plans of equal cost and p99 are one point
that lists them. Plans whose p99 is infinite (over 1 % of requests refused) cannot stand on the
axis: they stay in the table and are counted by `not_drawn`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from frontier import spell
from frontier.charts import theme
from frontier.plans.families import FAMILIES, Family

_HEIGHT_PX = 430
_LISTED_PLANS = 4
_BAND = ("usd_at_lower_prices", "usd_at_higher_prices")
_BOX = ("usd_per_month_low", "usd_per_month_high", "p99_ttft_s_low", "p99_ttft_s_high")


def frontier_table(swept: pd.DataFrame, *, slo_p99_ttft_s: float) -> pd.DataFrame:
    """Return the points of the chart, one row for each distinct (cost, p99).

    Parameters
    ----------
    swept : DataFrame
        One row a plan, as `frontier.sweep.frontier_table` makes it.
    slo_p99_ttft_s : float
        The limit on p99 TTFT. [s]

    Returns
    -------
    DataFrame
        plan_ids (list), labels (list), family (of the first), usd_per_month, p99_ttft_s,
        waited_on_start_share, efficient, meets_slo, and, where the input has them,
        usd_at_lower_prices and usd_at_higher_prices, and usd_per_month_low, usd_per_month_high,
        p99_ttft_s_low and p99_ttft_s_high (the range of luck); sorted by cost.
    """
    drawn = swept[np.isfinite(swept["p99_ttft_s"]) & np.isfinite(swept["usd_per_month"])].copy()
    # A cent and a millisecond: what nobody could tell apart on the chart or the bill.
    drawn["cost_key"] = drawn["usd_per_month"].round(2)
    drawn["time_key"] = drawn["p99_ttft_s"].round(3)
    grouped = drawn.groupby(["cost_key", "time_key"], sort=False)
    points = grouped.agg(
        plan_ids=("plan_id", list),
        labels=("label", list),
        family=("family", "first"),
        usd_per_month=("usd_per_month", "first"),
        p99_ttft_s=("p99_ttft_s", "first"),
        efficient=("efficient", "any"),
        waited_on_start_share=("waited_on_start_share", "first"),
        # The first that is known: of plans alike one has a range for all.
        **{name: (name, "first") for name in (*_BAND, *_BOX) if name in drawn},
    ).reset_index()
    points["meets_slo"] = points["p99_ttft_s"] <= slo_p99_ttft_s
    return points.drop(columns=["cost_key", "time_key"]).sort_values(
        ["usd_per_month", "p99_ttft_s"], ignore_index=True
    )


def not_drawn(swept: pd.DataFrame) -> int:
    """Return how many plans have no finite p99 and so no place on the chart."""
    return int((~np.isfinite(swept["p99_ttft_s"])).sum())


def frontier_figure(
    table: pd.DataFrame,
    *,
    slo_p99_ttft_s: float,
    marked: dict[str, str] | None = None,
    chosen_plan_id: str | None = None,
) -> go.Figure:
    """Draw `frontier_table`.

    Parameters
    ----------
    table : DataFrame
        From `frontier_table`.
    slo_p99_ttft_s : float
        The limit, drawn as a line. [s]
    marked : dict of str to str
        Plan ids to name on the chart, with the words to use.
    chosen_plan_id : str or None
        The plan that is open beside the chart; ringed.
    """
    figure = go.Figure()
    shown_s = table[["p99_ttft_s", *(name for name in _BOX[2:] if name in table)]].to_numpy()
    low_s, high_s = theme.log_range([*shown_s.ravel().tolist(), slo_p99_ttft_s], pad=0.14)
    efficient = table[table["efficient"]].sort_values("usd_per_month")
    if len(efficient):
        figure.add_trace(
            go.Scatter(
                x=efficient["usd_per_month"],
                y=efficient["p99_ttft_s"],
                mode="lines",
                line={"shape": "hv", "width": 2, "color": theme.GREY},
                name="Efficient",
                hoverinfo="skip",
                showlegend=False,
            )
        )
        if set(_BAND) <= set(table):
            _add_band(figure, efficient)
    for family in FAMILIES.values():
        of_family = table[table["family"] == family.key]
        named = not of_family["efficient"].any()
        if named and len(of_family) and not family.is_large:
            figure.add_trace(_legend_entry(family))
        for is_efficient in (False, True):
            points = of_family[of_family["efficient"] == is_efficient]
            opacity = 1.0 if is_efficient or family.is_large else 0.35
            size_px = 13 if is_efficient else 11 if family.is_large else 7
            if points.empty:
                continue
            figure.add_trace(
                go.Scatter(
                    x=points["usd_per_month"],
                    y=points["p99_ttft_s"],
                    mode="markers",
                    name=family.label,
                    legendgroup=family.key,
                    showlegend=is_efficient or (named and opacity == 1.0),
                    marker={
                        "color": family.colour,
                        "symbol": family.symbol,
                        "size": size_px,
                        "opacity": opacity,
                        "line": {"width": 1 if is_efficient else 0, "color": "white"},
                    },
                    customdata=[ids[0] for ids in points["plan_ids"]],
                    text=[_hover(row) for row in points.itertuples()],
                    hovertemplate="%{text}<extra></extra>",
                    # Streamlit dims what is not selected; the ring below says what is chosen.
                    selected={"marker": {"opacity": opacity}},
                    unselected={"marker": {"opacity": opacity}},
                )
            )
    if set(_BOX) <= set(table):
        _add_boxes(figure, table, high_s)
    _add_ring(figure, table, chosen_plan_id)
    _add_limit(figure, slo_p99_ttft_s, high_s)
    _add_names(figure, table, marked or {}, low_s, high_s)
    _set_axes(figure, table, low_s, high_s)
    return theme.base_layout(figure, height_px=_HEIGHT_PX)


def _legend_entry(family: Family) -> go.Scatter:
    """Return a mark for the legend alone: points too faint to be told apart there stand for it."""
    return go.Scatter(
        x=[None],
        y=[None],
        mode="markers",
        name=family.label,
        legendgroup=family.key,
        marker={"color": family.colour, "symbol": family.symbol, "size": 7},
        hoverinfo="skip",
    )


def _add_boxes(figure: go.Figure, table: pd.DataFrame, high_s: float) -> None:
    """Draw the range of each plan that has one; one without an upper end goes to the top."""
    across: list[float | None] = []
    up: list[float | None] = []
    for low_usd, high_usd, low_s, most_s in table[list(_BOX)].dropna().itertuples(index=False):
        top_s = min(most_s, high_s)
        across += [low_usd, high_usd, high_usd, low_usd, low_usd, None]
        up += [low_s, low_s, top_s, top_s, low_s, None]
    if not across:
        return
    figure.add_trace(
        go.Scatter(
            x=across,
            y=up,
            mode="lines",
            fill="toself",
            fillcolor=theme.RANGE,
            line={"width": 1.5, "color": theme.GREY},
            name="Range by luck",
            legendrank=2000,
            hoverinfo="skip",
        )
    )


def _add_band(figure: go.Figure, efficient: pd.DataFrame) -> None:
    """Draw what each efficient plan would cost if every price were off by the band."""
    figure.add_trace(
        go.Scatter(
            x=efficient["usd_per_month"],
            y=efficient["p99_ttft_s"],
            mode="markers",
            marker={"symbol": "line-ew-open", "size": 12, "color": theme.GREY},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": efficient[_BAND[1]] - efficient["usd_per_month"],
                "arrayminus": efficient["usd_per_month"] - efficient[_BAND[0]],
                "color": theme.GREY,
                "thickness": 1.5,
                "width": 5,
            },
            name="Price band",
            legendrank=2000,
            hoverinfo="skip",
        )
    )


def _hover(row: Any) -> str:
    labels = list(row.labels[:_LISTED_PLANS])
    if len(row.labels) > _LISTED_PLANS:
        labels.append(f"and {len(row.labels) - _LISTED_PLANS} more alike")
    words = (
        "<br>".join(labels)
        + f"<br><b>{spell.dollars(row.usd_per_month)}</b> a month, "
        + f"p99 <b>{spell.seconds(row.p99_ttft_s)}</b>"
    )
    low_usd, high_usd, low_s, high_s = (getattr(row, name, np.nan) for name in _BOX)
    if not np.isnan(low_usd):
        words += (
            f"<br>Range: {spell.dollars_between(low_usd, high_usd)} a month, "
            f"p99 {spell.seconds_between(low_s, high_s)}"
        )
    if np.isnan(row.waited_on_start_share):
        return words
    return words + f"<br>{spell.percent(row.waited_on_start_share)} of requests waited on a start"


def _point_of(table: pd.DataFrame, plan_id: str | None) -> pd.Series | None:
    for _, row in table.iterrows():
        if plan_id in row["plan_ids"]:
            return row
    return None


def _add_ring(figure: go.Figure, table: pd.DataFrame, plan_id: str | None) -> None:
    point = _point_of(table, plan_id)
    if point is None:
        return
    figure.add_trace(
        go.Scatter(
            x=[point["usd_per_month"]],
            y=[point["p99_ttft_s"]],
            mode="markers",
            marker={
                "symbol": "circle-open",
                "size": 24,
                "color": theme.VERMILION,
                "line": {"width": 2.5},
            },
            name="Chosen plan",
            hoverinfo="skip",
            showlegend=False,
        )
    )


def _add_limit(figure: go.Figure, slo_p99_ttft_s: float, high_s: float) -> None:
    if high_s > slo_p99_ttft_s:
        figure.add_hrect(
            y0=slo_p99_ttft_s, y1=high_s, fillcolor=theme.TINT, line_width=0, layer="below"
        )
    figure.add_hline(
        y=slo_p99_ttft_s,
        line=theme.THRESHOLD,
    )
    figure.add_annotation(
        x=1,
        xref="paper",
        xanchor="right",
        y=np.log10(slo_p99_ttft_s),
        yanchor="bottom",
        text=f"limit {spell.seconds(slo_p99_ttft_s)}",
        showarrow=False,
        font={"size": 12},
    )


def _add_names(
    figure: go.Figure, table: pd.DataFrame, marked: dict[str, str], low_s: float, high_s: float
) -> None:
    """Name a few points beside themselves, pushed apart where two would touch."""
    wide = _is_wide(table)
    low_usd, high_usd = _cost_range(table)
    taken: list[tuple[float, float]] = []
    for plan_id, words in marked.items():
        point = _point_of(table, plan_id)
        if point is None:
            continue
        x, y = float(point["usd_per_month"]), float(point["p99_ttft_s"])
        across = _share_of(x, low_usd, high_usd, log=wide)
        height = _share_of(y, low_s, high_s, log=True)
        on_left = across > 0.55
        up = height < 0.93
        if any(abs(across - a) < 0.25 and abs(height - h) < 0.12 for a, h in taken):
            up = not up
        taken.append((across, height))
        figure.add_annotation(
            x=np.log10(x) if wide else x,
            y=np.log10(y),
            text=words,
            showarrow=True,
            arrowhead=0,
            arrowwidth=1,
            arrowcolor=theme.GREY,
            standoff=10,
            ax=-22 if on_left else 22,
            ay=-26 if up else 26,
            xanchor="right" if on_left else "left",
            font={"size": 12},
        )


def _share_of(value: float, low: float, high: float, *, log: bool) -> float:
    """Return where a value lies between two others, 0 to 1, as the axis shows it."""
    if log:
        value, low, high = np.log10(value), np.log10(low), np.log10(high)
    return float((value - low) / (high - low))


def _cost_range(table: pd.DataFrame) -> tuple[float, float]:
    """Return the ends of the cost axis."""
    ends = (name for name in (*_BAND, *_BOX[:2]) if name in table)
    drawn = table[["usd_per_month", *ends]].to_numpy()
    low_usd, high_usd = float(np.nanmin(drawn)), float(np.nanmax(drawn))
    if _is_wide(table):
        return theme.log_range([low_usd, high_usd, *table["usd_per_month"]], pad=0.05)
    margin = max((high_usd - low_usd) * 0.08, high_usd * 0.05, 1.0)
    return max(0.0, low_usd - margin), high_usd + margin


def _is_wide(table: pd.DataFrame) -> bool:
    """Whether costs spread so far that a linear axis would heap them at its left end."""
    usd = table["usd_per_month"]
    # A logarithmic axis has no place for what costs nothing.
    return bool(len(usd) and usd.min() > 0 and usd.max() / usd.min() > 12)


def _set_axes(figure: go.Figure, table: pd.DataFrame, low_s: float, high_s: float) -> None:
    figure.update_yaxes(
        **theme.time_axis(low_s, high_s),
        title="p99 time to first token",
    )
    figure.update_xaxes(title="Dollars a month", tickprefix="$", tickformat=",.0f")
    low_usd, high_usd = _cost_range(table)
    if _is_wide(table):
        figure.update_xaxes(
            **theme.money_axis(low_usd, high_usd),
            tickprefix="",
        )
    else:
        figure.update_xaxes(range=[low_usd, high_usd])
