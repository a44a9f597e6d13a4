"""Uploaded price tables: the three formats with their known traps, and what is refused."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re

import pytest

from frontier.billing import replica_usd_per_h
from frontier.errors import InputError
from frontier.prices import (
    NOT_SOLD,
    days_left,
    read_prices,
    stale_in_words,
    staleness,
    with_prices,
)
from frontier.tables import OWN_SOURCE, load_tables

TABLES = load_tables()
TODAY = dt.date(2026, 11, 24)


def read(text, **more):
    content = text if isinstance(text, bytes) else text.encode()
    return read_prices(content, tables=TABLES, today=TODAY, **more)


def one(line, header="provider,gpu,price,unit"):
    """Read a table of one row and give its offer."""
    (offer,) = read(f"{header}\n{line}\n").offers
    return offer


def test_four_columns_are_enough():
    """Provider, GPU, price and unit; all else from the provider's rules in data/."""
    upload = read("Provider,GPU,Price,Unit\nModal,L40S,0.000542,usd_per_gpu_second\n")
    (offer,) = upload.offers
    assert offer.usd_per_gpu_h == pytest.approx(1.9512)
    assert (offer.kind, offer.rules_id, offer.gpu) == ("serverless", "modal", "L40S")
    assert upload.format == "own"


@pytest.mark.parametrize(
    ("price", "unit", "extra", "expected"),
    [
        ("3.99", "usd_per_gpu_hour", "", 3.99),
        ("$3.99", "$/GPU/h", "", 3.99),
        ("0.0665", "USD per GPU minute", "", 3.99),
        ("55.04", "usd_per_instance_hour", "8", 6.88),
        ('"1,055.04"', "usd_per_instance_hour", "80", 13.188),
        ('"1,95"', "usd_per_gpu_hour", "", 1.95),
        ("US$3.99", "GPU-hour", "", 3.99),
        ("3.99 USD", "GPU-hour", "", 3.99),
        ("55.04", "instance-hour", "8", 6.88),
        ("6.88", "gpu hour", "8", 6.88),
        ("6.88", "$/h per GPU", "8", 6.88),
        ("55.04", "USD per node-hour", "8", 6.88),
    ],
)
def test_units_and_ways_to_write_a_price(price, unit, extra, expected):
    """Per GPU or per machine, by hour, minute or second, with $ and thousands separators."""
    offer = one(f"AWS,H100,{price},{unit},{extra}", "provider,gpu,price,unit,gpu_count")
    assert offer.usd_per_gpu_h == pytest.approx(expected)


def test_the_same_table_with_semicolons_and_a_byte_order_mark():
    """As a spreadsheet saves it in half of Europe."""
    upload = read("\ufeffprovider;gpu;price;unit\nCrusoe;L40S;1.50;usd_per_gpu_hour\n".encode())
    assert upload.offers[0].usd_per_gpu_h == 1.5


def test_other_currencies_need_the_users_rate():
    """2.00 EUR at 1.10 dollars is 2.20; without a rate the table is refused."""
    text = "provider,gpu,price,unit\nVerda,L40S,2.00,eur_per_gpu_hour\n"
    (offer,) = read(text, usd_per={"EUR": 1.10}).offers
    assert offer.usd_per_gpu_h == pytest.approx(2.20)
    with pytest.raises(InputError, match=r"row 2, column currency.*found 'EUR'"):
        read(text)


@pytest.mark.parametrize(
    ("name", "gpu"),
    [
        ("NVIDIA H100 80GB HBM3", "H100-SXM-80GB"),
        ("H100 SXM5 80GB", "H100-SXM-80GB"),
        ("H100 PCIe", "H100-PCIe-80GB"),
        ("H100NVL", "H100-NVL-94GB"),
        ("hgx-h100", "H100-SXM-80GB"),
        ("A100-SXM4-40GB", "A100-40GB"),
        ("A100 80GB PCIe", "A100-80GB-PCIe"),
        ("GeForce RTX 4090", "RTX-4090"),
        ("RTX6000Ada", "RTX-6000-Ada"),
        ("Tesla T4", "T4"),
        ("L40S-48GB", "L40S"),
        ("AMD Instinct MI300X", "MI300X"),
    ],
)
def test_gpu_names_as_lists_write_them(name, gpu):
    """One GPU has many names; each must find its row and no other."""
    assert one(f"Acme,{name},2.00,usd_per_gpu_hour").gpu == gpu


def test_unknown_providers_get_cautious_rules():
    """A serverless price of an unknown provider is billed by the minute, all stages, and said."""
    text = "provider,gpu,price,unit,kind\nAcme,L40S,1.2,usd_per_gpu_hour,serverless\n"
    upload = read(text)
    assert upload.offers[0].rules_id == "own-serverless"
    assert any("No billing rules of 'Acme'" in warning for warning in upload.warnings)


def test_billing_columns_make_rules_of_their_own():
    """Increment and idle window in the table override those of the provider."""
    text = (
        "provider,gpu,price,unit,increment_s,idle_default_s\n"
        "Modal,L40S,1.95,usd_per_gpu_hour,10,30\n"
    )
    upload = read(text)
    tables = with_prices(TABLES, upload)
    rules = tables.provider_rules[upload.offers[0].rules_id]
    assert (rules.increment_s, rules.bills_pull) == (10, True)
    behaviour = tables.behaviour_of(upload.offers[0])
    assert (behaviour.idle_default_s, behaviour.idle_max_s) == (30, 1200)
    assert tables.offers["modal-l40s"] is TABLES.offers["modal-l40s"]


def test_an_uploaded_offer_can_be_billed():
    """It takes its place among the others: an hour of it costs what was uploaded."""
    tables = with_prices(TABLES, read("provider,gpu,price,unit\nAcme,L40S,1.23,usd_per_gpu_hour\n"))
    offer = tables.offers["own-acme-l40s-1x-dedicated"]
    assert replica_usd_per_h(offer, gpus_per_replica=1, tables=tables) == pytest.approx(1.23)
    assert tables.source_of(offer).title == "Prices that you gave in this session"


BAD_CELLS = [
    ("Acme,L40S,-1.2,usd_per_gpu_hour", "row 2, column price: expected a price above 0"),
    ("Acme,L40S,0,usd_per_gpu_hour", "column price"),
    ("Acme,L40S,,usd_per_gpu_hour", "column price"),
    ("Acme,L40S,inf,usd_per_gpu_hour", "column price"),
    ('Acme,L40S,"1,950",usd_per_gpu_hour', "no other number of the table tells what 1,950 means"),
    ("Acme,L40S,€1.95,gpu hour", "column currency.*found 'EUR'"),
    ("Acme,L40S,€1.95,usd_per_gpu_hour", "column currency: expected one currency"),
    ("Acme,L40S,A$1.95,gpu hour", "column price"),
    ("Acme,L40S,1.95/h,gpu hour", "column price"),
    ("Acme,L40S,1.9.5,gpu hour", "column price"),
    ("Acme,L40S,nan,gpu hour", "column price"),
    ("Acme,L40S,1.2,usd_per_fortnight", "column unit"),
    ("Acme,L40S,1.2,hourly", "column unit"),
    ("Acme,L40S,1.2,usd per hour", "column unit"),
    ("Acme,L40S,1.2,gpu hour per machine", "column unit"),
    ("Acme,L40S,1.2,million usd gpu hour", "column unit"),
    ("Acme,L40S,1.2,dogecoin_per_gpu_hour", "column currency"),
    (",L40S,1.2,usd_per_gpu_hour", "column provider: expected a name"),
    ("Acme,,1.2,usd_per_gpu_hour", "column gpu: expected a name"),
]
BAD_OPTIONAL = [
    ("gpu_count", "0", "column gpu_count: expected a whole number"),
    ("gpu_count", "0.5", "column gpu_count: expected a whole number"),
    ("currency", "XXX", "column currency"),
    ("kind", "lease", "column kind"),
    ("term_months", "12", "column term_months: expected no term"),
    ("upfront_fraction", "1.5", "column upfront_fraction"),
    ("increment_s", "0", "column increment_s: expected a number from 0.001"),
    ("platform_fee_usd_month", "-5", "column platform_fee_usd_month"),
    ("idle_max_s", "-1", "column idle_max_s"),
    ("date", "24.11.2026", "column priced_on: expected a date"),
]


@pytest.mark.parametrize(("line", "message"), BAD_CELLS)
def test_a_cell_that_cannot_be_right_is_refused_by_row_and_column(line, message):
    """Nothing is guessed; the message says where, what was expected and what was found."""
    with pytest.raises(InputError, match=message):
        one(line)


@pytest.mark.parametrize(("column", "cell", "message"), BAD_OPTIONAL)
def test_optional_columns_are_checked_too(column, cell, message):
    """A column that need not be there must still make sense where it is."""
    header = f"provider,gpu,price,unit,{column}"
    with pytest.raises(InputError, match=message):
        one(f"Acme,L40S,1.2,usd_per_gpu_hour,{cell}", header)


@pytest.mark.parametrize(
    ("kind", "meant"),
    [
        ("On-Demand", "dedicated"),
        ("on_demand", "dedicated"),
        ("Pay as you go", "dedicated"),
        ("scale-to-zero", "serverless"),
        ("Savings Plan", "reserved"),
        ("1 year", "reserved"),
        ("Preemptible", "spot"),
    ],
)
def test_ways_to_say_how_it_is_bought(kind, meant):
    """Case, hyphens and underscores do not matter."""
    assert one(f"AWS,L40S,1.2,gpu hour,{kind}", "provider,gpu,price,unit,kind").kind == meant


def test_an_idle_window_outside_its_range_is_refused():
    """A default below the minimum, together with the provider's own range."""
    header = "provider,gpu,price,unit,idle_min_s,idle_default_s"
    with pytest.raises(InputError, match="idle_default_s: expected a time from 60"):
        one("Acme,L40S,1.2,usd_per_gpu_hour,60,10", header)


def test_one_wrong_row_refuses_the_whole_table():
    """Nothing is half-loaded: of three rows with one wrong, none is taken; all errors are told."""
    text = (
        "provider,gpu,price,unit\nAcme,L40S,1.2,usd_per_gpu_hour\n"
        "Acme,H100,free,usd_per_gpu_hour\nAcme,H200,-3,usd_per_gpu_hour\n"
    )
    with pytest.raises(InputError, match=r"row 3, column price.*; row 4, column price"):
        read(text)


def test_names_may_not_come_twice():
    """Two rows of one offer_id would leave one of them unseen."""
    text = (
        "provider,gpu,price,unit,offer_id\nAcme,L40S,1.2,usd_per_gpu_hour,mine\n"
        "Acme,L40S,1.3,usd_per_gpu_hour,mine\n"
    )
    with pytest.raises(InputError, match="column offer_id: expected a name that comes once"):
        read(text)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no rows"),
        (b"provider,gpu,price,unit\n", "no rows"),
        (b"a,b\n1,2\n", "missing: provider, gpu, price, unit"),
        (b"provider,gpu,price,unit\nAcme,L40S,1.2\n", "expected 4 cells, found 3"),
        (b"provider,provider,price,unit\nAcme,Acme,1,2\n", "two columns 'provider'"),
        (b"\xff\xfe\x00", "byte 2 is not utf-16"),
        (b"provider,gpu,price,unit\nA\x81,L4,1,gpu hour\n", "byte 25 is not"),
        (b"PK\x03\x04\x00\x00", "a zip archive"),
        (b'provider,gpu\n"Acme,L40S\n', "price table"),
        (b"x" * 5_000_001, "at most 5 MB"),
        (b"provider,gpu,price,unit\n" + b"A,L4,1,gpu hour\n" * 20_001, "at most 20,000 rows"),
        (b"provider,gpu,price,unit\nAcme,V100,1.2,gpu hour\n", "no row that can be used.*V100"),
    ],
)
def test_files_that_are_no_price_table(content, message):
    """Empty, cut off, binary, too large: each is said as what it is."""
    with pytest.raises(InputError, match=message):
        read(content)


@pytest.mark.parametrize(
    ("line", "header", "message"),
    [
        ("Acme,L40S,55,gpu hour", "", "outside \\$0.05 to \\$40"),
        ("Acme,L40S,9,gpu hour", "", "Over 3 times away"),
        ("AWS,H100,6.88,instance hour,8", ",gpu_count", "looks like that of one of its GPUs"),
        ("Acme,H100,3.00,gpu hour", "", "does not say which form"),
        ("Acme,L40S,1.5,gpu hour,2026-05-01", ",date", "Older than 90 days"),
        ("Acme,L40S,1.5,gpu hour,2025-05-01", ",date", "read it anew"),
        ("Acme,L40S,1.5,gpu hour,2027-05-01", ",date", "Dated in the future"),
        ("Acme,L40S,1.5,gpu hour", "", "No source is given"),
        ("Acme,L40S,1.5,gpu hour", "", "Kind not given"),
    ],
)
def test_strange_prices_are_kept_and_said(line, header, message):
    """Possible, so kept; strange, so said with its row."""
    upload = read(f"provider,gpu,price,unit{header}\n{line}\n")
    assert len(upload.offers) == 1
    (warning,) = [w for w in upload.warnings if w.endswith("(row 2)") and re.search(message, w)]
    assert warning


def test_spot_above_on_demand_is_said():
    """The same GPU, provider and region: spot at 2.00, hourly at 1.50."""
    upload = read(
        "provider,gpu,price,unit,kind\nAcme,L40S,1.5,gpu hour,on-demand\n"
        "Acme,L40S,2.0,gpu hour,spot\n"
    )
    assert any("spot price is above" in warning for warning in upload.warnings)


def test_a_formula_in_a_cell_stays_text():
    """A note that a spreadsheet would run is kept as it is; exports neutralise it."""
    offer = one('Acme,L40S,1.5,gpu hour,"=1+1"', "provider,gpu,price,unit,note")
    assert offer.note == "=1+1"


GPUHUNT = """\
instance_name,location,price,cpu,memory,gpu_count,gpu_name,gpu_memory,spot,disk_size,gpu_vendor
p5.48xlarge,us-east-1,55.04,192,2048.0,8,H100,80.0,False,,nvidia
p5.48xlarge,us-east-1,21.10,192,2048.0,8,H100,80.0,True,,nvidia
p4d.24xlarge,us-east-1,21.957642,96,1152.0,8,A100,40.0,False,,nvidia
p4de.24xlarge,us-east-1,27.44705,96,1152.0,8,A100,80.0,False,,nvidia
g6f.xlarge,us-east-1,0.2,4,16.0,1,L4,2.86,False,,nvidia
p3.2xlarge,us-east-1,3.06,8,61.0,1,V100,16.0,False,,nvidia
m7i.large,us-east-1,0.1,2,8.0,0,,,False,,
g6e.xlarge,us-east-1,0,4,32.0,1,L40S,48.0,False,,nvidia
"""


def test_a_gpuhunt_catalogue():
    """Prices of whole instances, spot in rows of its own, memory tells the A100s apart."""
    upload = read(GPUHUNT, name="aws.csv")
    assert upload.format == "gpuhunt"
    found = {(o.product, o.kind, o.gpu): o.usd_per_gpu_h for o in upload.offers}
    assert found == pytest.approx(
        {
            ("p5.48xlarge", "dedicated", "H100-SXM-80GB"): 6.88,
            ("p5.48xlarge", "spot", "H100-SXM-80GB"): 2.6375,
            ("p4d.24xlarge", "dedicated", "A100-40GB"): 2.74470525,
            ("p4de.24xlarge", "dedicated", "A100-80GB"): 3.43088125,
        }
    )
    assert {o.rules_id for o in upload.offers} == {"aws-ec2"}
    assert all(o.gpus_min == o.gpus_max == 8 for o in upload.offers)
    said = " ".join(upload.warnings)
    for words in (
        "part of a GPU (L4) (row 6)",
        "'V100' (row 7)",
        "no GPU (row 8)",
        "above 0 (row 9)",
    ):
        assert words in said


SKYPILOT_GCP = """\
InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,Price,SpotPrice,Region,GpuInfo
a3-highgpu-1g,H100,1.0,26,234,1.18,0.5,us-central1,"{'Gpus': [{'Name': 'H100', \
'MemoryInfo': {'SizeInMiB': 81920}}]}"
,H100,1.0,,,9.80,5.86,us-central1,
,H100,8.0,,,78.40,46.88,us-central1,
a3-highgpu-8g,H100,8.0,208,1872,9.44,4.0,europe-west4,
n2-standard-4,,,4,16,0.19,0.05,us-central1,
"""


def test_google_hosts_and_their_gpus_are_added():
    """SkyPilot lists a3-highgpu-1g at 1.18, which is the host alone; with its GPU it is 10.98.

    An instance whose GPUs have no price in its region is left out, not billed as a bargain.
    """
    upload = read(SKYPILOT_GCP)
    found = {(o.product, o.kind): o.usd_per_gpu_h for o in upload.offers}
    assert found == pytest.approx(
        {("a3-highgpu-1g", "dedicated"): 10.98, ("a3-highgpu-1g", "spot"): 6.36}
    )
    assert {o.rules_id for o in upload.offers} == {"gcp-vm"}
    assert any("price of its GPUs is not in the table" in w for w in upload.warnings)


SKYPILOT_OTHERS = """\
InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,Price,SpotPrice,Region,\
AvailabilityZone,GpuInfo
1x_H100_SECURE,H100,1.0,16,80,3.99,3.99,US,a,"{'Gpus': [{'MemoryInfo': {'SizeInMiB': 80}}]}"
g5.xlarge,A10G,1.0,4,16,1.006,0.4,us-east-1,a,"{'Gpus': [{'MemoryInfo': {'SizeInMiB': 22888}}]}"
g5.xlarge,A10G,1.0,4,16,1.006,0.4,us-east-1,b,"{'Gpus': [{'MemoryInfo': {'SizeInMiB': 22888}}]}"
p4d.24xlarge,A100,8.0,96,1152,21.96,,us-east-1,a,"{'Gpus': [{'MemoryInfo': {'SizeInMiB': 40960}}]}"
Standard_NV6,A10,0.5,6,55,0.45,,eastus,1,
gpu_8x_h100,H100,8.0,208,1800,31.92,,us,,"__import__('os').system('true')"
"""


def test_skypilot_traps():
    """Zones repeat offers, a spot price that equals the list price is none, memory in GB or MiB.

    ``GpuInfo`` is read as a literal: code in it is not run, and said.
    """
    upload = read(SKYPILOT_OTHERS)
    found = sorted((o.provider, o.product, o.kind, o.gpu) for o in upload.offers)
    assert found == [
        ("AWS", "g5.xlarge", "dedicated", "A10G"),
        ("AWS", "g5.xlarge", "spot", "A10G"),
        ("AWS", "p4d.24xlarge", "dedicated", "A100-40GB"),
        ("Lambda", "gpu_8x_h100", "dedicated", "H100-SXM-80GB"),
        ("RunPod", "1x_H100_SECURE", "dedicated", "H100-SXM-80GB"),
    ]
    said = " ".join(upload.warnings)
    assert "repeats a row above (row" in said
    assert "part of a GPU (A10)" in said
    assert "GpuInfo cannot be read" in said


def test_the_age_of_a_price():
    """Fresh to 90 days, stale beyond, asked for beyond a year."""
    offer = TABLES.offers["crusoe-l40s"]
    ages = {days: offer.priced_on + dt.timedelta(days=days) for days in (90, 91, 365, 366)}
    words = {days: staleness(offer, day, TABLES) for days, day in ages.items()}
    assert words == {90: "fresh", 91: "stale", 365: "stale", 366: "ask"}


def test_a_price_warns_thirty_days_before_it_goes_stale():
    """From 30 days before day 91 on the days left are told; a stale price has none left."""
    offer = TABLES.offers["crusoe-l40s"]
    left = {
        age: days_left(offer, offer.priced_on + dt.timedelta(days=age), TABLES)
        for age in (60, 61, 90, 91)
    }
    assert left == {60: None, 61: 30, 90: 1, 91: None}


def test_what_is_said_of_prices_that_age():
    """How many are stale, how many soon will be and which is the first; of yours nothing."""

    def said(**ages):
        offers = {}
        for name, age in ages.items():
            priced_on = TODAY - dt.timedelta(days=age)
            row = dataclasses.replace(
                TABLES.offers["crusoe-l40s"], offer_id=name, priced_on=priced_on
            )
            yours = dataclasses.replace(row, source_id=OWN_SOURCE)
            gone = dataclasses.replace(row, available=NOT_SOLD)
            offers[name] = {"yours": yours, "gone": gone}.get(name, row)
        return stale_in_words(TODAY, dataclasses.replace(TABLES, offers=offers))

    assert said(a=10, yours=200, gone=200) is None
    assert said(a=91) == "1 price is older than 90 days."
    assert said(a=86, b=90) == (
        "2 prices will be older than 90 days within 30 days; the next, Crusoe "
        f"L40S (price of {TODAY - dt.timedelta(days=90)}), in 1 day."
    )
    assert said(a=91, b=400, c=85) == (
        "2 prices are older than 90 days, 1 more will be within 30 days; the next, Crusoe "
        f"L40S (price of {TODAY - dt.timedelta(days=85)}), in 6 days."
    )
