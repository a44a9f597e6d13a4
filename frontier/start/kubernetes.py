"""What Kubernetes says of a start: the events of a pod, as text, JSON or YAML. One start a pod.

`kubectl get events` with and without a namespace, `describe pod`, and `-o json` or `-o yaml` of
events and of pods come down to the same list of events, from which the stages before the engine
are taken: allocate, pull, boot, and fetch where a container that starts before the engine fetches
the model. Ages are counted back from when the text was made; ages in whole minutes are too coarse
for a difference and are not used.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from frontier.start.clocks import seconds_of
from frontier.start.lines import Line, ReadLine, StartRun, elapsed_s
from frontier.units import SECONDS_PER_DAY, SECONDS_PER_HOUR, SECONDS_PER_MINUTE

KIND = "Kubernetes events"
_UNITS = {
    "d": SECONDS_PER_DAY,
    "h": SECONDS_PER_HOUR,
    "m": SECONDS_PER_MINUTE,
    "s": 1.0,
    "ms": 1e-3,
}
_PART_RE = re.compile(r"(\d{1,7}(?:\.\d{1,9})?)(ms|[dhms])")
_AGE = r"(?:\d{1,4}d)?(?:\d{1,4}h)?(?:\d{1,4}m)?(?:\d{1,4}s)?"
_EVENT_RE = re.compile(
    r"^(?P<before>[^\n]{0,200}?)\b(?:Normal|Warning)\s{1,40}(?P<reason>[A-Z][A-Za-z]{2,40})\s{1,80}"
    r"(?P<rest>\S[^\n]{0,4000})$"
)
_AGE_RE = re.compile(
    rf"(?P<age>(?=\d){_AGE}|\d{{4}}-\d\d-\d\dT[\d:.]{{8,18}}Z)"
    rf"(?: \(x\d{{1,6}} over (?P<over>(?=\d){_AGE})\))?(?=\s|$)"
)
_OBJECT_RE = re.compile(r"(?P<kind>[a-z]{2,40})/(?P<name>\S{1,253})(?:\s|$)")
_PULLED_RE = re.compile(
    r"Successfully pulled image [^\n]{1,600}? in (?P<took>(?:\d[\d.]{0,12}(?:ms|[hms])){1,4})"
    r"(?: \((?P<whole>(?:\d[\d.]{0,12}(?:ms|[hms])){1,4}) including waiting\))?"
)
_STARTED_RE = re.compile(r"Started container:? (?P<name>[\w.-]{1,100})")
_FIELD_RE = re.compile(r"spec\.(?:initContainers|containers)\{(?P<name>[\w.-]{1,100})\}")
_NAME_RE = re.compile(r"^Name:\s{1,40}(?P<name>\S{1,253})\s*$")
_FETCHES_RE = re.compile(
    r"storage-initializer|modelcar|(?:model|weight|checkpoint|hf|s3|gcs)s?-?(?:\w{1,12}-)?"
    r"(?:load|down|init|fetch|pull|sync|cach|copy|prefetch)|(?:load|download|fetch|init|pull|sync|copy|prefetch)"
    r"(?:er|ing)?-?(?:\w{1,12}-)?(?:model|weight|checkpoint)|downloader|puller",
    re.I,
)
_BESIDE_RE = re.compile(
    r"queue-proxy|istio|linkerd|envoy|vault|otel|fluent|promtail|sidecar|proxy|agent|exporter|metrics",
    re.I,
)
_REASONS = {
    "FailedScheduling": "no node yet",
    "TriggeredScaleUp": "a node is asked for",
    "Scheduled": "on a node",
    "Pulling": "image pull begins",
    "Pulled": "image there",
    "Created": "container made",
    "Started": "container started",
    "BackOff": "a container failed and is started again",
    "Failed": "failure",
    "Killing": "stopped",
    "Evicted": "evicted",
}


_UNKNOWN_INIT = "A container ran before the engine's and its name does not tell why: it is in boot."
_AROUND = ("object", "jsonPayload", "event")
_READINGS = 4
_GAP_RE = re.compile(r"[\s,]*")
_BEFORE_NODE = ("FailedScheduling", "TriggeredScaleUp", "Scheduled")


@dataclass(frozen=True, slots=True)
class _Event:
    pod: str
    reason: str
    message: str
    at_s: float | None
    container: str = ""
    number: int = 0
    beside: bool = False


def read_events(lines: Iterable[Line]) -> tuple[list[_Event], list[ReadLine], set[int]]:
    """Return the events in the text of `kubectl`, and the lines that were read."""
    events: list[_Event] = []
    read: list[ReadLine] = []
    taken: set[int] = set()
    pod, is_past = "a pod", False
    for line in lines:
        name = _NAME_RE.match(line.text)
        if name:
            pod, is_past = name["name"], False
            continue
        event = _text_event(line, pod)
        if event is None:
            continue
        taken.add(line.number)
        if event.pod == pod:
            # A pod gets its node once: whoever waits for one again is another pod.
            if is_past and event.reason in _BEFORE_NODE:
                pod, is_past = f"pod of line {line.number}", False
                event = dataclasses.replace(event, pod=pod)
            is_past = is_past or event.reason in ("Pulling", "Pulled", "Created", "Started")
        if event.reason in _REASONS:
            events.append(event)
            read.append(_as_read(event))
    return events, read, taken


def read_document(text: str, longest: int) -> list[_Event] | None:
    """Return the events of a JSON or YAML document of events or pods; None if it is neither.

    Lines of YAML are cut to `longest` characters.
    """
    head = text.lstrip()[:2000]
    if "kind" not in head and "reason" not in head:
        return None
    documents: list[object]
    if head.startswith(("{", "[")):
        documents = _json(text)
    elif re.search(r"^(?:- )?(?:apiVersion|kind|items):", head, re.M):
        documents = [_yaml(row[:longest] for row in text.splitlines())]
    else:
        return None
    events: list[_Event] = []
    seen = False
    for item in _items(documents):
        kind = str(item.get("kind", ""))
        if kind == "Pod":
            seen = True
            events += _pod_events(item)
        elif item.get("reason") and ("message" in item or "note" in item):
            seen = True
            about = item.get("involvedObject") or item.get("regarding") or {}
            about = about if isinstance(about, dict) else {}
            if about.get("kind", "Pod") == "Pod":
                events.append(_one_event(item, about))
    return [event for event in events if event.reason in _REASONS] if seen else None


def as_read(events: Iterable[_Event]) -> list[ReadLine]:
    """Return what a document said, event by event."""
    return [_as_read(event) for event in events]


def starts_of(events: Iterable[_Event]) -> tuple[list[StartRun], list[str]]:
    """Return one start a pod, and notes."""
    by_pod: dict[str, list[_Event]] = {}
    for event in events:
        by_pod.setdefault(event.pod, []).append(event)
    unnamed = by_pod.pop("", [])
    if unnamed and len(by_pod) == 1:
        next(iter(by_pod.values())).extend(unnamed)
    elif unnamed:
        by_pod[""] = unnamed
    runs: list[StartRun] = []
    notes: dict[str, None] = {}
    for found in by_pod.values():
        stages = _stages_of(found, notes)
        if stages:
            numbers = [event.number for event in found]
            runs.append(StartRun(KIND, min(numbers), max(numbers), stages))
    return runs, list(notes)


def duration_s(text: str) -> float:
    """Return the seconds of a duration as Kubernetes writes it: 1d2h, 3m56.1s, 850ms."""
    return sum(float(value) * _UNITS[unit] for value, unit in _PART_RE.findall(text))


def _as_read(event: _Event) -> ReadLine:
    pulled = _PULLED_RE.search(event.message)
    if pulled:
        seconds = duration_s(pulled["took"])
        text = f"Successfully pulled image in {pulled['took']}"
        return ReadLine(event.number, text, "image pulled", seconds)
    if "already present on machine" in event.message:
        return ReadLine(event.number, "image already present on machine", "image cached", 0.0)
    return ReadLine(event.number, event.reason, f"pod: {_REASONS[event.reason]}")


def _text_event(line: Line, pod: str) -> _Event | None:
    match = _EVENT_RE.match(line.text)
    if not match:
        return None
    rest = match["rest"]
    object_ = _OBJECT_RE.match(rest)
    if object_:
        if object_["kind"] not in ("pod", "pods", "po"):
            return None
        pod, rest = object_["name"], rest[object_.end() :].strip()
        ages = list(_AGE_RE.finditer(match["before"].strip()))
        age = ages[-1] if ages else None
    else:
        age = _AGE_RE.match(rest) or _AGE_RE.search(match["before"].strip())
        if age is None:
            return None
    at_s = _moment(age["over"] or age["age"]) if age else None
    container = _FIELD_RE.search(rest) or _STARTED_RE.search(rest)
    return _Event(
        pod, match["reason"], rest, at_s, container["name"] if container else "", line.number
    )


def _moment(age: str) -> float | None:
    if "T" in age:
        return seconds_of(age)
    seconds = duration_s(age)
    # kubectl leaves the seconds out from ten minutes on.
    coarse = "s" not in age and seconds >= 10 * SECONDS_PER_MINUTE
    return None if coarse else -seconds


def _stages_of(events: list[_Event], notes: dict[str, None]) -> dict[str, float]:
    stages: dict[str, float] = {}

    def first(*reasons: str) -> float | None:
        times = [e.at_s for e in events if e.reason in reasons and e.at_s is not None]
        return min(times) if times else None

    allocated = elapsed_s(first("FailedScheduling", "TriggeredScaleUp"), first("Scheduled"))
    if allocated:
        stages["allocate"] = allocated
    blocks = _containers(events)
    pulls = [block.pull_s for block in blocks if block.pull_s is not None]
    if pulls:
        stages["pull"] = sum(pulls)
    engines = [b for b in blocks if not (_FETCHES_RE.search(b.name) or _BESIDE_RE.search(b.name))]
    engine = max(engines, key=lambda block: block.pull_s or 0.0) if engines else None
    if engine is not None:
        boot = elapsed_s(engine.pulled_s, engine.started_s)
        # Ages have whole seconds: no difference between two is less than one, and not measured.
        if boot:
            stages["boot"] = boot
    until = blocks.index(engine) if engine is not None else len(blocks)
    for block, after in itertools.pairwise(blocks[: until + 1]):
        ran = block.ran_s
        if ran is None:
            ran = elapsed_s(block.started_s, after.begun_s)
        if not ran:
            continue
        if _FETCHES_RE.search(block.name):
            stages["fetch"] = stages.get("fetch", 0.0) + ran
            continue
        stages["boot"] = stages.get("boot", 0.0) + ran
        if not _BESIDE_RE.search(block.name):
            notes[
                "A container ran before the engine's and its name does not tell why: in boot."
            ] = None
    waited_s = sum(block.waited_s for block in blocks)
    if waited_s >= 1:
        notes[
            f"The image waited {waited_s:,.0f} s for other pulls of its node: a start lasted that "
            "much longer, and it is in no stage."
        ] = None
    if any(event.at_s is None for event in events):
        notes[
            "Some events have no time, or an age in whole minutes: too coarse to be subtracted."
        ] = None
    again = sum(event.reason in ("BackOff", "Failed") for event in events)
    if again:
        notes["The events show failures: what a container took is that of its first start."] = None
    return stages


@dataclass(slots=True)
class _Container:
    name: str = ""
    begun_s: float | None = None
    pulled_s: float | None = None
    started_s: float | None = None
    pull_s: float | None = None
    waited_s: float = 0.0
    ran_s: float | None = None


def _containers(events: list[_Event]) -> list[_Container]:
    """Return the containers in the order in which they started."""
    timed = all(event.at_s is not None for event in events)
    ordered = sorted(events, key=lambda event: event.at_s or 0.0) if timed else events
    blocks: list[_Container] = []
    now = _Container()
    for event in ordered:
        if event.reason not in ("Pulling", "Pulled", "Created", "Started"):
            continue
        if event.reason == "Pulling" and (now.pull_s is not None or now.started_s is not None):
            blocks.append(now)
            now = _Container()
        if now.begun_s is None:
            now.begun_s = event.at_s
        if event.reason == "Pulled":
            pulled = _PULLED_RE.search(event.message)
            present = "already present on machine" in event.message
            now.pulled_s = event.at_s
            stated = duration_s(pulled["took"]) if pulled else 0.0 if present else None
            now.pull_s = elapsed_s(now.begun_s, event.at_s) if stated is None else stated
            if pulled and pulled["whole"]:
                now.waited_s = duration_s(pulled["whole"]) - duration_s(pulled["took"])
        elif event.reason == "Started":
            now.name, now.started_s = event.container, event.at_s
            if event.beside:
                now.ran_s = duration_s(event.message)
            blocks.append(now)
            now = _Container()
    if now.begun_s is not None or now.pull_s is not None:
        blocks.append(now)
    return blocks


def _one_event(item: dict[str, object], about: dict[str, object]) -> _Event:
    message = str(item.get("message") or item.get("note") or "")
    meta = item.get("metadata")
    made = meta.get("creationTimestamp") if isinstance(meta, dict) else None
    times = (
        item.get("firstTimestamp"),
        item.get("deprecatedFirstTimestamp"),
        item.get("eventTime"),
        item.get("lastTimestamp"),
        made,
    )
    at_s = next((t for t in map(seconds_of, times) if t is not None), None)
    where = _FIELD_RE.search(str(about.get("fieldPath", ""))) or _STARTED_RE.search(message)
    name = str(about.get("name", ""))
    return _Event(name, str(item["reason"]), message, at_s, where["name"] if where else "", 1)


def _pod_events(item: dict[str, object]) -> Iterator[_Event]:
    """Give the events that the status of a pod implies."""
    meta, status = item.get("metadata"), item.get("status")
    if not isinstance(meta, dict) or not isinstance(status, dict):
        return
    pod = str(meta.get("name", "pod"))
    made = seconds_of(meta.get("creationTimestamp"))
    for condition in _listed(status.get("conditions")):
        if isinstance(condition, dict) and condition.get("type") == "PodScheduled":
            yield _Event(pod, "FailedScheduling", "", made, "", 1)
            yield _Event(
                pod, "Scheduled", "", seconds_of(condition.get("lastTransitionTime")), "", 1
            )
    for group in ("initContainerStatuses", "containerStatuses"):
        for one in _listed(status.get(group)):
            if not isinstance(one, dict):
                continue
            state = one.get("state")
            for name in ("terminated", "running"):
                now = state.get(name) if isinstance(state, dict) else None
                if not isinstance(now, dict):
                    continue
                begun, ended = seconds_of(now.get("startedAt")), seconds_of(now.get("finishedAt"))
                ran = elapsed_s(begun, ended)
                yield _Event(
                    pod,
                    "Started",
                    f"{ran or 0.0:f}s",
                    begun,
                    str(one.get("name", "")),
                    1,
                    beside=ran is not None,
                )


def _listed(found: object) -> list[object]:
    return found if isinstance(found, list) else []


def _items(documents: Iterable[object]) -> Iterator[dict[str, object]]:
    for document in documents:
        if isinstance(document, list):
            yield from _items(document)
        elif isinstance(document, dict):
            inner = document.get("items")
            if isinstance(inner, list):
                yield from _items(inner)
            elif held := next((d for d in map(document.get, _AROUND) if isinstance(d, dict)), None):
                yield from _items([held])
            else:
                yield document


def _json(text: str) -> list[object]:
    """Return the documents of a text: one, one after the other, or one a line."""
    found: list[object] = []
    decoder = json.JSONDecoder()
    at, end, spent = 0, len(text), 0
    while at < end:
        start = _GAP_RE.match(text, at)
        at = start.end() if start else at
        try:
            document, at = decoder.raw_decode(text, at)
        except RecursionError:
            return []
        except json.JSONDecodeError as error:
            # A line that is no JSON holds no event. What is read again and again ends.
            spent += max(0, error.pos - at)
            if spent > _READINGS * end:
                break
            at = text.find("\n", at) + 1 or end
            continue
        found.append(document)
    return found


def _yaml(lines: Iterable[str]) -> object:
    """Return what the plain YAML that `kubectl` writes says: maps, lists and words."""
    rows: list[tuple[int, str]] = []
    for row in lines:
        bare = row.strip()
        if not bare or bare.startswith("#") or bare == "---":
            continue
        indent = len(row) - len(row.lstrip(" "))
        while bare.startswith("- "):
            rows.append((indent, "-"))
            inner = bare[2:]
            indent += 2 + len(inner) - len(inner.lstrip(" "))
            bare = inner.lstrip(" ")
        rows.append((indent, bare))
    root: dict[str, object] = {}
    # Each level: its indent, and the map or list being filled.
    stack: list[tuple[int, dict[str, object] | list[object]]] = [(-1, root)]
    pending: tuple[int, dict[str, object], str] | None = None
    for indent, bare in rows:
        if pending and bare != "-" and indent > pending[0] and not _KEY_RE.match(bare):
            held = pending[1].get(pending[2])
            pending[1][pending[2]] = f"{held or ''} {bare}".strip(" >-|'\"")
            continue
        is_item = bare == "-"
        while len(stack) > 1 and (
            stack[-1][0] > indent
            or (stack[-1][0] == indent and isinstance(stack[-1][1], list) != is_item)
        ):
            # A list may stand at the indent of the key that holds it.
            if is_item and pending and pending[0] == indent and stack[-1][1] is pending[1]:
                break
            stack.pop()
        if is_item:
            if not isinstance(stack[-1][1], list):
                listed: list[object] = []
                if pending:
                    pending[1][pending[2]] = listed
                elif stack[-1][1] is root:
                    root["items"] = listed
                stack.append((indent, listed))
            entry: dict[str, object] = {}
            here = stack[-1][1]
            if isinstance(here, list):
                here.append(entry)
            stack.append((indent + 1, entry))
            pending = None
            continue
        key, _, value = bare.partition(":")
        key, value = key.strip(" '\""), value.strip()
        top = stack[-1][1]
        if pending and indent > pending[0] and pending[1].get(pending[2]) == "":
            child: dict[str, object] = {}
            pending[1][pending[2]] = child
            stack.append((indent, child))
            top = child
        if isinstance(top, dict):
            top[key] = value.strip("'\"")
            pending = (indent, top, key)
    return root


_KEY_RE = re.compile(r"[\w./\"'-]{1,120}:(?:\s|$)")
