"""The bill as FOCUS 1.2: it keeps the specification, and its sums are the bill and the cash."""

from __future__ import annotations

import dataclasses
import datetime as dt
import io
import json
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from frontier.company import NOBODY, Company, Currency
from frontier.finance import figures_of
from frontier.focus import focus_csv, focus_problems, focus_table
from frontier.plans.scenario import Scenario
from frontier.study import simulate, study_of
from frontier.sweep import Deal
from frontier.tables import load_tables
from frontier.trace import generate_trace

ROOT = Path(__file__).resolve().parents[2]
VALIDATOR = ROOT / ".venv-focus" / "bin" / "focus-validator"
TABLES = load_tables()
MADE_ON = dt.date(2026, 11, 26)
UPFRONT = dataclasses.replace(TABLES.commitments["preset-35"], term_months=12, upfront_share=0.25)
TAXED = Company(name="=Example", tax_rate=0.2)
EUROS = Company(currency=Currency("EUR", 0.9, dt.date(2026, 11, 20)))
CASES = (
    ("zero", NOBODY),
    ("zero", TAXED),
    ("zero", EUROS),
    ("dedicated-1", NOBODY),
    ("reserved-1", NOBODY),
    ("reserved-1", TAXED),
    ("hybrid", NOBODY),
)


@pytest.fixture(scope="module")
def study():
    """Make a study with a commitment of which a quarter is paid upfront."""
    trace = generate_trace("internal-rag", seed=3, days=2, requests_per_day=508)
    scenario = Scenario(
        "Llama-3.1-8B-Instruct", "bf16", "modal-l40s", "crusoe-l40s", 2.0, mitigations=()
    )
    found = simulate(scenario, trace, TABLES)
    return study_of(found, TABLES, limit_s=2.0, deal=Deal(commitment=UPFRONT))


def plan_of(study, stem):
    return next(plan_id for plan_id in study.outcomes if plan_id.startswith(stem))


def table_of(study, stem, company=NOBODY):
    return focus_table(study, plan_of(study, stem), made_on=MADE_ON, company=company)


@pytest.mark.parametrize(("stem", "company"), CASES)
def test_the_bill_keeps_the_specification(stem, company, study):
    """Every column, its values, and the rules between columns; also after it was read again."""
    table = table_of(study, stem, company)
    assert focus_problems(table, TABLES) == ()
    back = pd.read_csv(io.BytesIO(focus_csv(table)))
    assert focus_problems(back.astype(object).where(back.notna(), None), TABLES) == ()
    assert list(back.columns) == list(table.columns)


@pytest.mark.parametrize(("stem", "company"), CASES)
def test_the_sums_are_the_bill_and_the_cash(stem, company, study):
    """EffectiveCost adds up to the month, BilledCost to the first month's cash, both with tax."""
    plan_id = plan_of(study, stem)
    table = table_of(study, stem, company)
    figures = figures_of(study, study.outcomes[plan_id], company)
    scale = company.currency.per_usd * (1 + company.tax_rate)
    assert table["EffectiveCost"].sum() == pytest.approx(figures.usd_per_month * scale)
    assert table["BilledCost"].sum() == pytest.approx(figures.cash_usd[0] * scale)
    assert set(table["BillingCurrency"]) == {company.currency.code}
    lines = table["Tags"].map(json.loads).map(lambda tags: tags["frontier:line"])
    by_line = table["EffectiveCost"].astype(float).groupby(lines).sum()
    for line, usd in study.bill(study.outcomes[plan_id]).lines_per_month(730).items():
        if usd:
            assert by_line[line] == pytest.approx(usd * company.currency.per_usd), line


def test_what_is_committed_is_bought_once(study):
    """Used rows are billed nothing; what is bought in a term is what its use costs."""
    table = table_of(study, "reserved-1")
    used = table[table["CommitmentDiscountStatus"] == "Used"]
    bought = table[table["ChargeCategory"] == "Purchase"]
    assert (used["BilledCost"] == 0).all()
    assert (bought["EffectiveCost"] == 0).all()
    by_month = bought.set_index("ChargeFrequency")["BilledCost"]
    assert 12 * by_month["Recurring"] + by_month["One-Time"] == pytest.approx(
        12 * used["EffectiveCost"].sum()
    )
    assert by_month["One-Time"] == pytest.approx(0.25 * 12 * used["EffectiveCost"].sum())
    assert used["EffectiveCost"].sum() == pytest.approx(0.65 * used["ListCost"].sum())


def test_a_month_is_named_and_nothing_is_a_formula(study):
    """The month after the file was made, to its first day; a name that looks like one is quoted."""
    table = table_of(study, "zero", TAXED)
    assert set(table["BillingPeriodStart"]) == {"2026-12-01T00:00:00Z"}
    assert set(table["ChargePeriodEnd"]) == {"2027-01-01T00:00:00Z"}
    assert b"'=Example" in focus_csv(table)
    other = focus_table(study, plan_of(study, "zero"), made_on=MADE_ON, month=dt.date(2026, 2, 28))
    assert set(other["BillingPeriodEnd"]) == {"2026-03-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("BilledCost", None, "BilledCost is empty"),
        ("BilledCost", "12 $", "is no number"),
        ("ChargeCategory", "Refund", "none of the allowed values"),
        ("ChargePeriodStart", "2026-12-01", "is no moment"),
        ("ChargePeriodStart", "2027-12-01T00:00:00Z", "is not before"),
        ("Tags", "{'a': 1}", "is no JSON"),
        ("Tags", '{"a": [1]}', "holds an object or a list"),
        ("BillingCurrency", "Dollar", "code of a currency"),
        ("ListUnitPrice", 99.0, "ListCost is not PricingQuantity times ListUnitPrice"),
        ("SkuId", None, "SkuId is empty in a row of Usage"),
        ("PricingUnit", None, "given together"),
        ("CommitmentDiscountStatus", "Used", "without CommitmentDiscountId"),
        ("ServiceName", " ", "is blank"),
    ],
)
def test_a_broken_cell_is_told(column, value, said, study):
    """Each rule finds what breaks it, and says where."""
    table = table_of(study, "dedicated-1").astype(object)
    table.loc[0, column] = value
    problems = focus_problems(table, TABLES)
    assert any(said in problem and problem.startswith("row 1: ") for problem in problems), problems


def test_columns_that_are_missing_or_unknown_are_told(study):
    """A mandatory column that is not there, and one that the specification does not have."""
    table = table_of(study, "dedicated-1").drop(columns="ListCost").assign(Mine=1, x_Mine=1)
    problems = focus_problems(table, TABLES)
    assert "column ListCost is missing" in problems
    assert any("column Mine is no column" in problem for problem in problems)
    assert not any("x_Mine" in problem for problem in problems)


def _rules(folder):
    """Write data/focus_columns.csv as rules for the validator, whose own end at 1.0."""
    folder = folder / "1.2"
    folder.mkdir()
    kinds = {
        "text": "string",
        "number": "decimal",
        "moment": "datetime",
        "json": "stringified-json-object",
    }
    for name, column in TABLES.focus_columns.items():
        checks = {
            "Type": f"\n  data_type: {kinds[column.value]}",
            "Nulls": f"\n  allow_nulls: {str(column.nullable).lower()}",
        }
        if column.feature_level == "mandatory":
            checks["Required"] = " column_required"
        if column.choices:
            listed = "".join(f'\n    - "{choice}"' for choice in column.choices)
            checks["Choices"] = f"\n  value_in:{listed}"
        for check, text in checks.items():
            rule = f"column_id: {name}\ncheck:{text}\n"
            (folder / f"{name}_{check}.yaml").write_text(rule, encoding="utf-8")
    return folder.parent


def test_the_foundations_validator_passes_it(study, tmp_path):
    """The package focus-validator, given the columns of 1.2, passes it and fails a broken one."""
    if not VALIDATOR.exists():
        pytest.skip("focus-validator is not installed: run 'make focus'")
    rules = tmp_path / "rules"
    rules.mkdir()
    _rules(rules)

    def validated(table, name):
        path = tmp_path / name
        path.write_bytes(focus_csv(table))
        command = (
            *(VALIDATOR, "--data-file", path, "--rule-set-path", rules),
            *("--validate-version", "1.2"),
        )
        ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        return ran.returncode, ran.stdout + ran.stderr

    tables = [table_of(study, stem, company) for stem, company in CASES if company is not EUROS]
    code, said = validated(pd.concat(tables, ignore_index=True), "good.csv")
    assert code == 0, said
    assert "Validation succeeded" in said
    broken = tables[0].assign(ChargeCategory="Refund", BilledCost=np.nan)
    code, said = validated(broken, "bad.csv")
    assert "Validation succeeded" not in said
    assert "ChargeCategory_Choices" in said
    assert "BilledCost_Nulls" in said
