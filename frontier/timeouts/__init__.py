"""Which idle timeout: cost and waits of scale-to-zero against how long an idle replica is kept.

`curve` simulates each timeout once and makes facts of the runs at the prices in force, `words`
says them.
"""

from frontier.timeouts.curve import (
    Knee,
    SkiRental,
    TimeoutPoint,
    TimeoutRuns,
    Timeouts,
    knee_of,
    metered_alike,
    simulate_timeouts,
    ski_rental_s,
    timeouts_of,
    tried_timeouts_s,
    why_not,
)
from frontier.timeouts.words import headline, in_hours, sentences, who_first

__all__ = [
    "Knee",
    "SkiRental",
    "TimeoutPoint",
    "TimeoutRuns",
    "Timeouts",
    "headline",
    "in_hours",
    "knee_of",
    "metered_alike",
    "sentences",
    "simulate_timeouts",
    "ski_rental_s",
    "timeouts_of",
    "tried_timeouts_s",
    "who_first",
    "why_not",
]
