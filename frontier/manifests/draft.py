"""A configuration while it is written: which facts it says, which it cannot, what is left to fill.

Every fact of a setup ends in one of two ways: it stands in the text, or a sentence names it among
what the target cannot express. `Draft.finish` sees to it, so that no function of a target can
forget one: what it did not touch is named.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from frontier import autoscalers, spell
from frontier.manifests.facts import Fact, Setup
from frontier.tables import ManifestField, Tables, load_tables, look_up

_TOLERANCE = 1e-9
# Words have three digits: a number this near is the same one.
_SAME_SHARE = 1e-3
# Why hardly any platform can be told these; what a target says of one itself goes first.
_WHY: Mapping[str, str] = MappingProxyType(
    {
        "routing": "there is no setting for it; a router in front of the replicas decides",
        "split": "a router in front of both parts has to send them, and only what the base cannot "
        "hold on to the overflow",
        "retry_s": "the client does it",
        "refuses_cold": "it is how the platform behaves",
        "queue_timeout_s": "whatever queues the requests has to turn them away",
        "scale_down": "it is how the platform behaves",
        "buffer_replicas": "there is no setting for it; a lower target gives room as well",
        "parked": "nothing here puts an idle replica to sleep or wakes it",
        "nodes": "what starts and releases the nodes is told: consolidateAfter in a node pool of "
        "Karpenter, --scale-down-unneeded-time of the cluster autoscaler",
        "purchase": "it is agreed with the provider",
        "schedule": "there is no setting for it; change the minimum at those times",
        "idle_timeout_s": "there is no setting for it",
        "weights_from": "the text names the checkpoint on Hugging Face, which each start would "
        "fetch anew; mount the weights and name their path instead",
        "weights_on_node": "a disk of the node has to be mounted, and the weights read from it",
        "compiled": "it takes a volume that outlives a replica",
        "chunk_tokens": "it is a flag of the engine",
        "prefix_caching": "it is a flag of the engine",
        "vcpus": "they come with the machine",
        "ram_gib": "it comes with the machine",
        "mitigation.image-cache": "the image has to be on the disk of each machine beforehand; "
        "where images are kept is the platform's to say",
        "mitigation.image-streaming": "the registry and the nodes have to be set up for it",
        "mitigation.weight-cache": "the weights have to be on a disk that a new replica finds",
        "mitigation.compile-cache": "it takes a volume that outlives a replica",
        "mitigation.kernel-cache": "it takes a volume that outlives a replica, or an image that "
        "holds the kernels",
        "mitigation.multi-tier": "ServerlessLLM has a server of its own",
        "mitigation.parallel-fetch": "no engine offers it as a flag",
        "mitigation.cpu-snapshot": "the platform is not known to offer it",
        "mitigation.gpu-snapshot": "the platform is not known to offer it",
        "mitigation.node-snapshot": "NVIDIA Dynamo's snapshots are set up on the nodes",
        "mitigation.retained-state": "the platform is not known to offer it",
    }
)


@dataclass(frozen=True, slots=True)
class Snippet:
    """A plan, or a part of one, as the configuration of one target.

    Attributes
    ----------
    target, part : str
        Key of the target, and the part of a hybrid plan.
    title : str
        What it is, for a list.
    language : str
        Of the text, for colouring: yaml, json, python or bash.
    text : str
        To paste.
    not_expressed : tuple of str
        What the target cannot say of the plan, a sentence each.
    notes : tuple of str
        How to use it, and what is left to fill in.
    expressed, left_out : frozenset of str
        The facts that stand in the text or are the target's own rule, and those that the sentences
        name; together all of the setup's.
    fill_in : tuple of str
        The placeholders in the text.
    file_name : str
    """

    target: str
    part: str
    title: str
    language: str
    text: str
    not_expressed: tuple[str, ...]
    notes: tuple[str, ...]
    expressed: frozenset[str]
    left_out: frozenset[str]
    fill_in: tuple[str, ...]
    file_name: str


class Draft:
    """A configuration in the making.

    Parameters
    ----------
    setup : Setup
    target : str
        Key of the target: its rows of data/manifest_fields.csv and data/manifest_gpus.csv.
    label : str
        Name of the target inside a sentence.
    own : tuple of str
        Rows of data/autoscalers.csv that are this target's own rules.
    """

    def __init__(
        self, setup: Setup, tables: Tables, *, target: str, label: str, own: tuple[str, ...]
    ) -> None:
        self.setup = setup
        self._tables, self._target, self._label = tables, target, label
        self._expressed: set[str] = set()
        self._left: dict[str, str] = {}
        self._together: tuple[str, ...] = ()
        self._decides = f"{label} decides by rules of its own"
        self._fill: dict[str, str] = {}
        self._notes: list[str] = []
        self.is_own = setup.autoscaler.autoscaler in own

    def has(self, key: str) -> bool:
        """Whether the plan says it, and no sentence has named it yet."""
        return key in self.setup.facts and key not in self._left

    def says(self, *keys: str) -> None:
        """Mark facts as standing in the text, as far as the plan has them."""
        self._expressed |= {key for key in keys if self.has(key)}

    def lacks(self, key: str, why: str) -> None:
        """Name a fact that the target cannot express, if the plan has it, and why."""
        if key in self.setup.facts and key not in self._left:
            self._left[key] = why
            self._expressed.discard(key)

    def take(self, key: str, default: Any = None) -> Any:
        """Return the value of a fact that goes into the text as it is."""
        self.says(key)
        return self.setup.value(key, default)

    def number(
        self, key: str, field: str, *, times: float = 1.0, value: float | None = None
    ) -> int | float:
        """Return the value of a fact as a field of the target can hold it.

        Where that is another number, the fact is named with both.

        Parameters
        ----------
        field : str
            Of the target, as data/manifest_fields.csv has it.
        times : float
            Its unit in that of the fact.
        value : float, optional
            What goes into the field, where it is not the fact's own value.
        """
        asked = float(self.setup.value(key) if value is None else value) * times
        given, row = nearest(asked, self.row(field)), self.row(field)
        if not abs(given - asked) <= _SAME_SHARE * abs(asked):
            self.lacks(key, f"{row.field} takes {in_words(row)}; the text has {given:g}")
        else:
            self.says(key)
        return int(given) if given == int(given) else given

    def row(self, field: str) -> ManifestField:
        """Return what is known of a field of the target, or of another that is named before it."""
        rows = self._tables.manifest_fields
        return look_up(rows, field if field in rows else f"{self._target}.{field}", "field")

    def default(self, field: str) -> int | float:
        """Return the default of a field of the target."""
        value = self.row(field).default
        if value is None:
            raise ValueError(f"{field} has no default")
        return int(value) if value == int(value) else value

    def gpu(self, names: str | None = None) -> str:
        """Return the target's own name of the GPU, or a placeholder where none is known.

        Parameters
        ----------
        names : str, optional
            Whose names of data/manifest_gpus.csv; the target's.
        """
        gpu = self.setup.value("gpu")
        row = self._tables.manifest_gpus.get(f"{names or self._target}.{gpu}")
        if row is None:
            self.lacks("gpu", "no name of the target for it is known; fill it in")
            return self.fill("YOUR-GPU", f"the target's name of {gpu}")
        self.says("gpu")
        return row.name

    def gpu_family(self) -> str:
        """Return the generation of the GPU, as data/gpus.csv names it."""
        return self._tables.gpu(self.setup.value("gpu")).family

    def fill(self, placeholder: str, what: str) -> str:
        """Return a placeholder, which the notes count among what is to fill in."""
        self._fill[placeholder] = what
        return placeholder

    def decides(self, why: str) -> None:
        """Say why the target does not follow the plan's autoscaler, where it is not its own."""
        self._decides = why

    def note(self, sentence: str) -> None:
        """Add a sentence on how to use the text."""
        self._notes.append(sentence)

    def patience_s(self) -> float:
        """Return how long the target should be told to wait for a start [s]."""
        return self.setup.start_s * self._tables.setting("manifest_start_margin")

    def finish(self, title: str, language: str, text: str, file_name: str) -> Snippet:
        """Return the snippet, with every fact said or named."""
        self._tell_scaler()
        facts = self.setup.facts
        for key in facts:
            if key not in {*self._expressed, *self._left, *self._together}:
                self._left[key] = _WHY.get(key, f"{self._label} has no setting for it")
        sentences = [
            f"{_named(facts[key])}: {self._left[key]}." for key in facts if key in self._left
        ]
        if self._together:
            sentences.append(self._autoscaler_sentence())
        left = {*self._left, *self._together}
        notes = list(self._notes)
        if self._fill:
            listed = ", ".join(f"{name} ({what})" for name, what in self._fill.items())
            notes.append(f"{spell.count(len(self._fill), 'value')} to fill in: {listed}.")
        return Snippet(
            target=self._target,
            part=self.setup.part,
            title=title,
            language=language,
            text=text if text.endswith("\n") else f"{text}\n",
            not_expressed=tuple(sentences),
            notes=tuple(notes),
            expressed=frozenset(facts) - left,
            left_out=frozenset(left),
            fill_in=tuple(self._fill),
            file_name=file_name,
        )

    def _autoscaler_sentence(self) -> str:
        """Return one sentence for all that the plan's autoscaler does and the target does not."""
        row = self.setup.autoscaler
        words = spell.lower_first(autoscalers.in_words(row).partition(": ")[2].removesuffix("."))
        found = f"Autoscaler ({row.label}{f', {words}' if words else ''}): {self._decides}"
        numbers = [
            f"{spell.lower_first(fact.label)} {fact.words}"
            for key in self._together
            if (fact := self.setup.facts[key]).key != "autoscaler"
        ]
        return f"{found}. Not carried over: {', '.join(numbers)}." if numbers else f"{found}."

    def _tell_scaler(self) -> None:
        """Account for how replicas follow the traffic, beyond the numbers that were written."""
        if not self.has("autoscaler"):
            return
        row = self.setup.autoscaler
        rest = [
            key
            for key in self.setup.facts
            if key.startswith("scaler.") and key not in self._expressed and key not in self._left
        ]
        if not self.is_own:
            self._together = ("autoscaler", *rest)
            return
        self.says("autoscaler")
        # What cannot be set is still so where it is the target's own default.
        shipped = load_tables().autoscalers.get(row.autoscaler)
        scaler = None if shipped is None else autoscalers.scaler_of(shipped)
        for key in rest:
            name = key.removeprefix("scaler.")
            if scaler is not None and getattr(scaler, name) == self.setup.value(key):
                self.says(key)


def nearest(asked: float, row: ManifestField) -> float:
    """Return the number nearest to one asked for that a field can hold."""
    if row.allowed:
        return min(row.allowed, key=lambda value: (abs(value - asked), value))
    least = -math.inf if row.least is None else row.least
    most = math.inf if row.most is None else row.most
    given = min(max(asked, least), most)
    if math.isinf(given):
        given = least if row.default is None else row.default
    if row.step is not None and math.isfinite(given):
        steps = given / row.step
        # Half a step goes up: a replica is rather kept longer than released too early.
        whole = math.floor(steps + 0.5)
        given = steps * row.step if abs(steps - round(steps)) < _TOLERANCE else whole * row.step
        given = min(max(given, least), most)
    return given


def in_words(row: ManifestField) -> str:
    """Return which numbers a field can hold."""
    unit = f" {row.unit}" if row.unit not in (None, "1") else ""
    if row.allowed:
        return f"one of {', '.join(f'{value:g}' for value in row.allowed)}{unit}"
    whole = "whole numbers" if row.step == 1 else "numbers"
    if row.step not in (None, 1):
        whole = f"multiples of {row.step:g}"
    if row.least is not None and row.most is not None:
        return f"{whole} from {row.least:g} to {row.most:g}{unit}"
    if row.most is not None:
        return f"{whole} up to {row.most:g}{unit}"
    if row.least is not None:
        return f"{whole} from {row.least:g}{unit} up"
    return whole


def _named(fact: Fact) -> str:
    return f"{fact.label} ({fact.words})" if fact.words else fact.label
