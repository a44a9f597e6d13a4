"""Where less than a day was seen: an hour in sentences, and the month that charts show of it."""

from __future__ import annotations

import math

import pytest

from frontier.hourly import against_month

DAY_S = 86_400.0


def test_an_hour_is_said_in_terms_of_the_month_beside_it():
    """$1.50 an hour stands beside a bar of $1,095: 730 hours of it, which the sentence says."""
    said = against_month(13.0, 730.0, 1095.0, of="one always-on L40S")
    assert said == (
        "Only 13 s of traffic was seen, so sentences say an hour; charts and tables say a month of "
        "730 such hours, $1,095 for one always-on L40S. A true month takes a week of traffic, with "
        "its nights and its weekend."
    )


def test_of_a_day_nothing_is_said():
    """From a day on sentences say a month, as charts do."""
    assert against_month(DAY_S, 730.0, 1095.0, of="x") == ""
    assert against_month(DAY_S - 1.0, 730.0) != ""


@pytest.mark.parametrize(
    ("waits_s", "is_said"),
    [((0.5,), False), ((0.5, 42.9), True), ((13.0,), False), ((math.inf,), False)],
)
def test_waits_longer_than_the_traffic_end_after_its_bill(waits_s, is_said):
    """A start of 43 s outlasts 13 s of traffic: what is billed after that is in no figure."""
    assert ("served after the bill ends" in against_month(13.0, 730.0, waits_s=waits_s)) == is_said
