"""Rows of a Parquet file; what its footer says of its size is held against the caps first.

A file that lies may still end the process: `apart` reads Parquet in one of its own.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frontier.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa
from frontier.trace.raw_table import (
    BATCH_ROWS,
    BATCH_TEXT_BYTES,
    Batch,
    Caps,
    Table,
    in_short,
    too_large,
    too_many_rows,
)
from frontier.trace.streams import HEAD_BYTES, Source

PARQUET = b"PAR1"

_NAME_NO_TEXT = "The Parquet file is damaged: a column's name is no text."


def parquet_table(source: Source, stream: io.BufferedReader, caps: Caps, stack: ExitStack) -> Table:
    """Return the table of a Parquet file, columns within columns by their path."""
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
                place, read_dictionary=texts, pre_buffer=False, buffer_size=HEAD_BYTES
            )
        )
        leaves = dict(leaf for name, kind in roots.items() for leaf in _leaves((name,), kind))
    except UnicodeDecodeError:
        raise InputError(_NAME_NO_TEXT) from None
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, MemoryError):
            raise
        raise InputError(f"The Parquet file is damaged: {in_short(error)}") from error
    if file.metadata.num_rows > caps.rows:
        raise too_many_rows(caps.rows)

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
            for batch in file.iter_batches(BATCH_ROWS, columns=list(wanted), use_threads=False):
                cells = {name: _spelt_out(_inside(batch, leaves[name][0])) for name in wanted}
                yield Batch(row, batch.num_rows, cells)
                row += batch.num_rows
        except (pa.ArrowException, OSError) as error:
            if isinstance(error, MemoryError):
                raise
            raise InputError(f"The Parquet file is damaged: {in_short(error)}") from error

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
    try:
        size = sum(
            chunk.total_uncompressed_size
            for chunk in chunks
            if any(f"{chunk.path_in_schema}.".startswith(f"{name}.") for name in wanted)
        )
    except UnicodeDecodeError:
        raise InputError(_NAME_NO_TEXT) from None
    if size > caps.bytes:
        raise too_large(caps.bytes)


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
        if size > BATCH_TEXT_BYTES:
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
