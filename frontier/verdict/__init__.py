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
    find_verdict,
    machines_of,
    needed_by,
    plan_facts,
    saving_of,
    spoken,
    used_gpu_h,
    utilisation_of,
    with_break_even,
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
    named,
    of_thousand,
    price,
    rate_in_words,
    utilisation_in_words,
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
    "saving_of",
    "spoken",
    "used_gpu_h",
    "swing_value",
    "rate_in_words",
    "utilisation_in_words",
    "utilisation_of",
    "with_break_even",
    "worth_sentence",
]
