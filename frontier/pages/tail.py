"""The Tail page: what the slowest requests waited for, and what the replicas did meanwhile."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from frontier import spell, units
from frontier.charts.in_flight_chart import in_flight_figure, in_flight_table
from frontier.charts.replicas_chart import replicas_figure, replicas_table
from frontier.charts.tail_chart import (
    CAUSE_MARKS,
    PART_COLOURS,
    PART_LABELS,
    slowest_percent,
    slowest_table,
    tail_figure,
    tail_table,
)
from frontier.hourly import how_spread
from frontier.pages import controls, link, results, session, show
from frontier.pages.plans import choose_plan
from frontier.pages.store import store
from frontier.plans.families import BOUND
from frontier.ranges import beyond_in_words, few_beyond
from frontier.scope import date_of
from frontier.simulate import RunResult
from frontier.sweep import Outcome, rerun, rerun_with_instant_starts
from frontier.trace import Trace
from frontier.waits import explain

_WINDOWS = {"all": "The whole trace", "hour": "The hour around the p99 request"}
_LISTED = 20
_PART_HEADINGS = {
    "start_s": "Start",
    "retry_s": "Retry",
    "slot_s": "Free place",
    "behind_s": "Queue",
    "prompt_s": "Prompt",
    "shared_s": "Answers beside it",
    "overhead_s": "API",
    "saved_s": "Saved by the cache",
}
_CAUSE_WORDS = {
    **{cause: mark.label for cause, mark in CAUSE_MARKS.items()},
    "refused": "Refused",
}


@dataclass(frozen=True, slots=True, eq=False)
class Tail:
    """What the page shows of one plan; small, whatever the length of the trace.

    Attributes
    ----------
    points : DataFrame
        `charts.tail_chart.tail_table`.
    slowest : DataFrame
        `charts.tail_chart.slowest_table` of the slowest 1 %, slowest first.
    mean_s, slowest_mean_s : dict of str to float
        Mean seconds by part, over the served requests and those of them in the slowest 1 %.
    p99_instant_s : float
        p99 TTFT if every start were instant [s].
    windows : dict of str to DataFrame
        By window: `charts.in_flight_chart.in_flight_table` where all replicas are always up, else
        `charts.replicas_chart.replicas_table`.
    """

    points: pd.DataFrame
    slowest: pd.DataFrame
    mean_s: dict[str, float]
    slowest_mean_s: dict[str, float]
    p99_instant_s: float
    windows: dict[str, pd.DataFrame]

    @property
    def is_always_up(self) -> bool:
        """Whether every replica is up all the time, so that none comes or goes."""
        return "capacity" in self.windows["all"]


def render() -> None:
    """Draw the page for the choices in the bar."""
    choices = controls.with_traffic()
    if choices is None:
        return
    trace = choices.trace
    study = results.study(choices)
    plan_id = choose_plan(study)
    outcome = study.outcomes[plan_id]
    if outcome.plan.family is BOUND:
        st.info(
            "The clairvoyant bound is a cost, not a plan: no request waits on a start in it. "
            "Choose a plan to see its tail.",
            icon=":material/info:",
        )
        return
    tail = store(private=choices.is_private).get_or_make(
        ("tail", *choices.content, plan_id), lambda: _tail(outcome, trace)
    )
    headline, detail = _words(tail, outcome)
    st.subheader(headline, anchor=False)
    results.answered()
    few = session.tables().setting("ranges_few_beyond")
    st.markdown(f"{detail} {beyond_in_words(few_beyond(outcome.requests, few))}".strip())
    if spread := how_spread(choices.trace.report.bucket_s):
        st.caption(spread)
    _draw_distribution(tail, outcome, study.limit_s)
    _draw_parts(tail)
    _draw_through_time(tail, outcome, trace)
    _draw_slowest(tail, trace)


def _tail(outcome: Outcome, trace: Trace) -> Tail:
    result = rerun(outcome, trace)
    parts = explain(result, outcome.plan, trace)
    slowest = slowest_percent(result.ttft_s)

    def mean_s(requests: np.ndarray) -> dict[str, float]:
        served = requests[~result.rejected[requests]]
        if not served.size:
            return {}
        return {name: float(getattr(parts, name)[served].mean()) for name in PART_LABELS}

    plan = outcome.plan
    timeout_s = plan.policy.queue_timeout_s
    capacity = plan.speed.max_sequences * len(result.sessions)

    def through_time(from_s: float, to_s: float) -> pd.DataFrame:
        window = {"queue_timeout_s": timeout_s, "from_s": from_s, "to_s": to_s}
        if _is_always_up(result):
            return in_flight_table(result, trace.arrival_s, capacity=capacity, **window)
        return replicas_table(result, trace.arrival_s, **window)

    starts = outcome.starts > 0 or result.waited_on_start.any()
    return Tail(
        points=tail_table(result.ttft_s, parts.cause),
        slowest=slowest_table(result, parts, trace, slowest),
        mean_s=mean_s(np.arange(trace.arrival_s.size)),
        slowest_mean_s=mean_s(slowest),
        p99_instant_s=rerun_with_instant_starts(outcome, trace).ttft_percentile(99)
        if starts
        else outcome.latency.p99_ttft_s,
        windows={
            name: through_time(*window)
            # The least slow of the slowest 1 % is the request at p99.
            for name, window in _windows(trace, float(trace.arrival_s[slowest[-1]])).items()
        },
    )


def _is_always_up(result: RunResult) -> bool:
    sessions = result.sessions
    return bool(
        (sessions["cold_start_index"] < 0).all()
        and (sessions["started_s"] == 0.0).all()
        and (sessions["ended_s"] >= result.horizon_s).all()
    )


def _windows(trace: Trace, around_s: float) -> dict[str, tuple[float, float]]:
    """Return the windows of the chart of replicas: everything, and one hour within it [s]."""
    windows = {"all": (0.0, trace.horizon_s)}
    hour_s = units.SECONDS_PER_HOUR
    if trace.horizon_s > hour_s:
        from_s = min(max(0.0, around_s - hour_s / 2), trace.horizon_s - hour_s)
        windows["hour"] = (from_s, from_s + hour_s)
    return windows


def _words(tail: Tail, outcome: Outcome) -> tuple[str, str]:
    """Return the answer as a headline, and the sentences beneath it."""
    count = len(tail.slowest)
    share = tail.slowest["cause"].value_counts(normalize=True).to_dict()
    on_start = share.get("caused a start", 0.0) + share.get("joined a start", 0.0)
    shares = {
        "waited on a cold start": on_start,
        "queued behind other requests": share.get("queued", 0.0),
        "waited mostly for their own prompt": share.get("own prompt", 0.0),
        "were refused": share.get("refused", 0.0),
    }
    said = sorted(((part, words) for words, part in shares.items() if part), reverse=True)
    headline = f"Of the slowest 1 % of requests ({count:,}), " + ", ".join(
        f"{_rounded(part)} {words}" if part < 1 else f"all {words}" for part, words in said
    )
    p99_s, instant_s = outcome.latency.p99_ttft_s, tail.p99_instant_s
    detail = (
        f"p99 is {spell.seconds(p99_s)}"
        if math.isfinite(p99_s)
        else "More than one request in a hundred is refused, so there is no p99"
    )
    if not on_start and not shares["were refused"]:
        detail += "; none of these waits is a cold start's."
    elif math.isfinite(instant_s):
        detail += f"; were every start instant, it would be {spell.seconds(instant_s)}."
    else:
        detail += ", and there would be none if every start were instant."
    if on_start:
        caused, joined = share.get("caused a start", 0.0), share.get("joined a start", 0.0)
        if caused and joined:
            detail += (
                f" {_rounded(caused)} of the slowest caused the start they waited for, "
                f"{_rounded(joined)} came while it was under way."
            )
    rejected = outcome.latency.rejected_share
    if rejected:
        detail += (
            f" {spell.percent(rejected)} of all requests were refused: they count as slower than "
            "any other and are not drawn."
        )
    return headline, detail


def _rounded(share: float) -> str:
    return spell.percent(round(share, 2)) if share >= 0.01 else spell.percent(share)


def _draw_distribution(tail: Tail, outcome: Outcome, slo_p99_ttft_s: float) -> None:
    title, popover = st.columns([3, 1], vertical_alignment="bottom")
    title.markdown("**How many requests wait how long, and why**")
    with popover.popover("What the causes mean", icon=":material/help:"):
        st.markdown(
            "Each request has one cause, the first that holds:\n"
            "- **Refused**: it was turned away, or left the queue, without an answer.\n"
            "- **Caused a start, waited for it**: its own arrival started the replica that "
            "served it.\n"
            "- **Waited on another's start**: its replica was still starting when it came, and "
            "another request, or the schedule, had started it.\n"
            "- **Queued behind others**: its replica was up, and it waited longer for a free "
            "place and for other prompts than its own prompt and the API took.\n"
            "- **Its own prompt**: what is left. Prefill and the API took most of the time.\n\n"
            "Its seconds are split whatever the cause, and add up: until the replica was ready "
            "(**a start**); until there was **a free place** on one; while the **prompts of "
            "others** were read before it; **its own prompt** (prefill); what **the answers beside "
            "it** took while it was read, since the engine reads a prompt in pieces between decode "
            "steps; **the API**, tokeniser and scheduler; and, where a provider refuses cold "
            "requests, until **the client's next try**."
        )
    if tail.points.empty:
        st.info("Every request was refused: there is nothing to draw.", icon=":material/info:")
        return
    latency = outcome.latency
    named = {"Median": latency.p50_ttft_s, "p95": latency.p95_ttft_s, "p99": latency.p99_ttft_s}
    show.figure(
        show.built(tail_figure, tail.points, slo_p99_ttft_s=slo_p99_ttft_s),
        key="tail_chart",
        table=tail.points,
        file_name="tail.csv",
        alt="Share of requests at least as slow as a time to first token. "
        + ", ".join(f"{name} {spell.seconds(value_s)}" for name, value_s in named.items()),
    )


def _draw_parts(tail: Tail) -> None:
    columns = st.columns(2, gap="medium")
    for column, name, words, mean_s in (
        (columns[0], "all", "All requests", tail.mean_s),
        (columns[1], "slowest", "The slowest 1 %", tail.slowest_mean_s),
    ):
        with column:
            if not mean_s:
                st.markdown(f"**{words}: none was served**")
                continue
            st.markdown(f"**{words} waited {spell.seconds(sum(mean_s.values()))} on average for**")
            show.parts(
                mean_s,
                key=f"parts_{name}",
                title=f"{words}, mean seconds waited for",
                colours=PART_COLOURS,
                labels=PART_LABELS,
            )


def _draw_through_time(tail: Tail, outcome: Outcome, trace: Trace) -> None:
    title, choice = st.columns([2, 1], vertical_alignment="bottom")
    title.markdown(
        "**How full it is through time**" if tail.is_always_up else "**Replicas through time**"
    )
    with choice:
        window = link.pick(
            "Window",
            list(tail.windows),
            "all",
            key="window",
            format_func=_WINDOWS.__getitem__,
        )
    table = tail.windows[window]
    width = spell.seconds(float((table["to_s"] - table["from_s"]).iloc[0]))
    draw = _in_flight if tail.is_always_up else _replicas
    figure, summary, beneath = draw(table, outcome, trace, width)
    st.markdown(summary)
    show.figure(
        figure,
        key=f"replicas_chart_{window}",
        table=table,
        file_name=f"{'in_flight' if tail.is_always_up else 'replicas'}_{window}.csv",
        alt=f"{'Requests in flight' if tail.is_always_up else 'Replicas and requests'} through "
        f"time. {summary}",
    )
    st.caption(beneath)


def _in_flight(
    table: pd.DataFrame, outcome: Outcome, trace: Trace, width: str
) -> tuple[go.Figure, str, str]:
    """Return the figure of a plan whose replicas are always up, its sentence and its footnote."""
    capacity, most = int(table["capacity"].iloc[0]), int(table["most"].max())
    replicas = capacity // outcome.plan.speed.max_sequences
    average = float(np.average(table["average"], weights=table["to_s"] - table["from_s"]))
    summary = (
        f"{spell.count(replicas, 'replica')} {'holds' if replicas == 1 else 'hold'} "
        f"{capacity:,} requests at once; at most {most:,} "
        f"{'is' if most == 1 else 'are'} in flight ({spell.percent(round(most / capacity, 3))}), "
        f"on average {spell.significant(average)}."
    )
    return (
        show.built(in_flight_figure, table, t0_utc=date_of(trace)),
        summary,
        f"Each step is the most at one moment of {width}. A replica slows down with each request "
        "it holds, and reads one prompt at a time: it may be slow long before it is full.",
    )


def _replicas(
    table: pd.DataFrame, outcome: Outcome, trace: Trace, width: str
) -> tuple[go.Figure, str, str]:
    """Return the figure of a plan whose replicas come and go, its sentence and its footnote."""
    width_s = table["to_s"] - table["from_s"]
    means = {
        name: float(np.average(table[name], weights=width_s))
        for name in ("up", "starting", "parked", "in_system")
    }
    summary = (
        f"On average {spell.significant(means['up'])} up, "
        f"{spell.significant(means['starting'])} starting"
        + (f", {spell.significant(means['parked'])} parked" if means["parked"] else "")
        + f"; {spell.significant(means['in_system'])} requests in flight."
    )
    return (
        show.built(replicas_figure, table, t0_utc=date_of(trace)),
        summary,
        f"Each step is an average over {width}."
        + (
            " When a replica was parked is not recorded: its parked seconds are spread evenly over "
            "its life."
            if outcome.plan.policy.parked
            else ""
        ),
    )


def _draw_slowest(tail: Tail, trace: Trace) -> None:
    rows = tail.slowest.head(_LISTED)
    slowest = "slowest request" if len(rows) == 1 else f"{len(rows):,} slowest requests"
    st.markdown(f"**The {slowest}**")
    parts = [name for name in _PART_HEADINGS if tail.slowest[name].any()]
    st.dataframe(
        pd.DataFrame(
            {
                "Arrived": [spell.moment(at_s, date_of(trace)) for at_s in rows["arrival_s"]],
                "TTFT": [spell.seconds(ttft_s) for ttft_s in rows["ttft_s"]],
                "Cause": rows["cause"].map(_CAUSE_WORDS),
                **{_PART_HEADINGS[name]: rows[name].map(spell.seconds) for name in parts},
                "Prompt tokens": rows["prompt_tokens"],
            }
        ),
        hide_index=True,
        height="content",
        column_config={"Prompt tokens": st.column_config.NumberColumn(format="localized")},
    )
    if date_of(trace) is not None:
        st.caption("Times are UTC.")
    show.download(
        tail.slowest,
        "slowest_requests.csv",
        label="Download the slowest 1 % as CSV",
    )
