"""Price tables as catalogues of other clouds, spreadsheets and web pages write them."""

# ruff: noqa: E501 - a row of a catalogue that is broken up cannot be compared with a real one.

from __future__ import annotations

import datetime as dt
import json

import pytest

from frontier.errors import InputError
from frontier.prices import read_prices
from frontier.tables import load_tables

TABLES = load_tables()
HEADER = (
    "InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,Price,Region,GpuInfo,SpotPrice\n"
)


def read(text, **more):
    return read_prices(text.encode(), tables=TABLES, today=dt.date(2026, 11, 24), **more)


def sold(text, **more):
    """Return provider, GPU, how many, dollars an hour of all of them, and kind of each offer."""
    return [
        (o.provider, o.gpu, o.gpus_min, round(o.usd_per_gpu_h * o.gpus_min, 4), o.kind)
        for o in read(text, **more).offers
    ]


def info(name, count, one_mib, all_mib, of="'NVIDIA'"):
    return f"\"{{'Gpus': [{{'Name': '{name}', 'Manufacturer': {of}, 'Count': {count}, 'MemoryInfo': {{'SizeInMiB': {one_mib}}}}}], 'TotalGpuMemoryInMiB': {all_mib}}}\""


@pytest.mark.parametrize(
    ("instance", "name", "memory", "gpu"),
    [
        # Two of 80 GB are no two of 40, though the catalogue's A100 is the smaller one.
        (
            "epyc-genoa-a100-pcie_2x8v16gb",
            "A100",
            info("A100", "'2.0'", 81920, 163840),
            "A100-80GB-PCIe",
        ),
        (
            "intel-ice-lake-a100-pci_2x8v16gb",
            "A100",
            info("A100", "'2.0'", 81920, 163840),
            "A100-80GB-PCIe",
        ),
        ("ECS2GPU3", "A100", info("A100", 2, 81920, 163840), "A100-80GB"),
        # Where all have no more than one, the memory is that of all.
        ("2x-A100_SXM4-32-65536", "A100", info("A100", 2, 81920, 81920), "A100-40GB"),
        ("2x-H100_NVL-32-65536", "H100", info("H100", 2, 191660, 191660), "H100-NVL-94GB"),
        (
            "n3-A100x2",
            "A100-80G-PCIe",
            info("A100-80G-PCIe", 2, 81920, 163840, "null"),
            "A100-80GB-PCIe",
        ),
        ("gpu-h100x2-160gb", "H100", info("h100", 2.0, 81559, 81559).lower(), "H100-SXM-80GB"),
    ],
)
def test_the_memory_of_several_gpus_is_told_from_that_of_one(instance, name, memory, gpu):
    """Catalogues give either under one name; Python or JSON, in capitals or not."""
    upload = read(HEADER + f"{instance},{name},2,8,16,3.1,x,{memory},0.00\n")
    assert [offer.gpu for offer in upload.offers] == [gpu]
    assert not any("GpuInfo cannot be read" in warning for warning in upload.warnings)
    assert not any("no price above 0" in warning for warning in upload.warnings)


def test_google_clouds_machines_without_gpus_get_those_that_their_names_tell():
    """The catalogue of today lists a2-highgpu-8g and its eight A100 in rows of their own."""
    text = (
        "InstanceType,vCPUs,MemoryGiB,AcceleratorName,AcceleratorCount,GpuInfo,Region,AvailabilityZone,Price,SpotPrice\n"
        "a2-highgpu-8g,96,680,,,,us-central1,us-central1-a,5.9158,2.958\n"
        ",,,A100,1,A100,us-central1,us-central1-a,2.934,1.0\n"
        "a3-highgpu-8g,208,1872,,,,us-central1,us-central1-a,9.46,\n"
        "a3-megagpu-8g-nolssd,208,1872,,,,us-central1,us-central1-a,9.5,\n"
        ",,,H100-MEGA,8,H100-MEGA,us-central1,us-central1-a,84.0,\n"
        ",,,H100,8,H100,us-central1,us-central1-a,78.0,\n"
        "n2-standard-4,4,16,,,,us-central1,us-central1-a,0.19,0.05\n"
    )
    assert sold(text) == [
        ("Google Cloud", "A100-40GB", 8, 29.3878, "dedicated"),
        ("Google Cloud", "A100-40GB", 8, 10.958, "spot"),
        ("Google Cloud", "H100-SXM-80GB", 8, 87.46, "dedicated"),
        ("Google Cloud", "H100-SXM-80GB", 8, 93.5, "dedicated"),
    ]
    assert any(warning.startswith("Left out, no GPU (row 8)") for warning in read(text).warnings)


def test_whose_a_catalogue_is_stands_in_its_name_or_in_a_column():
    """Names of instances tell it for few clouds; what they tell comes first."""
    text = HEADER + "2B200.60V,B200,2,60,368,,FIN-03,,3.423\np5.48xlarge,H100,8,1,1,55.04,x,,\n"
    assert [row[0] for row in sold(text, name="skypilot-verda.csv")] == ["Verda", "AWS"]
    assert [row[0] for row in sold(text)] == ["Your own", "AWS"]
    rows = "provider,instance_name,gpu_name,gpu_count,gpu_memory,price\nvastai,12,H100,1,80,1.9\n"
    assert sold(rows) == [("Vast.ai", "H100-SXM-80GB", 1, 1.9, "dedicated")]


OURS = [("RunPod", "H100-SXM-80GB", 1, 2.69, "dedicated")]


@pytest.mark.parametrize(
    "text",
    [
        "Anbieter;GPU;Preis;Einheit\nRunPod;H100 SXM;2,69;USD pro GPU-Stunde\n",
        "Fournisseur;GPU;Prix;Unité\nRunPod;H100 SXM;2,69;USD par GPU-heure\n",
        "Proveedor;GPU;Precio;Unidad\nRunPod;H100 SXM;2,69;USD por GPU-hora\n",
        "Provider,GPU,Price per GPU hour\nRunPod,H100 SXM,2.69\n",
        "provider,gpu,usd_per_gpu_hour\nRunPod,H100 SXM,2.69\n",
        "provider,gpu,price (USD/GPU/h)\nRunPod,H100 SXM,2.69\n",
        "provider,gpu,price\nRunPod,H100 SXM,$2.69/GPU/hr\n",
        "| provider | gpu | price | unit |\n|---|---|---|---|\n| RunPod | H100 SXM | 2.69 | USD per GPU hour |\n",
    ],
)
def test_columns_and_units_in_other_words_and_places_are_the_same_price(text):
    """German, French, Spanish; the unit in the name of the column, in its cells, or apart."""
    assert sold(text) == OURS


@pytest.mark.parametrize(
    ("text", "offers"),
    [
        (
            "provider,gpu,on_demand,spot,unit\nAWS,H100,6.88,2.5,usd_per_gpu_hour\nAWS,L4,0.8,-,usd_per_gpu_hour\n",
            [
                ("AWS", "H100-SXM-80GB", 1, 6.88, "dedicated"),
                ("AWS", "H100-SXM-80GB", 1, 2.5, "spot"),
                ("AWS", "L4", 1, 0.8, "dedicated"),
            ],
        ),
        (
            "provider,gpu,price,unit\nLambda,8x H100 SXM,23.92,USD per instance hour\nLambda,A10 x2,1.5,USD per instance hour\n",
            [
                ("Lambda", "H100-SXM-80GB", 8, 23.92, "dedicated"),
                ("Lambda", "A10", 2, 1.5, "dedicated"),
            ],
        ),
        (
            "provider,gpu,price,unit,gpu_count\nLambda,H100,17520,USD/instance/month,8\n",
            [("Lambda", "H100-SXM-80GB", 8, 24.0, "reserved")],
        ),
        (
            "provider,gpu,price,unit\nX,L40S,24,USD per GPU day\n",
            [("X", "L40S", 1, 1.0, "dedicated")],
        ),
        (
            "provider,gpu,price,unit,kind\nX,L40S,8760,USD per GPU year,on-demand\n",
            [("X", "L40S", 1, 1.0, "dedicated")],
        ),
    ],
)
def test_pairs_counts_and_longer_times(text, offers):
    """Prices side by side, the number in the GPU's name, days, months and years."""
    assert sold(text) == offers


def test_a_machine_without_its_number_of_gpus_and_a_month_are_said():
    """Both are possible and change what is compared."""
    one = read("provider,gpu,price,unit\nAWS,H100,55.04,usd_per_instance_hour\n")
    assert any("How many GPUs the machine has is not given" in w for w in one.warnings)
    month = read("provider,gpu,price,unit\nX,L40S,730,usd_per_gpu_month\n")
    assert any("Paid by the month" in w for w in month.warnings)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('"FormatVersion","v1.0"\n"Disclaimer","x"\n"SKU","OfferTermCode"\n', "price lists of AWS"),
        (json.dumps({"Items": [{"retailPrice": 1, "armSkuName": "x"}]}), "retail prices of Azure"),
        ("Service,SKU ID,SKU description,List price ($)\na,b,c,1\n", "SKUs of Google Cloud"),
        (json.dumps({"offers": [{"backend": "aws"}]}), "offers that dstack lists"),
        (
            " #  BACKEND  RESOURCES  INSTANCE TYPE  PRICE\n 1  aws  L4:24GB:1  g6.xlarge  $0.8\n",
            "offers that dstack lists",
        ),
        ("provider,gpu,price\nRunPod,H100,$2.69/hr\n", "row 2, column unit: .*found 'hr'"),
        ("provider,gpu,price,unit\nX,H100,1.99 - 2.49,usd_per_gpu_hour\n", "found '1.99 - 2.49'"),
        (
            "provider,gpu,price per GPU hour,cost per GPU hour\nX,H100,1,2\n",
            "several columns of prices",
        ),
    ],
)
def test_what_is_no_price_of_a_machine_is_named(text, words):
    """What was found, and which tables are read."""
    with pytest.raises(InputError, match=words):
        read(text)
