"""A file whose rows have yet to be read: columns, rows in batches, how much is read at most.

What the columns mean is decided in `formats`, how each kind of file is read in `csv_rows`,
`json_rows`, `parquet_rows` and `access_log`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from frontier import spell
from frontier.errors import InputError
from frontier.trace.access_log import LogFormat

if TYPE_CHECKING:
    import pyarrow as pa

BLOCK_BYTES = 1 << 23
BATCH_ROWS = 1 << 16
BATCH_TEXT_BYTES = 1 << 26
SAMPLE_RECORDS = 200
BAD_LINE = "rows that could not be read as {}"
# Of rows that can be read there must be one in so many, once very many cannot.
_HOPELESS_TIMES = 10


@dataclass(frozen=True, slots=True)
class Caps:
    """How much is read before a file is called too large."""

    rows: int
    bytes: int
    document_bytes: int
    line_bytes: int
    record_bytes: int
    columns: int
    bad_rows: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows of the wanted columns; ``first_row`` is the number of the first in the file."""

    first_row: int
    rows: int
    columns: Mapping[str, pa.Array]


@dataclass(slots=True)
class Table:
    """A file whose columns are known and whose rows have yet to be read.

    Attributes
    ----------
    kind : str
        "CSV", "JSON", "JSON lines", "Parquet" or "access log".
    names : tuple of str
        Its columns.
    batches : callable
        Gives the rows of the columns asked for, in batches, once.
    objects, lists, texts : frozenset of str
        Columns that hold an object, a list or text, as far as the first rows show.
    repeated : frozenset of str
        Names that several columns have; all but the first got a number.
    decimal_comma : bool
        Cells are separated by something else, so that a comma may be a decimal comma.
    broken : Counter
        Rows that could not be read, by reason; complete when the batches are through.
    log : LogFormat or None
        Which access log it is, if it is one.
    sample : tuple of tuple of str
        The cells of the first rows, of a CSV file only.
    ragged : str
        That most rows have another number of cells than there are names, in words; else empty.
    records : tuple of mapping
        The first rows, of JSON only.
    nested : mapping of str to DataType
        Columns of lists of whole numbers, or of objects of such lists, of JSON lines only; they
        are read when they are asked for.
    joined : tuple of str
        Columns that are read as one of times (see `joined_times`).
    title : tuple of str
        Lines above the names of columns, which are left out.
    """

    kind: str
    names: tuple[str, ...]
    batches: Callable[[Sequence[str]], Iterator[Batch]]
    objects: frozenset[str] = frozenset()
    lists: frozenset[str] = frozenset()
    texts: frozenset[str] = frozenset()
    repeated: frozenset[str] = frozenset()
    decimal_comma: bool = False
    broken: Counter[str] = field(default_factory=Counter)
    log: LogFormat | None = None
    sample: tuple[tuple[str, ...], ...] = ()
    ragged: str = ""
    records: tuple[Mapping[str, Any], ...] = ()
    nested: Mapping[str, pa.DataType] = field(default_factory=dict)
    joined: tuple[str, ...] = ()
    title: tuple[str, ...] = ()


def notes_on(table: Table) -> tuple[str, ...]:
    """Return what was done to a table before its columns were looked at, in sentences."""
    notes = []
    if table.joined:
        *most, last = (f"'{name}'" for name in table.joined)
        notes.append(f"Columns {', '.join(most)} and {last} are read as one time.")
    if table.title:
        notes.append(
            f"{spell.count(len(table.title), 'line')} above the names of columns left out, the "
            f"first is '{table.title[0][:60]}'."
        )
    return tuple(notes)


def is_hopeless(broken: Counter[str], good: int, caps: Caps) -> bool:
    """Whether so much could not be read that the rest is not looked at."""
    bad = broken.total()
    return bad > caps.bad_rows and bad > _HOPELESS_TIMES * good


def hopeless(broken: Counter[str]) -> InputError:
    """Return the refusal of a file of which too little can be read."""
    reasons = "; ".join(f"{number:,} {reason}" for reason, number in broken.items())
    return InputError(f"Too little of the file can be read: it begins with {reasons}.")


def too_large(most: int) -> InputError:
    """Return the refusal of a file that unpacks to more bytes than are read."""
    return InputError(
        f"The file holds more than {most / 1e6:,.0f} MB of data. Keep one week, or only the "
        "columns time, prompt and output tokens; or count requests by the minute."
    )


def too_many_rows(rows: int) -> InputError:
    """Return the error for a file of more rows than the cap, with the ways out."""
    return InputError(
        f"The file has more than {rows:,} rows. Keep one week, or aggregate it to counts by the "
        "minute; a copy of Frontier of your own can be set to read more (trace_max_rows)."
    )


def in_short(error: Exception) -> str:
    """Return the first sentence of an error, without the bytes it quotes."""
    return str(error).splitlines()[0][:160].rstrip(".") + "."
