"""Numbers spelled as people read them: three significant digits, the unit beside the number.

Seconds and dollars come in; words go out. No other module rounds for the screen.
"""

from __future__ import annotations

import datetime as dt
import math

from frontier.units import SECONDS_PER_DAY, SECONDS_PER_HOUR, SECONDS_PER_MINUTE

# Nobody counts the zeros of a number above a thousand million million.
_TOO_LONG = 1e18


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
    if abs(rounded) >= _TOO_LONG:
        text = f"{abs(rounded):.{digits - 1}e}".replace("e+", "e")
        return f"−{text}" if rounded < 0 else text
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


def dollars_between(low_usd: float, high_usd: float) -> str:
    """Return a range of money: $480 to $560; one amount where its ends read alike."""
    ends = _whole(*_outward(low_usd, high_usd))
    return ends[0] if ends[0] == ends[1] else " to ".join(ends)


def more_or_less(low_usd: float, high_usd: float) -> str:
    """Return a range of a difference: $30 to $50 more, $270 to $330 less, $10 less to $50 more."""
    if high_usd <= 0:
        return f"{dollars_between(-high_usd, -low_usd)} less"
    if low_usd >= 0:
        return f"{dollars_between(low_usd, high_usd)} more"
    less, more = _outward(low_usd, high_usd)
    fewer, added = _whole(-less, more)
    return f"{fewer} less to {added} more"


def seconds_between(low_s: float, high_s: float) -> str:
    """Return a range of durations: 0.5 to 0.6 s, 45 s to 1 min 10 s, 0.5 s or longer."""
    if math.isinf(high_s):
        return seconds(low_s) if math.isinf(low_s) else f"{seconds(low_s)} or longer"
    low, high = (seconds(value_s) for value_s in _outward(low_s, high_s))
    if low == high:
        return low
    number, _, unit = low.partition(" ")
    # "28 to 48 min 20 s" of 28 min 20 s would say less than is meant.
    is_shared = " " not in unit and high.partition(" ")[2] == unit
    return f"{number} to {high}" if is_shared else f"{low} to {high}"


def percent_between(low: float, high: float) -> str:
    """Return a range of shares of one: 12 to 15 %."""
    first, last = (percent(share) for share in _outward(low, high))
    return first if first == last else f"{first.removesuffix(' %')} to {last}"


def _whole(first_usd: float, last_usd: float) -> tuple[str, str]:
    """Return two amounts in words, without cents where neither has any."""
    first, last = dollars(first_usd), dollars(last_usd)
    if first_usd.is_integer() and last_usd.is_integer() and first != last:
        return first.removesuffix(".00"), last.removesuffix(".00")
    return first, last


# A range is said in steps of a quarter of its width at most.
_STEPS = 4


def _outward(low: float, high: float) -> tuple[float, float]:
    """Return the ends rounded away from each other, to digits that the width leaves sure."""
    width = high - low
    # Ends that differ in the last bits of a float alone are one value.
    if not 1e-9 * max(abs(low), abs(high)) < width < math.inf:
        return low, high
    digits = math.floor(math.log10(width / _STEPS))
    step = 10.0**digits
    # A bound that stands on a step is not moved to the next one by the last bits of a quotient.
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    if low > 0 and first == 0:
        # Some is not none: 0.4 s beside three minutes is small, and no wait is 0 s.
        return _first_digit(low), round(last * step, -digits)
    return round(first * step, -digits), round(last * step, -digits)


def _first_digit(value: float) -> float:
    digits = math.floor(math.log10(value))
    return round(math.floor(value / 10.0**digits + 1e-9) * 10.0**digits, -digits)


def clock(value_s: float, *, to_the_second: bool = False) -> str:
    """Return the time of day that many seconds after midnight [s]: 14:05, or 14:05:12."""
    minutes = int(value_s % SECONDS_PER_DAY // SECONDS_PER_MINUTE)
    seconds = f":{int(value_s % SECONDS_PER_MINUTE):02d}" if to_the_second else ""
    return f"{minutes // 60:02d}:{minutes % 60:02d}{seconds}"


def moment(value_s: float, t0: dt.datetime | None = None) -> str:
    """Return an instant of a trace: 2026-09-12 14:05:12, or day 3, 14:05:12 without its date."""
    if t0 is not None:
        return f"{t0 + dt.timedelta(seconds=value_s):%Y-%m-%d %H:%M:%S}"
    day, rest = divmod(value_s, SECONDS_PER_DAY)
    return f"day {day + 1:.0f}, {clock(rest, to_the_second=True)}"


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
