"""What two scenarios were asked, side by side: every choice, term and row of a table that differs.

Values are words, as pages and reports say them. No field of a scenario or of its terms is left
out: one that is nobody's label would be a difference that nobody sees, and a test looks for it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from frontier import spell
from frontier.billing import Terms
from frontier.edits import cell_text
from frontier.scope import asked
from frontier.study import Study
from frontier.sweep import Deal
from frontier.tables import load_columns
from frontier.trace import Trace

_FINGERPRINT = 8


@dataclass(frozen=True, slots=True)
class Input:
    """One input of both scenarios, in words."""

    label: str
    a: str
    b: str


SAID_TOGETHER = {
    "model": "Model",
    "precision": "Model",
    "kv_precision": "Model",
    "serverless_offer": "Serverless offer",
    "dedicated_offer": "Dedicated offer",
    "office": "Office hours",
}
"""Fields of a scenario that `scope.asked` says, under which label; so it does the limit."""

SCENARIO_LABELS = {
    "mitigations": "Mitigations to compare",
    "max_replicas": "Most replicas",
    "target_concurrency": "Requests a replica holds",
    "start_changes": "Changes of the start",
    "own_start": "Measured starts",
    "gpus_per_replica": "GPUs of a replica",
    "interruptions_per_h": "Interruptions of a spot machine an hour",
    "nodes": "Nodes and pods",
    "autoscaler": "Autoscaler",
    "by_prefix": "Requests go where their prompt began",
}
"""The other fields of a scenario."""

TERMS_LABELS = {
    "multiplier": "factor of region and availability",
    "commitment": "commitment",
    "committed_machines": "committed machines",
    "platform_fee": "fee of the plan counted",
    "free_credit": "credit counted",
    "interruptions_per_h": "expected interruptions an hour",
    "host": "cores and memory",
}
"""Fields of the terms of an offer."""

DEAL_LABELS = {
    "serverless": "Serverless",
    "machines": "Machines by the hour",
    "commitment": "Commitment",
    "exact_machine": "Only the machine of the offer",
}
"""Fields of a deal; the first two are terms."""

_UNSET = {
    "max_replicas": "by the traffic",
    "target_concurrency": "by its GPU",
    "own_start": "none",
    "gpus_per_replica": "the fewest that fit",
    "interruptions_per_h": "as assumed",
    "nodes": "none",
    "autoscaler": "the platform’s",
    "committed_machines": "as many as are up",
}
_SAID_OF_OFFERS = {"usd_per_gpu_h", "priced_on"}
_NO_INPUTS = {"basis", "source_id", "price_kind", "note", "assumed", "featured"}


def inputs_of(a: Study, b: Study) -> tuple[Input, ...]:
    """Return every input in which two studies differ; empty where they are the same."""
    found = [Input(label, x, y) for label, x, y in _pairs(a, b) if x != y]
    labels = {one.label for one in found}
    for name, label in {**SAID_TOGETHER, **SCENARIO_LABELS}.items():
        x, y = (getattr(study.deployment.scenario, name) for study in (a, b))
        if x != y and label not in labels:
            found.append(_input(label, name, x, y))
    found += _terms(a.deal, b.deal)
    if a.api != b.api:
        found.append(Input("Per-token API", _words("api", a.api), _words("api", b.api)))
    found += _rows(a, b, labels)
    if a.trace.digest != b.trace.digest and not any(one.label == "Traffic" for one in found):
        found.append(Input("Traffic", _named(a.trace), _named(b.trace)))
    return tuple(dict.fromkeys(found))


def _pairs(a: Study, b: Study) -> Iterator[tuple[str, str, str]]:
    """Yield what `asked` says of both; an offer under its name, whichever way it is used."""
    said = [
        dict(asked(study.deployment, study.trace, study.tables, study.deal, study.limit_s))
        for study in (a, b)
    ]
    for one in said:
        if "Own nodes" in one:
            one["Serverless offer"] = one.pop("Own nodes")
    for label in dict.fromkeys([*said[0], *said[1]]):
        yield label, said[0].get(label, "none"), said[1].get(label, "none")


def _terms(a: Deal, b: Deal) -> Iterator[Input]:
    for name, label in DEAL_LABELS.items():
        x, y = getattr(a, name), getattr(b, name)
        if x == y:
            continue
        if not isinstance(x, Terms):
            yield _input(label, name, x, y)
            continue
        for inner, words in TERMS_LABELS.items():
            one, other = getattr(x, inner), getattr(y, inner)
            if one != other:
                yield _input(f"{label}: {words}", inner, one, other)


def _rows(a: Study, b: Study, labels: Collection[str]) -> Iterator[Input]:
    """Yield each cell that differs in a row of the tables that both use under one name."""
    for side in ("serverless_offer", "dedicated_offer"):
        keys = {getattr(study.deployment.scenario, side) for study in (a, b)}
        if len(keys) != 1:
            continue
        (key,) = keys
        x, y = (study.tables.offers[key] for study in (a, b))
        said = _SAID_OF_OFFERS if SAID_TOGETHER[side] in labels else set()
        yield from _cells("offers", f"{x.provider} {x.product}", x, y, said)
        for table, of in (("provider_rules", "rules_of"), ("behaviours", "behaviour_of")):
            one, other = getattr(a.tables, of)(x), getattr(b.tables, of)(y)
            yield from _cells(table, f"{one.provider} {one.product}", one, other, set())


def _cells(table: str, whose: str, x: Any, y: Any, said: Collection[str]) -> Iterator[Input]:
    for column in load_columns()[table]:
        one, other = getattr(x, column.column), getattr(y, column.column)
        if one != other and column.column not in said and column.column not in _NO_INPUTS:
            what = f"{spell.lower_first(column.description)} [{column.unit or column.column}]"
            yield Input(f"{whose}: {what}", cell_text(one) or "empty", cell_text(other) or "empty")


def _input(label: str, name: str, x: Any, y: Any) -> Input:
    one, other = _words(name, x), _words(name, y)
    # Two things that read alike and are not the same still are a difference.
    return Input(label, one, other if other != one else f"{other}, another")


def _words(name: str, value: Any) -> str:
    if value is None:
        return _UNSET.get(name, "none")
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return spell.significant(value)
    if name == "own_start":
        return f"yours, {value.model} on {value.gpu}"
    if name == "start_changes":
        return ", ".join(f"{key} {_words('', one)}" for key, one in value) or "none"
    if name == "commitment":
        return f"{value.label}, {spell.percent(value.discount)} off"
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    if dataclasses.is_dataclass(value):
        parts = (
            f"{field.name.replace('_', ' ')} {_words(field.name, one)}"
            for field in dataclasses.fields(value)
            if (one := getattr(value, field.name)) is not None
        )
        return ", ".join(parts) or "by the model’s size"
    return str(value)


def _named(trace: Trace) -> str:
    return f"{trace.name} (fingerprint {trace.digest[:_FINGERPRINT]})"
