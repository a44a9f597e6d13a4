"""When two prices are one, and of which mistaken unit a difference has the size."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from frontier.tables import Tables

_DECIMALS = 6


def distinct_prices(prices: Iterable[float], tables: Tables) -> list[float]:
    """Return the prices that differ by more than rounding, the lowest first [$/GPU/h]."""
    kept: list[float] = []
    for price in sorted(rounded_usd(price) for price in prices):
        if not kept or not is_same_price(price, kept[-1], tables):
            kept.append(price)
    return kept


def is_same_price(one: float, other: float, tables: Tables) -> bool:
    """Whether two prices differ by no more than rounding [$/GPU/h]."""
    return math.isclose(one, other, rel_tol=tables.setting("refresh_same_share"))


def closest_price(prices: Sequence[float], to: float) -> float:
    """Return the price that is the smallest factor away from another one [$/GPU/h]."""
    return min(prices, key=lambda price: abs(math.log(price / to)))


def rounded_usd(usd: float) -> float:
    """Return a price with the decimals that data/ has [$/GPU/h]."""
    return round(usd, _DECIMALS) or usd


def unit_slip(ratio: float, sizes: Iterable[int], tables: Tables) -> str | None:
    """Return the mistaken unit that new over old looks like; machines are of ``sizes`` GPUs."""
    off = max(ratio, 1 / ratio)
    slips = {row.label: row.factor for row in tables.unit_slips.values()}
    for gpus in sizes:
        if gpus > 1:
            slips[f"a machine of {gpus} GPUs against one of them"] = float(gpus)
    near = {
        label: abs(math.log(off / factor))
        for label, factor in slips.items()
        if abs(off / factor - 1) <= tables.setting("refresh_slip_tolerance")
    }
    if not near:
        return None
    label = min(near, key=lambda words: near[words])
    return f"{label} (a factor of {slips[label]:g})"
