"""Price tables that must be refused in a sentence, or kept with what was left out counted."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

import pytest

from frontier.errors import InputError
from frontier.prices import read_prices
from frontier.tables import load_tables

TABLES = load_tables()
TODAY = dt.date(2026, 11, 26)
FILES = Path(__file__).parent / "prices"
OWN = "provider,gpu,price,unit"
SKY = "InstanceType,AcceleratorName,AcceleratorCount,Price,GpuInfo"
HUNT = "instance_name,location,price,gpu_count,gpu_name,gpu_memory,spot"
GOOD = "Acme,L40S,1.5,gpu hour"


def read(content, **more):
    content = content if isinstance(content, bytes) else content.encode()
    return read_prices(content, tables=TABLES, today=TODAY, **more)


REFUSED = {
    "a provider in each row": (
        OWN + "\n" + "".join(f"Cloud {n},L40S,1.5,gpu hour\n" for n in range(101)),
        "at most 100 providers, this one names 101",
    ),
    "no count in a SkyPilot table": (
        "InstanceType,AcceleratorName,Price\np5.48xlarge,H100,98\n",
        "looks like a SkyPilot catalogue.*missing: AcceleratorCount",
    ),
    "no price in a gpuhunt table": (
        "instance_name,gpu_name,gpu_count\nx,H100,1\n",
        "looks like a gpuhunt catalogue.*missing: price",
    ),
    "no unit": ("provider,gpu,price\nAcme,L40S,1.5\n", "missing: unit"),
    "columns in another language": ("Toimittaja;GPU;Hinta\nAcme;L40S;1,5\n", "missing: provider"),
    "a bill instead of a price list": (
        "BillingAccountId,BilledCost,ServiceName\n1,2,3\n",
        "missing: provider, gpu, price, unit",
    ),
    "two columns that mean one": (f"{OWN},gpu_name\n{GOOD},L4\n", "two columns that mean 'gpu'"),
    "a web page": (
        "<html><body>429 Too Many Requests</body></html>\n<p>\n",
        "this one is JSON or XML",
    ),
    "JSON": ('{"offers": [\n{"gpu": "H100"}]}\n', "this one is JSON or XML"),
    "a price beyond all measure": (
        f"{OWN}\nA,L40S,1e307,usd_per_gpu_second\n",
        "row 2, column price: expected a price that comes to",
    ),
    "a price below all measure": (f"{OWN}\nA,L40S,1e-320,gpu hour\n", "row 2, column price"),
    "a price of a year": (
        f"{OWN}\nA,L40S,24000,gpu hour\n",
        "row 2, column price.*to 1000 dollars",
    ),
    "a very long number": (f"{OWN}\nA,L40S,{'1' * 3000},gpu hour\n", "row 2, column price.*1111…'"),
    "a very long cell": (
        f"{OWN},note\n{GOOD},{'x' * 20_000}\n",
        "row 2, column note: expected at most 4,000 characters, found 20,000",
    ),
    "a very long cell of groups": (
        f'{OWN}\nA,L40S,"{"1,111" * 4000}",gpu hour\n',
        "row 2, column price: expected at most 4,000 characters",
    ),
    "a long name of a provider": (
        f"{OWN}\n{'A' * 81},L40S,1,gpu hour\n",
        "row 2, column provider: expected a name of at most 80",
    ),
    "a long name of a region": (f"{OWN},region\n{GOOD},{'r' * 81}\n", "column region: expected"),
    "a bell": (f"{OWN}\nAc\x07me,L40S,1,gpu hour\n", "column provider.*control character .U.0007"),
    "an escape": (
        f"{OWN}\nAcme,L40S\x1b[31m,1,gpu hour\n",
        "column gpu.*control character .U.001B",
    ),
    "a unit separator": (f"{OWN}\nAc\x1fme,L40S,1,gpu hour\n", "column provider.*U.001F"),
    "text that runs the other way": (f"{OWN}\nAc\u202eme,L40S,1,gpu hour\n", "U.202E"),
    "a blank of no width": (f"{OWN}\nAc\u200bme,L40S,1,gpu hour\n", "U.200B"),
    "a row swallowed by a quote": (f'{OWN}\n"Acme\nBeta",L40S,1,gpu hour\n', "found a line break"),
    "a quote that never closes": (f'{OWN}\n"Acme,L40S,1,gpu hour\n', "row 2"),
    "decimal comma and decimal point": (
        f'{OWN}\nA,L40S,"1,25",gpu hour\nB,L4,0.80,gpu hour\n',
        "'1,25' has a decimal comma, '0.80' a decimal point",
    ),
    "a comma that tells nothing": (
        f'{OWN}\nA,L40S,"1,250",gpu hour\n',
        "row 2, column price.*1,250",
    ),
    "two currencies": (
        f"{OWN},currency\nA,L40S,€1,gpu hour,USD\n",
        "column currency.*one currency",
    ),
    "another dollar": (f"{OWN}\nA,L40S,2 CAD,gpu hour\n", "column currency.*found 'CAD'"),
    "a sign that is not known": (f"{OWN}\nA,L40S,A$2,gpu hour\n", "row 2, column price"),
    "a number of GPUs that is none": (f"{OWN},gpu_count\n{GOOD},1e300\n", "column gpu_count"),
    "a window without end": (f"{OWN},idle_max_s\n{GOOD},1e12\n", "column idle_max_s"),
    "nothing but unknown GPUs": (
        f"{OWN}\nA,V100,1,gpu hour\nA,K80,1,gpu hour\n",
        "no row that can be used.*V100.*row 2.*K80.*row 3",
    ),
    "nothing but hosts": (f"{SKY}\nn2-standard-4,,,1,\n", "no row that can be used.*no GPU .row 2"),
    "UTF-16 cut off": (b"\xff\xfep\x00r", "byte 4 is not utf-16"),
    "a picture": (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "is a picture"),
    "no bytes at all": (b"", "no rows"),
    "one byte that is no text": (b"\x81", "byte 0 is not"),
    "blanks": ("\u00a0\u00a0\n \n", "no rows|missing"),
}

REPORTED = {
    "a SkyPilot price of 0": (
        f"{SKY}\nx,L40S,1,0,\ng6e.xlarge,L40S,1,2,\n",
        "no price above 0 .row 2",
    ),
    "a SkyPilot price beyond all measure": (
        f"{SKY}\nx,L40S,1,1e308,\ng6e.xlarge,L40S,1,2,\n",
        "a price that no GPU has .row 2",
    ),
    "a price of infinity": (
        f"{SKY}\nx,L40S,1,inf,\ng6e.xlarge,L40S,1,2,\n",
        "no price above 0 .row 2",
    ),
    "a third of a GPU": (
        f"{SKY}\nStandard_NV12ads_A10_v5,A10,0.33,1,\ng5.xlarge,A10G,1,2,\n",
        "part of a GPU .A10. .row 2",
    ),
    "a count beyond all measure": (
        f"{SKY}\nx,L40S,1e300,1,\ng6e.xlarge,L40S,1,2,\n",
        "no usable number of GPUs .L40S. .row 2",
    ),
    "no count": (f"{SKY}\nx,L40S,,1,\ng6e.xlarge,L40S,1,2,\n", "no usable number of GPUs"),
    "a very long name": (
        f"{SKY}\n{'x' * 90},L40S,1,1,\ng6e.xlarge,L40S,1,2,\n",
        "a name of more than 80 characters .row 2",
    ),
    "a memory beyond all measure": (
        f"{SKY}\ng6e.xlarge,L40S,1,2,"
        f"\"{{'Gpus': [{{'MemoryInfo': {{'SizeInMiB': 1{'0' * 400}}}}}]}}\"\n",
        "GpuInfo cannot be read",
    ),
    "GpuInfo without end": (f"{SKY}\ng6e.xlarge,L40S,1,2,{'[' * 3000}\n", "GpuInfo cannot be read"),
    "an unknown host": (f"{SKY}\nmystery-9,L40S,1,2,\n", "provider is not known"),
    "a repeated row": (f"{OWN}\n{GOOD}\n{GOOD}\n", "repeats a row above .row 3"),
    "a slice in gpuhunt": (
        f"{HUNT}\nx,r,1,1,L4,2.86,False\ny,r,1,1,L4,24,False\n",
        "part of a GPU .L4. .row 2",
    ),
}


@pytest.mark.parametrize(("content", "message"), REFUSED.values(), ids=REFUSED)
def test_it_is_refused_in_a_sentence_that_says_why(content, message):
    """Nothing of the table is used, nothing escapes but the sentence, and that is short."""
    with pytest.raises(InputError, match=message) as caught:
        read(content)
    words = str(caught.value)
    assert len(words) < 500
    assert all(character.isprintable() for character in words)


@pytest.mark.parametrize(("content", "message"), REPORTED.values(), ids=REPORTED)
def test_it_is_kept_and_what_was_left_out_is_counted(content, message):
    """Rows that can be used are; each of the others is named with its row."""
    upload = read(content, name="acme.csv")
    assert len(upload.offers) == 1
    assert any(re.search(message, sentence) for sentence in upload.warnings)


@pytest.mark.parametrize("name", ["a" * 81, "Ac\x00me", "Ac\nme"])
def test_the_name_of_a_provider_is_checked_wherever_it_comes_from(name):
    """Typed beside the upload: the same limits as in a cell."""
    with pytest.raises(InputError, match="name of a provider in at most 80 characters"):
        read(f"{SKY}\ng6e.xlarge,L40S,1,2,\n", provider=name)


def test_the_name_of_a_file_is_made_a_name_of_a_provider():
    """A gpuhunt catalogue is named after its provider, whatever the file is called."""
    row = f"{HUNT}\nx,r,1,1,L40S,48,False\n"
    assert read(row, name="lambdalabs.csv").offers[0].rules_id == "lambda"
    assert read(row, name="gpuhunt_lambdalabs (2).csv").offers[0].rules_id == "lambda"
    assert len(read(row, name=f"{'a' * 300}.csv").offers[0].provider) == 80
    assert read(row, name="a\x07b.csv").offers[0].provider == "ab"
    assert read(row, name="").offers[0].provider == "Your own"


def test_a_longer_name_of_a_provider_has_its_rules_and_says_so():
    """Products are written behind the name; two names in one, or none, are nobody's."""
    upload = read(f"{OWN}\nrunpod-secure,L40S,1.5,gpu hour\n")
    assert upload.offers[0].rules_id == "runpod-pod"
    assert "'runpod-secure' is taken for RunPod (row 2)" in upload.warnings
    two = read(f"{OWN}\nrunpod-secure,L40S,1.5,gpu hour\nrunpod-community,L40S,1.5,gpu hour\n")
    assert [one.provider for one in two.offers] == ["runpod-secure", "runpod-community"]
    for name in ("runpod or lambda", "runpodder", "our rack"):
        assert read(f"{OWN}\n{name},L40S,1.5,gpu hour\n").offers[0].rules_id == "own-machine"


@pytest.mark.parametrize("kind", ["reserved_1y", "Committed 3 years", "reserved-3yr"])
def test_a_reservation_may_name_its_years(kind):
    """As price lists write it: the kind is reserved."""
    upload = read(f"provider,gpu,price,unit,kind\nAcme,L40S,1.5,gpu hour,{kind}\n")
    assert upload.offers[0].kind == "reserved"


def test_the_files_that_once_went_wrong():
    """Without a count: a traceback; 1e308 a second: an infinite price."""
    with pytest.raises(InputError, match="AcceleratorCount"):
        read((FILES / "hostile_skypilot_without_count.csv").read_bytes())
    with pytest.raises(InputError, match=r"row 2, column price.*row 3, column price"):
        read((FILES / "hostile_price_1e308.csv").read_bytes())


def test_many_kinds_of_remarks_are_counted_not_listed():
    """A table of a hundred unknown providers gives a list that can be read, nothing uncounted."""
    rows = "".join(f"Acme {number},L40S,1.5,gpu hour\n" for number in range(100))
    upload = read(f"{OWN}\n{rows}")
    assert len(upload.offers) == 100
    assert len(upload.warnings) == 41
    assert upload.warnings[-1] == "And 62 more remarks, on 62 rows"
