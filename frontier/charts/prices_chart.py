"""What a GPU-hour costs: one mark an offer, in rows of GPUs or of providers, on a log scale."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from frontier import spell
from frontier.charts import theme

_ROW_PX = 36
_NARROW_PX = 92
_MOST_TICKS = 9
_KINDS = {
    "serverless": theme.Mark("Serverless", theme.BLUE, "circle"),
    "dedicated": theme.Mark("By the hour", theme.ORANGE, "square"),
    "reserved": theme.Mark("Reserved", theme.GREEN, "diamond"),
    "spot": theme.Mark("Spot", theme.PINK, "triangle-up"),
}
# Kinds stand above each other in a row, so that equal prices do not hide one another.
_OFFSETS = {"serverless": 0.24, "dedicated": 0.08, "reserved": -0.08, "spot": -0.24}
# Words under the name of a row have to fit beside the marks on a telephone.
_LONGEST_NAME = 18


def prices_chart_table(
    offers: pd.DataFrame, *, by: str, most_rows: int, most_points: int
) -> pd.DataFrame:
    """Return what is drawn of some offers: one row for each price of a GPU, provider and kind.

    Parameters
    ----------
    offers : DataFrame
        One row an offer: gpu, provider, kind, usd_per_gpu_h [$/GPU/h].
    by : {"gpu", "provider"}
        What a row of the chart is.
    most_rows, most_points : int
        Of the chart. Over it, rows with the lowest prices are kept, and of each row and kind the
        lowest, the highest and as many between them as there is room for.

    Returns
    -------
    DataFrame
        Columns row, gpu, provider, kind, usd_per_gpu_h and offers (how many have that price),
        rows of the chart in order of their lowest price, and ``attrs["left_out"]``: how many
        offers are not in it.
    """
    columns = ["gpu", "provider", "kind", "usd_per_gpu_h"]
    table = offers.groupby(columns, as_index=False).size().rename(columns={"size": "offers"})
    table.insert(0, "row", table[by])
    lowest = table.groupby("row")["usd_per_gpu_h"].min().sort_values(kind="stable")
    rows = list(lowest.index[:most_rows])
    table = table[table["row"].isin(rows)]
    table["order"] = table["row"].map({row: order for order, row in enumerate(rows)})
    table = table.sort_values(["order", "usd_per_gpu_h", "kind", "gpu", "provider"])
    if len(table) > most_points:
        groups = table.groupby(["order", "kind"], sort=False)
        room = max(2, most_points // groups.ngroups)
        kept = [
            group.iloc[np.unique(np.linspace(0, len(group) - 1, room).round().astype(int))]
            for _, group in groups
        ]
        table = pd.concat(kept).sort_values(["order", "usd_per_gpu_h"], kind="stable")
    table = table.drop(columns="order").reset_index(drop=True)
    table.attrs["left_out"] = int(len(offers) - table["offers"].sum())
    return table


def prices_chart_figure(table: pd.DataFrame) -> go.Figure:
    """Draw `prices_chart_table`: the name of each row with its lowest price, a mark a price."""
    figure = go.Figure()
    rows = list(dict.fromkeys(table["row"]))
    height_of = {row: len(rows) - 1 - order for order, row in enumerate(rows)}
    for kind, mark in _KINDS.items():
        drawn = table[table["kind"] == kind]
        if drawn.empty:
            continue
        figure.add_trace(
            go.Scatter(
                x=drawn["usd_per_gpu_h"],
                y=drawn["row"].map(height_of) + _OFFSETS[kind],
                mode="markers",
                name=mark.label,
                marker={
                    "color": mark.colour,
                    "symbol": mark.symbol,
                    "size": 9,
                },
                text=[
                    f"<b>{row.provider}, {row.gpu}</b><br>{mark.label}: "
                    f"{spell.dollars(row.usd_per_gpu_h)} a GPU-hour"
                    + (f"<br>{spell.count(row.offers, 'offer')}" if row.offers > 1 else "")
                    for row in drawn.itertuples()
                ],
                hovertemplate="%{text}<extra></extra>",
            )
        )
    ticks, labels = _ticks(table["usd_per_gpu_h"].tolist())
    low, high = math.log10(ticks[0]), math.log10(ticks[-1])
    # A mark on the edge is drawn whole, and its row's line goes on past it.
    pad = (high - low) * 0.04
    shown = _thinned(labels)
    figure.update_xaxes(
        type="log",
        range=[low - pad, high + pad],
        tickvals=ticks,
        ticktext=shown,
        showgrid=True,
        title="$ for a GPU and hour",
    )
    others = "provider" if (table["row"] == table["gpu"]).all() else "gpu"
    # Where all are of one GPU, or of one provider, its name says nothing beside each price.
    told = others if table[others].nunique() > 1 else "kind"
    kinds = {kind: mark.label.lower() for kind, mark in _KINDS.items()}
    lowest = [
        f"{spell.dollars(usd)} {_short(kinds.get(whose, whose))}"
        for usd, whose in table.drop_duplicates("row")[["usd_per_gpu_h", told]].to_numpy()
    ]
    figure.update_yaxes(
        tickvals=[height_of[row] for row in rows],
        ticktext=[
            f"{_short(row)}<br><span style='font-size:11px'>{words}</span>"
            for row, words in zip(rows, lowest, strict=True)
        ],
        range=[-0.8, len(rows) - 0.2],
        showgrid=True,
    )
    return theme.base_layout(figure, height_px=_ROW_PX * len(rows) + _NARROW_PX)


def _ticks(prices: list[float]) -> tuple[list[float], list[str]]:
    """Return ticks of 1, 2 and 5, the first at or below every price, the last at or above."""
    low, high = min(prices), max(prices)
    steps = [
        digit * 10.0**power
        for power in range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
        for digit in (1, 2, 5)
    ]
    first = max(i for i, tick in enumerate(steps) if tick <= low)
    last = min(i for i, tick in enumerate(steps) if tick >= high and i > first)
    ticks, _ = theme.money_ticks(steps[first], steps[last])
    # The title names the unit: bare numbers leave room for every tick on a telephone.
    return ticks, [f"{tick:g}" for tick in ticks]


def _thinned(labels: list[str]) -> list[str]:
    """Return the labels, every second or third of them emptied where there is no room for all."""
    every = math.ceil(len(labels) / _MOST_TICKS)
    return [label if index % every == 0 else "" for index, label in enumerate(labels)]


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
