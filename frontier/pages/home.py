"""The Frontier page: the answer in words, the market, the plans of the offers in focus."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import pandas as pd
import streamlit as st

from frontier import spell, units
from frontier.charts.frontier_chart import frontier_figure, frontier_table, not_drawn
from frontier.charts.theme import BILL_COLOURS, STAGE_COLOURS
from frontier.errors import FrontierError
from frontier.pages import (
    against_view,
    by_trace,
    cards,
    controls,
    estimates,
    explained,
    link,
    market_view,
    mishap,
    results,
    session,
    show,
    takeaway,
    text,
    what_if,
)
from frontier.pages.controls import Choices
from frontier.pages.plans import choose_plan, picked_plan
from frontier.report import answer_rows, latency_rows, uncertain_percentiles
from frontier.start.labels import in_sentence
from frontier.study import Study
from frontier.sweep import Outcome
from frontier.trace.checks import unit_in_words
from frontier.verdict import Verdict, about_ranges, few_beyond

MARKET, PLANS = "market", "plans"


def render() -> None:
    """Draw the page for the choices in the bar."""
    choices = controls.with_traffic()
    if choices is None:
        return
    view_place, market_place, answer_place = st.container(), st.container(), st.empty()
    ranges_place = st.empty()
    pin_place = st.container()
    with view_place:
        view = _view(choices)
    if view == MARKET:
        explain_place = _draw_row(choices)
    pair = "" if view == PLANS else _pair(choices)
    study = problem = None
    try:
        estimates.draw_until_simulated(answer_place, choices)
        study = results.study(choices, functools.partial(_draw_first, answer_place, pair))
    except FrontierError as error:
        # Other offers may still run the model: the market shows them, with what is wrong here.
        problem = str(error)
    if study is not None:
        study = results.with_known_ranges(choices, study)
        _draw_answer(answer_place, study, pair)
        results.answered()
        ranges_place.caption(about_ranges(study.verdict))
    if study is None or view == MARKET:
        with market_place:
            market_view.draw(choices, problem)
    if study is None:
        return
    if view == PLANS:
        _draw_focus(choices, study)
    # After all that is quicker: it needs other rates of the traffic.
    found = results.with_break_even(choices, study)
    _draw_answer(answer_place, found, pair)
    with pin_place:
        against_view.beside_answer(found)
    if view == MARKET:
        with explain_place:
            explained.beside_answer(found)
        _draw_details(found, picked_plan(study))
    results.find_ranges(choices, study, ranges_place)


def _view(choices: Choices) -> str:
    """Draw the choice between the market and the plans of the offers in focus; return it."""
    labels = {MARKET: "Whole market", PLANS: f"In focus: {_pair(choices)}"}
    return link.segments("View", labels, MARKET, key="view", label_visibility="collapsed")


def _pair(choices: Choices) -> str:
    """Return the offers in focus: "Modal L40S and Crusoe L40S"."""
    offers, scenario = session.tables().offers, choices.scenario
    pair = [offers[key] for key in (scenario.serverless_offer, scenario.dedicated_offer)]
    names = [f"{offer.provider} {offer.gpu}" for offer in pair]
    if names[0] == names[1]:
        kinds = [offer.kind for offer in pair]
        if scenario.nodes is not None:
            kinds[0] = "as nodes"
        names = [f"{name} {kind}" for name, kind in zip(names, kinds, strict=True)]
    return " and ".join(names)


@link.part
def _draw_focus(choices: Choices, study: Study) -> None:
    """Draw the plans of the offers in focus; a plan or a tab chosen draws this anew alone."""
    chosen = _draw_plans(study)
    # Beneath the chart, which would be cut off by it on a small screen.
    explain_place = _draw_row(choices)
    found = results.with_break_even(choices, study)
    with explain_place:
        explained.beside_answer(found)
    _draw_tabs(found, chosen)


def _draw_row(choices: Choices) -> st.delta_generator.DeltaGenerator:
    """Draw the row of next questions, and return the place in it for how the answer is computed."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        explain_place = st.container(width="content")
        what_if.next_questions(choices)
    return explain_place


def _draw_plans(study: Study) -> str:
    chart_column, card_column = st.columns([1.65, 1], gap="medium")
    with card_column:
        chosen = choose_plan(study, help="Pick one here or click a point of the chart.")
    with chart_column:
        _draw_chart(study, chosen)
    with card_column:
        _draw_card(study, study.outcomes[chosen])
    return chosen


def _draw_answer(place: st.delta_generator.DeltaGenerator, study: Study, pair: str = "") -> None:
    with place.container():
        answer = study.verdict.answer
        if pair:
            # The market above may have a cheaper one: this sentence is about the pair alone.
            answer = f"Between {pair}: {spell.lower_first(answer)}"
        st.subheader(text.said(answer), anchor=False)
        if study.verdict.beside:
            st.markdown(text.said(study.verdict.beside))
        st.caption(text.said(study.verdict.below))
        cards.draw(study.verdict)


def _draw_first(place: st.delta_generator.DeltaGenerator, pair: str, study: Study) -> None:
    """Draw the answer of a first look; the whole comparison comes after the answers of others."""
    _draw_answer(place, study, pair)
    results.answered()


def _clicked(plan_ids: list[str]) -> None:
    points = st.session_state["frontier_chart"].selection.points
    if points:
        plan_id = points[0].get("customdata")
        plan_id = plan_id[0] if isinstance(plan_id, list | tuple) else plan_id
        if plan_id in plan_ids:
            st.session_state["plan"] = plan_id


def _draw_chart(study: Study, chosen: str) -> None:
    limit_s = study.limit_s
    # The toggle stands beneath the chart and is read before it is drawn.
    chart_place = st.container()
    tables = session.tables()
    band = link.flag(
        f"Show prices ± {spell.percent(tables.setting('price_band'))}",
        key="band",
        help=text.plain(tables.settings["price_band"].description) + ".",
    )
    table = study.with_price_band() if band else study.table
    points = frontier_table(table, slo_p99_ttft_s=limit_s)
    figure = frontier_figure(
        points,
        slo_p99_ttft_s=limit_s,
        marked=study.verdict.marked(),
        chosen_plan_id=chosen,
    )
    with chart_place:
        figure = against_view.with_pin(figure, against_view.of_pin(study))
        show.figure(
            figure,
            key="frontier_chart",
            alt=f"Dollars a month against p99 time to first token. {study.verdict.headline}.",
            on_select=mishap.safe(functools.partial(_clicked, list(study.outcomes))),
            selection_mode="points",
        )
    hidden = not_drawn(study.table)
    words = (
        f"{spell.count(len(study.table), 'plan')}, {int(study.table['efficient'].sum())} efficient"
    )
    if hidden:
        words += f"; {hidden} not drawn because they refuse more than one request in a hundred"
    st.caption(words + ". Large points: no other plan is cheaper without being noticeably slower.")


def _draw_card(study: Study, outcome: Outcome) -> None:
    cost, latency = study.bill(outcome), outcome.latency
    with st.container(border=True, key="plan_card"):
        st.caption(text.plain(_describe(study, outcome)))
        facts = [
            ("A month", spell.dollars(cost.usd_per_month(study.hours_per_month))),
            ("p99 TTFT", spell.seconds(latency.p99_ttft_s)),
            ("Waited on a start", spell.percent(latency.waited_on_start_share)),
            ("GPU busy", spell.percent(outcome.seconds.busy_share)),
        ]
        for pair in (facts[:2], facts[2:]):
            for column, (label, value) in zip(st.columns(2), pair, strict=True):
                column.metric(label, value)
        _draw_range(study, outcome)
        explained.beside_plan(study, outcome.plan.plan_id)
        _draw_money(cost.lines_per_month(study.hours_per_month))
        _draw_start(outcome)


def _draw_range(study: Study, outcome: Outcome) -> None:
    """Say how far the figures of a plan may be off, and how few requests its p99 rests on."""
    words = []
    found = None if study.luck is None else study.luck.plans.get(outcome.plan.plan_id)
    if found is not None:
        usd, p99_s = found.usd_per_month, found.p99_ttft_s
        words.append(
            f"Range by luck: {spell.dollars_between(usd.low, usd.high)} a month, p99 "
            f"{spell.seconds_between(p99_s.low, p99_s.high)}."
        )
    words.append(few_beyond(study.verdict))
    if said := " ".join(sentence for sentence in words if sentence):
        st.caption(text.money(said))


def _describe(study: Study, outcome: Outcome) -> str:
    plan, machines = outcome.plan, study.machines(outcome)
    if machines is not None and plan.base_offer_id is None:
        where = f"{machines.provider}, {machines}"
    else:
        offer = study.tables.offers[plan.offer_id]
        where = f"{offer.provider} {offer.product}"
    gpus = plan.speed.gpus_per_replica
    each = f"{gpus} × {plan.speed.gpu} a replica" if gpus > 1 else plan.speed.gpu
    most = f"at most {spell.count(plan.policy.max_replicas, 'replica')}"
    # A machine of one GPU names it already.
    said = [where, *([] if where.endswith(each) else [each]), plan.detail, most]
    return "; ".join(said)


def _draw_money(usd_per_month: dict[str, float]) -> None:
    if not any(usd > 0 for usd in usd_per_month.values()):
        return
    st.markdown("**Where the money goes**")
    show.parts(
        usd_per_month,
        key="money_bar",
        title="Dollars a month",
        colours=BILL_COLOURS,
        written=spell.dollars,
    )


def _draw_start(outcome: Outcome) -> None:
    plan = outcome.plan
    if plan.policy.min_replicas == plan.policy.max_replicas:
        is_spot = session.tables().offers[plan.offer_id].kind == "spot"
        st.caption(
            "Spot: who comes while no machine is up waits for the first to be back."
            if is_spot
            else "Every replica is always up: no request waits on a start."
        )
        return
    wall_s = plan.start.wall_s
    dominant = max(wall_s, key=wall_s.__getitem__)
    st.markdown(
        f"**A start takes about {spell.seconds(plan.start.typical_s)}**, "
        f"{spell.percent(round(wall_s[dominant] / plan.start.typical_s, 2))} of it "
        f"{in_sentence(dominant)}"
    )
    on_node = plan.start.on_node
    if on_node is not None and on_node.typical_s < plan.start.typical_s:
        st.caption(
            f"With a node to bring; on a node that is up {spell.seconds(on_node.typical_s)}."
        )
    show.parts(
        wall_s,
        key="start_bar",
        title="Seconds of a start",
        colours=STAGE_COLOURS,
        labels={name: in_sentence(name) for name in wall_s},
    )


@link.part
def _draw_details(study: Study, chosen: str) -> None:
    _draw_tabs(study, chosen)


def _draw_why(verdict: Verdict) -> None:
    """Draw what the facts come to, and apart from it how far the answer hangs on what is unsure."""
    hangs = set(verdict.hangs)
    groups = {
        "What it costs, and what for": [one for one in verdict.reasons if one not in hangs],
        "How far the answer may turn": list(verdict.hangs),
    }
    drawn = {title: said for title, said in groups.items() if said}
    for column, (title, said) in zip(
        st.columns(len(drawn), gap="large"), drawn.items(), strict=True
    ):
        with column:
            st.markdown(f"**{title}**")
            st.markdown("\n".join(f"- {text.said(one)}" for one in said))


def _draw_tabs(study: Study, chosen: str) -> None:
    outcome = study.outcomes[chosen]
    tabs = link.tabs(
        [
            "This plan",
            "Why",
            "All plans",
            "What is in the number",
            "Traffic that was read",
            "Take away",
        ],
        key="detail",
    )
    if tabs[0].open:
        with tabs[0]:
            _draw_plan_tables(study, outcome)
    if tabs[1].open:
        with tabs[1]:
            _draw_why(results.with_what_decides(study).verdict)
    if tabs[2].open:
        with tabs[2]:
            _draw_all(study)
    if tabs[3].open:
        with tabs[3]:
            _draw_included(study)
    if tabs[4].open:
        with tabs[4]:
            _draw_traffic(study)
            choices = controls.current()
            if isinstance(choices, Choices) and choices.together is not None:
                by_trace.draw(choices.together, study, chosen)
    if tabs[5].open:
        with tabs[5]:
            takeaway.draw(results.with_what_decides(study), chosen)


def _draw_plan_tables(study: Study, outcome: Outcome) -> None:
    cost, latency, hours = study.bill(outcome), outcome.latency, study.hours_per_month
    left, middle, right = st.columns(3)
    with left:
        st.markdown("**Cost a month**")
        lines = {name: usd for name, usd in cost.lines_per_month(hours).items() if usd}
        st.table(
            pd.DataFrame(
                {
                    "Line": [*(name[:1].upper() + name[1:] for name in lines), "Total"],
                    "Dollars": [
                        text.money(spell.dollars(usd))
                        for usd in (*lines.values(), cost.usd_per_month(hours))
                    ],
                }
            ).set_index("Line")
        )
        st.caption(
            text.money(
                f"{spell.dollars(cost.usd_per_1k_requests(outcome.requests))} for 1,000 requests, "
                f"{spell.dollars(cost.usd_per_mtok(outcome.tokens))} for a million tokens."
            )
        )
        bound = study.commitment_in_words(outcome)
        if bound:
            st.caption(text.said(bound))
    with middle:
        st.markdown("**Time to first token**")
        rows = latency_rows(latency)
        st.table(
            pd.DataFrame(
                {
                    "Of requests": [label for label, _ in rows],
                    "TTFT": [spell.seconds(value_s) for _, value_s in rows],
                }
            ).set_index("Of requests")
        )
        if few := uncertain_percentiles(outcome.requests, study.tables):
            st.caption(few)
        if latency.rejected_share:
            st.caption(f"{spell.percent(latency.rejected_share)} of requests were refused.")
        if answers := answer_rows(latency):
            st.table(
                pd.DataFrame(
                    {
                        "Answers": [label for label, _ in answers],
                        "Time": [spell.seconds(value_s) for _, value_s in answers],
                    }
                ).set_index("Answers")
            )
    with right:
        st.markdown("**Replicas**")
        held_s = outcome.seconds.held_s
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
                        spell.significant(held_s / outcome.horizon_s),
                        spell.significant(cost.billed_s / outcome.horizon_s),
                        f"{outcome.starts:,}",
                        spell.significant(
                            outcome.starts / (outcome.horizon_s / units.SECONDS_PER_DAY)
                        ),
                    ],
                }
            ).set_index("What")
        )
    if outcome.plan.policy.min_replicas < outcome.plan.policy.max_replicas:
        st.markdown("**Stages of a start**")
        st.table(results.stage_words(outcome.plan.start, session.tables()))


def _range_columns(table: pd.DataFrame) -> dict[str, pd.Series]:
    """Return the ranges of the plans that have one, in words, and whether they hold the limit."""
    if "holds_limit" not in table:
        return {}

    def between(name: str, said: Callable[[float, float], str]) -> pd.Series:
        ends = zip(table[f"{name}_low"], table[f"{name}_high"], strict=True)
        return pd.Series(
            ["" if math.isnan(low) else said(low, high) for low, high in ends], index=table.index
        )

    return {
        "Range of cost": between("usd_per_month", spell.dollars_between),
        "Range of p99": between("p99_ttft_s", spell.seconds_between),
        "With other luck": table["holds_limit"],
    }


def _draw_all(study: Study) -> None:
    table = study.table.sort_values(["usd_per_month", "p99_ttft_s"])
    st.dataframe(
        pd.DataFrame(
            {
                "Plan": table["label"],
                "Dollars a month": table["usd_per_month"],
                "p99 TTFT (s)": table["p99_ttft_s"],
                "Under the limit": table["meets_slo"],
                **_range_columns(table),
                "Median TTFT (s)": table["p50_ttft_s"],
                "p99 time per token (s)": table["p99_tpot_s"],
                "p99 until the last token (s)": table["p99_latency_s"],
                "Waited on a start": table["waited_on_start_share"] * 100,
                "Cold starts": table["starts"],
                "Efficient": table["efficient"],
            }
        ),
        hide_index=True,
        column_config={
            "Dollars a month": st.column_config.NumberColumn(format="dollar"),
            "p99 TTFT (s)": st.column_config.NumberColumn(format="%.3g"),
            "Median TTFT (s)": st.column_config.NumberColumn(format="%.3g"),
            "p99 time per token (s)": st.column_config.NumberColumn(format="%.3g"),
            "p99 until the last token (s)": st.column_config.NumberColumn(format="%.3g"),
            "Waited on a start": st.column_config.NumberColumn(format="%.2f %%"),
        },
    )
    show.download(study.table, "frontier.csv")


def _draw_included(study: Study) -> None:
    for title, sentences in study.included().items():
        st.markdown(f"**{title}**")
        st.markdown("\n".join(f"- {text.plain(sentence)}" for sentence in sentences))


def _draw_traffic(study: Study) -> None:
    trace = study.trace
    report = trace.report
    st.markdown(
        f"**{text.plain(trace.name)}**: {spell.count(trace.arrival_s.size, 'request')} over "
        f"{spell.seconds(trace.horizon_s)}, "
        f"{spell.rate(trace.arrival_s.size / trace.horizon_s)} on average."
    )
    unit = unit_in_words(report.time_unit)
    lines = [f"Format: {text.plain(report.format)}; times in {text.plain(unit)}"]
    lines.append(f"{report.rows_read:,} rows read, {report.kept:,} kept")
    lines += [
        f"{count:,} dropped: {text.plain(reason)}" for reason, count in report.dropped.items()
    ]
    lines += [text.plain(sentence) for sentence in (*report.assumed, *report.notes)]
    st.markdown("\n".join(f"- {line}" for line in lines))
