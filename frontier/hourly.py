"""What is said where less than a day was seen: sentences say an hour, charts and tables a month.

A month would be a claim that so little traffic does not carry; an hour alone could not be held
against the chart beside it. So the one is said in terms of the other, wherever both stand.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from frontier import spell, units


def is_short(span_s: float) -> bool:
    """Whether less than a day was seen, so that a month would say more than is known."""
    return span_s < units.SECONDS_PER_DAY


def how_spread(counted_s: float | None) -> str:
    """Return what waits do not know where requests were only counted; empty where they were not.

    Parameters
    ----------
    counted_s : float or None
        What requests were counted over. A minute or less says enough of how they come. [s]
    """
    if counted_s is None or counted_s <= units.SECONDS_PER_MINUTE:
        return ""
    return (
        f"Requests were counted per {spell.seconds(counted_s)} and are spread at random within: if "
        "they come in bursts, true waits are longer, and more of the time is idle."
    )


def against_month(
    span_s: float,
    hours_per_month: float,
    usd_per_month: float | None = None,
    *,
    of: str = "",
    waits_s: Iterable[float] = (),
) -> str:
    """Return how hours in sentences and months in charts agree; empty where a day was seen.

    Parameters
    ----------
    span_s : float
        Of the traffic. [s]
    usd_per_month : float, optional
        What the plan of the headline costs, as charts and tables have it. [$/month]
    of : str
        That plan in words.
    waits_s : iterable of float
        The p99 of the plans spoken of. One longer than the traffic is the wait for a start that
        ends after it, and what is billed then is in no figure. [s]
    """
    if not is_short(span_s):
        return ""
    seen = spell.seconds(span_s)
    words = (
        f"Only {seen} of traffic was seen, so sentences say an hour; charts and tables say a month "
        f"of {hours_per_month:g} such hours"
    )
    if usd_per_month is not None:
        words += f", {spell.dollars(usd_per_month)} for {of}"
    words += ". A true month takes a week of traffic, with its nights and its weekend."
    if any(span_s < wait_s < math.inf for wait_s in waits_s):
        words += (
            f" Requests that wait longer than those {seen} are served after the bill ends: a plan "
            "that lets them wait costs more than is shown."
        )
    return words
