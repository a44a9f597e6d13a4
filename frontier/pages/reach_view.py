"""What it takes to hold a limit: a search over all that can be set, a question of the page."""

from __future__ import annotations

import math
from typing import Any, cast

import pandas as pd
import streamlit as st

from frontier import spell
from frontier.charts.reach_chart import reach_figure, reach_table
from frontier.hourly import how_spread
from frontier.ladder import limits_of
from frontier.memory import stopwatch
from frontier.pages import controls, link, market_view, mishap, results, session, show, text
from frontier.pages.controls import Choices
from frontier.pages.store import find, store
from frontier.reach import (
    Beside,
    Reached,
    Trial,
    able_providers,
    difference_in_words,
    failure_in_words,
    headline,
    in_hours,
    offers_of,
    place_in_words,
    sentences,
    what_it_takes,
)
from frontier.tables import Tables

_ANY, _OWN, _OTHER = "any", "own", "other"


def asks(choices: Choices) -> str:
    """Return the question as it stands on a link."""
    tables, scenario = session.tables(), choices.scenario
    provider = tables.offers[scenario.serverless_offer].provider
    return f"Cheapest way to hold {spell.seconds(scenario.slo_p99_ttft_s)} with {provider}?"


def draw(choices: Choices) -> None:
    """Draw the cheapest plan within a limit, and why the cheaper ones next to it fail."""
    tables = session.tables()
    answer_place, chart_place = st.container(), st.container()
    with answer_place:
        inputs = st.container(horizontal=True, vertical_alignment="bottom", gap="small")
    with inputs:
        limit_s = _limit(choices, tables)
        provider = _provider(choices, tables)
        any_precision = link.flag(
            "Other precisions, too",
            key="hold_precisions",
            help="Says what the cheapest would take in another precision of the model. Its answers "
            "may differ.",
        )
    if provider == "":
        st.warning("No offer on demand can run this model.", icon=":material/block:")
        return
    words = "The search simulates it a hundred times and more"
    if not results.is_agreed(choices, "cheapest plan", words):
        return
    with answer_place:
        found = _found(choices, tables, limit_s, provider, any_precision)
    hours = tables.setting("hours_per_month")
    with answer_place:
        st.subheader(text.plain(headline(found, hours)), anchor=False)
        results.answered()
        if hourly := in_hours(found, hours):
            st.caption(text.plain(hourly))
        if spread := how_spread(choices.trace.report.bucket_s):
            st.caption(spread)
        st.markdown(text.bullets(sentences(found, hours)))
        if found.found is not None:
            _take_into_focus(found.found, limit_s, tables)
    if found.found is not None and found.beside:
        with chart_place:
            st.markdown("**What stands next to it, and why it is not the answer**")
            _draw_beside(found)
    if found.tried:
        table = reach_table(found)
        with chart_place:
            st.markdown("**Every plan that was simulated**")
            show.figure(
                show.built(reach_figure, table, limit_s=limit_s),
                key="reach_chart",
                alt="Dollars a month against p99 of every plan simulated. "
                + headline(found, hours),
                table=table,
                file_name="reach.csv",
            )


def _limit(choices: Choices, tables: Tables) -> float:
    own_s = choices.scenario.slo_p99_ttft_s
    limits = {f"{limit_s:g}": limit_s for limit_s in limits_of(tables, own_s) if limit_s != own_s}
    labels = {
        _OWN: f"{spell.seconds(own_s)} (yours)",
        **{key: spell.seconds(limit_s) for key, limit_s in limits.items()},
        _OTHER: "Another…",
    }
    chosen = link.pick(
        "Limit on p99", labels, _OWN, key="hold_limit", format_func=labels.__getitem__, width=150
    )
    if chosen == _OTHER:
        return link.setting(
            "Seconds",
            tables.settings["slo_p99_ttft_s"],
            default=own_s,
            key="hold_limit_s",
            step=0.5,
            width=130,
        )
    return own_s if chosen == _OWN else limits[chosen]


def _provider(choices: Choices, tables: Tables) -> str | None:
    """Return whose offers are searched; None for anybody's, empty where nobody's can run it."""
    able = able_providers(choices.scenario, choices.trace, tables)
    if not able:
        return ""
    own = tables.offers[choices.scenario.serverless_offer].provider
    labels = {_ANY: "Any provider", **{name: name for name in able}}
    chosen = link.pick(
        "Provider",
        labels,
        own if own in able else able[0],
        key="hold_provider",
        format_func=labels.__getitem__,
        width=220,
    )
    return None if chosen == _ANY else chosen


def _found(
    choices: Choices, tables: Tables, limit_s: float, provider: str | None, any_precision: bool
) -> Reached:
    place = results.bar_place()
    offers = offers_of(provider, tables)
    rules = {offer.rules_id: tables.rules_of(offer) for offer in offers}
    behaviours = {offer.rules_id: tables.behaviour_of(offer) for offer in offers}
    asked = (limit_s, provider, any_precision, choices.deal, tables.setting("hours_per_month"))
    rows = (offers, tuple(rules.values()), tuple(behaviours.values()))
    key = ("reach", *choices.content, *asked, *rows)
    kept = find(key)
    if kept is None:
        taken_s = stopwatch()
        bar = place.progress(0.0, "Searching…")

        def progress(done: int, most: int) -> None:
            session.require_room("this search")
            bar.progress(
                min(done / max(most, 1), 1.0),
                f"Simulated {spell.count(done, 'plan')} of at most {most:,}",
            )

        try:
            kept = what_it_takes(
                choices.scenario,
                choices.trace,
                tables,
                limit_s=limit_s,
                provider=provider,
                deals=market_view.deals_of(choices, tables),
                any_precision=any_precision,
                progress=progress,
            )
        finally:
            place.empty()
        store(private=choices.is_private).put(key, kept, taken_s())
    return cast(Reached, kept)


def _take_into_focus(found: Trial, limit_s: float, tables: Tables) -> None:
    """Offer to take the offer of a plan into focus, and say what is set there by hand."""
    place = found.settings.place
    st.button(
        text.plain(f"Take {place_in_words(place)} into focus"),
        # Pressed before the browser has the newest drawing, it is still the offer that it names.
        key=f"reach_focus_{place.offer.offer_id}_{place.gpus}_{limit_s:g}",
        icon=":material/center_focus_strong:",
        on_click=mishap.safe(_focus),
        args=(place.offer.offer_id, place.gpus, limit_s),
        help="Every page then looks at this offer under this limit. Its plans there are those of "
        "the usual grid; this one lies between them.",
    )
    knobs = tables.knobs.get(place.deployed.supply.behaviour.behaviour_id)
    if knobs is not None and place.scales and not found.settings.is_fixed:
        st.caption(text.plain(f"What is set at {place.offer.provider}: {knobs.note}"))


def _focus(offer_id: str, gpus: int, limit_s: float) -> None:
    controls.focus(offer_id, gpus)
    link.choose(limit=f"{limit_s:g}")


def _draw_beside(found: Reached) -> None:
    def p99(seconds: float) -> str:
        return text.unbroken(spell.seconds(seconds) if math.isfinite(seconds) else "refused")

    def why(row: Beside) -> str:
        words = "holds it" if row.failure is None else failure_in_words(row.failure)
        if row.saves_usd < 0:
            words = f"costs {spell.dollars(-row.saves_usd)} more; {words}"
        return words[:1].upper() + words[1:]

    best = cast(Trial, found.found)
    shown: dict[str, list[Any]] = {
        "Instead": ["The plan found"],
        "Dollars a month": [spell.dollars(best.usd_per_month)],
        "Saves": [""],
        "p99": [p99(best.p99_s)],
        "Over it, of 1,000": [str(best.over)],
        "Why not": [""],
    }
    for row in found.beside:
        cells = (
            difference_in_words(row.trial.settings, best.settings),
            spell.dollars(row.trial.usd_per_month),
            spell.dollars(row.saves_usd) if row.saves_usd > 0 else "",
            p99(row.trial.p99_s),
            str(row.trial.over),
            why(row),
        )
        for column, cell in zip(shown.values(), cells, strict=True):
            column.append(cell)
    words = {name: [text.plain(cell) for cell in cells] for name, cells in shown.items()}
    st.table(pd.DataFrame(words).set_index("Instead"))
