"""What the comparison of scale-to-zero and always-on hangs on: each input alone.

The gap between the two with one input at a time off its base, what would turn it, and the split of
one replica's metered seconds. `frontier.rivals` simulates each case; here it is billed. Nothing is
drawn.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from frontier import units
from frontier.analytic import replica_cycle
from frontier.billing import HostChoice, HostNeed, host_billed, is_metered
from frontier.economics import Bar, Swing, flip_value
from frontier.economics import tornado as tornado_of
from frontier.errors import InputError
from frontier.rivals import Change, Rivals, nine_digits, usd_per_month
from frontier.sweep import (
    LIST_DEAL,
    Deal,
    host_need,
    start_normals,
)
from frontier.tables import Tables
from frontier.trace import Trace


@dataclass(frozen=True, slots=True)
class Flip:
    """The value of one input at which the other rival becomes the cheaper one."""

    swing: Swing
    value: float


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """How the gap between the rivals moves with each input alone.

    Attributes
    ----------
    gap_usd : float
        Scale-to-zero less always-on, a month; above 0, always-on is the cheaper one [$].
    bars : tuple of Bar
        Largest first.
    flips : tuple of Flip
        Those inputs for which the verdict flips within their range.
    """

    gap_usd: float
    bars: tuple[Bar, ...]
    flips: tuple[Flip, ...]


_HOST = {"vcpus": ("Cores", "vCPU"), "ram_gib": ("Host memory", "GiB")}


def swings(
    rivals: Rivals, idle_timeout_s: float, tables: Tables, deal: Deal = LIST_DEAL
) -> tuple[Swing, ...]:
    """Return the inputs of a sensitivity, with how far each may lie from its base.

    Prices by the price band; cores and host memory, where either offer meters them, by a factor;
    the start from its 10th to its 90th percentile; the idle timeout over the provider's range;
    traffic (up alone where there are few requests), tokens and target concurrency by the settings.
    An input without a range is left out.
    """
    setting, deployment = tables.setting, rivals.deployment
    serverless, dedicated = deployment.serverless.offer_id, deployment.dedicated.offer_id
    plan, trace = rivals.base_plan(), rivals.trace
    starts_s = plan.start.draw(start_normals(tables)).total_s
    tail = setting("start_swing_percentile")
    short_s, long_s = np.percentile(starts_s, [tail, 100 - tail], method="inverted_cdf")
    timeouts_s = [timeout_s for timeout_s in rivals.idle_timeouts_s if timeout_s > 0]
    tokens = float(np.mean(trace.prompt_tokens) + np.mean(trace.output_tokens))
    rate = trace.arrival_s.size / trace.horizon_s * units.SECONDS_PER_DAY
    target = float(plan.policy.target_concurrency or deployment.speed.max_sequences)

    def around(key: str, label: str, unit: str, base: float, share: float) -> Swing:
        return Swing(key, label, unit, base * (1 - share), base, base * (1 + share))

    def times(key: str, label: str, unit: str, base: float, factor: float) -> Swing:
        return Swing(key, label, unit, base / factor, base, base * factor)

    band, factor = setting("price_band"), setting("traffic_swing")
    offers = tables.offers
    found = (
        around(
            "serverless_price",
            "Serverless GPU price" if deployment.nodes is None else "Node price",
            "$/GPU-h",
            offers[serverless].usd_per_gpu_h,
            band,
        ),
        around(
            "dedicated_price",
            "Dedicated GPU price",
            "$/GPU-h",
            offers[dedicated].usd_per_gpu_h,
            band,
        ),
        Swing("start", "Start time", "s", float(short_s), plan.start.typical_s, float(long_s)),
        Swing(
            "idle_timeout_s",
            "Idle timeout",
            "s",
            min(timeouts_s, default=0.0),
            idle_timeout_s,
            max(timeouts_s, default=0.0),
        ),
        _clipped(
            times("traffic", "Traffic", "requests/day", rate, factor),
            rate * min(1.0, setting("swing_least_requests") / _kept_together(trace)),
            math.inf,
        ),
        around("tokens", "Tokens", "tokens/request", tokens, setting("token_swing")),
        _clipped(
            times(
                "target_concurrency",
                "Target concurrency",
                "requests",
                target,
                setting("concurrency_swing"),
            ),
            1.0,
            float(deployment.speed.max_sequences),
        ),
        *_host_swings(rivals, tables, deal),
    )
    return tuple(swing for swing in found if 0 < swing.low < swing.high and swing.base > 0)


def _kept_together(trace: Trace) -> int:
    """Return how many parts of a trace are left out each alone: conversations, else requests."""
    return trace.arrival_s.size if trace.session_id is None else np.unique(trace.session_id).size


def _metered_side(rivals: Rivals, tables: Tables) -> tuple[str, HostNeed | None]:
    """Return the terms of a deal whose cores and memory are moved, and what the replica needs.

    Those of the serverless offer if it meters them, else of the dedicated one; without a need
    neither does.
    """
    deployment, plan = rivals.deployment, rivals.base_plan()
    own = HostNeed(plan.speed.gpus_per_replica, plan.weights_gib, plan.weights_stay)
    for side, supply, need in (
        ("serverless", deployment.serverless, own),
        ("machines", deployment.dedicated, host_need(deployment.machines, tables)),
    ):
        offer = tables.offers[supply.offer_id]
        if is_metered(offer, tables.rules_of(offer)):
            return side, need
    return "serverless", None


def _other_host(host: HostChoice, amounts: Mapping[str, Any]) -> HostChoice:
    """Return a choice with other amounts; a request for more would hide that less is used."""
    asked: dict[str, Any] = {f"asked_{key}": None for key in amounts}
    return dataclasses.replace(host, **amounts, **asked)


def _host_swings(rivals: Rivals, tables: Tables, deal: Deal) -> tuple[Swing, ...]:
    """Return the cores and the memory of a replica as inputs: as billed, halved and doubled.

    Never below the provider's least, nor above its most.
    """
    side, need = _metered_side(rivals, tables)
    if need is None:
        return ()
    deployment, factor = rivals.deployment, tables.setting("host_swing")
    supply = deployment.serverless if side == "serverless" else deployment.dedicated
    offer = tables.offers[supply.offer_id]
    choice = getattr(deal, side).host

    def billed(key: str, host: HostChoice) -> float:
        share = host_billed(offer, tables.rules_of(offer), host, need, tables)
        return float(getattr(share, key))

    found = []
    for key, (label, unit) in _HOST.items():
        base = billed(key, choice)
        low, high = (
            billed(key, _other_host(choice, {key: amount}))
            for amount in (base / factor, base * factor)
        )
        found.append(Swing(key, label, unit, low, base, high))
    return tuple(found)


def sensitivity(
    rivals: Rivals,
    idle_timeout_s: float,
    *,
    as_shipped: bool = False,
    limit_s: float,
    tables: Tables,
    deal: Deal = LIST_DEAL,
    progress: Callable[[int, int], None] | None = None,
) -> Sensitivity:
    """Return how the gap between scale-to-zero and always-on moves, and what would flip it.

    Scale-to-zero keeps its idle timeout; always-on has the fewest replicas that hold the limit,
    counted anew where the traffic or its tokens change. A price is that of the GPU alone: cores
    and memory stay as they are, and only the bills are made again.
    """
    inputs = swings(rivals, idle_timeout_s, tables, deal)
    base = {swing.key: swing.base for swing in inputs}
    serverless, dedicated = (
        deal.shapes(tables.offers[supply.offer_id], tables)
        for supply in (rivals.deployment.serverless, rivals.deployment.dedicated)
    )
    done = 0

    def tick() -> None:
        if progress is not None:
            progress(done, len(inputs))

    def gap_usd(changed: Mapping[str, float]) -> float:
        factor = {key: nine_digits(value / base[key]) for key, value in changed.items()}
        change = Change(
            traffic=factor.get("traffic", 1.0),
            tokens=factor.get("tokens", 1.0),
            start=factor.get("start", 1.0),
            idle_timeout_s=changed.get("idle_timeout_s", idle_timeout_s),
            target_concurrency=changed.get("target_concurrency"),
            as_shipped=as_shipped,
        )
        at = tables
        for side, key in ((serverless, "serverless_price"), (dedicated, "dedicated_price")):
            if key in factor:
                at = with_gpu_price(at, (shape.offer_id for shape in side), factor[key])
        terms = deal
        if host := {key: changed[key] for key in _HOST if key in changed}:
            name, _ = _metered_side(rivals, tables)
            own = getattr(deal, name)
            own = dataclasses.replace(own, host=_other_host(own.host, host))
            terms = dataclasses.replace(deal, **{name: own})
        zero = rivals.scale_to_zero(change, tick)
        rival = rivals.always_on(change, limit_s, tick).outcomes
        return float(
            np.mean([usd_per_month(outcome, at, terms) for outcome in zero])
            - np.mean([usd_per_month(outcome, at, terms) for outcome in rival])
        )

    gap, bars = tornado_of(gap_usd, inputs)
    sign = math.copysign(1.0, gap)
    flips = []
    for index, swing in enumerate(inputs):
        done = index
        tick()

        def margin_usd(at: float, key: str = swing.key) -> float:
            return sign * gap_usd({key: at})

        value = flip_value(
            margin_usd,
            swing,
            samples=int(tables.setting("flip_samples")),
            tolerance=tables.setting("break_even_tolerance"),
        )
        if value is not None:
            flips.append(Flip(swing, value))
    return Sensitivity(gap, bars, tuple(flips))


def with_gpu_price(tables: Tables, offer_ids: Iterable[str], factor: float) -> Tables:
    """Return the tables with the GPU price of some offers times a factor, and nothing else."""
    offers = dict(tables.offers)
    for offer_id in offer_ids:
        offer = offers[offer_id]
        offers[offer_id] = dataclasses.replace(offer, usd_per_gpu_h=offer.usd_per_gpu_h * factor)
    return dataclasses.replace(tables, offers=MappingProxyType(offers))


@dataclass(frozen=True, slots=True)
class MeteredHour:
    """An hour of one replica that scales to zero, in the long run [s]."""

    starting_s: float
    working_s: float
    idle_s: float

    @property
    def metered_s(self) -> float:
        """Seconds for which it is held."""
        return self.starting_s + self.working_s + self.idle_s

    @property
    def wasted_share(self) -> float:
        """Share of them in which it does no work [1]."""
        return 1 - self.working_s / self.metered_s


def metered_hour(
    rate_rps: float, *, cold_start_s: float, work_s: float, idle_timeout_s: float
) -> MeteredHour:
    r"""Return how the metered seconds of one replica split, every second of a start metered.

    Parameters
    ----------
    rate_rps : float
        Rate of Poisson arrivals, above 0 [1/s].
    cold_start_s, work_s, idle_timeout_s : float
        Of a start; of each request, above 0, however many there are at once; kept with nothing
        to do [s].

    Notes
    -----
    In the cycle of `analytic.replica_cycle` the share of time spent starting is
    :math:`\lambda C / N`, those who wait less those who trigger. Outside starts the replica works
    in all moments that lie within the work time :math:`s` after an arrival, the last start's end
    counting as one: a share :math:`1 - e^{-\lambda s}`, the timeout being no shorter than 0. What
    is held beyond that is idle. With one request at long intervals, work over metered seconds is
    :math:`s / (C + s + \tau)`.
    """
    if not 0.0 < work_s < math.inf:
        raise InputError(f"work_s must be finite and above 0, got {work_s!r}")
    cycle = replica_cycle(
        [rate_rps], cold_start_s=cold_start_s, residence_s=work_s, idle_timeout_s=idle_timeout_s
    )
    starting = float(cycle.waited_fraction[0] - cycle.trigger_fraction[0])
    working = (1 - starting) * -math.expm1(-rate_rps * work_s)
    idle = max(0.0, float(cycle.held_fraction[0]) - starting - working)
    hour_s = units.SECONDS_PER_HOUR
    return MeteredHour(starting * hour_s, working * hour_s, idle * hour_s)


def _clipped(swing: Swing, low: float, high: float) -> Swing:
    return dataclasses.replace(swing, low=max(swing.low, low), high=min(swing.high, high))
