"""What an explanation stands on: prices, terms, traffic and the bill of a plan.

A `Study` is one. A plan of the market has no study of its own; `of_choice` runs it again alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from frontier.billing import BillBasis, Contract, bill_basis
from frontier.market import Choice
from frontier.sweep import Deal, Outcome, outcome_of, start_draws, usage_of
from frontier.tables import Tables
from frontier.trace import Trace


class Ground(Protocol):
    """What explanations of one plan need to know."""

    @property
    def tables(self) -> Tables:
        """Prices and rules in force."""

    @property
    def deal(self) -> Deal:
        """Terms beyond the list prices."""

    @property
    def trace(self) -> Trace:
        """The traffic."""

    @property
    def limit_s(self) -> float:
        """On p99 TTFT [s]."""

    def basis(self, outcome: Outcome) -> BillBasis:
        """Return what the bill of an outcome is computed from."""


@dataclass(frozen=True, slots=True, eq=False)
class Alone:
    """A plan of the market under the contract of its own offer; attributes as in `Ground`."""

    tables: Tables
    deal: Deal
    trace: Trace
    limit_s: float
    contract: Contract

    def basis(self, outcome: Outcome) -> BillBasis:
        """Return what the bill of an outcome is computed from."""
        return bill_basis(usage_of(outcome), self.contract, self.tables)


def of_choice(choice: Choice, trace: Trace, *, limit_s: float, deal: Deal) -> tuple[Alone, Outcome]:
    """Return a plan of the market as it was billed there, and what it does, simulated again.

    Parameters
    ----------
    deal : Deal
        The terms of its offer.
    """
    draws = start_draws([choice.plan.start], choice.tables)[choice.plan.start]
    outcome = outcome_of(choice.plan, trace, draws, np.zeros(1, dtype=np.uint8))
    return Alone(choice.tables, deal, trace, limit_s, choice.contract), outcome
