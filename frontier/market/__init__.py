"""Every offer that can run a model, on one trace, under one limit: the market.

`wanted` says which offers are looked at and why one cannot run the model, `tried` simulates once
what is alike at many, `rows` bills it by each offer's own contract, `answer` says what that comes
to, and `table` is all of it as a table.
"""

from frontier.market.answer import (
    ON_DEMAND,
    ColdFacts,
    MarketAnswer,
    Pick,
    answer_of,
    beside_api,
    cost_of,
    headline,
    in_hours,
    pick_of,
    sentences,
)
from frontier.market.rows import Choice, Deals, Market, Row, market, markets
from frontier.market.sure import with_range
from frontier.market.table import STATES, market_table, state_of
from frontier.market.tried import Keeps, Tried
from frontier.market.wanted import EVERYTHING, Wanted, on_community_hosts, wanted_offers

__all__ = [
    "EVERYTHING",
    "ON_DEMAND",
    "STATES",
    "Choice",
    "ColdFacts",
    "Deals",
    "Keeps",
    "Market",
    "MarketAnswer",
    "Pick",
    "Row",
    "Tried",
    "Wanted",
    "answer_of",
    "beside_api",
    "cost_of",
    "headline",
    "in_hours",
    "market",
    "market_table",
    "markets",
    "on_community_hosts",
    "pick_of",
    "sentences",
    "state_of",
    "wanted_offers",
    "with_range",
]
