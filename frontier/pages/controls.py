"""The sidebar: the traffic and every choice of the scenario."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
from dataclasses import dataclass

import streamlit as st

from frontier import units
from frontier.edits import OWN_SOURCE, simulated
from frontier.errors import FrontierError
from frontier.pages import link, session, text
from frontier.pages.deal_controls import Conditions, deal_section
from frontier.pages.start_controls import start_section
from frontier.pages.store import store
from frontier.plan import Scenario
from frontier.prices import staleness
from frontier.serving import precisions_of
from frontier.sweep import Deal, TokenApi
from frontier.tables import Offer, ProviderRules, Tables, load_tables
from frontier.trace import Trace, TraceQuestion, generate_trace, read_trace

UPLOAD = "upload"
_UPLOAD_TYPES = ["csv", "tsv", "json", "jsonl", "log", "txt", "gz", "parquet"]


@dataclass(frozen=True, slots=True)
class Choices:
    """What the sidebar says: the scenario and the traffic, or why there is none yet.

    Attributes
    ----------
    deal, api : Deal, TokenApi or None
        Terms and the reference point: money only, no part of a simulation.
    rows : tuple
        What of the chosen offers and their rules a simulation depends on.
    """

    scenario: Scenario
    trace: Trace | None
    is_upload: bool
    problem: str | None
    deal: Deal
    api: TokenApi | None
    rows: tuple[object, ...]

    @property
    def content(self) -> tuple[object, ...]:
        """All that outcomes depend on, to keep them under: neither the limit nor any price."""
        scenario = dataclasses.replace(self.scenario, slo_p99_ttft_s=0.0)
        return (scenario, self.trace.digest, self.trace.t0_utc, self.rows)

    @property
    def is_private(self) -> bool:
        """Whether results hold anything the user brought, and so stay in the session."""
        return self.is_upload or self.scenario.own_start is not None or session.is_changed()


def sidebar() -> Choices:
    """Draw the sidebar and return what was chosen."""
    session.restore()
    tables = session.tables()
    with st.sidebar:
        trace, is_upload, problem = _traffic(tables)
        scenario, conditions = _scenario(tables)
    chosen = (scenario.serverless_offer, scenario.dedicated_offer)
    session.carry(chosen)
    rows = [row for key in chosen for row in _offer_and_rules(key, tables)]
    return Choices(
        scenario,
        trace,
        is_upload,
        problem,
        deal=conditions.deal,
        api=conditions.api,
        rows=tuple(simulated(row) for row in rows),
    )


def _offer_and_rules(offer_id: str, tables: Tables) -> tuple[Offer, ProviderRules]:
    offer = tables.offers[offer_id]
    return offer, tables.provider_rules[offer.rules_id]


def current() -> Choices:
    """Return the choices of this run."""
    return st.session_state["choices"]


def _traffic(tables: Tables) -> tuple[Trace | None, bool, str | None]:
    examples = tables.examples
    choice = link.pick(
        "Traffic",
        [*examples, UPLOAD],
        next(iter(examples)),
        format_func=lambda key: "Your own trace" if key == UPLOAD else examples[key].label,
        key="traffic",
    )
    if choice != UPLOAD:
        example = examples[choice]
        st.caption(f"Generated after published statistics: {example.description}.")
        return _generated(example.example_id), False, None
    return _uploaded()


def _generated(example_id: str) -> Trace:
    example = load_tables().examples[example_id]
    key = ("generated", example)
    return store(private=False).get_or_make(
        key,
        lambda: generate_trace(
            example.preset,
            seed=example.seed,
            days=example.days,
            requests_per_day=example.requests_per_day,
        ),
    )


def _uploaded() -> tuple[Trace | None, bool, str | None]:
    upload = st.file_uploader(
        "Trace file",
        type=_UPLOAD_TYPES,
        key="trace_file",
        help="CSV, JSON, JSONL or Parquet, gzip allowed. Read in memory, never written to disk.",
    )
    if upload is None:
        return None, True, None
    content = upload.getbuffer()
    digest = hashlib.sha256(content).hexdigest()
    answers = st.session_state.setdefault("trace_answers", {}).setdefault(digest, {})
    for parameter in answers:
        # Widgets of earlier questions stay on screen, so that an answer can be changed.
        _ask(digest, parameter, st.session_state["trace_questions"][digest, parameter])
    key = ("upload", digest, tuple(sorted(answers.items())))
    try:
        trace = store(private=True).get_or_make(
            key, lambda: read_trace(bytes(content), name=upload.name, **answers)
        )
    except TraceQuestion as question:
        st.session_state.setdefault("trace_questions", {})[digest, question.parameter] = question
        _ask(digest, question.parameter, question)
        return None, True, "The trace needs one answer, in the sidebar."
    except FrontierError as error:
        return None, True, str(error)
    st.caption(
        f"{units.count(trace.arrival_s.size, 'request')} over {units.seconds(trace.span_s)}, "
        f"read as {text.plain(trace.report.format)}."
    )
    return trace, True, None


def _ask(digest: str, parameter: str, question: TraceQuestion) -> None:
    choices = dict(question.choices)

    def remember() -> None:
        value = st.session_state[f"answer_{parameter}"]
        if value is not None:
            st.session_state["trace_answers"][digest][parameter] = value

    st.radio(
        text.plain(str(question)),
        list(choices),
        index=None,
        format_func=lambda value: choices[value],
        key=f"answer_{parameter}",
        on_change=remember,
    )


def _scenario(tables: Tables) -> tuple[Scenario, Conditions]:
    example = next(iter(tables.examples.values()))
    model = link.pick("Model", list(tables.models), example.model, key="model")
    precisions = list(precisions_of(tables.models[model]))
    precision = link.pick("Precision", precisions, example.precision, key="precision")
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
    limit = tables.settings["slo_p99_ttft_s"]
    limit_s = link.number(
        "p99 TTFT limit (s)",
        example.slo_p99_ttft_s,
        key="limit",
        low=limit.low,
        high=limit.high,
        step=0.5,
        help="99 of 100 requests must see their first token within this time.",
    )
    conditions = deal_section(tables, serverless, dedicated)
    start_changes, own_start = start_section(tables, serverless)
    scenario = Scenario(
        model=model,
        precision=precision,
        serverless_offer=serverless,
        dedicated_offer=dedicated,
        slo_p99_ttft_s=limit_s,
        start_changes=start_changes,
        own_start=own_start,
        office=conditions.office,
    )
    return scenario, conditions


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
            f"your price, {units.dollars(listed)} before you changed it"
        )
    words = f"{product}; price {text.age(offer.priced_on, today)}"
    if staleness(offer, today, tables) != "fresh":
        words += ", **stale**: look it up anew"
    return words


def _offer_label(offer: Offer) -> str:
    yours = " · yours" if offer.source_id == OWN_SOURCE else ""
    return f"{offer.provider} · {units.dollars(offer.usd_per_gpu_h)}/GPU-h{yours}"
