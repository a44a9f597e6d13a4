"""Bring your own timings: what a start-up log, pod events or a list of seconds say.

`read_start_log` takes the text of an engine's log, of `kubectl describe pod` or `get events` (text,
JSON or YAML), any of these joined together, a CSV of `stage,seconds`, or a bare list of end-to-end
seconds. It returns the starts it holds, stage by stage and line by line, to be put into a
`ColdStart` in place of the model's, and the host factors they imply.

Only the recognised part of a recognised line is kept; everything else in the text is dropped here
and now. What lines mean is in `engines` and `kubernetes`, what numbers mean in `seconds`.
"""

from __future__ import annotations

import dataclasses
import re
import statistics
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from frontier.boundary import check_text, reads
from frontier.errors import InputError
from frontier.start import engines, kubernetes
from frontier.start.carriers import lines_of
from frontier.start.labels import STAGE_LABELS, in_sentence
from frontier.start.lines import ReadLine, StartRun, decode
from frontier.start.lists import plain_rows
from frontier.start.predict import StartInputs
from frontier.start.seconds import TOTAL, is_stages, read_stages, read_totals
from frontier.start.stages import STAGES, ColdStart
from frontier.tables import Tables, load_tables
from frontier.units import BYTES_PER_MB

_USABLE = (
    "Usable are: the start-up log of vLLM, SGLang, TGI, Ollama, llama.cpp, TensorRT-LLM or "
    "LMDeploy, with lines such as 'Loading weights took 3.2 seconds'; the events of a pod "
    "(kubectl describe pod, get events); lines such as 'compile,23.4'; seconds such as "
    "'43.2, 51.0, 47.7'."
)
_LOOKS = (
    (r"<!doctype html|<html", "a web page"),
    (r"NVIDIA-SMI", "the output of nvidia-smi"),
    (r"Traceback \(most recent call last\)|Error: ", "the report of an error"),
    (r"^\[GIN\] |\"(?:GET|POST) /[^\"]{0,200} HTTP/", "a log of requests"),
    (r"\A\s{0,20}(?:\{\s{0,20}\"|\[\s{0,20}[\[{\"])", "JSON without events of pods"),
    (r"^(?:apiVersion|kind|services|version): ?", "a manifest"),
    (r"\A[^\n:]{1,500}[,;][^\n:]{0,500}$", "a table that does not begin with stage,seconds"),
    (r"\d\d:\d\d:\d\d", "a log with time stamps and no line about a start that is known"),
)


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
    starts : tuple of StartRun
        Every start the text holds, failed ones too; empty for lists.
    within : tuple of (stage, stage)
        Stages whose seconds are logged inside those of another.
    total_is_whole : bool
        Whether ``total`` is the whole start. That of a log begins with the engine, and is shown
        but not put in place of the model's.
    unread : tuple of int
        Lines that state seconds and were not understood.
    """

    kind: str
    lines: tuple[ReadLine, ...]
    runs_s: dict[str, tuple[float, ...]]
    compile_state: str | None = None
    notes: tuple[str, ...] = ()
    starts: tuple[StartRun, ...] = ()
    within: tuple[tuple[str, str], ...] = ()
    total_is_whole: bool = True
    unread: tuple[int, ...] = ()

    @property
    def stage_s(self) -> dict[str, float]:
        """Median seconds of each stage the text gives, in the order of `STAGES` [s]."""
        return {s: statistics.median(self.runs_s[s]) for s in STAGES if s in self.runs_s}

    @property
    def modelled(self) -> tuple[str, ...]:
        """Stages that stay the model's."""
        held = {name for name, _ in self.within}
        return tuple(name for name in STAGES if name not in self.runs_s and name not in held)

    @property
    def failed(self) -> tuple[StartRun, ...]:
        """The starts that failed; none of their seconds count."""
        return tuple(run for run in self.starts if run.failed)

    def apply(self, start: ColdStart) -> ColdStart:
        """Return the start with the measured stages, and the measured totals, in place."""
        return _apply(start, self._used, self.within)

    @property
    def _used(self) -> tuple[tuple[str, tuple[float, ...]], ...]:
        return tuple(
            (name, runs)
            for name, runs in self.runs_s.items()
            if name != TOTAL or self.total_is_whole
        )

    def host_factors(self, inputs: StartInputs, tables: Tables) -> dict[str, float]:
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
        ).predict(tables)
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

    def calibrate(self, inputs: StartInputs, tables: Tables) -> StartInputs:
        """Return the inputs with those host factors, to predict other models on this host."""
        factors: dict[str, Any] = {**self.host_factors(inputs, tables)}
        return dataclasses.replace(inputs, **factors)

    def own_start(
        self,
        inputs: StartInputs,
        *,
        model: str,
        precision: str,
        gpu: str,
        tables: Tables,
    ) -> OwnStart:
        """Return what a scenario needs of this log: a start of that model on that GPU."""
        return OwnStart(
            model=model,
            precision=precision,
            gpu=gpu,
            runs_s=self._used,
            within=self.within,
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
    within : tuple of (stage, stage)
        Stages whose seconds are in those of another.
    """

    model: str
    precision: str
    gpu: str
    runs_s: tuple[tuple[str, tuple[float, ...]], ...]
    host_factors: tuple[tuple[str, float], ...] = ()
    compile_state: str | None = None
    within: tuple[tuple[str, str], ...] = ()

    def is_of(self, model: str, precision: str, gpu: str) -> bool:
        """Whether these are starts of that model on that GPU."""
        return (self.model, self.precision, self.gpu) == (model, precision, gpu)

    def calibrate(self, inputs: StartInputs) -> StartInputs:
        """Return the inputs with the user's host factors and compile state."""
        known: dict[str, Any] = dict(self.host_factors)
        if self.compile_state:
            known["compile_state"] = self.compile_state
        return dataclasses.replace(inputs, **known)

    def apply(self, start: ColdStart) -> ColdStart:
        """Return the start with the measured seconds in place of the predicted ones."""
        return _apply(start, self.runs_s, self.within)


def _apply(
    start: ColdStart,
    runs_s: tuple[tuple[str, tuple[float, ...]], ...],
    within: tuple[tuple[str, str], ...],
) -> ColdStart:
    for name, runs in runs_s:
        start = start.with_measured(name, runs)
    for name, holder in within:
        # No time of its own: the log counts it in another stage.
        start = start.with_measured(name, 0.0).replace(name, note=f"measured within {holder}")
    return start


@reads("The start-up log")
def read_start_log(text: str | bytes, tables: Tables | None = None) -> StartLog:
    """Return what a text says about the stages of a start.

    Parameters
    ----------
    text : str or bytes
        A log, pod events, both, a CSV of ``stage,seconds`` or a list of end-to-end seconds; bytes
        in UTF-8, UTF-16 or UTF-32.
    tables : Tables, optional
        For the limits; those that ship unless given.

    Raises
    ------
    InputError
        If nothing in it is recognised, or every start in it failed; the message says what the
        text looks like and what would be usable. If a number can be meant in two ways; the
        message asks. If a CSV names an unknown stage or a bad number; the message names the row.
        If the text is larger, or a time longer, than data/settings.csv allows.
    """
    tables = tables or load_tables()
    most_bytes = tables.setting("start_log_max_bytes")
    size = len(text) if isinstance(text, bytes) else len(text.encode("utf-8", "replace"))
    if size > most_bytes:
        raise InputError(
            f"The text is larger than {most_bytes / BYTES_PER_MB:g} MB. Keep the lines from the "
            "start of the engine until it is ready."
        )
    if isinstance(text, bytes):
        check_text(text, "A start-up log is text")
    whole = decode(text)
    lines, most_lines = whole.count("\n"), int(tables.setting("start_log_max_lines"))
    if lines > most_lines:
        raise InputError(
            f"The text has {lines:,} lines; up to {most_lines:,} are read. Keep those from the "
            "start of the engine until it is ready."
        )
    log = _read(whole, tables)
    longest_s = tables.setting("start_longest_s")
    for name, runs in log.runs_s.items():
        if max(runs) > longest_s:
            raise InputError(
                f"{name}: {max(runs):,.0f} s is longer than a start can be believed to take "
                f"({longest_s:,.0f} s). Give seconds, not milliseconds."
            )
    return log


def _read(text: str, tables: Tables) -> StartLog:
    if not text.strip():
        raise InputError(f"The text is empty. {_USABLE}")
    longest = int(tables.setting("start_log_line_characters"))
    ask_s = tables.setting("start_ask_s")
    whole_rows = text.splitlines()
    rows = [row[:longest].strip() for row in whole_rows]
    too_long = next((n for n, row in enumerate(whole_rows, 1) if len(row) > longest), None)
    most = int(tables.setting("start_list_max_lines"))
    listed = _list_of(rows[:most], ask_s, lambda: _refuse_long(too_long, longest))
    if listed is not None:
        if len(rows) > most:
            raise InputError(
                f"The list has {len(rows):,} lines; starts are read up to {most:,}. Keep those "
                "of the machine and model you ask about."
            )
        return listed
    events = kubernetes.read_document(text, longest)
    if events is not None:
        pods, notes = kubernetes.starts_of(events)
        return _log(text, pods, kubernetes.as_read(events), notes, [])
    lines, carried = lines_of(text, longest)
    events, read, taken = kubernetes.read_events(lines)
    pods, notes = kubernetes.starts_of(events)
    rest = (line for line in lines if line.number not in taken)
    runs_, found, said, unread = engines.read_engines(rest)
    cut = sum(line.cut for line in lines)
    if cut:
        said.append(f"{cut} lines longer than {longest:,} characters were cut there.")
    good = [run for run in runs_ if not run.failed]
    if len(pods) == 1 and len(good) == 1:
        # One pod and one start of an engine are the same start.
        both = dataclasses.replace(
            good[0],
            kind=f"{kubernetes.KIND} and {good[0].kind}",
            first_line=min(pods[0].first_line, good[0].first_line),
            stage_s=_joined(pods[0].stage_s, good[0].stage_s),
            within={
                name: "load" if "fetch" in pods[0].stage_s and holder == "fetch" else holder
                for name, holder in good[0].within.items()
                if not ("fetch" in pods[0].stage_s and name == "load")
            },
        )
        pods, runs_ = [], [both if run is good[0] else run for run in runs_]
    read = sorted([*read, *found], key=lambda line: line.number)
    return _log(text, [*pods, *runs_], read, [*carried, *notes, *said], unread)


def _list_of(rows: list[str], ask_s: float, check: Callable[[], None]) -> StartLog | None:
    """Return what a list of seconds says; None for a text that is none."""
    rows = plain_rows(rows)
    if is_stages(rows):
        check()
        runs, read = read_stages(rows, ask_s)
        return StartLog("CSV of stages", tuple(read), {s: tuple(v) for s, v in runs.items()})
    totals = read_totals("\n".join(rows), ask_s)
    if not totals:
        return None
    check()
    return StartLog(
        "list of whole starts",
        tuple(ReadLine(i, f"{s:g}", "a whole start", s) for i, s in enumerate(totals, 1)),
        {TOTAL: totals},
    )


def _refuse_long(number: int | None, longest: int) -> None:
    # Half a list is not the list; of a log, the lines that matter are short.
    if number is not None:
        raise InputError(
            f"Line {number} of the list is longer than {longest:,} characters. Write one start, "
            "or one stage and its seconds, on each line."
        )


def _joined(pod: dict[str, float], engine: dict[str, float]) -> dict[str, float]:
    """Return the stages of a pod and its engine; what both name comes one after the other."""
    joined = {name: pod.get(name, 0.0) + engine.get(name, 0.0) for name in {**pod, **engine}}
    if "fetch" in pod and "fetch" in engine:
        # The container before the engine fetched; what the engine then read, it loaded.
        joined["fetch"] = pod["fetch"]
        joined["load"] = engine["fetch"] + engine.get("load", 0.0)
    return joined


def _log(
    text: str,
    starts: list[StartRun],
    read: list[ReadLine],
    notes: list[str],
    unread: list[int],
) -> StartLog:
    good = [run for run in starts if not run.failed]
    failed = [run for run in starts if run.failed]
    if failed and not any(run.stage_s for run in good):
        raise InputError(
            f"The text shows {len(failed)} failed start{'s' * (len(failed) > 1)} and none that "
            f"came to be ready ({failed[0].failed}, line {failed[0].last_line}): a start that "
            "failed measures nothing. Paste the log of one that succeeded."
        )
    stages: dict[str, list[float]] = {}
    for run in good:
        for name, seconds in run.stage_s.items():
            stages.setdefault(name, []).append(seconds)
        if run.total_s is not None:
            stages.setdefault(TOTAL, []).append(run.total_s)
    if not set(stages) - {TOTAL}:
        raise InputError(_what_it_looks_like(text, read))
    within: dict[str, str] = {}
    for name, holder in (pair for run in good for pair in run.within.items()):
        if holder in stages and name not in stages:
            within[name] = holder
    mixed = {
        holder
        for run in good
        for name, holder in run.within.items()
        if name in stages and any(name in other.stage_s for other in good)
    }
    for holder in mixed:
        apart = [
            run.stage_s[holder]
            for run in good
            if holder in run.stage_s
            and not any(h == holder and n in stages for n, h in run.within.items())
        ]
        if apart and len(apart) < len(stages[holder]):
            notes.append(
                f"{len(stages[holder]) - len(apart)} starts log other stages inside "
                f"{in_sentence(holder)}: their {in_sentence(holder)} is left out."
            )
            stages[holder] = apart
    kinds = dict.fromkeys(run.kind for run in good if run.stage_s)
    if failed:
        why = Counter(run.failed for run in failed)
        notes.append(
            f"{len(failed)} failed start{'s' * (len(failed) > 1)} left out: "
            + "; ".join(f"{reason} ({count})" for reason, count in why.items())
            + "."
        )
    if "engine_init" in stages:
        notes.append(
            f"{STAGE_LABELS['engine_init']} counts from the first line of the log; imports before "
            "it are not in it."
        )
    for holder in dict.fromkeys(within.values()):
        held = ", ".join(in_sentence(name) for name, where in within.items() if where == holder)
        notes.append(f"Not logged apart, but counted in {in_sentence(holder)}: {held}.")
    if unread:
        shown = ", ".join(map(str, unread[:5]))
        notes.append(
            f"{len(unread)} lines state seconds and were not understood (first: line {shown})."
            if len(unread) > 1
            else f"One line states seconds and was not understood (line {shown})."
        )
    states = {run.compile_state for run in good if run.compile_state}
    return StartLog(
        " and ".join(kinds),
        tuple(read),
        {name: tuple(stages[name]) for name in (*STAGES, TOTAL) if name in stages},
        states.pop() if len(states) == 1 else None,
        tuple(notes),
        tuple(starts),
        tuple(within.items()),
        total_is_whole=False,
        unread=tuple(unread),
    )


def _what_it_looks_like(text: str, read: list[ReadLine]) -> str:
    if read:
        return (
            f"Of a start the text says too little ({read[0].meaning}, line "
            f"{read[0].number}): none of its lines gives the seconds of a stage. {_USABLE}"
        )
    head = text[:20_000]
    looks = next((words for pattern, words in _LOOKS if re.search(pattern, head, re.I | re.M)), "")
    return f"Nothing in the text was recognised; it looks like {looks or 'plain words'}. {_USABLE}"
