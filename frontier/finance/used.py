"""Reserved and used: a million tokens of what is paid for and of what is served, and at an API.

What a replica could serve is what it finishes at its target concurrency, with this traffic's mean
prompt and answer (`plans.scenario.replica_rps`). Full machines queue, so a plan that holds a limit
never gets there: what is reserved is a floor under what is used. Machines that are always on cost
the same whatever they serve, so against an API break-even is a division.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from frontier import spell, units
from frontier.billing import TokenPrice
from frontier.plans.scenario import replica_rps
from frontier.study import Study
from frontier.sweep import Outcome


@dataclass(frozen=True, slots=True)
class Used:
    """A plan's tokens: paid for, and served.

    Attributes
    ----------
    label : str
    usd_per_day : float
        [$/day]
    requests_per_day, tokens_per_request : float
        Of the traffic.
    full_requests_per_day : float
        What the replicas that have room on what is paid for would finish, always at their target
        concurrency; or what comes, where they hold more at once than that and it is more.
    running, room : int
        Replicas that are always on, and those that their machines could hold; 0 of both where
        they come and go.
    is_always_on : bool
        Whether it costs the same at any traffic.
    """

    label: str
    usd_per_day: float
    requests_per_day: float
    tokens_per_request: float
    full_requests_per_day: float
    is_always_on: bool
    running: int = 0
    room: int = 0

    @property
    def utilisation(self) -> float:
        """Tokens served over tokens that could be [1]."""
        return self.requests_per_day / self.full_requests_per_day

    @property
    def is_past_target(self) -> bool:
        """Whether its replicas serve all that they would at their target concurrency, or more."""
        return self.requests_per_day >= self.full_requests_per_day

    @property
    def usd_per_mtok_used(self) -> float:
        """Dollars for a million tokens served."""
        return self.usd_per_mtok_at(self.requests_per_day)

    @property
    def usd_per_mtok_reserved(self) -> float:
        """Dollars for a million tokens that could be served."""
        return self.usd_per_mtok_at(self.full_requests_per_day)

    def usd_per_mtok_at(self, requests_per_day: float) -> float:
        """Return dollars for a million tokens if so many requests came, the bill as it is."""
        tokens = requests_per_day * self.tokens_per_request
        return self.usd_per_day / tokens * units.TOKENS_PER_MTOK if tokens else math.nan


@dataclass(frozen=True, slots=True)
class ApiCost:
    """What the traffic costs at a per-token API.

    Attributes
    ----------
    label : str
        Provider, or whose price it is.
    price : TokenPrice
    cached_share : float
        Of input tokens, billed at the price of cached ones; 0 where that price is not stated. [1]
    usd_per_mtok, usd_per_request, usd_per_month : float
    source_id, priced_on, note : str
        Empty for a price that the reader gave.
    """

    label: str
    price: TokenPrice
    cached_share: float
    usd_per_mtok: float
    usd_per_request: float
    usd_per_month: float
    source_id: str = ""
    priced_on: str = ""
    note: str = ""


def used_of(study: Study, outcome: Outcome) -> Used:
    """Return what a plan reserves and what of it this traffic uses."""
    trace, plan, day_s = study.trace, outcome.plan, units.SECONDS_PER_DAY
    facts, requests = study.facts(outcome), int(trace.arrival_s.size)
    held, per_day = outcome.seconds.held_s / outcome.horizon_s, requests / trace.horizon_s * day_s
    running = room = 0
    if facts.is_always_on and facts.machines is not None:
        running = facts.kept
        # GPUs of a machine that nobody uses are paid for: more replicas there cost nothing more.
        room = facts.machines.count * (facts.machines.gpus_each // facts.gpus_per_replica)
        held *= max(room / running, 1.0)
    return Used(
        label=plan.label,
        usd_per_day=study.bill(outcome).usd_span / outcome.horizon_s * day_s,
        requests_per_day=per_day,
        tokens_per_request=outcome.tokens / requests,
        full_requests_per_day=max(held * day_s * replica_rps(trace, plan.speed), per_day),
        is_always_on=facts.is_always_on,
        running=running,
        room=room,
    )


def apis_of(study: Study, cached_share: float) -> tuple[ApiCost, ...]:
    """Return this traffic at each API whose price for the model is known, the cheapest first.

    Parameters
    ----------
    cached_share : float
        Of input tokens, found in the API's cache. [1]
    """
    model = study.deployment.model.model
    found = [
        _api(
            study,
            row.provider,
            TokenPrice(row.usd_per_mtok_input, row.usd_per_mtok_output, row.usd_per_mtok_cached),
            cached_share,
            (row.source_id, row.priced_on.isoformat(), row.note or ""),
        )
        for row in study.tables.token_apis.values()
        if row.model == model
    ]
    if study.api is not None:
        found.append(_api(study, "Your API", study.api.price, study.api.cached_share))
    return tuple(sorted(found, key=lambda one: one.usd_per_mtok))


def _api(
    study: Study,
    label: str,
    price: TokenPrice,
    cached_share: float,
    said: tuple[str, str, str] = ("", "", ""),
) -> ApiCost:
    trace = study.trace
    share = 0.0 if price.usd_per_mtok_cached is None else cached_share
    usd = price.usd(trace.prompt_tokens, trace.output_tokens, share)
    tokens = float(trace.prompt_tokens.sum() + trace.output_tokens.sum())
    month_s = study.hours_per_month * units.SECONDS_PER_HOUR
    return ApiCost(
        label,
        price,
        share,
        usd / tokens * units.TOKENS_PER_MTOK,
        usd / trace.arrival_s.size,
        usd / trace.horizon_s * month_s,
        *said,
    )


def break_even_per_day(used: Used, api: ApiCost) -> float | None:
    """Return from how many requests a day always-on costs less than an API; None: never.

    Never, where the machines, always full, cost more for a token than the API does: more traffic
    needs more machines. Of a plan that is not always on the bill moves with the traffic: None too.
    """
    if not used.is_always_on or api.usd_per_request <= 0:
        return None
    per_day = used.usd_per_day / api.usd_per_request
    return per_day if per_day <= used.full_requests_per_day else None


def used_in_words(used: Used, apis: tuple[ApiCost, ...]) -> tuple[str, ...]:
    """Return what a plan reserves and uses, and where it meets each API, as sentences."""
    said = [
        f"{used.label} serves as many tokens as its paid hours would at the target concurrency, or "
        f"more: {spell.dollars(used.usd_per_mtok_used)} a million tokens."
        if used.is_past_target
        else f"{used.label} serves {spell.percent(used.utilisation)} of the tokens that its paid "
        f"hours could, at the target concurrency: {spell.dollars(used.usd_per_mtok_used)} a "
        f"million tokens of what is used, {spell.dollars(used.usd_per_mtok_reserved)} of what is "
        "reserved."
    ]
    if used.room > used.running:
        said[0] += (
            f" Its machines have room for {spell.count(used.room, 'replica')}; {used.running} "
            f"{'runs' if used.running == 1 else 'run'}."
        )
    for api in apis:
        cached = f", {spell.percent(api.cached_share)} of input cached" if api.cached_share else ""
        head = f"{api.label}: {spell.dollars(api.usd_per_mtok)} a million tokens{cached}"
        if not used.is_always_on:
            less = api.usd_per_mtok < used.usd_per_mtok_used
            said.append(f"{head}, {'less' if less else 'no less'} than this plan at this traffic.")
            continue
        at = break_even_per_day(used, api)
        if at is None:
            usd = spell.dollars(used.usd_per_mtok_reserved)
            said.append(
                f"{head}: no break-even up to this traffic, at which these machines cost {usd}."
                if used.is_past_target
                else f"{head}: no break-even. Even full, these machines cost {usd}."
            )
        else:
            now = spell.significant(used.requests_per_day)
            said.append(
                f"{head}: these machines cost less from {spell.significant(at)} requests a day on; "
                f"this traffic has {now}."
            )
    return tuple(said)
