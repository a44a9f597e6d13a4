"""The sidebar: every choice of the scenario, kept in the URL, checked again in Python.

Streamlit enforces option lists and bounds in the browser only, so `_checked` looks at each value
once more. A choice that a link carries and that cannot be used is reported, not dropped silently.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import streamlit as st

from frontier import units
from frontier.errors import FrontierError, InputError
from frontier.pages import text
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
    ignored: tuple[str, ...]


def sidebar() -> Choices:
    """Draw the sidebar and return what was chosen."""
    tables = load_tables()
    asked = _asked_by_link()
    with st.sidebar:
        trace, is_upload, problem = _traffic(tables)
        scenario = _scenario(tables)
    ignored = _ignored(asked)
    return Choices(scenario, trace, is_upload, problem, ignored)


def current() -> Choices:
    """Return the choices of this run."""
    return st.session_state["choices"]


def _asked_by_link() -> dict[str, str]:
    """Return the query of the link that opened this session; empty on later runs."""
    if "link_read" in st.session_state:
        return {}
    st.session_state["link_read"] = True
    return {key: st.query_params[key] for key in st.query_params}


def _ignored(asked: dict[str, str]) -> tuple[str, ...]:
    """Return a sentence for each choice of the link that could not be used."""
    sentences = []
    for key, value in asked.items():
        if key not in st.session_state or key.startswith("embed"):
            continue
        used = st.session_state[key]
        same = str(used) == value
        if isinstance(used, int | float) and not isinstance(used, bool):
            try:
                same = math.isclose(float(value), float(used))
            except ValueError:
                same = False
        if not same:
            sentences.append(f"{key}={value} is not available; {used} is used instead")
    return tuple(sentences)


def _traffic(tables: Tables) -> tuple[Trace | None, bool, str | None]:
    examples = tables.examples
    choice = st.selectbox(
        "Traffic",
        [*examples, UPLOAD],
        format_func=lambda key: "Your own trace" if key == UPLOAD else examples[key].label,
        key="traffic",
        bind="query-params",
    )
    if choice != UPLOAD:
        example = examples.get(choice) or next(iter(examples.values()))
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
    model = _pick("Model", list(tables.models), example.model, key="model")
    precisions = list(precisions_of(tables.models[model]))
    precision = _pick("Precision", precisions, example.precision, key="precision")
    gpus = _gpus_on_offer(tables)
    gpu = _pick("GPU", gpus, tables.offers[example.serverless_offer].gpu, key="gpu")
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
    limit_s = st.number_input(
        "p99 TTFT limit (s)",
        min_value=tables.settings["slo_p99_ttft_s"].low,
        max_value=tables.settings["slo_p99_ttft_s"].high,
        value=example.slo_p99_ttft_s,
        step=0.5,
        key="limit",
        bind="query-params",
        help="99 of 100 requests must see their first token within this time.",
    )
    return Scenario(
        model=model,
        precision=precision,
        serverless_offer=serverless,
        dedicated_offer=dedicated,
        slo_p99_ttft_s=_checked("p99 TTFT limit", limit_s, tables, "slo_p99_ttft_s"),
    )


def _checked(label: str, value: float, tables: Tables, setting_id: str) -> float:
    """Return a number if it lies within its setting's range; the browser alone is not trusted."""
    setting = tables.settings[setting_id]
    if not (setting.low <= value <= setting.high):
        raise InputError(
            f"{label}: expected {setting.low:g} to {setting.high:g} {setting.unit}, found {value:g}"
        )
    return value


def _pick(label: str, options: list[str], default: str, *, key: str, **options_of: object) -> str:
    """Draw a selectbox that lives in the URL; an option that is not there is refused."""
    value = st.selectbox(
        label,
        options,
        index=options.index(default) if default in options else 0,
        key=key,
        bind="query-params",
        **options_of,
    )
    if value not in options:
        raise InputError(f"{label}: expected one of {', '.join(options)}, found '{value}'")
    return value


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
    chosen = _pick(
        label,
        ordered,
        default,
        key=key,
        format_func=lambda offer_id: _offer_label(offers[offer_id]),
    )
    offer = offers[chosen]
    st.caption(text.money(f"{offer.product}, price of {offer.priced_on or 'no stated date'}"))
    return chosen


def _offer_label(offer: Offer) -> str:
    return f"{offer.provider} · {units.dollars(offer.usd_per_gpu_h)}/GPU-h"
