"""A price table of somebody's own: provider, GPU, price and unit, and what else is known."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from frontier.delimited import DecimalMark
from frontier.errors import InputError
from frontier.prices.columns import (
    KINDS,
    ONE_GPU,
    REQUIRED,
    SIGNS,
    columns_of,
    is_by_month,
    times_an_hour,
    unit_words,
)
from frontier.prices.gpu_names import GpuNames
from frontier.prices.remarks import Line, Remarks
from frontier.prices.sheet import Sheet, amount, range_of
from frontier.tables import Tables

_CODE = re.compile(r"[A-Za-z]{3}")
# "8x H100", "H100 x8".
_COUNTED = re.compile(
    r"^(?P<first>\d{1,3})\s?[x×]\s?(?=[A-Za-z])|[\sa-z0-9][x×]\s?(?P<last>\d{1,3})$", re.I
)
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
    columns = columns_of(sheet.header, sheet.rows)
    gpus = GpuNames(tables, "own")
    numbers = [columns.names[column] for column in _NUMBERS if column in columns.names]
    numbers += [column.name for column in columns.prices]
    mark = sheet.decimal_mark(numbers, tables, remarks)
    most_prices = tables.setting("upload_max_rows")
    for times, (number, cells) in enumerate(columns.rows(sheet.rows), start=1):
        if times > most_prices:
            raise InputError(f"A price table may have at most {most_prices:,.0f} prices")
        cells |= _counted(cells)
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
        if kind is None and is_by_month(cells["unit"]):
            kind = "reserved"
            remarks.note(number, "Paid by the month or longer, used or not; taken as reserved")
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
        if not is_of_one_gpu and not any(cells.get(name) for name in _SIZES):
            remarks.note(number, "How many GPUs the machine has is not given; taken as one")
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
        if text and text not in KINDS:
            self.remarks.error(
                self.row, "kind", "serverless, on-demand, reserved or spot", self.cells["kind"]
            )
        return KINDS.get(text)

    def unit(self) -> tuple[bool, float]:
        """Return (price is of one GPU, times an hour)."""
        things, times, currencies = unit_words(self.cells["unit"])
        if len(things) != 1 or len(times) != 1 or len(currencies) > 1:
            self.remarks.error(
                self.row,
                "unit",
                "usd_per_gpu_hour, usd_per_instance_hour, or the same by second, minute, day or "
                "month",
                self.cells["unit"],
            )
            return True, 1.0
        hours = self.tables.setting("hours_per_month")
        return things[0] in ONE_GPU, times_an_hour(times[0], hours)

    def usd_of_one(self, usd_per: Mapping[str, float]) -> float:
        """Return the dollars of one unit of the currency that column, unit and price agree on."""
        others = unit_words(self.cells["unit"])[2]
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
    codes = [SIGNS.get(word) or (word.upper() if _CODE.fullmatch(word) else None) for word in words]
    named = {code for code, word in zip(codes, words, strict=True) if word != "$"}
    found = named or set(codes)
    return next(iter(found)) if len(found) == 1 else None


def _counted(cells: Mapping[str, str]) -> dict[str, str]:
    """Return the GPU and the number of them where the name of the GPU holds both: "8x H100"."""
    match = _COUNTED.search(cells["gpu"][:80])
    if match is None or cells.get("gpu_count"):
        return {}
    name = cells["gpu"][match.end() :] if match["first"] else cells["gpu"][: match.start() + 1]
    return {"gpu": name.strip(), "gpu_count": match["first"] or match["last"]}
