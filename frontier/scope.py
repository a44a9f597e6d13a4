"""What is in the numbers and what is not, and where each input came from, as sentences.

One list of what is left out serves the pages, the report, the workbook and the command line; the
README repeats it and a test holds it to that. Nothing is computed here.
"""

from __future__ import annotations

import datetime as dt

from frontier import spell, units
from frontier.autoscalers import in_words as scaler_in_words
from frontier.billing import (
    METERED_WORDS,
    amount_in_words,
    host_billed,
    is_metered,
    machine_shape,
)
from frontier.company import Company
from frontier.models.own import OWN_MODEL_SOURCE, in_words
from frontier.plans.nodes import scalers_used, summary
from frontier.plans.scenario import Deployment, office_hours
from frontier.prices import origin_in_words
from frontier.prices.owned import OWNED_OFFER
from frontier.start.labels import in_sentence
from frontier.sweep import Deal, host_need
from frontier.tables import OWN_SOURCE, Source, Tables
from frontier.trace import Trace
from frontier.trace.checks import unit_in_words
from frontier.trace.generate import GENERATED, NOMINAL_MONDAY

NOT_BILLED = (
    "Tax",
    "Egress and other network traffic",
    "Load balancers, logs and monitoring",
    "Building images and moving data",
    "Support contracts",
    "Staff",
    "What waiting costs in lost users",
)
"""Costs that no bill of this product has in it."""

NOT_SIMULATED = (
    "Failed starts beyond the share that is said",
    "Waits for scarce GPUs beyond the share that is said",
    "Contention between replicas that start at once beyond the correlation that is said",
    "Prefix caches in host memory, or shared by replicas",
    "Speculative decoding",
    "Disaggregated prefill",
    "Replicas of more than one node",
)
"""What real deployments do and the simulation does not."""

INCLUDED = (
    "GPU time by the provider's billing rules: work, idling, the billed part of each start, "
    "parked replicas, rounding, unused GPUs of a machine, nodes with no replica on them, unused "
    "commitment",
    "CPU and memory where they are metered apart",
    "Storage that a mitigation keeps",
    "Fee and included credit of the provider's plan, as if this workload were alone on it",
)
"""What a bill of this product has in it."""


def not_included(company: Company | None = None) -> tuple[str, ...]:
    """Return what a figure leaves out: costs first, then what is not simulated.

    Parameters
    ----------
    company : Company, optional
        Whose record it is: what a person filled in is in its totals, and not in this list.
    """
    own = {} if company is None else {"Tax": company.tax_rate, **company.own_lines_usd_per_month}
    return (*(item for item in NOT_BILLED if not own.get(item)), *NOT_SIMULATED)


def included(
    deployment: Deployment, trace: Trace, tables: Tables, deal: Deal
) -> dict[str, tuple[str, ...]]:
    """Return what is in the numbers, what is not, and what was assumed, as sentences by heading."""
    scenario = deployment.scenario
    serverless = tables.offers[scenario.serverless_offer]
    dedicated = tables.offers[scenario.dedicated_offer]
    rules = tables.rules_of(serverless)
    prices = [
        f"{offer.provider} {offer.product}, {offer.gpu}: {spell.dollars(offer.usd_per_gpu_h)} a "
        f"GPU-hour ({origin_in_words(offer, tables)})"
        for offer in (serverless, dedicated)
    ]
    unbilled = [
        in_sentence(stage.name)
        for stage in deployment.start.stages
        if not getattr(rules, f"bills_{stage.name}")
    ]
    return {
        "In the number": (
            *prices,
            *host_in_words(deployment, tables, deal),
            *_terms_in_words(deployment, tables, deal),
            f"Billing rules of {rules.provider}: by {spell.seconds(rules.increment_s)}, "
            + (
                f"not billed in a start: {', '.join(unbilled)}"
                if unbilled
                else "all of a start billed"
            )
            + f"; idle time {'billed' if rules.bills_idle else 'not billed'}",
            *_scaled_in_words(deployment, tables),
            f"A month of {tables.setting('hours_per_month'):g} hours; the trace is repeated to "
            "fill it",
            f"Speed of {deployment.model.model}: "
            + (
                "scaled to published measurements of this GPU"
                if deployment.speed.basis == "measured"
                else "derived from bandwidth and peak arithmetic, within about 20 %"
            ),
        ),
        "Not in it": not_included(),
        "Traffic": understood(trace),
        "Assumed": deployment.assumed or ("Nothing beyond the sources",),
    }


def _scaled_in_words(deployment: Deployment, tables: Tables) -> tuple[str, ...]:
    """Return by what replicas come and go, and what of that its platform does not state."""
    row = deployment.autoscaler
    own = tables.autoscalers[deployment.serverless.behaviour.autoscaler]
    words = f"Autoscaling as simulated: {scaler_in_words(row)}"
    if row is not own:
        words += f" You chose it in place of {own.label}, which this platform has."
    unstated = [name for name in row.assumed if name != "tick_s" or row.tick_s is not None]
    if unstated:
        words += f" Not stated by the platform: {', '.join(_plain(name) for name in unstated)}."
    return (words.removesuffix("."),)


def _plain(column: str) -> str:
    return {
        "tick_s": "how often it looks",
        "zero_tick_s": "how often it looks for a first request",
        "zero_delay_s": "how long it waits before the last replica leaves",
        "activator": "that the first request starts a replica",
        "cancels_starts": "that starts go on",
        "target_requests": "its target",
    }[column]


def host_in_words(deployment: Deployment, tables: Tables, deal: Deal) -> tuple[str, ...]:
    """Return what cores and host memory are billed, and their share of a replica's price.

    One sentence for each offer that has them on meters of their own.
    """
    words = []
    for deployed in (deployment, deployment.machines):
        offer = tables.offers[deployed.supply.offer_id]
        rules, terms = tables.rules_of(offer), deal.terms(offer)
        if not is_metered(offer, rules):
            continue
        need = host_need(deployed, tables)
        share = host_billed(offer, rules, terms.host, need, tables)
        usd = share.usd_per_h(offer)
        gpu_usd = machine_shape(offer, need.gpus)[0] * offer.usd_per_gpu_h
        assumed = "" if terms.host.vcpus and terms.host.ram_gib else ", by the model's size"
        words.append(
            f"Cores and memory of {offer.provider}, {METERED_WORDS[rules.cores_metered]}"
            f"{' (assumed)' if 'cores_metered' in rules.assumed else ''}: "
            f"{amount_in_words(share)} a replica{assumed}, {spell.dollars(usd)} an hour, "
            f"{spell.percent(usd / (usd + gpu_usd))} of a replica's price"
        )
    return tuple(words)


def _terms_in_words(deployment: Deployment, tables: Tables, deal: Deal) -> list[str]:
    """Return what was negotiated or chosen beyond the list prices, as sentences."""
    words = []
    if deal.serverless.multiplier != 1:
        words.append(f"Region and availability: serverless × {deal.serverless.multiplier:g}")
    if deployment.nodes is not None:
        words.append(
            "Whole nodes while they are up: from the start that brings one until its delay after "
            "the last pod. GPUs of a node beside its pods are “unused GPUs”; a node with no pod on "
            "it is “empty nodes”"
        )
    for offer_id in {deployment.serverless.offer_id, deployment.dedicated.offer_id}:
        if offer_id == OWNED_OFFER:
            words.append(tables.offers[offer_id].note or "")
    if deal.commitment is not None:
        words.append(
            f"Reserved machines under “{deal.commitment.label}” ({deal.commitment.basis}): paid "
            "whether used or not"
        )
    dedicated = tables.offers[deployment.scenario.dedicated_offer]
    if others := deal.shapes(dedicated, tables)[1:]:
        shapes = ", ".join(
            f"{shape.product} at {spell.dollars(shape.usd_per_gpu_h)} a GPU-hour"
            for shape in others
        )
        words.append(f"Or, where it makes the bill of a plan less: {shapes}")
    if dedicated.kind == "spot":
        words.append(
            f"Spot machines are interrupted {deployment.machines.interruptions_per_h:g} times an "
            "hour (assumed), each by itself and back after a start, drawn once with a seed: "
            "requests that come while none is up wait for the first to be back, and each start is "
            "paid again"
        )
    if deployment.supply.kind == "spot":
        words.append(
            f"Nodes on spot are interrupted {deployment.interruptions_per_h:g} times an hour "
            "(assumed), each by itself and back after a start, drawn once with a seed: requests "
            "whose replicas are all gone wait for the first to be back, and each start is paid "
            "again"
        )
    return words


def asked(
    deployment: Deployment, trace: Trace, tables: Tables, deal: Deal, limit_s: float
) -> tuple[tuple[str, str], ...]:
    """Return what was asked as pairs of label and value: model, traffic, limit, offers, terms."""
    scenario = deployment.scenario
    model = tables.model(scenario.model)
    # A name that somebody gave says nothing to whoever reads the record later.
    named = (
        f"{model.model} ({in_words(model)})" if model.source_id == OWN_MODEL_SOURCE else model.model
    )
    pairs = [
        ("Model", f"{named}, {scenario.precision}, {scenario.kv_precision} cache"),
        (
            "Traffic",
            f"{trace.name}: {spell.count(trace.arrival_s.size, 'request')} over "
            f"{spell.seconds(trace.horizon_s)}",
        ),
        ("p99 TTFT limit", spell.seconds(limit_s)),
    ]
    for label, offer_id in (
        ("Serverless offer" if scenario.nodes is None else "Own nodes", scenario.serverless_offer),
        ("Dedicated offer", scenario.dedicated_offer),
    ):
        offer = tables.offers[offer_id]
        whose = ", your price" if offer.source_id == OWN_SOURCE else ""
        pairs.append(
            (
                label,
                f"{offer.provider} {offer.product}, {offer.gpu}, "
                f"{spell.dollars(offer.usd_per_gpu_h)}/GPU-h{whose} of {offer.priced_on}",
            )
        )
    if scenario.nodes is not None and deployment.nodes is not None:
        pairs.append(("Nodes and pods", summary(scenario.nodes, deployment.nodes, tables)))
    if deal.serverless.multiplier != 1:
        pairs.append(("Region and availability", f"× {deal.serverless.multiplier:g}"))
    if deal.commitment is not None:
        pairs.append(
            (
                "Commitment",
                f"{deal.commitment.label}: {spell.percent(deal.commitment.discount)} off "
                f"({deal.commitment.basis})",
            )
        )
    if host := host_in_words(deployment, tables, deal):
        pairs.append(("Cores and memory", "; ".join(host)))
    return (
        *pairs,
        ("Office hours", str(office_hours(scenario, tables))),
        ("Hours in a month", f"{tables.setting('hours_per_month'):g}"),
    )


def sources_used(
    deployment: Deployment, tables: Tables, deal: Deal
) -> tuple[tuple[str, Source], ...]:
    """Return each source of a scenario's numbers once, with what came from it."""
    supplies = (deployment.serverless, deployment.dedicated)
    offers = [tables.offers[supply.offer_id] for supply in supplies]
    offers += deal.shapes(offers[1], tables)[1:]
    rules = [tables.rules_of(offer) for offer in offers[: len(supplies)]]
    gpu = tables.gpus[deployment.serverless.gpu]
    uses = [
        *((f"price of {offer.offer_id}", offer.source_id) for offer in offers),
        *((f"billing rules of {row.provider}", row.source_id) for row in rules),
        *((f"scaling of {supply.offer_id}", supply.behaviour.source_id) for supply in supplies),
        (f"autoscaling by {deployment.autoscaler.label}", deployment.autoscaler.source_id),
        *(() if (choice := deployment.scenario.nodes) is None else scalers_used(choice, tables)),
        (f"GPU {gpu.gpu}", gpu.source_id),
        (f"model {deployment.model.model}", deployment.model.source_id),
        ("hours in a month", tables.settings["hours_per_month"].source_id),
        *(
            (f"start: {in_sentence(stage.name)}", source_id)
            for stage in deployment.start.stages
            for source_id in stage.source_ids
        ),
    ]
    words: dict[str, list[str]] = {}
    for used_for, source_id in dict.fromkeys(uses):
        words.setdefault(source_id, []).append(used_for)
    return tuple(
        (_joined(used_for), tables.sources[source_id]) for source_id, used_for in words.items()
    )


def _joined(used_for: list[str]) -> str:
    """Return what a source was used for, the word "start" said once."""
    head = "start: "
    stages = [use.removeprefix(head) for use in used_for if use.startswith(head)]
    others = [use for use in used_for if not use.startswith(head)]
    found = ", ".join([*others, *([head + ", ".join(stages)] if stages else [])])
    return found[:1].upper() + found[1:]


def date_of(trace: Trace) -> dt.datetime | None:
    """Return when time 0 of a trace was; None where there is no date, or a nominal one."""
    return None if trace.t0_utc == NOMINAL_MONDAY else trace.t0_utc


def badge(trace: Trace, *, brief: bool = False) -> str:
    """Return in one line how a file was read: format, requests, span, dropped, assumed.

    Brief, what was assumed is counted and not said: where the sentences stand beside it.
    """
    report, began = trace.report, date_of(trace)
    lasts = f"{spell.count(trace.arrival_s.size, 'request')} over {spell.seconds(trace.horizon_s)}"
    if began is not None:
        ends_s = float(trace.arrival_s[-1])
        lasts += f", {spell.moment(0.0, began)} to {spell.moment(ends_s, began)} UTC"
        if others := [zone for zone in report.zones if zone != "UTC"]:
            lasts += f" ({', '.join(others[:2])} in the file)"
    dropped = sum(report.dropped.values())
    reasons = ", ".join(f"{number:,} {why}" for why, number in report.dropped.items() if number)
    kind = report.format
    if report.bucket_s is not None:
        kind += f", counted per {spell.seconds(report.bucket_s)}"
    rows = (
        f"dropped {dropped:,} of {spell.count(report.rows_read, 'row')}: {reasons}"
        if dropped
        else f"all {spell.count(report.rows_read, 'row')} kept"
    )
    # Of a file that was never there no row can be lost.
    read = [] if report.format == GENERATED else [rows]
    return " · ".join([kind, lasts, *read, _assumed(report.assumed, brief=brief)])


def _assumed(sentences: tuple[str, ...], *, brief: bool) -> str:
    if not sentences:
        return "nothing assumed"
    if brief:
        return spell.count(len(sentences), "assumption")
    return f"assumed: {' '.join(sentences)}"


def cautions(trace: Trace) -> tuple[tuple[str, str], ...]:
    """Return what a reader of a trace should beware of: a few words each, and a sentence."""
    report, dropped = trace.report, sum(trace.report.dropped.values())
    found = []
    if trace.horizon_s < units.SECONDS_PER_DAY:
        found.append(
            ("Less than a day", "A month is this traffic repeated: nights and weekends are not in.")
        )
    if dropped and report.format != GENERATED:
        reasons = ", ".join(f"{number:,} {why}" for why, number in report.dropped.items() if number)
        found.append(
            (f"{dropped:,} of {spell.count(report.rows_read, 'row')} dropped", f"{reasons}.")
        )
    if report.bucket_s is not None:
        width = spell.seconds(report.bucket_s)
        found.append(
            (
                f"Counted per {width}",
                f"Where within {width} a request came is not known: it stands at random.",
            )
        )
    if trace.t0_utc is None:
        found.append(("No date", "Hours of the day and days of the week are not known."))
    if report.assumed:
        found.append((spell.count(len(report.assumed), "assumption"), " ".join(report.assumed)))
    return tuple(found)


def prefixes_in_words(trace: Trace) -> str:
    """Return what a trace says of prompts that begin alike, and so of the prefix cache."""
    share = trace.shared_share
    if share is None:
        return (
            "Prefix cache: nothing is found in it, for this traffic does not say which prompts "
            "begin alike."
        )
    return (
        f"Prefix cache: {spell.percent(share)} of prompt tokens begin as an earlier prompt did, "
        f"and are found where its replica has not started since. {trace.report.prefixes}"
    )


def understood(trace: Trace) -> tuple[str, ...]:
    """Return what was read of a trace, dropped and assumed, as plain sentences."""
    report, began = trace.report, date_of(trace)
    counted = "" if report.bucket_s is None else f", counted per {spell.seconds(report.bucket_s)}"
    made = "requests drawn" if report.format == GENERATED else "rows read"
    rows = f"{report.rows_read:,} {made} = {report.kept:,} kept"
    for reason, number in report.dropped.items():
        if number:
            rows += f" + {number:,} {reason}"
    lasts = f"{spell.count(trace.arrival_s.size, 'request')} over {spell.seconds(trace.horizon_s)}"
    if began is not None:
        lasts += f", from {spell.moment(float(trace.arrival_s[0]), began)} UTC"
    return (
        f"{trace.name}: {report.format}, times in {unit_in_words(report.time_unit)}{counted}",
        rows,
        lasts,
        *(f"Assumed: {sentence}" for sentence in report.assumed),
        *report.notes,
        prefixes_in_words(trace),
    )
