"""The Cold start page: where a start's seconds go, what shortens it, and the user's own timings."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from frontier import spell, units
from frontier.charts.mitigations_chart import mitigations_chart_figure, mitigations_chart_table
from frontier.charts.start_waterfall import (
    WARM,
    WHOLE,
    start_waterfall_figure,
    start_waterfall_table,
)
from frontier.errors import InputError
from frontier.export import csv_bytes
from frontier.mitigations.base import Mitigation, Standing, missing_for
from frontier.mitigations.registry import MITIGATIONS, numbers_of
from frontier.pages import controls, link, session, text
from frontier.pages.controls import Choices
from frontier.pages.start_controls import forget_timings, use_timings
from frontier.pages.store import store
from frontier.plans.grid import mitigated_plan
from frontier.plans.menu import Menu, mitigation_menu
from frontier.plans.plan import Plan
from frontier.plans.scenario import Deployment, deploy
from frontier.start.labels import STAGE_LABELS, in_sentence
from frontier.start.log import StartLog, read_start_log
from frontier.start.predict import platform_of
from frontier.start.seconds import TOTAL
from frontier.start.stages import ColdStart, Stage
from frontier.start.validate import cases_like, validate_start
from frontier.sweep import Deal, Outcome, bill_outcome, simulate_plans, start_normals
from frontier.tables import Tables, load_tables
from frontier.trace import Trace

_WORKDAYS, _DAYS = 5, 7
_NUMBERS = (
    *("label", "start_s", "saved_s", "p99_ttft_s", "waited_on_start_share", "usd_per_month"),
    "needs",
)
_LOG_TYPES = ["log", "txt", "csv", "out", "json", "jsonl", "yaml", "yml"]
_PLACEHOLDER = """Loading weights took 3.2 seconds
torch.compile takes 23.4 s in total
init engine (profile, create kv cache, warmup model) took 46.5 seconds

or: Successfully pulled image "..." in 3m56s
or: compile,23.4
or: 43.2, 51.0, 47.7"""


def render() -> None:
    """Draw the page for the choices in the bar."""
    choices = controls.with_traffic()
    if choices is None:
        return
    tables = session.tables()
    deployment = store(private=choices.is_private).get_or_make(
        ("deployment", *choices.content),
        lambda: deploy(choices.scenario, choices.trace, tables),
    )
    answer, anatomy = st.container(), st.container()
    st.subheader("What shortens it", anchor=False)
    tried = _tried(choices, deployment, tables)
    with answer:
        st.subheader(_headline(deployment, tried.menu, tables), anchor=False)
    with anatomy:
        _draw_start(deployment, choices.trace, tables)
    _draw_tried(tried, choices, tables)
    _draw_combination(tried, choices, deployment, tables)
    _draw_own(choices, deployment, tables)


# The start -------------------------------------------------------------------------------------


def _headline(deployment: Deployment, menu: Menu, tables: Tables) -> str:
    start = deployment.start
    wall_s = start.wall_s
    dominant = max(wall_s, key=wall_s.__getitem__)
    share = spell.percent(round(wall_s[dominant] / start.typical_s, 2))
    words = (
        f"A start takes about {spell.seconds(start.typical_s)}; "
        f"{in_sentence(dominant)}{_mostly(start[dominant])} is {share} of it."
    )
    platform = platform_of(deployment.serverless.behaviour.platform_id, tables)
    bare = mitigated_plan(deployment, (), tables)
    shorter = {}
    for item in menu.usable.values():
        plan = mitigated_plan(deployment, (item,), tables)
        # Slower answers for ever are no remedy for a slow start.
        if plan.speed is bare.speed and not missing_for(item, platform):
            shorter[item.label] = plan.start.typical_s
    best = min(shorter, key=shorter.__getitem__, default=None)
    if best is None or shorter[best] >= start.typical_s:
        return f"{words} Nothing on the list below shortens it here."
    return f"{words} {best} would bring it to {spell.seconds(shorter[best])}."


def _mostly(stage: Stage) -> str:
    """Name the part that is most of a stage of several parts, in brackets."""
    name, seconds = max(stage.parts, key=lambda part: part[1], default=("", 0.0))
    most = stage.median_s is not None and seconds > stage.median_s / 2
    return f" (mostly {name})" if most else ""


def _draw_start(deployment: Deployment, trace: Trace, tables: Tables) -> None:
    speed = deployment.speed
    prompt = float(np.percentile(trace.prompt_tokens, 50, method="inverted_cdf"))
    warm_s = float(speed.ttft_s(prompt))
    table = start_waterfall_table(deployment.start, start_normals(tables), warm_s=warm_s)
    whole = table[table["stage"] == WHOLE].iloc[0]
    ratio = spell.significant(whole["seconds"] / warm_s, 2)
    st.markdown(
        f"A warm replica gives the median prompt of {prompt:,.0f} tokens its first token in "
        f"{spell.seconds(warm_s)}: a start takes about {ratio} times as long. Nine of ten starts "
        f"take {spell.seconds(whole['low_s'])} to {spell.seconds(whole['high_s'])}."
    )
    st.plotly_chart(
        start_waterfall_figure(table),
        key="start_waterfall",
        config={"displayModeBar": False},
        alt="A start, stage by stage: "
        + ", ".join(
            f"{row.label} {spell.seconds(row.seconds)}"
            for row in table.itertuples()
            if row.seconds != 0
        ),
    )
    absent = table[table["seconds"] == 0]
    words = "Bars that begin together run side by side."
    if not absent.empty:
        words += f" Not part of this start: {', '.join(map(in_sentence, absent['stage']))}."
    if deployment.start.unmeasured:
        words += " What is not measured is in no sum."
    st.caption(words)
    for sentence in deployment.start.assumed:
        st.caption(text.plain(sentence))
    st.caption(_how_sure(deployment.start))
    with st.expander("Stage by stage: seconds, range, basis, source"):
        st.table(_stage_words(table, tables))
        st.download_button(
            "Download as CSV",
            lambda: csv_bytes(table.assign(sources=table["sources"].map(";".join))),
            "cold_start.csv",
            "text/csv",
            on_click="ignore",
            icon=":material/download:",
        )


def _how_sure(start: ColdStart) -> str:
    """Say how many stages are assumed and by how much starts like this one were off."""
    measured = sum(stage.basis == "measured" for stage in start.stages)
    if start.total_runs_s:
        return "The whole start is as you measured it; its stages only share it out."
    assumed = sum(stage.basis == "assumed" for stage in start.stages)
    results = store(private=False).get_or_make(
        ("validation", "starts"), lambda: validate_start(load_tables())
    )
    like = cases_like(start, results)
    words = f"{assumed} of the {len(start.stages)} stages are assumed"
    if measured:
        words += f" and {measured} measured"
    return (
        f"{words}. Cases like yours were off by {spell.percent(like.median_error)} in the median "
        f"and {spell.percent(like.largest_error)} at worst: "
        f"{spell.count(like.cases, 'published start')} "
        "that nothing was fitted to. The Method page has them one by one."
    )


def _stage_words(table: pd.DataFrame, tables: Tables) -> pd.DataFrame:
    rows = []
    for row in table[table["stage"] != WARM].itertuples():
        known = not np.isnan(row.seconds)
        rows.append(
            {
                "Stage": row.label,
                "Seconds": _unbroken(spell.seconds(row.seconds)),
                "Nine of ten": _unbroken(
                    f"{spell.seconds(row.low_s)} to {spell.seconds(row.high_s)}"
                )
                if known and row.high_s > 0
                else "—",
                "Share": _unbroken(spell.percent(round(row.share, 3))) if known else "—",
                "Basis": row.basis or "—",
                "Source": _links(row.sources, tables)
                or ("yours" if row.basis == "measured" else "—"),
                "Note": text.plain(row.note) or "—",
            }
        )
    return pd.DataFrame(rows).set_index("Stage")


def _unbroken(words: str) -> str:
    return words.replace(" ", "\N{NO-BREAK SPACE}")


def _links(source_ids: tuple[str, ...], tables: Tables) -> str:
    links = []
    for source_id in dict.fromkeys(source_ids):
        source = tables.sources[source_id]
        title = text.plain(source.title)
        links.append(f"[{title}]({source.url})" if source.url.startswith("http") else title)
    return ", ".join(links)


# What shortens it ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Tried:
    """Each usable mitigation alone, simulated on the traffic."""

    menu: Menu
    key: tuple[object, ...]
    base: Outcome
    outcomes: dict[str, Outcome]
    table: pd.DataFrame


def _tried(choices: Choices, deployment: Deployment, tables: Tables) -> _Tried:
    trace = choices.trace
    held, windows = _inputs(tables)
    kept = store(private=choices.is_private)
    key = ("mitigations", *choices.content, held, windows)
    menu = kept.get_or_make(
        (*key, "menu"),
        lambda: mitigation_menu(
            deployment,
            trace,
            tables,
            asleep_held_fraction=held,
            warm_windows=windows,
        ),
    )
    plans = [
        mitigated_plan(deployment, chosen, tables)
        for chosen in ((), *((item,) for item in menu.usable.values()))
    ]
    base, *outcomes = kept.get_or_make(key, lambda: _simulate(plans, trace, tables))
    by_option = dict(zip(menu.usable, outcomes, strict=True))
    platform = platform_of(deployment.serverless.behaviour.platform_id, tables)
    table = pd.DataFrame(
        [
            _row("none", "Nothing done", base, base, tables, choices.deal),
            *(
                {
                    **_row(
                        option,
                        _label(option, menu.usable[option]),
                        outcome,
                        base,
                        tables,
                        choices.deal,
                    ),
                    "needs": missing_for(menu.usable[option], platform),
                    "not_together_with": _exclusions(menu.usable[option]),
                    "numbers_from": _origin(menu.usable[option], tables),
                }
                for option, outcome in by_option.items()
            ),
        ]
    ).fillna({"needs": "", "not_together_with": "", "numbers_from": ""})
    return _Tried(menu, key, base, by_option, table)


def _inputs(tables: Tables) -> tuple[float, tuple[tuple[float, float], ...]]:
    """Draw what the user may set for all mitigations; return paid share and weekly windows."""
    with st.expander("Numbers to try: sleep, schedule"):
        share, begin, end, days = st.columns(4, vertical_alignment="bottom")
        row = tables.mitigations["sleep-1.held_fraction"]
        from_row, until_row = tables.settings["prewarm_from_h"], tables.settings["prewarm_until_h"]
        with share:
            held = link.setting(
                "Paid while asleep (share)",
                row,
                key="asleep",
                step=0.1,
                help=f"{row.description}.",
            )
        with begin:
            from_h = link.setting("Warm from (hour)", from_row, key="warm_from", whole=True)
        with end:
            until_h = link.setting("Warm until (hour)", until_row, key="warm_until", whole=True)
        with days:
            every = link.pick(
                "On", ["workdays", "every day"], "workdays", key="warm_days", format_func=str
            )
        if from_h >= until_h:
            raise InputError(
                f"Scheduled pre-warming must end after it begins: from {from_h:g} to {until_h:g} h."
            )
    hour, day = units.SECONDS_PER_HOUR, units.SECONDS_PER_DAY
    return held, tuple(
        (at * day + from_h * hour, at * day + until_h * hour)
        for at in range(_DAYS if every == "every day" else _WORKDAYS)
    )


def _simulate(plans: list[Plan], trace: Trace, tables: Tables) -> tuple[Outcome, ...]:
    bar = st.progress(0.0, "Trying each mitigation on your traffic…")

    def progress(done: int, total: int) -> None:
        bar.progress(done / total, f"Tried {done} of {spell.count(total, 'plan')}")

    outcomes = simulate_plans(plans, trace, tables, progress=progress)
    bar.empty()
    return outcomes


def _row(
    option: str, label: str, outcome: Outcome, base: Outcome, tables: Tables, deal: Deal
) -> dict[str, Any]:
    start_s = outcome.plan.start.typical_s
    return {
        "option": option,
        "label": label,
        "start_s": start_s,
        "saved_s": base.plan.start.typical_s - start_s,
        "p99_ttft_s": outcome.latency.p99_ttft_s,
        "waited_on_start_share": outcome.latency.waited_on_start_share,
        "usd_per_month": bill_outcome(outcome, tables, deal).usd_per_month(
            tables.setting("hours_per_month")
        ),
        "standing_cost": _standing(outcome.plan.standing),
    }


def _label(option: str, item: Mitigation | type[Mitigation]) -> str:
    kind = option.partition(":")[2].replace("-", " ")
    return f"{item.label}: {kind}" if kind else item.label


def _standing(standing: Standing) -> str:
    parts = []
    if standing.storage_gb:
        parts.append(f"{spell.significant(standing.storage_gb)} GB stored")
    if standing.host_ram_gib:
        parts.append(f"{spell.significant(standing.host_ram_gib)} GiB of host memory")
    if standing.gpu_memory_gb:
        parts.append(f"{spell.significant(standing.gpu_memory_gb)} GB of GPU memory while asleep")
    if standing.gpu_s_per_start:
        parts.append(f"{spell.significant(standing.gpu_s_per_start)} more GPU-seconds a start")
    if standing.starts_without:
        first = standing.starts_without
        parts.append(
            "the first start stays cold" if first == 1 else f"the first {first} starts stay cold"
        )
    return "; ".join((*parts, *standing.notes))


def _exclusions(item: Mitigation) -> str:
    by_reason: dict[str, list[str]] = {}
    for other in MITIGATIONS:
        reason = item.excludes.get(other.key) or other.excludes.get(item.key)
        if reason:
            by_reason.setdefault(reason, []).append(other.label)
    return "; ".join(f"{', '.join(labels)}: {reason}" for reason, labels in by_reason.items())


def _origin(item: Mitigation, tables: Tables) -> str:
    key = "prewarm" if item.key == "predicted-prewarm" else item.key
    told: dict[str, list[str]] = {}
    for row in numbers_of(key, tables):
        told.setdefault(tables.source_of(row).title, []).append(row.basis)
    if not told:
        return "the hours above"
    return "; ".join(f"{title} ({', '.join(dict.fromkeys(b))})" for title, b in told.items())


def _draw_tried(tried: _Tried, choices: Choices, tables: Tables) -> None:
    table = tried.table
    base = table.iloc[0]
    policy = tried.base.plan.policy
    st.markdown(
        text.money(
            f"Each alone, on this traffic, with scale-to-zero and a keep-alive of "
            f"{spell.seconds(policy.idle_timeout_s)}. Nothing done: p99 "
            f"{spell.seconds(base['p99_ttft_s'])} at {spell.dollars(base['usd_per_month'])} a "
            "month. All draw the same starts, so they differ by what they do and not by luck."
        )
    )
    points = mitigations_chart_table(table.iloc[1:])
    if not points.empty:
        st.plotly_chart(
            mitigations_chart_figure(
                points,
                base_p99_ttft_s=base["p99_ttft_s"],
                slo_p99_ttft_s=choices.scenario.slo_p99_ttft_s,
            ),
            key="mitigations_chart",
            config={"displayModeBar": False},
            alt="p99 time to first token by mitigation: "
            + ", ".join(f"{r.label} {spell.seconds(r.p99_ttft_s)}" for r in points.itertuples()),
        )
    st.dataframe(
        table[list(_NUMBERS)].assign(waited_on_start_share=table["waited_on_start_share"] * 100),
        hide_index=True,
        height="content",
        column_config={
            "label": st.column_config.TextColumn("Mitigation", pinned=True),
            "start_s": st.column_config.NumberColumn("Start (s)", format="%.1f"),
            "saved_s": st.column_config.NumberColumn("Saved (s)", format="%.1f"),
            "p99_ttft_s": st.column_config.NumberColumn("p99 TTFT (s)", format="%.2f"),
            "waited_on_start_share": st.column_config.NumberColumn("Waited", format="%.1f %%"),
            "usd_per_month": st.column_config.NumberColumn("$ a month", format="dollar"),
            "needs": "Missing here",
        },
    )
    st.download_button(
        "Download as CSV",
        lambda: csv_bytes(table),
        "mitigations.csv",
        "text/csv",
        on_click="ignore",
        icon=":material/download:",
        key="mitigations_csv",
    )
    with st.expander("What each costs besides, what it excludes, where its numbers are from"):
        st.markdown("\n".join(_details(row) for row in table.iloc[1:].itertuples()))
    if tried.menu.refused:
        classes = {cls.key: cls for cls in MITIGATIONS}
        with st.expander(f"Not used here ({len(tried.menu.refused)}), and why"):
            st.markdown(
                "\n".join(
                    f"- **{_label(option, classes[option.partition(':')[0]])}**: "
                    f"{text.plain(reason)}"
                    for option, reason in tried.menu.refused.items()
                )
            )


def _details(row: Any) -> str:
    told = (
        ("Costs besides", row.standing_cost),
        ("Missing here", row.needs),
        ("Not together with", row.not_together_with),
        ("Numbers from", row.numbers_from),
    )
    words = " ".join(f"*{title}:* {text.plain(said)}." for title, said in told if said)
    return f"- **{text.plain(row.label)}.** {words}"


def _draw_combination(
    tried: _Tried, choices: Choices, deployment: Deployment, tables: Tables
) -> None:
    usable = tried.menu.usable
    chosen = link.many(
        "Combine several",
        usable,
        key="combine",
        format_func=lambda option: _label(option, usable[option]),
        placeholder="Choose two or more",
    )
    if not chosen:
        return
    try:
        plan = mitigated_plan(deployment, tuple(usable[option] for option in chosen), tables)
    except InputError as error:
        st.error(text.plain(str(error)), icon=":material/block:")
        return
    (outcome,) = store(private=choices.is_private).get_or_make(
        (*tried.key, tuple(sorted(chosen))),
        lambda: simulate_plans([plan], choices.trace, tables),
    )
    row = _row("", "", outcome, tried.base, tables, choices.deal)
    base = tried.table.iloc[0]
    for column, (label, value, before) in zip(
        st.columns(3),
        (
            ("A start takes", spell.seconds(row["start_s"]), spell.seconds(base["start_s"])),
            ("p99 TTFT", spell.seconds(row["p99_ttft_s"]), spell.seconds(base["p99_ttft_s"])),
            (
                "A month",
                spell.dollars(row["usd_per_month"]),
                spell.dollars(base["usd_per_month"]),
            ),
        ),
        strict=True,
    ):
        column.metric(label, value)
        column.caption(text.money(f"{before} with nothing done"))
    st.caption(f"Besides: {text.plain(row['standing_cost'])}.")


# Own timings -----------------------------------------------------------------------------------


def _draw_own(choices: Choices, deployment: Deployment, tables: Tables) -> None:
    scenario = choices.scenario
    st.subheader("Bring your own timings", anchor=False)
    st.markdown(
        "A start-up log of vLLM, SGLang, TGI, Ollama, llama.cpp, TensorRT-LLM or LMDeploy, the "
        "events of pods (`kubectl describe pod` or `get events`, also as JSON or YAML), lines of "
        "`stage,seconds`, or whole starts in seconds. It is read in memory, as starts of "
        f"{text.plain(scenario.model)} ({scenario.precision}) on {deployment.serverless.gpu}, and "
        "never written to disk."
    )
    if scenario.own_start is not None:
        st.success("Your timings stand for the start on every page.", icon=":material/timer:")
        st.button("Back to the model's start", on_click=forget_timings, key="own_reset")
    pasted = st.text_area("Paste the text", key="own_text", height=170, placeholder=_PLACEHOLDER)
    upload = st.file_uploader(
        "Or upload it",
        type=_LOG_TYPES,
        key="own_file",
        max_upload_size=math.ceil(tables.setting("start_log_max_bytes") / units.BYTES_PER_MB),
    )
    try:
        content = pasted if pasted.strip() else _uploaded(upload, tables)
        if content is None:
            return
        log = read_start_log(content, tables)
    except InputError as error:
        st.error(text.plain(str(error)), icon=":material/error:")
        return
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
    _draw_read(log, plain, dict(own.host_factors))
    if own != scenario.own_start:
        st.button(
            "Use these timings",
            on_click=use_timings,
            args=(own,),
            type="primary",
            key="own_use",
            icon=":material/check:",
        )


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
            f"{name.removesuffix('_factor').replace('_', ' ')} {spell.significant(factor, 2)}"
            for name, factor in factors.items()
        )
        said.append(f"Your host over a fast bare-metal one: {words} times.")
    if log.modelled:
        names = ", ".join(STAGE_LABELS[name] for name in log.modelled)
        said.append(f"Still the model's: {names}.")
    said += log.notes
    st.markdown("\n".join(f"- {text.plain(sentence)}" for sentence in said))
