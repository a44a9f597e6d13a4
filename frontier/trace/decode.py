"""From a file, in memory or on disk, to batches of the few columns that are wanted.

CSV (comma, semicolon, tab or bar), JSON, JSON lines, Parquet and web server logs, plain or gzip,
in UTF-8, UTF-16 or UTF-32. Files are read as a stream under caps on bytes that count what comes
*out* of the decompressor, so that a small file cannot become a large one; nothing is written to
disk, nothing is unpickled, and columns nobody asked for are never kept. What the columns mean is
decided in `formats`, what their cells mean in `columns`.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from frontier.errors import InputError
from frontier.trace import access_log, joined_times
from frontier.trace.access_log import LogFormat
from frontier.trace.csv_rows import csv_table
from frontier.trace.json_rows import (
    JSON_BEGINS,
    as_columns,
    document_table,
    lines_table,
    records_in,
)
from frontier.trace.parquet_rows import PARQUET, parquet_table
from frontier.trace.raw_table import BATCH_ROWS, Batch, Caps, Table, too_many_rows
from frontier.trace.streams import (
    GZIP,
    HEAD_BYTES,
    Bounded,
    Progress,
    Source,
    as_utf8,
    opened,
    peek,
    refuse_no_text,
)


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
        raw, size = opened(source, stack)
        counted = Bounded(raw, None, progress, size)
        stream: io.BufferedReader[Any] = io.BufferedReader(counted, HEAD_BYTES)
        cap = caps.bytes
        if stream.peek(2)[:2] == GZIP:
            unpacked = stack.enter_context(gzip.GzipFile(fileobj=stream))

            def unpacking(unpacked_bytes: int, _: int) -> None:
                # A small file may unpack for long: it must be heard of, and can be stopped.
                if progress is not None:
                    progress(counted.read_bytes, size)

            stream = io.BufferedReader(Bounded(unpacked, cap, unpacking), HEAD_BYTES)
            if peek(stream)[:2] == GZIP:
                raise InputError("The file is gzip inside gzip. Decompress it once.")
        else:
            counted.cap = cap
        head = peek(stream)
        if not head:
            raise InputError("The file is empty.")
        if not head.startswith(PARQUET):
            refuse_no_text(head)
        if head.startswith(PARQUET):
            table = parquet_table(source, stream, caps, stack)
        else:
            stream, head = as_utf8(stream, head)
            if not head.strip():
                raise InputError("The file is empty.")
            table = _text_table(stream, head, caps)
        if len(table.names) > caps.columns:
            raise InputError(
                f"The file has {len(table.names):,} columns, more than the {caps.columns:,} that "
                "are read. Keep the time, the tokens and what tells models apart."
            )
        joined_times.join(table)
        batches = table.batches
        table.batches = lambda wanted: _counted(table, batches(_known(table, wanted)), caps)
        yield table


def _known(table: Table, wanted: Sequence[str]) -> Sequence[str]:
    held = {*table.names, *table.nested}
    lacks = [name for name in wanted if name not in held]
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


def _text_table(stream: io.BufferedReader, head: bytes, caps: Caps) -> Table:
    text = head.decode("utf-8", errors="replace").lstrip()
    if not text:
        raise InputError("The file is empty.")
    if not JSON_BEGINS.match(text):
        log = access_log.recognise(text, caps.line_bytes)
        return csv_table(stream, head, caps) if log is None else _access_log(stream, log, caps)
    sample = records_in(text, whole=len(head) < HEAD_BYTES)
    return lines_table(stream, sample, caps) if sample else document_table(stream, caps)


def _access_log(stream: io.BufferedReader, log: LogFormat, caps: Caps) -> Table:
    table = Table("access log", access_log.COLUMNS, lambda wanted: iter(()), log=log)

    def batches(wanted: Sequence[str]) -> Iterator[Batch]:
        found = access_log.records(stream, log, caps.line_bytes, BATCH_ROWS, table.broken)
        for first_line, records in found:
            yield Batch(first_line, len(records), as_columns(records, wanted))

    table.batches = batches
    return table
