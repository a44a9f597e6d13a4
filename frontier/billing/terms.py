"""What was negotiated: terms beyond the list price, contracts, commitments, prices of tokens.

A `Contract` is an offer under its rules on the buyer's terms; a hybrid has a second one for its
pinned replicas. Nothing is metered or billed here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from frontier.billing.host import BY_MODEL, HostChoice
from frontier.errors import InputError
from frontier.tables import Commitment, Offer, ProviderRules
from frontier.units import TOKENS_PER_MTOK


@dataclass(frozen=True, slots=True)
class Terms:
    """What the buyer chose or negotiated beyond the list price. The defaults are the list price.

    Parameters
    ----------
    multiplier : float
        Region and availability, on GPU, CPU and RAM. [1]
    commitment : Commitment or None
        A discount for machines that are paid for whether used or not; not for serverless.
    committed_machines : int or None
        How many machines are committed; None means as many as are ever up at once.
    platform_fee, free_credit : bool
        Whether this workload bears the plan's fee and uses up its credit: yes if it is alone in
        the account.
    host : HostChoice
        Cores and host memory of a replica, where they are metered.
    interruptions_per_h : float
        Expected interruptions of a machine in an hour (spot), each of which repeats a start.

    Raises
    ------
    InputError
        If a value is out of range.
    """

    multiplier: float = 1.0
    commitment: Commitment | None = None
    committed_machines: int | None = None
    platform_fee: bool = True
    free_credit: bool = True
    interruptions_per_h: float = 0.0
    host: HostChoice = BY_MODEL

    def __post_init__(self) -> None:
        if not 0 < self.multiplier < math.inf:
            raise InputError(f"multiplier must be above 0, got {self.multiplier!r}")
        if not 0 <= self.interruptions_per_h < math.inf:
            raise InputError(
                f"interruptions_per_h must be at least 0, got {self.interruptions_per_h!r}"
            )
        if self.committed_machines is not None and self.committed_machines < 0:
            raise InputError(
                f"committed_machines must be at least 0, got {self.committed_machines!r}"
            )


LIST_PRICE = Terms()


def chosen_terms(
    rules: ProviderRules,
    *,
    in_region: bool = False,
    kept_up: bool = False,
    platform_fee: bool = True,
    free_credit: bool = True,
    host: HostChoice = BY_MODEL,
) -> Terms:
    """Return the terms of a product whose region, or whose capacity, the buyer insists on.

    Parameters
    ----------
    rules : ProviderRules
        Where a factor is empty the provider publishes none, and the choice costs nothing here.
    in_region, kept_up : bool
        Whether the buyer chooses the region; whether capacity may not be taken away.
    platform_fee, free_credit, host : bool, bool, HostChoice
        As in `Terms`.
    """
    multiplier = 1.0
    if in_region and rules.region_multiplier is not None:
        multiplier *= rules.region_multiplier
    if kept_up and rules.availability_multiplier is not None:
        multiplier *= rules.availability_multiplier
    return Terms(
        multiplier=multiplier, platform_fee=platform_fee, free_credit=free_credit, host=host
    )


@dataclass(frozen=True, slots=True)
class Contract:
    """What a bill is made under: a price, the rules of its product, the buyer's terms.

    Parameters
    ----------
    offer : Offer
    rules : ProviderRules
    terms : Terms
    base : Contract or None
        Of the pinned replicas of a hybrid plan; None: they are under this one too.

    Raises
    ------
    InputError
        If the base has a base of its own.
    """

    offer: Offer
    rules: ProviderRules
    terms: Terms = LIST_PRICE
    base: Contract | None = None

    def __post_init__(self) -> None:
        if self.base is not None and self.base.base is not None:
            raise InputError("the base of a contract cannot have a base of its own")

    @property
    def commitment(self) -> Commitment | None:
        """The commitment in force: none on serverless, whatever the terms say."""
        return None if self.offer.kind == "serverless" else self.terms.commitment


@dataclass(frozen=True, slots=True)
class CommitmentFacts:
    """What a commitment binds to, beside what it costs in the bill.

    Attributes
    ----------
    committed_usd, upfront_usd : float
        Dollars of the whole term, and of its start. NaN where the term or share is not stated.
    effective_usd_per_used_h : float
        Committed dollars over the machine-hours really used; infinite if none was. [$/h]
    break_even_utilisation : float
        Share of the committed hours that must be used for it to beat the hourly price. [1]
    payback_months : float
        Months of saving until the upfront part is earned back; infinite if it never is.
    """

    committed_usd: float
    upfront_usd: float
    effective_usd_per_used_h: float
    break_even_utilisation: float
    payback_months: float


def commitment_facts(
    offer: Offer,
    commitment: Commitment,
    *,
    machines: int,
    gpus_per_machine: int,
    used_share: float,
    hours_per_month: float,
) -> CommitmentFacts:
    """Return what ``machines`` committed machines bind to when that share of hours is used.

    Without the commitment, the used hours would be bought at the hourly price; the saving of a
    month is that less the committed price, and break-even is where it is zero.
    """
    list_usd_per_h = offer.usd_per_gpu_h * gpus_per_machine * machines
    committed_usd_per_h = list_usd_per_h * (1 - commitment.discount)
    term_months = math.nan if commitment.term_months is None else commitment.term_months
    share = math.nan if commitment.upfront_share is None else commitment.upfront_share
    committed_usd = committed_usd_per_h * hours_per_month * term_months
    saved_usd_per_month = (list_usd_per_h * used_share - committed_usd_per_h) * hours_per_month
    # What was paid upfront is not paid again by the month.
    upfront_usd = committed_usd * share
    monthly_relief = upfront_usd / term_months if term_months else 0.0
    relief = saved_usd_per_month + monthly_relief
    payback = 0.0 if upfront_usd == 0 else upfront_usd / relief if relief > 0 else math.inf
    return CommitmentFacts(
        committed_usd=committed_usd,
        upfront_usd=upfront_usd,
        effective_usd_per_used_h=(
            committed_usd_per_h / machines / used_share if used_share > 0 else math.inf
        ),
        break_even_utilisation=1 - commitment.discount,
        payback_months=payback,
    )


@dataclass(frozen=True, slots=True)
class TokenPrice:
    """Price of a per-token API, the reference point beside the plans [$ a million tokens].

    ``usd_per_mtok_cached`` is the price of an input token found in the provider's cache.
    """

    usd_per_mtok_input: float
    usd_per_mtok_output: float
    usd_per_mtok_cached: float | None = None

    def usd(
        self, prompt_tokens: ArrayLike, output_tokens: ArrayLike, cached_share: float = 0.0
    ) -> float:
        """Return the dollars of these requests, that share of input tokens being cached [$].

        Raises
        ------
        InputError
            If a price is negative, or a share of cached tokens comes without their price.
        """
        prices = (self.usd_per_mtok_input, self.usd_per_mtok_output, self.usd_per_mtok_cached or 0)
        if min(prices) < 0 or not all(map(math.isfinite, prices)):
            raise InputError(f"a price of a token must be a number of at least 0, got {prices}")
        if not 0 <= cached_share <= 1:
            raise InputError(f"cached_share must be from 0 to 1, got {cached_share!r}")
        if cached_share > 0 and self.usd_per_mtok_cached is None:
            raise InputError("a share of cached tokens needs the price of a cached token")
        prompts = float(np.sum(prompt_tokens, dtype=np.float64))
        outputs = float(np.sum(output_tokens, dtype=np.float64))
        per_prompt = (
            self.usd_per_mtok_input * (1 - cached_share)
            + (self.usd_per_mtok_cached or 0.0) * cached_share
        )
        return (prompts * per_prompt + outputs * self.usd_per_mtok_output) / TOKENS_PER_MTOK
