"""A start as a waterfall: each stage from its beginning to its end, overlaps visible.

Beneath the stages stand the whole start with its p5 to p95, and what a warm replica needs for the
same request, on the same scale. How a stage's seconds came about is told by its pattern and in
words. Stages that do not happen are in the table and not in the figure.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go

from frontier import spell
from frontier.charts import theme
from frontier.start.labels import STAGE_LABELS
from frontier.start.stages import ColdStart

WHOLE, WARM = "whole", "warm"
_LABELS = {**STAGE_LABELS, WHOLE: "Whole start", WARM: "Warm replica"}
_PATTERNS = {"measured": "", "vendor-stated": "-", "paper": "\\", "derived": ".", "assumed": "/"}
_LOW, _HIGH = 5, 95
_LEAST_SHARE = 0.005
_ROW_PX, _AXIS_PX = 38, 45
_MOST_TICKS = 6


def start_waterfall_table(
    start: ColdStart, normals: npt.NDArray[np.float64], *, warm_s: float
) -> pd.DataFrame:
    """Return one row a stage, one for the whole start and one for a warm replica.

    Parameters
    ----------
    start : ColdStart
    normals : ndarray, shape (n, 10)
        Standard normals from which starts are drawn for the ranges.
    warm_s : float
        Time to first token of the same request on a warm replica. [s]

    Returns
    -------
    DataFrame
        stage, label, begin_s, end_s (NaN where not measured); seconds, the stage's own, overlapped
        or not; low_s and high_s, its p5 and p95 over the drawn starts; share of the start's
        wall-clock seconds [1]; basis, sources (tuple of ids), note.
    """
    total_s = start.typical_s
    spans = stage_spans(start)
    along_s = max(end for _, end in spans.values())
    # Measured whole starts replace the sum of the stages, which then share them out.
    stretch = total_s / along_s if along_s > 0 else 1.0
    wall_s = start.wall_s
    rows = []
    for column, stage in enumerate(start.stages):
        known = stage.median_s is not None
        drawn_s = stage.seconds(normals[:, column]) * stretch
        begin_s, end_s = spans[stage.name]
        rows.append(
            {
                "stage": stage.name,
                "label": _LABELS[stage.name],
                "begin_s": begin_s * stretch if known else np.nan,
                "end_s": end_s * stretch if known else np.nan,
                "seconds": (end_s - begin_s) * stretch if known else np.nan,
                "low_s": _percentile(drawn_s, _LOW) if known else np.nan,
                "high_s": _percentile(drawn_s, _HIGH) if known else np.nan,
                "share": wall_s[stage.name] / total_s if known and total_s > 0 else np.nan,
                "basis": stage.basis if known else "not measured",
                "sources": stage.source_ids,
                "note": stage.note,
            }
        )
    drawn_s = start.draw(normals).total_s
    for name, seconds, low_s, high_s in (
        (WHOLE, total_s, _percentile(drawn_s, _LOW), _percentile(drawn_s, _HIGH)),
        (WARM, warm_s, np.nan, np.nan),
    ):
        rows.append(
            {
                "stage": name,
                "label": _LABELS[name],
                "begin_s": 0.0,
                "end_s": seconds,
                "seconds": seconds,
                "low_s": low_s,
                "high_s": high_s,
                "share": seconds / total_s if total_s > 0 else np.nan,
                "basis": "",
                "sources": (),
                "note": "",
            }
        )
    return pd.DataFrame(rows)


def start_waterfall_figure(table: pd.DataFrame) -> go.Figure:
    """Draw `start_waterfall_table`: one bar a row, from where it begins to where it ends."""
    figure = go.Figure()
    rows = table[(table["seconds"] > 0) | table["seconds"].isna()]
    stages = rows[~rows["stage"].isin([WHOLE, WARM]) & rows["seconds"].notna()]
    for basis, pattern in _PATTERNS.items():
        of_basis = stages[stages["basis"] == basis]
        if of_basis.empty:
            continue
        figure.add_trace(
            _bars(of_basis, [theme.STAGE_COLOURS[s] for s in of_basis["stage"]], pattern)
        )
    ends = rows[rows["stage"].isin([WHOLE, WARM])]
    figure.add_trace(_bars(ends, [theme.GREY] * len(ends), ""))
    whole = table[table["stage"] == WHOLE].iloc[0]
    figure.add_trace(
        go.Scatter(
            x=[whole["low_s"], whole["high_s"]],
            y=[whole["label"]] * 2,
            mode="lines+markers",
            line={"color": theme.VERMILION, "width": 2},
            marker={"symbol": "line-ns-open", "size": 14, "line": {"width": 2}},
            showlegend=False,
            hovertemplate="%{x:.3g} s<extra></extra>",
        )
    )
    most_s = max(float(table["end_s"].max()), float(whole["high_s"])) * 1.02
    theme.label_line(
        figure,
        "nine of ten starts",
        float(whole["high_s"]),
        whole["label"],
        xanchor="right",
        yanchor="bottom",
        yshift=8,
    )
    ticks_s, labels = theme.elapsed_ticks(most_s, _MOST_TICKS)
    figure.update_xaxes(range=[0, most_s], tickvals=ticks_s, ticktext=labels)
    figure.update_yaxes(
        categoryorder="array",
        categoryarray=list(rows["label"])[::-1],
        tickvals=list(rows["label"]),
        ticktext=[_words(row) for row in rows.itertuples()],
        range=[-0.6, len(rows) - 0.4],
    )
    figure.update_layout(barmode="overlay", bargap=0.35)
    return theme.base_layout(figure, height_px=_ROW_PX * len(rows) + _AXIS_PX)


def _bars(rows: pd.DataFrame, colours: list[str], pattern: str) -> go.Bar:
    return go.Bar(
        x=rows["seconds"],
        base=rows["begin_s"],
        y=rows["label"],
        orientation="h",
        marker={"color": colours, "pattern": _pattern(pattern), "line": {"width": 0}},
        text=[_hover(row) for row in rows.itertuples()],
        textposition="none",
        hovertemplate="%{text}<extra></extra>",
        showlegend=False,
    )


def _pattern(shape: str) -> dict[str, object]:
    return {
        "shape": shape,
        "fillmode": "overlay",
        "fgcolor": "rgba(255, 255, 255, 0.8)",
        "size": 7,
        "solidity": 0.25,
    }


def _words(row: Any) -> str:
    """Return the label of a row: its name over its seconds, share and basis."""
    name = f"<b>{row.label}</b>"
    if np.isnan(row.seconds):
        return f"{name}<br>not measured"
    told = [spell.seconds(row.seconds)]
    if row.basis:
        # Beside a longer stage it adds nothing to the start.
        whole = spell.percent(round(row.share, 2)) if row.share >= _LEAST_SHARE else "under 1 %"
        share = whole if row.share > 0 else "overlapped"
        told += [share, row.basis]
    return f"{name}<br>{' · '.join(told)}"


def _hover(row: Any) -> str:
    words = f"<b>{row.label}</b>: {spell.seconds(row.seconds)}"
    if np.isfinite(row.low_s):
        low, high = spell.seconds(row.low_s), spell.seconds(row.high_s)
        words += f", {low} to {high} in nine of ten starts"
    return words + (f"<br>{row.note}" if row.note else "")


def stage_spans(start: ColdStart) -> dict[str, tuple[float, float]]:
    """Return when each stage begins and ends: a group starts together and lasts as its longest.

    A stage that was not measured takes no time here. [s]
    """
    own_s = {stage.name: stage.median_s or 0.0 for stage in start.stages}
    group_of = {name: group for group in start.overlaps for name in group}
    spans: dict[str, tuple[float, float]] = {}
    clock_s = 0.0
    for name in own_s:
        group = group_of.get(name, (name,))
        if name == group[0]:
            spans |= {member: (clock_s, clock_s + own_s[member]) for member in group}
            clock_s += max(own_s[member] for member in group)
    return spans


def _percentile(values: npt.NDArray[np.float64], q: float) -> float:
    return float(np.percentile(values, q, method="inverted_cdf"))
