"""What of a shared plan is whose: requests, waits, and the bill, by the trace each request is from.

A bill is split by busy seconds: each moment in which replicas are busy is split evenly among the
requests on them then, and all the rest of the bill (starts, idle time, fees) follows. Beside it
stands what each trace costs on replicas of its own. The models are the same for all.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from frontier import spell
from frontier.errors import FrontierError
from frontier.plans.plan import Plan
from frontier.plans.scenario import Scenario
from frontier.simulate import RunResult
from frontier.study import Study, simulate, study_of
from frontier.sweep import Deal, Outcome, rerun
from frontier.tables import Tables
from frontier.trace import Together, Trace
from frontier.verdict import PlanFacts, named

SPLIT_WORDS = (
    "The bill is split by busy seconds: each moment in which replicas are busy evenly among the "
    "requests on them then; starts, idle time and fees follow. The model is the same for all."
)

_TAIL = 99
_CENTS = 100
Tick = Callable[[], None]


@dataclass(frozen=True, slots=True)
class OriginShare:
    """What of a plan's run and bill is of one trace.

    Attributes
    ----------
    name : str
        Of the trace.
    requests : int
    prompt_tokens, output_tokens : int
        Of all of them.
    p50_ttft_s, p99_ttft_s : float
        Observed values; infinite where so many are refused; NaN without a request [s].
    waited_on_start : int
        Requests that waited on a start.
    refused : int
        Requests that were not served.
    busy_share : float
        Of the busy seconds, and so of the bill [1].
    usd_per_month : float
        That share of the bill, in whole cents that add up to it [$].
    """

    name: str
    requests: int
    prompt_tokens: int
    output_tokens: int
    p50_ttft_s: float
    p99_ttft_s: float
    waited_on_start: int
    refused: int
    busy_share: float
    usd_per_month: float


@dataclass(frozen=True, slots=True)
class Apart:
    """What one trace would cost on replicas of its own.

    Attributes
    ----------
    name : str
    plan : PlanFacts or None
        Its cheapest plan within the limit; None where there is none.
    why : str
        Why there is none; empty otherwise.
    """

    name: str
    plan: PlanFacts | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class ServedApart:
    """Each trace apart, beside all of them together.

    Attributes
    ----------
    parts : tuple of Apart
    together : PlanFacts or None
        The cheapest plan within the limit for all of them.
    usd_apart : float
        Sum of the parts' plans; NaN where one has none [$/month].
    """

    parts: tuple[Apart, ...]
    together: PlanFacts | None
    usd_apart: float


def by_origin(study: Study, outcome: Outcome, together: Together) -> tuple[OriginShare, ...]:
    """Return what of a plan is whose, in the order of the names.

    Parameters
    ----------
    study : Study
        Of ``together.trace``.
    outcome : Outcome
        One of the study's plans.
    """
    trace = together.trace
    result = rerun(outcome, trace)
    shares = busy_shares(result, outcome.plan, trace, together.origin, len(together.names))
    cents = _whole_cents(study.usd_per_month(outcome), shares)
    found = []
    for at, name in enumerate(together.names):
        own = together.origin == at
        ttft_s = result.ttft_s[own]
        found.append(
            OriginShare(
                name=name,
                requests=int(own.sum()),
                prompt_tokens=int(trace.prompt_tokens[own].sum(dtype=np.int64)),
                output_tokens=int(trace.output_tokens[own].sum(dtype=np.int64)),
                p50_ttft_s=_percentile(ttft_s, 50),
                p99_ttft_s=_percentile(ttft_s, _TAIL),
                waited_on_start=int(result.waited_on_start[own].sum()),
                refused=int(result.rejected[own].sum()),
                busy_share=float(shares[at]),
                usd_per_month=cents[at],
            )
        )
    return tuple(found)


def busy_shares(
    result: RunResult, plan: Plan, trace: Trace, origin: NDArray[np.int8], names: int
) -> NDArray[np.float64]:
    """Return the share of the busy seconds of each trace, shape (names,); they add up to 1.

    Between two events ``n`` requests are on replicas, of which ``min(n, replicas)`` are busy where
    requests are spread, else as many as are needed at the target concurrency; each request bears
    an equal part of them.
    """
    begin_s = trace.arrival_s + result.start_wait_s + result.slot_wait_s
    end_s = result.finish_s - result.delay_s
    served = np.flatnonzero(~result.rejected & (begin_s < result.horizon_s))
    if not served.size:
        counts = np.bincount(origin, minlength=names)
        return counts / counts.sum()
    begin_s, whose = begin_s[served], origin[served]
    end_s = np.minimum(end_s[served], result.horizon_s)
    times_s = np.concatenate([begin_s, end_s])
    order = np.argsort(times_s, kind="stable")
    steps = np.concatenate([np.ones(served.size), -np.ones(served.size)])[order]
    lasts_s = np.diff(times_s[order], append=times_s[order[-1]])
    here = np.cumsum(steps)
    policy = plan.policy
    if policy.routing == "pack":
        target = policy.target_concurrency or plan.speed.max_sequences
        busy = np.minimum(np.ceil(here / max(target, 1.0)), policy.max_replicas)
    else:
        busy = np.minimum(here, policy.max_replicas)
    each = np.divide(busy, here, out=np.zeros_like(here), where=here > 0) * lasts_s
    both = np.concatenate([whose, whose])[order]
    borne = np.empty(names)
    for at in range(names):
        borne[at] = float(np.cumsum(np.where(both == at, steps, 0.0)) @ each)
    total = borne.sum()
    if not total > 0.0:
        counts = np.bincount(whose, minlength=names)
        return counts / counts.sum()
    return borne / total


def served_apart(study: Study, together: Together, *, tick: Tick | None = None) -> ServedApart:
    """Return what each trace costs on replicas of its own, at its cheapest plan within the limit.

    All are of one account: its platform fee and its free credit are counted once, with the trace
    that has most requests.
    """
    sizes = np.bincount(together.origin, minlength=len(together.names))
    largest = together.names[int(sizes.argmax())]
    parts = tuple(
        _apart(
            study.deployment.scenario,
            name,
            together.part(name),
            study,
            study.deal if name == largest else _without_fees(study.deal),
            tick,
        )
        for name in together.names
    )
    usd = [part.plan.usd_per_month if part.plan is not None else math.nan for part in parts]
    served = [cost for part, cost in zip(parts, usd, strict=True) if part.why != _NOTHING]
    return ServedApart(parts, study.verdict.cheapest_within, math.fsum(served))


def sharing_in_words(found: ServedApart, limit_s: float) -> str:
    """Return whether sharing is the cheaper way, and by how much."""
    whole, limit = found.together, spell.seconds(limit_s)
    if whole is None:
        return f"No plan holds p99 ≤ {limit} for all of them together."
    words = f"Together: {named(whole, brief=True)}, {spell.dollars(whole.usd_per_month)} a month"
    if math.isnan(found.usd_apart):
        none = ", ".join(
            part.name for part in found.parts if part.plan is None and part.why != _NOTHING
        )
        return f"{words}; apart, no plan holds p99 ≤ {limit} for {none}."
    more = found.usd_apart - whole.usd_per_month
    if abs(more) < 1 / _CENTS:
        return f"{words}, as much as each on replicas of its own."
    return (
        f"{words}; each on replicas of its own, {spell.dollars(found.usd_apart)}: sharing is "
        f"{spell.dollars(abs(more))} a month {'cheaper' if more > 0 else 'dearer'}."
    )


def origins_table(shares: Sequence[OriginShare], apart: ServedApart) -> pd.DataFrame:
    """Return one row a trace: what of the shared plan is its, and what it costs apart.

    Returns
    -------
    DataFrame
        trace, requests, prompt_tokens, output_tokens, p50_ttft_s, p99_ttft_s, waited_on_start,
        refused, busy_share, usd_per_month; apart_plan (empty: there is none), apart_usd_per_month,
        apart_p99_ttft_s, apart_why (why there is none).
    """
    rows = []
    for share, own in zip(shares, apart.parts, strict=True):
        row = dataclasses.asdict(share)
        rows.append(
            {
                "trace": row.pop("name"),
                **row,
                "apart_plan": "" if own.plan is None else named(own.plan),
                "apart_usd_per_month": math.nan if own.plan is None else own.plan.usd_per_month,
                "apart_p99_ttft_s": math.nan if own.plan is None else own.plan.p99_ttft_s,
                "apart_why": own.why,
            }
        )
    return pd.DataFrame(rows)


_NOTHING = "no request in the time that counts"


def _apart(
    scenario: Scenario,
    name: str,
    trace: Trace | None,
    study: Study,
    deal: Deal,
    tick: Tick | None,
) -> Apart:
    if trace is None:
        return Apart(name, None, _NOTHING)
    tables: Tables = study.tables
    try:
        found = simulate(
            scenario, trace, tables, progress=None if tick is None else lambda *_: tick()
        )
        own = study_of(found, tables, limit_s=study.limit_s, deal=deal)
    except FrontierError as error:
        return Apart(name, None, str(error))
    plan = own.verdict.cheapest_within
    return Apart(name, plan, "" if plan is not None else own.verdict.answer)


def _without_fees(deal: Deal) -> Deal:
    serverless, machines = (
        dataclasses.replace(terms, platform_fee=False, free_credit=False)
        for terms in (deal.serverless, deal.machines)
    )
    return dataclasses.replace(deal, serverless=serverless, machines=machines)


def _percentile(values: NDArray[np.float64], q: float) -> float:
    if not values.size:
        return math.nan
    return float(np.percentile(values, q, method="inverted_cdf"))


def _whole_cents(usd: float, shares: NDArray[np.float64]) -> list[float]:
    """Return an amount in parts of whole cents that add up to it, to the cent.

    Each part is rounded down, and the cents that are left go to those that lost most.
    """
    cents = round(usd * _CENTS)
    exact = shares * cents
    parts = np.floor(exact).astype(np.int64)
    left = cents - int(parts.sum())
    for at in np.argsort(parts - exact, kind="stable")[:left]:
        parts[at] += 1
    return [float(part) / _CENTS for part in parts]
