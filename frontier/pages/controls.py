"""The scenario bar: the traffic and every choice of the scenario, a chip for each."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass

import streamlit as st

from frontier import spell
from frontier.mitigations.registry import MITIGATIONS
from frontier.pages import (
    bar,
    gpu_controls,
    link,
    model_controls,
    node_controls,
    offer_controls,
    pins,
    session,
    text,
)
from frontier.pages.cores_controls import cores_section
from frontier.pages.deal_controls import (
    api_section,
    deal_section,
    interruptions_section,
    month_section,
    office_section,
)
from frontier.pages.scaler_controls import scaler_section
from frontier.pages.start_controls import start_section
from frontier.pages.trace_controls import Traffic, traffic_in_words, traffic_section
from frontier.plans.scenario import DEFAULT_MITIGATIONS, Scenario
from frontier.serving import KV_PRECISIONS
from frontier.study import content
from frontier.sweep import Deal, TokenApi
from frontier.tables import Example, Tables, load_tables
from frontier.trace import Together, Trace

# Every set of them is tried at every idle timeout: their number is what a sweep costs.
_MOST_MITIGATIONS = 4


@dataclass(frozen=True, slots=True)
class NoTraffic:
    """What the bar says while there is no traffic yet.

    Attributes
    ----------
    problem : str or None
        Why there is none, as a sentence.
    """

    scenario: Scenario
    problem: str | None


@dataclass(frozen=True, slots=True)
class Choices:
    """What the bar says: the scenario and the traffic.

    Attributes
    ----------
    is_upload : bool
        Whether the traffic is the user's own.
    deal, api : Deal, TokenApi or None
        Terms and the reference point: money only, no part of a simulation.
    redraw : callable or None
        Makes the same traffic with the luck of another draw; None where nothing was drawn.
    together : Together or None
        Whose each request is, where the traffic is several traces added up.
    """

    scenario: Scenario
    trace: Trace
    is_upload: bool
    deal: Deal
    api: TokenApi | None
    redraw: Callable[[int], Trace] | None = None
    together: Together | None = None

    @property
    def content(self) -> tuple[Hashable, ...]:
        """All that outcomes depend on, to keep them under: neither the limit nor any price."""
        return self.content_under(session.tables())

    def content_under(self, tables: Tables) -> tuple[Hashable, ...]:
        """All that outcomes depend on where other tables are in force."""
        return content(self.scenario, self.trace, tables)

    @property
    def is_private(self) -> bool:
        """Whether results hold anything the user brought, and so stay in the session."""
        return self.is_upload or self.scenario.own_start is not None or session.is_changed()


def scenario_bar() -> Choices | NoTraffic:
    """Draw the bar and return what was chosen."""
    session.restore()
    example = next(iter(load_tables().examples.values()))
    session.use_owned(node_controls.owned_machine(load_tables(), example))
    tables = session.tables()
    with bar.row():
        with bar.chip(
            "traffic",
            lambda: traffic_in_words(tables),
            icon=":material/monitoring:",
            title="Traffic",
        ):
            traffic = traffic_section(tables)
        scenario, deal, api = _scenario(tables, example, traffic)
        pins.carry()
        session.carry((scenario.serverless_offer, scenario.dedicated_offer))
        bar.actions()
    bar.settle()
    if traffic.trace is None:
        return NoTraffic(scenario, traffic.problem)
    return Choices(
        scenario,
        traffic.trace,
        traffic.is_upload,
        deal=deal,
        api=api,
        redraw=traffic.redraw,
        together=traffic.together,
    )


def focus(offer_id: str, gpus: int | None = None) -> None:
    """Take an offer into focus on every page, with its GPU; from a callback.

    Parameters
    ----------
    gpus : int, optional
        GPUs of a replica; the fewest that fit if None.
    """
    offer = session.tables().offers[offer_id]
    kind = (
        offer_controls.SERVERLESS
        if offer.kind == offer_controls.SERVERLESS
        else offer_controls.DEDICATED
    )
    place = {"place": kind} if kind == offer_controls.SERVERLESS else {}
    link.choose(gpu=offer.gpu, replica_gpus=gpus or "fewest", **{kind: offer_id}, **place)


def current() -> Choices | NoTraffic:
    """Return the choices of this run."""
    found: Choices | NoTraffic = st.session_state["choices"]
    return found


def with_traffic() -> Choices | None:
    """Return the choices of this run; where there is no traffic yet, ask for it and return None."""
    choices = current()
    if isinstance(choices, Choices):
        return choices
    if choices.problem:
        st.header("No traffic yet")
        st.error(text.plain(choices.problem), icon=":material/upload_file:")
        st.write("The first field of the row above changes it: another file, or an example.")
        return None
    st.header("Your traffic, please")
    st.write(
        "Choose an example or upload a request log under “Your own trace” above: one row a request "
        "with its time and, if you have them, prompt and output tokens; or counts a minute from "
        "your monitoring."
    )
    return None


def _scenario(
    tables: Tables, example: Example, traffic: Traffic
) -> tuple[Scenario, Deal, TokenApi | None]:
    # A choice further along depends on those before it, and a chip shows it before it is drawn.
    model_controls.picked_model(tables, example)
    with bar.chip(
        "model",
        lambda: model_controls.model_in_words(*model_controls.picked_model(tables, example)),
        icon=":material/deployed_code:",
        title="Model and precision",
    ):
        model, precision = model_controls.model_section(tables, example)
        kv_precision = _kv_section()
    what = gpu_controls.wanted(model, precision, kv_precision, traffic.trace, tables)
    fits = gpu_controls.fits_on(what, tables, example)
    gpu = gpu_controls.picked_gpu(tables, example)
    fit = fits.get(gpu)
    with bar.chip(
        "gpu",
        lambda: gpu_controls.gpu_in_words(gpu_controls.picked_gpu(tables, example), fits),
        icon=":material/memory:",
        title="GPUs of a replica",
        wrong=(fit and fit.problem) or "",
    ):
        gpu = gpu_controls.gpu_section(tables, example, what, fits)

    def picked() -> tuple[str, str]:
        serverless, dedicated = offer_controls.picked_offers(tables, gpu, example, fits)
        if node_controls.are_picked():
            serverless = node_controls.picked_offer(tables, gpu)
        return serverless, dedicated

    reasons = node_controls if node_controls.are_picked() else offer_controls

    with bar.chip(
        "offers",
        lambda: offer_controls.offers_in_words(
            *picked(), tables, are_nodes=node_controls.are_picked()
        ),
        icon=":material/sell:",
        title="Offers and terms; prices for a GPU and hour",
        wrong=reasons.problem_of(picked()[0], fits, tables),
        edited=lambda: session.prices_of(picked()),
    ):
        serverless, nodes = node_controls.node_section(tables, gpu, example, fits)
        dedicated = offer_controls.offer_section(
            offer_controls.DEDICATED, tables, gpu, example, fits
        )
        node_controls.owned_section(tables, gpu)
        gpus = (fit and fit.gpus) or 1
        host = cores_section(tables, (serverless, dedicated), model, precision, gpus)
        deal = deal_section(tables, serverless, dedicated).with_host(host)
        interruptions_per_h = interruptions_section(tables, serverless, dedicated)
    with bar.chip(
        "limit",
        lambda: f"p99 ≤ {spell.seconds(_limit(tables, example))}",
        icon=":material/speed:",
        title="Limit on the p99 time to first token",
    ):
        limit_s = link.setting(
            "p99 TTFT limit (s)",
            tables.settings["slo_p99_ttft_s"],
            default=example.slo_p99_ttft_s,
            key="limit",
            step=0.5,
            help="99 of 100 requests must see their first token within this time.",
        )
    with bar.chip(
        "more",
        lambda: "More",
        title="Scaling, mitigations, the start, office hours, per-token API",
    ):
        mitigations, max_replicas, target_concurrency = _scaling_section(tables)
        autoscaler = scaler_section(tables)
        by_prefix = link.flag(
            "Always-on replicas: a request goes where its prompt began",
            key="by_prefix",
            help="To the replica that has the beginning of its prompt in its cache, if the traffic "
            "says which prompts begin alike and that one has a free place; else to the fullest.",
        )
        start_changes, own_start = start_section(tables, serverless, nodes)
        office = office_section(tables)
        api = api_section(tables)
        month_section()
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
        by_prefix=by_prefix,
        office=office,
        kv_precision=kv_precision,
        interruptions_per_h=interruptions_per_h,
        nodes=nodes,
        gpus_per_replica=gpu_controls.chosen_count() if fit and fit.gpus else None,
        autoscaler=autoscaler,
    )
    return scenario, deal, api


def _limit(tables: Tables, example: Example) -> float:
    row = tables.settings["slo_p99_ttft_s"]
    return link.settled(row, default=example.slo_p99_ttft_s, key="limit")


def _kv_section() -> str:
    return link.pick(
        "Key-value cache",
        KV_PRECISIONS,
        KV_PRECISIONS[0],
        key="kv",
        help="An fp8 cache holds twice the tokens; engines keep 16 bits unless told otherwise.",
    )


def _scaling_section(tables: Tables) -> tuple[tuple[str, ...], int | None, int | None]:
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
    return tuple(mitigations), int(most) or None, int(target) or None
