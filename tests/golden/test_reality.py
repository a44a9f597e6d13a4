"""Bills as providers write them: read or refused in words, and set beside a prediction."""

from __future__ import annotations

import dataclasses
import datetime as dt
import io
import math

import numpy as np
import pandas as pd
import pytest

from frontier.cli import main
from frontier.errors import InputError
from frontier.focus import focus_csv, focus_table
from frontier.plans.scenario import Scenario
from frontier.reality import (
    BillQuestion,
    compare_bill,
    headline,
    paid_of,
    read_bill,
    reality_table,
    sentences,
)
from frontier.study import simulate, study_of
from frontier.tables import load_tables
from frontier.trace import TraceReport, generate_trace, make_trace, scale_rate

TABLES = load_tables()
SCENARIO = Scenario(
    "Llama-3.1-8B-Instruct", "bf16", "modal-l40s", "crusoe-l40s", 2.0, mitigations=()
)
AWS = (
    "identity/LineItemId,lineItem/LineItemType,lineItem/UsageStartDate,lineItem/UsageEndDate,"
    "lineItem/ProductCode,lineItem/UsageType,lineItem/LineItemDescription,lineItem/UsageAmount,"
    "pricing/unit,lineItem/CurrencyCode,lineItem/UnblendedCost\n"
    "a,Usage,2026-10-01T00:00:00Z,2026-10-16T00:00:00Z,AmazonEC2,BoxUsage:g6e.xlarge,"
    "$1.861 per On Demand Linux g6e.xlarge Instance Hour,360,Hrs,USD,669.96\n"
    "b,Usage,2026-10-16T00:00:00Z,2026-11-01T00:00:00Z,AmazonEC2,BoxUsage:g6e.xlarge,"
    "$1.861 per On Demand Linux g6e.xlarge Instance Hour,384,Hrs,USD,714.624\n"
    "c,Usage,2026-10-01T00:00:00Z,2026-11-01T00:00:00Z,AmazonEC2,EBS:VolumeUsage.gp3,"
    "$0.08 per GB-month of General Purpose volume,100,GB-Mo,USD,8\n"
    "d,Usage,2026-10-01T00:00:00Z,2026-11-01T00:00:00Z,AmazonRDS,InstanceUsage:db.m5.large,"
    "RDS database,744,Hrs,USD,132.4\n"
    "e,Tax,2026-10-01T00:00:00Z,2026-11-01T00:00:00Z,AmazonEC2,,Tax for product code,1,,USD,30\n"
    "f,Credit,2026-10-01T00:00:00Z,2026-11-01T00:00:00Z,AmazonEC2,,Promotion,0,,USD,-50\n"
)
GCP = (
    "Invoice number,123,\nCurrency,USD,\nTotal amount due,$64.00,\n"
    "Billing account name,Project name,Service description,Service ID,SKU description,SKU ID,"
    "Cost type,Usage start date,Usage end date,Usage amount,Usage unit,Unrounded Cost ($),"
    "Cost ($)\n"
    'A,p,Cloud Run,S1,"Nvidia L4 GPU, no zonal redundancy",K1,Usage,2026-10-01,2026-10-31,'
    '"36,000",seconds,60.004,60.00\n'
    'A,p,Cloud Run,S1,CPU allocation for GPU services,K2,Usage,2026-10-01,2026-10-31,"4,000",'
    "seconds,6.001,6.00\n"
    'A,p,BigQuery,S2,Analysis,K3,Usage,2026-10-01,2026-10-31,"1,000",count,6.00,6.00\n'
    "A,p,Cloud Run,S1,Promotional credit,K4,Credit,2026-10-01,2026-10-31,,,-2.005,-2.00\n"
    ",,,,,,Total,,,,,70,70\n"
)
AZURE = (
    "Date,ChargeType,MeterCategory,MeterSubCategory,MeterName,ProductName,Quantity,"
    "UnitOfMeasure,BillingCurrency,CostInBillingCurrency\n"
    "10/01/2026,Usage,Virtual Machines,NCads H100 v5,NC40ads H100 v5,NC40ads H100,12,1 Hour,EUR,"
    "75.5\n"
    "10/31/2026,Usage,Storage,Premium SSD,P10 Disks,Disk,1,1/Month,EUR,17.25\n"
)
MODAL = (
    "object_id,description,environment_name,interval_start,cost\n"
    "ap-1,chat,main,2026-10-01T00:00:00+00:00,11.5\n"
    "ap-1,chat,main,2026-10-02T00:00:00+00:00,12.5\n"
    "ap-2,other,main,2026-10-02T00:00:00+00:00,99.0\n"
)
RUNPOD = (
    "amount,diskSpaceBilledGB,endpointId,gpuTypeId,time,timeBilledMs\n"
    "1.25,0,ep,NVIDIA L40S,2026-10-01 00:00:00,3600000\n"
    "2.50,0,ep,NVIDIA L40S,2026-10-31 00:00:00,7200000\n"
)
EXPLORER = (
    '"Service","SageMaker GPU($)","Tax($)","RDS($)","Total costs($)"\n'
    '"Service total","30","3","5","38"\n'
    '"2026-10-01","30.00","3.00","5.00","38.00"\n'
)


def read(text, **how):
    return read_bill(text if isinstance(text, bytes) else text.encode(), TABLES, **how)


def assert_counted(paid):
    """Rows kept and dropped are all that were read."""
    assert paid.rows_kept + sum(rows for rows, _ in paid.dropped.values()) == paid.rows_read


@pytest.fixture(scope="module")
def study():
    trace = generate_trace("internal-rag", seed=3, days=2, requests_per_day=508)
    return study_of(simulate(SCENARIO, trace, TABLES), TABLES, limit_s=2.0)


def shipped(study):
    return study.verdict.shipped.plan_id


def test_a_bill_of_aws_is_read_line_by_line():
    """Instances with GPUs by their names; volumes; a credit; another service and tax apart."""
    paid = read(AWS)
    assert paid.format == "AWS Cost and Usage Report"
    assert paid.usd_by_kind == pytest.approx(
        {"gpu": 1384.584, "storage": 8, "tax": 30, "credit": -50}
    )
    assert paid.gpu_h == 744
    assert paid.hours == 744
    assert paid.usd == pytest.approx(1342.584)
    assert paid.usd_beside == 30
    assert list(paid.dropped.values()) == [(1, 132.4)]
    assert_counted(paid)
    newer = AWS.replace("lineItem/UnblendedCost", "line_item_unblended_cost").replace(
        "lineItem/UsageStartDate", "line_item_usage_start_date"
    )
    assert read(newer).usd == paid.usd


def test_machines_of_several_gpus_count_all_of_them():
    """An instance-hour of a machine with eight is eight GPU-hours, and that is said."""
    paid = read(AWS, gpus_per_machine=8)
    assert paid.gpu_h == 8 * 744
    assert any("8 GPUs" in sentence for sentence in paid.assumed)


def test_a_cost_table_of_google_begins_below_its_preamble():
    """Sums at its end are no charge, cores beside a GPU are cores, thousands have commas."""
    paid = read(GCP)
    assert paid.usd_by_kind == pytest.approx({"gpu": 60.004, "host": 6.001, "credit": -2.005})
    assert paid.gpu_h == pytest.approx(10)
    assert paid.hours == 744
    assert paid.dropped["sums of other rows"] == (1, 0.0)
    assert_counted(paid)


def test_a_bill_in_another_currency_needs_the_persons_rate():
    """None is fetched; with one the dollars follow, and the rate is said."""
    with pytest.raises(InputError, match="in EUR: give your rate"):
        read(AZURE)
    paid = read(AZURE, per_usd={"EUR": 0.9})
    assert paid.usd_by_kind["gpu"] == pytest.approx(75.5 / 0.9)
    assert paid.usd_by_kind["storage"] == pytest.approx(17.25 / 0.9)
    assert any("0.9 EUR" in sentence for sentence in paid.assumed)


def test_hours_of_azure_are_counted_and_dates_written_anew_are_refused():
    """One hour is a unit; a date with the day first made the rest a bill of January."""
    assert read(AZURE, per_usd={"EUR": 0.9}).gpu_h == 12
    anew = AZURE.replace("10/31/2026", "31/10/2026").replace("10/01/2026", "01/10/2026")
    with pytest.raises(InputError, match="'31/10/2026', with the day first"):
        read(anew, per_usd={"EUR": 0.9})


def test_bills_of_platforms_have_all_in_one_number():
    """Modal and RunPod name a deployment, not what it used; rows of another are left out."""
    paid = read(MODAL, only="chat")
    assert paid.usd_by_kind == {"whole": 24.0}
    assert paid.hours == 48
    assert any("2 days of 31" in sentence for sentence in paid.assumed)
    assert_counted(paid)
    paid = read(RUNPOD)
    assert paid.usd == 3.75
    assert paid.gpu_h == pytest.approx(3)
    assert paid.hours == 744
    paid = read(EXPLORER)
    assert paid.usd_by_kind == pytest.approx({"gpu": 30, "tax": 3})
    assert_counted(paid)


def test_a_bill_of_several_months_is_asked_about():
    """One month counts; the others are dropped and counted."""
    text = MODAL + "ap-1,chat,main,2026-11-01T00:00:00+00:00,7.0\n"
    with pytest.raises(BillQuestion, match="2 months") as raised:
        read(text)
    assert raised.value.parameter == "month"
    assert raised.value.choices == ("2026-10", "2026-11")
    paid = read(text, month="2026-11")
    assert paid.usd == 7
    assert paid.dropped["of other months"] == (3, 123.0)
    assert_counted(paid)
    with pytest.raises(InputError, match="no charge of 2026-01"):
        read(text, month="2026-01")


def test_an_unknown_bill_is_asked_for_its_columns():
    """Which is the cost; then the quantity; decimal commas are read as such."""
    text = "Posten;Menge;Betrag\nGPU;12,5;1.234,50\nRabatt;;-34,50\n"
    with pytest.raises(BillQuestion, match="Posten, Menge, Betrag") as raised:
        read(text)
    assert raised.value.choices == ("Posten", "Menge", "Betrag")
    paid = read(text, cost_column="Betrag", quantity_column="Menge", quantity_unit="GPU-hours")
    assert paid.usd == 1200
    assert paid.gpu_h == 12.5
    assert paid.hours == 730
    assert any("no dates" in sentence for sentence in paid.assumed)
    assert any("credits and refunds" in sentence for sentence in paid.assumed)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"PK\x03\x04\0\0", "a zip archive"),
        (b'[{"amount": 1}]', "JSON"),
        (MODAL.splitlines()[0].encode(), "no rows"),
        (MODAL.replace("11.5", "free").encode(), "line 2: expected what was paid"),
        (AWS.splitlines()[0].encode() + b"\n" + AWS.splitlines()[4].encode(), "None of the 1 rows"),
        (MODAL.replace("11.5", '"1.234,5"').encode(), "decimal comma"),
        (MODAL.replace("11.5", "1e400").encode(), "line 2: expected what was paid"),
        (RUNPOD.replace("diskSpaceBilledGB", "Amount").encode(), "which of them counts"),
        (b"object_id,interval_start,cost,currency\na,2026-10-01,5,EUR\n", "in EUR: give your rate"),
        (b'amount,timeBilledMs\n"1,234",1\n', "in two ways"),
    ],
)
def test_what_cannot_be_read_is_refused_in_words(content, said):
    """Each refusal says what was found."""
    with pytest.raises(InputError, match=said):
        read_bill(content, TABLES)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"," * 3_000_000, "a row of more than 1,000,000 characters"),
        (b"a,b\n" + b'"\n",' * 500_000, "line 2.*: a row of more than 1,000,000 characters"),
        (b"c," * 3_000 + b"\n" + b"1," * 3_000, "3,001 cells; a bill may have at most 2,000"),
        (b"n" * 2_000 + b",b\n1,2\n", "one of its cells above the rows has more than 1,000"),
        (b",,,\n , ,\n", "none of its cells holds anything"),
    ],
)
def test_a_bill_of_very_many_cells_is_refused_before_they_are_made(content, said):
    """A million columns took 20 s, and were then all offered to choose from."""
    with pytest.raises(InputError, match=said):
        read_bill(content, TABLES)


def test_a_bill_that_is_too_large_is_refused():
    """Bytes and rows have their limits."""
    few = dataclasses.replace(
        TABLES,
        settings={
            **TABLES.settings,
            "bill_max_rows": dataclasses.replace(TABLES.settings["bill_max_rows"], value=2),
        },
    )
    with pytest.raises(InputError, match="at most 2 rows"):
        read_bill(MODAL.encode(), few)


def test_the_own_bill_as_focus_is_the_prediction(study):
    """What this product writes, it reads; and every line is as predicted for those hours."""
    plan_id = shipped(study)
    table = focus_table(study, plan_id, made_on=dt.date(2026, 10, 20))
    paid = read_bill(focus_csv(table), TABLES)
    assert paid.format == "FOCUS"
    assert paid.rows_kept == paid.rows_read == len(table)
    found = compare_bill(study, plan_id, dataclasses.replace(paid, hours=730.0))
    assert found.gap_usd == pytest.approx(0, abs=1e-9)
    for kind, usd in found.usd_by_kind.items():
        assert paid.usd_by_kind.get(kind, 0.0) == pytest.approx(usd, abs=1e-9), kind
    assert paid.gpu_h == pytest.approx(found.gpu_h)
    assert "the same within" in headline(found, TABLES)
    assert not any("explain" in sentence for sentence in sentences(found, TABLES))


def test_a_changed_price_is_found_again(study):
    """A bill at a price 10 % higher, with its hours: the price closes it, and hours do not."""
    plan_id = shipped(study)
    dearer = study_of(
        simulate(SCENARIO, study.trace, TABLES),
        dataclasses.replace(
            TABLES,
            offers={
                **TABLES.offers,
                "modal-l40s": dataclasses.replace(
                    TABLES.offers["modal-l40s"],
                    **{
                        name: 1.1 * getattr(TABLES.offers["modal-l40s"], name)
                        for name in ("usd_per_gpu_h", "usd_per_vcpu_s", "usd_per_gib_s")
                    },
                ),
            },
        ),
        limit_s=2.0,
    )
    usd = dearer.usd_per_month(dearer.outcomes[plan_id])
    predicted = compare_bill(study, plan_id, paid_of(usd, hours=730))
    by_name = {one.name: one for one in predicted.candidates}
    assert by_name["Price"].value == pytest.approx(1.1 * TABLES.offers["modal-l40s"].usd_per_gpu_h)
    assert by_name["Price"].is_plausible
    assert by_name["Hours held"].value == pytest.approx(1.1 * predicted.gpu_h)
    told = compare_bill(study, plan_id, paid_of(usd, hours=730, gpu_h=predicted.gpu_h))
    assert told.hours_part_usd == pytest.approx(0, abs=1e-6)
    assert told.price_part_usd == pytest.approx(told.gap_usd)
    said = " ".join(sentences(told, TABLES))
    assert "explain the price: price of" in said
    assert "explain the hours" not in said


def test_changed_traffic_is_found_again(study):
    """A bill of twice the traffic: that traffic closes it, within what the search resolves."""
    plan_id = shipped(study)
    plan = study.outcomes[plan_id].plan
    twice = scale_rate(study.trace, 2.0, 0, TABLES)
    from frontier.sweep import simulate_plans

    (ran,) = simulate_plans([plan], twice, TABLES)
    paid = paid_of(study.usd_per_month(ran), hours=730)
    found = {one.name: one for one in compare_bill(study, plan_id, paid).candidates}
    assert found["Traffic"].is_plausible
    assert found["Traffic"].value == pytest.approx(2 * found["Traffic"].predicted, rel=0.05)


def test_a_bill_beside_two_requests_says_that_their_traffic_was_not_tried():
    """A tenth of two requests is none: the other inputs are held against the bill all the same."""
    trace = make_trace(
        "two", np.array([0.0, 600.0]), np.full(2, 500), np.full(2, 50), horizon_s=600.0,
        report=TraceReport("test"),
    )  # fmt: skip
    few = study_of(simulate(SCENARIO, trace, TABLES), TABLES, limit_s=2.0)
    found = compare_bill(few, shipped(few), paid_of(5000.0, hours=730))
    by_name = {one.name: one for one in found.candidates}
    assert by_name["Traffic"].value is None
    assert "none is left" in by_name["Traffic"].why
    assert by_name["Price"].value is not None


def test_starts_that_took_longer_are_found_again(study):
    """Seconds of starts beyond the prediction, at the price of what is held: exactly those."""
    plan_id = shipped(study)
    base = compare_bill(study, plan_id, paid_of(500.0, hours=730))
    usd_per_h = (base.usd_by_kind["gpu"] + base.usd_by_kind["host"]) / base.gpu_h
    usd = base.usd + base.starts * 20 / 3600 * usd_per_h
    found = {c.name: c for c in compare_bill(study, plan_id, paid_of(usd, hours=730)).candidates}
    start = found["Billed seconds of a start"]
    assert start.value == pytest.approx(start.predicted + 20)
    assert start.is_plausible


def test_what_cannot_explain_says_so(study):
    """Machines by the hour cost the same whatever the traffic, and cannot be held longer."""
    plan_id = study.verdict.rival.plan_id
    predicted = study.usd_per_month(study.outcomes[plan_id])
    found = {
        one.name: one
        for one in compare_bill(study, plan_id, paid_of(2 * predicted, hours=730)).candidates
    }
    assert found["Traffic"].value is None
    assert "whatever the traffic" in found["Traffic"].why
    assert not found["Hours held"].is_plausible
    assert not found["Price"].is_plausible
    cheaper = {
        one.name: one
        for one in compare_bill(study, plan_id, paid_of(0.65 * predicted, hours=730)).candidates
    }
    assert cheaper["Discount"].value == pytest.approx(0.35)
    assert cheaper["Discount"].is_plausible


def test_the_lines_add_up(study):
    """Predicted and paid lines sum to their totals, and the difference is theirs."""
    paid = dataclasses.replace(read(GCP), hours=730.0)
    found = compare_bill(study, shipped(study), paid)
    table = reality_table(found, {})
    rows = table.set_index("line")
    dollars = table[(table["unit"] == "$") & ~table["line"].str.contains("All|in no")]
    assert dollars["predicted"].sum() == pytest.approx(rows.loc["All", "predicted"])
    assert dollars["paid"].sum() == pytest.approx(rows.loc["All", "paid"])
    assert math.isnan(rows.loc["Starts", "paid"])


@pytest.mark.parametrize("usd", [math.nan, math.inf])
def test_numbers_that_cannot_be_are_refused(usd):
    """Not a number, and a bill of no hours."""
    with pytest.raises(InputError, match="dollars paid"):
        paid_of(usd, hours=730)
    with pytest.raises(InputError, match="found 0"):
        paid_of(10, hours=0)


def test_the_command_prints_the_answer_and_writes_the_lines(tmp_path, capsys):
    """A bill with a column that must be named first; then the lines as CSV."""
    trace = tmp_path / "trace.csv"
    pd.DataFrame(
        {
            "timestamp": [index * 700.0 for index in range(250)],
            "prompt_tokens": [500] * 250,
            "output_tokens": [100] * 250,
        }
    ).to_csv(trace, index=False)
    bill = tmp_path / "bill.csv"
    bill.write_text("what,Amount due\nmodel,812.40\n", encoding="utf-8")
    told = [
        "reality",
        f"--trace={trace}",
        "--model=Llama-3.1-8B-Instruct",
        "--serverless=modal-l40s",
        "--dedicated=crusoe-l40s",
        f"--bill={bill}",
    ]
    assert main(told) != 0
    assert "Say it with --cost-column" in "".join(capsys.readouterr())
    out = tmp_path / "lines.csv"
    assert main([*told, "--cost-column=Amount due", f"--out={out}"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("$812 was paid")
    assert "1 row read = 1 kept" in said
    lines = pd.read_csv(io.BytesIO(out.read_bytes()))
    assert lines.loc[lines["line"] == "All", "paid"].iloc[0] == 812.4


def _aws(start="2026-10-01", end="2026-10-16", amount="360", cost="669.96"):
    header = AWS.splitlines()[0]
    names = header.decode().split(",") if isinstance(header, bytes) else header.split(",")
    held = {
        "lineItem/LineItemType": "Usage", "lineItem/UsageStartDate": start,
        "lineItem/UsageEndDate": end, "lineItem/ProductCode": "AmazonEC2",
        "lineItem/UsageType": "BoxUsage:g6e.xlarge", "lineItem/UsageAmount": amount,
        "pricing/unit": "Hrs", "lineItem/CurrencyCode": "USD", "lineItem/UnblendedCost": cost,
    }  # fmt: skip
    return "\n".join((",".join(names), ",".join(held.get(name, "") for name in names))).encode()


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"start": "2026-10-16", "end": "2026-10-01T00:00:00Z"}, "line 2: it ends .* before it"),
        ({"start": "1970-01-01", "end": "2026-10-31"}, "covers 20,75. days, from 1970-01-01"),
        (
            {"start": "13/10/2026", "end": "16/10/2026"},
            "no date of it can be, such as '13/10/2026'",
        ),
        ({"start": "1790812800", "end": "1792108800"}, "no date of it can be"),
        ({"cost": "1e308"}, "line 2: 1e308 is more than 1e.12"),
        ({"amount": "1e300"}, "line 2: 1e300 is more than 1e.12"),
    ],
)
def test_dates_and_amounts_that_no_bill_has_are_refused(row, said):
    """Never taken for a month of their own: what is scaled to a month hangs on them."""
    assert read_bill(_aws(), TABLES).hours == 16 * 24
    with pytest.raises(InputError, match=said):
        read_bill(_aws(**row), TABLES)


def test_a_bill_without_any_date_is_a_month_and_says_so():
    """Empty cells are no dates that could not be read."""
    found = read_bill(_aws(start="", end=""), TABLES)
    assert any("no dates" in sentence for sentence in found.assumed)


def test_a_bill_of_which_only_tax_is_known_is_refused():
    """Machines that no word tells as such are left out: what is kept is not what was paid."""
    with pytest.raises(InputError, match=r"but tax is about this kind of workload: .*no GPU time"):
        read(EXPLORER.replace("SageMaker GPU", "EC2-Instances"))
