"""Pairs of choices: the search for links finds every pair, and the first links open every page."""

from __future__ import annotations

import itertools

from tests.combos import MODULES, Pairs, few, is_taken, learn, table

_VALUES = {
    "question": ["growth", "hold", "bill"],
    "growth": ["0", "20"],
    "hold_limit": ["own", "other"],
    "hold_limit_s": ["1", "9"],
    **{f"bar{at}": ["a", "b", "c"] for at in range(6)},
}
_BENEATH = {
    **{("growth", value): {"question": "growth"} for value in _VALUES["growth"]},
    **{("hold_limit", value): {"question": "hold"} for value in _VALUES["hold_limit"]},
    **{
        ("hold_limit_s", value): {"question": "hold", "hold_limit": "other"}
        for value in _VALUES["hold_limit_s"]
    },
}


def _shown(row):
    """Return what a page would draw of a link; one pair excludes each other."""
    shown = {
        name: value
        for name, value in row.items()
        if all(row.get(key) == wanted for key, wanted in _BENEATH.get((name, value), {}).items())
    }
    if shown.get("bar0") == "a" and shown.get("bar1") == "b":
        del shown["bar1"]
    return shown


def test_every_pair_is_opened_and_drawn_where_it_can_be():
    """Laws of the search: none is missing, what excludes each other is alone, links are few."""
    pairs, links = Pairs(_VALUES, _BENEATH), []
    while (row := pairs.row()) is not None:
        links.append(row)
        pairs.note(row, _shown(row))
        assert len(links) < 100
    flat = [(name, value) for name, held in _VALUES.items() for value in held]
    opened = {pair for row in links for pair in itertools.combinations(row.items(), 2)}
    drawn = {pair for row in links for pair in itertools.combinations(_shown(row).items(), 2)}
    for one, other in itertools.combinations(flat, 2):
        if one[0] == other[0]:
            continue
        assert {(one, other), (other, one)} & opened
        can = pairs.together[pairs.at[one], pairs.at[other]]
        excluded = {one, other} == {("bar0", "a"), ("bar1", "b")}
        assert bool({(one, other), (other, one)} & drawn) == (can and not excluded)
    count, together, seen, held = pairs.counts()
    assert count == held
    assert together == seen + 1
    # Each of nine pairs of three values needs a link, and two questions one of their own.
    assert 9 <= len(links) <= 40


def test_every_pair_is_opened_before_all_that_can_be_drawn_was_tried():
    """Where hardly anything is drawn the search for it is long, and a stopped run has met all."""
    pairs, opened, links = Pairs(_VALUES, _BENEATH), [], 0
    while (row := pairs.row()) is not None:
        links += 1
        pairs.note(row, {"bar0": row["bar0"]} if "bar0" in row else {})
        count, _, _, held = pairs.counts()
        if held == count:
            opened.append(links)
    assert opened[0] <= 40
    assert links > 4 * opened[0]


def test_the_first_links_of_the_table_open_the_bar_and_every_page():
    """As `make pairs` does to the end: a page, a sentence or a default, never a box of errors."""
    values, beneath, wrong = learn([], most=1)
    assert not wrong
    pairs = Pairs(values, beneath)
    assert len(values) > 30
    for row, found in itertools.chain(table(pairs, [], most=6), table(pairs, MODULES, most=1)):
        assert len(row) > 1
        assert not found, row
    assert pairs.counts()[2] > 2000


def test_few_values_hold_both_ends_and_a_value_is_known_again():
    """Of ten options the first, the last and two between; numbers are read as numbers."""
    assert few([str(at) for at in range(10)]) == ["0", "3", "6", "9"]
    assert few(["a", "b"]) == ["a", "b"]
    assert is_taken("2", 2.0)
    assert is_taken("1", True)
    assert is_taken("", [])
    assert not is_taken("a", None)
