"""What a table of months comes to, in words: when it turns, what it needs, what it costs.

Every sentence is taken from the rows of the table; nothing is computed here but differences and
sums of them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence

from frontier import spell, units
from frontier.growth.table import ALWAYS_ON, CHEAPEST, KEPT, SHIPPED, GrowthTable
from frontier.ranges import Ranges
from frontier.verdict import PlanFacts, named

LINE_WORDS = {
    SHIPPED: "Scale-to-zero as shipped",
    ALWAYS_ON: "Always-on, as many as needed",
    KEPT: "Today's plan, kept as it is",
    CHEAPEST: "Cheapest within the limit, chosen anew each month",
}
_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")
_FEW_RUNS, _MANY_RUNS = 4, 12
# Sums of the same dollars in another order differ in their last bits.
_SAME_USD = 0.005


def headline(found: GrowthTable) -> str:
    """Return when the answer turns, or that it stays."""
    limit = spell.seconds(found.limit_s)
    points = [month.points.get(CHEAPEST) for month in found.months]
    runs = _runs(points, lambda point: None if point is None else _kind(point.plan))
    first = points[0]
    if len(runs) == 1 and first is None:
        return f"No plan holds p99 ≤ {limit}, in any month."
    if len(runs) == 1 and first is not None:
        if len(found.months) == 1:
            return f"The cheapest plan that holds p99 ≤ {limit}: {_kind_words(first.plan)}."
        return (
            f"Over {_months(found)} the cheapest plan that holds p99 ≤ {limit} stays "
            f"{_kind_words(first.plan)}."
        )
    parts = []
    for begin, end in runs:
        point = points[begin]
        what = "no plan holds it" if point is None else _kind_words(point.plan)
        if begin == 0:
            parts.append(f"{what} until {found.growth.named(end)}")
        else:
            parts.append(f"{what} from {found.growth.named(begin + 1)}")
    if len(runs) == 2:
        return f"Cheapest within p99 ≤ {limit}: {parts[0]}, then {parts[1]} on."
    if len(runs) <= _FEW_RUNS:
        return f"Cheapest within p99 ≤ {limit}: {', '.join(parts)} on."
    kinds = dict.fromkeys(
        "no plan" if point is None else _kind_words(point.plan) for point in points
    )
    return (
        f"The cheapest plan within p99 ≤ {limit} changes {len(runs) - 1} times in "
        f"{_months(found)}, between {_listed(list(kinds))}: they are close, look at the table."
    )


def sentences(found: GrowthTable) -> tuple[str, ...]:
    """Return what else the months come to, a sentence each."""
    said = (
        _about_cost(found),
        _about_luck(found),
        _about_replicas(found),
        _about_kept(found),
        budget(found),
        _about_staying(found),
        *_about_commitment(found),
    )
    return tuple(sentence for sentence in said if sentence)


def budget(found: GrowthTable) -> str:
    """Return what all months together cost, and how far that may be off."""
    name = CHEAPEST if CHEAPEST in found.years else KEPT
    year = found.years.get(name)
    if year is None:
        return ""
    what = "deciding anew each month"
    if name == KEPT:
        what = "with today's plan, for no plan holds the limit in every month"
    words = f"Budget of {_months(found)}, {what}: {spell.dollars(year.usd)}"
    if year.usd_high - year.usd_low > _SAME_USD:
        words += (
            f", {spell.dollars(year.usd_low)} to {spell.dollars(year.usd_high)} over draws of the "
            "traffic"
        )
    if year.usd_price_high - year.usd_price_low > _SAME_USD:
        words += (
            f"; {spell.dollars(year.usd_price_low)} to {spell.dollars(year.usd_price_high)} if "
            f"metered prices are {spell.percent(found.price_band)} lower or higher"
        )
    return f"{words}."


def notes(found: GrowthTable) -> tuple[str, ...]:
    """Return what the months rest on: their length, how traffic was made, what is interpolated."""
    said = [
        f"Every month counts {found.hours_per_month:g} hours, whatever its name; month 1 is "
        "the traffic as it was read, times its season and launches."
    ]
    if any(month.factor != 1.0 for month in found.months) or found.growth.hours:
        said.append(
            "More traffic is the trace and copies of it moved in time, the last one in part; less "
            "is a random part of it. Gaps within a burst stay as they are; that the added traffic "
            "comes in the same bursts is assumed. The draws differ in this luck alone."
        )
    most = max(month.times for month in found.months)
    if most > 1:
        said.append(
            "Where little is left of the traffic it is served several times in a row, up to "
            f"{most:,}, each time with other requests left out: its p99 is of few requests."
        )
    if any(month.is_interpolated for month in found.months):
        which = sum(month.is_interpolated for month in found.months)
        said.append(
            f"{spell.count(which, 'month was', 'months were')} not simulated: this is a large "
            "trace. Their cost is on a straight line between the levels of traffic below and "
            "above, their plan and its waits are those of the level above."
        )
    return tuple(said)


def caution(found: GrowthTable) -> str:
    """Return what to know before the answer, where less than a day was seen; else nothing."""
    if found.span_s >= units.SECONDS_PER_DAY:
        return ""
    return (
        f"Only {spell.seconds(found.span_s)} of traffic was seen: a month of it, let alone a "
        "year, is an extrapolation without its nights and weekends."
    )


def about_sample(found: GrowthTable, luck: Ranges | None) -> str:
    """Return how far today's plan may lie from its figures because its traffic is a sample.

    Parameters
    ----------
    luck : Ranges or None
        Of the traffic as it was read, as `ranges.luck_ranges` has them.
    """
    points = found.line(KEPT)
    month = found.months[0]
    if luck is None or not points or month.factor != 1.0 or month.is_changed:
        return ""
    plan = points[0].plan
    own = luck.plans.get(plan.plan_id)
    if own is None:
        return luck.refused
    usd, wait_s = own.usd_per_month, own.p99_ttft_s
    words = f"The traffic is a sample: in {spell.percent(luck.level)} of such samples today's plan"
    if usd.high - usd.low > _SAME_USD:
        words += f" costs {spell.dollars(usd.low)} to {spell.dollars(usd.high)} in month 1"
    else:
        words += f" costs {spell.dollars(usd.low)} in month 1 all the same"
    if wait_s.crosses(found.limit_s):
        words += (
            f", and its p99 lies from {spell.seconds(wait_s.low)} to {spell.seconds(wait_s.high)}: "
            "whether it holds the limit is not sure"
        )
    return f"{words}."


def turns(found: GrowthTable) -> tuple[int, ...]:
    """Return the months in which the cheapest plan within the limit is of another kind."""
    points = [month.points.get(CHEAPEST) for month in found.months]
    runs = _runs(points, lambda point: None if point is None else _kind(point.plan))
    return tuple(begin + 1 for begin, _ in runs[1:])


def _about_cost(found: GrowthTable) -> str:
    """Say from when on always-on costs less than scale-to-zero as shipped."""
    pairs = [(month.points.get(SHIPPED), month.points.get(ALWAYS_ON)) for month in found.months]
    if any(zero is None or kept is None for zero, kept in pairs):
        return ""
    all_of = [(zero, kept) for zero, kept in pairs if zero is not None and kept is not None]
    # What may not have the replicas that the traffic needs costs less for serving less.
    both = [(zero, kept) for zero, kept in all_of if not zero.plan.is_capped]
    capped = [found.growth.named(zero.month) for zero, _ in all_of if zero.plan.is_capped]
    too_few = ""
    if capped:
        most = spell.count(all_of[-1][0].plan.most, "replica")
        too_few = f"the default's {most} are too few for the traffic in {_few(capped)}"
    if not both:
        return f"{_upper(too_few)}: what scale-to-zero as shipped costs there is no comparison."
    wins = [kept.usd < zero.usd for zero, kept in both]
    name, zero_name = _kind_words(both[0][1].plan), "scale-to-zero as shipped"
    if all(wins) or not any(wins):
        cheaper, other = (name, zero_name) if all(wins) else (zero_name, name)
        words = f"On cost alone {cheaper} is cheaper than {other} in every month"
        if capped:
            words += " in which both keep up"
    else:
        runs = _runs(wins, lambda win: win)
        parts = []
        for begin, end in runs[:_FEW_RUNS]:
            who = name if wins[begin] else zero_name
            first, last = both[begin][0].month, both[end - 1][0].month
            when = (
                f"from {found.growth.named(first)}"
                if begin
                else (f"until {found.growth.named(last)}")
            )
            parts.append(f"{who} {when}")
        words = (
            f"On cost alone, of {zero_name} and {name} the cheaper one is {', then '.join(parts)}"
            + (" and so on" if len(runs) > _FEW_RUNS else "")
        )
    close = [
        found.growth.named(zero.month)
        for zero, kept in both
        if zero.usd_low <= kept.usd_high and kept.usd_low <= zero.usd_high
    ]
    if close:
        words += f"; the draws of the traffic leave it open in {_few(close)}"
    if too_few:
        words += f"; {too_few}"
    return f"{words}."


def _about_luck(found: GrowthTable) -> str:
    """Say in which months the cheapest plan holds the limit in some draws only."""
    broken = [point for point in found.line(CHEAPEST) if not point.holds_limit]
    if not broken:
        return ""
    return (
        "No plan holds the limit in every draw of the traffic in "
        f"{_few([found.growth.named(point.month) for point in broken])}: the one that holds it "
        "in most of them stands there."
    )


def _about_replicas(found: GrowthTable) -> str:
    """Say from when on always-on needs another replica."""
    points = found.line(ALWAYS_ON)
    if not points:
        return ""
    plan = points[0].plan
    what = _kind_words(plan)
    runs = _runs(points, lambda point: point.plan.kept)
    broken = [found.growth.named(point.month) for point in points if not point.holds_limit]
    if len(broken) == len(points):
        return f"No number of {what} holds the limit, in any month."
    counts = [points[begin].plan.kept for begin, _ in runs]
    if len(runs) == 1:
        replicas = "One replica" if plan.kept == 1 else spell.count(plan.kept, "replica")
        words = f"{replicas} of {what} {'is' if plan.kept == 1 else 'are'} enough in every month"
        if broken:
            words += " in which any number holds the limit"
    elif counts == list(range(1, len(counts) + 1)) and len(counts) <= len(_ORDINALS):
        parts = [
            f"a {_ORDINALS[has - 1]} replica from {found.growth.named(points[begin].month)}"
            for has, (begin, _) in zip(counts[1:], runs[1:], strict=True)
        ]
        words = f"{_upper(what)} needs {_listed(parts)}"
    else:
        parts = [
            f"{has:,}"
            + (f" from {found.growth.named(points[begin].month)}" if begin else " at first")
            for has, (begin, _) in list(zip(counts, runs, strict=True))[:_MANY_RUNS]
        ]
        words = f"Replicas of {what}: {', '.join(parts)}"
        if len(runs) > _MANY_RUNS:
            words += " and so on"
    if broken:
        words += (
            f"; none does in {_few(broken)}"
            if len(runs) == 1
            else (f"; no number of them holds the limit in {_few(broken)}")
        )
    return f"{words}."


def _about_kept(found: GrowthTable) -> str:
    """Say whether today's plan still holds the limit."""
    points = found.line(KEPT)
    broken = [point for point in points if not point.holds_limit]
    plan = named(points[0].plan)
    limit = spell.seconds(found.limit_s)
    if not broken:
        return f"Today's plan, {plan}, holds p99 ≤ {limit} in every month."
    if len(broken) == len(points):
        return f"Today's plan, {plan}, breaks p99 ≤ {limit} in every month."
    first = broken[0].month
    if len(broken) == len(points) - first + 1:
        return (
            f"Today's plan, {plan}, breaks p99 ≤ {limit} from {found.growth.named(first)} on "
            f"({spell.seconds(broken[0].p99_ttft_s)} there)."
        )
    return (
        f"Today's plan, {plan}, breaks p99 ≤ {limit} in "
        f"{_few([found.growth.named(point.month) for point in broken])}."
    )


def _about_staying(found: GrowthTable) -> str:
    """Say what it costs to keep today's plan, or the provider's default, against deciding anew."""
    anew = found.years.get(CHEAPEST)
    if anew is None:
        return ""
    parts = []
    for name, what in ((KEPT, "keeping today's plan"), (SHIPPED, "scale-to-zero as shipped")):
        year = found.years.get(name)
        if year is None:
            continue
        points = found.line(name)
        if name == SHIPPED and all(
            point.plan.plan_id == kept.plan.plan_id
            for point, kept in zip(points, found.line(KEPT), strict=True)
        ):
            continue
        more = year.usd - anew.usd
        broken = sum(not point.holds_limit for point in points)
        if abs(more) < _SAME_USD:
            words = f"{what} costs the same"
        else:
            words = f"{what} costs {spell.dollars(abs(more))} {'more' if more > 0 else 'less'}"
        if broken:
            joint = "and" if more > 0 else "but"
            words += f" {joint} breaks the limit in {broken} of {_months(found)}"
        parts.append(words)
    if not parts:
        return ""
    return f"Against deciding anew each month, {'; '.join(parts)}."


def _about_commitment(found: GrowthTable) -> tuple[str, ...]:
    """Say what a commitment binds to, and what its end does."""
    said = []
    months = found.months
    for begin, last, replicas in found.binding:
        until = (
            f"until {found.growth.named(last)}"
            if last <= len(months)
            else "beyond the end of this plan"
        )
        said.append(
            f"{_upper(spell.count(replicas, 'replica'))} under your commitment from "
            f"{found.growth.named(begin)} {'is' if replicas == 1 else 'are'} paid {until}, used "
            "or not: until then only plans that use them are chosen."
        )
    for before, after in itertools.pairwise(months):
        used = any(point.plan.is_committed for point in before.points.values())
        if used and before.is_committed and not after.is_committed:
            words = f"The commitment ends with {found.growth.named(before.month)}"
            old, new = before.points.get(KEPT), after.points.get(KEPT)
            if old is not None and new is not None and old.plan.is_committed:
                words += (
                    f": today's plan then costs {spell.dollars(new.usd)} a month instead of "
                    f"{spell.dollars(old.usd)}"
                )
            said.append(f"{words}.")
    return tuple(said)


def _kind(plan: PlanFacts) -> tuple[object, ...]:
    return (plan.family, plan.vendor, plan.gpu, plan.overflow_vendor)


def _kind_words(plan: PlanFacts) -> str:
    """Return the kind of a plan without its numbers: they may change from month to month."""
    gpu = f"{plan.vendor} {plan.gpu}"
    return {
        "dedicated": f"{'spot' if plan.kind == 'spot' else 'always-on'} {gpu}",
        "reserved": f"reserved {gpu}",
        "hybrid": f"always-on {gpu} with overflow to {plan.overflow_vendor}",
        "warm pool": f"a warm pool on {gpu}",
        "scheduled": f"{gpu} by the hour, in office hours",
    }.get(plan.family, f"scale-to-zero on {gpu}")


def _runs(items: Sequence, key: Callable) -> list[tuple[int, int]]:
    """Return (first, end) of the stretches of items that are alike."""
    runs, begin = [], 0
    for _, group in itertools.groupby(items, key):
        size = len(list(group))
        runs.append((begin, begin + size))
        begin += size
    return runs


def _months(found: GrowthTable) -> str:
    return spell.count(len(found.months), "month")


def _few(names: Sequence[str]) -> str:
    if len(names) <= _FEW_RUNS:
        return _listed(list(names))
    return f"{len(names)} months, the first of them {names[0]}"


def _listed(parts: Iterable[str]) -> str:
    *before, last = parts
    return f"{', '.join(before)} and {last}" if before else last


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
