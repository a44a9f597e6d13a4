"""A plan is an offer with a policy and mitigations: one point on the frontier.

It holds what a simulation needs and the name by which its price is found, and no price.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

from frontier.mitigations.base import Standing
from frontier.plans.families import FAMILIES, Family
from frontier.policy import ScalingPolicy
from frontier.serving import ServingSpeed
from frontier.start.stages import ColdStart


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """One point: an offer, a policy and mitigations.

    Attributes
    ----------
    plan_id : str
        Short and stable, for links.
    label, detail : str
        Words for a list, and beneath it.
    offer_id : str
        The offer whose price and rules bill it; ``base_offer_id`` bills pinned replicas.
    weights_gib, weights_stay : float, bool
        Weights of a replica [GiB]; whether its loading leaves them in host memory.
    retry_s : float or None
        A cold request is refused and retried by the client so often [s]; None: it waits.
    interruptions_per_h : float
        Of its machines, where they are spot [1/h]; ``interruption_seed`` draws them.
    is_provider_default : bool
        Scale-to-zero as the provider ships it: its idle timeout, its most replicas.
    is_committed : bool
        Its machines by the hour are bought under the buyer's commitment.
    """

    plan_id: str
    label: str
    detail: str
    family: Family
    policy: ScalingPolicy
    start: ColdStart
    speed: ServingSpeed
    offer_id: str
    base_offer_id: str | None = None
    mitigations: tuple[str, ...] = ()
    standing: Standing = field(default_factory=Standing)
    weights_gib: float = 0.0
    weights_stay: bool = False
    retry_s: float | None = None
    interruptions_per_h: float = 0.0
    interruption_seed: int = 0
    is_provider_default: bool = False
    is_committed: bool = False
    assumed: tuple[str, ...] = field(default=())


def committed(plan: Plan) -> Plan | None:
    """Return a plan with its always-on machines under the buyer's commitment, or None.

    None for plans that have no machine which is always on (`Family.committed_as`). A dedicated
    plan becomes one of its own; the base of a hybrid is always used, so a buyer with a commitment
    puts it there.
    """
    if plan.family.committed_as is None:
        return None
    if plan.family.committed_as == plan.family.key:
        return dataclasses.replace(
            plan,
            label=plan.label.replace(" dedicated ", " reserved ", 1),
            detail=f"{plan.detail}, base under your commitment",
            is_committed=True,
        )
    family, count = FAMILIES[plan.family.committed_as], plan.policy.max_replicas
    return dataclasses.replace(
        plan,
        plan_id=family.stem_of(count),
        label=family.head_of(count),
        detail=f"{plan.detail}, under your commitment",
        family=family,
        is_committed=True,
    )
