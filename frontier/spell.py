"""Numbers spelled as people read them: three significant digits, the unit beside the number.

Seconds and dollars come in; words go out. No other module rounds for the screen.
"""

from __future__ import annotations

import datetime as dt
import math

from frontier.units import SECONDS_PER_DAY, SECONDS_PER_HOUR, SECONDS_PER_MINUTE


def significant(value: float, digits: int = 3) -> str:
    """Return ``value`` with that many significant digits and thousands separators."""
    value = float(value)  # numpy's own rounding fails for the smallest numbers
    if not math.isfinite(value):
        return "∞" if value > 0 else "not a number" if math.isnan(value) else "−∞"
    if value == 0:
        return "0"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    rounded = round(value, digits - 1 - math.floor(math.log10(abs(value))))
    # Rounding may carry into the next power of ten (9.996 -> 10.0): count the digits again.
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(rounded)))) if rounded else decimals
    text = f"{abs(rounded):,.{decimals}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return f"−{text}" if rounded < 0 else text


def dollars(usd: float) -> str:
    """Return an amount of money for reading: $1,095, $12.5, $0.0042."""
    if math.isnan(usd):
        return "no cost"
    sign = "−" if usd < 0 else ""
    amount = abs(usd)
    if amount == 0:
        return "$0"
    if math.isinf(amount):
        return f"{sign}$∞"
    if amount >= 1000:
        # Whole dollars: a bill of $1,095 is not $1,100, and three digits would say so.
        return f"{sign}${amount:,.0f}"
    if amount >= 1:
        text = f"{amount:,.2f}" if amount < 100 else f"{amount:,.0f}"
        return f"{sign}${text}"
    # Cents while they say enough, then the digits of a price a token.
    return f"{sign}${amount:.2f}" if amount >= 0.1 else f"{sign}${significant(amount, 2)}"


def seconds(value_s: float) -> str:
    """Return a duration for reading: 85 ms, 0.48 s, 12.3 s, 1 min 40 s, 2.5 h, 6.99 days."""
    if math.isnan(value_s):
        return "not measured"
    if math.isinf(value_s):
        return "never"
    sign, value = ("−", -value_s) if value_s < 0 else ("", value_s)
    if value == 0:
        return "0 s"
    if value < 0.1:
        return f"{sign}{significant(value * 1e3, 2)} ms"
    if value < 99.95:
        return f"{sign}{significant(value)} s"
    whole = round(value)
    if value < SECONDS_PER_HOUR:
        minutes, rest = divmod(whole, 60)
        return f"{sign}{minutes} min" + (f" {rest} s" if rest else "")
    if value < 2 * SECONDS_PER_DAY:
        return f"{sign}{significant(value / SECONDS_PER_HOUR)} h"
    return f"{sign}{significant(value / SECONDS_PER_DAY)} days"


def clock(value_s: float) -> str:
    """Return the time of day that many seconds after midnight: 14:05."""
    minutes = int(value_s % SECONDS_PER_DAY // SECONDS_PER_MINUTE)
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def moment(value_s: float, t0: dt.datetime | None = None) -> str:
    """Return an instant of a trace: 2026-09-12 14:05:12, or day 3, 14:05:12 without its date."""
    if t0 is not None:
        return f"{t0 + dt.timedelta(seconds=value_s):%Y-%m-%d %H:%M:%S}"
    day, rest = divmod(value_s, SECONDS_PER_DAY)
    return f"day {day + 1:.0f}, {clock(rest)}:{int(rest % SECONDS_PER_MINUTE):02d}"


def percent(share: float) -> str:
    """Return a share of one as a percentage: 0.4 %, 12.5 %, 100 %; "<0.01 %" when tiny."""
    if math.isnan(share):
        return "—"
    value = share * 100.0
    if 0 < value < 0.01:
        return "<0.01 %"
    return f"{significant(value)} %"


def rate(value_rps: float) -> str:
    """Return an arrival rate in the unit that reads best: requests a second, hour or day."""
    if value_rps >= 1:
        return f"{significant(value_rps)} requests/s"
    if value_rps * SECONDS_PER_HOUR >= 60:
        return f"{significant(value_rps * SECONDS_PER_MINUTE)} requests/min"
    if value_rps * SECONDS_PER_HOUR >= 1:
        return f"{significant(value_rps * SECONDS_PER_HOUR)} requests/h"
    return f"{significant(value_rps * SECONDS_PER_DAY)} requests/day"


def count(value: float, noun: str, plural: str | None = None) -> str:
    """Return a count with its noun in the right number: 1 request, 3,556 requests."""
    word = noun if value == 1 else (plural or f"{noun}s")
    return f"{value:,.0f} {word}"


def lower_first(text: str) -> str:
    """Return a phrase as it stands inside a sentence; an abbreviation keeps its capitals."""
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]
