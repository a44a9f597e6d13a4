"""What polling and windows cost and save: one plan under each autoscaler, on the traffic."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from frontier import spell
from frontier.autoscalers import in_words
from frontier.charts.autoscalers_chart import (
    autoscalers_chart_figure,
    autoscalers_chart_table,
    is_near,
)
from frontier.pages import show, text
from frontier.pages.controls import Choices
from frontier.pages.store import store
from frontier.plans.grid import plans_by_autoscaler
from frontier.plans.scenario import Deployment
from frontier.sweep import bill_outcome, simulate_plans
from frontier.tables import Tables


def draw_autoscalers(choices: Choices, deployment: Deployment, tables: Tables) -> None:
    """Draw the plan with nothing done under each autoscaler of data/autoscalers.csv."""
    plans = plans_by_autoscaler(deployment, tables)
    outcomes = store(private=choices.is_private).get_or_make(
        ("autoscalers", *choices.content),
        lambda: simulate_plans(tuple(plans.values()), choices.trace, tables),
    )
    hours = tables.setting("hours_per_month")
    own = deployment.autoscaler.autoscaler
    tried = pd.DataFrame(
        [
            {
                "autoscaler": key,
                "label": tables.autoscalers[key].label,
                "is_own": key == own,
                "p99_ttft_s": outcome.latency.p99_ttft_s,
                "waited_on_start_share": outcome.latency.waited_on_start_share,
                "starts": outcome.starts,
                "usd_per_month": bill_outcome(outcome, tables, choices.deal).usd_per_month(hours),
                "how": in_words(tables.autoscalers[key]),
            }
            for key, outcome in zip(plans, outcomes, strict=True)
        ]
    )
    st.subheader("What the autoscaler does to it", anchor=False)
    mine = tried[tried["is_own"]].iloc[0]
    quickest = tried.loc[tried["p99_ttft_s"].idxmin()]
    plan = plans[own]
    limit_s = choices.scenario.slo_p99_ttft_s
    table = autoscalers_chart_table(tried)
    words = (
        f"The same plan, keep-alive {spell.seconds(plan.policy.idle_timeout_s)} and "
        f"{spell.count(plan.policy.target_concurrency or 0, 'request')} to a replica, under each "
        f"autoscaler. {mine['label']}, in force here: {spell.dollars(mine['usd_per_month'])} a "
        f"month at a p99 of {spell.seconds(mine['p99_ttft_s'])}. Lowest p99: "
        f"{quickest['label']}, {spell.seconds(quickest['p99_ttft_s'])} for "
        f"{spell.dollars(quickest['usd_per_month'])} a month."
    )
    if not table.empty and not is_near(table, limit_s):
        all_above = bool((table["p99_ttft_s"] > limit_s).all())
        words += f" All lie {'above' if all_above else 'below'} the limit of "
        words += f"{spell.seconds(limit_s)}, which is off the chart."
    st.markdown(text.plain(words))
    if table.empty:
        return
    show.figure(
        show.built(autoscalers_chart_figure, table, slo_p99_ttft_s=limit_s),
        key="autoscalers",
        alt="p99 and dollars a month of one plan under each autoscaler: "
        + "; ".join(
            f"{row.labels} {spell.seconds(row.p99_ttft_s)}, {spell.dollars(row.usd_per_month)}"
            for row in table.itertuples()
        ),
    )
    st.table(
        pd.DataFrame(
            {
                "Point": table["number"].astype(str),
                "Autoscaler": table["labels"].map(text.plain),
                "A month": [text.plain(spell.dollars(usd)) for usd in table["usd_per_month"]],
                "p99 TTFT": table["p99_ttft_s"].map(spell.seconds),
            }
        ),
        hide_index=True,
    )
    show.download(tried.drop(columns="is_own"), "autoscalers.csv")
