"""What shortens a start or spares it: each mitigation tried alone on the traffic, and together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from frontier import spell, units
from frontier.charts.mitigations_chart import mitigations_chart_figure, mitigations_chart_table
from frontier.errors import InputError
from frontier.mitigations.base import Mitigation, Standing, missing_for
from frontier.mitigations.registry import MITIGATIONS, numbers_of
from frontier.pages import link, results, show, text
from frontier.pages.controls import Choices
from frontier.pages.store import store
from frontier.plans.grid import mitigated_plan
from frontier.plans.menu import Menu, mitigation_menu
from frontier.plans.plan import Plan
from frontier.plans.scenario import Deployment
from frontier.start.predict import platform_of
from frontier.sweep import Deal, Outcome, bill_outcome, simulate_plans
from frontier.tables import Tables
from frontier.trace import Trace

_WORKDAYS, _DAYS = 5, 7
_NOTHING = "none"
_NUMBERS = {
    "label": "Mitigation",
    "start_s": "A start takes",
    "saved_s": "Saved",
    "p99_ttft_s": "p99 TTFT",
    "waited_on_start_share": "Waited on a start",
    "usd_per_month": "A month",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What there is to try, and all that it depends on."""

    menu: Menu
    key: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Tried:
    """Each usable mitigation alone, simulated on the traffic."""

    asked: Asked
    base: Outcome
    outcomes: dict[str, Outcome]
    table: pd.DataFrame


def ask(choices: Choices, deployment: Deployment, tables: Tables) -> Asked:
    """Ask for the numbers to try; return the mitigations with them, nothing simulated yet."""
    held, windows = _inputs(tables)
    key = ("mitigations", *choices.content, held, windows)
    menu = store(private=choices.is_private).get_or_make(
        (*key, "menu"),
        lambda: mitigation_menu(
            deployment,
            choices.trace,
            tables,
            asleep_held_fraction=held,
            warm_windows=windows,
        ),
    )
    return Asked(menu, key)


def tried(asked: Asked, choices: Choices, deployment: Deployment, tables: Tables) -> Tried:
    """Return what each usable mitigation alone does."""
    menu, trace, place = asked.menu, choices.trace, results.bar_place()
    plans = [
        mitigated_plan(deployment, chosen, tables)
        for chosen in ((), *((item,) for item in menu.usable.values()))
    ]
    base, *outcomes = store(private=choices.is_private).get_or_make(
        asked.key, lambda: _simulate(plans, trace, tables, place)
    )
    by_option = dict(zip(menu.usable, outcomes, strict=True))
    platform = platform_of(deployment.serverless.behaviour.platform_id, tables)
    table = pd.DataFrame(
        [
            _row(_NOTHING, "Nothing done", base, base, tables, choices.deal),
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
    return Tried(asked, base, by_option, table)


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


def _simulate(
    plans: list[Plan], trace: Trace, tables: Tables, place: st.delta_generator.DeltaGenerator
) -> tuple[Outcome, ...]:
    bar = place.progress(0.0, "Trying each mitigation on your traffic…")

    def progress(done: int, total: int) -> None:
        bar.progress(done / total, f"Tried {done} of {spell.count(total, 'plan')}")

    outcomes = simulate_plans(plans, trace, tables, progress=progress)
    place.empty()
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


def draw_tried(tried: Tried, choices: Choices, deployment: Deployment, tables: Tables) -> None:
    """Draw what each does, alone and together; apart, those that cannot be had here."""
    provider = deployment.serverless.behaviour.provider
    offered = tried.table[tried.table["needs"] == ""]
    limit_s = choices.scenario.slo_p99_ttft_s
    st.markdown(text.said(_answer(offered, limit_s)))
    points = mitigations_chart_table(offered)
    if not points.empty:
        show.figure(
            show.built(mitigations_chart_figure, points, slo_p99_ttft_s=limit_s),
            key="mitigations_chart",
            table=tried.table,
            file_name="mitigations.csv",
            shown=_in_words(offered),
            alt="Dollars a month and p99 time to first token by mitigation: "
            + "; ".join(
                f"{row.label} {spell.dollars(row.usd_per_month)}, {spell.seconds(row.p99_ttft_s)}"
                for row in points.itertuples()
            ),
        )
    policy = tried.base.plan.policy
    st.caption(
        f"Each alone, on this traffic, with scale-to-zero and a keep-alive of "
        f"{spell.seconds(policy.idle_timeout_s)}. All draw the same starts, so they differ by what "
        "they do and not by luck. Large and named: no other is both cheaper and faster."
    )
    with st.expander("What each costs besides, what it excludes, where its numbers are from"):
        st.markdown("\n".join(_details(row) for row in tried.table.iloc[1:].itertuples()))
    _draw_combination(tried, choices, deployment, tables)
    _draw_apart(tried, provider)


def _answer(offered: pd.DataFrame, limit_s: float) -> str:
    """Say which of them holds the limit at the least cost, against doing nothing."""
    base, others = offered.iloc[0], offered.iloc[1:]
    words = (
        f"Nothing done: p99 {spell.seconds(base['p99_ttft_s'])} at "
        f"{spell.dollars(base['usd_per_month'])} a month. "
    )
    if base["p99_ttft_s"] <= limit_s:
        return f"{words}That is within {spell.seconds(limit_s)} already."
    holding = others[others["p99_ttft_s"] <= limit_s]
    if not holding.empty:
        best = holding.loc[holding["usd_per_month"].idxmin()]
        return (
            f"{words}The cheapest that holds {spell.seconds(limit_s)} alone is "
            f"**{spell.lower_first(best['label'])}**: {spell.seconds(best['p99_ttft_s'])} at "
            f"{spell.dollars(best['usd_per_month'])} a month."
        )
    if others.empty or others["p99_ttft_s"].min() >= base["p99_ttft_s"]:
        return f"{words}Nothing that can be had here brings it down."
    best = others.loc[others["p99_ttft_s"].idxmin()]
    return (
        f"{words}None holds {spell.seconds(limit_s)} alone; nearest comes "
        f"**{spell.lower_first(best['label'])}**: {spell.seconds(best['p99_ttft_s'])} at "
        f"{spell.dollars(best['usd_per_month'])} a month."
    )


def _in_words(rows: pd.DataFrame) -> pd.DataFrame:
    said = {
        **dict.fromkeys(("start_s", "saved_s", "p99_ttft_s"), spell.seconds),
        "waited_on_start_share": spell.percent,
        "usd_per_month": spell.dollars,
    }
    return pd.DataFrame(
        {
            heading: rows[name].map(said[name]) if name in said else rows[name]
            for name, heading in _NUMBERS.items()
        }
    )


def _draw_apart(tried: Tried, provider: str) -> None:
    """List what cannot be had on this provider, or changes nothing, each with the reason."""
    missing = tried.table[tried.table["needs"] != ""]
    classes = {cls.key: cls for cls in MITIGATIONS}
    rows = [
        {
            "Mitigation": text.plain(row.label),
            "Why not": text.plain(f"Needs {row.needs}"),
            "With it: a start": spell.seconds(row.start_s),
            "p99 TTFT": spell.seconds(row.p99_ttft_s),
            "A month": text.money(spell.dollars(row.usd_per_month)),
        }
        for row in missing.itertuples()
    ] + [
        {
            "Mitigation": text.plain(_label(option, classes[option.partition(":")[0]])),
            "Why not": text.plain(reason[:1].upper() + reason[1:]),
            "With it: a start": "—",
            "p99 TTFT": "—",
            "A month": "—",
        }
        for option, reason in tried.asked.menu.refused.items()
    ]
    if not rows:
        return
    st.markdown(f"**Not offered by {text.plain(provider)}, or of no use here**")
    st.table(pd.DataFrame(rows).set_index("Mitigation"))


def _details(row: Any) -> str:
    told = (
        ("Costs besides", row.standing_cost),
        ("Needs", row.needs),
        ("Not together with", row.not_together_with),
        ("Numbers from", row.numbers_from),
    )
    words = " ".join(f"*{title}:* {text.plain(said)}." for title, said in told if said)
    return f"- **{text.plain(row.label)}.** {words}"


def _draw_combination(
    tried: Tried, choices: Choices, deployment: Deployment, tables: Tables
) -> None:
    usable = tried.asked.menu.usable
    labels = {
        row.option: row.label + (f" (needs {row.needs})" if row.needs else "")
        for row in tried.table.iloc[1:].itertuples()
    }
    chosen = link.many(
        "Combine several",
        usable,
        key="combine",
        format_func=lambda option: labels[option],
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
        (*tried.asked.key, tuple(sorted(chosen))),
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
