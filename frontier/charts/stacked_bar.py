"""One bar cut into its parts: where the money goes, where the seconds of a start go."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

from frontier.charts import theme

_BAR_PX = 62
_LEGEND_ROW_PX = 20
_LEGEND_COLUMNS = 2
# Longer words in the legend take a whole row of a narrow card.
_MOST_LETTERS = 26
_NAMED_SHARE = 0.09


def stacked_bar_table(
    parts: Mapping[str, float], labels: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Return the parts of a whole that are above zero, in their order, with their shares.

    Parameters
    ----------
    parts : mapping of str to float
        Amount by part; all in one unit.
    labels : mapping of str to str, optional
        Words to show in place of a part's name.

    Returns
    -------
    DataFrame
        part, label, amount, share [1].
    """
    labels = labels or {}
    kept = {part: float(amount) for part, amount in parts.items() if amount > 0}
    total = sum(kept.values())
    return pd.DataFrame(
        {
            "part": list(kept),
            "label": [labels.get(part, part) for part in kept],
            "amount": list(kept.values()),
            "share": [amount / total for amount in kept.values()],
        }
    )


def stacked_bar_figure(
    table: pd.DataFrame, *, colours: Mapping[str, str], shown: list[str]
) -> go.Figure:
    """Draw `stacked_bar_table` as one horizontal bar.

    Parameters
    ----------
    table : DataFrame
        From `stacked_bar_table`.
    colours : mapping of str to str
        Colour by part.
    shown : list of str
        Each amount as it is written for people, row by row.
    """
    figure = go.Figure()
    for row, words in zip(table.itertuples(), shown, strict=True):
        figure.add_trace(
            go.Bar(
                x=[row.amount],
                y=[""],
                orientation="h",
                name=f"{row.label} {words}",
                marker={"color": colours.get(row.part, theme.GREY), "line": {"width": 0}},
                # The legend has them all; here stand those that there is room for.
                text=[words if row.share >= _NAMED_SHARE else ""],
                textposition="inside",
                insidetextanchor="middle",
                textfont={"color": theme.ink_on(colours.get(row.part, theme.GREY)), "size": 12},
                textangle=0,
                hovertemplate=f"{row.label}: {words} ({row.share:.0%})<extra></extra>",
            )
        )
    figure.update_layout(barmode="stack", bargap=0.2)
    # A card is narrow: room for two entries a row, so that the legend never scrolls.
    longest = max(
        len(f"{label} {words}") for label, words in zip(table["label"], shown, strict=True)
    )
    columns = _LEGEND_COLUMNS if longest <= _MOST_LETTERS else 1
    legend_px = _LEGEND_ROW_PX * -(-len(table) // columns)
    theme.base_layout(figure, height_px=_BAR_PX + legend_px)
    figure.update_layout(
        legend={
            "orientation": "h",
            "yanchor": "top",
            "y": -4 / _BAR_PX,
            "x": 0,
            "traceorder": "normal",
            "font": {"size": theme.TEXT_PX},
            # Columns of one width stand under each other, however long their words.
            "entrywidth": 1 / columns,
            "entrywidthmode": "fraction",
            # Half the figure unless told otherwise, and the rest behind a scroll bar.
            "maxheight": 1.0,
        },
        margin={"l": 0, "r": 0, "t": 2, "b": legend_px + 4},
    )
    figure.update_xaxes(visible=False, range=[0, float(table["amount"].sum())])
    figure.update_yaxes(visible=False)
    return figure
