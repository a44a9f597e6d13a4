"""The Break-even page: above which traffic always-on is the cheaper plan, if there is such a point.

Also at which utilisation, what the verdict hangs on, and, as a layer apart, what waiting may be
worth.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import streamlit as st

from frontier import spell, units
from frontier.billing import months
from frontier.charts.break_even_chart import break_even_figure, break_even_table
from frontier.charts.theme import BILL_COLOURS
from frontier.charts.tornado_chart import tornado_figure, tornado_table
from frontier.charts.utilisation_chart import utilisation_figure, utilisation_table
from frontier.economics import break_even_value_usd, price_of_latency
from frontier.mitigations.registry import mitigation
from frontier.pages import controls, link, results, session, show, text
from frontier.pages.controls import Choices
from frontier.pages.store import store
from frontier.sensitivity import (
    ALWAYS_ON,
    AS_SHIPPED,
    CHEAPEST,
    Rivals,
    Sensitivity,
    metered_hour,
)
from frontier.study import Comparison, Study, compare, what_it_hangs_on
from frontier.sweep import Outcome, rerun
from frontier.tables import Abandonment, Tables, load_columns
from frontier.verdict import (
    flip_sentence,
    gap_sentence,
    swing_value,
    worth_sentence,
)

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
    """Draw the page for the choices in the bar."""
    choices = controls.with_traffic()
    if choices is None:
        return
    tables = session.tables()
    verdict_place = st.container()
    study = results.study(choices)
    rivals, line = _draw_rivals(choices, study)
    if not _is_wanted(choices, tables):
        return
    compared = _with_progress(
        "Simulated {done} of {all} rates",
        lambda progress: compare(study, rivals, line, progress=progress),
    )
    with verdict_place:
        st.subheader(compared.headline, anchor=False)
        st.markdown(text.money(compared.certainty))
    _draw_rates(compared)
    _draw_utilisation(compared, study)
    _draw_example(tables)
    moved = _with_progress(
        "Moved {done} of {all} inputs",
        lambda progress: what_it_hangs_on(study, compared, progress=progress),
    )
    _draw_sensitivity(moved, compared)
    _draw_latency(choices, study, compared.zero)


def _draw_rivals(choices: Choices, study: Study) -> tuple[Rivals, str]:
    """Ask which scale-to-zero is meant; return the simulations kept for it, and the line."""
    sets = {
        "+".join(item.key for item in chosen) or _AS_IT_IS: chosen
        for chosen in study.deployment.mitigation_sets
    }
    tables = study.tables
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
    return results.rivals(choices, mitigations), line


def _is_wanted(choices: Choices, tables: Tables) -> bool:
    """Whether to simulate: at once for traces of the usual size, else when asked."""
    size, most = choices.trace.arrival_s.size, tables.setting("break_even_most_requests")
    if size <= most:
        return True
    agreed = ("break_even_agreed", choices.trace.digest)
    if st.session_state.get("break_even_agreed") == agreed:
        return True
    st.info(
        f"This trace has {spell.count(size, 'request')}. Serving it at other rates may take some "
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

    def progress(done: int, of: int) -> None:
        bar.progress(done / of, words.format(done=done, all=of))

    made = make(progress)
    bar.empty()
    return made


def _draw_rates(compared: Comparison) -> None:
    found = compared.found
    requests_per_day = compared.requests_per_day
    st.subheader("Cost against the request rate", anchor=False)
    table = break_even_table(found.points, requests_per_day=requests_per_day)
    show.figure(
        break_even_figure(
            table, found.crossings, requests_per_day=requests_per_day, line=compared.line
        ),
        key="break_even_chart",
        alt=f"Dollars a month against requests a day. {compared.headline}",
    )
    words = "Solid: the p99 limit is held. Dotted, with hollow points: it is broken."
    if found.is_capped:
        words += (
            f" The range ends at {spell.significant(found.low)} and "
            f"{spell.significant(found.high)} times this traffic, so that no rate has too few "
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
                "requests_per_day": crossing.at * requests_per_day,
                "requests_per_day_low": crossing.low * requests_per_day,
                "requests_per_day_high": crossing.high * requests_per_day,
            }
            for crossing in found.crossings
        ]
    )
    show.download(
        pd.concat([table, crossing_rows], ignore_index=True) if len(crossing_rows) else table,
        "break_even.csv",
    )


def _draw_utilisation(compared: Comparison, study: Study) -> None:
    st.subheader("Utilisation", anchor=False)
    tables, use, words = study.tables, compared.use, compared.utilisation
    if use is None:
        return
    st.markdown(text.money(words))
    folklore = list(tables.folklore.values())
    table = utilisation_table(use.break_even_billed, use.billed, use.busy, folklore)
    show.figure(
        utilisation_figure(table),
        key="utilisation_chart",
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
    show.download(table, "utilisation.csv")


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
            asked[name] = link.setting(
                label, tables.settings[f"worked_example_{name}"], key=f"ex_{name}", step=step
            )
    hour = metered_hour(
        asked["requests_per_h"] / units.SECONDS_PER_HOUR,
        cold_start_s=asked["start_s"],
        work_s=asked["work_s"],
        idle_timeout_s=asked["idle_s"],
    )
    st.markdown(
        f"**{spell.percent(hour.wasted_share)} of the metered seconds are wasted**: "
        f"{spell.seconds(asked['work_s'])} of work behind a start of "
        f"{spell.seconds(asked['start_s'])}. In an hour one replica is held for "
        f"{spell.seconds(hour.metered_s)} and works for {spell.seconds(hour.working_s)} of them; "
        "always-on is cheaper if its hour costs less than "
        f"{spell.percent(hour.metered_s / units.SECONDS_PER_HOUR)} of a serverless one."
    )
    show.parts(
        {"starting": hour.starting_s, "busy": hour.working_s, "idle": hour.idle_s},
        key="example_chart",
        title="Metered seconds of an hour",
        colours=BILL_COLOURS,
        labels=_EXAMPLE_WORDS,
    )
    st.caption(
        "A closed form: requests at random (Poisson), one replica that serves all it holds at "
        "once, every second of a start metered."
    )


def _draw_sensitivity(moved: Sensitivity, compared: Comparison) -> None:
    st.subheader("What the verdict hangs on", anchor=False)
    zero = compared.now[compared.line]
    words = gap_sentence(moved.gap_usd, zero, compared.now[ALWAYS_ON])
    st.markdown(text.money(words))
    table = tornado_table(moved.bars, moved.gap_usd)
    shown = [
        (
            swing_value(bar.swing, bar.swing.low, bare=True),
            swing_value(bar.swing, bar.swing.high),
        )
        for bar in moved.bars
    ]
    show.figure(
        tornado_figure(table, shown),
        key="tornado_chart",
        alt=f"{words} Moved alone: "
        + "; ".join(
            f"{bar.swing.label} from {low} to {high}: {spell.dollars(bar.at_low)} to "
            f"{spell.dollars(bar.at_high)}"
            for bar, (low, high) in zip(moved.bars, shown, strict=True)
        ),
    )
    st.caption(
        text.money(
            "Left of $0 scale-to-zero is the cheaper plan, right of it always-on. One input moves "
            f"at a time; the idle timeout is {spell.seconds(zero.idle_timeout_s)} otherwise, and "
            "always-on has the replicas that hold the limit."
        )
    )
    st.markdown("**What would have to be true for the verdict to flip**")
    flips = [flip_sentence(flip) for flip in moved.flips]
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
    show.download(table, "sensitivity.csv")


def _draw_latency(choices: Choices, study: Study, zero: Outcome) -> None:
    st.subheader("Price of latency", anchor=False)
    if not link.flag(
        "Show what waiting may be worth",
        key="latency_price",
        help="A layer of its own: it is in no other number of this product.",
    ):
        st.caption("Off: no number of this product has it in.")
        return
    tables = study.tables
    curves = dict(tables.abandonment)
    curve, worth_usd, anyway = _draw_curve_choice(curves, tables)
    plans = {"Scale-to-zero, as compared above": zero}
    cheapest = study.verdict.cheapest_within
    if cheapest is not None:
        plans[f"Cheapest under the limit: {cheapest.label}"] = study.outcomes[cheapest.plan_id]
    span = months(zero.horizon_s, study.hours_per_month)
    waits = [_waits_s(outcome, choices) for outcome in plans.values()]
    priced = [price_of_latency(w, curve, worth_usd, baseline_share=anyway) for w in waits]
    over = [int(np.count_nonzero(w > study.limit_s)) / span for w in waits]
    bills = [study.usd_per_month(outcome) for outcome in plans.values()]
    limit = spell.seconds(study.limit_s)
    lost = [price.lost / span for price in priced]
    st.table(
        pd.DataFrame(
            {
                "Plan": [text.plain(name) for name in plans],
                "Bill a month": [text.money(spell.dollars(usd)) for usd in bills],
                f"Requests over {limit}, a month": [spell.significant(n) for n in over],
                "Sessions lost a month": [spell.significant(n) for n in lost],
                "Worth": [text.money(spell.dollars(n * worth_usd)) for n in lost],
            }
        ).set_index("Plan")
    )
    st.caption(text.money(_about_curve(curve, max(price.beyond_share for price in priced))))
    if cheapest is None:
        st.markdown(f"No plan holds {limit}, so there is none to pay more for.")
    else:
        st.markdown(text.money(_about_value(bills, over, lost, study.limit_s)))
    rows = _all_curves(
        {**curves, curve.abandonment_id: curve}, waits, span, worth_usd, anyway, tables
    )
    names = ["Scale-to-zero", "Under the limit"][: len(waits)]
    st.markdown("**By every curve**: sessions lost a month")
    st.table(
        pd.DataFrame(
            {
                "Curve": [text.plain(row.curve.label) for row in rows],
                **{
                    name: [spell.significant(row.lost[index]) for row in rows]
                    for index, name in enumerate(names)
                },
                "Measured on LLM users": [
                    "yes" if row.curve.on_llm_users else "**not measured on LLM users**"
                    for row in rows
                ],
                "Source": [row.source for row in rows],
            }
        ).set_index("Curve")
    )
    show.download(
        pd.DataFrame(
            [
                {
                    "curve": row.curve.label,
                    "plan": name,
                    "sessions_lost_a_month": row.lost[index],
                    "usd_lost_a_month": row.lost[index] * worth_usd,
                    "on_llm_users": row.curve.on_llm_users,
                    "source": row.url,
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
        worth_usd = link.setting(
            "Worth of a session ($)", tables.settings["session_value_usd"], key="session_value"
        )
    with columns[2]:
        anyway = link.setting(
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
    numbers: dict[str, Any] = {}
    cells = {cell.column: cell for cell in load_columns()["abandonment"]}
    for place, (name, label) in zip(st.columns(4), _CURVE_FIELDS.items(), strict=True):
        low, high = cells[name].bounds
        with place:
            numbers[name] = link.number(
                label, getattr(like, name), key=f"leave_{name}", low=low, high=high
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
    if beyond_share and curve.supported_s is not None:
        words += (
            f" {spell.percent(beyond_share)} of requests wait longer than its source looked at "
            f"({spell.seconds(curve.supported_s)}); they count as that."
        )
    return words


def _about_value(
    bills: Sequence[float], over: Sequence[float], lost: Sequence[float], limit_s: float
) -> str:
    extra_usd = bills[1] - bills[0]
    words = worth_sentence(extra_usd, (over[0], over[1]), limit_s)
    by_curve_usd = break_even_value_usd(extra_usd, lost[0], lost[1])
    if extra_usd > 0 and math.isfinite(by_curve_usd):
        words += f" By this curve it pays if a lost session is worth {spell.dollars(by_curve_usd)}."
    return words


@dataclass(frozen=True, slots=True)
class _CurveRow:
    """What one curve makes of the waits of each plan.

    Attributes
    ----------
    lost : tuple of float
        Sessions lost a month, one entry a plan.
    source : str
        As it stands on the page: a link where there is one.
    """

    curve: Abandonment
    lost: tuple[float, ...]
    source: str
    url: str


def _all_curves(
    curves: dict[str, Abandonment],
    waits: list[np.ndarray],
    span_months: float,
    worth_usd: float,
    anyway: float,
    tables: Tables,
) -> list[_CurveRow]:
    rows = []
    for curve in curves.values():
        source = tables.sources[curve.source_id]
        title, url = text.plain(source.title), source.url
        if curve.abandonment_id == _OWN_CURVE:
            title, url = "yours", ""
        lost = tuple(
            price_of_latency(w, curve, worth_usd, baseline_share=anyway).lost / span_months
            for w in waits
        )
        link_to = f"[{title}]({url})" if url.startswith("http") else title
        rows.append(_CurveRow(curve, lost, link_to, url))
    return rows
