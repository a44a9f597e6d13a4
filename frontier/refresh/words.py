"""A proposal as people read it: lines of text, records of a table, JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from frontier import spell
from frontier.refresh.items import (
    CHANGED,
    CONFIRMED,
    GONE,
    NEW,
    UNMATCHED,
    Item,
    Proposal,
    rows_in_words,
)

_TITLES = {
    CHANGED: "Changed",
    CONFIRMED: "Confirmed, the same price read again",
    NEW: "New",
    GONE: "Gone, not listed: sold out, or sold no more",
    UNMATCHED: "Unmatched, a price of no offer here",
}
_COLUMNS = (
    "what",
    "offer_id",
    "provider",
    "product",
    "kind",
    "gpu",
    "region",
    "old_usd_per_gpu_h",
    "new_usd_per_gpu_h",
    "move_percent",
    "old_date",
    "new_date",
    "accept",
    "reason",
    "where",
)
_WIDEST = 30


def in_words(proposal: Proposal, *, everything: bool = False) -> Iterator[str]:
    """Yield the lines that are printed.

    Parameters
    ----------
    everything : bool
        Each confirmed and unmatched row, too, and not only how many there are and why.
    """
    for name, kind in proposal.files.items():
        yield f"Read {name} ({kind})"
    yield f"Prices without a date of their own are dated {proposal.as_of}."
    for what, title in _TITLES.items():
        items = proposal.of(what)
        if not items:
            continue
        yield ""
        yield f"{title}: {len(items):,}"
        if what == UNMATCHED and not everything:
            yield from _by_reason(items)
        elif what != CONFIRMED or everything:
            for item in items:
                yield f"  {_line(item)}"
                for words in (*item.asks, item.reason) if what != GONE else ():
                    if words:
                        yield f"      {words}"
    for title, parts in (("Left out", proposal.left_out), ("Taken, and strange", proposal.remarks)):
        if parts:
            yield ""
            yield f"{title}:"
            for part in parts:
                rows = f", {rows_in_words(part.rows)}" if part.rows else ""
                yield f"  {part.file}{rows}: {part.reason.removeprefix('Left out, ')}"


def _by_reason(items: Sequence[Item]) -> Iterator[str]:
    by_reason: dict[str, list[Item]] = {}
    for item in items:
        by_reason.setdefault(item.reason, []).append(item)
    for reason, found in by_reason.items():
        yield f"  {reason} ({spell.count(len(found), 'price')})"
        for item in found[:3]:
            yield f"      {item.where}: {item.provider} {item.product}, {item.gpu}"


def _line(item: Item) -> str:
    old, new = _usd(item.old_usd), "open" if item.prices else _usd(item.new_usd)
    move = "" if item.move is None else f"{item.move:+.1%}"
    dates = f"{'' if item.old_date is None else str(item.old_date):<10} → {item.new_date}"
    name = item.offer_id or f"{item.provider} {item.product}"
    return f"{name:<{_WIDEST}} {old:>9} → {new:>9}  {move:>9}  {dates}  {item.where}"


def _usd(price: float | None) -> str:
    return "none" if price is None else f"{price:.6g}"


def records(proposal: Proposal) -> Iterator[dict[str, Any]]:
    """Yield one record for each line of a proposal, rows that gave no price among them."""
    for item in proposal.items:
        yield {
            "what": item.what,
            "offer_id": item.offer_id,
            "provider": item.provider,
            "product": item.product,
            "kind": item.kind,
            "gpu": item.gpu,
            "region": item.region,
            "old_usd_per_gpu_h": item.old_usd,
            "new_usd_per_gpu_h": item.new_usd,
            "move_percent": None if item.move is None else round(100 * item.move, 2),
            "old_date": item.old_date and item.old_date.isoformat(),
            "new_date": item.new_date and item.new_date.isoformat(),
            "accept": "needed" if item.asks else ("" if item.what == UNMATCHED else "not needed"),
            "reason": "; ".join((*item.asks, item.reason) if item.reason else item.asks),
            "where": item.where,
        }
    for part in proposal.left_out:
        where = f"{part.file} {rows_in_words(part.rows)}" if part.rows else part.file
        blank = dict.fromkeys(_COLUMNS)
        yield blank | {"what": UNMATCHED, "reason": part.reason, "where": where, "accept": ""}


def as_json(proposal: Proposal) -> bytes:
    """Return a proposal as JSON."""
    content = {
        "as_of": proposal.as_of.isoformat(),
        "files": dict(proposal.files),
        "proposal": list(records(proposal)),
        "remarks": [
            {"file": part.file, "rows": list(part.rows), "reason": part.reason}
            for part in proposal.remarks
        ],
    }
    return json.dumps(content, ensure_ascii=False, indent=2).encode()
