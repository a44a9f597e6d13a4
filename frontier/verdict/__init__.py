"""The answer as typed facts, then as words; the only place that says what wins.

`find` takes the facts from outcomes and bills, `words` says them; `rates` says what the
comparison over the request rate comes to.
"""

from frontier.verdict.facts import (
    BreakEvenRate,
    Commitment,
    Machines,
    Obstacle,
    PlanFacts,
    RateCrossing,
    Saving,
    Tipping,
    Utilisation,
    Verdict,
    WaitingCost,
)
from frontier.verdict.find import (
    commitment_of,
    few_beyond_p99,
    find_verdict,
    machines_of,
    needed_by,
    plan_facts,
    spoken,
    utilisation_of,
    with_break_even,
    with_luck,
)
from frontier.verdict.rates import (
    flip_sentence,
    gap_sentence,
    how_sure,
    swing_value,
    worth_sentence,
)
from frontier.verdict.words import (
    amount,
    commitment_in_words,
    few_beyond,
    named,
    of_thousand,
    price,
    rate_in_words,
    state_of,
    utilisation_in_words,
    wait,
)

__all__ = [
    "BreakEvenRate",
    "Commitment",
    "Machines",
    "Obstacle",
    "PlanFacts",
    "RateCrossing",
    "Saving",
    "Tipping",
    "Utilisation",
    "Verdict",
    "WaitingCost",
    "amount",
    "commitment_in_words",
    "commitment_of",
    "few_beyond",
    "few_beyond_p99",
    "find_verdict",
    "flip_sentence",
    "gap_sentence",
    "how_sure",
    "machines_of",
    "named",
    "needed_by",
    "of_thousand",
    "plan_facts",
    "price",
    "spoken",
    "state_of",
    "swing_value",
    "rate_in_words",
    "utilisation_in_words",
    "utilisation_of",
    "wait",
    "with_break_even",
    "with_luck",
    "worth_sentence",
]
