"""The Traffic page: what was understood, when requests come, and what an idle timeout would do."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st

from frontier import spell, units
from frontier.analytic import idle_gap_table
from frontier.charts.gaps_chart import gaps_figure, gaps_table
from frontier.charts.hour_of_week_chart import hour_of_week_figure, hour_of_week_table
from frontier.charts.prefix_chart import prefix_figure, prefix_table
from frontier.charts.rate_chart import rate_figure, rate_table
from frontier.charts.tokens_chart import tokens_figure, tokens_table
from frontier.errors import FrontierError
from frontier.pages import by_trace, controls, link, results, session, show, text
from frontier.pages.controls import Choices
from frontier.pages.store import store
from frontier.pages.traffic_beside import EXACTLY, draw_other_draws, draw_published
from frontier.plans.grid import default_grid
from frontier.plans.scenario import Deployment, deploy
from frontier.scope import badge, cautions, date_of, prefixes_in_words, understood
from frontier.study import cache_hits
from frontier.tables import Tables
from frontier.trace import Trace, TraceStatistics, alike, trace_statistics
from frontier.trace.statistics import TURN_GAP_LEVELS

_PROVIDER, _PLAN = "provider's default", "chosen plan"
_WEAK = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What the page shows of a trace; small, whatever its length.

    Attributes
    ----------
    statistics : TraceStatistics
    alike : tuple of str
        Sentences that set it beside published traces.
    bursts : int or None
        Runs of requests without a silence of `traffic_burst_gap_s`; None where requests were
        counted over longer times.
    idle_share : float or None
        Share of the time in which one replica would have nothing to do [1].
    bucket_s : float or None
        What requests were counted over, if they were. [s]
    no_residence : str
        Why service takes no time on this page; empty if it does.
    rate, gaps, tokens : DataFrame
        Tables of the charts; ``gaps`` is None where nothing lasts.
    hours : DataFrame or None
        Rate by hour of the week; None where the trace has no date or is shorter than a day.
    prefixes : DataFrame or None
        `charts.prefix_chart.prefix_table`; None where the trace does not say which prompts begin
        alike, or nothing can serve it.
    """

    statistics: TraceStatistics
    alike: tuple[str, ...]
    bursts: int | None
    idle_share: float | None
    bucket_s: float | None
    no_residence: str
    rate: pd.DataFrame
    gaps: pd.DataFrame | None
    tokens: pd.DataFrame
    hours: pd.DataFrame | None
    prefixes: pd.DataFrame | None

    @property
    def is_coarse(self) -> bool:
        """Whether requests were counted over more than a minute."""
        return (self.bucket_s or 0.0) > units.SECONDS_PER_MINUTE


def render() -> None:
    """Draw the page for the choices in the bar."""
    choices = controls.with_traffic()
    if choices is None:
        return
    trace = choices.trace
    plan_id = link.choices().get("plan")
    view = store(private=choices.is_private).get_or_make(
        ("traffic", *choices.content, plan_id), lambda: _view(choices, plan_id)
    )
    st.subheader(_headline(view), anchor=False)
    results.answered()
    _draw_rate(view, trace)
    if choices.together is not None:
        by_trace.draw_counts(choices.together)
    _draw_cautions(view, trace)
    st.markdown(text.plain(" ".join(view.alike[:2])))
    _draw_hours(view, trace)
    _draw_gaps(view, trace)
    _draw_burstiness(view, trace)
    _draw_tokens(view)
    _draw_prefixes(view, trace)
    _draw_sessions(view)
    draw_published(view.statistics, view.alike)
    draw_other_draws(choices)


def _view(choices: Choices, plan_id: str | None) -> View:
    trace, tables = choices.trace, session.tables()
    statistics = trace_statistics(trace, tables)
    residence_s, no_residence = np.zeros(trace.arrival_s.size), ""
    named_s: dict[str, float] = {}
    prefixes = None
    try:
        deployment = deploy(choices.scenario, trace, tables)
        speed = deployment.speed
        named_s = _named_timeouts_s(deployment, trace, plan_id, tables)
        residence_s = speed.prefill_s(trace.prompt_tokens)
        residence_s = residence_s + (trace.output_tokens - 1) * speed.decode_step_s[0]
        if trace.prefix_parent is not None:
            prefixes = prefix_table(cache_hits(deployment, trace, tables))
    except FrontierError as error:
        no_residence = str(error)
    gaps = None
    if trace.horizon_s > 0.0:
        gaps = gaps_table(trace.arrival_s, residence_s, trace.horizon_s, named_s=named_s)
    burst_gap_s = tables.setting("traffic_burst_gap_s")
    return View(
        statistics=statistics,
        alike=alike(statistics, tables),
        bursts=int(idle_gap_table(trace.arrival_s, burst_gap_s).cold[0])
        if (trace.report.bucket_s or 0.0) <= burst_gap_s
        else None,
        # Held with a timeout of 0 is held at work.
        idle_share=None if gaps is None else 1.0 - float(gaps["held_share"].iloc[0]),
        bucket_s=trace.report.bucket_s,
        no_residence=no_residence,
        rate=rate_table(trace),
        gaps=gaps,
        tokens=tokens_table(trace),
        hours=hour_of_week_table(trace)
        if trace.t0_utc is not None
        and trace.horizon_s >= units.SECONDS_PER_DAY
        and (trace.report.bucket_s or 0.0) <= units.SECONDS_PER_HOUR
        else None,
        prefixes=prefixes,
    )


def _named_timeouts_s(
    deployment: Deployment, trace: Trace, plan_id: str | None, tables: Tables
) -> dict[str, float]:
    """Return the timeouts to read off: the provider's own and that of the chosen plan [s]."""
    named: dict[str, float] = {}
    behaviour = deployment.serverless.behaviour
    if behaviour.idle_default_s is not None:
        named[_PROVIDER] = float(behaviour.idle_default_s)
    if plan_id is not None:
        for plan in default_grid(deployment, trace, tables):
            if plan.plan_id == plan_id and math.isfinite(plan.policy.idle_timeout_s):
                named[_PLAN] = plan.policy.idle_timeout_s
    return named


def _headline(view: View) -> str:
    statistics = view.statistics
    words = spell.count(statistics.requests, "request")
    per_day, days = statistics.requests_per_day, statistics.horizon_s / units.SECONDS_PER_DAY
    # Bursts are counted over what the requests beside them are: a day, or the whole trace.
    is_daily = per_day is not None and per_day >= 1.0 and days >= 1.0
    if per_day is not None and is_daily:
        words = f"{spell.significant(per_day)} requests a day"
    elif per_day is not None:
        words += f" in {spell.seconds(statistics.horizon_s)}"
    if view.bursts is not None:
        words += (
            f" in {spell.significant(view.bursts / days)} bursts"
            if is_daily
            else f", in {spell.count(view.bursts, 'burst')}"
        )
    if view.idle_share is not None and not view.no_residence:
        idle = spell.percent(view.idle_share)
        if view.idle_share < 1.0 and idle == spell.percent(1.0):
            idle = f"nearly {idle}"
        placed = f"{_placed(view.bucket_s)}, " if view.is_coarse else ""
        words += f"; {placed}one replica would be idle {idle} of the time"
    return words


def _placed(bucket_s: float | None) -> str:
    return f"spread at random over each {spell.seconds(bucket_s or 0.0)}"


def _draw_rate(view: View, trace: Trace) -> None:
    width_s = float((view.rate["to_s"] - view.rate["from_s"]).max())
    most = int(view.rate["requests"].max())
    show.figure(
        show.built(rate_figure, view.rate, t0_utc=date_of(trace)),
        key="rate_chart",
        table=view.rate,
        file_name="rate.csv",
        alt=f"Requests over time in steps of {spell.seconds(width_s)}, at most {most:,} in one.",
    )


def _draw_cautions(view: View, trace: Trace) -> None:
    """Draw what to beware of as badges, and where the traffic is from, folded."""
    found = [*cautions(trace)]
    if view.no_residence:
        found.append(("Serving time not known", view.no_residence))
    with st.container(horizontal=True, gap="small", key="cautions"):
        for words, sentence in found:
            st.badge(
                text.plain(words),
                icon=":material/warning:",
                color="gray",
                help=text.plain(sentence),
            )
    with st.expander("Where this traffic is from: read, dropped, assumed"):
        st.caption(text.plain(badge(trace, brief=True)))
        st.markdown(text.bullets(understood(trace)))


def _draw_hours(view: View, trace: Trace) -> None:
    st.markdown("**Hours of the week**")
    if view.hours is None:
        bucket_s = view.bucket_s or 0.0
        st.caption(
            f"Requests were counted per {spell.seconds(bucket_s)}: at which hours they came is not "
            "known."
            if bucket_s > units.SECONDS_PER_HOUR
            else "The trace has no date, so its hours of day are not known."
            if trace.horizon_s >= units.SECONDS_PER_DAY
            else f"{spell.seconds(trace.horizon_s)} of traffic hold no pattern of day or week. One "
            "can be borrowed from a published week: “Scale this traffic” in the bar."
        )
        return
    observed = view.hours.dropna(subset=["requests_per_h"])
    busiest = observed.loc[observed["requests_per_h"].idxmax()]
    show.figure(
        show.built(
            hour_of_week_figure,
            view.hours,
            clock="as generated" if date_of(trace) is None else "UTC",
        ),
        key="hour_of_week_chart",
        table=view.hours,
        file_name="hour_of_week.csv",
        alt=f"Rate by hour of the week. Busiest: {busiest['day']} {busiest['hour']}:00 with "
        f"{spell.significant(busiest['requests_per_h'])} requests an hour.",
    )
    if len(observed) < len(view.hours):
        st.caption(f"{len(view.hours) - len(observed)} hours of the week are not in the trace.")


def _draw_gaps(view: View, trace: Trace) -> None:
    st.markdown("**What an idle timeout would do**")
    if view.gaps is None:
        st.caption("All requests come at one time: there are no gaps.")
        return
    bucket_s = trace.report.bucket_s
    named = view.gaps[view.gaps["name"] != ""]
    said = "; ".join(
        f"{row.name} {spell.seconds(row.idle_timeout_s)}: {spell.percent(row.cold_share)} of "
        f"requests find it off, held {spell.percent(row.held_share)} of the time"
        for row in named[["name", "idle_timeout_s", "cold_share", "held_share"]].itertuples(
            index=False
        )
    )
    show.figure(
        show.built(gaps_figure, view.gaps, bucket_s=bucket_s),
        key="gaps_chart",
        table=view.gaps,
        file_name="gaps.csv",
        alt="Share of requests that find one replica off, and share of time it is held, against "
        f"the idle timeout. {said}",
    )
    if said:
        words = f"{said[0].upper()}{said[1:]}."
        if view.is_coarse:
            words = f"With requests {_placed(bucket_s)}: {said}."
        st.markdown(words)
    words = (
        "Exact for one replica that takes any number of requests at once. A start takes no time "
        "here: requests that come during one also wait, and are in the frontier."
    )
    if view.no_residence:
        words += " What serving takes is not known, and left out. " + text.plain(view.no_residence)
    if bucket_s is not None:
        words += (
            f" Requests were counted per {spell.seconds(bucket_s)}: shorter timeouts cannot be "
            "judged."
        )
    st.caption(words)


def evenness_in_words(iat_cv: float, dispersion_60s: float | None) -> str:
    """Return what both numbers come to, beside those of requests at random, which are 1.

    Parameters
    ----------
    iat_cv, dispersion_60s : float
        Of the gaps, and of the requests a minute.
    """
    if iat_cv < 0.8:
        return "More regular than random: gaps are alike, so one timeout suits nearly all of them"
    if iat_cv > 1.25:
        return (
            "Burstier than random: requests come close together and long gaps lie between, so a "
            "start serves several requests, and those in one burst share its wait"
        )
    if dispersion_60s is not None and dispersion_60s > 2:
        return (
            "From one request to the next nearly at random, while some minutes have far more of "
            "them than others: the rate rises and falls"
        )
    return "Nearly at random: requests come one by one"


def _draw_burstiness(view: View, trace: Trace) -> None:
    statistics = view.statistics
    st.markdown("**How evenly they come**")
    facts: list[tuple[str, float | None, Callable[[float], str], str | None]] = [
        ("Uneven gaps", statistics.iat_cv, spell.significant, EXACTLY["iat_cv"]),
        (
            "Uneven minutes",
            statistics.dispersion_60s,
            spell.significant,
            EXACTLY["dispersion_60s"],
        ),
        ("Longest gap", statistics.longest_gap_s, spell.seconds, None),
        (
            "Busiest minute",
            statistics.peak_60s,
            lambda number: spell.count(number, "request"),
            None,
        ),
    ]
    for column, (label, value, words, exactly) in zip(st.columns(4), facts, strict=True):
        column.metric(label, "—" if value is None else words(value), help=exactly)
    cv, dispersion = statistics.iat_cv, statistics.dispersion_60s
    if view.is_coarse:
        st.caption(
            f"Requests were counted per {spell.seconds(view.bucket_s or 0.0)}: how evenly they "
            "come within is not known."
        )
    if cv is None:
        return
    at_random = (
        "the first number is 1; for the second fewer than two whole minutes were seen."
        if dispersion is None
        else "both numbers are 1; day and night alone raise them."
    )
    st.caption(
        f"{evenness_in_words(cv, dispersion)}. At random, {at_random}"
        + (
            ""
            if trace.report.bucket_s is None
            else f" Below {spell.seconds(trace.report.bucket_s)} they are those of random places."
        )
    )


def _draw_tokens(view: View) -> None:
    st.markdown("**Tokens**")
    statistics = view.statistics
    left, right = st.columns([1, 1.4], gap="medium")
    with left:
        rows = {
            "Smallest": "minimum",
            "Median": "p50",
            "p95": "p95",
            "p99": "p99",
            "Largest": "maximum",
        }
        lengths = (statistics.prompt_tokens, statistics.output_tokens)
        cells = {
            "Mean": [spell.significant(length.mean, 4) for length in lengths],
            **{
                label: [f"{getattr(length, name):,}" for length in lengths]
                for label, name in rows.items()
            },
        }
        st.table(pd.DataFrame(cells, index=["Prompt", "Output"]).T.rename_axis("Tokens"))
        if statistics.prompt_output_spearman is not None:
            st.caption(
                _together(statistics.prompt_output_spearman),
                help="Rank correlation (Spearman) of prompt and output: "
                f"{spell.significant(statistics.prompt_output_spearman, 2)}, of −1 to 1.",
            )
    if all(length.minimum == length.maximum for length in lengths):
        return
    with right:
        show.figure(
            show.built(tokens_figure, view.tokens),
            key="tokens_chart",
            table=view.tokens,
            file_name="tokens.csv",
            alt=f"Distribution of tokens: half of the prompts have at most {lengths[0].p50:,}, "
            f"half of the outputs at most {lengths[1].p50:,}.",
        )


def _draw_prefixes(view: View, trace: Trace) -> None:
    st.markdown("**What a start loses of the prompt cache**")
    if view.prefixes is None:
        st.caption(prefixes_in_words(trace))
        return
    kept = view.prefixes[np.isfinite(view.prefixes["idle_timeout_s"])]
    always = float(view.prefixes["found_share"].iloc[-1])
    near = kept.iloc[int((kept["idle_timeout_s"] - units.SECONDS_PER_MINUTE).abs().argmin())]
    words = (
        f"At a {spell.seconds(near.idle_timeout_s)} keep-alive "
        f"{spell.percent(near.found_share)} of prompt tokens are found in the cache; always-on "
        f"finds {spell.percent(always)}."
    )
    show.figure(
        show.built(prefix_figure, view.prefixes),
        key="prefix_chart",
        table=view.prefixes,
        file_name="prefixes.csv",
        alt=f"Share of prompt tokens found in a cache against the idle timeout. {words}",
    )
    st.markdown(f"{words} A replica that starts has an empty cache, and reads those again.")
    st.caption(text.plain(prefixes_in_words(trace)))


def _together(correlation: float) -> str:
    if abs(correlation) < _WEAK:
        return "Long prompts get answers no longer than short ones do."
    return f"Longer prompts tend to get {'longer' if correlation > 0 else 'shorter'} answers."


def _draw_sessions(view: View) -> None:
    sessions = view.statistics.sessions
    if sessions is None:
        return
    st.markdown("**Conversations**")
    shares = dict(zip(("1", "2", "3", "4 or more"), sessions.share_by_turns, strict=True))
    in_words = ", ".join(
        f"{turns} in {spell.percent(round(share, 2))}" for turns, share in shares.items() if share
    )
    words = (
        f"{spell.count(sessions.sessions, 'conversation')} of "
        f"{spell.significant(sessions.mean_turns)} requests on average, at most "
        f"{sessions.most_turns:,}. Requests in a conversation: {in_words}."
    )
    if sessions.turn_gap_s is not None:
        words += " From one request to the next: " + ", ".join(
            f"{spell.percent(level)} within {spell.seconds(gap_s)}"
            for level, gap_s in zip(TURN_GAP_LEVELS, sessions.turn_gap_s, strict=True)
        )
        words += "."
    st.markdown(words)
