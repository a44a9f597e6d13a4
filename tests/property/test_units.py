"""Numbers on screen: three significant digits, a unit, never a surprise."""

from __future__ import annotations

import datetime as dt
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontier import spell


@pytest.mark.parametrize(
    ("value_s", "words"),
    [
        (0.0854, "85 ms"),
        (0.1, "0.1 s"),
        (0.48, "0.48 s"),
        (12.34, "12.3 s"),
        (60.0, "60 s"),
        (99.96, "1 min 40 s"),
        (130.0, "2 min 10 s"),
        (300.0, "5 min"),
        (7200.0, "2 h"),
        (604800.0, "7 days"),
        (math.inf, "never"),
        (math.nan, "not measured"),
    ],
)
def test_durations_read_as_people_say_them(value_s, words):
    """A duration is written in the unit a person would choose."""
    assert spell.seconds(value_s) == words


@pytest.mark.parametrize(
    ("usd", "words"),
    [
        (1095.4, "$1,095"),
        (999.6, "$1,000"),
        (12.345, "$12.35"),
        (0.6, "$0.60"),
        (0.0042, "$0.0042"),
        (0, "$0"),
    ],
)
def test_money_keeps_whole_dollars_when_large_and_cents_when_small(usd, words):
    """A monthly bill is whole dollars; a price an hour keeps cents, a token price digits."""
    assert spell.dollars(usd) == words


@given(st.floats(min_value=1e-6, max_value=1e12))
def test_significant_digits_stay_within_half_a_digit_of_the_value(value):
    """Three significant digits are never more than 0.5 % from the number they stand for."""
    shown = float(spell.significant(value).replace(",", ""))
    assert shown == pytest.approx(value, rel=5.1e-3)


@given(st.floats(min_value=-1e9, max_value=1e9))
def test_a_negative_amount_carries_its_sign_before_the_dollar(usd):
    """Minus and dollar sign stand in that order, so that columns of money line up."""
    assert spell.dollars(usd).startswith("−$") == (usd < 0)


def test_an_instant_of_a_trace_is_a_date_or_a_numbered_day():
    """Two days and five hours in: the third day, or the date that this is."""
    at_s = 2 * 86_400 + 5 * 3_600 + 61.9
    assert spell.moment(at_s) == "day 3, 05:01:01"
    noon = dt.datetime(2026, 9, 30, 12, tzinfo=dt.UTC)
    assert spell.moment(at_s, noon) == "2026-10-02 17:01:01"
    assert spell.clock(86_400 + 59.9) == "00:00"


@pytest.mark.parametrize(
    ("label", "inside"),
    [
        ("Weight streamer", "weight streamer"),
        ("GPU memory snapshot (platform)", "GPU memory snapshot (platform)"),
        ("vLLM sleep level 1", "vLLM sleep level 1"),
        ("A warm pool", "a warm pool"),
        ("", ""),
    ],
)
def test_an_abbreviation_keeps_its_capitals_inside_a_sentence(label, inside):
    """The first letter of a phrase is small there, but for what is written in capitals."""
    assert spell.lower_first(label) == inside
