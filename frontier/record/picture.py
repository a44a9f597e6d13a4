"""The chart of a record as SVG: dollars a month against p99, the plans of its table by name.

Every plan is a faint point, efficient ones are darker, those of the table are ringed and named.
"""

from __future__ import annotations

import html
import math
from dataclasses import dataclass

import numpy as np

from frontier import spell
from frontier.finance import Column
from frontier.record.markup import brief
from frontier.report import Report

_WIDTH, _HEIGHT, _MOST_TICKS = 430, 200, 5
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 10, 12, 30
_LINE_PX, _RING_PX, _BESIDE_PX, _NAME, _CHARACTER_PX = 12, 7, 8, 34, 5.3
_BLUE, _FAINT, _LIMIT, _RULE = "#0072b2", "#b9cfe0", "#b34700", "#e5e5e5"


@dataclass(frozen=True, slots=True)
class _Axes:
    """From dollars and seconds to where they are drawn."""

    most_usd: float
    low: float
    high: float

    def x(self, usd: float) -> float:
        return _LEFT + usd / self.most_usd * (_WIDTH - _LEFT - _RIGHT)

    def y(self, wait_s: float) -> float:
        share = (self.high - math.log10(wait_s)) / (self.high - self.low)
        return _TOP + share * (_HEIGHT - _TOP - _BOTTOM)


def picture(report: Report) -> str:
    """Return the chart with its heading and what it leaves out."""
    cost = report.plans["usd_per_month"].to_numpy(dtype=float)
    wait = report.plans["p99_ttft_s"].to_numpy(dtype=float)
    drawn = np.isfinite(cost) & np.isfinite(wait) & (wait > 0)
    named = [one for one in report.columns if _can_be_drawn(one)]
    heading = "<h2>All plans: a month against the p99 time to first token</h2>"
    if not drawn.any():
        return f"{heading}<p>No plan can be drawn.</p>"
    limit_s = report.slo_p99_ttft_s
    waits = [*wait[drawn], limit_s, *(one.outcome.latency.p99_ttft_s for one in named)]
    costs = [*cost[drawn], *(one.figures.usd_per_month for one in named)]
    axes = _Axes(
        max(costs) * 1.05 or 1.0, math.log10(min(waits)) - 0.12, math.log10(max(waits)) + 0.12
    )
    efficient = report.plans["efficient"].to_numpy(dtype=bool)
    points = "".join(
        f'<circle cx="{axes.x(cost[at]):.1f}" cy="{axes.y(wait[at]):.1f}" '
        f'r="{3.4 if efficient[at] else 2.2}" fill="{_BLUE if efficient[at] else _FAINT}"/>'
        # The efficient ones last, on top.
        for at in sorted(np.flatnonzero(drawn), key=lambda at: bool(efficient[at]))
    )
    words = (
        f"{spell.count(int(drawn.sum()), 'plan')}; {int((efficient & drawn).sum())} beaten by no "
        f"other on both; named: {', '.join(one.figures.label for one in named)}"
    )
    missing = int((~drawn).sum()) + len(report.columns) - len(named)
    note = f" {spell.count(missing, 'plan')} without a finite p99 not drawn." if missing else ""
    return (
        f'{heading}<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{html.escape(words)}">{_ruled(axes, limit_s, report)}{points}'
        f'{_names(axes, named)}</svg><p class="small">Dark: no other plan is better on both.{note}'
        "</p>"
    )


def _can_be_drawn(column: Column) -> bool:
    p99_s = column.outcome.latency.p99_ttft_s
    return math.isfinite(column.figures.usd_per_month) and math.isfinite(p99_s) and p99_s > 0


def _ruled(axes: _Axes, limit_s: float, report: Report) -> str:
    """Return the axes: dollars below, seconds at the left, the limit across."""
    e, currency = html.escape, report.company.currency
    base, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    parts = []
    most = axes.most_usd * currency.per_usd
    step = nice_step(most)
    for amount in np.arange(0.0, most, step).tolist():
        words = spell.dollars(amount).removesuffix(".00")
        words = words.replace("$", "") if currency.is_foreign else words
        parts.append(
            f'<text x="{axes.x(amount / currency.per_usd):.1f}" y="{base + 13}" '
            f'text-anchor="middle">{e(words)}</text>'
        )
    from frontier.charts.theme import time_ticks

    for wait_s, words in zip(*time_ticks(10**axes.low, 10**axes.high, _MOST_TICKS), strict=True):
        y = axes.y(wait_s)
        parts.append(
            f'<line x1="{_LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="{_RULE}"/>'
            f'<text x="{_LEFT - 5}" y="{y + 3.5:.1f}" text-anchor="end">{e(words)}</text>'
        )
    y = axes.y(limit_s)
    parts.append(
        f'<line x1="{_LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="{_LIMIT}" '
        f'stroke-dasharray="5 4"/><text x="{right}" y="{y - 3:.1f}" text-anchor="end" '
        f'style="fill:{_LIMIT}">limit {e(spell.seconds(limit_s))}</text>'
        f'<line x1="{_LEFT}" x2="{right}" y1="{base}" y2="{base}" stroke="#8a97a3"/>'
        f'<text x="{right}" y="{base + 26}" text-anchor="end">{e(currency.code)} a month</text>'
    )
    return "".join(parts)


def _names(axes: _Axes, named: list[Column]) -> str:
    """Return the named points: a ring, a name beside it that covers no other ring or name."""
    at = [
        (axes.x(one.figures.usd_per_month), axes.y(one.outcome.latency.p99_ttft_s)) for one in named
    ]
    taken = [(x - _RING_PX, x + _RING_PX, y) for x, y in at]
    rings, names = [], []
    for (x, y), column in sorted(zip(at, named, strict=True), key=lambda one: -one[0][1]):
        words = brief(" · ".join(column.roles), _NAME)
        wide = len(words) * _CHARACTER_PX
        to_the_left = x + _BESIDE_PX + wide > _WIDTH - _RIGHT
        begin = x - _BESIDE_PX - wide if to_the_left else x + _BESIDE_PX
        level = y
        while any(
            abs(level - other) < _LINE_PX and begin < last and first < begin + wide
            for first, last, other in taken
        ):
            level -= _LINE_PX / 2
        taken.append((begin, begin + wide, level))
        rings.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5.5" fill="none" stroke="#1a1a1a" '
            'stroke-width="1.3"/>'
        )
        names.append(
            f'<text class="name" x="{begin + wide if to_the_left else begin:.1f}" '
            f'y="{level + 3.5:.1f}" text-anchor="{"end" if to_the_left else "start"}">'
            f"{html.escape(words)}</text>"
        )
    return "".join(names + rings)


def nice_step(most: float) -> float:
    """Return a step of 1, 2 or 5 times a power of ten that divides an axis in five or fewer."""
    rough = most / 5
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
