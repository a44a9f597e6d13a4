"""Every page at both widths, in both themes: sound, accessible, alone, and as it looked before."""

from __future__ import annotations

import os

import pytest
from PIL import Image, ImageOps

from frontier.pages import shell

from . import pictures
from .conftest import wait_until_drawn

pytestmark = pytest.mark.browser

_HEIGHT_PX = {1280: 900, 400: 800}
# Streamlit's own dropzone and navigation, which we cannot change.
_NOT_OURS = {"presentation-role-conflict"}
_RENEW = os.environ.get("RENEW_PICTURES") == "1"


@pytest.mark.parametrize("path", [path for *_, path in shell.PAGES])
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1280, 400])
def test_a_page_is_sound(app_url, visit, tmp_path_factory, path, width, dark):
    """No error, no fault that hinders a reader, no request to others, and the stored picture.

    Neither is anything wider than the page.
    """
    page, thrown, strangers = visit(path, width, dark)
    wrong = {
        "errors": page.locator("[data-testid=stException]").all_inner_texts() + thrown,
        "wider than the page by, in pixels": page.evaluate(
            "() => { const main = document.querySelector('[data-testid=stMain]');"
            " return Math.max(main.scrollWidth - main.clientWidth, 0); }"
        ),
        "requests to others": [url for url in strangers if not url.startswith(app_url)],
        "axe": _serious(page) if dark == (width < 1000) else {},
        "picture": pictures.held(
            f"{path or 'home'}-{width}-{'dark' if dark else 'light'}",
            _whole(page, width),
            tmp_path_factory.getbasetemp() / "pictures",
            renew=_RENEW,
        ),
    }
    assert not {what: found for what, found in wrong.items() if found}


def _serious(page) -> dict[str, list[str]]:
    """Return what axe finds serious or critical; asked of each width and theme once a page."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    return {
        fault["id"]: [node["html"][:160] for node in fault["nodes"]]
        for fault in axe.Axe().run(page).response["violations"]
        if fault["impact"] in ("serious", "critical") and fault["id"] not in _NOT_OURS
    }


@pytest.fixture(scope="module")
def visit(app_url, open_tab):
    """Give a function that goes to a page and tells what was thrown and asked of others there.

    A wide and light page is loaded by its address, the others are reached as most visitors reach
    them: by the links of the first page.
    """
    pages = {}

    def _visit(path: str, width: int, dark: bool):
        page = pages.get((width, dark))
        if page is None or (width > 1000 and not dark):
            before, page = page, open_tab(width, _HEIGHT_PX[width], dark)
            page.emulate_media(reduced_motion="reduce")
            pages[width, dark] = page
            heard = _listen(page)
            page.goto(f"{app_url}/{path}")
            if before is not None:
                before.close()
        else:
            heard = _listen(page)
            page.set_viewport_size({"width": width, "height": _HEIGHT_PX[width]})
            _follow(page, path)
        wait_until_drawn(page)
        return page, *heard

    return _visit


def _listen(page) -> tuple[list[str], list[str]]:
    """Return lists of errors thrown on the page, and of what it asks for, from here on."""
    thrown, asked = [], []
    page.on("pageerror", lambda error: thrown.append(str(error)))
    page.on(
        "request",
        lambda request: (
            None if request.url.startswith(("data:", "blob:")) else asked.append(request.url)
        ),
    )
    return thrown, asked


def _follow(page, path: str) -> None:
    """Go to a page by its link; a phone keeps the links behind a button."""
    behind = page.locator("[data-testid=stExpandSidebarButton]:visible")
    if on_a_phone := behind.count() > 0:
        behind.click()
    page.locator(f"[data-testid$=NavLink][href$='/{path}']").first.click()
    # The address follows once the page's run has begun; until then the one before stands still.
    page.wait_for_function("path => location.pathname === path", arg=f"/{path}", timeout=60_000)
    if on_a_phone:
        page.locator("[data-testid=stSidebarCollapseButton] button").click()
        behind.wait_for()
    page.mouse.move(0, 0)


def _whole(page, width: int) -> bytes:
    """Take the page in its whole height, after it has settled at that height."""
    tall = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
    page.set_viewport_size({"width": width, "height": min(tall, 12_000)})
    wait_until_drawn(page)
    return page.screenshot(animations="disabled", caret="hide")


@pytest.fixture(scope="module")
def stored():
    """Give the stored picture of the first page."""
    return Image.open(pictures.FOLDER / "home-1280-light.png").convert("L")


def test_a_picture_is_alike_when_a_sentence_moves_all_beneath_it(stored):
    """Ten cells of plain paper above (80 pixels) change nothing that counts."""
    paper = Image.new("L", (stored.width, stored.height + 10), 255)
    paper.paste(stored.crop((0, 0, stored.width, 20)), (0, 0))
    paper.paste(stored.crop((0, 20, stored.width, stored.height)), (0, 30))
    assert pictures.share_alike(stored, paper) > 0.95


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(lambda image: image.crop((0, 0, *_half(image))), id="half of it is missing"),
        pytest.param(ImageOps.invert, id="the other theme"),
        pytest.param(lambda image: _moved(image, 12), id="all stands 96 pixels to the right"),
        pytest.param(lambda image: _without_chart(image), id="the chart is not drawn"),
    ],
)
def test_a_broken_layout_is_noticed(stored, broken):
    """Each way of breaking the first page falls under the tolerance that pages are held to."""
    assert pictures.share_alike(stored, broken(stored)) < pictures.SHARE_ALIKE


def _half(image):
    return image.width, image.height // 2


def _moved(image, cells):
    moved = Image.new("L", image.size, 255)
    moved.paste(image, (cells, 0))
    return moved


def _without_chart(image):
    bare = image.copy()
    bare.paste(255, (0, 28, image.width, 85))
    return bare
