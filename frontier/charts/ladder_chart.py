"""What each limit on the p99 costs: the cheapest plans of the market as descending steps.

Between the limits of the list the line follows the plans themselves, so each drop stands where a
cheaper plan first holds the limit.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from frontier import spell
from frontier.charts import theme
from frontier.charts.market_chart import offer_name
from frontier.ladder import Ladder, span_in_words, state_of_rung
from frontier.market import ON_DEMAND, Pick
from frontier.ranges import NOT_SURE, Ranges

_HEIGHT_PX = 340
# About what the plot measures on a phone: labels are kept apart by it.
_PLOT_PX = (285, 240)
_CHARACTER_PX, _LABEL_PX = 7.0, 34
_SAME_USD = 0.005
# Room above the highest point, and right of the last one, for their names.
_TOP, _ROOM = 1.2, 1.6
# A tick this near to the limit of one's own gives way to it.
_TICK_SHARE = 0.06


def ladder_table(ladder: Ladder, luck: Ranges | None = None) -> pd.DataFrame:
    """Return one row a limit, the tightest first.

    Parameters
    ----------
    luck : Ranges, optional
        `ladder.luck_of`, once it is known.

    Returns
    -------
    DataFrame
        ``limit_s``, ``is_own`` (the limit that was asked for), ``is_held``, ``same_as_above``; of
        the cheapest offer on demand that holds it ``offer_id, name, where, kind, plan_id, policy,
        family, usd_per_month, p99_ttft_s, over_of_thousand`` (requests of 1,000 over the limit),
        ``p99_low_s, p99_high_s, with_other_luck`` (holds, not sure), ``saves_usd, saves_share``
        (against the step before that is held), ``priced_on, offers`` (on demand that hold it);
        ``reachable_s, reachable_where`` (the fastest, where none holds it); and what would cost
        less: ``bound_usd, bound_where, spot_usd, spot_where``.
    """
    rows: list[dict[str, Any]] = []
    for rung, market in zip(ladder.rungs, ladder.markets, strict=True):
        answer, best = rung.answer, rung.best
        row = None if best is None else market.row(best.offer_id)
        fastest = answer.fastest if best is None else None
        known = None if luck is None else luck.plans.get(rung.run)
        rows.append(
            {
                "limit_s": rung.limit_s,
                "is_own": rung.is_own,
                "is_held": best is not None,
                "same_as_above": rung.is_same,
                "offer_id": _of(best, "offer_id"),
                "name": None if row is None or row.best is None else offer_name(row, row.best),
                "where": _of(best, "where"),
                "kind": _of(best, "kind"),
                "plan_id": _of(best, "plan_id"),
                "policy": _of(best, "policy"),
                "family": _of(best, "family"),
                "usd_per_month": _of(best, "usd_per_month", math.nan),
                "p99_ttft_s": _of(best, "p99_ttft_s", math.nan),
                "over_of_thousand": rung.over_of_thousand,
                "p99_low_s": math.nan if known is None else known.p99_ttft_s.low,
                "p99_high_s": math.nan if known is None else known.p99_ttft_s.high,
                "with_other_luck": state_of_rung(rung, luck),
                "saves_usd": math.nan if rung.saves_usd is None else rung.saves_usd,
                "saves_share": math.nan if rung.saves_share is None else rung.saves_share,
                "priced_on": None if best is None else best.priced_on.isoformat(),
                "offers": answer.on_demand,
                "reachable_s": _of(fastest, "p99_ttft_s", math.nan),
                "reachable_where": _of(fastest, "where"),
                "bound_usd": _of(answer.bound, "usd_per_month", math.nan),
                "bound_where": _of(answer.bound, "where"),
                "spot_usd": _of(answer.spot, "usd_per_month", math.nan),
                "spot_where": _of(answer.spot, "where"),
            }
        )
    return pd.DataFrame(rows)


def _of(pick: Pick | None, name: str, nothing: Any = None) -> Any:
    return nothing if pick is None else getattr(pick, name)


def ladder_steps(ladder: Ladder) -> pd.DataFrame:
    """Return the plans that are the cheapest on demand from some limit on: from_s, usd_per_month.

    Between two limits of the list the plans are those that the market tried under the looser one.
    """
    rows: list[tuple[float, float]] = []
    least_usd, tighter_s = math.inf, 0.0
    for market in ladder.markets:
        plans = sorted(
            (step.p99_s, step.usd_per_month)
            for row in market.able
            if row.offer.kind in ON_DEMAND
            for step in row.steps
            if tighter_s < step.p99_s <= market.limit_s
        )
        for p99_s, usd in plans:
            if usd < least_usd - _SAME_USD:
                rows.append((p99_s, usd))
                least_usd = usd
        tighter_s = market.limit_s
    return pd.DataFrame(rows, columns=["from_s", "usd_per_month"])


def ladder_figure(table: pd.DataFrame, steps: pd.DataFrame) -> go.Figure:
    """Draw `ladder_table` as points on the line of `ladder_steps`; hollow where not sure."""
    figure = go.Figure()
    held = table[table["is_held"]]
    limits_s = table["limit_s"].tolist()
    # What is faster than any limit of the list costs many times as much and is not drawn.
    low_s, high_s = theme.log_range(limits_s, pad=0.04)
    high_s *= _ROOM
    shown = _within(steps, low_s)
    top_usd = max([*shown["usd_per_month"], *held["usd_per_month"], 1.0])
    if len(steps):
        least_s = float(steps["from_s"].iloc[0])
        figure.add_trace(
            go.Scatter(
                x=[*shown["from_s"], high_s],
                y=[*shown["usd_per_month"], shown["usd_per_month"].iloc[-1]],
                mode="lines",
                line={"shape": "hv", "width": 3, "color": theme.BLUE},
                hoverinfo="skip",
                showlegend=False,
            )
        )
        if least_s > min(limits_s):
            figure.add_vrect(
                x0=low_s, x1=least_s, fillcolor=theme.TINT, line_width=0, layer="below"
            )
            theme.label_line(
                figure,
                "none holds it",
                (math.log10(low_s) + math.log10(least_s)) / 2,
                1,
                xanchor="center",
                yanchor="top",
                yref="paper",
            )
    own = table[table["is_own"]]
    own_s = float(own["limit_s"].iloc[0])
    # Beneath the line, for over it stand the names of its steps, which on a phone reach far.
    up_to = own["usd_per_month"].iloc[0] if own["is_held"].iloc[0] else _TOP * top_usd
    figure.add_shape(
        type="line", x0=own_s, x1=own_s, y0=0, y1=up_to, line=theme.THRESHOLD, layer="below"
    )
    colours = [theme.VERMILION if is_own else theme.BLUE for is_own in held["is_own"]]
    figure.add_trace(
        go.Scatter(
            x=held["limit_s"],
            y=held["usd_per_month"],
            mode="markers",
            marker={
                "size": [14 if is_own else 10 for is_own in held["is_own"]],
                "symbol": [
                    ("diamond" if row.is_own else "circle")
                    + ("-open" if row.with_other_luck == NOT_SURE else "")
                    for row in held.itertuples()
                ],
                "line": {"width": 2, "color": colours},
                "color": colours,
            },
            text=[_hover(row) for row in held.itertuples()],
            hovertemplate="%{text}<extra></extra>",
            # What costs nothing stands on the axis, whole.
            cliponaxis=False,
            showlegend=False,
        )
    )
    _add_names(figure, held, (low_s, high_s), top_usd)
    axis = theme.time_axis(low_s, high_s)
    apart = _TICK_SHARE * math.log(high_s / low_s)
    ticks = [
        (at_s, words)
        for at_s, words in zip(axis["tickvals"], axis["ticktext"], strict=True)
        if abs(math.log(at_s / own_s)) > apart
    ] + [(own_s, f"{spell.seconds(own_s)}<br><b>your limit</b>")]
    axis["tickvals"], axis["ticktext"] = zip(*ticks, strict=True)
    figure.update_xaxes(
        **axis,
        tickangle=0,
        title="Limit on the p99 time to first token",
    )
    figure.update_yaxes(
        range=[0, _TOP * top_usd], tickprefix="$", separatethousands=True, title="Dollars a month"
    )
    theme.base_layout(figure, height_px=_HEIGHT_PX)
    return figure.update_layout(showlegend=False, margin={"t": 24})


def _hover(row: Any) -> str:
    return (
        f"<b>p99 ≤ {spell.seconds(row.limit_s)}: {spell.dollars(row.usd_per_month)} a month</b><br>"
        f"{row.where}<br>{row.policy}<br>p99 {spell.seconds(row.p99_ttft_s)}"
        + (
            f", by luck {span_in_words(row.p99_low_s, row.p99_high_s)}"
            if row.with_other_luck
            else ""
        )
    )


def _within(steps: pd.DataFrame, low_s: float) -> pd.DataFrame:
    """Return the steps from the left edge on, the one that is passed there moved to it."""
    passed = steps["from_s"] < low_s
    return steps[~passed | (passed & ~passed.shift(-1, fill_value=False))].assign(
        from_s=lambda part: part["from_s"].clip(lower=low_s)
    )


def _add_names(
    figure: go.Figure, held: pd.DataFrame, s_range: tuple[float, float], top_usd: float
) -> None:
    """Name each step that costs another amount; its offer and its cost where there is room."""
    taken: list[tuple[float, float, float]] = []
    for row in held[~held["same_as_above"]].itertuples():
        cost = spell.dollars(float(row.usd_per_month))
        across = float(
            np.log(row.limit_s / s_range[0]) / np.log(s_range[1] / s_range[0]) * _PLOT_PX[0]
        )
        down = (1 - float(row.usd_per_month) / (_TOP * top_usd)) * _PLOT_PX[1]
        for words in (f"<b>{cost}</b><br>{row.name}", f"<b>{cost}</b>"):
            width = _CHARACTER_PX * max(len(cost), len(str(row.name)) if "<br>" in words else 0)
            if across + width <= _PLOT_PX[0] and not any(
                across < right and begins < across + width and abs(down - upper) < _LABEL_PX
                for begins, right, upper in taken
            ):
                taken.append((across, across + width, down))
                figure.add_annotation(
                    x=math.log10(float(row.limit_s)),
                    y=row.usd_per_month,
                    text=words,
                    align="left",
                    showarrow=False,
                    xanchor="left",
                    yanchor="bottom",
                    xshift=6,
                    yshift=4,
                    font={"size": theme.TEXT_PX},
                )
                break
