"""From a file, in memory or on disk, to batches of the few columns that are wanted.

CSV (comma, semicolon, tab or bar), JSON, JSON lines, Parquet and web server logs, plain or gzip,
in UTF-8, UTF-16 or UTF-32. Files are read as a stream under caps on bytes that count what comes
*out* of the decompressor, so that a small file cannot become a large one; nothing is written to
disk, nothing is unpickled, and columns nobody asked for are never kept. What the columns mean is
decided in `formats`, what their cells mean in `columns`.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import math
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from frontier import spell
from frontier.delimited import delimiter_of, not_text
from frontier.errors import InputError
from frontier.trace import access_log, record_documents, series_documents
from frontier.trace.access_log import LogFormat

if TYPE_CHECKING:
    import pyarrow as pa

Source = str | Path | bytes | bytearray | memoryview | BinaryIO
Progress = Callable[[int, int], None]

_HEAD_BYTES = 1 << 20
_BLOCK_BYTES = 1 << 23
# Arrow reads up to 32 blocks of a CSV file ahead; a row must fit in a block.
_CSV_BLOCK_BYTES = 1 << 21
_BATCH_ROWS = 1 << 16
_BATCH_TEXT_BYTES = 1 << 26
_SAMPLE_RECORDS = 200
# A column that only some records have (tokens, after health checks) must not be overlooked.
_SAMPLE_LINES = 10_000
_HEADER_CHARACTERS = 100_000
# A header in an encoding of one byte loses its umlauts; what loses more is no text.
_MOST_LOST = 1 / 3
# Of rows that can be read there must be one in so many, once very many cannot.
_HOPELESS_TIMES = 10
_BAD_LINE = "rows that could not be read as {}"

_GZIP = b"\x1f\x8b"
_PARQUET = b"PAR1"
# UTF-32 before UTF-16: the mark of one begins with the mark of the other.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

_LINE_ENDS = re.compile(r"\r\n|\n|\r")
# Between two documents: blanks, a comma, the mark of RFC 7464.
_BETWEEN = re.compile(r"[\s,\x1e]*")
_HALF_CHARACTER = re.compile(r"\\u[dD][89a-fA-F]")
_JSON_BEGINS = re.compile(r'\{|\[\s*(?:[\[{"\]]|-?\d[\d.eE+-]*\s*[,\]]|$)')


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


@contextmanager
def open_table(source: Source, caps: Caps, progress: Progress | None = None) -> Iterator[Table]:
    """Give the table in a file, having looked at its beginning only.

    Parameters
    ----------
    source : path, bytes or binary file
        The file. A file object is read from where it stands and left open.
    caps : Caps
        How much to read at most.
    progress : callable, optional
        Called with the bytes read and the bytes in all (0 if unknown); what it raises stops the
        reading.

    Raises
    ------
    InputError
        If the file is empty, of a kind that is not read, or larger than the caps.
    """
    with ExitStack() as stack:
        raw, size = _open(source, stack)
        counted = _Bounded(raw, None, progress, size)
        stream: io.BufferedReader[Any] = io.BufferedReader(counted, _HEAD_BYTES)
        cap = caps.bytes
        if stream.peek(2)[:2] == _GZIP:
            unpacked = stack.enter_context(gzip.GzipFile(fileobj=stream))

            def unpacking(unpacked_bytes: int, _: int) -> None:
                # A small file may unpack for long: it must be heard of, and can be stopped.
                if progress is not None:
                    progress(counted.read_bytes, size)

            stream = io.BufferedReader(_Bounded(unpacked, cap, unpacking), _HEAD_BYTES)
            if _peek(stream)[:2] == _GZIP:
                raise InputError("The file is gzip inside gzip. Decompress it once.")
        else:
            counted.cap = cap
        head = _peek(stream)
        if not head:
            raise InputError("The file is empty.")
        if not head.startswith(_PARQUET):
            _refuse(head)
        if head.startswith(_PARQUET):
            table = _parquet(source, stream, caps, stack)
        else:
            stream, head = _as_utf8(stream, head)
            if not head.strip():
                raise InputError("The file is empty.")
            table = _text_table(stream, head, caps)
        if len(table.names) > caps.columns:
            raise InputError(
                f"The file has {len(table.names):,} columns, more than the {caps.columns:,} that "
                "are read. Keep the time, the tokens and what tells models apart."
            )
        batches = table.batches
        table.batches = lambda wanted: _counted(table, batches(_known(table, wanted)), caps)
        yield table


def _known(table: Table, wanted: Sequence[str]) -> Sequence[str]:
    lacks = [name for name in wanted if name not in table.names and name not in table.nested]
    if lacks:
        raise InputError(
            f"The file lacks the column '{lacks[0]}', which a file of this kind has."
            if len(lacks) == 1
            else f"The file lacks {len(lacks):,} columns that a file of this kind has, such as "
            f"'{lacks[0]}'."
        )
    return wanted


def _counted(table: Table, batches: Iterator[Batch], caps: Caps) -> Iterator[Batch]:
    """Give the batches of a table; rows that could not be read count towards the cap as well."""
    rows = 0
    for batch in batches:
        rows += batch.rows
        if rows + table.broken.total() > caps.rows:
            raise too_many_rows(caps.rows)
        yield batch


def _is_hopeless(broken: Counter[str], good: int, caps: Caps) -> bool:
    """Whether so much could not be read that the rest is not looked at."""
    bad = broken.total()
    return bad > caps.bad_rows and bad > _HOPELESS_TIMES * good


def _hopeless(broken: Counter[str]) -> InputError:
    reasons = "; ".join(f"{number:,} {reason}" for reason, number in broken.items())
    return InputError(f"Too little of the file can be read: it begins with {reasons}.")


def _open(source: Source, stack: ExitStack) -> tuple[BinaryIO, int]:
    if isinstance(source, str | Path):
        path = Path(source)
        if not path.is_file():
            raise InputError(f"There is no file '{path.name}'.")
        return stack.enter_context(path.open("rb", buffering=0)), path.stat().st_size
    if isinstance(source, bytes | bytearray | memoryview):
        return io.BytesIO(source), len(source)
    return source, 0


class _Bounded(io.RawIOBase):
    """A stream that fills its reader's buffer, counts the bytes and stops at a cap."""

    def __init__(
        self, raw: Any, cap: int | None, progress: Progress | None = None, size: int = 0
    ) -> None:
        super().__init__()
        self._raw, self.cap, self._progress, self._size = raw, cap, progress, size
        self.read_bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        filled = 0
        while filled < len(view):
            try:
                piece = self._raw.read(len(view) - filled)
            except (EOFError, gzip.BadGzipFile, OSError) as error:
                if isinstance(self._raw, gzip.GzipFile):
                    raise InputError(f"The gzip file is damaged or cut off: {error}.") from error
                raise
            except Exception as error:
                if type(error).__module__ == "zlib":
                    raise InputError(f"The gzip file is damaged: {error}.") from error
                raise
            if not piece:
                break
            view[filled : filled + len(piece)] = piece
            filled += len(piece)
        self.read_bytes += filled
        if self.cap is not None and self.read_bytes > self.cap:
            raise _too_large(self.cap)
        if self._progress is not None:
            self._progress(self.read_bytes, self._size)
        return filled


class _Recoded(io.RawIOBase):
    """A stream of valid UTF-8 made from one of some encoding; what is not valid becomes �."""

    def __init__(self, stream: io.BufferedReader, encoding: str) -> None:
        super().__init__()
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
        self._is_utf8 = encoding == "utf-8"
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        is_last = False
        while not self._left and not is_last:
            piece = self._stream.read1(len(buffer))
            is_last = not piece
            # Most files are plain ASCII, which needs no second look.
            if not (self._is_utf8 and piece.isascii() and not self._decoder.getstate()[0]):
                piece = self._decoder.decode(piece, is_last).encode()
            self._left = memoryview(piece)
        number = min(len(buffer), len(self._left))
        buffer[:number] = self._left[:number]
        self._left = self._left[number:]
        return number


def _peek(stream: io.BufferedReader) -> bytes:
    return stream.peek(_HEAD_BYTES)[:_HEAD_BYTES]


def _refuse(head: bytes) -> None:
    kind = not_text(head)
    if kind is not None:
        raise InputError(f"The file is {kind.what}, which is not read. {kind.instead}")


def _as_utf8(stream: io.BufferedReader, head: bytes) -> tuple[io.BufferedReader, bytes]:
    encoding = next((name for mark, name in _MARKS if head.startswith(mark)), None)
    if encoding is None and b"\0" in head[:200]:
        # Text of mostly Latin letters in UTF-16 has a zero in every other byte.
        odd, even = head[1:200:2], head[:200:2]
        if odd.count(0) > len(odd) / 2 and not even.count(0):
            encoding = "utf-16-le"
        elif even.count(0) > len(even) / 2 and not odd.count(0):
            encoding = "utf-16-be"
        else:
            raise InputError(
                f"The file is not text (byte {head.index(0) + 1:,} of it is 0), and not Parquet or "
                "gzip either."
            )
    stream = io.BufferedReader(_Recoded(stream, encoding or "utf-8"), _HEAD_BYTES)
    head = _peek(stream)
    if head.startswith(codecs.BOM_UTF8):
        stream.read(len(codecs.BOM_UTF8))
        head = head[len(codecs.BOM_UTF8) :]
    return stream, head


def _text_table(stream: io.BufferedReader, head: bytes, caps: Caps) -> Table:
    text = head.decode("utf-8", errors="replace").lstrip()
    if not text:
        raise InputError("The file is empty.")
    if not _JSON_BEGINS.match(text):
        log = access_log.recognise(text, caps.line_bytes)
        return _csv(stream, head, caps) if log is None else _access_log(stream, log, caps)
    sample = _json_lines_of(text, whole=len(head) < _HEAD_BYTES)
    return _json_lines(stream, sample, caps) if sample else _document(stream, caps)


def _lines_of(text: str) -> list[str]:
    """Return the lines of a text as Arrow and editors count them: other marks end no line."""
    lines = _LINE_ENDS.split(text)
    return lines if lines[-1] else lines[:-1]


# --- CSV ----------------------------------------------------------------------------------------


def _csv(stream: io.BufferedReader, head: bytes, caps: Caps) -> Table:
    lines = _lines_of(head.decode("utf-8", errors="replace"))
    skip = 0
    while skip < len(lines) and (
        not lines[skip].strip() or lines[skip].startswith("#") or lines[skip].startswith("sep=")
    ):
        skip += 1
    if skip == len(lines):
        raise InputError("The file has comments but no header and no requests.")
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
    bare = [_printable(cell) for cell in cells]
    names = _unique(bare)
    if all(re.fullmatch(r"[-+0-9.,:eETZ ]+", name) for name in names):
        raise InputError(
            f"The first line holds values, not names of columns: {header[:80]}. "
            "Add a header line, for example timestamp,prompt_tokens,output_tokens."
        )
    try:
        some = (f"{line}\n" for line in lines[skip + 1 : skip + 1 + _SAMPLE_RECORDS])
        rows = list(csv.reader(some, delimiter=delimiter))
    except csv.Error:  # a cell longer than any that is looked at here
        rows = []
    _refuse_swallowed(rows, delimiter)
    full = [len(row) for row in rows if row]
    table = Table(
        "CSV",
        names,
        lambda wanted: iter(()),
        repeated=frozenset(name for name, number in Counter(bare).items() if number > 1),
        ragged=""
        if not full or 2 * full.count(len(names)) >= len(full)
        else f"Its first line has {spell.count(len(names), 'cell')} and the rows below it have "
        f"{max(full):,}: names of columns belong in the first line.",
        decimal_comma=delimiter != ",",
        sample=tuple(tuple(row) for row in rows if len(row) == len(names)),
    )
    table.batches = lambda wanted: _csv_batches(stream, table, wanted, delimiter, skip + 1, caps)
    return table


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
    wanted: Sequence[str],
    delimiter: str,
    skip: int,
    caps: Caps,
) -> Iterator[Batch]:
    import pyarrow as pa
    from pyarrow import csv as pacsv

    reason = f"rows with another number of cells than the {len(table.names)} columns"

    def skip_row(_: Any) -> str:
        table.broken[reason] += 1
        # Arrow says nothing between two batches, and there may never be one.
        is_over = _is_hopeless(table.broken, row, caps) or table.broken[reason] > caps.rows
        return "error" if is_over else "skip"

    # Cells stay text: one that is not a number must cost one row, not the file.
    convert = pacsv.ConvertOptions(
        include_columns=list(wanted),
        column_types={name: pa.string() for name in wanted},
        strings_can_be_null=True,
        null_values=["", "null", "NULL", "None", "NaN", "nan", "\\N"],
    )
    watched = _LastQuote(stream, delimiter)
    row = skip + 1
    try:
        reader = pacsv.open_csv(
            watched,
            read_options=pacsv.ReadOptions(
                column_names=list(table.names), skip_rows=skip, block_size=_CSV_BLOCK_BYTES
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
        if _is_hopeless(table.broken, row, caps):
            raise _hopeless(table.broken) from None
        if table.broken[reason] > caps.rows:
            raise too_many_rows(caps.rows) from None
        if "skip initial" in str(error):  # the header is all there is, without a line's end
            return
        if "straddling" in str(error):
            raise InputError(
                f"Row {row:,} or one after it is longer than {_CSV_BLOCK_BYTES / 1e6:,.0f} MB: "
                "a quote that opens in it may never close."
            ) from error
        raise InputError(f"The CSV file cannot be read: {_short(error)}") from error
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


class _LastQuote(io.RawIOBase):
    """Passes a CSV file on and finds whether its last quote opens a cell that does not end.

    The lines in such a cell would be lost without a word. A quote opens a cell if it comes right
    after a delimiter or a line's end, and no delimiter or line's end comes right after it.
    """

    def __init__(self, stream: io.BufferedReader, delimiter: str) -> None:
        super().__init__()
        self._stream, self._edges = stream, delimiter.encode() + b"\r\n"
        self._near, self._around, self._has_line = b"\n", b"", False
        edges = re.escape(delimiter).encode() + rb"\r\n"
        # All that is well quoted, in one match: what is left begins with a cell that is not.
        self._well_quoted = re.compile(
            rb'(?:[^"]++|(?<=[^%b])"|"[^"]*+(?:""[^"]*+)*+"(?=[%b]))*+' % (edges, edges)
        )
        self._badly_quoted = re.compile(rb'"[^"]*+(?:""[^"]*+)*+"[^%b"]' % edges)
        self._unchecked, self._lines = b"\n", 0
        self.stray_line: int | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._stream.read(len(buffer))
        buffer[: len(piece)] = piece
        seen = self._near + piece
        at = seen.rfind(b'"')
        if at >= len(self._near) - 1 and at > 0:
            self._around, self._has_line = seen[at - 1 : at + 2], False
        self._has_line |= b"\n" in (seen[at + 1 :] if at >= 0 else piece)
        self._near = seen[-2:]
        if self.stray_line is None:
            self._check(piece)
        return len(piece)

    def _check(self, piece: bytes) -> None:
        """Find a quoted cell over several lines that ends in the middle of another cell."""
        held = self._unchecked + piece
        while True:
            matched = self._well_quoted.match(held)
            end = matched.end() if matched else 0
            bad = self._badly_quoted.match(held, end)
            if bad is None:
                break
            if b"\n" in bad.group():
                self.stray_line = self._lines + held.count(b"\n", 0, end)
                return
            self._lines += held.count(b"\n", 0, bad.end())
            held = held[bad.end() - 1 :]
        # The last character is kept: what a quote follows decides what it is.
        cut = max(0, min(end, len(held)) - 1)
        self._lines += held.count(b"\n", 0, cut)
        self._unchecked = held[cut:]

    @property
    def is_open(self) -> bool:
        """Whether lines follow the quote that opened the last cell."""
        if len(self._around) < 3 or not self._has_line:
            return False
        before, _, after = self._around
        return before in self._edges and after not in self._edges + b'"'


# --- JSON ---------------------------------------------------------------------------------------


def _json_lines_of(text: str, whole: bool) -> list[dict[str, Any]]:
    """Return the first records if the text is JSON lines, and nothing if it is one document."""
    lines = _lines_of(text)
    if not whole:
        lines = lines[:-1]
    lines = [line for line in lines if line.strip()][:_SAMPLE_LINES]
    if len(lines) < 2 or not all(line.lstrip().startswith("{") for line in lines[:2]):
        return []
    if lines[1].rstrip().endswith(",") and not isinstance(_loads(lines[0]), dict):
        return []  # the list of a document that begins in the first line
    records = [record for line in lines if isinstance(record := _loads(line), dict)]
    return records if 2 * len(records) >= len(lines) else []


def _loads(text: str | bytes) -> Any:
    """Return what a line holds, None if that is no JSON; a comma may end a line of a list."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    try:
        return _parsed(text.strip().removesuffix(","))
    except (ValueError, RecursionError):
        return None


def _parsed(text: str) -> Any:
    """Return what JSON holds; half a character (a lone surrogate) becomes a question mark."""
    held = json.loads(text)
    if _HALF_CHARACTER.search(text):
        plain = json.dumps(held, ensure_ascii=False).encode("utf-8", "replace")
        held = json.loads(plain)
    return held


def _json_lines(stream: io.BufferedReader, sample: list[dict[str, Any]], caps: Caps) -> Table:
    flat = [row for record in sample for row in record_documents.flatten(record)]
    types = _types(flat)
    # A record that is a row of plain cells needs no flattening: Arrow can read it, and fast.
    plain = len(flat) == len(sample) and not any(name not in sample[0] for name in flat[0])
    table = Table(
        "JSON lines",
        tuple(types),
        lambda wanted: iter(()),
        objects=frozenset(k for record in sample for k, v in record.items() if isinstance(v, dict)),
        lists=frozenset(k for record in sample for k, v in record.items() if isinstance(v, list)),
        texts=frozenset(name for name, kind in types.items() if kind is str),
        records=tuple(flat[:_SAMPLE_RECORDS]),
        nested=_nested(sample),
    )
    table.batches = lambda wanted: _json_batches(
        stream, table, wanted, types if plain else {}, caps
    )
    return table


def _nested(sample: Sequence[Mapping[str, Any]]) -> dict[str, pa.DataType]:
    """Return the columns whose cells are lists of whole numbers, or objects of such lists."""
    import pyarrow as pa

    numbers = pa.list_(pa.int64())

    def is_list(value: object) -> bool:
        return isinstance(value, list) and all(type(item) is int for item in value)

    found: dict[str, pa.DataType] = {}
    for name, value in sample[0].items() if sample else ():
        cells = [record.get(name) for record in sample]
        if is_list(value) and all(cell is None or is_list(cell) for cell in cells):
            found[name] = numbers
        elif isinstance(value, dict) and value and all(map(is_list, value.values())):
            keys = dict.fromkeys(key for cell in cells if isinstance(cell, dict) for key in cell)
            found[name] = pa.struct([(key, numbers) for key in keys])
    return found


def _types(rows: Iterable[Mapping[str, Any]]) -> dict[str, type]:
    """Return the columns of some rows and the narrowest type that holds all their values."""
    found: dict[str, set[type]] = {}
    for row in rows:
        for name, value in row.items():
            found.setdefault(name, set()).update(() if value is None else (type(value),))
    return {
        name: next(iter(kinds)) if len(kinds) == 1 else float if kinds == {int, float} else object
        for name, kinds in found.items()
    }


def _json_batches(
    stream: io.BufferedReader,
    table: Table,
    wanted: Sequence[str],
    types: Mapping[str, type],
    caps: Caps,
) -> Iterator[Batch]:
    import pyarrow as pa
    from pyarrow import json as pajson

    arrow = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    schema = None
    if types and all(name in table.nested or types.get(name) in arrow for name in wanted):
        schema = pa.schema(
            [(name, table.nested.get(name) or arrow[types[name]]) for name in wanted]
        )
    row, left = 1, b""
    while True:
        block = stream.read(_BLOCK_BYTES)
        cut = block.rfind(b"\n") + 1 if block else 0
        piece, left = (left + block[:cut], block[cut:]) if cut else (b"", left + block)
        if not block:
            piece, left = left, b""
        if len(left) > caps.record_bytes:
            raise InputError(
                f"The record after row {row - 1:,} is longer than {caps.record_bytes / 1e6:,.0f} "
                "MB; expected one request on a line."
            )
        if piece.strip():
            columns = None
            if schema is not None:
                try:
                    read = pajson.read_json(
                        io.BytesIO(piece),
                        read_options=pajson.ReadOptions(block_size=len(piece) + 1),
                        parse_options=pajson.ParseOptions(
                            explicit_schema=schema, unexpected_field_behavior="ignore"
                        ),
                    ).combine_chunks()
                    columns = {name: _one(read[name]) for name in wanted}
                except pa.ArrowInvalid:
                    columns = None  # a broken or an unusual line: read this piece line by line
            if columns is None:
                columns = _as_columns(_records_of(piece, table, wanted, row, caps), wanted)
            rows = len(next(iter(columns.values())))
            yield Batch(row, rows, columns)
            row += rows
        if not block:
            return


def _one(chunked: Any) -> pa.Array:
    import pyarrow as pa

    return pa.concat_arrays(chunked.chunks) if chunked.num_chunks else pa.array([], chunked.type)


def _records_of(
    piece: bytes, table: Table, wanted: Sequence[str], good: int, caps: Caps
) -> Iterator[dict[str, Any]]:
    nested = [name for name in wanted if name in table.nested]
    for line in piece.splitlines():
        if line.strip():
            record = _loads(line)
            if isinstance(record, dict):
                good += 1
                for row in record_documents.flatten(record):
                    yield {**row, **{name: record.get(name) for name in nested}} if nested else row
            else:
                table.broken[_BAD_LINE.format("JSON")] += 1
                if _is_hopeless(table.broken, good, caps):
                    raise _hopeless(table.broken)


def _document(stream: io.BufferedReader, caps: Caps) -> Table:
    content = stream.read(caps.document_bytes + 1)
    if len(content) > caps.document_bytes:
        raise InputError(
            f"One JSON document of more than {caps.document_bytes / 1e6:,.0f} MB is not read. "
            "Write one record a line (JSON lines), or CSV or Parquet."
        )
    text, broken = content.decode("utf-8", "replace"), Counter[str]()
    try:
        document = _parsed(text)
    except RecursionError:
        raise InputError("The JSON is nested too deeply to be a trace.") from None
    except json.JSONDecodeError as error:
        document = _one_after_another(text)
        for line in () if document else io.BytesIO(content):
            if line.strip():
                record = _loads(line)
                if isinstance(record, dict):
                    document.append(record)
                else:
                    broken[_BAD_LINE.format("JSON")] += 1
                    if _is_hopeless(broken, len(document), caps):
                        raise _hopeless(broken) from None
        if not document:
            raise InputError(
                f"The file is not valid JSON: {error.msg} in line {error.lineno}."
            ) from error
    except ValueError as error:
        raise InputError(
            "The file cannot be read: one of its numbers has more than "
            f"{sys.get_int_max_str_digits():,} digits."
        ) from error
    rows = list(record_documents.rows(document, broken))
    del document, content, text
    types = _types(rows)

    def batches(wanted: Sequence[str]) -> Iterator[Batch]:
        for start in range(0, len(rows), _BATCH_ROWS):
            some = rows[start : start + _BATCH_ROWS]
            yield Batch(start + 1, len(some), _as_columns(some, wanted))

    return Table(
        "JSON",
        tuple(types),
        batches,
        texts=frozenset(name for name, kind in types.items() if kind is str),
        broken=broken,
        records=tuple(rows[:_SAMPLE_RECORDS]),
    )


def _one_after_another(text: str) -> list[Any]:
    """Return the documents of a text that holds several, as jq writes them; empty if it is none."""
    decoder, found = json.JSONDecoder(), list[Any]()
    at = _BETWEEN.match(text).end()  # type: ignore[union-attr]
    try:
        while at < len(text):
            held, end = decoder.raw_decode(text, at)
            found.append(held)
            at = _BETWEEN.match(text, end).end()  # type: ignore[union-attr]
    except (ValueError, RecursionError):
        return []
    return list(_parsed(json.dumps(found))) if _HALF_CHARACTER.search(text) else found


def _as_columns(rows: Iterable[Mapping[str, Any]], wanted: Sequence[str]) -> dict[str, pa.Array]:
    import pyarrow as pa

    cells: dict[str, list[Any]] = {name: [] for name in wanted}
    for row in rows:
        for name, column in cells.items():
            column.append(row.get(name))
    columns = {}
    for name, values in cells.items():
        try:
            columns[name] = pa.array(values)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):  # values of several types
            columns[name] = pa.array(
                [None if value is None else str(value) for value in values], pa.string()
            )
    return columns


# --- Parquet and logs ---------------------------------------------------------------------------


def _parquet(source: Source, stream: io.BufferedReader, caps: Caps, stack: ExitStack) -> Table:
    import pyarrow as pa
    from pyarrow import parquet

    if isinstance(source, str | Path) and Path(source).suffix != ".gz":
        place: Any = str(source)
    else:
        content = stream.read()
        place = pa.BufferReader(content)
    try:
        schema = parquet.read_schema(place)
        twice = [name for name, number in Counter(schema.names).items() if number > 1]
        if twice:
            raise InputError(
                f"The Parquet file has {Counter(schema.names)[twice[0]]} columns named "
                f"'{twice[0]}'. Rename them, so that it is clear which is meant."
            )
        roots = {item.name: item.type for item in schema}
        texts = [name for name, kind in roots.items() if _is_text(kind)]
        # Not buffered ahead: what is, is kept until the file is closed.
        file = stack.enter_context(
            parquet.ParquetFile(
                place, read_dictionary=texts, pre_buffer=False, buffer_size=_HEAD_BYTES
            )
        )
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, MemoryError):
            raise
        raise InputError(f"The Parquet file is damaged: {_short(error)}") from error
    if file.metadata.num_rows > caps.rows:
        raise too_many_rows(caps.rows)
    leaves = dict(leaf for name, kind in roots.items() for leaf in _leaves((name,), kind))

    def batches(wanted: Sequence[str]) -> Iterator[Batch]:
        for name in wanted:
            if not _is_plain(leaves[name][1]):
                raise InputError(
                    f"Column '{name}' holds {leaves[name][1]}; expected times, token counts or "
                    "names."
                )
        _check_unpacked(file.metadata, set(wanted), caps)
        row = 1
        try:
            for batch in file.iter_batches(_BATCH_ROWS, columns=list(wanted), use_threads=False):
                cells = {name: _spelt_out(_inside(batch, leaves[name][0])) for name in wanted}
                yield Batch(row, batch.num_rows, cells)
                row += batch.num_rows
        except (pa.ArrowException, OSError) as error:
            if isinstance(error, MemoryError):
                raise
            raise InputError(f"The Parquet file is damaged: {_short(error)}") from error

    return Table(
        "Parquet",
        tuple(leaves),
        batches,
        objects=frozenset(name for name, kind in roots.items() if pa.types.is_struct(kind)),
        lists=frozenset(name for name, kind in roots.items() if pa.types.is_list(kind)),
        texts=frozenset(texts),
    )


def _leaves(
    path: tuple[str, ...], kind: pa.DataType
) -> Iterator[tuple[str, tuple[tuple[str, ...], pa.DataType]]]:
    """Give the name, place and type of each column inside one that may be a struct of structs."""
    import pyarrow as pa

    if not pa.types.is_struct(kind):
        yield ".".join(path), (path, kind)
        return
    for inner in kind:
        yield from _leaves((*path, inner.name), inner.type)


def _inside(batch: pa.RecordBatch, path: tuple[str, ...]) -> pa.Array:
    import pyarrow.compute as pc

    cells = batch[path[0]]
    return pc.struct_field(cells, list(path[1:])) if len(path) > 1 else cells


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    is_a = pa.types
    return is_a.is_string(kind) or is_a.is_large_string(kind) or is_a.is_string_view(kind)


def _is_plain(kind: pa.DataType) -> bool:
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return _is_plain(kind.value_type)
    other = pa.types.is_decimal(kind) or pa.types.is_null(kind)
    return _is_text(kind) or pa.types.is_primitive(kind) or other


def _check_unpacked(metadata: Any, wanted: set[str], caps: Caps) -> None:
    """Refuse columns that unpack to more than the cap, as the file itself says."""
    groups = (metadata.row_group(number) for number in range(metadata.num_row_groups))
    chunks = (group.column(at) for group in groups for at in range(group.num_columns))
    size = sum(
        chunk.total_uncompressed_size
        for chunk in chunks
        if any(f"{chunk.path_in_schema}.".startswith(f"{name}.") for name in wanted)
    )
    if size > caps.bytes:
        raise _too_large(caps.bytes)


def _spelt_out(cells: pa.Array) -> pa.Array:
    """Return cells in full where the file numbers its texts: one long text, named by every row.

    A few kilobytes of such a file can stand for gigabytes, so their size is looked at first.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_dictionary(cells.type):
        return _valid_text(cells)
    if _is_text(cells.type.value_type):
        lengths = pc.cast(pc.binary_length(cells.dictionary), pa.int64())
        size = pc.sum(lengths.take(cells.indices)).as_py() or 0
        if size > _BATCH_TEXT_BYTES:
            raise InputError(
                f"The cells of one column are {size / len(cells):,.0f} characters long; expected "
                "times, token counts or names."
            )
    return _valid_text(cells.dictionary_decode())


def _valid_text(cells: pa.Array) -> pa.Array:
    """Return cells whose text is UTF-8: Parquet files may hold other bytes, which become �."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not _is_text(cells.type):
        return cells
    try:
        cells.validate(full=True)
    except pa.ArrowInvalid:
        held = pc.cast(cells, pa.large_binary()).to_pylist()
        mended = [None if cell is None else cell.decode("utf-8", "replace") for cell in held]
        return pa.array(mended, pa.large_string())
    return cells


def _access_log(stream: io.BufferedReader, log: LogFormat, caps: Caps) -> Table:
    table = Table("access log", access_log.COLUMNS, lambda wanted: iter(()), log=log)

    def batches(wanted: Sequence[str]) -> Iterator[Batch]:
        found = access_log.records(stream, log, caps.line_bytes, _BATCH_ROWS, table.broken)
        for first_line, records in found:
            yield Batch(first_line, len(records), _as_columns(records, wanted))

    table.batches = batches
    return table


def _too_large(most: int) -> InputError:
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


def _short(error: Exception) -> str:
    """Return the first sentence of an error, without the bytes it quotes."""
    return str(error).splitlines()[0][:160].rstrip(".") + "."
