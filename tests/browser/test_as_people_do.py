"""What a person does with a file, a link, the keyboard and the downloads, in a real browser."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

from .conftest import wait_until_done, wait_until_drawn

pytestmark = pytest.mark.browser

_CHIP = ".st-key-chip_traffic button:visible"


def _own_trace() -> bytes:
    """Return 4,321 requests in ten days: a table of times and token counts."""
    rng = np.random.default_rng(7)
    at_s = np.sort(rng.uniform(0.0, 864_000.0, 4_321))
    sizes = rng.integers(50, 900, at_s.size)
    rows = (f"{at:.3f},{tokens},60" for at, tokens in zip(at_s, sizes, strict=True))
    return ("arrival_s,input_tokens,output_tokens\n" + "\n".join(rows) + "\n").encode()


def _give(page, name: str, data: bytes) -> None:
    """Open the chip of the traffic and hand it a file as a person does."""
    page.locator(_CHIP).first.click()
    page.wait_for_selector("[data-testid=stPopoverBody]:visible")
    field = page.locator("[data-testid=stPopoverBody] input[type=file]").first
    field.wait_for(state="attached", timeout=60_000)
    field.set_input_files({"name": name, "mimeType": "text/csv", "buffer": data})


def test_ones_own_file_is_the_traffic_of_every_page(open_page):
    """Its requests are counted in the chip and on the pages; the file is not in the address."""
    page = open_page("traffic?traffic=upload")
    _give(page, "mine.csv", _own_trace())
    page.wait_for_function(
        "[...document.querySelectorAll('.st-key-chip_traffic button')]"
        ".some(chip => chip.innerText.includes('mine.csv'))",
        timeout=60_000,
    )
    page.get_by_text("4,321 requests over 9.99 days").first.wait_for(
        state="attached", timeout=60_000
    )
    page.keyboard.press("Escape")
    wait_until_drawn(page)
    assert "433 requests a day" in page.get_by_role("heading").first.inner_text()
    page.get_by_role("link", name="Tail").first.click()
    page.wait_for_url(lambda url: "/tail" in url)
    wait_until_drawn(page)
    assert "1 % of requests (44)" in page.get_by_role("heading").first.inner_text()
    assert "mine" not in page.url


@pytest.mark.parametrize(
    ("name", "data"),
    [
        pytest.param("noise.csv", bytes(range(256)) * 40, id="no table"),
        pytest.param("colours.csv", b"colour,taste\nred,sour\nblue,sweet\n", id="no times"),
        pytest.param("half.parquet", b"PAR1" + bytes(300), id="half a download"),
    ],
)
def test_a_bad_file_is_answered_in_a_sentence(open_page, name, data):
    """One sentence in red, no traceback, and the page goes on with the next choice."""
    page = open_page("traffic?traffic=upload")
    _give(page, name, data)
    page.wait_for_selector("[data-testid=stAlertContentError]", timeout=60_000)
    said = page.locator("[data-testid=stAlertContentError]:visible").first.inner_text()
    assert len(said) > 30
    assert not page.locator("[data-testid=stException]").count()
    assert "Traceback" not in page.content()
    page.keyboard.press("Escape")
    page.goto(page.url.replace("traffic=upload", "traffic=internal-rag"))
    wait_until_drawn(page)
    assert "requests a day" in page.get_by_role("heading").first.inner_text()


def test_a_link_says_the_same_to_somebody_else(open_page):
    """The address of one visitor, opened by another: the same limit, plan and headline."""
    mine = open_page("?view=plans&limit=60&plan=dedicated-1")
    wait_until_drawn(mine)
    headline = mine.get_by_role("heading").first.inner_text()
    path = mine.url.partition("/?")[2] and "?" + mine.url.partition("/?")[2]
    theirs = open_page(path, stranger=True)
    wait_until_drawn(theirs)
    assert theirs.get_by_role("heading").first.inner_text() == headline
    assert "p99 ≤ 60 s" in theirs.locator(".st-key-chip_limit button").first.inner_text()
    assert "Dedicated × 1" in theirs.locator(".st-key-plan input:visible").first.input_value()


def test_what_is_taken_away_opens(open_page):
    """Each file of the tab downloads under its name, and is what that name says."""
    page = open_page("?view=plans&detail=Take+away")
    wait_until_drawn(page)
    buttons = page.locator("[data-testid=stDownloadButton] button:visible")
    assert buttons.count() >= 4
    kinds = set()
    for index in range(buttons.count()):
        with page.expect_download(timeout=60_000) as coming:
            buttons.nth(index).click()
        name = coming.value.suggested_filename
        data = coming.value.path().read_bytes()
        kind = name.rpartition(".")[2]
        kinds.add(kind)
        assert data, name
        if kind == "xlsx":
            assert "xl/workbook.xml" in zipfile.ZipFile(io.BytesIO(data)).namelist()
        elif kind == "html":
            assert data.lstrip().lower().startswith(b"<!doctype html"), name
        else:
            assert data.decode("utf-8").strip(), name
        wait_until_done(page)
    assert {"xlsx", "html", "csv"} <= kinds


def test_the_points_of_the_chart_are_reached_by_keys(open_page):
    """The list beside the chart holds every plan: typing and Enter choose one and open its card."""
    page = open_page("?view=plans")
    wait_until_drawn(page)
    field = page.locator(".st-key-plan input:visible").first
    pressed = 0
    while not field.evaluate("node => node === document.activeElement"):
        page.keyboard.press("Tab")
        pressed += 1
        assert pressed < 40, "not reached by the Tab key"
    before = page.locator(".st-key-plan_card").inner_text()
    page.keyboard.press("Control+A")
    page.keyboard.type("Dedicated × 2")
    page.keyboard.press("Enter")
    page.wait_for_function(
        "before => document.querySelector('.st-key-plan_card').innerText !== before",
        arg=before,
        timeout=30_000,
    )
    page.wait_for_url(lambda url: "plan=dedicated-2" in url, timeout=20_000)
