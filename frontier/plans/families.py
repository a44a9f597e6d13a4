"""The families of plans: one frozen row each, with all that answer, chart, grid and export need.

A family is what plans have in common that a buyer would name: scale to zero, keep a pool, buy
machines. To add one, write its row here and, if somebody can buy it, the function of
`frontier.plans.grid` that makes its plans; a test tells what a half-made one lacks. Colours are
those of Okabe and Ito, which stay apart for colour-blind readers; the symbol always repeats the
colour.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Family:
    """One family of plans.

    Attributes
    ----------
    key : str
        Its name in tables and exports.
    label : str
        Its name on the chart.
    noun : str
        Its name as the subject of a sentence, "A warm pool".
    colour, symbol : str
        Of its points: a colour as ``#rrggbb``, and a symbol of Plotly's.
    stem, head : str
        How the ids and the labels of its plans begin; ``{count}`` is the number of replicas that
        are kept or pinned.
    is_buyable : bool
        Whether anybody can buy such a plan: what is not is on the chart for comparison, never
        efficient and never the answer.
    is_large : bool
        Whether its points are drawn large whether efficient or not.
    committed_as : str or None
        Key of the family that a plan becomes where its always-on machines are bought under a
        commitment: another family's, to stand beside the plan by the hour; its own, where the
        commitment takes the plan's place; None where no machine of it is always on.
    """

    key: str
    label: str
    noun: str
    colour: str
    symbol: str
    stem: str
    head: str
    is_buyable: bool = True
    is_large: bool = False
    committed_as: str | None = None

    def stem_of(self, count: int) -> str:
        """Return how the id of a plan with so many kept replicas begins."""
        return self.stem.format(count=count)

    def head_of(self, count: int) -> str:
        """Return how the label of a plan with so many kept replicas begins."""
        return self.head.format(count=count)


SCALE_TO_ZERO = Family(
    "scale-to-zero", "Scale-to-zero", "Scale-to-zero", "#0072B2", "circle", "zero", "Scale-to-zero"
)
WARM_POOL = Family(
    "warm pool",
    "Warm pool",
    "A warm pool",
    "#C07F00",
    "square",
    "pool{count}",
    "Warm pool of {count}",
)
HYBRID = Family(
    "hybrid",
    "Hybrid",
    "A hybrid",
    "#009E73",
    "diamond",
    "hybrid{count}",
    "{count} dedicated + overflow",
    committed_as="hybrid",
)
SCHEDULED = Family(
    "scheduled",
    "Scheduled",
    "A schedule",
    "#C46C9C",
    "triangle-up",
    "office{count}",
    "Office hours × {count}",
)
DEDICATED = Family(
    "dedicated",
    "Dedicated (always-on)",
    "Always-on",
    "#D55E00",
    "star",
    "dedicated-{count}",
    "Dedicated × {count}",
    committed_as="reserved",
)
RESERVED = Family(
    "reserved",
    "Reserved",
    "A reservation",
    "#D55E00",
    "star-diamond",
    "reserved-{count}",
    "Reserved × {count}",
)
API = Family(
    "api",
    "Per-token API",
    "A per-token API",
    "#7F8C98",
    "cross",
    "api",
    "Per-token API",
    is_buyable=False,
)
BOUND = Family(
    "bound",
    "Clairvoyant bound",
    "The clairvoyant bound",
    "#7F8C98",
    "hourglass",
    "bound",
    "Clairvoyant bound",
    is_buyable=False,
    is_large=True,
)

FAMILIES = MappingProxyType(
    {
        family.key: family
        for family in (
            SCALE_TO_ZERO,
            WARM_POOL,
            HYBRID,
            SCHEDULED,
            DEDICATED,
            RESERVED,
            API,
            BOUND,
        )
    }
)
"""Every family by its key, in the order of the legend."""
