"""Catalogues of clouds that tools publish: gpuhunt's and SkyPilot's ``vms.csv``.

Both list prices in dollars an hour for the whole instance and have no dates. What no plan could
use is left out and counted.
"""

from __future__ import annotations

import ast
import datetime as dt
import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from frontier.delimited import DecimalMark
from frontier.errors import InputError
from frontier.prices.gpu_names import Found, GpuNames
from frontier.prices.remarks import Line, Remarks, shown
from frontier.prices.sheet import Sheet, range_of
from frontier.prices.who_sells import ProviderNames
from frontier.tables import Tables

GPUHUNT = ("instance_name", "gpu_name", "gpu_count", "price")
SKYPILOT = ("InstanceType", "AcceleratorName", "AcceleratorCount", "Price")
_UNKNOWN_PROVIDER = "Your own"
_ADDED_GPUS = "Google Cloud"
_MIB_PER_GIB = 1024
# "a2-highgpu-8g", "a3-edgegpu-8g-nolssd".
_HOLDS = re.compile(r"-(?P<gpus>\d{1,2})g(?:-|$)")
_DEARER = "mega"
# More of a name than tells the form of a GPU is not looked at.
_LONGEST_SAID = 80


def catalogue_of(header: tuple[str, ...]) -> str | None:
    """Return which catalogue a header is of, None if of neither.

    Raises
    ------
    InputError
        If it is one of them and lacks a column that is needed to read it.
    """
    for kind, title, columns in (
        ("skypilot", "a SkyPilot catalogue", SKYPILOT),
        ("gpuhunt", "a gpuhunt catalogue", GPUHUNT),
    ):
        if set(columns[:2]) <= set(header):
            missing = [column for column in columns if column not in header]
            if missing:
                raise InputError(
                    f"The price table looks like {title}, which needs the columns "
                    f"{', '.join(columns)}; missing: {', '.join(missing)}"
                )
            return kind
    return None


def gpuhunt_lines(
    sheet: Sheet, tables: Tables, today: dt.date, provider: str, remarks: Remarks
) -> Iterator[Line]:
    """Yield the usable rows of a gpuhunt catalogue, which has spot prices in rows of their own.

    Rows with a mark that stands in data/catalogue_flags.csv are no price of one machine as it is
    rented, and are left out.
    """
    gpus = GpuNames(tables, "gpuhunt")
    cells_of = _Cells(sheet, tables, remarks, ("price", "gpu_count", "gpu_memory"))
    for number, cells in sheet.rows:
        count = cells_of.number(cells["gpu_count"])
        if not cells["gpu_name"] or count == 0:
            remarks.note(number, "Left out, no GPU")
            continue
        marks = re.split(r"[^a-z0-9-]+", cells.get("flags", "").casefold())
        flag = next((tables.catalogue_flags[m] for m in marks if m in tables.catalogue_flags), None)
        if flag is not None:
            remarks.note(number, f"Left out, {flag.meaning}")
            continue
        found = cells_of.usable(
            cells["gpu_name"],
            cells_of.number(cells.get("gpu_memory", "")),
            count,
            cells["instance_name"],
            number,
            gpus,
        )
        price = cells_of.number(cells["price"])
        if found is None or found.gpu is None or not cells_of.is_price(price, count, number):
            continue
        yield Line(
            row=number,
            provider=_named(cells.get("provider", ""), tables) or provider,
            product=cells["instance_name"],
            kind="spot" if cells.get("spot", "").casefold() == "true" else "dedicated",
            gpu=found.gpu,
            gpus_min=int(count),
            gpus_max=int(count),
            usd_per_gpu_h=price / count,
            region=cells.get("location") or "not given",
            priced_on=today,
            note="From a gpuhunt catalogue, which has no dates.",
            or_else=found.or_else,
        )


def skypilot_lines(
    sheet: Sheet,
    tables: Tables,
    today: dt.date,
    provider: str | None,
    remarks: Remarks,
    or_else: str | None = None,
) -> Iterator[Line]:
    """Yield the usable rows of a SkyPilot ``vms.csv``.

    ``provider`` is whose they all are; ``or_else`` whose they are where the instance's name does
    not tell.

    On Google Cloud an instance with GPUs is listed without them, and the GPUs stand in rows that
    name no instance: the two are added, and an instance whose GPUs have no price is left out.
    """
    gpus = GpuNames(tables, "skypilot")
    cells_of = _Cells(sheet, tables, remarks, ("Price", "SpotPrice", "AcceleratorCount"))
    alone = _usd_alone(sheet, cells_of)
    listed: dict[str, list[str]] = {}
    for name in dict.fromkeys(name for name, _, _ in alone):
        if (gpu := gpus.find(name).gpu) is not None:
            listed.setdefault(gpu, []).append(name)
    for number, cells in sheet.rows:
        if not cells["InstanceType"]:
            continue
        if not cells["AcceleratorName"]:
            cells = {**cells, **_attached(cells["InstanceType"], listed, gpus)}
        if not cells["AcceleratorName"]:
            remarks.note(number, "Left out, no GPU")
            continue
        count = cells_of.number(cells["AcceleratorCount"])
        memory_gb, says, is_of_all = _gpu_info(cells, count, number, remarks)
        found = cells_of.usable(
            cells["AcceleratorName"],
            memory_gb,
            count,
            cells["InstanceType"],
            number,
            gpus,
            says,
            is_of_all,
        )
        if found is None or found.gpu is None:
            continue
        family = gpus.instance(cells["InstanceType"])
        owner = provider or (family.provider if family is not None else None) or or_else
        if owner is None:
            remarks.note(number, "The provider is not known from the instance's name")
            owner = _UNKNOWN_PROVIDER
        spot_is_list = cells.get("SpotPrice") == cells.get("Price")
        for column, kind in (("Price", "dedicated"), ("SpotPrice", "spot")):
            if not cells.get(column) or (kind == "spot" and spot_is_list):
                continue
            price = cells_of.number(cells[column])
            if kind == "spot" and price == 0:
                continue  # none is offered
            if not cells_of.is_price(price, count, number):
                continue
            if owner == _ADDED_GPUS:
                key = (cells["AcceleratorName"], cells.get("Region", ""), column)
                if key not in alone:
                    remarks.note(number, "Left out, the price of its GPUs is not in the table")
                    continue
                price += alone[key] * count
                if not cells_of.is_price(price, count, number):
                    continue
            yield Line(
                row=number,
                provider=owner,
                product=cells["InstanceType"],
                kind=kind,
                gpu=found.gpu,
                gpus_min=int(count),
                gpus_max=int(count),
                usd_per_gpu_h=price / count,
                region=cells.get("Region") or "not given",
                priced_on=today,
                note="From a SkyPilot catalogue, which has no dates.",
                or_else=found.or_else,
            )


def _attached(instance: str, listed: Mapping[str, list[str]], gpus: GpuNames) -> dict[str, str]:
    """Return the GPUs of an instance that is listed without them, where its name says how many.

    ``listed`` are the names under which each GPU has a price of its own.
    """
    match = _HOLDS.search(instance[:_LONGEST_SAID])
    family = gpus.instance(instance) if match is not None else None
    if match is None or family is None or family.provider != _ADDED_GPUS or family.gpu is None:
        return {}
    # An a3-megagpu has GPUs of its own price.
    meant = [
        name
        for name in listed.get(family.gpu, ())
        if (_DEARER in name.casefold()) == (_DEARER in instance.casefold())
    ]
    return {"AcceleratorName": meant[0], "AcceleratorCount": match["gpus"]} if meant else {}


def _usd_alone(sheet: Sheet, cells_of: _Cells) -> dict[tuple[str, str, str], float]:
    """Return the price of one GPU where it is listed apart, by name, region and column [$/h]."""
    alone = {}
    for _, cells in sheet.rows:
        if not cells["InstanceType"] and cells["AcceleratorName"]:
            count = cells_of.number(cells["AcceleratorCount"])
            for column in ("Price", "SpotPrice"):
                price = cells_of.number(cells.get(column, ""))
                if 0 < price < math.inf and 0 < count < math.inf:
                    key = (cells["AcceleratorName"], cells.get("Region", ""), column)
                    alone[key] = price / count
    return alone


class _Cells:
    """Reads the numbers of a catalogue and says which rows no plan could use."""

    def __init__(
        self, sheet: Sheet, tables: Tables, remarks: Remarks, numbers: tuple[str, ...]
    ) -> None:
        self._mark: DecimalMark = sheet.decimal_mark(numbers, tables, remarks)
        self._tables, self._remarks = tables, remarks

    def number(self, text: str) -> float:
        """Return a number, not-a-number where the cell has none."""
        if len(text) > self._tables.setting("upload_longest_number"):
            return math.nan
        return self._mark.number(text)

    def is_price(self, usd_per_h: float, count: float, row: int) -> bool:
        """Whether an instance's price is one that the price list may hold [$/h]."""
        if not usd_per_h > 0:
            self._remarks.note(row, "Left out, no price above 0")
            return False
        lowest = self._tables.setting("upload_least_usd_per_gpu_h")
        if not lowest <= usd_per_h / count <= range_of("offers", "usd_per_gpu_h")[1]:
            self._remarks.note(row, "Left out, a price that no GPU has")
            return False
        return True

    def usable(
        self,
        name: str,
        memory_gb: float,
        count: float,
        instance: str,
        row: int,
        gpus: GpuNames,
        says: str = "",
        is_of_all: bool = False,
    ) -> Found | None:
        """Return the GPU of a row, or None with a remark if no plan could use it."""
        longest = self._tables.setting("upload_longest_name")
        if max(len(name), len(instance)) > longest:
            self._remarks.note(row, f"Left out, a name of more than {longest:g} characters")
            return None
        if not 1 <= count <= range_of("offers", "gpus_max")[1] or count % 1:
            what = "part of a GPU" if 0 < count < 1 else "no usable number of GPUs"
            self._remarks.note(row, f"Left out, {what} ({shown(name)})")
            return None
        found = gpus.find(
            name,
            memory_gb=memory_gb,
            count=count,
            instance=instance,
            says=says,
            is_of_all=is_of_all,
        )
        if found.remark is not None:
            self._remarks.note(row, found.remark)
        return None if found.gpu is None else found


def _gpu_info(
    cells: dict[str, str], count: float, row: int, remarks: Remarks
) -> tuple[float, str, bool]:
    """Return the memory in SkyPilot's ``GpuInfo``, what it calls the GPU, whether it is of all.

    It is a Python literal or JSON, or on some clouds no more than the GPU's name; its memory is in
    MiB, or in GB where the number is small, and 0 where it says none [GB]. Its name may tell the
    form ("A100 PCIe") that the column with the accelerator leaves open. Where several GPUs have
    no more memory together than one of them, the catalogue gives that of all as that of one.
    """
    text = cells.get("GpuInfo", "")
    if not text or text == cells["AcceleratorName"]:
        return 0.0, "", False
    try:
        try:
            info = ast.literal_eval(text)
        except ValueError:
            # Words of JSON, as null, are none of Python.
            info = json.loads(text.replace("'", '"'))
        whole = _with_plain_keys(info)
        one = _with_plain_keys(whole["gpus"][0])
        size = _with_plain_keys(one["memoryinfo"])["sizeinmib"]
        size = 0.0 if size is None else float(size)
        together = float(whole.get("totalgpumemoryinmib") or one.get("totalgpumemoryinmib") or 0.0)
        says = str(one.get("name") or "")
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        MemoryError,
        RecursionError,
        SyntaxError,
        TypeError,
        ValueError,
    ):
        remarks.note(row, "GpuInfo cannot be read; the memory of the GPU is not checked")
        return 0.0, "", False
    # RunPod writes GB here; no GPU has less than a gibibyte.
    memory_gb = size / _MIB_PER_GIB if size >= _MIB_PER_GIB else size
    return memory_gb, says[:_LONGEST_SAID], count > 1 and together == size


def _with_plain_keys(found: dict[str, Any]) -> dict[str, Any]:
    return {key.casefold(): value for key, value in found.items()}


def _named(name: str, tables: Tables) -> str | None:
    """Return the provider of that name, or the name itself where nobody here goes by it."""
    return ProviderNames(tables).find(name) or name or None
