"""The user's own timings of a start: a log pasted or uploaded, what was read of it, and its use."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st

from frontier import spell, units
from frontier.errors import InputError
from frontier.pages import late, mishap, text
from frontier.pages.controls import Choices
from frontier.pages.start_controls import forget_timings, use_timings
from frontier.plans.scenario import Deployment, deploy
from frontier.start.labels import STAGE_LABELS, in_sentence
from frontier.start.log import OwnStart, StartLog, read_start_log
from frontier.start.seconds import TOTAL
from frontier.tables import Tables

_PLACEHOLDER = """Loading weights took 3.2 seconds
torch.compile takes 23.4 s in total
init engine (profile, create kv cache, warmup model) took 46.5 seconds

or: Successfully pulled image "..." in 3m56s
or: compile,23.4
or: 43.2, 51.0, 47.7"""
_FACTOR_OF = {
    "engine_init_factor": "engine_init",
    "compile_factor": "compile",
    "capture_factor": "graph_capture",
}


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """What was read of the user's timings.

    Attributes
    ----------
    log : StartLog
    own : OwnStart
        The start it makes, not yet in use.
    plain : Deployment
        The deployment with the model's start, to set it beside.
    """

    log: StartLog
    own: OwnStart
    plain: Deployment


def draw_box(choices: Choices, deployment: Deployment, tables: Tables) -> Read | None:
    """Draw the box that takes the timings; return what was read, or None."""
    scenario = choices.scenario
    st.markdown("**Your own start, in place of the model's**")
    if scenario.own_start is not None:
        st.success("Your timings stand for the start on every page.", icon=":material/timer:")
        st.button(
            "Back to the model's start", on_click=mishap.safe(forget_timings), key="own_reset"
        )
    pasted = st.text_area(
        "Paste a start-up log, pod events or seconds",
        key="own_text",
        height=225,
        placeholder=_PLACEHOLDER,
    )
    upload = st.file_uploader(
        "Or upload it",
        key="own_file",
        max_upload_size=math.ceil(tables.setting("start_log_max_bytes") / units.BYTES_PER_MB),
    )
    st.caption(
        "Logs of vLLM, SGLang, TGI, Ollama, llama.cpp, TensorRT-LLM or LMDeploy; events of pods "
        "(kubectl describe pod or get events, also as JSON or YAML); lines of a stage, a comma and "
        "seconds; whole starts in seconds. Read in memory, as starts of "
        f"{text.plain(scenario.model)} ({scenario.precision}) on {deployment.serverless.gpu}, and "
        "never written to disk."
    )
    try:
        content = pasted if pasted.strip() else _uploaded(upload, tables)
        if content is None:
            return None
        log = read_start_log(content, tables)
    except InputError as error:
        st.error(text.plain(str(error)), icon=":material/error:")
        return None
    if pasted.strip() and upload is not None:
        st.caption("The pasted text is read, not the file; clear it to read the file.")
    plain = deployment
    if scenario.own_start is not None:
        plain = deploy(dataclasses.replace(scenario, own_start=None), choices.trace, tables)
    own = log.own_start(
        plain.start_inputs,
        model=scenario.model,
        precision=scenario.precision,
        gpu=deployment.serverless.gpu,
        tables=tables,
    )
    if own != scenario.own_start:
        st.button(
            "Use these timings",
            type="primary",
            **late.applies("own_use", use_timings, own),
            icon=":material/check:",
        )
    return Read(log, own, plain)


def draw_read(read: Read) -> None:
    """Draw what was understood of the timings, line by line, beside the model's start."""
    st.subheader("What was read of your timings", anchor=False)
    _draw_read(read.log, read.plain, dict(read.own.host_factors))


def _uploaded(
    upload: st.runtime.uploaded_file_manager.UploadedFile | None, tables: Tables
) -> bytes | None:
    if upload is None:
        return None
    most = tables.setting("start_log_max_bytes")
    if upload.size > most:
        raise InputError(
            f"The file has {upload.size / units.BYTES_PER_MB:.3g} MB; at most "
            f"{most / units.BYTES_PER_MB:g} MB are read. Keep the lines of the start alone."
        )
    return upload.getvalue()


def _start_words(log: StartLog) -> pd.DataFrame:
    """Return one row a start: where it stands, what it measures, or why it counts for nothing."""
    return pd.DataFrame(
        {
            "Lines": [f"{run.first_line} to {run.last_line}" for run in log.starts],
            "From": [run.kind for run in log.starts],
            "Result": [f"failed: {run.failed}" if run.failed else "read" for run in log.starts],
            "Stages": [
                "—"
                if run.failed
                else ", ".join(
                    f"{STAGE_LABELS[name]} {spell.seconds(seconds)}"
                    for name, seconds in run.stage_s.items()
                )
                for run in log.starts
            ],
        }
    )


def _draw_read(log: StartLog, plain: Deployment, factors: dict[str, float]) -> None:
    runs = len(log.starts) - len(log.failed) or max(map(len, log.runs_s.values()))
    failed = f", {spell.count(len(log.failed), 'failed start')} left out" if log.failed else ""
    unread = f", {spell.count(len(log.unread), 'line')} with seconds not" if log.unread else ""
    st.markdown(
        f"Read as {text.plain(log.kind)}: {spell.count(runs, 'start')}{failed}; "
        f"{spell.count(len(log.lines), 'line')} understood{unread}."
    )
    model = {stage.name: stage.median_s for stage in plain.start.stages}
    mine = dict(log.stage_s)
    if TOTAL in log.runs_s:
        mine[TOTAL] = float(np.median(log.runs_s[TOTAL]))
        model[TOTAL] = plain.start.typical_s if log.total_is_whole else np.nan
    whole = "Whole start" if log.total_is_whole else "Engine, first line to ready"
    st.table(
        pd.DataFrame(
            {
                "Stage": [STAGE_LABELS.get(name, whole) for name in mine],
                "Yours": [spell.seconds(seconds) for seconds in mine.values()],
                "The model's": [
                    spell.seconds(np.nan if known is None else known)
                    for known in (model[name] for name in mine)
                ],
            }
        ).set_index("Stage")
    )
    said = []
    if factors:
        words = ", ".join(
            f"{in_sentence(_FACTOR_OF[name])} {spell.significant(factor, 2)}"
            for name, factor in factors.items()
        )
        said.append(f"Your host over a fast bare-metal one: {words} times.")
    if log.modelled:
        names = ", ".join(STAGE_LABELS[name] for name in log.modelled)
        said.append(f"Still the model's: {names}.")
    said += log.notes
    st.markdown("\n".join(f"- {text.plain(sentence)}" for sentence in said))
    with st.expander("Start by start and line by line"):
        if log.starts:
            st.dataframe(_start_words(log), hide_index=True)
        st.dataframe(
            pd.DataFrame(
                {
                    "Line": [line.number for line in log.lines],
                    "Understood as": [line.meaning for line in log.lines],
                    "Seconds": [
                        "—" if line.seconds is None else spell.seconds(line.seconds)
                        for line in log.lines
                    ],
                    "What was read": [line.text for line in log.lines],
                }
            ),
            hide_index=True,
        )
