"""The sidebar: the traffic and every choice of the scenario."""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass

import streamlit as st

from frontier import units
from frontier.errors import FrontierError
from frontier.pages import link, text
from frontier.pages.store import store
from frontier.plan import Scenario
from frontier.serving import precisions_of
from frontier.tables import Offer, Tables, load_tables
from frontier.trace import Trace, TraceQuestion, generate_trace, read_trace

UPLOAD = "upload"
_UPLOAD_TYPES = ["csv", "tsv", "json", "jsonl", "log", "txt", "gz", "parquet"]


@dataclass(frozen=True, slots=True)
class Choices:
    """What the sidebar says: the scenario and the traffic, or why there is none yet."""

    scenario: Scenario
    trace: Trace | None
    is_upload: bool
    problem: str | None


def sidebar() -> Choices:
    """Draw the sidebar and return what was chosen."""
    tables = load_tables()
    with st.sidebar:
        trace, is_upload, problem = _traffic(tables)
        scenario = _scenario(tables)
    return Choices(scenario, trace, is_upload, problem)


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


def _scenario(tables: Tables) -> Scenario:
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
    return Scenario(
        model=model,
        precision=precision,
        serverless_offer=serverless,
        dedicated_offer=dedicated,
        slo_p99_ttft_s=limit_s,
    )


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
    st.caption(f"{text.plain(offer.product)}; price {text.age(offer.priced_on, dt.date.today())}")
    return chosen


def _offer_label(offer: Offer) -> str:
    return f"{offer.provider} · {units.dollars(offer.usd_per_gpu_h)}/GPU-h"
