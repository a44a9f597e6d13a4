"""A bill beside a prediction: line by line, and which single input would close the gap.

Both are of the hours of the bill. A price, a discount, hours held, the length of starts and idle
time follow from the bill's own arithmetic; the traffic is simulated at other levels of itself. Each
candidate is looked at alone: two that are wrong together may hide each other, and that is not
searched for.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from frontier import spell
from frontier.billing import GPU_LINES, METERED, BillBasis, bill
from frontier.crew import Progress
from frontier.errors import InputError
from frontier.reality.paid import CREDIT, FEE, GPU, HOST, STORAGE, PaidBill
from frontier.study import Study
from frontier.sweep import Outcome, basis_of_outcome, simulate_plans
from frontier.trace import scale_rate
from frontier.units import SECONDS_PER_DAY, SECONDS_PER_HOUR

if TYPE_CHECKING:
    import pandas as pd

KIND_LINES = {
    GPU: GPU_LINES,
    HOST: ("CPU and RAM",),
    STORAGE: ("storage",),
    FEE: ("fees",),
    CREDIT: ("credits",),
}
"""The lines of a bill of this product in each kind of charge of a provider's."""

ALL, HOURS, PRICE = "all", "hours", "price"
_HALVINGS = 7


@dataclass(frozen=True, slots=True)
class Candidate:
    """One input, alone, that would explain what was paid.

    Attributes
    ----------
    name, unit : str
    explains : str
        What of the gap it would close: `ALL`, or `HOURS` or `PRICE` where the bill says its hours.
    predicted : float
        What the prediction has.
    value : float or None
        What would close the gap; None where no value of it does.
    is_plausible : bool
    why : str
        Why it is plausible or not, or why it explains nothing.
    """

    name: str
    unit: str
    explains: str
    predicted: float
    value: float | None
    is_plausible: bool
    why: str


@dataclass(frozen=True, slots=True, eq=False)
class Reality:
    """What was paid beside what was predicted for the same hours.

    Attributes
    ----------
    plan_id, label : str
    paid : PaidBill
    usd_by_kind : dict of str to float
        Predicted, by the kinds of `KIND_LINES`. [$]
    gpu_h, starts : float
        Predicted. [h], [1]
    hours_part_usd, price_part_usd : float or None
        Of the gap: from more or fewer GPU-hours at the predicted price, and the rest, which is
        price; None where the bill says no hours.
    candidates : tuple of Candidate
        Plausible ones first, those that ask for the smaller change before others.
    """

    plan_id: str
    label: str
    paid: PaidBill
    usd_by_kind: dict[str, float]
    gpu_h: float
    starts: float
    hours_part_usd: float | None
    price_part_usd: float | None
    candidates: tuple[Candidate, ...]

    @property
    def usd(self) -> float:
        """Predicted for the hours of the bill [$]."""
        return math.fsum(self.usd_by_kind.values())

    @property
    def gap_usd(self) -> float:
        """Paid beyond what was predicted; negative where less was paid [$]."""
        return self.paid.usd - self.usd


@dataclass(frozen=True, slots=True)
class _Metered:
    """What moves with hours and prices over the hours of a bill, and what does not [$]."""

    used_usd: float
    credit_usd: float
    fixed_usd: float

    def factor(self, paid_usd: float) -> float | None:
        """Return by what all that is metered must be multiplied to be paid so much."""
        if self.used_usd <= 0:
            return None
        found = (paid_usd - self.fixed_usd + self.credit_usd) / self.used_usd
        # Below the credit nothing is paid but fees: many factors come to the same.
        return found if found * self.used_usd > self.credit_usd and found > 0 else None


def compare_bill(
    study: Study, plan_id: str, paid: PaidBill, progress: Progress | None = None
) -> Reality:
    """Set a bill beside the prediction of a plan, and look for what would close the gap.

    Where the bill says its GPU-hours, what explains hours is asked to come to those, and what
    explains the price to come to the dollars that they leave.

    Parameters
    ----------
    progress : callable, optional
        Called with (done, all) levels of traffic; what it raises stops all.
    """
    outcome = study.outcomes[plan_id]
    basis = study.basis(outcome)
    spans = paid.hours * SECONDS_PER_HOUR / basis.horizon_s
    lines = {name: usd * spans for name, usd in bill(basis).lines.items()}
    by_kind = {kind: math.fsum(lines[name] for name in names) for kind, names in KIND_LINES.items()}
    hours = _hours_of(basis, spans)
    gpu_h = math.fsum(hours.values())
    metered = _Metered(
        used_usd=by_kind[GPU] + by_kind[HOST],
        credit_usd=basis.months
        * spans
        * math.fsum(pool.credit_usd_per_month for pool in basis.pools),
        fixed_usd=by_kind[FEE] + by_kind[STORAGE],
    )
    starts = outcome.starts * spans
    asked = _Asked(study, outcome, basis, paid, hours, starts, metered)
    found = [*_prices(asked), *_hours_inputs(asked), _traffic(asked, spans, progress)]
    found.sort(key=lambda one: (not one.is_plausible, _change(one)))
    hours_part = price_part = None
    if paid.gpu_h is not None and gpu_h > 0:
        usd_per_h = metered.used_usd / gpu_h
        hours_part = (paid.gpu_h - gpu_h) * usd_per_h
        price_part = paid.usd - math.fsum(by_kind.values()) - hours_part
    return Reality(
        plan_id=plan_id,
        label=f"{outcome.plan.label} ({outcome.plan.detail})",
        paid=paid,
        usd_by_kind=by_kind,
        gpu_h=gpu_h,
        starts=starts,
        hours_part_usd=hours_part,
        price_part_usd=price_part,
        candidates=tuple(found),
    )


def _hours_of(basis: BillBasis, spans: float) -> dict[str, float]:
    """Return GPU-hours by what they are metered as, over so many spans [h]."""
    found = {
        name: spans
        * math.fsum(float(pool.meters.gpu_s[place].sum()) for pool in basis.pools)
        / SECONDS_PER_HOUR
        for place, name in enumerate(METERED)
    }
    extra_s = math.fsum(pool.extra_start_gpu_s for pool in basis.pools)
    found["starting"] += spans * extra_s / SECONDS_PER_HOUR
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """What the candidates are computed from."""

    study: Study
    outcome: Outcome
    basis: BillBasis
    paid: PaidBill
    hours: dict[str, float]
    starts: float
    metered: _Metered

    @property
    def gpu_h(self) -> float:
        return math.fsum(self.hours.values())

    @property
    def factor(self) -> float | None:
        """By what dollars that are metered must be multiplied; None where nothing does it."""
        return self.metered.factor(self.paid.usd)

    @property
    def hours_factor(self) -> float | None:
        """By what the hours must be multiplied: as the bill says them, else as dollars do."""
        if self.paid.gpu_h is not None and self.gpu_h > 0:
            return self.paid.gpu_h / self.gpu_h
        return self.factor

    @property
    def price_factor(self) -> float | None:
        """By what prices must be multiplied, for the hours of the bill where it says them."""
        if self.factor is None or self.paid.gpu_h is None or self.gpu_h <= 0:
            return self.factor
        return None if self.paid.gpu_h == 0 else self.factor * self.gpu_h / self.paid.gpu_h

    @property
    def same(self) -> float:
        return self.study.tables.setting("reality_same")

    @property
    def explains_hours(self) -> str:
        return ALL if self.paid.gpu_h is None else HOURS

    @property
    def explains_price(self) -> str:
        return ALL if self.paid.gpu_h is None else PRICE

    @property
    def most_h(self) -> float:
        """GPU-hours of all replicas that the plan may have, held throughout [h]."""
        each = self.outcome.plan.speed.gpus_per_replica
        shares = [pool.replicas_per_gpu for pool in self.basis.pools if pool.replicas_per_gpu]
        on_machine = max([each, *(1 / share for share in shares)])
        return self.outcome.plan.policy.max_replicas * on_machine * self.paid.hours


def _change(one: Candidate) -> float:
    """Return how large a change a candidate asks for: the logarithm of a ratio."""
    if one.value is None or one.value <= 0 or one.predicted <= 0:
        return math.inf
    return abs(math.log(one.value / one.predicted))


def _prices(asked: _Asked) -> Iterator[Candidate]:
    """Yield price and discount."""
    tables, factor = asked.study.tables, asked.price_factor
    prices = {pool.usd_per_gpu_h for pool in asked.basis.pools}
    price = next(iter(prices)) if len(prices) == 1 else 1.0
    unit = "$ a GPU-hour" if len(prices) == 1 else "times the prices"
    explains, band = asked.explains_price, tables.setting("price_band")
    if factor is None:
        why = "No price comes to what was paid: fees alone are more, or a credit covers it."
        yield Candidate("Price", unit, explains, price, None, False, why)
        return
    is_near = abs(factor - 1) <= band
    why = (
        f"Within the {spell.percent(band)} by which prices move within a year."
        if is_near
        else f"More than the {spell.percent(band)} by which prices move within a year."
    )
    yield Candidate("Price", unit, explains, price, price * factor, is_near, why)
    if factor < 1:
        most = max(row.discount for row in tables.commitments.values())
        is_near = 1 - factor <= most
        why = (
            f"Sellers advertise up to {spell.percent(most)}."
            if is_near
            else f"More than the {spell.percent(most)} that sellers advertise."
        )
        yield Candidate("Discount", "share", explains, 0.0, 1 - factor, is_near, why)


def _hours_inputs(asked: _Asked) -> Iterator[Candidate]:
    """Yield what changes the hours: how many are held, the length of starts, idle time."""
    factor, gpu_h, hours = asked.hours_factor, asked.gpu_h, asked.hours
    explains, starts = asked.explains_hours, asked.starts
    if factor is None or gpu_h <= 0:
        why = "No hours come to what was paid: fees alone are more, or a credit covers it."
        yield Candidate("Hours held", "GPU-hours", explains, gpu_h, None, False, why)
        return
    value, most = gpu_h * factor, asked.most_h
    is_near, why = True, "More than the work takes, and no more than all replicas of the plan."
    if value > most * (1 + asked.same):
        is_near, why = False, f"All replicas of the plan, held throughout, are {most:,.1f}."
    elif value < hours["busy"] * (1 - asked.same):
        is_near, why = False, f"The work alone takes {hours['busy']:,.1f}."
    if asked.paid.gpu_h is not None:
        why = f"The bill says so. {why}"
    yield Candidate("Hours held", "GPU-hours", explains, gpu_h, value, is_near, why)
    more_h = value - gpu_h
    gpus = asked.outcome.plan.speed.gpus_per_replica
    if starts > 0 and hours["starting"] > 0:
        each = hours["starting"] * SECONDS_PER_HOUR / starts / gpus
        value = (hours["starting"] + more_h) * SECONDS_PER_HOUR / starts / gpus
        limit = asked.study.tables.setting("reality_start_factor")
        is_near = each / limit <= value <= each * limit
        if value <= 0:
            why = "Starts alone are too little of it."
        elif is_near:
            why = f"Within {limit:g} times of what was predicted."
        else:
            why = f"More than {limit:g} times away from what was predicted."
        yield Candidate(
            "Billed seconds of a start",
            "s",
            explains,
            each,
            value if value > 0 else None,
            is_near,
            why,
        )
    if asked.paid.starts is not None and starts > 0 and gpu_h > hours["busy"]:
        # A start brings its own idle time and rounding; the work is there whatever starts.
        each_h = (gpu_h - hours["busy"]) / starts
        value = starts + more_h / each_h
        counted = asked.paid.starts
        is_near = value > 0 and abs(counted - value) <= 0.1 * max(counted, value)
        why = f"{counted:,.0f} were counted."
        yield Candidate(
            "Starts", "starts", explains, starts, value if value > 0 else None, is_near, why
        )
    if hours["idle"] > 0:
        value, room = hours["idle"] + more_h, asked.most_h - (gpu_h - hours["idle"])
        is_near = 0 <= value <= room * (1 + asked.same)
        if value < 0:
            why = "Less than none would be needed."
        elif is_near:
            why = "Replicas are kept for longer, or less long, than was predicted."
        else:
            why = "More than all replicas can be held."
        yield Candidate(
            "Idle time billed",
            "GPU-hours",
            explains,
            hours["idle"],
            value if value >= 0 else None,
            is_near,
            why,
        )


def _traffic(asked: _Asked, spans: float, progress: Progress | None) -> Candidate:
    """Search the level of traffic at which the plan, kept as it is, comes to the bill."""
    study, trace, tables = asked.study, asked.study.trace, asked.study.tables
    per_day = trace.arrival_s.size / trace.horizon_s * SECONDS_PER_DAY
    limit = tables.setting("reality_traffic_factor")
    target = asked.paid.usd if asked.paid.gpu_h is None else asked.paid.gpu_h

    def told(value: float | None, is_plausible: bool, why: str) -> Candidate:
        return Candidate(
            "Traffic", "requests a day", asked.explains_hours, per_day, value, is_plausible, why
        )

    if trace.arrival_s.size * limit * _HALVINGS > tables.setting("workbook_most_requests"):
        return told(None, False, "Not tried: so much traffic takes long to simulate again.")
    done = 0

    def comes_to(level: float) -> float:
        nonlocal done
        if progress is not None:
            progress(done, _HALVINGS + 2)
        done += 1
        scaled = scale_rate(trace, level, 0, tables)
        (ran,) = simulate_plans([asked.outcome.plan], scaled, tables)
        basis = basis_of_outcome(ran, tables, study.deal)
        if asked.paid.gpu_h is None:
            return bill(basis).usd_span * spans
        return math.fsum(_hours_of(basis, spans).values())

    low, high = 1 / limit, limit
    try:
        lowest, highest = comes_to(low), comes_to(high)
    except InputError as error:  # of a handful of requests thinning may leave none
        return told(None, False, f"Not tried: {spell.lower_first(str(error))}")
    if abs(highest - lowest) <= asked.same * max(abs(highest), abs(lowest)):
        return told(None, False, "This plan takes the same whatever the traffic.")
    if not min(lowest, highest) <= target <= max(lowest, highest):
        why = f"From a {_part(limit)} of the traffic to {limit:g} times it, none comes to the bill."
        return told(None, False, why)
    for _ in range(_HALVINGS):
        middle = math.sqrt(low * high)
        if (comes_to(middle) < target) == (lowest < highest):
            low = middle
        else:
            high = middle
    why = "Found by simulating this traffic, thinned or laid over itself."
    return told(per_day * math.sqrt(low * high), True, why)


def _part(factor: float) -> str:
    return {2: "half", 3: "third", 4: "quarter"}.get(int(factor), f"{factor:g}th")


def reality_table(found: Reality, labels: dict[str, str]) -> pd.DataFrame:
    """Return one row a line: what was predicted, what was paid, the difference.

    Columns: ``line, unit, predicted, paid, difference``. A line that the bill does not tell apart
    has no paid value.

    Parameters
    ----------
    labels : dict of str to str
        What each kind is called.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []

    def add(line: str, unit: str, predicted: float, paid: float | None) -> None:
        difference = math.nan if paid is None else paid - predicted
        rows.append(
            {
                "line": line,
                "unit": unit,
                "predicted": predicted,
                "paid": math.nan if paid is None else paid,
                "difference": difference,
            }
        )

    paid = found.paid
    is_split = any(kind in KIND_LINES for kind in paid.usd_by_kind)
    for kind, usd in found.usd_by_kind.items():
        there = paid.usd_by_kind.get(kind, 0.0) if is_split else None
        if usd or there:
            add(labels.get(kind, kind), "$", usd, there)
    add("All", "$", found.usd, paid.usd)
    for kind in paid.usd_by_kind:
        if kind not in KIND_LINES and is_split:
            add(f"{labels.get(kind, kind)} (in no prediction)", "$", 0.0, paid.usd_by_kind[kind])
    add("GPU-hours", "h", found.gpu_h, paid.gpu_h)
    if found.gpu_h > 0:
        used = found.usd_by_kind[GPU] / found.gpu_h
        price = None
        if paid.gpu_h and GPU in paid.usd_by_kind:
            price = paid.usd_by_kind[GPU] / paid.gpu_h
        add("Price of GPU time", "$/h", used, price)
    add("Starts", "", found.starts, paid.starts)
    return pd.DataFrame(rows)
