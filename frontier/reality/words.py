"""What a bill says of a prediction, as sentences."""

from __future__ import annotations

from frontier import spell
from frontier.reality.compare import ALL, HOURS, PRICE, Reality
from frontier.tables import Tables


def headline(found: Reality, tables: Tables) -> str:
    """Return what was paid, what was predicted, and the difference."""
    paid, predicted = found.paid.usd, found.usd
    hours = f"{found.paid.hours:,.0f} hours"
    words = f"{spell.dollars(paid)} was paid, {spell.dollars(predicted)} predicted for {hours}"
    if predicted <= 0:
        return f"{words}."
    share = found.gap_usd / predicted
    if abs(share) <= tables.setting("reality_same"):
        return f"{words}: the same within {spell.percent(tables.setting('reality_same'))}."
    more = "more" if share > 0 else "less"
    return f"{words}: {spell.dollars(abs(found.gap_usd))} {more}, {spell.percent(abs(share))}."


def sentences(found: Reality, tables: Tables) -> tuple[str, ...]:
    """Return what the gap is made of, what would close it, and how the bill was read."""
    told = []
    paid = found.paid
    if found.hours_part_usd is not None and found.price_part_usd is not None:
        told.append(
            f"Of the difference, {_signed(found.hours_part_usd)} is hours (the bill has "
            f"{paid.gpu_h or 0.0:,.1f} GPU-hours, {found.gpu_h:,.1f} were predicted) and "
            f"{_signed(found.price_part_usd)} is price."
        )
    told += _explained(found, tables)
    if paid.rows_read:
        rest = "".join(
            f" + {rows:,} {why} ({spell.dollars(usd)})" for why, (rows, usd) in paid.dropped.items()
        )
        told.append(
            f"{paid.format}: {spell.count(paid.rows_read, 'row')} read = {paid.rows_kept:,} kept"
            f"{rest}."
        )
    if paid.usd_beside:
        told.append(
            f"{spell.dollars(paid.usd_beside)} of tax and network is in no prediction, and left "
            "out of the comparison."
        )
    return (*told, *(f"{sentence}." for sentence in paid.assumed))


def _explained(found: Reality, tables: Tables) -> list[str]:
    """Return what would close the gap, or each part of it, a sentence each."""
    same = tables.setting("reality_same") * max(found.usd, 0.0)
    parts = {
        "it": (found.gap_usd, ALL),
        "the hours": (found.hours_part_usd or 0.0, HOURS),
        "the price": (found.price_part_usd or 0.0, PRICE),
    }
    has_hours = found.hours_part_usd is not None
    told = []
    for what, (usd, explains) in parts.items():
        if (explains == ALL) == has_hours or abs(usd) <= same:
            continue
        likely = [
            f"{spell.lower_first(one.name)} of {_value(one.value, one.unit)} in place of "
            f"{_value(one.predicted, one.unit)}"
            for one in found.candidates
            if one.is_plausible and one.explains == explains
        ]
        if not likely:
            told.append(
                f"No single input explains {what} within what is plausible: several differ, or "
                "the bill is of something else."
            )
        elif len(likely) == 1:
            told.append(f"What would explain {what}: {likely[0]}.")
        else:
            told.append(
                f"Any of these alone would explain {what}: {'; '.join(likely)}. The bill alone "
                "does not tell which."
            )
    return told


def _signed(usd: float) -> str:
    cents = round(abs(usd), 2)
    return f"{'+' if usd >= 0 or not cents else '−'}{spell.dollars(cents)}"


def _value(value: float | None, unit: str) -> str:
    if value is None:
        return "none"
    if unit == "share":
        return spell.percent(value)
    if unit.startswith("$"):
        return f"{spell.dollars(value)}{unit[1:]}"
    return f"{spell.significant(value)} {unit}"
