"""Rows of JSON lines, and of one JSON document.

What a document that is no list of records means is for `record_documents` and `series_documents`.
"""

from __future__ import annotations

import io
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from frontier.errors import InputError
from frontier.trace import record_documents

if TYPE_CHECKING:
    import pyarrow as pa
from frontier.trace.raw_table import (
    BAD_LINE,
    BATCH_ROWS,
    BLOCK_BYTES,
    SAMPLE_RECORDS,
    Batch,
    Caps,
    Table,
    hopeless,
    is_hopeless,
)
from frontier.trace.streams import lines_of

# A column that only some records have (tokens, after health checks) must not be overlooked.
_SAMPLE_LINES = 10_000
# Between two documents: blanks, a comma, the mark of RFC 7464.
_BETWEEN = re.compile(r"[\s,\x1e]*")

_HALF_CHARACTER = re.compile(r"\\u[dD][89a-fA-F]")

JSON_BEGINS = re.compile(r'\{|\[\s*(?:[\[{"\]]|-?\d[\d.eE+-]*\s*[,\]]|$)')


def records_in(text: str, whole: bool) -> list[dict[str, Any]]:
    """Return the first records if the text is JSON lines, and nothing if it is one document."""
    lines = lines_of(text)
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


def lines_table(stream: io.BufferedReader, sample: list[dict[str, Any]], caps: Caps) -> Table:
    """Return the table of a file with one JSON object a line, of which the first ones are known."""
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
        records=tuple(flat[:SAMPLE_RECORDS]),
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
        block = stream.read(BLOCK_BYTES)
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
                columns = as_columns(_records_of(piece, table, wanted, row, caps), wanted)
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
                table.broken[BAD_LINE.format("JSON")] += 1
                if is_hopeless(table.broken, good, caps):
                    raise hopeless(table.broken)


def document_table(stream: io.BufferedReader, caps: Caps) -> Table:
    """Return the table in one JSON document, or in several that follow each other."""
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
                    broken[BAD_LINE.format("JSON")] += 1
                    if is_hopeless(broken, len(document), caps):
                        raise hopeless(broken) from None
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
        for start in range(0, len(rows), BATCH_ROWS):
            some = rows[start : start + BATCH_ROWS]
            yield Batch(start + 1, len(some), as_columns(some, wanted))

    return Table(
        "JSON",
        tuple(types),
        batches,
        texts=frozenset(name for name, kind in types.items() if kind is str),
        broken=broken,
        records=tuple(rows[:SAMPLE_RECORDS]),
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


def as_columns(rows: Iterable[Mapping[str, Any]], wanted: Sequence[str]) -> dict[str, pa.Array]:
    """Return columns of rows, null where a row has none."""
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
