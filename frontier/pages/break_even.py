"""The Break-even page: above which traffic always-on is the cheaper plan, if there is such a point.

Also at which utilisation, what the verdict hangs on, and, as a layer apart, what waiting may be
worth.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import pandas as pd
import streamlit as st

from frontier import units
from frontier.charts.break_even_chart import break_even_figure, break_even_table
from frontier.charts.stacked_bar import stacked_bar_figure, stacked_bar_table
from frontier.charts.theme import BILL_COLOURS
from frontier.charts.tornado_chart import tornado_figure, tornado_table
from frontier.charts.utilisation_chart import utilisation_figure, utilisation_table
from frontier.economics import Swing, break_even_value_usd, price_of_latency
from frontier.export import csv_bytes
from frontier.mitigations import mitigation
from frontier.pages import controls, link, results, session, text
from frontier.pages.controls import Choices
from frontier.pages.results import Swept
from frontier.pages.store import find, store
from frontier.sensitivity import (
    ALWAYS_ON,
    AS_SHIPPED,
    CHEAPEST,
    UNCHANGED,
    BreakEven,
    Flip,
    RatePoint,
    Rivals,
    Sensitivity,
    break_even,
    ceiling,
    metered_hour,
    sensitivity,
    used_shares,
)
from frontier.sweep import Outcome, rerun
from frontier.tables import Abandonment, Setting, Tables, load_columns
from frontier.trace import Trace

_OWN_CURVE = "own"
_AS_IT_IS = "as-it-is"
_Made = TypeVar("_Made")
_CURVE_FIELDS = {
    "grace_s": "Nobody leaves before (s)",
    "scale_s": "Time constant (s)",
    "exponent": "Exponent",
    "most": "Share that leaves in the end",
}
_EXAMPLE_WORDS = {"starting": "starting", "busy": "working", "idle": "idle"}


def render() -> None:
    """Draw the page for the choices in the sidebar."""
    choices = controls.current()
    if controls.ask_for_traffic(choices):
        return
    tables = session.tables()
    verdict_place = st.container()
    swept = results.swept(choices, lambda partial: None)
    rivals, line = _draw_rivals(choices, swept, tables)
    if not _is_wanted(choices, tables):
        return
    limit_s, deal = swept.slo_p99_ttft_s, choices.deal
    found = _with_progress(
        "Simulated {done} of {all} rates",
        lambda progress: break_even(
            rivals, line=line, limit_s=limit_s, tables=tables, deal=deal, progress=progress
        ),
    )
    now = {point.line: point for point in found.points if point.factor == 1.0}
    share = ceiling(swept.deployment, now[ALWAYS_ON].replicas, tables, deal)
    headline = _verdict(found, line, rivals.trace, share)
    with verdict_place:
        st.subheader(headline, anchor=False)
        st.markdown(text.money(_how_sure(found, line, now, limit_s, tables)))
    _draw_rates(found, line, rivals.trace, headline)
    kept_s = now[line].idle_timeout_s
    (zero,) = rivals.scale_to_zero(dataclasses.replace(UNCHANGED, idle_timeout_s=kept_s))
    _draw_utilisation(share, zero, now, swept, tables)
    _draw_example(tables)
    moved = _with_progress(
        "Moved {done} of {all} inputs",
        lambda progress: sensitivity(
            rivals, kept_s, limit_s=limit_s, tables=tables, deal=deal, progress=progress
        ),
    )
    _draw_sensitivity(moved, now, line)
    _draw_latency(choices, swept, zero, tables)


def _draw_rivals(choices: Choices, swept: Swept, tables: Tables) -> tuple[Rivals, str]:
    """Ask which scale-to-zero is meant; return the simulations kept for it, and the line."""
    sets = {
        "+".join(item.key for item in chosen) or _AS_IT_IS: chosen
        for chosen in swept.deployment.mitigation_sets
    }
    left, right = st.columns(2)
    with left:
        line = link.pick(
            "Idle timeout of scale-to-zero",
            [AS_SHIPPED, CHEAPEST],
            AS_SHIPPED,
            key="keep",
            format_func={
                AS_SHIPPED: "As the provider ships it",
                CHEAPEST: "The cheapest at each rate",
            }.__getitem__,
            help="The cheapest is taken whatever it does to the waits: the limit is not asked.",
        )
    with right:
        faster = link.pick(
            "Its cold start",
            list(sets),
            _AS_IT_IS,
            key="faster",
            format_func=lambda key: (
                " + ".join(mitigation(item.key, tables).label for item in sets[key]) or "As it is"
            ),
        )
    mitigations = tuple(item.key for item in sets[faster])
    key = ("rivals", mitigations, *choices.content)
    rivals = find(key)
    if rivals is None:
        # Kept before anything is simulated: what an interruption leaves is not lost.
        rivals = Rivals(choices.scenario, choices.trace, tables, mitigations)
        store(private=choices.is_private).put(key, rivals)
    return rivals, line


def _is_wanted(choices: Choices, tables: Tables) -> bool:
    """Whether to simulate: at once for traces of the usual size, else when asked."""
    size, most = choices.trace.arrival_s.size, tables.setting("break_even_most_requests")
    if size <= most:
        return True
    agreed = ("break_even_agreed", choices.trace.digest)
    if st.session_state.get("break_even_agreed") == agreed:
        return True
    st.info(
        f"This trace has {units.count(size, 'request')}. Serving it at other rates may take some "
        "minutes; you can leave the page at any time.",
        icon=":material/hourglass:",
    )
    if st.button("Compute the break-even", icon=":material/play_arrow:"):
        st.session_state["break_even_agreed"] = agreed
        st.rerun()
    return False


def _with_progress(words: str, make: Callable[[Callable[[int, int], None]], _Made]) -> _Made:
    """Return what is made while a bar shows how far it is; a new input stops it there."""
    bar = st.progress(0.0, words.format(done=0, all="…"))
    made = make(lambda done, of: bar.progress(done / of, words.format(done=done, all=of)))
    bar.empty()
    return made


def _requests_per_day(trace: Trace) -> float:
    return trace.arrival_s.size / trace.horizon_s * units.SECONDS_PER_DAY


def _rate(factor: float, trace: Trace) -> str:
    return units.significant(factor * _requests_per_day(trace))


def _verdict(found: BreakEven, line: str, trace: Trace, share: float) -> str:
    """Return the page's one sentence."""
    has = f"this traffic has {_rate(1.0, trace)}"
    crossings = found.crossings
    if not crossings:
        usd = {point.line: point.usd_per_month for point in found.points if point.factor == 1.0}
        always_wins = usd[ALWAYS_ON] < usd[line]
        why = ""
        if not always_wins and share >= 1:
            why = ", for an always-on hour costs no less than a serverless one"
        return (
            f"There is no break-even: {'always-on' if always_wins else 'scale-to-zero'} is the "
            f"cheaper plan from {_rate(found.low, trace)} to {_rate(found.high, trace)} requests "
            f"a day{why}; {has}."
        )
    if len(crossings) == 1:
        wins, loses = "Always-on", "scale-to-zero"
        if not crossings[0].dearer_above:
            wins, loses = "Scale-to-zero", "always-on"
        return (
            f"{wins} is the cheaper plan above {_rate(crossings[0].at, trace)} requests a day, "
            f"{loses} below; {has}."
        )
    # Always-on is the cheaper one between a crossing at which scale-to-zero gets dearer and the
    # next one.
    spans, start = [], None if crossings[0].dearer_above else found.low
    for crossing in crossings:
        if crossing.dearer_above:
            start = crossing.at
        elif start is not None:
            spans.append(f"from {_rate(start, trace)} to {_rate(crossing.at, trace)}")
            start = None
    if start is not None:
        spans.append(f"above {_rate(start, trace)}")
    return f"Always-on is the cheaper plan {' and '.join(spans)} requests a day; {has}."


def _how_sure(
    found: BreakEven, line: str, now: dict[str, RatePoint], limit_s: float, tables: Tables
) -> str:
    trace = controls.current().trace
    said = []
    if trace.horizon_s < units.SECONDS_PER_DAY:
        said.append("The trace covers less than a day: a month is an extrapolation.")
    if found.crossings:
        ranges = [
            f"{_rate(crossing.low, trace)} to {_rate(crossing.high, trace)}"
            for crossing in found.crossings
        ]
        seeds = units.count(tables.setting("break_even_seeds"), "draw")
        said.append(
            f"Uncertainty of the break-even: {' and '.join(ranges)} requests a day, one standard "
            f"error over {seeds} of the scaled traffic."
        )
    limit = units.seconds(limit_s)
    replicas = units.count(now[ALWAYS_ON].replicas, "replica")
    if now[ALWAYS_ON].holds_limit:
        said.append(f"Always-on needs {replicas} here to hold a p99 of {limit}.")
    else:
        said.append(
            f"No number of always-on replicas holds a p99 of {limit} here; {replicas}, as many as "
            "the busiest minute keeps busy, are compared."
        )
    holding = [point for point in found.points if point.line == line and point.holds_limit]
    of_line = [point for point in found.points if point.line == line]
    if not holding:
        said.append("Scale-to-zero holds it at none of these rates.")
    elif len(holding) < len(of_line):
        said.append(
            f"Scale-to-zero holds it at {len(holding)} of these {len(of_line)} rates, from "
            f"{_rate(holding[0].factor, trace)} requests a day."
        )
    else:
        said.append("So does scale-to-zero, at all of these rates.")
    return " ".join(said)


def _draw_rates(found: BreakEven, line: str, trace: Trace, headline: str) -> None:
    st.subheader("Cost against the request rate", anchor=False)
    table = break_even_table(found.points, requests_per_day=_requests_per_day(trace))
    figure = break_even_figure(
        table, found.crossings, requests_per_day=_requests_per_day(trace), line=line
    )
    st.plotly_chart(
        figure,
        key="break_even_chart",
        config={"displayModeBar": False},
        alt=f"Dollars a month against requests a day. {headline}",
    )
    words = "Solid: the p99 limit is held. Dotted, with hollow points: it is broken."
    if found.is_capped:
        words += (
            f" The range ends at {units.significant(found.low)} and "
            f"{units.significant(found.high)} times this traffic, so that no rate has too few "
            "requests to mean something or too many to be quick."
        )
    if not found.crossings:
        words += " The lines of this comparison do not meet: there is no break-even to mark."
    st.caption(words)
    with st.expander("The numbers of this chart"):
        st.dataframe(
            pd.DataFrame(
                {
                    "Plan": table["label"],
                    "Requests a day": table["requests_per_day"],
                    "Dollars a month": table["usd_per_month"],
                    "p99 TTFT (s)": table["p99_ttft_s"],
                    "Under the limit": table["holds_limit"],
                    "Idle timeout (s)": table["idle_timeout_s"],
                    "Replicas": table["replicas"],
                }
            ),
            hide_index=True,
            column_config={
                "Requests a day": st.column_config.NumberColumn(format="%.0f"),
                "Dollars a month": st.column_config.NumberColumn(format="dollar"),
                "p99 TTFT (s)": st.column_config.NumberColumn(format="%.3g"),
            },
        )
    crossing_rows = pd.DataFrame(
        [
            {
                "line": "break-even",
                "label": "Break-even of the chosen scale-to-zero and always-on",
                "traffic_factor": crossing.at,
                "requests_per_day": crossing.at * _requests_per_day(trace),
                "requests_per_day_low": crossing.low * _requests_per_day(trace),
                "requests_per_day_high": crossing.high * _requests_per_day(trace),
            }
            for crossing in found.crossings
        ]
    )
    _download(
        pd.concat([table, crossing_rows], ignore_index=True) if len(crossing_rows) else table,
        "break_even.csv",
    )


def _draw_utilisation(
    share: float, zero: Outcome, now: dict[str, RatePoint], swept: Swept, tables: Tables
) -> None:
    st.subheader("Utilisation", anchor=False)
    replicas = now[ALWAYS_ON].replicas
    billed, busy = used_shares(zero, results.bill_of(zero), replicas)
    of = "one always-on replica" if replicas == 1 else f"{replicas} always-on replicas"
    if share >= 1:
        words = (
            f"Replica for replica there is no break-even: an hour of {of} costs "
            f"{units.percent(share)} of an hour on scale-to-zero, all meters counted."
        )
    else:
        words = (
            "Replica for replica, always-on is cheaper once scale-to-zero is billed for more than "
            f"{units.percent(share)} of the time: that is its price over the serverless one, all "
            "meters counted."
        )
    words += (
        f" This traffic is billed for {units.percent(billed)} of the time of {of}, and works in "
        f"{units.percent(busy)} of it."
    )
    st.markdown(words)
    folklore = list(tables.folklore.values())
    table = utilisation_table(share, billed, busy, folklore)
    st.plotly_chart(
        utilisation_figure(table),
        key="utilisation_chart",
        config={"displayModeBar": False},
        alt=f"{words} Rules of thumb: " + "; ".join(f"{row.label}" for row in folklore) + ".",
    )
    said = ["In grey, rules of thumb, told without a price:"]
    for row in folklore:
        source = tables.sources[row.source_id]
        note = f" {text.plain(row.note)}." if row.note else ""
        said.append(
            f"- {text.plain(row.label)}: [{text.plain(source.title)}]({source.url}), "
            f"{text.plain(source.publisher)}.{note}"
        )
    st.caption("\n".join(said))
    table["source_url"] = [
        tables.sources[source_id].url if source_id else "" for source_id in table["source_id"]
    ]
    _download(table, "utilisation.csv")


def _draw_example(tables: Tables) -> None:
    st.subheader("What a start does to the meter", anchor=False)
    asked = {}
    for column, (name, label, step) in zip(
        st.columns(4),
        (
            ("work_s", "Work of a request (s)", 1.0),
            ("start_s", "Start (s)", 5.0),
            ("idle_s", "Idle timeout (s)", 10.0),
            ("requests_per_h", "Requests an hour", 1.0),
        ),
        strict=True,
    ):
        with column:
            asked[name] = _setting_number(
                label, tables.settings[f"worked_example_{name}"], key=f"ex_{name}", step=step
            )
    hour = metered_hour(
        asked["requests_per_h"] / units.SECONDS_PER_HOUR,
        cold_start_s=asked["start_s"],
        work_s=asked["work_s"],
        idle_timeout_s=asked["idle_s"],
    )
    st.markdown(
        f"**{units.percent(hour.wasted_share)} of the metered seconds are wasted**: "
        f"{units.seconds(asked['work_s'])} of work behind a start of "
        f"{units.seconds(asked['start_s'])}. In an hour one replica is held for "
        f"{units.seconds(hour.metered_s)} and works for {units.seconds(hour.working_s)} of them; "
        "always-on is cheaper if its hour costs less than "
        f"{units.percent(hour.metered_s / units.SECONDS_PER_HOUR)} of a serverless one."
    )
    parts = {"starting": hour.starting_s, "busy": hour.working_s, "idle": hour.idle_s}
    table = stacked_bar_table(parts, _EXAMPLE_WORDS)
    st.plotly_chart(
        stacked_bar_figure(
            table, colours=BILL_COLOURS, shown=[units.seconds(s) for s in table["amount"]]
        ),
        key="example_chart",
        config={"displayModeBar": False},
        alt="Metered seconds of an hour: "
        + ", ".join(f"{row.label} {units.seconds(row.amount)}" for row in table.itertuples()),
    )
    st.caption(
        "A closed form: requests at random (Poisson), one replica that serves all it holds at "
        "once, every second of a start metered."
    )
    _download(table, "metered_seconds.csv")


def _draw_sensitivity(moved: Sensitivity, now: dict[str, RatePoint], line: str) -> None:
    st.subheader("What the verdict hangs on", anchor=False)
    cheaper = "always-on" if moved.gap_usd > 0 else "scale-to-zero"
    zero, rival = now[line], now[ALWAYS_ON]
    words = (
        f"Here scale-to-zero costs {units.dollars(zero.usd_per_month)} a month and always-on "
        f"{units.dollars(rival.usd_per_month)}: {cheaper} is cheaper by "
        f"{units.dollars(abs(moved.gap_usd))}."
    )
    st.markdown(text.money(words))
    table = tornado_table(moved.bars, moved.gap_usd)
    shown = [
        (_written(bar.swing, bar.swing.low, bare=True), _written(bar.swing, bar.swing.high))
        for bar in moved.bars
    ]
    st.plotly_chart(
        tornado_figure(table, shown),
        key="tornado_chart",
        config={"displayModeBar": False},
        alt=f"{words} Moved alone: "
        + "; ".join(
            f"{bar.swing.label} from {low} to {high}: {units.dollars(bar.at_low)} to "
            f"{units.dollars(bar.at_high)}"
            for bar, (low, high) in zip(moved.bars, shown, strict=True)
        ),
    )
    st.caption(
        text.money(
            "Left of $0 scale-to-zero is the cheaper plan, right of it always-on. One input moves "
            f"at a time; the idle timeout is {units.seconds(zero.idle_timeout_s)} otherwise, and "
            "always-on has the replicas that hold the limit."
        )
    )
    st.markdown("**What would have to be true for the verdict to flip**")
    flips = [_flip_words(flip) for flip in moved.flips]
    flipping = {flip.swing.key for flip in moved.flips}
    still = [bar.swing.label.lower() for bar in moved.bars if bar.swing.key not in flipping]
    if still:
        flips.append(
            f"Nothing within its range, alone, for: {', '.join(still)}."
            if flips
            else "Nothing: none of these inputs, alone, flips it within its range."
        )
    st.markdown(text.money("\n".join(f"- {words}" for words in flips)))
    table["flips_at"] = table["key"].map({flip.swing.key: flip.value for flip in moved.flips})
    _download(table, "sensitivity.csv")


def _flip_words(flip: Flip) -> str:
    swing = flip.swing
    more = "or more" if flip.value > swing.base else "or less"
    return (
        f"{swing.label} of **{_written(swing, flip.value)}** {more} "
        f"(now {_written(swing, swing.base)})"
    )


def _written(swing: Swing, value: float, *, bare: bool = False) -> str:
    """Return the value of an input as people read it; bare, as the first of a range."""
    if swing.unit == "s":
        return units.seconds(value)
    if swing.unit == "$/GPU-h":
        return units.dollars(value) + ("" if bare else " a GPU-hour")
    words = {
        "requests/day": " requests a day",
        "tokens/request": " tokens a request",
        "requests": " requests a replica",
    }
    return units.significant(value) + ("" if bare else words[swing.unit])


def _draw_latency(choices: Choices, swept: Swept, zero: Outcome, tables: Tables) -> None:
    st.subheader("Price of latency", anchor=False)
    if not link.flag(
        "Show what waiting may be worth",
        key="latency_price",
        help="A layer of its own: it is in no other number of this product.",
    ):
        st.caption("Off: no number of this product has it in.")
        return
    curves = dict(tables.abandonment)
    curve, worth_usd, anyway = _draw_curve_choice(curves, tables)
    plans = {"Scale-to-zero, as compared above": zero}
    cheapest = swept.answer.cheapest_plan_id
    if cheapest is not None:
        plans[f"Cheapest under the limit: {swept.outcomes[cheapest].plan.label}"] = swept.outcomes[
            cheapest
        ]
    hours = tables.setting("hours_per_month")
    months = zero.horizon_s / (hours * units.SECONDS_PER_HOUR)
    waits = [_waits_s(outcome, choices) for outcome in plans.values()]
    priced = [price_of_latency(w, curve, worth_usd, baseline_share=anyway) for w in waits]
    over = [np.count_nonzero(w > swept.slo_p99_ttft_s) / months for w in waits]
    bills = [results.bill_of(outcome).usd_per_month(hours) for outcome in plans.values()]
    limit = units.seconds(swept.slo_p99_ttft_s)
    lost = [price.lost / months for price in priced]
    st.table(
        pd.DataFrame(
            {
                "Plan": [text.plain(name) for name in plans],
                "Bill a month": [text.money(units.dollars(usd)) for usd in bills],
                f"Requests over {limit}, a month": [units.significant(n) for n in over],
                "Sessions lost a month": [units.significant(n) for n in lost],
                "Worth": [text.money(units.dollars(n * worth_usd)) for n in lost],
            }
        ).set_index("Plan")
    )
    st.caption(text.money(_about_curve(curve, max(price.beyond_share for price in priced))))
    if cheapest is None:
        st.markdown(f"No plan holds {limit}, so there is none to pay more for.")
    else:
        st.markdown(text.money(_about_value(bills, over, lost, limit)))
    rows = _all_curves(
        {**curves, curve.abandonment_id: curve}, waits, months, worth_usd, anyway, tables
    )
    names = ["Scale-to-zero", "Under the limit"][: len(waits)]
    st.markdown("**By every curve**: sessions lost a month")
    st.table(
        pd.DataFrame(
            {
                "Curve": [text.plain(row["label"]) for row in rows],
                **{
                    name: [units.significant(row["lost"][index]) for row in rows]
                    for index, name in enumerate(names)
                },
                "Measured on LLM users": [
                    "yes" if row["on_llm_users"] else "**not measured on LLM users**"
                    for row in rows
                ],
                "Source": [row["source"] for row in rows],
            }
        ).set_index("Curve")
    )
    _download(
        pd.DataFrame(
            [
                {
                    "curve": row["label"],
                    "plan": name,
                    "sessions_lost_a_month": row["lost"][index],
                    "usd_lost_a_month": row["lost"][index] * worth_usd,
                    "on_llm_users": row["on_llm_users"],
                    "source": row["url"],
                }
                for row in rows
                for index, name in enumerate(plans)
            ]
        ),
        "price_of_latency.csv",
    )


def _draw_curve_choice(
    curves: dict[str, Abandonment], tables: Tables
) -> tuple[Abandonment, float, float]:
    """Ask for the curve, the worth of a session and the share that leaves anyway."""
    columns = st.columns(3)
    with columns[0]:
        chosen = link.pick(
            "Who leaves, and when",
            [*curves, _OWN_CURVE],
            next(iter(curves)),
            key="leave",
            format_func=lambda key: "Your own curve" if key == _OWN_CURVE else curves[key].label,
        )
    with columns[1]:
        worth_usd = _setting_number(
            "Worth of a session ($)", tables.settings["session_value_usd"], key="session_value"
        )
    with columns[2]:
        anyway = _setting_number(
            "Share that leaves anyway",
            tables.settings["leave_anyway_share"],
            key="leave_anyway",
            step=0.05,
            help="Only curves given as factors on it need it; only the excess counts.",
        )
    if chosen != _OWN_CURVE:
        return curves[chosen], worth_usd, anyway
    # The fields start from the first saturating curve there is.
    like = next(curve for curve in curves.values() if curve.shape == "weibull")
    columns = st.columns(4)
    numbers = {}
    cells = {cell.column: cell for cell in load_columns()["abandonment"]}
    for column, (name, label) in zip(columns, _CURVE_FIELDS.items(), strict=True):
        cell = cells[name]
        with column:
            numbers[name] = link.number(
                label, getattr(like, name), key=f"leave_{name}", low=cell.minimum, high=cell.maximum
            )
    own = dataclasses.replace(
        like,
        abandonment_id=_OWN_CURVE,
        label="Your own curve",
        supported_s=None,
        on_llm_users=False,
        basis="assumed",
        source_id="frontier-assumption",
        description="A share that saturates, as 1 − exp(−((wait − grace) / constant)^exponent)",
        **numbers,
    )
    return own, worth_usd, anyway


def _waits_s(outcome: Outcome, choices: Choices) -> np.ndarray:
    """Return every request's TTFT under a plan, simulated again once and then kept [s]."""
    plan = outcome.plan
    key = ("waits", plan.offer_id, plan.policy, plan.start, plan.mitigations, *choices.content)
    return store(private=choices.is_private).get_or_make(
        key, lambda: rerun(outcome, choices.trace).ttft_s
    )


def _about_curve(curve: Abandonment, beyond_share: float) -> str:
    words = f"{curve.label}: {curve.description}."
    if not curve.on_llm_users:
        words += " **Not measured on LLM users.**"
    if beyond_share:
        words += (
            f" {units.percent(beyond_share)} of requests wait longer than its source looked at "
            f"({units.seconds(curve.supported_s)}); they count as that."
        )
    return words


def _about_value(bills: list[float], over: list[float], lost: list[float], limit: str) -> str:
    extra = bills[1] - bills[0]
    if extra <= 0:
        return "The plan under the limit costs no more: it needs no worth of a session to pay."
    value = break_even_value_usd(extra, over[0], over[1])
    words = f"The plan under the limit costs {units.dollars(extra)} a month more"
    if math.isfinite(value):
        words += (
            f" and spares {units.significant(over[0] - over[1])} requests a month a wait over "
            f"{limit}: **it pays if sparing one is worth {units.dollars(value)}**, whatever the "
            "curve."
        )
    else:
        words += f" and spares no request a wait over {limit}."
    by_curve = break_even_value_usd(extra, lost[0], lost[1])
    if math.isfinite(by_curve):
        words += f" By this curve it pays if a lost session is worth {units.dollars(by_curve)}."
    return words


def _all_curves(
    curves: dict[str, Abandonment],
    waits: list[np.ndarray],
    months: float,
    worth_usd: float,
    anyway: float,
    tables: Tables,
) -> list[dict[str, object]]:
    rows = []
    for curve in curves.values():
        source = tables.sources[curve.source_id]
        title, url = text.plain(source.title), source.url
        if curve.abandonment_id == _OWN_CURVE:
            title, url = "yours", ""
        rows.append(
            {
                "label": curve.label,
                "lost": [
                    price_of_latency(w, curve, worth_usd, baseline_share=anyway).lost / months
                    for w in waits
                ],
                "on_llm_users": curve.on_llm_users,
                "source": f"[{title}]({url})" if url.startswith("http") else title,
                "url": url,
            }
        )
    return rows


def _setting_number(label: str, setting: Setting, *, key: str, **how: object) -> float:
    """Ask for a number whose default and range stand in data/settings.csv."""
    return link.number(label, setting.value, key=key, low=setting.low, high=setting.high, **how)


def _download(table: pd.DataFrame, name: str) -> None:
    st.download_button(
        "Download as CSV",
        lambda: csv_bytes(table),
        name,
        "text/csv",
        key=name,
        on_click="ignore",
        icon=":material/download:",
    )
