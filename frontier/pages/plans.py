"""The one plan that the pages look at: chosen anywhere, open everywhere, kept in the address."""

from __future__ import annotations

from frontier.pages import link
from frontier.pages.results import Swept


def choose_plan(swept: Swept, **how: str) -> str:
    """Draw the choice of a plan; return its id.

    Without a choice it is the cheapest plan under the limit, else an always-on one.
    """
    answer = swept.answer
    ids = list(swept.outcomes)
    labels = dict(zip(swept.table["plan_id"], swept.table["label"], strict=True))
    return link.pick(
        "Plan",
        ids,
        answer.cheapest_plan_id or answer.dedicated_plan_id or ids[0],
        format_func=labels.__getitem__,
        key="plan",
        **how,
    )
