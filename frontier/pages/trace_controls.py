"""The bar's part about traffic: generated or uploaded, questions on a file, rescaling.

What the reader of files cannot know it asks, one question after the other; every answer stays on
screen and can be changed. What is done to a trace afterwards is written into its name and its
report, so that whatever shows a result shows that too.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import streamlit as st

from frontier import spell, units
from frontier.answers import ANSWERS
from frontier.errors import FrontierError, InputError
from frontier.pages import late, link, made_with, mishap, session, several_traces, text
from frontier.pages.several_traces import FileRead, Several
from frontier.pages.store import store
from frontier.scope import badge, date_of
from frontier.tables import Example, Tables, TracePreset
from frontier.trace import (
    READ,
    Decided,
    PathCount,
    Together,
    Trace,
    TraceQuestion,
    UnknownFormat,
    example_trace,
    generate_trace,
    lay_over_shape,
    read_trace,
    scale_rate,
    warm_reader,
    with_cached_share,
)
from frontier.trace.checks import TIME_UNITS
from frontier.trace.paths import generates

UPLOAD = "upload"
_FILE_KEPT = "trace_kept"
_AS_RECORDED = "recorded"
_FOUND = "found"
_UNIT_WORDS = {
    _FOUND: "As found",
    **{name: f"{one.words[:1].upper()}{one.words[1:]}" for name, one in TIME_UNITS.items()},
}
_ROLE_WORDS = {
    "time": "Time of arrival",
    "prompt_tokens": "Prompt tokens",
    "output_tokens": "Output tokens",
    "model": "Model",
    "session_id": "Conversation",
    "requests": "Requests in this row, if it counts several",
    "bucket_end": "End of the row's bucket",
    "bucket_length": "Length of the row's bucket",
}
_NO_COLUMN = ""
_BAR_AFTER_S, _BAR_EVERY_S = 0.4, 0.1


@dataclass(frozen=True, slots=True)
class Traffic:
    """What the bar says about traffic.

    Attributes
    ----------
    trace : Trace or None
        The traffic, if there is any yet.
    is_upload : bool
        Whether it is the user's own.
    problem : str or None
        Why there is no trace, as a sentence.
    redraw : callable or None
        Makes the same traffic with the luck of another draw (1, 2, …); None where nothing in it
        was drawn.
    together : Together or None
        Whose each request is, where several traces were added up.
    """

    trace: Trace | None
    is_upload: bool
    problem: str | None = None
    redraw: Callable[[int], Trace] | None = None
    together: Together | None = None


@dataclass(frozen=True, slots=True)
class _Reshaping:
    """What is done to a trace after it was read or generated."""

    shape: str = _AS_RECORDED
    days: float = 0.0
    factor: float = 1.0
    seed: int = 0
    cached_share: float = 0.0

    @property
    def is_drawn(self) -> bool:
        """Whether luck is in it."""
        return self.shape != _AS_RECORDED or self.factor != 1.0

    @property
    def is_any(self) -> bool:
        return self.is_drawn or self.cached_share > 0.0

    def words(self, tables: Tables) -> str:
        """Return what is done, for the name of the trace and the bar."""
        words = []
        if self.shape != _AS_RECORDED:
            words.append(f"over {self.days:g} days like {tables.trace_shapes[self.shape].label}")
        if self.factor != 1.0:
            words.append(f"× {self.factor:g}")
        if self.cached_share:
            words.append(f"{spell.percent(self.cached_share)} of a prompt in a warm cache")
        return ", ".join(words)

    def apply(self, trace: Trace, tables: Tables, draw: int = 0) -> Trace:
        """Return the trace laid over its shape, then scaled, and named after both."""
        if not self.is_any:
            return trace
        name, seed = f"{trace.name}, {self.words(tables)}", self.seed + draw
        # What is left out is left out first: the less there is to lay over a week.
        if self.factor < 1.0:
            trace = scale_rate(trace, self.factor, seed, tables)
        if self.shape != _AS_RECORDED:
            trace = lay_over_shape(trace, self.shape, self.days, seed, tables=tables)
        if self.factor > 1.0:
            trace = scale_rate(trace, self.factor, seed, tables)
        if trace.prefix_parent is None:
            trace = with_cached_share(trace, self.cached_share)
        return dataclasses.replace(trace, name=name)


def traffic_in_words(tables: Tables) -> str:
    """Return the traffic as its chip shows it, in Markdown."""
    choice = link.picked(**_choices(tables))
    if choice != UPLOAD:
        example = tables.examples.get(choice)
        usual = (example or tables.trace_presets[choice]).requests_per_day
        row = tables.settings["traffic_requests_per_day"]
        rate = link.settled(row, key="requests_per_day", default=usual)
        return f"{_labels(tables)[choice]} · {rate:,.0f} requests a day"
    upload = next(iter(late.files("trace_file")), st.session_state.get(_FILE_KEPT))
    if upload is None and made_with.wants(made_with.TRACE):
        return "Example in place of a trace"
    if upload is None:
        return "Your own trace"
    others = len(several_traces.files())
    return spell.count(others + 1, "trace") if others else text.plain(upload.name)


def _choices(tables: Tables) -> dict[str, Any]:
    others = [key for key in tables.trace_presets if key not in tables.examples]
    options = [*tables.examples, UPLOAD, *others]
    return {"options": options, "default": options[0], "key": "traffic"}


def _labels(tables: Tables) -> dict[str, str]:
    labels = {key: preset.label for key, preset in tables.trace_presets.items()}
    labels |= {key: example.label for key, example in tables.examples.items()}
    return {UPLOAD: "Your own trace", **labels}


def traffic_section(tables: Tables) -> Traffic:
    """Draw the section; return the traffic it makes, or why there is none."""
    choice = link.pick("Traffic", **_choices(tables), format_func=_labels(tables).__getitem__)
    if choice != UPLOAD:
        made_with.drop(made_with.TRACE)
    try:
        return _uploaded(tables) if choice == UPLOAD else _generated(choice, tables)
    except FrontierError as error:
        return Traffic(None, choice == UPLOAD, str(error))


# --- Generated ----------------------------------------------------------------------------------


def _generated(choice: str, tables: Tables) -> Traffic:
    example: Example | None = tables.examples.get(choice)
    preset = tables.trace_presets[example.preset if example else choice]
    about = example.description if example else preset.description
    st.caption(
        f"Generated after {text.plain(tables.source_of(preset).title)}: {text.plain(about)}."
    )
    with st.expander("Change this traffic"):
        requests = _number(
            "Requests a day",
            "requests_per_day",
            tables,
            default=example.requests_per_day if example else preset.requests_per_day,
            help="The mean; a drawn trace has about that many.",
        )
        days = _number("Days", "days", tables, default=example.days if example else None, step=1.0)
        seed = int(
            _number("Seed", "seed", tables, default=example.seed if example else None, whole=True)
        )
        reshaping = _reshaping(tables, seed, None)
    _check_size(requests * days * reshaping.factor, tables)

    def made(draw: int) -> Trace:
        def make() -> Trace:
            trace = generate_trace(
                preset.preset,
                seed=seed + draw,
                days=days,
                requests_per_day=None if requests == preset.requests_per_day else requests,
                tables=tables,
            )
            return reshaping.apply(trace, tables, draw)

        # Other draws are looked at once; keeping them would push out what is looked at often.
        if draw:
            return make()
        key = ("generated", *_rows_of(preset, tables), seed, days, requests, reshaping)
        return store(private=False).get_or_make(key, make)

    _say_assumed(reshaping, tables)
    return Traffic(made(0), False, redraw=made)


def _rows_of(preset: TracePreset, tables: Tables) -> tuple[Any, ...]:
    """Return all that a generator reads: a session may have changed it."""
    names = (preset.prompt_tokens, preset.output_tokens, preset.turns, preset.turn_gap_s)
    return (
        preset,
        tables.trace_shapes[preset.shape],
        *(tables.trace_quantiles[name] for name in names if name),
        tables.setting("rate_noise_s"),
        tables.setting("trace_warm_up_days"),
    )


# --- Uploaded -----------------------------------------------------------------------------------


def _uploaded(tables: Tables) -> Traffic:
    upload = st.file_uploader(
        # Of any name: what a file is shows in its content, and logs are rotated to access.log.1.
        "Trace file",
        key="trace_file",
        on_change=mishap.safe(_forget_upload),
        help="A log of requests as CSV, JSON, JSONL or Parquet; an access log (nginx, Envoy, "
        "Ollama, uvicorn and others); or counts: by the minute from Prometheus, Grafana, "
        "CloudWatch or Datadog, or a table with requests and tokens by hour or day. gzip "
        "allowed. Read in memory, never written to disk.",
    )
    upload = _kept(upload)
    if upload is None:
        warm_reader()  # so that the file that is about to be chosen need not wait for it
        with st.expander("What is read"):
            for group, origins in READ:
                st.caption(f"**{text.plain(group)}**: {text.plain(', '.join(origins))}")
        return _example(tables) if made_with.wants(made_with.TRACE) else Traffic(None, True)
    asked = st.container()
    with st.expander("How the file is read"):
        options = _options(tables)
    with asked:
        first = _file(upload, options, tables)
    if first.trace is None:
        return Traffic(None, True, first.problem)
    st.caption(text.plain(f"Read as {badge(first.trace)}"))
    _draw_first(first.trace, tables)
    more, problem = several_traces.section(
        upload, lambda other: _file(other, options, tables), _digest, tables
    )
    if problem:
        return Traffic(None, True, problem)
    if more is not None:
        return _several((first, *more.files), more, tables)
    trace, read = first.trace, first.read
    made_with.have(made_with.TRACE, made_with.mark(trace.arrival_s.size, trace.digest))
    with st.expander("Scale this traffic"):
        reshaping = _reshaping(tables, int(tables.setting("traffic_seed")), trace)
    grows = reshaping.factor
    if reshaping.shape != _AS_RECORDED:
        grows *= reshaping.days * units.SECONDS_PER_DAY / trace.horizon_s
    if grows > 1.0:
        _check_size(trace.arrival_s.size * grows, tables)
    is_drawn = reshaping.is_drawn or trace.report.bucket_s is not None
    return Traffic(
        _reshaped(trace, reshaping, tables),
        True,
        redraw=(lambda draw: reshaping.apply(read(draw), tables, draw)) if is_drawn else None,
    )


def _several(files: tuple[FileRead, ...], more: Several, tables: Tables) -> Traffic:
    """Scale each of several traces alike and add them up."""
    traces = [file.trace for file in files if file.trace is not None]
    with st.expander("Scale this traffic"):
        reshaping = _reshaping(tables, int(tables.setting("traffic_seed")), None)
    if reshaping.factor > 1.0:
        _check_size(sum(trace.arrival_s.size for trace in traces) * reshaping.factor, tables)

    def made(draw: int) -> Together:
        drawn = traces if not draw else [file.read(draw) for file in files]
        parts = [reshaping.apply(trace, tables, draw) for trace in drawn]
        return more.add_up(parts, tables)

    key = (tuple(trace.digest for trace in traces), more.names, more.align, more.spans, reshaping)
    try:
        together = several_traces.kept(key, lambda: made(0))
    except TraceQuestion as question:
        return Traffic(None, True, f"{question} {_where(more.names[0])}")
    _say_assumed(reshaping, tables)
    st.caption(text.plain(" ".join(together.said)))
    made_with.have(made_with.TRACE, made_with.mark(together.trace.arrival_s.size, together.digest))
    is_drawn = reshaping.is_drawn or any(trace.report.bucket_s is not None for trace in traces)
    return Traffic(
        together.trace,
        True,
        redraw=(lambda draw: made(draw).trace) if is_drawn else None,
        together=together,
    )


def _file(upload: Any, options: Mapping[str, Any], tables: Tables) -> FileRead:
    """Draw what is asked about a file, and read it with the answers."""
    digest = _digest(upload)
    answers: dict[str, str] = st.session_state.setdefault("trace_answers", {}).setdefault(
        digest, {}
    )
    for parameter in list(answers):
        # Earlier questions stay on screen, so that an answer can be changed.
        _ask(digest, st.session_state["trace_questions"][digest, parameter])
    place, form_place = st.empty(), st.container()
    unknown = st.session_state.setdefault("trace_unknown", {})
    chosen = st.session_state.setdefault("trace_columns", {}).get(digest)
    how = dict(options)
    if chosen:
        how |= {"columns": dict(chosen)}
    if digest in unknown:
        with form_place:
            _map_columns(digest, unknown[digest])
    paths = st.session_state.setdefault("trace_paths", {})
    if digest in paths:
        with form_place:
            how |= _choose_paths(digest, paths[digest], tables)

    def read(draw: int, progress: Callable[[int, int], None] | None = None) -> Trace:
        content = upload.getbuffer()
        try:
            return read_trace(
                content,
                name=upload.name,
                draw=draw,
                progress=progress,
                tables=tables,
                **{**how, **answers},
            )
        finally:
            # Python 3.13 complains of a file that is let go of while a view of it lives on, as
            # the frames of an error keep it.
            with suppress(BufferError):
                content.release()

    key = ("read", digest, upload.name, tuple(sorted(answers.items())), repr(sorted(how.items())))
    try:
        trace: Trace = store(private=True).get_or_make(
            key, lambda: _read_with_bar(place, lambda progress: read(0, progress))
        )
    except TraceQuestion as question:
        st.session_state.setdefault("trace_questions", {})[digest, question.parameter] = question
        with place.container():
            _ask(digest, question)
        return FileRead(None, read, f"One answer is needed: {question} {_where(upload.name)}")
    except UnknownFormat as error:
        if digest not in unknown:
            unknown[digest] = error
            with form_place:
                _map_columns(digest, error)
        return FileRead(None, read, f"{error} {_where(upload.name)}")
    place.empty()
    if trace.report.paths and digest not in paths:
        paths[digest] = trace.report.paths
        with form_place:
            _choose_paths(digest, paths[digest], tables)
    _change_decided(digest, trace.report.decided)
    return FileRead(trace, read)


def _where(name: str) -> str:
    """Return where the answer is asked for: the chip goes by the name of the file."""
    others = len(several_traces.files())
    chip = spell.count(others + 1, "trace") if others else name
    return f"Open “{chip}”, first in the row above."


def _kept(upload: Any) -> Any:
    """Return the uploaded file: Streamlit drops it with its field, while an example is chosen."""
    if upload is not None:
        st.session_state[_FILE_KEPT] = upload
        return upload
    kept = st.session_state.get(_FILE_KEPT)
    if kept is not None:
        st.caption(f"In use: {text.plain(kept.name)}")
        st.button("Remove it", on_click=mishap.safe(_forget_upload), key="forget_trace")
    return kept


def _forget_upload() -> None:
    """Let go of a file that was removed; from the callback of its field or button."""
    if not late.files("trace_file"):
        st.session_state.pop(_FILE_KEPT, None)


def _example(tables: Tables) -> Traffic:
    """Return the traffic that stands in for a trace that a link was made with."""
    example = next(iter(tables.examples.values()))
    preset = tables.trace_presets[example.preset]

    def made(draw: int) -> Trace:
        return example_trace(example, tables, draw)

    key = ("generated", *_rows_of(preset, tables), example)
    trace = store(private=False).get_or_make(key, lambda: made(0))
    return Traffic(trace, False, redraw=made)


def _draw_first(trace: Trace, tables: Tables) -> None:
    """Draw the first requests as read, so that a misreading is seen."""
    number = int(tables.setting("traffic_shown_requests"))
    began = date_of(trace)
    held: dict[str, Any] = {
        "Arrival (UTC)" if began else "Arrival": [
            f"{spell.moment(float(arrival_s), began)}.{int(arrival_s * 1e3) % 1000:03d}"
            if began is None
            else f"{began + dt.timedelta(seconds=float(arrival_s)):%Y-%m-%d %H:%M:%S.%f}"[:-3]
            for arrival_s in trace.arrival_s[:number]
        ],
        "Prompt": trace.prompt_tokens[:number],
        "Output": trace.output_tokens[:number],
    }
    if trace.session_id is not None:
        held["Conversation"] = trace.session_id[:number]
    with st.expander(f"First {spell.count(len(held['Prompt']), 'request')} as read"):
        if trace.report.bucket_s is not None:
            st.caption("Counted in buckets: where a request lies in its bucket is drawn at random.")
        st.dataframe(held, hide_index=True, height="content")


def _reshaped(trace: Trace, reshaping: _Reshaping, tables: Tables) -> Trace:
    if not reshaping.is_any:
        return trace
    key = ("reshaped", trace.digest, trace.name, reshaping)
    made: Trace = store(private=True).get_or_make(key, lambda: reshaping.apply(trace, tables))
    _say_assumed(reshaping, tables)
    return made


def _say_assumed(reshaping: _Reshaping, tables: Tables) -> None:
    if reshaping.is_any:
        st.caption(f":material/edit: Assumed: traffic {text.plain(reshaping.words(tables))}")


def _digest(upload: Any) -> str:
    known: dict[str, str] = st.session_state.setdefault("trace_digests", {})
    if upload.file_id not in known:
        known[upload.file_id] = hashlib.sha256(upload.getbuffer()).hexdigest()
    return known[upload.file_id]


def _ask(digest: str, question: TraceQuestion, decided: str | None = None) -> None:
    """Draw a question; the radio shows the answer given, or what the file itself decided."""
    choices = dict(question.choices)
    key = f"answer_{digest}_{question.parameter}"
    answers = st.session_state["trace_answers"][digest]
    given = answers.get(question.parameter, decided)

    def remember() -> None:
        value = late.meant(key, st.session_state[key] or "")
        if value not in choices:
            return
        # Later questions were asked in the light of this answer: they may not come up again.
        order = list(answers)
        if question.parameter in order:
            for later in order[order.index(question.parameter) + 1 :]:
                del answers[later]
                st.session_state.pop(f"answer_{digest}_{later}", None)
        answers[question.parameter] = value

    if given in choices and st.session_state.get(key) != given:
        st.session_state[key] = given
    labels = late.called(key, choices, lambda value: text.plain(choices[value]))
    st.radio(
        text.plain(str(question)),
        list(choices),
        index=None,
        format_func=labels.__getitem__,
        key=key,
        on_change=mishap.safe(remember),
    )


def _change_decided(digest: str, decided: tuple[Decided, ...]) -> None:
    """Draw what was decided from the file's own values, to be changed by who knows better."""
    for item in decided:
        question = TraceQuestion(item.question, item.parameter, item.choices)
        questions = st.session_state.setdefault("trace_questions", {})
        questions[digest, item.parameter] = question
        _ask(digest, question, item.chosen)


def _choose_paths(digest: str, found: tuple[PathCount, ...], tables: Tables) -> dict[str, Any]:
    """Draw which paths of an access log count as requests; return the reader's argument."""
    # A log may have hundreds of thousands: more than a list, or a message, can hold.
    offered = found[: int(tables.setting("traffic_offered_paths"))]
    requests = {path.path: path.requests for path in offered}
    kept = [path.path for path in offered if path.is_kept]
    key = f"paths_{digest}"

    def remember() -> None:
        # The answer to the question which path it is would hold against this choice.
        st.session_state["trace_answers"][digest].pop("paths", None)

    late.understand(key)
    if key not in st.session_state:
        st.session_state[key] = kept
    labels = late.called(
        key,
        requests,
        lambda path: text.bare(f"{path} ({spell.count(requests[path], 'request')})"),
    )
    with st.expander("Which paths count?"):
        chosen = st.multiselect(
            "Paths of requests to the model",
            list(requests),
            format_func=labels.__getitem__,
            key=key,
            on_change=mishap.safe(remember),
        )
        if len(found) > len(offered):
            st.caption(
                f"The {len(offered):,} busiest of {len(found):,} paths. Once you choose among "
                "them, no other counts."
            )
    known = {path for path in requests if generates(path)}
    return {} if not chosen or set(chosen) == known else {"paths": tuple(chosen)}


def _map_columns(digest: str, unknown: UnknownFormat) -> None:
    """Draw the form that says which column is what."""
    chosen = st.session_state["trace_columns"].get(digest) or unknown.suggested

    def remember() -> None:
        asked = {role: st.session_state[f"column_{digest}_{role}"] for role in _ROLE_WORDS}
        # Without a time nothing can be read: the form stays as it is.
        if asked["time"] is not None:
            st.session_state["trace_columns"][digest] = {
                role: column for role, column in asked.items() if column != _NO_COLUMN
            }

    is_new = digest not in st.session_state["trace_columns"]
    with (
        st.expander("Which column is what?", expanded=is_new),
        st.form(f"columns_{digest}", border=False),
    ):
        st.caption(
            "Where rows count requests, their tokens may be sums or means: the values decide it, "
            "or you are asked."
        )
        for role, label in _ROLE_WORDS.items():
            columns = list(unknown.columns) if role == "time" else [_NO_COLUMN, *unknown.columns]
            default = chosen.get(role, _NO_COLUMN)
            key = f"column_{digest}_{role}"
            labels = late.called(key, columns, lambda column: text.bare(column) or "None")
            st.selectbox(
                label,
                columns,
                # Another column than the arrival, such as a duration, must not stand there unasked.
                index=columns.index(default) if default in columns else None,
                placeholder="Choose a column",
                format_func=labels.__getitem__,
                key=key,
            )
        st.form_submit_button("Read the file", on_click=mishap.safe(remember))


def _options(tables: Tables) -> dict[str, Any]:
    """Draw what the reader takes as given; return its arguments."""
    options: dict[str, Any] = {}
    unit = link.pick(
        "Times that are numbers are in",
        list(_UNIT_WORDS),
        _FOUND,
        format_func=_UNIT_WORDS.__getitem__,
        key="time_unit",
    )
    if unit != _FOUND:
        options["time_unit"] = unit
    for name, words in (("prompt", "Prompt"), ("output", "Output")):
        tokens = link.setting(
            f"{words} tokens where the file has none",
            tables.settings[f"trace_default_{name}_tokens"],
            key=f"default_{name}",
            whole=True,
        )
        options[f"default_{name}_tokens"] = int(tokens)
    if link.flag(
        "Leave out requests without output",
        key="no_output",
        help="Failed and cancelled requests have 0 output tokens. They wake the model all the "
        "same, and count as one token unless you leave them out.",
    ):
        options["zero_output"] = "drop"
    if link.flag(
        "Missing buckets are unknown, not empty",
        key="missing_unknown",
        help="Counts of a monitoring system: a bucket without a sample had no requests, or, with "
        "this on, as many as its neighbours.",
    ):
        options["missing_buckets"] = "unknown"
    return options


class _Stopped(Exception):
    """The page was left, or something was changed, while a file was being read."""


def _read_with_bar(place: Any, read: Callable[[Callable[[int, int], None]], Trace]) -> Trace:
    """Read in a thread and draw a bar from here once it takes a moment.

    The reader reports from threads of its own, which may not draw; and drawing is where a new
    input of the user stops this run, and with it the reading.
    """
    session.require_room("another trace")
    so_far = (0, 0)
    stop = threading.Event()

    def progress(done: int, total: int) -> None:
        nonlocal so_far
        if stop.is_set():
            raise _Stopped
        so_far = (done, total)

    with ANSWERS.aside(), ThreadPoolExecutor(1) as pool:
        job = pool.submit(read, progress)
        try:
            wait([job], timeout=_BAR_AFTER_S)
            while not job.done():
                done, total = so_far
                session.require_room("this trace")
                place.progress(
                    min(1.0, done / total) if total else 0.0,
                    f"Read {spell.significant(done / units.BYTES_PER_MB)} MB",
                )
                wait([job], timeout=_BAR_EVERY_S)
            return job.result()
        finally:
            stop.set()


# --- Both ---------------------------------------------------------------------------------------


def _reshaping(tables: Tables, seed: int, short: Trace | None) -> _Reshaping:
    """Draw what can be done to a trace; a shape is offered to one shorter than a day."""
    shape, days = _AS_RECORDED, 0.0
    if short is not None and 0.0 < short.horizon_s < units.SECONDS_PER_DAY:
        shapes = tables.trace_shapes
        shape = link.pick(
            "Day and week",
            [_AS_RECORDED, *shapes],
            _AS_RECORDED,
            format_func=lambda key: "As recorded" if key == _AS_RECORDED else shapes[key].label,
            key="shape",
            help="The trace is shorter than a day. Its nights and weekends can be borrowed from a "
            "published week: an assumption, marked as one.",
        )
        if shape != _AS_RECORDED:
            days = _number("Days to lay it over", "days", tables, key="shape_days", step=1.0)
    factor = _number(
        "Traffic × factor",
        "factor",
        tables,
        help="Below 1 requests are left out at random; above 1 copies moved in time are laid over "
        "one another. Time is never compressed.",
    )
    cached_share = 0.0
    if short is None or short.prefix_parent is None:
        cached_share = _number(
            "Share of a prompt in a warm cache",
            "cached_share",
            tables,
            step=0.05,
            help="How much of a prompt the one before began with too, as a system prompt is. It "
            "is found on a replica that has served it since its start; 0: nothing is found.",
        )
    drawn = seed if factor != 1.0 or shape != _AS_RECORDED else 0
    return _Reshaping(shape, days, factor, drawn, cached_share)


def _number(
    label: str,
    name: str,
    tables: Tables,
    *,
    default: float | None = None,
    key: str | None = None,
    **how: Any,
) -> float:
    row = tables.settings[f"traffic_{name}"]
    return link.setting(label, row, key=key or name, default=default, **how)


def _check_size(requests: float, tables: Tables) -> None:
    most = tables.setting("traffic_max_requests")
    if requests > most:
        raise InputError(
            f"That would be {requests:,.0f} requests; this page makes at most {most:,.0f}. Take a "
            "lower rate or factor, or fewer days."
        )
