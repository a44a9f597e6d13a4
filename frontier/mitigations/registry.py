"""Every mitigation by key, made with the numbers of data/mitigations.csv.

To add one: a dataclass in `starts` or `replicas`, a line here, its numbers in the table.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from frontier.errors import InputError
from frontier.mitigations.base import Mitigation
from frontier.mitigations.replicas import (
    Buffer,
    KeepAlive,
    PredictedPrewarm,
    RetainedState,
    ScheduledPrewarm,
    SleepLevel1,
    SleepLevel2,
    WarmPool,
)
from frontier.mitigations.starts import (
    CompileCache,
    CpuSnapshot,
    EagerMode,
    FewerCaptures,
    GpuSnapshot,
    ImageCache,
    ImageStreaming,
    KernelCache,
    MultiTier,
    NodeSnapshot,
    ParallelFetch,
    WeightCache,
    WeightStreamer,
)
from frontier.tables import MitigationNumber, Tables, look_up

MITIGATIONS: tuple[type[Mitigation], ...] = (
    WarmPool,
    KeepAlive,
    Buffer,
    ImageCache,
    ImageStreaming,
    WeightCache,
    WeightStreamer,
    MultiTier,
    ParallelFetch,
    CompileCache,
    KernelCache,
    FewerCaptures,
    EagerMode,
    CpuSnapshot,
    GpuSnapshot,
    NodeSnapshot,
    SleepLevel1,
    SleepLevel2,
    ScheduledPrewarm,
    PredictedPrewarm,
    RetainedState,
)


def mitigation(key: str, tables: Tables, **changes: Any) -> Mitigation:
    """Return a mitigation with the numbers of data/mitigations.csv, save those given.

    Raises
    ------
    InputError
        If there is no such mitigation, it has no such parameter, or a number is out of range.
    """
    cls = look_up({cls.key: cls for cls in MITIGATIONS}, key, "mitigation")
    names = {item.name for item in dataclasses.fields(cls)}
    unknown = set(changes) - names
    if unknown:
        raise InputError(
            f"{cls.label} has no parameter {', '.join(sorted(unknown))}; "
            f"it has {', '.join(sorted(names)) or 'none'}."
        )
    values: dict[str, Any] = {}
    for row in numbers_of(key, tables):
        value = changes.get(row.parameter, row.value)
        if not isinstance(value, int | float) or not value >= 0:
            raise InputError(f"{cls.label}, {row.parameter}: expected at least 0, found {value!r}")
        if row.unit in ("replicas", "workers", "sizes", "readers", "starts"):
            if value != int(value) or value < 1:
                raise InputError(
                    f"{cls.label}, {row.parameter}: expected a whole number of {row.unit} of at "
                    f"least 1, found {value!r}"
                )
            value = int(value)
        values[row.parameter] = value
    return cls(**{**changes, **values})


def numbers_of(key: str, tables: Tables) -> tuple[MitigationNumber, ...]:
    """Return the numbers of one mitigation, each with its basis and source."""
    return tuple(row for row in tables.mitigations.values() if row.mitigation == key)
