"""The market as a table: one row an offer, every number of its three plans, and why it cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from frontier.billing import LINES
from frontier.market.rows import Choice, Market, Row

if TYPE_CHECKING:
    import pandas as pd

STATES = ("holds", "misses", "cannot")
"""What an offer can be: it holds the limit, runs the model and misses it, or cannot run it."""


def state_of(row: Row) -> str:
    """Return which of `STATES` an offer is in."""
    if row.reason:
        return "cannot"
    return "holds" if row.best is not None else "misses"


def market_table(market: Market) -> pd.DataFrame:
    """Return one row an offer, in the order of the market.

    Columns: ``rank`` (of those that hold the limit), ``state`` (`STATES`), ``offer_id, provider,
    product, kind, gpu, region, community, usd_per_gpu_h, priced_on, age_days, staleness, featured,
    reason, prompt_p99_s``; then for each of ``best`` (within the limit), ``cheapest`` and
    ``fastest``: ``_plan_id, _policy, _family, _gpus_per_replica, _replicas, _usd_per_month,
    _p50_ttft_s, _p99_ttft_s, _waited_on_start_share, _starts, _busy_share``; and the bill of the
    best one, or of the fastest where none holds, by line: ``usd_busy`` …
    """
    import pandas as pd

    return pd.DataFrame([_cells(rank, row) for rank, row in enumerate(market.rows, start=1)])


def _cells(rank: int, row: Row) -> dict[str, Any]:
    offer, state = row.offer, state_of(row)
    shown = row.best or row.fastest
    usd = dict.fromkeys(LINES) if shown is None else shown.usd_by_line
    return {
        "rank": rank if state == "holds" else None,
        "state": state,
        "offer_id": offer.offer_id,
        "provider": offer.provider,
        "product": offer.product,
        "kind": offer.kind,
        "gpu": offer.gpu,
        "region": offer.region,
        "community": row.community,
        "usd_per_gpu_h": offer.usd_per_gpu_h,
        "priced_on": offer.priced_on.isoformat(),
        "age_days": row.age_days,
        "staleness": row.staleness,
        "featured": offer.featured,
        "reason": row.reason,
        "prompt_p99_s": row.prompt_p99_s,
        **_of_choice("best", row.best),
        **_of_choice("cheapest", row.cheapest),
        **_of_choice("fastest", row.fastest),
        **{f"usd_{line.replace(' ', '_')}": usd[line] for line in LINES},
    }


def _of_choice(name: str, choice: Choice | None) -> dict[str, Any]:
    found: dict[str, Any] = dict.fromkeys(
        (
            "plan_id",
            "policy",
            "family",
            "gpus_per_replica",
            "replicas",
            "usd_per_month",
            "p50_ttft_s",
            "p99_ttft_s",
            "waited_on_start_share",
            "starts",
            "busy_share",
        )
    )
    if choice is not None:
        plan, latency = choice.plan, choice.latency
        found = {
            "plan_id": plan.plan_id,
            "policy": choice.policy,
            "family": plan.family.key,
            "gpus_per_replica": choice.gpus,
            "replicas": plan.policy.max_replicas,
            "usd_per_month": choice.usd_per_month,
            "p50_ttft_s": latency.p50_ttft_s,
            "p99_ttft_s": latency.p99_ttft_s,
            "waited_on_start_share": latency.waited_on_start_share,
            "starts": choice.tried.starts,
            "busy_share": choice.tried.busy_share,
        }
    return {f"{name}_{key}": value for key, value in found.items()}
