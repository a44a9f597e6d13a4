"""Rows of a CSV file, separated by comma, semicolon, tab or bar.

Arrow reads them; what it would lose without a word (quotes that swallow lines, a header behind
remarks, twin names) is looked for here.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from frontier import spell
from frontier.delimited import below_a_title, delimiter_of
from frontier.errors import InputError
from frontier.trace import series_documents

if TYPE_CHECKING:
    pass
from frontier.trace.raw_table import (
    SAMPLE_RECORDS,
    Batch,
    Caps,
    Table,
    hopeless,
    in_short,
    is_hopeless,
    too_many_rows,
)
from frontier.trace.streams import LastQuote, lines_of

# Arrow reads up to 32 blocks of a CSV file ahead; a row must fit in a block.
_CSV_BLOCK_BYTES = 1 << 21
_HEADER_CHARACTERS = 100_000
# A header in an encoding of one byte loses its umlauts; what loses more is no text.
_MOST_LOST = 1 / 3


def csv_table(stream: io.BufferedReader, head: bytes, caps: Caps) -> Table:
    """Return the table of a CSV file, whose first bytes tell delimiter, names and samples."""
    lines = lines_of(head.decode("utf-8", errors="replace"))
    skip = _next_line(lines, 0)
    if skip == len(lines):
        raise InputError("The file has comments but no header and no requests.")
    first, skip = skip, skip + below_a_title(lines[skip:])
    header = lines[skip]
    if not _printable(header):
        raise InputError("The first line holds nothing that can be read; expected a header.")
    lost = sum(c == "�" or (c < " " and c != "\t") for c in header)
    if lost > _MOST_LOST * len(header):
        raise InputError(
            f"The first line is no text: {lost:,} of its {len(header):,} characters are none in "
            "UTF-8. Save the file as UTF-8, or unpack it if it is compressed."
        )
    if len(header) > _HEADER_CHARACTERS:
        raise InputError(
            f"The first line has more than {_HEADER_CHARACTERS:,} characters; expected the names "
            "of columns."
        )
    delimiter = delimiter_of(header)
    console = series_documents.console_header(lines[skip:], delimiter)
    if console is None:
        cells = next(csv.reader([header], delimiter=delimiter))
    else:
        cells, skip = console[0], skip + console[1] - 1
    try:
        some = (f"{line}\n" for line in lines[skip + 1 : skip + 1 + SAMPLE_RECORDS])
        rows = list(csv.reader(some, delimiter=delimiter))
    except csv.Error:  # a cell longer than any that is looked at here
        rows = []
    bare = [_printable(cell) for cell in _completed(cells, rows)]
    names = _unique(bare)
    if all(re.fullmatch(r"[-+0-9.,:eETZ ]+", name) for name in names):
        raise InputError(
            f"The first line holds values, not names of columns: {header[:80]}. "
            "Add a header line, for example timestamp,prompt_tokens,output_tokens."
        )
    _refuse_swallowed(rows, delimiter)
    full = [len(row) for row in rows if row]
    table = Table(
        "CSV",
        names,
        lambda wanted: iter(()),
        title=tuple(line.strip() for line in lines[first:skip] if line.strip()),
        repeated=frozenset(name for name, number in Counter(bare).items() if number > 1),
        ragged=""
        if not full or 2 * full.count(len(names)) >= len(full)
        else f"Its first line has {spell.count(len(names), 'cell')} and the rows below it have "
        f"{max(full):,}: names of columns belong in the first line.",
        decimal_comma=delimiter != ",",
        sample=tuple(tuple(row) for row in rows if len(row) == len(names)),
    )
    # By the names of the file: those of the table may stand for several (`joined_times`).
    table.batches = lambda wanted: _csv_batches(
        stream, table, names, wanted, delimiter, skip + 1, caps
    )
    return table


def _next_line(lines: Sequence[str], at: int) -> int:
    """Return the first line from there on that is neither blank, a remark nor a drawn rule."""
    while at < len(lines) and (
        not lines[at].strip()
        or lines[at].startswith(("#", "sep="))
        or (len(lines[at].strip()) > 1 and not lines[at].strip().strip("+-=|"))
    ):
        at += 1
    return at


def _completed(cells: list[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the names of columns, one more where every row has one cell more that needs none.

    It is the empty one behind a separator that ends each row, or the number of the row before it.
    """
    held = [row for row in rows if row]
    if not held or any(len(row) != len(cells) + 1 for row in held):
        return cells
    if not any(row[-1].strip() for row in held):
        return [*cells, ""]
    if all(row[0].strip() == str(number) for number, row in enumerate(held, 1)):
        return ["", *cells]
    return cells


def _refuse_swallowed(rows: Sequence[Sequence[str]], delimiter: str) -> None:
    """Refuse a table whose quoted cells hold lines that are rows themselves."""
    for number, row in enumerate(rows, start=2):  # the header is row 1
        for cell in row:
            for line in cell.splitlines()[1:] if "\n" in cell else ():
                cells = line.split(delimiter)
                if len(cells) == len(row) > 1 and _shape(cells[0]) == _shape(row[0]):
                    raise InputError(
                        f"Row {number:,} opens a quote that never closes, or closes too late: "
                        f"its cell holds a line that looks like a row ({line[:60]}). Mend the "
                        "quote, or leave the column out."
                    )


def _shape(text: str) -> str:
    """Return how a cell is written: a number, or its letters and marks without the digits."""
    try:
        return str(math.isfinite(float(text)))
    except ValueError:
        return re.sub(r"\d+", "0", text.strip())


def _printable(name: str) -> str:
    return "".join(c for c in name if c.isprintable()).strip()


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    seen: Counter[str] = Counter()
    result = []
    for name in names:
        seen[name] += 1
        result.append(name if seen[name] == 1 else f"{name}.{seen[name]}")
    return tuple(result)


def _csv_batches(
    stream: io.BufferedReader,
    table: Table,
    names: Sequence[str],
    wanted: Sequence[str],
    delimiter: str,
    skip: int,
    caps: Caps,
) -> Iterator[Batch]:
    import pyarrow as pa
    from pyarrow import csv as pacsv

    reason = f"rows with another number of cells than the {len(names)} columns"

    def skip_row(_: Any) -> str:
        table.broken[reason] += 1
        # Arrow says nothing between two batches, and there may never be one.
        is_over = is_hopeless(table.broken, row, caps) or table.broken[reason] > caps.rows
        return "error" if is_over else "skip"

    # Cells stay text: one that is not a number must cost one row, not the file.
    convert = pacsv.ConvertOptions(
        include_columns=list(wanted),
        column_types={name: pa.string() for name in wanted},
        strings_can_be_null=True,
        null_values=["", "null", "NULL", "None", "NaN", "nan", "\\N"],
    )
    watched = LastQuote(stream, delimiter)
    row = skip + 1
    try:
        reader = pacsv.open_csv(
            watched,
            read_options=pacsv.ReadOptions(
                column_names=list(names), skip_rows=skip, block_size=_CSV_BLOCK_BYTES
            ),
            parse_options=pacsv.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, invalid_row_handler=skip_row
            ),
            convert_options=convert,
        )
        for batch in reader:
            yield Batch(row, batch.num_rows, dict(zip(wanted, batch.columns, strict=True)))
            row += batch.num_rows
    except pa.ArrowInvalid as error:
        if is_hopeless(table.broken, row, caps):
            raise hopeless(table.broken) from None
        if table.broken[reason] > caps.rows:
            raise too_many_rows(caps.rows) from None
        if "skip initial" in str(error):  # the header is all there is, without a line's end
            return
        if "straddling" in str(error):
            raise InputError(
                f"Row {row:,} or one after it is longer than {_CSV_BLOCK_BYTES / 1e6:,.0f} MB: "
                "a quote that opens in it may never close."
            ) from error
        raise InputError(f"The CSV file cannot be read: {in_short(error)}") from error
    if watched.stray_line is not None:
        raise InputError(
            f"Row {watched.stray_line:,} opens a quote that closes in the middle of a cell "
            "of another row: the lines between would be lost. Double or remove stray quotes, or "
            "leave the column out."
        )
    if watched.is_open:
        last = row - 1 + sum(table.broken.values())
        raise InputError(
            f"Row {last:,} opens a quote that never closes: the lines after it cannot be told "
            "apart. Close the quote, or leave the column out."
        )
