"""What the idle timeouts come to, in sentences; every one can be read off the table of points."""

from __future__ import annotations

import math

from frontier import hourly, spell
from frontier.tables import Tables
from frontier.timeouts.curve import CLUSTER, Knee, SkiRental, TimeoutPoint, Timeouts

_SLOWEST = 0.01


def headline(found: Timeouts, tables: Tables) -> str:
    """Return which idle timeout holds the limit most cheaply, or that none does."""
    limit = f"p99 ≤ {spell.seconds(found.limit_s)}"
    if found.holding is not None:
        point = found.holding
        return (
            f"{_kept(point)} is the cheapest idle timeout that holds {limit} on {found.where}: "
            f"{_cost(found, point.usd_per_month, tables)}."
        )
    words = f"No idle timeout {_who_may(found)}holds {limit} on {found.where}"
    best = min(
        (point for point in found.points if point.is_allowed),
        key=lambda point: (point.p99_ttft_s, -point.idle_timeout_s),
    )
    if not math.isfinite(best.p99_ttft_s):
        return f"{words}: more than one request in a hundred is refused."
    return (
        f"{words}: the p99 stays at {spell.seconds(best.p99_ttft_s)} or more, even at "
        f"{_cost(found, best.usd_per_month, tables)}."
    )


def sentences(found: Timeouts, tables: Tables) -> tuple[str, ...]:
    """Return what else there is to say of the curve, a sentence each."""
    said = [_beyond(found, tables), _rival(found, tables), _default(found, tables)]
    if found.cheapest != found.default:
        said.append(f"The cheapest: {_of(found, found.cheapest, tables)}.")
    said += [_knee(found.knee), _ski_rental(found, found.ski_rental, tables)]
    return tuple(sentence for sentence in said if sentence)


def in_hours(found: Timeouts, tables: Tables) -> str:
    """Return how an hour here and a month in charts agree; empty where a day was seen."""
    point = found.holding or found.cheapest
    return hourly.against_month(
        found.span_s,
        tables.setting("hours_per_month"),
        point.usd_per_month,
        of=f"an idle timeout of {spell.seconds(point.idle_timeout_s)}",
        waits_s=(one.p99_ttft_s for one in found.points),
    )


def who_first(provider: str) -> str:
    """Return who sets the timeouts as it begins a sentence; a provider's name stays as it is."""
    return provider.capitalize() if provider == CLUSTER else provider


def _kept(point: TimeoutPoint) -> str:
    if point.idle_timeout_s == 0:
        return "None at all"
    return spell.seconds(point.idle_timeout_s)


def _cost(found: Timeouts, usd_per_month: float, tables: Tables) -> str:
    if hourly.is_short(found.span_s):
        hours = tables.setting("hours_per_month")
        return f"{spell.dollars(usd_per_month / hours)} an hour"
    return f"{spell.dollars(usd_per_month)} a month"


def _of(found: Timeouts, point: TimeoutPoint, tables: Tables) -> str:
    return (
        f"{spell.lower_first(_kept(point))}, {_cost(found, point.usd_per_month, tables)}, "
        f"{spell.percent(_three(point.waited_share))} of requests wait on a start, p99 "
        f"{spell.seconds(point.p99_ttft_s)}"
    )


def _three(share: float) -> float:
    return float(f"{share:.3g}")


def _who_may(found: Timeouts) -> str:
    low, high = found.allowed_s
    return "" if low is None and high is None else f"that {found.provider} allows "


def _beyond(found: Timeouts, tables: Tables) -> str:
    if found.holding is not None:
        return ""
    gap = spell.seconds(found.longest_gap_s)
    if found.beyond is not None:
        high = found.allowed_s[1]
        most = "" if high is None else f" ({found.provider} allows up to {spell.seconds(high)})"
        return (
            f"It would take {_kept(found.beyond)}, for "
            f"{_cost(found, found.beyond.usd_per_month, tables)}{most}."
        )
    last = found.points[-1]
    words = "Nor does a longer one"
    if found.longest_gap_s > 0:
        words = f"Nor does a replica kept through the longest gap, {gap}"
    # Of a p99 the slowest hundredth decides.
    if last.waited_share > _SLOWEST:
        share = spell.percent(_three(last.waited_share))
        return f"{words}: even then {share} of requests wait on a start."
    return f"{words}: what the slowest wait for then is no start."


def _rival(found: Timeouts, tables: Tables) -> str:
    rival = found.always_on
    if rival is None:
        return ""
    words = (
        f"{rival.vendor} {rival.gpu} {rival.policy} costs "
        f"{_cost(found, rival.usd_per_month, tables)} at a p99 of {spell.seconds(rival.p99_ttft_s)}"
    )
    over = found.overtaken
    if over is None:
        return f"{words}; no idle timeout here costs more."
    if over is found.points[0]:
        return f"{words}; every idle timeout here costs more."
    return f"{words}; from {_kept(over)} on the idle timeout costs more than that."


def _default(found: Timeouts, tables: Tables) -> str:
    if found.default is None:
        return f"{who_first(found.provider)} states no idle timeout of its own."
    words = f"{who_first(found.provider)}'s own: {_of(found, found.default, tables)}"
    if found.as_shipped_replicas is not None:
        words += (
            f"; with as many replicas as this traffic needs, not the "
            f"{found.as_shipped_replicas} that it ships with"
        )
    return f"{words}."


def _knee(knee: Knee | None) -> str:
    if knee is None:
        return ""
    return (
        f"The knee is at {_kept(knee.point)}: up to there each further dollar spares "
        f"{_waits(knee.before)} on a start, beyond it {spell.significant(knee.beyond, 2)}."
    )


def _waits(count: float) -> str:
    text = spell.significant(count, 2)
    return f"{text} {'wait' if text == '1' else 'waits'}"


def _ski_rental(found: Timeouts, ski: SkiRental | None, tables: Tables) -> str:
    if ski is None:
        return ""
    if ski.idle_timeout_s == 0:
        return (
            f"A start costs nothing at {found.provider}, so every idle second is paid for a "
            "shorter wait alone: no timeout is too short in dollars."
        )
    if ski.point is None:
        return f"Idle seconds cost nothing at {found.provider}: no timeout is too long."
    bound = spell.significant(tables.setting("ski_rental_bound"))
    words = (
        f"At {_kept(ski.point)} an idle replica has cost as much as a start, so whatever the "
        f"traffic, a replica kept so long pays at most {bound} times what knowing each gap would"
    )
    if ski.ratio is None or ski.paid_usd is None or ski.least_usd is None:
        return f"{words}."
    return (
        f"{words}; here {_cost(found, ski.paid_usd, tables)} for idle and starts, "
        f"{spell.significant(ski.ratio, 2)} times the least."
    )
