"""Explain this number: the formula of each headline figure, and where each of its values is from.

`terms` holds what an explanation is, `money` explains bills, `waits` what requests wait, `answer`
puts together what stands beside one plan or the headline. Nothing is decided here.
"""

from frontier.explain.answer import about_answer, about_plan
from frontier.explain.ground import Ground, of_choice
from frontier.explain.money import cost_of, saving_of
from frontier.explain.terms import Explanation, Reference, Term, evaluated, plainly
from frontier.explain.waits import start_of, waits_of

__all__ = [
    "Explanation",
    "Ground",
    "Reference",
    "Term",
    "about_answer",
    "about_plan",
    "cost_of",
    "evaluated",
    "of_choice",
    "plainly",
    "saving_of",
    "start_of",
    "waits_of",
]
