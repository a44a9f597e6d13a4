"""The decision cards under the headline say what their plans do, and name each plan once."""

from __future__ import annotations


def _cards(app):
    return [m.value for m in app.markdown if m.value.startswith(":small[:gray[")]


def test_a_plan_that_is_two_things_is_one_card(open_app):
    """Here the cheapest within the limit is also as fast as any: one card, and one for the rest."""
    cards = _cards(open_app())
    assert [card.split("]")[0] for card in cards] == [
        ":small[:gray[Cheapest within 2 s and fastest",
        ":small[:gray[Cheapest of all",
    ]
    assert "**Crusoe, 1 × L40S: \\$1,095 a month**" in cards[0]
    assert "Always\\-on" in cards[0]


def test_without_a_plan_within_the_limit_the_other_cards_stand(open_app):
    """Nothing holds 0.1 s: no card claims to."""
    app = open_app(limit="0.1")
    assert "No plan holds p99" in app.subheader[0].value
    assert all("within" not in card for card in _cards(app))
    assert len(_cards(app)) == 2
