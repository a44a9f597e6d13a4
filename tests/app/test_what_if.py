"""The What-if page: a question is one click from the Frontier page and says what that page says."""

from __future__ import annotations

import re

import pytest

from frontier.pages.what_if import QUESTIONS
from tests.app.test_pages import _run_page


def test_a_next_question_is_one_click_away(open_app):
    """The row under the answer names them in words; a click makes the choice and turns the page."""
    app = open_app()
    links = {button.key: button.label for button in app.button if button.key.startswith("next_")}
    assert set(links) == {f"next_{question.key}" for question in QUESTIONS if question.asks}
    assert links["next_limits"].replace("\\", "") == "What would 1 s cost?"


@pytest.mark.parametrize("question", [question.key for question in QUESTIONS])
def test_each_question_is_answered_under_a_heading(question):
    """Each one opens by its address on the default example, with words that answer it."""
    app = _run_page("frontier.pages.what_if", "internal-rag", question=question)
    assert not app.exception, [error.value for error in app.exception]
    assert not app.error, [error.value for error in app.error]
    assert not app.warning, [warning.value for warning in app.warning]
    assert app.subheader


def test_the_ladder_starts_from_the_answer_of_the_market():
    """The row of one's own limit costs what the headline counts from; another limit is added."""
    app = _run_page("frontier.pages.what_if", "internal-rag", ladder_limit="20")
    table = app.table[0].value
    assert [label.replace("\\", "") for label in table.index] == [
        "0.5 s", "1 s", "2 s (yours)", "5 s", "10 s", "20 s", "30 s", "60 s",
    ]  # fmt: skip
    own = table.loc["2 s \\(yours\\)", "Dollars a month"].replace("\\", "")
    assert re.search(rf"of \{own} a month", app.subheader[0].value.replace("\\", ""))


def test_what_holds_a_limit_is_said_with_what_is_cheaper_and_fails():
    """The headline has the limit and the provider that were asked for; each saving fails."""
    app = _run_page(
        "frontier.pages.what_if",
        "internal-rag",
        question="hold",
        hold_limit="10",
        hold_provider="Google Cloud",
    )
    said = app.subheader[0].value.replace("\\", "")
    assert said.startswith("Holding p99 ≤ 10 s with Google Cloud takes $")
    table = app.table[0].value
    assert table.index[0] == "The plan found"
    saves = table["Saves"].str.replace("\\", "").str.startswith("$")
    assert saves.any()
    assert table.loc[saves, "Why not"].str.contains("too many").all()
    next(one for one in app.button if one.key.startswith("reach_focus_")).click().run()
    assert not app.exception, [error.value for error in app.exception]
    chosen = app.session_state["choices"].scenario
    assert "gcp" in chosen.dedicated_offer
    assert chosen.slo_p99_ttft_s == 10.0


def test_three_numbers_of_a_bill_stand_beside_the_prediction():
    """Dollars alone at first: what would close the gap is said, and each line has its figure."""
    app = _run_page("frontier.pages.what_if", "internal-rag", question="bill")
    assert not app.exception, [error.value for error in app.exception]
    app.button_group(key="bill_how").set_value("Three numbers").run()
    app.number_input(key="bill_usd").set_value(2000.0).run()
    assert not app.exception, [error.value for error in app.exception]
    said = " ".join(item.value for item in app.markdown).replace("\\", "")
    assert "$2,000 was paid, $1,095 predicted for 730 hours" in said
    lines, candidates = (table.value for table in app.table)
    assert lines.loc["All", "Paid"].replace("\\", "") == "$2,000"
    assert set(candidates["Plausible"]) <= {"yes", "no"}
    assert "Price" in candidates.index
