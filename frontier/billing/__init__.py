"""From replica sessions to dollars: terms, meters, bills.

`terms` is what was negotiated, `shapes` says which machines can stand in for one another,
`meters` turns sessions into billed seconds, and `bill` prices them. No simulation imports from
here.
"""

from frontier.billing.bill import (
    GPU_LINES,
    LINES,
    METER,
    Bill,
    BillBasis,
    PoolBasis,
    bill,
    bill_basis,
    months,
    pool_lines,
    replica_usd_per_h,
)
from frontier.billing.meters import (
    METERED,
    Meters,
    Usage,
    billed_start_s,
    machine_shape,
    metering_key,
    read_meters,
    summed,
)
from frontier.billing.shapes import machine_shapes
from frontier.billing.terms import (
    LIST_PRICE,
    CommitmentFacts,
    Contract,
    Terms,
    TokenPrice,
    chosen_terms,
    commitment_facts,
)

__all__ = [
    "GPU_LINES",
    "LINES",
    "LIST_PRICE",
    "METER",
    "METERED",
    "Bill",
    "BillBasis",
    "CommitmentFacts",
    "Contract",
    "Meters",
    "PoolBasis",
    "Terms",
    "TokenPrice",
    "Usage",
    "bill",
    "bill_basis",
    "billed_start_s",
    "chosen_terms",
    "commitment_facts",
    "machine_shape",
    "machine_shapes",
    "metering_key",
    "months",
    "pool_lines",
    "read_meters",
    "replica_usd_per_h",
    "summed",
]
