"""Bring your own timings: what a start-up log, pod events or a list of seconds say.

`read_start_log` takes the text of a vLLM log (V0 or V1), an SGLang log, `kubectl describe pod` or
`kubectl get events` output, any of these joined together, a CSV of `stage,seconds`, or a bare
list of end-to-end seconds. It returns the seconds of each stage line by line, to be put into a
`ColdStart` in place of the model's, and the host factors they imply.

Only the recognised part of a recognised line is kept; everything else in the text is dropped
here and now. Wording: vLLM 0.6 to 0.27 and SGLang 0.4 to 0.5 as their public issues show it.
"""

from __future__ import annotations

import csv
import dataclasses
import datetime as dt
import math
import re
import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from frontier.coldstart import STAGES, ColdStart, StartInputs
from frontier.errors import InputError
from frontier.tables import Tables, load_tables
from frontier.units import BYTES_PER_MB, SECONDS_PER_DAY, SECONDS_PER_HOUR, SECONDS_PER_MINUTE

TOTAL = "total"
_NUMBER = r"(\d+(?:\.\d+)?)"

# Lines that carry seconds: (event, engine, pattern with one group). Ranks that print the same
# line run side by side, so the longest counts; lines of one event but another `of` add up.
_TIMED = (
    ("download", "vLLM", rf"Time spent downloading weights for \S+ {_NUMBER} s(?:econds)?"),
    ("loading", "vLLM", rf"Loading weights took {_NUMBER} s(?:econds)?"),
    ("model", "vLLM", rf"Model loading took [\d.]+ Gi?B(?: memory)? and {_NUMBER} s(?:econds)?"),
    ("dynamo", "vLLM", rf"Dynamo bytecode transform time: \**{_NUMBER} s"),
    ("inductor", "vLLM", rf"Compiling a graph for (?P<of>.+?) takes {_NUMBER} s"),
    (
        "cached",
        "vLLM",
        rf"Directly load the compiled graph\(s\) for (?P<of>.+?) from the cache, took {_NUMBER} s",
    ),
    ("compile", "vLLM", rf"torch\.compile t(?:akes|ook) \**{_NUMBER} s\**(?: in total)?"),
    ("profiling", "vLLM", rf"Memory profiling takes {_NUMBER} s(?:econds)?"),
    ("capture", "vLLM", rf"Graph capturing finished in \**{_NUMBER} s(?:ecs)?"),
    (
        "init",
        "vLLM",
        rf"init engine \(profile, create kv cache, warmup model\) took \**{_NUMBER} s(?:econds)?",
    ),
    ("model", "SGLang", rf"Load weight end\. elapsed={_NUMBER} s(?:, type=(?P<of>\w+))?"),
    (
        "capture",
        "SGLang",
        rf"Capture (?P<of>[\w ]*?)cuda graph end\. (?:Time elapsed: |elapsed=){_NUMBER} s",
    ),
)
# Lines whose time stamp matters.
_STAMPED = (
    ("load_begin", r"Starting to load model"),
    ("load_begin", r"Load weight begin\."),
    ("load_end", r"Loading model weights took [\d.]+ GB"),
    ("load_end", r"Load weight end\."),
    ("init_end", r"init engine \(profile, create kv cache, warmup model\) took"),
    ("capture_begin", r"Capture [\w ]*?cuda graph begin"),
    ("capture_end", r"Capture [\w ]*?cuda graph end"),
    ("cache_hit", r"Directly (?:load|lookup) (?:the (?:compiled )?graph|AOT compilation)"),
    ("ready", r"Application startup complete"),
    ("ready", r"The server is fired up and ready to roll"),
)
_TIMED_RE = tuple((event, engine, re.compile(p, re.I)) for event, engine, p in _TIMED)
_STAMPED_RE = tuple((event, re.compile(pattern, re.I)) for event, pattern in _STAMPED)
_NAME_RE = re.compile(r"weights for \S+")
_STAMP_RE = re.compile(
    r"(?P<iso>\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(?:\.\d{1,6})?)"
    r"|\b(?P<short>\d{2}-\d{2} \d{2}:\d{2}:\d{2})\b"
)
_DURATION = r"(?:\d+h)?(?:\d+m(?!s))?(?:\d+(?:\.\d+)?s|\d+(?:\.\d+)?ms)?"
_AGE_RE = re.compile(
    r"^\s*(?P<age>(?:\d+d)?(?:\d+h)?(?:\d+m)?(?:\d+s)?)?\s*(?:Normal|Warning)\s+"
    r"(?P<reason>[A-Z]\w+)\s+(?P<after>(?:\d+d)?(?:\d+h)?(?:\d+m)?(?:\d+s)?)(?:\s|$)"
)
_OVER_RE = re.compile(r"\(x\d+ over (?P<age>[\ddhms]+)\)")
_PULLED_RE = re.compile(rf"Successfully pulled image \S+ in (?P<took>{_DURATION})")
_PRESENT_RE = re.compile(r"Container image \S+ already present on machine")
_POD_REASONS = ("FailedScheduling", "TriggeredScaleUp", "Scheduled", "Pulling", "Pulled", "Started")
_LOOKED_FOR = (
    "vLLM: 'Loading weights took 3.2 seconds', 'Model loading took 14.9 GiB and 4.1 seconds', "
    "'torch.compile takes 23.4 s in total', 'Graph capturing finished in 11 secs', 'init engine "
    "(profile, create kv cache, warmup model) took 46.5 seconds'; SGLang: 'Load weight end. "
    "elapsed=8.01 s', 'Capture cuda graph end. Time elapsed: 7.00 s'; Kubernetes: 'Successfully "
    "pulled image \"…\" in 3m56s'; or lines 'stage,seconds' such as 'compile,23.4'; or plain "
    "seconds such as '43.2, 51.0, 47.7'"
)


@dataclass(frozen=True, slots=True)
class ReadLine:
    """One recognised line.

    Attributes
    ----------
    number : int
        Line of the text, from 1.
    text : str
        The recognised part, and no more of the line.
    meaning : str
        What it was taken to say.
    seconds : float or None
        The seconds it states or implies [s].
    """

    number: int
    text: str
    meaning: str
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class StartLog:
    """What a text says about one start or several.

    Attributes
    ----------
    kind : str
        What the text was taken for.
    lines : tuple of ReadLine
        What was recognised, in order.
    runs_s : dict of stage to tuple of float
        Measured seconds by stage, one a start; ``total`` for whole starts [s].
    compile_state : str or None
        ``cold`` or ``cached``, where the text shows it.
    notes : tuple of str
        What the reader of the result should know.
    """

    kind: str
    lines: tuple[ReadLine, ...]
    runs_s: dict[str, tuple[float, ...]]
    compile_state: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def stage_s(self) -> dict[str, float]:
        """Median seconds of each stage the text gives, in the order of `STAGES` [s]."""
        return {s: statistics.median(self.runs_s[s]) for s in STAGES if s in self.runs_s}

    @property
    def modelled(self) -> tuple[str, ...]:
        """Stages that stay the model's."""
        return tuple(name for name in STAGES if name not in self.runs_s)

    def apply(self, start: ColdStart) -> ColdStart:
        """Return the start with the measured stages, and the measured totals, in place."""
        for name, runs in self.runs_s.items():
            start = start.with_measured(name, runs)
        return start

    def host_factors(self, inputs: StartInputs, tables: Tables | None = None) -> dict[str, float]:
        """Return the factors over the fast bare-metal host that the measured stages imply [1].

        Parameters
        ----------
        inputs : StartInputs
            The start the text is of: its model, GPUs and capture sizes.

        Returns
        -------
        dict
            ``engine_init_factor``, ``compile_factor`` and ``capture_factor``, as far as measured:
            measured seconds over those the model gives a host of factor 1.
        """
        plain = dataclasses.replace(
            inputs,
            engine_init_factor=1.0,
            compile_factor=1.0,
            capture_factor=1.0,
            compile_state=self.compile_state or inputs.compile_state,
        ).predict(tables or load_tables())
        found = {}
        for stage, name in (
            ("engine_init", "engine_init_factor"),
            ("compile", "compile_factor"),
            ("graph_capture", "capture_factor"),
        ):
            measured_s, model_s = self.stage_s.get(stage), plain[stage].median_s
            if measured_s and model_s:
                found[name] = measured_s / model_s
        return found

    def calibrate(self, inputs: StartInputs, tables: Tables | None = None) -> StartInputs:
        """Return the inputs with those host factors, to predict other models on this host."""
        return dataclasses.replace(inputs, **self.host_factors(inputs, tables))

    def own_start(
        self,
        inputs: StartInputs,
        *,
        model: str,
        precision: str,
        gpu: str,
        tables: Tables | None = None,
    ) -> OwnStart:
        """Return what a scenario needs of this log: a start of that model on that GPU."""
        return OwnStart(
            model=model,
            precision=precision,
            gpu=gpu,
            runs_s=tuple(self.runs_s.items()),
            host_factors=tuple(self.host_factors(inputs, tables).items()),
            compile_state=self.compile_state,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnStart:
    """A start as the user measured it: hashable, so that results can be kept under it.

    Attributes
    ----------
    model, precision, gpu : str
        What was started. The seconds hold for that alone; the host factors hold for any model.
    runs_s : tuple of (stage, seconds)
        Measured runs by stage, ``total`` for whole starts [s].
    host_factors : tuple of (name, factor)
        Fields of `StartInputs` that the runs imply [1].
    compile_state : str or None
        ``cold`` or ``cached``, where it is known.
    """

    model: str
    precision: str
    gpu: str
    runs_s: tuple[tuple[str, tuple[float, ...]], ...]
    host_factors: tuple[tuple[str, float], ...] = ()
    compile_state: str | None = None

    def is_of(self, model: str, precision: str, gpu: str) -> bool:
        """Whether these are starts of that model on that GPU."""
        return (self.model, self.precision, self.gpu) == (model, precision, gpu)

    def calibrate(self, inputs: StartInputs) -> StartInputs:
        """Return the inputs with the user's host factors and compile state."""
        state = {"compile_state": self.compile_state} if self.compile_state else {}
        return dataclasses.replace(inputs, **dict(self.host_factors), **state)

    def apply(self, start: ColdStart) -> ColdStart:
        """Return the start with the measured seconds in place of the predicted ones."""
        for name, runs in self.runs_s:
            start = start.with_measured(name, runs)
        return start


def read_start_log(text: str, tables: Tables | None = None) -> StartLog:
    """Return what a text says about the stages of a start.

    Parameters
    ----------
    text : str
        A log, pod events, both, a CSV of ``stage,seconds`` or a list of end-to-end seconds.

    Raises
    ------
    InputError
        If nothing in it is recognised; the message shows what was looked for. If a CSV names an
        unknown stage or a bad number; the message names the row. If the text is larger, or a
        time longer, than data/settings.csv allows.
    """
    tables = tables or load_tables()
    most_bytes = tables.setting("start_log_max_bytes")
    if len(text.encode("utf-8", "replace")) > most_bytes:
        raise InputError(
            f"The text is larger than {most_bytes / BYTES_PER_MB:g} MB. Keep the lines from the "
            "start of the engine until it is ready."
        )
    log = _read(text)
    longest_s = tables.setting("start_longest_s")
    for name, runs in log.runs_s.items():
        if max(runs) > longest_s:
            raise InputError(
                f"{name}: {max(runs):,.0f} s is longer than a start can be believed to take "
                f"({longest_s:,.0f} s). Give seconds, not milliseconds."
            )
    return log


def _read(text: str) -> StartLog:
    if not text.strip():
        raise InputError(f"The text is empty. Expected one of: {_LOOKED_FOR}.")
    rows = [line.strip() for line in text.splitlines()]
    if _is_csv(rows):
        return _read_csv(rows)
    totals = _totals(text)
    if totals:
        return StartLog(
            "list of whole starts",
            tuple(ReadLine(i, f"{s:g}", "a whole start", s) for i, s in enumerate(totals, 1)),
            {TOTAL: totals},
        )
    return _read_log(text.splitlines())


def _is_csv(rows: Iterable[str]) -> bool:
    first = next((row for row in rows if row and not row.startswith("#")), "")
    cells = [cell.strip().casefold() for cell in first.split(",")]
    return cells[:2] == ["stage", "seconds"] or (len(cells) == 2 and cells[0] in (*STAGES, TOTAL))


def _read_csv(rows: list[str]) -> StartLog:
    runs: dict[str, list[float]] = {}
    lines = []
    for number, cells in enumerate(csv.reader(rows), start=1):
        if not cells or cells[0].startswith("#") or cells[0].strip().casefold() == "stage":
            continue
        stage = cells[0].strip().casefold()
        if stage not in (*STAGES, TOTAL):
            raise InputError(
                f"row {number}: expected a stage, one of {', '.join((*STAGES, TOTAL))}, found "
                f"'{cells[0].strip()[:40]}'"
            )
        seconds = _seconds(cells[1] if len(cells) > 1 else "")
        if seconds is None:
            found = cells[1].strip()[:40] if len(cells) > 1 else ""
            raise InputError(
                f"row {number}, column seconds: expected a number of seconds of at least 0, found "
                f"'{found}'"
            )
        runs.setdefault(stage, []).append(seconds)
        lines.append(ReadLine(number, f"{stage},{seconds:g}", f"{stage}, measured", seconds))
    if not runs:
        raise InputError("The CSV has a header but no rows. Expected lines such as 'compile,23.4'.")
    return StartLog("CSV of stages", tuple(lines), {s: tuple(v) for s, v in runs.items()})


def _totals(text: str) -> tuple[float, ...]:
    """Return the numbers of a text that holds nothing but seconds; empty for any other."""
    parts = re.sub(r"(?i)(?<=\d)\s*(?:s|secs?|seconds)\b", " ", text).replace(",", " ")
    values = [_seconds(part) for part in parts.replace(";", " ").split()]
    if not values or any(value is None for value in values):
        return ()
    found = tuple(value for value in values if value is not None)
    if min(found) <= 0:
        raise InputError("A whole start lasts more than 0 s; the list holds a zero.")
    return found


def _seconds(text: str) -> float | None:
    try:
        value = float(text.strip())
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


@dataclass(slots=True)
class _Run:
    """What one start in a log has said so far."""

    timed: dict[str, dict[str, float]] = dataclasses.field(default_factory=dict)
    stamps: dict[str, dt.datetime] = dataclasses.field(default_factory=dict)
    pod: dict[str, float] = dataclasses.field(default_factory=dict)
    first: dt.datetime | None = None
    pull_s: float | None = None
    hit: bool = False

    def seconds(self, event: str) -> float | None:
        """Return the longest over ranks, summed over what the event is of."""
        parts = self.timed.get(event)
        return sum(parts.values()) if parts else None

    def between(self, begin: dt.datetime | None, end: str) -> float | None:
        """Return the seconds from a time to a stamped event, if both are there, in order."""
        last = self.stamps.get(end)
        if begin is None or last is None:
            return None
        seconds = (last - begin).total_seconds()
        # Out of order, or clocks of two formats: not a duration.
        return seconds if 0 <= seconds <= SECONDS_PER_DAY else None


def _read_log(rows: list[str]) -> StartLog:
    lines: list[ReadLine] = []
    runs: list[_Run] = []
    kinds: dict[str, None] = {}
    run = _Run()
    for number, row in enumerate(rows, start=1):
        pod = _pod_event(run, number, row)
        if pod:
            kinds["Kubernetes events"] = None
            lines.append(pod)
            continue
        stamp = _stamp(row)
        if stamp and run.first is None:
            run.first = stamp
        found = _engine_line(run, number, row, stamp, kinds)
        if found:
            lines.append(found)
        if "ready" in run.stamps or (found and found.meaning == "ready"):
            runs.append(run)
            run = _Run()
    # What follows the last ready line is a start only if it says something of a stage.
    if run.timed or run.pod or run.pull_s is not None or "load_end" in run.stamps:
        runs.append(run)
    stages: dict[str, list[float]] = {}
    states = set()
    for one in runs:
        for name, seconds in _stages_of(one).items():
            stages.setdefault(name, []).append(seconds)
        if one.hit or "cached" in one.timed:
            states.add("cached")
        elif "inductor" in one.timed:
            states.add("cold")
    if not stages:
        raise InputError(f"Nothing in the text was recognised. Looked for {_LOOKED_FOR}.")
    notes = []
    if "engine_init" in stages:
        notes.append(
            "engine_init counts from the first line of the log; imports before it are not in it."
        )
    if any(one.timed.keys() & {"model", "loading"} and "download" not in one.timed for one in runs):
        notes.append("Reading weights and copying them were logged as one: all of it is in fetch.")
    if "SGLang" in kinds and "compile" not in stages:
        notes.append("SGLang names no compilation: set the compile cache to none if it does none.")
    if any("init" in one.timed and not _named(one, "capture") for one in runs):
        notes.append("The engine names no graph capture: what it took is in kv_cache.")
    return StartLog(
        " and ".join(kinds) or "log",
        tuple(lines),
        {name: tuple(stages[name]) for name in STAGES if name in stages},
        states.pop() if len(states) == 1 else None,
        tuple(notes),
    )


def _engine_line(
    run: _Run, number: int, row: str, stamp: dt.datetime | None, kinds: dict[str, None]
) -> ReadLine | None:
    result = None
    for event, engine, pattern in _TIMED_RE:
        match = pattern.search(row)
        if not match:
            continue
        seconds = float(next(g for g in reversed(match.groups()) if g and _seconds(g) is not None))
        of = (match.groupdict().get("of") or "").strip().casefold()
        parts = run.timed.setdefault(event, {})
        parts[of] = max(parts.get(of, 0.0), seconds)
        kinds[engine] = None
        text = _NAME_RE.sub("weights for …", match.group(0))
        result = ReadLine(number, text, _MEANINGS[event], seconds)
        break
    for event, pattern in _STAMPED_RE:
        match = pattern.search(row)
        if not match:
            continue
        run.hit = run.hit or event == "cache_hit"
        if stamp and (not event.endswith("begin") or event not in run.stamps):
            run.stamps[event] = stamp
        if result is None:
            result = ReadLine(number, match.group(0), _MEANINGS[event])
        break
    return result


_MEANINGS = {
    "download": "weights downloaded",
    "loading": "weights read and copied",
    "model": "model loaded, download included",
    "dynamo": "compile: tracing",
    "inductor": "compile: code generation",
    "cached": "compile: cached graph loaded",
    "compile": "compile, in all",
    "profiling": "memory profiling",
    "capture": "graph capture",
    "init": "profiling, compile, cache and capture together",
    "load_begin": "loading begins",
    "load_end": "weights loaded",
    "init_end": "engine ready",
    "capture_begin": "graph capture begins",
    "capture_end": "graph capture ends",
    "cache_hit": "compile cache hit",
    "ready": "ready",
}


def _stages_of(run: _Run) -> dict[str, float]:
    """Return the stages one start gives [s].

    The engine's own sums nest: "init engine" holds compilation, profiling and capture, and
    "model loading" holds the download; what is named inside is taken out.
    """
    stages: dict[str, float] = {}
    if run.pull_s is not None:
        stages["pull"] = run.pull_s
    elif "Pulling" in run.pod and "Pulled" in run.pod:
        stages["pull"] = max(0.0, run.pod["Pulled"] - run.pod["Pulling"])
    if "Scheduled" in run.pod and ("FailedScheduling" in run.pod or "TriggeredScaleUp" in run.pod):
        waited = [run.pod[r] for r in ("FailedScheduling", "TriggeredScaleUp") if r in run.pod]
        stages["allocate"] = max(0.0, run.pod["Scheduled"] - min(waited))
    if "Started" in run.pod and "Pulled" in run.pod:
        stages["boot"] = max(0.0, run.pod["Started"] - run.pod["Pulled"])

    begin = run.stamps.get("load_begin")
    engine = run.between(run.first, "load_begin")
    if engine is not None:
        stages["engine_init"] = engine
    download = run.seconds("download")
    model = run.seconds("model")
    if model is None:
        loading = run.seconds("loading")
        stamped = run.between(begin, "load_end")
        model = None if loading is None else loading + (download or 0.0)
        model = stamped if model is None else model
    if model is not None and download is not None:
        stages["fetch"] = download
        stages["load"] = max(0.0, model - download)
    elif model is not None:
        # Read and copied in one: the longer of the two, which the read is.
        stages["fetch"], stages["load"] = model, 0.0

    parts = [run.seconds(event) for event in ("dynamo", "inductor", "cached")]
    named = sum(part for part in parts if part is not None)
    compile_s = max(run.seconds("compile") or 0.0, named)
    if compile_s:
        stages["compile"] = compile_s
    capture = run.seconds("capture")
    if capture is None:
        capture = run.between(run.stamps.get("capture_begin"), "capture_end")
    if capture is not None:
        stages["graph_capture"] = capture
    init, profiling = run.seconds("init"), run.seconds("profiling")
    if init is not None:
        stages["kv_cache"] = max(0.0, init - compile_s - (capture or 0.0))
    elif profiling is not None:
        stages["kv_cache"] = max(0.0, profiling - compile_s)
    elif "load_end" in run.stamps:
        pool = run.between(run.stamps["load_end"], "capture_begin")
        if pool is not None:
            stages["kv_cache"] = pool
    if init is not None:
        # Whatever is not named inside "init engine" did not happen or is in kv_cache already.
        stages.setdefault("compile", 0.0)
        stages.setdefault("graph_capture", 0.0)
    whole = run.between(run.first, "ready")
    inside = ("engine_init", "fetch", "load", "compile", "kv_cache", "graph_capture")
    last = run.stamps.get("init_end") or run.stamps.get("capture_end")
    other = run.between(last, "ready")
    if whole is not None and set(inside) <= set(stages):
        stages["other"] = max(0.0, whole - sum(stages[name] for name in inside))
    elif other is not None:
        stages["other"] = other
    return stages


def _named(run: _Run, event: str) -> bool:
    return event in run.timed or f"{event}_end" in run.stamps


def _stamp(row: str) -> dt.datetime | None:
    match = _STAMP_RE.search(row)
    if not match:
        return None
    try:
        if match["iso"]:
            return dt.datetime.fromisoformat(match["iso"].replace(" ", "T"))
        # The log has no year; a leap year lets every day of it be read.
        return dt.datetime.strptime(f"2000-{match['short']}", "%Y-%m-%d %H:%M:%S")
    except ValueError:
        return None


def _pod_event(run: _Run, number: int, row: str) -> ReadLine | None:
    pulled = _PULLED_RE.search(row)
    present = _PRESENT_RE.search(row)
    event = _AGE_RE.search(row)
    reason = event["reason"] if event else None
    if event and reason in _POD_REASONS:
        over = _OVER_RE.search(row)
        age = over["age"] if over else event["age"] or event["after"]
        if age and reason not in run.pod:
            # Ages count backwards from when the text was made.
            run.pod[reason] = -_duration_s(age)
    if pulled:
        seconds = _duration_s(pulled["took"])
        run.pull_s = (run.pull_s or 0.0) + seconds
        text = f"Successfully pulled image in {pulled['took']}"
        return ReadLine(number, text, "image pulled", seconds)
    if present:
        run.pull_s = run.pull_s or 0.0
        return ReadLine(number, "image already present on machine", "image cached", 0.0)
    if event and reason in _POD_REASONS:
        return ReadLine(number, str(reason), f"pod event {reason}")
    return None


def _duration_s(text: str) -> float:
    """Return the seconds of a duration as Kubernetes writes it: 1d2h, 3m56.1s, 850ms."""
    units = {
        "d": SECONDS_PER_DAY,
        "h": SECONDS_PER_HOUR,
        "m": SECONDS_PER_MINUTE,
        "s": 1.0,
        "ms": 1e-3,
    }
    return sum(
        float(value) * units[unit]
        for value, unit in re.findall(r"(\d+(?:\.\d+)?)(ms|[dhms])", text)
    )
