"""Where a sweep in blocks was, in one file that is written whole or not at all.

The file is a numpy archive of plain arrays: nothing in it is unpickled. It says which requests,
plans and version of the program it is of, and is refused for any others.
"""

from __future__ import annotations

import hashlib
import os
import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from frontier.blocks.runs import PlanRun, under
from frontier.cluster import code_version
from frontier.errors import InputError
from frontier.plans.plan import Plan
from frontier.start.stages import StartDraws

_POSITION, _OF = "position", "of"


def digest_of(trace_digest: str, plans: Sequence[Plan], draws: Sequence[StartDraws]) -> str:
    """Return what a checkpoint is of: requests, plans with their starts, and the program."""
    digest = hashlib.sha256(f"{trace_digest} {code_version()}".encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    for plan, drawn in zip(plans, draws, strict=True):
        digest.update(repr(plan).encode())
        digest.update(np.ascontiguousarray(plan.speed.decode_step_s).tobytes())
        digest.update(np.ascontiguousarray(drawn.total_s).tobytes())
    return digest.hexdigest()


@dataclass(slots=True)
class Checkpoint:
    """A file that a sweep goes on from.

    Attributes
    ----------
    path : Path
    of : str
        `digest_of` the sweep.
    every_s : float
        It is written at the first seam after so long [s].
    """

    path: Path
    of: str
    every_s: float
    _written: float = field(default_factory=time.monotonic)

    def load(self, runs: Sequence[PlanRun]) -> int:
        """Bring runs to where they were and return how many requests they had seen.

        Raises
        ------
        InputError
            If there is no such file, or it is of another sweep.
        """
        if not self.path.is_file():
            raise InputError(f"There is nothing to resume: no file '{self.path}'.")
        try:
            # Opened here: numpy leaves a file open that it cannot read.
            with self.path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
                if kept[_OF].tobytes().decode() != self.of:
                    raise InputError(
                        f"'{self.path}' is of another sweep: other requests, plans or settings, or "
                        "another version of Frontier. Leave out --resume to begin anew."
                    )
                for at, run in enumerate(runs):
                    stem = f"plan{at}/"
                    names = [name for name in kept.files if name.startswith(stem)]
                    run.restore(under(stem, {name: kept[name] for name in names}))
                return int(kept[_POSITION])
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise InputError(f"'{self.path}' is damaged: {error}") from error

    def save_if_due(self, runs: Sequence[PlanRun], position: int) -> None:
        """Write where the runs are, unless that was done a short time ago."""
        if time.monotonic() - self._written >= self.every_s:
            self.save(runs, position)

    def save(self, runs: Sequence[PlanRun], position: int) -> None:
        """Write where the runs are; the file of before stays until the new one is complete."""
        beside = self.path.with_name(self.path.name + ".new")
        try:
            with beside.open("wb") as file:
                with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
                    _put(archive, _OF, np.frombuffer(self.of.encode(), np.uint8))
                    _put(archive, _POSITION, np.array(position))
                    for at, run in enumerate(runs):
                        for name, values in run.arrays().items():
                            _put(archive, f"plan{at}/{name}", values)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self.path)
        except OSError as error:
            raise InputError(f"Cannot write '{self.path}': {error.strerror}.") from error
        self._written = time.monotonic()

    def remove(self) -> None:
        """Remove the file, once there is nothing left to go on with."""
        self.path.unlink(missing_ok=True)


def _put(archive: zipfile.ZipFile, name: str, values: np.ndarray) -> None:
    with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
        np.lib.format.write_array(entry, np.asanyarray(values), allow_pickle=False)
