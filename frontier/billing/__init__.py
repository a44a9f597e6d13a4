"""From replica sessions to dollars: terms, meters, bills.

`terms` is what was negotiated, `host` the cores and memory of a replica, `shapes` says which
machines can stand in for one another, `meters` turns sessions into billed seconds, and `bill`
prices them. No simulation imports from here.
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
    usd_of_runs,
)
from frontier.billing.host import (
    BY_MODEL,
    METERED_WORDS,
    HostChoice,
    HostNeed,
    HostShare,
    amount_in_words,
    host_billed,
    host_used,
    is_metered,
    least_host,
    most_host,
    refused_amounts,
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
    "BY_MODEL",
    "GPU_LINES",
    "LINES",
    "LIST_PRICE",
    "METER",
    "METERED",
    "METERED_WORDS",
    "Bill",
    "BillBasis",
    "CommitmentFacts",
    "Contract",
    "Meters",
    "HostChoice",
    "HostNeed",
    "HostShare",
    "PoolBasis",
    "Terms",
    "TokenPrice",
    "Usage",
    "amount_in_words",
    "bill",
    "bill_basis",
    "billed_start_s",
    "chosen_terms",
    "commitment_facts",
    "host_billed",
    "host_used",
    "is_metered",
    "least_host",
    "machine_shape",
    "machine_shapes",
    "metering_key",
    "months",
    "most_host",
    "pool_lines",
    "read_meters",
    "refused_amounts",
    "replica_usd_per_h",
    "summed",
    "usd_of_runs",
]
