"""The scenario bar in a real browser: chips, keyboard, phone, and the back button."""

from __future__ import annotations

import pytest

from .conftest import SlowLine, bring_into_view, wait_until_done

pytestmark = pytest.mark.browser

_CHIPS = ("traffic", "model", "gpu", "offers", "limit", "more", "link")


def _chip(page, name):
    return page.locator(f".st-key-chip_{name} button:visible").first


def _open(page, name):
    if _chip(page, name).get_attribute("aria-expanded") == "false":
        _chip(page, name).click()
    page.wait_for_selector("[data-testid=stPopoverBody]:visible")


def _set_limit(page, value: str) -> None:
    _open(page, "limit")
    page.get_by_label("p99 TTFT limit (s)", exact=True).fill(value)
    page.keyboard.press("Enter")
    wait_until_done(page)


def test_a_choice_is_made_in_place_and_its_chip_says_it(open_page):
    """The chip stays open while its value changes, Escape closes it, the address has the choice."""
    page = open_page("method")
    _set_limit(page, "5")
    assert page.get_by_label("p99 TTFT limit (s)", exact=True).is_visible()
    assert "● p99 ≤ 5 s" in _chip(page, "limit").inner_text()
    assert "limit=5" in page.url
    page.keyboard.press("Escape")
    page.wait_for_selector("[data-testid=stPopoverBody]", state="hidden")


def test_the_back_button_steps_through_choices_and_pages(open_page):
    """Two choices and a page: three steps back, each with its view; the next press leaves."""
    page = open_page("method")
    began = page.evaluate("history.length")
    _set_limit(page, "5")
    _set_limit(page, "7")
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Traffic").first.click()
    wait_until_done(page)
    assert "/traffic?" in page.url
    assert page.evaluate("history.length") == began + 3
    for words, path in (("7 s", "/method"), ("5 s", "/method"), ("2 s", "/method")):
        page.go_back()
        wait_until_done(page)
        assert words in _chip(page, "limit").inner_text()
        assert path in page.url
    page.go_forward()
    wait_until_done(page)
    assert "5 s" in _chip(page, "limit").inner_text()
    assert page.evaluate("history.length") == began + 3


def test_a_plan_once_chosen_is_chosen_on_every_page(open_page):
    """A plan of a link holds on the next page and on the way back, in the field and the address."""
    page = open_page("?view=plans&plan=dedicated-2")
    page.wait_for_selector(".st-key-frontier_chart .scatterlayer", timeout=60_000)
    for move in (
        lambda: page.get_by_role("link", name="Tail").first.click(),
        lambda: page.get_by_role("link", name="Method").first.click(),
        page.go_back,
        page.go_back,
    ):
        move()
        wait_until_done(page)
        assert "plan=dedicated-2" in page.url
    assert "Dedicated × 2" in page.locator(".st-key-plan input:visible").first.input_value()


def test_the_bar_works_with_the_keyboard_alone(open_page):
    """Enter opens a chip and the focus goes in; a typed value counts; Escape goes back out."""
    page = open_page("method")
    page.wait_for_selector("body[data-bar-keys=on]", state="attached", timeout=60_000)
    _chip(page, "limit").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-testid=stPopoverBody]:visible")
    page.wait_for_function(
        "document.activeElement.closest('[data-testid=stPopoverBody]') !== null", timeout=5000
    )
    assert _focused(page) == "p99 TTFT limit (s)"
    page.keyboard.press("Control+A")
    page.keyboard.type("9")
    page.keyboard.press("Enter")
    wait_until_done(page)
    assert "9 s" in _chip(page, "limit").inner_text()
    page.keyboard.press("Escape")
    page.wait_for_selector("[data-testid=stPopoverBody]", state="hidden")
    assert page.evaluate("document.activeElement.innerText").find("9 s") >= 0
    within = "document.activeElement.closest('[data-testid=stPopoverBody]') !== null"
    # What a closed section hides is no field: behind the section the focus is back at the chip.
    _chip(page, "traffic").focus()
    page.keyboard.press("Enter")
    page.wait_for_function(within, timeout=5000)
    for _ in range(20):
        page.keyboard.press("Tab")
        if not page.evaluate(within):
            break
    assert page.evaluate("document.activeElement.dataset.testid") == "stPopoverButton"


def test_what_draws_charts_is_fetched_before_there_is_one(open_page):
    """The browser has the script of the charts while the server still computes the first."""
    page = open_page("sources?data_tab=Tables")
    assert not page.locator("[data-testid=stPlotlyChart]").count()
    page.wait_for_function(
        "performance.getEntriesByType('resource').some(one => one.name.includes('/PlotlyChart.'))",
        timeout=20_000,
    )


def _focused(page):
    return page.evaluate("document.activeElement.getAttribute('aria-label')")


def test_the_link_is_copied(open_page):
    """One click in its chip writes the address of the moment to the clipboard."""
    page = open_page("method")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    _set_limit(page, "5")
    page.keyboard.press("Escape")
    _open(page, "link")
    page.get_by_role("button", name="Copy link").click()
    page.wait_for_timeout(500)
    assert page.evaluate("navigator.clipboard.readText()") == page.url
    assert "limit=5" in page.url


def test_the_bar_takes_two_rows_of_a_desk(open_page):
    """At 1280 pixels the whole bar is at most 90 high."""
    page = open_page("method")
    assert page.locator(".st-key-scenario_bar").first.bounding_box()["height"] <= 90


def test_a_page_can_be_turned_to_straight_from_a_chip(open_page):
    """What a chip is is said over the list of pages, and lets the pointer through to them."""
    page = open_page("method")
    box = _chip(page, "traffic").bounding_box()
    middle = box["x"] + box["width"] / 2
    page.mouse.move(middle, box["y"] + box["height"] / 2)
    tip = page.locator("[role=tooltip]:visible")
    tip.wait_for(timeout=20_000)
    over = tip.bounding_box()
    height = over["y"] + over["height"] / 2
    page.mouse.move(middle, height, steps=10)
    hit = "([x, y]) => document.elementFromPoint(x, y).closest('[role=tooltip]')"
    assert page.evaluate(hit, [middle, height]) is None


@pytest.mark.parametrize("dark", [False, True])
def test_every_chip_opens_on_a_phone(open_page, dark):
    """At 400 pixels chips can be touched, show their whole label, and open within the screen."""
    page = open_page("method", width=400, dark=dark)
    for name in _CHIPS:
        chip = _chip(page, name)
        assert chip.bounding_box()["height"] >= 40, name
        clipped = chip.evaluate(
            "node => [...node.querySelectorAll('*')].some("
            "part => part.scrollWidth > part.clientWidth + 1 && part.clientWidth > 0"
            " && getComputedStyle(part).overflowX !== 'visible')"
        )
        assert not clipped, name
        _open(page, name)
        box = page.locator("[data-testid=stPopoverBody]:visible").bounding_box()
        assert box["x"] >= 0, name
        assert box["x"] + box["width"] <= 400, name
        page.keyboard.press("Escape")
        page.wait_for_selector("[data-testid=stPopoverBody]", state="hidden")
    overflow = page.evaluate(
        "() => document.querySelector('[data-testid=stMain]').scrollWidth - "
        "document.querySelector('[data-testid=stMain]').clientWidth"
    )
    assert overflow <= 0


def test_a_list_stays_open_while_results_arrive(open_page):
    """What stands on the page is not built anew when the ranges come, with a list open in it."""
    line = SlowLine()
    page = open_page("?view=plans&seed=7", line=line, until_done=False)
    field = page.locator(".st-key-plan input:visible").first
    field.wait_for(timeout=60_000)
    line.hold()
    bring_into_view(field)
    field.click()
    page.get_by_role("option").first.wait_for(timeout=20_000)
    line.let_go()
    # The ranges are the last to arrive.
    page.get_by_text("Range by luck").first.wait_for(timeout=60_000)
    wait_until_done(page)
    assert page.get_by_role("option").first.is_visible()


def test_a_tab_and_a_plan_are_drawn_anew_alone_and_stand_in_the_link(open_page):
    """A tab, then a plan: both are in the address, and the bar was not drawn anew for them."""
    page = open_page("?view=plans")
    page.wait_for_selector(".st-key-frontier_chart .scatterlayer", timeout=60_000)
    wait_until_done(page)
    page.get_by_role("tab", name="All plans").click()
    page.wait_for_function("location.search.includes('detail=All+plans')", timeout=20_000)
    wait_until_done(page)
    # A list closes when the page is scrolled, and so with the scrolling that brings it here.
    field = page.locator(".st-key-plan input:visible").first
    bring_into_view(field)
    field.fill("Dedicated × 2")
    # People choose from the list that they see.
    page.get_by_role("option", name="Dedicated × 2").first.wait_for(timeout=20_000)
    page.keyboard.press("Enter")
    page.wait_for_function("location.search.includes('plan=dedicated-2')", timeout=20_000)
    wait_until_done(page)
    assert "detail=All+plans" in page.url
    page.go_back()
    wait_until_done(page)
    assert "plan=" not in page.url
    assert "detail=All+plans" in page.url
    page.go_back()
    wait_until_done(page)
    tab = page.get_by_role("tab", name="This plan")
    assert tab.get_attribute("aria-selected") == "true"


def test_an_offer_outlives_what_is_typed_before_its_list_is_drawn_anew(open_page):
    """The list of offers names them by price: what the browser still calls them is understood."""
    line = SlowLine()
    page = open_page("method?gpu=L40S&serverless=hf-l40s", line=line)
    _open(page, "offers")
    prices = page.get_by_label("Price ($/GPU-hour)", exact=True)
    line.hold()
    prices.nth(0).fill("1.7")
    page.keyboard.press("Enter")
    page.wait_for_timeout(1500)
    prices.nth(1).fill("0.9")
    page.keyboard.press("Enter")
    page.wait_for_timeout(1500)
    line.let_go()
    wait_until_done(page)
    assert "serverless=hf-l40s" in page.url
    assert "price.hf-l40s=1.7" in page.url
