"""The Frontier page: the answer in words, the chart, and the chosen plan."""

from __future__ import annotations

import math

import pandas as pd
import streamlit as st

from frontier import units
from frontier.billing import Bill
from frontier.charts.frontier_chart import frontier_figure, frontier_table, not_drawn
from frontier.charts.stacked_bar import stacked_bar_figure, stacked_bar_table
from frontier.charts.theme import BILL_COLOURS, STAGE_COLOURS
from frontier.export import csv_bytes
from frontier.pages import controls, link, results, session, takeaway, text
from frontier.pages.plans import choose_plan
from frontier.sweep import Outcome

_STAGE_WORDS = {
    "allocate": "finding a GPU",
    "pull": "pulling the image",
    "boot": "booting the container",
    "engine_init": "starting the engine (imports, CUDA)",
    "fetch": "fetching the weights",
    "load": "loading them onto the GPU",
    "compile": "compiling",
    "kv_cache": "sizing the KV cache",
    "graph_capture": "capturing CUDA graphs",
    "other": "the rest",
}


def render() -> None:
    """Draw the page for the choices in the sidebar."""
    choices = controls.current()
    if controls.ask_for_traffic(choices):
        return
    answer_place = st.empty()
    chart_column, card_column = st.columns([1.65, 1], gap="medium")
    with chart_column:
        chart_place = st.empty()
    swept = results.swept(choices, lambda partial: _draw_answer(answer_place, partial))
    _draw_answer(answer_place, swept)
    with card_column:
        chosen = choose_plan(swept, help="Pick one here or click a point of the chart.")
    with chart_place.container():
        _draw_chart(swept, chosen)
    with card_column:
        _draw_card(swept.outcomes[chosen])
    _draw_details(swept, chosen)


def _draw_answer(place: st.delta_generator.DeltaGenerator, swept: results.Swept) -> None:
    with place.container():
        st.subheader(text.money(swept.answer.headline), anchor=False)
        st.markdown(text.money(" ".join(swept.answer.reasons)))


def _clicked(plan_ids: list[str]) -> None:
    points = st.session_state["frontier_chart"].selection.points
    if points:
        plan_id = points[0].get("customdata")
        plan_id = plan_id[0] if isinstance(plan_id, list | tuple) else plan_id
        if plan_id in plan_ids:
            st.session_state["plan"] = plan_id


def _draw_chart(swept: results.Swept, chosen: str) -> None:
    limit_s = swept.slo_p99_ttft_s
    # The toggle stands beneath the chart and is read before it is drawn.
    chart_place = st.container()
    tables = session.tables()
    band = link.flag(
        f"Show prices ± {units.percent(tables.setting('price_band'))}",
        key="band",
        help=text.plain(tables.settings["price_band"].description) + ".",
    )
    table = results.with_price_band(swept) if band else swept.table
    points = frontier_table(table, slo_p99_ttft_s=limit_s)
    figure = frontier_figure(
        points,
        slo_p99_ttft_s=limit_s,
        marked=swept.answer.marked(),
        chosen_plan_id=chosen,
    )
    chart_place.plotly_chart(
        figure,
        key="frontier_chart",
        on_select=lambda: _clicked(list(swept.outcomes)),
        selection_mode="points",
        config={"displayModeBar": False},
        alt=f"Dollars a month against p99 time to first token. {swept.answer.headline}.",
    )
    hidden = not_drawn(swept.table)
    words = (
        f"{units.count(len(swept.table), 'plan')}, {int(swept.table['efficient'].sum())} efficient"
    )
    if hidden:
        words += f"; {hidden} not drawn because they refuse more than one request in a hundred"
    st.caption(words + ". Large points: no other plan is both cheaper and faster.")


def _draw_card(outcome: Outcome) -> None:
    cost = results.bill_of(outcome)
    latency = outcome.latency
    up_s = sum(outcome.sessions[part].sum() for part in ("starting_s", "busy_s", "idle_s"))
    busy = outcome.sessions["busy_s"].sum() / up_s if up_s > 0 else math.nan
    with st.container(border=True, key="plan_card"):
        st.caption(text.plain(_describe(outcome)))
        facts = [
            ("A month", units.dollars(cost.usd_per_month(_hours()))),
            ("p99 TTFT", units.seconds(latency.p99_ttft_s)),
            ("Waited on a start", units.percent(latency.waited_on_start_share)),
            ("GPU busy", units.percent(busy)),
        ]
        for pair in (facts[:2], facts[2:]):
            for column, (label, value) in zip(st.columns(2), pair, strict=True):
                column.metric(label, value)
        _draw_money(cost)
        _draw_start(outcome)


def _describe(outcome: Outcome) -> str:
    tables = session.tables()
    plan = outcome.plan
    offer = tables.offers[plan.offer_id]
    gpus = plan.speed.gpus_per_replica
    return (
        f"{text.plain(offer.provider)} {text.plain(offer.product)}, "
        f"{f'{gpus} × ' if gpus > 1 else ''}{offer.gpu}; "
        f"{plan.detail}; at most {units.count(plan.policy.max_replicas, 'replica')}"
    )


def _draw_money(cost: Bill) -> None:
    table = stacked_bar_table(cost.lines_per_month(_hours()))
    if table.empty:
        return
    st.markdown("**Where the money goes**")
    st.plotly_chart(
        stacked_bar_figure(
            table, colours=BILL_COLOURS, shown=[units.dollars(usd) for usd in table["amount"]]
        ),
        key="money_bar",
        config={"displayModeBar": False},
        alt="Dollars a month: "
        + ", ".join(f"{row.label} {units.dollars(row.amount)}" for row in table.itertuples()),
    )


def _draw_start(outcome: Outcome) -> None:
    plan = outcome.plan
    if plan.policy.min_replicas == plan.policy.max_replicas:
        is_spot = session.tables().offers[plan.offer_id].kind == "spot"
        st.caption(
            "Spot: interruptions are in the cost, as repeated starts, and in no percentile."
            if is_spot
            else "Every replica is always up: no request waits on a start."
        )
        return
    wall_s = plan.start.wall_s
    dominant = max(wall_s, key=wall_s.get)
    st.markdown(
        f"**A start takes about {units.seconds(plan.start.typical_s)}**, "
        f"{units.percent(round(wall_s[dominant] / plan.start.typical_s, 2))} of it "
        f"{_STAGE_WORDS[dominant]}"
    )
    table = stacked_bar_table(wall_s, {name: name.replace("_", " ") for name in wall_s})
    st.plotly_chart(
        stacked_bar_figure(
            table, colours=STAGE_COLOURS, shown=[units.seconds(s) for s in table["amount"]]
        ),
        key="start_bar",
        config={"displayModeBar": False},
        alt="Seconds of a start: "
        + ", ".join(f"{row.label} {units.seconds(row.amount)}" for row in table.itertuples()),
    )


def _draw_details(swept: results.Swept, chosen: str) -> None:
    outcome = swept.outcomes[chosen]
    tabs = st.tabs(
        ["This plan", "All plans", "What is in the number", "Traffic that was read", "Take away"],
        key="detail",
        on_change="rerun",
    )
    if tabs[0].open:
        with tabs[0]:
            _draw_plan_tables(outcome)
    if tabs[1].open:
        with tabs[1]:
            _draw_all(swept)
    if tabs[2].open:
        with tabs[2]:
            _draw_included(swept)
    if tabs[3].open:
        with tabs[3]:
            _draw_traffic()
    if tabs[4].open:
        with tabs[4]:
            takeaway.draw(swept, chosen)


def _draw_plan_tables(outcome: Outcome) -> None:
    cost = results.bill_of(outcome)
    latency = outcome.latency
    left, middle, right = st.columns(3)
    with left:
        st.markdown("**Cost a month**")
        lines = {name: usd for name, usd in cost.lines_per_month(_hours()).items() if usd}
        st.table(
            pd.DataFrame(
                {
                    "Line": [*(name[:1].upper() + name[1:] for name in lines), "Total"],
                    "Dollars": [
                        text.money(units.dollars(usd))
                        for usd in (*lines.values(), cost.usd_per_month(_hours()))
                    ],
                }
            ).set_index("Line")
        )
        st.caption(
            text.money(
                f"{units.dollars(cost.usd_per_1k_requests(outcome.requests))} for 1,000 requests, "
                f"{units.dollars(cost.usd_per_mtok(outcome.tokens))} for a million tokens."
            )
        )
        bound = results.commitment_in_words(outcome)
        if bound:
            st.caption(text.money(bound))
    with middle:
        st.markdown("**Time to first token**")
        named = {
            "Median": latency.p50_ttft_s,
            "p90": latency.p90_ttft_s,
            "p95": latency.p95_ttft_s,
            "p99": latency.p99_ttft_s,
            "p99.9": latency.p999_ttft_s,
            "Longest": latency.max_ttft_s,
        }
        st.table(
            pd.DataFrame(
                {"Of requests": list(named), "TTFT": [units.seconds(s) for s in named.values()]}
            ).set_index("Of requests")
        )
        if latency.rejected_share:
            st.caption(f"{units.percent(latency.rejected_share)} of requests were refused.")
    with right:
        st.markdown("**Replicas**")
        sessions = outcome.sessions
        up_s = sum(sessions[part].sum() for part in ("starting_s", "busy_s", "idle_s"))
        st.table(
            pd.DataFrame(
                {
                    "What": [
                        "Held on average",
                        "Billed on average",
                        "Cold starts",
                        "Cold starts a day",
                    ],
                    "Value": [
                        units.significant(up_s / outcome.horizon_s),
                        units.significant(cost.billed_s / outcome.horizon_s),
                        f"{int((sessions['cold_start_index'] >= 0).sum()):,}",
                        units.significant(
                            (sessions["cold_start_index"] >= 0).sum()
                            / (outcome.horizon_s / units.SECONDS_PER_DAY)
                        ),
                    ],
                }
            ).set_index("What")
        )
    if outcome.plan.policy.min_replicas < outcome.plan.policy.max_replicas:
        st.markdown("**Stages of a start**")
        st.table(results.stage_words(outcome.plan.start, session.tables()))


def _draw_all(swept: results.Swept) -> None:
    table = swept.table.sort_values(["usd_per_month", "p99_ttft_s"])
    st.dataframe(
        pd.DataFrame(
            {
                "Plan": table["label"],
                "Dollars a month": table["usd_per_month"],
                "p99 TTFT (s)": table["p99_ttft_s"],
                "Median TTFT (s)": table["p50_ttft_s"],
                "Waited on a start": table["waited_on_start_share"] * 100,
                "Cold starts": table["starts"],
                "Efficient": table["efficient"],
                "Under the limit": table["meets_slo"],
            }
        ),
        hide_index=True,
        column_config={
            "Dollars a month": st.column_config.NumberColumn(format="dollar"),
            "p99 TTFT (s)": st.column_config.NumberColumn(format="%.3g"),
            "Median TTFT (s)": st.column_config.NumberColumn(format="%.3g"),
            "Waited on a start": st.column_config.NumberColumn(format="%.2f %%"),
        },
    )
    st.download_button(
        "Download as CSV",
        lambda: csv_bytes(swept.table),
        "frontier.csv",
        "text/csv",
        on_click="ignore",
        icon=":material/download:",
    )


def _draw_included(swept: results.Swept) -> None:
    for title, sentences in results.included(swept).items():
        st.markdown(f"**{title}**")
        st.markdown("\n".join(f"- {text.plain(sentence)}" for sentence in sentences))


def _draw_traffic() -> None:
    trace = controls.current().trace
    report = trace.report
    st.markdown(
        f"**{text.plain(trace.name)}**: {units.count(trace.arrival_s.size, 'request')} over "
        f"{units.seconds(trace.horizon_s)}, "
        f"{units.rate(trace.arrival_s.size / trace.horizon_s)} on average."
    )
    lines = [f"Format: {text.plain(report.format)}; times in {text.plain(report.time_unit)}"]
    lines.append(f"{report.rows_read:,} rows read, {report.kept:,} kept")
    lines += [
        f"{count:,} dropped: {text.plain(reason)}" for reason, count in report.dropped.items()
    ]
    lines += [text.plain(sentence) for sentence in (*report.assumed, *report.notes)]
    st.markdown("\n".join(f"- {line}" for line in lines))


def _hours() -> float:
    return session.tables().setting("hours_per_month")
