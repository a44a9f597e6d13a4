"""The chart of autoscalers: what is alike is one point, and the limit has its place or none."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from frontier.charts.autoscalers_chart import (
    autoscalers_chart_figure,
    autoscalers_chart_table,
    is_near,
)

TRIED = pd.DataFrame(
    {
        "label": ["Slow", "Instant", "Alike", "Refuses"],
        "is_own": [False, False, True, False],
        "p99_ttft_s": [120.0, 100.0, 100.2, math.inf],
        "usd_per_month": [400.0, 500.0, 500.9, 300.0],
    }
)


def test_what_is_alike_is_one_point_and_an_endless_wait_is_none():
    """Two within half a per cent share a number; the one in force marks it; no infinite p99."""
    table = autoscalers_chart_table(TRIED)
    assert table["number"].tolist() == [1, 2]
    assert table["labels"].tolist() == ["Instant, Alike", "Slow"]
    assert table["is_own"].tolist() == [True, False]


@pytest.mark.parametrize(("limit_s", "near"), [(2.0, False), (30.0, True), (700.0, False)])
def test_a_limit_far_from_all_points_is_not_drawn(limit_s, near):
    """It would press them together: within five times of a point it is a line."""
    table = autoscalers_chart_table(TRIED)
    assert is_near(table, limit_s) is near
    figure = autoscalers_chart_figure(table, slo_p99_ttft_s=limit_s)
    assert bool(figure.layout.shapes) is near
    low, high = (10**end for end in figure.layout.yaxis.range)
    assert low < 100 < 120 < high
    assert len(figure.layout.yaxis.tickvals) >= 3
