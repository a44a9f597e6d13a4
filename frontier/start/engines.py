"""What the lines of serving engines say of a start: patterns, runs and their stages.

vLLM (V0 and V1), SGLang, TGI, Ollama, llama.cpp, TensorRT-LLM and LMDeploy. A run ends when its
own engine says it is ready, when it fails, or where the next start begins. Within one process,
parts that follow each other (a model and its drafter) add up; processes that print the same line
run side by side, and the slowest counts. Patterns are bounded, so that no line can hold them up.
"""

# ruff: noqa: E501 - a pattern that is broken up cannot be compared with the line it matches.

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from frontier.start.lines import Line, ReadLine, StartRun, between

_N = r"(?P<s>\d{1,9}(?:\.\d{1,9})?)"
_SEC = r" ?s(?:ec(?:ond)?s?)?\b"
# Final line of a progress bar: "100%|####| 12/12 [01:02<00:00, …]".
_BAR = r"100%[^\[]{0,200}\[(?P<bar>(?:\d{1,2}:)?\d{1,2}:\d\d)<"

# event, engine ("" where several print it), pattern, meaning
_PATTERNS = (
    ("banner", "vLLM", r"vLLM API server version|█ {1,20}version \d", "start of the engine"),
    ("engine", "vLLM", r"Initializing an? (?:V\d )?LLM engine", "engine begins"),
    ("banner", "SGLang", r"server_args=ServerArgs\(", "start of the engine"),
    ("engine", "SGLang", r"Init torch distributed begin", "engine begins"),
    ("banner", "TGI", r"text_generation_launcher: Args \{", "start of the engine"),
    ("banner", "Ollama", r'msg="?starting (?:llama[ -]server|runner)', "start of the runner"),
    ("banner", "llama.cpp", r"^(?:[\d.]{10,20} I )?build: \d{1,6} \(", "start of the engine"),
    ("banner", "TensorRT-LLM", r"TensorRT-LLM version: |TensorRT LLM version: ", "start of the engine"),
    ("banner", "LMDeploy", r"lmdeploy - INFO - [^\n]{0,60}input backend=", "start of the engine"),
    ("fetched", "", rf"Time spent downloading weights for \S{{1,300}} {_N}{_SEC}", "weights downloaded"),
    ("fetch_begin", "TGI", r"Starting (?:check and )?download process", "download begins"),
    ("fetch_end", "TGI", r"Successfully downloaded weights", "weights downloaded"),
    ("drafter", "vLLM", r"Loading drafter model", "drafter begins to load"),
    ("load_begin", "vLLM", r"Starting to load model", "loading begins"),
    ("load_begin", "SGLang", r"Load weight begin", "loading begins"),
    ("load_begin", "llama.cpp", r"load_model: loading model|load_tensors: loading model tensors|(?:^|\s)(?:main|llama_server): loading model\s*$", "loading begins"),
    ("loading", "vLLM", rf"Loading weights took {_N}{_SEC}", "weights read and copied"),
    ("model", "vLLM", rf"Model loading took [\d.]{{1,12}} Gi?B(?: memory)? and {_N}{_SEC}", "model loaded, download included"),
    ("model", "vLLM", rf"Loading model weights took [\d.]{{1,12}} Gi?B and {_N}{_SEC}", "model loaded, download included"),
    ("load_end", "vLLM", r"Loading model weights took [\d.]{1,12} Gi?B", "weights loaded"),
    ("model", "SGLang", rf"Load weight end\. elapsed={_N}{_SEC}(?:, type=(?P<of>\w{{1,80}}))?", "model loaded, download included"),
    ("load_end", "SGLang", r"Load weight ends?\.", "weights loaded"),
    ("summary", "SGLang", r"Engine startup timings \(s\): (?P<timings>[\w={}., ]{1,600})", "what each stage took"),
    ("shards", "", rf"Loading (?:safetensors|pt|bin) checkpoint shards: {_BAR}", "weights read, by the bar"),
    ("shards", "", r"(?:Loading (?:safetensors|pt|bin) checkpoint|Multi-thread loading) shards: 100% Completed[^\[]{0,60}\[(?P<bar>(?:\d{1,2}:)?\d{1,2}:\d\d)<", "weights read, by the bar"),
    ("stream", "", rf"\[RunAI Streamer\] Overall time to stream [^:\n]{{1,60}}: {_N} ?s", "weights streamed"),
    ("stream", "", rf"Deserialized [\d.]{{1,12}} ?[KMG]i?B in {_N} ?s", "weights deserialised"),
    ("stream", "", rf"Loading (?:safetensors using InstantTensor loader|fastsafetensors checkpoint shards|safetensors using Runai Model Streamer)[^\n]{{0,20}}{_BAR}", "weights streamed"),
    ("stream", "", r"Loading safetensors using [^\n]{1,40}: 100% Completed[^\[]{0,60}\[(?P<bar>(?:\d{1,2}:)?\d{1,2}:\d\d)<", "weights streamed"),
    ("prefetch", "", rf"Prefetching checkpoint files into page cache finished in {_N} ?s", "files prefetched beside the loading"),
    ("shard", "TGI", rf"Shard ready in (?:(?P<ms>\d{{1,9}}(?:\.\d{{1,9}})?)ms|{_N} ?s)", "shard started and loaded"),
    ("warm", "TGI", r"Warming up model", "warm-up begins"),
    ("ready", "TGI", r"text_generation_router[^\n]{0,120}: Connected", "ready"),
    ("runner", "Ollama", rf"llama(?: runner|-server) started in {_N}{_SEC}", "runner started and model loaded"),
    ("loaded_ms", "llama.cpp", r"load time ?= {1,12}(?P<ms>\d{1,9}(?:\.\d{1,6})?) ms", "model loaded"),
    ("ready", "llama.cpp", r"(?:main|llama_server): model loaded|server is listening on \S{1,80} - starting the main loop", "ready"),
    ("loading", "TensorRT-LLM", rf"Model init total -- {_N} ?s|Load(?:ing)? engine takes:? (?P<s2>\d{{1,9}}(?:\.\d{{1,9}})?) ?s", "model loaded"),
    ("bar", "TensorRT-LLM", rf"^Loading weights: {_BAR}", "weights loaded"),
    ("bar", "LMDeploy", rf"(?:Convert to turbomind format|Loading weights from safetensors): {_BAR}", "weights loaded"),
    ("engine", "TensorRT-LLM", r"\[TRT-LLM\]|\[TensorRT-LLM\]", ""),
    ("ready", "LMDeploy", r"HINT: +Please open", "ready"),
    ("dynamo", "vLLM", rf"Dynamo bytecode transform time: \**{_N} ?s", "compile: tracing"),
    ("inductor", "", rf"Compiling a graph for (?P<of>[^\n]{{1,60}}?) takes {_N} ?s", "compile: code generation"),
    ("cached", "vLLM", rf"Directly load the compiled graph\(s\) for (?P<of>[^\n]{{1,60}}?) from the cache, took {_N} ?s", "compile: cached graph loaded"),
    ("cache_hit", "vLLM", r"Directly (?:load|lookup) (?:the (?:compiled )?graph|AOT compilation)", "compile cache hit"),
    ("compile", "vLLM", rf"torch\.compile t(?:akes|ook) \**{_N} ?s", "compile, in all"),
    ("profiling", "vLLM", rf"Memory profiling (?:takes|took|results: duration=) ?{_N}{_SEC}", "memory profiling"),
    ("warmup", "vLLM", rf"Initial profiling/warmup run took {_N}{_SEC}", "profiling run"),
    ("kernels", "", r"Autotuning process (?:starts|ends)|FlashInfer autotune|DeepGEMM warm-?up|DeepGEMM JIT|Kernel JIT monitor|Warming up (?:FlashInfer|DeepGEMM)", "kernels compiled or tuned, within the stage around"),
    ("eager", "", r"Cudagraph is disabled under eager mode|enforce_eager=True|Enforce eager set|disable_cuda_graph=True", "no compilation, no graphs"),
    ("capture", "vLLM", rf"Graph capturing finished in \**{_N}{_SEC}", "graph capture"),
    ("capture", "SGLang", rf"Capture (?P<of>[\w ]{{0,40}}?)cuda graph end\. (?:Time elapsed: |elapsed=){_N} ?s", "graph capture"),
    ("capture_begin", "SGLang", r"Capture [\w ]{0,40}?cuda graph begin", "graph capture begins"),
    ("capture_end", "SGLang", r"Capture [\w ]{0,40}?cuda graph end", "graph capture ends"),
    ("init", "vLLM", rf"init engine \(profile, create kv cache, warmup model\) took \**{_N} ?s\w{{0,6}}\**(?: \(compilation: (?P<compilation>\d{{1,9}}(?:\.\d{{1,9}})?) ?s)?", "profiling, compile, cache and capture together"),
    ("ready", "SGLang", r"The server is fired up and ready to roll", "ready"),
    ("ready", "", r"Application startup complete", "ready"),
    ("asleep", "", rf"It took {_N}{_SEC} to fall asleep", "fell asleep, no part of a start"),
    ("awake", "", rf"It took {_N}{_SEC} to wake up", "woke up, no part of a start"),
    ("failed", "", r"Engine core initialization failed|EngineCore failed to start|Engine core proc[^\n]{0,40} died|CUDA out of memory|OutOfMemoryError|Application startup failed|Scheduler hit an exception|Received sigquit from a child process|ShardCannotStart|Shard process was signaled|Shard complete standard error|error loading model|runner process has terminated|timed out waiting for llama[ -]|Segmentation fault|core dumped|OOMKilled|exited with code [1-9]", "failure"),
    ("error", "", r"(?:^|\s)(?:[\w]{1,30}\.){0,4}[A-Z]\w{1,40}(?:Error|Exception): \S", ""),
)  # fmt: skip
_RE = tuple((e, g, re.compile(p, re.I), m) for e, g, p, m in _PATTERNS)
_NAME_RE = re.compile(r"weights for \S+")
_SERVING_RE = re.compile(r'"(?:GET|POST) /|Avg prompt throughput|(?:Decode|Prefill) batch|\[GIN\]')
_SECONDS_RE = re.compile(r"\d (?:s|secs?|seconds)\b|\ds\b(?!/)")
_EAGER_RE = re.compile(r"(?:enforce_eager|disable_cuda_graph)['\"]?[=:] ?True")
_TIMING_RE = re.compile(r"(\w{1,40})=(\d{1,9}(?:\.\d{1,9})?)")
_GRAPHS_RE = re.compile(r"cuda_graph=\{([^{}]{0,400})\}")
_EARLY = ("banner", "engine", "load_begin", "loading", "model", "fetch_begin", "fetched")
_QUIET = (
    "banner",
    "engine",
    "kernels",
    "shards",
    "asleep",
    "awake",
    "failed",
    "error",
    "eager",
    "prefetch",
)
_FIRST = ("banner", "engine", "load_begin", "fetch_begin")
_INIT_HOLDS = ("compile", "graph_capture")


# A line, and what its text was recognised as: event, engine, match, meaning.
_Found = tuple[str, str, re.Match[str], str]
_Matched = tuple[Line, _Found | None]


@dataclass(slots=True)
class _Run:
    """What one start has said so far."""

    engine: str = ""
    # event -> process -> part -> what it is of -> longest [s]
    timed: dict[str, dict[str, dict[int, dict[str, float]]]] = field(default_factory=dict)
    part: dict[str, int] = field(default_factory=dict)
    last: dict[str, str] = field(default_factory=dict)
    seen: dict[str, Line] = field(default_factory=dict)
    ended: dict[str, Line] = field(default_factory=dict)
    begun: set[tuple[str, str]] = field(default_factory=set)
    loads: dict[str, Line] = field(default_factory=dict)
    first: Line | None = None
    first_line: int = 0
    last_line: int = 0
    compilation_s: float = 0.0
    summary_s: dict[str, float] = field(default_factory=dict)
    failure: str = ""
    error: str = ""

    def seconds(self, event: str) -> float | None:
        """Return what follows in one process summed, over processes the longest [s]."""
        tags = self.timed.get(event)
        if not tags:
            return None
        return max(sum(sum(of.values()) for of in parts.values()) for parts in tags.values())

    def add(self, event: str, tag: str, of: str, seconds: float) -> None:
        parts = self.timed.setdefault(event, {}).setdefault(tag, {})
        kept = parts.setdefault(self.part.get(tag, 0), {})
        kept[of] = max(kept.get(of, 0.0), seconds)

    @property
    def is_something(self) -> bool:
        """Whether it says something of a stage, not only that it began."""
        return bool(self.timed) or any(event not in _QUIET for event in self.seen)

    @property
    def is_new(self) -> bool:
        """Whether nothing of a start was seen since the last one."""
        return not self.timed and not self.seen

    @property
    def is_through(self) -> bool:
        """Whether the last stage before readiness was reached."""
        return "init" in self.seen or "capture" in self.seen or "runner" in self.seen


def read_engines(
    lines: Iterable[Line],
) -> tuple[list[StartRun], list[ReadLine], list[str], list[int]]:
    """Return the starts in a log, the lines read, notes, and lines with seconds left unread."""
    runs: list[StartRun] = []
    read: list[ReadLine] = []
    unread: list[int] = []
    wakes: list[float] = []
    for part in _replicas([(line, _match(line)) for line in lines]):
        found, of_part, woken, left = _read_one(part)
        runs += found
        read += of_part
        wakes += woken
        unread += left
    notes = []
    if wakes:
        notes.append(
            f"{len(wakes)} wake-ups from sleep, the longest {max(wakes):g} s: they are no starts "
            "and in no stage."
        )
    return (
        sorted(runs, key=lambda run: run.first_line),
        sorted(read, key=lambda line: line.number),
        notes,
        sorted(unread),
    )


def _replicas(everything: list[_Matched]) -> list[list[_Matched]]:
    """Return the lines replica by replica, where the text holds several that begin."""
    by_source: dict[str, list[_Matched]] = {}
    begun: set[str] = set()
    says: set[str] = {""}
    source = ""
    for line, found in everything:
        # What has no prefix goes on from the line before.
        source = line.source or source
        by_source.setdefault(source, []).append((line, found))
        if found is not None and found[0] in ("banner", "engine", "load_begin"):
            begun.add(source)
        if found is not None:
            says.add(source)
    if len(begun - {""}) > 1:
        return list(by_source.values())
    if says.issuperset(by_source):
        return [everything]
    # What stands between, as the requests of a proxy, is none of the engine's.
    beside = {name for name in by_source if name not in says}
    source, engine = "", []
    for line, found in everything:
        source = line.source or source
        if source not in beside:
            engine.append((line, found))
    return [engine, *(by_source[name] for name in beside)]


def _read_one(
    lines: Iterable[_Matched],
) -> tuple[list[StartRun], list[ReadLine], list[float], list[int]]:
    """Return what the lines of one replica say: starts, lines read, wake-ups, lines unread."""
    runs: list[StartRun] = []
    read: list[ReadLine] = []
    unread: list[int] = []
    wakes: list[float] = []
    run = _Run()
    told_s: float | None = None

    def close(failed: str = "") -> None:
        nonlocal run
        if run.is_something or (run.failure and run.first):
            runs.append(_as_start(run, failed))
        run = _Run()

    for line, found in lines:
        if found is None:
            if _SERVING_RE.search(line.text) and not run.is_something:
                run.first = None
            elif _SECONDS_RE.search(line.text):
                unread.append(line.number)
            if run.first is None and not _SERVING_RE.search(line.text) and _clock(line):
                run.first, run.first_line = line, line.number
            continue
        event, engine, match, meaning = found
        if (
            event == "ready"
            and not engine
            and run.engine in ("SGLang", "TGI", "llama.cpp", "Ollama")
        ):
            continue
        if event in _EARLY and _begins_anew(run, event, engine, line):
            close(
                ""
                if run.is_through and not run.failure
                else run.failure or run.error or "a new start began before it was ready"
            )
        seconds = _seconds(match)
        if event == "runner" and run.is_new and seconds == told_s:
            continue  # said again by the next one that waited for it
        if meaning:
            text = _NAME_RE.sub("weights for …", match[0].strip())
            read.append(ReadLine(line.number, text[:200], meaning, seconds))
        if event in ("asleep", "awake"):
            wakes += [seconds] if event == "awake" and seconds is not None else []
            continue
        if run.first is None and _clock(line):
            run.first = line
        run.first_line = run.first_line or line.number
        run.last_line = line.number
        if engine and event != "failed":
            run.engine = run.engine or engine
        if event == "failed":
            run.failure = run.failure or f"the log says '{match[0].strip()[:60]}'"
            continue
        if event == "error":
            # No failure by itself: a start that goes on and is ready has survived it.
            run.error = run.error or f"the log ends after '{match[0].split(':')[0].strip()[:60]}'"
            continue
        _follow(run, event, line, match, seconds)
        if event in ("banner", "engine") and _EAGER_RE.search(line.text):
            run.seen.setdefault("eager", line)
        told_s = seconds if event == "runner" else None
        if event in ("ready", "runner"):
            close()
    close(run.failure or ("" if run.is_through else run.error))
    return runs, read, wakes, unread


def _clock(line: Line) -> bool:
    return line.engine_s is not None or line.carrier_s is not None


def _match(line: Line) -> _Found | None:
    for event, engine, pattern, meaning in _RE:
        match = pattern.search(line.text)
        if match:
            return event, engine, match, meaning
    return None


def _seconds(match: re.Match[str]) -> float | None:
    groups = match.groupdict()
    if groups.get("bar"):
        seconds = 0.0
        for part in groups["bar"].split(":"):
            seconds = 60 * seconds + int(part)
        return seconds
    if groups.get("ms"):
        return float(groups["ms"]) / 1e3
    stated = groups.get("s") or groups.get("s2")
    return float(stated) if stated else None


def _begins_anew(run: _Run, event: str, engine: str, line: Line) -> bool:
    """Whether this line cannot belong to the start so far."""
    if not run.is_something and not run.failure:
        return event == "banner" and ("banner", line.tag) in run.begun
    if run.failure or event == "banner" or (run.error and event == "load_begin" and run.timed):
        return True
    if engine and run.engine and engine != run.engine:
        return True
    if "init" in run.seen and event != "engine":
        return True
    if event in ("loading", "model", "load_begin") and "capture" in run.seen:
        return run.engine == "vLLM"
    tag = line.tag
    if event == "engine":
        return bool(engine) and (event, tag) in run.begun and run.engine != "TensorRT-LLM"
    # Ranks of one start begin side by side: only the same process can begin again, and a model
    # that follows another within the loading is a drafter.
    return event == "load_begin" and bool(run.timed.keys() & {"dynamo", "compile", "profiling"})


def _follow(run: _Run, event: str, line: Line, match: re.Match[str], seconds: float | None) -> None:
    tag = line.tag
    before = run.last.get(tag, "")
    if event in ("load_begin", "drafter", "dynamo") and (
        event == "drafter"
        or before in ("loading", "model", "load_end", "compile", "warmup", "capture")
    ):
        # A second model in the same process: its seconds come after the first one's.
        run.part[tag] = run.part.get(tag, 0) + 1
    if event not in ("kernels", "prefetch", "stream", "inductor", "cached", "cache_hit", "eager"):
        run.last[tag] = event
    if event in _FIRST:
        run.begun.add((event, tag))
    if event == "load_begin":
        run.loads.setdefault(tag, line)
    elif event in ("load_end", "model") and tag in run.loads:
        loaded = between(run.loads.pop(tag), line)
        if loaded is not None:
            run.add("by_clock", tag, "", loaded)
    run.seen.setdefault(event, line)
    run.ended[event] = line
    of = (match.groupdict().get("of") or "").strip().casefold()
    if seconds is not None:
        run.add(event, tag, of, seconds)
    if event in ("model", "load_end") and "capture_begin" not in run.seen:
        run.ended["weights"] = line
    if event == "model":
        run.ended["load_end"] = line
    elif event == "capture":
        run.ended["capture_end"] = line
    if event == "summary":
        run.summary_s = _summary(match["timings"])
    if match.groupdict().get("compilation"):
        run.compilation_s = max(run.compilation_s, float(match["compilation"]))


def _summary(text: str) -> dict[str, float]:
    """Return what SGLang sums up of its start, all graphs together [s]."""
    graphs = _GRAPHS_RE.search(text)
    inner = graphs[1] if graphs else ""
    outer = {name: float(s) for name, s in _TIMING_RE.findall(_GRAPHS_RE.sub("", text))}
    return {**outer, "cuda_graph": sum(float(s) for _, s in _TIMING_RE.findall(inner))}


def _as_start(run: _Run, failed: str) -> StartRun:
    stages, within = _stages_of(run)
    # Nothing between two stamps is too short for the clock, or cut away: it is not measured.
    shown = _INIT_HOLDS if "eager" in run.seen else ()
    empty = [name for name, s in stages.items() if s <= 0 and name not in shown]
    for name in empty:
        del stages[name]
    # Where the parts make up the engine's whole sum, no more of it may be added from the model.
    holder = next((name for name in ("graph_capture", "compile") if name in stages), None)
    if "kv_cache" in empty and "init" in run.seen and holder:
        within["kv_cache"] = holder
    if "load" in empty and "fetch" in stages:
        within["load"] = "fetch"
    state = None
    if "cache_hit" in run.seen or "cached" in run.seen:
        state = "cached"
    elif "inductor" in run.seen and run.engine != "SGLang":
        state = "cold"
    total = between(run.first, run.seen.get("ready"))
    if "runner" in run.seen:
        total = run.seconds("runner")
    elif total is None:
        total = run.summary_s.get("tokenizer_e2e")
    return StartRun(
        run.engine or "log",
        run.first_line or run.last_line,
        run.last_line,
        stages,
        within,
        total or None,
        failed,
        state,
    )


def _stages_of(run: _Run) -> tuple[dict[str, float], dict[str, str]]:
    """Return the stages one start gives [s], and which ones are inside others.

    The engine's own sums nest: "init engine" holds compilation, profiling and capture, and
    "model loading" holds the download; what is named inside is taken out.
    """
    stages: dict[str, float] = {}
    within: dict[str, str] = {}
    if "runner" in run.seen:
        stages["fetch"] = run.seconds("runner") or 0.0
        held = ("engine_init", "load", "compile", "kv_cache", "graph_capture", "other")
        return stages, dict.fromkeys(held, "fetch")
    begin = run.seen.get("load_begin")
    engine = between(run.first, begin)
    if engine is not None and run.first is not begin:
        stages["engine_init"] = engine
    _weights(run, stages, within)
    if "shard" in run.seen:
        stages["load"] = run.seconds("shard") or 0.0
        within["engine_init"] = "load"
        warm = between(run.seen.get("warm"), run.seen.get("ready"))
        if warm is not None:
            stages["kv_cache"] = warm
            within |= dict.fromkeys(_INIT_HOLDS, "kv_cache")
        whole = between(run.first, run.seen.get("ready"))
        if whole is not None and warm is not None:
            stages["other"] = max(0.0, whole - sum(stages.values()))
        return stages, within

    parts = [run.seconds(event) for event in ("dynamo", "inductor", "cached")]
    named = sum(part for part in parts if part is not None)
    compile_s = max(run.seconds("compile") or 0.0, named, run.compilation_s)
    capture = run.seconds("capture")
    if capture is None:
        capture = run.summary_s.get("cuda_graph") or None
    if run.engine == "SGLang" and capture is not None:
        # SGLang compiles inside the capture, or not at all.
        compile_s = 0.0
        within["compile"] = "graph_capture"
    if compile_s:
        stages["compile"] = compile_s
    if capture is not None:
        stages["graph_capture"] = capture
    init, profiling = run.seconds("init"), run.seconds("profiling")
    if init is not None:
        stages["kv_cache"] = max(0.0, round(init - compile_s - (capture or 0.0), 6))
        eager = "eager" in run.seen
        for name in _INIT_HOLDS:
            if name not in stages and eager:
                stages[name] = 0.0
            elif name not in stages:
                within[name] = "kv_cache"
    elif profiling is not None:
        stages["kv_cache"] = max(0.0, profiling - compile_s)
    elif "warmup" in run.seen:
        stages["kv_cache"] = run.seconds("warmup") or 0.0
    else:
        pool = between(run.ended.get("weights"), run.seen.get("capture_begin"))
        if pool is None:
            pool = run.summary_s.get("kv_cache_allocation")
        if pool is not None:
            stages["kv_cache"] = pool
    if "eager" in run.seen and init is None:
        stages.setdefault("graph_capture", 0.0)
    _rest(run, stages)
    return stages, within


def _weights(run: _Run, stages: dict[str, float], within: dict[str, str]) -> None:
    download = run.seconds("fetched")
    if download is None:
        download = between(run.seen.get("fetch_begin"), run.ended.get("fetch_end"))
    model = run.seconds("model")
    if model is None:
        loading = run.seconds("loading")
        model = None if loading is None else loading + (download or 0.0)
    if model is None:
        for event in ("bar", "stream", "loaded_ms", "by_clock"):
            model = run.seconds(event) if model is None else model
    if model is None:
        model = run.summary_s.get("load_weight") or run.seconds("shards")
    if model is None and run.engine == "llama.cpp":
        model = between(run.seen.get("load_begin"), run.seen.get("ready"))
    if download is not None:
        stages["fetch"] = download
        if model is not None:
            stages["load"] = max(0.0, model - download)
    elif model is not None:
        # Read and copied in one: the longer of the two, which the read is.
        stages["fetch"] = model
        within["load"] = "fetch"


def _rest(run: _Run, stages: dict[str, float]) -> None:
    inside = ("engine_init", "fetch", "compile", "kv_cache", "graph_capture")
    whole = between(run.first, run.seen.get("ready"))
    if whole is not None and set(inside) <= set(stages):
        known = sum(stages.get(name, 0.0) for name in (*inside, "load"))
        stages["other"] = max(0.0, whole - known)
        return
    last = run.ended.get("init") or run.ended.get("capture_end")
    other = between(last, run.seen.get("ready"))
    if other is not None:
        stages["other"] = other
