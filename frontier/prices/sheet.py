"""From the bytes of a price table to rows of clean cells, sizes checked before anything else."""

from __future__ import annotations

import csv
import functools
import io
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from frontier import spell
from frontier.boundary import check_text
from frontier.delimited import (
    DecimalMark,
    below_a_title,
    decimal_mark,
    decoded,
    delimiter_of,
    is_control,
)
from frontier.errors import InputError
from frontier.prices.remarks import Remarks, shown
from frontier.tables import Tables, load_columns

# Columns of free text, which may have lines; what else has a line break swallowed a row.
_PROSE = ("note", "notes", "comment", "GpuInfo")


_HEAD = 4000
# What clouds publish and tools print, by words that stand in its head.
_LISTS = (
    ("price lists of AWS", ('"FormatVersion"',)),
    ("price lists of AWS", ("OfferTermCode", "RateCode")),
    ("retail prices of Azure", ("armSkuName", "retailPrice")),
    ("SKUs of Google Cloud", ("SKU ID", "SKU description")),
    ("SKUs of Google Cloud", ('"skuId"', '"pricingInfo"')),
    ("offers that dstack lists", ('"backend"', '"offers"')),
    ("offers that dstack lists", ("BACKEND", "RESOURCES", "PRICE")),
)
_RULE = re.compile(r":?-{2,}:?")


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table as it stands in the file: (row number, cells by column), blank rows left out."""

    header: tuple[str, ...]
    rows: tuple[tuple[int, dict[str, str]], ...]

    def decimal_mark(self, columns: Iterable[str], tables: Tables, remarks: Remarks) -> DecimalMark:
        """Return how the numbers of these columns are written, and say what is unusual in it.

        Raises
        ------
        InputError
            If some need a decimal comma and others a decimal point.
        """
        columns = [column for column in columns if column in self.header]
        longest = tables.setting("upload_longest_number")
        mark = decimal_mark(
            amount(cells[column])[0]
            for _, cells in self.rows
            for column in columns
            if len(cells[column]) <= longest
        )
        if mark.is_contradictory:
            raise InputError(
                f"The price table was not loaded: '{shown(mark.with_comma)}' has a decimal comma, "
                f"'{shown(mark.with_point)}' a decimal point. Write all numbers in one way."
            )
        if mark.mark == ",":
            remarks.of_file.append("Numbers are read with a decimal comma")
        return mark


def read_sheet(content: bytes, tables: Tables, remarks: Remarks) -> Sheet:
    """Return the cells of an uploaded price table.

    Raises
    ------
    InputError
        If the file or a cell is too large, if it is no text or no table, or if a cell holds
        control characters; the message says what and where.
    """
    most_bytes = tables.setting("upload_max_bytes")
    if len(content) > most_bytes:
        raise InputError(
            f"A price table may have at most {most_bytes / 1e6:g} MB, this one has "
            f"{len(content) / 1e6:.1f} MB"
        )
    check_text(content, "A price table must be CSV text")
    try:
        text, encoding = decoded(content)
    except UnicodeDecodeError as error:
        raise InputError(
            f"A price table must be CSV text in UTF-8, UTF-16 or Windows text (cp1252); byte "
            f"{error.start} is not {error.encoding}"
        ) from None
    head = text.lstrip("\ufeff \t\r\n")[:_HEAD]
    whose = next((words for words, signs in _LISTS if all(sign in head for sign in signs)), None)
    if whose is not None:
        raise InputError(
            f"The price table looks like {whose}, which are not read. Expected a catalogue of "
            "gpuhunt or SkyPilot for that cloud, or CSV with the columns provider, gpu, price and "
            "unit"
        )
    if head[:1] in tuple("[{<"):
        raise InputError("A price table must be CSV text; this one is JSON or XML. Save it as CSV")
    if "\0" in text:
        raise InputError("A price table must be CSV text; this file is binary")
    if encoding == "cp1252":
        remarks.of_file.append("The file is not UTF-8; it is read as Windows text (cp1252)")
    return _table(text, tables, remarks)


def amount(text: str) -> tuple[str, str]:
    """Return the number in a cell and what stands around it: ("2,69", "€")."""
    first = next((at for at, c in enumerate(text) if c.isdigit() or c in ".,"), len(text))
    if first and text[first - 1] in "-−+":
        first -= 1
    last = next((at for at in range(len(text), first, -1) if text[at - 1].isdigit()), first)
    return text[first:last], f"{text[:first].strip()} {text[last:].strip()}".strip()


@functools.cache
def range_of(table: str, column: str) -> tuple[float, float]:
    """Return the least and the most that a cell of a table in data/ may hold, uploads included."""
    found = next(item for item in load_columns()[table] if item.column == column)
    return (
        -math.inf if found.minimum is None else found.minimum,
        math.inf if found.maximum is None else found.maximum,
    )


def _table(text: str, tables: Tables, remarks: Remarks) -> Sheet:
    lines = text.splitlines(keepends=True)
    first = 0
    while first < len(lines) and (not lines[first].strip() or lines[first].startswith("sep=")):
        first += 1
    title = below_a_title(lines[first:])
    if title:
        remarks.of_file.append(f"Left out above the names of columns: '{shown(lines[first])}'")
    first += title
    delimiter = delimiter_of(lines[first]) if first < len(lines) else ","
    source = io.StringIO("".join(lines[first:]), newline="")
    reader = csv.reader(source, delimiter=delimiter, strict=True)
    header: tuple[str, ...] = ()
    rows = []
    most_rows = tables.setting("upload_max_rows")
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if not header:
                header = _header(cells)
                continue
            number = first + reader.line_num
            if number == first + 2 and all(
                _RULE.fullmatch(cell.strip()) for cell in cells if cell.strip()
            ):
                continue  # the line below the names of a Markdown table
            # A spreadsheet writes empty cells to the right of the table.
            while len(cells) > len(header) and not cells[-1].strip():
                cells.pop()
            if len(cells) != len(header):
                raise InputError(
                    f"The price table, row {number}: expected {spell.count(len(header), 'cell')}, "
                    f"found {len(cells)}"
                )
            rows.append((number, dict(_clean(number, header, cells, tables))))
            if len(rows) > most_rows:
                raise InputError(f"A price table may have at most {most_rows:,.0f} rows")
    except csv.Error as error:
        raise InputError(f"The price table, row {first + reader.line_num}: {error}") from None
    if not rows:
        raise InputError("The price table has no rows below its header")
    return Sheet(header, tuple(rows))


def _header(cells: list[str]) -> tuple[str, ...]:
    # Marks that nobody sees are no part of a name.
    names = [
        " ".join("".join(c if c.isprintable() else " " * c.isspace() for c in cell).split())
        for cell in cells
    ]
    while names and not names[-1]:
        names.pop()
    doubled = [name for name, times in Counter(names).items() if times > 1]
    if doubled:
        raise InputError(f"The price table has two columns '{shown(doubled[0])}'")
    return tuple(names)


def _clean(
    row: int, header: Iterable[str], cells: Iterable[str], tables: Tables
) -> Iterator[tuple[str, str]]:
    longest = int(tables.setting("upload_longest_cell"))
    for name, cell in zip(header, cells, strict=True):
        where = f"The price table, row {row}, column {shown(name)}"
        if len(cell) > longest:
            raise InputError(
                f"{where}: expected at most {longest:,} characters, found {len(cell):,}"
            )
        allowed = "\t\r\n" if name in _PROSE else "\t"
        wrong = next((c for c in cell if is_control(c) and c not in allowed), None)
        if wrong is not None:
            what = (
                "a line break" if wrong in "\r\n" else f"a control character (U+{ord(wrong):04X})"
            )
            raise InputError(f"{where}: expected text, found {what}")
        yield name, " ".join(cell.split()) if name != "GpuInfo" else cell.strip()
