"""The Break-even page: above which traffic always-on is the cheaper plan, if there is such a point.

Also what the verdict hangs on and what would flip it, and at which utilisation. What waiting may be
worth is a layer apart, in `latency_price`.
"""

from __future__ import annotations

import functools

import pandas as pd
import streamlit as st

from frontier import spell
from frontier.answers import ANSWERS
from frontier.charts.break_even_chart import break_even_figure, break_even_table
from frontier.charts.tornado_chart import tornado_figure, tornado_table
from frontier.charts.utilisation_chart import utilisation_figure, utilisation_table
from frontier.mitigations.registry import mitigation
from frontier.pages import controls, decides_view, link, results, show, text, used_view
from frontier.pages.controls import Choices
from frontier.pages.latency_price import draw_latency_price
from frontier.pages.store import find
from frontier.rivals import ALWAYS_ON, AS_SHIPPED, CHEAPEST, Rivals
from frontier.sensitivity import Sensitivity
from frontier.study import Comparison, Study, compare, what_it_hangs_on
from frontier.verdict import (
    capped_in_words,
    flip_sentence,
    gap_sentence,
    swing_value,
)

_AS_IT_IS = "as-it-is"


def render() -> None:
    """Draw the page for the choices in the bar."""
    choices = controls.with_traffic()
    if choices is None:
        return
    verdict_place = st.empty()
    say_at_once = functools.partial(_draw_at_once, verdict_place)
    study = results.study(choices, None if results.is_large(choices) else say_at_once)
    rivals, line = _draw_rivals(choices, study)
    words = "Serving it at other rates may take some minutes"
    if not results.is_agreed(choices, "break-even", words):
        return
    key = results.of_study(choices, study, rivals.mitigations, line)
    if find(("compared", key)) is None:
        # Other rates take long to serve; this one is known.
        say_at_once(study, is_asked=line == AS_SHIPPED and not rivals.mitigations)
    if line == AS_SHIPPED and not rivals.mitigations:
        # One of the two lines says it all; the other is simulated after it stands.
        _draw_verdict(verdict_place, results.break_even(choices, study))
    compared = results.once(
        ("compared", key),
        lambda progress: compare(study, rivals, line, progress=progress),
        private=choices.is_private,
        begins="Serving this traffic at other rates…",
        words=lambda done, of: f"Simulated {done} of {of} rates",
        what="so many rates",
    )
    _draw_verdict(verdict_place, compared)
    _draw_rates(compared)
    moved = results.once(
        ("moved", key),
        lambda progress: what_it_hangs_on(study, rivals, compared, progress=progress),
        private=choices.is_private,
        begins="Moving each input…",
        words=lambda done, of: f"Moved {done} of {of} inputs",
        what="so many inputs",
    )
    st.subheader("What the verdict hangs on", anchor=False)
    decides_view.draw(choices, study)
    _draw_sensitivity(moved, compared)
    _draw_utilisation(compared, study)
    used_view.draw(study)
    draw_latency_price(choices, study, compared.zero)


def _draw_verdict(place: st.delta_generator.DeltaGenerator, compared: Comparison) -> None:
    with place.container():
        st.subheader(compared.headline, anchor=False)
        st.markdown(text.said(compared.certainty))
    ANSWERS.stands()


def _draw_at_once(
    place: st.delta_generator.DeltaGenerator, study: Study, *, is_asked: bool = True
) -> None:
    """Draw what is known before any other rate is served: what the two cost at this one.

    Parameters
    ----------
    is_asked : bool
        Whether scale-to-zero as shipped is the one that is asked about.
    """
    zero, rival = study.verdict.shipped, study.verdict.rival
    with place.container():
        if zero is None or rival is None or not is_asked:
            words = study.verdict.answer
        else:
            words = gap_sentence(zero.usd_per_month - rival.usd_per_month, zero, rival)
        st.subheader(text.said(words), anchor=False)
        st.caption("Serving this traffic at other rates, to find where the two cost the same…")
    ANSWERS.stands()


def _draw_rivals(choices: Choices, study: Study) -> tuple[Rivals, str]:
    """Ask which scale-to-zero is meant; return the simulations kept for it, and the line."""
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
        mitigations = pick_start(study)
    return results.rivals(choices, mitigations), line


def pick_start(study: Study) -> tuple[str, ...]:
    """Ask what shortens the cold start of scale-to-zero; return the keys of the mitigations."""
    tables = study.tables
    sets = {
        "+".join(item.key for item in chosen) or _AS_IT_IS: chosen
        for chosen in study.deployment.mitigation_sets
    }
    faster = link.pick(
        "Its cold start",
        list(sets),
        _AS_IT_IS,
        key="faster",
        format_func=lambda key: (
            " + ".join(mitigation(item.key, tables).label for item in sets[key]) or "As it is"
        ),
    )
    return tuple(item.key for item in sets[faster])


def _draw_rates(compared: Comparison) -> None:
    found = compared.found
    requests_per_day = compared.requests_per_day
    st.subheader("Cost against the request rate", anchor=False)
    table = break_even_table(found.points, requests_per_day=requests_per_day)
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
    show.figure(
        show.built(
            break_even_figure,
            table,
            found.crossings,
            requests_per_day=requests_per_day,
            line=compared.line,
        ),
        key="break_even_chart",
        table=pd.concat([table, crossing_rows], ignore_index=True) if len(crossing_rows) else table,
        file_name="break_even.csv",
        shown=pd.DataFrame(
            {
                "Plan": table["label"],
                "Requests a day": table["requests_per_day"].map(spell.significant),
                "Dollars a month": table["usd_per_month"].map(spell.dollars),
                "p99 TTFT": table["p99_ttft_s"].map(spell.seconds),
                "Under the limit": table["holds_limit"],
                "Idle timeout (s)": table["idle_timeout_s"],
                "Replicas": table["replicas"],
            }
        ),
        alt=f"Dollars a month against requests a day. {compared.headline}",
    )
    words = "Solid: the p99 limit is held. Dotted, with hollow points: it is broken."
    if found.is_capped:
        low, high = found.points[0].factor, found.points[-1].factor
        words += (
            f" The range ends at {spell.significant(low)} and {spell.significant(high)} times this "
            "traffic, so that no rate has too few requests to mean something or too many to be "
            "quick."
        )
    if ends := capped_in_words(compared.rate):
        words += f" {ends}"
    if not found.crossings:
        words += " The lines of this comparison do not meet: there is no break-even to mark."
    st.caption(words)


def _draw_utilisation(compared: Comparison, study: Study) -> None:
    tables, use, words = study.tables, compared.use, compared.utilisation
    if use is None:
        return
    st.subheader("Utilisation", anchor=False)
    st.markdown(text.said(words))
    folklore = list(tables.folklore.values())
    table = utilisation_table(use.break_even_billed, use.billed, use.busy, folklore)
    table["source_url"] = [
        tables.sources[source_id].url if source_id else "" for source_id in table["source_id"]
    ]
    show.figure(
        show.built(utilisation_figure, table),
        key="utilisation_chart",
        table=table,
        file_name="utilisation.csv",
        shown=table.drop(columns=["mark", "source_id"]),
        alt=f"{words} Rules of thumb: " + "; ".join(f"{row.label}" for row in folklore) + ".",
    )
    said = ["They are told without a price:"]
    for row in folklore:
        source = tables.sources[row.source_id]
        note = f" {text.plain(row.note)}." if row.note else ""
        said.append(
            f"- {text.plain(row.label)}: [{text.plain(source.title)}]({source.url}), "
            f"{text.plain(source.publisher)}.{note}"
        )
    with st.expander("Where the rules of thumb in grey are from"):
        st.markdown("\n".join(said))


def _moved_in_words(moved: Sensitivity, shown: list[tuple[str, str]]) -> pd.DataFrame:
    """Return the inputs that were moved, and scale-to-zero less always-on at each end."""
    flips = {flip.swing.key: swing_value(flip.swing, flip.value) for flip in moved.flips}
    return pd.DataFrame(
        [
            {
                "Input": bar.swing.label,
                "Low": low,
                "Now": swing_value(bar.swing, bar.swing.base),
                "High": high,
                "Difference at low": spell.dollars(bar.at_low),
                "Difference now": spell.dollars(moved.gap_usd),
                "Difference at high": spell.dollars(bar.at_high),
                "Flips at": flips.get(bar.swing.key, ""),
            }
            for bar, (low, high) in zip(moved.bars, shown, strict=True)
        ]
    )


def _draw_sensitivity(moved: Sensitivity, compared: Comparison) -> None:
    st.markdown("**Each input moved alone, on cost**")
    zero = compared.now[compared.line]
    words = gap_sentence(moved.gap_usd, zero, compared.now[ALWAYS_ON])
    st.markdown(text.said(words))
    table = tornado_table(moved.bars, moved.gap_usd)
    shown = [
        (
            swing_value(bar.swing, bar.swing.low, bare=True),
            swing_value(bar.swing, bar.swing.high),
        )
        for bar in moved.bars
    ]
    table["flips_at"] = table["key"].map({flip.swing.key: flip.value for flip in moved.flips})
    show.figure(
        show.built(tornado_figure, table, shown),
        key="tornado_chart",
        table=table,
        file_name="sensitivity.csv",
        shown=_moved_in_words(moved, shown),
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
    still = [
        spell.lower_first(bar.swing.label) for bar in moved.bars if bar.swing.key not in flipping
    ]
    if still:
        flips.append(
            f"Nothing within its range, alone, for: {', '.join(still)}."
            if flips
            else "Nothing: none of these inputs, alone, flips it within its range."
        )
    st.markdown(text.said("\n".join(f"- {words}" for words in flips)))
