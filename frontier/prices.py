"""A price table that somebody uploads: read, checked row by row, never half-loaded.

Three formats are told apart by their header: a plain table that needs no more than provider, GPU,
price and unit; a gpuhunt catalogue; a SkyPilot ``vms.csv``. What a price list does not say (billed
stages, increments, idle windows) comes from the provider's rules in data/, or from the cautious
rules for unknown providers. A wrong cell refuses the whole table and says where; a strange one is
kept and said. Rows that no plan could use (no GPU, part of a GPU, an unknown GPU) are left out and
counted. Nothing is fetched: exchange rates are the user's.
"""

from __future__ import annotations

import ast
import csv
import dataclasses
import datetime as dt
import io
import math
import re
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from types import MappingProxyType

from frontier.errors import InputError
from frontier.tables import Behaviour, Offer, ProviderRules, Tables
from frontier.units import SECONDS_PER_HOUR, SECONDS_PER_MINUTE

FORMATS = ("own", "gpuhunt", "skypilot")
REQUIRED = ("provider", "gpu", "price", "unit")

_SHOWN_ERRORS = 12
_SHOWN_ROWS = 5
_LONGEST_CELL = 4000
_TIMES_AN_HOUR = {
    **dict.fromkeys(("h", "hr", "hour"), 1.0),
    **dict.fromkeys(("min", "minute"), SECONDS_PER_MINUTE),
    **dict.fromkeys(("s", "sec", "second"), SECONDS_PER_HOUR),
}
_CURRENCY_SIGNS = {"$": " usd ", "€": " eur ", "£": " gbp "}
_COLUMN_NAMES = {
    "instance_type": "product",
    "instance": "product",
    "sku": "product",
    "gpus": "gpu_count",
    "count": "gpu_count",
    "gpu_name": "gpu",
    "accelerator": "gpu",
    "purchase_option": "kind",
    "offering_kind": "kind",
    "location": "region",
    "date": "priced_on",
    "price_date": "priced_on",
    "source_url": "source",
}
_KINDS = {
    "serverless": "serverless",
    **dict.fromkeys(("dedicated", "on-demand", "ondemand", "on demand"), "dedicated"),
    **dict.fromkeys(("spot", "preemptible", "interruptible"), "spot"),
    **dict.fromkeys(("reserved", "1y", "3y", "committed", "savings plan"), "reserved"),
}
_PROVIDER_NAMES = {
    "amazon": "aws",
    "gcp": "google cloud",
    "google": "google cloud",
    "microsoft": "azure",
    "oci": "oracle cloud",
    "oracle": "oracle cloud",
    "lambdalabs": "lambda",
    "hf": "hugging face",
    "huggingface": "hugging face",
    "vastai": "vast.ai",
    "vast": "vast.ai",
}
_SKYPILOT_PROVIDERS = (
    (r"standard_", "Azure"),
    (r"[a-z]+[0-9]+[a-z-]*\.[0-9a-z]+$", "AWS"),
    (r"(a2|a3|a4|g2|g4|n1)-", "Google Cloud"),
    (r"gpu_[0-9]+x_", "Lambda"),
    (r"[0-9]+x_.*_(secure|community)$", "RunPod"),
)
_NOISE = re.compile(r"nvidia|amd|tesla|geforce|instinct|gpu|hgx|hbm\d?e?|gddr\d|blackwell")
_BILLING_COLUMNS = ("increment_s", "minimum_s", "platform_fee_usd_month")
_BEHAVIOUR_COLUMNS = ("idle_default_s", "idle_min_s", "idle_max_s")


@dataclass(frozen=True, slots=True)
class PriceUpload:
    """What an uploaded table holds.

    Attributes
    ----------
    format : str
        One of `FORMATS`.
    offers : tuple of Offer
    rules, behaviours : tuple of ProviderRules, tuple of Behaviour
        Made from billing columns, and columns of the idle timeout, of the table itself.
    rows_read : int
    warnings : tuple of str
        What is kept and strange, and what was left out, with rows.
    """

    format: str
    offers: tuple[Offer, ...]
    rules: tuple[ProviderRules, ...]
    behaviours: tuple[Behaviour, ...]
    rows_read: int
    warnings: tuple[str, ...]


def read_prices(
    content: bytes,
    *,
    tables: Tables,
    today: dt.date,
    name: str = "",
    provider: str | None = None,
    usd_per: Mapping[str, float] | None = None,
) -> PriceUpload:
    """Return the offers of an uploaded price table.

    Parameters
    ----------
    content : bytes
        The file.
    tables : Tables
        GPUs, rules of known providers, prices to compare with, limits.
    today : date
        For the age of prices; also the date of a price that has none.
    name : str
        Name of the file: a gpuhunt catalogue is named after its provider.
    provider : str, optional
        Whose catalogue it is, where neither rows nor name say so.
    usd_per : mapping of str to float, optional
        Dollars for one unit of each other currency: the user's rates. [$]

    Raises
    ------
    InputError
        If the file is too large, is not a table, or has a cell that cannot be right; the message
        lists rows and columns.
    """
    rows = _rows(content, tables)
    header = rows[0][1].keys() if rows else ()
    remarks = _Remarks()
    gpus = _GpuNames(tables)
    if {"InstanceType", "AcceleratorName", "Price"} <= set(header):
        kind = "skypilot"
        lines = _skypilot(rows, gpus, tables, today, provider, remarks)
    elif {"instance_name", "gpu_name", "price", "gpu_count"} <= set(header):
        kind = "gpuhunt"
        owner = provider or PurePath(name).stem or "Your own"
        lines = _gpuhunt(rows, gpus, tables, today, owner, remarks)
    else:
        kind = "own"
        lines = _own(rows, gpus, tables, today, usd_per or {}, remarks)
    lines = list(lines)
    if remarks.errors:
        raise InputError(remarks.refusal())
    if not lines:
        left = "; ".join(remarks.sentences())
        raise InputError(
            f"The price table has no row that can be used{': ' + left if left else '.'}"
        )
    offers, rules, behaviours = _offers(lines, tables, remarks)
    if remarks.errors:
        raise InputError(remarks.refusal())
    _compare(offers, tables, today, remarks)
    found = tuple(offer for _, offer in offers)
    return PriceUpload(kind, found, tuple(rules), tuple(behaviours), len(rows), remarks.sentences())


def with_prices(tables: Tables, upload: PriceUpload) -> Tables:
    """Return the tables with the offers of an upload added; one of the same name is replaced."""
    offers = {**tables.offers, **{offer.offer_id: offer for offer in upload.offers}}
    rules = {**tables.provider_rules, **{row.rules_id: row for row in upload.rules}}
    behaviours = {**tables.behaviours, **{row.behaviour_id: row for row in upload.behaviours}}
    return dataclasses.replace(
        tables,
        offers=MappingProxyType(offers),
        provider_rules=MappingProxyType(rules),
        behaviours=MappingProxyType(behaviours),
    )


def age_days(offer: Offer, today: dt.date) -> int:
    """Return the age of a price in days."""
    return (today - offer.priced_on).days


def staleness(offer: Offer, today: dt.date, tables: Tables) -> str:
    """Return "fresh", "stale", or "ask" where a price should be read anew before it is used."""
    age = age_days(offer, today)
    if age > tables.setting("price_ask_days"):
        return "ask"
    return "stale" if age > tables.setting("price_stale_days") else "fresh"


@dataclass(slots=True)
class _Remarks:
    """Errors by cell, and strange or left-out rows by reason."""

    errors: list[str] = field(default_factory=list)
    reasons: dict[str, list[int]] = field(default_factory=dict)

    def error(self, row: int, column: str, expected: str, found: object) -> None:
        self.errors.append(f"row {row}, column {column}: expected {expected}, found '{found}'")

    def note(self, row: int, reason: str) -> None:
        self.reasons.setdefault(reason, []).append(row)

    def sentences(self) -> tuple[str, ...]:
        return tuple(f"{reason} ({_rows_in_words(rows)})" for reason, rows in self.reasons.items())

    def refusal(self) -> str:
        shown = self.errors[:_SHOWN_ERRORS]
        more = len(self.errors) - len(shown)
        tail = f"; and {more} more" if more else ""
        return f"The price table was not loaded: {'; '.join(shown)}{tail}"


@dataclass(frozen=True, slots=True)
class _Line:
    """One usable row, whatever its format."""

    row: int
    provider: str
    product: str
    kind: str | None
    gpu: str
    gpus_min: int
    gpus_max: int
    usd_per_gpu_h: float
    region: str
    priced_on: dt.date
    offer_id: str = ""
    note: str | None = None
    featured: bool = False
    overrides: Mapping[str, float] = field(default_factory=dict)


class _GpuNames:
    """Finds the GPU that a price list means by a name."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._known = {}
        for row in tables.gpus.values():
            for alias in (*row.aliases, row.gpu):
                self._known[_folded(alias)] = row.gpu

    def find(self, text: str, memory_gb: float | None = None) -> str | None:
        folded = _folded(text)
        bare = _folded(re.sub(r"\b\d+\s*GB?\b", "", text, flags=re.IGNORECASE))
        tries = [folded, bare]
        if memory_gb and math.isfinite(memory_gb):
            tries.insert(0, f"{bare}{memory_gb:.0f}gb")
        return next((self._known[key] for key in tries if key in self._known), None)

    def is_fraction(self, gpu: str, memory_gb: float | None) -> bool:
        least = self._tables.setting("upload_least_memory_share")
        return memory_gb is not None and 0 < memory_gb < least * self._tables.gpus[gpu].vram_gb


def _folded(text: str) -> str:
    words = re.split(r"[^a-z0-9]+", text.casefold())
    kept = (re.sub(r"^sxm\d$", "sxm", word) for word in words if not _NOISE.fullmatch(word))
    return "".join(re.sub(r"^(\d+)g$", r"\1gb", word) for word in kept)


def _lacks_form(text: str) -> bool:
    return _folded(text) in {"h100", "h10080gb", "a100", "a10080gb"}


def _rows(content: bytes, tables: Tables) -> list[tuple[int, dict[str, str]]]:
    """Return (row number, cells by column), blank rows left out, sizes checked."""
    most_bytes, most_rows = tables.setting("upload_max_bytes"), tables.setting("upload_max_rows")
    if len(content) > most_bytes:
        raise InputError(
            f"A price table may have at most {most_bytes / 1e6:g} MB, this one has "
            f"{len(content) / 1e6:.1f} MB"
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"A price table must be CSV text in UTF-8; byte {error.start} is not"
        ) from None
    if "\0" in text:
        raise InputError("A price table must be CSV text; this file is binary")
    first = text.lstrip().partition("\n")[0]
    delimiter = ";" if first.count(";") > first.count(",") else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[tuple[int, dict[str, str]]] = []
    header: list[str] | None = None
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if header is None:
                header = [cell.strip() for cell in cells]
                doubled = [name for name, times in Counter(header).items() if times > 1]
                if doubled:
                    raise InputError(f"The price table has two columns '{doubled[0]}'")
                continue
            if len(cells) != len(header):
                raise InputError(
                    f"The price table, row {reader.line_num}: expected {len(header)} cells, found "
                    f"{len(cells)}"
                )
            rows.append(
                (
                    reader.line_num,
                    {key: cell.strip() for key, cell in zip(header, cells, strict=True)},
                )
            )
            if len(rows) > most_rows:
                raise InputError(f"A price table may have at most {most_rows:,.0f} rows")
    except csv.Error as error:
        raise InputError(f"The price table, row {reader.line_num}: {error}") from None
    if not rows:
        raise InputError("The price table has no rows below its header")
    return rows


def _own(
    rows: list[tuple[int, dict[str, str]]],
    gpus: _GpuNames,
    tables: Tables,
    today: dt.date,
    usd_per: Mapping[str, float],
    remarks: _Remarks,
) -> Iterator[_Line]:
    names = {_column_name(name): name for name in rows[0][1]}
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise InputError(
            f"A price table needs the columns {', '.join(REQUIRED)}; missing: {', '.join(missing)}"
        )
    for number, raw in rows:
        cells = {key: raw[name] for key, name in names.items()}
        reader = _CellReader(number, cells, remarks)
        before = len(remarks.errors)
        unit = reader.unit(usd_per)
        price = reader.number("price", "a price above 0", above=0.0)
        count = reader.whole("gpu_count", 1)
        least = reader.whole("gpu_count_min", count)
        most = reader.whole("gpu_count_max", max(count, least))
        if most < least:
            remarks.error(number, "gpu_count_max", f"at least {least}", most)
        kind = reader.kind()
        term = reader.number("term_months", "a number of months above 0", above=0.0, default=0.0)
        if term and kind != "reserved":
            remarks.error(
                number, "term_months", "no term, as the kind is not reserved", f"{term:g}"
            )
        upfront = reader.number("upfront_fraction", "a share from 0 to 1", default=0.0)
        if not 0 <= upfront <= 1:
            remarks.error(number, "upfront_fraction", "a share from 0 to 1", f"{upfront:g}")
        overrides = reader.rules()
        priced_on = reader.date("priced_on", today)
        for name in ("provider", "gpu"):
            if not cells[name]:
                remarks.error(number, name, "a name", "")
        if len(remarks.errors) > before:
            continue
        gpu = gpus.find(cells["gpu"])
        if gpu is None:
            remarks.note(number, f"Left out, no specification of the GPU '{cells['gpu'][:40]}'")
            continue
        if _lacks_form(cells["gpu"]):
            remarks.note(number, f"'{cells['gpu']}' does not say which form; taken as {gpu}")
        is_of_one_gpu, times_an_hour, rate = unit
        usd = price * times_an_hour * rate
        if (
            not is_of_one_gpu
            and most >= tables.setting("upload_machine_gpus")
            and usd < tables.setting("upload_machine_usd_per_h")
        ):
            remarks.note(number, "The price of this machine looks like that of one of its GPUs")
        if not cells.get("source"):
            remarks.note(number, "No source is given")
        terms = f" Term {term:g} months, {upfront:.0%} upfront." if term else ""
        yield _Line(
            row=number,
            provider=cells["provider"],
            product=cells.get("product") or cells["gpu"],
            kind=kind,
            gpu=gpu,
            gpus_min=least,
            gpus_max=most,
            usd_per_gpu_h=usd if is_of_one_gpu else usd / most,
            region=cells.get("region") or "not given",
            priced_on=priced_on,
            offer_id=cells.get("offer_id", ""),
            note=((cells.get("note") or "") + terms).strip() or None,
            featured=True,
            overrides=overrides,
        )


@dataclass(slots=True)
class _CellReader:
    """Reads the cells of one row; a wrong one is remarked on and a stand-in returned."""

    row: int
    cells: Mapping[str, str]
    remarks: _Remarks

    def number(
        self, column: str, expected: str, *, above: float | None = None, default: float = math.nan
    ) -> float:
        text = self.cells.get(column, "")
        if not text and not math.isnan(default):
            return default
        plain = re.sub(r"^\s*(US)?[$€£]\s*|\s*(US)?[$€£]\s*$", "", text)
        if re.fullmatch(r"-?\d{1,3}(,\d{3})+(\.\d+)?", plain):
            plain = plain.replace(",", "")
        elif "," in plain:
            self.remarks.error(self.row, column, f"{expected}, with a decimal point", text)
            return 1.0
        try:
            value = float(plain)
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or (above is not None and value <= above):
            self.remarks.error(self.row, column, expected, text)
            return 1.0
        return value

    def whole(self, column: str, default: int) -> int:
        value = self.number(column, "a whole number of at least 1", default=default)
        if value < 1 or value != int(value):
            self.remarks.error(self.row, column, "a whole number of at least 1", f"{value:g}")
            return 1
        return int(value)

    def date(self, column: str, default: dt.date) -> dt.date:
        text = self.cells.get(column, "")
        if not text:
            return default
        try:
            return dt.date.fromisoformat(text[:10])
        except ValueError:
            self.remarks.error(self.row, column, "a date like 2026-11-24", text)
            return default

    def kind(self) -> str | None:
        text = self.cells.get("kind", "").casefold()
        if text and text not in _KINDS:
            self.remarks.error(
                self.row, "kind", "serverless, on-demand, reserved or spot", self.cells["kind"]
            )
        return _KINDS.get(text)

    def unit(self, usd_per: Mapping[str, float]) -> tuple[bool, float, float]:
        """Return (price is of one GPU, times an hour, dollars of one unit of the currency)."""
        text = self.cells["unit"].casefold()
        for sign, code in _CURRENCY_SIGNS.items():
            text = text.replace(sign, code)
        words = [word for word in re.findall(r"[a-z]+", text) if word != "per"]
        in_unit = words.pop(0).upper() if len(words) == 3 else ""
        what, time = words if len(words) == 2 else ("", "")
        if what not in ("gpu", "instance", "machine") or time not in _TIMES_AN_HOUR:
            self.remarks.error(
                self.row,
                "unit",
                "usd_per_gpu_hour, usd_per_instance_hour, or the same by second or minute",
                self.cells["unit"],
            )
            return True, 1.0, 1.0
        given = self.cells.get("currency", "").upper()
        if given and in_unit and given != in_unit:
            self.remarks.error(self.row, "currency", f"{in_unit}, as the unit says", given)
        currency = given or in_unit or "USD"
        rate = 1.0 if currency == "USD" else usd_per.get(currency, math.nan)
        if not 0 < rate < math.inf:
            self.remarks.error(
                self.row, "currency", "USD, or a currency with a rate given by you", currency
            )
            rate = 1.0
        return what == "gpu", _TIMES_AN_HOUR[time], rate

    def rules(self) -> dict[str, float]:
        """Return the columns of billing and of the idle timeout that are given."""
        given = {
            name: self.number(name, "a number of at least 0")
            for name in (*_BILLING_COLUMNS, *_BEHAVIOUR_COLUMNS)
            if self.cells.get(name)
        }
        for name, value in given.items():
            least = "above 0" if name == "increment_s" else "of at least 0"
            if value < 0 or (name == "increment_s" and value == 0):
                self.remarks.error(self.row, name, f"a number {least}", f"{value:g}")
        return given


def _gpuhunt(
    rows: list[tuple[int, dict[str, str]]],
    gpus: _GpuNames,
    tables: Tables,
    today: dt.date,
    provider: str,
    remarks: _Remarks,
) -> Iterator[_Line]:
    """Read a gpuhunt catalogue: prices are dollars an hour for the whole instance."""
    for number, cells in rows:
        count = _float(cells["gpu_count"])
        if not cells["gpu_name"] or count == 0:
            remarks.note(number, "Left out, no GPU")
            continue
        memory = _float(cells.get("gpu_memory", ""))
        gpu = _usable(cells["gpu_name"], memory, count, number, gpus, remarks)
        price = _float(cells["price"])
        if gpu is None or not _is_price(price, number, remarks):
            continue
        yield _Line(
            row=number,
            provider=provider,
            product=cells["instance_name"],
            kind="spot" if cells.get("spot", "").casefold() == "true" else "dedicated",
            gpu=gpu,
            gpus_min=int(count),
            gpus_max=int(count),
            usd_per_gpu_h=price / count,
            region=cells.get("location") or "not given",
            priced_on=today,
            note="From a gpuhunt catalogue, which has no dates.",
        )


def _skypilot(
    rows: list[tuple[int, dict[str, str]]],
    gpus: _GpuNames,
    tables: Tables,
    today: dt.date,
    provider: str | None,
    remarks: _Remarks,
) -> Iterator[_Line]:
    """Read a SkyPilot ``vms.csv``: prices are dollars an hour for the instance.

    On Google Cloud an instance with GPUs is listed without them, and the GPUs stand in rows that
    name no instance: the two are added, and an instance whose GPUs have no price is left out.
    ``GpuInfo`` is a Python literal; its memory is in MiB, or in GB where the number is small.
    """
    alone: dict[tuple[str, str, str], float] = {}
    for _, cells in rows:
        if not cells["InstanceType"] and cells["AcceleratorName"]:
            count = _float(cells["AcceleratorCount"])
            for column in ("Price", "SpotPrice"):
                price = _float(cells.get(column, ""))
                if price > 0 and count > 0:
                    key = (cells["AcceleratorName"], cells.get("Region", ""), column)
                    alone[key] = price / count
    for number, cells in rows:
        if not cells["InstanceType"]:
            continue
        if not cells["AcceleratorName"]:
            remarks.note(number, "Left out, no GPU")
            continue
        count = _float(cells["AcceleratorCount"])
        memory = _gpu_info_gb(cells.get("GpuInfo", ""), number, remarks)
        gpu = _usable(cells["AcceleratorName"], memory, count, number, gpus, remarks)
        if gpu is None:
            continue
        owner = provider or _skypilot_provider(cells["InstanceType"])
        if owner is None:
            remarks.note(number, "The provider is not known from the instance's name")
            owner = "Your own"
        spot_is_list = cells.get("SpotPrice") == cells.get("Price")
        for column, kind in (("Price", "dedicated"), ("SpotPrice", "spot")):
            if not cells.get(column) or (kind == "spot" and spot_is_list):
                continue
            price = _float(cells[column])
            if not _is_price(price, number, remarks):
                continue
            if owner == "Google Cloud":
                key = (cells["AcceleratorName"], cells.get("Region", ""), column)
                if key not in alone:
                    remarks.note(number, "Left out, the price of its GPUs is not in the table")
                    continue
                price += alone[key] * count
            yield _Line(
                row=number,
                provider=owner,
                product=cells["InstanceType"],
                kind=kind,
                gpu=gpu,
                gpus_min=int(count),
                gpus_max=int(count),
                usd_per_gpu_h=price / count,
                region=cells.get("Region") or "not given",
                priced_on=today,
                note="From a SkyPilot catalogue, which has no dates.",
            )


def _usable(
    name: str, memory_gb: float, count: float, row: int, gpus: _GpuNames, remarks: _Remarks
) -> str | None:
    """Return the GPU of a catalogue row, or None with a remark if no plan could use it."""
    gpu = gpus.find(name, memory_gb)
    if gpu is None:
        remarks.note(row, f"Left out, no specification of the GPU '{name[:40]}'")
    elif not count >= 1 or count % 1 or gpus.is_fraction(gpu, memory_gb):
        remarks.note(row, f"Left out, part of a GPU ({name[:40]})")
    else:
        if _lacks_form(name):
            remarks.note(row, f"'{name}' does not say which form; taken as {gpu}")
        return gpu
    return None


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _is_price(usd: float, row: int, remarks: _Remarks) -> bool:
    if 0 < usd < math.inf:
        return True
    remarks.note(row, "Left out, no price above 0")
    return False


def _gpu_info_gb(text: str, row: int, remarks: _Remarks) -> float:
    """Return the memory of one GPU from SkyPilot's ``GpuInfo``, 0 where it says none [GB]."""
    if not text or len(text) > _LONGEST_CELL:
        return 0.0
    try:
        size = float(ast.literal_eval(text)["Gpus"][0]["MemoryInfo"]["SizeInMiB"])
    except (ValueError, SyntaxError, TypeError, KeyError, IndexError, MemoryError, RecursionError):
        remarks.note(row, "GpuInfo cannot be read; the memory of the GPU is not checked")
        return 0.0
    # RunPod writes GB here; no GPU has less than a gibibyte.
    return size / 1024 if size >= 1024 else size


def _skypilot_provider(instance: str) -> str | None:
    name = instance.casefold()
    return next((owner for form, owner in _SKYPILOT_PROVIDERS if re.match(form, name)), None)


def _offers(
    lines: list[_Line], tables: Tables, remarks: _Remarks
) -> tuple[list[tuple[int, Offer]], list[ProviderRules], list[Behaviour]]:
    """Return the offers with their rows, rules attached; one offer in several zones is one."""
    known: dict[tuple[str, bool], str] = {}
    for offer in tables.offers.values():
        known.setdefault((offer.provider.casefold(), offer.kind == "serverless"), offer.rules_id)
    offers: dict[str, tuple[int, Offer]] = {}
    rules: dict[str, ProviderRules] = {}
    behaviours: dict[str, Behaviour] = {}
    seen: set[tuple[object, ...]] = set()
    times: Counter[str] = Counter()
    for line in lines:
        owner = line.provider.casefold()
        owner = _PROVIDER_NAMES.get(owner, owner)
        kind = line.kind
        if kind is None:
            kind = "serverless" if (owner, False) not in known and (owner, True) in known else None
        if kind is None:
            kind = "dedicated"
            remarks.note(line.row, "Kind not given; taken as paid by the hour")
        rules_id = known.get((owner, kind == "serverless"))
        if rules_id is None:
            rules_id = "own-serverless" if kind == "serverless" else "own-machine"
            remarks.note(line.row, f"No billing rules of '{line.provider}'; cautious ones are used")
        same = (owner, line.product, kind, line.gpu, line.gpus_min, line.region, line.usd_per_gpu_h)
        if not line.offer_id and same in seen:
            remarks.note(line.row, "Left out, repeats a row above")
            continue
        seen.add(same)
        offer_id = _slug(line.offer_id) if line.offer_id else ""
        if offer_id and offer_id in offers:
            remarks.error(line.row, "offer_id", "a name that comes once", line.offer_id)
            continue
        base = offer_id or _slug(f"own-{line.provider}-{line.gpu}-{line.gpus_min}x-{kind}")
        offer_id = base
        while offer_id in offers:
            times[base] += 1
            offer_id = f"{base}-{times[base] + 1}"
        if line.overrides:
            billing = {k: v for k, v in line.overrides.items() if k in _BILLING_COLUMNS}
            own = dataclasses.replace(
                tables.provider_rules[rules_id], rules_id=f"{offer_id}-rules", **billing
            )
            idling = {k: v for k, v in line.overrides.items() if k in _BEHAVIOUR_COLUMNS}
            if idling:
                behaviour = dataclasses.replace(
                    tables.behaviours[own.behaviour_id],
                    behaviour_id=f"{offer_id}-behaviour",
                    **idling,
                )
                _check_idle(behaviour, line.row, remarks)
                behaviours[behaviour.behaviour_id] = behaviour
                own = dataclasses.replace(own, behaviour_id=behaviour.behaviour_id)
            rules[own.rules_id] = own
            rules_id = own.rules_id
        offer = Offer(
            offer_id=offer_id,
            provider=line.provider,
            product=line.product,
            kind=kind,
            gpu=line.gpu,
            gpus_min=line.gpus_min,
            gpus_max=line.gpus_max,
            usd_per_gpu_h=line.usd_per_gpu_h,
            price_kind="quoted" if line.featured else "list",
            vcpus_per_gpu=None,
            ram_gib_per_gpu=None,
            usd_per_vcpu_s=None,
            usd_per_gib_s=None,
            region=line.region,
            rules_id=rules_id,
            available="yes",
            featured=line.featured,
            priced_on=line.priced_on,
            basis="vendor-stated",
            source_id="own-prices",
            note=line.note,
        )
        offers[offer_id] = (line.row, offer)
    return list(offers.values()), list(rules.values()), list(behaviours.values())


def _check_idle(behaviour: Behaviour, row: int, remarks: _Remarks) -> None:
    low = behaviour.idle_min_s or 0.0
    high = math.inf if behaviour.idle_max_s is None else behaviour.idle_max_s
    middle = low if behaviour.idle_default_s is None else behaviour.idle_default_s
    if not low <= middle <= high:
        remarks.error(row, "idle_default_s", f"a time from {low:g} to {high:g} s", f"{middle:g}")


def _compare(
    offers: list[tuple[int, Offer]], tables: Tables, today: dt.date, remarks: _Remarks
) -> None:
    """Remark on prices that are possible and strange."""
    low, high = (
        tables.setting("upload_low_usd_per_gpu_h"),
        tables.setting("upload_high_usd_per_gpu_h"),
    )
    factor = tables.setting("upload_median_factor")
    shipped: dict[str, list[float]] = {}
    for offer in tables.offers.values():
        if offer.kind != "spot":
            shipped.setdefault(offer.gpu, []).append(offer.usd_per_gpu_h)
    middle = {gpu: statistics.median(prices) for gpu, prices in shipped.items()}
    on_demand: dict[tuple[str, str, str], float] = {}
    for _, offer in offers:
        if offer.kind == "dedicated":
            on_demand[offer.provider, offer.gpu, offer.region] = offer.usd_per_gpu_h
    for row, offer in offers:
        usd = offer.usd_per_gpu_h
        if not low <= usd <= high:
            remarks.note(row, f"A GPU-hour outside ${low:g} to ${high:g}")
        usual = middle.get(offer.gpu)
        if usual and offer.kind != "spot" and not usual / factor <= usd <= usual * factor:
            remarks.note(row, f"Over {factor:g} times away from other prices of the {offer.gpu}")
        listed = on_demand.get((offer.provider, offer.gpu, offer.region))
        if offer.kind in ("spot", "reserved") and listed is not None and usd > listed:
            remarks.note(row, f"The {offer.kind} price is above the hourly one")
        state = staleness(offer, today, tables)
        if state == "stale":
            remarks.note(row, f"Older than {tables.setting('price_stale_days'):g} days")
        elif state == "ask":
            remarks.note(row, f"Older than {tables.setting('price_ask_days'):g} days: read it anew")
        if offer.priced_on > today:
            remarks.note(row, "Dated in the future")


def _column_name(name: str) -> str:
    plain = re.sub(r"[^a-z0-9]+", "_", name.casefold()).strip("_")
    return _COLUMN_NAMES.get(plain, plain)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", text.casefold()).strip("-")[:80] or "own"


def _rows_in_words(rows: list[int]) -> str:
    shown = ", ".join(str(row) for row in rows[:_SHOWN_ROWS])
    more = len(rows) - _SHOWN_ROWS
    return f"row{'s' if len(rows) > 1 else ''} {shown}" + (f" and {more} more" if more > 0 else "")
