"""A real Streamlit server and a real Chromium; skipped, and said so, where there is none."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from weakref import WeakKeyDictionary

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Tabs of one visitor share a process, and in it the scripts of the framework as compiled.
    "--process-per-site",
]


@pytest.fixture(scope="session")
def app_url():
    """Start the app on a free port and give its address."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "streamlit",
            "run",
            "app.py",
            f"--server.port={port}",
            "--server.address=127.0.0.1",
        ],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONWARNINGS": "default"},
    )
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"{url}/_stcore/health", timeout=2) as answer:
                    if answer.read() == b"ok":
                        break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
        yield url
    finally:
        server.terminate()
        server.wait(timeout=20)


@pytest.fixture(scope="module")
def browser():
    """Give one headless Chromium for the tests of a file.

    It goes with the file: its driver keeps a loop of asyncio running in this thread, in which
    tests of other files could not run theirs.
    """
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=_FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def open_tab(browser):
    """Give a function that opens an empty tab of a visitor who has been there before.

    It holds nothing of earlier tabs but the scripts of the framework: a session is one tab's.
    """
    context = browser.new_context()

    def _tab(width: int, height: int, dark: bool):
        page = context.new_page()
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme="dark" if dark else "light")
        return page

    yield _tab
    context.close()


@pytest.fixture(scope="module")
def last_tabs():
    """Hold the tabs of the test before: they keep the scripts until the next has loaded."""
    return []


@pytest.fixture
def open_page(app_url, browser, open_tab, last_tabs):
    """Give a function that opens a path of the app and waits until its script has run.

    Pages are tabs of one visitor, but for a stranger's.
    """
    tabs, contexts = [], []

    def _open(
        path: str = "",
        *,
        width: int = 1280,
        height: int = 800,
        dark: bool = False,
        stranger: bool = False,
        line: SlowLine | None = None,
        until_done: bool = True,
    ):
        if stranger:
            contexts.append(browser.new_context())
            page = contexts[-1].new_page()
            page.set_viewport_size({"width": width, "height": height})
        else:
            page = open_tab(width, height, dark)
            tabs.append(page)
        _TALKS[page] = _Talk(page)
        if line is not None:
            line.lead_to(page)
        page.goto(f"{app_url}/{path}")
        while last_tabs:
            last_tabs.pop().close()
        if until_done:
            wait_until_done(page)
        return page

    yield _open
    last_tabs.extend(tabs)
    for context in contexts:
        context.close()


class _Talk:
    """What a page asked its server to run, and whether that run has come to its end."""

    def __init__(self, page):
        self.is_answered = True
        self._is_begun = True
        page.on("websocket", self._open)

    def _open(self, socket):
        socket.on("framesent", self._sent)
        socket.on("framereceived", self._received)

    def _sent(self, frame):
        if isinstance(frame, bytes):
            asked = BackMsg()
            asked.ParseFromString(frame)
            if asked.WhichOneof("type") == "rerun_script":
                self.is_answered = self._is_begun = False

    def _received(self, frame):
        if not isinstance(frame, bytes):
            return
        said = ForwardMsg()
        said.ParseFromString(frame)
        kind = said.WhichOneof("type")
        if kind == "new_session":
            self._is_begun, self.is_answered = True, False
        elif kind == "script_finished" and self._is_begun:
            self.is_answered = said.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN


_TALKS: WeakKeyDictionary = WeakKeyDictionary()


class SlowLine:
    """A line to the server on which answers can be held back: what is sent goes on at once."""

    def __init__(self):
        self._is_held = False
        self._held = []
        self._to_page = None

    def lead_to(self, page):
        """Be the line of this page; before it is opened."""
        page.route_web_socket("**/_stcore/stream", self._open)

    def _open(self, to_page):
        self._to_page = to_page
        to_page.connect_to_server().on_message(self._come)

    def _come(self, message):
        if self._is_held:
            self._held.append(message)
        else:
            self._to_page.send(message)

    def hold(self):
        """Hold back the answers from now on."""
        self._is_held = True

    def let_go(self):
        """Let them come, and all that follow."""
        self._is_held = False
        for message in self._held:
            self._to_page.send(message)
        self._held.clear()


def bring_into_view(locator) -> None:
    """Scroll to an element, and wait until the page knows that it was scrolled."""
    locator.scroll_into_view_if_needed()
    locator.evaluate(
        "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
    )


def wait_until_done(page, timeout_ms: int = 90_000) -> None:
    """Wait until the page is connected and its script is no longer running."""
    page.wait_for_selector(
        "[data-testid=stApp][data-test-connection-state=CONNECTED]", timeout=timeout_ms
    )
    # What was done a moment ago is on its way to the server.
    page.wait_for_timeout(300)
    until_s = time.monotonic() + timeout_ms / 1000
    talk = _TALKS.get(page)
    while talk is not None and not talk.is_answered and time.monotonic() < until_s:
        page.wait_for_timeout(20)
    page.wait_for_selector(
        "[data-testid=stApp][data-test-script-state=notRunning]", timeout=timeout_ms
    )


def wait_until_drawn(page, timeout_ms: int = 90_000) -> None:
    """Wait until the page stands still.

    Its script has run, nothing is a grey bar any more, every chart is drawn, and the document has
    not changed for a while.
    """
    page.wait_for_selector(
        "[data-testid=stApp][data-test-connection-state=CONNECTED]", timeout=timeout_ms
    )
    page.wait_for_function(
        """() => {
          window.changed ??= (() => {
            const changed = {at: performance.now()};
            new MutationObserver(() => { changed.at = performance.now(); }).observe(
              document.body,
              {subtree: true, childList: true, attributes: true, characterData: true});
            return changed;
          })();
          const shown = node => node.offsetParent !== null;
          return document.querySelector('[data-testid=stApp]').dataset.testScriptState
              === 'notRunning'
            && ![...document.querySelectorAll('[data-testid=stSkeleton]')].some(shown)
            && [...document.querySelectorAll('[data-testid=stPlotlyChart]')].filter(shown)
                 .every(chart => chart.querySelector('.main-svg'))
            && document.fonts.status === 'loaded'
            && performance.now() - window.changed.at > 300;
        }""",
        timeout=timeout_ms,
    )
