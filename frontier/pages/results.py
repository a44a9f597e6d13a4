"""The study of the current choices: simulated once, kept, billed anew at every price and limit."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, cast

import pandas as pd
import streamlit as st

from frontier import compiling, spell
from frontier.answers import ANSWERS, TICK_S
from frontier.crew import Progress
from frontier.memory import stopwatch
from frontier.pages import controls, late, server, session, text
from frontier.pages.controls import Choices
from frontier.pages.pins import Pin
from frontier.pages.store import find, store
from frontier.rivals import AS_SHIPPED, Rivals
from frontier.shipped import shipped
from frontier.start.labels import STAGE_LABELS
from frontier.start.stages import ColdStart
from frontier.study import (
    Comparison,
    Hanging,
    Simulated,
    Study,
    compare,
    luck_of,
    plans_that_matter,
    shipped_sweep,
    simulate,
    study_of,
    with_hanging,
    with_ranges,
    with_rate,
)
from frontier.study import what_decides as decided
from frontier.tables import Tables


def study(
    choices: Choices,
    show_first_look: Callable[[Study], None] | None = None,
    *,
    pin: Pin | None = None,
) -> Study:
    """Return the study of these choices, simulating only what was not simulated before.

    The limit and the prices are no part of a simulation, so changing them simulates nothing.
    While a new sweep runs, ``show_first_look`` gets the few plans that outline the answer, and a
    bar shows the progress; a new input stops the threads at once.

    Parameters
    ----------
    pin : Pin, optional
        Whose choices these are, where they are not the present ones.
    """
    tables = session.tables() if pin is None else pin.tables
    first = (
        None
        if show_first_look is None
        else lambda few: show_first_look(_billed(few, choices, tables))
    )
    terms = (choices.scenario.slo_p99_ttft_s, choices.deal, choices.api, Same(tables))
    key = ("study", *choices.content_under(tables), *terms, dt.date.today())
    # Looked up all the same: what a page uses stays at hand.
    found = simulated(choices, first, pin=pin)
    is_private = choices.is_private if pin is None else pin.is_private
    made = store(private=is_private).get_or_make(key, lambda: _billed(found, choices, tables))
    return cast(Study, made)


def _billed(found: Simulated, choices: Choices, tables: Tables) -> Study:
    return study_of(
        found,
        tables,
        limit_s=choices.scenario.slo_p99_ttft_s,
        deal=choices.deal,
        api=choices.api,
    )


def simulated(
    choices: Choices,
    first: Callable[[Simulated], None] | None = None,
    *,
    pin: Pin | None = None,
) -> Simulated:
    """Return what every plan did, without a price, simulating only what was not simulated before.

    Parameters
    ----------
    first : callable, optional
        Gets the few plans that outline the answer as soon as they are done.
    pin : Pin, optional
        Whose choices these are, where they are not the present ones.
    """
    tables = session.tables() if pin is None else pin.tables
    key = ("sweep", *choices.content_under(tables))

    def made(progress: Progress) -> Simulated:
        return simulate(
            choices.scenario,
            choices.trace,
            tables,
            first=first,
            progress=progress,
            crew=session.crew(),
        )

    is_private = choices.is_private if pin is None else pin.is_private
    if find(key) is None and not _take_shipped(key, choices, tables, is_private=is_private):
        compiling.begin()
    return cast(
        Simulated,
        once(
            key,
            made,
            private=is_private,
            begins="A first look…" if pin is None else "Simulating A…",
            words=simulated_in_words,
            what="this simulation",
        ),
    )


def once(
    key: Hashable,
    make: Callable[[Progress], Any],
    *,
    private: bool,
    begins: str,
    words: Callable[[int, int], str] | None = None,
    what: str,
) -> Any:
    """Return what is kept under a key; made once for all who wait for it, with a bar meanwhile.

    A new input of the person ends the making, or the waiting, at the next move of the bar.

    Parameters
    ----------
    make : callable
        Gets what to call with (done, of) as it goes.
    private : bool
        Whether it holds anything that the person brought.
    begins : str
        What the bar says at first, and all the time if ``words`` is None.
    words : callable, optional
        What it says of (done, of).
    what : str
        Names it where there is no memory for it.
    """
    place = bar_place()
    found = find(key)
    if found is not None:
        return found
    bar, drawn_s = place.progress(0.0, begins), time.monotonic()
    is_over = server.yield_check()

    def progress(done: int, of: int) -> None:
        nonlocal drawn_s
        if time.monotonic() < drawn_s + TICK_S:
            # Drawing is where a new input ends this run; it need not be drawn each time.
            if is_over is not None:
                is_over()
            return
        drawn_s = time.monotonic()
        session.require_room(what)
        bar.progress(min(1.0, done / max(of, 1)), begins if words is None else words(done, of))
        give_way()

    def make_here() -> Any:
        session.require_room(what)
        give_way()
        return make(progress)

    try:
        return store(private=private).get_or_make(
            key, make_here, lambda: bar.progress(0.0, f"{begins} Another visitor has begun it.")
        )
    finally:
        place.empty()


def bar_place() -> st.delta_generator.DeltaGenerator:
    """Hold the place of a bar; to be called in every run, with or without a bar in it.

    What stands beneath would else move up in the next run, and the browser would build it anew:
    a list that is open in it, or a text half typed, would be gone.
    """
    return st.empty()


@dataclass(frozen=True, slots=True)
class Same:
    """Tables as part of a key: they are made anew where anything in them changes."""

    tables: Tables

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self.tables is other.tables

    def __hash__(self) -> int:
        return id(self.tables)


def of_study(choices: Choices, study: Study, *more: Hashable) -> Hashable:
    """Return a key of all that a study's answers depend on: its simulation, prices and terms."""
    return (*choices.content, study.limit_s, study.deal, study.api, Same(study.tables), *more)


def answered() -> None:
    """Say that the answer of this page stands; what is drawn from here on comes after others'."""
    ANSWERS.stands()
    give_way()


def give_way() -> None:
    """Let others have their answers first, where this person's stands already or takes long."""
    ANSWERS.give_way(server.yield_check())


def simulated_in_words(done: int, total: int) -> str:
    """Return how far a simulation has come, or what it waits for."""
    if done == 0 and compiling.is_under_way():
        return "Getting the simulation ready: some ten seconds, once on a new server"
    return f"Simulated {done} of {spell.count(total, 'plan')}"


def is_simulated(choices: Choices) -> bool:
    """Whether what every plan did is at hand.

    Raises
    ------
    FrontierError
        If the offers in focus cannot run the model, where their traffic was shipped.
    """
    key = ("sweep", *choices.content)
    return find(key) is not None or _take_shipped(
        key, choices, session.tables(), is_private=choices.is_private
    )


def _take_shipped(key: Hashable, choices: Choices, tables: Tables, *, is_private: bool) -> bool:
    """Keep under a key what every plan did, if it was simulated beforehand; whether it was."""
    taken_s = stopwatch()
    found = shipped_sweep(choices.scenario, choices.trace, tables, shipped())
    if found is not None:
        store(private=is_private).put(key, found, taken_s())
    return found is not None


def is_large(choices: Choices) -> bool:
    """Whether the trace is one that is served many times only when asked."""
    return choices.trace.arrival_s.size > session.tables().setting("break_even_most_requests")


def is_agreed(choices: Choices, what: str, words: str) -> bool:
    """Whether to simulate: at once for traces of the usual size, else when asked.

    Parameters
    ----------
    what : str
        What is computed, as it stands on the button: "break-even".
    words : str
        What is said of a large trace, after its number of requests.
    """
    if not is_large(choices):
        return True
    size = choices.trace.arrival_s.size
    key = f"{what}_agreed".replace("-", "_").replace(" ", "_")
    if st.session_state.get(key) == choices.trace.digest:
        return True
    st.info(
        f"This trace has {spell.count(size, 'request')}. {words}; you can leave the page at any "
        "time.",
        icon=":material/hourglass:",
    )
    if st.button(
        f"Compute the {what}",
        icon=":material/play_arrow:",
        key=late.named(key, choices.trace.digest),
    ):
        st.session_state[key] = choices.trace.digest
        st.rerun()
    return False


def pinned(pin: Pin) -> Study | None:
    """Return the study of a pinned scenario, at its own prices; None where it cannot be made."""
    if pin.choices is None or pin.problem:
        return None
    return study(pin.choices, pin=pin)


def rivals(
    choices: Choices, mitigations: tuple[str, ...] = (), *, pin: Pin | None = None
) -> Rivals:
    """Return what is kept of scale-to-zero and always-on at other rates, with shorter starts.

    Parameters
    ----------
    pin : Pin, optional
        Whose choices these are, where they are not the present ones.
    """
    tables = session.tables() if pin is None else pin.tables
    key = ("rivals", mitigations, *choices.content_under(tables))
    is_private = choices.is_private if pin is None else pin.is_private
    # Kept before anything is simulated: what an interruption leaves is not lost.
    made = store(private=is_private).get_or_make(
        key, lambda: Rivals(choices.scenario, choices.trace, tables, mitigations)
    )
    return cast(Rivals, made)


def with_break_even(choices: Choices, study: Study, *, pin: Pin | None = None) -> Study:
    """Return the study with the break-even rate in its verdict, where that is quick to compute."""
    if choices.trace.arrival_s.size > study.tables.setting("break_even_most_requests"):
        return study
    return with_rate(study, break_even(choices, study, pin=pin))


def break_even(choices: Choices, study: Study, *, pin: Pin | None = None) -> Comparison:
    """Return scale-to-zero as shipped against always-on at other rates of the traffic.

    It needs so many simulations that it comes after the first answer, and is kept by all that a
    bill and the limit depend on.
    """
    tables, scenario = study.tables, choices.scenario
    offers = [tables.offers[scenario.serverless_offer]]
    offers += study.deal.shapes(tables.offers[scenario.dedicated_offer], tables)
    rules = [tables.rules_of(offer) for offer in offers]
    terms = (study.limit_s, study.deal, tables.setting("hours_per_month"))
    key = ("rate", *choices.content_under(tables), *terms, *offers, *rules)
    return cast(
        Comparison,
        once(
            key,
            lambda progress: compare(
                study,
                rivals(choices, pin=pin),
                AS_SHIPPED,
                lines=(AS_SHIPPED,),
                progress=progress,
                beforehand=shipped(),
            ),
            private=choices.is_private if pin is None else pin.is_private,
            begins="Looking for the break-even…",
            what="the break-even",
        ),
    )


def with_known_ranges(choices: Choices, study: Study) -> Study:
    """Return the study with the ranges of luck of its plans, where they are known already."""
    found = find(_luck_key(choices, study))
    return study if found is None else with_ranges(study, found)


def find_ranges(choices: Choices, study: Study, place: st.delta_generator.DeltaGenerator) -> None:
    """Compute the ranges of luck, the last of all, and draw the page anew with them.

    ``place`` says meanwhile how far it is; a new input stops the threads at once, and what stands
    on the page stays as it is.
    """
    key = _luck_key(choices, study)
    if find(key) is not None:
        return

    def progress(done: int, of: int) -> None:
        session.require_room("the ranges")
        place.caption(f"Ranges: traffic and starts drawn anew, {done} of {of} times…")
        give_way()

    store(private=choices.is_private).get_or_make(
        key,
        lambda: luck_of(study, progress=progress, beforehand=shipped()),
        lambda: place.caption("Ranges: another visitor has begun to draw them…"),
    )
    st.rerun()


def _luck_key(choices: Choices, study: Study) -> Hashable:
    """Return all that the ranges of luck depend on: traffic, plans, prices and terms."""
    tables, matter = study.tables, plans_that_matter(study)
    offers = {
        contract.offer
        for plan_id in matter
        for contract in study.deal.contracts(study.outcomes[plan_id].plan, tables)
    }
    rows = tuple(sorted(offers, key=lambda offer: offer.offer_id))
    return (
        "luck",
        *choices.content,
        matter,
        study.deal,
        tables.setting("hours_per_month"),
        *rows,
        *(tables.rules_of(offer) for offer in rows),
    )


def with_what_decides(study: Study) -> Study:
    """Return the study of this run's choices with what its verdict hangs on among its reasons.

    Of a long trace only where that was looked at already: it takes many simulations.
    """
    choices = controls.current()
    if not isinstance(choices, Choices):
        return study
    is_long = choices.trace.arrival_s.size > study.tables.setting("break_even_most_requests")
    if is_long and find(_decides_key(choices, study)) is None:
        return study
    return with_hanging(study, what_decides(choices, study))


def _decides_key(choices: Choices, study: Study) -> Hashable:
    """Return all that the draws and their bills depend on, the day among it: prices age."""
    tables, scenario, today = study.tables, choices.scenario, dt.date.today()
    offers = [tables.offers[scenario.serverless_offer]]
    offers += study.deal.shapes(tables.offers[scenario.dedicated_offer], tables)
    rules = [tables.rules_of(offer) for offer in offers]
    terms = (study.limit_s, study.deal, tables.setting("hours_per_month"), today)
    return ("decides", *choices.content, *terms, *offers, *rules)


def what_decides(choices: Choices, study: Study) -> Hanging:
    """Return what the verdict hangs on of all that is not known for sure, drawn once and kept."""
    key = _decides_key(choices, study)
    return cast(
        Hanging,
        once(
            key,
            lambda progress: decided(study, today=dt.date.today(), progress=progress),
            private=choices.is_private,
            begins="Drawing what is not known for sure…",
            what="so many draws",
        ),
    )


def stage_words(start: ColdStart, tables: Tables) -> pd.DataFrame:
    """Return the stages of a start as words: seconds, basis and source."""
    rows = []
    for stage in start.stages:
        rows.append(
            {
                "Stage": STAGE_LABELS[stage.name],
                "Seconds": "not measured"
                if stage.median_s is None
                else spell.seconds(stage.median_s),
                "Basis": stage.basis,
                "Source": ", ".join(
                    text.plain(tables.sources[source_id].title) for source_id in stage.source_ids
                )
                or ("yours" if stage.basis == "measured" else "—"),
            }
        )
    return pd.DataFrame(rows).set_index("Stage")
