"""Renewing the prices of data/: read what is brought, match it, propose, apply what is accepted.

`read` turns files, folders and archives (or, when asked, published catalogues, `network`) into
rows; `match` says which offer a row is a price of; `proposal` puts old and new side by side with
what has to be accepted by name; `apply` writes data/ in place, checked before anything is
replaced; `words` prints. Nothing changes until `apply`, and nothing is fetched at run time of the
pages: only the command line asks for it.
"""

from frontier.refresh.apply import Applied, apply
from frontier.refresh.items import Accepted, Item, Proposal
from frontier.refresh.match import match
from frontier.refresh.network import fetch, inputs_from_network
from frontier.refresh.proposal import propose
from frontier.refresh.read import Brought, Reading, inputs_from, read
from frontier.refresh.words import as_json, in_words, records

__all__ = [
    "Accepted",
    "Applied",
    "Brought",
    "Item",
    "Proposal",
    "Reading",
    "apply",
    "as_json",
    "fetch",
    "in_words",
    "inputs_from",
    "inputs_from_network",
    "match",
    "propose",
    "read",
    "records",
]
