"""What it takes to hold a limit: the question, and its answer as facts."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from dataclasses import dataclass

from frontier.errors import InfeasibleError
from frontier.market import ON_DEMAND
from frontier.market.wanted import Fits, reason_against
from frontier.plans.scenario import Scenario
from frontier.reach.beside import Beside, Failure, beside, failure_of, settle
from frontier.reach.hours import hours_to_try
from frontier.reach.places import Place, places_of
from frontier.reach.search import Search
from frontier.reach.trials import Deals, Progress, Trial
from frontier.serving import precisions_of
from frontier.sweep import LIST_DEAL, tolerance_of
from frontier.tables import Offer, Tables
from frontier.trace import Trace


@dataclass(frozen=True, slots=True, eq=False)
class Reached:
    """What it takes to hold a limit, and what stands next to it.

    Attributes
    ----------
    provider : str or None
        Whose offers were searched; None: those of several.
    who : str
        The same in words: "Modal", "any provider", "these offers".
    limit_s : float
        On p99 TTFT [s].
    requests, span_s : int, float
        Of the traffic; its length [s].
    has_date : bool
        Whether it says on which day it begins.
    found : Trial or None
        The cheapest plan found within the limit; None where none was.
    simpler : Trial or None
        One with fewer things to set that costs as good as the same, if there is one.
    beside : tuple of Beside
        The nearest cheaper plan of each direction.
    nearest : Trial or None
        Of all plans simulated the one with the least p99, where none holds the limit.
    failure : Failure or None
        Why that one misses it.
    fastest_place : Place
        Where a prompt alone takes least.
    tried : tuple of Trial
        Every plan that was simulated.
    places : int
        Offers with a number of GPUs that were looked at.
    unable : dict of str to str
        Why other offers cannot run the model, by offer.
    open_kinds : int
        Kinds of plan (a place with a number of kept replicas) that could still be cheaper and were
        not searched to the end.
    other : Trial or None
        The cheapest in another precision, where that was asked for and costs less.
    """

    scenario: Scenario
    provider: str | None
    who: str
    limit_s: float
    requests: int
    span_s: float
    has_date: bool
    found: Trial | None
    simpler: Trial | None
    beside: tuple[Beside, ...]
    nearest: Trial | None
    failure: Failure | None
    fastest_place: Place
    tried: tuple[Trial, ...]
    places: int
    unable: dict[str, str]
    open_kinds: int
    other: Trial | None


def able_providers(
    scenario: Scenario, trace: Trace, tables: Tables, kinds: Iterable[str] = ON_DEMAND
) -> tuple[str, ...]:
    """Return the providers with an offer on demand that can run the model, by name."""
    fits = Fits(scenario, trace, tables)
    able = {
        offer.provider
        for offer in tables.offers.values()
        if offer.kind in kinds
        and not reason_against(offer, fits.on(offer.gpu, scenario.gpus_per_replica), tables)
    }
    return tuple(sorted(able, key=str.casefold))


def offers_of(provider: str | None, tables: Tables) -> tuple[Offer, ...]:
    """Return the offers of a provider, or of all, that bind nobody and are not taken away."""
    return tuple(
        offer
        for offer in tables.offers.values()
        if offer.kind in ON_DEMAND and provider in (None, offer.provider)
    )


def what_it_takes(
    scenario: Scenario,
    trace: Trace,
    tables: Tables,
    *,
    limit_s: float,
    provider: str | None = None,
    offers: Iterable[Offer] | None = None,
    deals: Deals = lambda offer: LIST_DEAL,
    any_precision: bool = False,
    progress: Progress | None = None,
) -> Reached:
    """Search the cheapest way to hold a limit at the offers of a provider.

    Over kept replicas and their hours, idle timeout, mitigations, buffer, target, GPUs and, where
    asked for, precisions; serverless, by the hour, and both together. Each plan follows the
    autoscaler in force, and nothing is tried that the platform does not let a user set.

    Parameters
    ----------
    scenario : Scenario
        Its limit and its offers are not looked at, but that what was changed or measured of a
        start holds for its own platform.
    limit_s : float
        On p99 TTFT [s].
    provider : str, optional
        Anybody's offers if None.
    offers : iterable of Offer, optional
        These, in place of the provider's.
    deals : callable
        Returns the terms of an offer.
    any_precision : bool
        Whether precisions other than the scenario's are searched as well.
    progress : callable, optional
        Called with (done, most) plans; what it raises stops the search.

    Raises
    ------
    InputError
        If a name is unknown.
    InfeasibleError
        If none of the offers can run the model; the message says why the first cannot.
    """
    who = provider or ("any provider" if offers is None else "these offers")
    offers = offers_of(provider, tables) if offers is None else tuple(offers)
    places, unable = places_of(scenario, offers, trace, tables, limit_s=limit_s)
    if not places:
        why = next(iter(unable.values()), f"There is no offer on demand of {who}.")
        raise InfeasibleError(
            f"None of the offers searched ({who}) can run {scenario.model}: {why}"
        )

    def searched(at: tuple[Place, ...], best: Trial | None = None, used: int = 0) -> Search:
        search = Search(
            trace,
            tables,
            limit_s,
            deals=deals,
            hours=hours_to_try(scenario, trace, tables),
            progress=progress,
        )
        search.best = best
        search.most_runs -= used
        search.search(at)
        settle(search)
        return search

    search = searched(places)
    found, other, open_kinds = search.best, None, search.open_kinds
    tried = tuple(search.trials.values())
    if any_precision:
        for precision in precisions_of(tables.model(scenario.model)):
            if precision == scenario.precision:
                continue
            changed = dataclasses.replace(scenario, precision=precision)
            more, _ = places_of(changed, offers, trace, tables, limit_s=limit_s)
            again = searched(more, other or found, len(tried))
            if again.best is not (other or found):
                other = again.best
            open_kinds += again.open_kinds
            tried += tuple(again.trials.values())
    nearest = None
    if found is None and search.trials:
        ranked = search.trials.values()
        least_s = min(trial.p99_s for trial in ranked)
        slack_s = float(tolerance_of(tables).of_wait(least_s)) if math.isfinite(least_s) else 0.0
        nearest = min(
            (trial for trial in ranked if trial.p99_s <= least_s + slack_s),
            key=lambda trial: trial.usd_per_month,
        )
    return Reached(
        scenario=scenario,
        provider=provider,
        who=who,
        limit_s=limit_s,
        requests=int(trace.arrival_s.size),
        span_s=trace.horizon_s,
        has_date=trace.t0_utc is not None,
        found=found,
        simpler=None if found is None else _simpler(search, found, tables),
        beside=() if found is None else beside(search, found),
        nearest=nearest,
        failure=None if nearest is None else failure_of(search, nearest),
        fastest_place=min(places, key=lambda place: place.prompt_s),
        tried=tried,
        places=len(places),
        unable=unable,
        open_kinds=open_kinds,
        other=other,
    )


def _simpler(search: Search, found: Trial, tables: Tables) -> Trial | None:
    """Return the plan with the fewest things to set among those that cost as good as the same."""
    most = found.usd_per_month * (1 + tables.setting("cost_tolerance"))
    able = [
        trial
        for trial in search.trials.values()
        if search.holds(trial)
        and trial.usd_per_month <= most
        and trial.settings.parts < found.settings.parts
    ]
    return min(able, key=lambda one: (one.settings.parts, one.usd_per_month), default=None)
