"""Every offer that can run a model, on one trace, under one limit: the market.

`wanted` says which offers are looked at and why one cannot run the model, `tried` simulates once
what is alike at many, and `rows` bills it by each offer's own contract.
"""

from frontier.market.rows import Choice, Deals, Market, Row, market
from frontier.market.tried import Keeps, Tried
from frontier.market.wanted import EVERYTHING, Wanted, on_community_hosts, wanted_offers

__all__ = [
    "EVERYTHING",
    "Choice",
    "Deals",
    "Keeps",
    "Market",
    "Row",
    "Tried",
    "Wanted",
    "market",
    "on_community_hosts",
    "wanted_offers",
]
