"""The ten stages of a cold start: their seconds and spread, what overlaps, and drawn starts.

Ten stages, always in this order and with these names: `allocate` (the scaler notices, a GPU is
found), `pull` (container image), `boot`, `engine_init` (imports and CUDA context), `fetch`
(weights from storage to the host), `load` (host to GPU memory), `compile`, `kv_cache` (memory
profiling), `graph_capture` and `other` (API server, unlogged rest, first-request kernels). Each
has a median, a spread and a basis, or measured runs in their place; stages may overlap. A stage
nobody measured is None and counts for nothing, and `ColdStart.unmeasured` names it.

Left out: where the seconds come from (`frontier.start.predict`), and correlation between stages:
each is drawn on its own.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from frontier.errors import InputError
from frontier.tables import look_up

STAGES = (
    "allocate",
    "pull",
    "boot",
    "engine_init",
    "fetch",
    "load",
    "compile",
    "kv_cache",
    "graph_capture",
    "other",
)
LUCK_COLUMNS = len(STAGES) + 2


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a start.

    Attributes
    ----------
    median_s : float or None
        Its median [s]; None if nobody measured it, 0 if it does not happen.
    spread : float
        Log-normal spread: one standard deviation as a factor (1 is none) [x/÷].
    basis : str
        measured, vendor-stated, paper, derived or assumed.
    source_ids : tuple of str
        Rows of data/sources.csv; empty for a value the user gave.
    runs_s : tuple of float
        Measured runs that replace median and spread [s].
    note : str
        What the number is made of, in words.
    parts : tuple of (name, seconds)
        Named parts of the median, where it has any [s].
    """

    name: str
    median_s: float | None
    spread: float = 1.0
    basis: str = "derived"
    source_ids: tuple[str, ...] = ()
    runs_s: tuple[float, ...] = ()
    note: str = ""
    parts: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        if self.name not in STAGES:
            raise InputError(f"stage must be one of {', '.join(STAGES)}, got '{self.name}'")
        if self.median_s is not None:
            check_seconds(f"stage {self.name}", (self.median_s,))
        if not (math.isfinite(self.spread) and self.spread >= 1):
            raise InputError(f"stage {self.name}: spread must be at least 1, got {self.spread!r}")

    def seconds(self, normals: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return a duration for each standard normal [s]; zeros if the stage is not measured.

        Runs are resampled: a normal picks the run of the same quantile, so that two plans that
        share their normals draw the same run.
        """
        if self.runs_s:
            from scipy.special import ndtr

            runs = np.sort(np.asarray(self.runs_s, dtype=np.float64))
            index = np.minimum((ndtr(normals) * runs.size).astype(np.intp), runs.size - 1)
            return runs[index]
        return (self.median_s or 0.0) * np.exp(math.log(self.spread) * normals)


@dataclass(frozen=True, slots=True, eq=False)
class StartDraws:
    """Drawn starts.

    Attributes
    ----------
    total_s : ndarray, shape (n,)
        Seconds from the decision to start until ready [s].
    stage_s : ndarray, shape (n, 10)
        Wall-clock seconds of each stage in the order of `STAGES` [s]; each row adds up to its
        total. Where stages overlap, a later one counts only as far as it outlasts the earlier.
    """

    total_s: npt.NDArray[np.float64]
    stage_s: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class StartRisk:
    """What goes wrong with starts; the neutral values let nothing go wrong.

    Attributes
    ----------
    fail_share : float
        Share of attempts that fail and are tried again [1]; a repeated attempt may fail too.
    failed_part : float
        How far a failed attempt gets: its share of the seconds of a whole one [1].
    late_share : float
        Share of starts that wait for a scarce GPU [1].
    late_s, late_spread : float
        How long these wait: median [s], and one standard deviation as a factor [x/÷].
    correlation : float
        Correlation of pull and fetch between one start and the next [1].
    """

    fail_share: float = 0.0
    failed_part: float = 1.0
    late_share: float = 0.0
    late_s: float = 0.0
    late_spread: float = 1.0
    correlation: float = 0.0

    def __post_init__(self) -> None:
        for name in ("fail_share", "late_share", "correlation"):
            value = getattr(self, name)
            if not 0 <= value < 1:
                raise InputError(f"{name} must be a share from 0 to below 1, got {value!r}")
        if not 0 <= self.failed_part <= 1:
            raise InputError(f"failed_part must be a share from 0 to 1, got {self.failed_part!r}")
        check_seconds("late_s", (self.late_s,))

    @property
    def needs_luck(self) -> bool:
        """Whether some starts fail or wait."""
        return bool(self.fail_share or (self.late_share and self.late_s))

    def correlated(self, normals: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the normals with pull and fetch correlated from row to row, each still normal."""
        if not self.correlation:
            return normals
        normals = normals.copy()
        fresh = math.sqrt(1 - self.correlation**2)
        for name in ("pull", "fetch"):
            column = normals[:, STAGES.index(name)]
            for row in range(1, column.size):
                column[row] = self.correlation * column[row - 1] + fresh * column[row]
        return normals

    def lengthen(
        self, stage_s: npt.NDArray[np.float64], luck: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """Return starts with their failed attempts and their waits for a GPU [s].

        Parameters
        ----------
        stage_s : ndarray, shape (n, 10)
            Starts in which nothing goes wrong [s].
        luck : ndarray, shape (n, 2)
            Standard normals: for failing, and for waiting.

        Notes
        -----
        A failed attempt is the start of another row, so that it is drawn like any other. The wait
        counts as `allocate`.
        """
        from scipy.special import ndtr, ndtri

        stage_s = stage_s.copy()
        quantiles = np.clip(ndtr(luck), np.finfo(float).tiny, None)
        if self.fail_share:
            failures = np.floor(np.log(quantiles[:, 0]) / math.log(self.fail_share)).astype(int)
            attempts = stage_s.copy()
            for nth in range(1, failures.max(initial=0) + 1):
                failed = np.roll(attempts, nth, axis=0) * self.failed_part
                stage_s += np.where((failures >= nth)[:, None], failed, 0.0)
        if self.late_share and self.late_s:
            late = quantiles[:, 1] < self.late_share
            spread = ndtri(quantiles[late, 1] / self.late_share)
            waited = self.late_s * np.exp(math.log(self.late_spread) * spread)
            stage_s[late, STAGES.index("allocate")] += waited
        return stage_s


@dataclass(frozen=True, slots=True)
class ColdStart:
    """A start: ten stages in order, and which of them run side by side.

    Attributes
    ----------
    stages : tuple of Stage
        All ten, in the order of `STAGES`.
    overlaps : tuple of tuple of str
        Groups of stages that start together; a group lasts as long as its longest stage.
    total_runs_s : tuple of float
        Measured whole starts [s]. They replace the total; the stages then only share it out.
    assumed : tuple of str
        Sentences for the screen: what was assumed about this start.
    risk : StartRisk
        What goes wrong with a share of the starts; medians do not contain it, draws do.
    on_node : ColdStart or None
        The same start where its node is already up, for replicas on nodes that come and go.
    """

    stages: tuple[Stage, ...]
    overlaps: tuple[tuple[str, ...], ...] = ()
    total_runs_s: tuple[float, ...] = ()
    assumed: tuple[str, ...] = ()
    risk: StartRisk = dataclasses.field(default_factory=StartRisk)
    on_node: ColdStart | None = None

    def __post_init__(self) -> None:
        if tuple(stage.name for stage in self.stages) != STAGES:
            raise InputError(f"a start needs the ten stages {', '.join(STAGES)}, in this order")
        grouped = [name for group in self.overlaps for name in group]
        if len(grouped) != len(set(grouped)) or not set(grouped) <= set(STAGES):
            raise InputError(f"a stage may be in one overlapping group only, got {self.overlaps}")

    def __getitem__(self, name: str) -> Stage:
        """Return the stage of that name."""
        return look_up({stage.name: stage for stage in self.stages}, name, "stage")

    @property
    def unmeasured(self) -> tuple[str, ...]:
        """Names of the stages nobody measured: the total does not contain them."""
        return tuple(stage.name for stage in self.stages if stage.median_s is None)

    @property
    def wall_s(self) -> dict[str, float]:
        """Median wall-clock seconds by stage [s]; they add up to `typical_s`."""
        medians = np.array([[stage.median_s or 0.0 for stage in self.stages]])
        wall = _share_out(medians, self.overlaps)[0]
        if self.total_runs_s:
            wall = _stretch(wall[None, :], np.array([statistics.median(self.total_runs_s)]))[0]
        return dict(zip(STAGES, wall.tolist(), strict=True))

    @property
    def typical_s(self) -> float:
        """Median seconds along the critical path [s]."""
        return math.fsum(self.wall_s.values())

    def draw(self, normals: npt.NDArray[np.float64]) -> StartDraws:
        """Return one start for each row of standard normals.

        Where there is ``on_node`` as many more follow, its own, of the same luck row by row.

        Parameters
        ----------
        normals : ndarray, shape (n, 12)
            One column a stage, one for failing and one for waiting; the last two may be left out
            where nothing goes wrong. Plans that share this array differ by plan and not by luck.

        Raises
        ------
        InputError
            If the array has another shape.
        """
        normals = np.asarray(normals, dtype=np.float64)
        needed = LUCK_COLUMNS if self.risk.needs_luck else len(STAGES)
        if normals.ndim != 2 or not needed <= normals.shape[1] <= LUCK_COLUMNS:
            raise InputError(f"normals must have the shape (n, {needed}), got {normals.shape}")
        given, luck = normals, normals[:, len(STAGES) :]
        normals = self.risk.correlated(normals)
        drawn = np.column_stack(
            [stage.seconds(normals[:, i]) for i, stage in enumerate(self.stages)]
        )
        stage_s = _share_out(drawn, self.overlaps)
        if self.total_runs_s:
            whole = Stage("other", 0.0, runs_s=self.total_runs_s)
            # The first column orders the runs, so that a shared array still picks alike.
            stage_s = _stretch(stage_s, whole.seconds(normals[:, 0]))
        if self.risk.needs_luck:
            stage_s = self.risk.lengthen(stage_s, luck)
        if self.on_node is not None:
            stage_s = np.concatenate((stage_s, self.on_node.draw(given).stage_s))
        total_s = stage_s.sum(axis=1)
        total_s.setflags(write=False)
        stage_s.setflags(write=False)
        return StartDraws(total_s, stage_s)

    def replace(self, name: str, **changes: Any) -> ColdStart:
        """Return the start with fields of one stage replaced."""
        changed = dataclasses.replace(self[name], **changes)
        return dataclasses.replace(
            self, stages=tuple(changed if s.name == name else s for s in self.stages)
        )

    def with_measured(self, stage: str, seconds: float | Iterable[float]) -> ColdStart:
        """Return the start with one stage as the user measured it.

        Parameters
        ----------
        stage : str
            Name of the stage, or ``total`` for whole starts, which the stages then share out.
        seconds : float or iterable of float
            One value, about which the stage keeps its spread (one run says nothing of it), or
            several runs that are resampled as they are, peaks and all [s].

        Raises
        ------
        InputError
            If there is no such stage, no run, or a run that is not a finite time of at least 0 s.
        """
        runs = tuple(float(x) for x in (seconds if isinstance(seconds, Iterable) else (seconds,)))
        check_seconds(f"measured {stage}", runs)
        if stage == "total":
            if min(runs) <= 0:
                raise InputError(f"measured total: a start lasts more than 0 s, got {min(runs):g}")
            return dataclasses.replace(self, total_runs_s=runs)
        return self.replace(
            stage,
            median_s=statistics.median(runs),
            basis="measured",
            source_ids=(),
            runs_s=runs if len(runs) > 1 else (),
            parts=(),
            note=f"measured, {len(runs)} runs" if len(runs) > 1 else "measured once, usual spread",
        )


def merge_overlaps(groups: Iterable[set[str]]) -> tuple[tuple[str, ...], ...]:
    """Return disjoint groups in the order of the stages: groups that share a stage are one."""
    merged: list[set[str]] = []
    for group in groups:
        touching = [other for other in merged if other & group]
        merged = [other for other in merged if not other & group]
        merged.append(set().union(group, *touching))
    ordered = (tuple(name for name in STAGES if name in group) for group in merged)
    return tuple(sorted(ordered, key=lambda group: STAGES.index(group[0])))


def _share_out(
    seconds: npt.NDArray[np.float64], overlaps: Sequence[tuple[str, ...]]
) -> npt.NDArray[np.float64]:
    """Return wall-clock seconds: in a group, a stage counts as far as it outlasts those before."""
    wall = seconds.copy()
    for group in overlaps:
        done = np.zeros(seconds.shape[0])
        for name in group:
            column = STAGES.index(name)
            wall[:, column] = np.maximum(seconds[:, column] - done, 0.0)
            done = np.maximum(done, seconds[:, column])
    return wall


def _stretch(
    stage_s: npt.NDArray[np.float64], total_s: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return the stages scaled so that each row adds up to its total; all in `other` if none."""
    sums = stage_s.sum(axis=1)
    shared = stage_s * np.divide(total_s, sums, out=np.zeros_like(sums), where=sums > 0)[:, None]
    shared[sums <= 0, STAGES.index("other")] = total_s[sums <= 0]
    return shared


def check_seconds(name: str, values: Sequence[float]) -> None:
    """Raise an `InputError` unless there are values and each is a finite time of at least 0 s."""
    if not values:
        raise InputError(f"{name}: expected at least one value, found none")
    for value in values:
        if not (math.isfinite(value) and value >= 0):
            raise InputError(f"{name}: expected a finite value of at least 0, found {value!r}")
