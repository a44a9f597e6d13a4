"""How the traffic stands beside published traces and beside other draws of itself."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import streamlit as st

from frontier import spell
from frontier.errors import FrontierError
from frontier.pages import link, results, session, show, text
from frontier.pages.controls import Choices
from frontier.pages.store import store
from frontier.plans.grid import mitigated_plan
from frontier.plans.scenario import deploy
from frontier.sweep import Outcome, bill_outcome, simulate_plans
from frontier.trace import Trace, TraceStatistics

_PUBLISHED = {
    "mean_rps": "Mean rate",
    "peak_60s": "Busiest minute",
    "iat_cv": "Uneven gaps",
    "dispersion_60s": "Uneven minutes",
    "longest_gap_s": "Longest gap",
    "gaps_over_60s": "In gaps > 60 s",
    "gaps_over_300s": "> 300 s",
    "gaps_over_600s": "> 600 s",
}
EXACTLY = {
    "iat_cv": "How uneven the times between requests are: 0 like a clock, 1 at random, more in "
    "bursts. Coefficient of variation (CV): their standard deviation over their mean.",
    "dispersion_60s": "How uneven the requests of a minute are: 0 always as many, 1 at random, "
    "more in bursts. Index of dispersion: their variance over their mean.",
}
"""What a plain name means exactly, with the term of the field."""


def draw_published(statistics: TraceStatistics, alike: tuple[str, ...]) -> None:
    """Draw sentences and a table that set the traffic beside published traces."""
    st.markdown("**Beside published traces**")
    st.markdown(text.bullets(alike))
    tables = session.tables()
    rows: dict[str, dict[str, float | None]] = {
        "This traffic": {name: getattr(statistics, name) for name in _PUBLISHED}
    }
    sources = []
    for row in tables.trace_published.values():
        if row.share_at_most is None and row.statistic in _PUBLISHED:
            label = row.label.removeprefix("the ").removeprefix("a week of the ")
            rows.setdefault(label, {})[row.statistic] = row.value
            sources.append(tables.source_of(row).title)
    written = {
        "mean_rps": spell.rate,
        "peak_60s": lambda value: f"{value:,.0f}",
        "longest_gap_s": spell.seconds,
        **{f"gaps_over_{gap}s": spell.percent for gap in (60, 300, 600)},
    }
    st.dataframe(
        pd.DataFrame(
            [
                {
                    "Trace": label[:1].upper() + label[1:],
                    **{
                        heading: _cell(values.get(name), written.get(name, spell.significant))
                        for name, heading in _PUBLISHED.items()
                    },
                }
                for label, values in rows.items()
            ]
        ),
        hide_index=True,
        height="content",
        column_config={
            _PUBLISHED[name]: st.column_config.TextColumn(help=exactly)
            for name, exactly in EXACTLY.items()
        },
    )
    st.caption(
        "In gaps: share of the time in gaps longer than that. — not published. Sources: "
        + "; ".join(text.plain(title) for title in dict.fromkeys(sources))
        + "."
    )


def _cell(value: float | None, words: Callable[[float], str]) -> str:
    return "—" if value is None else words(value)


def draw_other_draws(choices: Choices) -> None:
    """Draw how far cost and p99 differ between draws, if the traffic was drawn at all."""
    redraw = choices.redraw
    if redraw is None:
        return
    tables = session.tables()
    number = int(tables.setting("traffic_draws"))
    bucket_s = choices.trace.report.bucket_s
    st.markdown("**How much hangs on the draw**")
    wanted = link.flag(
        f"Compare {number} draws of this traffic",
        key="draws",
        default=bucket_s is not None,
        help="The same counts or the same preset with other random numbers: scale-to-zero at the "
        "provider's idle timeout, simulated for each.",
    )
    if not wanted:
        return
    place = results.bar_place()
    try:
        outcomes = store(private=choices.is_private).get_or_make(
            ("draws", number, *choices.content),
            lambda: _outcomes_of_draws(choices, redraw, number, place),
        )
    except FrontierError as error:
        st.caption(text.plain(str(error)))
        return
    hours = tables.setting("hours_per_month")
    p99_s = [outcome.latency.p99_ttft_s for outcome in outcomes]
    usd = [bill_outcome(o, tables, choices.deal).usd_per_month(hours) for o in outcomes]
    st.markdown(
        text.money(
            f"{outcomes[0].plan.label} on {number} draws: p99 from {spell.seconds(min(p99_s))} to "
            f"{spell.seconds(max(p99_s))}, {spell.dollars(min(usd))} to "
            f"{spell.dollars(max(usd))} a month."
        )
    )
    table = pd.DataFrame(
        {
            "draw": range(number),
            "p99_ttft_s": p99_s,
            "usd_per_month": usd,
            "waited_on_start_share": [o.latency.waited_on_start_share for o in outcomes],
        }
    )
    st.table(
        pd.DataFrame(
            {
                "Draw": [f"{draw}{' (shown)' if not draw else ''}" for draw in table["draw"]],
                "p99 TTFT": table["p99_ttft_s"].map(spell.seconds),
                "Dollars a month": [text.money(spell.dollars(value)) for value in usd],
                "Waited on a start": table["waited_on_start_share"].map(spell.percent),
            }
        ).set_index("Draw")
    )
    timeout_s = outcomes[0].plan.policy.idle_timeout_s
    if bucket_s is not None and timeout_s < bucket_s:
        st.caption(
            f"The idle timeout of {spell.seconds(timeout_s)} is shorter than the "
            f"{spell.seconds(bucket_s)} over which requests were counted: the draws agree on what "
            "we assume within a bucket, not on what happened there."
        )
    show.download(table, "draws.csv")


def _outcomes_of_draws(
    choices: Choices,
    redraw: Callable[[int], Trace],
    number: int,
    place: st.delta_generator.DeltaGenerator,
) -> tuple[Outcome, ...]:
    tables = session.tables()
    outcomes: list[Outcome] = []
    bar = place.progress(0.0, "Simulating other draws")
    for draw in range(number):
        trace = redraw(draw) if draw else choices.trace
        plan = mitigated_plan(deploy(choices.scenario, trace, tables), (), tables)
        outcomes += simulate_plans([plan], trace, tables)
        bar.progress((draw + 1) / number, f"Simulated {draw + 1} of {number} draws")
    place.empty()
    return tuple(outcomes)
