"""What holds for every file of tests."""

from __future__ import annotations

import sys

import pytest
from hypothesis import HealthCheck, settings

# What takes long begins first, so that no process ends long after the other.
_IN_TURN = ("browser", "app", "property", "tests", "oracle", "docs", "data")


# No law here is about time: on a busy machine one that holds would fail.
settings.register_profile("frontier", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("frontier")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Give each file to one process, and all that a browser sees to one: it keeps one server."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            path = nodeid.partition("::")[0]
            return path.rpartition("/")[0] if "/browser/" in path else path

    # Else files of few tests, the slowest of all among them, would be the last.
    config.option.loadscopereorder = False
    return Scheduling(config, log)


def pytest_collection_modifyitems(items):
    """Put files of tests in the order of their folders' time."""
    turns = {folder: turn for turn, folder in enumerate(_IN_TURN)}
    items.sort(key=lambda item: turns.get(item.path.parent.name, len(turns)))


@pytest.fixture(autouse=True, scope="module")
def the_main_module_stays():
    """Put back what Python takes for the program that runs.

    Streamlit's test driver puts the app in its place, and whoever then starts a process (the
    workers of a Dask cluster) would run the app in it.
    """
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main
