"""A bill beside the prediction, a question of the What-if page: what was paid, and why so much."""

from __future__ import annotations

import dataclasses
import hashlib

import pandas as pd
import streamlit as st

from frontier import spell
from frontier.errors import FrontierError
from frontier.export import csv_bytes
from frontier.pages import late, results, session, text
from frontier.pages.controls import Choices
from frontier.reality import (
    BillQuestion,
    Candidate,
    PaidBill,
    Reality,
    compare_bill,
    headline,
    paid_of,
    read_bill,
    reality_table,
    sentences,
)
from frontier.reality.read import UNITS
from frontier.study import Study, default_plan_id

_FILE, _NUMBERS = "A file", "Three numbers"
_KEPT, _PLAN = "reality_found", "bill_plan"
_GPU_HOURS = "GPU-hours"
_UNITS = (_GPU_HOURS, "GPU-seconds", "hours", "seconds")


def draw(choices: Choices) -> None:
    """Draw what was predicted beside what was paid, and what would close the gap."""
    tables, study = session.tables(), results.study(choices)
    answer = st.container()
    with answer:
        st.subheader("What was paid, beside what was predicted", anchor=False)
    left, right = st.columns(2, gap="large")
    with left:
        ids = list(study.outcomes)
        late.understand(_PLAN)
        if st.session_state.get(_PLAN) not in ids:
            st.session_state[_PLAN] = default_plan_id(study)
        labels = late.called(_PLAN, ids, lambda one: study.outcomes[one].plan.label)
        plan_id = st.selectbox(
            "The plan that runs",
            ids,
            format_func=labels.__getitem__,
            key=_PLAN,
        )
    with right:
        how = st.segmented_control(
            "Your bill", (_FILE, _NUMBERS), default=_FILE, key="bill_how", required=True
        )
    try:
        paid = _from_file(study, plan_id) if how == _FILE else _from_numbers(study)
    except FrontierError as error:
        st.error(text.plain(str(error)), icon=":material/error:")
        return
    if paid is None:
        st.caption(
            "A month's bill as CSV: FOCUS, AWS, Azure, Google Cloud, Modal, RunPod, or any other "
            "once you say which column is what was paid. It never leaves this session."
        )
        return
    found = _found(study, plan_id, paid)
    with answer:
        st.markdown(f"**{text.plain(headline(found, tables))}**")
        st.markdown(text.bullets(sentences(found, tables)))
    labels = {kind: row.label for kind, row in tables.bill_words.items()}
    table = reality_table(found, labels)
    st.markdown(f"**In the {found.paid.hours:,.0f} hours of the bill**")
    st.table(_shown(table))
    st.markdown("**What would close the gap, each alone**")
    st.table(_candidates(found.candidates))
    st.download_button(
        "These lines (CSV)",
        csv_bytes(table),
        "bill-beside-prediction.csv",
        "text/csv",
        on_click="ignore",
        icon=":material/download:",
        key="bill_csv",
    )


def _from_numbers(study: Study) -> PaidBill | None:
    """Ask for dollars, GPU-hours, starts and the hours that they are of."""
    places = st.columns(4)
    asked = (
        ("Dollars paid", "bill_usd", None),
        ("GPU-hours (if known)", "bill_gpu_h", None),
        ("Starts (if known)", "bill_starts", None),
        ("Hours of the bill", "bill_hours", study.hours_per_month),
    )
    values = []
    for place, (label, key, value) in zip(places, asked, strict=True):
        with place:
            values.append(st.number_input(label, min_value=0.0, value=value, key=key))
    usd, gpu_h, starts, hours = values
    if usd is None or hours is None:
        return None
    return paid_of(usd, hours=hours, gpu_h=gpu_h, starts=starts)


def _from_file(study: Study, plan_id: str) -> PaidBill | None:
    """Ask for a file, and for what it leaves open."""
    file = st.file_uploader("Bill (CSV)", type=["csv", "txt", "tsv"], key="bill_file")
    left, middle, right = st.columns(3)
    with left:
        only = st.text_input("Only rows with this text", key="bill_only", max_chars=80)
    with middle:
        starts = st.number_input("Starts (if known)", min_value=0.0, value=None, key="bill_counted")
    with right:
        per_usd = st.number_input(
            "Your rate for a dollar, if it is in another currency",
            min_value=0.0,
            value=None,
            key="bill_rate",
        )
    if file is None:
        return None
    told: dict[str, str | None] = {"cost_column": None, "month": None, "quantity_column": None}
    unit = ""
    pools = study.basis(study.outcomes[plan_id]).pools
    while True:
        try:
            found = read_bill(
                file.getvalue(),
                session.tables(),
                cost_column=told["cost_column"],
                quantity_column=told["quantity_column"],
                quantity_unit=unit,
                month=told["month"],
                per_usd=_AnyRate(per_usd),
                only=only,
                gpus_per_machine=max(pool.meters.gpus for pool in pools),
            )
        except BillQuestion as question:
            told[question.parameter] = answer = _ask(question)
            if answer is None:
                return None
            if question.parameter == "cost_column":
                told["quantity_column"], unit = _ask_quantity(question.choices)
            continue
        return dataclasses.replace(found, starts=starts)


class _AnyRate(dict[str, float]):
    """The person's one rate, whatever the currency of the bill."""

    def __init__(self, rate: float | None) -> None:
        super().__init__()
        self._rate = rate

    def get(self, code: str, default: float | None = None) -> float | None:  # type: ignore[override]
        """Return the rate."""
        return self._rate or default


def _ask(question: BillQuestion) -> str | None:
    words = {"cost_column": "Column of what was paid", "month": "Month"}
    answer = st.selectbox(
        words[question.parameter],
        question.choices,
        index=None,
        placeholder="Choose",
        key=f"bill_{question.parameter}",
    )
    if answer is None:
        st.info(text.plain(str(question)), icon=":material/help:")
    return answer


def _ask_quantity(columns: tuple[str, ...]) -> tuple[str | None, str]:
    left, right = st.columns(2)
    with left:
        column = st.selectbox(
            "Column of GPU time (if there is one)", columns, index=None, key="bill_quantity"
        )
    with right:
        unit = st.selectbox("Its unit", _UNITS, key="bill_unit")
    return column, unit if unit.casefold().replace("-", "") in UNITS else ""


def _found(study: Study, plan_id: str, paid: PaidBill) -> Reality:
    """Return the comparison; the last one is kept, as it takes some simulations."""
    place = results.bar_place()
    told = (study.trace.digest, study.table.to_csv(), plan_id, repr(paid))
    key = hashlib.sha256(repr(told).encode()).hexdigest()
    kept = st.session_state.get(_KEPT)
    if kept is None or kept[0] != key:
        with place, st.spinner("Simulating the traffic at other levels"):
            kept = key, compare_bill(study, plan_id, paid)
        st.session_state[_KEPT] = kept
    return kept[1]


def _shown(table: pd.DataFrame) -> pd.DataFrame:
    def cell(value: float, unit: str) -> str:
        if pd.isna(value):
            return "not said"
        if unit.startswith("$"):
            return text.money(spell.dollars(value) if round(value, 2) else "$0")
        return f"{value:,.1f}"

    shown = {
        name.capitalize(): [
            cell(value, unit) for value, unit in zip(table[name], table["unit"], strict=True)
        ]
        for name in ("predicted", "paid", "difference")
    }
    return pd.DataFrame({"Line": table["line"].map(text.plain), **shown}).set_index("Line")


def _candidates(found: tuple[Candidate, ...]) -> pd.DataFrame:
    def figure(value: float | None, unit: str) -> str:
        if value is None:
            return "none"
        if unit == "share":
            return spell.percent(value)
        if unit.startswith("$"):
            return text.money(f"{spell.dollars(value)}{unit[1:]}")
        return f"{spell.significant(value)} {unit}"

    return pd.DataFrame(
        {
            "Input": [one.name for one in found],
            "Predicted": [figure(one.predicted, one.unit) for one in found],
            "Would need": [figure(one.value, one.unit) for one in found],
            "Plausible": ["yes" if one.is_plausible else "no" for one in found],
            "Why": [text.plain(one.why) for one in found],
        }
    ).set_index("Input")
