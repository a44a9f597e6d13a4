"""How a figure is computed: a small button beside a group of figures, and what it opens.

Nothing is computed until somebody opens it; then it is drawn anew alone, not the page with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import streamlit as st

from frontier.explain import Explanation, Reference, Term, about_answer, about_plan, of_choice
from frontier.market import Choice
from frontier.pages import session, text
from frontier.study import Study
from frontier.sweep import Deal
from frontier.trace import Trace

Sections = Mapping[str, Callable[[], tuple[Explanation, ...]]]


def beside_answer(study: Study) -> None:
    """Draw the button beside the headline: its plans, the saving, the break-even."""
    verdict = study.verdict
    plans = (
        ("Cheapest within the limit", verdict.cheapest_within),
        ("Scale-to-zero as shipped", verdict.shipped),
        ("Always-on", verdict.rival),
    )
    named: dict[str, str] = {}
    for words, plan in plans:
        if plan is not None:
            named.setdefault(plan.plan_id, words)
    sections: dict[str, Callable[[], tuple[Explanation, ...]]] = {
        words: _Plan(study, plan_id) for plan_id, words in named.items()
    }
    if found := about_answer(study):
        sections["Saving and break-even"] = lambda: found
    if sections:
        _button(sections, "explain_answer")


def beside_plan(study: Study, plan_id: str) -> None:
    """Draw the button beside the figures of one plan."""
    _button({"": _Plan(study, plan_id)}, "explain_plan")


def beside_choice(choice: Choice, trace: Trace, *, limit_s: float, deal: Deal) -> None:
    """Draw the button beside the headline of the market: its cheapest plan, run again alone."""

    def found() -> tuple[Explanation, ...]:
        ground, outcome = of_choice(choice, trace, limit_s=limit_s, deal=deal)
        return about_plan(ground, outcome, session.edits())

    _button({"": found}, "explain_market")


class _Plan:
    """The explanations of one plan, made when they are wanted."""

    def __init__(self, study: Study, plan_id: str) -> None:
        self.study, self.plan_id = study, plan_id

    def __call__(self) -> tuple[Explanation, ...]:
        return about_plan(self.study, self.study.outcomes[self.plan_id], session.edits())


@st.fragment
def _button(sections: Sections, key: str) -> None:
    if st.button("How this is computed", icon=":material/calculate:", type="tertiary", key=key):
        _open(sections, key)


@st.dialog("How this is computed", width="medium", icon=":material/calculate:")
def _open(sections: Sections, key: str) -> None:
    chosen = next(iter(sections))
    if len(sections) > 1:
        chosen = st.segmented_control(
            "Of what",
            list(sections),
            default=chosen,
            required=True,
            key=f"{key}_of",
            label_visibility="collapsed",
        )
    draw(sections[chosen if chosen in sections else next(iter(sections))]())


def draw(explanations: tuple[Explanation, ...]) -> None:
    """Draw explanations one beneath the other, the first one open."""
    for at, one in enumerate(explanations):
        title = text.plain(one.figure)
        if one.result:
            title += f": **{text.plain(one.result)}**"
        with st.expander(title, expanded=at == 0):
            _draw_one(one)


def _draw_one(one: Explanation, *, is_part: bool = False) -> None:
    if is_part:
        st.markdown(f"**{text.plain(one.figure)}**")
    if one.formula:
        st.markdown(
            f"{text.plain(one.in_words)}  \n= {text.plain(one.in_numbers)}  \n"
            f"= **{text.plain(one.result)}**"
        )
    if one.note:
        st.caption(text.plain(one.note))
    numbers = {found: at for at, found in enumerate(_references(one.terms), start=1)}
    st.markdown("\n".join(f"- {_term(term, numbers)}" for term in one.terms))
    if numbers:
        st.caption("  \n".join(_source(found, at) for found, at in numbers.items()))
    for part in one.parts:
        _draw_one(part, is_part=True)


def _term(term: Term, numbers: Mapping[Reference, int]) -> str:
    """Return a value, what it is, what it rests on and the numbers of its sources."""
    said = f"**{text.plain(term.in_words)}** {text.plain(term.name)}"
    if term.note:
        said += f" ({text.plain(term.note)})"
    said += f": {text.plain(term.basis)}"
    return said + "".join(f" {_mark(found, numbers[found])}" for found in term.sources)


def _mark(found: Reference, at: int) -> str:
    return f"[\\[{at}\\]](<{found.url}>)" if found.url else f"\\[{at}\\]"


def _source(found: Reference, at: int) -> str:
    title = text.plain(found.title)
    named = f"[{title}](<{found.url}>)" if found.url else title
    return f"\\[{at}\\] {named}, read {found.read_on}"


def _references(terms: tuple[Term, ...]) -> tuple[Reference, ...]:
    return tuple(dict.fromkeys(found for term in terms for found in term.sources))
