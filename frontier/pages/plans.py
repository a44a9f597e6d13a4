"""The one plan that the pages look at: chosen anywhere, open everywhere, kept in the address."""

from __future__ import annotations

from frontier.pages import link
from frontier.study import Study, default_plan_id


def choose_plan(study: Study, **how: str) -> str:
    """Draw the choice of a plan; return its id.

    Without a choice it is the cheapest plan under the limit, else an always-on one.
    """
    ids = list(study.outcomes)
    labels = dict(zip(study.table["plan_id"], study.table["label"], strict=True))
    return link.pick(
        "Plan",
        ids,
        default_plan_id(study),
        format_func=labels.__getitem__,
        key="plan",
        **how,
    )
