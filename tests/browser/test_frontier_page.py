"""The Frontier page in a real browser: chart, click, plan."""

from __future__ import annotations

import pytest

from .conftest import wait_until_done

pytestmark = pytest.mark.browser


def test_a_click_on_a_point_opens_its_plan(open_page):
    """The chart is drawn; clicking its cheapest point opens that plan beside it, and the link."""
    page = open_page("?view=plans")
    page.wait_for_selector(".st-key-frontier_chart .scatterlayer .points path", timeout=60_000)
    # Ranges come after the first answer and move what is beneath it.
    wait_until_done(page)
    assert "a month." in page.get_by_role("heading").first.inner_text()
    before = page.locator(".st-key-plan_card").inner_text()
    points = page.locator(".st-key-frontier_chart .scatterlayer .points path")
    boxes = [points.nth(index).bounding_box() for index in range(points.count())]
    box = min(boxes, key=lambda box: box["x"])
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_function(
        "before => document.querySelector('.st-key-plan_card').innerText !== before",
        arg=before,
        timeout=20_000,
    )
    wait_until_done(page)
    card = page.locator(".st-key-plan_card").inner_text()
    assert "keep-alive" in card
    assert "A start takes about" in card
    assert "plan=zero" in page.url


@pytest.mark.parametrize(
    ("path", "chart"),
    [("", ".st-key-market_chart"), ("?view=plans", ".st-key-frontier_chart")],
)
def test_the_answer_stands_on_the_first_screen(open_page, path, chart):
    """At 1280 × 800, before any scrolling: the headline and the upper part of the chart."""
    page = open_page(path)
    page.wait_for_selector(f"{chart} .scatterlayer", timeout=60_000)
    for locator, least in ((page.get_by_role("heading").first, 20), (page.locator(chart), 150)):
        box = locator.bounding_box()
        assert box["y"] + least <= 800


def test_a_click_on_the_market_takes_an_offer_into_focus(open_page):
    """Clicking the cheapest bar shows the plans of that offer, and the link says so."""
    page = open_page()
    bars = ".st-key-market_chart_bars .barlayer .point"
    page.wait_for_selector(bars, timeout=60_000)
    wait_until_done(page)
    box = page.locator(bars).nth(1).bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_selector(".st-key-frontier_chart .scatterlayer", timeout=60_000)
    page.wait_for_function("location.search.includes('view=plans')", timeout=20_000)
