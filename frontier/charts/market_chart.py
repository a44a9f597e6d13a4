"""The market on one chart, and its cheapest offers as bars: which provider, which GPU.

Dollars a month against p99 for every offer that can run the model: the efficient line over all
ticked offers bold, each ticked provider's own steps thin and named at their end, the rest grey.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from frontier import spell
from frontier.billing import LINES
from frontier.charts import theme
from frontier.economics import efficient
from frontier.market import Choice, Market, Row
from frontier.plans.families import FAMILIES
from frontier.tables import OWN_SOURCE

_HEIGHT_PX = 440
# About what the plot measures on pages of 1280 and of 400 px: labels are kept apart on both.
_WIDE_PX, _NARROW_PX = (460, 350), (270, 350)
_CHARACTER_PX, _LINE_PX = 7.0, 15
# Between two names on one line, or they would read as one.
_GAP_PX = 6
# Plans that wait longer than so many times the limit stand at the upper edge, with an arrow.
_CLIPPED_AT = 100
# How much farther from its point a label may stand to be clear of a thin line.
_CROSSED_PX = 24
# More names have no room, and more points no browser draws in a moment.
_MOST_NAMES, _MOST_POINTS = 60, 4000
_BAR_PX, _MOST_BARS = 30, 12
# What is left to the bars where names and amounts take nearly all.
_LEAST_BARS_PX = 36
_NAMED_SHARE = 0.16
UNNAMED, UNDRAWN = "unnamed", "undrawn"
"""In the meta of `market_figure`: how many providers have no name, how many plans no point."""
_CUT_AT = 3
# Whether to the left, how far from the point and how far below it [px].
_Place = tuple[bool, int, int]
_NEAR = (0, -16, 16, -28, 28, -40, 40, -56, 56, -72, 72, -90, 90)
# Far to the side only well above or below, or it would seem to name what it stands beside.
_PLACES = tuple((across, lower) for across in (8, 36, 64) for lower in _NEAR[across > 8 and 5 :])


def market_points(market: Market, ticked: Collection[str]) -> pd.DataFrame:
    """Return one row a point: the efficient plans of each offer.

    Parameters
    ----------
    ticked : collection of str
        Offers that are looked at; the others are drawn grey.

    Returns
    -------
    DataFrame
        offer_id, provider, name, kind, plan_id, label, family, usd_per_month, p99_ttft_s, ticked,
        on_line (efficient among all ticked), on_steps (among the ticked of its provider); the
        ticked last, so that they are drawn over the others.
    """
    rows = [
        {
            "offer_id": row.offer.offer_id,
            "provider": row.offer.provider,
            "name": offer_name(row, step),
            "kind": row.offer.kind,
            "plan_id": step.plan.plan_id,
            "label": step.policy,
            "family": step.plan.family.key,
            "usd_per_month": step.usd_per_month,
            "p99_ttft_s": step.p99_s,
            "ticked": row.offer.offer_id in ticked,
        }
        for row in market.rows
        for step in row.steps
        if np.isfinite(step.p99_s)
    ]
    columns = [*(rows[0] if rows else ()), "on_line", "on_steps"]
    table = pd.DataFrame(rows, columns=columns)
    table[["on_line", "on_steps"]] = False
    for name, part in (
        ("on_line", [table[table["ticked"]]] if rows else []),
        ("on_steps", [p for _, p in table[table["ticked"]].groupby("provider")] if rows else []),
    ):
        for points in part:
            good = efficient(points["usd_per_month"].round(2), points["p99_ttft_s"].round(3))
            table.loc[points.index[good], name] = True
    return table.sort_values("ticked", kind="stable", ignore_index=True) if rows else table


def offer_name(row: Row, choice: Choice) -> str:
    """Return an offer in few words: "AWS 2 × L40S", "RunPod L4, community hosts"."""
    offer = row.offer
    words = f"{offer.provider} {f'{choice.gpus} × ' if choice.gpus > 1 else ''}{_short(offer.gpu)}"
    if offer.kind in ("spot", "reserved"):
        words += f", {offer.kind}"
    if row.community:
        words += ", community"
    return f"{words}, yours" if offer.source_id == OWN_SOURCE else words


def market_figure(
    table: pd.DataFrame, *, limit_s: float, focused: Collection[str] = (), best: str = ""
) -> go.Figure:
    """Draw `market_points`.

    Parameters
    ----------
    limit_s : float
        On p99 TTFT, drawn as a line. [s]
    focused : collection of str
        Offers that are in focus; their efficient plans are ringed.
    best : str
        The offer whose cheapest plan within the limit is named.
    """
    figure = go.Figure()
    top_s = min(float(table["p99_ttft_s"].max()), _CLIPPED_AT * limit_s)
    shown = table.assign(
        clipped=table["p99_ttft_s"] > top_s,
        at_s=np.minimum(table["p99_ttft_s"], top_s),
        at_usd=theme.on_log(table["usd_per_month"]),
    )
    # What another plan of its provider beats, or what nobody looks at, is background.
    steps = shown[shown["on_steps"]]
    framed = steps if len(steps) else shown
    low_s, high_s = theme.log_range([*framed["at_s"], limit_s], pad=0.1)
    low_usd, high_usd = theme.log_range([*framed["at_usd"]], pad=0.04)
    rest = shown[~shown["on_steps"] & ~shown["clipped"]]
    undrawn = max(0, len(rest) - max(0, _MOST_POINTS - len(steps)))
    if undrawn:
        kept = np.linspace(0, len(rest) - 1, len(rest) - undrawn).astype(np.int64)
        rest = rest.sort_values("usd_per_month").iloc[kept]
    # WebGL points cannot be reached by a screen reader; SVG carries some thousand of them.
    if len(rest):
        figure.add_trace(_points(rest, colour=theme.GREY, size_px=4, opacity=0.5))
    drawn = steps[~steps["clipped"]]
    for _, own in drawn.groupby("provider"):
        figure.add_trace(_line(own.sort_values("usd_per_month"), width_px=1, colour=theme.GREY))
    line = drawn[drawn["on_line"]].sort_values("usd_per_month")
    figure.add_trace(_line(line, width_px=3.5, colour=theme.BLUE))
    for (key, on_line), part in steps.groupby(["family", "on_line"], sort=False):
        family = FAMILIES[key]
        figure.add_trace(
            _points(
                part,
                colour=family.colour,
                size_px=11 if on_line else 6,
                opacity=1.0,
                symbol=family.symbol,
            )
        )
    _add_rings(figure, shown[shown["offer_id"].isin(focused)], limit_s)
    if high_s > limit_s:
        figure.add_hrect(y0=limit_s, y1=high_s, fillcolor=theme.TINT, line_width=0, layer="below")
    figure.add_hline(y=limit_s, line=theme.THRESHOLD)
    _add_names(figure, steps, (low_usd, high_usd), (low_s, high_s), limit_s, best)
    figure.update_yaxes(
        **theme.time_axis(low_s, high_s),
        title="p99 time to first token",
    )
    figure.update_xaxes(
        **theme.money_axis(low_usd, high_usd),
        title=theme.money_title(framed["usd_per_month"]),
    )
    theme.base_layout(figure, height_px=_HEIGHT_PX)
    return figure.update_layout(showlegend=False, meta={**figure.layout.meta, UNDRAWN: undrawn})


def ranked_table(market: Market, ticked: Collection[str], most: int = _MOST_BARS) -> pd.DataFrame:
    """Return the cheapest ticked offers within the limit: one row an offer, its bill by line.

    Columns: offer_id, name, label, usd_per_month, p99_ttft_s, and each of `billing.LINES`.
    """
    rows = [
        {
            "offer_id": row.offer.offer_id,
            "name": offer_name(row, row.best),
            "label": row.best.policy_in_short,
            "usd_per_month": row.best.usd_per_month,
            "p99_ttft_s": row.best.p99_s,
            **row.best.usd_by_line,
        }
        for row in market.holding
        if row.best is not None and row.offer.offer_id in ticked
    ]
    columns = ["offer_id", "name", "label", "usd_per_month", "p99_ttft_s", *LINES]
    return pd.DataFrame(rows[:most], columns=columns)


def ranked_figure(table: pd.DataFrame, *, focused: Collection[str] = ()) -> go.Figure:
    """Draw `ranked_table` as bars, the cheapest on top, each part of a bill named where it fits."""
    figure = go.Figure()
    names = [
        f"{'▸ ' if row.offer_id in focused else ''}<b>{row.name}</b><br>{row.label}"
        for row in table.itertuples()
    ]
    at = list(range(len(table)))
    widest = float(table["usd_per_month"].max()) if len(table) else 1.0
    # One that costs many times the others would leave these without a length: it is cut.
    cut = _CUT_AT * float(table["usd_per_month"].median()) if len(table) else 1.0
    widest = min(widest, cut)
    drawn_so_far = np.zeros(len(table))
    for part in LINES:
        usd = table[part].to_numpy(dtype=np.float64)
        if not (usd > 0).any():
            continue
        drawn = np.clip(widest - drawn_so_far, 0.0, np.maximum(usd, 0.0))
        drawn_so_far = drawn_so_far + drawn
        colour = theme.BILL_COLOURS.get(part, theme.GREY)
        figure.add_trace(
            go.Bar(
                x=drawn,
                y=at,
                orientation="h",
                marker={"color": colour, "line": {"width": 0}},
                customdata=table["offer_id"],
                text=[part if value >= _NAMED_SHARE * widest else "" for value in drawn],
                textposition="inside",
                insidetextanchor="middle",
                textfont={"color": theme.ink_on(colour), "size": 12},
                textangle=0,
                hovertemplate=[
                    f"{name}<br>{part}: {spell.dollars(value)} of {spell.dollars(all_)}"
                    "<extra></extra>"
                    for name, value, all_ in zip(
                        table["name"], usd, table["usd_per_month"], strict=True
                    )
                ],
                selected={"marker": {"opacity": 1}},
                unselected={"marker": {"opacity": 1}},
            )
        )
    amounts = [
        spell.dollars(usd) + (" →" if usd > widest else "") for usd in table["usd_per_month"]
    ]
    for place, usd, words in zip(at, table["usd_per_month"], amounts, strict=True):
        figure.add_annotation(
            x=min(usd, widest),
            y=place,
            text=words,
            showarrow=False,
            xanchor="left",
            xshift=4,
            font={"size": 12},
        )
    figure.update_layout(barmode="stack", bargap=0.25)
    figure.update_yaxes(
        tickvals=at,
        ticktext=names,
        range=[len(table) - 0.4, -0.6],
        tickfont={"size": 12},
    )
    figure.update_xaxes(visible=False, range=[0, widest])
    theme.base_layout(figure, height_px=max(3, len(table)) * (_BAR_PX + 5) + 24)
    # The amounts stand in the margin at whatever width: of a narrow chart a share is too little.
    room_px = 8 + _CHARACTER_PX * max((len(words) for words in amounts), default=0)
    return figure.update_layout(
        showlegend=False, margin={"r": room_px}, minreducedwidth=_LEAST_BARS_PX
    )


def _points(
    points: pd.DataFrame, *, colour: str, size_px: int, opacity: float, symbol: str = "circle"
) -> go.Scatter:
    return go.Scatter(
        x=points["at_usd"],
        y=points["at_s"],
        mode="markers",
        marker={
            "color": colour,
            "symbol": ["triangle-up" if clipped else symbol for clipped in points["clipped"]],
            "size": size_px,
            "opacity": opacity,
            "line": {"width": 0},
        },
        customdata=points["offer_id"],
        text=[_hover(row) for row in points.itertuples()],
        hovertemplate="%{text}<extra></extra>",
        selected={"marker": {"opacity": opacity}},
        unselected={"marker": {"opacity": opacity}},
        showlegend=False,
    )


def _hover(row: Any) -> str:
    waits = spell.seconds(row.p99_ttft_s)
    return (
        f"<b>{row.name}</b><br>{row.label}<br>{spell.dollars(row.usd_per_month)} a month, "
        f"p99 {waits}{', beyond the chart' if row.clipped else ''}"
    )


def _line(points: pd.DataFrame, *, width_px: float, colour: str) -> go.Scatter:
    return go.Scatter(
        x=points["at_usd"],
        y=points["at_s"],
        mode="lines",
        line={"shape": "hv", "width": width_px, "color": colour},
        hoverinfo="skip",
        showlegend=False,
    )


@dataclass(frozen=True, slots=True)
class _Plot:
    """What is taken of a plot of some size: boxes of left, upper, right and lower edge [px].

    What is thin stands under a label only where there is no other place for it.
    """

    size_px: tuple[int, int]
    usd_range: tuple[float, float]
    s_range: tuple[float, float]
    taken: list[tuple[float, ...]] = field(default_factory=list)
    thin: list[tuple[float, ...]] = field(default_factory=list)

    def spot(self, usd: float, wait_s: float) -> tuple[float, float]:
        """Return where a point lies, from the left and from above [px]."""
        across = np.log(usd / self.usd_range[0]) / np.log(self.usd_range[1] / self.usd_range[0])
        up = np.log(wait_s / self.s_range[0]) / np.log(self.s_range[1] / self.s_range[0])
        return float(across * self.size_px[0]), float((1 - up) * self.size_px[1])

    def take(self, steps: pd.DataFrame, limit_s: float, label: str) -> None:
        """Keep free what the chart draws: the limit with its label, the points, the bold line."""
        limit_at = self.spot(self.usd_range[1], limit_s)[1]
        right = self.size_px[0]
        self.taken.append((right - _CHARACTER_PX * len(label), limit_at - 16, right, limit_at))
        self.taken.append((0.0, limit_at - 2, right, limit_at + 2))
        for usd, wait_s in zip(steps["at_usd"], steps["at_s"], strict=True):
            across, down = self.spot(usd, wait_s)
            self.taken.append((across - 6, down - 6, across + 6, down + 6))
        drawn = steps[~steps["clipped"]].sort_values("usd_per_month")
        self.taken.extend(self._steps(drawn[drawn["on_line"]], 3))
        for _, own in drawn.groupby("provider"):
            self.thin.extend(self._steps(own, 1))

    def _steps(self, points: pd.DataFrame, half_px: float) -> list[tuple[float, ...]]:
        """Return the boxes of a line that goes right and then down, from point to point."""
        corners = [self.spot(*at) for at in zip(points["at_usd"], points["at_s"], strict=True)]
        boxes: list[tuple[float, ...]] = []
        for (left, upper), (end, lower) in itertools.pairwise(corners):
            boxes.append((left, upper - half_px, end, upper + half_px))
            boxes.append((end - half_px, upper, end + half_px, lower))
        return boxes

    def places(self, words: str, usd: float, wait_s: float) -> dict[_Place, tuple[float, ...]]:
        """Return the free places of a label by preference, each with the box that it takes."""
        across, down = self.spot(usd, wait_s)
        width = _CHARACTER_PX * len(words) + _GAP_PX
        boxes: dict[_Place, tuple[float, ...]] = {}
        for is_left, (right, lower) in itertools.product((False, True), _PLACES):
            left = across - right - width if is_left else across + right
            box = (left, down + lower - _LINE_PX / 2, left + width, down + lower + _LINE_PX / 2)
            within = box[2] <= self.size_px[0] and box[3] <= self.size_px[1]
            if within and left >= 0 and box[1] >= 0:
                boxes[is_left, right, lower] = box
        taken = _touch(list(boxes.values()), self.taken)
        return {
            place: boxes[place]
            for place, is_taken in zip(boxes, taken, strict=True)
            if not is_taken
        }

    def crosses(self, box: tuple[float, ...]) -> bool:
        """Return whether a thin line runs through a label."""
        return bool(_touch([box], self.thin)[0])


def _add_names(
    figure: go.Figure,
    steps: pd.DataFrame,
    usd_range: tuple[float, float],
    s_range: tuple[float, float],
    limit_s: float,
    best: str,
) -> None:
    """Name the winner, and each ticked provider at the end of its steps where there is room.

    A name that is free on a wide page only is among the figure's `theme.WIDE_ONLY`.
    """
    label = f"limit {spell.seconds(limit_s)}"
    wide, narrow = (_Plot(size_px, usd_range, s_range) for size_px in (_WIDE_PX, _NARROW_PX))
    for plot in (wide, narrow):
        plot.take(steps, limit_s, label)
    figure.add_annotation(
        x=1,
        xref="paper",
        xanchor="right",
        y=np.log10(limit_s),
        yanchor="bottom",
        text=label,
        showarrow=False,
        font={"size": 12},
    )

    wide_only: list[int] = []

    def put(
        words: str, usd: float, wait_s: float, *, bold: bool = False, on_phones: bool = False
    ) -> bool:
        on_wide, on_narrow = (plot.places(words, usd, wait_s) for plot in (wide, narrow))
        on_both = [place for place in on_wide if place in on_narrow]
        place = min(
            on_both,
            key=lambda place: (
                place[1]
                + abs(place[2])
                + _CROSSED_PX * (wide.crosses(on_wide[place]) + narrow.crosses(on_narrow[place]))
            ),
            default=None if on_phones else next(iter(on_wide), None),
        )
        if place is None:
            return False
        wide.taken.append(on_wide[place])
        if place in on_narrow:
            narrow.taken.append(on_narrow[place])
        else:
            wide_only.append(len(figure.layout.annotations))
        is_left, right, lower = place
        figure.add_annotation(
            x=np.log10(usd),
            y=np.log10(wait_s),
            text=f"<b>{words}</b>" if bold else words,
            ax=-right if is_left else right,
            ay=lower,
            xanchor="right" if is_left else "left",
            arrowhead=0,
            # A label beside its point needs no line to it.
            arrowwidth=0.7 if abs(lower) > _LINE_PX + 1 or right > _LINE_PX else 0.1,
            arrowcolor=theme.GREY,
            standoff=4,
            font={"size": 12},
        )
        return True

    within = steps[(steps["offer_id"] == best) & (steps["p99_ttft_s"] <= limit_s)]
    if len(within):
        first = within.sort_values("usd_per_month").iloc[0]
        cost = spell.dollars(first["usd_per_month"])
        at, whole = (first["at_usd"], first["at_s"]), f"{first['name']}, {cost}"
        if not put(whole, *at, bold=True, on_phones=True):
            short = f"{first['provider']}, {cost}"
            if not put(short, *at, bold=True, on_phones=True):
                put(whole, *at, bold=True)
    ends = steps.sort_values("usd_per_month").groupby("provider").tail(1)
    names = [(str(row.provider), float(row.at_usd), float(row.at_s)) for row in ends.itertuples()]
    # No chart has room for more, and to look for it takes the square of their number.
    unnamed = max(0, len(names) - _MOST_NAMES)
    del names[_MOST_NAMES:]
    # The one with the fewest places left is next, or none would be left for it.
    while names:
        free = [len(wide.places(*name).keys() & narrow.places(*name).keys()) for name in names]
        unnamed += not put(*names.pop(free.index(min(free))))
    figure.update_layout(meta={theme.WIDE_ONLY: wide_only, UNNAMED: unnamed})


def _add_rings(figure: go.Figure, points: pd.DataFrame, limit_s: float) -> None:
    """Ring the cheapest plan within the limit of each of these offers, else its fastest."""
    order = points.assign(over=points["p99_ttft_s"] > limit_s).sort_values(
        ["over", "usd_per_month", "p99_ttft_s"]
    )
    within, over = order[~order["over"]], order[order["over"]].sort_values("p99_ttft_s")
    first = pd.concat([within, over]).drop_duplicates("offer_id")
    figure.add_trace(
        go.Scatter(
            x=first["at_usd"],
            y=first["at_s"],
            mode="markers",
            marker={
                "symbol": "circle-open",
                "size": 18,
                "color": theme.VERMILION,
                "line": {"width": 2},
            },
            hoverinfo="skip",
            showlegend=False,
        )
    )


def _touch(boxes: Sequence[tuple[float, ...]], others: Sequence[tuple[float, ...]]) -> NDArray[Any]:
    """Return of each box whether any of the others covers a part of it."""
    left, upper, right, lower = np.reshape(np.array(boxes, dtype=np.float64), (-1, 4)).T[..., None]
    begins, top, ends, bottom = np.reshape(np.array(others, dtype=np.float64), (-1, 4)).T
    touching = (left < ends) & (begins < right) & (upper < bottom) & (top < lower)
    found: NDArray[Any] = touching.any(axis=1)
    return found


def _short(gpu: str) -> str:
    """Return the name of a GPU without the memory that it always has."""
    return gpu.removesuffix("-80GB").replace("-SXM", "").replace("-", " ")
