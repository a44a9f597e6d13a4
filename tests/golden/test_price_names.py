"""Price lists as people have them: which GPU, whose machine and which rules each row means."""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path

import pytest

from frontier.edits import Edit, ScenarioFile, read_scenario, scenario_json, with_edits
from frontier.prices import origin_in_words, read_prices, with_prices
from frontier.tables import load_tables

TABLES = load_tables()
TODAY = dt.date(2026, 11, 26)
FILES = Path(__file__).parent / "prices"


def read(content, **more):
    content = content if isinstance(content, bytes) else content.encode()
    return read_prices(content, tables=TABLES, today=TODAY, **more)


def read_file(file, **more):
    return read((FILES / file).read_bytes(), **more)


def rows_of(upload):
    return [(o.product, o.kind, o.gpu, o.gpus_max, o.usd_per_gpu_h) for o in upload.offers]


def skypilot(instance, gpu, count=1, memory_mib=None):
    """Read a SkyPilot catalogue of one row."""
    info = (
        f"\"{{'Gpus': [{{'MemoryInfo': {{'SizeInMiB': {memory_mib}}}}}]}}\"" if memory_mib else ""
    )
    return read(
        "InstanceType,AcceleratorName,AcceleratorCount,Price,GpuInfo\n"
        f"{instance},{gpu},{count},{2 * count},{info}\n"
        # On Google Cloud the GPU is a row of its own.
        f",{gpu},1,1,\n"
    )


def test_gpuhunt_names_the_form_in_the_instance():
    """RunPod's instances are called after the card; the column has the chip alone."""
    upload = read_file("gpuhunt_runpod.csv", name="runpod.csv")
    assert rows_of(upload) == [
        ("NVIDIA H100 PCIe", "dedicated", "H100-PCIe-80GB", 1, 1.99),
        ("NVIDIA A100 80GB PCIe", "dedicated", "A100-80GB-PCIe", 1, 1.19),
        ("NVIDIA A100-SXM4-80GB", "dedicated", "A100-80GB", 1, 1.39),
    ]
    assert {offer.rules_id for offer in upload.offers} == {"runpod-pod"}
    assert upload.warnings == ()


def test_a_german_spreadsheet():
    """Semicolons, decimal commas, a byte order mark and Windows line ends."""
    upload = read_file("price_excel_de.csv")
    assert [(o.provider, o.gpu, o.usd_per_gpu_h) for o in upload.offers] == [
        ("RunPod", "H100-SXM-80GB", 2.69),
        ("Lambda", "A100-80GB", 1.79),
    ]
    assert "Numbers are read with a decimal comma" in upload.warnings


def test_amazon_families():
    """A p4d holds the 40 GB card; a p6-b200 is Amazon's; a part of an L4 is left out."""
    upload = read_file("price_skypilot_aws_p6.csv")
    assert rows_of(upload) == [
        ("g6e.xlarge", "dedicated", "L40S", 1, 1.861),
        ("g6e.xlarge", "spot", "L40S", 1, 0.9),
        ("p5.48xlarge", "dedicated", "H100-SXM-80GB", 8, pytest.approx(6.88)),
        ("p6-b200.48xlarge", "dedicated", "B200", 8, pytest.approx(113.9 / 8)),
        ("g7e.2xlarge", "dedicated", "RTX-PRO-6000", 1, 3.36),
        ("g5.xlarge", "dedicated", "A10G", 1, 1.006),
        ("g5.xlarge", "spot", "A10G", 1, 0.4),
        ("p4d.24xlarge", "dedicated", "A100-40GB", 8, pytest.approx(2.745)),
    ]
    assert {(o.provider, o.rules_id) for o in upload.offers} == {("AWS", "aws-ec2")}
    assert upload.warnings == (
        "Left out, part of a GPU (L4) (row 4)",
        "Left out, no specification of the GPU 'Inferentia2' (row 9)",
    )


def test_google_a2_machines():
    """a2-highgpu holds the A100 of 40 GB, a2-ultragpu that of 80 GB, host and GPU added."""
    upload = read_file("price_skypilot_gcp_a100.csv")
    assert rows_of(upload) == [
        ("a2-highgpu-1g", "dedicated", "A100-40GB", 1, pytest.approx(3.673)),
        ("a2-highgpu-1g", "spot", "A100-40GB", 1, pytest.approx(1.2)),
        ("a2-ultragpu-1g", "dedicated", "A100-80GB", 1, pytest.approx(5.069)),
        ("a2-ultragpu-1g", "spot", "A100-80GB", 1, pytest.approx(2.0)),
    ]
    assert upload.warnings == ()


def test_skypilot_names():
    """The words of a form in any order; the H100 of Azure's NC machines is the NVL with 94 GB."""
    upload = read_file("price_skypilot_names.csv")
    found = {o.product: o.gpu for o in upload.offers}
    assert found["1x_A100-80GB-SXM_SECURE"] == "A100-80GB"
    assert found["Standard_NC40ads_H100_v5"] == "H100-NVL-94GB"
    assert found["1x_RTXA6000_SECURE"] == "RTX-A6000"
    assert len(found) == 7
    assert {o.rules_id for o in upload.offers} == {"runpod-pod", "azure-vm"}
    assert len(upload.warnings) == 3


@pytest.mark.parametrize(
    ("instance", "name", "memory_mib", "gpu", "provider"),
    [
        ("gpu_1x_h100_pcie", "H100", 81920, "H100-PCIe-80GB", "Lambda"),
        ("gpu_2x_h100_sxm5", "H100", 81920, "H100-SXM-80GB", "Lambda"),
        ("gpu_1x_a100_sxm4", "A100", 40960, "A100-40GB", "Lambda"),
        ("gpu_4x_a100", "A100", None, "A100-40GB", "Lambda"),
        ("gpu_8x_a100_80gb_sxm4", "A100-80GB", 81920, "A100-80GB", "Lambda"),
        ("gpu_1x_gh200", "GH200", 98304, "GH200", "Lambda"),
        ("gpu_8x_b200_sxm6", "B200", 184320, "B200", "Lambda"),
        ("p4d.24xlarge", "A100", None, "A100-40GB", "AWS"),
        ("p4de.24xlarge", "A100-80GB", None, "A100-80GB", "AWS"),
        ("p5.4xlarge", "H100", None, "H100-SXM-80GB", "AWS"),
        ("p5e.48xlarge", "H200", None, "H200", "AWS"),
        ("p5en.48xlarge", "H200", 144384, "H200", "AWS"),
        ("p6-b300.48xlarge", "B300", None, "B300", "AWS"),
        ("p6e-gb200.36xlarge", "GB200", None, "GB200", "AWS"),
        ("g6e.12xlarge", "L40S", 45776, "L40S", "AWS"),
        ("a3-megagpu-8g", "H100-MEGA", None, "H100-SXM-80GB", "Google Cloud"),
        ("a3-highgpu-8g", "H100", None, "H100-SXM-80GB", "Google Cloud"),
        ("a3-ultragpu-8g", "H200", None, "H200", "Google Cloud"),
        ("a4-highgpu-8g", "B200", None, "B200", "Google Cloud"),
        ("a2-megagpu-16g", "A100", None, "A100-40GB", "Google Cloud"),
        ("g2-standard-8", "L4", None, "L4", "Google Cloud"),
        ("Standard_NC80adis_H100_v5", "H100", None, "H100-NVL-94GB", "Azure"),
        ("Standard_NCC40ads_H100_v5", "H100", None, "H100-NVL-94GB", "Azure"),
        ("Standard_ND96isr_H100_v5", "H100", None, "H100-SXM-80GB", "Azure"),
        ("Standard_ND96isr_H200_v5", "H200", None, "H200", "Azure"),
        ("Standard_NC24ads_A100_v4", "A100-80GB", None, "A100-80GB-PCIe", "Azure"),
        ("Standard_ND96asr_v4", "A100", None, "A100-40GB", "Azure"),
        ("Standard_ND96amsr_A100_v4", "A100-80GB", None, "A100-80GB", "Azure"),
        ("Standard_ND96isr_MI300X_v5", "MI300X", None, "MI300X", "Azure"),
        ("BM.GPU4.8", "A100", None, "A100-40GB", "Oracle Cloud"),
        ("BM.GPU.A100-v2.8", "A100-80GB", None, "A100-80GB", "Oracle Cloud"),
        ("BM.GPU.H100.8", "H100", None, "H100-SXM-80GB", "Oracle Cloud"),
        ("1x_H100_NVL_COMMUNITY", "H100", None, "H100-NVL-94GB", "RunPod"),
        ("2x_A100-80GB_PCIe_SECURE", "A100-80GB", None, "A100-80GB-PCIe", "RunPod"),
        ("1x_H100-SXM_SECURE", "H100-SXM", 80, "H100-SXM-80GB", "RunPod"),
    ],
)
def test_the_instance_says_which_form(instance, name, memory_mib, gpu, provider):
    """The instance settles what the GPU's name leaves open: no guess, so no remark on a form."""
    upload = skypilot(instance, name, memory_mib=memory_mib)
    (offer,) = upload.offers
    assert (offer.gpu, offer.provider) == (gpu, provider)
    assert not [words for words in upload.warnings if "form" in words]


@pytest.mark.parametrize(
    ("name", "memory", "instance", "gpu"),
    [
        ("H100", 80, "Some H100 box", "H100-SXM-80GB"),
        ("H100", 94, "Some H100 box", "H100-NVL-94GB"),
        ("H100NVL", 94, "NVIDIA H100 NVL", "H100-NVL-94GB"),
        ("A100", 40, "p4d.24xlarge", "A100-40GB"),
        ("A100", 80, "Standard_NC24ads_A100_v4", "A100-80GB-PCIe"),
        ("A100", 80, "whatever", "A100-80GB"),
        ("L40S", 48, "whatever", "L40S"),
        ("RTXPRO6000", 96, "whatever", "RTX-PRO-6000"),
    ],
)
def test_gpuhunt_memory_tells_forms_apart(name, memory, instance, gpu):
    """A catalogue that gives the memory of the GPU leaves less open than its name does."""
    upload = read(
        "instance_name,location,price,gpu_count,gpu_name,gpu_memory,spot\n"
        f"{instance},x,2.5,1,{name},{memory},False\n",
        name="acme.csv",
    )
    assert [offer.gpu for offer in upload.offers] == [gpu]


@pytest.mark.parametrize(
    ("name", "memory_mib", "words"),
    [
        ("L40S", 12 * 1024, "part of a GPU"),
        ("A100", 20 * 1024, "part of a GPU"),
        ("H100", 120 * 1024, "no specification of 'H100' with 120 GB"),
        ("A100-PCIe-80GB-MIG-1g.10gb", None, "no specification of the GPU"),
        ("RTX 4090 48GB", None, "no specification of 'RTX 4090 48GB' with 48 GB"),
        ("H200-NVL", None, "no specification of the GPU"),
        ("Inferentia2", None, "no specification of the GPU"),
    ],
)
def test_what_is_no_whole_known_gpu_is_left_out_and_said(name, memory_mib, words):
    """A slice, a modified card and a chip that is not known never pass as the GPU they resemble."""
    header = "InstanceType,AcceleratorName,AcceleratorCount,Price,GpuInfo"
    info = (
        f"\"{{'Gpus': [{{'MemoryInfo': {{'SizeInMiB': {memory_mib}}}}}]}}\"" if memory_mib else ""
    )
    upload = read(f"{header}\nx,{name},1,2,{info}\ng6e.xlarge,L40S,1,2,\n")
    assert [offer.product for offer in upload.offers] == ["g6e.xlarge"]
    assert any(words in sentence and "row 2" in sentence for sentence in upload.warnings)


def test_an_instance_that_contradicts_the_table_is_said():
    """A p4d has no H100, and Azure's NC H100 no 80 GB: what was believed stands in the remarks."""
    upload = skypilot("p4d.24xlarge", "H100-SXM")
    assert upload.offers[0].gpu == "H100-SXM-80GB"
    assert any("known to hold the A100-40GB" in words for words in upload.warnings)
    upload = skypilot("Standard_NC40ads_H100_v5", "H100", memory_mib=81920)
    assert upload.offers[0].gpu == "H100-NVL-94GB"
    assert any("80 GB is not used" in words for words in upload.warnings)


def test_memory_of_all_gpus_together_is_understood():
    """Some lists give 640 GB for eight H100: eight times the memory of one."""
    upload = read(
        "instance_name,location,price,gpu_count,gpu_name,gpu_memory\nbox,x,20,8,H100,640\n",
        name="acme.csv",
    )
    assert upload.offers[0].gpu == "H100-SXM-80GB"


def test_other_clouds_are_not_taken_for_amazon():
    """Alibaba's and a university's instances have a dot too; their provider stays unknown."""
    for instance in ("ecs.gn7i-c8g1.2xlarge", "p2s.2xlarge.8", "gpu.large.l40s"):
        upload = skypilot(instance, "L40S")
        assert upload.offers[0].provider == "Your own"
        assert any("provider is not known" in words for words in upload.warnings)


@pytest.mark.parametrize(
    ("provider", "kind", "rules_id", "found_kind"),
    [
        ("Baseten", "", "baseten", "serverless"),
        ("baseten.co", "serverless", "baseten", "serverless"),
        ("BASETEN", "on-demand", "baseten", "dedicated"),
        ("Hugging-Face", "", "hf-endpoints", "serverless"),
        ("RunPod", "", "runpod-pod", "dedicated"),
        ("runpod.io", "serverless", "runpod-flex", "serverless"),
        ("Amazon Web Services", "", "aws-ec2", "dedicated"),
        ("GCP", "serverless", "cloud-run", "serverless"),
        ("Lambda Labs", "reserved", "lambda", "reserved"),
        ("DataCrunch", "spot", "verda", "spot"),
        ("Your own", "serverless", "own-serverless", "serverless"),
        ("Acme", "", "own-machine", "dedicated"),
    ],
)
def test_rules_are_found_by_the_providers_name(provider, kind, rules_id, found_kind):
    """The rules that ship hold for a provider however it is spelt, also where no price ships."""
    upload = read(f"provider,gpu,price,unit,kind\n{provider},L40S,1.2,gpu hour,{kind}\n")
    (offer,) = upload.offers
    assert (offer.rules_id, offer.kind) == (rules_id, found_kind)
    cautious = any("cautious ones are used" in words for words in upload.warnings)
    assert cautious == rules_id.startswith("own-")


def test_every_provider_with_rules_is_found_by_its_own_name():
    """A provider whose rules ship gets them, not the cautious ones."""
    for rules in TABLES.provider_rules.values():
        if rules.provider != "Your own":
            text = f"provider,gpu,price,unit\n{rules.provider},L40S,1.2,gpu hour\n"
            found = TABLES.provider_rules[read(text).offers[0].rules_id]
            assert found.provider == rules.provider


def test_names_of_providers_lead_to_providers():
    """No row of the table of names leads nowhere, and no name leads to two providers."""
    providers = {row.provider for row in TABLES.provider_rules.values()}
    assert {row.provider for row in TABLES.provider_names.values()} <= providers
    names = [name for row in TABLES.provider_names.values() for name in row.names]
    assert len(names) == len(set(names))
    assert {row.provider for row in TABLES.instance_types.values()} <= providers


def test_windows_text_with_currency_signs():
    """cp1252 as Excel saves it in Western Europe: the euro sign is a byte that UTF-8 has not."""
    text = "provider;gpu;price;unit;note\r\nVerda;L40S;1,20 €;GPU hour;Köln\r\n"
    upload = read(text.encode("cp1252"), usd_per={"EUR": 1.1})
    (offer,) = upload.offers
    assert offer.usd_per_gpu_h == pytest.approx(1.32)
    assert offer.note == "Köln"
    assert any("Windows text" in words for words in upload.warnings)


def test_utf16_with_tabs():
    """As a spreadsheet saves "Unicode text"."""
    text = "provider\tgpu\tprice\tunit\r\nAcmé\tL40S\t1,25\tGPU hour\r\n"
    (offer,) = read(text.encode("utf-16")).offers
    assert (offer.provider, offer.usd_per_gpu_h) == ("Acmé", 1.25)


def test_empty_cells_to_the_right_are_no_columns():
    """A spreadsheet writes the cells that somebody once touched."""
    upload = read("sep=;\nprovider;gpu;price;unit;;\nAcme;L40S;1,25;GPU hour;;\n")
    assert upload.offers[0].usd_per_gpu_h == 1.25


def test_a_price_of_somebodys_own_is_called_theirs():
    """Uploaded, typed or from a scenario file: never list, never vendor-stated."""
    upload = read("provider,gpu,price,unit,increment_s\nModal,L40S,1.5,gpu hour,10\n")
    tables = with_prices(TABLES, upload)
    typed = with_edits(
        tables, [Edit("offers", "crusoe-l40s", "usd_per_gpu_h", "1.25")], today=TODAY
    )
    (offer,) = upload.offers
    # A file may say of itself what it wants.
    claims = dataclasses.replace(offer, price_kind="list", basis="vendor-stated")
    content = scenario_json(
        ScenarioFile({}, (), (claims,), upload.rules, upload.behaviours), version="1", made_on=TODAY
    )
    scenario = read_scenario(content, TABLES)
    (opened,) = scenario.offers
    assert [row.basis for row in scenario.rules] == ["yours"]
    for own in (offer, typed.offers["crusoe-l40s"], opened):
        assert (own.price_kind, own.basis) == ("yours", "yours")
        assert typed.source_of(own).kind == "yours"
        assert origin_in_words(own, typed) == f"your price, dated {TODAY}"
    (rules,) = upload.rules
    assert (rules.basis, typed.source_of(rules).kind) == ("yours", "yours")
    assert rules.note.startswith("increment_s: as you gave them; the rest after Modal pricing")
    assert TABLES.provider_rules["modal"].basis == "vendor-stated"
    shipped = TABLES.offers["modal-l40s"]
    assert origin_in_words(shipped, TABLES).startswith("list price of 2026-09-19, Modal pricing")
