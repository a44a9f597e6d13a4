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

import pytest

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


@pytest.fixture
def open_page(app_url, browser):
    """Give a function that opens a path of the app and waits until its script has run."""
    contexts = []

    def _open(path: str = "", *, width: int = 1280, height: int = 800, dark: bool = False):
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
        )
        contexts.append(context)
        page = context.new_page()
        page.goto(f"{app_url}/{path}")
        wait_until_done(page)
        return page

    yield _open
    for context in contexts:
        context.close()


def wait_until_done(page, timeout_ms: int = 90_000) -> None:
    """Wait until the page is connected and its script is no longer running."""
    page.wait_for_selector(
        "[data-testid=stApp][data-test-connection-state=CONNECTED]", timeout=timeout_ms
    )
    page.wait_for_timeout(300)
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
