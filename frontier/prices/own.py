"""A price table of somebody's own: provider, GPU, price and unit, and what else is known."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from frontier.delimited import DecimalMark
from frontier.errors import InputError
from frontier.prices.gpu_names import GpuNames
from frontier.prices.remarks import Line, Remarks
from frontier.prices.sheet import Sheet, amount, range_of
from frontier.tables import Tables
from frontier.units import SECONDS_PER_HOUR, SECONDS_PER_MINUTE

REQUIRED = ("provider", "gpu", "price", "unit")

_TIMES_AN_HOUR = {
    **dict.fromkeys(("h", "hr", "hour", "hours"), 1.0),
    **dict.fromkeys(("min", "minute", "minutes"), SECONDS_PER_MINUTE),
    **dict.fromkeys(("s", "sec", "second", "seconds"), SECONDS_PER_HOUR),
}
_ONE_GPU = ("gpu", "gpus")
_MACHINE = ("instance", "machine", "node", "server", "vm")
_SIGNS = {"us$": "USD", "$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY", "₹": "INR"}
_CODE = re.compile(r"[A-Za-z]{3}")
_COLUMN_NAMES = {
    "instance_type": "product",
    "instance": "product",
    "instance_name": "product",
    "sku": "product",
    "gpus": "gpu_count",
    "count": "gpu_count",
    "gpu_name": "gpu",
    "accelerator": "gpu",
    "gpu_memory": "gpu_memory_gb",
    "vram": "gpu_memory_gb",
    "vram_gb": "gpu_memory_gb",
    "purchase_option": "kind",
    "offering_kind": "kind",
    "location": "region",
    "date": "priced_on",
    "price_date": "priced_on",
    "source_url": "source",
}
_KINDS = {
    "serverless": "serverless",
    "scale to zero": "serverless",
    **dict.fromkeys(("dedicated", "on demand", "ondemand", "pay as you go", "payg"), "dedicated"),
    **dict.fromkeys(("spot", "preemptible", "interruptible"), "spot"),
    **dict.fromkeys(("reserved", "1y", "3y", "1yr", "3yr", "committed"), "reserved"),
    **dict.fromkeys(("1 year", "3 years", "savings plan"), "reserved"),
}
BILLING_COLUMNS = ("increment_s", "minimum_s", "platform_fee_usd_month")
BEHAVIOUR_COLUMNS = ("idle_default_s", "idle_min_s", "idle_max_s")
_SIZES = ("gpu_count", "gpu_count_min", "gpu_count_max")
_NAMES = ("provider", "gpu", "product", "region", "offer_id")
_NUMBERS = (
    "price",
    "gpu_count",
    "gpu_count_min",
    "gpu_count_max",
    "gpu_memory_gb",
    "term_months",
    "upfront_fraction",
    *BILLING_COLUMNS,
    *BEHAVIOUR_COLUMNS,
)


def own_lines(
    sheet: Sheet,
    tables: Tables,
    today: dt.date,
    usd_per: Mapping[str, float],
    remarks: Remarks,
) -> Iterator[Line]:
    """Yield the usable rows of a table of somebody's own.

    Raises
    ------
    InputError
        If a column that it needs is missing, or its numbers contradict each other.
    """
    names: dict[str, str] = {}
    for name in sheet.header:
        column = _column_name(name)
        if column in names:
            raise InputError(
                f"The price table has two columns that mean '{column}': "
                f"'{names[column]}' and '{name}'"
            )
        names[column] = name
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise InputError(
            f"A price table needs the columns {', '.join(REQUIRED)}; missing: {', '.join(missing)}"
        )
    gpus = GpuNames(tables, "own")
    numbers = [names[column] for column in _NUMBERS if column in names]
    mark = sheet.decimal_mark(numbers, tables, remarks)
    for number, raw in sheet.rows:
        cells = {key: raw[name] for key, name in names.items()}
        reader = _CellReader(number, cells, remarks, mark, tables)
        before = len(remarks.errors)
        reader.names()
        unit = reader.unit()
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
        memory_gb = reader.number("gpu_memory_gb", "GB of memory", default=0.0)
        overrides = reader.rules()
        priced_on = reader.date("priced_on", today)
        rate = reader.usd_of_one(usd_per)
        if len(remarks.errors) > before:
            continue
        found = gpus.find(
            cells["gpu"], memory_gb=memory_gb, count=most, instance=cells.get("product", "")
        )
        if found.remark is not None:
            remarks.note(number, found.remark)
        if found.gpu is None:
            continue
        is_of_one_gpu, times_an_hour = unit
        usd = price * times_an_hour * rate
        usd_per_gpu_h = usd if is_of_one_gpu else usd / most
        lowest = tables.setting("upload_least_usd_per_gpu_h")
        highest = range_of("offers", "usd_per_gpu_h")[1]
        if not lowest <= usd_per_gpu_h <= highest:
            expected = f"a price that comes to {lowest:g} to {highest:g} dollars a GPU-hour"
            remarks.error(number, "price", expected, cells["price"])
            continue
        if (
            not is_of_one_gpu
            and most >= tables.setting("upload_machine_gpus")
            and usd < tables.setting("upload_machine_usd_per_h")
        ):
            remarks.note(number, "The price of this machine looks like that of one of its GPUs")
        if not cells.get("source"):
            remarks.note(number, "No source is given")
        terms = f" Term {term:g} months, {upfront:.0%} upfront." if term else ""
        yield Line(
            row=number,
            provider=cells["provider"],
            product=cells.get("product") or cells["gpu"],
            kind=kind,
            gpu=found.gpu,
            gpus_min=least,
            gpus_max=most,
            usd_per_gpu_h=usd_per_gpu_h,
            region=cells.get("region") or "not given",
            priced_on=priced_on,
            offer_id=cells.get("offer_id", ""),
            note=((cells.get("note") or "") + terms).strip() or None,
            featured=True,
            source=cells.get("source", ""),
            or_else=found.or_else,
            is_sized=not is_of_one_gpu or any(cells.get(name) for name in _SIZES),
            overrides=overrides,
        )


@dataclass(slots=True)
class _CellReader:
    """Reads the cells of one row; a wrong one is remarked on and a stand-in returned."""

    row: int
    cells: Mapping[str, str]
    remarks: Remarks
    mark: DecimalMark
    tables: Tables

    def names(self) -> None:
        """Check that names are there, and short enough to be names."""
        longest = int(self.tables.setting("upload_longest_name"))
        for column in _NAMES:
            text = self.cells.get(column, "")
            if not text and column in REQUIRED:
                self.remarks.error(self.row, column, "a name", "")
            elif len(text) > longest:
                self.remarks.error(
                    self.row, column, f"a name of at most {longest} characters", text
                )

    def number(
        self, column: str, expected: str, *, above: float | None = None, default: float = math.nan
    ) -> float:
        text = self.cells.get(column, "")
        if not text and not math.isnan(default):
            return default
        # The length first: a pattern may take the square of it.
        if len(text) > self.tables.setting("upload_longest_number"):
            self.remarks.error(self.row, column, expected, text)
            return 1.0
        digits, around = amount(text)
        value = self.mark.number(digits)
        if (
            math.isnan(value)
            and not self.mark.mark
            and not math.isnan(DecimalMark(",").number(digits))
        ):
            expected += f", and no other number of the table tells what {digits} means"
        if around and (column != "price" or _currency(around) is None):
            value = math.nan
        if not math.isfinite(value) or (above is not None and value <= above):
            self.remarks.error(self.row, column, expected, text)
            return 1.0
        return value

    def whole(self, column: str, default: int) -> int:
        value = self.number(column, "a whole number of at least 1", default=default)
        most = range_of("offers", "gpus_max")[1]
        if not 1 <= value <= most or value != int(value):
            self.remarks.error(self.row, column, f"a whole number from 1 to {most:g}", f"{value:g}")
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
        text = re.sub("[-_ ]+", " ", self.cells.get("kind", "").casefold())
        text = re.sub(r"^(?:reserved|committed) (?=\d)", "", text)
        if text and text not in _KINDS:
            self.remarks.error(
                self.row, "kind", "serverless, on-demand, reserved or spot", self.cells["kind"]
            )
        return _KINDS.get(text)

    def unit(self) -> tuple[bool, float]:
        """Return (price is of one GPU, times an hour)."""
        things, times, currencies = self._unit_words()
        if len(things) != 1 or len(times) != 1 or len(currencies) > 1:
            self.remarks.error(
                self.row,
                "unit",
                "usd_per_gpu_hour, usd_per_instance_hour, or the same by second or minute",
                self.cells["unit"],
            )
            return True, 1.0
        return things[0] in _ONE_GPU, _TIMES_AN_HOUR[times[0]]

    def _unit_words(self) -> tuple[list[str], list[str], list[str]]:
        """Return what the unit is of, its times, and what else it names: a currency."""
        text = self.cells["unit"].casefold()
        for sign, code in _SIGNS.items():
            text = text.replace(sign, f" {code.casefold()} ")
        words = [word for word in re.findall(r"[^\W\d_]+", text) if word not in ("per", "a", "an")]
        things = [word for word in words if word in _ONE_GPU or word in _MACHINE]
        times = [word for word in words if word in _TIMES_AN_HOUR]
        others = [word for word in words if word not in things and word not in times]
        return things, times, others

    def usd_of_one(self, usd_per: Mapping[str, float]) -> float:
        """Return the dollars of one unit of the currency that column, unit and price agree on."""
        others = self._unit_words()[2]
        # More than one word is no currency but a wrong unit, which is said elsewhere.
        unit = others[0].upper() if len(others) == 1 else ""
        column = self.cells.get("currency", "").upper()
        price = self.cells.get("price", "")
        if len(price) > self.tables.setting("upload_longest_number"):
            return 1.0
        in_price = _currency(amount(price)[1]) or ""
        given = {code: None for code in (column, unit, in_price) if code}
        if len(given) > 1:
            first, second = list(given)[:2]
            self.remarks.error(self.row, "currency", f"one currency, as {first} elsewhere", second)
            return 1.0
        currency = next(iter(given), "USD")
        rate = 1.0 if currency == "USD" else usd_per.get(currency, math.nan)
        if not 0 < rate < math.inf:
            self.remarks.error(
                self.row, "currency", "USD, or a currency with a rate given by you", currency
            )
            return 1.0
        return rate

    def rules(self) -> dict[str, float]:
        """Return the columns of billing and of the idle timeout that are given."""
        given = {
            name: self.number(name, "a number of at least 0")
            for name in (*BILLING_COLUMNS, *BEHAVIOUR_COLUMNS)
            if self.cells.get(name)
        }
        for name, value in given.items():
            table = "provider_rules" if name in BILLING_COLUMNS else "behaviours"
            least, most = range_of(table, name)
            if not least <= value <= most:
                self.remarks.error(
                    self.row, name, f"a number from {least:g} to {most:g}", f"{value:g}"
                )
        return given


def _currency(around: str) -> str | None:
    """Return the currency that stands around a price; None where it is something else.

    A bare dollar sign is the US dollar unless another dollar is named with it.
    """
    words = around.casefold().split()
    codes = [
        _SIGNS.get(word) or (word.upper() if _CODE.fullmatch(word) else None) for word in words
    ]
    named = {code for code, word in zip(codes, words, strict=True) if word != "$"}
    found = named or set(codes)
    return next(iter(found)) if len(found) == 1 else None


def _column_name(name: str) -> str:
    plain = re.sub(r"[^a-z0-9]+", "_", name.casefold()).strip("_")
    return _COLUMN_NAMES.get(plain, plain)
