"""Cores and host memory of a replica: what it takes of them, and what of that is billed.

A serving engine needs cores for its processes and host memory for itself and, by the way its
weights are loaded, for them. What a provider bills of it is a rule of its product: nothing beside
the GPU, what was requested, or the higher of requested and used, and never less than a least
amount. Cores are counted as vCPU throughout: a physical core is two.

Left out, on purpose: what fewer cores than the engine asks for do to its speed. This is money
only, and no simulation knows of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from frontier import spell
from frontier.errors import InputError
from frontier.tables import Offer, ProviderRules, Tables
from frontier.units import SECONDS_PER_HOUR, VCPUS_PER_PHYSICAL_CORE


@dataclass(frozen=True, slots=True)
class HostNeed:
    """What decides how much host a replica takes.

    Attributes
    ----------
    gpus : int
        GPUs of the replica.
    weights_gib : float
        The checkpoint. [GiB]
    weights_stay : bool
        Whether loading leaves the weights in host memory, unless the buyer says otherwise.
    """

    gpus: int
    weights_gib: float = 0.0
    weights_stay: bool = False


@dataclass(frozen=True, slots=True)
class HostChoice:
    """What the buyer says of cores and host memory; None leaves it to the model's size.

    Parameters
    ----------
    vcpus, ram_gib : float or None
        What a replica uses. [vCPU], [GiB]
    asked_vcpus, asked_ram_gib : float or None
        What is requested for it: None is as little as the provider gives where the higher of
        requested and used is billed, and what it uses where the request itself is. [vCPU], [GiB]
    weights_in_ram : bool or None
        Whether weights stay in host memory; None: as the plan's loader does it.

    Raises
    ------
    InputError
        If an amount is not a number above 0.
    """

    vcpus: float | None = None
    ram_gib: float | None = None
    asked_vcpus: float | None = None
    asked_ram_gib: float | None = None
    weights_in_ram: bool | None = None

    def __post_init__(self) -> None:
        for name in ("vcpus", "ram_gib", "asked_vcpus", "asked_ram_gib"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise InputError(f"{name}: expected a number above 0, found {value!r}")


BY_MODEL = HostChoice()


@dataclass(frozen=True, slots=True)
class HostShare:
    """Cores and host memory of one replica [vCPU], [GiB].

    Attributes
    ----------
    weights_gib : float
        The weights that are part of ``ram_gib``. [GiB]
    """

    vcpus: float
    ram_gib: float
    weights_gib: float = 0.0

    def usd_per_h(self, offer: Offer) -> float:
        """Return the price of it for an hour at the rates of an offer [$/h]."""
        usd_per_s = self.vcpus * (offer.usd_per_vcpu_s or 0.0)
        return (usd_per_s + self.ram_gib * (offer.usd_per_gib_s or 0.0)) * SECONDS_PER_HOUR


NOTHING = HostShare(0.0, 0.0)
METERED_WORDS = {
    "included": "with the GPU",
    "requested": "billed as requested",
    "higher": "billed at the higher of requested and used",
}
"""How cores and memory are billed, by `ProviderRules.cores_metered`."""


def is_metered(offer: Offer, rules: ProviderRules) -> bool:
    """Whether an offer has cores or memory on meters of their own."""
    has_price = bool(offer.usd_per_vcpu_s or offer.usd_per_gib_s)
    return has_price and rules.cores_metered != "included"


def host_used(choice: HostChoice, need: HostNeed, tables: Tables) -> HostShare:
    """Return what a replica takes: the buyer's figures, else those of the engine and the weights.

    An engine has a process for its API, one for its scheduler and one for each GPU.
    """
    vcpus, ram_gib, weights_gib = choice.vcpus, choice.ram_gib, 0.0
    if vcpus is None:
        each = tables.setting("engine_vcpus_per_gpu")
        vcpus = tables.setting("engine_vcpus") + need.gpus * each
    if ram_gib is None:
        stay = choice.weights_in_ram
        if need.weights_stay if stay is None else stay:
            weights_gib = need.weights_gib
        each = tables.setting("engine_ram_gib_per_gpu")
        ram_gib = tables.setting("engine_ram_gib") + need.gpus * each + weights_gib
    return HostShare(vcpus, ram_gib, weights_gib)


def host_billed(
    offer: Offer, rules: ProviderRules, choice: HostChoice, need: HostNeed, tables: Tables
) -> HostShare:
    """Return the cores and memory of a replica that are billed; nothing where none are metered.

    Never less than the provider's least, nor than what its ratio of memory to cores takes; never
    more than the most it gives a replica.
    """
    if not is_metered(offer, rules):
        return NOTHING
    used = host_used(choice, need, tables)
    if rules.cores_metered == "higher":
        vcpus = max(used.vcpus, choice.asked_vcpus or 0.0)
        ram_gib = max(used.ram_gib, choice.asked_ram_gib or 0.0)
    else:
        vcpus = used.vcpus if choice.asked_vcpus is None else choice.asked_vcpus
        ram_gib = used.ram_gib if choice.asked_ram_gib is None else choice.asked_ram_gib
    least = least_host(offer, rules, need.gpus)
    vcpus, ram_gib = max(vcpus, least.vcpus), max(ram_gib, least.ram_gib)
    if rules.most_gib_per_vcpu is not None:
        vcpus = max(vcpus, ram_gib / rules.most_gib_per_vcpu)
    most = most_host(rules)
    return HostShare(min(vcpus, most.vcpus), min(ram_gib, most.ram_gib), used.weights_gib)


def least_host(offer: Offer, rules: ProviderRules, gpus: int) -> HostShare:
    """Return the least that is billed for a replica of that many GPUs."""
    vcpus = (rules.least_cores or 0) * (rules.vcpus_per_core or 1)
    return HostShare(
        max(vcpus, _each(offer.vcpus_per_gpu, gpus)),
        max(rules.least_ram_gib or 0, _each(offer.ram_gib_per_gpu, gpus)),
    )


def most_host(rules: ProviderRules) -> HostShare:
    """Return the most that a replica can have; infinite where no limit is known."""
    if rules.most_cores is None:
        return HostShare(math.inf, math.inf)
    vcpus = rules.most_cores * (rules.vcpus_per_core or 1)
    return HostShare(vcpus, vcpus * (rules.most_gib_per_vcpu or math.inf))


def _each(amount: float | None, gpus: int) -> float:
    return 0.0 if amount is None else amount * gpus


def refused_amounts(choice: HostChoice, rules: ProviderRules | None, tables: Tables) -> list[str]:
    """Return a sentence for each amount that no replica can have, or none at this provider."""
    most = HostShare(math.inf, math.inf) if rules is None else most_host(rules)
    found = []
    for name, words, unit, setting, limit in (
        ("vcpus", "cores a replica uses", "vCPU", "host_vcpus", most.vcpus),
        ("ram_gib", "host memory a replica uses", "GiB", "host_ram_gib", most.ram_gib),
        ("asked_vcpus", "cores requested", "vCPU", "host_vcpus", most.vcpus),
        ("asked_ram_gib", "host memory requested", "GiB", "host_ram_gib", most.ram_gib),
    ):
        value = getattr(choice, name)
        low, high = tables.settings[setting].bounds
        if value is None:
            continue
        if not low <= value <= high:
            found.append(
                f"{words}: expected {spell.significant(low)} to {high:,.0f} {unit}, found "
                f"{value:,.6g}"
            )
        elif value > limit:
            whose = "" if rules is None else rules.provider
            found.append(
                f"{words}: {whose} gives a replica at most {spell.significant(limit)} {unit}, "
                f"found {spell.significant(value)}"
            )
    return found


def amount_in_words(share: HostShare) -> str:
    """Return an amount in words: "6 vCPU (3 physical cores) and 23 GiB of host memory"."""
    cores = spell.significant(share.vcpus / VCPUS_PER_PHYSICAL_CORE)
    named = "physical core" if share.vcpus == VCPUS_PER_PHYSICAL_CORE else "physical cores"
    return (
        f"{spell.significant(share.vcpus)} vCPU ({cores} {named}) and "
        f"{spell.significant(share.ram_gib)} GiB of host memory"
    )
