"""What stands beside one plan, and beside the headline: the explanations of all its figures."""

from __future__ import annotations

from collections.abc import Collection

from frontier import spell
from frontier.edits import Edit
from frontier.explain.ground import Ground
from frontier.explain.money import cost_of, saving_of
from frontier.explain.terms import BELOW, SIMULATED, TRAFFIC, Explanation, Term
from frontier.explain.waits import start_of, waits_of
from frontier.study import Study
from frontier.sweep import Outcome
from frontier.units import SECONDS_PER_DAY
from frontier.verdict import BreakEvenRate


def about_plan(
    study: Ground, outcome: Outcome, edits: Collection[Edit] = ()
) -> tuple[Explanation, ...]:
    """Return the explanations of one plan: its cost, what its requests wait, its start.

    Parameters
    ----------
    edits : collection of Edit
        The cells that the user changed.
    """
    found = [cost_of(study, outcome, edits), *waits_of(study, outcome)]
    policy = outcome.plan.policy
    if policy.min_replicas < policy.max_replicas:
        found.append(start_of(outcome.plan.start, study.tables))
    return tuple(found)


def about_answer(study: Study) -> tuple[Explanation, ...]:
    """Return the explanations of what the headline says of two plans: saving and break-even."""
    verdict, found = study.verdict, []
    zero, rival = verdict.shipped, verdict.rival
    if verdict.saving is not None and zero is not None and rival is not None:
        found.append(saving_of(verdict.saving, zero, rival))
    if verdict.break_even is not None:
        found += _crossings(study, verdict.break_even)
    return tuple(found)


def _crossings(study: Study, rate: BreakEvenRate) -> list[Explanation]:
    """Return each rate of requests at which the two plans cost the same."""
    trace = study.trace
    days = trace.horizon_s / SECONDS_PER_DAY
    requests = Term("requests", "requests", int(trace.arrival_s.size), "", TRAFFIC)
    seen = Term("days", "days seen", days, "days", TRAFFIC)
    now = Explanation("Requests a day", "{requests} ÷ {days}", (requests, seen), spell.significant)
    return [
        Explanation(
            "Break-even" if at == 0 else "Another break-even",
            "{now} × {factor}",
            (
                Term("now", "requests a day now", now.value, "", BELOW),
                Term(
                    "factor",
                    "factor on the traffic at which both cost the same",
                    crossing.at_per_day / rate.requests_per_day,
                    "",
                    SIMULATED,
                    note="closed in on by simulating thinned and thickened traffic; one standard "
                    f"error is {spell.significant(crossing.low_per_day)} to "
                    f"{spell.significant(crossing.high_per_day)} requests a day",
                ),
            ),
            spell.significant,
            "requests a day",
            parts=(now,),
        )
        for at, crossing in enumerate(rate.crossings)
    ]
