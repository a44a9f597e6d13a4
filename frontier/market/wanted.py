"""Which offers are looked at, and why one of them cannot run the model.

A reason is a fact about the offer and the model, in one sentence; that a plan misses the limit, or
that a price is old, is none.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from frontier import spell
from frontier.errors import FrontierError, InputError
from frontier.plans.scenario import Scenario, context_of
from frontier.prices import NOT_SOLD, age_days, security_of
from frontier.serving import ServingSpeed, serving_speed
from frontier.tables import Offer, Tables
from frontier.trace import Trace


@dataclass(frozen=True, slots=True)
class Wanted:
    """The offers that somebody wants to see; an empty tuple, or None, wants all.

    Attributes
    ----------
    providers, gpus, kinds, regions : tuple of str
        As the price list names them.
    community : bool
        Whether machines of third parties without a data-centre agreement are wanted.
    most_days : float or None
        Oldest price. [days]
    offer_ids : frozenset of str or None
        These offers and no others.
    """

    providers: tuple[str, ...] = ()
    gpus: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    community: bool = True
    most_days: float | None = None
    offer_ids: frozenset[str] | None = None

    def has(self, offer: Offer, tables: Tables, today: dt.date) -> bool:
        """Return whether an offer is wanted."""
        return (
            all(
                not chosen or value in chosen
                for chosen, value in (
                    (self.providers, offer.provider),
                    (self.gpus, offer.gpu),
                    (self.kinds, offer.kind),
                    (self.regions, offer.region),
                )
            )
            and (self.community or not on_community_hosts(offer, tables))
            and (self.offer_ids is None or offer.offer_id in self.offer_ids)
            and (self.most_days is None or age_days(offer, today) <= self.most_days)
        )


EVERYTHING = Wanted()


def wanted_offers(
    tables: Tables, wanted: Wanted = EVERYTHING, *, today: dt.date
) -> tuple[Offer, ...]:
    """Return the wanted offers of the tables in force, in their order.

    Raises
    ------
    InputError
        If a provider, GPU, kind or region is asked for that no offer has.
    """
    offers = tables.offers.values()
    for what, chosen, known in (
        ("provider", wanted.providers, {offer.provider for offer in offers}),
        ("GPU", wanted.gpus, {offer.gpu for offer in offers}),
        ("kind", wanted.kinds, {offer.kind for offer in offers}),
        ("region", wanted.regions, {offer.region for offer in offers}),
    ):
        if unknown := sorted(set(chosen) - known):
            raise InputError(
                f"No offer has the {what} '{unknown[0]}'. There are: {', '.join(sorted(known))}."
            )
    return tuple(offer for offer in offers if wanted.has(offer, tables, today))


def on_community_hosts(offer: Offer, tables: Tables) -> bool:
    """Return whether the machines of an offer belong to third parties."""
    return security_of(offer, tables) == "community"


class Fits:
    """How many GPUs of a kind a replica takes, and how fast it is then; asked once each."""

    def __init__(self, scenario: Scenario, trace: Trace, tables: Tables) -> None:
        self._scenario, self._trace, self._tables = scenario, trace, tables
        self._model = tables.model(scenario.model)
        self._context_tokens = context_of(trace, self._model)
        self._found: dict[tuple[str, int | None], ServingSpeed | FrontierError] = {}
        self._prompt_s: dict[tuple[str, int], float] = {}

    @property
    def speeds(self) -> dict[tuple[str, int], ServingSpeed]:
        """Every speed that was asked for, by GPU and count."""
        found = self._found.values()
        return {
            (speed.gpu, speed.gpus_per_replica): speed
            for speed in found
            if isinstance(speed, ServingSpeed)
        }

    def on(self, gpu: str, count: int | None = None) -> ServingSpeed | FrontierError:
        """Return the speed on so many GPUs (None: the fewest that fit), or why there is none."""
        if (gpu, count) not in self._found:
            try:
                speed = serving_speed(
                    self._model,
                    self._scenario.precision,
                    gpu,
                    context_tokens=self._context_tokens,
                    tables=self._tables,
                    gpus_per_replica=count,
                    kv_precision=self._scenario.kv_precision,
                )
            except FrontierError as error:
                self._found[gpu, count] = error
            else:
                # The fewest and that very number are one replica, and one object.
                self._found.setdefault((gpu, speed.gpus_per_replica), speed)
                self._found[gpu, count] = self._found[gpu, speed.gpus_per_replica]
        return self._found[gpu, count]

    def prompt_p99_s(self, speed: ServingSpeed) -> float:
        """Return what a replica without any queue or start takes to a first token, p99 [s].

        No plan on it waits less: each request at least reads its own prompt.
        """
        key = (speed.gpu, speed.gpus_per_replica)
        if key not in self._prompt_s:
            own_s = speed.prefill_s(self._trace.prompt_tokens)
            self._prompt_s[key] = float(np.percentile(own_s, 99, method="inverted_cdf"))
        return self._prompt_s[key]


def reason_against(offer: Offer, speed: ServingSpeed | FrontierError, tables: Tables) -> str:
    """Return why an offer cannot run a replica of that speed; empty if it can."""
    if isinstance(speed, FrontierError):
        return str(speed)
    count, provider = speed.gpus_per_replica, offer.provider
    if count > offer.gpus_max:
        where = "a replica there has" if offer.kind == "serverless" else "the machine has"
        return f"It needs {count} × {offer.gpu}, and {where} {_at_most(offer)}."
    behaviour = tables.behaviour_of(offer)
    if behaviour.max_gpus_hard is not None and behaviour.max_gpus_hard < count:
        return (
            f"It needs {count} × {offer.gpu}, and {provider} gives an account at most "
            f"{spell.count(behaviour.max_gpus_hard, 'GPU')}."
        )
    if offer.available == NOT_SOLD:
        return f"{provider} does not list it any more."
    if offer.available != "yes":
        how = "after a quota is granted" if offer.available == "quota" else "through its sales team"
        return f"{provider} sells it only {how}."
    return ""


def counts_of(offer: Offer, fits: Fits, fewest: int, tables: Tables) -> Iterable[int]:
    """Yield the larger numbers of GPUs that a replica can have there, smallest first."""
    hard = tables.behaviour_of(offer).max_gpus_hard
    most = offer.gpus_max if hard is None else min(offer.gpus_max, hard)
    count = 2 * fewest
    while count <= most and isinstance(fits.on(offer.gpu, count), ServingSpeed):
        yield count
        count *= 2


def _at_most(offer: Offer) -> str:
    return f"at most {offer.gpus_max}" if offer.gpus_min < offer.gpus_max else f"{offer.gpus_max}"
