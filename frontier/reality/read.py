"""A provider's bill as a file: which format it is, what of it is of this workload, for how long.

Formats are rows of data/bill_formats.csv, told by their columns; what fits none is asked about.
A file may begin with lines about the invoice. Left out: bills that are no CSV text.
"""

from __future__ import annotations

import calendar
import csv
import datetime as dt
import io
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from frontier import spell
from frontier.boundary import check_text, reads, shown
from frontier.delimited import DecimalMark, decimal_mark, decoded, delimiter_of, delimiter_of_all
from frontier.errors import InputError
from frontier.reality.paid import BESIDE, CREDIT, GPU, WHOLE, PaidBill
from frontier.tables import BillFormat, Tables

UNITS = {
    "gpuhours": 1.0,
    "gpuhour": 1.0,
    "gpuseconds": 1 / 3600,
    "hours": 1.0,
    "hour": 1.0,
    "hrs": 1.0,
    "h": 1.0,
    "seconds": 1 / 3600,
    "second": 1 / 3600,
    "s": 1 / 3600,
    "minutes": 1 / 60,
    "milliseconds": 1 / 3_600_000,
    "ms": 1 / 3_600_000,
}
"""Hours in a unit of time, by its name in small letters without signs."""

_PREAMBLE = 40
# Of a name that is offered, and of a row with the lines that are in its cells. [characters]
_LONGEST_OFFERED, _LONGEST_ROW = 1_000, 1_000_000
_SLASHED = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})")
_LONGEST_NAME = 200
_MONTHS, _CENT = 12, 0.005
# What columns of dates are called where the format does not say.
_DATES = ("Date", "Start", "Start date", "Usage date", "Day", "Time", "Timestamp", "Datum", "Fecha",
          "Month", "Monat", "Period", "Week")  # fmt: skip
_HOURS_PER_DAY = 24
_OWN, _OF_OTHERS = "your columns", "sums of other rows"
_NOT_OURS = "no GPU time, cores, memory, storage, fee or credit"
_SYMBOLS = {"$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY"}
_SUMS = re.compile(r"(service )?(grand )?(sub)?totals?", re.IGNORECASE)


class BillQuestion(InputError):
    """A bill that can be read once somebody says what its columns are, or which month counts.

    Attributes
    ----------
    parameter : str
        "cost_column" or "month".
    choices : tuple of str
    """

    def __init__(self, words: str, parameter: str, choices: tuple[str, ...]) -> None:
        super().__init__(words)
        self.parameter, self.choices = parameter, choices


@dataclass(frozen=True, slots=True)
class _Charge:
    """One row of a bill, read."""

    usd: float
    words: str
    quantity: float | None
    unit: str
    currency: str
    start: dt.datetime | None
    end: dt.datetime | None
    dated: str


@reads("The bill")
def read_bill(
    content: bytes,
    tables: Tables,
    *,
    cost_column: str | None = None,
    quantity_column: str | None = None,
    quantity_unit: str = "",
    month: str | None = None,
    per_usd: Mapping[str, float] | None = None,
    only: str = "",
    gpus_per_machine: int = 1,
) -> PaidBill:
    """Return what a bill comes to.

    Parameters
    ----------
    cost_column, quantity_column, quantity_unit : str, optional
        For a bill of no known format: the column of what was paid, that of GPU time, and its unit.
    month : str, optional
        The month that counts, as "2026-10", where a bill has several.
    per_usd : mapping of str to float, optional
        How much of another currency a dollar buys, at the person's rate.
    only : str
        Rows without this text in any cell are another workload's.
    gpus_per_machine : int
        GPUs of a machine, where a bill counts machines.

    Raises
    ------
    BillQuestion
        If it must be said first what a column is or which month counts.
    InputError
        If it cannot be read, or is in a currency without a rate.
    """
    lines = _cells(content, tables)
    at, known = _header(lines, tables)
    own = cost_column is not None
    if own:
        at = next((place for place, cells in lines if cost_column in cells), -1)
        if at < 0:
            raise InputError(f"The bill has no column '{shown(cost_column or '', 80)}'")
        known = _own_format(cost_column or "", quantity_column, quantity_unit)
    if known is None:
        named = max(lines[:_PREAMBLE], key=lambda line: len(line[1]))[1]
        columns = tuple(cell for cell in named if cell)
        if max(map(len, columns)) > _LONGEST_OFFERED:
            raise InputError(
                "The bill is of no format that is known here, and one of its cells above the rows "
                f"has more than {_LONGEST_OFFERED:,} characters; expected the names of columns"
            )
        raise BillQuestion(
            "The bill is of no format that is known here. Which column is what was paid? Its "
            f"columns are: {', '.join(shown(name, 40) for name in columns[:30])}",
            "cost_column",
            columns,
        )
    header = next(cells for place, cells in lines if place == at)
    body = [(place, cells) for place, cells in lines if place > at]
    if not body:
        raise InputError("The bill has no rows below its header")
    names = {_folded(cell) for cell in header}
    if known.layout == "rows" and not names & {_folded(name) for name in known.start}:
        known = replace(known, start=_DATES)
    used = {_folded(name) for name in (*known.cost, *known.quantity)}
    doubled = [name for name, times in Counter(map(_folded, header)).items() if times > 1]
    twice = [shown(name, 40) for name in header if _folded(name) in used.intersection(doubled)]
    if twice:
        raise InputError(
            f"The bill has the columns {' and '.join(twice)}: which of them counts is not known. "
            "Take out all but one"
        )
    dropped: dict[str, list[float]] = {}
    assumed: list[str] = []
    rows = _with_days(list(_rows(header, body, known)), known, assumed)
    numbers = _decimal_mark(rows, known)
    preamble_currency = _preamble_currency(lines, at)
    charges, most = [], tables.setting("bill_most_amount")
    for number, cells in rows:
        kept = _charge(number, cells, header, known, numbers, preamble_currency, dropped, most)
        if kept is not None:
            if only and only.casefold() not in " ".join(cells.values()).casefold():
                dropped.setdefault(f"without “{shown(only, 40)}”", []).append(kept.usd)
            else:
                charges.append(kept)
    charges = _without_a_sum(charges, dropped)
    charges = _of_one_month(charges, month, tables, dropped)
    undated = sum(charge.start is None for charge in charges)
    if 0 < undated < len(charges):
        assumed.append(
            f"{spell.count(undated, 'row')} without a date that can be read are counted in"
        )
    rates = _rates(charges, per_usd or {}, assumed)
    hours, period = _hours(charges, tables, assumed)
    usd_by_kind: dict[str, float] = {}
    gpu_h = 0.0
    has_hours = False
    kept_rows = 0
    for charge in charges:
        usd = charge.usd / rates[charge.currency]
        kind = WHOLE if known.covers == WHOLE else _kind(charge.words, tables)
        if kind is None:
            dropped.setdefault(_NOT_OURS, []).append(usd)
            continue
        kept_rows += 1
        usd_by_kind[kind] = usd_by_kind.get(kind, 0.0) + usd
        found = _gpu_hours(charge, kind, gpus_per_machine, assumed)
        if found is not None:
            gpu_h, has_hours = gpu_h + found, True
    if not usd_by_kind.keys() - {*BESIDE, CREDIT}:
        but = f" but {' and '.join(sorted(usd_by_kind))}" if usd_by_kind else ""
        left = f": {_in_words(dropped)}" if dropped else ""
        raise InputError(
            f"None of the {len(rows):,} rows of the bill{but} is about this kind of workload"
            f"{left}. Give the column of what was paid to take them all"
        )
    if any(charge.usd < 0 for charge in charges):
        assumed.append("Negative rows are credits and refunds, and are counted as such")
    return PaidBill(
        format=known.label,
        hours=hours,
        usd_by_kind=usd_by_kind,
        # More hours given back than used: those of the bill are another month's.
        gpu_h=gpu_h if has_hours and gpu_h >= 0 else None,
        period=period,
        rows_read=len(rows),
        rows_kept=kept_rows,
        dropped={why: (len(usd), math.fsum(usd)) for why, usd in dropped.items()},
        assumed=tuple(dict.fromkeys(assumed)),
    )


def _cells(content: bytes, tables: Tables) -> list[tuple[int, list[str]]]:
    """Return the cells of a file line by line, blank lines left out."""
    most = tables.setting("bill_max_bytes")
    if len(content) > most:
        raise InputError(
            f"A bill may have at most {most / 1e6:g} MB, this one has {len(content) / 1e6:.1f} MB"
        )
    check_text(content, "A bill must be CSV text")
    try:
        text, _ = decoded(content)
    except UnicodeDecodeError:
        raise InputError("A bill must be CSV text") from None
    if "\0" in text:
        raise InputError("A bill must be CSV text; this file is binary. Export it as CSV")
    if not text.strip():
        raise InputError("The bill is empty")
    if text.lstrip()[:1] in "[{<":
        raise InputError("A bill must be CSV text; this one is JSON or XML. Export it as CSV")
    lines = [line for line in text.splitlines()[:_PREAMBLE] if line.strip()]
    longest = max(lines, key=len)
    if len(longest) > _LONGEST_ROW:
        raise InputError(f"The bill has a row of more than {_LONGEST_ROW:,} characters")
    # Lines above a table have few cells; those of two columns are told by all of them.
    mark = delimiter_of(longest)
    if longest.count(mark) == 1:
        mark = delimiter_of_all(lines)
    of_record = 0

    def pieces() -> Iterator[str]:
        # A row is built whole before its cells can be counted: millions, if it is long enough.
        nonlocal of_record
        for at, piece in enumerate(io.StringIO(text, newline=""), start=1):
            of_record += len(piece)
            if of_record > _LONGEST_ROW:
                raise InputError(
                    f"The bill, line {at:,}: a row of more than {_LONGEST_ROW:,} characters"
                )
            yield piece

    reader = csv.reader(pieces(), delimiter=mark)
    most_rows = int(tables.setting("bill_max_rows"))
    most_cells = int(tables.setting("bill_max_columns"))
    found = []
    try:
        for cells in reader:
            of_record = 0
            if len(cells) > most_cells:
                raise InputError(
                    f"The bill, line {reader.line_num}: {len(cells):,} cells; a bill may have at "
                    f"most {most_cells:,} columns"
                )
            if any(cell.strip() for cell in cells):
                found.append((reader.line_num, [" ".join(cell.split()) for cell in cells]))
            if len(found) > most_rows:
                raise InputError(f"A bill may have at most {most_rows:,} rows")
    except csv.Error as error:
        raise InputError(f"The bill, line {reader.line_num}: {error}") from None
    if not found:
        raise InputError("The bill is empty: none of its cells holds anything")
    return found


def _folded(name: str) -> str:
    """Return the name of a column without what differs between versions: capitals and signs."""
    # A hostile name has thousands of brackets, each of which is looked for to the end.
    bare = re.sub(r"\([^)]*\)", "", name[:_LONGEST_NAME])
    return re.sub(r"[^a-z0-9]", "", bare.casefold())


def _header(
    lines: Sequence[tuple[int, list[str]]], tables: Tables
) -> tuple[int, BillFormat | None]:
    """Return the line of the header and its format."""
    for place, cells in lines[:_PREAMBLE]:
        names = {_folded(cell) for cell in cells}
        for known in tables.bill_formats.values():
            if all(_folded(name) in names for name in known.recognised_by):
                return place, known
    return -1, None


def _own_format(cost: str, quantity: str | None, unit: str) -> BillFormat:
    return BillFormat(
        format_id="own",
        label=_OWN,
        layout="rows",
        recognised_by=(cost,),
        cost=(cost,),
        quantity=() if quantity is None else (quantity,),
        unit=(),
        fixed_unit=unit or None,
        words=(),
        start=_DATES,
        end=(),
        currency=("Currency",),
        fixed_currency=None,
        covers=WHOLE,
        source_id="",
    )


def _rows(
    header: Sequence[str], body: Sequence[tuple[int, list[str]]], known: BillFormat
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield rows as cells by folded name; of a wide bill, a row for each cell of a service."""
    names = [_folded(name) for name in header]
    if known.layout == "rows":
        for place, cells in body:
            padded = [*cells, *[""] * max(len(names) - len(cells), 0)]
            row: dict[str, str] = {}
            for name, cell in zip(names, padded, strict=False):
                row.setdefault(name, cell)
            yield place, row
        return
    for place, cells in body:
        for name, cell in zip(header[1:], cells[1:], strict=False):
            if cell:
                yield place, {"start": cells[0], "words": name, "cost": cell}


def _with_days(
    rows: list[tuple[int, dict[str, str]]], known: BillFormat, assumed: list[str]
) -> list[tuple[int, dict[str, str]]]:
    """Return rows whose dates with slashes say which of two numbers is the day.

    That above 12; if there is none, the reading by which the bill covers fewer months, and it is
    said. A provider's own format has the month first.

    Raises
    ------
    InputError
        If some dates of a provider's own format have the day first, as others may.
    """
    names = [_folded(name) for name in (*known.start, *known.end)]
    found = [
        match
        for _, cells in rows
        for name in names
        if (match := _SLASHED.fullmatch(cells.get(name, "").strip()))
    ]
    if not found:
        return rows
    first, second = ({int(match[at]) for match in found} for at in (1, 2))
    if known.label != _OWN:
        if min(first) <= _MONTHS < max(first):
            wrong = next(match for match in found if int(match[1]) > _MONTHS)
            raise InputError(
                f"The bill ({known.label}) has the date '{shown(wrong.group(), 20)}', with the day "
                "first, beside others that can be read with the month first, as that format has "
                "it. Bring it as it was exported, with dates such as 2026-10-31."
            )
        return rows
    is_open = max(first) <= _MONTHS and max(second) <= _MONTHS
    if is_open:
        day_first = len(second) < len(first)
        order = "the day" if day_first else "the month"
        assumed.append(f"Dates such as {found[0].group()} are read with {order} first")
    else:
        day_first = max(first) > _MONTHS
    if not day_first:
        return rows

    def spelt(cell: str) -> str:
        match = _SLASHED.fullmatch(cell.strip())
        return f"{match[3]}-{int(match[2]):02}-{int(match[1]):02}" if match else cell

    return [
        (number, {name: spelt(cell) if name in names else cell for name, cell in cells.items()})
        for number, cells in rows
    ]


def _without_a_sum(charges: list[_Charge], dropped: dict[str, list[float]]) -> list[_Charge]:
    """Leave out the one row without a date that comes to what all others do."""
    undated = [charge for charge in charges if charge.start is None]
    others = [charge for charge in charges if charge.start is not None]
    if len(undated) != 1 or len(others) < 2 or charges[-1] is not undated[0]:
        return charges
    if abs(undated[0].usd - math.fsum(charge.usd for charge in others)) > _CENT:
        return charges
    dropped.setdefault(_OF_OTHERS, []).append(0.0)
    return others


def _first(cells: Mapping[str, str], names: Sequence[str]) -> str:
    return next((cells[_folded(name)] for name in names if cells.get(_folded(name))), "")


def _decimal_mark(rows: Sequence[tuple[int, dict[str, str]]], known: BillFormat) -> DecimalMark:
    columns = ("cost",) if known.layout == "wide" else (*known.cost, *known.quantity)
    mark = decimal_mark(
        _bare(cells[_folded(name)])
        for _, cells in rows
        for name in columns
        if cells.get(_folded(name))
    )
    if mark.is_contradictory:
        raise InputError(
            f"The bill was not read: '{shown(mark.with_comma, 40)}' has a decimal comma, "
            f"'{shown(mark.with_point, 40)}' a decimal point"
        )
    return mark


def _bare(text: str) -> str:
    """Return a number without the signs of currencies around it; brackets make it negative."""
    bare = re.sub(r"^[^\d.,()\-−]+|[^\d.,)]+$", "", text.replace("$-", "-$"))
    bare = re.sub(r"^-[^\d.,]+", "-", bare)
    return f"-{bare[1:-1].lstrip('$€£¥ ')}" if re.fullmatch(r"\(.+\)", bare) else bare


def _charge(
    number: int,
    cells: Mapping[str, str],
    header: Sequence[str],
    known: BillFormat,
    numbers: DecimalMark,
    currency: str,
    dropped: dict[str, list[float]],
    most: float,
) -> _Charge | None:
    """Return a row as a charge; None for one that is no charge, which is counted."""
    is_wide = known.layout == "wide"
    cost = cells["cost"] if is_wide else _first(cells, known.cost)
    words = (
        cells["words"]
        if is_wide
        else " ".join(cells.get(_folded(name), "") for name in known.words)
    )
    is_sum = any(_SUMS.fullmatch(cell.strip()) for cell in cells.values())
    if is_sum or (is_wide and _folded(words) == "totalcosts"):
        dropped.setdefault(_OF_OTHERS, []).append(0.0)
        return None
    if not cost:
        dropped.setdefault("rows without a cost", []).append(0.0)
        return None
    usd = numbers.number(_bare(cost)) if numbers.mark else _open_number(cost, number)
    amount = _first(cells, known.quantity) if known.quantity else ""
    quantity = numbers.number(_bare(amount)) if amount and numbers.mark else math.nan
    if not math.isfinite(usd):
        raise InputError(
            f"The bill, line {number}: expected what was paid as a number, found "
            f"'{shown(cost, 60)}'"
        )
    for text, value in ((cost, usd), (amount, quantity)):
        if abs(value) > most:
            raise InputError(
                f"The bill, line {number}: {shown(text, 60)} is more than {most:g}, which no bill "
                "comes to"
            )
    code = _first(cells, (*known.currency, "Currency")) or known.fixed_currency or currency
    if not code:
        code = _symbol(cost, header, known) or "USD"
    dated = cells["start"] if is_wide else _first(cells, known.start)
    start = _moment(dated)
    end = _end(_first(cells, known.end)) if known.end else None
    if start is not None and end is not None and end < start - dt.timedelta(seconds=1):
        raise InputError(
            f"The bill, line {number}: it ends ({end:%Y-%m-%d}) before it begins ({start:%Y-%m-%d})"
        )
    return _Charge(
        usd=usd,
        words=words,
        quantity=None if math.isnan(quantity) else quantity,
        unit=known.fixed_unit or _first(cells, known.unit),
        currency=code.upper(),
        start=start,
        end=end,
        dated=dated,
    )


def _open_number(text: str, number: int) -> float:
    raise InputError(
        f"The bill, line {number}: '{shown(text, 40)}' may be read in two ways. Export it with "
        "more decimals, or without marks between thousands"
    )


def _symbol(cost: str, header: Sequence[str], known: BillFormat) -> str:
    names = [name for name in header if _folded(name) in map(_folded, known.cost)]
    return next(
        (code for text in (cost, *names) for sign, code in _SYMBOLS.items() if sign in text), ""
    )


def _preamble_currency(lines: Sequence[tuple[int, list[str]]], at: int) -> str:
    """Return the currency that the lines above the header name; empty where they do not."""
    for place, cells in lines:
        if place >= at:
            break
        if cells and _folded(cells[0]) == "currency" and len(cells) > 1:
            return cells[1]
    return ""


def _moment(text: str) -> dt.datetime | None:
    """Return a moment, without its zone; None where a cell holds none."""
    text = text.strip().split("/")[0] if "T" in text else text.strip()
    for form in ("%Y-%m-%d", "%Y-%m", "%Y%m%d", "%m/%d/%Y", "%d.%m.%Y"):
        try:
            return dt.datetime.strptime(text, form)
        except ValueError:
            continue
    try:
        return dt.datetime.fromisoformat(text.replace(" UTC", "").replace("Z", "")).replace(
            tzinfo=None
        )
    except ValueError:
        return None


def _end(text: str) -> dt.datetime | None:
    """Return the last moment of a charge.

    A day without a time is the last one, unless it is the first of a month: then it is the end.
    """
    moment = _moment(text)
    if moment is None:
        return None
    has_time = ":" in text
    if has_time or moment.day == 1:
        return moment - dt.timedelta(seconds=1)
    return moment


def _of_one_month(
    charges: list[_Charge],
    month: str | None,
    tables: Tables,
    dropped: dict[str, list[float]],
) -> list[_Charge]:
    """Return the charges of one month; those without a date belong to it."""
    months = Counter(f"{charge.start:%Y-%m}" for charge in charges if charge.start is not None)
    named = tuple(sorted(months))
    if month is None and len(named) > 1:
        shown_months = named[-int(tables.setting("bill_max_months")) :]
        raise BillQuestion(
            f"The bill has charges of {len(named)} months: {', '.join(shown_months)}. Which one "
            "is to be compared?",
            "month",
            shown_months,
        )
    if month is not None and month not in named:
        raise InputError(
            f"The bill has no charge of {shown(month, 20)}; it has {', '.join(named) or 'no dates'}"
        )
    kept = []
    for charge in charges:
        if charge.start is None or month is None or f"{charge.start:%Y-%m}" == month:
            kept.append(charge)
        else:
            dropped.setdefault("of other months", []).append(charge.usd)
    return kept


def _rates(
    charges: Sequence[_Charge], per_usd: Mapping[str, float], assumed: list[str]
) -> dict[str, float]:
    codes = sorted({charge.currency for charge in charges})
    found = {}
    for code in codes:
        if code == "USD":
            found[code] = 1.0
            continue
        rate = per_usd.get(code)
        if rate is None or not 0 < rate < math.inf:
            raise InputError(
                f"The bill is in {shown(code, 20)}: give your rate of it for a dollar; none is "
                "fetched"
            )
        found[code] = rate
        assumed.append(f"A dollar is {rate:g} {code}, your rate")
    return found


def _hours(charges: Sequence[_Charge], tables: Tables, assumed: list[str]) -> tuple[float, str]:
    """Return the hours that a bill covers, and from when to when."""
    starts = [charge.start for charge in charges if charge.start is not None]
    month_h = tables.setting("hours_per_month")
    unread = next((charge.dated for charge in charges if charge.dated.strip()), "")
    if unread and not starts:
        raise InputError(
            f"The bill was not read: no date of it can be, such as '{shown(unread, 40)}'. Write "
            "dates as 2026-10-31"
        )
    if not starts:
        assumed.append(f"The bill has no dates: it is taken for a month of {month_h:g} hours")
        return month_h, ""
    first = min(starts)
    days = calendar.monthrange(first.year, first.month)[1]
    ends = [charge.end for charge in charges if charge.end is not None]
    last = max([*starts, *ends])
    seen = {moment.date() for moment in starts}
    if len(seen) == 1 and not ends:
        assumed.append(f"The bill has one date: it is taken for the whole month of {days} days")
        return float(days * _HOURS_PER_DAY), f"{first:%B %Y}"
    covered = (last.date() - first.date()).days + 1
    longest = tables.setting("bill_most_days")
    if covered > longest:
        raise InputError(
            f"The bill covers {covered:,} days, from {first:%Y-%m-%d} to {last:%Y-%m-%d}; at most "
            f"{longest:,.0f} are read. Check its dates, or give one month"
        )
    if covered < days:
        assumed.append(
            f"The bill covers {spell.count(covered, 'day')} of {days}, from {first:%Y-%m-%d} to "
            f"{last:%Y-%m-%d}; it is scaled to a month"
        )
    return float(covered * _HOURS_PER_DAY), f"{first:%Y-%m-%d} to {last:%Y-%m-%d}"


def _kind(words: str, tables: Tables) -> str | None:
    """Return what kind of charge a description tells; None for none that is known.

    Tax, credits and network are what they are whatever else is named; of the others that comes
    first in the text counts.
    """
    text = f" {_spaced(words)} "
    found: list[tuple[int, str]] = []
    for kind, row in tables.bill_words.items():
        named = [*row.words, *(_gpu_names(tables) if kind == GPU else ())]
        at = min((text.find(f" {word} ") for word in named if f" {word} " in text), default=-1)
        if at >= 0 and kind in (*BESIDE, CREDIT):
            return kind
        if at >= 0:
            found.append((at, kind))
    return min(found)[1] if found else None


def _spaced(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", " ", text.casefold()).strip()


def _gpu_names(tables: Tables) -> frozenset[str]:
    """Return what GPUs, and machines with them, are called in descriptions."""
    names = {_spaced(name) for gpu, row in tables.gpus.items() for name in (gpu, *row.aliases)}
    names |= {name.split()[0] for name in names}
    for row in tables.instance_types.values():
        if row.gpu is not None:
            names |= {_spaced(name.partition("*")[0]) for name in row.names}
    return frozenset(name for name in names if any(c.isdigit() for c in name))


def _gpu_hours(
    charge: _Charge, kind: str, gpus_per_machine: int, assumed: list[str]
) -> float | None:
    """Return the GPU-hours of a charge; None where it says none."""
    if charge.quantity is None or kind not in (GPU, WHOLE):
        return None
    # Azure writes "1 Hour"; of "100 Hours" it is not known which of both the quantity counts.
    unit = _folded(re.sub(r"^1 ", "", charge.unit.strip()))
    hours = UNITS.get(unit)
    if hours is None:
        return None
    is_gpu = unit.startswith("gpu") or " gpu " in f" {_spaced(charge.words)} "
    if not is_gpu:
        machine = spell.count(gpus_per_machine, "GPU")
        assumed.append(f"{charge.unit} are taken for time of machines with {machine}")
    return charge.quantity * hours * (1 if is_gpu else gpus_per_machine)


def _in_words(dropped: Mapping[str, Sequence[float]]) -> str:
    return ", ".join(f"{len(usd):,} {why}" for why, usd in dropped.items()) or "none was read"
