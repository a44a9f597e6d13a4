"""What a mitigation is, what it may change, and how any set of them is applied.

A mitigation is one frozen dataclass. It says which stages it removes, replaces, overlaps or
divides, what it costs while nothing happens (in physical quantities, never in dollars), with
which others it cannot be combined and why. Its numbers stand in data/mitigations.csv.
`apply_mitigations` applies any set of them: removals first, then overlaps, then divisions, then
snapshots, so that the order in which they are listed never matters.

Where a stage was measured by the user, a mitigation changes it by the ratio the model predicts.
No mitigation touches the traffic.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

from frontier.errors import InputError
from frontier.policy import ParkedTier, ScalingPolicy
from frontier.serving import ServingSpeed
from frontier.start.predict import StartInputs
from frontier.start.stages import ColdStart, Stage
from frontier.tables import Platform, Tables

REMOVAL, OVERLAP, DIVISION, SNAPSHOT = range(4)
OWN_NODES, THE_PLATFORM = "own nodes", "the platform"


@dataclass(frozen=True, slots=True)
class Standing:
    """What a mitigation costs, in physical quantities.

    Attributes
    ----------
    storage_gb : float
        Kept on disk all the time [GB].
    host_ram_gib : float
        Host memory kept for each parked or running replica [GiB].
    gpu_memory_gb : float
        GPU memory that stays occupied on each GPU of a parked replica [GB].
    gpu_s_per_start : float
        GPU-seconds of a start beyond those of the replica's own GPUs [s].
    starts_without : int
        Starts that are still cold before it takes effect.
    notes : tuple of str
        What comes out of the simulation instead, in words.
    """

    storage_gb: float = 0.0
    host_ram_gib: float = 0.0
    gpu_memory_gb: float = 0.0
    gpu_s_per_start: float = 0.0
    starts_without: int = 0
    notes: tuple[str, ...] = ()

    def __add__(self, other: Standing) -> Standing:
        """Return both together."""
        return Standing(
            self.storage_gb + other.storage_gb,
            self.host_ram_gib + other.host_ram_gib,
            self.gpu_memory_gb + other.gpu_memory_gb,
            self.gpu_s_per_start + other.gpu_s_per_start,
            max(self.starts_without, other.starts_without),
            self.notes + other.notes,
        )


@dataclass(frozen=True, slots=True)
class Mitigation:
    """The neutral mitigation: changes nothing. Each of `MITIGATIONS` overrides what it changes.

    Fields have neutral values; `mitigation` makes one with the numbers of data/mitigations.csv.

    Attributes
    ----------
    key, label : str
        Name in the tables and in links, and on screen.
    phase : int
        When it is applied: `REMOVAL`, `OVERLAP`, `DIVISION` or `SNAPSHOT`.
    effects : mapping of stage to verb
        What it does to each stage; empty if it changes when replicas run and not how they start.
    excludes : mapping of key to reason
        Mitigations it cannot be combined with.
    needs : str
        `OWN_NODES` if the user must run the nodes, `THE_PLATFORM` if it is the platform's to
        offer; empty if anybody can do it.
    """

    key: ClassVar[str] = "none"
    label: ClassVar[str] = "None"
    phase: ClassVar[int] = REMOVAL
    effects: ClassVar[Mapping[str, str]] = MappingProxyType({})
    excludes: ClassVar[Mapping[str, str]] = MappingProxyType({})
    needs: ClassVar[str] = ""

    def rewrite_inputs(self, inputs: StartInputs) -> StartInputs:
        """Return the inputs from which the start is predicted with this mitigation."""
        return inputs

    def rewrite_start(self, start: ColdStart, inputs: StartInputs, tables: Tables) -> ColdStart:
        """Return the start with this mitigation.

        Parameters
        ----------
        start : ColdStart
            Predicted from ``inputs``, some of its stages perhaps measured.
        inputs : StartInputs
            What it was predicted from.
        """
        bare = dataclasses.replace(start, total_runs_s=())
        changed = self._rewrite_stages(bare, inputs, tables)
        if not start.total_runs_s:
            return changed
        ratio = changed.typical_s / bare.typical_s if bare.typical_s else 1.0
        runs = tuple(run * ratio for run in start.total_runs_s)
        return dataclasses.replace(changed, total_runs_s=runs)

    def rewrite_policy(self, policy: ScalingPolicy) -> ScalingPolicy:
        """Return the policy with this mitigation."""
        return policy

    def parked_tier(self, inputs: StartInputs, tables: Tables) -> ParkedTier | None:
        """Return the tier in which a released replica waits with this mitigation, if it has one."""
        return None

    def rewrite_speed(self, speed: ServingSpeed) -> ServingSpeed:
        """Return the speed of a replica with this mitigation."""
        return speed

    def standing(self, inputs: StartInputs, tables: Tables) -> Standing:
        """Return what it costs, in physical quantities."""
        return Standing()

    def _rewrite_stages(self, start: ColdStart, inputs: StartInputs, tables: Tables) -> ColdStart:
        after = self.rewrite_inputs(inputs)
        if after == inputs:
            return start
        return rescaled(start, inputs.predict(tables), after.predict(tables), self.label)


@dataclass(frozen=True, slots=True)
class Mitigated:
    """A start, a policy and a speed with a set of mitigations applied.

    Attributes
    ----------
    applied : tuple of Mitigation
        In the order in which they were applied.
    tiers : tuple of ParkedTier or None
        In which each of them parks a released replica.
    weights_stay : bool
        Whether loading leaves the weights in host memory.
    """

    start: ColdStart
    policy: ScalingPolicy
    speed: ServingSpeed | None
    standing: Standing
    inputs: StartInputs
    applied: tuple[Mitigation, ...]
    tiers: tuple[ParkedTier | None, ...]
    weights_stay: bool

    def policy_from(self, policy: ScalingPolicy) -> ScalingPolicy:
        """Return another policy with the same mitigations applied."""
        for item, tier in zip(self.applied, self.tiers, strict=True):
            policy = _parked(item.rewrite_policy(policy), tier)
        return policy


def missing_for(item: Mitigation, platform: Platform) -> str:
    """Return what a platform is not known to have for a mitigation; empty if it has it all."""
    if item.needs == OWN_NODES and not platform.own_nodes:
        return "nodes of your own"
    if item.needs == THE_PLATFORM and item.key not in platform.offers:
        return "a platform known to offer it"
    return ""


def apply_mitigations(
    start: ColdStart,
    policy: ScalingPolicy,
    speed: ServingSpeed | None,
    mitigations: Iterable[Mitigation],
    inputs: StartInputs,
    tables: Tables,
) -> Mitigated:
    """Return start, policy and speed with all the mitigations, and what they cost standing.

    Parameters
    ----------
    start : ColdStart
        Predicted from ``inputs``, some of its stages perhaps measured.
    speed : ServingSpeed or None
        The speed of a replica, if it is wanted.
    mitigations : iterable of Mitigation
        In any order: removals are applied first, then overlaps, divisions and snapshots.

    Raises
    ------
    InputError
        If one comes twice, two exclude each other (the message says why), or one cannot be used
        with these inputs (it says what to do instead).
    """
    ordered = sorted(mitigations, key=lambda item: (item.phase, item.key))
    _check_combination(ordered)
    standing, tiers = Standing(), []
    for item in ordered:
        start = item.rewrite_start(start, inputs, tables)
        tiers.append(item.parked_tier(inputs, tables))
        speed = None if speed is None else item.rewrite_speed(speed)
        standing += item.standing(inputs, tables)
        inputs = item.rewrite_inputs(inputs)
    found = Mitigated(
        start,
        policy,
        speed,
        standing,
        inputs,
        tuple(ordered),
        tuple(tiers),
        inputs.weights_stay(tables),
    )
    return dataclasses.replace(found, policy=found.policy_from(policy))


def _check_combination(ordered: Sequence[Mitigation]) -> None:
    for i, one in enumerate(ordered):
        for other in ordered[i + 1 :]:
            if one.key == other.key:
                raise InputError(f"{one.label} is given twice; give it once.")
            reason = one.excludes.get(other.key) or other.excludes.get(one.key)
            if reason:
                raise InputError(
                    f"{one.label} and {other.label} cannot be combined: {reason}. Drop one of them."
                )


def rescaled(start: ColdStart, before: ColdStart, after: ColdStart, label: str) -> ColdStart:
    """Return the start with what the prediction changed, measured stages by the same ratio."""
    stages = []
    for own, old, new in zip(start.stages, before.stages, after.stages, strict=True):
        if own == old or new.median_s == 0:
            stages.append(new)
        elif new.median_s == old.median_s or own.median_s is None or new.median_s is None:
            stages.append(own)
        elif not old.median_s:
            stages.append(new)
        else:
            stages.append(scaled(own, new.median_s / old.median_s, label))
    return dataclasses.replace(start, stages=tuple(stages), overlaps=after.overlaps)


def scaled(stage: Stage, factor: float, label: str) -> Stage:
    """Return a stage, its median and runs times a factor; the note says by what."""
    if stage.median_s is None or factor == 1:
        return stage
    return dataclasses.replace(
        stage,
        median_s=stage.median_s * factor,
        runs_s=tuple(run * factor for run in stage.runs_s),
        parts=tuple((name, seconds * factor) for name, seconds in stage.parts),
        basis="derived",
        note=f"{stage.note} × {factor:.3g} ({label})",
    )


def effects_on(**effects: str) -> Mapping[str, str]:
    """Return what a mitigation does to each stage, by name."""
    return MappingProxyType(effects)


def reasons(**by_key: str) -> Mapping[str, str]:
    """Return why it cannot be combined with others, by key (``_`` written for ``-``)."""
    return MappingProxyType({key.replace("_", "-"): reason for key, reason in by_key.items()})


def _parked(policy: ScalingPolicy, tier: ParkedTier | None) -> ScalingPolicy:
    """Return the policy with one more tier, the quickest to resume first."""
    if tier is None:
        return policy
    tiers = sorted((*policy.parked, tier), key=lambda t: (t.resume_s, t.stay_s, t.held_fraction))
    return dataclasses.replace(policy, parked=tuple(tiers))
