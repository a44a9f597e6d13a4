"""The app, run without a browser."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

APP = Path(__file__).resolve().parents[2] / "app.py"


@pytest.fixture(autouse=True, scope="session")
def _the_driver_costs_little():
    """Let Streamlit's test driver wait for a run, which it would ask for each millisecond.

    And let it look once through what is installed for components, not once for each app.
    """
    from streamlit.components.v2 import manifest_scanner
    from streamlit.testing.v1 import local_script_runner

    asks = local_script_runner.require_widgets_deltas

    def waits(runner, timeout=3):
        runner._script_thread.join(timeout)
        if not runner.script_stopped():
            asks(runner, 0)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(local_script_runner, "require_widgets_deltas", waits)
        patched.setattr(
            manifest_scanner,
            "scan_component_manifests",
            functools.cache(manifest_scanner.scan_component_manifests),
        )
        yield


@pytest.fixture(autouse=True)
def _few_replications(monkeypatch):
    """Draw traffic anew a few times only: how often is no matter of the pages."""
    from frontier.ranges import luck

    monkeypatch.setattr(luck, "_affordable", lambda runs, requests, tables: 19)


@pytest.fixture(autouse=True)
def _room(monkeypatch):
    """Let the process of the tests grow as large as it likes: many sessions live in it."""
    monkeypatch.setenv("FRONTIER_MEMORY_MB", "1000000")


@pytest.fixture(autouse=True)
def _mishaps_are_raised(monkeypatch):
    """Let an error that nobody foresaw fail a test, where a page would say it in a sentence."""
    from frontier.pages import mishap

    def raise_it(error, place):
        raise error

    monkeypatch.setattr(mishap, "unforeseen", raise_it)


@pytest.fixture
def open_app():
    """Give a function that opens a page of the app at an address and runs it once.

    The Frontier page opens on the plans of the offers in focus, unless a test asks for the market.
    """
    from streamlit.testing.v1 import AppTest

    def _open(page: str | None = None, **query: str) -> AppTest:
        app = AppTest.from_file(str(APP), default_timeout=90)
        for key, value in ({"view": "plans"} | query if page is None else query).items():
            app.query_params[key] = value
        if page is not None:
            app.switch_page(page)
        return app.run()

    return _open


@pytest.fixture
def tried(monkeypatch):
    """List the traces that plans are tried on, nothing being kept of the tests before.

    Sessions of a plan that was tried may be forgotten and made again: that is no new try.
    """
    import streamlit as st

    from frontier import memory, sweep

    st.cache_resource.clear()
    for store in tuple(memory._STORES):
        store.clear()
    digests = []
    original = sweep.outcome_of
    monkeypatch.setattr(
        sweep,
        "outcome_of",
        lambda plan, trace, *a, **k: digests.append(trace.digest) or original(plan, trace, *a, **k),
    )
    return digests
