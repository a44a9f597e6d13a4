"""The figures of two scenarios and what lies between them; nothing is simulated here.

A is the pinned scenario, B the present one; a difference is B less A. Plans are compared by what
they are for: the answer of each, scale-to-zero as shipped, what is always on.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from frontier import spell, units
from frontier.against.inputs import Input, inputs_of
from frontier.billing import BillBasis
from frontier.study import Study
from frontier.verdict import PlanFacts, Saving, Verdict, saving_of, used_gpu_h

ANSWER, SHIPPED, KEPT = "answer", "shipped", "kept"
ROLES = {
    ANSWER: "The answer",
    SHIPPED: "Scale-to-zero as shipped",
    KEPT: "Machines that are kept",
}
"""What a plan is compared as, and its heading."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure of both scenarios.

    Attributes
    ----------
    key, label : str
    a, b : float or None
        None where a scenario has no such figure; infinite where more than one request in a
        hundred is refused.
    write : callable
        Puts a value into words, its unit with it.
    """

    key: str
    label: str
    a: float | None
    b: float | None
    write: Callable[[float], str]

    @property
    def change(self) -> float | None:
        """B less A; None where one of them has none, or both are infinite."""
        if self.a is None or self.b is None or (math.isinf(self.a) and math.isinf(self.b)):
            return None
        return self.b - self.a

    @property
    def words(self) -> tuple[str, str, str]:
        """A, B and B less A, in words: "$1,095", "$885", "−$210"."""
        change = self.change
        return (
            _or_none(self.a, self.write),
            _or_none(self.b, self.write),
            "" if change is None else signed(change, self.write),
        )


@dataclass(frozen=True, slots=True)
class Pair:
    """One plan of each scenario that is for the same thing, and how their figures differ.

    Attributes
    ----------
    role : str
        A key of `ROLES`.
    a, b : PlanFacts or None
    differences : tuple of Difference
    saving : Saving or None
        What the difference of the two bills is made of, B less A. [$/month]
    """

    role: str
    a: PlanFacts | None
    b: PlanFacts | None
    differences: tuple[Difference, ...]
    saving: Saving | None

    def __getitem__(self, key: str) -> Difference:
        """Return the difference of that key."""
        return next(one for one in self.differences if one.key == key)


@dataclass(frozen=True, slots=True, eq=False)
class Against:
    """Two scenarios: what differs between them, and what comes of it.

    Attributes
    ----------
    a, b : Study
        The pinned scenario, and the present one.
    inputs : tuple of Input
        Those that differ.
    pairs : tuple of Pair
        By role; those that neither has are left out.
    break_even : Difference
        The first request rate at which the two plans of each headline cost the same.
    """

    a: Study
    b: Study
    inputs: tuple[Input, ...]
    pairs: tuple[Pair, ...]
    break_even: Difference

    @property
    def is_short(self) -> bool:
        """Whether one of them saw less than a day, so that a month would say too much."""
        return self.a.verdict.is_short or self.b.verdict.is_short

    @property
    def answer(self) -> Pair | None:
        """The plans of the two answers."""
        return next((pair for pair in self.pairs if pair.role == ANSWER), None)


def against(a: Study, b: Study) -> Against:
    """Compare two studies, A the pinned one and B the present one."""
    pairs = []
    for role in ROLES:
        one, other = _plan(a.verdict, role), _plan(b.verdict, role)
        if one is not None or other is not None:
            pairs.append(_pair(role, a, one, b, other))
    return Against(
        a=a,
        b=b,
        inputs=inputs_of(a, b),
        pairs=tuple(pairs),
        break_even=Difference(
            "break_even",
            "Break-even, requests a day",
            _crossing(a.verdict),
            _crossing(b.verdict),
            spell.significant,
        ),
    )


def difference_table(found: Against) -> pd.DataFrame:
    """Return every figure of the comparison: role, figure, a, b, change; unrounded."""
    rows = [
        {"role": ROLES[pair.role], "plan_a": _label(pair.a), "plan_b": _label(pair.b)} | cells
        for pair in found.pairs
        for cells in map(_cells, pair.differences)
    ]
    rows.append({"role": "", "plan_a": "", "plan_b": ""} | _cells(found.break_even))
    return pd.DataFrame(rows)


def signed(change: float, write: Callable[[float], str]) -> str:
    """Return a difference in words with its sign; "same" where nothing of it would show."""
    if not change:
        return "same"
    return f"{'+' if change > 0 else '−'}{write(abs(change))}"


def _label(plan: PlanFacts | None) -> str:
    return "" if plan is None else f"{plan.vendor} {plan.gpu}, {plan.policy}"


def _cells(one: Difference) -> dict[str, object]:
    return {"figure": one.label, "a": one.a, "b": one.b, "change": one.change}


def _plan(verdict: Verdict, role: str) -> PlanFacts | None:
    """Return the plan of a verdict for a role; the answer is the fastest where none holds."""
    if role == SHIPPED:
        return verdict.shipped
    if role == KEPT:
        return verdict.rival
    return verdict.cheapest_within or verdict.fastest


def _crossing(verdict: Verdict) -> float | None:
    found = verdict.break_even
    return found.crossings[0].at_per_day if found is not None and found.crossings else None


def _pair(role: str, a: Study, one: PlanFacts | None, b: Study, other: PlanFacts | None) -> Pair:
    def differ(
        key: str,
        label: str,
        value: Callable[[Study, PlanFacts], float],
        write: Callable[[float], str],
    ) -> Difference:
        sides = ((a, one), (b, other))
        x, y = (None if plan is None else value(study, plan) for study, plan in sides)
        return Difference(key, label, x, y, write)

    differences = (
        differ(
            "usd",
            "Dollars a month",
            lambda _, plan: plan.usd_per_month,
            spell.dollars,
        ),
        differ("p99", "p99 TTFT", lambda _, plan: plan.p99_ttft_s, spell.seconds),
        differ(
            "over",
            "Over the limit, of 1,000",
            lambda _, plan: plan.over_of_thousand,
            _whole,
        ),
        differ(
            "waiting",
            "Waiting on a start, of 1,000",
            lambda _, plan: plan.waiting_of_thousand,
            _whole,
        ),
        differ("gpu_h", "GPU-hours a month", _gpu_h, spell.significant),
        differ("starts", "Cold starts a day", _starts, spell.significant),
    )
    saving = None
    if one is not None and other is not None:
        saving = saving_of(other, _basis(b, other), one, _basis(a, one))
    return Pair(role, one, other, differences, saving)


def _gpu_h(study: Study, plan: PlanFacts) -> float:
    return used_gpu_h(_basis(study, plan))


def _starts(study: Study, plan: PlanFacts) -> float:
    days = study.trace.horizon_s / units.SECONDS_PER_DAY
    return study.outcomes[plan.plan_id].starts / days


def _basis(study: Study, plan: PlanFacts) -> BillBasis:
    return study.basis(study.outcomes[plan.plan_id])


def _whole(value: float) -> str:
    return f"{value:,.0f}"


def _or_none(value: float | None, write: Callable[[float], str]) -> str:
    return "none" if value is None else write(value)
