"""The one plan that the pages look at: chosen anywhere, open everywhere, kept in the address."""

from __future__ import annotations

from typing import Any

from frontier.pages import link
from frontier.study import Study, default_plan_id


def choose_plan(study: Study, **how: Any) -> str:
    """Draw the choice of a plan; return its id.

    Without a choice it is the cheapest plan under the limit, else an always-on one.
    """
    labels = dict(zip(study.table["plan_id"], study.table["label"], strict=True))
    return link.pick(
        "Plan",
        list(study.outcomes),
        default_plan_id(study),
        format_func=labels.__getitem__,
        key="plan",
        **how,
    )


def picked_plan(study: Study) -> str:
    """Return that plan where its choice is not drawn."""
    return link.picked(list(study.outcomes), default_plan_id(study), key="plan")
