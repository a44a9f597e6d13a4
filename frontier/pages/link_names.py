"""What a link may hold: the names of its parameters, and how long they and their values may be.

A page that is not open has not drawn its choices, so only this list can tell a name that belongs
to it from one that belongs to nothing. Nothing here draws.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from frontier.company import FIELDS
from frontier.pages import text

_LISTED = """
a made_with own_model timings
traffic requests_per_day days seed factor cached_share shape shape_days
time_unit default_prompt default_output no_output missing_unknown align spans
model precision kv gpu replica_gpus
serverless dedicated place node_offer node_scaler pod_scaler node_delay_s kept_nodes node_gpus
weights_on_node owned weights_in_ram vcpus ram_gib asked_vcpus asked_ram_gib
own_gpus own_usd own_months own_watts own_usd_per_kwh own_pue own_colocation_usd_month
commitment discount term upfront region kept_up credit fee exact interruptions
limit mitigations replicas concurrency autoscaler by_prefix
image_state compile_state kernel_state storage loader engine host allocate_s start_risk
office_from office_to office_days api api_input api_cached api_output api_share api_p99 hours
view all_offers market_providers market_gpus market_kinds market_regions no_community price_days
plan detail band config
asleep warm_from warm_until warm_days combine
draws window keep faster
used_cached latency_price leave session_value leave_anyway leave_grace_s leave_scale_s
leave_exponent
leave_most
question ladder_limit hold_limit hold_limit_s hold_provider hold_precisions
growth growth_months growth_first launches price_steps busy_months busy_factor quiet_months
quiet_factor growth_hours growth_hours_from growth_office growth_rest growth_others
committed_until
data_tab data_offer data_rows data_providers data_gpus data_kinds data_regions data_ages
data_hosts table
ex_start_s ex_idle_s ex_work_s ex_requests_per_h
"""
_NAMES = frozenset(_LISTED.split()) | frozenset(FIELDS.values())
# Names with a number, an offer or a table in them.
_FAMILIES = re.compile(
    r"launch\d{1,3}_(month|factor|added|fade)|step\d{1,3}_(month|factor|offer)"
    r"|price\..{1,200}|[a-z_]{1,60}_row"
)
_MOST_NAMED, _MOST_SHOWN = 5, 60


def is_known(name: str) -> bool:
    """Return whether some page has a choice of that name."""
    return name in _NAMES or _FAMILIES.fullmatch(name) is not None


def usable(asked: Mapping[str, str], *, most: float = math.inf) -> tuple[dict[str, str], list[str]]:
    """Return the parameters that some page may want, and a sentence about those left out.

    Parameters
    ----------
    most : float, optional
        Characters of a value.
    """
    kept, unknown, said = {}, [], []
    for name, value in asked.items():
        if not is_known(name):
            unknown.append(f"“{shown(name)}”")
        elif len(value) > most:
            said.append(
                f"{name} has {len(value):,} characters, more than the {most:,.0f} that are read; "
                "it is left out"
            )
        elif text.bare(value) != value:
            said.append(f"{name} holds characters that are no text; it is left out")
        else:
            kept[name] = value
    if unknown:
        more = len(unknown) - _MOST_NAMED
        words = ", ".join(unknown[:_MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")
        said.append(f"no choice here is called {words}; left out")
    return kept, said


def shown(asked: str) -> str:
    """Return a name or value as a sentence quotes it, the beginning of a long one."""
    return asked if len(asked) <= _MOST_SHOWN else f"{asked[:_MOST_SHOWN]}…"
