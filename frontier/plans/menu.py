"""What can be done against the cold starts of one deployment: each mitigation tried alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from frontier import spell
from frontier.errors import InputError
from frontier.mitigations.base import Mitigation
from frontier.mitigations.registry import MITIGATIONS, mitigation
from frontier.mitigations.replicas import KeepAlive
from frontier.plans.grid import mitigated_plan
from frontier.plans.scenario import Deployment, replica_rps, week_offset_s
from frontier.schedules import PREWARM_KINDS, prewarm_schedule, weekly_schedule
from frontier.tables import Tables
from frontier.trace import Trace


@dataclass(frozen=True, slots=True)
class Menu:
    """What can be done against the cold starts of one deployment.

    Attributes
    ----------
    usable : dict of str to Mitigation
        By option: the key, followed by the kind where there are several.
    refused : dict of str to str
        Why the others cannot be used, or would change nothing, by option.
    """

    usable: dict[str, Mitigation]
    refused: dict[str, str]


def mitigation_menu(
    deployment: Deployment,
    trace: Trace,
    tables: Tables,
    *,
    asleep_held_fraction: float,
    warm_windows: Iterable[tuple[float, float]],
) -> Menu:
    """Try every mitigation alone on a deployment.

    Parameters
    ----------
    asleep_held_fraction : float
        Share of a replica that is paid while it sleeps [1].
    warm_windows : iterable of (from_s, to_s)
        When scheduled pre-warming keeps a replica, since the start of the week [s].
    """
    lead_s, behaviour = deployment.start.typical_s, deployment.serverless.behaviour
    predicted = {
        f"predicted-prewarm:{kind}": prewarm_schedule(
            kind,
            trace.arrival_s,
            trace.horizon_s,
            lead_s=lead_s,
            replica_rps=replica_rps(trace, deployment.speed),
            tables=tables,
        )
        for kind in PREWARM_KINDS
    }
    numbers: dict[str, dict[str, object]] = {
        "sleep-1": {"held_fraction": asleep_held_fraction},
        "sleep-2": {"held_fraction": asleep_held_fraction},
        "scheduled-prewarm": {
            "schedule": weekly_schedule(
                warm_windows,
                trace.horizon_s,
                lead_s=lead_s,
                week_offset_s=week_offset_s(trace),
                tables=tables,
            )
        },
        **{
            option: {"kind": option.partition(":")[2], "schedule": schedule}
            for option, schedule in predicted.items()
        },
    }
    keys = [cls.key for cls in MITIGATIONS if cls.key != "predicted-prewarm"]
    bare = mitigated_plan(deployment, (), tables)
    usable: dict[str, Mitigation] = {}
    refused: dict[str, str] = {}
    for option in (*keys, *predicted):
        item = mitigation(option.partition(":")[0], tables, **numbers.get(option, {}))
        most_s = behaviour.idle_max_s
        if isinstance(item, KeepAlive) and most_s is not None and item.idle_timeout_s > most_s:
            refused[option] = (
                f"{behaviour.provider} keeps an idle replica at most {spell.seconds(most_s)}"
            )
            continue
        try:
            plan = mitigated_plan(deployment, (item,), tables)
        except InputError as error:
            refused[option] = str(error)
            continue
        if (plan.start, plan.policy) == (bare.start, bare.policy) and plan.speed is bare.speed:
            refused[option] = _why_nothing(item)
        else:
            usable[option] = item
    return Menu(usable, refused)


def _why_nothing(item: Mitigation) -> str:
    if getattr(item, "schedule", None) == ():
        return "changes nothing: what it has seen of this trace gives it no reason to start early"
    return "changes nothing: this start is like that already"
