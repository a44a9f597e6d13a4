"""What it takes to hold a limit: a search over all that can be set, and why less is not enough.

`hours` learns when replicas might be kept, `places` says what can be set at an offer, `trials`
simulates it, `search`
finds the cheapest settings within the limit, `beside` what stands next to them, `answer` asks and
holds the facts, `words` says them.
"""

from frontier.reach.answer import Reached, able_providers, offers_of, what_it_takes
from frontier.reach.beside import DIRECTIONS, Beside, Failure
from frontier.reach.hours import KeptHours
from frontier.reach.places import Place, Settings
from frontier.reach.trials import Deals, Trial
from frontier.reach.words import (
    beside_in_words,
    cost,
    difference_in_words,
    failure_in_words,
    headline,
    in_hours,
    place_in_words,
    sentences,
    settings_in_words,
    trial_in_words,
)

__all__ = [
    "DIRECTIONS",
    "Beside",
    "Deals",
    "Failure",
    "KeptHours",
    "Place",
    "Reached",
    "Settings",
    "Trial",
    "able_providers",
    "beside_in_words",
    "cost",
    "difference_in_words",
    "failure_in_words",
    "headline",
    "in_hours",
    "offers_of",
    "place_in_words",
    "sentences",
    "settings_in_words",
    "trial_in_words",
    "what_it_takes",
]
