"""How sure the answer of a market is: the range of the plan that wins, and of no other."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from frontier.market.answer import MarketAnswer
from frontier.market.rows import Market
from frontier.ranges import beyond_in_words, few_beyond, luck_ranges
from frontier.shipped import Shipped
from frontier.sweep import outcome_of, start_draws
from frontier.tables import Tables


def with_range(
    answer: MarketAnswer,
    found: Market,
    tables: Tables,
    *,
    progress: Callable[[int, int], None] | None = None,
    beforehand: Shipped | None = None,
) -> MarketAnswer:
    """Return the answer of a market with the range of its best plan by luck of traffic and starts.

    As it is where nothing holds the limit, or the traffic is too little for a range.

    Parameters
    ----------
    beforehand : Shipped, optional
        Where what it takes may have been computed beforehand.
    """
    few = few_beyond(found.trace.arrival_s.size, tables.setting("ranges_few_beyond"))
    answer = dataclasses.replace(answer, uncertain=beyond_in_words(few))
    row = None if answer.best is None else found.row(answer.best.offer_id)
    if row is None or row.best is None:
        return answer
    plan, contract = row.best.plan, row.best.contract
    known = None if beforehand is None else beforehand.outcomes([plan], found.trace, tables)
    if known is None:
        draws = start_draws([plan.start], tables)[plan.start]
        outcome = outcome_of(plan, found.trace, draws, np.zeros(1, dtype=np.uint8))
    else:
        (outcome,) = known
    luck = luck_ranges(
        {plan.plan_id: outcome},
        [plan.plan_id],
        found.trace,
        tables,
        contracts={plan.plan_id: contract},
        progress=progress,
        beforehand=beforehand,
    )
    one = luck.plans.get(plan.plan_id)
    if one is None:
        return answer
    return dataclasses.replace(
        answer,
        usd_range=one.usd_per_month,
        p99_range=None if one.is_open else one.p99_ttft_s,
    )
