"""The sidebar: the traffic and every choice of the scenario."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Hashable
from dataclasses import dataclass

import streamlit as st

from frontier import spell
from frontier.mitigations.registry import MITIGATIONS
from frontier.pages import link, session, text
from frontier.pages.cores_controls import cores_section
from frontier.pages.deal_controls import Conditions, deal_section
from frontier.pages.model_controls import carry_model, model_section
from frontier.pages.start_controls import start_section
from frontier.pages.trace_controls import traffic_section
from frontier.plans.scenario import DEFAULT_MITIGATIONS, Scenario
from frontier.prices import staleness
from frontier.serving import KV_PRECISIONS
from frontier.study import content
from frontier.sweep import Deal, TokenApi
from frontier.tables import OWN_SOURCE, Offer, Tables
from frontier.trace import Trace

# Every set of them is tried at every idle timeout: their number is what a sweep costs.
_MOST_MITIGATIONS = 4


@dataclass(frozen=True, slots=True)
class NoTraffic:
    """What the sidebar says while there is no traffic yet.

    Attributes
    ----------
    problem : str or None
        Why there is none, as a sentence.
    """

    scenario: Scenario
    problem: str | None


@dataclass(frozen=True, slots=True)
class Choices:
    """What the sidebar says: the scenario and the traffic.

    Attributes
    ----------
    is_upload : bool
        Whether the traffic is the user's own.
    deal, api : Deal, TokenApi or None
        Terms and the reference point: money only, no part of a simulation.
    redraw : callable or None
        Makes the same traffic with the luck of another draw; None where nothing was drawn.
    """

    scenario: Scenario
    trace: Trace
    is_upload: bool
    deal: Deal
    api: TokenApi | None
    redraw: Callable[[int], Trace] | None = None

    @property
    def content(self) -> tuple[Hashable, ...]:
        """All that outcomes depend on, to keep them under: neither the limit nor any price."""
        return content(self.scenario, self.trace, session.tables())

    @property
    def is_private(self) -> bool:
        """Whether results hold anything the user brought, and so stay in the session."""
        return self.is_upload or self.scenario.own_start is not None or session.is_changed()


def sidebar() -> Choices | NoTraffic:
    """Draw the sidebar and return what was chosen."""
    session.restore()
    tables = session.tables()
    with st.sidebar:
        traffic = traffic_section(tables)
        scenario, conditions = _scenario(tables)
    session.carry((scenario.serverless_offer, scenario.dedicated_offer))
    carry_model()
    if traffic.trace is None:
        return NoTraffic(scenario, traffic.problem)
    return Choices(
        scenario,
        traffic.trace,
        traffic.is_upload,
        deal=conditions.deal,
        api=conditions.api,
        redraw=traffic.redraw,
    )


def current() -> Choices | NoTraffic:
    """Return the choices of this run."""
    found: Choices | NoTraffic = st.session_state["choices"]
    return found


def with_traffic() -> Choices | None:
    """Return the choices of this run; where there is no traffic yet, ask for it and return None."""
    choices = current()
    if isinstance(choices, Choices):
        return choices
    st.header("Your traffic, please")
    if choices.problem:
        st.error(text.plain(choices.problem), icon=":material/upload_file:")
    st.write(
        "Choose an example or upload a request log in the sidebar: one row a request with its "
        "time and, if you have them, prompt and output tokens; or counts a minute from your "
        "monitoring."
    )
    return None


def _scenario(tables: Tables) -> tuple[Scenario, Conditions]:
    example = next(iter(tables.examples.values()))
    limit_s = link.setting(
        "p99 TTFT limit (s)",
        tables.settings["slo_p99_ttft_s"],
        default=example.slo_p99_ttft_s,
        key="limit",
        step=0.5,
        help="99 of 100 requests must see their first token within this time.",
    )
    model, precision = model_section(tables, example)
    gpus = _gpus_on_offer(tables)
    gpu = link.pick("GPU", gpus, tables.offers[example.serverless_offer].gpu, key="gpu")
    serverless = _pick_offer(
        "Serverless offer", tables, gpu, ("serverless",), example.serverless_offer, "serverless"
    )
    dedicated = _pick_offer(
        "Dedicated offer",
        tables,
        gpu,
        ("dedicated", "reserved", "spot"),
        example.dedicated_offer,
        "dedicated",
    )
    host = cores_section(tables, (serverless, dedicated), model, precision)
    mitigations, max_replicas, target_concurrency, kv_precision = _scaling_section(tables)
    conditions = deal_section(tables, serverless, dedicated)
    conditions = dataclasses.replace(conditions, deal=conditions.deal.with_host(host))
    start_changes, own_start = start_section(tables, serverless)
    scenario = Scenario(
        model=model,
        precision=precision,
        serverless_offer=serverless,
        dedicated_offer=dedicated,
        slo_p99_ttft_s=limit_s,
        mitigations=mitigations,
        max_replicas=max_replicas,
        target_concurrency=target_concurrency,
        start_changes=start_changes,
        own_start=own_start,
        office=conditions.office,
        kv_precision=kv_precision,
    )
    return scenario, conditions


def _scaling_section(tables: Tables) -> tuple[tuple[str, ...], int | None, int | None, str]:
    """Draw what an expert may want to change of the plans; 0 leaves a number to Frontier."""
    labels = {kind.key: kind.label for kind in MITIGATIONS if kind.effects}
    with st.expander("Scaling and mitigations"):
        mitigations = link.many(
            "Mitigations to compare",
            labels,
            default=DEFAULT_MITIGATIONS,
            format_func=labels.__getitem__,
            max_selections=_MOST_MITIGATIONS,
            key="mitigations",
            help="Alone and together, where the platform has them.",
        )
        most = link.number(
            "Most replicas (0: by the traffic)",
            0,
            low=0,
            high=int(tables.setting("most_replicas")),
            whole=True,
            key="replicas",
        )
        target = link.number(
            "Requests a replica holds (0: by its GPU)",
            0,
            low=0,
            high=int(tables.coefficient("batch_limit_large")),
            whole=True,
            key="concurrency",
            help="The autoscaler wants one replica for every so many requests in the system.",
        )
        kv_precision = link.pick(
            "Key-value cache",
            KV_PRECISIONS,
            KV_PRECISIONS[0],
            key="kv",
            help="An fp8 cache holds twice the tokens; engines keep 16 bits unless told otherwise.",
        )
    return tuple(mitigations), int(most) or None, int(target) or None, kv_precision


def _gpus_on_offer(tables: Tables) -> list[str]:
    """Return the GPUs that can be had both ways, smallest first."""
    kinds: dict[str, set[bool]] = {}
    for offer in tables.offers.values():
        kinds.setdefault(offer.gpu, set()).add(offer.kind == "serverless")
    both = [gpu for gpu, found in kinds.items() if len(found) == 2]
    return sorted(both, key=lambda gpu: (tables.gpus[gpu].vram_gb, gpu))


def _pick_offer(
    label: str, tables: Tables, gpu: str, kinds: tuple[str, ...], default: str, key: str
) -> str:
    offers = {
        offer_id: offer
        for offer_id, offer in tables.offers.items()
        if offer.gpu == gpu and offer.kind in kinds
    }
    ordered = sorted(offers, key=lambda offer_id: offers[offer_id].usd_per_gpu_h)
    chosen = link.pick(
        label,
        ordered,
        default,
        key=key,
        format_func=lambda offer_id: _offer_label(offers[offer_id]),
    )
    offer = offers[chosen]
    st.caption(_about_price(offer, tables))
    return chosen


def _about_price(offer: Offer, tables: Tables) -> str:
    today = dt.date.today()
    product = text.plain(offer.product)
    listed = session.unedited().offers[offer.offer_id].usd_per_gpu_h
    if offer.usd_per_gpu_h != listed:
        return f"{product}; " + text.money(
            f"your price, {spell.dollars(listed)} before you changed it"
        )
    whose = "your price" if offer.source_id == OWN_SOURCE else "price"
    words = f"{product}; {whose} {text.age(offer.priced_on, today)}"
    if staleness(offer, today, tables) != "fresh":
        words += ", **stale**: look it up anew"
    return words


def _offer_label(offer: Offer) -> str:
    yours = " · yours" if offer.source_id == OWN_SOURCE else ""
    return f"{offer.provider} · {spell.dollars(offer.usd_per_gpu_h)}/GPU-h{yours}"
