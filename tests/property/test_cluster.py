"""A cluster does what threads do: to the bit, with a worker killed, and refuses in words."""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
import pickle
import signal
import subprocess
import sys

import numpy as np
import pytest

from frontier.cli_market import Kept
from frontier.cluster import Cluster
from frontier.crew import THREADS
from frontier.errors import InputError
from frontier.market import Wanted, market, market_table
from frontier.plans.grid import default_grid
from frontier.plans.scenario import deploy
from frontier.sweep import bill_outcome, simulate_plans
from frontier.trace import generate_trace
from tests.example import EXAMPLE, SCENARIO, TABLES

distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def trace():
    return generate_trace(EXAMPLE.preset, seed=EXAMPLE.seed, days=2)


@pytest.fixture(scope="module")
def plans(trace):
    return default_grid(deploy(SCENARIO, trace, TABLES), trace, TABLES)


@pytest.fixture(scope="module")
def cluster():
    """Three worker processes of one thread each, with a scheduler that is not shown."""
    with distributed.LocalCluster(
        n_workers=3, threads_per_worker=1, processes=True, dashboard_address=None
    ) as local:
        yield local


def same(one, other):
    """Whether two outcomes are equal to the bit."""
    assert one.plan is other.plan
    assert one.sessions.tobytes() == other.sessions.tobytes()
    assert bill_outcome(one, TABLES) == bill_outcome(other, TABLES)
    for field in dataclasses.fields(one):
        if field.name == "held":
            continue
        mine, its = getattr(one, field.name), getattr(other, field.name)
        if isinstance(mine, np.ndarray):
            assert mine.tobytes() == its.tobytes(), field.name
        else:
            assert pickle.dumps(mine) == pickle.dumps(its), field.name


def test_a_cluster_returns_what_threads_do_to_the_bit(cluster, trace, plans):
    """Every array of every outcome, in the order of the plans."""
    here = simulate_plans(plans, trace, TABLES)
    told = []
    there = simulate_plans(
        plans,
        trace,
        TABLES,
        crew=Cluster(cluster.scheduler_address),
        progress=lambda done, of: told.append((done, of)),
    )
    for one, other in zip(here, there, strict=True):
        same(one, other)
    assert told[-1] == (len(plans), len(plans))


def test_the_runs_of_a_killed_worker_run_again(cluster, trace, plans):
    """A worker dies in the middle: nothing is missing, and nothing differs."""
    victim = next(iter(cluster.workers.values())).pid
    killed = []

    def progress(done, of):
        if done >= of // 4 and not killed:
            os.kill(victim, signal.SIGKILL)
            killed.append(done)

    there = simulate_plans(
        plans, trace, TABLES, crew=Cluster(cluster.scheduler_address), progress=progress
    )
    assert killed
    for one, other in zip(simulate_plans(plans, trace, TABLES), there, strict=True):
        same(one, other)


def test_the_market_is_the_same_on_a_cluster(cluster, trace):
    """Offers, plans, waits and bills of a market that was simulated elsewhere."""

    def found(crew):
        return market_table(
            market(
                SCENARIO,
                trace,
                TABLES,
                limit_s=2.0,
                kept=Kept(),
                today=dt.date(2026, 11, 26),
                wanted=Wanted(providers=("Modal", "Crusoe")),
                crew=crew,
            )
        )

    assert found(Cluster(cluster.scheduler_address)).equals(found(THREADS))


def test_who_stops_listening_stops_the_sweep(cluster, trace, plans):
    """What progress raises leaves, and the cluster takes the next sweep."""

    class Stop(Exception):
        pass

    def progress(done, of):
        raise Stop

    crew = Cluster(cluster.scheduler_address)
    with pytest.raises(Stop):
        simulate_plans(plans, trace, TABLES, crew=crew, progress=progress)
    assert len(simulate_plans(plans[:2], trace, TABLES, crew=crew)) == 2


@pytest.mark.parametrize(
    ("address", "words"),
    [("host:8786", "tcp://host:8786"), ("tcp://127.0.0.1:1", "No scheduler answers")],
)
def test_an_address_without_a_scheduler_is_refused(address, words, trace, plans, monkeypatch):
    """What is no address, and where nobody answers."""
    monkeypatch.setattr("frontier.cluster._WAIT_FOR_WORKERS_S", 1.0)
    with pytest.raises(InputError, match=words):
        simulate_plans(plans[:1], trace, TABLES, crew=Cluster(address))


def test_nobody_imports_dask_who_names_no_scheduler():
    """The command line and the pages do without it."""
    code = (
        "import sys, frontier.cli, frontier.pages.shell\n"
        "sys.exit(any(name.split('.')[0] in ('dask', 'distributed') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
