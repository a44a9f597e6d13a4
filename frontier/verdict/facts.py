"""What the verdict rests on, as frozen facts taken from outcomes and their bills.

Nothing is simulated here, and no sentence is made: `words` turns facts into sentences.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from frontier.billing import BillBasis
from frontier.sweep import Outcome
from frontier.tables import Tables


@dataclass(frozen=True, slots=True)
class Machines:
    """The machines that are always on in a plan, as they are billed.

    Attributes
    ----------
    offer_id : str
        Of the shape that was chosen: it may be another one than the plan's.
    provider, product, gpu : str
        Of that offer.
    count, gpus_each : int
        Machines, and GPUs of each.
    gpus_used : int
        GPUs of all of them that a replica runs on.
    """

    offer_id: str
    provider: str
    product: str
    gpu: str
    count: int
    gpus_each: int
    gpus_used: int

    @property
    def gpus_unused(self) -> int:
        """GPUs that are paid for and used by nobody."""
        return self.count * self.gpus_each - self.gpus_used

    def __str__(self) -> str:
        """Return the machines in words: "1 × p5.48xlarge, 6 of 8 GPUs unused"."""
        words = f"{self.count} × {self.product}"
        if self.gpus_unused:
            words += f", {self.gpus_unused} of {self.count * self.gpus_each} GPUs unused"
        return words


def machines_of(outcome: Outcome, basis: BillBasis, tables: Tables) -> Machines | None:
    """Return the machines that are always on in a plan; None where there is none.

    Parameters
    ----------
    basis : BillBasis
        Of the bill of that outcome.
    """
    plan, pool = outcome.plan, basis.pools[-1]
    offer = tables.offers[pool.offer_id]
    replicas = plan.policy.pinned_replicas or plan.policy.min_replicas
    is_always_on = plan.policy.pinned_replicas or replicas == plan.policy.max_replicas
    if offer.kind == "serverless" or not is_always_on:
        return None
    return Machines(
        offer_id=offer.offer_id,
        provider=offer.provider,
        product=offer.product,
        gpu=offer.gpu,
        count=int(np.unique(pool.meters.machine).size),
        gpus_each=pool.meters.gpus,
        gpus_used=replicas * plan.speed.gpus_per_replica,
    )
