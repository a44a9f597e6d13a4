"""What holds for every file of tests."""

from __future__ import annotations

import sys

import pytest


@pytest.fixture(autouse=True, scope="module")
def the_main_module_stays():
    """Put back what Python takes for the program that runs.

    Streamlit's test driver puts the app in its place, and whoever then starts a process (the
    workers of a Dask cluster) would run the app in it.
    """
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main
