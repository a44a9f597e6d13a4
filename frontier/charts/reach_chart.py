"""Every plan that a search for a limit simulated: what it costs against what it waits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from frontier import spell
from frontier.charts import theme
from frontier.reach import Reached, Trial, place_in_words, settings_in_words

_HEIGHT_PX = 360
_PAD = 0.06
# Beyond so many times the answer a plan says nothing about it.
_MOST_TIMES = 4.0


def reach_table(reached: Reached) -> pd.DataFrame:
    """Return one row a plan, in the order in which they were simulated.

    Columns: ``where, plan``; ``offer_id, base_offer_id, provider, gpu, gpus_per_replica,
    precision``; ``kept, most, kept_hours, idle_timeout_s`` [s], ``mitigations, buffer, target``;
    ``usd_per_month`` [$/month], ``p99_ttft_s`` [s], ``over_of_thousand`` (requests of 1,000 over
    the limit, rounded up), ``waited_share`` [1], ``starts``; ``holds, is_found``.
    """
    return pd.DataFrame([_row(trial, reached) for trial in reached.tried])


def _row(trial: Trial, reached: Reached) -> dict[str, object]:
    one = trial.settings
    offer, speed = one.place.offer, one.place.deployed.speed
    return {
        "where": place_in_words(one.place),
        "plan": settings_in_words(one),
        "offer_id": offer.offer_id,
        "base_offer_id": "" if one.base is None else one.base.offer.offer_id,
        "provider": offer.provider,
        "gpu": offer.gpu,
        "gpus_per_replica": one.place.gpus,
        "precision": speed.precision,
        "kept": one.kept,
        "most": one.most,
        "kept_hours": "" if one.hours is None else str(one.hours),
        "idle_timeout_s": one.idle_timeout_s,
        "mitigations": ";".join(item.key for item in one.way.chosen),
        "buffer": one.buffer,
        "target": one.target,
        "usd_per_month": trial.usd_per_month,
        "p99_ttft_s": trial.p99_s,
        "over_of_thousand": trial.over,
        "waited_share": trial.latency.waited_on_start_share,
        "starts": trial.starts,
        "holds": trial.p99_s <= reached.limit_s,
        "is_found": trial is reached.found,
    }


def reach_figure(table: pd.DataFrame, *, limit_s: float) -> go.Figure:
    """Draw `reach_table`: each plan a point, the limit a line, the found plan marked.

    Plans that cost many times the found one are left out: they say nothing about it.

    Parameters
    ----------
    limit_s : float
        On p99 TTFT [s].
    """
    table = table.assign(at_usd=theme.on_log(table["usd_per_month"]))
    found, drawn = table[table["is_found"]], table[np.isfinite(table["p99_ttft_s"])]
    if len(found):
        drawn = drawn[drawn["at_usd"] <= _MOST_TIMES * found["at_usd"].iloc[0]]
    figure = go.Figure()
    for holds, label, colour, symbol in (
        (False, "misses the limit", theme.GREY, "x-thin-open"),
        (True, "holds it", theme.BLUE, "circle"),
    ):
        rows = drawn[(drawn["holds"] == holds) & ~drawn["is_found"]]
        figure.add_trace(
            go.Scatter(
                x=rows["at_usd"],
                y=rows["p99_ttft_s"],
                mode="markers",
                name=label,
                marker={"symbol": symbol, "size": 7, "color": colour},
                text=[_hover(row) for row in rows.itertuples()],
                hovertemplate="%{text}<extra></extra>",
            )
        )
    low_s, high_s = theme.log_range([limit_s, *drawn["p99_ttft_s"]], _PAD)
    low_usd, high_usd = theme.log_range([*drawn["at_usd"]], _PAD)
    if len(found):
        row = next(found.itertuples())
        figure.add_trace(
            go.Scatter(
                x=[row.at_usd],
                y=[row.p99_ttft_s],
                mode="markers",
                name="found",
                marker={"symbol": "star", "size": 16, "color": theme.VERMILION},
                text=[_hover(row)],
                hovertemplate="%{text}<extra></extra>",
            )
        )
    figure.add_hrect(y0=limit_s, y1=high_s, fillcolor=theme.TINT, line_width=0, layer="below")
    figure.add_hline(y=limit_s, line=theme.THRESHOLD)
    figure.add_annotation(
        x=1,
        xref="paper",
        xanchor="right",
        y=np.log10(limit_s),
        yanchor="bottom",
        text=f"limit {spell.seconds(limit_s)}",
        showarrow=False,
        font={"size": theme.TEXT_PX},
    )
    theme.base_layout(figure, height_px=_HEIGHT_PX)
    figure.update_yaxes(
        **theme.time_axis(low_s, high_s),
        title="p99 time to first token",
    )
    return figure.update_xaxes(
        **theme.money_axis(low_usd, high_usd),
        title=theme.money_title(drawn["usd_per_month"]),
    )


def _hover(row: Any) -> str:
    return (
        f"{row.where}<br>{_broken(row.plan)}<br><b>{spell.dollars(row.usd_per_month)}</b> a month, "
        f"p99 <b>{spell.seconds(row.p99_ttft_s)}</b>"
    )


def _broken(words: str, most: int = 60) -> str:
    """Return words on lines of a label."""
    lines = [""]
    for part in words.split(", "):
        if lines[-1] and len(lines[-1]) + len(part) > most:
            lines[-1] += ","
            lines.append(part)
        else:
            lines[-1] += f", {part}" if lines[-1] else part
    return "<br>".join(lines)
