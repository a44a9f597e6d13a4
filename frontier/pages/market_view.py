"""The market on the Frontier page: every offer on one chart, ranked, filtered, taken into focus."""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
import time
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple, cast

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from frontier import spell
from frontier.answers import ANSWERS
from frontier.charts.market_chart import (
    UNDRAWN,
    market_figure,
    market_points,
    offer_name,
    ranked_figure,
    ranked_table,
)
from frontier.market import (
    EVERYTHING,
    ON_DEMAND,
    Market,
    MarketAnswer,
    Row,
    Wanted,
    answer_of,
    beside_api,
    cost_of,
    headline,
    in_hours,
    market,
    market_table,
    sentences,
    state_of,
    wanted_offers,
    with_range,
)
from frontier.memory import stopwatch
from frontier.pages import controls, explained, late, link, mishap, results, session, show, text
from frontier.pages.controls import Choices
from frontier.pages.store import MarketStore, find, store
from frontier.shipped import shipped
from frontier.sweep import LIST_DEAL, Deal
from frontier.tables import Offer, Tables

_RANGED = "market ranges"
_FOCUS = "market_focus"
_AT_ONCE_S = 0.3
_STATES = {"holds": "holds the limit", "misses": "misses it", "cannot": "cannot run it"}


@dataclasses.dataclass(frozen=True, slots=True)
class Ticked:
    """Which offers are looked at, and what one of them is called."""

    offer_ids: frozenset[str]
    noun: str


class _Charts(NamedTuple):
    """Both charts of a market with their text alternatives; None where there is nothing to draw."""

    market: go.Figure | None
    market_alt: str
    bars: go.Figure | None
    bars_alt: str


def draw(choices: Choices, problem: str | None = None) -> None:
    """Draw the market of the chosen model: the answer, the chart, the ranking, the table.

    Parameters
    ----------
    problem : str, optional
        Why the offers in focus cannot run the model.
    """
    tables = session.tables()
    if problem is not None:
        st.warning(text.plain(problem), icon=":material/block:")
    misfit_place, answer_place, chart_place = st.container(), st.empty(), st.empty()
    beneath = st.container()
    with beneath, st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        ticked = which_offers(tables)
        focus_place, explain_place = st.container(), st.container(width="content")

    def drawn(found: Market, key: str, of: Hashable = None) -> None:
        with answer_place.container():
            _draw_answer(found, ticked, choices, None if of is None else _known(of))
        with chart_place.container():
            _draw_charts(found, ticked, choices, key, of)

    # Streamlit wants another key for each drawing within one run.
    drawings = itertools.count()
    found, is_all = _found(
        choices, ticked, tables, lambda few: drawn(few, f"market_{next(drawings)}")
    )
    of = (_key(choices, tables, is_all or ticked.offer_ids), ticked)
    drawn(found, "market_chart", of)
    if problem is not None:
        with misfit_place:
            _offer_what_fits(found, choices, tables)
    with focus_place:
        _pick_focus(found, ticked)
    best = answer_of(_of(found, ticked)).best
    row = None if best is None else found.row(best.offer_id)
    if row is not None and row.best is not None:
        with explain_place:
            explained.beside_choice(
                row.best,
                choices.trace,
                limit_s=found.limit_s,
                deal=deals_of(choices, tables)(row.offer),
            )
    with beneath:
        _draw_table(found, ticked, of, is_all=is_all)
    is_quick = found.trace.arrival_s.size <= tables.setting("market_most_requests")
    if is_quick and _known(of) is None:
        ranged = _ranged(found, ticked, tables, of, is_private=choices.is_private)
        with answer_place.container():
            _draw_answer(found, ticked, choices, ranged)


def _offer_what_fits(found: Market, choices: Choices, tables: Tables) -> None:
    """Offer the nearest offers that can run the model: same GPU, same provider, the cheapest."""
    scenario = choices.scenario
    pair = [tables.offers[key] for key in (scenario.serverless_offer, scenario.dedicated_offer)]
    gpus, providers = {offer.gpu for offer in pair}, {offer.provider for offer in pair}
    on_demand = [row for row in found.able if row.offer.kind in ON_DEMAND]
    nearest = (
        next((row for row in on_demand if row.offer.gpu in gpus), None),
        next((row for row in on_demand if row.offer.provider in providers), None),
        next(iter(on_demand), None),
    )
    rows = {row.offer.offer_id: row for row in nearest if row is not None}
    if rows:
        st.markdown("These offers can run it. Take one into focus, and every page looks at it:")
    with st.container(horizontal=True, gap="xsmall"):
        for offer_id, row in rows.items():
            st.button(
                # Without the product a phone shows it whole, the price too.
                text.plain(_label(row, brief=True)),
                key=f"nearest_{offer_id}",
                help=text.plain(_label(row)),
                on_click=mishap.safe(focus),
                args=(offer_id,),
                icon=":material/center_focus_strong:",
            )


def _key(choices: Choices, tables: Tables, offers: Hashable) -> tuple[Hashable, ...]:
    """Return all that a market of these offers depends on."""
    limit_s, today = choices.scenario.slo_p99_ttft_s, dt.date.today()
    return (choices.content, limit_s, choices.deal, offers, today, results.Same(tables))


def _found(
    choices: Choices, ticked: Ticked, tables: Tables, first: Callable[[Market], None]
) -> tuple[Market, bool]:
    """Return the market, and whether all offers are on it: of long traffic, when asked for."""
    place = results.bar_place()
    most = int(tables.setting("market_most_requests"))
    is_all = choices.trace.arrival_s.size <= most or bool(st.session_state.get("market_all"))
    limit_s, today = choices.scenario.slo_p99_ttft_s, dt.date.today()
    key = ("market", *_key(choices, tables, is_all or ticked.offer_ids))
    made = find(key)
    if made is not None:
        return made, is_all
    bar = place.progress(0.0, "Looking at the market…")
    waiting: list[Market] = []
    begun_s, taken_s = time.monotonic(), stopwatch()

    def progress(done: int, total: int) -> None:
        session.require_room("the market")
        # Where all others are there at once, what is ticked need not be drawn before them.
        if waiting and time.monotonic() > begun_s + _AT_ONCE_S:
            first(waiting.pop())
        bar.progress(done / max(total, 1), results.simulated_in_words(done, total))

    def of(wanted: Wanted, **how: Any) -> Market:
        return market(
            choices.scenario,
            choices.trace,
            tables,
            limit_s=limit_s,
            kept=MarketStore(private=choices.is_private),
            today=today,
            wanted=wanted,
            deals=deals_of(choices, tables),
            shipped=shipped(),
            progress=progress,
            crew=session.crew(),
            **how,
        )

    try:
        # The ticked ones first: their answer stands while the others are still simulated.
        found = of(Wanted(offer_ids=ticked.offer_ids), first=first)
        if is_all:
            waiting = [found] if found.able else []
            # All of them will take so much longer as they are more.
            share = len(ticked.offer_ids) / len(tables.offers)
            if waiting and time.monotonic() > begun_s + share * _AT_ONCE_S:
                first(waiting.pop())
            found = of(EVERYTHING)
    finally:
        place.empty()
    store(private=choices.is_private).put(key, found, taken_s())
    return found, is_all


def deals_of(choices: Choices, tables: Tables) -> Callable[[Offer], Deal]:
    """Return the terms of each offer: what was chosen for the pair in focus holds for its like."""
    deal, scenario = choices.deal, choices.scenario
    pair = [tables.offers[key] for key in (scenario.serverless_offer, scenario.dedicated_offer)]
    rules = {offer.rules_id for offer in pair}
    commitment = deal.commitment

    def of(offer: Offer) -> Deal:
        if offer.rules_id in rules:
            return deal
        holds = commitment is not None and commitment.provider in (None, offer.provider)
        return dataclasses.replace(LIST_DEAL, commitment=commitment if holds else None)

    return of


def which_offers(tables: Tables) -> Ticked:
    """Draw the filter; without any choice in it the featured offers are ticked."""
    offers = tables.offers.values()
    with st.popover("Which offers", icon=":material/filter_list:", key="market_filter"):
        st.caption(
            "Without a choice here the main offers are ticked: one or two of each provider. All "
            "others are on the chart too, in grey."
        )
        every = link.flag("All offers", key="all_offers")
        providers = link.many(
            "Providers", sorted({offer.provider for offer in offers}), key="market_providers"
        )
        gpus = link.many("GPUs", sorted({offer.gpu for offer in offers}), key="market_gpus")
        kinds = link.many(
            "Kinds", ("serverless", "dedicated", "reserved", "spot"), key="market_kinds"
        )
        regions = link.many(
            "Regions", sorted({offer.region for offer in offers}), key="market_regions"
        )
        community = not link.flag(
            "Leave out community hosts",
            key="no_community",
            help="Machines of third parties, without a data centre's agreement.",
        )
        days = link.number(
            "Oldest price (days, 0: any)",
            0,
            low=0,
            high=int(tables.settings["price_ask_days"].bounds[1]),
            whole=True,
            key="price_days",
        )
    wanted = Wanted(
        tuple(providers), tuple(gpus), tuple(kinds), tuple(regions), community, days or None
    )
    found = wanted_offers(tables, wanted, today=dt.date.today())
    if every or providers or gpus or kinds or regions:
        return Ticked(frozenset(offer.offer_id for offer in found), "offer")
    return Ticked(frozenset(offer.offer_id for offer in found if offer.featured), "main offer")


def _of(found: Market, ticked: Ticked) -> Market:
    """Return the market of the ticked offers alone."""
    rows = tuple(row for row in found.rows if row.offer.offer_id in ticked.offer_ids)
    return dataclasses.replace(found, rows=rows)


def _ranged(
    found: Market, ticked: Ticked, tables: Tables, of: Hashable, *, is_private: bool
) -> MarketAnswer:
    """Return the answer with the range of its best plan, drawn once for a market."""
    taken_s = stopwatch()
    answer = with_range(answer_of(_of(found, ticked)), found, tables, beforehand=shipped())
    store(private=is_private).put((_RANGED, of), answer, taken_s())
    return answer


def _known(of: Hashable) -> MarketAnswer | None:
    """Return that answer where it is known already."""
    return cast(MarketAnswer | None, find((_RANGED, of)))


def _draw_answer(
    found: Market, ticked: Ticked, choices: Choices, ranged: MarketAnswer | None = None
) -> None:
    hours = session.tables().setting("hours_per_month")
    answer = ranged or answer_of(_of(found, ticked))
    said = headline(answer, hours, ticked.noun)
    st.subheader(text.plain(said), anchor=False)
    if answer.p99_range is not None:
        wait = spell.seconds_between(answer.p99_range.low, answer.p99_range.high)
        st.caption(f"p99 {wait} by the luck of traffic and starts. {answer.uncertain}")
    elif answer.uncertain:
        st.caption(answer.uncertain)
    if hourly := in_hours(answer, hours):
        st.caption(text.money(hourly))
    whole = answer_of(found)
    if whole.best is not None and (
        answer.best is None or whole.best.usd_per_month < answer.best.usd_per_month
    ):
        best = whole.best
        st.caption(
            text.plain(
                f"Of all {whole.on_demand:,} offers that hold it, spot and reserved apart, the "
                f"cheapest is {best.where}: {cost_of(whole, best, hours)} at a p99 of "
                f"{spell.seconds(best.p99_ttft_s)}."
            )
        )
    if choices.api is not None:
        usd = choices.api.usd_per_month(choices.trace, hours)
        st.caption(text.plain(beside_api(answer, choices.api, usd, hours)))


def _charts(found: Market, ticked: Ticked, focused: tuple[str, str]) -> _Charts:
    points = market_points(found, ticked.offer_ids)
    if points.empty:
        return _Charts(None, "", None, "")
    some = _of(found, ticked)
    best = answer_of(some).best
    ANSWERS.step()
    drawn = market_figure(
        points,
        limit_s=found.limit_s,
        focused=focused,
        best="" if best is None else best.offer_id,
    )
    ANSWERS.step()
    bars = ranked_table(some, ticked.offer_ids)
    return _Charts(
        drawn,
        "Dollars a month against p99 time to first token, an efficient line over "
        f"{len(some.able)} offers and the steps of each provider.",
        None if bars.empty else ranked_figure(bars, focused=focused),
        "Cheapest within the limit, dollars a month: "
        + ", ".join(
            f"{name} {spell.dollars(usd)}"
            for name, usd in zip(bars["name"], bars["usd_per_month"], strict=True)
        ),
    )


def _draw_charts(
    found: Market, ticked: Ticked, choices: Choices, key: str, of: Hashable = None
) -> None:
    """Draw both charts; those of a whole market, of which ``of`` holds all, are kept."""
    focused = (choices.scenario.serverless_offer, choices.scenario.dedicated_offer)
    is_last = of is not None

    def build() -> _Charts:
        return _charts(found, ticked, focused)

    is_shared = not choices.is_private
    charts = show.kept("market", (of, focused), build, shared=is_shared) if is_last else build()
    if charts.market is None:
        st.info("No offer can run this model; the table below says why.", icon=":material/block:")
        return
    left, right = st.columns([1.4, 1], gap="medium")
    with left:
        show.figure(
            charts.market,
            key=key,
            alt=charts.market_alt,
            **(_focuses(key) if is_last else {}),
        )
        meta = charts.market.layout.meta
        if undrawn := meta[UNDRAWN]:
            st.caption(
                f"Not drawn, so that the chart stays quick: {spell.count(undrawn, 'plan')}, each "
                "beaten by another of its provider."
            )
        if any(value for name, value in meta.items() if name != UNDRAWN):
            st.caption(
                "Where a provider's name has no room, point at its mark, or see the table beneath."
            )
    with right:
        if charts.bars is None:
            st.info(
                "None of the ticked offers holds the limit: tick others, or raise it.",
                icon=":material/info:",
            )
            return
        show.figure(
            charts.bars,
            key=f"{key}_bars",
            alt=charts.bars_alt,
            **(_focuses(f"{key}_bars") if is_last else {}),
        )


def _focuses(key: str) -> dict[str, Any]:
    """Return how a figure takes an offer into focus when a point or bar of it is clicked."""

    def clicked() -> None:
        points = st.session_state[key].selection.points
        if points:
            offer_id = points[0].get("customdata")
            offer_id = offer_id[0] if isinstance(offer_id, list | tuple) else offer_id
            if offer_id in session.tables().offers:
                focus(offer_id)

    return {"on_select": mishap.safe(clicked), "selection_mode": "points"}


def focus(offer_id: str) -> None:
    """Take an offer into focus and show its plans; from a callback."""
    controls.focus(offer_id)
    link.choose(view="plans")


def _pick_focus(found: Market, ticked: Ticked) -> None:
    """Draw the choice of an offer with the keyboard: the same as a click on its point."""
    rows = {row.offer.offer_id: row for row in found.able if row.offer.offer_id in ticked.offer_ids}
    if not rows:
        return

    # The framework keeps what is called until the next run: words, and no market.
    words = {offer_id: text.bare(_label(row)) for offer_id, row in rows.items()}
    labels = late.called(_FOCUS, words, words.__getitem__)

    def picked() -> None:
        sent = st.session_state[_FOCUS]
        st.session_state[_FOCUS] = None
        offer_id = late.meant(_FOCUS, sent or "")
        if offer_id in session.tables().offers:
            focus(offer_id)

    st.selectbox(
        "Look closer at an offer",
        list(labels),
        index=None,
        key=_FOCUS,
        format_func=labels.__getitem__,
        placeholder="or click its point or bar",
        on_change=mishap.safe(picked),
    )


def _label(row: Row, *, brief: bool = False) -> str:
    choice = row.best or row.fastest
    if choice is None:
        return row.offer.offer_id
    state = "" if row.best is not None else ", misses the limit"
    product = "" if brief else f" ({row.offer.product})"
    return (
        f"{offer_name(row, choice)}{product}: {spell.dollars(choice.usd_per_month)} a month{state}"
    )


def _draw_table(found: Market, ticked: Ticked, of: Hashable, *, is_all: bool) -> None:
    some = _of(found, ticked)
    if not some.rows:
        st.info(
            "No offer is like that. Take something away under “Which offers”.",
            icon=":material/filter_alt_off:",
        )
        return
    counts = {state: sum(state_of(row) == state for row in some.rows) for state in _STATES}
    verbs = {"holds": "hold the limit", "misses": "miss it", "cannot": "cannot run the model"}
    words = ", ".join(f"{count} {verbs[state]}" for state, count in counts.items() if count)
    st.caption(
        text.money(
            f"{spell.count(len(some.rows), 'offer')} ticked of "
            f"{spell.count(len(session.tables().offers), 'offer')}: {words}. Bold: the efficient "
            "line of those ticked. Thin: the steps of each provider. Grey: the rest. Ringed: the "
            "offers in focus. A triangle at the upper edge waits longer than the chart shows."
        )
    )
    if not is_all:
        st.button(
            "Look at all offers",
            key="market_all_button",
            icon=":material/travel_explore:",
            help="This traffic is long: all of them take a while.",
            on_click=mishap.safe(_look_at_all),
        )
    with st.expander("Offers as a table", icon=":material/table_rows:"):
        _draw_offers(show.kept("market_offers", of, lambda: _offers(some)))
        answer, hours = answer_of(some), session.tables().setting("hours_per_month")
        st.markdown("\n".join(f"- {text.plain(said)}" for said in sentences(answer, hours)))
        show.download(lambda: market_table(found), "market.csv")


def _look_at_all() -> None:
    st.session_state["market_all"] = True


def _offers(some: Market) -> pd.DataFrame:
    table = market_table(some)
    return pd.DataFrame(
        {
            "Provider": table["provider"],
            "Product": table["product"],
            "Kind": table["kind"],
            "GPUs of a replica": [
                f"{row.fastest.gpus if row.best is None else row.best.gpus} × {row.offer.gpu}"
                if row.fastest is not None
                else row.offer.gpu
                for row in some.rows
            ],
            "Within the limit": table["state"].map(_STATES),
            "Dollars a month": table["best_usd_per_month"],
            "p99 TTFT (s)": table["best_p99_ttft_s"].fillna(table["fastest_p99_ttft_s"]),
            "Plan": table["best_policy"].fillna(table["fastest_policy"]),
            "Price of": table["priced_on"],
            "Region": table["region"],
            "Community hosts": table["community"],
            "Why it cannot": table["reason"],
        }
    )


def _draw_offers(table: pd.DataFrame) -> None:
    st.dataframe(
        table,
        hide_index=True,
        column_config={
            "Dollars a month": st.column_config.NumberColumn(format="dollar"),
            "p99 TTFT (s)": st.column_config.NumberColumn(format="%.3g"),
        },
    )
