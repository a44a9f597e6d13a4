"""The market as a price list of waiting: the cheapest plan under each of several limits.

The rules are those of the market's answer: the cheapest offer on demand, with what would cost less
bound for a term or on spot machines beside it. Another limit simulates and bills nothing anew.
How far the p99 of a rung may lie off by luck is `luck_of`, which takes longer.

Left out: limits between the steps of the list, which `charts.ladder_chart` draws from the plans
themselves.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from frontier import spell
from frontier.crew import THREADS, Crew, Progress
from frontier.market import (
    EVERYTHING,
    Choice,
    Deals,
    Keeps,
    Market,
    MarketAnswer,
    Pick,
    Wanted,
    answer_of,
    cost_of,
    markets,
)
from frontier.plans.scenario import Scenario
from frontier.ranges import NOT_SURE, Ranges, luck_ranges
from frontier.sweep import LIST_DEAL, Deal, Outcome, simulate_plans
from frontier.tables import Tables
from frontier.trace import Trace

# Dollars a month that nobody would call a difference.
_NOTHING_USD = 0.005


@dataclass(frozen=True, slots=True)
class Rung:
    """One limit of the ladder and what it comes to.

    Attributes
    ----------
    limit_s : float
        On p99 TTFT. [s]
    is_own : bool
        Whether it is the limit that was asked for.
    answer : MarketAnswer
        Of the market under this limit; its ``best`` is None where no offer on demand holds it.
    run : str
        Which of the ladder's outcomes is that of the best plan; empty without one.
    over_of_thousand : int or None
        Requests of 1,000 that wait longer than the limit under the best plan, rounded up.
    saves_usd, saves_share : float or None
        Against the step before that is held: dollars a month, and the share of its bill; None for
        the first one. [$/month], [1]
    is_same : bool
        Whether the plan is that of the step before.
    """

    limit_s: float
    is_own: bool
    answer: MarketAnswer
    run: str
    over_of_thousand: int | None
    saves_usd: float | None
    saves_share: float | None
    is_same: bool

    @property
    def best(self) -> Pick | None:
        """The cheapest offer on demand that holds the limit."""
        return self.answer.best


@dataclass(frozen=True, slots=True, eq=False)
class Ladder:
    """The rungs, tightest limit first, and the market under each.

    Attributes
    ----------
    rungs : tuple of Rung
    markets : tuple of Market
    outcomes : mapping of str to Outcome
        What the best plan of each rung did, by `Rung.run`.
    """

    rungs: tuple[Rung, ...]
    markets: tuple[Market, ...]
    outcomes: Mapping[str, Outcome]

    @property
    def own(self) -> Rung:
        """The rung of the limit that was asked for."""
        return next(rung for rung in self.rungs if rung.is_own)


def limits_of(tables: Tables, own_s: float, others_s: Iterable[float] = ()) -> tuple[float, ...]:
    """Return the limits of data/limits.csv, with one's own and others, tightest first [s]."""
    listed = (row.limit_s for row in tables.limits.values())
    return tuple(sorted({*listed, own_s, *others_s}))


def ladder(
    scenario: Scenario,
    trace: Trace,
    tables: Tables,
    *,
    limits_s: Iterable[float],
    own_s: float,
    kept: Keeps,
    today: dt.date,
    wanted: Wanted = EVERYTHING,
    deals: Deals = lambda offer: LIST_DEAL,
    progress: Progress | None = None,
    crew: Crew = THREADS,
) -> Ladder:
    """Return the cheapest plan of the market under each limit, and what each step saves.

    Parameters
    ----------
    limits_s : iterable of float
        On p99 TTFT; ``own_s`` is put among them. [s]

    Others as of `market.market`, with the same errors.
    """
    limits = tuple(sorted({*limits_s, own_s}))
    found = markets(
        scenario,
        trace,
        tables,
        limits_s=limits,
        kept=kept,
        today=today,
        wanted=wanted,
        deals=deals,
        progress=progress,
        crew=crew,
    )
    answers = [answer_of(market) for market in found]
    choices = {
        _run(answer.best): _choice_of(market, answer.best)
        for market, answer in zip(found, answers, strict=True)
        if answer.best is not None
    }
    # The market keeps percentiles alone.
    plans = [choice.plan for choice in choices.values()]
    outcomes = dict(zip(choices, simulate_plans(plans, trace, tables, crew=crew), strict=True))
    rungs: list[Rung] = []
    before: Pick | None = None
    for limit_s, answer in zip(limits, answers, strict=True):
        best = answer.best
        saves = None if best is None or before is None else _saves(before, best)
        over = None
        if best is not None:
            over = int(np.count_nonzero(outcomes[_run(best)].ttft_of_thousand_s > limit_s))
        rungs.append(
            Rung(
                limit_s,
                limit_s == own_s,
                answer,
                "" if best is None else _run(best),
                over,
                saves,
                None if saves is None or before is None else _share(saves, before),
                is_same=best is not None and before is not None and _run(best) == _run(before),
            )
        )
        before = best or before
    return Ladder(tuple(rungs), found, outcomes)


def luck_of(found: Ladder, tables: Tables, *, progress: Progress | None = None) -> Ranges:
    """Return how far the p99 of each rung may lie off by the luck of traffic and starts.

    Parameters
    ----------
    progress : callable, optional
        Called with (done, all) replications; what it raises stops all.

    Returns
    -------
    Ranges
        By `Rung.run`; what they say of dollars is at list prices.
    """
    trace = found.markets[0].trace
    deal = Deal(exact_machine=True)
    return luck_ranges(found.outcomes, found.outcomes, trace, tables, deal=deal, progress=progress)


def state_of_rung(rung: Rung, luck: Ranges | None) -> str:
    """Return whether a rung's p99 holds its limit with other luck; empty where it is not known."""
    known = None if luck is None else luck.plans.get(rung.run)
    return "" if known is None else known.state(rung.limit_s)


def span_in_words(low_s: float, high_s: float) -> str:
    """Return a range of waits [s] in words; one of them where both read the same."""
    low, high = spell.seconds(low_s), spell.seconds(high_s)
    return low if low == high else f"{low} to {high}"


def unsure(found: Ladder, luck: Ranges) -> str:
    """Return in one sentence which rungs are not sure, or why that is not known."""
    if not found.outcomes:
        return ""
    if luck.refused:
        return f"How sure each step is cannot be said: {spell.lower_first(luck.refused)}"
    held = [rung for rung in found.rungs if rung.best is not None]
    unknown = [rung for rung in held if rung.run not in luck.plans]
    doubtful = [rung for rung in held if state_of_rung(rung, luck) == NOT_SURE]
    words = []
    if doubtful:
        words.append(
            f"Not sure: {_limits(doubtful)}. With other luck of traffic and starts the plan there "
            "may miss its limit."
        )
    elif len(unknown) < len(held):
        words.append("With other luck of traffic and starts these plans still hold their limits.")
    if unknown:
        words.append(
            f"The traffic is too short to say it of {_limits(unknown)}, whose plan keeps an idle "
            "replica long."
        )
    return " ".join(words)


def _limits(rungs: Sequence[Rung]) -> str:
    names = [spell.seconds(rung.limit_s) for rung in rungs]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _choice_of(market: Market, best: Pick) -> Choice:
    row = market.row(best.offer_id)
    assert row is not None
    assert row.best is not None
    return row.best


def _run(pick: Pick) -> str:
    """Return what the run of a plan is kept under."""
    return f"{pick.offer_id} {pick.gpus_per_replica} {pick.plan_id}"


def _saves(before: Pick, best: Pick) -> float:
    saved = before.usd_per_month - best.usd_per_month
    return saved if abs(saved) >= _NOTHING_USD else 0.0


def _share(saves_usd: float, before: Pick) -> float:
    return saves_usd / before.usd_per_month if before.usd_per_month else 0.0


def headline(found: Ladder, hours_per_month: float, noun: str = "offer") -> str:
    """Return in one sentence what waiting longer than one's own limit saves.

    Parameters
    ----------
    noun : str
        What the offers that were looked at are called.
    """
    own, last = found.own, found.rungs[-1]
    if own.best is None:
        return _not_held(found, hours_per_month, noun)
    mine, most = spell.seconds(own.limit_s), spell.seconds(last.limit_s)
    cost = cost_of(own.answer, own.best, hours_per_month)
    looser = [rung for rung in found.rungs if rung.limit_s > own.limit_s]
    steps = [rung for rung in looser if rung.saves_usd]
    if not looser:
        return f"Up to {mine} the cheapest plan costs {cost}; no longer wait is on the list."
    if not steps:
        return (
            f"Waiting longer than {mine} saves nothing up to {most}: the cheapest plan stays at "
            f"{cost}."
        )
    step = max(steps, key=lambda rung: rung.saves_usd or 0.0)
    words = (
        f"Waiting up to {spell.seconds(step.limit_s)} instead of {mine} saves "
        f"{_saved(found, own, step, hours_per_month)} of {cost}"
    )
    if steps[-1] is not step:
        end = steps[-1]
        return (
            f"{words}; up to {spell.seconds(end.limit_s)}, "
            f"{_saved(found, own, end, hours_per_month)}."
        )
    return f"{words}." if step is last else f"{words}; up to {most} nothing more."


def beneath(found: Ladder, hours_per_month: float) -> str:
    """Return in one sentence what a tighter limit than one's own costs; empty if none is asked."""
    own = found.own
    tighter = [rung for rung in found.rungs if rung.limit_s < own.limit_s]
    if own.best is None or not tighter:
        return ""
    held = [rung for rung in tighter if rung.best is not None]
    same = [rung for rung in held if rung.best and _saves(rung.best, own.best) <= 0]
    words = []
    if same:
        words.append(f"A limit of {spell.seconds(same[0].limit_s)} costs no more.")
    dearer = [rung for rung in held if rung not in same]
    if dearer:
        next_one = dearer[-1]
        assert next_one.best is not None
        extra = _amount(found, _saves(next_one.best, own.best), hours_per_month)
        words.append(f"A limit of {spell.seconds(next_one.limit_s)} costs {extra} more.")
    if len(held) < len(tighter):
        missed = [rung for rung in tighter if rung.best is None][-1]
        words.append(f"A limit of {spell.seconds(missed.limit_s)} {_reached(missed.answer)}.")
    return " ".join(words)


def _not_held(found: Ladder, hours_per_month: float, noun: str) -> str:
    own = found.own
    if not own.answer.able:
        return f"None of {spell.count(own.answer.offers, noun)} can run this model."
    words = f"No {noun} on demand holds p99 ≤ {spell.seconds(own.limit_s)}"
    first = next(
        (rung for rung in found.rungs if rung.limit_s > own.limit_s and rung.best is not None), None
    )
    if first is None or first.best is None:
        return f"{words}, nor any longer limit of the list."
    return (
        f"{words}: the first step that is held is {spell.seconds(first.limit_s)}, for "
        f"{cost_of(first.answer, first.best, hours_per_month)}."
    )


def _reached(answer: MarketAnswer) -> str:
    fastest = answer.fastest
    if fastest is None or not math.isfinite(fastest.p99_ttft_s):
        return "is held by no offer on demand"
    return (
        f"is held by no offer on demand: the fastest, {fastest.where}, reaches "
        f"{spell.seconds(fastest.p99_ttft_s)}"
    )


def _saved(found: Ladder, own: Rung, rung: Rung, hours_per_month: float) -> str:
    if own.best is None or rung.best is None:
        return ""
    return _amount(found, _saves(own.best, rung.best), hours_per_month)


def _amount(found: Ladder, usd_per_month: float, hours_per_month: float) -> str:
    """Return an amount a month in words; an hour where less than a day was seen."""
    if found.own.answer.is_short:
        return f"{spell.dollars(usd_per_month / hours_per_month)} an hour"
    return f"{spell.dollars(usd_per_month)}"
