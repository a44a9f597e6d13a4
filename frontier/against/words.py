"""A comparison in words: one line beside the answer, and a sentence for each thing that differs.

Every number is a difference of two facts of the verdicts; A is the pinned scenario, B the present
one.
"""

from __future__ import annotations

import math

from frontier import hourly, spell
from frontier.against.differences import Against, Pair, signed
from frontier.verdict import PlanFacts, Verdict, named, price

_SAME_USD = 0.005


def line(found: Against) -> str:
    """Return the difference in one line: "Against your pin A: −$210 a month, p99 +1.3 s."."""
    if not found.inputs:
        return "Your pin A is this very scenario."
    pair = found.answer
    if pair is None or pair.a is None or pair.b is None:
        return f"Against your pin A: {_missing(found)}"
    usd, p99 = pair["usd"].change or 0.0, pair["p99"].change
    money = signed(usd, lambda change: _amount(found, change))
    if _cost_the_same(pair.a, pair.b):
        money = "the same cost"
    return f"Against your pin A{_stand_in(found)}: {money}, {_p99(pair, p99)}."


def _stand_in(found: Against) -> str:
    """Return which answers are none: the fastest plan is compared where none holds a limit."""
    lacking = [
        name
        for name, study in (("A", found.a), ("B", found.b))
        if study.verdict.cheapest_within is None
    ]
    if not lacking:
        return ""
    if len(lacking) == 2:
        return " (no plan holds either limit, so by the fastest of each)"
    return f" (no plan holds the limit of {lacking[0]}, so by its fastest)"


def sentences(found: Against) -> tuple[str, ...]:
    """Return what the comparison comes to: each answer, what they differ by, and by what cause."""
    said = [
        f"A: {_answer(found.a.verdict)}",
        f"B: {_answer(found.b.verdict)}",
    ]
    pair = found.answer
    if pair is not None and pair.a is not None and pair.b is not None:
        said.append(_differ(found, pair, pair.a, pair.b))
        said.append(_why(found, pair))
    said.append(_limits(found))
    shorter = min((found.a.verdict, found.b.verdict), key=lambda verdict: verdict.span_s)
    said.append(hourly.against_month(shorter.span_s, shorter.hours_per_month))
    return tuple(sentence for sentence in said if sentence)


def _answer(verdict: Verdict) -> str:
    return verdict.answer


def _missing(found: Against) -> str:
    lacking = [
        name
        for name, plan in (
            ("A", found.answer and found.answer.a),
            ("B", found.answer and found.answer.b),
        )
        if plan is None
    ]
    both = len(lacking) > 1
    return f"{' and '.join(lacking)} {'have' if both else 'has'} no plan that serves the traffic."


def _amount(found: Against, usd_per_month: float) -> str:
    """Return money in words: a month, or an hour where either saw less than a day."""
    if found.is_short:
        return f"{spell.dollars(usd_per_month / found.b.verdict.hours_per_month)} an hour"
    return f"{spell.dollars(usd_per_month)} a month"


def _price(found: Against, verdict: Verdict, plan: PlanFacts) -> str:
    """Return what a plan costs, in the unit of the difference where the two have not one unit."""
    if verdict.is_short == found.is_short:
        return price(verdict, plan)
    return _amount(found, plan.usd_per_month)


def _p99(pair: Pair, change: float | None) -> str:
    if change is None:
        return "no p99 in either"
    if math.isinf(change):
        return "no p99 in B" if change > 0 else "no p99 in A"
    return "the same p99" if not change else f"p99 {signed(change, spell.seconds)}"


def _differ(found: Against, pair: Pair, a: PlanFacts, b: PlanFacts) -> str:
    usd, p99 = pair["usd"].change or 0.0, pair["p99"].change
    if _cost_the_same(a, b):
        words = "B costs the same as A"
    else:
        way = "less" if usd < 0 else "more"
        words = f"B costs {_amount(found, abs(usd))} {way} than A"
    words += f" ({named(b)} at {_price(found, found.b.verdict, b)}, {named(a)} at "
    words += f"{_price(found, found.a.verdict, a)})"
    if p99 is None or math.isinf(p99):
        return f"{words}; {_p99(pair, p99)}."
    if not p99:
        return f"{words}, and one request in a hundred waits as long."
    way = "shorter" if p99 < 0 else "longer"
    joint = "and" if (p99 < 0) == (usd < 0) else "but"
    return f"{words}, {joint} its p99 is {spell.seconds(abs(p99))} {way}."


def _why(found: Against, pair: Pair) -> str:
    """Return what the difference of the two bills is made of; the parts add up to it."""
    if pair.saving is None or found.is_short or abs(pair.saving.usd) < _SAME_USD:
        return ""
    parts = [
        f"{name} {signed(usd, spell.dollars)}"
        for name, usd in pair.saving.parts.items()
        if abs(usd) >= _SAME_USD
    ]
    return f"Of that: {', '.join(parts)} a month."


def _limits(found: Against) -> str:
    a, b = found.a.limit_s, found.b.limit_s
    if a == b:
        return ""
    return f"They are held to different limits: A to {spell.seconds(a)}, B to {spell.seconds(b)}."


def _cost_the_same(a: PlanFacts, b: PlanFacts) -> bool:
    return abs(a.usd_per_month - b.usd_per_month) < _SAME_USD
