"""The sweep of the current choices: made once, kept, shown while it grows."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from frontier import units
from frontier.answer import Answer, find_answer
from frontier.billing import Bill, commitment_facts, machine_shape
from frontier.coldstart import ColdStart
from frontier.pages import controls, session, text
from frontier.pages.controls import Choices
from frontier.pages.store import find, store
from frontier.plan import Deployment, default_grid, deploy, first_look
from frontier.prices import origin_in_words
from frontier.sweep import (
    Outcome,
    bill_outcome,
    break_even_of,
    committed_outcomes,
    frontier_table,
    simulate_plans,
    sweep,
)
from frontier.tables import Tables


@dataclass(frozen=True, slots=True)
class Swept:
    """Everything the Frontier page shows: outcomes by plan, their table, the answer."""

    deployment: Deployment
    outcomes: dict[str, Outcome]
    table: pd.DataFrame
    answer: Answer
    slo_p99_ttft_s: float


def swept(choices: Choices, show_first_look: Callable[[Swept], None]) -> Swept:
    """Return the sweep of these choices, simulating only what was not simulated before.

    The limit and the prices are no part of a simulation, so changing them simulates nothing.
    While a new sweep runs, ``show_first_look`` gets the few plans that outline the answer, and a
    bar shows the progress; a new input stops the threads at once.
    """
    trace, tables = choices.trace, session.tables()
    key = ("sweep", *choices.content)
    found = find(key)
    if found is None:
        deployment = deploy(choices.scenario, trace, tables)
        grid = default_grid(deployment, trace, tables)
        bar = st.progress(0.0, "A first look…")
        first = simulate_plans(first_look(grid), trace, tables)
        show_first_look(_swept(deployment, first, choices, tables))
        outcomes = sweep(
            grid,
            trace,
            tables,
            progress=lambda done, total: bar.progress(
                done / total, f"Simulated {done} of {units.count(total, 'plan')}"
            ),
        )
        bar.empty()
        found = (deployment, outcomes)
        store(private=choices.is_private).put(key, found)
    deployment, outcomes = found
    return _swept(deployment, outcomes, choices, tables)


def _swept(
    deployment: Deployment, outcomes: tuple[Outcome, ...], choices: Choices, tables: Tables
) -> Swept:
    limit_s, deal = choices.scenario.slo_p99_ttft_s, choices.deal
    # Kept without regard to prices: those in force now are put in their place.
    serverless = tables.offers[deployment.serverless.offer_id]
    deployment = dataclasses.replace(
        deployment,
        serverless=serverless,
        rules=tables.provider_rules[serverless.rules_id],
        dedicated=tables.offers[deployment.dedicated.offer_id],
    )
    if deal.commitment is not None:
        outcomes = committed_outcomes(outcomes)
    table = frontier_table(
        outcomes,
        tables,
        slo_p99_ttft_s=limit_s,
        deal=deal,
        api=choices.api,
        trace=choices.trace,
    )
    return Swept(
        deployment=deployment,
        outcomes={outcome.plan.plan_id: outcome for outcome in outcomes},
        table=table,
        answer=find_answer(
            table,
            slo_p99_ttft_s=limit_s,
            break_even_utilisation=break_even_of(deployment, tables, deal),
            span_is_short=outcomes[0].horizon_s < units.SECONDS_PER_DAY,
        ),
        slo_p99_ttft_s=limit_s,
    )


def bill_of(outcome: Outcome, price_factor: float = 1.0) -> Bill:
    """Return the bill of an outcome on this session's prices and terms."""
    return bill_outcome(outcome, session.tables(), controls.current().deal.at(price_factor))


def with_price_band(swept: Swept) -> pd.DataFrame:
    """Return the frontier table with the cost of efficient plans if every price were off."""
    tables = session.tables()
    band, hours = tables.setting("price_band"), tables.setting("hours_per_month")
    table = swept.table.copy()
    for name, factor in (("usd_low", 1 - band), ("usd_high", 1 + band)):
        table[name] = [
            bill_of(swept.outcomes[row.plan_id], factor).usd_per_month(hours)
            if row.efficient
            else row.usd_per_month
            for row in table.itertuples()
        ]
    return table


def _terms_in_words(deployment: Deployment) -> list[str]:
    """Return what was negotiated or chosen beyond the list prices, as sentences."""
    deal, tables = controls.current().deal, session.tables()
    words = []
    if deal.serverless.multiplier != 1:
        words.append(f"Region and availability: serverless × {deal.serverless.multiplier:g}")
    if deal.commitment is not None:
        words.append(
            f"Reserved machines under “{deal.commitment.label}” ({deal.commitment.basis}): paid "
            "whether used or not"
        )
    if deployment.dedicated.kind == "spot":
        rate = deal.terms(deployment.dedicated, tables).interruptions_per_h
        words.append(
            f"Spot machines are interrupted {rate:g} times an hour (assumed), each time repeating "
            "a start: that is in the cost, and in no percentile"
        )
    return words


def commitment_in_words(outcome: Outcome) -> str:
    """Return what the commitment of a plan binds to; empty for a plan without one."""
    plan, tables = outcome.plan, session.tables()
    commitment = controls.current().deal.commitment
    if not plan.is_committed or commitment is None:
        return ""
    offer = tables.offers[plan.base_offer_id or plan.offer_id]
    replicas = plan.policy.pinned_replicas or plan.policy.min_replicas
    gpus, per_machine = machine_shape(offer, plan.speed.gpus_per_replica)
    machines = math.ceil(replicas / per_machine)
    facts = commitment_facts(
        offer,
        commitment,
        machines=machines,
        gpus_per_machine=gpus,
        used_share=1.0,
        hours_per_month=tables.setting("hours_per_month"),
    )
    words = f"The commitment holds for {units.count(machines, 'machine')}"
    if not math.isnan(facts.committed_usd):
        words += (
            f": {units.dollars(facts.committed_usd)} over "
            f"{units.count(commitment.term_months, 'month')}"
        )
    if facts.upfront_usd > 0:
        words += f", {units.dollars(facts.upfront_usd)} of it upfront"
        words += (
            f", earned back after {facts.payback_months:.0f} months"
            if math.isfinite(facts.payback_months)
            else ", never earned back"
        )
    return (
        f"{words}. It beats the hourly price while over "
        f"{units.percent(facts.break_even_utilisation)} of its hours are used."
    )


def stage_words(start: ColdStart, tables: Tables) -> pd.DataFrame:
    """Return the stages of a start as words: seconds, basis and source."""
    rows = []
    for stage in start.stages:
        rows.append(
            {
                "Stage": stage.name.replace("_", " "),
                "Seconds": "not measured"
                if stage.median_s is None
                else units.seconds(stage.median_s),
                "Basis": stage.basis,
                "Source": ", ".join(
                    text.plain(tables.sources[source_id].title) for source_id in stage.source_ids
                )
                or "—",
            }
        )
    return pd.DataFrame(rows).set_index("Stage")


def included(swept: Swept) -> dict[str, list[str]]:
    """Return what is in the numbers, what is not, and what was assumed, as sentences."""
    deployment, tables = swept.deployment, session.tables()
    serverless, dedicated = deployment.serverless, deployment.dedicated
    hours = tables.setting("hours_per_month")
    cores = ""
    if serverless.usd_per_vcpu_s:
        vcpus = serverless.vcpus_per_gpu or tables.setting("vcpus_per_gpu")
        ram_gib = serverless.ram_gib_per_gpu or tables.setting("ram_gib_per_gpu")
        cores = f", with {vcpus:g} vCPU and {ram_gib:g} GiB a GPU on meters of their own"
    prices = [
        f"{offer.provider} {offer.product}, {offer.gpu}: {units.dollars(offer.usd_per_gpu_h)} a "
        f"GPU-hour ({origin_in_words(offer, tables)}){extra}"
        for offer, extra in ((serverless, cores), (dedicated, ""))
    ]
    flags = [
        name.removeprefix("bills_").replace("_", " ")
        for name in (f"bills_{stage.name}" for stage in deployment.start.stages)
        if not getattr(deployment.rules, name)
    ]
    rules = deployment.rules
    return {
        "In the number": [
            *prices,
            *_terms_in_words(deployment),
            f"Billing rules of {rules.provider}: by {units.seconds(rules.increment_s)}, "
            + (f"not billed in a start: {', '.join(flags)}" if flags else "all of a start billed")
            + f"; idle time {'billed' if rules.bills_idle else 'not billed'}",
            f"A month of {hours:g} hours; the trace repeated to fill it",
            f"Speed of {deployment.model.model}: "
            + (
                "scaled to published measurements of this GPU"
                if deployment.speed.basis == "measured"
                else "derived from bandwidth and peak arithmetic, within about 20 %"
            ),
        ],
        "Not in it": [
            "Tax, egress, load balancers, support, staff",
            "Failed starts, and queues for scarce GPUs",
            "Prefix caching and speculative decoding",
        ],
        "Traffic": text.understood(controls.current().trace),
        "Assumed": list(deployment.assumed) or ["Nothing beyond the sources"],
    }
