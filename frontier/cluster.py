"""A crew of other machines: the same work as `crew.Threads`, on a Dask cluster.

What all items share is sent to the workers once, items and results travel one by one, and results
come back in the order of the items: they are those of threads to the bit. Of a worker that is lost
the tasks run again elsewhere, and what is shared is sent again if it was lost with it. Tables never
travel. Dask is imported by who asks for a cluster and by nobody else; requirements-cluster.txt has
what it takes.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

import frontier
from frontier.answers import ANSWERS, TICK_S
from frontier.crew import THREADS, Crew, Found, Item, Progress, Shared, Work
from frontier.errors import FrontierError, InputError

if TYPE_CHECKING:
    from distributed import Client

_PROTOCOLS = ("tcp://", "tls://", "ws://", "wss://", "inproc://")
# Workers may be on their way when a sweep begins; none after so long is an answer.
_WAIT_FOR_WORKERS_S = 30.0
# How often all that is shared may be lost with its workers before the sweep gives up.
_MOST_LOSSES = 3


@dataclass(frozen=True, slots=True)
class Cluster:
    """The workers of a Dask scheduler.

    Attributes
    ----------
    address : str
        Of the scheduler: "tcp://host:8786".
    """

    address: str

    def __post_init__(self) -> None:
        if not self.address.startswith(_PROTOCOLS):
            raise InputError(
                "A scheduler has an address like tcp://host:8786 "
                f"({', '.join(_PROTOCOLS)}), got '{self.address}'."
            )

    def run(
        self,
        work: Work[Shared, Item, Found],
        shared: Shared,
        items: Sequence[Item],
        *,
        progress: Progress | None = None,
    ) -> list[Found]:
        """Return what the work makes of each item; see `crew.Crew`.

        Raises
        ------
        InputError
            If the scheduler does not answer, has no workers, or has workers of another version.
        """
        if not items:
            return []
        with _client(self.address) as client:
            _check_workers(client, self.address)
            return _gathered(client, work, shared, items, progress)


def crew_at(address: str | None) -> Crew:
    """Return the workers of a scheduler, or the threads of this process where none is named."""
    return Cluster(address) if address else THREADS


def _client(address: str) -> Client:
    if importlib.util.find_spec("distributed") is None:
        raise InputError(
            "A cluster needs Dask, which is not installed here: "
            "pip install -r requirements-cluster.txt"
        )
    from distributed import Client

    try:
        return Client(address, timeout=_WAIT_FOR_WORKERS_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise InputError(f"No scheduler answers at {address}: {error}") from error


def _check_workers(client: Client, address: str) -> None:
    try:
        client.wait_for_workers(1, timeout=_WAIT_FOR_WORKERS_S)
    except TimeoutError as error:
        raise InputError(
            f"The scheduler at {address} has had no worker for {_WAIT_FOR_WORKERS_S:g} s."
        ) from error
    here = code_version()
    try:
        versions = client.run(code_version)
    except Exception as error:
        raise InputError(
            f"The workers of {address} cannot import frontier: install it and its requirements on "
            f"each, of the version {here}. They say: {error}"
        ) from error
    if others := sorted({version for version in versions.values() if version != here}):
        raise InputError(
            f"The workers of {address} have another frontier ({', '.join(others)}) than this one "
            f"({here}): results would not be the same."
        )


def code_version() -> str:
    """Return the version of the package, and a digest of what a simulation is made of."""
    import hashlib
    from pathlib import Path

    digest = hashlib.sha256()
    package = Path(frontier.__file__).parent
    code = ("kernel", "simulate", "serve", "latency", "sweep", "policy", "billing/meters")
    for path in (f"{name}.py" for name in code):
        digest.update((package / path).read_bytes())
    return f"{frontier.__version__} {digest.hexdigest()[:8]}"


def _gathered(
    client: Client,
    work: Work[Shared, Item, Found],
    shared: Shared,
    items: Sequence[Item],
    progress: Progress | None,
) -> list[Found]:
    found: dict[int, Found] = {}
    losses = 0
    while len(found) < len(items):
        missing = [index for index in range(len(items)) if index not in found]
        try:
            _gather(client, work, shared, items, missing, found, progress)
        except CancelledError as error:
            losses += 1
            if losses > _MOST_LOSSES:
                raise InputError(
                    f"Workers of the cluster were lost {losses} times, {len(found)} of "
                    f"{len(items)} runs done."
                ) from error
            client.wait_for_workers(1, timeout=_WAIT_FOR_WORKERS_S)
    return [found[index] for index in range(len(items))]


def _gather(
    client: Client,
    work: Work[Shared, Item, Found],
    shared: Shared,
    items: Sequence[Item],
    missing: Sequence[int],
    found: dict[int, Found],
    progress: Progress | None,
) -> None:
    """Fill in what the missing items come to; raise `CancelledError` if what is shared is lost."""
    (at_workers,) = client.scatter([shared], broadcast=True, hash=False)
    running = {
        index: client.submit(_called, work, at_workers, items[index], pure=False)
        for index in missing
    }
    try:
        while running:
            if progress is not None:
                progress(len(found), len(items))
            done = {index: future for index, future in running.items() if future.done()}
            for future in done.values():
                if future.status == "error":
                    _raise(future.exception())
                if future.status != "finished":
                    raise CancelledError("what all runs share was lost with its workers")
            found.update(zip(done, client.gather(list(done.values())), strict=True))
            for index in done:
                del running[index]
            if not done:
                with ANSWERS.aside():
                    time.sleep(TICK_S)
        if progress is not None:
            progress(len(found), len(items))
    except BaseException:
        client.cancel(list(running.values()), reason="the sweep was stopped")
        raise


def _called(work: Work[Shared, Item, Found], shared: Shared, item: Item) -> Found:
    """Do one piece of work on a worker, where nobody sets the flag."""
    return work(shared, item, np.zeros(1, dtype=np.uint8))


def _raise(error: BaseException | None) -> None:
    """Raise what a worker raised: its own words where it is one of ours."""
    if isinstance(error, FrontierError):
        raise error
    raise InputError(f"A worker of the cluster failed: {error!r}") from error
