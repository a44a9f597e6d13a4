"""How fast weights are read, and what an engine's own kernels take: look-ups that may be refused.

A rate is the least of what the storage gives and what the loader takes, for all ranks of a node
together. Left out: PCIe, which `frontier.start.predict` puts beside it, and seconds of stages.
"""

from __future__ import annotations

from collections.abc import Sequence

from frontier.errors import InputError
from frontier.tables import Kernels, Loader, Storage, Tables


def kernels_of(
    engine: str, architecture: str, precision: str, family: str, tables: Tables
) -> Kernels:
    """Return what the engine's own kernels take on that generation of GPUs.

    Raises
    ------
    InputError
        If the table does not say it, or says it twice.
    """
    found = [
        row
        for row in tables.kernels.values()
        if engine in row.engines
        and architecture in row.architectures
        and precision in row.precisions
        and family in row.families
    ]
    if len(found) != 1:
        raise InputError(
            f"Expected one time for the kernels of a {architecture} model in {precision} on "
            f"{family} GPUs with {engine}, found {len(found)}: data/kernels.csv says which are "
            "known."
        )
    return found[0]


def read_gb_per_s(place: Storage, how: Loader, readers: int | None, gpus: int) -> float | None:
    """Return what a loader reads from a storage with all its ranks [GB/s]; None if it need not.

    Raises
    ------
    InputError
        If the loader does not read this kind of storage, or no rate is known.
    """
    if place.kind not in how.reads:
        raise InputError(
            f"{how.label} reads {_places(how.reads)}, and {place.label} is "
            f"{_places((place.kind,))}. Choose another loader or storage."
        )
    if how.mode == "mmap" and place.kind == "memory":
        return None
    missing = InputError(
        f"No rate is known for {how.label} from {place.label}. Choose another loader or storage, "
        "or give storage_gb_per_s as you measured it."
    )
    if how.mode == "download":
        if place.download_gb_per_s is None:
            raise missing
        return place.download_gb_per_s
    if how.mode == "mmap":
        if place.mmap_gb_per_s is None:
            raise missing
        return mmap_gb_per_s(place, gpus)
    if place.cap_gb_per_s is None:
        raise missing
    stored = place.cap_gb_per_s
    if place.reader_gb_per_s is not None:
        stored = min(stored, (readers or how.readers) * place.reader_gb_per_s)
    limits = [stored * (1.0 if place.kind == "memory" else how.efficiency)]
    if place.kind == "remote" and how.remote_cap_gb_per_s is not None:
        limits.append(how.remote_cap_gb_per_s)
    if how.process_gb_per_s is not None:
        limits.append(how.process_gb_per_s * gpus)
    if how.node_gb_per_s is not None:
        limits.append(how.node_gb_per_s)
    return min(limits)


def mmap_gb_per_s(place: Storage, gpus: int) -> float:
    """Return what the memory maps of all ranks read [GB/s]: so much each, up to the storage's most.

    Where no most is known, one rank is taken to reach it.
    """
    one = place.mmap_gb_per_s or 0.0
    return min(one * gpus, place.mmap_cap_gb_per_s or place.cap_gb_per_s or one)


_PLACE_WORDS = {
    "remote": "remote storage",
    "disk": "a disk of the node",
    "memory": "host memory",
    "peer": "the GPUs of another replica",
}


def _places(kinds: Sequence[str]) -> str:
    return " or ".join(_PLACE_WORDS[kind] for kind in kinds)
