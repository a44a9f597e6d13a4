"""The Data page in a real browser: a price typed as fast as keys can come is the price in force."""

from __future__ import annotations

import pytest

from .conftest import SlowLine, bring_into_view, wait_until_done

pytestmark = pytest.mark.browser

_FIELD = "Price ($/GPU-hour)"


def _open(open_page, **how):
    page = open_page("sources", stranger=True, **how)
    page.get_by_role("tabpanel").get_by_role("spinbutton", name=_FIELD).wait_for(timeout=60_000)
    return page


def _field(page):
    return page.get_by_role("tabpanel").get_by_role("spinbutton", name=_FIELD)


def _in_force(page, text):
    """Wait until the address holds this price, and return what the field shows."""
    page.wait_for_url(lambda url: f"price.modal-l40s={text}" in url, timeout=20_000)
    wait_until_done(page)
    return _field(page).input_value()


@pytest.mark.parametrize("delay_ms", [0, 60])
def test_a_price_typed_quickly_is_that_price(open_page, delay_ms):
    """No key is lost, whether Enter ends it or a click elsewhere; nor in the next price."""
    page = _open(open_page)
    for text, end in (("1.37", "Enter"), ("2.48", "Tab"), ("1.05", "Enter")):
        _field(page).click()
        page.keyboard.press("Control+A")
        page.keyboard.type(text, delay=delay_ms)
        page.keyboard.press(end)
        assert _in_force(page, text) == text


def test_a_price_typed_while_the_page_still_answers_the_last_one_is_not_overwritten(open_page):
    """Two prices one after the other without a pause: the second is in force, of this offer.

    The answers are held back until both are typed, as on a slow line: the first price sorts the
    table anew, and what the browser sends with the second is of the table before.
    """
    line = SlowLine()
    page = _open(open_page, line=line)
    _field(page).click()
    line.hold()
    for text in ("1.37", "2.48"):
        page.keyboard.press("Control+A")
        page.keyboard.type(text)
        page.keyboard.press("Enter")
        page.wait_for_timeout(300)
    line.let_go()
    assert _in_force(page, "2.48") == "2.48"
    assert "data_offer" not in page.url


def test_a_row_of_the_table_is_chosen_by_any_of_its_cells(open_page):
    """A click on a product opens that offer beside the table, with its price in the field."""
    page = open_page("sources?data_gpus=L40S&data_kinds=serverless", stranger=True)
    _field(page).wait_for(timeout=60_000)
    table = page.locator("[class*=st-key-offer_rows] canvas").first
    table.wait_for(timeout=60_000)
    page.wait_for_timeout(1000)
    bring_into_view(table)
    # The grid is one picture: a click goes to a place, not to a cell.
    box = table.bounding_box()
    page.mouse.click(box["x"] + 100, box["y"] + 52)
    page.wait_for_url(lambda url: "data_offer=koyeb-l40s" in url, timeout=20_000)
    wait_until_done(page)
    assert _field(page).input_value() == "1.2"
