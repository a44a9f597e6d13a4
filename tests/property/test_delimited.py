"""Numbers as people write them: what is written in one way all through is read back."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontier.delimited import DecimalMark, decimal_mark, decoded, delimiter_of

AMOUNTS = st.lists(st.decimals(0, 10**9, places=2), min_size=1, max_size=8)
# (thousands, decimal)
WRITINGS = st.sampled_from([(",", "."), (".", ","), ("", "."), ("", ","), (" ", ","), ("'", ".")])


@given(AMOUNTS, WRITINGS)
def test_one_writing_is_read_back(amounts, writing):
    """With two decimals the mark shows itself, whatever sets thousands apart."""
    thousands, decimal = writing
    swap = str.maketrans({",": thousands, ".": decimal})
    cells = [f"{amount:,.2f}".translate(swap) for amount in amounts]
    mark = decimal_mark(cells)
    assert [mark.number(cell) for cell in cells] == [float(amount) for amount in amounts]


@given(st.text(max_size=40))
def test_any_text_is_a_number_or_none(text):
    """Nothing else comes out, and never an infinity."""
    for mark in (DecimalMark("."), DecimalMark(","), decimal_mark([text])):
        value = mark.number(text)
        assert math.isnan(value) or math.isfinite(value) or "e" in text.casefold()


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (["1,234", "2,5"], [1.234, 2.5]),
        (["1,234", "2.5"], [1234, 2.5]),
        (["1.234", "2,5"], [1234, 2.5]),
        (["1.234"], [1.234]),
        (["1,234"], [math.nan]),
        (["1,234,567"], [1234567]),
        (["1.234.567"], [1234567]),
        (["0,125"], [0.125]),
        (["1234,567"], [1234.567]),
        (["-1.5", "−2.5", "+3"], [-1.5, -2.5, 3]),
        (["1e-3", "2.5E2"], [0.001, 250]),
        (["1 234,5", "1\u202f234,5"], [1234.5, 1234.5]),
        (["12 34"], [math.nan]),
        (["1.2.3", "1,2,3", "1_000", "0x10", "nan", "inf", ""], [math.nan] * 7),
    ],
)
def test_one_number_may_tell_of_another(cells, numbers):
    """The mark is found from all cells; one that none tells of is no number."""
    mark = decimal_mark(cells)
    assert [mark.number(cell) for cell in cells] == pytest.approx(numbers, nan_ok=True)


def test_a_contradiction_is_named():
    """One cell of each kind, and no mark is chosen."""
    mark = decimal_mark(["3", "1,25", "0.80", "0.90"])
    assert mark.is_contradictory
    assert (mark.with_comma, mark.with_point) == ("1,25", "0.80")


def test_encodings_and_separators():
    """A mark decides, then UTF-8, then Windows text; quoted separators do not count."""
    for encoding in ("utf-8-sig", "utf-16", "utf-32", "utf-8", "cp1252"):
        assert decoded("Köln 2 €".encode(encoding)) == ("Köln 2 €", encoding)
    assert delimiter_of('"a,b,c,d";e;f') == ";"
    assert [delimiter_of(text) for text in ("a\tb", "a|b", "a")] == ["\t", "|", ","]
